/* stored_type.h - the types of numbers that checkpoints are stored in, by their names in safetensors; those of PyTorch are mapped to them
 * (pickle_globals.c). Source: the safetensors format description (huggingface/safetensors, README, "Format"). */
#ifndef CLIO_CORE_STORED_TYPE_H
#define CLIO_CORE_STORED_TYPE_H

#include "weights.h"

struct stored_type {
    const char *name;
    int bytes; /* 0: below a byte */
    int dtype; /* enum dtype; -1: not read by clio */
};
/* NULL: unknown. */
const struct stored_type *stored_type_find(const char *name);
/* w->dtype; or w->problem, without numbers, if clio does not read the type, or the shape does not fit (is_large). */
clio_status stored_set_type(clio_context *ctx, struct weight *w, const struct stored_type *type, bool is_large);
/* What one tensor of the list owns. */
void weight_free(struct weight *w);

#endif
