/* reduce_sums.h - reductions over whole tensors in two stages (cl/reduce_sums.clh), for losses and gradient norms. */
#ifndef CLIO_OPS_REDUCE_SUMS_H
#define CLIO_OPS_REDUCE_SUMS_H

#include "reduce_rows.h"

/* For n elements: chunks as the rows of the plan, with compile options and grid, and a tensor for their sums from the arena. */
clio_status sums_plan(clio_context *ctx, struct arena *arena, int n, struct rows_plan *plan, struct tensor *parts);
/* out[slot] = scale * sum of parts (+ out[slot] if add); out f32 of one dimension. */
clio_status sums_finish(clio_context *ctx, const struct tensor *out, int slot, const struct tensor *parts, float scale, bool add);

#endif
