/* sound_wav.c - where the samples of a WAV file lie, and a header that says so: "RIFF" (also big-endian "RIFX", which is left to
 * libsndfile), "RF64" and "BW64" (EBU Tech 3306, ITU-R BS.2088).
 *
 * The size of the chunk "data" is not trusted: 0 after a crash, 0xFFFFFFFF or about 2^31 when it was written to a pipe, modulo 2^32 in
 * files above 4 GiB, too small where "RIFF" has more and no chunk follows. The file's real size decides. libsndfile gets a header of "fmt "
 * and "data" alone: other chunks can be damaged, and it refuses the file then. A header without a usable "fmt " before "data" is left to
 * libsndfile, whose reason is reported. */
#include "sound_source.h"

#include <string.h>

#define CHUNK 8
#define MAX_CHUNKS 4096
#define MAX_FORMAT 64            /* bytes of "fmt "; 40 in WAVEX */
#define UNKNOWN_SIZE 0x7fff0000u /* programs that write to a pipe give this size or a larger one */
#define UNKNOWN 0xffffffffu

struct wav {
    bool is_64;
    unsigned char format[MAX_FORMAT];
    size_t format_size;
    uint64_t size_64; /* of "data", in the chunk "ds64" */
    uint64_t data, size;
    uint64_t whole; /* where the file ends by the size of "RIFF"; UINT64_MAX: unknown */
};

static uint32_t get32(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t get64(const unsigned char *b)
{
    return get32(b) | (uint64_t)get32(b + 4) << 32;
}

static void put(unsigned char **to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *(*to)++ = (unsigned char)(value >> 8 * i);
}

static void put_text(unsigned char **to, const char *four)
{
    memcpy(*to, four, 4);
    *to += 4;
}

/* Find "fmt " and "data". */
static bool read_chunks(struct sound_source *s, struct wav *w)
{
    unsigned char b[CHUNK], large[16];
    uint64_t at = s->at + 12;
    for (int i = 0; i < MAX_CHUNKS && source_bytes(s, at, b, CHUNK) == CHUNK; i++) {
        uint64_t size = get32(b + 4), body = at + CHUNK;
        if (memcmp(b, "data", 4) == 0) {
            w->data = body;
            w->size = size;
            return w->format_size > 0;
        }
        if (memcmp(b, "fmt ", 4) == 0) {
            w->format_size = (size_t)size;
            if (size < 16 || size > MAX_FORMAT || source_bytes(s, body, w->format, w->format_size) < w->format_size)
                return false;
        }
        if (memcmp(b, "ds64", 4) == 0 && size >= 24 && source_bytes(s, body, large, sizeof large) == sizeof large)
            w->size_64 = get64(large + 8);
        at = body + size + (size & 1);
    }
    return false;
}

/* Whether chunks, and nothing else, fill the file from `at` on, or up to another WAV file, whose position goes to *next. */
static bool chunks_follow(struct sound_source *s, uint64_t at, uint64_t *next)
{
    unsigned char b[CHUNK];
    *next = 0;
    for (int i = 0; i < MAX_CHUNKS && at < s->size; i++) {
        if (source_bytes(s, at, b, CHUNK) < CHUNK || !source_is_name(b))
            return false;
        if (memcmp(b, "RIFF", 4) == 0 || memcmp(b, "RF64", 4) == 0 || memcmp(b, "BW64", 4) == 0) {
            *next = at;
            return true;
        }
        at += CHUNK + get32(b + 4) + (get32(b + 4) & 1);
    }
    return at == s->size || at == s->size + 1; /* the padding of the last chunk can be missing */
}

/* The real size of "data". */
static void find_size(struct sound_source *s, struct wav *w)
{
    uint64_t rest = s->size - w->data, unused;
    bool known = w->is_64 && w->size == UNKNOWN && w->size_64;
    w->size = known ? w->size_64 : w->size;
    if (w->size < rest && !chunks_follow(s, w->data + w->size + (w->size & 1), &unused)) {
        s->sizeless = w->size == 0;
        if (w->size == 0 || (!known && w->size >= UNKNOWN_SIZE))
            w->size = rest;
        else if (!w->is_64 && s->size - s->at > UINT32_MAX)
            w->size += (rest - w->size) >> 32 << 32;
        else if (!known && source_goes_on(s, w->data + w->size, w->whole)) {
            w->size = MIN(rest, w->whole - w->data);
            s->understated = true;
        }
    }
    if (w->size > rest) {
        s->promised = !known && w->size >= UNKNOWN_SIZE ? 0 : w->size;
        w->size = rest;
    }
}

static void write_head(struct sound_source *s, const struct wav *w)
{
    unsigned char *to = s->head;
    bool large = w->size > UINT32_MAX - 1024;
    size_t padded = w->format_size + (w->format_size & 1);
    uint64_t riff = 4 + (large ? CHUNK + 28 : 0) + CHUNK + padded + CHUNK + w->size;
    put_text(&to, large ? "RF64" : "RIFF");
    put(&to, large ? UNKNOWN : riff, 4);
    put_text(&to, "WAVE");
    if (large) {
        put_text(&to, "ds64");
        put(&to, 28, 4);
        put(&to, riff, 8);
        put(&to, w->size, 8);
        put(&to, w->size / MAX(w->format[12] | (unsigned)w->format[13] << 8, 1u), 8); /* frames */
        put(&to, 0, 4);
    }
    put_text(&to, "fmt ");
    put(&to, w->format_size, 4);
    memcpy(to, w->format, w->format_size);
    to += padded;
    put_text(&to, "data");
    put(&to, large ? UNKNOWN : w->size, 4);
    s->head_size = (size_t)(to - s->head);
}

void source_begin_wav(struct sound_source *s)
{
    unsigned char b[12];
    struct wav w = {0};
    if (source_bytes(s, s->at, b, sizeof b) < sizeof b || memcmp(b + 8, "WAVE", 4) != 0)
        return;
    w.is_64 = memcmp(b, "RIFF", 4) != 0;
    w.whole = get32(b + 4) && get32(b + 4) < UNKNOWN_SIZE ? s->at + CHUNK + get32(b + 4) : UINT64_MAX;
    if (!read_chunks(s, &w))
        return;
    find_size(s, &w);
    chunks_follow(s, w.data + w.size + (w.size & 1), &s->next);
    memset(s->head, 0, sizeof s->head);
    write_head(s, &w);
    s->at = w.data;
    s->end = w.data + w.size;
}
