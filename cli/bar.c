/* bar.c - see bar.h.
 *
 *     transcribing  42 %  [################------------------------]  0:12  8.1x  0:16 left
 *     sampling 5/20  [##########------------------------------]  0:12  2.41 s/step  0:36 left
 *
 * Drawn at most ten times a second, and not at all for work that takes less than 0.3 s. A narrow terminal loses the brackets first. */
#include "bar.h"
#include "terminal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS_MAX 10000
#define LINE_MAX_BYTES 256
#define BRACKETS_MAX 40
#define BRACKETS_MIN 8
#define FIRST_AFTER 0.3 /* seconds */
#define INTERVAL 0.1

static struct {
    bool enabled, drawn;
    double start, last;
} bar;

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void bar_enable(bool wanted)
{
    const char *terminal = getenv("TERM");
    bar.enabled = wanted && isatty(STDERR_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

void bar_begin(void)
{
    bar_clear();
    bar.start = bar.last = seconds_now();
}

void bar_clear(void)
{
    if (!bar.drawn)
        return;
    print_err("\r\033[K");
    fflush(stderr);
    bar.drawn = false;
    bar.last = 0;
}

int terminal_columns(int fd)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size = {0};
    long width = columns ? strtol(columns, NULL, 10) : 0;
    if (width <= 0)
        width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    return (int)(width > COLUMNS_MAX ? COLUMNS_MAX : width);
}

/* Columns that may be filled: one less than there are, so that no terminal wraps. */
static int line_width(void)
{
    int width = terminal_columns(STDERR_FILENO);
    return width < 2 ? 1 : width > LINE_MAX_BYTES ? LINE_MAX_BYTES - 1 : width - 1;
}

static int print_time(char *out, size_t size, double seconds)
{
    long s = seconds < 0 ? 0 : seconds < 359999 ? lround(seconds) : 359999;
    if (s >= 3600)
        return snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

static void draw(const char *what, double done, double total, enum bar_unit unit, double elapsed)
{
    char left[96], right[96], took[24], remains[24], line[LINE_MAX_BYTES + 1];
    double fraction = total > 0 ? fmin(fmax(done / total, 0), 1) : 0;
    int width = line_width(), at;
    print_time(took, sizeof took, elapsed);
    if (!(total > 0)) {
        snprintf(line, sizeof line, "%s  %s", what, took);
    } else {
        if (unit == BAR_STEPS)
            snprintf(left, sizeof left, "%.48s %.0f/%.0f", what, done, total);
        else
            snprintf(left, sizeof left, "%.48s %3d %%", what, (int)(100 * fraction));
        at = snprintf(right, sizeof right, "%s", took);
        if (unit == BAR_AUDIO && done > 0 && elapsed > 0)
            at += snprintf(right + at, sizeof right - (size_t)at, "  %.1fx", done / elapsed);
        if (unit == BAR_STEPS && done > 0)
            at += snprintf(right + at, sizeof right - (size_t)at, "  %.3g s/step", elapsed / done);
        if (fraction > 0.01 || (unit == BAR_STEPS && done > 0)) {
            print_time(remains, sizeof remains, elapsed * (1 - fraction) / fraction);
            snprintf(right + at, sizeof right - (size_t)at, "  %s left", remains);
        }
        int brackets = width - (int)strlen(left) - (int)strlen(right) - 6;
        if (brackets > BRACKETS_MAX)
            brackets = BRACKETS_MAX;
        if (brackets < BRACKETS_MIN) {
            snprintf(line, sizeof line, "%s  %s", left, right);
        } else {
            char fill[BRACKETS_MAX + 1];
            int filled = (int)(brackets * fraction);
            memset(fill, '-', sizeof fill);
            memset(fill, '#', (size_t)filled);
            snprintf(line, sizeof line, "%s  [%.*s]  %s", left, brackets, fill, right);
        }
    }
    for (at = (int)strlen(line); at > width;) { /* drop what does not fit, field by field */
        while (at > 0 && line[at - 1] != ' ')
            at--;
        while (at > 0 && line[at - 1] == ' ')
            at--;
        if (!at)
            at = width;
        line[at] = 0;
    }
    print_err("\r%s\033[K", line);
    fflush(stderr);
    bar.drawn = true;
}

void bar_progress(const char *what, double done, double total, enum bar_unit unit)
{
    double now = seconds_now();
    bool due = now - bar.start >= FIRST_AFTER && now - bar.last >= INTERVAL;
    if (bar.enabled && (due || (unit == BAR_STEPS && !bar.drawn))) { /* nothing would be seen before the first step is over */
        draw(what, done, total, unit, now - bar.start);
        bar.last = now;
    }
}
