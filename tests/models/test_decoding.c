/* test_decoding.c - the rules of Whisper's decoding that need no network: which tokens may follow (ApplyTimestampRules), what stands before
 * the first token, the compression ratio. Source of the expectations: openai/whisper, decoding.py, utils.py. Needs no device. */
#include "../support/test_speech.h"

/* Rules after these tokens, which end with -1. */
static struct logits_args after(const int *ids)
{
    struct speech_result r = {0};
    struct logits_args args = {.text_allowed = 1, .end_allowed = 1};
    static int copy[16];
    for (; ids[r.count] >= 0; r.count++)
        copy[r.count] = ids[r.count];
    r.ids = copy;
    speech_timestamp_rules(&speech, &r, &args);
    assert_int_equal(args.weigh_timestamps, 1);
    return args;
}

static void expect(const int *ids, int text, int end, int first, int last)
{
    struct logits_args a = after(ids);
    if (a.text_allowed != text || a.end_allowed != end || a.timestamp_first != first || a.timestamp_last != last)
        fail_msg("after %d %d %d...: text %d, end %d, timestamps %d to %d", ids[0], ids[0] < 0 ? 0 : ids[1], 0, a.text_allowed,
                 a.end_allowed, a.timestamp_first - TIME, a.timestamp_last - TIME);
}

static void test_timestamps(void **state)
{
    int last = ADDED - 1;
    (void)state;
    expect((int[]){-1}, 0, 0, TIME, AT(1));                                 /* the first is a timestamp, of the first second */
    expect((int[]){AT(0.5), -1}, 1, 1, AT(0.52), AT(0.5) + 0);              /* none: text follows the first */
    expect((int[]){AT(0.5), 3, -1}, 1, 1, AT(0.52), last);                  /* a segment has a length */
    expect((int[]){AT(0.5), 3, AT(4), -1}, 0, 1, AT(4), last);              /* its end: the same time begins the next, or the end */
    expect((int[]){AT(0.5), 3, AT(4), AT(4), -1}, 1, 1, AT(4.02), AT(4));   /* a pair: text follows */
    expect((int[]){AT(0.5), 3, AT(4), AT(4), 5, -1}, 1, 1, AT(4.02), last); /* times never go back */
    expect((int[]){AT(0.5), 3, AT(4), AT(6), 5, 6, -1}, 1, 1, AT(6.02), last);
    expect((int[]){AT(0), 3, AT(30), -1}, 0, 1, AT(30), last);
    expect((int[]){AT(0.5), ADDED, -1}, 1, 1, AT(0.52), last); /* text that fine-tuning added is no timestamp */
    expect((int[]){AT(0.5), ADDED, AT(2), -1}, 0, 1, AT(2), last);
}

static void expect_prompt(const struct speech_request *q, int language, const int *want, int sot)
{
    struct speech_row row = {.language = language};
    int ids[512], at, n = speech_prompt(&speech, q, &row, ids, &at), i = 0;
    for (; want[i] >= 0; i++)
        assert_int_equal(ids[i], want[i]);
    assert_int_equal(n, i);
    assert_int_equal(at, sot);
}

static void test_prompt(void **state)
{
    static int many[1000];
    int words[] = {7, 8, 9}, ids[512], sot;
    struct speech_row row = {.language = ENGLISH};
    (void)state;
    expect_prompt(&(struct speech_request){.timestamps = true}, ENGLISH + 2, (int[]){SOT, ENGLISH + 2, TRANSCRIBE, -1}, 0);
    expect_prompt(&(struct speech_request){.translate = true}, ENGLISH, (int[]){SOT, ENGLISH, TRANSLATE, NO_TIMESTAMPS, -1}, 0);
    expect_prompt(
        &(struct speech_request){.timestamps = true, .previous = words, .previous_count = 3, .prefix = words + 1, .prefix_count = 2},
        ENGLISH, (int[]){SOT_PREV, 7, 8, 9, SOT, ENGLISH, TRANSCRIBE, 8, 9, -1}, 4);
    for (int i = 0; i < 1000; i++)
        many[i] = i % 50;
    struct speech_request q = {.timestamps = true, .previous = many, .previous_count = 1000};
    assert_int_equal(speech_prompt(&speech, &q, &row, ids, &sot), 1 + 223 + 3); /* half of the positions - 1 */
    assert_int_equal(sot, 224);
    for (int i = 0; i < 223; i++)
        assert_int_equal(ids[1 + i], many[1000 - 223 + i]); /* the end of it */
    q = (struct speech_request){.timestamps = true, .previous = many, .previous_count = 1000, .prefix = many, .prefix_count = 1000};
    assert_int_equal(speech_prompt(&speech, &q, &row, ids, &sot), 1 + 223 - 112 + 3 + 112); /* the prefix: a quarter of them */
    speech.tokens.is_multilingual = false;
    expect_prompt(&(struct speech_request){.timestamps = true}, -1, (int[]){SOT, -1}, 0);
    speech.tokens.is_multilingual = true;
}

static void test_ratio(void **state)
{
    char text[1000];
    struct bytes b = {.data = text};
    (void)state;
    assert_float_equal(speech_compression_ratio(&b), 0, 0);
    memset(text, 'a', sizeof text);
    b.size = sizeof text;
    assert_true(speech_compression_ratio(&b) > 50);
    b = (struct bytes){.data = "And so my fellow Americans", .size = 26};
    assert_float_equal(speech_compression_ratio(&b), 26.0 / 34.0, 1e-9); /* python: len(zlib.compress(...)) is 34 */
}

static void test_classes(void **state)
{
    const struct whisper_tokens *t = &speech.tokens;
    const int text[] = {0, EOT - 1, ADDED}, times[] = {TIME, ADDED - 1}, others[] = {EOT, SOT, NO_TIMESTAMPS, -1};
    (void)state;
    for (size_t i = 0; i < COUNT(text); i++)
        assert_true(whisper_is_text(t, text[i]) && !whisper_is_timestamp(t, text[i]));
    for (size_t i = 0; i < COUNT(times); i++)
        assert_true(!whisper_is_text(t, times[i]) && whisper_is_timestamp(t, times[i]));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_true(!whisper_is_text(t, others[i]) && !whisper_is_timestamp(t, others[i]));
    assert_true(30 - 1500 * WHISPER_TIMESTAMP_STEP == 0); /* in double precision */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_timestamps), cmocka_unit_test(test_prompt), cmocka_unit_test(test_ratio),
                                       cmocka_unit_test(test_classes)};
    make_speech();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free_speech();
    return failed;
}
