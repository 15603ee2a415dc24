/* op_bias_bwd.c - sums over the rows of a matrix: the gradient of a bias, and of a repeated operand. Kernel in cl/bias_bwd.cl: chunks of
 * rows first, then the sums of the chunks. Several narrow rows are read as one wide row, so that vectors and work-groups are filled. */
#include "gradients.h"

#define WIDTH 64             /* numbers of a row that a work-item of a CPU adds up; as many neighbours suit a GPU */
#define CPU_CHUNKS 16        /* pieces of work for a CPU's cores */
#define CHUNK_AT_LEAST 16384 /* numbers of a piece of work on a CPU */
#define GPU_ITEMS 65536      /* that fill a GPU, one for each column of a chunk */
#define GPU_ROWS 16          /* of a chunk at least */

struct shape {
    int parts, rows, n;
};

static int over(int n, int by)
{
    return (n + by - 1) / by;
}

static clio_status sum_rows(clio_context *ctx, const struct tensor *out, const struct tensor *in, struct shape s, int chunk, float scale,
                            bool add)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    bool wide = ctx->device.simd_width > 1;
    struct column_sums_args a = {.rows = s.rows, .n = s.n, .chunk = chunk, .chunks = over(s.rows, chunk), .add = add, .scale = scale};
    double numbers = (double)s.parts * s.rows * s.n;
    size_t group = wide ? 1 : MIN((size_t)64, ctx->device.max_work_group);
    TRY(kernel_get(ctx, "bias_bwd", "column_sums", wide ? "-DLANES=16" : "", &k));
    TRY(LAUNCH(ctx, k, GRID3(wide ? over(s.n, WIDTH) : s.n, a.chunks, s.parts, group, 1, 1), COST(numbers, 4 * numbers), ARG_TENSOR(out),
               ARG_TENSOR(in), ARG_VALUE(a)));
fail:
    return st;
}

/* out [parts, n] (+)= scale * sums of in [parts, rows, n] */
static clio_status sum_parts(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, struct shape s,
                             float scale, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct shape folded = s;
    bool wide = ctx->device.simd_width > 1;
    while (folded.n < WIDTH && folded.rows % 2 == 0) {
        folded.n *= 2;
        folded.rows /= 2;
    }
    double pieces = (double)s.parts * (wide ? over(folded.n, WIDTH) : folded.n), wanted = wide ? CPU_CHUNKS : GPU_ITEMS;
    double most = wide ? (double)folded.rows * folded.n / CHUNK_AT_LEAST : (double)folded.rows / GPU_ROWS;
    int chunks = (int)MAX(1, MIN(most, wanted / pieces)), chunk = over(folded.rows, chunks);
    chunks = over(folded.rows, chunk);
    if (chunks == 1 && folded.n == s.n)
        return sum_rows(ctx, out, in, s, s.rows, scale, add);
    struct tensor parts = tensor_shape(DTYPE_F32, 3, s.parts, chunks, folded.n, 0);
    TRY(tensor_take(ctx, arena, &parts));
    TRY(sum_rows(ctx, &parts, in, folded, chunk, 1, false));
    s.rows = chunks * (folded.n / s.n);
    TRY(sum_rows(ctx, out, &parts, s, s.rows, scale, add));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status sum_columns(clio_context *ctx, struct arena *arena, const char *op, const struct tensor *db, const struct tensor *dy,
                               struct shape s, float scale, bool add)
{
    clio_status st = CLIO_OK;
    char text_db[96], text_dy[96];
    size_t all = tensor_count(dy), each = (size_t)MAX(s.parts, 1) * (size_t)MAX(s.n, 1);
    if (db->dtype != DTYPE_F32 || dy->dtype != DTYPE_F32 || s.parts < 1 || s.n < 1 || all % each || all / each < 1 ||
        all / each > 0x7fffffff)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %s cannot hold the sums of %s", op, tensor_describe(db, text_db), tensor_describe(dy, text_dy));
    s.rows = (int)(all / each);
    TRY(sum_parts(ctx, arena, db, dy, s, scale, add));
fail:
    return st;
}

clio_status op_bias_bwd(clio_context *ctx, struct arena *arena, const struct tensor *db, const struct tensor *dy, bool add)
{
    int n = dy->dim[dy->ndim - 1];
    struct shape s = {.parts = (int)(tensor_count(db) / (size_t)MAX(n, 1)), .n = n};
    if (tensor_count(db) % (size_t)MAX(n, 1))
        s.parts = 0; /* refused below */
    return sum_columns(ctx, arena, "the gradient of a bias", db, dy, s, 1, add);
}

clio_status op_repeat_bwd(clio_context *ctx, struct arena *arena, const struct tensor *db, const struct tensor *dy, float beta, bool add)
{
    return sum_columns(ctx, arena, "the gradient of a repeated operand", db, dy, (struct shape){.parts = 1, .n = (int)tensor_count(db)},
                       beta, add);
}
