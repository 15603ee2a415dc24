/* text_encoder_clip.c - the row of CLIP: its calls in terms of clip_text.h. */
#include "text_encoder_clip.h"
#include "clip_text.h"

#include <stdlib.h>

static const char *const model_types[] = {"clip_text_model", "clip", NULL};

static clio_status load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct text_encoder *e)
{
    clio_status st = CLIO_OK;
    struct clip_text *net = NULL;
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    TRY(clip_text_load(ctx, config, weights, net));
    const struct clip_text_config *c = &net->config;
    e->net = net;
    e->vocab = c->vocab;
    e->max_length = c->positions;
    e->width = c->width;
    e->pooled = c->projection ? c->projection : c->width;
    return CLIO_OK;
fail:
    free(net);
    return st;
}

static clio_status forward(clio_context *ctx, struct arena *arena, const struct text_encoder *e, const struct tensor *states,
                           const struct tensor *pooled, const struct text_tokens *tokens, int skip)
{
    clio_status st = CLIO_OK;
    const struct clip_text *net = e->net;
    TRY(clip_text_forward(ctx, arena, net, states, tokens->ids, skip));
    if (pooled)
        TRY(clip_text_pool(ctx, arena, net, pooled, states, tokens->ids, net->config.projection > 0));
fail:
    return st;
}

static void free_net(clio_context *ctx, void *net)
{
    clip_text_free(ctx, net);
    free(net);
}

const struct text_encoder_type text_encoder_clip = {
    .model_types = model_types, .skips_layers = true, .load = load, .forward = forward, .free = free_net};
