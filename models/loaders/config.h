/* config.h - a configuration that is read to the last field: what is used, what does not matter here, what must have a certain value. A
 * field that nothing knows is an error, since it may change what the network computes. */
#ifndef CLIO_MODELS_LOADERS_CONFIG_H
#define CLIO_MODELS_LOADERS_CONFIG_H

#include "../../host/core/json.h"

struct field {
    const char *key;
    const char *values; /* JSON texts that are fine, separated by | ("null|false"); NULL: it is read elsewhere, or does not matter */
};
/* Every field of the file is in the table with a value that is fine; those that begin with _ are notes of whoever wrote the file, but
 * _class_name, where there is one, must be `class_name`. */
clio_status config_check(clio_context *ctx, const struct json_file *file, const char *class_name, const struct field *table, size_t count);

/* A finite number; absent or null: `otherwise`. */
clio_status config_number(clio_context *ctx, const struct json_file *file, const char *key, double otherwise, double *out);
/* `count` integers in [min, max]: a list of them, or one that stands for all; absent or null: `otherwise` for all, unless that is below
 * min, which makes the key required. */
clio_status config_ints(clio_context *ctx, const struct json_file *file, const char *key, int count, int min, int max, int otherwise,
                        int *out);
/* How long a required list is: 1 to `most` entries. */
clio_status config_count(clio_context *ctx, const struct json_file *file, const char *key, int most, int *out);
/* Text `index` of a list; it belongs to the file. */
clio_status config_text(clio_context *ctx, const struct json_file *file, const char *key, int index, const char **out);

#endif
