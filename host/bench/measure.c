/* measure.c - time one call until the median is stable; see bench.h.
 *
 * A sample is the mean of as many calls as fill some milliseconds. Samples are taken until the notch of their median (McGill, Tukey and
 * Larsen, "Variations of Box Plots", 1978: 1.57 times the interquartile range over the root of their number) is within a hundredth of it,
 * or the time for a row is over. */
#include "bench.h"
#include "../core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STABLE 0.01
#define LEAST 5 /* samples */
#define WARM 3  /* samples before those that count */

bool bench_wants(struct bench *b, const char *group, const char *name, const char *shape)
{
    bool wanted = !*b->filter || strstr(name, b->filter) || strstr(shape, b->filter) || !strcmp(group, b->filter);
    if (wanted && b->counts)
        b->planned++;
    return wanted && !b->counts;
}

struct bench_row bench_row(const char *group, const char *name, const char *shape)
{
    struct bench_row row = {.group = group, .error = NAN};
    snprintf(row.name, sizeof row.name, "%s", name);
    snprintf(row.shape, sizeof row.shape, "%s", shape);
    return row;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The p-quantile of sorted values, between neighbours in proportion (type 7 of Hyndman and Fan, NumPy's default). */
static double quantile(const double *sorted, int count, double p)
{
    double at = p * (count - 1);
    int below = (int)at;
    return below + 1 < count ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
}

static void summarize(struct bench_row *row)
{
    double sorted[BENCH_SAMPLES];
    memcpy(sorted, row->samples, (size_t)row->count * sizeof *sorted);
    qsort(sorted, (size_t)row->count, sizeof *sorted, by_value);
    row->least = sorted[0];
    row->low = quantile(sorted, row->count, 0.25);
    row->median = quantile(sorted, row->count, 0.5);
    row->high = quantile(sorted, row->count, 0.75);
}

static bool is_stable(const struct bench_row *row)
{
    return row->count >= LEAST && 1.57 * (row->high - row->low) / sqrt((double)row->count) <= STABLE * row->median;
}

/* Seconds of one of `times` calls. */
static clio_status time_calls(clio_context *ctx, bench_call call, void *what, int times, double *seconds)
{
    clio_status st = CLIO_OK;
    double start = clock_seconds();
    for (int i = 0; i < times; i++)
        TRY(call(ctx, what));
    TRY(launch_wait(ctx));
    *seconds = (clock_seconds() - start) / times;
fail:
    return st;
}

clio_status bench_plan(clio_context *ctx, struct arena *arena, bench_call call, void *what)
{
    clio_status st = CLIO_OK;
    ctx->planning = true;
    st = call(ctx, what);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, arena, "a benchmark"));
fail:
    return st;
}

static clio_status bench_progress(struct bench *b, const char *text)
{
    return context_progress(b->ctx, text, (double)b->timed, (double)b->planned * b->rounds);
}

clio_status bench_time(struct bench *b, struct bench_row *row, bench_call call, void *what)
{
    clio_status st = CLIO_OK;
    double sample = b->quick ? 0.01 : 0.04, all = (b->quick ? 0.6 : 4) / b->rounds, once, start;
    int times, most = BENCH_SAMPLES / b->rounds;
    char text[128];
    snprintf(text, sizeof text, "%s %s", row->name, row->shape);
    TRY(bench_progress(b, text));
    TRY(time_calls(b->ctx, call, what, 1, &once)); /* compiles, and fills caches */
    TRY(time_calls(b->ctx, call, what, 1, &once));
    times = once < sample ? (int)(sample / fmax(once, 1e-7)) + 1 : 1;
    for (start = clock_seconds(); clock_seconds() - start < WARM * sample;)
        TRY(time_calls(b->ctx, call, what, times, &once)); /* the clock rises, threads wake up */
    start = clock_seconds();
    for (row->count = 0; row->count < most && !is_stable(row) && (row->count < 3 || clock_seconds() - start < all);) {
        TRY(time_calls(b->ctx, call, what, times, &row->samples[row->count]));
        row->count++;
        summarize(row);
        TRY(bench_progress(b, text));
    }
    b->timed++;
fail:
    return st;
}

/* Add the samples of a later round to the row of the first. */
static bool join(struct bench *b, const struct bench_row *row)
{
    for (size_t i = 0; b->round && i < b->count; i++) {
        struct bench_row *first = &b->rows[i];
        bool same = !strcmp(first->group, row->group) && !strcmp(first->name, row->name) && !strcmp(first->shape, row->shape);
        if (!same)
            continue;
        for (int k = 0; first->count && k < row->count && first->count < BENCH_SAMPLES; k++)
            first->samples[first->count++] = row->samples[k];
        if (first->count)
            summarize(first);
        return true;
    }
    return false;
}

clio_status bench_add(struct bench *b, struct bench_row *row, clio_status st)
{
    if (st == CLIO_ERROR_MEMORY || st == CLIO_ERROR_BUILD || st == CLIO_ERROR_UNSUPPORTED) {
        snprintf(row->problem, sizeof row->problem, "%s", clio_error(b->ctx));
        row->count = 0;
        st = CLIO_OK;
    }
    TRY(st);
    if (join(b, row))
        return CLIO_OK;
    TRY(mem_grow(b->ctx, &b->rows, b->count, &b->capacity, sizeof *b->rows));
    b->rows[b->count++] = *row;
fail:
    return st;
}

clio_status bench_measure(struct bench *b, const struct bench_row *row, bench_call call, void *what)
{
    struct bench_row measured = *row;
    return bench_add(b, &measured, bench_time(b, &measured, call, what));
}

clio_status bench_tensor(clio_context *ctx, struct tensor *t, struct tensor shape)
{
    clio_status st = CLIO_OK;
    size_t n = tensor_count(&shape);
    float *x = NULL;
    TRY(mem_alloc(ctx, &x, n, sizeof *x));
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i * 2654435761u >> 8 & 0xffff) / 32768.0f - 1.0f;
    TRY(tensor_new(ctx, &shape, "a benchmark"));
    *t = shape;
    TRY(tensor_write(ctx, t, 0, n, x));
fail:
    free(x);
    return st;
}
