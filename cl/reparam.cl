/* reparam.cl - random numbers, and z = mu + exp(logvar / 2) eps with its gradient (Kingma and Welling 2014, section 2.4). eps is given
 * (-DGIVEN=1), or made of (seed, stream) where it is needed, forward and backward: it is never stored.
 * One family: a work-item makes the four numbers of one value of Philox's counter, and neighbours write neighbouring vectors. What the
 * generator costs is whole numbers alone, which CPUs' runtimes put side by side in vectors by themselves. */
// isa:
// isa: -DGIVEN=1
// isa-cpu:
#include "random.clh"

#ifndef GIVEN
#define GIVEN 0 /* eps is a buffer */
#endif

/* Work-item: elements 4 id .. 4 id + 3, for all kernels here. Any group size, no local memory. */
__kernel void random_fill(__global float *out, struct random_args r)
{
    uint block = get_global_id(0), first = 4 * block, n = r.n;
    if (first >= n)
        return;
    float4 x = random_block(block, r);
    if (first + 4 <= n) {
        vstore4(x, block, out);
        return;
    }
    out[first] = x.x;
    if (first + 1 < n)
        out[first + 1] = x.y;
    if (first + 2 < n)
        out[first + 2] = x.z;
}

/* The numbers of eps that a work-item needs; what is behind the end is not read. */
static __attribute__((always_inline)) float4 noise(const __global float *eps, uint block, struct random_args r)
{
#if GIVEN
    uint first = 4 * block, n = r.n;
    if (first + 4 <= n)
        return vload4(block, eps);
    return (float4)(eps[first], first + 1 < n ? eps[first + 1] : 0.0f, first + 2 < n ? eps[first + 2] : 0.0f, 0.0f);
#else
    return random_block(block, r);
#endif
}

/* z may be mu. */
__kernel void reparam(__global float *z, __global const float *mu, __global const float *logvar, __global const float *eps,
                      struct random_args r)
{
    uint block = get_global_id(0), first = 4 * block, n = r.n;
    if (first >= n)
        return;
    float4 e = noise(eps, block, r);
    if (first + 4 <= n) {
        vstore4(vload4(block, mu) + exp(0.5f * vload4(block, logvar)) * e, block, z);
        return;
    }
    for (uint i = first; i < n; i++, e = e.yzww)
        z[i] = mu[i] + exp(0.5f * logvar[i]) * e.x;
}

/* dmu = dz, dlogvar = dz eps exp(logvar / 2) / 2; to_mu, to_logvar: GRADIENT_*. */
__kernel void reparam_bwd(__global float *dmu, __global float *dlogvar, __global const float *dz, __global const float *logvar,
                          __global const float *eps, int to_mu, int to_logvar, struct random_args r)
{
    uint block = get_global_id(0), first = 4 * block, n = r.n;
    if (first >= n)
        return;
    float4 e = to_logvar ? noise(eps, block, r) : (float4)(0.0f);
    for (uint i = first; i < min(first + 4, n); i++, e = e.yzww) {
        float d = dz[i];
        if (to_mu)
            dmu[i] = to_mu == GRADIENT_ADD ? dmu[i] + d : d;
        if (to_logvar) {
            d *= 0.5f * e.x * exp(0.5f * logvar[i]);
            dlogvar[i] = to_logvar == GRADIENT_ADD ? dlogvar[i] + d : d;
        }
    }
}
