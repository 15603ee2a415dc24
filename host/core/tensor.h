/* tensor.h - a shape, a storage type and a device buffer. Rows are contiguous, the last dimension is fastest.
 * A struct tensor is a reference: copying it copies no data. The caller of tensor_new frees it; tensors of an arena are never freed. */
#ifndef CLIO_CORE_TENSOR_H
#define CLIO_CORE_TENSOR_H

#include "dtype.h"
#include "pool.h"

#define TENSOR_DIMS 4

struct tensor {
    cl_mem mem;
    enum dtype dtype;
    int ndim;
    int dim[TENSOR_DIMS]; /* unused ones are 1 */
    const char *what;     /* what it holds, a constant: names its transfers in the profile (transfers.h); or NULL */
};

/* Number of elements. */
size_t tensor_count(const struct tensor *t);
/* "f32 [1500, 512]" into a buffer of at least 96 bytes; returns it. */
char *tensor_describe(const struct tensor *t, char text[96]);
/* A shape without memory; dims beyond ndim are ignored. */
struct tensor tensor_shape(enum dtype dtype, int ndim, int d0, int d1, int d2, int d3);
/* The same memory under another shape of as many elements. */
struct tensor tensor_reshape(const struct tensor *t, int ndim, int d0, int d1, int d2, int d3);

/* Fill in mem for a tensor that has a shape: from the pool (owned by the caller) or from an arena. `what` names it in errors, and its
 * transfers unless t->what is set. */
clio_status tensor_new(clio_context *ctx, struct tensor *t, const char *what);
void tensor_free(clio_context *ctx, struct tensor *t);
clio_status tensor_take(clio_context *ctx, struct arena *arena, struct tensor *t);

/* Blocking copies between host and device; `first` and `count` in elements. f32 host data is converted to f16 where the tensor is f16. */
clio_status tensor_write(clio_context *ctx, const struct tensor *t, size_t first, size_t count, const void *data);
clio_status tensor_read(clio_context *ctx, const struct tensor *t, size_t first, size_t count, void *data);
clio_status tensor_zero(clio_context *ctx, const struct tensor *t);
/* Copy `count` elements into another tensor of the same type, on the device; does not wait. The ranges must not overlap. */
clio_status tensor_copy(clio_context *ctx, const struct tensor *to, size_t to_first, const struct tensor *from, size_t from_first,
                        size_t count);

#endif
