/* test_api_parallel.c - clio_speech_files_parallel as a user has it: two contexts on one device give what one gives. Who does what:
 * tests/models/test_parallel.c. */
#include "test_api.h"

enum { FILES = 7, DAMAGED = 3 };

static clio_context *second;
static clio_speech *also_small;

static int open_second(void **state)
{
    if (set_up(state))
        return -1;
    second = open_context();
    return clio_speech_load(second, folder, &also_small);
}

static int close_second(void **state)
{
    clio_speech_free(also_small);
    clio_destroy(second);
    return tear_down(state);
}

struct heard {
    size_t files, by[2], stop_at;
    char *texts[FILES];
    char error[512];
};

static int heard_file(void *user, size_t index, clio_status status, clio_transcript *t)
{
    struct heard *h = user;
    assert_int_equal(index, h->files);
    assert_int_equal(status, index == DAMAGED ? CLIO_ERROR_FILE : CLIO_OK);
    if (status)
        snprintf(h->error, sizeof h->error, "%s", clio_error(shared));
    h->texts[h->files++] = t ? strdup(t->text) : NULL;
    clio_transcript_free(t);
    return 0;
}

static int heard_in_parallel(void *user, size_t index, size_t device, clio_status status, const char *error, clio_transcript *t)
{
    struct heard *h = user;
    assert_int_equal(index, h->files);
    assert_true(device < 2);
    h->by[device]++;
    assert_int_equal(status, index == DAMAGED ? CLIO_ERROR_FILE : CLIO_OK);
    assert_true(status ? error && !t : !error && t != NULL);
    if (status)
        snprintf(h->error, sizeof h->error, "%s", error);
    h->texts[h->files++] = t ? strdup(t->text) : NULL;
    clio_transcript_free(t);
    return h->files == h->stop_at;
}

static void forget(struct heard *h)
{
    for (size_t i = 0; i < h->files; i++)
        free(h->texts[i]);
}

static void two_contexts_hear_what_one_hears(void **state)
{
    const char *paths[FILES];
    clio_speech *const both[] = {small, also_small};
    clio_speech_params p = quick();
    (void)state;
    if (only_small())
        skip();
    for (size_t i = 0; i < FILES; i++)
        paths[i] = i == DAMAGED ? "/no/such.wav" : JFK;
    p.duration = 2;
    for (int batch = 1; batch <= 3; batch += 2) {
        struct heard one = {0}, two = {0};
        p.batch = batch;
        p.user = &one;
        assert_ok(shared, clio_speech_files(small, paths, FILES, &p, heard_file));
        p.user = &two;
        assert_ok(shared, clio_speech_files_parallel(both, 2, paths, FILES, &p, heard_in_parallel));
        assert_int_equal(two.files, FILES);
        assert_true(two.by[0] && two.by[1]);
        for (size_t i = 0; i < FILES; i++)
            assert_true(i == DAMAGED ? !two.texts[i] : !strcmp(one.texts[i], two.texts[i]));
        assert_string_equal(one.error, two.error);
        forget(&one);
        forget(&two);
    }
}

static void refusals(void **state)
{
    const char *paths[] = {JFK, JFK};
    clio_speech *const twice[] = {small, small}, *const both[] = {small, also_small};
    clio_speech_params p = quick();
    struct heard h = {.stop_at = 1};
    (void)state;
    p.user = &h;
    assert_fails(shared, clio_speech_files_parallel(twice, 2, paths, 2, &p, heard_in_parallel), CLIO_ERROR_ARGUMENT,
                 "speeches[0] and [1] are of the same context");
    assert_ok(shared, clio_speech_files_parallel(both, 2, paths, 0, &p, heard_in_parallel));
    p.language = "klingon";
    assert_fails(shared, clio_speech_files_parallel(both, 2, paths, 2, &p, heard_in_parallel), CLIO_ERROR_ARGUMENT, "an unknown language");
    assert_int_equal(h.files, 0);
    p.language = "en";
    assert_fails(shared, clio_speech_files_parallel(both, 2, paths, 2, &p, heard_in_parallel), CLIO_ERROR_CANCELLED, "cancelled");
    assert_int_equal(h.files, 1);
    forget(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_contexts_hear_what_one_hears),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, open_second, close_second);
}
