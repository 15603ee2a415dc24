/* pooling.h - the states of a text's tokens to one vector (sentence-transformers' Pooling). */
#ifndef CLIO_MODELS_NN_POOLING_H
#define CLIO_MODELS_NN_POOLING_H

#include "../../host/ops/ops.h"
#include "../loaders/sentence_folder.h"

/* out f32 [B, width] of states f32 [B, T, width], of whose T tokens the first lengths[b] count, 1 to T; the others may be any finite
 * numbers. All poolings but POOLING_MAX can be recorded on a tape. POOLING_POOLER is the network's. */
clio_status pooling_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *states, const int *lengths,
                        enum pooling pooling);

#endif
