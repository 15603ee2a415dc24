/* image_probe.h - the size of an image file without decoding it. */
#ifndef CLIO_MODELS_IMAGE_IMAGE_PROBE_H
#define CLIO_MODELS_IMAGE_IMAGE_PROBE_H

#include "../../host/core/mem.h"

/* The size that image_read would give, and that the file is complete, without decoding it where that is possible. */
clio_status image_probe(clio_context *ctx, const char *path, int *width, int *height);

#endif
