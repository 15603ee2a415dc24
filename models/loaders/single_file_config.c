/* single_file_config.c - the configurations of a diffusers folder for a single-file checkpoint. single_file.h says which values are read
 * from shapes and which are fixed. */
#include "single_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG_MODEL "this is a checkpoint of another model, or the file is damaged"

clio_status single_dimension(clio_context *ctx, const struct weights *view, const char *name, int axis, int *out)
{
    clio_status st = CLIO_OK;
    const struct weight *w = weights_find(view, name);
    if (!w)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the tensor of %s is missing: " WRONG_MODEL, view->path, name);
    if (w->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the tensor of %s %s", view->path, name, w->problem);
    if (w->ndim <= axis || w->dim[axis] < 1)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the tensor of %s has too few dimensions: " WRONG_MODEL, view->path, name);
    *out = w->dim[axis];
fail:
    return st;
}

clio_status single_set_config(clio_context *ctx, struct json_file *file, const char *path, json_t *root)
{
    clio_status st = CLIO_OK;
    file->root = root;
    if (!root)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(mem_string(ctx, &file->path, path));
fail:
    return st;
}

static clio_status text_config(clio_context *ctx, struct single_file *s, const struct single_shape *shape)
{
    clio_status st = CLIO_OK;
    const struct weights *view = &s->text_encoder;
    int vocab, width, positions, inner;
    TRY(single_dimension(ctx, view, "text_model.embeddings.token_embedding.weight", 0, &vocab));
    TRY(single_dimension(ctx, view, "text_model.embeddings.token_embedding.weight", 1, &width));
    TRY(single_dimension(ctx, view, "text_model.embeddings.position_embedding.weight", 0, &positions));
    TRY(single_dimension(ctx, view, "text_model.encoder.layers.0.mlp.fc1.weight", 0, &inner));
    TRY(single_set_config(ctx, &s->text_encoder_config, s->file.path,
                          json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:s,s:f,s:i,s:i}", "model_type", "clip_text_model", "hidden_size", width,
                                    "intermediate_size", inner, "num_hidden_layers", shape->text_layers, "num_attention_heads",
                                    MAX(width / 64, 1), "max_position_embeddings", positions, "vocab_size", vocab, "hidden_act",
                                    shape->is_open_clip ? "gelu" : "quick_gelu", "layer_norm_eps", 1e-5, "bos_token_id", MAX(vocab - 2, 0),
                                    "eos_token_id", vocab - 1)));
fail:
    return st;
}

static clio_status append(clio_context *ctx, json_t *list, json_t *value)
{
    return json_array_append_new(list, value) ? clio_fail(ctx, CLIO_ERROR_MEMORY, __FILE__, __LINE__, "the host is out of memory")
                                              : CLIO_OK;
}

/* Lists with an entry per level: block_out_channels, attention_head_dim (heads of 64 channels), down_block_types, up_block_types. */
struct levels {
    json_t *widths, *heads, *down, *up;
};

static void levels_free(struct levels *l)
{
    json_decref(l->widths);
    json_decref(l->heads);
    json_decref(l->down);
    json_decref(l->up);
}

static bool has_attention(const struct weights *view, int level)
{
    char name[128];
    snprintf(name, sizeof name, "down_blocks.%d.attentions.0.proj_in.weight", level);
    return weights_find(view, name) != NULL;
}

/* start: prefix of the names. The caller frees the lists, after a failure, too. */
static clio_status levels_read(clio_context *ctx, struct levels *l, const struct weights *view, const char *start, int count, bool is_unet)
{
    clio_status st = CLIO_OK;
    *l = (struct levels){json_array(), json_array(), json_array(), json_array()};
    for (int i = 0; i < count; i++) {
        char name[128];
        int width;
        const char *down = "DownEncoderBlock2D", *up = "UpDecoderBlock2D";
        snprintf(name, sizeof name, "%sdown_blocks.%d.resnets.0.conv2.weight", start, i);
        TRY(single_dimension(ctx, view, name, 0, &width));
        if (is_unet) {
            down = has_attention(view, i) ? "CrossAttnDownBlock2D" : "DownBlock2D";
            up = has_attention(view, count - 1 - i) ? "CrossAttnUpBlock2D" : "UpBlock2D";
        }
        TRY(append(ctx, l->widths, json_integer(width)));
        TRY(append(ctx, l->heads, json_integer(MAX(width / 64, 1))));
        TRY(append(ctx, l->down, json_string(down)));
        TRY(append(ctx, l->up, json_string(up)));
    }
fail:
    return st;
}

static clio_status unet_config(clio_context *ctx, struct single_file *s, const struct single_shape *shape, int sample_size)
{
    clio_status st = CLIO_OK;
    const struct weights *view = &s->unet;
    const struct weight *projection = weights_find(view, "down_blocks.0.attentions.0.proj_in.weight");
    const char *text_keys = shape->has_middle ? "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
                                              : "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    json_t *middle = shape->has_middle ? json_string("UNetMidBlock2DCrossAttn") : json_null();
    struct levels levels = {0};
    int in, out, text_width;
    TRY(single_dimension(ctx, view, "conv_in.weight", 1, &in));
    TRY(single_dimension(ctx, view, "conv_out.weight", 0, &out));
    TRY(single_dimension(ctx, view, text_keys, 1, &text_width));
    TRY(levels_read(ctx, &levels, view, "", shape->unet_levels, true));
    TRY(single_set_config(ctx, &s->unet_config, s->file.path,
                          json_pack("{s:s,s:s,s:i,s:i,s:O,s:O,s:O,s:O,s:i,s:i,s:o,s:b,s:i,s:f,s:i,s:b,s:i,s:i}", "_class_name",
                                    "UNet2DConditionModel", "act_fn", "silu", "in_channels", in, "out_channels", out, "block_out_channels",
                                    levels.widths, "down_block_types", levels.down, "up_block_types", levels.up, "mid_block_type", middle,
                                    "layers_per_block", shape->unet_layers, "cross_attention_dim", text_width, "attention_head_dim",
                                    shape->is_open_clip ? json_incref(levels.heads) : json_integer(8), "use_linear_projection",
                                    projection && projection->ndim == 2, "norm_num_groups", 32, "norm_eps", 1e-5, "freq_shift", 0,
                                    "flip_sin_to_cos", 1, "downsample_padding", 1, "sample_size", sample_size)));
fail:
    json_decref(middle);
    levels_free(&levels);
    return st;
}

clio_status single_vae_config(clio_context *ctx, struct single_file *s, const struct single_shape *shape, int sample_size)
{
    clio_status st = CLIO_OK;
    const struct weights *view = &s->vae;
    struct levels levels = {0};
    int in, out, latent;
    TRY(single_dimension(ctx, view, "encoder.conv_in.weight", 1, &in));
    TRY(single_dimension(ctx, view, "decoder.conv_out.weight", 0, &out));
    TRY(single_dimension(ctx, view, "decoder.conv_in.weight", 1, &latent));
    TRY(levels_read(ctx, &levels, view, "encoder.", shape->vae_levels, false));
    TRY(single_set_config(ctx, &s->vae_config, s->file.path,
                          json_pack("{s:s,s:s,s:i,s:i,s:i,s:O,s:O,s:O,s:i,s:i,s:f,s:b,s:b,s:i}", "_class_name", "AutoencoderKL", "act_fn",
                                    "silu", "in_channels", in, "out_channels", out, "latent_channels", latent, "block_out_channels",
                                    levels.widths, "down_block_types", levels.down, "up_block_types", levels.up, "layers_per_block",
                                    shape->vae_layers, "norm_num_groups", 32, "scaling_factor", 0.18215, "use_quant_conv",
                                    weights_find(view, "quant_conv.weight") != NULL, "use_post_quant_conv",
                                    weights_find(view, "post_quant_conv.weight") != NULL, "sample_size", sample_size)));
fail:
    levels_free(&levels);
    return st;
}

/* "epsilon", "v_prediction" or "sample", by the rules of single_file.h; *assumed: nothing says it. */
static clio_status find_prediction(clio_context *ctx, const struct single_file *s, const char *prediction, const char **out, bool *assumed)
{
    clio_status st = CLIO_OK;
    char *type = NULL, *architecture = NULL;
    int channels;
    *out = prediction;
    *assumed = false;
    if (prediction && strcmp(prediction, "epsilon") != 0 && strcmp(prediction, "v_prediction") != 0 && strcmp(prediction, "sample") != 0)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "unknown prediction type \"%.60s\": use epsilon, v_prediction or sample", prediction);
    if (prediction)
        return CLIO_OK;
    TRY(weights_note(ctx, &s->file, "modelspec.prediction_type", &type));
    TRY(weights_note(ctx, &s->file, "modelspec.architecture", &architecture));
    TRY(single_dimension(ctx, &s->unet, "conv_in.weight", 1, &channels));
    if ((type && (!strcmp(type, "v") || !strcmp(type, "v_prediction"))) || weights_find(&s->file, "v_pred"))
        *out = "v_prediction";
    else if ((type && !strcmp(type, "epsilon")) || (architecture && !strncmp(architecture, "stable-diffusion-v2-512", 23)))
        *out = "epsilon";
    else
        *assumed = s->is_version_2 && channels == 4;
    if (!*out)
        *out = *assumed ? "v_prediction" : "epsilon";
fail:
    free(type);
    free(architecture);
    return st;
}

clio_status single_configs(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const char *prediction)
{
    clio_status st = CLIO_OK;
    int side;
    bool is_v;
    s->is_version_2 = shape->is_open_clip;
    TRY(find_prediction(ctx, s, prediction, &prediction, &s->assumed));
    is_v = !strcmp(prediction, "v_prediction");
    side = is_v && shape->is_open_clip ? 768 : 512;
    TRY(text_config(ctx, s, shape));
    TRY(unet_config(ctx, s, shape, side / 8));
    if (shape->vae_levels)
        TRY(single_vae_config(ctx, s, shape, side));
    TRY(single_set_config(ctx, &s->scheduler_config, s->file.path,
                          json_pack("{s:s,s:f,s:f,s:s,s:i,s:s,s:b,s:b,s:i,s:s}", "_class_name", is_v ? "DDIMScheduler" : "PNDMScheduler",
                                    "beta_start", 0.00085, "beta_end", 0.012, "beta_schedule", "scaled_linear", "num_train_timesteps", 1000,
                                    "prediction_type", prediction, "set_alpha_to_one", 0, "skip_prk_steps", 1, "steps_offset", 1,
                                    "timestep_spacing", "leading")));
fail:
    return st;
}
