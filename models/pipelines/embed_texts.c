/* embed_texts.c - embeddings of texts, as sentence-transformers' SentenceTransformer.encode: tokens, states, pooling, dense layers. Texts
 * are sorted by their number of tokens, so that batches have little padding. See embed.h. */
#include "embed.h"
#include "../../host/core/text.h"
#include "../loaders/model_folder.h"
#include "../nn/pooling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define BATCH 32 /* as sentence-transformers */

/* ---- loading ---- */

static clio_status load_dense(struct clio_embedder *e, struct embed_texts *t)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = e->ctx;
    struct weights weights = {0};
    TRY(mem_alloc(ctx, &t->dense, t->folder.dense_count, sizeof *t->dense));
    for (size_t i = 0; i < t->folder.dense_count; i++) {
        const struct sentence_dense *d = &t->folder.dense[i];
        if (d->in != e->width)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s takes %d columns, and the modules before it give %d: download the whole folder again",
                 d->folder, d->in, e->width);
        TRY(folder_weights(ctx, d->folder, "model", NULL, &weights));
        TRY(linear_load(ctx, &t->dense[i].linear, "linear", d->out, d->in, 1, true, &weights));
        t->dense[i].act = d->act;
        e->width = d->out;
        weights_close(&weights);
    }
fail:
    weights_close(&weights);
    return st;
}

static int pooled_width(const struct embed_texts *t, enum pooling pooling)
{
    return pooling == POOLING_POOLER ? t->encoder.pooled : t->encoder.width;
}

/* The mean of BERT, and the projected state of CLIP, where the folder says nothing. */
static clio_status choose_pooling(struct clio_embedder *e, struct embed_texts *t)
{
    clio_status st = CLIO_OK;
    struct sentence_folder *f = &t->folder;
    int count = 0;
    for (int i = 0; i < POOLINGS; i++)
        count += f->uses[i];
    if (!count)
        f->uses[strncmp(e->model_type, "clip", 4) ? POOLING_MEAN : POOLING_POOLER] = true;
    if (f->width && f->width != t->encoder.width)
        FAIL(e->ctx, CLIO_ERROR_FORMAT,
             "%s has a pooling for states of %d columns, and the text encoder's have %d: download the whole folder again", e->path,
             f->width, t->encoder.width);
    e->width = 0;
    for (int i = 0; i < POOLINGS; i++)
        e->width += f->uses[i] ? pooled_width(t, (enum pooling)i) : 0;
fail:
    return st;
}

/* The least of what the encoder, the tokenizer and the folder say. */
static int length_limit(const struct embed_texts *t)
{
    int most = t->encoder.max_length ? t->encoder.max_length : 512;
    if (t->folder.max_length)
        return MAX(MIN(most, t->folder.max_length), 2);
    return MAX(t->tokenizer.max_length ? MIN(most, t->tokenizer.max_length) : most, 2);
}

clio_status embed_texts_load(struct clio_embedder *e)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = e->ctx;
    struct embed_texts *t = NULL;
    TRY(mem_alloc(ctx, &t, 1, sizeof *t));
    e->texts = t;
    TRY(sentence_folder_open(ctx, &t->folder, e->path));
    TRY(text_tokenizer_open(ctx, &t->tokenizer, t->folder.encoder, e->model_type));
    TRY(text_encoder_open(ctx, t->folder.encoder, NULL, &t->encoder));
    TRY(choose_pooling(e, t));
    TRY(load_dense(e, t));
    t->max_length = length_limit(t);
    e->normalizes = t->folder.normalizes;
fail:
    return st;
}

void embed_texts_free(struct clio_embedder *e)
{
    struct embed_texts *t = e->texts;
    if (!t)
        return;
    for (size_t i = 0; t->dense && i < t->folder.dense_count; i++)
        linear_free(e->ctx, &t->dense[i].linear);
    free(t->dense);
    text_encoder_free(e->ctx, &t->encoder);
    text_tokenizer_close(&t->tokenizer);
    sentence_folder_close(&t->folder);
    free(t);
    e->texts = NULL;
}

/* ---- texts to rows of tokens ---- */

struct row {
    int *ids;
    size_t count, index; /* index: of the text */
};

/* More tokens first, so that memory suffices for all batches if it does for the first. */
static int by_length(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static clio_status lower_case(clio_context *ctx, const char *text, struct bytes *out)
{
    clio_status st = CLIO_OK;
    utf8proc_int32_t c;
    char lower[8];
    TRY(text_check(ctx, "the text", text));
    TRY(bytes_add(ctx, out, "", 0));
    for (const char *at = text; *at; at += utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &c)) {
        utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &c);
        TRY(bytes_add(ctx, out, lower, text_lower(c, lower)));
    }
fail:
    return st;
}

static clio_status tokenize(struct clio_embedder *e, const char *prompt, const char *text, struct row *row)
{
    clio_status st = CLIO_OK;
    struct bytes whole = {0}, lower = {0};
    TRY(bytes_print(e->ctx, &whole, "%s%s", prompt ? prompt : "", text));
    if (e->texts->folder.lower)
        TRY(lower_case(e->ctx, whole.data, &lower));
    TRY(text_tokenizer_encode(e->ctx, &e->texts->tokenizer, lower.data ? lower.data : whole.data, e->texts->max_length, &row->ids,
                              &row->count));
fail:
    bytes_free(&whole);
    bytes_free(&lower);
    return st;
}

/* ---- a batch ---- */

/* Tokens of a batch on the host: ids [count, length], padded. */
struct batch {
    int *ids, *lengths;
    int count, length;
    struct tensor states;
};

static clio_status fill_batch(clio_context *ctx, struct batch *b, const struct row *rows, int pad)
{
    clio_status st = CLIO_OK;
    b->length = (int)rows[0].count;
    TRY(mem_alloc(ctx, &b->ids, (size_t)b->count * (size_t)b->length, sizeof *b->ids));
    TRY(mem_alloc(ctx, &b->lengths, (size_t)b->count, sizeof *b->lengths));
    for (int i = 0; i < b->count; i++) {
        int *ids = b->ids + (size_t)i * (size_t)b->length;
        b->lengths[i] = (int)rows[i].count;
        for (int j = 0; j < b->length; j++)
            ids[j] = j < b->lengths[i] ? rows[i].ids[j] : pad;
    }
fail:
    return st;
}

/* The states, and the vectors of the poolings side by side: *out, of e->width columns before the dense layers. */
static clio_status encode_batch(struct clio_embedder *e, struct arena *arena, const bool uses[POOLINGS], struct batch *b,
                                struct tensor *out)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = e->ctx;
    struct embed_texts *t = e->texts;
    struct tensor one[POOLINGS];
    const struct text_tokens tokens = {.ids = b->ids, .lengths = b->lengths, .batch = b->count, .length = b->length};
    for (int i = 0; i < POOLINGS; i++) {
        one[i] = tensor_shape(DTYPE_F32, 2, b->count, pooled_width(t, (enum pooling)i), 0, 0);
        if (uses[i])
            TRY(tensor_take(ctx, arena, &one[i]));
    }
    TRY(text_encoder_encode(ctx, &t->encoder, &b->states, uses[POOLING_POOLER] ? &one[POOLING_POOLER] : NULL, &tokens, 0));
    *out = (struct tensor){0};
    for (int i = 0; i < POOLINGS; i++) {
        if (!uses[i])
            continue;
        if (i != POOLING_POOLER)
            TRY(pooling_fwd(ctx, arena, &one[i], &b->states, b->lengths, (enum pooling)i));
        struct tensor both = tensor_shape(DTYPE_F32, 2, b->count, (out->mem ? out->dim[1] : 0) + one[i].dim[1], 0, 0);
        if (out->mem) {
            TRY(tensor_take(ctx, arena, &both));
            TRY(op_concat_fwd(ctx, &both, out, &one[i]));
        }
        *out = out->mem ? both : one[i];
    }
fail:
    return st;
}

/* Vectors of the texts rows[0] to rows[count - 1] into their places in out [.., *width]. */
static clio_status run_batch(struct clio_embedder *e, const struct row *rows, int count, const bool uses[POOLINGS], float *out, int width)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = e->ctx;
    struct embed_texts *t = e->texts;
    struct arena arena = {0};
    struct batch b = {.count = count};
    struct tensor x, y;
    arena_grow(ctx, &arena);
    TRY(fill_batch(ctx, &b, rows, t->tokenizer.pad));
    b.states = tensor_shape(DTYPE_F32, 3, count, b.length, t->encoder.width, 0);
    TRY(tensor_new(ctx, &b.states, "the texts"));
    TRY(encode_batch(e, &arena, uses, &b, &x));
    for (size_t i = 0; i < t->folder.dense_count; i++, x = y) {
        y = tensor_shape(DTYPE_F32, 2, count, t->folder.dense[i].out, 0, 0);
        TRY(tensor_take(ctx, &arena, &y));
        TRY(linear_fwd(ctx, &y, &x, &t->dense[i].linear, t->dense[i].act, NULL));
    }
    for (int i = 0; i < count; i++)
        TRY(tensor_read(ctx, &x, (size_t)i * (size_t)width, (size_t)width, out + rows[i].index * (size_t)width));
fail:
    tensor_free(ctx, &b.states);
    arena_free(ctx, &arena);
    free(b.ids);
    free(b.lengths);
    return st;
}

/* ---- all texts ---- */

/* The poolings of a call: those of the folder, or the one that the caller names. */
static clio_status call_poolings(struct clio_embedder *e, const char *name, bool uses[POOLINGS], int *width)
{
    clio_status st = CLIO_OK;
    struct embed_texts *t = e->texts;
    memcpy(uses, t->folder.uses, sizeof t->folder.uses);
    *width = e->width;
    if (!name)
        return CLIO_OK;
    enum pooling pooling = pooling_find(name); /* checked by the public function */
    for (int i = 0; i < POOLINGS; i++)
        uses[i] = i == (int)pooling;
    if (!t->folder.dense_count)
        *width = pooled_width(t, pooling);
    else if (pooled_width(t, pooling) != t->folder.dense[0].in)
        FAIL(e->ctx, CLIO_ERROR_ARGUMENT,
             "params.pooling is %s, which gives %d columns, and the model's dense layer takes %d: leave it out", name,
             pooled_width(t, pooling), t->folder.dense[0].in);
fail:
    return st;
}

clio_status embed_texts(struct clio_embedder *e, const char *const *texts, size_t count, const clio_embed_params *params, float **out,
                        int *width)
{
    clio_status st = CLIO_OK;
    struct row *rows = NULL;
    bool uses[POOLINGS];
    size_t batch = params && params->batch ? (size_t)params->batch : BATCH;
    *out = NULL;
    TRY(call_poolings(e, params ? params->pooling : NULL, uses, width));
    TRY(mem_alloc(e->ctx, &rows, count, sizeof *rows));
    for (size_t i = 0; i < count; i++) {
        rows[i].index = i;
        TRY(tokenize(e, params ? params->prompt : NULL, texts[i], &rows[i]));
    }
    qsort(rows, count, sizeof *rows, by_length);
    TRY(mem_alloc(e->ctx, out, count * (size_t)*width, sizeof **out));
    for (size_t first = 0; first < count; first += batch) {
        TRY(context_progress(e->ctx, "embedding", (double)first, (double)count));
        TRY(run_batch(e, rows + first, (int)MIN(batch, count - first), uses, *out, *width));
    }
fail:
    for (size_t i = 0; rows && i < count; i++)
        free(rows[i].ids);
    free(rows);
    if (st) {
        free(*out);
        *out = NULL;
    }
    return st;
}
