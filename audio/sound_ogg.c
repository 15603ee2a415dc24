/* sound_ogg.c - where one logical stream of an Ogg file ends and the next begins (RFC 3533): a chained file has a page with the flag
 * "beginning of stream" after pages without it. libsndfile reads the first stream only. */
#include "sound_source.h"

#include <string.h>

#define PAGE 27 /* header without its segment table */
#define BEGINS 2

/* The page at `at`: its flags, and the position behind it. false: there is no page. */
static bool read_page(struct sound_source *s, uint64_t at, unsigned char *flags, uint64_t *behind)
{
    unsigned char b[PAGE + 255];
    size_t n = source_bytes(s, at, b, sizeof b);
    if (n < PAGE || memcmp(b, "OggS", 5) != 0 || n < (size_t)PAGE + b[26]) /* version 0 */
        return false;
    *flags = b[5];
    *behind = at + PAGE + b[26];
    for (int i = 0; i < b[26]; i++)
        *behind += b[PAGE + i];
    return true;
}

void source_begin_ogg(struct sound_source *s)
{
    unsigned char flags;
    uint64_t behind;
    bool begun = false;
    for (uint64_t at = s->at; at < s->size;) {
        if (!read_page(s, at, &flags, &behind)) { /* damaged: go on at the next page */
            at = source_find(s, at + 1, s->size, "OggS", 5);
            continue;
        }
        if (begun && flags & BEGINS) {
            s->end = s->next = at;
            return;
        }
        begun = begun || !(flags & BEGINS);
        at = behind;
    }
}

const char *source_ogg_codec(struct sound_source *s)
{
    static const struct codec {
        const char *magic, *name;
    } codecs[] = {{"\x7f"
                   "FLAC",
                   "FLAC in Ogg"},
                  {"Speex   ", "Speex"},
                  {"\x80theora", "Theora video"},
                  {"CELT    ", "CELT"},
                  {"PCM     ", "PCM in Ogg"}};
    unsigned char b[PAGE + 255 + 8] = {0};
    size_t n = source_bytes(s, s->at, b, sizeof b), first = PAGE + (size_t)b[26];
    if (n < PAGE || memcmp(b, "OggS", 4) != 0)
        return NULL;
    for (size_t i = 0; i < COUNT(codecs); i++)
        if (memcmp(b + first, codecs[i].magic, strlen(codecs[i].magic)) == 0)
            return codecs[i].name;
    return NULL;
}
