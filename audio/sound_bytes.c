/* sound_bytes.c - see sound_source.h: read bytes of a sound file, find a pattern in it, and its tags. */
#include "sound_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ID3_HEADER 10
#define SEARCH_BLOCK 65536

size_t source_bytes(struct sound_source *s, uint64_t at, void *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(s->fd, (char *)out + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            s->error = errno;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

uint64_t source_find(struct sound_source *s, uint64_t from, uint64_t to, const void *pattern, size_t size)
{
    unsigned char block[SEARCH_BLOCK];
    while (from + size <= to) {
        size_t n = source_bytes(s, from, block, (size_t)MIN(to - from, (uint64_t)SEARCH_BLOCK));
        if (n < size)
            break;
        for (size_t i = 0; i + size <= n; i++)
            if (memcmp(block + i, pattern, size) == 0)
                return from + i;
        from += n - size + 1;
    }
    return to;
}

bool source_is_name(const unsigned char *b)
{
    for (int i = 0; i < 4; i++)
        if (b[i] < 0x20 || b[i] > 0x7e)
            return false;
    return true;
}

bool source_goes_on(struct sound_source *s, uint64_t end, uint64_t whole)
{
    unsigned char b[8]; /* a chunk's header; one byte of padding may be before it */
    if (MIN(whole, s->size) < end + sizeof b || source_bytes(s, end, b, sizeof b) < sizeof b)
        return false;
    return !source_is_name(b) && !source_is_name(b + 1);
}

uint64_t source_tag(struct sound_source *s, uint64_t at)
{
    unsigned char b[ID3_HEADER];
    uint64_t size = 0;
    while (source_bytes(s, at + size, b, sizeof b) == sizeof b && memcmp(b, "ID3", 3) == 0 && !((b[6] | b[7] | b[8] | b[9]) & 0x80))
        size += ID3_HEADER + ((uint64_t)b[6] << 21 | (uint64_t)b[7] << 14 | (uint64_t)b[8] << 7 | b[9]) +
                (b[5] & 0x10 ? ID3_HEADER : 0); /* a footer */
    return size;
}
