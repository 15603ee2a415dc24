/* families.c - the table of kernel families: see families.h. */
#include "families.h"
#include "gemm.h"
#include "selftest_private.h"

#define BIT(dtype) (1u << (dtype))
#define F32 BIT(DTYPE_F32)
#define F32_F16 (BIT(DTYPE_F32) | BIT(DTYPE_F16))
#define CPU TUNE_CPU
#define GPU TUNE_GPU
#define ANY (TUNE_CPU | TUNE_GPU)
#define DOTS TUNE_DOTS

/* ---- what the tuner searches ---- */

/* attention_row: scores, queries and sums of a work-item fit into an L1 cache of 32 KiB. */
static bool attention_row_fits(clio_context *ctx)
{
    int queries = params_int(ctx, "attention.row.queries", 8), keys = params_int(ctx, "attention.row.keys", 128);
    return keys % PANEL == 0 && queries * (keys + 2 * 64) * 4 <= 32 << 10;
}

/* attention_bf16: the same, with pairs of bf16 in a word and sums in f32. */
static bool attention_bf16_fits(clio_context *ctx)
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

static bool logits_fits(clio_context *ctx)
{
    return group_fits(ctx, "logits.local");
}

#define F32_STORAGE "gemm.many.storage", "f32"
#define F32_KEYS "attention.storage", "f32"
#define BY_TILE "gemm.many.family", "rows" /* while the parameters of a tile are searched */

/* clang-format off */
static const struct tune_step gemm_panel_steps[] = {
    {"gemm.panel.rows", 0, TUNE_MANY, F32_STORAGE, NULL, {{"gemm.panel.rows", "2 3 4 6 8 10 12 14"}}},
    {"gemm.panel.few", 0, TUNE_FEW, NULL, NULL, NULL, {{"gemm.panel.few", "4 6 8 12 16"}}},
    {0}
};
static const struct tune_step gemm_bf16_steps[] = {
    {"gemm.bf16.rows", 0, TUNE_MANY, NULL, NULL, NULL, {{"gemm.bf16.rows", "6 8 10 12"}}},
    {"gemm.bf16.blocks and panels", 0, TUNE_MANY, NULL, NULL, NULL, {{"gemm.bf16.blocks", "1 2 4"}, {"gemm.bf16.panels", "4 8 16"}}},
    {0}
};
static const struct tune_step gemm_tile_steps[] = {
    {"gemm.tile.gx and gy", 0, TUNE_MANY, BY_TILE, gemm_tile_fits, {{"gemm.tile.gx", "8 16 32"}, {"gemm.tile.gy", "4 8 16"}}},
    {"gemm.tile.tn and tm", 0, TUNE_MANY, BY_TILE, gemm_tile_fits, {{"gemm.tile.tn", "2 4 8"}, {"gemm.tile.tm", "2 4 8"}}},
    {"gemm.tile.step and buffers", 0, TUNE_MANY, BY_TILE, gemm_tile_fits, {{"gemm.tile.step", "8 16 32"}, {"gemm.tile.buffers", "1 2"}}},
    {"gemm.split", 0, TUNE_MANY, BY_TILE, gemm_tile_fits, {{"gemm.split.below", "1 12 50 100 200"}, {"gemm.split.slices", "1 2 4"}}},
    {0}
};
static const struct tune_step gemm_rows_steps[] = {
    {"gemm.rows.outputs", 0, TUNE_FEW, NULL, NULL, NULL, {{"gemm.rows.outputs", "1 2 4"}}},
    {0}
};
static const struct tune_step gemm_steps[] = {
    {"gemm.many", GPU, TUNE_MANY, NULL, NULL, gemm_tile_fits, {{"gemm.many.family", "clblast rows"}, {"gemm.many.storage", "f32 f16"}}},
    {"gemm.many.storage", CPU, TUNE_MANY, NULL, NULL, NULL, {{"gemm.many.storage", "f32 f16"}}},
    {"gemm.many.family", CPU, TUNE_MANY, NULL, NULL, gemm_tile_fits, {{"gemm.many.family", "panel rows"}}},
    {"gemm.few.storage", ANY, TUNE_FEW, NULL, NULL, NULL, {{"gemm.few.storage", "f16 f32"}}},
    {"gemm.few.family", CPU, TUNE_FEW, NULL, NULL, NULL, {{"gemm.few.family", "panel rows"}}},
    {0}
};
static const struct tune_step attention_row_steps[] = {
    {"attention.row.queries", 0, TUNE_ATTENTION, F32_KEYS, attention_row_fits, {{"attention.row.queries", "2 4 6 8 12 16"}}},
    {"attention.row.keys", 0, TUNE_ATTENTION, F32_KEYS, attention_row_fits, {{"attention.row.keys", "32 64 128 256"}}},
    {0}
};
static const struct tune_step attention_bf16_steps[] = {
    {"attention.bf16.queries", 0, TUNE_ATTENTION, NULL, NULL, attention_bf16_fits, {{"attention.bf16.queries", "6 8 10 12"}}},
    {"attention.bf16.keys", 0, TUNE_ATTENTION, NULL, NULL, attention_bf16_fits, {{"attention.bf16.keys", "128 256 384"}}},
    {0}
};
static const struct tune_step attention_steps[] = {
    {"attention.storage", ANY, TUNE_ATTENTION, NULL, NULL, NULL, {{"attention.storage", "f32 f16"}}},
    {"attention.family", CPU, TUNE_ATTENTION, NULL, NULL, NULL, {{"attention.family", "row group"}}},
    {0}
};
static const struct tune_step norm_group_steps[] = {
    {"norm.items", 0, TUNE_NORM, "norm.family", "group", norm_fits, {{"norm.items", "32 64 128 256"}}},
    {0}
};
static const struct tune_step norm_steps[] = {
    {"norm.family", ANY, TUNE_NORM, NULL, NULL, NULL, {{"norm.family", "row group"}}},
    {0}
};
static const struct tune_step logits_group_steps[] = {
    {"logits.local", 0, TUNE_LOGITS, NULL, NULL, logits_fits, {{"logits.local", "16 32 64 128 256"}}},
    {0}
};
static const struct tune_step softmax_group_steps[] = {
    {"softmax.items", 0, TUNE_SOFTMAX, "softmax.family", "group", softmax_fits, {{"softmax.items", "32 64 128 256"}}},
    {0}
};
static const struct tune_step softmax_steps[] = {
    {"softmax.family", ANY, TUNE_SOFTMAX, NULL, NULL, NULL, {{"softmax.family", "row group"}}},
    {0}
};

/* ---- the families ---- */

static const struct kernel_family families[] = {
    /* name                weights read                    made for  variant                     self-test             tuner */
    {"gemm.bf16",          LAYOUT_PANELS, BIT(DTYPE_BF16), DOTS,     gemm_bf16_choose,           selftest_gemm,        gemm_bf16_steps},
    {"gemm.q8",            LAYOUT_PANELS, BIT(DTYPE_Q8),   CPU,      gemm_q8_choose,             selftest_gemm,        NULL},
    {"gemm.panel",         LAYOUT_PANELS, F32_F16,         CPU,      gemm_panel_choose,          selftest_gemm,        gemm_panel_steps},
    {"gemm.clblast",       LAYOUT_ROWS,   F32,             GPU,      gemm_clblast_choose,        selftest_gemm,        NULL},
    {"gemm.rows",          LAYOUT_ROWS,   F32_F16,         GPU,      gemm_rows_choose,           selftest_gemm,        gemm_rows_steps},
    {"gemm.tile",          LAYOUT_ROWS,   F32_F16,         GPU,      gemm_tile_choose,           selftest_gemm,        gemm_tile_steps},
    {"attention.row",      LAYOUT_ANY,    F32_F16,         CPU,      NULL,                       selftest_attention,   attention_row_steps},
    {"attention.bf16",     LAYOUT_ANY,    BIT(DTYPE_BF16), DOTS,     NULL,                       selftest_attention,   attention_bf16_steps},
    {"attention.group",    LAYOUT_ANY,    F32_F16,         GPU,      NULL,                       selftest_attention,   NULL},
    {"norm.row",           LAYOUT_ANY,    0,               CPU,      norm_row_choose,            selftest_norm,        NULL},
    {"norm.group",         LAYOUT_ANY,    0,               GPU,      norm_group_choose,          selftest_norm,        norm_group_steps},
    {"logits.group",       LAYOUT_ANY,    0,               ANY,      logits_group_choose,        selftest_logits,      logits_group_steps},
    {"logits.single",      LAYOUT_ANY,    0,               CPU,      logits_single_choose,       selftest_logits,      NULL},
    {"softmax.row",        LAYOUT_ANY,    0,               CPU,      norm_row_choose,            selftest_softmax,     NULL},
    {"softmax.group",      LAYOUT_ANY,    0,               GPU,      norm_group_choose,          selftest_softmax,     softmax_group_steps},
    {"conv.few",           LAYOUT_PANELS, F32_F16,         CPU,      conv_few_choose,            selftest_conv,        NULL},
    {"conv.strided",       LAYOUT_PANELS, F32_F16,         CPU,      conv_strided_choose,        selftest_conv,        NULL},
    {"conv.winograd",      LAYOUT_PANELS, F32_F16,         CPU,      conv_winograd_choose,       selftest_conv,        NULL},
    {"conv.panel",         LAYOUT_PANELS, F32_F16,         CPU,      conv_panel_choose,          selftest_conv,        NULL},
    {"conv.tile",          LAYOUT_ROWS,   F32_F16,         GPU,      conv_tile_choose,           selftest_conv,        NULL},
    {"conv.single",        LAYOUT_ANY,    F32_F16,         ANY,      conv_single_choose,         selftest_conv,        NULL},
    {"transposed.few",     LAYOUT_PANELS, F32_F16,         CPU,      transposed_few_choose,      selftest_transposed,  NULL},
    {"transposed.strided", LAYOUT_PANELS, F32_F16,         CPU,      transposed_strided_choose,  selftest_transposed,  NULL},
    {"transposed.panel",   LAYOUT_PANELS, F32_F16,         CPU,      transposed_panel_choose,    selftest_transposed,  NULL},
    {"transposed.tile",    LAYOUT_ROWS,   F32_F16,         GPU,      transposed_tile_choose,     selftest_transposed,  NULL},
    {"transposed.single",  LAYOUT_ANY,    F32_F16,         ANY,      transposed_single_choose,   selftest_transposed,  NULL},
    {"weights.winograd",   LAYOUT_PANELS, F32,             CPU,      weights_winograd_choose,    selftest_weights,     NULL},
    {"weights.panel",      LAYOUT_PANELS, F32,             CPU,      weights_panel_choose,       selftest_weights,     NULL},
    {"weights.tile",       LAYOUT_ROWS,   F32,             GPU,      weights_tile_choose,        selftest_weights,     NULL},
    {"weights.single",     LAYOUT_ANY,    F32,             ANY,      weights_single_choose,      selftest_weights,     NULL},
    {"clfft",              LAYOUT_ANY,    0,               GPU,      clfft_choose,               selftest_clfft,       NULL},
};

static const struct family_operation operations[] = {
    {"gemm", "matrix multiplication", gemm_steps},
    {"attention", "attention", attention_steps},
    {"norm", "normalization", norm_steps},
    {"logits", "sampling from logits", NULL},
    {"softmax", "softmax", softmax_steps},
    {"conv", "2D convolution", NULL},
    {"transposed", "transposed 2D convolution", NULL},
    {"weights", "the gradient of weights", NULL},
    {"clfft", "the Fourier transform", NULL},
};
/* clang-format on */

static const char *name_of(size_t i)
{
    return i < COUNT(families) ? families[i].name : NULL;
}

const struct family_table kernel_families = {.name = name_of,
                                             .rows = families,
                                             .count = COUNT(families),
                                             .operations = operations,
                                             .operation_count = COUNT(operations),
                                             .rule = param_rule_of,
                                             .broken_step = param_broken_step};
