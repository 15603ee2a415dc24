/* clock.c - see clock.h. */
#include "clock.h"

#include <stdatomic.h>
#include <time.h>

/* The monotonic clock of a virtual machine that was moved or restored can go back all the same: time stands still then, so that no limit is
 * extended by what it has gone back. */
static _Atomic long long last, gone_back; /* nanoseconds */

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long long now = (long long)t.tv_sec * 1000000000 + t.tv_nsec, before = atomic_exchange(&last, now);
    if (before - now > 1000000000) /* not two threads that pass each other */
        atomic_fetch_add(&gone_back, before - now);
    return 1e-9 * (double)(now + atomic_load(&gone_back));
}
