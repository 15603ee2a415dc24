/* pickle.h - Python's pickles, and files of torch.save, read as data: None, booleans, numbers, byte strings and texts, lists, tuples, sets,
 * dictionaries, and tensors. Nothing is called. Whatever else a pickle asks for (a function, a class, a persistent id that is not a
 * storage) is refused by its name; the few names that are data are the table of pickle_globals.c.
 *
 * Read are pickles of protocols 0 to 5, of Python 2 too, and both forms of torch.save: the ZIP archive, and the older sequence of pickles
 * and storages. The numbers of tensors stay in the file. Sources: CPython, Lib/pickletools.py; PyTorch, torch/serialization.py. */
#ifndef CLIO_CORE_PICKLE_H
#define CLIO_CORE_PICKLE_H

#include "stored_type.h"

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,    /* integer */
    PICKLE_INTEGER, /* integer */
    PICKLE_LONG,    /* text: a number beyond 64 bits, two's complement, little-endian */
    PICKLE_FLOAT,   /* real */
    PICKLE_TEXT,    /* text: str of Python 3 in UTF-8; str of Python 2, of any bytes */
    PICKLE_BYTES,   /* text */
    PICKLE_LIST,    /* list */
    PICKLE_TUPLE,   /* list */
    PICKLE_SET,     /* list */
    PICKLE_DICT,    /* list: keys and values in turn, in the order of the file */
    PICKLE_TENSOR,  /* tensor; a numpy array too */
    PICKLE_STORAGE, /* storage: the numbers of tensors */
    PICKLE_NAME,    /* name: a class or a type that is only named */
    PICKLE_ELEMENT, /* element: the type of a numpy array's numbers */
    PICKLE_MARK     /* on the stack only */
};

/* References between values are indices into the list of all. */
typedef uint32_t pickle_ref;

struct pickle_value {
    enum pickle_kind kind;
    bool in_file;                   /* TEXT, BYTES: not in memory, `at` is a byte of the file */
    bool is_object;                 /* DICT: of a class whose attributes BUILD may set */
    bool is_module;                 /* DICT: a torch module; its parameters are set by BUILD */
    bool is_big_endian;             /* ELEMENT */
    bool has_tensor;                /* it is one, or holds one */
    bool is_fortran;                /* TENSOR of numpy: the first dimension is fastest */
    uint8_t height;                 /* of what it holds, set when the whole is checked */
    const struct stored_type *type; /* STORAGE, TENSOR of numpy, ELEMENT */
    union {
        long long integer;
        double real;
        struct {
            uint64_t at, size;
        } text;
        struct {
            pickle_ref *items;
            uint32_t count, capacity;
        } list;
        struct { /* sizes, strides: a tuple each; of numpy: strides 0, storage a TEXT or BYTES */
            pickle_ref storage, sizes, strides;
            long long first; /* element of the storage */
        } tensor;
        struct {
            pickle_ref key; /* a TEXT */
            long long count;
        } storage;
        const struct pickle_global *name;
    };
};

/* The numbers of a storage. */
struct pickle_record {
    const char *key; /* in `keys` or `texts`, from `offset` on */
    size_t offset;
    uint64_t first, size; /* bytes of the file */
    unsigned unit;        /* of the legacy form: bytes of a number */
};

struct pickle {
    const struct file_in *in;
    struct file_in own; /* of pickle_open */
    struct pickle_value *values;
    size_t count, capacity;
    struct bytes texts;            /* each followed by a zero */
    struct pickle_record *records; /* sorted by key */
    size_t record_count;
    struct bytes keys; /* of the records */
    pickle_ref root;
};

/* CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: one sentence with the file and what is wrong in it. On failure *p is empty. */
clio_status pickle_open(clio_context *ctx, struct pickle *p, const char *path);
/* The same of an open file that outlives *p, which is zeroed. */
clio_status pickle_read(clio_context *ctx, struct pickle *p, const struct file_in *in);
void pickle_close(struct pickle *p); /* accepts a zeroed one */
/* Whether an open file begins as one of torch.save or a pickle of protocol 2 or later does, or is named .pkl or .pickle. */
clio_status pickle_recognize(clio_context *ctx, const struct file_in *in, bool *is_pickle);

const struct pickle_value *pickle_root(const struct pickle *p);
/* Item i of a list, tuple or set; of a dictionary, key i / 2 or its value. NULL: there is none. */
const struct pickle_value *pickle_item(const struct pickle *p, const struct pickle_value *v, size_t i);
/* The value of a dictionary under a text, the last one; NULL: none, or not a dictionary. */
const struct pickle_value *pickle_find(const struct pickle *p, const struct pickle_value *dict, const char *key);
/* A TEXT, BYTES or LONG in memory; NULL: it is none, or is in the file. Zero bytes in it do not end it: v->text.size. */
const char *pickle_text(const struct pickle *p, const struct pickle_value *v);
void pickle_records_sort(struct pickle *p);
/* NULL: none. */
const struct pickle_record *pickle_record_find(const struct pickle *p, const char *key);

#endif
