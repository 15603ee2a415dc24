/* unet_config.c - a UNet's config.json. Every field is known or refused (config.h); they are those of diffusers'
 * UNet2DConditionModel.__init__ (0.42). */
#include "../loaders/config.h"
#include "unet.h"

#include <string.h>

#define TRANSFORMERS_MAX 512 /* layers; published UNets have up to 70 */

static const struct field unet_fields[] = {
    /* read below */
    {"sample_size", NULL},
    {"in_channels", NULL},
    {"out_channels", NULL},
    {"center_input_sample", NULL},
    {"flip_sin_to_cos", NULL},
    {"freq_shift", NULL},
    {"down_block_types", NULL},
    {"mid_block_type", NULL},
    {"up_block_types", NULL},
    {"block_out_channels", NULL},
    {"layers_per_block", NULL},
    {"downsample_padding", NULL},
    {"norm_num_groups", NULL},
    {"norm_eps", NULL},
    {"cross_attention_dim", NULL},
    {"transformer_layers_per_block", NULL},
    {"attention_head_dim", NULL},
    {"num_attention_heads", NULL},
    {"class_embed_type", NULL},
    {"num_class_embeds", NULL},
    {"projection_class_embeddings_input_dim", NULL},
    {"time_embedding_dim", NULL},
    {"time_cond_proj_dim", NULL},
    {"conv_in_kernel", NULL},
    {"conv_out_kernel", NULL},
    /* without effect: training, other implementations, and shapes that the weights have themselves */
    {"dropout", NULL},
    {"upcast_attention", NULL},
    {"use_linear_projection", NULL},
    {"addition_embed_type_num_heads", NULL},
    {"decay", NULL},
    {"inv_gamma", NULL},
    {"min_decay", NULL},
    {"optimization_step", NULL},
    {"power", NULL},
    {"update_after_step", NULL},
    {"use_ema_warmup", NULL},
    {"torch_dtype", NULL},
    {"dtype", NULL},
    /* only these values */
    {"act_fn", "\"silu\"|\"swish\""},
    {"only_cross_attention", "false|null"},
    {"mid_block_only_cross_attention", "false|null"},
    {"mid_block_scale_factor", "1|1.0"},
    {"dual_cross_attention", "false|null"},
    {"reverse_transformer_layers_per_block", "null"},
    {"encoder_hid_dim", "null"},
    {"encoder_hid_dim_type", "null"},
    {"addition_embed_type", "null"},
    {"addition_time_embed_dim", "null"},
    {"resnet_time_scale_shift", "\"default\""},
    {"resnet_skip_time_act", "false|null"},
    {"resnet_out_scale_factor", "1|1.0"},
    {"time_embedding_type", "\"positional\""},
    {"time_embedding_act_fn", "null"},
    {"timestep_post_act", "null"},
    {"attention_type", "\"default\""},
    {"class_embeddings_concat", "false|null"},
    {"cross_attention_norm", "null"},
};

/* Which down or up blocks have cross-attention; `way` is "Down" or "Up". */
static clio_status read_blocks(clio_context *ctx, const struct json_file *file, const char *key, const char *way, int count, bool *attends)
{
    clio_status st = CLIO_OK;
    const char *type;
    int found = 0;
    TRY(config_count(ctx, file, key, UNET_BLOCKS, &found));
    if (found != count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" has %d entries and \"block_out_channels\" %d, which must be the same; download it again",
             file->path, key, found, count);
    for (int i = 0; i < count; i++) {
        TRY(config_text(ctx, file, key, i, &type));
        attends[i] = strncmp(type, "CrossAttn", 9) == 0;
        const char *rest = attends[i] ? type + 9 : type;
        if (strncmp(rest, way, strlen(way)) != 0 || strcmp(rest + strlen(way), "Block2D") != 0)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s: \"%s\" names a block %.80s, and clio knows %sBlock2D and CrossAttn%sBlock2D there: use "
                 "another model",
                 file->path, key, type, way, way);
    }
fail:
    return st;
}

static clio_status read_mid(clio_context *ctx, const struct json_file *file, struct unet_config *c)
{
    clio_status st = CLIO_OK;
    const json_t *value = json_object_get(file->root, "mid_block_type");
    const char *type;
    c->has_mid = !value || !json_is_null(value);
    c->mid_attends = c->has_mid;
    if (!c->has_mid)
        return CLIO_OK;
    TRY(json_text(ctx, file, "mid_block_type", "UNetMidBlock2DCrossAttn", &type));
    c->mid_attends = strcmp(type, "UNetMidBlock2DCrossAttn") == 0;
    if (!c->mid_attends && strcmp(type, "UNetMidBlock2D") != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: \"mid_block_type\" is %.80s, and clio knows UNetMidBlock2DCrossAttn, UNetMidBlock2D and null: use another model",
             file->path, type);
fail:
    return st;
}

static clio_status read_classes(clio_context *ctx, const struct json_file *file, struct unet_config *c)
{
    static const struct {
        const char *name;
        enum unet_class kind;
    } kinds[] = {
        {"timestep", CLASS_TIMESTEP}, {"projection", CLASS_PROJECTION}, {"simple_projection", CLASS_LINEAR}, {"identity", CLASS_IDENTITY}};
    clio_status st = CLIO_OK;
    const char *type;
    size_t i = 0;
    TRY(json_text(ctx, file, "class_embed_type", "", &type));
    if (!*type) {
        TRY(json_int(ctx, file, "num_class_embeds", 0, 1 << 20, 0, &c->class_width));
        c->classes = c->class_width ? CLASS_TABLE : CLASS_NONE;
        return CLIO_OK;
    }
    while (i < COUNT(kinds) && strcmp(type, kinds[i].name) != 0)
        i++;
    if (i == COUNT(kinds))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: \"class_embed_type\" is %.80s, and clio knows timestep, projection, simple_projection, identity and null: use another "
             "model",
             file->path, type);
    c->classes = kinds[i].kind;
    c->class_width = c->classes == CLASS_TIMESTEP ? 1 : c->time;
    if (c->classes == CLASS_PROJECTION || c->classes == CLASS_LINEAR)
        TRY(json_int(ctx, file, "projection_class_embeddings_input_dim", 1, 1 << 16, 0, &c->class_width));
fail:
    return st;
}

/* Fields that are one number for all blocks or a list. */
static clio_status read_lists(clio_context *ctx, const struct json_file *file, struct unet_config *c)
{
    clio_status st = CLIO_OK;
    int texts[UNET_BLOCKS];
    const json_t *heads = json_object_get(file->root, "num_attention_heads");
    TRY(config_ints(ctx, file, "block_out_channels", c->blocks, 1, 1 << 14, 0, c->channels));
    TRY(config_ints(ctx, file, "layers_per_block", c->blocks, 1, UNET_LAYERS - 1, 2, c->layers));
    TRY(config_ints(ctx, file, "transformer_layers_per_block", c->blocks, 1, 64, 1, c->transformers));
    TRY(config_ints(ctx, file, "cross_attention_dim", c->blocks, 1, 1 << 14, 1280, texts));
    /* attention_head_dim is the number of heads: see the comment in diffusers' UNet2DConditionModel.__init__. */
    TRY(config_ints(ctx, file, heads && !json_is_null(heads) ? "num_attention_heads" : "attention_head_dim", c->blocks, 1, 1 << 10, 8,
                    c->heads));
    c->text = texts[0];
    for (int i = 0; i < c->blocks; i++) {
        if (texts[i] != c->text)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s: \"cross_attention_dim\" differs between blocks (%d and %d), which no pipeline of clio has "
                 "text states for: use another model",
                 file->path, c->text, texts[i]);
        if (c->channels[i] % c->heads[i] || c->channels[i] / c->heads[i] > 512)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %d channels (\"block_out_channels\") cannot be shared by %d heads (\"attention_head_dim\")",
                 file->path, c->channels[i], c->heads[i]);
        if (c->channels[i] % c->groups)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %d channels (\"block_out_channels\") cannot be shared by %d groups (\"norm_num_groups\")",
                 file->path, c->channels[i], c->groups);
    }
fail:
    return st;
}

/* A network may be created from the configuration alone. */
static clio_status check_depth(clio_context *ctx, const struct json_file *file, const struct unet_config *c)
{
    clio_status st = CLIO_OK;
    int count = 0;
    for (int i = 0; i < c->blocks; i++)
        count += c->transformers[i] * (2 * c->layers[i] + 1);
    if (count > TRANSFORMERS_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: \"transformer_layers_per_block\" and \"layers_per_block\" ask for %d transformer layers, and clio runs up to %d",
             file->path, count, TRANSFORMERS_MAX);
fail:
    return st;
}

clio_status unet_read_config(clio_context *ctx, const struct json_file *file, struct unet_config *c)
{
    clio_status st = CLIO_OK;
    const json_t *size = json_object_get(file->root, "sample_size");
    *c = (struct unet_config){0};
    TRY(config_check(ctx, file, "UNet2DConditionModel", unet_fields, COUNT(unet_fields)));
    TRY(config_count(ctx, file, "block_out_channels", UNET_BLOCKS, &c->blocks));
    TRY(json_int(ctx, file, "norm_num_groups", 1, 1 << 10, 32, &c->groups));
    TRY(read_lists(ctx, file, c));
    TRY(check_depth(ctx, file, c));
    TRY(read_blocks(ctx, file, "down_block_types", "Down", c->blocks, c->down_attends));
    TRY(read_blocks(ctx, file, "up_block_types", "Up", c->blocks, c->up_attends));
    TRY(read_mid(ctx, file, c));
    TRY(json_int(ctx, file, "in_channels", 1, 256, 4, &c->in));
    TRY(json_int(ctx, file, "out_channels", 1, 256, 4, &c->out));
    if (json_is_integer(size))
        TRY(json_int(ctx, file, "sample_size", 1, 1 << 14, 64, &c->sample));
    TRY(config_number(ctx, file, "norm_eps", 1e-5, &c->eps));
    TRY(json_int(ctx, file, "downsample_padding", 0, 1, 1, &c->padding));
    TRY(json_int(ctx, file, "conv_in_kernel", 1, 15, 3, &c->conv_in));
    TRY(json_int(ctx, file, "conv_out_kernel", 1, 15, 3, &c->conv_out));
    if (c->conv_in % 2 == 0 || c->conv_out % 2 == 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"conv_in_kernel\" is %d and \"conv_out_kernel\" %d, and clio runs odd ones only",
             file->path, c->conv_in, c->conv_out);
    TRY(json_int(ctx, file, "time_embedding_dim", 1, 1 << 16, 4 * c->channels[0], &c->time));
    TRY(json_int(ctx, file, "time_cond_proj_dim", 0, 1 << 16, 0, &c->guidance));
    TRY(json_bool(ctx, file, "center_input_sample", false, &c->center));
    TRY(json_bool(ctx, file, "flip_sin_to_cos", true, &c->flip));
    TRY(json_int(ctx, file, "freq_shift", 0, 1, 0, &c->freq_shift));
    TRY(read_classes(ctx, file, c));
fail:
    return st;
}
