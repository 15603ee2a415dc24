/* learner_captions.c - captions to what a UNet attends to: CLIP's tokens, as diffusers' training scripts make them (cut, and filled up to
 * the length that the encoder takes), through an encoder that does not learn. */
#include "learner_unet.h"

#include <stdlib.h>

clio_status captions_open(clio_context *ctx, struct captions *c, char *encoder, char *tokenizer)
{
    clio_status st = CLIO_OK;
    *c = (struct captions){.encoder = encoder, .tokenizer = tokenizer};
    TRY(clip_tokenizer_open(ctx, &c->words, tokenizer));
    TRY(clip_text_open(ctx, encoder, NULL, &c->net));
fail:
    return st;
}

void captions_close(clio_context *ctx, struct captions *c)
{
    clip_text_free(ctx, &c->net);
    clip_tokenizer_close(&c->words);
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

clio_status captions_encode(clio_context *ctx, struct captions *c, const struct tensor *states, const char *const *texts)
{
    clio_status st = CLIO_OK;
    int count = states->dim[0], length = c->net.config.positions, *ids = NULL;
    struct tape *recording = tape_pause(ctx);
    TRY(mem_alloc(ctx, &ids, (size_t)count * (size_t)length, sizeof *ids));
    for (int i = 0; i < count; i++)
        TRY(read_caption(ctx, c, texts[i], ids + (size_t)i * (size_t)length));
    TRY(clip_text_encode(ctx, &c->net, states, ids, 0));
fail:
    tape_resume(ctx, recording);
    free(ids);
    return st;
}
