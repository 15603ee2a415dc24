/* layout.h - images between the host's [B, C, H, W] and the device's [B, H, W, C]. */
#ifndef CLIO_MODELS_NN_LAYOUT_H
#define CLIO_MODELS_NN_LAYOUT_H

#include "../../host/ops/ops.h"

/* Images or latents between the host, [B, C, H, W], and a tensor [B, H, W, C]. */
clio_status nchw_write(clio_context *ctx, const struct tensor *t, const float *planes);
clio_status nchw_read(clio_context *ctx, const struct tensor *t, float *planes);

#endif
