/* model_folder.h - which file of a diffusers folder holds the weights: a part of a pipeline (text_encoder, unet, vae) can be there in
 * several variants, "model.safetensors" beside "model.fp16.safetensors", or in one of them alone. */
#ifndef CLIO_MODELS_LOADERS_MODEL_FOLDER_H
#define CLIO_MODELS_LOADERS_MODEL_FOLDER_H

#include "../../host/core/weights.h"
#include "../../host/core/json.h"

/* Open the weights in `dir` called `stem` ("model", "diffusion_pytorch_model"): of the variant `variant` ("fp16"; NULL: none is preferred)
 * where there are any, else those without a variant, else of any variant, fp16 before others, others by name. Each may be one file or
 * shards. The sentence for a folder that has nothing is weights_open's. */
clio_status folder_weights(clio_context *ctx, const char *dir, const char *stem, const char *variant, struct weights *weights);

/* base/name in fresh memory, if that is a folder; otherwise *path stays NULL. Nothing where *path is set already, or base NULL or empty. */
clio_status folder_try(clio_context *ctx, const char *base, const char *name, char **path);
/* base/name/file, if it is there. Nothing where `out` is open already, or base NULL or empty. */
clio_status folder_json(clio_context *ctx, struct json_file *out, const char *base, const char *name, const char *file);
/* base/name becomes a link to a file or folder that does not change, wherever that really lies. */
clio_status folder_link(clio_context *ctx, const char *base, const char *name, const char *to);
/* Write base/folder/name. */
clio_status folder_put_json(clio_context *ctx, const json_t *json, const char *base, const char *folder, const char *name);

#endif
