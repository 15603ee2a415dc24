/* diffusion_config.c - what a denoising UNet is made of: its settings as the configurations that diffusers reads, and the folders of a
 * pipeline (text_encoder, tokenizer, vae, scheduler, unet), which come from a setting, from `init`, or from the checkpoint itself. */
#include "diffusion.h"
#include "../loaders/model_folder.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off: a setting a line */
const struct learner_setting unet_settings[] = {
    {"block_channels", 't', 0, 0, 0, "64,128,192", "channels at each size of image, of which the next is half"},
    {"layers", 'i', 1, 7, 2, NULL, "residual blocks at each size, on the way down"},
    {"attention", 's', 0, 0, 0, "auto|upper|all|none",
     "sizes at which pixels attend; upper: all but the smallest, and the middle; auto: upper with captions, else none"},
    {"heads", 'i', 1, 64, 4, NULL, "of attention"},
    {"groups", 'i', 1, 64, 32, NULL, "of channels that are normalized together"},
    {"prediction", 's', 0, 0, 0, "epsilon|v_prediction", "what the network says: the noise, or the velocity"},
    {"noise_schedule", 's', 0, 0, 0, "linear|scaled_linear|cosine", "how noise grows from step to step"},
    {"beta_start", 'f', 0, 0.999, 0, NULL, "noise of the first step; 0: as usual for the schedule"},
    {"beta_end", 'f', 0, 0.999, 0, NULL, "noise of the last step; 0: as usual for the schedule"},
    {"timesteps", 'i', 2, 100000, 1000, NULL, "steps from image to noise"},
    {"snr_weighting", 's', 0, 0, 0, "none|min_snr", "weight of timesteps; min_snr: at most 5 times the signal-to-noise ratio's"},
    {"drop_condition", 'f', 0, 1, 0.1, NULL, "how often caption or label is left out, which guidance needs"},
    {"text_encoder", 't', 0, 0, 0, NULL, "folder of a CLIP text encoder, for captions"},
    {"train_text_encoder", 'b', 0, 1, 0, NULL, "it learns with the network; otherwise it stays as it is"},
    {"tokenizer", 't', 0, 0, 0, NULL, "folder of its tokenizer; beside text_encoder if not given"},
    {"vae", 't', 0, 0, 0, NULL, "folder of an autoencoder (AutoencoderKL), whose latents are learned instead of pixels"},
    {"init", 't', 0, 0, 0, NULL, "a diffusers folder to begin with: its network goes before the settings above"},
    {"sample_steps", 'i', 1, 1000, 50, NULL, "steps of sampling (DDIM)"},
    {"guidance", 'f', 0, 100, 3, NULL, "how strongly samples follow captions or labels; 1: as they are"},
    {"prompts", 't', 0, 0, 0, NULL, "captions of samples, separated by |"},
    {"recompute", 'b', 0, 1, 0, NULL, "blocks are computed again for their gradients: less memory, about a third more time"},
    {0},
};
/* clang-format on */

/* ---- folders ---- */

static clio_status open_captions(clio_context *ctx, struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    bool learns = json_is_true(json_object_get(l->config, "train_text_encoder"));
    TRY(captions_find(ctx, &u->captions, l, learns ? &l->parameters[1] : NULL));
    if (learns && !u->captions.encoder)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "train_text_encoder is set, and there is no text encoder: name its folder (--set text_encoder=DIR), or a diffusers folder "
             "that has one (--set init=DIR)");
fail:
    return st;
}

static clio_status open_vae(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    struct json_file config = {0};
    struct weights weights = {0};
    const struct vae_config *c = &u->vae.config;
    TRY(learner_folder(ctx, l, "vae", &u->vae_folder));
    u->height = l->shape.height;
    u->width = l->shape.width;
    if (!u->vae_folder)
        return CLIO_OK;
    TRY(json_open(ctx, &config, u->vae_folder, "config.json"));
    TRY(folder_weights(ctx, u->vae_folder, "diffusion_pytorch_model", NULL, &weights));
    TRY(vae_load(ctx, &config, &weights, VAE_ENCODER | VAE_DECODER, &u->vae));
    if (l->shape.channels != c->in || c->in != c->out || l->shape.width % c->factor || l->shape.height % c->factor)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the autoencoder %s is for images of %d channels whose sides are multiples of %d, not %d x %d with %d: set channels=%d "
             "image_size=%d",
             u->vae_folder, c->in, c->factor, l->shape.width, l->shape.height, l->shape.channels, c->in,
             MAX(1, l->shape.width / c->factor) * c->factor);
    u->height /= c->factor;
    u->width /= c->factor;
fail:
    weights_close(&weights);
    json_close(&config);
    return st;
}

/* ---- configurations ---- */

#define WIDTH_OF_NOTHING 8 /* cross_attention_dim without captions: layers attend to a single row of zeros */

static clio_status make_config(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    json_t *channels = NULL, *down = json_array(), *up = json_array();
    int attention = learner_choice(l, "attention"), own = u->vae_folder ? u->vae.config.latent : l->shape.channels;
    attention = attention ? attention : u->captions.encoder ? 1 : 3;
    TRY(learner_channels(ctx, l, learner_int(l, "heads"), &channels));
    size_t count = json_array_size(channels);
    for (size_t i = 0; i < count; i++) {
        bool attends = attention == 2 || (attention == 1 && i + 1 < count);
        if (json_array_append_new(down, json_string(attends ? "CrossAttnDownBlock2D" : "DownBlock2D")) ||
            json_array_insert_new(up, 0, json_string(attends ? "CrossAttnUpBlock2D" : "UpBlock2D")))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    }
    u->config.root =
        json_pack("{s:s,s:i,s:i,s:i,s:O,s:O,s:s,s:O,s:i,s:i,s:i,s:i,s:i,s:o}", "_class_name", "UNet2DConditionModel", "sample_size",
                  u->width, "in_channels", own, "out_channels", own, "block_out_channels", channels, "down_block_types", down,
                  "mid_block_type", attention == 3 ? "UNetMidBlock2D" : "UNetMidBlock2DCrossAttn", "up_block_types", up, "layers_per_block",
                  learner_int(l, "layers"), "attention_head_dim", learner_int(l, "heads"), "norm_num_groups", learner_int(l, "groups"),
                  "cross_attention_dim", u->captions.encoder ? u->captions.net.width : WIDTH_OF_NOTHING, "downsample_padding", 1,
                  "num_class_embeds", l->shape.classes ? json_integer(l->shape.classes + 1) : json_null());
    if (!u->config.root)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(mem_string(ctx, &u->config.path, "the settings of the model"));
fail:
    json_decref(channels);
    json_decref(down);
    json_decref(up);
    return st;
}

static clio_status make_scheduler(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    static const struct {
        const char *name;
        double first, last;
    } rows[] = {{"linear", 0.0001, 0.02}, {"scaled_linear", 0.00085, 0.012}, {"squaredcos_cap_v2", 0.0001, 0.02}};
    clio_status st = CLIO_OK;
    int schedule = learner_choice(l, "noise_schedule");
    double first = learner_number(l, "beta_start"), last = learner_number(l, "beta_end");
    u->scheduler.root = json_pack("{s:s,s:i,s:f,s:f,s:s,s:s,s:b,s:s,s:i}", "_class_name", "DDPMScheduler", "num_train_timesteps",
                                  learner_int(l, "timesteps"), "beta_start", first > 0 ? first : rows[schedule].first, "beta_end",
                                  last > 0 ? last : rows[schedule].last, "beta_schedule", rows[schedule].name, "prediction_type",
                                  learner_choice(l, "prediction") ? "v_prediction" : "epsilon", "clip_sample", u->vae_folder == NULL,
                                  "timestep_spacing", "leading", "steps_offset", 0);
    if (!u->scheduler.root)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(mem_string(ctx, &u->scheduler.path, "the settings of the model"));
fail:
    return st;
}

/* The rule of the noise, of which the sampler knows how to read it. */
static clio_status open_scheduler(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    struct sampler *s = NULL;
    TRY(folder_json(ctx, &u->scheduler, l->from, "scheduler", "scheduler_config.json"));
    TRY(folder_json(ctx, &u->scheduler, learner_text(l, "init"), "scheduler", "scheduler_config.json"));
    if (!u->scheduler.root)
        TRY(make_scheduler(ctx, l, u));
    TRY(sampler_new(ctx, &s, &u->scheduler, 1, &(struct sampler_options){.method = "ddim", .steps = 1}));
    if (s->config.prediction == SAMPLER_SAMPLE)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"prediction_type\" is sample, and clio trains epsilon and v_prediction", u->scheduler.path);
    u->velocity = s->config.prediction == SAMPLER_V_PREDICTION;
    u->train_steps = s->config.train_steps;
    TRY(mem_alloc(ctx, &u->alphas, (size_t)u->train_steps, sizeof *u->alphas));
    memcpy(u->alphas, s->alphas, (size_t)u->train_steps * sizeof *u->alphas);
fail:
    sampler_free(s);
    return st;
}

/* ---- all of it ---- */

static clio_status check_network(clio_context *ctx, const struct learner *l, const struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &u->net.config;
    int own = u->vae_folder ? u->vae.config.latent : l->shape.channels;
    if (c->in != own || c->out != own)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s takes %d channels and gives %d, and the %s have %d: set channels, or vae=DIR", u->config.path,
             c->in, c->out, u->vae_folder ? "latents" : "images", own);
    if (u->captions.encoder && c->text != u->captions.net.width)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "%s attends to %d numbers for a token, and the text encoder %s gives %d: they do not belong together", u->config.path, c->text,
             u->captions.encoder, u->captions.net.width);
    if (l->shape.classes ? c->classes != CLASS_TABLE || c->class_width <= l->shape.classes : c->classes != CLASS_NONE)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s is made for %d labels (one of them for none), and the data has %d", u->config.path,
             c->classes == CLASS_TABLE ? c->class_width : 0, l->shape.classes);
fail:
    return st;
}

static clio_status load_network(clio_context *ctx, struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    const char *init = learner_text(l, "init");
    char *folder = NULL;
    TRY(folder_json(ctx, &u->config, l->from, "unet", "config.json"));
    u->loaded = !u->config.root && *init;
    if (u->loaded) {
        TRY(folder_try(ctx, init, "unet", &folder));
        if (!folder)
            TRY(mem_string(ctx, &folder, init));
        TRY(json_open(ctx, &u->config, folder, "config.json"));
        TRY(folder_weights(ctx, folder, "diffusion_pytorch_model", NULL, &weights));
    } else if (!u->config.root) {
        TRY(make_config(ctx, l, u));
    }
    ctx->collects = &l->parameters[0];
    st = unet_load(ctx, &u->config, u->loaded ? &weights : NULL, &u->net);
    ctx->collects = NULL;
    TRY(st);
    u->attends = u->net.attentions > 0;
    u->net.recompute = json_is_true(json_object_get(l->config, "recompute"));
    TRY(check_network(ctx, l, u));
    if (u->captions.learns && !u->attends)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "train_text_encoder is set, and %s attends to no text: leave that out, or the setting attention",
             u->config.path);
fail:
    weights_close(&weights);
    free(folder);
    return st;
}

clio_status unet_learner_open(clio_context *ctx, struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    arena_grow(ctx, &u->vae_arena);
    u->drop = learner_number(l, "drop_condition");
    u->min_snr = learner_choice(l, "snr_weighting") == 1;
    TRY(open_captions(ctx, l, u));
    TRY(open_vae(ctx, l, u));
    TRY(open_scheduler(ctx, l, u));
    TRY(load_network(ctx, l, u));
    l->latent = u->height * u->width * u->net.config.in;
fail:
    return st;
}

void unet_learner_free(clio_context *ctx, struct unet_learner *u)
{
    struct tensor *const all[] = {&u->states, &u->clean, &u->levels, &u->weights, &u->loss};
    for (size_t i = 0; i < COUNT(all); i++)
        tensor_free(ctx, all[i]);
    unet_prompt_free(ctx, &u->prompt);
    unet_free(ctx, &u->net);
    vae_free(ctx, &u->vae);
    captions_close(ctx, &u->captions);
    arena_free(ctx, &u->vae_arena);
    json_close(&u->config);
    json_close(&u->scheduler);
    free(u->vae_folder);
    free(u->alphas);
}

/* ---- for other programs ---- */

clio_status unet_learner_describe(clio_context *ctx, struct learner *l, const char *path)
{
    clio_status st = CLIO_OK;
    const struct unet_learner *u = l->state;
    json_t *index = NULL;
    TRY(folder_put_json(ctx, u->config.root, path, "unet", "config.json"));
    TRY(folder_put_json(ctx, u->scheduler.root, path, "scheduler", "scheduler_config.json"));
    if (u->captions.encoder)
        TRY(captions_describe(ctx, &u->captions, path));
    if (u->vae_folder)
        TRY(folder_link(ctx, path, "vae", u->vae_folder));
    if (u->captions.encoder && u->vae_folder && !l->shape.classes) { /* a whole pipeline */
        const char *class = json_string_value(json_object_get(u->scheduler.root, "_class_name"));
        index = json_pack("{s:s,s:[s,s],s:[s,s],s:[s,s],s:[s,s],s:[s,s],s:[n,n],s:[n,n],s:b}", "_class_name", "StableDiffusionPipeline",
                          "scheduler", "diffusers", class ? class : "DDPMScheduler", "text_encoder", "transformers", "CLIPTextModel",
                          "tokenizer", "transformers", "CLIPTokenizer", "unet", "diffusers", "UNet2DConditionModel", "vae", "diffusers",
                          "AutoencoderKL", "safety_checker", "feature_extractor", "requires_safety_checker", 0);
        if (!index)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        TRY(folder_put_json(ctx, index, path, "", "model_index.json"));
    }
fail:
    json_decref(index);
    return st;
}

/* The prompt of `count` rows, whose keys and values are those of u->states. */
static clio_status attend(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, int length)
{
    clio_status st = CLIO_OK;
    struct unet_prompt *p = &u->prompt;
    if (p->batch != count || p->length != length) {
        unet_prompt_free(ctx, p);
        TRY(unet_prompt_new(ctx, p, &u->net, count, length));
    }
    if (u->attends) {
        struct tensor states = tensor_reshape(&u->states, 3, count, length, u->net.config.text, 0);
        TRY(unet_attend_to(ctx, arena, &u->net, p, &states));
    }
fail:
    return st;
}

clio_status unet_learner_attend(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, const char *const *texts)
{
    clio_status st = CLIO_OK;
    bool captions = u->captions.encoder != NULL;
    int length = captions ? u->captions.net.max_length : 1;
    if (u->attends) {
        TRY(learner_tensor(ctx, &u->states, count * length, u->net.config.text));
        struct tensor states = tensor_reshape(&u->states, 3, count, length, u->net.config.text, 0);
        if (captions)
            TRY(captions_encode(ctx, arena, &u->captions, &states, texts));
        else
            TRY(tensor_zero(ctx, &states));
    }
    TRY(attend(ctx, arena, u, count, length));
fail:
    return st;
}

struct tensor unet_learner_tensor(const struct unet_learner *u, int count)
{
    return tensor_shape(DTYPE_F32, 4, count, u->height, u->width, u->net.config.in);
}
