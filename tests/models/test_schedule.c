/* test_schedule.c - learning rates of every step against torch.optim.lr_scheduler: LinearLR(start_factor = 1 / W, total_iters = W - 1) as
 * the warm-up, CosineAnnealingLR, StepLR, and the first two joined by SequentialLR. Beyond its end the cosine schedule stays there, as
 * get_scheduler of transformers does, and torch's closed form. And when the state of an optimizer begins anew. Needs no device. */
#include "../support/test_own.h"

#include "../../models/learners/types.h"
#include "../../models/nn/optim.h"
#include "../../models/train/train.h"

#include <math.h>

static void expect_rates(struct optimizer_options o, const double *want, size_t count, int line)
{
    for (size_t i = 0; i < count; i++)
        if (fabs(optimizer_rate(&o, (int64_t)i) - want[i]) > 1e-10)
            fail_msg("line %d: the rate of step %zu is %.12g, torch has %.12g", line, i, optimizer_rate(&o, (int64_t)i), want[i]);
}
#define EXPECT(want, ...)                                                                                                                  \
    do {                                                                                                                                   \
        struct optimizer_options options = {.rate = 0.5, .gamma = 0.1, __VA_ARGS__};                                                       \
        expect_rates(options, (want), COUNT(want), __LINE__);                                                                              \
    } while (0)

static void rates_are_those_of_torch(void **state)
{
    (void)state;
    static const double constant[] = {0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5};
    static const double cosine[] = {0.5,
                                    0.488987716166,
                                    0.457028823734,
                                    0.407251681766,
                                    0.344528823734,
                                    0.275,
                                    0.205471176266,
                                    0.142748318234,
                                    0.0929711762656,
                                    0.0610122838336,
                                    0.05,
                                    0.05,
                                    0.05};
    static const double both[] = {
        0.125,           0.25, 0.375, 0.5, 0.5, 0.480969883128, 0.426776695297, 0.345670858091, 0.25, 0.154329141909, 0.0732233047034,
        0.0190301168722, 0,    0};
    static const double steps[] = {0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005, 0.005, 0.005, 0.0005};
    EXPECT(constant, .schedule = SCHEDULE_CONSTANT, .warmup = 4);
    EXPECT(cosine, .schedule = SCHEDULE_COSINE, .steps = 10, .end_factor = 0.1);
    EXPECT(both, .schedule = SCHEDULE_COSINE, .steps = 12, .warmup = 4);
    EXPECT(steps, .schedule = SCHEDULE_STEP, .steps = 3);
}

/* ---- settings to options ---- */

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    return value;
}

static struct optimizer_options options_of(const char *model, const char *settings, int part, int64_t steps)
{
    struct train_plan plan;
    json_t *json = parse(settings);
    struct optimizer_options o = learner_optimizer_defaults(learner_type_find(model), part);
    OK(train_plan_read(ctx, &plan, learner_type_find(model), json));
    OK(train_plan_optimizer(ctx, &plan, part, steps, &o));
    train_plan_free(&plan);
    json_decref(json);
    return o;
}

#define SAME(a, b) assert_true(fabs((a) - (b)) < 1e-15)

static void options_follow_the_settings(void **state)
{
    (void)state;
    struct optimizer_options o = options_of("gan", "{}", 0, 100);
    assert_int_equal(o.rule, OPTIM_ADAM);
    SAME(o.rate, 2e-4);
    SAME(o.beta1, 0.5);
    SAME(o.beta2, 0.999);
    assert_int_equal(o.steps, 100);
    o = options_of("unet", "{}", 1, 100);
    assert_int_equal(o.rule, OPTIM_ADAMW);
    SAME(o.rate, 2e-6);
    SAME(o.weight_decay, 0.01);
    SAME(o.max_grad_norm, 1);
    o = options_of("gan",
                   "{\"learning_rate\": 0.25, \"discriminator.learning_rate\": 0.5, \"optimizer\": \"rmsprop\", \"lr_scheduler\": \"step\","
                   " \"lr_scheduler_steps\": 7, \"lr_warmup_steps\": 3, \"lr_gamma\": 0.5, \"momentum\": 0.9, \"ema_decay\": 0.75}",
                   1, 100);
    assert_int_equal(o.rule, OPTIM_RMSPROP);
    SAME(o.rate, 0.5);
    SAME(o.momentum, 0.9);
    SAME(o.ema_decay, 0.75);
    SAME(o.gamma, 0.5);
    assert_true(o.schedule == SCHEDULE_STEP && o.steps == 7 && o.warmup == 3);
    SAME(options_of("gan", "{\"learning_rate\": 0.25, \"discriminator.learning_rate\": 0.5}", 0, 1).rate, 0.25);
}

/* ---- what is given last wins ---- */

static void expect_update(const char *settings, const char *newer, const char *want)
{
    json_t *a = parse(settings), *b = parse(newer), *c = parse(want);
    OK(train_settings_update(ctx, a, b));
    if (!json_equal(a, c))
        fail_msg("%s and then %s is %s, not %s", settings, newer, json_dumps(a, 0), want);
    json_decref(a);
    json_decref(b);
    json_decref(c);
}

static void later_settings_win(void **state)
{
    (void)state;
    expect_update("{\"epochs\": 1}", "{\"epochs\": 2}", "{\"epochs\": 2}");
    expect_update("{\"max_steps\": 5}", "{\"epochs\": 2}", "{\"epochs\": 2}");
    expect_update("{\"epochs\": 2}", "{\"max_steps\": 5}", "{\"epochs\": 2, \"max_steps\": 5}"); /* max_steps counts */
    expect_update("{\"max_steps\": 5}", "{\"epochs\": 2, \"max_steps\": 7}", "{\"epochs\": 2, \"max_steps\": 7}");
    expect_update("{\"generator.beta1\": 0.5, \"generator.beta2\": 0.5}", "{\"beta1\": 0.25}",
                  "{\"generator.beta2\": 0.5, \"beta1\": 0.25}");
    expect_update("{\"generator.beta1\": 0.5}", "{\"beta1\": 0.25, \"generator.beta1\": 0.125}",
                  "{\"beta1\": 0.25, \"generator.beta1\": 0.125}");
    expect_update("{\"eval_steps\": 5}", "{\"steps\": 2}", "{\"eval_steps\": 5, \"steps\": 2}");
}

static void misspelled_settings_are_named(void **state)
{
    (void)state;
    static const char *const words[][2] = {{"learning-rate", "learning_rate"},
                                           {"hiden_size", "hidden_size"},
                                           {"epoch", "epochs"},
                                           {"vae.learningrate", "learning_rate"},
                                           {"colour", NULL}};
    for (size_t i = 0; i < COUNT(words); i++) {
        struct train_plan plan;
        char text[100], part[100];
        snprintf(text, sizeof text, "{\"%s\": 1}", words[i][0]);
        snprintf(part, sizeof part, "did you mean %s?", words[i][1] ? words[i][1] : "");
        json_t *json = parse(text);
        FAILS(train_plan_read(ctx, &plan, learner_type_find("vae"), json), CLIO_ERROR_ARGUMENT, "is not a setting of vae");
        assert_true((strstr(clio_error(ctx), part) != NULL) == (words[i][1] != NULL));
        assert_true(strlen(clio_error(ctx)) < 160);
        json_decref(json);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rates_are_those_of_torch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_follow_the_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_settings_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(misspelled_settings_are_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
