/* pretrained.h - load and save a model's folder: config.json and weights. */
#ifndef CLIO_MODELS_LEARNERS_PRETRAINED_H
#define CLIO_MODELS_LEARNERS_PRETRAINED_H

#include "learner.h"

/* Read the weights of a part (PART_VALUE), or its moving averages (PART_AVERAGE), from the files for inference in a checkpoint. */
clio_status learner_read_part(clio_context *ctx, struct learner *l, int part, enum parameter_part what, const char *path);
/* The setting of a configuration of transformers that says how weights are stored: as f32, as learner_save writes them. */
clio_status learner_mark_f32(clio_context *ctx, json_t *config);
/* From a folder with config.json and model.safetensors. */
clio_status learner_load(clio_context *ctx, struct learner *l, const char *path);
/* Write config.json and the weights into an existing folder: the moving averages where there are any, for inference. */
clio_status learner_save(clio_context *ctx, struct learner *l, const char *folder);

#endif
