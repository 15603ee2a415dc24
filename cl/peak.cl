/* peak.cl - yardsticks for benchmarks: fused multiply-adds that never leave the registers, and a copy. */
// isa: -DLANES=4
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 4
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define lanes JOIN(float, LANES)

/* One work-item: steps x 12 vectors of LANES. Named one by one: an array of vectors is not kept in registers by every compiler. */
__kernel void peak_fma(__global float *out, int steps)
{
    lanes y = (lanes)(0.999f), z = (lanes)(0.001f + (float)get_global_id(0));
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
