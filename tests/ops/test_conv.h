/* test_conv.h - what the tests of convolutions share: the families of kernels that they walk, a call, numbers. */
#ifndef CLIO_TEST_CONV_H
#define CLIO_TEST_CONV_H

#include "../support/test.h"

#include "../../host/ops/ops.h"

/* Values of conv.family, gemm.many.family and gemm.large.storage. */
struct family {
    const char *family, *layout, *storage;
};

/* Whether the weights are rounded to half. */
static inline bool use(const struct family *f)
{
    test_param("conv.family", f->family);
    test_param("gemm.many.family", f->layout);
    test_param("gemm.large.storage", f->storage);
    return strcmp(f->storage, "f16") == 0;
}

enum residual { RESIDUAL_NONE, RESIDUAL_APART, RESIDUAL_IN_PLACE };
enum bias { BIAS_NONE, BIAS_ALL, BIAS_EACH };

struct call {
    int batch, height, width, in, out;
    struct conv2d_window window;
    enum bias bias;
    enum residual residual;
    int act;
};

#endif
