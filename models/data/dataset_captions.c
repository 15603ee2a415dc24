/* dataset_captions.c - what is written about images and sounds: rows of metadata, and text files beside them. */
#include "dataset_private.h"

#include "../../host/core/file.h"
#include "../image/image.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- text files ---- */

/* A file's text in one line, without spaces at its ends. */
static clio_status read_text(clio_context *ctx, const char *path, char **out)
{
    clio_status st = CLIO_OK;
    struct file_map map = {NULL, 0};
    struct bytes text = {NULL, 0, 0};
    size_t at = 0;
    *out = NULL;
    TRY(file_map(ctx, &map, path));
    if (map.size > DATASET_CAPTION_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has %zu bytes, too much for a caption: at most %d", path, map.size, DATASET_CAPTION_MAX);
    if (map.size >= 3 && !memcmp(map.data, "\xef\xbb\xbf", 3))
        at = 3;
    for (; at < map.size; at++) {
        char c = (char)map.data[at];
        bool breaks = c == '\n' || c == '\r' || c == '\t';
        if (c == 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not a text: a caption is plain text in UTF-8", path);
        if ((breaks || c == ' ') && (!text.size || text.data[text.size - 1] == ' '))
            continue;
        TRY(bytes_add(ctx, &text, breaks ? " " : &c, 1));
    }
    if (text.size && text.data[text.size - 1] == ' ')
        text.data[--text.size] = 0;
    if (!text.size)
        FAIL(ctx, CLIO_ERROR_FORMAT, "the caption %s is empty: write one, or remove the file", path);
    if (!text_is_utf8(text.data))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not valid UTF-8: save it anew in that encoding", path);
    *out = text.data;
    text.data = NULL;
fail:
    bytes_free(&text);
    file_unmap(&map);
    return st;
}

/* The samples beside a text: [first, first + *count), all called as it is but for the ending. Sorted names keep "cat.jpg", "cat.png"
 * together, though "cat.x.png" may stand between them. */
static size_t beside(const struct dataset *ds, const char *text, size_t *count)
{
    size_t stem = strlen(text) - 3, low = 0, high = ds->count; /* with the dot */
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

static bool is_side_text(const struct dataset *ds, const char *text, size_t i)
{
    const char *ending = ds->samples[i].name + strlen(text) - 3;
    return !strchr(ending, '.') && !strchr(ending, '/');
}

static clio_status take_text(clio_context *ctx, struct dataset *ds, const char *name, bool *is_used)
{
    clio_status st = CLIO_OK;
    char *path = NULL, *text = NULL;
    size_t count, first = beside(ds, name, &count);
    *is_used = false;
    TRY(file_join(ctx, &path, ds->root, name));
    for (size_t i = first; i < first + count; i++) {
        struct sample *s = &ds->samples[i];
        if (!is_side_text(ds, name, i))
            continue;
        *is_used = true;
        if (s->caption)
            continue;
        if (!text)
            TRY(read_text(ctx, path, &text));
        TRY(mem_string(ctx, &s->caption, text));
    }
fail:
    free(path);
    free(text);
    return st;
}

/* Texts that lie in many folders and are no captions. */
static bool is_about_all(const char *name)
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

static clio_status take_texts(clio_context *ctx, struct dataset *ds, const struct entries *entries)
{
    clio_status st = CLIO_OK;
    const char *thing = ds->info.kind == DATASET_SOUNDS ? "sound" : "image";
    bool *is_lonely = NULL, has_captions = false;
    TRY(mem_alloc(ctx, &is_lonely, entries->count, sizeof *is_lonely));
    for (size_t i = 0; i < entries->count; i++) {
        bool is_used = true;
        if (entries->list[i].kind != ENTRY_TEXT)
            continue;
        TRY(dataset_skip(ctx, ds, take_text(ctx, ds, entries->list[i].name, &is_used)));
        is_lonely[i] = !is_used && !is_about_all(entries->list[i].name);
        has_captions = has_captions || is_used;
    }
    for (size_t i = 0; has_captions && i < entries->count; i++) { /* without any that is used, texts have another purpose */
        if (!is_lonely[i])
            continue;
        st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                       "the caption %s in %s has no %s of the same name beside it: add the %s or remove the text", entries->list[i].name,
                       ds->root, thing, thing);
        TRY(dataset_skip(ctx, ds, st));
        st = CLIO_OK;
    }
fail:
    free(is_lonely);
    return st;
}

clio_status dataset_captions(clio_context *ctx, struct dataset *ds, const struct entries *entries)
{
    clio_status st = CLIO_OK;
    bool has_metadata = false, has_caption = false;
    for (size_t i = 0; i < entries->count; i++)
        if (entries->list[i].kind == ENTRY_METADATA) {
            has_metadata = true;
            TRY(dataset_metadata(ctx, ds, entries->list[i].name));
        }
    for (size_t i = 0; i < ds->count; i++)
        has_caption = has_caption || ds->samples[i].caption;
    if (has_metadata && ds->options.caption && !has_caption)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the metadata in %s has no captions in a column \"%s\": name another column", ds->root,
             ds->options.caption);
    TRY(take_texts(ctx, ds, entries));
fail:
    return st;
}
