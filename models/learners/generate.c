/* generate.c - run a network over host arrays in chunks: sampling and encoding. */
#include "generate.h"

#include <stdlib.h>
#include "learner.h"

#define CHUNK 64 /* samples in a batch */

/* The condition of `count` samples. */
static clio_status set_condition(clio_context *ctx, const struct learner *l, struct label_input *in, const int *labels, int count)
{
    clio_status st = CLIO_OK;
    char *texts[CHUNK] = {NULL};
    if (in->captions) {
        for (int i = 0; i < count; i++)
            TRY(captions_prompt(ctx, l, labels[i], &texts[i]));
        TRY(label_input_set_captions(ctx, in, (const char *const *)texts, count));
    } else {
        TRY(label_input_set_labels(ctx, in, labels, count));
    }
fail:
    for (int i = 0; i < count; i++)
        free(texts[i]);
    return st;
}

clio_status learner_run(clio_context *ctx, struct learner *l, struct label_input *input, int count, const float *in, int in_width,
                        const int *labels, float *out, int out_width, learner_forward forward)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    if (input && input->width && !labels)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s needs a label for each image", l->type->name);
    for (int at = 0; at < count; at += CHUNK) {
        int n = MIN(CHUNK, count - at);
        struct tensor x = tensor_shape(DTYPE_F32, 2, n, in_width, 0, 0), y = tensor_shape(DTYPE_F32, 2, n, out_width, 0, 0);
        TRY(tensor_take(ctx, &arena, &x));
        TRY(tensor_take(ctx, &arena, &y));
        TRY(tensor_write(ctx, &x, 0, tensor_count(&x), in + (size_t)at * (size_t)in_width));
        if (input && input->width)
            TRY(set_condition(ctx, l, input, labels + at, n));
        TRY(forward(ctx, &arena, l, &y, &x));
        TRY(tensor_read(ctx, &y, 0, tensor_count(&y), out + (size_t)at * (size_t)out_width));
        arena_reset(&arena);
    }
fail:
    arena_free(ctx, &arena);
    return st;
}

clio_status learner_sample(clio_context *ctx, struct learner *l, int count, uint64_t seed, const int *labels, float *images)
{
    clio_status st = CLIO_OK;
    struct tensor z = tensor_shape(DTYPE_F32, 2, count, MAX(l->latent, 1), 0, 0);
    float *latents = NULL;
    int *own = NULL;
    if (count < 1 || !l->latent)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s cannot generate %d images", l->type->name, count);
    TRY(mem_alloc(ctx, &latents, tensor_count(&z), sizeof *latents));
    TRY(tensor_new(ctx, &z, "samples"));
    TRY(op_random_fwd(ctx, &z, seed, 0, true));
    TRY(tensor_read(ctx, &z, 0, tensor_count(&z), latents));
    if (!labels && learner_labels(l)) {
        TRY(mem_alloc(ctx, &own, (size_t)count, sizeof *own));
        for (int i = 0; i < count; i++)
            own[i] = i % learner_labels(l);
        labels = own;
    }
    TRY(l->type->sample(ctx, l, count, latents, labels, images));
fail:
    tensor_free(ctx, &z);
    free(latents);
    free(own);
    return st;
}
