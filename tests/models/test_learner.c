/* test_learner.c - every model type: training, the same bits when run twice, saving and loading; gradients of whole steps against finite
 * differences of the loss; gradient accumulation and several processes; and errors. */
#include "../support/folder.h"
#include "test_learners.h"

#include <sys/stat.h>

#define COUNT_OF_BATCH 6

static const struct sort {
    const char *type, *settings;
    int side, channels;
} sorts[] = {
    {"autoencoder", "{'base_channels': 4, 'latent_dim': 5}", 8, 3},
    {"autoencoder", "{'architecture': 'dense', 'hidden_size': 12, 'latent_dim': 5}", 6, 1},
    {"vae", "{'hidden_size': 12, 'latent_dim': 5}", 7, 1},
    {"vae", "{'architecture': 'conv', 'base_channels': 4, 'latent_dim': 5, 'reconstruction_loss': 'mse', 'beta': 0.5}", 8, 3},
    {"cvae", "{'hidden_size': 12, 'latent_dim': 5}", 7, 1},
    {"cvae", "{'architecture': 'conv', 'base_channels': 4, 'latent_dim': 5}", 8, 1},
    {"gan", "{'hidden_size': 8, 'latent_dim': 5}", 7, 1},
    {"gan", "{'hidden_size': 8, 'num_hidden_layers': 1, 'latent_dim': 5, 'loss': 'wasserstein'}", 7, 1},
    {"dcgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5}", 16, 3},
    {"dcgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5, 'loss': 'hinge'}", 14, 1},
    {"dcgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5, 'loss': 'wasserstein'}", 8, 1},
    {"dcgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5, 'loss': 'least-squares'}", 8, 1},
    {"cgan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5}", 8, 1},
    {"cgan", "{'architecture': 'dense', 'hidden_size': 8, 'latent_dim': 5, 'loss': 'jsd'}", 6, 1},
    {"jsd-gan", "{'ngf': 4, 'ndf': 4, 'latent_dim': 5}", 8, 3},
    {"mmd-gan", "{'ngf': 4, 'base_channels': 4, 'latent_dim': 5, 'code_dim': 6}", 8, 1},
    {"mmd-gan", "{'architecture': 'dense', 'hidden_size': 8, 'latent_dim': 5, 'feature_space': 'pixels', 'kernel': 'rational'}", 6, 1},
};

static void open_sort(struct learner *l, const struct sort *s)
{
    assert_ok(make(l, s->type, s->settings, s->side, s->side, s->channels, CLASSES));
}

static void assert_same(const float *a, const float *b, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("%s: number %zu is %.9g, and was %.9g", what, i, (double)b[i], (double)a[i]);
}

static void generate(struct learner *l, float *images, int count)
{
    if (l->type->has_latents) {
        assert_ok(learner_sample(test_context(), l, count, 11, NULL, images));
        return;
    }
    float latents[4 * 8];
    test_random(latents, COUNT(latents), 5);
    assert_ok(l->type->sample(test_context(), l, count, latents, NULL, images));
}

/* Twice the same steps, and there and back through a folder. */
static void check_sort(const struct sort *s)
{
    clio_context *ctx = test_context();
    struct learner l[3];
    double losses[3][LEARNER_LOSSES] = {{0}};
    float *weights[2], images[2][4 * 16 * 16 * 3];
    size_t count, before;
    for (int i = 0; i < 2; i++) {
        open_sort(&l[i], s);
        float *fresh = all_parameters(&l[i], &before);
        assert_ok(learner_train(ctx, &l[i], 1));
        struct learner_batch b = make_batch(&l[i], 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
        run_steps(&l[i], &b, 3, losses[i]);
        weights[i] = all_parameters(&l[i], &count);
        assert_true(count == before && memcmp(fresh, weights[i], count * sizeof *fresh) != 0);
        free(fresh);
        free_batch(&b);
    }
    assert_same(weights[0], weights[1], count, s->type);
    for (int j = 0; l[0].type->losses[j]; j++)
        assert_true(!(losses[0][j] < losses[1][j] || losses[0][j] > losses[1][j]));

    assert_ok(learner_save(ctx, &l[0], folder));
    assert_ok(learner_load(ctx, &l[2], folder));
    assert_true(l[2].type == l[0].type && json_equal(l[2].config, l[0].config));
    generate(&l[0], images[0], 4);
    generate(&l[2], images[1], 4);
    assert_same(images[0], images[1], 4 * (size_t)learner_pixels(&l[0]), s->type);
    for (int i = 0; i < 3; i++)
        learner_close(ctx, &l[i]);
    free(weights[0]);
    free(weights[1]);
}

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sorts); i += test_small() ? 4 : 1)
        check_sort(&sorts[i]);
}

/* 28 pixels a side, seven of which are the base, and the shapes of the tables for 64. */
static void test_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    (void)state;
    assert_ok(make(&l, "dcgan", "{'ngf': 2, 'ndf': 2}", 28, 28, 1, 0));
    const struct gan *net = l.state;
    assert_int_equal(net->generator.list[0].window.taps, 7);
    assert_int_equal(net->generator.out[0], 28);
    assert_int_equal(net->discriminator.out[0] * net->discriminator.out[1] * net->discriminator.out[2], 1);
    learner_close(ctx, &l);
    assert_ok(make(&l, "dcgan", "{'ngf': 64, 'ndf': 64}", 64, 64, 3, 0));
    /* the parameters of the published networks, without num_batches_tracked */
    assert_int_equal(parameters_size(&l.parameters[0]), 3576704);
    assert_int_equal(parameters_size(&l.parameters[1]), 2765568);
    assert_string_equal(l.parameters[0].list[0].names[0], "g.0.weight");
    assert_int_equal(l.parameters[0].list[0].dim[1], 512);
    learner_close(ctx, &l);
}

/* ---- gradients ---- */

/* Plain descent of part `part` alone, by `rate` times the gradient. */
static void descend(struct learner *l, int part, double rate)
{
    for (int i = 0; i < LEARNER_PARTS; i++) {
        l->options[i] = optimizer_defaults();
        l->options[i].rule = OPTIM_SGD;
        l->options[i].rate = i == part ? rate : 0;
    }
    assert_ok(learner_train(test_context(), l, 1));
}

/* The loss where one number of a parameter is moved by h; the step changes no weights. */
static double loss_at(struct learner *l, struct learner_batch *b, const struct parameter *p, size_t at, float h, int loss)
{
    clio_context *ctx = test_context();
    double losses[LEARNER_LOSSES];
    float value, moved;
    assert_ok(tensor_read(ctx, &p->value, at, 1, &value));
    moved = value + h;
    assert_ok(tensor_write(ctx, &p->value, at, 1, &moved));
    assert_ok(l->type->step(ctx, l, b, losses));
    assert_ok(tensor_write(ctx, &p->value, at, 1, &value));
    return losses[loss];
}

/* What a step of plain descent changes is the gradient of loss `loss` by the weights of part `part`. */
static void check_gradients(const char *type, const char *settings, int side, int part, int loss)
{
    clio_context *ctx = test_context();
    struct learner moved, still;
    double losses[LEARNER_LOSSES];
    const float h = 0.01f;
    assert_ok(make(&moved, type, settings, side, side, 1, CLASSES));
    assert_ok(make(&still, type, settings, side, side, 1, CLASSES));
    descend(&moved, part, 1);
    descend(&still, part, 0);
    struct learner_batch b = make_batch(&moved, 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
    assert_ok(moved.type->step(ctx, &moved, &b, losses));
    for (size_t i = 0; i < moved.parameters[part].count; i++) {
        const struct parameter *p = &moved.parameters[part].list[i], *q = &still.parameters[part].list[i];
        float grads[8], want[8];
        int n = 0;
        if (!p->trained)
            continue;
        for (size_t at = 0; at < tensor_count(&p->value) && n < 8; at += 1 + tensor_count(&p->value) / 8, n++) {
            float before, after;
            assert_ok(tensor_read(ctx, &q->value, at, 1, &before));
            assert_ok(tensor_read(ctx, &p->value, at, 1, &after));
            grads[n] = before - after;
            want[n] = (float)((loss_at(&still, &b, q, at, h, loss) - loss_at(&still, &b, q, at, -h, loss)) / (2 * (double)h));
        }
        for (int j = 0; j < n; j++)
            if (fabs((double)(grads[j] - want[j])) > 3e-3 + 0.03 * fabs((double)want[j]))
                fail_msg("%s: the gradient of %s by %s is %g, differences say %g", type, moved.type->losses[loss], p->names[0],
                         (double)grads[j], (double)want[j]);
    }
    free_batch(&b);
    learner_close(ctx, &moved);
    learner_close(ctx, &still);
}

static void test_gradients(void **state)
{
    (void)state;
    check_gradients("vae", "{'hidden_size': 5, 'latent_dim': 3}", 4, 0, 0);
    check_gradients("gan", "{'hidden_size': 4, 'latent_dim': 3, 'num_hidden_layers': 1}", 4, 0, 1);
    if (test_small())
        return;
    check_gradients("autoencoder", "{'base_channels': 2, 'latent_dim': 3}", 8, 0, 0);
    check_gradients("cvae", "{'architecture': 'conv', 'base_channels': 2, 'latent_dim': 3, 'reconstruction_loss': 'mse'}", 8, 0, 0);
    check_gradients("cgan", "{'ngf': 2, 'ndf': 2, 'latent_dim': 3}", 8, 0, 1);
    check_gradients("cgan", "{'ngf': 2, 'ndf': 2, 'latent_dim': 3}", 8, 1, 0);
    check_gradients("jsd-gan", "{'ngf': 2, 'ndf': 2, 'latent_dim': 3}", 8, 0, 1);
    check_gradients("mmd-gan", "{'architecture': 'dense', 'hidden_size': 4, 'latent_dim': 3, 'code_dim': 4}", 4, 0, 0);
}

/* What a step of plain descent on part of a batch changes. */
static float *change(const char *settings, int first, int count, int all, double *losses, size_t *n)
{
    clio_context *ctx = test_context();
    struct learner l;
    assert_ok(make(&l, "vae", settings, 4, 4, 1, 0));
    descend(&l, 0, 1);
    struct learner_batch b = make_batch(&l, first, count, all);
    float *before = all_parameters(&l, n);
    assert_ok(l.type->step(ctx, &l, &b, losses));
    float *after = all_parameters(&l, n);
    for (size_t i = 0; i < *n; i++)
        after[i] -= before[i];
    free(before);
    free_batch(&b);
    learner_close(ctx, &l);
    return after;
}

/* Parts of a batch, as several processes have them: gradients and losses add up to those of the whole, noise included. */
static void test_processes(void **state)
{
    const char *settings = "{'hidden_size': 5, 'latent_dim': 3}";
    static const int firsts[] = {0, 4, 7, 7}, counts[] = {4, 3, 0, 1};
    double whole[LEARNER_LOSSES], sum[3] = {0}, losses[LEARNER_LOSSES];
    size_t n;
    float *want = change(settings, 0, 8, 8, whole, &n), *got = calloc(n, sizeof *got);
    (void)state;
    assert_non_null(got);
    for (size_t i = 0; i < COUNT(firsts); i++) {
        float *part = change(settings, firsts[i], counts[i], 8, losses, &n);
        for (size_t j = 0; j < n; j++)
            got[j] += part[j];
        for (int j = 0; j < 3; j++)
            sum[j] += losses[j];
        free(part);
    }
    assert_close(got, want, n, 1e-5);
    for (int j = 0; j < 3; j++)
        assert_true(fabs(sum[j] - whole[j]) <= 1e-5 * fabs(whole[j]));
    free(want);
    free(got);
}

/* Gradient accumulation over two half batches equals a step with the whole batch. */
static void test_accumulate(void **state)
{
    clio_context *ctx = test_context();
    float *weights[2];
    size_t n;
    (void)state;
    for (int parts = 1; parts <= 2; parts++) {
        struct learner l;
        double losses[LEARNER_LOSSES];
        assert_ok(make(&l, "autoencoder", "{'architecture': 'dense', 'hidden_size': 5, 'latent_dim': 3}", 4, 4, 1, 0));
        l.options[0].rule = OPTIM_SGD;
        l.options[0].rate = 1;
        assert_ok(learner_train(ctx, &l, parts));
        for (l.micro_batch = 0; l.micro_batch < parts; l.micro_batch++) {
            struct learner_batch b = make_batch(&l, l.micro_batch * 4, 8 / parts, 8);
            b.first = 0;
            b.global_count = 8 / parts;
            assert_ok(l.type->step(ctx, &l, &b, losses));
            free_batch(&b);
        }
        weights[parts - 1] = all_parameters(&l, &n);
        learner_close(ctx, &l);
    }
    assert_close(weights[1], weights[0], n, 1e-6);
    free(weights[0]);
    free(weights[1]);
}

/* ---- training ---- */

/* The last loss is at most `part` of the first. */
static void check_falls(const char *type, const char *settings, int side, int steps, double part)
{
    clio_context *ctx = test_context();
    struct learner l;
    double first[LEARNER_LOSSES], last[LEARNER_LOSSES];
    assert_ok(make(&l, type, settings, side, side, 1, 0));
    l.options[0].rate = 1e-2;
    assert_ok(learner_train(ctx, &l, 1));
    struct learner_batch b = make_batch(&l, 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
    run_steps(&l, &b, 1, first);
    run_steps(&l, &b, steps, last);
    if (last[0] > part * first[0])
        fail_msg("%s: %s fell from %g to %g in %d steps", type, l.type->losses[0], first[0], last[0], steps);
    free_batch(&b);
    learner_close(ctx, &l);
}

static void test_learns(void **state)
{
    (void)state;
    if (test_small())
        skip();
    check_falls("autoencoder", "{'architecture': 'dense', 'hidden_size': 32, 'latent_dim': 8}", 4, 150, 0.25);
    check_falls("vae", "{'hidden_size': 32, 'latent_dim': 8, 'beta': 0.1}", 4, 150, 0.8);
    check_falls("mmd-gan", "{'architecture': 'dense', 'feature_space': 'pixels', 'hidden_size': 32}", 4, 100,
                0.75); /* two sets of six drawn from the same are not nearer */
}

/* Evaluation sums metrics over a batch and changes nothing; images are encoded and reconstructed. */
static void test_measures(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double whole[LEARNER_LOSSES], sums[LEARNER_LOSSES], all[3] = {0};
    size_t n;
    (void)state;
    assert_ok(make(&l, "cvae", "{'hidden_size': 5, 'latent_dim': 3}", 4, 4, 1, CLASSES));
    float *before = all_parameters(&l, &n);
    for (int part = 0; part < 3; part++) { /* the whole batch, then its parts */
        struct learner_batch b = make_batch(&l, part == 2 ? 5 : 0, part == 0 ? 8 : part == 1 ? 5 : 3, 8);
        assert_ok(l.type->evaluate(ctx, &l, &b, 99, part ? sums : whole));
        for (int j = 0; part && j < 3; j++)
            all[j] += sums[j];
        free_batch(&b);
    }
    for (int j = 0; j < 3; j++)
        assert_true(fabs(all[j] - whole[j]) <= 1e-5 * whole[j]);
    assert_true(fabs(whole[0] - whole[1] - whole[2]) <= 1e-6 * whole[0]);
    float *after = all_parameters(&l, &n);
    assert_same(before, after, n, "evaluating");
    float images[70 * 16], latents[70 * 3], alone[3], back[70 * 16];
    int labels[70];
    test_random(images, COUNT(images), 9);
    for (int i = 0; i < 70; i++)
        labels[i] = i % CLASSES;
    assert_ok(l.type->encode(ctx, &l, 70, images, labels, latents)); /* more than one chunk */
    assert_ok(l.type->encode(ctx, &l, 1, images + 66 * 16, labels + 66, alone));
    assert_close(latents + 66 * 3, alone, 3, 1e-5);
    assert_ok(l.type->sample(ctx, &l, 70, latents, labels, back));
    for (size_t i = 0; i < COUNT(back); i++)
        assert_true(back[i] > 0 && back[i] < 1);
    assert_fails(l.type->sample(ctx, &l, 70, latents, NULL, back), CLIO_ERROR_ARGUMENT, "a label for each image");
    free(before);
    free(after);
    learner_close(ctx, &l);
}

/* Metrics of 70 samples by batches of several sizes: the noise of each depends on its position alone. */
static void check_evaluation(const char *type, const char *settings, int side)
{
    clio_context *ctx = test_context();
    enum { SAMPLES = 70 };
    static const int sizes[] = {70, 64, 48, 9, 1};
    struct learner l;
    double first[LEARNER_LOSSES] = {0};
    assert_ok(make(&l, type, settings, side, side, 1, 0));
    size_t one = (size_t)learner_pixels(&l);
    float *x = malloc(SAMPLES * one * sizeof *x);
    struct learner_batch b = {.images = tensor_shape(DTYPE_F32, 4, SAMPLES, side, side, 1)};
    assert_non_null(x);
    test_random(x, SAMPLES * one, 3);
    for (size_t i = 0; i < SAMPLES * one && l.type->unit_range; i++)
        x[i] = 0.5f * x[i] + 0.5f;
    assert_ok(tensor_new(ctx, &b.images, "test"));
    for (size_t k = 0; k < COUNT(sizes); k++) {
        double totals[LEARNER_LOSSES] = {0}, weight = 0;
        for (int at = 0; at < SAMPLES; at += sizes[k]) {
            b.count = MIN(sizes[k], SAMPLES - at);
            assert_ok(learner_evaluate(ctx, &l, &b, x + (size_t)at * one, (size_t)at, totals, &weight));
        }
        assert_true(weight > SAMPLES - 0.5 && weight < SAMPLES + 0.5);
        for (int j = 0; l.type->metrics[j]; j++) {
            if (!k)
                first[j] = totals[j];
            if (fabs(totals[j] - first[j]) > 1e-5 * fabs(first[j]))
                fail_msg("%s, batches of %d: %s is %.9g, and %.9g in one", type, sizes[k], l.type->metrics[j], totals[j], first[j]);
        }
    }
    free(x);
    free_batch(&b);
    learner_close(ctx, &l);
}

static void test_evaluation(void **state)
{
    (void)state;
    check_evaluation("vae", "{'hidden_size': 5, 'latent_dim': 3}", 4);
    if (test_small())
        return;
    check_evaluation("unet", "{'block_out_channels': '4,4', 'layers_per_block': 1, 'norm_num_groups': 2, 'num_attention_heads': 1}", 4);
    check_evaluation("vae-kl", "{'block_out_channels': '4,4', 'layers_per_block': 1, 'norm_num_groups': 2}", 4);
}

/* The greatest singular value of w [n, k], by many turns of a power iteration. */
static double greatest_singular(const float *w, size_t n, size_t k)
{
    double v[256], u[256], norm = 0;
    assert_true(n <= 256 && k <= 256);
    for (size_t j = 0; j < k; j++)
        v[j] = 1.0 + 0.1 * (double)(j % 7);
    for (int turn = 0; turn < 300; turn++) {
        double length = 0;
        norm = 0;
        for (size_t j = 0; j < k; j++)
            length += v[j] * v[j];
        for (size_t i = 0; i < n; i++) {
            u[i] = 0;
            for (size_t j = 0; j < k; j++)
                u[i] += (double)w[i * k + j] * v[j] / sqrt(length);
            norm += u[i] * u[i];
        }
        for (size_t j = 0; j < k; j++) {
            v[j] = 0;
            for (size_t i = 0; i < n; i++)
                v[j] += (double)w[i * k + j] * u[i];
        }
    }
    return sqrt(norm);
}

static void test_bounded_slope(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES];
    float w[64 * 256];
    (void)state;
    assert_ok(make(&l, "dcgan", "{'ngf': 2, 'ndf': 4, 'latent_dim': 3, 'loss': 'wasserstein'}", 8, 8, 1, 0));
    l.options[1].rate = 0.05; /* would let them grow */
    assert_ok(learner_train(ctx, &l, 1));
    struct learner_batch b = make_batch(&l, 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
    run_steps(&l, &b, 20, losses);
    const struct gan *net = l.state;
    for (size_t i = 0; i < net->discriminator.count; i++) {
        const struct matrix *m = &net->discriminator.list[i].w;
        assert_ok(matrix_read(ctx, m, 0, false, w));
        double s = greatest_singular(w, (size_t)m->n, (size_t)m->k);
        if (s > 1.1 || s < 0.5)
            fail_msg("the greatest singular value of layer %zu is %g", i, s);
    }
    free_batch(&b);
    learner_close(ctx, &l);
}

/* ---- files and refusals ---- */

static void test_averages_are_saved(void **state)
{
    clio_context *ctx = test_context();
    struct learner l, loaded;
    double losses[LEARNER_LOSSES];
    float *now, *after, *saved;
    size_t n;
    (void)state;
    open_sort(&l, &sorts[2]);
    l.options[0].ema_decay = 0.9;
    l.options[0].rate = 0.1;
    assert_ok(learner_train(ctx, &l, 1));
    struct learner_batch b = make_batch(&l, 0, COUNT_OF_BATCH, COUNT_OF_BATCH);
    run_steps(&l, &b, 3, losses);
    now = all_parameters(&l, &n);
    assert_ok(learner_save(ctx, &l, folder));
    after = all_parameters(&l, &n);
    assert_same(now, after, n, "saving");
    assert_ok(learner_load(ctx, &loaded, folder));
    saved = all_parameters(&loaded, &n);
    assert_ok(parameters_swap_ema(ctx, &l.parameters[0]));
    float *average = all_parameters(&l, &n);
    assert_same(average, saved, n, "averages");
    assert_true(memcmp(now, saved, n * sizeof *now) != 0);
    free(now);
    free(after);
    free(saved);
    free(average);
    free_batch(&b);
    learner_close(ctx, &l);
    learner_close(ctx, &loaded);
}

static void test_refusals(void **state)
{
    struct learner l;
    (void)state;
    assert_fails(make(&l, "vae", "{'hiden': 5}", 4, 4, 1, 0), CLIO_ERROR_ARGUMENT, "hiden is not a setting of vae");
    assert_fails(make(&l, "vae", "{'hidden_size': 0}", 4, 4, 1, 0), CLIO_ERROR_ARGUMENT, "hidden_size must be an integer from 1");
    assert_fails(make(&l, "vae", "{'architecture': 'round'}", 4, 4, 1, 0), CLIO_ERROR_ARGUMENT, "architecture must be one of dense|conv");
    assert_fails(make(&l, "dcgan", "{}", 32, 48, 1, 0), CLIO_ERROR_ARGUMENT, "these are 48 x 32: set image_size");
    assert_fails(make(&l, "dcgan", "{}", 100, 100, 1, 0), CLIO_ERROR_ARGUMENT, "100 x 100: set image_size");
    assert_fails(make(&l, "cgan", "{}", 32, 32, 1, 0), CLIO_ERROR_ARGUMENT, "this data has none");
    assert_fails(make(&l, "vae-kl", "{'block_out_channels': '32', 'latent_channels': 256}", 4096, 4096, 1, 0), CLIO_ERROR_UNSUPPORTED,
                 "4096 x 4096 with 256 channels, which is too many");
    assert_null(learner_type_find("cnn"));
    assert_null(learner_type_find(NULL));
}

static void test_bad_files(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    (void)state;
    assert_fails(learner_load(ctx, &l, folder), CLIO_ERROR_FILE, "config.json");
    put_text("config.json", "{\"model_type\": \"bert\", \"image_size\": 4, \"channels\": 1}");
    assert_fails(learner_load(ctx, &l, folder), CLIO_ERROR_UNSUPPORTED, "model_type bert is not one that clio trains");
    put_text("config.json", "{\"model_type\": \"vae\", \"channels\": 1}");
    assert_fails(learner_load(ctx, &l, folder), CLIO_ERROR_FORMAT, "image_size");
    put_text("config.json", "{\"model_type\": \"vae\", \"image_size\": 4, \"channels\": 1, \"layers_per_block\": 3}");
    assert_fails(learner_load(ctx, &l, folder), CLIO_ERROR_UNSUPPORTED, "\"layers_per_block\" is not a setting of vae");
    open_sort(&l, &sorts[2]);
    assert_ok(learner_save(ctx, &l, folder));
    learner_close(ctx, &l);
    put_text("config.json", "{\"model_type\": \"gan\", \"image_size\": 7, \"channels\": 1}");
    assert_fails(learner_load(ctx, &l, folder), CLIO_ERROR_FORMAT, "g.0.weight is missing");
    put_text("config.json", "{\"model_type\": \"vae\", \"image_size\": 8, \"channels\": 1, \"hidden_size\": 12}");
    assert_fails(learner_load(ctx, &l, folder), CLIO_ERROR_FORMAT, "vae.fc1.weight");
}

static int clean_up(void **state)
{
    test_forget_tapes(state);
    return remove_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, make_folder, clean_up),
        cmocka_unit_test_teardown(test_shapes, test_forget_tapes),
        cmocka_unit_test_teardown(test_gradients, test_forget_tapes),
        cmocka_unit_test_teardown(test_processes, test_forget_tapes),
        cmocka_unit_test_teardown(test_accumulate, test_forget_tapes),
        cmocka_unit_test_teardown(test_learns, test_forget_tapes),
        cmocka_unit_test_teardown(test_measures, test_forget_tapes),
        cmocka_unit_test_teardown(test_evaluation, test_forget_tapes),
        cmocka_unit_test_teardown(test_bounded_slope, test_forget_tapes),
        cmocka_unit_test_setup_teardown(test_averages_are_saved, make_folder, clean_up),
        cmocka_unit_test_teardown(test_refusals, test_forget_tapes),
        cmocka_unit_test_setup_teardown(test_bad_files, make_folder, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
