/* lora.h - low-rank changes to a model's weights (Hu et al. 2021, "LoRA"), merged as the weights are loaded:
 *     W += strength * alpha / rank * up down        up [out, rank], down [rank, in], or a convolution's [rank, in, h, w]
 * so that an image costs nothing more. Files with the names of kohya-ss (lora_unet_down_blocks_0_...lora_up.weight, .alpha) and with those
 * of diffusers and PEFT, old and new (unet.down_blocks.0...lora_A.weight, .lora.down.weight, .processor.to_q_lora.up.weight).
 * Without an alpha, alpha is the rank. Sources: kohya-ss/sd-scripts, networks/lora.py; diffusers, loaders/lora_conversion_utils.py; PEFT,
 * tuners/lora. What is more than a product of two matrices (LoHa, LoKr, DoRA, LoCon's middle) is refused by name.
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

/* The change of one module (a layer with a weight). */
struct lora_module {
    char *name; /* behind the part's prefix, without ".weight"; from kohya's files with _ for every dot */
    enum lora_part part;
    bool is_flat;                   /* a name of kohya's */
    const struct weight *up, *down; /* in lora.file */
    double scale;                   /* alpha / rank */
};
struct lora {
    struct weights file;
    struct lora_module *list;
    size_t count;
};

/* Every tensor of the file must be understood. On failure lora is closed. */
clio_status lora_open(clio_context *ctx, struct lora *lora, const char *path);
/* Safe on a zeroed one. */
void lora_close(struct lora *lora);

/* Change the weights of one part, under diffusers' names: a tensor that changes gets memory of its own (half where it is stored as half,
 * else float) until weights_close. A module that the weights do not have, or have in another shape, is an error. The file may hold nothing
 * for the part: then nothing happens. May be called again with another LoRA, or another strength on top. */
clio_status lora_merge(clio_context *ctx, const struct lora *lora, enum lora_part part, float strength, struct weights *w);

#endif
