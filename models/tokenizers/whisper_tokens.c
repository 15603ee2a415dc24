/* whisper_tokens.c - find Whisper's special tokens and check them. See whisper_tokens.h.
 * CRITICAL: with the tokenizer of another Whisper model, all special tokens are off by one and the text is nonsense, without an error.
 * Hence the checks against vocab_size. */
#include "whisper_tokens.h"

#include "whisper_languages.h"

#include <string.h>

#define ENGLISH_ONLY_SOT 50257 /* English-only models use GPT-2's vocabulary, one shorter than the multilingual one */

static clio_status require_token(clio_context *ctx, const struct tokenizer *t, const char *name, int *id)
{
    clio_status st = CLIO_OK;
    *id = tokenizer_find(t, name);
    if (*id < 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s belongs to another model: it has no %s token; use the tokenizer of the weights", t->path, name);
fail:
    return st;
}

static clio_status find_languages(clio_context *ctx, const struct tokenizer *t, struct whisper_tokens *w)
{
    clio_status st = CLIO_OK;
    /* English-only folders list language tokens, too, but the models were not trained on them */
    w->is_multilingual = w->sot != ENGLISH_ONLY_SOT;
    w->first_language = -1;
    if (!w->is_multilingual)
        return CLIO_OK;
    /* by position, not by name: the first releases have <|iw|> for <|he|> */
    w->first_language = w->sot + 1;
    w->language_count = w->translate - w->first_language;
    if (tokenizer_find(t, "<|en|>") != w->first_language || w->language_count < 1 || w->language_count > language_count())
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s belongs to another model: its language tokens are not between <|startoftranscript|> and <|translate|>; use the tokenizer "
             "of "
             "the weights",
             t->path);
fail:
    return st;
}

static clio_status check_size(clio_context *ctx, const struct tokenizer *t, int vocab_size, const struct whisper_tokens *w)
{
    clio_status st = CLIO_OK;
    const int ids[] = {w->sot, w->translate, w->transcribe, w->sot_prev, w->sot_lm, w->no_speech};
    int end = w->timestamp_begin + WHISPER_TIMESTAMPS, highest = MAX(t->plain_count, end);
    for (size_t i = 0; i < COUNT(ids); i++)
        highest = MAX(highest, ids[i] + 1);
    if (highest > vocab_size)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s belongs to another model: it has %d tokens and vocab_size in config.json is %d; use the tokenizer of the weights", t->path,
             highest, vocab_size);
    /* Padded and extended vocabularies are allowed, but the released sizes must match exactly. */
    if ((vocab_size == 51865 || vocab_size == 51866) && MAX(end, t->count) < vocab_size)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s belongs to another model: it has only %d tokens and vocab_size in config.json is %d; use the tokenizer of the weights",
             t->path, MAX(end, t->count), vocab_size);
fail:
    return st;
}

clio_status whisper_tokens(clio_context *ctx, const struct tokenizer *t, int vocab_size, struct whisper_tokens *out)
{
    clio_status st = CLIO_OK;
    struct whisper_tokens w = {0};
    memset(out, 0, sizeof *out);
    TRY(require_token(ctx, t, "<|startoftranscript|>", &w.sot));
    TRY(require_token(ctx, t, "<|endoftext|>", &w.eot));
    TRY(require_token(ctx, t, "<|translate|>", &w.translate));
    TRY(require_token(ctx, t, "<|transcribe|>", &w.transcribe));
    TRY(require_token(ctx, t, "<|notimestamps|>", &w.no_timestamps));
    w.sot_prev = tokenizer_find(t, "<|startofprev|>");
    w.sot_lm = tokenizer_find(t, "<|startoflm|>");
    w.no_speech = tokenizer_find(t, "<|nospeech|>");
    if (w.no_speech < 0)
        w.no_speech = tokenizer_find(t, "<|nocaptions|>"); /* its name in the first release */
    w.timestamp_begin = tokenizer_find(t, "<|0.00|>");
    if (w.timestamp_begin < 0)
        w.timestamp_begin = w.no_timestamps + 1; /* older folders do not list the timestamps */
    if (w.eot != w.sot - 1 || w.timestamp_begin != w.no_timestamps + 1)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s belongs to another model: its special tokens are not in Whisper's order; use the tokenizer of the weights", t->path);
    TRY(find_languages(ctx, t, &w));
    TRY(check_size(ctx, t, vocab_size, &w));
    *out = w;
fail:
    return st;
}
