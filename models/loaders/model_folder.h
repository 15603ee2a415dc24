/* model_folder.h - weights and configurations of a folder in the layout of diffusers or transformers: a part of a pipeline (text_encoder,
 * unet, vae), or Whisper. The weights can have several variants: "model.safetensors", "model.fp16.safetensors"; and each can be one file
 * or shards with an index: "model.safetensors.index.json", "model.safetensors.index.fp16.json". Where there is none of safetensors, those
 * of PyTorch are read: "pytorch_model.bin", "diffusion_pytorch_model.fp16.bin", "pytorch_model.bin.index.json". */
#ifndef CLIO_MODELS_LOADERS_MODEL_FOLDER_H
#define CLIO_MODELS_LOADERS_MODEL_FOLDER_H

#include "../../host/core/weights.h"
#include "../../host/core/json.h"

/* Open the weights `stem` ("model", "diffusion_pytorch_model") in `dir`: those of `variant` ("fp16"; NULL: none) if they exist, else those
 * without a variant, else those of any variant, fp16 first, then by name. Each can be one file or shards. */
clio_status folder_weights(clio_context *ctx, const char *dir, const char *stem, const char *variant, struct weights *weights);

/* *path: base/name, allocated, if it is a folder; else NULL. Does nothing if *path is set already, or base is NULL or empty. */
clio_status folder_try(clio_context *ctx, const char *base, const char *name, char **path);
/* Open base/name/file, if it exists. Does nothing if `out` is open already, or base is NULL or empty. */
clio_status folder_json(clio_context *ctx, struct json_file *out, const char *base, const char *name, const char *file);
/* Make the folder base/name with the files of the folder `from` for which `wanted` (or NULL: all) is true: files up to 16 MiB are copied,
 * larger ones are links to their real path. Folders within and hidden files are left out. */
clio_status folder_copy(clio_context *ctx, const char *base, const char *name, const char *from, bool (*wanted)(const char *name));
/* Write json to base/folder/name. */
clio_status folder_put_json(clio_context *ctx, const json_t *json, const char *base, const char *folder, const char *name);

#endif
