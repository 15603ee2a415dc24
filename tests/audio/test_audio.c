/* test_audio.c - sound files of every supported format are read as the right mono stream: in any pieces, from a file, a pipe or memory, in
 * bounded memory. Files are written with libsndfile into a temporary folder. Needs no device. */
#include "test_audio.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define WINDOW 480400 /* samples of one read of Whisper */

/* ---- formats ---- */

/* x is LOUDNESS * sin at TONE, in phase; the ends, where a resampler rings, are ignored. */
static void expect_tone(const float *x, size_t n, double tolerance, const char *what)
{
    double sine = 0, cosine = 0, rest = 0;
    size_t first = 800, last = first + 1600; /* 44 whole periods of 440 Hz at 16 kHz */
    if (n < last + 800)
        fail_msg("%s: only %zu samples", what, n);
    for (size_t i = first; i < last; i++) {
        double a = 2 * PI * TONE * (double)i / 16000;
        sine += 2 * (double)x[i] * sin(a) / (double)(last - first);
        cosine += 2 * (double)x[i] * cos(a) / (double)(last - first);
    }
    for (size_t i = first; i < last; i++) {
        double e = (double)x[i] - LOUDNESS * sin(2 * PI * TONE * (double)i / 16000);
        rest += e * e / (double)(last - first);
    }
    if (fabs(sine - LOUDNESS) > tolerance || fabs(cosine) > tolerance || sqrt(rest) > tolerance)
        fail_msg("%s: sine %g, cosine %g, rest %g", what, sine, cosine, sqrt(rest));
}

static void test_formats(void **state)
{
    static const int pcm[] = {SF_FORMAT_PCM_S8, SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_32,
                              SF_FORMAT_FLOAT,  SF_FORMAT_DOUBLE, SF_FORMAT_ULAW,   SF_FORMAT_ALAW};
    static const int wavs[] = {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_RF64, SF_FORMAT_AIFF, SF_FORMAT_AU, SF_FORMAT_FLAC};
    static const int others[] = {SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_OGG | SF_FORMAT_OPUS, 0x230000 | 0x0082 /* MP3 */};
    static const int rates[] = {8000, 11025, 16000, 44100, 48000}, channels[] = {1, 2, 6};
    int formats[COUNT(pcm) * COUNT(wavs) + COUNT(others)], written[COUNT(formats)] = {0}, kinds = 0;
    size_t count = 0;
    (void)state;
    for (size_t w = 0; w < COUNT(wavs); w++)
        for (size_t p = 0; p < COUNT(pcm); p++)
            formats[count++] = wavs[w] | pcm[p];
    for (size_t o = 0; o < COUNT(others); o++)
        formats[count++] = others[o];
    for (size_t i = 0; i < count * COUNT(rates) * COUNT(channels); i++) {
        size_t format = i / COUNT(rates) / COUNT(channels);
        int rate = rates[i / COUNT(channels) % COUNT(rates)], many = channels[i % COUNT(channels)];
        bool lossy = formats[format] >= SF_FORMAT_OGG && (formats[format] & SF_FORMAT_TYPEMASK) != SF_FORMAT_RF64;
        SF_INFO info = {.samplerate = rate, .channels = many, .format = formats[format]};
        size_t frames = (size_t)(rate / 4), got;
        char what[64];
        /* Opus has only these sample rates, and libsndfile does not check them when writing. */
        if (!sf_format_check(&info) || (formats[format] == others[1] && rate % 8000))
            continue;
        if (lossy && many > 2) /* of six channels one is for low frequencies: encoders remove the tone from it */
            continue;
        snprintf(what, sizeof what, "format %x, %d Hz, %d channels", (unsigned)formats[format], rate, many);
        float *x = test_tone(rate, many, frames);
        write_floats(in_folder("tone"), formats[format], rate, many, x, frames);
        free(x);
        x = read_all(in_folder("tone"), 16000, 8000, &got);
        expect_tone(x, got, lossy ? 3e-2 : 1e-2, what);
        size_t want = (size_t)((double)frames * 16000 / rate + 0.5);
        if (got > want + 2 || got + 2 < want)
            fail_msg("%s: %zu samples instead of %zu", what, got, want);
        free(x);
        written[format]++;
    }
    for (size_t f = 0; f < count; f++)
        kinds += written[f] > 0;
    print_message("%d kinds of files\n", kinds);
    assert_true(kinds >= 35); /* 8 of each WAV format, 8 of AIFF and AU, 3 of FLAC, Vorbis, Opus */
}

/* Write 16-bit values exactly: libsndfile scales floats by 32767 when writing integers. */
static void write_exact(const char *path, int format, const float *x, size_t n)
{
    SF_INFO info = {.samplerate = 16000, .channels = 1, .format = format};
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) {
        short number = (short)(x[i] * 32768);
        bool is_float = (format & SF_FORMAT_SUBMASK) == SF_FORMAT_FLOAT;
        assert_int_equal(is_float ? sf_write_float(f, x + i, 1) : sf_write_short(f, &number, 1), 1);
    }
    sf_close(f);
}

static void test_exact(void **state)
{
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    enum { N = 20000 };
    static float want[N];
    (void)state;
    test_random(want, N, 7);
    for (int i = 0; i < N; i++)
        want[i] = floorf(want[i] * 32768) / 32768; /* a 16-bit value */
    want[0] = -1;
    want[1] = 32767.0f / 32768;
    for (size_t f = 0; f < COUNT(formats); f++) {
        size_t got;
        write_exact(in_folder("exact"), formats[f], want, N);
        float *x = read_all(in_folder("exact"), 16000, N + 10, &got);
        assert_int_equal(got, N);
        assert_memory_equal(x, want, sizeof want);
        free(x);
    }
    struct sound *s;
    expect_ok(sound_open(ctx, &s, in_folder("exact"), 16000), "exact");
    assert_true(sound_duration(s) == N / 16000.0);
    sound_close(s);
}

/* Reading in any pieces gives the same samples. */
static void test_pieces(void **state)
{
    enum { FRAMES = 44100 * 6 };
    float *x = test_tone(44100, 2, FRAMES), *all, piece[9000];
    struct sound *s;
    size_t total, got;
    (void)state;
    write_floats(in_folder("pieces.wav"), SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 2, x, FRAMES);
    free(x);
    all = read_all(in_folder("pieces.wav"), 16000, 100000, &total);
    assert_int_equal(total, 96000);
    expect_ok(sound_open(ctx, &s, in_folder("pieces.wav"), 16000), "pieces");
    for (size_t at = 0, step = 1; at < total; at += step, step = step % 8191 + 977) {
        expect_ok(sound_read(s, at, COUNT(piece), piece, &got), "piece");
        assert_int_equal(got, MIN(COUNT(piece), total - at));
        assert_memory_equal(piece, all + at, got * sizeof(float));
        size_t back = at - MIN(at, SOUND_BACK / 2); /* and read back */
        expect_ok(sound_read(s, back, 100, piece, &got), "back");
        assert_memory_equal(piece, all + back, got * sizeof(float));
    }
    expect_ok(sound_read(s, total, 10, piece, &got), "end");
    assert_int_equal(got, 0);
    expect_ok(sound_read(s, total + 1000000, 10, piece, &got), "far behind the end");
    assert_int_equal(got, 0);
    sound_close(s);

    expect_ok(sound_open(ctx, &s, in_folder("pieces.wav"), 16000), "jump");
    expect_ok(sound_read(s, 80000, 5000, piece, &got), "jump");
    assert_int_equal(got, 5000);
    assert_memory_equal(piece, all + 80000, 5000 * sizeof(float));
    expect_ok(sound_read(s, 80000 - SOUND_BACK, 5000, piece, &got), "jump back");
    assert_memory_equal(piece, all + 80000 - SOUND_BACK, 5000 * sizeof(float));
    assert_int_equal(sound_read(s, 80000 - SOUND_BACK - 1, 10, piece, &got), CLIO_ERROR_INTERNAL);
    assert_int_equal(got, 0);
    assert_non_null(strstr(clio_error(ctx), "kept only from 64000 on"));
    sound_close(s);
    free(all);
}

static void test_samples(void **state)
{
    const float x[] = {0.5f, NAN, -0.25f, INFINITY, 3.0f}, want[] = {0, -0.25f, 0, 3.0f, 0, 0};
    float out[6];
    struct sound *s;
    size_t got;
    (void)state;
    expect_ok(sound_open_samples(ctx, &s, x, COUNT(x)), "samples");
    expect_ok(sound_read(s, 1, 6, out, &got), "samples");
    assert_int_equal(got, 4);
    assert_memory_equal(out, want, sizeof want);
    expect_ok(sound_read(s, UINT64_MAX, 6, out, &got), "behind the samples");
    assert_int_equal(got, 0);
    assert_true(sound_duration(s) == 5 / 16000.0);
    sound_close(s);
    assert_int_equal(sound_open_samples(ctx, &s, x, 0), CLIO_ERROR_ARGUMENT);
    assert_null(s);
    sound_close(NULL);
}

static void test_not_finite(void **state)
{
    enum { N = 4000 };
    static float bad[N], good[N];
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f};
    size_t got, other;
    (void)state;
    test_random(good, N, 3);
    good[5] = 1.5f; /* values above 1 are unchanged */
    memcpy(bad, good, sizeof bad);
    for (size_t i = 0; i < 40; i++) {
        bad[100 * i + 50] = odd[i % 4];
        good[100 * i + 50] = 0;
    }
    for (int rate = 8000; rate <= 16000; rate += 8000) {
        write_floats(in_folder("bad"), SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1, bad, N);
        write_floats(in_folder("good"), SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1, good, N);
        float *x = read_all(in_folder("bad"), 16000, 9000, &got), *y = read_all(in_folder("good"), 16000, 9000, &other);
        assert_int_equal(got, N * (16000 / rate));
        assert_int_equal(got, other);
        assert_memory_equal(x, y, got * sizeof(float));
        if (rate == 16000)
            assert_memory_equal(x, good, sizeof good);
        free(x);
        free(y);
    }
}

/* ---- standard input ---- */

/* Run `command` with `path` as standard input: through a pipe filled by a child process, or directly. */
static void with_stdin(const char *path, bool through_pipe, void (*command)(void))
{
    int saved = dup(STDIN_FILENO), ends[2];
    pid_t child = -1;
    if (through_pipe) {
        size_t size;
        unsigned char *data = read_bytes(path, &size);
        assert_int_equal(pipe(ends), 0);
        child = fork();
        if (child == 0) {
            close(ends[0]);
            for (size_t at = 0; at < size;) {
                ssize_t n = write(ends[1], data + at, MIN(size - at, 5000));
                if (n < 0)
                    _exit(0);
                at += (size_t)n;
            }
            _exit(0);
        }
        close(ends[1]);
        free(data);
    } else {
        ends[0] = open(path, O_RDONLY);
    }
    assert_true(ends[0] >= 0);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    command();
    dup2(saved, STDIN_FILENO);
    close(saved);
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void expect_stdin(void)
{
    size_t got, total;
    float *x = read_all("-", 16000, 20000, &got), *y = read_all(in_folder("piped"), 16000, 20000, &total);
    assert_int_equal(got, total);
    assert_int_equal(got, 16000);
    assert_memory_equal(x, y, got * sizeof(float));
    free(x);
    free(y);
}

static int stop(void *user, const char *what, double done, double total)
{
    int *calls = user;
    (void)done;
    (void)total;
    return strcmp(what, "reading sound") == 0 && ++*calls == 2;
}

static void expect_cancelled(void)
{
    struct sound *s;
    static int calls;
    clio_set_progress(ctx, stop, &calls);
    assert_int_equal(sound_open(ctx, &s, "-", 16000), CLIO_ERROR_CANCELLED);
    clio_set_progress(ctx, NULL, NULL);
    assert_null(s);
    assert_int_equal(calls, 2);
}

static void expect_stdin_empty(void)
{
    expect_error("-", CLIO_ERROR_FORMAT, "is empty");
}

static void expect_no_temporary(void)
{
    setenv("TMPDIR", "/nonexistent/folder", 1);
    expect_error("-", CLIO_ERROR_FILE, "set TMPDIR");
    setenv("TMPDIR", in_folder("spool"), 1);
    /* As on a full disk: no file can grow beyond 1000 bytes. */
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    expect_error("-", CLIO_ERROR_FILE, "with more free space");
    setrlimit(RLIMIT_FSIZE, &before);
}

static void test_stdin(void **state)
{
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_24, SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    float *x = test_tone(44100, 2, 44100);
    (void)state;
    assert_int_equal(mkdir(in_folder("spool"), 0700), 0);
    setenv("TMPDIR", in_folder("spool"), 1);
    for (size_t f = 0; f < COUNT(formats); f++) {
        write_floats(in_folder("piped"), formats[f], 44100, 2, x, 44100);
        with_stdin(in_folder("piped"), true, expect_stdin);
        with_stdin(in_folder("piped"), false, expect_stdin);
    }
    free(x);
    with_stdin("/dev/null", false, expect_stdin_empty);
    with_stdin(in_folder("piped"), true, expect_no_temporary);
    with_stdin(in_folder("piped"), true, expect_cancelled);

    int saved = dup(STDIN_FILENO);
    close(STDIN_FILENO);
    expect_error("-", CLIO_ERROR_FILE, "is closed");
    dup2(saved, STDIN_FILENO);
    close(saved);
    unsetenv("TMPDIR");
    assert_int_equal(rmdir(in_folder("spool")), 0); /* it is empty */
}

/* A named pipe, as from a shell's <(command). */
static void test_fifo(void **state)
{
    float *x = test_tone(8000, 1, 8000);
    size_t got;
    (void)state;
    write_floats(in_folder("source"), SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, x, 8000);
    free(x);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    size_t size;
    unsigned char *data = read_bytes(in_folder("source"), &size);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(in_folder("fifo"), O_WRONLY);
        _exit(fd < 0 || write(fd, data, size) != (ssize_t)size);
    }
    int status = 1;
    x = read_all(in_folder("fifo"), 16000, 20000, &got);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(got, 16000);
    expect_tone(x, got, 1e-2, "fifo");
    free(x);
    free(data);
}

/* A recording of an hour needs the memory of one window. */
static void test_long(void **state)
{
    const size_t seconds = 3600, total = seconds * 16000, step = WINDOW - 400;
    const struct header h = {1, 1, 8000, 16, 2, 3600 * 16000, 0, 0};
    float *x = malloc(WINDOW * sizeof *x);
    struct sound *s;
    struct rusage before, after;
    size_t got, end = 0, loud = 0;
    (void)state;
    write_wav(in_folder("long.wav"), &h);
    assert_int_equal(truncate(in_folder("long.wav"), 44 + 3600 * 16000 - 16000), 0); /* silence, a sparse file, */
    FILE *f = fopen(in_folder("long.wav"), "ab");
    for (int i = 0; i < 8000; i++)
        fwrite("\0\x40", 1, 2, f); /* and half of full scale in the last second */
    fclose(f);
    getrusage(RUSAGE_SELF, &before);
    expect_ok(sound_open(ctx, &s, in_folder("long.wav"), 16000), "long");
    assert_true(sound_duration(s) == 3600);
    for (uint64_t at = 0; at < total; at += step) {
        expect_ok(sound_read(s, at - MIN(at, 200), WINDOW, x, &got), "long");
        end = MAX(end, (size_t)(at - MIN(at, 200)) + got);
        for (size_t i = 0; i < got; i++)
            loud += at + i >= 200 && x[i] > 0.45f;
        assert_true(sound_window(s) <= 2 * (WINDOW + SOUND_BACK + 16384));
    }
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(end, total);
    assert_true(loud > 15500 && loud < 16900);                   /* neighbouring windows share 400 samples */
    assert_true(after.ru_maxrss - before.ru_maxrss < 32 * 1024); /* KiB; the whole recording is 220 MiB */
    sound_close(s);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_exact), cmocka_unit_test(test_pieces), cmocka_unit_test(test_samples),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_stdin), cmocka_unit_test(test_fifo),   cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
