/* optim.c - optimizer steps. The gradient norm and the scale made of it stay on the device: no step waits for the host. */
#include "optim.h"
#include "../../host/core/safetensors_write.h"

#include <math.h>
#include <stdlib.h>

struct optimizer_options optimizer_defaults(void)
{
    return (struct optimizer_options){
        .rule = OPTIM_ADAM, .rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .schedule = SCHEDULE_CONSTANT, .gamma = 0.1};
}

double optimizer_rate(const struct optimizer_options *o, int64_t step)
{
    double part = o->warmup > 0 && step < o->warmup ? (double)(step + 1) / (double)o->warmup : 1;
    double at = o->steps > o->warmup ? (double)(step - o->warmup) / (double)(o->steps - o->warmup) : 0;
    if (o->schedule == SCHEDULE_COSINE && step >= o->warmup)
        part = o->end_factor + (1 - o->end_factor) * (1 + cos(acos(-1.0) * fmin(at, 1))) / 2;
    if (o->schedule == SCHEDULE_STEP && o->steps > 0) {
        int64_t drops = step / o->steps;
        part *= pow(o->gamma, (double)drops);
    }
    return o->rate * part;
}

clio_status optimizer_open(clio_context *ctx, struct optimizer *o, struct parameters *list, const struct optimizer_options *options)
{
    clio_status st = CLIO_OK;
    bool has_m = options->rule == OPTIM_ADAM || options->rule == OPTIM_ADAMW || options->momentum > 0;
    bool has_v = options->rule != OPTIM_SGD;
    *o = (struct optimizer){.options = *options, .parameters = list};
    o->sums = tensor_shape(DTYPE_F32, 1, (int)MAX(list->count, (size_t)1), 0, 0, 0);
    o->scale = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(parameters_alloc(ctx, list, options->ema_decay > 0));
    TRY(tensor_new(ctx, &o->sums, "gradient norm"));
    TRY(tensor_new(ctx, &o->scale, "gradient scale"));
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        struct tensor *const state[] = {has_m ? &p->m : NULL, has_v ? &p->v : NULL};
        for (size_t j = 0; p->trained && j < COUNT(state); j++)
            if (state[j] && !state[j]->mem) {
                *state[j] = p->value;
                state[j]->mem = NULL;
                TRY(tensor_new(ctx, state[j], "training"));
                TRY(tensor_zero(ctx, state[j]));
            }
    }
fail:
    return st;
}

void optimizer_close(clio_context *ctx, struct optimizer *o)
{
    tensor_free(ctx, &o->sums);
    tensor_free(ctx, &o->scale);
    *o = (struct optimizer){0};
}

/* Keep keys that checkpoints lack at zero. Their gradient is zero up to rounding (the bias of Whisper's key projections), from which Adam
 * would make steps as large as from any other, and a resumed run would not have them. */
static clio_status keep_absent(clio_context *ctx, const struct optimizer *o, struct arena *scratch)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(scratch);
    for (size_t i = 0; i < o->parameters->count; i++) {
        const struct parameter *p = &o->parameters->list[i];
        size_t count = tensor_count(&p->value) / (size_t)p->keys;
        struct tensor zeros = tensor_shape(DTYPE_F32, 1, (int)count, 0, 0, 0);
        if (!p->trained || !p->absent || p->matrix.n)
            continue;
        TRY(tensor_take(ctx, scratch, &zeros));
        TRY(tensor_zero(ctx, &zeros));
        for (int j = 0; j < p->keys; j++)
            if (p->absent & (1u << j))
                TRY(tensor_copy(ctx, &p->grad, (size_t)j * count, &zeros, 0, count));
        arena_release(scratch, mark);
    }
fail:
    return st;
}

/* The factor of all gradients (clipping, loss scale), on the device; NULL: 1. */
static clio_status find_scale(clio_context *ctx, struct optimizer *o, struct arena *scratch, const struct tensor **scale)
{
    clio_status st = CLIO_OK;
    int slot = 0;
    bool scaled = o->loss_scale > 0;
    float loss_scale = scaled ? (float)o->loss_scale : 1;
    *scale = o->options.max_grad_norm > 0 || scaled || o->guard.mem ? &o->scale : NULL;
    for (size_t i = 0; i < o->parameters->count; i++)
        if (o->parameters->list[i].trained)
            TRY(op_norm2(ctx, scratch, &o->sums, slot++, &o->parameters->list[i].grad));
    if (o->options.max_grad_norm <= 0 && !scaled)
        return o->guard.mem ? op_clip_scale(ctx, &o->scale, &o->guard, (int)tensor_count(&o->guard), 0, 1) : CLIO_OK;
    TRY(op_clip_scale(ctx, &o->scale, &o->sums, slot, (float)o->options.max_grad_norm, loss_scale));
fail:
    return st;
}

clio_status optimizer_step(clio_context *ctx, struct optimizer *o, struct arena *scratch)
{
    clio_status st = CLIO_OK;
    const struct optimizer_options *s = &o->options;
    const struct tensor *scale;
    int64_t made = o->step - o->begun + 1; /* with this state, this one included */
    double step = (double)made, ema_step = (double)o->step + 1, decay = fmin(s->ema_decay, ema_step / (ema_step + 9));
    struct optim_args args = {.rule = s->rule,
                              .nesterov = s->nesterov,
                              .step = (int)MIN(made, (int64_t)INT32_MAX),
                              .rate = (float)optimizer_rate(s, o->step),
                              .weight_decay = (float)s->weight_decay,
                              .momentum = (float)s->momentum,
                              .beta1 = (float)s->beta1,
                              .beta2 = (float)s->beta2,
                              .eps = (float)s->eps,
                              .correction1 = (float)(1 - pow(s->beta1, step)),
                              .correction2 = (float)(1 - pow(s->beta2, step))};
    if (o->reduce)
        TRY(o->reduce(ctx, o->reduce_user, o->parameters));
    TRY(keep_absent(ctx, o, scratch));
    TRY(find_scale(ctx, o, scratch, &scale));
    for (size_t i = 0; i < o->parameters->count; i++) {
        struct parameter *p = &o->parameters->list[i];
        if (!p->trained)
            continue;
        args.n = (int)tensor_count(&p->value);
        TRY(op_optim_step(ctx, &p->value, &p->grad, p->m.mem ? &p->m : NULL, p->v.mem ? &p->v : NULL, scale, args));
        TRY(parameter_store(ctx, p));
        if (p->average.mem)
            TRY(op_average_step(ctx, &p->average, &p->value, (float)decay));
    }
    o->step++;
fail:
    return st;
}

clio_status optimizer_grad_norm(clio_context *ctx, const struct optimizer *o, double *norm)
{
    clio_status st = CLIO_OK;
    float *squares = NULL;
    size_t count = tensor_count(&o->sums), trained = 0;
    double sum = 0;
    for (size_t i = 0; i < o->parameters->count; i++)
        trained += o->parameters->list[i].trained;
    TRY(mem_alloc(ctx, &squares, count, sizeof *squares));
    TRY(tensor_read(ctx, &o->sums, 0, count, squares));
    for (size_t i = 0; i < trained; i++)
        sum += (double)squares[i];
    *norm = sqrt(sum) / (o->loss_scale > 0 ? o->loss_scale : 1);
fail:
    free(squares);
    return st;
}

clio_status optimizer_made(clio_context *ctx, const struct optimizer *o, bool *made)
{
    clio_status st = CLIO_OK;
    float scale;
    TRY(tensor_read(ctx, &o->scale, 0, 1, &scale));
    *made = isfinite(scale);
fail:
    return st;
}

clio_status optimizer_write(clio_context *ctx, const struct optimizer *o, const char *start, struct safetensors_writer *out)
{
    clio_status st = CLIO_OK;
    TRY(parameters_write(ctx, o->parameters, PART_M, start, out));
    TRY(parameters_write(ctx, o->parameters, PART_V, start, out));
fail:
    return st;
}

/* Whether this optimizer keeps m, or v. */
static bool has_state(const struct optimizer *o, enum parameter_part part)
{
    for (size_t i = 0; i < o->parameters->count; i++)
        if (o->parameters->list[i].trained)
            return (part == PART_M ? &o->parameters->list[i].m : &o->parameters->list[i].v)->mem != NULL;
    return false;
}

clio_status optimizer_read(clio_context *ctx, struct optimizer *o, const char *start, const struct weights *from, bool *complete)
{
    clio_status st = CLIO_OK;
    static const enum parameter_part parts[] = {PART_M, PART_V};
    *complete = true;
    for (size_t i = 0; i < COUNT(parts); i++)
        *complete = *complete && (!has_state(o, parts[i]) || parameters_stored(o->parameters, parts[i], start, from));
    for (size_t i = 0; *complete && i < COUNT(parts); i++)
        TRY(parameters_read(ctx, o->parameters, parts[i], start, from));
fail:
    return st;
}
