/* text2image_parts.c - open the files of one network (a part of a folder or of a single file, or a file of its own), merge the LoRAs, and
 * load the network. */
#include "text2image.h"
#include "../loaders/config.h"
#include "../loaders/model_folder.h"
#include "../loaders/lora.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *folder, *stem;
} parts[] = {{"text_encoder", "model"}, {"unet", "diffusion_pytorch_model"}, {"vae", "diffusion_pytorch_model"}};

void diffusion_close_part(struct diffusion_files *part)
{
    json_close(&part->folder_config);
    weights_close(&part->folder_weights);
    single_file_close(&part->single);
}

const char *diffusion_index_class(const clio_diffusion *p, const char *folder)
{
    return json_string_value(json_array_get(json_object_get(p->index.root, folder), 1));
}

/* A folder with config.json. class_name: what model_index.json says about it, which diffusers believes; NULL: nothing. */
static clio_status open_folder(const clio_diffusion *p, struct diffusion_files *part, const char *dir, const char *stem,
                               const char *class_name)
{
    clio_status st = CLIO_OK;
    TRY(json_open(p->ctx, &part->folder_config, dir, "config.json"));
    if (class_name)
        TRY(json_put_name(p->ctx, part->folder_config.root, "_class_name", class_name));
    TRY(folder_weights(p->ctx, dir, stem, p->variant, &part->folder_weights));
    part->config = &part->folder_config;
    part->weights = &part->folder_weights;
fail:
    return st;
}

/* A folder or a file of its own. */
static clio_status open_autoencoder(const clio_diffusion *p, struct diffusion_files *part, const char *path)
{
    clio_status st = CLIO_OK;
    bool is_folder;
    TRY(file_check_folder(p->ctx, path, &is_folder));
    if (is_folder)
        return open_folder(p, part, path, parts[PART_VAE].stem, NULL);
    TRY(autoencoder_file_open(p->ctx, &part->single, path));
    part->config = &part->single.vae_config;
    part->weights = &part->single.vae;
fail:
    return st;
}

static clio_status open_single(const clio_diffusion *p, struct diffusion_files *part, enum diffusion_part name)
{
    clio_status st = CLIO_OK;
    struct single_file *s = &part->single;
    TRY(single_file_open(p->ctx, s, p->path, p->prediction));
    if (name == PART_VAE && !s->vae_config.root)
        FAIL(p->ctx, CLIO_ERROR_UNSUPPORTED, "%s has no VAE (first_stage_model.*): give one as params.vae, or use a checkpoint with a VAE",
             p->path);
    part->config = name == PART_TEXT_ENCODER ? &s->text_encoder_config : name == PART_UNET ? &s->unet_config : &s->vae_config;
    part->weights = name == PART_TEXT_ENCODER ? &s->text_encoder : name == PART_UNET ? &s->unet : &s->vae;
fail:
    return st;
}

clio_status diffusion_open_part(const clio_diffusion *p, struct diffusion_files *part, enum diffusion_part name)
{
    clio_status st = CLIO_OK;
    char *dir = NULL;
    bool is_folder;
    *part = (struct diffusion_files){0};
    if (name == PART_TAESD || (name == PART_VAE && p->vae_path)) {
        TRY(open_autoencoder(p, part, name == PART_TAESD ? p->taesd : p->vae_path));
    } else if (p->is_file) {
        TRY(open_single(p, part, name));
    } else {
        TRY(file_join(p->ctx, &dir, p->path, parts[name].folder));
        TRY(file_check_folder(p->ctx, dir, &is_folder));
        if (!is_folder)
            FAIL(p->ctx, CLIO_ERROR_FILE, "%s has no folder %s, which a Stable Diffusion model needs: download the missing part%s", p->path,
                 parts[name].folder, name == PART_VAE ? ", or give params.vae" : "");
        /* the class of a text encoder is in the model_type of its config.json */
        TRY(open_folder(p, part, dir, parts[name].stem, name == PART_TEXT_ENCODER ? NULL : diffusion_index_class(p, parts[name].folder)));
    }
fail:
    free(dir);
    if (st)
        diffusion_close_part(part);
    return st;
}

/* The type in which matrices of images' networks are stored on the device. */
static enum dtype storage_type(clio_context *ctx)
{
    bool half = !params_is(ctx, "gemm.large.storage", "f32") || !params_is(ctx, "gemm.few.storage", "f32");
    return half ? DTYPE_F16 : DTYPE_F32;
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
        TRY(lora_merge(p->ctx, &lora, part, part == LORA_UNET ? choice->unet : choice->text_encoder, storage_type(p->ctx), weights));
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
    struct diffusion_files part;
    *encoder = (struct text_encoder){0};
    TRY(diffusion_open_part(p, &part, PART_TEXT_ENCODER));
    st = merge_loras(p, LORA_TEXT_ENCODER, part.weights);
    if (!st && embeddings)
        st = embeddings_extend(p->ctx, embeddings, part.config, part.weights);
    if (!st)
        st = text_encoder_load(p->ctx, part.config, part.weights, encoder);
    diffusion_close_part(&part);
fail:
    return st;
}

clio_status diffusion_need_unet(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct diffusion_files part;
    if (p->has_unet)
        return CLIO_OK;
    TRY(diffusion_open_part(p, &part, PART_UNET));
    st = merge_loras(p, LORA_UNET, part.weights);
    if (!st)
        st = unet_load(p->ctx, part.config, part.weights, &p->unet);
    p->has_unet = !st;
    diffusion_close_part(&part);
fail:
    return st;
}

void diffusion_drop_unet(clio_diffusion *p)
{
    if (p->has_unet)
        unet_free(p->ctx, &p->unet);
    p->has_unet = false;
}

clio_status diffusion_need_autoencoder(clio_diffusion *p, bool tiny, int sides)
{
    clio_status st = CLIO_OK;
    struct diffusion_files part;
    int *loaded = tiny ? &p->tiny_parts : &p->vae_parts;
    if ((*loaded & sides) == sides)
        return CLIO_OK;
    sides |= *loaded;
    *loaded = 0;
    if (tiny)
        vae_tiny_free(p->ctx, &p->tiny);
    else
        vae_free(p->ctx, &p->vae);
    TRY(context_progress(p->ctx, "loading the autoencoder", 0, 0));
    TRY(diffusion_open_part(p, &part, tiny ? PART_TAESD : PART_VAE));
    st = tiny ? vae_tiny_load(p->ctx, part.config, part.weights, sides, &p->tiny)
              : vae_load(p->ctx, part.config, part.weights, sides, &p->vae);
    diffusion_close_part(&part);
    TRY(st);
    *loaded = sides;
fail:
    return st;
}

void diffusion_drop_vae(clio_diffusion *p)
{
    vae_free(p->ctx, &p->vae);
    vae_tiny_free(p->ctx, &p->tiny);
    p->vae_parts = p->tiny_parts = 0;
}
