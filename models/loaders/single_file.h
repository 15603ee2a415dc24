/* single_file.h - a single-file checkpoint of Stable Diffusion 1 or 2 (.safetensors with the original LDM names), presented as a diffusers
 * folder: weights with diffusers' names, and configurations. Nothing is copied: the views point into the mapped file.
 *
 * Source: diffusers, loaders/single_file_utils.py (convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint, convert_ldm_clip_checkpoint,
 * convert_open_clip_checkpoint); the configurations of stable-diffusion-v1-5, stable-diffusion-2-base and stable-diffusion-2-1.
 *
 * Widths, levels, layers, attention levels and cross_attention_dim are read from names and shapes. The rest is fixed by version: 8 heads in
 * version 1, heads of 64 channels in version 2 (with OpenCLIP's text encoder), norm_num_groups 32, the noise schedule. OpenCLIP's last
 * layer is left out, since version 2 uses the penultimate layer. */
#ifndef CLIO_MODELS_LOADERS_SINGLE_FILE_H
#define CLIO_MODELS_LOADERS_SINGLE_FILE_H

#include "../../host/core/json.h"
#include "../../host/core/weights.h"

struct single_file {
    struct weights file;                    /* as stored; the views below point into it */
    struct weights text_encoder, unet, vae; /* weights of each folder */
    struct json_file text_encoder_config, unet_config, vae_config, scheduler_config;
};

/* prediction: prediction_type "epsilon", "v_prediction" or "sample"; NULL: from the file's metadata (modelspec), else diffusers' default:
 * v_prediction for version 2 except inpainting and depth, epsilon otherwise. stable-diffusion-2-base without metadata needs "epsilon". On
 * failure s is closed. */
clio_status single_file_open(clio_context *ctx, struct single_file *s, const char *path, const char *prediction);
/* s may be zeroed. */
void single_file_close(struct single_file *s);

/* ---- shared by single_file.c, single_file_names.c and single_file_config.c ---- */

#define SINGLE_UNET "model.diffusion_model."
#define SINGLE_VAE "first_stage_model."
#define SINGLE_CLIP "cond_stage_model.transformer."
#define SINGLE_OPEN_CLIP "cond_stage_model.model."
#define SINGLE_LEVELS 8 /* more than in any published network */

struct single_shape {
    int unet_levels, unet_layers, vae_levels, vae_layers; /* layers: layers_per_block */
    int text_layers;                                      /* in the file */
    bool is_open_clip;
};
/* diffusers' name of a tensor; key: its name without the part's prefix. False: unknown tensor. */
bool single_unet_name(const struct single_shape *shape, const char *key, char name[256]);
bool single_vae_name(const struct single_shape *shape, const char *key, char name[256]);
/* The same. For OpenCLIP's fused QKV projections, name ends in "self_attn." and *fused is "weight" or "bias"; else *fused is NULL. */
bool single_open_clip_name(const char *key, char name[256], const char **fused);

clio_status single_configs(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const char *prediction);

#endif
