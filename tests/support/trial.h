/* trial.h - a learner with the networks, weights, batch and noise of a golden file (shared/tools/make_golden.py, def training), for
 * test_training.c and, among several processes, test_distributed.c. Losses must be within a relative 1e-4, weights and running statistics
 * within 1e-4 of the largest value of each tensor. */
#ifndef CLIO_TEST_TRIAL_H
#define CLIO_TEST_TRIAL_H

#include "test.h"

#include "../../models/learners/autoencoder.h"
#include "../../models/learners/gan.h"
#include "../../models/learners/generate.h"
#include "../../models/learners/types.h"
#include "../../models/learners/pretrained.h"
#include "../../models/learners/vae.h"

#define TRIAL_BATCH 8
#define TRIAL_SIDE 16
#define TRIAL_STEPS 3
#define TRIAL_PIXELS (TRIAL_SIDE * TRIAL_SIDE)

#define LINEAR(n, outputs)                                                                                                                 \
    {                                                                                                                                      \
        .name = n, .kind = LAYER_LINEAR, .out = (outputs), .bias = true                                                                    \
    }
#define CONV(n, outputs, t, s, p, b)                                                                                                       \
    {                                                                                                                                      \
        .name = n, .kind = LAYER_CONV, .out = (outputs), .taps = (t), .stride = (s), .padding = (p), .bias = (b)                           \
    }
#define BACK(n, outputs, t, s, p, b)                                                                                                       \
    {                                                                                                                                      \
        .name = n, .kind = LAYER_TRANSPOSED, .out = (outputs), .taps = (t), .stride = (s), .padding = (p), .bias = (b)                     \
    }
#define ACT(a)                                                                                                                             \
    {                                                                                                                                      \
        .kind = LAYER_ACTIVATION, .act = (a), .slope = 0.2f                                                                                \
    }
#define NORM                                                                                                                               \
    {                                                                                                                                      \
        .kind = LAYER_BATCH_NORM                                                                                                           \
    }
#define FLATTEN                                                                                                                            \
    {                                                                                                                                      \
        .kind = LAYER_FLATTEN                                                                                                              \
    }

struct trial {
    struct learner learner;
    struct weights golden;
    struct learner_batch batch; /* this process's part of the file's */
};

/* A learner of that type without networks; false: the file is missing (then skip). */
bool trial_begin(struct trial *t, const char *type, const char *file);
void trial_end(struct trial *t);
/* The networks of these files. */
bool trial_autoencoder(struct trial *t);
bool trial_vae(struct trial *t);
/* After the networks were made: load the initial weights, and `count` images of the batch from the one numbered `first`, times `factor`
 * plus `offset`. */
void trial_load(struct trial *t, float factor, float offset, int first, int count);
/* Step i's noise of the file for these images, f32 [count, width], for test_free. */
struct tensor trial_noise(const struct trial *t, const char *name, int step, int width);
/* Compare the loss of a step, and the final weights, with the file. */
void trial_check_loss(const struct trial *t, int step, const char *name, double got);
void trial_check_parameters(const struct trial *t);

#endif
