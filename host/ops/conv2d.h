/* conv2d.h - a convolution with packed weights, once its shapes are known to fit: what op_conv2d.c hands to the family that computes it;
 * and the transposed convolution as the gradients need it. */
#ifndef CLIO_OPS_CONV2D_H
#define CLIO_OPS_CONV2D_H

#include "ops.h"

struct conv2d_call {
    const struct tensor *out, *in, *bias, *residual; /* bias and residual: something valid where there is none */
    const struct matrix *w;
    struct gemm_args g; /* m pixels of all images, n outputs, k = taps * taps * channels, the epilogue */
    struct window_args v;
    struct cost cost;
};

/* Whether tiles of `rows` pixels shall be one place in neighbouring images: then what is outside costs nothing, and where it lies is
 * found once for all of them; but the last images must not leave much of their tiles empty. */
static inline bool tile_of_pictures(int batch, int rows)
{
    return ROUND_UP(batch, rows) * 8 <= batch * 9;
}

/* Images that lead to such tiles, if possible with a rest. */
static inline int pictures_to_check(int rows)
{
    return tile_of_pictures(2 * rows - 1, rows) ? 2 * rows - 1 : 2 * rows;
}

/* What follows the sums of a convolution of `batch` images with `channels` channels into `pixels` pixels of out: checked, and as kernels
 * take it. */
struct conv_end {
    struct gemm_args g;
    int bias_step;                        /* n where each image has a bias of its own, otherwise 0 */
    const struct tensor *bias, *residual; /* something valid where there is none */
};
clio_status conv_end(clio_context *ctx, const char *op, struct conv_end *end, const struct tensor *out, const struct matrix *w, int batch,
                     int channels, int pixels, const struct gemm_epilogue *e);

/* A call of the direct convolution and of its gradient, checked; what is behind the sums is left out. */
clio_status direct_args(clio_context *ctx, const char *op, struct conv2d_args *args, const struct tensor *in, const struct tensor *w,
                        int stride, int padding, int dilation, int groups);

/* ---- op_winograd_weights.c ---- */

/* Whether minimal filtering pays for the gradient by these weights (v without its strip); and the gradient. */
bool winograd_weights_wanted(clio_context *ctx, const struct matrix *dw, const struct window_args *v);
clio_status winograd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                             const struct tensor *x, const struct window_args *v, bool add);

/* Positions of a window of `taps` taps along `size` numbers; 0: the window does not fit. */
int window_count(int size, int taps, int stride, int padding, int dilation);

/* Winograd's way (cl/winograd.cl): whether it can and, by the parameters, shall serve this call; the options that its kernels are compiled
 * with; the call itself. */
bool winograd_wanted(clio_context *ctx, const struct conv2d_call *c);
void winograd_options(clio_context *ctx, const struct conv2d_call *c, char options[128]);
clio_status winograd_fwd(clio_context *ctx, struct arena *arena, const struct conv2d_call *c);

/* Minimal filtering of 4 x 4 windows with stride 2 (cl/winograd_strided.cl), in the same way. v is filled in but for first and tiles. */
struct strided_call {
    const struct tensor *out, *in, *bias, *residual;
    const struct matrix *w;
    struct gemm_args g;
    struct strided_args v;
    struct cost cost;
    bool transposed;
};
bool strided_wanted(clio_context *ctx, const struct strided_call *c);
void strided_options(clio_context *ctx, const struct strided_call *c, char options[128]);
clio_status strided_fwd(clio_context *ctx, struct arena *arena, const struct strided_call *c);

/* The transposed convolution of any window (taps, strides, edges of `v`; the rest of it is filled in) and any size of out [B, H', W', N]:
 * where no tap reaches, out is what the epilogue makes of 0. */
clio_status conv2d_transpose(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                             const struct matrix *w, struct transposed_args v, const struct gemm_epilogue *epilogue);

#endif
