/* test_embed_texts.c - clio_embed_texts against transformers and sentence-transformers' rules (tests/golden/bert): a plain BERT folder,
 * poolings side by side with a dense layer and normalization, CLIP, and MiniLM with real weights on 20 sentences of 1 to 256 tokens;
 * batches give what single texts give, in the order of the inputs; damaged folders. */
#include "../support/folder.h"
#include "../support/test_models.h"

#include "../../models/networks/clip_text.h"
#include "../../models/tokenizers/clip_tokenizer.h"

#include <jansson.h>
#include <math.h>
#include <sys/stat.h>

#define GOLDEN CLIO_SOURCE_DIR "/tests/golden/bert/"
#define TEXTS 7
#define WIDTH 32
#define SENTENCES 20
#define MINILM 384
#define FEW 9 /* sentences under CLIO_TEST_SMALL: those of at most 16 tokens */

static float *golden(const char *name, size_t count)
{
    struct weights file;
    assert_ok(weights_open(test_context(), &file, GOLDEN "golden.safetensors", "model"));
    float *x = test_floats(&file, name, count);
    weights_close(&file);
    return x;
}

/* Texts of tokens.json; root keeps them. */
static json_t *read_texts(const char *key, size_t count, const char **texts)
{
    json_t *root = json_load_file(GOLDEN "tokens.json", 0, NULL), *list = json_object_get(root, key);
    assert_int_equal(json_array_size(list), count);
    for (size_t i = 0; i < count; i++)
        assert_non_null(texts[i] = json_string_value(json_array_get(list, i)));
    return root;
}

static void full_precision(void)
{
    test_param("gemm.many.storage", "f32");
    test_param("gemm.large.storage", "f32");
    test_param("table.large.storage", "f32");
    test_param("attention.storage", "f32");
}

static clio_embedder *load(const char *dir)
{
    clio_embedder *e = NULL;
    assert_ok(clio_embedder_load(test_context(), dir, &e));
    return e;
}

/* The embeddings of the texts are `want`, one by one, in one batch, and in batches of 3. */
static void check(clio_embedder *e, const char *const *texts, size_t count, int width, clio_embed_params params, const float *want)
{
    static const int batches[] = {1, 4096, 3, 0};
    for (size_t i = 0; i < COUNT(batches); i++) {
        clio_embeddings *got = NULL;
        params.batch = batches[i];
        assert_ok(clio_embed_texts(e, texts, count, &params, &got));
        assert_int_equal(got->count, count);
        assert_int_equal(got->width, width);
        assert_close(got->values, want, count * (size_t)width, 1e-4);
        clio_embeddings_free(got);
    }
}

static void test_plain(void **state)
{
    static const char *const poolings[] = {NULL, "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "pooler"};
    const char *texts[TEXTS];
    json_t *root = read_texts("texts", TEXTS, texts);
    (void)state;
    full_precision();
    clio_embedder *e = load(GOLDEN "plain");
    clio_embedder_info info = clio_embedder_get_info(e);
    assert_string_equal(info.model, "bert");
    assert_int_equal(info.width, WIDTH);
    assert_int_equal(info.max_length, 40);
    assert_int_equal(info.takes_texts, 1);
    assert_int_equal(info.normalizes, 0);
    for (size_t i = 0; i < COUNT(poolings); i++) {
        char name[64];
        snprintf(name, sizeof name, "plain.%s", poolings[i] ? poolings[i] : "mean");
        float *want = golden(name, TEXTS * WIDTH);
        check(e, texts, TEXTS, WIDTH, (clio_embed_params){.pooling = poolings[i]}, want);
        free(want);
    }
    clio_embedder_free(e);
    json_decref(root);
}

/* A call that begins forgets what cancelled the one before. */
static void test_cancelled_before(void **state)
{
    clio_embedder *e = NULL;
    clio_embeddings *got = NULL;
    const char *text = "a cat";
    (void)state;
    clio_cancel(test_context());
    assert_ok(clio_embedder_load(test_context(), GOLDEN "plain", &e));
    clio_cancel(test_context());
    assert_ok(clio_embed_texts(e, &text, 1, NULL, &got));
    clio_embeddings_free(got);
    clio_embedder_free(e);
}

/* With modules.json: poolings side by side, a dense layer, length 1 unless the caller wants it otherwise; the prompt is part of the text.
 */
static void test_sentence(void **state)
{
    const char *texts[TEXTS], *rest[] = {"sat on the mat"};
    json_t *root = read_texts("texts", TEXTS, texts);
    clio_embeddings *got = NULL;
    (void)state;
    full_precision();
    clio_embedder *e = load(GOLDEN "sentence");
    clio_embedder_info info = clio_embedder_get_info(e);
    float *want = golden("sentence.embeddings", TEXTS * 8);
    assert_int_equal(info.width, 8);
    assert_int_equal(info.max_length, 12);
    assert_int_equal(info.normalizes, 1);
    check(e, texts, TEXTS, 8, (clio_embed_params){.normalization = CLIO_NORMALIZE_MODEL}, want);
    check(e, texts, TEXTS, 8, (clio_embed_params){.normalization = CLIO_NORMALIZE_ALWAYS}, want);
    check(e, rest, 1, 8, (clio_embed_params){.prompt = "the cat "}, want);
    assert_ok(clio_embed_texts(e, texts, TEXTS, &(clio_embed_params){.normalization = CLIO_NORMALIZE_NEVER}, &got));
    for (size_t i = 0; i < TEXTS; i++) {
        double norm = 0;
        for (size_t j = 0; j < 8; j++)
            norm += (double)got->values[8 * i + j] * (double)got->values[8 * i + j];
        assert_true(fabs(norm - 1) > 0.01);
        for (size_t j = 0; j < 8; j++)
            assert_true(fabs((double)got->values[8 * i + j] / sqrt(norm) - (double)want[8 * i + j]) < 1e-4);
    }
    clio_embeddings_free(got);
    assert_fails(clio_embed_texts(e, texts, TEXTS, &(clio_embed_params){.pooling = "mean"}, &got), CLIO_ERROR_ARGUMENT,
                 "params.pooling is mean, which gives 32 columns, and the model's dense layer takes 160");
    assert_null(got);
    assert_ok(clio_embed_texts(e, NULL, 0, NULL, &got));
    assert_int_equal(got->count, 0);
    clio_embeddings_free(got);
    free(want);
    clio_embedder_free(e);
    json_decref(root);
}

static void link_file(const char *dir, const char *name)
{
    char from[1200], to[1200];
    snprintf(from, sizeof from, "%s/%s", dir, name);
    snprintf(to, sizeof to, "%s", in_folder(name));
    assert_int_equal(symlink(from, to), 0);
}

/* CLIP: the pooled vector of its text encoder, at the end token of the text. */
static void test_clip(void **state)
{
    static const char *const texts[] = {"a red fox", "a photo of a cat in the snow"};
    static const char *const files[] = {"vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"};
    const char *dir = test_golden_in("sd-v1-tiny", "text_encoder"), *words = test_golden_in("sd-v1-tiny", "tokenizer");
    struct clip_text net;
    struct clip_tokenizer tokenizer;
    (void)state;
    if (!dir || !words)
        skip();
    full_precision();
    for (size_t i = 0; i < COUNT(files); i++)
        link_file(words, files[i]);
    link_file(dir, "config.json");
    link_file(dir, "model.safetensors");
    assert_ok(clip_text_open(test_context(), dir, NULL, &net));
    assert_ok(clip_tokenizer_open(test_context(), &tokenizer, words));
    int width = net.config.width;
    float *want = test_new(2 * (size_t)width);
    for (int i = 0; i < 2; i++) {
        int row[77], *ids;
        size_t count;
        assert_ok(clip_tokenizer_encode(test_context(), &tokenizer, texts[i], &ids, &count));
        for (size_t j = 0; j < 77; j++)
            row[j] = j == 0 ? tokenizer.start : j <= count ? ids[j - 1] : j == count + 1 ? tokenizer.end : tokenizer.pad;
        free(ids);
        struct tensor states = test_tensor(DTYPE_F32, 3, 1, 77, width, 0, NULL), pooled = test_tensor(DTYPE_F32, 2, 1, width, 0, 0, NULL);
        assert_ok(clip_text_encode(test_context(), &net, &states, row, 0));
        assert_ok(clip_text_pool(test_context(), NULL, &net, &pooled, &states, row, false));
        assert_ok(tensor_read(test_context(), &pooled, 0, (size_t)width, want + i * width));
        test_free(&states);
        test_free(&pooled);
    }
    clio_embedder *e = load(folder);
    assert_int_equal(clio_embedder_get_info(e).max_length, 77);
    check(e, texts, 2, width, (clio_embed_params){.batch = 0}, want);
    clio_embedder_free(e);
    free(want);
    clip_tokenizer_close(&tokenizer);
    clip_text_free(test_context(), &net);
}

/* Real weights: 1e-4 in full precision; whatever the device prefers keeps the directions. */
static void test_minilm_sentences(void **state)
{
    const char *dir = test_minilm(), *texts[SENTENCES];
    size_t count = getenv("CLIO_TEST_SMALL") ? FEW : SENTENCES;
    (void)state;
    if (!dir)
        skip();
    json_t *root = read_texts("sentences", SENTENCES, texts);
    float *want = golden("minilm.embeddings", SENTENCES * MINILM);
    clio_embeddings *got = NULL;
    double least = 1;
    clio_embedder *e = load(dir);
    assert_ok(clio_embed_texts(e, texts, count, NULL, &got));
    for (size_t i = 0; i < count; i++) {
        double dot = 0;
        for (size_t j = 0; j < MINILM; j++)
            dot += (double)got->values[i * MINILM + j] * (double)want[i * MINILM + j];
        least = fmin(least, dot);
    }
    printf("cosine similarity to float32 with the default type of weights: %.6f or more\n", least);
    assert_true(least > 0.9995);
    clio_embeddings_free(got);
    clio_embedder_free(e);
    full_precision();
    e = load(dir);
    assert_int_equal(clio_embedder_get_info(e).max_length, 256);
    check(e, texts, count, MINILM, (clio_embed_params){.batch = 0}, want);
    clio_embedder_free(e);
    free(want);
    json_decref(root);
}

/* A folder like "sentence", whose modules are as given. */
static void refuse(const char *modules, const char *pooling, clio_status st, const char *says)
{
    clio_embedder *e;
    put_text("modules.json", modules);
    if (pooling)
        put_text("1_Pooling/config.json", pooling);
    assert_fails(clio_embedder_load(test_context(), folder, &e), st, says);
    assert_null(e);
}

#define MODULE(path, type) "{\"path\": \"" path "\", \"type\": \"sentence_transformers.models." type "\"}"

static void test_damaged(void **state)
{
    static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "2_Dense"};
    static const char with_pooling[] = "[" MODULE("", "Transformer") ", " MODULE("1_Pooling", "Pooling") "]";
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++)
        link_file(GOLDEN "sentence", files[i]);
    assert_int_equal(mkdir(in_folder("1_Pooling"), 0700), 0);
    refuse("{}", NULL, CLIO_ERROR_FORMAT, "must be a list");
    refuse("[]", NULL, CLIO_ERROR_UNSUPPORTED, "the first module, and no other, must be a Transformer");
    refuse("[" MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode\": \"mean\"}", CLIO_ERROR_UNSUPPORTED, "must be a Transformer");
    refuse("[" MODULE("", "Transformer") ", " MODULE("", "Transformer") "]", NULL, CLIO_ERROR_UNSUPPORTED,
           "the first module, and no other");
    refuse("[{\"path\": \"\"}]", NULL, CLIO_ERROR_FORMAT, "module 1 has no \"type\"");
    refuse("[" MODULE("../x", "Transformer") "]", NULL, CLIO_ERROR_FORMAT, "module 1 has no \"type\" or no \"path\" in the folder");
    refuse("[" MODULE("", "Transformer") ", " MODULE("", "WordWeights") "]", NULL, CLIO_ERROR_UNSUPPORTED, "a module of type WordWeights");
    refuse("[" MODULE("", "Transformer") ", " MODULE("", "Normalize") ", " MODULE("1_Pooling", "Pooling") "]", NULL, CLIO_ERROR_UNSUPPORTED,
           "Normalize must be the last module");
    refuse(with_pooling, "{\"pooling_mode_attention\": true}", CLIO_ERROR_UNSUPPORTED,
           "the pooling mode \"pooling_mode_attention\" is not supported");
    refuse(with_pooling, "{\"pooling_mode\": \"median\"}", CLIO_ERROR_UNSUPPORTED, "the pooling mode \"median\" is not supported");
    refuse(with_pooling, "{\"pooling_mode_mean_tokens\": false}", CLIO_ERROR_FORMAT, "names no pooling mode");
    refuse(with_pooling, "{\"pooling_mode\": [\"mean\"], \"word_embedding_dimension\": 31}", CLIO_ERROR_FORMAT, "states of 31 columns");
    refuse("[" MODULE("", "Transformer") ", " MODULE("2_Dense", "Dense") "]", NULL, CLIO_ERROR_FORMAT, "takes 160 columns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minilm_sentences),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_cancelled_before),
        cmocka_unit_test(test_sentence),
        cmocka_unit_test_setup_teardown(test_clip, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
