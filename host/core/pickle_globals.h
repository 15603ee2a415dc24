/* pickle_globals.h - the names in a pickle that stand for data, between pickle_globals.c and pickle_numpy.c. */
#ifndef CLIO_CORE_PICKLE_GLOBALS_H
#define CLIO_CORE_PICKLE_GLOBALS_H

#include "pickle_machine.h"

enum global_role {
    GLOBAL_NAME, /* only named, as a value or a key */
    GLOBAL_STORAGE,
    GLOBAL_DTYPE, /* torch.float32 */
    GLOBAL_ORDERED_DICT,
    GLOBAL_SET,
    GLOBAL_MODULE,
    GLOBAL_TENSOR,    /* _rebuild_tensor, _rebuild_tensor_v2 */
    GLOBAL_TENSOR_V3, /* with a dtype */
    GLOBAL_PARAMETER,
    GLOBAL_ITSELF, /* its first argument, as torch.Size(tuple) */
    GLOBAL_ENCODE, /* bytes of a text, which protocol 2 of Python 3 has no instruction for */
    GLOBAL_NUMPY_DTYPE,
    GLOBAL_NUMPY_RECONSTRUCT,
    GLOBAL_NUMPY_SCALAR,
    GLOBAL_NUMPY_BUFFER
};
struct pickle_global {
    const char *module, *name;
    enum global_role role;
    const char *type; /* STORAGE, DTYPE: a name of stored_type.h */
};

/* ---- pickle_numpy.c: arrays, scalars and their types. Each pushes a value. ---- */
clio_status pickle_numpy_call(struct pickle_machine *m, enum global_role role, pickle_ref arguments);
/* What BUILD gives an array, or the type of its numbers. */
clio_status pickle_numpy_build(struct pickle_machine *m, pickle_ref target, pickle_ref state);

#endif
