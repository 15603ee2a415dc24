/* ref_optim.c - one step of an optimizer, as torch.optim defines it (SGD, Adam, AdamW, RMSprop), in double but for what is stored. */
#include "ref_bwd.h"

#include <math.h>

void ref_optim_step(float *w, const float *grad, float *m, float *v, float scale, const struct optim_args *args)
{
    double rate = (double)args->rate, decay = (double)args->weight_decay, momentum = (double)args->momentum;
    double beta1 = (double)args->beta1, beta2 = (double)args->beta2, eps = (double)args->eps;
    bool is_adam = args->rule == OPTIM_ADAM || args->rule == OPTIM_ADAMW;
    if (!isfinite(scale))
        return;
    for (int i = 0; i < args->n; i++) {
        double x = (double)w[i], g = (double)scale * (double)grad[i];
        if (args->rule == OPTIM_ADAMW)
            x -= rate * decay * x;
        else
            g += decay * x;
        double mean = 0, square = 0;
        if (args->rule != OPTIM_SGD) {
            square = beta2 * (double)v[i] + (1 - beta2) * g * g;
            v[i] = (float)square;
        }
        if (is_adam) {
            mean = beta1 * (double)m[i] + (1 - beta1) * g;
            m[i] = (float)mean;
            x -= rate / (1 - pow(beta1, args->step)) * mean / (sqrt(square) / sqrt(1 - pow(beta2, args->step)) + eps);
            w[i] = (float)x;
            continue;
        }
        if (args->rule == OPTIM_RMSPROP)
            g /= sqrt(square) + eps;
        if (momentum > 0) {
            mean = args->step == 1 ? g : momentum * (double)m[i] + g;
            m[i] = (float)mean;
            g = args->rule == OPTIM_SGD && args->nesterov ? g + momentum * mean : mean;
        }
        w[i] = (float)(x - rate * g);
    }
}
