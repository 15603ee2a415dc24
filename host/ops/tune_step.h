/* tune_step.h - the parameters of a kernel family that the tuner searches (host/tune), as data beside the family. */
#ifndef CLIO_OPS_TUNE_STEP_H
#define CLIO_OPS_TUNE_STEP_H

#include "../core/mem.h"

#define TUNE_TOGETHER 3 /* parameters of one step at most */

/* Groups of measured calls: which of them decide a step. */
enum { TUNE_MANY = 1, TUNE_FEW = 2, TUNE_ATTENTION = 4, TUNE_NORM = 8, TUNE_SOFTMAX = 16, TUNE_LOGITS = 32, TUNE_EVERYTHING = 63 };
/* Types of device: with vector units (simd_width above 1), the rest, and of the first those with dot products of bfloat16. */
enum { TUNE_CPU = 1, TUNE_GPU = 2, TUNE_DOTS = 4 };

struct tune_parameter {
    const char *key, *values; /* the values to try, separated by spaces; the shipped value is always among the candidates */
};
/* All combinations of the values are tried, starting from the best set found so far. */
struct tune_step {
    const char *name;
    int devices; /* TUNE_CPU, TUNE_GPU, TUNE_DOTS or several; 0: the devices of the kernel family */
    int cases;   /* TUNE_MANY... */
    const char *with_key,
        *with_value; /* a parameter that is set while the step is tried, so that a family is tuned before families are compared; or NULL */
    bool (*valid)(clio_context *ctx); /* whether the device can run the parameters that are set; NULL: always */
    struct tune_parameter parameters[TUNE_TOGETHER];
};

#endif
