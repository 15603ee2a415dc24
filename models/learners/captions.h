/* captions.h - captions as learners take them in: through CLIP's text encoder, which may stay as it is or learn as well, to the
 * states of their tokens, which a UNet attends to, or to one vector for each, which stands where a label would. */
#ifndef CLIO_MODELS_LEARNERS_CAPTIONS_H
#define CLIO_MODELS_LEARNERS_CAPTIONS_H

#include "../networks/text_encoder.h"
#include "../tokenizers/clip_tokenizer.h"
#include "settings.h"

/* Settings of kinds that learn captions in the place of labels, one a line. */
/* clang-format off */
#define CAPTION_SETTINGS                                                                                                                   \
    {"text_encoder", 't', 0, 0, 0, NULL, "folder of a CLIP text encoder: condition on captions instead of labels"},                              \
    {"tokenizer", 't', 0, 0, 0, NULL, "folder of the tokenizer; default: next to text_encoder"},                                        \
    {"validation_prompts", 't', 0, 0, 0, NULL, "captions of the samples, separated by |"}
/* clang-format on */

/* What an encoder that does not learn has said of a caption. */
struct known_caption {
    char *text;
    float *said; /* [captions_size] */
    struct known_caption *next;
};
struct captions {
    char *encoder, *tokenizer; /* folders; NULL: there are no captions */
    bool learns;
    bool pools;              /* set before the first is encoded, where the encoder does not learn: a caption is one vector */
    struct json_file config; /* of who learns: text_encoder/config.json */
    struct text_encoder net;
    struct clip_tokenizer words;
    struct known_caption *known[1024]; /* chains, by a hash of the text */
    size_t room;                       /* bytes left for more of them */
};
/* Both folders, which become the captions' own. learned: the list for the encoder's parameters; NULL: it does not learn. */
clio_status captions_open(clio_context *ctx, struct captions *c, char *encoder, char *tokenizer, struct parameters *learned);
/* The same with the folders of a learner, by its settings text_encoder and tokenizer; nothing where it has no encoder. */
clio_status captions_find(clio_context *ctx, struct captions *c, const struct learner *l, struct parameters *learned);
void captions_close(clio_context *ctx, struct captions *c);
/* Numbers that are said of a caption: of all its tokens, or of the vector that stands for it. */
int captions_size(const struct captions *c);
/* said f32 [count, positions, width], or of who pools [count, captions_size], with memory: of texts, each cut to what the encoder takes.
 * NULL is an empty one. A pooled row is the encoder's pooled vector with 1 as the mean of its squares.
 * Who learns is recorded by the tape, if there is one, whose arena it must be; otherwise the arena is not used. */
clio_status captions_encode(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *said,
                            const char *const *texts);
/* Refuse a batch without captions. */
clio_status captions_need(clio_context *ctx, const struct learner_batch *batch);
/* The folders text_encoder, but for weights that learned, and tokenizer in the folder of a pipeline. */
clio_status captions_describe(clio_context *ctx, const struct captions *c, const char *path);

/* How many texts the setting `prompts` has, at least an empty one; and one of them, counted on from the first after the last, in fresh
 * memory. */
int captions_prompts(const struct learner *l);
clio_status captions_prompt(clio_context *ctx, const struct learner *l, int index, char **text);

#endif
