/* learner.c - see learner.h: the kinds there are, and what is the same for all: settings, files, optimisers. */
#include "../loaders/config.h"
#include "folders.h"
#include "../../host/core/safetensors_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* torch.amp.GradScaler begins so, and doubles so often. */
#define FIRST_SCALE 65536.0
#define SCALE_STEPS 2000
#define MOST_SCALE 16777216.0
#define LARGEST_SIDE 4096
#define MOST_CLASSES 65536

const struct learner_kind *const learner_kinds[] = {
    &learner_autoencoder, &learner_vae,        &learner_cvae, &learner_gan,   &learner_dcgan,  &learner_cgan,    &learner_mmd_gan,
    &learner_jsd_gan,     &learner_classifier, &learner_unet, &learner_cunet, &learner_vae_kl, &learner_whisper, NULL};

const struct learner_kind *learner_kind_find(const char *name)
{
    for (const struct learner_kind *const *k = learner_kinds; name && *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

bool learner_needs_captions(const struct learner_kind *kind, const json_t *settings)
{
    const json_t *encoder = json_object_get(settings, "text_encoder");
    return kind->takes_captions && encoder && !(json_is_string(encoder) && json_string_length(encoder) == 0);
}

const struct learner_shape learner_shape_of_sounds = {1, 1, 1, 0};

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
    const struct learner_setting *s = learner_setting_find(l->kind->settings, name);
    if (!s) {
        TRY(learner_setting_names(ctx, &names, l->kind->settings));
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no setting %s of a model %s: there are %s", name, l->kind->name, names.data);
    }
    TRY(learner_setting_check(ctx, s, value));
    json_t *own =
        s->type == 't' && json_is_integer(value) ? json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)) : json_deep_copy(value);
    if (json_object_set_new(l->config, name, own))
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
fail:
    bytes_free(&names);
    return st;
}

static clio_status take_settings(clio_context *ctx, struct learner *l, const json_t *settings)
{
    clio_status st = CLIO_OK;
    const char *name;
    json_t *value;
    l->config = json_object();
    for (const struct learner_setting *s = l->kind->settings; s->name; s++)
        if (!l->config || json_object_set_new(l->config, s->name, default_value(s)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    json_object_foreach((json_t *)(uintptr_t)settings, name, value) TRY(set(ctx, l, name, value));
fail:
    return st;
}

/* ---- open and close ---- */

/* Networks without weights; after a failure everything is to be closed. */
static clio_status open_kind(clio_context *ctx, struct learner *l, const struct learner_kind *kind, struct learner_shape shape,
                             const json_t *settings, const char *from)
{
    clio_status st = CLIO_OK;
    const float one = 1;
    *l = (struct learner){.kind = kind, .shape = shape, .from = from};
    bool labels = kind->needs_labels && !learner_needs_captions(kind, settings);
    if (labels && shape.classes < 1)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a model %s learns what labels look like, and this data has none: use a dataset with labels, or %s",
             kind->name, kind->reconstructs ? "vae" : "dcgan");
    if (!labels)
        l->shape.classes = 0;
    TRY(take_settings(ctx, l, settings));
    l->one = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(tensor_new(ctx, &l->one, "the model"));
    TRY(tensor_write(ctx, &l->one, 0, 1, &one));
    TRY(kind->open(ctx, l));
fail:
    l->from = NULL;
    return st;
}

clio_status learner_new(clio_context *ctx, struct learner *l, const struct learner_kind *kind, struct learner_shape shape,
                        const json_t *settings, uint64_t seed)
{
    clio_status st = CLIO_OK;
    TRY(open_kind(ctx, l, kind, shape, settings, NULL));
    l->seed = seed;
    TRY(kind->init(ctx, l, seed));
fail:
    if (st)
        learner_close(ctx, l);
    return st;
}

void learner_close(clio_context *ctx, struct learner *l)
{
    for (int i = 0; i < LEARNER_PARTS; i++) {
        tape_close(&l->tapes[i]);
        optimizer_close(ctx, &l->optimizers[i]);
    }
    if (l->kind && l->state)
        l->kind->close(ctx, l);
    for (int i = 0; i < LEARNER_PARTS; i++)
        parameters_free(ctx, &l->parameters[i]);
    tensor_free(ctx, &l->one);
    json_decref(l->config);
    *l = (struct learner){0};
}

clio_status learner_scale(clio_context *ctx, struct learner *l, double scale)
{
    clio_status st = CLIO_OK;
    float first = (float)(scale / MAX(l->accumulate, 1));
    l->loss_scale = scale;
    TRY(tensor_write(ctx, &l->one, 0, 1, &first));
fail:
    return st;
}

/* After a step of `count` parts: the next one's scale. A step whose gradients overflowed was none. */
static clio_status seek_scale(clio_context *ctx, struct learner *l, int first, int count)
{
    clio_status st = CLIO_OK;
    bool made = true;
    for (int i = first; i < first + count; i++) {
        bool one = true;
        if (l->parameters[i].count)
            TRY(optimizer_made(ctx, &l->optimizers[i], &one));
        l->optimizers[i].step -= !one;
        made = made && one;
    }
    l->good = made ? l->good + 1 : 0;
    if (!made) {
        TRY(learner_scale(ctx, l, fmax(l->loss_scale / 2, 1)));
    } else if (l->good == SCALE_STEPS) {
        l->good = 0;
        TRY(learner_scale(ctx, l, fmin(l->loss_scale * 2, MOST_SCALE)));
    }
fail:
    return st;
}

clio_status learner_train(clio_context *ctx, struct learner *l, int accumulate)
{
    clio_status st = CLIO_OK;
    l->accumulate = accumulate;
    l->seeks_scale = l->half && l->loss_scale <= 0;
    TRY(learner_scale(ctx, l, l->loss_scale > 0 ? l->loss_scale : l->half ? FIRST_SCALE : 1));
    for (int i = 0; i < LEARNER_PARTS && l->kind->parts[i]; i++) {
        TRY(optimizer_open(ctx, &l->optimizers[i], &l->parameters[i], &l->options[i]));
        TRY(tape_open(ctx, &l->tapes[i]));
        if (l->half)
            TRY(parameters_halve(ctx, &l->parameters[i]));
    }
    l->trains = true;
fail:
    return st;
}

clio_status learner_watch(clio_context *ctx, struct learner *l, struct tape *tape, int part)
{
    return parameters_watch(ctx, tape, &l->parameters[part], l->micro > 0);
}

/* Of `count` parts, those that learn. */
static clio_status descend(clio_context *ctx, struct learner *l, struct tape *tape, int first, int count, const struct tensor *loss)
{
    clio_status st = CLIO_OK;
    TRY(tape_backward(ctx, tape, loss, &l->one));
    if (l->micro + 1 < l->accumulate)
        return CLIO_OK;
    for (int i = first; i < first + count; i++) {
        struct optimizer *o = &l->optimizers[i];
        if (!l->parameters[i].count)
            continue;
        o->guard = *loss;
        o->loss_scale = l->seeks_scale || l->loss_scale < 1 || l->loss_scale > 1 ? l->loss_scale : 0;
        TRY(optimizer_step(ctx, o, &tape->arena));
    }
    if (l->seeks_scale)
        TRY(seek_scale(ctx, l, first, count));
fail:
    return st;
}

clio_status learner_descend(clio_context *ctx, struct learner *l, struct tape *tape, int part, const struct tensor *loss)
{
    return descend(ctx, l, tape, part, 1, loss);
}

clio_status learner_descend_all(clio_context *ctx, struct learner *l, struct tape *tape, const struct tensor *loss)
{
    return descend(ctx, l, tape, 0, LEARNER_PARTS, loss);
}

clio_status learner_swap_averages(clio_context *ctx, const struct learner *l)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < LEARNER_PARTS; i++)
        TRY(parameters_swap_average(ctx, &l->parameters[i]));
fail:
    return st;
}

/* ---- files ---- */

/* Everything of config.json that is not a setting of the kind. */
static const char *const shape_keys[] = {"model_type", "image_size", "channels", "classes"};

static clio_status read_config(clio_context *ctx, const struct json_file *file, const struct learner_kind **kind,
                               struct learner_shape *shape, json_t **settings)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    const char *type;
    int size[2];
    TRY(json_text(ctx, file, "model_type", NULL, &type));
    *kind = learner_kind_find(type);
    if (!*kind) {
        for (const struct learner_kind *const *k = learner_kinds; *k; k++)
            TRY(bytes_print(ctx, &names, "%s%s", names.size ? ", " : "", (*k)->name));
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes a model %.60s, which is none that clio trains: those are %s", file->path, type,
             names.data);
    }
    if ((*kind)->hears) {
        *shape = learner_shape_of_sounds;
    } else {
        TRY(fields_ints(ctx, file, "image_size", 2, 1, LARGEST_SIDE, 0, size));
        shape->height = size[0];
        shape->width = size[1];
        TRY(json_int(ctx, file, "channels", 1, 4, 0, &shape->channels));
    }
    TRY(json_int(ctx, file, "classes", 0, MOST_CLASSES, 0, &shape->classes));
    *settings = json_copy(file->root);
    if (!*settings)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    for (size_t i = 0; i < COUNT(shape_keys); i++)
        json_object_del(*settings, shape_keys[i]);
fail:
    bytes_free(&names);
    return st;
}

static const struct learner_place *place_of(const struct learner *l, int part)
{
    return &l->kind->places[l->kind->places[part].folder ? part : 0];
}

static clio_status read_part(clio_context *ctx, const struct learner *l, int part, const char *path)
{
    clio_status st = CLIO_OK;
    const struct learner_place *place = place_of(l, part);
    struct weights weights = {0};
    char *inner = NULL;
    TRY(file_join(ctx, &inner, path, place->folder ? place->folder : "."));
    TRY(weights_open(ctx, &weights, place->folder ? inner : path, place->stem ? place->stem : "model"));
    TRY(parameters_read(ctx, &l->parameters[part], PART_VALUE, "", &weights));
fail:
    weights_close(&weights);
    free(inner);
    return st;
}

clio_status learner_load(clio_context *ctx, struct learner *l, const char *path)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    const struct learner_kind *kind;
    struct learner_shape shape;
    json_t *settings = NULL;
    *l = (struct learner){0};
    TRY(json_open(ctx, &file, path, "config.json"));
    TRY(read_config(ctx, &file, &kind, &shape, &settings));
    TRY(open_kind(ctx, l, kind, shape, settings, path));
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (l->parameters[i].count)
            TRY(read_part(ctx, l, i, path));
fail:
    json_decref(settings);
    json_close(&file);
    if (st)
        learner_close(ctx, l);
    return st;
}

static clio_status write_config(clio_context *ctx, const struct learner *l, const char *folder)
{
    clio_status st = CLIO_OK;
    const struct learner_shape *s = &l->shape;
    json_t *size = s->height == s->width ? json_integer(s->width) : json_pack("[i,i]", s->height, s->width);
    json_t *config =
        json_pack("{s:s,s:O,s:i,s:i}", "model_type", l->kind->name, "image_size", size, "channels", s->channels, "classes", s->classes);
    for (size_t i = 1; l->kind->hears && i < COUNT(shape_keys); i++)
        json_object_del(config, shape_keys[i]);
    if (!size || !config || json_object_update(config, l->config))
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(folder_put_json(ctx, config, folder, "", "config.json"));
fail:
    json_decref(config);
    json_decref(size);
    return st;
}

/* The file of a part that has one of its own, with all parts that lie in it; its folder is there then. */
static clio_status write_weights(clio_context *ctx, const struct learner *l, int part, const char *folder)
{
    clio_status st = CLIO_OK;
    const struct learner_place *place = place_of(l, part);
    struct tensors_out out = {0};
    struct bytes name = {0};
    char *inner = NULL, *path = NULL;
    TRY(file_join(ctx, &inner, folder, place->folder ? place->folder : ""));
    if (place->folder)
        TRY(file_make_folder(ctx, inner));
    TRY(bytes_print(ctx, &name, "%s.safetensors", place->stem ? place->stem : "model"));
    TRY(file_join(ctx, &path, place->folder ? inner : folder, name.data));
    TRY(tensors_out_open(ctx, &out));
    TRY(tensors_out_note(ctx, &out, "format", "pt"));
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (place_of(l, i) == place)
            TRY(parameters_write(ctx, &l->parameters[i], PART_VALUE, "", &out));
    TRY(tensors_out_write(ctx, &out, path));
fail:
    tensors_out_close(&out);
    bytes_free(&name);
    free(inner);
    free(path);
    return st;
}

clio_status learner_save(clio_context *ctx, struct learner *l, const char *folder)
{
    clio_status st = CLIO_OK;
    bool swapped = false;
    TRY(write_config(ctx, l, folder));
    TRY(learner_swap_averages(ctx, l));
    swapped = true;
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (l->parameters[i].count && place_of(l, i) == &l->kind->places[i])
            TRY(write_weights(ctx, l, i, folder));
    swapped = false;
    TRY(learner_swap_averages(ctx, l));
    if (l->kind->describe)
        TRY(l->kind->describe(ctx, l, folder));
fail:
    if (swapped) /* the failure that is told is the one that came before */
        (void)learner_swap_averages(ctx, l);
    return st;
}

/* ---- use ---- */

clio_status learner_draw(clio_context *ctx, struct learner *l, int count, uint64_t seed, const int *labels, float *pictures)
{
    clio_status st = CLIO_OK;
    struct tensor z = tensor_shape(DTYPE_F32, 2, count, MAX(l->latent, 1), 0, 0);
    float *latents = NULL;
    int *own = NULL;
    if (count < 1 || !l->latent)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a model %s cannot draw %d pictures", l->kind->name, count);
    TRY(mem_alloc(ctx, &latents, tensor_count(&z), sizeof *latents));
    TRY(tensor_new(ctx, &z, "samples"));
    TRY(op_random_fwd(ctx, &z, seed, 0, true));
    TRY(tensor_read(ctx, &z, 0, tensor_count(&z), latents));
    if (!labels && learner_labels(l)) { /* one after the other */
        TRY(mem_alloc(ctx, &own, (size_t)count, sizeof *own));
        for (int i = 0; i < count; i++)
            own[i] = i % learner_labels(l);
        labels = own;
    }
    TRY(l->kind->sample(ctx, l, count, latents, labels, pictures));
fail:
    tensor_free(ctx, &z);
    free(latents);
    free(own);
    return st;
}
