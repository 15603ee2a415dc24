/* family_table.c - look-ups in the table of kernel families that a context has; see families.h. */
#include "families.h"

#include <stdlib.h>
#include <string.h>

const struct kernel_family *kernel_family_find(const clio_context *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->families->count; i++)
        if (strcmp(ctx->families->rows[i].name, name) == 0)
            return &ctx->families->rows[i];
    return NULL;
}

bool kernel_family_is_of(const struct kernel_family *f, const char *operation)
{
    size_t length = strlen(operation);
    return strncmp(f->name, operation, length) == 0 && (f->name[length] == '.' || !f->name[length]);
}

clio_status family_none_left(clio_context *ctx, const char *operation)
{
    const char *disabled = getenv("CLIO_DISABLE"), *title = operation;
    for (size_t i = 0; i < ctx->families->operation_count; i++)
        if (strcmp(ctx->families->operations[i].name, operation) == 0)
            title = ctx->families->operations[i].title;
    return clio_fail(ctx, CLIO_ERROR_DEVICE, __FILE__, __LINE__,
                     "no kernel for %s works on %s (`clio devices` lists the reasons): %supdate its driver, or open another device", title,
                     ctx->device.name, disabled && *disabled ? "unset CLIO_DISABLE, " : "");
}
