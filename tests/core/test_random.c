/* test_random.c - the random generators against torch: the CPU one against golden draws (rand exact, randn within 1e-6), also several in a
 * row and of fewer than 16; Philox against the known answers published with Random123 (kat_vectors, philox 4x32 10) and, for the rule from
 * bits to normal numbers, against the numbers that A1111's rng_philox.py documents for seed 0 (what torch.randn gives on a CUDA device). */
#include "../support/test.h"
#include "../../host/core/random.h"

#include <math.h>

static const uint64_t seeds[] = {0, 42, 4294967295u, 1099511627777u};

static bool open_golden(struct weights *golden)
{
    const char *path = test_golden("rng/torch_cpu.safetensors");
    if (path)
        assert_ok(weights_open(test_context(), golden, path, NULL));
    return path != NULL;
}

static void check(const float *x, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - (double)want[i]) <= tolerance))
            fail_msg("number %zu is %.9g, torch has %.9g", i, (double)x[i], (double)want[i]);
}

static void cpu_draws_are_torchs(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 15, 16, 17, 1000, 16384};
    struct weights golden = {0};
    struct random r;
    char name[64];
    if (!open_golden(&golden))
        skip();
    for (size_t s = 0; s < COUNT(seeds); s++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            float *got = malloc(sizes[i] * sizeof *got), *want;
            assert_non_null(got);
            snprintf(name, sizeof name, "rand.%llu.%zu", (unsigned long long)seeds[s], sizes[i]);
            want = test_floats(&golden, name, sizes[i]);
            random_seed(&r, RANDOM_TORCH_CPU, seeds[s]);
            random_uniform(&r, got, sizes[i]);
            check(got, want, sizes[i], 0);
            free(want);
            snprintf(name, sizeof name, "randn.%llu.%zu", (unsigned long long)seeds[s], sizes[i]);
            want = test_floats(&golden, name, sizes[i]);
            random_seed(&r, RANDOM_TORCH_CPU, seeds[s]);
            random_normal(&r, got, sizes[i]);
            check(got, want, sizes[i], 1e-6);
            free(want);
            free(got);
        }
    weights_close(&golden);
}

static void draws_go_on(void **state)
{
    (void)state;
    struct weights golden = {0};
    struct random r;
    char name[64];
    float got[256];
    if (!open_golden(&golden))
        skip();
    for (size_t s = 0; s < COUNT(seeds); s++) {
        random_seed(&r, RANDOM_TORCH_CPU, seeds[s]);
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "sequence.%llu.%d", (unsigned long long)seeds[s], i);
            float *want = test_floats(&golden, name, 256);
            random_normal(&r, got, 256);
            check(got, want, 256, 1e-6);
            free(want);
        }
    }
    weights_close(&golden);
}

/* The second number of a pair is kept from call to call: 1 + 2 + ... numbers are those of one call; a large draw between leaves it alone.
 */
static void few_numbers_come_in_pairs(void **state)
{
    (void)state;
    struct random all, some;
    float want[15], got[15], large[32];
    random_seed(&all, RANDOM_TORCH_CPU, 7);
    some = all;
    random_normal(&all, want, 15);
    random_normal(&some, got, 1);
    random_normal(&some, got + 1, 0);
    random_normal(&some, got + 1, 2);
    random_normal(&some, got + 3, 12);
    assert_memory_equal(got, want, sizeof got);
    assert_true(all.has_kept && some.has_kept && all.kept == some.kept);
    random_normal(&some, large, 32);
    random_normal(&some, got, 1);
    assert_true(got[0] == (float)all.kept);
    random_seed(&some, RANDOM_TORCH_CPU, 7);
    random_normal(&some, got, 15);
    assert_memory_equal(got, want, sizeof got);
}

static void philox_is_random123s(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        uint32_t x[4];
        memcpy(x, known[i].counter, sizeof x);
        random_philox(x, known[i].key);
        assert_memory_equal(x, known[i].answer, sizeof x);
    }
}

static void cuda_draws_are_torchs(void **state)
{
    (void)state;
    static const float want[12] = {-0.92466259f, -0.42534415f, -2.6438457f,  0.14518388f,  -0.12086647f, -0.57972564f,
                                   -0.62285122f, -0.32838709f, -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f};
    struct random r;
    float got[12], next[12], high[12];
    random_seed(&r, RANDOM_TORCH_CUDA, 0);
    random_normal(&r, got, 12);
    check(got, want, 12, 1e-6);
    random_normal(&r, next, 12);
    assert_memory_not_equal(got, next, sizeof got);
    random_seed(&r, RANDOM_TORCH_CUDA, 0); /* a number depends on its place alone, not on how many there are */
    random_normal(&r, next, 5);
    assert_memory_equal(got, next, 5 * sizeof *got);
    random_seed(&r, RANDOM_TORCH_CUDA, UINT64_C(1) << 40); /* all 64 bits of the seed count */
    random_normal(&r, high, 12);
    assert_memory_not_equal(got, high, sizeof got);
}

static void cuda_draws_have_the_right_spread(void **state)
{
    (void)state;
    static float x[100000];
    struct random r;
    double sum = 0, squares = 0;
    random_seed(&r, RANDOM_TORCH_CUDA, 1);
    random_normal(&r, x, COUNT(x));
    for (size_t i = 0; i < COUNT(x); i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    assert_true(fabs(sum / (double)COUNT(x)) < 0.02 && fabs(squares / (double)COUNT(x) - 1) < 0.02);
    random_uniform(&r, x, COUNT(x));
    sum = 0;
    for (size_t i = 0; i < COUNT(x); i++) {
        assert_true(x[i] >= 0 && x[i] < 1);
        sum += (double)x[i];
    }
    assert_true(fabs(sum / (double)COUNT(x) - 0.5) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_draws_are_torchs), cmocka_unit_test(draws_go_on),           cmocka_unit_test(few_numbers_come_in_pairs),
        cmocka_unit_test(philox_is_random123s), cmocka_unit_test(cuda_draws_are_torchs), cmocka_unit_test(cuda_draws_have_the_right_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
