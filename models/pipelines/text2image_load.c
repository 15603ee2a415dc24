/* text2image_load.c - open a diffusers folder or a single file. Opening reads the configurations and tensor lists of all parts, so that a
 * missing or unsupported part is reported before anything is computed. */
#include "text2image.h"
#include "../loaders/lora.h"
#include "../loaders/other_formats.h"
#include "../networks/clip_text.h"
#include "../train/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#define OTHER_MODEL "the .safetensors or .ckpt checkpoint of the same model, or its folder in diffusers layout"
#define OPEN_CLIP_LAYERS 24 /* of the text encoder of Stable Diffusion 2 */

/* Read model_index.json and check its _class_name; the file may be absent. */
static clio_status open_index(clio_diffusion *p)
{
    static const char *const known[] = {
        "StableDiffusionPipeline",        "StableDiffusionImg2ImgPipeline",        "StableDiffusionInpaintPipeline",
        "LatentConsistencyModelPipeline", "LatentConsistencyModelImg2ImgPipeline", "DiffusionPipeline"};
    clio_status st = CLIO_OK;
    const char *name;
    char *path = NULL, *unet = NULL;
    bool exists;
    TRY(file_join(p->ctx, &path, p->path, "model_index.json"));
    TRY(file_join(p->ctx, &unet, p->path, "unet"));
    TRY(file_check_exists(p->ctx, path, &exists));
    if (!exists) {
        TRY(file_check_folder(p->ctx, unet, &exists));
        if (!exists)
            TRY(other_format_refuse(p->ctx, p->path, OTHER_MODEL, "give the folder in params.loras", false));
        if (!exists)
            FAIL(p->ctx, CLIO_ERROR_FILE,
                 "%s is not a Stable Diffusion folder: it has neither model_index.json nor unet; use the folder that contains "
                 "text_encoder, unet, vae and scheduler",
                 p->path);
        goto fail;
    }
    TRY(json_open(p->ctx, &p->index, p->path, "model_index.json"));
    TRY(json_text(p->ctx, &p->index, "_class_name", "StableDiffusionPipeline", &name));
    for (size_t i = 0; i < COUNT(known); i++)
        if (!strcmp(name, known[i]))
            goto fail;
    FAIL(p->ctx, CLIO_ERROR_UNSUPPORTED,
         "%s: the pipeline class %.60s is not supported: use a Stable Diffusion 1 or 2 model (StableDiffusionPipeline)", p->index.path,
         name);
fail:
    free(unet);
    free(path);
    return st;
}

/* The tokenizer's folder: params->tokenizer; else the model's own; for a single file, one next to it. */
static clio_status open_tokenizer(clio_diffusion *p, const char *named)
{
    clio_status st = CLIO_OK;
    char *dir = NULL, *folder = NULL, *vocabulary = NULL;
    const char *slash = strrchr(p->path, '/');
    bool is_folder, exists;
    if (named || !p->is_file) {
        if (!named)
            TRY(file_join(p->ctx, &dir, p->path, "tokenizer"));
        if (!named && !file_is_folder(dir))
            FAIL(p->ctx, CLIO_ERROR_FILE, "%s has no folder tokenizer, which a Stable Diffusion model needs: download the missing part",
                 p->path);
        TRY(clip_tokenizer_open(p->ctx, &p->tokenizer, named ? named : dir));
        goto fail;
    }
    TRY(mem_string(p->ctx, &folder, slash ? p->path : "."));
    if (slash)
        folder[MAX(slash - p->path, 1)] = 0;
    TRY(file_join(p->ctx, &dir, folder, "tokenizer"));
    TRY(file_join(p->ctx, &vocabulary, folder, "vocab.json"));
    TRY(file_check_folder(p->ctx, dir, &is_folder));
    TRY(file_check_exists(p->ctx, vocabulary, &exists));
    if (!is_folder && !exists)
        FAIL(p->ctx, CLIO_ERROR_FILE,
             "%s has no tokenizer in it: name a folder with CLIP's vocab.json and merges.txt as the tokenizer, or put them into a folder "
             "tokenizer beside the file",
             p->path);
    TRY(clip_tokenizer_open(p->ctx, &p->tokenizer, is_folder ? dir : folder));
fail:
    free(vocabulary);
    free(folder);
    free(dir);
    return st;
}

/* The scheduler configuration, with params->prediction_type if it is set. Its class is that of model_index.json, as in diffusers. */
static clio_status open_scheduler(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct single_file single = {0};
    struct sampler *s = NULL;
    char *dir = NULL;
    if (p->is_file) {
        TRY(single_file_open(p->ctx, &single, p->path, p->prediction));
        p->scheduler = single.scheduler_config;
        single.scheduler_config = (struct json_file){0};
    } else {
        TRY(file_join(p->ctx, &dir, p->path, "scheduler"));
        if (!file_is_folder(dir))
            FAIL(p->ctx, CLIO_ERROR_FILE, "%s has no folder scheduler, which a Stable Diffusion model needs: download the missing part",
                 p->path);
        TRY(json_open(p->ctx, &p->scheduler, dir, "scheduler_config.json"));
        const char *index_class = diffusion_index_class(p, "scheduler");
        if (index_class)
            TRY(json_put_name(p->ctx, p->scheduler.root, "_class_name", index_class));
        if (p->prediction)
            TRY(json_put_name(p->ctx, p->scheduler.root, "prediction_type", p->prediction));
    }
    /* A class that clio does not have is an error of clio_imagine, unless its caller chooses another sampler. */
    const char *class_name = json_string_value(json_object_get(p->scheduler.root, "_class_name"));
    const char *method = !class_name || sampler_class_is_known(class_name) ? NULL : "ddim";
    TRY(sampler_new(p->ctx, &s, &p->scheduler, 1, &(struct sampler_options){.method = method, .steps = 10, .stable_diffusion = true}));
fail:
    sampler_free(s);
    single_file_close(&single);
    free(dir);
    return st;
}

/* Read what the text encoder's configuration says about prompts. */
static clio_status read_text_encoder(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct diffusion_files part;
    struct clip_text_config text;
    TRY(diffusion_open_part(p, &part, PART_TEXT_ENCODER));
    st = clip_text_read_config(p->ctx, part.config, &text);
    if (st)
        diffusion_close_part(&part);
    TRY(st);
    p->positions = text.positions;
    p->vocab = text.vocab;
    p->text_layers = text.layers;
    /* The text encoder of Stable Diffusion 2 has 24 layers, of which the model was trained with 23; its files have these. */
    p->clip_skip = text.act == ACT_GELU && text.layers < OPEN_CLIP_LAYERS ? 2 : 1;
    /* Stable Diffusion 2 pads with "!" (id 0), version 1 with the end token, whichever tokenizer was found for a single file. */
    if (p->is_file)
        p->tokenizer.pad = part.single.is_version_2 ? 0 : p->tokenizer.end;
    if (part.single.unneeded_count)
        context_notice(p->ctx, "%s: %zu tensor%s that no part of Stable Diffusion needs %s left out (the first is %.200s)", p->path,
                       part.single.unneeded_count, part.single.unneeded_count > 1 ? "s" : "", part.single.unneeded_count > 1 ? "are" : "is",
                       part.single.unneeded);
    diffusion_close_part(&part);
fail:
    return st;
}

static clio_status read_unet(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct diffusion_files part;
    TRY(diffusion_open_part(p, &part, PART_UNET));
    st = unet_read_config(p->ctx, part.config, &p->config);
    diffusion_close_part(&part);
    TRY(st);
    const struct unet_config *c = &p->config;
    if (c->in != c->out && c->in != 2 * c->out + 1)
        FAIL(p->ctx, CLIO_ERROR_UNSUPPORTED,
             "the UNet of %s has %d input and %d output channels, which is not supported: use a model with equal numbers, or an inpainting "
             "model (9 and 4)",
             p->path, c->in, c->out);
    if (c->classes != CLASS_NONE)
        FAIL(p->ctx, CLIO_ERROR_UNSUPPORTED,
             "the UNet of %s is conditioned on a class (class_embed_type), which is not supported: use another model", p->path);
fail:
    return st;
}

static bool is_tiny(const struct diffusion_files *part)
{
    const char *name = json_string_value(json_object_get(part->config->root, "_class_name"));
    return name && !strcmp(name, "AutoencoderTiny");
}

/* *side: pixels per latent. A VAE that is an AutoencoderTiny (SDXS, or a file) takes the place of params->taesd. */
static clio_status read_autoencoders(clio_diffusion *p, int *side)
{
    clio_status st = CLIO_OK;
    struct diffusion_files part;
    *side = 8;
    if (p->taesd) {
        TRY(diffusion_open_part(p, &part, PART_TAESD));
        bool good = is_tiny(&part) || !json_object_get(part.config->root, "_class_name");
        diffusion_close_part(&part);
        if (!good)
            FAIL(p->ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s is not a tiny autoencoder (AutoencoderTiny): give a VAE (AutoencoderKL) as params.vae instead of params.taesd",
                 p->taesd);
    }
    if (p->taesd && !p->taesd_preview_only)
        return CLIO_OK;
    TRY(diffusion_open_part(p, &part, PART_VAE));
    bool tiny = is_tiny(&part);
    size_t blocks = json_array_size(json_object_get(part.config->root, tiny ? "encoder_block_out_channels" : "block_out_channels"));
    *side = blocks > 0 && blocks < 8 ? 1 << (blocks - 1) : 8;
    diffusion_close_part(&part);
    if (tiny) {
        free(p->taesd);
        p->taesd = NULL;
        p->taesd_preview_only = false;
        TRY(p->vae_path ? mem_string(p->ctx, &p->taesd, p->vae_path) : file_join(p->ctx, &p->taesd, p->path, "vae"));
    }
fail:
    return st;
}

clio_status diffusion_check_loras(clio_diffusion *p, const struct lora_choice *list, size_t count)
{
    clio_status st = CLIO_OK;
    struct diffusion_files text = {0}, unet = {0};
    struct lora lora = {0};
    if (count) {
        TRY(diffusion_open_part(p, &text, PART_TEXT_ENCODER));
        TRY(diffusion_open_part(p, &unet, PART_UNET));
    }
    for (size_t i = 0; i < count; i++) {
        TRY(lora_open(p->ctx, &lora, list[i].path));
        TRY(lora_check(p->ctx, &lora, unet.weights, text.weights));
        lora_close(&lora);
    }
fail:
    lora_close(&lora);
    diffusion_close_part(&text);
    diffusion_close_part(&unet);
    return st;
}

/* A part without the variant that was asked for. */
static clio_status notice_variant(clio_diffusion *p)
{
    static const enum diffusion_part all[] = {PART_TEXT_ENCODER, PART_UNET, PART_VAE};
    clio_status st = CLIO_OK;
    struct diffusion_files part;
    for (size_t i = 0; i < COUNT(all) && p->variant && !p->is_file; i++) {
        if (all[i] == PART_VAE && (p->vae_path || p->taesd))
            continue;
        TRY(diffusion_open_part(p, &part, all[i]));
        const char *name = strrchr(part.weights->path, '/');
        if (!strstr(name ? name : part.weights->path, p->variant))
            context_notice(p->ctx, "%s is used, since there are no weights of the variant %s beside it", part.weights->path, p->variant);
        diffusion_close_part(&part);
    }
fail:
    return st;
}

/* Read the configurations and tensor lists of all parts, but no weights. */
static clio_status read_parts(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    int vae_side;
    TRY(read_text_encoder(p));
    TRY(read_unet(p));
    TRY(read_autoencoders(p, &vae_side));
    TRY(notice_variant(p));
    TRY(diffusion_check_loras(p, p->loras, p->lora_count));
    p->side = p->config.sample > 0 ? p->config.sample * vae_side : 512;
fail:
    return st;
}

static clio_status copy_params(clio_diffusion *p, const clio_diffusion_params *params)
{
    clio_status st = CLIO_OK;
    static const char *const predictions[][2] = {
        {"eps", "epsilon"}, {"epsilon", "epsilon"}, {"v", "v_prediction"}, {"v_prediction", "v_prediction"}, {"sample", "sample"}};
    const char *prediction = NULL;
    for (size_t i = 0; params->prediction_type && i < COUNT(predictions); i++)
        if (!strcmp(params->prediction_type, predictions[i][0]))
            prediction = predictions[i][1];
    TRY(mem_string(p->ctx, &p->variant, params->variant));
    TRY(mem_string(p->ctx, &p->prediction, prediction));
    TRY(mem_string(p->ctx, &p->vae_path, params->vae));
    TRY(mem_string(p->ctx, &p->taesd, params->taesd));
    TRY(mem_string(p->ctx, &p->lora_dir, params->lora_dir));
    TRY(mem_string(p->ctx, &p->embedding_dir, params->embedding_dir));
    p->taesd_preview_only = params->taesd_preview_only != 0;
    p->keep = params->keep != 0;
    TRY(mem_alloc(p->ctx, &p->loras, MAX(params->lora_count, 1), sizeof *p->loras));
    p->lora_count = params->lora_count;
    for (size_t i = 0; i < p->lora_count; i++) {
        struct lora lora;
        p->loras[i].text_encoder = p->loras[i].unet = params->loras[i].strength;
        TRY(mem_string(p->ctx, &p->loras[i].path, params->loras[i].path));
        TRY(lora_open(p->ctx, &lora, p->loras[i].path));
        lora_close(&lora);
    }
fail:
    return st;
}

clio_status clio_diffusion_load(clio_context *ctx, const char *path, const clio_diffusion_params *params, clio_diffusion **out)
{
    clio_status st = CLIO_OK;
    clio_diffusion *p = NULL;
    clio_diffusion_params none = {0};
    enum file_kind kind;
    params = params ? params : &none;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, path, "path");
    TRY(diffusion_check(ctx, CALLER, params));
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(context_need_device(ctx));
    TRY(file_find(ctx, path, &kind));
    if (kind == FILE_ABSENT)
        FAIL(ctx, CLIO_ERROR_FILE,
             "%s does not exist: use a Stable Diffusion folder in the diffusers layout, or a .safetensors or .ckpt file", path);
    TRY(mem_alloc(ctx, &p, 1, sizeof *p));
    p->ctx = ctx;
    TRY(mem_string(ctx, &p->path, path));
    for (size_t n = strlen(p->path); n > 1 && p->path[n - 1] == '/';)
        p->path[--n] = 0;
    p->is_file = kind != FILE_FOLDER;
    if (p->is_file)
        TRY(other_format_refuse(ctx, path, OTHER_MODEL, "give the folder in params.loras", true));
    else
        TRY(open_index(p));
    if (!p->is_file)
        TRY(checkpoint_check_model(ctx, p->path));
    TRY(copy_params(p, params));
    TRY(diffusion_find_prediction(p));
    TRY(open_scheduler(p)); /* for a single file, this also checks that it is a checkpoint */
    TRY(open_tokenizer(p, params->tokenizer));
    TRY(read_parts(p));
    *out = p;
    return CLIO_OK;
fail:
    clio_diffusion_free(p);
    return st;
}

void clio_diffusion_free(clio_diffusion *p)
{
    if (!p)
        return;
    diffusion_drop_unet(p);
    diffusion_drop_vae(p);
    clip_tokenizer_close(&p->tokenizer);
    json_close(&p->scheduler);
    lora_choices_free(p->loras, p->lora_count);
    lora_choices_free(p->prompt_loras, p->prompt_lora_count);
    free(p->lora_dir);
    free(p->embedding_dir);
    free(p->variant);
    free(p->prediction);
    free(p->taesd);
    free(p->vae_path);
    json_close(&p->index);
    free(p->path);
    free(p);
}

int clio_diffusion_size(const clio_diffusion *p)
{
    return p ? p->side : 0;
}
