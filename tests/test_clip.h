/* test_clip.h - what the tests of prompts share: a temporary folder, and in it a tokenizer in CLIP's form whose vocabulary is written by
 * hand: the 256 bytes, each also with "</w>", a few merges, and the special tokens. */
#ifndef CLIO_TEST_CLIP_H
#define CLIO_TEST_CLIP_H

#include "test.h"

#include "../models/clip_tokenizer.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256]; /* temporary, of one test */

static int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");
    (void)state;
    test_context();
    snprintf(folder, sizeof folder, "%s/clio-clip-XXXXXX", parent ? parent : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* BYTE(b), END(b): the byte's token within and at the end of a word. "!" is 0, as in the real vocabulary. */
#define BYTE(b) (((b) + 256 - '!') % 256)
#define END(b) (256 + BYTE(b))
enum { CAT_W = 512, AT_W, PHO, TO_W, START, STOP };

static const char *const clip_merges[][3] = {
    {"a", "t</w>", "at</w>"}, {"c", "at</w>", "cat</w>"}, {"p", "h", "ph"}, {"ph", "o", "pho"}, {"t", "o</w>", "to</w>"}};

static json_t *clip_vocab(void)
{
    json_t *vocab = json_object();
    int next = 256;
    for (int b = 0; b < 256; b++) {
        int c = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE ? b : next++;
        char name[8] = {(char)c};
        if (c >= 0x80) {
            name[0] = (char)(0xC0 | c >> 6);
            name[1] = (char)(0x80 | (c & 0x3F));
        }
        json_object_set_new(vocab, name, json_integer(BYTE(b)));
        json_object_set_new(vocab, strcat(name, "</w>"), json_integer(END(b)));
    }
    json_object_set_new(vocab, "cat</w>", json_integer(CAT_W));
    json_object_set_new(vocab, "at</w>", json_integer(AT_W));
    json_object_set_new(vocab, "pho", json_integer(PHO));
    json_object_set_new(vocab, "ph", json_integer(STOP + 1));
    json_object_set_new(vocab, "to</w>", json_integer(TO_W));
    json_object_set_new(vocab, "<|startoftext|>", json_integer(START));
    json_object_set_new(vocab, "<|endoftext|>", json_integer(STOP));
    assert_int_equal(json_object_size(vocab), STOP + 2);
    return vocab;
}

/* vocab.json and merges.txt; the configuration that `config` and `map` are the text of, NULL: none. */
static void write_tokenizer(const char *config, const char *map)
{
    json_t *vocab = clip_vocab();
    struct bytes text = {0};
    assert_int_equal(json_dump_file(vocab, in_folder("vocab.json"), 0), 0);
    json_decref(vocab);
    assert_ok(bytes_print(test_context(), &text, "#version: 0.2\n"));
    for (size_t i = 0; i < COUNT(clip_merges); i++)
        assert_ok(bytes_print(test_context(), &text, "%s %s\n", clip_merges[i][0], clip_merges[i][1]));
    write_text("merges.txt", text.data);
    bytes_free(&text);
    if (config)
        write_text("tokenizer_config.json", config);
    if (map)
        write_text("special_tokens_map.json", map);
}

static int remove_folder(void **state)
{
    const char *names[] = {"tokenizer.json",          "vocab.json",       "merges.txt", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        remove(in_folder(names[i]));
    return rmdir(folder);
}

#endif
