/* cmd_sample.c - clio sample: images from a model that clio train wrote: samples, an interpolation between two seeds, or reconstructions.
 */
#include "bar.h"
#include "imagine.h"
#include "model_path.h"
#include "options.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANIMATION_WIDTH 256 /* pixels: smaller images are enlarged to about this width */
#define CLASS_COLUMNS_MAX 32
#define NAMES_SHOWN 12 /* of classes, in a message */

/* The number of a class: by its name, else the number itself. -1: neither. */
static int find_label(const clio_generator_info *info, const char *word)
{
    char *end;
    for (int i = 0; info->class_names && i < info->classes; i++)
        if (!strcmp(info->class_names[i], word))
            return i;
    long label = strtol(word, &end, 10);
    return end == word || *end || label < 0 || label > INT_MAX ? -1 : (int)label;
}

/* "disc, square"; of many classes the first and the last ones: "0, 1, 2 ... 98, 99". The caller frees it. */
static char *class_names(const clio_generator_info *info)
{
    char *text = must_print("%s", info->class_names[0]);
    for (int i = 1; i < info->classes; i++) {
        bool gap = info->classes > NAMES_SHOWN && i == NAMES_SHOWN - 2;
        i = gap ? info->classes - 2 : i;
        char *longer = must_print("%s%s%.60s", text, gap ? " ... " : ", ", info->class_names[i]);
        free(text);
        text = longer;
    }
    return text;
}

/* The labels of --label, repeated for all images: *labels, NULL if none were given. The caller frees them. Returns the exit code. */
static int read_labels(const struct command *self, const struct settings *set, const clio_generator_info *info, int count, int **labels)
{
    *labels = set->labels.count ? must_alloc((size_t)count * sizeof **labels) : NULL;
    for (size_t i = 0; i < set->labels.count; i++) {
        const char *word = set->labels.items[i];
        int label = find_label(info, word);
        if (label < 0 && info->class_names) {
            char *names = class_names(info);
            say_usage(self, "--label must be one of the %d classes of the model (%s), or its number, not \"%s\"", info->classes, names,
                      word);
            free(names);
            return EXIT_USAGE;
        }
        if (label < 0)
            return say_usage(self, "--label must be the number of a class, such as 3, not \"%s\"", word);
        for (size_t k = i; k < (size_t)count; k += set->labels.count)
            (*labels)[k] = label;
    }
    return EXIT_DONE;
}

static clio_status reconstruct(struct session *s, clio_generator *g, const struct words *files, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_image **read = must_alloc(files->count * sizeof(clio_image *)), *given = must_alloc(files->count * sizeof *given);
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

/* The image with every pixel repeated `factor` times in both directions. The caller frees *rgb, its pixels. */
static clio_image enlarged(const clio_image *from, int factor, unsigned char **rgb)
{
    int width = from->width * factor, height = from->height * factor;
    *rgb = must_alloc(3 * (size_t)width * (size_t)height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(*rgb + 3 * ((size_t)y * (size_t)width + (size_t)x),
                   from->rgb + 3 * ((size_t)(y / factor) * (size_t)from->width + (size_t)(x / factor)), 3);
    return (clio_image){width, height, *rgb};
}

/* Small images are enlarged, as in an image grid. */
static clio_status animate(struct session *s, const struct settings *set, const clio_image_list *images)
{
    clio_imagine_result *list = must_alloc(images->count * sizeof *list);
    unsigned char **rgb = must_alloc(images->count * sizeof *rgb);
    int width = images->list[0].image.width, factor = width < ANIMATION_WIDTH ? ANIMATION_WIDTH / width : 1;
    for (size_t i = 0; i < images->count; i++) {
        list[i] = images->list[i];
        list[i].image = enlarged(&images->list[i].image, factor, &rgb[i]);
    }
    clio_status st = clio_image_write_apng(s->ctx, &(clio_image_list){list, images->count}, set->result, set->delay, NULL, 0);
    for (size_t i = 0; i < images->count; i++)
        free(rgb[i]);
    free(rgb);
    free(list);
    return st;
}

/* Images per row of the grid: one per class, or pairs of input and reconstruction. 0: about as many as rows. */
static int columns_of(const struct settings *set, const clio_generator *g, const clio_image_list *images)
{
    int columns = clio_generator_get_info(g).classes;
    if (set->columns)
        return set->columns;
    if (set->files.count)
        for (columns = 2; (size_t)columns * (size_t)columns < images->count;)
            columns += 2;
    return set->labels.count || columns == 1 || columns > CLASS_COLUMNS_MAX ? 0 : columns;
}

static clio_status save(struct session *s, const struct settings *set, const clio_generator *g, const clio_image_list *images)
{
    clio_status st;
    clio_image *grid = NULL;
    if (set->imagine.interpolate_seed)
        return animate(s, set, images);
    if (set->separate) {
        st = CLIO_OK;
        for (size_t i = 0; !st && i < images->count; i++) {
            char *name = image_name(set->result, i);
            st = clio_image_write(s->ctx, &images->list[i].image, name, NULL, 0);
            free(name);
        }
        return st;
    }
    st = clio_image_grid(s->ctx, images, columns_of(set, g, images), &grid);
    if (!st)
        st = clio_image_write(s->ctx, grid, set->result, NULL, 0);
    clio_image_free(grid);
    return st;
}

/* Images of the model that was loaded, into set->result. */
static int draw(const struct command *self, struct session *s, struct settings *set, clio_generator *g)
{
    clio_status st;
    clio_image_list *images = NULL;
    clio_generator_info info = clio_generator_get_info(g);
    uint64_t seed = set->imagine.seed;
    int *labels, code = read_labels(self, set, &info, set->count, &labels);
    if (code) {
        free(labels);
        return code;
    }
    if (set->files.count)
        st = reconstruct(s, g, &set->files, &images);
    else if (set->imagine.interpolate_seed)
        st = clio_generator_interpolate(g, seed, set->imagine.seed_to, set->frames, labels ? labels[0] : 0, &images);
    else
        st = clio_generator_sample(g, set->count, seed, labels, &images);
    if (!st)
        st = save(s, set, g, images);
    bar_clear();
    if (st)
        code = session_failed(s, st);
    else if (!set->quiet)
        print_err("%s: %zu image%s\n", set->result, images->count, images->count == 1 ? "" : "s");
    clio_image_list_free(images);
    free(labels);
    return code;
}

static int sample(const struct command *self, struct session *s, struct settings *set)
{
    clio_generator *g = NULL;
    bar_begin();
    clio_status st = clio_device_open(s->ctx, set->device);
    if (!st)
        st = clio_generator_load(s->ctx, s->model, &g);
    if (!st && !set->quiet)
        session_header(s);
    int code = st ? session_failed(s, st) : draw(self, s, set, g);
    bar_clear();
    clio_generator_free(g);
    return code;
}

/* Options that the kind of output makes no use of. */
static int check_use(const struct command *self, const struct settings *set)
{
    static const size_t interpolation[] = {FIELD(count), FIELD(columns), FIELD(separate)},
                        images[] = {FIELD(count), FIELD(imagine.seed), FIELD(labels)}, files[] = {FIELD(columns)},
                        animation[] = {FIELD(frames), FIELD(delay)};
    int code = EXIT_DONE;
    if (set->imagine.interpolate_seed && set->files.count)
        return say_usage(self, "--interpolate-seed cannot be combined with images to reconstruct");
    if (set->imagine.interpolate_seed)
        return options_refuse(self, set, interpolation, COUNT(interpolation), "on an animation (--interpolate-seed)");
    code = options_refuse(self, set, animation, COUNT(animation), "without an animation (--interpolate-seed)");
    if (!code && set->files.count)
        code = options_refuse(self, set, images, COUNT(images), "on images that are reconstructed");
    if (!code && set->separate)
        code = options_refuse(self, set, files, COUNT(files), "on one file per image (--separate)");
    return code;
}

static int run_sample(const struct command *self, struct settings *set)
{
    struct session s = {.model = NULL};
    if (!set->model)
        return say_usage(self, "no model given: -m takes a folder that clio train wrote");
    set->imagine.interpolate_seed = option_given(set, FIELD(imagine.seed_to));
    if (check_use(self, set))
        return EXIT_USAGE;
    if (image_name_check(self, set->result, set->imagine.interpolate_seed))
        return EXIT_USAGE;
    size_t written = set->files.count ? 2 * set->files.count : (size_t)set->count; /* each image and its reconstruction */
    if (!images_check(set, set->separate && !set->imagine.interpolate_seed ? written : 1))
        return EXIT_FAILED;
    if (!model_fits(set->model, self->name))
        return EXIT_FAILED;
    s.model = must_print("%s", set->model);
    int code = session_context(&s, set) ? sample(self, &s, set) : EXIT_FAILED;
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {.names = "-m --model",
     .argument = "DIR",
     .type = OPTION_MODEL,
     .field = FIELD(model),
     .group = "Model",
     .help = "a folder that clio train wrote, or one of its checkpoints (required)"},
    {.names = "-b --batch-count",
     .argument = "N",
     .type = OPTION_INTEGER,
     .field = FIELD(count),
     .low = 1,
     .high = 65536,
     .group = "Sampling",
     .help = "number of images"},
    {.names = "-s --seed", .argument = "N", .type = OPTION_SEED, .field = FIELD(imagine.seed), .help = "random seed of the first image"},
    {.names = "--label",
     .argument = "CLASS",
     .type = OPTION_TEXT,
     .field = FIELD(labels),
     .repeats = true,
     .initial = "all in turn",
     .help = "class, by its name or its number from 0; for a model trained on captions the number of one of its prompts"},
    {.names = "-o --output",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(result),
     .group = "Output",
     .help = "image to write (.png, .jpg, .webp): an image grid"},
    {.names = "--columns",
     .argument = "N",
     .type = OPTION_INTEGER,
     .field = FIELD(columns),
     .low = 1,
     .high = 1000,
     .initial = "the number of classes, else a square",
     .help = "images per row of the grid"},
    {.names = "--separate", .type = OPTION_SWITCH, .field = FIELD(separate), .help = "one file per image: out.png, out_2.png and so on"},
    {.names = "--interpolate-seed",
     .argument = "N",
     .type = OPTION_SEED,
     .field = FIELD(imagine.seed_to),
     .initial = "",
     .group = "Animation",
     .help = "animated PNG that interpolates from the seed to this one in latent space"},
    OPTIONS_ANIMATION,
    OPTIONS_END,
};

static const struct example examples[] = {
    {"clio sample -m my-vae -o grid.png", "a grid of 64 samples"},
    {"clio sample -m my-vae -s 1 --interpolate-seed 7 -o interpolation.png", "an animated interpolation between two seeds"},
    {"clio sample -m my-cgan --label 3 -b 16", "16 samples of class 3"},
    {"clio sample -m my-vae shoe.png shirt.png", "reconstruct two images"},
    {NULL, NULL},
};

static void defaults(struct settings *set)
{
    set->result = "out.png";
    set->count = 64;
    set->frames = 24;
    set->delay = 80;
}

const struct command command_sample = {
    .name = "sample",
    .summary = "generate images with a model that clio train wrote",
    .synopsis = "-m DIR [OPTION...] [IMAGE...]",
    .description =
        "Generates images with a model that clio train wrote, and writes them as one image grid. IMAGE arguments are encoded and "
        "reconstructed instead, and shown beside their reconstructions (models with an encoder).",
    .options = options,
    .examples = examples,
    .operands = OPERANDS_IMAGES,
    .defaults = defaults,
    .run = run_sample,
};
