/* test_vad.c - voice activity: none in silence, noise, hum and clicks; found in a recording, also in noise. Needs no device. */
#include "test_audio.h"

#include "../../audio/vad.h"

enum { N = 10 * SOUND_RATE };
static float sound[N], noise[N];

/* Add noise of this power and color (0: white; towards 1: more low frequencies) to `sound`. */
static void add_noise(double power, float colour, unsigned seed)
{
    double sum = 0, last = 0;
    test_random(noise, N, seed);
    for (int i = 0; i < N; i++) {
        last = (double)colour * last + (double)noise[i];
        noise[i] = (float)last;
        sum += last * last;
    }
    for (int i = 0; i < N; i++)
        sound[i] += noise[i] * (float)sqrt(power / (sum / N));
}

static void begin(void)
{
    memset(sound, 0, sizeof sound);
}

static void test_no_activity(void **state)
{
    static const float colours[] = {0, 0.9f, 0.998f};
    static const double powers[] = {1e-9, 1e-6, 1e-4, 1e-2};
    (void)state;
    begin();
    assert_false(vad_speech_found(sound, N));
    assert_false(vad_speech_found(sound, 0));
    for (int i = 0; i < N; i += 7919) /* clicks in digital silence */
        sound[i] = 0.9f;
    assert_false(vad_speech_found(sound, N));
    for (size_t c = 0; c < COUNT(colours); c++)
        for (size_t p = 0; p < COUNT(powers); p++) {
            begin();
            add_noise(powers[p], colours[c], (unsigned)(c + 1));
            for (size_t n = SOUND_RATE / 10; n <= N; n *= 10)
                if (vad_speech_found(sound, n))
                    fail_msg("%zu samples of noise of power %g and colour %g", n, powers[p], (double)colours[c]);
        }
    for (int i = 0; i < N; i++) /* the last noise, with hum */
        sound[i] += 0.3f * (float)sin(2 * PI * 50 * i / SOUND_RATE);
    assert_false(vad_speech_found(sound, N));
    for (int i = 0; i < N; i += 7919)
        sound[i] += 0.9f;
    assert_false(vad_speech_found(sound, N));
}

static void test_activity(void **state)
{
    size_t got;
    double power = 0;
    float *speech = read_all(CLIO_SOURCE_DIR "/tests/golden/jfk.wav", SOUND_RATE, N, &got);
    (void)state;
    assert_int_equal(got, N);
    assert_true(vad_speech_found(speech, N));
    for (int i = 0; i < N; i++)
        power += (double)speech[i] * (double)speech[i] / N;
    for (int i = 0; i < N; i++)
        sound[i] = 1e-3f * speech[i]; /* 60 dB lower */
    assert_true(vad_speech_found(sound, N));
    for (unsigned seed = 1; seed < 4; seed++) {
        memcpy(sound, speech, sizeof sound);
        add_noise(power, 0, seed); /* as loud as the speech */
        assert_true(vad_speech_found(sound, N));
        begin();
        memcpy(sound + SOUND_RATE, speech + SOUND_RATE, SOUND_RATE / 2 * sizeof *sound); /* half a second only */
        add_noise(power / 30, 0, seed);
        assert_true(vad_speech_found(sound, N));
    }
    free(speech);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_activity), cmocka_unit_test(test_activity)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
