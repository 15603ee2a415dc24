/* convs.c - convolutions and their gradients by weights, at the shapes of Stable Diffusion 1.5 and of DCGAN. Some pixels of each forward
 * convolution are compared with host/ref, which gets the window around them. */
#include "bench.h"
#include "../ops/gradients.h"
#include "../ref/ref.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARED 6 /* pixels */

static const char group[] = "operation";

struct conv {
    struct tensor out, in, dy;
    struct matrix w;
    struct conv2d_window window;
    bool transposed;
    struct arena arena;
    float *weights, *pixels; /* on the host: of w, and of in */
};

static void close_conv(clio_context *ctx, struct conv *c)
{
    matrix_free(ctx, &c->w);
    arena_free(ctx, &c->arena);
    tensor_free(ctx, &c->in);
    tensor_free(ctx, &c->out);
    tensor_free(ctx, &c->dy);
    free(c->weights);
    free(c->pixels);
}

static clio_status run_forward(clio_context *ctx, void *what)
{
    struct conv *c = what;
    return op_conv2d_fwd(ctx, &c->arena, &c->out, &c->in, &c->w, c->window, NULL);
}

static clio_status run_weights(clio_context *ctx, void *what)
{
    struct conv *c = what;
    if (c->window.taps == 0)
        return op_gemm_bwd_weights(ctx, &c->arena, &c->w, &c->dy, &c->in, c->in.dim[0], false);
    return c->transposed ? op_conv2d_transposed_bwd_weights(ctx, &c->arena, &c->w, &c->dy, &c->in, c->window, false)
                         : op_conv2d_bwd_weights(ctx, &c->arena, &c->w, &c->dy, &c->in, c->window, false);
}

/* ---- forward ---- */

/* The window of pixel (y, x) of the first image: [taps, taps, in], zeros outside. */
static void cut_window(const struct conv *c, int y, int x, float *to)
{
    const struct conv2d_window *v = &c->window;
    int height = c->in.dim[1], width = c->in.dim[2], in = c->in.dim[3];
    for (int j = 0; j < v->taps; j++)
        for (int i = 0; i < v->taps; i++, to += in) {
            int row = y * v->stride + j - v->before, column = x * v->stride + i - v->before;
            if (row < 0 || column < 0 || row >= height * v->upsample || column >= width * v->upsample)
                memset(to, 0, (size_t)in * sizeof *to);
            else
                memcpy(to, c->pixels + ((size_t)(row / v->upsample) * (size_t)width + (size_t)(column / v->upsample)) * (size_t)in,
                       (size_t)in * sizeof *to);
        }
}

/* The largest difference of some pixels' outputs, relative to the largest output. */
static clio_status compare_forward(struct bench *b, struct conv *c, double *error)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    int taps = c->window.taps, in = c->in.dim[3], out = c->out.dim[3], height = c->out.dim[1], width = c->out.dim[2];
    struct conv2d_args args = {.batch = 1,
                               .height = taps,
                               .width = taps,
                               .in = in,
                               .out = out,
                               .kernel_h = taps,
                               .kernel_w = taps,
                               .stride = 1,
                               .dilation = 1,
                               .groups = 1,
                               .out_height = 1,
                               .out_width = 1,
                               .act = ACT_NONE};
    float *window = NULL, *want = NULL, *got = NULL;
    double worst = 0, greatest = 0;
    TRY(mem_alloc(ctx, &window, (size_t)(taps * taps) * (size_t)in, sizeof *window));
    TRY(mem_alloc(ctx, &want, (size_t)out, sizeof *want));
    TRY(mem_alloc(ctx, &got, (size_t)out, sizeof *got));
    TRY(run_forward(ctx, c));
    for (int k = 0; k < COMPARED; k++) { /* corners, and some between */
        int y = k == 0 ? 0 : k == 1 ? height - 1 : (int)((unsigned)k * 2654435761u % (unsigned)height);
        int x = k == 0 ? 0 : k == 1 ? width - 1 : (int)((unsigned)k * 2246822519u % (unsigned)width);
        cut_window(c, y, x, window);
        ref_conv2d(want, window, c->weights, NULL, &args);
        TRY(tensor_read(ctx, &c->out, ((size_t)y * (size_t)width + (size_t)x) * (size_t)out, (size_t)out, got));
        for (int n = 0; n < out; n++) {
            worst = fmax(worst, fabs((double)got[n] - (double)want[n]));
            greatest = fmax(greatest, fabs((double)want[n]));
        }
    }
    *error = worst / greatest;
fail:
    free(window);
    free(want);
    free(got);
    return st;
}

static clio_status measure_forward(struct bench *b, struct bench_row *row, int batch, int size, int in, int out,
                                   struct conv2d_window window)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    int k = window.taps * window.taps * in;
    int out_size = (size * window.upsample + window.before + window.after - window.taps) / window.stride + 1;
    struct conv c = {.window = window};
    struct tensor weights = {0};
    TRY(bench_tensor(ctx, &weights, tensor_shape(DTYPE_F32, 2, out, k, 0, 0)));
    TRY(mem_alloc(ctx, &c.weights, tensor_count(&weights), sizeof *c.weights));
    TRY(tensor_read(ctx, &weights, 0, tensor_count(&weights), c.weights));
    tensor_free(ctx, &weights);
    TRY(matrix_new(ctx, &c.w, out, k, MATRIX_LARGE, "a benchmark"));
    TRY(matrix_fill_floats(ctx, &c.w, 0, out, c.weights));
    row->storage = dtype_name(c.w.data.dtype);
    TRY(bench_tensor(ctx, &c.in, tensor_shape(DTYPE_F32, 4, batch, size, size, in)));
    TRY(mem_alloc(ctx, &c.pixels, tensor_count(&c.in), sizeof *c.pixels));
    TRY(tensor_read(ctx, &c.in, 0, tensor_count(&c.in), c.pixels));
    c.out = tensor_shape(DTYPE_F32, 4, batch, out_size, out_size, out);
    TRY(tensor_new(ctx, &c.out, "a benchmark"));
    row->flops = 2.0 * batch * out_size * out_size * out * k;
    row->bytes = (double)dtype_size(c.w.data.dtype) * out * k + 4.0 * (double)(tensor_count(&c.in) + tensor_count(&c.out));
    TRY(bench_plan(ctx, &c.arena, run_forward, &c));
    if (!b->round)
        TRY(compare_forward(b, &c, &row->error));
    TRY(bench_time(b, row, run_forward, &c));
fail:
    tensor_free(ctx, &weights);
    close_conv(ctx, &c);
    return st;
}

/* Stable Diffusion 1.5 at 512 x 512: the UNet with two images at a time, as guidance needs them, then the decoder. stride 2: downsampling;
 * upsample 2: nearest neighbours. */
static const struct {
    int batch, size, in, out, stride, upsample;
    bool quick;
} convs[] = {
    {2, 64, 320, 320, 1, 1, true},    {2, 64, 640, 320, 1, 1, false},   {2, 64, 960, 320, 1, 1, false},  {2, 32, 320, 640, 1, 1, false},
    {2, 32, 640, 640, 1, 1, true},    {2, 32, 1280, 640, 1, 1, false},  {2, 32, 1920, 640, 1, 1, false}, {2, 16, 640, 1280, 1, 1, false},
    {2, 16, 1280, 1280, 1, 1, true},  {2, 16, 2560, 1280, 1, 1, false}, {2, 8, 1280, 1280, 1, 1, true},  {2, 8, 2560, 1280, 1, 1, false},
    {2, 64, 4, 320, 1, 1, false},     {2, 64, 320, 4, 1, 1, false},     {1, 64, 512, 512, 1, 1, true},   {1, 128, 512, 512, 1, 1, false},
    {1, 256, 256, 256, 1, 1, false},  {1, 512, 128, 128, 1, 1, false},  {1, 512, 128, 3, 1, 1, false},   {2, 8, 1280, 1280, 1, 2, false},
    {2, 16, 1280, 1280, 1, 2, false}, {2, 32, 640, 640, 1, 2, false},   {1, 128, 512, 512, 1, 2, false}, {2, 64, 320, 320, 2, 1, true},
    {2, 32, 640, 640, 2, 1, false},   {2, 16, 1280, 1280, 2, 1, false},
};

static clio_status bench_forward(struct bench *b)
{
    clio_status st = CLIO_OK;
    char shape[64];
    for (size_t i = 0; i < COUNT(convs); i++) {
        struct conv2d_window window = {3, convs[i].stride, 1, 1, convs[i].upsample};
        snprintf(shape, sizeof shape, "%d x %d x %d, %d > %d%s%s", convs[i].batch, convs[i].size, convs[i].size, convs[i].in, convs[i].out,
                 convs[i].stride > 1 ? ", stride 2" : "", convs[i].upsample > 1 ? ", upsampled" : "");
        struct bench_row row = bench_row(group, "conv2d", shape);
        if ((convs[i].quick || !b->quick) && bench_wants(b, group, row.name, shape))
            TRY(bench_add(b, &row, measure_forward(b, &row, convs[i].batch, convs[i].size, convs[i].in, convs[i].out, window)));
    }
fail:
    return st;
}

/* ---- gradients by weights ---- */

/* size: of the input. taps 0: of a linear layer. */
static clio_status measure_weights(struct bench *b, struct bench_row *row, int batch, int size, int in, int out,
                                   struct conv2d_window window, bool transposed)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    struct conv c = {.window = window, .transposed = transposed};
    int taps = window.taps, k = MAX(1, taps * taps) * in, padding = window.before + window.after;
    int out_size = taps == 0 ? 1 : transposed ? (size - 1) * window.stride + taps - padding : (size + padding - taps) / window.stride + 1;
    double pixels = (double)batch * (transposed ? size * size : out_size * out_size);
    TRY(bench_tensor(ctx, &c.in, taps ? tensor_shape(DTYPE_F32, 4, batch, size, size, in) : tensor_shape(DTYPE_F32, 2, batch, in, 0, 0)));
    TRY(bench_tensor(ctx, &c.dy,
                     taps ? tensor_shape(DTYPE_F32, 4, batch, out_size, out_size, out) : tensor_shape(DTYPE_F32, 2, batch, out, 0, 0)));
    TRY(matrix_new(ctx, &c.w, out, k, MATRIX_EXACT, "a benchmark"));
    row->flops = 2 * pixels * out * k;
    row->bytes = 4.0 * (double)(tensor_count(&c.in) + tensor_count(&c.dy) + tensor_count(&c.w.data));
    TRY(bench_plan(ctx, &c.arena, run_weights, &c));
    TRY(bench_time(b, row, run_weights, &c));
fail:
    close_conv(ctx, &c);
    return st;
}

/* DCGAN for 64 x 64 images, generator and discriminator; a small UNet; a dense autoencoder. */
static const struct {
    int batch, size, in, out, taps, stride;
    bool transposed, quick;
} gradients[] = {
    {64, 4, 512, 256, 4, 2, true, false},   {64, 8, 256, 128, 4, 2, true, true},   {64, 16, 128, 64, 4, 2, true, false},
    {64, 32, 64, 3, 4, 2, true, false},     {64, 64, 3, 64, 4, 2, false, false},   {64, 32, 64, 128, 4, 2, false, true},
    {64, 16, 128, 256, 4, 2, false, false}, {64, 8, 256, 512, 4, 2, false, false}, {64, 16, 64, 64, 3, 1, false, false},
    {64, 8, 128, 128, 3, 1, false, true},   {64, 4, 256, 256, 3, 1, false, false}, {128, 1, 784, 400, 0, 1, false, true},
    {128, 1, 400, 784, 0, 1, false, false},
};

static clio_status bench_gradients(struct bench *b)
{
    clio_status st = CLIO_OK;
    char shape[64];
    for (size_t i = 0; i < COUNT(gradients); i++) {
        int taps = gradients[i].taps, size = gradients[i].size;
        struct conv2d_window window = {taps, gradients[i].stride, taps ? 1 : 0, taps ? 1 : 0, 1};
        if (taps)
            snprintf(shape, sizeof shape, "%d x %d x %d, %d > %d, %d x %d%s", gradients[i].batch, size, size, gradients[i].in,
                     gradients[i].out, taps, taps, gradients[i].stride > 1 ? ", stride 2" : "");
        else
            snprintf(shape, sizeof shape, "%d x %d > %d", gradients[i].batch, gradients[i].in, gradients[i].out);
        struct bench_row row = bench_row(group,
                                         !taps                     ? "weight gradient, linear"
                                         : gradients[i].transposed ? "weight gradient, transposed"
                                                                   : "weight gradient, conv2d",
                                         shape);
        if ((gradients[i].quick || !b->quick) && bench_wants(b, group, row.name, shape))
            TRY(bench_add(
                b, &row,
                measure_weights(b, &row, gradients[i].batch, size, gradients[i].in, gradients[i].out, window, gradients[i].transposed)));
    }
fail:
    return st;
}

clio_status bench_convs(struct bench *b)
{
    clio_status st = CLIO_OK;
    TRY(bench_forward(b));
    TRY(bench_gradients(b));
fail:
    return st;
}
