/* unet.h - the denoising network of Stable Diffusion 1 and 2 (Rombach et al. 2022, "High-resolution image synthesis with latent diffusion
 * models"), in the layout of diffusers' UNet2DConditionModel and driven by its config.json. MODEL-unet.md says what is particular about it.
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
#define UNET_LAYERS 8 /* at most, of a block's way down */

/* What the labels of class_embed_type are: none; ids of a table; numbers that are embedded as time is; rows that two layers, one or none
 * bring to the width of the time embedding. */
enum unet_class { CLASS_NONE, CLASS_TABLE, CLASS_TIMESTEP, CLASS_PROJECTION, CLASS_LINEAR, CLASS_IDENTITY };

struct unet_config {
    int in, out, blocks, sample; /* channels; of each side; usual height and width of the latents, 0: unknown */
    int channels[UNET_BLOCKS], layers[UNET_BLOCKS], heads[UNET_BLOCKS], text, transformers[UNET_BLOCKS]; /* text: width of its states */
    bool down_attends[UNET_BLOCKS], up_attends[UNET_BLOCKS], has_mid, mid_attends;
    int groups, time, padding, conv_in, conv_out, guidance; /* guidance: width of its embedding, 0: none */
    enum unet_class classes;
    int class_width; /* ids of the table, or columns of a row of labels */
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
    bool resamples; /* at its end, by `conv` */
    struct linear conv;
};
struct unet {
    struct unet_config config;
    struct linear conv_in, conv_out, time1, time2, class1, class2;
    struct matrix guidance;
    struct tensor class_table, one; /* one: a single 1 */
    struct norm norm_out;
    struct unet_block down[UNET_BLOCKS], mid, up[UNET_BLOCKS];
    int attentions; /* of the text: one cache each */
    bool recompute; /* on a tape, residual blocks and transformer layers keep nothing for gradients but what goes in (tape_checkpoint) */
};

/* From its parsed config.json and its weights, of whichever files. What clio does not run is an error that names the file and the field. */
clio_status unet_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct unet *net);
void unet_free(clio_context *ctx, struct unet *net);
/* The configuration alone. */
clio_status unet_read_config(clio_context *ctx, const struct json_file *file, struct unet_config *c);

/* Keys and values of the text for every layer that attends to it: they do not change from step to step. */
struct unet_prompt {
    int batch, length, count;
    struct attention_cache *caches;
    struct tensor *kvs; /* of a network that computes again, on a tape: what will be in the caches, in memory of the tape's */
};
clio_status unet_prompt_new(clio_context *ctx, struct unet_prompt *prompt, const struct unet *net, int batch, int length);
void unet_prompt_free(clio_context *ctx, struct unet_prompt *prompt);
/* text f32 [batch, length, config.text] */
clio_status unet_attend_to(clio_context *ctx, struct arena *arena, const struct unet *net, struct unet_prompt *prompt,
                           const struct tensor *text);

/* Of one evaluation over B images; arrays on the host. */
struct unet_step {
    const float *timesteps; /* [B] */
    int row;                /* image b attends to row + b of the prompt */
    const float *guidance;  /* [B], guidance scale - 1, where config.guidance; NULL: not said to the network */
    const float *labels;    /* [B] for CLASS_TABLE and CLASS_TIMESTEP, otherwise [B, class_width]; needed where config.classes */
};
/* in f32 [B, H, W, in] -> out f32 [B, H, W, out]; any H and W that the way down does not bring to nothing. Latents of Stable Diffusion are
 * images of an eighth of their height and width. */
clio_status unet_forward(clio_context *ctx, struct arena *arena, const struct unet *net, const struct unet_prompt *prompt,
                         const struct tensor *out, const struct tensor *in, const struct unet_step *step);

/* Sines and cosines of x at width / 2 frequencies from 1 down to about 1 / 10000 (Vaswani et al. 2017), as diffusers orders them. */
void unet_sinusoid(float *out, float x, int width, bool cosines_first, int freq_shift);
/* time f32 [B, config.time]: the embedding of the step, after its activation. */
clio_status unet_embed_step(clio_context *ctx, struct arena *arena, const struct unet *net, const struct tensor *time,
                            const struct unet_step *step);

#endif
