/* reduce_rows.h - the families norm.row, norm.group, softmax.row and softmax.group (families.h): how operations over the last dimension are
 * divided among work-items.
 *
 * Parameters: `<op>.family` row (one work-item per row, for CPUs) or group (one work-group per row, for GPUs; the default), and
 * `<op>.items`, work-items of a group (128; rounded down to a power of two that the device can run). */
#ifndef CLIO_OPS_REDUCE_ROWS_H
#define CLIO_OPS_REDUCE_ROWS_H

#include "ops.h"

/* A call as the families take it. */
struct rows_call {
    const char *op; /* "norm" or "softmax": the parameters, and the operation in families.c */
    int groups;     /* group norm: groups of channels; otherwise 0 */
    int act;        /* group norm */
    /* set by the family that is chosen */
    bool by_row;
    int items; /* work-items of a group */
};

struct rows_plan {
    int rows, n; /* the tensor as a matrix */
    char options[32];
    struct grid grid;
};
/* CLIO_ERROR_INTERNAL when the tensor has more than INT_MAX rows, or none. */
clio_status rows_plan(clio_context *ctx, const char *op, const struct tensor *t, struct rows_plan *plan);

#endif
