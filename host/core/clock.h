/* clock.h - seconds that pass, whatever the calendar says. */
#ifndef CLIO_CORE_CLOCK_H
#define CLIO_CORE_CLOCK_H

/* Since some fixed moment. */
double clock_seconds(void);

#endif
