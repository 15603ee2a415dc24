/* bench_compare.h - clio bench --compare: reports side by side, in the terminal and as a page. */
#ifndef CLIO_CLI_BENCH_COMPARE_H
#define CLIO_CLI_BENCH_COMPARE_H

#include "command.h"

/* Compare the reports in set->files. Returns the exit code: EXIT_FAILED when a report cannot be read or the page not be written, and with a
 * threshold when a row of the last report is slower. */
int bench_compare(const struct command *self, const struct settings *set);

#endif
