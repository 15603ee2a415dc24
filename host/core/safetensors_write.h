/* safetensors_write.h - write a safetensors file: collected on the host, then written beside its name and renamed when whole.
 * Source: the format's description (huggingface/safetensors, README, "Format"). */
#ifndef CLIO_CORE_SAFETENSORS_WRITE_H
#define CLIO_CORE_SAFETENSORS_WRITE_H

#include "file_out.h"
#include "json.h"
#include "tensor.h"

struct safetensors_writer {
    json_t *header;
    struct bytes data;
};
clio_status safetensors_writer_open(clio_context *ctx, struct safetensors_writer *out);
/* f32 */
clio_status safetensors_writer_add(clio_context *ctx, struct safetensors_writer *out, const char *name, int ndim, const int *dim,
                                   const float *data);
/* A note of the file's "__metadata__". */
clio_status safetensors_writer_metadata(clio_context *ctx, struct safetensors_writer *out, const char *key, const char *text);
clio_status safetensors_writer_save(clio_context *ctx, struct safetensors_writer *out, const char *path);
void safetensors_writer_close(struct safetensors_writer *out);

#endif
