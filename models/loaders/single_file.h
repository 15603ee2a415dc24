/* single_file.h - a single-file checkpoint of Stable Diffusion 1 or 2 (.safetensors or .ckpt with the original LDM names), presented as a
 * diffusers folder: weights with diffusers' names, and configurations. Nothing is copied: the views point into the file.
 *
 * Source: diffusers, loaders/single_file_utils.py (convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint, convert_ldm_clip_checkpoint,
 * convert_open_clip_checkpoint); the configurations of stable-diffusion-v1-5, stable-diffusion-2-base and stable-diffusion-2-1.
 *
 * Widths, levels, layers, attention levels and cross_attention_dim are read from names and shapes. The rest is fixed by version: 8 heads in
 * version 1, heads of 64 channels in version 2 (with OpenCLIP's text encoder), norm_num_groups 32, the noise schedule. OpenCLIP's 24th
 * layer is left out, since version 2 uses the penultimate layer. */
#ifndef CLIO_MODELS_LOADERS_SINGLE_FILE_H
#define CLIO_MODELS_LOADERS_SINGLE_FILE_H

#include "../../host/core/json.h"
#include "../../host/core/weights.h"

struct single_file {
    struct weights file;                                                             /* as stored; the views below point into it */
    struct weights text_encoder, unet, vae;                                          /* weights of each folder */
    struct json_file text_encoder_config, unet_config, vae_config, scheduler_config; /* vae_config.root NULL: the file has no VAE */
    bool is_version_2;
    bool assumed;         /* neither the caller nor the file says what the UNet predicts */
    const char *unneeded; /* the first tensor that was left out, since no part needs it; or NULL */
    size_t unneeded_count;
};

/* prediction: prediction_type "epsilon", "v_prediction" or "sample"; NULL: from the file (metadata of modelspec, a tensor v_pred), else
 * diffusers' default: v_prediction for version 2 except inpainting and depth, epsilon otherwise. With version 2 this is a guess
 * (s->assumed): stable-diffusion-2-base and sd-turbo need "epsilon". On failure s is closed. */
clio_status single_file_open(clio_context *ctx, struct single_file *s, const char *path, const char *prediction);
/* s may be zeroed. */
void single_file_close(struct single_file *s);

/* The autoencoder in a file: AutoencoderKL with the original names, alone or in a checkpoint, or with diffusers' names; or AutoencoderTiny.
 * s->vae and s->vae_config, whose _class_name says which; the configuration is config.json beside a file with diffusers' names, else read
 * from shapes. On failure s is closed. */
clio_status autoencoder_file_open(clio_context *ctx, struct single_file *s, const char *path);

/* ---- shared by autoencoder_file.c, single_file.c, single_file_names.c and single_file_config.c ---- */

#define SINGLE_UNET "model.diffusion_model."
#define SINGLE_VAE "first_stage_model."
#define SINGLE_CLIP "cond_stage_model.transformer."
#define SINGLE_OPEN_CLIP_LAYERS 23 /* that version 2 uses */
#define SINGLE_LEVELS 8            /* more than in any published network */

struct single_shape {
    int unet_levels, unet_layers, vae_levels, vae_layers; /* layers: layers_per_block; vae_levels 0: no VAE */
    int unet_stride;                                      /* numbers of blocks that each level has */
    bool has_middle;
    int text_layers; /* that are used */
    const char *text_prefix;
    bool is_open_clip;
};
/* diffusers' name of a tensor; key: its name without the part's prefix. False: unknown tensor. */
bool single_unet_name(const struct single_shape *shape, const char *key, char name[256]);
bool single_vae_name(const struct single_shape *shape, const char *key, char name[256]);
/* The same. For OpenCLIP's fused QKV projections, name ends in "self_attn." and *fused is "weight" or "bias"; else *fused is NULL. */
bool single_open_clip_name(const char *key, char name[256], const char **fused);

/* The VAE's tensors with the original names behind a prefix: shape->vae_levels and vae_layers, and s->vae. */
clio_status single_vae_read(clio_context *ctx, struct single_file *s, struct single_shape *shape, const char *prefix);
/* s->vae_config of an AutoencoderKL. */
clio_status single_vae_config(clio_context *ctx, struct single_file *s, const struct single_shape *shape, int sample_size);
/* Size of dimension `axis` of a tensor of the view. */
clio_status single_dimension(clio_context *ctx, const struct weights *view, const char *name, int axis, int *out);
/* Set file->root, which becomes owned by file. NULL: out of memory. */
clio_status single_set_config(clio_context *ctx, struct json_file *file, const char *path, json_t *root);
clio_status single_configs(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const char *prediction);

#endif
