/* test_tokenizer.c - bpe.c, whisper_tokens.c and whisper_languages.c.
 * A handwritten vocabulary of the 256 bytes and a few merges tests the rules without weights. With CLIO_WHISPER_BASE, a folder with the
 * tokenizer.json of Whisper base (multilingual), token ids are compared with the reference (golden/whisper_tokens.json). */
#include "../support/folder.h"
#include "../support/test_tokens.h"

#include "../../models/tokenizers/whisper_languages.h"
#include "../../models/tokenizers/bpe.h"
#include "../../models/tokenizers/whisper_tokens.h"

#include <jansson.h>
#include <unistd.h>

/* ---- the handwritten vocabulary ---- */

#define BYTE(b) (255 - (b)) /* tokens of single bytes: different from the byte, to detect a mix-up */
enum {
    SPACE_T = 256,
    HE,
    SPACE_THE,
    AA,
    AAAA,
    TH,
    SPACES,
    SPACE_B,
    T_QUOTE,
    QUOTE_S,
    A_ONE,
    YZ,
    XY,
    YZW,
    XYZ,
    SPACE_LEAD,
    PLAIN = SPACE_LEAD + 6
};

static const char *const merges[][3] = {
    {"Ġ", "t", "Ġt"},
    {"h", "e", "he"},
    {"Ġt", "he", "Ġthe"},
    {"a", "a", "aa"},
    {"aa", "aa", "aaaa"},
    {"t", "h", "th"},
    {"Ġ", "Ġ", "ĠĠ"},
    {"Ġ", "b", "Ġb"},
    {"t", "'", "t'"},
    {"'", "s", "'s"},
    {"a", "1", "a1"},
    {"y", "z", "yz"},
    {"x", "y", "xy"},
    {"yz", "w", "yzw"},
    {"x", "yz", "xyz"},
    /* a space with the first byte of multi-byte characters: 0xC0 0xE0 0xED 0xF0 0xF4 0xF5 */
    {"Ġ", "À", "ĠÀ"},
    {"Ġ", "à", "Ġà"},
    {"Ġ", "í", "Ġí"},
    {"Ġ", "ð", "Ġð"},
    {"Ġ", "ô", "Ġô"},
    {"Ġ", "õ", "Ġõ"},
};

static json_t *make_vocab(void)
{
    json_t *vocab = json_object();
    char names[256][3];
    byte_names(names);
    for (int b = 0; b < 256; b++)
        assert_int_equal(json_object_set_new(vocab, names[b], json_integer(BYTE(b))), 0);
    for (size_t i = 0; i < COUNT(merges); i++)
        json_object_set_new(vocab, merges[i][2], json_integer(256 + (int)i));
    return vocab;
}

/* merges_as_pairs: ["a", "b"], else "a b" */
static json_t *make_tokenizer(bool merges_as_pairs)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(merges); i++)
        json_array_append_new(list, merges_as_pairs ? json_pack("[ss]", merges[i][0], merges[i][1])
                                                    : json_sprintf("%s %s", merges[i][0], merges[i][1]));
    json_t *root = json_pack("{s:{s:s}, s:[], s:{s:s, s:o, s:o}}", "pre_tokenizer", "type", "ByteLevel", "added_tokens", "model", "type",
                             "BPE", "vocab", make_vocab(), "merges", list);
    assert_non_null(root);
    return root;
}

static void add_token(json_t *root, int id, const char *content, bool special)
{
    json_t *entry = json_pack("{s:i, s:s, s:b}", "id", id, "content", content, "special", special);
    assert_int_equal(json_array_append_new(json_object_get(root, "added_tokens"), entry), 0);
}

/* Writes the file, releases root, opens the folder. */
static clio_status open_as(json_t *root, struct tokenizer *t)
{
    assert_int_equal(json_dump_file(root, in_folder("tokenizer.json"), 0), 0);
    json_decref(root);
    return tokenizer_open(test_context(), t, folder, TOKENIZER_GPT2);
}

#define assert_tokens(t, text, ...)                                                                                                        \
    check_tokens((t), (text), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), __LINE__)
static void check_tokens(struct tokenizer *t, const char *text, const int *want, size_t want_count, int line)
{
    int *ids = NULL;
    size_t count;
    assert_ok(tokenizer_encode(test_context(), t, text, &ids, &count));
    compare_ids(text, ids, count, want, want_count, line);
}

static void check_round_trip(struct tokenizer *t, const char *text)
{
    struct bytes back = {0};
    int *ids = NULL;
    size_t count, size;
    assert_ok(tokenizer_encode(test_context(), t, text, &ids, &count));
    assert_ok(bytes_add(test_context(), &back, "", 0));
    for (size_t i = 0; i < count; i++) {
        const char *part = tokenizer_bytes(t, ids[i], &size);
        assert_true(size > 0);
        assert_false(tokenizer_is_special(t, ids[i]));
        assert_ok(bytes_add(test_context(), &back, part, size));
    }
    assert_int_equal(back.size, strlen(text));
    assert_memory_equal(back.data, text, back.size);
    free(ids);
    bytes_free(&back);
}

static void check_rules(struct tokenizer *t)
{
    int *ids = NULL;
    size_t count = 1;
    assert_ok(tokenizer_encode(test_context(), t, "", &ids, &count));
    assert_int_equal(count, 0);
    free(ids);
    assert_tokens(t, " the", SPACE_THE);
    assert_tokens(t, "the", BYTE('t'), HE); /* the lower rank first, not the left pair */
    assert_tokens(t, "th", TH);
    assert_tokens(t, "aaaaa", AAAA, BYTE('a')); /* equal ranks from left to right */
    assert_tokens(t, "aaaaaaa", AAAA, AA, BYTE('a'));
    assert_tokens(t, "a   b", BYTE('a'), SPACES, SPACE_B); /* the last space belongs to the word */
    assert_tokens(t, "a   ", BYTE('a'), SPACES, BYTE(' '));
    assert_tokens(t, "it's", BYTE('i'), BYTE('t'), QUOTE_S);
    assert_tokens(t, "a1", BYTE('a'), BYTE('1')); /* letters and digits are separate pieces */
    assert_tokens(t, "xyzw", BYTE('x'), YZW);     /* "x y" of rank 1 in the heap has become "x yz" of rank 3 */
    assert_tokens(t, "\n\t", BYTE('\n'), BYTE('\t'));
    assert_tokens(t, "\xc3\xa9", BYTE(0xC3), BYTE(0xA9));
    assert_tokens(t, "aa\xffhe\xc3", AA, BYTE(0xFF), HE, BYTE(0xC3)); /* invalid UTF-8: encoded byte by byte */
}

/* A space joins the character after it, but not invalid bytes. */
static void check_malformed(struct tokenizer *t)
{
    const char *const bad[] = {" \xc0\xaf",         " \xe0\x9f\xbf",     " \xed\xa0\x80", " \xf0\x8f\xbf\xbf",
                               " \xf4\x90\x80\x80", " \xf5\x80\x80\x80", " \xed\x9f",     " \xf0\x90\x80"};
    const char *const good[] = {" \xe0\xa0\x80", " \xed\x9f\xbf", " \xf0\x90\x80\x80", " \xf4\x8f\xbf\xbf"};
    int *ids = NULL;
    size_t count;
    for (size_t i = 0; i < COUNT(bad); i++) {
        check_round_trip(t, bad[i]);
        assert_ok(tokenizer_encode(test_context(), t, bad[i], &ids, &count));
        assert_int_equal(count, strlen(bad[i]));
        free(ids);
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        check_round_trip(t, good[i]);
        assert_ok(tokenizer_encode(test_context(), t, good[i], &ids, &count));
        assert_int_equal(count, strlen(good[i]) - 1);
        free(ids);
    }
}

static void test_rules(void **state)
{
    struct tokenizer t;
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        assert_ok(open_as(make_tokenizer(pairs), &t));
        assert_int_equal(tokenizer_size(&t), PLAIN);
        check_rules(&t);
        check_malformed(&t);
        tokenizer_close(&t);
    }
}

static void test_lookups(void **state)
{
    struct tokenizer t;
    size_t size;
    (void)state;
    json_t *root = make_tokenizer(true);
    add_token(root, 300, "<|endoftext|>", true);
    add_token(root, 301, "<|0.00|>", false);
    add_token(root, 302, "[name]", true);
    add_token(root, 303, "added words", false);
    add_token(root, SPACE_THE, " the", false); /* also in the vocabulary */
    add_token(root, 304, "he", false);         /* precedence over the vocabulary */
    assert_ok(open_as(root, &t));
    assert_int_equal(tokenizer_size(&t), 305);
    assert_int_equal(tokenizer_find(&t, " the"), SPACE_THE);
    assert_int_equal(tokenizer_find(&t, "<|endoftext|>"), 300);
    assert_int_equal(tokenizer_find(&t, "he"), 304);
    assert_int_equal(tokenizer_find(&t, "<|startoftranscript|>"), -1);
    assert_int_equal(tokenizer_find(&t, ""), -1);
    assert_string_equal(tokenizer_bytes(&t, SPACE_THE, &size), " the");
    assert_int_equal(size, 4);
    assert_string_equal(tokenizer_bytes(&t, 302, NULL), "[name]");
    assert_memory_equal(tokenizer_bytes(&t, BYTE(0), &size), "\0", 2);
    assert_int_equal(size, 1);
    assert_true(tokenizer_is_special(&t, 300) && tokenizer_is_special(&t, 301) && tokenizer_is_special(&t, 302));
    assert_false(tokenizer_is_special(&t, 303) || tokenizer_is_special(&t, SPACE_THE));
    const int nothing[] = {-1, PLAIN, 299, 305, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(nothing); i++) {
        assert_string_equal(tokenizer_bytes(&t, nothing[i], &size), "");
        assert_int_equal(size, 0);
        assert_false(tokenizer_is_special(&t, nothing[i]));
    }
    check_round_trip(&t, "<|endoftext|> [name] is plain text here"); /* without special tokens */
    tokenizer_close(&t);
    tokenizer_close(&t); /* twice is safe */
    assert_int_equal(tokenizer_find(&t, "a"), -1);
}

static void test_older_files(void **state)
{
    struct tokenizer t;
    clio_context *ctx = test_context();
    char text[512] = "#version: 0.2\n";
    (void)state;
    json_t *vocab = make_vocab();
    assert_int_equal(json_dump_file(vocab, in_folder("vocab.json"), 0), 0);
    json_decref(vocab);
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_FILE, "merges.txt");
    for (size_t i = 0; i < COUNT(merges); i++) /* some with CRLF; one empty line */
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s%s", merges[i][0], merges[i][1],
                 i % 3 == 0 ? "\r\n"
                 : i == 4   ? "\n\n"
                            : "\n");
    put_text("merges.txt", text);
    assert_ok(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2));
    assert_int_equal(tokenizer_size(&t), PLAIN);
    check_rules(&t);
    tokenizer_close(&t);

    put_text("added_tokens.json", "{\"<|startoftranscript|>\": 400, \"word\": 401}");
    assert_ok(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2));
    check_rules(&t);
    assert_int_equal(tokenizer_find(&t, "<|startoftranscript|>"), 400);
    assert_true(tokenizer_is_special(&t, 400));
    assert_false(tokenizer_is_special(&t, 401));
    tokenizer_close(&t);

    put_text("added_tokens.json", "{\"word\": \"401\"}");
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_FORMAT, "added_tokens.json is damaged");
    remove(in_folder("added_tokens.json"));
    put_text("merges.txt", "Ġ t\nĠt\n");
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_FORMAT, "merges.txt is damaged: merge 1");
    put_text("merges.txt", "Ġ t\nq q");
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_FORMAT, "merge 1 (\"q q\") needs a token");
}

/* A megabyte of one letter: a merge loop that scans all pairs each time would take hours. */
static void check_long(struct tokenizer *t)
{
    const size_t size = 1 << 20;
    const char *const units[] = {"a", " ", "\xc3\xa9", "\xff", "a ", "\n", "1"};
    char *text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(units); i++) {
        for (size_t j = 0; j < size; j++)
            text[j] = units[i][j % strlen(units[i])];
        text[size] = 0;
        check_round_trip(t, text);
    }
    free(text);
}

static void test_long_text(void **state)
{
    struct tokenizer t;
    int *ids;
    size_t count;
    char text[4 * 4096 + 1];
    (void)state;
    assert_ok(open_as(make_tokenizer(true), &t));
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    assert_ok(tokenizer_encode(test_context(), &t, text, &ids, &count));
    assert_int_equal(count, 4096);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ids[i], AAAA);
    free(ids);
    check_long(&t);
    tokenizer_close(&t);
}

/* ---- damaged files ---- */

static void test_damaged_files(void **state)
{
    clio_context *ctx = test_context();
    struct tokenizer t;
    (void)state;
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_FILE, "has neither tokenizer.json");
    assert_fails(tokenizer_open(ctx, &t, in_folder("absent"), TOKENIZER_GPT2), CLIO_ERROR_FILE, "there is no folder");
    assert_non_null(strstr(clio_error(ctx), "use a model folder (config.json, tokenizer.json, model.safetensors)"));
    const char *const texts[][2] = {
        {"{\"model\": {\"type\": \"BPE\", ", "tokenizer.json"},
        {"[1, 2]", "tokenizer.json"},
        {"{}", "is not a BPE tokenizer"},
        {"{\"model\": 3}", "is not a BPE tokenizer"},
        {"{\"model\": {\"type\": \"BPE\", \"merges\": []}}", "is not a BPE tokenizer"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": [], \"merges\": []}}", "is not a BPE tokenizer"},
        {"{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": {}}}", "is not a BPE tokenizer"},
        {"{\"model\": {\"vocab\": {\"a\": 1.5}, \"merges\": []}}", "id of the token \"a\""},
        {"{\"model\": {\"vocab\": {\"a\": -1}, \"merges\": []}}", "id of the token \"a\""},
        {"{\"model\": {\"vocab\": {\"a\": 4194304}, \"merges\": []}}", "id of the token \"a\""},
        {"{\"model\": {\"vocab\": {\"a\": 1000000000000000000000000000000}, \"merges\": []}}", "id of the token \"a\""},
        {"{\"model\": {\"vocab\": {\"a\": 7, \"b\": 7}, \"merges\": []}}", "the tokens \"a\" and \"b\" have the same id 7"},
        {"{\"model\": {\"vocab\": {}, \"merges\": []}, \"added_tokens\": 1}", "\"added_tokens\" is not a list"},
        {"{\"model\": {\"vocab\": {}, \"merges\": []}, \"added_tokens\": [1]}", "has no \"content\""},
        {"{\"model\": {\"vocab\": {}, \"merges\": []}, \"added_tokens\": [{\"content\": \"x\"}]}", "id of the token \"x\""},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        put_text("tokenizer.json", texts[i][0]);
        assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_FORMAT, texts[i][1]);
        assert_null(t.tokens);
    }
    put_text("tokenizer.json", "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0.5]]}}");
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_UNSUPPORTED,
                 "belongs to another model: its tokenizer is Unigram");
    put_text("tokenizer.json", "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}}");
    assert_fails(tokenizer_open(ctx, &t, folder, TOKENIZER_GPT2), CLIO_ERROR_UNSUPPORTED, "no token for the byte 0x00");
}

static void test_damaged_entries(void **state)
{
    struct tokenizer t;
    (void)state;
    const char *const wrong[][2] = {
        {"[\"a\", \"qq\"]", "merge 21 (\"a qq\") needs a token"},
        {"[\"a\", \"t\"]", "needs a token"}, /* both known, but not merged */
        {"\"a\"", "merge 21 (\"a\") is not two tokens"},
        {"\"a a a\"", "needs a token"},
        {"[\"a\"]", "merge 21 is neither"},
        {"[\"a\", 1]", "merge 21 is neither"},
        {"3", "merge 21 is neither"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        json_t *root = make_tokenizer(true), *list = json_object_get(json_object_get(root, "model"), "merges");
        assert_int_equal(json_array_append_new(list, json_loads(wrong[i][0], JSON_DECODE_ANY, NULL)), 0);
        assert_fails(open_as(root, &t), CLIO_ERROR_FORMAT, wrong[i][1]);
    }
    json_t *root = make_tokenizer(true);
    add_token(root, AA, "other", true);
    assert_fails(open_as(root, &t), CLIO_ERROR_FORMAT, "the tokens \"aa\" and \"other\" have the same id");
    root = make_tokenizer(true);
    add_token(root, 1 << 30, "far", true);
    assert_fails(open_as(root, &t), CLIO_ERROR_FORMAT, "id of the token \"far\"");
    root = make_tokenizer(true);
    json_object_set_new(json_object_get(root, "model"), "end_of_word_suffix", json_string("</w>"));
    assert_fails(open_as(root, &t), CLIO_ERROR_UNSUPPORTED, "belongs to another model");
    root = make_tokenizer(true);
    json_object_set_new(json_object_get(root, "pre_tokenizer"), "type", json_string("Metaspace"));
    assert_fails(open_as(root, &t), CLIO_ERROR_UNSUPPORTED, "belongs to another model");
}

/* ---- Whisper's special tokens ---- */

struct control {
    int eot, languages;
    bool old_name, timestamps;
    const char *without;
};

/* The handwritten vocabulary with special tokens at the ids of a released model. */
static clio_status open_whisper(const struct control *c, struct tokenizer *t)
{
    const char *const names[] = {
        "<|translate|>",   "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", c->old_name ? "<|nocaptions|>" : "<|nospeech|>",
        "<|notimestamps|>"};
    json_t *root = make_tokenizer(true);
    int id = c->eot;
    add_token(root, id++, "<|endoftext|>", true);
    if (!c->without || strcmp(c->without, "<|startoftranscript|>"))
        add_token(root, id, "<|startoftranscript|>", true);
    id++;
    for (int i = 0; i < c->languages; i++) {
        const char *code, *name;
        char token[16];
        clio_language((size_t)i, &code, &name);
        snprintf(token, sizeof token, "<|%s|>", code);
        add_token(root, id++, token, true);
    }
    for (size_t i = 0; i < COUNT(names); i++, id++)
        if (!c->without || strcmp(c->without, names[i]))
            add_token(root, id, names[i], true);
    for (int i = 0; c->timestamps && i < WHISPER_TIMESTAMPS; i++) {
        char token[16];
        snprintf(token, sizeof token, "<|%.2f|>", i * 0.02);
        add_token(root, id++, token, false);
    }
    return open_as(root, t);
}

static void test_whisper_tokens(void **state)
{
    clio_context *ctx = test_context();
    struct tokenizer t;
    struct whisper_tokens w;
    (void)state;
    assert_ok(open_whisper(&(struct control){.eot = 50257, .languages = 99, .timestamps = true}, &t)); /* tiny to large-v2 */
    assert_ok(whisper_tokens(ctx, &t, 51865, &w));
    const int want[] = {50257, 50258, 50358, 50359, 50363, 50364, 50361, 50360, 50362, 50259, 99};
    const int got[] = {w.eot,      w.sot,    w.translate, w.transcribe,     w.no_timestamps, w.timestamp_begin,
                       w.sot_prev, w.sot_lm, w.no_speech, w.first_language, w.language_count};
    assert_memory_equal(got, want, sizeof want);
    assert_true(w.is_multilingual);
    assert_ok(whisper_tokens(ctx, &t, 51968, &w)); /* padded */
    assert_fails(whisper_tokens(ctx, &t, 51864, &w), CLIO_ERROR_FORMAT, "it has 51865 tokens and vocab_size in config.json is 51864");
    assert_fails(whisper_tokens(ctx, &t, 51866, &w), CLIO_ERROR_FORMAT, "it has only 51865 tokens and vocab_size in config.json is 51866");
    assert_fails(whisper_tokens(ctx, &t, 0, &w), CLIO_ERROR_FORMAT, "belongs to another model");
    tokenizer_close(&t);

    assert_ok(open_whisper(&(struct control){.eot = 50257, .languages = 100, .old_name = true}, &t)); /* large-v3 */
    assert_ok(whisper_tokens(ctx, &t, 51866, &w));
    assert_int_equal(w.language_count, 100);
    assert_int_equal(w.timestamp_begin, 50365);
    assert_int_equal(w.no_speech, 50363);
    assert_fails(whisper_tokens(ctx, &t, 51865, &w), CLIO_ERROR_FORMAT, "belongs to another model");
    tokenizer_close(&t);

    assert_ok(open_whisper(&(struct control){.eot = 50256, .languages = 99}, &t)); /* tiny.en to medium.en */
    assert_ok(whisper_tokens(ctx, &t, 51864, &w));
    assert_false(w.is_multilingual);
    assert_int_equal(w.sot, 50257);
    assert_int_equal(w.first_language, -1);
    assert_int_equal(w.language_count, 0);
    assert_int_equal(w.timestamp_begin, 50363);
    assert_fails(whisper_tokens(ctx, &t, 51865, &w), CLIO_ERROR_FORMAT, "belongs to another model");
    tokenizer_close(&t);
}

static void test_tokenizer_of_another_model(void **state)
{
    clio_context *ctx = test_context();
    struct tokenizer t;
    struct whisper_tokens w;
    const char *const needed[] = {"<|startoftranscript|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"};
    (void)state;
    for (size_t i = 0; i < COUNT(needed); i++) {
        char part[128];
        assert_ok(open_whisper(&(struct control){.eot = 50257, .languages = 99, .without = needed[i]}, &t));
        snprintf(part, sizeof part, "/tokenizer.json belongs to another model: it has no %s token", needed[i]);
        assert_fails(whisper_tokens(ctx, &t, 51865, &w), CLIO_ERROR_FORMAT, part);
        tokenizer_close(&t);
    }
    assert_ok(open_whisper(&(struct control){.eot = 50257, .languages = 99, .without = "<|startofprev|>"}, &t));
    assert_ok(whisper_tokens(ctx, &t, 51865, &w)); /* optional */
    assert_int_equal(w.sot_prev, -1);
    tokenizer_close(&t);
    assert_ok(open_whisper(&(struct control){.eot = 50257, .languages = 0}, &t));
    assert_fails(whisper_tokens(ctx, &t, 51865, &w), CLIO_ERROR_FORMAT, "its language tokens are not between");
    tokenizer_close(&t);
}

/* ---- languages ---- */

static void test_languages(void **state)
{
    const char *code, *name;
    (void)state;
    assert_int_equal(language_count(), 100);
    for (int n = 0; n < 100; n++) {
        clio_language((size_t)n, &code, &name);
        assert_int_equal(language_index(code), n);
        assert_ptr_equal(language_find(code), code); /* no code is the code or name of an earlier language */
        assert_ptr_equal(language_find(name), code);
    }
    assert_string_equal(code, "yue");
    assert_string_equal(name, "Cantonese");
    clio_language(100, &code, &name);
    assert_null(code);
    assert_null(name);
    const char *const pairs[][2] = {
        {"EN", "en"},        {"english", "en"},        {"Burmese", "my"},       {"valencian", "ca"}, {"FLEMISH", "nl"},
        {"haitian", "ht"},   {"Haitian creole", "ht"}, {"letzeburgesch", "lb"}, {"pushto", "ps"},    {"panjabi", "pa"},
        {"moldavian", "ro"}, {"moldovan", "ro"},       {"sinhalese", "si"},     {"castilian", "es"}, {"mandarin", "zh"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_string_equal(language_find(pairs[i][0]), pairs[i][1]);
    const char *const unknown[] = {"", "e", "eng", "klingon", "auto", "<|en|>"};
    for (size_t i = 0; i < COUNT(unknown); i++)
        assert_null(language_find(unknown[i]));
    assert_int_equal(language_index("EN"), -1);
}

/* ---- with the tokenizer of Whisper base ---- */

/* Open it; false: it is missing, with a message. */
static bool open_base(struct tokenizer *t)
{
    const char *dir = getenv("CLIO_WHISPER_BASE");
    if (dir) {
        assert_ok(tokenizer_open(test_context(), t, dir, TOKENIZER_GPT2));
        return true;
    }
    if (getenv("CLIO_REQUIRE"))
        fail_msg("CLIO_WHISPER_BASE does not name a folder with Whisper base");
    fprintf(stderr, "SKIPPED: set CLIO_WHISPER_BASE to a folder with Whisper base\n");
    return false;
}

static void test_reference_tokens(void **state)
{
    struct tokenizer t;
    const char *path = test_golden("whisper_tokens.json");
    size_t i, j, tested = 0;
    json_t *value, *id;
    (void)state;
    if (!path || !open_base(&t))
        skip();
    json_t *root = json_load_file(path, 0, NULL);
    json_array_foreach(json_object_get(root, "cases"), i, value)
    {
        const char *text = json_string_value(json_object_get(value, "text"));
        int want[512];
        size_t count = json_array_size(json_object_get(value, "ids"));
        assert_true(text && count <= COUNT(want));
        json_array_foreach(json_object_get(value, "ids"), j, id) want[j] = (int)json_integer_value(id);
        check_tokens(&t, text, want, count, (int)i);
        check_round_trip(&t, text);
        tested++;
    }
    assert_true(tested >= 90);
    json_decref(root);
    tokenizer_close(&t);
}

static void test_base(void **state)
{
    struct tokenizer t;
    struct whisper_tokens w;
    (void)state;
    if (!open_base(&t))
        skip();
    assert_ok(whisper_tokens(test_context(), &t, 51865, &w));
    assert_int_equal(w.sot, 50258);
    assert_int_equal(w.timestamp_begin, 50364);
    assert_int_equal(w.language_count, 99);
    for (int n = 0; n < w.language_count; n++) {
        const char *code, *name;
        char token[16];
        clio_language((size_t)n, &code, &name);
        snprintf(token, sizeof token, "<|%s|>", code);
        assert_int_equal(tokenizer_find(&t, token), w.first_language + n);
    }
    const char *const odd[] = {
        "\x80", "a\xff\xfe z", "\xc3", "\xe4\xbd", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80", "ok \xf0\x9f\x98 \xe4\xbd\xa0"};
    for (size_t i = 0; i < COUNT(odd); i++)
        check_round_trip(&t, odd[i]);
    check_long(&t);
    tokenizer_close(&t);
}

static void test_transcripts(void **state)
{
    struct tokenizer t;
    const char *path = test_golden("../speech/en/manifest.json");
    size_t i;
    json_t *clip;
    (void)state;
    if (!path || !open_base(&t))
        skip();
    json_t *root = json_load_file(path, 0, NULL);
    assert_true(json_array_size(json_object_get(root, "clips")) > 0);
    json_array_foreach(json_object_get(root, "clips"), i, clip)
    {
        const char *transcript = json_string_value(json_object_get(clip, "transcript")),
                   *text = json_string_value(json_object_get(clip, "reference_text"));
        assert_true(transcript && text);
        check_round_trip(&t, transcript);
        check_round_trip(&t, text);
    }
    json_decref(root);
    path = test_golden("../speech/long-en.txt");
    if (path) {
        char text[65536];
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        assert_int_equal(fclose(f), 0);
        assert_true(*text);
        check_round_trip(&t, text);
    }
    tokenizer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rules, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_lookups, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_older_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_long_text, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_entries, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_whisper_tokens, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_tokenizer_of_another_model, make_folder, remove_folder),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_reference_tokens),
        cmocka_unit_test(test_base),
        cmocka_unit_test(test_transcripts),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
