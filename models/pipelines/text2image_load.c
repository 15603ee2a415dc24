/* text2image_load.c - open a diffusers folder or a single file and load its networks. Opening reads the configurations and tensor lists of
 * all parts, so that a missing or unsupported part is reported before anything is computed. */
#include "text2image.h"
#include "../loaders/config.h"
#include "../loaders/model_folder.h"
#include "../loaders/lora.h"
#include "../networks/clip_text.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_CLIP_LAYERS 24 /* of the text encoder of Stable Diffusion 2 */

/* The open files of one part of the pipeline. */
struct part {
    const struct json_file *config;
    struct weights *weights;
    /* what config and weights point at: */
    struct json_file folder_config;
    struct weights folder_weights;
    struct single_file single;
};

static const struct {
    const char *folder, *stem;
} parts[] = {{"text_encoder", "model"}, {"unet", "diffusion_pytorch_model"}, {"vae", "diffusion_pytorch_model"}};

static void part_close(struct part *part)
{
    json_close(&part->folder_config);
    weights_close(&part->folder_weights);
    single_file_close(&part->single);
}

static clio_status open_folder(const clio_diffusion *p, struct part *part, const char *dir, const char *stem)
{
    clio_status st = CLIO_OK;
    TRY(json_open(p->ctx, &part->folder_config, dir, "config.json"));
    TRY(folder_weights(p->ctx, dir, stem, p->variant, &part->folder_weights));
    part->config = &part->folder_config;
    part->weights = &part->folder_weights;
fail:
    return st;
}

static clio_status part_open(const clio_diffusion *p, struct part *part, enum diffusion_part name)
{
    clio_status st = CLIO_OK;
    char *dir = NULL;
    *part = (struct part){0};
    if (name == PART_TAESD) {
        TRY(open_folder(p, part, p->taesd, "diffusion_pytorch_model"));
    } else if (p->is_file) {
        struct single_file *s = &part->single;
        TRY(single_file_open(p->ctx, s, p->path, p->prediction));
        part->config = name == PART_TEXT_ENCODER ? &s->text_encoder_config : name == PART_UNET ? &s->unet_config : &s->vae_config;
        part->weights = name == PART_TEXT_ENCODER ? &s->text_encoder : name == PART_UNET ? &s->unet : &s->vae;
    } else {
        TRY(file_join(p->ctx, &dir, p->path, parts[name].folder));
        if (!file_is_folder(dir))
            FAIL(p->ctx, CLIO_ERROR_FILE, "%s has no folder %s, which a Stable Diffusion model needs: download the missing part", p->path,
                 parts[name].folder);
        TRY(open_folder(p, part, dir, parts[name].stem));
    }
fail:
    free(dir);
    if (st)
        part_close(part);
    return st;
}

/* Merge all LoRAs into the weights of one part. */
static clio_status merge_loras(const clio_diffusion *p, enum lora_part part, struct weights *weights)
{
    clio_status st = CLIO_OK;
    struct lora lora = {0};
    size_t count = p->lora_count + p->prompt_lora_count;
    for (size_t i = 0; i < count; i++) {
        const struct lora_choice *choice = i < p->lora_count ? &p->loras[i] : &p->prompt_loras[i - p->lora_count];
        TRY(context_progress(p->ctx, "merging the LoRA", (double)i, (double)count));
        TRY(lora_open(p->ctx, &lora, choice->path));
        TRY(lora_merge(p->ctx, &lora, part, choice->strength, weights));
        lora_close(&lora);
    }
fail:
    lora_close(&lora);
    return st;
}

/* ---- networks ---- */

clio_status diffusion_need_text_encoder(clio_diffusion *p, const struct embeddings *embeddings, struct text_encoder *encoder)
{
    clio_status st = CLIO_OK;
    struct part part;
    *encoder = (struct text_encoder){0};
    TRY(part_open(p, &part, PART_TEXT_ENCODER));
    st = merge_loras(p, LORA_TEXT_ENCODER, part.weights);
    if (!st && embeddings)
        st = embeddings_extend(p->ctx, embeddings, part.config, part.weights);
    if (!st)
        st = text_encoder_load(p->ctx, part.config, part.weights, encoder);
    part_close(&part);
fail:
    return st;
}

clio_status diffusion_need_unet(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct part part;
    if (p->has_unet)
        return CLIO_OK;
    TRY(part_open(p, &part, PART_UNET));
    st = merge_loras(p, LORA_UNET, part.weights);
    if (!st)
        st = unet_load(p->ctx, part.config, part.weights, &p->unet);
    p->has_unet = !st;
    part_close(&part);
fail:
    return st;
}

void diffusion_drop_unet(clio_diffusion *p)
{
    if (p->has_unet)
        unet_free(p->ctx, &p->unet);
    p->has_unet = false;
}

clio_status diffusion_need_vae(clio_diffusion *p, int sides)
{
    clio_status st = CLIO_OK;
    struct part part;
    if ((p->vae_parts & sides) == sides)
        return CLIO_OK;
    sides |= p->vae_parts;
    vae_free(p->ctx, &p->vae);
    p->vae_parts = 0;
    TRY(context_progress(p->ctx, "loading the autoencoder", 0, 0));
    TRY(part_open(p, &part, PART_VAE));
    st = vae_load(p->ctx, part.config, part.weights, sides, &p->vae);
    part_close(&part);
    TRY(st);
    p->vae_parts = sides;
fail:
    return st;
}

clio_status diffusion_need_tiny(clio_diffusion *p, int sides)
{
    clio_status st = CLIO_OK;
    struct part part;
    if ((p->tiny_parts & sides) == sides)
        return CLIO_OK;
    sides |= p->tiny_parts;
    vae_tiny_free(p->ctx, &p->tiny);
    p->tiny_parts = 0;
    TRY(part_open(p, &part, PART_TAESD));
    st = vae_tiny_load(p->ctx, part.config, part.weights, sides, &p->tiny);
    part_close(&part);
    TRY(st);
    p->tiny_parts = sides;
fail:
    return st;
}

void diffusion_drop_vae(clio_diffusion *p)
{
    vae_free(p->ctx, &p->vae);
    vae_tiny_free(p->ctx, &p->tiny);
    p->vae_parts = p->tiny_parts = 0;
}

/* ---- opening ---- */

/* Check the _class_name of model_index.json; the file may be absent. */
static clio_status check_index(const clio_diffusion *p)
{
    static const char *const known[] = {
        "StableDiffusionPipeline",        "StableDiffusionImg2ImgPipeline",        "StableDiffusionInpaintPipeline",
        "LatentConsistencyModelPipeline", "LatentConsistencyModelImg2ImgPipeline", "DiffusionPipeline"};
    clio_status st = CLIO_OK;
    struct json_file index = {0};
    const char *name;
    char *path = NULL, *unet = NULL;
    bool exists;
    TRY(file_join(p->ctx, &path, p->path, "model_index.json"));
    TRY(file_join(p->ctx, &unet, p->path, "unet"));
    TRY(file_check_exists(p->ctx, path, &exists));
    if (!exists) {
        TRY(file_check_folder(p->ctx, unet, &exists));
        if (!exists)
            FAIL(p->ctx, CLIO_ERROR_FILE,
                 "%s is not a Stable Diffusion folder: it has neither model_index.json nor unet; use the folder that contains "
                 "text_encoder, unet, vae and scheduler",
                 p->path);
        goto fail;
    }
    TRY(json_open(p->ctx, &index, p->path, "model_index.json"));
    TRY(json_text(p->ctx, &index, "_class_name", "StableDiffusionPipeline", &name));
    for (size_t i = 0; i < COUNT(known); i++)
        if (!strcmp(name, known[i]))
            goto fail;
    FAIL(p->ctx, CLIO_ERROR_UNSUPPORTED,
         "%s: the pipeline class %.60s is not supported: use a Stable Diffusion 1 or 2 model (StableDiffusionPipeline)", index.path, name);
fail:
    json_close(&index);
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

/* The scheduler configuration, with params->prediction_type if it is set. */
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
        if (p->prediction)
            TRY(json_put_name(p->ctx, p->scheduler.root, "prediction_type", p->prediction));
    }
    TRY(sampler_new(p->ctx, &s, &p->scheduler, 1, &(struct sampler_options){.steps = 10, .stable_diffusion = true}));
fail:
    sampler_free(s);
    single_file_close(&single);
    free(dir);
    return st;
}

/* Read the configurations and tensor lists of all parts, but no weights. */
static clio_status read_parts(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct part part;
    int vae_side;
    TRY(part_open(p, &part, PART_TEXT_ENCODER));
    struct clip_text_config text;
    const json_t *act;
    st = clip_text_read_config(p->ctx, part.config, &text);
    if (st)
        part_close(&part);
    TRY(st);
    p->positions = text.positions;
    p->vocab = text.vocab;
    p->text_layers = text.layers;
    /* The text encoder of Stable Diffusion 2 has 24 layers, of which the model was trained with 23; its files have these. */
    p->clip_skip = text.act == ACT_GELU && text.layers < OPEN_CLIP_LAYERS ? 2 : 1;
    act = json_object_get(part.config->root, "hidden_act");
    /* Stable Diffusion 2 pads with "!" (id 0). CLIP's tokenizer, used for single files, pads with the end token. */
    if (p->is_file && json_is_string(act) && !strcmp(json_string_value(act), "gelu") && p->tokenizer.pad == p->tokenizer.end)
        p->tokenizer.pad = 0;
    part_close(&part);
    TRY(part_open(p, &part, PART_UNET));
    st = unet_read_config(p->ctx, part.config, &p->config);
    part_close(&part);
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
    if (p->taesd) {
        TRY(part_open(p, &part, PART_TAESD));
        part_close(&part);
    }
    vae_side = 8;
    if (!p->taesd || p->taesd_preview_only) {
        TRY(part_open(p, &part, PART_VAE));
        size_t blocks = json_array_size(json_object_get(part.config->root, "block_out_channels"));
        vae_side = blocks > 0 && blocks < 8 ? 1 << (blocks - 1) : 8;
        part_close(&part);
    }
    p->side = c->sample > 0 ? c->sample * vae_side : 512;
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
    TRY(mem_string(p->ctx, &p->taesd, params->taesd));
    TRY(mem_string(p->ctx, &p->lora_dir, params->lora_dir));
    TRY(mem_string(p->ctx, &p->embedding_dir, params->embedding_dir));
    p->taesd_preview_only = params->taesd_preview_only != 0;
    p->keep = params->keep != 0;
    TRY(mem_alloc(p->ctx, &p->loras, MAX(params->lora_count, 1), sizeof *p->loras));
    p->lora_count = params->lora_count;
    for (size_t i = 0; i < p->lora_count; i++) {
        struct lora lora;
        p->loras[i].strength = params->loras[i].strength;
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
        FAIL(ctx, CLIO_ERROR_FILE, "%s does not exist: use a Stable Diffusion folder in the diffusers layout, or a .safetensors checkpoint",
             path);
    TRY(mem_alloc(ctx, &p, 1, sizeof *p));
    p->ctx = ctx;
    TRY(mem_string(ctx, &p->path, path));
    for (size_t n = strlen(p->path); n > 1 && p->path[n - 1] == '/';)
        p->path[--n] = 0;
    p->is_file = kind != FILE_FOLDER;
    if (!p->is_file)
        TRY(check_index(p));
    TRY(copy_params(p, params));
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
    free(p->path);
    free(p);
}

int clio_diffusion_size(const clio_diffusion *p)
{
    return p ? p->side : 0;
}
