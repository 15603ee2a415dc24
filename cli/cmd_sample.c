/* cmd_sample.c - clio sample: images from a model that clio trained: drawn, on the way between two, or taken in and given back. */
#include "bar.h"
#include "imagine.h"
#include "model_path.h"
#include "options.h"
#include "session.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT "out.png"
#define COUNT_DEFAULT 64
#define FRAMES 24
#define DELAY 80            /* ms */
#define ANIMATION_WIDTH 256 /* pixels, at least about */
#define COLUMNS_MOST 32     /* of classes */

static const char *output_of(const struct settings *set)
{
    return set->result ? set->result : OUTPUT;
}

static bool labels_are_numbers(const struct command *self, const struct words *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        char *end;
        long label = strtol(labels->items[i], &end, 10);
        if (end == labels->items[i] || *end || label < 0 || label > INT_MAX) {
            say_usage(self, "--label takes the number of a class, such as 3, not \"%s\"", labels->items[i]);
            return false;
        }
    }
    return true;
}

/* --label, once for all images or once for each. The caller frees them; NULL: none were asked for. */
static int *read_labels(const struct settings *set, int count)
{
    if (!set->labels.count)
        return NULL;
    int *labels = must_alloc((size_t)count * sizeof *labels);
    for (int i = 0; i < count; i++)
        labels[i] = (int)strtol(set->labels.items[(size_t)i % set->labels.count], NULL, 10);
    return labels;
}

static clio_status reconstruct(struct session *s, clio_generator *g, const struct words *files, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_image **read = must_alloc(files->count * sizeof *read), *given = must_alloc(files->count * sizeof *given);
    size_t count = 0;
    for (; !st && count < files->count; count++) {
        st = clio_image_read(s->ctx, files->items[count], &read[count]);
        if (!st)
            given[count] = *read[count];
    }
    if (!st)
        st = clio_generator_reconstruct(g, given, files->count, out);
    for (size_t i = 0; i < files->count; i++)
        clio_image_free(read[i]);
    free(read);
    free(given);
    return st;
}

/* The image with every pixel as a square of them. The caller frees rgb. */
static clio_image enlarged(const clio_image *from, int factor)
{
    clio_image to = {from->width * factor, from->height * factor, NULL};
    unsigned char *rgb = must_alloc(3 * (size_t)to.width * (size_t)to.height);
    for (int y = 0; y < to.height; y++)
        for (int x = 0; x < to.width; x++)
            memcpy(rgb + 3 * ((size_t)y * (size_t)to.width + (size_t)x),
                   from->rgb + 3 * ((size_t)(y / factor) * (size_t)from->width + (size_t)(x / factor)), 3);
    to.rgb = rgb;
    return to;
}

/* Small images are enlarged, as on a sheet. */
static clio_status animate(struct session *s, const struct settings *set, const clio_image_list *images)
{
    clio_imagine_result *list = must_alloc(images->count * sizeof *list);
    int width = images->list[0].image.width, factor = width < ANIMATION_WIDTH ? ANIMATION_WIDTH / width : 1;
    for (size_t i = 0; i < images->count; i++) {
        list[i] = images->list[i];
        list[i].image = enlarged(&images->list[i].image, factor);
    }
    clio_status st =
        clio_image_write_apng(s->ctx, &(clio_image_list){list, images->count}, output_of(set), set->delay ? set->delay : DELAY, NULL, 0);
    for (size_t i = 0; i < images->count; i++)
        free((void *)(uintptr_t)list[i].image.rgb);
    free(list);
    return st;
}

/* Images in a row: as many as there are classes; beside each image what came back of it. 0: as many as rows. */
static int columns_of(const struct settings *set, const clio_generator *g, const clio_image_list *images)
{
    int columns = clio_generator_get_info(g).classes;
    if (set->columns)
        return set->columns;
    if (set->files.count)
        for (columns = 2; (size_t)columns * (size_t)columns < images->count;)
            columns += 2;
    return set->labels.count || columns == 1 || columns > COLUMNS_MOST ? 0 : columns;
}

static clio_status save(struct session *s, const struct settings *set, const clio_generator *g, const clio_image_list *images)
{
    clio_status st;
    clio_image *sheet = NULL;
    if (set->imagine.frames)
        return animate(s, set, images);
    if (set->separate) {
        st = CLIO_OK;
        for (size_t i = 0; !st && i < images->count; i++) {
            char *name = image_file_name(output_of(set), i);
            st = clio_image_write(s->ctx, &images->list[i].image, name, NULL, 0);
            free(name);
        }
        return st;
    }
    st = clio_image_grid(s->ctx, images, columns_of(set, g, images), &sheet);
    if (!st)
        st = clio_image_write(s->ctx, sheet, output_of(set), NULL, 0);
    clio_image_free(sheet);
    return st;
}

static int sample(struct session *s, struct settings *set)
{
    clio_generator *g = NULL;
    clio_image_list *images = NULL;
    int count = set->count ? set->count : COUNT_DEFAULT;
    int *labels = read_labels(set, count);
    uint64_t seed = (uint64_t)set->imagine.seed;
    bar_begin();
    clio_status st = clio_device_open(s->ctx, set->device);
    if (!st)
        st = clio_generator_load(s->ctx, s->model, &g);
    if (!st && !set->quiet)
        session_header(s);
    if (!st && set->files.count)
        st = reconstruct(s, g, &set->files, &images);
    else if (!st && set->imagine.seed_to >= 0)
        st = clio_generator_interpolate(g, seed, (uint64_t)set->imagine.seed_to, set->imagine.frames, labels ? labels[0] : 0, &images);
    else if (!st)
        st = clio_generator_sample(g, count, seed, labels, &images);
    if (!st)
        st = save(s, set, g, images);
    bar_clear();
    int code = st ? session_failed(s, st) : EXIT_DONE;
    if (!code && !set->quiet)
        fprintf(stderr, "%s: %zu image%s\n", output_of(set), images->count, images->count == 1 ? "" : "s");
    clio_image_list_free(images);
    clio_generator_free(g);
    free(labels);
    return code;
}

static int run_sample(const struct command *self, struct settings *set)
{
    struct session s = {.model = NULL};
    if (!set->model)
        return say_usage(self, "no model was named: -m takes a folder that clio train wrote");
    if (set->imagine.seed_to >= 0 && !set->imagine.frames)
        set->imagine.frames = FRAMES;
    if (set->imagine.frames && set->imagine.seed_to < 0)
        return say_usage(self, "--frames lead to something: add --interpolate-seed N");
    if (set->imagine.frames && set->files.count)
        return say_usage(self, "images are reconstructed, or drawn on the way between two seeds, but not both");
    if (!labels_are_numbers(self, &set->labels))
        return EXIT_USAGE;
    if (!image_file_check(output_of(set)))
        return EXIT_FAILED;
    s.model = must_print("%s", set->model);
    int code = session_context(&s, set) ? sample(&s, set) : EXIT_FAILED;
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_MODEL("a folder that clio train wrote, or one of its\ncheckpoints"),
    {"-o --output", "FILE", OPTION_TEXT, FIELD(result), 0, 0, "the PNG to write; default out.png"},
    {"-b --batch-count", "N", OPTION_INT, FIELD(count), 1, 65536, "images; default 64"},
    {"-s --seed", "N", OPTION_SIGNED, FIELD(imagine.seed), 0, 0, "of the first image; default 42"},
    {"--label", "N", OPTION_WORDS, FIELD(labels), 0, 0,
     "a class, where the model has them, or a prompt,\nwhere it learned captions; several times for several;\ndefault: each in turn"},
    {"--columns", "N", OPTION_INT, FIELD(columns), 1, 1000,
     "images in a row of the sheet; default: as many as\nthere are classes, or as there are rows"},
    {"--separate", NULL, OPTION_ON, FIELD(separate), 0, 0, "a file for each image: out.png, out_2.png, ..."},
    {"--interpolate-seed", "N", OPTION_SIGNED, FIELD(imagine.seed_to), 0, 0, "an animated PNG on the way from -s to this seed"},
    {"--frames", "N", OPTION_INT, FIELD(imagine.frames), 2, 1000, "images of it; default 24"},
    {"--delay", "MS", OPTION_INT, FIELD(delay), 1, 60000, "how long each is shown; default 80"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_sample = {
    .name = "sample",
    .synopsis = "-m DIR [-b N] [-s SEED] [--label N]... [-o FILE] [PICTURE...]",
    .about = "Draws images with a model that clio train made, as one sheet. Images that are named are taken in and given back\n"
             "beside what they were (models with an encoder).",
    .more = "clio sample -m my-vae -o sheet.png\n"
            "clio sample -m my-vae -s 1 --interpolate-seed 7 -o way.png\n"
            "clio sample -m my-cgan --label 3 -b 16\n"
            "clio sample -m my-vae shoe.png shirt.png",
    .options = options,
    .run = run_sample,
};
