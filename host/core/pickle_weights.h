/* pickle_weights.h - the tensors of a file of torch.save, or of a pickle with numpy arrays, as weights (.pt, .pth, .bin, .ckpt, .pkl).
 *
 *   names      the keys that lead to a tensor, joined by "."; of lists, the number of the item
 *   wrappers   if the file's dictionary has no tensor of its own, and one of the keys state_dict, model_state_dict, model_state, model,
 *              params_ema, params, network, net, weights holds a dictionary of tensors, that one is the checkpoint, and so on within it;
 *              the first of these keys counts. What lies beside it (an optimizer's state) is left out.
 *   module.    of torch.nn.DataParallel is taken off if all names begin with it
 *
 * Numbers that lie in the file as they are needed stay there; others (transposed, a part of a wider tensor) are collected in memory. */
#ifndef CLIO_CORE_PICKLE_WEIGHTS_H
#define CLIO_CORE_PICKLE_WEIGHTS_H

#include "weights.h"

/* Append the tensors of the open file, which outlives w, to w->list, unsorted. After a failure weights_close releases what was read. */
clio_status pickle_weights_read(clio_context *ctx, struct weights *w, const struct file_in *in);

#endif
