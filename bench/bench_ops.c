/* bench_ops.c - what the operations reach at the shapes of real networks: seconds, GFLOP/s, GB/s, and the share of this device's own
 * roof, which is measured first (a loop of fused multiply-adds in registers; a copy).
 *
 *     bench_ops [FILTER]     only rows whose name contains FILTER; the device by CLIO_DEVICE
 *
 * Each figure is the median of RUNS runs after one that is not counted; a run lasts at least 50 ms. CPU seconds a call stand beside, which
 * hold on a busy machine. */
#include "../host/core/clock.h"
#include "../host/ops/gradients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define RUNS 5
#define RUN_SECONDS 0.05

static clio_context *ctx;
static double peak_gflops, peak_gbytes;
static const char *filter = "";

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void must(clio_status st)
{
    if (st) {
        fprintf(stderr, "%s\n%s\n", clio_error(ctx), clio_error_detail(ctx));
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct figures {
    double wall, cpu; /* seconds of one call */
};

static struct figures measure(clio_status (*call)(void *), void *what)
{
    double wall[RUNS], cpu[RUNS];
    must(call(what));
    must(launch_wait(ctx));
    double start = clock_seconds();
    must(call(what));
    must(launch_wait(ctx));
    int times = (int)(RUN_SECONDS / (clock_seconds() - start)) + 1;
    for (int run = 0; run < RUNS; run++) {
        double w = clock_seconds(), c = cpu_seconds();
        for (int i = 0; i < times; i++)
            must(call(what));
        must(launch_wait(ctx));
        wall[run] = (clock_seconds() - w) / times;
        cpu[run] = (cpu_seconds() - c) / times;
    }
    qsort(wall, RUNS, sizeof *wall, by_value);
    qsort(cpu, RUNS, sizeof *cpu, by_value);
    return (struct figures){wall[RUNS / 2], cpu[RUNS / 2]};
}

static void report(const char *name, const char *shape, double flops, double bytes, struct figures f)
{
    double gflops = flops / f.wall * 1e-9, gbytes = bytes / f.wall * 1e-9;
    double share =
        100 * (peak_gflops > 0 ? (gflops / peak_gflops > gbytes / peak_gbytes ? gflops / peak_gflops : gbytes / peak_gbytes) : 0);
    printf("%-16s %-30s %10.1f us %10.1f us cpu %8.1f GFLOP/s %7.1f GB/s %5.0f %%\n", name, shape, f.wall * 1e6, f.cpu * 1e6, gflops,
           gbytes, share);
    fflush(stdout);
}

static struct tensor new_tensor(enum dtype dtype, int d0, int d1)
{
    struct tensor t = tensor_shape(dtype, 2, d0, d1, 0, 0);
    must(tensor_new(ctx, &t, "benchmark"));
    float *x = malloc(sizeof *x * tensor_count(&t));
    if (!x)
        exit(1);
    for (size_t i = 0; i < tensor_count(&t); i++)
        x[i] = (float)(i * 2654435761u >> 8 & 0xffff) / 32768.0f - 1.0f;
    must(tensor_write(ctx, &t, 0, tensor_count(&t), x));
    free(x);
    return t;
}

/* ---- the roof ---- */

struct peak_work {
    struct kernel *kernel;
    struct tensor a, b;
    int steps;
    size_t items;
};

static clio_status run_peak(void *p)
{
    struct peak_work *w = p;
    return LAUNCH(ctx, w->kernel, GRID1(w->items, ctx->device.simd_width > 1 ? 1 : 64), COST(0, 0), ARG_TENSOR(&w->a), ARG_VALUE(w->steps));
}

static clio_status run_copy(void *p)
{
    struct peak_work *w = p;
    return LAUNCH(ctx, w->kernel, GRID1(w->items, 64), COST(0, 0), ARG_TENSOR(&w->a), ARG_TENSOR(&w->b));
}

static void measure_roof(void)
{
    struct peak_work w = {.steps = 2000, .items = ctx->device.simd_width > 1 ? 64 : (size_t)ctx->device.compute_units * 2048};
    w.a = new_tensor(DTYPE_F32, 4096, 4096);
    w.b = new_tensor(DTYPE_F32, 4096, 4096);
    int lanes = ctx->device.simd_width > 1 ? 16 : 4;
    must(kernel_get(ctx, "peak", "peak_fma", lanes == 16 ? "-DLANES=16" : "", &w.kernel));
    peak_gflops = (double)w.items * w.steps * 12 * lanes * 2 / measure(run_peak, &w).wall * 1e-9;
    must(kernel_get(ctx, "peak", "peak_copy", "", &w.kernel));
    w.items = tensor_count(&w.a) / 16;
    peak_gbytes = 8.0 * (double)tensor_count(&w.a) / measure(run_copy, &w).wall * 1e-9;
    printf("roof: %.0f GFLOP/s, %.1f GB/s\n", peak_gflops, peak_gbytes);
    tensor_free(ctx, &w.a);
    tensor_free(ctx, &w.b);
}

/* ---- gemm ---- */

struct gemm_work {
    struct tensor out, a;
    struct matrix w;
    int m;
};

static clio_status run_gemm(void *p)
{
    struct gemm_work *w = p;
    return op_gemm_fwd(ctx, &w->out, &w->a, &w->w, w->m, NULL);
}

static void bench_gemm(int m, int n, int k, enum matrix_use use)
{
    char shape[64];
    struct gemm_work w = {.m = m};
    snprintf(shape, sizeof shape, "%d x %d x %d", m, n, k);
    if (!strstr("gemm", filter) && !strstr(shape, filter))
        return;
    struct tensor source = new_tensor(DTYPE_F32, n, k);
    float *rows = malloc(sizeof *rows * (size_t)n * (size_t)k);
    if (!rows)
        exit(1);
    must(tensor_read(ctx, &source, 0, tensor_count(&source), rows));
    tensor_free(ctx, &source);
    must(matrix_new(ctx, &w.w, n, k, use, "benchmark"));
    must(matrix_fill_floats(ctx, &w.w, 0, n, rows));
    free(rows);
    w.a = new_tensor(DTYPE_F32, m, k);
    w.out = new_tensor(DTYPE_F32, m, n);
    double weight_bytes = (double)dtype_size(w.w.data.dtype) * n * k;
    char name[16];
    snprintf(name, sizeof name, "gemm %s", dtype_name(w.w.data.dtype));
    report(name, shape, 2.0 * m * n * k, weight_bytes + 4.0 * m * (n + k), measure(run_gemm, &w));
    matrix_free(ctx, &w.w);
    tensor_free(ctx, &w.a);
    tensor_free(ctx, &w.out);
}

/* ---- attention ---- */

struct attention_work {
    struct tensor out, q;
    struct attention_cache cache;
    struct attention_args args;
    struct arena arena;
};

static clio_status run_attention(void *p)
{
    struct attention_work *w = p;
    return op_attention_fwd(ctx, &w->arena, &w->out, &w->q, &w->cache, w->args);
}

static void bench_attention(int queries, int keys, int heads, int dim, enum matrix_use use)
{
    char shape[64];
    int width = heads * dim;
    struct attention_work w = {.args = {.queries = queries, .keys = keys, .ldq = width, .ldo = width}};
    snprintf(shape, sizeof shape, "%d x %d, %d heads of %d", queries, keys, heads, dim);
    if (!strstr("attention", filter) && !strstr(shape, filter))
        return;
    struct tensor rows = new_tensor(DTYPE_F32, keys, width);
    w.q = new_tensor(DTYPE_F32, queries, width);
    w.out = new_tensor(DTYPE_F32, queries, width);
    must(attention_cache_new(ctx, NULL, &w.cache, 1, heads, dim, keys, use, "benchmark"));
    must(op_attention_store(ctx, &w.cache, &rows, &rows, (struct attention_store_args){.rows = keys, .ldk = width, .ldv = width}));
    ctx->planning = true;
    must(run_attention(&w));
    ctx->planning = false;
    must(arena_commit(ctx, &w.arena, "benchmark"));
    char name[24];
    snprintf(name, sizeof name, "attention %s", dtype_name(w.cache.k.dtype));
    report(name, shape, 4.0 * queries * keys * width, 2.0 * (double)dtype_size(w.cache.k.dtype) * keys * width, measure(run_attention, &w));
    arena_free(ctx, &w.arena);
    attention_cache_free(ctx, &w.cache);
    tensor_free(ctx, &rows);
    tensor_free(ctx, &w.q);
    tensor_free(ctx, &w.out);
}

/* ---- group norm ---- */

struct group_norm_work {
    struct tensor out, in, gamma;
    struct arena arena;
};

static clio_status run_group_norm(void *p)
{
    struct group_norm_work *w = p;
    return op_group_norm_fwd(ctx, &w->arena, &w->out, &w->in, &w->gamma, &w->gamma, 32, 1e-5f, ACT_SILU);
}

static void bench_group_norm(int side, int channels)
{
    char shape[64];
    struct group_norm_work w = {.arena = {0}};
    snprintf(shape, sizeof shape, "%d x %d x %d, silu", side, side, channels);
    if (!strstr("group norm", filter) && !strstr(shape, filter))
        return;
    struct tensor in = new_tensor(DTYPE_F32, side * side, channels), out = new_tensor(DTYPE_F32, side * side, channels);
    struct tensor gamma = new_tensor(DTYPE_F32, 1, channels);
    w.in = tensor_reshape(&in, 3, 1, side * side, channels, 0);
    w.out = tensor_reshape(&out, 3, 1, side * side, channels, 0);
    w.gamma = tensor_reshape(&gamma, 1, channels, 0, 0, 0);
    ctx->planning = true;
    must(run_group_norm(&w));
    ctx->planning = false;
    must(arena_commit(ctx, &w.arena, "benchmark"));
    double numbers = (double)tensor_count(&in);
    report("group norm", shape, 8 * numbers, 12 * numbers, measure(run_group_norm, &w));
    arena_free(ctx, &w.arena);
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    tensor_free(ctx, &gamma);
}

/* ---- convolution of images ---- */

struct conv_work {
    struct tensor out, in;
    struct matrix w;
    struct conv2d_window window;
    struct arena arena;
};

static clio_status run_conv(void *p)
{
    struct conv_work *w = p;
    return op_conv2d_fwd(ctx, &w->arena, &w->out, &w->in, &w->w, w->window, NULL);
}

static void bench_conv(int batch, int size, int in, int out, struct conv2d_window window)
{
    char shape[64];
    struct conv_work w = {.window = window};
    int k = window.taps * window.taps * in;
    int out_size = (size * window.upsample + window.before + window.after - window.taps) / window.stride + 1;
    snprintf(shape, sizeof shape, "%d x %d^2 %d>%d%s%s", batch, size, in, out, window.stride > 1 ? " /2" : "",
             window.upsample > 1 ? " *2" : "");
    if (!strstr("conv2d", filter) && !strstr(shape, filter))
        return;
    struct tensor weights = new_tensor(DTYPE_F32, out, k);
    float *rows = malloc(sizeof *rows * (size_t)out * (size_t)k);
    if (!rows)
        exit(1);
    must(tensor_read(ctx, &weights, 0, tensor_count(&weights), rows));
    tensor_free(ctx, &weights);
    must(matrix_new(ctx, &w.w, out, k, MATRIX_LARGE, "benchmark"));
    must(matrix_fill_floats(ctx, &w.w, 0, out, rows));
    free(rows);
    struct tensor source = new_tensor(DTYPE_F32, batch * size * size, in);
    w.in = tensor_reshape(&source, 4, batch, size, size, in);
    w.out = tensor_shape(DTYPE_F32, 4, batch, out_size, out_size, out);
    must(tensor_new(ctx, &w.out, "benchmark"));
    ctx->planning = true;
    must(run_conv(&w));
    ctx->planning = false;
    must(arena_commit(ctx, &w.arena, "benchmark"));
    report("conv2d", shape, 2.0 * batch * out_size * out_size * out * k,
           (double)dtype_size(w.w.data.dtype) * out * k + 4.0 * (double)(tensor_count(&w.in) + tensor_count(&w.out)),
           measure(run_conv, &w));
    matrix_free(ctx, &w.w);
    arena_free(ctx, &w.arena);
    tensor_free(ctx, &source);
    tensor_free(ctx, &w.out);
}

/* Stable Diffusion 1.5 at 512 x 512: its network with two images at a time, as guidance wants them, then the decoder. */
static void bench_convs(void)
{
    static const int same[][4] = {{2, 64, 320, 320},  {2, 64, 640, 320},  {2, 64, 960, 320},  {2, 32, 320, 640},   {2, 32, 640, 640},
                                  {2, 32, 1280, 640}, {2, 32, 1920, 640}, {2, 16, 640, 1280}, {2, 16, 1280, 1280}, {2, 16, 2560, 1280},
                                  {2, 8, 1280, 1280}, {2, 8, 2560, 1280}, {2, 64, 4, 320},    {2, 64, 320, 4},     {1, 64, 512, 512},
                                  {1, 128, 512, 512}, {1, 256, 512, 256}, {1, 256, 256, 256}, {1, 512, 256, 128},  {1, 512, 128, 128},
                                  {1, 512, 128, 3}};
    static const int enlarged[][4] = {{2, 8, 1280, 1280}, {2, 16, 1280, 1280}, {2, 32, 640, 640}, {1, 128, 512, 512}, {1, 256, 256, 256}};
    static const int halved[][4] = {{2, 64, 320, 320}, {2, 32, 640, 640}, {2, 16, 1280, 1280}};
    for (size_t i = 0; i < COUNT(same); i++)
        bench_conv(same[i][0], same[i][1], same[i][2], same[i][3], (struct conv2d_window){3, 1, 1, 1, 1});
    for (size_t i = 0; i < COUNT(enlarged); i++)
        bench_conv(enlarged[i][0], enlarged[i][1], enlarged[i][2], enlarged[i][3], (struct conv2d_window){3, 1, 1, 1, 2});
    for (size_t i = 0; i < COUNT(halved); i++)
        bench_conv(halved[i][0], halved[i][1], halved[i][2], halved[i][3], (struct conv2d_window){3, 2, 1, 1, 1});
}

/* ---- gradients by weights ---- */

struct weights_work {
    struct tensor x, dy;
    struct matrix dw;
    struct conv2d_window window; /* taps 0: a product */
    bool transposed;
    struct arena arena;
};

static clio_status run_weights(void *p)
{
    struct weights_work *w = p;
    if (w->window.taps == 0)
        return op_gemm_bwd_weights(ctx, &w->arena, &w->dw, &w->dy, &w->x, w->x.dim[0], false);
    return w->transposed ? op_conv2d_transposed_bwd_weights(ctx, &w->arena, &w->dw, &w->dy, &w->x, w->window, false)
                         : op_conv2d_bwd_weights(ctx, &w->arena, &w->dw, &w->dy, &w->x, w->window, false);
}

/* size: of x. */
static void bench_weights(int batch, int size, int in, int out, struct conv2d_window window, bool transposed)
{
    char shape[64];
    struct weights_work w = {.window = window, .transposed = transposed};
    int taps = window.taps, k = MAX(1, taps * taps) * in, room = window.before + window.after;
    int out_size = taps == 0 ? 1 : transposed ? (size - 1) * window.stride + taps - room : (size + room - taps) / window.stride + 1;
    snprintf(shape, sizeof shape, "%d x %d^2 %d>%d%s%s", batch, size, in, out, window.stride > 1 ? " /2" : "", transposed ? " T" : "");
    if (!strstr("weights", filter) && !strstr(shape, filter))
        return;
    w.x = new_tensor(DTYPE_F32, batch * size * size, in);
    w.dy = new_tensor(DTYPE_F32, batch * out_size * out_size, out);
    if (taps) {
        w.x = tensor_reshape(&w.x, 4, batch, size, size, in);
        w.dy = tensor_reshape(&w.dy, 4, batch, out_size, out_size, out);
    }
    must(matrix_new(ctx, &w.dw, out, k, MATRIX_EXACT, "benchmark"));
    ctx->planning = true;
    must(run_weights(&w));
    ctx->planning = false;
    must(arena_commit(ctx, &w.arena, "benchmark"));
    double pixels = (double)batch * (transposed ? size * size : out_size * out_size);
    report("weights", shape, 2 * pixels * out * k, 4.0 * (double)(tensor_count(&w.x) + tensor_count(&w.dy) + tensor_count(&w.dw.data)),
           measure(run_weights, &w));
    matrix_free(ctx, &w.dw);
    arena_free(ctx, &w.arena);
    tensor_free(ctx, &w.x);
    tensor_free(ctx, &w.dy);
}

/* DCGAN for 64 x 64 images, generator and discriminator; a dense autoencoder; a small network of 3 x 3 convolutions. */
static void bench_weight_gradients(void)
{
    static const struct conv2d_window first = {4, 1, 0, 0, 1}, half = {4, 2, 1, 1, 1}, same = {3, 1, 1, 1, 1}, none = {0, 1, 0, 0, 1};
    static const int up[][3] = {{4, 512, 256}, {8, 256, 128}, {16, 128, 64}, {32, 64, 3}};
    static const int down[][3] = {{64, 3, 64}, {32, 64, 128}, {16, 128, 256}, {8, 256, 512}};
    static const int level[][3] = {{16, 4, 64}, {16, 64, 64}, {16, 128, 64}, {8, 128, 128}, {8, 256, 128}, {4, 256, 256}};
    static const int dense[][2] = {{784, 400}, {400, 20}, {20, 400}, {400, 784}};
    bench_weights(64, 1, 100, 512, first, true);
    for (size_t i = 0; i < COUNT(up); i++)
        bench_weights(64, up[i][0], up[i][1], up[i][2], half, true);
    for (size_t i = 0; i < COUNT(down); i++)
        bench_weights(64, down[i][0], down[i][1], down[i][2], half, false);
    bench_weights(64, 4, 512, 1, first, false);
    for (size_t i = 0; i < COUNT(level); i++)
        bench_weights(64, level[i][0], level[i][1], level[i][2], same, false);
    for (size_t i = 0; i < COUNT(dense); i++)
        bench_weights(128, 1, dense[i][0], dense[i][1], none, false);
}

/* ---- the step from logits to a token ---- */

struct logits_work {
    struct tensor logits, suppress, choice, tokens;
    struct arena arena;
    struct logits_args args;
};

static clio_status run_logits(void *p)
{
    struct logits_work *w = p;
    return op_logits_fwd(ctx, &w->arena, &w->choice, &w->tokens, &w->logits, &w->suppress, 0, w->args);
}

static void bench_logits(int n)
{
    char shape[64];
    struct logits_work w = {.args = {.n = n,
                                     .timestamp_begin = n - 1501,
                                     .end_token = n - 1608,
                                     .no_speech = -1,
                                     .text_allowed = 1,
                                     .end_allowed = 1,
                                     .timestamp_first = n - 1501,
                                     .timestamp_last = n - 1,
                                     .weigh_timestamps = 1}};
    snprintf(shape, sizeof shape, "%d", n);
    if (!strstr("logits", filter))
        return;
    w.logits = new_tensor(DTYPE_F32, 1, n);
    w.suppress = tensor_shape(DTYPE_U8, 1, n, 0, 0, 0);
    must(tensor_new(ctx, &w.suppress, "benchmark"));
    must(tensor_zero(ctx, &w.suppress));
    w.choice = tensor_shape(DTYPE_I32, 2, 1, 8, 0, 0);
    must(tensor_new(ctx, &w.choice, "benchmark"));
    w.tokens = tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0);
    must(tensor_new(ctx, &w.tokens, "benchmark"));
    ctx->planning = true;
    must(run_logits(&w));
    ctx->planning = false;
    must(arena_commit(ctx, &w.arena, "benchmark"));
    report("logits", shape, 8.0 * n, 5.0 * n, measure(run_logits, &w));
    arena_free(ctx, &w.arena);
    tensor_free(ctx, &w.logits);
    tensor_free(ctx, &w.suppress);
    tensor_free(ctx, &w.choice);
    tensor_free(ctx, &w.tokens);
}

int main(int argc, char **argv)
{
    filter = argc > 1 ? argv[1] : "";
    ctx = clio_create();
    must(clio_device_open(ctx, NULL));
    printf("device: %s, %s, driver %s\n", ctx->device.platform_name, ctx->device.name, ctx->device.driver);
    measure_roof();
    /* Whisper base and small: encoder products, then a decoder's */
    static const int many[][3] = {{1500, 1536, 512}, {1500, 512, 512}, {1500, 2048, 512}, {1500, 512, 2048}, {3000, 512, 240},
                                  {1500, 512, 1536}, {3000, 402, 400}, {1500, 2304, 768}, {1500, 3072, 768}, {1500, 768, 3072}};
    static const int few[][2] = {{1536, 512}, {512, 512}, {2048, 512}, {512, 2048}, {51865, 512}, {3072, 768}, {51865, 768}};
    for (size_t i = 0; i < COUNT(many); i++) {
        bench_gemm(many[i][0], many[i][1], many[i][2], MATRIX_EXACT);
        if (!params_is(ctx, "gemm.many.storage", "f32")) /* as the encoder has them */
            bench_gemm(many[i][0], many[i][1], many[i][2], MATRIX_MANY);
    }
    for (size_t i = 0; i < COUNT(few); i++)
        for (int m = 1; m <= 16; m *= 4)
            bench_gemm(m, few[i][0], few[i][1], MATRIX_FEW);
    /* the UNet of Stable Diffusion 1.5: its transformers' layers at their four sizes, then keys and values of the text */
    static const int large[][3] = {{4096, 960, 320},   {4096, 320, 320},  {4096, 2560, 320}, {4096, 320, 1280}, {1024, 1920, 640},
                                   {1024, 640, 640},   {1024, 5120, 640}, {1024, 640, 2560}, {256, 3840, 1280}, {256, 1280, 1280},
                                   {256, 10240, 1280}, {256, 1280, 5120}, {64, 3840, 1280},  {64, 10240, 1280}, {64, 1280, 5120},
                                   {77, 640, 768},     {77, 2560, 768}};
    for (size_t i = 0; i < COUNT(large); i++)
        bench_gemm(large[i][0], large[i][1], large[i][2], MATRIX_LARGE);
    bench_attention(1500, 1500, 8, 64, MATRIX_MANY);
    bench_attention(1, 1500, 8, 64, MATRIX_FEW);
    bench_attention(1, 100, 8, 64, MATRIX_FEW);
    bench_attention(1500, 1500, 12, 64, MATRIX_MANY);
    /* Stable Diffusion 1.5 at 512 x 512: the UNet's widths of head, themselves and the text; then the decoder's single head */
    static const int pictures[][4] = {{4096, 4096, 8, 40}, {1024, 1024, 8, 80}, {256, 256, 8, 160},
                                      {4096, 77, 8, 40},   {1024, 77, 8, 80},   {4096, 4096, 1, 512}};
    for (size_t i = 0; i < COUNT(pictures); i++)
        bench_attention(pictures[i][0], pictures[i][1], pictures[i][2], pictures[i][3], MATRIX_LARGE);
    bench_group_norm(512, 128);
    bench_group_norm(64, 320);
    bench_group_norm(16, 1280);
    bench_logits(51865);
    bench_convs();
    bench_weight_gradients();
    clio_destroy(ctx);
    return 0;
}
