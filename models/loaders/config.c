/* config.c - read and check configuration files of diffusers and transformers. See config.h. */
#include "config.h"
#include "../../cl/args.clh"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fields of transformers' PretrainedConfig that no forward pass reads: output, labels, generation. Older versions write all of them. */
static const char *const transformers_fields[] = {"bad_words_ids",
                                                  "begin_suppress_tokens",
                                                  "chunk_size_feed_forward",
                                                  "decoder_start_token_id",
                                                  "diversity_penalty",
                                                  "do_sample",
                                                  "early_stopping",
                                                  "encoder_no_repeat_ngram_size",
                                                  "exponential_decay_length_penalty",
                                                  "finetuning_task",
                                                  "forced_bos_token_id",
                                                  "forced_eos_token_id",
                                                  "id2label",
                                                  "label2id",
                                                  "length_penalty",
                                                  "max_length",
                                                  "min_length",
                                                  "no_repeat_ngram_size",
                                                  "num_beam_groups",
                                                  "num_beams",
                                                  "num_return_sequences",
                                                  "output_attentions",
                                                  "output_hidden_states",
                                                  "output_scores",
                                                  "prefix",
                                                  "problem_type",
                                                  "remove_invalid_values",
                                                  "repetition_penalty",
                                                  "return_dict",
                                                  "return_dict_in_generate",
                                                  "sep_token_id",
                                                  "suppress_tokens",
                                                  "task_specific_params",
                                                  "temperature",
                                                  "tf_legacy_loss",
                                                  "tie_encoder_decoder",
                                                  "tokenizer_class",
                                                  "top_k",
                                                  "top_p",
                                                  "torchscript",
                                                  "typical_p",
                                                  "use_bfloat16"};

#define SHOWN 80 /* characters of a value in a message */

/* Whether `text` is one of `values`, separated by |. */
static bool is_among(const char *text, const char *values)
{
    size_t length = strlen(text);
    for (const char *at = values; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, length) == 0 && (at[length] == '|' || !at[length]))
            return true;
    }
    return false;
}

static bool is_transformers_field(const char *key)
{
    for (size_t i = 0; i < COUNT(transformers_fields); i++)
        if (!strcmp(key, transformers_fields[i]))
            return true;
    return false;
}

/* A list of equal entries is replaced by one of them: [false, false] by false. */
static const json_t *collapsed(const json_t *value)
{
    for (size_t i = 1; i < json_array_size(value); i++)
        if (!json_equal(json_array_get(value, i), json_array_get(value, 0)))
            return value;
    return json_array_size(value) ? json_array_get(value, 0) : value;
}

static clio_status check_field(clio_context *ctx, const struct json_file *file, const char *key, const json_t *value,
                               const struct field *table, size_t count)
{
    clio_status st = CLIO_OK;
    char *text = NULL;
    size_t i = 0;
    TRY(json_format(ctx, collapsed(value), JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9), &text));
    while (i < count && strcmp(table[i].key, key) != 0)
        i++;
    if (i == count && !is_among(text, "null|false|{}|[]|\"\"") &&
        !(json_object_get(file->root, "model_type") && is_transformers_field(key)))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: the field \"%.80s\" (%.*s) is not supported and may change the result: remove it if it does not matter, or use another "
             "model",
             file->path, key, SHOWN, text);
    if (i < count && table[i].values && !is_among(text, table[i].values))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"%s\" is %.*s, which is not supported (supported: %s): use another model", file->path, key,
             SHOWN, text, table[i].values);
fail:
    free(text);
    return st;
}

clio_status config_check(clio_context *ctx, const struct json_file *file, const char *class_name, const struct field *table, size_t count)
{
    clio_status st = CLIO_OK;
    const char *name, *key;
    json_t *value;
    TRY(json_text(ctx, file, "_class_name", class_name, &name));
    if (strcmp(name, class_name) != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes the class %.80s, and %s is needed: use another model", file->path, name,
             class_name);
    json_object_foreach(file->root, key, value)
    {
        if (key[0] != '_')
            TRY(check_field(ctx, file, key, value, table, count));
    }
fail:
    return st;
}

clio_status config_number(clio_context *ctx, const struct json_file *file, const char *key, double otherwise, double *out)
{
    clio_status st = CLIO_OK;
    const json_t *value = json_object_get(file->root, key);
    *out = !value || json_is_null(value) ? otherwise : json_number_value(value);
    if ((value && !json_is_null(value) && !json_is_number(value)) || !isfinite(*out))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" must be a number", file->path, key);
fail:
    return st;
}

clio_status config_norm_eps(clio_context *ctx, const struct json_file *file, double otherwise, float *eps)
{
    clio_status st = CLIO_OK;
    double number;
    TRY(config_number(ctx, file, "layer_norm_eps", otherwise, &number));
    if (!(number > 0 && number < 1))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"layer_norm_eps\" must be between 0 and 1; the file is damaged, download it again", file->path);
    *eps = (float)number;
fail:
    return st;
}

clio_status config_check_heads(clio_context *ctx, const struct json_file *file, const char *width_key, int width, const char *heads_key,
                               int heads)
{
    clio_status st = CLIO_OK;
    if (width % heads)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %d columns (%s) cannot be shared by %d heads (%s); the file is damaged, download it again",
             file->path, width, width_key, heads, heads_key);
fail:
    return st;
}

clio_status config_act(clio_context *ctx, const struct json_file *file, const char *otherwise, int *act)
{
    clio_status st = CLIO_OK;
    static const struct {
        const char *name;
        int act;
    } acts[] = {{"quick_gelu", ACT_QUICK_GELU}, {"gelu", ACT_GELU}, {"gelu_new", ACT_GELU_TANH}, {"gelu_pytorch_tanh", ACT_GELU_TANH},
                {"gelu_fast", ACT_GELU_TANH},   {"relu", ACT_RELU}, {"silu", ACT_SILU}};
    const char *name;
    TRY(json_text(ctx, file, "hidden_act", otherwise, &name));
    for (size_t i = 0; i < COUNT(acts); i++)
        if (!strcmp(name, acts[i].name)) {
            *act = acts[i].act;
            return CLIO_OK;
        }
    FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s asks for hidden_act %.40s; clio runs encoders with quick_gelu, gelu, gelu_new, relu or silu",
         file->path, name);
fail:
    return st;
}

clio_status config_ints(clio_context *ctx, const struct json_file *file, const char *key, int count, int min, int max, int otherwise,
                        int *out)
{
    clio_status st = CLIO_OK;
    const json_t *list = json_object_get(file->root, key);
    int value = 0;
    if (!json_is_array(list)) {
        TRY(json_int(ctx, file, key, min, max, otherwise, &value));
        for (int i = 0; i < count; i++)
            out[i] = value;
        return CLIO_OK;
    }
    if (json_array_size(list) != (size_t)count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" has %zu entries, but the network has %d blocks; download the file again", file->path, key,
             json_array_size(list), count);
    for (int i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, (size_t)i);
        if (!json_is_integer(item) || json_integer_value(item) < min || json_integer_value(item) > max)
            FAIL(ctx, json_is_array(item) ? CLIO_ERROR_UNSUPPORTED : CLIO_ERROR_FORMAT,
                 "%s: entry %d of \"%s\" must be an integer from %d to %d", file->path, i + 1, key, min, max);
        out[i] = (int)json_integer_value(item);
    }
fail:
    return st;
}

clio_status config_count(clio_context *ctx, const struct json_file *file, const char *key, int most, int *out)
{
    clio_status st = CLIO_OK;
    const json_t *list = json_object_get(file->root, key);
    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > (size_t)most)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" must be a list of 1 to %d entries; download the file again", file->path, key, most);
    *out = (int)json_array_size(list);
fail:
    return st;
}

clio_status config_text(clio_context *ctx, const struct json_file *file, const char *key, int index, const char **out)
{
    clio_status st = CLIO_OK;
    const json_t *item = json_array_get(json_object_get(file->root, key), (size_t)index);
    if (!json_is_string(item))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: entry %d of \"%s\" must be a string; download the file again", file->path, index + 1, key);
    *out = json_string_value(item);
fail:
    return st;
}
