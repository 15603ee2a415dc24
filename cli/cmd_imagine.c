/* cmd_imagine.c - clio imagine: text to image. Arguments and output files are checked before the model is loaded. */
#include "bar.h"
#include "imagine.h"
#include "model_path.h"
#include "options.h"
#include "say.h"
#include "terminal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int check_output(const struct command *self, const struct settings *set)
{
    const char *path = set->result;
    if (!*path)
        return say_usage(self, "-o needs a file name");
    int code = image_name_check(self, path, set->imagine.frames > 0);
    if (code)
        return code;
    if (!strcmp(path, "-") && (set->json || set->imagine.count > 1 || set->imagine.preview_every))
        return say_usage(self, "-o - writes one image to standard output: it cannot be combined with -b, --preview or --json");
    return EXIT_DONE;
}

/* stable-diffusion.cpp's names, too. */
static const char *prediction_name(const char *name)
{
    return !name ? NULL : !strcmp(name, "eps") ? "epsilon" : !strcmp(name, "v") ? "v_prediction" : name;
}

static int check_arguments(const struct command *self, struct settings *set)
{
    clio_imagine_params *a = &set->imagine;
    if (set->files.count)
        return say_usage(self,
                         "unexpected argument %s: quote a prompt of several words (-p \"a red fox\"), and give an input image with -i",
                         set->files.items[0]);
    if (!a->prompt)
        return say_usage(self, "no prompt given: -p TEXT");
    if (!set->model)
        return say_usage(self, "no model given: -m takes a Stable Diffusion folder or a .safetensors or .ckpt checkpoint");
    a->rng = strcmp(set->rng, "cuda") ? CLIO_RNG_CPU : CLIO_RNG_CUDA;
    set->diffusion.prediction_type = prediction_name(set->diffusion.prediction_type);
    if (set->diffusion.taesd_preview_only && !set->diffusion.taesd)
        return say_usage(self, "--taesd-preview-only needs a tiny autoencoder: give one with --taesd");
    if (set->mask && !set->init_image)
        return say_usage(self, "--mask needs an input image: give one with -i");
    if (option_given(set, FIELD(imagine.strength)) && !set->init_image)
        return say_usage(self, "--strength needs an input image: give one with -i");
    if (set->mode && !strcmp(set->mode, "img2img") && !set->init_image)
        return say_usage(self, "-M img2img needs an input image: give one with -i");
    if (set->mode && !strcmp(set->mode, "txt2img") && set->init_image)
        return say_usage(self, "-M txt2img makes an image from text alone: leave out -i or -M");
    if (a->no_overlay && !set->mask)
        return say_usage(self, "--no-overlay needs a mask: give one with --mask");
    if (a->preview_every && session_are_several(set->device))
        return say_usage(self, "--preview needs one device, and -d %s names several: leave one of them out", set->device);
    if (session_ranks() > 1 && (a->preview_every || a->prompt_to || option_given(set, FIELD(imagine.seed_to))))
        return say_usage(self, "previews and interpolations are made in one process: start clio without mpirun");
    a->interpolate_seed = option_given(set, FIELD(imagine.seed_to));
    bool interpolates = a->prompt_to || a->interpolate_seed;
    a->frames = interpolates ? set->frames : 0;
    if (!interpolates && option_given(set, FIELD(frames)))
        return say_usage(self, "--frames needs an interpolation: add --interpolate TEXT or --interpolate-seed N");
    if (!interpolates && option_given(set, FIELD(delay)))
        return say_usage(self, "--delay needs an animation: add --interpolate TEXT or --interpolate-seed N");
    return check_output(self, set);
}

static bool outputs_writable(const struct settings *set)
{
    char *preview = preview_name(set->result);
    bool good = !set->imagine.preview_every || image_check(set, preview);
    free(preview);
    return good && images_check(set, set->imagine.frames ? 1 : (size_t)set->imagine.count);
}

/* FILE or FILE:STRENGTH; a file whose whole name is that comes first. The caller frees the path. */
static bool read_lora(const char *word, clio_lora *lora, char **path)
{
    struct stat info;
    const char *colon = strrchr(word, ':');
    char *end = NULL;
    lora->strength = 1;
    if (colon && stat(word, &info)) {
        lora->strength = strtof(colon + 1, &end);
        if (end == colon + 1 || *end || !isfinite(lora->strength))
            return false;
    } else {
        colon = NULL;
    }
    *path = colon ? must_print("%.*s", (int)(colon - word), word) : must_print("%s", word);
    lora->path = *path;
    return true;
}

struct work {
    struct session *s;
    char *preview;
    bool preview_failed;
    clio_image *image, *mask;
    clio_lora *loras;
    char **lora_paths;
    clio_diffusion_params diffusion;
};

static int on_preview(void *user, int image_index, int step, int steps, const clio_image *image)
{
    struct work *w = user;
    (void)image_index, (void)step, (void)steps;
    if (w->preview_failed)
        return 0;
    if (clio_image_write(w->s->ctx, image, w->preview, NULL, 0)) {
        say_error("%s", clio_error(w->s->ctx)); /* no reason to lose the image */
        w->preview_failed = true;
    }
    return 0;
}

static int read_images(struct work *w, struct settings *set)
{
    clio_status st = CLIO_OK;
    if (set->init_image)
        st = clio_image_read(w->s->ctx, set->init_image, &w->image);
    if (!st && set->mask)
        st = clio_image_read(w->s->ctx, set->mask, &w->mask);
    set->imagine.image = w->image;
    set->imagine.mask = w->mask;
    return st ? session_failed(w->s, st) : EXIT_DONE;
}

static clio_status load_diffusion(void *user, struct session_device *d)
{
    const struct work *w = user;
    return clio_diffusion_load(d->ctx, w->s->model, &w->diffusion, &d->diffusion);
}

static int load(struct work *w, struct settings *set)
{
    struct session *s = w->s;
    w->diffusion = set->diffusion;
    char *tokenizer = w->diffusion.tokenizer ? NULL : model_find_tokenizer(s->model);
    if (tokenizer)
        w->diffusion.tokenizer = tokenizer;
    w->diffusion.loras = w->loras;
    w->diffusion.lora_count = set->loras.count;
    bar_begin();
    int code = session_devices(s, (size_t)(set->imagine.frames ? set->imagine.frames : set->imagine.count));
    code = code ? code : session_load(s, load_diffusion, w);
    free(tokenizer);
    return code;
}

static clio_status make_images(const struct session *s, const clio_imagine_params *params, clio_image_list **images)
{
    clio_diffusion *diffusions[DEVICES_MAX];
    for (size_t i = 0; i < s->device_count; i++)
        diffusions[i] = s->devices[i].diffusion;
    return s->device_count > 1 || session_ranks() > 1 ? clio_imagine_parallel(diffusions, s->device_count, params, images)
                                                      : clio_imagine(s->devices[0].diffusion, params, images);
}

/* Without those that another process made. */
static size_t count_made(const clio_image_list *images)
{
    size_t made = 0;
    for (size_t i = 0; i < images->count; i++)
        made += images->list[i].image.rgb != NULL;
    return made;
}

static int imagine(struct work *w, struct settings *set)
{
    struct session *s = w->s;
    clio_image_list *images;
    double start = seconds_now();
    set->imagine.on_preview = on_preview;
    set->imagine.user = w;
    clio_status st = make_images(s, &set->imagine, &images);
    bar_clear();
    if (st)
        return session_failed(s, st);
    int code = images_save(s, images, set->result);
    if (!code && !set->quiet)
        print_err("%zu image%s in %.1f s, peak device memory %.0f MiB\n", count_made(images), count_made(images) == 1 ? "" : "s",
                  seconds_now() - start, (double)session_peak_memory(s) / 0x1p20);
    clio_image_list_free(images);
    return code;
}

static int work(const struct command *self, struct session *s, struct settings *set)
{
    struct work w = {.s = s, .preview = preview_name(set->result)};
    size_t count = set->loras.count, read = 0;
    int code = EXIT_DONE;
    w.loras = must_alloc((count + 1) * sizeof *w.loras);
    w.lora_paths = must_alloc((count + 1) * sizeof *w.lora_paths);
    for (; !code && read < count; read++)
        if (!read_lora(set->loras.items[read], &w.loras[read], &w.lora_paths[read]))
            code = say_usage(self, "--lora takes FILE or FILE:STRENGTH, but \"%s\" has no number behind the colon", set->loras.items[read]);
    if (!code)
        code = read_images(&w, set);
    if (!code)
        code = load(&w, set);
    if (!code)
        code = imagine(&w, set);
    clio_image_free(w.image);
    clio_image_free(w.mask);
    for (size_t i = 0; i < count; i++)
        free(w.lora_paths[i]);
    free(w.lora_paths);
    free(w.loras);
    free(w.preview);
    return code;
}

int imagine_run(const struct command *self, struct settings *set)
{
    struct session s = {.needs_output = set->show || set->json || !strcmp(set->result, "-")};
    if (set->show) {
        int code = session_context(&s, set) ? image_show(&s, set->show) : EXIT_FAILED;
        return session_close(&s, code);
    }
    int code = check_arguments(self, set);
    if (code)
        return code;
    if (!outputs_writable(set))
        return EXIT_FAILED;
    s.model = model_find_diffusion(set->model);
    if (!s.model || !model_fits(s.model, self->name))
        return session_close(&s, EXIT_FAILED);
    code = session_context(&s, set) ? work(self, &s, set) : EXIT_FAILED;
    return session_close(&s, code);
}
