/* sampler_config.c - read scheduler_config.json as diffusers' classes do. Each class has its own fields and defaults; fields of other
 * classes are ignored. A field of the class that clio does not support is an error. Source: diffusers, schedulers/scheduling_*.py
 * (__init__), configuration_utils.py (from_config). */
#include "sampler_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { /* fields of some classes */
       CLIP = 1,
       ALPHA_TO_ONE = 2,
       ZERO_SNR = 4,
       SIGMAS = 8, /* use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas */
       FINAL = 16, /* final_sigmas_type */
       THRESHOLD = 32,
       SIGMA_ENDS = 64, /* sigma_min, sigma_max */
       SPACED = 128,    /* timestep_spacing, steps_offset */
       FLOW = 256
};
static const struct class_row {
    const char *name;
    enum sampler_method method;
    unsigned fields;
    bool clip;
    const char *spacing, *shown; /* shown: name of the method */
} classes[] = {
    {"PNDMScheduler", SAMPLER_PNDM, ALPHA_TO_ONE | SPACED, false, "leading", "pndm"},
    {"DDIMScheduler", SAMPLER_DDIM, CLIP | ALPHA_TO_ONE | ZERO_SNR | THRESHOLD | SPACED, true, "leading", "ddim"},
    {"DDPMScheduler", SAMPLER_DDPM, CLIP | ZERO_SNR | THRESHOLD | SPACED, true, "leading", "ddpm"},
    {"LCMScheduler", SAMPLER_LCM, CLIP | ALPHA_TO_ONE | ZERO_SNR | THRESHOLD, false, "leading", "lcm"},
    {"EulerDiscreteScheduler", SAMPLER_EULER, ZERO_SNR | SIGMAS | FINAL | SIGMA_ENDS | SPACED, false, "linspace", "euler"},
    {"EulerAncestralDiscreteScheduler", SAMPLER_EULER_A, ZERO_SNR | SPACED, false, "linspace", "euler_a"},
    {"HeunDiscreteScheduler", SAMPLER_HEUN, CLIP | SIGMAS | SPACED, false, "linspace", "heun"},
    {"DPMSolverMultistepScheduler", SAMPLER_DPM, ZERO_SNR | SIGMAS | FINAL | THRESHOLD | SPACED | FLOW, false, "linspace", "dpm++2m"},
    {"UniPCMultistepScheduler", SAMPLER_UNIPC, ZERO_SNR | SIGMAS | FINAL | THRESHOLD | SIGMA_ENDS | SPACED | FLOW, false, "linspace",
     "unipc"},
};
static const struct method_row {
    const char *name;
    enum sampler_method method;
    bool karras, sde; /* of dpm++: override the configuration */
} methods[] = {
    {"pndm", SAMPLER_PNDM, false, false},       {"ddim", SAMPLER_DDIM, false, false},
    {"ddpm", SAMPLER_DDPM, false, false},       {"euler", SAMPLER_EULER, false, false},
    {"euler_a", SAMPLER_EULER_A, false, false}, {"heun", SAMPLER_HEUN, false, false},
    {"dpm++2m", SAMPLER_DPM, false, false},     {"dpm++2m_karras", SAMPLER_DPM, true, false},
    {"dpm++2m_sde", SAMPLER_DPM, false, true},  {"dpm++2m_sde_karras", SAMPLER_DPM, true, true},
    {"unipc", SAMPLER_UNIPC, false, false},     {"lcm", SAMPLER_LCM, false, false},
};

const char *sampler_methods(void)
{
    return "pndm, ddim, ddpm, euler, euler_a, heun, dpm++2m, dpm++2m_karras, dpm++2m_sde, dpm++2m_sde_karras, unipc, lcm";
}

/* Lower case, without spaces, - and _, and "pp" as "++". */
static void normalize_name(char *out, size_t size, const char *name)
{
    size_t at = 0;
    for (; *name && at + 1 < size; name++) {
        char c = (char)tolower((unsigned char)*name);
        if (c == ' ' || c == '-' || c == '_')
            continue;
        bool plus = c == 'p' && at > 0 && (out[at - 1] == '+' || tolower((unsigned char)name[1]) == 'p');
        out[at] = plus ? '+' : c;
        at++;
    }
    out[at] = 0;
}

static const struct method_row *find_method(const char *name)
{
    static const char *const aliases[][2] = {
        {"plms", "pndm"}, {"eulerancestral", "eulera"}, {"dpmsolver++", "dpm++2m"}, {"unipcmultistep", "unipc"}};
    char wanted[64], known[64];
    normalize_name(wanted, sizeof wanted, name);
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (strcmp(wanted, aliases[i][0]) == 0)
            snprintf(wanted, sizeof wanted, "%s", aliases[i][1]);
    for (size_t i = 0; i < COUNT(methods); i++) {
        normalize_name(known, sizeof known, methods[i].name);
        if (strcmp(wanted, known) == 0)
            return &methods[i];
    }
    return NULL;
}

static const struct class_row *class_of(enum sampler_method method)
{
    for (size_t i = 0; i < COUNT(classes); i++)
        if (classes[i].method == method)
            return &classes[i];
    return NULL;
}

clio_status sampler_number(clio_context *ctx, const struct json_file *file, const char *key, double min, double max, double otherwise,
                           double *out)
{
    clio_status st = CLIO_OK;
    json_t *value = json_object_get(file->root, key);
    *out = otherwise;
    if (!value || json_is_null(value))
        return CLIO_OK;
    *out = json_number_value(value);
    if (!json_is_number(value) || !(*out >= min && *out <= max))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" must be a number from %g to %g", file->path, key, min, max);
fail:
    return st;
}

/* *out: index of a string field among the `count` supported choices. */
static clio_status read_choice(clio_context *ctx, const struct json_file *file, const char *key, const char *otherwise,
                               const char *const *choices, int count, int *out)
{
    clio_status st = CLIO_OK;
    const char *text;
    char list[256] = "";
    TRY(json_text(ctx, file, key, otherwise, &text));
    for (int i = 0; i < count; i++)
        if (strcmp(text, choices[i]) == 0) {
            *out = i;
            return CLIO_OK;
        }
    for (int i = 0; i < count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", choices[i]);
    FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"%s\" is \"%s\"; clio samples with %s: choose another sampler or edit the file", file->path,
         key, text, list);
fail:
    return st;
}

/* A field that must be missing, null, false or empty. */
static clio_status require_unset(clio_context *ctx, const struct json_file *file, const char *key)
{
    clio_status st = CLIO_OK;
    json_t *value = json_object_get(file->root, key);
    if (value && !json_is_null(value) && !json_is_false(value) && !(json_is_array(value) && json_array_size(value) == 0))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: \"%s\" is set, which clio does not sample with: choose another sampler (%s) or remove the field", file->path, key,
             sampler_methods());
fail:
    return st;
}

/* A UNet that predicts the variance, too; other values of variance_type (DDPM's fixed_small) do not matter to a solver. */
static clio_status refuse_learned(clio_context *ctx, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    const char *type = json_string_value(json_object_get(file->root, "variance_type"));
    if (type && (!strcmp(type, "learned") || !strcmp(type, "learned_range")))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: \"variance_type\" is \"%s\": the network predicts the variance, too, which clio does not read: use another model",
             file->path, type);
fail:
    return st;
}

static clio_status read_sigmas(clio_context *ctx, struct sampler_config *c, const struct json_file *file, unsigned fields)
{
    clio_status st = CLIO_OK;
    bool karras = false, exponential = false;
    int final = 0;
    if (fields & SIGMAS) {
        TRY(require_unset(ctx, file, "use_beta_sigmas"));
        TRY(json_bool(ctx, file, "use_karras_sigmas", false, &karras));
        TRY(json_bool(ctx, file, "use_exponential_sigmas", false, &exponential));
        if (karras && exponential)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s sets both use_karras_sigmas and use_exponential_sigmas: remove one of them", file->path);
    }
    c->sigmas = karras ? SAMPLER_SIGMAS_KARRAS : exponential ? SAMPLER_SIGMAS_EXPONENTIAL : SAMPLER_SIGMAS_PLAIN;
    if (fields & FINAL)
        TRY(read_choice(ctx, file, "final_sigmas_type", "zero", (const char *const[]){"zero", "sigma_min"}, 2, &final));
    c->final_sigma_min = final == 1;
    if (fields & SIGMA_ENDS) {
        TRY(sampler_number(ctx, file, "sigma_min", 1e-6, 1e6, 0, &c->sigma_min));
        TRY(sampler_number(ctx, file, "sigma_max", 1e-6, 1e6, 0, &c->sigma_max));
    }
    if (fields & FLOW) /* flow_shift and time_shift_type matter with them only */
        TRY(require_unset(ctx, file, "use_flow_sigmas"));
fail:
    return st;
}

/* named: the method's name sets algorithm, sigmas and order, like keyword arguments of from_config; NULL: the file sets them. */
static clio_status read_dpm(clio_context *ctx, struct sampler_config *c, const struct json_file *file, const struct method_row *named)
{
    clio_status st = CLIO_OK;
    int algorithm = 0, solver = 0;
    TRY(require_unset(ctx, file, "use_lu_lambdas"));
    TRY(refuse_learned(ctx, file));
    /* as in diffusers, solver types of other classes mean midpoint, and deis means dpmsolver++ */
    TRY(read_choice(ctx, file, "solver_type", "midpoint", (const char *const[]){"midpoint", "heun", "logrho", "bh1", "bh2"}, 5, &solver));
    if (named) {
        c->sigmas = named->karras ? SAMPLER_SIGMAS_KARRAS : SAMPLER_SIGMAS_PLAIN;
        c->sde = named->sde;
        c->solver_order = 2;
    } else {
        TRY(read_choice(ctx, file, "algorithm_type", "dpmsolver++", (const char *const[]){"dpmsolver++", "sde-dpmsolver++", "deis"}, 3,
                        &algorithm));
        c->sde = algorithm == 1;
        TRY(json_int(ctx, file, "solver_order", 1, 3, 2, &c->solver_order));
    }
    c->heun_solver = solver == 1;
    TRY(json_bool(ctx, file, "lower_order_final", true, &c->lower_order_final));
    TRY(json_bool(ctx, file, "euler_at_final", false, &c->euler_at_final));
    TRY(sampler_number(ctx, file, "lambda_min_clipped", -1e308, 1e308, -1e308, &c->lambda_min));
fail:
    return st;
}

static clio_status read_unipc(clio_context *ctx, struct sampler_config *c, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    int solver = 0;
    bool predict_x0;
    TRY(require_unset(ctx, file, "disable_corrector"));
    TRY(require_unset(ctx, file, "solver_p"));
    TRY(require_unset(ctx, file, "shift_terminal"));
    TRY(require_unset(ctx, file, "use_dynamic_shifting"));
    TRY(json_int(ctx, file, "solver_order", 1, 3, 2, &c->solver_order));
    TRY(read_choice(ctx, file, "solver_type", "bh2", (const char *const[]){"bh2", "bh1", "midpoint", "heun", "logrho"}, 5, &solver));
    c->bh1 = solver == 1;
    TRY(json_bool(ctx, file, "lower_order_final", true, &c->lower_order_final));
    TRY(json_bool(ctx, file, "predict_x0", true, &predict_x0));
    if (!predict_x0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"predict_x0\" is false, which is not supported: remove the field", file->path);
    if (c->final_sigma_min && c->sigmas != SAMPLER_SIGMAS_PLAIN)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: \"final_sigmas_type\" sigma_min with karras or exponential sigmas makes unipc's last step empty: set it to zero",
             file->path);
    if (!c->lower_order_final && !c->final_sigma_min && c->solver_order > 1)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"lower_order_final\" is false, which makes unipc's last step undefined: remove the field",
             file->path);
fail:
    return st;
}

/* Fields of a single class. */
static clio_status read_special(clio_context *ctx, struct sampler_config *c, const struct json_file *file, const struct method_row *named)
{
    clio_status st = CLIO_OK;
    int index = 0;
    switch (c->method) {
    case SAMPLER_PNDM:
        TRY(json_bool(ctx, file, "skip_prk_steps", false, &c->skip_prk));
        break;
    case SAMPLER_DDPM:
        TRY(read_choice(ctx, file, "variance_type", "fixed_small", (const char *const[]){"fixed_small", "fixed_small_log", "fixed_large"},
                        3, &index));
        c->variance = (enum sampler_variance)index;
        break;
    case SAMPLER_LCM:
        TRY(json_int(ctx, file, "original_inference_steps", 1, c->train_steps, 50, &c->original_steps));
        TRY(sampler_number(ctx, file, "timestep_scaling", 1e-6, 1e6, 10, &c->timestep_scaling));
        break;
    case SAMPLER_EULER:
        TRY(read_choice(ctx, file, "interpolation_type", "linear", (const char *const[]){"linear"}, 1, &index));
        if (c->prediction == SAMPLER_V_PREDICTION) /* otherwise diffusers ignores it */
            TRY(read_choice(ctx, file, "timestep_type", "discrete", (const char *const[]){"discrete"}, 1, &index));
        break;
    case SAMPLER_DPM:
        TRY(read_dpm(ctx, c, file, named));
        break;
    case SAMPLER_UNIPC:
        TRY(read_unipc(ctx, c, file));
        break;
    default:
        break;
    }
fail:
    return st;
}

static clio_status read_prediction(clio_context *ctx, struct sampler_config *c, const struct json_file *file, const char *name)
{
    clio_status st = CLIO_OK;
    int index = 0;
    TRY(read_choice(ctx, file, "prediction_type", "epsilon", (const char *const[]){"epsilon", "v_prediction", "sample"}, 3, &index));
    c->prediction = (enum sampler_prediction)index;
    if (c->prediction == SAMPLER_SAMPLE && (c->method == SAMPLER_PNDM || c->method == SAMPLER_EULER_A))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: prediction_type \"sample\" has no meaning for %s: choose another sampler (%s)", file->path,
             name, sampler_methods());
fail:
    return st;
}

bool sampler_is_known(const char *name)
{
    return find_method(name) != NULL;
}

bool sampler_class_is_known(const char *name)
{
    for (size_t i = 0; name && i < COUNT(classes); i++)
        if (!strcmp(name, classes[i].name))
            return true;
    return false;
}

/* Choose the method by options->method, else by the file's class. */
static clio_status choose_method(clio_context *ctx, struct sampler *s, const struct json_file *file, const char *name,
                                 const struct method_row **named)
{
    clio_status st = CLIO_OK;
    const char *class_name;
    char list[512] = "";
    const struct class_row *row = NULL;
    TRY(json_text(ctx, file, "_class_name", name ? "" : NULL, &class_name));
    for (size_t i = 0; i < COUNT(classes); i++) {
        if (strcmp(class_name, classes[i].name) == 0)
            row = &classes[i];
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", classes[i].name);
    }
    *named = name ? find_method(name) : NULL;
    if (name && !*named)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no sampler \"%.64s\": choose one of %s", name, sampler_methods());
    if (!name && !row)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s or model_index.json asks for the scheduler %.64s, which clio does not have (it has %s): choose a sampler (%s)", file->path,
             class_name, list, sampler_methods());
    s->config.method = *named ? (*named)->method : row->method;
fail:
    return st;
}

clio_status sampler_configure(clio_context *ctx, struct sampler *s, const struct json_file *file, const struct sampler_options *options)
{
    clio_status st = CLIO_OK;
    static const char *const spacings[] = {"leading", "linspace", "trailing"};
    struct sampler_config *c = &s->config;
    const struct method_row *named;
    int index = 0;
    bool clip = false;
    double range = 1;
    TRY(choose_method(ctx, s, file, options->method, &named));
    const struct class_row *row = class_of(c->method);
    TRY(json_int(ctx, file, "num_train_timesteps", 1, 100000, 1000, &c->train_steps));
    TRY(read_prediction(ctx, c, file, row->shown));
    if (row->fields & SPACED) {
        TRY(read_choice(ctx, file, "timestep_spacing", row->spacing, spacings, 3, &index));
        TRY(json_int(ctx, file, "steps_offset", 0, c->train_steps, 0, &c->steps_offset));
    }
    if (row->fields & THRESHOLD)
        TRY(require_unset(ctx, file, "thresholding"));
    if (row->fields & CLIP) {
        TRY(json_bool(ctx, file, "clip_sample", row->clip, &clip));
        TRY(sampler_number(ctx, file, "clip_sample_range", 1e-6, 1e6, 1, &range));
    }
    if (row->fields & ALPHA_TO_ONE)
        TRY(json_bool(ctx, file, "set_alpha_to_one", c->method != SAMPLER_PNDM, &c->alpha_to_one));
    if (row->fields & ZERO_SNR)
        TRY(json_bool(ctx, file, "rescale_betas_zero_snr", false, &c->zero_snr));
    TRY(read_sigmas(ctx, c, file, row->fields));
    TRY(read_special(ctx, c, file, named));
    if (options->stable_diffusion) {
        c->steps_offset = 1;
        clip = false;
    }
    if (options->spacing) {
        for (index = 0; index < 3 && strcmp(options->spacing, spacings[index]) != 0; index++)
            ;
        if (index == 3)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no timestep spacing \"%.64s\": choose leading, linspace or trailing",
                 options->spacing);
    }
    c->spacing = (enum sampler_spacing)index;
    c->clip = clip ? range : 0;
    s->method = named ? named->name : row->shown;
    for (size_t i = 0; i < COUNT(methods) && c->method == SAMPLER_DPM; i++)
        if (methods[i].method == SAMPLER_DPM && methods[i].sde == c->sde && methods[i].karras == (c->sigmas == SAMPLER_SIGMAS_KARRAS))
            s->method = methods[i].name;
fail:
    return st;
}
