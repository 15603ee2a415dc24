/* trial.c - see trial.h. */
#include "trial.h"

#include <math.h>

bool trial_begin(struct trial *t, const char *type, const char *file)
{
    const char *path = test_golden(file);
    if (!path)
        return false;
    *t = (struct trial){.learner = {.type = learner_type_find(type), .shape = {TRIAL_SIDE, TRIAL_SIDE, 1, 0}}};
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

void trial_end(struct trial *t)
{
    tensor_free(test_context(), &t->batch.images);
    learner_close(test_context(), &t->learner);
    weights_close(&t->golden);
}

bool trial_autoencoder(struct trial *t)
{
    static const struct layer_row down[] = {CONV("0", 8, 3, 2, 1, true), ACT(ACT_RELU), CONV("2", 16, 3, 2, 1, true), ACT(ACT_RELU)};
    static const struct layer_row up[] = {BACK("4", 8, 4, 2, 1, true), ACT(ACT_RELU), BACK("6", 1, 4, 2, 1, true), ACT(ACT_SIGMOID)};
    clio_context *ctx = test_context();
    struct parameters *p = &t->learner.parameters[0];
    if (!trial_begin(t, "autoencoder", "training/autoencoder.safetensors"))
        return false;
    struct autoencoder *net = calloc(1, sizeof *net);
    assert_non_null(net);
    t->learner.state = net;
    assert_ok(sequential_new(ctx, &net->encoder, "ae.", down, COUNT(down), TRIAL_SIDE, TRIAL_SIDE, 1, p));
    assert_ok(sequential_new(ctx, &net->decoder, "ae.", up, COUNT(up), 4, 4, 16, p));
    return true;
}

bool trial_vae(struct trial *t)
{
    static const struct layer_row encoder[] = {LINEAR("fc1", 48), ACT(ACT_RELU)}, mu[] = {LINEAR("mu", 10)};
    static const struct layer_row logvar[] = {LINEAR("logvar", 10)};
    static const struct layer_row decoder[] = {LINEAR("fc2", 48), ACT(ACT_RELU), LINEAR("fc3", TRIAL_PIXELS)};
    clio_context *ctx = test_context();
    struct parameters *p = &t->learner.parameters[0];
    if (!trial_begin(t, "vae", "training/vae.safetensors"))
        return false;
    struct vae_networks *net = calloc(1, sizeof *net);
    assert_non_null(net);
    t->learner.state = net;
    t->learner.latent = 10;
    net->beta = 0.5f;
    t->learner.options[0] = optimizer_defaults(); /* Adam 1e-3, 0.9, 0.999 */
    assert_ok(sequential_new(ctx, &net->encoder, "vae.", encoder, COUNT(encoder), 1, 1, TRIAL_PIXELS, p));
    assert_ok(sequential_new(ctx, &net->mu, "vae.", mu, COUNT(mu), 1, 1, 48, p));
    assert_ok(sequential_new(ctx, &net->logvar, "vae.", logvar, COUNT(logvar), 1, 1, 48, p));
    assert_ok(sequential_new(ctx, &net->decoder, "vae.", decoder, COUNT(decoder), 1, 1, 10, p));
    return true;
}

void trial_load(struct trial *t, float factor, float offset, int first, int count)
{
    clio_context *ctx = test_context();
    float *image = test_floats(&t->golden, "batch.image", TRIAL_BATCH * TRIAL_PIXELS);
    for (int i = 0; i < TRIAL_BATCH * TRIAL_PIXELS; i++)
        image[i] = image[i] * factor + offset;
    t->batch = (struct learner_batch){.count = count, .global_count = TRIAL_BATCH, .first = first};
    t->batch.images = tensor_shape(DTYPE_F32, 4, TRIAL_BATCH, TRIAL_SIDE, TRIAL_SIDE, 1);
    assert_ok(tensor_new(ctx, &t->batch.images, "test"));
    t->batch.images.dim[0] = count;
    if (count)
        assert_ok(tensor_write(ctx, &t->batch.images, 0, (size_t)count * TRIAL_PIXELS, image + (size_t)first * TRIAL_PIXELS));
    free(image);
    for (int i = 0; i < LEARNER_PARTS; i++)
        assert_ok(parameters_read(ctx, &t->learner.parameters[i], PART_VALUE, "init.", &t->golden));
    assert_ok(learner_train(ctx, &t->learner, 1));
}

/* A tensor of the file of more dimensions than clio has: its numbers. */
static float *raw_floats(const char *path, const char *name, size_t count)
{
    struct file_content map;
    uint64_t length = 0;
    assert_ok(file_load(test_context(), &map, path));
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
    file_unload(&map);
    return x;
}

struct tensor trial_noise(const struct trial *t, const char *name, int step, int width)
{
    size_t row = (size_t)step * TRIAL_BATCH + (size_t)t->batch.first;
    float *all = raw_floats(t->golden.path, name, (size_t)TRIAL_STEPS * TRIAL_BATCH * (size_t)width);
    struct tensor z = tensor_shape(DTYPE_F32, 2, t->batch.count, width, 0, 0);
    if (t->batch.count)
        z = test_tensor(DTYPE_F32, 2, t->batch.count, width, 1, 1, all + row * (size_t)width);
    free(all);
    return z;
}

void trial_check_loss(const struct trial *t, int step, const char *name, double got)
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

void trial_check_parameters(const struct trial *t)
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
