/* bench.c - one call at one shape: create its tensors, run it, and compare the output with host/ref.
 *
 * Inputs are multiples of 1/128 in [-1, 1), which f16 and bf16 represent exactly: storage causes no error, and all candidates have the same
 * reference. Weights repeat after a prime number of rows, so that the matrix of a vocabulary is never whole on the host. */
#include "tune.h"
#include "../ref/ref.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 509 /* rows of weights after which they repeat */
#define GUARD_WORDS 64
#define GUARD 0x7fc0beefu     /* a NaN */
#define TOLERANCE 1e-4        /* relative to the largest value: f32 sums stay within a tenth of it, f16 sums do not */
#define BF16_TOLERANCE 0x1p-7 /* of attention in bf16: queries, weights, keys and values are rounded, each by at most 2^-9 of it */
#define ROWS_COMPARED 8       /* of a large output */
#define EPSILON 1e-5f

static float number(size_t i, uint32_t seed)
{
    uint64_t x = ((uint64_t)seed << 40) + i;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (float)(int)(x >> 56) / 128.0f - 1.0f;
}

static clio_status numbers(clio_context *ctx, float **out, size_t n, uint32_t seed)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(ctx, out, n, sizeof **out));
    for (size_t i = 0; i < n; i++)
        (*out)[i] = number(i, seed);
fail:
    return st;
}

/* A tensor with this data. */
static clio_status feed(clio_context *ctx, struct tensor *t, struct tensor shape, const float *data)
{
    clio_status st = CLIO_OK;
    TRY(tensor_new(ctx, &shape, "tuning"));
    *t = shape;
    TRY(tensor_write(ctx, t, 0, tensor_count(t), data));
fail:
    return st;
}

/* An output with guard words behind it. */
static clio_status new_output(clio_context *ctx, struct tensor *t, struct tensor shape)
{
    clio_status st = CLIO_OK;
    TRY(pool_get(ctx, &shape.mem, 4 * (uint64_t)tensor_count(&shape) + 4 * GUARD_WORDS, "tuning"));
    *t = shape;
fail:
    return st;
}

static int row_length(const struct tune_case *c)
{
    return c->more ? c->more : c->k;
}

static clio_status open_gemm(clio_context *ctx, struct tune_bench *b, const struct tune_case *c)
{
    clio_status st = CLIO_OK;
    size_t inputs = (size_t)(c->m - 1) * (size_t)row_length(c) + (size_t)c->k;
    b->block = MIN(c->n, BLOCK);
    TRY(numbers(ctx, &b->host_in, inputs, 1));
    TRY(numbers(ctx, &b->host_w, (size_t)b->block * (size_t)c->k, 2));
    TRY(numbers(ctx, &b->host_bias, (size_t)c->n, 3));
    TRY(matrix_new(ctx, &b->w, c->n, c->k, (enum matrix_use)c->use, "tuning"));
    for (int row = 0; row < c->n; row += b->block)
        TRY(matrix_fill_floats(ctx, &b->w, row, MIN(b->block, c->n - row), b->host_w));
    TRY(feed(ctx, &b->in, tensor_shape(DTYPE_F32, 1, (int)inputs, 1, 1, 1), b->host_in));
    TRY(feed(ctx, &b->bias, tensor_shape(DTYPE_F32, 1, c->n, 1, 1, 1), b->host_bias));
    TRY(new_output(ctx, &b->out, tensor_shape(DTYPE_F32, 2, c->m, c->n, 1, 1)));
fail:
    return st;
}

static clio_status open_attention(clio_context *ctx, struct tune_bench *b, const struct tune_case *c)
{
    clio_status st = CLIO_OK;
    int width = c->k * c->more;
    size_t stored = (size_t)c->n * (size_t)width;
    struct tensor k = {0}, v = {0};
    TRY(numbers(ctx, &b->host_in, (size_t)c->m * (size_t)width, 1));
    TRY(numbers(ctx, &b->host_w, stored, 2));
    TRY(numbers(ctx, &b->host_v, stored, 3));
    TRY(feed(ctx, &b->in, tensor_shape(DTYPE_F32, 2, c->m, width, 1, 1), b->host_in));
    TRY(feed(ctx, &k, tensor_shape(DTYPE_F32, 2, c->n, width, 1, 1), b->host_w));
    TRY(feed(ctx, &v, tensor_shape(DTYPE_F32, 2, c->n, width, 1, 1), b->host_v));
    TRY(attention_cache_new(ctx, NULL, &b->cache, 1, c->k, c->more, c->n,
                            c->storage  ? (enum matrix_use)c->storage
                            : c->m == 1 ? MATRIX_FEW
                                        : MATRIX_MANY,
                            "tuning"));
    TRY(op_attention_store(ctx, &b->cache, &k, &v, (struct attention_store_args){.rows = c->n, .ldk = width, .ldv = width}));
    TRY(new_output(ctx, &b->out, tensor_shape(DTYPE_F32, 2, c->m, width, 1, 1)));
    TRY(launch_wait(ctx));
fail:
    tensor_free(ctx, &k);
    tensor_free(ctx, &v);
    return st;
}

static clio_status open_rows(clio_context *ctx, struct tune_bench *b, const struct tune_case *c)
{
    clio_status st = CLIO_OK;
    TRY(numbers(ctx, &b->host_in, (size_t)c->m * (size_t)c->n, 1));
    TRY(numbers(ctx, &b->host_bias, (size_t)c->n, 2));
    TRY(numbers(ctx, &b->host_beta, (size_t)c->n, 3));
    TRY(feed(ctx, &b->in, tensor_shape(DTYPE_F32, 2, c->m, c->n, 1, 1), b->host_in));
    TRY(feed(ctx, &b->bias, tensor_shape(DTYPE_F32, 1, c->n, 1, 1, 1), b->host_bias));
    TRY(feed(ctx, &b->beta, tensor_shape(DTYPE_F32, 1, c->n, 1, 1, 1), b->host_beta));
    TRY(new_output(ctx, &b->out, tensor_shape(DTYPE_F32, 2, c->m, c->n, 1, 1)));
fail:
    return st;
}

static clio_status open_logits(clio_context *ctx, struct tune_bench *b, const struct tune_case *c)
{
    clio_status st = CLIO_OK;
    TRY(numbers(ctx, &b->host_in, (size_t)c->n, 1));
    TRY(mem_alloc(ctx, &b->host_suppress, (size_t)c->n, 1));
    for (int i = 0; i < c->n; i++) { /* increasing range, so that the maximum is unique */
        b->host_in[i] *= 0.25f + 8 * (float)i / (float)c->n;
        b->host_suppress[i] = i % 89 == 7;
    }
    TRY(feed(ctx, &b->in, tensor_shape(DTYPE_F32, 2, 1, c->n, 1, 1), b->host_in));
    struct tensor suppress = tensor_shape(DTYPE_U8, 1, c->n, 1, 1, 1), tokens = tensor_shape(DTYPE_I32, 1, 1, 1, 1, 1);
    TRY(tensor_new(ctx, &suppress, "tuning"));
    b->suppress = suppress;
    TRY(tensor_write(ctx, &b->suppress, 0, (size_t)c->n, b->host_suppress));
    TRY(tensor_new(ctx, &tokens, "tuning"));
    b->tokens = tokens;
    TRY(new_output(ctx, &b->out, tensor_shape(DTYPE_I32, 2, 1, 8, 1, 1)));
fail:
    return st;
}

clio_status tune_bench_open(clio_context *ctx, struct tune_bench *b, const struct tune_case *c)
{
    clio_status st = CLIO_OK;
    *b = (struct tune_bench){.c = c};
    TRY(c->op == TUNE_OP_GEMM        ? open_gemm(ctx, b, c)
        : c->op == TUNE_OP_ATTENTION ? open_attention(ctx, b, c)
        : c->op == TUNE_OP_LOGITS    ? open_logits(ctx, b, c)
                                     : open_rows(ctx, b, c));
    ctx->planning = true; /* reserves scratch memory and compiles: neither is timed */
    st = tune_bench_run(ctx, b);
    ctx->planning = false;
    if (!st)
        st = arena_commit(ctx, &b->arena, "tuning");
fail:
    if (st)
        tune_bench_close(ctx, b);
    return st;
}

void tune_bench_close(clio_context *ctx, struct tune_bench *b)
{
    arena_free(ctx, &b->arena);
    matrix_free(ctx, &b->w);
    attention_cache_free(ctx, &b->cache);
    tensor_free(ctx, &b->in);
    tensor_free(ctx, &b->out);
    tensor_free(ctx, &b->bias);
    tensor_free(ctx, &b->beta);
    tensor_free(ctx, &b->tokens);
    tensor_free(ctx, &b->suppress);
    free(b->host_in);
    free(b->host_w);
    free(b->host_bias);
    free(b->host_beta);
    free(b->host_v);
    free(b->host_suppress);
    *b = (struct tune_bench){0};
}

/* ---- running ---- */

static struct attention_args attention_of(const struct tune_case *c)
{
    int width = c->k * c->more;
    return (struct attention_args){
        .queries = c->m, .keys = c->n, .causal = c->use, .position = c->use ? c->n - c->m : 0, .ldq = width, .ldo = width};
}

/* The last fiftieth of the vocabulary are timestamps, as in Whisper. */
static struct logits_args logits_of(const struct tune_case *c)
{
    int begin = c->n - c->n / 50;
    return (struct logits_args){.n = c->n,
                                .timestamp_begin = begin,
                                .end_token = begin - 50,
                                .no_speech = begin - 2,
                                .text_allowed = 1,
                                .end_allowed = 1,
                                .timestamp_first = begin,
                                .timestamp_last = c->n - 1,
                                .weigh_timestamps = 1};
}

clio_status tune_bench_run(clio_context *ctx, struct tune_bench *b)
{
    const struct tune_case *c = b->c;
    struct gemm_epilogue e = {.lda = row_length(c)};
    switch (c->op) {
    case TUNE_OP_GEMM:
        e.bias = c->epilogue == TUNE_PLAIN ? NULL : &b->bias;
        e.act = c->epilogue == TUNE_GELU ? ACT_GELU : ACT_NONE;
        e.residual = c->epilogue == TUNE_RESIDUAL ? &b->out : NULL;
        return op_gemm_fwd(ctx, &b->out, &b->in, &b->w, c->m, &e);
    case TUNE_OP_ATTENTION:
        return op_attention_fwd(ctx, &b->arena, &b->out, &b->in, &b->cache, attention_of(c));
    case TUNE_OP_NORM:
        return op_layer_norm_fwd(ctx, &b->out, &b->in, &b->bias, &b->beta, EPSILON);
    case TUNE_OP_SOFTMAX:
        return op_softmax_fwd(ctx, &b->out, &b->in, false);
    case TUNE_OP_LOGITS:
        return op_logits_fwd(ctx, &b->arena, &b->out, &b->tokens, &b->in, &b->suppress, 0, logits_of(c));
    }
    return CLIO_OK;
}

/* ---- comparing ---- */

/* *error: the largest difference relative to the largest value, unless it was larger before. */
static bool compare(const float *x, const float *want, size_t count, double tolerance, double *error, char why[128])
{
    double greatest = 0, worst = 0;
    bool zero = true;
    size_t at = 0;
    *why = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)x[i] - (double)want[i]);
        if (!isfinite(x[i])) {
            snprintf(why, 128, "element %zu is not finite", i);
            return false;
        }
        zero = zero && fabsf(x[i]) <= 0;
        greatest = fmax(greatest, fabs((double)want[i]));
        if (difference > worst) {
            worst = difference;
            at = i;
        }
    }
    *error = greatest > 0 ? fmax(*error, worst / greatest) : *error;
    if (zero)
        snprintf(why, 128, "all zeros");
    else if (!(worst <= tolerance * greatest))
        snprintf(why, 128, "element %zu is %.6g instead of %.6g", at, (double)x[at], (double)want[at]);
    return !*why;
}

bool tune_compare(const float *x, const float *want, size_t count, char why[128])
{
    double error = 0;
    return compare(x, want, count, TOLERANCE, &error, why);
}

/* Row `row` of the output by host/ref. before: the residual. */
static void reference_row(const struct tune_bench *b, int row, const float *before, float *want)
{
    const struct tune_case *c = b->c;
    if (c->op == TUNE_OP_GEMM) {
        bool bias = c->epilogue != TUNE_PLAIN, residual = c->epilogue == TUNE_RESIDUAL;
        struct gemm_args g = {.m = 1, .k = c->k, .lda = row_length(c), .a_offset = row * row_length(c), .alpha = 1};
        g.act = c->epilogue == TUNE_GELU ? ACT_GELU : ACT_NONE;
        for (int n = 0; n < c->n; n += b->block) {
            g.n = g.ldc = MIN(b->block, c->n - n);
            ref_gemm(want + n, b->host_in, b->host_w, bias ? b->host_bias + n : NULL, residual ? before + n : NULL, &g);
        }
    } else if (c->op == TUNE_OP_ATTENTION) {
        struct attention_args a = attention_of(c);
        a.batch = a.queries = 1;
        a.heads = c->k;
        a.head_dim = c->more;
        a.q_offset = row * a.ldq;
        a.position += row;
        a.scale = 1.0f / sqrtf((float)a.head_dim);
        ref_attention(want, b->host_in, b->host_w, b->host_v, NULL, &a);
    } else if (c->op == TUNE_OP_NORM)
        ref_layer_norm(want, b->host_in + (size_t)row * (size_t)c->n, b->host_bias, b->host_beta, 1, c->n, EPSILON);
    else
        ref_softmax(want, b->host_in + (size_t)row * (size_t)c->n, 1, c->n, false);
}

static bool compare_rows(struct tune_bench *b, const float *got, const float *before, float *want, char why[128])
{
    int rows = b->out.dim[0], columns = b->out.dim[1];
    char what[128];
    double tolerance = b->c->op == TUNE_OP_ATTENTION && b->cache.k.dtype == DTYPE_BF16 ? BF16_TOLERANCE : TOLERANCE;
    bool small = (double)rows * columns <= 16384;
    for (size_t i = 0; i < (size_t)rows * (size_t)columns; i++)
        if (!isfinite(got[i])) {
            snprintf(why, 128, "row %zu was not written, or is not finite", i / (size_t)columns);
            return false;
        }
    for (int i = 0; i < (small ? rows : MIN(rows, ROWS_COMPARED)); i++) {
        /* the first, the last, and some between, at no multiples of a tile */
        int row = small || i == 0 ? i : i == 1 ? rows - 1 : (int)((unsigned)i * 2654435761u % (unsigned)rows);
        reference_row(b, row, before + (size_t)row * (size_t)columns, want);
        if (!compare(got + (size_t)row * (size_t)columns, want, (size_t)columns, tolerance, &b->error, what)) {
            snprintf(why, 128, "row %d: %.100s", row, what);
            return false;
        }
    }
    return true;
}

static bool compare_logits(const struct tune_bench *b, const uint32_t *words, char why[128])
{
    struct logits_args args = logits_of(b->c);
    int token;
    float want[3], got[3];
    ref_logits(&token, &want[0], &want[1], &want[2], b->host_in, b->host_suppress, &args);
    memcpy(got, words + 1, sizeof got);
    if ((int)words[0] != token) {
        snprintf(why, 128, "token %d instead of %d", (int)words[0], token);
        return false;
    }
    return tune_compare(got, want, 3, why);
}

clio_status tune_bench_check(clio_context *ctx, struct tune_bench *b, bool *right, char why[128])
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(&b->out), all = count + GUARD_WORDS;
    uint32_t *words = NULL;
    float *before = NULL, *want = NULL, *got = NULL;
    bool residual = b->c->epilogue == TUNE_RESIDUAL;
    *right = false;
    *why = 0;
    b->error = 0;
    TRY(mem_alloc(ctx, &words, all, sizeof *words));
    TRY(mem_alloc(ctx, &got, count, sizeof *got));
    TRY(mem_alloc(ctx, &want, (size_t)b->out.dim[1], sizeof *want));
    TRY(numbers(ctx, &before, count, 4));
    for (size_t i = 0; i < all; i++)
        words[i] = GUARD; /* elements that are not written stay NaN */
    if (residual)
        memcpy(words, before, 4 * count);
    CL_TRY(ctx, clEnqueueWriteBuffer, (ctx->queue, b->out.mem, CL_TRUE, 0, 4 * all, words, 0, NULL, NULL));
    TRY(tune_bench_run(ctx, b));
    CL_TRY(ctx, clEnqueueReadBuffer, (ctx->queue, b->out.mem, CL_TRUE, 0, 4 * all, words, 0, NULL, NULL));
    for (size_t i = count; i < all && !*why; i++)
        if (words[i] != GUARD)
            snprintf(why, 128, "writes past the end of its output");
    if (*why)
        goto fail; /* st is CLIO_OK */
    memcpy(got, words, 4 * count);
    *right = b->c->op == TUNE_OP_LOGITS ? compare_logits(b, words, why) : compare_rows(b, got, before, want, why);
fail:
    free(words);
    free(before);
    free(want);
    free(got);
    return st;
}
