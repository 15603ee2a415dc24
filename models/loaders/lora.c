/* lora.c - find out what a LoRA file changes: names to modules, pairs of matrices, scales. Merging is in lora_merge.c. */
#include "lora.h"

#include "../../host/core/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum member { MEMBER_DOWN, MEMBER_UP, MEMBER_ALPHA };

/* What the name of a tensor says. */
struct key {
    char name[256]; /* of the module */
    enum lora_part part;
    enum member member;
    bool is_flat;
};

static bool begins_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

/* Cut the ending off; false: there is none. */
static bool cut_ending(char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    if (n < m || strcmp(text + n - m, ending) != 0)
        return false;
    text[n - m] = 0;
    return true;
}

static void replace_ending(char *text, const char *ending, const char *with)
{
    if (cut_ending(text, ending))
        memcpy(text + strlen(text), with, strlen(with) + 1); /* both are short, and there is room for them: see read_key */
}

/* ---- names ---- */

/* The part, told by the beginning of the name, which *rest is behind; false: neither. */
static bool find_part(const char *name, struct key *key, const char **rest)
{
    static const struct {
        const char *start;
        enum lora_part part;
        bool is_flat, is_kept; /* kept: the start belongs to the module's name */
    } starts[] = {{"lora_unet_", LORA_UNET, true, false},
                  {"lora_te_", LORA_TEXT_ENCODER, true, false},
                  {"lora_te1_", LORA_TEXT_ENCODER, true, false},
                  {"unet.", LORA_UNET, false, false},
                  {"text_encoder.", LORA_TEXT_ENCODER, false, false},
                  {"down_blocks.", LORA_UNET, false, true},
                  {"mid_block.", LORA_UNET, false, true},
                  {"up_blocks.", LORA_UNET, false, true},
                  {"text_model.", LORA_TEXT_ENCODER, false, true}};
    if (begins_with(name, "base_model.model."))
        name += strlen("base_model.model.");
    for (size_t i = 0; i < COUNT(starts); i++)
        if (begins_with(name, starts[i].start)) {
            key->part = starts[i].part;
            key->is_flat = starts[i].is_flat;
            *rest = starts[i].is_kept ? name : name + strlen(starts[i].start);
            return true;
        }
    return false;
}

/* The names of diffusers' old attention processors, and of its layers inside the text encoder, to the modules that they change. */
static void modernise(struct key *key)
{
    static const char *const text[][2] = {{".to_q", ".q_proj"}, {".to_k", ".k_proj"}, {".to_v", ".v_proj"}, {".to_out", ".out_proj"}};
    char *processor = strstr(key->name, ".processor.");
    if (processor)
        memmove(processor, processor + strlen(".processor"), strlen(processor + strlen(".processor")) + 1);
    if (key->part == LORA_UNET)
        replace_ending(key->name, ".to_out", ".to_out.0");
    for (size_t i = 0; key->part == LORA_TEXT_ENCODER && i < COUNT(text); i++)
        replace_ending(key->name, text[i][0], text[i][1]);
}

static clio_status fail_kind(clio_context *ctx, const struct lora *lora, const char *name)
{
    static const char *const kinds[][2] = {{"hada_", "a LoHa"},
                                           {"lokr_", "a LoKr"},
                                           {"dora_scale", "a DoRA"},
                                           {"lora_magnitude_vector", "a DoRA"},
                                           {"lora_mid", "a LoCon with a middle (CP decomposition)"},
                                           {"oft_", "an OFT"},
                                           {"lora_te2_", "a LoRA for Stable Diffusion XL"},
                                           {"text_encoder_2.", "a LoRA for Stable Diffusion XL"},
                                           {"transformer.", "a LoRA for another family of models"}};
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strstr(name, kinds[i][0]))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s is %s (tensor %.200s), and clio merges plain LoRA for Stable Diffusion 1 and 2: choose another", lora->file.path,
                 kinds[i][1], name);
    FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: the tensor %.200s is no part of a LoRA that clio knows: choose one for Stable Diffusion 1 or 2",
         lora->file.path, name);
fail:
    return st;
}

static clio_status read_key(clio_context *ctx, const struct lora *lora, const char *name, struct key *key)
{
    static const struct {
        const char *end;
        enum member member;
    } ends[] = {{".lora_down.weight", MEMBER_DOWN},
                {".lora_up.weight", MEMBER_UP},
                {".lora_A.weight", MEMBER_DOWN},
                {".lora_B.weight", MEMBER_UP},
                {".lora_A.default.weight", MEMBER_DOWN},
                {".lora_B.default.weight", MEMBER_UP},
                {".lora_linear_layer.down.weight", MEMBER_DOWN},
                {".lora_linear_layer.up.weight", MEMBER_UP},
                {".lora.down.weight", MEMBER_DOWN},
                {".lora.up.weight", MEMBER_UP},
                {"_lora.down.weight", MEMBER_DOWN},
                {"_lora.up.weight", MEMBER_UP},
                {".alpha", MEMBER_ALPHA}};
    clio_status st = CLIO_OK;
    const char *rest;
    if (!find_part(name, key, &rest) || strlen(rest) + 8 > sizeof key->name) /* 8: what modernise may add */
        return fail_kind(ctx, lora, name);
    memcpy(key->name, rest, strlen(rest) + 1);
    for (size_t i = 0; i < COUNT(ends); i++)
        if (cut_ending(key->name, ends[i].end)) {
            key->member = ends[i].member;
            if (!key->is_flat)
                modernise(key);
            return CLIO_OK;
        }
    TRY(fail_kind(ctx, lora, name));
fail:
    return st;
}

/* ---- modules ---- */

static clio_status find_module(clio_context *ctx, struct lora *lora, const struct key *key, struct lora_module **out)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < lora->count; i++) {
        *out = &lora->list[i];
        if ((*out)->part == key->part && (*out)->is_flat == key->is_flat && !strcmp((*out)->name, key->name))
            return CLIO_OK;
    }
    *out = &lora->list[lora->count];
    TRY(mem_string(ctx, &(*out)->name, key->name));
    (*out)->part = key->part;
    (*out)->is_flat = key->is_flat;
    (*out)->scale = NAN; /* no alpha yet */
    lora->count++;
fail:
    return st;
}

/* Put one tensor where it belongs. For an alpha, module->scale holds it until finish_module. */
static clio_status place(clio_context *ctx, struct lora *lora, const struct weight *w)
{
    clio_status st = CLIO_OK;
    struct lora_module *module;
    struct key key;
    TRY(read_key(ctx, lora, w->name, &key));
    if (w->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %.200s %s", lora->file.path, w->name, w->problem);
    TRY(find_module(ctx, lora, &key, &module));
    if (key.member == MEMBER_ALPHA) {
        float alpha = NAN;
        if (w->count == 1)
            weight_floats(w, 0, 1, &alpha);
        if (!isfinite(alpha) || !isnan(module->scale))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s should be one number, once: download it again", lora->file.path, w->name);
        module->scale = alpha;
    } else {
        const struct weight **to = key.member == MEMBER_UP ? &module->up : &module->down;
        if (*to)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %.200s and %.200s are for the same place: download it again", lora->file.path, (*to)->name,
                 w->name);
        *to = w;
    }
fail:
    return st;
}

/* diffusers keeps PEFT's settings in a note ("unet.lora_alpha": 4): alpha for all modules of a part, or by the end of a module's name, and
 * rsLoRA's root. */
static double noted_alpha(const json_t *settings, const struct lora_module *module, bool *is_root)
{
    bool is_unet = module->part == LORA_UNET;
    json_t *pattern = json_object_get(settings, is_unet ? "unet.alpha_pattern" : "text_encoder.alpha_pattern"), *value;
    const json_t *alpha = json_object_get(settings, is_unet ? "unet.lora_alpha" : "text_encoder.lora_alpha");
    const char *end;
    *is_root = json_is_true(json_object_get(settings, is_unet ? "unet.use_rslora" : "text_encoder.use_rslora"));
    json_object_foreach(pattern, end, value)
    {
        size_t n = strlen(module->name), m = strlen(end);
        if (n >= m && !strcmp(module->name + n - m, end) && (n == m || module->name[n - m - 1] == '.'))
            alpha = value;
    }
    return json_is_number(alpha) ? json_number_value(alpha) : NAN;
}

static clio_status finish_module(clio_context *ctx, const struct lora *lora, struct lora_module *module, const json_t *settings)
{
    clio_status st = CLIO_OK;
    bool is_root = false;
    int rank;
    if (!module->up || !module->down)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %.200s has only one of its two matrices: download it again", lora->file.path, module->name);
    rank = module->down->dim[0];
    if (module->down->ndim < 2 || module->up->ndim < 2 || rank < 1 || module->up->dim[1] != rank || !module->up->count ||
        !module->down->count || module->up->dim[2] != 1 || module->up->dim[3] != 1)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the two matrices of %.200s cannot be multiplied: download it again", lora->file.path,
             module->name);
    if (isnan(module->scale))
        module->scale = noted_alpha(settings, module, &is_root);
    if (isnan(module->scale))
        module->scale = 1;
    else
        module->scale /= is_root ? sqrt(rank) : rank;
fail:
    return st;
}

clio_status lora_open(clio_context *ctx, struct lora *lora, const char *path)
{
    clio_status st = CLIO_OK;
    json_t *settings = NULL;
    char *note = NULL;
    memset(lora, 0, sizeof *lora);
    if (file_is_folder(path))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: name the LoRA's .safetensors file in it", path);
    TRY(weights_open(ctx, &lora->file, path, ""));
    TRY(mem_alloc(ctx, &lora->list, lora->file.count, sizeof *lora->list));
    if (!lora->file.count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s holds nothing: download it again", path);
    for (size_t i = 0; i < lora->file.count; i++)
        TRY(place(ctx, lora, &lora->file.list[i]));
    TRY(weights_note(ctx, &lora->file, "lora_adapter_metadata", &note));
    settings = note ? json_loads(note, 0, NULL) : NULL;
    if (note && !json_is_object(settings))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the note lora_adapter_metadata is not valid JSON: download it again", path);
    for (size_t i = 0; i < lora->count; i++)
        TRY(finish_module(ctx, lora, &lora->list[i], settings));
fail:
    free(note);
    json_decref(settings);
    if (st)
        lora_close(lora);
    return st;
}

void lora_close(struct lora *lora)
{
    for (size_t i = 0; i < lora->count; i++)
        free(lora->list[i].name);
    free(lora->list);
    weights_close(&lora->file);
    memset(lora, 0, sizeof *lora);
}
