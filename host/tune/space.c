/* space.c - what is tried on which kind of device, and the calls that decide. Both are tables: another parameter, or another network, is a
 * row.
 *
 * Steps stand in the order in which they are tried. Values are those worth a compilation: a range that a register file or a cache could
 * like, not every number. Left out on purpose: CLBlast on CPUs (half a minute of compiling, for a tenth of the speed). GPU families on CPUs
 * are there, last of their step: they are given up at their first run where they are hopeless. Cases are what Whisper calls
 * (models/networks/whisper.c), for two of its sizes; the first of a step is one that counts, since a bad candidate is given up at it. */
#include "tune.h"

#include <string.h>

#define BOTH (TUNE_CPU | TUNE_GPU)
#define OUTPUTS_AT_MOST 64 /* of a work-item of gemm_tile: more spill on every device known */

/* gemm_tile: the group must run, and its steps with their padding must fit into local memory (see cl/gemm.cl). */
static bool tile_fits(clio_context *ctx)
{
    size_t gx = (size_t)params_int(ctx, "gemm.tile.gx", 16), gy = (size_t)params_int(ctx, "gemm.tile.gy", 16);
    size_t tn = (size_t)params_int(ctx, "gemm.tile.tn", 4), tm = (size_t)params_int(ctx, "gemm.tile.tm", 4);
    size_t step = (size_t)params_int(ctx, "gemm.tile.step", 16), buffers = (size_t)params_int(ctx, "gemm.tile.buffers", 1);
    size_t local = 4 * buffers * step * (gx * tn + gy * tm + 8);
    const struct device *d = &ctx->device;
    return gx * gy <= d->max_work_group && gx <= d->max_item_sizes[0] && gy <= d->max_item_sizes[1] && tn * tm <= OUTPUTS_AT_MOST &&
           local <= d->local_memory;
}

/* attention_row: scores, queries and sums of a work-item stay within an L1 cache's size. */
static bool row_fits(clio_context *ctx)
{
    int queries = params_int(ctx, "attention.row.queries", 8), keys = params_int(ctx, "attention.row.keys", 128);
    return keys % PANEL == 0 && queries * (keys + 2 * 64) * 4 <= 32 << 10;
}

/* attention_bf16: the same, of words of two and sums in f32. */
static bool pairs_fit(clio_context *ctx)
{
    int queries = params_int(ctx, "attention.bf16.queries", 8), keys = params_int(ctx, "attention.bf16.keys", 256);
    return keys % PANEL == 0 && queries * (keys * 6 + 64 * 6) <= 32 << 10;
}

static bool group_fits(clio_context *ctx, const char *key)
{
    return (size_t)params_int(ctx, key, 128) <= ctx->device.max_work_group;
}

static bool norm_fits(clio_context *ctx)
{
    return group_fits(ctx, "norm.items");
}

static bool softmax_fits(clio_context *ctx)
{
    return group_fits(ctx, "softmax.items");
}

static bool logits_fit(clio_context *ctx)
{
    return group_fits(ctx, "logits.local");
}

#define F32_STORAGE "gemm.many.storage", "f32"
#define F32_KEYS "attention.storage", "f32"
#define BY_TILE "gemm.many.family", "rows" /* while a tile is looked for */

/* clang-format off */
static const struct tune_step steps[] = {
    {"gemm.panel.rows", TUNE_CPU, TUNE_MANY, F32_STORAGE, NULL, {{"gemm.panel.rows", "2 3 4 6 8 10 12 14"}}},
    {"gemm.bf16.rows", TUNE_DOTS, TUNE_MANY, NULL, NULL, NULL, {{"gemm.bf16.rows", "6 8 10 12"}}},
    {"gemm.bf16.blocks and panels", TUNE_DOTS, TUNE_MANY, NULL, NULL, NULL, {{"gemm.bf16.blocks", "1 2 4"}, {"gemm.bf16.panels", "4 8 16"}}},
    {"gemm.panel.few", TUNE_CPU, TUNE_FEW, NULL, NULL, NULL, {{"gemm.panel.few", "4 6 8 12 16"}}},
    {"gemm.tile.gx and gy", TUNE_GPU, TUNE_MANY, BY_TILE, tile_fits, {{"gemm.tile.gx", "8 16 32"}, {"gemm.tile.gy", "4 8 16"}}},
    {"gemm.tile.tn and tm", TUNE_GPU, TUNE_MANY, BY_TILE, tile_fits, {{"gemm.tile.tn", "2 4 8"}, {"gemm.tile.tm", "2 4 8"}}},
    {"gemm.tile.step and buffers", TUNE_GPU, TUNE_MANY, BY_TILE, tile_fits, {{"gemm.tile.step", "8 16 32"}, {"gemm.tile.buffers", "1 2"}}},
    {"gemm.split", TUNE_GPU, TUNE_MANY, BY_TILE, tile_fits, {{"gemm.split.below", "1 12 50 100 200"}, {"gemm.split.slices", "1 2 4"}}},
    {"gemm.many", TUNE_GPU, TUNE_MANY, NULL, NULL, tile_fits, {{"gemm.many.family", "clblast rows"}, {"gemm.many.storage", "f32 f16"}}},
    {"gemm.many.storage", TUNE_CPU, TUNE_MANY, NULL, NULL, NULL, {{"gemm.many.storage", "f32 f16"}}},
    {"gemm.many.family", TUNE_CPU, TUNE_MANY, NULL, NULL, tile_fits, {{"gemm.many.family", "panel rows"}}},
    {"gemm.rows.outputs", TUNE_GPU, TUNE_FEW, NULL, NULL, NULL, {{"gemm.rows.outputs", "1 2 4"}}},
    {"gemm.few.storage", BOTH, TUNE_FEW, NULL, NULL, NULL, {{"gemm.few.storage", "f16 f32"}}},
    {"gemm.few.family", TUNE_CPU, TUNE_FEW, NULL, NULL, NULL, {{"gemm.few.family", "panel rows"}}},
    {"attention.row.queries", TUNE_CPU, TUNE_ATTENTION, F32_KEYS, row_fits, {{"attention.row.queries", "2 4 6 8 12 16"}}},
    {"attention.row.keys", TUNE_CPU, TUNE_ATTENTION, F32_KEYS, row_fits, {{"attention.row.keys", "32 64 128 256"}}},
    {"attention.bf16.queries", TUNE_DOTS, TUNE_ATTENTION, NULL, NULL, pairs_fit, {{"attention.bf16.queries", "6 8 10 12"}}},
    {"attention.bf16.keys", TUNE_DOTS, TUNE_ATTENTION, NULL, NULL, pairs_fit, {{"attention.bf16.keys", "128 256 384"}}},
    {"attention.storage", BOTH, TUNE_ATTENTION, NULL, NULL, NULL, {{"attention.storage", "f32 f16"}}},
    {"attention.family", TUNE_CPU, TUNE_ATTENTION, NULL, NULL, NULL, {{"attention.family", "row group"}}},
    {"norm.items", TUNE_GPU, TUNE_NORM, "norm.family", "group", norm_fits, {{"norm.items", "32 64 128 256"}}},
    {"norm.family", BOTH, TUNE_NORM, NULL, NULL, NULL, {{"norm.family", "row group"}}},
    {"logits.local", BOTH, TUNE_LOGITS, NULL, NULL, logits_fit, {{"logits.local", "16 32 64 128 256"}}},
    {"softmax.items", TUNE_GPU, TUNE_SOFTMAX, "softmax.family", "group", softmax_fits, {{"softmax.items", "32 64 128 256"}}},
    {"softmax.family", BOTH, TUNE_SOFTMAX, NULL, NULL, NULL, {{"softmax.family", "row group"}}},
};
/* clang-format on */

/* How often each work is run stands for a recording in a row of small and base models: what is heard in a window has some 60 tokens; -b
 * takes windows together. The larger model's share is kept from drowning the smaller one's. */
static const struct tune_work works[] = {
    {"Whisper base, a window's encoder", 3},
    {"Whisper base, a token", 180},
    {"Whisper base, a token of 8 windows", 45},
    {"Whisper small, a window's encoder", 1},
    {"Whisper small, a token", 60},
    {"Whisper small, a token of 8 windows", 15},
    {"images of 512 x 512, attention and products of a step", 0.3},
};
#define WHISPER_WORKS 6

#define GEMM(work, decides, m, n, k, more, use, epilogue, calls)                                                                           \
    {                                                                                                                                      \
        work, decides, TUNE_OP_GEMM, m, n, k, more, use, epilogue, calls                                                                   \
    }
#define MANY(work, m, n, k, epilogue, calls) GEMM(work, TUNE_MANY, m, n, k, 0, MATRIX_MANY, epilogue, calls)
#define FEW(work, m, n, k, epilogue, calls) GEMM(work, TUNE_FEW, m, n, k, 0, MATRIX_FEW, epilogue, calls)
#define ATTENTION(work, queries, keys, heads, dim, causal, calls)                                                                          \
    {                                                                                                                                      \
        work, TUNE_ATTENTION, TUNE_OP_ATTENTION, queries, keys, heads, dim, causal, TUNE_PLAIN, calls                                      \
    }
#define ROWS(work, decides, op, rows, columns, calls)                                                                                      \
    {                                                                                                                                      \
        work, decides, op, rows, columns, 0, 0, 0, TUNE_PLAIN, calls                                                                       \
    }

/* w: columns of the network, h: heads, l: layers of the encoder and of the decoder, each */
#define ENCODER(work, w, h, l)                                                                                                             \
    MANY(work, 1500, w, w, TUNE_RESIDUAL, l), MANY(work, 1500, 3 * w, w, TUNE_BIAS, l), MANY(work, 1500, 4 * w, w, TUNE_GELU, l),          \
        MANY(work, 1500, w, 4 * w, TUNE_RESIDUAL, l), MANY(work, 1500, 2 * w, w, TUNE_BIAS, l),                                            \
        GEMM(work, TUNE_MANY, 3000, w, 240, 80, MATRIX_MANY, TUNE_GELU, 1),                                                                \
        GEMM(work, TUNE_MANY, 1500, w, 3 * w, 2 * w, MATRIX_MANY, TUNE_GELU, 1), ATTENTION(work, 1500, 1500, h, 64, 0, l),                 \
        ROWS(work, TUNE_NORM, TUNE_OP_NORM, 1500, w, 2 * l + 1)
#define PRODUCTS(work, m, w, l)                                                                                                            \
    FEW(work, m, 4 * w, w, TUNE_GELU, l), FEW(work, m, 3 * w, w, TUNE_BIAS, l), FEW(work, m, w, w, TUNE_RESIDUAL, 3 * l),                  \
        FEW(work, m, w, 4 * w, TUNE_RESIDUAL, l), FEW(work, m, 51865, w, TUNE_PLAIN, 1)
#define TOKEN(work, w, h, l)                                                                                                               \
    PRODUCTS(work, 1, w, l), ATTENTION(work, 1, 1500, h, 64, 0, l), ATTENTION(work, 1, 100, h, 64, 1, l),                                  \
        ROWS(work, TUNE_NORM, TUNE_OP_NORM, 1, w, 3 * l + 1), ROWS(work, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 51865, 1)

static const struct tune_case cases[] = {
    /* odd shapes: checked, not measured */
    GEMM(-1, TUNE_MANY, 33, 65, 127, 0, MATRIX_MANY, TUNE_BIAS, 0),
    GEMM(-1, TUNE_MANY, 17, 31, 64, 0, MATRIX_MANY, TUNE_RESIDUAL, 0),
    GEMM(-1, TUNE_MANY, 65, 33, 120, 40, MATRIX_MANY, TUNE_GELU, 0),
    GEMM(-1, TUNE_FEW, 1, 65, 127, 0, MATRIX_FEW, TUNE_BIAS, 0),
    GEMM(-1, TUNE_FEW, 2, 31, 33, 0, MATRIX_FEW, TUNE_PLAIN, 0),
    GEMM(-1, TUNE_FEW, 5, 130, 63, 0, MATRIX_FEW, TUNE_GELU, 0),
    GEMM(-1, TUNE_FEW, 13, 66, 95, 0, MATRIX_FEW, TUNE_RESIDUAL, 0),
    ATTENTION(-1, 33, 65, 3, 64, 1, 0),
    ATTENTION(-1, 1, 77, 2, 64, 0, 0),
    ROWS(-1, TUNE_NORM, TUNE_OP_NORM, 3, 127, 0),
    ROWS(-1, TUNE_SOFTMAX, TUNE_OP_SOFTMAX, 3, 127, 0),
    ROWS(-1, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 5003, 0),
    /* Whisper base and small */
    ENCODER(0, 512, 8, 6),
    TOKEN(1, 512, 8, 6),
    PRODUCTS(2, 8, 512, 6),
    ENCODER(3, 768, 12, 12),
    TOKEN(4, 768, 12, 12),
    PRODUCTS(5, 8, 768, 12),
    /* what a network for images calls most: from here on for "all" alone */
    MANY(6, 4096, 320, 320, TUNE_RESIDUAL, 30),
    MANY(6, 4096, 2560, 320, TUNE_BIAS, 5),
    MANY(6, 1024, 640, 640, TUNE_RESIDUAL, 30),
    MANY(6, 256, 1280, 1280, TUNE_RESIDUAL, 30),
    ATTENTION(6, 4096, 4096, 8, 40, 0, 5),
    ATTENTION(6, 4096, 77, 8, 40, 0, 5),
    ROWS(6, TUNE_NORM, TUNE_OP_NORM, 4096, 320, 15),
    ROWS(6, TUNE_SOFTMAX, TUNE_OP_SOFTMAX, 4096, 4096, 1),
    ATTENTION(-1, 33, 65, 3, 40, 0, 0),
};

bool tune_plan_for(const char *purpose, struct tune_plan *plan)
{
    bool all = !strcmp(purpose, "all");
    if (!all && strcmp(purpose, "whisper") != 0)
        return false;
    *plan = (struct tune_plan){.purpose = purpose, .steps = steps, .step_count = COUNT(steps), .cases = cases, .workloads = works};
    plan->workload_count = all ? COUNT(works) : WHISPER_WORKS;
    while (plan->case_count < COUNT(cases) && (all || cases[plan->case_count].work < WHISPER_WORKS))
        plan->case_count++;
    return true;
}
