/* test_prompt_embeddings.c - textual inversion: files of A1111 and diffusers, in safetensors and as torch.save writes them (tests/cases/
 * embeddings, from torch 2.15; beyond.pt, offset.pt, compressed.pt, big-endian.pt, shared.pt and names.pt with Python's zipfile), their
 * names in prompts, and the token table. The vocabulary is handwritten: a single letter is one token, "cat" too, other words have one per
 * letter. */
#include "test_prompts.h"

#include <math.h>

#define VOCAB 600

static const char *fixture(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof path, CLIO_SOURCE_DIR "/tests/cases/embeddings/%s", name);
    return path;
}

static void add_link(const char *from, const char *name)
{
    assert_int_equal(symlink(fixture(from), in_folder(name)), 0);
}

static const char *dtype = "F32";

/* A safetensors file with one tensor or, with `more`, another one. */
static void write_safetensors(const char *path, const char *key, int vectors, const float *data, int width, const char *more)
{
    char header[400];
    size_t size = (strcmp(dtype, "I64") ? 4u : 8u) * (size_t)vectors * (size_t)width;
    int n = snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]}", key, dtype, vectors,
                     width, size);
    if (more)
        n += snprintf(header + n, sizeof header - (size_t)n, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%zu,%zu]}",
                      more, vectors, width, size, 2 * size);
    n += snprintf(header + n, sizeof header - (size_t)n, "}");
    unsigned char length[8] = {(unsigned char)n, (unsigned char)(n >> 8)};
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(length, 1, 8, f) + fwrite(header, 1, (size_t)n, f), 8 + (size_t)n);
    for (int i = 0; i < (more ? 2 : 1); i++)
        assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* ---- files ---- */

static void expect_rows(const char *path, int vectors, int width, const float *want)
{
    struct embedding_rows rows;
    assert_ok(embedding_file_read(test_context(), path, &rows));
    assert_true(rows.vectors == vectors && rows.width == width);
    assert_memory_equal(rows.rows, want, sizeof *want * (size_t)vectors * (size_t)width);
    free(rows.rows);
}

static const float two_vectors[8] = {-1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 2.5f};

static void files(void **state)
{
    (void)state;
    expect_rows(fixture("a1111.pt"), 2, 4, two_vectors);
    expect_rows(fixture("module.pt"), 2, 4, two_vectors);
    expect_rows(fixture("parameter.pt"), 2, 4, two_vectors);
    expect_rows(fixture("bare.pt"), 2, 4, two_vectors);
    expect_rows(fixture("token.pt"), 2, 4, two_vectors); /* the original textual_inversion: beside a tensor of int64 */
    expect_rows(fixture("concept.bin"), 1, 4, (const float[]){1, -2, 0.5f, 4});
    expect_rows(fixture("transposed.pt"), 2, 2, (const float[]){1, -2, 0.5f, 4});
    write_safetensors(in_folder("a.safetensors"), "emb_params", 2, two_vectors, 4, "more");
    expect_rows(in_folder("a.safetensors"), 2, 4, two_vectors);
    write_safetensors(in_folder("a.safetensors"), "<cat-toy>", 2, two_vectors, 4, NULL);
    expect_rows(in_folder("a.safetensors"), 2, 4, two_vectors);
}

static void wrong_files(void **state)
{
    static const struct {
        const char *name, *part;
    } cases[] = {{"two.pt", "is not an embedding: it must hold one tensor"},
                 {"two-params.pt", "is not an embedding: it must hold one tensor"},
                 {"sdxl.pt", "is an embedding for SDXL"},
                 {"offset.pt", "offset.pt: tensor x ends outside its storage"},
                 {"beyond.pt", "beyond.pt: tensor x has more numbers than its storage"},
                 {"repeated.pt", "repeated.pt: tensor x has more numbers than its storage"},
                 {"big-endian.pt", "on a computer of another byte order"},
                 {"shared.pt", "a number of the memo that is too large"},
                 {"names.pt", "has too long a name, as others have"}, /* names of 7000 bytes each */
                 {"compressed.pt", "is compressed or encrypted, which torch.save does"}};
    clio_context *ctx = test_context();
    struct embedding_rows rows;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        clio_status st = embedding_file_read(ctx, fixture(cases[i].name), &rows);
        if (!st || !strstr(clio_error(ctx), cases[i].part) || !strstr(clio_error(ctx), cases[i].name) || rows.rows)
            fail_msg("%s: %s", cases[i].name, st ? clio_error(ctx) : "was read");
    }
    write_safetensors(in_folder("a.safetensors"), "clip_l", 2, two_vectors, 4, "clip_g");
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_UNSUPPORTED, "is an embedding for SDXL");
    write_safetensors(in_folder("a.safetensors"), "x", 2, two_vectors, 4, "y");
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_FORMAT, "is not an embedding");
    write_safetensors(in_folder("a.safetensors"), "x", 2, (const float[]){0, 1, NAN, 3, 4, 5, 6, 7}, 4, NULL);
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_FORMAT, "a.safetensors holds values that are not");
    write_safetensors(in_folder("a.safetensors"), "x", 1, (const float[]){0, 1, INFINITY, 3}, 4, NULL);
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_FORMAT, "a.safetensors holds values that are not");
    write_safetensors(in_folder("a.safetensors"), "x", 2, two_vectors, 0, NULL);
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_FORMAT, "its tensor has no numbers");
    dtype = "I64";
    write_safetensors(in_folder("a.safetensors"), "x", 2, two_vectors, 2, NULL);
    dtype = "F32";
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_FORMAT, "its tensor x holds integers (i64)");
    write_safetensors(in_folder("a.safetensors"), "emb_params", 0, two_vectors, 4, NULL);
    assert_fails(embedding_file_read(ctx, in_folder("a.safetensors"), &rows), CLIO_ERROR_FORMAT, "its tensor has no numbers");
    /* Cut short at any byte: a sentence, or the tensor whole. */
    struct file_content whole;
    assert_ok(file_load(ctx, &whole, fixture("a1111.pt")));
    for (size_t size = 4; size < whole.size; size += 7) {
        FILE *f = fopen(in_folder("cut.pt"), "wb");
        assert_true(f && fwrite(whole.data, 1, size, f) == size && !fclose(f));
        clio_status st = embedding_file_read(ctx, in_folder("cut.pt"), &rows);
        if (st != CLIO_ERROR_FORMAT && st != CLIO_ERROR_UNSUPPORTED)
            fail_msg("%zu bytes: %s", size, clio_status_name(st));
        free(rows.rows);
    }
    file_unload(&whole);
}

/* ---- names ---- */

static void expect_resolved(const struct embeddings *e, const char *text, const char *want)
{
    struct bytes got = {0};
    assert_ok(embeddings_resolve(test_context(), e, text, &got));
    assert_string_equal(got.data, want);
    bytes_free(&got);
}

static void references(void **state)
{
    clio_context *ctx = test_context();
    struct embeddings e;
    struct bytes got = {0};
    (void)state;
    add_link("a1111.pt", "Bad-Hands_5.PT");
    add_link("a1111.pt", "cat.pt");
    put_text("readme.txt", "x");
    assert_ok(embeddings_open(ctx, &e, folder, &tokenizer, VOCAB));
    assert_int_equal(e.count, 2);
    expect_resolved(&e, "a embedding:cat b", "a cat b");
    expect_resolved(&e, "(embedding:CAT:1.2), Embedding:bad-hands_5.pt.", "(cat:1.2), Bad-Hands_5.");
    expect_resolved(&e, "embedding: cat, myembedding:dog, embedding", "embedding: cat, myembedding:dog, embedding");
    expect_resolved(&e, "", "");
    expect_resolved(&e, "embedding:cat/dog", "cat/dog");
    assert_fails(embeddings_resolve(ctx, &e, "x embedding:../emb/cat y", &got), CLIO_ERROR_ARGUMENT, "the embedding \"../emb/cat\": write");
    assert_fails(embeddings_resolve(ctx, &e, "embedding:/cat", &got), CLIO_ERROR_ARGUMENT, "the embedding \"/cat\": write the name");
    assert_fails(embeddings_resolve(ctx, &e, "embedding:dog", &got), CLIO_ERROR_FILE, "the prompt names the embedding \"dog\"");
    assert_fails(embeddings_resolve(ctx, &e, "embedding:readme", &got), CLIO_ERROR_FILE, "has no readme.safetensors or readme.pt");
    embeddings_close(&e);
    assert_ok(embeddings_open(ctx, &e, NULL, &tokenizer, VOCAB));
    assert_fails(embeddings_resolve(ctx, &e, "embedding:cat", &got), CLIO_ERROR_ARGUMENT, "params.embedding_dir is not set");
    embeddings_close(&e);
    assert_fails(embeddings_open(ctx, &e, in_folder("nowhere"), &tokenizer, VOCAB), CLIO_ERROR_FILE,
                 "params.embedding_dir must be a folder");
    bytes_free(&got);
}

static void in_prompts(void **state)
{
    clio_context *ctx = test_context();
    struct embeddings e;
    struct prompt p;
    char text[400] = "";
    (void)state;
    add_link("concept.bin", "b.bin"); /* one vector */
    add_link("a1111.pt", "ab.pt");    /* two; its name has two tokens */
    add_link("concept.bin", "b-c.pt");
    put_text("cat.safetensors", "not one"); /* read only when it is used */
    assert_ok(embeddings_open(ctx, &e, folder, &tokenizer, VOCAB));
    assert_ok(prompt_read(ctx, &p, &tokenizer, &e, "c (AB:1.5) b c", LENGTH));
    const int want[] = {START, END('c'), VOCAB, VOCAB + 1, VOCAB + 2, END('c'), STOP};
    assert_memory_equal(p.ids, want, sizeof want);
    assert_true(p.weights[1] == 1 && p.weights[2] == 1.5f && p.weights[3] == 1.5f && p.weights[4] == 1);
    assert_int_equal(e.vectors, 3);
    prompt_free(&p);
    assert_ok(prompt_read(ctx, &p, &tokenizer, &e, "b ab abc", LENGTH)); /* again: the same ids; a longer word is another one */
    const int again[] = {START, VOCAB + 2, VOCAB, VOCAB + 1, BYTE('a'), BYTE('b'), END('c'), STOP};
    assert_memory_equal(p.ids, again, sizeof again);
    assert_int_equal(e.vectors, 3);
    prompt_free(&p);
    assert_ok(prompt_read(ctx, &p, &tokenizer, &e, "b-c", LENGTH)); /* the longer name */
    const int longer[] = {START, VOCAB + 3, STOP};
    assert_memory_equal(p.ids, longer, sizeof longer);
    prompt_free(&p);
    for (int i = 0; i < LENGTH - 3; i++) /* all but one of a chunk */
        strcat(text, "c ");
    strcat(text, "ab c");
    assert_ok(prompt_read(ctx, &p, &tokenizer, &e, text, LENGTH));
    assert_int_equal(p.chunks, 2);
    assert_true(p.ids[LENGTH - 2] == STOP && p.ids[LENGTH + 1] == VOCAB && p.ids[LENGTH + 2] == VOCAB + 1 && p.ids[LENGTH + 3] == END('c'));
    prompt_free(&p);
    assert_fails(prompt_read(ctx, &p, &tokenizer, &e, "ab", 3), CLIO_ERROR_UNSUPPORTED, "has 2 vectors");
    assert_fails(prompt_read(ctx, &p, &tokenizer, &e, "a cat", LENGTH), CLIO_ERROR_FORMAT, "cat.safetensors");
    assert_null(p.ids);
    embeddings_close(&e);
}

static void token_table(void **state)
{
    clio_context *ctx = test_context();
    struct embeddings e;
    struct prompt p;
    struct weights w = {0};
    struct json_file config = {.path = folder, .root = json_pack("{s:i}", "vocab_size", 3)};
    float table[12];
    (void)state;
    for (int i = 0; i < 12; i++)
        table[i] = (float)(100 + i);
    add_link("a1111.pt", "ab.pt");
    add_link("concept.bin", "b.bin");
    write_safetensors(in_folder("t.safetensors"), "text_model.embeddings.token_embedding.weight", 3, table, 4, NULL);
    assert_ok(weights_open(ctx, &w, in_folder("t.safetensors"), NULL));
    assert_int_equal(unlink(in_folder("t.safetensors")), 0);
    assert_ok(embeddings_open(ctx, &e, folder, &tokenizer, 3));
    assert_ok(embeddings_extend(ctx, &e, &config, &w)); /* none in use */
    assert_true(w.list[0].dim[0] == 3 && json_integer_value(json_object_get(config.root, "vocab_size")) == 3);
    assert_ok(prompt_read(ctx, &p, &tokenizer, &e, "b ab", LENGTH));
    prompt_free(&p);
    assert_ok(embeddings_extend(ctx, &e, &config, &w));
    assert_int_equal(json_integer_value(json_object_get(config.root, "vocab_size")), 6);
    float got[24];
    const float one_vector[] = {1, -2, 0.5f, 4};
    const int shape[] = {6, 4};
    const struct weight *found;
    assert_ok(weights_need(ctx, &w, "text_model.embeddings.token_embedding.weight", 2, shape, &found));
    assert_ok(weight_floats(ctx, found, 0, 24, got));
    assert_memory_equal(got, table, sizeof table);
    assert_memory_equal(got + 12, one_vector, sizeof one_vector);
    assert_memory_equal(got + 16, two_vectors, sizeof two_vectors);
    weights_close(&w);
    write_safetensors(in_folder("t.safetensors"), "embeddings.token_embedding.weight", 3, table, 2, NULL);
    assert_ok(weights_open(ctx, &w, in_folder("t.safetensors"), NULL));
    assert_fails(embeddings_extend(ctx, &e, &config, &w), CLIO_ERROR_ARGUMENT,
                 "has vectors of 4 numbers, and the text encoder of this model takes 2");
    weights_close(&w);
    embeddings_close(&e);
    json_decref(config.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files, set_up, tear_down),       cmocka_unit_test_setup_teardown(wrong_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(references, set_up, tear_down),  cmocka_unit_test_setup_teardown(in_prompts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(token_table, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
