/* evaluate.c - clio_evaluate: metrics of a trained model over a split of a dataset. Losses and reconstruction metrics (MSE, PSNR, SSIM)
 * come from the model; with a classifier, its features give the Frechet distance (FID) and the kernel distance (KID) between real and
 * generated images. */
#include "../../host/core/require.h"
#include "evaluate.h"
#include "../metrics/metrics.h"
#include "../train/checkpoint.h"
#include "../learners/generate.h"
#include "../learners/pretrained.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_SIZE 64
#define MAX_COUNT 1000000
#define SPLITS "train|validation|test"
#define KID_SUBSETS 100 /* as in torch-fidelity and clean-fid */
#define KID_SUBSET_SIZE 1000

struct evaluation {
    clio_context *ctx;
    const clio_evaluate_params *params;
    struct learner model, classifier;
    bool compare_features; /* compute the distances between real and generated images */
    char *folder;          /* of the model */
    struct evaluate_data data;
    struct loader *loader;
    size_t count, image_size;                         /* images; floats of one */
    struct tensor images;                             /* a batch */
    float *scratch, *latents;                         /* a batch: reconstructions, or images in the classifier's range; latents */
    float *features[2];                               /* f32 [count, features]: of real images, of generated images */
    double losses[LEARNER_LOSSES], weight, mse, ssim; /* sums; weight: of the losses */
    struct metric_list *metrics;
};

/* *folder: the model's folder, in fresh memory. */
static clio_status open_model(struct evaluation *e, const char *path, struct learner *l, char **folder)
{
    clio_status st = CLIO_OK;
    TRY(checkpoint_folder(e->ctx, path, folder));
    TRY(checkpoint_check_model(e->ctx, *folder));
    TRY(learner_load(e->ctx, l, *folder));
fail:
    return st;
}

static clio_status open_classifier(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *a = &e->model.shape, *b = &e->classifier.shape;
    char *folder = NULL;
    TRY(open_model(e, e->params->features, &e->classifier, &folder));
    if (!e->classifier.type->encode)
        FAIL(e->ctx, CLIO_ERROR_ARGUMENT, "%s is a %s model, which has no image features: use a classifier", e->params->features,
             e->classifier.type->name);
    if (a->width != b->width || a->height != b->height || a->channels != b->channels)
        FAIL(e->ctx, CLIO_ERROR_ARGUMENT,
             "%s takes images of %d x %d x %d and %s generates %d x %d x %d: train the classifier at that size", e->params->features,
             b->width, b->height, b->channels, e->params->model, a->width, a->height, a->channels);
    if (!e->model.type->has_latents)
        FAIL(e->ctx, CLIO_ERROR_ARGUMENT, "a %s model generates no images that could be compared: leave features out", e->model.type->name);
    e->compare_features = true;
fail:
    free(folder);
    return st;
}

static bool reconstructs(const struct evaluation *e)
{
    return e->model.type->encode && e->model.type->sample && !learner_needs_captions(e->model.type, e->model.config);
}

static clio_status open_data(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    const struct learner_type *type = e->model.type;
    struct loader_options batches = loader_defaults();
    TRY(evaluate_data_open(e->ctx, e->params, &e->model, e->folder, &e->data));
    e->count = e->data.count;
    if (!type->evaluate && !reconstructs(e) && !e->compare_features)
        FAIL(e->ctx, CLIO_ERROR_ARGUMENT,
             "a %s model has no metric of its own: set params.features to a classifier, in whose features generated and real images are "
             "compared (train the model classifier on this data)",
             type->name);
    batches.batch = BATCH_SIZE;
    batches.shuffle = batches.drop_last = false;
    batches.unit_range = type->unit_range;
    TRY(loader_open(e->ctx, &e->loader, e->data.data, e->data.split, &batches));
fail:
    return st;
}

static clio_status allocate_buffers(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &e->model.shape;
    e->image_size = (size_t)s->width * (size_t)s->height * (size_t)s->channels;
    e->images = tensor_shape(DTYPE_F32, 4, BATCH_SIZE, s->height, s->width, s->channels);
    TRY(tensor_new(e->ctx, &e->images, "evaluation"));
    TRY(mem_alloc(e->ctx, &e->scratch, BATCH_SIZE * e->image_size, sizeof *e->scratch));
    TRY(mem_alloc(e->ctx, &e->latents, BATCH_SIZE * (size_t)MAX(e->model.latent, 1), sizeof *e->latents));
    for (int i = 0; e->compare_features && i < 2; i++)
        TRY(mem_alloc(e->ctx, &e->features[i], e->count * (size_t)e->classifier.latent, sizeof **e->features));
fail:
    return st;
}

/* Add the model's losses over `count` images, of which the first has number `first`. */
static clio_status add_losses(struct evaluation *e, const struct batch *b, int count, size_t first)
{
    struct learner_batch batch = {.count = count, .images = e->images, .labels = b->labels, .captions = b->captions};
    return learner_evaluate(e->ctx, &e->model, &batch, b->images, first, e->losses, &e->weight);
}

static clio_status add_reconstruction(struct evaluation *e, const struct batch *b, int count)
{
    clio_status st = CLIO_OK;
    struct learner *l = &e->model;
    double ssim;
    TRY(l->type->encode(e->ctx, l, count, b->images, b->labels, e->latents));
    TRY(l->type->sample(e->ctx, l, count, e->latents, b->labels, e->scratch));
    e->mse += metrics_mse(b->images, e->scratch, (size_t)count * e->image_size) * count;
    TRY(metrics_ssim(e->ctx, &ssim, b->images, e->scratch, count, l->shape.height, l->shape.width, l->shape.channels,
                     l->type->unit_range ? 1 : 2));
    e->ssim += ssim * count;
fail:
    return st;
}

/* Features of `count` images in the model's range, into row `first` of features[side]. */
static clio_status add_features(struct evaluation *e, const float *images, size_t first, int count, int side)
{
    const struct learner *c = &e->classifier;
    bool from = e->model.type->unit_range, to = c->type->unit_range;
    for (size_t i = 0; i < (size_t)count * e->image_size; i++)
        e->scratch[i] = from == to ? images[i] : from ? 2 * images[i] - 1 : (images[i] + 1) / 2;
    return c->type->encode(e->ctx, &e->classifier, count, e->scratch, NULL, e->features[side] + first * (size_t)c->latent);
}

static clio_status evaluate_data(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < e->count; i += BATCH_SIZE) {
        const struct batch *b;
        int count;
        TRY(context_progress(e->ctx, "evaluating", (double)i, (double)e->count));
        TRY(loader_next(e->ctx, e->loader, &b));
        count = (int)MIN(e->count - i, (size_t)b->count);
        if (e->model.type->evaluate)
            TRY(add_losses(e, b, count, i));
        if (reconstructs(e))
            TRY(add_reconstruction(e, b, count));
        if (e->compare_features)
            TRY(add_features(e, b->images, i, count, 0));
    }
fail:
    return st;
}

static clio_status evaluate_samples(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    float *samples = NULL;
    int labels[BATCH_SIZE];
    TRY(mem_alloc(e->ctx, &samples, BATCH_SIZE * e->image_size, sizeof *samples));
    for (size_t i = 0; i < e->count; i += BATCH_SIZE) {
        int count = (int)MIN(e->count - i, (size_t)BATCH_SIZE), choices = learner_labels(&e->model);
        TRY(context_progress(e->ctx, "generating", (double)i, (double)e->count));
        for (int j = 0; choices && j < count; j++)
            labels[j] = (int)((i + (size_t)j) % (size_t)choices);
        TRY(learner_sample(e->ctx, &e->model, count, e->params->seed + i, choices ? labels : NULL, samples));
        TRY(add_features(e, samples, i, count, 1));
    }
fail:
    free(samples);
    return st;
}

static clio_status add_feature_distances(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    struct feature_stats stats[2] = {0};
    int width = e->classifier.latent, subset = (int)MIN(e->count, KID_SUBSET_SIZE);
    double distance;
    for (int i = 0; i < 2; i++) {
        TRY(feature_stats_new(e->ctx, &stats[i], width));
        TRY(feature_stats_add(e->ctx, &stats[i], e->features[i], e->count));
    }
    TRY(frechet_distance(e->ctx, &distance, &stats[0], &stats[1]));
    TRY(metric_list_add(e->ctx, e->metrics, "frechet_distance", distance, ""));
    TRY(kernel_distance(e->ctx, &distance, NULL, e->features[0], e->count, e->features[1], e->count, width, KID_SUBSETS, subset,
                        e->params->seed));
    TRY(metric_list_add(e->ctx, e->metrics, "kernel_distance", distance, ""));
fail:
    feature_stats_free(&stats[0]);
    feature_stats_free(&stats[1]);
    return st;
}

static clio_status add_metrics(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    const struct learner_type *type = e->model.type;
    double n = (double)e->count;
    for (int i = 0; type->evaluate && type->metrics[i]; i++)
        TRY(metric_list_add(e->ctx, e->metrics, type->metrics[i], e->losses[i] / e->weight, ""));
    if (reconstructs(e)) {
        TRY(metric_list_add(e->ctx, e->metrics, "reconstruction_mse", e->mse / n, ""));
        TRY(metric_list_add(e->ctx, e->metrics, "psnr", metrics_psnr(e->mse / n, type->unit_range ? 1 : 2), "dB"));
        TRY(metric_list_add(e->ctx, e->metrics, "ssim", e->ssim / n, ""));
    }
    if (e->compare_features)
        TRY(add_feature_distances(e));
    TRY(metric_list_add(e->ctx, e->metrics, "images", n, ""));
fail:
    return st;
}

static clio_status evaluate_images(struct evaluation *e)
{
    clio_status st = CLIO_OK;
    if (e->params->features)
        TRY(open_classifier(e));
    TRY(open_data(e));
    TRY(allocate_buffers(e));
    TRY(evaluate_data(e));
    if (e->compare_features)
        TRY(evaluate_samples(e));
    TRY(add_metrics(e));
fail:
    return st;
}

static void close_evaluation(struct evaluation *e)
{
    tensor_free(e->ctx, &e->images);
    free(e->scratch);
    free(e->latents);
    free(e->features[0]);
    free(e->features[1]);
    loader_close(e->loader);
    dataset_close(e->data.data);
    free(e->folder);
    learner_close(e->ctx, &e->classifier);
    learner_close(e->ctx, &e->model);
}

static clio_status check_params(clio_context *ctx, struct caller at, const clio_evaluate_params *params)
{
    clio_status st = CLIO_OK;
    REQUIRE_AT(ctx, at, ctx, "ctx");
    REQUIRE_AT(ctx, at, params, "params");
    TRY(require_text(ctx, at, params->model, "params.model"));
    TRY(require_text(ctx, at, params->data, "params.data"));
    if (params->split)
        TRY(require_word(ctx, at, params->split, SPLITS, "params.split"));
    TRY(require_text_or_null(ctx, at, params->features, "params.features"));
    TRY(require_int(ctx, at, params->count, 0, MAX_COUNT, "params.count"));
    REQUIRE_THAT(ctx, at, params->count != 1, "params.count is 1: metrics need at least 2 images");
fail:
    return st;
}

clio_status clio_evaluate(clio_context *ctx, const clio_evaluate_params *params, clio_metrics **out)
{
    clio_status st = CLIO_OK;
    struct evaluation e = {.ctx = ctx, .params = params};
    SET_NULL(out);
    TRY(check_params(ctx, CALLER, params));
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(context_need_device(ctx));
    TRY(metric_list_new(ctx, &e.metrics));
    TRY(open_model(&e, params->model, &e.model, &e.folder));
    if (e.model.type->takes_audio)
        TRY(evaluate_speech(ctx, params, &e.model, e.folder, e.metrics));
    else
        TRY(evaluate_images(&e));
    *out = &e.metrics->public;
    e.metrics = NULL;
fail:
    if (ctx)
        close_evaluation(&e);
    clio_metrics_free(e.metrics ? &e.metrics->public : NULL);
    return st;
}
