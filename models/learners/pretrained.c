/* pretrained.c - see pretrained.h. */
#include "pretrained.h"
#include "settings.h"
#include "types.h"
#include "../loaders/config.h"
#include "../../host/core/safetensors_write.h"
#include "../loaders/model_folder.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 4096
#define MAX_CLASSES 65536

/* Keys of config.json that are not settings of the type. */
static const char *const shape_keys[] = {"model_type", "image_size", "channels", "classes", "class_names", "unseen_classes"};

static clio_status read_config(clio_context *ctx, const struct json_file *file, const struct learner_type **type,
                               struct learner_shape *shape, json_t **settings)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    const char *type_name, *key;
    json_t *value;
    int size[2];
    TRY(json_text(ctx, file, "model_type", NULL, &type_name));
    *type = learner_type_find(type_name);
    if (!*type) {
        for (const struct learner_type *const *k = learner_types; *k; k++)
            TRY(bytes_print(ctx, &names, "%s%s", names.size ? ", " : "", (*k)->name));
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: model_type %.60s is not one that clio trains: %s", file->path, type_name, names.data);
    }
    if ((*type)->takes_audio) {
        *shape = learner_audio_shape;
    } else {
        TRY(config_ints(ctx, file, "image_size", 2, 1, MAX_SIDE, 0, size));
        shape->height = size[0];
        shape->width = size[1];
        TRY(json_int(ctx, file, "channels", 1, 4, 0, &shape->channels));
    }
    TRY(json_int(ctx, file, "classes", 0, MAX_CLASSES, 0, &shape->classes));
    TRY(json_copied(ctx, settings, file->root));
    for (size_t i = 0; i < COUNT(shape_keys); i++)
        json_object_del(*settings, shape_keys[i]);
    json_object_foreach(*settings, key, value)
    {
        if (!learner_setting_find((*type)->settings, key))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"%s\" is not a setting of %s: the model was written by another version of clio",
                 file->path, key, (*type)->name);
    }
fail:
    bytes_free(&names);
    return st;
}

static const struct learner_weight_file *weight_file(const struct learner *l, int part)
{
    return &l->type->weight_files[l->type->weight_files[part].folder ? part : 0];
}

clio_status learner_read_part(clio_context *ctx, struct learner *l, int part, enum parameter_part what, const char *path)
{
    clio_status st = CLIO_OK;
    const struct learner_weight_file *file = weight_file(l, part);
    struct weights weights = {0};
    char *inner = NULL;
    TRY(file_join(ctx, &inner, path, file->folder ? file->folder : "."));
    TRY(weights_open(ctx, &weights, file->folder ? inner : path, file->stem ? file->stem : "model"));
    TRY(what == PART_AVERAGE ? parameters_read_ema(ctx, &l->parameters[part], &weights)
                             : parameters_read(ctx, &l->parameters[part], PART_VALUE, "", &weights));
fail:
    weights_close(&weights);
    free(inner);
    return st;
}

/* The names of the classes; files of earlier versions have none. */
static clio_status read_class_names(clio_context *ctx, const struct json_file *file, struct learner *l)
{
    clio_status st = CLIO_OK;
    const json_t *list = json_object_get(file->root, "class_names");
    const char **names = NULL;
    if (!list || !l->shape.classes)
        return CLIO_OK;
    if (json_array_size(list) != (size_t)l->shape.classes)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %d classes and %zu \"class_names\"", file->path, l->shape.classes, json_array_size(list));
    TRY(mem_alloc(ctx, &names, (size_t)l->shape.classes, sizeof *names));
    for (int i = 0; i < l->shape.classes; i++)
        if (!(names[i] = json_string_value(json_array_get(list, (size_t)i))))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"class_names\" has something else than texts", file->path);
    TRY(learner_set_class_names(ctx, l, names));
fail:
    free(names);
    return st;
}

/* Mark the numbers in a config.json's list of classes that training had no sample of. */
static void read_unseen(const struct json_file *file, bool *unseen, int classes)
{
    const json_t *number;
    size_t i;
    json_array_foreach(json_object_get(file->root, "unseen_classes"), i, number)
    {
        if (json_is_integer(number) && json_integer_value(number) >= 0 && json_integer_value(number) < classes)
            unseen[json_integer_value(number)] = true;
    }
}

clio_status learner_set_class_unseen(clio_context *ctx, struct learner *l, const bool *unseen, const struct json_file *before)
{
    clio_status st = CLIO_OK;
    size_t classes = (size_t)l->shape.classes;
    bool *were = NULL;
    free(l->class_unseen);
    TRY(mem_alloc(ctx, &l->class_unseen, classes, sizeof *unseen));
    TRY(mem_alloc(ctx, &were, classes, sizeof *were));
    memset(were, !before, classes * sizeof *were);
    if (before)
        read_unseen(before, were, l->shape.classes);
    for (size_t i = 0; i < classes; i++)
        l->class_unseen[i] = unseen[i] && were[i];
fail:
    free(were);
    return st;
}

clio_status learner_load(clio_context *ctx, struct learner *l, const char *path)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    const struct learner_type *type;
    struct learner_shape shape;
    json_t *settings = NULL;
    *l = (struct learner){0};
    TRY(json_open(ctx, &file, path, "config.json"));
    TRY(read_config(ctx, &file, &type, &shape, &settings));
    TRY(learner_open(ctx, l, type, shape, settings, path));
    TRY(read_class_names(ctx, &file, l));
    TRY(mem_alloc(ctx, &l->class_unseen, (size_t)l->shape.classes, sizeof *l->class_unseen));
    read_unseen(&file, l->class_unseen, l->shape.classes);
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (l->parameters[i].count)
            TRY(learner_read_part(ctx, l, i, PART_VALUE, path));
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
    json_t *config = NULL, *names = NULL, *unseen = NULL;
    TRY(json_made(
        ctx, &config,
        json_pack("{s:s,s:O,s:i,s:i}", "model_type", l->type->name, "image_size", size, "channels", s->channels, "classes", s->classes)));
    for (size_t i = 1; l->type->takes_audio && i < COUNT(shape_keys); i++)
        json_object_del(config, shape_keys[i]);
    if (l->class_names) {
        TRY(json_made(ctx, &names, json_array()));
        for (int i = 0; i < s->classes; i++)
            TRY(json_append(ctx, names, json_string(l->class_names[i])));
        TRY(json_put(ctx, config, "class_names", json_incref(names)));
    }
    TRY(json_made(ctx, &unseen, json_array()));
    for (int i = 0; l->class_unseen && i < s->classes; i++)
        if (l->class_unseen[i])
            TRY(json_append(ctx, unseen, json_integer(i)));
    if (json_array_size(unseen))
        TRY(json_put(ctx, config, "unseen_classes", json_incref(unseen)));
    if (json_object_update(config, l->config))
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(folder_put_json(ctx, config, folder, "", "config.json"));
fail:
    json_decref(config);
    json_decref(names);
    json_decref(unseen);
    json_decref(size);
    return st;
}

/* Write the file of `part`, with all parts that share it. */
static clio_status write_weights(clio_context *ctx, const struct learner *l, int part, const char *folder)
{
    clio_status st = CLIO_OK;
    const struct learner_weight_file *file = weight_file(l, part);
    struct safetensors_writer out = {0};
    struct bytes name = {0};
    char *inner = NULL, *path = NULL;
    TRY(file_join(ctx, &inner, folder, file->folder ? file->folder : ""));
    if (file->folder)
        TRY(file_make_folder(ctx, inner));
    TRY(bytes_print(ctx, &name, "%s.safetensors", file->stem ? file->stem : "model"));
    TRY(file_join(ctx, &path, file->folder ? inner : folder, name.data));
    TRY(safetensors_writer_open(ctx, &out));
    TRY(safetensors_writer_metadata(ctx, &out, "format", "pt"));
    for (int i = 0; i < LEARNER_PARTS; i++)
        if (weight_file(l, i) == file)
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
        if (l->parameters[i].count && weight_file(l, i) == &l->type->weight_files[i])
            TRY(write_weights(ctx, l, i, folder));
    swapped = false;
    TRY(learner_swap_ema(ctx, l));
    if (l->type->save_config)
        TRY(l->type->save_config(ctx, l, folder));
fail:
    if (swapped) /* the first error is reported */
        (void)learner_swap_ema(ctx, l);
    return st;
}
