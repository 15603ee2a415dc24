/* test_matrix_types.c - weights of every storage type of files are packed as the same numbers, in rows and with the kernel's positions of a
 * convolution in another order, and swapped. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/ops.h"

#include <math.h>

enum { ROWS = 5, CHANNELS = 3, POSITIONS = 4, COUNT_ALL = ROWS * CHANNELS * POSITIONS };

static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_F8_E4M3, DTYPE_F8_E5M2};

/* Numbers that every type has exactly: 1, 1.5, -2, 0.25. */
static void store(enum dtype dtype, unsigned char *to, size_t i, float *value)
{
    static const unsigned char e4m3[] = {0x38, 0x3c, 0xc0, 0x28}, e5m2[] = {0x3c, 0x3e, 0xc0, 0x34};
    static const float values[] = {1, 1.5f, -2, 0.25f};
    size_t k = (i * 7 + i / 5) % 4;
    double wide = (double)values[k];
    uint16_t bits = dtype == DTYPE_F16 ? float_to_half(values[k]) : float_to_bfloat(values[k]);
    *value = values[k];
    if (dtype == DTYPE_F8_E4M3 || dtype == DTYPE_F8_E5M2)
        to[i] = dtype == DTYPE_F8_E4M3 ? e4m3[k] : e5m2[k];
    else if (dtype == DTYPE_F64)
        memcpy(to + 8 * i, &wide, 8);
    else if (dtype == DTYPE_F32)
        memcpy(to + 4 * i, &values[k], 4);
    else
        memcpy(to + 2 * i, &bits, 2);
}

static void packs_every_type(void **state)
{
    clio_context *ctx = test_context();
    unsigned char data[8 * COUNT_ALL];
    float want[COUNT_ALL], got[COUNT_ALL];
    (void)state;
    for (size_t t = 0; t < COUNT(types); t++)
        for (int swapped = 0; swapped < 2; swapped++) {
            struct weight w = {.name = (char[]){"w"}, .dtype = types[t], .ndim = 3, .count = COUNT_ALL, .data = data};
            struct matrix m;
            memcpy(w.dim, swapped ? (int[]){CHANNELS, ROWS, POSITIONS, 1} : (int[]){ROWS, CHANNELS, POSITIONS, 1}, sizeof w.dim);
            for (size_t i = 0; i < COUNT_ALL; i++)
                store(types[t], data, i, &want[i]);
            assert_ok(matrix_new(ctx, &m, ROWS, CHANNELS * POSITIONS, MATRIX_EXACT, "a test"));
            assert_ok(swapped ? matrix_fill_swapped(ctx, &m, &w) : matrix_fill(ctx, &m, 0, &w));
            assert_ok(matrix_read(ctx, &m, CHANNELS, swapped, got));
            for (size_t i = 0; i < COUNT_ALL; i++)
                if (got[i] != want[i])
                    fail_msg("%s: element %zu is %g, expected %g", dtype_name(types[t]), i, (double)got[i], (double)want[i]);
            matrix_free(ctx, &m);
        }
}

/* A number that is too large for the storage type is refused, and packed as f32. */
static void refuses_overflow(void **state)
{
    static const enum dtype wide[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F64};
    clio_context *ctx = test_context();
    unsigned char data[8 * COUNT_ALL];
    float value, got[COUNT_ALL];
    const double large = 98304; /* 1.5 * 2^16, which all three types have */
    const float large_float = (float)large;
    const uint16_t bits = float_to_bfloat(large_float);
    (void)state;
    for (size_t t = 0; t < COUNT(wide); t++)
        for (int mode = 0; mode < 4; mode++) {
            bool swapped = mode & 1, exact = mode & 2;
            struct weight w = {.name = (char[]){"w"}, .dtype = wide[t], .ndim = 3, .count = COUNT_ALL, .data = data};
            struct matrix m;
            memcpy(w.dim, swapped ? (int[]){CHANNELS, ROWS, POSITIONS, 1} : (int[]){ROWS, CHANNELS, POSITIONS, 1}, sizeof w.dim);
            for (size_t i = 0; i < COUNT_ALL; i++)
                store(wide[t], data, i, &value);
            const void *last = wide[t] == DTYPE_F32 ? (const void *)&large_float : wide[t] == DTYPE_F64 ? (const void *)&large : &bits;
            memcpy(data + (COUNT_ALL - 1) * dtype_size(wide[t]), last, dtype_size(wide[t]));
            assert_ok(matrix_new(ctx, &m, ROWS, CHANNELS * POSITIONS, exact ? MATRIX_EXACT : MATRIX_LARGE, "a test"));
            clio_status st = swapped ? matrix_fill_swapped(ctx, &m, &w) : matrix_fill(ctx, &m, 0, &w);
            assert_int_equal(m.data.dtype == DTYPE_F16, !exact);
            if (exact) {
                assert_ok(st);
                assert_ok(matrix_read(ctx, &m, CHANNELS, swapped, got));
                assert_true(fabsf(got[COUNT_ALL - 1] - large_float) <= 0);
            } else {
                assert_fails(st, CLIO_ERROR_UNSUPPORTED,
                             "tensor w has values that are too large for f16: load them with the weight type f32");
            }
            matrix_free(ctx, &m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packs_every_type), cmocka_unit_test(refuses_overflow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
