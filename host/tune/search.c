/* search.c - the search: step by step from the best set so far. Each candidate is verified, then measured, and recorded in the journal.
 *
 * It uses its own context on the user's device. If a candidate loses the device, that context is created again and the user's is not
 * affected. Times are wall-clock times of calls that are queued together until they take some milliseconds; the shortest of several runs
 * counts, the one with the least disturbance. confirm.c decides whether a gain is real. */
#include "tune.h"
#include "../core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 4
#define RUN_SECONDS 0.008
#define BETTER 0.99      /* largest share of the best time that replaces the best */
#define SEARCH_SHARE 0.6 /* of the time limit; the rest is for confirmation runs */

/* ---- context ---- */

/* Building kernels reports its own progress; the user gets that of the search instead. */
static int forward(void *user, const char *what, double done, double total)
{
    struct tune_search *s = user;
    (void)what, (void)done, (void)total;
    return context_progress(s->user, s->doing, s->done, s->total) != CLIO_OK;
}

clio_status tune_progress(struct tune_search *s)
{
    return context_progress(s->user, s->doing, MIN(s->done, s->total), s->total);
}

static clio_status open_device(struct tune_search *s)
{
    clio_status st = CLIO_OK;
    char selector[16];
    const struct programs *programs = &s->user->programs;
    clio_destroy(s->ctx);
    s->ctx = clio_create();
    if (!s->ctx)
        FAIL(s->user, CLIO_ERROR_MEMORY, "the host is out of memory");
    snprintf(selector, sizeof selector, "%d", s->user->info.index);
    st = clio_set_cache(s->ctx, programs->cache_folder, !programs->cache_disabled);
    clio_set_memory_limit(s->ctx, s->user->memory_limit);
    clio_set_progress(s->ctx, forward, s);
    clio_set_notice(s->ctx, s->user->notice, s->user->notice_user);
    if (!st)
        st = clio_device_open(s->ctx, selector);
    if (!st)
        st = params_open_shipped(s->ctx);
    if (st)
        FAIL(s->user, st, "%s", clio_error(s->ctx));
    s->ctx->selftests.bypassed = true; /* candidates are verified here; a self-test would replace a wrong one by another family */
fail:
    return st;
}

bool tune_is_for(const struct tune_search *s, const struct tune_step *step)
{
    bool measured = false;
    for (size_t i = 0; i < s->plan->case_count; i++)
        measured = measured || (s->plan->cases[i].work >= 0 && (s->plan->cases[i].decides & step->cases));
    const struct device *d = &s->ctx->device;
    int device = d->simd_width == 1 ? TUNE_GPU : device_has_dots(d) ? TUNE_CPU | TUNE_DOTS : TUNE_CPU;
    return measured && (step->devices & device);
}

/* A key without a shipped row is not used on this type of device. */
static void add_key(struct tune_search *s, const char *key, int cases)
{
    const char *shipped = params_text(s->ctx, key);
    size_t i = 0;
    while (i < s->key_count && strcmp(s->keys[i], key) != 0)
        i++;
    if (i == s->key_count) {
        if (!shipped || s->key_count == TUNE_KEYS)
            return;
        s->keys[s->key_count++] = key;
        snprintf(s->shipped[i], sizeof s->shipped[i], "%s", shipped);
    }
    s->key_cases[i] |= cases;
}

clio_status tune_search_open(struct tune_search *s, clio_context *user, const struct tune_plan *plan)
{
    clio_status st = CLIO_OK;
    *s = (struct tune_search){.user = user, .plan = plan, .state = {.file = -1}, .started = clock_seconds(), .doing = "tuning"};
    TRY(context_need_device(user));
    TRY(open_device(s));
    for (size_t i = 0; i < plan->step_count; i++)
        for (int k = 0; k < TUNE_TOGETHER && tune_is_for(s, &plan->steps[i]) && plan->steps[i].parameters[k].key; k++)
            add_key(s, plan->steps[i].parameters[k].key, plan->steps[i].cases);
fail:
    return st;
}

void tune_search_close(struct tune_search *s)
{
    tune_state_close(&s->state);
    clio_destroy(s->ctx);
    s->ctx = NULL;
}

bool tune_can_continue(struct tune_search *s, clio_status st)
{
    if (st == CLIO_ERROR_CANCELLED) {
        tune_progress(s); /* sets the message in the user's context */
        return false;
    }
    if (s->ctx->is_lost)
        return open_device(s) == CLIO_OK;
    return true;
}

clio_status tune_apply(struct tune_search *s, const struct tune_set *set)
{
    clio_status st = CLIO_OK;
    TRY(params_open_shipped(s->ctx));
    for (size_t i = 0; i < s->key_count; i++)
        if (*set->value[i])
            TRY(params_add(s->ctx, "any", s->keys[i], set->value[i]));
fail:
    return st;
}

/* The same, with the parameter that is set while the step is tried. */
static clio_status apply_for(struct tune_search *s, const struct tune_set *set, const struct tune_step *step)
{
    clio_status st = CLIO_OK;
    TRY(tune_apply(s, set));
    if (step && step->with_key)
        TRY(params_add(s->ctx, "any", step->with_key, step->with_value));
fail:
    return st;
}

clio_status tune_is_valid(struct tune_search *s, const struct tune_set *set, bool *valid)
{
    clio_status st = CLIO_OK;
    *valid = true;
    TRY(tune_apply(s, set));
    for (size_t i = 0; i < s->plan->step_count; i++)
        if (s->plan->steps[i].valid && tune_is_for(s, &s->plan->steps[i]))
            *valid = *valid && s->plan->steps[i].valid(s->ctx);
fail:
    return st;
}

/* ---- one candidate ---- */

clio_status tune_time(struct tune_search *s, struct tune_bench *b, double *seconds)
{
    clio_status st = CLIO_OK;
    int times = 1;
    double start, took = 0;
    TRY(tune_progress(s));
    if (s->plan->seconds) {
        *seconds = s->plan->seconds(s->ctx, b->c);
        return CLIO_OK;
    }
    for (int done = 0;; times = MAX(2 * times, MIN((int)(1.2 * RUN_SECONDS / fmax(took / done, 1e-7)), 4096))) {
        start = clock_seconds();
        for (done = 0; done < times; done++)
            TRY(tune_bench_run(s->ctx, b));
        TRY(launch_wait(s->ctx));
        took = clock_seconds() - start;
        if (took >= RUN_SECONDS || times >= 4096)
            break;
    }
    *seconds = took / times;
fail:
    return st;
}

static double weight(const struct tune_search *s, const struct tune_case *c)
{
    return c->calls * s->plan->workloads[c->work].runs;
}

static bool decides(const struct tune_case *c, int cases)
{
    return (c->decides & cases) != 0;
}

clio_status tune_verify(struct tune_search *s, const struct tune_set *set, int cases, bool *right, char why[128])
{
    clio_status st = CLIO_OK;
    struct tune_bench b = {0};
    *right = true;
    *why = 0;
    if (set)
        TRY(tune_apply(s, set));
    for (size_t i = 0; *right && i < s->plan->case_count; i++) {
        const struct tune_case *c = &s->plan->cases[i];
        char reason[128];
        if (c->work >= 0 || !decides(c, cases))
            continue;
        TRY(tune_progress(s));
        TRY(tune_bench_open(s->ctx, &b, c));
        TRY(tune_bench_check(s->ctx, &b, right, reason));
        tune_bench_close(s->ctx, &b);
        if (!*right)
            snprintf(why, 128, "%d x %d x %d: %.80s", c->m, c->n, c->k, reason);
    }
fail:
    tune_bench_close(s->ctx, &b);
    if (st)
        *right = false;
    return st;
}

/* Factor of the best time at which a candidate is stopped: 2 at the first case, and less the more cases are measured. */
static double patience(size_t measured)
{
    return 1.1 + 0.9 / (double)(measured + 1);
}

/* One case of a candidate. limit: seconds at which it is stopped. The verification has warmed it up, so the first run counts; a short run
 * that is too slow is repeated once, since the machine may have been busy. */
static clio_status measure_case(struct tune_search *s, const struct tune_case *c, double limit, struct tune_result *r, double *seconds,
                                char why[128])
{
    clio_status st = CLIO_OK;
    struct tune_bench b = {0};
    bool right;
    TRY(tune_bench_open(s->ctx, &b, c));
    TRY(tune_bench_check(s->ctx, &b, &right, why));
    if (!right) {
        r->outcome = TUNE_WRONG;
        goto fail; /* st is CLIO_OK */
    }
    TRY(tune_time(s, &b, seconds));
    for (int run = 1; run < RUNS; run++) {
        double again;
        if ((*seconds > limit && run > 1) || run * *seconds > 0.15) /* long runs need no repetition */
            break;
        TRY(tune_time(s, &b, &again));
        *seconds = fmin(*seconds, again);
    }
    if (*seconds > limit)
        r->outcome = TUNE_SLOW;
fail:
    tune_bench_close(s->ctx, &b);
    return st;
}

static bool time_is_up(struct tune_search *s)
{
    s->out_of_time = s->out_of_time || clock_seconds() - s->started > SEARCH_SHARE * s->plan->time_limit;
    return s->out_of_time;
}

/* All cases of a step, with the parameters that are set. r->outcome is TUNE_UNTRIED if the time is up. */
static clio_status measure(struct tune_search *s, const struct tune_step *step, const struct tune_result *best, struct tune_result *r,
                           char why[128])
{
    clio_status st = CLIO_OK;
    bool right;
    size_t measured = 0;
    double spent = 0, of_best = 0; /* seconds of all calls so far */
    TRY(tune_verify(s, NULL, step->cases, &right, why));
    r->outcome = right ? TUNE_RIGHT : TUNE_WRONG;
    for (size_t i = 0; r->outcome == TUNE_RIGHT && i < s->plan->case_count; i++) {
        const struct tune_case *c = &s->plan->cases[i];
        double seconds = 0;
        if (c->work < 0 || !decides(c, step->cases) || (best && best->seconds[i] < 0))
            continue;
        of_best += best ? weight(s, c) * best->seconds[i] : 0;
        double limit = best ? (patience(measured) * of_best - spent) / weight(s, c) : INFINITY;
        st = measure_case(s, c, limit, r, &seconds, why);
        if (st == CLIO_ERROR_MEMORY && !best && !s->ctx->is_lost) { /* too large for this device: skip the case */
            st = CLIO_OK;
            continue;
        }
        TRY(st);
        r->seconds[i] = seconds;
        spent += weight(s, c) * seconds;
        measured++;
        if (r->outcome == TUNE_SLOW)
            snprintf(why, 128, "%.3g times the best's time after %zu calls", spent / of_best, measured);
        if (r->outcome == TUNE_RIGHT && time_is_up(s))
            r->outcome = TUNE_UNTRIED;
    }
fail:
    return st;
}

static void sum_up(const struct tune_search *s, struct tune_result *r)
{
    r->total = r->outcome == TUNE_RIGHT ? 0 : INFINITY;
    for (size_t i = 0; r->outcome == TUNE_RIGHT && i < s->plan->case_count; i++)
        if (r->seconds[i] >= 0)
            r->total += weight(s, &s->plan->cases[i]) * r->seconds[i];
}

static void count(struct tune_search *s, enum tune_outcome outcome)
{
    s->tried++;
    s->wrong += outcome == TUNE_WRONG;
    s->slow += outcome == TUNE_SLOW;
    s->failed += outcome == TUNE_FAILED;
    s->died += outcome == TUNE_DIED;
}

/* "STEP key=value ...", with the values that the step's cases depend on. */
static void name_of(const struct tune_search *s, const struct tune_step *step, const struct tune_set *set, char name[TUNE_NAME])
{
    int at = snprintf(name, TUNE_NAME, "%s:", step->name);
    for (size_t i = 0; i < s->key_count; i++)
        if (*set->value[i] && (s->key_cases[i] & step->cases) && at < TUNE_NAME - 80)
            at += snprintf(name + at, TUNE_NAME - (size_t)at, " %s=%s", s->keys[i], set->value[i]);
    if (step->with_key && at < TUNE_NAME - 80)
        snprintf(name + at, TUNE_NAME - (size_t)at, " with %s=%s", step->with_key, step->with_value);
}

/* Try a set, or take its outcome from the journal. is_base: the step starts from it, so it is tried even after a process died during it.
 * best: the result to beat, or NULL. */
static clio_status try_set(struct tune_search *s, const struct tune_step *step, const struct tune_set *set, bool is_base,
                           const struct tune_result *best, struct tune_result *r)
{
    clio_status st = CLIO_OK;
    char name[TUNE_NAME], why[128] = "";
    *r = (struct tune_result){.outcome = TUNE_UNTRIED, .total = INFINITY};
    for (size_t i = 0; i < TUNE_CASES; i++)
        r->seconds[i] = -1;
    name_of(s, step, set, name);
    const struct tune_entry *known = tune_state_find(&s->state, name);
    if (known && known->result.outcome != TUNE_UNTRIED && !(is_base && known->result.outcome == TUNE_DIED)) {
        *r = known->result;
        sum_up(s, r);
        count(s, r->outcome);
        return CLIO_OK;
    }
    if (time_is_up(s))
        return CLIO_OK;
    TRY(apply_for(s, set, step));
    TRY(tune_state_begin(s->user, &s->state, name));
    st = measure(s, step, best, r, why);
    if (st) {
        if (!tune_can_continue(s, st)) {
            tune_state_drop(s->user, &s->state, name); /* report the first error */
            return st;
        }
        snprintf(why, sizeof why, "%.120s", clio_error(s->ctx));
        r->outcome = TUNE_FAILED;
    }
    sum_up(s, r);
    if (r->outcome == TUNE_UNTRIED)
        TRY(tune_state_drop(s->user, &s->state, name));
    else {
        count(s, r->outcome);
        TRY(tune_state_end(s->user, &s->state, name, r, why));
    }
fail:
    return st;
}

/* ---- steps ---- */

static int key_index(const struct tune_search *s, const char *key)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (!strcmp(s->keys[i], key))
            return (int)i;
    return -1;
}

/* Copy word number `at` of a list to out; false after the last. */
static bool word(const char *list, size_t at, char out[24])
{
    for (; at && *list; at--) {
        list += strcspn(list, " ");
        list += strspn(list, " ");
    }
    snprintf(out, 24, "%.*s", (int)MIN(strcspn(list, " "), (size_t)23), list);
    return *out != 0;
}

static size_t words(const char *list)
{
    char unused[24];
    size_t n = 0;
    while (word(list, n, unused))
        n++;
    return n;
}

static size_t combinations(const struct tune_step *step)
{
    size_t n = 1;
    for (int k = 0; k < TUNE_TOGETHER && step->parameters[k].key; k++)
        n *= words(step->parameters[k].values);
    return n;
}

/* Set combination number `at` of the values of the step in `set`; false if the device does not use one of the keys. */
static bool combine(const struct tune_search *s, const struct tune_step *step, size_t at, struct tune_set *set)
{
    for (int k = 0; k < TUNE_TOGETHER && step->parameters[k].key; k++) {
        const struct tune_parameter *p = &step->parameters[k];
        size_t n = words(p->values);
        int i = key_index(s, p->key);
        if (i < 0)
            return false;
        word(p->values, at % n, set->value[i]);
        if (!strcmp(set->value[i], s->shipped[i]))
            *set->value[i] = 0;
        at /= n;
    }
    return true;
}

static bool is_same(const struct tune_search *s, const struct tune_set *a, const struct tune_set *b)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (strcmp(a->value[i], b->value[i]) != 0)
            return false;
    return true;
}

static clio_status run_step(struct tune_search *s, const struct tune_step *step)
{
    clio_status st = CLIO_OK;
    struct tune_result best, r;
    snprintf(s->doing, sizeof s->doing, "tuning %s", step->name);
    TRY(try_set(s, step, &s->best, true, NULL, &best));
    for (size_t at = 0; at < combinations(step); at++) {
        struct tune_set set = s->best;
        bool known = combine(s, step, at, &set), same = is_same(s, &set, &s->best);
        s->done++;
        TRY(tune_progress(s));
        TRY(apply_for(s, &set, step));
        if (!known || same || (step->valid && !step->valid(s->ctx)))
            continue;
        TRY(try_set(s, step, &set, false, best.outcome == TUNE_RIGHT ? &best : NULL, &r));
        if (r.outcome == TUNE_RIGHT && (best.outcome != TUNE_RIGHT || r.total < BETTER * best.total)) {
            s->best = set;
            best = r;
        }
    }
fail:
    return st;
}

clio_status tune_search_run(struct tune_search *s)
{
    clio_status st = CLIO_OK;
    s->total = s->done = 0;
    for (size_t i = 0; i < s->plan->step_count; i++)
        if (tune_is_for(s, &s->plan->steps[i]))
            s->total += (double)combinations(&s->plan->steps[i]);
    s->total /= SEARCH_SHARE; /* the rest is for confirmation runs */
    for (size_t i = 0; i < s->plan->step_count; i++)
        if (tune_is_for(s, &s->plan->steps[i]))
            TRY(run_step(s, &s->plan->steps[i]));
fail:
    return st;
}
