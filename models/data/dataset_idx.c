/* dataset_idx.c - images and labels in IDX files, the format of MNIST and its relatives (yann.lecun.com/exdb/mnist): two zero bytes, the
 * element type (8: unsigned bytes), the number of dimensions; the dimensions, 32 bits each, big-endian; the data. Files can be compressed
 * by gzip; if both exist, the uncompressed one is read. All data is kept in memory as bytes. The size in the header must match that of an
 * uncompressed file. Of a compressed one it is at most 1032 times the file (zlib's limit); more than MEMORY_FREE and MEMORY_PER_BYTE times
 * the file is refused, as is so large a list of tiny images, so that a small file cannot fill the memory. */
#include "dataset_private.h"

#include "../../host/core/file_tree.h"
#include "../../host/core/file.h"
#include "../image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define UNSIGNED_BYTES 8
#define MAX_DIMENSIONS 3
#define GZIP_MAX_RATIO 1032
#define FILES_MAX 64
#define MEMORY_FREE ((uint64_t)48 << 20)
#define MEMORY_PER_BYTE 16

struct idx {
    char *path;
    gzFile file;
    bool is_compressed;
    int dimensions;
    size_t size[MAX_DIMENSIONS], bytes;
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

static clio_status read_bytes(clio_context *ctx, const struct idx *idx, unsigned char *to, size_t size)
{
    clio_status st = CLIO_OK;
    while (size) {
        int n = gzread(idx->file, to, (unsigned)MIN(size, (size_t)1 << 30));
        if (n < 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged and cannot be decompressed: download it again", idx->path);
        if (n == 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is truncated: download or copy it again", idx->path);
        to += n;
        size -= (size_t)n;
    }
fail:
    return st;
}

/* Compute idx->bytes from the dimensions, and check it against the size of the file. */
static clio_status check_size(clio_context *ctx, struct idx *idx)
{
    clio_status st = CLIO_OK;
    struct file_in in = {0};
    unsigned char start[2] = {0};
    uint64_t bytes = 1, header = 4 + 4 * (uint64_t)idx->dimensions, limit;
    TRY(file_in_open(ctx, &in, idx->path));
    TRY(file_in_read(ctx, &in, 0, (size_t)MIN(in.size, sizeof start), start));
    limit = MEMORY_FREE + MEMORY_PER_BYTE * in.size;
    for (int i = 0; i < idx->dimensions; i++) {
        if (!idx->size[i])
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has a dimension of 0: download or copy it again", idx->path);
        if (i && idx->size[i] > IMAGE_SIDE_MAX)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has images of %zu pixels on a side, but at most %d are supported: download or copy it again",
                 idx->path, idx->size[i], IMAGE_SIDE_MAX);
        bytes *= idx->size[i]; /* below 2^62 */
    }
    idx->is_compressed = start[0] == 0x1f && start[1] == 0x8b;
    if (!idx->is_compressed && bytes + header > in.size)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is truncated: it should have %llu bytes and has %llu; download or copy it again", idx->path,
             (unsigned long long)(bytes + header), (unsigned long long)in.size);
    if (!idx->is_compressed && bytes + header < in.size)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: it has %llu bytes and should have %llu; download or copy it again", idx->path,
             (unsigned long long)in.size, (unsigned long long)(bytes + header));
    if (idx->is_compressed && bytes / GZIP_MAX_RATIO > in.size)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is truncated: it cannot contain the %llu bytes of its header; download or copy it again",
             idx->path, (unsigned long long)bytes);
    if (idx->is_compressed && bytes > limit)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s unpacks to %llu bytes, more than %d times its size: unpack it with gunzip, and use that file",
             idx->path, (unsigned long long)bytes, MEMORY_PER_BYTE);
    if (idx->dimensions == MAX_DIMENSIONS && 3 * idx->size[0] * (uint64_t)sizeof(struct sample) > limit)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has %zu images of only %zu x %zu pixels: use larger images, or fewer", idx->path,
             idx->size[0], idx->size[2], idx->size[1]);
    if (bytes > SIZE_MAX)
        FAIL(ctx, CLIO_ERROR_MEMORY, "%s is larger than this machine can address: use a 64-bit system", idx->path);
    idx->bytes = (size_t)bytes;
fail:
    file_in_close(&in);
    return st;
}

static void idx_close(struct idx *idx)
{
    if (idx->file)
        gzclose(idx->file);
    free(idx->path);
    memset(idx, 0, sizeof *idx);
}

/* path becomes owned by idx. */
static clio_status idx_open(clio_context *ctx, struct idx *idx, char *path, int dimensions)
{
    clio_status st = CLIO_OK;
    unsigned char head[4 + 4 * MAX_DIMENSIONS];
    memset(idx, 0, sizeof *idx);
    idx->path = path;
    idx->file = gzopen(path, "rb");
    if (!idx->file)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: check its permissions", path);
    TRY(read_bytes(ctx, idx, head, 4));
    if (head[0] || head[1])
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not an IDX file (its first two bytes are not zero): download it again", path);
    if (head[2] != UNSIGNED_BYTES)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has elements of type 0x%02x, which is not supported: use an IDX file of unsigned bytes (0x08)", path, head[2]);
    if (head[3] != dimensions)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %d dimensions, but %s have %d: check the names of the files", path, head[3],
             dimensions == 3 ? "images" : "labels", dimensions);
    idx->dimensions = dimensions;
    TRY(read_bytes(ctx, idx, head + 4, 4 * (size_t)dimensions));
    for (int i = 0; i < dimensions; i++) {
        const unsigned char *p = head + 4 + 4 * i;
        idx->size[i] = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    }
    TRY(check_size(ctx, idx));
fail:
    return st;
}

/* Read all data of an open file, and check that it ends there. */
static clio_status idx_read(clio_context *ctx, struct idx *idx, unsigned char **out)
{
    clio_status st = CLIO_OK;
    unsigned char extra;
    int n;
    TRY(mem_alloc(ctx, out, idx->bytes, 1));
    TRY(read_bytes(ctx, idx, *out, idx->bytes));
    n = gzread(idx->file, &extra, 1);
    if (n > 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: it has more data than its header says; download or copy it again", idx->path);
    if (n < 0) /* zlib checks the checksum at the end */
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: its checksum is wrong; download it again", idx->path);
fail:
    return st;
}

/* "train-labels-idx1-ubyte" for "train-images-idx3-ubyte.gz": uncompressed if it exists, else compressed, else NULL. */
static clio_status labels_path(clio_context *ctx, const char *dir, const char *images, char **out)
{
    clio_status st = CLIO_OK;
    struct bytes name = {NULL, 0, 0};
    const char *word = strstr(images, "images"), *number = strstr(images, "idx3");
    bool exists;
    *out = NULL;
    TRY(bytes_print(ctx, &name, "%.*slabels%.*sidx1-ubyte", (int)(word - images), images, (int)(number - word - 6), word + 6));
    for (int compressed = 0; compressed < 2; compressed++) {
        if (compressed)
            TRY(bytes_print(ctx, &name, ".gz"));
        TRY(file_join(ctx, out, dir, name.data));
        TRY(file_check_exists(ctx, *out, &exists));
        if (exists)
            break;
        free(*out);
        *out = NULL;
    }
fail:
    bytes_free(&name);
    return st;
}

static clio_status add_samples(clio_context *ctx, struct dataset *ds, const struct idx *images, enum dataset_split split,
                               const unsigned char *pixels, const unsigned char *labels)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < images->size[0]; i++) {
        struct sample *s;
        TRY(dataset_add(ctx, ds, &s));
        s->pixels = pixels + i * images->size[1] * images->size[2];
        s->height = (int)images->size[1];
        s->width = (int)images->size[2];
        s->split = split;
        if (labels)
            TRY(dataset_number_label(ctx, ds, s, labels[i]));
        ds->info.classes = MAX(ds->info.classes, s->label + 1);
    }
fail:
    return st;
}

/* Read a file of images and its labels. */
static clio_status read_pair(clio_context *ctx, struct dataset *ds, const char *name)
{
    clio_status st = CLIO_OK;
    enum dataset_split split = strstr(name, "t10k") || strstr(name, "test") ? DATASET_TEST : DATASET_TRAIN;
    struct idx images, labels;
    unsigned char *classes = NULL;
    char *path = NULL;
    memset(&images, 0, sizeof images);
    memset(&labels, 0, sizeof labels);
    TRY(file_join(ctx, &path, ds->root, name));
    if (ds->pixels[split])
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is one of several IDX files of images for the same split: put each dataset into its own folder",
             path);
    st = idx_open(ctx, &images, path, 3);
    path = NULL; /* owned by images */
    TRY(st);
    TRY(labels_path(ctx, ds->root, name, &path));
    if (path) {
        st = idx_open(ctx, &labels, path, 1);
        path = NULL;
        TRY(st);
        if (labels.size[0] != images.size[0])
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %zu images and %s %zu labels: use files that belong together", images.path, images.size[0],
                 labels.path, labels.size[0]);
        TRY(idx_read(ctx, &labels, &classes));
    }
    TRY(idx_read(ctx, &images, &ds->pixels[split]));
    if (ds->count && (ds->samples[0].width != (int)images.size[2] || ds->samples[0].height != (int)images.size[1]) && !ds->options.width)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has images of %zu x %zu pixels and the other file of %d x %d: set image_size to resize them",
             images.path, images.size[2], images.size[1], ds->samples[0].width, ds->samples[0].height);
    TRY(add_samples(ctx, ds, &images, split, ds->pixels[split], classes));
fail:
    idx_close(&images);
    idx_close(&labels);
    free(classes);
    free(path);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_images(const char *name)
{
    const char *word = strstr(name, "images"), *number = strstr(name, "idx3");
    return name[0] != '.' && word && number && number > word && (ends_with(name, "-ubyte") || ends_with(name, "-ubyte.gz"));
}

clio_status dataset_idx(clio_context *ctx, struct dataset *ds, bool *found)
{
    clio_status st = CLIO_OK;
    char *names[FILES_MAX] = {NULL};
    size_t count = 0;
    int classes;
    struct file_names all = {0};
    *found = false;
    TRY(file_names_read(ctx, &all, ds->root, NULL));
    for (size_t i = 0; i < all.count && count < FILES_MAX; i++)
        if (is_images(all.list[i]))
            TRY(mem_string(ctx, &names[count++], all.list[i]));
    qsort(names, count, sizeof *names, by_name); /* an uncompressed file comes before its compressed form */
    for (size_t i = 0; i < count; i++) {
        size_t n = i ? strlen(names[i - 1]) : 0;
        if (i && !strncmp(names[i], names[i - 1], n) && !strcmp(names[i] + n, ".gz"))
            continue;
        TRY(read_pair(ctx, ds, names[i]));
    }
    if (!count)
        goto fail;
    *found = true;
    for (size_t i = 0; ds->info.classes && i < ds->count; i++)
        if (ds->samples[i].label < 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has labels for only some of its IDX files: add the missing ...-labels-idx1-ubyte", ds->root);
    ds->info.type = DATASET_IDX;
    ds->info.width = ds->options.width ? ds->options.width : ds->samples[0].width;
    ds->info.height = ds->options.height ? ds->options.height : ds->samples[0].height;
    ds->info.channels = ds->options.channels ? ds->options.channels : 1;
    classes = ds->options.class_names && ds->info.classes ? ds->options.classes : ds->info.classes;
    ds->info.classes = 0;
    TRY(dataset_classes(ctx, ds, classes, ds->options.class_names));
fail:
    file_names_free(&all);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return st;
}
