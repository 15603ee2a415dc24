/* params.c - rows of `kind key value`, searched from the end: few enough (tens) that a lookup costs less than a launch. */
#include "context.h"
#include "file.h"
#include "private_folder.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS "any, cpu, gpu, " DEVICE_ARCHITECTURES

clio_status params_add(clio_context *ctx, const char *kind, const char *key, const char *value)
{
    clio_status st = CLIO_OK;
    struct params *p = &ctx->params;
    TRY(mem_grow(ctx, &p->rows, p->count, &p->capacity, sizeof *p->rows));
    struct param *row = &p->rows[p->count++];
    snprintf(row->kind, sizeof row->kind, "%s", kind);
    snprintf(row->key, sizeof row->key, "%s", key);
    snprintf(row->value, sizeof row->value, "%s", value);
fail:
    return st;
}

/* One line of a file: 1 a row, 0 nothing, -1 neither. */
static int read_line(const char *text, size_t length, struct param *row)
{
    char line[160], more[2];
    size_t used = MIN(length, sizeof line - 1);
    memcpy(line, text, used);
    line[used] = 0;
    line[strcspn(line, "#\r")] = 0;
    int fields = sscanf(line, "%11s %39s %39s %1s", row->kind, row->key, row->value, more);
    bool known = fields == 3 &&
                 (!strcmp(row->kind, "cpu") || !strcmp(row->kind, "gpu") || !strcmp(row->kind, "any") || device_is_architecture(row->kind));
    return known ? 1 : fields > 0 ? -1 : 0;
}

static bool is_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

/* What an operation does not expect must not reach it. Why the row is none of this clio's, or "". */
static void row_problem(clio_context *ctx, const struct param *row, char why[240])
{
    const struct param_rule *rule = ctx->families->rule(row->key);
    char *end = NULL;
    *why = 0;
    if (!rule) {
        snprintf(why, 240, "%s is a parameter that this clio does not have", row->key);
        return;
    }
    if (rule->words) {
        if (!is_word(rule->words, row->value))
            snprintf(why, 240, "%s must be one of: %s; not %s", row->key, rule->words, row->value);
        return;
    }
    bool digits = row->value[strspn(row->value, "0123456789")] == 0;
    long n = digits && strlen(row->value) < 9 ? strtol(row->value, &end, 10) : -1;
    if (n >= rule->low && n <= rule->high && n % rule->multiple == 0)
        return;
    if (rule->multiple > 1)
        snprintf(why, 240, "%s must be a multiple of %d from %d to %d, not %s", row->key, rule->multiple, rule->low, rule->high,
                 row->value);
    else
        snprintf(why, 240, "%s must be a number from %d to %d, not %s", row->key, rule->low, rule->high, row->value);
}

/* Append the rows of a text. The first that is wrong ends it: *number is then its line, or 0 if it takes several rows together, and why is
 * not empty. checked: by the rules as well, which rows of clio's own need not be. */
static clio_status add_rows(clio_context *ctx, const char *text, bool checked, int *number, char why[240])
{
    clio_status st = CLIO_OK;
    size_t before = ctx->params.count;
    *why = 0;
    for (*number = 1; *text; ++*number) {
        struct param row;
        size_t length = strcspn(text, "\n");
        int got = read_line(text, length, &row);
        if (got < 0)
            snprintf(why, 240, "expected `KIND key value`, KIND one of " KINDS);
        else if (got && checked)
            row_problem(ctx, &row, why);
        if (*why)
            return CLIO_OK;
        if (got)
            TRY(params_add(ctx, row.kind, row.key, row.value));
        text += length + (text[length] == '\n');
    }
    const char *step = checked ? ctx->families->broken_step(ctx, before) : NULL;
    *number = 0;
    if (step)
        snprintf(why, 240, "%s: %s cannot run these values together", step, ctx->device.name);
fail:
    return st;
}

/* "FILE, line 3" */
static void place_of(char out[1100], const char *path, int number)
{
    if (number)
        snprintf(out, 1100, "%.1000s, line %d", path, number);
    else
        snprintf(out, 1100, "%.1000s", path);
}

/* Rows of a file that must be right. */
static clio_status add_text(clio_context *ctx, const char *text, const char *path, bool checked)
{
    clio_status st = CLIO_OK;
    char why[240], place[1100];
    int number;
    TRY(add_rows(ctx, text, checked, &number, why));
    place_of(place, path, number);
    if (*why)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %s; correct the line, or unset CLIO_PARAMS", place, why);
fail:
    return st;
}

/* ---- the tuned file ---- */

static clio_status tuned_folder(clio_context *ctx, char **out)
{
    clio_status st = CLIO_OK;
    const char *own = getenv("CLIO_TUNED_DIR"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *config = NULL;
    *out = NULL;
    if (own && *own)
        return mem_string(ctx, out, own);
    if (xdg && *xdg)
        TRY(mem_string(ctx, &config, xdg));
    else if (home && *home)
        TRY(file_join(ctx, &config, home, ".config"));
    if (config)
        TRY(file_join(ctx, out, config, "clio/tuned"));
fail:
    free(config);
    return st;
}

/* Append `text`, behind a dash if something is before it, with what is fit for a file's name; runs of anything else become one dash. Three
 * such parts are no longer than file systems allow. Two devices that differ behind that share the name, and their headers tell them apart.
 */
static void add_part(char *name, size_t size, const char *text)
{
    size_t at = strlen(name);
    if (at)
        name[at++] = '-';
    size_t end = MIN(size - 1, at + 76);
    for (; *text && at < end; text++) {
        bool fit = isalnum((unsigned char)*text) || *text == '.' || *text == '_';
        if (fit || (at && name[at - 1] != '-'))
            name[at++] = fit ? *text : '-';
    }
    while (at && name[at - 1] == '-')
        at--;
    name[at] = 0;
}

clio_status params_tuned_path(clio_context *ctx, char **out)
{
    clio_status st = CLIO_OK;
    const struct device *d = &ctx->device;
    const char *parts[] = {d->platform_name, d->name, d->driver};
    char name[256] = "", *folder = NULL;
    *out = NULL;
    TRY(tuned_folder(ctx, &folder));
    for (size_t i = 0; i < COUNT(parts); i++)
        add_part(name, sizeof name - sizeof ".params", parts[i]);
    size_t length = strlen(name);
    snprintf(name + length, sizeof name - length, ".params");
    if (folder)
        TRY(file_join(ctx, out, folder, name));
fail:
    free(folder);
    return st;
}

clio_status params_tuned_header(clio_context *ctx, struct bytes *text)
{
    const struct device *d = &ctx->device;
    return bytes_print(ctx, text, "# clio tuned parameters 1\n# device: %s\n# platform: %s\n# driver: %s\n", d->name, d->platform_name,
                       d->driver);
}

/* Rows of a tuned file, or none and ctx->params.problem. */
static clio_status add_tuned(clio_context *ctx, const char *text)
{
    clio_status st = CLIO_OK;
    struct params *p = &ctx->params;
    struct bytes header = {0};
    char why[240], place[1100];
    size_t shipped = p->count;
    int number;
    TRY(params_tuned_header(ctx, &header));
    if (strncmp(text, header.data, header.size) != 0) {
        snprintf(p->problem, sizeof p->problem, "%s is for another device or driver: tune again", p->tuned);
        goto fail; /* st is CLIO_OK */
    }
    TRY(add_rows(ctx, text, true, &number, why));
    place_of(place, p->tuned, number);
    if (*why)
        snprintf(p->problem, sizeof p->problem, "%.1000s: %s: correct the line, or tune again", place, why);
    p->is_tuned = !*p->problem;
fail:
    if (!p->is_tuned)
        params_cut(ctx, shipped);
    bytes_free(&header);
    return st;
}

/* Whether the folder of the tuned file is there and private; otherwise ctx->params.problem is set if others may write to it. */
static bool tuned_folder_is_usable(clio_context *ctx)
{
    struct params *p = &ctx->params;
    char *folder = NULL;
    bool usable = tuned_folder(ctx, &folder) == CLIO_OK && folder && private_folder_is_safe(folder, p->problem);
    if (usable)
        private_folder_tidy(folder);
    free(folder);
    return usable;
}

static clio_status open_tuned(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    struct params *p = &ctx->params;
    struct status_text before = ctx->status;
    struct bytes text = {0};
    bool found = false;
    TRY(params_tuned_path(ctx, &p->tuned));
    if (!p->tuned || !tuned_folder_is_usable(ctx)) {
        ctx->status = before;
        return CLIO_OK;
    }
    TRY(private_file_read(ctx, p->tuned, &text, &found));
    if (found && text.size)
        TRY(add_tuned(ctx, text.data));
    else if (found || file_exists(p->tuned)) /* no reason not to work */
        snprintf(p->problem, sizeof p->problem, "%.1000s is %s: tune again", p->tuned,
                 found ? "empty" : "no file of your own that can be read");
fail:
    bytes_free(&text);
    return st;
}

/* ---- all of them ---- */

clio_status params_open_shipped(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    params_close(ctx);
    for (size_t i = 0; i < embedded_file_count; i++)
        if (strcmp(embedded_files[i].name, "tunables.txt") == 0)
            TRY(bytes_add(ctx, &text, embedded_files[i].data, embedded_files[i].size));
    if (text.data)
        TRY(add_text(ctx, text.data, "cl/tunables.txt", false));
fail:
    bytes_free(&text);
    return st;
}

clio_status params_open(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    struct file_content map = {0};
    const char *path = getenv("CLIO_PARAMS");
    TRY(params_open_shipped(ctx));
    TRY(open_tuned(ctx));
    if (path && *path) {
        enum file_kind kind;
        TRY(file_find(ctx, path, &kind));
        if (kind == FILE_ABSENT || kind == FILE_FOLDER)
            FAIL(ctx, CLIO_ERROR_FILE, "CLIO_PARAMS is %s, which is not a file: correct the name, or unset CLIO_PARAMS", path);
        TRY(file_load(ctx, &map, path));
        TRY(bytes_add(ctx, &text, map.data, map.size));
        TRY(add_text(ctx, text.data, path, true));
    }
    if (ctx->weight_type)
        TRY(add_text(ctx, ctx->weight_type, "the type of weights", false));
fail:
    file_unload(&map);
    bytes_free(&text);
    return st;
}

void params_close(clio_context *ctx)
{
    free(ctx->params.rows);
    free(ctx->params.tuned);
    ctx->params = (struct params){0};
}

void params_cut(clio_context *ctx, size_t count)
{
    ctx->params.count = MIN(ctx->params.count, count);
}

static const struct param *find(clio_context *ctx, const char *key)
{
    const char *kind = ctx->device.simd_width > 1 ? "cpu" : "gpu", *architecture = ctx->device.architecture;
    for (size_t i = ctx->params.count; i-- > 0;) {
        const struct param *row = &ctx->params.rows[i];
        if (strcmp(row->key, key) == 0 &&
            (strcmp(row->kind, "any") == 0 || strcmp(row->kind, kind) == 0 || (architecture && strcmp(row->kind, architecture) == 0)))
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

const char *params_text(clio_context *ctx, const char *key)
{
    const struct param *row = find(ctx, key);
    return row ? row->value : NULL;
}
