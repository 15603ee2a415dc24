/* text2image_params.c - check the parameters of clio_diffusion_load and clio_imagine. */
#include "text2image.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SIDE_STEP 8 /* pixels; as in StableDiffusionPipeline.check_inputs */
#define PIXELS_MAX (4096 * 4096)
#define COUNT_MAX 1000
#define STEPS_MAX 100000 /* timesteps that a scheduler may have */
#define CLIP_SKIP_MAX 100
#define LORAS_MAX 1000
#define LORA_STRENGTH_MAX 1000.0

clio_imagine_params clio_imagine_defaults(void)
{
    return (clio_imagine_params){.steps = 20, .guidance_scale = 7.5, .seed = 42, .count = 1};
}

const char *clio_imagine_samplers(void)
{
    return sampler_methods();
}

clio_status diffusion_check(clio_context *ctx, struct caller at, const clio_diffusion_params *params)
{
    clio_status st = CLIO_OK;
    char name[60];
    TRY(require_text_or_null(ctx, at, params->variant, "params.variant"));
    TRY(require_text_or_null(ctx, at, params->tokenizer, "params.tokenizer"));
    if (params->prediction_type)
        TRY(require_word(ctx, at, params->prediction_type, "epsilon|eps|v_prediction|v|sample", "params.prediction_type"));
    TRY(require_text_or_null(ctx, at, params->vae, "params.vae"));
    TRY(require_text_or_null(ctx, at, params->taesd, "params.taesd"));
    REQUIRE_THAT(ctx, at, !params->vae || !params->taesd || params->taesd_preview_only,
                 "params.vae and params.taesd both replace the model's VAE: leave one out, or set params.taesd_preview_only");
    TRY(require_text_or_null(ctx, at, params->lora_dir, "params.lora_dir"));
    TRY(require_text_or_null(ctx, at, params->embedding_dir, "params.embedding_dir"));
    TRY(require_list(ctx, at, params->loras, params->lora_count, LORAS_MAX, "params.loras", "params.lora_count"));
    for (size_t i = 0; i < params->lora_count; i++) {
        snprintf(name, sizeof name, "params.loras[%zu].path", i);
        TRY(require_text(ctx, at, params->loras[i].path, name));
        snprintf(name, sizeof name, "params.loras[%zu].strength", i);
        TRY(require_number(ctx, at, (double)params->loras[i].strength, -LORA_STRENGTH_MAX, LORA_STRENGTH_MAX, name));
    }
fail:
    return st;
}

/* A random seed of 31 bits, which other programs accept as well. */
static uint64_t new_seed(void)
{
    uint32_t x = (uint32_t)time(NULL) * 2654435761u;
    FILE *file = fopen("/dev/urandom", "rb");
    if (file) {
        size_t got = fread(&x, sizeof x, 1, file);
        (void)got; /* on failure x is the time */
        fclose(file);
    }
    return x & 0x7fffffff;
}

static clio_status check_sizes(struct imagine *j, struct caller at)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    int sizes[2] = {a->width, a->height}, given[2] = {a->image ? a->image->width : 0, a->image ? a->image->height : 0};
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "params.height" : "params.width";
        TRY(require_int(j->ctx, at, sizes[i], 0, PIXELS_MAX / SIDE_STEP, name));
        REQUIRE_THAT(j->ctx, at, sizes[i] || !a->image || given[i] >= SIDE_STEP,
                     "params.image has %d x %d pixels: it needs %d each way, or set params.width and params.height to scale it", given[0],
                     given[1], SIDE_STEP);
        if (!sizes[i])
            sizes[i] = a->image ? given[i] / SIDE_STEP * SIDE_STEP : j->p->side;
        REQUIRE_THAT(j->ctx, at, sizes[i] % SIDE_STEP == 0, "%s is %d, which is not a multiple of %d: use %d or %d", name, sizes[i],
                     SIDE_STEP, MAX(SIDE_STEP, sizes[i] / SIDE_STEP * SIDE_STEP), (sizes[i] / SIDE_STEP + 1) * SIDE_STEP);
    }
    REQUIRE_THAT(j->ctx, at, (int64_t)sizes[0] * sizes[1] <= PIXELS_MAX,
                 "params.width and params.height are %d x %d pixels: at most 4096 x 4096, or as many in another shape, are possible",
                 sizes[0], sizes[1]);
    j->width = sizes[0];
    j->height = sizes[1];
fail:
    return st;
}

static clio_status check_images(struct imagine *j, struct caller at)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    bool inpaints = j->p->config.in != j->p->config.out;
    TRY(require_number(j->ctx, at, a->strength, 0, 1, "params.strength"));
    if (a->image)
        TRY(image_require(j->ctx, at, a->image, "params.image"));
    if (a->mask)
        TRY(image_require(j->ctx, at, a->mask, "params.mask"));
    REQUIRE_THAT(j->ctx, at, !a->mask || a->image, "params.mask says where an image is changed, but params.image is NULL");
    REQUIRE_THAT(
        j->ctx, at, !inpaints || a->mask,
        "params.mask is NULL, and %s is a model for inpainting: it needs params.image, and a mask that is bright where to change it",
        j->p->path);
    if (a->image && a->mask)
        REQUIRE_THAT(j->ctx, at, a->mask->width == a->image->width && a->mask->height == a->image->height,
                     "params.mask has %d x %d pixels and params.image %d x %d: both must have the same size", a->mask->width,
                     a->mask->height, a->image->width, a->image->height);
    REQUIRE_THAT(j->ctx, at, a->image || a->strength == 0,
                 "params.strength says how much of an image is changed, but params.image is NULL");
    j->strength = !a->image ? 0 : a->strength > 0 ? a->strength : a->mask ? 1 : 0.8;
    if (a->mask && j->strength == 1)
        j->strength = 0; /* from pure noise, as in StableDiffusionInpaintPipeline */
fail:
    return st;
}

static clio_status check_interpolation(struct imagine *j, struct caller at)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    bool interpolates = a->prompt_to || a->interpolate_seed;
    TRY(require_int(j->ctx, at, a->frames, 0, COUNT_MAX, "params.frames"));
    REQUIRE_THAT(j->ctx, at, !interpolates || a->frames >= 2, "params.frames is %d: an interpolation needs 2 to %d", a->frames, COUNT_MAX);
    REQUIRE_THAT(j->ctx, at, interpolates || !a->frames, "params.frames is %d: set params.prompt_to or params.interpolate_seed as well",
                 a->frames);
    REQUIRE_THAT(j->ctx, at, !interpolates || a->count == 1, "params.count is %d: an interpolation is not made in a batch, set it to 1",
                 a->count);
    j->count = interpolates ? a->frames : a->count;
fail:
    return st;
}

/* Counted from the text encoder's last layer, which the files of Stable Diffusion 2 do not have. */
static clio_status check_clip_skip(struct imagine *j, struct caller at)
{
    clio_status st = CLIO_OK;
    int skip = j->params->clip_skip, first = j->p->clip_skip, last = first + j->p->text_layers - 1;
    TRY(require_int(j->ctx, at, skip, 0, CLIP_SKIP_MAX, "params.clip_skip"));
    REQUIRE_THAT(
        j->ctx, at, !skip || skip >= first,
        "params.clip_skip is %d, but %s has no later layer of the text encoder than the last but one, which Stable Diffusion 2 was "
        "trained with: use 2 to %d",
        skip, j->p->path, last);
    REQUIRE_THAT(j->ctx, at, skip <= last, "params.clip_skip is %d, and the text encoder of %s has %d layers: use %d to %d", skip,
                 j->p->path, j->p->text_layers, first, last);
fail:
    return st;
}

static clio_status check_sampling(struct imagine *j, struct caller at)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    TRY(require_int(j->ctx, at, a->steps, 1, STEPS_MAX, "params.steps"));
    TRY(require_number(j->ctx, at, a->guidance_scale, 0, 1000, "params.guidance_scale"));
    TRY(require_number(j->ctx, at, a->guidance_rescale, 0, 1, "params.guidance_rescale"));
    REQUIRE_THAT(j->ctx, at, !a->sampler || sampler_is_known(a->sampler), "params.sampler is \"%.60s\": it must be one of %s",
                 a->sampler ? a->sampler : "", sampler_methods());
    if (a->timestep_spacing)
        TRY(require_word(j->ctx, at, a->timestep_spacing, "leading|linspace|trailing", "params.timestep_spacing"));
    TRY(require_number(j->ctx, at, a->eta, 0, 1, "params.eta"));
    TRY(require_int(j->ctx, at, a->rng, CLIO_RNG_CPU, CLIO_RNG_CUDA, "params.rng"));
    TRY(check_clip_skip(j, at));
fail:
    return st;
}

/* Say which of the caller's parameters have no effect with the others. */
static void say_unused(const struct imagine *j, const struct sampler *s)
{
    const clio_imagine_params *a = j->params;
    const char *why = a->guidance_scale > 1 ? "the guidance is part of this model" : "params.guidance_scale is not above 1";
    if (a->eta > 0 && s->config.method != SAMPLER_DDIM)
        context_notice(j->ctx, "params.eta has no effect with the sampler %s: only ddim uses it", s->method);
    if (a->negative_prompt && *a->negative_prompt && !j->guided)
        context_notice(j->ctx, "params.negative_prompt has no effect, since %s", why);
    if (a->guidance_rescale > 0 && !j->guided)
        context_notice(j->ctx, "params.guidance_rescale has no effect, since %s", why);
}

clio_status imagine_check(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    const struct caller at = {j->function ? j->function : "clio_imagine", __FILE__, __LINE__};
    struct sampler *s = NULL;
    REQUIRE_AT(j->ctx, at, a->prompt, "params.prompt");
    TRY(require_int(j->ctx, at, a->count, 1, COUNT_MAX, "params.count"));
    TRY(require_int(j->ctx, at, a->preview_every, 0, INT_MAX, "params.preview_every"));
    TRY(check_sampling(j, at));
    TRY(check_interpolation(j, at));
    TRY(check_images(j, at));
    TRY(check_sizes(j, at));
    j->seed = a->random_seed ? new_seed() : a->seed;
    j->guided = a->guidance_scale > 1 && !j->p->config.guidance;
    j->tiny = j->p->taesd && !j->p->taesd_preview_only;
    j->sampler = (struct sampler_options){.method = a->sampler,
                                          .steps = a->steps,
                                          .strength = j->strength,
                                          .eta = a->eta, /* of ddim alone */
                                          .spacing = a->timestep_spacing,
                                          .stable_diffusion = true};
    TRY(sampler_new(j->ctx, &s, &j->p->scheduler, 1, &j->sampler));
    snprintf(j->method, sizeof j->method, "%s", s->method);
    j->sigmas = s->config.sigmas;
    j->eta = s->config.method == SAMPLER_DDIM ? a->eta : 0;
    say_unused(j, s);
    j->prediction = s->config.prediction;
    j->run_steps = sampler_step_number(s, s->count - 1) + 1;
    j->last = j->last ? j->last : j->count;
    j->evaluations = (s->count - s->first) * (j->last - j->first);
fail:
    sampler_free(s);
    return st;
}

double imagine_fraction(const struct imagine *j, int index)
{
    return j->params->frames > 1 ? (double)index / (j->params->frames - 1) : 0;
}

uint64_t imagine_seed(const struct imagine *j, int index)
{
    return j->params->frames ? j->seed : j->seed + (uint64_t)index;
}
