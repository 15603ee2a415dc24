/* ref_loss.c - losses of single numbers, the divergence of Gaussians and cross-entropy, with their gradients, in double. */
#include "ref_bwd.h"

#include <math.h>

/* log(1 + exp(x)), for any x */
static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double value(double x, double t, int loss)
{
    switch (loss) {
    case LOSS_MSE:
        return (x - t) * (x - t);
    case LOSS_L1:
        return fabs(x - t);
    case LOSS_BCE_LOGITS:
        return t * softplus(-x) + (1 - t) * softplus(x);
    case LOSS_HINGE_REAL:
        return fmax(0, 1 - x);
    case LOSS_HINGE_FAKE:
        return fmax(0, 1 + x);
    case LOSS_JSD_REAL:
        return softplus(-x) - log(2);
    case LOSS_JSD_FAKE:
        return softplus(x) - log(2);
    default:
        return x;
    }
}

static double slope(double x, double t, int loss)
{
    switch (loss) {
    case LOSS_MSE:
        return 2 * (x - t);
    case LOSS_L1:
        return x > t ? 1 : x < t ? -1 : 0;
    case LOSS_BCE_LOGITS:
        return sigmoid(x) - t;
    case LOSS_HINGE_REAL:
        return x < 1 ? -1 : 0;
    case LOSS_HINGE_FAKE:
        return x > -1 ? 1 : 0;
    case LOSS_JSD_REAL:
        return -sigmoid(-x);
    case LOSS_JSD_FAKE:
        return sigmoid(x);
    default:
        return 1;
    }
}

double ref_loss(const float *x, const float *targets, const struct loss_args *args)
{
    double sum = 0;
    for (int i = 0; i < args->n; i++)
        sum += value((double)x[i], (double)(targets ? targets[i] : args->target), args->loss);
    return sum;
}

void ref_loss_bwd(float *dx, float dloss, const float *x, const float *targets, const struct loss_args *args)
{
    for (int i = 0; i < args->n; i++)
        dx[i] =
            (float)((double)dloss * (double)args->scale * slope((double)x[i], (double)(targets ? targets[i] : args->target), args->loss));
}

double ref_gaussian_kl(const float *mu, const float *logvar, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += -0.5 * (1 + (double)logvar[i] - (double)mu[i] * (double)mu[i] - exp((double)logvar[i]));
    return sum;
}

void ref_gaussian_kl_bwd(float *dmu, float *dlogvar, float dloss, const float *mu, const float *logvar, int n, float scale)
{
    double d = (double)dloss * (double)scale;
    for (int i = 0; i < n; i++) {
        if (dmu)
            dmu[i] = (float)(d * (double)mu[i]);
        if (dlogvar)
            dlogvar[i] = (float)(d * 0.5 * expm1((double)logvar[i]));
    }
}

/* log sum exp of a row */
static double log_total(const float *x, int n)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, (double)x[i]);
    for (int i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    return most + log(sum);
}

static int rows_that_count(const int *targets, const struct cross_entropy_args *args)
{
    int count = 0;
    for (int r = 0; r < args->rows; r++)
        count += targets[r] != args->ignore;
    return count;
}

double ref_cross_entropy(const float *x, const int *targets, const struct cross_entropy_args *args)
{
    int count = rows_that_count(targets, args), n = args->n;
    double sum = 0, smoothing = (double)args->smoothing;
    for (int r = 0; r < args->rows; r++, x += n) {
        if (targets[r] == args->ignore)
            continue;
        double total = log_total(x, n);
        sum += (1 - smoothing) * (total - (double)x[targets[r]]);
        for (int i = 0; i < n; i++)
            sum += smoothing / n * (total - (double)x[i]);
    }
    return count ? sum / count : 0;
}

void ref_cross_entropy_bwd(float *dx, float dloss, const float *x, const int *targets, const struct cross_entropy_args *args)
{
    int count = rows_that_count(targets, args), n = args->n;
    double smoothing = (double)args->smoothing;
    for (int r = 0; r < args->rows; r++, x += n, dx += n) {
        bool counts = targets[r] != args->ignore;
        double total = counts ? log_total(x, n) : 0;
        for (int i = 0; i < n; i++) {
            double q = smoothing / n + (i == targets[r] ? 1 - smoothing : 0);
            dx[i] = counts ? (float)((double)dloss / count * (exp((double)x[i] - total) - q)) : 0;
        }
    }
}
