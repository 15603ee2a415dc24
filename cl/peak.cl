/* peak.cl - yardsticks for benchmarks: fused multiply-adds that never leave the registers, and a copy. */
// isa:
/* One work-item: steps x 12 vectors of 16. */
__kernel void peak_fma(__global float *out, int steps)
{
    float16 x[12], y = (float16)(0.999f), z = (float16)(0.001f + (float)get_global_id(0));
#pragma unroll
    for (int i = 0; i < 12; i++)
        x[i] = (float16)((float)i);
    for (int step = 0; step < steps; step++) {
#pragma unroll
        for (int i = 0; i < 12; i++)
            x[i] = MAD(x[i], y, z);
    }
    float16 sum = x[0];
#pragma unroll
    for (int i = 1; i < 12; i++)
        sum += x[i];
    vstore16(sum, get_global_id(0), out);
}

/* One work-item: 16 numbers. */
__kernel void peak_copy(__global float *to, const __global float *from)
{
    vstore16(vload16(get_global_id(0), from), get_global_id(0), to);
}
