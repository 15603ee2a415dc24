/* embed.c - embeddings in the public interface, and the table of the kinds of input that an embedder can have. See embed.h. */
#include "embed.h"
#include "../../host/core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXTS_MAX 100000000
#define BATCH_MAX 4096
#define SMALLEST_NORM 1e-12 /* torch.nn.functional.normalize */

struct embeddings {
    clio_embeddings public; /* first: the caller's pointer is this one */
    float *values;
};

/* ---- kinds of input ---- */

/* What an embedder may take. load leaves the member of struct clio_embedder NULL where the model has no such encoder. */
static const struct {
    clio_status (*load)(struct clio_embedder *e);
    void (*free)(struct clio_embedder *e);
} kinds[] = {{embed_texts_load, embed_texts_free}};

/* The model_type of the folder, or of the encoder that its modules.json begins with. */
static clio_status read_type(struct clio_embedder *e)
{
    clio_status st = CLIO_OK;
    struct sentence_folder folder = {0};
    struct json_file config = {0};
    const char *type;
    TRY(sentence_folder_open(e->ctx, &folder, e->path));
    TRY(json_open(e->ctx, &config, folder.encoder, "config.json"));
    TRY(json_text(e->ctx, &config, "model_type", NULL, &type));
    TRY(mem_string(e->ctx, &e->model_type, type));
fail:
    json_close(&config);
    sentence_folder_close(&folder);
    return st;
}

clio_status clio_embedder_load(clio_context *ctx, const char *dir, clio_embedder **out)
{
    clio_status st = CLIO_OK;
    clio_embedder *e = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, dir, "dir");
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(context_need_device(ctx));
    TRY(mem_alloc(ctx, &e, 1, sizeof *e));
    e->ctx = ctx;
    TRY(mem_string(ctx, &e->path, dir));
    TRY(read_type(e));
    for (size_t i = 0; i < COUNT(kinds); i++)
        TRY(kinds[i].load(e));
    *out = e;
    e = NULL;
fail:
    clio_embedder_free(e);
    return st;
}

void clio_embedder_free(clio_embedder *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < COUNT(kinds); i++)
        kinds[i].free(e);
    free(e->path);
    free(e->model_type);
    free(e);
}

clio_embedder_info clio_embedder_get_info(const clio_embedder *e)
{
    if (!e)
        return (clio_embedder_info){0};
    return (clio_embedder_info){.model = e->model_type,
                                .width = e->width,
                                .takes_texts = e->texts != NULL,
                                .max_length = e->texts ? e->texts->max_length : 0,
                                .normalizes = e->normalizes};
}

/* ---- results ---- */

/* Scale each vector to length 1; zeros stay. */
static void normalize(float *x, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++, x += width) {
        double squares = 0;
        for (size_t j = 0; j < width; j++)
            squares += (double)x[j] * (double)x[j];
        double norm = fmax(sqrt(squares), SMALLEST_NORM);
        for (size_t j = 0; j < width; j++)
            x[j] = (float)((double)x[j] / norm);
    }
}

static clio_status check_finite(const clio_embedder *e, const float *x, size_t count)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i]))
            FAIL(e->ctx, CLIO_ERROR_FORMAT, "%s gives an embedding that is not finite: its weights are damaged, download the model again",
                 e->path);
fail:
    return st;
}

/* Give f32 [count, width] to the caller; values is taken over in any case. */
static clio_status give(const clio_embedder *e, float *values, size_t count, int width, int normalization, clio_embeddings **out)
{
    clio_status st = CLIO_OK;
    struct embeddings *result = NULL;
    TRY(check_finite(e, values, count * (size_t)width));
    TRY(mem_alloc(e->ctx, &result, 1, sizeof *result));
    if (normalization == CLIO_NORMALIZE_ALWAYS || (normalization == CLIO_NORMALIZE_MODEL && e->normalizes))
        normalize(values, count, (size_t)width);
    result->values = values;
    result->public = (clio_embeddings){.values = values, .count = count, .width = width};
    *out = &result->public;
    return CLIO_OK;
fail:
    free(values);
    return st;
}

void clio_embeddings_free(clio_embeddings *embeddings)
{
    struct embeddings *e = (struct embeddings *)(void *)embeddings;
    if (e)
        free(e->values);
    free(e);
}

/* ---- texts ---- */

static clio_status check_params(clio_context *ctx, struct caller at, const clio_embed_params *params)
{
    clio_status st = CLIO_OK;
    if (!params)
        return CLIO_OK;
    TRY(require_int(ctx, at, params->batch, 0, BATCH_MAX, "params.batch"));
    TRY(require_int(ctx, at, params->normalization, CLIO_NORMALIZE_MODEL, CLIO_NORMALIZE_NEVER, "params.normalization"));
    if (params->pooling)
        TRY(require_word(ctx, at, params->pooling, pooling_names, "params.pooling"));
fail:
    return st;
}

static clio_status check_texts(clio_context *ctx, struct caller at, const char *const *texts, size_t count)
{
    clio_status st = CLIO_OK;
    char name[48];
    TRY(require_list(ctx, at, texts, count, TEXTS_MAX, "texts", "count"));
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "texts[%zu]", i);
        REQUIRE_AT(ctx, at, texts[i], name);
        REQUIRE_THAT(ctx, at, text_is_utf8(texts[i]), "%s is not valid UTF-8: save it as UTF-8 or type it again", name);
    }
fail:
    return st;
}

clio_status clio_embed_texts(clio_embedder *embedder, const char *const *texts, size_t count, const clio_embed_params *params,
                             clio_embeddings **out)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = embedder ? embedder->ctx : NULL;
    float *values;
    int width;
    SET_NULL(out);
    REQUIRE(ctx, embedder, "embedder");
    TRY(check_texts(ctx, CALLER, texts, count));
    TRY(check_params(ctx, CALLER, params));
    REQUIRE(ctx, out, "out");
    embedder->ctx->cancelled = 0;
    if (!embedder->texts)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has no text encoder: use a model that has one, such as BERT or CLIP", embedder->path);
    TRY(embed_texts(embedder, texts, count, params, &values, &width));
    TRY(give(embedder, values, count, width, params ? params->normalization : CLIO_NORMALIZE_MODEL, out));
fail:
    return st;
}
