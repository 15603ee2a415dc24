/* config.h - strict reading of a network's config.json: every field is used, known not to matter, or checked for a supported value. An
 * unknown field is an error, since it may change what the network computes, unless it is empty or one of transformers' fields that no
 * forward pass reads. */
#ifndef CLIO_MODELS_LOADERS_CONFIG_H
#define CLIO_MODELS_LOADERS_CONFIG_H

#include "../../host/core/json.h"

struct field {
    const char *key;
    const char *values; /* supported values as JSON, separated by | ("null|false"); NULL: read elsewhere, or does not matter */
};
/* Check that every field of the file is in the table, with a supported value. Fields that begin with _ are ignored, except that
 * _class_name, if present, must be class_name. */
clio_status config_check(clio_context *ctx, const struct json_file *file, const char *class_name, const struct field *table, size_t count);

/* A finite number; missing or null: `otherwise`. */
clio_status config_number(clio_context *ctx, const struct json_file *file, const char *key, double otherwise, double *out);
/* "layer_norm_eps", between 0 and 1; missing: `otherwise`. */
clio_status config_norm_eps(clio_context *ctx, const struct json_file *file, double otherwise, float *eps);
/* CLIO_ERROR_FORMAT: a width that the heads cannot share; the keys are those that gave the two numbers. */
clio_status config_check_heads(clio_context *ctx, const struct json_file *file, const char *width_key, int width, const char *heads_key,
                               int heads);
/* ACT_* of "hidden_act"; missing: `otherwise`. CLIO_ERROR_UNSUPPORTED: another function. */
clio_status config_act(clio_context *ctx, const struct json_file *file, const char *otherwise, int *act);
/* `count` integers in [min, max]: a list, or one integer for all. Missing or null: `otherwise` for all; with `otherwise` below min the key
 * is required. */
clio_status config_ints(clio_context *ctx, const struct json_file *file, const char *key, int count, int min, int max, int otherwise,
                        int *out);
/* Length of a required list: 1 to `most`. */
clio_status config_count(clio_context *ctx, const struct json_file *file, const char *key, int most, int *out);
/* String `index` of a list; owned by the file. */
clio_status config_text(clio_context *ctx, const struct json_file *file, const char *key, int index, const char **out);

#endif
