/* json.h - configuration files read with Jansson; getters whose errors name the file and the key if the type is wrong. */
#ifndef CLIO_CORE_JSON_H
#define CLIO_CORE_JSON_H

#include "file.h"

#include <jansson.h>

struct json_file {
    char *path;
    json_t *root; /* an object */
};
/* Read a file that must hold a JSON object. */
clio_status json_open(clio_context *ctx, struct json_file *file, const char *dir, const char *name);
void json_close(struct json_file *file);
/* Integer in [min, max]; absent or null: `otherwise`, unless that is below min, which makes the key required. */
clio_status json_int(clio_context *ctx, const struct json_file *file, const char *key, int min, int max, int otherwise, int *out);
clio_status json_bool(clio_context *ctx, const struct json_file *file, const char *key, bool otherwise, bool *out);
/* String owned by the file; absent: `otherwise` (NULL makes the key required). */
clio_status json_text(clio_context *ctx, const struct json_file *file, const char *key, const char *otherwise, const char **out);
/* Fail because Jansson gave nothing. */
clio_status json_out_of_memory(clio_context *ctx);

#endif
