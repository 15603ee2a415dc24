/* whisper_tokens.h - the ids of Whisper's special tokens, read from the tokenizer and checked against config.json.
 *
 * Their order is the same in all models (openai/whisper, tokenizer.py, get_encoding), their ids are not:
 *     <|endoftext|> <|startoftranscript|> languages <|translate|> <|transcribe|> <|startoflm|> <|startofprev|> <|nospeech|>
 *     <|notimestamps|> <|0.00|> ... <|30.00|> */
#ifndef CLIO_MODELS_TOKENIZERS_WHISPER_TOKENS_H
#define CLIO_MODELS_TOKENIZERS_WHISPER_TOKENS_H

#include "bpe.h"

#define WHISPER_TIMESTAMPS 1501     /* 0.00 to 30.00 */
#define WHISPER_TIMESTAMP_STEP 0.02 /* seconds */
#define WHISPER_TIMESTAMP_SAMPLES 320

struct whisper_tokens {
    int eot, sot; /* <|endoftext|>, <|startoftranscript|> */
    int translate, transcribe;
    int no_timestamps;
    int timestamp_begin;             /* <|0.00|>; time s is timestamp_begin + s / WHISPER_TIMESTAMP_STEP */
    int sot_prev, sot_lm, no_speech; /* <|startofprev|>, <|startoflm|>, <|nospeech|> or <|nocaptions|>; -1: none */
    int first_language;              /* language n of whisper_languages.h is first_language + n; -1 for English-only models */
    int language_count;              /* 0 for English-only models */
    bool is_multilingual;
};

/* Text tokens are below <|endoftext|>, and those that fine-tuning added, above the timestamps. */
static inline bool whisper_is_text(const struct whisper_tokens *t, int id)
{
    return id >= 0 && (id < t->eot || id >= t->timestamp_begin + WHISPER_TIMESTAMPS);
}
static inline bool whisper_is_timestamp(const struct whisper_tokens *t, int id)
{
    return id >= t->timestamp_begin && id < t->timestamp_begin + WHISPER_TIMESTAMPS;
}

/* vocab_size: of config.json. CLIO_ERROR_FORMAT: the tokenizer belongs to another model. */
clio_status whisper_tokens(clio_context *ctx, const struct tokenizer *t, int vocab_size, struct whisper_tokens *out);

#endif
