/* mel.cl - what a log-mel spectrogram needs beside its two matrix products (transformers, feature_extraction_whisper.py). */
// isa:
// isa: -DLOCAL=256
#include "common.clh"

#ifndef LOCAL
#define LOCAL 64
#endif

/* One work-item: number j of frame f, windowed, for a transform that takes its frames one behind the other. */
__kernel void mel_frames(__global float *frames, const __global float *samples, const __global float *window, struct mel_args p)
{
    int j = get_global_id(0), f = get_global_id(1);
    if (j < p.bins)
        frames[(size_t)f * p.bins + j] = samples[(size_t)f * p.ld + j] * window[j];
}

/* One work-item: |spectrum|^2 of one bin. spectrum: pairs. */
__kernel void mel_power(__global float *power, const __global float *spectrum, struct mel_args p)
{
    int i = get_global_id(0);
    if (i >= p.frames * p.bins)
        return;
    float2 z = vload2(i, spectrum);
    power[i] = z.x * z.x + z.y * z.y;
}

/* x = log10(max(x, 1e-10)); the greatest of each group's share into peaks. p.frames numbers. */
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1))) void mel_log(__global float *x, __global float *peaks, struct mel_args p)
{
    __local float tree[LOCAL];
    int lid = get_local_id(0);
    float greatest = -INFINITY;
    for (int i = get_global_id(0); i < p.frames; i += get_global_size(0)) {
        float y = log10(fmax(x[i], 1e-10f));
        x[i] = y;
        greatest = fmax(greatest, y);
    }
    tree[lid] = greatest;
    for (int half_way = LOCAL / 2; half_way; half_way /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lid < half_way)
            tree[lid] = fmax(tree[lid], tree[lid + half_way]);
    }
    if (lid == 0)
        peaks[get_group_id(0)] = tree[0];
}

/* x = (max(x, greatest - 8) + 4) / 4; p.ld peaks. One work-item: 16 numbers. */
__kernel void mel_scale(__global float *x, const __global float *peaks, struct mel_args p)
{
    int first = get_global_id(0) * 16;
    float greatest = peaks[0];
    for (int j = 1; j < p.ld; j++)
        greatest = fmax(greatest, peaks[j]);
    for (int i = first; i < min(first + 16, p.frames); i++)
        x[i] = 0.25f * (fmax(x[i], greatest - 8.0f) + 4.0f);
}
