/* autoencoder_kl.c - encoder and decoder of AutoencoderKL, over the building blocks of models/nn.
 *
 * Memory: 512 x 512 pixels of 256 channels are 268 MB. Encoder and decoder work in two buffers, which swap roles where a step cannot work
 * in place. A residual block writes its normalized input over its input where that is no longer needed, otherwise into the other buffer, if
 * that is large enough. On a tape, whose gradients read most activations, each step's result has memory of its own. */
#include "autoencoder_kl.h"
#include "autoencoder_tiles.h"
#include "../nn/layout.h"

#include <limits.h>
#include <math.h>

#define OVERLAP 0.25 /* diffusers: tile_overlap_factor */

struct buffers {
    struct tensor t[2];
    size_t count[2]; /* elements of each */
    int at;          /* the one with the current activations */
    int batch, h, w, channels;
};

static bool changes_place(const struct vae_step *s)
{
    return s->kind == VAE_DOWN || s->kind == VAE_UP || (s->kind == VAE_RESNET && resnet_has_shortcut(&s->resnet));
}

/* Update the shape for step s. */
static void advance(struct buffers *b, const struct vae_step *s)
{
    b->at ^= changes_place(s);
    if (s->kind == VAE_DOWN || s->kind == VAE_UP) {
        b->h = s->kind == VAE_UP ? 2 * b->h : b->h / 2;
        b->w = s->kind == VAE_UP ? 2 * b->w : b->w / 2;
    }
    if (s->kind == VAE_RESNET)
        b->channels = s->resnet.out;
}

static struct tensor activations(const struct buffers *b)
{
    struct tensor t = tensor_shape(DTYPE_F32, 4, b->batch, b->h, b->w, b->channels);
    t.mem = b->t[b->at].mem;
    return t;
}

/* On a tape: new memory for the result of the next step. */
static clio_status take_own(clio_context *ctx, struct arena *arena, struct buffers *b)
{
    clio_status st = CLIO_OK;
    struct tensor t = activations(b);
    if (!ctx->tape)
        return CLIO_OK;
    TRY(tensor_take(ctx, arena, &t));
    b->t[b->at] = t;
fail:
    return st;
}

/* Take the buffers of encoder or decoder for `batch` inputs of h x w. */
static clio_status take_buffers(clio_context *ctx, struct arena *arena, const struct vae_side *side, int batch, int h, int w,
                                struct buffers *b)
{
    clio_status st = CLIO_OK;
    *b = (struct buffers){.batch = batch, .h = h, .w = w, .channels = side->first.w.n};
    if (ctx->tape)
        return take_own(ctx, arena, b);
    for (int i = 0; i <= side->count; i++) {
        size_t count = (size_t)batch * (size_t)b->h * (size_t)b->w * (size_t)b->channels;
        b->count[b->at] = MAX(b->count[b->at], count);
        if (i < side->count)
            advance(b, &side->steps[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (b->count[i] > INT_MAX)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the image is too large to be worked on in one piece: use tiling, or a smaller width and height");
        b->t[i] = tensor_shape(DTYPE_F32, 1, (int)MAX(b->count[i], 1), 0, 0, 0);
        TRY(tensor_take(ctx, arena, &b->t[i]));
    }
    b->h = h;
    b->w = w;
    b->channels = side->first.w.n;
    b->at = 0;
fail:
    return st;
}

static clio_status step_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct vae_step *s, struct buffers *b)
{
    clio_status st = CLIO_OK;
    struct tensor in = activations(b);
    const struct tensor *room = changes_place(s) ? &in : b->count[!b->at] >= tensor_count(&in) ? &b->t[!b->at] : NULL;
    advance(b, s);
    if (s->kind != VAE_ATTENTION)
        TRY(take_own(ctx, arena, b));
    struct tensor out = activations(b);
    switch (s->kind) {
    case VAE_RESNET:
        if (net->recompute && ctx->tape)
            return resnet_recompute_fwd(ctx, arena, &s->resnet, &out, &in, NULL, NULL);
        return resnet_fwd(ctx, arena, &s->resnet, &out, &in, room, NULL);
    case VAE_ATTENTION:
        return pixel_attention_fwd(ctx, arena, &s->attention, &in);
    case VAE_DOWN:
        return downsample_fwd(ctx, arena, &out, &in, &s->conv, 0);
    case VAE_UP:
        return upsample_fwd(ctx, arena, &out, &in, &s->conv);
    }
fail:
    return st;
}

static clio_status side_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct vae_side *side,
                            const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct buffers b;
    TRY(take_buffers(ctx, arena, side, in->dim[0], in->dim[1], in->dim[2], &b));
    struct tensor x = activations(&b), last;
    TRY(linear_conv_fwd(ctx, arena, &x, in, &side->first, NULL, ACT_NONE, NULL));
    for (int i = 0; i < side->count; i++)
        TRY(step_fwd(ctx, arena, net, &side->steps[i], &b));
    x = activations(&b);
    TRY(take_own(ctx, arena, &b));
    last = activations(&b);
    TRY(group_norm_fwd(ctx, arena, &last, &x, &side->norm, net->config.groups, 1e-6f, ACT_SILU));
    TRY(linear_conv_fwd(ctx, arena, out, &last, &side->last, NULL, ACT_NONE, NULL));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status vae_encode_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct tensor *moments,
                           const struct tensor *images)
{
    clio_status st = CLIO_OK;
    const struct vae_config *c = &net->config;
    uint64_t mark = arena_mark(arena);
    struct tensor inner = *moments;
    if (c->quant)
        TRY(tensor_take(ctx, arena, &inner));
    TRY(side_fwd(ctx, arena, net, net->encoder, &inner, images));
    if (c->quant)
        TRY(linear_fwd(ctx, moments, &inner, &net->quant, ACT_NONE, NULL));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status vae_decode_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct tensor *images,
                           const struct tensor *latents)
{
    clio_status st = CLIO_OK;
    const struct vae_config *c = &net->config;
    uint64_t mark = arena_mark(arena);
    struct tensor inner = *latents;
    if (c->post_quant) {
        TRY(tensor_take(ctx, arena, &inner));
        TRY(linear_fwd(ctx, &inner, latents, &net->post_quant, ACT_NONE, NULL));
    }
    TRY(side_fwd(ctx, arena, net, net->decoder, images, &inner));
fail:
    arena_release(arena, mark);
    return st;
}

/* ---- one image or tile, host to host ---- */

struct job {
    clio_context *ctx;
    struct arena *arena;
    const struct vae *net;
    bool decode;
};

static clio_status forward(const struct job *j, float *out, const float *in, int h, int w)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    const struct vae_config *c = &j->net->config;
    uint64_t mark = arena_mark(j->arena);
    struct tensor from = tensor_shape(DTYPE_F32, 4, 1, h, w, j->decode ? c->latent : c->in), to;
    to = j->decode ? tensor_shape(DTYPE_F32, 4, 1, h * c->factor, w * c->factor, c->out)
                   : tensor_shape(DTYPE_F32, 4, 1, h / c->factor, w / c->factor, 2 * c->latent);
    TRY(tensor_take(ctx, j->arena, &from));
    TRY(tensor_take(ctx, j->arena, &to));
    TRY(nchw_write(ctx, &from, in));
    if (j->decode)
        TRY(vae_decode_fwd(ctx, j->arena, j->net, &to, &from));
    else
        TRY(vae_encode_fwd(ctx, j->arena, j->net, &to, &from));
    TRY(nchw_read(ctx, &to, out));
fail:
    arena_release(j->arena, mark);
    return st;
}

static clio_status plan(const struct job *j, int h, int w)
{
    clio_status st = CLIO_OK;
    bool before = j->ctx->planning;
    j->ctx->planning = true;
    st = forward(j, NULL, NULL, h, w);
    j->ctx->planning = before;
    return st;
}

static clio_status make_tile(void *user, float *out, const float *in, int h, int w)
{
    clio_status st = CLIO_OK;
    const struct job *j = user;
    TRY(plan(j, h, w));
    TRY(arena_commit(j->ctx, j->arena,
                     j->decode ? "decoding the image (tiling needs less, and so do a smaller width and height)"
                               : "encoding the image (tiling needs less, and so do a smaller width and height)"));
    TRY(forward(j, out, in, h, w));
fail:
    return st;
}

/* The tiles for h x w latents; false: no tiling is needed. The stride is a whole number of latents, and of pixels where pixels are the
 * input. */
static bool cut(const struct job *j, int h, int w, struct vae_tiling tiling, struct tiles *t)
{
    const struct vae_config *c = &j->net->config;
    double overlap = tiling.overlap > 0 && tiling.overlap < 1 ? tiling.overlap : OVERLAP;
    int step = MAX(1, (int)(tiling.size * (1 - overlap))), in = j->decode ? 1 : c->factor, out = j->decode ? c->factor : 1;
    *t = (struct tiles){.size = tiling.size * in,
                        .step = step * in,
                        .limit = step * out,
                        .blend = (tiling.size - step) * out,
                        .up = out,
                        .down = in,
                        .in_channels = j->decode ? c->latent : c->in,
                        .out_channels = j->decode ? c->out : 2 * c->latent,
                        .make = make_tile};
    return tiling.size > 0 && (h > tiling.size || w > tiling.size);
}

static clio_status run(struct job *j, float *out, const float *in, int batch, int h, int w, struct vae_tiling tiling)
{
    clio_status st = CLIO_OK;
    struct tiles t;
    bool tiled = cut(j, h, w, tiling, &t);
    int ih = h * t.down, iw = w * t.down;
    size_t in_size = (size_t)t.in_channels * (size_t)ih * (size_t)iw;
    size_t out_size = (size_t)t.out_channels * (size_t)(h * t.up) * (size_t)(w * t.up);
    t.user = j;
    for (int b = 0; b < batch; b++)
        if (tiled)
            TRY(tiles_run(j->ctx, &t, out + (size_t)b * out_size, in + (size_t)b * in_size, ih, iw));
        else
            TRY(make_tile(j, out + (size_t)b * out_size, in + (size_t)b * in_size, ih, iw));
fail:
    return st;
}

clio_status vae_decode(clio_context *ctx, struct arena *arena, const struct vae *net, float *images, const float *latents, int batch, int h,
                       int w, struct vae_tiling tiling)
{
    struct job j = {ctx, arena, net, true};
    return run(&j, images, latents, batch, h, w, tiling);
}

clio_status vae_encode(clio_context *ctx, struct arena *arena, const struct vae *net, float *moments, const float *images, int batch, int h,
                       int w, struct vae_tiling tiling)
{
    struct job j = {ctx, arena, net, false};
    return run(&j, moments, images, batch, h, w, tiling);
}

clio_status vae_scratch(clio_context *ctx, const struct vae *net, bool decode, int h, int w, struct vae_tiling tiling, uint64_t *bytes)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    struct job j = {ctx, &arena, net, decode};
    struct tiles t;
    bool tiled = cut(&j, h, w, tiling, &t);
    TRY(plan(&j, (tiled ? MIN(h, tiling.size) : h) * t.down, (tiled ? MIN(w, tiling.size) : w) * t.down));
    *bytes = arena.peak;
fail:
    arena_free(ctx, &arena);
    return st;
}

int vae_tile_size(const struct vae_config *c)
{
    return MAX(1, c->sample / c->factor);
}

void vae_sample(const struct vae_config *c, float *latents, const float *moments, const float *noise, int batch, int h, int w)
{
    size_t count = (size_t)c->latent * (size_t)h * (size_t)w;
    for (int b = 0; b < batch; b++)
        for (size_t i = 0; i < count; i++) {
            const float *mean = moments + (size_t)b * 2 * count + i;
            float logvar = fminf(fmaxf(mean[count], VAE_LOGVAR_MIN), VAE_LOGVAR_MAX);
            size_t at = (size_t)b * count + i;
            latents[at] = mean[0] + (noise ? expf(0.5f * logvar) * noise[at] : 0);
        }
}

void vae_to_sampler(const struct vae_config *c, float *latents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        latents[i] = (latents[i] - (float)c->shift) * (float)c->scaling;
}

void vae_from_sampler(const struct vae_config *c, float *latents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        latents[i] = latents[i] / (float)c->scaling + (float)c->shift;
}
