/* text2image_params.c - check the parameters of clio_imagine; the generation parameters as text (stable-diffusion-webui's infotext). */
#include "text2image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SIDE_STEP 8 /* pixels; as in StableDiffusionPipeline.check_inputs */
#define PIXELS_MAX (4096 * 4096)
#define COUNT_MAX 1000

clio_imagine_params clio_imagine_defaults(void)
{
    return (clio_imagine_params){.steps = 20, .guidance_scale = 7.5, .seed = 42, .seed_to = -1, .count = 1};
}

const char *clio_imagine_samplers(void)
{
    return sampler_methods();
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

static clio_status check_sizes(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    int sizes[2] = {a->width, a->height}, given[2] = {a->image ? a->image->width : 0, a->image ? a->image->height : 0};
    for (int i = 0; i < 2; i++) {
        const char *flag = i ? "-H" : "-W", *name = i ? "height" : "width";
        if (!sizes[i] && a->image && given[i] < SIDE_STEP)
            FAIL(j->ctx, CLIO_ERROR_ARGUMENT,
                 "the image to begin with is %d x %d pixels: it needs %d each way, or a size to scale it to (-W, -H)", given[0], given[1],
                 SIDE_STEP);
        if (!sizes[i])
            sizes[i] = a->image ? given[i] / SIDE_STEP * SIDE_STEP : j->p->side;
        if (sizes[i] < SIDE_STEP)
            FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a %s of %d pixels cannot be: use a multiple of %d from %d on (%s)", name, sizes[i],
                 SIDE_STEP, SIDE_STEP, flag);
        if (sizes[i] % SIDE_STEP)
            FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a %s of %d pixels is no multiple of %d: use %d or %d (%s)", name, sizes[i], SIDE_STEP,
                 MAX(SIDE_STEP, sizes[i] / SIDE_STEP * SIDE_STEP), (sizes[i] / SIDE_STEP + 1) * SIDE_STEP, flag);
    }
    if ((int64_t)sizes[0] * sizes[1] > PIXELS_MAX)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT,
             "an image of %d x %d pixels is too large: at most 4096 x 4096, or as many in another shape (-W, -H)", sizes[0], sizes[1]);
    j->width = sizes[0];
    j->height = sizes[1];
fail:
    return st;
}

static clio_status check_images(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    bool paints = j->p->config.in != j->p->config.out;
    if (a->mask && !a->image)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a mask (--mask) says where an image is changed: give that image with -i");
    if (paints && !a->mask)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT,
             "%s paints into images: give one with -i, and with --mask another one that is bright where to paint", j->p->path);
    if (a->mask && (a->mask->width != a->image->width || a->mask->height != a->image->height))
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "the mask is %d x %d pixels and the image %d x %d: make the mask as large as the image (--mask)",
             a->mask->width, a->mask->height, a->image->width, a->image->height);
    if (!a->image && a->strength != 0)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a strength (--strength) says how much of an image is changed: give that image with -i");
    if (a->strength != 0 && !(a->strength > 0 && a->strength <= 1))
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a strength of %g cannot be used: it goes from above 0 to 1 (--strength)", a->strength);
    j->strength = !a->image ? 0 : a->strength > 0 ? a->strength : a->mask ? 1 : 0.8;
    if (a->mask && j->strength == 1)
        j->strength = 0; /* from pure noise, as in StableDiffusionInpaintPipeline */
fail:
    return st;
}

static clio_status check_interpolation(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    bool goes = a->prompt_to || a->seed_to >= 0;
    if (goes && (a->frames < 2 || a->frames > COUNT_MAX))
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "%d images make no way from one to the other: use 2 to %d (--frames)", a->frames, COUNT_MAX);
    if (!goes && a->frames)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT,
             "frames (--frames) lead to another prompt (--interpolate) or seed (--interpolate-seed): give one");
    if (goes && a->count != 1)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a way from one image to another is one piece: use no batch (-b) with it");
    j->count = goes ? a->frames : a->count;
fail:
    return st;
}

clio_status imagine_check(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    struct sampler *s = NULL;
    if (!a->prompt)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "there is no prompt: say what shall be seen (-p)");
    if (a->count < 1 || a->count > COUNT_MAX)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "from 1 to %d images can be made in one go, not %d (-b)", COUNT_MAX, a->count);
    if (!(a->guidance_scale >= 0 && a->guidance_scale <= 1000))
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a guidance scale of %g cannot be used: it goes from 0 to 1000, mostly 1 to 15 (--cfg-scale)",
             a->guidance_scale);
    if (!(a->guidance_rescale >= 0 && a->guidance_rescale <= 1))
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "guidance is rescaled by 0 to 1, not by %g (--guidance-rescale)", a->guidance_rescale);
    if (a->seed < -1)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "a seed is a number from 0 on, or -1 for a new one, not %lld (-s)", (long long)a->seed);
    if (a->rng != CLIO_RNG_CPU && a->rng != CLIO_RNG_CUDA)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "there is no random number generator %d: it is CLIO_RNG_CPU or CLIO_RNG_CUDA", a->rng);
    if (a->clip_skip < 0)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "%d layers of the text encoder cannot be skipped (--clip-skip)", a->clip_skip);
    TRY(check_interpolation(j));
    TRY(check_images(j));
    TRY(check_sizes(j));
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
