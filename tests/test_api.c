/* test_api.c - the public interface as a user has it: sees clio.h alone and links the shared library.
 *
 * Speech is heard by a small network with random weights, which tests/make_whisper writes into a temporary folder: what it says means
 * nothing, but all of the interface can be tried. Where CLIO_WHISPER_BASE names real weights, the words are checked too.
 * CLIO_TEST_SMALL leaves out what hears more than one or two windows. */
#include <clio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RATE 16000
#define JFK CLIO_SOURCE_DIR "/tests/golden/jfk.wav"

static char folder[1024]; /* the small model */
static float *jfk;        /* 11 s of speech */
static size_t jfk_count;
static clio_context *shared; /* with the device open and the small model loaded */
static clio_speech *small;

static void is_ok(clio_context *ctx, clio_status status, const char *file, int line)
{
    if (status == CLIO_OK)
        return;
    fprintf(stderr, "%s: %s\n%s\n", clio_status_name(status), clio_error(ctx), clio_error_detail(ctx));
    _fail(file, line);
}
#define assert_ok(ctx, status) is_ok((ctx), (status), __FILE__, __LINE__)

static void is_failure(clio_context *ctx, clio_status status, clio_status code, const char *part, const char *file, int line)
{
    if (status == code && strstr(clio_error(ctx), part) && *clio_error_detail(ctx))
        return;
    fprintf(stderr, "expected %s with \"%s\", got %s: %s\n%s\n", clio_status_name(code), part, clio_status_name(status), clio_error(ctx),
            clio_error_detail(ctx));
    _fail(file, line);
}
#define assert_fails(ctx, status, code, part) is_failure((ctx), (status), (code), (part), __FILE__, __LINE__)

static int only_small(void)
{
    return getenv("CLIO_TEST_SMALL") != NULL;
}

/* ---- what the tests start from ---- */

/* The samples of a 16-bit mono WAV file. */
static float *read_wav(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    unsigned char head[8];
    float *samples = NULL;
    assert_non_null(file);
    assert_int_equal(fseek(file, 12, SEEK_SET), 0);
    while (fread(head, 1, 8, file) == 8) {
        unsigned long size = head[4] | (unsigned long)head[5] << 8 | (unsigned long)head[6] << 16 | (unsigned long)head[7] << 24;
        if (memcmp(head, "data", 4) != 0) {
            assert_int_equal(fseek(file, (long)size, SEEK_CUR), 0);
            continue;
        }
        *count = size / 2;
        samples = malloc(*count * sizeof *samples);
        assert_non_null(samples);
        for (size_t i = 0; i < *count; i++) {
            assert_int_equal(fread(head, 1, 2, file), 2);
            int value = head[0] | head[1] << 8;
            samples[i] = (float)(value >= 32768 ? value - 65536 : value) / 32768;
        }
        break;
    }
    fclose(file);
    assert_non_null(samples);
    return samples;
}

static clio_context *open_context(void)
{
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    assert_ok(ctx, clio_device_open(ctx, NULL));
    return ctx;
}

static int set_up(void **state)
{
    char command[4096];
    (void)state;
    snprintf(folder, sizeof folder, "%s/api.XXXXXX", CLIO_BUILD_DIR);
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "'%s/tests/make_whisper' mini '%s'", CLIO_BUILD_DIR, folder);
    assert_int_equal(system(command), 0);
    jfk = read_wav(JFK, &jfk_count);
    shared = open_context();
    fprintf(stderr, "# device: %s, %s\n", clio_device(shared)->platform, clio_device(shared)->name);
    assert_ok(shared, clio_speech_load(shared, folder, &small));
    return 0;
}

static int tear_down(void **state)
{
    char command[2048];
    (void)state;
    clio_speech_free(small);
    clio_destroy(shared);
    free(jfk);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) != 0;
}

/* One try, without a way to fail for being unlikely, as everything is to a random network. */
static clio_speech_params quick(void)
{
    clio_speech_params p = clio_speech_defaults();
    p.language = "en";
    p.temperature_step = 0;
    p.no_speech_threshold = 1;
    p.max_tokens = 8;
    p.timestamps = 0;
    return p;
}

static clio_transcript *hear(clio_speech *speech, clio_context *ctx, const clio_speech_params *p)
{
    clio_transcript *t = NULL;
    assert_ok(ctx, clio_speech_samples(speech, jfk, jfk_count, p, &t));
    assert_non_null(t);
    return t;
}

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
    assert_ok(ctx, clio_device_open(ctx, NULL));
    assert_true(clio_device(ctx)->chosen);
    assert_ok(ctx, clio_device_open(ctx, "0")); /* a second opening closes the first */
    assert_int_equal(clio_device(ctx)->index, 0);
    snprintf(selector, sizeof selector, "%s:%s:%s", list[0].platform, list[0].type, list[0].name);
    assert_ok(ctx, clio_device_open(ctx, selector));
    assert_string_equal(clio_device(ctx)->name, list[0].name);
    assert_fails(ctx, clio_device_open(ctx, "::no such thing"), CLIO_ERROR_ARGUMENT, "no device matches \"::no such thing\"");
    assert_null(clio_device(ctx));
    assert_fails(ctx, clio_device_open(ctx, "99"), CLIO_ERROR_ARGUMENT, "there is no device 99");
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
    assert_fails(shared, clio_speech_load(shared, NULL, &speech), CLIO_ERROR_FILE, "is not a folder");
    assert_null(speech);
    assert_fails(shared, clio_speech_load(shared, "/no/such/folder", &speech), CLIO_ERROR_FILE, "/no/such/folder is not a folder");
    assert_fails(shared, clio_speech_load(shared, JFK, &speech), CLIO_ERROR_FILE, "is not a folder");
    assert_fails(shared, clio_speech_load(shared, CLIO_SOURCE_DIR, &speech), CLIO_ERROR_FILE, "config.json");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    snprintf(moved, sizeof moved, "%s/moved.json", folder);
    assert_int_equal(rename(path, moved), 0);
    clio_status st = clio_speech_load(shared, folder, &speech);
    assert_int_equal(rename(moved, path), 0);
    assert_fails(shared, st, CLIO_ERROR_FILE, "has no tokenizer.json");
    assert_null(speech);
    snprintf(path, sizeof path, "%s/whisper-tiny-random", golden);
    if (stat(path, &info) == 0)
        assert_fails(shared, clio_speech_load(shared, path, &speech), CLIO_ERROR_FILE, "has no tokenizer.json");
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
    clio_set_memory_limit(ctx, 1 << 20);
    assert_ok(ctx, clio_device_open(ctx, NULL));
    assert_fails(ctx, clio_speech_load(ctx, folder, &speech), CLIO_ERROR_MEMORY, "MiB");
    assert_null(speech);
    clio_memory(ctx, &now, &peak);
    assert_true(now == 0 && peak <= 1 << 20);
    clio_destroy(ctx);
}

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

static void check_transcript(const clio_transcript *t, int timestamps)
{
    char *joined = calloc(strlen(t->text) + 2, 1);
    assert_non_null(joined);
    for (size_t i = 0; i < t->segment_count; i++) {
        const clio_segment *s = &t->segments[i];
        size_t length = strlen(s->text), used = strlen(joined);
        assert_true(length > 0 && used + length + (used > 0) <= strlen(t->text));
        assert_true(s->text[0] != ' ' && s->text[length - 1] != ' ');
        sprintf(joined + used, "%s%s", used ? " " : "", s->text);
        assert_true(s->start >= 0 && s->end > s->start);
        assert_true(isfinite(s->avg_logprob) && s->avg_logprob <= 0 && isfinite(s->compression_ratio) && s->temperature >= 0);
        assert_true(s->no_speech_probability >= 0 && s->no_speech_probability <= 1);
        assert_true(s->token_count > 0);
        for (size_t k = 0; k < s->token_count; k++) {
            const clio_token *token = &s->tokens[k];
            assert_true(token->id >= 0 && token->probability > 0 && token->probability <= 1 && token->text);
            assert_true(token->time < 0 || (timestamps && !strncmp(token->text, "<|", 2)));
        }
    }
    assert_string_equal(joined, t->text);
    free(joined);
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
    assert_fails(shared, clio_speech_samples(small, samples, 0, &p, &t), CLIO_ERROR_ARGUMENT, "no sound");
    assert_null(t);
    assert_fails(shared, clio_speech_samples(small, NULL, 5, &p, &t), CLIO_ERROR_ARGUMENT, "no sound");
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
        {{.language = "klingon"}, "unknown language \"klingon\""},
        {{.language = "yue"}, "does not know the language yue"}, /* came with large-v3 */
        {{.temperature = -1}, "temperatures must be"},
        {{.temperature_step = NAN}, "temperatures must be"},
        {{.max_tokens = -1}, "not negative"},
        {{.batch = -1}, "not -1"},
        {{.batch = 1000}, "not 1000"},
        {{.offset = -1}, "offset and duration"},
        {{.duration = NAN}, "offset and duration"},
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
    a = hear(small, shared, &p);
    assert_true(a->segment_count == 0 && !*a->text);
    assert_float_equal(a->duration, 0, 1e-6);
    clio_transcript_free(a);
}

/* Three times the recording. */
static float *thrice(void)
{
    float *samples = malloc(3 * jfk_count * sizeof *samples);
    assert_non_null(samples);
    for (int i = 0; i < 3; i++)
        memcpy(samples + (size_t)i * jfk_count, jfk, jfk_count * sizeof *jfk);
    return samples;
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

/* ---- several files ---- */

/* 16-bit mono WAV in the model's folder. */
static void write_wav(const char *name, const float *samples, size_t count)
{
    char path[1200];
    unsigned long size = (unsigned long)count * 2;
    unsigned char head[44] = "RIFF____WAVEfmt \20\0\0\0\1\0\1\0\200\76\0\0\0\175\0\0\2\0\20\0data";
    for (int i = 0; i < 4; i++) {
        head[4 + i] = (unsigned char)((size + 36) >> (8 * i));
        head[40 + i] = (unsigned char)(size >> (8 * i));
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, sizeof head, file), sizeof head);
    for (size_t i = 0; i < count; i++) {
        unsigned value = (unsigned)(int)lrintf(samples[i] * 32767);
        assert_true(fputc((int)(value & 255), file) != EOF && fputc((int)(value >> 8 & 255), file) != EOF);
    }
    assert_int_equal(fclose(file), 0);
}

#define FILES 8
/* What the callbacks saw. */
struct heard {
    size_t files, segments; /* segments since the last file */
    size_t stop_at;         /* files */
    int cancels;
    clio_status status[FILES];
    clio_transcript *result[FILES];
    char error[FILES][200];
    double done, total; /* progress */
};

static int heard_segment(void *user, const clio_segment *segment)
{
    struct heard *h = user;
    assert_true(*segment->text);
    h->segments++;
    return 0;
}

static int heard_file(void *user, size_t index, clio_status status, clio_transcript *transcript)
{
    struct heard *h = user;
    assert_true(index == h->files && index < FILES);
    assert_true((status == CLIO_OK) == (transcript != NULL));
    assert_int_equal(h->segments, transcript ? transcript->segment_count : 0); /* no segment of another file came before */
    h->segments = 0;
    h->status[index] = status;
    h->result[index] = transcript;
    snprintf(h->error[index], sizeof h->error[index], "%s", status ? clio_error(shared) : "");
    if (++h->files == h->stop_at && h->cancels)
        clio_cancel(shared);
    return h->files == h->stop_at && !h->cancels;
}

static int heard_progress(void *user, const char *what, double done, double total)
{
    struct heard *h = user;
    assert_string_equal(what, "transcribing");
    assert_true(done >= h->done && done <= total);
    h->done = done;
    h->total = total;
    return 0;
}

static void forget(struct heard *h)
{
    for (size_t i = 0; i < FILES; i++)
        clio_transcript_free(h->result[i]);
    *h = (struct heard){0};
}

/* Long and short files, one that is no sound, one without a word, and one that is not there. */
static void make_files(char names[FILES][1200], const char *paths[FILES])
{
    static const char *const all[FILES] = {"a.wav", "config.json", "b.wav", "quiet.wav", "long.wav", "missing.wav", "c.wav", "d.wav"};
    static const float silence[RATE];
    float *samples = thrice();
    unsigned noise = 1;
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], 1200, "%s/%s", folder, all[i]);
        paths[i] = names[i];
    }
    write_wav("a.wav", jfk, 4 * RATE);
    write_wav("b.wav", jfk + 4 * RATE, 3 * RATE);
    write_wav("quiet.wav", silence, RATE);
    write_wav("long.wav", samples, 3 * jfk_count);
    write_wav("c.wav", jfk + 7 * RATE, 4 * RATE);
    for (size_t i = 0; i < 29 * RATE; i++) /* noise, in which another language is found */
        samples[i] = (float)((noise = 1664525 * noise + 1013904223) >> 16 & 0x7fff) / 0x4000 - 1;
    write_wav("d.wav", samples, 29 * RATE);
    free(samples);
}

/* Each file is heard as if it were alone, in its order, whatever is decoded beside it and whichever files are bad. */
static void files_are_heard_together(void **state)
{
    (void)state;
    char names[FILES][1200];
    const char *paths[FILES];
    struct heard together = {0}, *h = &together;
    clio_speech_params p = quick();
    size_t languages = 0;
    make_files(names, paths);
    p.language = NULL;
    p.user = h;
    p.on_segment = heard_segment;
    for (int batch = 0; batch <= 5; batch += batch ? 2 : 3) {
        if (only_small() && batch != 3)
            continue;
        p.batch = batch;
        clio_set_progress(shared, heard_progress, h);
        assert_ok(shared, clio_speech_files(small, paths, FILES, &p, heard_file));
        clio_set_progress(shared, NULL, NULL);
        assert_int_equal(h->files, FILES);
        assert_true(h->done >= FILES && h->total >= FILES && h->total <= FILES);
        for (size_t i = 0; i < FILES; i++) {
            if (i == 1 || i == 5) {
                assert_int_equal(h->status[i], i == 1 ? CLIO_ERROR_FORMAT : CLIO_ERROR_FILE);
                assert_non_null(strstr(h->error[i], i == 1 ? "config.json is not a sound file" : "missing.wav: no such file"));
                continue;
            }
            clio_transcript *alone = NULL, *t = h->result[i];
            clio_speech_params q = p;
            q.user = &(struct heard){0};
            assert_ok(shared, clio_speech_file(small, paths[i], &q, &alone));
            check_transcript(t, 0);
            assert_string_equal(t->text, alone->text);
            assert_string_equal(t->language, alone->language);
            assert_float_equal(t->language_probability, alone->language_probability, 1e-3);
            assert_float_equal(t->duration, alone->duration, 1e-6);
            assert_int_equal(t->segment_count, alone->segment_count);
            assert_true((i == 3) == (t->segment_count == 0) && (i != 4 || t->segment_count >= 2));
            languages += i == 7 && strcmp(t->language, h->result[0]->language) != 0;
            clio_transcript_free(alone);
        }
        assert_true(languages > 0); /* or nothing would be known of telling them apart */
        forget(h);
    }
}

/* A nonzero return and clio_cancel end the call after the file that they came with. */
static void hearing_files_can_be_cancelled(void **state)
{
    (void)state;
    char names[FILES][1200];
    const char *paths[FILES];
    struct heard h;
    clio_speech_params p = quick();
    if (only_small())
        skip();
    make_files(names, paths);
    p.user = &h;
    p.on_segment = heard_segment;
    for (int batch = 1; batch <= 3; batch += 2)
        for (size_t stop_at = 1; stop_at <= 3; stop_at++)
            for (int cancels = 0; cancels <= 1; cancels++) {
                h = (struct heard){.stop_at = stop_at, .cancels = cancels};
                p.batch = batch;
                clio_status st = clio_speech_files(small, paths, FILES, &p, heard_file);
                assert_fails(shared, st, CLIO_ERROR_CANCELLED, "cancelled");
                assert_true(h.files >= stop_at && h.files <= (cancels ? stop_at + 2 : stop_at)); /* those whose batch was decoded already */
                forget(&h);
            }
    p.language = "klingon";
    h = (struct heard){0};
    assert_fails(shared, clio_speech_files(small, paths, FILES, &p, heard_file), CLIO_ERROR_ARGUMENT, "unknown language");
    p.language = "en";
    assert_fails(shared, clio_speech_files(small, NULL, FILES, &p, heard_file), CLIO_ERROR_ARGUMENT, "no list of files");
    assert_fails(shared, clio_speech_files(small, paths, FILES, &p, NULL), CLIO_ERROR_ARGUMENT, "no list of files");
    assert_ok(shared, clio_speech_files(small, paths, 0, &p, heard_file));
    assert_int_equal(h.files, 0);
}

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
        cmocka_unit_test(null_and_names),
        cmocka_unit_test(a_new_context_has_nothing),
        cmocka_unit_test(defaults_are_whispers),
        cmocka_unit_test(languages_are_listed),
        cmocka_unit_test(devices_are_listed_and_opened),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(loading_can_be_cancelled_and_limited),
        cmocka_unit_test(a_transcript_is_whole),
        cmocka_unit_test(a_transcript_stands_alone),
        cmocka_unit_test(a_file_is_heard_as_its_samples),
        cmocka_unit_test(hearing_can_be_cancelled),
        cmocka_unit_test(silence_says_nothing),
        cmocka_unit_test(damaged_samples_are_survived),
        cmocka_unit_test(wrong_parameters_are_refused),
        cmocka_unit_test(parameters_reach_the_network),
        cmocka_unit_test(parts_of_a_recording),
        cmocka_unit_test(windows_follow_each_other),
        cmocka_unit_test(files_are_heard_together),
        cmocka_unit_test(hearing_files_can_be_cancelled),
        cmocka_unit_test(two_contexts_at_once),
        cmocka_unit_test(profile_and_memory_are_counted),
        cmocka_unit_test(real_weights_hear_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
