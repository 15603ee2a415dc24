/* operations.c - operations of one call at the shapes of Whisper and Stable Diffusion, by the calls that the tuner measures and compares
 * with host/ref (host/tune/bench.c); group norm, which it has not, by its own. */
#include "bench.h"
#include "../ops/ops.h"
#include "../ref/ref.h"
#include "../tune/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char group[] = "operation";

/* What a case stores and costs. */
static void describe(const struct tune_bench *t, struct bench_row *row)
{
    const struct tune_case *c = t->c;
    double m = c->m, n = c->n, k = c->k;
    if (c->op == TUNE_OP_GEMM) {
        row->storage = dtype_name(t->w.data.dtype);
        row->flops = 2 * m * n * k;
        row->bytes = (double)dtype_size(t->w.data.dtype) * n * k + 4 * m * (n + k);
    } else if (c->op == TUNE_OP_ATTENTION) {
        double width = k * c->more;
        row->storage = dtype_name(t->cache.k.dtype);
        row->flops = 4 * m * n * width;
        row->bytes = 2 * (double)dtype_size(t->cache.k.dtype) * n * width + 8 * m * width;
    } else {
        row->flops = (c->op == TUNE_OP_NORM ? 8 : 5) * m * n;
        row->bytes = (c->op == TUNE_OP_LOGITS ? 5 : 8) * m * n;
    }
}

static clio_status run(clio_context *ctx, void *what)
{
    return tune_bench_run(ctx, what);
}

static clio_status measure_case(struct bench *b, const struct tune_case *c, struct bench_row *row)
{
    clio_status st = CLIO_OK;
    struct tune_bench t = {0};
    bool right = true;
    char why[128] = "";
    TRY(tune_bench_open(b->ctx, &t, c));
    describe(&t, row);
    if (!b->round)
        TRY(tune_bench_check(b->ctx, &t, &right, why));
    row->error = c->op == TUNE_OP_LOGITS ? NAN : t.error;
    if (!right)
        snprintf(row->problem, sizeof row->problem, "differs from the C reference: %s", why);
    TRY(bench_time(b, row, run, &t));
fail:
    tune_bench_close(b->ctx, &t);
    return st;
}

static clio_status bench_case(struct bench *b, const char *name, const char *shape, struct tune_case c)
{
    struct bench_row row = bench_row(group, name, shape);
    if (!bench_wants(b, group, name, shape))
        return CLIO_OK;
    return bench_add(b, &row, measure_case(b, &c, &row));
}

/* ---- the shapes ---- */

/* quick: the rows of a quick benchmark. */
static const struct {
    int m, n, k;
    enum matrix_use use;
    bool quick;
} matmuls[] = {
    /* the encoder of Whisper base and small */
    {1500, 512, 240, MATRIX_MANY, false},
    {1500, 512, 512, MATRIX_MANY, true},
    {1500, 1536, 512, MATRIX_MANY, false},
    {1500, 2048, 512, MATRIX_MANY, true},
    {1500, 512, 2048, MATRIX_MANY, false},
    {1500, 3072, 768, MATRIX_MANY, false},
    {1500, 512, 512, MATRIX_EXACT, false},
    /* its decoder, one token or several at a time */
    {1, 1536, 512, MATRIX_FEW, false},
    {1, 2048, 512, MATRIX_FEW, true},
    {1, 51865, 512, MATRIX_FEW, true},
    {4, 2048, 512, MATRIX_FEW, false},
    {8, 2048, 512, MATRIX_FEW, true},
    {16, 51865, 512, MATRIX_FEW, false},
    /* the transformers of Stable Diffusion 1.5 at their four sizes, then keys and values of the text */
    {4096, 960, 320, MATRIX_LARGE, false},
    {4096, 320, 320, MATRIX_LARGE, true},
    {4096, 2560, 320, MATRIX_LARGE, true},
    {4096, 320, 1280, MATRIX_LARGE, false},
    {1024, 1920, 640, MATRIX_LARGE, false},
    {1024, 5120, 640, MATRIX_LARGE, false},
    {1024, 640, 2560, MATRIX_LARGE, false},
    {256, 3840, 1280, MATRIX_LARGE, false},
    {256, 10240, 1280, MATRIX_LARGE, true},
    {256, 1280, 5120, MATRIX_LARGE, false},
    {64, 3840, 1280, MATRIX_LARGE, false},
    {64, 10240, 1280, MATRIX_LARGE, false},
    {77, 640, 768, MATRIX_LARGE, true},
};
static const struct {
    int queries, keys, heads, width;
    enum matrix_use storage;
    bool quick;
} attentions[] = {
    /* Whisper base: the encoder; the decoder over the sound and over its own tokens */
    {1500, 1500, 8, 64, MATRIX_MANY, true},
    {1, 1500, 8, 64, MATRIX_FEW, true},
    {1, 100, 8, 64, MATRIX_FEW, false},
    {1500, 1500, 12, 64, MATRIX_MANY, false},
    /* Stable Diffusion 1.5 at 512 x 512: self-attention, the text, the single head of the VAE */
    {4096, 4096, 8, 40, MATRIX_LARGE, true},
    {1024, 1024, 8, 80, MATRIX_LARGE, false},
    {256, 256, 8, 160, MATRIX_LARGE, false},
    {4096, 77, 8, 40, MATRIX_LARGE, true},
    {1024, 77, 8, 80, MATRIX_LARGE, false},
    {4096, 4096, 1, 512, MATRIX_LARGE, false},
};
static const struct {
    const char *name;
    enum tune_op op;
    int rows, columns;
    bool quick;
} row_wise[] = {
    {"layer norm", TUNE_OP_NORM, 1500, 512, true},
    {"layer norm", TUNE_OP_NORM, 4096, 320, false},
    {"softmax", TUNE_OP_SOFTMAX, 1500, 1500, true},
    {"token choice", TUNE_OP_LOGITS, 1, 51865, true},
};

static clio_status bench_matmuls(struct bench *b)
{
    clio_status st = CLIO_OK;
    char shape[64];
    for (size_t i = 0; i < COUNT(matmuls); i++) {
        struct tune_case c = {.op = TUNE_OP_GEMM, .m = matmuls[i].m, .n = matmuls[i].n, .k = matmuls[i].k, .use = (int)matmuls[i].use};
        snprintf(shape, sizeof shape, "%d x %d x %d", c.m, c.n, c.k);
        if (matmuls[i].quick || !b->quick)
            TRY(bench_case(b, "matmul", shape, c));
    }
fail:
    return st;
}

static clio_status bench_attentions(struct bench *b)
{
    clio_status st = CLIO_OK;
    char shape[64];
    for (size_t i = 0; i < COUNT(attentions); i++) {
        struct tune_case c = {.op = TUNE_OP_ATTENTION,
                              .m = attentions[i].queries,
                              .n = attentions[i].keys,
                              .k = attentions[i].heads,
                              .more = attentions[i].width,
                              .storage = (int)attentions[i].storage};
        snprintf(shape, sizeof shape, "%d x %d, %d heads of %d", c.m, c.n, c.k, c.more);
        if (attentions[i].quick || !b->quick)
            TRY(bench_case(b, "attention", shape, c));
    }
fail:
    return st;
}

/* ---- group norm ---- */

struct group_norm {
    struct tensor out, in, gamma;
    struct arena arena;
};

static clio_status run_group_norm(clio_context *ctx, void *what)
{
    struct group_norm *g = what;
    return op_group_norm_fwd(ctx, &g->arena, &g->out, &g->in, &g->gamma, &g->gamma, 32, 1e-5f, ACT_SILU);
}

static clio_status measure_group_norm(struct bench *b, struct bench_row *row, int pixels, int channels)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    struct group_norm g = {.in = {0}};
    double numbers = (double)pixels * channels;
    row->flops = 8 * numbers;
    row->bytes = 12 * numbers;
    TRY(bench_tensor(ctx, &g.in, tensor_shape(DTYPE_F32, 3, 1, pixels, channels, 0)));
    TRY(bench_tensor(ctx, &g.out, tensor_shape(DTYPE_F32, 3, 1, pixels, channels, 0)));
    TRY(bench_tensor(ctx, &g.gamma, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0)));
    TRY(bench_plan(ctx, &g.arena, run_group_norm, &g));
    TRY(bench_time(b, row, run_group_norm, &g));
fail:
    arena_free(ctx, &g.arena);
    tensor_free(ctx, &g.in);
    tensor_free(ctx, &g.out);
    tensor_free(ctx, &g.gamma);
    return st;
}

static clio_status bench_group_norms(struct bench *b)
{
    static const int sizes[][3] = {{64, 320, 1}, {16, 1280, 0}, {512, 128, 0}};
    clio_status st = CLIO_OK;
    char shape[64];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        snprintf(shape, sizeof shape, "%d x %d x %d, silu", sizes[i][0], sizes[i][0], sizes[i][1]);
        struct bench_row row = bench_row(group, "group norm", shape);
        if ((sizes[i][2] || !b->quick) && bench_wants(b, group, row.name, shape))
            TRY(bench_add(b, &row, measure_group_norm(b, &row, sizes[i][0] * sizes[i][0], sizes[i][1])));
    }
fail:
    return st;
}

clio_status bench_operations(struct bench *b)
{
    clio_status st = CLIO_OK;
    char shape[64];
    TRY(bench_matmuls(b));
    TRY(bench_attentions(b));
    for (size_t i = 0; i < COUNT(row_wise); i++) {
        struct tune_case c = {.op = row_wise[i].op, .m = row_wise[i].rows, .n = row_wise[i].columns};
        snprintf(shape, sizeof shape, "%d x %d", c.m, c.n);
        if (row_wise[i].quick || !b->quick)
            TRY(bench_case(b, row_wise[i].name, shape, c));
    }
    TRY(bench_group_norms(b));
fail:
    return st;
}
