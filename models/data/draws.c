/* draws.c - random numbers of the data loader: a counter-based stream per epoch and sample. Source: Salmon et al. 2011 (Philox). */
#include "dataset_private.h"
#include "../../host/core/random.h"

void draws_words(const struct draws *d, uint32_t slot, uint32_t words[4])
{
    const uint32_t key[2] = {(uint32_t)d->seed, (uint32_t)(d->seed >> 32)};
    words[0] = slot;
    words[1] = d->epoch;
    words[2] = d->sample;
    words[3] = 0xda7a0000u + d->purpose;
    random_philox(words, key);
}

/* The upper word of a 64-bit random number times n: the bias is at most n / 2^64. */
static uint32_t below(const uint32_t words[2], uint32_t n)
{
    uint64_t low = (uint64_t)words[1] * n, high = (uint64_t)words[0] * n + (low >> 32);
    return (uint32_t)(high >> 32);
}

uint32_t draws_below(const struct draws *d, uint32_t slot, uint32_t n)
{
    uint32_t words[4];
    draws_words(d, slot, words);
    return below(words, n);
}

float draws_unit(const struct draws *d, uint32_t slot)
{
    uint32_t words[4];
    draws_words(d, slot, words);
    return (float)(words[0] >> 8) * 0x1p-24f;
}

void draws_order(const struct draws *d, uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        uint32_t other = draws_below(d, (uint32_t)i, (uint32_t)i), kept = order[other];
        order[other] = order[i - 1];
        order[i - 1] = kept;
    }
}
