/* plot_axis.c - the ticks of a plot's axis: round numbers, 1, 2 or 5 times a power of ten apart, and how they are written. */
#include "plot_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double plot_place(const struct plot_axis *axis, double value)
{
    if (axis->log)
        return value > 0 ? log(value / axis->low) / log(axis->high / axis->low) : (double)NAN;
    return (value - axis->low) / (axis->high - axis->low);
}

void plot_label(char label[24], double value, double step, double largest)
{
    static const struct {
        double size;
        char sign;
    } units[] = {{1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}};
    double size = MAX(fabs(value), fabs(step));
    int digits;
    if (fabs(value) < fabs(step) * 1e-6) { /* 0 with a rounding error */
        snprintf(label, 24, "0");
        return;
    }
    if (size < 1e-4 || size >= 1e12) {
        int power = (int)floor(log10(fabs(value)) + 1e-9);
        digits = (int)ceil(power - log10(step) - 1e-9);
        snprintf(label, 24, "%.*fe%d", MIN(MAX(digits, 0), 4), value / pow(10, power), power);
        return;
    }
    for (size_t i = 0; i < COUNT(units); i++)
        if (largest >= units[i].size * (i == 2 ? 10 : 1) && step >= units[i].size / 1000) { /* up to 9999 without k */
            digits = (int)ceil(-log10(step / units[i].size) - 1e-9);
            snprintf(label, 24, "%.*f%c", MIN(MAX(digits, 0), 3), value / units[i].size, units[i].sign);
            return;
        }
    digits = (int)ceil(-log10(step) - 1e-9);
    snprintf(label, 24, "%.*f", MIN(MAX(digits, 0), 6), value);
}

/* On a linear axis all labels have the unit of the largest; on a logarithmic one, where `largest` is 0, each its own. */
static void add(struct plot_axis *axis, double value, double step, double largest, bool labelled)
{
    if (axis->count == PLOT_TICKS_MAX)
        return;
    axis->ticks[axis->count].value = value;
    axis->ticks[axis->count].label[0] = 0;
    if (labelled)
        plot_label(axis->ticks[axis->count].label, value, step, largest > 0 ? largest : fabs(value));
    axis->count++;
}

static void linear_ticks(struct plot_axis *axis, int most)
{
    static const double factors[] = {1, 2, 5, 10};
    double span = axis->high - axis->low, rough = span / MAX(most, 2), power = pow(10, floor(log10(rough))), step = power;
    int last;
    for (size_t i = 0; i < COUNT(factors); i++) {
        step = factors[i] * power;
        if (step >= rough * (1 - 1e-9))
            break;
    }
    if (axis->whole)
        step = MAX(step, 1);
    last = (int)floor((axis->high - axis->low) / step + 2);
    for (int i = 0; i <= last; i++) {
        double value = (ceil(axis->low / step - 1e-6) + i) * step;
        if (value <= axis->high + 1e-6 * step)
            add(axis, value, step, MAX(fabs(axis->low), fabs(axis->high)), true);
    }
}

/* Powers of ten, every so many where there are too many; with 2 and 5 between where there are few, else small ticks. */
static void log_ticks(struct plot_axis *axis, int most)
{
    int first = (int)floor(log10(axis->low) + 1e-9), last = (int)ceil(log10(axis->high) - 1e-9), every = 1;
    double decades = log10(axis->high / axis->low);
    bool between = decades * 3 <= most + 1;
    while (decades / every + 1 > most)
        every++;
    for (int power = first; power <= last; power++)
        for (int digit = 1; digit <= 9; digit++) {
            double value = digit * pow(10, power);
            bool labelled = digit == 1 ? (power % every + every) % every == 0 : between && (digit == 2 || digit == 5);
            if (value < axis->low * (1 - 1e-9) || value > axis->high * (1 + 1e-9) || (!labelled && decades > 3))
                continue;
            add(axis, value, pow(10, power), 0, labelled);
        }
}

void plot_ticks(struct plot_axis *axis, int most)
{
    axis->count = 0;
    if (axis->log && axis->high / axis->low >= 5)
        log_ticks(axis, most);
    else
        linear_ticks(axis, most); /* on a short logarithmic axis, too, the powers of ten would be one or none */
}
