/* clock.h - monotonic time. */
#ifndef CLIO_CORE_CLOCK_H
#define CLIO_CORE_CLOCK_H

/* Seconds since an arbitrary fixed moment; not affected by changes of the system time. */
double clock_seconds(void);

#endif
