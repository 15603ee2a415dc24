/* family_choose.c - the choice among the families of an operation; see families.h. */
#include "families.h"

#define BIT(dtype) (1u << (dtype))

static bool reads(const struct kernel_family *f, const struct matrix *w)
{
    return !w ||
           ((f->layout == LAYOUT_ANY || (f->layout == LAYOUT_PANELS) == (w->layout == MATRIX_PANELS)) && (f->storage & BIT(w->data.dtype)));
}

/* Whether the device can have the variant's work-groups and local memory: a self-test of what it cannot have would say no more. */
static bool fits(const struct device *d, const struct kernel_variant *v)
{
    const size_t *local = v->grid.local;
    return v->local <= d->local_memory && device_allows_group(d, local[0], MAX(local[1], (size_t)1), MAX(local[2], (size_t)1));
}

/* One family: does it support the call, and pass? */
static clio_status try_family(clio_context *ctx, const struct kernel_family *f, void *call, int attempt, struct kernel_variant *v,
                              bool *works)
{
    clio_status st = CLIO_OK;
    *v = (struct kernel_variant){.family = f};
    if (!f->choose(ctx, call, attempt, v) || !fits(&ctx->device, v))
        return CLIO_OK;
    v->test.family = f->name;
    if (!v->test.variant)
        v->test.variant = v->options;
    TRY(selftest_passes(ctx, &v->test, works));
fail:
    return st;
}

clio_status family_find(clio_context *ctx, const char *operation, const struct matrix *w, void *call, struct kernel_variant *v, bool *works)
{
    clio_status st = CLIO_OK;
    *works = false;
    for (int attempt = 0; attempt < 2 && !*works; attempt++)
        for (size_t i = 0; i < ctx->families->count && !*works; i++) {
            const struct kernel_family *f = &ctx->families->rows[i];
            if (kernel_family_is_of(f, operation) && reads(f, w))
                TRY(try_family(ctx, f, call, attempt, v, works));
        }
fail:
    return st;
}

clio_status family_choose(clio_context *ctx, const char *operation, const struct matrix *w, void *call, struct kernel_variant *v)
{
    clio_status st = CLIO_OK;
    bool works;
    TRY(family_find(ctx, operation, w, call, v, &works));
    if (!works)
        TRY(family_none_left(ctx, operation));
fail:
    return st;
}
