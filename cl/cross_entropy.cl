/* cross_entropy.cl - the mean of -sum_n q[n] log softmax(x)[n] over the rows that count, q = (1 - smoothing) one-hot + smoothing / n, and its
 * gradient (softmax(x) - q) / count, for which maximum and sum of each row are computed again. With m the row's maximum:
 *     log sum exp(x - m) + (1 - smoothing) (m - x[target]) + smoothing / n sum (m - x)
 * A target that is neither `ignore` nor a column gives NaN, which is seen where another number would not be. Families as of softmax.cl:
 *   -DROW=1     one work-item walks a row with float16 vectors; for CPUs
 *   default     one work-group of ITEMS shares a row; for GPUs */
// isa: -DITEMS={softmax.items}
// isa-cpu: -DROW=1
#include "common.clh"

#ifndef ITEMS
#define ITEMS 128 /* work-items per row: a power of two */
#endif
#include "reduce.clh"

#ifdef ROW
#define GROUP __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(float16)))
#else
#define GROUP __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
#endif

#ifdef ROW
/* exp(x) of x <= 0 */
float16 exp_negative(float16 x)
{
    return exp2_negative(x * 1.44269504088896341f);
}

/* Of a row: its maximum, the sum of exp(x - m), and with `all` the sum of x - m. */
float3 row_sums(const __global float *x, int n, bool all)
{
    float16 lanes = (float16)(-INFINITY), more = (float16)(0.0f);
    float m = -INFINITY, sum = 0.0f, differences = 0.0f;
    int whole = n & ~15, c;
    for (c = 0; c < whole; c += 16)
        lanes = fmax(lanes, vload16(0, x + c));
    for (; c < n; c++)
        m = fmax(m, x[c]);
    m = fmax(m, max16(lanes));
    lanes = (float16)(0.0f);
    for (c = 0; c < whole; c += 16) {
        float16 d = vload16(0, x + c) - m;
        lanes += exp_negative(d);
        if (all)
            more += d;
    }
    for (; c < n; c++) {
        sum += exp(x[c] - m);
        if (all)
            differences += x[c] - m;
    }
    return (float3)(m, sum + sum16(lanes), differences + sum16(more));
}
#else
float3 row_sums(const __global float *x, int n, bool all, __local float *part)
{
    float m = -INFINITY, sum = 0.0f, differences = 0.0f;
    for (int c = get_local_id(0); c < n; c += ITEMS)
        m = fmax(m, x[c]);
    m = group_max(m, part);
    for (int c = get_local_id(0); c < n; c += ITEMS) {
        sum += exp(x[c] - m);
        if (all)
            differences += x[c] - m;
    }
    sum = group_sum(sum, part);
    return (float3)(m, sum, all ? group_sum(differences, part) : 0.0f);
}
#endif

/* losses[row] = the loss of a row, 0 where it does not count. Work-item or work-group: row of x [rows, n]. Any n. */
__kernel GROUP void cross_entropy_rows(__global float *losses, __global const float *x, __global const int *targets,
                                       struct cross_entropy_args args)
{
#ifndef ROW
    __local float part[ITEMS];
#endif
    int row = get_group_id(0), n = args.n, target = targets[row];
    float loss = 0.0f;
    x += (size_t)row * n;
    if (target != args.ignore) { /* the same for all work-items of a group */
#ifdef ROW
        float3 of = row_sums(x, n, args.smoothing > 0.0f);
#else
        float3 of = row_sums(x, n, args.smoothing > 0.0f, part);
#endif
        loss = target >= 0 && target < n ? log(of.y) + (1.0f - args.smoothing) * (of.x - x[target]) : NAN;
        loss -= args.smoothing > 0.0f ? args.smoothing / n * of.z : 0.0f; /* not 0 times infinity */
    }
    if (get_local_id(0) == 0)
        losses[row] = loss;
}

/* out[0] = sum / rows that count: the sum of losses, or, where there are none, dloss[0]; 0 when no row counts. One work-group. */
__kernel GROUP void cross_entropy_mean(__global float *out, __global const float *losses, int has_losses, __global const int *targets,
                                       struct cross_entropy_args args)
{
    float sum = 0.0f, count = 0.0f; /* fewer than 2^24 in each work-item */
#ifdef ROW
    for (int i = 0; i < args.rows; i++) {
#else
    __local float part[ITEMS];
    for (int i = get_local_id(0); i < args.rows; i += ITEMS) {
#endif
        count += targets[i] != args.ignore ? 1.0f : 0.0f;
        sum += has_losses ? losses[i] : 0.0f;
    }
#ifndef ROW
    count = group_sum(count, part);
    sum = group_sum(sum, part);
    if (get_local_id(0))
        return;
#endif
    sum = has_losses ? sum : losses[0];
    out[0] = count > 0.0f ? sum / count : 0.0f;
}

/* dx (+)= scale[0] (softmax(x) - q), 0 for rows that do not count. Work-item or work-group: row of x [rows, n]. Any n. */
__kernel GROUP void cross_entropy_bwd(__global float *dx, __global const float *scale, __global const float *x, __global const int *targets,
                                      int to_x, struct cross_entropy_args args)
{
    int row = get_group_id(0), n = args.n, target = targets[row];
    bool counts = target != args.ignore, add = to_x == GRADIENT_ADD;
    float d = scale[0], rest = d * args.smoothing / n, by = 0.0f;
    float3 of = (float3)(0.0f);
    x += (size_t)row * n;
    dx += (size_t)row * n;
    if (!counts && add)
        return;
#ifdef ROW
    int c = 0;
    if (counts)
        of = row_sums(x, n, false);
    by = d / of.y;
    for (; c + 16 <= n; c += 16) {
        float16 g = counts ? by * exp_negative(vload16(0, x + c) - of.x) - rest : (float16)(0.0f);
        vstore16(add ? vload16(0, dx + c) + g : g, 0, dx + c);
    }
    for (; c < n; c++) {
#else
    __local float part[ITEMS];
    if (counts)
        of = row_sums(x, n, false, part);
    by = d / of.y;
    for (int c = get_local_id(0); c < n; c += ITEMS) {
#endif
        float g = counts ? by * exp(x[c] - of.x) - rest : 0.0f;
        dx[c] = add ? dx[c] + g : g;
    }
    if (!counts)
        return;
#ifdef ROW
    if (target >= 0 && target < n)
        dx[target] -= d * (1.0f - args.smoothing);
    else
        dx[0] = NAN;
#else
    if (target < 0 || target >= n)
        target = -1;
    int at = max(target, 0);
    if (at % ITEMS == (int)get_local_id(0)) /* who wrote it */
        dx[at] = target < 0 ? NAN : dx[at] - d * (1.0f - args.smoothing);
#endif
}
