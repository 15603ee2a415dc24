/* embed.cl - rows of a table by id, and with them the rows of a table of positions: out[r] = table[ids[r]] + positions[position + r % T].
 * -DTABLE_F16=1: the table is stored in half precision. */
// isa:
// isa: -DTABLE_F16=1
#include "common.clh"

#ifdef TABLE_F16
#define TABLE half
#define TABLE_LOAD(i) vload_half(i, table)
#else
#define TABLE float
#define TABLE_LOAD(i) table[i]
#endif

/* Work-item: column get_global_id(0) of row get_global_id(1) of out [rows, n]. Any group size, no local memory. ids [rows]; an id outside
 * the table [vocab, n] counts as a row of zeros. args.positions: rows of one batch; 0: `positions` is not read. */
__kernel void embed(__global float *out, __global const TABLE *table, __global const int *ids, __global const float *positions,
                    struct embed_args args)
{
    int c = get_global_id(0), r = get_global_id(1), id;
    float x = 0.0f;
    if (c >= args.n || r >= args.rows)
        return;
    id = ids[r];
    if (id >= 0 && id < args.vocab)
        x = TABLE_LOAD((size_t)id * args.n + c);
    if (args.positions)
        x += positions[(size_t)(args.position + r % args.positions) * args.n + c];
    out[(size_t)r * args.n + c] = x;
}
