/* speech.c - load a Whisper folder in the Hugging Face layout: network, tokenizer, rules of decoding; allocate the buffers of a batch. */
#include "speech.h"
#include "speech_rules.h"
#include "../../host/core/require.h"
#include "../train/checkpoint.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static clio_status read_rules(clio_context *ctx, clio_speech *s)
{
    clio_status st = CLIO_OK;
    struct speech_rules rules;
    size_t vocab = (size_t)s->net.config.vocab;
    TRY(speech_rules_read(ctx, s->dir, &s->tokenizer, &s->tokens, (int)vocab, &rules));
    TRY(tensor_write(ctx, &s->suppress, 0, vocab, rules.suppress));
    TRY(tensor_write(ctx, &s->suppress_first, 0, vocab, rules.suppress_first));
    s->last_initial_timestamp = rules.last_initial_timestamp;
    s->prefix = rules.prefix;
    rules.prefix = NULL;
fail:
    speech_rules_free(&rules);
    return st;
}

/* Buffers used by one window at a time, and those with a row for each window of the batch. */
#define WINDOW_BUFFERS(s)                                                                                                                  \
    {                                                                                                                                      \
        &(s)->samples, &(s)->features, &(s)->encoded, &(s)->suppress, &(s)->suppress_first                                                 \
    }
#define BATCH_BUFFERS(s)                                                                                                                   \
    {                                                                                                                                      \
        &(s)->ids, &(s)->hidden, &(s)->logits, &(s)->choice, &(s)->next                                                                    \
    }

static clio_status make_buffers(clio_context *ctx, clio_speech *s)
{
    clio_status st = CLIO_OK;
    const struct whisper_config *c = &s->net.config;
    s->window_samples = 2 * c->positions * MEL_HOP;
    s->samples = tensor_shape(DTYPE_F32, 1, s->window_samples + MEL_FFT, 0, 0, 0);
    s->features = tensor_shape(DTYPE_F32, 3, 1, 2 * c->positions, c->bands, 0);
    s->encoded = tensor_shape(DTYPE_F32, 3, 1, c->positions, c->width, 0);
    s->suppress = s->suppress_first = tensor_shape(DTYPE_U8, 1, c->vocab, 0, 0, 0);
    struct tensor *all[] = WINDOW_BUFFERS(s);
    for (size_t i = 0; i < COUNT(all); i++)
        TRY(tensor_new(ctx, all[i], "transcription"));
    TRY(mem_alloc(ctx, &s->host_samples, tensor_count(&s->samples), sizeof *s->host_samples));
fail:
    return st;
}

static void free_batch(clio_context *ctx, clio_speech *s)
{
    struct tensor *all[] = BATCH_BUFFERS(s);
    for (size_t i = 0; i < COUNT(all); i++)
        tensor_free(ctx, all[i]);
    whisper_state_free(ctx, &s->state, &s->net);
    free(s->slots);
    s->slots = NULL;
    s->batch = 0;
}

/* Plan all steps at their largest shapes, without launching kernels, and allocate the scratch memory they need. */
static clio_status plan_memory(clio_context *ctx, clio_speech *s, int batch)
{
    clio_status st = CLIO_OK;
    const struct whisper_config *c = &s->net.config;
    struct logits_args args = {.n = c->vocab};
    int length = batch == 1 ? c->text_positions : c->text_positions / 2; /* batched windows have no previous text */
    struct tensor ids = tensor_reshape(&s->ids, 2, batch, length, 0, 0), hidden = tensor_reshape(&s->hidden, 3, batch, length, c->width, 0);
    struct tensor next = tensor_reshape(&s->next, 2, batch, 1, 0, 0), last = tensor_reshape(&s->hidden, 3, batch, 1, c->width, 0);
    ctx->planning = true;
    TRY(speech_encode(s, s->host_samples, 0));
    TRY(whisper_decode(ctx, &s->arena, &s->net, &s->state, &hidden, &ids, 0, 0));
    TRY(whisper_decode(ctx, &s->arena, &s->net, &s->state, &last, &next, 0, c->text_positions - 1));
    TRY(op_logits_fwd(ctx, &s->arena, &s->choice, &s->next, &s->logits, &s->suppress, 0, args));
    TRY(whisper_state_swap(ctx, &s->arena, &s->state, &s->net, 0, batch - 1));
    ctx->planning = false;
    TRY(arena_commit(ctx, &s->arena, "transcription"));
fail:
    ctx->planning = false;
    return st;
}

clio_status speech_reserve(clio_speech *s, int batch)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = s->ctx;
    const struct whisper_config *c = &s->net.config;
    if (batch <= s->batch)
        return CLIO_OK;
    free_batch(ctx, s);
    s->ids = tensor_shape(DTYPE_I32, 2, batch, c->text_positions, 0, 0);
    s->hidden = tensor_shape(DTYPE_F32, 3, batch, c->text_positions, c->width, 0);
    s->logits = tensor_shape(DTYPE_F32, 2, batch, c->vocab, 0, 0);
    s->choice = tensor_shape(DTYPE_I32, 2, batch, 8, 0, 0);
    s->next = tensor_shape(DTYPE_I32, 1, batch, 0, 0, 0);
    struct tensor *all[] = BATCH_BUFFERS(s);
    for (size_t i = 0; i < COUNT(all); i++)
        TRY(tensor_new(ctx, all[i], "decoding"));
    TRY(whisper_state_new(ctx, &s->state, &s->net, batch));
    TRY(mem_alloc(ctx, &s->slots, (size_t)batch, sizeof *s->slots));
    TRY(plan_memory(ctx, s, batch));
    s->batch = batch;
    speech_restart(s);
fail:
    if (st)
        free_batch(ctx, s);
    return st;
}

/* What else does not need the tokenizer: log-mel front end, buffers. */
static clio_status open_network(clio_context *ctx, clio_speech *s)
{
    clio_status st = CLIO_OK;
    TRY(mel_open(ctx, &s->mel, s->net.config.bands));
    TRY(make_buffers(ctx, s));
    TRY(speech_reserve(s, 1));
fail:
    return st;
}

/* The tokenizer is read on its own thread while the weights load: saves 0.1 of 1.2 s. Building kernels on that thread was tried too, but
 * one CPU runtime crashes when programs are built while kernels run, and another builds one program at a time. */
struct reader {
    pthread_t thread;
    clio_context context; /* a copy, for the error message */
    clio_speech *speech;
    clio_status st;
};

static void *reader_run(void *data)
{
    struct reader *r = data;
    r->st = tokenizer_open(&r->context, &r->speech->tokenizer, r->speech->dir, TOKENIZER_GPT2);
    return NULL;
}

static clio_status load_all(clio_context *ctx, clio_speech *s)
{
    clio_status st = CLIO_OK;
    struct reader *reader = NULL;
    TRY(mem_alloc(ctx, &reader, 1, sizeof *reader));
    reader->context = *ctx;
    reader->speech = s;
    bool threaded = pthread_create(&reader->thread, NULL, reader_run, reader) == 0;
    st = whisper_load(ctx, &s->net, s->dir);
    st = st ? st : open_network(ctx, s);
    if (threaded)
        pthread_join(reader->thread, NULL);
    else
        reader_run(reader);
    if (!st && reader->st) {
        st = reader->st;
        ctx->status = reader->context.status;
    }
    TRY(st);
    TRY(whisper_tokens(ctx, &s->tokenizer, s->net.config.vocab, &s->tokens));
    TRY(read_rules(ctx, s));
fail:
    free(reader);
    return st;
}

clio_status clio_speech_load(clio_context *ctx, const char *dir, clio_speech **out)
{
    clio_status st = CLIO_OK;
    clio_speech *s = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, dir, "dir");
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(context_need_device(ctx));
    TRY(whisper_check(ctx, dir));
    TRY(checkpoint_check_model(ctx, dir));
    TRY(mem_alloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    TRY(mem_string(ctx, &s->dir, dir));
    TRY(load_all(ctx, s));
    *out = s;
    return CLIO_OK;
fail:
    clio_speech_free(s);
    return st;
}

clio_status speech_new(clio_context *ctx, const struct json_file *config, const struct weights *weights, clio_speech **out)
{
    clio_status st = CLIO_OK;
    clio_speech *s = NULL;
    TRY(mem_alloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    TRY(whisper_load_from(ctx, &s->net, config, weights));
    TRY(open_network(ctx, s));
    *out = s;
    s = NULL;
fail:
    clio_speech_free(s);
    return st;
}

void clio_speech_free(clio_speech *s)
{
    if (!s)
        return;
    clio_context *ctx = s->ctx;
    struct tensor *all[] = WINDOW_BUFFERS(s);
    for (size_t i = 0; i < COUNT(all); i++)
        tensor_free(ctx, all[i]);
    free_batch(ctx, s);
    arena_free(ctx, &s->arena);
    mel_close(ctx, &s->mel);
    whisper_free(ctx, &s->net);
    tokenizer_close(&s->tokenizer);
    free(s->host_samples);
    free(s->prefix);
    free(s->dir);
    free(s);
}

const char *clio_speech_prefix(const clio_speech *s)
{
    return s && s->prefix ? s->prefix : "";
}

int clio_speech_is_multilingual(const clio_speech *s)
{
    return s && s->tokens.is_multilingual;
}
