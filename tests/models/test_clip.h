/* test_clip.h - what the tests of prompts share: in the temporary folder a tokenizer in CLIP's form whose vocabulary is written by
 * hand: the 256 bytes, each also with "</w>", a few merges, and the special tokens. */
#ifndef CLIO_TEST_CLIP_H
#define CLIO_TEST_CLIP_H

#include "../support/folder.h"
#include "../support/test_tokens.h"

#include "../../models/tokenizers/clip_tokenizer.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

/* BYTE(b), END(b): the byte's token within and at the end of a word. "!" is 0, as in the real vocabulary. */
#define BYTE(b) (((b) + 256 - '!') % 256)
#define END(b) (256 + BYTE(b))
enum { CAT_W = 512, AT_W, PHO, TO_W, START, STOP };

static const char *const clip_merges[][3] = {
    {"a", "t</w>", "at</w>"}, {"c", "at</w>", "cat</w>"}, {"p", "h", "ph"}, {"ph", "o", "pho"}, {"t", "o</w>", "to</w>"}};

static json_t *clip_vocab(void)
{
    json_t *vocab = json_object();
    char names[256][3], end[8];
    byte_names(names);
    for (int b = 0; b < 256; b++) {
        snprintf(end, sizeof end, "%s</w>", names[b]);
        json_object_set_new(vocab, names[b], json_integer(BYTE(b)));
        json_object_set_new(vocab, end, json_integer(END(b)));
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
    put_text("merges.txt", text.data);
    bytes_free(&text);
    if (config)
        put_text("tokenizer_config.json", config);
    if (map)
        put_text("special_tokens_map.json", map);
}

#endif
