/* condition.c - see condition.h. */
#include "condition.h"

#include <stdlib.h>

int learner_labels(const struct learner *l)
{
    return learner_needs_captions(l->type, l->config) ? captions_prompts(l) : l->shape.classes;
}

clio_status label_input_new(clio_context *ctx, struct label_input *in, const struct learner *l)
{
    clio_status st = CLIO_OK;
    *in = (struct label_input){.width = l->shape.classes};
    if (learner_needs_captions(l->type, l->config)) {
        TRY(mem_alloc(ctx, &in->captions, 1, sizeof *in->captions));
        TRY(captions_find(ctx, in->captions, l, NULL));
        in->captions->pooled = true;
        in->width = captions_size(in->captions);
    }
fail:
    return st;
}

void label_input_free(clio_context *ctx, struct label_input *in)
{
    if (in->captions)
        captions_close(ctx, in->captions);
    free(in->captions);
    tensor_free(ctx, &in->rows);
}

clio_status label_input_set_labels(clio_context *ctx, struct label_input *in, const int32_t *labels, int count)
{
    clio_status st = CLIO_OK;
    size_t width = (size_t)in->width;
    float *rows = NULL;
    TRY(learner_tensor(ctx, &in->rows, count, in->width, "labels"));
    TRY(mem_alloc(ctx, &rows, (size_t)count * width, sizeof *rows));
    for (int i = 0; i < count; i++) {
        if (labels[i] < 0 || labels[i] >= in->width)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "label %d of %d is %d, and there are %d classes", i, count, (int)labels[i], in->width);
        rows[(size_t)i * width + (size_t)labels[i]] = 1;
    }
    TRY(tensor_write(ctx, &in->rows, 0, (size_t)count * width, rows));
fail:
    free(rows);
    return st;
}

clio_status label_input_set_captions(clio_context *ctx, struct label_input *in, const char *const *texts, int count)
{
    clio_status st = CLIO_OK;
    TRY(learner_tensor(ctx, &in->rows, count, in->width, "captions"));
    struct tensor rows = tensor_reshape(&in->rows, 2, count, in->width, 0, 0);
    TRY(captions_encode(ctx, NULL, in->captions, &rows, texts));
fail:
    return st;
}

clio_status label_input_set(clio_context *ctx, struct label_input *in, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    if (!in->width || !batch->count)
        return CLIO_OK;
    if (in->captions)
        TRY(captions_require(ctx, batch));
    TRY(in->captions ? label_input_set_captions(ctx, in, batch->captions, batch->count)
                     : label_input_set_labels(ctx, in, batch->labels, batch->count));
fail:
    return st;
}

clio_status label_input_save(clio_context *ctx, const struct label_input *in, const char *path)
{
    return in->captions ? captions_save(ctx, in->captions, path) : CLIO_OK;
}

clio_status label_input_join(clio_context *ctx, struct arena *arena, const struct label_input *in, const struct tensor *x,
                             struct tensor *joined)
{
    clio_status st = CLIO_OK;
    *joined = *x;
    if (!in->width)
        return CLIO_OK;
    int b = x->dim[0], h = x->dim[1], w = x->dim[2], c = x->dim[3];
    struct tensor rows = tensor_reshape(&in->rows, 4, b, 1, 1, in->width), planes = tensor_shape(DTYPE_F32, 4, b, h, w, in->width);
    *joined = tensor_shape(DTYPE_F32, 4, b, h, w, c + in->width);
    TRY(tensor_take(ctx, arena, joined));
    if (h > 1 || w > 1) {
        TRY(tensor_take(ctx, arena, &planes));
        TRY(op_resize_fwd(ctx, &planes, &rows, false));
    } else {
        planes = rows;
    }
    TRY(op_concat_fwd(ctx, joined, x, &planes));
fail:
    return st;
}
