/* op_attention.c - attention over a cache of keys and values. Kernels and layouts: cl/attention.cl, cl/attention_bf16.cl. */
#include "attention.h"
#include "families.h"
#include "gradients.h"
#include "tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FEW_QUERIES 8      /* at most this many: a GPU splits the keys */
#define KEYS_PER_SPLIT 256 /* fewer are not worth another group */
#define MAX_SPLITS 32
#define WANTED_GROUPS 1024 /* of one head */
#define TILE_QUERIES 32
#define TILE_GROUP 128 /* work-items */
#define WIDE_HEAD 256  /* columns */

/* Whether the device has the work-groups and the local memory of attention_tile for heads of d columns. */
static bool tile_fits(const clio_context *ctx, int d)
{
    return device_allows_group(&ctx->device, TILE_GROUP, 1, 1) &&
           sizeof(float) * (size_t)(TILE_QUERIES * (d + 1) + PANEL * d + TILE_QUERIES * (PANEL + 1) + 4 * TILE_QUERIES) <=
               ctx->device.local_memory;
}

/* The key lengths of a cache for a padded batch, or NULL. */
static const struct tensor *lengths_of(const struct attention_cache *cache)
{
    return cache->key_lengths.ndim ? &cache->key_lengths : NULL;
}

/* The compile options of the kernels for the cache's family and storage; returns how many queries a work-item of the row family takes.
 * Keys and values of a wide head do not fit into a cache near the core: four blocks of queries share each load. */
static int kernel_options(clio_context *ctx, const struct attention_cache *cache, int queries, char options[128])
{
    bool pairs = cache->k.dtype == DTYPE_BF16, one = queries == 1 && !pairs;
    const char *padded = LENGTHS_OPTION(lengths_of(cache));
    int d = cache->head_dim, f16 = cache->k.dtype == DTYPE_F16;
    int keys = params_int(ctx, pairs ? "attention.bf16.keys" : "attention.row.keys", 128);
    int block = one ? 1 : params_int(ctx, pairs ? "attention.bf16.queries" : "attention.row.queries", 8),
        blocks = !one && !pairs && d >= WIDE_HEAD ? 4 : 1;
    if (pairs)
        snprintf(options, 128, "-DD=%d -DDOTS=%d -DQB=%d -DKEYS=%d%s", d, device_has_dots(&ctx->device), block, keys, padded);
    else if (cache->by_row)
        snprintf(options, 128, "-DD=%d -DCACHE_F16=%d -DROW=1 -DQB=%d -DBLOCKS=%d -DKEYS=%d%s", d, f16, block, blocks, keys, padded);
    else
        snprintf(options, 128, "-DD=%d -DCACHE_F16=%d -DTILE=%d%s", d, f16, tile_fits(ctx, d), padded);
    return block * blocks;
}

/* The storage that the parameters ask for; f32 in training. bfloat16 is for MATRIX_MANY (a speech encoder) only: an image of a seed must
 * not depend on the device's instructions. */
static enum dtype preferred_storage(clio_context *ctx, const struct attention_cache *cache, enum matrix_use use, bool by_row)
{
    const char *key = use == MATRIX_FEW ? "attention.few.storage" : "attention.storage";
    bool pairs = use == MATRIX_MANY && by_row && cache->head_dim % PANEL == 0;
    if (ctx->tapes)
        return DTYPE_F32;
    return params_is(ctx, key, "f16") ? DTYPE_F16 : pairs && params_is(ctx, key, "bf16") ? DTYPE_BF16 : DTYPE_F32;
}

/* The family and storage that the parameters ask for, or the first alternative whose self-test passes on this device for heads of this
 * width. One self-test covers both kernels of a family: for many queries and for a single one. */
static clio_status choose_family(clio_context *ctx, struct attention_cache *cache, enum matrix_use use)
{
    clio_status st = CLIO_OK;
    bool by_row = params_is(ctx, "attention.family", "row"), works = false;
    enum dtype preferred = preferred_storage(ctx, cache, use, by_row), next = preferred == DTYPE_BF16 ? DTYPE_F32 : preferred;
    const struct {
        bool by_row;
        enum dtype dtype;
    } candidates[] = {{by_row, preferred}, {by_row, next}, {!by_row, next}, {by_row, DTYPE_F32}, {!by_row, DTYPE_F32}};
    for (size_t i = 0; i < COUNT(candidates) && !works; i++) {
        char variant[128];
        enum dtype dtype = cache->k.dtype = candidates[i].dtype;
        cache->by_row = candidates[i].by_row;
        kernel_options(ctx, cache, SELFTEST_MANY, variant);
        TRY(selftest_passes(
            ctx,
            &(struct selftest){.family = dtype == DTYPE_BF16 ? "attention.bf16"
                                         : cache->by_row     ? "attention.row"
                                                             : "attention.group",
                               .variant = variant,
                               .params = {{"attention.family", cache->by_row ? "row" : "group"}, {"attention.storage", dtype_name(dtype)}},
                               .head_dim = cache->head_dim,
                               .padded = lengths_of(cache) != NULL},
            &works));
    }
    if (!works)
        TRY(family_none_left(ctx, "attention"));
fail:
    return st;
}

static clio_status check_lengths(clio_context *ctx, const struct attention_cache *cache)
{
    return lengths_of(cache) ? op_check(ctx, "attention", "key_lengths", lengths_of(cache), DTYPE_I32, 1, cache->batch, 1, 1, 1) : CLIO_OK;
}

clio_status attention_cache_new(clio_context *ctx, struct arena *arena, struct attention_cache *cache, int batch, int heads, int head_dim,
                                int capacity, enum matrix_use use, const char *what)
{
    return attention_cache_new_padded(ctx, arena, cache, batch, heads, head_dim, capacity, NULL, use, what);
}

clio_status attention_cache_new_padded(clio_context *ctx, struct arena *arena, struct attention_cache *cache, int batch, int heads,
                                       int head_dim, int capacity, const struct tensor *key_lengths, enum matrix_use use, const char *what)
{
    clio_status st = CLIO_OK;
    capacity = ROUND_UP(capacity, PANEL);
    *cache = (struct attention_cache){.batch = batch, .heads = heads, .head_dim = head_dim, .capacity = capacity};
    if (key_lengths)
        cache->key_lengths = *key_lengths;
    TRY(check_lengths(ctx, cache));
    TRY(choose_family(ctx, cache, use));
    enum dtype dtype = cache->k.dtype;
    cache->k = tensor_shape(dtype, 4, batch, heads, capacity / PANEL, head_dim * PANEL);
    cache->v = tensor_shape(dtype, 4, batch, heads, capacity, head_dim);
    if (arena) {
        TRY(tensor_take(ctx, arena, &cache->k));
        TRY(tensor_take(ctx, arena, &cache->v));
    } else {
        TRY(tensor_new(ctx, &cache->k, what));
        TRY(tensor_new(ctx, &cache->v, what));
    }
fail:
    if (st && !arena)
        attention_cache_free(ctx, cache);
    return st;
}

void attention_cache_free(clio_context *ctx, struct attention_cache *cache)
{
    tensor_free(ctx, &cache->k);
    tensor_free(ctx, &cache->v);
}

/* Whether t holds `rows` rows of `columns` elements, `step` apart from `offset` on. */
static bool holds_rows(const struct tensor *t, int rows, int step, int offset, int columns)
{
    size_t last = (size_t)offset + (size_t)(rows - 1) * (size_t)step + (size_t)columns;
    return t->dtype == DTYPE_F32 && offset >= 0 && step >= 0 && (rows == 0 || last <= tensor_count(t));
}

static clio_status check_batch(clio_context *ctx, const struct attention_cache *cache, int first, int batch)
{
    clio_status st = CLIO_OK;
    if (first < 0 || batch < 1 || first + batch > cache->batch)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention: rows %d to %d of a cache for a batch of %d", first, first + batch - 1, cache->batch);
fail:
    return st;
}

/* queries: 0 if the kernel does not depend on them. */
static clio_status get_kernel(clio_context *ctx, const struct attention_cache *cache, const char *name, int queries, struct kernel **k)
{
    char options[128];
    kernel_options(ctx, cache, queries, options);
    return kernel_get(ctx, cache->k.dtype == DTYPE_BF16 ? "attention_bf16" : "attention", name, options, k);
}

/* Record which rows a cache holds, for the attention that reads it. */
static clio_status record_store(clio_context *ctx, const struct attention_cache *cache, const struct tensor *k, const struct tensor *v,
                                const struct attention_store_args *args)
{
    clio_status st = CLIO_OK;
    struct tape_record r = {
        .op = "attention store", .t = {cache->k, cache->v, *k, *v}, .outputs = 2, .keep = 1 << 2 | 1 << 3, .always = true};
    if (args->position > 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention store: rows from position %d on: a cache that grows has no gradient", args->position);
    TRY(tape_record(ctx, &r, args, sizeof *args));
fail:
    return st;
}

/* The tensors of attention on the tape: out, q, k and v as they were stored, key lengths if there are any. */
struct attention_record {
    struct attention_store_args store;
    struct attention_args args;
};

static clio_status attention_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct attention_record *record = (const void *)r->args;
    struct tensor dout = tape_given(tape, r, 0), out = tape_value(tape, r, 0), key_lengths = tape_value(tape, r, 4), in[4], grad[4];
    bool wants[4] = {false};
    for (int i = 1; i < 4; i++) {
        in[i] = tape_value(tape, r, i);
        wants[i] = tape_wants(tape, r, i);
        if (wants[i])
            TRY(tape_grad_sum(ctx, tape, r, i, &grad[i]));
    }
    TRY(op_attention_bwd(ctx, &tape->arena, wants[1] ? &grad[1] : NULL, wants[2] ? &grad[2] : NULL, wants[3] ? &grad[3] : NULL, &dout, &out,
                         &in[1], &in[2], &in[3], r->t[4].ndim ? &key_lengths : NULL, record->store, record->args));
fail:
    return st;
}

static clio_status record_attention(clio_context *ctx, const struct tensor *out, const struct tensor *q,
                                    const struct attention_cache *cache, const struct attention_args *args)
{
    clio_status st = CLIO_OK;
    struct tape_record r = {.op = "attention", .backward = attention_backward, .t = {*out, *q}, .keep = 0x1f};
    const struct tape_record *stored;
    struct attention_record record = {.args = *args};
    if (ctx->planning)
        return CLIO_OK;
    stored = tape_producer(ctx->tape, &cache->k);
    if (!stored)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention: its keys were stored before the step began");
    memcpy(&record.store, stored->args, sizeof record.store);
    if (args->keys > record.store.rows || args->first < record.store.first ||
        args->first + args->batch > record.store.first + record.store.batch)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention: %d keys of rows %d to %d, where the latest store has %d of rows %d to %d", args->keys,
             args->first, args->first + args->batch - 1, record.store.rows, record.store.first,
             record.store.first + record.store.batch - 1);
    tape_adopt(&r, 2, stored, 2);
    tape_adopt(&r, 3, stored, 3);
    r.t[4] = cache->key_lengths;
    TRY(tape_record(ctx, &r, &record, sizeof record));
fail:
    return st;
}

clio_status op_attention_store(clio_context *ctx, const struct attention_cache *cache, const struct tensor *k, const struct tensor *v,
                               struct attention_store_args args)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char text_k[96], text_v[96];
    int columns = cache->heads * cache->head_dim, rows;
    args.batch = args.batch ? args.batch : cache->batch - args.first;
    rows = args.batch * args.rows;
    args.heads = cache->heads;
    args.head_dim = cache->head_dim;
    args.capacity = cache->capacity;
    TRY(check_batch(ctx, cache, args.first, args.batch));
    if (args.rows < 0 || args.position < 0 || args.position + args.rows > cache->capacity)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention store: %d rows at %d into a cache of %d", args.rows, args.position, cache->capacity);
    if (!holds_rows(k, rows, args.ldk, args.k_offset, columns) || !holds_rows(v, rows, args.ldv, args.v_offset, columns))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention store: %d rows of %d columns from %s and %s", rows, columns, tensor_describe(k, text_k),
             tensor_describe(v, text_v));
    if (ctx->tape)
        TRY(record_store(ctx, cache, k, v, &args));
    bool by_row = cache->by_row;
    int panels = (args.position + args.rows + PANEL - 1) / PANEL - args.position / PANEL;
    struct grid grid =
        by_row ? GRID3(panels, args.heads, args.batch, 1, 1, 1) : GRID3(columns, args.rows, args.batch, MIN(columns, 64), 1, 1);
    const char *name = cache->k.dtype == DTYPE_BF16 ? "attention_bf16_store" : by_row ? "attention_store_row" : "attention_store";
    TRY(get_kernel(ctx, cache, name, 0, &kernel));
    TRY(LAUNCH(ctx, kernel, grid, COST(0, 16.0 * args.batch * args.rows * columns), ARG_TENSOR(&cache->k), ARG_TENSOR(&cache->v),
               ARG_TENSOR(k), ARG_TENSOR(v), ARG_VALUE(args)));
fail:
    return st;
}

/* Few queries on a GPU, or heads too wide for a tile: attention over parts of the keys, then their combination. */
static clio_status attention_by_parts(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *q,
                                      const struct attention_cache *cache, struct attention_args a, struct cost cost)
{
    clio_status st = CLIO_OK;
    struct kernel *split, *combine;
    int rows = a.batch * a.queries, columns = a.heads * a.head_dim;
    uint64_t mark = arena_mark(arena);
    a.splits = MIN(MAX_SPLITS, (a.keys + KEYS_PER_SPLIT - 1) / KEYS_PER_SPLIT);
    a.splits = MAX(1, MIN(a.splits, WANTED_GROUPS / rows)); /* many queries fill the device without */
    struct tensor parts = tensor_shape(DTYPE_F32, 4, rows, a.heads, a.splits, a.head_dim + 2);
    TRY(tensor_take(ctx, arena, &parts));
    TRY(get_kernel(ctx, cache, "attention_split", 0, &split));
    TRY(get_kernel(ctx, cache, "attention_combine", 0, &combine));
    TRY(LAUNCH_PADDED(ctx, lengths_of(cache), split, GRID3((size_t)a.splits * 64, a.heads, rows, 64, 1, 1), cost, ARG_TENSOR(&parts),
                      ARG_TENSOR(q), ARG_TENSOR(&cache->k), ARG_TENSOR(&cache->v), ARG_VALUE(a)));
    TRY(LAUNCH_PADDED(ctx, lengths_of(cache), combine, GRID2(columns, rows, MIN(columns, 64), 1),
                      COST(0, 4.0 * (double)tensor_count(&parts)), ARG_TENSOR(out), ARG_TENSOR(&parts), ARG_VALUE(a)));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *q,
                             const struct attention_cache *cache, struct attention_args a)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    char text_q[96], text_out[96];
    int columns = cache->heads * cache->head_dim, rows;
    a.batch = a.batch ? a.batch : cache->batch - a.first;
    rows = a.batch * a.queries;
    a.heads = cache->heads;
    a.head_dim = cache->head_dim;
    a.capacity = cache->capacity;
    if (!(a.scale > 0))
        a.scale = 1.0f / sqrtf((float)a.head_dim);
    struct cost cost = COST(4.0 * a.batch * a.heads * a.queries * (double)a.keys * a.head_dim * (a.causal && a.queries > 1 ? 0.5 : 1.0),
                            2.0 * (double)dtype_size(cache->k.dtype) * a.batch * a.heads * (double)a.keys * a.head_dim);
    TRY(check_batch(ctx, cache, a.first, a.batch));
    TRY(check_lengths(ctx, cache));
    if (a.queries < 1 || a.keys < 1 || a.keys > a.capacity || a.position < 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention: %d queries at %d over %d keys of a cache of %d", a.queries, a.position, a.keys,
             a.capacity);
    if (!holds_rows(q, rows, a.ldq, a.q_offset, columns) || !holds_rows(out, rows, a.ldo, 0, columns))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention: %d rows of %d columns from %s into %s", rows, columns, tensor_describe(q, text_q),
             tensor_describe(out, text_out));
    if (ctx->tape)
        TRY(record_attention(ctx, out, q, cache, &a));
    if (cache->by_row) {
        char options[128];
        int block = kernel_options(ctx, cache, a.queries, options);
        TRY(get_kernel(ctx, cache, cache->k.dtype == DTYPE_BF16 ? "attention_bf16" : "attention_row", a.queries, &k));
        TRY(LAUNCH_PADDED(ctx, lengths_of(cache), k, GRID3((a.queries + block - 1) / block, a.heads, a.batch, 1, 1, 1), cost,
                          ARG_TENSOR(out), ARG_TENSOR(q), ARG_TENSOR(&cache->k), ARG_TENSOR(&cache->v), ARG_VALUE(a)));
    } else if (a.queries <= FEW_QUERIES || !tile_fits(ctx, a.head_dim))
        TRY(attention_by_parts(ctx, arena, out, q, cache, a, cost));
    else {
        int blocks = (a.queries + TILE_QUERIES - 1) / TILE_QUERIES;
        TRY(get_kernel(ctx, cache, "attention_tile", 0, &k));
        TRY(LAUNCH_PADDED(ctx, lengths_of(cache), k, GRID3((size_t)blocks * TILE_GROUP, a.heads, a.batch, TILE_GROUP, 1, 1), cost,
                          ARG_TENSOR(out), ARG_TENSOR(q), ARG_TENSOR(&cache->k), ARG_TENSOR(&cache->v), ARG_VALUE(a)));
    }
fail:
    return st;
}
