/* test_learners.h - shared by tests of learners: a model from a JSON text, a batch of random images, steps. */
#ifndef CLIO_TEST_LEARNERS_H
#define CLIO_TEST_LEARNERS_H

#include "../support/test.h"

#include "../../models/learners/autoencoder.h"
#include "../../models/learners/gan.h"
#include "../../models/learners/generate.h"
#include "../../models/learners/types.h"
#include "../../models/learners/pretrained.h"
#include "../../models/learners/vae.h"

#include <math.h>

#define CLASSES 3

/* Settings, with ' in place of ". */
static inline json_t *parse(const char *text)
{
    char json[2048];
    snprintf(json, sizeof json, "%s", text);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *value = json_loads(json, 0, NULL);
    assert_non_null(value);
    return value;
}

static inline clio_status make(struct learner *l, const char *type, const char *settings, int height, int width, int channels, int classes)
{
    json_t *all = parse(settings);
    struct learner_shape shape = {height, width, channels, classes};
    assert_non_null(learner_type_find(type));
    clio_status st = learner_new(test_context(), l, learner_type_find(type), shape, all, 7);
    json_decref(all);
    return st;
}

/* `count` images of a batch of `all` random ones, from number `first` on. */
static inline struct learner_batch make_batch(const struct learner *l, int first, int count, int all)
{
    clio_context *ctx = test_context();
    const struct learner_shape *s = &l->shape;
    size_t one = (size_t)learner_pixels(l), n = one * (size_t)all;
    float *x = malloc(n * sizeof *x);
    static int32_t labels[64];
    struct learner_batch b = {.count = count, .global_count = all, .first = first};
    assert_true(x && all <= (int)COUNT(labels));
    test_random(x, n, 3);
    for (size_t i = 0; i < n && l->type->unit_range; i++)
        x[i] = 0.5f * x[i] + 0.5f;
    for (int i = 0; i < all; i++)
        labels[i] = i % CLASSES;
    b.images = tensor_shape(DTYPE_F32, 4, MAX(count, 1), s->height, s->width, s->channels);
    b.labels = labels + first;
    assert_ok(tensor_new(ctx, &b.images, "test"));
    if (count)
        assert_ok(tensor_write(ctx, &b.images, 0, one * (size_t)count, x + one * (size_t)first));
    free(x);
    return b;
}

static inline void free_batch(struct learner_batch *b)
{
    tensor_free(test_context(), &b->images);
}

static inline void run_steps(struct learner *l, struct learner_batch *b, int steps, double losses[LEARNER_LOSSES])
{
    for (int i = 0; i < steps; i++, l->step++) {
        assert_ok(l->type->step(test_context(), l, b, losses));
        for (int j = 0; l->type->losses[j]; j++)
            if (!isfinite(losses[j]))
                fail_msg("%s: %s of step %d is %g", l->type->name, l->type->losses[j], i, losses[j]);
    }
}

/* All numbers of all parameters, buffers too, as a file would hold them. */
static inline float *all_parameters(const struct learner *l, size_t *count)
{
    float *all = NULL;
    *count = 0;
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < l->parameters[part].count; i++) {
            const struct parameter *p = &l->parameters[part].list[i];
            size_t n = 1;
            for (int j = 0; j < p->ndim; j++)
                n *= (size_t)p->dim[j];
            all = realloc(all, (*count + n) * sizeof *all);
            assert_non_null(all);
            if (p->matrix.n)
                assert_ok(matrix_read(test_context(), &p->matrix, p->channels, p->swapped, all + *count));
            else
                assert_ok(tensor_read(test_context(), &p->value, 0, n, all + *count));
            *count += n;
        }
    return all;
}

#endif
