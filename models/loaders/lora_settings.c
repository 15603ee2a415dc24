/* lora_settings.c - the scale of a LoRA without alpha tensors, by PEFT's LoraConfig: W += lora_alpha / r up down, with lora_alpha and r of
 * a module from alpha_pattern and rank_pattern, and the root of r with use_rslora. diffusers writes the LoraConfig of each part into the
 * file's metadata ("unet.lora_alpha": 4), PEFT into adapter_config.json beside adapter_model.safetensors. Source: PEFT,
 * tuners/lora/config.py, tuners/lora/layer.py (update_layer), utils/other.py (get_pattern_key). */
#include "lora.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ALPHA 8 /* of LoraConfig */

/* Of regular expressions that are keys; a look at a name takes at most some milliseconds. */
#define EXPRESSIONS_MAX 100
#define WORKSPACE 4000 /* numbers, for the places in a pattern that can be reached at once */
#define CALLS_MAX 200  /* of PCRE2's matching function by itself: one for each assertion or recursion */
#define HEAP_MAX 1024  /* KiB */

/* A setting of the part that a module belongs to; NULL: absent. */
static json_t *setting(const struct lora_settings *s, enum lora_part part, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", !s->has_parts ? "" : part == LORA_UNET ? "unet." : "text_encoder.", name);
    return json_object_get(s->file.root, key);
}

static bool has_settings(const struct lora_settings *s, enum lora_part part)
{
    const char *prefix = part == LORA_UNET ? "unet." : "text_encoder.", *key;
    json_t *value;
    json_object_foreach(s->file.root, key, value)
    {
        if (!s->has_parts || !strncmp(key, prefix, strlen(prefix)))
            return true;
    }
    return false;
}

/* Settings under which "up down" is not the whole update. */
static clio_status check_type(clio_context *ctx, const struct lora_settings *s, enum lora_part part)
{
    clio_status st = CLIO_OK;
    const char *type = json_string_value(setting(s, part, "peft_type"));
    if (type && strcmp(type, "LORA") != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes an adapter of type %.40s, which is not supported: use a plain LoRA", s->file.path,
             type);
    if (json_is_true(setting(s, part, "use_dora")))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes a DoRA (use_dora), which is not supported: use a plain LoRA", s->file.path);
    if (json_is_true(setting(s, part, "fan_in_fan_out")))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes transposed weights (fan_in_fan_out), which is not supported: use another LoRA",
             s->file.path);
fail:
    return st;
}

clio_status lora_settings_open(clio_context *ctx, struct lora_settings *s, const struct weights *file, bool is_adapter)
{
    clio_status st = CLIO_OK;
    char *metadata = NULL, *folder = NULL, *path = NULL;
    const char *slash = strrchr(file->path, '/');
    bool exists;
    *s = (struct lora_settings){0};
    TRY(weights_note(ctx, file, "lora_adapter_metadata", &metadata));
    if (metadata) {
        TRY(mem_string(ctx, &s->file.path, file->path));
        s->has_parts = true;
        st = json_parse(ctx, metadata, strlen(metadata), 0, "its metadata", &s->file.root);
        TRY(st == CLIO_ERROR_FORMAT ? CLIO_OK : st); /* the next lines say it with the file's name */
        if (!json_is_object(s->file.root))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the metadata lora_adapter_metadata is not valid JSON: download it again", file->path);
    } else if (is_adapter) {
        TRY(mem_string(ctx, &folder, slash ? file->path : "."));
        if (slash)
            folder[MAX(slash - file->path, 1)] = 0;
        TRY(file_join(ctx, &path, folder, "adapter_config.json"));
        TRY(file_check_exists(ctx, path, &exists));
        if (!exists)
            FAIL(ctx, CLIO_ERROR_FILE,
                 "%s is an adapter of PEFT, whose strength is in adapter_config.json (lora_alpha), and %s does not exist: put both files "
                 "into one folder",
                 file->path, path);
        TRY(json_open(ctx, &s->file, folder, "adapter_config.json"));
    }
    TRY(check_type(ctx, s, LORA_UNET));
    TRY(check_type(ctx, s, LORA_TEXT_ENCODER));
fail:
    free(metadata);
    free(folder);
    free(path);
    if (st)
        lora_settings_close(s);
    return st;
}

void lora_settings_close(struct lora_settings *s)
{
    json_close(&s->file);
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80 || *text < ' ')
            return false;
    return true;
}

/* A key without characters of regular expressions but ".", as most are. */
static bool is_literal(const char *key, const char *name)
{
    return is_plain(key) && is_plain(name) && !strpbrk(key, "\\^$*+?()[]{}|");
}

static bool literal_matches(const char *key, const char *name)
{
    size_t n = strlen(key), size = strlen(name);
    if (n > size || (n < size && name[size - n - 1] != '.'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (key[i] != '.' && key[i] != name[size - n + i])
            return false;
    return true;
}

/* By the algorithm of PCRE2 that does not go back, as a pattern may make the usual one try 2^n ways. It refuses back references. */
static clio_status expression_matches(clio_context *ctx, const struct lora_settings *s, const char *key, const char *name, bool *matches)
{
    clio_status st = CLIO_OK;
    struct bytes pattern = {0};
    pcre2_code *code = NULL;
    pcre2_match_data *match = NULL;
    pcre2_match_context *limits = NULL;
    int error = 0, workspace[WORKSPACE];
    PCRE2_SIZE at = 0;
    TRY(bytes_print(ctx, &pattern, "(.*\\.)?(%s)$", key));
    code = pcre2_compile((PCRE2_SPTR)pattern.data, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_UTF, &error, &at, NULL);
    if (!code)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the pattern \"%.200s\" of a rank or alpha is not a valid regular expression: correct it",
             s->file.path, key);
    match = pcre2_match_data_create(1, NULL);
    limits = pcre2_match_context_create(NULL);
    if (!match || !limits)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    pcre2_set_match_limit(limits, CALLS_MAX);
    pcre2_set_heap_limit(limits, HEAP_MAX);
    error = pcre2_dfa_match(code, (PCRE2_SPTR)name, PCRE2_ZERO_TERMINATED, 0, 0, match, limits, workspace, WORKSPACE);
    if (error < 0 && error != PCRE2_ERROR_NOMATCH)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: the pattern \"%.200s\" of a rank or alpha is a regular expression that is too complex: use names of modules",
             s->file.path, key);
    *matches = error >= 0;
fail:
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    bytes_free(&pattern);
    return st;
}

/* A number of the module: of the first key of the pattern that means it (PEFT: the regular expression (.*\.)?(KEY)$), else the setting
 * `name`, else `otherwise`. */
static clio_status module_number(clio_context *ctx, const struct lora_settings *s, const struct lora_module *module, const char *pattern,
                                 const char *name, double otherwise, double *out)
{
    clio_status st = CLIO_OK;
    json_t *value = setting(s, module->part, name), *other;
    const char *key;
    bool matches = false;
    int expressions = 0;
    json_object_foreach(setting(s, module->part, pattern), key, other)
    {
        if (is_literal(key, module->name))
            matches = literal_matches(key, module->name);
        else if (++expressions <= EXPRESSIONS_MAX)
            TRY(expression_matches(ctx, s, key, module->name, &matches));
        else
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: \"%s\" has more than %d regular expressions: use names of modules", s->file.path,
                 pattern, EXPRESSIONS_MAX);
        if (matches) {
            value = other;
            break;
        }
    }
    *out = value ? json_number_value(value) : otherwise;
    if ((value && !json_is_number(value)) || !isfinite(*out))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"%s\" of %.200s must be a number: download it again", s->file.path, name, module->name);
fail:
    return st;
}

clio_status lora_settings_scale(clio_context *ctx, const struct lora_settings *s, const struct lora_module *module, int rank, double *scale)
{
    clio_status st = CLIO_OK;
    double alpha, expected;
    *scale = 1;
    if (!has_settings(s, module->part))
        return CLIO_OK;
    TRY(module_number(ctx, s, module, "alpha_pattern", "lora_alpha", DEFAULT_ALPHA, &alpha));
    TRY(module_number(ctx, s, module, "rank_pattern", "r", rank, &expected));
    if (expected != rank)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s says that %.200s has rank %g, and its matrices have rank %d: the files do not belong together",
             s->file.path, module->name, expected, rank);
    *scale = alpha / (json_is_true(setting(s, module->part, "use_rslora")) ? sqrt(rank) : rank);
fail:
    return st;
}
