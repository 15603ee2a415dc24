/* text_tokenizer.c - the table of tokenizers of text encoders. See text_tokenizer.h. */
#include "text_tokenizer.h"
#include "../../host/core/text.h"

#include <stdlib.h>
#include <string.h>

struct text_tokenizer_type {
    const char *const *model_types; /* of config.json, ends with NULL */
    clio_status (*open)(clio_context *ctx, struct text_tokenizer *t, const char *dir);
    clio_status (*encode)(clio_context *ctx, struct text_tokenizer *t, const char *utf8, int most, int **ids, size_t *count);
    void (*close)(struct text_tokenizer *t);
};

/* ---- BERT ---- */

static clio_status open_wordpiece(clio_context *ctx, struct text_tokenizer *t, const char *dir)
{
    clio_status st = CLIO_OK;
    TRY(wordpiece_open(ctx, &t->as.wordpiece, dir));
    t->pad = t->as.wordpiece.pad;
    t->max_length = t->as.wordpiece.max_length;
fail:
    return st;
}

static clio_status encode_wordpiece(clio_context *ctx, struct text_tokenizer *t, const char *utf8, int most, int **ids, size_t *count)
{
    return wordpiece_encode(ctx, &t->as.wordpiece, utf8, most, ids, count);
}

static void close_wordpiece(struct text_tokenizer *t)
{
    wordpiece_close(&t->as.wordpiece);
}

/* ---- CLIP ---- */

static clio_status open_clip(clio_context *ctx, struct text_tokenizer *t, const char *dir)
{
    clio_status st = CLIO_OK;
    TRY(clip_tokenizer_open(ctx, &t->as.clip, dir));
    t->pad = t->as.clip.pad;
fail:
    return st;
}

static clio_status encode_clip(clio_context *ctx, struct text_tokenizer *t, const char *utf8, int most, int **ids, size_t *count)
{
    clio_status st = CLIO_OK;
    const struct clip_tokenizer *clip = &t->as.clip;
    int *words = NULL;
    size_t n = 0;
    *ids = NULL;
    *count = 0;
    TRY(text_check(ctx, "the text", utf8));
    TRY(clip_tokenizer_encode(ctx, &t->as.clip, utf8, &words, &n));
    n = MIN(n, (size_t)(most - 2));
    TRY(mem_alloc(ctx, ids, n + 2, sizeof **ids));
    (*ids)[0] = clip->start;
    memcpy(*ids + 1, words, n * sizeof *words);
    (*ids)[n + 1] = clip->end;
    *count = n + 2;
fail:
    free(words);
    return st;
}

static void close_clip(struct text_tokenizer *t)
{
    clip_tokenizer_close(&t->as.clip);
}

/* ---- the table ---- */

static const char *const bert_types[] = {"bert", NULL}, *const clip_types[] = {"clip", "clip_text_model", NULL};

static const struct text_tokenizer_type types[] = {
    {bert_types, open_wordpiece, encode_wordpiece, close_wordpiece},
    {clip_types, open_clip, encode_clip, close_clip},
};

clio_status text_tokenizer_open(clio_context *ctx, struct text_tokenizer *t, const char *dir, const char *model_type)
{
    clio_status st = CLIO_OK;
    const struct text_tokenizer_type *type = NULL;
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < COUNT(types) && !type; i++)
        for (const char *const *name = types[i].model_types; *name && !type; name++)
            type = strcmp(*name, model_type) ? NULL : &types[i];
    if (!type)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has a model of type %.40s, whose tokenizer clio does not know: use a BERT or CLIP model", dir,
             model_type);
    TRY(type->open(ctx, t, dir));
    t->type = type;
fail:
    return st;
}

void text_tokenizer_close(struct text_tokenizer *t)
{
    if (t->type)
        t->type->close(t);
    t->type = NULL;
}

clio_status text_tokenizer_encode(clio_context *ctx, struct text_tokenizer *t, const char *utf8, int most, int **ids, size_t *count)
{
    return t->type->encode(ctx, t, utf8, most, ids, count);
}
