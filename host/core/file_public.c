/* file_public.c - clio_file_write: results of programs, written as those of the library. */
#include "file_out.h"
#include "require.h"

clio_status clio_file_write(clio_context *ctx, const char *path, const void *data, size_t size)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, path, "path");
    REQUIRE_THAT(ctx, CALLER, data || !size, "data is NULL");
    TRY(file_out_open(ctx, &out, path));
    TRY(file_out_write(ctx, &out, data, size));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    return st;
}
