/* peak.cl - yardsticks for benchmarks: fused multiply-adds that never leave the registers, and a copy. */
// isa:
#include "common.clh"

/* One work-item: steps x 12 vectors of 16. Named one by one: an array of vectors is not kept in registers by every compiler. */
__kernel void peak_fma(__global float *out, int steps)
{
    float16 y = (float16)(0.999f), z = (float16)(0.001f + (float)get_global_id(0));
    float16 a = z, b = a + y, c = b + y, d = c + y, e = d + y, f = e + y, g = f + y, h = g + y, i = h + y, j = i + y, k = j + y, l = k + y;
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
    vstore16(a + b + c + d + e + f + g + h + i + j + k + l, get_global_id(0), out);
}

/* One work-item: 16 numbers. */
__kernel void peak_copy(__global float *to, const __global float *from)
{
    vstore16(vload16(get_global_id(0), from), get_global_id(0), to);
}
