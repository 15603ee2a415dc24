/* diffusion_config.c - settings of a diffusion model as diffusers' configurations, and the folders of a pipeline (text_encoder, tokenizer,
 * vae, scheduler, unet), each from the checkpoint itself, from its setting, or from `pretrained`. */
#include "diffusion.h"
#include "../loaders/model_folder.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off: a setting a line */
const struct learner_setting unet_settings[] = {
    {"block_out_channels", 't', 0, 0, 0, "64,128,192",
     "channels of each resolution level; each level has half the resolution of the one before"},
    {"layers_per_block", 'i', 1, 7, 2, NULL, "residual blocks per level of the down path"},
    {"attention_levels", 's', 0, 0, 0, "auto|upper|all|none",
     "levels with attention; upper: all but the lowest resolution, and the middle block; auto: upper with captions, otherwise none"},
    {"num_attention_heads", 'i', 1, 64, 4, NULL, "attention heads"},
    {"norm_num_groups", 'i', 1, 64, 32, NULL, "groups of group normalization"},
    {"prediction_type", 's', 0, 0, 0, "epsilon|v_prediction", "what the network predicts: the noise, or the velocity v"},
    {"beta_schedule", 's', 0, 0, 0, "linear|scaled_linear|cosine", "noise schedule; cosine is diffusers' squaredcos_cap_v2"},
    {"beta_start", 'f', 0, 0.999, 0, NULL, "beta of the first timestep; 0: the schedule's usual value"},
    {"beta_end", 'f', 0, 0.999, 0, NULL, "beta of the last timestep; 0: the schedule's usual value"},
    {"num_train_timesteps", 'i', 2, 100000, 1000, NULL, "diffusion timesteps"},
    {"snr_gamma", 'f', 0, 1000, 0, NULL, "gamma of Min-SNR loss weighting (Hang et al. 2023), usually 5; 0: off"},
    {"conditioning_dropout", 'f', 0, 1, 0.1, NULL, "probability of dropping the caption or label, for classifier-free guidance"},
    {"text_encoder", 't', 0, 0, 0, NULL, "folder of a CLIP text encoder: train on captions"},
    {"train_text_encoder", 'b', 0, 1, 0, NULL, "also fine-tune the text encoder"},
    {"tokenizer", 't', 0, 0, 0, NULL, "folder of the tokenizer; default: next to text_encoder"},
    {"vae", 't', 0, 0, 0, NULL, "folder of an AutoencoderKL: latent diffusion instead of pixels"},
    {"pretrained", 't', 0, 0, 0, NULL, "diffusers folder to start from; its UNet overrides the settings above"},
    {"num_inference_steps", 'i', 1, 1000, 50, NULL, "DDIM steps when sampling"},
    {"guidance_scale", 'f', 0, 100, 3, NULL, "classifier-free guidance scale when sampling; 1: off"},
    {"validation_prompts", 't', 0, 0, 0, NULL, "captions of the samples, separated by |"},
    {"gradient_checkpointing", 'b', 0, 1, 0, NULL, "recompute activations in the backward pass: less memory, about a third more time"},
    {0},
};
/* clang-format on */

/* ---- folders ---- */

static clio_status open_captions(clio_context *ctx, struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    bool trains = json_is_true(json_object_get(l->config, "train_text_encoder"));
    TRY(captions_find(ctx, &u->captions, l, trains ? &l->parameters[1] : NULL));
    if (trains && !u->captions.encoder)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "train_text_encoder is set, and there is no text encoder: set text_encoder to its folder, or pretrained to a diffusers folder "
             "that has one");
fail:
    return st;
}

static clio_status open_vae(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    struct json_file config = {0};
    struct weights weights = {0};
    const struct vae_config *c = &u->vae.config;
    float shift;
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
             "the VAE %s needs images with %d channels and sides that are multiples of %d, not %d x %d with %d: set channels=%d "
             "image_size=%d",
             u->vae_folder, c->in, c->factor, l->shape.width, l->shape.height, l->shape.channels, c->in,
             MAX(1, l->shape.width / c->factor) * c->factor);
    u->height /= c->factor;
    u->width /= c->factor;
    shift = (float)c->shift;
    if (shift < 0 || shift > 0) {
        TRY(learner_tensor(ctx, &u->shift, 1, 1, "training"));
        TRY(tensor_write(ctx, &u->shift, 0, 1, &shift));
    }
fail:
    weights_close(&weights);
    json_close(&config);
    return st;
}

/* ---- configurations ---- */

#define EMPTY_CONTEXT_WIDTH 8 /* cross_attention_dim without captions: attention to a single row of zeros */

static clio_status make_config(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    json_t *channels = NULL, *down = json_array(), *up = json_array();
    int attention = learner_choice(l, "attention_levels"), own = u->vae_folder ? u->vae.config.latent : l->shape.channels;
    attention = attention ? attention : u->captions.encoder ? 1 : 3;
    TRY(learner_channels(ctx, l, learner_int(l, "num_attention_heads"), &channels));
    size_t count = json_array_size(channels);
    for (size_t i = 0; i < count; i++) {
        bool has_attention = attention == 2 || (attention == 1 && i + 1 < count);
        if (json_array_append_new(down, json_string(has_attention ? "CrossAttnDownBlock2D" : "DownBlock2D")) ||
            json_array_insert_new(up, 0, json_string(has_attention ? "CrossAttnUpBlock2D" : "UpBlock2D")))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    }
    u->config.root = json_pack(
        "{s:s,s:i,s:i,s:i,s:O,s:O,s:s,s:O,s:i,s:i,s:i,s:i,s:i,s:o}", "_class_name", "UNet2DConditionModel", "sample_size", u->width,
        "in_channels", own, "out_channels", own, "block_out_channels", channels, "down_block_types", down, "mid_block_type",
        attention == 3 ? "UNetMidBlock2D" : "UNetMidBlock2DCrossAttn", "up_block_types", up, "layers_per_block",
        learner_int(l, "layers_per_block"), "attention_head_dim", learner_int(l, "num_attention_heads"), "norm_num_groups",
        learner_int(l, "norm_num_groups"), "cross_attention_dim", u->captions.encoder ? u->captions.net.width : EMPTY_CONTEXT_WIDTH,
        "downsample_padding", 1, "num_class_embeds", l->shape.classes ? json_integer(l->shape.classes + 1) : json_null());
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
    int schedule = learner_choice(l, "beta_schedule");
    double first = learner_number(l, "beta_start"), last = learner_number(l, "beta_end");
    u->scheduler.root = json_pack("{s:s,s:i,s:f,s:f,s:s,s:s,s:b,s:s,s:i}", "_class_name", "DDPMScheduler", "num_train_timesteps",
                                  learner_int(l, "num_train_timesteps"), "beta_start", first > 0 ? first : rows[schedule].first, "beta_end",
                                  last > 0 ? last : rows[schedule].last, "beta_schedule", rows[schedule].name, "prediction_type",
                                  learner_choice(l, "prediction_type") ? "v_prediction" : "epsilon", "clip_sample", u->vae_folder == NULL,
                                  "timestep_spacing", "leading", "steps_offset", 0);
    if (!u->scheduler.root)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(mem_string(ctx, &u->scheduler.path, "the settings of the model"));
fail:
    return st;
}

/* The noise schedule, read by the sampler. */
static clio_status open_scheduler(clio_context *ctx, const struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    struct sampler *s = NULL;
    TRY(folder_json(ctx, &u->scheduler, l->from, "scheduler", "scheduler_config.json"));
    TRY(folder_json(ctx, &u->scheduler, learner_text(l, "pretrained"), "scheduler", "scheduler_config.json"));
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

/* ---- open and close ---- */

static clio_status check_network(clio_context *ctx, const struct learner *l, const struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &u->net.config;
    int own = u->vae_folder ? u->vae.config.latent : l->shape.channels;
    if (c->in != own || c->out != own)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has %d input and %d output channels, and the %s have %d: set channels, or vae=DIR",
             u->config.path, c->in, c->out, u->vae_folder ? "latents" : "images", own);
    if (u->captions.encoder && c->text != u->captions.net.width)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "%s has cross_attention_dim %d, and the text encoder %s has a width of %d: use the text encoder of this UNet", u->config.path,
             c->text, u->captions.encoder, u->captions.net.width);
    if (l->shape.classes ? c->classes != CLASS_TABLE || c->class_width <= l->shape.classes : c->classes != CLASS_NONE)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has %d class embeddings (one more than classes), and the data has %d classes", u->config.path,
             c->classes == CLASS_TABLE ? c->class_width : 0, l->shape.classes);
fail:
    return st;
}

static clio_status load_network(clio_context *ctx, struct learner *l, struct unet_learner *u)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    const char *init = learner_text(l, "pretrained");
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
    u->has_attention = u->net.attentions > 0;
    u->net.recompute = json_is_true(json_object_get(l->config, "gradient_checkpointing"));
    TRY(check_network(ctx, l, u));
    if (u->captions.trains && !u->has_attention)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "train_text_encoder is set, and %s has no cross-attention: unset it, or set attention_levels=upper",
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
    u->drop = learner_number(l, "conditioning_dropout");
    u->snr_gamma = learner_number(l, "snr_gamma");
    TRY(open_captions(ctx, l, u));
    TRY(open_vae(ctx, l, u));
    TRY(open_scheduler(ctx, l, u));
    TRY(load_network(ctx, l, u));
    TRY(learner_set_latent(ctx, l, u->height, u->width, u->net.config.in));
fail:
    return st;
}

void unet_learner_free(clio_context *ctx, struct unet_learner *u)
{
    struct tensor *const all[] = {&u->states, &u->clean, &u->levels, &u->weights, &u->loss, &u->shift};
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

/* ---- files of a diffusers folder ---- */

clio_status unet_learner_save_config(clio_context *ctx, struct learner *l, const char *path)
{
    clio_status st = CLIO_OK;
    const struct unet_learner *u = l->state;
    json_t *index = NULL;
    TRY(learner_mark_f32(ctx, u->config.root));
    TRY(folder_put_json(ctx, u->config.root, path, "unet", "config.json"));
    TRY(folder_put_json(ctx, u->scheduler.root, path, "scheduler", "scheduler_config.json"));
    if (u->captions.encoder)
        TRY(captions_save(ctx, &u->captions, path));
    if (u->vae_folder)
        TRY(folder_copy(ctx, path, "vae", u->vae_folder, NULL));
    if (u->captions.encoder && u->vae_folder && !l->shape.classes) { /* a complete pipeline */
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

/* Keys and values of u->states, for `count` samples. */
static clio_status set_keys(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, int length)
{
    clio_status st = CLIO_OK;
    struct unet_prompt *p = &u->prompt;
    if (p->batch != count || p->length != length) {
        unet_prompt_free(ctx, p);
        TRY(unet_prompt_new(ctx, p, &u->net, count, length));
    }
    if (u->has_attention) {
        struct tensor states = tensor_reshape(&u->states, 3, count, length, u->net.config.text, 0);
        TRY(unet_attend_to(ctx, arena, &u->net, p, &states));
    }
fail:
    return st;
}

clio_status unet_learner_set_context(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, const char *const *texts)
{
    clio_status st = CLIO_OK;
    bool captions = u->captions.encoder != NULL;
    int length = captions ? u->captions.net.max_length : 1;
    if (u->has_attention) {
        TRY(learner_tensor(ctx, &u->states, count * length, u->net.config.text, "training"));
        struct tensor states = tensor_reshape(&u->states, 3, count, length, u->net.config.text, 0);
        if (captions)
            TRY(captions_encode(ctx, arena, &u->captions, &states, texts));
        else
            TRY(tensor_zero(ctx, &states));
    }
    TRY(set_keys(ctx, arena, u, count, length));
fail:
    return st;
}

struct tensor unet_learner_tensor(const struct unet_learner *u, int count)
{
    return tensor_shape(DTYPE_F32, 4, count, u->height, u->width, u->net.config.in);
}
