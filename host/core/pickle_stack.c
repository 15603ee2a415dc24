/* pickle_stack.c - values, stack and memo of the machine, with their limits. See pickle_machine.h. */
#include "pickle_machine.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 120
#define ITEMS_AT_FIRST 4

/* ---- messages ---- */

clio_status pickle_damaged(const struct pickle_machine *m, const char *what)
{
    clio_status st = CLIO_OK;
    FAIL(m->ctx, CLIO_ERROR_FORMAT, "%s is not a pickle or a file that torch.save wrote, or is damaged (%s): download it again",
         m->in->path, what);
fail:
    return st;
}

clio_status pickle_refuse(const struct pickle_machine *m, const char *what, const char *name)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    for (size_t i = 0; name && name[i] && i < NAME_MAX_BYTES; i++) /* a name of the file, for a terminal */
        TRY(bytes_print(m->ctx, &text, name[i] > ' ' && name[i] <= '~' ? "%c" : "\\x%02x", (unsigned char)name[i]));
    FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED,
         "%s contains %s%s, which is not data: clio runs no code of such files; use one that holds weights or values alone, or a "
         ".safetensors "
         "file",
         m->in->path, what, text.size ? text.data : "");
fail:
    bytes_free(&text);
    return st;
}

/* ---- values ---- */

clio_status pickle_new(struct pickle_machine *m, enum pickle_kind kind, pickle_ref *ref)
{
    clio_status st = CLIO_OK;
    struct pickle *p = m->p;
    PICKLE_NEED(p->count < PICKLE_VALUES_MAX, "too many values");
    TRY(mem_grow(m->ctx, &p->values, p->count, &p->capacity, sizeof *p->values));
    p->values[p->count] = (struct pickle_value){.kind = kind};
    *ref = (pickle_ref)p->count++;
fail:
    return st;
}

clio_status pickle_push(struct pickle_machine *m, pickle_ref ref)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->depth < PICKLE_VALUES_MAX, "too many values");
    TRY(mem_grow(m->ctx, &m->stack, m->depth, &m->stack_capacity, sizeof *m->stack));
    m->stack[m->depth++] = ref;
fail:
    return st;
}

clio_status pickle_push_new(struct pickle_machine *m, enum pickle_kind kind, struct pickle_value **value)
{
    clio_status st = CLIO_OK;
    pickle_ref ref;
    TRY(pickle_new(m, kind, &ref));
    TRY(pickle_push(m, ref));
    *value = &m->p->values[ref];
fail:
    return st;
}

clio_status pickle_push_integer(struct pickle_machine *m, long long number)
{
    clio_status st = CLIO_OK;
    bool is_small = number >= 0 && number < PICKLE_SMALL;
    pickle_ref ref;
    if (is_small && !m->small)
        TRY(mem_alloc(m->ctx, &m->small, PICKLE_SMALL, sizeof *m->small));
    if (is_small && m->small[number])
        return pickle_push(m, m->small[number]);
    TRY(pickle_new(m, PICKLE_INTEGER, &ref));
    m->p->values[ref].integer = number;
    if (is_small)
        m->small[number] = ref;
    TRY(pickle_push(m, ref));
fail:
    return st;
}

clio_status pickle_push_text(struct pickle_machine *m, enum pickle_kind kind, uint64_t at)
{
    clio_status st = CLIO_OK;
    struct pickle_value *v;
    uint64_t size = m->p->texts.size - at;
    TRY(bytes_add(m->ctx, &m->p->texts, "", 1));
    TRY(pickle_push_new(m, kind, &v));
    v->text.at = at;
    v->text.size = size;
fail:
    return st;
}

clio_status pickle_add(struct pickle_machine *m, pickle_ref to, pickle_ref item)
{
    clio_status st = CLIO_OK;
    struct pickle_value *v = &m->p->values[to];
    if (v->list.count == v->list.capacity) {
        uint32_t capacity = v->list.capacity ? 2 * v->list.capacity : ITEMS_AT_FIRST;
        PICKLE_NEED(capacity <= 4 * PICKLE_VALUES_MAX, "too many values");
        pickle_ref *grown = realloc(v->list.items, capacity * sizeof *grown);
        if (!grown)
            FAIL(m->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        v->list.items = grown;
        v->list.capacity = capacity;
    }
    v->list.items[v->list.count++] = item;
fail:
    return st;
}

clio_status pickle_count_copies(struct pickle_machine *m, uint64_t count)
{
    clio_status st = CLIO_OK;
    m->copied += count;
    PICKLE_NEED(m->copied <= m->in->size, "a value that is copied many times");
fail:
    return st;
}

clio_status pickle_copy_items(struct pickle_machine *m, pickle_ref from, pickle_ref to)
{
    clio_status st = CLIO_OK;
    uint32_t count = m->p->values[from].list.count;
    TRY(pickle_count_copies(m, count));
    for (uint32_t i = 0; i < count; i++)
        TRY(pickle_add(m, to, m->p->values[from].list.items[i]));
fail:
    return st;
}

pickle_ref pickle_argument(const struct pickle_machine *m, pickle_ref arguments, size_t i)
{
    const struct pickle_value *v = &m->p->values[arguments];
    return i < v->list.count ? v->list.items[i] : (pickle_ref)PICKLE_REF_NONE;
}

/* ---- stack ---- */

clio_status pickle_top(const struct pickle_machine *m, pickle_ref *ref)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->depth && m->stack[m->depth - 1] != PICKLE_REF_MARK, "a value is missing");
    *ref = m->stack[m->depth - 1];
fail:
    return st;
}

clio_status pickle_pop(struct pickle_machine *m, pickle_ref *ref)
{
    clio_status st = pickle_top(m, ref);
    if (!st)
        m->depth--;
    return st;
}

clio_status pickle_pop_mark(struct pickle_machine *m, size_t *first, size_t *count)
{
    clio_status st = CLIO_OK;
    size_t at = m->depth;
    while (at && m->stack[at - 1] != PICKLE_REF_MARK)
        at--;
    PICKLE_NEED(at, "a mark is missing");
    *first = at;
    *count = m->depth - at;
    m->depth = at - 1;
fail:
    return st;
}

/* ---- memo ---- */

/* Every value that is remembered took a byte of the program or more, and picklers number them in turn. */
clio_status pickle_memo_put(struct pickle_machine *m, unsigned long long index)
{
    clio_status st = CLIO_OK;
    pickle_ref top;
    TRY(pickle_top(m, &top));
    PICKLE_NEED(index < PICKLE_VALUES_MAX && index <= m->at - m->program, "a number of the memo that is too large");
    if (index >= m->memo_size) {
        size_t size = MAX((size_t)index + 1, 2 * m->memo_size);
        pickle_ref *grown = realloc(m->memo, size * sizeof *grown);
        if (!grown)
            FAIL(m->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        memset(grown + m->memo_size, 0, (size - m->memo_size) * sizeof *grown);
        m->memo = grown;
        m->memo_size = size;
    }
    m->memo_count += !m->memo[index];
    m->memo[index] = top + 1;
fail:
    return st;
}

clio_status pickle_memo_get(struct pickle_machine *m, unsigned long long index)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(index < m->memo_size && m->memo[index], "a value that the memo does not have");
    TRY(pickle_push(m, m->memo[index] - 1));
fail:
    return st;
}
