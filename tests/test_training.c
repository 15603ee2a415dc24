/* test_training.c - three Adam steps of an autoencoder, a VAE, a GAN and a DCGAN against PyTorch's, from the same weights, batch and noise:
 * every loss within 1e-4 of itself, weights and running statistics within 1e-4 of the largest of each tensor. The networks are those of the
 * golden files (shared/tools/make_golden.py, def training), built of the learners' own pieces; the steps are the learners' own. */
#include "test.h"

#include "../models/learner_private.h"

#include <math.h>

#define BATCH 8
#define SIDE 16
#define STEPS 3
#define PIXELS (SIDE * SIDE)

#define LINEAR(n, outputs)                                                                                                                 \
    {                                                                                                                                      \
        .name = n, .kind = LAYER_LINEAR, .out = (outputs), .bias = true                                                                    \
    }
#define CONV(n, outputs, t, s, p, b)                                                                                                       \
    {                                                                                                                                      \
        .name = n, .kind = LAYER_CONV, .out = (outputs), .taps = (t), .stride = (s), .padding = (p), .bias = (b)                           \
    }
#define BACK(n, outputs, t, s, p, b)                                                                                                       \
    {                                                                                                                                      \
        .name = n, .kind = LAYER_TRANSPOSED, .out = (outputs), .taps = (t), .stride = (s), .padding = (p), .bias = (b)                     \
    }
#define ACT(a)                                                                                                                             \
    {                                                                                                                                      \
        .kind = LAYER_ACTIVATION, .act = (a), .slope = 0.2f                                                                                \
    }
#define NORM                                                                                                                               \
    {                                                                                                                                      \
        .kind = LAYER_BATCH_NORM                                                                                                           \
    }
#define FLATTEN                                                                                                                            \
    {                                                                                                                                      \
        .kind = LAYER_FLATTEN                                                                                                              \
    }

/* A learner whose state is put together here, and the golden file that it starts from. */
struct trial {
    struct learner learner;
    struct weights golden;
    struct learner_batch batch;
};

static bool begin(struct trial *t, const char *kind, const char *file)
{
    const char *path = test_golden(file);
    if (!path)
        return false;
    *t = (struct trial){.learner = {.kind = learner_kind_find(kind), .shape = {SIDE, SIDE, 1, 0}}};
    assert_ok(weights_open(test_context(), &t->golden, path, NULL));
    struct learner *l = &t->learner;
    l->one = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    assert_ok(tensor_new(test_context(), &l->one, "test"));
    for (int i = 0; i < LEARNER_PARTS; i++) {
        l->options[i] = optimizer_defaults();
        l->options[i].rate = 2e-4;
        l->options[i].beta1 = 0.5;
    }
    return true;
}

/* The pictures times `factor` plus `offset`. */
static void load(struct trial *t, float factor, float offset)
{
    clio_context *ctx = test_context();
    float *image = test_floats(&t->golden, "batch.image", BATCH * PIXELS);
    for (int i = 0; i < BATCH * PIXELS; i++)
        image[i] = image[i] * factor + offset;
    t->batch = (struct learner_batch){.count = BATCH, .global_count = BATCH, .pictures = tensor_shape(DTYPE_F32, 4, BATCH, SIDE, SIDE, 1)};
    assert_ok(tensor_new(ctx, &t->batch.pictures, "test"));
    assert_ok(tensor_write(ctx, &t->batch.pictures, 0, BATCH * PIXELS, image));
    free(image);
    for (int i = 0; i < LEARNER_PARTS; i++)
        assert_ok(parameters_read(ctx, &t->learner.parameters[i], PART_VALUE, "init.", &t->golden));
    assert_ok(learner_train(ctx, &t->learner, 1));
}

static void check_loss(const struct trial *t, int step, const char *name, double got)
{
    char key[64];
    snprintf(key, sizeof key, "step.%d.%s", step, name);
    float *want = test_floats(&t->golden, key, 1);
    if (!(fabs(got - (double)want[0]) <= 1e-4 * fabs((double)want[0])))
        fail_msg("step %d: %s is %.8g, expected %.8g", step, name, got, (double)want[0]);
    free(want);
}

/* The values of one parameter as a file would hold them. */
static float *parameter_floats(const struct parameter *p, size_t *count)
{
    clio_context *ctx = test_context();
    *count = 1;
    for (int i = 0; i < p->ndim; i++)
        *count *= (size_t)p->dim[i];
    float *x = malloc(*count * sizeof *x);
    assert_non_null(x);
    if (p->matrix.n)
        assert_ok(matrix_read(ctx, &p->matrix, p->channels, p->swapped, x));
    else
        assert_ok(tensor_read(ctx, &p->value, 0, *count, x));
    return x;
}

static void check_parameters(const struct trial *t)
{
    for (int part = 0; part < LEARNER_PARTS; part++)
        for (size_t i = 0; i < t->learner.parameters[part].count; i++) {
            const struct parameter *p = &t->learner.parameters[part].list[i];
            char key[128];
            size_t count;
            float *got = parameter_floats(p, &count);
            snprintf(key, sizeof key, "final.%s", p->names[0]);
            float *want = test_floats(&t->golden, key, count);
            test_close(got, want, count, 1e-4, key, __FILE__, __LINE__);
            free(got);
            free(want);
        }
}

static void end(struct trial *t)
{
    tensor_free(test_context(), &t->batch.pictures);
    learner_close(test_context(), &t->learner);
    weights_close(&t->golden);
}

/* A tensor of the file of more dimensions than clio has: its numbers. */
static float *raw_floats(const char *path, const char *name, size_t count)
{
    struct file_map map;
    uint64_t length = 0;
    assert_ok(file_map(test_context(), &map, path));
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)map.data[i] << 8 * i;
    json_t *header = json_loadb((const char *)map.data + 8, (size_t)length, 0, NULL);
    json_t *at = json_object_get(json_object_get(header, name), "data_offsets");
    size_t first = (size_t)json_integer_value(json_array_get(at, 0)), last = (size_t)json_integer_value(json_array_get(at, 1));
    assert_int_equal(last - first, count * sizeof(float));
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    memcpy(x, map.data + 8 + length + first, count * sizeof *x);
    json_decref(header);
    file_unmap(&map);
    return x;
}

/* Step i's noise of the file, f32 [BATCH, width]. */
static struct tensor noise(const struct trial *t, const char *name, int step, int width)
{
    size_t each = (size_t)BATCH * (size_t)width;
    float *all = raw_floats(t->golden.path, name, STEPS * each);
    struct tensor z = test_tensor(DTYPE_F32, 2, BATCH, width, 1, 1, all + (size_t)step * each);
    free(all);
    return z;
}

static void test_autoencoder(void **state)
{
    static const struct layer_row down[] = {CONV("0", 8, 3, 2, 1, true), ACT(ACT_RELU), CONV("2", 16, 3, 2, 1, true), ACT(ACT_RELU)};
    static const struct layer_row up[] = {BACK("4", 8, 4, 2, 1, true), ACT(ACT_RELU), BACK("6", 1, 4, 2, 1, true), ACT(ACT_SIGMOID)};
    clio_context *ctx = test_context();
    struct trial t;
    (void)state;
    if (!begin(&t, "autoencoder", "training/autoencoder.safetensors"))
        skip();
    struct autoencoder *net = calloc(1, sizeof *net);
    assert_non_null(net);
    t.learner.state = net;
    assert_ok(layers_new(ctx, &net->encoder, "ae.", down, COUNT(down), SIDE, SIDE, 1, &t.learner.parameters[0]));
    assert_ok(layers_new(ctx, &net->decoder, "ae.", up, COUNT(up), 4, 4, 16, &t.learner.parameters[0]));
    load(&t, 1, 0);
    for (int i = 0; i < STEPS; i++) {
        double loss;
        assert_ok(t.learner.kind->step(ctx, &t.learner, &t.batch, &loss));
        check_loss(&t, i, "loss", loss);
    }
    check_parameters(&t);
    end(&t);
}

static void test_vae(void **state)
{
    static const struct layer_row encoder[] = {LINEAR("fc1", 48), ACT(ACT_RELU)}, mu[] = {LINEAR("mu", 10)};
    static const struct layer_row logvar[] = {LINEAR("logvar", 10)}, decoder[] = {LINEAR("fc2", 48), ACT(ACT_RELU), LINEAR("fc3", PIXELS)};
    clio_context *ctx = test_context();
    struct trial t;
    (void)state;
    if (!begin(&t, "vae", "training/vae.safetensors"))
        skip();
    struct vae_networks *net = calloc(1, sizeof *net);
    struct parameters *p = &t.learner.parameters[0];
    assert_non_null(net);
    t.learner.state = net;
    t.learner.latent = 10;
    net->beta = 0.5f;
    t.learner.options[0] = optimizer_defaults(); /* Adam 1e-3, 0.9, 0.999 */
    assert_ok(layers_new(ctx, &net->encoder, "vae.", encoder, COUNT(encoder), 1, 1, PIXELS, p));
    assert_ok(layers_new(ctx, &net->mu, "vae.", mu, COUNT(mu), 1, 1, 48, p));
    assert_ok(layers_new(ctx, &net->logvar, "vae.", logvar, COUNT(logvar), 1, 1, 48, p));
    assert_ok(layers_new(ctx, &net->decoder, "vae.", decoder, COUNT(decoder), 1, 1, 10, p));
    load(&t, 1, 0);
    t.batch.global_count = 1; /* the file's losses are sums over the batch */
    for (int i = 0; i < STEPS; i++) {
        double losses[3];
        struct tensor eps = noise(&t, "batch.eps", i, 10);
        assert_ok(vae_step(ctx, &t.learner, &t.batch, &eps, losses));
        check_loss(&t, i, "loss", losses[0]);
        check_loss(&t, i, "reconstruction", losses[1]);
        check_loss(&t, i, "kl", losses[2]);
        test_free(&eps);
    }
    check_parameters(&t);
    end(&t);
}

static void check_gan(const char *kind, const char *file, const struct layer_row *g, size_t g_count, const struct layer_row *d,
                      size_t d_count, bool flat)
{
    clio_context *ctx = test_context();
    struct trial t;
    if (!begin(&t, kind, file))
        skip();
    struct gan *net = calloc(1, sizeof *net);
    assert_non_null(net);
    t.learner.state = net;
    t.learner.latent = 12;
    assert_ok(layers_new(ctx, &net->generator, "g.", g, g_count, 1, 1, 12, &t.learner.parameters[0]));
    assert_ok(layers_new(ctx, &net->discriminator, "d.", d, d_count, flat ? 1 : SIDE, flat ? 1 : SIDE, flat ? PIXELS : 1,
                         &t.learner.parameters[1]));
    load(&t, 2, -1);
    for (int i = 0; i < STEPS; i++) {
        double losses[2];
        struct tensor z = noise(&t, "batch.z", i, 12);
        assert_ok(gan_step(ctx, &t.learner, &t.batch, &z, losses));
        check_loss(&t, i, "d_loss", losses[0]);
        check_loss(&t, i, "g_loss", losses[1]);
        test_free(&z);
    }
    check_parameters(&t);
    end(&t);
}

static void test_gan(void **state)
{
    static const struct layer_row g[] = {LINEAR(NULL, 32), ACT(ACT_LEAKY_RELU), NORM, LINEAR(NULL, PIXELS), ACT(ACT_TANH)};
    static const struct layer_row d[] = {FLATTEN, LINEAR(NULL, 32), ACT(ACT_LEAKY_RELU), LINEAR(NULL, 1)};
    (void)state;
    check_gan("gan", "training/gan.safetensors", g, COUNT(g), d, COUNT(d), true);
}

/* The tables of the kind itself: 16 pixels a side, ngf and ndf 8. */
static void test_dcgan(void **state)
{
    struct learner l = {.kind = learner_kind_find("dcgan"), .shape = {SIDE, SIDE, 1, 0}};
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

/* A test that fails half way leaves tapes of learners that are no more. */
static int forget_tapes(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    ctx->tape = ctx->tapes = NULL;
    ctx->pool.taken = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_autoencoder, forget_tapes),
        cmocka_unit_test_teardown(test_vae, forget_tapes),
        cmocka_unit_test_teardown(test_gan, forget_tapes),
        cmocka_unit_test_teardown(test_dcgan, forget_tapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
