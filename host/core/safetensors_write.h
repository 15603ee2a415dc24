/* safetensors_write.h - write a safetensors file: collected on the host, then written beside its name and renamed when whole.
 * Source: the format's description (huggingface/safetensors, README, "Format"). */
#ifndef CLIO_CORE_SAFETENSORS_WRITE_H
#define CLIO_CORE_SAFETENSORS_WRITE_H

#include "json.h"
#include "tensor.h"

struct tensors_out {
    json_t *header;
    struct bytes data;
};
clio_status tensors_out_open(clio_context *ctx, struct tensors_out *out);
/* f32 */
clio_status tensors_out_add(clio_context *ctx, struct tensors_out *out, const char *name, int ndim, const int *dim, const float *data);
/* A note of the file's "__metadata__". */
clio_status tensors_out_note(clio_context *ctx, struct tensors_out *out, const char *key, const char *text);
clio_status tensors_out_write(clio_context *ctx, struct tensors_out *out, const char *path);
void tensors_out_close(struct tensors_out *out);

#endif
