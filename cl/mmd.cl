/* mmd.cl - maximum mean discrepancy of the rows of x [m, d] and y [n, d], squared (Gretton et al. 2012), and its gradient. With z the rows of
 * both, k the sum of kernels and s the weights 1 / (m (m - 1)) of pairs within x (1 / m^2 when biased), likewise within y, and -1 / (m n)
 * across,
 *     MMD^2 = sum_ij s_ij k(|z_i - z_j|^2)        dz_i = 4 sum_j s_ij k'(|z_i - z_j|^2) (z_i - z_j)
 * where i = j counts in the biased estimate alone. Squared distances and gradients are made of differences, twice the work of
 * |x|^2 + |y|^2 - 2 x y: that form has no digits left for rows that are close together and far from zero. Two families:
 *   -DROW=1     float16 vectors and blocks that stay in a core's cache; for CPUs
 *   default     work-groups; for GPUs
 * args.bandwidths are, for MMD_RBF, 1 / (2 s^2). */
// isa: -DITEMS={norm.items} -DSIDE={16,8}
// isa-cpu: -DROW=1
#include "common.clh"

#ifndef ITEMS
#define ITEMS 128 /* work-items per row of the matrix of distances: a power of two */
#endif
#include "reduce.clh"

#ifdef ROW
#define GROUP __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(float16)))
#else
#define GROUP __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
#endif

/* Row r of z; of one behind the last, the last. */
const __global float *row_of(const __global float *x, const __global float *y, int r, const struct mmd_args *a)
{
    r = min(r, a->m + a->n - 1);
    return r < a->m ? x + (size_t)r * a->d : y + (size_t)(r - a->m) * a->d;
}

#ifdef ROW

#define BLOCK 16  /* rows and columns of the matrix of distances of a work-item */
#define TILE 4    /* of a register tile */
#define DEPTH 512 /* columns of z at a time: 32 rows of them are 64 KiB */

/* distances [m + n, m + n], both halves. Work-item: BLOCK x BLOCK of them, of which those below the diagonal do nothing. Grid: blocks of
 * columns, of rows. Group of 1. */
VECTOR_KERNEL void mmd_distances(__global float *distances, __global const float *x, __global const float *y, struct mmd_args a)
{
    int rows = a.m + a.n, j0 = get_global_id(0) * BLOCK, i0 = get_global_id(1) * BLOCK;
    float sums[BLOCK][BLOCK];
    if (j0 < i0)
        return;
    for (int i = 0; i < BLOCK; i++)
        for (int j = 0; j < BLOCK; j++)
            sums[i][j] = 0.0f;
    for (int c0 = 0; c0 < a.d; c0 += DEPTH) {
        int end = min(c0 + DEPTH, a.d), whole = c0 + ((end - c0) & ~15);
        for (int it = 0; it < BLOCK; it += TILE)
            for (int jt = 0; jt < BLOCK; jt += TILE) {
                const __global float *p[TILE], *q[TILE];
                float16 lanes[TILE * TILE];
                for (int t = 0; t < TILE; t++) {
                    p[t] = row_of(x, y, i0 + it + t, &a);
                    q[t] = row_of(x, y, j0 + jt + t, &a);
                }
#pragma unroll
                for (int t = 0; t < TILE * TILE; t++)
                    lanes[t] = (float16)(0.0f);
                for (int c = c0; c < whole; c += 16) {
                    float16 u[TILE];
#pragma unroll
                    for (int t = 0; t < TILE; t++)
                        u[t] = vload16(0, p[t] + c);
#pragma unroll
                    for (int j = 0; j < TILE; j++) {
                        float16 v = vload16(0, q[j] + c);
#pragma unroll
                        for (int i = 0; i < TILE; i++) {
                            float16 e = u[i] - v;
                            lanes[i * TILE + j] = MAD(e, e, lanes[i * TILE + j]);
                        }
                    }
                }
#pragma unroll
                for (int t = 0; t < TILE * TILE; t++) {
                    float sum = sum16(lanes[t]);
                    for (int c = whole; c < end; c++)
                        sum += (p[t / TILE][c] - q[t % TILE][c]) * (p[t / TILE][c] - q[t % TILE][c]);
                    sums[it + t / TILE][jt + t % TILE] += sum;
                }
            }
    }
    for (int i = i0; i < min(i0 + BLOCK, rows); i++)
        for (int j = j0; j < min(j0 + BLOCK, rows); j++) {
            distances[(size_t)i * rows + j] = sums[i - i0][j - j0];
            distances[(size_t)j * rows + i] = sums[i - i0][j - j0];
        }
}

#else

#ifndef SIDE
#define SIDE 16 /* work-items of a group along rows and columns, with 2 x 2 distances each */
#endif
#define BLOCK (2 * SIDE)

/* distances [m + n, m + n], both halves. Work-group: BLOCK x BLOCK of them, of which those below the diagonal do nothing; columns of z are
 * brought into local memory SIDE at a time. Grid: columns, rows; group SIDE x SIDE. */
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void mmd_distances(__global float *distances, __global const float *x,
                                                                                 __global const float *y, struct mmd_args a)
{
    __local float p[BLOCK][SIDE + 1], q[BLOCK][SIDE + 1];
    int rows = a.m + a.n, s = get_local_id(0), t = get_local_id(1), j0 = get_group_id(0) * BLOCK, i0 = get_group_id(1) * BLOCK;
    float s00 = 0.0f, s01 = 0.0f, s10 = 0.0f, s11 = 0.0f;
    if (j0 < i0)
        return;
    const __global float *p0 = row_of(x, y, i0 + t, &a), *p1 = row_of(x, y, i0 + SIDE + t, &a);
    const __global float *q0 = row_of(x, y, j0 + t, &a), *q1 = row_of(x, y, j0 + SIDE + t, &a);
    for (int c = s; c - s < a.d; c += SIDE) {
        p[t][s] = c < a.d ? p0[c] : 0.0f;
        p[t + SIDE][s] = c < a.d ? p1[c] : 0.0f;
        q[t][s] = c < a.d ? q0[c] : 0.0f;
        q[t + SIDE][s] = c < a.d ? q1[c] : 0.0f;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < SIDE; k++) {
            float u0 = p[t][k], u1 = p[t + SIDE][k], v0 = q[s][k], v1 = q[s + SIDE][k];
            s00 = MAD(u0 - v0, u0 - v0, s00);
            s01 = MAD(u0 - v1, u0 - v1, s01);
            s10 = MAD(u1 - v0, u1 - v0, s10);
            s11 = MAD(u1 - v1, u1 - v1, s11);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int k = 0; k < 4; k++) {
        int i = i0 + t + (k / 2) * SIDE, j = j0 + s + (k % 2) * SIDE;
        float sum = k == 0 ? s00 : k == 1 ? s01 : k == 2 ? s10 : s11;
        if (i < rows && j < rows && i <= j) { /* on the diagonal's blocks each is written once */
            distances[(size_t)i * rows + j] = sum;
            distances[(size_t)j * rows + i] = sum;
        }
    }
}

#endif

/* ---- kernels ---- */

float exp_minus_v1(float x)
{
    return exp(-x);
}

/* x^y of x >= 1, y < 0 */
float power_v1(float x, float y)
{
    return exp2(y * log2(x));
}

#ifdef ROW
float16 exp_minus_v16(float16 x)
{
    return exp2_negative(x * -1.44269504088896341f);
}

float16 power_v16(float16 x, float y)
{
    return exp2_negative(y * log2(x));
}
#endif

/* A kernel at squared distance x, or its derivative; and their sum. Written out: an index into a kernel's argument that is not a constant is
 * more than some compilers take. */
#define ADD_KERNEL(V, b)                                                                                                                   \
    if (b < a->count)                                                                                                                      \
        sum += kernel_##V(x, a->bandwidths[b], a->form, derivative);
#define DEFINE_KERNELS(TYPE, V)                                                                                                            \
    TYPE kernel_##V(TYPE x, float w, int form, bool derivative)                                                                            \
    {                                                                                                                                      \
        if (form == MMD_RBF)                                                                                                               \
            return (derivative ? -w : 1.0f) * exp_minus_##V(w * x);                                                                        \
        return (derivative ? -0.5f : 1.0f) * power_##V(1.0f + x / (2.0f * w), derivative ? -w - 1.0f : -w);                                \
    }                                                                                                                                      \
                                                                                                                                           \
    TYPE kernels_##V(TYPE x, const struct mmd_args *a, bool derivative)                                                                    \
    {                                                                                                                                      \
        TYPE sum = 0.0f;                                                                                                                   \
        ADD_KERNEL(V, 0)                                                                                                                   \
        ADD_KERNEL(V, 1)                                                                                                                   \
        ADD_KERNEL(V, 2)                                                                                                                   \
        ADD_KERNEL(V, 3)                                                                                                                   \
        ADD_KERNEL(V, 4)                                                                                                                   \
        ADD_KERNEL(V, 5)                                                                                                                   \
        ADD_KERNEL(V, 6)                                                                                                                   \
        ADD_KERNEL(V, 7)                                                                                                                   \
        return sum;                                                                                                                        \
    }
DEFINE_KERNELS(float, v1)
#ifdef ROW
DEFINE_KERNELS(float16, v16)
#endif

/* The weight of pairs of row i with columns of x (0) or of y (1). */
float pair_weight(int i, int column, const struct mmd_args *a)
{
    float m = a->m, n = a->n;
    if (column == (i >= a->m))
        return column ? 1.0f / (n * (a->unbiased ? n - 1.0f : n)) : 1.0f / (m * (a->unbiased ? m - 1.0f : m));
    return -1.0f / (m * n);
}

/* parts[i] = sum_j s_ij k(distance_ij). Work-item or work-group: row of distances. */
__kernel GROUP void mmd_rows(__global float *parts, __global const float *distances, struct mmd_args a)
{
    int row = get_group_id(0), rows = a.m + a.n;
    float sum = 0.0f;
    distances += (size_t)row * rows;
#ifndef ROW
    __local float part[ITEMS];
#endif
    for (int column = 0; column < 2; column++) {
        int j = column ? a.m : 0, end = column ? rows : a.m;
        float within = 0.0f;
#ifdef ROW
        float16 lanes = (float16)(0.0f);
        for (; j + 16 <= end; j += 16)
            lanes += kernels_v16(vload16(0, distances + j), &a, false);
        for (; j < end; j++)
            within += kernels_v1(distances[j], &a, false);
        within += sum16(lanes);
#else
        for (j += get_local_id(0); j < end; j += ITEMS)
            within += kernels_v1(distances[j], &a, false);
        within = group_sum(within, part);
#endif
        if (a.unbiased && column == (row >= a.m))
            within -= a.count; /* itself: each kernel is 1 there */
        sum += pair_weight(row, column, &a) * within;
    }
    if (get_local_id(0) == 0)
        parts[row] = sum;
}

/* In place: distance_ij becomes 4 dloss s_ij k'(distance_ij). Work-item or work-group: row of distances. */
__kernel GROUP void mmd_slopes(__global float *distances, __global const float *dloss, struct mmd_args a)
{
    int row = get_group_id(0), rows = a.m + a.n;
    distances += (size_t)row * rows;
    for (int column = 0; column < 2; column++) {
        int j = column ? a.m : 0, end = column ? rows : a.m;
        float by = 4.0f * dloss[0] * pair_weight(row, column, &a);
#ifdef ROW
        for (; j + 16 <= end; j += 16)
            vstore16(by * kernels_v16(vload16(0, distances + j), &a, true), 0, distances + j);
        for (; j < end; j++)
#else
        for (j += get_local_id(0); j < end; j += ITEMS)
#endif
            distances[j] = by * kernels_v1(distances[j], &a, true);
    }
}

#ifdef ROW

#define STRIPE 32 /* columns of a work-item */
#define ROWS 64   /* rows of a work-item, and rows of z at a time */

/* Columns c .. c + 15 of a row of d, with zeros behind its end. */
float16 load_columns(const __global float *row, int c, int d)
{
    float each[16];
    if (c + 16 <= d)
        return vload16(0, row + c);
    for (int i = 0; i < 16; i++)
        each[i] = c + i < d ? row[c + i] : 0.0f;
    return vload16(0, each);
}

void store_columns(__global float *row, float16 x, int c, int d, bool add)
{
    float each[16];
    if (c + 16 <= d) {
        vstore16(add ? vload16(0, row + c) + x : x, 0, row + c);
        return;
    }
    vstore16(x, 0, each);
    for (int i = 0; i < 16 && c + i < d; i++)
        row[c + i] = add ? row[c + i] + each[i] : each[i];
}

/* dz[i - first] (+)= sum_j slopes_ij (z_i - z_j) for rows first .. first + count - 1. Work-item: ROWS of them, STRIPE columns; rows of z are
 * copied together, which lie pages apart. Grid: stripes, pieces of ROWS; group of 1. */
VECTOR_KERNEL void mmd_bwd(__global float *dz, __global const float *slopes, __global const float *x, __global const float *y, int first,
                           int count, int to_z, struct mmd_args a)
{
    int rows = a.m + a.n, c = get_global_id(0) * STRIPE, r0 = first + get_global_id(1) * ROWS, r1 = min(r0 + ROWS, first + count);
    float16 sums[ROWS][2], z[ROWS][2];
    for (int r = 0; r < ROWS; r++)
        sums[r][0] = sums[r][1] = (float16)(0.0f);
    for (int j0 = 0; j0 < rows; j0 += ROWS) {
        int js = min(ROWS, rows - j0);
        for (int j = 0; j < js; j++) {
            const __global float *row = row_of(x, y, j0 + j, &a);
            z[j][0] = load_columns(row, c, a.d);
            z[j][1] = load_columns(row, c + 16, a.d);
        }
        for (int r = r0; r < r1; r += 4) {
            float16 own[4][2], s[4][2];
            const __global float *by[4];
#pragma unroll
            for (int t = 0; t < 4; t++) {
                int i = min(r + t, r1 - 1);
                own[t][0] = load_columns(row_of(x, y, i, &a), c, a.d);
                own[t][1] = load_columns(row_of(x, y, i, &a), c + 16, a.d);
                s[t][0] = s[t][1] = (float16)(0.0f);
                by[t] = slopes + (size_t)i * rows + j0;
            }
            for (int j = 0; j < js; j++) {
                float16 low = z[j][0], high = z[j][1];
#pragma unroll
                for (int t = 0; t < 4; t++) {
                    float16 w = by[t][j];
                    s[t][0] = MAD(w, own[t][0] - low, s[t][0]);
                    s[t][1] = MAD(w, own[t][1] - high, s[t][1]);
                }
            }
            for (int t = 0; t < 4 && r + t < r1; t++) {
                sums[r - r0 + t][0] += s[t][0];
                sums[r - r0 + t][1] += s[t][1];
            }
        }
    }
    for (int r = r0; r < r1; r++) {
        __global float *to = dz + (size_t)(r - first) * a.d;
        store_columns(to, sums[r - r0][0], c, a.d, to_z == GRADIENT_ADD);
        if (c + 16 < a.d)
            store_columns(to, sums[r - r0][1], c + 16, a.d, to_z == GRADIENT_ADD);
    }
}

#else

#define STRIPE 1
#define ROWS 8 /* rows of a work-item */

/* dz[i - first] (+)= sum_j slopes_ij (z_i - z_j) for rows first .. first + count - 1. Work-item: ROWS of them, one column; neighbours read
 * neighbouring columns. Grid: columns, pieces of ROWS; any group size. */
__kernel void mmd_bwd(__global float *dz, __global const float *slopes, __global const float *x, __global const float *y, int first,
                      int count, int to_z, struct mmd_args a)
{
    int rows = a.m + a.n, c = get_global_id(0), r0 = first + get_global_id(1) * ROWS, last = first + count - 1;
    float own[ROWS], sums[ROWS];
    if (c >= a.d || r0 > last)
        return;
#pragma unroll
    for (int t = 0; t < ROWS; t++) {
        own[t] = row_of(x, y, min(r0 + t, last), &a)[c];
        sums[t] = 0.0f;
    }
    for (int j = 0; j < rows; j++) {
        float z = row_of(x, y, j, &a)[c];
#pragma unroll
        for (int t = 0; t < ROWS; t++)
            sums[t] = MAD(slopes[(size_t)min(r0 + t, last) * rows + j], own[t] - z, sums[t]);
    }
#pragma unroll
    for (int t = 0; t < ROWS; t++)
        if (r0 + t <= last) {
            __global float *to = dz + (size_t)(r0 + t - first) * a.d + c;
            *to = to_z == GRADIENT_ADD ? *to + sums[t] : sums[t];
        }
}

#endif
