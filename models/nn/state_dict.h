/* state_dict.h - a network's weights as a table: which key of the checkpoint goes to which member of which struct, in which storage.
 * Loading, saving, EMA and LoRA use the same table. */
#ifndef CLIO_MODELS_NN_STATE_DICT_H
#define CLIO_MODELS_NN_STATE_DICT_H

#include "../../host/ops/ops.h"

enum weight_type {
    WEIGHT_VECTOR,       /* struct tensor, f32 [rows] */
    WEIGHT_TABLE,        /* struct tensor, f32 [rows, columns] as stored: embeddings */
    WEIGHT_TABLE_LARGE,  /* the same in the storage type of large tables (table.large.storage): embeddings of tokens */
    WEIGHT_MATRIX_MANY,  /* struct matrix [rows, kernel * columns] for inputs of many rows (an encoder); also Conv1d */
    WEIGHT_MATRIX_FEW,   /* the same for inputs of one or a few rows (a decoder) */
    WEIGHT_MATRIX_LARGE, /* the same for many rows, of networks for images (MATRIX_LARGE) */
    WEIGHT_CONV_LARGE,   /* the same of a Conv2d: stored as [rows, columns, kernel, kernel], or as [rows, columns] where kernel is 1 */
    WEIGHT_CONV1X1_LARGE /* the same of a linear layer over channels: stored as [rows, columns] or as a Conv2d with kernel 1 */
};

/* One key. rows, columns and kernel are indices into the network's list of sizes. A matmul that combines several keys (query, key and value
 * projections) has one row per key: part 0 to parts - 1, each with `rows` rows. */
struct state_dict_row {
    const char *key; /* without the prefix */
    size_t offset;   /* of the member */
    enum weight_type kind;
    int rows, columns, kernel;
    int part, parts;
    bool optional; /* zeros if the checkpoint lacks the key (Whisper's key projections have no bias) */
};

/* Row of a vector member. */
#define ROW_VECTOR(type, key, member, rows, part, parts)                                                                                   \
    {                                                                                                                                      \
        key, offsetof(struct type, member), WEIGHT_VECTOR, rows, 0, 0, part, parts, false                                                  \
    }

/* Load every row of the table into the struct at `base`; keys are prefix + key; sizes[0] is 1. While ctx->collects, everything is kept as
 * f32 and added to that list of parameters, to be trained; weights may then be NULL: everything is zero until parameters_init. */
clio_status state_dict_load(clio_context *ctx, void *base, const struct state_dict_row *table, size_t count, const char *prefix,
                            const int *sizes, const struct weights *weights);
void state_dict_free(clio_context *ctx, void *base, const struct state_dict_row *table, size_t count);

#endif
