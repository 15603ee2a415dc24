/* metric_list.h - the list of metrics that an evaluation returns: it grows, and becomes the public one. */
#ifndef CLIO_MODELS_METRICS_METRIC_LIST_H
#define CLIO_MODELS_METRICS_METRIC_LIST_H

#include "../../host/core/mem.h"

struct metric_list {
    clio_metrics public; /* first: the caller's pointer is this one */
    clio_metric *list;
    size_t capacity;
};
clio_status metric_list_new(clio_context *ctx, struct metric_list **out);
/* name and unit are constants. */
clio_status metric_list_add(clio_context *ctx, struct metric_list *m, const char *name, double value, const char *unit);

#endif
