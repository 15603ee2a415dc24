/* attention.cl - out = softmax(scale q k^T) v with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): the score matrix is
 * never stored.
 *
 * The cache: k[b][head][key / 32][d][key % 32], v[b][head][key][d]; so scores of 32 neighbouring keys are computed at once, and values are
 * read in rows. CACHE_F16: both stored as half. D: columns of a head. Query rows may be part of wider rows (ldq, q_offset). LENGTHS: padded
 * batches (key_lengths.clh).
 *
 *   attention_store      copy new rows of keys and values into the cache
 *   attention_store_row  the same for CPUs: a work-item takes a panel of 32 keys of one head, so that its scattered stores stay in L1
 *   attention_row        CPUs: a work-item takes QB query rows of one head and iterates over the keys, SIMD over keys, then over columns
 *   attention_tile       GPUs, many queries: a group of 128 takes 32 query rows; 4 neighbours share a row
 *   attention_split      GPUs, few queries or wide heads: a group of 64 takes one query and one of `splits` parts of the keys, so that a
 *                        single query still fills the device
 *   attention_combine    combines the parts' results
 */
// isa: -DD=64 -DCACHE_F16=1
// isa: -DD=64 -DCACHE_F16=0
// isa: -DD=128 -DCACHE_F16=1
// isa: -DD=40 -DCACHE_F16=1
// isa: -DD=80 -DCACHE_F16=1
// isa: -DD=160 -DCACHE_F16=1
// isa: -DD=512 -DCACHE_F16=1
// isa: -DD=512 -DCACHE_F16=0
// isa: -DD=16 -DCACHE_F16=1
// isa: -DD=64 -DCACHE_F16=1 -DLENGTHS=1
// isa: -DD=64 -DCACHE_F16=0 -DLENGTHS=1
// isa: -DD=160 -DCACHE_F16=1 -DLENGTHS=1
// isa-cpu: -DD=64 -DCACHE_F16=0 -DROW=1 -DQB=8
// isa-cpu: -DD=64 -DCACHE_F16=0 -DROW=1 -DQB=8 -DLENGTHS=1
// isa-cpu: -DD=40 -DCACHE_F16=0 -DROW=1 -DQB=8
// isa-cpu: -DD=512 -DCACHE_F16=1 -DROW=1 -DQB=4 -DBLOCKS=2
// isa-cpu: -DD=80 -DCACHE_F16=1 -DROW=1 -DQB=1
#include "common.clh"
#include "key_lengths.clh"
#include "reduce.clh"

#ifndef D
#define D 64
#endif
#ifndef CACHE_F16
#define CACHE_F16 0
#endif
#if CACHE_F16
typedef half cached;
#define LOAD1(i, p) vload_half(i, p)
#define LOAD8(p) vload_half8(0, p)
#define LOAD16(p) vload_half16(0, p)
#define STORE1(x, i, p) vstore_half_rte(x, i, p)
#else
typedef float cached;
#define LOAD1(i, p) (p)[i]
#define LOAD8(p) vload8(0, p)
#define LOAD16(p) vload16(0, p)
#define STORE1(x, i, p) (p)[i] = (x)
#endif

#ifdef ROW
#ifndef QB
#define QB 8
#endif
#ifndef BLOCKS
#define BLOCKS 1 /* of QB queries for each work-item: keys and values of wide heads do not stay in cache, and more queries reuse them */
#endif
#ifndef KEYS
#define KEYS 128 /* keys between two updates of the running maximum: a multiple of 32 */
#endif

#define LOG2E 1.44269504088896341f

/* Group of 1. Grid: panels that the rows touch fastest, then heads, then batch. */
VECTOR_KERNEL void attention_store_row(__global cached *k_cache, __global cached *v_cache, const __global float *k, const __global float *v,
                                       struct attention_store_args p)
{
    int panel = p.position / 32 + get_global_id(0), head = get_global_id(1), b = get_global_id(2);
    int first = max(panel * 32, p.position), last = min(panel * 32 + 32, p.position + p.rows);
    size_t plane = ((size_t)(b + p.first) * p.heads + head) * p.capacity * D;
    for (int key = first; key < last; key++) {
        size_t in_row = (size_t)b * p.rows + key - p.position;
        const __global float *k_row = k + in_row * p.ldk + p.k_offset + head * D, *v_row = v + in_row * p.ldv + p.v_offset + head * D;
        __global cached *k_to = k_cache + plane + (size_t)panel * 32 * D + key % 32, *v_to = v_cache + plane + (size_t)key * D;
        for (int d = 0; d < D; d++) {
            STORE1(k_row[d], d * 32, k_to);
            STORE1(v_row[d], d, v_to);
        }
    }
}

/* p[i][0..31] = q[i] k^T for the 32 keys of one panel */
void panel_scores(float *p, const float *q, const __global cached *k)
{
    float16 low[QB], high[QB];
#pragma unroll
    for (int i = 0; i < QB; i++)
        low[i] = high[i] = 0.0f;
    for (int d = 0; d < D; d++, k += 32) {
        float16 k0 = LOAD16(k), k1 = LOAD16(k + 16);
#pragma unroll
        for (int i = 0; i < QB; i++) {
            float16 x = q[i * D + d];
            low[i] = MAD(x, k0, low[i]);
            high[i] = MAD(x, k1, high[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < QB; i++) {
        vstore16(low[i], 0, p + i * KEYS);
        vstore16(high[i], 0, p + i * KEYS + 16);
    }
}

/* o[i][at..at+31] = o * keep[i] + sum over `count` keys of p[i][key] v[key][at..at+31] */
void add_values(float *o, const float *keep, const float *p, const __global cached *v, int count, int at)
{
    float16 low[QB], high[QB];
#pragma unroll
    for (int i = 0; i < QB; i++) {
        low[i] = vload16(0, o + i * D + at) * keep[i];
        high[i] = vload16(0, o + i * D + at + 16) * keep[i];
    }
    v += at;
    for (int key = 0; key < count; key++, v += D) {
        float16 v0 = LOAD16(v), v1 = LOAD16(v + 16);
#pragma unroll
        for (int i = 0; i < QB; i++) {
            float16 x = p[i * KEYS + key];
            low[i] = MAD(x, v0, low[i]);
            high[i] = MAD(x, v1, high[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < QB; i++) {
        vstore16(low[i], 0, o + i * D + at);
        vstore16(high[i], 0, o + i * D + at + 16);
    }
}

/* The same for the columns after the last multiple of 32: as many as TYPE holds. */
#define DEFINE_ADD_VALUES(NAME, TYPE, LOAD, VLOAD, VSTORE)                                                                                 \
    void NAME(float *o, const float *keep, const float *p, const __global cached *v, int count, int at)                                    \
    {                                                                                                                                      \
        TYPE sum[QB];                                                                                                                      \
        UNROLL for (int i = 0; i < QB; i++) sum[i] = VLOAD(0, o + i * D + at) * keep[i];                                                   \
        v += at;                                                                                                                           \
        for (int key = 0; key < count; key++, v += D) {                                                                                    \
            TYPE v0 = LOAD(v);                                                                                                             \
            UNROLL for (int i = 0; i < QB; i++) sum[i] = MAD((TYPE)p[i * KEYS + key], v0, sum[i]);                                         \
        }                                                                                                                                  \
        UNROLL for (int i = 0; i < QB; i++) VSTORE(sum[i], 0, o + i * D + at);                                                             \
    }
#define UNROLL _Pragma("unroll")
DEFINE_ADD_VALUES(add_values_16, float16, LOAD16, vload16, vstore16)
DEFINE_ADD_VALUES(add_values_8, float8, LOAD8, vload8, vstore8)

/* One step of the online softmax: p[j] = 2^(p[j] - running maximum), 16 keys at a time; keys from `seen` to `all` are masked. Returns the
 * factor that rescales what was accumulated so far. */
float update_softmax(float *p, int seen, int all, float *greatest, float16 *total)
{
    for (int j = max(seen, 0); j < all; j++)
        p[j] = -INFINITY;
    float16 m = vload16(0, p);
    for (int j = 16; j < all; j += 16) {
        float16 x = vload16(0, p + j);
        m = x > m ? x : m;
    }
    float now = fmax(*greatest, max16(m)), from = now > -INFINITY ? now : 0.0f;
    float keep = exp2_negative((float16)(*greatest - from)).s0;
    float16 sum = *total * keep;
    for (int j = 0; j < all; j += 16) {
        float16 e = exp2_negative(vload16(0, p + j) - from);
        sum += e;
        vstore16(e, 0, p + j);
    }
    *total = sum;
    *greatest = now;
    return keep;
}

/* Attention of a block of QB queries over `count` keys, accumulated in o. Query i sees keys up to limit + i. */
void attend_block(float *o, const float *q, float *p, float *greatest, float16 *total, const __global cached *k, const __global cached *v,
                  int count, int limit)
{
    float keep[QB];
    int panels = (count + 31) / 32;
    for (int panel = 0; panel < panels; panel++)
        panel_scores(p + panel * 32, q, k + panel * 32 * D);
    for (int i = 0; i < QB; i++)
        keep[i] = update_softmax(p + i * KEYS, min(count, limit + i + 1), panels * 32, greatest + i, total + i);
    for (int chunk = 0; chunk < D / 32; chunk++)
        add_values(o, keep, p, v, count, chunk * 32);
    if (D % 32 >= 16)
        add_values_16(o, keep, p, v, count, D / 32 * 32);
    if (D % 16 >= 8)
        add_values_8(o, keep, p, v, count, D / 16 * 16);
    for (int i = 0; i < QB; i++)
        for (int d = D / 8 * 8; d < D; d++) {
            float sum = o[i * D + d] * keep[i];
            for (int key = 0; key < count; key++)
                sum = MAD(p[i * KEYS + key], LOAD1((size_t)key * D + d, v), sum);
            o[i * D + d] = sum;
        }
}

/* Group of 1. Grid: blocks of QB * BLOCKS queries fastest (the keys of a head stay in cache), then heads, then batch. */
VECTOR_KERNEL void attention_row(__global float *out, const __global float *q_rows, const __global cached *k_cache,
                                 const __global cached *v_cache, struct attention_args a KEY_LENGTHS)
{
    int first = get_global_id(0) * QB * BLOCKS, rows = min(QB * BLOCKS, a.queries - first), head = get_global_id(1), b = get_global_id(2);
    int blocks = (rows + QB - 1) / QB;
    size_t plane = ((size_t)(b + a.first) * a.heads + head) * a.capacity * D;
    float q[BLOCKS * QB * D], o[BLOCKS * QB * D], greatest[BLOCKS * QB];
    float16 scores[QB * KEYS / 16], total[BLOCKS * QB]; /* as vectors for their alignment */
    float scale = a.scale * LOG2E;
    for (int i = 0; i < blocks * QB; i++) {
        const __global float *row = q_rows + ((size_t)b * a.queries + first + min(i, rows - 1)) * a.ldq + a.q_offset + head * D;
        for (int d = 0; d < D; d++) {
            q[i * D + d] = row[d] * scale;
            o[i * D + d] = 0.0f;
        }
        greatest[i] = -INFINITY;
        total[i] = 0.0f;
    }
    LIMIT_KEYS(a, b);
    int visible = a.causal ? min(a.keys, a.position + first + rows) : a.keys;
    for (int k0 = 0; k0 < visible; k0 += KEYS)
        for (int i = 0; i < blocks * QB; i += QB) {
            int limit = a.causal ? a.position + first + i - k0 : visible - k0;
            attend_block(o + i * D, q + i * D, (float *)scores, greatest + i, total + i, k_cache + plane + (size_t)k0 * D,
                         v_cache + plane + (size_t)k0 * D, min(KEYS, visible - k0), limit);
        }
    for (int i = 0; i < rows; i++) {
        __global float *to = out + ((size_t)b * a.queries + first + i) * a.ldo + head * D;
        float inverse = OR_ZERO(a.keys, 1.0f / sum16(total[i]));
        for (int d = 0; d < D; d++)
            to[d] = o[i * D + d] * inverse;
    }
}
#else

/* One work-item: one element of k and of v. Grid: heads * D fastest, then rows, then batch. */
__kernel void attention_store(__global cached *k_cache, __global cached *v_cache, const __global float *k, const __global float *v,
                              struct attention_store_args p)
{
    int column = get_global_id(0), row = get_global_id(1), b = get_global_id(2);
    if (column >= p.heads * D)
        return;
    int head = column / D, d = column % D, key = p.position + row;
    size_t plane = ((size_t)(b + p.first) * p.heads + head) * p.capacity * D, in_row = (size_t)b * p.rows + row;
    STORE1(k[in_row * p.ldk + p.k_offset + column], plane + ((size_t)(key / 32) * D + d) * 32 + key % 32, k_cache);
    STORE1(v[in_row * p.ldv + p.v_offset + column], plane + (size_t)key * D + d, v_cache);
}

#ifndef TILE
#define TILE (D <= 160) /* 0: attention_tile needs more local memory than the device has, and the program would not build */
#endif
#if TILE
#define QUERIES 32
#define SHARE 4 /* work-items of one query row */
#define OWN ((D + SHARE - 1) / SHARE)

/* Group of 128: query row = lid / 4; each work-item scores 8 of the 32 keys of a panel and accumulates every fourth column of v.
 * Local memory: q, one panel (keys, then values), scores: (33 + 32) D + 33 * 32 + 256 floats. */
__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void attention_tile(__global float *out, const __global float *q_rows,
                                                                              const __global cached *k_cache,
                                                                              const __global cached *v_cache,
                                                                              struct attention_args a KEY_LENGTHS)
{
    __local float q[QUERIES][D + 1], panel[32 * D], score[QUERIES][33], part[QUERIES][SHARE];
    int lid = get_local_id(0), r = lid / SHARE, share = lid % SHARE;
    int first = get_group_id(0) * QUERIES, head = get_group_id(1), b = get_group_id(2);
    size_t plane = ((size_t)(b + a.first) * a.heads + head) * a.capacity * D;
    float o[OWN], greatest = -INFINITY, total = 0.0f;
    for (int j = 0; j < OWN; j++)
        o[j] = 0.0f;
    for (int e = lid; e < QUERIES * D; e += 128) {
        int row = e / D, d = e % D;
        q[row][d] =
            first + row < a.queries ? q_rows[((size_t)b * a.queries + first + row) * a.ldq + a.q_offset + head * D + d] * a.scale : 0.0f;
    }
    LIMIT_KEYS(a, b);
    int visible = a.causal ? min(a.keys, a.position + min(first + QUERIES, a.queries)) : a.keys;
    int seen = a.causal ? min(visible, a.position + first + r + 1) : visible;
    for (int k0 = 0; k0 < visible; k0 += 32) {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int e = lid; e < 32 * D; e += 128)
            panel[e] = LOAD1(plane + (size_t)k0 * D + e, k_cache);
        barrier(CLK_LOCAL_MEM_FENCE);
        float s[8];
        for (int j = 0; j < 8; j++)
            s[j] = 0.0f;
        for (int d = 0; d < D; d++) {
            float x = q[r][d];
            for (int j = 0; j < 8; j++)
                s[j] = MAD(x, panel[d * 32 + share + SHARE * j], s[j]);
        }
        float m = -INFINITY;
        for (int j = 0; j < 8; j++) {
            if (k0 + share + SHARE * j >= seen)
                s[j] = -INFINITY;
            m = fmax(m, s[j]);
        }
        part[r][share] = m;
        barrier(CLK_LOCAL_MEM_FENCE);
        float now = greatest;
        for (int j = 0; j < SHARE; j++)
            now = fmax(now, part[r][j]);
        float keep = now > -INFINITY ? exp(greatest - now) : 1.0f;
        greatest = now;
        for (int j = 0; j < 8; j++)
            score[r][share + SHARE * j] = now > -INFINITY ? exp(s[j] - now) : 0.0f;
        for (int e = lid; e < 32 * D; e += 128) /* the capacity is a multiple of 32: rows after the last key exist */
            panel[e] = k0 + e / D < visible ? LOAD1(plane + (size_t)k0 * D + e, v_cache) : 0.0f;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < OWN; j++)
            o[j] *= keep;
        total *= keep;
        for (int key = 0; key < 32; key++) {
            float p = score[r][key];
            total += p;
            for (int j = 0; j < OWN; j++)
                if (share + SHARE * j < D)
                    o[j] = MAD(p, panel[key * D + share + SHARE * j], o[j]);
        }
    }
    if (first + r < a.queries)
        for (int j = 0; j < OWN; j++)
            if (share + SHARE * j < D)
                out[((size_t)b * a.queries + first + r) * a.ldo + head * D + share + SHARE * j] = OR_ZERO(a.keys, o[j] / total);
}

#endif

#define LANES 64

/* Group of 64. Grid: parts of the keys, then heads, then batch * queries. parts: maximum, denominator and D numerators of each. */
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void attention_split(__global float *parts, const __global float *q_rows,
                                                                                 const __global cached *k_cache,
                                                                                 const __global cached *v_cache,
                                                                                 struct attention_args a KEY_LENGTHS)
{
    __local float q[D], p[LANES], tree[LANES];
    int lane = get_local_id(0), split = get_group_id(0), head = get_group_id(1), row = get_group_id(2);
    int b = row / a.queries, i = row % a.queries;
    size_t plane = ((size_t)(b + a.first) * a.heads + head) * a.capacity * D;
    LIMIT_KEYS(a, b);
    int visible = a.causal ? min(a.keys, a.position + i + 1) : a.keys;
    int each = ((visible + a.splits - 1) / a.splits + LANES - 1) / LANES * LANES;
    int begin = split * each, end = min(visible, begin + each);
    float o[(D + LANES - 1) / LANES], greatest = -INFINITY, total = 0.0f;
    for (int j = 0; j < (D + LANES - 1) / LANES; j++)
        o[j] = 0.0f;
    for (int d = lane; d < D; d += LANES)
        q[d] = q_rows[(size_t)row * a.ldq + a.q_offset + head * D + d] * a.scale;
    for (int k0 = begin; k0 < end; k0 += LANES) {
        int key = k0 + lane;
        float s = 0.0f;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (key < end) {
            size_t at = plane + (size_t)(key / 32) * 32 * D + key % 32;
/* Fully unrolled, the addresses of all D loads would be held in scalar registers, and spill. */
#pragma unroll 8
            for (int d = 0; d < D; d++)
                s = MAD(q[d], LOAD1(at + (size_t)d * 32, k_cache), s);
        } else
            s = -INFINITY;
        tree[lane] = s;
        for (int width = LANES / 2; width; width /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (lane < width)
                tree[lane] = fmax(tree[lane], tree[lane + width]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        float now = fmax(greatest, tree[0]);
        float keep = exp(greatest - now);
        greatest = now;
        p[lane] = exp(s - now);
        barrier(CLK_LOCAL_MEM_FENCE);
        int count = min(LANES, end - k0);
        total *= keep;
        for (int j = 0; j < (D + LANES - 1) / LANES; j++)
            o[j] *= keep;
        for (int n = 0; n < count; n++) {
            total += p[n];
            for (int j = 0; j < (D + LANES - 1) / LANES; j++)
                if (lane + j * LANES < D)
                    o[j] = MAD(p[n], LOAD1(plane + (size_t)(k0 + n) * D + lane + j * LANES, v_cache), o[j]);
        }
    }
    __global float *to = parts + (((size_t)row * a.heads + head) * a.splits + split) * (D + 2);
    if (lane == 0) {
        to[0] = greatest;
        to[1] = total;
    }
    for (int j = 0; j < (D + LANES - 1) / LANES; j++)
        if (lane + j * LANES < D)
            to[2 + lane + j * LANES] = o[j];
}

/* One work-item: one column of out. Grid: heads * D, then batch * queries. */
__kernel void attention_combine(__global float *out, const __global float *parts, struct attention_args a KEY_LENGTHS)
{
    int column = get_global_id(0), row = get_global_id(1);
    if (column >= a.heads * D)
        return;
    int head = column / D, d = column % D;
    const __global float *from = parts + ((size_t)row * a.heads + head) * a.splits * (D + 2);
    float greatest = -INFINITY, total = 0.0f, sum = 0.0f;
    for (int s = 0; s < a.splits; s++)
        greatest = fmax(greatest, from[s * (D + 2)]);
    for (int s = 0; s < a.splits; s++) {
        float weight = exp(from[s * (D + 2)] - greatest);
        total = MAD(weight, from[s * (D + 2) + 1], total);
        sum = MAD(weight, from[s * (D + 2) + 2 + d], sum);
    }
    LIMIT_KEYS(a, row / a.queries);
    out[(size_t)row * a.ldo + column] = OR_ZERO(a.keys, sum / total);
}
#endif
