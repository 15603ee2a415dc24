/* test_audio_streams.c - files that hold more, or less, than their headers say: several streams, damage, a missing end, wrong sizes,
 * unusual headers, channels that cancel each other. What can be read is read, and what is missing is said. Needs no device. */
#include "test_audio.h"

enum { FLAC = SF_FORMAT_FLAC | SF_FORMAT_PCM_16, WAV = SF_FORMAT_WAV | SF_FORMAT_PCM_16, AIFF = SF_FORMAT_AIFF | SF_FORMAT_PCM_16 };
enum {
    AU = SF_FORMAT_AU | SF_FORMAT_PCM_16,
    VORBIS = SF_FORMAT_OGG | SF_FORMAT_VORBIS,
    OPUS = SF_FORMAT_OGG | SF_FORMAT_OPUS,
    MP3 = 0x230082
};
enum { N = 32000 };

static char problem[SOUND_PROBLEM];

/* The whole file at 16 kHz; `problem` is what was wrong with it, or "". */
static float *read_to_end(const char *path, size_t *got, bool *cut)
{
    struct sound *s;
    float *x = malloc(20 * N * sizeof *x);
    assert_non_null(x);
    expect_ok(sound_open(ctx, &s, path, 16000), path);
    expect_ok(sound_read(s, 0, 20 * N, x, got), path);
    if (!sound_problem(s, problem))
        problem[0] = 0;
    *cut = sound_is_cut(s);
    assert_true(!*problem || strstr(problem, path));
    assert_float_equal(sound_duration(s), (double)*got / 16000, 1e-9); /* at its end the real one */
    sound_close(s);
    return x;
}

static void expect_whole(const char *path, size_t samples, const char *part, bool wants_cut)
{
    size_t got;
    bool cut;
    free(read_to_end(path, &got, &cut));
    if (got != samples || cut != wants_cut || (part ? !strstr(problem, part) : *problem != 0))
        fail_msg("%s: %zu samples, expected %zu; cut %d; %s", path, got, samples, cut, problem);
}

static void write_parts(const char *path, size_t count, const void *const *parts, const size_t *sizes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fwrite(parts[i], 1, sizes[i], f), sizes[i]);
    fclose(f);
}

/* Two files of one format, of other rates and channels where it allows that, one after the other. */
static void test_joined(void **state)
{
    static const int formats[] = {FLAC, WAV, VORBIS, OPUS, MP3};
    (void)state;
    for (size_t i = 0; i < COUNT(formats); i++) {
        int rate = formats[i] == MP3 ? 16000 : 8000;
        float *a = test_tone(16000, 1, N), *b = test_tone(rate, formats[i] == MP3 ? 1 : 2, N);
        SF_INFO info = {.samplerate = rate, .channels = 2, .format = formats[i]};
        size_t sizes[3], got, first, second;
        bool cut;
        if (!sf_format_check(&info))
            continue;
        write_floats(in_folder("a"), formats[i], 16000, 1, a, N);
        unsigned char *one = read_bytes(in_folder("a"), &sizes[0]);
        float *whole = read_to_end(in_folder("a"), &first, &cut);
        assert_string_equal(problem, "");
        write_floats(in_folder("b"), formats[i], rate, formats[i] == MP3 ? 1 : 2, b, N);
        unsigned char *two = read_bytes(in_folder("b"), &sizes[1]);
        float *rest = read_to_end(in_folder("b"), &second, &cut);
        sizes[2] = sizes[0];
        write_parts(in_folder("joined"), 3, (const void *const[]){one, two, one}, sizes);
        float *x = read_to_end(in_folder("joined"), &got, &cut);
        if (got != 2 * first + second || cut || *problem)
            fail_msg("format %x: %zu samples, expected 2 * %zu + %zu: %s", (unsigned)formats[i], got, first, second, problem);
        assert_memory_equal(x, whole, first * sizeof *x);
        assert_memory_equal(x + first, rest, second * sizeof *x);
        assert_memory_equal(x + first + second, whole, first * sizeof *x);
        free(x), free(whole), free(rest), free(one), free(two), free(a), free(b);
    }
}

static void put32(unsigned char *b, unsigned long value)
{
    for (int i = 0; i < 4; i++)
        b[i] = (unsigned char)(value >> 8 * i);
}

/* Sizes in the header of a WAV file of N samples: of RIFF, of data. */
static void test_wav_sizes(void **state)
{
    static const unsigned long riffs[] = {0, 36, 36 + 2 * N, 0xffffffff}, sizes[] = {0, 2 * N, 0xffffffff, 0x7fffefdb, 0x80000000};
    static const unsigned char list[] = "LIST\4\0\0\0INFO";
    float *x = test_tone(16000, 1, N);
    size_t size;
    (void)state;
    write_floats(in_folder("a.wav"), WAV, 16000, 1, x, N);
    unsigned char *b = read_bytes(in_folder("a.wav"), &size);
    assert_int_equal(size, 44 + 2 * N);
    for (size_t r = 0; r < COUNT(riffs); r++)
        for (size_t d = 0; d < COUNT(sizes); d++) {
            put32(b + 4, riffs[r]);
            put32(b + 40, sizes[d]);
            write_bytes(in_folder("sizes.wav"), b, size);
            expect_whole(in_folder("sizes.wav"), N, sizes[d] ? NULL : "has no length in its header", false);
        }
    put32(b + 40, 4 * N);
    write_bytes(in_folder("sizes.wav"), b, size);
    expect_whole(in_folder("sizes.wav"), N, "ends after 2.0 s, but its header promises 4.0 s", true);
    put32(b + 40, 2 * N);
    write_parts(in_folder("sizes.wav"), 2, (const void *const[]){b, list}, (const size_t[]){size, 12}); /* chunks behind it are no sound */
    expect_whole(in_folder("sizes.wav"), N, NULL, false);
    put32(b + 40, 0);
    write_parts(in_folder("sizes.wav"), 2, (const void *const[]){b, list}, (const size_t[]){44, 12});
    expect_error(in_folder("sizes.wav"), CLIO_ERROR_FORMAT, "has no samples");
    free(b);
    free(x);
}

/* A size of the samples that is too small: what follows is read if it is no chunk, as far as the size of the whole goes. */
static void test_understated(void **state)
{
    static const unsigned char list[] = "LIST\4\0\0\0INFO", junk[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    float *x = test_tone(16000, 1, N);
    size_t size;
    (void)state;
    write_floats(in_folder("a.wav"), WAV, 16000, 1, x, N);
    unsigned char *b = read_bytes(in_folder("a.wav"), &size);
    put32(b + 40, 1000);
    write_bytes(in_folder("small.wav"), b, size);
    expect_whole(in_folder("small.wav"), N, "has more samples than its header says: it was read to the end of the file", false);
    put32(b + 4, 0); /* unknown */
    write_bytes(in_folder("small.wav"), b, size);
    expect_whole(in_folder("small.wav"), N, "has more samples than its header says", false);
    put32(b + 4, 36 + 1000); /* both sizes agree: the rest is no sound */
    write_bytes(in_folder("small.wav"), b, size);
    expect_whole(in_folder("small.wav"), 500, NULL, false);
    put32(b + 4, 36 + 2 * N + 12);
    memcpy(b + 44 + 1000, "LISTxxxx", 8); /* a damaged chunk is one */
    write_bytes(in_folder("small.wav"), b, size);
    expect_whole(in_folder("small.wav"), 500, NULL, false);
    put32(b + 4, 36 + 2 * N);
    put32(b + 40, 2 * N);
    write_parts(in_folder("small.wav"), 3, (const void *const[]){b, junk, list}, (const size_t[]){size, 16, 12});
    expect_whole(in_folder("small.wav"), N, NULL, false);
    free(b);
    write_floats(in_folder("a.au"), AU, 16000, 1, x, N);
    b = read_bytes(in_folder("a.au"), &size);
    memcpy(b + 8, "\0\0\3\350", 4); /* 1000 */
    write_bytes(in_folder("small.au"), b, size);
    expect_whole(in_folder("small.au"), N, "has more samples than its header says", false);
    free(b);
    write_floats(in_folder("a.aiff"), AIFF, 16000, 1, x, N);
    b = read_bytes(in_folder("a.aiff"), &size);
    for (size_t i = 4; i + 4 < 80; i++)
        if (!memcmp(b + i, "SSND", 4))
            memcpy(b + i + 4, "\0\0\3\360", 4); /* 1000 and 8 */
    write_bytes(in_folder("small.aiff"), b, size);
    expect_whole(in_folder("small.aiff"), N, "has more samples than its header says", false);
    free(b);
    free(x);
}

/* An Ogg file that ends within a page, at the end of one, or after the page that ends the stream; alone and before another file. */
static void test_cut_ogg(void **state)
{
    static const int formats[] = {VORBIS, OPUS};
    enum { LENGTH = 6 * N }; /* several pages */
    float *x = malloc(LENGTH * sizeof *x);
    assert_non_null(x);
    test_random(x, LENGTH, 5);
    for (size_t i = 0; i < LENGTH; i++)
        x[i] *= 0.2f;
    (void)state;
    for (size_t i = 0; i < COUNT(formats); i++) {
        size_t size, last = 0, got, first;
        bool cut;
        write_floats(in_folder("a.ogg"), formats[i], 16000, 1, x, LENGTH);
        unsigned char *b = read_bytes(in_folder("a.ogg"), &size);
        for (size_t at = 1; at + 5 < size; at++)
            last = memcmp(b + at, "OggS", 5) ? last : at;
        assert_true(last > 1000);
        write_bytes(in_folder("cut.ogg"), b, size - 20);
        free(read_to_end(in_folder("cut.ogg"), &first, &cut));
        if (!cut || !strstr(problem, " s, within a page of its Ogg stream: the rest is missing") || first >= LENGTH)
            fail_msg("%zu samples, cut %d: %s", first, cut, problem);
        write_bytes(in_folder("cut.ogg"), b, last + 10); /* within the header of the page */
        free(read_to_end(in_folder("cut.ogg"), &got, &cut));
        if (!cut || !strstr(problem, "within a page"))
            fail_msg("cut %d: %s", cut, problem);
        write_bytes(in_folder("cut.ogg"), b, last);
        free(read_to_end(in_folder("cut.ogg"), &got, &cut));
        if (cut || !strstr(problem, "has no page that ends its Ogg stream: its end may be missing"))
            fail_msg("cut %d: %s", cut, problem);
        write_parts(in_folder("cut.ogg"), 2, (const void *const[]){b, "TAG and more"}, (const size_t[]){size, 12});
        expect_whole(in_folder("cut.ogg"), LENGTH, NULL, false);
        write_parts(in_folder("cut.ogg"), 2, (const void *const[]){b, b}, (const size_t[]){size - 20, size}); /* the second is read */
        free(read_to_end(in_folder("cut.ogg"), &got, &cut));
        if (got != first + LENGTH || cut || !strstr(problem, "is damaged at "))
            fail_msg("%zu samples, expected %zu, cut %d: %s", got, first + LENGTH, cut, problem);
        free(b);
    }
    free(x);
}

/* Values that are no numbers, infinite or too large are silence, and that is said, of a file and of samples in memory. */
static void test_invalid_values(void **state)
{
    enum { FLOATS = SF_FORMAT_WAV | SF_FORMAT_FLOAT };
    float *x = test_tone(16000, 2, N);
    struct sound *s;
    (void)state;
    write_floats(in_folder("f.wav"), FLOATS, 16000, 2, x, N);
    expect_whole(in_folder("f.wav"), N, NULL, false);
    x[7] = NAN;
    x[100] = INFINITY;
    x[101] = 1e30f;
    write_floats(in_folder("f.wav"), FLOATS, 16000, 2, x, N);
    expect_whole(in_folder("f.wav"), N, "3 of 64000 values of ", false);
    assert_non_null(strstr(problem, " are NaN, infinite or above 2^32, and were read as silence"));
    expect_ok(sound_open_samples(ctx, &s, x, 2 * N), "samples");
    assert_true(sound_problem(s, problem));
    assert_non_null(strstr(problem, "3 of 64000 values of the samples are NaN"));
    sound_close(s);
    expect_ok(sound_open_samples(ctx, &s, x, 5), "samples");
    assert_false(sound_problem(s, problem));
    sound_close(s);
    free(x);
}

/* 5 GiB of silence, at 192 kHz in two channels of 32 bits: the size in the header is modulo 2^32, or unknown. */
static void test_large_wav(void **state)
{
    struct header h = {1, 2, 192000, 32, 8, 0, 8, 0};
    const uint64_t bytes = (uint64_t)5 << 30;
    struct sound *s;
    (void)state;
    for (int i = 0; i < 2; i++) {
        h.data_size = i ? 0xffffffff : (unsigned)bytes;
        write_wav(in_folder("large.wav"), &h);
        if (truncate(in_folder("large.wav"), (off_t)(44 + bytes)))
            skip();
        expect_ok(sound_open(ctx, &s, in_folder("large.wav"), 16000), "large");
        assert_float_equal(sound_duration(s), (double)bytes / 8 / 192000, 1e-6);
        sound_close(s);
    }
}

static void test_headers_of_others(void **state)
{
    static const unsigned char tag[] = "ID3\4\0\0\0\0\0\4abcd";
    float *x = test_tone(16000, 1, N);
    size_t size;
    (void)state;
    write_floats(in_folder("a.wav"), WAV, 16000, 1, x, N);
    unsigned char *b = read_bytes(in_folder("a.wav"), &size), *wide = calloc(size + 64, 1);
    assert_non_null(wide);
    memcpy(wide, "BW64\xff\xff\xff\xffWAVEds64\x1c", 17); /* ITU-R BS.2088 */
    put32(wide + 28, 2 * N);
    memcpy(wide + 48, b + 12, 24);
    memcpy(wide + 72, "data\xff\xff\xff\xff", 8);
    memcpy(wide + 80, b + 44, 2 * N);
    write_bytes(in_folder("b.wav"), wide, 80 + 2 * N);
    expect_whole(in_folder("b.wav"), N, NULL, false);
    memcpy(wide, b, 36);
    memcpy(wide + 36, "PEAK\7\0\0\0bad!!!!", 15); /* libsndfile refuses a file with such a chunk, of an odd size */
    memcpy(wide + 52, b + 36, 8 + 2 * N);
    write_bytes(in_folder("peak.wav"), wide, 60 + 2 * N);
    expect_whole(in_folder("peak.wav"), N, NULL, false);
    free(b);
    for (int i = 0; i < 3; i++) {
        const int formats[] = {FLAC, VORBIS, WAV};
        write_floats(in_folder("tagged"), formats[i], 16000, 1, x, N);
        b = read_bytes(in_folder("tagged"), &size);
        write_parts(in_folder("tagged"), 3, (const void *const[]){tag, tag, b}, (const size_t[]){14, 14, size});
        expect_whole(in_folder("tagged"), N, NULL, false);
        free(b);
    }
    /* sizes of 0 in other formats: AIFF has them in FORM, COMM and SSND; AU in its header */
    write_floats(in_folder("a.aiff"), AIFF, 16000, 1, x, N);
    b = read_bytes(in_folder("a.aiff"), &size);
    write_bytes(in_folder("cut.aiff"), b, size / 2);
    size_t samples = (size / 2 - (size - 2 * N)) / 2;
    expect_whole(in_folder("cut.aiff"), samples, "its header promises 2.0 s", true);
    for (size_t i = 4; i + 4 < 80; i++)
        if (!memcmp(b + i, "COMM", 4) || !memcmp(b + i, "SSND", 4))
            memset(b + i + (b[i] == 'C' ? 10 : 4), 0, 4);
    write_bytes(in_folder("zero.aiff"), b, size);
    expect_whole(in_folder("zero.aiff"), N, "has no length in its header", false);
    free(b);
    write_floats(in_folder("a.au"), AU, 16000, 1, x, N);
    b = read_bytes(in_folder("a.au"), &size);
    memset(b + 8, 0, 4);
    write_bytes(in_folder("zero.au"), b, size);
    expect_whole(in_folder("zero.au"), N, "has no length in its header", false);
    memset(b + 8, 0xff, 4); /* unknown, as it is written to a pipe */
    write_bytes(in_folder("zero.au"), b, size);
    expect_whole(in_folder("zero.au"), N, NULL, false);
    free(b);
    free(wide);
    free(x);
}

static void test_ogg_codecs(void **state)
{
    static const char *const packets[][2] = {{"\177FLAC\1", "FLAC in Ogg"}, {"Speex   1.2", "Speex"}, {"\200theora", "Theora"}};
    (void)state;
    for (size_t i = 0; i < COUNT(packets); i++) {
        unsigned char page[200] = "OggS\0\2";
        page[26] = 1;
        page[27] = 100;
        memcpy(page + 28, packets[i][0], strlen(packets[i][0]));
        write_bytes(in_folder("talk"), page, sizeof page);
        expect_error(in_folder("talk"), CLIO_ERROR_UNSUPPORTED, packets[i][1]);
    }
}

/* One damaged bit: the block around it is silent, and what follows is as it was. */
static void test_damage_is_passed(void **state)
{
    static float noise[4 * N];
    size_t size, got;
    bool cut;
    (void)state;
    test_random(noise, COUNT(noise), 5);
    for (size_t i = 0; i < COUNT(noise); i++)
        noise[i] *= 0.3f;
    write_floats(in_folder("hurt.flac"), FLAC, 16000, 1, noise, COUNT(noise));
    float *want = read_to_end(in_folder("hurt.flac"), &got, &cut);
    unsigned char *b = read_bytes(in_folder("hurt.flac"), &size);
    assert_int_equal(got, COUNT(noise));
    b[size / 2] ^= 16;
    write_bytes(in_folder("hurt.flac"), b, size);
    float *x = read_to_end(in_folder("hurt.flac"), &got, &cut);
    assert_int_equal(got, COUNT(noise));
    assert_false(cut);
    if (!strstr(problem, "hurt.flac is damaged at 3.") && !strstr(problem, "hurt.flac is damaged at 4."))
        fail_msg("%s", problem);
    size_t wrong = 0;
    for (size_t i = 0; i < got; i++)
        wrong += x[i] != want[i];
    assert_true(wrong > 0 && wrong <= 3 * 4096);
    assert_memory_equal(x + 3 * N, want + 3 * N, N * sizeof *x);
    b[size / 2] ^= 16;
    write_bytes(in_folder("hurt.flac"), b, size / 2);
    free(x);
    x = read_to_end(in_folder("hurt.flac"), &got, &cut);
    assert_true(cut && got > N && got < 3 * N && strstr(problem, "but its header promises 8.0 s: the rest is missing"));
    free(x);
    free(want);
    free(b);
}

/* Of good files nothing is said, whatever their length. */
static void test_good_files(void **state)
{
    static const int formats[] = {FLAC, WAV, AIFF, AU, VORBIS, OPUS, MP3};
    (void)state;
    for (size_t i = 0; i < 4 * COUNT(formats); i++) {
        size_t lengths[] = {1000, 4096, 40000, 400000}, n = lengths[i % 4], got;
        SF_INFO info = {.samplerate = 16000, .channels = 2, .format = formats[i / 4]};
        bool cut;
        if (!sf_format_check(&info))
            continue;
        float *x = test_tone(16000, 2, n);
        write_floats(in_folder("good"), formats[i / 4], 16000, 2, x, n);
        free(read_to_end(in_folder("good"), &got, &cut));
        if (*problem || cut || got + 2400 < n)
            fail_msg("format %x, %zu of %zu samples: %s", (unsigned)formats[i / 4], got, n, problem);
        free(x);
    }
}

/* A file whose channels are this tone at these amplitudes; the amplitude of what is read. */
static float mixed(int channels, const float *amplitudes)
{
    size_t got;
    bool cut;
    float *x = malloc((size_t)(N * channels) * sizeof *x), peak = 0;
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < channels; c++)
            x[i * channels + c] = amplitudes[c] * (float)sin(0.1 * i);
    write_floats(in_folder("phase"), SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, channels, x, N);
    free(x);
    x = read_to_end(in_folder("phase"), &got, &cut);
    for (size_t i = 0; i < got; i++)
        peak = fmaxf(peak, x[i]);
    free(x);
    return peak;
}

static void test_opposite_phase(void **state)
{
    float sixty_four[64] = {0.64f};
    (void)state;
    assert_float_equal(mixed(2, (float[]){0.5f, -0.5f}), 0.5, 1e-3);
    assert_float_equal(mixed(2, (float[]){0.5f, -0.45f}), 0.5, 1e-3);
    assert_float_equal(mixed(2, (float[]){0.5f, -0.2f}), 0.15, 1e-3); /* the mean, as ever */
    assert_float_equal(mixed(2, (float[]){0.5f, 0}), 0.25, 1e-3);
    assert_float_equal(mixed(4, (float[]){0, 0, 0.5f, -0.5f}), 0.5, 1e-3);
    assert_float_equal(mixed(64, sixty_four), 0.01, 1e-4);
    assert_float_equal(mixed(1, (float[]){0.5f}), 0.5, 1e-3);
    assert_float_equal(mixed(2, (float[]){0, 0}), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined),           cmocka_unit_test(test_wav_sizes),
        cmocka_unit_test(test_large_wav),        cmocka_unit_test(test_headers_of_others),
        cmocka_unit_test(test_understated),      cmocka_unit_test(test_cut_ogg),
        cmocka_unit_test(test_invalid_values),   cmocka_unit_test(test_ogg_codecs),
        cmocka_unit_test(test_damage_is_passed), cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_opposite_phase),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
