/* test_clip_tokenizer.c - clip_tokenizer.c against transformers' CLIPTokenizer: golden strings, unpadded and padded to 77; strings with
 * special tokens and unusual characters, with the configurations of Stable Diffusion 1 and 2 (both need the real vocabulary of a golden
 * folder). Rules and damaged folders with a handwritten vocabulary. */
#include "test_clip.h"

#include "../../models/pipelines/prompt_weights.h"

#define assert_ids(t, text, ...)                                                                                                           \
    check_ids((t), (text), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), __LINE__)
static void check_ids(struct clip_tokenizer *t, const char *text, const int *want, size_t want_count, int line)
{
    int *ids = NULL;
    size_t count = 0;
    assert_ok(clip_tokenizer_encode(test_context(), t, text, &ids, &count));
    compare_ids(text, ids, count, want, want_count, line);
}

/* ---- the handwritten vocabulary ---- */

#define PLAIN "{\"pad_token\": \"<|endoftext|>\"}"

static void test_rules(void **state)
{
    struct clip_tokenizer t;
    (void)state;
    write_tokenizer(NULL, PLAIN);
    assert_ok(clip_tokenizer_open(test_context(), &t, folder));
    assert_int_equal(t.start, START);
    assert_int_equal(t.end, STOP);
    assert_int_equal(t.pad, STOP);
    assert_int_equal(t.comma, END(','));
    assert_ids(&t, "a cat", END('a'), CAT_W);
    assert_ids(&t, " \t A\n\nCAT \xc2\xa0", END('a'), CAT_W); /* no upper case and no white space, including U+00A0 */
    assert_ids(&t, "photo", PHO, TO_W);
    assert_ids(&t, "cats", BYTE('c'), BYTE('a'), BYTE('t'), END('s'));
    assert_ids(&t, "cat's", CAT_W, BYTE('\''), END('s'));
    assert_ids(&t, "42", END('4'), END('2')); /* digit by digit */
    assert_ids(&t, "cat,!", CAT_W, BYTE(','), END('!'));
    assert_ids(&t, "e\xcc\x81", BYTE(0xc3), END(0xa9)); /* composed */
    assert_ids(&t, "\xc3\x89", BYTE(0xc3), END(0xa9));  /* composed and lower case */
    assert_ids(&t, "<|endoftext|>cat<|startoftext|>", STOP, CAT_W, START);
    assert_ids(&t, "<|ENDOFTEXT|>", BYTE('<'), END('|'), BYTE('e'), BYTE('n'), BYTE('d'), BYTE('o'), BYTE('f'), BYTE('t'), BYTE('e'),
               BYTE('x'), END('t'), BYTE('|'), END('>'));
    int *ids;
    size_t count;
    assert_ok(clip_tokenizer_encode(test_context(), &t, " \n", &ids, &count));
    assert_int_equal(count, 0);
    free(ids);
    clip_tokenizer_close(&t);
}

static void test_special_tokens(void **state)
{
    struct clip_tokenizer t;
    (void)state;
    write_tokenizer("{\"pad_token\": \"<|endoftext|>\", \"eos_token\": {\"content\": \"<|endoftext|>\", \"normalized\": true}}",
                    "{\"pad_token\": \"!\", \"unk_token\": {\"content\": \"<|endoftext|>\", \"normalized\": true}, \"bos_token\": null}");
    assert_ok(clip_tokenizer_open(test_context(), &t, folder));
    assert_int_equal(t.pad, 0); /* special_tokens_map.json has precedence */
    assert_ids(&t, "cat!!", CAT_W, 0, 0);
    assert_ids(&t, "<|EndOfText|>", STOP); /* found in the normalized text */
    clip_tokenizer_close(&t);
}

static void test_not_utf8(void **state)
{
    struct clip_tokenizer t;
    const char *const texts[] = {"\x80", "cat \xff", "\xc3", "a\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"};
    int *ids;
    size_t count;
    (void)state;
    write_tokenizer(NULL, PLAIN);
    assert_ok(clip_tokenizer_open(test_context(), &t, folder));
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_fails(clip_tokenizer_encode(test_context(), &t, texts[i], &ids, &count), CLIO_ERROR_ARGUMENT,
                     "the prompt is not valid UTF-8");
        assert_null(ids);
    }
    assert_fails(clip_tokenizer_encode(test_context(), &t, "cat \xff", &ids, &count), CLIO_ERROR_ARGUMENT, "byte 0xff at position 4");
    clip_tokenizer_close(&t);
}

/* The same vocabulary as a tokenizer.json. */
static json_t *one_file(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(clip_merges); i++)
        json_array_append_new(list, json_pack("[ss]", clip_merges[i][0], clip_merges[i][1]));
    json_t *root = json_pack("{s:[{s:i, s:s, s:b}], s:{s:s}, s:{s:s, s:s, s:o, s:o}}", "added_tokens", "id", (int)STOP, "content",
                             "<|endoftext|>", "special", 1, "pre_tokenizer", "type", "Sequence", "model", "type", "BPE",
                             "end_of_word_suffix", "</w>", "vocab", clip_vocab(), "merges", list);
    assert_non_null(root);
    return root;
}

static clio_status open_as(json_t *root, struct clip_tokenizer *t)
{
    assert_int_equal(json_dump_file(root, in_folder("tokenizer.json"), 0), 0);
    json_decref(root);
    return clip_tokenizer_open(test_context(), t, folder);
}

static void test_one_file(void **state)
{
    struct clip_tokenizer t;
    (void)state;
    assert_ok(open_as(one_file(), &t));
    assert_int_equal(t.pad, STOP);
    assert_ids(&t, "A cat<|endoftext|>", END('a'), CAT_W, STOP);
    clip_tokenizer_close(&t);

    json_t *root = one_file(); /* an added token is not split, in any case */
    json_array_append_new(json_object_get(root, "added_tokens"), json_pack("{s:i, s:s, s:b}", "id", 600, "content", "<sks>", "special", 0));
    assert_ok(open_as(root, &t));
    assert_ids(&t, "a <SKS>cat", END('a'), 600, CAT_W);
    clip_tokenizer_close(&t);
}

static void test_damaged_folders(void **state)
{
    clio_context *ctx = test_context();
    struct clip_tokenizer t;
    (void)state;
    assert_fails(clip_tokenizer_open(ctx, &t, in_folder("absent")), CLIO_ERROR_FILE, "there is no folder");
    assert_non_null(strstr(clio_error(ctx), "use the folder of CLIP's tokenizer (vocab.json and merges.txt, or tokenizer.json)"));
    assert_fails(clip_tokenizer_open(ctx, &t, folder), CLIO_ERROR_FILE, "has neither tokenizer.json");
    const char *const configs[][2] = {
        {"{\"pad_token\": \"<pad>\"}", "has no token \"<pad>\""},
        {"{\"eos_token\": 7}", "\"eos_token\" is neither a string nor an object"},
        {"{\"bos_token\": {\"id\": 7}}", "\"bos_token\" is neither a string nor an object"},
        {"{", "is not valid JSON"},
    };
    for (size_t i = 0; i < COUNT(configs); i++) {
        write_tokenizer(NULL, configs[i][0]);
        assert_fails(clip_tokenizer_open(ctx, &t, folder), CLIO_ERROR_FORMAT, configs[i][1]);
        write_tokenizer(configs[i][0], "{}");
        assert_fails(clip_tokenizer_open(ctx, &t, folder), CLIO_ERROR_FORMAT, configs[i][1]);
    }
    write_tokenizer("{}", "{}");
    json_t *vocab = clip_vocab();
    json_object_del(vocab, "x</w>");
    assert_int_equal(json_dump_file(vocab, in_folder("vocab.json"), 0), 0);
    json_decref(vocab);
    assert_fails(clip_tokenizer_open(ctx, &t, folder), CLIO_ERROR_UNSUPPORTED, "no token for the byte 0x78 with </w>");

    json_t *root = one_file();
    json_object_del(json_object_get(root, "model"), "end_of_word_suffix");
    assert_fails(open_as(root, &t), CLIO_ERROR_UNSUPPORTED, "its pre-tokenizer is not CLIP's");
    root = one_file();
    json_object_del(json_object_get(json_object_get(root, "model"), "vocab"), "<|startoftext|>");
    assert_fails(open_as(root, &t), CLIO_ERROR_FORMAT, "has no token \"<|startoftext|>\"");
}

/* ---- the real vocabulary ---- */

static void golden_strings(void **state)
{
    struct clip_tokenizer t;
    struct prompt p;
    char dir[1024];
    const char *path = test_golden("sd-v1-tiny/tokenizer");
    size_t i, k, tested = 0;
    json_t *value, *id;
    (void)state;
    if (!path)
        skip();
    snprintf(dir, sizeof dir, "%s", path);
    assert_ok(clip_tokenizer_open(test_context(), &t, dir));
    path = test_golden("clip/clip_tokens.json");
    assert_non_null(path);
    json_t *root = json_load_file(path, 0, NULL);
    json_array_foreach(root, i, value)
    {
        const char *text = json_string_value(json_object_get(value, "text"));
        int want[512];
        json_t *ids = json_object_get(value, "ids");
        size_t count = json_array_size(ids);
        assert_true(text && count >= 2 && count <= COUNT(want));
        json_array_foreach(ids, k, id) want[k] = (int)json_integer_value(id);
        assert_int_equal(want[0], t.start);
        assert_int_equal(want[count - 1], t.end);
        check_ids(&t, text, want + 1, count - 2, (int)i);
        if (count <= 77) { /* as a prompt: these strings have no weights */
            assert_null(strpbrk(text, "()[]\\"));
            assert_ok(prompt_read(test_context(), &p, &t, NULL, text, 77));
            assert_int_equal(p.chunks, 1);
            assert_int_equal(json_array_size(json_object_get(value, "padded77")), 77);
            json_array_foreach(json_object_get(value, "padded77"), k, id)
            {
                assert_int_equal(p.ids[k], json_integer_value(id));
                assert_true(p.weights[k] == 1);
            }
            prompt_free(&p);
        }
        tested++;
    }
    assert_int_equal(tested, 27);
    json_decref(root);
    clip_tokenizer_close(&t);
}

static void link_file(const char *name)
{
    char from[2400], part[64];
    snprintf(part, sizeof part, "sd-v1-tiny/tokenizer/%s", name);
    const char *path = test_golden(part);
    assert_non_null(path);
    from[0] = 0;
    if (*path != '/') { /* a relative link starts at its own folder */
        assert_non_null(getcwd(from, sizeof from / 2));
        strcat(from, "/");
    }
    strncat(from, path, sizeof from - strlen(from) - 1);
    remove(in_folder(name));
    assert_int_equal(symlink(from, in_folder(name)), 0);
}

static void special_strings(void **state)
{
    struct clip_tokenizer t;
    size_t i, j, k, tested = 0;
    json_t *kind, *value, *id;
    (void)state;
    if (!test_golden("sd-v1-tiny/tokenizer"))
        skip();
    const char *path = test_golden("clip/special_tokens.json");
    assert_non_null(path);
    json_t *root = json_load_file(path, 0, NULL);
    link_file("vocab.json");
    link_file("merges.txt");
    json_array_foreach(root, i, kind)
    {
        json_t *map = json_object_get(kind, "special_tokens_map");
        remove(in_folder("special_tokens_map.json"));
        if (!json_is_null(map))
            assert_int_equal(json_dump_file(map, in_folder("special_tokens_map.json"), 0), 0);
        assert_int_equal(json_dump_file(json_object_get(kind, "tokenizer_config"), in_folder("tokenizer_config.json"), 0), 0);
        assert_ok(clip_tokenizer_open(test_context(), &t, folder));
        assert_int_equal(t.pad, json_integer_value(json_object_get(kind, "pad")));
        assert_int_equal(t.comma, 267);
        json_array_foreach(json_object_get(kind, "cases"), j, value)
        {
            int want[512];
            json_t *ids = json_object_get(value, "ids");
            assert_true(json_array_size(ids) <= COUNT(want));
            json_array_foreach(ids, k, id) want[k] = (int)json_integer_value(id);
            check_ids(&t, json_string_value(json_object_get(value, "text")), want, json_array_size(ids), (int)j);
            tested++;
        }
        clip_tokenizer_close(&t);
    }
    assert_true(tested >= 180);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rules, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_special_tokens, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_not_utf8, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_one_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_folders, make_folder, remove_folder),
        cmocka_unit_test(golden_strings),
        cmocka_unit_test_setup_teardown(special_strings, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
