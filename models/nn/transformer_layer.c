/* transformer_layer.c - the three parts of a pre-norm transformer layer, each behind a layer norm and with a residual connection.
 *
 * Memory: the normalized input of each part and the result of attention share the scratch h. On a tape, whose gradients read them, each has
 * memory of its own, which spares the tape a copy. */
#include "transformer_layer.h"

/* out = x + self_attention(norm(x)) */
static clio_status attend_to_self(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer,
                                  const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *x,
                                  struct tensor h)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    TRY(tensor_renew(ctx, arena, &h));
    TRY(layer_norm_fwd(ctx, &h, x, &layer->self_norm, options->eps));
    TRY(self_attention_fwd(ctx, arena, out, &h, x, &layer->self, &options->self));
fail:
    arena_release(arena, mark);
    return st;
}

/* out = x + cross_attention(norm(x)) */
static clio_status attend_to_memory(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer,
                                    const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *x,
                                    struct tensor h)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    TRY(tensor_renew(ctx, arena, &h));
    TRY(layer_norm_fwd(ctx, &h, x, &layer->cross_norm, options->eps));
    TRY(cross_attention_fwd(ctx, arena, out, &h, x, &layer->cross, &options->cross));
fail:
    arena_release(arena, mark);
    return st;
}

/* out = x + feed_forward(norm(x)) */
static clio_status feed_forward(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer,
                                const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *x,
                                struct tensor h)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    TRY(tensor_renew(ctx, arena, &h));
    TRY(layer_norm_fwd(ctx, &h, x, &layer->ff_norm, options->eps));
    TRY(feed_forward_fwd(ctx, arena, out, &h, x, &layer->ff, &options->ff));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status transformer_layer_fwd(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer,
                                  const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *x,
                                  const struct tensor *h)
{
    clio_status st = CLIO_OK;
    bool in_place = out->mem == x->mem, crosses = layer->cross.q.w.n > 0;
    uint64_t mark = arena_mark(arena);
    struct tensor after_self = *out, after_cross = *out;
    if (!in_place)
        TRY(tensor_renew(ctx, arena, &after_self));
    TRY(attend_to_self(ctx, arena, layer, options, &after_self, x, *h));
    if (crosses) {
        if (!in_place)
            TRY(tensor_renew(ctx, arena, &after_cross));
        TRY(attend_to_memory(ctx, arena, layer, options, &after_cross, &after_self, *h));
    } else {
        after_cross = after_self;
    }
    TRY(feed_forward(ctx, arena, layer, options, out, &after_cross, *h));
fail:
    arena_release(arena, mark);
    return st;
}
