/* autoencoder.c - autoencoder of images (Hinton and Salakhutdinov 2006), fully connected or convolutional; mmd_gan.c uses it for features.
 *
 *     loss = mean (decoder(encoder(x)) - x)^2 */
#include "autoencoder.h"
#include "generate.h"
#include "types.h"

#include <stdio.h>
#include <stdlib.h>

static const struct learner_setting settings[] = {
    {"architecture", 's', 0, 0, 0, "conv|dense", "architecture: convolutional (as DCGAN) or fully connected"},
    {"base_channels", 'i', 1, 512, 32, NULL, "conv: channels at the full resolution, doubled at each halving"},
    {"hidden_size", 'i', 1, 65536, 400, NULL, "dense: units of the hidden layer"},
    {"latent_dim", 'i', 1, 65536, 32, NULL, "dimension of the latent vector"},
    {0},
};
static const char *const parts[] = {"autoencoder", NULL};
static const char *const losses[] = {"loss", NULL};
static const char *const metrics[] = {"mse", NULL};

static void dense_rows(const struct learner *l, const struct autoencoder_plan *plan, struct layer_rows *down, struct layer_rows *up)
{
    rows_linear(down, NULL, plan->hidden);
    rows_act(down, ACT_RELU, 0);
    rows_linear(down, NULL, plan->code);
    rows_linear(up, NULL, plan->hidden);
    rows_act(up, ACT_RELU, 0);
    rows_linear(up, NULL, learner_pixels(l));
    rows_act(up, plan->act_image, 0);
}

clio_status autoencoder_open(clio_context *ctx, struct learner *l, struct autoencoder *net, const struct autoencoder_plan *plan,
                             struct parameters *parameters)
{
    clio_status st = CLIO_OK;
    struct pyramid p = {.width = plan->width, .act = ACT_RELU};
    struct layer_rows down = {0}, up = {0};
    const struct learner_shape *s = &l->shape;
    char key[64];
    if (plan->dense) {
        dense_rows(l, plan, &down, &up);
    } else {
        TRY(pyramid_fit(ctx, l, &p));
        rows_down(&down, &p, plan->code);
        rows_up(&up, &p, s->channels, plan->act_image);
    }
    if (plan->act_code != ACT_NONE)
        rows_act(&down, plan->act_code, 0);
    snprintf(key, sizeof key, "%sencoder.", plan->prefix);
    TRY(sequential_new(ctx, &net->encoder, key, down.row, down.count, s->height, s->width, s->channels, parameters));
    snprintf(key, sizeof key, "%sdecoder.", plan->prefix);
    TRY(sequential_new(ctx, &net->decoder, key, up.row, up.count, 1, 1, plan->code, parameters));
fail:
    return st;
}

clio_status autoencoder_init(clio_context *ctx, const struct autoencoder *net, uint64_t seed)
{
    clio_status st = CLIO_OK;
    TRY(sequential_init(ctx, &net->encoder, INIT_RULE_TORCH, seed));
    TRY(sequential_init(ctx, &net->decoder, INIT_RULE_TORCH, seed));
fail:
    return st;
}

void autoencoder_free(clio_context *ctx, struct autoencoder *net)
{
    sequential_free(ctx, &net->encoder);
    sequential_free(ctx, &net->decoder);
    tensor_free(ctx, &net->loss);
}

/* net->loss = scale * sum of (decoder(encoder(x)) - x)^2 */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct autoencoder *net, const struct tensor *x, float scale,
                           bool training)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor code = sequential_shape(&net->encoder, x->dim[0]), y = *x;
    struct loss_args args = {.loss = LOSS_MSE, .scale = scale};
    TRY(tensor_take(ctx, arena, &code));
    TRY(tensor_take(ctx, arena, &y));
    TRY(sequential_fwd(ctx, arena, &net->encoder, &code, x, training));
    TRY(sequential_fwd(ctx, arena, &net->decoder, &y, &code, training));
    TRY(op_loss_fwd(ctx, arena, &net->loss, &y, x, args, false));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status autoencoder_step(clio_context *ctx, struct learner *l, struct autoencoder *net, int part, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    struct tape *tape = &l->tapes[part];
    float scale = (float)(1.0 / ((double)batch->global_count * learner_pixels(l)));
    TRY(learner_scalar(ctx, &net->loss, batch));
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, part));
    if (batch->count)
        TRY(forward(ctx, &tape->arena, net, &batch->images, scale, true));
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, part, &net->loss));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct autoencoder *net;
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    l->state = net;
    l->latent = learner_int(l, "latent_dim");
    TRY(autoencoder_open(ctx, l, net,
                         &(struct autoencoder_plan){.prefix = "ae.",
                                                    .dense = learner_choice(l, "architecture") == 1,
                                                    .width = learner_int(l, "base_channels"),
                                                    .hidden = learner_int(l, "hidden_size"),
                                                    .code = l->latent,
                                                    .act_image = ACT_SIGMOID},
                         &l->parameters[0]));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    autoencoder_free(ctx, l->state);
    free(l->state);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    return autoencoder_init(ctx, l->state, seed);
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    clio_status st = CLIO_OK;
    struct autoencoder *net = l->state;
    TRY(autoencoder_step(ctx, l, net, 0, batch));
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->loss}, 1, out));
fail:
    return st;
}

static clio_status evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals)
{
    clio_status st = CLIO_OK;
    struct autoencoder *net = l->state;
    struct arena arena = {0};
    (void)stream;
    arena_grow(ctx, &arena);
    TRY(learner_scalar(ctx, &net->loss, batch));
    if (batch->count)
        TRY(forward(ctx, &arena, net, &batch->images, 1.0f / (float)learner_pixels(l), false));
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->loss}, 1, totals));
fail:
    arena_free(ctx, &arena);
    return st;
}

static clio_status decode_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out, const struct tensor *in)
{
    return sequential_fwd(ctx, arena, &((struct autoencoder *)l->state)->decoder, out, in, false);
}

static clio_status encode_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out, const struct tensor *in)
{
    return sequential_fwd(ctx, arena, &((struct autoencoder *)l->state)->encoder, out, in, false);
}

static clio_status sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images)
{
    (void)labels;
    return learner_run(ctx, l, NULL, count, latents, l->latent, NULL, images, learner_pixels(l), decode_fwd);
}

static clio_status encode(clio_context *ctx, struct learner *l, int count, const float *images, const int *labels, float *latents)
{
    (void)labels;
    return learner_run(ctx, l, NULL, count, images, learner_pixels(l), NULL, latents, l->latent, encode_fwd);
}

const struct learner_type learner_autoencoder = {
    .name = "autoencoder",
    .summary = "autoencoder of images",
    .settings = settings,
    .parts = parts,
    .losses = losses,
    .metrics = metrics,
    .unit_range = true,
    .reconstructs = true,
    .open = open,
    .close = close,
    .init = init,
    .step = step,
    .evaluate = evaluate,
    .sample = sample,
    .encode = encode,
};
