/* autoencoder_kl.h - the autoencoder between images and latents of Stable Diffusion (Kingma and Welling 2014; Rombach et al. 2022), in
 * the layout of diffusers' AutoencoderKL. MODEL-vae.md says what is particular about it. Its small relative is in vae_tiny.h.
 *
 * Images [B, channels, H, W] are -1 to 1, latents [B, latent, H / factor, W / factor]; both are on the host, in planes, as in diffusers.
 * Neither is scaled here: a sampler's latents are vae_to_sampler of these, and these are vae_from_sampler of a sampler's. */
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
    int sample;                      /* pixels of an image's side that it was made for */
    int factor;                      /* pixels for one of the latents, each way */
    bool attends, quant, post_quant; /* attention in the middle; products at the latents, of the encoder and of the decoder */
    double scaling, shift;
};

/* The encoder and the decoder are a row of steps each, between a first and a last convolution. */
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
    bool recompute; /* on a tape, residual blocks keep nothing for gradients but what goes in (tape_checkpoint) */
};

enum vae_part { VAE_ENCODER = 1, VAE_DECODER = 2 };
/* `parts`: which sides are wanted; images from text alone need the decoder only. */
clio_status vae_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, int parts, struct vae *net);
void vae_free(clio_context *ctx, struct vae *net);
/* The configuration alone. */
clio_status vae_read_config(clio_context *ctx, const struct json_file *file, struct vae_config *c);

/* On the device: images f32 [B, H, W, in] -> moments f32 [B, h, w, 2 latent], and latents f32 [B, h, w, latent] -> images. */
clio_status vae_encode_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct tensor *moments,
                           const struct tensor *pictures);
clio_status vae_decode_fwd(clio_context *ctx, struct arena *arena, const struct vae *net, const struct tensor *pictures,
                           const struct tensor *latents);

/* Tiles overlap and are blended as diffusers does it (AutoencoderKL.tiled_decode). */
struct vae_tiling {
    int size;       /* of a tile, in latents; 0: no tiles. Only larger images are cut. */
    double overlap; /* of neighbours, a fraction; 0: a quarter */
};
/* The size of tiles that diffusers takes. */
int vae_tile_size(const struct vae_config *c);

/* latents [B, latent, h, w] -> images [B, out, h * factor, w * factor], one after the other; the arena is planned here. */
clio_status vae_decode(clio_context *ctx, struct arena *arena, const struct vae *net, float *pictures, const float *latents, int batch,
                       int h, int w, struct vae_tiling tiling);
/* images [B, in, h * factor, w * factor] -> moments [B, 2 * latent, h, w]: means, then logarithms of variances. */
clio_status vae_encode(clio_context *ctx, struct arena *arena, const struct vae *net, float *moments, const float *pictures, int batch,
                       int h, int w, struct vae_tiling tiling);
/* Scratch that one call needs, bytes. */
clio_status vae_scratch(clio_context *ctx, const struct vae *net, bool decode, int h, int w, struct vae_tiling tiling, uint64_t *bytes);

/* Latents drawn from moments by reparameterization: mean + exp(log variance / 2) * noise, the logarithm kept in -30 to 20; noise is
 * [B, latent, h, w], or NULL: the mean. */
void vae_sample(const struct vae_config *c, float *latents, const float *moments, const float *noise, int batch, int h, int w);
void vae_to_sampler(const struct vae_config *c, float *latents, size_t count);   /* (x - shift) * scaling */
void vae_from_sampler(const struct vae_config *c, float *latents, size_t count); /* x / scaling + shift */

#endif
