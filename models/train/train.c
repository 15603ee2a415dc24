/* train.c - the training loop; see train.h. Plots and samples are written by train_plots.c. */
#include "train_run.h"
#include "../../host/core/clock.h"
#include "../../host/core/require.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define RATE_DECAY 0.9 /* of the running mean of seconds per step */

/* ---- a step ---- */

/* A batch of the loader, its images not yet on the device. */
static struct learner_batch host_batch(const struct train_run *r, const struct batch *b)
{
    struct learner_batch out = {.count = b->count,
                                .global_count = b->global_count,
                                .first = b->global_count * r->parallel.rank / r->parallel.ranks,
                                .weight = b->global_count,
                                .images = r->images,
                                .labels = b->labels,
                                .captions = b->captions,
                                .audio = b->audio,
                                .samples = b->samples,
                                .lengths = b->lengths};
    out.images.dim[0] = b->count;
    return out;
}

/* Write a batch to the device, and weigh it. */
static clio_status upload(struct train_run *r, const struct batch *b, struct learner_batch *out)
{
    clio_status st = CLIO_OK;
    *out = host_batch(r, b);
    if (b->images)
        TRY(tensor_write(r->ctx, &out->images, 0, tensor_count(&out->images), b->images));
    if (r->plan.type->weigh) {
        TRY(learner_weigh(r->ctx, &r->learner, out, &out->weight));
        TRY(distributed_sum(r->ctx, &r->parallel, &out->weight, 1));
    }
fail:
    return st;
}

/* An error: `what` is not finite. It names the first tensor that is not, among the weights or, given the batch of a step (which then
 * changed nothing), among the step's results. */
static clio_status fail_nonfinite(struct train_run *r, const char *what, const struct learner_batch *b)
{
    clio_status st = CLIO_OK;
    struct learner *l = &r->learner;
    const char *name = NULL, *found = NULL;
    char text[200];
    double losses[LEARNER_LOSSES];
    for (int i = 0; l->type->parts[i] && !name; i++)
        TRY(parameters_nonfinite(r->ctx, &l->parameters[i], false, &name));
    if (name) {
        snprintf(text, sizeof text, "the weight %s", name);
        found = text;
    } else if (b) {
        for (int i = 0; i < LEARNER_PARTS; i++)
            l->tapes[i].examine = true;
        TRY(l->type->step(r->ctx, l, b, losses));
        for (int i = 0; i < LEARNER_PARTS && !found; i++)
            found = l->tapes[i].nonfinite[0] ? l->tapes[i].nonfinite : NULL;
    }
    FAIL(r->ctx, CLIO_ERROR_NOT_FINITE,
         "step %" PRId64
         ": %s is not a finite number; the first tensor that is not is %s: set a lower learning_rate, or clip gradients with max_grad_norm",
         r->state.step + (b != NULL), what, found ? found : "that itself");
fail:
    return st;
}

/* Add a row to a log. Losing it is not worth losing the run. */
static clio_status log_row(struct train_run *r, struct csv_log *log, const double *row)
{
    clio_status st = csv_log_add(r->ctx, log, r->state.step, row);
    if (st != CLIO_ERROR_FILE)
        return st;
    if (!r->log_failed) /* rows are in memory, and written when that is possible again */
        train_warn(r, "a row of the log could not be written, and training goes on");
    r->log_failed = true;
    return CLIO_OK;
}

/* A row of train.csv: epoch, losses, learning rate of the first part, norm of all gradients, samples per second. */
static clio_status log_step(struct train_run *r, double seconds)
{
    clio_status st = CLIO_OK;
    struct learner *l = &r->learner;
    double row[CSV_COLUMNS], squares = 0, norm;
    int n = 0;
    row[n++] = train_epoch(r);
    for (int i = 0; r->plan.type->losses[i]; i++)
        row[n++] = r->losses[i];
    row[n++] = optimizer_rate(&l->optimizers[0].options, l->optimizers[0].step - 1);
    for (int i = 0; l->type->parts[i]; i++) {
        if (!l->parameters[i].count)
            continue;
        TRY(optimizer_grad_norm(r->ctx, &l->optimizers[i], &norm));
        squares += norm * norm;
    }
    row[n++] = sqrt(squares);
    row[n++] = (double)r->plan.batch_size * r->plan.accumulate / seconds;
    TRY(log_row(r, &r->train_log, row));
fail:
    return st;
}

/* The batch b was used: the position of the run is behind it. */
static void advance(struct train_run *r, const struct batch *b)
{
    r->ends_epoch = r->ends_epoch || b->ends_epoch;
    r->state.epoch = b->epoch + b->ends_epoch;
    r->state.samples = b->ends_epoch ? 0 : b->first + (size_t)b->global_count;
}

/* One batch of an optimizer step: forward and backward, and after the last one the optimizer. sums: losses times the batch's weight are
 * added. */
static clio_status train_batch(struct train_run *r, int number, double sums[LEARNER_LOSSES], double *weight)
{
    clio_status st = CLIO_OK;
    const struct batch *b;
    struct learner_batch batch;
    const char *const *names = r->plan.type->losses;
    double losses[LEARNER_LOSSES + 1] = {0};
    TRY(loader_next(r->ctx, r->train, &b));
    TRY(upload(r, b, &batch));
    r->learner.micro_batch = number;
    TRY(learner_set_weight(r->ctx, &r->learner, batch.weight));
    TRY(r->plan.type->step(r->ctx, &r->learner, &batch, losses));
    losses[LEARNER_LOSSES] = r->ctx->cancelled; /* each process has its share of the mean: their sum is the mean */
    TRY(distributed_sum(r->ctx, &r->parallel, losses, LEARNER_LOSSES + 1));
    r->stops = losses[LEARNER_LOSSES] > 0;
    for (int j = 0; names[j]; j++) {
        if (!isfinite(losses[j]))
            TRY(fail_nonfinite(r, names[j], &batch));
        sums[j] += losses[j] * batch.weight;
    }
    *weight += batch.weight;
    advance(r, b);
fail:
    return st;
}

static clio_status train_step(struct train_run *r)
{
    clio_status st = CLIO_OK;
    double began = clock_seconds(), sums[LEARNER_LOSSES] = {0}, weight = 0;
    r->learner.step = r->state.step;
    r->ends_epoch = false;
    for (int i = 0; i < r->plan.accumulate; i++)
        TRY(train_batch(r, i, sums, &weight));
    for (int j = 0; j < LEARNER_LOSSES; j++)
        r->losses[j] = sums[j] / weight;
    r->state.step++;
    double seconds = clock_seconds() - began;
    if (train_is_first(r))
        TRY(log_step(r, seconds));
    r->seconds = r->seconds > 0 ? RATE_DECAY * r->seconds + (1 - RATE_DECAY) * seconds : r->warm ? seconds : 0;
    r->warm = true; /* the first step compiles kernels and is not counted */
    train_report(r, NULL);
    if (!r->parallel.active)
        r->stops = r->ctx->cancelled;
fail:
    return st;
}

/* ---- evaluation ---- */

static clio_status evaluate(struct train_run *r)
{
    clio_status st = CLIO_OK;
    double totals[LEARNER_LOSSES + 2] = {0}, *count = &totals[LEARNER_LOSSES], *weight = count + 1;
    char text[200], best[40] = "best so far";
    const char *const *names = r->plan.type->metrics;
    TRY(loader_seek(r->ctx, r->validation, 0, 0));
    for (size_t i = 0; i < loader_batches(r->validation); i++) {
        const struct batch *b;
        TRY(loader_next(r->ctx, r->validation, &b));
        struct learner_batch batch = host_batch(r, b);
        TRY(learner_evaluate(r->ctx, &r->learner, &batch, b->images, b->first + (size_t)batch.first, totals, weight));
        *count += b->count;
    }
    TRY(distributed_sum(r->ctx, &r->parallel, totals, LEARNER_LOSSES + 2));
    for (int j = 0; names[j]; j++) {
        totals[j] /= *weight;
        if (!isfinite(totals[j]))
            TRY(fail_nonfinite(r, names[j], NULL));
    }
    if (train_is_first(r))
        TRY(log_row(r, &r->eval_log, totals));
    bool better = r->state.best_step < 0 || (r->plan.type->higher_is_better ? totals[0] > r->state.best : totals[0] < r->state.best);
    if (better) {
        r->state.best = totals[0];
        r->state.best_step = r->state.step;
    }
    r->state.evals_without_improvement = better ? 0 : r->state.evals_without_improvement + 1;
    if (!better)
        snprintf(best, sizeof best, "best: %.5g", r->state.best);
    snprintf(text, sizeof text, "step %" PRId64 ": validation %s %.5g on %.0f %s%s (%s)", r->state.step, names[0], totals[0], *count,
             r->plan.type->takes_audio ? "recording" : "image", *count > 1 ? "s" : "", best);
    train_report(r, text);
fail:
    return st;
}

/* every: steps, or 0: at the end of each epoch. */
static bool is_due(const struct train_run *r, int64_t every)
{
    return every >= 0 && (r->state.step == r->steps || (every ? r->state.step % every == 0 : r->ends_epoch));
}

static clio_status save(struct train_run *r)
{
    clio_status st = CLIO_OK;
    if (train_is_first(r) && r->saved != r->state.step)
        TRY(checkpoint_write(r->ctx, &r->learner, &r->plan, &r->state, &r->split, r->params->out));
    r->saved = r->state.step;
fail:
    return st;
}

/* Plots and samples, after the checkpoint: a file that cannot be written is a warning. */
static clio_status write_plots(struct train_run *r, bool samples)
{
    clio_status st = CLIO_OK;
    if (!train_is_first(r))
        return CLIO_OK;
    if (samples) {
        TRY(learner_swap_ema(r->ctx, &r->learner));
        st = train_samples(r);
        if (st == CLIO_ERROR_FILE) {
            train_warn(r, "the samples could not be written");
            st = CLIO_OK;
        }
        TRY(st);
        TRY(learner_swap_ema(r->ctx, &r->learner));
    }
    if (csv_log_catch_up(r->ctx, &r->train_log) == CLIO_OK && csv_log_catch_up(r->ctx, &r->eval_log) == CLIO_OK)
        r->log_failed = false;
    TRY(train_plot(r));
fail:
    return st;
}

/* Evaluation, checkpoint and samples, as they are due after this step. *stop: early stopping. */
static clio_status after_step(struct train_run *r, bool *stop)
{
    clio_status st = CLIO_OK;
    bool evaluates = r->validation && is_due(r, r->plan.eval_steps), saves = is_due(r, r->plan.save_steps);
    bool samples = r->plan.type->sample && is_due(r, r->plan.sample_every_steps);
    if (!evaluates && !saves && !samples)
        return CLIO_OK;
    for (int i = 0; (evaluates || saves) && r->plan.type->parts[i]; i++)
        TRY(distributed_average_buffers(r->ctx, &r->parallel, &r->learner.parameters[i]));
    if (evaluates) { /* the weights that are saved for inference */
        TRY(learner_swap_ema(r->ctx, &r->learner));
        TRY(evaluate(r));
        TRY(learner_swap_ema(r->ctx, &r->learner));
    }
    *stop = evaluates && train_stops_early(r);
    if (*stop || saves || (evaluates && r->state.best_step == r->state.step))
        st = save(r);
    if (!st && (evaluates || samples))
        st = write_plots(r, samples);
    TRY(distributed_agree(r->ctx, &r->parallel, st));
fail:
    return st;
}

/* Samples of the checkpoint that is resumed, where the run was killed before it wrote them. */
static clio_status write_missed_samples(struct train_run *r)
{
    clio_status st = CLIO_OK;
    bool exist = true;
    if (r->resumes && train_is_first(r) && r->plan.type->sample && is_due(r, r->plan.sample_every_steps))
        TRY(train_samples_exist(r, &exist));
    if (!exist)
        TRY(write_plots(r, true));
fail:
    return st;
}

static clio_status run(struct train_run *r)
{
    clio_status st = CLIO_OK;
    bool early = false;
    int64_t began = r->state.step;
    char text[200];
    if (train_stops_early(r)) /* report_start said so */
        return CLIO_OK;
    TRY(write_missed_samples(r));
    while (r->state.step < r->steps && !early && !r->stops) {
        TRY(train_step(r));
        TRY(after_step(r, &early));
    }
    if (r->stops && r->state.step < r->steps)
        TRY(save(r));
    TRY(write_plots(r, false));
    if (r->stops && r->state.step < r->steps)
        FAIL(r->ctx, CLIO_ERROR_CANCELLED, "stopped after step %" PRId64 ", which is saved: resume the run to go on from there",
             r->state.step);
    if (early) {
        snprintf(text, sizeof text,
                 "early stopping after step %" PRId64 ": no improvement in %d evaluations; the best checkpoint is step %" PRId64,
                 r->state.step, r->plan.early_stopping_patience, r->state.best_step);
        train_report(r, text);
    }
    if (r->parallel.active && r->state.step > began) {
        snprintf(text, sizeof text, "%d processes spent %.2g s per step in the all-reduce of gradients", r->parallel.ranks,
                 r->parallel.seconds / (double)(r->state.step - began));
        train_report(r, text);
    }
fail:
    return st;
}

void clio_train_rank(int *rank, int *ranks)
{
    int started[2];
    distributed_started(&started[0], &started[1]);
    if (rank)
        *rank = started[0];
    if (ranks)
        *ranks = started[1];
}

static clio_status check_params(clio_context *ctx, struct caller at, const clio_train_params *params)
{
    clio_status st = CLIO_OK;
    REQUIRE_AT(ctx, at, ctx, "ctx");
    REQUIRE_AT(ctx, at, params, "params");
    TRY(require_text_or_null(ctx, at, params->model, "params.model"));
    REQUIRE_THAT(ctx, at, params->model || params->resume, "params.model is NULL, and params.resume is 0");
    TRY(require_text(ctx, at, params->data, "params.data"));
    TRY(require_text(ctx, at, params->out, "params.out"));
    TRY(require_text_or_null(ctx, at, params->settings, "params.settings"));
    TRY(require_text_or_null(ctx, at, params->overrides, "params.overrides"));
fail:
    return st;
}

clio_status clio_train(clio_context *ctx, const clio_train_params *params)
{
    clio_status st = check_params(ctx, CALLER, params);
    struct train_run r = {.ctx = ctx, .params = params};
    if (st)
        return st;
    ctx->cancelled = 0;
    TRY(context_need_device(ctx));
    TRY(distributed_open(ctx, &r.parallel));
    TRY(distributed_agree(ctx, &r.parallel, train_open(&r)));
    ctx->whole_steps = true;
    TRY(run(&r));
fail:
    ctx->whole_steps = false;
    train_close(&r, st != CLIO_OK);
    distributed_close(&r.parallel, st == CLIO_OK || st == CLIO_ERROR_CANCELLED);
    return st;
}
