/* train_plots.c - plots of losses and metrics, and image grids of samples. */
#include "../plot/image_grid.h"
#include "../plot/plot.h"
#include "train_run.h"
#include "../learners/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- plots ---- */

/* Columns first .. first + count - 1 of the log over the step. */
static clio_status draw_log(struct train_run *r, const struct csv_log *t, int first, int count, const char *title, const char *file)
{
    clio_status st = CLIO_OK;
    struct plot_series series[CSV_COLUMNS] = {0};
    struct plot plot = {.title = title, .x_label = "step", .series = series, .count = (size_t)count};
    struct image image = {0};
    char *path = NULL;
    for (int i = 0; i < count; i++)
        series[i] = (struct plot_series){.name = t->names[first + i], .x = t->values[0], .y = t->values[1 + first + i], .count = t->count};
    TRY(plot_draw(r->ctx, &image, &plot));
    TRY(file_join(r->ctx, &path, r->params->out, file));
    TRY(image_write(r->ctx, &image, path, NULL));
fail:
    image_free(&image);
    free(path);
    return st;
}

clio_status train_plot(struct train_run *r)
{
    clio_status st = CLIO_OK;
    char title[100];
    int losses = 0;
    while (r->plan.type->losses[losses])
        losses++;
    snprintf(title, sizeof title, "%s: training loss", r->plan.type->name);
    TRY(draw_log(r, &r->train_log, 1, losses, title, "train.png"));
    snprintf(title, sizeof title, "%s: validation", r->plan.type->name);
    if (r->validation)
        TRY(draw_log(r, &r->eval_log, 0, r->eval_log.columns, title, "eval.png"));
fail:
    return st;
}

/* ---- image grids ---- */

/* Validation images (training images without a validation split), each beside its reconstruction. */
static clio_status reconstruct(struct train_run *r, struct sheet *grid, float *pixels, size_t one)
{
    clio_status st = CLIO_OK;
    struct learner *l = &r->learner;
    struct loader *from = r->validation ? r->validation : r->train;
    const struct batch *b;
    float *latents = NULL, *decoded = NULL;
    int n;
    TRY(loader_seek(r->ctx, from, 0, 0));
    TRY(loader_next(r->ctx, from, &b));
    n = MAX(1, MIN(grid->count / 2, b->count));
    TRY(mem_alloc(r->ctx, &latents, (size_t)n * (size_t)MAX(l->latent, 1), sizeof *latents));
    TRY(mem_alloc(r->ctx, &decoded, (size_t)n * one, sizeof *decoded));
    TRY(l->type->encode(r->ctx, l, n, b->images, b->labels, latents));
    TRY(l->type->sample(r->ctx, l, n, latents, b->labels, decoded));
    for (size_t i = 0; i < (size_t)n * one; i++) {
        size_t image = i / one;
        pixels[2 * image * one + i % one] = b->images[i];
        pixels[(2 * image + 1) * one + i % one] = decoded[i];
    }
    grid->count = 2 * n;
    for (grid->columns = 2; grid->columns * grid->columns < grid->count;) /* both of a pair in one row */
        grid->columns += 2;
    if (from == r->train)
        TRY(loader_seek(r->ctx, from, r->state.epoch, r->state.batch));
fail:
    free(decoded);
    free(latents);
    return st;
}

clio_status train_samples(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &r->shape;
    size_t one = (size_t)s->height * (size_t)s->width * (size_t)s->channels;
    struct sheet grid = {.count = r->plan.num_samples,
                         .height = s->height,
                         .width = s->width,
                         .channels = s->channels,
                         .low = r->plan.type->unit_range ? 0 : -1,
                         .high = 1};
    struct image image = {0};
    float *pixels = NULL;
    char *path = NULL, name[64];
    TRY(mem_alloc(r->ctx, &pixels, (size_t)MAX(grid.count, 2) * one, sizeof *pixels));         /* a reconstruction has two images */
    grid.columns = learner_labels(&r->learner) > 1 ? MIN(learner_labels(&r->learner), 16) : 0; /* a column for each label */
    if (r->plan.type->has_latents)
        TRY(learner_sample(r->ctx, &r->learner, grid.count, r->plan.seed, NULL, pixels));
    else
        TRY(reconstruct(r, &grid, pixels, one));
    grid.pixels = pixels;
    TRY(image_grid_draw(r->ctx, &image, &grid));
    snprintf(name, sizeof name, "samples/step-%08" PRId64 ".png", r->state.step);
    TRY(file_join(r->ctx, &path, r->params->out, name));
    TRY(image_write(r->ctx, &image, path, NULL));
fail:
    image_free(&image);
    free(path);
    free(pixels);
    return st;
}
