/* speech_rules.h - what a Whisper folder says about decoding: tokens that are suppressed, the latest first timestamp, the text that each
 * caption begins with. Needs no device. */
#ifndef CLIO_MODELS_PIPELINES_SPEECH_RULES_H
#define CLIO_MODELS_PIPELINES_SPEECH_RULES_H

#include "../tokenizers/whisper_tokens.h"

struct speech_rules {
    unsigned char *suppress, *suppress_first; /* [vocab]: 1 for suppressed tokens; the same for the first token */
    int last_initial_timestamp;               /* max_initial_timestamp_index, in steps of 0.02 s */
    char *prefix;                             /* caption_prefix; NULL: none */
};
/* From config.json and, with precedence, generation_config.json. On failure *rules is empty. */
clio_status speech_rules_read(clio_context *ctx, const char *dir, const struct tokenizer *t, const struct whisper_tokens *tokens, int vocab,
                              struct speech_rules *rules);
void speech_rules_free(struct speech_rules *rules); /* accepts a zeroed one */

#endif
