/* optim.h - one optimizer over a list of parameters: the rule, its state, clipping, averages, schedules. */
#ifndef CLIO_MODELS_NN_OPTIM_H
#define CLIO_MODELS_NN_OPTIM_H

#include "parameters.h"

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_STEP };

struct optimizer_options {
    int rule;    /* OPTIM_* */
    double rate; /* the highest learning rate */
    double momentum, beta1, beta2, eps, weight_decay;
    bool nesterov;
    double max_grad_norm; /* greatest norm of all gradients together; 0: no clipping */
    double ema_decay;     /* decay of the running average of weights (EMA); 0: none. Early on at most (1 + step) / (10 + step) */
    enum schedule schedule;
    int64_t warmup;           /* steps in which the rate grows from 0 */
    int64_t steps;            /* cosine: where the schedule ends; step: steps between decays */
    double end_factor, gamma; /* cosine: final rate as a fraction of the peak; step: factor of each decay */
};
struct optimizer_options optimizer_defaults(void);                      /* Adam 1e-3, 0.9, 0.999, 1e-8 */
double optimizer_rate(const struct optimizer_options *o, int64_t step); /* of step 0, 1, ... */

struct optimizer {
    struct optimizer_options options;
    struct parameters *parameters;
    int64_t step; /* how many were made */
    struct tensor sums, scale;
    double
        loss_scale; /* by which the gradients are too large; 0 is 1. Where they are not finite, a step changes nothing (optimizer_made) */
    struct tensor guard; /* f32 [n], the caller's: losses; where one is not finite, a step changes nothing. Memory NULL: none */
    /* Called with all gradients ready, before they are used: sums them over processes. May be NULL. */
    clio_status (*reduce)(clio_context *ctx, void *user, struct parameters *p);
    void *reduce_user;
};
/* State for all parameters that are trained; gradients and averages are prepared as well. */
clio_status optimizer_open(clio_context *ctx, struct optimizer *o, struct parameters *p, const struct optimizer_options *options);
void optimizer_close(clio_context *ctx, struct optimizer *o);
/* w -= ... for every parameter. */
clio_status optimizer_step(clio_context *ctx, struct optimizer *o, struct arena *scratch);
/* Global norm of the gradients of the last step, before clipping, without the loss scale. Waits. */
clio_status optimizer_grad_norm(clio_context *ctx, const struct optimizer *o, double *norm);
/* Whether the last step changed the weights: their gradients were finite. Waits. */
clio_status optimizer_made(clio_context *ctx, const struct optimizer *o, bool *made);
/* State under start + "m." + name and so on; the number of steps is the caller's to keep. */
clio_status optimizer_write(clio_context *ctx, const struct optimizer *o, const char *start, struct safetensors_writer *out);
clio_status optimizer_read(clio_context *ctx, struct optimizer *o, const char *start, const struct weights *from);

#endif
