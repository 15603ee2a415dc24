/* prompt_weights.h - what people write in a prompt, as rows of tokens with weights, and those as the text encoder's output.
 *
 *     a (red:1.3) fox, [blurry] ((snow))      (x) weighs x 1.1 times, [x] 1/1.1 times, (x:1.3) 1.3 times; nested ones multiply
 *     \( \) \[ \] \\                          the characters themselves
 *     a fox BREAK a forest                    what follows BREAK begins a new chunk
 *
 * The grammar is A1111's (stable-diffusion-webui, modules/prompt_parser.py, parse_prompt_attention), which stable-diffusion.cpp shares: a
 * bracket that is never closed counts to the end of the text, one that was never opened is a character, and so is a ":" without a number
 * and a ")" behind it. Two of its accidents are not kept: BREAK within brackets breaks too, and ":1.2.3)" is no number.
 *
 * Longer prompts (A1111, modules/sd_hijack_clip.py): chunks of 75 tokens, each with a start and an end token and filled up to 77, are
 * encoded by themselves and follow each other along the sequence. A chunk that would end within a phrase ends behind the last comma
 * instead, if that is at most 20 tokens back. A prompt of one chunk without weights has exactly the tokens that diffusers gives it (end
 * token, then padding).
 *
 * Weights multiply the rows of the encoder's output; then each chunk is scaled so that its mean is what it was (A1111's emphasis
 * "Original"). A chunk whose weights are all 1 is left alone. */
#ifndef CLIO_MODELS_PIPELINES_PROMPT_WEIGHTS_H
#define CLIO_MODELS_PIPELINES_PROMPT_WEIGHTS_H

#include "../networks/text_encoder.h"
#include "../tokenizers/clip_tokenizer.h"

#define PROMPT_LONGEST 65536 /* bytes; some 200 chunks */

struct prompt {
    int *ids;       /* [chunks][length] */
    float *weights; /* the same */
    int chunks;     /* 1 or more */
    int length;     /* of a chunk, start and end included: the encoder's positions */
};

/* Read a prompt; `text` may be empty. length: 77. CLIO_ERROR_ARGUMENT: no UTF-8, longer than PROMPT_LONGEST, or weights beyond any number.
 * On failure p is empty. */
clio_status prompt_read(clio_context *ctx, struct prompt *p, struct clip_tokenizer *t, const char *text, int length);
/* Add chunks of an empty text until there are `chunks`: prompt and negative prompt need as many. */
clio_status prompt_extend(clio_context *ctx, struct prompt *p, const struct clip_tokenizer *t, int chunks);
void prompt_free(struct prompt *p);

/* Apply the weights to hidden f32 [chunks][length][width] on the host. */
void prompt_weigh(const struct prompt *p, float *hidden, int width);
/* out f32 [1, chunks * length, width]: all chunks through the encoder (see text_encoder_encode for skip), and weighed. */
clio_status prompt_encode(clio_context *ctx, const struct prompt *p, const struct text_encoder *encoder, int skip,
                          const struct tensor *out);

#endif
