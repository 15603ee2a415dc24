/* bench.h - what the benchmarks of networks share: the device, an end with a sentence, medians. */
#ifndef CLIO_BENCH_H
#define CLIO_BENCH_H

#include "../host/core/clock.h"
#include "../host/core/context.h"

#include <stdio.h>
#include <stdlib.h>

static clio_context *ctx;

static inline void must(clio_status st)
{
    if (st) {
        fprintf(stderr, "%s\n%s\n", clio_error(ctx), clio_error_detail(ctx));
        exit(1);
    }
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts them. */
static inline double median(double *seconds, size_t count)
{
    qsort(seconds, count, sizeof *seconds, by_value);
    return seconds[count / 2];
}

#endif
