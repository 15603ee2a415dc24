/* lora_merge.c - merge a LoRA into a network's weights: W += scale up down. See lora.h. Computed row by row in float, so the scratch memory
 * is the down matrix; the merged weights are f32. */
#include "lora.h"

#include "../../host/core/context.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_PER_PASS 4 /* rows of `down` added in one pass over a row of W */

/* ---- find the weight ---- */

/* Whether the tensor `stored` is the weight of a module with kohya's name, which has _ for every dot. */
static bool is_flat_name(const char *stored, const char *flat)
{
    for (; *flat; stored++, flat++)
        if (*flat != (*stored == '.' ? '_' : *stored))
            return false;
    return !strcmp(stored, ".weight");
}

static struct weight *find_name(const struct weights *w, const char *name, bool is_flat)
{
    char key[300];
    const struct weight *found;
    for (size_t i = 0; is_flat && i < w->count; i++)
        if (is_flat_name(w->list[i].name, name))
            return &w->list[i];
    if (is_flat || snprintf(key, sizeof key, "%s.weight", name) >= (int)sizeof key)
        return NULL;
    found = weights_find(w, key);
    return found ? &w->list[found - w->list] : NULL;
}

/* Newer text encoders have no "text_model." before their names: try both. */
static struct weight *find_weight(const struct weights *w, const struct lora_module *module)
{
    const char *start = module->is_flat ? "text_model_" : "text_model.";
    struct weight *found = find_name(w, module->name, module->is_flat);
    char name[300];
    if (found || module->part != LORA_TEXT_ENCODER)
        return found;
    if (!strncmp(module->name, start, strlen(start)))
        return find_name(w, module->name + strlen(start), module->is_flat);
    snprintf(name, sizeof name, "%s%s", start, module->name);
    return find_name(w, name, module->is_flat);
}

/* up down must have the weight's shape; a 1 x 1 convolution and a linear layer are the same. */
static clio_status check_shape(clio_context *ctx, const struct lora *lora, const struct lora_module *module, const struct weights *w,
                               const struct weight *target)
{
    clio_status st = CLIO_OK;
    const struct weight *up = module->up, *down = module->down;
    bool fits = !target->problem && target->ndim >= 2 && target->dim[0] == up->dim[0];
    for (int i = 1; i < TENSOR_DIMS; i++)
        fits = fits && target->dim[i] == down->dim[i];
    if (target->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %s %s", w->path, target->name, target->problem);
    if (!fits)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s updates %s with a matrix of %d x %d, but in %s it has %d x %d: the LoRA was made for another model", lora->file.path,
             target->name, up->dim[0], (int)(down->count / (size_t)down->dim[0]), w->path, target->dim[0],
             target->dim[0] ? (int)(target->count / (size_t)target->dim[0]) : 0);
fail:
    return st;
}

/* ---- merge ---- */

/* row += factors down, down [rank, columns] */
static void add_low_rank(float *row, const float *factors, const float *down, size_t rank, size_t columns)
{
    size_t r = 0;
    for (; r + ROWS_PER_PASS <= rank; r += ROWS_PER_PASS) {
        const float *d = down + r * columns, *f = factors + r;
        for (size_t i = 0; i < columns; i++)
            row[i] += (f[0] * d[i] + f[1] * d[columns + i]) + (f[2] * d[2 * columns + i] + f[3] * d[3 * columns + i]);
    }
    for (; r < rank; r++)
        for (size_t i = 0; i < columns; i++)
            row[i] += factors[r] * down[r * columns + i];
}

static clio_status merge_module(clio_context *ctx, const struct lora *lora, const struct lora_module *module, float strength,
                                enum dtype storage, struct weight *target)
{
    clio_status st = CLIO_OK;
    size_t rows = (size_t)target->dim[0], columns = target->count / rows, rank = (size_t)module->down->dim[0];
    float scale = (float)((double)strength * module->scale), *down = NULL, *factors = NULL, *merged = NULL;
    TRY(mem_alloc(ctx, &down, rank * columns, sizeof *down));
    TRY(mem_alloc(ctx, &factors, rank, sizeof *factors));
    TRY(mem_alloc(ctx, &merged, target->count, sizeof *merged));
    TRY(weight_floats(ctx, module->down, 0, rank * columns, down));
    for (size_t y = 0; y < rows; y++) {
        float *row = merged + y * columns;
        TRY(weight_floats(ctx, target, y * columns, columns, row));
        TRY(weight_floats(ctx, module->up, y * rank, rank, factors));
        for (size_t r = 0; r < rank; r++)
            factors[r] *= scale;
        add_low_rank(row, factors, down, rank, columns);
        for (size_t i = 0; i < columns; i++)
            if (!isfinite(dtype_nearest(storage, row[i])))
                FAIL(ctx, CLIO_ERROR_FORMAT,
                     "%s: merging makes values of %s that are not finite in %s: use a smaller strength or another LoRA", lora->file.path,
                     target->name, dtype_name(storage));
    }
    free(target->owned);
    target->owned = merged;
    target->data = (const unsigned char *)merged;
    target->dtype = DTYPE_F32;
    merged = NULL;
fail:
    free(down);
    free(factors);
    free(merged);
    return st;
}

clio_status lora_check(clio_context *ctx, const struct lora *lora, const struct weights *unet, const struct weights *text_encoder)
{
    clio_status st = CLIO_OK;
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = 0; i < lora->count; i++) {
        const struct lora_module *module = &lora->list[i];
        const struct weights *w = module->part == LORA_UNET ? unet : text_encoder;
        const struct weight *target = find_weight(w, module);
        if (target)
            TRY(check_shape(ctx, lora, module, w, target));
        first = target || first ? first : module->name;
        missing += !target;
    }
    if (missing == lora->count)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s updates %s, which is not in %s, nor is anything else that it updates: the LoRA was made for another model",
             lora->file.path, first, unet->path);
    if (missing)
        context_notice(ctx, "%s: %zu of %zu modules are left out, since the model does not have them (the first is %s)", lora->file.path,
                       missing, lora->count, first);
    if (lora->foreign_count)
        context_notice(ctx, "%s: %zu of %zu tensors are left out, since they are not the matrices of a LoRA (the first is %.200s)",
                       lora->file.path, lora->foreign_count, lora->file.count, lora->foreign);
fail:
    return st;
}

clio_status lora_merge(clio_context *ctx, const struct lora *lora, enum lora_part part, float strength, enum dtype storage,
                       struct weights *w)
{
    clio_status st = CLIO_OK;
    if (!isfinite(strength))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the strength of %s is not a number: use one like 0.8", lora->file.path);
    for (size_t i = 0; i < lora->count; i++) { /* check everything before any change */
        const struct lora_module *module = &lora->list[i];
        const struct weight *target = module->part == part ? find_weight(w, module) : NULL;
        if (target)
            TRY(check_shape(ctx, lora, module, w, target));
    }
    for (size_t i = 0; i < lora->count && strength != 0; i++) {
        struct weight *target = lora->list[i].part == part ? find_weight(w, &lora->list[i]) : NULL;
        if (target)
            TRY(merge_module(ctx, lora, &lora->list[i], strength, storage, target));
    }
fail:
    return st;
}
