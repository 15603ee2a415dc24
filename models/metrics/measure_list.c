/* measure_list.c - the list of metrics that an evaluation returns. */
#include "measure_list.h"

#include <stdlib.h>

clio_status measure_list_new(clio_context *ctx, struct measure_list **out)
{
    return mem_alloc(ctx, out, 1, sizeof **out);
}

clio_status measure_list_add(clio_context *ctx, struct measure_list *m, const char *name, double value, const char *unit)
{
    clio_status st = CLIO_OK;
    TRY(mem_grow(ctx, &m->list, m->public.count, &m->capacity, sizeof *m->list));
    m->public.list = m->list;
    m->list[m->public.count++] = (clio_measure){name, value, unit};
fail:
    return st;
}

void clio_measures_free(clio_measures *measures)
{
    struct measure_list *m = (struct measure_list *)(void *)measures;
    if (m)
        free(m->list);
    free(m);
}
