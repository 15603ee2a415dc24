/* text2image_params.c - check the parameters of clio_diffusion_load and clio_imagine; the generation parameters as text
 * (stable-diffusion-webui's infotext). */
#include "text2image.h"
#include "../image/image.h"

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
    return (clio_imagine_params){.steps = 20, .guidance_scale = 7.5, .seed = 42, .seed_to = -1, .count = 1};
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
static int64_t new_seed(void)
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
    bool interpolates = a->prompt_to || a->seed_to >= 0;
    TRY(require_int(j->ctx, at, a->seed_to, -1, INT64_MAX, "params.seed_to"));
    TRY(require_int(j->ctx, at, a->frames, 0, COUNT_MAX, "params.frames"));
    REQUIRE_THAT(j->ctx, at, !interpolates || a->frames >= 2, "params.frames is %d: an interpolation needs 2 to %d", a->frames, COUNT_MAX);
    REQUIRE_THAT(j->ctx, at, interpolates || !a->frames, "params.frames is %d: set params.prompt_to or params.seed_to as well", a->frames);
    REQUIRE_THAT(j->ctx, at, !interpolates || a->count == 1, "params.count is %d: an interpolation is not made in a batch, set it to 1",
                 a->count);
    j->count = interpolates ? a->frames : a->count;
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
    TRY(require_int(j->ctx, at, a->seed, -1, INT64_MAX, "params.seed"));
    REQUIRE_THAT(j->ctx, at, !a->sampler || sampler_is_known(a->sampler), "params.sampler is \"%.60s\": it must be one of %s",
                 a->sampler ? a->sampler : "", sampler_methods());
    if (a->timestep_spacing)
        TRY(require_word(j->ctx, at, a->timestep_spacing, "leading|linspace|trailing", "params.timestep_spacing"));
    TRY(require_number(j->ctx, at, a->eta, 0, 1, "params.eta"));
    TRY(require_int(j->ctx, at, a->rng, CLIO_RNG_CPU, CLIO_RNG_CUDA, "params.rng"));
    TRY(require_int(j->ctx, at, a->clip_skip, 0, CLIP_SKIP_MAX, "params.clip_skip"));
fail:
    return st;
}

clio_status imagine_check(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    const struct caller at = {"clio_imagine", __FILE__, __LINE__};
    struct sampler *s = NULL;
    REQUIRE_AT(j->ctx, at, a->prompt, "params.prompt");
    TRY(require_int(j->ctx, at, a->count, 1, COUNT_MAX, "params.count"));
    TRY(require_int(j->ctx, at, a->preview_every, 0, INT_MAX, "params.preview_every"));
    TRY(check_sampling(j, at));
    TRY(check_interpolation(j, at));
    TRY(check_images(j, at));
    TRY(check_sizes(j, at));
    j->seed = a->seed < 0 ? new_seed() : a->seed;
    j->seed_to = a->seed_to;
    j->guided = a->guidance_scale > 1 && !j->p->config.guidance;
    j->tiny = j->p->taesd && !j->p->taesd_preview_only;
    j->sampler = (struct sampler_options){.method = a->sampler,
                                          .steps = a->steps,
                                          .strength = j->strength,
                                          .eta = a->eta,
                                          .spacing = a->timestep_spacing,
                                          .stable_diffusion = true};
    TRY(sampler_new(j->ctx, &s, &j->p->scheduler, 1, &j->sampler));
    snprintf(j->method, sizeof j->method, "%s", s->method);
    j->evaluations = (s->count - s->first) * j->count;
fail:
    sampler_free(s);
    return st;
}

double imagine_fraction(const struct imagine *j, int index)
{
    return j->params->frames > 1 ? (double)index / (j->params->frames - 1) : 0;
}

int64_t imagine_seed(const struct imagine *j, int index)
{
    return j->params->frames ? j->seed : j->seed + index;
}

/* Name of the model: the last part of its path; of a file without the extension. */
static void model_name(const struct imagine *j, char name[128])
{
    const char *slash = strrchr(j->p->path, '/');
    snprintf(name, 128, "%s", slash && slash[1] ? slash + 1 : j->p->path);
    char *ending = strrchr(name, '.');
    if (j->p->is_file && ending && ending != name)
        *ending = 0;
    for (char *c = name; *c; c++)
        if (*c == ',' || (unsigned char)*c < ' ')
            *c = '_'; /* infotext separates values by commas */
}

clio_status imagine_describe(const struct imagine *j, int index, char **out)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    const clio_imagine_params *a = j->params;
    struct bytes b = {0};
    char name[128];
    model_name(j, name);
    *out = NULL;
    TRY(bytes_print(ctx, &b, "%s\n", a->prompt));
    if (a->negative_prompt && *a->negative_prompt)
        TRY(bytes_print(ctx, &b, "Negative prompt: %s\n", a->negative_prompt));
    TRY(bytes_print(ctx, &b, "Steps: %d, Sampler: %s, CFG scale: %g, Seed: %lld, Size: %dx%d, Model: %s", a->steps, j->method,
                    a->guidance_scale, (long long)imagine_seed(j, index), j->width, j->height, name));
    if (a->image)
        TRY(bytes_print(ctx, &b, ", Denoising strength: %g", j->strength > 0 ? j->strength : 1.0));
    if (a->guidance_rescale > 0)
        TRY(bytes_print(ctx, &b, ", CFG Rescale: %g", a->guidance_rescale));
    if (a->clip_skip)
        TRY(bytes_print(ctx, &b, ", Clip skip: %d", a->clip_skip + 1)); /* stable-diffusion-webui counts from 1 */
    if (a->timestep_spacing)
        TRY(bytes_print(ctx, &b, ", Spacing: %s", a->timestep_spacing));
    if (a->eta > 0)
        TRY(bytes_print(ctx, &b, ", Eta: %g", a->eta));
    if (a->frames && a->seed_to >= 0)
        TRY(bytes_print(ctx, &b, ", Seed to: %lld", (long long)a->seed_to));
    if (a->frames)
        TRY(bytes_print(ctx, &b, ", Frames: %d", a->frames));
    for (size_t i = 0; i < j->p->lora_count; i++) {
        const char *slash = strrchr(j->p->loras[i].path, '/');
        TRY(bytes_print(ctx, &b, ", Lora: %s:%g", slash ? slash + 1 : j->p->loras[i].path, (double)j->p->loras[i].strength));
    }
    TRY(bytes_print(ctx, &b, ", RNG: %s, Device: %s, Version: clio %s", a->rng == CLIO_RNG_CUDA ? "GPU" : "CPU", ctx->info.name,
                    clio_version()));
    *out = b.data;
    b = (struct bytes){0};
fail:
    bytes_free(&b);
    return st;
}
