/* speech.h - a Whisper model ready to hear: network, tokenizer, front end, and the buffers that one window needs. The public side is
 * clio.h; speech.c loads, speech_window.c decodes one window, transcribe.c walks a recording. */
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
    int batch;                  /* windows that can be decoded together */
    int *places;                /* [batch] where in the state a row lies: decoding in step moves those that have ended behind the others */
    int window_samples;         /* of one window: 480000 */
    int last_initial_timestamp; /* max_initial_timestamp_index: how late the first timestamp may be, in steps of 0.02 s */
    char *prefix;               /* the folder's own, for captioners; or NULL */
    float *host_samples;
    struct tensor samples, features, encoded, ids, hidden, logits, choice, next; /* next: i32 [batch], the tokens chosen last */
    struct tensor suppress, suppress_first;                                      /* u8 [vocab]: never said; never said first */
};

/* One window decoded. */
struct speech_result {
    int *ids; /* sampled tokens, the end token left out */
    float *probabilities;
    size_t count, capacity;
    struct bytes text;                                                      /* of the text tokens */
    double temperature, avg_logprob, compression_ratio, no_speech, logprob; /* logprob: of all tokens together */
    bool ended;
};
void speech_result_free(struct speech_result *r);

/* What decoding begins with: the tokens before the window (for one window at a time), and how it is decoded. The same for all rows. */
struct speech_request {
    const int *before; /* text of earlier windows; its end is used as far as there is room */
    size_t before_count;
    const int *prefix; /* what the answer begins with */
    size_t prefix_count;
    bool translate, timestamps, suppress_blank;
    int max_tokens; /* 0: half of the model's text positions */
};

/* What is a row's own. */
struct speech_row {
    int language; /* token, or -1 for an English-only model */
    uint32_t seed;
};

/* Make room for `batch` windows at a time, if there is less. What was encoded is lost. */
clio_status speech_reserve(clio_speech *s, int batch);
/* Before the first window of a batch: what was encoded is lost. */
void speech_restart(clio_speech *s);
/* Put a window on the device and run the encoder, as this row of the batch. `samples`: window_samples + MEL_FFT of
 * them, half a frame of margin on either side. */
clio_status speech_encode(clio_speech *s, const float *samples, int row);
/* The likeliest languages of `count` windows encoded as the rows from 0 on and not decoded yet, as tokens. */
clio_status speech_detect(clio_speech *s, int count, int *languages, double *probabilities);
/* Decode `count` encoded windows from row `first` on once, in step, at a temperature; own[i] is row first + i's, and r[i] what it says. */
clio_status speech_decode(clio_speech *s, const struct speech_request *q, const struct speech_row *own, double temperature,
                          struct speech_result *r, int first, int count);

#endif
