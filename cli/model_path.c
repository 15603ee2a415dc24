/* model_path.c - see model_path.h. */
#include "model_path.h"
#include "command.h"
#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that every model of that type has. */
#define WHISPER "config.json"
#define DIFFUSION "model_index.json"
#define ENCODER "modules.json" /* of sentence-transformers; not of every text encoder */
#define CONFIG_BYTES 1000000   /* of a config.json that is looked into */

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool has_file(const char *folder, const char *file)
{
    char *path = must_print("%s/%s", folder, file);
    bool has = access(path, F_OK) == 0;
    free(path);
    return has;
}

/* `folder` itself when it holds a model, of which `mark` is a file; otherwise it is freed. */
static char *if_model(char *folder, const char *mark)
{
    if (has_file(folder, mark))
        return folder;
    free(folder);
    return NULL;
}

static char *models_folder(void)
{
    if (environment("CLIO_MODELS"))
        return must_print("%s", environment("CLIO_MODELS"));
    if (environment("XDG_DATA_HOME"))
        return must_print("%s/clio/models", environment("XDG_DATA_HOME"));
    return must_print("%s/.local/share/clio/models", environment("HOME") ? environment("HOME") : "");
}

static char *find_in(const char *folder, const char *name, const char *mark)
{
    char *found = if_model(must_print("%s/%s", folder, name), mark);
    return found ? found : strncmp(name, "whisper-", 8) ? if_model(must_print("%s/whisper-%s", folder, name), mark) : NULL;
}

/* The snapshot of the main branch in the cache, otherwise any that holds a model. */
static char *find_snapshot(const char *repository, const char *mark)
{
    char commit[128] = "", *found = NULL, *path = must_print("%s/refs/main", repository);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fgets(commit, sizeof commit, file))
            commit[strcspn(commit, "\r\n")] = 0;
        fclose(file);
    }
    free(path);
    if (*commit)
        found = if_model(must_print("%s/snapshots/%s", repository, commit), mark);
    path = must_print("%s/snapshots", repository);
    DIR *folder = found ? NULL : opendir(path);
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            found = if_model(must_print("%s/%s", path, entry->d_name), mark);
    if (folder)
        closedir(folder);
    free(path);
    return found;
}

static char *find_in_hub(const char *name, const char *mark)
{
    const char *hub = environment("HF_HUB_CACHE"), *home = environment("HF_HOME"), *user = environment("HOME"), *slash = strchr(name, '/');
    char *cache = hub    ? must_print("%s", hub)
                  : home ? must_print("%s/hub", home)
                         : must_print("%s/.cache/huggingface/hub", user ? user : "");
    char *repository = slash ? must_print("%s/models--%.*s--%s", cache, (int)(slash - name), name, slash + 1)
                             : must_print("%s/models--openai--%s%s", cache, strncmp(name, "whisper-", 8) ? "whisper-" : "", name);
    char *found = find_snapshot(repository, mark);
    free(repository);
    free(cache);
    return found;
}

static char *find_named(const char *name, const char *mark)
{
    char *folder = models_folder(), *found = NULL;
    if (!strchr(name, '/')) {
        found = find_in(folder, name, mark);
        if (!found)
            found = find_in("/usr/local/share/clio/models", name, mark);
        if (!found)
            found = find_in("/usr/share/clio/models", name, mark);
    }
    free(folder);
    return found ? found : find_in_hub(name, mark);
}

/* Whether a failed stat means something else than that there is nothing of that name; then after a message. */
static bool fail_to_look(const char *name, int error)
{
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG)
        return false;
    say_error("the model %s cannot be read: %s; check the permissions of its folder", name, strerror(error));
    return true;
}

char *model_find(const char *name)
{
    struct stat info;
    if (has_file(name, "config.json"))
        return must_print("%s", name);
    bool named = *name && *name != '/' && *name != '.';
    char *found = named ? find_named(name, WHISPER) : NULL;
    if (!found && named)
        found = find_named(name, DIFFUSION); /* model_fits says what it is */
    if (found)
        return found;
    if (stat(name, &info) == 0) /* the library reports what is wrong with it */
        return must_print("%s", name);
    if (fail_to_look(name, errno))
        return NULL;
    char *folder = models_folder();
    say_error("no model \"%s\": neither a folder of that name nor a model in %s or the Hugging Face cache; check the name, or "
              "install Whisper base with scripts/fetch-whisper",
              name, folder);
    free(folder);
    return NULL;
}

char *model_default(void)
{
    char *found = find_named("whisper-base", WHISPER);
    if (!found)
        say_error("no model given, and Whisper base is not installed: install it with scripts/fetch-whisper, or give a folder with -m DIR");
    return found;
}

/* A path, or a model by its name; `mark` first; a model of another type is found, too, and model_fits says what it is. NULL: none, or, with
 * *failed set, after a message. */
static char *find_any(const char *name, const char *mark, const char *other, bool *failed)
{
    struct stat info;
    *failed = false;
    if (stat(name, &info) == 0)
        return must_print("%s", name);
    if ((*failed = fail_to_look(name, errno)))
        return NULL;
    bool named = *name && *name != '/' && *name != '.';
    char *found = named ? find_named(name, mark) : NULL;
    return found || !named ? found : find_named(name, other);
}

char *model_find_encoder(const char *name)
{
    bool failed;
    char *found = find_any(name, WHISPER, ENCODER, &failed);
    if (!found && !failed && !strchr(name, '/')) {
        char *full = must_print("sentence-transformers/%s", name);
        found = find_in_hub(full, ENCODER);
        free(full);
    }
    if (found || failed)
        return found;
    char *folder = models_folder();
    say_error(
        "no model \"%s\": neither a folder of that name nor a model in %s or the Hugging Face cache (as owner/name); check the name, or "
        "install all-MiniLM-L6-v2 with scripts/fetch-minilm",
        name, folder);
    free(folder);
    return NULL;
}

char *model_find_diffusion(const char *name)
{
    bool failed;
    char *found = find_any(name, DIFFUSION, WHISPER, &failed);
    if (found || failed)
        return found;
    char *folder = models_folder();
    say_error("no model \"%s\": neither a folder or file of that name nor a model in %s or the Hugging Face cache (as owner/name); "
              "check the name",
              name, folder);
    free(folder);
    return NULL;
}

/* The type of a model folder: "whisper", "diffusion", or a model of clio train; NULL: unknown, such as a single file. The caller frees it.
 */
static char *model_type(const char *folder)
{
    char *path = must_print("%s/config.json", folder), *type = NULL;
    struct stat info;
    bool is_small = stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= CONFIG_BYTES;
    json_t *config = is_small && !has_file(folder, "unet") ? json_load_file(path, 0, NULL) : NULL;
    if (has_file(folder, DIFFUSION))
        type = must_print("diffusion");
    else if (json_is_string(json_object_get(config, "model_type")))
        type = must_print("%s", json_string_value(json_object_get(config, "model_type")));
    json_decref(config);
    free(path);
    return type;
}

bool model_fits(const char *path, const char *command)
{
    char *type = model_type(path);
    const char *kind = NULL, *other = NULL, *name, *summary;
    bool speaks = !strcmp(command, "transcribe") || !strcmp(command, "caption");
    if (type && !strcmp(type, "whisper") && !speaks) {
        kind = "a Whisper model";
        other = "transcribe";
    } else if (type && !strcmp(type, "diffusion") && (speaks || (strcmp(command, "imagine") != 0 && !has_file(path, "config.json")))) {
        kind = "a Stable Diffusion model";
        other = "imagine";
    }
    for (size_t i = 0; type && !kind && (speaks || !strcmp(command, "imagine")); i++) {
        clio_train_model(i, &name, &summary);
        if (!name)
            break;
        if (!strcmp(name, type) && strcmp(name, "whisper") != 0 && strcmp(name, "unet") != 0) {
            kind = "a model that clio train wrote";
            other = "sample";
        }
    }
    if (kind)
        say_error("%s is %s, which clio %s does not take: run clio %s -m %s%s", path, kind, command, other, path,
                  !strcmp(other, "transcribe") && has_file(path, "whisper") ? "/whisper" : "");
    free(type);
    return !kind;
}

char *model_find_part(const char *name, const char *part)
{
    if (!*name || *name == '/' || *name == '.' || access(name, F_OK) == 0)
        return NULL;
    char *found = find_named(name, DIFFUSION);
    found = found ? found : find_named(name, WHISPER);
    if (!found || !part)
        return found;
    char *inner = must_print("%s/%s", found, part);
    free(found);
    return inner;
}

char *model_label(const char *path)
{
    const char *end = path + strlen(path), *start;
    while (end > path + 1 && end[-1] == '/')
        end--;
    for (start = end; start > path && start[-1] != '/';)
        start--;
    return must_print("%.*s", (int)(end - start), start);
}

char *model_find_tokenizer(const char *model)
{
    /* CLIP's own, and the folders of Stable Diffusion that people have. */
    static const char *const repositories[] = {"openai/clip-vit-large-patch14",
                                               "stable-diffusion-v1-5/stable-diffusion-v1-5",
                                               "runwayml/stable-diffusion-v1-5",
                                               "CompVis/stable-diffusion-v1-4",
                                               "stabilityai/stable-diffusion-2-1",
                                               "stabilityai/stable-diffusion-2-1-base",
                                               "stabilityai/sd-turbo"};
    struct stat info;
    const char *slash = strrchr(model, '/');
    char *beside = slash ? must_print("%.*s", (int)(slash - model + 1), model) : must_print("."), *found = NULL, *folder;
    bool is_there = has_file(beside, "tokenizer") || has_file(beside, "vocab.json");
    free(beside);
    if (is_there || stat(model, &info) || S_ISDIR(info.st_mode))
        return NULL;
    for (size_t i = 0; !found && i < COUNT(repositories); i++) {
        found = find_in_hub(repositories[i], "vocab.json");
        folder = found ? NULL : find_in_hub(repositories[i], "tokenizer/vocab.json");
        if (folder)
            found = must_print("%s/tokenizer", folder);
        free(folder);
    }
    return found;
}
