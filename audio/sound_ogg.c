/* sound_ogg.c - where one logical stream of an Ogg file ends and the next begins (RFC 3533): a chained file has a page with the flag
 * "beginning of stream" after pages without it. libsndfile reads the first stream only. The last page of a stream has the flag "end of
 * stream": without it, or when the file ends within a page, the rest is missing, which libsndfile does not say. */
#include "sound_source.h"

#include <string.h>

#define PAGE 27 /* header without its segment table */
#define PAGE_MAGIC "OggS"
#define BEGINS 2
#define ENDS 4

static bool is_page(struct sound_source *s, uint64_t at)
{
    char b[5]; /* with version 0 */
    return source_bytes(s, at, b, sizeof b) == sizeof b && !memcmp(b, PAGE_MAGIC, sizeof b);
}

/* The page at `at`: its flags, and the position behind it. false: there is no page. */
static bool read_page(struct sound_source *s, uint64_t at, unsigned char *flags, uint64_t *behind)
{
    unsigned char b[PAGE + 255];
    size_t n = source_bytes(s, at, b, sizeof b);
    if (n < PAGE || memcmp(b, PAGE_MAGIC, 5) != 0 || n < (size_t)PAGE + b[26]) /* version 0 */
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
    bool begun = false, ended = false;
    for (uint64_t at = s->at; at < s->size;) {
        if (!read_page(s, at, &flags, &behind)) { /* damaged: go on at the next page */
            s->page_is_cut = is_page(s, at);
            at = source_find(s, at + 1, s->size, PAGE_MAGIC, 5);
            continue;
        }
        if (begun && flags & BEGINS) {
            s->end = s->next = at;
            break;
        }
        begun = begun || !(flags & BEGINS);
        ended = flags & ENDS;
        uint64_t next = behind < s->size && is_page(s, behind) ? behind : source_find(s, at + PAGE, s->size, PAGE_MAGIC, 5);
        s->page_is_cut = behind > MIN(next, s->size);
        at = next;
    }
    s->unended = begun && !ended;
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
    if (n < PAGE || memcmp(b, PAGE_MAGIC, 4) != 0)
        return NULL;
    for (size_t i = 0; i < COUNT(codecs); i++)
        if (memcmp(b + first, codecs[i].magic, strlen(codecs[i].magic)) == 0)
            return codecs[i].name;
    return NULL;
}
