/* test_api.h - what the tests of the public interface share: sees clio.h alone, as a user does.
 *
 * Speech is heard by a small network with random weights, which tests/make_whisper writes into a temporary folder: what it says means
 * nothing, but all of the interface can be tried. CLIO_TEST_SMALL leaves out what hears more than one or two windows. */
#ifndef CLIO_TEST_API_H
#define CLIO_TEST_API_H

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

static inline void is_ok(clio_context *ctx, clio_status status, const char *file, int line)
{
    if (status == CLIO_OK)
        return;
    fprintf(stderr, "%s: %s\n%s\n", clio_status_name(status), clio_error(ctx), clio_error_detail(ctx));
    _fail(file, line);
}
#define assert_ok(ctx, status) is_ok((ctx), (status), __FILE__, __LINE__)

static inline void is_failure(clio_context *ctx, clio_status status, clio_status code, const char *part, const char *file, int line)
{
    if (status == code && strstr(clio_error(ctx), part) && *clio_error_detail(ctx))
        return;
    fprintf(stderr, "expected %s with \"%s\", got %s: %s\n%s\n", clio_status_name(code), part, clio_status_name(status), clio_error(ctx),
            clio_error_detail(ctx));
    _fail(file, line);
}
#define assert_fails(ctx, status, code, part) is_failure((ctx), (status), (code), (part), __FILE__, __LINE__)

static inline int only_small(void)
{
    return getenv("CLIO_TEST_SMALL") != NULL;
}

/* ---- what the tests start from ---- */

/* The samples of a 16-bit mono WAV file. */
static inline float *read_wav(const char *path, size_t *count)
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

static inline clio_context *open_context(void)
{
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    assert_ok(ctx, clio_device_open(ctx, NULL));
    return ctx;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    char command[2048];
    (void)state;
    clio_speech_free(small);
    clio_destroy(shared);
    free(jfk);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) != 0;
}

/* ---- hearing ---- */

/* One try, without a way to fail for being unlikely, as everything is to a random network. */
static inline clio_speech_params quick(void)
{
    clio_speech_params p = clio_speech_defaults();
    p.language = "en";
    p.temperature_step = 0;
    p.no_speech_threshold = 1;
    p.max_tokens = 8;
    p.timestamps = 0;
    return p;
}

static inline clio_transcript *hear(clio_speech *speech, clio_context *ctx, const clio_speech_params *p)
{
    clio_transcript *t = NULL;
    assert_ok(ctx, clio_speech_samples(speech, jfk, jfk_count, p, &t));
    assert_non_null(t);
    return t;
}

/* Three times the recording. */
static inline float *thrice(void)
{
    float *samples = malloc(3 * jfk_count * sizeof *samples);
    assert_non_null(samples);
    for (int i = 0; i < 3; i++)
        memcpy(samples + (size_t)i * jfk_count, jfk, jfk_count * sizeof *jfk);
    return samples;
}

static inline void check_transcript(const clio_transcript *t, int timestamps)
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

#endif
