/* test_mixed_precision.c - mixed-precision training: gradients against a network of fp32 weights rounded to fp16, bits of the rounded
 * copies, steps whose gradients overflow, and loss scales that must not change the result. */
#include "test_learners.h"

#define COUNT_OF_BATCH 6
#define STEPS 12

static const struct sort {
    const char *type, *settings;
    int side, channels;
} sorts[] = {
    {"autoencoder", "{'architecture': 'dense', 'hidden_size': 40, 'latent_dim': 5}", 6, 1},
    {"autoencoder", "{'base_channels': 4, 'latent_dim': 5}", 8, 3},
    {"cvae", "{'architecture': 'conv', 'base_channels': 4, 'latent_dim': 5}", 8, 1},
    {"dcgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5}", 16, 3},
    {"dcgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5, 'loss': 'wasserstein'}", 8, 1},
    {"unet",
     "{'block_out_channels': '8,16', 'layers_per_block': 1, 'norm_num_groups': 4, 'num_attention_heads': 2, 'attention_levels': 'all'}", 8,
     3},
};

static void open_sort(struct learner *l, const struct sort *s, bool half, double scale)
{
    assert_ok(make(l, s->type, s->settings, s->side, s->side, s->channels, CLASSES));
    l->fp16 = half;
    l->loss_scale = scale;
}

static float *read_floats(const struct tensor *t)
{
    float *x = malloc(tensor_count(t) * sizeof *x);
    assert_non_null(x);
    assert_ok(tensor_read(test_context(), t, 0, tensor_count(t), x));
    return x;
}

static float rounded(float x)
{
    return half_to_float(float_to_half(x));
}

/* Weights of matmuls have an fp16 copy; at least one of them is not representable in fp16. */
static void check_rounded(const struct learner *l)
{
    size_t numbers = 0, between = 0;
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < l->parameters[part].count; i++) {
            const struct parameter *p = &l->parameters[part].list[i];
            assert_true((p->half.mem != NULL) == (p->trained && p->matrix.n));
            if (!p->half.mem)
                continue;
            float *whole = read_floats(&p->value), *half = read_floats(&p->half);
            assert_true(p->owner->data.mem == p->half.mem && p->owner->data.dtype == DTYPE_F16);
            for (size_t j = 0; j < tensor_count(&p->value); j++) {
                if (memcmp(&half[j], &(float){rounded(whole[j])}, sizeof *half) != 0)
                    fail_msg("%s[%zu] is %.9g, and the network reads %.9g", p->names[0], j, (double)whole[j], (double)half[j]);
                numbers += whole[j] < 0 || whole[j] > 0; /* the others fill panels */
                between += half[j] < whole[j] || half[j] > whole[j];
            }
            free(whole);
            free(half);
        }
    assert_true(numbers > 0 && between > numbers / 4);
}

/* `to` gets the weights that `from` computes with. */
static void copy_rounded(const struct learner *to, const struct learner *from)
{
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < from->parameters[part].count; i++) {
            const struct parameter *p = &from->parameters[part].list[i];
            float *x = read_floats(p->half.mem ? &p->half : &p->value);
            assert_ok(tensor_write(test_context(), &to->parameters[part].list[i].value, 0, tensor_count(&p->value), x));
            free(x);
        }
}

static void compare_gradients(const struct learner *a, const struct learner *b)
{
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < a->parameters[part].count; i++) {
            const struct parameter *p = &a->parameters[part].list[i], *q = &b->parameters[part].list[i];
            if (!p->trained)
                continue;
            float *x = read_floats(&p->grad), *want = read_floats(&q->grad);
            assert_close(x, want, tensor_count(&p->grad), 2e-5);
            free(x);
            free(want);
        }
}

/* The weights of one are those that the other reads, and stay while gradients are compared: their rates are 0. */
static void test_gradients(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    for (size_t i = 0; i < COUNT(sorts); i += test_small() ? 3 : 1) {
        struct learner half, whole;
        double losses[2][LEARNER_LOSSES] = {{0}};
        open_sort(&half, &sorts[i], true, 1);
        open_sort(&whole, &sorts[i], false, 0);
        for (int part = 0; part < LEARNER_PARTS; part++)
            half.options[part].rate = whole.options[part].rate = 0;
        assert_ok(learner_train(ctx, &half, 1));
        assert_ok(learner_train(ctx, &whole, 1));
        check_rounded(&half);
        struct learner_batch b = make_batch(&half, 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
        for (int step = 0; step < 2; step++) {
            copy_rounded(&whole, &half);
            run_steps(&half, &b, 1, losses[0]);
            run_steps(&whole, &b, 1, losses[1]);
            for (int j = 0; half.type->losses[j]; j++)
                assert_true(fabs(losses[0][j] - losses[1][j]) <= 1e-5 * fmax(fabs(losses[1][j]), 1));
            compare_gradients(&half, &whole);
        }
        free_batch(&b);
        learner_close(ctx, &half);
        learner_close(ctx, &whole);
    }
}

/* It trains as in fp32: the loss falls nearly as far, and updates below the precision of fp16 accumulate. */
static void test_learns(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    for (size_t i = 0; i < (test_small() ? 1 : 2); i++) {
        struct learner l[2];
        double first[LEARNER_LOSSES], last[2][LEARNER_LOSSES];
        for (int half = 0; half < 2; half++) {
            open_sort(&l[half], &sorts[i], half, 0);
            assert_ok(learner_train(ctx, &l[half], 1));
            struct learner_batch b = make_batch(&l[half], 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
            run_steps(&l[half], &b, 1, first);
            run_steps(&l[half], &b, STEPS, last[half]);
            free_batch(&b);
        }
        check_rounded(&l[1]);
        assert_true(last[1][0] < first[0]);
        assert_true(fabs(last[1][0] - last[0][0]) < 0.05 * (first[0] - last[0][0]));
        for (int half = 0; half < 2; half++)
            learner_close(ctx, &l[half]);
    }
}

/* A power of two changes no bit. */
static void test_scale(void **state)
{
    clio_context *ctx = test_context();
    struct learner l[2];
    double losses[LEARNER_LOSSES];
    (void)state;
    for (int i = 0; i < 2; i++) {
        open_sort(&l[i], &sorts[3], false, i ? 1024 : 0);
        assert_ok(learner_train(ctx, &l[i], 1));
        struct learner_batch b = make_batch(&l[i], 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
        run_steps(&l[i], &b, 3, losses);
        free_batch(&b);
    }
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < l[0].parameters[part].count; i++) {
            const struct tensor *t = &l[0].parameters[part].list[i].value;
            float *x = read_floats(t), *y = read_floats(&l[1].parameters[part].list[i].value);
            assert_memory_equal(x, y, tensor_count(t) * sizeof *x);
            free(x);
            free(y);
        }
    for (int i = 0; i < 2; i++)
        learner_close(ctx, &l[i]);
}

/* Gradients that overflow change nothing but the scale, which falls until they do not. */
static void test_overflow(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES];
    (void)state;
    open_sort(&l, &sorts[0], true, 0);
    assert_ok(learner_train(ctx, &l, 1));
    assert_true(l.dynamic_loss_scale && l.loss_scale > 1);
    const struct parameter *p = &l.parameters[0].list[0];
    struct learner_batch b = make_batch(&l, 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
    float *before = read_floats(&p->value);
    assert_ok(learner_set_loss_scale(ctx, &l, 0x1p127));
    run_steps(&l, &b, 1, losses);
    float *after = read_floats(&p->value);
    assert_memory_equal(before, after, tensor_count(&p->value) * sizeof *before);
    assert_true(l.loss_scale >= 0x1p126 && l.loss_scale <= 0x1p126 && l.optimizers[0].step == 0);
    free(after);
    while (l.optimizers[0].step == 0 && l.loss_scale > 1)
        run_steps(&l, &b, 1, losses);
    assert_true(l.loss_scale > 0x1p40 && l.optimizers[0].step == 1); /* f32 has room for gradients of 1e20 and more */
    after = read_floats(&p->value);
    assert_memory_not_equal(before, after, tensor_count(&p->value) * sizeof *before);
    free(before);
    free(after);
    free_batch(&b);
    learner_close(ctx, &l);
}

/* op_half rounds as the host does, at every size of a vector's end. */
static void test_op(void **state)
{
    enum { N = 83 };
    float x[N], want[N];
    (void)state;
    test_random(x, N, 4);
    const float special[] = {0, -0.0f, 65504, 65519, 65520, -70000, 6e-8f, 2.9e-8f, 1e-30f, 1.00048828125f, 1.00146484375f, INFINITY};
    memcpy(x + 8, special, sizeof special);
    for (int n = 1; n <= N; n += n < 34 ? 1 : 7) {
        struct tensor w = test_tensor(DTYPE_F32, 1, n, 0, 0, 0, x), half = test_tensor(DTYPE_F16, 1, n, 0, 0, 0, NULL);
        assert_ok(op_half(test_context(), &half, &w));
        float *y = test_read(&half);
        for (int i = 0; i < n; i++)
            want[i] = rounded(x[i]);
        assert_memory_equal(y, want, (size_t)n * sizeof *y);
        free(y);
        test_free(&w);
        test_free(&half);
    }
}

static void test_wrong(void **state)
{
    struct tensor w = test_tensor(DTYPE_F32, 1, 5, 0, 0, 0, NULL), half = test_tensor(DTYPE_F16, 1, 4, 0, 0, 0, NULL);
    (void)state;
    assert_fails(op_half(test_context(), &half, &w), CLIO_ERROR_INTERNAL, "4 halves for 5 numbers");
    assert_fails(op_half(test_context(), &w, &w), CLIO_ERROR_INTERNAL, "half");
    test_free(&w);
    test_free(&half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_op),
                                       cmocka_unit_test(test_wrong),
                                       cmocka_unit_test_teardown(test_gradients, test_forget_tapes),
                                       cmocka_unit_test_teardown(test_scale, test_forget_tapes),
                                       cmocka_unit_test_teardown(test_overflow, test_forget_tapes),
                                       cmocka_unit_test_teardown(test_learns, test_forget_tapes)};
    return test_end(cmocka_run_group_tests(tests, NULL, NULL));
}
