/* op_logits.c - the next token from a row of logits: two launches, see cl/logits.cl. */
#include "selftest.h"

#include <stdio.h>
#include <string.h>

#define CHUNK 1024   /* tokens of one group, as in cl/logits.cl */
#define BEST_WORDS 5 /* of struct best there */

/* Work-items of a group, and the kernels' options: as the parameters ask, or one where groups are not right on this device. */
static clio_status choose_local(clio_context *ctx, int *local, char options[48])
{
    clio_status st = CLIO_OK;
    int wish = params_int(ctx, "logits.local", 128);
    bool works = false;
    *local = 1;
    while (*local * 2 <= wish && (size_t)*local * 2 <= ctx->device.max_work_group) /* the reduction halves it down to 1 */
        *local *= 2;
    for (int way = 0; way < 2 && !works; way++) {
        char number[16];
        if (way)
            *local = 1;
        snprintf(options, 48, "-DLOCAL=%d -DLANES=%d", *local, ctx->device.simd_width > 1 ? 16 : 1);
        snprintf(number, sizeof number, "%d", *local);
        TRY(check_path(
            ctx,
            &(struct check){.path = *local > 1 ? "logits.group" : "logits.single", .variant = options, .force = {{"logits.local", number}}},
            &works));
    }
    if (!works)
        TRY(check_none_left(ctx, "chooses tokens"));
fail:
    return st;
}

clio_status op_logits_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *tokens,
                          const struct tensor *logits, const struct tensor *suppress, int row, struct logits_args args)
{
    clio_status st = CLIO_OK;
    struct kernel *partial, *choose;
    char options[48];
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
    TRY(choose_local(ctx, &local, options));
    if (args.inverse_temperature > 0)
        strcat(options, " -DNOISE=1");
    TRY(kernel_get(ctx, "logits", "logits_partial", options, &partial));
    TRY(kernel_get(ctx, "logits", "logits_choose", options, &choose));
    TRY(LAUNCH(ctx, partial, GRID1(args.groups * local, local), COST(8.0 * args.n, 5.0 * args.n), ARG_TENSOR(&parts), ARG_TENSOR(logits),
               ARG_TENSOR(suppress), ARG_VALUE(offset), ARG_VALUE(args)));
    TRY(LAUNCH(ctx, choose, GRID1(local, local), COST(0, 60.0 * args.groups), ARG_TENSOR(out), ARG_TENSOR(tokens), ARG_TENSOR(&parts),
               ARG_TENSOR(logits), ARG_VALUE(offset), ARG_VALUE(row), ARG_VALUE(args)));
fail:
    arena_release(arena, mark);
    return st;
}
