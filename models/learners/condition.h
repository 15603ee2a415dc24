/* condition.h - condition a network on class labels (one-hot) or on captions (pooled CLIP embeddings). */
#ifndef CLIO_MODELS_LEARNERS_CONDITION_H
#define CLIO_MODELS_LEARNERS_CONDITION_H

#include "captions.h"

/* The condition of a batch: a row for each sample, a one-hot vector of its label, or the embedding of its caption by a frozen text encoder.
 */
struct label_input {
    int width;                 /* of a row; 0: unconditional, and the functions below do nothing */
    struct captions *captions; /* or NULL */
    struct tensor rows;        /* of the current batch: f32 [B, width] */
};
clio_status label_input_new(clio_context *ctx, struct label_input *in, const struct learner *l);
void label_input_free(clio_context *ctx, struct label_input *in);
/* Fill rows for a batch. */
clio_status label_input_set(clio_context *ctx, struct label_input *in, const struct learner_batch *batch);
/* Fill rows from labels [count] on the host, or from captions. */
clio_status label_input_set_labels(clio_context *ctx, struct label_input *in, const int32_t *labels, int count);
clio_status label_input_set_captions(clio_context *ctx, struct label_input *in, const char *const *texts, int count);
/* Link text encoder and tokenizer into the folder of a checkpoint. */
clio_status label_input_save(clio_context *ctx, const struct label_input *in, const char *path);
/* *joined: x f32 [B, H, W, C] with the row of the sample appended to the channels of each pixel (in the arena), or x itself. */
clio_status label_input_join(clio_context *ctx, struct arena *arena, const struct label_input *in, const struct tensor *x,
                             struct tensor *joined);

/* Number of conditions to sample with: classes, or prompts of the setting validation_prompts; 0: unconditional. */
int learner_labels(const struct learner *l);

#endif
