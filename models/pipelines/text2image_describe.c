/* text2image_describe.c - the generation parameters as the text that stable-diffusion-webui writes into an image ("parameters") and reads
 * from it: the prompt, a line "Negative prompt: ...", and a line of "Key: value" pairs, each key once. Keys and names of samplers are the
 * web UI's where it has them (modules/processing.py, create_infotext; infotext_utils.py, quote). */
#include "text2image.h"
#include "../../host/core/json.h"
#include "../../host/core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The web UI's name of a sampler, without the schedule that is a part of clio's. */
static const char *web_name(const char *method)
{
    static const char *const names[][2] = {{"pndm", "PLMS"},
                                           {"ddim", "DDIM"},
                                           {"ddpm", "DDPM"},
                                           {"euler", "Euler"},
                                           {"euler_a", "Euler a"},
                                           {"heun", "Heun"},
                                           {"dpm++2m", "DPM++ 2M"},
                                           {"dpm++2m_karras", "DPM++ 2M"},
                                           {"dpm++2m_sde", "DPM++ 2M SDE"},
                                           {"dpm++2m_sde_karras", "DPM++ 2M SDE"},
                                           {"unipc", "UniPC"},
                                           {"lcm", "LCM"}};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(method, names[i][0]))
            return names[i][1];
    return method;
}

/* The value in quotes if it could be mistaken for several pairs. */
static clio_status add_text(clio_context *ctx, struct bytes *b, const char *key, const char *text)
{
    clio_status st = CLIO_OK;
    struct bytes clean = {0};
    char *quoted = NULL;
    json_t *string = NULL;
    TRY(text_escape(ctx, &clean, text)); /* a name of a file or device may be anything */
    if (strpbrk(clean.data, ",:\n")) {
        TRY(json_made(ctx, &string, json_string(clean.data)));
        TRY(json_format(ctx, string, JSON_ENCODE_ANY, &quoted));
    }
    TRY(bytes_print(ctx, b, ", %s: %s", key, quoted ? quoted : clean.data));
fail:
    json_decref(string);
    free(quoted);
    bytes_free(&clean);
    return st;
}

/* The shortest decimal number that reads back as the same value, with a point in every locale. */
static void format_number(double value, bool is_float, char text[32])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        double read = strtod(text, NULL);
        if (is_float ? (float)read == (float)value : read == value)
            break;
    }
    for (char *c = strchr(text, ','); c; c = NULL)
        *c = '.';
}

static clio_status add_number(clio_context *ctx, struct bytes *b, const char *key, double value)
{
    char text[32];
    format_number(value, false, text);
    return bytes_print(ctx, b, ", %s: %s", key, text);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Name of the model: the last part of its path; of a file without the extension. */
static clio_status add_model(const struct imagine *j, struct bytes *b)
{
    clio_status st = CLIO_OK;
    char *name = NULL;
    TRY(mem_string(j->ctx, &name, file_name(j->p->path)));
    char *ending = strrchr(name, '.');
    if (j->p->is_file && ending && ending != name)
        *ending = 0;
    TRY(add_text(j->ctx, b, "Model", name));
fail:
    free(name);
    return st;
}

/* The LoRAs that the prompt does not name: "a.safetensors:0.8, b.safetensors:1". */
static clio_status add_loras(const struct imagine *j, struct bytes *b)
{
    clio_status st = CLIO_OK;
    struct bytes list = {0};
    char strength[32];
    for (size_t i = 0; i < j->p->lora_count; i++) {
        format_number((double)j->p->loras[i].unet, true, strength);
        TRY(bytes_print(j->ctx, &list, "%s%s:%s", i ? ", " : "", file_name(j->p->loras[i].path), strength));
    }
    if (list.size)
        TRY(add_text(j->ctx, b, "Lora", list.data));
fail:
    bytes_free(&list);
    return st;
}

static clio_status add_sampling(const struct imagine *j, int index, struct bytes *b)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    const clio_imagine_params *a = j->params;
    TRY(bytes_print(ctx, b, "Steps: %d, Sampler: %s", a->steps, web_name(j->method)));
    if (j->sigmas != SAMPLER_SIGMAS_PLAIN)
        TRY(bytes_print(ctx, b, ", Schedule type: %s", j->sigmas == SAMPLER_SIGMAS_KARRAS ? "Karras" : "Exponential"));
    TRY(add_number(ctx, b, "CFG scale", a->guidance_scale));
    TRY(bytes_print(ctx, b, ", Seed: %llu, Size: %dx%d", (unsigned long long)imagine_seed(j, index), j->width, j->height));
    TRY(add_model(j, b));
    if (a->image)
        TRY(add_number(ctx, b, "Denoising strength", j->strength > 0 ? j->strength : 1.0));
    if (a->clip_skip)
        TRY(bytes_print(ctx, b, ", Clip skip: %d", a->clip_skip));
    if (a->eta > 0)
        TRY(add_number(ctx, b, "Eta DDIM", a->eta));
    if (a->guidance_rescale > 0)
        TRY(add_number(ctx, b, "CFG Rescale", a->guidance_rescale));
    if (a->timestep_spacing)
        TRY(bytes_print(ctx, b, ", Spacing: %s", a->timestep_spacing));
    if (j->prediction != SAMPLER_EPSILON)
        TRY(bytes_print(ctx, b, ", Prediction: %s", sampler_prediction_name(j->prediction)));
fail:
    return st;
}

static clio_status add_images(const struct imagine *j, struct bytes *b)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    const clio_imagine_params *a = j->params;
    if (a->mask)
        TRY(bytes_print(ctx, b, ", Mask: yes%s", a->no_overlay ? ", Overlay: no" : ""));
    if (j->p->vae_path)
        TRY(add_text(ctx, b, "VAE", file_name(j->p->vae_path)));
    if (j->tiny && a->image)
        TRY(bytes_print(ctx, b, ", VAE Encoder: TAESD"));
    if (j->tiny)
        TRY(bytes_print(ctx, b, ", VAE Decoder: TAESD"));
    if (a->tiling)
        TRY(bytes_print(ctx, b, ", VAE Tiling: yes"));
    if (a->prompt_to)
        TRY(add_text(ctx, b, "Prompt to", a->prompt_to));
    if (a->interpolate_seed)
        TRY(bytes_print(ctx, b, ", Seed to: %llu", (unsigned long long)a->seed_to));
    if (a->frames)
        TRY(bytes_print(ctx, b, ", Frames: %d", a->frames));
fail:
    return st;
}

clio_status imagine_describe(const struct imagine *j, int index, char **out)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    const clio_imagine_params *a = j->params;
    struct bytes b = {0};
    *out = NULL;
    TRY(bytes_print(ctx, &b, "%s\n", a->prompt));
    if (a->negative_prompt && *a->negative_prompt)
        TRY(bytes_print(ctx, &b, "Negative prompt: %s\n", a->negative_prompt));
    TRY(add_sampling(j, index, &b));
    TRY(add_images(j, &b));
    TRY(add_loras(j, &b));
    TRY(bytes_print(ctx, &b, ", RNG: %s", a->rng == CLIO_RNG_CUDA ? "GPU" : "CPU"));
    TRY(add_text(ctx, &b, "Device", ctx->info.name));
    TRY(bytes_print(ctx, &b, ", Version: clio %s", clio_version()));
    *out = b.data;
    b = (struct bytes){0};
fail:
    bytes_free(&b);
    return st;
}
