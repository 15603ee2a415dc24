/* sound_source.c - find the streams in a sound file. See sound_source.h.
 * Streams after the first are looked for when the one before is read to its end: a FLAC file would have to be read twice otherwise. */
#include "sound_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ID3_HEADER 10
#define SEARCH_BLOCK 65536
#define READ_AHEAD (256 * 1024) /* libFLAC and libmpg123 read further than they decode */

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

uint64_t source_tag(struct sound_source *s, uint64_t at)
{
    unsigned char b[ID3_HEADER];
    uint64_t size = 0;
    while (source_bytes(s, at + size, b, sizeof b) == sizeof b && memcmp(b, "ID3", 3) == 0 && !((b[6] | b[7] | b[8] | b[9]) & 0x80))
        size += ID3_HEADER + ((uint64_t)b[6] << 21 | (uint64_t)b[7] << 14 | (uint64_t)b[8] << 7 | b[9]) +
                (b[5] & 0x10 ? ID3_HEADER : 0); /* a footer */
    return size;
}

static bool begins_with(struct sound_source *s, uint64_t at, const char *magic)
{
    char b[4];
    return source_bytes(s, at, b, sizeof b) == sizeof b && memcmp(b, magic, sizeof b) == 0;
}

/* All formats but MP3, which can begin with any frame. */
static const struct {
    const char *magic;
    void (*begin)(struct sound_source *s); /* NULL: nothing to find */
} formats[] = {{"fLaC", NULL},
               {"OggS", source_begin_ogg},
               {"RIFF", source_begin_wav},
               {"RF64", source_begin_wav},
               {"BW64", source_begin_wav},
               {"FORM", source_begin_aiff},
               {".snd", source_begin_au}};

void source_begin(struct sound_source *s)
{
    uint64_t tag = source_tag(s, s->at);
    for (size_t i = 0; tag && i < COUNT(formats); i++) /* libsndfile skips the tag of an MP3 file itself */
        if (begins_with(s, s->at + tag, formats[i].magic)) {
            s->at += tag;
            break;
        }
    s->start = s->at;
    s->end = s->size;
    s->next = s->position = s->furthest = s->promised = 0;
    s->head_size = 0;
    s->sizeless = false;
    for (size_t i = 0; i < COUNT(formats); i++)
        if (begins_with(s, s->start, formats[i].magic)) {
            if (formats[i].begin)
                formats[i].begin(s);
            return;
        }
    source_begin_mp3(s);
}

/* Where the next FLAC stream begins: its signature and the header of its first block, STREAMINFO of 34 bytes. */
static uint64_t find_flac(struct sound_source *s)
{
    static const unsigned char first[] = {'f', 'L', 'a', 'C', 0, 0, 0, 34}, only[] = {'f', 'L', 'a', 'C', 0x80, 0, 0, 34};
    uint64_t from = MAX(s->at + sizeof first, s->furthest > READ_AHEAD ? s->furthest - READ_AHEAD : 0);
    return source_find(s, from, source_find(s, from, s->end, only, sizeof only), first, sizeof first);
}

bool source_next(struct sound_source *s)
{
    uint64_t next = s->next;
    if (!next && begins_with(s, s->start, "fLaC"))
        next = find_flac(s);
    if (!next || next >= s->size)
        return false;
    s->at = next;
    return true;
}
