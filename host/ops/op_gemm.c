/* op_gemm.c - matrix multiplication with packed weights (matrix.c), its epilogue, and the choice among its kernel families (families.h).
 * Kernels: cl/gemm.cl, cl/gemm_bf16.cl, cl/gemm_q8.cl, cl/matmul.cl. The layout of the weights and the number of rows decide. */
#include "autograd_matmul.h"
#include "families.h"
#include "gemm.h"
#include "gradients.h"
#include "../core/blas.h"

#include <stdio.h>

#define FEW_ROWS 16 /* up to here gemm_rows reads each weight once */

struct gemm_call {
    const struct matrix *w;
    const struct gemm_args *g;
    bool library; /* CLBlast may compute it */
};

/* Parameters with which a self-test gets weights of this layout and storage. */
static void test_with_weights(struct kernel_variant *v, const struct matrix *w, int m)
{
    v->test.params[0].key = "gemm.many.family";
    v->test.params[0].value = w->layout == MATRIX_PANELS ? "panel" : "tile";
    v->test.params[1].key = "gemm.many.storage";
    v->test.params[1].value = dtype_name(w->data.dtype);
    v->test.m = m;
}

/* Rows of a panel tile: as many as pay. The remainder of a division is computed twice, which is cheaper than a second kernel. */
static int panel_rows(clio_context *ctx, int m, bool f16)
{
    int few = params_int(ctx, "gemm.panel.few", 8), many = params_int(ctx, f16 ? "gemm.panel.half" : "gemm.panel.rows", 8);
    bool fits = m <= 16 && (m <= few || m > many); /* between the two a single tile of `many` reads the weights once */
    return m == 1 ? 1 : m == 2 ? 2 : m <= 4 ? 4 : fits ? few : many;
}

/* Rows in the self-test of a tile: m itself, or a number that leads to the same tile and leaves a remainder. */
static int panel_test_rows(int m)
{
    return m <= 4 ? m : m <= 16 ? 13 : SELFTEST_MANY;
}

bool gemm_panel_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct gemm_call *c = call;
    const struct matrix *w = c->w;
    int m = c->g->m;
    bool f16 = w->data.dtype == DTYPE_F16;
    int mr = attempt == 0 ? panel_rows(ctx, m, f16) : 1; /* when the tile fails: rows one by one */
    v->program = "gemm";
    v->kernel = "gemm_panel";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d -DPANEL -DMR=%d", f16, mr);
    test_with_weights(v, w, attempt == 0 ? panel_test_rows(m) : 1);
    int blocks = (m + mr - 1) / mr, panels = (w->n + PANEL - 1) / PANEL;
    int each = MIN(params_int(ctx, "gemm.panel.work", 4096) / MAX(w->k, 1), blocks * panels / (16 * MAX(1, ctx->device.compute_units)));
    if (mr == 1) { /* the kernel takes four panels at a time; the self-test covers four at a time and single ones */
        int items = 2 * MAX(1, ctx->device.compute_units);
        panels = MIN(panels, MAX(items, (panels + 3) / 4));
        v->test.n = PANEL * (4 * items + 1) + 3;
    }
    v->grid = GRID2((blocks + MAX(each, 1) - 1) / MAX(each, 1), panels, 1, 1);
    return true;
}

bool gemm_q8_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct gemm_call *c = call;
    int m = c->g->m, mr = panel_rows(ctx, m, true);
    v->program = v->kernel = "gemm_q8";
    snprintf(v->options, sizeof v->options, "-DMR=%d", mr);
    test_with_weights(v, c->w, panel_test_rows(m));
    v->grid = GRID2((m + mr - 1) / mr, (c->w->n + PANEL - 1) / PANEL, 1, 1);
    return attempt == 0;
}

/* Local memory holds the rounded rows: see cl/gemm_bf16.cl. */
bool gemm_bf16_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct gemm_call *c = call;
    const struct matrix *w = c->w;
    int mr = params_int(ctx, "gemm.bf16.rows", 8), blocks = (c->g->m + mr - 1) / mr, panels = (w->n + PANEL - 1) / PANEL;
    int panel_each = MAX(params_int(ctx, "gemm.bf16.panels", 16), 1), block_each = MAX(params_int(ctx, "gemm.bf16.blocks", 2), 1);
    v->program = v->kernel = "gemm_bf16";
    snprintf(v->options, sizeof v->options, "-DMR=%d -DDOTS=%d", mr, device_has_dots(&ctx->device));
    test_with_weights(v, w, SELFTEST_MANY);
    v->grid = GRID2((blocks + block_each - 1) / block_each, (panels + panel_each - 1) / panel_each, 1, 1);
    v->local = (size_t)((w->k + GEMM_BF16_CHUNK - 1) / GEMM_BF16_CHUNK * mr) * GEMM_BF16_STEP * sizeof(cl_uint);
    return attempt == 0;
}

#define OUTPUTS_AT_MOST 64      /* of a work-item of gemm_tile: more of them spill registers on every known device */
#define ACCUMULATORS_AT_MOST 32 /* of a work-item of gemm_rows: more are spilled where a thread has 128 registers of 8 floats */
#define VECTOR_COLUMNS 36       /* k of the self-test of kernels that read 4 floats at once */

/* Whether every row of a and w begins at a multiple of 4 floats, as their buffers do. */
static bool reads_vectors(const struct gemm_args *g)
{
    return g->k % 4 == 0 && g->lda % 4 == 0 && g->a_offset % 4 == 0;
}

bool gemm_rows_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct gemm_call *c = call;
    const struct matrix *w = c->w;
    int m = c->g->m;
    bool vector = reads_vectors(c->g);
    int rows = m <= 2 ? m : m <= 4 ? 4 : m <= 8 ? 8 : 16;
    int outputs = MIN(params_int(ctx, "gemm.rows.outputs", 4), ACCUMULATORS_AT_MOST / rows);
    outputs = outputs >= 4 ? 4 : outputs >= 2 ? 2 : 1;
    v->program = "gemm";
    v->kernel = "gemm_rows";
    snprintf(v->options, sizeof v->options, "-DROWS -DW_F16=%d -DVECTOR=%d -DRB=%d -DOUTPUTS=%d", w->data.dtype == DTYPE_F16, vector, rows,
             outputs);
    test_with_weights(v, w, rows <= 2 ? rows : rows - 1);
    v->test.k = vector ? VECTOR_COLUMNS : 0;
    v->grid = GRID2((size_t)((w->n + outputs - 1) / outputs) * 64, (m + rows - 1) / rows, 64, 1);
    return (m <= FEW_ROWS) == (attempt == 0);
}

static int tiles(int n, int side)
{
    return (n + side - 1) / side;
}

bool gemm_tile_fits(clio_context *ctx)
{
    size_t gx = (size_t)params_int(ctx, "gemm.tile.gx", 16), gy = (size_t)params_int(ctx, "gemm.tile.gy", 16);
    size_t tn = (size_t)params_int(ctx, "gemm.tile.tn", 4), tm = (size_t)params_int(ctx, "gemm.tile.tm", 4);
    size_t step = (size_t)params_int(ctx, "gemm.tile.step", 16), buffers = (size_t)params_int(ctx, "gemm.tile.buffers", 1);
    size_t local = 4 * buffers * step * (gx * tn + gy * tm + 8);
    const struct device *d = &ctx->device;
    return device_allows_group(d, gx, gy, 1) && tn * tm <= OUTPUTS_AT_MOST && local <= d->local_memory;
}

/* The tile of the parameters; or small tiles, where the device cannot have that one, or whose work-groups split the columns of k, where too
 * few large ones would fill the device. */
bool gemm_tile_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct gemm_call *c = call;
    int m = c->g->m, n = c->w->n;
    int gx = params_int(ctx, "gemm.tile.gx", 16), gy = params_int(ctx, "gemm.tile.gy", 16), slices = 1;
    int tn = params_int(ctx, "gemm.tile.tn", 4), tm = params_int(ctx, "gemm.tile.tm", 4);
    int step = params_int(ctx, "gemm.tile.step", 16), buffers = params_int(ctx, "gemm.tile.buffers", 1) > 1 ? 2 : 1;
    int64_t below = (int64_t)params_int(ctx, "gemm.split.below", 100) * ctx->device.compute_units / 100;
    test_with_weights(v, c->w, SELFTEST_MANY);
    v->test.params[2].key = "gemm.split.below";
    v->test.params[2].value = "0";
    if ((int64_t)tiles(n, gx * tn) * tiles(m, gy * tm) < below || !gemm_tile_fits(ctx)) {
        slices = MIN(params_int(ctx, "gemm.split.slices", 4), (int)MAX(ctx->device.max_work_group / 64, (size_t)1));
        gx = gy = 8;
        tn = tm = 4;
        step = 16;
        buffers = 1;
        v->test.params[2].value = "1000000";
    }
    bool vector = step % 4 == 0 && reads_vectors(c->g);
    v->test.k = vector ? VECTOR_COLUMNS : 0;
    v->program = "gemm";
    v->kernel = "gemm_tile";
    snprintf(v->options, sizeof v->options,
             "-DTILE -DW_F16=%d -DVECTOR=%d -DGX=%d -DGY=%d -DTN=%d -DTM=%d -DSTEP=%d -DBUFFERS=%d -DSLICES=%d",
             c->w->data.dtype == DTYPE_F16, vector, gx, gy, tn, tm, step, buffers, slices);
    v->grid = GRID3((size_t)tiles(n, gx * tn) * (size_t)gx, (size_t)tiles(m, gy * tm) * (size_t)gy, slices, gx, gy, slices);
    return (m > FEW_ROWS) == (attempt == 0);
}

clio_status gemm_reads(clio_context *ctx, const struct matrix *w, int m, bool *works)
{
    struct gemm_args g = {.m = m, .n = w->n, .k = w->k, .lda = w->k};
    struct kernel_variant v;
    return family_find(ctx, "gemm", w, &(struct gemm_call){.w = w, .g = &g}, &v, works);
}

static struct gemm_args make_args(const struct matrix *w, int m, const struct gemm_epilogue *e)
{
    struct gemm_args g = {.m = m, .n = w->n, .k = w->k, .lda = w->k, .ldc = w->n, .alpha = 1};
    if (e) {
        g.lda = e->lda ? e->lda : g.lda;
        g.ldc = e->ldc ? e->ldc : g.ldc;
        g.a_offset = e->a_offset;
        g.c_offset = e->c_offset;
        g.act = e->act;
        g.alpha = e->alpha != 0 ? e->alpha : 1;
        g.slope = e->slope;
        g.has_bias = e->bias != NULL;
        g.has_residual = e->residual != NULL;
    }
    g.ldr = g.ldc; /* the residual has the shape of out: often it is out */
    g.r_offset = g.c_offset;
    return g;
}

static bool holds(const struct tensor *t, size_t count)
{
    return t->dtype == DTYPE_F32 && tensor_count(t) >= count;
}

static clio_status check_shapes(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct gemm_args *g,
                                const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    char text_a[96], text_out[96];
    size_t last_a = (size_t)g->a_offset + (size_t)(g->m - 1) * (size_t)g->lda + (size_t)g->k;
    size_t last_c = (size_t)g->c_offset + (size_t)(g->m - 1) * (size_t)g->ldc + (size_t)g->n;
    if (g->m < 1 || !holds(a, last_a) || !holds(out, last_c))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gemm %d x %d x %d from %s into %s", g->m, g->n, g->k, tensor_describe(a, text_a),
             tensor_describe(out, text_out));
    if (g->has_bias && !holds(e->bias, (size_t)g->n))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gemm %d x %d x %d with a bias %s", g->m, g->n, g->k, tensor_describe(e->bias, text_a));
    if (g->has_residual && !holds(e->residual, last_c))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gemm %d x %d x %d into %s with a residual %s", g->m, g->n, g->k, tensor_describe(out, text_out),
             tensor_describe(e->residual, text_a));
fail:
    return st;
}

/* CLBlast has one kernel for small matrices and another for large ones: each is tested, near the first shape that asks for it. */
static void test_clblast(struct kernel_variant *v, int m, int n, int k, int batch, bool transposed)
{
    bool large = (double)m * n * k >= 0x1p24;
    int side = large ? 259 : 131; /* batched: large enough for op_matmul_fwd to use CLBlast */
    snprintf(v->options, sizeof v->options, "%s%s%s", large ? "large" : "small", batch ? ", batched" : "",
             batch && transposed ? ", transposed" : "");
    v->test = (struct selftest){.family = "gemm.clblast",
                                .variant = v->options,
                                .params = {{"gemm.many.family", "clblast"}},
                                .m = batch ? side : MIN(m, 1031),
                                .n = batch ? side + 2 : MIN(n, 1031),
                                .k = batch ? side - 4 : MIN(k, 1031),
                                .batch = MIN(batch, 2),
                                .transposed = transposed};
}

bool gemm_clblast_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct gemm_call *c = call;
    test_clblast(v, c->g->m, c->g->n, c->g->k, 0, true);
    return attempt == 0 && c->library && c->g->m > FEW_ROWS && params_is(ctx, "gemm.many.family", "clblast");
}

static clio_status gemm_clblast(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct matrix *w,
                                const struct gemm_args *g, const struct tensor *bias, const struct tensor *residual)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    struct blas_gemm b = {.m = g->m,
                          .n = g->n,
                          .k = g->k,
                          .lda = g->lda,
                          .ldb = g->k,
                          .ldc = g->ldc,
                          .a_offset = (size_t)g->a_offset,
                          .c_offset = (size_t)g->c_offset,
                          .batch = 1,
                          .transpose_b = true};
    TRY(blas_gemm(ctx, out, a, &w->data, &b));
    if (g->has_bias || g->has_residual || g->act != ACT_NONE || g->alpha < 1 || g->alpha > 1) {
        TRY(kernel_get(ctx, "gemm", "gemm_epilogue", "", &k));
        TRY(LAUNCH(ctx, k, GRID2(g->n, g->m, 64, 1), COST(2.0 * g->m * g->n, 8.0 * g->m * g->n), ARG_TENSOR(out), ARG_TENSOR(bias),
                   ARG_TENSOR(residual), ARG_VALUE(*g)));
    }
fail:
    return st;
}

clio_status gemm_run(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct matrix *w, int m,
                     const struct gemm_epilogue *epilogue, const struct matmul_call *record)
{
    clio_status st = CLIO_OK;
    struct gemm_args g = make_args(w, m, epilogue);
    const struct tensor *bias = g.has_bias ? epilogue->bias : out, *residual = g.has_residual ? epilogue->residual : out;
    struct cost cost = COST(2.0 * m * g.n * g.k, 4.0 * m * (g.n + g.k) + (double)dtype_size(w->data.dtype) * g.n * g.k);
    struct kernel *k;
    struct kernel_variant v;
    TRY(check_shapes(ctx, out, a, &g, epilogue));
    TRY(matmul_record(ctx, record, out, a, w, epilogue));
    /* CLBlast would overwrite a residual in place before it is read, and it takes no overlapping rows. */
    bool own = (g.has_residual && residual->mem == out->mem) || g.lda < g.k;
    TRY(family_choose(ctx, "gemm", w, &(struct gemm_call){.w = w, .g = &g, .library = !own}, &v));
    if (!v.kernel)
        return gemm_clblast(ctx, out, a, w, &g, bias, residual);
    TRY(kernel_get(ctx, v.program, v.kernel, v.options, &k));
    struct arg args[] = {ARG_TENSOR(out),      ARG_TENSOR(a), ARG_TENSOR(&w->data), ARG_TENSOR(bias),
                         ARG_TENSOR(residual), ARG_VALUE(g),  ARG_LOCAL(v.local)};
    TRY(launch(ctx, k, v.grid, cost, args, v.local ? COUNT(args) : COUNT(args) - 1));
fail:
    return st;
}

static clio_status matmul_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct gemm_args *g = (const void *)r->args;
    struct tensor da, db, dy = tape_given(tape, r, 0), a = tape_value(tape, r, 1), b = tape_value(tape, r, 2);
    bool wants_a = tape_wants(tape, r, 1), wants_b = tape_wants(tape, r, 2), add_a = false, add_b = false;
    if (wants_a)
        TRY(tape_grad(ctx, tape, r, 1, &da, &add_a));
    if (wants_b)
        TRY(tape_grad(ctx, tape, r, 2, &db, &add_b));
    TRY(op_matmul_bwd(ctx, &tape->arena, wants_a ? &da : NULL, wants_b ? &db : NULL, &dy, &a, &b, g->act, add_a, add_b));
fail:
    return st;
}

clio_status op_matmul_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, bool transpose_b)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    size_t side;
    int batch = a->dim[0], m = a->dim[1], kk = a->dim[2], n = transpose_b ? b->dim[1] : b->dim[2];
    struct gemm_args g = {.m = m, .n = n, .k = kk, .act = transpose_b};
    TRY(op_check(ctx, "matmul", "a", a, DTYPE_F32, 3, -1, -1, -1, 0));
    TRY(op_check(ctx, "matmul", "b", b, DTYPE_F32, 3, batch, transpose_b ? n : kk, transpose_b ? kk : n, 0));
    TRY(op_check(ctx, "matmul", "out", out, DTYPE_F32, 3, batch, m, n, 0));
    if (ctx->tape) {
        struct tape_record r = {.op = "matmul", .backward = matmul_backward, .t = {*out, *a, *b}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, &g, sizeof g));
    }
    bool library = (double)m * n * kk > 1e6 && !ctx->device.is_cpu;
    if (library) {
        struct kernel_variant v;
        test_clblast(&v, m, n, kk, batch, transpose_b);
        TRY(selftest_passes(ctx, &v.test, &library));
    }
    if (library) {
        struct blas_gemm blas = {.m = m,
                                 .n = n,
                                 .k = kk,
                                 .lda = kk,
                                 .ldb = transpose_b ? kk : n,
                                 .ldc = n,
                                 .batch = batch,
                                 .a_step = (size_t)m * (size_t)kk,
                                 .b_step = (size_t)n * (size_t)kk,
                                 .c_step = (size_t)m * (size_t)n,
                                 .transpose_b = transpose_b};
        return blas_gemm(ctx, out, a, b, &blas);
    }
    TRY(kernel_get_square(ctx, "matmul", "matmul", "", &k, &side));
    TRY(LAUNCH(ctx, k, GRID3(n, m, batch, side, side, 1), COST(2.0 * batch * m * n * kk, 4.0 * batch * (m * kk + n * kk + m * n)),
               ARG_TENSOR(out), ARG_TENSOR(a), ARG_TENSOR(b), ARG_VALUE(g)));
fail:
    return st;
}
