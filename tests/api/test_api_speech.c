/* test_api_speech.c - the public interface: speech of one recording. Where CLIO_WHISPER_BASE names real weights, the words are checked too.
 */
#include "test_api.h"

/* ---- hearing ---- */

struct seen {
    size_t count;
    char text[4096];
    int stop_at, cancels;
    clio_context *ctx;
};

static int on_segment(void *user, const clio_segment *segment)
{
    struct seen *seen = user;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s%s", used ? " " : "", segment->text);
    seen->count++;
    if (seen->cancels)
        clio_cancel(seen->ctx);
    return seen->stop_at && (int)seen->count >= seen->stop_at;
}

static void a_transcript_is_whole(void **state)
{
    (void)state;
    struct seen seen = {0};
    clio_transcript *t = NULL;
    assert_true(clio_speech_is_multilingual(small));
    for (int timestamps = 0; timestamps <= 1; timestamps++) {
        clio_speech_params p = quick();
        p.timestamps = timestamps;
        p.on_segment = on_segment;
        p.user = &seen;
        seen = (struct seen){0};
        t = hear(small, shared, &p);
        check_transcript(t, timestamps);
        assert_true(t->segment_count >= 1);
        assert_int_equal(seen.count, t->segment_count);
        assert_string_equal(seen.text, t->text);
        assert_string_equal(t->language, "en");
        assert_float_equal(t->language_probability, 1, 0);
        assert_float_equal(t->duration, 11, 1e-6);
        if (!timestamps) {
            assert_int_equal(t->segment_count, 1);
            assert_true(t->segments[0].token_count <= 8);
            assert_float_equal(t->segments[0].end, 11, 1e-6);
        }
        clio_transcript_free(t);
        if (only_small())
            break;
    }
}

static void a_transcript_stands_alone(void **state)
{
    (void)state;
    if (only_small())
        skip();
    clio_context *ctx = open_context();
    clio_speech *speech = NULL;
    clio_speech_params p = quick();
    assert_ok(ctx, clio_speech_load(ctx, folder, &speech));
    clio_transcript *t = hear(speech, ctx, &p);
    clio_speech_free(speech);
    clio_destroy(ctx);
    check_transcript(t, 0); /* every string of it is read here */
    assert_string_equal(t->language, "en");
    clio_transcript_free(t);
}

static void a_file_is_heard_as_its_samples(void **state)
{
    (void)state;
    clio_speech_params p = quick();
    clio_transcript *a = hear(small, shared, &p), *b = NULL;
    assert_ok(shared, clio_speech_file(small, JFK, &p, &b));
    assert_string_equal(a->text, b->text);
    assert_float_equal(a->duration, b->duration, 1e-6);
    clio_transcript_free(b);
    assert_fails(shared, clio_speech_file(small, "/no/such.wav", &p, &b), CLIO_ERROR_FILE, "/no/such.wav");
    assert_null(b);
    clio_transcript_free(a);
}

static int cancel_transcribing(void *user, const char *what, double done, double total)
{
    (void)user;
    (void)done;
    (void)total;
    return !strcmp(what, "transcribing");
}

static void hearing_can_be_cancelled(void **state)
{
    (void)state;
    if (only_small())
        skip();
    clio_speech_params p = quick();
    clio_transcript *t;
    struct seen seen = {.stop_at = 1, .ctx = shared};
    p.on_segment = on_segment;
    p.user = &seen;
    assert_fails(shared, clio_speech_samples(small, jfk, jfk_count, &p, &t), CLIO_ERROR_CANCELLED, "cancelled");
    assert_true(!t && seen.count == 1);
    seen = (struct seen){.cancels = 1, .ctx = shared};
    assert_fails(shared, clio_speech_samples(small, jfk, jfk_count, &p, &t), CLIO_ERROR_CANCELLED, "cancelled");
    assert_true(!t && seen.count == 1);
    clio_set_progress(shared, cancel_transcribing, NULL);
    p.on_segment = NULL;
    assert_fails(shared, clio_speech_samples(small, jfk, jfk_count, &p, &t), CLIO_ERROR_CANCELLED, "cancelled while transcribing");
    assert_null(t);
    clio_set_progress(shared, NULL, NULL);
    t = hear(small, shared, &p); /* nothing is left of it */
    assert_true(t->segment_count >= 1);
    clio_transcript_free(t);
}

static void silence_says_nothing(void **state)
{
    (void)state;
    static float samples[5 * RATE];
    clio_transcript *t;
    clio_speech_params p = quick();
    p.language = NULL;
    assert_ok(shared, clio_speech_samples(small, samples, 5 * RATE, &p, &t));
    assert_true(t->segment_count == 0 && !*t->text && t->language && !*t->language);
    assert_float_equal(t->duration, 5, 1e-6);
    clio_transcript_free(t);
    for (int i = 0; i < 5 * RATE; i++)
        samples[i] = i % 3 ? NAN : i % 2 ? INFINITY : -INFINITY;
    assert_ok(shared, clio_speech_samples(small, samples, 5 * RATE, &p, &t));
    assert_true(t->segment_count == 0 && !*t->text);
    clio_transcript_free(t);
    for (size_t count = 1; count <= 3; count++) {
        assert_ok(shared, clio_speech_samples(small, jfk + 5 * RATE, count, &p, &t));
        assert_true(t->segment_count == 0 && !*t->text);
        clio_transcript_free(t);
    }
    assert_fails(shared, clio_speech_samples(small, samples, 0, &p, &t), CLIO_ERROR_ARGUMENT, "count is 0");
    assert_null(t);
    assert_fails(shared, clio_speech_samples(small, NULL, 5, &p, &t), CLIO_ERROR_ARGUMENT, "samples is NULL");
}

/* What is not a number is silence, and the rest is heard as ever. */
static void damaged_samples_are_survived(void **state)
{
    (void)state;
    if (only_small())
        skip();
    clio_speech_params p = quick();
    float *damaged = malloc(jfk_count * sizeof *damaged), *cleared = malloc(jfk_count * sizeof *cleared);
    clio_transcript *a, *b;
    assert_true(damaged && cleared);
    memcpy(damaged, jfk, jfk_count * sizeof *jfk);
    memcpy(cleared, jfk, jfk_count * sizeof *jfk);
    for (size_t i = 1000; i < jfk_count; i += 777) {
        damaged[i] = i % 2 ? NAN : INFINITY;
        cleared[i] = 0;
    }
    assert_ok(shared, clio_speech_samples(small, damaged, jfk_count, &p, &a));
    assert_ok(shared, clio_speech_samples(small, cleared, jfk_count, &p, &b));
    check_transcript(a, 0);
    assert_string_equal(a->text, b->text);
    clio_transcript_free(a);
    clio_transcript_free(b);
    free(damaged);
    free(cleared);
}

static void wrong_parameters_are_refused(void **state)
{
    (void)state;
    clio_transcript *t;
    const struct {
        clio_speech_params p;
        const char *part;
    } wrong[] = {
        {{.language = "klingon"}, "params.language is \"klingon\", an unknown language"},
        {{.language = "yue"}, "does not support the language yue"}, /* came with large-v3 */
        {{.temperature = -1}, "params.temperature is -1"},
        {{.temperature_step = NAN}, "params.temperature_step is"},
        {{.max_tokens = -1}, "params.max_tokens is -1"},
        {{.batch = -1}, "params.batch is -1"},
        {{.batch = 1000}, "params.batch is 1000"},
        {{.offset = -1}, "params.offset is -1"},
        {{.duration = NAN}, "params.duration is"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        t = (clio_transcript *)(void *)&t;
        assert_fails(shared, clio_speech_samples(small, jfk, jfk_count, &wrong[i].p, &t), CLIO_ERROR_ARGUMENT, wrong[i].part);
        assert_null(t);
    }
}

/* What was said and how sure it was. */
static char *answer(clio_speech_params p)
{
    clio_transcript *t = hear(small, shared, &p);
    char *text = calloc(strlen(t->text) + 64, 1);
    assert_non_null(text);
    check_transcript(t, p.timestamps);
    assert_int_equal(t->segment_count, 1);
    sprintf(text, "%s (%.9g)", t->text, t->segments[0].avg_logprob);
    clio_transcript_free(t);
    return text;
}

/* Each of these reaches the network: it answers differently with it, and the same when asked again. */
static void parameters_reach_the_network(void **state)
{
    (void)state;
    if (only_small())
        skip();
    clio_speech_params p[] = {quick(), quick(), quick(), quick(), quick(), quick(), quick()};
    enum { COUNT_OF = sizeof p / sizeof *p };
    char *text[COUNT_OF];
    p[1].prompt = "the names of things";
    p[2].prefix = "the";
    p[3].translate = 1;
    p[4].offset = 5;
    p[5].temperature = 2;
    p[6].temperature = 2;
    p[6].seed = 1;
    for (int i = 0; i < COUNT_OF; i++) {
        char *again = answer(p[i]);
        text[i] = answer(p[i]);
        assert_string_equal(again, text[i]);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text[i], text[k]);
        free(again);
    }
    for (int i = 0; i < COUNT_OF; i++)
        free(text[i]);
}

static void parts_of_a_recording(void **state)
{
    (void)state;
    if (only_small())
        skip();
    clio_speech_params p = quick();
    clio_transcript *a, *b;
    p.offset = 2;
    p.duration = 3.5;
    a = hear(small, shared, &p);
    assert_float_equal(a->duration, 3.5, 1e-6);
    assert_int_equal(a->segment_count, 1);
    assert_float_equal(a->segments[0].start, 2, 1e-6);
    assert_float_equal(a->segments[0].end, 5.5, 1e-6);
    p.offset = p.duration = 0;
    assert_ok(shared, clio_speech_samples(small, jfk + 2 * RATE, 7 * RATE / 2, &p, &b));
    assert_string_equal(a->text, b->text); /* nothing of what lies around it was heard */
    clio_transcript_free(a);
    clio_transcript_free(b);
    p.offset = 5;
    p.duration = 100;
    a = hear(small, shared, &p);
    assert_float_equal(a->duration, 6, 1e-6);
    clio_transcript_free(a);
    p.offset = 50;
    assert_fails(shared, clio_speech_samples(small, jfk, jfk_count, &p, &a), CLIO_ERROR_ARGUMENT, "params.offset is 50 s");
    assert_null(a);
}

static void windows_follow_each_other(void **state)
{
    (void)state;
    if (only_small())
        skip();
    float *samples = thrice();
    for (int batch = 0; batch <= 3; batch++) {
        clio_speech_params p = quick();
        clio_transcript *t;
        p.batch = batch;
        p.timestamps = batch != 3;
        assert_ok(shared, clio_speech_samples(small, samples, 3 * jfk_count, &p, &t));
        check_transcript(t, p.timestamps);
        assert_float_equal(t->duration, 33, 1e-6);
        assert_true(t->segment_count >= 1);
        for (size_t i = 1; i < t->segment_count; i++)
            assert_true(t->segments[i].start >= t->segments[i - 1].start);
        clio_transcript_free(t);
    }
    free(samples);
}

/* ---- real weights ---- */

static const char words[] = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";

static clio_transcript *hear_words(clio_speech *speech, clio_context *ctx, clio_speech_params p)
{
    clio_transcript *t = hear(speech, ctx, &p);
    check_transcript(t, p.timestamps);
    return t;
}

static void real_weights_hear_words(void **state)
{
    (void)state;
    const char *base = getenv("CLIO_WHISPER_BASE");
    if (!base || only_small()) {
        if (!base && getenv("CLIO_REQUIRE") && !only_small())
            fail_msg("CLIO_WHISPER_BASE does not name the weights of Whisper base");
        if (!base)
            fprintf(stderr, "SKIPPED: real weights are not here (scripts/fetch-whisper brings them; CLIO_WHISPER_BASE names them)\n");
        skip();
    }
    clio_context *ctx = open_context();
    clio_speech *speech = NULL;
    clio_speech_params p = clio_speech_defaults();
    assert_ok(ctx, clio_speech_load(ctx, base, &speech));
    clio_transcript *t = hear_words(speech, ctx, p); /* language detected */
    assert_string_equal(t->text, words);
    assert_string_equal(t->language, "en");
    assert_true(t->language_probability > 0.5 && t->language_probability <= 1);
    clio_transcript_free(t);
    p.prompt = "A speech by John F. Kennedy.";
    p.language = "English";
    t = hear_words(speech, ctx, p);
    assert_non_null(strstr(t->text, "ask not what your country can do for you"));
    clio_transcript_free(t);
    p = clio_speech_defaults();
    p.prefix = " And so my fellow Americans,"; /* is said for it, and not repeated */
    p.timestamps = 0;
    t = hear_words(speech, ctx, p);
    assert_string_equal(t->text, words + strlen(p.prefix));
    clio_transcript_free(t);
    p = clio_speech_defaults();
    p.translate = 1;
    t = hear_words(speech, ctx, p);
    assert_non_null(strstr(t->text, "your country"));
    clio_transcript_free(t);
    p = clio_speech_defaults();
    p.offset = 7.5;
    t = hear_words(speech, ctx, p);
    assert_non_null(strstr(t->text, "what you can do for your country."));
    assert_null(strstr(t->text, "Americans"));
    assert_true(t->segments[0].start >= 7.5 && t->segments[t->segment_count - 1].end <= 11.1);
    clio_transcript_free(t);
    float *samples = thrice();
    for (int batch = 1; batch <= 2; batch++) {
        int questions = 0;
        p = clio_speech_defaults();
        p.batch = batch;
        p.temperature_step = 0; /* what is said three times zips too well to be believed at once */
        assert_ok(ctx, clio_speech_samples(speech, samples, 3 * jfk_count, &p, &t));
        check_transcript(t, 1);
        for (const char *at = t->text; (at = strstr(at, "sk not what your country can do for you")); at++)
            questions++;
        assert_int_equal(questions, 3);
        clio_transcript_free(t);
    }
    free(samples);
    clio_speech_free(speech);
    clio_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transcript_is_whole),          cmocka_unit_test(a_transcript_stands_alone),
        cmocka_unit_test(a_file_is_heard_as_its_samples), cmocka_unit_test(hearing_can_be_cancelled),
        cmocka_unit_test(silence_says_nothing),           cmocka_unit_test(damaged_samples_are_survived),
        cmocka_unit_test(wrong_parameters_are_refused),   cmocka_unit_test(parameters_reach_the_network),
        cmocka_unit_test(parts_of_a_recording),           cmocka_unit_test(windows_follow_each_other),
        cmocka_unit_test(real_weights_hear_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
