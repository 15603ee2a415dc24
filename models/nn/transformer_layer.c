/* transformer_layer.c - the three parts of a transformer layer, each with a layer norm before or behind it and a residual connection.
 *
 * Memory: pre-norm, the normalized input of each part and the result of attention share the scratch h; post-norm, it holds the sum. On a
 * tape, whose gradients read them, each has memory of its own, which spares the tape a copy. */
#include "transformer_layer.h"

enum part { TO_SELF, TO_MEMORY, FEED_FORWARD };

/* out = part(in) + residual */
static clio_status apply(clio_context *ctx, struct arena *arena, enum part part, const struct transformer_layer *layer,
                         const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *in,
                         const struct tensor *residual)
{
    if (part == TO_SELF)
        return self_attention_fwd(ctx, arena, out, in, residual, &layer->self, &options->self);
    if (part == TO_MEMORY)
        return cross_attention_fwd(ctx, arena, out, in, residual, &layer->cross, &options->cross);
    return feed_forward_fwd(ctx, arena, out, in, residual, &layer->ff, &options->ff);
}

/* out = x + part(norm(x)), or norm(x + part(x)) */
static clio_status add_part(clio_context *ctx, struct arena *arena, enum part part, const struct transformer_layer *layer,
                            const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *x,
                            struct tensor h)
{
    clio_status st = CLIO_OK;
    const struct norm *const norms[] = {&layer->self_norm, &layer->cross_norm, &layer->ff_norm};
    uint64_t mark = arena_mark(arena);
    TRY(tensor_renew(ctx, arena, &h));
    if (options->post_norm) {
        TRY(apply(ctx, arena, part, layer, options, &h, x, x));
        TRY(layer_norm_fwd(ctx, out, &h, norms[part], options->eps));
    } else {
        TRY(layer_norm_fwd(ctx, &h, x, norms[part], options->eps));
        TRY(apply(ctx, arena, part, layer, options, out, &h, x));
    }
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
    TRY(add_part(ctx, arena, TO_SELF, layer, options, &after_self, x, *h));
    if (crosses) {
        if (!in_place)
            TRY(tensor_renew(ctx, arena, &after_cross));
        TRY(add_part(ctx, arena, TO_MEMORY, layer, options, &after_cross, &after_self, *h));
    } else {
        after_cross = after_self;
    }
    TRY(add_part(ctx, arena, FEED_FORWARD, layer, options, out, &after_cross, *h));
fail:
    arena_release(arena, mark);
    return st;
}
