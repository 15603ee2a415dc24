/* test_op_attention_bwd.c - the gradient of attention: both families, over odd shapes, causal, in wider rows, for a part of a batch,
 * against host/ref, torch and finite differences. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

#define TOLERANCE 2e-5
#define BEFORE 0x1p-7f /* what gradients hold before they are added to */

static const char *const families[] = {"row", "group"};

/* The first family to test: llvmpipe does not finish compiling the register tiles of family 0, which is for CPUs. */
static size_t family_from(void)
{
    return strstr(test_context()->device.name, "llvmpipe") != NULL;
}

static void use(size_t family)
{
    test_param("attention.family", families[family]);
    if (test_small()) { /* 8 rows in registers compile for minutes there */
        test_param("attention.row.queries", "2");
        test_param("attention.bwd.rows", "2");
        test_param("attention.bwd.keys", "64");
    }
}

struct shape {
    int batch, heads, d, queries, keys;
    bool causal; /* the queries are then the last of the keys */
    bool fused;  /* q lies in wider rows, k and v together in rows of their own */
    float scale, spread;
    int before, after; /* batch rows whose keys are stored but not attended to */
};

/* Plain rows: q, out, dout, dq [batch, queries, columns], k, v, dk, dv [batch, keys, columns]. */
struct data {
    struct shape s;
    struct attention_args a; /* of plain rows */
    int columns, q_count, k_count;
    float *q, *k, *v, *out, *dout, *dq, *dk, *dv;
};

static struct data empty(struct shape s)
{
    int columns = s.heads * s.d;
    struct data x = {.s = s, .columns = columns, .q_count = s.batch * s.queries * columns, .k_count = s.batch * s.keys * columns};
    x.a = (struct attention_args){.batch = s.batch,
                                  .heads = s.heads,
                                  .head_dim = s.d,
                                  .queries = s.queries,
                                  .keys = s.keys,
                                  .causal = s.causal,
                                  .position = s.causal ? s.keys - s.queries : 0,
                                  .ldq = columns,
                                  .ldo = columns,
                                  .scale = s.scale > 0 ? s.scale : 1 / sqrtf((float)s.d)};
    return x;
}

static struct data make(struct shape s)
{
    struct data x = empty(s);
    x.q = test_scaled(x.q_count, 1, s.spread > 0 ? s.spread : 1);
    x.k = test_scaled(x.k_count, 2, 1);
    x.v = test_scaled(x.k_count, 3, 1);
    x.dout = test_scaled(x.q_count, 4, 1);
    x.out = test_new(x.q_count);
    x.dq = test_new(x.q_count);
    x.dk = test_new(x.k_count);
    x.dv = test_new(x.k_count);
    ref_attention(x.out, x.q, x.k, x.v, NULL, &x.a);
    ref_attention_bwd(x.dq, x.dk, x.dv, x.dout, x.q, x.k, x.v, NULL, &x.a);
    return x;
}

static void data_free(struct data *x)
{
    free(x->q);
    free(x->k);
    free(x->v);
    free(x->out);
    free(x->dout);
    free(x->dq);
    free(x->dk);
    free(x->dv);
}

/* Copy rows of `columns` elements into rows of `ld` from `offset` on, after `skip` rows. */
static void put(float *wide, const float *x, int rows, int columns, int ld, int offset, int skip)
{
    for (int r = 0; r < rows; r++)
        memcpy(wide + (skip + r) * ld + offset, x + r * columns, (size_t)columns * sizeof *x);
}

/* The same rows of a gradient must be BEFORE + `want`, relative to a scale of at least `least`; then they are reset to BEFORE. */
static void check_rows(float *wide, const float *want, int rows, int columns, int ld, int offset, int skip, double least)
{
    float *x = test_new(rows * columns);
    double greatest = 1e-3; /* as assert_close */
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            float *at = wide + (skip + r) * ld + offset + c;
            x[r * columns + c] = *at - BEFORE;
            *at = BEFORE;
            greatest = fmax(greatest, fabs((double)want[r * columns + c]));
        }
    assert_close(x, want, (size_t)(rows * columns), TOLERANCE * fmax(1, least / greatest));
    free(x);
}

static void check_untouched(float *wide, int n)
{
    for (int i = 0; i < n; i++)
        if (memcmp(wide + i, &(float){BEFORE}, sizeof *wide) != 0)
            fail_msg("element %d of a gradient is %g, and must not be written", i, (double)wide[i]);
    free(wide);
}

/* The tensors on the device. */
struct layout {
    struct attention_args a;
    struct attention_store_args s;
    int q_rows, k_rows, skip;
    struct tensor q, k, v, out, dout, dq, dk, dv; /* fused: v is k, dv is dk */
};

static struct tensor filled(int rows, int ld, float value)
{
    float *x = test_new(rows * ld);
    for (int i = 0; i < rows * ld; i++)
        x[i] = value;
    struct tensor t = test_tensor(DTYPE_F32, 2, rows, ld, 1, 1, x);
    free(x);
    return t;
}

static struct tensor wide_rows(const float *from, int rows, int all, int columns, int ld, int offset, int skip)
{
    float *wide = test_new(all * ld);
    for (int i = 0; i < all * ld; i++)
        wide[i] = NAN;
    put(wide, from, rows, columns, ld, offset, skip);
    struct tensor t = test_tensor(DTYPE_F32, 2, all, ld, 1, 1, wide);
    free(wide);
    return t;
}

static struct layout lay_out(const struct data *x)
{
    const struct shape *s = &x->s;
    int c = x->columns, rows = s->batch * s->queries, batch_rows = s->before + s->batch + s->after, stored = s->batch * s->keys;
    struct layout l = {.a = x->a, .q_rows = rows, .k_rows = batch_rows * s->keys, .skip = s->before * s->keys};
    l.s = (struct attention_store_args){.batch = batch_rows, .heads = s->heads, .head_dim = s->d, .rows = s->keys, .ldk = c, .ldv = c};
    l.a.first = s->before;
    l.a.scale = s->scale;
    if (s->fused) {
        l.a.ldq = c + 5;
        l.a.q_offset = 3;
        l.a.ldo = c + 1;
        l.s.ldk = l.s.ldv = 2 * c + 3;
        l.s.k_offset = 1;
        l.s.v_offset = c + 2;
    }
    l.q = wide_rows(x->q, rows, rows, c, l.a.ldq, l.a.q_offset, 0);
    l.out = wide_rows(x->out, rows, rows, c, l.a.ldo, 0, 0);
    l.dout = wide_rows(x->dout, rows, rows, c, l.a.ldo, 0, 0);
    l.dq = filled(rows, l.a.ldq, BEFORE);
    l.dk = filled(l.k_rows, l.s.ldk, BEFORE);
    l.dv = s->fused ? l.dk : filled(l.k_rows, l.s.ldv, BEFORE);
    l.k = wide_rows(x->k, stored, l.k_rows, c, l.s.ldk, l.s.k_offset, l.skip);
    if (s->fused) {
        float *wide = test_read(&l.k);
        put(wide, x->v, stored, c, l.s.ldv, l.s.v_offset, l.skip);
        test_free(&l.k);
        l.k = test_tensor(DTYPE_F32, 2, l.k_rows, l.s.ldk, 1, 1, wide);
        l.v = l.k;
        free(wide);
    } else
        l.v = wide_rows(x->v, stored, l.k_rows, c, l.s.ldv, l.s.v_offset, l.skip);
    return l;
}

static void layout_free(struct layout *l, bool fused)
{
    test_free(&l->q);
    test_free(&l->k);
    test_free(&l->out);
    test_free(&l->dout);
    test_free(&l->dq);
    test_free(&l->dk);
    if (!fused) {
        test_free(&l->v);
        test_free(&l->dv);
    }
}

/* Planned, and then run. want: 1 dq, 2 dk, 4 dv. */
static void run(const struct layout *l, int want)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    const struct tensor *dq = want & 1 ? &l->dq : NULL, *dk = want & 2 ? &l->dk : NULL, *dv = want & 4 ? &l->dv : NULL;
    ctx->planning = true;
    clio_status planned = op_attention_bwd(ctx, &arena, dq, dk, dv, &l->dout, &l->out, &l->q, &l->k, &l->v, NULL, l->s, l->a);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_attention_bwd(ctx, &arena, dq, dk, dv, &l->dout, &l->out, &l->q, &l->k, &l->v, NULL, l->s, l->a));
    arena_free(ctx, &arena);
}

static void check_some(const struct data *x, int want)
{
    struct layout l = lay_out(x);
    int rows = x->s.batch * x->s.keys;
    double least = x->s.keys > 1 ? 0.02 : 1; /* with a single key, dq and dk are differences of equal numbers */
    run(&l, want);
    float *dq = test_read(&l.dq), *dk = test_read(&l.dk), *dv = x->s.fused ? dk : test_read(&l.dv);
    if (want & 1)
        check_rows(dq, x->dq, l.q_rows, x->columns, l.a.ldq, l.a.q_offset, 0, least);
    if (want & 2)
        check_rows(dk, x->dk, rows, x->columns, l.s.ldk, l.s.k_offset, l.skip, least);
    if (want & 4)
        check_rows(dv, x->dv, rows, x->columns, l.s.ldv, l.s.v_offset, l.skip, least);
    check_untouched(dq, l.q_rows * l.a.ldq);
    check_untouched(dk, l.k_rows * l.s.ldk);
    if (!x->s.fused)
        check_untouched(dv, l.k_rows * l.s.ldv);
    layout_free(&l, x->s.fused);
}

static void check(struct shape s)
{
    struct data x = make(s);
    check_some(&x, 7);
    data_free(&x);
}

static void test_shapes(void **state)
{
    static const int widths[] = {1, 8, 13, 40, 64, 80, 160, 512}, queries[] = {1, 7, 8, 31, 32, 33, 65, 130},
                     keys[] = {1, 7, 9, 32, 33, 63, 64, 65, 77, 129};
    (void)state;
    for (size_t f = family_from(); f < COUNT(families); f++) {
        use(f);
        check((struct shape){.batch = 2, .heads = 2, .d = 8, .queries = 33, .keys = 34});
        check((struct shape){.batch = 1, .heads = 1, .d = 13, .queries = 3, .keys = 9});
        if (test_small())
            continue;
        for (size_t d = 0; d < COUNT(widths); d++)
            for (size_t k = 0; k < COUNT(keys); k++)
                for (size_t q = (d + k) % 4; q < COUNT(queries); q += 4)
                    check((struct shape){.batch = 1 + (int)(q + k) % 2,
                                         .heads = 1 + (int)k % 3,
                                         .d = widths[d],
                                         .queries = queries[q],
                                         .keys = keys[k],
                                         .fused = k % 3 == 0});
    }
}

static void test_causal(void **state)
{
    (void)state;
    for (size_t f = family_from(); f < COUNT(families); f++) {
        use(f);
        check((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 34, .keys = 37, .causal = true, .fused = true});
        for (int queries = 1; queries <= 100 && !test_small(); queries += queries < 10 ? 3 : 29)
            for (int before = 0; before <= 100; before += 33)
                check((struct shape){.batch = 2,
                                     .heads = 2,
                                     .d = 40,
                                     .queries = queries,
                                     .keys = queries + before,
                                     .causal = true,
                                     .fused = before % 2 == 0});
    }
}

/* More keys than are stored at once; large scores; a scale given by the caller; keys of other batch rows. */
static void test_rest(void **state)
{
    (void)state;
    for (size_t f = family_from(); f < COUNT(families); f++) {
        use(f);
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 3, .keys = 40, .scale = 0.9f});
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 12, .keys = 40, .spread = 150, .causal = true});
        check((struct shape){.batch = 2, .heads = 1, .d = 8, .queries = 5, .keys = 6, .before = 1, .after = 2, .fused = true});
        test_param("attention.bwd.keys", test_small() ? "16" : "60");
        if (!test_small())
            check((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 35, .keys = 150, .spread = 20});
        check((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 34, .keys = 100, .causal = true, .fused = true});
        test_param("attention.bwd.keys", "1024");
        if (test_small())
            continue;
        check((struct shape){.batch = 1, .heads = 2, .d = 64, .queries = 70, .keys = 1100});
        check((struct shape){.batch = 1, .heads = 1, .d = 512, .queries = 70, .keys = 600});
    }
}

/* Unwanted gradients are not written, and the others are the same. */
static void test_wanted(void **state)
{
    (void)state;
    for (size_t f = family_from(); f < COUNT(families); f++) {
        use(f);
        struct data x = make((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 9, .keys = 35, .fused = f == 0});
        for (int want = 0; want < 7; want++)
            check_some(&x, want);
        data_free(&x);
    }
}

static void test_same_bits(void **state)
{
    struct data x = test_small() ? make((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 33, .keys = 34})
                                 : make((struct shape){.batch = 2, .heads = 2, .d = 24, .queries = 65, .keys = 77});
    (void)state;
    for (size_t f = family_from(); f < COUNT(families); f++) {
        float *first[3] = {0};
        use(f);
        for (int again = 0; again < 2; again++) {
            struct layout l = lay_out(&x);
            const struct tensor *grads[] = {&l.dq, &l.dk, &l.dv};
            run(&l, 7);
            for (int i = 0; i < 3; i++) {
                float *y = test_read(grads[i]);
                if (again)
                    assert_memory_equal(y, first[i], tensor_count(grads[i]) * sizeof *y);
                free(first[i]);
                first[i] = y;
            }
            layout_free(&l, false);
        }
        for (int i = 0; i < 3; i++)
            free(first[i]);
    }
    data_free(&x);
}

/* sum(dout out) by the forward's reference, with x[i] changed by h */
static double moved(const struct data *x, float *what, int i, float h)
{
    float was = what[i];
    double sum = 0;
    float *out = test_new(x->q_count);
    what[i] = was + h;
    ref_attention(out, x->q, x->k, x->v, NULL, &x->a);
    for (int j = 0; j < x->q_count; j++)
        sum += (double)out[j] * (double)x->dout[j];
    what[i] = was;
    free(out);
    return sum;
}

static void test_differences(void **state)
{
    struct data x = make((struct shape){.batch = 2, .heads = 2, .d = 5, .queries = 6, .keys = 8, .causal = true, .spread = 3});
    float *what[] = {x.q, x.k, x.v}, *want[] = {x.dq, x.dk, x.dv};
    int count[] = {x.q_count, x.k_count, x.k_count};
    (void)state;
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < count[t]; i += 3) {
            float h = 0x1p-7f;
            double slope = (moved(&x, what[t], i, h) - moved(&x, what[t], i, -h)) / (2 * (double)h);
            if (fabs(slope - (double)want[t][i]) > 3e-4)
                fail_msg("gradient %d of tensor %d: %g, differences say %g", i, t, (double)want[t][i], slope);
        }
    data_free(&x);
}

/* [B, heads, T, D] of a golden file to [B, T, heads, D], in fresh memory. */
static float *golden_rows(const struct weights *golden, int i, const char *part, int dim[4])
{
    char name[32];
    snprintf(name, sizeof name, "attention.%d.%s", i, part);
    const struct weight *w = weights_find(golden, name);
    assert_non_null(w);
    memcpy(dim, w->dim, 4 * sizeof *dim);
    float *x = test_floats(golden, name, w->count), *y = test_new((int)w->count);
    for (int b = 0; b < dim[0]; b++)
        for (int h = 0; h < dim[1]; h++)
            for (int t = 0; t < dim[2]; t++)
                memcpy(y + ((b * dim[2] + t) * dim[1] + h) * dim[3], x + ((b * dim[1] + h) * dim[2] + t) * dim[3],
                       (size_t)dim[3] * sizeof *y);
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
        float *tensors[8];
        static const char *const names[] = {"q", "y", "dy", "dq", "k", "v", "dk", "dv"};
        for (int t = 0; t < 8; t++)
            tensors[t] = golden_rows(&golden, i, names[t], t < 4 ? q : k);
        snprintf(name, sizeof name, "attention.%d.causal", i);
        float *stored = test_floats(&golden, name, 1);
        memcpy(&causal, stored, sizeof causal);
        free(stored);
        struct data x = empty((struct shape){.batch = q[0], .heads = q[1], .d = q[3], .queries = q[2], .keys = k[2], .causal = causal});
        x.q = tensors[0];
        x.out = tensors[1];
        x.dout = tensors[2];
        x.dq = tensors[3];
        x.k = tensors[4];
        x.v = tensors[5];
        x.dk = tensors[6];
        x.dv = tensors[7];
        for (size_t f = family_from(); f < COUNT(families); f++) {
            use(f);
            check_some(&x, 7);
        }
        data_free(&x);
    }
    weights_close(&golden);
}

/* Stored and attended to on a tape, from a scratch tensor that is gone before backward; q may be watched alone. */
static void check_tape(struct shape s, bool with_keys)
{
    clio_context *ctx = test_context();
    struct data x = make(s);
    struct tape tape;
    struct attention_cache cache;
    int c = x.columns, rows = s.batch * s.queries, stored = s.batch * s.keys;
    struct tensor q = test_tensor(DTYPE_F32, 2, rows, c, 1, 1, x.q), dq = test_tensor(DTYPE_F32, 2, rows, c, 1, 1, NULL);
    struct tensor kv = wide_rows(x.k, stored, stored, c, 2 * c, 0, 0), dkv = test_tensor(DTYPE_F32, 2, stored, 2 * c, 1, 1, NULL);
    struct tensor dout = test_tensor(DTYPE_F32, 2, rows, c, 1, 1, x.dout), out = tensor_shape(DTYPE_F32, 2, rows, c, 0, 0);
    float *wide = test_read(&kv);
    put(wide, x.v, stored, c, 2 * c, c, 0);
    assert_ok(tensor_write(ctx, &kv, 0, tensor_count(&kv), wide));
    free(wide);
    assert_ok(tape_open(ctx, &tape));
    for (int step = 0; step < 2; step++) {
        assert_ok(tape_start(ctx, &tape));
        assert_ok(tape_watch(ctx, &tape, &q, &dq, false));
        if (with_keys)
            assert_ok(tape_watch(ctx, &tape, &kv, &dkv, false));
        struct tensor twice = tensor_shape(DTYPE_F32, 2, stored, 2 * c, 0, 0);
        assert_ok(tensor_take(ctx, &tape.arena, &out));
        assert_ok(attention_cache_new(ctx, &tape.arena, &cache, s.batch, s.heads, s.d, s.keys, MATRIX_MANY, "a test cache"));
        uint64_t mark = arena_mark(&tape.arena);
        assert_ok(tensor_take(ctx, &tape.arena, &twice));
        assert_ok(op_add_fwd(ctx, &twice, &kv, &kv, 0.5f, 0.5f));
        struct attention_store_args store = {.rows = s.keys, .ldk = 2 * c, .ldv = 2 * c, .v_offset = c};
        assert_ok(op_attention_store(ctx, &cache, &twice, &twice, store));
        arena_release(&tape.arena, mark);
        struct tensor other = twice; /* may come to lie where the keys were */
        assert_ok(tensor_take(ctx, &tape.arena, &other));
        assert_ok(op_add_fwd(ctx, &other, &kv, &kv, 3, 7));
        struct attention_args a = {.queries = s.queries, .keys = s.keys, .causal = s.causal, .position = x.a.position, .ldq = c, .ldo = c};
        assert_ok(op_attention_fwd(ctx, &tape.arena, &out, &q, &cache, a));
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &tape, &out, &dout));
        float *y = test_read(&dq);
        assert_close(y, x.dq, (size_t)x.q_count, TOLERANCE);
        free(y);
        y = test_read(&dkv);
        for (int r = 0; r < stored && with_keys; r++) {
            assert_close(y + r * 2 * c, x.dk + r * c, (size_t)c, 4 * TOLERANCE); /* on the scale of a row */
            assert_close(y + r * 2 * c + c, x.dv + r * c, (size_t)c, 4 * TOLERANCE);
        }
        free(y);
        tape_reset(&tape);
    }
    tape_close(&tape);
    test_free(&q);
    test_free(&dq);
    test_free(&kv);
    test_free(&dkv);
    test_free(&dout);
    data_free(&x);
}

static void test_tape(void **state)
{
    (void)state;
    for (size_t f = family_from(); f < COUNT(families); f++) {
        use(f);
        test_param("attention.storage", "f32");
        check_tape((struct shape){.batch = 2, .heads = 2, .d = 8, .queries = 5, .keys = 9}, true);
        check_tape((struct shape){.batch = 2, .heads = 1, .d = 8, .queries = 5, .keys = 5, .causal = true}, true);
        check_tape((struct shape){.batch = 1, .heads = 2, .d = 8, .queries = 3, .keys = 7}, false);
    }
}

/* A cache that grows, or was filled before the step, has no gradient. */
static void test_tape_refuses(void **state)
{
    clio_context *ctx = test_context();
    struct attention_cache cache;
    struct arena arena = {0};
    struct tape tape;
    struct tensor x = filled(4, 8, 1), dx = filled(4, 8, 1), out = filled(4, 8, 0);
    struct attention_store_args store = {.rows = 4, .ldk = 8, .ldv = 8};
    struct attention_args a = {.queries = 4, .keys = 4, .ldq = 8, .ldo = 8};
    (void)state;
    assert_ok(attention_cache_new(ctx, NULL, &cache, 1, 1, 8, 8, MATRIX_MANY, "a test cache"));
    assert_ok(op_attention_store(ctx, &cache, &x, &x, store));
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &x, &dx, false));
    assert_fails(op_attention_fwd(ctx, &arena, &out, &x, &cache, a), CLIO_ERROR_INTERNAL, "before the step began");
    assert_ok(op_attention_store(ctx, &cache, &x, &x, store));
    store.position = 4;
    assert_fails(op_attention_store(ctx, &cache, &x, &x, store), CLIO_ERROR_INTERNAL, "a cache that grows has no gradient");
    a.keys = 5;
    assert_fails(op_attention_fwd(ctx, &arena, &out, &x, &cache, a), CLIO_ERROR_INTERNAL, "5 keys");
    tape_pause(ctx);
    tape_close(&tape);
    arena_free(ctx, &arena);
    attention_cache_free(ctx, &cache);
    test_free(&x);
    test_free(&dx);
    test_free(&out);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct data x = make((struct shape){.batch = 1, .heads = 1, .d = 8, .queries = 2, .keys = 3});
    struct layout l = lay_out(&x), w = l;
    (void)state;
#define BWD(L) op_attention_bwd(ctx, &arena, &L.dq, &L.dk, &L.dv, &L.dout, &L.out, &L.q, &L.k, &L.v, NULL, L.s, L.a)
    w.a.keys = 4;
    assert_fails(BWD(w), CLIO_ERROR_INTERNAL, "2 queries at 0 over 4 keys of 3");
    w = l;
    w.s.position = 1;
    assert_fails(BWD(w), CLIO_ERROR_INTERNAL, "keys 1 on");
    w = l;
    w.a.batch = 2;
    assert_fails(BWD(w), CLIO_ERROR_INTERNAL, "asked for 0 to 1");
    w = l;
    w.a.q_offset = 1;
    assert_fails(BWD(w), CLIO_ERROR_INTERNAL, "q is f32 [2, 8], but must hold 2 rows of 8 columns, 8 apart, from 1 on");
    w = l;
    w.dv = l.dq;
    assert_fails(BWD(w), CLIO_ERROR_INTERNAL, "dv is f32 [2, 8]");
#undef BWD
    layout_free(&l, false);
    data_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),  cmocka_unit_test(test_torch),        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_causal),       cmocka_unit_test(test_rest),         cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_same_bits),    cmocka_unit_test(test_wrong_shapes), cmocka_unit_test(test_tape),
        cmocka_unit_test(test_tape_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
