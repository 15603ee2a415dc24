/* single_file.c - split the tensors of a single-file checkpoint into the parts of a diffusers folder. See single_file.h. An unknown tensor
 * of a part is an error, since it would change the result. Ignored are tensors of training (noise schedule, EMA weights), position_ids, and
 * OpenCLIP's image encoder. */
#include "single_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

/* ---- structure ---- */

/* Number of tensors start0end, start1end, ... */
static int count_names(const struct weights *file, const char *start, const char *end)
{
    char name[256];
    int n = 0;
    for (; n < 1000; n++) {
        snprintf(name, sizeof name, "%s%d%s", start, n, end);
        if (!weights_find(file, name))
            break;
    }
    return n;
}

/* Fail, and say what the file is. */
static clio_status fail_unsupported(clio_context *ctx, const struct weights *file)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < file->count; i++) {
        const char *name = file->list[i].name;
        if (begins_with(name, "conditioner.embedders."))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s is a Stable Diffusion XL checkpoint, which is not supported: use a Stable Diffusion 1 or 2 model", file->path);
        if (begins_with(name, "lora_") || strstr(name, ".lora"))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a LoRA, not a model: use the model that it was made for, and pass this file as a LoRA",
                 file->path);
        if (begins_with(name, "down_blocks."))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s is one part of a diffusers folder: use the folder that contains unet, vae and text_encoder", file->path);
    }
    FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is not a checkpoint of Stable Diffusion 1 or 2: it has no " SINGLE_UNET "input_blocks",
         file->path);
fail:
    return st;
}

/* Read the numbers of levels and layers from the tensor names. */
static clio_status read_shape(clio_context *ctx, struct single_shape *shape, const struct weights *file)
{
    clio_status st = CLIO_OK;
    int blocks = 1, ops = 0, first_op = 0;
    memset(shape, 0, sizeof *shape);
    for (char name[128];; blocks++) { /* every block except a downsampler has a resnet */
        bool is_op, is_resnet;
        snprintf(name, sizeof name, SINGLE_UNET "input_blocks.%d.0.op.weight", blocks);
        is_op = weights_find(file, name) != NULL;
        snprintf(name, sizeof name, SINGLE_UNET "input_blocks.%d.0.in_layers.0.weight", blocks);
        is_resnet = weights_find(file, name) != NULL;
        if (blocks >= 100 || (!is_op && !is_resnet))
            break;
        ops += is_op;
        first_op = is_op && !first_op ? blocks : first_op;
    }
    if (blocks == 1 || weights_find(file, SINGLE_UNET "label_emb.0.0.weight"))
        TRY(fail_unsupported(ctx, file));
    shape->unet_levels = ops + 1;
    shape->unet_layers = first_op ? first_op - 1 : blocks - 1;
    shape->vae_levels = count_names(file, SINGLE_VAE "encoder.down.", ".block.0.conv2.weight");
    shape->vae_layers = count_names(file, SINGLE_VAE "encoder.down.0.block.", ".conv2.weight");
    shape->is_open_clip = weights_find(file, SINGLE_OPEN_CLIP "token_embedding.weight") != NULL;
    shape->text_layers = shape->is_open_clip ? count_names(file, SINGLE_OPEN_CLIP "transformer.resblocks.", ".ln_1.weight")
                                             : count_names(file, SINGLE_CLIP "text_model.encoder.layers.", ".layer_norm1.weight");
    if (shape->unet_layers < 1 || (shape->unet_layers + 1) * shape->unet_levels != blocks || shape->unet_levels > SINGLE_LEVELS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: the UNet's levels do not have the same number of layers: use a checkpoint of Stable Diffusion 1 or 2", file->path);
    if (!shape->vae_levels)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has no VAE (" SINGLE_VAE "*): use a checkpoint with a VAE", file->path);
    if (shape->vae_levels > SINGLE_LEVELS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the VAE has %d levels: this is a checkpoint of another model", file->path,
             shape->vae_levels);
    if (shape->text_layers < (shape->is_open_clip ? 2 : 1))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has no text encoder (cond_stage_model.*): use a complete checkpoint", file->path);
fail:
    return st;
}

/* ---- the views ---- */

static clio_status fail_name(clio_context *ctx, const struct weights *file, const char *name, const char *part)
{
    return clio_fail(ctx, CLIO_ERROR_UNSUPPORTED, __FILE__, __LINE__,
                     "%s: the tensor %.200s is not part of the %s of Stable Diffusion 1 or 2: this is a checkpoint of another model",
                     file->path, name, part);
}

/* OpenCLIP's in_proj holds the Q, K and V projections in one tensor: split it into three. */
static clio_status add_fused(clio_context *ctx, struct weights *view, const struct weight *w, const char *start, const char *end)
{
    static const char *const parts[] = {"q_proj.", "k_proj.", "v_proj."};
    clio_status st = CLIO_OK;
    if (w->problem || w->ndim < 1 || w->dim[0] % 3)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s is not a fused QKV projection: download it again", view->path, w->name);
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct weight *third;
        char name[512];
        snprintf(name, sizeof name, "%s%s%s", start, parts[i], end);
        TRY(weights_add(ctx, view, name, w, &third));
        third->dim[0] = w->dim[0] / 3;
        third->count = w->count / 3;
        weight_skip(third, i * third->count);
    }
fail:
    return st;
}

static clio_status add_text(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const struct weight *w)
{
    clio_status st = CLIO_OK;
    char name[256], last[64];
    const char *key, *fused;
    if (!shape->is_open_clip) {
        key = w->name + strlen(SINGLE_CLIP);
        if (!begins_with(key, "text_model."))
            TRY(fail_name(ctx, &s->file, w->name, "text encoder"));
        if (!strstr(key, ".position_ids"))
            TRY(weights_add(ctx, &s->text_encoder, key, w, NULL));
        return CLIO_OK;
    }
    key = w->name + strlen(SINGLE_OPEN_CLIP);
    snprintf(last, sizeof last, "transformer.resblocks.%d.", shape->text_layers - 1);
    if (begins_with(key, last) || begins_with(key, "visual.") || !strcmp(key, "text_projection") || !strcmp(key, "logit_scale") ||
        !strcmp(key, "attn_mask"))
        return CLIO_OK;
    if (!single_open_clip_name(key, name, &fused))
        TRY(fail_name(ctx, &s->file, w->name, "text encoder"));
    TRY(fused ? add_fused(ctx, &s->text_encoder, w, name, fused) : weights_add(ctx, &s->text_encoder, name, w, NULL));
fail:
    return st;
}

static clio_status add_vae(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const struct weight *w)
{
    clio_status st = CLIO_OK;
    const char *key = w->name + strlen(SINGLE_VAE);
    struct weight *added;
    char name[256];
    if (begins_with(key, "loss.") || begins_with(key, "model_ema."))
        return CLIO_OK;
    if (!single_vae_name(shape, key, name))
        TRY(fail_name(ctx, &s->file, w->name, "VAE"));
    TRY(weights_add(ctx, &s->vae, name, w, &added));
    if (strstr(name, ".attentions.") && added->ndim == 4 && added->dim[2] == 1 && added->dim[3] == 1)
        added->ndim = 2; /* a 1 x 1 convolution there, a linear layer here */
fail:
    return st;
}

static clio_status split_tensors(clio_context *ctx, struct single_file *s, const struct single_shape *shape)
{
    clio_status st = CLIO_OK;
    const char *text = shape->is_open_clip ? SINGLE_OPEN_CLIP : SINGLE_CLIP;
    char name[256];
    TRY(weights_view(ctx, &s->text_encoder, s->file.path, 3 * s->file.count));
    TRY(weights_view(ctx, &s->unet, s->file.path, s->file.count));
    TRY(weights_view(ctx, &s->vae, s->file.path, s->file.count));
    for (size_t i = 0; i < s->file.count; i++) {
        const struct weight *w = &s->file.list[i];
        if (begins_with(w->name, SINGLE_UNET)) {
            if (!single_unet_name(shape, w->name + strlen(SINGLE_UNET), name))
                TRY(fail_name(ctx, &s->file, w->name, "UNet"));
            TRY(weights_add(ctx, &s->unet, name, w, NULL));
        } else if (begins_with(w->name, SINGLE_VAE))
            TRY(add_vae(ctx, s, shape, w));
        else if (begins_with(w->name, text))
            TRY(add_text(ctx, s, shape, w));
    }
    TRY(weights_sort(ctx, &s->text_encoder));
    TRY(weights_sort(ctx, &s->unet));
    TRY(weights_sort(ctx, &s->vae));
fail:
    return st;
}

clio_status single_file_open(clio_context *ctx, struct single_file *s, const char *path, const char *prediction)
{
    clio_status st = CLIO_OK;
    struct single_shape shape;
    enum file_kind kind;
    memset(s, 0, sizeof *s);
    TRY(file_find(ctx, path, &kind));
    if (kind == FILE_FOLDER)
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: use the .safetensors file in it", path);
    TRY(weights_open(ctx, &s->file, path, ""));
    TRY(read_shape(ctx, &shape, &s->file));
    TRY(split_tensors(ctx, s, &shape));
    TRY(single_configs(ctx, s, &shape, prediction));
fail:
    if (st)
        single_file_close(s);
    return st;
}

void single_file_close(struct single_file *s)
{
    json_close(&s->text_encoder_config);
    json_close(&s->unet_config);
    json_close(&s->vae_config);
    json_close(&s->scheduler_config);
    weights_close(&s->text_encoder);
    weights_close(&s->unet);
    weights_close(&s->vae);
    weights_close(&s->file);
    memset(s, 0, sizeof *s);
}
