/* params.c - rows of `kind key value`, searched from the end: few enough (tens) that a lookup costs less than a launch. */
#include "context.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

clio_status params_add(clio_context *ctx, const char *kind, const char *key, const char *value)
{
    clio_status st = CLIO_OK;
    struct params *p = &ctx->params;
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        struct param *grown = realloc(p->rows, capacity * sizeof *grown);
        if (!grown)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        p->rows = grown;
        p->capacity = capacity;
    }
    struct param *row = &p->rows[p->count++];
    snprintf(row->kind, sizeof row->kind, "%s", kind);
    snprintf(row->key, sizeof row->key, "%s", key);
    snprintf(row->value, sizeof row->value, "%s", value);
fail:
    return st;
}

static clio_status add_text(clio_context *ctx, const char *text, const char *path)
{
    clio_status st = CLIO_OK;
    for (int number = 1; *text; number++) {
        char line[160], kind[8], key[40], value[40], more[2];
        size_t length = strcspn(text, "\n"), used = MIN(length, sizeof line - 1);
        memcpy(line, text, used);
        line[used] = 0;
        line[strcspn(line, "#\r")] = 0;
        int fields = sscanf(line, "%7s %39s %39s %1s", kind, key, value, more);
        bool known = fields == 3 && (!strcmp(kind, "cpu") || !strcmp(kind, "gpu") || !strcmp(kind, "any"));
        if (fields > 0 && !known)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s, line %d: expected `cpu|gpu|any key value`; correct the line, or unset CLIO_PARAMS", path, number);
        if (known)
            TRY(params_add(ctx, kind, key, value));
        text += length + (text[length] == '\n');
    }
fail:
    return st;
}

clio_status params_open(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    struct file_map map = {0};
    const char *path = getenv("CLIO_PARAMS");
    params_close(ctx);
    for (size_t i = 0; i < embedded_file_count; i++)
        if (strcmp(embedded_files[i].name, "tunables.txt") == 0)
            TRY(bytes_add(ctx, &text, embedded_files[i].data, embedded_files[i].size));
    if (text.data)
        TRY(add_text(ctx, text.data, "cl/tunables.txt"));
    bytes_free(&text);
    if (path && *path) {
        if (!file_exists(path) || file_is_folder(path))
            FAIL(ctx, CLIO_ERROR_FILE, "CLIO_PARAMS names %s, which is no file: correct the name, or unset CLIO_PARAMS", path);
        TRY(file_map(ctx, &map, path));
        TRY(bytes_add(ctx, &text, map.data, map.size));
        TRY(add_text(ctx, text.data, path));
    }
fail:
    file_unmap(&map);
    bytes_free(&text);
    return st;
}

void params_close(clio_context *ctx)
{
    free(ctx->params.rows);
    ctx->params = (struct params){0};
}

static const struct param *find(clio_context *ctx, const char *key)
{
    const char *kind = ctx->device.is_cpu ? "cpu" : "gpu";
    for (size_t i = ctx->params.count; i-- > 0;) {
        const struct param *row = &ctx->params.rows[i];
        if (strcmp(row->key, key) == 0 && (strcmp(row->kind, "any") == 0 || strcmp(row->kind, kind) == 0))
            return row;
    }
    return NULL;
}

int params_int(clio_context *ctx, const char *key, int otherwise)
{
    const struct param *row = find(ctx, key);
    char *end = NULL;
    long n = row ? strtol(row->value, &end, 10) : 0;
    return row && *end == 0 && end != row->value ? (int)n : otherwise;
}

bool params_is(clio_context *ctx, const char *key, const char *value)
{
    const struct param *row = find(ctx, key);
    return row && strcmp(row->value, value) == 0;
}
