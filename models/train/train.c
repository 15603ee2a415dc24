/* train.c - the loop of training; see train.h. What a run leaves for people to look at is train_files.c. */
#include "train_run.h"
#include "../../host/core/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define RATE_SPAN 0.9 /* of the running mean of seconds a step */

/* ---- a step ---- */

/* A batch to the device. */
static clio_status upload(struct train_run *r, const struct batch *b, struct learner_batch *out)
{
    clio_status st = CLIO_OK;
    *out = (struct learner_batch){.count = b->count,
                                  .global_count = b->global_count,
                                  .first = b->global_count * r->parallel.rank / r->parallel.ranks,
                                  .images = r->images,
                                  .labels = b->labels,
                                  .captions = b->captions,
                                  .audio = b->audio,
                                  .samples = b->samples,
                                  .lengths = b->lengths};
    out->images.dim[0] = b->count;
    if (b->images)
        TRY(tensor_write(r->ctx, &out->images, 0, tensor_count(&out->images), b->images));
fail:
    return st;
}

/* `what` came out not finite: say which tensor was that first, of the weights or, where there is the batch of a step (which then changed
 * nothing), of what was computed from it. */
static clio_status explain(struct train_run *r, const char *what, const struct learner_batch *b)
{
    clio_status st = CLIO_OK;
    struct learner *l = &r->learner;
    const char *name = NULL, *found = NULL;
    char text[200];
    double again[LEARNER_LOSSES];
    for (int i = 0; l->kind->parts[i] && !name; i++)
        TRY(parameters_nonfinite(r->ctx, &l->parameters[i], false, &name));
    if (name) {
        snprintf(text, sizeof text, "the weight %s", name);
        found = text;
    } else if (b) {
        for (int i = 0; i < LEARNER_PARTS; i++)
            l->tapes[i].examine = true;
        TRY(l->kind->step(r->ctx, l, b, again));
        for (int i = 0; i < LEARNER_PARTS && !found; i++)
            found = l->tapes[i].nonfinite[0] ? l->tapes[i].nonfinite : NULL;
    }
    FAIL(r->ctx, CLIO_ERROR_ARGUMENT,
         "step %" PRId64
         ": %s is not a finite number; the first tensor that is not is %s: use a lower learning rate (--set learning_rate=X) or "
         "clip gradients (--set max_grad_norm=1)",
         r->state.step + (b != NULL), what, found ? found : "that itself");
fail:
    return st;
}

/* A row of train.csv: epoch, losses, learning rate of the first part, norm of all gradients, samples per second. */
static clio_status log_step(struct train_run *r, double seconds)
{
    clio_status st = CLIO_OK;
    struct learner *l = &r->learner;
    double row[TABLE_COLUMNS], squares = 0, norm;
    int n = 0;
    row[n++] = (double)r->state.epoch + (double)r->state.batch / (double)r->epoch_batches;
    for (int i = 0; r->plan.kind->losses[i]; i++)
        row[n++] = r->losses[i];
    row[n++] = optimizer_rate(&l->optimizers[0].options, l->optimizers[0].step - 1);
    for (int i = 0; l->kind->parts[i]; i++) {
        if (!l->parameters[i].count)
            continue;
        TRY(optimizer_grad_norm(r->ctx, &l->optimizers[i], &norm));
        squares += norm * norm;
    }
    row[n++] = sqrt(squares);
    row[n++] = (double)r->plan.batch_size * r->plan.accumulate / seconds;
    TRY(csv_log_add(r->ctx, &r->train_log, r->state.step, row));
fail:
    return st;
}

static clio_status make_step(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct batch *b;
    struct learner_batch batch;
    double began = clock_seconds(), losses[LEARNER_LOSSES + 1] = {0};
    const char *const *names = r->plan.kind->losses;
    memset(r->losses, 0, sizeof r->losses);
    r->learner.step = r->state.step;
    for (int i = 0; i < r->plan.accumulate; i++) {
        TRY(loader_next(r->ctx, r->train, &b));
        TRY(upload(r, b, &batch));
        r->learner.micro_batch = i;
        TRY(r->plan.kind->step(r->ctx, &r->learner, &batch, losses));
        losses[LEARNER_LOSSES] = r->ctx->cancelled; /* parts of means over all: their sums are the means */
        TRY(distributed_sum(r->ctx, &r->parallel, losses, LEARNER_LOSSES + 1));
        r->stops = losses[LEARNER_LOSSES] > 0;
        for (int j = 0; names[j]; j++) {
            if (!isfinite(losses[j]))
                TRY(explain(r, names[j], &batch));
            r->losses[j] += losses[j] / r->plan.accumulate;
        }
    }
    r->state.step++;
    r->state.epoch = b->epoch + (b->index + 1 == r->epoch_batches);
    r->state.batch = b->index + 1 == r->epoch_batches ? 0 : b->index + 1;
    if (train_is_first(r))
        TRY(log_step(r, clock_seconds() - began));
    double took = clock_seconds() - began;
    r->seconds = r->seconds > 0 ? RATE_SPAN * r->seconds + (1 - RATE_SPAN) * took : r->warm ? took : 0;
    r->warm = true; /* the first step compiles kernels: it says nothing about the others */
    train_report(r, NULL);
    if (!r->parallel.active)
        r->stops = r->ctx->cancelled;
fail:
    return st;
}

/* ---- looking ---- */

static clio_status measure(struct train_run *r)
{
    clio_status st = CLIO_OK;
    double sums[LEARNER_LOSSES + 1] = {0}, part[LEARNER_LOSSES], *count = &sums[LEARNER_LOSSES];
    char text[200], more[40] = "";
    const char *const *names = r->plan.kind->metrics;
    TRY(loader_seek(r->ctx, r->validation, 0, 0));
    for (size_t i = 0; i < loader_batches(r->validation); i++) {
        const struct batch *b;
        struct learner_batch batch;
        memset(part, 0, sizeof part);
        TRY(loader_next(r->ctx, r->validation, &b));
        TRY(upload(r, b, &batch));
        TRY(r->plan.kind->evaluate(r->ctx, &r->learner, &batch, UINT64_MAX - i, part));
        for (int j = 0; names[j]; j++)
            sums[j] += part[j];
        *count += b->count;
    }
    TRY(distributed_sum(r->ctx, &r->parallel, sums, LEARNER_LOSSES + 1));
    for (int j = 0; names[j]; j++) {
        sums[j] /= *count;
        if (!isfinite(sums[j]))
            TRY(explain(r, names[j], NULL));
    }
    if (train_is_first(r))
        TRY(csv_log_add(r->ctx, &r->eval_log, r->state.step, sums));
    bool better = r->state.best_step < 0 || (r->plan.kind->higher_is_better ? sums[0] > r->state.best : sums[0] < r->state.best);
    if (better) {
        r->state.best = sums[0];
        r->state.best_step = r->state.step;
    }
    r->state.evals_without_gain = better ? 0 : r->state.evals_without_gain + 1;
    if (!better)
        snprintf(more, sizeof more, " (best: %.5g)", r->state.best);
    snprintf(text, sizeof text, "step %" PRId64 ": %s %.5g on %.0f validation %s%s", r->state.step, names[0], sums[0], *count,
             r->plan.kind->takes_audio ? "sounds" : "images", better ? ", the best so far" : more);
    train_report(r, text);
fail:
    return st;
}

static bool is_due(const struct train_run *r, int64_t every)
{
    int64_t epoch = MAX(1, (int64_t)r->epoch_batches / r->plan.accumulate);
    return every >= 0 && (r->state.step == r->steps || r->state.step % (every ? every : epoch) == 0);
}

static clio_status save(struct train_run *r)
{
    clio_status st = CLIO_OK;
    if (train_is_first(r) && r->saved != r->state.step)
        TRY(checkpoint_write(r->ctx, &r->learner, &r->plan, &r->state, r->params->out));
    r->saved = r->state.step;
fail:
    return st;
}

static clio_status show(struct train_run *r, bool sheet)
{
    clio_status st = CLIO_OK;
    if (train_is_first(r) && sheet)
        TRY(train_samples(r));
    if (train_is_first(r))
        TRY(train_plot(r));
fail:
    return st;
}

/* Everything that comes between steps. */
static clio_status between_steps(struct train_run *r, bool *enough)
{
    clio_status st = CLIO_OK;
    bool measures = r->validation && is_due(r, r->plan.eval_steps), saves = is_due(r, r->plan.save_steps);
    bool samples = r->plan.kind->sample && is_due(r, r->plan.sample_every_steps);
    if (!measures && !saves && !samples)
        return CLIO_OK;
    for (int i = 0; (measures || saves) && r->plan.kind->parts[i]; i++)
        TRY(distributed_average_buffers(r->ctx, &r->parallel, &r->learner.parameters[i]));
    TRY(learner_swap_ema(r->ctx, &r->learner)); /* what is saved to be used is what is looked at */
    if (measures)
        TRY(measure(r));
    *enough = r->plan.early_stopping_patience > 0 && r->state.evals_without_gain >= r->plan.early_stopping_patience;
    if (measures || samples)
        st = show(r, samples);
    if (!st)
        st = learner_swap_ema(r->ctx, &r->learner);
    if (!st && (*enough || saves || (measures && r->state.best_step == r->state.step)))
        st = save(r);
    TRY(distributed_agree(r->ctx, &r->parallel, st));
fail:
    return st;
}

static clio_status run(struct train_run *r)
{
    clio_status st = CLIO_OK;
    bool enough = false;
    int64_t began = r->state.step;
    char text[200];
    while (r->state.step < r->steps && !enough && !r->stops) {
        TRY(make_step(r));
        TRY(between_steps(r, &enough));
    }
    TRY(show(r, false));
    if (r->stops && r->state.step < r->steps) {
        TRY(save(r));
        FAIL(r->ctx, CLIO_ERROR_CANCELLED, "stopped after step %" PRId64 ", which is saved: --resume goes on from there", r->state.step);
    }
    if (enough) {
        snprintf(text, sizeof text, "nothing got better in %d looks: ended after step %" PRId64 "; the best is that of step %" PRId64,
                 r->plan.early_stopping_patience, r->state.step, r->state.best_step);
        train_report(r, text);
    }
    if (r->parallel.active && r->state.step > began) {
        snprintf(text, sizeof text, "%d processes spent %.2g s a step in adding up gradients", r->parallel.ranks,
                 r->parallel.seconds / (double)(r->state.step - began));
        train_report(r, text);
    }
fail:
    return st;
}

void clio_train_rank(int *rank, int *ranks)
{
    distributed_started(rank, ranks);
}

clio_status clio_train(clio_context *ctx, const clio_train_params *params)
{
    clio_status st = CLIO_OK;
    struct train_run r = {.ctx = ctx, .params = params};
    ctx->cancelled = 0;
    if (!params || !params->data || !params->out)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "training needs a folder of data and a folder to write to");
    TRY(context_need_device(ctx));
    TRY(distributed_open(ctx, &r.parallel));
    TRY(distributed_agree(ctx, &r.parallel, train_open(&r)));
    ctx->whole_steps = true;
    TRY(run(&r));
fail:
    ctx->whole_steps = false;
    train_close(&r);
    distributed_close(&r.parallel, st == CLIO_OK || st == CLIO_ERROR_CANCELLED);
    return st;
}
