/* vocabulary.c - the tables of a tokenizer's vocabulary (bpe.h), filled token by token from whichever files; vocabulary.h. */
#include "vocabulary.h"

#include <string.h>

size_t tokenizer_table_slots(size_t entries)
{
    size_t slots = 16;
    while (slots < entries * 2)
        slots *= 2;
    return slots;
}

static bool is_control(const char *text, size_t size)
{
    return size > 4 && !memcmp(text, "<|", 2) && !memcmp(text + size - 2, "|>", 2);
}

clio_status tokenizer_check_id(clio_context *ctx, const char *path, const char *name, const json_t *value, int *id)
{
    clio_status st = CLIO_OK;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number >= TOKENIZER_MOST)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: the id of the token \"%.80s\" is not an integer from 0 to %d", path, name,
             TOKENIZER_MOST - 1);
    *id = (int)number;
fail:
    return st;
}

clio_status tokenizer_added_token(clio_context *ctx, const char *path, const json_t *entry, const char **text, int *id)
{
    clio_status st = CLIO_OK;
    if (!(*text = json_string_value(json_object_get(entry, "content"))))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: an entry of added_tokens has no \"content\"", path);
    TRY(tokenizer_check_id(ctx, path, *text, json_object_get(entry, "id"), id));
fail:
    return st;
}

clio_status tokenizer_make_tables(clio_context *ctx, struct tokenizer *t, int count, size_t entries)
{
    clio_status st = CLIO_OK;
    t->count = count;
    TRY(mem_alloc(ctx, &t->tokens, (size_t)t->count + 1, sizeof *t->tokens));
    t->name_slots = tokenizer_table_slots(entries);
    TRY(mem_alloc(ctx, &t->names, t->name_slots, sizeof *t->names));
    memset(t->names, 0xff, t->name_slots * sizeof *t->names);
    TRY(bytes_add(ctx, &t->arena, "", 1)); /* bytes of unused ids */
fail:
    return st;
}

clio_status tokenizer_add(clio_context *ctx, struct tokenizer *t, const char *path, int id, const struct bytes *name, bool special)
{
    clio_status st = CLIO_OK;
    struct token *token = &t->tokens[id];
    special = special || is_control(name->data, name->size);
    if (token->is_known) { /* an added token may also be in the vocabulary */
        if (token->size != name->size || memcmp(t->arena.data + token->at, name->data, name->size) != 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: the tokens \"%.80s\" and \"%.80s\" have the same id %d", path,
                 t->arena.data + token->at, name->data, id);
        token->is_special = token->is_special || special;
        return CLIO_OK;
    }
    if (name->size >= UINT32_MAX - t->arena.size)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has more than 4 GiB of tokens, which is not supported: use another tokenizer", path);
    *token = (struct token){(uint32_t)t->arena.size, (uint32_t)name->size, true, special};
    TRY(bytes_add(ctx, &t->arena, name->data, name->size + 1));
    *tokenizer_name_slot(t, name->data, name->size) = id;
fail:
    return st;
}
