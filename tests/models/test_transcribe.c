/* test_transcribe.c - what is decided around the network: the order of temperatures and which attempt wins, windows without speech,
 * repeated text, previous text, where windows and segments begin and end. The decoder is scripted: this file has the functions of
 * decoding.c, which the linker takes in its place. Needs no device. */
#include "../support/test_speech.h"

#include "../../audio/vad.h"

#include <math.h>

#define RATE 16000

/* ---- the scripted decoder ---- */

struct attempt {
    int ids[48]; /* up to the first 0 */
    double logprob, ratio, no_speech;
    bool unended;
};
struct call_seen {
    double temperature;
    int row, count, language, previous[600];
    size_t previous_count;
    uint32_t seed;
};

static const struct attempt *script; /* of all rows in turn; the last attempt is repeated */
static size_t script_count, script_at;
static struct call_seen seen[64];
static size_t seen_count;
static int encoded, detected[8];
static char notices[1024];

clio_status speech_encode(clio_speech *s, const float *samples, int row)
{
    (void)s, (void)samples, (void)row;
    encoded++;
    return CLIO_OK;
}

void speech_restart(clio_speech *s)
{
    (void)s;
}

void speech_result_free(struct speech_result *r)
{
    free(r->ids);
    free(r->probabilities);
    bytes_free(&r->text);
    *r = (struct speech_result){0};
}

clio_status speech_detect(clio_speech *s, int count, int *languages, double *probabilities)
{
    (void)s;
    for (int i = 0; i < count; i++) {
        languages[i] = ENGLISH + detected[i];
        probabilities[i] = 0.5 + 0.1 * i;
    }
    return CLIO_OK;
}

clio_status speech_decode(clio_speech *s, const struct speech_request *q, const struct speech_row *rows, double temperature,
                          struct speech_result *r, int first, int count)
{
    (void)s;
    struct call_seen *call = &seen[seen_count++ % COUNT(seen)];
    *call = (struct call_seen){temperature, first, count, rows[0].language, {0}, q->previous_count, rows[0].seed};
    if (q->previous_count)
        memcpy(call->previous, q->previous, MIN(q->previous_count, COUNT(call->previous)) * sizeof *q->previous);
    for (int i = 0; i < count; i++) {
        const struct attempt *a = &script[MIN(script_at, script_count - 1)];
        script_at++;
        speech_result_free(&r[i]);
        r[i].ids = calloc(COUNT(a->ids), sizeof *r[i].ids);
        r[i].probabilities = calloc(COUNT(a->ids), sizeof *r[i].probabilities);
        assert_true(r[i].ids && r[i].probabilities);
        for (; r[i].count < COUNT(a->ids) && a->ids[r[i].count]; r[i].count++)
            r[i].ids[r[i].count] = a->ids[r[i].count];
        r[i].temperature = temperature;
        r[i].avg_logprob = a->logprob;
        r[i].compression_ratio = a->ratio;
        r[i].no_speech = a->no_speech;
        r[i].ended = !a->unended;
    }
    return CLIO_OK;
}

/* ---- sounds ---- */

static float sound[90 * RATE];

static void add_noise(double from, double to, float amplitude)
{
    static float noise[COUNT(sound)];
    size_t first = (size_t)(from * RATE), n = (size_t)(to * RATE) - first;
    test_random(noise, n, (uint32_t)(from * 100) + 3);
    for (size_t i = 0; i < n; i++)
        sound[first + i] += amplitude * noise[i];
}

/* Syllables, four in a second, over a faint noise: the voice activity detection finds speech. */
static void speak(double from, double to)
{
    for (double t = from; t + 0.2 <= to + 1e-9; t += 0.25)
        add_noise(t, t + 0.2, 0.2f);
}

static void quiet(void)
{
    memset(sound, 0, sizeof sound);
    add_noise(0, 90, 1e-4f);
}

static void on_notice(void *user, const char *text)
{
    (void)user;
    snprintf(notices, sizeof notices, "%s", text);
}

/* Transcribe the first seconds of `sound` by this script. */
static clio_transcript *run(double seconds, clio_speech_params p, const struct attempt *attempts, size_t count)
{
    clio_transcript *t = NULL;
    script = attempts;
    script_count = count;
    script_at = seen_count = 0;
    encoded = 0;
    notices[0] = 0;
    clio_set_notice(ctx, on_notice, NULL);
    if (clio_speech_samples(&speech, sound, (size_t)(seconds * RATE), &p, &t))
        fail_msg("%s", clio_error(ctx));
    for (size_t i = 0; i < t->segment_count; i++) { /* always */
        assert_true(t->segments[i].end > t->segments[i].start);
        assert_true(i == 0 || t->segments[i].start >= t->segments[i - 1].end);
    }
    return t;
}

static clio_speech_params english(void)
{
    clio_speech_params p = clio_speech_defaults();
    p.language = "en";
    return p;
}

/* One window of 10 s with speech; its text. */
static void expect_text(clio_speech_params p, const struct attempt *attempts, size_t count, const char *text, size_t calls)
{
    clio_transcript *t = run(10, p, attempts, count);
    assert_string_equal(t->text, text);
    assert_int_equal(seen_count, calls);
    clio_transcript_free(t);
}
#define EXPECT(p, text, calls, ...)                                                                                                        \
    expect_text(p, (const struct attempt[]){__VA_ARGS__}, COUNT(((const struct attempt[]){__VA_ARGS__})), text, calls)
#define SAY(word)                                                                                                                          \
    {                                                                                                                                      \
        TIME, word, AT(9)                                                                                                                  \
    }

/* A text is UTF-8 whatever the tokens are, as openai/whisper decodes them. */
static void texts_are_utf8(void **state)
{
    (void)state;
    quiet();
    speak(0, 10);
    EXPECT(english(), "w1 \xe4\xb8\xad w2", 1, {{TIME, 1, CUT, CUT_REST, 2, AT(9)}, 0, 1, 0, 0});
    EXPECT(english(), "w1 \xef\xbf\xbd w2", 1, {{TIME, 1, CUT, 2, AT(9)}, 0, 1, 0, 0});
    EXPECT(english(), "\xef\xbf\xbd", 1, {{TIME, CUT, AT(9)}, 0, 1, 0, 0});
    EXPECT(english(), "w1\xef\xbf\xbd", 1, {{TIME, 1, CUT_REST, AT(9)}, 0, 1, 0, 0});
}

/* ---- temperature fallback ---- */

static void temperatures_rise(void **state)
{
    clio_speech_params p = english();
    (void)state;
    quiet();
    speak(0, 10);
    EXPECT(p, "w3", 6, {SAY(1), -3, 1, 0, 0}, {SAY(2), -2, 1, 0, 0}, {SAY(3), -1.5, 1, 0, 0}, {SAY(4), -2, 1, 0, 0});
    for (int i = 0; i < 6; i++) {
        assert_float_equal(seen[i].temperature, 0.2 * i, 1e-6);
        assert_int_equal(seen[i].seed, seen[0].seed);
    }
    p.temperature = 0.2f;
    p.temperature_step = 0.4f;
    EXPECT(p, "w1", 3, {SAY(1), -3, 1, 0, 0});
    assert_float_equal(seen[2].temperature, 1, 1e-6);
    p.temperature_step = 0;
    EXPECT(p, "w1", 1, {SAY(1), -3, 9, 0, 0}); /* no fallback: it stays */
    assert_float_equal(seen[0].temperature, 0.2, 1e-6);
}

static void thresholds_decide(void **state)
{
    clio_speech_params p = english();
    (void)state;
    quiet();
    speak(0, 10);
    EXPECT(p, "w1", 1, {SAY(1), -1, 2.4f, 0, 0}, {SAY(2), 0, 1, 0, 0}); /* at the thresholds */
    EXPECT(p, "w2", 2, {SAY(1), -1.01, 1, 0, 0}, {SAY(2), -0.99, 1, 0, 0}, {SAY(3), 0, 1, 0, 0});
    EXPECT(p, "w2", 2, {SAY(1), -0.1, 2.41, 0, 0}, {SAY(2), -0.9, 2.39, 0, 0}, {SAY(3), 0, 1, 0, 0});
    p.logprob_threshold = -2;
    EXPECT(p, "w1", 1, {SAY(1), -1.5, 1, 0, 0}, {SAY(2), 0, 1, 0, 0});
    p.compression_threshold = 5;
    EXPECT(p, "w1", 1, {SAY(1), -1.5, 4, 0, 0}, {SAY(2), 0, 1, 0, 0});
}

static void the_best_attempt_wins(void **state)
{
    clio_speech_params p = english();
    (void)state;
    quiet();
    speak(0, 10);
    p.temperature_step = 0.5f; /* three attempts */
    EXPECT(p, "w2", 3, {SAY(1), -3, 1, 0, 0}, {SAY(2), -1.2, 1, 0, 0}, {SAY(3), -2, 1, 0, 0});
    EXPECT(p, "w1", 3, {SAY(1), -1.2, 1, 0, 0}, {SAY(2), -2, 1, 0, 0}, {SAY(3), -3, 1, 0, 0});
    EXPECT(p, "w3", 3, {SAY(1), -3, 1, 0, 0}, {SAY(2), -2, 1, 0, 0}, {SAY(3), -1.2, 1, 0, 0});
    EXPECT(p, "w2", 3, {SAY(1), -0.1, 3, 0, 0}, {SAY(2), -4, 2, 0, 0}, {SAY(3), -0.2, 3, 0, 0}); /* not repetitive comes first */
    EXPECT(p, "w1", 3, {SAY(1), -0.1, 3, 0, 0}, {SAY(2), -0.3, 3, 0, 0}, {SAY(3), -0.2, 3, 0, 0});
}

static void windows_without_speech_are_skipped(void **state)
{
    clio_speech_params p = english();
    (void)state;
    quiet();
    speak(0, 10);
    EXPECT(p, "", 1, {SAY(1), -1.1, 1, 0.61, 0});   /* no further attempt */
    EXPECT(p, "w1", 1, {SAY(1), -0.9, 1, 0.99, 0}); /* likely: it was said */
    EXPECT(p, "w2", 2, {SAY(1), -1.1, 1, 0.6f, 0}, {SAY(2), -0.5, 1, 0.6f, 0});
    EXPECT(p, "", 2, {SAY(1), -0.1, 3, 0.9, 0}, {SAY(2), -1.1, 1, 0.9, 0});
    memset(sound, 0, sizeof sound);
    add_noise(0, 90, 0.1f); /* loud, but nothing in it is louder than the rest */
    EXPECT(p, "", 1, {SAY(1), -0.1, 1, 0.61, 0});
    EXPECT(p, "w1", 1, {SAY(1), -0.1, 1, 0.59, 0});
    p.no_speech_threshold = 1;
    EXPECT(p, "w1", 1, {SAY(1), -0.1, 1, 1, 0});
}

static void silence_is_not_decoded(void **state)
{
    clio_speech_params p = english();
    (void)state;
    for (p.batch = 1; p.batch <= 4; p.batch += 3) {
        memset(sound, 0, sizeof sound);
        EXPECT(p, "", 0, {SAY(1), -0.1, 1, 0, 0});
        for (size_t i = 0; i < COUNT(sound); i++)
            sound[i] = 0.1f; /* a constant is silence, too */
        EXPECT(p, "", 0, {SAY(1), -0.1, 1, 0, 0});
        add_noise(0, 90, 1e-4f); /* -80 dB */
        EXPECT(p, "", 0, {SAY(1), -0.1, 1, 0, 0});
        for (size_t i = 0; i < COUNT(sound); i++)
            sound[i] = 0;
        speak(0, 10);
        for (size_t i = 0; i < COUNT(sound); i++)
            sound[i] *= 1e-3f; /* below -70 dB, but speech */
        EXPECT(p, "w1", 1, {SAY(1), -0.1, 1, 0, 0});
    }
}

/* ---- repetition ---- */

#define TIMES_FIVE(w)                                                                                                                      \
    {                                                                                                                                      \
        TIME, w, AT(3), AT(3), w, AT(6), AT(6), w, AT(9), AT(9), w, AT(12), AT(12), w, AT(15)                                              \
    }

static void sentences(bool again)
{
    quiet();
    for (int i = 0; i < 5; i++) {
        double at = 3 * i;
        add_noise(at + 0.1, at + 0.3, 0.3f);
        add_noise(at + (again ? 0.6 : 0.3 + 0.33 * i), at + (again ? 1.4 : 0.9 + 0.33 * i), 0.1f);
        add_noise(at + (again ? 1.6 : 2.7), at + (again ? 2.2 : 2.9), 0.2f);
    }
}

static void expect_repetition(const struct attempt *a, size_t calls, const char *text)
{
    clio_transcript *t = run(15, english(), a, 1);
    if (seen_count != calls || strcmp(t->text, text))
        fail_msg("%zu attempts of %g, %d: %s", seen_count, a->logprob, a->unended, t->text);
    assert_true((strstr(notices, "the samples: what was decoded from 0.0 to 15.0 s only repeats itself") != NULL) == !*text);
    clio_transcript_free(t);
}

static void what_was_said_again_stays(void **state)
{
    static const char five[] = "w1 w1 w1 w1 w1";
    (void)state;
    sentences(true);
    expect_repetition(&(struct attempt){TIMES_FIVE(1), -0.2, 5, 0.1, 0}, 1, five);
    expect_repetition(&(struct attempt){TIMES_FIVE(1), -0.6, 5, 0.1, 0}, 6, "");    /* unlikely */
    expect_repetition(&(struct attempt){TIMES_FIVE(1), -0.2, 5, 0.1, true}, 6, ""); /* to the last token: a loop */
    expect_repetition(&(struct attempt){TIMES_FIVE(1), -0.2, 5, 0.7, 0}, 6, "");    /* hardly speech */
    /* uneven, or too few of them: it is tried again, but kept */
    expect_repetition(
        &(struct attempt){{TIME, 1, AT(3), AT(3), 1, AT(4), AT(4), 1, AT(9), AT(9), 1, AT(12), AT(12), 1, AT(15)}, -0.2, 5, 0.1, 0}, 6,
        five);
    expect_repetition(&(struct attempt){{TIME, 1, AT(3), AT(3), 1, AT(6)}, -0.2, 5, 0.1, 0}, 6, "w1 w1");
    quiet();
    for (int i = 0; i < 15; i++) { /* a sound that is alike every second: uneven text over it is no repetition of it */
        add_noise(i + 0.1, i + 0.3, 0.3f);
        add_noise(i + 0.5, i + 0.9, 0.1f);
    }
    expect_repetition(
        &(struct attempt){{TIME, 1, AT(3), AT(3), 1, AT(4), AT(4), 1, AT(9), AT(9), 1, AT(12), AT(12), 1, AT(15)}, -0.2, 5, 0.1, 0}, 6,
        five);
    expect_repetition(&(struct attempt){TIMES_FIVE(1), -0.2, 5, 0.1, 0}, 1, five);
    sentences(false); /* the sound does not repeat itself */
    expect_repetition(&(struct attempt){TIMES_FIVE(1), -0.2, 5, 0.1, 0}, 6, five);
}

/* ---- previous text ---- */

static void previous_text(void **state)
{
    clio_speech_params p = english();
    const struct attempt two[] = {{{TIME, 1, 2, AT(30)}, -0.1, 1, 0, 0}, {{TIME, 3, AT(29)}, -0.1, 1, 0, 0}};
    const struct attempt hot[] = {{{TIME, 1, 2, AT(30)}, -2, 1, 0, 0},
                                  {{TIME, 1, 2, AT(30)}, -2, 1, 0, 0},
                                  {{TIME, 1, 2, AT(30)}, -0.1, 1, 0, 0},
                                  {{TIME, 3, AT(29)}, -0.1, 1, 0, 0}};
    (void)state;
    quiet();
    speak(0, 60);
    clio_transcript_free(run(60, p, two, 2));
    assert_int_equal(seen_count, 2);
    assert_int_equal(seen[0].previous_count, 0);
    assert_int_equal(seen[1].previous_count, 4);
    assert_true(seen[1].previous[0] == TIME && seen[1].previous[1] == 1 && seen[1].previous[2] == 2 && seen[1].previous[3] == AT(30));
    assert_int_equal(seen[1].seed, seen[0].seed + 1);
    clio_transcript_free(run(60, p, hot, 4)); /* at 0.4 it is shown */
    assert_float_equal(seen[2].temperature, 0.4, 1e-6);
    assert_int_equal(seen[3].previous_count, 4);
    p.temperature_step = 0.3f;
    clio_transcript_free(run(60, p, hot, 4)); /* at 0.6 withheld */
    assert_int_equal(seen[3].previous_count, 0);
    p.condition_on_previous = 0;
    clio_transcript_free(run(60, p, two, 2));
    assert_int_equal(seen[1].previous_count, 0);
    p = english();
    p.timestamps = 1;
    p.batch = 2;
    clio_transcript_free(run(60, p, two, 2));
    assert_int_equal(seen[0].previous_count, 0);
}

/* ---- windows and segments ---- */

static void expect_times(const clio_transcript *t, size_t count, const double *times)
{
    if (t->segment_count != count)
        fail_msg("%zu segments: %s", t->segment_count, t->text);
    for (size_t i = 0; i < count; i++)
        if (fabs(t->segments[i].start - times[2 * i]) > 1e-9 || fabs(t->segments[i].end - times[2 * i + 1]) > 1e-9)
            fail_msg("segment %zu: %.10g to %.10g, expected %.10g to %.10g", i, t->segments[i].start, t->segments[i].end, times[2 * i],
                     times[2 * i + 1]);
}

static void segments_of_a_window(void **state)
{
    static const struct {
        double seconds;
        struct attempt a;
        size_t count;
        double times[8];
        const char *text;
    } cases[] = {
        {30, {{TIME, 1, AT(2.5), AT(2.5), 2, 3, AT(30)}, -0.1, 1, 0, 0}, 2, {0, 2.5, 2.5, 30}, "w1 w2 w3"},
        {30, {{AT(0.5), 1, AT(2), AT(4), 2, AT(6)}, -0.1, 1, 0, 0}, 2, {0.5, 2, 4, 6}, "w1 w2"},
        {30, {{TIME, 1, 2}, -0.1, 1, 0, 0}, 1, {0, 30}, "w1 w2"},                             /* no other timestamp: the whole window */
        {30, {{TIME, 1, 2, AT(7)}, -0.1, 1, 0, 0}, 1, {0, 7}, "w1 w2"},                       /* one timestamp */
        {10, {{TIME, 1, AT(4), AT(4), 2, AT(28)}, -0.1, 1, 0, 0}, 2, {0, 4, 4, 10}, "w1 w2"}, /* beyond the end */
        {10, {{TIME, 1, AT(20), AT(20), 2, AT(28)}, -0.1, 1, 0, 0}, 2, {0, 10, 10, 10.02}, "w1 w2"}, /* times never go back */
        {10, {{AT(1), 1, AT(3), AT(2), 2, AT(5)}, -0.1, 1, 0, 0}, 2, {1, 3, 3, 5}, "w1 w2"},
        {30, {{TIME, 1, AT(2), AT(2), AT(2), 2, AT(5)}, -0.1, 1, 0, 0}, 2, {0, 2, 2, 5}, "w1 w2"}, /* an empty one is left out */
        {30, {{TIME, ADDED, AT(2), AT(2), 2, AT(5)}, -0.1, 1, 0, 0}, 2, {0, 2, 2, 5}, "added w2"}, /* text that fine-tuning added */
        {30, {{TIME, 1, ADDED}, -0.1, 1, 0, 0}, 1, {0, 30}, "w1 added"},
    };
    (void)state;
    quiet();
    speak(0, 30);
    for (size_t i = 0; i < COUNT(cases); i++) {
        clio_transcript *t = run(cases[i].seconds, english(), &cases[i].a, 1);
        expect_times(t, cases[i].count, cases[i].times);
        assert_string_equal(t->text, cases[i].text);
        const clio_token *first = &t->segments[0].tokens[0];
        assert_float_equal(first->time, (first->id - TIME) * 0.02, 1e-9);
        assert_true(t->segments[0].tokens[1].time < 0);
        clio_transcript_free(t);
    }
}

/* The next window begins where the last complete segment ends. */
static void the_cut_segment_is_decoded_again(void **state)
{
    static const struct attempt two[] = {{{TIME, 1, AT(20), AT(20), 2, 3}, -0.1, 1, 0, 0}, {{TIME, 2, 3, AT(15)}, -0.1, 1, 0, 0}};
    static const struct attempt never[] = {{{TIME, 1, TIME, TIME, 2}, -0.1, 1, 0, 0}, {{TIME, 3, AT(4)}, -0.1, 1, 0, 0}};
    clio_transcript *t;
    (void)state;
    quiet();
    speak(0, 35);
    t = run(35, english(), two, 2);
    expect_times(t, 2, (double[]){0, 20, 20, 35});
    assert_string_equal(t->text, "w1 w2 w3");
    assert_float_equal(t->duration, 35, 1e-9);
    clio_transcript_free(t);
    t = run(35, english(), never, 2); /* its end at 0 does not bring the same window for ever */
    assert_int_equal(seen_count, 2);
    expect_times(t, 1, (double[]){30, 34});
    clio_transcript_free(t);
}

/* Batched windows end in the middle of the longest pause of their last 10 s. */
static void windows_end_in_pauses(void **state)
{
    static const struct attempt text = {{1, 2}, -0.1, 1, 0, 0};
    clio_speech_params p = english();
    (void)state;
    p.timestamps = 0;
    for (int kind = 0; kind < 4; kind++) {
        quiet();
        speak(0, 22);
        speak(23, 26); /* a pause of 1 s, one of 0.5 s, one that is too early */
        speak(26.5, 45);
        memset(sound + 10 * RATE, 0, 2 * RATE * sizeof *sound);
        for (size_t i = 0; i < COUNT(sound); i++) /* a constant and hum are no sound */
            sound[i] += kind == 1 ? 0.1f : kind == 2 ? 0.1f * (float)sin(2 * 3.14159265 * 50 * (double)i / RATE) : 0;
        p.batch = kind == 3 ? 1 : 4;
        clio_transcript *t = run(45, p, &text, 1);
        assert_int_equal(t->segment_count, 2);
        if (t->segments[0].end < 22 || t->segments[0].end > 23)
            fail_msg("kind %d: cut at %g s", kind, t->segments[0].end);
        assert_float_equal(t->segments[0].end, 22.5, 0.06);
        assert_float_equal(t->segments[1].start, t->segments[0].end, 1e-9);
        assert_float_equal(t->segments[1].end, 45, 1e-9);
        clio_transcript_free(t);
    }
}

/* In a batch, speech behind the last timestamp is transcribed again, and tokens behind it are kept. */
static void missed_speech_is_decoded_again(void **state)
{
    static const struct attempt early[] = {{{TIME, 1, AT(6)}, -0.1, 1, 0, 0}, {{TIME, 2, AT(4)}, -0.1, 1, 0, 0}};
    static const struct attempt open[] = {{{TIME, 1, AT(6), AT(6), 2}, -0.1, 1, 0, 0}};
    clio_speech_params p = english();
    (void)state;
    p.batch = 2;
    quiet();
    speak(0, 10);
    clio_transcript *t = run(10, p, early, 2);
    assert_string_equal(t->text, "w1 w2");
    expect_times(t, 2, (double[]){0, 6, 6, 10});
    clio_transcript_free(t);
    quiet();
    speak(0, 6.5); /* half a second only: it ended there */
    t = run(10, p, early, 2);
    assert_string_equal(t->text, "w1");
    clio_transcript_free(t);
    quiet();
    speak(0, 10);
    t = run(10, p, open, 1);
    assert_string_equal(t->text, "w1 w2");
    expect_times(t, 2, (double[]){0, 6, 6, 10});
    clio_transcript_free(t);
}

static void the_first_speech_sets_the_language(void **state)
{
    static const struct attempt text = {{TIME, 1, AT(30)}, -0.1, 1, 0, 0};
    clio_speech_params p = clio_speech_defaults();
    (void)state;
    detected[0] = 2;
    quiet();
    speak(30, 60); /* the first window is silent */
    clio_transcript *t = run(60, p, &text, 1);
    assert_string_equal(t->language, "de");
    assert_float_equal(t->language_probability, 0.5, 1e-9);
    assert_int_equal(seen_count, 1);
    assert_int_equal(seen[0].language, ENGLISH + 2);
    clio_transcript_free(t);
    speak(0, 30);
    detected[0] = 1;
    detected[1] = 2; /* another language for the second window of a batch: that of the recording holds */
    p.batch = 2;
    t = run(60, p, &text, 1);
    assert_string_equal(t->language, "zh");
    assert_int_equal(seen[1].count, 1); /* it is decoded again */
    assert_int_equal(seen[1].language, ENGLISH + 1);
    clio_transcript_free(t);
    detected[0] = detected[1] = 0;
    p.language = "zh-TW";
    t = run(10, p, &text, 1);
    assert_string_equal(t->language, "zh");
    clio_transcript_free(t);
}

static void offsets_lie_in_the_recording(void **state)
{
    static const struct attempt text = {{TIME, 1, AT(2)}, -0.1, 1, 0, 0};
    clio_speech_params p = english();
    clio_transcript *t;
    (void)state;
    quiet();
    speak(0, 20);
    p.offset = 4;
    p.duration = 5;
    t = run(20, p, &text, 1);
    expect_times(t, 1, (double[]){4, 6});
    assert_float_equal(t->duration, 5, 1e-9);
    clio_transcript_free(t);
    p.offset = 20;
    for (p.batch = 1; p.batch <= 2; p.batch++) {
        t = (clio_transcript *)(void *)&t;
        assert_int_equal(clio_speech_samples(&speech, sound, 20 * RATE, &p, &t), CLIO_ERROR_ARGUMENT);
        assert_null(t);
        assert_non_null(strstr(clio_error(ctx), "params.offset is 20 s, but the length of the samples is 20.0 s"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_utf8),
        cmocka_unit_test(temperatures_rise),
        cmocka_unit_test(thresholds_decide),
        cmocka_unit_test(the_best_attempt_wins),
        cmocka_unit_test(windows_without_speech_are_skipped),
        cmocka_unit_test(silence_is_not_decoded),
        cmocka_unit_test(what_was_said_again_stays),
        cmocka_unit_test(previous_text),
        cmocka_unit_test(segments_of_a_window),
        cmocka_unit_test(the_cut_segment_is_decoded_again),
        cmocka_unit_test(windows_end_in_pauses),
        cmocka_unit_test(missed_speech_is_decoded_again),
        cmocka_unit_test(the_first_speech_sets_the_language),
        cmocka_unit_test(offsets_lie_in_the_recording),
    };
    make_speech();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free_speech();
    return failed;
}
