/* optim.cl - one step of an optimizer on a parameter, by the formulas of torch.optim; averages of parameters; and the clipping of gradients by
 * their norm, in numbers that stay on the device. -DRULE=OPTIM_* chooses the rule.
 *   sgd      b = momentum b + g (the first step: b = g), w -= rate (g + momentum b, nesterov; else b)
 *   adam(w)  m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, w -= rate / correction1 m / (sqrt(v) / sqrt(correction2) + eps)
 *   rmsprop  v = beta2 v + (1 - beta2) g^2, d = g / (sqrt(v) + eps), with momentum b = momentum b + d, w -= rate (b; else d)
 * One pass over memory; LANES neighbouring elements per work-item: 16 on CPUs. */
// isa: -DRULE={0,1,2,3}
// isa: -DRULE={0,1,2,3} -DMOMENTUM=1 -DSCALED=1
// isa-cpu: -DRULE={0,1,2,3} -DLANES=16 -DSCALED=1
// isa-cpu: -DRULE={0,3} -DLANES=16 -DMOMENTUM=1
#include "args.clh"

#ifndef LANES
#define LANES 1 /* elements per work-item: 1 or 16 */
#endif
#ifndef RULE
#define RULE OPTIM_SGD
#endif
#ifndef MOMENTUM
#define MOMENTUM 0 /* sgd and rmsprop: there is some, in m */
#endif
#ifndef SCALED
#define SCALED 0 /* the gradient is multiplied by scale[0] */
#endif
#define HAS_M (MOMENTUM || RULE == OPTIM_ADAM || RULE == OPTIM_ADAMW)
#define HAS_V (RULE != OPTIM_SGD)


/* The new w of a type's lanes, and m and v in place. */
#define DEFINE_STEP(TYPE)                                                                                                                  \
    TYPE step_##TYPE(TYPE w, TYPE g, TYPE *m, TYPE *v, const struct optim_args *a)                                                         \
    {                                                                                                                                      \
        if (RULE == OPTIM_ADAMW)                                                                                                           \
            w *= 1.0f - a->rate * a->weight_decay;                                                                                         \
        else                                                                                                                               \
            g += a->weight_decay * w;                                                                                                      \
        if (HAS_V)                                                                                                                         \
            *v = a->beta2 * *v + (1.0f - a->beta2) * g * g;                                                                                \
        if (RULE == OPTIM_ADAM || RULE == OPTIM_ADAMW) {                                                                                   \
            *m += (1.0f - a->beta1) * (g - *m);                                                                                            \
            return w - a->rate / a->correction1 * *m / (sqrt(*v) / sqrt(a->correction2) + a->eps);                                         \
        }                                                                                                                                  \
        if (RULE == OPTIM_RMSPROP)                                                                                                         \
            g /= sqrt(*v) + a->eps;                                                                                                        \
        if (MOMENTUM) {                                                                                                                    \
            *m = a->step == 1 ? g : a->momentum * *m + g;                                                                                  \
            g = RULE == OPTIM_SGD && a->nesterov ? g + a->momentum * *m : *m;                                                              \
        }                                                                                                                                  \
        return w - a->rate * g;                                                                                                            \
    }
DEFINE_STEP(float)
#if LANES == 16
DEFINE_STEP(float16)
#endif

/* m and v: any buffer where the rule has none. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory.
 * With a scale that is not finite nothing changes: the gradient overflowed. */
__kernel void optim_step(__global float *w, __global const float *grad, __global float *m, __global float *v, __global const float *scale,
                         struct optim_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
    float by = 1.0f;
#if SCALED
    by = scale[0];
    if ((as_uint(by) & 0x7f800000u) == 0x7f800000u)
        return;
#endif
#if LANES == 16
    if (first + 16 <= n) {
        float16 wide_m = 0.0f, wide_v = 0.0f;
        if (HAS_M)
            wide_m = vload16(0, m + first);
        if (HAS_V)
            wide_v = vload16(0, v + first);
        vstore16(step_float16(vload16(0, w + first), by * vload16(0, grad + first), &wide_m, &wide_v, &args), 0, w + first);
        if (HAS_M)
            vstore16(wide_m, 0, m + first);
        if (HAS_V)
            vstore16(wide_v, 0, v + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        float one_m = HAS_M ? m[i] : 0.0f, one_v = HAS_V ? v[i] : 0.0f;
        w[i] = step_float(w[i], by * grad[i], &one_m, &one_v, &args);
        if (HAS_M)
            m[i] = one_m;
        if (HAS_V)
            v[i] = one_v;
    }
}

/* out = w, rounded to the nearest half. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory. */
__kernel void round_half(__global half *out, __global const float *w, int n)
{
    size_t first = get_global_id(0) * LANES;
#if LANES == 16
    if (first + 16 <= (size_t)n) {
        vstore_half16_rte(vload16(0, w + first), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, (size_t)n); i++)
        vstore_half_rte(w[i], i, out);
}

/* average = decay average + (1 - decay) w. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory. */
__kernel void average_step(__global float *average, __global const float *w, int n, float decay)
{
    size_t first = get_global_id(0) * LANES;
#if LANES == 16
    if (first + 16 <= (size_t)n) {
        float16 a = vload16(0, average + first);
        vstore16(a + (1.0f - decay) * (vload16(0, w + first) - a), 0, average + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, (size_t)n); i++)
        average[i] += (1.0f - decay) * (w[i] - average[i]);
}
