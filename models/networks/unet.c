/* unet.c - forward pass of the UNet, over the building blocks of models/nn: down blocks, middle block, up blocks with skip connections.
 *
 * Memory: outputs of the down blocks stay in the arena for the skip connections. The up blocks work in two buffers of the size of their
 * largest activations: `hidden`, and `joined`, which holds hidden and skip concatenated, then the same normalized, while hidden takes the
 * result. On a tape, whose gradients read most activations, each has memory of its own; with `recompute` only block inputs are kept. */
#include "unet.h"

#include <stdlib.h>

/* One evaluation. */
struct pass {
    clio_context *ctx;
    struct arena *arena;
    const struct unet *net;
    const struct unet_prompt *prompt;
    const struct unet_step *step;
    const struct tensor *time; /* [B, config.time] */
    struct tensor skips[1 + UNET_BLOCKS * UNET_LAYERS];
    int count;
    struct tensor x, hidden, joined; /* x: current activations of the up blocks: of the middle block, or hidden */
};

clio_status unet_prompt_new(clio_context *ctx, struct unet_prompt *prompt, const struct unet *net, int batch, int length)
{
    clio_status st = CLIO_OK;
    const struct unet_block *blocks[2 * UNET_BLOCKS + 1];
    *prompt = (struct unet_prompt){.batch = batch, .length = length, .count = net->attentions};
    TRY(mem_alloc(ctx, &prompt->caches, (size_t)MAX(net->attentions, 1), sizeof *prompt->caches));
    TRY(mem_alloc(ctx, &prompt->kvs, (size_t)MAX(net->attentions, 1), sizeof *prompt->kvs));
    for (int i = 0; i < UNET_BLOCKS; i++) {
        blocks[2 * i] = &net->down[i];
        blocks[2 * i + 1] = &net->up[i];
    }
    blocks[2 * UNET_BLOCKS] = &net->mid;
    for (size_t i = 0; i < COUNT(blocks); i++)
        for (int j = 0; j < blocks[i]->count; j++) {
            const struct transformer *t = &blocks[i]->layers[j].attention;
            for (int k = 0; blocks[i]->layers[j].attends && k < t->count; k++)
                TRY(attention_cache_new(ctx, NULL, &prompt->caches[t->first + k], batch, t->heads, t->width / t->heads, length,
                                        MATRIX_LARGE, "the prompt"));
        }
fail:
    if (st)
        unet_prompt_free(ctx, prompt);
    return st;
}

void unet_prompt_free(clio_context *ctx, struct unet_prompt *prompt)
{
    for (int i = 0; prompt->caches && i < prompt->count; i++)
        attention_cache_free(ctx, &prompt->caches[i]);
    free(prompt->caches);
    free(prompt->kvs);
    *prompt = (struct unet_prompt){0};
}

/* Whether blocks of this evaluation are recomputed for their gradients. */
static bool is_recomputed(const clio_context *ctx, const struct unet *net)
{
    return net->recompute && ctx->tape && !ctx->planning;
}

static clio_status block_attend_to(clio_context *ctx, struct arena *arena, const struct unet_block *block, struct unet_prompt *prompt,
                                   struct tensor *kvs, const struct tensor *text)
{
    clio_status st = CLIO_OK;
    for (int j = 0; j < block->count; j++)
        if (block->layers[j].attends)
            TRY(transformer_attend_to(ctx, arena, &block->layers[j].attention, prompt->caches, kvs, text));
fail:
    return st;
}

clio_status unet_attend_to(clio_context *ctx, struct arena *arena, const struct unet *net, struct unet_prompt *prompt,
                           const struct tensor *text)
{
    clio_status st = CLIO_OK;
    struct tensor *kvs = is_recomputed(ctx, net) ? prompt->kvs : NULL;
    TRY(op_check(ctx, "UNet", "text", text, DTYPE_F32, 3, prompt->batch, prompt->length, net->config.text, 0));
    for (int i = 0; i < net->config.blocks; i++) {
        TRY(block_attend_to(ctx, arena, &net->down[i], prompt, kvs, text));
        TRY(block_attend_to(ctx, arena, &net->up[i], prompt, kvs, text));
    }
    TRY(block_attend_to(ctx, arena, &net->mid, prompt, kvs, text));
fail:
    return st;
}

/* ---- one evaluation ---- */

static struct tensor activations(const struct tensor *like, int height, int width, int channels)
{
    struct tensor t = tensor_shape(DTYPE_F32, 4, like->dim[0], height, width, channels);
    t.mem = like->mem;
    return t;
}

/* Memory for t: the buffer, or new memory on a tape. */
static clio_status place(struct pass *p, struct tensor *t, const struct tensor *buffer)
{
    t->mem = buffer->mem;
    return tensor_renew(p->ctx, p->arena, t);
}

/* The transformer after a residual block, if there is one, in place. */
static clio_status attend(struct pass *p, const struct unet_layer *layer, struct tensor *x)
{
    clio_status st = CLIO_OK;
    const struct tensor in = *x;
    if (!layer->attends)
        return CLIO_OK;
    TRY(place(p, x, &in));
    if (is_recomputed(p->ctx, p->net))
        return transformer_recompute_fwd(p->ctx, p->arena, &layer->attention, x, &in, p->prompt->caches, p->prompt->kvs, p->step->row);
    TRY(transformer_fwd(p->ctx, p->arena, &layer->attention, x, &in, p->prompt->caches, p->step->row, p->prompt->length));
fail:
    return st;
}

/* A residual block without skip connection, its normalized input in the arena. */
static clio_status pass_resnet(struct pass *p, const struct resnet *r, const struct tensor *out, const struct tensor *in)
{
    if (is_recomputed(p->ctx, p->net))
        return resnet_recompute_fwd(p->ctx, p->arena, r, out, in, NULL, p->time);
    return resnet_fwd(p->ctx, p->arena, r, out, in, NULL, p->time);
}

/* Take memory for the next skip connection. */
static clio_status push(struct pass *p, int height, int width, int channels)
{
    struct tensor *t = &p->skips[p->count++];
    *t = activations(&p->skips[0], height, width, channels);
    return tensor_take(p->ctx, p->arena, t);
}

static clio_status go_down(struct pass *p, const struct unet_block *block)
{
    clio_status st = CLIO_OK;
    for (int j = 0; j < block->count; j++) {
        const struct unet_layer *layer = &block->layers[j];
        struct tensor *in = &p->skips[p->count - 1], *out = in + 1;
        TRY(push(p, in->dim[1], in->dim[2], layer->resnet.out));
        TRY(pass_resnet(p, &layer->resnet, out, in));
        TRY(attend(p, layer, out));
    }
    if (block->resamples) {
        const struct tensor *in = &p->skips[p->count - 1], *out = in + 1;
        int padding = p->net->config.padding;
        if (MIN(in->dim[1], in->dim[2]) + padding < 2)
            FAIL(p->ctx, CLIO_ERROR_ARGUMENT,
                 "the image is too small for this model: its latents are halved %d times; use a larger width and height",
                 p->net->config.blocks - 1);
        TRY(push(p, (in->dim[1] + padding - 2) / 2 + 1, (in->dim[2] + padding - 2) / 2 + 1, in->dim[3]));
        TRY(downsample_fwd(p->ctx, p->arena, out, in, &block->conv, padding));
    }
fail:
    return st;
}

/* Take the buffers of the up blocks: large enough for their largest activations, concatenated with a skip connection or upsampled. */
static clio_status take_buffers(struct pass *p)
{
    clio_status st = CLIO_OK;
    const struct unet *net = p->net;
    if (p->ctx->tape)
        return CLIO_OK;
    int count = p->count, channels = p->skips[count - 1].dim[3];
    size_t most = tensor_count(&p->skips[count - 1]);
    for (int i = 0; i < net->config.blocks; i++)
        for (int j = 0; j < net->up[i].count; j++) {
            const struct tensor *skip = &p->skips[--count];
            size_t pixels = tensor_count(skip) / (size_t)skip->dim[3];
            int out = net->up[i].layers[j].resnet.out;
            most = MAX(most, pixels * (size_t)MAX(channels + skip->dim[3], out));
            channels = out;
        }
    p->hidden = p->joined =
        (struct tensor){.dtype = DTYPE_F32, .ndim = 2, .dim = {p->skips[0].dim[0], (int)(most / (size_t)p->skips[0].dim[0]), 1, 1}};
    TRY(tensor_take(p->ctx, p->arena, &p->hidden));
    TRY(tensor_take(p->ctx, p->arena, &p->joined));
fail:
    return st;
}

static clio_status go_through(struct pass *p, const struct unet_block *block)
{
    clio_status st = CLIO_OK;
    p->x = p->skips[p->count - 1];
    for (int j = 0; j < block->count; j++) {
        struct tensor out = p->x;
        TRY(place(p, &out, &p->hidden));
        TRY(pass_resnet(p, &block->layers[j].resnet, &out, &p->x));
        TRY(attend(p, &block->layers[j], &out));
        p->x = out;
    }
fail:
    return st;
}

/* A residual block of an up block: of x and the skip connection, concatenated along channels. */
static clio_status join(struct pass *p, const struct resnet *r, const struct tensor *out, const struct tensor *skip)
{
    clio_status st = CLIO_OK;
    struct tensor joined = activations(skip, skip->dim[1], skip->dim[2], r->in);
    if (is_recomputed(p->ctx, p->net))
        return resnet_recompute_fwd(p->ctx, p->arena, r, out, &p->x, skip, p->time);
    TRY(place(p, &joined, &p->joined));
    TRY(op_concat_fwd(p->ctx, &joined, &p->x, skip));
    TRY(resnet_fwd(p->ctx, p->arena, r, out, &joined, resnet_has_shortcut(r) ? &joined : NULL, p->time));
fail:
    return st;
}

static clio_status go_up(struct pass *p, const struct unet_block *block)
{
    clio_status st = CLIO_OK;
    for (int j = 0; j < block->count; j++) {
        const struct unet_layer *layer = &block->layers[j];
        const struct tensor *skip = &p->skips[--p->count];
        struct tensor out = activations(skip, skip->dim[1], skip->dim[2], layer->resnet.out);
        TRY(place(p, &out, &p->hidden));
        TRY(join(p, &layer->resnet, &out, skip));
        TRY(attend(p, layer, &out));
        p->x = out;
    }
    if (block->resamples) {
        const struct tensor *next = &p->skips[p->count - 1]; /* upsample to its size: twice this one, or one less where it is odd */
        struct tensor out = activations(next, next->dim[1], next->dim[2], p->x.dim[3]), spare = p->hidden;
        TRY(place(p, &out, &p->joined));
        TRY(upsample_fwd(p->ctx, p->arena, &out, &p->x, &block->conv));
        p->hidden = p->joined;
        p->joined = spare;
        p->x = out;
    }
fail:
    return st;
}

/* conv_in(in), or conv_in(2 in - 1) with center_input_sample, into the first skip connection. */
static clio_status embed_input(struct pass *p, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct unet *net = p->net;
    struct tensor x = *in;
    p->skips[0] = tensor_shape(DTYPE_F32, 4, in->dim[0], in->dim[1], in->dim[2], net->config.channels[0]);
    TRY(tensor_take(p->ctx, p->arena, &p->skips[0]));
    p->count = 1;
    uint64_t mark = arena_mark(p->arena);
    if (net->config.center) {
        TRY(tensor_take(p->ctx, p->arena, &x));
        TRY(op_add_fwd(p->ctx, &x, in, &net->one, 2, -1));
    }
    TRY(linear_conv_fwd(p->ctx, p->arena, &p->skips[0], &x, &net->conv_in, NULL, ACT_NONE, NULL));
    arena_release(p->arena, mark);
fail:
    return st;
}

clio_status unet_forward(clio_context *ctx, struct arena *arena, const struct unet *net, const struct unet_prompt *prompt,
                         const struct tensor *out, const struct tensor *in, const struct unet_step *step)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &net->config;
    uint64_t mark = arena_mark(arena);
    struct tensor time = tensor_shape(DTYPE_F32, 2, in->dim[0], c->time, 0, 0);
    struct pass p = {.ctx = ctx, .arena = arena, .net = net, .prompt = prompt, .step = step, .time = &time};
    TRY(op_check(ctx, "UNet", "in", in, DTYPE_F32, 4, -1, -1, -1, c->in));
    TRY(op_check(ctx, "UNet", "out", out, DTYPE_F32, 4, in->dim[0], in->dim[1], in->dim[2], c->out));
    if (step->row < 0 || step->row + in->dim[0] > prompt->batch)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "UNet: rows %d to %d of a prompt of %d", step->row, step->row + in->dim[0] - 1, prompt->batch);
    TRY(tensor_take(ctx, arena, &time));
    TRY(unet_embed_step(ctx, arena, net, &time, step));
    TRY(embed_input(&p, in));
    for (int i = 0; i < c->blocks; i++)
        TRY(go_down(&p, &net->down[i]));
    TRY(take_buffers(&p));
    TRY(go_through(&p, &net->mid));
    for (int i = 0; i < c->blocks; i++)
        TRY(go_up(&p, &net->up[i]));
    struct tensor last = p.x;
    TRY(place(&p, &last, &p.x));
    TRY(group_norm_fwd(ctx, arena, &last, &p.x, &net->norm_out, c->groups, (float)c->eps, ACT_SILU));
    TRY(linear_conv_fwd(ctx, arena, out, &last, &net->conv_out, NULL, ACT_NONE, NULL));
fail:
    arena_release(arena, mark);
    return st;
}
