/* embed_bwd.cl - the gradient of rows of a table by id: dtable[id] = sum of the rows of dy with that id, in their order, and dpositions the
 * sum over the batch. No atomics: the rows with the same id are a chain, and whoever has its first row adds up all of it. Only rows of the
 * table whose id occurs are touched. */
// isa:
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 1 /* columns per work-item: 1, or 16 where a hardware thread is a vector unit and n a multiple */
#endif
#if LANES == 16
typedef float16 numbers;
#define LOAD(p) vload16(0, p)
#define STORE(v, p) vstore16(v, 0, p)
#else
typedef float numbers;
#define LOAD(p) (*(p))
#define STORE(v, p) (*(p) = (v))
#endif

/* The first of ids [from, to) that is `id`, otherwise -1. */
int find_id(__global const int *ids, int from, int to, int id)
{
    for (; from + 16 <= to && !any(vload16(0, ids + from) == id); from += 16)
        ;
    for (; from < to; from++)
        if (ids[from] == id)
            return from;
    return -1;
}

/* links: [2, rows]: the next row with the same id or -1; 1 for the first row with its id, 0 for others and for ids outside the table.
 * Work-item: one row. Any group size, no local memory. */
__kernel void embed_bwd_links(__global int *links, __global const int *ids, struct embed_args args)
{
    int r = get_global_id(0), id;
    if (r >= args.rows)
        return;
    id = ids[r];
    links[r] = find_id(ids, r + 1, args.rows, id);
    links[args.rows + r] = id >= 0 && id < args.vocab && find_id(ids, 0, r, id) < 0;
}

/* Work-item: LANES columns of the chain that begins at row get_global_id(1). Grid: columns fastest. Any group size, no local memory. */
__kernel void embed_bwd_table(__global float *dtable, __global const float *dy, __global const int *ids, __global const int *links,
                              struct embed_args args)
{
    int c = get_global_id(0) * LANES, r = get_global_id(1);
    numbers sum = (numbers)(0.0f);
    if (c >= args.n || r >= args.rows || !links[args.rows + r])
        return;
    dtable += (size_t)ids[r] * args.n + c;
    for (; r >= 0; r = links[r])
        sum += LOAD(dy + (size_t)r * args.n + c);
    STORE(LOAD(dtable) + sum, dtable);
}

/* Work-item: LANES columns of position get_global_id(1) of the batch's args.positions. Grid: columns fastest. Any group size, no
 * local memory. */
__kernel void embed_bwd_positions(__global float *dpositions, __global const float *dy, struct embed_args args)
{
    int c = get_global_id(0) * LANES, t = get_global_id(1);
    numbers sum = (numbers)(0.0f);
    if (c >= args.n || t >= args.positions)
        return;
    dpositions += (size_t)(args.position + t) * args.n + c;
    for (int r = t; r < args.rows; r += args.positions)
        sum += LOAD(dy + (size_t)r * args.n + c);
    STORE(LOAD(dpositions) + sum, dpositions);
}
