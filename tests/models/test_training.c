/* test_training.c - three Adam steps of an autoencoder, a VAE, a GAN and a DCGAN against PyTorch's, from the same weights, batch and noise
 * (trial.h), with the learners' own steps. */
#include "../support/trial.h"

static void test_autoencoder(void **state)
{
    clio_context *ctx = test_context();
    struct trial t;
    (void)state;
    if (!trial_autoencoder(&t))
        skip();
    trial_load(&t, 1, 0, 0, TRIAL_BATCH);
    for (int i = 0; i < TRIAL_STEPS; i++) {
        double loss;
        assert_ok(t.learner.type->step(ctx, &t.learner, &t.batch, &loss));
        trial_check_loss(&t, i, "loss", loss);
    }
    trial_check_parameters(&t);
    trial_end(&t);
}

static void test_vae(void **state)
{
    clio_context *ctx = test_context();
    struct trial t;
    (void)state;
    if (!trial_vae(&t))
        skip();
    trial_load(&t, 1, 0, 0, TRIAL_BATCH);
    t.batch.global_count = 1; /* the file's losses are sums over the batch */
    for (int i = 0; i < TRIAL_STEPS; i++) {
        double losses[3];
        struct tensor eps = trial_noise(&t, "batch.eps", i, 10);
        assert_ok(vae_step(ctx, &t.learner, &t.batch, &eps, losses));
        trial_check_loss(&t, i, "loss", losses[0]);
        trial_check_loss(&t, i, "reconstruction", losses[1]);
        trial_check_loss(&t, i, "kl", losses[2]);
        test_free(&eps);
    }
    trial_check_parameters(&t);
    trial_end(&t);
}

static void check_gan(const char *type, const char *file, const struct layer_row *g, size_t g_count, const struct layer_row *d,
                      size_t d_count, bool flat)
{
    clio_context *ctx = test_context();
    struct trial t;
    if (!trial_begin(&t, type, file))
        skip();
    struct gan *net = calloc(1, sizeof *net);
    assert_non_null(net);
    t.learner.state = net;
    t.learner.latent = 12;
    assert_ok(sequential_new(ctx, &net->generator, "g.", g, g_count, 1, 1, 12, &t.learner.parameters[0]));
    assert_ok(sequential_new(ctx, &net->discriminator, "d.", d, d_count, flat ? 1 : TRIAL_SIDE, flat ? 1 : TRIAL_SIDE,
                             flat ? TRIAL_PIXELS : 1, &t.learner.parameters[1]));
    trial_load(&t, 2, -1, 0, TRIAL_BATCH);
    for (int i = 0; i < TRIAL_STEPS; i++) {
        double losses[2];
        struct tensor z = trial_noise(&t, "batch.z", i, 12);
        assert_ok(gan_step(ctx, &t.learner, &t.batch, &z, losses));
        trial_check_loss(&t, i, "d_loss", losses[0]);
        trial_check_loss(&t, i, "g_loss", losses[1]);
        test_free(&z);
    }
    trial_check_parameters(&t);
    trial_end(&t);
}

static void test_gan(void **state)
{
    static const struct layer_row g[] = {LINEAR(NULL, 32), ACT(ACT_LEAKY_RELU), NORM, LINEAR(NULL, TRIAL_PIXELS), ACT(ACT_TANH)};
    static const struct layer_row d[] = {FLATTEN, LINEAR(NULL, 32), ACT(ACT_LEAKY_RELU), LINEAR(NULL, 1)};
    (void)state;
    check_gan("gan", "training/gan.safetensors", g, COUNT(g), d, COUNT(d), true);
}

/* The layer tables of dcgan: 16 x 16 pixels, ngf and ndf 8. */
static void test_dcgan(void **state)
{
    struct learner l = {.type = learner_type_find("dcgan"), .shape = {TRIAL_SIDE, TRIAL_SIDE, 1, 0}};
    struct pyramid p = {.norm = true, .act = ACT_RELU}, q = {.norm = true, .act = ACT_LEAKY_RELU, .slope = 0.2f};
    struct layer_rows g = {0}, d = {0};
    (void)state;
    assert_ok(pyramid_fit(test_context(), &l, &p));
    assert_ok(pyramid_fit(test_context(), &l, &q));
    p.width = q.width = 8;
    rows_up(&g, &p, 1, ACT_TANH);
    rows_down(&d, &q, 1);
    check_gan("dcgan", "training/dcgan.safetensors", g.row, g.count, d.row, d.count, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_autoencoder, test_forget_tapes),
        cmocka_unit_test_teardown(test_vae, test_forget_tapes),
        cmocka_unit_test_teardown(test_gan, test_forget_tapes),
        cmocka_unit_test_teardown(test_dcgan, test_forget_tapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
