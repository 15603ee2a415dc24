/* embedding.h - ids of an embedding table (torch.nn.Embedding), and rows of states, which are looked up likewise. */
#ifndef CLIO_MODELS_NN_EMBEDDING_H
#define CLIO_MODELS_NN_EMBEDDING_H

#include "../../host/ops/ops.h"

/* Copy token ids from the host to t i32 (any shape), which has memory. CLIO_ERROR_FORMAT: an id is not in 0 .. vocab - 1; `path` is the
 * file with the table, for the message. */
clio_status token_ids_write(clio_context *ctx, const struct tensor *t, const int *ids, int vocab, const char *path);
/* out f32 [B, width] = rows of states f32 [N, width], int [B] on the host: the state of one token of each text. */
clio_status rows_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *states, const int *rows);

#endif
