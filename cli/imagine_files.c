/* imagine_files.c - see imagine.h. */
#include "imagine.h"
#include "model_path.h"
#include "output.h"
#include "print_json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDING ".png"

bool image_file_check(const char *path)
{
    return !strcmp(path, "-") || path_check(path, "-o");
}

/* Where the extension begins; the end of the name where there is none. */
static int stem_length(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return (int)(dot && dot > base ? dot - path : (long)strlen(path));
}

char *image_file_name(const char *path, size_t index)
{
    int n = stem_length(path);
    return index ? must_print("%.*s_%zu%s", n, path, index + 1, path + n) : must_print("%s", path);
}

char *preview_name(const char *path)
{
    int n = stem_length(path);
    return must_print("%.*s_preview%s", n, path, path[n] ? path + n : ENDING);
}

static void add_json(json_t *list, const clio_imagine_result *picture, const char *file)
{
    json_array_append_new(list, json_pack("{s:s?, s:I, s:i, s:i, s:s}", "file", file, "seed", (json_int_t)picture->seed, "width",
                                          picture->image.width, "height", picture->image.height, "parameters", picture->parameters));
}

static int print_json(struct session *s, json_t *list)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:o}", "version", clio_version(), "model", s->model, "device", clio_device(s->ctx)->name,
                             "result", list);
    if (!root)
        say_error("the result cannot be printed as JSON: is the prompt UTF-8?");
    return root && json_print(root) ? EXIT_DONE : EXIT_FAILED;
}

int images_save(struct session *s, const clio_image_list *images, const char *path)
{
    const struct settings *set = s->set;
    json_t *list = json_array();
    char *software = must_print("clio %s", clio_version()), *model = model_label(s->model);
    bool moves = set->imagine.frames > 0;
    int code = EXIT_DONE;
    for (size_t i = 0; !code && i < (moves ? 1 : images->count); i++) {
        const clio_imagine_result *picture = &images->list[i];
        const clio_metadata_entry notes[] = {
            {"parameters", picture->parameters}, {"Software", software}, {"Model", model}, {"Device", clio_device(s->ctx)->name}};
        char *name = image_file_name(path, i);
        clio_status st = moves ? clio_image_write_apng(s->ctx, images, name, set->delay, notes, COUNT(notes))
                               : clio_image_write(s->ctx, &picture->image, name, notes, COUNT(notes));
        if (st) {
            session_failed(s, st);
            code = EXIT_FAILED;
            clearerr(stdout); /* it was said */
        } else {
            add_json(list, picture, name);
            if (!set->quiet)
                fprintf(stderr, "%s: %d x %d, seed %lld\n", name, picture->image.width, picture->image.height, (long long)picture->seed);
        }
        free(name);
    }
    if (!code && set->json)
        code = print_json(s, list);
    else
        json_decref(list);
    free(software);
    free(model);
    return code;
}

int image_metadata_show(struct session *s, const char *path)
{
    clio_metadata *notes;
    clio_status st = clio_image_metadata(s->ctx, path, &notes);
    if (st)
        return session_failed(s, st);
    if (!notes->count && !s->set->json)
        fprintf(stderr, "%s has no notes in it\n", path);
    json_t *root = json_object();
    for (size_t i = 0; i < notes->count; i++)
        if (s->set->json)
            json_object_set_new(root, notes->list[i].key, json_string(notes->list[i].text));
        else
            printf("%s: %s\n", notes->list[i].key, notes->list[i].text);
    int code = EXIT_DONE;
    if (s->set->json)
        code = json_print(root) ? EXIT_DONE : EXIT_FAILED;
    else
        json_decref(root);
    clio_metadata_free(notes);
    session_flush(s);
    return code;
}
