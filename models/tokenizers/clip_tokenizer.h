/* clip_tokenizer.h - CLIPTokenizer: a prompt to the token ids of CLIP's text encoder.
 *
 *     struct clip_tokenizer t;
 *     TRY(clip_tokenizer_open(ctx, &t, "model/tokenizer"));
 *     TRY(clip_tokenizer_encode(ctx, &t, "a photo of a cat", &ids, &count));      320 1125 539 320 2368
 *
 * The steps are those of transformers' CLIPTokenizer:
 *   1. Split at special tokens in the text: those of special_tokens_map.json and tokenizer_config.json. The pad token of Stable Diffusion 2
 *      is "!", so every exclamation mark becomes the pad token there.
 *   2. Normalize the rest: NFC, then lower case, character by character.
 *   3. Split at the special tokens marked "normalized".
 *   4. Split the rest into contractions, runs of letters, single digits and runs of other characters; white space only separates.
 *   5. Encode the pieces by byte-level BPE with "</w>" at their end (bpe.h).
 * No ftfy and no HTML entities, as in transformers.
 *
 * Sources: huggingface/transformers 5, tokenization_clip.py, compared on every Unicode character and on random texts; openai/CLIP,
 * simple_tokenizer.py (pattern). */
#ifndef CLIO_MODELS_TOKENIZERS_CLIP_TOKENIZER_H
#define CLIO_MODELS_TOKENIZERS_CLIP_TOKENIZER_H

#include "bpe.h"
#include "special_tokens.h"

struct clip_tokenizer {
    struct tokenizer bpe;
    struct special_tokens specials;
    int start, end, pad; /* <|startoftext|>, <|endoftext|>, padding */
    int comma;           /* ",</w>", after which long prompts are split */
};

/* Read the folder `dir` ("tokenizer" of a pipeline): tokenizer.json, or vocab.json with merges.txt; and the optional
 * special_tokens_map.json and tokenizer_config.json, the former with precedence. Errors: as tokenizer_open. On failure t is closed. */
clio_status clip_tokenizer_open(clio_context *ctx, struct clip_tokenizer *t, const char *dir);
/* t may be zeroed or partly opened. */
void clip_tokenizer_close(struct clip_tokenizer *t);

/* CLIO_ERROR_ARGUMENT, with the position, if the text is not valid UTF-8. */
clio_status clip_tokenizer_check(clio_context *ctx, const char *text);
/* Tokens of a text, without start and end token; the caller frees *ids. CLIO_ERROR_ARGUMENT: as above. */
clio_status clip_tokenizer_encode(clio_context *ctx, struct clip_tokenizer *t, const char *utf8, int **ids, size_t *count);

#endif
