/* captions.c - captions to what a learner takes in: CLIP's tokens, as diffusers' training scripts make them (cut, and filled up to
 * the length that the encoder takes), through an encoder that stays as it is, or learns with a UNet.
 *
 * One that stays as it is says the same of a caption each time, so that it is kept. It reads each caption by itself: what it says must not
 * depend on which others are in the batch, or a run that is continued, and has kept nothing yet, would end with other bits. */
#include "captions.h"
#include "../loaders/model_folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROOM ((size_t)512 << 20) /* for what is kept: the states of 2200 captions of Stable Diffusion 1 */

/* The encoder's own configuration, which goes with what it learns; that is saved as f32, whatever it was read as. */
static clio_status read_config(clio_context *ctx, struct captions *c)
{
    clio_status st = CLIO_OK;
    static const char *const types[] = {"dtype", "torch_dtype"};
    TRY(json_open(ctx, &c->config, c->encoder, "config.json"));
    for (size_t i = 0; i < COUNT(types); i++)
        if (json_object_get(c->config.root, types[i]) && json_object_set_new(c->config.root, types[i], json_string("float32")))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
fail:
    return st;
}

clio_status captions_open(clio_context *ctx, struct captions *c, char *encoder, char *tokenizer, struct parameters *learned)
{
    clio_status st = CLIO_OK;
    *c = (struct captions){.encoder = encoder, .tokenizer = tokenizer, .learns = learned != NULL, .room = ROOM};
    TRY(clip_tokenizer_open(ctx, &c->words, tokenizer));
    ctx->collects = learned;
    st = clip_text_open(ctx, encoder, NULL, &c->net);
    ctx->collects = NULL;
    TRY(st);
    if (c->learns)
        TRY(read_config(ctx, c));
fail:
    return st;
}

clio_status captions_find(clio_context *ctx, struct captions *c, const struct learner *l, struct parameters *learned)
{
    clio_status st = CLIO_OK;
    char *encoder = NULL, *tokenizer = NULL;
    TRY(learner_folder(ctx, l, "text_encoder", &encoder));
    if (!encoder)
        return CLIO_OK;
    if (!file_is_folder(encoder))
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: name that of a CLIP text encoder (--set text_encoder=DIR)", encoder);
    TRY(learner_folder(ctx, l, "tokenizer", &tokenizer));
    TRY(folder_try(ctx, encoder, "../tokenizer", &tokenizer));
    if (!tokenizer)
        FAIL(ctx, CLIO_ERROR_FILE, "there is no tokenizer beside the text encoder %s: name its folder (--set tokenizer=DIR)", encoder);
    st = captions_open(ctx, c, encoder, tokenizer, learned);
    encoder = tokenizer = NULL;
fail:
    free(encoder);
    free(tokenizer);
    return st;
}

static void free_known(struct known_caption *k)
{
    if (k) {
        free(k->text);
        free(k->said);
        free(k);
    }
}

void captions_close(clio_context *ctx, struct captions *c)
{
    clip_text_free(ctx, &c->net);
    clip_tokenizer_close(&c->words);
    json_close(&c->config);
    for (size_t i = 0; i < COUNT(c->known); i++)
        for (struct known_caption *k = c->known[i], *next; k; k = next) {
            next = k->next;
            free_known(k);
        }
    free(c->encoder);
    free(c->tokenizer);
    *c = (struct captions){0};
}

/* start, as many tokens as fit, end, and what fills up */
static clio_status read_caption(clio_context *ctx, struct captions *c, const char *text, int *row)
{
    clio_status st = CLIO_OK;
    int *ids = NULL, length = c->net.config.positions;
    size_t count = 0;
    TRY(clip_tokenizer_encode(ctx, &c->words, text ? text : "", &ids, &count));
    int used = (int)MIN(count, (size_t)(length - 2));
    row[0] = c->words.start;
    for (int i = 1; i < length; i++)
        row[i] = i <= used ? ids[i - 1] : i == used + 1 ? c->words.end : c->words.pad;
fail:
    free(ids);
    return st;
}

int captions_size(const struct captions *c)
{
    const struct clip_text_config *n = &c->net.config;
    return !c->pools ? n->positions * n->width : n->projection ? n->projection : n->width;
}

/* The vector that stands for a caption, from its states, to the host. Captions' vectors lie close together: at length 1, as a label's row
 * has it, what tells them apart is too little for a network to listen to. As large as normal noise is, it was enough. */
static clio_status pool(clio_context *ctx, const struct captions *c, const struct tensor *states, const int *ids, float *out)
{
    clio_status st = CLIO_OK;
    int size = captions_size(c);
    struct tensor pooled = tensor_shape(DTYPE_F32, 2, 1, size, 0, 0);
    double squares = 0;
    TRY(tensor_new(ctx, &pooled, "the captions"));
    TRY(clip_text_pool(ctx, &c->net, &pooled, states, ids, c->net.config.projection > 0));
    TRY(tensor_read(ctx, &pooled, 0, (size_t)size, out));
    for (int i = 0; i < size; i++)
        squares += (double)out[i] * (double)out[i];
    for (int i = 0; squares > 0 && i < size; i++)
        out[i] = (float)((double)out[i] / sqrt(squares / size));
fail:
    tensor_free(ctx, &pooled);
    return st;
}

/* What is said of one caption, to the host. */
static clio_status encode_one(clio_context *ctx, struct captions *c, const char *text, float *out)
{
    clio_status st = CLIO_OK;
    int *ids = NULL, length = c->net.config.positions;
    struct tensor states = tensor_shape(DTYPE_F32, 3, 1, length, c->net.config.width, 0);
    TRY(mem_alloc(ctx, &ids, (size_t)length, sizeof *ids));
    TRY(read_caption(ctx, c, text, ids));
    TRY(tensor_new(ctx, &states, "the captions"));
    TRY(clip_text_encode(ctx, &c->net, &states, ids, 0));
    TRY(c->pools ? pool(ctx, c, &states, ids, out) : tensor_read(ctx, &states, 0, tensor_count(&states), out));
fail:
    tensor_free(ctx, &states);
    free(ids);
    return st;
}

/* Where the chain of captions leads to this one, or where it ends. */
static struct known_caption **find_known(struct captions *c, const char *text)
{
    struct known_caption **k = &c->known[mem_hash(MEM_HASH_START, text, strlen(text)) % COUNT(c->known)];
    while (*k && strcmp((*k)->text, text) != 0)
        k = &(*k)->next;
    return k;
}

/* The same as encode_one, kept as long as there is room. */
static clio_status encode_once(clio_context *ctx, struct captions *c, const char *text, float *out)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)captions_size(c), bytes = count * sizeof *out + strlen(text);
    struct known_caption **known = find_known(c, text), *fresh = NULL;
    if (*known) {
        memcpy(out, (*known)->said, count * sizeof *out);
        return CLIO_OK;
    }
    TRY(encode_one(ctx, c, text, out));
    if (bytes > c->room)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &fresh, 1, sizeof *fresh));
    TRY(mem_string(ctx, &fresh->text, text));
    TRY(mem_alloc(ctx, &fresh->said, count, sizeof *fresh->said));
    memcpy(fresh->said, out, count * sizeof *out);
    *known = fresh;
    fresh = NULL;
    c->room -= bytes;
fail:
    free_known(fresh);
    return st;
}

/* Who learns: all at once, recorded if there is a tape. */
static clio_status encode_learning(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *states,
                                   const char *const *texts)
{
    clio_status st = CLIO_OK;
    int count = states->dim[0], length = c->net.config.positions, *ids = NULL;
    TRY(mem_alloc(ctx, &ids, (size_t)count * (size_t)length, sizeof *ids));
    for (int i = 0; i < count; i++)
        TRY(read_caption(ctx, c, texts[i], ids + (size_t)i * (size_t)length));
    TRY(ctx->tape ? clip_text_forward(ctx, arena, &c->net, states, ids, 0) : clip_text_encode(ctx, &c->net, states, ids, 0));
fail:
    free(ids);
    return st;
}

clio_status captions_encode(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *said, const char *const *texts)
{
    clio_status st = CLIO_OK;
    struct tensor out = *said;
    size_t all = tensor_count(said), one = all / (size_t)said->dim[0];
    struct tape *recording;
    float *data = NULL;
    if (c->learns)
        return encode_learning(ctx, arena, c, said, texts);
    recording = tape_pause(ctx);
    TRY(mem_alloc(ctx, &data, all, sizeof *data));
    for (int i = 0; i < said->dim[0]; i++)
        TRY(encode_once(ctx, c, texts[i] ? texts[i] : "", data + (size_t)i * one));
    out.what = "captions";
    TRY(tensor_write(ctx, &out, 0, all, data));
fail:
    tape_resume(ctx, recording);
    free(data);
    return st;
}

clio_status captions_need(clio_context *ctx, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    if (!batch->captions)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "this model learns from captions (text_encoder), and the data has none: add metadata.jsonl or .txt "
             "files beside the images");
fail:
    return st;
}

clio_status captions_describe(clio_context *ctx, const struct captions *c, const char *path)
{
    clio_status st = CLIO_OK;
    TRY(c->learns ? folder_put_json(ctx, c->config.root, path, "text_encoder", "config.json")
                  : folder_link(ctx, path, "text_encoder", c->encoder));
    TRY(folder_link(ctx, path, "tokenizer", c->tokenizer));
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
