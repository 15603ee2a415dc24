/* embed_files.c - see embed.h. Source of the .npy format, version 1.0: NumPy, numpy.lib.format. */
#include "embed.h"
#include "say.h"
#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NPY_ALIGNMENT 64
#define READ_AT_ONCE ((size_t)1 << 16)

/* ---- lines ---- */

/* The whole stream with a zero behind it, for the caller to free; NULL: errno says why. */
static char *read_stream(FILE *in, size_t *size)
{
    char *data = NULL;
    FILE *out = open_memstream(&data, size);
    char block[READ_AT_ONCE];
    size_t n;
    if (!out)
        return NULL;
    while ((n = fread(block, 1, sizeof block, in)) > 0 && fwrite(block, 1, n, out) == n)
        continue;
    bool whole = !ferror(in) && !ferror(out);
    if (fclose(out) || !whole) {
        free(data);
        return NULL;
    }
    return data;
}

/* Cut the data into lines. A line end may be CR LF; behind the last one there is no line. */
static int split(struct lines *lines, size_t size, const char *name)
{
    for (char *at = lines->data, *end = at + size; at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at)), *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > at && stop[-1] == '\r')
            stop--;
        *stop = 0;
        words_add(&lines->texts, at);
        if (strlen(at) != (size_t)(stop - at) || !text_is_valid(at)) {
            say_error("line %zu of %s is not UTF-8 text: save it as UTF-8", lines->texts.count, name);
            return EXIT_FAILED;
        }
        at = next;
    }
    return EXIT_DONE;
}

int lines_read(struct lines *lines, const char *path)
{
    FILE *in = path ? fopen(path, "rb") : stdin;
    const char *name = path ? path : "standard input";
    size_t size = 0;
    errno = 0;
    lines->data = in ? read_stream(in, &size) : NULL;
    int error = errno;
    if (in && path)
        fclose(in);
    if (!lines->data) {
        say_error("%s cannot be read: %s; check its name and permissions", name, strerror(error ? error : ENOMEM));
        return EXIT_FAILED;
    }
    return split(lines, size, name);
}

void lines_free(struct lines *lines)
{
    free(lines->data);
    free(lines->texts.items);
}

/* ---- .npy ---- */

bool npy_is_name(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".npy");
}

void npy_add(struct npy *npy, const float *values, size_t rows, size_t columns)
{
    size_t needed = (npy->rows + rows) * columns;
    if (needed > npy->capacity) {
        size_t capacity = needed > 2 * npy->capacity ? needed : 2 * npy->capacity;
        float *grown = must_alloc(capacity * sizeof *grown);
        if (npy->data)
            memcpy(grown, npy->data, npy->rows * columns * sizeof *grown);
        free(npy->data);
        npy->data = grown;
        npy->capacity = capacity;
    }
    memcpy(npy->data + npy->rows * columns, values, rows * columns * sizeof *values);
    npy->rows += rows;
    npy->columns = columns;
}

int npy_save(struct session *s, const struct npy *npy, const char *path)
{
    static const uint16_t one = 1;
    static const unsigned char magic[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    bool little = *(const unsigned char *)&one == 1;
    size_t columns = npy->rows ? npy->columns : (size_t)clio_embedder_get_info(s->devices[0].embedder).width;
    size_t bytes = npy->rows * columns * sizeof *npy->data;
    char *dictionary =
        must_print("{'descr': '%cf4', 'fortran_order': False, 'shape': (%zu, %zu), }", little ? '<' : '>', npy->rows, columns);
    size_t used = 10 + strlen(dictionary) + 1, head = (used + NPY_ALIGNMENT - 1) / NPY_ALIGNMENT * NPY_ALIGNMENT;
    unsigned char *file = must_alloc(head + bytes);
    char *padded = must_print("%-*s\n", (int)(head - 11), dictionary);
    memcpy(file, magic, sizeof magic);
    file[8] = (unsigned char)((head - 10) & 0xff);
    file[9] = (unsigned char)((head - 10) >> 8);
    memcpy(file + 10, padded, head - 10);
    if (bytes)
        memcpy(file + head, npy->data, bytes);
    clio_status st = clio_file_write(s->ctx, path, file, head + bytes);
    free(dictionary);
    free(padded);
    free(file);
    return st ? session_failed(s, st) : EXIT_DONE;
}
