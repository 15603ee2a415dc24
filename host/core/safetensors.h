/* safetensors.h - one safetensors file, checked and listed; weights.c makes a checkpoint of one or several. */
#ifndef CLIO_CORE_SAFETENSORS_H
#define CLIO_CORE_SAFETENSORS_H

#include "weights.h"

/* Open the file as w->files[w->file_count], for which there is room, and append its tensors to w->list, unsorted. After a failure
 * weights_close releases what was read. */
clio_status safetensors_read(clio_context *ctx, struct weights *w, const char *path);
/* What one tensor of the list owns. */
void weight_free(struct weight *w);

#endif
