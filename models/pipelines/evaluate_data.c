/* evaluate_data.c - the data that a trained model is evaluated on. See evaluate.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "evaluate.h"
#include "../../host/core/context.h"
#include "../train/checkpoint.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static clio_status choose_split(clio_context *ctx, const clio_evaluate_params *params, struct evaluate_data *e)
{
    clio_status st = CLIO_OK;
    static const char *const names[] = {[DATASET_TRAIN] = "train", [DATASET_VALIDATION] = "validation", [DATASET_TEST] = "test"};
    const size_t *count = dataset_info(e->data)->count;
    int split = DATASET_SPLITS - 1;
    if (params->split) {
        for (split = 0; split < DATASET_SPLITS - 1 && strcmp(names[split], params->split) != 0;)
            split++;
    } else {
        while (split > 0 && count[split] == 0)
            split--;
    }
    if (count[split] == 0)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has no samples for %s", params->data, names[split]);
    e->split = (enum dataset_split)split;
    e->count = MIN(count[split], (size_t)(params->count ? params->count : EVALUATE_COUNT));
fail:
    return st;
}

/* same: the data is what the model was trained on; then its validation split. */
static clio_status find_split(clio_context *ctx, const char *data, const char *folder, struct dataset_options *o, bool *same)
{
    clio_status st = CLIO_OK;
    struct train_split split = {0};
    char *real = NULL;
    TRY(checkpoint_split(ctx, folder, &split));
    if (split.data && file_exists(data))
        TRY(file_real_path(ctx, &real, data));
    *same = real && !strcmp(real, split.data);
    if (*same && split.fraction > 0) {
        o->seed = split.seed;
        o->validation_split = split.fraction;
    }
fail:
    train_split_free(&split);
    free(real);
    return st;
}

clio_status evaluate_data_open(clio_context *ctx, const clio_evaluate_params *params, const struct learner *l, const char *folder,
                               struct evaluate_data *out)
{
    clio_status st = CLIO_OK;
    struct dataset_options o = dataset_defaults();
    const struct dataset_info *info;
    bool same;
    if (!l->type->takes_audio) {
        o.width = l->shape.width;
        o.height = l->shape.height;
        o.channels = l->shape.channels;
    }
    o.seconds_max = l->type->takes_audio ? LEARNER_SECONDS : 0;
    o.need_labels = l->type->needs_labels && !learner_needs_captions(l->type, l->config);
    o.class_names = o.need_labels ? (const char *const *)l->class_names : NULL;
    o.classes = o.class_names ? l->shape.classes : 0;
    TRY(learner_takes_captions(ctx, l->type, l->config, folder, &o.need_captions));
    TRY(find_split(ctx, params->data, folder, &o, &same));
    TRY(dataset_open(ctx, &out->data, params->data, &o));
    info = dataset_info(out->data);
    if (info->type == DATASET_SOUNDS && !l->type->takes_audio)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a dataset of sounds, but %s is a model of images: use a dataset of images", params->data,
             params->model);
    if (info->type != DATASET_SOUNDS && l->type->takes_audio)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a dataset of images, but %s is a model of sounds: use a dataset of sounds", params->data,
             params->model);
    if (o.need_labels && info->classes > l->shape.classes)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has %d classes, but %s was trained with %d: use the dataset it was trained on", params->data,
             info->classes, params->model, l->shape.classes);
    TRY(choose_split(ctx, params, out));
    for (int i = 0; i < info->warning_count; i++)
        context_notice(ctx, "%s", info->warnings[i]);
    if (same && !params->split && out->split == DATASET_TRAIN)
        context_notice(ctx, "%s is the data that the model was trained on, and nothing of it was held out", params->data);
fail:
    return st;
}
