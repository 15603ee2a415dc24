/* metrics_image.c - MSE, PSNR and SSIM of pairs of images. With m and v the means and (co)variances of images x and y in a Gaussian window:
 *
 *     SSIM = (2 mx my + C1) (2 vxy + C2) / ((mx^2 + my^2 + C1) (vx + vy + C2)),  C1 = (0.01 range)^2, C2 = (0.03 range)^2
 *
 * The window is separable: rows are filtered first and kept for 11 rows, then the columns. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW METRICS_SSIM_WINDOW
#define SIGMA 1.5

double metrics_mse(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum / (double)n;
}

double metrics_psnr(double mse, double range)
{
    return mse > 0 ? 10 * log10(range * range / mse) : mse == 0 ? INFINITY : NAN;
}

/* Weighted means in the window along one row, of x, y, xx, yy, xy: out [5, positions]. */
static void filter_row(double *out, const float *x, const float *y, int positions, int step, const double *window)
{
    for (int i = 0; i < positions; i++) {
        double means[5] = {0, 0, 0, 0, 0};
        for (int k = 0; k < WINDOW; k++) {
            double a = (double)x[(i + k) * step], b = (double)y[(i + k) * step], w = window[k];
            means[0] += w * a;
            means[1] += w * b;
            means[2] += w * a * a;
            means[3] += w * b * b;
            means[4] += w * a * b;
        }
        for (int s = 0; s < 5; s++)
            out[s * positions + i] = means[s];
    }
}

static double ssim_at(const double m[5], double c1, double c2)
{
    double vx = m[2] - m[0] * m[0], vy = m[3] - m[1] * m[1], vxy = m[4] - m[0] * m[1];
    return (2 * m[0] * m[1] + c1) * (2 * vxy + c2) / ((m[0] * m[0] + m[1] * m[1] + c1) * (vx + vy + c2));
}

/* Sum of SSIM over all positions of one channel; rows: scratch [WINDOW, 5, positions]. */
static double channel_ssim(const float *x, const float *y, int height, int width, int channels, const double *window, double range,
                           double *rows)
{
    int positions = width - WINDOW + 1;
    double sum = 0, c1 = 0.01 * range * 0.01 * range, c2 = 0.03 * range * 0.03 * range;
    for (int row = 0; row < height; row++) {
        size_t from = (size_t)row * (size_t)width * (size_t)channels;
        filter_row(rows + (size_t)(row % WINDOW) * 5 * (size_t)positions, x + from, y + from, positions, channels, window);
        for (int i = 0; row >= WINDOW - 1 && i < positions; i++) {
            double m[5] = {0, 0, 0, 0, 0};
            for (int k = 0; k < WINDOW; k++)
                for (int s = 0; s < 5; s++)
                    m[s] += window[k] * rows[((size_t)((row + 1 + k) % WINDOW) * 5 + (size_t)s) * (size_t)positions + (size_t)i];
            sum += ssim_at(m, c1, c2);
        }
    }
    return sum;
}

clio_status metrics_ssim(clio_context *ctx, double *out, const float *a, const float *b, int count, int height, int width, int channels,
                         double range)
{
    clio_status st = CLIO_OK;
    double window[WINDOW], total = 0, sum = 0, *rows = NULL;
    *out = 0;
    if (height < WINDOW || width < WINDOW)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "SSIM of images of %d x %d pixels is not defined: it needs at least %d x %d, the size of the window",
             width, height, WINDOW, WINDOW);
    if (count < 1 || channels < 1 || !(range > 0))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "SSIM of %d images of %d channels and range %g is not defined", count, channels, range);
    TRY(mem_alloc(ctx, &rows, (size_t)(width - WINDOW + 1), sizeof *rows * 5 * WINDOW));
    for (int i = 0; i < WINDOW; i++) {
        int offset = i - WINDOW / 2;
        total += window[i] = exp(-0.5 * offset * offset / (SIGMA * SIGMA));
    }
    for (int i = 0; i < WINDOW; i++)
        window[i] /= total;
    for (int n = 0; n < count; n++)
        for (int c = 0; c < channels; c++) {
            size_t first = (size_t)n * (size_t)height * (size_t)width * (size_t)channels + (size_t)c;
            sum += channel_ssim(a + first, b + first, height, width, channels, window, range, rows);
        }
    *out = sum / ((double)count * channels * (width - WINDOW + 1) * (height - WINDOW + 1));
fail:
    free(rows);
    return st;
}
