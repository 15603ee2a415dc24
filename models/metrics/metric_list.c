/* metric_list.c - a growing list of metrics. See metric_list.h. */
#include "metric_list.h"

#include <stdlib.h>

clio_status metric_list_new(clio_context *ctx, struct metric_list **out)
{
    return mem_alloc(ctx, out, 1, sizeof **out);
}

clio_status metric_list_add(clio_context *ctx, struct metric_list *m, const char *name, double value, const char *unit)
{
    clio_status st = CLIO_OK;
    TRY(mem_grow(ctx, &m->list, m->public.count, &m->capacity, sizeof *m->list));
    m->public.list = m->list;
    m->list[m->public.count++] = (clio_metric){name, value, unit};
fail:
    return st;
}

void clio_metrics_free(clio_metrics *metrics)
{
    struct metric_list *m = (struct metric_list *)(void *)metrics;
    if (m)
        free(m->list);
    free(m);
}
