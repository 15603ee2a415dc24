/* safetensors.h - one safetensors file, checked and listed; weights.c makes a checkpoint of one or several. */
#ifndef CLIO_CORE_SAFETENSORS_H
#define CLIO_CORE_SAFETENSORS_H

#include "weights.h"

/* Append the tensors of the open file, which outlives w, to w->list, unsorted. After a failure weights_close releases what was read. */
clio_status safetensors_read(clio_context *ctx, struct weights *w, const struct file_in *in);

#endif
