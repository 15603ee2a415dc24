/* test_sampler.c - the samplers against diffusers' schedulers; invalid configurations and options.
 *
 * tests/golden/samplers was made with diffusers 0.42.1 (torch 2.15, float32, CPU). cases.json lists the runs: a scheduler configuration
 * (one of "configs" with some fields changed) and the options (method, steps, strength, spacing, eta, stable_diffusion, generators). The
 * scheduler was made with XScheduler.from_config(configuration), with use_karras_sigmas and algorithm_type of the method's name, and run
 * with the model
 *
 *     output = 0.3 tanh(input) + 0.1 sin(t / 100),   input = scale_model_input(sample)
 *
 * Samples are 2 x 4 x 4 x 6, torch.randn with torch.Generator().manual_seed(42) (42 and 43 for two generators) times init_noise_sigma;
 * step() uses the same generator. With a strength, the run begins at add_noise(latent, torch.randn) instead. For run N,
 * samplers.safetensors has "N.timesteps", the last sample "N.latents" and, with a strength, "N.renoised": add_noise after the first step,
 * as for inpainting. Also "guidance.*": scale 7.5, then rescale_noise_cfg(..., 0.7). */
#include "../support/test.h"
#include "../../models/samplers/sampler.h"
#include "../../models/samplers/guidance.h"

#include <math.h>

#define N ((size_t)(2 * 4 * 4 * 6))

static void model(const struct sampler *s, int i, float *out, const float *in)
{
    for (size_t k = 0; k < N; k++)
        out[k] = 0.3f * tanhf(in[k]) + (float)(0.1 * sin((double)s->timesteps[i] / 100));
}

struct run {
    struct json_file config; /* its root is owned by the run */
    struct sampler_options options;
    int generators;
};

static struct run read_run(json_t *configs, json_t *json)
{
    static char path[] = "scheduler_config.json";
    struct run r = {.config = {path, json_copy(json_object_get(configs, json_string_value(json_object_get(json, "config"))))},
                    .generators = 1};
    assert_non_null(r.config.root);
    if (json_object_get(json, "change"))
        json_object_update(r.config.root, json_object_get(json, "change"));
    r.options.method = json_string_value(json_object_get(json, "method"));
    r.options.steps = (int)json_integer_value(json_object_get(json, "steps"));
    r.options.strength = json_number_value(json_object_get(json, "strength"));
    r.options.eta = json_number_value(json_object_get(json, "eta"));
    r.options.spacing = json_string_value(json_object_get(json, "spacing"));
    r.options.stable_diffusion = json_is_true(json_object_get(json, "stable_diffusion"));
    if (json_object_get(json, "generators"))
        r.generators = (int)json_integer_value(json_object_get(json, "generators"));
    return r;
}

static void compare(const float *x, const float *want, size_t n, const char *what, size_t number, const struct sampler *s)
{
    double worst = 0, greatest = 0;
    for (size_t k = 0; k < n; k++) {
        worst = fmax(worst, isfinite(x[k]) ? fabs((double)x[k] - (double)want[k]) : INFINITY);
        greatest = fmax(greatest, fabs((double)want[k]));
    }
    double tolerance =
        s->init_noise_sigma > 1000 ? 1e-4 : 1e-5; /* zero terminal SNR: rounding errors of this noise level reach the image */
    if (!(worst <= tolerance * fmax(greatest, 1)))
        fail_msg("run %zu (%s, %d evaluations): %s differ by %g of %g", number, s->method, s->count, what, worst, greatest);
}

static void one_run(const struct weights *golden, json_t *configs, json_t *json, size_t number)
{
    struct run r = read_run(configs, json);
    struct sampler *s;
    struct random generators[2];
    struct sampler_noise noise = {generators, r.generators};
    float x[N], in[N], out[N], first[N], *latent = test_floats(golden, "latent", N);
    char name[64];
    assert_ok(sampler_new(test_context(), &s, &r.config, N, &r.options));
    snprintf(name, sizeof name, "%zu.timesteps", number);
    float *want = test_floats(golden, name, (size_t)s->count);
    compare(s->timesteps, want, (size_t)s->count, "timesteps", number, s);
    free(want);
    for (int g = 0; g < r.generators; g++) {
        random_seed(&generators[g], RANDOM_TORCH_CPU, (uint64_t)(42 + g));
        random_normal(&generators[g], first + (size_t)g * N / (size_t)r.generators, N / (size_t)r.generators);
    }
    memcpy(x, first, sizeof x);
    if (r.options.strength > 0)
        sampler_add_noise(s, s->first, x, latent, x);
    else
        sampler_init_noise(s, x);
    for (int i = s->first; i < s->count; i++) {
        sampler_scale_input(s, i, in, x);
        model(s, i, out, in);
        assert_ok(sampler_step(test_context(), s, i, out, x, &noise));
        snprintf(name, sizeof name, "%zu.renoised", number);
        if (i == s->first && weights_find(golden, name)) {
            want = test_floats(golden, name, N);
            sampler_add_noise(s, i + 1, in, latent, first);
            compare(in, want, N, "renoised latents", number, s);
            free(want);
        }
    }
    snprintf(name, sizeof name, "%zu.latents", number);
    want = test_floats(golden, name, N);
    compare(x, want, N, "latents", number, s);
    free(want);
    free(latent);
    sampler_free(s);
    json_decref(r.config.root);
}

static void samples_match_diffusers(void **state)
{
    (void)state;
    struct weights golden = {0};
    struct json_file cases = {0};
    size_t number;
    json_t *json;
    const char *folder = CLIO_SOURCE_DIR "/tests/golden/samplers";
    assert_ok(json_open(test_context(), &cases, folder, "cases.json"));
    assert_ok(weights_open(test_context(), &golden, CLIO_SOURCE_DIR "/tests/golden/samplers/samplers.safetensors", NULL));
    json_t *list = json_object_get(cases.root, "cases");
    assert_true(json_array_size(list) > 200);
    json_array_foreach(list, number, json)
    {
        one_run(&golden, json_object_get(cases.root, "configs"), json, number);
    }
    weights_close(&golden);
    json_close(&cases);
}

/* Files saved by diffusers with all fields of each class, including -Infinity, are read like files with _class_name only. */
static void saved_configurations(void **state)
{
    (void)state;
    static const char *const classes[] = {
        "PNDM", "DDIM", "DDPM", "LCM", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "DPMSolverMultistep", "UniPCMultistep"};
    static char path[] = "short";
    for (size_t i = 0; i < COUNT(classes); i++) {
        struct json_file saved = {0}, brief = {path, json_object()};
        struct sampler *a, *b;
        char name[64];
        snprintf(name, sizeof name, "%sScheduler.json", classes[i]);
        assert_ok(json_open(test_context(), &saved, CLIO_SOURCE_DIR "/tests/golden/samplers/saved", name));
        json_object_set(brief.root, "_class_name", json_object_get(saved.root, "_class_name"));
        assert_ok(sampler_new(test_context(), &a, &saved, N, &(struct sampler_options){.steps = 7}));
        assert_ok(sampler_new(test_context(), &b, &brief, N, &(struct sampler_options){.steps = 7}));
        assert_string_equal(a->method, b->method);
        assert_int_equal(a->count, b->count);
        assert_memory_equal(a->timesteps, b->timesteps, (size_t)a->count * sizeof *a->timesteps);
        assert_memory_equal(a->sigmas, b->sigmas, ((size_t)a->count + 1) * sizeof *a->sigmas);
        assert_memory_equal(a->alphas, b->alphas, (size_t)a->config.train_steps * sizeof *a->alphas);
        struct sampler_config c = a->config, d = b->config;
        assert_true(c.clip == d.clip && c.alpha_to_one == d.alpha_to_one && c.skip_prk == d.skip_prk && c.sde == d.sde);
        assert_true(c.solver_order == d.solver_order && c.lower_order_final == d.lower_order_final && c.variance == d.variance);
        sampler_free(a);
        sampler_free(b);
        json_close(&saved);
        json_decref(brief.root);
    }
}

/* Timesteps of the golden pipelines, whose schedulers had the default spacing of each class. */
static void golden_timesteps(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"pndm", "leading"},          {"ddim", "leading"},   {"ddpm", "leading"},      {"euler", "linspace"},
        {"euler_a", "linspace"},      {"heun", "linspace"},  {"dpmpp_2m", "linspace"}, {"dpmpp_2m_karras", "linspace"},
        {"dpmpp_2m_sde", "linspace"}, {"unipc", "linspace"}, {"lcm", "leading"}};
    struct weights golden = {0};
    struct json_file config = {0};
    char folder[1024];
    for (int version = 1; version <= 2; version++) {
        const char *path = test_golden(version == 1 ? "sd-v1-tiny" : "sd-v2-tiny");
        if (!path)
            skip();
        snprintf(folder, sizeof folder, "%s/golden.safetensors", path);
        assert_ok(weights_open(test_context(), &golden, folder, NULL));
        snprintf(folder, sizeof folder, "%s/scheduler", path);
        assert_ok(json_open(test_context(), &config, folder, "scheduler_config.json"));
        for (size_t i = 0; i < 2 * COUNT(names); i++) {
            int steps = i % 2 ? 9 : 4;
            struct sampler *s;
            char key[64];
            assert_ok(sampler_new(test_context(), &s, &config, N,
                                  &(struct sampler_options){
                                      .method = names[i / 2][0], .steps = steps, .spacing = names[i / 2][1], .stable_diffusion = true}));
            assert_int_equal(s->config.prediction, version == 1 ? SAMPLER_EPSILON : SAMPLER_V_PREDICTION);
            snprintf(key, sizeof key, "pipeline.%s.%d.timesteps", names[i / 2][0], steps);
            float *want = test_floats(&golden, key, (size_t)s->count);
            assert_memory_equal(s->timesteps, want, (size_t)s->count * sizeof *want);
            free(want);
            sampler_free(s);
        }
        weights_close(&golden);
        json_close(&config);
    }
}

static void guidance_matches_diffusers(void **state)
{
    (void)state;
    struct weights golden = {0};
    assert_ok(weights_open(test_context(), &golden, CLIO_SOURCE_DIR "/tests/golden/samplers/samplers.safetensors", NULL));
    float *uncond = test_floats(&golden, "guidance.uncond", N), *cond = test_floats(&golden, "guidance.cond", N), out[N];
    float *plain = test_floats(&golden, "guidance.plain", N), *rescaled = test_floats(&golden, "guidance.rescaled", N);
    guidance_combine(out, uncond, cond, 7.5f, 0, 2, N / 2);
    assert_close(out, plain, N, 1e-6);
    guidance_combine(out, uncond, cond, 7.5f, 0.7f, 2, N / 2);
    assert_close(out, rescaled, N, 1e-6);
    guidance_combine(uncond, uncond, cond, 7.5f, 0.7f, 2, N / 2); /* in place */
    assert_close(uncond, rescaled, N, 1e-6);
    memset(cond, 0, N * sizeof *cond); /* standard deviation 0 */
    guidance_combine(out, cond, cond, 7.5f, 0.7f, 2, N / 2);
    assert_close(out, cond, N, 0);
    free(uncond);
    free(cond);
    free(plain);
    free(rescaled);
    weights_close(&golden);
}

/* ---- errors ---- */

static clio_status make(const char *json, const struct sampler_options *options, struct sampler **s)
{
    static char path[] = "model/scheduler/scheduler_config.json";
    json_error_t error;
    struct json_file file = {path, json_loads(json, 0, &error)};
    if (!file.root)
        fail_msg("the test's JSON: %s", error.text);
    clio_status st = sampler_new(test_context(), s, &file, 8, options);
    json_decref(file.root);
    if (st)
        assert_null(*s);
    return st;
}

static void expect_error(const char *json, const char *method, int steps, clio_status code, const char *part)
{
    struct sampler *s;
    assert_fails(make(json, &(struct sampler_options){.method = method, .steps = steps}, &s), code, part);
}

/* Fields that matter with other values or other fields only. */
static void ignored_fields(void **state)
{
    static const char *const files[][2] = {
        {"{\"_class_name\": \"DPMSolverMultistepScheduler\", \"variance_type\": \"fixed_small\"}", NULL},
        {"{\"_class_name\": \"DDPMScheduler\", \"variance_type\": \"fixed_large\"}", "dpm++2m"},
        {"{\"variance_type\": \"learned_range\"}", "ddim"},
        {"{\"use_dynamic_shifting\": true, \"flow_shift\": 3, \"time_shift_type\": \"exponential\"}", "dpm++2m"},
        {"{\"timestep_type\": \"continuous\"}", "euler"},
    };
    struct sampler *s;
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        clio_status st = make(files[i][0], &(struct sampler_options){.method = files[i][1], .steps = 4}, &s);
        if (st)
            fail_msg("%s: %s", files[i][0], clio_error(test_context()));
        sampler_free(s);
    }
}

static void unsupported_configurations(void **state)
{
    (void)state;
    const clio_status argument = CLIO_ERROR_ARGUMENT, format = CLIO_ERROR_FORMAT, unsupported = CLIO_ERROR_UNSUPPORTED;
    static const char ddim[] = "{\"_class_name\": \"DDIMScheduler\"}";
    expect_error("{\"_class_name\": \"KarrasVeScheduler\"}", NULL, 4, unsupported, "KarrasVeScheduler");
    expect_error("{\"_class_name\": \"KarrasVeScheduler\"}", NULL, 4, unsupported, "EulerAncestralDiscreteScheduler");
    expect_error("{}", NULL, 4, format, "_class_name");
    expect_error("{\"_class_name\": 3}", NULL, 4, format, "_class_name");
    expect_error(ddim, "ddum", 4, argument, "ddum");
    expect_error(ddim, "ddum", 4, argument, sampler_methods());
    expect_error(ddim, "", 4, argument, sampler_methods());
    expect_error(ddim, NULL, 0, argument, "steps is 0: it must be from 1 to 1000");
    expect_error(ddim, NULL, -3, argument, "-3");
    expect_error(ddim, NULL, 1001, argument, "1000");
    expect_error("{\"steps_offset\": 1}", "ddim", 1000, argument, "too many");
    expect_error(ddim, "dpm++2m", 1000, argument, "too many");
    expect_error(ddim, "lcm", 51, argument, "original_inference_steps");
    expect_error(ddim, "pndm", 3, argument, "at least 4");
    expect_error("{\"num_train_timesteps\": 0}", "ddim", 1, format, "num_train_timesteps");
    expect_error("{\"num_train_timesteps\": \"many\"}", "ddim", 1, format, "num_train_timesteps");
    expect_error("{\"prediction_type\": \"flow_prediction\"}", "ddim", 4, unsupported, "epsilon, v_prediction, sample");
    expect_error("{\"prediction_type\": \"sample\"}", "pndm", 4, unsupported, "sample");
    expect_error("{\"prediction_type\": \"sample\"}", "euler_a", 4, unsupported, "sample");
    expect_error("{\"prediction_type\": 1}", "ddim", 4, format, "prediction_type");
    expect_error("{\"beta_schedule\": \"sigmoid\"}", "ddim", 4, unsupported, "sigmoid");
    expect_error("{\"beta_start\": \"low\"}", "ddim", 4, format, "beta_start");
    expect_error("{\"beta_start\": -1}", "ddim", 4, format, "beta_start");
    expect_error("{\"beta_start\": 0}", "ddim", 4, format, "beta 0");
    expect_error("{\"beta_start\": 0.5, \"beta_end\": 0.9}", "ddim", 4, unsupported, "alphas_cumprod is 0");
    expect_error("{\"trained_betas\": [0.1, 0.2]}", "ddim", 4, format, "trained_betas");
    expect_error("{\"num_train_timesteps\": 2, \"trained_betas\": [0.1, \"x\"]}", "ddim", 1, format, "beta 1");
    expect_error("{\"timestep_spacing\": \"random\"}", "ddim", 4, unsupported, "leading, linspace, trailing");
    expect_error("{\"thresholding\": true}", "ddim", 4, unsupported, "thresholding");
    expect_error("{\"thresholding\": true}", "dpm++2m", 4, unsupported, "thresholding");
    expect_error("{\"clip_sample\": 1}", "ddim", 4, format, "clip_sample");
    expect_error("{\"clip_sample_range\": 0}", "ddim", 4, format, "clip_sample_range");
    expect_error("{\"variance_type\": \"learned_range\"}", "ddpm", 4, unsupported, "variance_type");
    expect_error("{\"variance_type\": \"learned\"}", "dpm++2m", 4, unsupported, "variance_type");
    expect_error("{\"variance_type\": \"learned_range\"}", "dpm++2m", 4, unsupported, "the network predicts the variance");
    expect_error("{\"use_dynamic_shifting\": true}", "unipc", 4, unsupported, "use_dynamic_shifting");
    expect_error("{\"use_beta_sigmas\": true}", "euler", 4, unsupported, "use_beta_sigmas");
    expect_error("{\"use_karras_sigmas\": true, \"use_exponential_sigmas\": true}", "euler", 4, format, "use_exponential_sigmas");
    expect_error("{\"interpolation_type\": \"log_linear\"}", "euler", 4, unsupported, "log_linear");
    expect_error("{\"timestep_type\": \"continuous\", \"prediction_type\": \"v_prediction\"}", "euler", 4, unsupported, "continuous");
    expect_error("{\"final_sigmas_type\": \"one\"}", "euler", 4, unsupported, "final_sigmas_type");
    expect_error("{\"use_lu_lambdas\": true}", "dpm++2m", 4, unsupported, "use_lu_lambdas");
    expect_error("{\"use_flow_sigmas\": true}", "dpm++2m", 4, unsupported, "use_flow_sigmas");
    expect_error("{\"_class_name\": \"DPMSolverMultistepScheduler\", \"algorithm_type\": \"dpmsolver\"}", NULL, 4, unsupported,
                 "algorithm_type");
    expect_error("{\"solver_type\": \"best\"}", "dpm++2m", 4, unsupported, "solver_type");
    expect_error("{\"solver_order\": 4}", "unipc", 4, format, "solver_order");
    expect_error("{\"predict_x0\": false}", "unipc", 4, unsupported, "predict_x0");
    expect_error("{\"disable_corrector\": [0]}", "unipc", 4, unsupported, "disable_corrector");
    expect_error("{\"lower_order_final\": false}", "unipc", 4, unsupported, "lower_order_final");
    expect_error("{\"final_sigmas_type\": \"sigma_min\", \"use_karras_sigmas\": true}", "unipc", 4, unsupported, "sigma_min");
    expect_error("{\"rescale_betas_zero_snr\": true, \"timestep_spacing\": \"trailing\"}", "ddim", 4, unsupported,
                 "rescale_betas_zero_snr");
    expect_error("{\"num_train_timesteps\": 1, \"rescale_betas_zero_snr\": true}", "ddim", 1, format, "rescale_betas_zero_snr");
    expect_error("{\"original_inference_steps\": 2000}", "lcm", 4, format, "original_inference_steps");
}

static void bad_options(void **state)
{
    (void)state;
    static const char ddim[] = "{\"_class_name\": \"DDIMScheduler\"}";
    struct sampler *s;
    static const double strengths[] = {-0.5, 1.01, 0.09, NAN};
    for (size_t i = 0; i < COUNT(strengths); i++)
        assert_fails(make(ddim, &(struct sampler_options){.steps = 10, .strength = strengths[i]}, &s), CLIO_ERROR_ARGUMENT, "strength is ");
    assert_fails(make(ddim, &(struct sampler_options){.steps = 10, .eta = 2}, &s), CLIO_ERROR_ARGUMENT, "eta");
    assert_fails(make(ddim, &(struct sampler_options){.steps = 10, .spacing = "wide"}, &s), CLIO_ERROR_ARGUMENT, "trailing");
    assert_fails(make(ddim, &(struct sampler_options){.steps = 10, .method = "pndm", .strength = 0.5}, &s), CLIO_ERROR_UNSUPPORTED,
                 "skip_prk_steps");
}

/* Spellings of names; missing fields have the class's defaults. */
static void names_and_defaults(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"DPM++ 2M Karras", "dpm++2m_karras"},
                                           {"dpmpp_2m_sde", "dpm++2m_sde"},
                                           {"Euler a", "euler_a"},
                                           {"euler_ancestral", "euler_a"},
                                           {"PLMS", "pndm"},
                                           {"uni-pc", "unipc"}};
    struct sampler *s;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_ok(make("{}", &(struct sampler_options){.method = names[i][0], .steps = 5}, &s));
        assert_string_equal(s->method, names[i][1]);
        sampler_free(s);
    }
    assert_ok(
        make("{\"_class_name\": \"DPMSolverMultistepScheduler\", \"algorithm_type\": \"sde-dpmsolver++\", \"use_karras_sigmas\": true}",
             &(struct sampler_options){.steps = 5}, &s));
    assert_string_equal(s->method, "dpm++2m_sde_karras");
    assert_true(s->is_stochastic && s->first == 0 && s->count == 5);
    sampler_free(s);
    assert_ok(make("{\"_class_name\": \"DDIMScheduler\", \"timestep_spacing\": null, \"trained_betas\": null}",
                   &(struct sampler_options){.steps = 1000}, &s));
    assert_true(s->config.train_steps == 1000 && s->config.clip == 1 && s->config.alpha_to_one && s->config.spacing == SAMPLER_LEADING);
    assert_true(s->timesteps[0] == 999 && s->timesteps[999] == 0 && !s->is_stochastic);
    sampler_free(s);
    assert_ok(make("{}", &(struct sampler_options){.method = "ddim", .steps = 10, .strength = 1}, &s));
    assert_true(s->first == 0);
    sampler_free(s);
    assert_ok(make("{}", &(struct sampler_options){.method = "heun", .steps = 10, .strength = 0.7}, &s)); /* (int)(10 * 0.7) is 7 */
    assert_true(s->first == 6 && s->count == 19);
    sampler_free(s);
}

/* Trailing spacing with numbers of steps for which rounding gives diffusers one timestep too many, -1. */
static void trailing_spacing_ends_at_zero(void **state)
{
    (void)state;
    struct sampler *s;
    for (int steps = 1; steps <= 1000; steps++) {
        assert_ok(make("{}", &(struct sampler_options){.method = "euler", .steps = steps, .spacing = "trailing"}, &s));
        assert_true(s->count == steps && s->timesteps[0] == 999 && s->timesteps[steps - 1] >= 0);
        sampler_free(s);
    }
}

static void misuse_is_an_error(void **state)
{
    (void)state;
    struct sampler *s;
    float x[8] = {0}, out[8] = {0};
    struct random r;
    struct sampler_noise three = {&r, 3};
    random_seed(&r, RANDOM_TORCH_CPU, 0);
    assert_ok(make("{}", &(struct sampler_options){.method = "ddim", .steps = 2}, &s));
    assert_fails(sampler_step(test_context(), s, 1, out, x, NULL), CLIO_ERROR_INTERNAL, "0 of 2");
    assert_ok(sampler_step(test_context(), s, 0, out, x, NULL));
    assert_ok(sampler_step(test_context(), s, 1, out, x, NULL));
    assert_fails(sampler_step(test_context(), s, 2, out, x, NULL), CLIO_ERROR_INTERNAL, "2 of 2");
    sampler_free(s);
    assert_ok(make("{}", &(struct sampler_options){.method = "euler_a", .steps = 2}, &s));
    assert_fails(sampler_step(test_context(), s, 0, out, x, NULL), CLIO_ERROR_INTERNAL, "generator");
    assert_fails(sampler_step(test_context(), s, 0, out, x, &three), CLIO_ERROR_INTERNAL, "generator");
    sampler_free(s);
    sampler_free(NULL);
}

/* How often the network is evaluated, at which timesteps the run begins and ends, and to which step each evaluation belongs (as digits). */
static void steps_and_ends(void **state)
{
    (void)state;
    static const struct {
        const char *json, *method;
        int steps;
        double strength;
        const char *numbers;
        float from, to, last_sigma; /* last_sigma: after the last step; -1: the method has none */
    } cases[] = {
        {"{}", "euler", 5, 0, "01234", 999, 0, 0},
        {"{\"timestep_spacing\": \"leading\"}", "euler", 5, 0, "01234", 801, 1, 0},
        {"{\"timestep_spacing\": \"trailing\"}", "euler", 5, 0, "01234", 999, 199, 0},
        {"{}", "euler_a", 5, 0, "01234", 999, 0, 0},
        {"{}", "heun", 4, 0, "0011223", 999, 0, 0},
        {"{}", "heun", 4, 0.5, "001", 333, 0, 0},
        {"{}", "dpm++2m", 5, 0, "01234", 999, 200, 0},
        {"{}", "dpm++2m_karras", 5, 0.6, "012", 593, 0, 0},
        {"{}", "unipc", 5, 0, "01234", 999, 200, 0},
        {"{}", "ddim", 5, 0, "01234", 801, 1, -1},
        {"{}", "ddim", 10, 0.35, "012", 201, 1, -1},
        {"{}", "ddpm", 5, 0.2, "0", 1, 1, -1},
        {"{}", "lcm", 4, 0, "0123", 999, 259, -1},
        {"{\"skip_prk_steps\": true}", "pndm", 5, 0, "001234", 801, 1, -1},
        {"{\"skip_prk_steps\": true}", "pndm", 10, 0.3, "0012", 301, 1, -1},
        {"{\"skip_prk_steps\": false}", "pndm", 5, 0, "00001111222234", 801, 1, -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sampler *s;
        char numbers[32] = "";
        const struct sampler_options options = {
            .method = cases[i].method, .steps = cases[i].steps, .strength = cases[i].strength, .stable_diffusion = true};
        assert_ok(make(cases[i].json, &options, &s));
        for (int k = s->first; k < s->count; k++)
            snprintf(numbers + strlen(numbers), sizeof numbers - strlen(numbers), "%d", sampler_step_number(s, k));
        if (strcmp(numbers, cases[i].numbers) != 0)
            fail_msg("case %zu (%s): the evaluations belong to steps %s, expected %s", i, cases[i].method, numbers, cases[i].numbers);
        float from = s->timesteps[s->first], to = s->timesteps[s->count - 1];
        if (rintf(from) != cases[i].from || rintf(to) != cases[i].to)
            fail_msg("case %zu (%s): timesteps %g to %g, expected %g to %g", i, cases[i].method, (double)from, (double)to,
                     (double)cases[i].from, (double)cases[i].to);
        assert_true(cases[i].last_sigma < 0 || s->sigmas[s->count] == cases[i].last_sigma);
        sampler_free(s);
    }
    assert_string_equal(sampler_prediction_name(SAMPLER_EPSILON), "epsilon");
    assert_string_equal(sampler_prediction_name(SAMPLER_V_PREDICTION), "v_prediction");
    assert_string_equal(sampler_prediction_name(SAMPLER_SAMPLE), "sample");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ignored_fields),   cmocka_unit_test(samples_match_diffusers),    cmocka_unit_test(saved_configurations),
        cmocka_unit_test(golden_timesteps), cmocka_unit_test(guidance_matches_diffusers), cmocka_unit_test(unsupported_configurations),
        cmocka_unit_test(bad_options),      cmocka_unit_test(names_and_defaults),         cmocka_unit_test(trailing_spacing_ends_at_zero),
        cmocka_unit_test(steps_and_ends),   cmocka_unit_test(misuse_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
