/* ref_mmd.c - maximum mean discrepancy, squared, and its gradient, pair by pair, in double: Gretton et al. 2012, equations 3 and 5. */
#include "ref_bwd.h"

#include <math.h>

static double squared_distance(const float *x, const float *y, int d)
{
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sum;
}

/* The sum of kernels at a squared distance, or its derivative. */
static double kernels(double d2, const struct mmd_args *args, bool derivative)
{
    double sum = 0;
    for (int i = 0; i < args->count; i++) {
        double b = (double)args->bandwidths[i];
        if (args->form == MMD_RBF)
            sum += (derivative ? -1 / (2 * b * b) : 1) * exp(-d2 / (2 * b * b));
        else
            sum += derivative ? -0.5 * pow(1 + d2 / (2 * b), -b - 1) : pow(1 + d2 / (2 * b), -b);
    }
    return sum;
}

static double within(const float *x, int rows, const struct mmd_args *args)
{
    double sum = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++)
            if (i != j || !args->unbiased)
                sum += kernels(squared_distance(x + (size_t)i * (size_t)args->d, x + (size_t)j * (size_t)args->d, args->d), args, false);
    return sum / ((double)rows * (args->unbiased ? rows - 1 : rows));
}

double ref_mmd(const float *x, const float *y, const struct mmd_args *args)
{
    double across = 0;
    for (int i = 0; i < args->m; i++)
        for (int j = 0; j < args->n; j++)
            across += kernels(squared_distance(x + (size_t)i * (size_t)args->d, y + (size_t)j * (size_t)args->d, args->d), args, false);
    return within(x, args->m, args) + within(y, args->n, args) - 2 * across / ((double)args->m * args->n);
}

#define COLUMNS 512 /* summed at a time: distances are computed again for each so many */

/* Of one side: own [rows, d] among themselves and against other [others, d]. */
static void side_bwd(float *out, float dloss, const float *own, int rows, const float *other, int others, const struct mmd_args *args)
{
    int d = args->d;
    double inside = 4 / ((double)rows * (args->unbiased ? rows - 1 : rows)), across = -4 / ((double)rows * others);
    for (int i = 0; i < rows; i++)
        for (int first = 0; first < d; first += COLUMNS) {
            const float *z = own + (size_t)i * (size_t)d;
            int end = first + COLUMNS < d ? first + COLUMNS : d;
            double sums[COLUMNS] = {0};
            for (int j = 0; j < rows + others; j++) {
                const float *to = j < rows ? own + (size_t)j * (size_t)d : other + (size_t)(j - rows) * (size_t)d;
                double w = (j < rows ? inside : across) * kernels(squared_distance(z, to, d), args, true);
                for (int c = first; c < end; c++)
                    sums[c - first] += w * ((double)z[c] - (double)to[c]); /* nothing where i = j */
            }
            for (int c = first; c < end; c++)
                out[(size_t)i * (size_t)d + (size_t)c] = (float)((double)dloss * sums[c - first]);
        }
}

void ref_mmd_bwd(float *dx, float *dy, float dloss, const float *x, const float *y, const struct mmd_args *args)
{
    if (dx)
        side_bwd(dx, dloss, x, args->m, y, args->n, args);
    if (dy)
        side_bwd(dy, dloss, y, args->n, x, args->m, args);
}
