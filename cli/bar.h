/* bar.h - the progress bar: one line of standard error, on a terminal only. There is one terminal, so there is one bar. */
#ifndef CLIO_CLI_BAR_H
#define CLIO_CLI_BAR_H

#include <stdbool.h>

/* Allow the bar where standard error is a terminal that can clear a line. */
void bar_enable(bool wanted);
/* A new piece of work begins: elapsed time counts from here. */
void bar_begin(void);
/* What done and total count: nothing in particular; seconds of sound, so that there is a speed; long steps, each of which is shown. */
enum bar_unit { BAR_PLAIN, BAR_SOUND, BAR_STEPS };
/* What is being done, and how far it is; total 0: not known. */
void bar_progress(const char *what, double done, double total, enum bar_unit unit);
/* Take the bar off the screen, before anything else is printed. It comes back with the next progress. */
void bar_clear(void);
/* Seconds since some fixed moment. */
double seconds_now(void);

#endif
