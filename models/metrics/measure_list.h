/* measure_list.h - the list of metrics that an evaluation returns: it grows, and becomes the public one. */
#ifndef CLIO_MODELS_METRICS_MEASURE_LIST_H
#define CLIO_MODELS_METRICS_MEASURE_LIST_H

#include "../../host/core/mem.h"

struct measure_list {
    clio_measures public; /* first: the caller's pointer is this one */
    clio_measure *list;
    size_t capacity;
};
clio_status measure_list_new(clio_context *ctx, struct measure_list **out);
/* name and unit are constants. */
clio_status measure_list_add(clio_context *ctx, struct measure_list *m, const char *name, double value, const char *unit);

#endif
