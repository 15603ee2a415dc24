/* lora.h - LoRA (Hu et al. 2021): low-rank updates, merged into a model's weights while they are loaded:
 *     W += strength * alpha / rank * up down        up [out, rank], down [rank, in], or [rank, in, h, w] of a convolution
 * so that sampling is not slower. Names of kohya-ss (lora_unet_down_blocks_0_...lora_up.weight, .alpha) and of diffusers and PEFT, old and
 * new (unet.down_blocks.0...lora_A.weight, .lora.down.weight, .processor.to_q_lora.up.weight) are read. alpha is a tensor, or in PEFT's
 * settings (lora_settings.c), else the rank. LoHa, LoKr, DoRA, OFT and LoCon with CP decomposition are not supported. Sources:
 * kohya-ss/sd-scripts, networks/lora.py; diffusers, loaders/lora_conversion_utils.py; PEFT, tuners/lora.
 *
 *     struct lora lora;
 *     TRY(lora_open(ctx, &lora, "style.safetensors"));
 *     TRY(lora_check(ctx, &lora, &unet_weights, &text_weights));
 *     TRY(lora_merge(ctx, &lora, LORA_UNET, 0.8f, &unet_weights));          before unet_load reads them
 *     TRY(lora_merge(ctx, &lora, LORA_TEXT_ENCODER, 0.8f, &text_weights));
 *     lora_close(&lora); */
#ifndef CLIO_MODELS_LOADERS_LORA_H
#define CLIO_MODELS_LOADERS_LORA_H

#include "../../host/core/json.h"
#include "../../host/core/weights.h"

enum lora_part { LORA_UNET, LORA_TEXT_ENCODER };

/* The update of one module (a layer with a weight). */
struct lora_module {
    char *name; /* without the part's prefix and ".weight"; in kohya's files with _ for every dot */
    enum lora_part part;
    bool is_flat;                   /* kohya's naming */
    const struct weight *up, *down; /* in lora.file */
    double scale;                   /* alpha / rank */
};
struct lora {
    struct weights file;
    struct lora_module *list;
    size_t count;
    const char *foreign; /* the first tensor that is no part of a module, or NULL */
    size_t foreign_count;
};

/* path: a file, or a folder of PEFT (adapter_model.safetensors with adapter_config.json) or diffusers (pytorch_lora_weights.safetensors).
 * Tensors that belong to no module are counted in lora->foreign_count; those of an unsupported type of adapter are an error, since they
 * would be lost. On failure lora is closed. */
clio_status lora_open(clio_context *ctx, struct lora *lora, const char *path);
/* lora may be zeroed. */
void lora_close(struct lora *lora);

/* Check a LoRA against the weights of both parts: an error if none of its modules is there or if one has another shape; a notice that
 * counts the tensors and modules that will be left out. */
clio_status lora_check(clio_context *ctx, const struct lora *lora, const struct weights *unet, const struct weights *text_encoder);
/* Merge the LoRA into the weights of one part, which have diffusers' names. Changed tensors are copied as f32 and live until weights_close.
 * Modules that the weights lack are left out. storage: the type that the device will store the weights in; a value that is not finite in it
 * is an error. Can be called repeatedly: updates add up. */
clio_status lora_merge(clio_context *ctx, const struct lora *lora, enum lora_part part, float strength, enum dtype storage,
                       struct weights *w);

/* ---- lora_settings.c: shared with lora.c ---- */

struct lora_settings {
    struct json_file file; /* root NULL: none */
    bool has_parts;        /* keys begin with "unet." or "text_encoder." */
};
/* From the metadata of the file; is_adapter: it has PEFT's names, so without metadata adapter_config.json beside it is required. */
clio_status lora_settings_open(clio_context *ctx, struct lora_settings *s, const struct weights *file, bool is_adapter);
void lora_settings_close(struct lora_settings *s);
/* Factor of up down of a module without an alpha tensor: 1 without settings. */
clio_status lora_settings_scale(clio_context *ctx, const struct lora_settings *s, const struct lora_module *module, int rank,
                                double *scale);

#endif
