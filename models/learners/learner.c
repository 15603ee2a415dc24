/* learner.c - see learner.h: open and close a model, loss scaling, backward passes. */
#include "learner.h"
#include "settings.h"
#include "../../host/core/text.h"
#include "../image/image.h"
#include "../loaders/model_folder.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As torch.amp.GradScaler: initial scale, and steps without overflow until it is doubled. */
#define INITIAL_SCALE 65536.0
#define SCALE_STEPS 2000
#define MAX_SCALE 16777216.0

bool learner_needs_captions(const struct learner_type *type, const json_t *settings)
{
    const json_t *encoder = json_object_get(settings, "text_encoder");
    return type->takes_captions && encoder && !(json_is_string(encoder) && json_string_length(encoder) == 0);
}

struct optimizer_options learner_optimizer_defaults(const struct learner_type *type, int part)
{
    struct optimizer_options o = optimizer_defaults();
    const struct learner_optimizer *own = &type->optimizers[part];
    if (own->rate > 0) {
        o.rule = own->rule;
        o.rate = own->rate;
        o.beta1 = own->beta1 > 0 ? own->beta1 : o.beta1;
        o.weight_decay = own->weight_decay;
        o.max_grad_norm = own->max_grad_norm;
    }
    return o;
}

clio_status learner_takes_captions(clio_context *ctx, const struct learner_type *type, const json_t *settings, const char *from, bool *out)
{
    clio_status st = CLIO_OK;
    const char *pretrained = json_string_value(json_object_get(settings, "pretrained"));
    const char *encoder = json_string_value(json_object_get(settings, "text_encoder"));
    char *folder = NULL;
    *out = type->takes_audio || (encoder && *encoder);
    if (*out || !learner_setting_find(type->settings, "text_encoder"))
        return CLIO_OK;
    TRY(folder_try(ctx, from, "text_encoder", &folder));
    TRY(folder_try(ctx, pretrained, "text_encoder", &folder));
    *out = folder != NULL;
fail:
    free(folder);
    return st;
}

const struct learner_shape learner_audio_shape = {1, 1, 1, 0};

/* ---- settings ---- */

static json_t *default_value(const struct learner_setting *s)
{
    size_t first = s->words ? strcspn(s->words, "|") : 0;
    return s->type == 's'   ? json_stringn(s->words, first)
           : s->type == 't' ? json_string(s->words ? s->words : "")
           : s->type == 'b' ? json_boolean(s->otherwise > 0)
           : s->type == 'i' ? json_integer((json_int_t)s->otherwise)
                            : json_real(s->otherwise);
}

static clio_status set(clio_context *ctx, struct learner *l, const char *name, const json_t *value)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    json_t *own;
    const struct learner_setting *s = learner_setting_find(l->type->settings, name);
    if (!s) {
        TRY(learner_setting_names(ctx, &names, l->type->settings));
        size_t length;
        const char *near = text_nearest(name, names.data, &length);
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%.200s is not a setting of %s%s%.*s%s clio_train_setting lists them", name, l->type->name,
             near ? "; did you mean " : "", (int)length, near ? near : "", near ? "?" : ":");
    }
    TRY(learner_setting_check(ctx, s, value));
    if (s->type == 't' && json_is_integer(value))
        TRY(json_made(ctx, &own, json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value))));
    else
        TRY(json_copied(ctx, &own, value));
    TRY(json_put(ctx, l->config, name, own));
fail:
    bytes_free(&names);
    return st;
}

static clio_status read_settings(clio_context *ctx, struct learner *l, const json_t *settings)
{
    clio_status st = CLIO_OK;
    const char *name;
    json_t *value;
    l->config = json_object();
    for (const struct learner_setting *s = l->type->settings; s->name; s++)
        if (!l->config || json_object_set_new(l->config, s->name, default_value(s)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    json_object_foreach((json_t *)mem_const_cast(settings), name, value) TRY(set(ctx, l, name, value));
fail:
    return st;
}

/* ---- open and close ---- */

static clio_status write_one(clio_context *ctx, struct learner *l, double one)
{
    l->one_value = (float)one;
    return tensor_write(ctx, &l->one, 0, 1, &l->one_value);
}

clio_status learner_open(clio_context *ctx, struct learner *l, const struct learner_type *type, struct learner_shape shape,
                         const json_t *settings, const char *from)
{
    clio_status st = CLIO_OK;
    *l = (struct learner){.type = type, .shape = shape, .from = from};
    bool labels = type->needs_labels && !learner_needs_captions(type, settings);
    if (labels && shape.classes < 1)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s needs labels, and this data has none: use a dataset with labels, or the model %s", type->name,
             type->reconstructs ? "vae" : "dcgan");
    if (!labels)
        l->shape.classes = 0;
    for (int i = 0; i < LEARNER_PARTS; i++)
        l->options[i] = learner_optimizer_defaults(type, i);
    TRY(read_settings(ctx, l, settings));
    l->one = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(tensor_new(ctx, &l->one, "loss scale"));
    TRY(write_one(ctx, l, 1));
    TRY(type->open(ctx, l));
fail:
    l->from = NULL;
    return st;
}

clio_status learner_new(clio_context *ctx, struct learner *l, const struct learner_type *type, struct learner_shape shape,
                        const json_t *settings, uint64_t seed)
{
    clio_status st = CLIO_OK;
    TRY(learner_open(ctx, l, type, shape, settings, NULL));
    l->seed = seed;
    TRY(type->init(ctx, l, seed));
fail:
    if (st)
        learner_close(ctx, l);
    return st;
}

static void free_class_names(struct learner *l)
{
    for (int i = 0; l->class_names && i < l->shape.classes; i++)
        free(l->class_names[i]);
    free(l->class_names);
    l->class_names = NULL;
}

clio_status learner_set_class_names(clio_context *ctx, struct learner *l, const char *const *names)
{
    clio_status st = CLIO_OK;
    free_class_names(l);
    TRY(mem_alloc(ctx, &l->class_names, (size_t)l->shape.classes, sizeof *l->class_names));
    for (int i = 0; i < l->shape.classes; i++) {
        if (!text_is_utf8(names[i]))
            FAIL(ctx, CLIO_ERROR_FORMAT, "the name of class %d is not UTF-8, and the model's config.json stores it: rename the class", i);
        TRY(mem_string(ctx, &l->class_names[i], names[i]));
    }
fail:
    return st;
}

void learner_close(clio_context *ctx, struct learner *l)
{
    free_class_names(l);
    free(l->class_unseen);
    for (int i = 0; i < LEARNER_PARTS; i++) {
        tape_close(&l->tapes[i]);
        optimizer_close(ctx, &l->optimizers[i]);
    }
    if (l->type && l->state)
        l->type->close(ctx, l);
    for (int i = 0; i < LEARNER_PARTS; i++)
        parameters_free(ctx, &l->parameters[i]);
    tensor_free(ctx, &l->one);
    json_decref(l->config);
    *l = (struct learner){0};
}

clio_status learner_set_loss_scale(clio_context *ctx, struct learner *l, double scale)
{
    l->loss_scale = scale;
    return write_one(ctx, l, scale / MAX(l->accumulate, 1));
}

clio_status learner_weigh(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *weight)
{
    *weight = batch->count;
    return l->type->weigh ? l->type->weigh(ctx, l, batch, weight) : CLIO_OK;
}

clio_status learner_set_weight(clio_context *ctx, struct learner *l, double weight)
{
    if (l->micro_batch == 0) {
        l->first_weight = weight;
        l->step_weight = 0;
    }
    l->step_weight += weight;
    double one = l->loss_scale / MAX(l->accumulate, 1) * (l->first_weight > 0 ? weight / l->first_weight : 1);
    bool same = !((float)one < l->one_value || (float)one > l->one_value);
    return same ? CLIO_OK : write_one(ctx, l, one);
}

/* The factor that the gradients of a step contain: loss_scale, and the weight of its batches against `accumulate` of the first one. */
static double gradient_scale(const struct learner *l)
{
    double batches = l->first_weight > 0 ? l->step_weight / (l->first_weight * MAX(l->accumulate, 1)) : 1;
    return l->loss_scale * batches;
}

/* Dynamic loss scaling, after a step of `count` parts. A step whose gradients overflowed was skipped and is not counted. */
static clio_status update_loss_scale(clio_context *ctx, struct learner *l, int first, int count)
{
    clio_status st = CLIO_OK;
    bool all_made = true;
    for (int i = first; i < first + count; i++) {
        bool made = true;
        if (l->parameters[i].count)
            TRY(optimizer_made(ctx, &l->optimizers[i], &made));
        l->optimizers[i].step -= !made;
        all_made = all_made && made;
    }
    l->steps_since_overflow = all_made ? l->steps_since_overflow + 1 : 0;
    if (!all_made) {
        TRY(learner_set_loss_scale(ctx, l, fmax(l->loss_scale / 2, 1)));
    } else if (l->steps_since_overflow == SCALE_STEPS) {
        l->steps_since_overflow = 0;
        TRY(learner_set_loss_scale(ctx, l, fmin(l->loss_scale * 2, MAX_SCALE)));
    }
fail:
    return st;
}

clio_status learner_train(clio_context *ctx, struct learner *l, int accumulate)
{
    clio_status st = CLIO_OK;
    l->accumulate = accumulate;
    l->dynamic_loss_scale = l->fp16 && l->loss_scale <= 0;
    TRY(learner_set_loss_scale(ctx, l, l->loss_scale > 0 ? l->loss_scale : l->fp16 ? INITIAL_SCALE : 1));
    for (int i = 0; i < LEARNER_PARTS && l->type->parts[i]; i++) {
        TRY(optimizer_open(ctx, &l->optimizers[i], &l->parameters[i], &l->options[i]));
        TRY(tape_open(ctx, &l->tapes[i]));
        if (l->fp16)
            TRY(parameters_use_fp16(ctx, &l->parameters[i]));
    }
    l->trains = true;
fail:
    return st;
}

clio_status learner_watch(clio_context *ctx, struct learner *l, struct tape *tape, int part)
{
    return parameters_watch(ctx, tape, &l->parameters[part], l->micro_batch > 0);
}

/* Backward, and optimizer steps of `count` parts from `first` on. */
static clio_status backward_and_step(clio_context *ctx, struct learner *l, struct tape *tape, int first, int count,
                                     const struct tensor *loss)
{
    clio_status st = CLIO_OK;
    double scale = gradient_scale(l);
    TRY(tape_backward(ctx, tape, loss, &l->one));
    if (l->micro_batch + 1 < l->accumulate)
        return CLIO_OK;
    for (int i = first; i < first + count; i++) {
        struct optimizer *o = &l->optimizers[i];
        if (!l->parameters[i].count)
            continue;
        o->guard = *loss;
        o->loss_scale = l->dynamic_loss_scale || scale < 1 || scale > 1 ? scale : 0;
        TRY(optimizer_step(ctx, o, &tape->arena));
    }
    if (l->dynamic_loss_scale)
        TRY(update_loss_scale(ctx, l, first, count));
fail:
    return st;
}

clio_status learner_backward(clio_context *ctx, struct learner *l, struct tape *tape, int part, const struct tensor *loss)
{
    return backward_and_step(ctx, l, tape, part, 1, loss);
}

clio_status learner_backward_all(clio_context *ctx, struct learner *l, struct tape *tape, const struct tensor *loss)
{
    return backward_and_step(ctx, l, tape, 0, LEARNER_PARTS, loss);
}

clio_status learner_swap_ema(clio_context *ctx, const struct learner *l)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < LEARNER_PARTS; i++)
        TRY(parameters_swap_ema(ctx, &l->parameters[i]));
fail:
    return st;
}

clio_status learner_set_latent(clio_context *ctx, struct learner *l, int height, int width, int channels)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)height * (size_t)width * (size_t)channels;
    if (count > INT_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "the latents of an image would be %d x %d with %d channels, which is too many: use smaller images", width, height, channels);
    l->latent = (int)count;
fail:
    return st;
}

clio_status learner_tensor(clio_context *ctx, struct tensor *t, int rows, int columns, const char *what)
{
    clio_status st = CLIO_OK;
    struct tensor wanted = tensor_shape(DTYPE_F32, 2, rows, columns, 0, 0);
    if (t->mem && tensor_count(t) == tensor_count(&wanted))
        return CLIO_OK;
    tensor_free(ctx, t);
    *t = wanted;
    TRY(tensor_new(ctx, t, what));
fail:
    return st;
}

clio_status learner_write_labels(clio_context *ctx, struct tensor *t, const int32_t *labels, int count)
{
    clio_status st = CLIO_OK;
    if (!t->mem || t->dim[0] != count) {
        tensor_free(ctx, t);
        *t = tensor_shape(DTYPE_I32, 1, count, 0, 0, 0);
        TRY(tensor_new(ctx, t, "labels"));
    }
    TRY(tensor_write(ctx, t, 0, (size_t)count, labels));
fail:
    return st;
}

clio_status learner_scalar(clio_context *ctx, struct tensor *t, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    if (!t->mem) {
        *t = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
        TRY(tensor_new(ctx, t, "loss"));
    }
    if (!batch->count)
        TRY(tensor_zero(ctx, t));
fail:
    return st;
}

uint64_t learner_stream(const struct learner *l, int which)
{
    uint64_t batches = (uint64_t)l->step * (uint64_t)MAX(l->accumulate, 1) + (uint64_t)l->micro_batch;
    return batches * LEARNER_STREAMS + (uint64_t)which;
}

clio_status learner_noise(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                          uint64_t stream, int width, struct tensor *noise)
{
    clio_status st = CLIO_OK;
    *noise = tensor_shape(DTYPE_F32, 2, batch->count, width, 0, 0);
    TRY(tensor_take(ctx, arena, noise));
    if (batch->first == 0)
        return op_random_fwd(ctx, noise, l->seed, stream, true);
    uint64_t mark = arena_mark(arena);
    struct tensor all = tensor_shape(DTYPE_F32, 2, batch->first + batch->count, width, 0, 0);
    TRY(tensor_take(ctx, arena, &all));
    TRY(op_random_fwd(ctx, &all, l->seed, stream, true));
    TRY(tensor_copy(ctx, noise, 0, &all, (size_t)batch->first * (size_t)width, tensor_count(noise)));
    arena_release(arena, mark);
fail:
    return st;
}

clio_status learner_read(clio_context *ctx, const struct tensor *const *losses, int count, double *out)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < count; i++) {
        float value;
        TRY(tensor_read(ctx, losses[i], 0, 1, &value));
        out[i] = (double)value;
    }
fail:
    return st;
}
