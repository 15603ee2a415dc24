/* bench.h - what a device reaches: its peak rates, and operations at the shapes of real networks.
 *
 *   measure.c     timing of one call, repeated until the median is stable
 *   device.c      multiply-adds, memory, launches, transfers
 *   operations.c  matmul, attention, normalization, softmax and the choice of a token, compared with host/ref
 *   convs.c       convolutions and their gradients
 *
 * All rows are measured in several rounds, and the samples of a row joined: what else a machine does, and its clock, change over seconds.
 * Results are compared in the first round alone. A function that measures rows first asks bench_wants for each, which counts them for the
 * progress in a first pass. */
#ifndef CLIO_BENCH_BENCH_H
#define CLIO_BENCH_BENCH_H

#include "../core/context.h"

#define BENCH_SAMPLES 64 /* of a row at most */

struct bench_row {
    const char *group;             /* "device", "operation", "network", "training" */
    char name[40], shape[64];      /* "matmul", "1500 x 512 x 512" */
    const char *storage;           /* of weights: "f16"; NULL: none */
    double flops, bytes, items;    /* of one call; 0: none */
    const char *item;              /* what items are: "images"; NULL: none */
    double samples[BENCH_SAMPLES]; /* seconds of one call, in the order they were measured */
    int count;
    double median, low, high; /* of them: the quartiles */
    double least;             /* the fastest */
    double error;             /* largest difference from host/ref, relative to the largest value; NaN: not compared */
    char problem[256];        /* why it could not be measured; "": it was */
};

struct bench {
    clio_context *ctx;
    const char *filter; /* rows whose name or shape contains this text; "": all */
    bool quick;         /* fewer shapes and samples */
    bool counts;        /* the first pass: nothing is measured */
    struct bench_row *rows;
    size_t count, capacity;
    size_t planned;                /* rows, from the first pass */
    size_t timed;                  /* of all rounds so far */
    int round, rounds;             /* every row is measured in each round, so that its samples tell how its time changes over minutes */
    double peak_flops, peak_bytes; /* a second: f32 multiply-adds, copies within global memory, by the fastest sample; 0: not measured */
    double drift;                  /* peak_flops at the end relative to the beginning; 0: not measured */
};

/* Whether to measure this row. */
bool bench_wants(struct bench *b, const char *group, const char *name, const char *shape);

/* One call; does not wait for the device. */
typedef clio_status (*bench_call)(clio_context *ctx, void *what);
/* Reserve in `arena` the scratch memory of such a call, and compile. */
clio_status bench_plan(clio_context *ctx, struct arena *arena, bench_call call, void *what);
/* Seconds of one call into the row's samples, and their median and quartiles. */
clio_status bench_time(struct bench *b, struct bench_row *row, bench_call call, void *what);
/* Append a row. st: what came of measuring it. A row that the device has no memory for or cannot compile is kept with its problem; any
 * other failure is returned. */
clio_status bench_add(struct bench *b, struct bench_row *row, clio_status st);
/* The same with a measurement: rows without comparison. */
clio_status bench_measure(struct bench *b, const struct bench_row *row, bench_call call, void *what);
/* Let `row` begin. */
struct bench_row bench_row(const char *group, const char *name, const char *shape);

/* Numbers from -1 to 1 that depend on the index alone. */
clio_status bench_tensor(clio_context *ctx, struct tensor *t, struct tensor shape);

clio_status bench_device(struct bench *b);
/* Measure the peak again, for the drift. Last. */
clio_status bench_device_again(struct bench *b);
clio_status bench_operations(struct bench *b);
clio_status bench_convs(struct bench *b);

#endif
