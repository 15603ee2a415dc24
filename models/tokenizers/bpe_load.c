/* bpe_load.c - tokenizer_open: read the files of a tokenizer into the tables of bpe.h.
 *
 * The files write bytes as printable characters (GPT-2's bytes_to_unicode: "Ġthe" is " the"). Tokens are converted to raw bytes once, so
 * that decoding is a look-up and the hash table is keyed by bytes. Most of the time goes into parsing JSON. */
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

#define CLIP_SUFFIX "</w>"
#define ALPHABET 324 /* bytes_to_unicode uses characters below 324 */

/* The open files. */
struct source {
    struct json_file file, added_file;
    struct file_content merges_map;
    char *merges_path;       /* for messages */
    json_t *vocab;           /* name to id */
    json_t *merges;          /* array of "a b" or ["a", "b"]; NULL: merges_map has lines "a b" */
    json_t *added_list;      /* array of {"id", "content", "special"}, or NULL */
    json_t *added_map;       /* content to id, or NULL */
    short byte_of[ALPHABET]; /* character to byte, -1: none */
    struct bytes name, left; /* scratch */
};

/* ---- names to bytes ---- */

/* bytes_to_unicode: a printable byte is the character with that code; the others, in order, are characters 256 and up. */
static void make_alphabet(short byte_of[ALPHABET])
{
    int next = 256;
    memset(byte_of, 0xff, ALPHABET * sizeof byte_of[0]);
    for (int b = 0; b < 256; b++) {
        bool printable = (b > 32 && b < 127) || (b > 160 && b != 173);
        byte_of[printable ? b : next++] = (short)b;
    }
}

/* The raw bytes of a name; a name with characters outside the alphabet (a token added as plain text) is unchanged. */
static clio_status name_bytes(clio_context *ctx, const struct source *src, const char *name, size_t size, struct bytes *out)
{
    clio_status st = CLIO_OK;
    size_t n = 0;
    out->size = 0;
    TRY(bytes_add(ctx, out, name, size));
    for (size_t i = 0; i < size; i++) {
        unsigned c = (unsigned char)name[i];
        if (c >= 0xC2 && c < 0xE0 && i + 1 < size)
            c = (c & 0x1F) << 6 | ((unsigned char)name[++i] & 0x3F);
        else if (c >= 0x80)
            return CLIO_OK;
        if (c >= ALPHABET || src->byte_of[c] < 0) {
            memcpy(out->data, name, size);
            return CLIO_OK;
        }
        out->data[n++] = (char)src->byte_of[c];
    }
    out->data[n] = 0;
    out->size = n;
fail:
    return st;
}

/* ---- reading ---- */

/* Find the largest ids and allocate the tables. */
static clio_status make_tables(clio_context *ctx, struct tokenizer *t, const struct source *src)
{
    clio_status st = CLIO_OK;
    const char *name;
    json_t *value;
    size_t i, entries = json_object_size(src->vocab) + json_array_size(src->added_list) + json_object_size(src->added_map);
    int id;
    json_object_foreach(src->vocab, name, value)
    {
        TRY(tokenizer_check_id(ctx, t->path, name, value, &id));
        t->plain_count = MAX(t->plain_count, id + 1);
    }
    t->count = t->plain_count;
    json_array_foreach(src->added_list, i, value)
    {
        TRY(tokenizer_added_token(ctx, t->path, value, &name, &id));
        t->count = MAX(t->count, id + 1);
    }
    json_object_foreach(src->added_map, name, value)
    {
        TRY(tokenizer_check_id(ctx, src->added_file.path, name, value, &id));
        t->count = MAX(t->count, id + 1);
    }
    TRY(tokenizer_make_tables(ctx, t, t->count, entries));
fail:
    return st;
}

static clio_status find_byte(clio_context *ctx, const struct tokenizer *t, int byte, const char *suffix, int *token)
{
    clio_status st = CLIO_OK;
    char text[8] = {(char)byte};
    memcpy(text + 1, suffix, strlen(suffix));
    if ((*token = *tokenizer_name_slot(t, text, 1 + strlen(suffix))) < 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is not a byte-level BPE vocabulary: it has no token for the byte 0x%02x%s%s", t->path, byte,
             *suffix ? " with " : "", suffix);
fail:
    return st;
}

static clio_status read_vocab(clio_context *ctx, struct tokenizer *t, struct source *src)
{
    clio_status st = CLIO_OK;
    const char *name;
    json_t *value;
    json_object_foreach(src->vocab, name, value)
    {
        TRY(name_bytes(ctx, src, name, strlen(name), &src->name));
        TRY(tokenizer_add(ctx, t, t->path, (int)json_integer_value(value), &src->name, false));
    }
    for (int b = 0; b < 256; b++) {
        TRY(find_byte(ctx, t, b, "", &t->byte_token[b]));
        TRY(find_byte(ctx, t, b, t->type == TOKENIZER_CLIP ? CLIP_SUFFIX : "", &t->last_token[b]));
    }
fail:
    return st;
}

static clio_status read_added(clio_context *ctx, struct tokenizer *t, struct source *src)
{
    clio_status st = CLIO_OK;
    const char *text;
    json_t *value;
    size_t i;
    json_array_foreach(src->added_list, i, value)
    {
        int id = 0;
        TRY(tokenizer_added_token(ctx, t->path, value, &text, &id));
        src->name.size = 0;
        TRY(bytes_add(ctx, &src->name, text, strlen(text)));
        TRY(tokenizer_add(ctx, t, t->path, id, &src->name, json_is_true(json_object_get(value, "special"))));
    }
    json_object_foreach(src->added_map, text, value)
    {
        src->name.size = 0;
        TRY(bytes_add(ctx, &src->name, text, strlen(text)));
        TRY(tokenizer_add(ctx, t, src->added_file.path, (int)json_integer_value(value), &src->name, false));
    }
fail:
    return st;
}

static clio_status add_merge(clio_context *ctx, struct tokenizer *t, struct source *src, size_t rank, const char *left, size_t left_size,
                             const char *right, size_t right_size)
{
    clio_status st = CLIO_OK;
    TRY(name_bytes(ctx, src, left, left_size, &src->left));
    TRY(name_bytes(ctx, src, right, right_size, &src->name));
    int a = *tokenizer_name_slot(t, src->left.data, src->left.size), b = *tokenizer_name_slot(t, src->name.data, src->name.size);
    TRY(bytes_add(ctx, &src->left, src->name.data, src->name.size));
    int merged = *tokenizer_name_slot(t, src->left.data, src->left.size);
    if (a < 0 || b < 0 || merged < 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: merge %zu (\"%.*s %.*s\") needs a token that is not in the vocabulary",
             src->merges_path, rank, (int)MIN(left_size, 80), left, (int)MIN(right_size, 80), right);
    struct token_pair *p = tokenizer_pair_slot(t, (uint32_t)a, (uint32_t)b);
    *p = (struct token_pair){(uint32_t)a, (uint32_t)b, (uint32_t)rank, (uint32_t)merged};
fail:
    return st;
}

/* "a b" */
static clio_status add_merge_line(clio_context *ctx, struct tokenizer *t, struct source *src, size_t rank, const char *line, size_t size)
{
    clio_status st = CLIO_OK;
    const char *space = memchr(line, ' ', size);
    if (!space)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: merge %zu (\"%.*s\") is not two tokens separated by a space", src->merges_path, rank,
             (int)MIN(size, 80), line);
    size_t left = (size_t)(space - line);
    TRY(add_merge(ctx, t, src, rank, line, left, space + 1, size - left - 1));
fail:
    return st;
}

static clio_status make_pairs(clio_context *ctx, struct tokenizer *t, size_t entries)
{
    clio_status st = CLIO_OK;
    t->pair_slots = tokenizer_table_slots(entries);
    TRY(mem_alloc(ctx, &t->pairs, t->pair_slots, sizeof *t->pairs));
    for (size_t i = 0; i < t->pair_slots; i++)
        t->pairs[i].left = UINT32_MAX;
fail:
    return st;
}

static clio_status read_merges_list(clio_context *ctx, struct tokenizer *t, struct source *src)
{
    clio_status st = CLIO_OK;
    json_t *value;
    size_t i;
    TRY(make_pairs(ctx, t, json_array_size(src->merges)));
    json_array_foreach(src->merges, i, value)
    {
        const json_t *a = json_array_get(value, 0), *b = json_array_get(value, 1);
        if (json_is_string(value))
            TRY(add_merge_line(ctx, t, src, i, json_string_value(value), json_string_length(value)));
        else if (json_array_size(value) == 2 && json_is_string(a) && json_is_string(b))
            TRY(add_merge(ctx, t, src, i, json_string_value(a), json_string_length(a), json_string_value(b), json_string_length(b)));
        else
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: merge %zu is neither \"a b\" nor [\"a\", \"b\"]", src->merges_path, i);
    }
fail:
    return st;
}

/* merges.txt: "#version", then a merge per line; other lines that begin with # are merges, too. */
static clio_status read_merges_lines(clio_context *ctx, struct tokenizer *t, struct source *src)
{
    clio_status st = CLIO_OK;
    const char *at = (const char *)src->merges_map.data, *end = at + src->merges_map.size, *next;
    size_t lines = 1, rank = 0;
    for (const char *p = at; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        lines++;
    TRY(make_pairs(ctx, t, lines));
    for (; at < end; at = next) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > at && stop[-1] == '\r')
            stop--;
        if (stop == at || (stop - at >= 8 && !memcmp(at, "#version", 8)))
            continue;
        TRY(add_merge_line(ctx, t, src, rank++, at, (size_t)(stop - at)));
    }
fail:
    return st;
}

/* Check that the file's model and pre-tokenizer are those of the type. */
static clio_status check_type(clio_context *ctx, const struct tokenizer *t, const json_t *root, const json_t *model)
{
    clio_status st = CLIO_OK;
    bool clip = t->type == TOKENIZER_CLIP;
    const json_t *pre_tokenizer = json_object_get(root, "pre_tokenizer");
    const char *type = json_string_value(json_object_get(model, "type")),
               *suffix = json_string_value(json_object_get(model, "end_of_word_suffix"));
    const char *pre_tokenizer_type = json_string_value(json_object_get(pre_tokenizer, "type"));
    if (type && strcmp(type, "BPE") != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s belongs to another model: its tokenizer is %.40s, not BPE", t->path, type);
    if (clip && (!suffix || strcmp(suffix, CLIP_SUFFIX) != 0 || (pre_tokenizer_type && strcmp(pre_tokenizer_type, "Sequence") != 0)))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s belongs to another model: its pre-tokenizer is not CLIP's", t->path);
    if (!clip && ((suffix && *suffix) || (pre_tokenizer_type && strcmp(pre_tokenizer_type, "ByteLevel") != 0)))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s belongs to another model: its pre-tokenizer is not ByteLevel", t->path);
fail:
    return st;
}

static clio_status open_json(clio_context *ctx, struct tokenizer *t, struct source *src, const char *dir)
{
    clio_status st = CLIO_OK;
    TRY(json_open(ctx, &src->file, dir, "tokenizer.json"));
    TRY(mem_string(ctx, &t->path, src->file.path));
    TRY(mem_string(ctx, &src->merges_path, src->file.path));
    const json_t *model = json_object_get(src->file.root, "model");
    src->vocab = json_object_get(model, "vocab");
    src->merges = json_object_get(model, "merges");
    src->added_list = json_object_get(src->file.root, "added_tokens");
    TRY(check_type(ctx, t, src->file.root, model));
    if (!json_is_object(src->vocab) || !json_is_array(src->merges))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not a BPE tokenizer: \"model\" has no \"vocab\" or no \"merges\"; download the file again",
             t->path);
    if (src->added_list && !json_is_array(src->added_list) && !json_is_null(src->added_list))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: \"added_tokens\" is not a list", t->path);
fail:
    return st;
}

static clio_status open_pair(clio_context *ctx, struct tokenizer *t, struct source *src, const char *dir, bool has_added)
{
    clio_status st = CLIO_OK;
    TRY(json_open(ctx, &src->file, dir, "vocab.json"));
    TRY(mem_string(ctx, &t->path, src->file.path));
    src->vocab = src->file.root;
    TRY(file_join(ctx, &src->merges_path, dir, "merges.txt"));
    TRY(file_load(ctx, &src->merges_map, src->merges_path));
    if (has_added) {
        TRY(json_open(ctx, &src->added_file, dir, "added_tokens.json"));
        src->added_map = src->added_file.root;
    }
fail:
    return st;
}

static clio_status open_source(clio_context *ctx, struct tokenizer *t, struct source *src, const char *dir)
{
    clio_status st = CLIO_OK;
    const char *names[] = {"tokenizer.json", "vocab.json", "added_tokens.json"};
    bool exists[COUNT(names)], is_folder;
    TRY(file_check_folder(ctx, dir, &is_folder));
    if (!is_folder)
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: use %s", dir,
             t->type == TOKENIZER_CLIP ? "the folder of CLIP's tokenizer (vocab.json and merges.txt, or tokenizer.json)"
                                       : "a model folder (config.json, tokenizer.json, model.safetensors)");
    for (size_t i = 0; i < COUNT(names); i++) {
        char *path = NULL;
        TRY(file_join(ctx, &path, dir, names[i]));
        st = file_check_exists(ctx, path, &exists[i]);
        free(path);
        TRY(st);
    }
    if (exists[0])
        TRY(open_json(ctx, t, src, dir));
    else if (exists[1])
        TRY(open_pair(ctx, t, src, dir, exists[2]));
    else
        FAIL(ctx, CLIO_ERROR_FILE, "%s has neither tokenizer.json nor vocab.json with merges.txt: download the tokenizer of the model",
             dir);
fail:
    return st;
}

clio_status tokenizer_open(clio_context *ctx, struct tokenizer *t, const char *dir, enum tokenizer_type type)
{
    clio_status st = CLIO_OK;
    struct source src = {0};
    memset(t, 0, sizeof *t);
    t->type = type;
    make_alphabet(src.byte_of);
    TRY(open_source(ctx, t, &src, dir));
    TRY(make_tables(ctx, t, &src));
    TRY(read_vocab(ctx, t, &src));
    TRY(src.merges ? read_merges_list(ctx, t, &src) : read_merges_lines(ctx, t, &src));
    TRY(read_added(ctx, t, &src));
fail:
    json_close(&src.file);
    json_close(&src.added_file);
    file_unload(&src.merges_map);
    free(src.merges_path);
    bytes_free(&src.name);
    bytes_free(&src.left);
    if (st)
        tokenizer_close(t);
    return st;
}
