/* unet.h - the denoising network of Stable Diffusion 1 and 2 (Rombach et al. 2022, "High-resolution image synthesis with latent diffusion
 * models"), in the layout of diffusers' UNet2DConditionModel and driven by its config.json. MODEL-unet.md has its details.
 *
 *     TRY(unet_load(ctx, &config, &weights, &net));
 *     TRY(unet_prompt_new(ctx, &prompt, &net, 2, 77));
 *     (plan, commit)  TRY(unet_attend_to(ctx, &arena, &net, &prompt, &states));               once for each prompt
 *     (plan, commit)  TRY(unet_forward(ctx, &arena, &net, &prompt, &noise, &latents, &step)); once for each step */
#ifndef CLIO_MODELS_NETWORKS_UNET_H
#define CLIO_MODELS_NETWORKS_UNET_H

#include "../../host/core/json.h"
#include "../nn/linear.h"
#include "../nn/resnet_block.h"
#include "transformer_2d.h"

#define UNET_BLOCKS 8 /* at most, on each side */
#define UNET_LAYERS 8 /* at most, of a down block */

/* class_embed_type: none; class ids, looked up in a table; numbers, embedded as timesteps are; vectors, through two linear layers, one or
 * none. */
enum unet_class { CLASS_NONE, CLASS_TABLE, CLASS_TIMESTEP, CLASS_PROJECTION, CLASS_LINEAR, CLASS_IDENTITY };

struct unet_config {
    int in, out, blocks, sample; /* channels; blocks down and up; sample_size, 0: unknown */
    int channels[UNET_BLOCKS], layers[UNET_BLOCKS], heads[UNET_BLOCKS], text,
        transformers[UNET_BLOCKS]; /* text: width of the text states */
    bool down_attends[UNET_BLOCKS], up_attends[UNET_BLOCKS], has_mid, mid_attends;
    int groups, time, padding, conv_in, conv_out, guidance; /* guidance: width of the guidance embedding (time_cond_proj_dim), 0: none */
    enum unet_class classes;
    int class_width; /* rows of the table, or width of a class vector */
    bool center, flip;
    int freq_shift;
    double eps;
};

struct unet_layer {
    struct resnet resnet;
    bool attends;
    struct transformer attention;
};
struct unet_block {
    int count;
    struct unet_layer *layers;
    bool resamples; /* down- or upsampling at its end, by conv */
    struct linear conv;
};
struct unet {
    struct unet_config config;
    struct linear conv_in, conv_out, time1, time2, class1, class2;
    struct matrix guidance;
    struct tensor class_table, one; /* one: a single 1 */
    struct norm norm_out;
    struct unet_block down[UNET_BLOCKS], mid, up[UNET_BLOCKS];
    int attentions; /* cross-attention layers: one KV cache each */
    bool recompute; /* gradient checkpointing: on a tape, residual blocks and transformer layers keep only their inputs (tape_checkpoint) */
};

/* From its parsed config.json and its weights, of whichever files. An unsupported configuration is an error that names the file and the
 * field. */
clio_status unet_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct unet *net);
void unet_free(clio_context *ctx, struct unet *net);
/* The configuration only. */
clio_status unet_read_config(clio_context *ctx, const struct json_file *file, struct unet_config *c);

/* Keys and values of the text for every cross-attention layer; they are the same at every step. */
struct unet_prompt {
    int batch, length, count;
    struct attention_cache *caches;
    struct tensor *kvs; /* with gradient checkpointing: what the caches will hold, in memory of the tape */
};
clio_status unet_prompt_new(clio_context *ctx, struct unet_prompt *prompt, const struct unet *net, int batch, int length);
void unet_prompt_free(clio_context *ctx, struct unet_prompt *prompt);
/* Compute them from text f32 [batch, length, config.text]. */
clio_status unet_attend_to(clio_context *ctx, struct arena *arena, const struct unet *net, struct unet_prompt *prompt,
                           const struct tensor *text);

/* Arguments of one evaluation over B images; arrays on the host. */
struct unet_step {
    const float *timesteps; /* [B] */
    int row;                /* image b attends to row + b of the prompt */
    const float *guidance;  /* [B], guidance scale - 1, with config.guidance; NULL: not embedded */
    const float *labels;    /* [B] for CLASS_TABLE and CLASS_TIMESTEP, otherwise [B, class_width]; needed where config.classes */
};
/* Predict noise (or v): in f32 [B, H, W, in] -> out f32 [B, H, W, out], for any H and W that are large enough for the downsampling. Latents
 * of Stable Diffusion have an eighth of the image's height and width. */
clio_status unet_forward(clio_context *ctx, struct arena *arena, const struct unet *net, const struct unet_prompt *prompt,
                         const struct tensor *out, const struct tensor *in, const struct unet_step *step);

/* Sinusoidal embedding: sines and cosines of x at width / 2 frequencies from 1 to about 1 / 10000 (Vaswani et al. 2017), in the order of
 * diffusers' get_timestep_embedding. */
void unet_sinusoid(float *out, float x, int width, bool cosines_first, int freq_shift);
/* time f32 [B, config.time]: the time embedding, after SiLU. */
clio_status unet_embed_step(clio_context *ctx, struct arena *arena, const struct unet *net, const struct tensor *time,
                            const struct unet_step *step);

#endif
