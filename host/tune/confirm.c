/* confirm.c - confirmation runs: the parameters found by the search against the shipped ones. Both sets of tensors are prepared, and each
 * case runs alternately with one and the other, in pairs, so that other load on the machine affects both. The ratio of a pair is that of
 * the total time: all cases weighted by their calls, all workloads by their runs.
 *
 * First each changed step is reverted alone, the last one first, and then each of its parameters; a change without a gain is removed. Then
 * the remaining changes are measured together, over all cases, against the shipped parameters; without a gain all are removed. Changes that
 * could not be confirmed within the time limit are removed, too: the result is never worse than the default. */
#include "tune.h"
#include "../core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAIN 0.98       /* largest ratio of times that counts as a gain */
#define PART_SHARE 0.85 /* of the time limit, for the single steps; the rest is for all changes together */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, size_t count)
{
    double sorted[TUNE_PAIRS];
    count = MIN(count, TUNE_PAIRS);
    memcpy(sorted, x, count * sizeof *x);
    qsort(sorted, count, sizeof *sorted, by_value);
    return count ? sorted[count / 2] : INFINITY;
}

bool tune_is_gain(const double *ratios, size_t count)
{
    size_t faster = 0;
    for (size_t i = 0; i < count; i++)
        faster += ratios[i] < 1;
    return count >= TUNE_PAIRS && faster + 1 >= count && median(ratios, count) < GAIN;
}

struct totals {
    double first[TUNE_PAIRS], second[TUNE_PAIRS];
};

/* One case, all pairs. *done false: one set cannot run it, or the second one gives a wrong result. */
static clio_status pair_case(struct tune_search *s, const struct tune_set *sets[2], const struct tune_case *c,
                             double seconds[2][TUNE_PAIRS], bool *done)
{
    clio_status st = CLIO_OK;
    struct tune_bench b[2] = {{0}, {0}};
    char why[128];
    *done = false;
    for (int side = 0; side < 2; side++) {
        double unused;
        TRY(tune_apply(s, sets[side]));
        TRY(tune_bench_open(s->ctx, &b[side], c));
        TRY(tune_bench_check(s->ctx, &b[side], done, why));
        if (side == 1 && !*done)
            goto fail;                        /* st is CLIO_OK */
        TRY(tune_time(s, &b[side], &unused)); /* warm */
    }
    for (int pair = 0; pair < TUNE_PAIRS; pair++)
        for (int turn = 0; turn < 2; turn++) {
            int side = (pair + turn) % 2; /* alternate which one is first */
            TRY(tune_apply(s, sets[side]));
            TRY(tune_time(s, &b[side], &seconds[side][pair]));
        }
    *done = true;
fail:
    tune_bench_close(s->ctx, &b[0]);
    tune_bench_close(s->ctx, &b[1]);
    return st;
}

/* All cases of `cases`. is_faster stays false without a gain, after a wrong result or a failed call, or if the time is up. */
static clio_status confirm_cases(struct tune_search *s, const struct tune_set *first, const struct tune_set *second, int cases,
                                 double until, struct tune_confirmation *result)
{
    clio_status st = CLIO_OK;
    const struct tune_set *sets[2] = {first, second};
    struct totals totals = {{0}, {0}};
    double seconds[2][TUNE_PAIRS], ratios[TUNE_PAIRS];
    char why[128];
    bool right = true;
    result->is_faster = false;
    result->gain = 1;
    for (size_t i = 0; i < TUNE_CASES; i++)
        result->first[i] = result->second[i] = -1;
    st = tune_verify(s, second, cases, &right, why);
    for (size_t i = 0; !st && right && i < s->plan->case_count; i++) {
        const struct tune_case *c = &s->plan->cases[i];
        double weight = c->work < 0 ? 0 : c->calls * s->plan->workloads[c->work].runs;
        if (c->work < 0 || !(c->decides & cases))
            continue;
        if (clock_seconds() - s->started > until) {
            s->out_of_time = true;
            return CLIO_OK;
        }
        st = pair_case(s, sets, c, seconds, &right);
        if (st == CLIO_ERROR_MEMORY && !s->ctx->is_lost) { /* too large for this device: skip the case */
            st = CLIO_OK;
            right = true;
            continue;
        }
        for (int pair = 0; !st && right && pair < TUNE_PAIRS; pair++) {
            totals.first[pair] += weight * seconds[0][pair];
            totals.second[pair] += weight * seconds[1][pair];
        }
        if (!st && right) {
            result->first[i] = median(seconds[0], TUNE_PAIRS);
            result->second[i] = median(seconds[1], TUNE_PAIRS);
        }
    }
    if (st && !tune_can_continue(s, st))
        return st;
    if (st || !right)
        return CLIO_OK;
    for (int pair = 0; pair < TUNE_PAIRS; pair++)
        ratios[pair] = totals.first[pair] > 0 ? totals.second[pair] / totals.first[pair] : 1;
    result->is_faster = tune_is_gain(ratios, TUNE_PAIRS);
    result->gain = 1 / median(ratios, TUNE_PAIRS);
    return CLIO_OK;
}

static bool has_key(const struct tune_step *step, const char *key)
{
    for (int k = 0; k < TUNE_TOGETHER && step->parameters[k].key; k++)
        if (!strcmp(step->parameters[k].key, key))
            return true;
    return false;
}

/* s->best with the keys of the step reverted, or only key number `only`; returns how many changed. */
static size_t revert(const struct tune_search *s, const struct tune_step *step, size_t only, struct tune_set *without)
{
    size_t changed = 0;
    *without = s->best;
    for (size_t i = 0; i < s->key_count; i++)
        if (*s->best.value[i] && has_key(step, s->keys[i]) && (only == TUNE_KEYS || i == only)) {
            changed++;
            *without->value[i] = 0;
        }
    return changed;
}

/* A process may crash here as in the search, with a combination that was not tried before. But it may also have been killed by someone, so
 * a combination is rejected without a run only after two processes died during it. */
static clio_status confirm_step(struct tune_search *s, const struct tune_step *step, const struct tune_set *without,
                                struct tune_confirmation *result)
{
    clio_status st = CLIO_OK;
    char name[TUNE_NAME];
    int at = snprintf(name, sizeof name, "confirm %s:", step->name);
    for (size_t i = 0; i < s->key_count && at < TUNE_NAME - 80; i++)
        if (*s->best.value[i])
            at += snprintf(name + at, sizeof name - (size_t)at, "%s%s=%s", *without->value[i] ? " " : " ?", s->keys[i], s->best.value[i]);
    const struct tune_entry *known = tune_state_find(&s->state, name);
    result->is_faster = false;
    if (known && known->result.outcome == TUNE_DIED && known->tries > 1)
        return CLIO_OK;
    TRY(tune_state_begin(s->user, &s->state, name));
    st = confirm_cases(s, without, &s->best, step->cases, PART_SHARE * s->plan->time_limit, result);
    if (st)
        tune_state_drop(s->user, &s->state, name); /* report the first error */
    else
        st = tune_state_drop(s->user, &s->state, name);
fail:
    return st;
}

/* Keep the keys of the step, or only one of them, if that is a gain; or if the other values need them. *changed: how many there were. */
static clio_status settle(struct tune_search *s, const struct tune_step *step, size_t only, double gains[TUNE_KEYS], size_t *changed)
{
    clio_status st = CLIO_OK;
    struct tune_set without;
    struct tune_confirmation result;
    bool valid;
    *changed = revert(s, step, only, &without);
    if (!*changed)
        return CLIO_OK;
    TRY(tune_progress(s));
    TRY(tune_is_valid(s, &without, &valid));
    if (!valid)
        return CLIO_OK;
    TRY(confirm_step(s, step, &without, &result));
    for (size_t i = 0; i < s->key_count; i++)
        if (strcmp(s->best.value[i], without.value[i]) != 0)
            gains[i] = result.is_faster ? result.gain : 1;
    if (!result.is_faster)
        s->best = without;
fail:
    return st;
}

clio_status tune_confirm(struct tune_search *s, double gains[TUNE_KEYS], struct tune_confirmation *whole)
{
    clio_status st = CLIO_OK;
    const struct tune_set shipped = {{{0}}};
    size_t changes = 0;
    *whole = (struct tune_confirmation){.gain = 1};
    for (size_t i = 0; i < TUNE_KEYS; i++)
        gains[i] = 1;
    for (size_t i = s->plan->step_count; i-- > 0;) {
        const struct tune_step *step = &s->plan->steps[i];
        if (!tune_is_for(s, step))
            continue;
        snprintf(s->doing, sizeof s->doing, "confirming %s", step->name);
        s->done = s->total * (1 - 0.4 * (double)(i + 2) / (double)(s->plan->step_count + 2));
        TRY(settle(s, step, TUNE_KEYS, gains, &changes));
        for (size_t key = 0; changes > 1 && key < s->key_count; key++) {
            size_t one;
            TRY(settle(s, step, key, gains, &one));
        }
    }
    changes = 0;
    for (size_t i = 0; i < s->key_count; i++)
        changes += *s->best.value[i] != 0;
    if (changes) {
        snprintf(s->doing, sizeof s->doing, "confirming all changes");
        TRY(confirm_cases(s, &shipped, &s->best, TUNE_EVERYTHING, s->plan->time_limit, whole));
        if (!whole->is_faster)
            s->best = shipped;
    }
fail:
    return st;
}
