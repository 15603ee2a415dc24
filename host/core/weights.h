/* weights.h - the tensors of a checkpoint folder: safetensors files, one or sharded, over a mapped file.
 * Every size and offset is checked against the file before anything is believed; see safetensors.c for the list.
 * Source: the safetensors format description (huggingface/safetensors, README, "Format"). */
#ifndef CLIO_CORE_WEIGHTS_H
#define CLIO_CORE_WEIGHTS_H

#include "file.h"
#include "tensor.h"

struct weight {
    char *name;
    enum dtype dtype; /* of the stored bytes: F32, F16 or BF16 (I32, U8 can be listed but not read as numbers) */
    int ndim;
    int dim[TENSOR_DIMS];
    size_t count;              /* elements */
    const unsigned char *data; /* in the mapped file; any alignment */
    char *problem; /* why clio cannot read it ("is stored as I64, ..."), or NULL; where set, only the name above means anything */
};
struct weights {
    char *path; /* of the folder or file, for sentences */
    struct file_map *maps;
    size_t map_count;
    struct weight *list; /* sorted by name */
    size_t count;
};

/* `path` is a .safetensors file, or a folder that holds `stem`.safetensors or `stem`.safetensors.index.json (stem "model"). */
clio_status weights_open(clio_context *ctx, struct weights *w, const char *path, const char *stem);
void weights_close(struct weights *w);
/* NULL when there is none. */
const struct weight *weights_find(const struct weights *w, const char *name);
/* The tensor `name` of exactly this shape, stored as F32, F16 or BF16; a missing one, another shape or another type is an error that names
 * file, tensor and both shapes. Integers are looked up with weights_find. */
clio_status weights_need(clio_context *ctx, const struct weights *w, const char *name, int ndim, const int *dim, const struct weight **out);
/* Elements first .. first+count as f32; integers are converted too. NaN for a tensor with a problem. */
void weight_floats(const struct weight *w, size_t first, size_t count, float *out);

#endif
