/* lora.c - read a LoRA file: tensor names to modules, up and down matrices, scales. lora_merge.c merges it. See lora.h. */
#include "lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum member { MEMBER_DOWN, MEMBER_UP, MEMBER_ALPHA };

#define MODULES_MAX 10000           /* they are looked up one by one; networks have up to a thousand */
#define ADAPTER "base_model.model." /* begins the names of PEFT's adapters */

/* A parsed tensor name. */
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

/* Remove a suffix; false: text does not have it. */
static bool remove_suffix(char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    if (n < m || strcmp(text + n - m, suffix) != 0)
        return false;
    text[n - m] = 0;
    return true;
}

static void replace_suffix(char *text, const char *suffix, const char *with)
{
    if (remove_suffix(text, suffix))
        memcpy(text + strlen(text), with, strlen(with) + 1); /* short enough: see read_key */
}

/* ---- names ---- */

/* Find the part by the beginning of the name; *rest: the remainder. False: unknown. */
static bool find_part(const char *name, struct key *key, const char **rest)
{
    static const struct {
        const char *start;
        enum lora_part part;
        bool is_flat, keep_start; /* keep_start: the start belongs to the module's name */
    } starts[] = {{"lora_unet_", LORA_UNET, true, false},
                  {"lora_te_", LORA_TEXT_ENCODER, true, false},
                  {"lora_te1_", LORA_TEXT_ENCODER, true, false},
                  {"unet.", LORA_UNET, false, false},
                  {"text_encoder.", LORA_TEXT_ENCODER, false, false},
                  {"down_blocks.", LORA_UNET, false, true},
                  {"mid_block.", LORA_UNET, false, true},
                  {"up_blocks.", LORA_UNET, false, true},
                  {"conv_in.", LORA_UNET, false, true},
                  {"conv_out.", LORA_UNET, false, true},
                  {"time_embedding.", LORA_UNET, false, true},
                  {"text_model.", LORA_TEXT_ENCODER, false, true},
                  {"encoder.layers.", LORA_TEXT_ENCODER, false, true}};
    if (begins_with(name, ADAPTER))
        name += strlen(ADAPTER);
    for (size_t i = 0; i < COUNT(starts); i++)
        if (begins_with(name, starts[i].start)) {
            key->part = starts[i].part;
            key->is_flat = starts[i].is_flat;
            *rest = starts[i].keep_start ? name : name + strlen(starts[i].start);
            return true;
        }
    return false;
}

/* Convert the names of diffusers' old attention processors (LoRAAttnProcessor) and old text encoder layers to module names. */
static void convert_old_name(struct key *key)
{
    static const char *const text[][2] = {{".to_q", ".q_proj"}, {".to_k", ".k_proj"}, {".to_v", ".v_proj"}, {".to_out", ".out_proj"}};
    char *processor = strstr(key->name, ".processor.");
    if (processor)
        memmove(processor, processor + strlen(".processor"), strlen(processor + strlen(".processor")) + 1);
    if (key->part == LORA_UNET)
        replace_suffix(key->name, ".to_out", ".to_out.0");
    for (size_t i = 0; key->part == LORA_TEXT_ENCODER && i < COUNT(text); i++)
        replace_suffix(key->name, text[i][0], text[i][1]);
}

/* Tensors whose loss would change the result too much: an adapter of another type, or for another model. */
static clio_status check_supported(clio_context *ctx, const struct lora *lora, const char *name)
{
    static const char *const types[][2] = {{"hada_", "a LoHa"},
                                           {"lokr_", "a LoKr"},
                                           {"dora_scale", "a DoRA"},
                                           {"lora_magnitude_vector", "a DoRA"},
                                           {"lora_mid", "a LoCon with CP decomposition"},
                                           {"oft_", "an OFT"},
                                           {"lora_te2_", "a LoRA for Stable Diffusion XL"},
                                           {"text_encoder_2.", "a LoRA for Stable Diffusion XL"},
                                           {"transformer.", "a LoRA for another model family"}};
    static const char *const parts[] = {"model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.embedders."};
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < COUNT(parts); i++) /* names of the checkpoints of Stability AI */
        if (begins_with(name, parts[i]))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a whole checkpoint (tensor %.200s), not a LoRA: load it as the model", lora->file.path,
                 name);
    for (size_t i = 0; i < COUNT(types); i++)
        if (strstr(name, types[i][0]))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s is %s (tensor %.200s), which is not supported: use a plain LoRA for Stable Diffusion 1 or 2", lora->file.path,
                 types[i][1], name);
fail:
    return st;
}

/* False: not a tensor of a LoRA's module. */
static bool read_key(const char *name, struct key *key)
{
    static const struct {
        const char *end;
        enum member member;
    } suffixes[] = {{".lora_down.weight", MEMBER_DOWN},
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
    const char *rest;
    if (!find_part(name, key, &rest) || strlen(rest) + 8 > sizeof key->name) /* 8: added by convert_old_name */
        return false;
    memcpy(key->name, rest, strlen(rest) + 1);
    for (size_t i = 0; i < COUNT(suffixes); i++)
        if (remove_suffix(key->name, suffixes[i].end)) {
            key->member = suffixes[i].member;
            if (!key->is_flat)
                convert_old_name(key);
            return true;
        }
    return false;
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
    if (lora->count >= MODULES_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has more than %d modules, and no model has so many: use another LoRA", lora->file.path,
             MODULES_MAX);
    *out = &lora->list[lora->count];
    TRY(mem_string(ctx, &(*out)->name, key->name));
    (*out)->part = key->part;
    (*out)->is_flat = key->is_flat;
    (*out)->scale = NAN; /* no alpha yet */
    lora->count++;
fail:
    return st;
}

/* Add a tensor to its module. Until finish_module, module->scale holds alpha. */
static clio_status add_tensor(clio_context *ctx, struct lora *lora, const struct weight *w)
{
    clio_status st = CLIO_OK;
    struct lora_module *module;
    struct key key = {0};
    TRY(check_supported(ctx, lora, w->name));
    if (!read_key(w->name, &key)) {
        lora->foreign = lora->foreign ? lora->foreign : w->name;
        lora->foreign_count++;
        return CLIO_OK;
    }
    if (w->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %.200s %s", lora->file.path, w->name, w->problem);
    TRY(find_module(ctx, lora, &key, &module));
    if (key.member == MEMBER_ALPHA) {
        float alpha = NAN;
        if (w->count == 1)
            TRY(weight_floats(ctx, w, 0, 1, &alpha));
        if (!isfinite(alpha) || !isnan(module->scale))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s must be a single number and occur once: download it again", lora->file.path,
                 w->name);
        module->scale = alpha;
    } else {
        const struct weight **to = key.member == MEMBER_UP ? &module->up : &module->down;
        if (*to)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %.200s and %.200s belong to the same matrix: download it again", lora->file.path, (*to)->name,
                 w->name);
        *to = w;
    }
fail:
    return st;
}

static clio_status finish_module(clio_context *ctx, const struct lora *lora, struct lora_module *module, const struct lora_settings *s)
{
    clio_status st = CLIO_OK;
    int rank;
    if (!module->up || !module->down)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %.200s has no up or no down matrix: download it again", lora->file.path, module->name);
    rank = module->down->dim[0];
    if (module->down->ndim < 2 || module->up->ndim < 2 || rank < 1 || module->up->dim[1] != rank || !module->up->count ||
        !module->down->count || module->up->dim[2] != 1 || module->up->dim[3] != 1)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the shapes of the up and down matrices of %.200s do not match: download it again",
             lora->file.path, module->name);
    if (isnan(module->scale))
        TRY(lora_settings_scale(ctx, s, module, rank, &module->scale));
    else
        module->scale /= rank;
fail:
    return st;
}

/* The file of a LoRA in a folder: PEFT's and diffusers' names. */
static clio_status find_file(clio_context *ctx, const char *path, char **file)
{
    static const char *const names[] = {"adapter_model.safetensors", "pytorch_lora_weights.safetensors"};
    clio_status st = CLIO_OK;
    bool is_folder, exists;
    TRY(file_check_folder(ctx, path, &is_folder));
    if (!is_folder)
        return mem_string(ctx, file, path);
    for (size_t i = 0; i < COUNT(names); i++) {
        TRY(file_join(ctx, file, path, names[i]));
        TRY(file_check_exists(ctx, *file, &exists));
        if (exists)
            return CLIO_OK;
        free(*file);
        *file = NULL;
    }
    FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder without %s or %s: use the LoRA's .safetensors file in it", path, names[0], names[1]);
fail:
    return st;
}

clio_status lora_open(clio_context *ctx, struct lora *lora, const char *path)
{
    clio_status st = CLIO_OK;
    struct lora_settings settings = {0};
    char *file = NULL;
    bool is_adapter = false;
    memset(lora, 0, sizeof *lora);
    TRY(find_file(ctx, path, &file));
    TRY(weights_open(ctx, &lora->file, file, ""));
    TRY(mem_alloc(ctx, &lora->list, lora->file.count, sizeof *lora->list));
    for (size_t i = 0; i < lora->file.count; i++) {
        is_adapter = is_adapter || begins_with(lora->file.list[i].name, ADAPTER);
        TRY(add_tensor(ctx, lora, &lora->file.list[i]));
    }
    if (!lora->count)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has no matrices of a LoRA%s%.200s%s: use a plain LoRA for Stable Diffusion 1 or 2", path,
             lora->foreign ? " (the first tensor is " : "", lora->foreign ? lora->foreign : "", lora->foreign ? ")" : "");
    TRY(lora_settings_open(ctx, &settings, &lora->file, is_adapter));
    for (size_t i = 0; i < lora->count; i++)
        TRY(finish_module(ctx, lora, &lora->list[i], &settings));
fail:
    lora_settings_close(&settings);
    free(file);
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
