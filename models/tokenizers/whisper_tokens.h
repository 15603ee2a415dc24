/* whisper_tokens.h - the numbers of Whisper's control tokens, read from the folder's tokenizer and checked against its config.json.
 *
 * Their order is the same in all of OpenAI's models (whisper/tokenizer.py, get_encoding), their numbers are not:
 *     <|endoftext|> <|startoftranscript|> languages <|translate|> <|transcribe|> <|startoflm|> <|startofprev|> <|nospeech|>
 *     <|notimestamps|> <|0.00|> ... <|30.00|> */
#ifndef CLIO_MODELS_TOKENIZERS_WHISPER_TOKENS_H
#define CLIO_MODELS_TOKENIZERS_WHISPER_TOKENS_H

#include "bpe.h"

#define WHISPER_TIMESTAMPS 1501      /* 0.00 to 30.00 */
#define WHISPER_TIMESTAMP_STEP 0.02f /* seconds */
#define WHISPER_TIMESTAMP_SAMPLES 320

struct whisper_tokens {
    int eot, sot; /* <|endoftext|>, <|startoftranscript|>; text tokens are below eot */
    int translate, transcribe;
    int no_timestamps;
    int timestamp_begin;             /* <|0.00|>: the one for time s is timestamp_begin + s / WHISPER_TIMESTAMP_STEP */
    int sot_prev, sot_lm, no_speech; /* <|startofprev|>, <|startoflm|>, <|nospeech|> or <|nocaptions|>; -1 where the folder has none */
    int first_language;              /* the n-th of languages.h is first_language + n; -1 when English only */
    int language_count;              /* 0 when English only */
    bool is_multilingual;
};

/* vocab_size: of config.json. CLIO_ERROR_FORMAT when the tokenizer cannot be the one that the model was trained with. */
clio_status whisper_tokens(clio_context *ctx, const struct tokenizer *t, int vocab_size, struct whisper_tokens *out);

#endif
