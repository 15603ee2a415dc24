/* evaluate.h - shared by the files of clio_evaluate: evaluate.c models of images, evaluate_speech.c Whisper, evaluate_data.c the data. */
#ifndef CLIO_MODELS_PIPELINES_EVALUATE_H
#define CLIO_MODELS_PIPELINES_EVALUATE_H

#include "../data/dataset.h"
#include "../learners/learner.h"
#include "../metrics/metric_list.h"

#include <clio.h>

#define EVALUATE_COUNT 10000 /* samples, unless params.count says otherwise */

struct evaluate_data {
    struct dataset *data;
    enum dataset_split split;
    size_t count; /* samples to use */
};
/* Open the data for a trained model that was loaded from `folder`: classes are matched by name; data that the run was trained on is divided
 * as it was then, so that params->split NULL means what was held out. Zero-initialise; release with dataset_close. */
clio_status evaluate_data_open(clio_context *ctx, const clio_evaluate_params *params, const struct learner *l, const char *folder,
                               struct evaluate_data *out);
/* Loss, word and character error rate of a fine-tuned Whisper model. */
clio_status evaluate_speech(clio_context *ctx, const clio_evaluate_params *params, struct learner *l, const char *folder,
                            struct metric_list *metrics);

#endif
