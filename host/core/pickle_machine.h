/* pickle_machine.h - the stack machine that a pickle is a program for, between the files of pickle.h: pickle_stream.c reads the program,
 * pickle_stack.c keeps values, pickle_literals.c makes numbers and texts, pickle_globals.c knows names and what is built from them,
 * pickle_machine.c runs the instructions, pickle_check.c checks the result. */
#ifndef CLIO_CORE_PICKLE_MACHINE_H
#define CLIO_CORE_PICKLE_MACHINE_H

#include "pickle.h"

#define PICKLE_VALUES_MAX ((size_t)1 << 23)
#define PICKLE_TEXT_MAX ((uint64_t)1 << 20) /* longer byte strings stay in the file */
#define PICKLE_SMALL 65536                  /* integers below are one value each */

enum { PICKLE_REF_NONE, PICKLE_REF_FALSE, PICKLE_REF_TRUE, PICKLE_REF_MARK };

struct pickle_machine {
    clio_context *ctx;
    struct pickle *p;
    const struct file_in *in;
    unsigned char *window; /* bytes [start, start + filled) of the file */
    uint64_t start, at, end;
    size_t filled;
    bool has_storages; /* persistent ids of storages are allowed */
    pickle_ref *stack;
    size_t depth, stack_capacity;
    pickle_ref *memo; /* 0: not set, else the value + 1 */
    size_t memo_size, memo_count;
    pickle_ref *small; /* [PICKLE_SMALL]; 0: no value yet */
    uint64_t program;  /* where it began */
    uint64_t copied;   /* items and bytes that were copied from one value to another */
};

/* ---- pickle_stream.c: the program, of which [at, end) is left ---- */
clio_status pickle_take(struct pickle_machine *m, void *out, size_t size);
/* An unsigned little-endian number of at most 8 bytes. */
clio_status pickle_take_number(struct pickle_machine *m, size_t bytes, unsigned long long *number);
/* `size` bytes to the end of `out`, after the file was found to have them. */
clio_status pickle_take_text(struct pickle_machine *m, uint64_t size, struct bytes *out);
clio_status pickle_skip(struct pickle_machine *m, uint64_t size);
/* The rest of the line, without its end. */
clio_status pickle_take_line(struct pickle_machine *m, struct bytes *line);

/* ---- pickle_stack.c ---- */
/* Fail because of `what` in the file. */
clio_status pickle_damaged(const struct pickle_machine *m, const char *what);
#define PICKLE_NEED(condition, what)                                                                                                       \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            (void)pickle_damaged(m, what);                                                                                                 \
            st = CLIO_ERROR_FORMAT; /* a static analyzer shall know that st is an error */                                                 \
            goto fail;                                                                                                                     \
        }                                                                                                                                  \
    } while (0)
/* Fail because the file wants `what`, and a name in it or NULL, to be run. */
clio_status pickle_refuse(const struct pickle_machine *m, const char *what, const char *name);
clio_status pickle_new(struct pickle_machine *m, enum pickle_kind kind, pickle_ref *ref);
clio_status pickle_push(struct pickle_machine *m, pickle_ref ref);
clio_status pickle_push_new(struct pickle_machine *m, enum pickle_kind kind, struct pickle_value **value);
clio_status pickle_push_integer(struct pickle_machine *m, long long number);
/* Bytes of the end of p->texts from `at` on become a value, which is pushed. */
clio_status pickle_push_text(struct pickle_machine *m, enum pickle_kind kind, uint64_t at);
/* Not a mark. */
clio_status pickle_pop(struct pickle_machine *m, pickle_ref *ref);
clio_status pickle_top(const struct pickle_machine *m, pickle_ref *ref);
/* The values above the last mark, which leaves the stack with them. */
clio_status pickle_pop_mark(struct pickle_machine *m, size_t *first, size_t *count);
clio_status pickle_add(struct pickle_machine *m, pickle_ref to, pickle_ref item);
/* Items of one value to the end of another. */
clio_status pickle_copy_items(struct pickle_machine *m, pickle_ref from, pickle_ref to);
/* Argument i of the tuple; PICKLE_REF_NONE: there is none. */
pickle_ref pickle_argument(const struct pickle_machine *m, pickle_ref arguments, size_t i);
/* Count what is copied: a file in which a value is copied again and again would fill the memory. */
clio_status pickle_count_copies(struct pickle_machine *m, uint64_t count);
clio_status pickle_memo_put(struct pickle_machine *m, unsigned long long index);
clio_status pickle_memo_get(struct pickle_machine *m, unsigned long long index);

/* ---- pickle_literals.c: what is written as text in protocol 0, and long integers ---- */
clio_status pickle_push_long(struct pickle_machine *m, const unsigned char *bytes, size_t size);
clio_status pickle_push_decimal(struct pickle_machine *m, const char *digits);
/* A text in quotes with \n, \', \\, \x41 and octal numbers. */
clio_status pickle_push_quoted(struct pickle_machine *m, const char *line, size_t size);
/* Latin-1 with \u1234 and \U00012345. */
clio_status pickle_push_raw_unicode(struct pickle_machine *m, const char *line, size_t size);
/* A text of characters below 256 as that many bytes. */
clio_status pickle_push_latin(struct pickle_machine *m, pickle_ref text);

/* ---- pickle_globals.c ---- */
clio_status pickle_push_global(struct pickle_machine *m, const char *module, const char *name);
clio_status pickle_reduce(struct pickle_machine *m);
clio_status pickle_build(struct pickle_machine *m);
/* ('storage', torch.FloatStorage, '0', 'cpu', 768) on the stack becomes a STORAGE. */
clio_status pickle_storage(struct pickle_machine *m);

/* ---- pickle_machine.c ---- */
/* Run the program from m->at on, to its end. */
clio_status pickle_run(struct pickle_machine *m, pickle_ref *result);

/* ---- pickle_check.c ---- */
/* What a result holds: neither itself nor too much. Sets height and has_tensor. */
clio_status pickle_check(struct pickle_machine *m, pickle_ref root);

#endif
