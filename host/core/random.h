/* random.h - the random numbers that diffusers would draw, on the host: a seed gives the image that it gives there.
 *
 * RANDOM_TORCH_CPU   torch's CPU generator: mt19937; a seed of any machine that draws on the CPU (diffusers' usual advice)
 * RANDOM_TORCH_CUDA  torch's CUDA generator: Philox 4x32-10, as A1111 (rng_philox.py) and stable-diffusion.cpp (--rng cuda) reproduce it.
 *                    Holds for draws that a GPU makes in one go, a value per thread; a latent of Stable Diffusion is far below that limit.
 *
 * A generator is a plain struct of its owner: copying it copies the state, and draws go on where the last one ended, as torch's do.
 * How many numbers a call asks for matters: torch draws fewer than 16 normal numbers by another rule, so one call for a whole batch and one
 * call per image give different numbers. Neither function fails. */
#ifndef CLIO_CORE_RANDOM_H
#define CLIO_CORE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANDOM_STATE 624

enum random_kind { RANDOM_TORCH_CPU, RANDOM_TORCH_CUDA };

struct random {
    enum random_kind kind;
    uint32_t state[RANDOM_STATE]; /* mt19937 */
    int next;                     /* the word of `state` to give out next */
    bool has_kept;                /* drawing few normal numbers makes two at a time: */
    double kept;                  /* the second one, for the next time */
    uint64_t seed, offset;        /* Philox: the key, and the number of calls so far */
};

/* torch.Generator(device).manual_seed(seed); the CPU generator uses the low 32 bits only, as torch's does. */
void random_seed(struct random *r, enum random_kind kind, uint64_t seed);
/* torch.rand(n, generator=r): f32 in [0, 1). */
void random_uniform(struct random *r, float *out, size_t n);
/* torch.randn(n, generator=r): f32, mean 0, standard deviation 1. */
void random_normal(struct random *r, float *out, size_t n);

/* Philox 4x32-10 itself: four counter words become four random ones. */
void random_philox(uint32_t counter[4], const uint32_t key[2]);

#endif
