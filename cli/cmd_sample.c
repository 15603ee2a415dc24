/* cmd_sample.c - clio sample: pictures from a model that clio trained: drawn, on the way between two, or taken in and given back. */
#include "bar.h"
#include "imagine.h"
#include "model_path.h"
#include "options.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT "out.png"
#define COUNT_DEFAULT 64
#define FRAMES 24
#define DELAY 80 /* ms */

static const char *output_of(const struct settings *set)
{
    return set->result ? set->result : OUTPUT;
}

/* --label, once for all pictures or once for each. The caller frees them; NULL: none were asked for. */
static int *read_labels(const struct settings *set, int count)
{
    if (!set->labels.count)
        return NULL;
    int *labels = must_alloc((size_t)count * sizeof *labels);
    for (int i = 0; i < count; i++)
        labels[i] = atoi(set->labels.items[(size_t)i % set->labels.count]);
    return labels;
}

static clio_status reconstruct(struct session *s, clio_generator *g, const struct words *files, clio_images **out)
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

static clio_status save(struct session *s, const struct settings *set, const clio_images *images)
{
    clio_status st;
    clio_image *sheet = NULL;
    if (set->picture.frames)
        return clio_images_animate(s->ctx, images, output_of(set), set->delay ? set->delay : DELAY, NULL, 0);
    if (set->separate) {
        st = CLIO_OK;
        for (size_t i = 0; !st && i < images->count; i++) {
            char *name = picture_name(output_of(set), i);
            st = clio_image_write(s->ctx, &images->list[i].image, name, NULL, 0);
            free(name);
        }
        return st;
    }
    st = clio_images_sheet(s->ctx, images, set->columns, &sheet);
    if (!st)
        st = clio_image_write(s->ctx, sheet, output_of(set), NULL, 0);
    clio_image_free(sheet);
    return st;
}

static int sample(struct session *s, struct settings *set)
{
    clio_generator *g = NULL;
    clio_images *images = NULL;
    int count = set->picture.count > 1 || set->separate ? set->picture.count : COUNT_DEFAULT;
    int *labels = read_labels(set, count);
    uint64_t seed = (uint64_t)set->picture.seed;
    bar_begin();
    clio_status st = clio_device_open(s->ctx, set->device);
    if (!st)
        st = clio_generator_load(s->ctx, s->model, &g);
    if (!st && !set->quiet)
        session_header(s);
    if (!st && set->files.count)
        st = reconstruct(s, g, &set->files, &images);
    else if (!st && set->picture.seed_to >= 0)
        st = clio_generator_walk(g, seed, (uint64_t)set->picture.seed_to, set->picture.frames, labels ? labels[0] : 0, &images);
    else if (!st)
        st = clio_generator_draw(g, count, seed, labels, &images);
    if (!st)
        st = save(s, set, images);
    bar_clear();
    int code = st ? session_failed(s, st) : EXIT_DONE;
    if (!code && !set->quiet)
        fprintf(stderr, "%s: %zu pictures\n", output_of(set), images->count);
    clio_images_free(images);
    clio_generator_free(g);
    free(labels);
    return code;
}

static int run_sample(const struct command *self, struct settings *set)
{
    struct session s = {.model = NULL};
    if (!set->model)
        return say_usage(self, "no model was named: -m takes a folder that clio train wrote");
    if (set->picture.seed_to >= 0 && !set->picture.frames)
        set->picture.frames = FRAMES;
    if (set->picture.frames && set->picture.seed_to < 0)
        return say_usage(self, "--frames lead to something: add --interpolate-seed N");
    if (set->picture.frames && set->files.count)
        return say_usage(self, "pictures are reconstructed, or drawn on the way between two seeds, but not both");
    if (!picture_check(output_of(set)))
        return EXIT_FAILED;
    s.model = must_print("%s", set->model);
    int code = session_context(&s, set) ? sample(&s, set) : EXIT_FAILED;
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_MODEL("a folder that clio train wrote, or one of its\ncheckpoints"),
    {"-o --output", "FILE", OPTION_TEXT, FIELD(result), 0, 0, "the PNG to write; default out.png"},
    {"-b --batch-count", "N", OPTION_INT, FIELD(picture.count), 1, 65536, "pictures; default 64"},
    {"-s --seed", "N", OPTION_SIGNED, FIELD(picture.seed), 0, 0, "of the first picture; default 42"},
    {"--label", "N", OPTION_WORDS, FIELD(labels), 0, 0,
     "a class, where the model has them; several times\nfor several; default: each in turn"},
    {"--columns", "N", OPTION_INT, FIELD(columns), 1, 1000, "pictures in a row of the sheet"},
    {"--separate", NULL, OPTION_ON, FIELD(separate), 0, 0, "a file for each picture: out.png, out_2.png, ..."},
    {"--interpolate-seed", "N", OPTION_SIGNED, FIELD(picture.seed_to), 0, 0, "an animated PNG on the way from -s to this seed"},
    {"--frames", "N", OPTION_INT, FIELD(picture.frames), 2, 1000, "pictures of it; default 24"},
    {"--delay", "MS", OPTION_INT, FIELD(delay), 1, 60000, "how long each is shown; default 80"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_sample = {
    .name = "sample",
    .synopsis = "-m DIR [-b N] [-s SEED] [--label N]... [-o FILE] [PICTURE...]",
    .about = "Draws pictures with a model that clio train made, as one sheet. Pictures that are named are taken in and given back\n"
             "beside what they were (models with an encoder).",
    .more = "clio sample -m my-vae -o sheet.png\n"
            "clio sample -m my-vae -s 1 --interpolate-seed 7 -o way.png\n"
            "clio sample -m my-cgan --label 3 -b 16\n"
            "clio sample -m my-vae shoe.png shirt.png",
    .options = options,
    .run = run_sample,
};
