/* decoding.c - windows of 30 s: encode one, name its language, decode one or several in step, token by token, under Whisper's rules.
 *
 * Source of the rules: openai/whisper, decoding.py (DecodingTask, SuppressBlank, SuppressTokens, ApplyTimestampRules). The choice itself is
 * made on the device (cl/logits.cl); 32 bytes a token come back, and the next step's embedding reads the token where it lies. */
#include "speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Rows that have ended stay until they are one in this many, since moving another into a place copies its keys and values (24 MB of Whisper
 * base). 32 clips of some seconds, 16 at a time: 20.0 s with all rows kept to the end, 18.7 s so. */
#define ENDED_SHARE 4

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
        s->places[i] = i;
}

clio_status speech_encode(clio_speech *s, const float *samples, int row)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    struct tensor mel = tensor_reshape(&s->features, 2, s->features.dim[1], s->features.dim[2], 0, 0);
    TRY(tensor_write(ctx, &s->samples, 0, tensor_count(&s->samples), samples));
    TRY(mel_forward(ctx, &s->arena, &s->mel, &mel, &s->samples));
    TRY(whisper_encode(ctx, &s->arena, &s->net, &s->encoded, &s->features));
    TRY(whisper_attend_to(ctx, &s->arena, &s->net, &s->state, &s->encoded, s->places[row]));
fail:
    return st;
}

/* The places of the state that are decoded together, and the step they are at. */
struct rows {
    int first, count;
    int fed;                      /* tokens of each row in the last feed */
    struct logits_choice *choice; /* [count] */
    int *who;                     /* [count] whose window lies at first + i, counted from the first of the call */
};

static struct tensor fed_rows(const clio_speech *s, const struct rows *rows)
{
    return tensor_reshape(&s->hidden, 3, rows->count, rows->fed, s->net.config.width, 0);
}

/* Run ids [count, length], each row's own, from position on. ids NULL: in each row the one token chosen last. */
static clio_status feed(clio_speech *s, struct rows *rows, const int *ids, int length, int position)
{
    clio_status st = CLIO_OK;
    struct tensor input = tensor_reshape(ids ? &s->ids : &s->next, 2, rows->count, length, 0, 0);
    rows->fed = length;
    struct tensor hidden = fed_rows(s, rows);
    if (ids)
        TRY(tensor_write(s->ctx, &input, 0, tensor_count(&input), ids));
    TRY(whisper_decode(s->ctx, &s->arena, &s->net, &s->state, &hidden, &input, rows->first, position));
fail:
    return st;
}

/* For every row whose args have a vocabulary, the choice after token `at` of those fed last. begins: nothing was said yet. */
static clio_status choose(clio_speech *s, struct rows *rows, int at, bool begins, const struct logits_args *args)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    struct tensor hidden = fed_rows(s, rows), logits = tensor_reshape(&s->logits, 2, rows->count, s->net.config.vocab, 0, 0);
    TRY(whisper_logits(ctx, &s->net, &logits, &hidden, at));
    for (int row = 0; row < rows->count; row++)
        if (args[row].n)
            TRY(op_logits_fwd(ctx, &s->arena, &s->choice, &s->next, &logits, begins ? &s->suppress_first : &s->suppress, row, args[row]));
    TRY(tensor_read(ctx, &s->choice, 0, (size_t)rows->count * 8, rows->choice));
    for (int row = 0; row < rows->count; row++)
        if (args[row].n && (rows->choice[row].token < 0 || !isfinite(rows->choice[row].logprob)))
            FAIL(ctx, CLIO_ERROR_FORMAT,
                 "%s: the model answers with numbers that are not finite; the weights are damaged, download them again", s->dir);
fail:
    return st;
}

/* Text and timestamps forbidden, until a caller allows some. */
static struct logits_args base_args(const clio_speech *s)
{
    const struct whisper_tokens *t = &s->tokens;
    return (struct logits_args){.n = s->net.config.vocab,
                                .timestamp_begin = t->timestamp_begin,
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
        args[row].timestamp_begin = args[row].timestamp_first = s->tokens.first_language; /* the languages take the timestamps' part */
        args[row].timestamp_last = s->tokens.first_language + s->tokens.language_count - 1;
    }
    TRY(feed(s, &rows, languages, 1, 0));
    TRY(choose(s, &rows, 0, false, args));
    for (int row = 0; row < count; row++) {
        languages[row] = rows.choice[row].token;
        probabilities[row] = exp((double)rows.choice[row].logprob);
    }
fail:
    free(rows.choice);
    free(args);
    return st;
}

/* What may follow the tokens said so far. */
static void apply_timestamp_rules(const clio_speech *s, const struct speech_result *r, struct logits_args *args)
{
    const struct whisper_tokens *t = &s->tokens;
    int last_token = t->timestamp_begin + WHISPER_TIMESTAMPS - 1, latest = -1;
    size_t n = r->count;
    bool last = n > 0 && r->ids[n - 1] >= t->timestamp_begin, before = n < 2 || r->ids[n - 2] >= t->timestamp_begin;
    args->weigh_timestamps = 1;
    args->timestamp_first = t->timestamp_begin;
    args->timestamp_last = MIN(last_token, s->net.config.vocab - 1);
    if (n == 0) { /* begins with a timestamp, and not too late */
        args->text_allowed = args->end_allowed = 0;
        args->timestamp_last = MIN(args->timestamp_last, t->timestamp_begin + s->last_initial_timestamp);
        return;
    }
    for (size_t i = n; i-- > 0 && latest < 0;)
        if (r->ids[i] >= t->timestamp_begin)
            latest = r->ids[i];
    if (latest >= 0) /* never back; a segment is not empty, so only a pair may repeat a time */
        args->timestamp_first = last && !before ? latest : latest + 1;
    if (last && before) /* a pair is complete: text follows */
        args->timestamp_last = args->timestamp_first - 1;
    else if (last) /* a segment has ended: its successor's timestamp, or the end */
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
    if (choice->token < s->tokens.eot) {
        const char *bytes = tokenizer_bytes(&s->tokenizer, choice->token, &size);
        TRY(bytes_add(s->ctx, &r->text, bytes, size));
    }
fail:
    return st;
}

/* Length of the text over its length under zlib: repetition shows as a large ratio. */
static double compression_ratio(const struct bytes *text)
{
    uLongf packed_size = compressBound((uLong)text->size);
    Bytef *packed = text->size ? malloc(packed_size) : NULL;
    double ratio = 0;
    if (packed && compress(packed, &packed_size, (const Bytef *)text->data, (uLong)text->size) == Z_OK)
        ratio = (double)text->size / (double)packed_size;
    free(packed);
    return ratio;
}

/* Everything that comes before the first sampled token of a row; *sot is where <|startoftranscript|> stands. */
static int build_prompt(const clio_speech *s, const struct speech_request *q, const struct speech_row *own, int *ids, int *sot)
{
    const struct whisper_tokens *t = &s->tokens;
    int n = 0, positions = s->net.config.text_positions, prefix = (int)MIN(q->prefix_count, (size_t)positions / 4);
    size_t room = (size_t)MAX(positions / 2 - 1 - prefix, 0), before = MIN(q->before_count, room);
    if (before && t->sot_prev >= 0) {
        ids[n++] = t->sot_prev;
        memcpy(ids + n, q->before + q->before_count - before, before * sizeof *ids);
        n += (int)before;
    }
    *sot = n;
    ids[n++] = t->sot;
    if (t->is_multilingual) {
        ids[n++] = own->language;
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
        r[rows->who[row]].no_speech = 0;
        args[row] = base_args(s);
        args[row].no_speech = s->tokens.no_speech;
        args[row].text_allowed = args[row].end_allowed = 1;
    }
    if (s->tokens.no_speech < 0)
        return CLIO_OK;
    TRY(choose(s, rows, sot, false, args));
    for (int row = 0; row < rows->count; row++)
        r[rows->who[row]].no_speech = (double)rows->choice[row].no_speech;
fail:
    return st;
}

/* Choose step `at`'s tokens of all rows that have not ended; how many go on. */
static clio_status step(clio_speech *s, const struct speech_request *q, const struct speech_row *own, struct rows *rows, int at,
                        double temperature, struct logits_args *args, struct speech_result *r, int *going)
{
    clio_status st = CLIO_OK;
    for (int row = 0; row < rows->count; row++) {
        int i = rows->who[row];
        args[row] = base_args(s);
        args[row].n = r[i].ended ? 0 : args[row].n;
        args[row].text_allowed = args[row].end_allowed = 1;
        args[row].inverse_temperature = temperature > 0 ? (float)(1 / temperature) : 0;
        args[row].seed = own[i].seed;
        args[row].step = (unsigned)at;
        if (q->timestamps)
            apply_timestamp_rules(s, &r[i], &args[row]);
    }
    TRY(choose(s, rows, rows->fed - 1, at == 0 && q->suppress_blank && q->prefix_count == 0, args));
    *going = 0;
    for (int row = 0; row < rows->count; row++) {
        struct speech_result *of = &r[rows->who[row]];
        if (of->ended)
            continue;
        of->logprob += (double)rows->choice[row].logprob;
        of->ended = rows->choice[row].token == s->tokens.eot;
        if (!of->ended)
            TRY(add_token(s, of, &rows->choice[row]));
        *going += !of->ended;
    }
fail:
    return st;
}

/* Leave out rows that have ended: at the end at once, elsewhere when they are so many that it pays to move others into their places.
 * *moved: the tokens chosen last do not lie in the rows' order any more. */
static clio_status leave_ended(clio_speech *s, struct rows *rows, const struct speech_result *r, int first, int going, bool *moved)
{
    clio_status st = CLIO_OK;
    bool pays = (rows->count - going) * ENDED_SHARE >= rows->count;
    for (int row = 0; row < rows->count; row++) {
        while (rows->count > row && r[rows->who[rows->count - 1]].ended)
            rows->count--;
        if (row >= rows->count || !pays || !r[rows->who[row]].ended)
            continue;
        int last = --rows->count, ended = rows->who[row], goes_on = rows->who[last];
        TRY(whisper_state_swap(s->ctx, &s->arena, &s->state, &s->net, rows->first + row, rows->first + last));
        rows->who[row] = goes_on;
        rows->who[last] = ended;
        s->places[first + goes_on] = rows->first + row;
        s->places[first + ended] = rows->first + last;
        *moved = true;
    }
fail:
    return st;
}

clio_status speech_decode(clio_speech *s, const struct speech_request *q, const struct speech_row *own, double temperature,
                          struct speech_result *r, int first, int count)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    struct rows rows = {.first = count == 1 ? s->places[first] : first, .count = count};
    struct logits_args *args = NULL;
    int *prompt = NULL, n = 0, sot = 0, positions = s->net.config.text_positions, going = count;
    bool moved = false;
    TRY(mem_alloc(ctx, &prompt, (size_t)count * ((size_t)positions + 8), sizeof *prompt));
    TRY(mem_alloc(ctx, &rows.choice, (size_t)count, sizeof *rows.choice));
    TRY(mem_alloc(ctx, &rows.who, (size_t)count, sizeof *rows.who));
    TRY(mem_alloc(ctx, &args, (size_t)count, sizeof *args));
    for (int row = 0; row < count; row++) {
        rows.who[s->places[first + row] - rows.first] = row;
        r[row].count = r[row].text.size = 0;
        r[row].logprob = 0;
        r[row].ended = false;
    }
    for (int row = 0; row < count; row++)
        n = build_prompt(s, q, &own[rows.who[row]], prompt + row * n, &sot); /* as long in every row */
    int most = q->max_tokens > 0 ? q->max_tokens : positions / 2;
    most = MIN(most, positions - n);
    TRY(feed(s, &rows, prompt, n, 0));
    TRY(no_speech_probability(s, &rows, sot, args, r));
    for (int i = 0; i < most && going; i++) {
        if (i > 0)
            TRY(feed(s, &rows, moved ? prompt : NULL, 1, n + i - 1));
        TRY(step(s, q, own, &rows, i, temperature, args, r, &going));
        moved = false;
        if (going)
            TRY(leave_ended(s, &rows, r, first, going, &moved));
        for (int row = 0; moved && row < rows.count; row++)
            prompt[row] = r[rows.who[row]].ids[r[rows.who[row]].count - 1]; /* none of them has ended */
    }
    for (int row = 0; row < count; row++) {
        r[row].temperature = temperature;
        r[row].avg_logprob = r[row].logprob / (double)(r[row].count + 1);
        r[row].compression_ratio = compression_ratio(&r[row].text);
    }
fail:
    free(rows.choice);
    free(rows.who);
    free(args);
    free(prompt);
    return st;
}
