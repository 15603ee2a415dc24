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

/* Where the numbers are is known, and not yet checked. */
struct pickle_tensor {
    char *name; /* the keys that lead to it, separated by "/": "string_to_param/" and "*" */
    int ndim, dim[4];
    size_t count;
    long long first; /* element of the storage */
    size_t step[4];  /* elements of the storage between neighbours of each dimension */
    const char *key; /* of the storage, in the file; not zero-terminated */
    size_t key_size;
    long long dtype; /* enum dtype of the storage; -1: another type */
};
struct pickle_tensors {
    struct pickle_tensor *list;
    size_t count, capacity;
};

/* Whether a file begins as a ZIP archive. */
bool pickle_is_archive(const struct file_content *file);
/* List the tensors. CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: name the file and the reason. On failure *t is empty. */
clio_status pickle_tensors_read(clio_context *ctx, const struct file_content *file, const char *path, struct pickle_tensors *t);
/* The numbers of one of them: [count], of malloc. The same errors. */
clio_status pickle_tensor_floats(clio_context *ctx, const struct file_content *file, const char *path, const struct pickle_tensor *t,
                                 float **out);
void pickle_tensors_free(struct pickle_tensors *t); /* accepts a zeroed one */

#endif
