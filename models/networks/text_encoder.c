/* text_encoder.c - the table of text encoders, and what is the same for all of them: finding the row, checking the call. */
#include "text_encoder.h"
#include "../loaders/model_folder.h"
#include "text_encoder_bert.h"
#include "text_encoder_clip.h"

#include <string.h>

static const struct text_encoder_type *const types[] = {&text_encoder_clip, &text_encoder_bert};

static const struct text_encoder_type *find_type(const char *model_type)
{
    for (size_t i = 0; i < COUNT(types); i++)
        for (const char *const *name = types[i]->model_types; *name; name++)
            if (strcmp(*name, model_type) == 0)
                return types[i];
    return NULL;
}

/* The model types of all rows, separated by commas, into fresh memory. */
static clio_status list_types(clio_context *ctx, struct bytes *list)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < COUNT(types); i++)
        for (const char *const *name = types[i]->model_types; *name; name++)
            TRY(bytes_print(ctx, list, "%s%s", list->size ? ", " : "", *name));
fail:
    return st;
}

clio_status text_encoder_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct text_encoder *e)
{
    clio_status st = CLIO_OK;
    struct bytes list = {0};
    const char *model_type;
    *e = (struct text_encoder){0};
    TRY(json_text(ctx, config, "model_type", NULL, &model_type));
    const struct text_encoder_type *type = find_type(model_type);
    if (!type) {
        TRY(list_types(ctx, &list));
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes a model of type %.40s; the text encoders that clio runs have the model_type %s",
             config->path, model_type, list.data);
    }
    TRY(type->load(ctx, config, weights, e));
    e->type = type;
fail:
    bytes_free(&list);
    if (st)
        *e = (struct text_encoder){0};
    return st;
}

clio_status text_encoder_open(clio_context *ctx, const char *dir, const char *variant, struct text_encoder *e)
{
    clio_status st = CLIO_OK;
    struct json_file config = {0};
    struct weights weights = {0};
    *e = (struct text_encoder){0};
    TRY(json_open(ctx, &config, dir, "config.json"));
    TRY(folder_weights(ctx, dir, "model", variant, &weights));
    TRY(text_encoder_load(ctx, &config, &weights, e));
fail:
    weights_close(&weights);
    json_close(&config);
    return st;
}

void text_encoder_free(clio_context *ctx, struct text_encoder *e)
{
    if (e->type)
        e->type->free(ctx, e->net);
    *e = (struct text_encoder){0};
}

static clio_status check_call(clio_context *ctx, const struct text_encoder *e, const struct tensor *states, const struct tensor *pooled,
                              const struct text_tokens *tokens, int skip)
{
    clio_status st = CLIO_OK;
    TRY(op_check(ctx, "text encoder", "states", states, DTYPE_F32, 3, tokens->batch, tokens->length, e->width, 0));
    if (pooled)
        TRY(op_check(ctx, "text encoder", "pooled", pooled, DTYPE_F32, 2, tokens->batch, e->pooled, 0, 0));
    if (tokens->length < 1 || (e->max_length && tokens->length > e->max_length))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "text encoder: texts of %d tokens; it takes 1 to %d", tokens->length, e->max_length);
    for (int i = 0; tokens->lengths && i < tokens->batch; i++)
        if (tokens->lengths[i] < 1 || tokens->lengths[i] > tokens->length)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "text encoder: text %d has %d of %d tokens", i, tokens->lengths[i], tokens->length);
    if (skip && pooled)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "text encoder: a pooled vector of states without the last %d layers", skip);
    if (skip && !e->type->skips_layers)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "clip_skip is %d, and a text encoder of type %s cannot leave out layers: use 0", skip,
             e->type->model_types[0]);
fail:
    return st;
}

/* With scratch of its own, whose size is found by a pass that launches nothing. */
static clio_status forward_alone(clio_context *ctx, const struct text_encoder *e, const struct tensor *states, const struct tensor *pooled,
                                 const struct text_tokens *tokens, int skip)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    ctx->planning = true;
    st = e->type->forward(ctx, &arena, e, states, pooled, tokens, skip);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &arena, "the text encoder"));
    TRY(e->type->forward(ctx, &arena, e, states, pooled, tokens, skip));
fail:
    arena_free(ctx, &arena);
    return st;
}

clio_status text_encoder_forward(clio_context *ctx, struct arena *arena, const struct text_encoder *e, const struct tensor *states,
                                 const struct tensor *pooled, const struct text_tokens *tokens, int skip)
{
    clio_status st = CLIO_OK;
    TRY(check_call(ctx, e, states, pooled, tokens, skip));
    TRY(arena ? e->type->forward(ctx, arena, e, states, pooled, tokens, skip) : forward_alone(ctx, e, states, pooled, tokens, skip));
fail:
    return st;
}

clio_status text_encoder_encode(clio_context *ctx, const struct text_encoder *e, const struct tensor *states, const struct tensor *pooled,
                                const struct text_tokens *tokens, int skip)
{
    return text_encoder_forward(ctx, NULL, e, states, pooled, tokens, skip);
}
