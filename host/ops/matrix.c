/* matrix.c - weights packed for the kernel that will read them: create, fill, read back, and swap for the gradients; kernels in cl/pack.cl.
 * The layout and storage of a matrix are decided once, when it is created, by the parameters gemm.many.* and gemm.few.* (cl/tunables.txt),
 * because each kernel family reads one layout (families.c). */
#include "families.h"
#include "gemm.h"
#include "gradients.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define STAGING_BYTES (16u << 20)

/* The layout and storage that the parameters ask for, or the nearest that a kernel supports on this device. */
static clio_status choose_layout(clio_context *ctx, struct matrix *m, bool panels, enum dtype dtype, int rows)
{
    clio_status st = CLIO_OK;
    enum dtype next = dtype == DTYPE_BF16 ? DTYPE_F32 : dtype == DTYPE_Q8 ? DTYPE_F16 : dtype; /* bf16 and q8_0 exist in panels only */
    const struct {
        bool panels;
        enum dtype dtype;
    } candidates[] = {{panels, dtype}, {next == dtype ? !panels : panels, next}, {panels, DTYPE_F32}, {!panels, DTYPE_F32}};
    bool works = false;
    for (size_t i = 0; i < COUNT(candidates) && !works; i++) {
        m->layout = candidates[i].panels ? MATRIX_PANELS : MATRIX_ROWS;
        m->data.dtype = candidates[i].dtype;
        TRY(gemm_reads(ctx, m, rows, &works));
    }
    if (!works)
        TRY(family_none_left(ctx, "gemm"));
fail:
    return st;
}

/* The shape of the packed weights in memory. */
static struct tensor shape_of(const struct matrix *m)
{
    enum dtype dtype = m->data.dtype;
    int panels = (m->n + PANEL - 1) / PANEL;
    if (m->layout == MATRIX_ROWS)
        return tensor_shape(dtype, 2, m->n, m->k, 1, 1);
    if (dtype == DTYPE_Q8)
        return tensor_shape(dtype, 3, panels, (m->k + Q8_COLUMNS - 1) / Q8_COLUMNS, Q8_BYTES, 1);
    return tensor_shape(dtype, 3, panels, dtype == DTYPE_BF16 ? ROUND_UP(m->k, 2) : m->k, PANEL, 1);
}

/* The family of gemm that a parameter names: "panel" is gemm.panel. NULL if there is none. */
static const struct kernel_family *family_of_parameter(clio_context *ctx, const char *key)
{
    char name[48];
    const char *word = params_text(ctx, key);
    snprintf(name, sizeof name, "gemm.%s", word ? word : "");
    return kernel_family_find(ctx, name);
}

clio_status matrix_new(clio_context *ctx, struct matrix *m, int n, int k, enum matrix_use use, const char *what)
{
    clio_status st = CLIO_OK;
    bool few = use == MATRIX_FEW;
    const struct kernel_family *family = family_of_parameter(ctx, few ? "gemm.few.family" : "gemm.many.family");
    bool panels = family && family->layout == LAYOUT_PANELS, reads_f16 = !family || (family->storage & 1u << DTYPE_F16);
    const char *storage = few ? "gemm.few.storage" : use == MATRIX_LARGE ? "gemm.large.storage" : "gemm.many.storage";
    bool quantized = params_is(ctx, storage, "q8_0"); /* f16 where no kernel reads q8_0 */
    bool f16 = (quantized || params_is(ctx, storage, "f16")) && (reads_f16 || use == MATRIX_LARGE) && use != MATRIX_EXACT;
    /* the kernels of gradients read f32 and f16 only */
    bool bf16 = use == MATRIX_MANY && panels && !ctx->tapes && params_is(ctx, storage, "bf16");
    bool q8 = (use == MATRIX_MANY || few) && panels && !ctx->tapes && quantized;
    *m = (struct matrix){.n = n, .k = k};
    TRY(choose_layout(ctx, m, panels, bf16 ? DTYPE_BF16 : q8 ? DTYPE_Q8 : f16 ? DTYPE_F16 : DTYPE_F32, few ? 1 : SELFTEST_MANY));
    m->data = shape_of(m);
    TRY(tensor_new(ctx, &m->data, what));
    if (tensor_count(&m->data) != (size_t)n * (size_t)k) /* the padding of the last panel is multiplied, too */
        TRY(tensor_zero(ctx, &m->data));
fail:
    return st;
}

clio_status matrix_reads(clio_context *ctx, const struct matrix *m, bool *works)
{
    return gemm_reads(ctx, m, SELFTEST_MANY, works);
}

void matrix_free(clio_context *ctx, struct matrix *m)
{
    tensor_free(ctx, &m->data);
}

/* Put `rows` source rows, lying in `bytes` on the host, into rows args.first... */
static clio_status pack_rows(clio_context *ctx, struct matrix *m, const void *data, size_t bytes, enum dtype source, struct pack_args args)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    char options[64];
    struct tensor staging = tensor_shape(DTYPE_U8, 1, (int)bytes, 0, 0, 0);
    bool panels = m->layout == MATRIX_PANELS, q8 = m->data.dtype == DTYPE_Q8;
    int blocks = panels ? (args.first + args.rows - 1) / PANEL - args.first / PANEL + 1 : args.rows;
    TRY(tensor_new(ctx, &staging, "loading weights"));
    TRY(tensor_write(ctx, &staging, 0, bytes, data));
    if (q8)
        snprintf(options, sizeof options, "-DQUANTIZE -DSOURCE=%d", (int)source);
    else
        snprintf(options, sizeof options, "-DPANELS=%d -DDST=%d -DSOURCE=%d", panels, (int)m->data.dtype, (int)source);
    TRY(kernel_get(ctx, "pack", q8 ? "quantize" : "pack", options, &k));
    TRY(LAUNCH(ctx, k, GRID2(q8 ? (args.k + Q8_COLUMNS - 1) / Q8_COLUMNS : args.k, blocks, q8 ? 1 : 64, 1), COST(0, 2.0 * (double)bytes),
               ARG_TENSOR(&m->data), ARG_TENSOR(&staging), ARG_VALUE(args)));
    TRY(launch_wait(ctx)); /* the staging buffer is written again by the host */
fail:
    tensor_free(ctx, &staging);
    return st;
}

/* The type in which the weights are packed: the kernel reads the device's types; others go through f32 on the host. */
static enum dtype packed_from(const struct weight *w)
{
    return w->dtype == DTYPE_F16 || w->dtype == DTYPE_BF16 ? w->dtype : DTYPE_F32;
}

/* Elements first .. first + count as they are packed: in memory where they are, else read or converted into `buffer`. */
static clio_status packable(clio_context *ctx, const struct weight *w, size_t first, size_t count, void *buffer, const unsigned char **out)
{
    size_t size = dtype_size(w->dtype);
    *out = buffer;
    return w->dtype == packed_from(w) ? weight_bytes(ctx, w, first * size, count * size, buffer, out)
                                      : weight_floats(ctx, w, first, count, buffer);
}

clio_status matrix_fill(clio_context *ctx, struct matrix *m, int first, const struct weight *w)
{
    clio_status st = CLIO_OK;
    int rows = w->dim[0], channels = w->ndim > 2 ? w->dim[1] : m->k, taps = m->k / MAX(channels, 1);
    enum dtype source = packed_from(w);
    size_t columns = (size_t)m->k, row_bytes = columns * dtype_size(source);
    int at_once = (int)MAX((size_t)1, STAGING_BYTES / MAX(row_bytes, (size_t)1));
    void *buffer = NULL;
    const unsigned char *data;
    if (w->count != (size_t)rows * columns || first < 0 || first + rows > m->n || channels * taps != m->k)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "tensor %s does not fit rows %d... of a matrix of %d x %d", w->name, first, m->n, m->k);
    if (!w->data || source != w->dtype)
        TRY(mem_alloc(ctx, &buffer, (size_t)MIN(at_once, rows), row_bytes));
    for (int row = 0; row < rows; row += at_once) {
        struct pack_args args = {.n = m->n,
                                 .k = m->k,
                                 .first = first + row,
                                 .rows = MIN(at_once, rows - row),
                                 .channels = channels,
                                 .row_step = m->k,
                                 .tap_step = w->ndim > 2 ? 1 : channels,
                                 .channel_step = w->ndim > 2 ? taps : 1};
        TRY(packable(ctx, w, (size_t)row * columns, (size_t)args.rows * columns, buffer, &data));
        TRY(weight_check_range(ctx, w, m->data.dtype, source, data, (size_t)args.rows * columns));
        TRY(pack_rows(ctx, m, data, (size_t)args.rows * row_bytes, source, args));
    }
fail:
    free(buffer);
    return st;
}

clio_status matrix_fill_floats(clio_context *ctx, struct matrix *m, int first, int rows, const float *data)
{
    struct weight w = {.name = "(host)",
                       .dtype = DTYPE_F32,
                       .ndim = 2,
                       .dim = {rows, m->k, 1, 1},
                       .count = (size_t)rows * (size_t)m->k,
                       .data = (const unsigned char *)data};
    return matrix_fill(ctx, m, first, &w);
}

clio_status matrix_fill_swapped(clio_context *ctx, struct matrix *m, const struct weight *w)
{
    clio_status st = CLIO_OK;
    int taps = w->ndim > 2 ? w->dim[2] * (w->ndim > 3 ? w->dim[3] : 1) : 1, channels = m->k / MAX(taps, 1);
    enum dtype source = packed_from(w);
    size_t bytes = w->count * dtype_size(source);
    void *buffer = NULL;
    const unsigned char *data;
    if (w->ndim < 2 || w->dim[0] != channels || w->dim[1] != m->n || channels * taps != m->k)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "tensor %s, its first two dimensions swapped, does not fit a matrix of %d x %d", w->name, m->n,
             m->k);
    if (bytes > INT_MAX) /* rows of the matrix lie scattered in it: it is brought as a whole */
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "tensor %s has %zu bytes, and clio reads at most %d of a transposed convolution", w->name, bytes,
             INT_MAX);
    if (!w->data || source != w->dtype)
        TRY(mem_alloc(ctx, &buffer, bytes, 1));
    TRY(packable(ctx, w, 0, w->count, buffer, &data));
    TRY(weight_check_range(ctx, w, m->data.dtype, source, data, w->count));
    TRY(pack_rows(
        ctx, m, data, bytes, source,
        (struct pack_args){
            .n = m->n, .k = m->k, .rows = m->n, .channels = channels, .row_step = taps, .tap_step = 1, .channel_step = m->n * taps}));
fail:
    free(buffer);
    return st;
}

clio_status matrix_read(clio_context *ctx, const struct matrix *w, int channels, bool swapped, float *out)
{
    clio_status st = CLIO_OK;
    float *packed = NULL;
    size_t n = (size_t)w->n, c = (size_t)(channels ? channels : w->k), taps = (size_t)w->k / MAX(c, (size_t)1);
    bool panels = w->layout == MATRIX_PANELS;
    if (channels < 0 || c * taps != (size_t)w->k)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a matrix of %d x %d cannot be read as taps of %d channels", w->n, w->k, channels);
    TRY(mem_alloc(ctx, &packed, tensor_count(&w->data), sizeof *packed));
    TRY(tensor_read(ctx, &w->data, 0, tensor_count(&w->data), packed));
    for (size_t row = 0; row < n; row++)
        for (size_t k = 0; k < (size_t)w->k; k++) {
            size_t from = panels ? (row / PANEL * (size_t)w->k + k) * PANEL + row % PANEL : row * (size_t)w->k + k;
            size_t tap = k / c, channel = k % c;
            out[(swapped ? channel * n + row : row * c + channel) * taps + tap] = packed[from];
        }
fail:
    free(packed);
    return st;
}

clio_status matrix_turn(clio_context *ctx, struct arena *arena, struct matrix *out, const struct matrix *w, int taps, bool flip)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct swap_args args = {.n = w->n, .channels = w->k / MAX(taps, 1), .taps = taps, .flip = flip};
    bool panels = w->layout == MATRIX_PANELS;
    size_t side = 1;
    char options[64];
    *out = (struct matrix){.layout = w->layout, .n = args.channels, .k = taps * w->n};
    if (taps < 1 || w->k % taps || (double)taps * w->n > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a matrix of %d x %d has not %d taps, or is too large", w->n, w->k, taps);
    out->data = panels ? tensor_shape(DTYPE_F32, 3, (out->n + PANEL - 1) / PANEL, out->k, PANEL, 1)
                       : tensor_shape(DTYPE_F32, 2, out->n, out->k, 1, 1);
    TRY(tensor_take(ctx, arena, &out->data));
    snprintf(options, sizeof options, "-DSWAP -DPANELS=%d -DW_F16=%d", panels, w->data.dtype == DTYPE_F16);
    if (panels)
        TRY(kernel_get(ctx, "pack", "swap", options, &kernel));
    else
        TRY(kernel_get_square(ctx, "pack", "swap", options, &kernel, &side));
    struct grid grid =
        panels ? GRID3((w->n + 15) / 16, (out->n + PANEL - 1) / PANEL * 2, taps, 1, 1, 1) : GRID3(w->n, out->n, taps, side, side, 1);
    TRY(LAUNCH(ctx, kernel, grid, COST(0, (4.0 + (double)dtype_size(w->data.dtype)) * w->n * w->k), ARG_TENSOR(&out->data),
               ARG_TENSOR(&w->data), ARG_VALUE(args)));
fail:
    return st;
}

clio_status matrix_swap(clio_context *ctx, struct arena *arena, struct matrix *out, const struct matrix *w, int taps)
{
    return matrix_turn(ctx, arena, out, w, taps, false);
}
