/* verdict.c - see verdict.h. */
#include "verdict.h"
#include "program_cache.h"
#include "require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_VARIANTS "*"

/* Every path that is checked, and may be named in CLIO_DISABLE. */
static const char *const paths[] = {
    "gemm.panel",      "gemm.tile",          "gemm.rows",        "gemm.clblast",   "gemm.bf16",       "gemm.q8",           "attention.row",
    "attention.group", "attention.bf16",     "norm.row",         "norm.group",     "softmax.row",     "softmax.group",     "logits.group",
    "logits.single",   "conv.panel",         "conv.few",         "conv.tile",      "conv.single",     "conv.winograd",     "clfft",
    "conv.strided",    "transposed.strided", "transposed.panel", "transposed.few", "transposed.tile", "transposed.single", "weights.panel",
    "weights.tile",    "weights.single",     "weights.winograd"};

static bool is_path(const char *name)
{
    for (size_t i = 0; i < COUNT(paths); i++)
        if (strcmp(paths[i], name) == 0)
            return true;
    return false;
}

static struct verdict *find(const struct verdicts *all, const char *path, const char *variant)
{
    for (size_t i = 0; i < all->count; i++) {
        struct verdict *v = &all->list[i];
        if (strcmp(v->path, path) == 0 && (strcmp(v->variant, variant) == 0 || strcmp(v->variant, ALL_VARIANTS) == 0))
            return v;
    }
    return NULL;
}

/* What is known already stays. */
static clio_status add(clio_context *ctx, struct verdicts *all, const char *path, const char *variant, const char *reason)
{
    clio_status st = CLIO_OK;
    if (find(all, path, variant))
        return CLIO_OK;
    TRY(mem_grow(ctx, &all->list, all->count, &all->capacity, sizeof *all->list));
    struct verdict *v = &all->list[all->count++];
    snprintf(v->path, sizeof v->path, "%s", path);
    snprintf(v->variant, sizeof v->variant, "%s", variant);
    snprintf(v->reason, sizeof v->reason, "%s", reason);
    for (char *c = v->reason; *c; c++)
        *c = *c == '\n' || *c == '\r' ? ' ' : *c; /* a verdict is a line */
fail:
    return st;
}

static clio_status add_disabled(clio_context *ctx, struct verdicts *all)
{
    clio_status st = CLIO_OK;
    const char *text = getenv("CLIO_DISABLE");
    struct bytes known = {0};
    for (; text && *text; text += strspn(text, ", ")) {
        char name[24];
        int length = (int)strcspn(text, ", ");
        snprintf(name, sizeof name, "%.*s", length, text);
        if (length && ((size_t)length >= sizeof name || !is_path(name))) {
            for (size_t i = 0; i < COUNT(paths); i++)
                TRY(bytes_print(ctx, &known, "%s%s", i ? ", " : "", paths[i]));
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "CLIO_DISABLE names %.*s, which cannot be switched off: it may name %s", length, text,
                 known.data);
        }
        if (length)
            TRY(add(ctx, all, name, ALL_VARIANTS, "disabled by CLIO_DISABLE"));
        text += length;
    }
fail:
    bytes_free(&known);
    return st;
}

/* ---- on disk ---- */

/* The head of the device's file and the file's path, NULL when there is no cache. */
static clio_status locate(clio_context *ctx, const struct device *d, struct bytes *head, char **path)
{
    clio_status st = CLIO_OK;
    char *folder = NULL, name[64];
    uint64_t sources;
    *path = NULL;
    TRY(program_sources_hash(ctx, &sources));
    TRY(bytes_print(ctx, head, "clio-checks-1\nplatform %s, %s\ndevice %s, %s\ndriver %s\nclio %s, kernels %016llx\n", d->platform_name,
                    d->platform_version, d->name, d->version, d->driver, CLIO_VERSION, (unsigned long long)sources));
    TRY(cache_folder(ctx, &folder));
    if (folder) {
        snprintf(name, sizeof name, "checks-%016llx.txt", (unsigned long long)mem_hash(MEM_HASH_START, head->data, head->size));
        TRY(file_join(ctx, path, folder, name));
    }
fail:
    free(folder);
    return st;
}

/* Lines that are cut or make no sense are left out. */
static clio_status parse(clio_context *ctx, struct verdicts *all, const char *text)
{
    clio_status st = CLIO_OK;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        char line[512], path[24], variant[176], word[8], reason[200] = "";
        snprintf(line, sizeof line, "%.*s", (int)MIN(end - text, 511), text);
        int fields = sscanf(line, "%23s [%175[^]]] %7[a-z]: %199[^\n]", path, variant, word, reason);
        bool failed = fields == 4 && strcmp(word, "failed") == 0;
        if ((failed || (fields == 3 && strcmp(word, "ok") == 0)) && is_path(path) && strcmp(variant, ALL_VARIANTS) != 0)
            TRY(add(ctx, all, path, variant, reason));
    }
fail:
    return st;
}

static clio_status load(clio_context *ctx, const struct device *d, struct verdicts *all)
{
    clio_status st = CLIO_OK;
    struct status_text before = ctx->status;
    struct bytes head = {0}, text = {0};
    struct file_map map = {0};
    char *path = NULL;
    all->is_loaded = true;
    TRY(locate(ctx, d, &head, &path));
    if (path && file_exists(path)) {
        TRY(file_map(ctx, &map, path));
        TRY(bytes_add(ctx, &text, map.data, map.size));
        if (text.size > head.size && memcmp(text.data, head.data, head.size) == 0)
            TRY(parse(ctx, all, text.data + head.size));
    }
fail:
    file_unmap(&map);
    bytes_free(&head);
    bytes_free(&text);
    free(path);
    if (st != CLIO_ERROR_MEMORY) {
        ctx->status = before;
        st = CLIO_OK;
    }
    return st;
}

static clio_status write_all(clio_context *ctx, const struct verdicts *all, struct bytes *text, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    char *folder = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct verdict *v = &all->list[i];
        if (strcmp(v->variant, ALL_VARIANTS) != 0)
            TRY(bytes_print(ctx, text, "%s [%s] %s%s\n", v->path, v->variant, *v->reason ? "failed: " : "ok", v->reason));
    }
    TRY(mem_string(ctx, &folder, path));
    *strrchr(folder, '/') = 0;
    TRY(file_make_folder(ctx, folder));
    TRY(file_out_open(ctx, &out, path));
    TRY(file_out_write(ctx, &out, text->data, text->size));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    free(folder);
    return st;
}

static void store(clio_context *ctx)
{
    struct status_text before = ctx->status;
    struct bytes text = {0};
    char *path = NULL;
    /* What another process found in the meantime is taken over rather than written over. */
    if (load(ctx, &ctx->device, &ctx->verdicts) == CLIO_OK && locate(ctx, &ctx->device, &text, &path) == CLIO_OK && path)
        (void)write_all(ctx, &ctx->verdicts, &text, path); /* no file then: the check is made again */
    bytes_free(&text);
    free(path);
    ctx->status = before;
}

/* ---- in the context ---- */

clio_status verdicts_open(clio_context *ctx)
{
    verdicts_close(ctx);
    return add_disabled(ctx, &ctx->verdicts);
}

void verdicts_close(clio_context *ctx)
{
    free(ctx->verdicts.list);
    ctx->verdicts = (struct verdicts){0};
}

const struct verdict *verdict_find(clio_context *ctx, const char *path, const char *variant)
{
    if (!ctx->verdicts.is_loaded)
        (void)load(ctx, &ctx->device, &ctx->verdicts);
    return find(&ctx->verdicts, path, variant);
}

clio_status verdict_add(clio_context *ctx, const char *path, const char *variant, const char *reason)
{
    clio_status st = CLIO_OK;
    if (!is_path(path))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a check of %s, which core/verdict.c does not list", path);
    TRY(add(ctx, &ctx->verdicts, path, variant, reason ? reason : ""));
    store(ctx);
fail:
    return st;
}

/* ---- shown ---- */

clio_status clio_device_selftests(clio_context *ctx, int index, const clio_selftest **selftests, size_t *count)
{
    clio_status st = CLIO_OK;
    const clio_device_info *infos;
    size_t devices, rows = 0;
    struct verdicts read = {0};
    SET_NULL(selftests);
    SET_ZERO(count);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE(ctx, selftests, "selftests");
    REQUIRE(ctx, count, "count");
    TRY(clio_device_list(ctx, &infos, &devices));
    REQUIRE_THAT(ctx, CALLER, index >= 0 && (size_t)index < devices && infos[index].index == index,
                 "index is %d: there is no such device, clio_device_list gives the index of each", index);
    bool is_open = ctx->is_open && ctx->info.index == index;
    if (!is_open) {
        TRY(add_disabled(ctx, &read));
        TRY(load(ctx, &ctx->devices[index], &read));
    } else if (!ctx->verdicts.is_loaded)
        TRY(load(ctx, &ctx->device, &ctx->verdicts));
    const struct verdicts *all = is_open ? &ctx->verdicts : &read;
    free(ctx->shown);
    free(ctx->checks);
    ctx->shown = NULL;
    ctx->checks = NULL;
    TRY(mem_alloc(ctx, &ctx->shown, all->count + 1, sizeof *ctx->shown));
    TRY(mem_alloc(ctx, &ctx->checks, all->count + 1, sizeof *ctx->checks));
    for (size_t i = 0; i < all->count; i++)
        if (find(all, all->list[i].path, all->list[i].variant) == &all->list[i]) { /* else CLIO_DISABLE outweighs it */
            struct verdict *v = &ctx->shown[rows];
            *v = all->list[i];
            bool whole = strcmp(v->variant, ALL_VARIANTS) == 0;
            ctx->checks[rows++] = (clio_selftest){v->path, whole ? "" : v->variant, *v->reason ? v->reason : NULL};
        }
    *selftests = ctx->checks;
    *count = rows;
fail:
    free(read.list);
    return st;
}
