/* reduce_columns.h - sums over rows, column by column (batch norm, gradients of norms), and how they are divided among work-items: the
 * column_ kernels of cl/batch_norm.cl. Parameters norm.family and norm.items, as for layer norm. */
#ifndef CLIO_OPS_REDUCE_COLUMNS_H
#define CLIO_OPS_REDUCE_COLUMNS_H

#include "tape.h"

struct columns_plan {
    struct column_args args;
    bool by_row;
    int channels;
    char options[32];
    size_t items;                                /* work-items of a group that adds up the chunks */
    struct grid by_chunk, by_number, by_channel; /* sums of chunks; elementwise formula; a group for each channel */
    struct tensor parts, factors;                /* shapes only */
    double numbers, between;                     /* elements of the tensor; bytes of the parts */
};
/* For t f32 [..., C], `images` images of equally many rows. copies: several rows may be read as one row of more columns. */
clio_status columns_plan(clio_context *ctx, const char *op, const struct tensor *t, int pictures, bool copies, struct columns_plan *plan);

/* parts: mean and squares of each column of each chunk. */
clio_status columns_statistics(clio_context *ctx, const struct columns_plan *p, const struct tensor *parts, const struct tensor *in);
/* parts: sums of dy and dy (x - mean), the mean from factors. */
clio_status columns_bwd_sums(clio_context *ctx, const struct columns_plan *p, const struct tensor *parts, const struct tensor *dy,
                             const struct tensor *x, const struct tensor *factors);
/* dx from factors. */
clio_status columns_bwd_apply(clio_context *ctx, const struct columns_plan *p, const struct tensor *dx, const struct tensor *dy,
                              const struct tensor *x, const struct tensor *factors);

/* For the backward function of a norm, whose inputs x, gamma and beta are the tensors `first`... of r: their values, the destinations of
 * their gradients (NULL: not wanted; gamma and beta both or none, one of them possibly in scratch memory of the tape), and whether to add.
 */
struct norm_grads {
    struct tensor dy, x, gamma;
    const struct tensor *dx, *dgamma, *dbeta;
    bool add_x, add_w;
    struct tensor places[3]; /* of the three */
};
clio_status norm_grads(clio_context *ctx, struct tape *tape, const struct tape_record *r, int first, struct norm_grads *g);

#endif
