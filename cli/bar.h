/* bar.h - the progress bar: one line of standard error, on a terminal only. There is one terminal, so there is one bar. */
#ifndef CLIO_CLI_BAR_H
#define CLIO_CLI_BAR_H

#include <stdbool.h>

/* Allow the bar where standard error is a terminal that can clear a line. */
void bar_enable(bool wanted);
/* Begin a new task: elapsed time counts from here. */
void bar_begin(void);
/* What done and total count: nothing in particular; seconds of audio, shown with the speed; long steps, each of which is shown. */
enum bar_unit { BAR_PLAIN, BAR_AUDIO, BAR_STEPS };
/* Show what is being done and how far it is; total 0: not known. */
void bar_progress(const char *what, double done, double total, enum bar_unit unit);
/* Remove the bar before anything else is printed. The next progress draws it again. */
void bar_clear(void);
/* Columns of the terminal that this file descriptor is; $COLUMNS, where set; 80 where it is none. */
int terminal_columns(int fd);
/* Seconds since some fixed moment. */
double seconds_now(void);

#endif
