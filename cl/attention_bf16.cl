/* attention_bf16.cl - attention for CPUs over keys and values rounded to bfloat16 (cl/bf16.clh), accumulated in f32. cl/attention.cl has
 * the formula, the order of computation and the kernels for other storage types.
 *
 * The cache: words of two elements, k[b][head][key / 32][d / 2][key % 32] with neighbours of d, v[b][head][key / 2][d] with neighbouring
 * keys. D: columns of a head, a multiple of 32. Scaled queries and softmax weights are rounded too; the denominator adds up the rounded
 * weights, so that these still sum to 1. LENGTHS: padded batches (key_lengths.clh).
 *
 *   attention_bf16_store  copy new rows of keys and values into the cache
 *   attention_bf16        a work-item takes QB query rows of one head and iterates over the keys
 */
// isa-cpu: -DD=64 -DQB=8 -DDOTS=0
// isa-cpu: -DD=64 -DQB=8 -DDOTS=0 -DLENGTHS=1
// isa-cpu: -DD=32 -DQB=1 -DKEYS=32 -DDOTS=0
#include "bf16.clh"
#include "key_lengths.clh"
#include "reduce.clh"

#ifndef D
#define D 64
#endif
#ifndef QB
#define QB 8
#endif
#ifndef KEYS
#define KEYS 256 /* keys between two updates of the running maximum: a multiple of 32 */
#endif

#define LOG2E 1.44269504088896341f
#define INLINE __attribute__((always_inline))

/* Words with x in the upper half, and 0 in the lower. */
INLINE uint16 upper_halves(float16 x)
{
    return pairs_of((float16)(0.0f, x.s0, 0.0f, x.s1, 0.0f, x.s2, 0.0f, x.s3, 0.0f, x.s4, 0.0f, x.s5, 0.0f, x.s6, 0.0f, x.s7),
                    (float16)(0.0f, x.s8, 0.0f, x.s9, 0.0f, x.sa, 0.0f, x.sb, 0.0f, x.sc, 0.0f, x.sd, 0.0f, x.se, 0.0f, x.sf));
}

/* Group of 1. Grid: panels that the rows touch fastest, then heads, then batch. The other half of a last value's word becomes 0:
 * it is multiplied too, with a weight of 0. */
VECTOR_KERNEL void attention_bf16_store(__global uint *k_cache, __global uint *v_cache, const __global float *k, const __global float *v,
                                        struct attention_store_args p)
{
    int panel = p.position / 32 + get_global_id(0), head = get_global_id(1), b = get_global_id(2);
    int first = max(panel * 32, p.position), last = min(panel * 32 + 32, p.position + p.rows);
    size_t plane = ((size_t)(b + p.first) * p.heads + head) * p.capacity * D / 2;
    for (int key = first; key < last; key++) {
        size_t in_row = (size_t)b * p.rows + key - p.position;
        const __global float *k_row = k + in_row * p.ldk + p.k_offset + head * D, *v_row = v + in_row * p.ldv + p.v_offset + head * D;
        __global uint *k_to = k_cache + plane + (size_t)panel * 16 * D + key % 32, *v_to = v_cache + plane + (size_t)(key / 2) * D;
        for (int d = 0; d < D; d += 32, k_row += 32, k_to += 16 * 32) {
            uint words[16];
            vstore16(pairs_of(vload16(0, k_row), vload16(1, k_row)), 0, words);
            for (int j = 0; j < 16; j++)
                k_to[j * 32] = words[j];
        }
        for (int d = 0; d < D; d += 16) {
            uint16 word = upper_halves(vload16(0, v_row + d));
            vstore16(key % 2 ? word | (vload16(0, v_to + d) & 0xffffu) : word >> 16, 0, v_to + d);
        }
    }
}

/* Private arrays are accessed as vectors, not by vload16 and vstore16: one runtime splits the vstore16 of an inline-assembly result into
 * pieces, and a following load of the whole vector waits for all of them. */

DEFINE_ADD_PAIRS(add_pairs, __private, QB)

/* p[i][0..31] = q[i] k^T for the 32 keys of one panel */
INLINE void panel_scores(float16 *p, const uint *q, const __global uint *k)
{
    float16 low[QB], high[QB];
#pragma unroll
    for (int i = 0; i < QB; i++)
        low[i] = high[i] = 0.0f;
    add_pairs(low, high, q, D / 2, k, 32, D / 2);
#pragma unroll
    for (int i = 0; i < QB; i++) {
        p[i * (KEYS / 16)] = low[i];
        p[i * (KEYS / 16) + 1] = high[i];
    }
}

#if LENGTHS
/* The last of an odd number of keys: the other half of its words is padding, and 0 times a NaN would be NaN. */
INLINE void add_last_key(float16 *low, float16 *high, const uint *w, const __global uint *v)
{
    uint16 v0 = vload16(0, v) & 0xffffu, v1 = vload16(1, v) & 0xffffu;
#pragma unroll
    for (int i = 0; i < QB; i++) {
        uint16 both = w[i * (KEYS / 2)];
        ADD_DOTS(low[i], both, v0);
        ADD_DOTS(high[i], both, v1);
    }
}
#endif

/* o[i][0..31] = o * keep[i] + sum over `count` keys, in pairs, of w[i][pair] v[pair][0..31] */
INLINE void add_values(float16 *o, const float *keep, const uint *w, const __global uint *v, int count)
{
    float16 low[QB], high[QB];
#pragma unroll
    for (int i = 0; i < QB; i++) {
        low[i] = o[i * (D / 16)] * keep[i];
        high[i] = o[i * (D / 16) + 1] * keep[i];
    }
#if LENGTHS
    add_pairs(low, high, w, KEYS / 2, v, D, count / 2);
    if (count % 2)
        add_last_key(low, high, w + count / 2, v + (size_t)(count / 2) * D);
#else
    add_pairs(low, high, w, KEYS / 2, v, D, (count + 1) / 2);
#endif
#pragma unroll
    for (int i = 0; i < QB; i++) {
        o[i * (D / 16)] = low[i];
        o[i * (D / 16) + 1] = high[i];
    }
}

/* The maximum of `all` scores and of `sofar`; keys from `seen` on are masked with -inf. */
INLINE float mask_and_max(float16 *p, int seen, int all, float sofar)
{
    for (int j = max(seen, 0); j < all; j++)
        ((float *)p)[j] = -INFINITY;
    float16 m = sofar;
    for (int j = 0; j < all / 16; j++)
        m = p[j] > m ? p[j] : m;
    return max16(m);
}

/* w[j] = 2^(p[j] - from) in pairs; returns `sum` with the weights added, lane by lane. */
INLINE float16 softmax_weights(uint16 *w, const float16 *p, int all, float from, float16 sum)
{
    uint16 ones = 0x3f803f80u;
    for (int j = 0; j < all / 32; j++) {
        uint16 e = pairs_of(exp2_negative(p[2 * j] - from), exp2_negative(p[2 * j + 1] - from));
        ADD_DOTS(sum, e, ones);
        w[j] = e;
    }
    return sum;
}

/* Group of 1. Grid: blocks of QB queries fastest (the keys of a head stay in cache), then heads, then batch. */
VECTOR_KERNEL void attention_bf16(__global float *out, const __global float *q_rows, const __global uint *k_cache,
                                  const __global uint *v_cache, struct attention_args a KEY_LENGTHS)
{
    int first = get_global_id(0) * QB, rows = min(QB, a.queries - first), head = get_global_id(1), b = get_global_id(2);
    size_t plane = ((size_t)(b + a.first) * a.heads + head) * a.capacity * D / 2;
    uint16 q[QB * D / 32], weights[QB * KEYS / 32];
    float16 o[QB * D / 16], scores[QB * KEYS / 16], total[QB];
    float16 keeps[(QB + 15) / 16]; /* factors that rescale what was accumulated so far */
    float greatest[QB], from[QB], *keep = (float *)keeps, scale = a.scale * LOG2E;
    for (int i = 0; i < QB; i++) {
        const __global float *row = q_rows + ((size_t)b * a.queries + first + min(i, rows - 1)) * a.ldq + a.q_offset + head * D;
        for (int d = 0; d < D; d += 32) {
            q[(i * D + d) / 32] = pairs_of(vload16(0, row + d) * scale, vload16(1, row + d) * scale);
            o[(i * D + d) / 16] = o[(i * D + d) / 16 + 1] = 0.0f;
        }
        greatest[i] = -INFINITY;
        total[i] = 0.0f;
    }
    LIMIT_KEYS(a, b);
    int visible = a.causal ? min(a.keys, a.position + first + rows) : a.keys;
    for (int k0 = 0; k0 < visible; k0 += KEYS) {
        int count = min(KEYS, visible - k0), all = (count + 31) / 32 * 32, limit = a.causal ? a.position + first - k0 : visible - k0;
        const __global uint *k = k_cache + plane + (size_t)k0 * (D / 2), *v = v_cache + plane + (size_t)k0 * (D / 2);
        for (int panel = 0; panel < all; panel += 32)
            panel_scores(scores + panel / 16, (const uint *)q, k + panel * (D / 2));
        for (int i = 0; i < QB; i++) {
            float now = mask_and_max(scores + i * (KEYS / 16), min(count, limit + i + 1), all, greatest[i]);
            from[i] = now > -INFINITY ? now : 0.0f;
            keep[i] = greatest[i] - from[i];
            greatest[i] = now;
        }
        for (int i = 0; i < QB; i += 16)
            keeps[i / 16] = exp2_negative(keeps[i / 16]);
        for (int i = 0; i < QB; i++)
            total[i] = softmax_weights(weights + i * (KEYS / 32), scores + i * (KEYS / 16), all, from[i], total[i] * keep[i]);
        for (int at = 0; at < D; at += 32)
            add_values(o + at / 16, keep, (const uint *)weights, v + at, count);
    }
    for (int i = 0; i < rows; i++) {
        __global float *to = out + ((size_t)b * a.queries + first + i) * a.ldo + head * D;
        float inverse = OR_ZERO(a.keys, 1.0f / sum16(total[i]));
        for (int d = 0; d < D; d += 16)
            vstore16(o[(i * D + d) / 16] * inverse, 0, to + d);
    }
}
