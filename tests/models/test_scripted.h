/* test_scripted.h - a model type whose losses and metrics are written down in advance, to test what the training loop makes of them. The
 * test program's own learner_types has it in two forms: the lower metric is better, and the higher. It records which samples it was given.
 */
#ifndef CLIO_TEST_SCRIPTED_H
#define CLIO_TEST_SCRIPTED_H

#include "../support/folder.h"
#include "../support/test.h"

#include "../../host/core/file_tree.h"
#include "../../models/learners/settings.h"
#include "../../models/learners/types.h"
#include "../../models/train/checkpoint.h"
#include "../../models/train/csv_log.h"

#include <clio.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SCRIPT 64 /* steps at most */

static struct script {
    double loss[SCRIPT], metric[SCRIPT]; /* of step 1, 2, ...; metric: of an evaluation after it */
    double delay;                        /* seconds per batch */
    uint64_t used[1024], checked[1024];  /* hashes of the samples of training and of evaluation, in their order */
    size_t used_count, checked_count;
    /* what on_status was told */
    char events[16384];
    int64_t steps[SCRIPT], stop_at, of;
    size_t step_count;
    double rates[SCRIPT], epochs[SCRIPT], times[SCRIPT];
} script;

/* An empty script: losses and metrics 1. */
static inline void begin_script(void)
{
    memset(&script, 0, sizeof script);
    for (int i = 0; i < SCRIPT; i++)
        script.loss[i] = script.metric[i] = 1;
}

struct scripted {
    struct tensor w;
};

static inline clio_status scripted_open(clio_context *context, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct scripted *s;
    const float one = 1;
    TRY(mem_alloc(context, &s, 1, sizeof *s));
    l->state = s;
    s->w = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(tensor_new(context, &s->w, "test"));
    TRY(tensor_write(context, &s->w, 0, 1, &one));
    TRY(parameters_add(context, &l->parameters[0], "w", 1, (int[]){1}, &s->w, NULL, false, true));
fail:
    return st;
}

static inline void scripted_close(clio_context *context, struct learner *l)
{
    tensor_free(context, &((struct scripted *)l->state)->w);
    free(l->state);
}

static inline clio_status scripted_init(clio_context *context, struct learner *l, uint64_t seed)
{
    (void)context, (void)l, (void)seed;
    return CLIO_OK;
}

static inline clio_status note_samples(clio_context *context, const struct learner_batch *b, uint64_t *list, size_t *count)
{
    clio_status st = CLIO_OK;
    size_t one = tensor_count(&b->images) / (size_t)MAX(b->images.dim[0], 1);
    float *x = NULL;
    TRY(mem_alloc(context, &x, one * (size_t)b->count, sizeof *x));
    TRY(tensor_read(context, &b->images, 0, one * (size_t)b->count, x));
    for (int i = 0; i < b->count && *count < 1024; i++)
        list[(*count)++] = mem_hash(MEM_HASH_START, x + (size_t)i * one, one * sizeof *x);
fail:
    free(x);
    return st;
}

/* The loss is that of the step; the optimizer makes a step on w, whose square is the loss that it sees. */
static inline clio_status scripted_step(clio_context *context, struct learner *l, const struct learner_batch *batch, double *losses)
{
    clio_status st = CLIO_OK;
    struct scripted *s = l->state;
    struct tape *tape = &l->tapes[0];
    struct tensor loss = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(note_samples(context, batch, script.used, &script.used_count));
    TRY(tensor_new(context, &loss, "test"));
    TRY(tape_start(context, tape));
    TRY(learner_watch(context, l, tape, 0));
    TRY(op_loss_fwd(context, &tape->arena, &loss, &s->w, NULL, (struct loss_args){.loss = LOSS_MSE, .scale = 1}, false));
    tape_pause(context);
    TRY(learner_backward(context, l, tape, 0, &loss));
    nanosleep(&(struct timespec){.tv_nsec = (long)(script.delay * 1e9)}, NULL);
    losses[0] = script.loss[l->step];
fail:
    tape_pause(context);
    tape_reset(tape);
    tensor_free(context, &loss);
    return st;
}

static inline clio_status scripted_evaluate(clio_context *context, struct learner *l, const struct learner_batch *batch, uint64_t stream,
                                            double *totals)
{
    (void)stream;
    totals[0] = script.metric[l->step] * batch->count;
    return note_samples(context, batch, script.checked, &script.checked_count);
}

static const struct learner_setting scripted_settings[] = {{0}};
static const char *const scripted_parts[] = {"net", NULL};
static const char *const scripted_losses[] = {"loss", NULL};
static const char *const scripted_metrics[] = {"metric", NULL};
#define SCRIPTED                                                                                                                           \
    .settings = scripted_settings, .parts = scripted_parts, .losses = scripted_losses, .metrics = scripted_metrics, .unit_range = true,    \
    .summary = "scripted", .open = scripted_open, .close = scripted_close, .init = scripted_init, .step = scripted_step,                   \
    .evaluate = scripted_evaluate
static const struct learner_type scripted_low = {.name = "low", SCRIPTED};
static const struct learner_type scripted_high = {.name = "high", .higher_is_better = true, SCRIPTED};
/* In the place of models/learners/types.c. */
const struct learner_type *const learner_types[] = {&scripted_low, &scripted_high, &learner_classifier, NULL};
const struct learner_type *learner_type_find(const char *name)
{
    for (const struct learner_type *const *k = learner_types; name && *k; k++)
        if (!strcmp((*k)->name, name))
            return *k;
    return NULL;
}

static inline double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int scripted_status(void *user, const clio_train_status *s)
{
    size_t used = strlen(script.events);
    (void)user;
    script.of = s->steps;
    if (s->event) {
        snprintf(script.events + used, sizeof script.events - used, "%s\n", s->event);
        return 0;
    }
    if (script.step_count < SCRIPT) {
        script.rates[script.step_count] = s->samples_per_second;
        script.epochs[script.step_count] = s->epoch;
        script.times[script.step_count] = now_seconds();
        script.steps[script.step_count++] = s->step;
    }
    return script.stop_at == s->step;
}

static char data_folder[256], out_folder[256];

/* Paths in the test's folder. `count` images for it. */
static inline void begin_runs(int count, const char *classes)
{
    char command[900];
    snprintf(data_folder, sizeof data_folder, "%s/data", folder);
    snprintf(out_folder, sizeof out_folder, "%s/run", folder);
    snprintf(command, sizeof command, "'%s/tests/make_images' '%s' %d 16 %s", CLIO_BUILD_DIR, data_folder, count, classes);
    assert_int_equal(system(command), 0);
    begin_script();
}

static inline clio_status train_type(const char *model, const char *settings, bool resume)
{
    clio_train_params params = {
        .model = model, .data = data_folder, .out = out_folder, .settings = settings, .resume = resume, .on_status = scripted_status};
    *script.events = '\0';
    script.step_count = script.used_count = script.checked_count = 0;
    return clio_train(test_context(), &params);
}

/* path, in the output folder; of static memory. */
static inline const char *in_out(const char *name)
{
    static char path[4][600];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof *path, "%s/%s", out_folder, name);
    return path[turn];
}

static inline bool exists(const char *name)
{
    struct stat info;
    return lstat(in_out(name), &info) == 0;
}

/* "checkpoints/step-00000003", as the link has it. */
static inline void expect_link(const char *name, int64_t step)
{
    char target[200] = "", want[200], stem[CHECKPOINT_NAME_SIZE];
    ssize_t n = readlink(in_out(name), target, sizeof target - 1);
    target[MAX(n, 0)] = '\0';
    checkpoint_name(stem, step);
    snprintf(want, sizeof want, "checkpoints/%s", stem);
    assert_string_equal(target, want);
}

/* The steps that have checkpoints, "2 5 6". */
static inline void expect_steps(const char *want)
{
    struct file_names names = {0};
    char got[400] = "";
    assert_ok(file_names_read(test_context(), &names, in_out("checkpoints"), NULL));
    for (size_t i = 0; i < names.count; i++)
        if (checkpoint_step(names.list[i]) >= 0)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", *got ? " " : "", (int)checkpoint_step(names.list[i]));
    file_names_free(&names);
    assert_string_equal(got, want);
}

static inline void expect_event(const char *part)
{
    if (!strstr(script.events, part))
        fail_msg("\"%s\" was not said: %s", part, script.events);
}

static inline void expect_last_step(int64_t step)
{
    int64_t last = script.step_count ? script.steps[script.step_count - 1] : 0;
    if (last != step)
        fail_msg("the last step is %d, not %d", (int)last, (int)step);
}

#endif
