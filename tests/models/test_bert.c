/* test_bert.c - BERT against transformers (tests/golden/bert): states and pooled vectors one by one and in a padded batch, keys with and
 * without a prefix and in TensorFlow's names, poolings; the same bits on a tape, whose gradients leave padding alone; refusals. */
#include "../support/folder.h"
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../models/networks/bert.h"
#include "../../models/nn/parameters.h"
#include "../../models/nn/pooling.h"

#define GOLDEN CLIO_SOURCE_DIR "/tests/golden/bert/"
#define TEXTS 7
#define WIDTH 32

struct golden {
    struct weights file;
    const int *ids, *lengths; /* [TEXTS, longest] */
    int longest;
    float *ids_memory, *lengths_memory;
};

static void open_golden(struct golden *g)
{
    const struct weight *w;
    assert_ok(weights_open(test_context(), &g->file, GOLDEN "golden.safetensors", "model"));
    w = weights_find(&g->file, "plain.ids");
    assert_non_null(w);
    g->longest = w->dim[1];
    g->ids = (const int *)(const void *)(g->ids_memory = test_floats(&g->file, "plain.ids", w->count));
    g->lengths = (const int *)(const void *)(g->lengths_memory = test_floats(&g->file, "plain.lengths", TEXTS));
}

static void close_golden(struct golden *g)
{
    free(g->ids_memory);
    free(g->lengths_memory);
    weights_close(&g->file);
}

static void full_precision(void)
{
    test_param("gemm.many.storage", "f32");
    test_param("gemm.large.storage", "f32");
    test_param("attention.storage", "f32");
}

/* States and pooled vectors of texts first .. first + count - 1, as one batch whose length is that of its longest. */
static void encode(const struct text_encoder *e, const struct golden *g, int first, int count, float **states, float **pooled, int *length)
{
    int ids[TEXTS * 64];
    *length = 0;
    for (int i = first; i < first + count; i++)
        *length = MAX(*length, g->lengths[i]);
    for (int i = 0; i < count * *length; i++)
        ids[i] = g->ids[(first + i / *length) * g->longest + i % *length];
    struct tensor s = test_tensor(DTYPE_F32, 3, count, *length, WIDTH, 0, NULL), p = test_tensor(DTYPE_F32, 2, count, WIDTH, 0, 0, NULL);
    assert_ok(text_encoder_encode(test_context(), e, &s, &p,
                                  &(struct text_tokens){.ids = ids, .lengths = g->lengths + first, .batch = count, .length = *length}, 0));
    *states = test_read(&s);
    *pooled = test_read(&p);
    test_free(&s);
    test_free(&p);
}

static void check_batches(const struct text_encoder *e, const struct golden *g, int batch)
{
    float *want_pooled = test_floats(&g->file, "plain.pooler", TEXTS * WIDTH), *pooled, *states;
    const struct weight *w = weights_find(&g->file, "plain.states");
    float *want = test_floats(&g->file, "plain.states", w->count);
    int length;
    size_t row = 0;
    for (int first = 0; first < TEXTS; first += batch) {
        int count = MIN(batch, TEXTS - first);
        encode(e, g, first, count, &states, &pooled, &length);
        assert_close(pooled, want_pooled + first * WIDTH, (size_t)(count * WIDTH), 1e-4);
        for (int i = 0; i < count; i++) {
            size_t n = (size_t)g->lengths[first + i] * WIDTH;
            assert_close(states + (size_t)(i * length * WIDTH), want + row, n, 1e-4);
            row += n;
        }
        free(states);
        free(pooled);
    }
    free(want);
    free(want_pooled);
}

static void test_states(void **state)
{
    struct golden g;
    struct text_encoder e;
    (void)state;
    full_precision();
    open_golden(&g);
    assert_ok(text_encoder_open(test_context(), GOLDEN "plain", NULL, &e));
    assert_int_equal(e.max_length, 40);
    assert_int_equal(e.width, WIDTH);
    assert_int_equal(e.pooled, WIDTH);
    check_batches(&e, &g, 1);
    check_batches(&e, &g, TEXTS);
    check_batches(&e, &g, 3);
    text_encoder_free(test_context(), &e);
    close_golden(&g);
}

/* A checkpoint without a pooler gives the first token's state. */
static void test_without_pooler(void **state)
{
    struct golden g;
    struct text_encoder e;
    float *states, *pooled;
    int length;
    (void)state;
    full_precision();
    open_golden(&g);
    assert_ok(text_encoder_open(test_context(), GOLDEN "sentence", NULL, &e)); /* "bert." before its keys; gamma and beta */
    encode(&e, &g, 0, 2, &states, &pooled, &length);
    assert_memory_equal(pooled, states, sizeof *states * WIDTH);
    assert_memory_equal(pooled + WIDTH, states + length * WIDTH, sizeof *states * WIDTH);
    free(states);
    free(pooled);
    text_encoder_free(test_context(), &e);
    close_golden(&g);
}

static void test_poolings(void **state)
{
    struct golden g;
    struct text_encoder e;
    struct arena arena = {0};
    float *states, *pooled;
    int length;
    (void)state;
    full_precision();
    open_golden(&g);
    arena_grow(test_context(), &arena);
    assert_ok(text_encoder_open(test_context(), GOLDEN "plain", NULL, &e));
    encode(&e, &g, 0, TEXTS, &states, &pooled, &length);
    struct tensor s = test_tensor(DTYPE_F32, 3, TEXTS, length, WIDTH, 0, states);
    for (int i = 0; i < POOLING_POOLER; i++) {
        char name[64];
        struct tensor out = test_tensor(DTYPE_F32, 2, TEXTS, WIDTH, 0, 0, NULL);
        snprintf(name, sizeof name, "plain.%s", pooling_name((enum pooling)i));
        float *want = test_floats(&g.file, name, TEXTS * WIDTH);
        assert_ok(pooling_fwd(test_context(), &arena, &out, &s, g.lengths, (enum pooling)i));
        float *got = test_read(&out);
        assert_close(got, want, TEXTS * WIDTH, 1e-4);
        free(got);
        free(want);
        test_free(&out);
    }
    free(states);
    free(pooled);
    test_free(&s);
    arena_free(test_context(), &arena);
    text_encoder_free(test_context(), &e);
    close_golden(&g);
}

/* For training: the numbers of inference on a tape, from the mean of the states; tokens learn, padding does not. */
static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    struct golden g;
    struct text_encoder e;
    struct parameters p = {0};
    struct tape tape;
    const float one = 1;
    (void)state;
    full_precision();
    open_golden(&g);
    ctx->collects = &p;
    assert_ok(text_encoder_open(ctx, GOLDEN "plain", NULL, &e));
    ctx->collects = NULL;
    assert_ok(parameters_alloc(ctx, &p, false));
    assert_ok(tape_open(ctx, &tape));
    struct tensor states = test_tensor(DTYPE_F32, 3, TEXTS, g.longest, WIDTH, 0, NULL), loss = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, NULL),
                  mean = test_tensor(DTYPE_F32, 2, TEXTS, WIDTH, 0, 0, NULL), zero = test_tensor(DTYPE_F32, 2, TEXTS, WIDTH, 0, 0, NULL),
                  seed = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, &one);
    int ids[TEXTS * 64];
    for (int i = 0; i < TEXTS * g.longest; i++) /* padding of a token that no text has */
        ids[i] = i % g.longest < g.lengths[i / g.longest] ? g.ids[i] : e.vocab - 1;
    const struct text_tokens tokens = {.ids = ids, .lengths = g.lengths, .batch = TEXTS, .length = g.longest};
    assert_ok(tensor_zero(ctx, &zero));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(parameters_watch(ctx, &tape, &p, false));
    assert_ok(text_encoder_forward(ctx, &tape.arena, &e, &states, NULL, &tokens, 0));
    assert_ok(pooling_fwd(ctx, &tape.arena, &mean, &states, g.lengths, POOLING_MEAN));
    assert_ok(op_loss_fwd(ctx, &tape.arena, &loss, &mean, &zero, (struct loss_args){.loss = LOSS_MSE, .scale = 1.0f}, false));
    assert_fails(pooling_fwd(ctx, &tape.arena, &mean, &states, g.lengths, POOLING_MAX), CLIO_ERROR_UNSUPPORTED,
                 "max pooling has no gradient");
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &loss, &seed));
    float *got = test_read(&mean), *want = test_floats(&g.file, "plain.mean", TEXTS * WIDTH), *grad = test_new((size_t)e.vocab * WIDTH);
    assert_close(got, want, TEXTS * WIDTH, 1e-4);
    const struct bert *net = e.net;
    assert_ok(tensor_read(ctx, &parameters_find(&p, &net->embedding)->grad, 0, (size_t)(e.vocab * WIDTH), grad));
    for (int j = 0; j < WIDTH; j++) {
        assert_true(grad[(e.vocab - 1) * WIDTH + j] == 0);
        assert_true(grad[g.ids[1] * WIDTH + j] != 0);
    }
    free(got);
    free(want);
    free(grad);
    tape_close(&tape);
    struct tensor *const all[] = {&states, &loss, &mean, &zero, &seed};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    parameters_free(ctx, &p);
    text_encoder_free(ctx, &e);
    close_golden(&g);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *config, *says;
        clio_status st;
    } cases[] = {
        {"{\"model_type\": \"bert\", \"position_embedding_type\": \"relative_key\"}", "\"position_embedding_type\" is",
         CLIO_ERROR_UNSUPPORTED},
        {"{\"model_type\": \"bert\", \"is_decoder\": true}", "\"is_decoder\" is true", CLIO_ERROR_UNSUPPORTED},
        {"{\"model_type\": \"bert\", \"rotary\": 3}", "\"rotary\"", CLIO_ERROR_UNSUPPORTED},
        {"{\"model_type\": \"bert\", \"hidden_act\": \"mish\"}", "hidden_act mish", CLIO_ERROR_UNSUPPORTED},
        {"{\"model_type\": \"bert\", \"hidden_size\": 30}", "cannot be shared by 12 heads", CLIO_ERROR_FORMAT},
        {"{\"model_type\": \"bert\", \"layer_norm_eps\": 2}", "\"layer_norm_eps\" must be", CLIO_ERROR_FORMAT},
        {"{\"model_type\": \"bert\"}", "embeddings.word_embeddings.weight", CLIO_ERROR_FORMAT},
    };
    struct text_encoder e;
    (void)state;
    FILE *f = fopen(in_folder("model.safetensors"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite("\2\0\0\0\0\0\0\0{}", 1, 10, f), 10);
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_text("config.json", cases[i].config);
        assert_fails(text_encoder_open(test_context(), folder, NULL, &e), cases[i].st, cases[i].says);
        assert_null(e.net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_without_pooler),
        cmocka_unit_test(test_poolings),
        cmocka_unit_test_teardown(test_tape, test_forget_tapes),
        cmocka_unit_test_setup_teardown(test_refusals, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
