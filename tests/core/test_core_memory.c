/* test_core_memory.c - device memory: limits and their sentences, reuse, arenas; tensors; half precision on the host. */
#include "../support/test_own.h"

#include <math.h>

#define MIB (1024.0 * 1024.0)

/* ---- how much may be taken ---- */

/* The limit that CLIO_MEMORY_LIMIT=text gives. */
static uint64_t limit_of(const char *text)
{
    setenv("CLIO_MEMORY_LIMIT", text, 1);
    clio_status status = clio_device_open(ctx, NULL);
    unsetenv("CLIO_MEMORY_LIMIT");
    OK(status);
    return ctx->device.memory_limit;
}

static void test_limit_variable(void **state)
{
    static const char *const wrong[] = {"much", "-1", "0", "4X", "1M2", "nan", "G"};
    (void)state;
    OK(clio_device_open(ctx, NULL));
    assert_int_equal(ctx->device.memory_limit, ctx->device.global_memory);
    assert_int_equal(limit_of("100000"), 100000);
    assert_int_equal(limit_of("64K"), 65536);
    assert_int_equal(limit_of("1.5M"), 1572864);
    assert_int_equal(limit_of("2m"), 2097152);
    assert_int_equal(limit_of("2 MiB"), 2097152);
    assert_int_equal(limit_of("0.001G"), 1073741); /* of 1024 each */
    assert_int_equal(limit_of("2MB"), 2097152);
    assert_int_equal(limit_of("99999999G"), ctx->device.global_memory); /* no more than there is */
    assert_int_equal(limit_of(""), ctx->device.global_memory);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        setenv("CLIO_MEMORY_LIMIT", wrong[i], 1);
        clio_status status = clio_device_open(ctx, NULL);
        unsetenv("CLIO_MEMORY_LIMIT");
        FAILS(status, CLIO_ERROR_ARGUMENT, "is not a size: examples are 1500M and 4G");
        assert_non_null(strstr(clio_error(ctx), wrong[i]));
        assert_null(clio_device(ctx));
    }
    clio_set_memory_limit(ctx, 12345);
    OK(clio_device_open(ctx, NULL));
    assert_int_equal(ctx->device.memory_limit, 12345);
}

/* The refusal names what needs how much, the limit, and the way out. */
static void test_refusal(void **state)
{
    cl_mem first, second;
    uint64_t now, peak;
    (void)state;
    clio_set_memory_limit(ctx, (uint64_t)(10 * MIB));
    OK(clio_device_open(ctx, NULL));
    OK(pool_get(ctx, &first, (uint64_t)(6 * MIB), "the encoder"));
    FAILS(pool_get(ctx, &second, (uint64_t)(5 * MIB), "the decoder"), CLIO_ERROR_MEMORY,
          "the decoder needs 5 MiB beside the 6 MiB in use, of 10 MiB");
    assert_non_null(strstr(clio_error(ctx), "use a smaller model, or another device"));
    assert_null(second);
    clio_memory(ctx, &now, &peak);
    assert_int_equal(now, (uint64_t)(6 * MIB));
    assert_int_equal(peak, (uint64_t)(6 * MIB));
    OK(pool_get(ctx, &second, (uint64_t)(4 * MIB), "the decoder")); /* just fits */
    pool_put(ctx, first);
    pool_put(ctx, second);
    ctx->device.max_allocation = (uint64_t)(3 * MIB);
    FAILS(pool_get(ctx, &first, (uint64_t)(4 * MIB), "a table"), CLIO_ERROR_MEMORY, "a table needs 4 MiB in one piece");
    assert_non_null(strstr(clio_error(ctx), "allows 3 MiB: use a smaller model, or another device"));
}

/* ---- the pool ---- */

static void test_reuse(void **state)
{
    cl_mem a, b, c;
    uint64_t now, peak;
    (void)state;
    OK(clio_device_open(ctx, NULL));
    OK(pool_get(ctx, &a, 1000, "a"));
    OK(pool_get(ctx, &b, 5000, "b"));
    clio_memory(ctx, &now, &peak);
    assert_int_equal(now, 1024 + 5120);
    pool_put(ctx, a);
    OK(pool_get(ctx, &c, 900, "c"));
    assert_ptr_equal(a, c); /* the buffer that waited */
    pool_put(ctx, c);
    OK(pool_get(ctx, &c, 100, "c"));
    assert_ptr_not_equal(a, c); /* too large a one is not wasted */
    pool_put(ctx, b);
    pool_put(ctx, c);
    clio_memory(ctx, &now, &peak);
    assert_int_equal(now, 0);
    assert_int_equal(peak, 1024 + 5120);
    assert_int_equal(ctx->pool.idle_count, 3);
}

/* What is kept for reuse counts: a limit holds for all that is taken from the device. */
static void test_idle_memory_is_given_back(void **state)
{
    cl_mem a, b;
    (void)state;
    clio_set_memory_limit(ctx, (uint64_t)(10 * MIB));
    OK(clio_device_open(ctx, NULL));
    OK(pool_get(ctx, &a, (uint64_t)(6 * MIB), "a"));
    pool_put(ctx, a);
    assert_int_equal(ctx->pool.idle_bytes, (uint64_t)(6 * MIB));
    OK(pool_get(ctx, &b, (uint64_t)(3 * MIB), "b"));
    assert_int_equal(ctx->pool.idle_bytes, (uint64_t)(6 * MIB)); /* together they fit */
    pool_put(ctx, b);
    OK(pool_get(ctx, &b, (uint64_t)(9 * MIB), "b"));
    assert_true(ctx->pool.idle_bytes + ctx->pool.now <= (uint64_t)(10 * MIB));
    pool_put(ctx, b);
}

/* Thousands of small buffers are not kept, but while an arena grows. */
static void test_few_idle_buffers(void **state)
{
    enum { MANY = 400, MOST = 256 };
    cl_mem list[MANY];
    struct arena a = {0};
    (void)state;
    OK(clio_device_open(ctx, NULL));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            OK(pool_get(ctx, &list[i], 100, "a"));
        if (round)
            arena_grow(ctx, &a);
        for (int i = 0; i < MANY; i++)
            pool_put(ctx, list[i]);
        assert_int_equal(ctx->pool.idle_count, round ? MANY : MOST);
    }
    arena_free(ctx, &a);
    assert_int_equal(ctx->pool.idle_count, MOST);
    assert_int_equal(ctx->pool.idle_bytes, MOST * 256);
}

/* ---- arenas ---- */

/* A call that takes three tensors, of which the last two share a place; the planned and the real one run the same code. */
static void steps(struct arena *arena, int n, struct tensor t[3])
{
    uint64_t mark;
    for (int i = 0; i < 3; i++)
        t[i] = tensor_shape(DTYPE_F32, 1, i == 2 ? 2 * n : n, 0, 0, 0);
    OK(tensor_take(ctx, arena, &t[0]));
    mark = arena_mark(arena);
    OK(tensor_take(ctx, arena, &t[1]));
    arena_release(arena, mark);
    OK(tensor_take(ctx, arena, &t[2]));
    arena_release(arena, 0);
}

static void plan(struct arena *arena, int n)
{
    struct tensor t[3];
    ctx->planning = true;
    steps(arena, n, t);
    ctx->planning = false;
    for (int i = 0; i < 3; i++)
        assert_null(t[i].mem);
}

static void test_arena(void **state)
{
    enum { N = 1000 };
    struct arena arena = {0};
    struct tensor t[3], again[3];
    float x[2 * N], y[2 * N];
    (void)state;
    OK(clio_device_open(ctx, NULL));
    plan(&arena, N);
    assert_true(arena.peak >= 12 * N && arena.peak < 12 * N + 3 * ctx->device.address_alignment);
    assert_null(arena.mem);
    OK(arena_commit(ctx, &arena, "scratch"));
    steps(&arena, N, t);
    test_random(x, N, 1);
    OK(tensor_write(ctx, &t[0], 0, N, x));
    test_random(y, 2 * N, 2);
    OK(tensor_write(ctx, &t[2], 0, 2 * N, y));
    OK(tensor_read(ctx, &t[0], 0, N, y)); /* untouched by its neighbour */
    assert_memory_equal(x, y, N * sizeof *x);
    test_random(x, 2 * N, 2);
    OK(tensor_read(ctx, &t[1], 0, N, y)); /* the same place as the third */
    assert_memory_equal(x, y, N * sizeof *x);
    steps(&arena, N, again); /* the next step makes nothing new */
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(t[i].mem, again[i].mem);
    arena_free(ctx, &arena);
    assert_int_equal(ctx->pool.now, 0);
}

static void test_arena_grows(void **state)
{
    struct arena arena = {0};
    struct tensor t[3], more = tensor_shape(DTYPE_F32, 1, 5000, 0, 0, 0);
    (void)state;
    OK(clio_device_open(ctx, NULL));
    plan(&arena, 100);
    OK(arena_commit(ctx, &arena, "scratch"));
    FAILS(tensor_take(ctx, &arena, &more), CLIO_ERROR_INTERNAL, "an arena of ");
    OK(arena_commit(ctx, &arena, "scratch"));
    plan(&arena, 3000);
    OK(arena_commit(ctx, &arena, "scratch"));
    assert_true(arena.capacity >= 36000);
    steps(&arena, 3000, t);
    uint64_t capacity = arena.capacity;
    plan(&arena, 10);
    OK(arena_commit(ctx, &arena, "scratch"));
    assert_int_equal(arena.capacity, capacity); /* a smaller step keeps it */
    arena_free(ctx, &arena);
}

/* A step that would not fit is refused before it starts. */
static void test_arena_refused(void **state)
{
    struct arena arena = {0};
    (void)state;
    clio_set_memory_limit(ctx, (uint64_t)MIB);
    OK(clio_device_open(ctx, NULL));
    plan(&arena, 1 << 20);
    FAILS(arena_commit(ctx, &arena, "a step of 30 seconds"), CLIO_ERROR_MEMORY,
          "a step of 30 seconds needs 12 MiB beside the 0 MiB in use, of 1 MiB");
    arena_free(ctx, &arena);
    assert_int_equal(ctx->pool.now, 0);
}

/* ---- tensors ---- */

static void test_tensors(void **state)
{
    static const float x[6] = {1, -2, 65504, 0.1f, 1e-7f, 1e6f},
                       halves[6] = {1, -2, 65504, 0.0999755859375f, 1.1920928955078125e-07f, INFINITY};
    float y[6], zeros[6] = {0};
    char text[96];
    (void)state;
    OK(clio_device_open(ctx, NULL));
    struct tensor t = tensor_shape(DTYPE_F16, 2, 2, 3, 9, 9), flat = tensor_reshape(&t, 1, 6, 9, 9, 9);
    assert_int_equal(tensor_count(&t), 6);
    assert_int_equal(t.dim[2], 1);
    assert_string_equal(tensor_describe(&t, text), "f16 [2, 3]");
    assert_string_equal(tensor_describe(&flat, text), "f16 [6]");
    OK(tensor_new(ctx, &t, "a test tensor"));
    OK(tensor_write(ctx, &t, 0, 6, x));
    OK(tensor_read(ctx, &t, 0, 6, y));
    assert_memory_equal(y, halves, sizeof y);
    OK(tensor_write(ctx, &t, 4, 2, x));
    OK(tensor_read(ctx, &t, 3, 3, y));
    assert_memory_equal(y + 1, x, 2 * sizeof *x);
    assert_memory_equal(y, halves + 3, sizeof *y);
    FAILS(tensor_write(ctx, &t, 4, 3, x), CLIO_ERROR_INTERNAL, "elements 4 to 7 of a tensor f16 [2, 3]");
    FAILS(tensor_read(ctx, &t, 7, 0 + 1, y), CLIO_ERROR_INTERNAL, "elements 7 to 8");
    FAILS(tensor_read(ctx, &t, 1, SIZE_MAX, y), CLIO_ERROR_INTERNAL, "elements 1 to");
    OK(tensor_zero(ctx, &t));
    ctx->planning = true;
    OK(tensor_write(ctx, &t, 0, 6, x)); /* writes nothing */
    ctx->planning = false;
    OK(tensor_read(ctx, &t, 0, 6, y));
    assert_memory_equal(y, zeros, sizeof y);
    tensor_free(ctx, &t);
    assert_null(t.mem);
    tensor_free(ctx, &t);
}

/* ---- half precision: every half, and every border between two of them ---- */

static double value_of(unsigned h)
{
    double m = h & 0x3ff;
    int e = (int)(h >> 10 & 31);
    double v = e == 31 ? (m > 0 ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

static void test_half_to_float(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x10000; h++) {
        double want = value_of(h);
        float f = half_to_float((uint16_t)h);
        if (isnan(want)) {
            assert_true(isnan(f));
            uint16_t back = float_to_half(f);
            assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff));
            continue;
        }
        assert_true(!((double)f < want) && !((double)f > want) && !signbit(f) == !(h & 0x8000));
        assert_int_equal(float_to_half(f), h);
    }
}

static void test_float_to_half(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7c00; h++)
        for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
            double above = h == 0x7bff ? 65536 : value_of(h + 1);
            float middle = (float)((value_of(h) + above) / 2), direction = sign ? -1 : 1; /* a float holds it exactly */
            assert_int_equal(float_to_half(direction * middle), (h + (h & 1)) | sign);    /* to even */
            assert_int_equal(float_to_half(direction * nextafterf(middle, 0)), h | sign);
            assert_int_equal(float_to_half(direction * nextafterf(middle, INFINITY)), (h + 1) | sign);
        }
    assert_int_equal(float_to_half(INFINITY), 0x7c00);
    assert_int_equal(float_to_half(-3e38f), 0xfc00);
    assert_int_equal(float_to_half(1e-30f), 0);
    assert_int_equal(float_to_half(-1e-45f), 0x8000);
}

static void test_overflows(void **state)
{
    static const struct {
        float value;
        bool half, q8; /* becomes infinite */
    } cases[] = {{1, false, false},         {65519.996f, false, false}, {65520, true, false},   {-65520, true, false},
                 {-8321024, true, false},   {8321040, true, true},      {-3.4e38f, true, true}, {INFINITY, false, false},
                 {-INFINITY, false, false}, {NAN, false, false}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        float x[3] = {0.5f, cases[i].value, -0.5f};
        assert_int_equal(dtype_overflows(DTYPE_F16, DTYPE_F32, x, 3), cases[i].half);
        assert_int_equal(dtype_overflows(DTYPE_Q8, DTYPE_F32, x, 3), cases[i].q8);
        assert_false(dtype_overflows(DTYPE_F16, DTYPE_F32, x, 1) || dtype_overflows(DTYPE_F32, DTYPE_F32, x, 3) ||
                     dtype_overflows(DTYPE_BF16, DTYPE_F32, x, 3));
        bool infinite = isinf(half_to_float(float_to_half(cases[i].value))) && !isinf(cases[i].value);
        assert_int_equal(infinite, cases[i].half);
    }
    for (uint32_t b = 0; b < 0x10000; b++) {
        uint16_t bits = (uint16_t)b;
        float value = bfloat_to_float(bits);
        assert_int_equal(dtype_overflows(DTYPE_F16, DTYPE_BF16, &bits, 1), dtype_overflows(DTYPE_F16, DTYPE_F32, &value, 1));
    }
}

static void test_bfloat(void **state)
{
    (void)state;
    assert_true(fabsf(bfloat_to_float(0x3f80) - 1) <= 0 && fabsf(bfloat_to_float(0xc049) + 3.140625f) <= 0);
    assert_true(isinf(bfloat_to_float(0x7f80)) && isnan(bfloat_to_float(0x7fc0)) && bfloat_to_float(0x0001) > 0);
    for (uint32_t b = 0; b < 0x10000; b++)
        if (!isnan(bfloat_to_float((uint16_t)b)))
            assert_int_equal(float_to_bfloat(bfloat_to_float((uint16_t)b)), b);
    assert_int_equal(float_to_bfloat(0x1.01p0f), 0x3f80); /* halfway between 1 and its neighbour: to the even one */
    assert_int_equal(float_to_bfloat(0x1.03p0f), 0x3f82);
    assert_int_equal(float_to_bfloat(0x1.010002p0f), 0x3f81);
    assert_int_equal(float_to_bfloat(-3.4e38f), 0xff80);
    assert_true(isnan(bfloat_to_float(float_to_bfloat(NAN))));
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_limit_variable),   EACH(test_refusal),       EACH(test_reuse),         EACH(test_idle_memory_is_given_back),
        EACH(test_few_idle_buffers), EACH(test_arena),         EACH(test_arena_grows),   EACH(test_arena_refused),
        EACH(test_tensors),          EACH(test_half_to_float), EACH(test_float_to_half), EACH(test_bfloat),
        EACH(test_overflows),
    };
    unsetenv("CLIO_MEMORY_LIMIT");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
