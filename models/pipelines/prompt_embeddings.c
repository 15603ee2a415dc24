/* prompt_embeddings.c - see prompt_embeddings.h. */
#define _XOPEN_SOURCE 700 /* strdup */
#include "prompt_embeddings.h"
#include "../../host/core/text.h"
#include "prompt_schedule.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "embedding:"
#define MOST_FILES 10000

static const char *const endings[] = {".safetensors", ".pt", ".bin"};

/* Length of a file's name without the extension of an embedding; 0: another file. */
static size_t stem_size(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot > name && i < COUNT(endings); i++)
        if (!strcasecmp(dot, endings[i]))
            return (size_t)(dot - name);
    return 0;
}

static clio_status add_file(clio_context *ctx, struct embeddings *e, size_t *capacity, const char *file, struct clip_tokenizer *t)
{
    clio_status st = CLIO_OK;
    size_t n = stem_size(file);
    if (!n)
        return CLIO_OK;
    if (e->count == MOST_FILES)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has more than %d embeddings: move those you do not need elsewhere", e->folder, MOST_FILES);
    TRY(mem_grow(ctx, &e->list, e->count, capacity, sizeof *e->list));
    struct embedding *one = &e->list[e->count++];
    *one = (struct embedding){.first_id = -1};
    TRY(mem_string(ctx, &one->name, file));
    one->name[n] = 0;
    TRY(file_join(ctx, &one->path, e->folder, file));
    if (!text_is_utf8(one->name)) /* no prompt can name it */
        return CLIO_OK;
    TRY(clip_tokenizer_encode(ctx, t, one->name, &one->ids, &one->id_count));
fail:
    return st;
}

/* More tokens first; then by name, so that the order of the folder's entries does not matter. */
static int compare(const void *a, const void *b)
{
    const struct embedding *x = a, *y = b;
    int order = (x->id_count < y->id_count) - (x->id_count > y->id_count);
    return order ? order : strcmp(x->path, y->path);
}

clio_status embeddings_open(clio_context *ctx, struct embeddings *e, const char *folder, struct clip_tokenizer *t, int vocab)
{
    clio_status st = CLIO_OK;
    size_t capacity = 0;
    DIR *dir = NULL;
    *e = (struct embeddings){.vocab = vocab};
    if (!folder)
        return CLIO_OK;
    TRY(mem_string(ctx, &e->folder, folder));
    dir = opendir(folder);
    if (!dir)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be opened: params.embedding_dir must be a folder of embeddings (.safetensors, .pt)", folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        TRY(add_file(ctx, e, &capacity, entry->d_name, t));
    if (e->count)
        qsort(e->list, e->count, sizeof *e->list, compare);
fail:
    if (dir)
        closedir(dir);
    if (st)
        embeddings_close(e);
    return st;
}

void embeddings_close(struct embeddings *e)
{
    for (size_t i = 0; i < e->count; i++) {
        free(e->list[i].name);
        free(e->list[i].path);
        free(e->list[i].ids);
        free(e->list[i].rows.rows);
    }
    free(e->list);
    free(e->folder);
    *e = (struct embeddings){0};
}

/* ---- names in the prompt ---- */

static bool is_name(char c)
{
    return prompt_is_word(c) || c == '-' || c == '.';
}

static const struct embedding *find_name(const struct embeddings *e, const char *name, size_t size)
{
    for (size_t i = 0; i < e->count; i++)
        if (strlen(e->list[i].name) == size && !strncasecmp(e->list[i].name, name, size))
            return &e->list[i];
    return NULL;
}

/* The embedding that text[0 .. *size) names, with or without an extension; full stops at its end are none of the name. */
static const struct embedding *find_reference(const struct embeddings *e, const char *text, size_t *size)
{
    for (;; --*size) {
        const struct embedding *one = find_name(e, text, *size);
        for (size_t i = 0; !one && i < COUNT(endings); i++) {
            size_t n = strlen(endings[i]);
            if (*size > n && !strncasecmp(text + *size - n, endings[i], n))
                one = find_name(e, text, *size - n);
        }
        if (one || !*size || text[*size - 1] != '.')
            return one;
    }
}

static size_t path_size(const char *name)
{
    size_t size = 0;
    while (is_name(name[size]) || name[size] == '/')
        size++;
    return size;
}

clio_status embeddings_resolve(clio_context *ctx, const struct embeddings *e, const char *text, struct bytes *out)
{
    clio_status st = CLIO_OK;
    size_t prefix = strlen(PREFIX);
    for (const char *at = text; *at;) {
        size_t size = 0;
        bool begins = !strncasecmp(at, PREFIX, prefix) && (at == text || !prompt_is_word(at[-1]));
        while (begins && is_name(at[prefix + size]))
            size++;
        if (!size && !(begins && at[prefix] == '/')) {
            TRY(bytes_add(ctx, out, at++, 1));
            continue;
        }
        const char *name = at + prefix;
        int length = (int)MIN(size, 80);
        bool is_path = name[size] == '/';
        const struct embedding *one = find_reference(e, name, &size);
        if (!one && !e->folder)
            FAIL(ctx, CLIO_ERROR_ARGUMENT,
                 "the prompt names the embedding \"%.*s\", but params.embedding_dir is not set: it must be the folder that has "
                 "%.*s.safetensors "
                 "or %.*s.pt",
                 length, name, length, name, length, name);
        if (!one && is_path)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "the prompt names the embedding \"%.*s\": write the name of a file in %s, without folders",
                 (int)MIN(path_size(name), 80), name, e->folder);
        if (!one)
            FAIL(ctx, CLIO_ERROR_FILE, "the prompt names the embedding \"%.*s\", and %s has no %.*s.safetensors or %.*s.pt", length, name,
                 e->folder, length, name, length, name);
        TRY(bytes_add(ctx, out, one->name, strlen(one->name)));
        at = name + size;
    }
    TRY(bytes_add(ctx, out, "", 0));
fail:
    return st;
}

clio_status embeddings_use(clio_context *ctx, struct embeddings *e, const int *ids, size_t count, struct embedding **out)
{
    clio_status st = CLIO_OK;
    *out = NULL;
    for (size_t i = 0; i < e->count && !*out; i++)
        if (e->list[i].id_count && e->list[i].id_count <= count && !memcmp(e->list[i].ids, ids, e->list[i].id_count * sizeof *ids))
            *out = &e->list[i];
    if (*out && (*out)->first_id < 0) {
        TRY(embedding_file_read(ctx, (*out)->path, &(*out)->rows));
        (*out)->first_id = e->vocab + e->vectors;
        e->vectors += (*out)->rows.vectors;
    }
fail:
    return st;
}

/* ---- the token table ---- */

static struct weight *find_table(struct weights *w)
{
    static const char *const names[] = {"text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight"};
    const struct weight *found = NULL;
    for (size_t i = 0; !found && i < COUNT(names); i++)
        found = weights_find(w, names[i]);
    return found && !found->problem && found->ndim == 2 ? &w->list[found - w->list] : NULL;
}

clio_status embeddings_extend(clio_context *ctx, const struct embeddings *e, const struct json_file *config, struct weights *weights)
{
    clio_status st = CLIO_OK;
    struct weight *table = e->vectors ? find_table(weights) : NULL;
    float *rows = NULL;
    if (!table || table->dim[0] != e->vocab) /* loading the network says what is wrong with it */
        return CLIO_OK;
    size_t width = (size_t)table->dim[1], before = table->count;
    TRY(mem_alloc(ctx, &rows, before + (size_t)e->vectors * width, sizeof *rows));
    TRY(weight_floats(ctx, table, 0, before, rows));
    for (size_t i = 0; i < e->count; i++) {
        const struct embedding *one = &e->list[i];
        if (one->first_id < 0)
            continue;
        if ((size_t)one->rows.width != width)
            FAIL(ctx, CLIO_ERROR_ARGUMENT,
                 "%s has vectors of %d numbers, and the text encoder of this model takes %zu: the embedding is for another model (768 are "
                 "of "
                 "Stable Diffusion 1, 1024 of 2)",
                 one->path, one->rows.width, width);
        memcpy(rows + (size_t)one->first_id * width, one->rows.rows, sizeof *rows * (size_t)one->rows.vectors * width);
    }
    json_t *nested = json_object_get(config->root, "text_config");
    TRY(json_put(ctx, nested ? nested : config->root, "vocab_size", json_integer(e->vocab + e->vectors)));
    free(table->owned);
    table->owned = rows;
    table->data = (const unsigned char *)rows;
    table->dtype = DTYPE_F32;
    table->dim[0] += e->vectors;
    table->count = before + (size_t)e->vectors * width;
    rows = NULL;
fail:
    free(rows);
    return st;
}
