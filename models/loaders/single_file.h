/* single_file.h - a whole Stable Diffusion 1 or 2 model in one .safetensors file, as its authors' code writes it, seen as the folder that
 * diffusers would make of it: weights under diffusers' names, and the configurations that go with them. Nothing is copied: the views point
 * into the mapped file.
 *
 * Source: diffusers, loaders/single_file_utils.py (convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint, convert_ldm_clip_checkpoint,
 * convert_open_clip_checkpoint); the configurations of stable-diffusion-v1-5, stable-diffusion-2-base and stable-diffusion-2-1.
 *
 * What shapes tell is taken from shapes: widths, levels, layers, which levels attend, the width of the text. What they do not is
 * convention: 8 heads in version 1, heads of 64 channels in version 2 (the one with OpenCLIP's text encoder), 32 groups, the noise
 * schedule. OpenCLIP's last layer is left out, since version 2 was trained on the one before it. */
#ifndef CLIO_MODELS_LOADERS_SINGLE_FILE_H
#define CLIO_MODELS_LOADERS_SINGLE_FILE_H

#include "../../host/core/json.h"
#include "../../host/core/weights.h"

struct single_file {
    struct weights file;                    /* as it is stored; the views below live as long as it */
    struct weights text_encoder, unet, vae; /* what each folder's safetensors would hold */
    struct json_file text_encoder_config, unet_config, vae_config, scheduler_config;
};

/* prediction: "epsilon", "v_prediction" or "sample", what the network was trained to answer; NULL: as the file's notes say (modelspec), or
 * else by diffusers' convention: v_prediction for version 2, but for inpainting and depth, and epsilon for the others. A 512-base of
 * version 2 without notes therefore needs to be told "epsilon". On failure s is closed. */
clio_status single_file_open(clio_context *ctx, struct single_file *s, const char *path, const char *prediction);
/* Safe on a zeroed one. */
void single_file_close(struct single_file *s);

/* ---- between single_file.c, single_file_names.c and single_file_config.c ---- */

#define SINGLE_UNET "model.diffusion_model."
#define SINGLE_VAE "first_stage_model."
#define SINGLE_CLIP "cond_stage_model.transformer."
#define SINGLE_OPEN_CLIP "cond_stage_model.model."
#define SINGLE_LEVELS 8 /* more than any published network has */

struct single_shape {
    int unet_levels, unet_layers, vae_levels, vae_layers; /* layers: of each level on the way down */
    int text_layers;                                      /* stored */
    bool is_open_clip;
};
/* diffusers' name for a tensor, from its name behind the part's prefix; false: there is no such tensor in these networks. */
bool single_unet_name(const struct single_shape *shape, const char *key, char name[256]);
bool single_vae_name(const struct single_shape *shape, const char *key, char name[256]);
/* OpenCLIP's fused projections are named up to "self_attn." and set *fused to the end of the name ("weight"), else NULL. */
bool single_open_clip_name(const char *key, char name[256], const char **fused);

clio_status single_configs(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const char *prediction);

#endif
