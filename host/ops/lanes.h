/* lanes.h - the grid of elementwise kernels (cl/elementwise.cl, cl/conv1d.cl): 16 neighbouring elements per work-item on devices with
 * vector units, 1 on GPUs. */
#ifndef CLIO_OPS_LANES_H
#define CLIO_OPS_LANES_H

#include "ops.h"

struct lanes_plan {
    const char *options;
    size_t items, group; /* work-items for n elements, and in a group */
};
static inline struct lanes_plan lanes_plan(const clio_context *ctx, size_t n)
{
    bool wide = ctx->device.simd_width > 1;
    return (struct lanes_plan){
        .options = wide ? "-DLANES=16" : "",
        .items = wide ? (n + 15) / 16 : n,
        .group = MIN((size_t)64, ctx->device.max_work_group),
    };
}

#endif
