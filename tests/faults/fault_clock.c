/* fault_clock.c - clocks that jump. */
#define _GNU_SOURCE
#include "fault.h"

#include <sys/time.h>
#include <time.h>

static long offset(const void *caller)
{
    if (!fault_module(caller))
        return 0;
    (void)fault_due(FAULT_CLOCK, "clock");
    return fault_clock_offset();
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    static int (*next)(clockid_t, struct timespec *);
    fault_next(&next, "clock_gettime");
    int result = next(id, now);
    now->tv_sec += offset(FAULT_CALLER);
    return result;
}

time_t time(time_t *out)
{
    static time_t (*next)(time_t *);
    fault_next(&next, "time");
    time_t now = next(NULL) + offset(FAULT_CALLER);
    if (out)
        *out = now;
    return now;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    static int (*next)(struct timeval *, void *);
    fault_next(&next, "gettimeofday");
    int result = next(now, zone);
    now->tv_sec += offset(FAULT_CALLER);
    return result;
}
