/* test_transformer_layer.c - a transformer layer of models/nn against the same in plain C (host/ref): causal or not, with cross-attention,
 * gated, without biases, in place or not, in chunks; and a sequence in pieces through a KV cache against one pass. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ref/ref.h"
#include "../../models/nn/transformer_layer.h"

#define BATCH 2
#define LENGTH 7
#define WIDTH 64
#define HEADS 2
#define INNER 96
#define MEMORY 5        /* positions that cross-attention attends to */
#define MEMORY_WIDTH 33 /* and their width */
#define EPSILON 1e-5f
#define COUNT_X ((size_t)BATCH * LENGTH * WIDTH)

/* A linear layer or norm on the host beside the device's. */
struct pair {
    float *w, *bias; /* of a norm: gamma, beta */
    int out, in;
};
struct host_layer {
    struct pair self_norm, cross_norm, ff_norm, qkv, self_out, q, kv, cross_out, fc1, fc2;
};
struct built {
    struct transformer_layer layer;
    struct host_layer host;
    uint32_t seed;
};

static float *random_floats(size_t count, float scale, float center, uint32_t seed)
{
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    test_random(x, count, seed);
    for (size_t i = 0; i < count; i++)
        x[i] = center + scale * x[i];
    return x;
}

static void upload(struct tensor *t, const float *data, int n)
{
    *t = tensor_shape(DTYPE_F32, 1, n, 0, 0, 0);
    assert_ok(tensor_new(test_context(), t, "test"));
    assert_ok(tensor_write(test_context(), t, 0, (size_t)n, data));
}

static void add_linear(struct built *b, struct linear *l, struct pair *p, int out, int in, bool bias)
{
    clio_context *ctx = test_context();
    *p = (struct pair){.w = random_floats((size_t)out * (size_t)in, 0.2f, 0, ++b->seed), .out = out, .in = in};
    assert_ok(matrix_new(ctx, &l->w, out, in, MATRIX_EXACT, "test"));
    assert_ok(matrix_fill_floats(ctx, &l->w, 0, out, p->w));
    if (!bias)
        return;
    p->bias = random_floats((size_t)out, 0.5f, 0, ++b->seed);
    upload(&l->bias, p->bias, out);
}

static void add_norm(struct built *b, struct norm *n, struct pair *p)
{
    *p = (struct pair){.w = random_floats(WIDTH, 0.3f, 1, ++b->seed), .bias = random_floats(WIDTH, 0.3f, 0, b->seed + 100), .out = WIDTH};
    upload(&n->gamma, p->w, WIDTH);
    upload(&n->beta, p->bias, WIDTH);
}

static struct built build(bool crosses, bool gated, bool bias)
{
    struct built b = {.seed = 7};
    struct transformer_layer *l = &b.layer;
    add_norm(&b, &l->self_norm, &b.host.self_norm);
    add_norm(&b, &l->ff_norm, &b.host.ff_norm);
    add_linear(&b, &l->self.qkv, &b.host.qkv, 3 * WIDTH, WIDTH, bias);
    add_linear(&b, &l->self.out, &b.host.self_out, WIDTH, WIDTH, true);
    add_linear(&b, &l->ff.fc1, &b.host.fc1, gated ? 2 * INNER : INNER, WIDTH, true);
    add_linear(&b, &l->ff.fc2, &b.host.fc2, WIDTH, INNER, true);
    if (crosses) {
        add_norm(&b, &l->cross_norm, &b.host.cross_norm);
        add_linear(&b, &l->cross.q, &b.host.q, WIDTH, WIDTH, bias);
        add_linear(&b, &l->cross.kv, &b.host.kv, 2 * WIDTH, MEMORY_WIDTH, bias);
        add_linear(&b, &l->cross.out, &b.host.cross_out, WIDTH, WIDTH, true);
    }
    return b;
}

static void free_built(struct built *b)
{
    clio_context *ctx = test_context();
    struct transformer_layer *l = &b->layer;
    struct norm *norms[] = {&l->self_norm, &l->cross_norm, &l->ff_norm};
    struct linear *linears[] = {&l->self.qkv, &l->self.out, &l->cross.q, &l->cross.kv, &l->cross.out, &l->ff.fc1, &l->ff.fc2};
    struct host_layer *h = &b->host;
    struct pair *pairs[] = {&h->self_norm, &h->cross_norm, &h->ff_norm,   &h->qkv, &h->self_out,
                            &h->q,         &h->kv,         &h->cross_out, &h->fc1, &h->fc2};
    for (size_t i = 0; i < COUNT(norms); i++)
        norm_free(ctx, norms[i]);
    for (size_t i = 0; i < COUNT(linears); i++)
        linear_free(ctx, linears[i]);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        free(pairs[i]->w);
        free(pairs[i]->bias);
    }
}

/* ---- the same in plain C ---- */

/* act(in W^T + bias) + residual, in fresh memory */
static float *apply(const struct pair *p, const float *in, int rows, int act, const float *residual)
{
    float *out = malloc(sizeof *out * (size_t)rows * (size_t)p->out);
    assert_non_null(out);
    struct gemm_args g = {.m = rows, .n = p->out, .k = p->in, .lda = p->in, .ldc = p->out, .ldr = p->out, .alpha = 1, .act = act};
    ref_gemm(out, in, p->w, p->bias, residual, &g);
    return out;
}

static float *normalized(const struct pair *p, const float *x)
{
    float *out = malloc(sizeof *out * COUNT_X);
    assert_non_null(out);
    ref_layer_norm(out, x, p->w, p->bias, BATCH * LENGTH, WIDTH, EPSILON);
    return out;
}

/* Columns first.. of rows of `step` columns. */
static float *columns(const float *x, int rows, int step, int first)
{
    float *out = malloc(sizeof *out * (size_t)rows * WIDTH);
    assert_non_null(out);
    for (int r = 0; r < rows; r++)
        memcpy(out + r * WIDTH, x + r * step + first, sizeof *out * WIDTH);
    return out;
}

/* x += out(attention of q over the keys and values of kv, rows of `step` columns with keys at `first`) */
static void attend(float *x, const struct pair *out, const float *q, int ldq, const float *kv, int step, int first, int keys, bool causal)
{
    float *k = columns(kv, BATCH * keys, step, first), *v = columns(kv, BATCH * keys, step, first + WIDTH), mixed[COUNT_X];
    struct attention_args a = {.batch = BATCH,
                               .heads = HEADS,
                               .head_dim = WIDTH / HEADS,
                               .queries = LENGTH,
                               .keys = keys,
                               .causal = causal,
                               .ldq = ldq,
                               .ldo = WIDTH,
                               .scale = 1.0f / sqrtf(WIDTH / HEADS)};
    ref_attention(mixed, q, k, v, NULL, &a);
    float *sum = apply(out, mixed, BATCH * LENGTH, ACT_NONE, x);
    memcpy(x, sum, sizeof *x * COUNT_X);
    free(sum);
    free(k);
    free(v);
}

static void layer_on_host(const struct host_layer *h, float *x, const float *memory, bool causal, bool gated, int act)
{
    int rows = BATCH * LENGTH;
    float *n = normalized(&h->self_norm, x), *qkv = apply(&h->qkv, n, rows, ACT_NONE, NULL);
    attend(x, &h->self_out, qkv, 3 * WIDTH, qkv, 3 * WIDTH, WIDTH, LENGTH, causal);
    free(n);
    free(qkv);
    if (memory) {
        n = normalized(&h->cross_norm, x);
        float *q = apply(&h->q, n, rows, ACT_NONE, NULL), *kv = apply(&h->kv, memory, BATCH * MEMORY, ACT_NONE, NULL);
        attend(x, &h->cross_out, q, WIDTH, kv, 2 * WIDTH, 0, MEMORY, false);
        free(n);
        free(q);
        free(kv);
    }
    n = normalized(&h->ff_norm, x);
    float *hidden = apply(&h->fc1, n, rows, gated ? ACT_NONE : act, NULL), *inner = hidden;
    if (gated) {
        inner = malloc(sizeof *inner * (size_t)rows * INNER);
        assert_non_null(inner);
        ref_gated(inner, hidden, rows, INNER, act);
    }
    float *sum = apply(&h->fc2, inner, rows, ACT_NONE, x);
    memcpy(x, sum, sizeof *x * COUNT_X);
    if (inner != hidden)
        free(inner);
    free(hidden);
    free(sum);
    free(n);
}

/* ---- tests ---- */

static void store_f32(void)
{
    test_param("attention.storage", "f32");
    test_param("attention.few.storage", "f32");
}

/* The layer's answer for x [BATCH, LENGTH, WIDTH]; memory: keys and values are in rows first.. of a larger cache. */
static float *run(const struct built *b, struct transformer_layer_options options, const float *data, const float *memory, bool in_place)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct attention_cache cache = {0};
    struct tensor x = test_tensor(DTYPE_F32, 3, BATCH, LENGTH, WIDTH, 0, data),
                  h = test_tensor(DTYPE_F32, 3, BATCH, LENGTH, WIDTH, 0, NULL);
    struct tensor other = test_tensor(DTYPE_F32, 3, BATCH, LENGTH, WIDTH, 0, NULL), *out = in_place ? &x : &other;
    arena_grow(ctx, &arena);
    if (memory) {
        struct tensor m = test_tensor(DTYPE_F32, 3, BATCH, MEMORY, MEMORY_WIDTH, 0, memory);
        struct tensor kv = test_tensor(DTYPE_F32, 3, BATCH, MEMORY, 2 * WIDTH, 0, NULL);
        assert_ok(attention_cache_new(ctx, NULL, &cache, BATCH + 2, HEADS, WIDTH / HEADS, 2 * MEMORY, MATRIX_LARGE, "test"));
        assert_ok(linear_fwd(ctx, &kv, &m, &b->layer.cross.kv, ACT_NONE, NULL));
        assert_ok(cross_attention_store(ctx, &cache, &kv, 1));
        options.cross = (struct attention_options){.heads = HEADS, .kv = {&cache, 1, MEMORY}};
        test_free(&m);
        test_free(&kv);
    }
    assert_ok(transformer_layer_fwd(ctx, &arena, &b->layer, &options, out, &x, &h));
    float *got = test_read(out);
    if (!in_place) {
        float *unchanged = test_read(&x);
        assert_memory_equal(unchanged, data, sizeof *data * COUNT_X);
        free(unchanged);
    }
    attention_cache_free(ctx, &cache);
    arena_free(ctx, &arena);
    test_free(&x);
    test_free(&h);
    test_free(&other);
    return got;
}

static void test_against_reference(void **state)
{
    static const struct {
        bool causal, crosses, gated, bias;
        int act, chunk;
    } cases[] = {{false, false, false, true, ACT_GELU, 0},
                 {true, false, false, true, ACT_QUICK_GELU, 0},
                 {false, true, true, false, ACT_GELU, 0},
                 {false, true, true, false, ACT_GELU, 4},
                 {true, true, false, true, ACT_GELU, BATCH * LENGTH},
                 {true, false, false, false, ACT_RELU, 3}};
    float *x = random_floats(COUNT_X, 1, 0, 1), *memory = random_floats((size_t)BATCH * MEMORY * MEMORY_WIDTH, 1, 0, 2);
    (void)state;
    store_f32();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct built b = build(cases[i].crosses, cases[i].gated, cases[i].bias);
        struct transformer_layer_options options = {.eps = EPSILON,
                                                    .self = {.heads = HEADS, .causal = cases[i].causal, .storage = MATRIX_LARGE},
                                                    .ff = {.act = cases[i].act, .gated = cases[i].gated, .chunk = cases[i].chunk}};
        float *want = malloc(sizeof *want * COUNT_X);
        assert_non_null(want);
        memcpy(want, x, sizeof *want * COUNT_X);
        layer_on_host(&b.host, want, cases[i].crosses ? memory : NULL, cases[i].causal, cases[i].gated, cases[i].act);
        for (int in_place = 0; in_place < 2; in_place++) {
            float *got = run(&b, options, x, cases[i].crosses ? memory : NULL, in_place);
            assert_close(got, want, COUNT_X, 1e-5);
            free(got);
        }
        free(want);
        free_built(&b);
    }
    free(x);
    free(memory);
}

/* Causal attention over 4, 2 and 1 positions one after the other, in rows 1.. of a cache, is that over all of them. */
static void test_kv_cache(void **state)
{
    static const int pieces[] = {4, 2, 1};
    clio_context *ctx = test_context();
    struct built b = build(false, false, true);
    struct arena arena = {0};
    struct attention_cache cache;
    float *x = random_floats(COUNT_X, 1, 0, 1);
    struct transformer_layer_options options = {
        .eps = EPSILON, .self = {.heads = HEADS, .causal = true, .storage = MATRIX_LARGE}, .ff = {.act = ACT_GELU}};
    (void)state;
    store_f32();
    float *want = run(&b, options, x, NULL, true);
    arena_grow(ctx, &arena);
    assert_ok(attention_cache_new(ctx, NULL, &cache, BATCH + 1, HEADS, WIDTH / HEADS, LENGTH, MATRIX_FEW, "test"));
    for (int i = 0, at = 0; i < (int)COUNT(pieces); at += pieces[i++]) {
        int n = pieces[i];
        float part[COUNT_X];
        for (int row = 0; row < BATCH; row++)
            memcpy(part + row * n * WIDTH, x + (row * LENGTH + at) * WIDTH, sizeof *part * (size_t)(n * WIDTH));
        struct tensor piece = test_tensor(DTYPE_F32, 3, BATCH, n, WIDTH, 0, part), h = test_tensor(DTYPE_F32, 3, BATCH, n, WIDTH, 0, NULL);
        options.self.kv = (struct kv_rows){&cache, 1, at};
        assert_ok(transformer_layer_fwd(ctx, &arena, &b.layer, &options, &piece, &piece, &h));
        float *got = test_read(&piece);
        for (int row = 0; row < BATCH; row++)
            assert_close(got + row * n * WIDTH, want + (row * LENGTH + at) * WIDTH, (size_t)(n * WIDTH), 1e-5);
        free(got);
        test_free(&piece);
        test_free(&h);
    }
    attention_cache_free(ctx, &cache);
    arena_free(ctx, &arena);
    free(want);
    free(x);
    free_built(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_kv_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
