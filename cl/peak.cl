/* peak.cl - peak rates for benchmarks: fused multiply-adds that never leave the registers, in float32 or (HALF) float16; a copy within
 * global memory; reads of local memory; a kernel that does nothing. */
// isa: -DLANES=4
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 4
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#ifdef HALF
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define number half
#else
#define number float
#endif
#define lanes JOIN(number, LANES)
#define LOCAL_VECTORS 512 /* float4: 8 KiB */

/* One work-item: steps x 12 vectors of LANES. Named one by one: an array of vectors is not kept in registers by every compiler. */
__kernel void peak_fma(__global number *out, int steps)
{
    lanes y = (lanes)((number)0.999f), z = (lanes)((number)(0.001f + (float)(get_global_id(0) & 1023)));
    lanes a = z, b = a + y, c = b + y, d = c + y, e = d + y, f = e + y, g = f + y, h = g + y, i = h + y, j = i + y, k = j + y, l = k + y;
    for (int step = 0; step < steps; step++) {
        a = MAD(a, y, z);
        b = MAD(b, y, z);
        c = MAD(c, y, z);
        d = MAD(d, y, z);
        e = MAD(e, y, z);
        f = MAD(f, y, z);
        g = MAD(g, y, z);
        h = MAD(h, y, z);
        i = MAD(i, y, z);
        j = MAD(j, y, z);
        k = MAD(k, y, z);
        l = MAD(l, y, z);
    }
    JOIN(vstore, LANES)(a + b + c + d + e + f + g + h + i + j + k + l, get_global_id(0), out);
}

/* One work-item: 16 numbers. */
__kernel void peak_copy(__global float *to, const __global float *from)
{
    vstore16(vload16(get_global_id(0), from), get_global_id(0), to);
}

/* One work-item: 4 x steps reads of 16 bytes, a different place each. */
__kernel void peak_local(__global float *out, int steps)
{
    __local float4 data[LOCAL_VECTORS];
    int item = get_local_id(0), items = get_local_size(0);
    for (int i = item; i < LOCAL_VECTORS; i += items)
        data[i] = (float4)((float)i);
    barrier(CLK_LOCAL_MEM_FENCE);
    float4 a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    for (int step = 0; step < steps; step++) {
        int at = item + step * 64;
        a += data[at & (LOCAL_VECTORS - 1)];
        b += data[(at + 16) & (LOCAL_VECTORS - 1)];
        c += data[(at + 32) & (LOCAL_VECTORS - 1)];
        d += data[(at + 48) & (LOCAL_VECTORS - 1)];
    }
    vstore4(a + b + c + d, get_global_id(0), out);
}

__kernel void peak_nothing(__global float *out)
{
    if (get_global_id(0) == 0x7fffffff)
        out[0] = 0.0f;
}
