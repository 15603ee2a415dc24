/* test_wordpiece.c - wordpiece.c against transformers' BertTokenizer (tests/golden/bert/tokens.json): hard strings with each option, over
 * vocab.txt and tokenizer.json, and with the real vocabulary of MiniLM; truncation; options of the files and damaged folders. Needs no
 * device. */
#include "../support/folder.h"
#include "../support/test_models.h"
#include "../support/test_tokens.h"

#include "../../models/tokenizers/text_tokenizer.h"

#include <jansson.h>

#define GOLDEN CLIO_SOURCE_DIR "/tests/golden/bert/"

static json_t *read_tokens(void)
{
    json_t *root = json_load_file(GOLDEN "tokens.json", 0, NULL);
    assert_non_null(root);
    return root;
}

/* What the tokenizer in `dir` makes of each of the texts is that list of ids. */
static void compare(const char *dir, const json_t *texts, const json_t *lists)
{
    struct wordpiece t;
    json_t *text, *id;
    size_t i, j;
    assert_ok(wordpiece_open(test_context(), &t, dir));
    assert_true(json_array_size(texts) > 30 && json_array_size(texts) == json_array_size(lists));
    json_array_foreach(mem_const_cast(texts), i, text)
    {
        json_t *list = json_array_get(lists, i);
        int want[512], *ids;
        size_t count;
        assert_true(json_array_size(list) <= COUNT(want));
        json_array_foreach(list, j, id) want[j] = (int)json_integer_value(id);
        assert_ok(wordpiece_encode(test_context(), &t, json_string_value(text), 0, &ids, &count));
        compare_ids(json_string_value(text), ids, count, want, json_array_size(list), (int)i);
    }
    wordpiece_close(&t);
}

static void copy_vocabulary(void)
{
    char *text = NULL;
    struct file_content content;
    assert_ok(file_load(test_context(), &content, GOLDEN "sentence/vocab.txt"));
    text = calloc(content.size + 1, 1);
    assert_non_null(text);
    memcpy(text, content.data, content.size);
    put_text("vocab.txt", text);
    free(text);
    file_unload(&content);
}

/* A folder of vocab.txt with each set of options. */
static void test_options(void **state)
{
    json_t *root = read_tokens(), *value;
    size_t i;
    (void)state;
    copy_vocabulary();
    json_array_foreach(json_object_get(root, "cases"), i, value)
    {
        assert_int_equal(json_dump_file(json_object_get(value, "options"), in_folder("tokenizer_config.json"), 0), 0);
        compare(folder, json_object_get(root, "hard"), json_object_get(value, "ids"));
    }
    assert_int_equal(i, 5);
    json_decref(root);
}

/* The same vocabulary in tokenizer.json, whose options are those of the first case; and its normalizer with other ones. */
static void test_json(void **state)
{
    json_t *root = read_tokens(), *hard = json_object_get(root, "hard"), *cases = json_object_get(root, "cases");
    json_t *tokenizer = json_load_file(GOLDEN "plain/tokenizer.json", 0, NULL);
    (void)state;
    compare(GOLDEN "plain", hard, json_object_get(json_array_get(cases, 0), "ids"));
    assert_int_equal(json_object_set_new(json_object_get(tokenizer, "normalizer"), "lowercase", json_false()), 0);
    assert_int_equal(json_dump_file(tokenizer, in_folder("tokenizer.json"), 0), 0);
    compare(folder, hard, json_object_get(json_array_get(cases, 1), "ids"));
    assert_int_equal(json_object_set_new(json_object_get(tokenizer, "normalizer"), "strip_accents", json_true()), 0);
    assert_int_equal(json_dump_file(tokenizer, in_folder("tokenizer.json"), 0), 0);
    compare(folder, hard, json_object_get(json_array_get(cases, 3), "ids"));
    put_text("tokenizer_config.json", "{\"do_lower_case\": true, \"strip_accents\": null}"); /* takes precedence */
    compare(folder, hard, json_object_get(json_array_get(cases, 0), "ids"));
    json_decref(tokenizer);
    json_decref(root);
}

static void test_real_vocabulary(void **state)
{
    const char *dir = test_minilm();
    json_t *root;
    (void)state;
    if (!dir)
        skip();
    root = read_tokens();
    compare(dir, json_object_get(root, "hard"), json_object_get(root, "minilm"));
    json_decref(root);
}

#define VOCABULARY "[PAD]\n[UNK]\n[CLS]\n[SEP]\ncat\nc\n##at\n##a\n##t\nnew\r\n##s\n"
enum { PAD, UNK, CLS, SEP, CAT, C, AT, A, T, NEW, S };

static void check(const struct wordpiece *t, const char *text, int most, const int *want, size_t want_count, int line)
{
    int *ids;
    size_t count;
    assert_ok(wordpiece_encode(test_context(), t, text, most, &ids, &count));
    compare_ids(text, ids, count, want, want_count, line);
}
#define CHECK(t, text, most, ...)                                                                                                          \
    check(t, text, most, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), __LINE__)

static void test_rules(void **state)
{
    struct wordpiece t;
    (void)state;
    put_text("vocab.txt", VOCABULARY);
    assert_ok(wordpiece_open(test_context(), &t, folder));
    CHECK(&t, "cat cats cta", 0, CLS, CAT, CAT, S, C, T, A, SEP);
    CHECK(&t, "catx new", 0, CLS, UNK, NEW, SEP); /* a word is unknown as a whole; a line may end in CR LF */
    CHECK(&t, "cat cat cat", 5, CLS, CAT, CAT, CAT, SEP);
    CHECK(&t, "cat cat cat", 4, CLS, CAT, CAT, SEP);
    CHECK(&t, "cats", 3, CLS, CAT, SEP);
    CHECK(&t, "cats", 2, CLS, SEP);
    CHECK(&t, "[UNK][PAD]", 0, CLS, UNK, PAD, SEP);
    assert_int_equal(t.max_length, 0);
    int *ids;
    size_t count;
    assert_fails(wordpiece_encode(test_context(), &t, "cat \xff", 0, &ids, &count), CLIO_ERROR_ARGUMENT, "byte 0xff at position 4");
    wordpiece_close(&t);
    put_text(
        "tokenizer_config.json",
        "{\"model_max_length\": 77, \"cls_token\": {\"content\": \"new\", \"normalized\": true}, \"tokenizer_class\": \"BertTokenizer\"}");
    assert_ok(wordpiece_open(test_context(), &t, folder));
    assert_int_equal(t.max_length, 77);
    CHECK(&t, "catNEWcat", 0, NEW, CAT, NEW, CAT, SEP); /* found in the normalized text */
    wordpiece_close(&t);
    put_text("tokenizer_config.json", "{\"model_max_length\": 1000000000000000019884624838656}");
    assert_ok(wordpiece_open(test_context(), &t, folder));
    assert_int_equal(t.max_length, 0);
    wordpiece_close(&t);
}

static void test_damaged(void **state)
{
    struct wordpiece t;
    clio_context *ctx = test_context();
    (void)state;
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_FILE, "has neither tokenizer.json nor vocab.txt");
    put_text("vocab.txt", "[UNK]\n[CLS]\n");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_FORMAT, "no token \"[SEP]\"");
    put_text("vocab.txt", VOCABULARY);
    put_text("tokenizer_config.json", "{\"do_basic_tokenize\": false}");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_UNSUPPORTED, "\"do_basic_tokenize\" is false");
    put_text("tokenizer_config.json", "{\"sep_token\": 3}");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_FORMAT, "\"sep_token\" is neither a string nor an object");
    put_text("tokenizer_config.json", "{}");
    put_text("tokenizer.json", "{\"model\": {\"type\": \"Unigram\"}}");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_UNSUPPORTED, "has the tokenizer Unigram");
    put_text("tokenizer.json", "{\"model\": {\"type\": \"WordPiece\"}, \"normalizer\": {\"type\": \"Lowercase\"}}");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_UNSUPPORTED, "has the normalizer Lowercase");
    put_text("tokenizer.json", "{\"model\": {\"type\": \"WordPiece\"}}");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_FORMAT, "has no \"vocab\"");
    put_text("tokenizer.json", "{\"model\": {\"vocab\": {\"[CLS]\": -1}}}");
    assert_fails(wordpiece_open(ctx, &t, folder), CLIO_ERROR_FORMAT, "the id of the token \"[CLS]\"");
    struct text_tokenizer any;
    assert_fails(text_tokenizer_open(ctx, &any, folder, "t5"), CLIO_ERROR_UNSUPPORTED, "a model of type t5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_options, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_json, make_folder, remove_folder),
        cmocka_unit_test(test_real_vocabulary),
        cmocka_unit_test_setup_teardown(test_rules, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
