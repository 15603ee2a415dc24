/* test_op_diffusion.c - samples made noisy: against host/ref, whose noise is that of op_random_fwd, with odd sizes and from any sample on.
 */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ref/ref_bwd.h"

#define SEED 0x123456789abcdef0u

static void check(int batch, int size, int first, bool velocity)
{
    size_t n = (size_t)batch * (size_t)size, all = n + (size_t)first * (size_t)size;
    float *x = test_new(n), *levels = test_new(2 * (size_t)batch), *eps = test_new(all), *want = test_new(n), *target = test_new(n);
    test_random(x, n, 1);
    test_random(levels, 2 * (size_t)batch, 2);
    ref_random(eps, (int)all, SEED, 9, true);
    ref_diffusion(want, target, x, levels, eps + all - n, batch, size, velocity);
    struct tensor in = test_tensor(DTYPE_F32, 2, batch, size, 1, 1, x), l = test_tensor(DTYPE_F32, 2, batch, 2, 1, 1, levels);
    struct tensor out[2];
    for (int i = 0; i < 2; i++)
        out[i] = test_tensor(DTYPE_F32, 2, batch, size, 1, 1, NULL);
    assert_ok(op_diffusion_fwd(test_context(), &out[0], &out[1], &in, &l, first, SEED, 9, velocity));
    float *noisy = test_read(&out[0]), *said = test_read(&out[1]);
    assert_close(noisy, want, n, 1e-6);
    assert_close(said, target, n, 1e-6);
    float *const owned[] = {x, levels, eps, want, target, noisy, said};
    for (size_t i = 0; i < COUNT(owned); i++)
        free(owned[i]);
    test_free(&in);
    test_free(&l);
    test_free(&out[0]);
    test_free(&out[1]);
}

static void test_samples(void **state)
{
    static const int sizes[] = {1, 3, 4, 5, 63, 64, 65, 257};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int first = 0; first < 4; first++)
            check(i % 2 ? 5 : 2, sizes[i], first, first % 2);
}

static void test_refusals(void **state)
{
    (void)state;
    struct tensor x = test_tensor(DTYPE_F32, 2, 2, 8, 1, 1, NULL), levels = test_tensor(DTYPE_F32, 2, 3, 2, 1, 1, NULL);
    assert_fails(op_diffusion_fwd(test_context(), &x, &x, &x, &levels, 0, 1, 1, false), CLIO_ERROR_INTERNAL, "levels");
    levels.dim[0] = 2;
    assert_fails(op_diffusion_fwd(test_context(), &x, &x, &x, &levels, 1 << 29, 1, 1, false), CLIO_ERROR_INTERNAL, "samples");
    levels.dim[0] = 3;
    test_free(&x);
    test_free(&levels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
