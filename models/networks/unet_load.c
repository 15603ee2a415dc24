/* unet_load.c - load a UNet's weights by diffusers' keys, for the blocks that its configuration lists. */
#include "unet.h"
#include "../nn/resnet_block.h"
#include "transformer_2d.h"

#include <stdio.h>
#include <stdlib.h>

/* State while loading, with the channels of the skip connections so far. */
struct loading {
    clio_context *ctx;
    struct unet *net;
    const struct weights *weights;
    int skips[1 + UNET_BLOCKS * UNET_LAYERS], count;
    int done, all; /* blocks */
};

static struct resnet resnet_of(const struct unet_config *c, int in, int out)
{
    return (struct resnet){.in = in, .out = out, .time = c->time, .groups = c->groups, .eps = (float)c->eps};
}

/* One residual block and, unless heads is 0, the transformer after it. */
static clio_status load_layer(struct loading *l, struct unet_layer *layer, const char *prefix, int i, int in, int out, int heads, int count)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = l->ctx;
    const struct unet_config *c = &l->net->config;
    char key[128];
    if (in % c->groups)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "the UNet of %s has %d channels at %s that %d groups cannot share; use another model",
             l->weights ? l->weights->path : "these settings", in, prefix, c->groups);
    layer->resnet = resnet_of(c, in, out);
    snprintf(key, sizeof key, "%sresnets.%d.", prefix, i);
    TRY(resnet_load(ctx, &layer->resnet, key, l->weights));
    layer->attends = heads > 0;
    if (!layer->attends)
        return CLIO_OK;
    layer->attention = (struct transformer){
        .width = out, .heads = heads, .count = count, .text = c->text, .groups = c->groups, .first = l->net->attentions};
    l->net->attentions += count;
    snprintf(key, sizeof key, "%sattentions.%d.", prefix, i);
    TRY(transformer_load(ctx, &layer->attention, key, l->weights));
fail:
    return st;
}

static clio_status begin_block(struct loading *l, struct unet_block *block, int count)
{
    clio_status st = CLIO_OK;
    TRY(context_progress(l->ctx, "loading the UNet", l->done++, l->all));
    TRY(mem_alloc(l->ctx, &block->layers, (size_t)count, sizeof *block->layers));
    block->count = count;
fail:
    return st;
}

static clio_status load_down(struct loading *l, int i)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &l->net->config;
    struct unet_block *block = &l->net->down[i];
    char prefix[64], key[128];
    int out = c->channels[i];
    snprintf(prefix, sizeof prefix, "down_blocks.%d.", i);
    TRY(begin_block(l, block, c->layers[i]));
    for (int j = 0; j < block->count; j++) {
        int in = l->skips[l->count - 1];
        TRY(load_layer(l, &block->layers[j], prefix, j, in, out, c->down_attends[i] ? c->heads[i] : 0, c->transformers[i]));
        l->skips[l->count++] = out;
    }
    block->resamples = i < c->blocks - 1;
    if (!block->resamples)
        return CLIO_OK;
    snprintf(key, sizeof key, "%sdownsamplers.0.conv", prefix);
    TRY(linear_load(l->ctx, &block->conv, key, out, out, 3, false, l->weights));
    l->skips[l->count++] = out;
fail:
    return st;
}

static clio_status load_mid(struct loading *l)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &l->net->config;
    struct unet_block *block = &l->net->mid;
    int last = c->blocks - 1, width = c->channels[last];
    if (!c->has_mid)
        return CLIO_OK;
    TRY(begin_block(l, block, c->mid_attends ? 2 : 1));
    for (int j = 0; j < block->count; j++) {
        int heads = c->mid_attends && j == 0 ? c->heads[last] : 0;
        TRY(load_layer(l, &block->layers[j], "mid_block.", j, width, width, heads, c->transformers[last]));
    }
fail:
    return st;
}

/* Up block i mirrors down block blocks - 1 - i and has one layer more, for the skip connection of that block's input. */
static clio_status load_up(struct loading *l, int i, int *channels)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &l->net->config;
    struct unet_block *block = &l->net->up[i];
    char prefix[64], key[128];
    int mirror = c->blocks - 1 - i, out = c->channels[mirror];
    snprintf(prefix, sizeof prefix, "up_blocks.%d.", i);
    TRY(begin_block(l, block, c->layers[mirror] + 1));
    for (int j = 0; j < block->count; j++) {
        int in = *channels + l->skips[--l->count];
        TRY(load_layer(l, &block->layers[j], prefix, j, in, out, c->up_attends[i] ? c->heads[mirror] : 0, c->transformers[mirror]));
        *channels = out;
    }
    block->resamples = i < c->blocks - 1;
    if (!block->resamples)
        return CLIO_OK;
    snprintf(key, sizeof key, "%supsamplers.0.conv", prefix);
    TRY(linear_load(l->ctx, &block->conv, key, out, out, 3, false, l->weights));
fail:
    return st;
}

static clio_status load_embeddings(clio_context *ctx, struct unet *net, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &net->config;
    const struct state_dict_row guidance = {"weight", 0, WEIGHT_MATRIX_FEW, 1, 2, 0, 0, 1, false};
    const struct state_dict_row table = {"weight", 0, WEIGHT_TABLE, 1, 2, 0, 0, 1, false};
    const float one = 1;
    int in = c->classes == CLASS_TIMESTEP ? c->channels[0] : c->class_width;
    net->one = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(tensor_new(ctx, &net->one, "the UNet"));
    TRY(tensor_write(ctx, &net->one, 0, 1, &one));
    TRY(linear_load_few(ctx, &net->time1, "time_embedding.linear_1", c->time, c->channels[0], weights));
    TRY(linear_load_few(ctx, &net->time2, "time_embedding.linear_2", c->time, c->time, weights));
    if (c->guidance)
        TRY(state_dict_load(ctx, &net->guidance, &guidance, 1, "time_embedding.cond_proj.", (int[]){1, c->channels[0], c->guidance},
                            weights));
    if (c->classes == CLASS_TABLE)
        TRY(state_dict_load(ctx, &net->class_table, &table, 1, "class_embedding.", (int[]){1, c->class_width, c->time}, weights));
    if (c->classes == CLASS_LINEAR)
        TRY(linear_load_few(ctx, &net->class1, "class_embedding", c->time, in, weights));
    if (c->classes == CLASS_TIMESTEP || c->classes == CLASS_PROJECTION) {
        TRY(linear_load_few(ctx, &net->class1, "class_embedding.linear_1", c->time, in, weights));
        TRY(linear_load_few(ctx, &net->class2, "class_embedding.linear_2", c->time, c->time, weights));
    }
fail:
    return st;
}

clio_status unet_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct unet *net)
{
    clio_status st = CLIO_OK;
    *net = (struct unet){0};
    struct unet_config *c = &net->config;
    struct loading l = {.ctx = ctx, .net = net, .weights = weights};
    TRY(unet_read_config(ctx, config, c));
    int width = c->channels[c->blocks - 1];
    l.all = 2 * c->blocks + c->has_mid;
    TRY(load_embeddings(ctx, net, weights));
    TRY(linear_load(ctx, &net->conv_in, "conv_in", c->channels[0], c->in, c->conv_in, false, weights));
    l.skips[l.count++] = c->channels[0];
    for (int i = 0; i < c->blocks; i++)
        TRY(load_down(&l, i));
    TRY(load_mid(&l));
    for (int i = 0; i < c->blocks; i++)
        TRY(load_up(&l, i, &width));
    TRY(norm_load(ctx, &net->norm_out, "conv_norm_out", c->channels[0], weights));
    TRY(linear_load(ctx, &net->conv_out, "conv_out", c->out, c->channels[0], c->conv_out, false, weights));
fail:
    if (st)
        unet_free(ctx, net);
    return st;
}

static void free_block(clio_context *ctx, struct unet_block *block)
{
    for (int j = 0; j < block->count; j++) {
        resnet_free(ctx, &block->layers[j].resnet);
        transformer_free(ctx, &block->layers[j].attention);
    }
    linear_free(ctx, &block->conv);
    free(block->layers);
}

void unet_free(clio_context *ctx, struct unet *net)
{
    struct linear *linears[] = {&net->conv_in, &net->conv_out, &net->time1, &net->time2, &net->class1, &net->class2};
    for (size_t i = 0; i < COUNT(linears); i++)
        linear_free(ctx, linears[i]);
    matrix_free(ctx, &net->guidance);
    tensor_free(ctx, &net->class_table);
    tensor_free(ctx, &net->one);
    norm_free(ctx, &net->norm_out);
    for (int i = 0; i < UNET_BLOCKS; i++) {
        free_block(ctx, &net->down[i]);
        free_block(ctx, &net->up[i]);
    }
    free_block(ctx, &net->mid);
    *net = (struct unet){0};
}
