/* json.h - configuration files read with Jansson; getters whose errors name the file and the key if the type is wrong. */
#ifndef CLIO_CORE_JSON_H
#define CLIO_CORE_JSON_H

#include "file.h"

#include <jansson.h>

/* json_loadb for text from outside: NULL and an error, too, where the values would take far more memory than the text ("[],[],[],..."). */
json_t *json_read(const char *text, size_t size, size_t flags, json_error_t *error);

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

#endif
