/* decoding.c - encode windows of 30 s, detect their languages, and decode one or a batch of them token by token.
 *
 * Source of the rules: openai/whisper, decoding.py (DecodingTask, SuppressBlank, SuppressTokens, ApplyTimestampRules). Tokens are sampled
 * on the device (cl/logits.cl): the host reads 32 bytes a token, and the next step's embedding reads the token from device memory. */
#include "speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Finished rows stay in the batch until they are one in this many: moving another row into a slot copies its keys and values (24 MB for
 * Whisper base). 32 clips of some seconds, batches of 16: 20.0 s with all rows kept to the end, 18.7 s with this. */
#define COMPACT_FRACTION 4

void speech_result_free(struct speech_result *r)
{
    free(r->ids);
    free(r->probabilities);
    bytes_free(&r->text);
    *r = (struct speech_result){0};
}

void speech_restart(clio_speech *s)
{
    for (int i = 0; i < s->batch; i++)
        s->slots[i] = i;
}

clio_status speech_encode(clio_speech *s, const float *samples, int row)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    struct tensor mel = tensor_reshape(&s->features, 2, s->features.dim[1], s->features.dim[2], 0, 0);
    TRY(tensor_write(ctx, &s->samples, 0, tensor_count(&s->samples), samples));
    TRY(mel_forward(ctx, &s->arena, &s->mel, &mel, &s->samples));
    TRY(whisper_encode(ctx, &s->arena, &s->net, &s->encoded, &s->features));
    TRY(whisper_attend_to(ctx, &s->arena, &s->net, &s->state, &s->encoded, s->slots[row]));
fail:
    return st;
}

/* The slots of the KV cache that are decoded together. */
struct rows {
    int first, count;
    int input_length;             /* tokens per row in the last decoder call */
    struct logits_choice *choice; /* [count] */
    int *window;                  /* [count] index of the window in slot first + i, counted from the first of the call */
};

static struct tensor decoder_output(const clio_speech *s, const struct rows *rows)
{
    return tensor_reshape(&s->hidden, 3, rows->count, rows->input_length, s->net.config.width, 0);
}

/* Run the decoder over ids [count, length] at positions position, position + 1, ... ids NULL: over the last sampled token of each row. */
static clio_status run_decoder(clio_speech *s, struct rows *rows, const int *ids, int length, int position)
{
    clio_status st = CLIO_OK;
    struct tensor input = tensor_reshape(ids ? &s->ids : &s->next, 2, rows->count, length, 0, 0);
    rows->input_length = length;
    struct tensor hidden = decoder_output(s, rows);
    if (ids)
        TRY(tensor_write(s->ctx, &input, 0, tensor_count(&input), ids));
    TRY(whisper_decode(s->ctx, &s->arena, &s->net, &s->state, &hidden, &input, rows->first, position));
fail:
    return st;
}

/* Sample a token for every row with args.n above 0, from the logits after input token `at` of the last decoder call. is_first: it is the
 * first token of the transcript. */
static clio_status sample_tokens(clio_speech *s, struct rows *rows, int at, bool is_first, const struct logits_args *args)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    struct tensor hidden = decoder_output(s, rows), logits = tensor_reshape(&s->logits, 2, rows->count, s->net.config.vocab, 0, 0);
    TRY(whisper_logits(ctx, &s->net, &logits, &hidden, at));
    for (int row = 0; row < rows->count; row++)
        if (args[row].n)
            TRY(op_logits_fwd(ctx, &s->arena, &s->choice, &s->next, &logits, is_first ? &s->suppress_first : &s->suppress, row, args[row]));
    TRY(tensor_read(ctx, &s->choice, 0, (size_t)rows->count * 8, rows->choice));
    for (int row = 0; row < rows->count; row++)
        if (args[row].n && (rows->choice[row].token < 0 || !isfinite(rows->choice[row].logprob)))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the logits are not finite: the weights are damaged, download them again", s->dir);
fail:
    return st;
}

/* Text and timestamps are suppressed until the caller allows them. */
static struct logits_args base_args(const clio_speech *s)
{
    const struct whisper_tokens *t = &s->tokens;
    return (struct logits_args){.n = s->net.config.vocab,
                                .timestamp_begin = t->timestamp_begin,
                                .timestamp_end = t->timestamp_begin + WHISPER_TIMESTAMPS,
                                .end_token = t->eot,
                                .no_speech = -1,
                                .timestamp_first = 1,
                                .timestamp_last = 0};
}

clio_status speech_detect(clio_speech *s, int count, int *languages, double *probabilities)
{
    clio_status st = CLIO_OK;
    struct rows rows = {.count = count};
    struct logits_args *args = NULL;
    TRY(mem_alloc(s->ctx, &rows.choice, (size_t)count, sizeof *rows.choice));
    TRY(mem_alloc(s->ctx, &args, (size_t)count, sizeof *args));
    for (int row = 0; row < count; row++) {
        languages[row] = s->tokens.sot;
        args[row] = base_args(s);
        args[row].timestamp_begin = args[row].timestamp_first = s->tokens.first_language; /* sampled with the rules of timestamps */
        args[row].timestamp_last = s->tokens.first_language + s->tokens.language_count - 1;
        args[row].timestamp_end = 0;
    }
    TRY(run_decoder(s, &rows, languages, 1, 0));
    TRY(sample_tokens(s, &rows, 0, false, args));
    for (int row = 0; row < count; row++) {
        languages[row] = rows.choice[row].token;
        probabilities[row] = exp((double)rows.choice[row].logprob);
    }
fail:
    free(rows.choice);
    free(args);
    return st;
}

void speech_timestamp_rules(const clio_speech *s, const struct speech_result *r, struct logits_args *args)
{
    const struct whisper_tokens *t = &s->tokens;
    int last_token = t->timestamp_begin + WHISPER_TIMESTAMPS - 1, latest = -1;
    size_t n = r->count;
    bool last_was_timestamp = n > 0 && whisper_is_timestamp(t, r->ids[n - 1]);
    bool penultimate_was_timestamp = n < 2 || whisper_is_timestamp(t, r->ids[n - 2]);
    args->weigh_timestamps = 1;
    args->timestamp_first = t->timestamp_begin;
    args->timestamp_last = MIN(last_token, s->net.config.vocab - 1);
    if (n == 0) { /* the first token is a timestamp, up to max_initial_timestamp */
        args->text_allowed = args->end_allowed = 0;
        args->timestamp_last = MIN(args->timestamp_last, t->timestamp_begin + s->last_initial_timestamp);
        return;
    }
    for (size_t i = n; i-- > 0 && latest < 0;)
        if (whisper_is_timestamp(t, r->ids[i]))
            latest = r->ids[i];
    if (latest >= 0) /* timestamps never decrease; a segment has a length, so only a pair repeats one */
        args->timestamp_first = last_was_timestamp && !penultimate_was_timestamp ? latest : latest + 1;
    if (last_was_timestamp && penultimate_was_timestamp) /* a pair is complete: text follows */
        args->timestamp_last = args->timestamp_first - 1;
    else if (last_was_timestamp) /* end of a segment: the next segment's timestamp or <|endoftext|> follows */
        args->text_allowed = 0;
}

static clio_status add_token(clio_speech *s, struct speech_result *r, const struct logits_choice *choice)
{
    clio_status st = CLIO_OK;
    size_t size;
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 64;
        int *ids = realloc(r->ids, capacity * sizeof *ids);
        r->ids = ids ? ids : r->ids;
        float *probabilities = realloc(r->probabilities, capacity * sizeof *probabilities);
        r->probabilities = probabilities ? probabilities : r->probabilities;
        if (!ids || !probabilities)
            FAIL(s->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        r->capacity = capacity;
    }
    r->ids[r->count] = choice->token;
    r->probabilities[r->count++] = expf(choice->logprob);
    if (whisper_is_text(&s->tokens, choice->token)) {
        const char *bytes = tokenizer_bytes(&s->tokenizer, choice->token, &size);
        TRY(bytes_add(s->ctx, &r->text, bytes, size));
    }
fail:
    return st;
}

double speech_compression_ratio(const struct bytes *text)
{
    uLongf packed_size = compressBound((uLong)text->size);
    Bytef *packed = text->size ? malloc(packed_size) : NULL;
    double ratio = 0;
    if (packed && compress(packed, &packed_size, (const Bytef *)text->data, (uLong)text->size) == Z_OK)
        ratio = (double)text->size / (double)packed_size;
    free(packed);
    return ratio;
}

int speech_prompt(const clio_speech *s, const struct speech_request *q, const struct speech_row *row, int *ids, int *sot)
{
    const struct whisper_tokens *t = &s->tokens;
    int n = 0, prefix = (int)MIN(q->prefix_count, speech_prefix_most(s));
    size_t previous = MIN(q->previous_count, speech_previous_most(s, q->prefix_count));
    if (previous && t->sot_prev >= 0) {
        ids[n++] = t->sot_prev;
        memcpy(ids + n, q->previous + q->previous_count - previous, previous * sizeof *ids);
        n += (int)previous;
    }
    *sot = n;
    ids[n++] = t->sot;
    if (t->is_multilingual) {
        ids[n++] = row->language;
        ids[n++] = q->translate ? t->translate : t->transcribe;
    }
    if (!q->timestamps)
        ids[n++] = t->no_timestamps;
    for (int i = 0; i < prefix; i++)
        ids[n++] = q->prefix[i];
    return n;
}

static clio_status no_speech_probability(clio_speech *s, struct rows *rows, int sot, struct logits_args *args, struct speech_result *r)
{
    clio_status st = CLIO_OK;
    for (int row = 0; row < rows->count; row++) {
        r[rows->window[row]].no_speech = 0;
        args[row] = base_args(s);
        args[row].no_speech = s->tokens.no_speech;
        args[row].text_allowed = args[row].end_allowed = 1;
    }
    if (s->tokens.no_speech < 0)
        return CLIO_OK;
    TRY(sample_tokens(s, rows, sot, false, args));
    for (int row = 0; row < rows->count; row++)
        r[rows->window[row]].no_speech = (double)rows->choice[row].no_speech;
fail:
    return st;
}

/* Sample token number `at` of all rows that have not ended. *active: rows that have not ended after it. */
static clio_status step(clio_speech *s, const struct speech_request *q, const struct speech_row *options, struct rows *rows, int at,
                        double temperature, struct logits_args *args, struct speech_result *r, int *active)
{
    clio_status st = CLIO_OK;
    for (int row = 0; row < rows->count; row++) {
        int i = rows->window[row];
        args[row] = base_args(s);
        args[row].n = r[i].ended ? 0 : args[row].n;
        args[row].text_allowed = args[row].end_allowed = 1;
        args[row].inverse_temperature = temperature > 0 ? (float)(1 / temperature) : 0;
        args[row].seed = options[i].seed;
        args[row].step = (unsigned)at;
        if (q->timestamps)
            speech_timestamp_rules(s, &r[i], &args[row]);
    }
    TRY(sample_tokens(s, rows, rows->input_length - 1, at == 0 && q->suppress_blank && q->prefix_count == 0, args));
    *active = 0;
    for (int row = 0; row < rows->count; row++) {
        struct speech_result *result = &r[rows->window[row]];
        if (result->ended)
            continue;
        result->logprob += (double)rows->choice[row].logprob;
        result->ended = rows->choice[row].token == s->tokens.eot;
        if (!result->ended)
            TRY(add_token(s, result, &rows->choice[row]));
        *active += !result->ended;
    }
fail:
    return st;
}

/* Drop finished rows: those in the last slots at once, the others when there are enough of them to be worth moving running rows into their
 * slots. *moved: the last sampled tokens on the device are no longer in the order of the rows. */
static clio_status compact_rows(clio_speech *s, struct rows *rows, const struct speech_result *r, int first, int active, bool *moved)
{
    clio_status st = CLIO_OK;
    bool worthwhile = (rows->count - active) * COMPACT_FRACTION >= rows->count;
    for (int row = 0; row < rows->count; row++) {
        while (rows->count > row && r[rows->window[rows->count - 1]].ended)
            rows->count--;
        if (row >= rows->count || !worthwhile || !r[rows->window[row]].ended)
            continue;
        int last = --rows->count, ended = rows->window[row], running = rows->window[last];
        TRY(whisper_state_swap(s->ctx, &s->arena, &s->state, &s->net, rows->first + row, rows->first + last));
        rows->window[row] = running;
        rows->window[last] = ended;
        s->slots[first + running] = rows->first + row;
        s->slots[first + ended] = rows->first + last;
        *moved = true;
    }
fail:
    return st;
}

clio_status speech_decode(clio_speech *s, const struct speech_request *q, const struct speech_row *options, double temperature,
                          struct speech_result *r, int first, int count)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    struct rows rows = {.first = count == 1 ? s->slots[first] : first, .count = count};
    struct logits_args *args = NULL;
    int *prompt = NULL, n = 0, sot = 0, positions = s->net.config.text_positions, active = count;
    bool moved = false;
    TRY(mem_alloc(ctx, &prompt, (size_t)count * ((size_t)positions + 8), sizeof *prompt));
    TRY(mem_alloc(ctx, &rows.choice, (size_t)count, sizeof *rows.choice));
    TRY(mem_alloc(ctx, &rows.window, (size_t)count, sizeof *rows.window));
    TRY(mem_alloc(ctx, &args, (size_t)count, sizeof *args));
    for (int row = 0; row < count; row++) {
        rows.window[s->slots[first + row] - rows.first] = row;
        r[row].count = r[row].text.size = 0;
        r[row].logprob = 0;
        r[row].ended = false;
    }
    for (int row = 0; row < count; row++)
        n = speech_prompt(s, q, &options[rows.window[row]], prompt + row * n, &sot); /* the same length in every row */
    int max_tokens = MIN(q->max_tokens > 0 ? q->max_tokens : positions / 2, positions - n);
    TRY(run_decoder(s, &rows, prompt, n, 0));
    TRY(no_speech_probability(s, &rows, sot, args, r));
    for (int i = 0; i < max_tokens && active; i++) {
        if (i > 0)
            TRY(run_decoder(s, &rows, moved ? prompt : NULL, 1, n + i - 1));
        TRY(step(s, q, options, &rows, i, temperature, args, r, &active));
        moved = false;
        if (active)
            TRY(compact_rows(s, &rows, r, first, active, &moved));
        for (int row = 0; moved && row < rows.count; row++)
            prompt[row] = r[rows.window[row]].ids[r[rows.window[row]].count - 1]; /* all of them are running */
    }
    for (int row = 0; row < count; row++) {
        r[row].temperature = temperature;
        r[row].avg_logprob = r[row].logprob / (double)(r[row].count + 1);
        r[row].compression_ratio = speech_compression_ratio(&r[row].text);
    }
fail:
    free(rows.choice);
    free(rows.window);
    free(args);
    free(prompt);
    return st;
}
