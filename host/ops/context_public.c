/* context_public.c - the public functions that make and release a context, open its device, and report what it has: see clio.h. They lie
 * here because a context gets the table of kernel families. */
#include "families.h"
#include "../core/context.h"
#include "../core/fft.h"
#include "../core/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

clio_context *clio_create(void)
{
    clio_context *ctx = calloc(1, sizeof *ctx);
    if (ctx)
        ctx->families = &kernel_families;
    else
        (void)clio_fail(NULL, CLIO_ERROR_MEMORY, __FILE__, __LINE__, "clio_create: the host is out of memory");
    return ctx;
}

static void close_device(clio_context *ctx)
{
    if (!ctx->is_open)
        return;
    if (ctx->queue)
        clFinish(ctx->queue);
    for (size_t i = 0; i < ctx->launches.count; i++)
        clReleaseEvent(ctx->launches.pending[i].event);
    free(ctx->launches.pending);
    ctx->launches = (struct launches){0};
    fft_close(ctx);
    programs_close(ctx);
    pool_close(ctx);
    params_close(ctx);
    selftest_results_close(ctx);
    if (ctx->queue)
        clReleaseCommandQueue(ctx->queue);
    if (ctx->cl)
        clReleaseContext(ctx->cl);
    ctx->queue = NULL;
    ctx->cl = NULL;
    ctx->is_open = ctx->is_lost = false;
}

void clio_destroy(clio_context *ctx)
{
    if (!ctx)
        return;
    close_device(ctx);
    free(ctx->programs.cache_folder);
    free(ctx->profile_rows);
    free(ctx->shown_results);
    free(ctx->checks);
    for (size_t i = 0; i < ctx->notice_count; i++)
        free(ctx->notices[i]);
    free(ctx->notices);
    free(ctx->infos);
    free(ctx->hints);
    free(ctx->devices);
    free(ctx);
}

const char *clio_version(void)
{
    return CLIO_VERSION;
}

clio_status clio_set_cache(clio_context *ctx, const char *folder, int enabled)
{
    clio_status st = CLIO_OK;
    REQUIRE(ctx, ctx, "ctx");
    TRY(require_text_or_null(ctx, CALLER, folder, "folder"));
    free(ctx->programs.cache_folder);
    ctx->programs.cache_folder = NULL;
    ctx->programs.cache_disabled = !enabled;
    ctx->programs.cache_is_tidy = false;
    if (enabled)
        TRY(mem_string(ctx, &ctx->programs.cache_folder, folder));
fail:
    return st;
}

void clio_set_profile(clio_context *ctx, int enabled)
{
    if (ctx && !ctx->is_open)
        ctx->profile = enabled != 0;
}

void clio_set_memory_limit(clio_context *ctx, uint64_t bytes)
{
    if (ctx)
        ctx->memory_limit = bytes;
}

clio_status clio_set_weight_type(clio_context *ctx, const char *type)
{
    static const struct {
        const char *name, *rows;
    } types[] = {
        {"f32", "any gemm.many.storage f32\nany gemm.few.storage f32\nany gemm.large.storage f32\nany attention.storage f32\n"
                "any attention.few.storage f32\nany table.large.storage f32\n"},
        {"f16", "any gemm.many.storage f16\nany gemm.few.storage f16\nany gemm.large.storage f16\nany table.large.storage f16\n"
                "avx512bf16 attention.storage f32\n"},
        {"q8_0", "any gemm.few.storage q8_0\n"},
    };
    clio_status st = CLIO_OK;
    REQUIRE(ctx, ctx, "ctx");
    if (type)
        TRY(require_word(ctx, CALLER, type, "f32|f16|q8_0", "type"));
    ctx->weight_type = NULL;
    for (size_t i = 0; type && i < COUNT(types); i++)
        if (strcmp(types[i].name, type) == 0)
            ctx->weight_type = types[i].rows;
fail:
    return st;
}

void clio_set_notice(clio_context *ctx, clio_notice_fn notice, void *user)
{
    if (!ctx)
        return;
    ctx->notice = notice;
    ctx->notice_user = user;
}

void clio_set_progress(clio_context *ctx, clio_progress_fn progress, void *user)
{
    if (!ctx)
        return;
    ctx->progress = progress;
    ctx->progress_user = user;
}

static clio_device_info info_of(const struct device *d, int index)
{
    return (clio_device_info){.platform = d->platform_name,
                              .name = d->name,
                              .type = device_type_name(d),
                              .driver = d->driver,
                              .version = d->version,
                              .architecture = *d->architecture ? d->architecture : NULL,
                              .index = d->problem[0] ? -1 : index,
                              .compute_units = d->compute_units,
                              .global_memory = d->global_memory,
                              .max_allocation = d->max_allocation,
                              .local_memory = d->local_memory,
                              .has_fp16 = d->has_fp16,
                              .has_subgroups = d->has_subgroups,
                              .has_compiler = d->has_compiler,
                              .is_clover = d->is_clover,
                              .problem = d->problem[0] ? d->problem : NULL};
}

/* Mark the device that clio_device_open(ctx, NULL) would open: by $CLIO_DEVICE, otherwise the first in rank; none if that names no device.
 */
static void mark_chosen(clio_context *ctx)
{
    struct status_text before = ctx->status; /* listing devices succeeds even if CLIO_DEVICE is wrong */
    const char *selector = getenv("CLIO_DEVICE");
    size_t chosen = SIZE_MAX;
    selector = selector ? selector : "";
    if (device_select(ctx, ctx->devices, ctx->device_count, selector, "CLIO_DEVICE", &chosen))
        ctx->status = before;
    else
        device_reason(ctx->devices, ctx->device_count, chosen, selector, "CLIO_DEVICE", ctx->reason);
    for (size_t i = 0; i < ctx->device_count; i++) {
        ctx->infos[i].chosen = i == chosen;
        ctx->infos[i].reason = i == chosen ? ctx->reason : NULL;
    }
}

static clio_status list_devices(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    struct device *devices = NULL;
    size_t count = 0;
    TRY(device_enumerate(ctx, &devices, &count));
    free(ctx->infos);
    ctx->infos = NULL;
    TRY(mem_alloc(ctx, &ctx->infos, count, sizeof *ctx->infos));
    free(ctx->devices);
    ctx->devices = devices;
    ctx->device_count = count;
    devices = NULL;
    for (size_t i = 0; i < count; i++)
        ctx->infos[i] = info_of(&ctx->devices[i], (int)i);
fail:
    free(devices);
    return st;
}

clio_status clio_device_list(clio_context *ctx, const clio_device_info **devices, size_t *count)
{
    clio_status st = CLIO_OK;
    SET_NULL(devices);
    SET_ZERO(count);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE(ctx, devices, "devices");
    REQUIRE(ctx, count, "count");
    if (!ctx->device_count) /* the first time, and again as long as there is none */
        TRY(list_devices(ctx));
    mark_chosen(ctx);
    *devices = ctx->infos;
    *count = ctx->device_count;
fail:
    return st;
}

clio_status clio_device_hints(clio_context *ctx, const clio_device_hint **hints, size_t *count)
{
    clio_status st = CLIO_OK;
    const clio_device_info *infos;
    size_t devices, used = SIZE_MAX;
    SET_NULL(hints);
    SET_ZERO(count);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE(ctx, hints, "hints");
    REQUIRE(ctx, count, "count");
    TRY(clio_device_list(ctx, &infos, &devices));
    for (size_t i = 0; i < devices; i++)
        if (ctx->is_open ? ctx->info.index == infos[i].index : infos[i].chosen)
            used = i;
    if (!ctx->hints)
        TRY(mem_alloc(ctx, &ctx->hints, 1, sizeof *ctx->hints));
    device_hints_find(ctx->hints, &machine_here, ctx->devices, devices, used);
    *hints = ctx->hints->rows;
    *count = ctx->hints->count;
fail:
    return st;
}

/* Bytes of "1500M", "1.5 GiB" or "2000000"; 0 if the text is not a size. */
static uint64_t parse_size(const char *text)
{
    char *end = NULL;
    double n = text ? strtod(text, &end) : 0;
    if (!text || end == text || !(n > 0))
        return 0;
    end += *end == ' ';
    double unit = *end == 'G' || *end == 'g' ? 0x1p30 : *end == 'M' || *end == 'm' ? 0x1p20 : *end == 'K' || *end == 'k' ? 0x1p10 : 1;
    end += unit > 1;
    if (*end && strcmp(end, "B") != 0 && strcmp(end, "iB") != 0)
        return 0;
    return n * unit < 0x1p64 ? (uint64_t)(n * unit) : UINT64_MAX;
}

clio_status clio_device_open(clio_context *ctx, const char *selector)
{
    clio_status st = CLIO_OK;
    const clio_device_info *infos;
    const char *limit_text = getenv("CLIO_MEMORY_LIMIT");
    size_t count, chosen;
    cl_int cle = CL_SUCCESS;
    REQUIRE(ctx, ctx, "ctx");
    close_device(ctx);
    bool given = selector && *selector;
    if (!given)
        selector = getenv("CLIO_DEVICE");
    TRY(clio_device_list(ctx, &infos, &count));
    selector = selector ? selector : "";
    TRY(device_select(ctx, ctx->devices, count, selector, given ? NULL : "CLIO_DEVICE", &chosen));
    device_reason(ctx->devices, count, chosen, selector, given ? NULL : "CLIO_DEVICE", ctx->open_reason);
    ctx->device = ctx->devices[chosen];
    ctx->info = info_of(&ctx->device, (int)chosen);
    ctx->info.reason = ctx->open_reason;
    ctx->info.chosen = infos[chosen].chosen;
    uint64_t limit = ctx->memory_limit ? ctx->memory_limit : parse_size(limit_text);
    if (limit_text && *limit_text && !limit)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "CLIO_MEMORY_LIMIT=%s is not a size: examples are 1500M and 4G", limit_text);
    ctx->device.memory_limit = limit ? MIN(limit, ctx->device.global_memory) : ctx->device.global_memory;
    ctx->is_open = true; /* from here on close_device releases what was created */
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)ctx->device.platform, 0};
    ctx->cl = clCreateContext(properties, 1, &ctx->device.id, NULL, NULL, &cle);
    CL_CHECK(ctx, cle, "clCreateContext");
    ctx->queue = clCreateCommandQueue(ctx->cl, ctx->device.id, ctx->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &cle);
    CL_CHECK(ctx, cle, "clCreateCommandQueue");
    TRY(params_open(ctx));
    TRY(selftest_results_open(ctx));
    return CLIO_OK;
fail:
    if (ctx)
        close_device(ctx);
    return st;
}

const clio_device_info *clio_device(const clio_context *ctx)
{
    return ctx && ctx->is_open ? &ctx->info : NULL;
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const clio_profile_row *)a)->seconds, y = ((const clio_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

clio_status clio_profile(clio_context *ctx, const clio_profile_row **rows, size_t *count)
{
    clio_status st = CLIO_OK;
    size_t n = 0, p = 0, i = 0;
    struct kernel *k;
    SET_NULL(rows);
    SET_ZERO(count);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE(ctx, rows, "rows");
    REQUIRE(ctx, count, "count");
    TRY(context_need_device(ctx));
    TRY(launch_wait(ctx));
    while (kernel_next(ctx, &p, &i))
        n++;
    free(ctx->profile_rows);
    ctx->profile_rows = NULL;
    TRY(mem_alloc(ctx, &ctx->profile_rows, n + TRANSFER_ROWS, sizeof *ctx->profile_rows));
    n = p = i = 0;
    while ((k = kernel_next(ctx, &p, &i))) {
        if (k->calls)
            ctx->profile_rows[n++] = (clio_profile_row){k->label, k->calls, k->seconds, k->flops * 1e-9, k->bytes * 1e-9};
        k->calls = 0;
        k->seconds = k->flops = k->bytes = 0;
    }
    for (i = 0; i < ctx->transfers.count; i++) {
        struct transfer *t = &ctx->transfers.rows[i];
        if (t->calls)
            ctx->profile_rows[n++] = (clio_profile_row){t->name, t->calls, t->seconds, 0, (double)t->bytes * 1e-9};
        t->calls = t->bytes = 0;
        t->seconds = 0;
    }
    qsort(ctx->profile_rows, n, sizeof *ctx->profile_rows, by_seconds);
    *rows = ctx->profile_rows;
    *count = n;
fail:
    return st;
}

void clio_memory(const clio_context *ctx, uint64_t *now, uint64_t *peak)
{
    if (now)
        *now = ctx ? ctx->pool.now : 0;
    if (peak)
        *peak = ctx ? ctx->pool.peak : 0;
}

clio_status clio_device_selftests(clio_context *ctx, int index, const clio_selftest **selftests, size_t *count)
{
    clio_status st = CLIO_OK;
    const clio_device_info *infos;
    size_t devices, rows = 0;
    struct selftest_results read = {0};
    SET_NULL(selftests);
    SET_ZERO(count);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE(ctx, selftests, "selftests");
    REQUIRE(ctx, count, "count");
    TRY(clio_device_list(ctx, &infos, &devices));
    REQUIRE_THAT(ctx, CALLER, index >= 0 && (size_t)index < devices && infos[index].index == index,
                 "index is %d: there is no such device, clio_device_list gives the index of each", index);
    bool is_open = ctx->is_open && ctx->info.index == index;
    if (is_open)
        TRY(selftest_results_load(ctx));
    else
        TRY(selftest_results_read(ctx, &ctx->devices[index], &read));
    const struct selftest_results *all = is_open ? &ctx->selftests : &read;
    free(ctx->shown_results);
    free(ctx->checks);
    ctx->shown_results = NULL;
    ctx->checks = NULL;
    TRY(mem_alloc(ctx, &ctx->shown_results, all->count + 1, sizeof *ctx->shown_results));
    TRY(mem_alloc(ctx, &ctx->checks, all->count + 1, sizeof *ctx->checks));
    for (size_t i = 0; i < all->count; i++)
        if (selftest_results_counts(all, i)) {
            struct selftest_result *r = &ctx->shown_results[rows];
            *r = all->list[i];
            ctx->checks[rows++] =
                (clio_selftest){r->family, selftest_result_is_general(r) ? "" : r->variant, *r->reason ? r->reason : NULL};
        }
    *selftests = ctx->checks;
    *count = rows;
fail:
    free(read.list);
    return st;
}
