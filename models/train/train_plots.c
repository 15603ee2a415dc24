/* train_plots.c - the images that a training run writes: plots of losses and metrics, and grids of samples with captions. */
#include "../learners/captions.h"
#include "../learners/generate.h"
#include "../plot/image_grid.h"
#include "../plot/plot.h"
#include "train_run.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- plots ---- */

static clio_status write_image(struct train_run *r, const struct image *image, const char *file)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    TRY(file_join(r->ctx, &path, r->params->out, file));
    TRY(image_write(r->ctx, image, path, NULL));
fail:
    free(path);
    return st;
}

/* All losses on one pair of axes. */
static clio_status plot_losses(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct csv_log *t = &r->train_log;
    struct plot_series series[CSV_COLUMNS] = {0};
    char title[100];
    struct plot plot = {.title = title, .x_label = "step", .y_label = "loss", .series = series};
    struct image image = {0};
    for (int i = 0; r->plan.type->losses[i]; i++, plot.count++) /* after the step and the epoch */
        series[i] = (struct plot_series){.name = r->plan.type->losses[i], .x = t->values[0], .y = t->values[2 + i], .count = t->count};
    snprintf(title, sizeof title, "%s: training loss", r->plan.type->name);
    TRY(plot_draw(r->ctx, &image, &plot));
    TRY(write_image(r, &image, "train.png"));
fail:
    image_free(&image);
    return st;
}

#define PANEL_HEIGHT 300 /* pixels, of each of several metrics */

/* Each metric on axes of its own, since their units differ; the best value of the first one is the best checkpoint. */
static clio_status plot_metrics(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct csv_log *t = &r->eval_log;
    struct plot_series series[CSV_COLUMNS] = {0};
    struct plot plots[CSV_COLUMNS] = {0};
    char title[100];
    struct image image = {0};
    snprintf(title, sizeof title, "%s: evaluation", r->plan.type->name);
    for (int i = 0; i < t->columns; i++) {
        series[i] = (struct plot_series){.x = t->values[0], .y = t->values[1 + i], .count = t->count, .exact = true};
        plots[i] = (struct plot){.title = i ? NULL : title, .x_label = "step", .y_label = t->names[i], .series = &series[i], .count = 1};
        plots[i].height = t->columns > 1 ? PANEL_HEIGHT : 0;
    }
    series[0].best = r->plan.type->higher_is_better ? PLOT_BEST_HIGHEST : PLOT_BEST_LOWEST;
    TRY(plot_draw_stacked(r->ctx, &image, plots, (size_t)t->columns));
    TRY(write_image(r, &image, "eval.png"));
fail:
    image_free(&image);
    return st;
}

/* A chart that could not be drawn or written is a warning. st: what came of it. */
static clio_status warn_of(struct train_run *r, const char *file, clio_status st)
{
    char what[PATH_MAX + 40];
    if (!st || st == CLIO_ERROR_CANCELLED)
        return st;
    snprintf(what, sizeof what, "%s/%s could not be written", r->params->out, file);
    train_warn(r, what);
    return CLIO_OK;
}

clio_status train_plot(struct train_run *r)
{
    clio_status st = CLIO_OK;
    TRY(warn_of(r, "train.png", plot_losses(r)));
    if (r->validation)
        TRY(warn_of(r, "eval.png", plot_metrics(r)));
fail:
    return st;
}

/* ---- image grids ---- */

/* Images of the validation set, or without one of the training set, and the reconstruction of each, side by side. */
static clio_status reconstruct(struct train_run *r, struct image_grid *grid, float *pixels, size_t one)
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
        TRY(train_seek(r));
fail:
    free(decoded);
    free(latents);
    return st;
}

/* The class or the prompt of each sample, in the order of learner_sample; NULL without labels. Free with free_captions. */
static clio_status caption_samples(struct train_run *r, int count, char ***out)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = dataset_info(r->data);
    int labels = learner_labels(&r->learner);
    bool has_prompts = learner_needs_captions(r->plan.type, r->learner.config);
    *out = NULL;
    if (labels < 1)
        return CLIO_OK;
    TRY(mem_alloc(r->ctx, out, (size_t)count, sizeof **out));
    for (int i = 0; i < count; i++)
        if (has_prompts)
            TRY(captions_prompt(r->ctx, &r->learner, i, &(*out)[i]));
        else if (i % labels < info->classes && info->class_names)
            TRY(mem_string(r->ctx, &(*out)[i], info->class_names[i % labels]));
fail:
    return st;
}

/* Captions of pairs from reconstruct. */
static clio_status caption_pairs(struct train_run *r, int count, char ***out)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(r->ctx, out, (size_t)count, sizeof **out));
    for (int i = 0; i < count; i++)
        TRY(mem_string(r->ctx, &(*out)[i], i % 2 ? "reconstruction" : "input"));
fail:
    return st;
}

static void free_captions(char **captions, int count)
{
    for (int i = 0; captions && i < count; i++)
        free(captions[i]);
    free(captions);
}

#define SAMPLES_NAME "samples/step-%08" PRId64 ".png"

clio_status train_samples_exist(struct train_run *r, bool *exist)
{
    clio_status st = CLIO_OK;
    char name[64], *path = NULL;
    snprintf(name, sizeof name, SAMPLES_NAME, r->state.step);
    TRY(file_join(r->ctx, &path, r->params->out, name));
    TRY(file_check_exists(r->ctx, path, exist));
fail:
    free(path);
    return st;
}

clio_status train_samples(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &r->shape;
    size_t one = (size_t)s->height * (size_t)s->width * (size_t)s->channels;
    struct image_grid grid = {.count = r->plan.num_samples,
                              .height = s->height,
                              .width = s->width,
                              .channels = s->channels,
                              .low = r->plan.type->unit_range ? 0 : -1,
                              .high = 1};
    struct image image = {0};
    float *pixels = NULL;
    char name[64], **captions = NULL, *folder = NULL;
    TRY(file_join(r->ctx, &folder, r->params->out, "samples"));
    TRY(file_make_folder(r->ctx, folder));
    TRY(mem_alloc(r->ctx, &pixels, (size_t)MAX(grid.count, 2) * one, sizeof *pixels));         /* a reconstruction has two images */
    grid.columns = learner_labels(&r->learner) > 1 ? MIN(learner_labels(&r->learner), 16) : 0; /* a column for each label */
    if (r->plan.type->has_latents) {
        TRY(learner_sample(r->ctx, &r->learner, grid.count, r->plan.seed, NULL, pixels));
        TRY(caption_samples(r, grid.count, &captions));
    } else {
        TRY(reconstruct(r, &grid, pixels, one));
        TRY(caption_pairs(r, grid.count, &captions));
    }
    grid.pixels = pixels;
    grid.captions = (const char *const *)captions;
    TRY(image_grid_draw(r->ctx, &image, &grid));
    snprintf(name, sizeof name, SAMPLES_NAME, r->state.step);
    TRY(write_image(r, &image, name));
fail:
    image_free(&image);
    free_captions(captions, grid.count);
    free(folder);
    free(pixels);
    return st;
}
