/* loss.cl - losses of single numbers (LOSS_* in args.clh) and the divergence of Gaussians, with their gradients. Values: the sum of each
 * chunk, then cl/reduce_sums.cl. Cross-entropy of x against t is softplus(x) - t x, with softplus(x) = max(x, 0) + log(1 + exp(-|x|)): no term
 * overflows, and what is small stays exact. Two families of sums: see reduce_sums.clh; of gradients: LANES neighbouring elements per work-item. */
// isa: -DITEMS={norm.items}
// isa-cpu: -DROW=1 -DLANES=16
#include "reduce_sums.clh"

#ifndef LANES
#define LANES 1 /* elements per work-item of a gradient: 1 or 16 */
#endif
#if defined(ROW) || LANES == 16
#define WIDE
#endif
#define LOG_2 0.69314718055994531f

float exp_minus_abs_v1(float x)
{
    return exp(-fabs(x));
}

float log1p_unit_v1(float z)
{
    return log1p(z);
}

#ifdef WIDE
float16 exp_minus_abs_v16(float16 x)
{
    return exp2_negative(fabs(x) * -1.44269504088896341f);
}

/* exp(x); of one number the runtime's own serves. */
float16 exp_v16(float16 x)
{
    float16 z = exp_minus_abs_v16(x);
    return x > 0.0f ? 1.0f / z : z;
}

/* log(1 + z), z in [0, 1]: a polynomial at Chebyshev nodes, within 4e-8 of its value. */
float16 log1p_unit_v16(float16 z)
{
    float16 y = MAD(5.126102141e-3f, z, -2.907406468e-2f);
    y = MAD(MAD(y, z, 7.751608674e-2f), z, -1.360224762e-1f);
    y = MAD(MAD(y, z, 1.907688074e-1f), z, -2.483539899e-1f);
    y = MAD(MAD(MAD(y, z, 3.331812171e-1f), z, -4.999944498e-1f), z, 0.9999999659f);
    return y * z;
}
#endif

/* A NaN stays one: max(x, 0) by a comparison that is false for it. */
#define DEFINE_LOSSES(TYPE, V)                                                                                                             \
    TYPE softplus_##V(TYPE x)                                                                                                              \
    {                                                                                                                                      \
        return (x < 0.0f ? (TYPE)(0.0f) : x) + log1p_unit_##V(exp_minus_abs_##V(x));                                                       \
    }                                                                                                                                      \
                                                                                                                                           \
    TYPE sigmoid_##V(TYPE x)                                                                                                               \
    {                                                                                                                                      \
        TYPE z = exp_minus_abs_##V(x);                                                                                                     \
        return (x < 0.0f ? z : (TYPE)(1.0f)) / (1.0f + z);                                                                                 \
    }                                                                                                                                      \
                                                                                                                                           \
    TYPE loss_##V(TYPE x, TYPE t, int loss)                                                                                                \
    {                                                                                                                                      \
        switch (loss) {                                                                                                                    \
        case LOSS_MSE:                                                                                                                     \
            return (x - t) * (x - t);                                                                                                      \
        case LOSS_L1:                                                                                                                      \
            return fabs(x - t);                                                                                                            \
        case LOSS_BCE_LOGITS:                                                                                                              \
            return (x < 0.0f ? -t : 1.0f - t) * x + log1p_unit_##V(exp_minus_abs_##V(x)); /* nothing cancels */                            \
        case LOSS_HINGE_REAL:                                                                                                              \
            return x > 1.0f ? (TYPE)(0.0f) : 1.0f - x;                                                                                     \
        case LOSS_HINGE_FAKE:                                                                                                              \
            return x < -1.0f ? (TYPE)(0.0f) : 1.0f + x;                                                                                    \
        case LOSS_JSD_REAL:                                                                                                                \
            return softplus_##V(-x) - LOG_2;                                                                                               \
        case LOSS_JSD_FAKE:                                                                                                                \
            return softplus_##V(x) - LOG_2;                                                                                                \
        default:                                                                                                                           \
            return x;                                                                                                                      \
        }                                                                                                                                  \
    }                                                                                                                                      \
                                                                                                                                           \
    TYPE slope_##V(TYPE x, TYPE t, int loss)                                                                                               \
    {                                                                                                                                      \
        TYPE zero = 0.0f, one = 1.0f;                                                                                                      \
        switch (loss) {                                                                                                                    \
        case LOSS_MSE:                                                                                                                     \
            return 2.0f * (x - t);                                                                                                         \
        case LOSS_L1:                                                                                                                      \
            return x > t ? one : x < t ? -one : x - t;                                                                                     \
        case LOSS_BCE_LOGITS:                                                                                                              \
            return sigmoid_##V(x) - t;                                                                                                     \
        case LOSS_HINGE_REAL:                                                                                                              \
            return x < 1.0f ? -one : zero;                                                                                                 \
        case LOSS_HINGE_FAKE:                                                                                                              \
            return x > -1.0f ? one : zero;                                                                                                 \
        case LOSS_JSD_REAL:                                                                                                                \
            return -sigmoid_##V(-x);                                                                                                       \
        case LOSS_JSD_FAKE:                                                                                                                \
            return sigmoid_##V(x);                                                                                                         \
        default:                                                                                                                           \
            return one;                                                                                                                    \
        }                                                                                                                                  \
    }                                                                                                                                      \
                                                                                                                                           \
    TYPE divergence_##V(TYPE mu, TYPE logvar, TYPE var)                                                                                    \
    {                                                                                                                                      \
        return 0.5f * (mu * mu + (var - 1.0f - logvar));                                                                                   \
    }
DEFINE_LOSSES(float, v1)
#ifdef WIDE
DEFINE_LOSSES(float16, v16)
#endif

/* parts[c] = sum of the losses of chunk c, targets t or one for all. */
__kernel SUM_GROUP void loss_parts(__global float *parts, __global const float *x, __global const float *t, struct loss_args args)
{
    SUM_CHUNKS(parts, args.n, loss_v1(x[i], args.has_targets ? t[i] : args.target, args.loss),
               loss_v16(vload16(0, x + i), args.has_targets ? vload16(0, t + i) : (float16)(args.target), args.loss))
}

/* parts[c] = sum of (mu^2 + exp(logvar) - 1 - logvar) / 2. */
__kernel SUM_GROUP void gaussian_kl_parts(__global float *parts, __global const float *mu, __global const float *logvar, int n)
{
    SUM_CHUNKS(parts, n, divergence_v1(mu[i], logvar[i], exp(logvar[i])),
               divergence_v16(vload16(0, mu + i), vload16(0, logvar + i), exp_v16(vload16(0, logvar + i))))
}

/* dx (+)= dloss scale slope. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory. */
__kernel void loss_bwd(__global float *dx, __global const float *dloss, __global const float *x, __global const float *t, int to_x,
                       struct loss_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
    float scale = dloss[0] * args.scale;
#if LANES == 16
    if (first + 16 <= n) {
        float16 to = args.has_targets ? vload16(0, t + first) : (float16)(args.target);
        float16 d = scale * slope_v16(vload16(0, x + first), to, args.loss);
        vstore16(to_x == GRADIENT_ADD ? vload16(0, dx + first) + d : d, 0, dx + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        float d = scale * slope_v1(x[i], args.has_targets ? t[i] : args.target, args.loss);
        dx[i] = to_x == GRADIENT_ADD ? dx[i] + d : d;
    }
}

/* dmu (+)= dloss scale mu, dlogvar (+)= dloss scale (exp(logvar) - 1) / 2; to_mu, to_logvar: GRADIENT_*. Work-item: LANES elements from
 * get_global_id(0) * LANES on. Any group size, no local memory. */
__kernel void gaussian_kl_bwd(__global float *dmu, __global float *dlogvar, __global const float *dloss, __global const float *mu,
                              __global const float *logvar, int n, float scale, int to_mu, int to_logvar)
{
    size_t first = get_global_id(0) * LANES;
    scale *= dloss[0];
    for (size_t i = first; i < min(first + LANES, (size_t)n); i++) {
        float dm = scale * mu[i], dl = 0.5f * scale * expm1(logvar[i]);
        if (to_mu)
            dmu[i] = to_mu == GRADIENT_ADD ? dmu[i] + dm : dm;
        if (to_logvar)
            dlogvar[i] = to_logvar == GRADIENT_ADD ? dlogvar[i] + dl : dl;
    }
}
