/* clip_tokenizer.h - a prompt to the token numbers of CLIP's text encoder.
 *
 *     struct clip_tokenizer t;
 *     TRY(clip_tokenizer_open(ctx, &t, "model/tokenizer"));
 *     TRY(clip_tokenizer_encode(ctx, &t, "a photo of a cat", &ids, &count));      320 1125 539 320 2368
 *
 * What happens to a text, as in transformers' CLIPTokenizer:
 *   1. it is split at the special tokens, where they are spelt out in it: those of the folder's special_tokens_map.json and
 *      tokenizer_config.json. SD 2's pad token is "!", so there an exclamation mark is the pad token wherever it stands;
 *   2. what is left is normalised: composed form (NFC), then lower case, character by character;
 *   3. and split at those special tokens that the folder marks as "normalized";
 *   4. what is left of that is cut into contractions, runs of letters, single digits and runs of other characters; white space only
 *      separates; the pieces are byte-level BPE with "</w>" at their end (tokenizer.h).
 * Nothing else: no ftfy and no HTML entities, which transformers' tokenizer leaves as they are too.
 *
 * Sources: tokenization_clip.py of huggingface/transformers 5, checked against it on every Unicode character and on random texts;
 * simple_tokenizer.py of openai/CLIP for the pattern. */
#ifndef CLIO_MODELS_TOKENIZERS_CLIP_TOKENIZER_H
#define CLIO_MODELS_TOKENIZERS_CLIP_TOKENIZER_H

#include "bpe.h"

/* A token that is found in a text as it stands, before (or, if `normalized`, after) the text is normalised. */
struct clip_special {
    char *text;
    int id;
    bool normalized;
};

struct clip_tokenizer {
    struct tokenizer bpe;
    struct clip_special *specials;
    size_t special_count;
    int start, end, pad; /* <|startoftext|>, <|endoftext|>, and what fills up to the length that the encoder takes */
    int comma;           /* ",</w>", behind which a long prompt is best divided */
};

/* Read the folder `dir` of a pipeline ("tokenizer"): tokenizer.json, or vocab.json with merges.txt; and, where they are there,
 * tokenizer_config.json and special_tokens_map.json, which goes before the former. Errors as tokenizer_open's. On failure t is closed. */
clio_status clip_tokenizer_open(clio_context *ctx, struct clip_tokenizer *t, const char *dir);
/* Safe on a zeroed or half-opened one. */
void clip_tokenizer_close(struct clip_tokenizer *t);

/* CLIO_ERROR_ARGUMENT, saying where, unless the text is UTF-8. */
clio_status clip_tokenizer_check(clio_context *ctx, const char *text);
/* Tokens of a text, without start and end; *ids is freed by the caller. CLIO_ERROR_ARGUMENT: as above. */
clio_status clip_tokenizer_encode(clio_context *ctx, struct clip_tokenizer *t, const char *utf8, int **ids, size_t *count);

#endif
