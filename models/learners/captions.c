/* captions.c - captions to conditions: CLIP's tokens as in diffusers' training scripts (truncated and padded to the encoder's length),
 * through an encoder that is frozen or trained with the UNet.
 *
 * The output of a frozen encoder is cached by caption. Captions are encoded one at a time: the result must not depend on the other captions
 * of the batch, or a resumed run, whose cache is empty, would end with other bits. */
#include "captions.h"
#include "../loaders/model_folder.h"
#include "../../host/core/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES ((size_t)512 << 20) /* of the cache: 2200 captions of Stable Diffusion 1 */

clio_status captions_open(clio_context *ctx, struct captions *c, char *encoder, char *tokenizer, struct parameters *trained)
{
    clio_status st = CLIO_OK;
    *c = (struct captions){.encoder = encoder, .tokenizer = tokenizer, .trains = trained != NULL, .cache_left = CACHE_BYTES};
    TRY(clip_tokenizer_open(ctx, &c->words, tokenizer));
    ctx->collects = trained;
    st = text_encoder_open(ctx, encoder, NULL, &c->net);
    ctx->collects = NULL;
    TRY(st);
    if (c->trains) { /* for checkpoints, whose weights are f32 */
        TRY(json_open(ctx, &c->config, c->encoder, "config.json"));
        TRY(learner_mark_f32(ctx, c->config.root));
    }
fail:
    return st;
}

clio_status captions_find(clio_context *ctx, struct captions *c, const struct learner *l, struct parameters *trained)
{
    clio_status st = CLIO_OK;
    char *encoder = NULL, *tokenizer = NULL;
    TRY(learner_folder(ctx, l, "text_encoder", &encoder));
    if (!encoder)
        return CLIO_OK;
    if (!file_is_folder(encoder))
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: set text_encoder to that of a CLIP text encoder", encoder);
    TRY(learner_folder(ctx, l, "tokenizer", &tokenizer));
    TRY(folder_try(ctx, encoder, "../tokenizer", &tokenizer));
    if (!tokenizer)
        FAIL(ctx, CLIO_ERROR_FILE, "there is no tokenizer beside the text encoder %s: set tokenizer to its folder", encoder);
    st = captions_open(ctx, c, encoder, tokenizer, trained);
    encoder = tokenizer = NULL;
fail:
    free(encoder);
    free(tokenizer);
    return st;
}

static void free_cached(struct cached_caption *k)
{
    if (k) {
        free(k->text);
        free(k->states);
        free(k);
    }
}

void captions_close(clio_context *ctx, struct captions *c)
{
    text_encoder_free(ctx, &c->net);
    clip_tokenizer_close(&c->words);
    json_close(&c->config);
    for (size_t i = 0; i < COUNT(c->cache); i++)
        for (struct cached_caption *k = c->cache[i], *next; k; k = next) {
            next = k->next;
            free_cached(k);
        }
    free(c->encoder);
    free(c->tokenizer);
    *c = (struct captions){0};
}

/* A caption's row of ids [max_length]: start, as many tokens as fit, end, padding. length: tokens before the padding. */
static clio_status read_caption(clio_context *ctx, struct captions *c, const char *text, int *row, int *length)
{
    clio_status st = CLIO_OK;
    int *ids = NULL, most = c->net.max_length;
    size_t count = 0;
    TRY(clip_tokenizer_encode(ctx, &c->words, text ? text : "", &ids, &count));
    int used = (int)MIN(count, (size_t)(most - 2));
    if (used < (int)count)
        context_notice_once(ctx, "a caption has %zu tokens, and the text encoder takes %d: it is cut there. It begins: %.60s", count,
                            most - 2, text);
    row[0] = c->words.start;
    for (int i = 1; i < most; i++)
        row[i] = i <= used ? ids[i - 1] : i == used + 1 ? c->words.end : c->words.pad;
    *length = used + 2;
fail:
    free(ids);
    return st;
}

int captions_size(const struct captions *c)
{
    return c->pooled ? c->net.pooled : c->net.max_length * c->net.width;
}

/* Scale a pooled vector so that the mean of its squares is 1. Embeddings of different captions are similar: scaled to length 1, like
 * one-hot labels, networks ignored them; scaled to a mean square of 1, like noise, they did not. */
static void normalize_pooled(float *x, int size)
{
    double squares = 0;
    for (int i = 0; i < size; i++)
        squares += (double)x[i] * (double)x[i];
    for (int i = 0; squares > 0 && i < size; i++)
        x[i] = (float)((double)x[i] / sqrt(squares / size));
}

/* The states of one caption, or its pooled vector, to the host. */
static clio_status encode_one(clio_context *ctx, struct captions *c, const char *text, float *out)
{
    clio_status st = CLIO_OK;
    int *ids = NULL, length;
    struct text_tokens tokens = {.lengths = &length, .batch = 1, .length = c->net.max_length};
    struct tensor states = tensor_shape(DTYPE_F32, 3, 1, c->net.max_length, c->net.width, 0);
    struct tensor pooled = tensor_shape(DTYPE_F32, 2, 1, c->net.pooled, 0, 0);
    TRY(mem_alloc(ctx, &ids, (size_t)c->net.max_length, sizeof *ids));
    TRY(read_caption(ctx, c, text, ids, &length));
    tokens.ids = ids;
    TRY(tensor_new(ctx, &states, "the captions"));
    TRY(tensor_new(ctx, &pooled, "the captions"));
    TRY(text_encoder_encode(ctx, &c->net, &states, c->pooled ? &pooled : NULL, &tokens, 0));
    TRY(tensor_read(ctx, c->pooled ? &pooled : &states, 0, (size_t)captions_size(c), out));
    if (c->pooled)
        normalize_pooled(out, c->net.pooled);
fail:
    tensor_free(ctx, &pooled);
    tensor_free(ctx, &states);
    free(ids);
    return st;
}

/* The link to this caption in its chain, or the end of the chain. */
static struct cached_caption **find_cached(struct captions *c, const char *text)
{
    struct cached_caption **k = &c->cache[mem_hash(MEM_HASH_START, text, strlen(text)) % COUNT(c->cache)];
    while (*k && strcmp((*k)->text, text) != 0)
        k = &(*k)->next;
    return k;
}

/* encode_one through the cache. */
static clio_status encode_cached(clio_context *ctx, struct captions *c, const char *text, float *out)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)captions_size(c), bytes = count * sizeof *out + strlen(text);
    struct cached_caption **cached = find_cached(c, text), *fresh = NULL;
    if (*cached) {
        memcpy(out, (*cached)->states, count * sizeof *out);
        return CLIO_OK;
    }
    TRY(encode_one(ctx, c, text, out));
    if (bytes > c->cache_left)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &fresh, 1, sizeof *fresh));
    TRY(mem_string(ctx, &fresh->text, text));
    TRY(mem_alloc(ctx, &fresh->states, count, sizeof *fresh->states));
    memcpy(fresh->states, out, count * sizeof *out);
    *cached = fresh;
    fresh = NULL;
    c->cache_left -= bytes;
fail:
    free_cached(fresh);
    return st;
}

/* A trained encoder: the whole batch, recorded if there is a tape. */
static clio_status encode_trained(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *states,
                                  const char *const *texts)
{
    clio_status st = CLIO_OK;
    int count = states->dim[0], most = c->net.max_length, *ids = NULL, *lengths = NULL;
    struct text_tokens tokens = {.batch = count, .length = most};
    TRY(mem_alloc(ctx, &ids, (size_t)count * (size_t)most, sizeof *ids));
    TRY(mem_alloc(ctx, &lengths, (size_t)count, sizeof *lengths));
    for (int i = 0; i < count; i++)
        TRY(read_caption(ctx, c, texts[i], ids + (size_t)i * (size_t)most, &lengths[i]));
    tokens.ids = ids;
    tokens.lengths = lengths;
    TRY(text_encoder_forward(ctx, ctx->tape ? arena : NULL, &c->net, states, NULL, &tokens, 0));
fail:
    free(ids);
    free(lengths);
    return st;
}

clio_status captions_encode(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *states,
                            const char *const *texts)
{
    clio_status st = CLIO_OK;
    struct tensor out = *states;
    size_t all = tensor_count(states), one = all / (size_t)states->dim[0];
    struct tape *recording;
    float *data = NULL;
    if (c->trains)
        return encode_trained(ctx, arena, c, states, texts);
    recording = tape_pause(ctx);
    TRY(mem_alloc(ctx, &data, all, sizeof *data));
    for (int i = 0; i < states->dim[0]; i++)
        TRY(encode_cached(ctx, c, texts[i] ? texts[i] : "", data + (size_t)i * one));
    out.what = "captions";
    TRY(tensor_write(ctx, &out, 0, all, data));
fail:
    tape_resume(ctx, recording);
    free(data);
    return st;
}

clio_status captions_require(clio_context *ctx, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    if (!batch->captions)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "this model is conditioned on captions (text_encoder), and the data has none: add metadata.jsonl or .txt "
             "files beside the images");
fail:
    return st;
}

clio_status captions_save(clio_context *ctx, const struct captions *c, const char *path)
{
    clio_status st = CLIO_OK;
    TRY(c->trains ? folder_put_json(ctx, c->config.root, path, "text_encoder", "config.json")
                  : folder_copy(ctx, path, "text_encoder", c->encoder, NULL));
    TRY(folder_copy(ctx, path, "tokenizer", c->tokenizer, NULL));
fail:
    return st;
}

/* ---- prompts ---- */

int captions_prompts(const struct learner *l)
{
    int count = 1;
    for (const char *c = learner_text(l, "validation_prompts"); *c; c++)
        count += *c == '|';
    return count;
}

clio_status captions_prompt(clio_context *ctx, const struct learner *l, int index, char **text)
{
    clio_status st = CLIO_OK;
    const char *at = learner_text(l, "validation_prompts");
    for (index %= captions_prompts(l); index > 0; index--)
        at = strchr(at, '|') + 1;
    size_t length = strcspn(at, "|");
    TRY(mem_alloc(ctx, text, length + 1, 1));
    memcpy(*text, at, length);
fail:
    return st;
}
