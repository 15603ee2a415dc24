/* optim.h - an optimizer over a list of parameters (torch.optim): update rule, state, gradient clipping, EMA, learning-rate schedule. */
#ifndef CLIO_MODELS_NN_OPTIM_H
#define CLIO_MODELS_NN_OPTIM_H

#include "parameters.h"

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_STEP };

struct optimizer_options {
    int rule;    /* OPTIM_* */
    double rate; /* learning rate, the greatest of the schedule */
    double momentum, beta1, beta2, eps, weight_decay;
    bool nesterov;
    double max_grad_norm; /* greatest L2 norm of all gradients together (torch's clip_grad_norm_); 0: no clipping */
    double ema_decay;     /* EMA decay of the weights, at most (1 + step) / (10 + step); 0: no EMA */
    enum schedule schedule;
    int64_t warmup;           /* steps of linear warmup from 0 */
    int64_t steps;            /* cosine: where the schedule ends; step: steps between decays */
    double end_factor, gamma; /* cosine: final rate as a fraction of the peak; step: factor of each decay */
};
struct optimizer_options optimizer_defaults(void);                      /* Adam 1e-3, 0.9, 0.999, 1e-8 */
double optimizer_rate(const struct optimizer_options *o, int64_t step); /* of step 0, 1, ... */

struct optimizer {
    struct optimizer_options options;
    struct parameters *parameters;
    int64_t step;  /* steps made so far: the learning rate depends on it */
    int64_t begun; /* the step at which the state (m, v) began at zero: Adam's bias correction counts from there */
    struct tensor sums, scale;
    double loss_scale;   /* the factor that the gradients contain; 0 means 1. A step with gradients that are not finite changes nothing
                            (optimizer_made) */
    struct tensor guard; /* f32 [n], the caller's: losses; if one is not finite, the step changes nothing. Memory NULL: none */
    /* All-reduce: called with all gradients ready, before they are used, to add them up over processes. May be NULL. */
    clio_status (*reduce)(clio_context *ctx, void *user, struct parameters *p);
    void *reduce_user;
};
/* Allocate the state, gradients and EMA weights of all trained parameters. */
clio_status optimizer_open(clio_context *ctx, struct optimizer *o, struct parameters *p, const struct optimizer_options *options);
void optimizer_close(clio_context *ctx, struct optimizer *o);
/* Update every trained parameter from its gradient. */
clio_status optimizer_step(clio_context *ctx, struct optimizer *o, struct arena *scratch);
/* Global norm of the gradients of the last step, before clipping, without the loss scale. Waits for the device. */
clio_status optimizer_grad_norm(clio_context *ctx, const struct optimizer *o, double *norm);
/* Whether the last step changed the weights, that is, all gradients were finite. Waits for the device. */
clio_status optimizer_made(clio_context *ctx, const struct optimizer *o, bool *made);
/* Save and load the state as start + "m." + name and so on; the caller keeps the numbers of steps. complete: false if the file lacks a part
 * of the state (another optimizer wrote it); then all of it is zero. */
clio_status optimizer_write(clio_context *ctx, const struct optimizer *o, const char *start, struct safetensors_writer *out);
clio_status optimizer_read(clio_context *ctx, struct optimizer *o, const char *start, const struct weights *from, bool *complete);

#endif
