/* sound_file.c - open and read sound files with libsndfile. See sound_file.h.
 * Pipes: libsndfile seeks, so standard input and FIFOs are first copied to an unnamed temporary file in TMPDIR. Rejected: sf_open_virtual
 * over a bounded buffer, since several formats are read from the end of the file first. Damaged MP3: libmpg123, used by libsndfile, may
 * write warnings to standard error; libsndfile cannot disable that. */
#include "sound_file.h"

#include "../host/core/context.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTED "WAV, FLAC, OGG (Vorbis or Opus), MP3, AIFF and AU"
#define CONVERT "convert it first, for example with ffmpeg -i FILE sound.wav"
#define SIGNATURE_BYTES 12
#define MAX_SAMPLE 0x1p32f

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

static clio_status check_signature(clio_context *ctx, const struct sound_file *f)
{
    clio_status st = CLIO_OK;
    unsigned char signature[SIGNATURE_BYTES + 1] = {0};
    ssize_t n = pread(f->fd, signature, SIGNATURE_BYTES, 0);
    if (n < 0)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", f->name, strerror(errno));
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

/* ---- a seekable descriptor ---- */

/* Copy `in` to its end into a temporary file that is deleted when closed. */
static clio_status copy_to_temporary(clio_context *ctx, int in, const char *name, int *out)
{
    clio_status st = CLIO_OK;
    char buffer[16384];
    struct bytes path = {0};
    const char *folder = getenv("TMPDIR");
    double done = 0;
    int fd = -1;
    if (!folder || !*folder)
        folder = "/tmp";
    TRY(bytes_print(ctx, &path, "%s/clio-XXXXXX", folder));
    fd = mkstemp(path.data);
    if (fd < 0)
        FAIL(ctx, CLIO_ERROR_FILE, "%s needs a temporary file, which cannot be created in %s (%s): set TMPDIR to a writable folder", name,
             folder, strerror(errno));
    unlink(path.data);
    for (;;) {
        TRY(context_progress(ctx, "reading sound", done, 0));
        ssize_t n = read(in, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", name, strerror(errno));
        if (n == 0)
            break;
        for (ssize_t at = 0; at < n;) {
            ssize_t written = write(fd, buffer + at, (size_t)(n - at));
            if (written < 0 && errno != EINTR)
                FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be copied to %s (%s): set TMPDIR to a folder with more free space", name, folder,
                     strerror(errno));
            at += MAX(written, 0);
        }
        done += (double)n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be copied to %s (%s): set TMPDIR to another folder", name, folder, strerror(errno));
    *out = fd;
    fd = -1;
fail:
    if (fd >= 0)
        close(fd);
    bytes_free(&path);
    return st;
}

static clio_status open_descriptor(clio_context *ctx, struct sound_file *f, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
    /* The command opens /dev/null for writing in place of a closed stream. */
    if (is_stdin && (fd < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY))
        FAIL(ctx, CLIO_ERROR_FILE, "standard input is closed: redirect a sound file to it, or name one");
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        FAIL(ctx, CLIO_ERROR_FILE, "%s: no such file: check the name", path);
    if (fd < 0 && errno == EACCES)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: you have no permission; change it with chmod +r or choose another file", path);
    if (fd < 0 || fstat(fd, &info))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", f->name, strerror(errno));
    if (S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: use a sound file in it", f->name);
    if (is_stdin && isatty(fd))
        FAIL(ctx, CLIO_ERROR_FILE, "standard input is a terminal: redirect a sound file to it (clio ... - < talk.wav), or name one");
    if (!is_stdin && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a device, not a sound file: record it into a file first", path);
    if (S_ISREG(info.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
        f->fd = fd;
        return CLIO_OK;
    }
    TRY(copy_to_temporary(ctx, fd, f->name, &f->fd));
fail:
    if (fd >= 0)
        close(fd);
    return st;
}

/* ---- libsndfile ---- */

/* Fail with a message for the reason of sf_open_fd. libsndfile's error numbers are private; its texts have been stable since 1.0. */
static clio_status fail_open(clio_context *ctx, const struct sound_file *f)
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
        {"unimplemented format", CLIO_ERROR_UNSUPPORTED, "uses a codec that is not supported: export it again as 16-bit WAV"},
    };
    clio_status st = CLIO_OK;
    const char *text = sf_strerror(NULL);
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

clio_status sound_file_open(clio_context *ctx, struct sound_file *f, const char *path)
{
    clio_status st = CLIO_OK;
    SF_INFO info;
    memset(f, 0, sizeof *f);
    memset(&info, 0, sizeof info);
    f->fd = -1;
    f->name = strcmp(path, "-") ? path : "standard input";
    TRY(open_descriptor(ctx, f, path));
    TRY(check_signature(ctx, f));
    /* SF_FALSE: libsndfile would close the descriptor on some failures and not on others. */
    f->sndfile = sf_open_fd(f->fd, SFM_READ, &info, SF_FALSE);
    if (!f->sndfile)
        TRY(fail_open(ctx, f));
    TRY(check_info(ctx, f, &info));
    f->channels = info.channels;
    f->rate = info.samplerate;
    /* A FLAC stream written to a pipe has no length: libsndfile then returns SF_COUNT_MAX. */
    f->header_frames = info.frames > 0 && info.frames < SF_COUNT_MAX ? (uint64_t)info.frames : 0;
    TRY(mem_alloc(ctx, &f->frames, (size_t)SOUND_FILE_BLOCK * (size_t)f->channels, sizeof(float)));
fail:
    if (st != CLIO_OK)
        sound_file_close(f);
    return st;
}

void sound_file_sanitize(float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(samples[i]) <= MAX_SAMPLE)) /* also true for NaN */
            samples[i] = 0;
}

size_t sound_file_read(struct sound_file *f, float mono[SOUND_FILE_BLOCK])
{
    /* An error ends the sound; samples decoded before it are kept. */
    sf_count_t n = sf_readf_float(f->sndfile, f->frames, SOUND_FILE_BLOCK);
    size_t count = n > 0 ? (size_t)n : 0, channels = (size_t)f->channels;
    sound_file_sanitize(f->frames, count * channels);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++)
            sum += (double)f->frames[i * channels + c];
        mono[i] = (float)(sum / (double)channels);
    }
    return count;
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
    if (f->sndfile)
        sf_close(f->sndfile);
    if (f->fd >= 0)
        close(f->fd);
    free(f->frames);
    f->sndfile = NULL;
    f->frames = NULL;
    f->fd = -1;
}
