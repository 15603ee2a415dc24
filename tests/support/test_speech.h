/* test_speech.h - a Whisper model without a network, for tests of what is decided around it: a small vocabulary in Whisper's order. */
#ifndef CLIO_TEST_SPEECH_H
#define CLIO_TEST_SPEECH_H

#include "test.h"

#include "../../models/pipelines/speech.h"

enum {
    CUT = 98, /* " " and two bytes of the character U+4E2D, and its third */
    CUT_REST,
    EOT,
    SOT,
    ENGLISH, /* and Chinese, German */
    TRANSLATE = ENGLISH + 3,
    TRANSCRIBE,
    SOT_LM,
    SOT_PREV,
    NO_SPEECH,
    NO_TIMESTAMPS,
    TIME, /* 0.00 */
    ADDED = TIME + WHISPER_TIMESTAMPS,
    VOCABULARY
};
#define AT(seconds) (TIME + (int)((seconds)*50 + 0.5))
#define WINDOW 480000

static clio_context *ctx;
static clio_speech speech;

/* Word n is " wN", but for the last two; a token that fine-tuning added is " added". */
static inline void make_speech(void)
{
    static const struct whisper_tokens tokens = {.eot = EOT,
                                                 .sot = SOT,
                                                 .translate = TRANSLATE,
                                                 .transcribe = TRANSCRIBE,
                                                 .no_timestamps = NO_TIMESTAMPS,
                                                 .timestamp_begin = TIME,
                                                 .sot_prev = SOT_PREV,
                                                 .sot_lm = SOT_LM,
                                                 .no_speech = NO_SPEECH,
                                                 .first_language = ENGLISH,
                                                 .language_count = 3,
                                                 .is_multilingual = true};
    ctx = clio_create();
    assert_non_null(ctx);
    speech =
        (clio_speech){.ctx = ctx, .dir = "model", .tokens = tokens, .batch = 32, .window_samples = WINDOW, .last_initial_timestamp = 50};
    speech.net.config = (struct whisper_config){.vocab = VOCABULARY, .text_positions = 448, .positions = 1500};
    speech.samples = tensor_shape(DTYPE_F32, 1, WINDOW + MEL_FFT, 0, 0, 0);
    speech.host_samples = calloc(WINDOW + MEL_FFT, sizeof(float));
    struct tokenizer *t = &speech.tokenizer;
    t->count = VOCABULARY;
    t->tokens = calloc(VOCABULARY, sizeof *t->tokens);
    assert_true(speech.host_samples && t->tokens);
    for (int id = 0; id < VOCABULARY; id++) {
        char text[16];
        int n = id == CUT        ? snprintf(text, sizeof text, " \xe4\xb8")
                : id == CUT_REST ? snprintf(text, sizeof text, "\xad")
                : id < EOT       ? snprintf(text, sizeof text, " w%d", id)
                : id < ADDED     ? snprintf(text, sizeof text, "<|%d|>", id)
                                 : snprintf(text, sizeof text, " added");
        t->tokens[id] = (struct token){(uint32_t)t->arena.size, (uint32_t)n, true, id >= EOT && id < ADDED};
        if (bytes_add(ctx, &t->arena, text, (size_t)n + 1))
            fail();
    }
}

static inline void free_speech(void)
{
    free(speech.host_samples);
    free(speech.tokenizer.tokens);
    bytes_free(&speech.tokenizer.arena);
    clio_destroy(ctx);
}

#endif
