/* bench_page.h - reports as one HTML page that needs nothing else: bench_page.html with the data in it. */
#ifndef CLIO_CLI_BENCH_PAGE_H
#define CLIO_CLI_BENCH_PAGE_H

#include <jansson.h>

/* The files that CMake embeds in the command. */
struct embedded_file {
    const char *name;
    const unsigned char *data;
    size_t size;
};
extern const struct embedded_file page_files[];
extern const size_t page_file_count;

/* The page of a list of reports; the caller frees it. */
char *bench_page(json_t *reports);

#endif
