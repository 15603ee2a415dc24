/* vae_kl.c - train the autoencoder of Stable Diffusion (Rombach et al. 2022, "High-resolution image synthesis with latent diffusion
 * models", app. G), without its discriminator:
 *
 *     mu, logvar = encoder(x)    z = mu + exp(logvar / 2) eps    loss = mean |x - decoder(z)| + kl_weight KL(N(mu, exp(logvar)) | N(0, 1))
 *
 * The first term (or its squares) is a mean over the pixels of an image, the second a sum over its latents, as in diffusers' training
 * script. logvar is not clamped to -30 to 20 as in diffusers: it stays there by itself. */
#include "vae_kl.h"
#include "generate.h"
#include "settings.h"
#include "types.h"
#include "../loaders/model_folder.h"

#include <stdlib.h>

/* clang-format off: a setting a line */
static const struct learner_setting settings[] = {
    {"block_out_channels", 't', 0, 0, 0, "64,128,128", "channels of each resolution level; the last is the resolution of the latents"},
    {"layers_per_block", 'i', 1, 7, 1, NULL, "residual blocks per level of the down path"},
    {"norm_num_groups", 'i', 1, 64, 32, NULL, "groups of group normalization"},
    {"latent_channels", 'i', 1, 256, 4, NULL, "channels of the latents"},
    {"mid_block_attention", 'b', 0, 1, 1, NULL, "self-attention at the lowest resolution"},
    {"reconstruction_loss", 's', 0, 0, 0, "l1|mse", "reconstruction loss: L1 or MSE"},
    {"kl_weight", 'f', 0, 1e6, 1e-6, NULL, "weight of the KL divergence"},
    {"scaling_factor", 'f', 1e-6, 1e6, 0.18215, NULL, "factor of the latents in latent diffusion: 1 / their standard deviation"},
    {"pretrained", 't', 0, 0, 0, NULL, "diffusers folder to start from; its VAE overrides the settings above"},
    {"gradient_checkpointing", 'b', 0, 1, 0, NULL, "recompute activations in the backward pass: less memory, about a third more time"},
    {0},
};
/* clang-format on */
static const char *const parts[] = {"vae", NULL};
static const char *const losses[] = {"loss", "reconstruction", "kl", NULL};
static const char *const metrics[] = {"reconstruction", "kl", NULL};

static clio_status make_config(clio_context *ctx, const struct learner *l, struct kl_learner *k)
{
    clio_status st = CLIO_OK;
    json_t *channels = NULL, *down = json_array(), *up = json_array();
    TRY(learner_channels(ctx, l, 1, &channels));
    for (size_t i = 0; i < json_array_size(channels); i++)
        if (json_array_append_new(down, json_string("DownEncoderBlock2D")) || json_array_append_new(up, json_string("UpDecoderBlock2D")))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    k->config.root =
        json_pack("{s:s,s:i,s:i,s:i,s:i,s:O,s:O,s:O,s:i,s:i,s:b,s:f}", "_class_name", "AutoencoderKL", "in_channels", l->shape.channels,
                  "out_channels", l->shape.channels, "latent_channels", learner_int(l, "latent_channels"), "sample_size", l->shape.width,
                  "block_out_channels", channels, "down_block_types", down, "up_block_types", up, "layers_per_block",
                  learner_int(l, "layers_per_block"), "norm_num_groups", learner_int(l, "norm_num_groups"), "mid_block_add_attention",
                  json_is_true(json_object_get(l->config, "mid_block_attention")), "scaling_factor", learner_number(l, "scaling_factor"));
    if (!k->config.root)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(mem_string(ctx, &k->config.path, "the settings of the model"));
fail:
    json_decref(channels);
    json_decref(down);
    json_decref(up);
    return st;
}

static clio_status load_network(clio_context *ctx, struct learner *l, struct kl_learner *k)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    const char *init = learner_text(l, "pretrained");
    char *folder = NULL;
    TRY(folder_json(ctx, &k->config, l->from, "vae", "config.json"));
    k->loaded = !k->config.root && *init;
    if (k->loaded) {
        TRY(folder_try(ctx, init, "vae", &folder));
        if (!folder)
            TRY(mem_string(ctx, &folder, init));
        TRY(json_open(ctx, &k->config, folder, "config.json"));
        TRY(folder_weights(ctx, folder, "diffusion_pytorch_model", NULL, &weights));
    } else if (!k->config.root) {
        TRY(make_config(ctx, l, k));
    }
    ctx->collects = &l->parameters[0];
    st = vae_load(ctx, &k->config, k->loaded ? &weights : NULL, VAE_ENCODER | VAE_DECODER, &k->net);
    ctx->collects = NULL;
    k->net.recompute = json_is_true(json_object_get(l->config, "gradient_checkpointing"));
fail:
    weights_close(&weights);
    free(folder);
    return st;
}

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct kl_learner *k;
    TRY(mem_alloc(ctx, &k, 1, sizeof *k));
    l->state = k;
    k->kl_weight = (float)learner_number(l, "kl_weight");
    k->loss_function = learner_choice(l, "reconstruction_loss") == 1 ? LOSS_MSE : LOSS_L1;
    TRY(load_network(ctx, l, k));
    const struct vae_config *c = &k->net.config;
    if (c->in != l->shape.channels || c->out != l->shape.channels || l->shape.height % c->factor || l->shape.width % c->factor)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "%s is for images of %d channels whose sides are multiples of %d, not %d x %d with %d: set channels=%d image_size=%d",
             k->config.path, c->in, c->factor, l->shape.width, l->shape.height, l->shape.channels, c->in,
             MAX(1, l->shape.width / c->factor) * c->factor);
    TRY(learner_set_latent(ctx, l, l->shape.height / c->factor, l->shape.width / c->factor, c->latent));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    struct kl_learner *k = l->state;
    vae_free(ctx, &k->net);
    json_close(&k->config);
    tensor_free(ctx, &k->loss);
    tensor_free(ctx, &k->terms[0]);
    tensor_free(ctx, &k->terms[1]);
    free(k);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    const struct kl_learner *k = l->state;
    return k->loaded ? CLIO_OK : parameters_init(ctx, &l->parameters[0], seed);
}

/* ---- forward ---- */

/* f32 [count, h, w, channels] at the resolution of the latents, without memory */
static struct tensor latent_tensor(const struct learner *l, int count, int channels)
{
    const struct kl_learner *k = l->state;
    int factor = k->net.config.factor;
    return tensor_shape(DTYPE_F32, 4, count, l->shape.height / factor, l->shape.width / factor, channels);
}

/* mu, with memory, of images; logvar as well unless it is NULL. */
static clio_status encode_fwd(clio_context *ctx, struct arena *arena, const struct learner *l, const struct tensor *mu,
                              const struct tensor *logvar, const struct tensor *x)
{
    clio_status st = CLIO_OK;
    const struct kl_learner *k = l->state;
    struct tensor moments = latent_tensor(l, mu->dim[0], 2 * k->net.config.latent), unused = *mu;
    TRY(tensor_take(ctx, arena, &moments));
    if (!logvar)
        TRY(tensor_take(ctx, arena, &unused));
    TRY(vae_encode_fwd(ctx, arena, &k->net, &moments, x));
    TRY(op_split_fwd(ctx, mu, logvar ? logvar : &unused, &moments));
fail:
    return st;
}

/* k->terms: scale * sum over the batch of the reconstruction loss of an image and of its KL divergence; k->loss: their weighted sum. eps
 * NULL: random. */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                           const struct tensor *eps, uint64_t stream, float scale)
{
    clio_status st = CLIO_OK;
    struct kl_learner *k = l->state;
    const struct tensor *x = &batch->images;
    uint64_t mark = arena_mark(arena);
    struct tensor mu = latent_tensor(l, batch->count, k->net.config.latent), logvar = mu, z = mu, y = *x, noise;
    struct loss_args args = {.loss = k->loss_function, .scale = scale / (float)learner_pixels(l)};
    TRY(tensor_take(ctx, arena, &mu));
    TRY(tensor_take(ctx, arena, &logvar));
    TRY(tensor_take(ctx, arena, &z));
    TRY(tensor_take(ctx, arena, &y));
    TRY(encode_fwd(ctx, arena, l, &mu, &logvar, x));
    if (!eps && batch->first > 0) {
        TRY(learner_noise(ctx, arena, l, batch, stream, l->latent, &noise));
        eps = &noise;
    }
    if (eps)
        noise = tensor_reshape(eps, 4, mu.dim[0], mu.dim[1], mu.dim[2], mu.dim[3]);
    TRY(op_reparam_fwd(ctx, &z, &mu, &logvar, eps ? &noise : NULL, l->seed, stream));
    TRY(vae_decode_fwd(ctx, arena, &k->net, &y, &z));
    TRY(op_loss_fwd(ctx, arena, &k->terms[0], &y, x, args, false));
    TRY(op_gaussian_kl_fwd(ctx, arena, &k->terms[1], &mu, &logvar, scale));
    TRY(op_add_fwd(ctx, &k->loss, &k->terms[0], &k->terms[1], 1, k->kl_weight));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status alloc_losses(clio_context *ctx, struct kl_learner *k, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    TRY(learner_scalar(ctx, &k->loss, batch));
    TRY(learner_scalar(ctx, &k->terms[0], batch));
    TRY(learner_scalar(ctx, &k->terms[1], batch));
fail:
    return st;
}

/* ---- training and evaluation ---- */

clio_status kl_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *out)
{
    clio_status st = CLIO_OK;
    struct kl_learner *k = l->state;
    struct tape *tape = &l->tapes[0];
    TRY(alloc_losses(ctx, k, batch));
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 0));
    if (batch->count)
        TRY(forward(ctx, &tape->arena, l, batch, eps, learner_stream(l, 0), 1.0f / (float)batch->global_count));
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, 0, &k->loss));
    TRY(learner_read(ctx, (const struct tensor *const[]){&k->loss, &k->terms[0], &k->terms[1]}, 3, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    return kl_step(ctx, l, batch, NULL, out);
}

static clio_status evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals)
{
    clio_status st = CLIO_OK;
    struct kl_learner *k = l->state;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    TRY(alloc_losses(ctx, k, batch));
    if (batch->count)
        TRY(forward(ctx, &arena, l, batch, NULL, stream, 1));
    TRY(learner_read(ctx, (const struct tensor *const[]){&k->terms[0], &k->terms[1]}, 2, totals));
fail:
    arena_free(ctx, &arena);
    return st;
}

static clio_status images_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out, const struct tensor *in)
{
    const struct kl_learner *k = l->state;
    struct tensor z = latent_tensor(l, in->dim[0], k->net.config.latent);
    struct tensor x = tensor_reshape(out, 4, in->dim[0], l->shape.height, l->shape.width, l->shape.channels);
    z.mem = in->mem;
    return vae_decode_fwd(ctx, arena, &k->net, &x, &z);
}

static clio_status means_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out, const struct tensor *in)
{
    const struct kl_learner *k = l->state;
    struct tensor mu = latent_tensor(l, in->dim[0], k->net.config.latent);
    struct tensor x = tensor_reshape(in, 4, in->dim[0], l->shape.height, l->shape.width, l->shape.channels);
    mu.mem = out->mem;
    return encode_fwd(ctx, arena, l, &mu, NULL, &x);
}

static clio_status sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images)
{
    return learner_run(ctx, l, NULL, count, latents, l->latent, labels, images, learner_pixels(l), images_fwd);
}

static clio_status encode(clio_context *ctx, struct learner *l, int count, const float *images, const int *labels, float *latents)
{
    return learner_run(ctx, l, NULL, count, images, learner_pixels(l), labels, latents, l->latent, means_fwd);
}

static clio_status save_config(clio_context *ctx, struct learner *l, const char *path)
{
    clio_status st = CLIO_OK;
    const struct kl_learner *k = l->state;
    TRY(learner_mark_f32(ctx, k->config.root));
    TRY(folder_put_json(ctx, k->config.root, path, "vae", "config.json"));
fail:
    return st;
}

const struct learner_type learner_vae_kl = {
    .name = "vae-kl",
    .summary = "autoencoder with KL regularization for latent diffusion (AutoencoderKL)",
    .settings = settings,
    .parts = parts,
    .losses = losses,
    .metrics = metrics,
    .reconstructs = true,
    .optimizers = {{.rule = OPTIM_ADAMW, .rate = 1e-4, .weight_decay = 0.01, .max_grad_norm = 1}},
    .open = open,
    .close = close,
    .init = init,
    .step = step,
    .evaluate = evaluate,
    .sample = sample,
    .encode = encode,
    .weight_files = {{"vae", "diffusion_pytorch_model"}},
    .save_config = save_config,
};
