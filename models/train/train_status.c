/* train_status.c - report progress to the caller of clio_train. */
#include "train_run.h"

#include <stdio.h>

double train_epoch(const struct train_run *r)
{
    double size = (double)r->epoch_batches * r->plan.batch_size;
    return (double)r->state.epoch + (size > 0 ? (double)r->state.samples / size : 0);
}

bool train_is_first(const struct train_run *r)
{
    return r->parallel.rank == 0;
}

static void report(struct train_run *r, const char *event, bool is_warning)
{
    clio_train_status status = {.step = r->state.step,
                                .steps = r->steps,
                                .epoch = train_epoch(r),
                                .names = r->plan.type->losses,
                                .losses = r->losses,
                                .event = event,
                                .is_warning = is_warning};
    while (status.names[status.count])
        status.count++;
    if (r->seconds > 0) {
        status.samples_per_second = (double)r->plan.batch_size * r->plan.accumulate / r->seconds;
        status.seconds_left = (double)(r->steps - r->state.step) * r->seconds;
    }
    if (train_is_first(r) && r->params->on_status && r->params->on_status(r->params->user, &status))
        r->ctx->cancelled = 1;
}

void train_report(struct train_run *r, const char *event)
{
    report(r, event, false);
}

void train_report_warning(struct train_run *r, const char *event)
{
    report(r, event, true);
}

void train_warn(struct train_run *r, const char *what)
{
    char text[sizeof r->ctx->status.sentence + 200];
    snprintf(text, sizeof text, "warning: %s: %s", what, r->ctx->status.sentence);
    train_report_warning(r, text);
}
