/* profile.c - see profile.h. Rates are per second of device time; a dash where a kernel reports no arithmetic. */
#include "profile.h"
#include "say.h"
#include "terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_rate(double amount, double seconds, int decimals)
{
    if (amount > 0 && seconds > 0)
        print_err(" %9.*f", decimals, amount / seconds);
    else
        print_err(" %9s", "-");
}

static void print_row(int width, const clio_profile_row *row, double all)
{
    print_err("%-*s %9" PRIu64 " %9.3f %6.1f%%", width, row->kernel, row->calls, row->seconds, all > 0 ? 100 * row->seconds / all : 0);
    print_rate(row->gflops, row->seconds, 1);
    print_rate(row->gbytes, row->seconds, 2);
    print_err("\n");
}

void profile_print(clio_context *ctx)
{
    const clio_profile_row *rows;
    size_t count;
    clio_profile_row all = {.kernel = "total"};
    int width = (int)strlen(all.kernel);
    uint64_t now, peak;
    if (clio_profile(ctx, &rows, &count)) {
        say_error("%s", clio_error(ctx));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int length = (int)strlen(rows[i].kernel);
        width = length > width ? length : width;
        all.calls += rows[i].calls;
        all.seconds += rows[i].seconds;
        all.gflops += rows[i].gflops;
        all.gbytes += rows[i].gbytes;
    }
    if (!count)
        return;
    print_err("\n%-*s %9s %9s %7s %9s %9s\n", width, "kernel", "calls", "seconds", "share", "GFLOP/s", "GB/s");
    for (size_t i = 0; i < count; i++)
        print_row(width, &rows[i], all.seconds);
    print_row(width, &all, all.seconds);
    clio_memory(ctx, &now, &peak);
    print_err("device memory: peak %.1f MiB, now %.1f MiB\n", (double)peak / 0x1p20, (double)now / 0x1p20);
}
