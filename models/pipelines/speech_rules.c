/* speech_rules.c - see speech_rules.h. Sources: transformers, generation/configuration_utils.py (GenerationConfig) and
 * models/whisper/generation_whisper.py; openai/whisper, decoding.py (max_initial_timestamp, SuppressBlank). */
#include "speech_rules.h"
#include "../../host/core/json.h"

#include <stdlib.h>
#include <string.h>

#define INITIAL_TIMESTAMP 50 /* max_initial_timestamp of 1 s, as in openai/whisper, where the folder has no value */

/* Set mask[id] for every token of the list under `key`; null and absent lists are empty. */
static clio_status mark_tokens(clio_context *ctx, const struct json_file *file, const char *key, unsigned char *mask, int vocab)
{
    clio_status st = CLIO_OK;
    const json_t *list = json_object_get(file->root, key);
    size_t i;
    json_t *item;
    if (!list || json_is_null(list))
        return CLIO_OK;
    if (!json_is_array(list))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %s is not a list of token ids: the file is damaged, download it again", file->path, key);
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id >= vocab)
            FAIL(ctx, CLIO_ERROR_FORMAT,
                 "%s: %s contains an id that is not in the vocabulary: the file is damaged or belongs to another model, download it again",
                 file->path, key);
        if (id >= 0)
            mask[id] = 1;
    }
fail:
    return st;
}

static clio_status read_prefix(clio_context *ctx, struct speech_rules *rules, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    const char *text;
    TRY(json_text(ctx, file, "caption_prefix", "", &text));
    if (*text) {
        free(rules->prefix);
        rules->prefix = NULL;
        TRY(mem_string(ctx, &rules->prefix, text));
    }
fail:
    return st;
}

/* from: the file with the lists of suppressed tokens. */
static clio_status suppress(clio_context *ctx, struct speech_rules *rules, const struct json_file *from, const struct tokenizer *t,
                            const struct whisper_tokens *tokens, int vocab)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(ctx, &rules->suppress, (size_t)vocab, 1));
    TRY(mem_alloc(ctx, &rules->suppress_first, (size_t)vocab, 1));
    TRY(mark_tokens(ctx, from, "suppress_tokens", rules->suppress, vocab));
    for (int id = tokens->timestamp_begin + WHISPER_TIMESTAMPS; id < vocab; id++) /* padding, or special */
        rules->suppress[id] = rules->suppress[id] || tokenizer_is_special(t, id) || !*tokenizer_bytes(t, id, NULL);
    memcpy(rules->suppress_first, rules->suppress, (size_t)vocab);
    TRY(mark_tokens(ctx, from, "begin_suppress_tokens", rules->suppress_first, vocab));
    int blank = tokenizer_find(t, " ");
    if (blank >= 0 && blank < vocab)
        rules->suppress_first[blank] = 1;
    rules->suppress_first[tokens->eot] = 1;
fail:
    return st;
}

clio_status speech_rules_read(clio_context *ctx, const char *dir, const struct tokenizer *t, const struct whisper_tokens *tokens, int vocab,
                              struct speech_rules *rules)
{
    clio_status st = CLIO_OK;
    struct json_file config = {0}, generation = {0};
    const struct json_file *from = &config; /* older folders have all settings in config.json */
    char *path = NULL;
    bool exists;
    *rules = (struct speech_rules){.last_initial_timestamp = INITIAL_TIMESTAMP};
    TRY(json_open(ctx, &config, dir, "config.json"));
    TRY(file_join(ctx, &path, dir, "generation_config.json"));
    TRY(read_prefix(ctx, rules, &config));
    TRY(file_check_exists(ctx, path, &exists));
    if (exists) {
        TRY(json_open(ctx, &generation, dir, "generation_config.json"));
        TRY(read_prefix(ctx, rules, &generation));
        TRY(json_int(ctx, &generation, "max_initial_timestamp_index", 0, WHISPER_TIMESTAMPS - 1, INITIAL_TIMESTAMP,
                     &rules->last_initial_timestamp));
        from = json_object_get(generation.root, "suppress_tokens") ? &generation : &config;
    }
    TRY(suppress(ctx, rules, from, t, tokens, vocab));
fail:
    json_close(&config);
    json_close(&generation);
    free(path);
    if (st)
        speech_rules_free(rules);
    return st;
}

void speech_rules_free(struct speech_rules *rules)
{
    free(rules->suppress);
    free(rules->suppress_first);
    free(rules->prefix);
    *rules = (struct speech_rules){0};
}
