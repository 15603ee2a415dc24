/* autoencoder_tiny.c - configuration, weights and forward passes of AutoencoderTiny. The fields are those of diffusers'
 * AutoencoderTiny.__init__ (0.42). */
#include "autoencoder_tiny.h"
#include "../loaders/config.h"
#include "autoencoder_kl.h"
#include "../nn/layout.h"

#include <stdio.h>
#include <stdlib.h>

static const struct field tiny_fields[] = {
    /* read below */
    {"in_channels", NULL},
    {"out_channels", NULL},
    {"latent_channels", NULL},
    {"encoder_block_out_channels", NULL},
    {"decoder_block_out_channels", NULL},
    {"num_encoder_blocks", NULL},
    {"num_decoder_blocks", NULL},
    /* without effect: everything is computed in f32; scaling of latents to 8-bit images */
    {"force_upcast", NULL},
    {"block_out_channels", NULL},
    {"latent_magnitude", NULL},
    {"latent_shift", NULL},
    {"torch_dtype", NULL},
    {"dtype", NULL},
    /* only these values */
    {"act_fn", "\"relu\""},
    {"upsample_fn", "\"nearest\""},
    {"upsampling_scaling_factor", "2"},
    {"scaling_factor", "1|1.0|null"},
    {"shift_factor", "0|0.0|null"},
};

/* State while loading encoder or decoder. index: of torch.nn.Sequential, which counts activations and upsampling too. */
struct loading {
    clio_context *ctx;
    const struct weights *weights;
    struct vae_tiny_side *side;
    const char *name;
    int index;
};

static clio_status begin_side(struct loading *l, struct vae_tiny_side **side, const char *name)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(l->ctx, side, 1, sizeof **side));
    l->side = *side;
    l->name = name;
    l->index = 0;
fail:
    return st;
}

static clio_status add_conv(struct loading *l, int in, int out, int stride, int upsample, bool bias)
{
    char key[64];
    struct vae_tiny_layer *layer = &l->side->layers[l->side->count++];
    snprintf(key, sizeof key, "%s.layers.%d", l->name, l->index++);
    layer->stride = stride;
    layer->upsample = upsample;
    return linear_load(l->ctx, &layer->conv[0], key, out, in, 3, !bias, l->weights);
}

static clio_status add_blocks(struct loading *l, int width, int count)
{
    clio_status st = CLIO_OK;
    char key[64];
    for (int i = 0; i < count; i++, l->index++) {
        struct vae_tiny_layer *layer = &l->side->layers[l->side->count++];
        layer->block = true;
        for (int j = 0; j < 3; j++) {
            snprintf(key, sizeof key, "%s.layers.%d.conv.%d", l->name, l->index, 2 * j);
            TRY(linear_load(l->ctx, &layer->conv[j], key, width, width, 3, false, l->weights));
        }
    }
fail:
    return st;
}

struct sizes {
    int count, widths[VAE_TINY_BLOCKS], blocks[VAE_TINY_BLOCKS];
};

static clio_status read_sizes(clio_context *ctx, const struct json_file *file, const char *widths, const char *blocks, struct sizes *s)
{
    clio_status st = CLIO_OK;
    TRY(config_count(ctx, file, widths, VAE_TINY_BLOCKS, &s->count));
    TRY(config_ints(ctx, file, widths, s->count, 1, 1 << 12, 0, s->widths));
    TRY(config_ints(ctx, file, blocks, s->count, 0, VAE_TINY_LAYERS / VAE_TINY_BLOCKS - 2, -1, s->blocks));
    for (int i = 1; i < s->count; i++)
        if (s->widths[i] != s->widths[0])
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s: \"%s\" has different entries, which no layer of this autoencoder leads over: use another "
                 "model",
                 file->path, widths);
fail:
    return st;
}

static clio_status load_encoder(struct loading *l, struct vae_tiny *net, const struct sizes *s)
{
    clio_status st = CLIO_OK;
    TRY(begin_side(l, &net->encoder, "encoder"));
    for (int i = 0; i < s->count; i++) {
        TRY(i ? add_conv(l, s->widths[i], s->widths[i], 2, 1, false) : add_conv(l, net->in, s->widths[0], 1, 1, true));
        TRY(add_blocks(l, s->widths[i], s->blocks[i]));
    }
    TRY(add_conv(l, s->widths[s->count - 1], net->latent, 1, 1, true));
fail:
    return st;
}

static clio_status load_decoder(struct loading *l, struct vae_tiny *net, const struct sizes *s)
{
    clio_status st = CLIO_OK;
    TRY(begin_side(l, &net->decoder, "decoder"));
    TRY(add_conv(l, net->latent, s->widths[0], 1, 1, true));
    l->side->layers[0].relu = true;
    l->index++; /* the activation */
    for (int i = 0; i < s->count; i++) {
        bool last = i == s->count - 1;
        TRY(add_blocks(l, s->widths[i], s->blocks[i]));
        l->index += !last; /* the upsampling */
        TRY(add_conv(l, s->widths[i], last ? net->out : s->widths[i], 1, last ? 1 : 2, last));
    }
fail:
    return st;
}

clio_status vae_tiny_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, int parts, struct vae_tiny *net)
{
    clio_status st = CLIO_OK;
    const float one = 1;
    struct sizes encoder = {0}, decoder = {0};
    struct loading l = {.ctx = ctx, .weights = weights};
    *net = (struct vae_tiny){0};
    TRY(config_check(ctx, config, "AutoencoderTiny", tiny_fields, COUNT(tiny_fields)));
    TRY(json_int(ctx, config, "in_channels", 1, 64, 3, &net->in));
    TRY(json_int(ctx, config, "out_channels", 1, 64, 3, &net->out));
    TRY(json_int(ctx, config, "latent_channels", 1, 256, 4, &net->latent));
    TRY(read_sizes(ctx, config, "encoder_block_out_channels", "num_encoder_blocks", &encoder));
    TRY(read_sizes(ctx, config, "decoder_block_out_channels", "num_decoder_blocks", &decoder));
    if (encoder.count != decoder.count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the encoder has %d sizes and the decoder %d (\"encoder_block_out_channels\"); download it again",
             config->path, encoder.count, decoder.count);
    net->factor = 1 << (encoder.count - 1);
    net->one = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(tensor_new(ctx, &net->one, "the small autoencoder"));
    TRY(tensor_write(ctx, &net->one, 0, 1, &one));
    if (parts & VAE_ENCODER)
        TRY(load_encoder(&l, net, &encoder));
    if (parts & VAE_DECODER)
        TRY(load_decoder(&l, net, &decoder));
fail:
    if (st)
        vae_tiny_free(ctx, net);
    return st;
}

static void free_side(clio_context *ctx, struct vae_tiny_side *side)
{
    for (int i = 0; side && i < side->count; i++)
        for (int j = 0; j < 3; j++)
            linear_free(ctx, &side->layers[i].conv[j]);
    free(side);
}

void vae_tiny_free(clio_context *ctx, struct vae_tiny *net)
{
    free_side(ctx, net->encoder);
    free_side(ctx, net->decoder);
    tensor_free(ctx, &net->one);
    *net = (struct vae_tiny){0};
}

/* ---- forward ---- */

/* x = relu(x + conv(relu(conv(relu(conv(x)))))) */
static clio_status block_fwd(clio_context *ctx, struct arena *arena, const struct vae_tiny_layer *l, const struct tensor *x)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor a = *x, b = *x;
    TRY(tensor_take(ctx, arena, &a));
    TRY(tensor_take(ctx, arena, &b));
    TRY(linear_conv_fwd(ctx, arena, &a, x, &l->conv[0], NULL, ACT_RELU, NULL));
    TRY(linear_conv_fwd(ctx, arena, &b, &a, &l->conv[1], NULL, ACT_RELU, NULL));
    TRY(linear_conv_fwd(ctx, arena, x, &b, &l->conv[2], NULL, ACT_NONE, x));
    TRY(op_activation_fwd(ctx, x, x, ACT_RELU, 0));
fail:
    arena_release(arena, mark);
    return st;
}

static struct tensor after(const struct vae_tiny_layer *l, const struct tensor *x)
{
    if (l->block)
        return *x;
    return tensor_shape(DTYPE_F32, 4, x->dim[0], x->dim[1] * l->upsample / l->stride, x->dim[2] * l->upsample / l->stride, l->conv[0].w.n);
}

/* in -> out through all layers, in two buffers of the size of the largest activations. */
static clio_status side_fwd(clio_context *ctx, struct arena *arena, const struct vae_tiny_side *side, const struct tensor *out,
                            const struct tensor *in)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor x = *in, largest = *in, rooms[2];
    for (int i = 0; i < side->count - 1; i++) {
        x = after(&side->layers[i], &x);
        if (tensor_count(&x) > tensor_count(&largest))
            largest = x;
    }
    rooms[0] = rooms[1] = largest;
    TRY(tensor_take(ctx, arena, &rooms[0]));
    TRY(tensor_take(ctx, arena, &rooms[1]));
    x = *in;
    for (int i = 0, at = 0; i < side->count; i++) {
        const struct vae_tiny_layer *l = &side->layers[i];
        struct tensor y = after(l, &x);
        if (l->block) {
            TRY(block_fwd(ctx, arena, l, &x));
            continue;
        }
        y.mem = i == side->count - 1 ? out->mem : rooms[at].mem;
        if (l->stride == 2)
            TRY(downsample_fwd(ctx, arena, &y, &x, &l->conv[0], 1));
        else if (l->upsample == 2)
            TRY(upsample_fwd(ctx, arena, &y, &x, &l->conv[0]));
        else
            TRY(linear_conv_fwd(ctx, arena, &y, &x, &l->conv[0], NULL, l->relu ? ACT_RELU : ACT_NONE, NULL));
        x = y;
        at = !at;
    }
fail:
    arena_release(arena, mark);
    return st;
}

/* One image or latent: 3 tanh(x / 3) before the decoder; images are 0 to 1 inside. */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct vae_tiny *net, bool decode, float *out, const float *in,
                           int h, int w)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor latent = tensor_shape(DTYPE_F32, 4, 1, h, w, net->latent);
    struct tensor image = tensor_shape(DTYPE_F32, 4, 1, h * net->factor, w * net->factor, decode ? net->out : net->in);
    TRY(tensor_take(ctx, arena, &latent));
    TRY(tensor_take(ctx, arena, &image));
    if (decode) {
        TRY(nchw_write(ctx, &latent, in));
        TRY(op_add_fwd(ctx, &latent, &latent, &net->one, 1.0f / 3.0f, 0));
        TRY(op_activation_fwd(ctx, &latent, &latent, ACT_TANH, 0));
        TRY(op_add_fwd(ctx, &latent, &latent, &net->one, 3, 0));
        TRY(side_fwd(ctx, arena, net->decoder, &image, &latent));
        TRY(op_add_fwd(ctx, &image, &image, &net->one, 2, -1));
        TRY(nchw_read(ctx, &image, out));
    } else {
        TRY(nchw_write(ctx, &image, in));
        TRY(op_add_fwd(ctx, &image, &image, &net->one, 0.5f, 0.5f));
        TRY(side_fwd(ctx, arena, net->encoder, &latent, &image));
        TRY(nchw_read(ctx, &latent, out));
    }
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status run(clio_context *ctx, struct arena *arena, const struct vae_tiny *net, bool decode, float *out, const float *in,
                       int batch, int h, int w)
{
    clio_status st = CLIO_OK;
    size_t pixels = (size_t)h * (size_t)w, large = pixels * (size_t)net->factor * (size_t)net->factor;
    size_t in_size = decode ? pixels * (size_t)net->latent : large * (size_t)net->in;
    size_t out_size = decode ? large * (size_t)net->out : pixels * (size_t)net->latent;
    bool before = ctx->planning;
    ctx->planning = true;
    st = forward(ctx, arena, net, decode, NULL, NULL, h, w);
    ctx->planning = before;
    TRY(st);
    TRY(arena_commit(ctx, arena, "the small autoencoder (a smaller width and height need less)"));
    for (int b = 0; b < batch; b++)
        TRY(forward(ctx, arena, net, decode, out + (size_t)b * out_size, in + (size_t)b * in_size, h, w));
fail:
    return st;
}

clio_status vae_tiny_decode(clio_context *ctx, struct arena *arena, const struct vae_tiny *net, float *images, const float *latents,
                            int batch, int h, int w)
{
    return run(ctx, arena, net, true, images, latents, batch, h, w);
}

clio_status vae_tiny_encode(clio_context *ctx, struct arena *arena, const struct vae_tiny *net, float *latents, const float *images,
                            int batch, int h, int w)
{
    return run(ctx, arena, net, false, latents, images, batch, h, w);
}
