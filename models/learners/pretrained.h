/* pretrained.h - load and save a model's folder: config.json and weights. */
#ifndef CLIO_MODELS_LEARNERS_PRETRAINED_H
#define CLIO_MODELS_LEARNERS_PRETRAINED_H

#include "learner.h"

/* Read the weights of a part (PART_VALUE), or its moving averages (PART_AVERAGE), from the files for inference in a checkpoint. */
clio_status learner_read_part(clio_context *ctx, struct learner *l, int part, enum parameter_part what, const char *path);
/* From a folder with config.json and model.safetensors. */
clio_status learner_load(clio_context *ctx, struct learner *l, const char *path);
/* Write config.json and the weights into an existing folder: the moving averages where there are any, for inference. */
clio_status learner_save(clio_context *ctx, struct learner *l, const char *folder);

#endif
