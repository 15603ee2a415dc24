/* test_api.c - the public interface: names, devices, loading, several contexts, profile and memory. */
#include "test_api.h"

/* ---- without a device ---- */

static void null_and_names(void **state)
{
    (void)state;
    clio_destroy(NULL);
    clio_speech_free(NULL);
    clio_transcript_free(NULL);
    assert_true(strlen(clio_version()) >= 5);
    for (int i = CLIO_OK; i <= CLIO_ERROR_INTERNAL; i++) {
        assert_non_null(clio_status_name((clio_status)i));
        for (int j = CLIO_OK; j < i; j++)
            assert_string_not_equal(clio_status_name((clio_status)i), clio_status_name((clio_status)j));
    }
    assert_non_null(clio_status_name((clio_status)1000));
}

static void a_new_context_has_nothing(void **state)
{
    (void)state;
    clio_context *ctx = clio_create();
    clio_speech *speech = (clio_speech *)(void *)&ctx;
    const clio_profile_row *rows = (const clio_profile_row *)(const void *)&ctx;
    uint64_t now = 1, peak = 1;
    size_t count = 1;
    assert_non_null(ctx);
    assert_string_equal(clio_error(ctx), "");
    assert_string_equal(clio_error_detail(ctx), "");
    assert_null(clio_device(ctx));
    clio_memory(ctx, &now, &peak);
    assert_true(now == 0 && peak == 0);
    assert_fails(ctx, clio_speech_load(ctx, folder, &speech), CLIO_ERROR_ARGUMENT, "no device is open");
    assert_null(speech);
    assert_fails(ctx, clio_profile(ctx, &rows, &count), CLIO_ERROR_ARGUMENT, "no device is open");
    assert_true(!rows && count == 0);
    clio_destroy(ctx);
}

static void defaults_are_whispers(void **state)
{
    (void)state;
    clio_speech_params p = clio_speech_defaults();
    assert_true(!p.language && !p.prompt && !p.prefix && !p.on_segment && !p.user && !p.translate && !p.max_tokens && !p.seed);
    assert_true(p.timestamps == 1 && p.condition_on_previous == 1 && p.suppress_blank == 1);
    assert_float_equal(p.temperature, 0, 0);
    assert_float_equal(p.temperature_step, 0.2, 1e-6);
    assert_float_equal(p.compression_threshold, 2.4, 1e-6);
    assert_float_equal(p.logprob_threshold, -1, 0);
    assert_float_equal(p.no_speech_threshold, 0.6, 1e-6);
    assert_true(p.offset <= 0 && p.offset >= 0 && p.duration <= 0 && p.duration >= 0);
}

static void languages_are_listed(void **state)
{
    (void)state;
    const char *code, *name;
    size_t n = 0;
    clio_language(0, &code, &name);
    assert_string_equal(code, "en");
    assert_string_equal(name, "English");
    for (clio_language(n, &code, &name); code; clio_language(++n, &code, &name))
        assert_true(strlen(code) >= 2 && strlen(code) <= 3 && strlen(name) >= 3);
    assert_null(name);
    assert_int_equal(n, 100);
}

/* ---- devices ---- */

static void devices_are_listed_and_opened(void **state)
{
    (void)state;
    clio_context *ctx = clio_create();
    const clio_device_info *list;
    char selector[600];
    size_t count, chosen = 0, usable = 0;
    assert_ok(ctx, clio_device_list(ctx, &list, &count));
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(list[i].platform);
        chosen += list[i].chosen != 0;
        if (list[i].index < 0) {
            assert_non_null(list[i].problem);
            continue;
        }
        assert_int_equal(list[i].index, usable++); /* usable ones first, numbered in order */
        assert_int_equal(list[i].index, i);
        assert_true(*list[i].name && *list[i].driver && *list[i].version && list[i].has_compiler && list[i].compute_units > 0);
        assert_true(list[i].global_memory > 0 && list[i].max_allocation > 0 && list[i].max_allocation <= list[i].global_memory);
        assert_true(!strcmp(list[i].type, "gpu") || !strcmp(list[i].type, "cpu") || !strcmp(list[i].type, "accelerator"));
    }
    assert_int_equal(chosen, 1);
    const clio_device_hint *hints;
    size_t hint_count;
    assert_ok(ctx, clio_device_hints(ctx, &hints, &hint_count));
    for (size_t i = 0; i < hint_count; i++)
        assert_true(*hints[i].id && hints[i].text[strlen(hints[i].text) - 1] == '.');
    assert_ok(ctx, clio_device_open(ctx, NULL));
    assert_true(clio_device(ctx)->chosen && *clio_device(ctx)->reason);
    assert_ok(ctx, clio_device_open(ctx, "0")); /* a second opening closes the first */
    assert_int_equal(clio_device(ctx)->index, 0);
    snprintf(selector, sizeof selector, "%s:%s:%s", list[0].platform, list[0].type, list[0].name);
    assert_ok(ctx, clio_device_open(ctx, selector));
    assert_string_equal(clio_device(ctx)->name, list[0].name);
    assert_fails(ctx, clio_device_open(ctx, "::no such thing"), CLIO_ERROR_ARGUMENT, "no device matches \"::no such thing\"");
    assert_null(clio_device(ctx));
    assert_fails(ctx, clio_device_open(ctx, "99"), CLIO_ERROR_ARGUMENT, "selector is 99");
    clio_destroy(ctx);
}

/* ---- loading ---- */

static int cancel_at_once(void *user, const char *what, double done, double total)
{
    int *calls = user;
    assert_true(what && *what && done >= 0 && total >= 0);
    return ++*calls >= 1;
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    clio_speech *speech = small;
    char path[1200], moved[1200];
    const char *golden = getenv("CLIO_GOLDEN") ? getenv("CLIO_GOLDEN") : CLIO_SOURCE_DIR "/../shared/golden";
    struct stat info;
    assert_fails(shared, clio_speech_load(shared, NULL, &speech), CLIO_ERROR_ARGUMENT, "clio_speech_load: dir is NULL");
    assert_null(speech);
    assert_fails(shared, clio_speech_load(shared, "/no/such/folder", &speech), CLIO_ERROR_FILE, "/no/such/folder is not a folder");
    assert_fails(shared, clio_speech_load(shared, JFK, &speech), CLIO_ERROR_FILE, "is not a folder");
    assert_fails(shared, clio_speech_load(shared, CLIO_SOURCE_DIR, &speech), CLIO_ERROR_FILE, "config.json");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    snprintf(moved, sizeof moved, "%s/moved.json", folder);
    assert_int_equal(rename(path, moved), 0);
    clio_status st = clio_speech_load(shared, folder, &speech);
    assert_int_equal(rename(moved, path), 0);
    assert_fails(shared, st, CLIO_ERROR_FILE, "has neither tokenizer.json");
    assert_null(speech);
    snprintf(path, sizeof path, "%s/whisper-tiny-random", golden);
    if (stat(path, &info) == 0)
        assert_fails(shared, clio_speech_load(shared, path, &speech), CLIO_ERROR_FILE, "has neither tokenizer.json");
    else
        fprintf(stderr, "SKIPPED: golden file whisper-tiny-random is not here (set CLIO_GOLDEN to its folder)\n");
}

static void loading_can_be_cancelled_and_limited(void **state)
{
    (void)state;
    clio_context *ctx = open_context();
    clio_speech *speech = small;
    int calls = 0;
    uint64_t now, peak;
    clio_set_progress(ctx, cancel_at_once, &calls);
    assert_fails(ctx, clio_speech_load(ctx, folder, &speech), CLIO_ERROR_CANCELLED, "cancelled");
    assert_true(!speech && calls == 1);
    clio_memory(ctx, &now, &peak);
    assert_true(now == 0 && peak > 0); /* a half-loaded model is given back */
    clio_set_progress(ctx, NULL, NULL);
    assert_fails(ctx, clio_set_weight_type(ctx, "q3"), CLIO_ERROR_ARGUMENT, "f32, f16 or q8_0");
    assert_ok(ctx, clio_set_weight_type(ctx, NULL));
    clio_set_memory_limit(ctx, 1 << 20);
    assert_ok(ctx, clio_device_open(ctx, NULL));
    assert_fails(ctx, clio_speech_load(ctx, folder, &speech), CLIO_ERROR_MEMORY, "MiB");
    assert_null(speech);
    clio_memory(ctx, &now, &peak);
    assert_true(now == 0 && peak <= 1 << 20);
    clio_destroy(ctx);
}

/* ---- several contexts, and what is counted ---- */

static void two_contexts_at_once(void **state)
{
    (void)state;
    if (only_small())
        skip();
    clio_context *ctx = open_context();
    clio_speech *speech = NULL, *third = NULL;
    clio_speech_params p = quick();
    clio_transcript *a = hear(small, shared, &p);
    assert_ok(ctx, clio_speech_load(ctx, folder, &speech));
    assert_ok(ctx, clio_speech_load(ctx, folder, &third)); /* two models in one context */
    for (int i = 0; i < 2; i++) {
        clio_transcript *b = hear(i ? third : speech, ctx, &p), *c = hear(small, shared, &p);
        assert_string_equal(a->text, b->text);
        assert_string_equal(a->text, c->text);
        clio_transcript_free(b);
        clio_transcript_free(c);
    }
    clio_transcript_free(a);
    clio_speech_free(third);
    clio_speech_free(speech);
    clio_destroy(ctx);
}

static void profile_and_memory_are_counted(void **state)
{
    (void)state;
    clio_context *ctx = clio_create();
    clio_speech *speech = NULL;
    clio_speech_params p = quick();
    const clio_profile_row *rows;
    size_t count;
    uint64_t now, loaded, peak;
    double seconds = INFINITY, total = 0;
    clio_set_profile(ctx, 1);
    assert_ok(ctx, clio_device_open(ctx, NULL));
    assert_ok(ctx, clio_speech_load(ctx, folder, &speech));
    clio_memory(ctx, &loaded, &peak);
    assert_true(loaded > 400000 && peak >= loaded);
    clio_transcript_free(hear(speech, ctx, &p));
    assert_ok(ctx, clio_profile(ctx, &rows, &count));
    assert_true(count >= 5);
    for (size_t i = 0; i < count; i++) {
        assert_true(*rows[i].kernel && rows[i].calls > 0 && rows[i].seconds >= 0 && rows[i].seconds <= seconds);
        assert_true(rows[i].gflops >= 0 && rows[i].gbytes >= 0);
        seconds = rows[i].seconds;
        total += seconds;
    }
    assert_true(total > 0);
    assert_ok(ctx, clio_profile(ctx, &rows, &count)); /* since the last call nothing ran */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rows[i].calls, 0);
    clio_memory(ctx, &now, &peak);
    assert_true(now == loaded); /* hearing gives back what it takes */
    clio_speech_free(speech);
    clio_memory(ctx, &now, &peak);
    assert_true(now == 0 && peak >= loaded);
    clio_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_and_names),
        cmocka_unit_test(a_new_context_has_nothing),
        cmocka_unit_test(defaults_are_whispers),
        cmocka_unit_test(languages_are_listed),
        cmocka_unit_test(devices_are_listed_and_opened),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(loading_can_be_cancelled_and_limited),
        cmocka_unit_test(two_contexts_at_once),
        cmocka_unit_test(profile_and_memory_are_counted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
