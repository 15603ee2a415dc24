/* reduce_rows.h - how an operation over the last dimension (norm, softmax) is spread over the device: the families of cl/norm.cl.
 * Parameters: `<op>.family` row (a work-item per row, for CPUs) or group (a work-group per row, for GPUs; the default), and
 * `<op>.items`, work-items of such a group (128; rounded down to a power of two that the device can run). */
#ifndef CLIO_OPS_REDUCE_ROWS_H
#define CLIO_OPS_REDUCE_ROWS_H

#include "ops.h"

struct rows_plan {
    int rows, n; /* of the tensor, seen as a matrix */
    char options[32];
    struct grid grid;
};
/* CLIO_ERROR_INTERNAL when the tensor has more than INT_MAX rows, or none. */
clio_status rows_plan(clio_context *ctx, const char *op, const struct tensor *t, struct rows_plan *plan);

#endif
