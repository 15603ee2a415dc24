/* space.c - the plan of a search: the tuning steps of all kernel families (host/ops/families.c), and the table of measured calls. Another
 * network is a few more rows.
 *
 * The cases are the calls of Whisper, for two of its sizes, and of Stable Diffusion. The first case of a step is an important one, because
 * a bad candidate is stopped at it. */
#include "tune.h"

#include <string.h>

/* Runs of a workload relative to the others: a window has about 60 tokens; batches decode several windows together. The larger model has
 * fewer runs, so that it does not outweigh the smaller one. */
static const struct tune_workload works[] = {
    {"Whisper base, a window's encoder", 3},
    {"Whisper base, a token", 180},
    {"Whisper base, a token of 8 windows", 45},
    {"Whisper small, a window's encoder", 1},
    {"Whisper small, a token", 60},
    {"Whisper small, a token of 8 windows", 15},
    {"Stable Diffusion at 512 x 512, attention and matmul of a step", 0.3},
};
#define WHISPER_WORKLOADS 6

#define GEMM(work, decides, m, n, k, more, use, epilogue, calls)                                                                           \
    {                                                                                                                                      \
        work, decides, TUNE_OP_GEMM, m, n, k, more, use, epilogue, calls, 0                                                                \
    }
#define MANY(work, m, n, k, epilogue, calls) GEMM(work, TUNE_MANY, m, n, k, 0, MATRIX_MANY, epilogue, calls)
#define FEW(work, m, n, k, epilogue, calls) GEMM(work, TUNE_FEW, m, n, k, 0, MATRIX_FEW, epilogue, calls)
#define ATTENTION(work, queries, keys, heads, dim, causal, calls)                                                                          \
    {                                                                                                                                      \
        work, TUNE_ATTENTION, TUNE_OP_ATTENTION, queries, keys, heads, dim, causal, TUNE_PLAIN, calls, 0                                   \
    }
#define ROWS(work, decides, op, rows, columns, calls)                                                                                      \
    {                                                                                                                                      \
        work, decides, op, rows, columns, 0, 0, 0, TUNE_PLAIN, calls, 0                                                                    \
    }

/* w: width of the network; h: heads; l: layers of the encoder and of the decoder, each */
#define ENCODER(work, w, h, l)                                                                                                             \
    MANY(work, 1500, w, w, TUNE_RESIDUAL, l), MANY(work, 1500, 3 * w, w, TUNE_BIAS, l), MANY(work, 1500, 4 * w, w, TUNE_GELU, l),          \
        MANY(work, 1500, w, 4 * w, TUNE_RESIDUAL, l), MANY(work, 1500, 2 * w, w, TUNE_BIAS, l),                                            \
        GEMM(work, TUNE_MANY, 3000, w, 240, 80, MATRIX_MANY, TUNE_GELU, 1),                                                                \
        GEMM(work, TUNE_MANY, 1500, w, 3 * w, 2 * w, MATRIX_MANY, TUNE_GELU, 1), ATTENTION(work, 1500, 1500, h, 64, 0, l),                 \
        ROWS(work, TUNE_NORM, TUNE_OP_NORM, 1500, w, 2 * l + 1)
#define MATMULS(work, m, w, l)                                                                                                             \
    FEW(work, m, 4 * w, w, TUNE_GELU, l), FEW(work, m, 3 * w, w, TUNE_BIAS, l), FEW(work, m, w, w, TUNE_RESIDUAL, 3 * l),                  \
        FEW(work, m, w, 4 * w, TUNE_RESIDUAL, l), FEW(work, m, 51865, w, TUNE_PLAIN, 1)
#define TOKEN(work, w, h, l)                                                                                                               \
    MATMULS(work, 1, w, l), ATTENTION(work, 1, 1500, h, 64, 0, l), ATTENTION(work, 1, 100, h, 64, 1, l),                                   \
        ROWS(work, TUNE_NORM, TUNE_OP_NORM, 1, w, 3 * l + 1), ROWS(work, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 51865, 1)

static const struct tune_case cases[] = {
    /* odd shapes: verified, not measured */
    GEMM(-1, TUNE_MANY, 33, 65, 127, 0, MATRIX_MANY, TUNE_BIAS, 0),
    GEMM(-1, TUNE_MANY, 17, 31, 64, 0, MATRIX_MANY, TUNE_RESIDUAL, 0),
    GEMM(-1, TUNE_MANY, 65, 33, 120, 40, MATRIX_MANY, TUNE_GELU, 0),
    GEMM(-1, TUNE_FEW, 1, 65, 127, 0, MATRIX_FEW, TUNE_BIAS, 0),
    GEMM(-1, TUNE_FEW, 2, 31, 33, 0, MATRIX_FEW, TUNE_PLAIN, 0),
    GEMM(-1, TUNE_FEW, 5, 130, 63, 0, MATRIX_FEW, TUNE_GELU, 0),
    GEMM(-1, TUNE_FEW, 13, 66, 95, 0, MATRIX_FEW, TUNE_RESIDUAL, 0),
    ATTENTION(-1, 33, 65, 3, 64, 1, 0),
    ATTENTION(-1, 1, 77, 2, 64, 0, 0),
    ROWS(-1, TUNE_NORM, TUNE_OP_NORM, 3, 127, 0),
    ROWS(-1, TUNE_SOFTMAX, TUNE_OP_SOFTMAX, 3, 127, 0),
    ROWS(-1, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 5003, 0),
    /* Whisper base and small */
    ENCODER(0, 512, 8, 6),
    TOKEN(1, 512, 8, 6),
    MATMULS(2, 8, 512, 6),
    ENCODER(3, 768, 12, 12),
    TOKEN(4, 768, 12, 12),
    MATMULS(5, 8, 768, 12),
    /* the most frequent calls of Stable Diffusion: from here on for "all" only */
    MANY(6, 4096, 320, 320, TUNE_RESIDUAL, 30),
    MANY(6, 4096, 2560, 320, TUNE_BIAS, 5),
    MANY(6, 1024, 640, 640, TUNE_RESIDUAL, 30),
    MANY(6, 256, 1280, 1280, TUNE_RESIDUAL, 30),
    ATTENTION(6, 4096, 4096, 8, 40, 0, 5),
    ATTENTION(6, 4096, 77, 8, 40, 0, 5),
    ROWS(6, TUNE_NORM, TUNE_OP_NORM, 4096, 320, 15),
    ROWS(6, TUNE_SOFTMAX, TUNE_OP_SOFTMAX, 4096, 4096, 1),
    ATTENTION(-1, 33, 65, 3, 40, 0, 0),
};

/* `devices` is for steps that name none. */
static void add_steps(struct tune_plan *plan, const struct tune_step *steps, int devices)
{
    for (; steps && steps->name && plan->step_count < TUNE_STEPS; steps++) {
        struct tune_step *step = &plan->steps[plan->step_count++];
        *step = *steps;
        step->devices = step->devices ? step->devices : devices;
    }
}

bool tune_plan_for(const char *purpose, struct tune_plan *plan)
{
    bool all = !strcmp(purpose, "all");
    if (!all && strcmp(purpose, "whisper") != 0)
        return false;
    *plan = (struct tune_plan){.purpose = purpose, .cases = cases, .workloads = works};
    for (size_t i = 0; i < kernel_families.operation_count; i++) { /* each family first, then the choice between them */
        const struct family_operation *operation = &kernel_families.operations[i];
        for (size_t k = 0; k < kernel_families.count; k++) {
            const struct kernel_family *f = &kernel_families.rows[k];
            if (kernel_family_is_of(f, operation->name))
                add_steps(plan, f->steps, f->devices);
        }
        add_steps(plan, operation->steps, 0);
    }
    plan->workload_count = all ? COUNT(works) : WHISPER_WORKLOADS;
    while (plan->case_count < COUNT(cases) && (all || cases[plan->case_count].work < WHISPER_WORKLOADS))
        plan->case_count++;
    return true;
}
