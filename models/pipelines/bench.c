/* bench.c - clio_bench: see clio.h. */
#include "bench.h"
#include "../../host/core/clock.h"
#include "../../host/core/require.h"

#include <math.h>
#include <stdlib.h>

#define ROUNDS 2

struct result {
    clio_bench_result shown; /* first: the caller's pointer is ours */
    struct bench_row *rows;
    clio_bench_row *shown_rows;
};

/* All rows, or only their number. */
static clio_status run_all(struct bench *b, const char *model)
{
    clio_status st = CLIO_OK;
    TRY(bench_device(b));
    TRY(bench_operations(b));
    TRY(bench_convs(b));
    TRY(bench_networks(b, model));
    TRY(bench_training(b));
fail:
    return st;
}

static clio_status run_rounds(struct bench *b, const char *model)
{
    clio_status st = CLIO_OK;
    for (b->round = 0; b->round < b->rounds; b->round++)
        TRY(run_all(b, model));
    TRY(bench_device_again(b));
fail:
    return st;
}

static double peak_share(const struct bench *b, const struct bench_row *row)
{
    double flops = b->peak_flops > 0 ? row->flops / row->median / b->peak_flops : 0;
    double bytes = b->peak_bytes > 0 ? row->bytes / row->median / b->peak_bytes : 0;
    return row->count ? fmax(flops, bytes) : 0;
}

static clio_status show(struct bench *b, struct result **out)
{
    clio_status st = CLIO_OK;
    struct result *r = NULL;
    TRY(mem_alloc(b->ctx, &r, 1, sizeof *r));
    TRY(mem_alloc(b->ctx, &r->shown_rows, b->count, sizeof *r->shown_rows));
    r->rows = b->rows;
    b->rows = NULL;
    for (size_t i = 0; i < b->count; i++) {
        const struct bench_row *row = &r->rows[i];
        r->shown_rows[i] = (clio_bench_row){.group = row->group,
                                            .name = row->name,
                                            .shape = row->shape,
                                            .storage = row->storage,
                                            .seconds = row->median,
                                            .low = row->low,
                                            .high = row->high,
                                            .samples = row->samples,
                                            .sample_count = (size_t)row->count,
                                            .flops = row->flops,
                                            .bytes = row->bytes,
                                            .items = row->items,
                                            .item = row->item,
                                            .peak_share = peak_share(b, row),
                                            .error = row->error,
                                            .problem = *row->problem ? row->problem : NULL};
    }
    r->shown = (clio_bench_result){
        .rows = r->shown_rows, .row_count = b->count, .peak_flops = b->peak_flops, .peak_bytes = b->peak_bytes, .drift = b->drift};
    *out = r;
    return CLIO_OK;
fail:
    if (r)
        free(r->shown_rows);
    free(r);
    return st;
}

clio_status clio_bench(clio_context *ctx, const clio_bench_params *params, clio_bench_result **out)
{
    clio_status st = CLIO_OK;
    const clio_bench_params all = {.filter = NULL};
    struct bench b = {.ctx = ctx, .filter = "", .rounds = ROUNDS};
    struct result *r = NULL;
    double start = clock_seconds();
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    params = params ? params : &all;
    TRY(require_text_or_null(ctx, CALLER, params->model, "params.model"));
    REQUIRE(ctx, out, "out");
    TRY(context_need_device(ctx));
    ctx->cancelled = 0;
    b.filter = params->filter ? params->filter : "";
    b.quick = params->quick != 0;
    b.counts = true;
    TRY(run_all(&b, params->model));
    REQUIRE_THAT(ctx, CALLER, b.planned > 0, "no row of the benchmark matches params.filter, \"%.60s\"", b.filter);
    b.counts = false;
    st = run_rounds(&b, params->model);
    if (st && (st != CLIO_ERROR_CANCELLED || !b.count))
        goto fail;
    bool complete = !st;
    TRY(show(&b, &r));
    r->shown.complete = complete;
    r->shown.seconds = clock_seconds() - start;
    *out = &r->shown;
fail:
    free(b.rows);
    return st;
}

void clio_bench_free(clio_bench_result *result)
{
    struct result *r = (struct result *)(void *)result;
    if (!r)
        return;
    free(r->rows);
    free(r->shown_rows);
    free(r);
}
