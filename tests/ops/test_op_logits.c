/* test_op_logits.c - the choice of a token: every rule against host/ref, and drawing at a temperature. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

static const char *const locals[] = {"128", "16"};

/* `rows` rows of logits [rows, n] with each its own step, read back together. */
static struct logits_choice *choose(const float *logits, const unsigned char *suppress, int rows, struct logits_args args)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor in = test_tensor(DTYPE_F32, 2, rows, args.n, 1, 1, logits), out = test_tensor(DTYPE_I32, 2, rows, 8, 1, 1, NULL);
    struct tensor never = test_tensor(DTYPE_U8, 1, args.n, 1, 1, 1, suppress), tokens = test_tensor(DTYPE_I32, 1, rows, 1, 1, 1, NULL);
    ctx->planning = true;
    clio_status planned = op_logits_fwd(ctx, &arena, &out, &tokens, &in, &never, 0, args);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    for (int row = rows - 1; row >= 0; row--) {
        args.step = (unsigned)row;
        assert_ok(op_logits_fwd(ctx, &arena, &out, &tokens, &in, &never, row, args));
    }
    struct logits_choice *choices = (struct logits_choice *)test_read(&out);
    int *alone = (int *)test_read(&tokens);
    for (int row = 0; row < rows; row++)
        assert_int_equal(alone[row], choices[row].token);
    free(alone);
    test_free(&tokens);
    arena_free(ctx, &arena);
    test_free(&in);
    test_free(&out);
    test_free(&never);
    return choices;
}

/* Equal, both infinite, or within 1e-4, which is what a sum of a whole vocabulary in f32 allows. */
static void near(const char *what, float x, float want, const struct logits_args *a)
{
    if (!(x < want) && !(x > want) && !isnan(x) && !isnan(want))
        return;
    if (isfinite(want) && fabsf(x - want) <= 1e-4f * fmaxf(1, fabsf(want)))
        return;
    fail_msg("%s is %g, expected %g (text %d, end %d, timestamps %d to %d, weigh %d)", what, (double)x, (double)want, a->text_allowed,
             a->end_allowed, a->timestamp_first, a->timestamp_last, a->weigh_timestamps);
}

static void check(const float *logits, const unsigned char *suppress, int rows, const struct logits_args *args)
{
    for (size_t l = 0; l < COUNT(locals); l++) {
        test_param("logits.local", locals[l]);
        struct logits_choice *choices = choose(logits, suppress, rows, *args);
        for (int r = 0; r < rows; r++) {
            int token;
            float logprob, no_speech, timestamps;
            ref_logits(&token, &logprob, &no_speech, &timestamps, logits + (size_t)r * (size_t)args->n, suppress, args);
            assert_int_equal(choices[r].token, token);
            near("the log-probability", choices[r].logprob, logprob, args);
            near("the no-speech probability", choices[r].no_speech, no_speech, args);
            near("the timestamps' log-probability", choices[r].timestamps, timestamps, args);
        }
        free(choices);
    }
}

/* A vocabulary as Whisper's: text, the end, special tokens, timestamps. */
static struct logits_args vocabulary(void)
{
    return test_small()
               ? (struct logits_args){.n = 1100, .timestamp_begin = 1000, .end_token = 950, .no_speech = 960, .end_allowed = 1}
               : (struct logits_args){.n = 51865, .timestamp_begin = 50364, .end_token = 50257, .no_speech = 50362, .end_allowed = 1};
}

struct room {
    struct logits_args args;
    float *logits;
    unsigned char *suppress;
};

/* Random logits of `rows` rows, spread wide, and every seventh token never to be said. */
static struct room furnish(int rows)
{
    struct room r = {.args = vocabulary()};
    size_t n = MAX((size_t)r.args.n, 2049); /* as many as test_vocabularies needs */
    r.logits = malloc((size_t)rows * n * sizeof *r.logits);
    r.suppress = malloc(n);
    assert_true(r.logits && r.suppress);
    test_random(r.logits, (size_t)rows * n, 21);
    for (size_t i = 0; i < (size_t)rows * n; i++)
        r.logits[i] *= 9;
    for (size_t i = 0; i < n; i++)
        r.suppress[i] = i % 7 == 3;
    return r;
}

static void clear(struct room *r)
{
    free(r->logits);
    free(r->suppress);
}

static void test_rules(void **state)
{
    struct room r = furnish(2);
    int begin = r.args.timestamp_begin, last = r.args.n - 1;
    const int ranges[][2] = {{1, 0}, {begin, last}, {begin + 20, begin + 40}, {begin + 9, begin + 9}};
    (void)state;
    for (int rules = 0; rules < 16; rules++)
        for (size_t range = 0; range < COUNT(ranges); range++) {
            if (test_small() && ((size_t)rules + range) % 3)
                continue;
            r.args.text_allowed = rules & 1;
            r.args.end_allowed = rules >> 1 & 1;
            r.args.weigh_timestamps = rules >> 2 & 1;
            r.args.no_speech = rules >> 3 & 1 ? vocabulary().no_speech : -1;
            r.args.timestamp_first = ranges[range][0];
            r.args.timestamp_last = ranges[range][1];
            check(r.logits, r.suppress, 2, &r.args);
            r.args.timestamp_end = begin + (last - begin) / 2; /* the rest are text tokens that fine-tuning added */
            check(r.logits, r.suppress, 2, &r.args);
            r.logits[last - 5] = 30; /* the largest logit */
            check(r.logits, r.suppress, 2, &r.args);
            r.logits[last - 5] = 0;
            r.args.timestamp_end = 0;
        }
    clear(&r);
}

/* All timestamps together against the best word: just more, and just less, likely. */
static void test_weighing(void **state)
{
    struct room r = furnish(1);
    (void)state;
    r.args.text_allowed = r.args.weigh_timestamps = 1;
    r.args.timestamp_first = r.args.timestamp_begin;
    r.args.timestamp_last = r.args.n - 1;
    for (int i = 0; i < r.args.n; i++)
        r.logits[i] = i < r.args.timestamp_begin ? 0 : -1;
    memset(r.suppress, 0, (size_t)r.args.n);
    float together = logf((float)(r.args.n - r.args.timestamp_begin)) - 1;
    r.logits[77] = together + 0.01f;
    check(r.logits, r.suppress, 1, &r.args);
    struct logits_choice *c = choose(r.logits, r.suppress, 1, r.args);
    assert_int_equal(c->token, 77);
    free(c);
    r.logits[77] = together - 0.01f;
    check(r.logits, r.suppress, 1, &r.args);
    c = choose(r.logits, r.suppress, 1, r.args);
    assert_int_equal(c->token, r.args.timestamp_begin); /* the first of equals */
    free(c);
    clear(&r);
}

/* Of equal tokens the first, in whichever part of the vocabulary they lie; -inf is never chosen and counts nothing. */
static void test_ties_and_infinities(void **state)
{
    struct room r = furnish(1);
    size_t n = (size_t)r.args.n;
    (void)state;
    r.args.text_allowed = 1;
    r.args.timestamp_first = r.args.timestamp_begin;
    r.args.timestamp_last = r.args.n - 1;
    for (size_t i = 0; i < n; i++)
        r.logits[i] = floorf(r.logits[i]); /* many of each */
    check(r.logits, r.suppress, 1, &r.args);
    for (size_t i = 0; i < n; i++)
        r.logits[i] = 1;
    check(r.logits, r.suppress, 1, &r.args);
    for (size_t i = 0; i < n; i++)
        r.logits[i] = i % 5 ? -INFINITY : (float)(i % 11);
    check(r.logits, r.suppress, 1, &r.args);
    for (size_t i = 0; i < n; i++)
        r.logits[i] = -INFINITY;
    r.logits[n - 2] = -300;
    r.suppress[n - 2] = 0;
    r.args.no_speech = (int)n - 2;
    check(r.logits, r.suppress, 1, &r.args);
    clear(&r);
}

/* When nothing may be said the answer is -1, without a NaN. */
static void test_nothing_allowed(void **state)
{
    struct room r = furnish(1);
    (void)state;
    memset(r.suppress, 1, (size_t)r.args.n);
    r.args.text_allowed = r.args.weigh_timestamps = 1;
    r.args.timestamp_first = r.args.timestamp_begin;
    r.args.timestamp_last = r.args.n - 1;
    check(r.logits, r.suppress, 1, &r.args);
    struct logits_choice *c = choose(r.logits, r.suppress, 1, r.args);
    assert_int_equal(c->token, -1);
    assert_true(isinf(c->logprob) && c->logprob < 0 && isinf(c->timestamps) && c->timestamps < 0);
    free(c);
    clear(&r);
}

static void test_vocabularies(void **state)
{
    static const int sizes[] = {1, 2, 15, 16, 17, 127, 129, 1023, 1024, 1025, 2049};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct room r = furnish(1);
        r.args = (struct logits_args){.n = sizes[i], .timestamp_begin = sizes[i] + 5, .end_token = sizes[i] - 1, .no_speech = 0};
        r.args.text_allowed = r.args.end_allowed = r.args.weigh_timestamps = 1;
        r.args.timestamp_last = -1;
        check(r.logits, r.suppress, 1, &r.args);
        clear(&r);
    }
}

/* ---- drawing ---- */

/* Philox 4x32-10 as published, on the host. */
static void philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
        memcpy(c, next, sizeof next);
    }
}

/* The known answers of the authors' library Random123 (kat_vectors, philox4x32 10). */
static void test_philox(void **state)
{
    uint32_t zero[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
    static const uint32_t want_zero[] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    static const uint32_t want_ones[] = {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
    (void)state;
    philox(zero, 0, 0);
    philox(ones, ~0u, ~0u);
    assert_memory_equal(zero, want_zero, sizeof zero);
    assert_memory_equal(ones, want_ones, sizeof ones);
}

enum { WORDS = 9 };
static const float spoken[WORDS] = {0.5f, -1, 2, 1.5f, -3, 0, 1, 2.2f, -0.5f};

static struct logits_args drawing(float temperature, unsigned seed)
{
    return (struct logits_args){.n = WORDS,
                                .timestamp_begin = 6,
                                .end_token = 5,
                                .no_speech = -1,
                                .text_allowed = 1,
                                .end_allowed = 1,
                                .timestamp_first = 6,
                                .timestamp_last = 8,
                                .inverse_temperature = 1 / temperature,
                                .seed = seed};
}

static struct logits_choice *draw(int draws, struct logits_args args)
{
    static const unsigned char suppress[WORDS] = {0, 0, 0, 1, 0, 0, 0, 0, 0};
    float *rows = malloc((size_t)draws * sizeof spoken);
    assert_non_null(rows);
    for (int i = 0; i < draws; i++)
        memcpy(rows + i * WORDS, spoken, sizeof spoken);
    struct logits_choice *choices = choose(rows, suppress, draws, args);
    free(rows);
    return choices;
}

/* The very numbers that cl/random.clh promises: token for token what the host draws. */
static void test_draws_are_reproducible(void **state)
{
    int draws = test_small() ? 40 : 500, differ = 0;
    (void)state;
    for (size_t l = 0; l < COUNT(locals); l++) {
        test_param("logits.local", locals[l]);
        struct logits_choice *c = draw(draws, drawing(0.8f, 17)), *other = draw(draws, drawing(0.8f, 18));
        for (int i = 0; i < draws; i++) {
            double best = -INFINITY;
            int want = -1;
            for (int token = 0; token < WORDS; token++) {
                uint32_t word[4] = {(uint32_t)token, (uint32_t)i, 0, 0};
                philox(word, 17, 0x6c6f6769u);
                double value = (double)spoken[token] / 0.8 - log(-log(((double)(word[0] >> 8) + 0.5) * 0x1p-24));
                if (token != 3 && value > best) {
                    best = value;
                    want = token;
                }
            }
            assert_int_equal(c[i].token, want);
            differ += c[i].token != other[i].token;
        }
        free(c);
        free(other);
    }
    assert_true(differ > draws / 4);
}

/* How often each token comes: within 4.5 standard deviations of softmax(x / T), over the allowed ones. */
static void test_frequencies(void **state)
{
    static const float temperatures[] = {1, 0.5f};
    int draws = test_small() ? 150 : 4000;
    (void)state;
    for (size_t t = 0; t < COUNT(temperatures); t++) {
        struct logits_choice *c = draw(draws, drawing(temperatures[t], 5));
        double total = 0, plain = 0;
        int counts[WORDS] = {0};
        for (int token = 0; token < WORDS; token++) {
            total += token == 3 ? 0 : exp((double)(spoken[token] / temperatures[t]));
            plain += token == 3 ? 0 : exp((double)spoken[token]);
        }
        for (int i = 0; i < draws; i++) {
            counts[c[i].token]++;
            double want = (double)spoken[c[i].token] - log(plain); /* reported without the temperature */
            assert_true(fabs((double)c[i].logprob - want) < 1e-5);
        }
        for (int token = 0; token < WORDS; token++) {
            double p = token == 3 ? 0 : exp((double)(spoken[token] / temperatures[t])) / total;
            assert_true(fabs(counts[token] - p * draws) <= 4.5 * sqrt(p * (1 - p) * draws));
        }
        free(c);
    }
}

/* Any number of work-items that a parameter row asks for becomes one that the reduction can halve. */
static void test_odd_parameter(void **state)
{
    struct room r = furnish(1);
    (void)state;
    r.args.text_allowed = 1;
    r.args.timestamp_last = -1;
    test_param("logits.local", "100");
    struct logits_choice *c = choose(r.logits, r.suppress, 1, r.args);
    int token;
    float logprob, no_speech, timestamps;
    ref_logits(&token, &logprob, &no_speech, &timestamps, r.logits, r.suppress, &r.args);
    assert_int_equal(c->token, token);
    near("the log-probability", c->logprob, logprob, &r.args);
    free(c);
    clear(&r);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct logits_args a = drawing(1, 1);
    struct tensor in = test_tensor(DTYPE_F32, 2, 2, WORDS, 1, 1, NULL), out = test_tensor(DTYPE_I32, 2, 2, 8, 1, 1, NULL);
    struct tensor never = test_tensor(DTYPE_U8, 1, WORDS, 1, 1, 1, NULL), less = test_tensor(DTYPE_U8, 1, WORDS - 1, 1, 1, 1, NULL);
    struct tensor tokens = test_tensor(DTYPE_I32, 1, 2, 1, 1, 1, NULL);
    (void)state;
    assert_fails(op_logits_fwd(ctx, &arena, &out, &tokens, &in, &less, 0, a), CLIO_ERROR_INTERNAL,
                 "suppress is u8 [8], but must be u8 [9]");
    assert_fails(op_logits_fwd(ctx, &arena, &out, &tokens, &in, &never, 2, a), CLIO_ERROR_INTERNAL, "row 2 of 2");
    a.no_speech = WORDS;
    assert_fails(op_logits_fwd(ctx, &arena, &out, &tokens, &in, &never, 0, a), CLIO_ERROR_INTERNAL, "no-speech token 9 of 9");
    a.n = WORDS + 1;
    assert_fails(op_logits_fwd(ctx, &arena, &out, &tokens, &in, &never, 0, a), CLIO_ERROR_INTERNAL, "logits is f32 [2, 9]");
    test_free(&in);
    test_free(&out);
    test_free(&never);
    test_free(&less);
    test_free(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_weighing),
        cmocka_unit_test(test_ties_and_infinities),
        cmocka_unit_test(test_nothing_allowed),
        cmocka_unit_test(test_vocabularies),
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_draws_are_reproducible),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_odd_parameter),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
