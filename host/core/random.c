/* random.c - see random.h. Sources: Matsumoto and Nishimura, mt19937 (1998); Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
 * (SC11); the rules by which bits become numbers are those of torch: ATen/core/MT19937RNGEngine.h, TransformationHelper.h,
 * DistributionsHelper.h and native/cpu/DistributionTemplates.h, and cuRAND's curand_uniform and Box-Muller.
 *
 * Where torch computes with float so does this: the angle of Box-Muller loses bits there, which must be the same bits. */
#include "random.h"

#include <math.h>

#define SHIFT 397
#define BLOCK 16 /* normal numbers of torch's vectorised path: 8 pairs */
#define PI 3.14159265358979323846
#define INVERSE_2_32 2.3283064e-10f /* cuRAND's CURAND_2POW32_INV */

/* ---- mt19937 ---- */

static void seed_state(struct random *r, uint32_t seed)
{
    r->state[0] = seed;
    for (uint32_t i = 1; i < RANDOM_STATE; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
    r->next = RANDOM_STATE;
}

static void next_state(struct random *r)
{
    uint32_t *s = r->state;
    for (int i = 0; i < RANDOM_STATE; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % RANDOM_STATE] & 0x7fffffffu);
        s[i] = s[(i + SHIFT) % RANDOM_STATE] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->next = 0;
}

static uint32_t draw32(struct random *r)
{
    if (r->next == RANDOM_STATE)
        next_state(r);
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* [0, 1) with the 24 bits of a float */
static float draw_float(struct random *r)
{
    return (float)(draw32(r) & 0xffffffu) * 0x1p-24f;
}

/* [0, 1) with the 53 bits of a double; the first word drawn is the high one */
static double draw_double(struct random *r)
{
    uint64_t high = draw32(r), low = draw32(r);
    return (double)((high << 32 | low) & 0x1fffffffffffffu) * 0x1p-53;
}

/* Fewer than 16: in double, two at a time. */
static double draw_normal(struct random *r)
{
    if (r->has_kept) {
        r->has_kept = false;
        return r->kept;
    }
    double angle = 2.0 * PI * draw_double(r), radius = sqrt(-2.0 * log1p(-draw_double(r)));
    r->kept = radius * sin(angle);
    r->has_kept = true;
    return radius * cos(angle);
}

/* 16 uniform numbers become 16 normal ones: the first eight give the radii, the others the angles. */
static void normal_block(float *x)
{
    for (int i = 0; i < BLOCK / 2; i++) {
        float radius = sqrtf(-2.0f * logf(1.0f - x[i])), angle = (float)(2.0 * PI) * x[i + BLOCK / 2];
        x[i] = radius * cosf(angle);
        x[i + BLOCK / 2] = radius * sinf(angle);
    }
}

static void normal_mt(struct random *r, float *out, size_t n)
{
    if (n < BLOCK) {
        for (size_t i = 0; i < n; i++)
            out[i] = (float)draw_normal(r);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = draw_float(r);
    for (size_t i = 0; i + BLOCK <= n; i += BLOCK)
        normal_block(out + i);
    if (n % BLOCK) { /* torch draws the last 16 anew, whatever of them was done already */
        float *last = out + n - BLOCK;
        for (int i = 0; i < BLOCK; i++)
            last[i] = draw_float(r);
        normal_block(last);
    }
}

/* ---- Philox ---- */

void random_philox(uint32_t counter[4], const uint32_t key[2])
{
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)counter[0] * 0xD2511F53u, b = (uint64_t)counter[2] * 0xCD9E8D57u;
        counter[0] = (uint32_t)(b >> 32) ^ counter[1] ^ k0;
        counter[1] = (uint32_t)b;
        counter[2] = (uint32_t)(a >> 32) ^ counter[3] ^ k1;
        counter[3] = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* The words that CUDA's thread `index` has in this call: the call counts in the first half of the counter, the thread in the second. */
static void draw_thread(const struct random *r, uint64_t index, uint32_t words[4])
{
    const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    words[0] = (uint32_t)r->offset;
    words[1] = (uint32_t)(r->offset >> 32);
    words[2] = (uint32_t)index;
    words[3] = (uint32_t)(index >> 32);
    random_philox(words, key);
}

static void normal_philox(struct random *r, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t words[4];
        draw_thread(r, i, words);
        float u = (float)words[0] * INVERSE_2_32 + INVERSE_2_32 / 2;
        float angle = (float)words[1] * (INVERSE_2_32 * 6.2831855f) + INVERSE_2_32 * 6.2831855f / 2;
        out[i] = sqrtf(-2.0f * logf(u)) * sinf(angle);
    }
    r->offset++;
}

static void uniform_philox(struct random *r, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t words[4];
        draw_thread(r, i, words);
        float u = (float)words[0] * INVERSE_2_32 + INVERSE_2_32 / 2; /* cuRAND's are in (0, 1]; torch turns the 1 into a 0 */
        out[i] = u >= 1.0f ? 0.0f : u;
    }
    r->offset++;
}

/* ---- both ---- */

void random_seed(struct random *r, enum random_kind kind, uint64_t seed)
{
    *r = (struct random){.kind = kind, .seed = seed};
    if (kind == RANDOM_TORCH_CPU)
        seed_state(r, (uint32_t)seed);
}

void random_uniform(struct random *r, float *out, size_t n)
{
    if (n == 0)
        return;
    if (r->kind == RANDOM_TORCH_CUDA) {
        uniform_philox(r, out, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = draw_float(r);
}

void random_normal(struct random *r, float *out, size_t n)
{
    if (n == 0)
        return;
    if (r->kind == RANDOM_TORCH_CUDA)
        normal_philox(r, out, n);
    else
        normal_mt(r, out, n);
}
