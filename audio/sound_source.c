/* sound_source.c - find the streams in a sound file. See sound_source.h.
 * Streams after the first are looked for when the one before is read to its end: a FLAC file would have to be read twice otherwise. */
#include "sound_source.h"

#include <string.h>

#define READ_AHEAD (256 * 1024) /* libFLAC and libmpg123 read further than they decode */

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
    s->sizeless = s->understated = s->unended = s->page_is_cut = false;
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
