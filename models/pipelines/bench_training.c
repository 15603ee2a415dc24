/* bench_training.c - training steps of small models: see bench.h. */
#include "bench.h"
#include "../learners/learner.h"
#include "../learners/types.h"
#include "../../host/ops/gradients.h"

#include <stdio.h>
#include <string.h>

static const char group[] = "training";

/* Models of the usual examples: DCGAN for 64 x 64 images, the VAE of 28 x 28 digits, a UNet for latents of 16 x 16. */
static const struct {
    const char *type;
    struct learner_shape shape;
    int batch;
    const char *settings; /* JSON */
    bool quick;
} models[] = {
    {"vae", {28, 28, 1, 0}, 128, "{}", true},
    {"dcgan", {64, 64, 3, 0}, 64, "{}", true},
    {"unet", {16, 16, 4, 0}, 64, "{\"block_out_channels\": \"64,128,128\", \"attention_levels\": \"upper\"}", false},
};

struct training {
    struct learner learner;
    struct learner_batch batch;
};

static clio_status run_step(clio_context *ctx, void *what)
{
    struct training *t = what;
    double losses[LEARNER_LOSSES];
    t->learner.step++;
    return t->learner.type->step(ctx, &t->learner, &t->batch, losses); /* waits, since the losses are read */
}

/* Images of noise in the range of the type. */
static clio_status make_batch(clio_context *ctx, struct training *t, int count)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &t->learner.shape;
    t->batch.count = t->batch.global_count = count;
    t->batch.images = tensor_shape(DTYPE_F32, 4, count, s->height, s->width, s->channels);
    TRY(tensor_new(ctx, &t->batch.images, "a benchmark"));
    TRY(op_random_fwd(ctx, &t->batch.images, 1, 0, false));
    if (!t->learner.type->unit_range)
        TRY(op_add_fwd(ctx, &t->batch.images, &t->batch.images, &t->learner.one, 2, -1));
fail:
    return st;
}

static clio_status measure_model(struct bench *b, struct bench_row *row, size_t i)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    struct training t = {.batch = {0}};
    json_t *settings = NULL;
    TRY(json_made(ctx, &settings, json_loads(models[i].settings, 0, NULL)));
    TRY(learner_new(ctx, &t.learner, learner_type_find(models[i].type), models[i].shape, settings, 1));
    TRY(learner_train(ctx, &t.learner, 1));
    TRY(make_batch(ctx, &t, models[i].batch));
    row->items = models[i].batch;
    row->item = "images";
    TRY(bench_time(b, row, run_step, &t));
fail:
    tensor_free(ctx, &t.batch.images);
    learner_close(ctx, &t.learner);
    json_decref(settings);
    return st;
}

clio_status bench_training(struct bench *b)
{
    clio_status st = CLIO_OK;
    char shape[64];
    for (size_t i = 0; i < COUNT(models); i++) {
        snprintf(shape, sizeof shape, "%d x %d x %d, batch %d", models[i].shape.height, models[i].shape.width, models[i].shape.channels,
                 models[i].batch);
        struct bench_row row = bench_row(group, models[i].type, shape);
        if ((models[i].quick || !b->quick) && bench_wants(b, group, row.name, shape))
            TRY(bench_add(b, &row, measure_model(b, &row, i)));
    }
fail:
    return st;
}
