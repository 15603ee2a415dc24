/* param_rules.c - which values each parameter of cl/tunables.txt may have, for the files of users and of the tuner: the kernels rely on
 * them. What depends on the device are the rules of the tuner's steps (families.c). */
#include "families.h"

#include <string.h>

#define FAMILIES "panel rows tile clblast"
#define REGISTER_ROWS 16 /* rows of a register tile: no processor has registers for more */
#define ITEMS 65536      /* of a work-group: the device's own limit is lower */
#define ANY_NUMBER 65536

#define WORD(key, words)                                                                                                                   \
    {                                                                                                                                      \
        key, 0, 0, 0, words                                                                                                                \
    }
#define NUMBER(key, least, most, multiple)                                                                                                 \
    {                                                                                                                                      \
        key, least, most, multiple, NULL                                                                                                   \
    }
static const struct param_rule rules[] = {
    WORD("norm.family", "row group"),
    NUMBER("norm.items", 1, ITEMS, 1),
    WORD("softmax.family", "row group"),
    NUMBER("softmax.items", 1, ITEMS, 1),
    NUMBER("logits.local", 1, ITEMS, 1),
    WORD("gemm.many.family", FAMILIES),
    WORD("gemm.many.storage", "f32 f16 bf16 q8_0"),
    WORD("gemm.few.family", FAMILIES),
    WORD("gemm.few.storage", "f32 f16 q8_0"),
    WORD("gemm.large.storage", "f32 f16"),
    WORD("table.large.storage", "f32 f16"),
    NUMBER("gemm.panel.rows", 1, REGISTER_ROWS, 1),
    NUMBER("gemm.panel.half", 1, REGISTER_ROWS, 1),
    NUMBER("gemm.panel.few", 1, REGISTER_ROWS, 1),
    NUMBER("gemm.panel.work", 1, ANY_NUMBER, 1),
    NUMBER("gemm.bf16.rows", 1, REGISTER_ROWS, 1),
    NUMBER("gemm.bf16.blocks", 1, ANY_NUMBER, 1),
    NUMBER("gemm.bf16.panels", 1, ANY_NUMBER, 1),
    NUMBER("gemm.tile.gx", 1, 1024, 1),
    NUMBER("gemm.tile.gy", 1, 1024, 1),
    NUMBER("gemm.tile.tn", 1, REGISTER_ROWS, 1),
    NUMBER("gemm.tile.tm", 1, REGISTER_ROWS, 1),
    NUMBER("gemm.tile.step", 1, 64, 1),
    NUMBER("gemm.tile.buffers", 1, 2, 1),
    NUMBER("gemm.split.below", 1, ANY_NUMBER, 1),
    NUMBER("gemm.split.slices", 1, 16, 1),
    NUMBER("gemm.rows.outputs", 1, 4, 1),
    WORD("conv.family", "direct winograd single"),
    NUMBER("conv.panel.rows", 1, REGISTER_ROWS, 1),
    NUMBER("conv.winograd.rows", 1, REGISTER_ROWS, 1),
    NUMBER("conv.winograd.channels", 16, ANY_NUMBER, 16),
    NUMBER("conv.winograd.megabytes", 1, 1024, 1),
    NUMBER("conv.winograd.tiles", 1, ANY_NUMBER, 1),
    NUMBER("conv.winograd.jobs", 1, 1024, 1),
    WORD("weights.family", "direct winograd single"),
    NUMBER("weights.panel.rows", 1, REGISTER_ROWS, 1),
    NUMBER("weights.panel.kib", 1, ANY_NUMBER, 1),
    NUMBER("weights.jobs", 1, ANY_NUMBER, 1),
    NUMBER("weights.slice", 1, ANY_NUMBER, 1),
    WORD("attention.family", "row group"),
    WORD("attention.storage", "f32 f16 bf16"),
    WORD("attention.few.storage", "f32 f16"),
    NUMBER("attention.row.queries", 1, REGISTER_ROWS, 1),
    NUMBER("attention.row.keys", PANEL, 1024, PANEL),
    NUMBER("attention.bf16.queries", 1, REGISTER_ROWS, 1),
    NUMBER("attention.bf16.keys", PANEL, 1024, PANEL),
    NUMBER("attention.bwd.rows", 1, REGISTER_ROWS, 1),
    NUMBER("attention.bwd.keys", 1, 2048, 1),
    WORD("mel.stft", "gemm clfft"),
};

const struct param_rule *param_rule_of(const char *key)
{
    for (size_t i = 0; i < COUNT(rules); i++)
        if (strcmp(rules[i].key, key) == 0)
            return &rules[i];
    return NULL;
}

static bool has_key(const struct tune_step *step, const char *key)
{
    for (int k = 0; k < TUNE_TOGETHER && step->parameters[k].key; k++)
        if (strcmp(step->parameters[k].key, key) == 0)
            return true;
    return false;
}

/* Whether the step's rule holds without the rows from `first` on, and is broken by them. */
static bool is_broken(clio_context *ctx, const struct tune_step *step, size_t first)
{
    size_t count = ctx->params.count;
    bool concerned = false;
    for (size_t i = first; i < count && !concerned; i++)
        concerned = has_key(step, ctx->params.rows[i].key);
    if (!step->valid || !concerned || step->valid(ctx))
        return false;
    ctx->params.count = first;
    bool held = step->valid(ctx);
    ctx->params.count = count;
    return held;
}

static const char *broken_of(clio_context *ctx, const struct tune_step *steps, size_t first)
{
    for (; steps && steps->name; steps++)
        if (is_broken(ctx, steps, first))
            return steps->name;
    return NULL;
}

const char *param_broken_step(clio_context *ctx, size_t first)
{
    const char *name = NULL;
    for (size_t i = 0; i < ctx->families->count && !name; i++)
        name = broken_of(ctx, ctx->families->rows[i].steps, first);
    for (size_t i = 0; i < ctx->families->operation_count && !name; i++)
        name = broken_of(ctx, ctx->families->operations[i].steps, first);
    return name;
}
