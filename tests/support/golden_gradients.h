/* golden_gradients.h - the gradients that a list of parameters holds against those of a golden file of scripts/make-golden-training. */
#ifndef CLIO_TEST_GOLDEN_GRADIENTS_H
#define CLIO_TEST_GOLDEN_GRADIENTS_H

#include "test.h"

#include "../../models/nn/parameters.h"

#include <math.h>

/* The gradient by one key, as a checkpoint would store the key itself. */
static inline float *gradient_by_key(const struct parameters *list, const char *key, size_t *count)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct parameter *p = &list->list[i];
        size_t n = 1;
        for (int j = 0; j < p->ndim; j++)
            n *= (size_t)p->dim[j];
        for (int j = 0; j < p->keys; j++) {
            if (strcmp(p->names[j], key) != 0)
                continue;
            float *all = malloc(n * (size_t)p->keys * sizeof *all);
            assert_non_null(all);
            struct matrix m = p->matrix;
            m.data = p->grad;
            if (m.n)
                assert_ok(matrix_read(test_context(), &m, p->channels, p->swapped, all));
            else
                assert_ok(tensor_read(test_context(), &p->grad, 0, n * (size_t)p->keys, all));
            memmove(all, all + (size_t)j * n, n * sizeof *all);
            *count = n;
            return all;
        }
    }
    fail_msg("there is no parameter %s", key);
    return NULL;
}

static inline double gradient_norm(const struct parameters *list)
{
    double sum = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t n = tensor_count(&list->list[i].grad);
        if (!list->list[i].grad.mem)
            continue;
        float *g = malloc(n * sizeof *g);
        assert_non_null(g);
        assert_ok(tensor_read(test_context(), &list->list[i].grad, 0, n, g));
        for (size_t j = 0; j < n; j++)
            sum += (double)g[j] * (double)g[j];
        free(g);
    }
    return sqrt(sum);
}

/* What a step left as gradients against a golden file. */
static inline void compare_gradients(const struct parameters *list, const struct weights *golden)
{
    float *want = test_floats(golden, "norm", 1), all = (float)gradient_norm(list);
    assert_close(&all, want, 1, 1e-5);
    free(want);
    for (size_t i = 0; i < golden->count; i++) {
        const struct weight *w = &golden->list[i];
        size_t count = 0;
        if (strncmp(w->name, "grad.", 5) != 0)
            continue;
        float *got = gradient_by_key(list, w->name + 5, &count);
        want = test_floats(golden, w->name, count);
        test_close(got, want, count, 2e-4, w->name, __FILE__, __LINE__);
        free(got);
        free(want);
    }
}

/* Of the gradient of a table the rows "rows", which are "tokens". */
static inline void compare_rows(const struct parameters *list, const char *key, int width, const struct weights *golden)
{
    size_t count = 0, rows = weights_find(golden, "rows")->count, n = (size_t)width;
    float *all = gradient_by_key(list, key, &count), *picked = malloc(rows * n * sizeof *picked);
    float *want = test_floats(golden, "tokens", rows * n);
    int *row = (int *)(void *)test_floats(golden, "rows", rows);
    assert_non_null(picked);
    for (size_t i = 0; i < rows; i++)
        memcpy(picked + i * n, all + (size_t)row[i] * n, n * sizeof *picked);
    assert_close(picked, want, rows * n, 2e-4);
    free(all);
    free(picked);
    free(want);
    free(row);
}

#endif
