/* test_op_attention_padded.c - attention over key lengths of padded batches, forward and backward, in every kernel family: against
 * host/ref, against each row alone, and on the tape. Keys and values behind a row's length are NaN throughout. */
#include "test_op_attention.h"

#include <math.h>

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

#define MAX_BATCH 4

struct shape {
    int batch, heads, d, queries, keys;
    bool causal; /* the queries are then the last of the keys */
    int before;  /* rows of the cache before those of the call */
    int lengths[MAX_BATCH];
};

/* Plain rows: q, dout, out, dq [batch, queries, columns], k, v, dk, dv [batch, keys, columns]. */
struct data {
    struct shape s;
    struct attention_args a;
    enum dtype dtype;
    int columns, q_count, k_count;
    float *q, *k, *v, *dout, *out, *dq, *dk, *dv;
};

static int length_of(const struct shape *s, int b)
{
    return MAX(0, MIN(s->lengths[b], s->keys));
}

static void reference(const struct data *x, float *out)
{
    ref_attention(out, x->q, x->k, x->v, x->s.lengths, &x->a);
}

static struct data make(struct shape s, enum dtype dtype)
{
    int c = s.heads * s.d;
    struct data x = {.s = s, .dtype = dtype, .columns = c, .q_count = s.batch * s.queries * c, .k_count = s.batch * s.keys * c};
    float scale = 1 / sqrtf((float)s.d), rounding = scale * LOG2E; /* with it queries meet keys of bfloat16 */
    x.a = (struct attention_args){.batch = s.batch, .heads = s.heads, .head_dim = s.d, .queries = s.queries, .keys = s.keys};
    x.a.causal = s.causal;
    x.a.position = s.causal ? s.keys - s.queries : 0;
    x.a.ldq = x.a.ldo = c;
    x.a.scale = scale;
    x.q = test_values((size_t)x.q_count, 1);
    x.k = test_values((size_t)x.k_count, 2);
    x.v = test_values((size_t)x.k_count, 3);
    x.dout = test_values((size_t)x.q_count, 4);
    x.out = test_new((size_t)x.q_count);
    x.dq = test_new((size_t)x.q_count);
    x.dk = test_new((size_t)x.k_count);
    x.dv = test_new((size_t)x.k_count);
    for (int i = 0; i < x.q_count && dtype == DTYPE_BF16; i++)
        x.q[i] = dtype_nearest(DTYPE_BF16, x.q[i] * rounding) / rounding;
    for (int i = 0; i < x.k_count; i++) {
        bool padding = i / c % s.keys >= length_of(&s, i / c / s.keys);
        x.k[i] = padding ? NAN : dtype_nearest(dtype, x.k[i]);
        x.v[i] = padding ? NAN : dtype_nearest(dtype, x.v[i]);
    }
    reference(&x, x.out);
    ref_attention_bwd(x.dq, x.dk, x.dv, x.dout, x.q, x.k, x.v, s.lengths, &x.a);
    return x;
}

static void data_free(struct data *x)
{
    free(x->q);
    free(x->k);
    free(x->v);
    free(x->dout);
    free(x->out);
    free(x->dq);
    free(x->dk);
    free(x->dv);
}

/* `count` numbers behind `skip` NaNs, as a tensor. */
static struct tensor tensor_behind(const float *from, int skip, int count)
{
    float *x = test_new((size_t)(skip + count));
    for (int i = 0; i < skip; i++)
        x[i] = NAN;
    memcpy(x + skip, from, (size_t)count * sizeof *x);
    struct tensor t = test_tensor(DTYPE_F32, 1, skip + count, 1, 1, 1, x);
    free(x);
    return t;
}

static struct tensor lengths_tensor(const struct shape *s)
{
    int lengths[2 * MAX_BATCH] = {0};
    for (int b = 0; b < s->before; b++)
        lengths[b] = 2 + b;
    memcpy(lengths + s->before, s->lengths, (size_t)s->batch * sizeof *lengths);
    return test_tensor(DTYPE_I32, 1, s->before + s->batch, 1, 1, 1, lengths);
}

/* ---- forward ---- */

/* The numbers of one stored row are NaN, whatever is stored over them. */
static void poison(const struct tensor *t)
{
    size_t bytes = tensor_count(t) * dtype_size(t->dtype);
    unsigned char *x = malloc(bytes);
    assert_non_null(x);
    memset(x, 0xff, bytes);
    cl_int failed = clEnqueueWriteBuffer(test_context()->queue, t->mem, CL_TRUE, 0, bytes, x, 0, NULL, NULL);
    free(x);
    assert_int_equal(failed, CL_SUCCESS);
}

/* Attention of rows `first` to first + batch - 1 of x over their first `keys` keys; key_lengths NULL: no others are stored (one row only,
 * or all keys). In fresh memory.
 */
static float *attend(const struct data *x, int first, int batch, int keys, const struct tensor *key_lengths)
{
    clio_context *ctx = test_context();
    const struct shape *s = &x->s;
    struct attention_cache cache;
    struct arena arena = {0};
    struct attention_args a = x->a;
    int before = key_lengths ? s->before : 0, c = x->columns, each = s->queries * c;
    a.first = before;
    a.batch = batch;
    a.keys = keys;
    assert_ok(attention_cache_new_padded(ctx, NULL, &cache, before + batch, s->heads, s->d, s->keys, key_lengths, MATRIX_MANY, "a test"));
    assert_int_equal(cache.k.dtype, x->dtype);
    poison(&cache.k);
    poison(&cache.v);
    struct tensor q = tensor_behind(x->q + first * each, 0, batch * each), out = test_tensor(DTYPE_F32, 1, batch * each, 1, 1, 1, NULL);
    struct tensor k = tensor_behind(x->k + first * s->keys * c, before * s->keys * c, batch * s->keys * c);
    struct tensor v = tensor_behind(x->v + first * s->keys * c, before * s->keys * c, batch * s->keys * c);
    assert_ok(
        op_attention_store(ctx, &cache, &k, &v, (struct attention_store_args){.rows = key_lengths ? s->keys : keys, .ldk = c, .ldv = c}));
    ctx->planning = true;
    clio_status planned = op_attention_fwd(ctx, &arena, &out, &q, &cache, a);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_attention_fwd(ctx, &arena, &out, &q, &cache, a));
    float *y = test_read(&out);
    test_free(&q);
    test_free(&k);
    test_free(&v);
    test_free(&out);
    arena_free(ctx, &arena);
    attention_cache_free(ctx, &cache);
    return y;
}

/* Whether the group family adds up as many parts for n keys as for all of them. */
static bool same_parts(const struct shape *s, const struct family *family, int n)
{
    return strcmp(family->name, "row") == 0 || s->queries > 8 || (n + 255) / 256 == (s->keys + 255) / 256;
}

static void check(struct shape s, const struct family *family)
{
    struct data x = make(s, storage_for(family, s.d));
    struct tensor lengths = lengths_tensor(&s);
    double tolerance = x.dtype == DTYPE_BF16 ? BFLOAT_TOLERANCE : TOLERANCE;
    float *y = attend(&x, 0, s.batch, s.keys, &lengths);
    assert_close(y, x.out, (size_t)x.q_count, tolerance);
    for (int b = 0; b < s.batch; b++) {
        size_t each = (size_t)(s.queries * x.columns);
        const float *row = y + (size_t)b * each;
        for (size_t i = 0; i < each && length_of(&s, b) == 0; i++)
            assert_true(row[i] == 0);
        if (length_of(&s, b) == 0)
            continue;
        float *alone = attend(&x, b, 1, length_of(&s, b), NULL);
        if (same_parts(&s, family, length_of(&s, b)) && memcmp(alone, row, each * sizeof *row) != 0)
            fail_msg("%s %s, heads of %d, %d queries: row %d of %d keys alone has other bits", family->name, dtype_name(x.dtype), s.d,
                     s.queries, b, length_of(&s, b));
        assert_close(row, alone, each, tolerance);
        free(alone);
    }
    free(y);
    test_free(&lengths);
    data_free(&x);
}

static void check_small(const struct family *family)
{
    int d = family->dtype == DTYPE_BF16 ? 32 : 8;
    check((struct shape){.batch = 4, .heads = 2, .d = d, .queries = 3, .keys = 35, .lengths = {0, 1, 33, 40}}, family);
    check((struct shape){.batch = 2, .heads = 1, .d = d, .queries = 1, .keys = 34, .before = 2, .lengths = {31, -7}}, family);
    check((struct shape){.batch = 3, .heads = 1, .d = d, .queries = 10, .keys = 34, .causal = true, .lengths = {28, 0, 32}}, family);
}

/* Queries of the single-query, split and tile kernels, and around the queries of a work-item; keys around panels, chunks and parts. */
static void test_shapes(void **state)
{
    static const int widths[] = {13, 40, 64, 512}, queries[] = {1, 7, 8, 9, 33}, keys[] = {33, 77, 129, 300, 600};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        check_small(family);
        for (size_t d = 0; d < COUNT(widths) && !test_small(); d++)
            for (size_t k = 0; k < COUNT(keys) && storage_for(family, widths[d]) == family->dtype; k++)
                for (size_t q = (d + k) % 2; q < COUNT(queries); q += 2) {
                    struct shape s = {.batch = 4, .heads = 1 + (int)k % 2, .d = widths[d], .queries = queries[q], .keys = keys[k]};
                    int n = keys[k];
                    memcpy(s.lengths,
                           (int[][4]){{0, 1, n, n + 1}, {31, 32, 33, n - 1}, {n / 2, n, 17, -1}, {127, 128, 129, 257}}[(q + k) % 4],
                           sizeof s.lengths);
                    check(s, family);
                    s.causal = s.queries <= n;
                    s.before = (int)q % 3;
                    check(s, family);
                }
    }
}

/* Every length of two panels. */
static void test_lengths(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families) && !test_small(); f++) {
        const struct family *family = use_family(f);
        for (int n = 0; n <= 64; n += 4)
            for (int queries = 1; queries < 20; queries += 9)
                check((struct shape){.batch = 4, .heads = 1, .d = 32, .queries = queries, .keys = 64, .lengths = {n, n + 1, n + 2, n + 3}},
                      family);
    }
}

/* One length for all, and none given, are the same to the bit. */
static void test_all_keys(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        const struct family *family = use_family(f);
        for (int queries = 1; queries < 20; queries += 9) {
            struct shape s = {.batch = 2, .heads = 2, .d = 32, .queries = queries, .keys = 35, .lengths = {35, 1000}};
            struct data x = make(s, family->dtype);
            struct tensor lengths = lengths_tensor(&s);
            float *padded = attend(&x, 0, 2, s.keys, &lengths), *plain = attend(&x, 0, 2, s.keys, NULL);
            assert_memory_equal(padded, plain, (size_t)x.q_count * sizeof *plain);
            free(padded);
            free(plain);
            test_free(&lengths);
            data_free(&x);
        }
    }
}

/* ---- backward ---- */

struct gradients {
    float *dq, *dk, *dv;
};

static void gradients_free(struct gradients *g)
{
    free(g->dq);
    free(g->dk);
    free(g->dv);
}

/* The gradients of rows `first` to first + batch - 1 of x over their first `keys` keys, added to zeros. */
static struct gradients differentiate(const struct data *x, int first, int batch, int keys, const struct tensor *key_lengths)
{
    clio_context *ctx = test_context();
    const struct shape *s = &x->s;
    struct arena arena = {0};
    struct attention_args a = x->a;
    int before = key_lengths ? s->before : 0, c = x->columns, each = s->queries * c, k_each = s->keys * c;
    struct attention_store_args store = {.batch = before + batch, .heads = s->heads, .head_dim = s->d, .rows = s->keys, .ldk = c, .ldv = c};
    a.first = before;
    a.batch = batch;
    a.keys = keys;
    struct tensor q = tensor_behind(x->q + first * each, 0, batch * each), out = tensor_behind(x->out + first * each, 0, batch * each);
    struct tensor dout = tensor_behind(x->dout + first * each, 0, batch * each);
    struct tensor k = tensor_behind(x->k + first * k_each, before * k_each, batch * k_each);
    struct tensor v = tensor_behind(x->v + first * k_each, before * k_each, batch * k_each);
    float *zeros = test_new((size_t)((before + batch) * MAX(each, k_each)));
    struct tensor dq = tensor_behind(zeros, 0, batch * each), dk = tensor_behind(zeros, 0, (before + batch) * k_each);
    struct tensor dv = tensor_behind(zeros, 0, (before + batch) * k_each);
    ctx->planning = true;
    clio_status planned = op_attention_bwd(ctx, &arena, &dq, &dk, &dv, &dout, &out, &q, &k, &v, key_lengths, store, a);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_attention_bwd(ctx, &arena, &dq, &dk, &dv, &dout, &out, &q, &k, &v, key_lengths, store, a));
    struct gradients g = {test_read(&dq), test_read(&dk), test_read(&dv)};
    for (int i = 0; i < before * k_each; i++)
        assert_true(g.dk[i] == 0 && g.dv[i] == 0);
    memmove(g.dk, g.dk + before * k_each, (size_t)(batch * k_each) * sizeof *g.dk);
    memmove(g.dv, g.dv + before * k_each, (size_t)(batch * k_each) * sizeof *g.dv);
    struct tensor *all[] = {&q, &k, &v, &out, &dout, &dq, &dk, &dv};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    free(zeros);
    arena_free(ctx, &arena);
    return g;
}

static void check_gradients(struct shape s)
{
    struct data x = make(s, DTYPE_F32);
    struct tensor lengths = lengths_tensor(&s);
    struct gradients g = differentiate(&x, 0, s.batch, s.keys, &lengths);
    int c = x.columns;
    assert_close(g.dq, x.dq, (size_t)x.q_count, 2 * TOLERANCE);
    assert_close(g.dk, x.dk, (size_t)x.k_count, 2 * TOLERANCE);
    assert_close(g.dv, x.dv, (size_t)x.k_count, 2 * TOLERANCE);
    for (int b = 0; b < s.batch; b++) {
        int keys = length_of(&s, b), q_at = b * s.queries * c, k_at = b * s.keys * c;
        for (int i = k_at + keys * c; i < k_at + s.keys * c; i++)
            assert_true(g.dk[i] == 0 && g.dv[i] == 0);
        for (int i = q_at; i < q_at + s.queries * c && keys == 0; i++)
            assert_true(g.dq[i] == 0);
        if (keys == 0)
            continue;
        struct gradients alone = differentiate(&x, b, 1, keys, NULL);
        assert_memory_equal(g.dq + q_at, alone.dq, (size_t)(s.queries * c) * sizeof *g.dq);
        assert_memory_equal(g.dk + k_at, alone.dk, (size_t)(s.keys * c) * sizeof *g.dk);
        assert_memory_equal(g.dv + k_at, alone.dv, (size_t)(s.keys * c) * sizeof *g.dv);
        gradients_free(&alone);
    }
    gradients_free(&g);
    test_free(&lengths);
    data_free(&x);
}

/* The families of backward are those of forward with f32; llvmpipe does not finish compiling the first one's register tiles. */
static size_t next_family(size_t f)
{
    for (; f < COUNT(families); f++)
        if (families[f].dtype == DTYPE_F32 && !(strcmp(families[f].name, "row") == 0 && strstr(test_context()->device.name, "llvmpipe")))
            break;
    return f;
}

static void test_gradients(void **state)
{
    static const int widths[] = {8, 13, 64, 512}, queries[] = {1, 7, 32, 33, 65}, keys[] = {9, 33, 64, 77, 129};
    (void)state;
    for (size_t f = next_family(0); f < COUNT(families); f = next_family(f + 1)) {
        use_family(f);
        check_gradients((struct shape){.batch = 4, .heads = 2, .d = 8, .queries = 3, .keys = 35, .lengths = {0, 1, 33, 40}});
        check_gradients((struct shape){
            .batch = 3, .heads = 1, .d = 8, .queries = 33, .keys = 35, .before = 2, .causal = true, .lengths = {31, -7, 32}});
        for (size_t d = 0; d < COUNT(widths) && !test_small(); d++)
            for (size_t k = 0; k < COUNT(keys); k++)
                for (size_t q = (d + k) % 3; q < COUNT(queries); q += 3) {
                    struct shape s = {.batch = 4, .heads = 1 + (int)k % 2, .d = widths[d], .queries = queries[q], .keys = keys[k]};
                    int n = keys[k];
                    memcpy(s.lengths, (int[][4]){{0, 1, n, n + 1}, {31, 32, 33, n - 1}, {n / 2, n, 17, -1}}[(q + k) % 3], sizeof s.lengths);
                    check_gradients(s);
                    s.causal = s.queries <= n;
                    s.before = (int)q % 3;
                    check_gradients(s);
                }
        test_param("attention.bwd.keys", test_small() ? "16" : "60"); /* more keys than the row family holds at once */
        check_gradients((struct shape){.batch = 2, .heads = 1, .d = 8, .queries = 34, .keys = 100, .lengths = {61, 100}});
        test_param("attention.bwd.keys", test_small() ? "64" : "1024");
    }
}

/* sum(dout out) by the forward's reference, with what[i] changed by h */
static double moved(const struct data *x, float *what, int i, float h)
{
    float was = what[i], *out = test_new((size_t)x->q_count);
    double sum = 0;
    what[i] = was + h;
    reference(x, out);
    for (int j = 0; j < x->q_count; j++)
        sum += (double)out[j] * (double)x->dout[j];
    what[i] = was;
    free(out);
    return sum;
}

static void test_differences(void **state)
{
    struct data x =
        make((struct shape){.batch = 4, .heads = 2, .d = 5, .queries = 6, .keys = 8, .causal = true, .lengths = {0, 1, 5, 9}}, DTYPE_F32);
    float *what[] = {x.q, x.k, x.v}, *want[] = {x.dq, x.dk, x.dv};
    int count[] = {x.q_count, x.k_count, x.k_count};
    (void)state;
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < count[t]; i += 3) {
            float h = 0x1p-7f;
            double slope = (moved(&x, what[t], i, h) - moved(&x, what[t], i, -h)) / (2 * (double)h);
            if (!(fabs(slope - (double)want[t][i]) <= 3e-4))
                fail_msg("gradient %d of tensor %d: %g, differences say %g", i, t, (double)want[t][i], slope);
        }
    data_free(&x);
}

/* ---- tape ---- */

/* in: q, rows of keys followed by values, key lengths. */
static clio_status block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct shape *s = user;
    int c = s->heads * s->d;
    uint64_t mark = arena_mark(arena);
    struct attention_cache cache;
    TRY(attention_cache_new_padded(ctx, arena, &cache, s->batch, s->heads, s->d, s->keys, &in[2], MATRIX_MANY, "a test"));
    TRY(op_attention_store(ctx, &cache, &in[1], &in[1],
                           (struct attention_store_args){.rows = s->keys, .ldk = 2 * c, .ldv = 2 * c, .v_offset = c}));
    TRY(op_attention_fwd(ctx, arena, out, &in[0], &cache,
                         (struct attention_args){.queries = s->queries, .keys = s->keys, .ldq = c, .ldo = c}));
fail:
    arena_release(arena, mark);
    return st;
}

/* A step whose key lengths lie in scratch that is released and written again before backward. recompute: through tape_checkpoint. */
static struct gradients step(const struct data *x, bool recompute)
{
    clio_context *ctx = test_context();
    const struct shape *s = &x->s;
    int c = x->columns, rows = s->batch * s->queries, stored = s->batch * s->keys, garbage[MAX_BATCH] = {3, 3, 3, 3};
    struct tape tape;
    float *wide = test_new((size_t)(stored * 2 * c));
    for (int r = 0; r < stored; r++) {
        memcpy(wide + r * 2 * c, x->k + r * c, (size_t)c * sizeof *wide);
        memcpy(wide + r * 2 * c + c, x->v + r * c, (size_t)c * sizeof *wide);
    }
    struct tensor q = test_tensor(DTYPE_F32, 2, rows, c, 1, 1, x->q), dq = test_tensor(DTYPE_F32, 2, rows, c, 1, 1, NULL);
    struct tensor kv = test_tensor(DTYPE_F32, 2, stored, 2 * c, 1, 1, wide), dkv = test_tensor(DTYPE_F32, 2, stored, 2 * c, 1, 1, NULL);
    struct tensor dout = test_tensor(DTYPE_F32, 2, rows, c, 1, 1, x->dout), out = tensor_shape(DTYPE_F32, 2, rows, c, 0, 0);
    struct tensor lengths = tensor_shape(DTYPE_I32, 1, s->batch, 0, 0, 0), other = lengths;
    free(wide);
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &q, &dq, false));
    assert_ok(tape_watch(ctx, &tape, &kv, &dkv, false));
    assert_ok(tensor_take(ctx, &tape.arena, &out));
    uint64_t mark = arena_mark(&tape.arena);
    assert_ok(tensor_take(ctx, &tape.arena, &lengths));
    assert_ok(tensor_write(ctx, &lengths, 0, (size_t)s->batch, s->lengths));
    const struct tensor in[] = {q, kv, lengths};
    if (recompute)
        assert_ok(tape_checkpoint(ctx, &tape.arena, block, s, sizeof *s, &out, in, 3));
    else
        assert_ok(block(ctx, &tape.arena, s, &out, in));
    arena_release(&tape.arena, mark);
    assert_ok(tensor_take(ctx, &tape.arena, &other));
    assert_ok(tensor_write(ctx, &other, 0, (size_t)s->batch, garbage));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &out, &dout));
    struct gradients g = {.dq = test_read(&dq), .dk = test_read(&dkv)};
    tape_close(&tape);
    struct tensor *all[] = {&q, &kv, &dq, &dkv, &dout};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    return g;
}

static void test_tape(void **state)
{
    (void)state;
    for (size_t f = next_family(0); f < COUNT(families); f = next_family(f + 1)) {
        use_family(f);
        struct data x = make((struct shape){.batch = 4, .heads = 2, .d = 8, .queries = 5, .keys = 9, .lengths = {0, 1, 7, 20}}, DTYPE_F32);
        struct gradients kept = step(&x, false), recomputed = step(&x, true);
        int c = x.columns;
        assert_close(kept.dq, x.dq, (size_t)x.q_count, 2 * TOLERANCE);
        for (int r = 0; r < x.s.batch * x.s.keys; r++) {
            assert_close(kept.dk + r * 2 * c, x.dk + r * c, (size_t)c, 4 * TOLERANCE); /* on the scale of a row */
            assert_close(kept.dk + r * 2 * c + c, x.dv + r * c, (size_t)c, 4 * TOLERANCE);
        }
        assert_memory_equal(kept.dq, recomputed.dq, (size_t)x.q_count * sizeof(float));
        assert_memory_equal(kept.dk, recomputed.dk, (size_t)(2 * x.k_count) * sizeof(float));
        gradients_free(&kept);
        gradients_free(&recomputed);
        data_free(&x);
    }
}

/* ---- choice and shapes ---- */

/* The self-tests of kernels with key lengths find nothing wrong with what the tests above found right. tests/test_selftest.c has wrong
 * ones.
 */
static void test_checked(void **state)
{
    clio_context *ctx = test_context();
    struct tensor lengths = test_tensor(DTYPE_I32, 1, 1, 1, 1, 1, &(int){5});
    (void)state;
    for (size_t f = 0; f < COUNT(families) && !test_small(); f++) {
        struct attention_cache cache;
        const struct family *family = use_family(f);
        ctx->selftests.bypassed = false;
        clio_status made = attention_cache_new_padded(ctx, NULL, &cache, 1, 1, 32, 32, &lengths, MATRIX_MANY, "a test");
        ctx->selftests.bypassed = true;
        assert_ok(made);
        assert_int_equal(cache.by_row, strcmp(family->name, "row") == 0);
        assert_int_equal(cache.k.dtype, family->dtype);
        attention_cache_free(ctx, &cache);
    }
    test_free(&lengths);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct attention_cache cache;
    struct tensor floats = test_tensor(DTYPE_F32, 1, 2, 1, 1, 1, NULL), two = test_tensor(DTYPE_I32, 1, 2, 1, 1, 1, (int[]){1, 2});
    struct tensor x = test_tensor(DTYPE_F32, 2, 12, 8, 1, 1, NULL);
    struct attention_store_args store = {.batch = 3, .heads = 1, .head_dim = 8, .rows = 4, .ldk = 8, .ldv = 8};
    struct attention_args a = {.batch = 3, .heads = 1, .head_dim = 8, .queries = 4, .keys = 4, .ldq = 8, .ldo = 8};
    (void)state;
    assert_fails(attention_cache_new_padded(ctx, NULL, &cache, 2, 1, 8, 32, &floats, MATRIX_MANY, "a test"), CLIO_ERROR_INTERNAL,
                 "key_lengths is f32 [2], but must be i32 [2]");
    assert_fails(attention_cache_new_padded(ctx, NULL, &cache, 3, 1, 8, 32, &two, MATRIX_MANY, "a test"), CLIO_ERROR_INTERNAL,
                 "key_lengths is i32 [2], but must be i32 [3]");
    assert_fails(op_attention_bwd(ctx, &arena, &x, &x, &x, &x, &x, &x, &x, &x, &two, store, a), CLIO_ERROR_INTERNAL,
                 "key_lengths is i32 [2], but must be i32 [3]");
    test_free(&floats);
    test_free(&two);
    test_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences), cmocka_unit_test(test_shapes),       cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_all_keys),    cmocka_unit_test(test_gradients),    cmocka_unit_test_teardown(test_tape, test_forget_tapes),
        cmocka_unit_test(test_checked),     cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
