/* test_whisper.c - the log-mel front end and the Whisper network against what transformers answers (golden files): mel within 1e-4 for 80
 * and 128 bands, encoder within 1e-3 of the largest value, logits likewise, the same greedy tokens; tokens one by one through the cache
 * must equal one call. */
#include "../support/test.h"

#include <math.h>

#include "../../audio/mel.h"
#include "../../models/networks/whisper.h"

#define FRAMES 3000
#define SAMPLES (FRAMES * MEL_HOP + MEL_FFT)

/* The 30 s window that holds `wave` at its beginning, as samples with their mirrored margin. */
static struct tensor padded_samples(const float *wave, size_t count)
{
    float *samples = calloc(SAMPLES, sizeof *samples);
    assert_non_null(samples);
    memcpy(samples + MEL_FFT / 2, wave, count * sizeof *wave);
    mel_reflect(samples, MEL_FFT / 2, count);
    struct tensor t = test_tensor(DTYPE_F32, 1, SAMPLES, 0, 0, 0, samples);
    free(samples);
    return t;
}

static float *chirp_mel(int bands, const char *stft, struct arena *arena)
{
    clio_context *ctx = test_context();
    char name[64];
    struct weights golden = {0};
    struct mel mel;
    snprintf(name, sizeof name, "mel/log_mel_%d.safetensors", bands);
    const char *path = test_golden(name);
    if (!path)
        return NULL;
    test_param("mel.stft", stft);
    assert_ok(weights_open(ctx, &golden, path, NULL));
    float *wave = test_floats(&golden, "chirp.wave", 112000), *want = test_floats(&golden, "chirp.mel", (size_t)bands * 800);
    struct tensor samples = padded_samples(wave, 112000), out = test_tensor(DTYPE_F32, 2, FRAMES, bands, 0, 0, NULL);
    assert_ok(mel_open(ctx, &mel, bands));
    ctx->planning = true;
    assert_ok(mel_forward(ctx, arena, &mel, &out, &samples));
    ctx->planning = false;
    assert_ok(arena_commit(ctx, arena, "test"));
    assert_ok(mel_forward(ctx, arena, &mel, &out, &samples));
    float *got = test_read(&out), *first = malloc((size_t)bands * 800 * sizeof *first);
    assert_non_null(first);
    for (int band = 0; band < bands; band++)
        for (int frame = 0; frame < 800; frame++)
            first[band * 800 + frame] = got[frame * bands + band];
    assert_close(first, want, (size_t)bands * 800, 1e-4);
    if (strcmp(stft, "clfft") == 0)
        assert_true(mel.by_clfft); /* it passed its own check and was used */
    mel_close(ctx, &mel);
    test_free(&out);
    test_free(&samples);
    free(first);
    free(wave);
    free(want);
    weights_close(&golden);
    return got;
}

static void mel_is_transformers(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (int bands = 80; bands <= 128; bands += 48) {
        float *got = chirp_mel(bands, "gemm", &arena);
        if (!got)
            skip();
        free(got);
    }
    arena_free(test_context(), &arena);
}

static void mel_by_clfft_is_the_same(void **state)
{
    (void)state;
    struct arena arena = {0};
    if (test_small())
        skip();
    float *got = chirp_mel(80, "clfft", &arena);
    if (!got)
        skip();
    free(got);
    test_param("mel.stft", "gemm");
    arena_free(test_context(), &arena);
}

static void filters_are_transformers(void **state)
{
    (void)state;
    const char *path = test_golden("mel/log_mel_128.safetensors");
    struct weights golden = {0};
    if (!path)
        skip();
    assert_ok(weights_open(test_context(), &golden, path, NULL));
    float *want = test_floats(&golden, "filters", (size_t)MEL_BINS * 128), *got = malloc(sizeof *got * MEL_BINS * 128),
          *turned = malloc(sizeof *got * MEL_BINS * 128);
    assert_non_null(got);
    assert_non_null(turned);
    mel_filters(got, 128);
    for (int band = 0; band < 128; band++)
        for (int bin = 0; bin < MEL_BINS; bin++)
            turned[bin * 128 + band] = got[band * MEL_BINS + bin];
    assert_close(turned, want, (size_t)MEL_BINS * 128, 1e-5);
    free(got);
    free(turned);
    free(want);
    weights_close(&golden);
}

/* ---- the network ---- */

struct tiny {
    struct whisper net;
    struct whisper_state state;
    struct arena arena;
    struct weights golden;
    int row; /* of the state's batch */
};

static bool open_tiny(struct tiny *t)
{
    clio_context *ctx = test_context();
    char folder[1024];
    memset(t, 0, sizeof *t);
    const char *path = test_golden("whisper-tiny-random");
    if (!path)
        return false;
    snprintf(folder, sizeof folder, "%s", path);
    assert_ok(whisper_load(ctx, &t->net, folder));
    assert_ok(whisper_state_new(ctx, &t->state, &t->net, 3));
    t->row = 1; /* in the middle of a batch: nothing depends on the row */
    assert_ok(weights_open(ctx, &t->golden, test_golden("whisper-tiny-random/golden.safetensors"), NULL));
    return true;
}

static void close_tiny(struct tiny *t)
{
    clio_context *ctx = test_context();
    weights_close(&t->golden);
    whisper_state_free(ctx, &t->state, &t->net);
    whisper_free(ctx, &t->net);
    arena_free(ctx, &t->arena);
}

/* Run the encoder over the chirp and point the state at it; the answer. */
static struct tensor encode_chirp(struct tiny *t)
{
    clio_context *ctx = test_context();
    float *features = chirp_mel(80, "gemm", &t->arena);
    assert_non_null(features);
    struct tensor mel = test_tensor(DTYPE_F32, 3, 1, FRAMES, 80, 0, features);
    struct tensor out = test_tensor(DTYPE_F32, 3, 1, FRAMES / 2, t->net.config.width, 0, NULL);
    free(features);
    for (int pass = 0; pass < 2; pass++) {
        ctx->planning = pass == 0;
        if (pass == 1)
            assert_ok(arena_commit(ctx, &t->arena, "test"));
        assert_ok(whisper_encode(ctx, &t->arena, &t->net, &out, &mel));
        assert_ok(whisper_attend_to(ctx, &t->arena, &t->net, &t->state, &out, t->row));
    }
    test_free(&mel);
    return out;
}

/* Logits of `count` tokens given in calls of `step` tokens. */
static float *decode(struct tiny *t, const int *ids, int count, int step)
{
    clio_context *ctx = test_context();
    int vocab = t->net.config.vocab;
    float *all = malloc(sizeof *all * (size_t)count * (size_t)vocab);
    assert_non_null(all);
    for (int at = 0; at < count; at += step) {
        int n = MIN(step, count - at);
        struct tensor id = test_tensor(DTYPE_I32, 2, 1, n, 0, 0, ids + at),
                      hidden = test_tensor(DTYPE_F32, 3, 1, n, t->net.config.width, 0, NULL);
        struct tensor logits = test_tensor(DTYPE_F32, 2, 1, vocab, 0, 0, NULL);
        for (int pass = 0; pass < 2; pass++) {
            ctx->planning = pass == 0;
            if (pass == 1)
                assert_ok(arena_commit(ctx, &t->arena, "test"));
            assert_ok(whisper_decode(ctx, &t->arena, &t->net, &t->state, &hidden, &id, t->row, at));
            for (int i = 0; i < n; i++) {
                assert_ok(whisper_logits(ctx, &t->net, &logits, &hidden, i));
                if (pass == 1)
                    assert_ok(tensor_read(ctx, &logits, 0, (size_t)vocab, all + (size_t)(at + i) * (size_t)vocab));
            }
        }
        test_free(&id);
        test_free(&hidden);
        test_free(&logits);
    }
    return all;
}

/* Within `tolerance` of transformers, with the encoder's products and attention in this storage, and the decoder's products in that. */
static void compare_network(const char *storage, const char *few, double tolerance)
{
    struct tiny t;
    test_param("gemm.many.storage", storage);
    test_param("gemm.few.storage", few);
    test_param("attention.storage", storage);
    if (!open_tiny(&t))
        skip();
    int width = t.net.config.width, vocab = t.net.config.vocab;
    struct tensor out = encode_chirp(&t);
    float *encoded = test_read(&out), *want = test_floats(&t.golden, "encoder.out", (size_t)60 * (size_t)width),
          *some = malloc(sizeof *some * 60 * (size_t)width);
    assert_non_null(some);
    for (int i = 0; i < 60; i++)
        memcpy(some + i * width, encoded + i * 25 * width, sizeof *some * (size_t)width);
    assert_close(some, want, (size_t)60 * (size_t)width, tolerance);
    int *ids = (int *)(void *)test_floats(&t.golden, "decoder.ids", 8), *best = (int *)(void *)test_floats(&t.golden, "decoder.argmax", 8);
    float *logits = decode(&t, ids, 8, 8), *want_logits = test_floats(&t.golden, "decoder.logits", 8 * 811),
          *every64 = malloc(sizeof *every64 * 8 * 811);
    assert_non_null(every64);
    for (int i = 0; i < 8; i++) {
        int argmax = 0;
        for (int v = 0; v < vocab; v++) {
            if (v % 64 == 0)
                every64[i * 811 + v / 64] = logits[(size_t)i * (size_t)vocab + (size_t)v];
            if (logits[(size_t)i * (size_t)vocab + (size_t)v] > logits[(size_t)i * (size_t)vocab + (size_t)argmax])
                argmax = v;
        }
        const float *row = logits + (size_t)i * (size_t)vocab; /* two tokens that are as likely may change places where they are rounded */
        assert_true(argmax == best[i] || (tolerance > 1e-3 && row[argmax] - row[best[i]] < tolerance * fabsf(row[argmax])));
    }
    assert_close(every64, want_logits, 8 * 811, tolerance);
    for (int step = 1; step <= 3; step += 2) {
        float *again = decode(&t, ids, 8, step);
        assert_close(again, logits, (size_t)8 * (size_t)vocab, 1e-4);
        free(again);
    }
    free(encoded);
    free(want);
    free(some);
    free(ids);
    free(best);
    free(logits);
    free(want_logits);
    free(every64);
    test_free(&out);
    close_tiny(&t);
}

static void network_is_transformers(void **state)
{
    (void)state;
    compare_network("f32", "f16", 1e-3);
}

/* Rounding to 8 bits: 4e-3 of each number at most, and the same tokens. */
static void rounded_network_is_transformers(void **state)
{
    (void)state;
    compare_network("bf16", "f16", 2e-2);
}

/* 8 bits, of which the scale takes the greatest of 32 to 127: 4e-3 of that at most. */
static void quantized_network_is_transformers(void **state)
{
    (void)state;
    compare_network("f32", "q8_0", 2e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_transformers),        cmocka_unit_test(mel_is_transformers),
        cmocka_unit_test(mel_by_clfft_is_the_same),        cmocka_unit_test(network_is_transformers),
        cmocka_unit_test(rounded_network_is_transformers), cmocka_unit_test(quantized_network_is_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
