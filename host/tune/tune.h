/* tune.h - search for kernel parameters that are faster on one device than the shipped ones.
 *
 *   space.c    the plan: tuning steps of all kernel families, and the measured calls, which are those of real networks
 *   bench.c    one such call: its tensors, running it, and comparing the output with host/ref
 *   state.c    the journal beside the result: the outcome of each candidate, and the candidate during which the process died
 *   search.c   the search: each step from the best set so far; candidates are verified, then measured
 *   confirm.c  confirmation runs of the found set against the shipped one, in pairs; changes without a gain are removed
 *   tune.c     the public functions, and the result file
 *
 * Every candidate must give the results of host/ref, at small odd shapes and at the measured ones, without writing outside of its output;
 * otherwise it is rejected. A candidate that takes more than twice the best time is stopped at its first run. The search ends at the time
 * limit, and the journal is kept. */
#ifndef CLIO_TUNE_TUNE_H
#define CLIO_TUNE_TUNE_H

#include "../ops/families.h"

#define TUNE_STEPS 40 /* steps of a plan at most */
#define TUNE_KEYS 40  /* parameters of all steps at most */
#define TUNE_CASES 96
#define TUNE_WORKLOADS 8
#define TUNE_PAIRS 9
#define TUNE_NAME 1024 /* characters of a candidate's name, with its zero */

/* ---- the plan ---- */

enum tune_op { TUNE_OP_GEMM, TUNE_OP_ATTENTION, TUNE_OP_NORM, TUNE_OP_SOFTMAX, TUNE_OP_LOGITS };

/* The epilogue of a matmul, as the networks use it. */
enum tune_epilogue { TUNE_PLAIN, TUNE_BIAS, TUNE_GELU, TUNE_RESIDUAL };

/* One call at one shape. */
struct tune_case {
    int work;    /* index of the workload; -1: an odd shape, which is verified but not measured */
    int decides; /* the steps it decides: TUNE_MANY... */
    enum tune_op op;
    int m, n, k; /* gemm: M, N, K. attention: queries, keys, heads. norm, softmax: rows, columns. logits: m = 1, vocabulary */
    int more;    /* gemm: columns from row to row of A, 0: K. attention: columns of a head */
    int use;     /* gemm: enum matrix_use. attention: 1: causal, the last query sees the last key */
    enum tune_epilogue epilogue;
    double calls; /* in one run of the workload */
    int storage;  /* attention: enum matrix_use of keys and values; 0: of one query MATRIX_FEW, of more MATRIX_MANY */
};

/* Something that users wait for, such as the encoder for one window: a sum of calls. */
struct tune_workload {
    const char *name;
    double runs; /* how often it runs, relative to the other workloads */
};

struct tune_plan {
    const char *purpose;                /* "whisper", "all" */
    struct tune_step steps[TUNE_STEPS]; /* those of all kernel families and operations, with their devices filled in */
    size_t step_count;
    const struct tune_case *cases;
    size_t case_count;
    const struct tune_workload *workloads;
    size_t workload_count;
    double time_limit; /* seconds */
    /* For tests: seconds of one call instead of a measurement. Otherwise NULL. */
    double (*seconds)(clio_context *ctx, const struct tune_case *c);
};
/* The plan for "whisper" or "all"; false: unknown purpose. */
bool tune_plan_for(const char *purpose, struct tune_plan *plan);

/* ---- bench.c ---- */

struct tune_bench {
    const struct tune_case *c;
    struct matrix w;
    struct tensor in, out, bias, beta, tokens, suppress;
    struct attention_cache cache;
    struct arena arena;
    float *host_in, *host_w, *host_bias, *host_beta, *host_v; /* the data of the tensors */
    unsigned char *host_suppress;
    int block;    /* rows of host_w; the weights repeat them */
    double error; /* found by tune_bench_check: the largest difference from host/ref, relative to a row's largest value */
};
/* Create tensors and packed weights with the parameters that are set. After a failure nothing needs to be closed. */
clio_status tune_bench_open(clio_context *ctx, struct tune_bench *b, const struct tune_case *c);
void tune_bench_close(clio_context *ctx, struct tune_bench *b);
/* Launch the call; does not wait. */
clio_status tune_bench_run(clio_context *ctx, struct tune_bench *b);
/* Run once into a cleared output and verify it: every element is finite, not all are zero, nothing is written past the end, and the rows
 * (all of a small output, some of a large one) agree with host/ref. *right: it is correct; otherwise `why` says what is wrong. */
clio_status tune_bench_check(clio_context *ctx, struct tune_bench *b, bool *right, char why[128]);
/* The comparison alone: `count` elements with the reference, relative to its largest value. */
bool tune_compare(const float *x, const float *want, size_t count, char why[128]);

/* ---- state.c ---- */

enum tune_outcome { TUNE_UNTRIED, TUNE_RIGHT, TUNE_WRONG, TUNE_SLOW, TUNE_FAILED, TUNE_DIED };

struct tune_result {
    enum tune_outcome outcome;
    double total;               /* seconds of one run of all workloads, over the cases of the step */
    double seconds[TUNE_CASES]; /* of one call of each case; below 0: not measured */
};
struct tune_entry {
    char *name;
    int tries; /* started and not finished */
    struct tune_result result;
};
struct tune_state {
    char *path;
    int file; /* descriptor, locked; -1: not open */
    struct tune_entry *entries;
    size_t count, capacity;
};
/* Open or create the journal at `path`, lock it and read it. If it does not start with the line `identity`, it is emptied.
 * CLIO_ERROR_FILE if another process uses it, and if it is a link or anything but a journal, which is left as it is. A candidate that
 * failed in an earlier process is untried. */
clio_status tune_state_open(clio_context *ctx, struct tune_state *s, const char *path, const char *identity);
/* Record that a candidate run starts (synced to disk), and its result; note may be "". */
clio_status tune_state_begin(clio_context *ctx, struct tune_state *s, const char *name);
clio_status tune_state_end(clio_context *ctx, struct tune_state *s, const char *name, const struct tune_result *r, const char *note);
/* Record instead that the run was interrupted, without a result. */
clio_status tune_state_drop(clio_context *ctx, struct tune_state *s, const char *name);
const struct tune_entry *tune_state_find(const struct tune_state *s, const char *name);
/* The search is complete: delete the journal, or keep only the candidates during which a process died. */
clio_status tune_state_finish(clio_context *ctx, struct tune_state *s, const char *identity);
void tune_state_close(struct tune_state *s);

/* ---- search.c ---- */

/* Values by key; "": the shipped one. */
struct tune_set {
    char value[TUNE_KEYS][24];
};

struct tune_search {
    clio_context *user; /* the context for progress, cancellation and messages */
    clio_context *ctx;  /* on the same device, with the shipped parameters and those of the candidate */
    const struct tune_plan *plan;
    struct tune_state state;
    const char *keys[TUNE_KEYS];
    char shipped[TUNE_KEYS][24];
    int key_cases[TUNE_KEYS]; /* the cases that decide the key: TUNE_MANY... */
    size_t key_count;
    struct tune_set best;
    double started;
    double done, total; /* for the progress */
    char doing[96];
    bool out_of_time;
    size_t tried, wrong, slow, failed, died;
};
/* Open the search's own context on the user's device; list the keys of the steps for this device. */
clio_status tune_search_open(struct tune_search *s, clio_context *user, const struct tune_plan *plan);
void tune_search_close(struct tune_search *s);
/* Whether the step is for this type of device, and some case decides it. */
bool tune_is_for(const struct tune_search *s, const struct tune_step *step);
/* Set the parameters: the shipped rows, then those of this set. */
clio_status tune_apply(struct tune_search *s, const struct tune_set *set);
/* CLIO_ERROR_CANCELLED when the user wants to stop. */
clio_status tune_progress(struct tune_search *s);
/* Find s->best, from all steps within the time limit. */
clio_status tune_search_run(struct tune_search *s);
/* Whether `set` gives correct results at the odd shapes of the plan; not if a call fails. */
clio_status tune_verify(struct tune_search *s, const struct tune_set *set, int cases, bool *right, char why[128]);
/* Whether `set` is valid by the rules of all steps. */
clio_status tune_is_valid(struct tune_search *s, const struct tune_set *set, bool *valid);
/* Whether the search can continue after this error, which was caused by the candidate. Opens the device again if it was lost. */
bool tune_can_continue(struct tune_search *s, clio_status st);
/* Seconds of one call: the mean over as many as take some milliseconds. */
clio_status tune_time(struct tune_search *s, struct tune_bench *b, double *seconds);

/* ---- confirm.c ---- */

struct tune_confirmation {
    bool is_faster;                               /* the second set is faster, beyond chance */
    double gain;                                  /* time of the first over time of the second: the median over the pairs */
    double first[TUNE_CASES], second[TUNE_CASES]; /* median seconds of one call, of measured cases; below 0: not measured */
};
/* Whether these ratios (second time / first time) are a gain beyond chance: nine pairs, eight of them below 1, and a median below 0.98. */
bool tune_is_gain(const double *ratios, size_t count);
/* Remove from s->best the changes that are not confirmed, and all of them unless the rest is confirmed together (*whole). gains: by key. */
clio_status tune_confirm(struct tune_search *s, double gains[TUNE_KEYS], struct tune_confirmation *whole);

/* ---- tune.c ---- */

/* clio_tune with another plan. */
clio_status tune_with(clio_context *ctx, const struct tune_plan *plan, const char *path, clio_tune_result **out);

#endif
