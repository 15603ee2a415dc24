/* single_file_names.c - convert the original (LDM) tensor names to diffusers' names. Source: see single_file.h. With S numbers per
 * level (layers_per_block + 1, more where blocks were taken out), the LDM UNet numbers its blocks consecutively and diffusers by level:
 *
 *     input_blocks.0       conv_in
 *     input_blocks.i       level (i - 1) / S, layer (i - 1) % S; the last one is the downsampler
 *     output_blocks.i      level i / S, layer i % S; the last one has the upsampler
 *
 * LDM's VAE decoder counts its levels from the output, diffusers from the input. */
#include "single_file.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 256

struct rename {
    const char *from, *to;
};

static const struct rename unet_table[] = {{"time_embed.0.", "time_embedding.linear_1."},
                                           {"time_embed.2.", "time_embedding.linear_2."},
                                           {"input_blocks.0.0.", "conv_in."},
                                           {"middle_block.1.", "mid_block.attentions.0."},
                                           {"out.0.", "conv_norm_out."},
                                           {"out.2.", "conv_out."}};
static const struct rename unet_resnet_table[] = {{"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
                                                  {"out_layers.0.", "norm2."},         {"out_layers.3.", "conv2."},
                                                  {"emb_layers.1.", "time_emb_proj."}, {"skip_connection.", "conv_shortcut."}};
static const struct rename vae_table[] = {{"quant_conv.", "quant_conv."},
                                          {"post_quant_conv.", "post_quant_conv."},
                                          {"encoder.conv_in.", "encoder.conv_in."},
                                          {"encoder.norm_out.", "encoder.conv_norm_out."},
                                          {"encoder.conv_out.", "encoder.conv_out."},
                                          {"decoder.conv_in.", "decoder.conv_in."},
                                          {"decoder.norm_out.", "decoder.conv_norm_out."},
                                          {"decoder.conv_out.", "decoder.conv_out."}};
static const struct rename vae_resnet_table[] = {
    {"norm1.", "norm1."}, {"conv1.", "conv1."}, {"norm2.", "norm2."}, {"conv2.", "conv2."}, {"nin_shortcut.", "conv_shortcut."}};
static const struct rename vae_attention_table[] = {
    {"norm.", "group_norm."}, {"q.", "to_q."}, {"k.", "to_k."}, {"v.", "to_v."}, {"proj_out.", "to_out.0."}};
static const struct rename open_clip_table[] = {{"token_embedding.", "text_model.embeddings.token_embedding."},
                                                {"ln_final.", "text_model.final_layer_norm."}};
static const struct rename open_clip_layer_table[] = {{"ln_1.", "layer_norm1."},
                                                      {"ln_2.", "layer_norm2."},
                                                      {"mlp.c_fc.", "mlp.fc1."},
                                                      {"mlp.c_proj.", "mlp.fc2."},
                                                      {"attn.out_proj.", "self_attn.out_proj."}};

/* ---- parsing ---- */

static bool skip_prefix(const char **at, const char *text)
{
    size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

/* Parse a number of at most three digits and a dot. */
static bool parse_index(const char **at, int *out)
{
    int digits = 0;
    *out = 0;
    for (; **at >= '0' && **at <= '9' && digits < 3; digits++)
        *out = *out * 10 + *(*at)++ - '0';
    return digits > 0 && skip_prefix(at, ".");
}

/* name = start + key with its beginning replaced by the table; false: the beginning is not in the table. */
#define RENAME(name, start, table, key) rename_key((name), (start), (table), COUNT(table), (key))
static bool rename_key(char *name, const char *start, const struct rename *table, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest = key;
        if (skip_prefix(&rest, table[i].from))
            return snprintf(name, NAME_SIZE, "%s%s%s", start, table[i].to, rest) < NAME_SIZE;
    }
    return false;
}

/* ---- the three networks ---- */

/* Name of a tensor in a block of the UNet: resnet, attention or upsampler, recognized by the rest of the key. */
static bool unet_block_name(char *name, const char *block, int level, int layer, int member, const char *key)
{
    char start[64];
    const char *rest = key;
    snprintf(start, sizeof start, "%s.%d.resnets.%d.", block, level, layer);
    if (member == 0 && RENAME(name, start, unet_resnet_table, key))
        return true;
    if (member > 0 && skip_prefix(&rest, "conv."))
        return snprintf(name, NAME_SIZE, "%s.%d.upsamplers.0.conv.%s", block, level, rest) < NAME_SIZE;
    if (member == 1 && (!strncmp(key, "norm.", 5) || !strncmp(key, "proj_", 5) || !strncmp(key, "transformer_blocks.", 19)))
        return snprintf(name, NAME_SIZE, "%s.%d.attentions.%d.%s", block, level, layer, key) < NAME_SIZE;
    return false;
}

bool single_unet_name(const struct single_shape *shape, const char *key, char name[NAME_SIZE])
{
    const char *rest = key;
    int block, member, per_level = shape->unet_stride;
    if (RENAME(name, "", unet_table, key))
        return true;
    if (skip_prefix(&rest, "middle_block.0."))
        return RENAME(name, "mid_block.resnets.0.", unet_resnet_table, rest);
    if (skip_prefix(&rest, "middle_block.2."))
        return RENAME(name, "mid_block.resnets.1.", unet_resnet_table, rest);
    if (skip_prefix(&rest, "input_blocks.")) {
        if (!parse_index(&rest, &block) || !parse_index(&rest, &member) || block < 1 || (block - 1) / per_level >= shape->unet_levels)
            return false;
        int level = (block - 1) / per_level, layer = (block - 1) % per_level;
        if (layer < shape->unet_layers)
            return strncmp(rest, "conv.", 5) != 0 && unet_block_name(name, "down_blocks", level, layer, member, rest);
        return member == 0 && skip_prefix(&rest, "op.") &&
               snprintf(name, NAME_SIZE, "down_blocks.%d.downsamplers.0.conv.%s", level, rest) < NAME_SIZE;
    }
    return skip_prefix(&rest, "output_blocks.") && parse_index(&rest, &block) && parse_index(&rest, &member) &&
           block / per_level < shape->unet_levels && unet_block_name(name, "up_blocks", block / per_level, block % per_level, member, rest);
}

/* Name of a tensor of the encoder or decoder; start: "encoder." or "decoder.". */
static bool vae_coder_name(const struct single_shape *shape, const char *start, bool is_decoder, const char *key, char *name)
{
    char begin[96];
    int level, layer;
    snprintf(begin, sizeof begin, "%smid_block.resnets.0.", start);
    if (skip_prefix(&key, "mid.block_1."))
        return RENAME(name, begin, vae_resnet_table, key);
    snprintf(begin, sizeof begin, "%smid_block.resnets.1.", start);
    if (skip_prefix(&key, "mid.block_2."))
        return RENAME(name, begin, vae_resnet_table, key);
    snprintf(begin, sizeof begin, "%smid_block.attentions.0.", start);
    if (skip_prefix(&key, "mid.attn_1."))
        return RENAME(name, begin, vae_attention_table, key);
    if (!skip_prefix(&key, is_decoder ? "up." : "down.") || !parse_index(&key, &level) || level >= shape->vae_levels)
        return false;
    if (is_decoder)
        level = shape->vae_levels - 1 - level;
    if (skip_prefix(&key, is_decoder ? "upsample." : "downsample."))
        return snprintf(name, NAME_SIZE, "%s%s_blocks.%d.%ssamplers.0.%s", start, is_decoder ? "up" : "down", level,
                        is_decoder ? "up" : "down", key) < NAME_SIZE;
    if (!skip_prefix(&key, "block.") || !parse_index(&key, &layer))
        return false;
    snprintf(begin, sizeof begin, "%s%s_blocks.%d.resnets.%d.", start, is_decoder ? "up" : "down", level, layer);
    return RENAME(name, begin, vae_resnet_table, key);
}

bool single_vae_name(const struct single_shape *shape, const char *key, char name[NAME_SIZE])
{
    if (RENAME(name, "", vae_table, key))
        return true;
    if (skip_prefix(&key, "encoder."))
        return vae_coder_name(shape, "encoder.", false, key, name);
    return skip_prefix(&key, "decoder.") && vae_coder_name(shape, "decoder.", true, key, name);
}

bool single_open_clip_name(const char *key, char name[NAME_SIZE], const char **fused)
{
    char start[64];
    int layer;
    *fused = NULL;
    if (!strcmp(key, "positional_embedding")) {
        snprintf(name, NAME_SIZE, "text_model.embeddings.position_embedding.weight");
        return true;
    }
    if (RENAME(name, "", open_clip_table, key))
        return true;
    if (!skip_prefix(&key, "transformer.resblocks.") || !parse_index(&key, &layer))
        return false;
    snprintf(start, sizeof start, "text_model.encoder.layers.%d.", layer);
    if (skip_prefix(&key, "attn.in_proj_")) {
        *fused = key;
        snprintf(name, NAME_SIZE, "%sself_attn.", start);
        return !strcmp(key, "weight") || !strcmp(key, "bias");
    }
    return RENAME(name, start, open_clip_layer_table, key);
}
