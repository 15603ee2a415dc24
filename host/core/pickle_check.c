/* pickle_check.c - whether what a pickle built can be walked: a value that holds itself, values nested without end, and few bytes that
 * stand for billions of values ("billion laughs") are refused. See pickle_machine.h. */
#include "pickle_machine.h"

#include <stdlib.h>

#define HEIGHT_MAX 100
#define EXPANDED_MAX ((uint64_t)1 << 26)

#define ON_PATH 255

/* sizes[v]: values of v with all that it holds, each as often as it is held; 0: not seen yet. */
static clio_status check(struct pickle_machine *m, pickle_ref ref, uint32_t *sizes, unsigned depth)
{
    clio_status st = CLIO_OK;
    struct pickle_value *v = &m->p->values[ref];
    bool holds = v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE || v->kind == PICKLE_SET || v->kind == PICKLE_DICT;
    uint64_t size = 1;
    PICKLE_NEED(v->height != ON_PATH, "a value that contains itself");
    PICKLE_NEED(depth < HEIGHT_MAX, "values nested too deeply");
    if (sizes[ref])
        return CLIO_OK;
    v->has_tensor = v->kind == PICKLE_TENSOR;
    v->height = ON_PATH;
    unsigned height = 1;
    for (uint32_t i = 0; holds && i < v->list.count; i++) {
        const struct pickle_value *item = &m->p->values[v->list.items[i]];
        TRY(check(m, v->list.items[i], sizes, depth + 1));
        height = MAX(height, item->height + 1u);
        size += sizes[v->list.items[i]];
        v->has_tensor = v->has_tensor || item->has_tensor;
        PICKLE_NEED(size <= EXPANDED_MAX, "a few values that stand for millions");
        PICKLE_NEED(height < HEIGHT_MAX, "values nested too deeply");
    }
    v->height = (uint8_t)height;
    sizes[ref] = (uint32_t)size;
fail:
    return st;
}

clio_status pickle_check(struct pickle_machine *m, pickle_ref root)
{
    clio_status st = CLIO_OK;
    uint32_t *sizes = NULL;
    TRY(mem_alloc(m->ctx, &sizes, m->p->count, sizeof *sizes));
    TRY(check(m, root, sizes, 0));
fail:
    free(sizes);
    return st;
}
