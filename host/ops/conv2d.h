/* conv2d.h - a convolution with packed weights, once its shapes are known to fit: what op_conv2d.c hands to the family that computes it. */
#ifndef CLIO_OPS_CONV2D_H
#define CLIO_OPS_CONV2D_H

#include "ops.h"

struct conv2d_call {
    const struct tensor *out, *in, *bias, *residual; /* bias and residual: something valid where there is none */
    const struct matrix *w;
    struct gemm_args g; /* m pixels of all pictures, n outputs, k = taps * taps * channels, the epilogue */
    struct window_args v;
    struct cost cost;
};

/* Winograd's way (cl/winograd.cl): whether it can and, by the parameters, shall serve this call; the options that its kernels are compiled
 * with; the call itself. */
bool winograd_wanted(clio_context *ctx, const struct conv2d_call *c);
void winograd_options(clio_context *ctx, const struct conv2d_call *c, char options[128]);
clio_status winograd_fwd(clio_context *ctx, struct arena *arena, const struct conv2d_call *c);

#endif
