/* embedding.c - token ids to the device. The lookup itself is op_embed_fwd, which gives zeros for an id outside the table; here that is an
 * error. */
#include "embedding.h"

clio_status token_ids_write(clio_context *ctx, const struct tensor *t, const int *ids, int vocab, const char *path)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            FAIL(ctx, CLIO_ERROR_FORMAT,
                 "token %d is outside the %d of %s: the folders tokenizer and text_encoder belong to different models, copy both again",
                 ids[i], vocab, path);
    TRY(tensor_write(ctx, t, 0, count, ids));
fail:
    return st;
}

clio_status rows_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *states, const int *rows)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor ids = tensor_shape(DTYPE_I32, 1, out->dim[0], 0, 0, 0);
    TRY(tensor_take(ctx, arena, &ids));
    TRY(tensor_write(ctx, &ids, 0, (size_t)out->dim[0], rows));
    TRY(op_embed_fwd(ctx, out, states, &ids, NULL, 0));
fail:
    arena_release(arena, mark);
    return st;
}
