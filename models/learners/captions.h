/* captions.h - captions as conditions: through CLIP's text encoder, frozen or trained too, to token states for a UNet's cross-attention, or
 * to one pooled embedding per caption. */
#ifndef CLIO_MODELS_LEARNERS_CAPTIONS_H
#define CLIO_MODELS_LEARNERS_CAPTIONS_H

#include "../networks/text_encoder.h"
#include "../tokenizers/clip_tokenizer.h"
#include "settings.h"

/* Settings of models that can be conditioned on captions. */
/* clang-format off */
#define CAPTION_SETTINGS                                                                                                                   \
    {"text_encoder", 't', 0, 0, 0, NULL, "folder of a CLIP text encoder: condition on captions instead of labels"},                              \
    {"tokenizer", 't', 0, 0, 0, NULL, "folder of the tokenizer; default: next to text_encoder"},                                        \
    {"validation_prompts", 't', 0, 0, 0, NULL, "captions of the samples, separated by |"}
/* clang-format on */

/* The output of a frozen encoder for a caption. */
struct cached_caption {
    char *text;
    float *states; /* [captions_size] */
    struct cached_caption *next;
};
struct captions {
    char *encoder, *tokenizer; /* folders; NULL: no captions */
    bool trains;
    bool pooled;             /* one embedding per caption instead of token states; set before the first is encoded, frozen encoders only */
    struct json_file config; /* with `trains`: text_encoder/config.json */
    struct text_encoder net;
    struct clip_tokenizer words;
    struct cached_caption *cache[1024]; /* chains, by a hash of the text */
    size_t cache_left;                  /* bytes that may still be cached */
};
/* Takes ownership of both folder names. trained: list for the encoder's parameters; NULL: it is frozen. */
clio_status captions_open(clio_context *ctx, struct captions *c, char *encoder, char *tokenizer, struct parameters *trained);
/* The same with the folders of a learner's settings text_encoder and tokenizer; nothing where there is no encoder. */
clio_status captions_find(clio_context *ctx, struct captions *c, const struct learner *l, struct parameters *trained);
void captions_close(clio_context *ctx, struct captions *c);
/* Numbers per caption: token states, or the pooled embedding. */
int captions_size(const struct captions *c);
/* states f32 [count, max_length, width], pooled [count, captions_size], with memory. A text is truncated to the encoder's length; NULL is
 * an empty one. A pooled row is the encoder's pooled vector, scaled to a mean square of 1. A trained encoder is recorded by the tape, if
 * there is one, whose arena must be passed; otherwise the arena is not used. */
clio_status captions_encode(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *states,
                            const char *const *texts);
/* An error unless the batch has captions. */
clio_status captions_require(clio_context *ctx, const struct learner_batch *batch);
/* Link text_encoder and tokenizer into a pipeline's folder; of a trained encoder, write its config.json. */
clio_status captions_save(clio_context *ctx, const struct captions *c, const char *path);

/* Number of texts of the setting validation_prompts, at least one (empty); and text number index modulo that, in fresh memory. */
int captions_prompts(const struct learner *l);
clio_status captions_prompt(clio_context *ctx, const struct learner *l, int index, char **text);

#endif
