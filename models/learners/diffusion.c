/* diffusion.c - train a UNet as a diffusion model (Ho et al. 2020, algorithm 1), with conditioning dropout for classifier-free guidance (Ho
 * and Salimans 2022).
 *
 *     x_t = sqrt(a_t) x + sqrt(1 - a_t) eps    loss = mean |network(x_t, t, condition) - target|^2    target = eps, or the velocity
 *
 * t is random for each sample, a_t the scheduler's alphas_cumprod. snr_gamma (Min-SNR, Hang et al. 2023) multiplies the squared error by
 * min(snr, gamma) / snr, for the velocity by min(snr, gamma) / (snr + 1). Samples are made by DDIM (Song et al. 2020), deterministic given
 * the initial noise, which is the latent. */
#include "diffusion.h"
#include "types.h"
#include "../../host/core/random.h"
#include "../nn/layout.h"

#include <math.h>
#include <stdlib.h>

static const char *const parts[] = {"unet", "text_encoder", NULL};
static const char *const losses[] = {"loss", NULL};

enum { STREAM_NOISE, STREAM_CHOICES, STREAM_LATENTS };

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u;
    TRY(mem_alloc(ctx, &u, 1, sizeof *u));
    l->state = u;
    TRY(unet_learner_open(ctx, l, u));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    unet_learner_free(ctx, l->state);
    free(l->state);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    const struct unet_learner *u = l->state;
    return u->loaded ? CLIO_OK : parameters_init(ctx, &l->parameters[0], seed);
}

/* ---- random choices of a batch ---- */

/* Four random words for a sample of the batch, counted over all processes. */
static void random_words(const struct learner *l, uint64_t stream, int sample, uint32_t words[4])
{
    const uint32_t key[2] = {(uint32_t)l->seed, (uint32_t)(l->seed >> 32)};
    words[0] = (uint32_t)sample;
    words[1] = 0;
    words[2] = (uint32_t)stream;
    words[3] = (uint32_t)(stream >> 32);
    random_philox(words, key);
}

struct choices {
    float *timesteps; /* [count] */
    bool *dropped;    /* [count]: train without the caption or label */
};

static clio_status choose(clio_context *ctx, const struct learner *l, const struct learner_batch *batch, uint64_t stream, struct choices *d)
{
    clio_status st = CLIO_OK;
    const struct unet_learner *u = l->state;
    TRY(mem_alloc(ctx, &d->timesteps, (size_t)batch->count, sizeof *d->timesteps));
    TRY(mem_alloc(ctx, &d->dropped, (size_t)batch->count, sizeof *d->dropped));
    for (int i = 0; i < batch->count; i++) {
        uint32_t words[4];
        random_words(l, stream + STREAM_CHOICES, batch->first + i, words);
        d->timesteps[i] = (float)((uint64_t)words[0] * (uint64_t)u->train_steps >> 32);
        d->dropped[i] = (double)words[1] * 0x1p-32 < u->drop;
    }
fail:
    return st;
}

static void choices_free(struct choices *d)
{
    free(d->timesteps);
    free(d->dropped);
}

/* ---- conditions ---- */

static clio_status set_context(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                               const struct choices *d)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    const char **texts = NULL;
    TRY(mem_alloc(ctx, &texts, (size_t)batch->count, sizeof *texts));
    if (u->captions.encoder)
        TRY(captions_require(ctx, batch));
    for (int i = 0; i < batch->count; i++)
        texts[i] = batch->captions && !d->dropped[i] ? batch->captions[i] : NULL;
    TRY(unet_learner_set_context(ctx, arena, u, batch->count, texts));
fail:
    free(texts);
    return st;
}

/* Labels as ids of the network's table, whose last class stands for "no label". Fresh memory; NULL without labels. */
static clio_status choose_labels(clio_context *ctx, const struct learner *l, const struct learner_batch *batch, const struct choices *d,
                                 float **labels)
{
    clio_status st = CLIO_OK;
    int classes = l->shape.classes;
    *labels = NULL;
    if (!classes)
        return CLIO_OK;
    TRY(mem_alloc(ctx, labels, (size_t)batch->count, sizeof **labels));
    for (int i = 0; i < batch->count; i++) {
        int id = batch->labels[i];
        (*labels)[i] = (float)(d->dropped[i] || id < 0 || id >= classes ? classes : id);
    }
fail:
    return st;
}

/* ---- images or latents ---- */

/* eps f32 [count, h, w, channels] with memory: the noise of torch's CUDA generator, seeded by the sample's number in the batch. */
static clio_status write_noise(clio_context *ctx, const struct learner *l, const struct learner_batch *batch, uint64_t stream,
                               const struct tensor *eps)
{
    clio_status st = CLIO_OK;
    size_t one = (size_t)l->latent;
    float *noise = NULL;
    TRY(mem_alloc(ctx, &noise, (size_t)batch->count * one, sizeof *noise));
    for (int i = 0; i < batch->count; i++) {
        struct random r;
        uint32_t words[4];
        random_words(l, stream + STREAM_LATENTS, batch->first + i, words);
        random_seed(&r, RANDOM_TORCH_CUDA, (uint64_t)words[0] << 32 | words[1]);
        random_normal(&r, noise + (size_t)i * one, one);
    }
    TRY(nchw_write(ctx, eps, noise));
fail:
    free(noise);
    return st;
}

/* moments f32 [count, h, w, 2 channels], with memory, of the batch's images: one at a time, as they need most of the memory. */
static clio_status encode_images(clio_context *ctx, struct unet_learner *u, const struct learner_batch *batch, const struct tensor *moments)
{
    clio_status st = CLIO_OK;
    struct arena *arena = &u->vae_arena;
    uint64_t mark = arena_mark(arena);
    struct tensor image = batch->images, part = *moments;
    image.dim[0] = part.dim[0] = 1;
    size_t pixels = tensor_count(&image), size = tensor_count(&part);
    TRY(tensor_take(ctx, arena, &image));
    TRY(tensor_take(ctx, arena, &part));
    for (int i = 0; i < batch->count; i++) {
        TRY(tensor_copy(ctx, &image, 0, &batch->images, (size_t)i * pixels, pixels));
        TRY(vae_encode_fwd(ctx, arena, &u->vae, &part, &image));
        TRY(tensor_copy(ctx, moments, (size_t)i * size, &part, 0, size));
    }
fail:
    arena_release(arena, mark);
    return st;
}

/* latents = (mean + exp(logvar / 2) eps - shift) * scaling, on the device. */
static clio_status sample_latents(clio_context *ctx, const struct learner *l, const struct learner_batch *batch, uint64_t stream,
                                  const struct tensor *latents)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    struct arena *arena = &u->vae_arena;
    uint64_t mark = arena_mark(arena);
    const struct vae_config *c = &u->vae.config;
    struct tensor mean = *latents, logvar = mean, eps = mean, moments = mean;
    moments.dim[3] *= 2;
    eps.what = "noise";
    struct tensor *const scratch[] = {&mean, &logvar, &eps, &moments};
    for (size_t i = 0; i < COUNT(scratch); i++)
        TRY(tensor_take(ctx, arena, scratch[i]));
    TRY(encode_images(ctx, u, batch, &moments));
    TRY(op_split_fwd(ctx, &mean, &logvar, &moments));
    TRY(op_clamp_fwd(ctx, &logvar, &logvar, VAE_LOGVAR_MIN, VAE_LOGVAR_MAX));
    TRY(write_noise(ctx, l, batch, stream, &eps));
    TRY(op_reparam_fwd(ctx, latents, &mean, &logvar, &eps, 0, 0));
    if (u->shift.mem)
        TRY(op_add_fwd(ctx, latents, latents, &u->shift, 1, -1));
    TRY(op_add_fwd(ctx, latents, latents, latents, (float)c->scaling, 0));
fail:
    arena_release(arena, mark);
    return st;
}

/* *x: what noise is added to, the images of the batch or their latents. */
static clio_status clean_samples(clio_context *ctx, const struct learner *l, const struct learner_batch *batch, uint64_t stream,
                                 struct tensor *x)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    struct tape *recording = tape_pause(ctx);
    *x = unet_learner_tensor(u, batch->count);
    x->mem = batch->images.mem;
    if (u->vae_folder) {
        TRY(learner_tensor(ctx, &u->clean, batch->count, l->latent, "training"));
        x->mem = u->clean.mem;
        TRY(sample_latents(ctx, l, batch, stream, x));
    }
fail:
    tape_resume(ctx, recording);
    return st;
}

/* ---- the loss ---- */

/* u->levels [count][2]: sqrt(a_t), sqrt(1 - a_t); u->weights: square roots of the Min-SNR weights. */
static clio_status write_levels(clio_context *ctx, struct unet_learner *u, const struct choices *d, int count)
{
    clio_status st = CLIO_OK;
    int channels = u->net.config.out;
    float *levels = NULL, *weights = NULL;
    TRY(mem_alloc(ctx, &levels, 2 * (size_t)count, sizeof *levels));
    TRY(mem_alloc(ctx, &weights, (size_t)count * (size_t)channels, sizeof *weights));
    for (int i = 0; i < count; i++) {
        double a = (double)u->alphas[(int)d->timesteps[i]], snr = a / fmax(1 - a, 1e-12);
        double weight = fmin(snr, u->snr_gamma) / (u->velocity ? snr + 1 : fmax(snr, 1e-12));
        levels[2 * i] = sqrtf(u->alphas[(int)d->timesteps[i]]);
        levels[2 * i + 1] = sqrtf(1.0f - u->alphas[(int)d->timesteps[i]]);
        for (int c = 0; c < channels; c++)
            weights[i * channels + c] = (float)sqrt(weight);
    }
    TRY(learner_tensor(ctx, &u->levels, count, 2, "training"));
    u->levels.what = "noise levels";
    TRY(tensor_write(ctx, &u->levels, 0, 2 * (size_t)count, levels));
    if (u->snr_gamma > 0) {
        TRY(learner_tensor(ctx, &u->weights, count, channels, "training"));
        u->weights.what = "loss weights";
        TRY(tensor_write(ctx, &u->weights, 0, (size_t)count * (size_t)channels, weights));
    }
fail:
    free(levels);
    free(weights);
    return st;
}

/* u->loss = scale * sum of (y - target)^2, with Min-SNR weights if they are set. */
static clio_status squared_error(clio_context *ctx, struct arena *arena, struct unet_learner *u, const struct tensor *y,
                                 const struct tensor *target, float scale)
{
    clio_status st = CLIO_OK;
    struct loss_args args = {.loss = LOSS_MSE, .scale = scale};
    struct tensor by_sample = tensor_reshape(&u->weights, 4, y->dim[0], 1, 1, y->dim[3]), weights = *y, error = *y;
    if (u->snr_gamma <= 0)
        return op_loss_fwd(ctx, arena, &u->loss, y, target, args, false);
    TRY(tensor_take(ctx, arena, &weights));
    TRY(tensor_take(ctx, arena, &error));
    TRY(op_resize_fwd(ctx, &weights, &by_sample, false));
    TRY(op_add_fwd(ctx, &error, y, target, 1, -1));
    TRY(op_multiply_fwd(ctx, &error, &error, &weights));
    TRY(op_loss_fwd(ctx, arena, &u->loss, &error, NULL, args, false));
fail:
    return st;
}

/* u->loss = scale * sum over the batch of the mean over a sample. */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                           uint64_t stream, float scale)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    uint64_t mark = arena_mark(arena);
    struct choices d = {0};
    struct tensor x, noisy = unet_learner_tensor(u, batch->count), target = noisy, y = noisy;
    float *labels = NULL;
    TRY(choose(ctx, l, batch, stream, &d));
    TRY(write_levels(ctx, u, &d, batch->count));
    TRY(choose_labels(ctx, l, batch, &d, &labels));
    TRY(clean_samples(ctx, l, batch, stream, &x));
    TRY(set_context(ctx, arena, l, batch, &d));
    TRY(tensor_take(ctx, arena, &noisy));
    TRY(tensor_take(ctx, arena, &target));
    TRY(tensor_take(ctx, arena, &y));
    TRY(op_diffusion_fwd(ctx, &noisy, &target, &x, &u->levels, batch->first, l->seed, stream + STREAM_NOISE, u->velocity));
    TRY(unet_forward(ctx, arena, &u->net, &u->prompt, &y, &noisy, &(struct unet_step){.timesteps = d.timesteps, .labels = labels}));
    TRY(squared_error(ctx, arena, u, &y, &target, scale / (float)l->latent));
fail:
    arena_release(arena, mark);
    choices_free(&d);
    free(labels);
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    struct tape *tape = &l->tapes[0];
    TRY(learner_scalar(ctx, &u->loss, batch));
    TRY(tape_start(ctx, tape));
    for (int i = 0; parts[i]; i++)
        TRY(learner_watch(ctx, l, tape, i));
    if (batch->count)
        TRY(forward(ctx, &tape->arena, l, batch, learner_stream(l, 0), 1.0f / (float)batch->global_count));
    tape_pause(ctx);
    TRY(learner_backward_all(ctx, l, tape, &u->loss));
    TRY(learner_read(ctx, (const struct tensor *const[]){&u->loss}, 1, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

static clio_status evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals)
{
    clio_status st = CLIO_OK;
    struct unet_learner *u = l->state;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    TRY(learner_scalar(ctx, &u->loss, batch));
    if (batch->count)
        TRY(forward(ctx, &arena, l, batch, stream * LEARNER_STREAMS, 1));
    TRY(learner_read(ctx, (const struct tensor *const[]){&u->loss}, 1, totals));
fail:
    arena_free(ctx, &arena);
    return st;
}

/* The text encoder's rate: diffusers, examples/dreambooth/README.md, "Fine-tune text encoder with the UNet". */
#define UNET_OPTIMIZERS                                                                                                                    \
    {                                                                                                                                      \
        {.rule = OPTIM_ADAMW, .rate = 1e-4, .weight_decay = 0.01, .max_grad_norm = 1},                                                     \
        {                                                                                                                                  \
            .rule = OPTIM_ADAMW, .rate = 2e-6, .weight_decay = 0.01, .max_grad_norm = 1                                                    \
        }                                                                                                                                  \
    }
#define UNET_FUNCTIONS                                                                                                                     \
    .settings = unet_settings, .parts = parts, .losses = losses, .metrics = losses, .has_latents = true, .open = open, .close = close,     \
    .init = init, .step = step, .evaluate = evaluate, .optimizers = UNET_OPTIMIZERS, .sample = unet_learner_sample,                        \
    .save_config = unet_learner_save_config, .weight_files = {{"unet", "diffusion_pytorch_model"}, {"text_encoder", "model"}}

const struct learner_type learner_unet = {
    .name = "unet", .summary = "diffusion model (DDPM) in pixel or latent space, optional text conditioning (CLIP)", UNET_FUNCTIONS};
const struct learner_type learner_cunet = {
    .name = "cunet", .summary = "class-conditional diffusion model (DDPM)", .needs_labels = true, UNET_FUNCTIONS};
