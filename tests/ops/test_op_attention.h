/* test_op_attention.h - the kernel families of attention, for its tests. */
#ifndef CLIO_TEST_OP_ATTENTION_H
#define CLIO_TEST_OP_ATTENTION_H

#include "../support/test.h"

#define TOLERANCE 2e-5
/* Storage bf16: a weight is off by 2^-9 of it at most, and the weights amount to 1 again: together that is less than 2^-9 of what values
 * differ by, and mostly much less, since neither the errors nor the values have one sign. */
#define BFLOAT_TOLERANCE 0x1p-8
#define LOG2E 1.44269504088896341f

struct family {
    const char *name;
    enum dtype dtype;
    bool portable; /* without a device's own dot products of bfloat16 */
};
static const struct family families[] = {{"row", DTYPE_F32, false},   {"row", DTYPE_F16, false},  {"group", DTYPE_F32, false},
                                         {"group", DTYPE_F16, false}, {"row", DTYPE_BF16, false}, {"row", DTYPE_BF16, true}};

static inline const struct family *use_family(size_t i)
{
    static const char *architecture;
    struct device *device = &test_context()->device;
    architecture = architecture ? architecture : device->architecture;
    device->architecture = families[i].portable ? "" : architecture;
    test_param("attention.family", families[i].name);
    test_param("attention.storage", dtype_name(families[i].dtype));
    if (test_small()) { /* 8 rows in registers compile for minutes there */
        test_param("attention.row.queries", "2");
        test_param("attention.bf16.queries", "2");
        test_param("attention.bwd.rows", "2");
        test_param("attention.bwd.keys", "64");
    }
    return &families[i];
}

/* How a cache for heads of d columns stores its numbers. */
static inline enum dtype storage_for(const struct family *family, int d)
{
    return family->dtype == DTYPE_BF16 && d % 32 ? DTYPE_F32 : family->dtype;
}

#endif
