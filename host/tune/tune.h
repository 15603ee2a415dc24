/* tune.h - the search for parameters that suit one device better than the shipped ones.
 *
 *   space.c    what is tried: steps of one parameter or a few, as data; and what decides: the calls that real networks make, as data
 *   bench.c    one such call: its tensors, running it, and comparing what it wrote with host/ref
 *   state.c    the journal beside the result: what was tried, and what was being tried when the process died
 *   search.c   the order: each step from the best set so far, a candidate through the gate, then measured
 *   confirm.c  the proof: what was found against what is shipped, in pairs; what shows no gain is left out
 *   tune.c     the public functions, and the file that is written
 *
 * A candidate is never trusted: it answers small odd shapes and the real ones as host/ref does, within canaries, or it is out, however
 * fast. One that takes more than twice the best's time is given up at its first run. All ends when the time is up, and the state is kept.
 */
#ifndef CLIO_TUNE_TUNE_H
#define CLIO_TUNE_TUNE_H

#include "../ops/families.h"

#define TUNE_STEPS 40 /* steps of a plan at most */
#define TUNE_KEYS 40  /* parameters of all steps at most */
#define TUNE_CASES 96
#define TUNE_WORKS 8
#define TUNE_PAIRS 9
#define TUNE_NAME 1024 /* characters of a candidate's name, with its zero */

/* ---- data: what is tried, and what decides ---- */

enum tune_op { TUNE_OP_GEMM, TUNE_OP_ATTENTION, TUNE_OP_NORM, TUNE_OP_SOFTMAX, TUNE_OP_LOGITS };

/* What is done to a product: as the networks do it. */
enum tune_epilogue { TUNE_PLAIN, TUNE_BIAS, TUNE_GELU, TUNE_RESIDUAL };

/* One call at one shape. */
struct tune_case {
    int work;    /* of the plan; -1: an odd shape, which is checked and not measured */
    int decides; /* TUNE_MANY... */
    enum tune_op op;
    int m, n, k; /* gemm: M, N, K. attention: queries, keys, heads. norm, softmax: rows, columns. logits: m = 1, vocabulary */
    int more;    /* gemm: columns from row to row of A, 0: K. attention: columns of a head */
    int use;     /* gemm: enum matrix_use. attention: 1: causal, the last query sees the last key */
    enum tune_epilogue epilogue;
    double calls; /* in one run of the work */
};

/* A whole that users wait for: what the proof is about. */
struct tune_work {
    const char *name;
    double runs; /* how often it is run, as against the other works */
};

struct tune_plan {
    const char *purpose;                /* "whisper", "all" */
    struct tune_step steps[TUNE_STEPS]; /* those of all kernel families and operations, with their devices filled in */
    size_t step_count;
    const struct tune_case *cases;
    size_t case_count;
    const struct tune_work *works;
    size_t work_count;
    double time_limit; /* seconds */
    /* Seconds of one call in place of the clock's: for tests, which must not depend on what else the machine does. Otherwise NULL. */
    double (*seconds)(clio_context *ctx, const struct tune_case *c);
};
/* The plan for "whisper" or "all"; false: no such purpose. */
bool tune_plan_for(const char *purpose, struct tune_plan *plan);

/* ---- bench.c ---- */

struct tune_bench {
    const struct tune_case *c;
    struct matrix w;
    struct tensor in, out, bias, beta, tokens, suppress;
    struct attention_cache cache;
    struct arena arena;
    float *host_in, *host_w, *host_bias, *host_beta, *host_v; /* what the tensors were given */
    unsigned char *host_suppress;
    int block; /* rows of host_w, which are repeated */
};
/* Tensors and packed weights under the parameters that now hold. After a failure nothing is to be closed. */
clio_status tune_bench_open(clio_context *ctx, struct tune_bench *b, const struct tune_case *c);
void tune_bench_close(clio_context *ctx, struct tune_bench *b);
/* Launch the call; nothing waits. */
clio_status tune_bench_run(clio_context *ctx, struct tune_bench *b);
/* Run once on a clean output, and compare: every number finite, not all zero, nothing written behind the output, and (all rows of small
 * outputs, some of large ones) what host/ref says. *right tells; `why` is then empty, or says what was wrong. */
clio_status tune_bench_check(clio_context *ctx, struct tune_bench *b, bool *right, char why[128]);
/* The comparison alone: `count` numbers against the reference's, relative to the greatest of these. */
bool tune_compare(const float *x, const float *want, size_t count, char why[128]);

/* ---- state.c ---- */

enum tune_outcome { TUNE_UNTRIED, TUNE_RIGHT, TUNE_WRONG, TUNE_SLOW, TUNE_FAILED, TUNE_DIED };

struct tune_result {
    enum tune_outcome outcome;
    double total;               /* seconds of one run of all works, as far as the step's cases go */
    double seconds[TUNE_CASES]; /* of one call of each case; below 0: not measured */
};
struct tune_entry {
    char *name;
    int tries; /* begun and not ended */
    struct tune_result result;
};
struct tune_state {
    char *path;
    int file; /* descriptor, locked; -1: not open */
    struct tune_entry *entries;
    size_t count, capacity;
};
/* Open or make the journal at `path`, lock it, and read what it holds; one that `identity` (a line) does not head begins anew.
 * Another process at work on it is CLIO_ERROR_FILE. */
clio_status tune_state_open(clio_context *ctx, struct tune_state *s, const char *path, const char *identity);
/* Before: on the disk when this returns. After: what came of it; `note` may be "". */
clio_status tune_state_begin(clio_context *ctx, struct tune_state *s, const char *name);
clio_status tune_state_end(clio_context *ctx, struct tune_state *s, const char *name, const struct tune_result *r, const char *note);
/* After instead: it was not tried to its end, and nothing is known of it. */
clio_status tune_state_drop(clio_context *ctx, struct tune_state *s, const char *name);
const struct tune_entry *tune_state_find(const struct tune_state *s, const char *name);
/* Everything was tried: the journal goes, but what a process died of stays in it. */
clio_status tune_state_finish(clio_context *ctx, struct tune_state *s, const char *identity);
void tune_state_close(struct tune_state *s);

/* ---- search.c ---- */

/* Values by key, "" where the shipped one holds. */
struct tune_set {
    char value[TUNE_KEYS][24];
};

struct tune_search {
    clio_context *user; /* whose progress and cancellation count, and who gets the sentences */
    clio_context *ctx;  /* the same device, with the shipped parameters and those on trial */
    const struct tune_plan *plan;
    struct tune_state state;
    const char *keys[TUNE_KEYS];
    char shipped[TUNE_KEYS][24];
    int key_cases[TUNE_KEYS]; /* what decides the key: TUNE_MANY... */
    size_t key_count;
    struct tune_set best;
    double started;
    double done, total; /* for the progress */
    char doing[96];
    bool out_of_time;
    size_t tried, wrong, slow, failed, died;
};
/* Open a context of its own on the user's device; list the keys that the steps for this device have. */
clio_status tune_search_open(struct tune_search *s, clio_context *user, const struct tune_plan *plan);
void tune_search_close(struct tune_search *s);
/* Is the step for this kind of device, and is there a case that decides it? */
bool tune_is_for(const struct tune_search *s, const struct tune_step *step);
/* Put this set's rows behind the shipped ones. */
clio_status tune_apply(struct tune_search *s, const struct tune_set *set);
/* CLIO_ERROR_CANCELLED when the user wants to stop. */
clio_status tune_progress(struct tune_search *s);
/* s->best, from all steps that there is time for. */
clio_status tune_search_run(struct tune_search *s);
/* Does `set` pass the gate at the plan's odd shapes? A failing call is no. */
clio_status tune_gate(struct tune_search *s, const struct tune_set *set, int cases, bool *right, char why[128]);
/* Are the rules of all steps kept by `set`? */
clio_status tune_is_valid(struct tune_search *s, const struct tune_set *set, bool *valid);
/* Whether a call failed because of what was tried, so that something else may be: the device is opened again where it was lost. */
bool tune_may_go_on(struct tune_search *s, clio_status st);
/* Seconds of one call: the mean of as many as fill some milliseconds. */
clio_status tune_time(struct tune_search *s, struct tune_bench *b, double *seconds);

/* ---- confirm.c ---- */

struct tune_proof {
    bool is_shown;                                /* that the second set is faster */
    double gain;                                  /* time of the first over time of the second: the median over the pairs */
    double first[TUNE_CASES], second[TUNE_CASES]; /* median seconds of one call, of measured cases; below 0: not measured */
};
/* Are these ratios (second time over first) a gain, and not chance? Nine pairs: eight of them, and two in a hundred by the median. */
bool tune_is_gain(const double *ratios, size_t count);
/* Leave out of s->best what is not proved, and in the end everything unless the whole is: *whole is about the rest. gains: by key. */
clio_status tune_confirm(struct tune_search *s, double gains[TUNE_KEYS], struct tune_proof *whole);

/* ---- tune.c ---- */

/* clio_tune with another plan. */
clio_status tune_with(clio_context *ctx, const struct tune_plan *plan, const char *path, clio_tune_result **out);

#endif
