/* autoencoder_file.c - an autoencoder in one file: its tensors under diffusers' names and its configuration. See single_file.h. Source:
 * diffusers, loaders/single_file_utils.py, models/autoencoders/vae.py (EncoderTiny, DecoderTiny). */
#include "single_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS_MAX 128
#define SIDE 512 /* sample_size: where no configuration says it */

static bool has_name(const struct weights *w, const char *start, const char *end)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", start, end);
    return weights_find(w, name) != NULL;
}

/* The tensors as they are named. */
static clio_status view_all(clio_context *ctx, struct single_file *s)
{
    clio_status st = CLIO_OK;
    TRY(weights_view(ctx, &s->vae, s->file.path, s->file.count));
    for (size_t i = 0; i < s->file.count; i++)
        TRY(weights_add(ctx, &s->vae, s->file.list[i].name, &s->file.list[i], NULL));
    TRY(weights_sort(ctx, &s->vae));
fail:
    return st;
}

/* config.json beside the file, if it is that of an autoencoder. */
static clio_status read_beside(clio_context *ctx, struct single_file *s, const char *class_name)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    char *folder = NULL, *path = NULL;
    const char *slash = strrchr(s->file.path, '/'), *found;
    bool exists;
    TRY(mem_string(ctx, &folder, slash ? s->file.path : "."));
    if (slash)
        folder[MAX(slash - s->file.path, 1)] = 0;
    TRY(file_join(ctx, &path, folder, "config.json"));
    TRY(file_check_exists(ctx, path, &exists));
    if (!exists)
        goto fail;
    TRY(json_open(ctx, &file, folder, "config.json"));
    found = json_string_value(json_object_get(file.root, "_class_name"));
    if (found && !strcmp(found, class_name)) {
        s->vae_config = file;
        file = (struct json_file){0};
    }
fail:
    json_close(&file);
    free(folder);
    free(path);
    return st;
}

/* ---- AutoencoderTiny ---- */

/* Residual blocks between the convolutions of one side, whose layers are numbered with activations and upsampling between them. */
static clio_status tiny_blocks(clio_context *ctx, const struct weights *w, const char *side, json_t *blocks)
{
    clio_status st = CLIO_OK;
    char start[64];
    int count = 0;
    bool is_first = true;
    for (int i = 0; i < LAYERS_MAX; i++) {
        snprintf(start, sizeof start, "%s.layers.%d.", side, i);
        if (has_name(w, start, "conv.0.weight")) {
            count++;
        } else if (has_name(w, start, "weight")) { /* a convolution ends a level, but the first one does not */
            if (!is_first && json_array_append_new(blocks, json_integer(count)))
                FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
            is_first = false;
            count = 0;
        }
    }
fail:
    return st;
}

static clio_status tiny_config(clio_context *ctx, struct single_file *s)
{
    clio_status st = CLIO_OK;
    json_t *encoder = json_array(), *decoder = json_array(), *widths = json_array();
    int in, width, latent, out = 3;
    char last[64];
    TRY(single_dimension(ctx, &s->vae, "encoder.layers.0.weight", 1, &in));
    TRY(single_dimension(ctx, &s->vae, "encoder.layers.0.weight", 0, &width));
    TRY(single_dimension(ctx, &s->vae, "decoder.layers.0.weight", 1, &latent));
    TRY(tiny_blocks(ctx, &s->vae, "encoder", encoder));
    TRY(tiny_blocks(ctx, &s->vae, "decoder", decoder));
    for (int i = LAYERS_MAX; i-- > 1;) {
        snprintf(last, sizeof last, "decoder.layers.%d.weight", i);
        if (weights_find(&s->vae, last)) {
            TRY(single_dimension(ctx, &s->vae, last, 0, &out));
            break;
        }
    }
    for (size_t i = 0; i < json_array_size(encoder); i++)
        if (json_array_append_new(widths, json_integer(width)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(single_set_config(ctx, &s->vae_config, s->file.path,
                          json_pack("{s:s,s:s,s:i,s:i,s:i,s:O,s:O,s:O,s:O}", "_class_name", "AutoencoderTiny", "act_fn", "relu",
                                    "in_channels", in, "out_channels", out, "latent_channels", latent, "encoder_block_out_channels", widths,
                                    "decoder_block_out_channels", widths, "num_encoder_blocks", encoder, "num_decoder_blocks", decoder)));
fail:
    json_decref(encoder);
    json_decref(decoder);
    json_decref(widths);
    return st;
}

/* ---- AutoencoderKL ---- */

static void count_levels(const struct weights *w, struct single_shape *shape)
{
    char start[64];
    for (; shape->vae_levels < SINGLE_LEVELS; shape->vae_levels++) {
        snprintf(start, sizeof start, "encoder.down_blocks.%d.resnets.0.", shape->vae_levels);
        if (!has_name(w, start, "conv1.weight"))
            break;
    }
    for (; shape->vae_layers < LAYERS_MAX; shape->vae_layers++) {
        snprintf(start, sizeof start, "encoder.down_blocks.0.resnets.%d.", shape->vae_layers);
        if (!has_name(w, start, "conv1.weight"))
            break;
    }
}

static clio_status open_by_names(clio_context *ctx, struct single_file *s)
{
    clio_status st = CLIO_OK;
    struct single_shape shape = {0};
    bool is_tiny = weights_find(&s->file, "decoder.layers.0.weight") != NULL;
    if (is_tiny || weights_find(&s->file, "encoder.down_blocks.0.resnets.0.conv1.weight")) {
        TRY(view_all(ctx, s));
        TRY(read_beside(ctx, s, is_tiny ? "AutoencoderTiny" : "AutoencoderKL"));
        if (!is_tiny)
            count_levels(&s->vae, &shape);
        if (!s->vae_config.root)
            TRY(is_tiny ? tiny_config(ctx, s) : single_vae_config(ctx, s, &shape, SIDE));
        return CLIO_OK;
    }
    bool is_inside = weights_find(&s->file, SINGLE_VAE "encoder.conv_in.weight") != NULL;
    if (!is_inside && !weights_find(&s->file, "encoder.conv_in.weight"))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has no autoencoder: use a VAE of Stable Diffusion 1 or 2, or a tiny autoencoder with diffusers' names (TAESD)",
             s->file.path);
    TRY(single_vae_read(ctx, s, &shape, is_inside ? SINGLE_VAE : ""));
    if (!shape.vae_levels)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has an incomplete VAE: the tensors of encoder.down.0 are missing; download it again",
             s->file.path);
    TRY(single_vae_config(ctx, s, &shape, SIDE));
fail:
    return st;
}

clio_status autoencoder_file_open(clio_context *ctx, struct single_file *s, const char *path)
{
    clio_status st = CLIO_OK;
    memset(s, 0, sizeof *s);
    TRY(weights_open(ctx, &s->file, path, ""));
    TRY(open_by_names(ctx, s));
fail:
    if (st)
        single_file_close(s);
    return st;
}
