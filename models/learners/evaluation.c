/* evaluation.c - metrics of a batch. Its noise (the latents of a VAE, the timesteps of a diffusion model) depends on the positions of its
 * samples in the split alone: metrics do not depend on the batch size, or on the number of processes, but for rounding. */
#include "learner.h"

#define BLOCK 64 /* samples that share a stream of noise */

clio_status learner_evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const float *pixels, size_t position,
                             double *totals, double *weight)
{
    clio_status st = CLIO_OK;
    size_t one = (size_t)learner_pixels(l);
    for (int at = 0, n; at < batch->count; at += n) {
        size_t first = position + (size_t)at;
        double part[LEARNER_LOSSES] = {0}, own;
        struct learner_batch b = *batch;
        n = (int)MIN((size_t)(batch->count - at), BLOCK - first % BLOCK);
        b.count = b.global_count = n;
        b.first = (int)(first % BLOCK);
        b.labels = batch->labels ? batch->labels + at : NULL;
        b.captions = batch->captions ? batch->captions + at : NULL;
        b.audio = batch->audio ? batch->audio + (size_t)at * batch->samples : NULL;
        b.lengths = batch->lengths ? batch->lengths + at : NULL;
        b.images.dim[0] = n;
        if (pixels)
            TRY(tensor_write(ctx, &b.images, 0, (size_t)n * one, pixels + (size_t)at * one));
        TRY(learner_weigh(ctx, l, &b, &own));
        TRY(l->type->evaluate(ctx, l, &b, UINT64_MAX - first / BLOCK, part));
        for (int i = 0; l->type->metrics[i]; i++)
            totals[i] += part[i];
        *weight += own;
    }
fail:
    return st;
}
