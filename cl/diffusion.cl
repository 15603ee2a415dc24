/* diffusion.cl - samples made noisy, and what a network is to say of them, in one pass (Ho et al. 2020, "Denoising diffusion probabilistic
 * models", formula 4; Salimans and Ho 2022, "Progressive distillation", for the velocity). The noise is made of (seed, stream) where it is
 * needed. */
// isa:
// isa-cpu:
#include "random.clh"

/* Work-item: the elements that have numbers 4 id .. 4 id + 3 from a.first / 4 on; r.n elements in all, levels [sample][2]. Any group size, no
 * local memory. */
__kernel void diffusion(__global float *noisy, __global float *target, __global const float *x, __global const float *levels,
                        struct random_args r, struct diffusion_args a)
{
    uint block = get_global_id(0) + a.first / 4, n = r.n;
    if (4 * get_global_id(0) >= n + a.first % 4)
        return;
    float4 e = random_block(block, r);
    if (a.first % 4 == 0 && a.size % 4 == 0 && 4 * get_global_id(0) < n) { /* four of one sample */
        uint i = get_global_id(0), sample = 4 * i / (uint)a.size;
        float keep = levels[2 * sample], add = levels[2 * sample + 1];
        float4 value = vload4(i, x);
        vstore4(keep * value + add * e, i, noisy);
        vstore4(a.velocity ? keep * e - add * value : e, i, target);
        return;
    }
    for (uint number = 4 * block; number < 4 * block + 4; number++, e = e.yzww) {
        uint i = number - a.first; /* before the first: beyond the last */
        if (number < a.first || i >= n)
            continue;
        uint sample = i / (uint)a.size;
        float keep = levels[2 * sample], add = levels[2 * sample + 1], value = x[i];
        noisy[i] = keep * value + add * e.x;
        target[i] = a.velocity ? keep * e.x - add * value : e.x;
    }
}
