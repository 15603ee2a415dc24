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
/* The same where the file exists; otherwise root is NULL. */
clio_status json_open_if_exists(clio_context *ctx, struct json_file *file, const char *dir, const char *name);
void json_close(struct json_file *file);
/* Integer in [min, max]; absent or null: `otherwise`, unless that is below min, which makes the key required. */
clio_status json_int(clio_context *ctx, const struct json_file *file, const char *key, int min, int max, int otherwise, int *out);
clio_status json_bool(clio_context *ctx, const struct json_file *file, const char *key, bool otherwise, bool *out);
/* String owned by the file; absent: `otherwise` (NULL makes the key required). */
clio_status json_text(clio_context *ctx, const struct json_file *file, const char *key, const char *otherwise, const char **out);

/* Making JSON. Jansson gives NULL when it is out of memory, and takes NULL with an error from all that it is handed to: values may be
 * nested without a check as long as the last call is one of these. */
#if defined(__GNUC__)
#define JSON_CHECKED __attribute__((warn_unused_result))
#else
#define JSON_CHECKED
#endif
/* *out = made, which json_object(), json_pack() or the like gave. */
JSON_CHECKED clio_status json_made(clio_context *ctx, json_t **out, json_t *made);
/* *out = a deep copy. from NULL: an error. */
JSON_CHECKED clio_status json_copied(clio_context *ctx, json_t **out, const json_t *from);
/* Put a value, whose reference is taken over also by a failure, under a key or behind the others. */
JSON_CHECKED clio_status json_put(clio_context *ctx, json_t *object, const char *key, json_t *value);
JSON_CHECKED clio_status json_append(clio_context *ctx, json_t *array, json_t *value);
/* A text, in which bytes that are not UTF-8 become \xNN: names of files and devices may be anything. */
JSON_CHECKED clio_status json_put_name(clio_context *ctx, json_t *object, const char *key, const char *name);
/* As json_dumps, in memory for free(). */
JSON_CHECKED clio_status json_format(clio_context *ctx, const json_t *value, size_t flags, char **text);
/* As json_loadb; an error begins with `what`: "FILE is not valid JSON (line 3: ...)". */
JSON_CHECKED clio_status json_parse(clio_context *ctx, const char *text, size_t size, size_t flags, const char *what, json_t **out);

#endif
