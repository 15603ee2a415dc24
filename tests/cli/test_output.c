/* test_output.c - the output formats of clio transcribe, byte by byte. Needs no device. */
#include "../../cli/output.h"
#include "../../cli/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EMOJI "\xF0\x9F\x98\x80"
#define BROKEN "\xEF\xBF\xBD" /* U+FFFD */

/* Tokens of the third segment: an emoji over three tokens, then a character whose end is missing, before the timestamp. */
static const clio_token tokens[] = {
    {50364, 1, "<|0.00|>", 3723.999},
    {11, 0.5f, " a,", -1},
    {12, 0.25f, "\xF0\x9F", -1},
    {13, 0.75f, "\x98", -1},
    {14, 1, "\x80", -1},
    {15, 0.125f, "\xE4\xB8", -1},
    {50400, 0.5f, "<|1.00|>", 36000.5},
};

static const clio_segment segments[] = {
    {0, 0.0404, "He said \"no\", and left", NULL, 0, 0, -0.25, 1.5, 0.125},
    {59.9996, 61.005, "<b>R&D</b>\nnext line", NULL, 0, 0, -0.25, 1.5, 0.125},
    {3723.999, 36000.5, "a," EMOJI "\xE4\xB8", tokens, COUNT(tokens), 0.4, -0.5, 2, 0},
    {360000.25, 360001.009, "tab\there", NULL, 0, 0, -0.25, 1.5, 0.125},
};
static const clio_transcript transcript = {"de", 0.75, 360001.5, "", segments, COUNT(segments), NULL};
static const clio_transcript empty = {"", 0, 0, "", NULL, 0, NULL};
static const clio_transcript cut = {"de", 1, 2.5, "", segments, 0, "talk.wav ends after 2.5 s, but its header promises 9.0 s"};
static const clio_device_info device = {.name = "D", .type = "cpu", .platform = "P", .driver = "1"};

static char *written(enum format format, const clio_transcript *t, bool full)
{
    struct document doc = {.transcript = t,
                           .device = &device,
                           .file = "a \"b\"\xFF.wav",
                           .model = "m",
                           .language = t == &transcript ? NULL : "de",
                           .multilingual = true,
                           .full = full};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    output_write(out, format, &doc);
    fclose(out);
    return text;
}

static void expect(enum format format, const clio_transcript *t, bool full, const char *want)
{
    char *text = written(format, t, full);
    assert_string_equal(text, want);
    free(text);
}

static void test_txt(void **state)
{
    (void)state;
    expect(FORMAT_TXT, &transcript, false, "He said \"no\", and left\n<b>R&D</b> next line\na," EMOJI BROKEN "\ntab here\n");
    expect(FORMAT_TXT, &empty, false, "");
}

static void test_srt(void **state)
{
    (void)state;
    expect(FORMAT_SRT, &transcript, false,
           "1\n00:00:00,000 --> 00:00:00,040\nHe said \"no\", and left\n\n"
           "2\n00:01:00,000 --> 00:01:01,005\n<b>R&D</b> next line\n\n"
           "3\n01:02:03,999 --> 10:00:00,500\na," EMOJI BROKEN "\n\n"
           "4\n100:00:00,250 --> 100:00:01,009\ntab here\n\n");
    expect(FORMAT_SRT, &empty, false, "");
}

static void test_vtt(void **state)
{
    (void)state;
    expect(FORMAT_VTT, &transcript, false,
           "WEBVTT\n\n00:00:00.000 --> 00:00:00.040\nHe said \"no\", and left\n\n"
           "00:01:00.000 --> 00:01:01.005\n&lt;b&gt;R&amp;D&lt;/b&gt; next line\n\n"
           "01:02:03.999 --> 10:00:00.500\na," EMOJI BROKEN "\n\n"
           "100:00:00.250 --> 100:00:01.009\ntab here\n\n");
    expect(FORMAT_VTT, &empty, false, "WEBVTT\n\n");
}

static void test_lrc(void **state)
{
    (void)state;
    expect(FORMAT_LRC, &transcript, false,
           "[by:clio]\n[00:00.00]He said \"no\", and left\n[01:00.00]<b>R&D</b> next line\n[62:03.99]a," EMOJI BROKEN
           "\n[6000:00.25]tab here\n");
    expect(FORMAT_LRC, &empty, false, "[by:clio]\n");
}

static void test_csv(void **state)
{
    (void)state;
    expect(FORMAT_CSV, &transcript, false,
           "start,end,text\n0,40,\"He said \"\"no\"\", and left\"\n60000,61005,\"<b>R&D</b> next line\"\n3723999,36000500,\"a," EMOJI BROKEN
           "\"\n360000250,360001009,\"tab here\"\n");
    expect(FORMAT_CSV, &empty, false, "start,end,text\n");
}

#define HEAD(language_, result_)                                                                                                           \
    "{\n  \"systeminfo\": \"clio " VERSION ", D (cpu, P, driver 1)\",\n  \"model\": {\n    \"multilingual\": true\n  },\n"                 \
    "  \"params\": {\n    \"file\": \"a \\\"b\\\"\\\\xff.wav\",\n    \"model\": \"m\",\n    \"language\": \"" language_                    \
    "\",\n    \"translate\": false\n  },\n  \"result\": {\n" result_ "  },\n"
#define TIMES(from, to, from_ms, to_ms)                                                                                                    \
    "      \"timestamps\": {\n        \"from\": \"" from "\",\n        \"to\": \"" to "\"\n      },\n"                                     \
    "      \"offsets\": {\n        \"from\": " from_ms ",\n        \"to\": " to_ms "\n      },\n"
#define RESULT "    \"language\": \"de\",\n    \"language_probability\": 0.75,\n    \"duration_s\": 360002.0\n" /* six digits */

/* The version is the only part that changes. */
static void expect_json(const clio_transcript *t, bool full, const char *head, const char *rest)
{
    char *want = malloc(strlen(head) + strlen(rest) + 64), *version = strstr(head, "VERSION");
    assert_non_null(want);
    sprintf(want, "%.*s%s%s%s", (int)(version - head), head, clio_version(), version + strlen("VERSION"), rest);
    expect(FORMAT_JSON, t, full, want);
    free(want);
}
#define VERSION "VERSION"

static void test_json(void **state)
{
    (void)state;
    expect_json(
        &transcript, false, HEAD("auto", RESULT),
        "  \"transcription\": [\n"
        "    {\n" TIMES("00:00:00,000", "00:00:00,040", "0",
                        "40") "      \"text\": \"He said \\\"no\\\", and left\"\n    },\n"
                              "    {\n" TIMES("00:01:00,000", "00:01:01,005", "60000",
                                              "61005") "      \"text\": \"<b>R&D</b> next line\"\n    },\n"
                                                       "    {\n" TIMES(
                                                           "01:02:03,999", "10:00:00,500", "3723999",
                                                           "36000500") "      \"text\": \"a," EMOJI BROKEN "\"\n    },\n"
                                                                       "    {\n" TIMES(
                                                                           "100:00:00,250", "100:00:01,009", "360000250",
                                                                           "360001009") "      \"text\": \"tab here\"\n    }\n  ]\n}\n");
    expect_json(&empty, false, HEAD("de", "    \"language\": \"\",\n    \"language_probability\": 0.0,\n    \"duration_s\": 0.0\n"),
                "  \"transcription\": []\n}\n");
    expect_json(&cut, false,
                HEAD("de", "    \"language\": \"de\",\n    \"language_probability\": 1.0,\n    \"duration_s\": 2.5,\n"
                           "    \"incomplete\": \"talk.wav ends after 2.5 s, but its header promises 9.0 s\"\n"),
                "  \"transcription\": []\n}\n");
}

#define TOKEN(text_, id_, p_)                                                                                                              \
    "        {\n          \"text\": \"" text_ "\",\n          \"id\": " id_ ",\n          \"p\": " p_ "\n        }"
#define TIME_TOKEN(text_, stamp, ms, id_, p_)                                                                                              \
    "        {\n          \"text\": \"" text_ "\",\n          \"timestamps\": {\n            \"from\": \"" stamp                           \
    "\",\n            \"to\": \"" stamp "\"\n          },\n          \"offsets\": {\n            \"from\": " ms                            \
    ",\n            \"to\": " ms "\n          },\n          \"id\": " id_ ",\n          \"p\": " p_ "\n        }"

/* A character over three tokens is the last one's; one that is never complete is the last text token's, not the timestamp's. */
static void test_json_full(void **state)
{
    static const clio_transcript one = {"de", 0.75, 360001.5, "", segments + 2, 1, NULL};
    (void)state;
    expect_json(
        &one, true, HEAD("de", RESULT),
        "  \"transcription\": [\n"
        "    {\n" TIMES(
            "01:02:03,999", "10:00:00,500", "3723999",
            "36000500") "      \"text\": \"a," EMOJI BROKEN "\",\n"
                        "      \"temperature\": 0.4,\n      \"avg_logprob\": -0.5,\n      \"compression_ratio\": 2.0,\n      "
                        "\"no_speech_prob\": 0.0,\n"
                        "      \"tokens\": [\n" TIME_TOKEN("<|0.00|>", "01:02:03,999", "3723999", "50364", "1.0") ",\n" TOKEN(" a,", "11", "0.5") ",\n" TOKEN(
                            "", "12",
                            "0.25") ",\n" TOKEN("", "13",
                                                "0.75") ",\n" TOKEN(EMOJI, "14",
                                                                    "1.0") ",\n" TOKEN(BROKEN, "15",
                                                                                       "0.125") ",\n" TIME_TOKEN("<|1.00|>", "10:00:00,500",
                                                                                                                 "36000500", "50400",
                                                                                                                 "0.5") "\n      ]\n    "
                                                                                                                        "}\n  ]\n}\n");
}

static void test_stamps(void **state)
{
    static const struct {
        double seconds;
        const char *want;
    } stamps[] = {{0, "00:00:00.000"},         {-1, "00:00:00.000"},      {0.0005, "00:00:00.001"},    {0.001, "00:00:00.001"},
                  {0.05, "00:00:00.050"},      {59.9994, "00:00:59.999"}, {59.9995, "00:01:00.000"},   {75, "00:01:15.000"},
                  {3599.9999, "01:00:00.000"}, {3600, "01:00:00.000"},    {360000.02, "100:00:00.020"}};
    (void)state;
    for (size_t i = 0; i < COUNT(stamps); i++) {
        char text[32];
        stamp_print(text, stamps[i].seconds, '.');
        assert_string_equal(text, stamps[i].want);
    }
}

/* What is no UTF-8 becomes U+FFFD, one for each part; control characters become spaces. */
static void test_utf8(void **state)
{
    static const char *const texts[][2] = {
        {"plain", "plain"},
        {"\xC3\xA4", "\xC3\xA4"},
        {"\xC3", BROKEN},
        {"\xF0\x9F\x98", BROKEN},
        {"\xF0\x9F\x98z", BROKEN BROKEN BROKEN "z"},
        {"\xC0\xAF", BROKEN BROKEN},
        {"\xED\xA0\x80", BROKEN BROKEN BROKEN},
        {"\xF4\x90\x80\x80", BROKEN BROKEN BROKEN BROKEN},
        {"\x80", BROKEN},
        {"a\r\nb\x7F\x1B[0m", "a  b  [0m"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *text = text_clean(texts[i][0]);
        assert_string_equal(text, texts[i][1]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_txt),       cmocka_unit_test(test_srt),    cmocka_unit_test(test_vtt),
        cmocka_unit_test(test_lrc),       cmocka_unit_test(test_csv),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_full), cmocka_unit_test(test_stamps), cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
