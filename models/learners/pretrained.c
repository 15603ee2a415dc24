/* pretrained.c - read and write a model's folder: config.json and weights. */
#include "pretrained.h"
#include "types.h"
#include "../loaders/config.h"
#include "../../host/core/safetensors_write.h"
#include "../loaders/model_folder.h"

#include <stdlib.h>

#define LARGEST_SIDE 4096

#define MOST_CLASSES 65536

/* Everything of config.json that is not a setting of the kind. */
static const char *const shape_keys[] = {"model_type", "image_size", "channels", "classes"};

static clio_status read_config(clio_context *ctx, const struct json_file *file, const struct learner_type **kind,
                               struct learner_shape *shape, json_t **settings)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    const char *type;
    int size[2];
    TRY(json_text(ctx, file, "model_type", NULL, &type));
    *kind = learner_type_find(type);
    if (!*kind) {
        for (const struct learner_type *const *k = learner_types; *k; k++)
            TRY(bytes_print(ctx, &names, "%s%s", names.size ? ", " : "", (*k)->name));
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes a model %.60s, which is none that clio trains: those are %s", file->path, type,
             names.data);
    }
    if ((*kind)->takes_audio) {
        *shape = learner_shape_of_sounds;
    } else {
        TRY(config_ints(ctx, file, "image_size", 2, 1, LARGEST_SIDE, 0, size));
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

static const struct learner_weight_file *place_of(const struct learner *l, int part)
{
    return &l->kind->weight_files[l->kind->weight_files[part].folder ? part : 0];
}

static clio_status read_part(clio_context *ctx, const struct learner *l, int part, const char *path)
{
    clio_status st = CLIO_OK;
    const struct learner_weight_file *place = place_of(l, part);
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
    const struct learner_type *kind;
    struct learner_shape shape;
    json_t *settings = NULL;
    *l = (struct learner){0};
    TRY(json_open(ctx, &file, path, "config.json"));
    TRY(read_config(ctx, &file, &kind, &shape, &settings));
    TRY(learner_open(ctx, l, kind, shape, settings, path));
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
    for (size_t i = 1; l->kind->takes_audio && i < COUNT(shape_keys); i++)
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
    const struct learner_weight_file *place = place_of(l, part);
    struct safetensors_writer out = {0};
    struct bytes name = {0};
    char *inner = NULL, *path = NULL;
    TRY(file_join(ctx, &inner, folder, place->folder ? place->folder : ""));
    if (place->folder)
        TRY(file_make_folder(ctx, inner));
    TRY(bytes_print(ctx, &name, "%s.safetensors", place->stem ? place->stem : "model"));
    TRY(file_join(ctx, &path, place->folder ? inner : folder, name.data));
    TRY(safetensors_writer_open(ctx, &out));
    TRY(safetensors_writer_metadata(ctx, &out, "format", "pt"));
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (place_of(l, i) == place)
            TRY(parameters_write(ctx, &l->parameters[i], PART_VALUE, "", &out));
    TRY(safetensors_writer_save(ctx, &out, path));
fail:
    safetensors_writer_close(&out);
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
    TRY(learner_swap_ema(ctx, l));
    swapped = true;
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (l->parameters[i].count && place_of(l, i) == &l->kind->weight_files[i])
            TRY(write_weights(ctx, l, i, folder));
    swapped = false;
    TRY(learner_swap_ema(ctx, l));
    if (l->kind->save_config)
        TRY(l->kind->save_config(ctx, l, folder));
fail:
    if (swapped) /* the failure that is told is the one that came before */
        (void)learner_swap_ema(ctx, l);
    return st;
}
