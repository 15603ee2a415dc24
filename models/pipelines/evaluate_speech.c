/* evaluate_speech.c - evaluate a Whisper model that clio train fine-tuned: the loss of the captions given the audio, as in training, and
 * the word and character error rate of transcripts, decoded greedily without timestamps, as the model was trained. */
#include "evaluate.h"
#include "../learners/settings.h"
#include "../metrics/metrics.h"

#include <stdlib.h>

#define BATCH_SIZE 4 /* recordings of 30 seconds */

/* The loss over all tokens. */
static clio_status add_loss(clio_context *ctx, struct learner *l, const struct evaluate_data *e, struct metric_list *metrics)
{
    clio_status st = CLIO_OK;
    struct loader *loader = NULL;
    struct loader_options o = loader_defaults();
    double totals[LEARNER_LOSSES] = {0}, weight = 0;
    o.batch = BATCH_SIZE;
    o.shuffle = o.drop_last = false;
    TRY(loader_open(ctx, &loader, e->data, e->split, &o));
    for (size_t i = 0; i < e->count; i += BATCH_SIZE) {
        const struct batch *b;
        TRY(context_progress(ctx, "evaluating", (double)i, (double)e->count));
        TRY(loader_next(ctx, loader, &b));
        struct learner_batch batch = {.count = (int)MIN(e->count - i, (size_t)b->count),
                                      .captions = b->captions,
                                      .audio = b->audio,
                                      .samples = b->samples,
                                      .lengths = b->lengths};
        TRY(learner_evaluate(ctx, l, &batch, NULL, i, totals, &weight));
    }
    TRY(metric_list_add(ctx, metrics, l->type->metrics[0], totals[0] / weight, ""));
fail:
    loader_close(loader);
    return st;
}

static clio_status add_error_rates(clio_context *ctx, const struct learner *l, const struct evaluate_data *e, const char *folder,
                                   struct metric_list *metrics)
{
    clio_status st = CLIO_OK;
    clio_speech *speech = NULL;
    clio_transcript *transcript = NULL;
    clio_speech_params params = clio_speech_defaults();
    struct error_counts words = {0}, characters = {0};
    char *dir = NULL;
    params.timestamps = 0;
    params.condition_on_previous = 0;
    params.temperature_step = 0;
    params.no_speech_threshold = 1;
    params.suppress_blank = 0; /* a caption may begin with the token of a space alone, and was trained so */
    TRY(file_join(ctx, &dir, folder, l->type->weight_files[0].folder));
    TRY(clio_speech_load(ctx, dir, &speech));
    params.language = clio_speech_is_multilingual(speech) ? learner_text(l, "language") : NULL;
    params.translate = clio_speech_is_multilingual(speech) && learner_choice(l, "task") == 1;
    for (size_t i = 0; i < e->count; i++) {
        const char *caption = dataset_caption(e->data, e->split, i);
        TRY(clio_speech_file(speech, dataset_path(e->data, e->split, i), &params, &transcript));
        TRY(error_counts_words(ctx, &words, caption, transcript->text));
        TRY(error_counts_characters(ctx, &characters, caption, transcript->text));
        clio_transcript_free(transcript);
        transcript = NULL;
    }
    TRY(metric_list_add(ctx, metrics, "word_error_rate", 100 * error_rate(&words), "%"));
    TRY(metric_list_add(ctx, metrics, "character_error_rate", 100 * error_rate(&characters), "%"));
    TRY(metric_list_add(ctx, metrics, "words", (double)words.reference_count, ""));
    TRY(metric_list_add(ctx, metrics, "recordings", (double)e->count, ""));
fail:
    clio_transcript_free(transcript);
    clio_speech_free(speech);
    free(dir);
    return st;
}

clio_status evaluate_speech(clio_context *ctx, const clio_evaluate_params *params, struct learner *l, const char *folder,
                            struct metric_list *metrics)
{
    clio_status st = CLIO_OK;
    struct evaluate_data e = {0};
    if (params->features)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s is a speech model: leave params.features out, which compares generated images", params->model);
    TRY(evaluate_data_open(ctx, params, l, folder, &e));
    TRY(add_loss(ctx, l, &e, metrics));
    TRY(add_error_rates(ctx, l, &e, folder, metrics));
fail:
    dataset_close(e.data);
    return st;
}
