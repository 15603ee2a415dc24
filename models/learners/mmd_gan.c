/* mmd_gan.c - generative moment matching network: a generator without a discriminator, trained to make the maximum mean discrepancy between
 * its images and real ones small (Gretton et al. 2012; Li, Swersky and Zemel 2015; Dziugaite et al. 2015). Images are compared as pixels,
 * or as codes of an autoencoder that is trained on the real ones at the same time. Unlike in Li et al. 2015 the generator makes images, not
 * codes, with gradients through the encoder; unlike in the MMD GAN of Li et al. 2017 the encoder is not adversarial. */
#include "autoencoder.h"
#include "gan.h"
#include "generate.h"
#include "types.h"

#include <math.h>
#include <stdlib.h>

/* clang-format off: a setting a line */
static const struct learner_setting settings[] = {
    {"architecture", 's', 0, 0, 0, "conv|dense", "architecture: convolutional (as DCGAN) or fully connected"},
    {"latent_dim", 'i', 1, 65536, 100, NULL, "dimension of the noise vector"},
    {"ngf", 'i', 1, 512, 64, NULL, "conv: generator channels at the full resolution"},
    {"hidden_size", 'i', 1, 16384, 256, NULL, "dense: units of the smallest hidden layer"},
    {"num_hidden_layers", 'i', 1, 6, 2, NULL, "dense: hidden layers of the generator, each twice as wide as the one before"},
    {"feature_space", 's', 0, 0, 0, "autoencoder|pixels", "space in which the MMD compares images: codes of an autoencoder, or pixels"},
    {"code_dim", 'i', 1, 4096, 32, NULL, "autoencoder: dimension of its code"},
    {"base_channels", 'i', 1, 512, 32, NULL, "autoencoder, conv: channels at the full resolution"},
    {"kernel", 's', 0, 0, 0, "rbf|rational", "kernel of the MMD: Gaussian mixture, or rational quadratic"},
    {"bandwidth", 'f', 1e-6, 1e6, 1, NULL, "factor of the kernel's bandwidths"},
    {0},
};
/* clang-format on */
static const char *const parts[] = {"generator", "autoencoder", NULL};
static const char *const losses[] = {"mmd", "reconstruction", NULL};

struct mmd_gan {
    struct sequential generator;
    struct autoencoder features;
    bool encodes; /* the features are codes */
    struct tensor fake, mmd, loss;
    struct mmd_args args;
};

/* Distances between vectors of D numbers of about 1 grow with sqrt(D). */
static void choose_kernels(const struct learner *l, struct mmd_gan *net, int dimensions)
{
    static const float rbf[] = {0.125f, 0.25f, 0.5f, 1, 2}, rational[] = {0.2f, 0.5f, 1, 2, 5};
    bool is_rbf = learner_choice(l, "kernel") == 0;
    double factor = learner_number(l, "bandwidth");
    net->args = (struct mmd_args){.form = is_rbf ? MMD_RBF : MMD_RATIONAL, .count = (int)COUNT(rbf)};
    for (size_t i = 0; i < COUNT(rbf); i++)
        net->args.bandwidths[i] = (float)(factor * (is_rbf ? (double)rbf[i] * sqrt((double)dimensions) : (double)rational[i]));
}

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct mmd_gan *net;
    struct layer_rows g = {0};
    bool dense = learner_choice(l, "architecture") == 1;
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    l->state = net;
    l->latent = learner_int(l, "latent_dim");
    net->encodes = learner_choice(l, "feature_space") == 0;
    TRY(gan_generator_rows(ctx, l, dense, &g));
    TRY(sequential_new(ctx, &net->generator, "g.", g.row, g.count, 1, 1, l->latent, &l->parameters[0]));
    if (net->encodes)
        TRY(autoencoder_open(ctx, l, &net->features,
                             &(struct autoencoder_plan){.prefix = "ae.",
                                                        .dense = dense,
                                                        .width = learner_int(l, "base_channels"),
                                                        .hidden = learner_int(l, "hidden_size"),
                                                        .code = learner_int(l, "code_dim"),
                                                        .act_image = ACT_TANH,
                                                        .act_code = ACT_TANH},
                             &l->parameters[1]));
    choose_kernels(l, net, net->encodes ? learner_int(l, "code_dim") : learner_pixels(l));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    struct mmd_gan *net = l->state;
    struct tensor *const owned[] = {&net->fake, &net->mmd, &net->loss};
    sequential_free(ctx, &net->generator);
    autoencoder_free(ctx, &net->features);
    for (size_t i = 0; i < COUNT(owned); i++)
        tensor_free(ctx, owned[i]);
    free(net);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    clio_status st = CLIO_OK;
    const struct mmd_gan *net = l->state;
    TRY(sequential_init(ctx, &net->generator, learner_choice(l, "architecture") == 1 ? INIT_RULE_TORCH : INIT_RULE_DCGAN, seed));
    TRY(autoencoder_init(ctx, &net->features, seed));
fail:
    return st;
}

/* ---- a step ---- */

/* Features of images: f32 [B, D]; codes are in the arena. */
static clio_status features_of(clio_context *ctx, struct arena *arena, const struct mmd_gan *net, const struct tensor *images, int batch,
                               struct tensor *features)
{
    clio_status st = CLIO_OK;
    *features = *images;
    if (net->encodes) {
        *features = sequential_shape(&net->features.encoder, batch);
        TRY(tensor_take(ctx, arena, features));
        TRY(sequential_fwd(ctx, arena, &net->features.encoder, features, images, true));
    }
    *features = tensor_reshape(features, 2, batch, (int)(tensor_count(features) / (size_t)batch), 0, 0);
fail:
    return st;
}

/* net->loss = this process's share of the discrepancy between generated and real images. */
static clio_status mmd_loss(clio_context *ctx, struct learner *l, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    struct mmd_gan *net = l->state;
    struct arena *arena = &l->tapes[0].arena;
    float share = (float)batch->count / (float)batch->global_count;
    struct tensor z, x, y;
    TRY(learner_tensor(ctx, &net->fake, batch->count, learner_pixels(l), "training"));
    TRY(learner_noise(ctx, arena, l, batch, learner_stream(l, 0), l->latent, &z));
    TRY(features_of(ctx, arena, net, &batch->images, batch->count, &y));
    tape_resume(ctx, &l->tapes[0]);
    TRY(sequential_fwd(ctx, arena, &net->generator, &net->fake, &z, true));
    TRY(features_of(ctx, arena, net, &net->fake, batch->count, &x));
    TRY(op_mmd_fwd(ctx, arena, &net->mmd, &x, &y, net->args));
    TRY(op_add_fwd(ctx, &net->loss, &net->mmd, &net->mmd, share, 0));
fail:
    tape_pause(ctx);
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    clio_status st = CLIO_OK;
    struct mmd_gan *net = l->state;
    struct tape *tape = &l->tapes[0];
    TRY(learner_scalar(ctx, &net->mmd, batch));
    TRY(learner_scalar(ctx, &net->loss, batch));
    if (net->encodes)
        TRY(autoencoder_step(ctx, l, &net->features, 1, batch));
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 0));
    tape_pause(ctx);
    if (batch->count)
        TRY(mmd_loss(ctx, l, batch));
    TRY(learner_backward(ctx, l, tape, 0, &net->loss));
    out[1] = 0;
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->loss, &net->features.loss}, net->encodes ? 2 : 1, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

/* ---- sampling ---- */

static clio_status generate_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out,
                                const struct tensor *in)
{
    return sequential_fwd(ctx, arena, &((struct mmd_gan *)l->state)->generator, out, in, false);
}

static clio_status sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images)
{
    (void)labels;
    return learner_run(ctx, l, NULL, count, latents, l->latent, NULL, images, learner_pixels(l), generate_fwd);
}

const struct learner_type learner_mmd_gan = {
    .name = "mmd-gan",
    .summary = "generative moment matching network with a maximum mean discrepancy loss (Li et al. 2015, 2017)",
    .settings = settings,
    .parts = parts,
    .losses = losses,
    .optimizers = {{.rule = OPTIM_ADAM, .rate = 1e-3, .beta1 = 0.5}},
    .has_latents = true,
    .open = open,
    .close = close,
    .init = init,
    .step = step,
    .sample = sample,
};
