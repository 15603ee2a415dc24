/* test_loss_rows.c - the losses and metrics of every model type against their closed form: networks whose last layer is constant, so that
 * the score of a discriminator, the latents and reconstruction of a VAE or the classes of a classifier are known numbers. */
#include "test_learners.h"

#include "../../models/learners/diffusion.h"

#define BATCH 4
#define PIXELS 16

static double softplus(double x)
{
    return log1p(exp(x));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

#define NEAR(got, want) near_to((got), (want), #got, __LINE__)
static void near_to(double got, double want, const char *name, int line)
{
    if (!(fabs(got - want) <= 2e-5 * fmax(1, fabs(want))))
        fail_msg("line %d: %s is %.9g, and its formula gives %.9g", line, name, got, want);
}

/* Write a parameter: a [rows, columns] matrix whose first row is `first` and whose others are 0, or a vector of `first`. */
static void set_parameter(struct learner *l, const char *name, float first)
{
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < l->parameters[part].count; i++) {
            struct parameter *p = &l->parameters[part].list[i];
            if (strcmp(p->names[0], name) != 0)
                continue;
            size_t count = parameter_key_count(p), row = p->ndim > 1 ? count / (size_t)p->dim[0] : count;
            float *data = calloc(count, sizeof *data);
            struct weight w = {.name = p->names[0], .dtype = DTYPE_F32, .ndim = p->ndim, .count = count};
            assert_non_null(data);
            for (size_t j = 0; j < row; j++)
                data[j] = first;
            memcpy(w.dim, p->dim, sizeof w.dim);
            w.data = (const unsigned char *)data;
            assert_ok(parameter_read_key(test_context(), p, &p->value, 0, &w));
            free(data);
            return;
        }
    fail_msg("there is no parameter %s", name);
}

/* BATCH images of one value. */
static struct learner_batch constant_batch(const struct learner *l, float value)
{
    struct learner_batch b = make_batch(l, 0, BATCH, BATCH);
    float pixels[BATCH * 64];
    size_t count = (size_t)BATCH * (size_t)learner_pixels(l);
    assert_true(count <= COUNT(pixels));
    for (size_t i = 0; i < count; i++)
        pixels[i] = value;
    assert_ok(tensor_write(test_context(), &b.images, 0, count, pixels));
    return b;
}

/* ---- GAN ---- */

/* D(x) = leaky(sum of x / 4) + bias, whose layers have the spectral norm 1; D and G do not learn. x = 0.5 has the score 2 + bias; G makes
 * tanh(fake), of which -0.25 has the score -0.2 + bias. */
static void gan_losses(const char *loss, double bias, double out[2])
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES];
    char settings[200];
    snprintf(settings, sizeof settings, "{'hidden_size': 3, 'num_hidden_layers': 1, 'latent_dim': 2, 'loss': '%s'}", loss);
    assert_ok(make(&l, "gan", settings, 4, 4, 1, 0));
    l.options[0].rate = l.options[1].rate = 0;
    assert_ok(learner_train(ctx, &l, 1));
    set_parameter(&l, "d.0.weight", 0.25f);
    set_parameter(&l, "d.0.bias", 0);
    set_parameter(&l, "d.2.weight", 0);
    set_parameter(&l, "d.2.bias", (float)bias);
    for (size_t i = 0; i < l.parameters[1].count; i++) { /* the second layer reads the first unit alone */
        struct parameter *p = &l.parameters[1].list[i];
        if (!strcmp(p->names[0], "d.2.weight")) {
            float row[3] = {1, 0, 0};
            struct weight w = {.name = p->names[0], .dtype = DTYPE_F32, .ndim = 2, .dim = {1, 3}, .count = 3};
            w.data = (const unsigned char *)row;
            assert_ok(parameter_read_key(ctx, p, &p->value, 0, &w));
        }
    }
    set_parameter(&l, "g.3.weight", 0);
    set_parameter(&l, "g.3.bias", (float)atanh(-0.25));
    struct learner_batch b = constant_batch(&l, 0.5f);
    assert_ok(l.type->step(ctx, &l, &b, losses));
    out[0] = losses[0];
    out[1] = losses[1];
    free_batch(&b);
    learner_close(ctx, &l);
}

static void test_gan_rows(void **state)
{
    static const double biases[] = {-2.5, -0.5, 0.75};
    double got[2];
    (void)state;
    for (size_t i = 0; i < COUNT(biases); i++) {
        double real = 2 + biases[i], fake = -0.2 + biases[i];
        gan_losses("bce", biases[i], got);
        NEAR(got[0], softplus(-real) + softplus(fake));
        NEAR(got[1], softplus(-fake));
        gan_losses("least-squares", biases[i], got);
        NEAR(got[0], (real - 1) * (real - 1) + fake * fake);
        NEAR(got[1], (fake - 1) * (fake - 1));
        gan_losses("hinge", biases[i], got);
        NEAR(got[0], fmax(0, 1 - real) + fmax(0, 1 + fake));
        NEAR(got[1], -fake);
        gan_losses("wasserstein", biases[i], got);
        NEAR(got[0], fake - real);
        NEAR(got[1], -fake);
        gan_losses("jsd", biases[i], got);
        NEAR(got[0], softplus(-real) - log(2) + softplus(fake) - log(2));
        NEAR(got[1], softplus(-fake) - log(2));
    }
}

/* Two constant sets at the distance d: 2 (k(0) - k(d)), summed over the bandwidths. */
static void test_mmd_rows(void **state)
{
    clio_context *ctx = test_context();
    static const double rbf[] = {0.125, 0.25, 0.5, 1, 2}, rational[] = {0.2, 0.5, 1, 2, 5};
    const double d2 = PIXELS * 0.75 * 0.75;
    (void)state;
    for (int kernel = 0; kernel < 2; kernel++) {
        struct learner l;
        double losses[LEARNER_LOSSES], want = 0;
        assert_ok(make(&l, "mmd-gan",
                       kernel ? "{'architecture': 'dense', 'hidden_size': 3, 'num_hidden_layers': 1, 'latent_dim': 2, 'feature_space': "
                                "'pixels', 'kernel': 'rational', 'bandwidth': 2}"
                              : "{'architecture': 'dense', 'hidden_size': 3, 'num_hidden_layers': 1, 'latent_dim': 2, 'feature_space': "
                                "'pixels', 'bandwidth': 2}",
                       4, 4, 1, 0));
        assert_ok(learner_train(ctx, &l, 1));
        set_parameter(&l, "g.3.weight", 0);
        set_parameter(&l, "g.3.bias", (float)atanh(-0.25));
        struct learner_batch b = constant_batch(&l, 0.5f);
        assert_ok(l.type->step(ctx, &l, &b, losses));
        for (size_t i = 0; i < COUNT(rbf); i++) {
            double s = 2 * rbf[i] * sqrt(PIXELS), a = 2 * rational[i];
            want += 2 * (1 - (kernel ? pow(1 + d2 / (2 * a), -a) : exp(-d2 / (2 * s * s))));
        }
        NEAR(losses[0], want);
        free_batch(&b);
        learner_close(ctx, &l);
    }
}

/* ---- VAE ---- */

#define LATENT 3

static void vae_losses(const char *reconstruction, double mu, double logvar, double logit, double x, double out[3], double metrics[3])
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES];
    char settings[200];
    snprintf(settings, sizeof settings, "{'hidden_size': 5, 'latent_dim': %d, 'beta': 0.25, 'reconstruction_loss': '%s'}", LATENT,
             reconstruction);
    assert_ok(make(&l, "vae", settings, 4, 4, 1, 0));
    l.options[0].rate = 0;
    assert_ok(learner_train(ctx, &l, 1));
    set_parameter(&l, "vae.mu.weight", 0);
    set_parameter(&l, "vae.mu.bias", (float)mu);
    set_parameter(&l, "vae.logvar.weight", 0);
    set_parameter(&l, "vae.logvar.bias", (float)logvar);
    set_parameter(&l, "vae.fc3.weight", 0);
    set_parameter(&l, "vae.fc3.bias", (float)logit);
    struct learner_batch b = constant_batch(&l, (float)x);
    assert_ok(l.type->step(ctx, &l, &b, losses));
    memcpy(out, losses, 3 * sizeof *out);
    memset(metrics, 0, 3 * sizeof *metrics);
    assert_ok(l.type->evaluate(ctx, &l, &b, 5, losses));
    memcpy(metrics, losses, 3 * sizeof *metrics);
    free_batch(&b);
    learner_close(ctx, &l);
}

static void test_vae_rows(void **state)
{
    const double mu = 0.5, logvar = -0.75, logit = 0.4, x = 0.75;
    double got[3], metrics[3], kl = LATENT * 0.5 * (mu * mu + exp(logvar) - 1 - logvar);
    double bce = PIXELS * (softplus(logit) - x * logit), mse = PIXELS * 0.5 * pow(sigmoid(logit) - x, 2);
    (void)state;
    vae_losses("bce", mu, logvar, logit, x, got, metrics);
    NEAR(got[1], bce);
    NEAR(got[2], kl);
    NEAR(got[0], bce + 0.25 * kl);
    NEAR(metrics[0] / BATCH, bce + kl); /* the ELBO has no beta */
    vae_losses("mse", mu, logvar, logit, x, got, metrics);
    NEAR(got[1], mse);
    NEAR(got[0], mse + 0.25 * kl);
    NEAR(metrics[1] / BATCH, mse);
    NEAR(metrics[2] / BATCH, kl);
}

static void test_autoencoder_rows(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES], want = pow(sigmoid(0.4) - 0.75, 2);
    (void)state;
    assert_ok(make(&l, "autoencoder", "{'architecture': 'dense', 'hidden_size': 5, 'latent_dim': 3}", 4, 4, 1, 0));
    l.options[0].rate = 0;
    assert_ok(learner_train(ctx, &l, 1));
    set_parameter(&l, "ae.decoder.2.weight", 0);
    set_parameter(&l, "ae.decoder.2.bias", 0.4f);
    struct learner_batch b = constant_batch(&l, 0.75f);
    assert_ok(l.type->step(ctx, &l, &b, losses));
    NEAR(losses[0], want);
    assert_ok(l.type->evaluate(ctx, &l, &b, 5, losses));
    NEAR(losses[0], BATCH * want);
    free_batch(&b);
    learner_close(ctx, &l);
}

/* L1 and squares of the same reconstruction: the mean over pixels; the loss has kl_weight of the KL divergence. */
static void test_vae_kl_rows(void **state)
{
    clio_context *ctx = test_context();
    static const char *const kinds[] = {"l1", "mse"};
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct learner l;
        double losses[LEARNER_LOSSES], want = 0;
        char settings[300];
        float y[16 * 16 * BATCH], x[16 * 16 * BATCH], *latents;
        snprintf(
            settings, sizeof settings,
            "{'block_out_channels': '8,8', 'layers_per_block': 1, 'norm_num_groups': 4, 'kl_weight': 0.5, 'reconstruction_loss': '%s'}",
            kinds[kind]);
        assert_ok(make(&l, "vae-kl", settings, 16, 16, 1, 0));
        l.options[0].rate = 0;
        assert_ok(learner_train(ctx, &l, 1));
        set_parameter(&l, "quant_conv.weight", 0); /* mu and logvar of -30: the latents are the means */
        set_parameter(&l, "quant_conv.bias", -30);
        struct learner_batch b = make_batch(&l, 0, BATCH, BATCH);
        assert_ok(l.type->step(ctx, &l, &b, losses));
        latents = calloc((size_t)BATCH * (size_t)l.latent, sizeof *latents);
        assert_non_null(latents);
        assert_ok(tensor_read(ctx, &b.images, 0, COUNT(x), x));
        assert_ok(l.type->encode(ctx, &l, BATCH, x, NULL, latents));
        assert_ok(l.type->sample(ctx, &l, BATCH, latents, NULL, y));
        for (size_t i = 0; i < COUNT(x); i++)
            want += (kind ? pow((double)(x[i] - y[i]), 2) : fabs((double)(x[i] - y[i]))) / (double)COUNT(x);
        near_to(losses[1], want, kinds[kind], __LINE__);
        NEAR(losses[0], losses[1] + 0.5 * losses[2]);
        free(latents);
        free_batch(&b);
        learner_close(ctx, &l);
    }
}

/* ---- classifier ---- */

/* Scores 0, 0, 0 but one: cross entropy with label smoothing in training, without in evaluation, and accuracy. */
static void test_classifier_rows(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES], metrics[LEARNER_LOSSES] = {0};
    const double smoothing = 0.3;
    static const int32_t labels[BATCH] = {0, 1, 0, 0};
    float scores[CLASSES] = {1.5f, -0.5f, 0.25f};
    (void)state;
    assert_ok(make(&l, "classifier", "{'base_channels': 2, 'feature_dim': 4, 'label_smoothing': 0.3}", 8, 8, 1, CLASSES));
    l.options[0].rate = 0;
    assert_ok(learner_train(ctx, &l, 1));
    set_parameter(&l, "classifier.scores.weight", 0);
    for (size_t i = 0; i < l.parameters[0].count; i++)
        if (!strcmp(l.parameters[0].list[i].names[0], "classifier.scores.bias"))
            assert_ok(tensor_write(ctx, &l.parameters[0].list[i].value, 0, CLASSES, scores));
    struct learner_batch b = constant_batch(&l, 0.5f);
    b.labels = labels;
    double total = 0, uniform = 0, sharp = 0;
    for (int c = 0; c < CLASSES; c++)
        total += exp((double)scores[c]);
    for (int c = 0; c < CLASSES; c++)
        uniform += (log(total) - (double)scores[c]) / CLASSES;
    for (int i = 0; i < BATCH; i++)
        sharp += (log(total) - (double)scores[labels[i]]) / BATCH;
    assert_ok(l.type->step(ctx, &l, &b, losses));
    NEAR(losses[0], (1 - smoothing) * sharp + smoothing * uniform);
    assert_ok(l.type->evaluate(ctx, &l, &b, 5, metrics));
    NEAR(metrics[0], 3); /* class 0 has the highest score */
    NEAR(metrics[1], BATCH * sharp);
    free_batch(&b);
    learner_close(ctx, &l);
}

/* ---- diffusion ---- */

/* One image and a network that predicts 0: with Min-SNR the loss is that without, times the weight of its timestep. */
static void check_min_snr(const char *prediction, bool velocity)
{
    clio_context *ctx = test_context();
    const double gamma = 2;
    int seen[2] = {0, 0};
    for (int64_t step = 0; step < 12; step++) {
        double loss[2], weights[2];
        for (int weighted = 0; weighted < 2; weighted++) {
            struct learner l;
            char settings[400];
            snprintf(settings, sizeof settings,
                     "{'block_out_channels': '8,8', 'layers_per_block': 1, 'norm_num_groups': 4, 'num_attention_heads': 1, "
                     "'num_train_timesteps': 2, 'beta_start': 0.1, 'beta_end': 0.8, 'snr_gamma': %d, 'prediction_type': '%s'}",
                     weighted ? (int)gamma : 0, prediction);
            assert_ok(make(&l, "unet", settings, 8, 8, 1, 0));
            l.options[0].rate = 0;
            assert_ok(learner_train(ctx, &l, 1));
            set_parameter(&l, "conv_out.weight", 0);
            set_parameter(&l, "conv_out.bias", 0);
            l.step = step;
            struct learner_batch b = make_batch(&l, 0, 1, 1);
            double losses[LEARNER_LOSSES];
            assert_ok(l.type->step(ctx, &l, &b, losses));
            loss[weighted] = losses[0];
            const struct unet_learner *u = l.state;
            for (int t = 0; t < 2; t++) {
                double snr = (double)u->alphas[t] / (1 - (double)u->alphas[t]);
                weights[t] = fmin(snr, gamma) / (velocity ? snr + 1 : snr);
            }
            free_batch(&b);
            learner_close(ctx, &l);
        }
        int t = fabs(loss[1] / loss[0] - weights[0]) < 1e-4 ? 0 : fabs(loss[1] / loss[0] - weights[1]) < 1e-4 ? 1 : -1;
        if (t < 0)
            fail_msg("%s: the weight is %.6g, not %.6g or %.6g", prediction, loss[1] / loss[0], weights[0], weights[1]);
        seen[t]++;
    }
    assert_true(seen[0] && seen[1]);
}

static void test_min_snr(void **state)
{
    (void)state;
    check_min_snr("epsilon", false);
    check_min_snr("v_prediction", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_gan_rows, test_forget_tapes),    cmocka_unit_test_teardown(test_mmd_rows, test_forget_tapes),
        cmocka_unit_test_teardown(test_vae_rows, test_forget_tapes),    cmocka_unit_test_teardown(test_autoencoder_rows, test_forget_tapes),
        cmocka_unit_test_teardown(test_vae_kl_rows, test_forget_tapes), cmocka_unit_test_teardown(test_classifier_rows, test_forget_tapes),
        cmocka_unit_test_teardown(test_min_snr, test_forget_tapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
