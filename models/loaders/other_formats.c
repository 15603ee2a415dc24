/* other_formats.c - recognize models of other programs by their first bytes, or a folder's files. See other_formats.h. Sources: the format
 * descriptions of GGUF and ggml, zip and pickle (torch.save), HDF5 (Keras), CTranslate2's converters, PEFT's and diffusers' file names. */
#include "other_formats.h"
#include "../../host/core/file_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_SIZE 4

static const struct {
    char magic[MAGIC_SIZE + 1];
    const char *format;
    bool is_weights; /* weights.h reads it, but where a whole model is looked for it lacks the rest */
} magics[] = {
    {"GGUF", "a GGUF file (stable-diffusion.cpp, llama.cpp)", false},
    {"lmgg", "a GGML file (whisper.cpp)", false},
    {"fmgg", "a GGML file", false},
    {"tjgg", "a GGML file", false},
    {"\x89HDF", "a Keras file (HDF5)", false},
    {"PK\3\4", "a PyTorch file (.pt, .pth, .ckpt) or another zip archive", true},
    {"\x80\2\x8a\n", "a PyTorch file of an old version (.pt, .pth, .ckpt)", true},
};
static const struct {
    const char *ending, *format;
} endings[] = {
    {".onnx", "an ONNX model"},        {".xml", "an OpenVINO model"}, {".mlmodelc", "a Core ML model"},
    {".mlpackage", "a Core ML model"}, {".msgpack", "a Flax model"},  {".tflite", "a TensorFlow Lite model"},
    {".engine", "a TensorRT engine"},  {".gguf", "a GGUF file"},      {".h5", "a Keras file (HDF5)"},
};

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

/* The format of a file; NULL: not one of another program, or weights where those will do. */
static const char *file_format(const char *path, bool weights_will_do)
{
    char start[MAGIC_SIZE] = {0};
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(start, 1, sizeof start, file) : 0;
    if (file)
        fclose(file);
    for (size_t i = 0; i < COUNT(magics) && got == sizeof start; i++)
        if (!memcmp(start, magics[i].magic, sizeof start))
            return magics[i].is_weights && weights_will_do ? NULL : magics[i].format;
    for (size_t i = 0; i < COUNT(endings); i++)
        if (ends_with(path, endings[i].ending))
            return endings[i].format;
    return NULL;
}

static clio_status has(clio_context *ctx, const char *folder, const char *name, bool *found)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    TRY(file_join(ctx, &path, folder, name));
    TRY(file_check_exists(ctx, path, found));
fail:
    free(path);
    return st;
}

/* CTranslate2 converts Whisper to model.bin, config.json and a vocabulary. */
static clio_status refuse_ctranslate(clio_context *ctx, const char *folder, const char *model)
{
    static const char *const vocabularies[] = {"vocabulary.json", "vocabulary.txt", "shared_vocabulary.json", "shared_vocabulary.txt"};
    clio_status st = CLIO_OK;
    bool weights, found = false;
    TRY(has(ctx, folder, "model.bin", &weights));
    for (size_t i = 0; i < COUNT(vocabularies) && weights && !found; i++)
        TRY(has(ctx, folder, vocabularies[i], &found));
    if (found)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a CTranslate2 folder (faster-whisper), which clio does not read: use %s", folder, model);
fail:
    return st;
}

static bool has_safetensors(const struct file_names *names)
{
    bool found = false;
    for (size_t i = 0; i < names->count && !found; i++)
        found = ends_with(names->list[i], ".safetensors");
    return found;
}

static clio_status refuse_adapter(clio_context *ctx, const char *folder, const char *adapter)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors", "pytorch_lora_weights.safetensors"};
    clio_status st = CLIO_OK;
    bool found = false, is_model;
    TRY(has(ctx, folder, "config.json", &is_model));
    for (size_t i = 0; i < COUNT(names) && !found; i++)
        TRY(has(ctx, folder, names[i], &found));
    if (found && !is_model)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a LoRA, not a model: use the model that it was made for, and %s", folder, adapter);
fail:
    return st;
}

/* The only files of the folder are in another format: name the first one. */
static clio_status refuse_files(clio_context *ctx, const char *folder, const struct file_names *names, const char *model)
{
    clio_status st = CLIO_OK;
    const char *format = NULL;
    char *path = NULL;
    for (size_t i = 0; i < names->count && !format; i++) {
        if (names->list[i][0] == '.' || strstr(names->list[i], "pytorch_model")) /* which clio reads */
            continue;
        free(path);
        path = NULL;
        TRY(file_join(ctx, &path, folder, names->list[i]));
        format = file_format(path, false);
    }
    if (format)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is %s, which is not a model that clio reads: use %s", path, format, model);
fail:
    free(path);
    return st;
}

clio_status other_format_refuse(clio_context *ctx, const char *path, const char *model, const char *adapter, bool takes_weights)
{
    clio_status st = CLIO_OK;
    struct file_names names = {0};
    bool is_folder;
    TRY(file_check_folder(ctx, path, &is_folder));
    const char *format = is_folder ? NULL : file_format(path, takes_weights);
    if (format)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is %s, which is not a model that clio reads: use %s", path, format, model);
    if (!is_folder)
        return CLIO_OK;
    TRY(refuse_adapter(ctx, path, adapter));
    TRY(file_names_read(ctx, &names, path, NULL));
    if (!has_safetensors(&names)) { /* otherwise it is a model that clio reads, beside others */
        TRY(refuse_ctranslate(ctx, path, model));
        TRY(refuse_files(ctx, path, &names, model));
    }
fail:
    file_names_free(&names);
    return st;
}
