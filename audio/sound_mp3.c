/* sound_mp3.c - where one MP3 stream ends and the next begins, in files that were joined: the first frame of a stream can be a table of
 * contents ("Xing" or "Info"), which has its size. libmpg123 ends after the frames that it names. */
#include "sound_source.h"

#include <string.h>

#define HAS_FRAMES 1
#define HAS_BYTES 2

void source_begin_mp3(struct sound_source *s)
{
    static const size_t offsets[] = {13, 21, 36}; /* behind the side information: MPEG 2 mono; MPEG 1 mono or MPEG 2; MPEG 1 stereo */
    unsigned char b[64] = {0}, next[3];
    uint64_t first = s->start + source_tag(s, s->start);
    source_bytes(s, first, b, sizeof b);
    for (size_t i = 0; i < COUNT(offsets); i++) {
        const unsigned char *x = b + offsets[i];
        if (memcmp(x, "Xing", 4) != 0 && memcmp(x, "Info", 4) != 0)
            continue;
        const unsigned char *bytes = x + 8 + (x[7] & HAS_FRAMES ? 4 : 0);
        uint64_t end = first + ((uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3]);
        if (x[7] & HAS_BYTES && end > first && source_bytes(s, end, next, sizeof next) == sizeof next &&
            (memcmp(next, "ID3", 3) == 0 || (next[0] == 0xff && (next[1] & 0xe6) > 0xe0)))
            s->end = s->next = end;
        return;
    }
}
