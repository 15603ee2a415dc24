/* prompt_loras.c - see prompt_loras.h. Source: stable-diffusion-webui, extensions-builtin/Lora/extra_networks_lora.py. */
#include "prompt_loras.h"
#include "prompt_schedule.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ENDING ".safetensors"
#define NAME_MAX_BYTES 500
#define STRENGTH_MAX 1000.0

/* ---- files ---- */

static bool ends_in(const char *name, size_t size, const char *ending)
{
    size_t n = strlen(ending);
    return size > n && !strncasecmp(name + size - n, ending, n);
}

/* The file NAME.safetensors in a folder, its extension in any case of letters; *path NULL: there is none. */
static clio_status find_in_folder(clio_context *ctx, const char *folder, const char *name, char **path)
{
    clio_status st = CLIO_OK;
    size_t n = strlen(name);
    DIR *dir = opendir(folder);
    *path = NULL;
    for (struct dirent *entry; dir && !*path && (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        bool is_stem = size == n + strlen(ENDING) && !strncmp(entry->d_name, name, n);
        if (ends_in(entry->d_name, size, ENDING) && (is_stem || !strcmp(entry->d_name, name)))
            TRY(file_join(ctx, path, folder, entry->d_name));
    }
fail:
    if (dir)
        closedir(dir);
    return st;
}

/* The path of a LoRA; the name may have folders before it. */
static clio_status find_lora(clio_context *ctx, const char *dir, const char *name, char **path)
{
    clio_status st = CLIO_OK;
    char *folder = NULL, *sub = NULL;
    const char *slash = strrchr(name, '/');
    *path = NULL;
    if (!dir)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the prompt names the LoRA \"%s\", but params.lora_dir is not set: it must be the folder that has %s" ENDING, name, name);
    if (*name == '/' || !strcmp(name, "..") || !strncmp(name, "../", 3) || strstr(name, "/../"))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the prompt names the LoRA \"%s\", which is outside %s: use a name in that folder", name, dir);
    TRY(mem_string(ctx, &folder, dir));
    if (slash) {
        TRY(mem_string(ctx, &sub, name));
        sub[slash - name] = 0;
        free(folder);
        folder = NULL;
        TRY(file_join(ctx, &folder, dir, sub));
    }
    TRY(find_in_folder(ctx, folder, slash ? slash + 1 : name, path));
    if (!*path)
        FAIL(ctx, CLIO_ERROR_FILE, "the prompt names the LoRA \"%s\", and %s has no %s" ENDING ": check the name", name, dir, name);
fail:
    free(folder);
    free(sub);
    return st;
}

/* ---- tags ---- */

/* A tag "<TYPE:NAME>" or "<TYPE:NAME:STRENGTH>" begins at `text`. Returns its size; 0: none. */
static size_t tag_size(const char *text, const char *type)
{
    size_t n = strlen(type), end;
    if (*text != '<' || strncmp(text + 1, type, n) != 0 || text[n + 1] != ':')
        return 0;
    end = strcspn(text, ">");
    return text[end] ? end + 1 : 0;
}

/* Read what follows the name: ":0.8", ":0.5:0.8", ":te=0.5:unet=0.8" or nothing. */
static bool read_strengths(const char *at, const char *end, struct lora_choice *out)
{
    static const char *const keys[] = {"te=", "unet="};
    double given[2] = {NAN, NAN}, by_key[2] = {NAN, NAN};
    int place = 0;
    while (at < end) {
        const char *from = at + 1, *to = from;
        double *strength = NULL;
        while (to < end && *to != ':')
            to++;
        at = to;
        for (int i = 0; i < 2; i++)
            if (!strncmp(from, keys[i], strlen(keys[i]))) {
                strength = &by_key[i];
                from += strlen(keys[i]);
            }
        if (!strength && place < 2)
            strength = &given[place++];
        while (from < to && prompt_is_space(*from))
            from++;
        while (to > from && prompt_is_space(to[-1]))
            to--;
        if (!strength || to == from || prompt_number(from, strength) != (size_t)(to - from) || fabs(*strength) > STRENGTH_MAX)
            return false;
    }
    double text_encoder = !isnan(by_key[0]) ? by_key[0] : !isnan(given[0]) ? given[0] : 1;
    out->text_encoder = (float)text_encoder;
    out->unet = (float)(!isnan(by_key[1]) ? by_key[1] : !isnan(given[1]) ? given[1] : text_encoder);
    return true;
}

static clio_status add_lora(clio_context *ctx, struct lora_names *names, const char *name, size_t size)
{
    clio_status st = CLIO_OK;
    size_t length = 0;
    char word[NAME_MAX_BYTES + 1];
    struct lora_choice choice = {0};
    while (length < size && name[length] != ':')
        length++;
    if (!length || length > NAME_MAX_BYTES || !read_strengths(name + length, name + size, &choice))
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the prompt has \"<lora:%.*s>\": write <lora:NAME:STRENGTH>, such as <lora:style:0.8>, or <lora:NAME:TEXT_ENCODER:UNET> with "
             "two "
             "strengths",
             (int)MIN(size, 80), name);
    memcpy(word, name, length);
    word[length] = 0;
    TRY(mem_grow(ctx, &names->list, names->count, &names->capacity, sizeof *names->list));
    names->list[names->count] = choice;
    TRY(find_lora(ctx, names->dir, word, &names->list[names->count].path));
    names->count++;
fail:
    return st;
}

clio_status prompt_loras_take(clio_context *ctx, const char *text, bool is_negative, struct lora_names *names, struct bytes *plain)
{
    clio_status st = CLIO_OK;
    static const char *const types[] = {"lora", "lyco"};
    for (const char *at = text; *at;) {
        size_t size = 0, prefix = strlen("<lora:");
        for (size_t i = 0; !size && i < COUNT(types); i++)
            size = tag_size(at, types[i]);
        if (tag_size(at, "hypernet"))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "the prompt names a hypernetwork (\"%.*s\"), which is not supported: leave it out",
                 (int)MIN(tag_size(at, "hypernet"), 80), at);
        if (size && is_negative)
            FAIL(ctx, CLIO_ERROR_ARGUMENT,
                 "params.negative_prompt has \"%.*s\", but a LoRA changes the whole model: name it in params.prompt", (int)MIN(size, 80),
                 at);
        if (size)
            TRY(add_lora(ctx, names, at + prefix, size - prefix - 1));
        else
            TRY(bytes_add(ctx, plain, at, 1));
        at += size ? size : 1;
    }
    TRY(bytes_add(ctx, plain, "", 0));
fail:
    return st;
}

bool lora_names_equal(const struct lora_names *names, const struct lora_choice *list, size_t count)
{
    bool same = names->count == count;
    for (size_t i = 0; same && i < count; i++)
        same = !strcmp(names->list[i].path, list[i].path) && names->list[i].text_encoder == list[i].text_encoder &&
               names->list[i].unet == list[i].unet;
    return same;
}

void lora_choices_free(struct lora_choice *list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        free(list[i].path);
    free(list);
}
