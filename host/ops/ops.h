/* ops.h - every operation on tensors. One op_x.c, cl/x.cl and host/ref/ref_x.c per family x.
 *
 * Legend of dimensions
 *   M rows, N outputs, K inputs of a matrix product      B batch
 *   T rows in time, C channels, H height, W width        images are NHWC, sound is [B, T, C]
 *   heads x D: attention heads of D columns each         all rows contiguous, last dimension fastest
 *
 * Conventions
 *   op_x_fwd(ctx, out, in, weights, args): launches and returns, nothing waits. Tensors have their memory already.
 *   Scratch comes from the arena that the caller passes, and goes back to it before the function returns.
 *   Shapes that do not fit are CLIO_ERROR_INTERNAL with both shapes: the caller of an operation is clio itself.
 *   The meaning of each operation is host/ref/ref.h, in plain C. Storage f32 unless said; accumulation is f32.
 */
#ifndef CLIO_OPS_H
#define CLIO_OPS_H

#include "../core/context.h"
#include "../core/weights.h"
#include "../../cl/args.clh"

/* CLIO_OK, or CLIO_ERROR_INTERNAL naming the operation and the tensor, unless t has this type and shape (-1 matches any). */
clio_status op_check(clio_context *ctx, const char *op, const char *name, const struct tensor *t, enum dtype dtype, int ndim, int d0,
                     int d1, int d2, int d3);
/* The elements of a tensor as the int that kernels take, with room to step over the end of them; the same of f32 of any shape, checked. */
clio_status op_elements(clio_context *ctx, const char *op, const struct tensor *t, int *n);
clio_status op_floats(clio_context *ctx, const char *op, const char *name, const struct tensor *t, int *n);

/* ---- gemm: matrices of weights, packed once for the kernel that will read them ---- */

enum matrix_layout {
    MATRIX_ROWS,  /* [N, K] as stored: CLBlast, local-memory tiles and GPU GEMV */
    MATRIX_PANELS /* [ceil(N/32), K, 32]: SIMD tiles on CPUs; the last panel is filled up with zeros. Of bf16 (for many rows, whose numbers
                     are rounded as well): [ceil(N/32), ceil(K/2), 32, 2]. Of q8_0: [ceil(N/32), ceil(K/32)] blocks (cl/gemm_q8.cl) */
};
#define PANEL 32

struct matrix {
    struct tensor data;
    enum matrix_layout layout;
    int n, k;
};
/* What a matrix will be multiplied with: many rows at a time (an encoder), mostly one or a few (a decoder), many and without rounding to
 * half (a transform rather than a weight), or many where the weights are so large that half storage counts for more than some speed
 * (images). */
enum matrix_use { MATRIX_MANY, MATRIX_FEW, MATRIX_EXACT, MATRIX_LARGE };
/* Room for an N x K matrix in the layout and storage that the device's parameters ask for. Fill every row with matrix_fill. */
clio_status matrix_new(clio_context *ctx, struct matrix *m, int n, int k, enum matrix_use use, const char *what);
/* Rows first .. first+rows from a stored weight of shape [rows, K], or [rows, C, taps...] (a convolution), which becomes k = tap * C +
 * channel. */
clio_status matrix_fill(clio_context *ctx, struct matrix *m, int first, const struct weight *w);
/* The same from f32 numbers on the host, [rows, K]. */
clio_status matrix_fill_floats(clio_context *ctx, struct matrix *m, int first, int rows, const float *data);
/* Whether the device multiplies with matrices of m's layout and storage (m has no data yet). */
clio_status matrix_reads(clio_context *ctx, const struct matrix *m, bool *works);
void matrix_free(clio_context *ctx, struct matrix *m);

struct gemm_epilogue {
    const struct tensor *bias;     /* f32 [N], or NULL */
    const struct tensor *residual; /* f32 [M, N], may be out itself, or NULL */
    int act;                       /* ACT_* */
    float alpha, slope;            /* alpha 0 means 1 */
    int lda, a_offset;             /* where rows of A overlap or are part of wider rows; lda 0 means K */
    int ldc, c_offset;             /* ldc 0 means N */
};
/* out[M, N] = act(alpha A W^T + bias) + residual. M is given because A may be a view. epilogue NULL: none. */
clio_status op_gemm_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct matrix *w, int m,
                        const struct gemm_epilogue *epilogue);
/* C[b] = A[b] B[b] for two activations: [B, M, K] x [B, K, N], or B stored [B, N, K] when transpose_b. */
clio_status op_matmul_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, bool transpose_b);

/* ---- norm, softmax, elementwise, embed ---- */

/* Over the last dimension: (x - mean) / sqrt(var + eps) * gamma + beta */
clio_status op_layer_norm_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct tensor *gamma,
                              const struct tensor *beta, float eps);
/* Over groups of neighbouring channels of each image of in f32 [B, ..., C], then `act`; gamma and beta f32 [C]; out may be in. Scratch:
 * sums. */
clio_status op_group_norm_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                              const struct tensor *gamma, const struct tensor *beta, int groups, float eps, int act);
/* Over the last dimension; out may be in. log_softmax when `logarithm`. */
clio_status op_softmax_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, bool logarithm);
/* out = act(in); out may be in. */
clio_status op_activation_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int act, float slope);
/* out = alpha a + beta b; b may have fewer elements, a divisor of a's, and is then repeated; out may be a. */
clio_status op_add_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, float alpha,
                       float beta);
/* out[r][n] = in[r][n] * act(in[r][N + n]) of in f32 [..., 2 N]: a gated layer (Shazeer 2020, "GLU variants improve Transformer"). */
clio_status op_gated_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int act);
/* out[r] = a[r] followed by b[r]: along the last dimension, of tensors f32 with as many rows each. */
clio_status op_concat_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b);
/* out[r] = table[ids[r]] (+ positions[position + r % rows per batch]); table f32 or f16 [vocab, N], ids i32 [B, T] or [T], positions f32 or
 * NULL. An id outside the table gives zeros. */
clio_status op_embed_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *table, const struct tensor *ids,
                         const struct tensor *positions, int position);

/* ---- conv ---- */

/* in f32 [B, T, C], w N x (kernel * C) from matrix_fill, out f32 [B, T', N], T' = (T + 2 padding - kernel) / stride + 1.
 * Scratch: the padded input. */
clio_status op_conv1d_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                          int kernel, int stride, int padding, const struct gemm_epilogue *epilogue);
/* in f32 [B, H, W, C], w f32 [N, KH, KW, C / groups], bias f32 [N] or NULL, out f32 [B, H', W', N]. Any convolution, one output after the
 * other: the yardstick on the device, and what is left where op_conv2d_fwd does not reach. */
clio_status op_conv2d_direct_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct tensor *w,
                                 const struct tensor *bias, int stride, int padding, int dilation, int groups, int act, float slope);
/* A square window of taps x taps over `in`, of which each pixel stands upsample x upsample times (nearest; 1 or 2), with `before` zeros
 * above and left of it and `after` below and right: H' = (H * upsample + before + after - taps) / stride + 1. */
struct conv2d_window {
    int taps, stride, before, after, upsample;
};
/* in f32 [B, H, W, C], w N x (taps * taps * C) from matrix_fill, out f32 [B, H', W', N]. Of the epilogue: bias [N], or [B, N] (one row for
 * each image), act, slope, and residual [B, H', W', N], which may be out itself; the rest is 0. */
clio_status op_conv2d_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                          struct conv2d_window window, const struct gemm_epilogue *epilogue);

/* ---- attention ---- */

/* Keys and values in the layout of the attention kernels: k [B, heads, capacity/32, D, 32], v [B, heads, capacity, D]; f32 or f16. In bf16
 * a word holds two neighbours of D, and of v two neighbouring keys: k [B, heads, capacity/32, D/2, 32, 2], v [B, heads, capacity/2, D, 2];
 * only by_row, and with heads of a multiple of 32 columns. Queries and softmax weights are then rounded as well (cl/attention_bf16.cl), and
 * storing an odd number of rows overwrites the other half of the last word. */
struct attention_cache {
    struct tensor k, v;
    int batch, heads, head_dim, capacity;
    bool by_row;               /* the family of kernels that works here: attention.row, otherwise attention.group */
    struct tensor key_lengths; /* of a padded batch: i32 [batch], the caller's; ndim 0: every row has all keys */
};
/* A cache for `capacity` keys (rounded up to 32), from the pool, or from an arena if one is given. use: many queries at a time; many, and
 * never rounded to bfloat16 (MATRIX_LARGE: images); or few: then the time goes into reading the keys, and fp16 storage is faster on every
 * device. */
clio_status attention_cache_new(clio_context *ctx, struct arena *arena, struct attention_cache *cache, int batch, int heads, int head_dim,
                                int capacity, enum matrix_use use, const char *what);
/* The same for a padded batch: row b attends to its first min(args.keys, key_lengths[b]) keys alone (less than 0: none), together with
 * args.causal as usual. key_lengths i32 [batch] stays the caller's and is read by every op_attention_fwd; NULL: all keys, as above. What is
 * stored behind a row's keys is padding and may be anything, NaN too: its weight is exactly 0, and so are its gradients. A query of a row
 * without keys gets zeros and has a gradient of 0. Queries are computed for every row, those at padded positions too. A row has the bits of
 * the same row alone, with as many keys as it has; attention.group with at most 8 queries, or heads too wide for its tile, splits the keys
 * by args.keys, so that there sums of more than 256 keys may be added in another order. */
clio_status attention_cache_new_padded(clio_context *ctx, struct arena *arena, struct attention_cache *cache, int batch, int heads,
                                       int head_dim, int capacity, const struct tensor *key_lengths, enum matrix_use use, const char *what);
void attention_cache_free(clio_context *ctx, struct attention_cache *cache);
/* Store `rows` keys and values per batch row from position on; k and v are f32 rows of ldk and ldv columns, from their offsets on. */
clio_status op_attention_store(clio_context *ctx, const struct attention_cache *cache, const struct tensor *k, const struct tensor *v,
                               struct attention_store_args args);
/* out[b][i][h*D..] = softmax(scale q k^T) v over the first args.keys keys, and the key lengths of the cache if it has any. Fill in queries,
 * keys, position, causal, ldq, q_offset, ldo, scale (0: 1/sqrt(D)); and, for a part of the cache's batch, first and batch; the rest is
 * taken from the cache. The score matrix is never stored. */
clio_status op_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *q,
                             const struct attention_cache *cache, struct attention_args args);

/* ---- logits ---- */

/* What a decoding step answers: 8 words, read back in one piece. */
struct logits_choice {
    int token;
    float logprob;    /* of token under the full softmax of the allowed tokens, temperature 1 */
    float no_speech;  /* probability of args.no_speech under the unfiltered softmax */
    float timestamps; /* logprob of all allowed timestamps together */
    float unused[4];
};
/* Row `row` of logits f32 [B, n], suppress u8 [n] (1: never), into row `row` of out: 8 words (an i32 tensor [B, 8]) as struct
 * logits_choice; the token also into tokens i32 [B], where the next step's embedding reads it. */
clio_status op_logits_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *tokens,
                          const struct tensor *logits, const struct tensor *suppress, int row, struct logits_args args);

/* ---- mel ---- */

/* frames f32 [F, n]: row f is samples[f * hop ...] * window, samples f32 [(F - 1) * hop + n or more], window f32 [n] */
clio_status op_frames_fwd(clio_context *ctx, const struct tensor *frames, const struct tensor *samples, const struct tensor *window,
                          int hop);
/* power f32 [frames, bins] = re^2 + im^2 of spectrum f32 [frames, bins, 2] */
clio_status op_power_fwd(clio_context *ctx, const struct tensor *power, const struct tensor *spectrum);
/* In place, f32 [frames, bands]: log10(max(x, 1e-10)), then max(., greatest - 8), then (. + 4) / 4. */
clio_status op_log_mel_fwd(clio_context *ctx, struct arena *arena, const struct tensor *mel);

#endif
