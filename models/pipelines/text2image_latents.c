/* text2image_latents.c - images to latents and back, through AutoencoderKL or AutoencoderTiny (TAESD); previews.
 *
 * A preview shows the predicted original sample x0 of a step (pred_original_sample): with a = alphas_cumprod[t], solved from
 * in = sqrt(a) x0 + sqrt(1 - a) noise and the output of the UNet (noise, v of Salimans and Ho 2022, or x0). Without TAESD its RGB values
 * are a linear projection of the four latent channels (ComfyUI, latent_formats.py, SD15, latent_rgb_factors). */
#include "text2image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TINY "the tiny autoencoder's " /* with "encoder" or "decoder" */

static struct vae_tiling tiling_of(const struct imagine *j)
{
    return (struct vae_tiling){.size = j->params->tiling ? vae_tile_size(&j->vae) : 0};
}

/* Whether decoding will fit into memory once the UNet is freed; checked before minutes of sampling. */
static clio_status check_decode_memory(const struct imagine *j)
{
    clio_status st = CLIO_OK;
    const struct device *d = &j->ctx->device;
    uint64_t largest, total;
    TRY(vae_scratch(j->ctx, &j->p->vae, true, j->h, j->w, tiling_of(j), &largest));
    total = largest + (j->p->has_unet ? 0 : j->ctx->pool.now);
    bool fits = largest <= d->max_allocation && total <= d->memory_limit;
    if (!fits)
        FAIL(j->ctx, CLIO_ERROR_MEMORY,
             "decoding %d x %d pixels needs %.1f MiB%s, and %s offers %.1f MiB: use %sa smaller width and height", j->width, j->height,
             (double)(largest <= d->max_allocation ? total : largest) / 0x1p20, largest <= d->max_allocation ? "" : " in one piece",
             d->name, (double)(largest <= d->max_allocation ? d->memory_limit : d->max_allocation) / 0x1p20,
             j->params->tiling ? "" : "tiling or ");
fail:
    return st;
}

/* Load these parts of the autoencoder; frees the UNet when memory is short. */
static clio_status load_vae(struct imagine *j, int parts)
{
    clio_status st = diffusion_need_autoencoder(j->p, j->tiny, parts);
    if (st == CLIO_ERROR_MEMORY && j->p->has_unet) {
        diffusion_drop_unet(j->p);
        st = diffusion_need_autoencoder(j->p, j->tiny, parts);
    }
    return st;
}

static clio_status fill_in_sizes(struct imagine *j)
{
    clio_status st = CLIO_OK;
    const struct vae_config *c = &j->p->vae.config;
    int factor = j->tiny ? j->p->tiny.factor : c->factor, in = j->tiny ? j->p->tiny.in : c->in, out = j->tiny ? j->p->tiny.out : c->out;
    j->channels = j->tiny ? j->p->tiny.latent : c->latent;
    if (j->channels != j->p->config.out || in != 3 || out != 3)
        FAIL(j->ctx, CLIO_ERROR_FORMAT,
             "the autoencoder of %s has %d latent and %d image channels, and the UNet has latents of %d channels: they belong to different "
             "models, copy both again",
             j->tiny ? j->p->taesd : j->p->path, j->channels, out, j->p->config.out);
    if (j->width % factor || j->height % factor)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "%d x %d pixels: with this model width and height must be multiples of %d", j->width, j->height,
             factor);
    j->vae = *c;
    j->w = j->width / factor;
    j->h = j->height / factor;
    j->n = (size_t)j->channels * (size_t)j->h * (size_t)j->w;
fail:
    return st;
}

clio_status imagine_check_finite(const struct imagine *j, const char *what, const float *values, size_t n)
{
    clio_status st = CLIO_OK;
    bool is_tiny = strstr(what, "tiny") != NULL;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            FAIL(j->ctx, CLIO_ERROR_FORMAT,
                 "%s of %s gives values that are not finite: its weights are damaged (download them again), or too large for float16 (load "
                 "them with the weight type f32)",
                 what, is_tiny ? j->p->taesd : j->p->path);
fail:
    return st;
}

static clio_status encode(struct imagine *j, struct arena *arena, const float *image, float **out)
{
    clio_status st = CLIO_OK;
    size_t count = (j->tiny ? 1 : 2) * j->n;
    TRY(mem_alloc(j->ctx, out, count, sizeof **out));
    if (j->tiny)
        TRY(vae_tiny_encode(j->ctx, arena, &j->p->tiny, *out, image, 1, j->h, j->w));
    else
        TRY(vae_encode(j->ctx, arena, &j->p->vae, *out, image, 1, j->h, j->w, tiling_of(j)));
    TRY(imagine_check_finite(j, j->tiny ? TINY "encoder" : "the VAE encoder", *out, count));
fail:
    return st;
}

/* The caller's image, resized to width x height. */
static clio_status resized(struct imagine *j, const clio_image *from, struct image *out)
{
    clio_status st = CLIO_OK;
    struct image view = image_view(from);
    TRY(image_resize(j->ctx, out, &view, j->width, j->height));
fail:
    return st;
}

static clio_status encode_images(struct imagine *j)
{
    clio_status st = CLIO_OK;
    struct image image = {0}, mask = {0};
    struct arena arena = {0};
    size_t pixels = (size_t)j->width * (size_t)j->height;
    float *floats = NULL, *coverage = NULL;
    TRY(context_progress(j->ctx, "encoding the image", 0, 0));
    TRY(resized(j, j->params->image, &image));
    TRY(mem_alloc(j->ctx, &floats, 3 * pixels, sizeof *floats));
    image_to_floats(&image, floats);
    if (j->image_floats)
        memcpy(floats, j->image_floats, sizeof *floats * 3 * pixels);
    TRY(encode(j, &arena, floats, &j->image_moments));
    if (!j->params->mask)
        goto fail;
    TRY(resized(j, j->params->mask, &mask));
    TRY(mem_alloc(j->ctx, &coverage, pixels, sizeof *coverage));
    TRY(mem_alloc(j->ctx, &j->mask, (size_t)j->h * (size_t)j->w, sizeof *j->mask));
    image_to_mask(&mask, coverage);
    image_mask_shrink(coverage, j->width, j->height, j->width / j->w, j->mask);
    if (j->p->config.in != j->p->config.out) { /* an inpainting UNet also takes the masked image's latent */
        for (size_t i = 0; i < 3 * pixels; i++)
            floats[i] *= coverage[i % pixels] < 0.5f;
        TRY(encode(j, &arena, floats, &j->masked_image_moments));
    }
    if (!j->params->no_overlay) {
        j->original = image;
        j->cover = mask;
        image = mask = (struct image){0};
    }
fail:
    arena_free(j->ctx, &arena);
    image_free(&image);
    image_free(&mask);
    free(floats);
    free(coverage);
    return st;
}

clio_status imagine_encode_images(struct imagine *j)
{
    clio_status st = CLIO_OK;
    TRY(load_vae(j, j->params->image ? VAE_ENCODER | VAE_DECODER : VAE_DECODER));
    TRY(fill_in_sizes(j));
    if (!j->tiny)
        TRY(check_decode_memory(j));
    if (j->params->image)
        TRY(encode_images(j));
fail:
    return st;
}

void imagine_sample_latent(const struct imagine *j, const float *moments, struct random *r, float *out)
{
    if (j->tiny) {
        memcpy(out, moments, sizeof *out * j->n);
        return;
    }
    random_normal(r, out, j->n);
    vae_sample(&j->vae, out, moments, out, 1, j->h, j->w);
    vae_to_sampler(&j->vae, out, j->n);
}

clio_status imagine_decode(struct imagine *j, int index, unsigned char **rgb)
{
    clio_status st = CLIO_OK;
    const float *latent = j->latents + (size_t)index * j->n;
    float *floats = NULL, *x = NULL;
    struct image image = {0};
    *rgb = NULL;
    TRY(mem_alloc(j->ctx, &floats, 3 * (size_t)j->width * (size_t)j->height, sizeof *floats));
    TRY(mem_alloc(j->ctx, &x, j->n, sizeof *x));
    memcpy(x, latent, sizeof *x * j->n);
    TRY(load_vae(j, VAE_DECODER));
    if (j->tiny) {
        TRY(vae_tiny_decode(j->ctx, &j->arena, &j->p->tiny, floats, x, 1, j->h, j->w));
    } else {
        vae_from_sampler(&j->vae, x, j->n);
        st = vae_decode(j->ctx, &j->arena, &j->p->vae, floats, x, 1, j->h, j->w, tiling_of(j));
        if (st == CLIO_ERROR_MEMORY && j->p->has_unet) {
            diffusion_drop_unet(j->p);
            st = vae_decode(j->ctx, &j->arena, &j->p->vae, floats, x, 1, j->h, j->w, tiling_of(j));
        }
        TRY(st);
    }
    TRY(imagine_check_finite(j, j->tiny ? TINY "decoder" : "the VAE decoder", floats, 3 * (size_t)j->width * (size_t)j->height));
    TRY(image_from_floats(j->ctx, &image, floats, j->width, j->height));
    if (j->cover.rgb)
        image_overlay(&image, &j->original, &j->cover);
    *rgb = image.rgb;
fail:
    free(floats);
    free(x);
    return st;
}

/* ---- previews ---- */

/* Every sampler scales the UNet's input to unit variance, so the formulas are the same for all. */
static void predict_original_sample(const struct sampler *s, int i, const float *in, const float *out, float *x0, size_t n)
{
    int t = (int)s->timesteps[i];
    float a = s->alphas[MAX(0, MIN(t, s->config.train_steps - 1))], signal = sqrtf(a), noise = sqrtf(1 - a);
    for (size_t k = 0; k < n; k++)
        x0[k] = s->config.prediction == SAMPLER_SAMPLE         ? out[k]
                : s->config.prediction == SAMPLER_V_PREDICTION ? signal * in[k] - noise * out[k]
                                                               : (in[k] - noise * out[k]) / fmaxf(signal, 1e-3f);
}

/* rgb [3, h, w], -1 to 1, from a latent x of four channels; otherwise grey from the first channel. */
static void latents_to_rgb(const struct imagine *j, const float *x, float *rgb)
{
    static const float factors[4][3] = {
        {0.3512f, 0.2297f, 0.3227f}, {0.3250f, 0.4974f, 0.2350f}, {-0.2829f, 0.1762f, 0.2721f}, {-0.2120f, -0.2616f, -0.7177f}};
    size_t pixels = (size_t)j->h * (size_t)j->w;
    for (size_t k = 0; k < pixels; k++)
        for (int c = 0; c < 3; c++) {
            float sum = j->channels == 4 ? 0 : x[k];
            for (int i = 0; j->channels == 4 && i < 4; i++)
                sum += factors[i][c] * x[(size_t)i * pixels + k];
            rgb[(size_t)c * pixels + k] = sum;
        }
}

clio_status imagine_preview(struct imagine *j, const struct sampler *s, int index, int i, const float *in, const float *out)
{
    clio_status st = CLIO_OK;
    const clio_imagine_params *a = j->params;
    struct image small = {0}, image = {0};
    struct vae_tiny *tiny = &j->p->tiny;
    bool decodes = j->p->tiny_parts & VAE_DECODER && tiny->latent == j->channels && tiny->out == 3;
    int factor = decodes ? tiny->factor : 1;
    float *x0 = NULL, *rgb = NULL;
    if (!a->on_preview)
        return CLIO_OK;
    TRY(mem_alloc(j->ctx, &x0, j->n, sizeof *x0));
    TRY(mem_alloc(j->ctx, &rgb, 3 * (size_t)(j->w * factor) * (size_t)(j->h * factor), sizeof *rgb));
    predict_original_sample(s, i, in, out, x0, j->n);
    if (decodes)
        TRY(vae_tiny_decode(j->ctx, &j->preview_arena, tiny, rgb, x0, 1, j->h, j->w));
    else
        latents_to_rgb(j, x0, rgb);
    if (decodes)
        TRY(imagine_check_finite(j, TINY "decoder", rgb, 3 * (size_t)(j->w * factor) * (size_t)(j->h * factor)));
    TRY(image_from_floats(j->ctx, &small, rgb, j->w * factor, j->h * factor));
    TRY(image_resize(j->ctx, &image, &small, j->width, j->height));
    clio_image preview = {image.width, image.height, image.rgb};
    if (a->on_preview(a->user, index, i - s->first + 1, s->count - s->first, &preview))
        FAIL(j->ctx, CLIO_ERROR_CANCELLED, "cancelled while sampling");
fail:
    image_free(&small);
    image_free(&image);
    free(x0);
    free(rgb);
    return st;
}
