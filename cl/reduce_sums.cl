/* reduce_sums.cl - the second stage of sums over whole tensors: see reduce_sums.clh for the first, which each operation has for itself. */
// isa: -DITEMS={norm.items}
// isa-cpu: -DROW=1
#include "reduce_sums.clh"

/* out[slot] = scale * sum of parts (+ out[slot] when add). One work-group. */
__kernel SUM_GROUP void sum_parts(__global float *out, __global const float *parts, int count, int slot, float scale, int add)
{
#ifdef ROW
    float16 sums = (float16)(0.0f);
    float sum = 0.0f;
    int i = 0;
    for (; i + 16 <= count; i += 16)
        sums += vload16(0, parts + i);
    for (; i < count; i++)
        sum += parts[i];
    sum += sum16(sums);
#else
    __local float part[ITEMS];
    float sum = 0.0f;
    for (int i = get_local_id(0); i < count; i += ITEMS)
        sum += parts[i];
    sum = group_sum(sum, part);
    if (get_local_id(0))
        return;
#endif
    out[slot] = add ? out[slot] + scale * sum : scale * sum;
}
