/* sequential.h - a network of layers in sequence, from a table (torch.nn.Sequential), for training.
 *
 *     static const struct layer_row rows[] = {{.kind = LAYER_CONV, .out = 64, .taps = 4, .stride = 2, .padding = 1},
 *                                             {.kind = LAYER_ACTIVATION, .act = ACT_LEAKY_RELU, .slope = 0.2f}, ...};
 *     TRY(sequential_new(ctx, &net, "d.", rows, COUNT(rows), height, width, channels, &parameters));   keys d.0.weight, d.2.weight, ...
 *     TRY(sequential_init(ctx, &net, INIT_RULE_TORCH, seed));
 *     TRY(sequential_fwd(ctx, arena, &net, &out, &in, training));
 *
 * Images are f32 [B, H, W, C], a vector is an image of one pixel. Weights are f32. An activation is fused into the layer before it.
 * There is one forward pass: a tape records it, and then the arena must be the tape's. */
#ifndef CLIO_MODELS_NN_SEQUENTIAL_H
#define CLIO_MODELS_NN_SEQUENTIAL_H

#include "parameters.h"

enum layer_kind {
    LAYER_LINEAR,     /* Linear over all values of an image in the order H, W, C; `out` outputs */
    LAYER_CONV,       /* Conv2d: `out` channels, kernel size `taps`, stride, padding; weight [out, in, taps, taps] */
    LAYER_TRANSPOSED, /* ConvTranspose2d: H' = (H - 1) stride + taps - 2 padding; weight [in, out, taps, taps] */
    LAYER_BATCH_NORM, /* BatchNorm2d over channels */
    LAYER_ACTIVATION, /* act, slope */
    LAYER_FLATTEN     /* no operation, but counted in the keys of torch.nn.Sequential */
};

struct layer_row {
    const char *name; /* in keys; NULL: its index in the table */
    enum layer_kind kind;
    int out, taps, stride, padding;
    bool bias;
    int act;
    float slope;
};

struct layer {
    enum layer_kind kind;
    int in[3], out[3]; /* height, width, channels */
    struct conv2d_window window;
    int act; /* applied to the output */
    float slope;
    struct matrix w;
    struct tensor bias;                                   /* memory NULL: none */
    struct tensor gamma, beta, running_mean, running_var; /* batch norm */
    size_t first;                                         /* of its parameters in the list */
};
struct sequential {
    struct layer *list;
    size_t count;
    int in[3], out[3];
    struct parameters *parameters; /* the list that its parameters are in, among others */
};

/* Build it for images of this size; weights are undefined. Its parameters are appended to `list`, which outlives it, with keys prefix +
 * name +
 * ".weight" and so on. Shapes that do not fit are CLIO_ERROR_INTERNAL: the table is clio's own. */
clio_status sequential_new(clio_context *ctx, struct sequential *net, const char *prefix, const struct layer_row *rows, size_t count,
                           int height, int width, int channels, struct parameters *list);
void sequential_free(clio_context *ctx, struct sequential *net); /* accepts zeros */

enum sequential_init {
    INIT_RULE_TORCH, /* torch's defaults: uniform in +- 1 / sqrt(fan_in); batch norm 1 and 0 */
    INIT_RULE_DCGAN  /* weights N(0, 0.02^2), batch norm N(1, 0.02^2) and 0 (Radford et al. 2016) */
};
clio_status sequential_init(clio_context *ctx, const struct sequential *net, enum sequential_init init, uint64_t seed);

/* Shape of the output for `batch` images, f32 [B, H, W, C], without memory. */
struct tensor sequential_shape(const struct sequential *net, int batch);
/* in, out: any shapes with the right number of values, not the same memory. training: batch norm uses the statistics of the batch and
 * updates its running statistics; otherwise it uses those. Intermediate results are in the arena. */
clio_status sequential_fwd(clio_context *ctx, struct arena *arena, const struct sequential *net, const struct tensor *out,
                           const struct tensor *in, bool training);

#endif
