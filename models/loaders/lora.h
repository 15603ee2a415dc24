/* lora.h - LoRA (Hu et al. 2021): low-rank updates, merged into a model's weights while they are loaded:
 *     W += strength * alpha / rank * up down        up [out, rank], down [rank, in], or [rank, in, h, w] of a convolution
 * so that sampling is not slower. Names of kohya-ss (lora_unet_down_blocks_0_...lora_up.weight, .alpha) and of diffusers and PEFT, old and
 * new (unet.down_blocks.0...lora_A.weight, .lora.down.weight, .processor.to_q_lora.up.weight) are read. Without alpha, alpha is the rank.
 * LoHa, LoKr, DoRA and LoCon with CP decomposition are not supported. Sources: kohya-ss/sd-scripts, networks/lora.py; diffusers,
 * loaders/lora_conversion_utils.py; PEFT, tuners/lora.
 *
 *     struct lora lora;
 *     TRY(lora_open(ctx, &lora, "style.safetensors"));
 *     TRY(lora_merge(ctx, &lora, LORA_UNET, 0.8f, &unet_weights));          before unet_load reads them
 *     TRY(lora_merge(ctx, &lora, LORA_TEXT_ENCODER, 0.8f, &text_weights));
 *     lora_close(&lora); */
#ifndef CLIO_MODELS_LOADERS_LORA_H
#define CLIO_MODELS_LOADERS_LORA_H

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
};

/* Unknown tensors are an error. On failure lora is closed. */
clio_status lora_open(clio_context *ctx, struct lora *lora, const char *path);
/* lora may be zeroed. */
void lora_close(struct lora *lora);

/* Merge the LoRA into the weights of one part, which have diffusers' names. Changed tensors are copied (fp16 if stored as fp16, else f32)
 * and live until weights_close. A module that is not in the weights or has another shape is an error. A file without modules of the part
 * changes nothing. Can be called repeatedly: updates add up. */
clio_status lora_merge(clio_context *ctx, const struct lora *lora, enum lora_part part, float strength, struct weights *w);

#endif
