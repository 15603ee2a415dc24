/* pickle_machine.c - the instructions of a pickle, as a table. One that makes objects of classes, or takes what lies outside the file, has
 * no function here and is refused by its name. See pickle_machine.h. Source: CPython, Lib/pickletools.py. */
#include "pickle_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL_MAX 5

/* ---- constants, numbers, texts ---- */

static clio_status run_constant(struct pickle_machine *m, int ref, int unused)
{
    (void)unused;
    return pickle_push(m, (pickle_ref)ref);
}

/* Two's complement of the lower bytes. */
static long long with_sign(unsigned long long number, int bytes)
{
    return number >> (8 * bytes - 1) ? (long long)number - ((long long)1 << (8 * bytes)) : (long long)number;
}

static clio_status run_integer(struct pickle_machine *m, int bytes, int is_signed)
{
    clio_status st = CLIO_OK;
    unsigned long long number;
    TRY(pickle_take_number(m, (size_t)bytes, &number));
    TRY(pickle_push_integer(m, is_signed ? with_sign(number, bytes) : (long long)number));
fail:
    return st;
}

static clio_status run_long(struct pickle_machine *m, int length_bytes, int unused)
{
    clio_status st = CLIO_OK;
    unsigned long long size;
    struct bytes bytes = {0};
    (void)unused;
    TRY(pickle_take_number(m, (size_t)length_bytes, &size));
    TRY(pickle_take_text(m, size, &bytes));
    TRY(pickle_push_long(m, (const unsigned char *)bytes.data, bytes.size));
fail:
    bytes_free(&bytes);
    return st;
}

static clio_status run_float(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    unsigned char data[8];
    uint64_t bits = 0;
    struct pickle_value *v;
    (void)unused;
    (void)unused_too;
    TRY(pickle_take(m, data, sizeof data));
    for (size_t i = 0; i < sizeof data; i++)
        bits = bits << 8 | data[i];
    TRY(pickle_push_new(m, PICKLE_FLOAT, &v));
    memcpy(&v->real, &bits, sizeof bits);
fail:
    return st;
}

static clio_status push_real(struct pickle_machine *m, const char *text)
{
    clio_status st = CLIO_OK;
    struct pickle_value *v;
    char *end;
    double number = strtod(text, &end);
    PICKLE_NEED(*text && !*end, "a number with something else than digits");
    TRY(pickle_push_new(m, PICKLE_FLOAT, &v));
    v->real = number;
fail:
    return st;
}

/* What the rest of the line says: a decimal number (I, L), a float (F), a quoted text (S), a raw one (V). "00" and "01" are booleans. */
static clio_status run_line(struct pickle_machine *m, int code, int unused)
{
    clio_status st = CLIO_OK;
    struct bytes line = {0};
    (void)unused;
    TRY(pickle_take_line(m, &line));
    PICKLE_NEED(code == 'V' || code == 'S' || strlen(line.data) == line.size, "a number with something else than digits");
    if (code == 'I' && (!strcmp(line.data, "00") || !strcmp(line.data, "01")))
        TRY(pickle_push(m, line.data[1] == '1' ? PICKLE_REF_TRUE : PICKLE_REF_FALSE));
    else
        TRY(code == 'S'   ? pickle_push_quoted(m, line.data, line.size)
            : code == 'V' ? pickle_push_raw_unicode(m, line.data, line.size)
            : code == 'F' ? push_real(m, line.data)
                          : pickle_push_decimal(m, line.data));
fail:
    bytes_free(&line);
    return st;
}

static clio_status run_text(struct pickle_machine *m, int length_bytes, int kind)
{
    clio_status st = CLIO_OK;
    unsigned long long size;
    uint64_t at = m->p->texts.size;
    struct pickle_value *v;
    TRY(pickle_take_number(m, (size_t)length_bytes, &size));
    if (size <= PICKLE_TEXT_MAX) {
        TRY(pickle_take_text(m, size, &m->p->texts));
        return pickle_push_text(m, (enum pickle_kind)kind, at);
    }
    at = m->at;
    TRY(pickle_skip(m, size));
    TRY(pickle_push_new(m, (enum pickle_kind)kind, &v));
    v->in_file = true;
    v->text.at = at;
    v->text.size = size;
fail:
    return st;
}

/* ---- containers ---- */

/* The kinds of dictionary keys in Python that are data. */
static bool is_key(enum pickle_kind kind)
{
    return kind <= PICKLE_BYTES || kind == PICKLE_TUPLE || kind == PICKLE_NAME;
}

/* Append `count` values of the stack from `first` on. */
static clio_status add_items(struct pickle_machine *m, pickle_ref to, size_t first, size_t count)
{
    clio_status st = CLIO_OK;
    bool is_dict = m->p->values[to].kind == PICKLE_DICT;
    PICKLE_NEED(!is_dict || count % 2 == 0, "a key without a value");
    for (size_t i = 0; i < count; i++) {
        PICKLE_NEED(!is_dict || i % 2 || is_key(m->p->values[m->stack[first + i]].kind), "a key that may change");
        TRY(pickle_add(m, to, m->stack[first + i]));
    }
fail:
    return st;
}

static clio_status run_empty(struct pickle_machine *m, int kind, int unused)
{
    struct pickle_value *v;
    (void)unused;
    return pickle_push_new(m, (enum pickle_kind)kind, &v);
}

/* Take the values above the mark (wanted < 0), or the last `wanted`, from the stack, where they stay readable from `first` on. */
static clio_status take_items(struct pickle_machine *m, int wanted, size_t *first, size_t *count)
{
    clio_status st = CLIO_OK;
    if (wanted < 0)
        return pickle_pop_mark(m, first, count);
    *count = (size_t)wanted;
    PICKLE_NEED(m->depth >= *count, "a value is missing");
    *first = m->depth -= *count;
    for (size_t i = 0; i < *count; i++)
        PICKLE_NEED(m->stack[*first + i] != PICKLE_REF_MARK, "a value is missing");
fail:
    return st;
}

/* The values that take_items takes, as a new container. */
static clio_status run_collect(struct pickle_machine *m, int kind, int wanted)
{
    clio_status st = CLIO_OK;
    size_t first, count;
    pickle_ref made;
    TRY(take_items(m, wanted, &first, &count));
    TRY(pickle_new(m, (enum pickle_kind)kind, &made));
    TRY(add_items(m, made, first, count));
    TRY(pickle_push(m, made));
fail:
    return st;
}

/* Add them to the container below them, which must be of the kind. */
static clio_status run_add(struct pickle_machine *m, int kind, int wanted)
{
    clio_status st = CLIO_OK;
    size_t first, count;
    pickle_ref to;
    TRY(take_items(m, wanted, &first, &count));
    TRY(pickle_top(m, &to));
    PICKLE_NEED(m->p->values[to].kind == (enum pickle_kind)kind, "items for something else than a list, set or dictionary");
    TRY(add_items(m, to, first, count));
fail:
    return st;
}

/* ---- stack and memo ---- */

static clio_status run_pop(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    (void)unused;
    (void)unused_too;
    PICKLE_NEED(m->depth, "a value is missing");
    m->depth--;
fail:
    return st;
}

static clio_status run_pop_mark(struct pickle_machine *m, int unused, int unused_too)
{
    size_t first, count;
    (void)unused;
    (void)unused_too;
    return pickle_pop_mark(m, &first, &count);
}

static clio_status run_dup(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    pickle_ref top;
    (void)unused;
    (void)unused_too;
    TRY(pickle_top(m, &top));
    TRY(pickle_push(m, top));
fail:
    return st;
}

/* bytes 0: a decimal number in a line */
static clio_status run_memo(struct pickle_machine *m, int bytes, int puts)
{
    clio_status st = CLIO_OK;
    unsigned long long index;
    struct bytes line = {0};
    TRY(bytes ? pickle_take_number(m, (size_t)bytes, &index) : pickle_take_line(m, &line));
    if (!bytes) {
        char *end;
        index = strtoull(line.data, &end, 10);
        PICKLE_NEED(*line.data >= '0' && *line.data <= '9' && end == line.data + line.size, "a number with something else than digits");
    }
    TRY(puts ? pickle_memo_put(m, index) : pickle_memo_get(m, index));
fail:
    bytes_free(&line);
    return st;
}

static clio_status run_memoize(struct pickle_machine *m, int unused, int unused_too)
{
    (void)unused;
    (void)unused_too;
    return pickle_memo_put(m, m->memo_count);
}

/* ---- names and objects ---- */

static clio_status run_global(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    struct bytes module = {0}, name = {0};
    (void)unused;
    (void)unused_too;
    TRY(pickle_take_line(m, &module));
    TRY(pickle_take_line(m, &name));
    TRY(pickle_push_global(m, module.data, name.data));
fail:
    bytes_free(&module);
    bytes_free(&name);
    return st;
}

static clio_status run_stack_global(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    pickle_ref module, name;
    (void)unused;
    (void)unused_too;
    TRY(pickle_pop(m, &name));
    TRY(pickle_pop(m, &module));
    const struct pickle_value *values = m->p->values;
    PICKLE_NEED(values[module].kind == PICKLE_TEXT && values[name].kind == PICKLE_TEXT && pickle_text(m->p, &values[module]) &&
                    pickle_text(m->p, &values[name]),
                "a name that is no text");
    TRY(pickle_push_global(m, pickle_text(m->p, &values[module]), pickle_text(m->p, &values[name])));
fail:
    return st;
}

static clio_status run_reduce(struct pickle_machine *m, int unused, int unused_too)
{
    (void)unused;
    (void)unused_too;
    return pickle_reduce(m);
}

static clio_status run_build(struct pickle_machine *m, int unused, int unused_too)
{
    (void)unused;
    (void)unused_too;
    return pickle_build(m);
}

static clio_status run_storage(struct pickle_machine *m, int unused, int unused_too)
{
    (void)unused;
    (void)unused_too;
    return pickle_storage(m);
}

/* ---- the file's form ---- */

static clio_status run_protocol(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    unsigned long long version;
    (void)unused;
    (void)unused_too;
    TRY(pickle_take_number(m, 1, &version));
    if (version > PROTOCOL_MAX)
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s is a pickle of protocol %llu, and clio reads 0 to %d: save it with an earlier protocol",
             m->in->path, version, PROTOCOL_MAX);
fail:
    return st;
}

static clio_status run_frame(struct pickle_machine *m, int unused, int unused_too)
{
    clio_status st = CLIO_OK;
    unsigned long long size;
    (void)unused;
    (void)unused_too;
    TRY(pickle_take_number(m, 8, &size));
    PICKLE_NEED(size <= m->end - m->at, "it ends too early");
fail:
    return st;
}

#define TO_MARK (-1)

static const struct instruction {
    const char *name;
    clio_status (*run)(struct pickle_machine *m, int first, int second); /* NULL: refused */
    int first, second;
} instructions[256] = {
    ['N'] = {"NONE", run_constant, PICKLE_REF_NONE, 0},
    [0x88] = {"NEWTRUE", run_constant, PICKLE_REF_TRUE, 0},
    [0x89] = {"NEWFALSE", run_constant, PICKLE_REF_FALSE, 0},
    ['('] = {"MARK", run_constant, PICKLE_REF_MARK, 0},
    ['K'] = {"BININT1", run_integer, 1, false},
    ['M'] = {"BININT2", run_integer, 2, false},
    ['J'] = {"BININT", run_integer, 4, true},
    [0x8a] = {"LONG1", run_long, 1, 0},
    [0x8b] = {"LONG4", run_long, 4, 0},
    ['G'] = {"BINFLOAT", run_float, 0, 0},
    ['I'] = {"INT", run_line, 'I', 0},
    ['L'] = {"LONG", run_line, 'L', 0},
    ['F'] = {"FLOAT", run_line, 'F', 0},
    ['S'] = {"STRING", run_line, 'S', 0},
    ['V'] = {"UNICODE", run_line, 'V', 0},
    ['U'] = {"SHORT_BINSTRING", run_text, 1, PICKLE_TEXT},
    ['T'] = {"BINSTRING", run_text, 4, PICKLE_TEXT},
    ['X'] = {"BINUNICODE", run_text, 4, PICKLE_TEXT},
    [0x8c] = {"SHORT_BINUNICODE", run_text, 1, PICKLE_TEXT},
    [0x8d] = {"BINUNICODE8", run_text, 8, PICKLE_TEXT},
    ['C'] = {"SHORT_BINBYTES", run_text, 1, PICKLE_BYTES},
    ['B'] = {"BINBYTES", run_text, 4, PICKLE_BYTES},
    [0x8e] = {"BINBYTES8", run_text, 8, PICKLE_BYTES},
    [0x96] = {"BYTEARRAY8", run_text, 8, PICKLE_BYTES},
    ['}'] = {"EMPTY_DICT", run_empty, PICKLE_DICT, 0},
    [']'] = {"EMPTY_LIST", run_empty, PICKLE_LIST, 0},
    [')'] = {"EMPTY_TUPLE", run_empty, PICKLE_TUPLE, 0},
    [0x8f] = {"EMPTY_SET", run_empty, PICKLE_SET, 0},
    ['t'] = {"TUPLE", run_collect, PICKLE_TUPLE, TO_MARK},
    [0x85] = {"TUPLE1", run_collect, PICKLE_TUPLE, 1},
    [0x86] = {"TUPLE2", run_collect, PICKLE_TUPLE, 2},
    [0x87] = {"TUPLE3", run_collect, PICKLE_TUPLE, 3},
    ['l'] = {"LIST", run_collect, PICKLE_LIST, TO_MARK},
    ['d'] = {"DICT", run_collect, PICKLE_DICT, TO_MARK},
    [0x91] = {"FROZENSET", run_collect, PICKLE_SET, TO_MARK},
    ['a'] = {"APPEND", run_add, PICKLE_LIST, 1},
    ['e'] = {"APPENDS", run_add, PICKLE_LIST, TO_MARK},
    ['s'] = {"SETITEM", run_add, PICKLE_DICT, 2},
    ['u'] = {"SETITEMS", run_add, PICKLE_DICT, TO_MARK},
    [0x90] = {"ADDITEMS", run_add, PICKLE_SET, TO_MARK},
    ['0'] = {"POP", run_pop, 0, 0},
    ['1'] = {"POP_MARK", run_pop_mark, 0, 0},
    ['2'] = {"DUP", run_dup, 0, 0},
    ['p'] = {"PUT", run_memo, 0, true},
    ['q'] = {"BINPUT", run_memo, 1, true},
    ['r'] = {"LONG_BINPUT", run_memo, 4, true},
    ['g'] = {"GET", run_memo, 0, false},
    ['h'] = {"BINGET", run_memo, 1, false},
    ['j'] = {"LONG_BINGET", run_memo, 4, false},
    [0x94] = {"MEMOIZE", run_memoize, 0, 0},
    ['c'] = {"GLOBAL", run_global, 0, 0},
    [0x93] = {"STACK_GLOBAL", run_stack_global, 0, 0},
    ['R'] = {"REDUCE", run_reduce, 0, 0},
    [0x81] = {"NEWOBJ", run_reduce, 0, 0},
    ['b'] = {"BUILD", run_build, 0, 0},
    ['Q'] = {"BINPERSID", run_storage, 0, 0},
    [0x80] = {"PROTO", run_protocol, 0, 0},
    [0x95] = {"FRAME", run_frame, 0, 0},
    ['P'] = {"PERSID", NULL, 0, 0},
    ['i'] = {"INST", NULL, 0, 0},
    ['o'] = {"OBJ", NULL, 0, 0},
    [0x82] = {"EXT1", NULL, 0, 0},
    [0x83] = {"EXT2", NULL, 0, 0},
    [0x84] = {"EXT4", NULL, 0, 0},
    [0x92] = {"NEWOBJ_EX", NULL, 0, 0},
    [0x97] = {"NEXT_BUFFER", NULL, 0, 0},
    [0x98] = {"READONLY_BUFFER", NULL, 0, 0},
};

static clio_status run(struct pickle_machine *m, unsigned char code)
{
    clio_status st = CLIO_OK;
    const struct instruction *i = &instructions[code];
    char unknown[40];
    if (i->run)
        return i->run(m, i->first, i->second);
    if (i->name)
        TRY(pickle_refuse(m, "the pickle instruction ", i->name));
    snprintf(unknown, sizeof unknown, "the byte 0x%02x is no instruction", code);
    TRY(pickle_damaged(m, unknown));
fail:
    return st;
}

clio_status pickle_run(struct pickle_machine *m, pickle_ref *result)
{
    clio_status st = CLIO_OK;
    unsigned char code;
    m->depth = m->memo_count = 0;
    if (m->memo)
        memset(m->memo, 0, m->memo_size * sizeof *m->memo);
    m->program = m->at;
    for (;;) {
        TRY(pickle_take(m, &code, 1));
        if (code == '.')
            break;
        TRY(run(m, code));
    }
    PICKLE_NEED(m->depth == 1, "it ends with something else than one value");
    TRY(pickle_pop(m, result));
    TRY(pickle_check(m, *result));
fail:
    return st;
}
