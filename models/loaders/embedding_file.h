/* embedding_file.h - a file of textual inversion: one or more vectors that stand for a word.
 *     .safetensors   A1111's "emb_params", or one tensor of any name (diffusers)
 *     .pt, .bin      torch.save of {"string_to_param": {"*": tensor}} (A1111), or of {"<name>": tensor} (diffusers)
 * A file's contents say which it is, not its name. Files for SDXL (clip_l, clip_g) are refused. */
#ifndef CLIO_MODELS_LOADERS_EMBEDDING_FILE_H
#define CLIO_MODELS_LOADERS_EMBEDDING_FILE_H

#include "../../host/core/weights.h"

struct embedding_rows {
    float *rows; /* [vectors][width], of malloc */
    int vectors, width;
};
/* On failure *out is empty. */
clio_status embedding_file_read(clio_context *ctx, const char *path, struct embedding_rows *out);

#endif
