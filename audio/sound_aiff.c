/* sound_aiff.c - where the samples of an AIFF or AU file lie, if its header does not say so: sizes are 0 after a crash, and larger than the
 * file when the end is missing, or too small. Otherwise libsndfile gets the file as it is. */
#include "sound_source.h"

#include <string.h>

#define CHUNK 8
#define MAX_CHUNKS 4096
#define MAX_COMMON 64 /* bytes of "COMM": 18, more in AIFF-C */
#define AU_HEADER 24
#define AU_UNKNOWN 0xffffffffu

static uint32_t get32(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static void put32(unsigned char *b, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        b[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* samples: where they begin; size: of them in the header; whole: where the file ends by its header. *real: size of the samples in the
 * file. true: the header is wrong, as after a crash. */
static bool real_size(struct sound_source *s, uint64_t samples, uint64_t size, uint64_t whole, uint64_t *real)
{
    *real = size;
    if (samples > s->size)
        return false;
    if (size > s->size - samples)
        s->promised = size;
    if (s->promised || size == 0)
        *real = s->size - samples;
    s->sizeless = size == 0 && *real > 0;
    s->understated = size && size < s->size - samples && source_goes_on(s, samples + size, whole);
    if (s->understated)
        *real = MIN(whole, s->size) - samples;
    return s->sizeless || s->understated;
}

void source_begin_au(struct sound_source *s)
{
    uint64_t real;
    if (source_bytes(s, s->start, s->head, AU_HEADER) < AU_HEADER || get32(s->head + 8) == AU_UNKNOWN)
        return;
    uint64_t offset = get32(s->head + 4);
    if (!real_size(s, s->start + offset, get32(s->head + 8), s->size, &real))
        return;
    put32(s->head + 4, AU_HEADER);
    put32(s->head + 8, real);
    s->head_size = AU_HEADER;
    s->at = s->start + offset;
}

/* "FORM" of "COMM" and "SSND" for `size` bytes of samples; common: "COMM" with its header. */
static void write_aiff(struct sound_source *s, const unsigned char *common, size_t common_size, uint64_t size)
{
    static const unsigned char samples[] = {'S', 'S', 'N', 'D'};
    unsigned char *to = s->head;
    unsigned frame = (get32(common + CHUNK) >> 16) * (((get32(common + CHUNK + 6) >> 16) + 7) / 8); /* channels x bytes of a sample */
    source_bytes(s, s->start, to, 12);
    put32(to + 4, 4 + common_size + 16 + size);
    memcpy(to + 12, common, common_size);
    put32(to + 12 + CHUNK + 2, size / MAX(frame, 1u)); /* frames */
    to += 12 + common_size;
    memcpy(to, samples, sizeof samples);
    put32(to + 4, CHUNK + size);
    memset(to + 8, 0, 8); /* offset and block size */
    s->head_size = (size_t)(to + 16 - s->head);
}

void source_begin_aiff(struct sound_source *s)
{
    unsigned char b[CHUNK + 8], common[CHUNK + MAX_COMMON];
    size_t common_size = 0;
    uint64_t at = s->start + 12, real, whole = s->start + CHUNK;
    whole = source_bytes(s, s->start, b, CHUNK) == CHUNK ? whole + get32(b + 4) : s->size;
    for (int i = 0; i < MAX_CHUNKS && source_bytes(s, at, b, sizeof b) == sizeof b; i++) {
        uint64_t size = get32(b + 4), padded = size + (size & 1);
        if (memcmp(b, "COMM", 4) == 0 && size >= 18 && padded <= MAX_COMMON) {
            common_size = CHUNK + (size_t)padded;
            if (source_bytes(s, at, common, common_size) < common_size)
                return;
        }
        if (memcmp(b, "SSND", 4) == 0) {
            uint64_t samples = at + sizeof b + get32(b + CHUNK);
            if (!common_size || !real_size(s, samples, size > CHUNK ? size - CHUNK : 0, whole, &real))
                return;
            write_aiff(s, common, common_size, real);
            s->at = samples;
            return;
        }
        at += CHUNK + padded;
    }
}
