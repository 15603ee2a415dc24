/* text2image_sample.c - the denoising loop: from noise, or the latent of an image, to latents.
 *
 * Classifier-free guidance runs the UNet on the negative prompt (row 0) and the prompt (row 1): one batch of two, or two batches of one
 * when memory is short. A step uploads the sample and downloads the output of the UNet, 64 KB each; the rest stays on the device.
 *
 * Random numbers are drawn in the order of diffusers, since each draw advances the generator: the image's latent, the noise, for inpainting
 * the masked image's latent (drawn but not used by a UNet with four input channels), then the noise of each step. */
#include "text2image.h"
#include "slerp.h"
#include "../samplers/guidance.h"
#include "../nn/layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The state of sampling one image. Arrays have j->n elements. */
struct run {
    struct imagine *j;
    struct sampler *sampler;
    struct random random;
    float *x, *in, *outputs; /* sample; input of the UNet [rows][config.in]; its outputs [prompt_rows] */
    float *noise, *latent;   /* initial noise; latent of the image, or NULL */
    float *extra;            /* inpainting UNet: mask and masked image latent; else NULL */
    int index;
};

/* ---- on the device ---- */

static clio_status forward(struct imagine *j, float t, int row)
{
    float timesteps[2] = {t, t}, guidance[2] = {(float)(j->params->guidance_scale - 1), (float)(j->params->guidance_scale - 1)};
    struct unet_step step = {.timesteps = timesteps, .row = row, .guidance = j->p->config.guidance ? guidance : NULL};
    return unet_forward(j->ctx, &j->arena, &j->p->unet, &j->prompt, &j->out, &j->in, &step);
}

static clio_status allocate_tensors(struct imagine *j, int rows)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &j->p->config;
    bool planning = j->ctx->planning;
    tensor_free(j->ctx, &j->in);
    tensor_free(j->ctx, &j->out);
    j->rows = rows;
    j->in = tensor_shape(DTYPE_F32, 4, rows, j->h, j->w, c->in);
    j->out = tensor_shape(DTYPE_F32, 4, rows, j->h, j->w, c->out);
    TRY(tensor_new(j->ctx, &j->in, "sampling"));
    TRY(tensor_new(j->ctx, &j->out, "sampling"));
    j->ctx->planning = true;
    st = unet_attend_to(j->ctx, &j->arena, &j->p->unet, &j->prompt, &j->text);
    if (!st)
        st = forward(j, 0, 0);
    j->ctx->planning = planning;
    TRY(st);
    TRY(arena_commit(j->ctx, &j->arena, "sampling (a smaller width and height need less)"));
fail:
    j->ctx->planning = planning;
    return st;
}

void imagine_free_sampling(struct imagine *j)
{
    unet_prompt_free(j->ctx, &j->prompt);
    tensor_free(j->ctx, &j->text);
    tensor_free(j->ctx, &j->in);
    tensor_free(j->ctx, &j->out);
    arena_free(j->ctx, &j->arena);
    arena_free(j->ctx, &j->preview_arena);
}

/* Rows of prompt embeddings: the negative prompt, if there is guidance, then the parts of the prompt. */
static int prompt_rows(const struct imagine *j)
{
    return j->parts + j->guided;
}

static clio_status try_prepare(struct imagine *j)
{
    clio_status st = CLIO_OK;
    int rows = prompt_rows(j);
    TRY(diffusion_need_unet(j->p));
    j->text = tensor_shape(DTYPE_F32, 3, rows, j->length, j->p->config.text, 0);
    TRY(tensor_new(j->ctx, &j->text, "the prompt"));
    TRY(unet_prompt_new(j->ctx, &j->prompt, &j->p->unet, rows, j->length));
    j->shown_image = -1;
    st = allocate_tensors(j, rows > 2 ? 1 : rows);
    if (st == CLIO_ERROR_MEMORY && rows == 2 && !j->p->vae_parts) {
        arena_free(j->ctx, &j->arena);
        st = allocate_tensors(j, 1);
    }
fail:
    if (st)
        imagine_free_sampling(j);
    return st;
}

static clio_status prepare(struct imagine *j)
{
    clio_status st = CLIO_OK;
    if (!j->p->keep)
        diffusion_drop_vae(j->p);
    st = try_prepare(j);
    if (st == CLIO_ERROR_MEMORY && (j->p->vae_parts || j->p->tiny_parts)) {
        diffusion_drop_vae(j->p);
        st = try_prepare(j);
    }
    TRY(st);
    if (j->params->preview_every > 0 && j->p->taesd)
        TRY(diffusion_need_autoencoder(j->p, true, VAE_DECODER));
fail:
    return st;
}

/* r->in [rows][config.in] -> r->outputs [prompt_rows]: all rows of the prompt in one pass, or one in each. */
static clio_status evaluate(struct run *r, float t)
{
    clio_status st = CLIO_OK;
    struct imagine *j = r->j;
    for (int row = 0; row < prompt_rows(j); row += j->rows) {
        TRY(nchw_write(j->ctx, &j->in, r->in));
        TRY(forward(j, t, row));
        TRY(nchw_read(j->ctx, &j->out, r->outputs + (size_t)row * j->n));
    }
    TRY(imagine_check_finite(j, "the UNet", r->outputs, (size_t)prompt_rows(j) * j->n));
fail:
    return st;
}

/* The prompt's parts become one output (composable diffusion, Liu et al. 2022): the negative prompt's plus the weighted differences to it,
 * which guidance then scales. */
static void compose(const struct imagine *j, float *outputs)
{
    const float *negative = outputs;
    float *one = outputs + j->n;
    for (size_t k = 0; j->parts > 1 && k < j->n; k++) {
        double sum = 0;
        for (int part = 0; part < j->parts; part++)
            sum += j->prompts[EMBEDS_PROMPT].list[part].weight * ((double)one[(size_t)part * j->n + k] - (double)negative[k]);
        one[k] = (float)((double)negative[k] + sum);
    }
}

/* ---- on the host ---- */

static clio_status run_new(struct imagine *j, struct run *r)
{
    clio_status st = CLIO_OK;
    size_t pixels = (size_t)j->h * (size_t)j->w;
    *r = (struct run){.j = j};
    TRY(mem_alloc(j->ctx, &r->x, j->n, sizeof *r->x));
    TRY(mem_alloc(j->ctx, &r->noise, j->n, sizeof *r->noise));
    TRY(mem_alloc(j->ctx, &r->in, 2 * pixels * (size_t)j->p->config.in, sizeof *r->in));
    TRY(mem_alloc(j->ctx, &r->outputs, (size_t)MAX(prompt_rows(j), 2) * j->n, sizeof *r->outputs));
    if (j->image_moments)
        TRY(mem_alloc(j->ctx, &r->latent, j->n, sizeof *r->latent));
    if (j->masked_image_moments)
        TRY(mem_alloc(j->ctx, &r->extra, pixels + j->n, sizeof *r->extra));
fail:
    return st;
}

static void run_free(struct run *r)
{
    sampler_free(r->sampler);
    free(r->x);
    free(r->noise);
    free(r->in);
    free(r->outputs);
    free(r->latent);
    free(r->extra);
}

static enum random_kind rng_type(const struct imagine *j)
{
    return j->params->rng == CLIO_RNG_CUDA ? RANDOM_TORCH_CUDA : RANDOM_TORCH_CPU;
}

/* prepare_latents, prepare_mask_latents: the first sample is noise, or the image's latent with noise added. */
static clio_status init_latents(struct run *r)
{
    clio_status st = CLIO_OK;
    struct imagine *j = r->j;
    bool is_inpainting = j->p->config.in != j->p->config.out, from_noise = j->strength == 0;
    float *noise_to = NULL, *unused = r->outputs; /* scratch of the same size */
    random_seed(&r->random, rng_type(j), imagine_seed(j, r->index));
    if (j->image_moments && !(is_inpainting && from_noise))
        imagine_sample_latent(j, j->image_moments, &r->random, r->latent);
    random_normal(&r->random, r->noise, j->n);
    if (j->params->interpolate_seed) {
        struct random to;
        random_seed(&to, rng_type(j), j->params->seed_to);
        TRY(mem_alloc(j->ctx, &noise_to, j->n, sizeof *noise_to));
        if (j->image_moments && !(is_inpainting && from_noise))
            imagine_sample_latent(j, j->image_moments, &to, unused);
        random_normal(&to, noise_to, j->n);
        slerp(r->noise, r->noise, noise_to, j->n, imagine_fraction(j, r->index));
    }
    if (j->mask)
        imagine_sample_latent(j, is_inpainting ? j->masked_image_moments : j->image_moments, &r->random,
                              is_inpainting ? r->extra + (size_t)j->h * (size_t)j->w : unused);
    if (j->mask && is_inpainting)
        memcpy(r->extra, j->mask, sizeof *r->extra * (size_t)j->h * (size_t)j->w);
    if (from_noise) {
        memcpy(r->x, r->noise, sizeof *r->x * j->n);
        sampler_init_noise(r->sampler, r->x);
    } else {
        sampler_add_noise(r->sampler, r->sampler->first, r->x, r->latent, r->noise);
    }
fail:
    free(noise_to);
    return st;
}

/* Outside the mask, replace the sample by the image's latent with the noise of the next step. */
static void restore_unmasked(struct run *r, int i)
{
    const struct imagine *j = r->j;
    size_t pixels = (size_t)j->h * (size_t)j->w;
    float *known = r->outputs;
    memcpy(known, r->latent, sizeof *known * j->n);
    if (i + 1 < r->sampler->count)
        sampler_add_noise(r->sampler, i + 1, known, r->latent, r->noise);
    for (size_t k = 0; k < j->n; k++)
        r->x[k] = (1 - j->mask[k % pixels]) * known[k] + j->mask[k % pixels] * r->x[k];
}

static clio_status step(struct run *r, int i)
{
    clio_status st = CLIO_OK;
    struct imagine *j = r->j;
    size_t pixels = (size_t)j->h * (size_t)j->w, in_size = pixels * (size_t)j->p->config.in;
    struct sampler_noise noise = {&r->random, 1};
    float *output = r->outputs;
    int every = j->params->preview_every;
    sampler_scale_input(r->sampler, i, r->in, r->x);
    if (r->extra)
        memcpy(r->in + j->n, r->extra, sizeof *r->in * (pixels + j->n));
    if (j->rows == 2)
        memcpy(r->in + in_size, r->in, sizeof *r->in * in_size);
    TRY(evaluate(r, r->sampler->timesteps[i]));
    compose(j, r->outputs);
    if (j->guided)
        guidance_combine(output, r->outputs, r->outputs + j->n, (float)MAX(j->params->guidance_scale, 1),
                         (float)j->params->guidance_rescale, 1, j->n);
    j->done++;
    if (every > 0 && (i - r->sampler->first + 1) % every == 0 && i + 1 < r->sampler->count)
        TRY(imagine_preview(j, r->sampler, r->index, i, r->in, output));
    TRY(sampler_step(j->ctx, r->sampler, i, output, r->x, &noise));
    if (j->mask && !r->extra)
        restore_unmasked(r, i);
fail:
    return st;
}

/* Whether the prompts of two steps are the same. */
static bool is_same_prompt(const struct imagine *j, int a, int b)
{
    for (int i = 0; i < EMBEDS_COUNT; i++)
        for (int k = 0; k < j->prompts[i].count; k++)
            if (j->prompts[i].list[k].at[a] != j->prompts[i].list[k].at[b])
                return false;
    return true;
}

/* Give the device the prompts of image `index` at a step, unless it has them. */
static clio_status set_prompt(struct imagine *j, int index, int step)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)j->length * (size_t)j->p->config.text;
    const struct prompt_part *negative = j->prompts[EMBEDS_NEGATIVE].list;
    float *embeds = NULL;
    bool moved = index != j->shown_image && j->prompts[EMBEDS_PROMPT_TO].count;
    if (j->shown_image >= 0 && !moved && is_same_prompt(j, step, j->shown_step)) {
        j->shown_image = index;
        return CLIO_OK;
    }
    TRY(mem_alloc(j->ctx, &embeds, count, sizeof *embeds));
    if (j->guided)
        TRY(tensor_write(j->ctx, &j->text, 0, count, negative->embeds[negative->at[step]]));
    for (int part = 0; part < j->parts; part++) {
        imagine_prompt_embeds(j, index, part, step, embeds);
        TRY(tensor_write(j->ctx, &j->text, (size_t)(part + j->guided) * count, count, embeds));
    }
    TRY(unet_attend_to(j->ctx, &j->arena, &j->p->unet, &j->prompt, &j->text));
    j->shown_image = index;
    j->shown_step = step;
fail:
    free(embeds);
    return st;
}

static clio_status sample_one(struct run *r)
{
    clio_status st = CLIO_OK;
    struct imagine *j = r->j;
    TRY(sampler_new(j->ctx, &r->sampler, &j->p->scheduler, j->n, &j->sampler));
    TRY(init_latents(r));
    for (int i = r->sampler->first; i < r->sampler->count; i++) {
        TRY(context_progress(j->ctx, "sampling", j->done, j->evaluations));
        TRY(set_prompt(j, r->index, sampler_step_number(r->sampler, i)));
        TRY(step(r, i));
    }
    TRY(context_progress(j->ctx, "sampling", j->done, j->evaluations));
    for (size_t k = 0; k < j->n; k++)
        if (!isfinite(r->x[k]))
            FAIL(j->ctx, CLIO_ERROR_FORMAT,
                 "sampling with the UNet of %s gives values that are not finite: the model may predict something else than %s "
                 "(params.prediction_type)",
                 j->p->path, sampler_prediction_name(j->prediction));
    memcpy(j->latents + (size_t)r->index * j->n, r->x, sizeof *r->x * j->n);
    sampler_free(r->sampler);
    r->sampler = NULL;
fail:
    return st;
}

clio_status imagine_sample(struct imagine *j)
{
    clio_status st = CLIO_OK;
    struct run r = {0};
    TRY(mem_alloc(j->ctx, &j->latents, (size_t)j->count * j->n, sizeof *j->latents));
    TRY(prepare(j));
    TRY(run_new(j, &r));
    for (int i = j->first; i < j->last; i++) {
        r.index = i;
        TRY(sample_one(&r));
    }
fail:
    run_free(&r);
    imagine_free_sampling(j);
    return st;
}
