/* ref_reparam.c - the random numbers of cl/random.clh, bit for bit, in plain C; and sampling by reparameterization. A number in brackets is
 * the weight of the last bit of a whole number: 2^-[n]. */
#include "ref_bwd.h"

#include <math.h>

/* Salmon et al. 2011, Philox 4x32-10. Written once more than in host/core/random.c, which lies above this layer. */
static void philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static uint32_t mul_hi(uint32_t a, uint32_t b)
{
    return (uint32_t)((uint64_t)a * b >> 32);
}

static uint32_t leading_zeros(uint32_t x)
{
    uint32_t n = 0;
    while (n < 32 && !(x >> (31 - n)))
        n++;
    return n;
}

/* -2 ln((bits + 1/2) / 2^32) [26] */
static uint32_t minus_2_log(uint32_t bits)
{
    static const int32_t higher[] = {-0x9d5fa2, 0xfadd0a, -0x97100e, 0xae7652, 0xb3a6bf, 0x20401ec, 0x555035d, 0x10000283, 0x3ffffffd};
    uint32_t zeros = leading_zeros(bits), t = ~((bits << 1 | 1u) << (zeros & 31));
    int64_t q = 0x3779c0, half_t = t >> 1;
    for (size_t i = 0; i < sizeof higher / sizeof *higher; i++) {
        int64_t product = q * half_t;
        int64_t high = product < 0 ? -((-product + 0xffffffff) >> 32) : product >> 32; /* rounded down */
        q = high * 2 + higher[i];
    }
    return zeros * 93032640u + (mul_hi(t, (uint32_t)q) >> 4);
}

/* sqrt of x [26], [29] */
static uint32_t root(uint32_t x)
{
    uint32_t even = leading_zeros(x | 1) & ~1u, m = x << even;
    uint32_t y = 1573440805u - mul_hi(m, 603415162u);
    y = 1528224372u - mul_hi(m, y);
    y = (825259478u - mul_hi(m, y)) << 2;
    for (int i = 0; i < 2; i++)
        y = mul_hi(y, 805306368u - mul_hi(m, mul_hi(y, y))) << 3;
    return mul_hi(m, y) << 2 >> (even / 2);
}

/* sin(pi/2 t [32]) [31] */
static uint32_t quarter_sine(uint32_t t)
{
    uint32_t u = mul_hi(t, t), p = 10037647u - mul_hi(u, 325713u);
    p = 171132797u - mul_hi(u, p);
    p = 1387196611u - mul_hi(u, p);
    return mul_hi(t, 3373259412u - mul_hi(u, p));
}

static void normal_pair(float out[2], uint32_t a, uint32_t b)
{
    uint32_t radius = root(minus_2_log(a)), angle = b << 2 | 2;
    int32_t x = (int32_t)mul_hi(radius, quarter_sine(0 - angle)), y = (int32_t)mul_hi(radius, quarter_sine(angle));
    out[0] = (float)(b >> 31 ? -x : x) * 0x1p-28f;
    out[1] = (float)(b >> 30 & 1 ? -y : y) * 0x1p-28f;
}

void ref_random(float *out, int n, uint64_t seed, uint64_t stream, bool normal)
{
    for (int first = 0; first < n; first += 4) {
        uint32_t w[4] = {(uint32_t)first / 4, 0, (uint32_t)stream, (uint32_t)(stream >> 32)};
        float x[4];
        philox(w, (uint32_t)seed, (uint32_t)(seed >> 32));
        for (int i = 0; i < 4; i++)
            x[i] = (float)(w[i] >> 8) * 0x1p-24f;
        if (normal) {
            normal_pair(x, w[0], w[1]);
            normal_pair(x + 2, w[2], w[3]);
        }
        for (int i = 0; i < 4 && first + i < n; i++)
            out[first + i] = x[i];
    }
}

void ref_reparam(float *z, const float *mu, const float *logvar, const float *eps, int n)
{
    for (int i = 0; i < n; i++)
        z[i] = (float)((double)mu[i] + exp(0.5 * (double)logvar[i]) * (double)eps[i]);
}

void ref_reparam_bwd(float *dmu, float *dlogvar, const float *dz, const float *logvar, const float *eps, int n)
{
    for (int i = 0; i < n; i++) {
        if (dmu)
            dmu[i] = dz[i];
        if (dlogvar)
            dlogvar[i] = (float)((double)dz[i] * (double)eps[i] * 0.5 * exp(0.5 * (double)logvar[i]));
    }
}
