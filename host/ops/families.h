/* families.h - the table of kernel families. A family (gemm.panel, conv.winograd, ...) is one algorithm for an operation, compiled in
 * variants. Several families can serve the same call: family_choose takes the first that supports it and passes its self-test on the
 * device.
 *
 * A family is one row of families.c. All who deal with families use these rows: the operations to choose a kernel, selftest.c to test it,
 * host/core to accept its name in CLIO_DISABLE and to keep its results, host/tune to search its parameters. The table needs all operations,
 * and they choose among its rows: so they find it in the context (ctx->families), not here.
 *   families.c        the table
 *   family_choose.c   the choice
 *   family_table.c    look-ups for the choice and the self-tests
 *   param_rules.c     the values that each parameter may have
 *
 * To add a family: write its kernels (cl/) and a kernel_family_choose_fn beside the others of its operation, and add the row. */
#ifndef CLIO_OPS_FAMILIES_H
#define CLIO_OPS_FAMILIES_H

#include "selftest.h"
#include "tune_step.h"

/* A kernel with everything that its family decides for one call. */
struct kernel_variant {
    const struct kernel_family *family; /* set by family_choose */
    const char *program, *kernel;       /* cl/<program>.cl; NULL for families of several kernels and for libraries */
    char options[160], tested[176];     /* tested: text that test.variant may point to */
    struct grid grid;
    size_t local;         /* bytes of local memory for the kernel's last argument, or 0 */
    char value[16];       /* text that test.params may point to */
    struct selftest test; /* how to make the operation choose this variant; family, and variant where NULL, are set by family_choose */
};

/* Fill in the variant of the family for a call of its operation (`call`: a struct of the operation). Return false if the family does not
 * support the call, or the parameters rule it out. attempt 0: as the parameters ask; 1: no family passed in attempt 0, so offer whatever
 * computes the call. */
typedef bool kernel_family_choose_fn(clio_context *ctx, void *call, int attempt, struct kernel_variant *v);

enum family_layout { LAYOUT_ANY, LAYOUT_PANELS, LAYOUT_ROWS };

struct kernel_family {
    const char *name;                /* "operation.algorithm" */
    enum family_layout layout;       /* of the packed weights that it reads */
    unsigned storage;                /* of the weights, keys or values that it reads: bits 1 << DTYPE_...; 0: it reads none */
    int devices;                     /* types of device it is made for, TUNE_CPU...; elsewhere it runs only if the parameters name it */
    kernel_family_choose_fn *choose; /* NULL: the operation chooses its variant itself, and calls selftest_passes */
    selftest_fn *selftest;
    const struct tune_step *steps; /* parameters for the tuner, up to a step without a name; NULL: none */
};

/* An operation with families. */
struct family_operation {
    const char *name, *title;      /* "gemm"; what a message calls it */
    const struct tune_step *steps; /* that choose between its families, up to one without a name; NULL: none */
};

/* All families, those of an operation in the order in which they are tried; and all operations that have families. For clio_create and the
 * tuner: others use ctx->families. */
extern const struct family_table kernel_families;

/* param_rules.c, for kernel_families: the values that a parameter may have, or NULL; and the first of the tuner's steps whose rule for this
 * device the parameters break because of the rows from `first` on, by name, or NULL. */
const struct param_rule *param_rule_of(const char *key);
const char *param_broken_step(clio_context *ctx, size_t first);

/* The row of this name, or NULL. */
const struct kernel_family *kernel_family_find(const clio_context *ctx, const char *name);
bool kernel_family_is_of(const struct kernel_family *f, const char *operation);

/* The first family of the operation that supports `call` and passes its self-test. w: the packed weights that it must read, or NULL.
 * *works: whether there is one. */
clio_status family_find(clio_context *ctx, const char *operation, const struct matrix *w, void *call, struct kernel_variant *v,
                        bool *works);
/* The same; CLIO_ERROR_DEVICE if there is none. */
clio_status family_choose(clio_context *ctx, const char *operation, const struct matrix *w, void *call, struct kernel_variant *v);
/* CLIO_ERROR_DEVICE: no family of the operation is usable on this device. */
clio_status family_none_left(clio_context *ctx, const char *operation);

/* Choose functions of the rows, in the files of their operations. */
kernel_family_choose_fn gemm_bf16_choose, gemm_q8_choose, gemm_panel_choose, gemm_clblast_choose, gemm_rows_choose, gemm_tile_choose;
kernel_family_choose_fn conv_few_choose, conv_strided_choose, conv_winograd_choose, conv_panel_choose, conv_tile_choose, conv_single_choose;
kernel_family_choose_fn transposed_few_choose, transposed_strided_choose, transposed_panel_choose, transposed_tile_choose,
    transposed_single_choose;
kernel_family_choose_fn weights_winograd_choose, weights_panel_choose, weights_tile_choose, weights_single_choose;
kernel_family_choose_fn norm_row_choose, norm_group_choose, logits_group_choose, logits_single_choose, clfft_choose;

#endif
