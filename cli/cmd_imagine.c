/* cmd_imagine.c - clio imagine: images of what a text says. Options are those of stable-diffusion.cpp where it has one for the purpose.
 * What can be seen to be wrong is said before the model loads. */
#include "bar.h"
#include "imagine.h"
#include "model_path.h"
#include "options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define OUTPUT "out.png"
#define FRAMES 16
#define DELAY 100 /* ms */

static const char *output_of(const struct settings *set)
{
    return set->result ? set->result : OUTPUT;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && !strcasecmp(name + n - m, ending);
}

/* What the library would refuse to write, said before the image is generated. A pipe or a device may have any name. */
static bool is_writable_name(const struct settings *set, const char *path)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp"};
    struct stat info;
    if (!strcmp(path, "-") || (!stat(path, &info) && !S_ISREG(info.st_mode)))
        return true;
    for (size_t i = 0; i < (set->imagine.frames ? 1 : COUNT(endings)); i++)
        if (ends_in(path, endings[i]))
            return true;
    return false;
}

static int check_output(const struct command *self, const struct settings *set)
{
    const char *path = output_of(set);
    if (!*path)
        return say_usage(self, "-o needs the name of a file");
    if (!is_writable_name(set, path))
        return say_usage(self,
                         set->imagine.frames ? "an animation is written as PNG: give -o a name that ends in .png, not %s"
                                             : "-o takes a name that ends in .png, .jpg, .jpeg or .webp, not %s",
                         path);
    if (!strcmp(path, "-") && (set->json || set->imagine.count > 1 || set->imagine.preview_every))
        return say_usage(self, "-o - prints one image on standard output: use no -b, --preview or --json with it");
    return EXIT_DONE;
}

static int check_arguments(const struct command *self, struct settings *set)
{
    clio_imagine_params *a = &set->imagine;
    if (set->files.count)
        return say_usage(self,
                         "imagine takes no file, and %s was named; words of a prompt go between quotation marks behind -p, an image "
                         "behind -i",
                         set->files.items[0]);
    if (!a->prompt)
        return say_usage(self, "there is no prompt: say what shall be seen with -p TEXT");
    if (!set->model)
        return say_usage(self, "no model was named: -m takes a Stable Diffusion folder or a .safetensors file");
    if (set->rng && !strcasecmp(set->rng, "cuda"))
        a->rng = CLIO_RNG_CUDA;
    else if (set->rng && strcasecmp(set->rng, "cpu") != 0)
        return say_usage(self, "--rng is cpu or cuda, not \"%s\"", set->rng);
    if (set->mask && !set->init_image)
        return say_usage(self, "--mask says where an image is changed: give that image with -i");
    if (a->strength > 0 && !set->init_image)
        return say_usage(self, "--strength says how much of an image is changed: give that image with -i");
    a->clip_skip = set->clip_skip > 0 ? set->clip_skip - 1 : 0;
    bool goes = a->prompt_to || a->seed_to >= 0;
    if (goes && !a->frames)
        a->frames = FRAMES;
    if (!goes && a->frames)
        return say_usage(self, "--frames lead to something: add --interpolate TEXT or --interpolate-seed N");
    if (!set->delay)
        set->delay = DELAY;
    return check_output(self, set);
}

static bool check_files(const struct settings *set)
{
    const char *path = output_of(set);
    char *preview = preview_name(path);
    bool good = !set->imagine.preview_every || image_file_check(preview);
    free(preview);
    for (int i = 0; good && i < (set->imagine.frames ? 1 : set->imagine.count); i++) {
        char *name = image_file_name(path, (size_t)i);
        good = image_file_check(name);
        free(name);
    }
    return good;
}

/* FILE or FILE:STRENGTH; a file whose own name ends like that is meant before. The path is freed by the caller. */
static bool read_lora(const char *word, clio_lora *lora)
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
    lora->path = colon ? must_print("%.*s", (int)(colon - word), word) : must_print("%s", word);
    return true;
}

struct work {
    struct session *s;
    char *preview;
    bool preview_failed;
    clio_image *image, *mask;
    clio_lora *loras;
    clio_diffusion *pictures;
};

static int on_preview(void *user, int picture, int step, int steps, const clio_image *image)
{
    struct work *w = user;
    (void)picture, (void)step, (void)steps;
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

static int load(struct work *w, struct settings *set)
{
    struct session *s = w->s;
    clio_diffusion_params params = set->diffusion;
    char *tokenizer = params.tokenizer ? NULL : tokenizer_find(s->model);
    if (tokenizer)
        params.tokenizer = tokenizer;
    params.loras = w->loras;
    params.lora_count = set->loras.count;
    bar_begin();
    clio_status st = session_device(s);
    if (!st && !set->quiet)
        session_header(s);
    if (!st)
        st = clio_diffusion_load(s->ctx, s->model, &params, &w->pictures);
    free(tokenizer);
    return st ? session_failed(s, st) : EXIT_DONE;
}

static int imagine(struct work *w, struct settings *set)
{
    struct session *s = w->s;
    clio_image_list *images;
    uint64_t now, peak;
    double start = seconds_now();
    set->imagine.on_preview = on_preview;
    set->imagine.user = w;
    clio_status st = clio_imagine(w->pictures, &set->imagine, &images);
    bar_clear();
    if (st)
        return session_failed(s, st);
    int code = images_save(s, images, output_of(set));
    clio_memory(s->ctx, &now, &peak);
    if (!code && !set->quiet)
        fprintf(stderr, "%zu image%s in %.1f s, at most %.0f MiB on the device\n", images->count, images->count > 1 ? "s" : "",
                seconds_now() - start, (double)peak / 0x1p20);
    clio_image_list_free(images);
    return code;
}

static int work(const struct command *self, struct session *s, struct settings *set)
{
    struct work w = {.s = s, .preview = preview_name(output_of(set))};
    size_t count = set->loras.count, read = 0;
    int code = EXIT_DONE;
    w.loras = must_alloc((count + 1) * sizeof *w.loras);
    for (; !code && read < count; read++)
        if (!read_lora(set->loras.items[read], &w.loras[read]))
            code = say_usage(self, "--lora takes FILE or FILE:STRENGTH, and \"%s\" has no number behind the colon", set->loras.items[read]);
    if (!code)
        code = read_images(&w, set);
    if (!code)
        code = load(&w, set);
    if (!code)
        code = imagine(&w, set);
    clio_diffusion_free(w.pictures);
    clio_image_free(w.image);
    clio_image_free(w.mask);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)w.loras[i].path);
    free(w.loras);
    free(w.preview);
    return code;
}

static int run_imagine(const struct command *self, struct settings *set)
{
    struct session s = {.needs_output = set->show || set->json || !strcmp(output_of(set), "-")};
    if (set->show) {
        int code = session_context(&s, set) ? image_metadata_show(&s, set->show) : EXIT_FAILED;
        return session_close(&s, code);
    }
    int code = check_arguments(self, set);
    if (code)
        return code;
    if (!check_files(set))
        return EXIT_FAILED;
    s.model = diffusion_find(set->model);
    if (!s.model)
        return EXIT_FAILED;
    code = session_context(&s, set) ? work(self, &s, set) : EXIT_FAILED;
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_MODEL(
        "a Stable Diffusion 1 or 2 folder in diffusers'\nlayout, a .safetensors checkpoint, or owner/name of\nthe Hugging Face cache"),
    OPTION_WEIGHT_TYPE,
    {"-p --prompt", "TEXT", OPTION_TEXT, FIELD(imagine.prompt), 0, 0,
     "what shall be seen; (words:1.2) weigh more, [words]\nless, BREAK begins a new part"},
    {"-n --negative-prompt", "TEXT", OPTION_TEXT, FIELD(imagine.negative_prompt), 0, 0, "what shall not be seen"},
    {"-o --output", "FILE", OPTION_TEXT, FIELD(result), 0, 0,
     "the image file to write: .png, .jpg or .webp; default out.png;\nfurther ones are out_2.png, ...; -: print a PNG"},
    {"-W --width", "N", OPTION_INT, FIELD(imagine.width), 8, 16384,
     "pixels, a multiple of 8; default: the model's (512\nor 768), with -i the image's"},
    {"-H --height", "N", OPTION_INT, FIELD(imagine.height), 8, 16384, "the same"},
    {"--steps", "N", OPTION_INT, FIELD(imagine.steps), 1, 1000, "default 20"},
    {"--cfg-scale", "X", OPTION_NUMBER, FIELD(imagine.guidance_scale), 0, 1000,
     "how closely to follow the prompt; default 7.5; 1 or\nless: no guidance, half the time"},
    {"--guidance-rescale", "X", OPTION_NUMBER, FIELD(imagine.guidance_rescale), 0, 1, "against overexposure, mostly 0.7; default 0"},
    {"-s --seed", "N", OPTION_SIGNED, FIELD(imagine.seed), 0, 0, "default 42; -1: a new one each time"},
    {"--rng", "KIND", OPTION_TEXT, FIELD(rng), 0, 0,
     "whose seeds: cpu (diffusers' advice, default) or\ncuda (stable-diffusion.cpp, web UIs on GPUs)"},
    {"--sampling-method --sampler", "NAME", OPTION_TEXT, FIELD(imagine.sampler), 0, 0,
     "pndm, ddim, ddpm, euler, euler_a, heun, dpm++2m,\ndpm++2m_karras, dpm++2m_sde, dpm++2m_sde_karras,\nunipc or lcm; default: the "
     "model's"},
    {"--spacing", "NAME", OPTION_TEXT, FIELD(imagine.timestep_spacing), 0, 0, "timesteps: leading, linspace or trailing"},
    {"--eta", "X", OPTION_NUMBER, FIELD(imagine.eta), 0, 1, "noise of ddim; default 0"},
    {"-b --batch-count", "N", OPTION_INT, FIELD(imagine.count), 1, 1000, "images, of the seed and the ones after it"},
    {"-i --init-img", "FILE", OPTION_TEXT, FIELD(init_image), 0, 0, "begin with this PNG, JPEG or WebP"},
    {"--strength", "X", OPTION_NUMBER, FIELD(imagine.strength), 0.001, 1, "how much of it is changed; default 0.8, with --mask 1"},
    {"--mask", "FILE", OPTION_TEXT, FIELD(mask), 0, 0, "change it only where this image is bright"},
    {"--clip-skip", "N", OPTION_INT, FIELD(clip_skip), 1, 24,
     "1 (default): use the whole text encoder; 2: without\nits last layer, and so on"},
    {"--lora", "FILE[:X]", OPTION_WORDS, FIELD(loras), 0, 0, "a LoRA, and its strength (default 1); several times\nfor several"},
    {"--taesd", "DIR", OPTION_TEXT, FIELD(diffusion.taesd), 0, 0, "a small, fast autoencoder in place of the model's"},
    {"--taesd-preview-only", NULL, OPTION_ON, FIELD(diffusion.taesd_preview_only), 0, 0, "use it for previews alone"},
    {"--vae-tiling", NULL, OPTION_ON, FIELD(imagine.tiling), 0, 0, "large images piece by piece: needs less memory"},
    {"--variant", "NAME", OPTION_TEXT, FIELD(diffusion.variant), 0, 0, "which weights of a folder to prefer: fp16"},
    {"--prediction", "KIND", OPTION_TEXT, FIELD(diffusion.prediction_type), 0, 0,
     "epsilon, v_prediction or sample, where a file does\nnot say it"},
    {"--tokenizer", "DIR", OPTION_TEXT, FIELD(diffusion.tokenizer), 0, 0, "CLIP's tokenizer, for a .safetensors checkpoint"},
    {"--preview", "N", OPTION_INT, FIELD(imagine.preview_every), 1, 1000, "after every N steps write what is emerging to\nout_preview.png"},
    {"--interpolate", "TEXT", OPTION_TEXT, FIELD(imagine.prompt_to), 0, 0, "an animated PNG on the way from -p to this prompt"},
    {"--interpolate-seed", "N", OPTION_SIGNED, FIELD(imagine.seed_to), 0, 0, "the same from one seed to another"},
    {"--frames", "N", OPTION_INT, FIELD(imagine.frames), 2, 1000, "images of it; default 16"},
    {"--delay", "MS", OPTION_INT, FIELD(delay), 1, 60000, "how long each is shown; default 100"},
    {"--show", "FILE", OPTION_TEXT, FIELD(show), 0, 0, "print how an image was made, and do nothing else"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_imagine = {
    .name = "imagine",
    .synopsis = "-m MODEL -p TEXT [OPTION...]",
    .about = "Makes images of what a text says, with Stable Diffusion 1 and 2 and what was made from them (Turbo, LCM, smaller ones).\n"
             "An image says how it was made: clio imagine --show FILE.",
    .more = "clio imagine -m sd-v1-5 -p 'a red fox in the snow' -o fox.png\n"
            "clio imagine -m sd-turbo -p 'a red fox' --steps 1 --cfg-scale 1\n"
            "clio imagine -m sd-v1-5 -p 'an oil painting' -i photo.jpg --strength 0.5\n"
            "clio imagine -m model.safetensors -p 'a (red:1.3) fox' --lora style.safetensors:0.8 -b 4 -s -1\n"
            "clio imagine -m sd-v1-5 -p spring --interpolate autumn --frames 24 -o year.png\n"
            "clio imagine --show fox.png",
    .options = options,
    .run = run_imagine,
};
