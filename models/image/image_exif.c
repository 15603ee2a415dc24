/* image_exif.c - EXIF data in JPEG, WebP and PNG files, by libexif: the orientation, and the UserComment in which web UIs keep how an image
 * was generated (stable-diffusion-webui: "UNICODE\0" and big-endian UTF-16).
 * Source: EXIF 2.32, 4.6.4 Orientation, 4.6.5 UserComment: eight bytes name the encoding of the text that follows. */
#include "image.h"

#include <libexif/exif-data.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "Exif\0\0"
#define HEAD_SIZE 6
#define ENCODING_SIZE 8
#define COMMENT_MAX 65000          /* bytes: a JPEG segment and libexif hold 64 KiB with everything around */
#define EXIF_MAX ((size_t)1 << 20) /* bytes; a JPEG holds 64 KiB, of a PNG or WebP file more than this is not read */
#define MEMORY_MAX ((size_t)8 << 20)
#define ALIGNMENT 16
#define PARAMETERS "parameters"

/* Memory of libexif while it loads: its entries, tens of thousands, may all point to the same bytes, and each gets a copy. Entries beyond
 * the limit are left out. Loader threads read images, too. */
static _Thread_local size_t memory_left;

static void *limited_alloc(ExifLong size)
{
    unsigned char *block = size <= memory_left ? calloc(1, ALIGNMENT + (size_t)size) : NULL;
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    memory_left -= size;
    return block + ALIGNMENT;
}

static void limited_free(void *memory)
{
    if (memory)
        free((unsigned char *)memory - ALIGNMENT);
}

static void *limited_realloc(void *memory, ExifLong size)
{
    ExifLong before = 0;
    void *grown = limited_alloc(size);
    if (memory)
        memcpy(&before, (unsigned char *)memory - ALIGNMENT, sizeof before);
    if (grown && memory) {
        memcpy(grown, memory, MIN(before, size));
        limited_free(memory);
        memory_left += before;
    }
    return grown;
}

/* NULL: no EXIF data, or no memory. */
static ExifData *load(const unsigned char *exif, size_t size)
{
    ExifData *data = NULL;
    bool has_head = size >= HEAD_SIZE && !memcmp(exif, HEAD, HEAD_SIZE);
    unsigned char *whole = NULL;
    ExifMem *memory;
    if (size > EXIF_MAX)
        return NULL;
    if (!has_head) { /* libexif needs it to tell EXIF data from a JPEG file */
        whole = malloc(size + HEAD_SIZE);
        if (!whole)
            return NULL;
        memcpy(whole, HEAD, HEAD_SIZE);
        memcpy(whole + HEAD_SIZE, exif, size);
        size += HEAD_SIZE;
    }
    memory_left = MEMORY_MAX;
    memory = exif_mem_new(limited_alloc, limited_realloc, limited_free);
    data = memory ? exif_data_new_mem(memory) : NULL; /* holds the memory's functions from here on */
    if (memory)
        exif_mem_unref(memory);
    if (data) {
        exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION); /* change nothing */
        exif_data_load_data(data, whole ? whole : exif, (unsigned)size);
    }
    free(whole);
    return data;
}

int image_exif_orientation(const unsigned char *exif, size_t size)
{
    ExifData *data = load(exif, size);
    ExifEntry *entry = data ? exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION) : NULL;
    ExifLong value = 0;
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2)
        value = exif_get_short(entry->data, exif_data_get_byte_order(data));
    else if (entry && entry->format == EXIF_FORMAT_LONG && entry->size >= 4)
        value = exif_get_long(entry->data, exif_data_get_byte_order(data));
    if (data)
        exif_data_unref(data);
    return value >= 1 && value <= 8 ? (int)value : 1;
}

/* Writers disagree on the byte order of "UNICODE" text: stable-diffusion-webui always writes big-endian, others the order of the file. In
 * most scripts more upper bytes than lower ones are zero. */
static bool is_big_endian(const unsigned char *utf16, size_t size)
{
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < size; i++)
        zeros[i % 2] += utf16[i] == 0;
    return zeros[0] >= zeros[1];
}

/* A UserComment as UTF-8 in fresh memory. */
static clio_status decode(clio_context *ctx, char **out, const unsigned char *data, size_t size)
{
    clio_status st = CLIO_OK;
    const unsigned char *text = data + ENCODING_SIZE;
    char *plain = NULL;
    size -= ENCODING_SIZE;
    if (!memcmp(data, "UNICODE", ENCODING_SIZE)) {
        TRY(text_from_utf16(ctx, out, text, size, is_big_endian(text, size)));
    } else {
        TRY(mem_alloc(ctx, &plain, size + 1, 1));
        memcpy(plain, text, size);
        TRY(text_is_utf8(plain) ? mem_string(ctx, out, plain) : text_from_latin1(ctx, out, plain));
    }
fail:
    free(plain);
    return st;
}

clio_status image_exif_comment(clio_context *ctx, struct metadata *metadata, const unsigned char *exif, size_t size)
{
    clio_status st = CLIO_OK;
    ExifData *data = load(exif, size);
    ExifEntry *entry = data ? exif_content_get_entry(data->ifd[EXIF_IFD_EXIF], EXIF_TAG_USER_COMMENT) : NULL;
    char *text = NULL;
    if (entry && entry->data && entry->size > ENCODING_SIZE) {
        TRY(decode(ctx, &text, entry->data, entry->size));
        if (*text)
            TRY(metadata_add(ctx, metadata, PARAMETERS, text));
    }
fail:
    free(text);
    if (data)
        exif_data_unref(data);
    return st;
}

/* EXIF data with this UserComment and nothing else; NULL: no memory. The entry's bytes come from the allocator that will free them. */
static ExifData *with_comment(const struct bytes *comment)
{
    ExifMem *memory = exif_mem_new_default();
    ExifData *data = exif_data_new();
    ExifEntry *entry = memory ? exif_entry_new_mem(memory) : NULL;
    void *copy = memory ? exif_mem_alloc(memory, (ExifLong)comment->size) : NULL;
    bool is_made = data && entry && copy;
    if (is_made) {
        memcpy(copy, comment->data, comment->size);
        exif_data_set_byte_order(data, EXIF_BYTE_ORDER_MOTOROLA);
        entry->tag = EXIF_TAG_USER_COMMENT;
        entry->format = EXIF_FORMAT_UNDEFINED;
        entry->components = comment->size;
        entry->size = (unsigned)comment->size;
        entry->data = copy;
        exif_content_add_entry(data->ifd[EXIF_IFD_EXIF], entry);
        is_made = exif_content_get_entry(data->ifd[EXIF_IFD_EXIF], EXIF_TAG_USER_COMMENT) == entry; /* it has no other way to fail */
    } else if (copy) {
        exif_mem_free(memory, copy);
    }
    if (entry)
        exif_entry_unref(entry);
    if (memory)
        exif_mem_unref(memory);
    if (data && !is_made)
        exif_data_unref(data);
    return is_made ? data : NULL;
}

clio_status image_exif_encode(clio_context *ctx, struct bytes *out, const struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    const struct metadata_entry *entry = NULL;
    struct bytes comment = {NULL, 0, 0};
    ExifData *data = NULL;
    unsigned char *saved = NULL;
    unsigned size = 0;
    for (size_t i = 0; metadata && i < metadata->count; i++) {
        TRY(metadata_check(ctx, &metadata->list[i]));
        if (!strcmp(metadata->list[i].key, PARAMETERS))
            entry = &metadata->list[i];
    }
    if (!entry)
        goto fail;
    TRY(bytes_add(ctx, &comment, "UNICODE", ENCODING_SIZE));
    TRY(text_to_utf16(ctx, &comment, entry->text));
    if (comment.size > COMMENT_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the image's metadata \"%s\" has %zu characters, and JPEG and WebP files hold about %d: shorten it, or write PNG", entry->key,
             comment.size / 2, COMMENT_MAX / 2);
    data = with_comment(&comment);
    if (data)
        exif_data_save_data(data, &saved, &size);
    if (!saved || size <= comment.size) /* libexif leaves out what it has no memory for */
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for the metadata of an image; close other programs");
    TRY(bytes_add(ctx, out, saved, size));
fail:
    free(saved);
    if (data)
        exif_data_unref(data);
    bytes_free(&comment);
    return st;
}
