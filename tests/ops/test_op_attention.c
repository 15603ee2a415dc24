/* test_op_attention.c - attention over a cache: both families and storages, causal in one call and in pieces, against host/ref and torch.
 */
#include "test_op_attention.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref.h"

struct shape {
    int batch, heads, d, queries, keys;
    bool causal;  /* the queries are then the last of the keys */
    bool fused;   /* q, k and v lie in wider rows */
    float scale;  /* 0: the default */
    float spread; /* scores are this much larger than ordinary ones */
};

/* Random inputs of a shape, in plain rows q [B, queries, columns], k and v [B, keys, columns], and the expected result. */
struct data {
    struct shape s;
    enum dtype dtype; /* of the cache */
    int columns;
    float *q, *k, *v, *want;
};

static struct attention_args args_of(const struct shape *s)
{
    int columns = s->heads * s->d;
    struct attention_args a = {
        .queries = s->queries, .keys = s->keys, .causal = s->causal, .ldq = columns, .ldo = columns, .scale = s->scale};
    a.position = s->causal ? s->keys - s->queries : 0;
    return a;
}

static void reference(const struct data *x)
{
    struct attention_args a = args_of(&x->s);
    a.batch = x->s.batch;
    a.heads = x->s.heads;
    a.head_dim = x->s.d;
    a.scale = a.scale > 0 ? a.scale : 1 / sqrtf((float)x->s.d);
    ref_attention(x->want, x->q, x->k, x->v, NULL, &a);
}

static struct data make(struct shape s, const struct family *family)
{
    struct data x = {.s = s, .columns = s.heads * s.d, .dtype = storage_for(family, s.d)};
    float scale = (s.scale > 0 ? s.scale : 1 / sqrtf((float)s.d)) * LOG2E; /* with it queries meet keys of bfloat16 */
    int queries = s.batch * s.queries * x.columns, keys = s.batch * s.keys * x.columns;
    x.q = test_new(queries);
    x.k = test_new(keys);
    x.v = test_new(keys);
    x.want = test_new(queries);
    test_random(x.q, (size_t)queries, 1);
    test_random(x.k, (size_t)keys, 2);
    test_random(x.v, (size_t)keys, 3);
    for (int i = 0; i < queries; i++) {
        x.q[i] *= s.spread > 0 ? s.spread : 1;
        x.q[i] = x.dtype == DTYPE_BF16 ? dtype_nearest(DTYPE_BF16, x.q[i] * scale) / scale : x.q[i];
    }
    for (int i = 0; i < keys; i++) {
        x.k[i] = dtype_nearest(x.dtype, x.k[i]);
        x.v[i] = dtype_nearest(x.dtype, x.v[i]);
    }
    reference(&x);
    return x;
}

static void data_free(struct data *x)
{
    free(x->q);
    free(x->k);
    free(x->v);
    free(x->want);
}

/* Rows first .. first+rows of each batch of x [B, each, columns], at `offset` in rows of `ld` numbers; the rest is NaN. */
static struct tensor wide_rows(const struct data *x, const float *from, int each, int first, int rows, int ld, int offset)
{
    float *wide = test_new(x->s.batch * rows * ld);
    for (int i = 0; i < x->s.batch * rows * ld; i++)
        wide[i] = NAN;
    for (int b = 0; b < x->s.batch; b++)
        for (int r = 0; r < rows; r++)
            memcpy(wide + (b * rows + r) * ld + offset, from + (b * each + first + r) * x->columns, (size_t)x->columns * sizeof *wide);
    struct tensor t = test_tensor(DTYPE_F32, 3, x->s.batch, rows, ld, 1, wide);
    free(wide);
    return t;
}

/* A cache that holds NaN wherever nothing has been stored: results must not depend on it. */
static struct attention_cache poisoned_cache(const struct shape *s, int capacity)
{
    clio_context *ctx = test_context();
    struct attention_cache cache;
    assert_ok(attention_cache_new(ctx, NULL, &cache, s->batch, s->heads, s->d, capacity, MATRIX_MANY, "a test cache"));
    assert_true(cache.capacity % 32 == 0 && cache.capacity >= capacity);
    float *nothing = test_new((int)tensor_count(&cache.k));
    for (size_t i = 0; i < tensor_count(&cache.k); i++)
        nothing[i] = NAN;
    if (cache.k.dtype == DTYPE_BF16)
        memset(nothing, 0xff, tensor_count(&cache.k) * sizeof(uint16_t)); /* both of a pair */
    assert_ok(tensor_write(ctx, &cache.k, 0, tensor_count(&cache.k), nothing));
    assert_ok(tensor_write(ctx, &cache.v, 0, tensor_count(&cache.v), nothing));
    free(nothing);
    return cache;
}

static void store(const struct data *x, const struct attention_cache *cache, int first, int rows)
{
    bool fused = x->s.fused;
    int ld = fused ? 3 * x->columns : x->columns;
    struct tensor k = wide_rows(x, x->k, x->s.keys, first, rows, ld, fused ? x->columns : 0);
    struct tensor v = wide_rows(x, x->v, x->s.keys, first, rows, ld + fused, fused ? 2 * x->columns : 0);
    struct attention_store_args a = {.rows = rows, .position = first, .ldk = ld, .ldv = ld + fused};
    a.k_offset = fused ? x->columns : 0;
    a.v_offset = fused ? 2 * x->columns : 0;
    assert_ok(op_attention_store(test_context(), cache, &k, &v, a));
    test_free(&k);
    test_free(&v);
}

/* Queries first .. first+rows over the first `keys` keys, planned and then run; compared with their part of x->want. */
static void attend(const struct data *x, const struct attention_cache *cache, int first, int rows, int keys)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct attention_args a = args_of(&x->s);
    a.queries = rows;
    a.keys = keys;
    a.position += first;
    a.ldq = x->s.fused ? 3 * x->columns : x->columns;
    a.q_offset = x->s.fused ? 7 : 0;
    a.ldo = x->columns + (x->s.fused ? 2 : 0);
    struct tensor q = wide_rows(x, x->q, x->s.queries, first, rows, a.ldq, a.q_offset);
    struct tensor out = test_tensor(DTYPE_F32, 3, x->s.batch, rows, a.ldo, 1, NULL);
    ctx->planning = true;
    clio_status planned = op_attention_fwd(ctx, &arena, &out, &q, cache, a);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_attention_fwd(ctx, &arena, &out, &q, cache, a));
    float *y = test_read(&out), *narrow = test_new(x->s.batch * rows * x->columns), *want = test_new(x->s.batch * rows * x->columns);
    for (int b = 0; b < x->s.batch; b++)
        for (int r = 0; r < rows; r++) {
            const float *row = y + (b * rows + r) * a.ldo;
            memcpy(narrow + (b * rows + r) * x->columns, row, (size_t)x->columns * sizeof *y);
            memcpy(want + (b * rows + r) * x->columns, x->want + (b * x->s.queries + first + r) * x->columns,
                   (size_t)x->columns * sizeof *y);
            for (int i = x->columns; i < a.ldo; i++)
                assert_true(isnan(row[i])); /* as test_tensor left it */
        }
    assert_close(narrow, want, (size_t)(x->s.batch * rows * x->columns), x->dtype == DTYPE_BF16 ? BFLOAT_TOLERANCE : TOLERANCE);
    free(y);
    free(narrow);
    free(want);
    test_free(&q);
    test_free(&out);
    arena_free(ctx, &arena);
}

static void check(struct shape s, const struct family *family)
{
    struct data x = make(s, family);
    struct attention_cache cache = poisoned_cache(&s, s.keys);
    assert_int_equal(cache.k.dtype, x.dtype);
    store(&x, &cache, 0, s.keys);
    attend(&x, &cache, 0, s.queries, s.keys);
    attention_cache_free(test_context(), &cache);
    data_free(&x);
}

/* Every width of head, each number of queries and of keys: not all triples, but each pair with one number of queries. */
static void test_shapes(void **state)
{
    static const int widths[] = {8, 13, 16, 24, 32, 40, 64, 80, 96, 128, 160, 512}, queries[] = {1, 2, 7, 8, 9, 31, 33, 130},
                     keys[] = {1, 31, 32, 33, 64, 77, 127, 128, 129, 300};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        check((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 1, .keys = 33}, family);
        check((struct shape){.batch = 2, .heads = 1, .d = 40, .queries = 1, .keys = 5}, family);
        check((struct shape){.batch = 1, .heads = 1, .d = 16, .queries = 9, .keys = 34}, family);
        if (family->dtype == DTYPE_BF16) /* a last key alone, within a panel and at its end */
            for (int n = 31; n <= 33; n++)
                check((struct shape){.batch = 1, .heads = 2, .d = 32, .queries = 3, .keys = n, .fused = true}, family);
        if (test_small())
            continue;
        for (size_t d = 0; d < COUNT(widths); d++)
            for (size_t k = 0; k < COUNT(keys); k++)
                for (size_t q = (d + k) % 2; q < COUNT(queries) && storage_for(family, widths[d]) == family->dtype; q += 2)
                    check(
                        (struct shape){
                            .batch = 1 + (int)(q + k) % 2, .heads = 1 + (int)k % 3, .d = widths[d], .queries = queries[q], .keys = keys[k]},
                        family);
    }
}

/* Self-attention and cross-attention to 77 tokens with the head widths of image networks. */
static void test_image_shapes(void **state)
{
    static const int shapes[][4] = {{40, 1021, 1021, 2}, {40, 1021, 77, 2}, {80, 251, 251, 2}, {80, 251, 77, 2},  {160, 61, 61, 2},
                                    {160, 61, 77, 2},    {64, 509, 509, 1}, {64, 509, 77, 2},  {512, 269, 269, 1}};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        check((struct shape){.batch = 2, .heads = 2, .d = 40, .queries = 5, .keys = 7}, family);
        for (size_t i = 0; i < COUNT(shapes) && !test_small(); i++)
            if (storage_for(family, shapes[i][0]) == family->dtype)
                check((struct shape){.batch = shapes[i][3],
                                     .heads = shapes[i][0] == 512 ? 1 : 3,
                                     .d = shapes[i][0],
                                     .queries = shapes[i][1],
                                     .keys = shapes[i][2]},
                      family);
    }
}

/* One query over many keys: the group family splits the keys. */
static void test_long(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 1, .keys = 600}, family);
        if (test_small())
            continue;
        check((struct shape){.batch = 1, .heads = 8, .d = 64, .queries = 1, .keys = 1500}, family);
        check((struct shape){.batch = 2, .heads = 2, .d = 64, .queries = 5, .keys = 1500, .fused = true}, family);
        check((struct shape){.batch = 1, .heads = 2, .d = 64, .queries = 70, .keys = 1500}, family);
        check((struct shape){.batch = 1, .heads = 1, .d = 16, .queries = 2, .keys = 9000, .causal = true},
              family); /* more parts than the maximum */
    }
}

static void test_causal(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        check((struct shape){.batch = 2, .heads = 1, .d = 8, .queries = 10, .keys = 10, .causal = true}, family);
        check((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 4, .keys = 37, .causal = true, .fused = true}, family);
        check((struct shape){.batch = 1, .heads = 2, .d = 32, .queries = 3, .keys = 35, .causal = true, .fused = true}, family);
        if (test_small())
            continue;
        for (int queries = 1; queries <= 140; queries += queries < 10 ? 1 : 13)
            for (int before = 0; before <= 130; before += 26)
                check((struct shape){.batch = 2,
                                     .heads = 2,
                                     .d = family->dtype == DTYPE_BF16 ? 64 : 40,
                                     .queries = queries,
                                     .keys = queries + before,
                                     .causal = true,
                                     .fused = before % 4 == 0},
                      family);
    }
}

/* Storing keys and attending in pieces gives the result of one call. */
static void test_pieces(void **state)
{
    static const int pieces[] = {1, 1, 5, 1, 33, 31, 64, 4};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        struct shape s = {.batch = 2,
                          .heads = 2,
                          .d = !test_small()                 ? 64
                               : family->dtype == DTYPE_BF16 ? 32
                                                             : 8,
                          .causal = true,
                          .fused = true};
        size_t count = test_small() ? 4 : COUNT(pieces);
        for (size_t i = 0; i < count; i++)
            s.keys += pieces[i];
        s.queries = s.keys;
        struct data x = make(s, family);
        struct attention_cache cache = poisoned_cache(&s, s.keys + 40);
        for (int i = 0, at = 0; i < (int)count; at += pieces[i++]) {
            store(&x, &cache, at, pieces[i]);
            attend(&x, &cache, at, pieces[i], at + pieces[i]);
        }
        attend(&x, &cache, 0, s.queries, s.keys);
        attention_cache_free(test_context(), &cache);
        data_free(&x);
    }
}

/* A scale given by the caller, and scores so large that their exp would overflow. */
static void test_scale(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 2, .keys = 40, .scale = 0.9f}, family);
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 2, .keys = 40, .spread = 150}, family);
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 12, .keys = 40, .spread = 150, .causal = true}, family);
        if (family->dtype == DTYPE_BF16) {
            check((struct shape){.batch = 1, .heads = 1, .d = 32, .queries = 2, .keys = 40, .scale = 0.9f}, family);
            check((struct shape){.batch = 1, .heads = 1, .d = 32, .queries = 12, .keys = 40, .spread = 150, .causal = true}, family);
        }
    }
}

/* Sizes that the tuner may choose. */
static void test_row_sizes(void **state)
{
    static const char *const sizes[][2] = {{"4", "32"}, {"3", "64"}, {"16", "96"}, {"8", "128"}}; /* the last as shipped */
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        test_param("attention.row.queries", sizes[i][0]);
        test_param("attention.row.keys", sizes[i][1]);
        test_param("attention.bf16.queries", sizes[i][0]);
        test_param("attention.bf16.keys", sizes[i][1]);
        for (size_t f = 0; f < COUNT(families) && !test_small(); f++) {
            if (strcmp(families[f].name, "row") != 0)
                continue;
            const struct family *family = use_family(f);
            check((struct shape){.batch = 2, .heads = 2, .d = 40, .queries = 21, .keys = 145, .causal = true}, family);
            check((struct shape){.batch = 1, .heads = 1, .d = 64, .queries = 9, .keys = 33}, family);
            check((struct shape){.batch = 2, .heads = 1, .d = 64, .queries = 19, .keys = 139, .causal = true}, family);
        }
    }
}

/* If the tile does not fit into local memory, the split kernel is used. */
static void test_little_local_memory(void **state)
{
    clio_context *ctx = test_context();
    uint64_t local_memory = ctx->device.local_memory;
    (void)state;
    const struct family *family = use_family(2);
    ctx->device.local_memory = 2048;
    check((struct shape){.batch = 2, .heads = 1, .d = 16, .queries = 9, .keys = 35, .causal = true}, family);
    ctx->device.local_memory = local_memory;
}

static void test_cache_in_arena(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        struct shape s = {.batch = 1, .heads = 2, .d = 8, .queries = 2, .keys = 33};
        struct data x = make(s, family);
        struct arena arena = {0};
        struct attention_cache cache;
        ctx->planning = true;
        clio_status planned = attention_cache_new(ctx, &arena, &cache, s.batch, s.heads, s.d, s.keys, MATRIX_MANY, "a test cache");
        ctx->planning = false;
        assert_ok(planned);
        assert_true(arena.peak >= 2 * 64 * 16 * ((unsigned)dtype_size(x.dtype)));
        assert_ok(arena_commit(ctx, &arena, "a test cache"));
        assert_ok(attention_cache_new(ctx, &arena, &cache, s.batch, s.heads, s.d, s.keys, MATRIX_MANY, "a test cache"));
        store(&x, &cache, 0, s.keys);
        attend(&x, &cache, 0, s.queries, s.keys);
        arena_free(ctx, &arena);
        data_free(&x);
    }
}

static enum dtype storage_of(enum matrix_use use)
{
    struct attention_cache cache;
    assert_ok(attention_cache_new(test_context(), NULL, &cache, 1, 1, 32, 32, use, "a test cache"));
    attention_cache_free(test_context(), &cache);
    return cache.k.dtype;
}

/* bfloat16 storage is used for MATRIX_MANY alone, and not in training. */
static void test_bf16_storage(void **state)
{
    static struct tape tape;
    (void)state;
    use_family(4);
    test_param("attention.few.storage", "bf16");
    assert_int_equal(storage_of(MATRIX_MANY), DTYPE_BF16);
    assert_int_equal(storage_of(MATRIX_LARGE), DTYPE_F32);
    assert_int_equal(storage_of(MATRIX_FEW), DTYPE_F32);
    assert_ok(tape_open(test_context(), &tape));
    enum dtype trained = storage_of(MATRIX_MANY);
    tape_close(&tape);
    assert_int_equal(trained, DTYPE_F32);
    assert_int_equal(storage_of(MATRIX_MANY), DTYPE_BF16);
    test_param("attention.few.storage", "f16");
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct attention_cache cache;
    struct tensor rows = test_tensor(DTYPE_F32, 2, 4, 16, 1, 1, NULL), out = test_tensor(DTYPE_F32, 2, 4, 16, 1, 1, NULL);
    struct attention_args a = {.queries = 4, .keys = 33, .ldq = 16, .ldo = 16};
    (void)state;
    use_family(0);
    assert_ok(attention_cache_new(ctx, NULL, &cache, 1, 2, 8, 20, MATRIX_MANY, "a test cache"));
    assert_fails(op_attention_fwd(ctx, &arena, &out, &rows, &cache, a), CLIO_ERROR_INTERNAL, "33 keys of a cache of 32");
    a.keys = 4;
    a.q_offset = 1;
    assert_fails(op_attention_fwd(ctx, &arena, &out, &rows, &cache, a), CLIO_ERROR_INTERNAL, "4 rows of 16 columns from f32 [4, 16]");
    a.q_offset = 0;
    a.ldo = 17;
    assert_fails(op_attention_fwd(ctx, &arena, &out, &rows, &cache, a), CLIO_ERROR_INTERNAL, "into f32 [4, 16]");
    struct attention_store_args s = {.rows = 4, .position = 29, .ldk = 16, .ldv = 16};
    assert_fails(op_attention_store(ctx, &cache, &rows, &rows, s), CLIO_ERROR_INTERNAL, "4 rows at 29 into a cache of 32");
    s.position = 0;
    s.ldv = 32;
    assert_fails(op_attention_store(ctx, &cache, &rows, &rows, s), CLIO_ERROR_INTERNAL, "4 rows of 16 columns");
    s.rows = 0; /* nothing to store is no failure */
    assert_ok(op_attention_store(ctx, &cache, &rows, &rows, s));
    attention_cache_free(ctx, &cache);
    test_free(&rows);
    test_free(&out);
}

/* [B, heads, T, D] to [B, T, heads, D], in fresh memory. */
static float *rows_of(const float *x, const int dim[4])
{
    float *y = test_new(dim[0] * dim[1] * dim[2] * dim[3]);
    for (int b = 0; b < dim[0]; b++)
        for (int h = 0; h < dim[1]; h++)
            for (int t = 0; t < dim[2]; t++)
                memcpy(y + ((b * dim[2] + t) * dim[1] + h) * dim[3], x + ((b * dim[1] + h) * dim[2] + t) * dim[3],
                       (size_t)dim[3] * sizeof *y);
    return y;
}

static float *golden_rows(const struct weights *golden, int i, const char *part, int dim[4])
{
    char name[32];
    snprintf(name, sizeof name, "attention.%d.%s", i, part);
    const struct weight *w = weights_find(golden, name);
    assert_non_null(w);
    memcpy(dim, w->dim, 4 * sizeof *dim);
    float *x = test_floats(golden, name, w->count), *y = rows_of(x, dim);
    free(x);
    return y;
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    for (int i = 0; i < (test_small() ? 2 : 4); i++) {
        int q[4], k[4], causal;
        char name[32];
        struct data x = {.q = golden_rows(&golden, i, "q", q), .k = golden_rows(&golden, i, "k", k)};
        snprintf(name, sizeof name, "attention.%d.causal", i);
        float *stored = test_floats(&golden, name, 1);
        memcpy(&causal, stored, sizeof causal);
        free(stored);
        x.v = golden_rows(&golden, i, "v", k);
        x.want = golden_rows(&golden, i, "y", q);
        x.s = (struct shape){.batch = q[0], .heads = q[1], .d = q[3], .queries = q[2], .keys = k[2], .causal = causal};
        x.columns = q[1] * q[3];
        for (size_t f = 0; f < COUNT(families); f++) {
            if (use_family(f)->dtype != DTYPE_F32)
                continue; /* torch's numbers are not rounded */
            struct attention_cache cache = poisoned_cache(&x.s, x.s.keys);
            store(&x, &cache, 0, x.s.keys);
            attend(&x, &cache, 0, x.s.queries, x.s.keys);
            attention_cache_free(test_context(), &cache);
        }
        data_free(&x);
    }
    weights_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_image_shapes),
        cmocka_unit_test(test_long),           cmocka_unit_test(test_causal),
        cmocka_unit_test(test_pieces),         cmocka_unit_test(test_scale),
        cmocka_unit_test(test_row_sizes),      cmocka_unit_test(test_little_local_memory),
        cmocka_unit_test(test_cache_in_arena), cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_torch),          cmocka_unit_test(test_bf16_storage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
