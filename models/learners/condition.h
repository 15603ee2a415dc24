/* condition.h - labels or captions as an input of networks. */
#ifndef CLIO_MODELS_LEARNERS_CONDITION_H
#define CLIO_MODELS_LEARNERS_CONDITION_H

#include "captions.h"

/* Labels as networks take them in: one number for each class, 1 for the label's own and 0 for the others. Or captions, each the vector
 * that an encoder which does not learn makes of it. */
struct label_input {
    int width;                 /* of a row; 0: there are no labels, and all below is without effect */
    struct tensor table;       /* of labels: the identity matrix */
    struct captions *captions; /* or NULL */
    struct tensor ids, rows;   /* of the batch at hand: labels i32 [B], and f32 [B, width] */
};
clio_status label_input_new(clio_context *ctx, struct label_input *in, const struct learner *l);
void label_input_free(clio_context *ctx, struct label_input *in);
/* Fill rows, of the samples of a batch. */
clio_status label_input_set(clio_context *ctx, struct label_input *in, const struct learner_batch *batch);
/* The same from labels [count] on the host, or from captions. */
clio_status label_input_set_labels(clio_context *ctx, struct label_input *in, const int32_t *labels, int count);
clio_status label_input_set_captions(clio_context *ctx, struct label_input *in, const char *const *texts, int count);
/* The folders of the encoder and its tokenizer in that of a checkpoint. */
clio_status label_input_describe(clio_context *ctx, const struct label_input *in, const char *path);
/* *joined: x f32 [B, H, W, C] with the label's row behind each pixel (in the arena), or x itself. */
clio_status label_input_join(clio_context *ctx, struct arena *arena, const struct label_input *in, const struct tensor *x,
                             struct tensor *joined);

/* Labels that images can be asked for, 0 without: its classes, or, of who learned captions, which text of the setting `prompts`. */
int learner_labels(const struct learner *l);

#endif
