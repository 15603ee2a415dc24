/* conv2d.h - shared by the files of 2D convolution: a checked call as the kernel families take it, minimal filtering, and the transposed
 * convolution as the gradients need it. */
#ifndef CLIO_OPS_CONV2D_H
#define CLIO_OPS_CONV2D_H

#include "autograd_matmul.h"

struct kernel_variant;

struct conv2d_call {
    const struct tensor *out, *in, *bias, *residual; /* bias and residual: any valid tensor where there is none */
    const struct matrix *w;
    struct gemm_args g; /* m pixels of all images, n outputs, k = kernel size * kernel size * channels, the epilogue */
    struct window_args v;
    struct cost cost;
    /* set by the family that is chosen */
    clio_status (*run)(clio_context *, struct arena *, const struct conv2d_call *, const struct kernel_variant *);
};

/* Whether a tile of `rows` pixels is the same position in neighbouring images of a batch: then padding costs nothing, and the position is
 * computed once. Not where the last tile would be mostly empty. */
static inline bool tile_of_images(int batch, int rows)
{
    return ROUND_UP(batch, rows) * 8 <= batch * 9;
}

/* Work-items along each side of the square groups of the tile families: 16, or 8 where the device cannot have 256 in a group. */
static inline int square_group(const clio_context *ctx)
{
    return device_allows_group(&ctx->device, 16, 16, 1) ? 16 : 8;
}

/* A batch for self-tests that leads to such tiles, with a remainder if possible. */
static inline int images_to_test(int rows)
{
    return tile_of_images(2 * rows - 1, rows) ? 2 * rows - 1 : 2 * rows;
}

/* Parameters with which a self-test gets weights like w, and the families of `algorithm` (a value of conv.family). */
void conv_test_params(struct kernel_variant *v, const struct matrix *w, const char *algorithm);
/* Whether conv.family allows more than the family `single`; only in the first attempt. */
bool conv_may_use(clio_context *ctx, int attempt);

/* The epilogue of a convolution of `batch` images with `channels` channels into `pixels` pixels of out: checked, and as kernels take it. */
struct conv_end {
    struct gemm_args g;
    int bias_step;                        /* n if each image has its own bias, otherwise 0 */
    const struct tensor *bias, *residual; /* any valid tensor where there is none */
};
clio_status conv_end(clio_context *ctx, const char *op, struct conv_end *end, const struct tensor *out, const struct matrix *w, int batch,
                     int channels, int pixels, const struct gemm_epilogue *e);

/* ---- conv2d_args.c ---- */

/* Output size of a convolution with this kernel size along one dimension; 0: the kernel does not fit. */
int window_count(int size, int kernel_size, int stride, int padding, int dilation);
/* Arguments of the direct convolution and of its gradient, checked; without the epilogue. */
clio_status direct_args(clio_context *ctx, const char *op, struct conv2d_args *args, const struct tensor *in, const struct tensor *w,
                        int stride, int padding, int dilation, int groups);

/* ---- op_winograd_weights.c ---- */

/* Whether minimal filtering is wanted for the gradient by these weights (v without first and tiles), and the gradient. */
bool winograd_weights_wanted(clio_context *ctx, const struct matrix *dw, const struct window_args *v);
clio_status winograd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                             const struct tensor *x, const struct window_args *v, bool add);

/* Winograd's minimal filtering (cl/winograd.cl): whether it supports the call and the parameters ask for it; its compile options; the call.
 */
bool winograd_wanted(clio_context *ctx, const struct conv2d_call *c);
void winograd_options(clio_context *ctx, const struct conv2d_call *c, char options[128]);
clio_status winograd_fwd(clio_context *ctx, struct arena *arena, const struct conv2d_call *c);

/* The same for 4 x 4 kernels with stride 2 (cl/winograd_strided.cl). v is filled in except for first and tiles. */
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

/* op_conv2d_fwd and op_conv2d_transposed_fwd without what a tape divides. record: how to record the call if there is a tape, or NULL. */
clio_status conv2d_run(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                       struct conv2d_window window, const struct gemm_epilogue *epilogue, const struct matmul_call *record);
clio_status conv2d_transposed_run(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                  const struct matrix *w, struct conv2d_window window, const struct gemm_epilogue *epilogue,
                                  const struct matmul_call *record);
/* Transposed convolution with any kernel size, stride and padding (set in `v`; the rest is filled in) and any size of out [B, H', W', N].
 * Where no weight reaches, out is the epilogue applied to 0. */
clio_status conv2d_transpose(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                             const struct matrix *w, struct transposed_args v, const struct gemm_epilogue *epilogue);

#endif
