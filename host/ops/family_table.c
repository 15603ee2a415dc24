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

/* Whether a result that is kept disables a variant of the operation. */
static bool is_disabled_by_file(clio_context *ctx, const char *operation)
{
    for (size_t i = 0; i < ctx->selftests.count; i++) {
        const struct selftest_result *r = &ctx->selftests.list[i];
        const struct kernel_family *f = kernel_family_find(ctx, r->family);
        if (f && kernel_family_is_of(f, operation) && (r->outcome == SELFTEST_WRONG || r->outcome == SELFTEST_DIED))
            return true;
    }
    return false;
}

clio_status family_none_left(clio_context *ctx, const char *operation)
{
    clio_status st = CLIO_OK;
    const char *disabled = getenv("CLIO_DISABLE"), *title = operation;
    char *path = NULL;
    for (size_t i = 0; i < ctx->families->operation_count; i++)
        if (strcmp(ctx->families->operations[i].name, operation) == 0)
            title = ctx->families->operations[i].title;
    TRY(selftest_results_path(ctx, &path));
    bool kept = path && is_disabled_by_file(ctx, operation);
    FAIL(ctx, CLIO_ERROR_DEVICE,
         "no kernel for %s works on %s (`clio devices` lists the reasons): %s%s%s%supdate its driver, or open another device", title,
         ctx->device.name, disabled && *disabled ? "unset CLIO_DISABLE, " : "", kept ? "delete " : "", kept ? path : "",
         kept ? " to repeat the self-tests, " : "");
fail:
    free(path);
    return st;
}
