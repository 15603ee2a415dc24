/* sentence_folder.c - see sentence_folder.h. */
#include "sentence_folder.h"
#include "../../cl/args.clh"

#include <stdlib.h>
#include <string.h>

#define MODULES_MOST 64
#define LARGEST_FILE ((uint64_t)1 << 20)

static const struct {
    const char *name, *key; /* key: of 1_Pooling/config.json, which older versions write; NULL: it has none */
} poolings[POOLINGS] = {
    [POOLING_CLS] = {"cls", "pooling_mode_cls_token"},
    [POOLING_MAX] = {"max", "pooling_mode_max_tokens"},
    [POOLING_MEAN] = {"mean", "pooling_mode_mean_tokens"},
    [POOLING_MEAN_SQRT] = {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
    [POOLING_WEIGHTED_MEAN] = {"weightedmean", "pooling_mode_weightedmean_tokens"},
    [POOLING_LAST] = {"lasttoken", "pooling_mode_lasttoken"},
    [POOLING_POOLER] = {"pooler", NULL},
};
const char pooling_names[] = "cls|max|mean|mean_sqrt_len_tokens|weightedmean|lasttoken|pooler";

const char *pooling_name(enum pooling pooling)
{
    return poolings[pooling].name;
}

enum pooling pooling_find(const char *name)
{
    int i = 0;
    while (i < POOLINGS && strcmp(poolings[i].name, name) != 0)
        i++;
    return (enum pooling)i;
}

/* ---- modules ---- */

static clio_status read_transformer(clio_context *ctx, struct sentence_folder *s, const char *folder)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    TRY(mem_string(ctx, &s->encoder, folder));
    TRY(json_open_if_exists(ctx, &file, folder, "sentence_bert_config.json"));
    if (file.root) {
        TRY(json_int(ctx, &file, "max_seq_length", 0, 1 << 20, 0, &s->max_length));
        TRY(json_bool(ctx, &file, "do_lower_case", false, &s->lower));
    }
fail:
    json_close(&file);
    return st;
}

/* A name of "pooling_mode". */
static clio_status add_mode(clio_context *ctx, struct sentence_folder *s, const char *path, const char *name)
{
    clio_status st = CLIO_OK;
    enum pooling pooling = name ? pooling_find(name) : POOLINGS;
    if (pooling == POOLINGS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the pooling mode \"%.40s\" is not supported (supported: %s): use another model", path,
             name ? name : "?", pooling_names);
    s->uses[pooling] = true;
fail:
    return st;
}

/* Either "pooling_mode": a name or a list of them, or a flag for each mode. A flag that clio does not know is a mode that it does not have.
 */
static clio_status read_modes(clio_context *ctx, struct sentence_folder *s, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    const json_t *mode = json_object_get(file->root, "pooling_mode");
    const char *key;
    json_t *value;
    size_t n;
    if (json_is_string(mode))
        TRY(add_mode(ctx, s, file->path, json_string_value(mode)));
    json_array_foreach(mode, n, value)
    {
        TRY(add_mode(ctx, s, file->path, json_string_value(value)));
    }
    json_object_foreach(file->root, key, value)
    {
        if (strncmp(key, "pooling_mode_", 13) != 0 || !json_is_true(value))
            continue;
        int i = 0;
        while (i < POOLINGS && (!poolings[i].key || strcmp(poolings[i].key, key) != 0))
            i++;
        TRY(add_mode(ctx, s, file->path, i < POOLINGS ? poolings[i].name : key));
    }
    n = 0;
    for (int i = 0; i < POOLINGS; i++)
        n += s->uses[i];
    if (!n)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s names no pooling mode: download the file again", file->path);
fail:
    return st;
}

static clio_status read_pooling(clio_context *ctx, struct sentence_folder *s, const char *folder)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    TRY(json_open(ctx, &file, folder, "config.json"));
    TRY(read_modes(ctx, s, &file));
    TRY(json_int(ctx, &file, "word_embedding_dimension", 0, 1 << 20, 0, &s->width));
fail:
    json_close(&file);
    return st;
}

/* "Pooling" of "sentence_transformers.models.Pooling": the words before the last one changed with the versions. */
static const char *last_word(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot ? dot + 1 : type;
}

static clio_status read_dense(clio_context *ctx, struct sentence_folder *s, const char *folder)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    struct sentence_dense *d = &s->dense[s->dense_count];
    const char *act;
    TRY(json_open(ctx, &file, folder, "config.json"));
    TRY(json_int(ctx, &file, "in_features", 1, 1 << 20, 0, &d->in));
    TRY(json_int(ctx, &file, "out_features", 1, 1 << 20, 0, &d->out));
    TRY(json_text(ctx, &file, "activation_function", "torch.nn.modules.activation.Tanh", &act));
    const char *name = last_word(act);
    d->act = !strcmp(name, "Tanh") ? ACT_TANH : !strcmp(name, "ReLU") ? ACT_RELU : !strcmp(name, "GELU") ? ACT_GELU : ACT_NONE;
    if (d->act == ACT_NONE && strcmp(name, "Identity") != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the activation_function %.60s is not supported (supported: Identity, Tanh, ReLU, GELU)",
             file.path, act);
    TRY(mem_string(ctx, &d->folder, folder));
    s->dense_count++;
fail:
    json_close(&file);
    return st;
}

static bool is_encoder(const char *name)
{
    return !strcmp(name, "Transformer") || !strcmp(name, "CLIPModel");
}

static clio_status read_module(clio_context *ctx, struct sentence_folder *s, const char *path, const char *name, const char *folder)
{
    clio_status st = CLIO_OK;
    if (!strcmp(name, "Transformer")) {
        TRY(read_transformer(ctx, s, folder));
    } else if (!strcmp(name, "CLIPModel")) {
        TRY(read_transformer(ctx, s, folder));
        s->uses[POOLING_POOLER] = true;
    } else if (!strcmp(name, "Pooling")) {
        TRY(read_pooling(ctx, s, folder));
    } else if (!strcmp(name, "Dense")) {
        TRY(read_dense(ctx, s, folder));
    } else if (!strcmp(name, "Normalize")) {
        s->normalizes = true;
    } else {
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has a module of type %.60s, which clio does not support (supported: Transformer, CLIPModel, Pooling, Dense, Normalize): "
             "use another model",
             path, name);
    }
fail:
    return st;
}

static clio_status read_modules(clio_context *ctx, struct sentence_folder *s, const char *dir, const char *path, const json_t *list)
{
    clio_status st = CLIO_OK;
    char *folder = NULL;
    json_t *module;
    size_t i;
    if (!json_is_array(list) || json_array_size(list) > MODULES_MOST)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s must be a list of at most %d modules: download the file again", path, MODULES_MOST);
    TRY(mem_alloc(ctx, &s->dense, json_array_size(list), sizeof *s->dense));
    json_array_foreach(list, i, module)
    {
        const char *type = json_string_value(json_object_get(module, "type")), *inner = json_string_value(json_object_get(module, "path"));
        if (!type || !inner || strstr(inner, "..") || *inner == '/')
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: module %zu has no \"type\" or no \"path\" in the folder: download the file again", path,
                 i + 1);
        if ((i == 0) != is_encoder(last_word(type)))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the first module, and no other, must be a Transformer: use another model", path);
        if (s->normalizes)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: Normalize must be the last module: use another model", path);
        free(folder);
        folder = NULL;
        TRY(*inner ? file_join(ctx, &folder, dir, inner) : mem_string(ctx, &folder, dir));
        TRY(read_module(ctx, s, path, last_word(type), folder));
    }
    if (!s->encoder)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the first module, and no other, must be a Transformer: use another model", path);
fail:
    free(folder);
    return st;
}

clio_status sentence_folder_open(clio_context *ctx, struct sentence_folder *s, const char *dir)
{
    clio_status st = CLIO_OK;
    struct file_content content = {0};
    json_t *list = NULL;
    char *path = NULL;
    bool exists;
    *s = (struct sentence_folder){0};
    TRY(file_join(ctx, &path, dir, "modules.json"));
    TRY(file_check_exists(ctx, path, &exists));
    if (exists) {
        TRY(file_load_limited(ctx, &content, path, LARGEST_FILE));
        TRY(json_parse(ctx, (const char *)content.data, content.size, 0, path, &list));
        TRY(read_modules(ctx, s, dir, path, list));
    } else {
        TRY(read_transformer(ctx, s, dir));
    }
fail:
    json_decref(list);
    file_unload(&content);
    free(path);
    if (st)
        sentence_folder_close(s);
    return st;
}

void sentence_folder_close(struct sentence_folder *s)
{
    for (size_t i = 0; i < s->dense_count; i++)
        free(s->dense[i].folder);
    free(s->dense);
    free(s->encoder);
    *s = (struct sentence_folder){0};
}
