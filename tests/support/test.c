/* test.c - see test.h. */
#include "test.h"

#include <math.h>
#include <sys/stat.h>

#define CANARY_FLOATS 64
/* NaNs, so that whoever reads them shows it. Inputs and outputs have different ones: many operations hand a NaN on bit for bit, and a
 * kernel that works past the end would put the same canary back. */
#define CANARY_OUTPUT 0x7fc0beefu
#define CANARY_INPUT 0x7fc0cafeu

static clio_context *context;

int test_end(int failed)
{
    clio_destroy(context);
    context = NULL;
    return failed;
}

clio_context *test_context(void)
{
    if (context)
        return context;
    context = clio_create();
    assert_non_null(context);
    assert_ok(clio_device_open(context, NULL));
    context->selftests.bypassed = !getenv("CLIO_TEST_SELFTESTS"); /* a wrong kernel must fail its test, not be replaced by a right one */
    fprintf(stderr, "# device: %s, %s\n", clio_device(context)->platform, clio_device(context)->name);
    return context;
}

void test_ok(clio_status status, const char *file, int line)
{
    if (status == CLIO_OK)
        return;
    fprintf(stderr, "%s: %s\n%s\n", clio_status_name(status), clio_error(context), clio_error_detail(context));
    _fail(file, line);
}

void test_fails(clio_status status, clio_status code, const char *part, const char *file, int line)
{
    if (status == code && strstr(clio_error(context), part))
        return;
    fprintf(stderr, "expected %s with \"%s\", got %s: %s\n", clio_status_name(code), part, clio_status_name(status), clio_error(context));
    _fail(file, line);
}

bool test_small(void)
{
    return getenv("CLIO_TEST_SMALL") != NULL;
}

int test_forget_tapes(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    ctx->tape = ctx->tapes = NULL;
    ctx->pool.taken = NULL;
    return 0;
}

void test_param(const char *key, const char *value)
{
    assert_ok(params_add(test_context(), "any", key, value));
}

void test_random(float *x, size_t n, uint32_t seed)
{
    uint32_t s = seed * 2654435761u + 12345u;
    for (size_t i = 0; i < n; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
    }
}

float *test_new(size_t n)
{
    float *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

float *test_values(size_t n, uint32_t seed)
{
    float *x = test_new(n);
    test_random(x, n, seed);
    return x;
}

float *test_scaled(size_t n, uint32_t seed, float size)
{
    float *x = test_values(n, seed);
    for (size_t i = 0; i < n; i++)
        x[i] *= size;
    return x;
}

void test_close(const float *x, const float *want, size_t n, double tolerance, const char *name, const char *file, int line)
{
    double greatest = 1e-3, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        greatest = fmax(greatest, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++) {
        double e = isfinite(x[i]) ? fabs((double)x[i] - (double)want[i]) : INFINITY;
        if (e > worst) {
            worst = e;
            at = i;
        }
    }
    if (worst <= tolerance * greatest)
        return;
    fprintf(stderr, "%s[%zu] = %.9g, expected %.9g; error %.3g of %.3g, allowed %.3g\n", name, at, (double)x[at], (double)want[at],
            worst / greatest, greatest, tolerance);
    _fail(file, line);
}

struct tensor test_tensor(enum dtype dtype, int ndim, int d0, int d1, int d2, int d3, const void *data)
{
    clio_context *ctx = test_context();
    struct tensor t = tensor_shape(dtype, ndim, d0, d1, d2, d3);
    size_t bytes = tensor_count(&t) * dtype_size(dtype), padded = ROUND_UP(bytes, 4) + CANARY_FLOATS * 4;
    assert_ok(pool_get(ctx, &t.mem, padded, "test tensor"));
    uint32_t *canaries = malloc(padded);
    assert_non_null(canaries);
    for (size_t i = 0; i < padded / 4; i++)
        canaries[i] = data ? CANARY_INPUT : CANARY_OUTPUT;
    assert_int_equal(clEnqueueWriteBuffer(ctx->queue, t.mem, CL_TRUE, 0, padded, canaries, 0, NULL, NULL), CL_SUCCESS);
    free(canaries);
    if (data)
        assert_ok(tensor_write(ctx, &t, 0, tensor_count(&t), data));
    return t;
}

float *test_read(const struct tensor *t)
{
    clio_context *ctx = test_context();
    size_t n = tensor_count(t), bytes = n * dtype_size(t->dtype), first = ROUND_UP(bytes, 4);
    uint32_t canaries[CANARY_FLOATS];
    assert_int_equal(clEnqueueReadBuffer(ctx->queue, t->mem, CL_TRUE, first, sizeof canaries, canaries, 0, NULL, NULL), CL_SUCCESS);
    for (int i = 0; i < CANARY_FLOATS; i++)
        if (canaries[i] != canaries[CANARY_FLOATS - 1] || (canaries[i] != CANARY_OUTPUT && canaries[i] != CANARY_INPUT))
            fail_msg("written past the end of a tensor, at word %d behind it", i);
    float *x = malloc(n * 4);
    assert_non_null(x);
    assert_ok(tensor_read(ctx, t, 0, n, x));
    return x;
}

void test_free(struct tensor *t)
{
    tensor_free(test_context(), t);
}

unsigned char *test_bytes(const struct weight *w)
{
    size_t size = w->count * dtype_size(w->dtype);
    unsigned char *bytes = malloc(size + 1);
    const unsigned char *from;
    assert_non_null(bytes);
    assert_ok(weight_bytes(NULL, w, 0, size, bytes, &from));
    if (from != bytes)
        memcpy(bytes, from, size);
    return bytes;
}

float *test_floats(const struct weights *golden, const char *name, size_t count)
{
    const struct weight *w = weights_find(golden, name);
    if (!w)
        fail_msg("the golden file has no tensor %s", name);
    assert_int_equal(w->count, count);
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    if (w->dtype == DTYPE_I32) {
        unsigned char *bytes = test_bytes(w);
        memcpy(x, bytes, count * sizeof *x);
        free(bytes);
    } else {
        assert_ok(weight_floats(NULL, w, 0, count, x));
    }
    return x;
}

const char *test_golden(const char *name)
{
    static char path[1024];
    const char *folders[] = {getenv("CLIO_GOLDEN"), CLIO_SOURCE_DIR "/tests/golden", CLIO_SOURCE_DIR "/../shared/golden"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        struct stat s;
        if (!folders[i])
            continue;
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        if (stat(path, &s) == 0)
            return path;
    }
    if (getenv("CLIO_REQUIRE"))
        fail_msg("golden file %s is missing (CLIO_GOLDEN)", name);
    fprintf(stderr, "SKIPPED: golden file %s is not here (set CLIO_GOLDEN to its folder)\n", name);
    return NULL;
}

const char *test_golden_in(const char *folder, const char *name)
{
    static char paths[4][1100];
    static int turn;
    char *path = paths[turn++ % 4], relative[160];
    snprintf(relative, sizeof relative, "%s%s%s", folder, *name ? "/" : "", name);
    const char *found = test_golden(relative);
    if (!found)
        return NULL;
    snprintf(path, sizeof paths[0], "%s", found);
    return path;
}

struct weights test_operations(void)
{
    struct weights golden = {0};
    const char *path = test_golden("operations/golden.safetensors");
    if (!path)
        skip();
    assert_ok(weights_open(test_context(), &golden, path, "model"));
    return golden;
}

float *test_picture(const struct weights *golden, int dim[4], const char *format, ...)
{
    char name[64];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    const struct weight *w = weights_find(golden, name);
    if (!w)
        fail_msg("the golden file has no tensor %s", name);
    float *x = test_floats(golden, name, w->count), *y = test_new(w->count);
    int channels = w->dim[1], pixels = (int)w->count / (w->dim[0] * channels);
    for (int i = 0; dim && i < 4; i++)
        dim[i] = i < w->ndim ? w->dim[i] : 1;
    for (int i = 0; i < (int)w->count; i++)
        y[(i / pixels / channels * pixels + i % pixels) * channels + i / pixels % channels] = x[i];
    free(x);
    return y;
}
