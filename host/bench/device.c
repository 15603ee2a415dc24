/* device.c - the peak rates of a device: what operations are measured against. Kernels: cl/peak.cl. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#define COPIED ((uint64_t)64 << 20)      /* bytes of a copy, beyond every cache that clio has met */
#define TRANSFERRED ((uint64_t)16 << 20) /* bytes between host and device */
#define LAUNCHES 50

static const char group[] = "device";

struct peak {
    struct kernel *kernel;
    struct tensor a, b;
    int steps;
    struct grid grid;
    float *host;
};

static clio_status run_steps(clio_context *ctx, void *what)
{
    const struct peak *p = what;
    return LAUNCH(ctx, p->kernel, p->grid, COST(0, 0), ARG_TENSOR(&p->a), ARG_VALUE(p->steps));
}

static clio_status run_copy(clio_context *ctx, void *what)
{
    const struct peak *p = what;
    return LAUNCH(ctx, p->kernel, p->grid, COST(0, 0), ARG_TENSOR(&p->a), ARG_TENSOR(&p->b));
}

static clio_status run_nothing(clio_context *ctx, void *what)
{
    const struct peak *p = what;
    return LAUNCH(ctx, p->kernel, p->grid, COST(0, 0), ARG_TENSOR(&p->a));
}

static clio_status run_many(clio_context *ctx, void *what)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < LAUNCHES; i++)
        TRY(run_nothing(ctx, what));
fail:
    return st;
}

static clio_status run_one_and_wait(clio_context *ctx, void *what)
{
    clio_status st = CLIO_OK;
    TRY(run_nothing(ctx, what));
    TRY(launch_wait(ctx));
fail:
    return st;
}

static clio_status run_write(clio_context *ctx, void *what)
{
    const struct peak *p = what;
    return tensor_write(ctx, &p->a, 0, tensor_count(&p->a), p->host);
}

static clio_status run_read(clio_context *ctx, void *what)
{
    const struct peak *p = what;
    return tensor_read(ctx, &p->a, 0, tensor_count(&p->a), p->host);
}

/* Multiply-adds: as many work-items as keep every lane busy. */
static clio_status fma_row(struct bench *b, struct bench_row *row, bool half)
{
    clio_status st = CLIO_OK;
    const struct device *d = &b->ctx->device;
    bool cpu = d->simd_width > 1;
    int lanes = cpu ? 16 : 4;
    size_t items = cpu ? (size_t)d->compute_units * 16 : (size_t)d->compute_units * 2048;
    struct peak p = {.steps = 2000, .grid = GRID1(items, cpu ? 1 : 64)};
    char options[40];
    snprintf(options, sizeof options, "-DLANES=%d%s", lanes, half ? " -DHALF" : "");
    row->flops = (double)items * p.steps * 12 * lanes * 2;
    TRY(kernel_get(b->ctx, "peak", "peak_fma", options, &p.kernel));
    TRY(bench_tensor(b->ctx, &p.a, tensor_shape(DTYPE_F32, 1, (int)items * lanes, 0, 0, 0)));
    TRY(bench_time(b, row, run_steps, &p));
fail:
    tensor_free(b->ctx, &p.a);
    return st;
}

static clio_status bench_fma(struct bench *b, bool half)
{
    clio_status st = CLIO_OK;
    struct bench_row row = bench_row(group, half ? "multiply-add f16" : "multiply-add f32", "in registers");
    if ((half && !b->ctx->device.has_fp16) || !bench_wants(b, group, row.name, row.shape))
        return CLIO_OK;
    TRY(bench_add(b, &row, fma_row(b, &row, half)));
    if (!half && row.median > 0)
        b->peak_flops = MAX(b->peak_flops, row.flops / row.least);
fail:
    return st;
}

static clio_status copy_row(struct bench *b, struct bench_row *row)
{
    clio_status st = CLIO_OK;
    struct peak p = {.host = NULL};
    int count = (int)(MIN(COPIED, b->ctx->device.max_allocation / 2) / 64) * 16;
    p.grid = GRID1(count / 16, 64);
    row->bytes = 8.0 * count;
    TRY(kernel_get(b->ctx, "peak", "peak_copy", "", &p.kernel));
    TRY(bench_tensor(b->ctx, &p.a, tensor_shape(DTYPE_F32, 1, count, 0, 0, 0)));
    TRY(bench_tensor(b->ctx, &p.b, tensor_shape(DTYPE_F32, 1, count, 0, 0, 0)));
    TRY(bench_time(b, row, run_copy, &p));
fail:
    tensor_free(b->ctx, &p.a);
    tensor_free(b->ctx, &p.b);
    return st;
}

static clio_status bench_copy(struct bench *b)
{
    clio_status st = CLIO_OK;
    struct bench_row row = bench_row(group, "copy", "global memory");
    if (!bench_wants(b, group, row.name, row.shape))
        return CLIO_OK;
    TRY(bench_add(b, &row, copy_row(b, &row)));
    if (row.median > 0)
        b->peak_bytes = MAX(b->peak_bytes, row.bytes / row.least);
fail:
    return st;
}

static clio_status bench_local(struct bench *b)
{
    clio_status st = CLIO_OK;
    struct bench_row row = bench_row(group, "read", "local memory");
    size_t items = (size_t)b->ctx->device.compute_units * 1024;
    struct peak p = {.steps = 500, .grid = GRID1(items, 64)};
    if (!bench_wants(b, group, row.name, row.shape))
        return CLIO_OK;
    row.bytes = (double)items * p.steps * 4 * 16;
    st = bench_tensor(b->ctx, &p.a, tensor_shape(DTYPE_F32, 1, (int)items * 4, 0, 0, 0));
    st = st ? st : kernel_get(b->ctx, "peak", "peak_local", "", &p.kernel);
    st = st ? st : bench_time(b, &row, run_steps, &p);
    st = bench_add(b, &row, st);
    tensor_free(b->ctx, &p.a);
    return st;
}

static clio_status bench_launches(struct bench *b)
{
    clio_status st = CLIO_OK;
    struct bench_row many = bench_row(group, "launch", "in a row"), one = bench_row(group, "launch", "and wait");
    struct peak p = {.grid = GRID1(64, 64)};
    bool wants_many = bench_wants(b, group, many.name, many.shape), wants_one = bench_wants(b, group, one.name, one.shape);
    if (!wants_many && !wants_one)
        return CLIO_OK;
    TRY(bench_tensor(b->ctx, &p.a, tensor_shape(DTYPE_F32, 1, 64, 0, 0, 0)));
    TRY(kernel_get(b->ctx, "peak", "peak_nothing", "", &p.kernel));
    many.items = LAUNCHES;
    many.item = "launches";
    one.items = 1;
    one.item = "launches";
    if (wants_many)
        TRY(bench_measure(b, &many, run_many, &p));
    if (wants_one)
        TRY(bench_measure(b, &one, run_one_and_wait, &p));
fail:
    tensor_free(b->ctx, &p.a);
    return st;
}

static clio_status bench_transfers(struct bench *b)
{
    clio_status st = CLIO_OK;
    struct bench_row to = bench_row(group, "transfer", "host to device"), from = bench_row(group, "transfer", "device to host");
    struct peak p = {.steps = 0};
    int count = (int)(TRANSFERRED / 4);
    bool wants_to = bench_wants(b, group, to.name, to.shape), wants_from = bench_wants(b, group, from.name, from.shape);
    if (!wants_to && !wants_from)
        return CLIO_OK;
    to.bytes = from.bytes = (double)TRANSFERRED;
    TRY(mem_alloc(b->ctx, &p.host, (size_t)count, sizeof *p.host));
    TRY(bench_tensor(b->ctx, &p.a, tensor_shape(DTYPE_F32, 1, count, 0, 0, 0)));
    if (wants_to)
        TRY(bench_measure(b, &to, run_write, &p));
    if (wants_from)
        TRY(bench_measure(b, &from, run_read, &p));
fail:
    tensor_free(b->ctx, &p.a);
    free(p.host);
    return st;
}

clio_status bench_device(struct bench *b)
{
    clio_status st = CLIO_OK;
    TRY(bench_fma(b, false));
    TRY(bench_fma(b, true));
    TRY(bench_copy(b));
    TRY(bench_local(b));
    TRY(bench_launches(b));
    TRY(bench_transfers(b));
fail:
    return st;
}

clio_status bench_device_again(struct bench *b)
{
    clio_status st = CLIO_OK;
    struct bench_row row = bench_row(group, "multiply-add f32", "in registers");
    if (b->counts || b->peak_flops <= 0)
        return CLIO_OK;
    TRY(fma_row(b, &row, false));
    b->drift = row.flops / row.least / b->peak_flops;
fail:
    return st;
}
