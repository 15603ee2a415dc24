/* test_api_images.c - the public interface for images as a user has it: sees clio.h alone and links the shared library. The model is
 * the golden folder of Stable Diffusion in miniature (CLIO_GOLDEN). */
#include <clio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static clio_context *ctx;
static char model[1024], file[1100];

static void is(clio_status got, clio_status want, const char *part, int line)
{
    if (got != want || (want && !strstr(clio_error(ctx), part)))
        fail_msg("line %d: expected %s with \"%s\", got %s: %s; %s", line, clio_status_name(want), part, clio_status_name(got),
                 got ? clio_error(ctx) : "", got ? clio_error_detail(ctx) : "");
}
#define OK(call) is((call), CLIO_OK, "", __LINE__)
#define FAILS(call, code, part) is((call), (code), (part), __LINE__)

static int set_up(void **state)
{
    (void)state;
    const char *golden = getenv("CLIO_GOLDEN");
    snprintf(model, sizeof model, "%s/sd-v1-tiny", golden ? golden : CLIO_SOURCE_DIR "/../shared/golden");
    snprintf(file, sizeof file, "%s/api-image.%ld.png", CLIO_BUILD_DIR, (long)getpid());
    ctx = clio_create();
    return !ctx || clio_device_open(ctx, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    clio_destroy(ctx);
    remove(file);
    return 0;
}

static clio_diffusion *load(void)
{
    clio_diffusion *pictures = NULL;
    if (access(model, F_OK)) {
        fprintf(stderr, "SKIPPED: %s is not here (CLIO_GOLDEN)\n", model);
        if (getenv("CLIO_REQUIRE"))
            fail_msg("the golden model is missing");
        skip();
    }
    OK(clio_diffusion_load(ctx, model, &(clio_diffusion_params){.keep = 1}, &pictures));
    return pictures;
}

static void a_picture_is_made_written_and_read(void **state)
{
    (void)state;
    clio_diffusion *pictures = load();
    clio_image_list *images, *again;
    clio_image *read;
    clio_metadata *notes;
    clio_imagine_params params = clio_imagine_defaults();
    assert_true(params.steps == 20 && params.guidance_scale > 7.4 && params.guidance_scale < 7.6 && params.count == 1 && params.seed == 42);
    assert_int_equal(clio_diffusion_size(pictures), 64);
    params.prompt = "a red fox in the snow";
    params.steps = 2;
    OK(clio_imagine(pictures, &params, &images));
    OK(clio_imagine(pictures, &params, &again));
    clio_diffusion_free(pictures); /* what was made stands alone */
    assert_int_equal(images->count, 1);
    const clio_imagine_result *p = &images->list[0];
    assert_true(p->image.width == 64 && p->image.height == 64 && p->seed == 42);
    assert_memory_equal(p->image.rgb, again->list[0].image.rgb, 64 * 64 * 3);
    assert_non_null(strstr(p->parameters, "a red fox in the snow\nSteps: 2, Sampler: PLMS, CFG scale: 7.5, Seed: 42, Size: 64x64"));

    const clio_metadata_entry given[] = {{"parameters", p->parameters},
                                         {"Comment", "F\xc3\xbc"
                                                     "chse \xe7\x8b\x90"}};
    OK(clio_image_write(ctx, &p->image, file, given, 2));
    OK(clio_image_read(ctx, file, &read));
    assert_true(read->width == 64 && read->height == 64);
    assert_memory_equal(p->image.rgb, read->rgb, 64 * 64 * 3);
    OK(clio_image_metadata(ctx, file, &notes));
    assert_int_equal(notes->count, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(notes->list[i].key, given[i].key);
        assert_string_equal(notes->list[i].text, given[i].text);
    }
    clio_metadata_free(notes);
    clio_image_free(read);
    OK(clio_image_write_apng(ctx, images, file, 50, given, 1));
    OK(clio_image_read(ctx, file, &read)); /* its first frame */
    assert_memory_equal(p->image.rgb, read->rgb, 64 * 64 * 3);
    clio_image_free(read);
    clio_image_list_free(images);
    clio_image_list_free(again);
}

static int stop(void *user, const char *what, double done, double total)
{
    (void)total;
    return !strcmp(what, user) && done > 0;
}

static void every_phase_can_be_cancelled(void **state)
{
    (void)state;
    static char phases[][32] = {"loading the text encoder", "loading the UNet", "sampling", "decoding"};
    clio_imagine_params params = clio_imagine_defaults();
    clio_image_list *images;
    params.prompt = "a red fox";
    params.steps = 2;
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        clio_diffusion *pictures = load();
        clio_set_progress(ctx, stop, phases[i]);
        FAILS(clio_imagine(pictures, &params, &images), CLIO_ERROR_CANCELLED, phases[i]);
        assert_null(images);
        clio_set_progress(ctx, NULL, NULL);
        OK(clio_imagine(pictures, &params, &images)); /* and nothing is the worse for it */
        clio_image_list_free(images);
        clio_diffusion_free(pictures);
    }
}

static void memory_is_given_back(void **state)
{
    (void)state;
    clio_diffusion *pictures = load();
    clio_imagine_params params = clio_imagine_defaults();
    clio_image_list *images;
    uint64_t before, kept, after, peak;
    params.prompt = "a red fox";
    params.steps = 1;
    clio_memory(ctx, &before, &peak);
    OK(clio_imagine(pictures, &params, &images));
    clio_image_list_free(images);
    clio_memory(ctx, &kept, &peak);
    assert_true(kept > before);
    clio_diffusion_free(pictures);
    clio_memory(ctx, &after, &peak);
    assert_int_equal(after, before);
    OK(clio_diffusion_load(ctx, model, NULL, &pictures));
    OK(clio_imagine(pictures, &params, &images));
    clio_memory(ctx, &after, &peak);
    assert_int_equal(after, before); /* without keep nothing stays */
    clio_image_list_free(images);
    clio_diffusion_free(pictures);
}

static void refusals(void **state)
{
    (void)state;
    clio_diffusion *pictures = (clio_diffusion *)(void *)file;
    clio_image *image = (clio_image *)(void *)file;
    clio_metadata *notes = (clio_metadata *)(void *)file;
    clio_context *closed = clio_create();
    FAILS(clio_diffusion_load(ctx, NULL, NULL, &pictures), CLIO_ERROR_ARGUMENT, "clio_diffusion_load: path is NULL");
    assert_null(pictures);
    FAILS(clio_diffusion_load(ctx, "/nowhere", NULL, &pictures), CLIO_ERROR_FILE, "/nowhere does not exist");
    assert_int_equal(clio_diffusion_load(closed, model, NULL, &pictures), CLIO_ERROR_ARGUMENT);
    assert_non_null(strstr(clio_error(closed), "no device is open"));
    FAILS(clio_image_read(ctx, "/nowhere.png", &image), CLIO_ERROR_FILE, "/nowhere.png");
    assert_null(image);
    FAILS(clio_image_metadata(ctx, "/nowhere.png", &notes), CLIO_ERROR_FILE, "/nowhere.png");
    assert_null(notes);
    FAILS(clio_image_write_apng(ctx, &(clio_image_list){NULL, 0}, file, 50, NULL, 0), CLIO_ERROR_ARGUMENT, "images.count is 0");
    assert_non_null(strstr(clio_imagine_samplers(), "euler_a"));
    clio_diffusion_free(NULL);
    clio_image_list_free(NULL);
    clio_image_free(NULL);
    clio_metadata_free(NULL);
    clio_destroy(closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_is_made_written_and_read),
        cmocka_unit_test(every_phase_can_be_cancelled),
        cmocka_unit_test(memory_is_given_back),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
