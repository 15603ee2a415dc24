/* add.h - the addition of op_add_fwd, for op_elementwise.c, which records it, and for the tape, which adds gradients with it. */
#ifndef CLIO_OPS_ADD_H
#define CLIO_OPS_ADD_H

#include "tape.h"

/* op_add_fwd, recorded with this backward function if there is a tape; NULL: not recorded. */
clio_status add_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, float alpha, float beta,
                    tape_backward_fn backward);

#endif
