/* metric_list.h - the list of metrics returned by the public evaluation functions (clio_metrics). */
#ifndef CLIO_MODELS_METRICS_METRIC_LIST_H
#define CLIO_MODELS_METRICS_METRIC_LIST_H

#include "../../host/core/mem.h"

struct metric_list {
    clio_metrics public; /* must be first: the caller's pointer points at it */
    clio_metric *list;
    size_t capacity;
};
clio_status metric_list_new(clio_context *ctx, struct metric_list **out);
/* name and unit must be string constants: they are not copied. */
clio_status metric_list_add(clio_context *ctx, struct metric_list *m, const char *name, double value, const char *unit);

#endif
