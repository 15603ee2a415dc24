/* embedding.h - ids of an embedding table (torch.nn.Embedding). */
#ifndef CLIO_MODELS_NN_EMBEDDING_H
#define CLIO_MODELS_NN_EMBEDDING_H

#include "../../host/ops/ops.h"

/* Copy token ids from the host to t i32 (any shape), which has memory. CLIO_ERROR_FORMAT: an id is not in 0 .. vocab - 1; `path` is the
 * file with the table, for the message. */
clio_status token_ids_write(clio_context *ctx, const struct tensor *t, const int *ids, int vocab, const char *path);

#endif
