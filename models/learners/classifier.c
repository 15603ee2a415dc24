/* classifier.c - convolutional image classifier. clio eval can compare generated and real images in its features (Fréchet and kernel
 * distance), where no Inception network suits the images.
 *
 *     features = relu(down(x))    scores = W features + b    loss = mean cross-entropy of softmax(scores) */
#include "conv_pyramid.h"
#include "types.h"
#include "generate.h"

#include <stdlib.h>

/* clang-format off: a setting a line */
static const struct learner_setting settings[] = {
    {"base_channels", 'i', 1, 512, 32, NULL, "channels at the full resolution, doubled at each halving"},
    {"feature_dim", 'i', 1, 4096, 128, NULL, "dimension of the feature vector before the classification layer"},
    {"label_smoothing", 'f', 0, 0.9, 0, NULL, "label smoothing of the cross-entropy loss"},
    {0},
};
/* clang-format on */
static const char *const parts[] = {"classifier", NULL};
static const char *const losses[] = {"loss", NULL};
static const char *const metrics[] = {"accuracy", "cross_entropy", NULL};

struct classifier {
    struct sequential body, head;
    float smoothing;
    struct tensor labels, loss;
};

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &l->shape;
    struct classifier *net;
    struct pyramid shape = {.width = learner_int(l, "base_channels"), .norm = true, .act = ACT_RELU};
    struct layer_rows body = {0}, head = {0};
    TRY(mem_alloc(ctx, &net, 1, sizeof *net));
    l->state = net;
    l->latent = learner_int(l, "feature_dim");
    net->smoothing = (float)learner_number(l, "label_smoothing");
    TRY(pyramid_fit(ctx, l, &shape));
    rows_down(&body, &shape, l->latent);
    rows_act(&body, ACT_RELU, 0);
    rows_linear(&head, "scores", s->classes);
    TRY(sequential_new(ctx, &net->body, "classifier.", body.row, body.count, s->height, s->width, s->channels, &l->parameters[0]));
    TRY(sequential_new(ctx, &net->head, "classifier.", head.row, head.count, 1, 1, l->latent, &l->parameters[0]));
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    struct classifier *net = l->state;
    sequential_free(ctx, &net->body);
    sequential_free(ctx, &net->head);
    tensor_free(ctx, &net->labels);
    tensor_free(ctx, &net->loss);
    free(net);
}

static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    clio_status st = CLIO_OK;
    const struct classifier *net = l->state;
    TRY(sequential_init(ctx, &net->body, INIT_RULE_TORCH, seed));
    TRY(sequential_init(ctx, &net->head, INIT_RULE_TORCH, seed));
fail:
    return st;
}

/* scores f32 [B, classes] in the arena; loss: the mean over those B. */
static clio_status forward(clio_context *ctx, struct arena *arena, struct classifier *net, const struct learner_batch *batch, bool training,
                           struct tensor *scores)
{
    clio_status st = CLIO_OK;
    int b = batch->count;
    struct tensor features = sequential_shape(&net->body, b);
    struct cross_entropy_args args = {.ignore = -100, .smoothing = training ? net->smoothing : 0};
    *scores = tensor_shape(DTYPE_F32, 2, b, net->head.out[2], 0, 0);
    TRY(tensor_take(ctx, arena, &features));
    TRY(tensor_take(ctx, arena, scores));
    TRY(sequential_fwd(ctx, arena, &net->body, &features, &batch->images, training));
    TRY(sequential_fwd(ctx, arena, &net->head, scores, &features, training));
    TRY(learner_write_labels(ctx, &net->labels, batch->labels, b));
    TRY(op_cross_entropy_fwd(ctx, arena, &net->loss, scores, &net->labels, args));
fail:
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    clio_status st = CLIO_OK;
    struct classifier *net = l->state;
    struct tape *tape = &l->tapes[0];
    struct tensor scores;
    TRY(learner_scalar(ctx, &net->loss, batch));
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 0));
    if (batch->count) {
        TRY(forward(ctx, &tape->arena, net, batch, true, &scores));
        if (batch->count != batch->global_count) /* the mean here counts as its part of all processes' */
            TRY(op_add_fwd(ctx, &net->loss, &net->loss, &net->loss, (float)batch->count / (float)batch->global_count, 0));
    }
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, 0, &net->loss));
    TRY(learner_read(ctx, (const struct tensor *const[]){&net->loss}, 1, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

/* Rows whose label has the highest score. */
static int count_correct(const float *scores, const int32_t *labels, int count, int classes)
{
    int correct = 0;
    for (int i = 0; i < count; i++, scores += classes) {
        int best = 0;
        for (int c = 1; c < classes; c++)
            best = scores[c] > scores[best] ? c : best;
        correct += best == labels[i];
    }
    return correct;
}

static clio_status evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals)
{
    clio_status st = CLIO_OK;
    struct classifier *net = l->state;
    struct arena arena = {0};
    struct tensor scores;
    float *read = NULL;
    double mean;
    (void)stream;
    arena_grow(ctx, &arena);
    if (batch->count) {
        TRY(learner_scalar(ctx, &net->loss, batch));
        TRY(forward(ctx, &arena, net, batch, false, &scores));
        TRY(mem_alloc(ctx, &read, tensor_count(&scores), sizeof *read));
        TRY(tensor_read(ctx, &scores, 0, tensor_count(&scores), read));
        TRY(learner_read(ctx, (const struct tensor *const[]){&net->loss}, 1, &mean));
        totals[0] = count_correct(read, batch->labels, batch->count, l->shape.classes);
        totals[1] = mean * batch->count;
    }
fail:
    arena_free(ctx, &arena);
    free(read);
    return st;
}

static clio_status features_fwd(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out,
                                const struct tensor *in)
{
    const struct classifier *net = l->state;
    return sequential_fwd(ctx, arena, &net->body, out, in, false);
}

static clio_status encode(clio_context *ctx, struct learner *l, int count, const float *images, const int *labels, float *latents)
{
    (void)labels;
    return learner_run(ctx, l, NULL, count, images, learner_pixels(l), NULL, latents, l->latent, features_fwd);
}

const struct learner_type learner_classifier = {.name = "classifier",
                                                .summary = "image classifier; its features serve the Fréchet distance of clio eval",
                                                .settings = settings,
                                                .parts = parts,
                                                .losses = losses,
                                                .metrics = metrics,
                                                .higher_is_better = true,
                                                .needs_labels = true,
                                                .open = open,
                                                .close = close,
                                                .init = init,
                                                .step = step,
                                                .evaluate = evaluate,
                                                .encode = encode};
