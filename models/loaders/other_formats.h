/* other_formats.h - models of formats that clio does not read: what they are and what to use instead. */
#ifndef CLIO_MODELS_LOADERS_OTHER_FORMATS_H
#define CLIO_MODELS_LOADERS_OTHER_FORMATS_H

#include "../../host/core/file.h"

/* An error that names the format and the way out, if `path` is a file or folder of another program's format (GGML, GGUF,
 * CTranslate2, ONNX, ...) or an adapter instead of a model; otherwise CLIO_OK. model: what is looked for and its layout, "a Whisper folder
 * of Hugging Face (config.json, model.safetensors)"; adapter: what to do with an adapter, "give it as params.loras". takes_weights: a file
 * of weights that PyTorch wrote is no error. */
clio_status other_format_refuse(clio_context *ctx, const char *path, const char *model, const char *adapter, bool takes_weights);

#endif
