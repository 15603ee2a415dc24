/* ref_norm_bwd.h - the numbers that a norm puts together, for ref_norm_bwd.c and ref_group_norm_bwd.c alone. */
#ifndef CLIO_REF_NORM_BWD_H
#define CLIO_REF_NORM_BWD_H

#include "ref_bwd.h"

/* `sets` of numbers that are normed together, `step` apart, the first at `first`: `outer` rows, `row` apart, of `inner` neighbours; gamma
 * and beta have a number for each of the inner ones. */
struct norm_sets {
    int sets;
    size_t first, step, row;
    int outer, inner;
};
/* dx, or dgamma and dbeta, may be NULL. */
void ref_norm_sets_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma,
                       const struct norm_sets *s, float eps);

#endif
