/* json.c - see json.h. Python writes integers of any length into configurations (model_max_length 10^30 is common), which Jansson
 * refuses: such a file is read again with all integers as doubles, and those that are exact go back to integers. It also writes Infinity,
 * which is not JSON (schedulers' lambda_min_clipped): such a file is read again with 1e308 there. */
#include "json.h"
#include "text.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_FILE ((uint64_t)64 << 20)
#define LARGEST_EXACT 9007199254740992.0 /* 2^53 */

/* Bytes that Jansson 2.14 allocates for an empty object and array, a string without its text, a value in a list, and one in an object; a
 * little more than it does. */
enum { OBJECT_BYTES = 256, ARRAY_BYTES = 128, STRING_BYTES = 48, ITEM_BYTES = 48, MEMBER_BYTES = 96 };
/* Values may take 48 MiB and 12 times the text: 280,000 merges of a tokenizer, or a header of 30,000 tensors, need no more. */
#define VALUES_FREE ((uint64_t)48 << 20)
#define VALUES_PER_BYTE 12

static uint64_t values_bytes(const char *text, size_t size)
{
    uint64_t bytes = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
            bytes += in_string ? STRING_BYTES : 0;
        } else if (!in_string) {
            bytes += c == '{' ? OBJECT_BYTES : c == '[' ? ARRAY_BYTES : c == ',' ? ITEM_BYTES : c == ':' ? MEMBER_BYTES : 0;
        }
    }
    return bytes;
}

json_t *json_read(const char *text, size_t size, size_t flags, json_error_t *error)
{
    uint64_t bytes = values_bytes(text, size);
    if (bytes > VALUES_FREE + VALUES_PER_BYTE * (uint64_t)size) {
        memset(error, 0, sizeof *error);
        error->line = 1;
        snprintf(error->text, sizeof error->text, "it has so many values that they would take %.0f MB of memory", (double)bytes / 1e6);
        return NULL;
    }
    json_t *value = json_loadb(text, size, flags, error); /* which reports an allocation that fails within a token as an invalid token */
    return value ? value : json_loadb(text, size, flags, error); /* only what fails twice is invalid */
}

/* The value with exact doubles made integers, in place for arrays and objects; takes and gives one reference. NULL: out of memory. */
static json_t *restore_integers(json_t *value)
{
    if (json_is_real(value)) {
        double x = json_real_value(value);
        if (x == floor(x) && fabs(x) <= LARGEST_EXACT) {
            json_decref(value);
            return json_integer((json_int_t)x);
        }
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            json_t *item = restore_integers(json_incref(json_array_get(value, i)));
            if (!item || json_array_set_new(value, i, item)) {
                json_decref(value);
                return NULL;
            }
        }
    } else if (json_is_object(value)) {
        for (void *at = json_object_iter(value); at; at = json_object_iter_next(value, at)) {
            json_t *item = restore_integers(json_incref(json_object_iter_value(at)));
            if (!item || json_object_iter_set_new(value, at, item)) {
                json_decref(value);
                return NULL;
            }
        }
    }
    return value;
}

#define INFINITY_NAME "Infinity"
#define LARGE_NUMBER "1e308   " /* as long */

/* Copy the text with 1e308 for each Infinity outside of strings; to NULL: only look. Whether there is any. */
static bool replace_infinities(char *copy, const char *text, size_t size)
{
    const size_t length = sizeof INFINITY_NAME - 1;
    bool in_string = false, found = false;
    if (copy)
        memcpy(copy, text, size);
    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && size - i >= length && memcmp(text + i, INFINITY_NAME, length) == 0) {
            found = true;
            if (copy)
                memcpy(copy + i, LARGE_NUMBER, length);
        }
    }
    return found;
}

/* Most allocations that fail leave the error without a text. */
static bool is_out_of_memory(const json_error_t *error)
{
    return json_error_code(error) == json_error_out_of_memory || !*error->text;
}

clio_status json_open(clio_context *ctx, struct json_file *file, const char *dir, const char *name)
{
    clio_status st = CLIO_OK;
    struct file_content content = {0};
    enum file_kind kind;
    json_error_t error;
    const char *text;
    char *copy = NULL;
    memset(file, 0, sizeof *file);
    TRY(file_join(ctx, &file->path, dir, name));
    TRY(file_find(ctx, file->path, &kind));
    if (kind == FILE_ABSENT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s: no such file: name the folder of a whole model, or download the file", file->path);
    TRY(file_load_limited(ctx, &content, file->path, LARGEST_FILE));
    text = (const char *)content.data;
    file->root = json_read(text, content.size, 0, &error);
    if (!file->root && json_error_code(&error) == json_error_invalid_syntax && replace_infinities(NULL, text, content.size)) {
        TRY(mem_alloc(ctx, &copy, content.size, 1));
        replace_infinities(copy, text, content.size);
        text = copy;
        file->root = json_read(text, content.size, 0, &error);
    }
    if (!file->root && json_error_code(&error) == json_error_numeric_overflow) {
        file->root = json_read(text, content.size, JSON_DECODE_INT_AS_REAL, &error);
        if (file->root && !(file->root = restore_integers(file->root)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory while reading %s; close other programs", file->path);
    }
    if (!file->root && is_out_of_memory(&error))
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory while reading %s; close other programs", file->path);
    if (!file->root)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not valid JSON (line %d: %s): correct it or download it again", file->path, error.line,
             error.text);
    if (!json_is_object(file->root))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s does not contain a JSON object ({...}): check that it is the right file, or download it again",
             file->path);
fail:
    free(copy);
    file_unload(&content);
    if (st)
        json_close(file);
    return st;
}

clio_status json_open_if_exists(clio_context *ctx, struct json_file *file, const char *dir, const char *name)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    bool exists;
    memset(file, 0, sizeof *file);
    TRY(file_join(ctx, &path, dir, name));
    TRY(file_check_exists(ctx, path, &exists));
    if (exists)
        TRY(json_open(ctx, file, dir, name));
fail:
    free(path);
    return st;
}

void json_close(struct json_file *file)
{
    json_decref(file->root);
    free(file->path);
    memset(file, 0, sizeof *file);
}

/* The value of a key; NULL where it is absent or null. */
static json_t *present(const struct json_file *file, const char *key)
{
    json_t *value = json_object_get(file->root, key);
    return json_is_null(value) ? NULL : value;
}

clio_status json_int(clio_context *ctx, const struct json_file *file, const char *key, int min, int max, int otherwise, int *out)
{
    clio_status st = CLIO_OK;
    json_t *value = present(file, key);
    bool is_real = json_is_real(value);
    double real = json_real_value(value); /* 0 if it is no real number */
    json_int_t number;
    if (!value && otherwise < min)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the key \"%s\" is missing: check that the file belongs to this model", file->path, key);
    if (value && !json_is_integer(value) && !(is_real && real == floor(real)))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" must be an integer from %d to %d", file->path, key, min, max);
    if (is_real && fabs(real) > LARGEST_EXACT)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" is %g, but must be an integer from %d to %d", file->path, key, real, min, max);
    number = !value ? otherwise : is_real ? (json_int_t)real : json_integer_value(value);
    if (value && (number < min || number > max))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" is %lld, but must be an integer from %d to %d", file->path, key, (long long)number, min,
             max);
    *out = (int)number;
fail:
    return st;
}

clio_status json_bool(clio_context *ctx, const struct json_file *file, const char *key, bool otherwise, bool *out)
{
    clio_status st = CLIO_OK;
    json_t *value = present(file, key);
    if (value && !json_is_boolean(value))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" must be true or false", file->path, key);
    *out = value ? json_is_true(value) : otherwise;
fail:
    return st;
}

clio_status json_text(clio_context *ctx, const struct json_file *file, const char *key, const char *otherwise, const char **out)
{
    clio_status st = CLIO_OK;
    json_t *value = present(file, key);
    if (!value && !otherwise)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the key \"%s\" is missing: check that the file belongs to this model", file->path, key);
    if (value && !json_is_string(value))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" must be a string", file->path, key);
    *out = value ? json_string_value(value) : otherwise;
fail:
    return st;
}

/* ---- making ---- */

static clio_status out_of_memory(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for a JSON value; close other programs");
fail:
    return st;
}

clio_status json_made(clio_context *ctx, json_t **out, json_t *made)
{
    *out = made;
    return made ? CLIO_OK : out_of_memory(ctx);
}

clio_status json_copied(clio_context *ctx, json_t **out, const json_t *from)
{
    return json_made(ctx, out, json_deep_copy(from));
}

clio_status json_put(clio_context *ctx, json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) ? out_of_memory(ctx) : CLIO_OK;
}

clio_status json_append(clio_context *ctx, json_t *array, json_t *value)
{
    return json_array_append_new(array, value) ? out_of_memory(ctx) : CLIO_OK;
}

clio_status json_put_name(clio_context *ctx, json_t *object, const char *key, const char *name)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    TRY(text_escape(ctx, &text, name));
    TRY(json_put(ctx, object, key, json_stringn(text.data, text.size)));
fail:
    bytes_free(&text);
    return st;
}

/* A text that grows. */
struct dump {
    clio_context *ctx;
    struct bytes text;
    clio_status st; /* Jansson forgets that a key could not be written */
};

static int add_to_dump(const char *piece, size_t size, void *user)
{
    struct dump *dump = user;
    if (!dump->st)
        dump->st = bytes_add(dump->ctx, &dump->text, piece, size);
    return dump->st ? -1 : 0;
}

clio_status json_format(clio_context *ctx, const json_t *value, size_t flags, char **text)
{
    struct dump dump = {.ctx = ctx};
    int failed = json_dump_callback(value, add_to_dump, &dump, flags);
    *text = NULL;
    if (failed || dump.st) {
        bytes_free(&dump.text);
        return dump.st ? dump.st : out_of_memory(ctx);
    }
    *text = dump.text.data;
    return CLIO_OK;
}

clio_status json_parse(clio_context *ctx, const char *text, size_t size, size_t flags, const char *what, json_t **out)
{
    clio_status st = CLIO_OK;
    json_error_t error;
    *out = json_read(text, size, flags, &error);
    if (!*out && is_out_of_memory(&error))
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory while reading %s; close other programs", what);
    if (!*out)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not valid JSON (line %d: %s): correct it or download it again", what, error.line, error.text);
fail:
    return st;
}
