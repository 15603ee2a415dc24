/* text2image.h - a diffusion pipeline: what clio_diffusion_load opens and clio_imagine runs. Source: diffusers, pipelines/stable_diffusion
 * (StableDiffusionPipeline, ...Img2ImgPipeline, ...InpaintPipeline).
 *
 *     text2image.c           the public calls: parameters checked, the phases in their order, the result
 *     text2image_load.c      opening a folder or a single file; each network from its part
 *     text2image_params.c    what a caller may ask for, and the text that says so in the result
 *     text2image_prompt.c    prompts to the states that the UNet attends to
 *     text2image_sample.c    noise to latents
 *     text2image_latents.c   a given image to latents, latents to images, previews
 *
 * Phases and memory: the autoencoder says how much decoding will need, which is refused at once where it cannot be had; the text encoder is
 * loaded, used and freed; the UNet stays while there is something to sample; then the autoencoder works. Where a phase does not find room,
 * what it does not need is freed, and guidance takes two passes of one image instead of one of two, before it is given up. */
#ifndef CLIO_MODELS_PIPELINES_TEXT2IMAGE_H
#define CLIO_MODELS_PIPELINES_TEXT2IMAGE_H

#include "prompt_weights.h"
#include "../../host/core/require.h"
#include "../samplers/sampler.h"
#include "../loaders/single_file.h"
#include "../networks/unet.h"
#include "../networks/autoencoder_kl.h"
#include "../networks/autoencoder_tiny.h"

struct lora_choice {
    char *path;
    float strength;
};

struct clio_diffusion {
    clio_context *ctx;
    char *path;
    bool is_file; /* one .safetensors file, otherwise a folder */
    char *variant, *prediction, *taesd;
    bool taesd_preview_only, keep;
    struct lora_choice *loras;
    size_t lora_count;
    struct clip_tokenizer tokenizer;
    struct json_file scheduler;
    struct unet_config config; /* of the UNet */
    int positions;             /* of the text encoder: tokens of a chunk */
    int side;                  /* pixels of the images that it was made for */
    /* on the device, while it is needed */
    struct unet unet;
    struct vae vae;
    struct vae_tiny tiny;
    bool has_unet;
    int vae_parts, tiny_parts; /* enum vae_part */
};

/* ---- text2image_load.c ---- */

enum diffusion_part { PART_TEXT_ENCODER, PART_UNET, PART_VAE, PART_TAESD };

/* Load what is not there yet. The weights' files are mapped only meanwhile. */
clio_status diffusion_need_text_encoder(clio_diffusion *p, struct text_encoder *encoder);
clio_status diffusion_need_unet(clio_diffusion *p);
clio_status diffusion_need_vae(clio_diffusion *p, int parts);
clio_status diffusion_need_tiny(clio_diffusion *p, int parts);
void diffusion_drop_unet(clio_diffusion *p);
void diffusion_drop_vae(clio_diffusion *p);

/* ---- one call of clio_imagine ---- */

enum { STATES_PROMPT, STATES_NEGATIVE, STATES_TO, STATES };

struct imagine {
    clio_diffusion *p;
    clio_context *ctx;
    const clio_imagine_params *params;
    int width, height;      /* pixels */
    int w, h, channels;     /* of a latent */
    size_t n;               /* numbers in a latent */
    struct vae_config vae;  /* also when the network is gone */
    const float *exact;     /* [3, height, width], -1 to 1: what params->image shows, where 8 bits are not enough; or NULL */
    double strength;        /* 0: from noise */
    int64_t seed, seed_to;  /* seed_to negative: none */
    int count;              /* images */
    bool guided;            /* each evaluation answers for the negative prompt, too */
    bool tiny;              /* the small autoencoder takes the place of the other */
    int length;             /* positions of the text states */
    float *states[STATES];  /* [length, config.text] */
    float *source, *masked; /* moments [2 channels, h, w] of the image to begin with and of what is kept of it; of the small autoencoder:
                               latents [channels, h, w]; NULL: none */
    float *mask;            /* [h, w]: 1 where to paint */
    float *latents;         /* [count][channels, h, w]: the result of sampling */
    /* while sampling */
    struct arena arena, preview_arena;
    struct unet_prompt prompt;
    struct tensor text, in, out;
    int rows; /* of in and out: 2 where both answers come at once */
    int done, evaluations;
    struct sampler_options sampler;
    char method[32]; /* that was taken */
};

/* ---- text2image.c ---- */

/* With p, params and perhaps exact filled in: everything up to the latents. */
clio_status imagine_to_latents(struct imagine *j);
void imagine_close(struct imagine *j);

/* ---- text2image_params.c ---- */

/* The fields of the parameters of clio_diffusion_load. */
clio_status diffusion_check(clio_context *ctx, struct caller at, const clio_diffusion_params *params);
/* Everything about the parameters that can be seen to be wrong before a network is loaded; fills in sizes but for the latent's. */
clio_status imagine_check(struct imagine *j);
/* How image `index` is made, in stable-diffusion-webui's form, in fresh memory. */
clio_status imagine_describe(const struct imagine *j, int index, char **out);
/* Of a way: how far image `index` is, 0 to 1. */
double imagine_share(const struct imagine *j, int index);
int64_t imagine_seed(const struct imagine *j, int index);

/* ---- text2image_prompt.c ---- */

/* Fills in length and states. */
clio_status imagine_encode_prompts(struct imagine *j);
/* out [length, config.text]: the states of image `index`, between the two prompts of a way. */
void imagine_states(const struct imagine *j, int index, float *out);

/* ---- text2image_sample.c ---- */

/* All images: fills in latents. Frees what it took from the device. */
clio_status imagine_sample(struct imagine *j);
void imagine_free_sampling(struct imagine *j);

/* ---- text2image_latents.c ---- */

/* The autoencoder is loaded, the latent's sizes filled in; what decoding will need is refused where it cannot be had; source, masked and
 * mask are filled in where the parameters have an image. */
clio_status imagine_encode_images(struct imagine *j);
/* A draw from moments (or a copy of latents), scaled as samplers have it; draws as many numbers from r as diffusers does. */
void imagine_draw(const struct imagine *j, const float *moments, struct random *r, float *out);
/* u8 RGB from latent `index`. */
clio_status imagine_decode(struct imagine *j, int index, unsigned char **rgb);
/* Call on_preview with what is emerging: x, of which `out` is the network's answer at evaluation i. */
clio_status imagine_preview(struct imagine *j, const struct sampler *s, int index, int i, const float *in, const float *out);

#endif
