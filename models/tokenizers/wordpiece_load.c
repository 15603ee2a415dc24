/* wordpiece_load.c - wordpiece_open: read a tokenizer of BERT's type. A folder has tokenizer.json (huggingface/tokenizers), or vocab.txt,
 * in which line n is token n; options are in tokenizer.json and, with precedence, in tokenizer_config.json. See wordpiece.h. */
#include "vocabulary.h"
#include "wordpiece.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_VOCABULARY ((uint64_t)256 << 20) /* bytes of vocab.txt */
#define MAX_LENGTH (1 << 20)                     /* model_max_length above it means that there is no limit */

/* ---- vocab.txt ---- */

static clio_status read_lines(clio_context *ctx, struct wordpiece *t, const char *at, const char *end)
{
    clio_status st = CLIO_OK;
    struct bytes name = {0};
    for (int id = 0; at < end; id++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at)), *next = stop ? stop + 1 : end;
        size_t size = (size_t)((stop ? stop : end) - at);
        size -= size && at[size - 1] == '\r';
        name.size = 0;
        TRY(bytes_add(ctx, &name, at, size));
        TRY(tokenizer_add(ctx, &t->vocabulary, t->vocabulary.path, id, &name, false));
        at = next;
    }
fail:
    bytes_free(&name);
    return st;
}

static clio_status read_text(clio_context *ctx, struct wordpiece *t)
{
    clio_status st = CLIO_OK;
    struct file_content content = {0};
    const char *path = t->vocabulary.path;
    size_t lines = 1;
    TRY(file_load_limited(ctx, &content, path, LARGEST_VOCABULARY));
    const char *at = (const char *)content.data, *end = at + content.size;
    for (const char *p = at; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        lines++;
    if (lines > TOKENIZER_MOST)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has more than %d lines, one for each token: check that it is the vocabulary of the model", path,
             TOKENIZER_MOST);
    TRY(tokenizer_make_tables(ctx, &t->vocabulary, (int)lines, lines));
    TRY(read_lines(ctx, t, at, end));
fail:
    file_unload(&content);
    return st;
}

/* ---- tokenizer.json ---- */

static clio_status check_type(clio_context *ctx, const char *path, const json_t *part, const char *name, const char *type)
{
    clio_status st = CLIO_OK;
    const char *found = json_string_value(json_object_get(part, "type"));
    if (found && strcmp(found, type) != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has the %s %.40s, and clio runs text encoders with %s: use a BERT model", path, name, found,
             type);
fail:
    return st;
}

/* Flags of the normalizer; those that are absent stay. */
static void read_normalizer(struct wordpiece *t, const json_t *normalizer, int *strip)
{
    bool *const flags[] = {&t->clean, &t->ideographs, &t->lower};
    static const char *const keys[] = {"clean_text", "handle_chinese_chars", "lowercase"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const json_t *value = json_object_get(normalizer, keys[i]);
        *flags[i] = json_is_boolean(value) ? json_is_true(value) : *flags[i];
    }
    const json_t *value = json_object_get(normalizer, "strip_accents");
    *strip = json_is_boolean(value) ? json_is_true(value) : *strip;
}

static clio_status read_vocabulary(clio_context *ctx, struct wordpiece *t, const json_t *vocab, const json_t *added)
{
    clio_status st = CLIO_OK;
    const char *path = t->vocabulary.path, *name;
    struct bytes text = {0};
    json_t *value;
    size_t i;
    int id, count = 0;
    json_object_foreach(mem_const_cast(vocab), name, value)
    {
        TRY(tokenizer_check_id(ctx, path, name, value, &id));
        count = MAX(count, id + 1);
    }
    json_array_foreach(added, i, value)
    {
        TRY(tokenizer_added_token(ctx, path, value, &name, &id));
        count = MAX(count, id + 1);
    }
    TRY(tokenizer_make_tables(ctx, &t->vocabulary, count, json_object_size(vocab) + json_array_size(added)));
    json_object_foreach(mem_const_cast(vocab), name, value)
    {
        text.size = 0;
        TRY(bytes_add(ctx, &text, name, strlen(name)));
        TRY(tokenizer_add(ctx, &t->vocabulary, path, (int)json_integer_value(value), &text, false));
    }
    json_array_foreach(added, i, value)
    {
        TRY(tokenizer_added_token(ctx, path, value, &name, &id));
        text.size = 0;
        TRY(bytes_add(ctx, &text, name, strlen(name)));
        TRY(tokenizer_add(ctx, &t->vocabulary, path, id, &text, true));
    }
fail:
    bytes_free(&text);
    return st;
}

static clio_status read_json(clio_context *ctx, struct wordpiece *t, const struct json_file *file, int *strip)
{
    clio_status st = CLIO_OK;
    const json_t *model = json_object_get(file->root, "model"), *vocab = json_object_get(model, "vocab");
    const json_t *normalizer = json_object_get(file->root, "normalizer"), *added = json_object_get(file->root, "added_tokens");
    const struct json_file part = {.path = file->path, .root = mem_const_cast(model)};
    const char *prefix;
    TRY(check_type(ctx, file->path, model, "tokenizer", "WordPiece"));
    TRY(check_type(ctx, file->path, normalizer, "normalizer", "BertNormalizer"));
    TRY(check_type(ctx, file->path, json_object_get(file->root, "pre_tokenizer"), "pre-tokenizer", "BertPreTokenizer"));
    if (!json_is_object(vocab))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not a WordPiece tokenizer: \"model\" has no \"vocab\"; download the file again", file->path);
    read_normalizer(t, normalizer, strip);
    TRY(json_int(ctx, &part, "max_input_chars_per_word", 1, 10000, t->longest, &t->longest));
    TRY(json_text(ctx, &part, "continuing_subword_prefix", t->prefix, &prefix));
    if (prefix != t->prefix) {
        free(t->prefix);
        t->prefix = NULL;
        TRY(mem_string(ctx, &t->prefix, prefix));
    }
    TRY(read_vocabulary(ctx, t, vocab, added));
fail:
    return st;
}

/* ---- options and special tokens ---- */

static clio_status read_options(clio_context *ctx, struct wordpiece *t, const struct json_file *config, int *strip)
{
    clio_status st = CLIO_OK;
    bool basic, strips;
    if (!config->root)
        return CLIO_OK;
    TRY(json_bool(ctx, config, "do_basic_tokenize", true, &basic));
    if (!basic)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"do_basic_tokenize\" is false, which clio does not support: use another model",
             config->path);
    TRY(json_bool(ctx, config, "do_lower_case", t->lower, &t->lower));
    TRY(json_bool(ctx, config, "tokenize_chinese_chars", t->ideographs, &t->ideographs));
    TRY(json_bool(ctx, config, "strip_accents", *strip > 0, &strips));
    if (json_is_boolean(json_object_get(config->root, "strip_accents")))
        *strip = strips;
    double most = json_number_value(json_object_get(config->root, "model_max_length"));
    t->max_length = most >= 1 && most <= MAX_LENGTH ? (int)most : 0;
fail:
    return st;
}

/* A token that is never split. Where it is found in the normalized text, it is normalized itself. */
static clio_status add_special(clio_context *ctx, struct wordpiece *t, const char *text, int id, bool normalized)
{
    clio_status st = CLIO_OK;
    struct bytes form = {0};
    if (normalized)
        TRY(wordpiece_normalize(ctx, t, text, strlen(text), &form));
    else
        TRY(bytes_add(ctx, &form, text, strlen(text)));
    if (form.size)
        TRY(special_tokens_add(ctx, &t->specials, form.data, id, normalized));
fail:
    bytes_free(&form);
    return st;
}

/* The tokens with a role, and those that were added to the vocabulary. */
static clio_status read_specials(clio_context *ctx, struct wordpiece *t, const struct special_files *files, const json_t *added)
{
    clio_status st = CLIO_OK;
    const struct {
        const char *key, *text;
        int *id;
    } roles[] = {{"unk_token", "[UNK]", &t->unknown},
                 {"cls_token", "[CLS]", &t->start},
                 {"sep_token", "[SEP]", &t->end},
                 {"pad_token", "[PAD]", &t->pad},
                 {"mask_token", "[MASK]", NULL}};
    json_t *value;
    size_t i;
    for (i = 0; i < COUNT(roles); i++) {
        const char *text = roles[i].text, *path = t->vocabulary.path;
        bool normalized = false, needed = roles[i].id && roles[i].id != &t->pad;
        TRY(special_files_token(ctx, files, roles[i].key, &text, &normalized, &path));
        int id = tokenizer_find(&t->vocabulary, text);
        if (id < 0 && needed)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s does not match the vocabulary, which has no token \"%.80s\": download the whole folder again",
                 path, text);
        if (roles[i].id)
            *roles[i].id = MAX(id, 0);
        if (id >= 0)
            TRY(add_special(ctx, t, text, id, normalized));
    }
    json_array_foreach(added, i, value)
    {
        const char *text = json_string_value(json_object_get(value, "content"));
        TRY(add_special(ctx, t, text, (int)json_integer_value(json_object_get(value, "id")),
                        json_is_true(json_object_get(value, "normalized"))));
    }
fail:
    return st;
}

/* ---- opening ---- */

/* The path of the vocabulary, which is tokenizer.json (file is then open) or vocab.txt. */
static clio_status find_vocabulary(clio_context *ctx, struct wordpiece *t, const char *dir, struct json_file *file)
{
    clio_status st = CLIO_OK;
    bool exists;
    TRY(json_open_if_exists(ctx, file, dir, "tokenizer.json"));
    if (file->root)
        return mem_string(ctx, &t->vocabulary.path, file->path);
    TRY(file_join(ctx, &t->vocabulary.path, dir, "vocab.txt"));
    TRY(file_check_exists(ctx, t->vocabulary.path, &exists));
    if (!exists)
        FAIL(ctx, CLIO_ERROR_FILE, "%s has neither tokenizer.json nor vocab.txt: download the tokenizer of the model", dir);
fail:
    return st;
}

clio_status wordpiece_open(clio_context *ctx, struct wordpiece *t, const char *dir)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    struct special_files files = {{0}, {0}};
    int strip = -1; /* as lower says */
    *t = (struct wordpiece){.clean = true, .ideographs = true, .lower = true, .longest = 100};
    TRY(mem_string(ctx, &t->prefix, "##"));
    TRY(find_vocabulary(ctx, t, dir, &file));
    TRY(file.root ? read_json(ctx, t, &file, &strip) : read_text(ctx, t));
    TRY(special_files_open(ctx, &files, dir));
    TRY(read_options(ctx, t, &files.config, &strip));
    t->strip = strip < 0 ? t->lower : strip > 0;
    TRY(read_specials(ctx, t, &files, json_object_get(file.root, "added_tokens")));
fail:
    special_files_close(&files);
    json_close(&file);
    if (st)
        wordpiece_close(t);
    return st;
}

void wordpiece_close(struct wordpiece *t)
{
    tokenizer_close(&t->vocabulary);
    special_tokens_free(&t->specials);
    free(t->prefix);
    *t = (struct wordpiece){.unknown = 0};
}
