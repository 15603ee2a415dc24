/* test_prompt.c - prompt_weights.c: weights, brackets and escapes as in A1111, BREAK, chunks, padding to equal lengths, applying the
 * weights to the encoder's output. The vocabulary is handwritten: a single letter is one token. */
#include "test_prompts.h"

#include <math.h>

#define CHUNK_SIZE (LENGTH - 2)

struct weighted {
    int token;
    double weight;
};
/* The prompt is one chunk with these tokens. */
#define assert_prompt(text, ...)                                                                                                           \
    check_prompt((text), (const struct weighted[]){__VA_ARGS__},                                                                           \
                 (int)(sizeof((const struct weighted[]){__VA_ARGS__}) / sizeof(struct weighted)), __LINE__)
static void check_prompt(const char *text, const struct weighted *want, int count, int line)
{
    struct prompt p;
    assert_ok(prompt_read(test_context(), &p, &tokenizer, NULL, text, LENGTH));
    assert_int_equal(p.chunks, 1);
    assert_int_equal(p.ids[0], START);
    for (int i = 0; i < LENGTH - 1; i++) {
        int token = i < count ? want[i].token : i == count ? STOP : 0;
        double weight = i < count ? want[i].weight : 1;
        if (p.ids[i + 1] != token || fabs((double)p.weights[i + 1] - weight) > 1e-6 * fabs(weight))
            fail_msg("line %d: \"%s\": token %d is %d x %g, expected %d x %g", line, text, i, p.ids[i + 1], (double)p.weights[i + 1], token,
                     weight);
    }
    prompt_free(&p);
}

#define A END('a')
#define B END('b')
#define C END('c')

static void test_weights(void **state)
{
    (void)state;
    assert_prompt("a b", {A, 1}, {B, 1});
    assert_prompt("a (b) c", {A, 1}, {B, 1.1}, {C, 1});
    assert_prompt("((b))", {B, 1.21});
    assert_prompt("[b] [[c]]", {B, 1 / 1.1}, {C, 1 / 1.21});
    assert_prompt("(b:1.3)", {B, 1.3});
    assert_prompt("(b : +0.5 )(c:-2)", {B, 0.5}, {C, -2});
    assert_prompt("(b:.5)(c:2.)(a:0)", {B, 0.5}, {C, 2}, {A, 0});
    assert_prompt("(a (b:1.5) c)", {A, 1.1}, {B, 1.65}, {C, 1.1});
    assert_prompt("(a [b] c:2)", {A, 2}, {B, 2 / 1.1}, {C, 2});
    assert_prompt("(cat:1.3)s", {CAT_W, 1.3}, {END('s'), 1}); /* brackets end words, */
    assert_prompt("c()at", {CAT_W, 1});                       /* unless the weight does not change */
}

static void test_escapes(void **state)
{
    (void)state;
    assert_prompt("\\(a\\)", {END('('), 1}, {A, 1}, {END(')'), 1});
    assert_prompt("(\\(:1.2)", {END('('), 1.2});
    assert_prompt("\\[a\\] \\\\", {END('['), 1}, {A, 1}, {END(']'), 1}, {END('\\'), 1});
    assert_prompt("\\a", {A, 1});
    assert_prompt("a\\", {A, 1});
    assert_prompt("a) b]", {A, 1}, {END(')'), 1}, {B, 1}, {END(']'), 1});
    assert_prompt("a (b c", {A, 1}, {B, 1.1}, {C, 1.1});
    assert_prompt("a [b (c", {A, 1}, {B, 1 / 1.1}, {C, 1});
    assert_prompt("a:b", {A, 1}, {END(':'), 1}, {B, 1});
    assert_prompt("(a:b)", {A, 1.1}, {END(':'), 1.1}, {B, 1.1});
    assert_prompt("(a:1.2.3)", {A, 1.1}, {END(':'), 1.1}, {END('1'), 1.1}, {END('.'), 1.1}, {END('2'), 1.1}, {END('.'), 1.1},
                  {END('3'), 1.1});
    assert_prompt("a:1)", {A, 1}, {END(':'), 1}, {END('1'), 1}, {END(')'), 1});
    assert_prompt("[a:1)", {A, 1 / 1.1}, {END(':'), 1 / 1.1}, {END('1'), 1 / 1.1}, {END(')'), 1 / 1.1});
    check_prompt("()", NULL, 0, __LINE__);
    check_prompt("", NULL, 0, __LINE__);
    check_prompt(" ", NULL, 0, __LINE__);
}

/* Which letters, by their number of occurrences in order: "aab" */
static struct prompt read_letters(const char *text, int chunks)
{
    struct prompt p;
    assert_ok(prompt_read(test_context(), &p, &tokenizer, NULL, text, LENGTH));
    assert_int_equal(p.chunks, chunks);
    for (int c = 0; c < chunks; c++)
        assert_int_equal(p.ids[c * LENGTH], START);
    return p;
}
static int used_in(const struct prompt *p, int chunk)
{
    const int *ids = p->ids + chunk * LENGTH;
    int n = 1;
    while (ids[n] != STOP)
        n++;
    for (int i = n + 1; i < LENGTH; i++)
        assert_int_equal(ids[i], 0);
    for (int i = n; i < LENGTH; i++)
        assert_true(p->weights[chunk * LENGTH + i] == 1);
    return n - 1;
}

static void test_break(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int chunks, used[3];
    } cases[] = {
        {"a BREAK b c", 2, {1, 2, 0}},     {"aBREAK b", 1, {7, 0, 0}},          {"a BREAK", 1, {1, 0, 0}}, {"BREAK a", 2, {0, 1, 0}},
        {"a BREAK BREAK b", 3, {1, 0, 1}}, {"(a BREAK b:1.2) c", 2, {1, 2, 0}}, {"BREAK", 1, {0, 0, 0}},   {"a break b", 1, {7, 0, 0}},
        {"a,BREAK,b", 2, {2, 2, 0}},       {"(BREAK)", 1, {0, 0, 0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prompt p = read_letters(cases[i].text, cases[i].chunks);
        for (int c = 0; c < p.chunks; c++)
            assert_int_equal(used_in(&p, c), cases[i].used[c]);
        prompt_free(&p);
    }
    struct prompt p = read_letters("(a BREAK b:1.2) c", 2);
    assert_true(p.weights[1] == 1.2f && p.weights[LENGTH + 1] == 1.2f && p.weights[LENGTH + 2] == 1);
    prompt_free(&p);
}

/* n times "a ", then `rest` */
static const char *letters(int n, const char *rest)
{
    static char text[4096];
    text[0] = 0;
    for (int i = 0; i < n; i++)
        strcat(text, "a ");
    return strcat(text, rest);
}

static void test_chunks(void **state)
{
    (void)state;
    static const struct {
        int before;
        const char *rest;
        int chunks, used[3];
    } cases[] = {
        {CHUNK_SIZE, "", 1, {CHUNK_SIZE, 0, 0}},
        {CHUNK_SIZE + 1, "", 2, {CHUNK_SIZE, 1, 0}},
        {2 * CHUNK_SIZE + 3, "", 3, {CHUNK_SIZE, CHUNK_SIZE, 3}},
        {CHUNK_SIZE - 3, ", b b b", 2, {CHUNK_SIZE - 2, 3, 0}}, /* the phrase after the comma moves to the next chunk */
        {CHUNK_SIZE - 20, ", b b b b b b b b b b b b b b b b b b b c", 2, {CHUNK_SIZE - 19, 20, 0}}, /* at most 20 back */
        {CHUNK_SIZE - 21, ", b b b b b b b b b b b b b b b b b b b b c", 2, {CHUNK_SIZE, 1, 0}},
        {CHUNK_SIZE - 1, ", b", 2, {CHUNK_SIZE, 1, 0}},
        {CHUNK_SIZE, ", b", 2, {CHUNK_SIZE, 2, 0}},
        {CHUNK_SIZE - 4, ", b, c c c", 2, {CHUNK_SIZE - 1, 3, 0}}, /* the last comma */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prompt p = read_letters(letters(cases[i].before, cases[i].rest), cases[i].chunks);
        for (int c = 0; c < p.chunks; c++)
            assert_int_equal(used_in(&p, c), cases[i].used[c]);
        prompt_free(&p);
    }
    struct prompt p = read_letters(letters(CHUNK_SIZE - 2, ", (b c:1.4)"), 2); /* weights move with the tokens */
    assert_int_equal(used_in(&p, 0), CHUNK_SIZE - 1);
    assert_int_equal(p.ids[CHUNK_SIZE - 1], END(','));
    assert_int_equal(used_in(&p, 1), 2);
    assert_int_equal(p.ids[LENGTH + 1], B);
    assert_true(p.weights[LENGTH + 1] == 1.4f && p.weights[LENGTH + 2] == 1.4f);
    prompt_free(&p);
}

static void test_equal_length(void **state)
{
    (void)state;
    struct prompt p = read_letters("a", 1);
    assert_ok(prompt_extend(test_context(), &p, &tokenizer, 3));
    assert_int_equal(p.chunks, 3);
    assert_int_equal(used_in(&p, 0), 1);
    assert_int_equal(used_in(&p, 1), 0);
    assert_int_equal(used_in(&p, 2), 0);
    assert_int_equal(p.ids[2 * LENGTH], START);
    assert_ok(prompt_extend(test_context(), &p, &tokenizer, 2)); /* never shorter */
    assert_int_equal(p.chunks, 3);
    prompt_free(&p);
}

static void test_invalid_prompts(void **state)
{
    clio_context *ctx = test_context();
    struct prompt p;
    char *text = malloc(PROMPT_MAX_BYTES + 2);
    (void)state;
    assert_non_null(text);
    assert_fails(prompt_read(ctx, &p, &tokenizer, NULL, "(a:1.2) \xff", LENGTH), CLIO_ERROR_ARGUMENT,
                 "not valid UTF-8 (byte 0xff at position 8)");
    assert_null(p.ids);
    assert_fails(prompt_read(ctx, &p, &tokenizer, NULL, "((a:99999999999999999999):99999999999999999999)", LENGTH), CLIO_ERROR_ARGUMENT,
                 "is not finite");
    memset(text, '(', PROMPT_MAX_BYTES + 1);
    text[PROMPT_MAX_BYTES + 1] = 0;
    assert_fails(prompt_read(ctx, &p, &tokenizer, NULL, text, LENGTH), CLIO_ERROR_ARGUMENT, "the prompt has 65537 bytes");
    text[PROMPT_MAX_BYTES - 1] = 'a';
    text[PROMPT_MAX_BYTES] = 0;
    assert_fails(prompt_read(ctx, &p, &tokenizer, NULL, text, LENGTH), CLIO_ERROR_ARGUMENT, "is not finite");
    for (int i = 0; i < PROMPT_MAX_BYTES; i++)
        text[i] = i % 2 ? ' ' : 'a';
    assert_ok(prompt_read(ctx, &p, &tokenizer, NULL, text, LENGTH));
    assert_int_equal(p.chunks, (PROMPT_MAX_BYTES / 2 + CHUNK_SIZE - 1) / CHUNK_SIZE);
    prompt_free(&p);
    free(text);
}

static void test_apply_weights(void **state)
{
    (void)state;
    int width = 5;
    struct prompt p = read_letters("a (b:1.5) BREAK c", 2);
    size_t size = (size_t)LENGTH * 5;
    float *x = malloc(2 * size * sizeof *x), *was = malloc(2 * size * sizeof *x);
    double before = 0, weighted = 0, after = 0;
    assert_true(x && was);
    test_random(was, 2 * size, 3);
    for (size_t i = 0; i < size; i++) {
        was[i] += 0.3f;
        before += (double)was[i];
        weighted += (double)was[i] * (i / 5 == 2 ? 1.5 : 1);
    }
    memcpy(x, was, 2 * size * sizeof *x);
    prompt_apply_weights(&p, x, width);
    for (size_t i = 0; i < size; i++) {
        after += (double)x[i];
        assert_true(fabs((double)x[i] - (double)was[i] * (i / 5 == 2 ? 1.5 : 1) * before / weighted) < 1e-6);
    }
    assert_true(fabs(after - before) < 1e-3);
    assert_memory_equal(x + size, was + size, size * sizeof *x); /* without weights, unchanged */
    memset(x, 0, 2 * size * sizeof *x);
    prompt_apply_weights(&p, x, width);
    assert_true(x[10] == 0); /* not NaN */
    free(x);
    free(was);
    prompt_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_weights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_escapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_break, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_equal_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_invalid_prompts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apply_weights, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
