/* autoencoder_kl.h - the autoencoder between images and latents of Stable Diffusion (Kingma and Welling 2014; Rombach et al. 2022), in
 * the layout of diffusers' AutoencoderKL. MODEL-vae.md has its details. The tiny autoencoder is in autoencoder_tiny.h.
 *
 * Images [B, channels, H, W] are -1 to 1, latents [B, latent, H / factor, W / factor]; on the host they are NCHW, as in diffusers.
 * Encoder and decoder do not scale latents: vae_to_sampler and vae_from_sampler do. */
#ifndef CLIO_MODELS_NETWORKS_AUTOENCODER_KL_H
#define CLIO_MODELS_NETWORKS_AUTOENCODER_KL_H

#include "../../host/core/json.h"
#include "../nn/linear.h"
#include "../nn/resnet_block.h"
#include "../nn/attention.h"

#define VAE_BLOCKS 8 /* at most, on each side */
#define VAE_LOGVAR_MIN (-30.0f)
#define VAE_LOGVAR_MAX 20.0f

struct vae_config {
    int in, out, latent, blocks, layers, groups, channels[VAE_BLOCKS];
    int sample;                      /* sample_size: height and width of the images it was trained with */
    int factor;                      /* pixels per latent, in height and in width */
    bool attends, quant, post_quant; /* attention in the middle block; 1x1 convolutions at the latents, of encoder and decoder */
    double scaling, shift;
};

/* Encoder and decoder are a sequence of steps each, between a first and a last convolution. */
enum vae_kind { VAE_RESNET, VAE_ATTENTION, VAE_DOWN, VAE_UP };
struct vae_step {
    enum vae_kind kind;
    struct resnet resnet;
    struct pixel_attention attention;
    struct linear conv;
};
#define VAE_STEPS 96
struct vae_side {
    struct linear first, last;
    struct norm norm;
    struct vae_step steps[VAE_STEPS];
    int count;
};
struct vae {
    struct vae_config config;
    struct vae_side *encoder, *decoder; /* NULL: not loaded */
    struct linear quant, post_quant;
    bool recompute; /* gradient checkpointing: on a tape, residual blocks keep only their inputs (tape_checkpoint) */
};

enum vae_part { VAE_ENCODER = 1, VAE_DECODER = 2 };
/* parts: which of encoder and decoder to load; text-to-image needs the decoder only. */
clio_status vae_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, int parts, struct vae *net);
void vae_free(clio_context *ctx, struct vae *net);
/* The configuration only. */
clio_status vae_read_config(clio_context *ctx, const struct json_file *file, struct vae_config *c);

/* On the device: images f32 [B, H, W, in] -> moments f32 [B, h, w, 2 latent], and latents f32 [B, h, w, latent] -> images. */
clio_status vae_encode_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct tensor *moments,
                           const struct tensor *images);
clio_status vae_decode_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct tensor *images,
                           const struct tensor *latents);

/* Tiles overlap and are blended as diffusers does it (AutoencoderKL.tiled_decode). */
struct vae_tiling {
    int size;       /* of a tile, in latents; 0: no tiling. Images of at most this size are not tiled. */
    double overlap; /* of neighbouring tiles, a fraction of their size; 0: 0.25 */
};
/* diffusers' default tile size. */
int vae_tile_size(const struct vae_config *c);

/* latents [B, latent, h, w] -> images [B, out, h * factor, w * factor], one after the other; plans the arena itself. */
clio_status vae_decode(clio_context *ctx, struct arena *arena, const struct vae *net, float *images, const float *latents, int batch, int h,
                       int w, struct vae_tiling tiling);
/* images [B, in, h * factor, w * factor] -> moments [B, 2 * latent, h, w]: mean, then log variance. */
clio_status vae_encode(clio_context *ctx, struct arena *arena, const struct vae *net, float *moments, const float *images, int batch, int h,
                       int w, struct vae_tiling tiling);
/* Bytes of scratch that one call needs. */
clio_status vae_scratch(clio_context *ctx, const struct vae *net, bool decode, int h, int w, struct vae_tiling tiling, uint64_t *bytes);

/* Sample latents by reparameterization: mean + exp(logvar / 2) * noise, logvar clamped to -30 .. 20; noise is
 * [B, latent, h, w], or NULL: the mean. */
void vae_sample(const struct vae_config *c, float *latents, const float *moments, const float *noise, int batch, int h, int w);
void vae_to_sampler(const struct vae_config *c, float *latents, size_t count);   /* (x - shift) * scaling */
void vae_from_sampler(const struct vae_config *c, float *latents, size_t count); /* x / scaling + shift */

#endif
