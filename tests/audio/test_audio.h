/* test_audio.h - shared by the tests of sound files: a temporary folder, writers of valid and invalid files. */
#ifndef CLIO_TEST_AUDIO_H
#define CLIO_TEST_AUDIO_H

#include "../support/test.h"

#include "../../audio/sound.h"

#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define PI 3.14159265358979323846

static clio_context *ctx;
static char folder[] = "/tmp/clio-audio-XXXXXX";

static char file_path[256];
static const char *file_names[32];
static size_t file_count;

/* Path of a file with this name (a literal) in the test's folder; deleted at the end. */
static inline const char *in_folder(const char *name)
{
    size_t i = 0;
    while (i < file_count && strcmp(file_names[i], name))
        i++;
    assert_true(i < COUNT(file_names));
    if (i == file_count)
        file_names[file_count++] = name;
    snprintf(file_path, sizeof file_path, "%s/%s", folder, name);
    return file_path;
}

static inline void expect_ok(clio_status st, const char *what)
{
    if (st != CLIO_OK)
        fail_msg("%s: %s: %s", what, clio_status_name(st), clio_error(ctx));
}

/* Opening fails with this code and a message of one line with this part and the name of the file. */
static inline void expect_error(const char *path, clio_status code, const char *part)
{
    struct sound *s = (struct sound *)folder; /* must be overwritten */
    clio_status st = sound_open(ctx, &s, path, 16000);
    assert_null(s);
    const char *named = strcmp(path, "-") ? path : "standard input", *text = clio_error(ctx);
    if (st != code || !strstr(text, part) || !strstr(text, named) || strchr(text, '\n'))
        fail_msg("%s: expected %s with \"%s\", got %s: %s", path, clio_status_name(code), part, clio_status_name(st), text);
}

/* The whole sound at `rate`, allocated. */
static inline float *read_all(const char *path, int rate, size_t capacity, size_t *got)
{
    struct sound *s;
    float *x = malloc((capacity + 1) * sizeof *x);
    assert_non_null(x);
    expect_ok(sound_open(ctx, &s, path, rate), path);
    expect_ok(sound_read(s, 0, capacity, x, got), path);
    for (size_t i = *got; i < capacity; i++)
        assert_true(x[i] == 0.0f);
    sound_close(s);
    return x;
}

static inline void write_floats(const char *path, int format, int rate, int channels, const float *x, size_t frames)
{
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);
    if (!f)
        fail_msg("libsndfile cannot write %s: %s", path, sf_strerror(NULL));
    assert_int_equal(sf_writef_float(f, x, (sf_count_t)frames), (sf_count_t)frames);
    sf_close(f);
}

static inline void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static inline unsigned char *read_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

/* A WAV with this header, followed by `bytes` bytes of 0x40; truncated to `cut` bytes if that is not 0. */
struct header {
    unsigned format, channels, rate, bits, align, data_size;
    size_t bytes, cut;
};
static inline void write_wav(const char *path, const struct header *h)
{
    unsigned char *b = malloc(44 + h->bytes);
    unsigned v[] = {36 + h->data_size,        16,          h->format | h->channels << 16, h->rate, h->rate * h->align,
                    h->align | h->bits << 16, h->data_size};
    size_t at[] = {4, 16, 20, 24, 28, 32, 40};
    assert_non_null(b);
    memcpy(b, "RIFF....WAVEfmt ....................data....", 44);
    for (size_t i = 0; i < COUNT(at); i++)
        for (int k = 0; k < 4; k++)
            b[at[i] + (size_t)k] = (unsigned char)(v[i] >> 8 * k);
    memset(b + 44, 0x40, h->bytes);
    write_bytes(path, b, h->cut ? h->cut : 44 + h->bytes);
    free(b);
}

#define TONE 440.0
#define LOUDNESS 0.4

/* Channels of different loudness, whose mean is a sine of LOUDNESS. */
static inline float *test_tone(int rate, int channels, size_t frames)
{
    float *x = malloc(frames * (size_t)channels * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < frames * (size_t)channels; i++) {
        double unlike = channels == 1 ? 0 : i % 2 ? -0.2 : 0.2; /* channels are one or even */
        x[i] = (float)((LOUDNESS + unlike) * sin(2 * PI * TONE * (double)(i / (size_t)channels) / rate));
    }
    return x;
}

static inline int set_up(void **state)
{
    (void)state;
    if (fcntl(STDIN_FILENO, F_GETFD) < 0) /* otherwise the first opened file would become standard input */
        assert_int_equal(open("/dev/null", O_RDONLY), STDIN_FILENO);
    ctx = clio_create();
    return !ctx || !mkdtemp(folder);
}

static inline int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < file_count; i++) {
        snprintf(file_path, sizeof file_path, "%s/%s", folder, file_names[i]);
        unlink(file_path);
    }
    clio_destroy(ctx);
    return rmdir(folder);
}

#endif
