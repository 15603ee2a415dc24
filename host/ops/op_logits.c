/* op_logits.c - choose the next token from a row of logits: two kernels, see cl/logits.cl. */
#include "families.h"

#include <stdio.h>
#include <string.h>

#define CHUNK 1024   /* tokens of one group, as in cl/logits.cl */
#define BEST_WORDS 5 /* of struct best there */

static void set_local(clio_context *ctx, struct kernel_variant *v, int local)
{
    snprintf(v->options, sizeof v->options, "-DLOCAL=%d -DLANES=%d", local, ctx->device.simd_width > 1 ? 16 : 1);
    snprintf(v->value, sizeof v->value, "%d", local);
    v->test.params[0].key = "logits.local";
    v->test.params[0].value = v->value;
}

/* A work-group of as many work-items as the parameters ask for. call: where their number goes. */
bool logits_group_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    int *local = call, wish = params_int(ctx, "logits.local", 128);
    *local = 1;
    while (*local * 2 <= wish && (size_t)*local * 2 <= ctx->device.max_work_group) /* the reduction halves it down to 1 */
        *local *= 2;
    set_local(ctx, v, *local);
    return attempt == 0 && *local > 1;
}

bool logits_single_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    int *local = call;
    *local = 1;
    set_local(ctx, v, 1);
    return attempt == 0;
}

clio_status op_logits_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *tokens,
                          const struct tensor *logits, const struct tensor *suppress, int row, struct logits_args args)
{
    clio_status st = CLIO_OK;
    struct kernel *partial, *choose;
    struct kernel_variant v;
    uint64_t mark = arena_mark(arena);
    int local, offset = row * args.n;
    args.groups = (args.n + CHUNK - 1) / CHUNK;
    struct tensor parts = tensor_shape(DTYPE_I32, 3, args.groups, 3, BEST_WORDS, 0);
    TRY(op_check(ctx, "logits", "logits", logits, DTYPE_F32, 2, -1, args.n, 0, 0));
    TRY(op_check(ctx, "logits", "suppress", suppress, DTYPE_U8, 1, args.n, 0, 0, 0));
    TRY(op_check(ctx, "logits", "out", out, DTYPE_I32, 2, -1, 8, 0, 0));
    TRY(op_check(ctx, "logits", "tokens", tokens, DTYPE_I32, 1, -1, 0, 0, 0));
    if (row < 0 || row >= logits->dim[0] || row >= out->dim[0] || args.no_speech >= args.n)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "logits: row %d of %d into %d, no-speech token %d of %d", row, logits->dim[0], out->dim[0],
             args.no_speech, args.n);
    TRY(tensor_take(ctx, arena, &parts));
    TRY(family_choose(ctx, "logits", NULL, &local, &v));
    size_t used = strlen(v.options);
    if (args.inverse_temperature > 0)
        snprintf(v.options + used, sizeof v.options - used, " -DNOISE=1");
    TRY(kernel_get(ctx, "logits", "logits_partial", v.options, &partial));
    TRY(kernel_get(ctx, "logits", "logits_choose", v.options, &choose));
    TRY(LAUNCH(ctx, partial, GRID1(args.groups * local, local), COST(8.0 * args.n, 5.0 * args.n), ARG_TENSOR(&parts), ARG_TENSOR(logits),
               ARG_TENSOR(suppress), ARG_VALUE(offset), ARG_VALUE(args)));
    TRY(LAUNCH(ctx, choose, GRID1(local, local), COST(0, 60.0 * args.groups), ARG_TENSOR(out), ARG_TENSOR(tokens), ARG_TENSOR(&parts),
               ARG_TENSOR(logits), ARG_VALUE(offset), ARG_VALUE(row), ARG_VALUE(args)));
fail:
    arena_release(arena, mark);
    return st;
}
