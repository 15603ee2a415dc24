/* init.c - weight initialization: torch's defaults, normal (DCGAN), constants. */
#include "parameters.h"
#include "../../host/core/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

clio_status parameter_init(clio_context *ctx, const struct parameter *p, enum init_rule rule, double value, uint64_t seed)
{
    clio_status st = CLIO_OK;
    size_t count = parameter_key_count(p);
    float *data = NULL;
    struct tensor t = p->value;
    TRY(mem_alloc(ctx, &data, count, sizeof *data));
    for (int j = 0; j < p->keys; j++) {
        struct random r;
        random_seed(&r, RANDOM_TORCH_CUDA, seed ^ mem_hash(MEM_HASH_START, p->names[j], strlen(p->names[j])));
        if (rule == INIT_NORMAL || rule == INIT_ONE_NORMAL)
            random_normal(&r, data, count);
        else
            random_uniform(&r, data, count);
        for (size_t i = 0; i < count; i++)
            data[i] = rule == INIT_CONSTANT ? (float)value
                      : rule == INIT_TORCH  ? (float)((2.0 * (double)data[i] - 1.0) / sqrt(value))
                                            : (float)value * data[i] + (rule == INIT_ONE_NORMAL ? 1.0f : 0.0f);
        struct weight w = {.name = p->names[j], .dtype = DTYPE_F32, .ndim = p->ndim, .count = count, .data = (const unsigned char *)data};
        for (int i = 0; i < TENSOR_DIMS; i++)
            w.dim[i] = i < p->ndim ? p->dim[i] : 1;
        TRY(parameter_read_key(ctx, p, &t, j, &w));
    }
    TRY(parameter_store(ctx, p));
fail:
    free(data);
    return st;
}

/* The parameter called `stem`weight, or NULL. */
static const struct parameter *find_weight(const struct parameters *list, const char *stem, size_t length)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->list[i].names[0];
        if (strncmp(name, stem, length) == 0 && strcmp(name + length, "weight") == 0)
            return &list->list[i];
    }
    return NULL;
}

/* Inputs of one output (torch.nn.init: fan_in). */
static double fan_in(const struct parameter *p)
{
    double count = 1;
    for (int i = 1; i < p->ndim; i++)
        count *= p->dim[i];
    return count;
}

clio_status parameters_init(clio_context *ctx, const struct parameters *list, uint64_t seed)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++) {
        const struct parameter *p = &list->list[i];
        const char *name = p->names[0], *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
        if (p->matrix.n) {
            TRY(parameter_init(ctx, p, INIT_TORCH, fan_in(p), seed));
        } else if (p->ndim > 1) {
            TRY(parameter_init(ctx, p, INIT_NORMAL, 1, seed));
        } else if (strcmp(last, "bias") != 0) {
            TRY(parameter_init(ctx, p, INIT_CONSTANT, 1, seed));
        } else {
            const struct parameter *w = find_weight(list, name, (size_t)(last - name));
            bool linear = w && w->matrix.n;
            TRY(parameter_init(ctx, p, linear ? INIT_TORCH : INIT_CONSTANT, linear ? fan_in(w) : 0, seed));
        }
    }
fail:
    return st;
}
