/* single_file.c - split the tensors of a single-file checkpoint into the parts of a diffusers folder. See single_file.h. An unknown tensor
 * of a part is an error, since it would change the result. Left out are tensors that no part needs: those of training (noise schedule, EMA
 * weights), position_ids, OpenCLIP's image encoder, and, with a count in s->unneeded, the projection of the text encoder. */
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

/* Where text encoders are: CompVis and Stability AI wrote the first two, sgm (SD-Turbo) the third. */
static const struct {
    const char *prefix, *first_layer, *last; /* the name of a layer's first norm: first_layer, its number, last */
    bool is_open_clip;
} text_encoders[] = {
    {"cond_stage_model.transformer.text_model.", "encoder.layers.", ".layer_norm1.weight", false},
    {"cond_stage_model.transformer.", "encoder.layers.", ".layer_norm1.weight", false}, /* NovelAI */
    {"cond_stage_model.model.", "transformer.resblocks.", ".ln_1.weight", true},
    {"conditioner.embedders.0.model.", "transformer.resblocks.", ".ln_1.weight", true},
};

static void find_text_encoder(struct single_shape *shape, const struct weights *file)
{
    char start[128];
    for (size_t i = 0; i < COUNT(text_encoders) && !shape->text_layers; i++) {
        shape->text_prefix = text_encoders[i].prefix;
        shape->is_open_clip = text_encoders[i].is_open_clip;
        snprintf(start, sizeof start, "%s%s", text_encoders[i].prefix, text_encoders[i].first_layer);
        shape->text_layers = count_names(file, start, text_encoders[i].last);
    }
    /* Version 2 uses the states before the last of 24 layers; files that diffusers has converted have 23 of them. */
    if (shape->is_open_clip)
        shape->text_layers = MIN(shape->text_layers, SINGLE_OPEN_CLIP_LAYERS);
}

static bool has_prefix(const struct weights *file, const char *prefix)
{
    for (size_t i = 0; i < file->count; i++)
        if (begins_with(file->list[i].name, prefix))
            return true;
    return false;
}

/* Levels and layers of the UNet. Blocks of networks with fewer layers (BK-SDM) keep the numbers of the original: blocks are missing between
 * them, and the downsampler of the first level tells how many numbers a level has. */
static clio_status read_unet_shape(clio_context *ctx, struct single_shape *shape, const struct weights *file)
{
    clio_status st = CLIO_OK;
    int ops = 0, first_op = 0, last = 0, resnets = 0, first_resnets = 0;
    char name[128];
    for (int block = 1; block < 100; block++) {
        snprintf(name, sizeof name, SINGLE_UNET "input_blocks.%d.0.op.weight", block);
        bool is_op = weights_find(file, name) != NULL;
        snprintf(name, sizeof name, SINGLE_UNET "input_blocks.%d.0.in_layers.0.weight", block);
        bool is_resnet = weights_find(file, name) != NULL;
        if (is_op && ops++ == 0)
            first_op = block;
        if (is_resnet)
            resnets++;
        if (is_resnet && !ops)
            first_resnets++;
        last = is_op || is_resnet ? block : last;
    }
    if (!resnets || weights_find(file, SINGLE_UNET "label_emb.0.0.weight"))
        TRY(fail_unsupported(ctx, file));
    shape->unet_levels = ops + 1;
    shape->unet_layers = first_resnets;
    shape->unet_stride = first_op ? first_op : last + 1;
    shape->has_middle = has_prefix(file, SINGLE_UNET "middle_block.");
    if (first_resnets < 1 || first_resnets * shape->unet_levels != resnets || shape->unet_levels > SINGLE_LEVELS ||
        last > shape->unet_stride * shape->unet_levels)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: the UNet's levels do not have the same number of layers: use a checkpoint of Stable Diffusion 1 or 2", file->path);
fail:
    return st;
}

static clio_status read_vae_shape(clio_context *ctx, struct single_shape *shape, const struct weights *file, const char *prefix)
{
    clio_status st = CLIO_OK;
    char start[64];
    snprintf(start, sizeof start, "%sencoder.down.", prefix);
    shape->vae_levels = count_names(file, start, ".block.0.conv2.weight");
    snprintf(start, sizeof start, "%sencoder.down.0.block.", prefix);
    shape->vae_layers = count_names(file, start, ".conv2.weight");
    if (shape->vae_levels > SINGLE_LEVELS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the VAE has %d levels: this is a checkpoint of another model", file->path,
             shape->vae_levels);
fail:
    return st;
}

/* Read the numbers of levels and layers of UNet and text encoder from the tensor names. */
static clio_status read_shape(clio_context *ctx, struct single_shape *shape, const struct weights *file)
{
    clio_status st = CLIO_OK;
    memset(shape, 0, sizeof *shape);
    TRY(read_unet_shape(ctx, shape, file));
    find_text_encoder(shape, file);
    if (!shape->text_layers)
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

/* Tensors of a text encoder that the states of its tokens do not depend on. */
static bool is_unneeded(const char *key)
{
    return !strcmp(key, "text_projection") || !strcmp(key, "text_projection.weight") || !strcmp(key, "logit_scale");
}

static clio_status add_text(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const struct weight *w)
{
    static const char *const clip[] = {"embeddings.", "encoder.layers.", "final_layer_norm."};
    clio_status st = CLIO_OK;
    char name[256], last[64];
    const char *key = w->name + strlen(shape->is_open_clip ? shape->text_prefix : SINGLE_CLIP), *fused;
    bool known = false;
    if (!shape->is_open_clip && begins_with(key, "text_model."))
        key += strlen("text_model.");
    snprintf(last, sizeof last, "transformer.resblocks.%d.", SINGLE_OPEN_CLIP_LAYERS);
    if (strstr(key, "position_ids") ||
        (shape->is_open_clip && (begins_with(key, "visual.") || begins_with(key, last) || !strcmp(key, "attn_mask"))))
        return CLIO_OK;
    for (size_t i = 0; i < COUNT(clip) && !shape->is_open_clip; i++)
        known = known || begins_with(key, clip[i]);
    if (known) {
        snprintf(name, sizeof name, "text_model.%.200s", key);
        TRY(weights_add(ctx, &s->text_encoder, name, w, NULL));
    } else if (shape->is_open_clip && single_open_clip_name(key, name, &fused)) {
        TRY(fused ? add_fused(ctx, &s->text_encoder, w, name, fused) : weights_add(ctx, &s->text_encoder, name, w, NULL));
    } else if (is_unneeded(key)) {
        s->unneeded = s->unneeded ? s->unneeded : w->name;
        s->unneeded_count++;
    } else {
        TRY(fail_name(ctx, &s->file, w->name, "text encoder"));
    }
fail:
    return st;
}

/* key: the name without the part's prefix. */
static clio_status add_vae(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const struct weight *w,
                           const char *key)
{
    clio_status st = CLIO_OK;
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

static clio_status add_unet(clio_context *ctx, struct single_file *s, const struct single_shape *shape, const struct weight *w)
{
    clio_status st = CLIO_OK;
    const char *key = w->name + strlen(SINGLE_UNET);
    char name[256];
    if (!strncmp(key, "up_blocks.", 10) || !strncmp(key, "down_blocks.", 12)) /* converted by a table that lacks these blocks (BK-SDM) */
        snprintf(name, sizeof name, "%.250s", key);
    else if (!single_unet_name(shape, key, name))
        TRY(fail_name(ctx, &s->file, w->name, "UNet"));
    TRY(weights_add(ctx, &s->unet, name, w, NULL));
fail:
    return st;
}

clio_status single_vae_read(clio_context *ctx, struct single_file *s, struct single_shape *shape, const char *prefix)
{
    clio_status st = CLIO_OK;
    TRY(read_vae_shape(ctx, shape, &s->file, prefix));
    TRY(weights_view(ctx, &s->vae, s->file.path, s->file.count));
    for (size_t i = 0; i < s->file.count && shape->vae_levels; i++)
        if (begins_with(s->file.list[i].name, prefix))
            TRY(add_vae(ctx, s, shape, &s->file.list[i], s->file.list[i].name + strlen(prefix)));
    TRY(weights_sort(ctx, &s->vae));
fail:
    return st;
}

static clio_status split_tensors(clio_context *ctx, struct single_file *s, const struct single_shape *shape)
{
    const char *text = shape->is_open_clip ? shape->text_prefix : SINGLE_CLIP;
    clio_status st = CLIO_OK;
    TRY(weights_view(ctx, &s->text_encoder, s->file.path, 3 * s->file.count));
    TRY(weights_view(ctx, &s->unet, s->file.path, s->file.count));
    for (size_t i = 0; i < s->file.count; i++) {
        const struct weight *w = &s->file.list[i];
        if (begins_with(w->name, SINGLE_UNET))
            TRY(add_unet(ctx, s, shape, w));
        else if (begins_with(w->name, text))
            TRY(add_text(ctx, s, shape, w));
    }
    TRY(weights_sort(ctx, &s->text_encoder));
    TRY(weights_sort(ctx, &s->unet));
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
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: use the .safetensors or .ckpt file in it", path);
    TRY(weights_open(ctx, &s->file, path, ""));
    TRY(read_shape(ctx, &shape, &s->file));
    TRY(split_tensors(ctx, s, &shape));
    TRY(single_vae_read(ctx, s, &shape, SINGLE_VAE));
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
