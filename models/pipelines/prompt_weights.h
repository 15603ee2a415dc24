/* prompt_weights.h - prompt weighting and long prompts: text to weighted tokens in chunks, and those to prompt embeddings.
 *
 *     a (red:1.3) fox, [blurry] ((snow))      (x) multiplies the weight by 1.1, [x] by 1/1.1, (x:1.3) by 1.3; nested weights multiply
 *     \( \) \[ \] \\                          literal brackets and backslash
 *     a fox BREAK a forest                    BREAK starts a new chunk
 *
 * The grammar is that of A1111 (stable-diffusion-webui, modules/prompt_parser.py, parse_prompt_attention) and stable-diffusion.cpp: an
 * unclosed bracket applies to the end of the text; an unopened closing bracket, and a ":" not followed by a number and ")", are literal.
 * Two differences: BREAK works inside brackets, too, and ":1.2.3)" is not a number.
 *
 * Long prompts (A1111, modules/sd_hijack_clip.py) are split into chunks of 75 tokens. Each gets a start and an end token, is padded to 77
 * and encoded separately; the embeddings are concatenated along the sequence. A full chunk ends after its last comma instead, if that is at
 * most 20 tokens back (comma_padding_backtrack). A prompt of one chunk without weights has exactly the tokens of diffusers (end token,
 * padding).
 *
 * Weights multiply the rows of the encoder's output; then each chunk is scaled to its original mean (A1111's emphasis mode "Original").
 * Chunks whose weights are all 1 are unchanged. */
#ifndef CLIO_MODELS_PIPELINES_PROMPT_WEIGHTS_H
#define CLIO_MODELS_PIPELINES_PROMPT_WEIGHTS_H

#include "prompt_embeddings.h"
#include "../networks/text_encoder.h"
#include "../tokenizers/clip_tokenizer.h"

#define PROMPT_MAX_BYTES 65536 /* about 200 chunks */

struct prompt {
    int *ids;       /* [chunks][length] */
    float *weights; /* [chunks][length] */
    int chunks;     /* 1 or more */
    int length;     /* tokens of a chunk with start and end: the encoder's positions */
};

/* Parse and tokenize a prompt; `text` may be empty. embeddings: replaces their names by their vectors; NULL: none. length: tokens of a
 * chunk (77). CLIO_ERROR_ARGUMENT: not UTF-8, longer than PROMPT_MAX_BYTES, or weights that are not finite. On failure p is empty. */
clio_status prompt_read(clio_context *ctx, struct prompt *p, struct clip_tokenizer *t, struct embeddings *embeddings, const char *text,
                        int length);
/* Pad with empty chunks to `chunks`: prompt and negative prompt need the same number. */
clio_status prompt_extend(clio_context *ctx, struct prompt *p, const struct clip_tokenizer *t, int chunks);
void prompt_free(struct prompt *p);

/* Apply the weights to hidden f32 [chunks][length][width] on the host. */
void prompt_apply_weights(const struct prompt *p, float *hidden, int width);
/* out f32 [1, chunks * length, width]: the weighted embeddings of all chunks. skip: clip_skip, see text_encoder_encode. */
clio_status prompt_encode(clio_context *ctx, const struct prompt *p, const struct text_encoder *encoder, int skip,
                          const struct tensor *out);

#endif
