/* unet.c - one evaluation of a UNet, over the parts of blocks.h.
 *
 * Memory: what the way down leaves for the skip connections stays in the arena. The way up works in two buffers as large as its widest
 * image: `hidden`, and `joined`, which takes hidden and skip side by side, then the same normalized, where hidden takes the result. On a
 * tape, whose gradients read most of it again, everything has memory of its own; with `recompute` only what goes into a block is kept. */
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
    struct tensor x, hidden, joined; /* x: where the way up is: of the middle, or hidden */
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

/* Whether this evaluation will be computed again, block by block. */
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

static struct tensor picture(const struct tensor *like, int height, int width, int channels)
{
    struct tensor t = tensor_shape(DTYPE_F32, 4, like->dim[0], height, width, channels);
    t.mem = like->mem;
    return t;
}

/* Memory for t: `buffer`, or, on a tape, its own. */
static clio_status place(struct pass *p, struct tensor *t, const struct tensor *buffer)
{
    t->mem = buffer->mem;
    return tensor_renew(p->ctx, p->arena, t);
}

/* The transformer behind a residual block, if there is one, in place. */
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

/* A residual block where nothing is joined and no memory is to be spared. */
static clio_status pass_resnet(struct pass *p, const struct resnet *r, const struct tensor *out, const struct tensor *in)
{
    if (is_recomputed(p->ctx, p->net))
        return resnet_recompute_fwd(p->ctx, p->arena, r, out, in, NULL, p->time);
    return resnet_fwd(p->ctx, p->arena, r, out, in, NULL, p->time);
}

/* The next skip connection, of this shape. */
static clio_status push(struct pass *p, int height, int width, int channels)
{
    struct tensor *t = &p->skips[p->count++];
    *t = picture(&p->skips[0], height, width, channels);
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
                 "the image is too small for this model: its latents are halved %d times; use a larger -W and -H",
                 p->net->config.blocks - 1);
        TRY(push(p, (in->dim[1] + padding - 2) / 2 + 1, (in->dim[2] + padding - 2) / 2 + 1, in->dim[3]));
        TRY(downsample_fwd(p->ctx, p->arena, out, in, &block->conv, padding));
    }
fail:
    return st;
}

/* Room for the way up: its widest image, joined with its skip or larger by the next one. */
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

/* A residual block on the way up: of where it is and the skip connection side by side. */
static clio_status join(struct pass *p, const struct resnet *r, const struct tensor *out, const struct tensor *skip)
{
    clio_status st = CLIO_OK;
    struct tensor joined = picture(skip, skip->dim[1], skip->dim[2], r->in);
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
        struct tensor out = picture(skip, skip->dim[1], skip->dim[2], layer->resnet.out);
        TRY(place(p, &out, &p->hidden));
        TRY(join(p, &layer->resnet, &out, skip));
        TRY(attend(p, layer, &out));
        p->x = out;
    }
    if (block->resamples) {
        const struct tensor *next = &p->skips[p->count - 1]; /* its size: twice this one, or one less where that was odd */
        struct tensor out = picture(next, next->dim[1], next->dim[2], p->x.dim[3]), spare = p->hidden;
        TRY(place(p, &out, &p->joined));
        TRY(upsample_fwd(p->ctx, p->arena, &out, &p->x, &block->conv));
        p->hidden = p->joined;
        p->joined = spare;
        p->x = out;
    }
fail:
    return st;
}

/* in, or 2 in - 1 where the network asks for it, through the first convolution into the first skip connection. */
static clio_status come_in(struct pass *p, const struct tensor *in)
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
    TRY(come_in(&p, in));
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
