/* clip.cl - the norm of gradients, and the factor that clips them (Pascanu et al. 2013), on the device: sums of squares of each tensor
 * (finished by cl/reduce_sums.cl), then a factor from all of them. */
// isa: -DITEMS={norm.items}
// isa-cpu: -DROW=1
#include "reduce_sums.clh"

float16 square_v16(float16 x)
{
    return x * x;
}

/* parts[c] = sum of the squares of chunk c. */
__kernel SUM_GROUP void square_parts(__global float *parts, __global const float *g, int n)
{
    SUM_CHUNKS(parts, n, g[i] * g[i], square_v16(vload16(0, g + i)))
}

/* scale[0] = min(1, most / norm) / loss_scale, norm = sqrt(sum of the first count of sums) / loss_scale; most 0: no clipping. A sum that is
 * not finite gives a NaN. One work-group. */
__kernel SUM_GROUP void clip_scale(__global float *scale, __global const float *sums, int count, float most, float loss_scale)
{
    float sum = 0.0f, norm, factor;
#ifdef ROW
    for (int i = 0; i < count; i++)
        sum += sums[i];
#else
    __local float part[ITEMS];
    for (int i = get_local_id(0); i < count; i += ITEMS)
        sum += sums[i];
    sum = group_sum(sum, part);
    if (get_local_id(0))
        return;
#endif
    norm = sqrt(sum) / loss_scale;
    factor = most > 0.0f && norm > most ? most / norm : 1.0f;
    scale[0] = (as_uint(sum) & 0x7f800000u) == 0x7f800000u ? NAN : factor / loss_scale;
}
