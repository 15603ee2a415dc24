/* imagine_files.c - see imagine.h. */
#include "imagine.h"
#include "model_path.h"
#include "output.h"
#include "print_json.h"
#include "terminal.h"
#include "text.h"
#include "say.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define ENDING ".png"

/* The ending alone is no name: ".png" would be a hidden file. */
static bool ends_in(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && name[n - m - 1] != '/' && !strcasecmp(name + n - m, ending);
}

int image_name_check(const struct command *self, const char *path, bool animation)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp"};
    struct stat info;
    if (!strcmp(path, "-") || (!stat(path, &info) && !S_ISREG(info.st_mode)))
        return EXIT_DONE;
    for (size_t i = 0; i < (animation ? 1 : COUNT(endings)); i++)
        if (ends_in(path, endings[i]))
            return EXIT_DONE;
    return say_usage(self,
                     animation ? "an animation is written as PNG: give -o a name that ends in .png, not %s"
                               : "-o takes a name that ends in .png, .jpg, .jpeg or .webp, not %s",
                     path);
}

bool image_check(const struct settings *set, const char *path)
{
    return !strcmp(path, "-") || path_check(set, path, "-o");
}

char *image_name(const char *path, size_t index)
{
    int n = path_stem_length(path);
    return index ? must_print("%.*s_%zu%s", n, path, index + 1, path + n) : must_print("%s", path);
}

bool images_check(const struct settings *set, size_t count)
{
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        char *name = image_name(set->result, i);
        good = image_check(set, name);
        free(name);
    }
    return good;
}

char *preview_name(const char *path)
{
    int n = path_stem_length(path);
    return must_print("%.*s_preview%s", n, path, path[n] ? path + n : ENDING);
}

static void add_json(json_t *list, const clio_imagine_result *result, const char *file)
{
    char *digits = must_print("%" PRIu64, result->seed); /* Jansson's integers are signed */
    json_t *seed = result->seed <= INT64_MAX ? json_integer((json_int_t)result->seed) : json_string(digits);
    json_list_add(list, json_pack("{s:o, s:o, s:i, s:i, s:o}", "file", json_name(file), "seed", seed, "width", result->image.width,
                                  "height", result->image.height, "parameters", json_name(result->parameters)));
    free(digits);
}

static void print_json(const struct session *s, const char *device, json_t *list)
{
    json_print(json_pack("{s:s, s:o, s:s, s:o}", "version", clio_version(), "model", json_name(s->model), "device", device, "images", list),
               JSON_MEASURED);
}

int images_save(struct session *s, const clio_image_list *images, const char *path)
{
    const struct settings *set = s->set;
    json_t *list = json_must(json_array());
    char *software = must_print("clio %s", clio_version());
    char *label = model_label(s->model), *model = text_name(label), *device = session_device_names(s);
    bool animates = set->imagine.frames > 0;
    int code = EXIT_DONE;
    for (size_t i = 0; !code && i < (animates ? 1 : images->count); i++) {
        const clio_imagine_result *result = &images->list[i];
        if (!result->image.rgb)
            continue; /* another process has it */
        const clio_metadata_entry notes[] = {
            {"parameters", result->parameters}, {"Software", software}, {"Model", model}, {"Device", device}};
        char *name = image_name(path, i);
        clio_status st = animates ? clio_image_write_apng(s->ctx, images, name, set->delay, notes, COUNT(notes))
                                  : clio_image_write(s->ctx, &result->image, name, notes, COUNT(notes));
        if (st) {
            session_failed(s, st);
            code = EXIT_FAILED;
            clearerr(stdout); /* already reported */
        } else {
            add_json(list, result, name);
            if (!set->quiet)
                print_err("%s: %d x %d, seed %" PRIu64 "\n", name, result->image.width, result->image.height, result->seed);
        }
        free(name);
    }
    if (!code && set->json)
        print_json(s, device, list);
    else
        json_decref(list);
    free(software);
    free(label);
    free(model);
    free(device);
    return code;
}

/* Texts of the same key become a list. */
static void add_note(json_t *root, const clio_metadata_entry *note)
{
    json_t *before = json_object_get(root, note->key);
    if (json_is_array(before))
        json_list_add(before, json_name(note->text));
    else
        json_add(root, note->key, before ? json_pack("[O, o]", before, json_name(note->text)) : json_name(note->text));
}

/* A text of several lines stays one. */
static void print_note(const char *key, const char *text)
{
    size_t first = strcspn(text, "\n");
    print_out("%s: %.*s\n", key, (int)first, text);
    print_lines(stdout, "", text + first + (text[first] != 0));
}

int image_show(struct session *s, const char *path)
{
    clio_metadata *notes;
    clio_status st = clio_image_metadata(s->ctx, path, &notes);
    if (st)
        return session_failed(s, st);
    if (!notes->count && !s->set->json)
        print_err("%s has no metadata\n", path);
    json_t *root = json_must(json_object());
    for (size_t i = 0; i < notes->count; i++)
        if (s->set->json)
            add_note(root, &notes->list[i]);
        else
            print_note(notes->list[i].key, notes->list[i].text);
    if (s->set->json)
        json_print(root, JSON_MEASURED);
    else
        json_decref(root);
    clio_metadata_free(notes);
    session_flush(s);
    return EXIT_DONE;
}
