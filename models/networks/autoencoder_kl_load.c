/* autoencoder_kl_load.c - AutoencoderKL's configuration and weights. Every field of the configuration is known or refused; they are those
 * of diffusers' AutoencoderKL.__init__ (0.42). */
#include "../loaders/config.h"
#include "autoencoder_kl.h"
#include "../nn/resnet_block.h"
#include "../nn/attention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 1e-6f /* of every norm: fixed in diffusers' Encoder and Decoder, not in the configuration */

static const struct field vae_fields[] = {
    /* read below */
    {"in_channels", NULL},
    {"out_channels", NULL},
    {"latent_channels", NULL},
    {"block_out_channels", NULL},
    {"layers_per_block", NULL},
    {"norm_num_groups", NULL},
    {"sample_size", NULL},
    {"scaling_factor", NULL},
    {"shift_factor", NULL},
    {"mid_block_add_attention", NULL},
    {"use_quant_conv", NULL},
    {"use_post_quant_conv", NULL},
    /* without effect: everything is computed in f32 */
    {"force_upcast", NULL},
    {"torch_dtype", NULL},
    {"dtype", NULL},
    {"dropout", NULL},
    /* only these values */
    {"act_fn", "\"silu\"|\"swish\""},
    {"down_block_types", "\"DownEncoderBlock2D\""},
    {"up_block_types", "\"UpDecoderBlock2D\""},
    {"latents_mean", "null"},
    {"latents_std", "null"},
};

clio_status vae_read_config(clio_context *ctx, const struct json_file *file, struct vae_config *c)
{
    clio_status st = CLIO_OK;
    const json_t *size = json_object_get(file->root, "sample_size");
    *c = (struct vae_config){0};
    TRY(config_check(ctx, file, "AutoencoderKL", vae_fields, COUNT(vae_fields)));
    TRY(config_count(ctx, file, "block_out_channels", VAE_BLOCKS, &c->blocks));
    TRY(config_ints(ctx, file, "block_out_channels", c->blocks, 1, 1 << 14, 0, c->channels));
    TRY(json_int(ctx, file, "in_channels", 1, 64, 3, &c->in));
    TRY(json_int(ctx, file, "out_channels", 1, 64, 3, &c->out));
    TRY(json_int(ctx, file, "latent_channels", 1, 256, 4, &c->latent));
    TRY(json_int(ctx, file, "layers_per_block", 1, 8, 1, &c->layers));
    TRY(json_int(ctx, file, "norm_num_groups", 1, 1 << 10, 32, &c->groups));
    c->factor = 1 << (c->blocks - 1);
    int sides[2] = {32}, count = 1;
    if (json_is_array(size))
        TRY(config_count(ctx, file, "sample_size", (int)COUNT(sides), &count));
    TRY(config_ints(ctx, file, "sample_size", count, 1, 1 << 14, sides[0], sides));
    c->sample = sides[0];
    TRY(json_bool(ctx, file, "mid_block_add_attention", true, &c->attends));
    TRY(json_bool(ctx, file, "use_quant_conv", true, &c->quant));
    TRY(json_bool(ctx, file, "use_post_quant_conv", true, &c->post_quant));
    TRY(config_number(ctx, file, "scaling_factor", 0.18215, &c->scaling));
    TRY(config_number(ctx, file, "shift_factor", 0, &c->shift));
    if (!(c->scaling > 0))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"scaling_factor\" must be a number above 0", file->path);
    for (int i = 0; i < c->blocks; i++)
        if (c->channels[i] % c->groups)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %d channels (\"block_out_channels\") cannot be shared by %d groups (\"norm_num_groups\")",
                 file->path, c->channels[i], c->groups);
    if (c->attends && c->channels[c->blocks - 1] > 512)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: attention over %d channels in one head (\"block_out_channels\"); clio runs up to 512",
             file->path, c->channels[c->blocks - 1]);
fail:
    return st;
}

/* State while loading encoder or decoder. */
struct loading {
    clio_context *ctx;
    const struct vae_config *c;
    const struct weights *weights;
    struct vae_side *side;
    const char *name; /* "encoder" */
    int channels;
};

static clio_status add_resnet(struct loading *l, const char *prefix, int i, int out)
{
    char key[128];
    struct vae_step *s = &l->side->steps[l->side->count++];
    snprintf(key, sizeof key, "%s.%s.resnets.%d.", l->name, prefix, i);
    s->kind = VAE_RESNET;
    s->resnet = (struct resnet){.in = l->channels, .out = out, .groups = l->c->groups, .eps = EPSILON};
    l->channels = out;
    return resnet_load(l->ctx, &s->resnet, key, l->weights);
}

static clio_status add_resample(struct loading *l, enum vae_kind kind, const char *prefix)
{
    char key[128];
    struct vae_step *s = &l->side->steps[l->side->count++];
    snprintf(key, sizeof key, "%s.%s.%s.0.conv", l->name, prefix, kind == VAE_DOWN ? "downsamplers" : "upsamplers");
    s->kind = kind;
    return linear_load(l->ctx, &s->conv, key, l->channels, l->channels, 3, false, l->weights);
}

static clio_status add_middle(struct loading *l)
{
    clio_status st = CLIO_OK;
    char key[128];
    TRY(add_resnet(l, "mid_block", 0, l->channels));
    if (l->c->attends) {
        struct vae_step *s = &l->side->steps[l->side->count++];
        snprintf(key, sizeof key, "%s.mid_block.attentions.0.", l->name);
        s->kind = VAE_ATTENTION;
        s->attention = (struct pixel_attention){.width = l->channels, .groups = l->c->groups, .eps = EPSILON};
        TRY(pixel_attention_load(l->ctx, &s->attention, key, l->weights));
    }
    TRY(add_resnet(l, "mid_block", 1, l->channels));
fail:
    return st;
}

/* The blocks between image and middle block: `layers` residual blocks each, then down- or upsampling in all but the last. */
static clio_status add_blocks(struct loading *l, enum vae_kind kind, int layers)
{
    clio_status st = CLIO_OK;
    int blocks = l->c->blocks;
    char prefix[64];
    for (int i = 0; i < blocks; i++) {
        TRY(context_progress(l->ctx, "loading the autoencoder", i, blocks));
        snprintf(prefix, sizeof prefix, "%s_blocks.%d", kind == VAE_DOWN ? "down" : "up", i);
        for (int j = 0; j < layers; j++)
            TRY(add_resnet(l, prefix, j, l->c->channels[kind == VAE_DOWN ? i : blocks - 1 - i]));
        if (i < blocks - 1)
            TRY(add_resample(l, kind, prefix));
    }
fail:
    return st;
}

static clio_status load_side(struct loading *l, struct vae_side **out, bool encoder)
{
    clio_status st = CLIO_OK;
    const struct vae_config *c = l->c;
    char key[64];
    int first = encoder ? c->channels[0] : c->channels[c->blocks - 1], last = encoder ? 2 * c->latent : c->out;
    TRY(mem_alloc(l->ctx, out, 1, sizeof **out));
    l->side = *out;
    l->name = encoder ? "encoder" : "decoder";
    l->channels = first;
    snprintf(key, sizeof key, "%s.conv_in", l->name);
    TRY(linear_load(l->ctx, &l->side->first, key, first, encoder ? c->in : c->latent, 3, false, l->weights));
    if (encoder)
        TRY(add_blocks(l, VAE_DOWN, c->layers));
    TRY(add_middle(l));
    if (!encoder)
        TRY(add_blocks(l, VAE_UP, c->layers + 1));
    snprintf(key, sizeof key, "%s.conv_norm_out", l->name);
    TRY(norm_load(l->ctx, &l->side->norm, key, l->channels, l->weights));
    snprintf(key, sizeof key, "%s.conv_out", l->name);
    TRY(linear_load(l->ctx, &l->side->last, key, last, l->channels, 3, false, l->weights));
fail:
    return st;
}

clio_status vae_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, int parts, struct vae *net)
{
    clio_status st = CLIO_OK;
    *net = (struct vae){0};
    const struct vae_config *c = &net->config;
    struct loading l = {.ctx = ctx, .c = c, .weights = weights};
    TRY(vae_read_config(ctx, config, &net->config));
    if (parts & VAE_ENCODER) {
        TRY(load_side(&l, &net->encoder, true));
        if (c->quant)
            TRY(linear_load(ctx, &net->quant, "quant_conv", 2 * c->latent, 2 * c->latent, 1, false, weights));
    }
    if (parts & VAE_DECODER) {
        TRY(load_side(&l, &net->decoder, false));
        if (c->post_quant)
            TRY(linear_load(ctx, &net->post_quant, "post_quant_conv", c->latent, c->latent, 1, false, weights));
    }
fail:
    if (st)
        vae_free(ctx, net);
    return st;
}

static void free_side(clio_context *ctx, struct vae_side *side)
{
    if (!side)
        return;
    for (int i = 0; i < side->count; i++) {
        resnet_free(ctx, &side->steps[i].resnet);
        pixel_attention_free(ctx, &side->steps[i].attention);
        linear_free(ctx, &side->steps[i].conv);
    }
    linear_free(ctx, &side->first);
    linear_free(ctx, &side->last);
    norm_free(ctx, &side->norm);
    free(side);
}

void vae_free(clio_context *ctx, struct vae *net)
{
    free_side(ctx, net->encoder);
    free_side(ctx, net->decoder);
    linear_free(ctx, &net->quant);
    linear_free(ctx, &net->post_quant);
    *net = (struct vae){0};
}
