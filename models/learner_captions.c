/* learner_captions.c - captions to what a UNet attends to: CLIP's tokens, as diffusers' training scripts make them (cut, and filled up to
 * the length that the encoder takes), through an encoder that stays as it is, or learns with the UNet.
 *
 * One that stays as it is gives the same states for a caption each time, so that they are kept. It reads each caption by itself: states
 * must not depend on which others are in the batch, or a run that is continued, and has kept nothing yet, would end with other bits. */
#include "learner_unet.h"

#include <stdlib.h>
#include <string.h>

#define ROOM ((size_t)512 << 20) /* for states that are kept: 2200 captions of Stable Diffusion 1 */

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

static void free_known(struct known_caption *k)
{
    if (k) {
        free(k->text);
        free(k->states);
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

/* states f32 [1, positions, width] of one caption, to the host */
static clio_status encode_one(clio_context *ctx, struct captions *c, const char *text, float *out)
{
    clio_status st = CLIO_OK;
    int *ids = NULL, length = c->net.config.positions;
    struct tensor states = tensor_shape(DTYPE_F32, 3, 1, length, c->net.config.width, 0);
    TRY(mem_alloc(ctx, &ids, (size_t)length, sizeof *ids));
    TRY(read_caption(ctx, c, text, ids));
    TRY(tensor_new(ctx, &states, "the captions"));
    TRY(clip_text_encode(ctx, &c->net, &states, ids, 0));
    TRY(tensor_read(ctx, &states, 0, tensor_count(&states), out));
fail:
    tensor_free(ctx, &states);
    free(ids);
    return st;
}

/* Where the chain of captions leads to this one, or where it ends. */
static struct known_caption **find_known(struct captions *c, const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *at = text; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    struct known_caption **k = &c->known[hash % COUNT(c->known)];
    while (*k && strcmp((*k)->text, text) != 0)
        k = &(*k)->next;
    return k;
}

/* The same as encode_one, kept as long as there is room. */
static clio_status encode_once(clio_context *ctx, struct captions *c, const char *text, float *out)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)c->net.config.positions * (size_t)c->net.config.width, bytes = count * sizeof *out + strlen(text);
    struct known_caption **known = find_known(c, text), *fresh = NULL;
    if (*known) {
        memcpy(out, (*known)->states, count * sizeof *out);
        return CLIO_OK;
    }
    TRY(encode_one(ctx, c, text, out));
    if (bytes > c->room)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &fresh, 1, sizeof *fresh));
    TRY(mem_string(ctx, &fresh->text, text));
    TRY(mem_alloc(ctx, &fresh->states, count, sizeof *fresh->states));
    memcpy(fresh->states, out, count * sizeof *out);
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

clio_status captions_encode(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *states,
                            const char *const *texts)
{
    clio_status st = CLIO_OK;
    size_t all = tensor_count(states), one = all / (size_t)states->dim[0];
    struct tape *recording;
    float *data = NULL;
    if (c->learns)
        return encode_learning(ctx, arena, c, states, texts);
    recording = tape_pause(ctx);
    TRY(mem_alloc(ctx, &data, all, sizeof *data));
    for (int i = 0; i < states->dim[0]; i++)
        TRY(encode_once(ctx, c, texts[i] ? texts[i] : "", data + (size_t)i * one));
    TRY(tensor_write(ctx, states, 0, all, data));
fail:
    tape_resume(ctx, recording);
    free(data);
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
