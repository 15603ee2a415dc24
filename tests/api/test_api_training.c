/* test_api_training.c - training, drawing and measuring through include/clio.h alone, as a program would: what a run tells, how it is
 * stopped and gone on with, what can be asked of what was learned. The images are made by make_images. */
#include <clio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clio_context *ctx;
static char folder[512], data[600], out[600];

static void is_ok(clio_status status, const char *file, int line)
{
    if (status == CLIO_OK)
        return;
    fprintf(stderr, "%s: %s\n%s\n", clio_status_name(status), clio_error(ctx), clio_error_detail(ctx));
    _fail(file, line);
}
#define assert_ok(status) is_ok((status), __FILE__, __LINE__)
#define assert_fails(status, code, part)                                                                                                   \
    do {                                                                                                                                   \
        assert_int_equal((status), (code));                                                                                                \
        if (!strstr(clio_error(ctx), (part)))                                                                                              \
            fail_msg("\"%s\" is not in: %s", (part), clio_error(ctx));                                                                     \
    } while (0)

static int set_up(void **state)
{
    char command[1200];
    (void)state;
    snprintf(folder, sizeof folder, "%s/training.XXXXXX", CLIO_BUILD_DIR);
    assert_non_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(out, sizeof out, "%s/run", folder);
    snprintf(command, sizeof command, "'%s/tests/make_images' '%s' 24 16", CLIO_BUILD_DIR, data);
    assert_int_equal(system(command), 0);
    ctx = clio_create();
    assert_ok(clio_device_open(ctx, NULL));
    fprintf(stderr, "# device: %s, %s\n", clio_device(ctx)->platform, clio_device(ctx)->name);
    return 0;
}

static int tear_down(void **state)
{
    char command[600];
    (void)state;
    clio_destroy(ctx);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) != 0;
}

/* ---- a run ---- */

struct seen {
    int steps, events, saw_validation;
    int64_t last, stop_at;
    double loss;
};

static int on_status(void *user, const clio_train_status *s)
{
    struct seen *seen = user;
    assert_true(s->step <= s->steps && s->count == 3 && !strcmp(s->names[0], "loss"));
    if (s->event) {
        seen->events++;
        seen->saw_validation |= strstr(s->event, "validation") != NULL;
        return 0;
    }
    assert_int_equal(s->step, seen->last + 1);
    assert_true(isfinite(s->losses[0]) && fabs(s->losses[0] - s->losses[1] - s->losses[2]) < 1e-3 * s->losses[0]);
    seen->steps++;
    seen->last = s->step;
    seen->loss = s->losses[0];
    return seen->stop_at && s->step == seen->stop_at;
}

#define SETTINGS "\"hidden_size\": 16, \"latent_dim\": 4, \"batch_size\": 6, \"validation_split\": 0.25"

/* Stopped by the callback after 4 steps of 9, saved, and gone on with. */
static void test_run(void **state)
{
    struct seen seen = {.stop_at = 4};
    clio_train_params params = {
        .model = "vae", .data = data, .out = out, .settings = "{" SETTINGS ", \"epochs\": 3}", .on_status = on_status, .user = &seen};
    (void)state;
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_CANCELLED, "step 4");
    assert_int_equal(seen.steps, 4);
    assert_true(seen.events > 0 && seen.saw_validation);
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_FILE, "already holds a training run");
    params.resume = 1;
    params.settings = NULL;
    params.model = NULL;
    seen.stop_at = 0;
    assert_ok(clio_train(ctx, &params));
    assert_int_equal(seen.steps, 9);
}

static void test_refused(void **state)
{
    char other[700];
    clio_train_params params = {.model = "vae", .data = data, .out = other, .settings = "{\"hiden\": 16}"};
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_ARGUMENT, "hiden");
    params.settings = "[1]";
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_ARGUMENT, "object");
    params.settings = "{\"batch_size\": ";
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_ARGUMENT, "not JSON");
    params.settings = NULL;
    params.model = "diffusion of innovations";
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_ARGUMENT, "diffusion of innovations");
    params.model = "cvae";
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_FORMAT, "labels");
    params.out = NULL;
    assert_fails(clio_train(ctx, &params), CLIO_ERROR_ARGUMENT, "params.out is NULL");
}

/* ---- what there is ---- */

static void test_lists(void **state)
{
    const char *name = "", *summary;
    clio_setting s;
    int rank, ranks, models = 0, found = 0;
    (void)state;
    for (size_t i = 0; clio_train_model(i, &name, &summary), name; i++, models++) {
        assert_true(summary && *summary);
        for (size_t n = 0;; n++) {
            assert_ok(clio_train_setting(ctx, name, n, &s));
            if (!s.name)
                break;
            assert_true(s.summary && *s.range);
        }
    }
    assert_true(models >= 9);
    for (size_t n = 0; clio_train_setting(ctx, NULL, n, &s) == CLIO_OK && s.name; n++)
        found += !strcmp(s.name, "epochs") || !strcmp(s.name, "learning_rate");
    assert_int_equal(found, 2);
    for (size_t n = 0; clio_train_run_setting(ctx, "unet", n, &s) == CLIO_OK && s.name; n++) {
        assert_true(*s.value || s.type == CLIO_SETTING_TEXT);
        found += (!strcmp(s.name, "epochs") && !strcmp(s.value, "10")) ||
                 (!strcmp(s.name, "learning_rate") && !strcmp(s.value, "0.0001")) ||
                 (!strcmp(s.name, "optimizer") && !strcmp(s.value, "adamw"));
    }
    assert_int_equal(found, 5);
    assert_fails(clio_train_run_setting(ctx, "none", 0, &s), CLIO_ERROR_ARGUMENT, "none");
    assert_fails(clio_train_setting(ctx, "none", 0, &s), CLIO_ERROR_ARGUMENT, "none");
    clio_train_rank(&rank, &ranks);
    assert_true(rank == 0 && ranks == 1);
}

/* ---- what was learned ---- */

static clio_generator *load(void)
{
    clio_generator *g;
    assert_ok(clio_generator_load(ctx, out, &g));
    return g;
}

static int same(const clio_imagine_result *a, const clio_imagine_result *b)
{
    return a->image.width == b->image.width && a->image.height == b->image.height &&
           !memcmp(a->image.rgb, b->image.rgb, 3 * (size_t)a->image.width * (size_t)a->image.height);
}

static void test_generator(void **state)
{
    clio_generator *g = load();
    clio_generator_info info = clio_generator_get_info(g);
    clio_image_list *many, *few, *way, *back;
    clio_image *sheet;
    (void)state;
    assert_true(!strcmp(info.model, "vae") && info.width == 16 && info.channels == 3 && info.latent == 4 && info.encodes && !info.classes);
    assert_ok(clio_generator_sample(g, 70, 5, NULL, &many));
    assert_ok(clio_generator_sample(g, 2, 7, NULL, &few));
    assert_true(many->count == 70 && few->count == 2);
    assert_true(same(&many->list[2], &few->list[0]) && same(&many->list[3], &few->list[1])); /* a seed is an image */
    assert_false(same(&few->list[0], &few->list[1]));
    assert_int_equal(many->list[69].seed, 74);
    assert_ok(clio_generator_interpolate(g, 7, 8, 5, 0, &way));
    assert_true(way->count == 5 && same(&way->list[0], &few->list[0]) && same(&way->list[4], &few->list[1]));
    assert_ok(clio_generator_reconstruct(g, &many->list[0].image, 1, &back));
    assert_true(back->count == 2 && same(&back->list[0], &many->list[0]));
    assert_ok(clio_image_grid(ctx, many, 10, &sheet));
    assert_true(sheet->width >= 600 && sheet->height * 10 < sheet->width * 8);
    clio_image_free(sheet);
    clio_image_list_free(many);
    clio_image_list_free(few);
    clio_image_list_free(way);
    clio_image_list_free(back);
    assert_fails(clio_generator_sample(g, 0, 1, NULL, &few), CLIO_ERROR_ARGUMENT, "count is 0");
    assert_fails(clio_generator_sample(g, 1, 1, (int[]){0}, &few), CLIO_ERROR_ARGUMENT, "labels[0] is 0");
    assert_fails(clio_generator_interpolate(g, 1, 2, 1, 0, &way), CLIO_ERROR_ARGUMENT, "frames is 1");
    clio_generator_free(g);
    clio_generator_free(NULL);
    assert_fails(clio_generator_load(ctx, data, &g), CLIO_ERROR_FILE, "no trained model");
}

static double find(const clio_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (!strcmp(m->list[i].name, name))
            return m->list[i].value;
    fail_msg("there is no measure %s", name);
    return NAN;
}

static void test_evaluate(void **state)
{
    clio_evaluate_params params = {.model = out, .data = data, .split = "train", .count = 10};
    clio_metrics *m;
    char said[700];
    FILE *file;
    (void)state;
    assert_ok(clio_evaluate(ctx, &params, &m));
    assert_true(find(m, "images") > 9.5 && find(m, "ssim") < 1 && find(m, "psnr") > 0);
    double sum = find(m, "reconstruction") + find(m, "kl");
    assert_true(fabs(find(m, "negative_elbo") - sum) < 1e-3 * sum);
    clio_metrics_free(m);
    params.split = "test";
    assert_fails(clio_evaluate(ctx, &params, &m), CLIO_ERROR_FORMAT, "has no samples for test: put some into a subfolder test, or");
    params.split = "validation"; /* what the run held out of this data; the same without a split */
    assert_ok(clio_evaluate(ctx, &params, &m));
    double held = find(m, "images"), mse = find(m, "reconstruction_mse");
    assert_true(held > 1.5 && held < 9.5);
    clio_metrics_free(m);
    params.split = NULL;
    assert_ok(clio_evaluate(ctx, &params, &m));
    assert_true(fabs(find(m, "images") - held) < 0.5 && fabs(find(m, "reconstruction_mse") - mse) < 1e-12);
    clio_metrics_free(m);
    params.features = out;
    assert_ok(clio_evaluate(ctx, &params, &m)); /* its own latents serve as features, too */
    assert_true(find(m, "frechet_distance") >= 0 && isfinite(find(m, "kernel_distance")));
    clio_metrics_free(m);
    params.features = data;
    assert_fails(clio_evaluate(ctx, &params, &m), CLIO_ERROR_FILE, "no trained model");
    snprintf(said, sizeof said, "%s/said.txt", folder);
    file = fopen(said, "w");
    assert_non_null(file);
    fputs("one two three\nfour\n", file);
    fclose(file);
    assert_ok(clio_evaluate_transcripts(ctx, said, said, &m));
    assert_true(find(m, "word_error_rate") < 1e-9 && find(m, "words") > 3.5);
    clio_metrics_free(m);
    assert_fails(clio_evaluate_captions(ctx, said, said, &m), CLIO_ERROR_FORMAT, "JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),       cmocka_unit_test(test_refused),  cmocka_unit_test(test_lists),
        cmocka_unit_test(test_generator), cmocka_unit_test(test_evaluate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
