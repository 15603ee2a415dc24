/* train_status.c - report progress to the caller of clio_train. */
#include "train_run.h"

bool train_is_first(const struct train_run *r)
{
    return r->parallel.rank == 0;
}

void train_report(struct train_run *r, const char *event)
{
    clio_train_status status = {.step = r->state.step,
                                .steps = r->steps,
                                .epoch = (double)r->state.epoch + (double)r->state.batch / (double)r->epoch_batches,
                                .names = r->plan.type->losses,
                                .losses = r->losses,
                                .event = event};
    while (status.names[status.count])
        status.count++;
    if (r->seconds > 0) {
        status.samples_per_second = (double)r->plan.batch_size * r->plan.accumulate / r->seconds;
        status.seconds_left = (double)(r->steps - r->state.step) * r->seconds;
    }
    if (train_is_first(r) && r->params->on_status && r->params->on_status(r->params->user, &status))
        r->ctx->cancelled = 1;
}
