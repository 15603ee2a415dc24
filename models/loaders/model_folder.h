/* model_folder.h - which file of a diffusers folder holds the weights: a part of a pipeline (text_encoder, unet, vae) can be there in
 * several variants, "model.safetensors" beside "model.fp16.safetensors", or in one of them alone. */
#ifndef CLIO_MODELS_LOADERS_MODEL_FOLDER_H
#define CLIO_MODELS_LOADERS_MODEL_FOLDER_H

#include "../../host/core/weights.h"

/* Open the weights in `dir` called `stem` ("model", "diffusion_pytorch_model"): of the variant `variant` ("fp16"; NULL: none is preferred)
 * where there are any, else those without a variant, else of any variant, fp16 before others, others by name. Each may be one file or
 * shards. The sentence for a folder that has nothing is weights_open's. */
clio_status folder_weights(clio_context *ctx, const char *dir, const char *stem, const char *variant, struct weights *weights);

#endif
