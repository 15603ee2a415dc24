/* pickle_zip.c - see pickle_zip.h. The central directory at the end of the archive lists the entries; each offset and size is checked
 * against the file. Source: PKWARE, APPNOTE.TXT, 4.3. */
#include "pickle_zip.h"

#include <string.h>

#define END_SIZE 22
#define END_COMMENT_MAX 65535
#define CENTRAL_SIZE 46
#define LOCAL_SIZE 30
#define ZIP64 0xffffffffu

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

/* The record of the end of the central directory; NULL: none. */
static const unsigned char *find_end(const struct file_content *file)
{
    for (size_t back = END_SIZE; back <= file->size && back <= END_SIZE + END_COMMENT_MAX; back++)
        if (!memcmp(file->data + file->size - back, "PK\5\6", 4))
            return file->data + file->size - back;
    return NULL;
}

/* The data of an entry behind its local header. */
static bool open_entry(const struct file_content *file, const unsigned char *central, struct zip_entry *entry)
{
    size_t at = u32(central + 42), size = u32(central + 24);
    if (at >= file->size || file->size - at < LOCAL_SIZE || memcmp(file->data + at, "PK\3\4", 4) != 0)
        return false;
    size_t from = at + LOCAL_SIZE + u16(file->data + at + 26) + u16(file->data + at + 28);
    if (from > file->size || size > file->size - from)
        return false;
    *entry = (struct zip_entry){file->data + from, size};
    return true;
}

clio_status zip_find(clio_context *ctx, const struct file_content *file, const char *path, const char *ending, struct zip_entry *entry)
{
    clio_status st = CLIO_OK;
    const unsigned char *end = find_end(file);
    size_t n = strlen(ending), at = end ? u32(end + 16) : 0, limit = end ? (size_t)(end - file->data) : 0;
    *entry = (struct zip_entry){0};
    if (!end)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is cut short or damaged (no end of the ZIP archive): download it again", path);
    while (at <= limit && limit - at >= CENTRAL_SIZE && !memcmp(file->data + at, "PK\1\2", 4)) {
        const unsigned char *c = file->data + at;
        size_t name = u16(c + 28), whole = CENTRAL_SIZE + name + u16(c + 30) + u16(c + 32);
        if (whole > limit - at)
            break;
        if (name >= n && !memcmp(c + CENTRAL_SIZE + name - n, ending, n)) {
            if (u16(c + 10) != 0 || u32(c + 24) == ZIP64)
                FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                     "%s: the entry %s is compressed, which torch.save does not do: save it again with PyTorch", path, ending);
            if (!open_entry(file, c, entry))
                FAIL(ctx, CLIO_ERROR_FORMAT, "%s is cut short or damaged (entry %s): download it again", path, ending);
            return CLIO_OK;
        }
        at += whole;
    }
fail:
    return st;
}
