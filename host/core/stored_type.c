/* stored_type.c - see stored_type.h. */
#include "stored_type.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct stored_type stored_types[] = {
    {"F32", 4, DTYPE_F32},
    {"F16", 2, DTYPE_F16},
    {"BF16", 2, DTYPE_BF16},
    {"I32", 4, DTYPE_I32},
    {"U8", 1, DTYPE_U8},
    {"F64", 8, DTYPE_F64},
    {"I64", 8, DTYPE_I64},
    {"I16", 2, -1},
    {"I8", 1, -1},
    {"BOOL", 1, -1},
    {"U16", 2, -1},
    {"U32", 4, -1},
    {"U64", 8, -1},
    {"C64", 8, -1},
    {"C128", 16, -1},
    {"F8_E4M3", 1, DTYPE_F8_E4M3},
    {"F8_E5M2", 1, DTYPE_F8_E5M2},
    {"F8_E8M0", 1, -1},
    {"F8_E4M3FNUZ", 1, -1},
    {"F8_E5M2FNUZ", 1, -1},
    {"F4", 0, -1},
    {"F6_E2M3", 0, -1},
    {"F6_E3M2", 0, -1},
};

const struct stored_type *stored_type_find(const char *name)
{
    for (size_t i = 0; i < COUNT(stored_types); i++)
        if (!strcmp(stored_types[i].name, name))
            return &stored_types[i];
    return NULL;
}

clio_status stored_set_type(clio_context *ctx, struct weight *w, const struct stored_type *type, bool is_large)
{
    clio_status st = CLIO_OK;
    struct bytes problem = {NULL, 0, 0};
    if (type->dtype < 0)
        TRY(bytes_print(ctx, &problem, "is stored as %s, which clio does not read: convert the checkpoint to F32, F16 or BF16",
                        type->name));
    else if (is_large)
        TRY(bytes_print(ctx, &problem,
                        "has more than %d dimensions, or one above %d, which clio does not read: this is a checkpoint of another model",
                        TENSOR_DIMS, INT_MAX));
    else
        w->dtype = (enum dtype)type->dtype;
    w->problem = problem.data;
    if (w->problem)
        w->count = 0;
fail:
    return st;
}

void weight_free(struct weight *w)
{
    free(w->name);
    free(w->problem);
    free(w->owned);
}
