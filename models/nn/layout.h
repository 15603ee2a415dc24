/* layout.h - images between the host, which has them as [B, C, H, W] (NCHW), and the device, [B, H, W, C] (NHWC). */
#ifndef CLIO_MODELS_NN_LAYOUT_H
#define CLIO_MODELS_NN_LAYOUT_H

#include "../../host/ops/ops.h"

/* Copy images or latents f32 [B, C, H, W] on the host to or from t f32 [B, H, W, C]. */
clio_status nchw_write(clio_context *ctx, const struct tensor *t, const float *planes);
clio_status nchw_read(clio_context *ctx, const struct tensor *t, float *planes);

#endif
