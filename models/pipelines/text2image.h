/* text2image.h - Stable Diffusion: text to image, image to image, inpainting (clio_diffusion_load, clio_imagine). Source: diffusers,
 * pipelines/stable_diffusion (StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline).
 *
 *     text2image.c           clio_imagine: runs the phases in order and returns the images
 *     text2image_parallel.c  clio_imagine_parallel: the images of a batch on several devices
 *     text2image_load.c      open a folder or a single file
 *     text2image_parts.c     open the files of one network; load it
 *     text2image_prediction.c  what a UNet predicts whose file does not say it
 *     text2image_params.c    check the parameters
 *     text2image_describe.c  the parameters as text in the result
 *     text2image_prompt.c    prompts to prompt embeddings
 *     text2image_sample.c    the denoising loop: noise to latents
 *     text2image_latents.c   images to latents, latents to images, previews
 *
 * Memory: whether decoding will fit is checked before sampling. The text encoder is loaded, used and freed; then the UNet samples; then the
 * autoencoder decodes. When an allocation fails, networks that the phase does not need are freed, and then classifier-free guidance runs
 * two batches of one instead of one batch of two. Only when that fails, too, does the call fail. */
#ifndef CLIO_MODELS_PIPELINES_TEXT2IMAGE_H
#define CLIO_MODELS_PIPELINES_TEXT2IMAGE_H

#include "prompt_loras.h"
#include "prompt_schedule.h"
#include "prompt_weights.h"
#include "../../host/core/require.h"
#include "../image/image.h"
#include "../samplers/sampler.h"
#include "../loaders/single_file.h"
#include "../networks/unet.h"
#include "../networks/autoencoder_kl.h"
#include "../networks/autoencoder_tiny.h"

struct clio_diffusion {
    clio_context *ctx;
    char *path;
    bool is_file; /* a single .safetensors file, otherwise a folder */
    char *variant, *prediction;
    char *vae_path, *taesd; /* files or folders of their own, or NULL; taesd may be the model's own VAE (text2image_load.c) */
    struct json_file index; /* model_index.json; root NULL: none */
    bool taesd_preview_only, keep;
    struct lora_choice *loras;
    size_t lora_count;
    char *lora_dir, *embedding_dir;
    struct lora_choice *prompt_loras; /* those of the prompt, merged after `loras` */
    size_t prompt_lora_count;
    struct clip_tokenizer tokenizer;
    struct json_file scheduler;
    struct unet_config config; /* of the UNet */
    int positions;             /* max_position_embeddings of the text encoder: tokens of a chunk */
    int vocab, text_layers;    /* of the text encoder */
    int clip_skip;             /* that the model was trained with: 1, its last layer; 2, its files lack the last layer */
    int side;                  /* default width and height of an image, pixels */
    /* on the device while needed */
    struct unet unet;
    struct vae vae;
    struct vae_tiny tiny;
    bool has_unet;
    int vae_parts, tiny_parts; /* enum vae_part */
};

/* ---- text2image_parts.c ---- */

enum diffusion_part { PART_TEXT_ENCODER, PART_UNET, PART_VAE, PART_TAESD };

/* The open files of one part. */
struct diffusion_files {
    const struct json_file *config;
    struct weights *weights;
    /* what config and weights point at: */
    struct json_file folder_config;
    struct weights folder_weights;
    struct single_file single;
};
clio_status diffusion_open_part(const clio_diffusion *p, struct diffusion_files *part, enum diffusion_part name);
void diffusion_close_part(struct diffusion_files *part);
/* The class that model_index.json names for a folder; NULL: none. */
const char *diffusion_index_class(const clio_diffusion *p, const char *folder);

/* Load a network unless it is loaded already. Weight files are mapped only while loading. */
/* embeddings: their vectors become tokens; NULL: none. */
clio_status diffusion_need_text_encoder(clio_diffusion *p, const struct embeddings *embeddings, struct text_encoder *encoder);
clio_status diffusion_need_unet(clio_diffusion *p);
/* tiny: the AutoencoderTiny; sides: enum vae_part. */
clio_status diffusion_need_autoencoder(clio_diffusion *p, bool tiny, int sides);
void diffusion_drop_unet(clio_diffusion *p);
void diffusion_drop_vae(clio_diffusion *p);

/* ---- text2image_load.c ---- */

/* An error if a LoRA does not fit the model; notices about what it holds beside that. */
clio_status diffusion_check_loras(clio_diffusion *p, const struct lora_choice *list, size_t count);

/* ---- text2image_prediction.c ---- */

/* Set p->prediction by one evaluation of the UNet if nothing else says it (single_file.h), with a notice. */
clio_status diffusion_find_prediction(clio_diffusion *p);

/* ---- one call of clio_imagine ---- */

enum { EMBEDS_PROMPT, EMBEDS_NEGATIVE, EMBEDS_PROMPT_TO, EMBEDS_COUNT };

struct imagine {
    clio_diffusion *p;
    clio_context *ctx;
    const clio_imagine_params *params;
    const char *function;      /* that was called, for messages; NULL: clio_imagine */
    int width, height;         /* pixels */
    int w, h, channels;        /* of a latent */
    size_t n;                  /* elements of a latent */
    struct vae_config vae;     /* valid after the network is freed, too */
    const float *image_floats; /* f32 [3, height, width], -1 to 1: replaces the 8-bit pixels of params->image; or NULL */
    double strength;           /* 0: from pure noise */
    uint64_t seed;
    int count;                                   /* images in all */
    int first, last;                             /* those that this call makes: first to last - 1; last 0: all */
    bool guided;                                 /* classifier-free guidance: the UNet runs on the negative prompt, too */
    bool tiny;                                   /* AutoencoderTiny instead of AutoencoderKL */
    struct embeddings embeddings;                /* textual inversion */
    struct prompt_plan prompts[EMBEDS_COUNT];    /* with embeds [length, config.text]; no parts: no such prompt */
    int parts;                                   /* prompts that AND composes */
    int run_steps;                               /* steps that run: fewer than params->steps with an image */
    int length;                                  /* positions of the prompt embeddings */
    float *image_moments, *masked_image_moments; /* moments [2 channels, h, w] of the image and of its unmasked part; with AutoencoderTiny
                                                    latents [channels, h, w]; NULL: none */
    float *mask;                                 /* [h, w]: 1 where to inpaint */
    struct image original, cover;                /* image and mask in the result's size; empty: no overlay */
    float *latents;                              /* [count][channels, h, w]: sampled latents */
    /* while sampling */
    struct arena arena, preview_arena;
    struct unet_prompt prompt;
    struct tensor text, in, out;
    int rows;                    /* batch size of in and out: 2 with guidance in one batch */
    int shown_image, shown_step; /* whose prompts the device has; -1: none */
    int done, evaluations;
    struct sampler_options sampler;
    char method[32]; /* name of the sampler in use */
    double eta;      /* of the sampler; 0 where it has none */
    enum sampler_sigmas sigmas;
    enum sampler_prediction prediction;
};

/* ---- text2image.c ---- */

/* Check, encode and sample: fills in latents. p, params and, optionally, image_floats, first and last are set by the caller. */
clio_status imagine_to_latents(struct imagine *j);
/* Decode the latents of the images first to last - 1 into list [count]. */
clio_status imagine_decode_all(struct imagine *j, clio_imagine_result *list);
void imagine_close(struct imagine *j);

/* ---- text2image_params.c ---- */

/* Check the parameters of clio_diffusion_load. */
clio_status diffusion_check(clio_context *ctx, struct caller at, const clio_diffusion_params *params);
/* Check the parameters of clio_imagine before any network is loaded; fills in all sizes except the latent's. */
clio_status imagine_check(struct imagine *j);
/* Interpolation: position of image `index` between the two ends, 0 to 1. */
double imagine_fraction(const struct imagine *j, int index);
uint64_t imagine_seed(const struct imagine *j, int index);

/* ---- text2image_describe.c ---- */

/* The generation parameters of image `index` in stable-diffusion-webui's format (infotext), allocated. */
clio_status imagine_describe(const struct imagine *j, int index, char **out);

/* ---- text2image_prompt.c ---- */

/* Read the prompts, before anything is loaded: fills in prompts but for their embeds, embeddings and parts, and names the prompt's LoRAs to
 * the model. */
clio_status imagine_read_prompts(struct imagine *j);
/* Fills in length and the embeds of prompts. */
clio_status imagine_encode_prompts(struct imagine *j);
/* out [length, config.text]: the prompt embeddings of image `index` and part `part` at a step of the run, from 0; interpolated linearly
 * between prompt and prompt_to. */
void imagine_prompt_embeds(const struct imagine *j, int index, int part, int step, float *out);

/* ---- text2image_sample.c ---- */

/* Run the denoising loop for all images: fills in latents. Frees its device memory. */
clio_status imagine_sample(struct imagine *j);
void imagine_free_sampling(struct imagine *j);

/* ---- text2image_latents.c ---- */

/* Load the autoencoder, fill in the latent's sizes and check that decoding will fit into memory; with an image, fill in image_moments,
 * masked_image_moments and mask. */
clio_status imagine_encode_images(struct imagine *j);
/* out: a latent sampled from moments, or a copy of latents, times scaling_factor; draws as many random numbers from r as diffusers. */
void imagine_sample_latent(const struct imagine *j, const float *moments, struct random *r, float *out);
/* Decode latent `index` to u8 RGB [height, width, 3], allocated. */
clio_status imagine_decode(struct imagine *j, int index, unsigned char **rgb);
/* Call on_preview with the predicted original sample of evaluation i: in and out are the input and output of the UNet. */
clio_status imagine_preview(struct imagine *j, const struct sampler *s, int index, int i, const float *in, const float *out);
/* Fail if one of n values of `what` is not finite. */
clio_status imagine_check_finite(const struct imagine *j, const char *what, const float *values, size_t n);

#endif
