/* sound_file.c - read sound files with libsndfile, one stream after the other, and past damage. See sound_file.h. Damaged MP3: libmpg123,
 * used by libsndfile, may write warnings to standard error; libsndfile cannot disable that. */
#include "sound_file.h"

#include "../host/core/context.h"

#include <errno.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTED "WAV, FLAC, OGG (Vorbis or Opus), MP3, AIFF and AU"
#define CONVERT "convert it first, for example with ffmpeg -i FILE sound.wav"
#define SIGNATURE_BYTES 12

/* ---- supported formats ---- */

/* By value: libsndfile before 1.1 has neither these names nor the codec, and rejects such files. */
enum { FORMAT_MPEG = 0x230000, FORMAT_MPEG_LAYER_III = 0x0082 };

static const int containers[] = {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_RF64, SF_FORMAT_AIFF,
                                 SF_FORMAT_AU,  SF_FORMAT_FLAC,  SF_FORMAT_OGG,  FORMAT_MPEG};
static const int codecs[] = {SF_FORMAT_PCM_S8, SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24,
                             SF_FORMAT_PCM_32, SF_FORMAT_FLOAT,  SF_FORMAT_DOUBLE, SF_FORMAT_ULAW,
                             SF_FORMAT_ALAW,   SF_FORMAT_VORBIS, SF_FORMAT_OPUS,   FORMAT_MPEG_LAYER_III};

/* Signatures; the first matching row is used. */
static const struct format {
    size_t offset;
    const char *magic;
    const char *unsupported; /* name of the format if it is not supported; else NULL */
} formats[] = {
    {8, "AVI ", "AVI"},
    {0, "RIFF", NULL},
    {0, "RIFX", NULL},
    {0, "RF64", NULL},
    {0, "BW64", NULL},
    {0, "FORM", NULL},
    {0, ".snd", NULL},
    {0, "fLaC", NULL},
    {0, "OggS", NULL},
    {0, "ID3", NULL},
    {4, "ftyp", "MP4/M4A"},
    {0, "caff", "CAF"},
    {0, "\x1a\x45\xdf\xa3", "WebM/Matroska"},
    {0, "riff", "W64"},
    {0, "#!AMR", "AMR"},
    {0, "\x30\x26\xb2\x75", "WMA/WMV"},
    {0, "FLV", "FLV"},
    {0, "\x00\x00\x01\xba", "MPEG video"},
};

static bool is_in(int value, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == value)
            return true;
    return false;
}

/* Whether b is a valid MPEG audio frame header (layer, bit rate, sampling rate): an MP3 file can begin without an ID3 tag. */
static bool is_mp3_frame(const unsigned char *b)
{
    return b[0] == 0xff && (b[1] & 0xe0) == 0xe0 && (b[1] & 0x18) != 0x08 && (b[1] & 0x06) != 0 && (b[2] & 0xf0) != 0xf0 &&
           (b[2] & 0x0c) != 0x0c;
}

static clio_status check_signature(clio_context *ctx, struct sound_file *f)
{
    clio_status st = CLIO_OK;
    unsigned char signature[SIGNATURE_BYTES + 1] = {0};
    size_t n = source_bytes(&f->source, f->source.start, signature, SIGNATURE_BYTES);
    if (f->source.error)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", f->name, strerror(f->source.error));
    if (n == 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is empty: record or copy it again", f->name);
    for (size_t i = 0; i < COUNT(formats); i++) {
        size_t length = formats[i].magic[0] ? strlen(formats[i].magic) : 4;
        if (memcmp(signature + formats[i].offset, formats[i].magic, length) != 0)
            continue;
        if (formats[i].unsupported)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is %s, which is not supported (supported: " ACCEPTED "): " CONVERT, f->name,
                 formats[i].unsupported);
        return CLIO_OK;
    }
    if (!is_mp3_frame(signature))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not a sound file (supported: " ACCEPTED "): " CONVERT, f->name);
fail:
    return st;
}

/* ---- libsndfile ---- */

/* Fail with a message for the reason of sf_open_virtual. libsndfile's error numbers are private; its texts have been stable since 1.0. */
static clio_status fail_open(clio_context *ctx, struct sound_file *f)
{
    static const struct reason {
        const char *text;
        clio_status code;
        const char *message;
    } reasons[] = {
        {"Channel count is zero", CLIO_ERROR_FORMAT, "has no channels in its header: export it again as 16-bit WAV"},
        {"SF_INFO struct incomplete", CLIO_ERROR_FORMAT, "has no valid sample rate or channel count: export it again as 16-bit WAV"},
        {"Too many channels", CLIO_ERROR_UNSUPPORTED, "has more than 64 channels: export it in stereo or mono"},
        {"data' chunk", CLIO_ERROR_FORMAT, "ends before its sound begins: record or copy it again"},
        {"Internal malloc", CLIO_ERROR_MEMORY, "cannot be opened, since the host is out of memory: close other programs"},
        {"unimplemented format", CLIO_ERROR_UNSUPPORTED, "uses a codec that is not supported: export it again as 16-bit WAV"},
    };
    clio_status st = CLIO_OK;
    const char *text = sf_strerror(NULL), *codec = source_ogg_codec(&f->source);
    if (codec)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s uses the codec %s, which is not supported (supported: " ACCEPTED "): " CONVERT, f->name,
             codec);
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (strstr(text, reasons[i].text))
            FAIL(ctx, reasons[i].code, "%s %s", f->name, reasons[i].message);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged or not a sound file (supported: " ACCEPTED "): " CONVERT, f->name);
fail:
    clio_fail_add(ctx, "libsndfile: %s", text);
    return st;
}

static clio_status check_info(clio_context *ctx, const struct sound_file *f, const SF_INFO *info)
{
    clio_status st = CLIO_OK;
    int container = info->format & SF_FORMAT_TYPEMASK, codec = info->format & SF_FORMAT_SUBMASK;
    SF_FORMAT_INFO name = {.format = codec};
    if (!is_in(container, containers, COUNT(containers)) || !is_in(codec, codecs, COUNT(codecs))) {
        if (sf_command(NULL, SFC_GET_FORMAT_INFO, &name, sizeof name) || !name.name)
            name.name = "unknown";
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s uses the codec %s, which is not supported (supported: " ACCEPTED "): " CONVERT, f->name,
             name.name);
    }
    if (info->channels < 1)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no channels in its header: export it again as 16-bit WAV", f->name);
    if (info->channels > SOUND_FILE_CHANNELS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has %d channels, more than %d: export it in stereo or mono", f->name, info->channels,
             SOUND_FILE_CHANNELS);
    if (info->samplerate < 1 || info->samplerate > SOUND_FILE_RATE)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has a sample rate of %d, but 1 to %d is supported: export it again at 16000 Hz", f->name,
             info->samplerate, SOUND_FILE_RATE);
fail:
    return st;
}

/* The bytes of the source: its new header, then those of the file. */
static sf_count_t io_length(void *user)
{
    const struct sound_source *s = user;
    return (sf_count_t)(s->head_size + (s->end - s->at));
}

static sf_count_t io_seek(sf_count_t offset, int whence, void *user)
{
    struct sound_source *s = user;
    sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (sf_count_t)s->position : io_length(user);
    if (offset + from < 0)
        return -1;
    s->position = (uint64_t)(offset + from);
    return (sf_count_t)s->position;
}

static sf_count_t io_read(void *out, sf_count_t count, void *user)
{
    struct sound_source *s = user;
    size_t from_head = s->position < s->head_size ? (size_t)MIN((uint64_t)count, s->head_size - s->position) : 0;
    if (from_head)
        memcpy(out, s->head + s->position, from_head);
    uint64_t at = s->at + s->position + from_head - s->head_size;
    size_t wanted = (size_t)MIN((uint64_t)count - from_head, at < s->end ? s->end - at : 0);
    size_t n = from_head + source_bytes(s, at, (char *)out + from_head, wanted);
    s->furthest = MAX(s->furthest, at + n - from_head);
    s->position += n;
    return (sf_count_t)n;
}

static sf_count_t io_write(const void *data, sf_count_t count, void *user)
{
    (void)data;
    (void)count;
    (void)user;
    return 0;
}

static sf_count_t io_tell(void *user)
{
    const struct sound_source *s = user;
    return (sf_count_t)s->position;
}

static SF_VIRTUAL_IO virtual_io = {io_length, io_seek, io_read, io_write, io_tell};

/* Close one stream and what belongs to it. */
static void close_stream(struct sound_file *f)
{
    if (f->sndfile)
        sf_close(f->sndfile);
    free(f->frames);
    f->sndfile = NULL;
    f->frames = NULL;
}

/* Open the stream of f->source. */
static clio_status open_stream(clio_context *ctx, struct sound_file *f)
{
    clio_status st = CLIO_OK;
    SF_INFO info;
    memset(&info, 0, sizeof info);
    f->position = f->gap = 0;
    f->held = 0;
    f->single = 0;
    source_begin(&f->source);
    TRY(check_signature(ctx, f));
    f->sndfile = sf_open_virtual(&virtual_io, SFM_READ, &info, &f->source);
    if (!f->sndfile)
        TRY(fail_open(ctx, f));
    TRY(check_info(ctx, f, &info));
    f->channels = info.channels;
    f->rate = info.samplerate;
    /* A FLAC stream written to a pipe has no length: libsndfile then returns SF_COUNT_MAX. */
    f->header_frames = info.frames > 0 && info.frames < SF_COUNT_MAX ? (uint64_t)info.frames : 0;
    f->sizeless = f->sizeless || f->source.sizeless;
    if (f->source.promised && f->source.end > f->source.at) {
        f->promised = (double)f->source.promised / (double)(f->source.end - f->source.at) * (double)info.frames / f->rate;
    }
    TRY(mem_alloc(ctx, &f->frames, (size_t)SOUND_FILE_BLOCK * (size_t)f->channels, sizeof(float)));
fail:
    return st;
}

clio_status sound_file_open(clio_context *ctx, struct sound_file *f, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    *f = (struct sound_file){.name = strcmp(path, "-") ? path : "standard input", .source.fd = -1, .damaged = -1};
    TRY(sound_descriptor(ctx, path, f->name, &f->source.fd));
    if (fstat(f->source.fd, &info))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", f->name, strerror(errno));
    f->source.size = (uint64_t)info.st_size;
    TRY(open_stream(ctx, f));
fail:
    if (st != CLIO_OK)
        sound_file_close(f);
    return st;
}

/* ---- damage ---- */

static double seconds(const struct sound_file *f)
{
    return f->before + (double)f->position / f->rate;
}

/* Open the stream again: a decoder that met damage can refuse to go on or to seek. */
static bool reopen_stream(struct sound_file *f)
{
    SF_INFO info;
    memset(&info, 0, sizeof info);
    sf_close(f->sndfile);
    f->source.position = 0;
    f->sndfile = sf_open_virtual(&virtual_io, SFM_READ, &info, &f->source);
    return f->sndfile && info.channels == f->channels;
}

/* Decoding stopped before the last frame that the header promises: go on behind the damage. f->gap frames are silent, and f->held frames
 * behind them are read. If there are none, the file is cut. */
static void pass_damage(struct sound_file *f)
{
    if (f->damaged < 0)
        f->damaged = seconds(f);
    for (uint64_t skip = 0; f->sndfile && f->position + skip < f->header_frames; skip += MAX(skip / 2, (uint64_t)SOUND_FILE_BLOCK / 4)) {
        if (skip && (!reopen_stream(f) || sf_seek(f->sndfile, (sf_count_t)(f->position + skip), SEEK_SET) < 0))
            continue;
        sf_count_t n = sf_readf_float(f->sndfile, f->frames, SOUND_FILE_BLOCK);
        if (n > 0) {
            f->held = (size_t)n;
            f->gap = skip;
            f->missing += (double)skip / f->rate;
            return;
        }
    }
    f->is_cut = true;
    if (f->source.furthest >= f->source.end && f->header_frames) /* not damaged: the end is missing */
        f->promised = f->before + (double)f->header_frames / f->rate;
}

/* Whether frames are missing that the header promises. */
static bool ends_early(const struct sound_file *f)
{
    return f->position + (uint64_t)f->rate / 10 + f->header_frames / 1000 < f->header_frames; /* encoders round */
}

/* Fill f->frames with the next frames; f->held: their number. */
static clio_status read_frames(clio_context *ctx, struct sound_file *f)
{
    clio_status st = CLIO_OK;
    sf_count_t n = sf_readf_float(f->sndfile, f->frames, SOUND_FILE_BLOCK);
    bool failed = sf_error(f->sndfile) != SF_ERR_NO_ERROR;
    if (f->source.error)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", f->name, strerror(f->source.error));
    f->held = n > 0 ? (size_t)n : 0;
    if (failed && f->damaged < 0 && (!f->header_frames || f->position + f->held < f->header_frames))
        f->damaged = seconds(f) + (f->held < SOUND_FILE_BLOCK ? (double)f->held / f->rate : 0);
    if (!f->held && f->promised > 0)
        f->is_cut = true;
    if (!f->held && !f->is_cut && (f->header_frames ? ends_early(f) : failed))
        pass_damage(f);
fail:
    return st;
}

clio_status sound_file_read(clio_context *ctx, struct sound_file *f, float mono[SOUND_FILE_BLOCK], size_t *count)
{
    clio_status st = CLIO_OK;
    *count = 0;
    if (!f->held && !f->gap)
        TRY(read_frames(ctx, f));
    if (f->gap) {
        *count = (size_t)MIN(f->gap, (uint64_t)SOUND_FILE_BLOCK);
        memset(mono, 0, *count * sizeof *mono);
        f->gap -= *count;
    } else if (f->held) {
        *count = f->held;
        sound_file_mix(f, f->held, mono);
        f->held = 0;
    }
    f->position += *count;
fail:
    return st;
}

clio_status sound_file_next(clio_context *ctx, struct sound_file *f, bool *more)
{
    clio_status st = CLIO_OK;
    double before = seconds(f);
    *more = source_next(&f->source);
    if (!*more)
        return CLIO_OK;
    close_stream(f);
    st = open_stream(ctx, f);
    f->before = before;
    if (st == CLIO_ERROR_FORMAT || st == CLIO_ERROR_UNSUPPORTED) { /* what was read is kept */
        f->damaged = f->damaged < 0 ? before : f->damaged;
        f->is_cut = true;
        *more = false;
        st = CLIO_OK;
    }
    return st;
}

bool sound_file_problem(const struct sound_file *f, char *text, size_t size)
{
    if (f->is_cut && f->promised > 0)
        snprintf(text, size, "%s ends after %.1f s, but its header promises %.1f s: the rest is missing, record or copy it again", f->name,
                 seconds(f), f->promised);
    else if (f->is_cut)
        snprintf(text, size, "%s is damaged at %.1f s, and the rest was not read: record or copy it again", f->name, f->damaged);
    else if (f->damaged >= 0 && f->missing > 0)
        snprintf(text, size, "%s is damaged at %.1f s: %.1f s of it are silent", f->name, f->damaged, f->missing);
    else if (f->damaged >= 0)
        snprintf(text, size, "%s is damaged at %.1f s: a part of it can be wrong", f->name, f->damaged);
    else if (f->sizeless)
        snprintf(text, size, "%s has no length in its header: it was read to the end of the file", f->name);
    else
        return false;
    return true;
}

clio_status sound_file_fail_empty(clio_context *ctx, const struct sound_file *f)
{
    clio_status st = CLIO_OK;
    if (sf_error(f->sndfile))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged and cannot be decoded: record or copy it again", f->name);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no samples: record or copy it again", f->name);
fail:
    clio_fail_add(ctx, "libsndfile: %s", sf_strerror(f->sndfile));
    return st;
}

void sound_file_close(struct sound_file *f)
{
    close_stream(f);
    if (f->source.fd >= 0)
        close(f->source.fd);
    f->source.fd = -1;
}
