/* bench_page.c - see bench_page.h. */
#include "bench_page.h"
#include "print_json.h"
#include "say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE "/*REPORTS*/"

/* JSON within a script element: "<" would end it in "</script>" and begin a comment in "<!--". */
static char *script_text(json_t *reports)
{
    char *text = json_document(json_incref(reports), JSON_MEASURED);
    char *out = must_alloc(6 * strlen(text) + 1), *to = out;
    for (const char *from = text; *from; from++) {
        if (*from == '<') {
            to += snprintf(to, 7, "\\u003c");
        } else {
            *to++ = *from;
        }
    }
    free(text);
    return out;
}

char *bench_page(json_t *reports)
{
    const char *page = (const char *)page_files[0].data, *place = strstr(page, PLACE);
    char *data = script_text(reports);
    char *out = place ? must_print("%.*s%s%s", (int)(place - page), page, data, place + strlen(PLACE)) : must_print("%s", page);
    free(data);
    return out;
}
