/* pickle_tensors.h - the tensors of a file that torch.save wrote (.pt, .pth, .bin), without running what it asks for.
 *
 * Such a file is a ZIP archive of stored entries: NAME/data.pkl, a pickle of protocol 2, and NAME/data/K, the numbers of storage K. The
 * pickle is a program for a small stack machine; here dictionaries, lists, tuples, numbers, texts and tensors are built, every other object
 * keeps its state only, and nothing is called. Sources: CPython, Lib/pickletools.py; PyTorch, torch/serialization.py, torch/_utils.py
 * (_rebuild_tensor_v2); PKWARE, APPNOTE.TXT. */
#ifndef CLIO_MODELS_LOADERS_PICKLE_TENSORS_H
#define CLIO_MODELS_LOADERS_PICKLE_TENSORS_H

#include "../../host/core/file.h"

#include <stdbool.h>

struct pickle_tensor {
    char *name; /* the keys that lead to it, separated by "/": "string_to_param/" and "*" */
    float *data;
    int ndim, dim[4];
    size_t count;
};
struct pickle_tensors {
    struct pickle_tensor *list;
    size_t count, capacity;
};

/* Whether a file begins as a ZIP archive. */
bool pickle_is_archive(const struct file_content *file);
/* CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: name the file and the reason. On failure *t is empty. */
clio_status pickle_tensors_read(clio_context *ctx, const struct file_content *file, const char *path, struct pickle_tensors *t);
void pickle_tensors_free(struct pickle_tensors *t); /* accepts a zeroed one */

#endif
