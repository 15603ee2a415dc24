/* speech.h - a loaded Whisper model: network, tokenizer, log-mel front end, and the buffers for a batch of windows. The public interface is
 * in clio.h; speech.c loads the model, decoding.c decodes windows, transcribe.c transcribes files. */
#ifndef CLIO_MODELS_PIPELINES_SPEECH_H
#define CLIO_MODELS_PIPELINES_SPEECH_H

#include "../../audio/mel.h"
#include "../../audio/sound.h"
#include "../networks/whisper.h"
#include "../tokenizers/whisper_tokens.h"

struct clio_speech {
    clio_context *ctx;
    char *dir;
    struct whisper net;
    struct whisper_state state;
    struct tokenizer tokenizer;
    struct whisper_tokens tokens;
    struct mel mel;
    struct arena arena;
    int batch;                  /* windows decoded together at most */
    int *slots;                 /* [batch] KV cache slot of each row: decoding moves finished rows to the end */
    int window_samples;         /* of one window: 480000 */
    int last_initial_timestamp; /* max_initial_timestamp_index: the latest first timestamp, in steps of 0.02 s */
    char *prefix;               /* caption_prefix of a captioning model; NULL: none */
    size_t said_cut[2];         /* tokens of the prompt and of the prefix that a notice has said to be too many */
    float *host_samples;
    struct tensor samples, features, encoded, ids, hidden, logits, choice, next; /* next: i32 [batch], the last sampled tokens */
    struct tensor suppress, suppress_first; /* u8 [vocab]: 1 for suppressed tokens; the same for the first token */
};

/* Result of decoding one window (DecodingResult). */
struct speech_result {
    int *ids; /* sampled tokens without <|endoftext|> */
    float *probabilities;
    size_t count, capacity;
    struct bytes text;                                                      /* of the text tokens */
    double temperature, avg_logprob, compression_ratio, no_speech, logprob; /* logprob: sum over all tokens */
    bool ended;
};
void speech_result_free(struct speech_result *r);

/* Decoding options shared by all rows of a batch (DecodingOptions). Previous text is used with one window at a time only. */
struct speech_request {
    const int *previous; /* previous text: tokens of the prompt and of earlier windows; only the end that fits is used */
    size_t previous_count;
    const int *prefix; /* tokens the transcript must begin with */
    size_t prefix_count;
    bool translate, timestamps, suppress_blank;
    int max_tokens; /* 0: half of the model's text positions */
};

/* Options of one row. */
struct speech_row {
    int language; /* token, or -1 for an English-only model */
    uint32_t seed;
};

/* A model without tokenizer, which computes, but cannot transcribe: for benchmarks. */
clio_status speech_new(clio_context *ctx, const struct json_file *config, const struct weights *weights, clio_speech **out);
/* Allocate the buffers for `batch` windows, unless there are as many already. Discards encoded windows. */
clio_status speech_reserve(clio_speech *s, int batch);
/* Begin a new batch. Discards encoded windows. */
void speech_restart(clio_speech *s);
/* Compute the log-mel spectrogram of a window and run the encoder, as this row of the batch. samples: f32 [window_samples + MEL_FFT] on the
 * host, with half an FFT frame of margin on either side. */
clio_status speech_encode(clio_speech *s, const float *samples, int row);
/* Detect the languages of the windows encoded as rows 0 to count - 1, which are not decoded yet. languages: language tokens [count];
 * probabilities [count]. */
clio_status speech_detect(clio_speech *s, int count, int *languages, double *probabilities);
/* Decode the encoded windows of rows first to first + count - 1 together, once, at a temperature. rows[i] and r[i]: options and result of
 * row first + i. */
clio_status speech_decode(clio_speech *s, const struct speech_request *q, const struct speech_row *rows, double temperature,
                          struct speech_result *r, int first, int count);

/* The parts of decoding that need no device. */

/* ApplyTimestampRules: which tokens may follow those of r. */
void speech_timestamp_rules(const clio_speech *s, const struct speech_result *r, struct logits_args *args);
/* Most tokens of a prefix, of which the first ones are used, and of previous text beside it, of which the last ones are. */
static inline size_t speech_prefix_most(const clio_speech *s)
{
    return (size_t)s->net.config.text_positions / 4;
}
static inline size_t speech_previous_most(const clio_speech *s, size_t prefix_count)
{
    int prefix = (int)MIN(prefix_count, speech_prefix_most(s));
    return (size_t)MAX(s->net.config.text_positions / 2 - 1 - prefix, 0);
}
/* The tokens before the first sampled one, in ids: previous text, <|startoftranscript|> (at *sot), language, task, prefix. Returns their
 * number, at most the model's text positions + 8. */
int speech_prompt(const clio_speech *s, const struct speech_request *q, const struct speech_row *row, int *ids, int *sot);
/* openai/whisper, utils.py (compression_ratio): length of the text over its length compressed with zlib. Repetition gives a high ratio. */
double speech_compression_ratio(const struct bytes *text);

#endif
