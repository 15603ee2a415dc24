/* transcribe_windows.h - one window of a recording, and its decoding with temperature fallback. */
#ifndef CLIO_MODELS_PIPELINES_TRANSCRIBE_WINDOWS_H
#define CLIO_MODELS_PIPELINES_TRANSCRIBE_WINDOWS_H

#include "transcribe.h"

/* Samples start .. start + size of a recording, in this row of the batch. */
struct window {
    struct job *job;
    uint64_t start, size;
    const float *samples; /* [size], owned by the speech or the batch */
    int row;
    struct speech_row options;
    double probability; /* of the detected language */
    bool active;        /* the voice activity detection found speech */
};

/* Decode window w with temperature fallback; when every temperature fails, return the best result. decoded: r already has the result of the
 * first temperature. *skip: there is no speech, or nothing but repetition. As in openai/whisper, no_speech_threshold skips a window only
 * when its text is unlikely; where the voice activity detection found no speech, it skips likely texts as well, since Whisper finds "Thank
 * you." likely over noise. */
clio_status window_decode(const struct window *w, bool decoded, struct speech_result *r, bool *skip);

#endif
