/* tune.c - the public functions of tuning, and the result file: rows as host/core/params.c reads them, each with its speedup. */
#include "tune.h"
#include "../core/clock.h"
#include "../core/file_out.h"
#include "../core/private_folder.h"
#include "../core/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_LIMIT 600.0
#define TIME_LIMIT_MAX 1e9
#define COMPLETE "# search: complete\n"

/* ---- identity of a journal ---- */

static uint64_t fnv(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    while (*text++);
    return hash;
}

/* Results are valid for this device and driver, these kernels and shipped parameters, and this plan. */
static clio_status identity_of(struct tune_search *s, char identity[32])
{
    clio_status st = CLIO_OK;
    uint64_t hash = 0xcbf29ce484222325u;
    struct bytes text = {0};
    char *source = NULL;
    TRY(params_tuned_header(s->user, &text));
    TRY(bytes_print(s->user, &text, "%s %s %s\n", clio_version(), s->ctx->device.platform_version, s->plan->purpose));
    for (size_t i = 0; i < s->key_count; i++)
        TRY(bytes_print(s->user, &text, "%s %s\n", s->keys[i], s->shipped[i]));
    for (size_t i = 0; i < s->plan->case_count; i++) {
        const struct tune_case *c = &s->plan->cases[i];
        TRY(bytes_print(s->user, &text, "%d %d %d %d %d %d %d %d %d %g\n", c->work, c->decides, (int)c->op, c->m, c->n, c->k, c->more,
                        c->use, (int)c->epilogue, c->work < 0 ? 0 : c->calls * s->plan->workloads[c->work].runs));
    }
    hash = fnv(hash, text.data);
    for (size_t i = 0; i < embedded_file_count; i++) {
        char file[64];
        size_t length = strlen(embedded_files[i].name);
        if (length <= 3 || length >= sizeof file || strcmp(embedded_files[i].name + length - 3, ".cl") != 0)
            continue;
        snprintf(file, sizeof file, "%.*s", (int)length - 3, embedded_files[i].name);
        free(source);
        source = NULL;
        TRY(program_source(s->user, file, &source));
        hash = fnv(hash, source);
    }
    snprintf(identity, 32, "%016llx", (unsigned long long)hash);
fail:
    free(source);
    bytes_free(&text);
    return st;
}

/* ---- the result ---- */

void clio_tune_free(clio_tune_result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < result->row_count; i++) {
        free((char *)result->rows[i].shipped);
        free((char *)result->rows[i].chosen);
        free((char *)result->rows[i].values);
        free((char *)result->rows[i].key);
    }
    for (size_t i = 0; i < result->workload_count; i++)
        free((char *)result->workloads[i].name);
    free((void *)result->rows);
    free((void *)result->workloads);
    free((char *)result->path);
    free(result);
}

/* All values that the steps try for a key, without duplicates. */
static clio_status values_of(struct tune_search *s, const char *key, char **out)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    TRY(bytes_add(s->user, &text, "", 0));
    for (size_t i = 0; i < s->plan->step_count; i++)
        for (int k = 0; k < TUNE_TOGETHER && s->plan->steps[i].parameters[k].key; k++) {
            const struct tune_parameter *p = &s->plan->steps[i].parameters[k];
            if (!tune_is_for(s, &s->plan->steps[i]) || strcmp(p->key, key) != 0)
                continue;
            for (const char *v = p->values; *v; v += strspn(v, " ")) {
                char word[32];
                snprintf(word, sizeof word, " %.*s ", (int)MIN(strcspn(v, " "), (size_t)23), v);
                if (!strstr(text.data, word)) /* between two spaces */
                    TRY(bytes_print(s->user, &text, "%s", word + (text.size > 0)));
                v += strcspn(v, " ");
            }
        }
    while (text.size && text.data[text.size - 1] == ' ')
        text.data[--text.size] = 0;
    TRY(mem_string(s->user, out, text.data + strspn(text.data, " ")));
fail:
    bytes_free(&text);
    return st;
}

/* Rows for all keys. The chosen values are those of `set`; if that is NULL, those of the user's context. */
static clio_status make_rows(struct tune_search *s, const struct tune_set *set, const double *gains, clio_tune_result *r)
{
    clio_status st = CLIO_OK;
    clio_tune_row *rows;
    TRY(mem_alloc(s->user, &rows, s->key_count, sizeof *rows));
    r->rows = rows;
    for (size_t i = 0; i < s->key_count; i++) {
        const char *now = set ? set->value[i] : params_text(s->user, s->keys[i]);
        char *copy[4] = {NULL};
        r->row_count++;
        st = mem_string(s->user, &copy[0], s->keys[i]);
        st = st ? st : mem_string(s->user, &copy[1], s->shipped[i]);
        st = st ? st : mem_string(s->user, &copy[2], now && *now ? now : s->shipped[i]);
        st = st ? st : values_of(s, s->keys[i], &copy[3]);
        rows[i] = (clio_tune_row){.key = copy[0], .shipped = copy[1], .chosen = copy[2], .values = copy[3], .gain = gains ? gains[i] : 1};
        TRY(st);
    }
fail:
    return st;
}

static clio_status make_works(struct tune_search *s, const struct tune_confirmation *whole, clio_tune_result *r)
{
    clio_status st = CLIO_OK;
    clio_tune_workload *works;
    TRY(mem_alloc(s->user, &works, s->plan->workload_count, sizeof *works));
    r->workloads = works;
    for (size_t w = 0; whole->is_faster && w < s->plan->workload_count; w++) {
        char *name;
        double before = 0, after = 0;
        for (size_t i = 0; i < s->plan->case_count; i++)
            if (s->plan->cases[i].work == (int)w && whole->first[i] >= 0) {
                before += s->plan->cases[i].calls * whole->first[i];
                after += s->plan->cases[i].calls * whole->second[i];
            }
        if (!(before > 0))
            continue;
        TRY(mem_string(s->user, &name, s->plan->workloads[w].name));
        works[r->workload_count++] = (clio_tune_workload){.name = name, .before = before, .after = after};
    }
fail:
    return st;
}

/* ---- the file ---- */

static clio_status print_file(struct tune_search *s, const clio_tune_result *r, struct bytes *text)
{
    clio_status st = CLIO_OK;
    time_t now = time(NULL);
    struct tm utc;
    char date[32] = "";
    size_t rows = 0;
    if (gmtime_r(&now, &utc))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
    TRY(params_tuned_header(s->user, text));
    TRY(bytes_print(s->user, text, "%s",
                    r->complete ? COMPLETE : "# search: the time was up before everything was tried; tune again to go on\n"));
    TRY(bytes_print(s->user, text,
                    "# written: %s by clio %s for %s, after %.0f s\n# candidates: %zu, of which %zu gave wrong results, %zu were too slow, "
                    "%zu failed, and "
                    "%zu ended the process\n#\n",
                    date, clio_version(), s->plan->purpose, r->seconds, r->tried, r->wrong, r->slow, r->failed, r->crashed));
    for (size_t i = 0; i < r->workload_count; i++)
        TRY(bytes_print(s->user, text, "# %s: %.4g ms shipped, %.4g ms tuned\n", r->workloads[i].name, 1e3 * r->workloads[i].before,
                        1e3 * r->workloads[i].after));
    for (size_t i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].shipped, r->rows[i].chosen) != 0) {
            TRY(bytes_print(s->user, text, "#\n# shipped: %s; speedup of the calls it affects: %.2f\nany %s %s\n", r->rows[i].shipped,
                            r->rows[i].gain, r->rows[i].key, r->rows[i].chosen));
            rows++;
        }
    if (!rows)
        TRY(bytes_print(s->user, text, "# no parameters were confirmed to be faster than the shipped ones\n"));
fail:
    return st;
}

/* Whether the file is the result of a complete search: it is not overwritten by an incomplete one. */
static clio_status is_complete(struct tune_search *s, const char *path, bool *complete)
{
    clio_status st = CLIO_OK;
    struct status_text before = s->user->status;
    struct file_content map = {0};
    struct bytes text = {0}, head = {0};
    *complete = false;
    if (!file_exists(path) || file_load(s->user, &map, path)) {
        s->user->status = before;
        return CLIO_OK;
    }
    TRY(bytes_add(s->user, &text, map.data, map.size));
    TRY(params_tuned_header(s->user, &head));
    TRY(bytes_print(s->user, &head, COMPLETE));
    *complete = strncmp(text.data, head.data, head.size) == 0;
fail:
    file_unload(&map);
    bytes_free(&text);
    bytes_free(&head);
    return st;
}

static clio_status write_file(struct tune_search *s, clio_tune_result *r)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    struct file_out out = {0};
    bool keep = false;
    if (!r->complete)
        TRY(is_complete(s, r->path, &keep));
    if (keep)
        return CLIO_OK;
    TRY(print_file(s, r, &text));
    TRY(file_out_open(s->user, &out, r->path));
    TRY(file_out_write(s->user, &out, text.data, text.size));
    TRY(file_out_commit(s->user, &out));
    r->written = 1;
fail:
    file_out_abandon(&out);
    bytes_free(&text);
    return st;
}

/* The path of the result in new memory. Whether it can be written is checked before the search starts. */
static clio_status result_path(clio_context *ctx, const char *path, bool writes, char **out)
{
    clio_status st = CLIO_OK;
    struct file_out file = {0};
    char *slash;
    *out = NULL;
    if (path)
        TRY(mem_string(ctx, out, path));
    else
        TRY(params_tuned_path(ctx, out));
    if (!*out)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no place for the tuned parameters: set HOME or CLIO_TUNED_DIR, or name a file");
    if (!writes)
        return CLIO_OK;
    if (!path && (slash = strrchr(*out, '/'))) {
        *slash = 0;
        st = private_folder_make(ctx, *out);
        *slash = '/';
        TRY(st);
    }
    TRY(file_out_open(ctx, &file, *out));
fail:
    file_out_abandon(&file);
    return st;
}

/* ---- the public functions ---- */

static clio_status open_state(struct tune_search *s, const char *path, char identity[32])
{
    clio_status st = CLIO_OK;
    struct bytes name = {0};
    TRY(identity_of(s, identity));
    TRY(bytes_print(s->user, &name, "%s.state", path));
    TRY(tune_state_open(s->user, &s->state, name.data, identity));
fail:
    bytes_free(&name);
    return st;
}

clio_status tune_with(clio_context *ctx, const struct tune_plan *plan, const char *path, clio_tune_result **out)
{
    clio_status st = CLIO_OK;
    struct tune_search s = {.state = {.file = -1}};
    struct tune_confirmation whole;
    double gains[TUNE_KEYS];
    char identity[32], *name = NULL;
    clio_tune_result *r = NULL;
    *out = NULL;
    ctx->cancelled = 0;
    ctx->status = (struct status_text){0};
    TRY(context_need_device(ctx));
    TRY(mem_alloc(ctx, &r, 1, sizeof *r));
    st = result_path(ctx, path, true, &name);
    r->path = name;
    TRY(st);
    TRY(tune_search_open(&s, ctx, plan));
    TRY(open_state(&s, r->path, identity));
    TRY(tune_search_run(&s));
    TRY(tune_confirm(&s, gains, &whole));
    r->complete = !s.out_of_time;
    r->tried = s.tried;
    r->wrong = s.wrong;
    r->slow = s.slow;
    r->failed = s.failed;
    r->crashed = s.died;
    r->seconds = clock_seconds() - s.started;
    TRY(make_rows(&s, &s.best, gains, r));
    TRY(make_works(&s, &whole, r));
    TRY(write_file(&s, r));
    if (r->complete)
        TRY(tune_state_finish(ctx, &s.state, identity));
    *out = r;
    r = NULL;
fail:
    if (st && !*ctx->status.sentence && s.ctx)
        ctx->status = s.ctx->status; /* a failure of the search's own context */
    tune_search_close(&s);
    clio_tune_free(r);
    return st;
}

/* Check params (NULL: the defaults) and fill in the plan. */
static clio_status plan_of(clio_context *ctx, struct caller at, const clio_tune_params *params, struct tune_plan *plan)
{
    clio_status st = CLIO_OK;
    const char *purpose = params && params->purpose ? params->purpose : "whisper", *path = params ? params->path : NULL;
    double limit = params ? params->time_limit : 0;
    REQUIRE_THAT(ctx, at, tune_plan_for(purpose, plan), "params.purpose is \"%.60s\": it must be whisper or all", purpose);
    TRY(require_number(ctx, at, limit, 0, TIME_LIMIT_MAX, "params.time_limit"));
    TRY(require_text_or_null(ctx, at, path, "params.path"));
    REQUIRE_THAT(ctx, at, !path || strcmp(path, "-") != 0,
                 "params.path is -, but the state of the search is kept beside the file: name a file");
    plan->time_limit = limit > 0 ? limit : TIME_LIMIT;
fail:
    return st;
}

clio_status clio_tune(clio_context *ctx, const clio_tune_params *params, clio_tune_result **out)
{
    clio_status st = CLIO_OK;
    struct tune_plan plan;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    TRY(plan_of(ctx, CALLER, params, &plan));
    REQUIRE(ctx, out, "out");
    TRY(tune_with(ctx, &plan, params ? params->path : NULL, out));
fail:
    return st;
}

clio_status clio_tune_list(clio_context *ctx, const clio_tune_params *params, clio_tune_result **out)
{
    clio_status st = CLIO_OK;
    struct tune_plan plan;
    struct tune_search s = {.state = {.file = -1}};
    clio_tune_result *r = NULL;
    char *name = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    TRY(plan_of(ctx, CALLER, params, &plan));
    REQUIRE(ctx, out, "out");
    TRY(context_need_device(ctx));
    TRY(mem_alloc(ctx, &r, 1, sizeof *r));
    st = result_path(ctx, params ? params->path : NULL, false, &name);
    r->path = name;
    TRY(st);
    TRY(tune_search_open(&s, ctx, &plan));
    TRY(make_rows(&s, NULL, NULL, r));
    *out = r;
    r = NULL;
fail:
    tune_search_close(&s);
    clio_tune_free(r);
    return st;
}

const char *clio_tuned_file(const clio_context *ctx, const char **problem)
{
    const struct params *p = ctx ? &ctx->params : NULL;
    if (problem)
        *problem = NULL;
    if (!p)
        return NULL;
    if (problem)
        *problem = *p->problem ? p->problem : NULL;
    return p->is_tuned ? p->tuned : NULL;
}
