/* pickle_machine.h - the stack machine that a pickle is a program for, between the files of pickle_tensors.h. */
#ifndef CLIO_MODELS_LOADERS_PICKLE_MACHINE_H
#define CLIO_MODELS_LOADERS_PICKLE_MACHINE_H

#include "../../host/core/file.h"

#include <stdbool.h>

enum pickle_kind {
    PICKLE_OTHER,
    PICKLE_INTEGER,
    PICKLE_TEXT,
    PICKLE_GLOBAL,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_OBJECT,
    PICKLE_MARK
};

/* A value; references are indices into the machine's values. Of a LIST (a tuple, too) the items, of a DICT keys and values in turn. */
struct pickle_value {
    enum pickle_kind kind;
    long long number; /* INTEGER; STORAGE: its dtype, -1: unknown; TENSOR: its offset */
    const char *text; /* TEXT, GLOBAL (the name): in the file; STORAGE: its key */
    size_t size;      /* of the text */
    size_t *items, count, capacity;
    size_t storage, sizes, strides; /* TENSOR */
    size_t state;                   /* OBJECT: what BUILD gave it; 0: none */
};

struct pickle_machine {
    clio_context *ctx;
    const char *path;
    const unsigned char *at, *end;
    struct pickle_value *values; /* the first one is None */
    size_t count, capacity;
    size_t *stack, depth, stack_capacity;
    size_t *memo, memo_size;
    size_t visits, name_bytes; /* while its result is read: values seen, bytes of names made */
};

/* Run the program in [at, end): its result is stack[0]. CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: the program. */
clio_status pickle_run(struct pickle_machine *m);
void pickle_machine_free(struct pickle_machine *m);
bool pickle_is_text(const struct pickle_value *v, const char *text);
/* Fail because of `what` in the file. */
clio_status pickle_damaged(const struct pickle_machine *m, const char *what);
#define PICKLE_NEED(condition, what)                                                                                                       \
    do {                                                                                                                                   \
        if (!(condition))                                                                                                                  \
            TRY(pickle_damaged(m, what));                                                                                                  \
    } while (0)

#endif
