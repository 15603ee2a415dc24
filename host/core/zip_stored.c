/* zip_stored.c - see zip_stored.h. The central directory at the end of the archive lists the entries; each offset and size is checked
 * against the file and against the entry's own header. Archives above 4 GiB have 64-bit sizes in further records (ZIP64).
 * Source: PKWARE, APPNOTE.TXT, 4.3 and 4.5.3. */
#include "zip_stored.h"

#include <stdlib.h>
#include <string.h>

#define END_SIZE 22
#define END_COMMENT_MAX 65535
#define END64_LOCATOR_SIZE 20
#define END64_SIZE 56
#define CENTRAL_SIZE 46
#define LOCAL_SIZE 30
#define DIRECTORY_MAX ((uint64_t)256 << 20)
#define FLAG_ENCRYPTED 1u
#define FLAG_DESCRIPTOR 8u /* the sizes follow the contents */
#define EXTRA_64 1
#define IN_64 0xffffffffu

/* The archive while its directory is read. */
struct archive {
    clio_context *ctx;
    const struct file_in *in;
    uint64_t directory, directory_size, count;
};

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static clio_status damaged(const struct archive *a, const char *what)
{
    clio_status st = CLIO_OK;
    FAIL(a->ctx, CLIO_ERROR_FORMAT, "%s is cut short or damaged (%s): download it again", a->in->path, what);
fail:
    return st;
}

/* The same for one entry. */
static clio_status bad_entry(const struct archive *a, const char *name, const char *what)
{
    clio_status st = CLIO_OK;
    FAIL(a->ctx, CLIO_ERROR_FORMAT, "%s is cut short or damaged (the entry %.100s %s): download it again", a->in->path, name, what);
fail:
    return st;
}

/* ---- the end of the archive ---- */

/* at: where the end record begins in the file */
static clio_status read_end64(struct archive *a, uint64_t at)
{
    clio_status st = CLIO_OK;
    unsigned char locator[END64_LOCATOR_SIZE], end[END64_SIZE];
    if (at < END64_LOCATOR_SIZE)
        TRY(damaged(a, "no 64-bit end of the ZIP archive"));
    TRY(file_in_read(a->ctx, a->in, at - END64_LOCATOR_SIZE, sizeof locator, locator));
    uint64_t place = u64(locator + 8);
    if (memcmp(locator, "PK\6\7", 4) != 0 || place > at || at - place < END64_SIZE)
        TRY(damaged(a, "no 64-bit end of the ZIP archive"));
    TRY(file_in_read(a->ctx, a->in, place, sizeof end, end));
    if (memcmp(end, "PK\6\6", 4) != 0)
        TRY(damaged(a, "no 64-bit end of the ZIP archive"));
    a->count = u64(end + 32);
    a->directory_size = u64(end + 40);
    a->directory = u64(end + 48);
fail:
    return st;
}

static clio_status read_end(struct archive *a)
{
    clio_status st = CLIO_OK;
    size_t size = (size_t)MIN(a->in->size, (uint64_t)END_SIZE + END_COMMENT_MAX);
    unsigned char *tail = NULL, *end = NULL;
    TRY(mem_alloc(a->ctx, &tail, size, 1));
    TRY(file_in_read(a->ctx, a->in, a->in->size - size, size, tail));
    for (size_t back = END_SIZE; back <= size && !end; back++)
        if (!memcmp(tail + size - back, "PK\5\6", 4) && u16(tail + size - back + 20) == back - END_SIZE)
            end = tail + size - back;
    if (!end)
        TRY(damaged(a, "no end of the ZIP archive"));
    uint64_t at = a->in->size - size + (uint64_t)(end - tail);
    a->count = u16(end + 10);
    a->directory_size = u32(end + 12);
    a->directory = u32(end + 16);
    if (a->count == 0xffff || a->directory_size == IN_64 || a->directory == IN_64)
        TRY(read_end64(a, at));
    if (a->directory > at || a->directory_size > at - a->directory)
        TRY(damaged(a, "its directory lies outside the file"));
    if (a->directory_size > DIRECTORY_MAX || a->count > a->directory_size / CENTRAL_SIZE)
        TRY(damaged(a, "its directory is smaller than its number of entries"));
fail:
    free(tail);
    return st;
}

/* ---- entries ---- */

/* Replace those of size, stored size and offset that do not fit 32 bits by the values of the extra field. */
static clio_status read_extra64(const struct archive *a, const char *name, const unsigned char *extra, size_t size, uint64_t *values[3])
{
    clio_status st = CLIO_OK;
    while (size >= 4) {
        size_t id = u16(extra), length = u16(extra + 2), at = 0;
        if (length > size - 4)
            break;
        for (int i = 0; i < 3 && id == EXTRA_64; i++) {
            if (*values[i] == IN_64 && at + 8 <= length) {
                *values[i] = u64(extra + 4 + at);
                at += 8;
            }
        }
        if (id == EXTRA_64)
            return CLIO_OK;
        extra += 4 + length;
        size -= 4 + length;
    }
    TRY(bad_entry(a, name, "has no 64-bit size"));
fail:
    return st;
}

/* The contents of an entry behind its local header, which must say the same as the directory. */
static clio_status read_local(const struct archive *a, struct zip_entry *e)
{
    clio_status st = CLIO_OK;
    unsigned char local[LOCAL_SIZE];
    char *name = NULL;
    size_t length = strlen(e->name);
    if (e->header > a->directory || a->directory - e->header < LOCAL_SIZE)
        TRY(bad_entry(a, e->name, "begins outside the file"));
    TRY(file_in_read(a->ctx, a->in, e->header, sizeof local, local));
    if (memcmp(local, "PK\3\4", 4) != 0 || u16(local + 26) != length)
        TRY(bad_entry(a, e->name, "has another header than the directory says"));
    e->first = e->header + LOCAL_SIZE + length + u16(local + 28);
    if (e->first > a->directory || e->size > a->directory - e->first)
        TRY(bad_entry(a, e->name, "is longer than the file"));
    TRY(mem_alloc(a->ctx, &name, length + 1, 1));
    TRY(file_in_read(a->ctx, a->in, e->header + LOCAL_SIZE, length, name));
    bool sized = !(u16(local + 6) & FLAG_DESCRIPTOR) && u32(local + 22) != IN_64;
    if (strcmp(name, e->name) != 0 || (sized && (u32(local + 22) != e->size || u32(local + 18) != e->size)))
        TRY(bad_entry(a, e->name, "has another header than the directory says"));
fail:
    free(name);
    return st;
}

/* c: the entry in the directory, of which `left` bytes follow; *whole: how many it takes. */
static clio_status read_entry(const struct archive *a, const unsigned char *c, size_t left, struct zip_entry *e, size_t *whole)
{
    clio_status st = CLIO_OK;
    size_t length = left >= CENTRAL_SIZE ? u16(c + 28) : 0, extra = left >= CENTRAL_SIZE ? u16(c + 30) : 0;
    if (left < CENTRAL_SIZE || memcmp(c, "PK\1\2", 4) != 0 || CENTRAL_SIZE + length + extra + u16(c + 32) > left)
        TRY(damaged(a, "its directory ends too early"));
    *whole = CENTRAL_SIZE + length + extra + u16(c + 32);
    TRY(mem_alloc(a->ctx, &e->name, length + 1, 1));
    memcpy(e->name, c + CENTRAL_SIZE, length);
    if (strlen(e->name) != length)
        TRY(damaged(a, "the name of an entry has a zero byte"));
    if (u16(c + 10) != 0 || u16(c + 8) & FLAG_ENCRYPTED)
        FAIL(a->ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: the entry %.100s is compressed or encrypted, which torch.save does not do: save it again with PyTorch", a->in->path,
             e->name);
    uint64_t stored = u32(c + 20);
    e->size = u32(c + 24);
    e->header = u32(c + 42);
    if (e->size == IN_64 || stored == IN_64 || e->header == IN_64)
        TRY(read_extra64(a, e->name, c + CENTRAL_SIZE + length, extra, (uint64_t *[]){&e->size, &stored, &e->header}));
    if (stored != e->size)
        TRY(bad_entry(a, e->name, "has two sizes"));
    TRY(read_local(a, e));
fail:
    return st;
}

static int compare_places(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    return (x->header > y->header) - (x->header < y->header);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct zip_entry *)a)->name, ((const struct zip_entry *)b)->name);
}

/* Entries do not overlap, and no name is there twice: the list is sorted by name then. */
static clio_status check_entries(const struct archive *a, struct zip_entries *z)
{
    clio_status st = CLIO_OK;
    if (!z->list || !z->count)
        return CLIO_OK;
    qsort(z->list, z->count, sizeof *z->list, compare_places);
    for (size_t i = 1; i < z->count; i++)
        if (z->list[i].header < z->list[i - 1].first + z->list[i - 1].size)
            TRY(bad_entry(a, z->list[i].name, "overlaps another one"));
    qsort(z->list, z->count, sizeof *z->list, compare_names);
    for (size_t i = 1; i < z->count; i++)
        if (!strcmp(z->list[i].name, z->list[i - 1].name))
            TRY(bad_entry(a, z->list[i].name, "is there twice"));
fail:
    return st;
}

clio_status zip_list(clio_context *ctx, const struct file_in *in, struct zip_entries *z)
{
    clio_status st = CLIO_OK;
    struct archive a = {.ctx = ctx, .in = in};
    unsigned char *directory = NULL;
    size_t at = 0, whole;
    *z = (struct zip_entries){0};
    TRY(read_end(&a));
    TRY(mem_alloc(ctx, &directory, (size_t)a.directory_size, 1));
    TRY(file_in_read(ctx, in, a.directory, (size_t)a.directory_size, directory));
    TRY(mem_alloc(ctx, &z->list, (size_t)a.count, sizeof *z->list));
    while (z->count < a.count) {
        z->count++; /* before reading: zip_free releases a half-read one */
        TRY(read_entry(&a, directory + at, (size_t)a.directory_size - at, &z->list[z->count - 1], &whole));
        at += whole;
    }
    if (at != a.directory_size)
        TRY(damaged(&a, "its directory has more entries than it says"));
    TRY(check_entries(&a, z));
fail:
    free(directory);
    if (st)
        zip_free(z);
    return st;
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct zip_entry *)entry)->name);
}

const struct zip_entry *zip_find(const struct zip_entries *z, const char *name)
{
    return z->count ? bsearch(name, z->list, z->count, sizeof *z->list, compare_name) : NULL;
}

void zip_free(struct zip_entries *z)
{
    for (size_t i = 0; i < z->count; i++)
        free(z->list[i].name);
    free(z->list);
    *z = (struct zip_entries){0};
}
