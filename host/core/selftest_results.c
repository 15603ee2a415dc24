/* selftest_results.c - see selftest_results.h. */
#include "selftest_results.h"
#include "file_out.h"
#include "private_folder.h"
#include "program_cache.h"
#include "selftest_trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_VARIANTS "*"
#define DIED_AT_MOST 2   /* variants of a family, after which the others are not tried */
#define RESULTS_MAX 4096 /* of a file: some hundred are usual, and each is compared with all */

/* ---- a list of results ---- */

static bool is_family(const clio_context *ctx, const char *name)
{
    for (size_t i = 0; ctx->families->name(i); i++)
        if (strcmp(ctx->families->name(i), name) == 0)
            return true;
    return false;
}

static struct selftest_result *find(const struct selftest_results *results, const char *family, const char *variant)
{
    for (size_t i = 0; i < results->count; i++) {
        struct selftest_result *r = &results->list[i];
        if (strcmp(r->family, family) == 0 && (strcmp(r->variant, variant) == 0 || strcmp(r->variant, ALL_VARIANTS) == 0))
            return r;
    }
    return NULL;
}

/* The result of a variant; else, where two others of the family took the process with them, that of the second: the first may have been
 * killed for another reason, but a compiler that crashes on two is likely to crash on the next, and each would cost a run. */
static struct selftest_result *find_or_died(const struct selftest_results *results, const char *family, const char *variant)
{
    struct selftest_result *found = find(results, family, variant);
    int died = 0;
    for (size_t i = 0; !found && i < results->count; i++)
        if (results->list[i].outcome == SELFTEST_DIED && strcmp(results->list[i].family, family) == 0 && ++died == DIED_AT_MOST)
            found = &results->list[i];
    return found;
}

/* A result that is known already is kept. */
static clio_status add(clio_context *ctx, struct selftest_results *results, const char *family, const char *variant,
                       enum selftest_outcome outcome, const char *reason)
{
    clio_status st = CLIO_OK;
    if (find(results, family, variant))
        return CLIO_OK;
    TRY(mem_grow(ctx, &results->list, results->count, &results->capacity, sizeof *results->list));
    struct selftest_result *r = &results->list[results->count++];
    r->outcome = outcome;
    snprintf(r->family, sizeof r->family, "%s", family);
    snprintf(r->variant, sizeof r->variant, "%s", variant);
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    for (char *c = r->reason; *c; c++)
        *c = *c == '\n' || *c == '\r' ? ' ' : *c; /* one line per result */
fail:
    return st;
}

static clio_status add_disabled(clio_context *ctx, struct selftest_results *results)
{
    clio_status st = CLIO_OK;
    const char *text = getenv("CLIO_DISABLE");
    struct bytes known = {0};
    for (; text && *text; text += strspn(text, ", ")) {
        char name[24];
        int length = (int)strcspn(text, ", ");
        snprintf(name, sizeof name, "%.*s", length, text);
        if (length && ((size_t)length >= sizeof name || !is_family(ctx, name))) {
            for (size_t i = 0; ctx->families->name(i); i++)
                TRY(bytes_print(ctx, &known, "%s%s", i ? ", " : "", ctx->families->name(i)));
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "CLIO_DISABLE contains \"%.*s\", which is not a kernel family; the families are %s", length,
                 text, known.data);
        }
        if (length)
            TRY(add(ctx, results, name, ALL_VARIANTS, SELFTEST_DISABLED, "disabled by CLIO_DISABLE"));
        text += length;
    }
fail:
    bytes_free(&known);
    return st;
}

/* ---- the file in the cache folder ---- */

/* The first lines of the device's file, and its path: NULL when there is no cache. */
static clio_status locate(clio_context *ctx, const struct device *d, struct bytes *head, char **path)
{
    clio_status st = CLIO_OK;
    char *folder = NULL, name[64], limits[200];
    uint64_t sources;
    *path = NULL;
    device_limits(d, limits);
    TRY(program_sources_hash(ctx, &sources));
    TRY(bytes_print(ctx, head, "clio-selftests-2\nplatform %s, %s\ndevice %s, %s, %s\ndriver %s\nclio %s, kernels %016llx\n",
                    d->platform_name, d->platform_version, d->name, d->version, limits, d->driver, CLIO_VERSION,
                    (unsigned long long)sources));
    TRY(cache_folder(ctx, &folder));
    if (folder) {
        snprintf(name, sizeof name, "selftests-%016llx.txt", (unsigned long long)mem_hash(MEM_HASH_START, head->data, head->size));
        TRY(file_join(ctx, path, folder, name));
    }
fail:
    free(folder);
    return st;
}

/* One line of the file; malformed ones are skipped. */
static clio_status parse_line(clio_context *ctx, struct selftest_results *results, const char *line)
{
    clio_status st = CLIO_OK;
    char family[24], variant[176], word[8], reason[200] = "";
    int fields = sscanf(line, "%23s [%175[^]]] %7[a-z]: %199[^\n]", family, variant, word, reason);
    enum selftest_outcome outcome = SELFTEST_PASSED;
    if (fields < 3 || !is_family(ctx, family) || strcmp(variant, ALL_VARIANTS) == 0)
        return CLIO_OK;
    if (fields == 4 && strcmp(word, "failed") == 0)
        outcome = SELFTEST_WRONG;
    else if (fields == 3 && strcmp(word, SELFTEST_DIED_WORD) == 0) {
        outcome = SELFTEST_DIED;
        snprintf(reason, sizeof reason, "a process ended during this self-test");
    } else if (fields == 4 || strcmp(word, "ok") != 0)
        return CLIO_OK;
    TRY(add(ctx, results, family, variant, outcome, reason));
fail:
    return st;
}

/* A last line that was cut is skipped, and those after RESULTS_MAX results. */
static clio_status parse(clio_context *ctx, struct selftest_results *results, const char *text)
{
    clio_status st = CLIO_OK;
    for (const char *end; (end = strchr(text, '\n')) && results->count < RESULTS_MAX; text = end + 1) {
        char line[512];
        snprintf(line, sizeof line, "%.*s", (int)MIN(end - text, 511), text);
        TRY(parse_line(ctx, results, line));
    }
fail:
    return st;
}

static clio_status write_all(clio_context *ctx, const struct selftest_results *results, struct bytes *text, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    for (size_t i = 0; i < results->count; i++) {
        const struct selftest_result *r = &results->list[i];
        if (r->outcome == SELFTEST_PASSED || r->outcome == SELFTEST_WRONG || r->outcome == SELFTEST_DIED)
            TRY(bytes_print(ctx, text, "%s [%s] %s%s\n", r->family, r->variant,
                            r->outcome == SELFTEST_PASSED ? "ok"
                            : r->outcome == SELFTEST_DIED ? SELFTEST_DIED_WORD
                                                          : "failed: ",
                            r->outcome == SELFTEST_WRONG ? r->reason : ""));
    }
    TRY(file_out_open_own(ctx, &out, path));
    TRY(file_out_write(ctx, &out, text->data, text->size));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    return st;
}

/* That a process was killed may have had another reason. */
static void warn(clio_context *ctx, const struct selftest_results *results, const char *path)
{
    for (size_t i = 0; i < results->count; i++)
        if (results->list[i].outcome == SELFTEST_DIED)
            context_notice_once(
                ctx, "kernels of the family %s are off, since a process ended during their self-test; delete %s to test them again",
                results->list[i].family, path);
}

/* The file, and the self-tests during which processes ended. Those of the open device (`keeps`) are written to the file. */
static clio_status load(clio_context *ctx, const struct device *d, struct selftest_results *results, bool keeps)
{
    clio_status st = CLIO_OK;
    struct status_text before = ctx->status;
    struct bytes head = {0}, text = {0}, died = {0};
    char *path = NULL;
    bool found = false;
    results->is_loaded = true;
    TRY(locate(ctx, d, &head, &path));
    if (path && cache_folder_of_is_usable(ctx, path, false)) {
        TRY(private_file_read(ctx, path, &text, &found));
        if (found && text.size > head.size && memcmp(text.data, head.data, head.size) == 0)
            TRY(parse(ctx, results, text.data + head.size));
        TRY(selftest_trials_read(ctx, path, &died));
        TRY(parse(ctx, results, died.data));
        if (keeps)
            warn(ctx, results, path);
        if (keeps && died.size && write_all(ctx, results, &head, path) == CLIO_OK)
            selftest_trials_clear(path);
    }
fail:
    bytes_free(&head);
    bytes_free(&text);
    bytes_free(&died);
    free(path);
    if (st != CLIO_ERROR_MEMORY) {
        ctx->status = before;
        st = CLIO_OK;
    }
    return st;
}

static void store(clio_context *ctx)
{
    struct status_text before = ctx->status;
    struct bytes text = {0};
    char *path = NULL;
    /* Results that another process has written since are kept: read them first. */
    if (load(ctx, &ctx->device, &ctx->selftests, true) == CLIO_OK && locate(ctx, &ctx->device, &text, &path) == CLIO_OK && path &&
        cache_folder_of_is_usable(ctx, path, true))
        (void)write_all(ctx, &ctx->selftests, &text, path); /* without a file the self-test runs again */
    bytes_free(&text);
    free(path);
    ctx->status = before;
}

void selftest_result_begin(clio_context *ctx, const char *family, const char *variant)
{
    struct status_text before = ctx->status;
    char *path = NULL;
    ctx->trial.file = -1;
    if (selftest_results_path(ctx, &path) == CLIO_OK && path && cache_folder_of_is_usable(ctx, path, true))
        selftest_trial_begin(&ctx->trial, path, family, variant);
    free(path);
    ctx->status = before;
}

clio_status selftest_results_path(clio_context *ctx, char **out)
{
    struct bytes head = {0};
    clio_status st = locate(ctx, &ctx->device, &head, out);
    bytes_free(&head);
    return st;
}

/* ---- the results of a context ---- */

clio_status selftest_results_open(clio_context *ctx)
{
    selftest_results_close(ctx);
    return add_disabled(ctx, &ctx->selftests);
}

void selftest_results_close(clio_context *ctx)
{
    free(ctx->selftests.list);
    ctx->selftests = (struct selftest_results){0};
}

const struct selftest_result *selftest_result_find(clio_context *ctx, const char *family, const char *variant)
{
    if (!ctx->selftests.is_loaded)
        (void)load(ctx, &ctx->device, &ctx->selftests, true);
    return find_or_died(&ctx->selftests, family, variant);
}

clio_status selftest_result_add(clio_context *ctx, const char *family, const char *variant, enum selftest_outcome outcome,
                                const char *reason)
{
    clio_status st = CLIO_OK;
    if (!is_family(ctx, family))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s is not a kernel family", family);
    TRY(add(ctx, &ctx->selftests, family, variant, outcome, reason ? reason : ""));
    if (outcome != SELFTEST_FAILED)
        store(ctx);
fail:
    return st;
}

clio_status selftest_results_read(clio_context *ctx, const struct device *d, struct selftest_results *results)
{
    clio_status st = CLIO_OK;
    TRY(add_disabled(ctx, results));
    TRY(load(ctx, d, results, false));
fail:
    return st;
}

clio_status selftest_results_load(clio_context *ctx)
{
    return ctx->selftests.is_loaded ? CLIO_OK : load(ctx, &ctx->device, &ctx->selftests, true);
}

bool selftest_results_counts(const struct selftest_results *results, size_t i)
{
    return find(results, results->list[i].family, results->list[i].variant) == &results->list[i];
}

bool selftest_result_is_general(const struct selftest_result *result)
{
    return strcmp(result->variant, ALL_VARIANTS) == 0;
}
