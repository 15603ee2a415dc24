/* confirm.c - the proof. What the search found is measured against what is shipped in pairs: both sides' tensors lie ready, and each case
 * is run in turn, this side first and then the other, so that whatever else the machine does falls on both. A pair's ratio is that of the
 * whole: all cases by their calls, and all works by their runs.
 *
 * First every changed step is put back alone, last one first, beside the others that are left, and then each of its parameters; what shows
 * no gain stays out. Then what is left is measured as a whole, over every case, against the shipped parameters; without a gain there
 * nothing is kept. Nor is anything that the time was too short to prove: the result is never worse than the default. */
#include "tune.h"
#include "../core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAIN 0.98       /* of the time: less is not worth a row */
#define PART_SHARE 0.85 /* of the time limit for the steps one by one; the whole gets the rest */

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

struct sums {
    double first[TUNE_PAIRS], second[TUNE_PAIRS];
};

/* One case, all pairs. *done false: it cannot be run on one of the sides, or what the second one answers is wrong. */
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
            int side = (pair + turn) % 2; /* who goes first changes */
            TRY(tune_apply(s, sets[side]));
            TRY(tune_time(s, &b[side], &seconds[side][pair]));
        }
    *done = true;
fail:
    tune_bench_close(s->ctx, &b[0]);
    tune_bench_close(s->ctx, &b[1]);
    return st;
}

/* All cases that `cases` names. Not shown: no gain, a wrong answer, a failing call, or no time. */
static clio_status prove(struct tune_search *s, const struct tune_set *first, const struct tune_set *second, int cases, double until,
                         struct tune_proof *proof)
{
    clio_status st = CLIO_OK;
    const struct tune_set *sets[2] = {first, second};
    struct sums sums = {{0}, {0}};
    double seconds[2][TUNE_PAIRS], ratios[TUNE_PAIRS];
    char why[128];
    bool right = true;
    proof->is_shown = false;
    proof->gain = 1;
    for (size_t i = 0; i < TUNE_CASES; i++)
        proof->first[i] = proof->second[i] = -1;
    st = tune_gate(s, second, cases, &right, why);
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
        if (st == CLIO_ERROR_MEMORY && !s->ctx->is_lost) { /* too large for this device: it decides nothing here */
            st = CLIO_OK;
            right = true;
            continue;
        }
        for (int pair = 0; !st && right && pair < TUNE_PAIRS; pair++) {
            sums.first[pair] += weight * seconds[0][pair];
            sums.second[pair] += weight * seconds[1][pair];
        }
        if (!st && right) {
            proof->first[i] = median(seconds[0], TUNE_PAIRS);
            proof->second[i] = median(seconds[1], TUNE_PAIRS);
        }
    }
    if (st && !tune_may_go_on(s, st))
        return st;
    if (st || !right)
        return CLIO_OK;
    for (int pair = 0; pair < TUNE_PAIRS; pair++)
        ratios[pair] = sums.first[pair] > 0 ? sums.second[pair] / sums.first[pair] : 1;
    proof->is_shown = tune_is_gain(ratios, TUNE_PAIRS);
    proof->gain = 1 / median(ratios, TUNE_PAIRS);
    return CLIO_OK;
}

static bool has_key(const struct tune_step *step, const char *key)
{
    for (int k = 0; k < TUNE_TOGETHER && step->parameters[k].key; k++)
        if (!strcmp(step->parameters[k].key, key))
            return true;
    return false;
}

/* s->best with the step's keys, or the one with this number, put back; how many that changes. */
static size_t put_back(const struct tune_search *s, const struct tune_step *step, size_t only, struct tune_set *without)
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

/* A process may die in a pair as it may in the search, of a mixture that was not tried. But it may also have been killed, and this pair is
 * what a good parameter needs: only what two processes died of is left out at once. */
static clio_status prove_step(struct tune_search *s, const struct tune_step *step, const struct tune_set *without, struct tune_proof *proof)
{
    clio_status st = CLIO_OK;
    char name[TUNE_NAME];
    int at = snprintf(name, sizeof name, "proof of %s:", step->name);
    for (size_t i = 0; i < s->key_count && at < TUNE_NAME - 80; i++)
        if (*s->best.value[i])
            at += snprintf(name + at, sizeof name - (size_t)at, "%s%s=%s", *without->value[i] ? " " : " ?", s->keys[i], s->best.value[i]);
    const struct tune_entry *known = tune_state_find(&s->state, name);
    proof->is_shown = false;
    if (known && known->result.outcome == TUNE_DIED && known->tries > 1)
        return CLIO_OK;
    TRY(tune_state_begin(s->user, &s->state, name));
    st = prove(s, without, &s->best, step->cases, PART_SHARE * s->plan->time_limit, proof);
    if (st)
        tune_state_drop(s->user, &s->state, name); /* the first failure counts */
    else
        st = tune_state_drop(s->user, &s->state, name);
fail:
    return st;
}

/* Keep the step's keys, or only one of them, if that is a gain. The others may need them: then they stay. *changed: how many there were. */
static clio_status settle(struct tune_search *s, const struct tune_step *step, size_t only, double gains[TUNE_KEYS], size_t *changed)
{
    clio_status st = CLIO_OK;
    struct tune_set without;
    struct tune_proof proof;
    bool valid;
    *changed = put_back(s, step, only, &without);
    if (!*changed)
        return CLIO_OK;
    TRY(tune_progress(s));
    TRY(tune_is_valid(s, &without, &valid));
    if (!valid)
        return CLIO_OK;
    TRY(prove_step(s, step, &without, &proof));
    for (size_t i = 0; i < s->key_count; i++)
        if (strcmp(s->best.value[i], without.value[i]) != 0)
            gains[i] = proof.is_shown ? proof.gain : 1;
    if (!proof.is_shown)
        s->best = without;
fail:
    return st;
}

clio_status tune_confirm(struct tune_search *s, double gains[TUNE_KEYS], struct tune_proof *whole)
{
    clio_status st = CLIO_OK;
    const struct tune_set shipped = {{{0}}};
    size_t changes = 0;
    *whole = (struct tune_proof){.gain = 1};
    for (size_t i = 0; i < TUNE_KEYS; i++)
        gains[i] = 1;
    for (size_t i = s->plan->step_count; i-- > 0;) {
        const struct tune_step *step = &s->plan->steps[i];
        if (!tune_is_for(s, step))
            continue;
        snprintf(s->doing, sizeof s->doing, "proving %s", step->name);
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
        snprintf(s->doing, sizeof s->doing, "proving the whole");
        TRY(prove(s, &shipped, &s->best, TUNE_EVERYTHING, s->plan->time_limit, whole));
        if (!whole->is_shown)
            s->best = shipped;
    }
fail:
    return st;
}
