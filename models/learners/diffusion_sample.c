/* diffusion_sample.c - sample images with DDIM (Song et al. 2020), during training and after. */
#include "diffusion.h"
#include "generate.h"
#include "../samplers/guidance.h"
#include "../nn/layout.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 32 /* samples in a batch */

/* A batch that is sampled; with guidance each sample is there twice, unconditional and conditional. */
struct chunk {
    int count, copies; /* copies: 2 with guidance */
    float *labels, *timesteps, *both;
    struct tensor in, out;
};

static clio_status set_condition(clio_context *ctx, struct learner *l, struct chunk *w, struct arena *arena, const int *labels)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    int all = w->count * w->copies, classes = l->shape.classes;
    char **texts = NULL;
    TRY(mem_alloc(ctx, &texts, (size_t)all, sizeof *texts));
    for (int i = 0; i < all; i++) {
        bool given = i >= all - w->count;
        if (classes)
            w->labels[i] = (float)(given && labels ? labels[i % w->count] : classes);
        if (u->captions.encoder && given)
            TRY(captions_prompt(ctx, l, i % w->count, &texts[i]));
    }
    TRY(unet_learner_set_context(ctx, arena, u, all, (const char *const *)texts));
fail:
    for (int i = 0; texts && i < all; i++)
        free(texts[i]);
    free(texts);
    return st;
}

/* y = the network's prediction for x, with guidance, both [count][latent] on the host */
static clio_status predict(clio_context *ctx, struct learner *l, struct chunk *w, struct arena *arena, const float *x, float timestep,
                           float *y)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    size_t n = (size_t)w->count * (size_t)l->latent;
    for (int i = 0; i < w->count * w->copies; i++)
        w->timesteps[i] = timestep;
    for (int i = 0; i < w->copies; i++)
        TRY(tensor_write(ctx, &w->in, (size_t)i * n, n, x));
    TRY(unet_forward(ctx, arena, &u->net, &u->prompt, &w->out, &w->in,
                     &(struct unet_step){.timesteps = w->timesteps, .labels = l->shape.classes ? w->labels : NULL}));
    TRY(tensor_read(ctx, &w->out, 0, tensor_count(&w->out), w->both));
    if (w->copies == 2)
        guidance_combine(y, w->both, w->both + n, (float)learner_number(l, "guidance_scale"), 0, w->count, (size_t)l->latent);
    else
        memcpy(y, w->both, n * sizeof *y);
fail:
    return st;
}

/* Latents of the sampler f32 [count, h, w, c] to images f32 [count, H, W, C]. */
static clio_status decode(clio_context *ctx, const struct learner *l, int count, float *latents, float *images)
{
    clio_status st = CLIO_OK;
    const struct unet_learner *u = l->state;
    struct arena arena = {0};
    struct tensor z = unet_learner_tensor(u, count);
    struct tensor x = tensor_shape(DTYPE_F32, 4, count, l->shape.height, l->shape.width, l->shape.channels);
    size_t n = tensor_count(&z);
    TRY(tensor_new(ctx, &z, "samples"));
    TRY(tensor_new(ctx, &x, "samples"));
    TRY(tensor_write(ctx, &z, 0, n, latents));
    TRY(nchw_read(ctx, &z, latents)); /* NHWC to NCHW */
    vae_from_sampler(&u->vae.config, latents, n);
    TRY(vae_decode(ctx, &arena, &u->vae, images, latents, count, u->height, u->width, (struct vae_tiling){0}));
    TRY(nchw_write(ctx, &x, images));
    TRY(tensor_read(ctx, &x, 0, tensor_count(&x), images));
fail:
    tensor_free(ctx, &z);
    tensor_free(ctx, &x);
    arena_free(ctx, &arena);
    return st;
}

static clio_status sample_chunk(clio_context *ctx, struct learner *l, struct chunk *w, const float *latents, const int *labels,
                                float *images)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    struct sampler *s = NULL;
    struct arena arena = {0};
    float *x = NULL, *y = NULL;
    size_t n = (size_t)w->count * (size_t)l->latent, all = (size_t)w->count * (size_t)w->copies;
    arena_grow(ctx, &arena);
    w->in = w->out = unet_learner_tensor(u, (int)all);
    TRY(tensor_take(ctx, &arena, &w->in));
    TRY(tensor_take(ctx, &arena, &w->out));
    TRY(mem_alloc(ctx, &x, n, sizeof *x));
    TRY(mem_alloc(ctx, &y, n, sizeof *y));
    TRY(mem_alloc(ctx, &w->both, n * (size_t)w->copies, sizeof *w->both));
    TRY(mem_alloc(ctx, &w->labels, all, sizeof *w->labels));
    TRY(mem_alloc(ctx, &w->timesteps, all, sizeof *w->timesteps));
    TRY(sampler_new(ctx, &s, &u->scheduler, n,
                    &(struct sampler_options){.method = "ddim", .steps = MIN(learner_int(l, "num_inference_steps"), u->train_steps)}));
    TRY(set_condition(ctx, l, w, &arena, labels));
    memcpy(x, latents, n * sizeof *x);
    sampler_init_noise(s, x);
    for (int i = s->first; i < s->count; i++) {
        TRY(predict(ctx, l, w, &arena, x, s->timesteps[i], y));
        TRY(sampler_step(ctx, s, i, y, x, NULL));
    }
    if (u->vae_folder)
        TRY(decode(ctx, l, w->count, x, images));
    else
        memcpy(images, x, n * sizeof *x);
fail:
    sampler_free(s);
    arena_free(ctx, &arena);
    free(x);
    free(y);
    free(w->both);
    free(w->labels);
    free(w->timesteps);
    return st;
}

clio_status unet_learner_sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images)
{
    clio_status st = CLIO_OK;
    const struct unet_learner *u = l->state;
    double guidance = learner_number(l, "guidance_scale");
    bool guided = (guidance < 1 || guidance > 1) && u->drop > 0 && (l->shape.classes || u->captions.encoder);
    for (int at = 0; at < count; at += CHUNK) {
        struct chunk w = {.count = MIN(CHUNK, count - at), .copies = guided ? 2 : 1};
        TRY(sample_chunk(ctx, l, &w, latents + (size_t)at * (size_t)l->latent, labels ? labels + at : NULL,
                         images + (size_t)at * (size_t)learner_pixels(l)));
    }
fail:
    return st;
}
