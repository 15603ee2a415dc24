/* vae.c - variational autoencoders (Kingma and Welling 2014), fully connected or convolutional, with a weight beta of the KL divergence
 * (Higgins et al. 2017), unconditional or conditional on labels or captions (Sohn, Lee and Yan 2015).
 *
 *     mu, logvar = encoder(x)    z = mu + exp(logvar / 2) eps    loss = -log p(x | decoder(z)) + beta KL(N(mu, exp(logvar)) | N(0, 1))
 *
 * Both terms are summed over an image, and averaged over the batch. */
#include "vae.h"
#include "generate.h"
#include "types.h"

#include <stdlib.h>

/* A setting a line. */
/* clang-format off */
#define VAE_SETTINGS                                                                                                                       \
    {"architecture", 's', 0, 0, 0, "dense|conv", "architecture: fully connected or convolutional"},                                                                    \
    {"hidden_size", 'i', 1, 65536, 400, NULL, "dense: units of the hidden layer"},                                      \
    {"base_channels", 'i', 1, 512, 32, NULL, "conv: channels at the full resolution, doubled at each halving"},                                                            \
    {"latent_dim", 'i', 1, 65536, 20, NULL, "dimension of the latent vector"},                                                               \
    {"beta", 'f', 0, 1e6, 1, NULL, "weight of the KL divergence (beta-VAE)"},                                                               \
    {"reconstruction_loss", 's', 0, 0, 0, "bce|mse", "reconstruction loss: binary cross-entropy, or half the squared error"}
/* clang-format on */
static const struct learner_setting vae_settings[] = {VAE_SETTINGS, {0}}, cvae_settings[] = {VAE_SETTINGS, CAPTION_SETTINGS, {0}};
static const char *const parts[] = {"vae", NULL};
static const char *const losses[] = {"loss", "reconstruction", "kl", NULL};
static const char *const metrics[] = {"negative_elbo", "reconstruction", "kl", NULL};

/* ---- networks ---- */

/* Tensor names as in PyTorch's VAE example: fc1, mu, logvar, fc2, fc3. */
static clio_status open_dense(clio_context *ctx, struct learner *l, struct vae_networks *net)
{
    clio_status st = CLIO_OK;
    int pixels = learner_pixels(l), hidden = learner_int(l, "hidden_size"), condition = net->labels.width;
    struct parameters *p = &l->parameters[0];
    struct layer_rows encoder = {0}, mu = {0}, logvar = {0}, decoder = {0};
    rows_linear(&encoder, "fc1", hidden);
    rows_act(&encoder, ACT_RELU, 0);
    rows_linear(&mu, "mu", l->latent);
    rows_linear(&logvar, "logvar", l->latent);
    rows_linear(&decoder, "fc2", hidden);
    rows_act(&decoder, ACT_RELU, 0);
    rows_linear(&decoder, "fc3", pixels);
    TRY(sequential_new(ctx, &net->encoder, "vae.", encoder.row, encoder.count, 1, 1, pixels + condition, p));
    TRY(sequential_new(ctx, &net->mu, "vae.", mu.row, mu.count, 1, 1, hidden, p));
    TRY(sequential_new(ctx, &net->logvar, "vae.", logvar.row, logvar.count, 1, 1, hidden, p));
    TRY(sequential_new(ctx, &net->decoder, "vae.", decoder.row, decoder.count, 1, 1, l->latent + condition, p));
fail:
    return st;
}

static clio_status open_conv(clio_context *ctx, struct learner *l, struct vae_networks *net)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &l->shape;
    struct parameters *p = &l->parameters[0];
    struct pyramid shape = {.width = learner_int(l, "base_channels"), .act = ACT_RELU};
    struct layer_rows encoder = {0}, decoder = {0};
    TRY(pyramid_fit(ctx, l, &shape));
    rows_down(&encoder, &shape, 0);
    rows_up(&decoder, &shape, s->channels, ACT_NONE);
    TRY(sequential_new(ctx, &net->encoder, "vae.encoder.", encoder.row, encoder.count, s->height, s->width, s->channels + net->labels.width,
                       p));
    const int *in = net->encoder.out;
    struct layer_row mu = {.name = "mu", .kind = LAYER_CONV, .out = l->latent, .taps = shape.base, .stride = 1, .bias = true}, logvar = mu;
    logvar.name = "logvar";
    TRY(sequential_new(ctx, &net->mu, "vae.", &mu, 1, in[0], in[1], in[2], p));
    TRY(sequential_new(ctx, &net->logvar, "vae.", &logvar, 1, in[0], in[1], in[2], p));
    TRY(sequential_new(ctx, &net->decoder, "vae.decoder.", decoder.row, decoder.count, 1, 1, l->latent + net->labels.width, p));
fail:
    return st;
}

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct vae_networks *net;
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    l->state = net;
    l->latent = learner_int(l, "latent_dim");
    net->beta = (float)learner_number(l, "beta");
    net->reconstruction = learner_choice(l, "reconstruction_loss") == 1 ? VAE_MSE : VAE_BCE;
    TRY(label_input_new(ctx, &net->labels, l));
    TRY(learner_choice(l, "architecture") == 1 ? open_conv(ctx, l, net) : open_dense(ctx, l, net));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    struct vae_networks *net = l->state;
    struct sequential *const all[] = {&net->encoder, &net->mu, &net->logvar, &net->decoder};
    for (size_t i = 0; i < COUNT(all); i++)
        sequential_free(ctx, all[i]);
    label_input_free(ctx, &net->labels);
    tensor_free(ctx, &net->loss);
    for (size_t i = 0; i < COUNT(net->terms); i++)
        tensor_free(ctx, &net->terms[i]);
    free(net);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    clio_status st = CLIO_OK;
    const struct vae_networks *net = l->state;
    const struct sequential *const all[] = {&net->encoder, &net->mu, &net->logvar, &net->decoder};
    for (size_t i = 0; i < COUNT(all); i++)
        TRY(sequential_init(ctx, all[i], INIT_RULE_TORCH, seed));
fail:
    return st;
}

/* ---- forward ---- */

/* mu of images, and logvar unless it is NULL: both f32 [B, 1, 1, latent] with memory. */
static clio_status encode_fwd(clio_context *ctx, struct arena *arena, const struct vae_networks *net, const struct tensor *mu,
                              const struct tensor *logvar, const struct tensor *x)
{
    clio_status st = CLIO_OK;
    int b = mu->dim[0], c = net->encoder.in[2] - net->labels.width;
    struct tensor image = tensor_reshape(x, 4, b, net->encoder.in[0], net->encoder.in[1], c), in,
                  hidden = sequential_shape(&net->encoder, b);
    TRY(tensor_take(ctx, arena, &hidden));
    TRY(label_input_join(ctx, arena, &net->labels, &image, &in));
    TRY(sequential_fwd(ctx, arena, &net->encoder, &hidden, &in, true));
    TRY(sequential_fwd(ctx, arena, &net->mu, mu, &hidden, true));
    if (logvar)
        TRY(sequential_fwd(ctx, arena, &net->logvar, logvar, &hidden, true));
fail:
    return st;
}

/* Logits of images from z f32 [B, 1, 1, latent]. */
static clio_status decode_fwd(clio_context *ctx, struct arena *arena, const struct vae_networks *net, const struct tensor *logits,
                              const struct tensor *z)
{
    clio_status st = CLIO_OK;
    struct tensor in;
    TRY(label_input_join(ctx, arena, &net->labels, z, &in));
    TRY(sequential_fwd(ctx, arena, &net->decoder, logits, &in, true));
fail:
    return st;
}

/* net->terms: scale * sum over the batch of -log p(x | z) and of the KL divergence; net->loss: terms[0] + beta terms[1]. eps NULL: random.
 */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                           const struct tensor *eps, uint64_t stream, float scale)
{
    clio_status st = CLIO_OK;
    const struct vae_networks *net = l->state;
    const struct tensor *x = &batch->images;
    uint64_t mark = arena_mark(arena);
    struct tensor mu = tensor_shape(DTYPE_F32, 4, batch->count, 1, 1, l->latent), logvar = mu, z = mu, y = *x, noise;
    struct loss_args args = {.loss = LOSS_BCE_LOGITS, .scale = scale};
    TRY(tensor_take(ctx, arena, &mu));
    TRY(tensor_take(ctx, arena, &logvar));
    TRY(tensor_take(ctx, arena, &z));
    TRY(tensor_take(ctx, arena, &y));
    TRY(encode_fwd(ctx, arena, net, &mu, &logvar, x));
    if (!eps && batch->first > 0) {
        TRY(learner_noise(ctx, arena, l, batch, stream, l->latent, &noise));
        eps = &noise;
    }
    if (eps)
        noise = tensor_reshape(eps, 4, batch->count, 1, 1, l->latent);
    TRY(op_reparam_fwd(ctx, &z, &mu, &logvar, eps ? &noise : NULL, l->seed, stream));
    TRY(decode_fwd(ctx, arena, net, &y, &z));
    if (net->reconstruction == VAE_MSE) {
        args = (struct loss_args){.loss = LOSS_MSE, .scale = 0.5f * scale};
        TRY(op_activation_fwd(ctx, &y, &y, ACT_SIGMOID, 0));
    }
    TRY(op_loss_fwd(ctx, arena, &net->terms[0], &y, x, args, false));
    TRY(op_gaussian_kl_fwd(ctx, arena, &net->terms[1], &mu, &logvar, scale));
    TRY(op_add_fwd(ctx, &net->loss, &net->terms[0], &net->terms[1], 1, net->beta));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status alloc_losses(clio_context *ctx, struct vae_networks *net, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    TRY(learner_scalar(ctx, &net->loss, batch));
    TRY(learner_scalar(ctx, &net->terms[0], batch));
    TRY(learner_scalar(ctx, &net->terms[1], batch));
fail:
    return st;
}

/* ---- training and evaluation ---- */

clio_status vae_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *out)
{
    clio_status st = CLIO_OK;
    struct vae_networks *net = l->state;
    struct tape *tape = &l->tapes[0];
    TRY(alloc_losses(ctx, net, batch));
    TRY(label_input_set(ctx, &net->labels, batch));
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 0));
    if (batch->count)
        TRY(forward(ctx, &tape->arena, l, batch, eps, learner_stream(l, 0), 1.0f / (float)batch->global_count));
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, 0, &net->loss));
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->loss, &net->terms[0], &net->terms[1]}, 3, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    return vae_step(ctx, l, batch, NULL, out);
}

static clio_status evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals)
{
    clio_status st = CLIO_OK;
    struct vae_networks *net = l->state;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    TRY(alloc_losses(ctx, net, batch));
    TRY(label_input_set(ctx, &net->labels, batch));
    if (batch->count)
        TRY(forward(ctx, &arena, l, batch, NULL, stream, 1));
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->terms[0], &net->terms[1]}, 2, totals + 1));
    totals[0] = totals[1] + totals[2];
fail:
    arena_free(ctx, &arena);
    return st;
}

static clio_status images_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    struct tensor z = tensor_reshape(in, 4, in->dim[0], 1, 1, l->latent);
    TRY(decode_fwd(ctx, arena, l->state, out, &z));
    TRY(op_activation_fwd(ctx, out, out, ACT_SIGMOID, 0));
fail:
    return st;
}

static clio_status means_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out, const struct tensor *in)
{
    struct tensor mu = tensor_reshape(out, 4, in->dim[0], 1, 1, l->latent);
    return encode_fwd(ctx, arena, l->state, &mu, NULL, in);
}

static clio_status sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images)
{
    struct vae_networks *net = l->state;
    return learner_run(ctx, l, &net->labels, count, latents, l->latent, labels, images, learner_pixels(l), images_fwd);
}

static clio_status encode(clio_context *ctx, struct learner *l, int count, const float *images, const int *labels, float *latents)
{
    clio_status st = CLIO_OK;
    struct vae_networks *net = l->state;
    if (net->labels.captions)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "this %s is conditioned on captions (text_encoder): it cannot encode images without their captions",
             l->type->name);
    TRY(learner_run(ctx, l, &net->labels, count, images, learner_pixels(l), labels, latents, l->latent, means_fwd));
fail:
    return st;
}

static clio_status save_config(clio_context *ctx, struct learner *l, const char *path)
{
    const struct vae_networks *net = l->state;
    return label_input_save(ctx, &net->labels, path);
}

#define VAE_FUNCTIONS                                                                                                                      \
    .parts = parts, .losses = losses, .metrics = metrics, .unit_range = true, .has_latents = true, .reconstructs = true, .open = open,     \
    .close = close, .init = init, .step = step, .evaluate = evaluate, .sample = sample, .encode = encode, .save_config = save_config

const struct learner_type learner_vae = {
    .name = "vae", .summary = "variational autoencoder (Kingma and Welling 2014)", .settings = vae_settings, VAE_FUNCTIONS};
const struct learner_type learner_cvae = {.name = "cvae",
                                          .summary = "conditional VAE, class or text conditioned (Sohn et al. 2015)",
                                          .settings = cvae_settings,
                                          .needs_labels = true,
                                          .takes_captions = true,
                                          VAE_FUNCTIONS};
