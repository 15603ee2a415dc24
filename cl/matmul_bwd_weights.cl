/* matmul_bwd_weights.cl - the gradient of a product or convolution by its weights: dw[n][tap C + c] = sum over pixels q of x[.][c] dy[.][n], where
 * the pixels of one operand are counted and those of the other stand under tap `tap` of a window at each of them (struct weights_args):
 * x under a convolution's, dy under a transposed convolution's; of a product q is a row, and there is one tap.
 *
 * Families
 *   weights_panel   CPUs: a work-item has 32 columns of one operand, `v` (its outputs: a panel of dw), and MR columns of the other, `s`, in
 *                   registers, and adds up over the pixels of a chunk, whose rows of v it has copied together: straight from activations,
 *                   with nothing packed beforehand. Between chunks the sums lie in dw. Where dw has few outputs, v is x and s is dy, and
 *                   weights_join_turned puts the sums in their place.
 *   weights_tile    GPUs: tiles through local memory, as gemm_tile, over MATRIX_ROWS.
 *   weights_single  one number of dw per work-item, either layout: what is left when the others answer wrongly on a device.
 * The pixels are divided into slices where dw alone would not fill the device: weights_join adds up their sums, in order.
 * PANEL: panels of weights, otherwise rows. MR: columns of s in registers, s has as many at least. */
// isa: -DGROUP={16,8}
// isa-cpu: -DPANEL -DMR=8
// isa-cpu: -DPANEL -DMR=12
// isa-cpu: -DPANEL -DMR=1
#include "matmul_bwd_weights.clh"

/* Where pixel q of the operand that is counted has its window. */
struct place {
    int picture, top, left;
};
struct place place_of(int q, const struct weights_args *a)
{
    int row = q / a->columns;
    struct place at = {row / a->rows, row % a->rows * a->stride - a->before_y, q % a->columns * a->stride - a->before_x};
    return at;
}

/* The pixel of the operand under the window's tap, counted over all images; -1: outside. */
int moved_pixel(struct place at, int tap, const struct weights_args *a)
{
    int y = at.top + tap / a->taps_x, x = at.left + tap % a->taps_x;
    bool inside = y >= 0 && y < a->height << a->shift && x >= 0 && x < a->width << a->shift;
    return inside ? (at.picture * a->height + (y >> a->shift)) * a->width + (x >> a->shift) : -1;
}

#ifdef PANEL

/* The pixels first .. last - 1 that have something under the tap: their columns of v, and where their rows of s are. Returns how many. */
int gather(float16 *vs, const __global float **rows, const __global float *v, const __global float *s, int panel, int first, int last,
           int tap, const struct weights_args *a)
{
    int count = 0, width = a->width << a->shift;
    while (first < last) { /* the pixels of one row of an image */
        struct place at = place_of(first, a);
        int next = min(last, first + a->columns - first % a->columns), end = next, y = at.top + tap / a->taps_x;
        int x = at.left + tap % a->taps_x;
        if (y < 0 || y >= a->height << a->shift) {
            first = next;
            continue;
        }
        for (; first < end && x < 0; first++)
            x += a->stride;
        while (end > first && x + (end - 1 - first) * a->stride >= width)
            end--;
        size_t line = (size_t)(at.picture * a->height + (y >> a->shift)) * a->width;
        for (; first < end; first++, x += a->stride) {
            size_t moved = line + (x >> a->shift);
            copy_panel(vs + 2 * count, v + (a->v_moves ? moved : (size_t)first) * a->v_columns, panel, a->v_columns);
            rows[count++] = s + (a->v_moves ? (size_t)first : moved) * a->s_columns;
        }
        first = next;
    }
    return count;
}

/* One work-item: columns 32*gid(1).. of v; a.tap_step taps and a.s_step columns of s, gid(0) counting the steps; slice gid(2) of the pixels.
 * Group of 1. out [slices][panels of v][taps * s_columns][32]. */
VECTOR_KERNEL void weights_panel(__global float *out, const __global float *v, const __global float *s, struct weights_args a)
{
    float16 vs[2 * CHUNK];
    const __global float *rows[CHUNK];
    int steps = (a.s_columns + a.s_step - 1) / a.s_step, panel = get_global_id(1), slice = get_global_id(2);
    int tap0 = (int)get_global_id(0) / steps * a.tap_step, tap1 = min(tap0 + a.tap_step, a.taps_y * a.taps_x);
    int i0 = (int)get_global_id(0) % steps * a.s_step, i1 = min(i0 + a.s_step, a.s_columns);
    int first = slice * a.slice, end = min(first + a.slice, a.batch * a.rows * a.columns);
    bool fresh = !a.add;
    out += (size_t)(slice * (int)get_global_size(1) + panel) * a.taps_y * a.taps_x * a.s_columns * 32;
    for (; first < end; first += CHUNK, fresh = false)
        for (int tap = tap0; tap < tap1; tap++) {
            int count = gather(vs, rows, v, s, panel, first, min(first + CHUNK, end), tap, &a);
            if (count == 0 && !fresh)
                continue;
            for (int i = i0; i < i1; i += MR) {
                int at = min(i, a.s_columns - MR); /* the last columns of s: those before `i` are another's */
                add_pixels(out + ((size_t)tap * a.s_columns + at) * 32, vs, rows, at, count, i - at, fresh);
            }
        }
}

/* dw [K][32], one panel of n outputs (v_moves and columns as before: v is x) from parts [slices][panels of v][tap * s_columns + n][32].
 * Work-item: one number of dw, outputs fastest. Any group size. */
__kernel void weights_join_turned(__global float *dw, const __global float *parts, struct weights_args a)
{
    int i = get_global_id(0), n = i % 32, k = i / 32, tap = k / a.v_columns, c = k % a.v_columns, taps = a.taps_y * a.taps_x;
    if (tap >= taps)
        return;
    size_t each = (size_t)taps * a.s_columns * 32, all = (size_t)((a.v_columns + 31) / 32) * each;
    float sum = 0.0f;
    parts += c / 32 * each + ((size_t)tap * a.s_columns + n) * 32 + c % 32;
    for (int slice = 0; slice < a.slices && n < a.s_columns; slice++)
        sum += parts[slice * all];
    dw[i] = a.add ? dw[i] + sum : sum;
}

#else

#ifndef GROUP
#define GROUP 16 /* work-items of a group along k and n */
#endif
#define SIDE (4 * GROUP) /* of a tile of outputs and columns of k; a work-item has 4 x 4 of them, GROUP apart */
#define STEP 16 /* pixels at a time */

/* Group of GROUP x GROUP: outputs SIDE*group(1).. of dw; columns of k: SIDE*group(0).. of all where x lies under the window, but where dy does, of one
 * tap, since its pixels are other ones for each. Slice group(2) of the pixels. out [slices][n][k]. Local memory: STEP * (2 * SIDE + 3) words. */
__kernel __attribute__((reqd_work_group_size(GROUP, GROUP, 1))) void weights_tile(__global float *out, const __global float *dy,
                                                                            const __global float *x, struct weights_args a)
{
    __local float xs[STEP][SIDE], ds[STEP][SIDE];
    __local struct place at[STEP];
    int lx = get_local_id(0), ly = get_local_id(1), id = ly * GROUP + lx, slice = get_group_id(2), n0 = get_group_id(1) * SIDE;
    int c_all = a.s_columns, n_all = a.v_columns, k_all = a.taps_y * a.taps_x * c_all;
    int tiles = a.v_moves ? (c_all + SIDE - 1) / SIDE : 1, tile = get_group_id(0), tap0 = a.v_moves ? tile / tiles : 0;
    int k0 = a.v_moves ? tap0 * c_all + tile % tiles * SIDE : tile * SIDE, k_end = a.v_moves ? (tap0 + 1) * c_all : k_all;
    int first = slice * a.slice, end = min(first + a.slice, a.batch * a.rows * a.columns);
    int k = k0 + id % SIDE, n = n0 + id % SIDE, tap = k / c_all, c = k % c_all; /* that this work-item brings */
    float sum[16];
#pragma unroll
    for (int i = 0; i < 16; i++)
        sum[i] = 0.0f;
    for (int q0 = first; q0 < end; q0 += STEP) {
        if (id < STEP)
            at[id] = place_of(min(q0 + id, end - 1), &a);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int r = id / SIDE; r < STEP; r += GROUP * GROUP / SIDE) {
            int q = q0 + r, xq = q < end && k < k_end ? q : -1, dq = q < end && n < n_all ? q : -1;
            if (a.v_moves)
                dq = dq < 0 ? -1 : moved_pixel(at[r], tap0, &a);
            else
                xq = xq < 0 ? -1 : moved_pixel(at[r], tap, &a);
            xs[r][id % SIDE] = xq < 0 ? 0.0f : x[(size_t)xq * c_all + c];
            ds[r][id % SIDE] = dq < 0 ? 0.0f : dy[(size_t)dq * n_all + n];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int r = 0; r < STEP; r++) {
            float xv[4], dv[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                xv[i] = xs[r][lx + GROUP * i];
                dv[i] = ds[r][ly + GROUP * i];
            }
#pragma unroll
            for (int i = 0; i < 16; i++)
                sum[i] = MAD(dv[i / 4], xv[i % 4], sum[i]);
        }
    }
    out += (size_t)slice * n_all * k_all;
#pragma unroll
    for (int i = 0; i < 16; i++) {
        int column = k0 + lx + i % 4 * GROUP, row = n0 + ly + i / 4 * GROUP;
        if (column < k_end && row < n_all) {
            __global float *p = out + (size_t)row * k_all + column;
            *p = a.add ? *p + sum[i] : sum[i];
        }
    }
}

#endif

/* One work-item: number gid(0) of dw in its layout, filling too. Any group size. v is dy, s is x. */
__kernel void weights_single(__global float *dw, const __global float *dy, const __global float *x, struct weights_args a)
{
    int i = get_global_id(0), taps = a.taps_y * a.taps_x, k_all = taps * a.s_columns;
#ifdef PANEL
    int k = i / 32 % k_all, n = i / 32 / k_all * 32 + i % 32;
    if (i >= (a.v_columns + 31) / 32 * 32 * k_all)
        return;
#else
    int k = i % k_all, n = i / k_all;
    if (i >= a.v_columns * k_all)
        return;
#endif
    float sum = 0.0f;
    for (int b = 0; b < a.batch && n < a.v_columns; b++)
        for (int p = 0; p < a.rows * a.columns; p++) {
            int q = b * a.rows * a.columns + p, moved = moved_pixel(place_of(q, &a), k / a.s_columns, &a);
            if (moved >= 0)
                sum = MAD(x[(size_t)(a.v_moves ? q : moved) * a.s_columns + k % a.s_columns],
                          dy[(size_t)(a.v_moves ? moved : q) * a.v_columns + n], sum);
        }
    dw[i] = a.add ? dw[i] + sum : sum;
}

/* dw[i] (+)= sum over slices of parts[slice][i]. Work-item: one of `count` numbers. Any group size. */
__kernel void weights_join(__global float *dw, const __global float *parts, int count, int slices, int add)
{
    int i = get_global_id(0);
    if (i >= count)
        return;
    float sum = add ? dw[i] : 0.0f;
    for (int slice = 0; slice < slices; slice++)
        sum += parts[(size_t)slice * count + i];
    dw[i] = sum;
}
