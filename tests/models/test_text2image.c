/* test_text2image.c - the pipeline against diffusers, with miniature folders of Stable Diffusion 1 and 2: latents of every scheduler after
 * 4 and 9 steps within 5e-3 of the largest value, images within 2/255 for 99.9 % of values; the same images with little memory, every
 * storage type, batches and interpolation; invalid parameters.
 *
 * tests/golden/images/pipelines.safetensors was made with diffusers 0.42 (float32, CPU) from sd-v1-tiny, prompt "a red fox", 96 x 64,
 * guidance 4, schedulers by from_config; latents, except for "taesd":
 *
 *     four.*    StableDiffusionInpaintPipeline with clip_sample off, as other pipelines set it; with make_image_and_mask()
 *     nine.*    the same with a UNet of nine input channels, whose conv_in is in the file
 *     told.*    StableDiffusionPipeline, a UNet with time_cond_proj_dim 16, whose cond_proj is in the file; lcm, guidance 8
 *     rescaled  ddim, guidance 8 with guidance_rescale 0.7
 *     skipped   ddim, guidance 1 with clip_skip 1; diffusers does not apply it to the negative prompt; clio does, as web UIs do
 *     taesd     StableDiffusionImg2ImgPipeline with AutoencoderTiny, strength 0.6: u8 [1, 64, 96, 3] */
#include "../support/test_own.h"
#include "../support/test_tensors.h"
#include "../../models/loaders/model_folder.h"
#include "../../models/pipelines/text2image.h"

#include <math.h>

static const char *const folders[] = {"sd-v1-tiny", "sd-v2-tiny"};

static clio_diffusion *load(const char *model, const clio_diffusion_params *params)
{
    clio_diffusion *p;
    assert_ok(clio_diffusion_load(test_context(), test_golden_in(model, ""), params, &p));
    return p;
}

static clio_imagine_params small_params(void)
{
    clio_imagine_params a = clio_imagine_defaults();
    a.prompt = "a red fox in the snow";
    a.negative_prompt = "blurry";
    a.guidance_scale = 4;
    a.width = 96;
    a.height = 64;
    a.steps = 4;
    a.sampler = "ddim";
    return a;
}

/* At most 0.1 % of values differ by more than 2/255 from golden images f32 [count, height, width, 3], 0 to 1. */
static void compare_images(const clio_image_list *images, const float *want, const char *what)
{
    size_t wrong = 0, all = 0;
    for (size_t i = 0; i < images->count; i++) {
        const clio_image *image = &images->list[i].image;
        size_t n = 3 * (size_t)image->width * (size_t)image->height;
        for (size_t k = 0; k < n; k++)
            wrong += fabs((double)image->rgb[k] / 255 - (double)want[all + k]) > 2.0 / 255 + 1e-6;
        all += n;
    }
    fprintf(stderr, "# %s: %zu of %zu values differ\n", what, wrong, all);
    if ((double)wrong > 0.001 * (double)all)
        fail_msg("%s: %zu of %zu values differ by more than 2/255", what, wrong, all);
}

/* ---- golden runs ---- */

static void compare_latents(clio_diffusion *p, const struct weights *golden, const char *key, const char *method, const char *spacing,
                            int steps, double *worst)
{
    char name[96];
    clio_imagine_params a = small_params();
    a.sampler = method;
    a.timestep_spacing = spacing;
    a.steps = steps;
    struct imagine j = {.p = p, .params = &a};
    assert_ok(imagine_to_latents(&j));
    snprintf(name, sizeof name, "pipeline.%s.%d.latents", key, steps);
    assert_int_equal(j.n, 4 * 16 * 24);
    float *want = test_floats(golden, name, j.n);
    double greatest = 0, error = 0;
    for (size_t i = 0; i < j.n; i++) {
        greatest = fmax(greatest, fabs((double)want[i]));
        error = fmax(error, isfinite(j.latents[i]) ? fabs((double)j.latents[i] - (double)want[i]) : INFINITY);
    }
    fprintf(stderr, "# %s: error %.2g\n", name, error / greatest);
    *worst = fmax(*worst, error / greatest);
    free(want);
    imagine_close(&j);
}

static void every_scheduler(const char *model)
{
    static const struct {
        const char *key, *method, *spacing;
    } runs[] = {{"pndm", NULL, NULL},
                {"ddim", "ddim", NULL},
                {"ddpm", "ddpm", NULL},
                {"lcm", "lcm", NULL},
                {"euler", "euler", "linspace"},
                {"euler_a", "euler_a", "linspace"},
                {"heun", "heun", "linspace"},
                {"dpmpp_2m", "dpm++2m", "linspace"},
                {"dpmpp_2m_karras", "dpm++2m_karras", "linspace"},
                {"dpmpp_2m_sde", "dpm++2m_sde", "linspace"},
                {"unipc", "unipc", "linspace"}};
    if (!test_golden_in(model, ""))
        skip();
    struct weights golden = {0};
    clio_diffusion *p = load(model, &(clio_diffusion_params){.keep = 1});
    double worst = 0;
    assert_ok(weights_open(test_context(), &golden, test_golden_in(model, "golden.safetensors"), NULL));
    for (size_t i = 0; i < COUNT(runs); i++) {
        if (test_small() && i % 5 != 0) /* pndm, euler_a, unipc */
            continue;
        compare_latents(p, &golden, runs[i].key, runs[i].method, runs[i].spacing, 4, &worst);
        if (!test_small())
            compare_latents(p, &golden, runs[i].key, runs[i].method, runs[i].spacing, 9, &worst);
    }
    weights_close(&golden);
    clio_diffusion_free(p);
    if (!(worst <= 5e-3))
        fail_msg("%s: latents differ by %g", model, worst);
}

static void schedulers_of_version_1(void **state)
{
    (void)state;
    every_scheduler(folders[0]);
}

static void schedulers_of_version_2(void **state)
{
    (void)state;
    every_scheduler(folders[1]);
}

static void images_match_diffusers(void **state)
{
    (void)state;
    for (size_t f = 0; f < (test_small() ? 1 : COUNT(folders)); f++) {
        if (!test_golden_in(folders[f], ""))
            skip();
        struct weights golden = {0};
        clio_diffusion *p = load(folders[f], NULL);
        clio_imagine_params a = small_params();
        clio_image_list *images;
        a.negative_prompt = NULL;
        a.guidance_scale = 7.5;
        a.width = a.height = 64;
        a.steps = 5;
        a.seed = 100;
        assert_ok(weights_open(test_context(), &golden, test_golden_in(folders[f], "golden.safetensors"), NULL));
        for (a.count = 1; a.count <= (test_small() ? 1 : 2); a.count++) {
            char name[64];
            snprintf(name, sizeof name, "pipeline.ddim.5.image.batch%d", a.count);
            float *want = test_floats(&golden, name, (size_t)a.count * 64 * 64 * 3);
            assert_ok(clio_imagine(p, &a, &images));
            assert_int_equal(images->count, a.count);
            compare_images(images, want, name);
            free(want);
            clio_image_list_free(images);
        }
        weights_close(&golden);
        clio_diffusion_free(p);
    }
}

/* The golden input image has more than 8 bits. */
static void image_to_image_matches_diffusers(void **state)
{
    (void)state;
    for (size_t f = 0; f < (test_small() ? 1 : COUNT(folders)); f++) {
        if (!test_golden_in(folders[f], ""))
            skip();
        struct weights golden = {0};
        clio_diffusion *p = load(folders[f], NULL);
        clio_imagine_params a = small_params();
        size_t n = 3 * 64 * 96;
        static unsigned char rgb[3 * 64 * 96];
        clio_image begin = {96, 64, rgb};
        assert_ok(weights_open(test_context(), &golden, test_golden_in(folders[f], "golden.safetensors"), NULL));
        float *exact = test_floats(&golden, "vae.image", n), *want = test_floats(&golden, "img2img.ddim.10.strength0.6", n);
        a.prompt = "a red fox";
        a.negative_prompt = NULL;
        a.width = a.height = 0; /* those of the image */
        a.steps = 10;
        a.seed = 5;
        a.strength = 0.6;
        a.image = &begin;
        struct imagine j = {.p = p, .params = &a, .image_floats = exact};
        clio_imagine_result result = {.image = {96, 64, NULL}};
        unsigned char *made;
        assert_ok(imagine_to_latents(&j));
        assert_true(j.width == 96 && j.height == 64);
        assert_ok(imagine_decode(&j, 0, &made));
        result.image.rgb = made;
        compare_images(&(clio_image_list){&result, 1}, want, folders[f]);
        imagine_close(&j);
        free(made);
        free(exact);
        free(want);
        weights_close(&golden);
        clio_diffusion_free(p);
    }
}

/* ---- inpainting, guidance embedding (LCM), guidance_rescale, clip_skip, TAESD ---- */

static unsigned char drawn[64 * 96 * 3], covered[64 * 96 * 3];
static clio_image picture_to_change = {96, 64, drawn}, where_to_paint = {96, 64, covered};

static void make_image_and_mask(void)
{
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 96; x++) {
            unsigned char *to = drawn + (y * 96 + x) * 3;
            to[0] = (unsigned char)(x * 5 + y * 3);
            to[1] = (unsigned char)(x * y);
            to[2] = (unsigned char)(255 - x * 2);
            memset(covered + (y * 96 + x) * 3, (x - 48) * (x - 48) + (y - 32) * (y - 32) < 600 ? 255 : 0, 3);
        }
}

static void link_part(const char *name)
{
    if (symlink(test_golden_in(folders[0], name), in_folder(name)))
        fail_msg("%s cannot be linked", name);
}

/* Make in `folder`: sd-v1-tiny with a changed field of the UNet's configuration, and the tensors `prefix`* of the file added or replaced.
 */
static void make_variant(const struct weights *file, const char *prefix, const char *field, int value)
{
    static const char *const parts[] = {"model_index.json", "scheduler", "text_encoder", "tokenizer", "vae", "taesd"};
    struct json_file config = {0};
    struct weights unet = {0};
    struct made made;
    for (size_t i = 0; i < COUNT(parts); i++)
        link_part(parts[i]);
    assert_int_equal(mkdir(in_folder("unet"), 0700), 0);
    OK(json_open(ctx, &config, test_golden_in(folders[0], "unet"), "config.json"));
    json_object_set_new(config.root, field, json_integer(value));
    assert_int_equal(json_dump_file(config.root, in_folder("unet/config.json"), 0), 0);
    json_close(&config);
    OK(weights_open(ctx, &unet, test_golden_in(folders[0], "unet"), "diffusion_pytorch_model"));
    made_start(&made);
    for (size_t i = 0; i < file->count; i++)
        if (!strncmp(file->list[i].name, prefix, strlen(prefix)) && strstr(file->list[i].name, ".weight"))
            made_copy(&made, file->list[i].name + strlen(prefix), &file->list[i]);
    for (size_t i = 0; i < unet.count; i++)
        if (!json_object_get(made.header, unet.list[i].name))
            made_copy(&made, unet.list[i].name, &unet.list[i]);
    made_write(&made, in_folder("unet/diffusion_pytorch_model.safetensors"));
    made_free(&made);
    weights_close(&unet);
}

static void expect_latents(clio_diffusion *p, const clio_imagine_params *a, const struct weights *file, const char *name)
{
    struct imagine j = {.p = p, .params = a};
    assert_ok(imagine_to_latents(&j));
    float *want = test_floats(file, name, j.n);
    fprintf(stderr, "# %s\n", name);
    assert_close(j.latents, want, j.n, 5e-3);
    free(want);
    imagine_close(&j);
}

static const char *pipelines(void)
{
    return test_golden("images/pipelines.safetensors");
}

static clio_imagine_params fox(uint64_t seed, const char *method, int steps)
{
    clio_imagine_params a = small_params();
    a.prompt = "a red fox";
    a.negative_prompt = NULL;
    a.seed = seed;
    a.sampler = method;
    a.steps = steps;
    return a;
}

static void inpaint(clio_diffusion *p, const struct weights *file, const char *name, const char *method, int steps, double strength,
                    uint64_t seed)
{
    clio_imagine_params a = fox(seed, method, steps);
    a.width = a.height = 0;
    a.image = &picture_to_change;
    a.mask = &where_to_paint;
    a.strength = strength;
    expect_latents(p, &a, file, name);
}

static void inpainting_matches_diffusers(void **state)
{
    (void)state;
    struct weights file = {0};
    if (test_small() || !test_golden_in(folders[0], ""))
        skip();
    make_image_and_mask();
    OK(weights_open(ctx, &file, pipelines(), NULL));
    clio_diffusion *p = load(folders[0], NULL);
    inpaint(p, &file, "four.ddim.0.7", "ddim", 6, 0.7, 3);
    inpaint(p, &file, "four.euler_a.1", "euler_a", 4, 0, 4);
    inpaint(p, &file, "four.ddpm.0.6", "ddpm", 5, 0.6, 5);
    clio_diffusion_free(p);
    make_variant(&file, "nine.", "in_channels", 9);
    assert_ok(clio_diffusion_load(test_context(), folder, NULL, &p));
    inpaint(p, &file, "nine.ddim.1", "ddim", 5, 1, 6);
    inpaint(p, &file, "nine.euler_a.0.7", "euler_a", 6, 0.7, 7);
    clio_imagine_params a = fox(1, NULL, 4);
    clio_image_list *images;
    assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_ARGUMENT, "is a model for inpainting");
    assert_null(images);
    clio_diffusion_free(p);
    weights_close(&file);
}

static void guidance_embedding(void **state)
{
    (void)state;
    struct weights file = {0};
    clio_diffusion *p;
    if (test_small() || !test_golden_in(folders[0], ""))
        skip();
    OK(weights_open(ctx, &file, pipelines(), NULL));
    make_variant(&file, "told.", "time_cond_proj_dim", 16);
    assert_ok(clio_diffusion_load(test_context(), folder, NULL, &p));
    clio_imagine_params a = fox(8, "lcm", 4);
    a.guidance_scale = 8;
    expect_latents(p, &a, &file, "told.lcm");
    clio_diffusion_free(p);
    weights_close(&file);
}

static void other_options_match_diffusers(void **state)
{
    (void)state;
    struct weights file = {0};
    clio_image_list *images;
    if (test_small() || !test_golden_in(folders[0], ""))
        skip();
    make_image_and_mask();
    OK(weights_open(ctx, &file, pipelines(), NULL));
    clio_diffusion *p = load(folders[0], NULL);
    clio_imagine_params a = fox(9, "ddim", 4);
    a.guidance_scale = 8;
    a.guidance_rescale = 0.7;
    expect_latents(p, &a, &file, "rescaled");
    a = fox(10, "ddim", 4);
    a.guidance_scale = 1;
    a.clip_skip = 2;
    expect_latents(p, &a, &file, "skipped");
    clio_diffusion_free(p);

    char taesd[1100];
    snprintf(taesd, sizeof taesd, "%s", test_golden_in(folders[0], "taesd"));
    p = load(folders[0], &(clio_diffusion_params){.taesd = taesd});
    a = fox(11, "ddim", 6);
    a.width = a.height = 0;
    a.image = &picture_to_change;
    a.strength = 0.6;
    assert_ok(clio_imagine(p, &a, &images));
    const struct weight *w = weights_find(&file, "taesd");
    float *want = malloc(sizeof *want * w->count);
    OK(weight_floats(ctx, w, 0, w->count, want));
    for (size_t i = 0; i < w->count; i++)
        want[i] /= 255;
    compare_images(images, want, "taesd");
    free(want);
    clio_image_list_free(images);
    clio_diffusion_free(p);
    weights_close(&file);
}

/* ---- the same image with other settings ---- */

static double difference(const clio_imagine_result *a, const clio_imagine_result *b)
{
    double most = 0;
    assert_true(a->image.width == b->image.width && a->image.height == b->image.height);
    for (size_t i = 0; i < 3 * (size_t)a->image.width * (size_t)a->image.height; i++)
        most = fmax(most, abs(a->image.rgb[i] - b->image.rgb[i]));
    return most;
}

/* Tiled decoding needs less memory than sampling. */
static clio_status imagine_within(uint64_t limit, int tiling, clio_image_list **images, uint64_t *peak, char sentence[1024])
{
    clio_context *own = clio_create();
    clio_diffusion *p = NULL;
    uint64_t now;
    clio_imagine_params a = small_params();
    a.width = a.height = 256;
    a.steps = 1;
    a.tiling = tiling;
    *images = NULL;
    clio_set_memory_limit(own, limit);
    clio_status st = clio_device_open(own, NULL);
    if (!st)
        st = clio_diffusion_load(own, test_golden_in(folders[0], ""), &(clio_diffusion_params){.keep = 1}, &p);
    if (!st)
        st = clio_imagine(p, &a, images);
    clio_memory(own, &now, peak);
    snprintf(sentence, 1024, "%s", st ? clio_error(own) : "");
    clio_diffusion_free(p);
    clio_destroy(own);
    return st;
}

static void low_memory(void **state)
{
    (void)state;
    clio_image_list *want, *got;
    uint64_t most, peak;
    char sentence[1024];
    int fits = 0;
    if (test_small() || !test_golden_in(folders[0], ""))
        skip();
    assert_int_equal(imagine_within(0, 1, &want, &most, sentence), CLIO_OK);
    for (int part = 15; part >= 1; part--) {
        uint64_t limit = most / 16 * (uint64_t)part;
        clio_status st = imagine_within(limit, 1, &got, &peak, sentence);
        assert_true(peak <= limit);
        if (st) {
            fprintf(stderr, "# %.1f of %.1f MiB: %s\n", (double)limit / 0x1p20, (double)most / 0x1p20, sentence);
            assert_int_equal(st, CLIO_ERROR_MEMORY);
            assert_non_null(strstr(sentence, "MiB"));
            assert_non_null(strstr(sentence, "use "));
            continue;
        }
        fits++;
        assert_true(difference(&want->list[0], &got->list[0]) <= 1);
        clio_image_list_free(got);
    }
    fprintf(stderr, "# %d of 15 fit\n", fits);
    assert_true(fits >= 3 && fits < 15);
    clio_image_list_free(want);
    assert_int_equal(imagine_within(most, 0, &got, &peak, sentence), CLIO_ERROR_MEMORY);
    assert_non_null(strstr(sentence, "use tiling or a smaller width and height"));
}

static void batches_and_interpolation(void **state)
{
    (void)state;
    clio_image_list *one, *three, *frames;
    if (test_small() || !test_golden_in(folders[0], ""))
        skip();
    clio_diffusion *p = load(folders[0], &(clio_diffusion_params){.keep = 1});
    clio_imagine_params a = small_params();
    a.sampler = "euler_a";
    a.count = 3;
    assert_ok(clio_imagine(p, &a, &three));
    assert_int_equal(three->count, 3);
    a.count = 1;
    a.seed = 44;
    assert_ok(clio_imagine(p, &a, &one));
    assert_int_equal(three->list[2].seed, 44);
    assert_true(difference(&three->list[2], &one->list[0]) == 0);
    assert_true(difference(&three->list[1], &one->list[0]) > 20);
    assert_non_null(strstr(one->list[0].parameters, "a red fox in the snow\nNegative prompt: blurry\nSteps: 4, Sampler: Euler a, "
                                                    "CFG scale: 4, Seed: 44, Size: 96x64, Model: sd-v1-tiny"));
    clio_image_list_free(one);

    a.seed = 42; /* interpolation between seeds: the ends are the images of these seeds, if the steps draw no noise */
    a.sampler = "ddim";
    a.interpolate_seed = 1;
    a.seed_to = 44;
    a.frames = 3;
    assert_ok(clio_imagine(p, &a, &frames));
    a.frames = 0;
    a.interpolate_seed = 0;
    a.seed = 44;
    assert_ok(clio_imagine(p, &a, &one));
    assert_true(difference(&frames->list[2], &one->list[0]) <= 1);
    assert_true(difference(&frames->list[0], &one->list[0]) > 20);
    clio_image_list_free(one);
    clio_image_list_free(frames);

    a.prompt_to = "a blue whale under water, in the style of an oil painting";
    a.frames = 3;
    assert_ok(clio_imagine(p, &a, &frames));
    a.frames = 0;
    a.prompt = a.prompt_to;
    a.prompt_to = NULL;
    assert_ok(clio_imagine(p, &a, &one));
    assert_true(difference(&frames->list[2], &one->list[0]) <= 1);
    assert_true(difference(&frames->list[1], &one->list[0]) > 1);
    clio_image_list_free(one);
    clio_image_list_free(frames);
    clio_image_list_free(three);
    clio_diffusion_free(p);
}

/* Each part in another type: the weights of sd-v2-tiny are exact in fp16. */
static void mixed_types(void **state)
{
    (void)state;
    clio_image_list *want, *got;
    clio_diffusion *p;
    if (test_small() || !test_golden_in(folders[1], ""))
        skip();
    static const char *const copied[] = {"model_index.json", "scheduler", "unet", "tokenizer", "vae"};
    struct weights text = {0};
    struct made made;
    for (size_t i = 0; i < COUNT(copied); i++)
        assert_int_equal(symlink(test_golden_in(folders[1], copied[i]), in_folder(copied[i])), 0);
    assert_int_equal(mkdir(in_folder("text_encoder"), 0700), 0);
    assert_int_equal(symlink(test_golden_in(folders[1], "text_encoder/config.json"), in_folder("text_encoder/config.json")), 0);
    OK(folder_weights(ctx, test_golden_in(folders[1], "text_encoder"), "model", NULL, &text));
    made_start(&made);
    for (size_t i = 0; i < text.count; i++) {
        const struct weight *w = &text.list[i];
        float *floats = malloc(sizeof *floats * w->count);
        OK(weight_floats(ctx, w, 0, w->count, floats));
        if (i % 2)
            made_floats(&made, w->name, w->ndim, w->dim, floats);
        else
            made_copy(&made, w->name, w);
        free(floats);
    }
    made_write(&made, in_folder("text_encoder/model.safetensors"));
    made_free(&made);
    weights_close(&text);
    clio_imagine_params a = small_params();
    p = load(folders[1], NULL);
    assert_ok(clio_imagine(p, &a, &want));
    clio_diffusion_free(p);
    assert_ok(clio_diffusion_load(test_context(), folder, NULL, &p));
    assert_ok(clio_imagine(p, &a, &got));
    clio_diffusion_free(p);
    assert_true(difference(&want->list[0], &got->list[0]) == 0);
    clio_image_list_free(want);
    clio_image_list_free(got);
}

/* ---- callbacks ---- */

struct seen {
    int calls, last_step, steps, stop_at;
    unsigned sum;
};

static int on_preview(void *user, int index, int step, int steps, const clio_image *image)
{
    struct seen *s = user;
    assert_true(index == 0 && image->width == 96 && image->height == 64);
    s->calls++;
    s->last_step = step;
    s->steps = steps;
    for (size_t i = 0; i < 96 * 64 * 3; i++)
        s->sum = s->sum * 31 + image->rgb[i];
    return s->calls == s->stop_at;
}

static int on_progress(void *user, const char *what, double done, double total)
{
    struct seen *s = user;
    if (strcmp(what, "sampling") != 0)
        return 0;
    s->calls++;
    s->last_step = (int)done;
    s->steps = (int)total;
    return s->calls == s->stop_at;
}

static void previews_and_progress(void **state)
{
    (void)state;
    clio_image_list *plain, *images;
    char taesd[1100];
    if (test_small() || !test_golden_in(folders[0], ""))
        skip();
    clio_diffusion *p = load(folders[0], NULL);
    clio_imagine_params a = small_params();
    struct seen linear = {0}, tiny = {0}, steps = {0};
    assert_ok(clio_imagine(p, &a, &plain));
    a.steps = 5;
    a.sampler = NULL; /* pndm: 6 evaluations */
    a.preview_every = 2;
    a.on_preview = on_preview;
    a.user = &linear;
    clio_set_progress(test_context(), on_progress, &steps);
    assert_ok(clio_imagine(p, &a, &images));
    assert_true(linear.calls == 2 && linear.last_step == 4 && linear.steps == 6);
    assert_true(steps.calls == 7 && steps.last_step == 6 && steps.steps == 6);
    clio_image_list_free(images);
    linear = (struct seen){.stop_at = 1};
    assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_CANCELLED, "cancelled while sampling");
    assert_null(images);
    steps = (struct seen){.stop_at = 3};
    a.preview_every = 0;
    assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_CANCELLED, "cancelled while sampling");
    assert_int_equal(steps.last_step, 2);
    clio_set_progress(test_context(), NULL, NULL);
    clio_diffusion_free(p);

    snprintf(taesd, sizeof taesd, "%s", test_golden_in(folders[0], "taesd"));
    p = load(folders[0], &(clio_diffusion_params){.taesd = taesd, .taesd_preview_only = 1});
    a = small_params();
    a.preview_every = 3;
    a.on_preview = on_preview;
    a.user = &tiny;
    assert_ok(clio_imagine(p, &a, &images));
    assert_true(tiny.calls == 1 && tiny.last_step == 3 && tiny.sum != linear.sum);
    assert_true(difference(&plain->list[0], &images->list[0]) == 0); /* previews do not change the image */
    clio_image_list_free(images);
    clio_image_list_free(plain);
    clio_diffusion_free(p);
}

/* ---- errors ---- */

static void invalid_parameters(void **state)
{
    (void)state;
    if (!test_golden_in(folders[0], ""))
        skip();
    make_image_and_mask();
    clio_diffusion *p = load(folders[0], NULL);
    clio_image_list *images;
    clio_image smaller = {64, 64, covered}, tiny = {4, 4, drawn};
    clio_imagine_params good = small_params(), a;
    good.steps = 1;
#define REFUSES(change, code, part)                                                                                                        \
    do {                                                                                                                                   \
        a = good;                                                                                                                          \
        change;                                                                                                                            \
        assert_fails(clio_imagine(p, &a, &images), code, part);                                                                            \
        assert_null(images);                                                                                                               \
    } while (0)
    REFUSES(a.prompt = NULL, CLIO_ERROR_ARGUMENT, "clio_imagine: params.prompt is NULL");
    REFUSES(a.prompt = "a \xff fox", CLIO_ERROR_ARGUMENT, "UTF-8");
    REFUSES(a.negative_prompt = "\xc3", CLIO_ERROR_ARGUMENT, "UTF-8");
    REFUSES(a.width = 100, CLIO_ERROR_ARGUMENT, "params.width is 100, which is not a multiple of 8: use 96 or 104");
    REFUSES(a.height = 7, CLIO_ERROR_ARGUMENT, "params.height is 7, which is not a multiple of 8: use 8 or 8");
    REFUSES(a.width = -64, CLIO_ERROR_ARGUMENT, "params.width is -64: it must be from 0 to");
    REFUSES(a.width = a.height = 8192, CLIO_ERROR_ARGUMENT, "params.width and params.height are 8192 x 8192 pixels");
    REFUSES(a.width = a.height = 2147483640, CLIO_ERROR_ARGUMENT, "params.width is 2147483640");
    REFUSES(a.steps = 0, CLIO_ERROR_ARGUMENT, "params.steps is 0");
    REFUSES(a.steps = -3, CLIO_ERROR_ARGUMENT, "params.steps is -3");
    REFUSES(a.steps = 1001, CLIO_ERROR_ARGUMENT, "steps is 1001");
    REFUSES(a.sampler = "magic", CLIO_ERROR_ARGUMENT, "params.sampler is \"magic\": it must be one of pndm");
    REFUSES(a.timestep_spacing = "wide", CLIO_ERROR_ARGUMENT,
            "params.timestep_spacing is \"wide\": it must be leading, linspace or trailing");
    REFUSES(a.guidance_scale = NAN, CLIO_ERROR_ARGUMENT, "params.guidance_scale");
    REFUSES(a.guidance_scale = -1, CLIO_ERROR_ARGUMENT, "params.guidance_scale");
    REFUSES(a.guidance_rescale = 2, CLIO_ERROR_ARGUMENT, "params.guidance_rescale");
    REFUSES(a.eta = 2, CLIO_ERROR_ARGUMENT, "params.eta is 2");
    REFUSES(a.rng = 7, CLIO_ERROR_ARGUMENT, "params.rng is 7");
    REFUSES(a.clip_skip = -1, CLIO_ERROR_ARGUMENT, "params.clip_skip is -1");
    REFUSES(a.clip_skip = 4, CLIO_ERROR_ARGUMENT, "params.clip_skip is 4, and the text encoder of ");
    REFUSES(a.clip_skip = 4, CLIO_ERROR_ARGUMENT, " has 3 layers: use 1 to 3");
    REFUSES(a.count = 0, CLIO_ERROR_ARGUMENT, "params.count");
    REFUSES(a.count = 1001, CLIO_ERROR_ARGUMENT, "params.count");
    REFUSES(a.frames = 5, CLIO_ERROR_ARGUMENT, "params.frames is 5");
    REFUSES(a.prompt_to = "x", CLIO_ERROR_ARGUMENT, "params.frames is 0");
    REFUSES((a.prompt_to = "x", a.frames = 2, a.count = 2), CLIO_ERROR_ARGUMENT, "params.count is 2");
    REFUSES(a.mask = &where_to_paint, CLIO_ERROR_ARGUMENT, "params.mask says");
    REFUSES(a.strength = 0.5, CLIO_ERROR_ARGUMENT, "params.strength says");
    REFUSES((a.image = &picture_to_change, a.strength = 2), CLIO_ERROR_ARGUMENT, "params.strength is 2");
    REFUSES((a.image = &picture_to_change, a.strength = 0.1), CLIO_ERROR_ARGUMENT, "leaves none of the 1 steps");
    REFUSES((a.image = &picture_to_change, a.mask = &smaller), CLIO_ERROR_ARGUMENT,
            "params.mask has 64 x 64 pixels and params.image 96 x 64");
    REFUSES((a.image = &tiny, a.width = a.height = 0), CLIO_ERROR_ARGUMENT, "4 x 4 pixels");
    a = good;
    a.prompt = "";
    assert_ok(clio_imagine(p, &a, &images));
    clio_image_list_free(images);
    clio_diffusion_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedulers_of_version_1),
        cmocka_unit_test(schedulers_of_version_2),
        cmocka_unit_test(images_match_diffusers),
        cmocka_unit_test(image_to_image_matches_diffusers),
        cmocka_unit_test_setup_teardown(inpainting_matches_diffusers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(guidance_embedding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_options_match_diffusers, set_up, tear_down),
        cmocka_unit_test(low_memory),
        cmocka_unit_test(batches_and_interpolation),
        cmocka_unit_test_setup_teardown(mixed_types, set_up, tear_down),
        cmocka_unit_test(previews_and_progress),
        cmocka_unit_test(invalid_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
