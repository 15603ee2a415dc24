/* wordpiece.h - BertTokenizer: a text to the token ids of BERT and of the sentence encoders built on it.
 *
 *     struct wordpiece t;
 *     TRY(wordpiece_open(ctx, &t, "all-MiniLM-L6-v2"));
 *     TRY(wordpiece_encode(ctx, &t, "Hello, world", 256, &ids, &count));      101 7592 1010 2088 102
 *
 * The steps are those of transformers' BertTokenizer:
 *   1. Split at special tokens in the text ("[MASK]").
 *   2. Clean the rest: control characters and U+FFFD are left out, white space becomes a space, and CJK ideographs are set between spaces.
 *   3. Canonical decomposition (NFD) without the accents (category Mn); then lower case, character by character.
 *   4. Split at white space and around each punctuation character.
 *   5. Each word is divided into the longest pieces of the vocabulary, from its beginning; those that continue a word begin with "##". A
 * word with a part that the vocabulary lacks, or of more than 100 characters, is [UNK] as a whole.
 *   6. [CLS] before and [SEP] behind, at most `most` tokens together.
 * Characters that Unicode added after version 8 have their present category here, and none in huggingface/tokenizers.
 *
 * Sources: google-research/bert, tokenization.py; huggingface/tokenizers, normalizers/bert.rs, pre_tokenizers/bert.rs, models/wordpiece;
 * huggingface/transformers, tokenization_bert.py (files and defaults). */
#ifndef CLIO_MODELS_TOKENIZERS_WORDPIECE_H
#define CLIO_MODELS_TOKENIZERS_WORDPIECE_H

#include "bpe.h"
#include "special_tokens.h"

struct wordpiece {
    struct tokenizer vocabulary; /* its tables only */
    struct special_tokens specials;
    char *prefix;           /* of pieces that continue a word, "##" */
    bool clean, ideographs; /* step 2: the first half (clean_text) and the second (tokenize_chinese_chars) */
    bool lower, strip;      /* step 3: lower case (do_lower_case); decomposition without accents (strip_accents) */
    int longest;            /* characters of a word that is divided, 100 */
    int unknown, start, end, pad;
    int max_length; /* model_max_length of tokenizer_config.json; 0: it gives none */
};

/* Read the folder `dir`: tokenizer.json, or vocab.txt; and the optional tokenizer_config.json and special_tokens_map.json, whose options
 * take precedence. CLIO_ERROR_FILE: no vocabulary; CLIO_ERROR_FORMAT: damaged; CLIO_ERROR_UNSUPPORTED: another tokenizer. On failure t is
 * closed. */
clio_status wordpiece_open(clio_context *ctx, struct wordpiece *t, const char *dir);
/* t may be zeroed or partly opened. */
void wordpiece_close(struct wordpiece *t);

/* Tokens of a text with start and end token; the caller frees *ids. most: tokens at most, 2 or more; the end of a longer text is left out;
 * 0: no limit. CLIO_ERROR_ARGUMENT: the text is not valid UTF-8. */
clio_status wordpiece_encode(clio_context *ctx, const struct wordpiece *t, const char *utf8, int most, int **ids, size_t *count);

/* For wordpiece_load.c: steps 2 and 3 of `size` bytes of valid UTF-8; appends to out. */
clio_status wordpiece_normalize(clio_context *ctx, const struct wordpiece *t, const char *text, size_t size, struct bytes *out);

#endif
