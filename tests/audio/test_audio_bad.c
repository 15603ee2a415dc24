/* test_audio_bad.c - files that are not sounds or not supported give an error with the reason; damaged files are read up to the damage.
 * Needs no device. */
#include "test_audio.h"

static void test_no_file(void **state)
{
    (void)state;
    expect_error(in_folder("nowhere.wav"), CLIO_ERROR_FILE, "no such file");
    expect_error("", CLIO_ERROR_FILE, "no such file");
    expect_error(folder, CLIO_ERROR_FILE, "is a folder");
    expect_error("/dev/null", CLIO_ERROR_FILE, "is a device");
    write_bytes(in_folder("empty.wav"), "", 0);
    expect_error(in_folder("empty.wav"), CLIO_ERROR_FORMAT, "is empty");
    if (geteuid() != 0) {
        chmod(in_folder("empty.wav"), 0);
        expect_error(in_folder("empty.wav"), CLIO_ERROR_FILE, "no permission");
    }
}

static void test_not_sound(void **state)
{
    static const struct {
        const char *bytes;
        clio_status code;
        const char *part;
    } files[] = {
        {"This is a text, not a sound.", CLIO_ERROR_FORMAT, "not a sound file"},
        {"x", CLIO_ERROR_FORMAT, "not a sound file"},
        {"....ftypM4A ....", CLIO_ERROR_UNSUPPORTED, "MP4/M4A"},
        {"\x1a\x45\xdf\xa3........", CLIO_ERROR_UNSUPPORTED, "WebM"},
        {"RIFF....AVI LIST", CLIO_ERROR_UNSUPPORTED, "AVI"},
        {"RIFF", CLIO_ERROR_FORMAT, "damaged or not a sound file"},
        {"OggS....................................", CLIO_ERROR_UNSUPPORTED, "codec"},
        {"fLaC....................................", CLIO_ERROR_FORMAT, "damaged"},
        {"ID3\x04................................", CLIO_ERROR_FORMAT, "damaged"},
    };
    static const struct {
        int format;
        const char *part;
    } unsupported[] = {{SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, "IMA ADPCM"},
                       {SF_FORMAT_WAV | SF_FORMAT_GSM610, "GSM"},
                       {SF_FORMAT_W64 | SF_FORMAT_PCM_16, "W64"},
                       {SF_FORMAT_CAF | SF_FORMAT_PCM_16, "CAF"}};
    float *x = test_tone(8000, 1, 4000);
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        write_bytes(in_folder("talk"), files[i].bytes, strlen(files[i].bytes));
        expect_error(in_folder("talk"), files[i].code, files[i].part);
        expect_error(in_folder("talk"), files[i].code, "WAV"); /* the supported formats */
    }
    for (size_t i = 0; i < COUNT(unsupported); i++) {
        write_floats(in_folder("talk"), unsupported[i].format, 8000, 1, x, 4000);
        expect_error(in_folder("talk"), CLIO_ERROR_UNSUPPORTED, unsupported[i].part);
        expect_error(in_folder("talk"), CLIO_ERROR_UNSUPPORTED, "OGG (Vorbis or Opus)");
    }
    free(x);
}

static void test_headers(void **state)
{
    static const struct {
        struct header header;
        clio_status code;
        const char *part;
        size_t samples; /* at 16 kHz, if it can be read */
    } files[] = {
        {{1, 0, 16000, 16, 2, 200, 200, 0}, CLIO_ERROR_FORMAT, "no channels", 0},
        {{1, 0, 16000, 16, 0, 200, 200, 0}, CLIO_ERROR_FORMAT, "no channels", 0},
        {{1, 1, 0, 16, 2, 200, 200, 0}, CLIO_ERROR_FORMAT, "sample rate", 0},
        {{1, 1, 0xfffffffb, 16, 2, 200, 200, 0}, CLIO_ERROR_FORMAT, "sample rate", 0},
        {{1, 1, 768001, 16, 2, 200, 200, 0}, CLIO_ERROR_FORMAT, "sample rate of 768001", 0},
        {{1, 65, 16000, 16, 130, 1300, 1300, 0}, CLIO_ERROR_UNSUPPORTED, "65 channels", 0},
        {{1, 65535, 16000, 16, 2, 1300, 1300, 0}, CLIO_ERROR_UNSUPPORTED, "more than 64 channels", 0},
        {{1, 1, 16000, 0, 2, 200, 200, 0}, CLIO_ERROR_UNSUPPORTED, "codec", 0},
        {{0x83, 1, 16000, 16, 2, 200, 200, 0}, CLIO_ERROR_FORMAT, "damaged", 0}, /* G.729 */
        {{1, 1, 16000, 16, 2, 0, 0, 0}, CLIO_ERROR_FORMAT, "has no samples", 0},
        {{1, 1, 16000, 16, 2, 200, 200, 44}, CLIO_ERROR_FORMAT, "has no samples", 0},
        {{1, 1, 16000, 16, 2, 200, 200, 45}, CLIO_ERROR_FORMAT, "has no samples", 0},
        {{1, 1, 16000, 16, 2, 200, 200, 40}, CLIO_ERROR_FORMAT, "ends before its sound", 0},
        {{1, 1, 16000, 16, 2, 200, 200, 20}, CLIO_ERROR_FORMAT, "damaged", 0},
        {{1, 1, 16000, 16, 2, 100000, 2000, 0}, CLIO_OK, NULL, 1000}, /* the header has more samples than the file */
        {{1, 1, 16000, 16, 2, 0xffffffff, 2000, 0}, CLIO_OK, NULL, 1000},
        {{1, 64, 16000, 16, 128, 0x7fffffff, 12800, 0}, CLIO_OK, NULL, 100},
        {{1, 1, 16000, 16, 2, 6, 6, 0}, CLIO_OK, NULL, 3},
        {{1, 1, 8000, 16, 2, 6, 6, 0}, CLIO_OK, NULL, 6},
        {{1, 1, 1, 16, 2, 4, 4, 0}, CLIO_OK, NULL, 32000},
        {{1, 1, 768000, 16, 2, 9600, 9600, 0}, CLIO_OK, NULL, 100},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        size_t got;
        write_wav(in_folder("header.wav"), &files[i].header);
        if (files[i].code != CLIO_OK) {
            expect_error(in_folder("header.wav"), files[i].code, files[i].part);
            continue;
        }
        float *x = read_all(in_folder("header.wav"), 16000, 40000, &got);
        assert_int_equal(got, files[i].samples);
        if (files[i].header.rate == 16000)
            for (size_t k = 0; k < got; k++)
                assert_true(x[k] == 0x4040 / 32768.0f);
        free(x);
    }
}

/* Samples before the damage are kept. */
static void test_damage(void **state)
{
    static const int formats[] = {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    enum { N = 64000 };
    static float noise[N];
    (void)state;
    test_random(noise, N, 11);
    for (int i = 0; i < N; i++)
        noise[i] *= 0.3f;
    for (size_t i = 0; i < 2 * COUNT(formats); i++) {
        bool cut = i % 2;
        size_t size, whole, got;
        write_floats(in_folder("whole"), formats[i / 2], 16000, 1, noise, N);
        float *want = read_all(in_folder("whole"), 16000, N, &whole);
        unsigned char *b = read_bytes(in_folder("whole"), &size);
        if (!cut)
            memset(b + size * 3 / 4, 0x55, 3000);
        write_bytes(in_folder("hurt"), b, cut ? size * 3 / 4 : size);
        float *x = read_all(in_folder("hurt"), 16000, N, &got);
        assert_int_equal(whole, N);
        if (got < N / 2 || got > N || (cut && got == N))
            fail_msg("format %x: %zu of %d samples", (unsigned)formats[i / 2], got, N);
        assert_memory_equal(x, want, N / 2 * sizeof(float));
        free(x);
        free(want);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_not_sound),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
