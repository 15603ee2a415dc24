/* test_threads.c - what the header promises to programs with threads: different contexts may be used in different threads, and clio_cancel
 * may be called from another one. scripts/check-threads runs it, among others, under ThreadSanitizer. */
#include "../support/test_own.h"

#include "../../host/ops/ops.h"
#include "../../models/image/image.h"
#include "../../models/metrics/metrics.h"

#include <pthread.h>

/* A thread that compiles gets another stack for signals from LLVM in PoCL, and AddressSanitizer would take that for its own. */
#if defined(__GNUC__)
const char *__asan_default_options(void) __attribute__((visibility("default")));
#endif
const char *__asan_default_options(void)
{
    return "use_sigaltstack=0";
}

enum { THREADS = 3, VALUES = 1000 };

struct worker {
    pthread_t thread;
    const char *cache, *image;
    int number;
    bool is_right;
};

/* The power of a spectrum on the device, by a program of the cache that all threads share. */
static bool compute(clio_context *own, const struct worker *w)
{
    struct tensor in = tensor_shape(DTYPE_F32, 3, 1, VALUES, 2, 0), out = tensor_shape(DTYPE_F32, 2, 1, VALUES, 0, 0);
    float pairs[2 * VALUES], power[VALUES];
    const clio_device_info *devices;
    size_t count = 0;
    bool right = clio_set_cache(own, w->cache, 1) == CLIO_OK && clio_device_list(own, &devices, &count) == CLIO_OK && count &&
                 clio_device_open(own, NULL) == CLIO_OK;
    for (int i = 0; i < 2 * VALUES; i++)
        pairs[i] = (float)(i + w->number);
    right = right && tensor_new(own, &in, "a spectrum") == CLIO_OK && tensor_new(own, &out, "its power") == CLIO_OK &&
            tensor_write(own, &in, 0, 2 * VALUES, pairs) == CLIO_OK && op_power_fwd(own, &out, &in) == CLIO_OK &&
            tensor_read(own, &out, 0, VALUES, power) == CLIO_OK;
    for (int i = 0; right && i < VALUES; i++)
        right = power[i] == pairs[2 * i] * pairs[2 * i] + pairs[2 * i + 1] * pairs[2 * i + 1]; /* integers below 2^24 */
    tensor_free(own, &in);
    tensor_free(own, &out);
    return right;
}

/* An image with EXIF data, whose memory is limited for each thread. */
static bool read_image(clio_context *own, const struct worker *w)
{
    struct image image = {0, 0, NULL, false};
    struct metadata metadata = {NULL, 0};
    bool right = image_read(own, &image, w->image) == CLIO_OK && image.width == 3 &&
                 image_metadata_read(own, &metadata, w->image) == CLIO_OK && metadata.count == 1 && !strcmp(metadata.list[0].text, "a fox");
    image_free(&image);
    metadata_free(&metadata);
    return right;
}

static void *work(void *data)
{
    struct worker *w = data;
    clio_context *own = clio_create();
    w->is_right = own && compute(own, w) && read_image(own, w);
    if (own && !w->is_right)
        fprintf(stderr, "thread %d: %s\n", w->number, clio_error(own));
    clio_destroy(own);
    return NULL;
}

static void contexts_of_several_threads(void **state)
{
    struct worker workers[THREADS];
    struct image image;
    struct metadata metadata = {NULL, 0};
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/image.jpg", folder);
    OK(image_new(ctx, &image, "it", 3, 2));
    OK(metadata_add(ctx, &metadata, "parameters", "a fox"));
    OK(image_write(ctx, &image, path, &metadata));
    image_free(&image);
    metadata_free(&metadata);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .image = path, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_true(workers[i].is_right);
    }
}

static void *cancel(void *data)
{
    clio_cancel(data);
    return NULL;
}

/* Comparing these two texts takes far longer than it takes a thread to start. */
static void cancelled_by_another_thread(void **state)
{
    enum { WORDS = 400000 };
    char *texts[2];
    struct error_counts counts = {0};
    pthread_t thread;
    (void)state;
    for (int k = 0; k < 2; k++) {
        texts[k] = malloc(2 * WORDS + 1);
        assert_non_null(texts[k]);
        for (int i = 0; i < WORDS; i++)
            memcpy(texts[k] + 2 * i, k ? "a " : "b ", 2);
        texts[k][2 * WORDS] = 0;
    }
    assert_int_equal(pthread_create(&thread, NULL, cancel, ctx), 0);
    FAILS(error_counts_words(ctx, &counts, texts[0], texts[1]), CLIO_ERROR_CANCELLED, "comparing texts");
    assert_int_equal(pthread_join(thread, NULL), 0);
    free(texts[0]);
    free(texts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contexts_of_several_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_by_another_thread, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
