/* pickle_machine.c - see pickle_machine.h. Nothing is called: a function that is not one of those that rebuild tensors gives an object
 * without contents, and what is stored in it is kept. Source: CPython, Lib/pickletools.py. */
#include "pickle_machine.h"
#include "../../host/core/dtype.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 50000 /* three bytes of the program can make a list, of 600 bytes; an embedding has a hundred values */

clio_status pickle_damaged(const struct pickle_machine *m, const char *what)
{
    clio_status st = CLIO_OK;
    FAIL(m->ctx, CLIO_ERROR_FORMAT, "%s is not a file of tensors that torch.save wrote, or is damaged (%s): download it again", m->path,
         what);
fail:
    return st;
}

/* ---- values ---- */

static clio_status new_value(struct pickle_machine *m, enum pickle_kind kind, size_t *index)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->count < VALUES_MAX, "too many values");
    TRY(mem_grow(m->ctx, &m->values, m->count, &m->capacity, sizeof *m->values));
    m->values[m->count] = (struct pickle_value){.kind = kind};
    *index = m->count++;
fail:
    return st;
}

static clio_status push(struct pickle_machine *m, size_t value)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->depth < VALUES_MAX, "too many values");
    TRY(mem_grow(m->ctx, &m->stack, m->depth, &m->stack_capacity, sizeof *m->stack));
    m->stack[m->depth++] = value;
fail:
    return st;
}

static clio_status push_new(struct pickle_machine *m, enum pickle_kind kind, struct pickle_value **value)
{
    clio_status st = CLIO_OK;
    size_t index;
    TRY(new_value(m, kind, &index));
    TRY(push(m, index));
    *value = &m->values[index];
fail:
    return st;
}

static clio_status pop(struct pickle_machine *m, size_t *value)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->depth, "a value is missing");
    *value = m->stack[--m->depth];
fail:
    return st;
}

static clio_status add_item(struct pickle_machine *m, size_t to, size_t item)
{
    struct pickle_value *v = &m->values[to];
    clio_status st = mem_grow(m->ctx, &v->items, v->count, &v->capacity, sizeof *v->items);
    if (!st)
        v->items[v->count++] = item;
    return st;
}

/* The values above the last mark; it is taken off the stack with them. */
static clio_status pop_mark(struct pickle_machine *m, size_t *first, size_t *count)
{
    clio_status st = CLIO_OK;
    size_t at = m->depth;
    while (at && m->values[m->stack[at - 1]].kind != PICKLE_MARK)
        at--;
    PICKLE_NEED(at, "a mark is missing");
    *first = at;
    *count = m->depth - at;
    m->depth = at - 1;
fail:
    return st;
}

/* `count` values of the stack from `first` on into a new list, which is pushed. */
static clio_status push_list(struct pickle_machine *m, size_t first, size_t count)
{
    clio_status st = CLIO_OK;
    size_t index;
    TRY(new_value(m, PICKLE_LIST, &index));
    for (size_t i = 0; i < count; i++)
        TRY(add_item(m, index, m->stack[first + i]));
    TRY(push(m, index));
fail:
    return st;
}

static clio_status push_tuple(struct pickle_machine *m, size_t count)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->depth >= count, "a value is missing");
    m->depth -= count;
    TRY(push_list(m, m->depth, count));
fail:
    return st;
}

bool pickle_is_text(const struct pickle_value *v, const char *text)
{
    return (v->kind == PICKLE_TEXT || v->kind == PICKLE_GLOBAL) && v->size == strlen(text) && !memcmp(v->text, text, v->size);
}

/* Item i of a list; NULL: there is none. */
static const struct pickle_value *item(const struct pickle_machine *m, size_t list, size_t i)
{
    const struct pickle_value *v = &m->values[list];
    return v->kind == PICKLE_LIST && i < v->count ? &m->values[v->items[i]] : NULL;
}

/* ---- instructions that build objects ---- */

/* ('storage', torch.FloatStorage, '0', 'cpu', 768) */
static clio_status load_storage(struct pickle_machine *m)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } types[] = {{"FloatStorage", DTYPE_F32}, {"HalfStorage", DTYPE_F16}, {"BFloat16Storage", DTYPE_BF16}};
    clio_status st = CLIO_OK;
    size_t id;
    struct pickle_value *v;
    TRY(pop(m, &id));
    TRY(push_new(m, PICKLE_STORAGE, &v));
    const struct pickle_value *type = item(m, id, 1), *key = item(m, id, 2);
    PICKLE_NEED(type && key && key->kind == PICKLE_TEXT, "a storage without a key");
    v->text = key->text;
    v->size = key->size;
    v->number = -1;
    for (size_t i = 0; i < COUNT(types); i++)
        if (pickle_is_text(type, types[i].name))
            v->number = (long long)types[i].dtype;
fail:
    return st;
}

/* A function or class, and its arguments: a tensor, a dictionary, or an object that is only kept. */
static clio_status reduce(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    size_t arguments, callable, index;
    TRY(pop(m, &arguments));
    TRY(pop(m, &callable));
    const struct pickle_value *f = &m->values[callable], *a = &m->values[arguments];
    if (pickle_is_text(f, "_rebuild_parameter")) {
        PICKLE_NEED(a->kind == PICKLE_LIST && a->count, "a parameter without a tensor");
        return push(m, a->items[0]);
    }
    bool is_tensor = pickle_is_text(f, "_rebuild_tensor_v2") || pickle_is_text(f, "_rebuild_tensor");
    PICKLE_NEED(!is_tensor || (a->kind == PICKLE_LIST && a->count >= 4), "a tensor without a shape");
    TRY(new_value(m, is_tensor ? PICKLE_TENSOR : pickle_is_text(f, "OrderedDict") ? PICKLE_DICT : PICKLE_OBJECT, &index));
    a = &m->values[arguments];
    if (is_tensor) {
        m->values[index].storage = a->items[0];
        m->values[index].number = m->values[a->items[1]].number;
        m->values[index].sizes = a->items[2];
        m->values[index].strides = a->items[3];
    }
    TRY(push(m, index));
fail:
    return st;
}

static clio_status build(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    size_t state;
    TRY(pop(m, &state));
    PICKLE_NEED(m->depth, "a value is missing");
    m->values[m->stack[m->depth - 1]].state = state;
fail:
    return st;
}

/* Add the values above the mark, or the last `count`, to the list or dictionary below them. */
static clio_status add_items(struct pickle_machine *m, size_t count)
{
    clio_status st = CLIO_OK;
    size_t first;
    if (count) {
        PICKLE_NEED(m->depth >= count, "a value is missing");
        m->depth -= count;
        first = m->depth;
    } else {
        TRY(pop_mark(m, &first, &count));
    }
    PICKLE_NEED(m->depth, "a value is missing");
    for (size_t i = 0; i < count; i++)
        TRY(add_item(m, m->stack[m->depth - 1], m->stack[first + i]));
fail:
    return st;
}

/* ---- reading ---- */

static clio_status take(struct pickle_machine *m, size_t size, const unsigned char **data)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(size <= (size_t)(m->end - m->at), "it ends too early");
    *data = m->at;
    m->at += size;
fail:
    return st;
}

static clio_status read_number(struct pickle_machine *m, size_t bytes, unsigned long long *number)
{
    clio_status st = CLIO_OK;
    const unsigned char *data;
    *number = 0;
    TRY(take(m, bytes, &data));
    for (size_t i = 0; i < bytes && i < sizeof *number; i++)
        *number |= (unsigned long long)data[i] << (8 * i);
fail:
    return st;
}

static clio_status push_integer(struct pickle_machine *m, size_t bytes, bool is_signed)
{
    clio_status st = CLIO_OK;
    unsigned long long number;
    struct pickle_value *v;
    TRY(read_number(m, bytes, &number));
    TRY(push_new(m, PICKLE_INTEGER, &v));
    if (is_signed && bytes && bytes < 8 && number >> (8 * bytes - 1))
        v->number = -(long long)(((unsigned long long)1 << (8 * bytes)) - number);
    else
        v->number = number <= LLONG_MAX ? (long long)number : -1;
fail:
    return st;
}

static clio_status push_text(struct pickle_machine *m, size_t length_bytes, enum pickle_kind kind)
{
    clio_status st = CLIO_OK;
    unsigned long long size;
    const unsigned char *data;
    struct pickle_value *v;
    TRY(read_number(m, length_bytes, &size));
    TRY(take(m, size, &data));
    TRY(push_new(m, kind, &v));
    v->text = (const char *)data;
    v->size = size;
fail:
    return st;
}

/* The rest of the line. */
static clio_status read_line(struct pickle_machine *m, const unsigned char **line, size_t *size)
{
    clio_status st = CLIO_OK;
    const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
    PICKLE_NEED(end, "it ends too early");
    *line = m->at;
    *size = (size_t)(end - m->at);
    m->at = end + 1;
fail:
    return st;
}

static clio_status push_global(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    const unsigned char *module, *name;
    size_t size;
    struct pickle_value *v;
    TRY(read_line(m, &module, &size));
    TRY(read_line(m, &name, &size));
    TRY(push_new(m, PICKLE_GLOBAL, &v));
    v->text = (const char *)name;
    v->size = size;
fail:
    return st;
}

static clio_status memo_put(struct pickle_machine *m, unsigned long long index)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->depth && index < VALUES_MAX, "a value is missing");
    if (index >= m->memo_size) {
        size_t size = MAX((size_t)index + 1, 2 * m->memo_size);
        size_t *grown = realloc(m->memo, size * sizeof *grown);
        if (!grown)
            FAIL(m->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        memset(grown + m->memo_size, 0, (size - m->memo_size) * sizeof *grown);
        m->memo = grown;
        m->memo_size = size;
    }
    m->memo[index] = m->stack[m->depth - 1];
fail:
    return st;
}

static clio_status memo(struct pickle_machine *m, size_t bytes, bool puts)
{
    clio_status st = CLIO_OK;
    unsigned long long index;
    TRY(read_number(m, bytes, &index));
    if (puts)
        return memo_put(m, index);
    PICKLE_NEED(index < m->memo_size, "a value is missing");
    TRY(push(m, m->memo[index]));
fail:
    return st;
}

/* ---- the machine ---- */

static clio_status other_instruction(struct pickle_machine *m, unsigned char code)
{
    clio_status st = CLIO_OK;
    unsigned long long number;
    size_t first, count, ignored;
    const unsigned char *data;
    struct pickle_value *v;
    switch (code) {
    case 0x80: /* PROTO */
        return take(m, 1, &data);
    case 'N': /* NONE, NEWTRUE, NEWFALSE */
    case 0x88:
    case 0x89:
        return push(m, 0);
    case 'G': /* BINFLOAT */
        TRY(take(m, 8, &data));
        return push(m, 0);
    case 0x8a: /* LONG1 */
        TRY(read_number(m, 1, &number));
        return push_integer(m, number, false);
    case '(':
        return push_new(m, PICKLE_MARK, &v);
    case '0': /* POP */
        return pop(m, &ignored);
    case 't': /* TUPLE */
        TRY(pop_mark(m, &first, &count));
        return push_list(m, first, count);
    case 'Q': /* BINPERSID */
        return load_storage(m);
    case 'R': /* REDUCE, NEWOBJ */
    case 0x81:
        return reduce(m);
    case 'b':
        return build(m);
    default:
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s holds objects that are not read here (pickle instruction 0x%02x): save it as .safetensors",
             m->path, code);
    }
fail:
    return st;
}

static clio_status instruction(struct pickle_machine *m, unsigned char code)
{
    struct pickle_value *v;
    switch (code) {
    case '}':
        return push_new(m, PICKLE_DICT, &v);
    case ']':
    case ')':
        return push_new(m, PICKLE_LIST, &v);
    case 'X':
        return push_text(m, 4, PICKLE_TEXT);
    case 'U':
    case 0x8c:
        return push_text(m, 1, PICKLE_TEXT);
    case 'K':
        return push_integer(m, 1, false);
    case 'M':
        return push_integer(m, 2, false);
    case 'J':
        return push_integer(m, 4, true);
    case 'c':
        return push_global(m);
    case 'q':
        return memo(m, 1, true);
    case 'r':
        return memo(m, 4, true);
    case 'h':
        return memo(m, 1, false);
    case 'j':
        return memo(m, 4, false);
    case 0x85:
    case 0x86:
    case 0x87:
        return push_tuple(m, (size_t)code - 0x84);
    case 's':
        return add_items(m, 2);
    case 'a':
        return add_items(m, 1);
    case 'u':
    case 'e':
        return add_items(m, 0);
    default:
        return other_instruction(m, code);
    }
}

clio_status pickle_run(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    size_t none;
    TRY(new_value(m, PICKLE_OTHER, &none));
    for (;;) {
        const unsigned char *code;
        TRY(take(m, 1, &code));
        if (*code == '.')
            break;
        TRY(instruction(m, *code));
    }
    PICKLE_NEED(m->depth == 1, "it ends too early");
fail:
    return st;
}

void pickle_machine_free(struct pickle_machine *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->values[i].items);
    free(m->values);
    free(m->stack);
    free(m->memo);
}
