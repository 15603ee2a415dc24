/* selftest_private.h - between the files of the first-use checks (selftest.h): room for a check's numbers, and the checks themselves.
 * selftest.c what is checked when, and verdicts; selftest_matmul.c products and convolutions; selftest_rows.c attention, norms, softmax,
 * logits. */
#ifndef CLIO_OPS_SELFTEST_PRIVATE_H
#define CLIO_OPS_SELFTEST_PRIVATE_H

#include "selftest.h"

/* Tensors and host arrays of a check, released together. */
struct room {
    struct tensor tensors[8];
    void *arrays[16];
    int tensor_count, array_count;
    struct arena arena;
    double tolerance; /* of the greatest number; 0: of sums in f32 */
    char wrong[96];   /* what a comparison found; empty: all is well */
};
void room_free(clio_context *ctx, struct room *r);
/* `count` floats in [-1, 1), other ones each time, such as a number of this type holds; NULL when out of memory. */
float *room_floats(struct room *r, size_t count, enum dtype dtype);
/* A tensor with `data`, or filled with canaries, and canaries behind it. */
clio_status room_place(clio_context *ctx, struct room *r, struct tensor **out, struct tensor shape, const void *data);
/* The tensor's content in fresh memory of the room, its canaries looked at. */
clio_status room_fetch(clio_context *ctx, struct room *r, const struct tensor *t, float **out);
/* Leaves in r->wrong what is wrong with x. */
void room_compare(struct room *r, const float *x, const float *want, size_t count);

/* One for each family of paths: runs the operation as the check says, and compares. */
clio_status check_product(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_conv(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_transposed(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_weights(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_attention(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_norm(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_rows(clio_context *ctx, const struct check *c, struct room *r);
clio_status check_logits(clio_context *ctx, const struct check *c, struct room *r);

#endif
