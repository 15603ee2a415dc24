/* gan.c - generative adversarial networks (Goodfellow et al. 2014): a generator G maps noise to images, a discriminator D tells them from
 * real ones. Fully connected, or DCGAN (Radford, Metz and Chintala 2016); conditional on labels (Mirza and Osindero 2014) or captions (Reed
 * et al. 2016). Losses of D on real and generated images, and of G:
 *
 *     bce            -log sigmoid(D(x)), -log(1 - sigmoid(D(G(z))))     -log sigmoid(D(G(z))): non-saturating
 *     least-squares  (D(x) - 1)^2, D(G(z))^2                            (D(G(z)) - 1)^2 (Mao et al. 2017)
 *     hinge          max(0, 1 - D(x)), max(0, 1 + D(G(z)))              -D(G(z)) (Lim and Ye 2017)
 *     wasserstein    -D(x), D(G(z)), with spectral norm                 -D(G(z)) (Arjovsky et al. 2017; nn/spectral_norm.h)
 *     jsd            f-GAN bound on the Jensen-Shannon divergence (Nowozin, Cseke and Tomioka 2016), G's of its section 3.2
 *
 * A step: G generates images, on tape 0; D is trained on them and on real ones, two batches for its batch norm, on tape 1; then the updated
 * D runs on the generated images on tape 0, where its weights are constants, and G is trained. */
#include "gan.h"
#include "generate.h"
#include "types.h"

#include <stdlib.h>

static const struct loss_terms {
    struct loss_args real, fake, generator; /* scale: the sign alone */
} terms[] = {
    [GAN_BCE] = {{.loss = LOSS_BCE_LOGITS, .scale = 1, .target = 1},
                 {.loss = LOSS_BCE_LOGITS, .scale = 1, .target = 0},
                 {.loss = LOSS_BCE_LOGITS, .scale = 1, .target = 1}},
    [GAN_LEAST_SQUARES] = {{.loss = LOSS_MSE, .scale = 1, .target = 1},
                           {.loss = LOSS_MSE, .scale = 1, .target = 0},
                           {.loss = LOSS_MSE, .scale = 1, .target = 1}},
    [GAN_HINGE] = {{.loss = LOSS_HINGE_REAL, .scale = 1}, {.loss = LOSS_HINGE_FAKE, .scale = 1}, {.loss = LOSS_MEAN, .scale = -1}},
    [GAN_WASSERSTEIN] = {{.loss = LOSS_MEAN, .scale = -1}, {.loss = LOSS_MEAN, .scale = 1}, {.loss = LOSS_MEAN, .scale = -1}},
    [GAN_JSD] = {{.loss = LOSS_JSD_REAL, .scale = 1}, {.loss = LOSS_JSD_FAKE, .scale = 1}, {.loss = LOSS_JSD_REAL, .scale = 1}},
};

#define LATENT                                                                                                                             \
    {                                                                                                                                      \
        "latent_dim", 'i', 1, 65536, 100, NULL, "dimension of the noise vector"                                                            \
    }
#define LOSS                                                                                                                               \
    {                                                                                                                                      \
        "loss", 's', 0, 0, 0, "bce|least-squares|hinge|wasserstein|jsd", "adversarial loss"                                                \
    }
#define HIDDEN                                                                                                                             \
    {                                                                                                                                      \
        "hidden_size", 'i', 1, 16384, 256, NULL, "dense: units of the smallest hidden layer"                                               \
    }
#define DEPTH                                                                                                                              \
    {                                                                                                                                      \
        "num_hidden_layers", 'i', 1, 6, 2, NULL, "dense: hidden layers, each twice as wide as the one nearer to the noise"                 \
    }
#define NGF                                                                                                                                \
    {                                                                                                                                      \
        "ngf", 'i', 1, 512, 64, NULL, "conv: generator channels at the full resolution"                                                    \
    }
#define NDF                                                                                                                                \
    {                                                                                                                                      \
        "ndf", 'i', 1, 512, 64, NULL, "conv: discriminator channels at the full resolution"                                                \
    }
#define FORM                                                                                                                               \
    {                                                                                                                                      \
        "architecture", 's', 0, 0, 0, "conv|dense", "architecture: convolutional (as DCGAN) or fully connected"                            \
    }

static const struct learner_setting gan_settings[] = {LATENT, HIDDEN, DEPTH, LOSS, {0}};
static const struct learner_setting dcgan_settings[] = {LATENT, NGF, NDF, LOSS, {0}};
static const struct learner_setting cgan_settings[] = {FORM, LATENT, NGF, NDF, HIDDEN, DEPTH, LOSS, CAPTION_SETTINGS, {0}};
static const struct learner_setting jsd_settings[] = {FORM, LATENT, NGF, NDF, HIDDEN, DEPTH, {0}};
static const char *const parts[] = {"generator", "discriminator", NULL};
static const char *const losses[] = {"d_loss", "g_loss", NULL};

/* ---- networks ---- */

clio_status gan_generator_rows(clio_context *ctx, const struct learner *l, bool dense, struct layer_rows *rows)
{
    clio_status st = CLIO_OK;
    struct pyramid p = {.norm = true, .act = ACT_RELU};
    if (!dense) {
        TRY(pyramid_fit(ctx, l, &p));
        p.width = learner_int(l, "ngf");
        rows_up(rows, &p, l->shape.channels, ACT_TANH);
        return CLIO_OK;
    }
    for (int i = 0; i < learner_int(l, "num_hidden_layers"); i++) {
        rows_linear(rows, NULL, learner_int(l, "hidden_size") << i);
        rows_act(rows, ACT_LEAKY_RELU, 0.2f);
        rows->row[rows->count++] = (struct layer_row){.kind = LAYER_BATCH_NORM};
    }
    rows_linear(rows, NULL, learner_pixels(l));
    rows_act(rows, ACT_TANH, 0);
fail:
    return st;
}

static clio_status discriminator_rows(clio_context *ctx, const struct learner *l, bool dense, bool norm, struct layer_rows *rows)
{
    clio_status st = CLIO_OK;
    struct pyramid p = {.norm = norm, .act = ACT_LEAKY_RELU, .slope = 0.2f};
    if (!dense) {
        TRY(pyramid_fit(ctx, l, &p));
        p.width = learner_int(l, "ndf");
        rows_down(rows, &p, 1);
        return CLIO_OK;
    }
    for (int i = learner_int(l, "num_hidden_layers"); i-- > 0;) {
        rows_linear(rows, NULL, learner_int(l, "hidden_size") << i);
        rows_act(rows, ACT_LEAKY_RELU, 0.2f);
    }
    rows_linear(rows, NULL, 1);
fail:
    return st;
}

static bool is_dense(const struct learner *l)
{
    return json_object_get(l->config, "architecture") ? learner_choice(l, "architecture") == 1 : json_object_get(l->config, "ngf") == NULL;
}

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct gan *net;
    const struct learner_shape *s = &l->shape;
    struct layer_rows g = {0}, d = {0};
    bool dense = is_dense(l);
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    l->state = net;
    l->latent = learner_int(l, "latent_dim");
    net->loss = json_object_get(l->config, "loss") ? (enum gan_loss)learner_choice(l, "loss") : GAN_JSD;
    TRY(label_input_new(ctx, &net->labels, l));
    /* no batch norm in a critic with spectral norm: it would rescale the bounded layers */
    TRY(gan_generator_rows(ctx, l, dense, &g));
    TRY(discriminator_rows(ctx, l, dense, net->loss != GAN_WASSERSTEIN, &d));
    TRY(sequential_new(ctx, &net->generator, "g.", g.row, g.count, 1, 1, l->latent + net->labels.width, &l->parameters[0]));
    TRY(sequential_new(ctx, &net->discriminator, "d.", d.row, d.count, dense ? 1 : s->height, dense ? 1 : s->width,
                       (dense ? learner_pixels(l) : s->channels) + net->labels.width, &l->parameters[1]));
    if (net->loss == GAN_WASSERSTEIN)
        TRY(spectral_new(ctx, &net->spectral, &net->discriminator, "d."));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    struct gan *net = l->state;
    sequential_free(ctx, &net->generator);
    sequential_free(ctx, &net->discriminator);
    label_input_free(ctx, &net->labels);
    spectral_free(ctx, net->spectral);
    tensor_free(ctx, &net->fake);
    tensor_free(ctx, &net->losses[0]);
    tensor_free(ctx, &net->losses[1]);
    free(net);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    clio_status st = CLIO_OK;
    const struct gan *net = l->state;
    enum sequential_init rule = is_dense(l) ? INIT_RULE_TORCH : INIT_RULE_DCGAN;
    TRY(sequential_init(ctx, &net->generator, rule, seed));
    TRY(sequential_init(ctx, &net->discriminator, rule, seed));
    if (net->spectral)
        TRY(spectral_init(ctx, net->spectral, seed));
fail:
    return st;
}

/* ---- a step ---- */

/* Images from z f32 [B, latent]. */
static clio_status generate(clio_context *ctx, struct arena *arena, const struct gan *net, const struct tensor *images,
                            const struct tensor *z, bool training)
{
    clio_status st = CLIO_OK;
    int latent = net->generator.in[2] - net->labels.width;
    struct tensor noise = tensor_reshape(z, 4, z->dim[0], 1, 1, latent), in;
    TRY(label_input_join(ctx, arena, &net->labels, &noise, &in));
    TRY(sequential_fwd(ctx, arena, &net->generator, images, &in, training));
fail:
    return st;
}

/* loss = the loss `args` of D(images), or added to it. */
static clio_status discriminator_loss(clio_context *ctx, struct arena *arena, const struct gan *net, const struct tensor *loss,
                                      const struct tensor *images, struct loss_args args, int count, int global_count, bool add)
{
    clio_status st = CLIO_OK;
    const int *in = net->discriminator.in;
    uint64_t mark = arena_mark(arena);
    struct tensor x = tensor_reshape(images, 4, count, in[0], in[1], in[2] - net->labels.width), joined, score;
    score = sequential_shape(&net->discriminator, count);
    args.scale /= (float)global_count;
    TRY(tensor_take(ctx, arena, &score));
    TRY(label_input_join(ctx, arena, &net->labels, &x, &joined));
    TRY(sequential_fwd(ctx, arena, &net->discriminator, &score, &joined, true));
    TRY(op_loss_fwd(ctx, arena, loss, &score, NULL, args, add));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status train_discriminator(clio_context *ctx, struct learner *l, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    struct gan *net = l->state;
    struct tape *tape = &l->tapes[1];
    const struct loss_terms *t = &terms[net->loss];
    const struct tensor *loss = &net->losses[0];
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 1));
    if (batch->count) {
        TRY(discriminator_loss(ctx, &tape->arena, net, loss, &batch->images, t->real, batch->count, batch->global_count, false));
        TRY(discriminator_loss(ctx, &tape->arena, net, loss, &net->fake, t->fake, batch->count, batch->global_count, true));
    }
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, 1, loss));
    if (net->spectral)
        TRY(spectral_bound(ctx, &tape->arena, net->spectral, 1));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

/* Generate images, on tape 0. */
static clio_status generate_fakes(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *z)
{
    clio_status st = CLIO_OK;
    struct gan *net = l->state;
    struct tape *tape = &l->tapes[0];
    struct tensor noise;
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 0));
    if (batch->count && !z) {
        TRY(learner_noise(ctx, &tape->arena, l, batch, learner_stream(l, 0), l->latent, &noise));
        z = &noise;
    }
    if (batch->count)
        TRY(generate(ctx, &tape->arena, net, &net->fake, z, true));
fail:
    tape_pause(ctx);
    return st;
}

clio_status gan_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *z, double *out)
{
    clio_status st = CLIO_OK;
    struct gan *net = l->state;
    struct tape *tape = &l->tapes[0];
    TRY(learner_scalar(ctx, &net->losses[0], batch));
    TRY(learner_scalar(ctx, &net->losses[1], batch));
    TRY(learner_tensor(ctx, &net->fake, MAX(batch->count, 1), learner_pixels(l), "training"));
    TRY(label_input_set(ctx, &net->labels, batch));
    TRY(generate_fakes(ctx, l, batch, z));
    TRY(train_discriminator(ctx, l, batch));
    tape_resume(ctx, tape);
    if (batch->count)
        TRY(discriminator_loss(ctx, &tape->arena, net, &net->losses[1], &net->fake, terms[net->loss].generator, batch->count,
                               batch->global_count, false));
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, 0, &net->losses[1]));
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->losses[0], &net->losses[1]}, 2, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    return gan_step(ctx, l, batch, NULL, out);
}

/* ---- sampling ---- */

static clio_status generate_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out,
                                const struct tensor *in)
{
    return generate(ctx, arena, l->state, out, in, false);
}

static clio_status sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images)
{
    struct gan *net = l->state;
    return learner_run(ctx, l, &net->labels, count, latents, l->latent, labels, images, learner_pixels(l), generate_fwd);
}

static clio_status save_config(clio_context *ctx, struct learner *l, const char *path)
{
    const struct gan *net = l->state;
    return label_input_save(ctx, &net->labels, path);
}

#define ADAM                                                                                                                               \
    {                                                                                                                                      \
        .rule = OPTIM_ADAM, .rate = 2e-4, .beta1 = 0.5                                                                                     \
    }
#define GAN_FUNCTIONS                                                                                                                      \
    .optimizers = {ADAM, ADAM}, .parts = parts, .losses = losses, .has_latents = true, .open = open, .close = close, .init = init,         \
    .step = step, .sample = sample, .save_config = save_config

const struct learner_type learner_gan = {
    .name = "gan", .summary = "GAN of fully connected networks (Goodfellow et al. 2014)", .settings = gan_settings, GAN_FUNCTIONS};
const struct learner_type learner_dcgan = {
    .name = "dcgan", .summary = "deep convolutional GAN (Radford et al. 2016)", .settings = dcgan_settings, GAN_FUNCTIONS};
const struct learner_type learner_cgan = {.name = "cgan",
                                          .summary = "conditional GAN, class or text conditioned (Mirza and Osindero 2014)",
                                          .settings = cgan_settings,
                                          .needs_labels = true,
                                          .takes_captions = true,
                                          GAN_FUNCTIONS};
const struct learner_type learner_jsd_gan = {.name = "jsd-gan",
                                             .summary = "GAN with a Jensen-Shannon divergence objective (f-GAN, Nowozin et al. 2016)",
                                             .settings = jsd_settings,
                                             GAN_FUNCTIONS};
