/* text_encoder_bert.c - the row of BERT: its calls in terms of bert.h. */
#include "text_encoder_bert.h"
#include "bert.h"

#include <stdlib.h>

static const char *const model_types[] = {"bert", NULL};

static clio_status load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct text_encoder *e)
{
    clio_status st = CLIO_OK;
    struct bert *net = NULL;
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    TRY(bert_load(ctx, config, weights, net));
    e->net = net;
    e->vocab = net->config.vocab;
    e->max_length = net->config.positions;
    e->width = e->pooled = net->config.width;
    return CLIO_OK;
fail:
    free(net);
    return st;
}

static clio_status forward(clio_context *ctx, struct arena *arena, const struct text_encoder *e, const struct tensor *states,
                           const struct tensor *pooled, const struct text_tokens *tokens, int skip)
{
    clio_status st = CLIO_OK;
    (void)skip; /* refused by text_encoder.c */
    TRY(bert_forward(ctx, arena, e->net, states, tokens));
    if (pooled)
        TRY(bert_pool(ctx, arena, e->net, pooled, states));
fail:
    return st;
}

static void free_net(clio_context *ctx, void *net)
{
    bert_free(ctx, net);
    free(net);
}

const struct text_encoder_type text_encoder_bert = {.model_types = model_types, .load = load, .forward = forward, .free = free_net};
