/* autoencoder_tiny.h - tiny autoencoder (TAESD, O. Boer Bohan 2023) in the layout of diffusers' AutoencoderTiny: convolutions and ReLU
 * only, a fortieth of AutoencoderKL's operations. Its latents are those of the sampler, without scaling. MODEL-vae.md has its details. */
#ifndef CLIO_MODELS_NETWORKS_AUTOENCODER_TINY_H
#define CLIO_MODELS_NETWORKS_AUTOENCODER_TINY_H

#include "../../host/core/json.h"
#include "../nn/linear.h"

#define VAE_TINY_BLOCKS 8
#define VAE_TINY_LAYERS 128

/* One layer of encoder or decoder: a convolution, with stride 2 or after 2x upsampling where it says so; or a residual block of three. */
struct vae_tiny_layer {
    bool block;
    int stride, upsample;
    bool relu; /* after the convolution */
    struct linear conv[3];
};
struct vae_tiny_side {
    struct vae_tiny_layer layers[VAE_TINY_LAYERS];
    int count;
};
struct vae_tiny {
    int in, out, latent, factor;             /* channels of images and latents; pixels per latent, in height and in width */
    struct vae_tiny_side *encoder, *decoder; /* NULL: not loaded */
    struct tensor one;
};

/* parts: enum vae_part of autoencoder_kl.h */
clio_status vae_tiny_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, int parts,
                          struct vae_tiny *net);
void vae_tiny_free(clio_context *ctx, struct vae_tiny *net);
/* latents [B, latent, h, w] -> images [B, out, h * factor, w * factor], and back; NCHW on the host. */
clio_status vae_tiny_decode(clio_context *ctx, struct arena *arena, const struct vae_tiny *net, float *images, const float *latents,
                            int batch, int h, int w);
clio_status vae_tiny_encode(clio_context *ctx, struct arena *arena, const struct vae_tiny *net, float *latents, const float *images,
                            int batch, int h, int w);

#endif
