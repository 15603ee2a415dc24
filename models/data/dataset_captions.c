/* dataset_captions.c - captions of images and sounds: metadata files, and text files next to them. */
#include "dataset_private.h"

#include "../../host/core/file.h"
#include "../image/image.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- text files ---- */

/* The text of a file as one line, trimmed; "" of an empty one. */
static clio_status read_text(clio_context *ctx, const char *path, char **out)
{
    clio_status st = CLIO_OK;
    struct file_content map = {NULL, 0};
    struct bytes text = {NULL, 0, 0};
    struct stat info;
    size_t at = 0;
    *out = NULL;
    TRY(bytes_add(ctx, &text, "", 0));
    if (!stat(path, &info) && !info.st_size)
        goto done;
    TRY(file_load(ctx, &map, path));
    if (map.size > DATASET_CAPTION_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has %zu bytes, too many for a caption: use at most %d", path, map.size, DATASET_CAPTION_MAX);
    if (map.size >= 3 && !memcmp(map.data, "\xef\xbb\xbf", 3))
        at = 3;
    for (; at < map.size; at++) {
        char c = (char)map.data[at];
        bool breaks = c == '\n' || c == '\r' || c == '\t';
        if (c == 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not a text file: a caption must be plain text in UTF-8", path);
        if ((breaks || c == ' ') && (!text.size || text.data[text.size - 1] == ' '))
            continue;
        TRY(bytes_add(ctx, &text, breaks ? " " : &c, 1));
    }
    if (text.size && text.data[text.size - 1] == ' ')
        text.data[--text.size] = 0;
    if (text.size && !text_is_utf8(text.data))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not valid UTF-8: save it in UTF-8", path);
done:
    *out = text.data;
    text.data = NULL;
fail:
    bytes_free(&text);
    file_unload(&map);
    return st;
}

/* Length of a name without its ending, the dot included. */
static size_t stem_length(const char *name)
{
    return (size_t)(strrchr(name, '.') - name) + 1;
}

/* The samples with the same stem as a text file, returned as first and *count. Sorted by name, "cat.jpg" and "cat.png" are together, but
 * "cat.x.png" can be between them. */
static size_t find_samples(const struct dataset *ds, const char *text, size_t *count)
{
    size_t stem = stem_length(text), low = 0, high = ds->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(ds->samples[middle].name, text, stem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *count = 0;
    while (low + *count < ds->count && !strncmp(ds->samples[low + *count].name, text, stem))
        ++*count;
    return low;
}

static bool has_stem_of(const struct dataset *ds, const char *text, size_t i)
{
    const char *suffix = ds->samples[i].name + stem_length(text);
    return !strchr(suffix, '.') && !strchr(suffix, '/');
}

static clio_status read_caption(clio_context *ctx, struct dataset *ds, const char *name, bool *is_used)
{
    clio_status st = CLIO_OK;
    char *path = NULL, *text = NULL;
    size_t count, first = find_samples(ds, name, &count);
    *is_used = false;
    TRY(file_join(ctx, &path, ds->root, name));
    for (size_t i = first; i < first + count; i++) {
        struct sample *s = &ds->samples[i];
        if (!has_stem_of(ds, name, i))
            continue;
        *is_used = true;
        if (s->caption_count)
            continue;
        if (!text)
            TRY(read_text(ctx, path, &text));
        TRY(dataset_add_caption(ctx, s, text));
    }
fail:
    free(path);
    free(text);
    return st;
}

/* Common text files that are not captions. */
static bool is_documentation(const char *name)
{
    static const char *const words[] = {"readme", "license", "licence", "classes", "labels"};
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    for (size_t i = 0; i < COUNT(words); i++) {
        size_t n = 0;
        while (words[i][n] && tolower((unsigned char)base[n]) == words[i][n])
            n++;
        if (!words[i][n] && base[n] == '.')
            return true;
    }
    return false;
}

static clio_status read_captions(clio_context *ctx, struct dataset *ds, const struct entries *entries)
{
    clio_status st = CLIO_OK;
    const char *thing = ds->info.type == DATASET_SOUNDS ? "sound" : "image";
    bool *is_unused = NULL, has_captions = false;
    TRY(mem_alloc(ctx, &is_unused, entries->count, sizeof *is_unused));
    for (size_t i = 0; i < entries->count; i++) {
        bool is_used = true;
        if (entries->list[i].type != ENTRY_TEXT)
            continue;
        TRY(dataset_skip(ctx, ds, read_caption(ctx, ds, entries->list[i].name, &is_used)));
        is_unused[i] = !is_used && !is_documentation(entries->list[i].name);
        has_captions = has_captions || is_used;
    }
    for (size_t i = 0; has_captions && i < entries->count; i++) { /* if no text belongs to a sample, texts are not captions */
        if (!is_unused[i])
            continue;
        st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                       "the caption %s in %s has no %s of the same name: add the %s or remove the caption", entries->list[i].name, ds->root,
                       thing, thing);
        TRY(dataset_skip(ctx, ds, st));
        st = CLIO_OK;
    }
fail:
    free(is_unused);
    return st;
}

/* Names of the columns, separated by commas. */
static clio_status list_columns(clio_context *ctx, const struct dataset *ds, struct bytes *out)
{
    clio_status st = CLIO_OK;
    TRY(bytes_add(ctx, out, "", 0));
    for (size_t i = 0; i < ds->column_count; i++)
        TRY(bytes_print(ctx, out, "%s%s", i ? ", " : "", ds->columns[i].name));
fail:
    return st;
}

/* Metadata without any captions, where they are needed: name the columns that it has. */
static clio_status check_columns(clio_context *ctx, const struct dataset *ds)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    for (size_t i = 0; i < ds->count; i++)
        if (ds->samples[i].caption_count)
            return CLIO_OK;
    TRY(list_columns(ctx, ds, &names));
    if (ds->options.caption)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the metadata in %s has no captions in the column \"%s\": set caption_column to another one (it has %s)", ds->root,
             ds->options.caption, ds->column_count ? names.data : "no other");
    if (ds->options.need_captions && ds->column_count)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "the metadata in %s has no captions in a column text, caption, transcription, sentence or prompt: set "
             "caption_column to one of %s",
             ds->root, names.data);
fail:
    bytes_free(&names);
    return st;
}

clio_status dataset_captions(clio_context *ctx, struct dataset *ds, const struct entries *entries)
{
    clio_status st = CLIO_OK;
    bool has_metadata = false;
    for (size_t i = 0; i < entries->count; i++)
        if (entries->list[i].type == ENTRY_METADATA) {
            has_metadata = true;
            TRY(dataset_metadata(ctx, ds, entries->list[i].name));
        }
    for (size_t i = 0; !has_metadata && (ds->options.need_captions || ds->options.need_labels) && i < entries->count; i++)
        if (entries->list[i].type == ENTRY_TABLE)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s/%s cannot be read, and there is no other metadata: export it as metadata.csv or "
                 "metadata.jsonl with the column file_name",
                 ds->root, entries->list[i].name);
    TRY(read_captions(ctx, ds, entries));
    if (has_metadata)
        TRY(check_columns(ctx, ds));
fail:
    return st;
}
