/* attention_bwd.cl - the gradient of out = softmax(scale q k^T) v (Dao 2023, "FlashAttention-2", algorithm 2): with p the softmax weights
 * of a query, delta = sum(dout out) and ds = scale p (dout v^T - delta),  dv = p^T dout, dk = ds^T q, dq = ds k. The score matrix is never
 * stored, and no atomics are needed: each element of a gradient belongs to one work-item or group, and is added to what is there.
 *
 * q and out are rows as the forward reads and writes them (struct attention_args), k and v the rows that were stored (struct
 * attention_store_args), dq, dk and dv have the layout of q, k and v. D: columns of a head. `want`: 1 dq, 2 dk, 4 dv. LENGTHS: padded
 * batches (key_lengths.clh).
 *
 *   attention_bwd_row    CPUs: a work-item takes a whole head of one batch row, so that scores are computed once for all three gradients
 *   attention_stats      GPUs: log sum exp of the scores and delta of each query
 *   attention_bwd_q      GPUs: a group of 64 takes 32 queries and COLUMNS columns of dq, and iterates over the keys
 *   attention_bwd_kv     GPUs: a group of 64 takes 32 keys and COLUMNS columns of dk and dv, and iterates over the queries
 */
// isa: -DD=64
// isa: -DD=128
// isa: -DD=40
// isa: -DD=80
// isa: -DD=160
// isa: -DD=512
// isa: -DD=16
// isa: -DD=13
// isa: -DD=64 -DLENGTHS=1
// isa: -DD=160 -DLENGTHS=1
// isa-cpu: -DD=64 -DROW=1 -DKEYS=256
// isa-cpu: -DD=64 -DROW=1 -DKEYS=256 -DLENGTHS=1
// isa-cpu: -DD=40 -DROW=1 -DKEYS=256
// isa-cpu: -DD=13 -DROW=1 -DKEYS=256 -DTILE=2
// isa-cpu: -DD=512 -DROW=1 -DQV=1 -DKEYS=256
#include "common.clh"
#include "key_lengths.clh"
#include "reduce.clh"

#ifndef D
#define D 64
#endif
#define LOG2E 1.44269504088896341f

#ifdef ROW
#ifndef QV
#define QV 2 /* vectors of 16 queries in a block */
#endif
#ifndef KEYS
#define KEYS 1024 /* keys whose weights are stored; with more, scores are computed twice */
#endif
#ifndef TILE
#define TILE 8 /* rows of a register tile; KEYS is a multiple of it */
#endif
#define PART (64 / TILE * TILE) /* keys whose ds are stored before they are accumulated into dq */
#define QUERIES (16 * QV)
#define UNROLL _Pragma("unroll")

/* Offset of row j of a tile with `count` rows, at most TILE: rows after the last one repeat it. */
#define ROW_AT(j, count, ld) ((size_t)min(j, (count)-1) * (ld))

/* to[j][i] = dot product of row j and column i, for TILE rows of D elements, `count` of them valid, and QUERIES columns, columns[d][i] */
void dot_products(float16 *to, const __global float *rows, int ld, int count, const float16 *columns)
{
    float16 sum[TILE * QV];
    const __global float *row[TILE];
    UNROLL for (int j = 0; j < TILE; j++)
    {
        row[j] = rows + ROW_AT(j, count, ld);
        UNROLL for (int n = 0; n < QV; n++) sum[j * QV + n] = 0.0f;
    }
    for (int d = 0; d < D; d++, columns += QV)
        UNROLL for (int j = 0; j < TILE; j++)
        {
            float16 x = row[j][d];
            UNROLL for (int n = 0; n < QV; n++) sum[j * QV + n] = MAD(x, columns[n], sum[j * QV + n]);
        }
    UNROLL for (int e = 0; e < TILE * QV; e++) to[e] = sum[e];
}

/* to[j][at..] += sum over the queries of weights[j][i] rows[i][at..], for `count` <= TILE keys and the columns of N vectors */
#define DEFINE_ADD_ROWS(NAME, TYPE, VLOAD, VSTORE, WIDTH, N)                                                                               \
    void NAME(__global float *to, int ld, int count, const float *weights, const __global float *rows, int row_step, int queries, int at)  \
    {                                                                                                                                      \
        TYPE sum[TILE * N];                                                                                                                \
        UNROLL for (int j = 0; j < TILE; j++) UNROLL for (int n = 0; n < N; n++) sum[j * N + n] =                                          \
            VLOAD(0, to + ROW_AT(j, count, ld) + at + n * WIDTH);                                                                          \
        rows += at;                                                                                                                        \
        for (int i = 0; i < queries; i++, rows += row_step) {                                                                              \
            TYPE x[N];                                                                                                                     \
            UNROLL for (int n = 0; n < N; n++) x[n] = VLOAD(0, rows + n * WIDTH);                                                          \
            UNROLL for (int j = 0; j < TILE; j++) UNROLL for (int n = 0; n < N; n++) sum[j * N + n] =                                      \
                MAD((TYPE)weights[j * QUERIES + i], x[n], sum[j * N + n]);                                                                 \
        }                                                                                                                                  \
        UNROLL for (int j = 0; j < TILE; j++) if (j < count) UNROLL for (int n = 0; n < N; n++)                                            \
            VSTORE(sum[j * N + n], 0, to + (size_t)j * ld + at + n * WIDTH);                                                               \
    }
DEFINE_ADD_ROWS(add_rows_32, float16, vload16, vstore16, 16, 2)
DEFINE_ADD_ROWS(add_rows_16, float16, vload16, vstore16, 16, 1)
DEFINE_ADD_ROWS(add_rows_8, float8, vload8, vstore8, 8, 1)

void add_rows(__global float *to, int ld, int count, const float *weights, const __global float *rows, int row_step, int queries)
{
    for (int at = 0; at < D / 32 * 32; at += 32)
        add_rows_32(to, ld, count, weights, rows, row_step, queries, at);
    if (D % 32 >= 16)
        add_rows_16(to, ld, count, weights, rows, row_step, queries, D / 32 * 32);
    if (D % 16 >= 8)
        add_rows_8(to, ld, count, weights, rows, row_step, queries, D / 16 * 16);
    for (int j = 0; j < count; j++)
        for (int d = D / 8 * 8; d < D; d++) {
            float sum = to[(size_t)j * ld + d];
            for (int i = 0; i < queries; i++)
                sum = MAD(weights[j * QUERIES + i], rows[(size_t)i * row_step + d], sum);
            to[(size_t)j * ld + d] = sum;
        }
}

/* sums[d][i] += over `count` keys of rows[key][d] ds[key][i] */
void add_columns(float16 *sums, const __global float *rows, int ld, int count, const float16 *ds)
{
    for (int at = 0; at < D; at += TILE) {
        float16 sum[TILE * QV];
        const __global float *row = rows + at;
        const float16 *x = ds;
        UNROLL for (int j = 0; j < TILE; j++) UNROLL for (int n = 0; n < QV; n++) sum[j * QV + n] = sums[min(at + j, D - 1) * QV + n];
        for (int key = 0; key < count; key++, row += ld, x += QV)
            UNROLL for (int j = 0; j < TILE; j++)
            {
                float16 w = row[D % TILE ? min(j, D - 1 - at) : j];
                UNROLL for (int n = 0; n < QV; n++) sum[j * QV + n] = MAD(w, x[n], sum[j * QV + n]);
            }
        UNROLL for (int j = 0; j < TILE; j++) if (at + j < D) UNROLL for (int n = 0; n < QV; n++) sums[(at + j) * QV + n] = sum[j * QV + n];
    }
}

/* p = 2^(score - maximum) of `count` keys from `first` on; with `update`, the running maximum and denominator are updated. */
void softmax_weights(float16 *p, float16 *greatest, float16 *total, const __global float *k, int ld, int first, int count, const float16 *q,
                     const int16 *limit, int update)
{
    for (int j = 0; j < count; j += TILE)
        dot_products(p + j * QV, k + (size_t)(first + j) * ld, ld, min(TILE, count - j), q);
    for (int n = 0; n < QV; n++) {
        float16 now = greatest[n], sum = 0.0f;
        for (int j = 0; j < count; j++) {
            float16 x = first + j > limit[n] ? (float16)(-INFINITY) : p[j * QV + n];
            p[j * QV + n] = x;
            now = x > now ? x : now;
        }
        for (int j = 0; j < count; j++) {
            float16 e = exp2_negative(p[j * QV + n] - now);
            p[j * QV + n] = e;
            sum += e;
        }
        if (update) {
            total[n] = total[n] * exp2_negative(greatest[n] - now) + sum;
            greatest[n] = now;
        }
    }
}

/* Transpose a 16 x 16 matrix: one step for each bit of the row and column indices, which it exchanges. */
#define EXCHANGE(S, LOW, HIGH)                                                                                                             \
    UNROLL for (int i = 0; i < 16; i++) if (!(i & S))                                                                                      \
    {                                                                                                                                      \
        float16 a = r[i], b = r[i + S];                                                                                                    \
        r[i] = LOW;                                                                                                                        \
        r[i + S] = HIGH;                                                                                                                   \
    }
void transpose_16x16(float16 r[16])
{
    EXCHANGE(8, (float16)(a.lo, b.lo), (float16)(a.hi, b.hi))
    EXCHANGE(4, (float16)(a.s0123, b.s0123, a.s89ab, b.s89ab), (float16)(a.s4567, b.s4567, a.scdef, b.scdef))
    EXCHANGE(2, (float16)(a.s01, b.s01, a.s45, b.s45, a.s89, b.s89, a.scd, b.scd),
             (float16)(a.s23, b.s23, a.s67, b.s67, a.sab, b.sab, a.sef, b.sef))
    EXCHANGE(1, (float16)(a.s0, b.s0, a.s2, b.s2, a.s4, b.s4, a.s6, b.s6, a.s8, b.s8, a.sa, b.sa, a.sc, b.sc, a.se, b.se),
             (float16)(a.s1, b.s1, a.s3, b.s3, a.s5, b.s5, a.s7, b.s7, a.s9, b.s9, a.sb, b.sb, a.sd, b.sd, a.sf, b.sf))
}

/* columns[d][i] = rows[i][d] * by; zeros after `count` rows */
void rows_to_columns(float16 *columns, const __global float *rows, int ld, int count, float by)
{
    float16 r[16];
    for (int n = 0; n < QV; n++) {
        for (int d = 0; d < D / 16 * 16; d += 16) {
            UNROLL for (int i = 0; i < 16; i++) r[i] =
                n * 16 + i < count ? vload16(0, rows + (size_t)(n * 16 + i) * ld + d) * by : (float16)(0.0f);
            transpose_16x16(r);
            UNROLL for (int i = 0; i < 16; i++) columns[(d + i) * QV + n] = r[i];
        }
        for (int d = D / 16 * 16; d < D; d++)
            for (int i = n * 16; i < n * 16 + 16; i++)
                ((float *)columns)[d * QUERIES + i] = i < count ? rows[(size_t)i * ld + d] * by : 0.0f;
    }
}

/* rows[i][d] += columns[d][i] of `count` rows */
void columns_to_rows(__global float *rows, int ld, int count, const float16 *columns)
{
    float16 r[16];
    for (int n = 0; n < QV; n++) {
        for (int d = 0; d < D / 16 * 16; d += 16) {
            UNROLL for (int i = 0; i < 16; i++) r[i] = columns[(d + i) * QV + n];
            transpose_16x16(r);
            UNROLL for (int i = 0; i < 16; i++) if (n * 16 + i < count)
            {
                __global float *to = rows + (size_t)(n * 16 + i) * ld + d;
                vstore16(vload16(0, to) + r[i], 0, to);
            }
        }
        for (int d = D / 16 * 16; d < D; d++)
            for (int i = n * 16; i < min(count, n * 16 + 16); i++)
                rows[(size_t)i * ld + d] += ((const float *)columns)[d * QUERIES + i];
    }
}

/* The dot product of two rows of D elements. */
float dot_rows(const __global float *x, const __global float *y)
{
    float16 sums = 0.0f;
    float sum = 0.0f;
    for (int d = 0; d < D / 16 * 16; d += 16)
        sums = MAD(vload16(0, x + d), vload16(0, y + d), sums);
    for (int d = D / 16 * 16; d < D; d++)
        sum = MAD(x[d], y[d], sum);
    return sum + sum16(sums);
}

/* Group of 1. Grid: heads fastest, then batch. Private memory: 3 QUERIES D + (KEYS + PART) QUERIES floats. */
VECTOR_KERNEL void attention_bwd_row(__global float *dq, __global float *dk, __global float *dv, const __global float *dout,
                                     const __global float *out, const __global float *q, const __global float *k, const __global float *v,
                                     int want, struct attention_store_args s, struct attention_args a KEY_LENGTHS)
{
    int head = get_global_id(0), b = get_global_id(1);
    float16 q_columns[D * QV], dout_columns[D * QV], dq_columns[D * QV], p[KEYS * QV], ds[PART * QV];
    float16 greatest[QV], total[QV], inverse[QV], delta[QV];
    int16 limit[QV];
    const int16 lanes = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t key_row = (size_t)(b + a.first - s.first) * s.rows, k_at = key_row * s.ldk + s.k_offset + head * D,
           v_at = key_row * s.ldv + s.v_offset + head * D;
    k += k_at;
    dk += k_at;
    v += v_at;
    dv += v_at;
    LIMIT_KEYS(a, b);
    for (int first = 0; first < a.queries; first += QUERIES) {
        int rows = min(QUERIES, a.queries - first), visible = a.causal ? min(a.keys, a.position + first + rows) : a.keys;
        size_t row = (size_t)b * a.queries + first, q_at = row * a.ldq + a.q_offset + head * D, o_at = row * a.ldo + head * D;
        rows_to_columns(q_columns, q + q_at, a.ldq, rows, a.scale * LOG2E);
        rows_to_columns(dout_columns, dout + o_at, a.ldo, rows, 1.0f);
        for (int n = 0; n < QV; n++) {
            greatest[n] = -INFINITY;
            total[n] = 0.0f;
            delta[n] = 0.0f;
            limit[n] = a.causal ? a.position + first + n * 16 + lanes : (int16)(a.keys);
        }
        for (int i = 0; i < rows; i++)
            ((float *)delta)[i] = dot_rows(dout + o_at + (size_t)i * a.ldo, out + o_at + (size_t)i * a.ldo);
        for (int d = 0; d < D * QV; d++)
            dq_columns[d] = 0.0f;
        for (int k0 = 0; k0 < visible; k0 += KEYS)
            softmax_weights(p, greatest, total, k, s.ldk, k0, min(KEYS, visible - k0), q_columns, limit, 1);
        for (int n = 0; n < QV; n++)
            inverse[n] = 1.0f / total[n];
        for (int k0 = 0; k0 < visible; k0 += KEYS) {
            int chunk = min(KEYS, visible - k0);
            if (visible > KEYS)
                softmax_weights(p, greatest, total, k, s.ldk, k0, chunk, q_columns, limit, 0);
            for (int part = 0; part < chunk; part += PART) {
                int keys = min(PART, chunk - part);
                for (int j = 0; j < keys; j += TILE) {
                    int at = (part + j) * QV, count = min(TILE, keys - j), key = k0 + part + j;
                    dot_products(ds + j * QV, v + (size_t)key * s.ldv, s.ldv, count, dout_columns);
                    for (int e = 0; e < TILE * QV; e++) {
                        float16 weight = p[at + e] * inverse[e % QV];
                        p[at + e] = weight;
                        ds[j * QV + e] = weight * (ds[j * QV + e] - delta[e % QV]) * a.scale;
                    }
                    if (want & 4)
                        add_rows(dv + (size_t)key * s.ldv, s.ldv, count, (float *)(p + at), dout + o_at, a.ldo, rows);
                    if (want & 2)
                        add_rows(dk + (size_t)key * s.ldk, s.ldk, count, (float *)(ds + j * QV), q + q_at, a.ldq, rows);
                }
                if (want & 1)
                    add_columns(dq_columns, k + (size_t)(k0 + part) * s.ldk, s.ldk, keys, ds);
            }
        }
        if (want & 1)
            columns_to_rows(dq + q_at, a.ldq, rows, dq_columns);
    }
}
#else

#define SIDE 32       /* rows and columns of a tile */
#define LD (SIDE + 1) /* of a tile in local memory: neighbours lie in different banks */
#define CHUNKS ((D + 63) / 64)
#define COLUMNS ((D + CHUNKS - 1) / CHUNKS) /* of a gradient in one group: more would not fit into registers */
#define OWN ((COLUMNS + 7) / 8)
#define GROUP __attribute__((reqd_work_group_size(64, 1, 1)))

/* to[r][c] = from[r][c] of `count` rows of `width` elements, zeros after them; by a group of 64, in rows of `step` */
void load_tile(__local float *to, int step, const __global float *from, int ld, int count, int width)
{
    for (int e = get_local_id(0); e < SIDE * step; e += 64) {
        int r = e / step, c = e % step;
        to[e] = r < count && c < width ? from[(size_t)r * ld + c] : 0.0f;
    }
}

/* s += x y^T of two tiles: a work-item has rows ty + 8 i and columns tx + 8 j of the result */
void multiply_tiles(float s[16], const __local float *x, const __local float *y)
{
    x += get_local_id(0) / 8 * LD;
    y += get_local_id(0) % 8 * LD;
#pragma unroll 4
    for (int d = 0; d < SIDE; d++) {
        float a[4], b[4];
        for (int i = 0; i < 4; i++) {
            a[i] = x[8 * i * LD + d];
            b[i] = y[8 * i * LD + d];
        }
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                s[i * 4 + j] = MAD(a[i], b[j], s[i * 4 + j]);
    }
}

/* `count` rows of a tensor, from `at` on. */
struct rows {
    const __global float *at;
    int ld, count;
};

/* s = x y^T over all D columns */
void multiply_rows(float s[16], __local float *tiles, struct rows x, struct rows y)
{
#pragma unroll
    for (int e = 0; e < 16; e++)
        s[e] = 0.0f;
    for (int d = 0; d < D; d += SIDE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(tiles, LD, x.at + d, x.ld, x.count, min(SIDE, D - d));
        load_tile(tiles + SIDE * LD, LD, y.at + d, y.ld, y.count, min(SIDE, D - d));
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply_tiles(s, tiles, tiles + SIDE * LD);
    }
}

/* sum[i][c] += over 32 rows of weights[ty + 8 i][row] columns[row][tx + 8 c] */
void add_tile(float sum[4 * OWN], const __local float *weights, const __local float *columns)
{
    weights += get_local_id(0) / 8 * LD;
    columns += get_local_id(0) % 8;
#pragma unroll 2
    for (int row = 0; row < SIDE; row++)
        for (int c = 0; c < OWN; c++) {
            float x = columns[row * OWN * 8 + 8 * c];
            for (int i = 0; i < 4; i++)
                sum[i * OWN + c] = MAD(weights[8 * i * LD + row], x, sum[i * OWN + c]);
        }
}

/* to[ty + 8 i][tx + 8 c] += sum[i][c], of `count` rows of `width` columns */
void add_to(__global float *to, int ld, int count, int width, const float sum[4 * OWN])
{
    int row = get_local_id(0) / 8, column = get_local_id(0) % 8;
    for (int i = 0; i < 4; i++)
        for (int c = 0; c < OWN; c++)
            if (row + 8 * i < count && column + 8 * c < width)
                to[(size_t)(row + 8 * i) * ld + column + 8 * c] += sum[i * OWN + c];
}

/* Rows of q, out or dout from `first` on, of one head of batch row b; and the offset of those of k or v. */
struct rows query_rows(const __global float *x, int ld, int offset, int first, int head, int b, const struct attention_args *a)
{
    struct rows r = {x + ((size_t)b * a->queries + first) * ld + offset + head * D, ld, min(SIDE, a->queries - first)};
    return r;
}

size_t key_offset(int ld, int offset, int first, int head, int b, const struct attention_store_args *s, const struct attention_args *a)
{
    return ((size_t)(b + a->first - s->first) * s->rows + first) * ld + offset + head * D;
}

/* Group of 64. Grid: blocks of 32 queries fastest, then heads, then batch. stats[b][head][query]: log2 of the sum of 2^score, score =
 * scale * log2 e * q k; and delta. Local memory: 3 tiles. */
__kernel GROUP void attention_stats(__global float *stats, const __global float *dout, const __global float *out, const __global float *q,
                                    const __global float *k, struct attention_store_args s, struct attention_args a KEY_LENGTHS)
{
    __local float tiles[2 * SIDE * LD], scores[SIDE * LD];
    int lid = get_local_id(0), first = get_group_id(0) * SIDE, head = get_group_id(1), b = get_group_id(2);
    struct rows queries = query_rows(q, a.ldq, a.q_offset, first, head, b, &a), douts = query_rows(dout, a.ldo, 0, first, head, b, &a),
                outs = query_rows(out, a.ldo, 0, first, head, b, &a);
    LIMIT_KEYS(a, b);
    int visible = a.causal ? min(a.keys, a.position + first + queries.count) : a.keys;
    int seen = a.causal ? min(visible, a.position + first + lid + 1) : visible;
    float greatest = -INFINITY, total = 0.0f, delta = 0.0f, x[16];
    for (int k0 = 0; k0 < visible; k0 += SIDE) {
        struct rows keys = {k + key_offset(s.ldk, s.k_offset, k0, head, b, &s, &a), s.ldk, min(SIDE, visible - k0)};
        multiply_rows(x, tiles, queries, keys);
#pragma unroll
        for (int e = 0; e < 16; e++)
            scores[(lid / 8 + e / 4 * 8) * LD + lid % 8 + e % 4 * 8] = x[e] * a.scale * LOG2E;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lid < SIDE) {
            float now = greatest, sum = 0.0f;
            for (int j = 0; j < min(SIDE, seen - k0); j++)
                now = fmax(now, scores[lid * LD + j]);
            for (int j = 0; j < min(SIDE, seen - k0); j++)
                sum += exp2(scores[lid * LD + j] - now);
            total = total * exp2(greatest - now) + sum;
            greatest = now;
        }
    }
    for (int d = 0; d < D; d += SIDE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(tiles, LD, douts.at + d, a.ldo, douts.count, min(SIDE, D - d));
        load_tile(tiles + SIDE * LD, LD, outs.at + d, a.ldo, outs.count, min(SIDE, D - d));
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < SIDE && lid < SIDE; j++)
            delta = MAD(tiles[lid * LD + j], tiles[(SIDE + lid) * LD + j], delta);
    }
    if (lid < queries.count) {
        __global float *to = stats + (((size_t)b * a.heads + head) * a.queries + first + lid) * 2;
        to[0] = greatest + log2(total);
        to[1] = delta;
    }
}

/* Group of 64. Grid: blocks of 32 queries x CHUNKS fastest, then heads, then batch. Local memory: 3 tiles. */
__kernel GROUP void attention_bwd_q(__global float *dq, const __global float *stats, const __global float *dout, const __global float *q,
                                    const __global float *k, const __global float *v, struct attention_store_args s,
                                    struct attention_args a KEY_LENGTHS)
{
    __local float tiles[2 * SIDE * LD], ds[SIDE * LD];
    int lid = get_local_id(0), ty = lid / 8, tx = lid % 8, head = get_group_id(1), b = get_group_id(2);
    int first = get_group_id(0) / CHUNKS * SIDE, column = get_group_id(0) % CHUNKS * COLUMNS, width = min(COLUMNS, D - column);
    struct rows queries = query_rows(q, a.ldq, a.q_offset, first, head, b, &a), douts = query_rows(dout, a.ldo, 0, first, head, b, &a);
    LIMIT_KEYS(a, b);
    int visible = a.causal ? min(a.keys, a.position + first + queries.count) : a.keys;
    float x[16], y[16], sum[4 * OWN];
    for (int e = 0; e < 4 * OWN; e++)
        sum[e] = 0.0f;
    stats += (((size_t)b * a.heads + head) * a.queries + first) * 2;
    for (int k0 = 0; k0 < visible; k0 += SIDE) {
        struct rows keys = {k + key_offset(s.ldk, s.k_offset, k0, head, b, &s, &a), s.ldk, min(SIDE, visible - k0)};
        struct rows values = {v + key_offset(s.ldv, s.v_offset, k0, head, b, &s, &a), s.ldv, keys.count};
        multiply_rows(x, tiles, queries, keys);
        multiply_rows(y, tiles, douts, values);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = ty + 8 * i, at = min(row, queries.count - 1) * 2;
            int seen = row >= queries.count ? 0 : a.causal ? a.position + first + row + 1 - k0 : SIDE;
            float all = stats[at], delta = stats[at + 1];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float p = exp2(x[i * 4 + j] * a.scale * LOG2E - all);
                ds[row * LD + tx + 8 * j] = tx + 8 * j < min(seen, keys.count) ? p * (y[i * 4 + j] - delta) * a.scale : 0.0f;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(tiles, OWN * 8, keys.at + column, s.ldk, keys.count, width);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(sum, ds, tiles);
    }
    add_to(dq + ((size_t)b * a.queries + first) * a.ldq + a.q_offset + head * D + column, a.ldq, queries.count, width, sum);
}

/* Group of 64. Grid: blocks of 32 keys x CHUNKS fastest, then heads, then batch. Local memory: 4 tiles. */
__kernel GROUP void attention_bwd_kv(__global float *dk, __global float *dv, const __global float *stats, const __global float *dout,
                                     const __global float *q, const __global float *k, const __global float *v, int want,
                                     struct attention_store_args s, struct attention_args a KEY_LENGTHS)
{
    __local float tiles[2 * SIDE * LD], p[SIDE * LD], ds[SIDE * LD];
    int lid = get_local_id(0), ty = lid / 8, tx = lid % 8, head = get_group_id(1), b = get_group_id(2);
    int first = get_group_id(0) / CHUNKS * SIDE, column = get_group_id(0) % CHUNKS * COLUMNS, width = min(COLUMNS, D - column);
    LIMIT_KEYS(a, b);
    if (LENGTHS && first >= a.keys)
        return; /* all keys of this group are padding */
    size_t k_at = key_offset(s.ldk, s.k_offset, first, head, b, &s, &a), v_at = key_offset(s.ldv, s.v_offset, first, head, b, &s, &a);
    struct rows keys = {k + k_at, s.ldk, min(SIDE, a.keys - first)}, values = {v + v_at, s.ldv, keys.count};
    float x[16], y[16], sum_k[4 * OWN], sum_v[4 * OWN];
    for (int e = 0; e < 4 * OWN; e++)
        sum_k[e] = sum_v[e] = 0.0f;
    stats += ((size_t)b * a.heads + head) * a.queries * 2;
    for (int q0 = a.causal ? max(0, first - a.position) / SIDE * SIDE : 0; q0 < a.queries; q0 += SIDE) {
        struct rows queries = query_rows(q, a.ldq, a.q_offset, q0, head, b, &a), douts = query_rows(dout, a.ldo, 0, q0, head, b, &a);
        multiply_rows(x, tiles, keys, queries);
        multiply_rows(y, tiles, values, douts);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int query = tx + 8 * j, at = (q0 + min(query, queries.count - 1)) * 2;
            int seen = query >= queries.count ? 0 : a.causal ? a.position + q0 + query + 1 - first : SIDE;
            float all = stats[at], delta = stats[at + 1];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int row = ty + 8 * i;
                float weight = row < min(seen, keys.count) ? exp2(x[i * 4 + j] * a.scale * LOG2E - all) : 0.0f;
                p[row * LD + query] = weight;
                ds[row * LD + query] = weight * (y[i * 4 + j] - delta) * a.scale;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(tiles, OWN * 8, douts.at + column, a.ldo, douts.count, width);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(sum_v, p, tiles);
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(tiles, OWN * 8, queries.at + column, a.ldq, queries.count, width);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(sum_k, ds, tiles);
    }
    if (want & 2)
        add_to(dk + k_at + column, s.ldk, keys.count, width, sum_k);
    if (want & 4)
        add_to(dv + v_at + column, s.ldv, values.count, width, sum_v);
}
#endif
