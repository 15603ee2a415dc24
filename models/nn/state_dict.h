/* state_dict.h - a network's weights as a table: which key of the checkpoint goes to which member of which struct, in which form.
 * Loading, and later saving, averaging and merging, walk the same table. */
#ifndef CLIO_MODELS_NN_STATE_DICT_H
#define CLIO_MODELS_NN_STATE_DICT_H

#include "../../host/ops/ops.h"

enum weight_type {
    WEIGHT_VECTOR,       /* struct tensor, f32 [rows] */
    WEIGHT_TABLE,        /* struct tensor, f32 [rows, columns] as stored */
    WEIGHT_TABLE_F16,    /* the same, as f16 */
    WEIGHT_MATRIX_MANY,  /* struct matrix [rows, taps * columns], which meets many rows at a time */
    WEIGHT_MATRIX_FEW,   /* the same, for one or a few */
    WEIGHT_MATRIX_LARGE, /* the same, for many, of a network for images (MATRIX_LARGE) */
    WEIGHT_CONV_LARGE,   /* the same, of a convolution over images: stored as [rows, columns, taps, taps], or [rows, columns] for 1 tap */
    WEIGHT_CONV1X1_LARGE /* the same, of a product over channels, [rows, columns]; also stored as a convolution with 1 tap */
};

/* rows, columns and taps are indices into the network's list of sizes. A product that takes several keys at once (Q, K and V) has one row
 * per key: part 0 to parts - 1 of as many rows each. `optional`: a missing one is zeros (Whisper's keys have no bias). */
struct state_dict_row {
    const char *key; /* behind the prefix */
    size_t offset;   /* of the member */
    enum weight_type kind;
    int rows, columns, taps;
    int part, parts;
    bool optional;
};

/* Load every row of the table into the struct at `base`; keys are prefix + key. sizes[0] is 1. While ctx->collects, all is kept as f32 and
 * listed there, to be trained; weights may then be NULL: everything is zero, and parameters_init is to follow. */
clio_status state_dict_load(clio_context *ctx, void *base, const struct state_dict_row *table, size_t count, const char *prefix,
                            const int *sizes, const struct weights *weights);
void state_dict_free(clio_context *ctx, void *base, const struct state_dict_row *table, size_t count);

#endif
