/* special_tokens.c - see special_tokens.h. Source: huggingface/tokenizers, tokenizer/added_vocabulary.rs. */
#include "special_tokens.h"

#include <stdlib.h>
#include <string.h>

clio_status special_tokens_add(clio_context *ctx, struct special_tokens *s, const char *text, int id, bool normalized)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->list[i].text, text)) {
            s->list[i].normalized = normalized;
            return CLIO_OK;
        }
    TRY(mem_grow(ctx, &s->list, s->count, &s->capacity, sizeof *s->list));
    s->list[s->count] = (struct special_token){.id = id, .normalized = normalized};
    TRY(mem_string(ctx, &s->list[s->count].text, text));
    s->count++;
fail:
    return st;
}

void special_tokens_free(struct special_tokens *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i].text);
    free(s->list);
    *s = (struct special_tokens){0};
}

/* The longest one that begins at `text`, of `size` bytes; NULL: none. */
static const struct special_token *longest_at(const struct special_tokens *s, const char *text, size_t size, bool normalized)
{
    const struct special_token *best = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const struct special_token *token = &s->list[i];
        size_t n = strlen(token->text);
        if (token->normalized == normalized && n <= size && !memcmp(token->text, text, n) && (!best || n > strlen(best->text)))
            best = token;
    }
    return best;
}

clio_status special_tokens_split(const struct special_tokens *s, const char *text, size_t size, bool normalized,
                                 const struct special_pieces *pieces)
{
    clio_status st = CLIO_OK;
    size_t from = 0, at = 0;
    while (at < size) {
        const struct special_token *token = longest_at(s, text + at, size - at, normalized);
        if (!token) {
            at++;
            continue;
        }
        TRY(pieces->plain(pieces->user, text + from, at - from, normalized));
        TRY(pieces->token(pieces->user, token->id));
        at += strlen(token->text);
        from = at;
    }
    TRY(pieces->plain(pieces->user, text + from, size - from, normalized));
fail:
    return st;
}

/* ---- configurations ---- */

clio_status special_files_open(clio_context *ctx, struct special_files *f, const char *dir)
{
    clio_status st = CLIO_OK;
    *f = (struct special_files){0};
    TRY(json_open_if_exists(ctx, &f->map, dir, "special_tokens_map.json"));
    TRY(json_open_if_exists(ctx, &f->config, dir, "tokenizer_config.json"));
fail:
    if (st)
        special_files_close(f);
    return st;
}

void special_files_close(struct special_files *f)
{
    json_close(&f->map);
    json_close(&f->config);
}

clio_status special_files_token(clio_context *ctx, const struct special_files *f, const char *key, const char **text, bool *normalized,
                                const char **path)
{
    clio_status st = CLIO_OK;
    const struct json_file *const files[] = {&f->map, &f->config};
    for (size_t i = 0; i < COUNT(files); i++) {
        const json_t *value = json_object_get(files[i]->root, key);
        if (!value || json_is_null(value))
            continue;
        *path = files[i]->path;
        *normalized = json_is_object(value) && json_is_true(json_object_get(value, "normalized"));
        if (!(*text = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value)))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: \"%s\" is neither a string nor an object with \"content\"", *path, key);
        break;
    }
fail:
    return st;
}
