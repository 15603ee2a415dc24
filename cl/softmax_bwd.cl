/* softmax_bwd.cl - the gradient of softmax over the last dimension, from its result y: dx = y (dy - sum dy y); with -DLOGARITHM=1 that of
 * its logarithm: dx = dy - exp(y) sum dy. Two families, as cl/softmax.cl. */
// isa: -DITEMS={softmax.items}
// isa: -DLOGARITHM=1
// isa: -DITEMS=256
// isa-cpu: -DROW=1
// isa-cpu: -DROW=1 -DLOGARITHM=1
#include "common.clh"

#ifndef ITEMS
#define ITEMS 128 /* work-items per row: a power of two */
#endif
#include "reduce.clh"

/* What dy adds to the sum, and what dx is. */
#ifdef LOGARITHM
#define TERM(dy, y) (dy)
#define RESULT(dy, y, sum) ((dy)-exp(y) * (sum))
#else
#define TERM(dy, y) ((dy) * (y))
#define RESULT(dy, y, sum) ((y) * ((dy) - (sum)))
#endif

#ifdef ROW

/* Work-item: row get_global_id(0) of [rows, n]. Group of 1, no local memory, any n. dx may be dy or y. */
VECTOR_KERNEL void softmax_bwd(__global float *dx, __global const float *dy, __global const float *y, int add, struct norm_args args)
{
    int row = get_global_id(0), n = args.n, whole = n & ~15, c;
    float16 lanes = (float16)(0.0f);
    float sum = 0.0f;
    if (row >= args.rows)
        return;
    dx += (size_t)row * n;
    dy += (size_t)row * n;
    y += (size_t)row * n;
    for (c = 0; c < whole; c += 16)
        lanes += TERM(vload16(0, dy + c), vload16(0, y + c));
    for (; c < n; c++)
        sum += TERM(dy[c], y[c]);
    sum += sum16(lanes);
    for (c = 0; c < whole; c += 16) {
        float16 g = RESULT(vload16(0, dy + c), vload16(0, y + c), sum);
        vstore16(add ? g + vload16(0, dx + c) : g, 0, dx + c);
    }
    for (; c < n; c++) {
        float g = RESULT(dy[c], y[c], sum);
        dx[c] = add ? dx[c] + g : g;
    }
}

#else

/* Work-group: row get_group_id(0) of [rows, n]; work-item i takes columns i, i + ITEMS, ... and no other item's, so dx may be dy or y.
 * Local memory: ITEMS floats. Any n. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void softmax_bwd(__global float *dx, __global const float *dy,
                                                                             __global const float *y, int add, struct norm_args args)
{
    __local float part[ITEMS];
    int row = get_group_id(0), item = get_local_id(0), n = args.n;
    float sum = 0.0f;
    dx += (size_t)row * n;
    dy += (size_t)row * n;
    y += (size_t)row * n;
    for (int c = item; c < n; c += ITEMS)
        sum += TERM(dy[c], y[c]);
    sum = group_sum(sum, part);
    for (int c = item; c < n; c += ITEMS) {
        float g = RESULT(dy[c], y[c], sum);
        dx[c] = add ? dx[c] + g : g;
    }
}

#endif
