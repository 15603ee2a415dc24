/* test_text_encoder.c - the interface of text encoders: CLIP through it gives the bits of CLIP called directly, with and without a tape;
 * padding changes nothing; a type of model without a row, lengths out of range and layers that cannot be skipped are refused. */
#include "../support/folder.h"
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../models/networks/clip_text.h"
#include "../../models/networks/text_encoder.h"
#include "../../models/nn/parameters.h"

#define BATCH 2

static const char *golden_folder(const char *name, char path[1024])
{
    const char *found = test_golden(name);
    if (found)
        snprintf(path, 1024, "%s", found);
    return found ? path : NULL;
}

/* Two texts of `length` tokens: 5 and 9 tokens (start, words, the end token that is the last of the vocabulary), then padding pad + i. */
static void fill_ids(int *ids, int length, int pad, int vocab)
{
    for (int b = 0; b < BATCH; b++)
        for (int i = 0; i < length; i++) {
            int used = b ? 9 : 5;
            ids[b * length + i] = i == 0 ? vocab - 2 : i < used - 1 ? 20 + 7 * i + b : i == used - 1 ? vocab - 1 : pad + i;
        }
}
static const int lengths[BATCH] = {5, 9};

struct result {
    float *states, *pooled;
};

static struct result encode(const struct text_encoder *e, const int *ids, const int *each, int length, int skip)
{
    struct tensor states = test_tensor(DTYPE_F32, 3, BATCH, length, e->width, 0, NULL);
    struct tensor pooled = test_tensor(DTYPE_F32, 2, BATCH, e->pooled, 0, 0, NULL);
    struct text_tokens tokens = {.ids = ids, .lengths = each, .batch = BATCH, .length = length};
    assert_ok(text_encoder_encode(test_context(), e, &states, skip ? NULL : &pooled, &tokens, skip));
    struct result r = {test_read(&states), test_read(&pooled)};
    test_free(&states);
    test_free(&pooled);
    return r;
}

static struct result encode_directly(const struct clip_text *net, const int *ids, int skip)
{
    clio_context *ctx = test_context();
    const struct clip_text_config *c = &net->config;
    struct tensor states = test_tensor(DTYPE_F32, 3, BATCH, c->positions, c->width, 0, NULL);
    struct tensor pooled = test_tensor(DTYPE_F32, 2, BATCH, c->projection ? c->projection : c->width, 0, 0, NULL);
    assert_ok(clip_text_encode(ctx, net, &states, ids, skip));
    if (!skip)
        assert_ok(clip_text_pool(ctx, NULL, net, &pooled, &states, ids, c->projection > 0));
    struct result r = {test_read(&states), test_read(&pooled)};
    test_free(&states);
    test_free(&pooled);
    return r;
}

static void free_result(struct result *r)
{
    free(r->states);
    free(r->pooled);
}

static void check_same_as_clip(const char *dir)
{
    clio_context *ctx = test_context();
    struct text_encoder e;
    struct clip_text net;
    int ids[BATCH * 77];
    assert_ok(clip_text_open(ctx, dir, NULL, &net));
    assert_ok(text_encoder_open(ctx, dir, NULL, &e));
    fill_ids(ids, 77, 100, e.vocab);
    assert_int_equal(e.vocab, net.config.vocab);
    assert_int_equal(e.max_length, 77);
    assert_int_equal(e.width, net.config.width);
    assert_int_equal(e.pooled, net.config.projection ? net.config.projection : net.config.width);
    for (int skip = 0; skip < 2; skip++) {
        struct result want = encode_directly(&net, ids, skip), got = encode(&e, ids, lengths, 77, skip),
                      without_lengths = encode(&e, ids, NULL, 77, skip);
        assert_memory_equal(got.states, want.states, sizeof(float) * (size_t)(BATCH * 77 * e.width));
        assert_memory_equal(without_lengths.states, want.states, sizeof(float) * (size_t)(BATCH * 77 * e.width));
        if (!skip)
            assert_memory_equal(got.pooled, want.pooled, sizeof(float) * (size_t)(BATCH * e.pooled));
        free_result(&want);
        free_result(&got);
        free_result(&without_lengths);
    }
    text_encoder_free(ctx, &e);
    assert_null(e.type);
    clip_text_free(ctx, &net);
}

static void clip_is_clip_text(void **state)
{
    char dir[1024];
    (void)state;
    if (!golden_folder("clip-tiny", dir))
        skip();
    check_same_as_clip(dir); /* model_type clip, with a projection */
    assert_non_null(golden_folder("sd-v1-tiny/text_encoder", dir));
    check_same_as_clip(dir); /* model_type clip_text_model, without one */
}

/* What stands in the padding, how much of it there is, and what the other text of the batch is do not reach a text's states. */
static void test_padding(void **state)
{
    clio_context *ctx = test_context();
    struct text_encoder e;
    char dir[1024];
    int ids[BATCH * 77], other[BATCH * 77], few[BATCH * 12];
    (void)state;
    if (!golden_folder("clip-tiny", dir))
        skip();
    assert_ok(text_encoder_open(ctx, dir, NULL, &e));
    fill_ids(ids, 77, 100, e.vocab);
    fill_ids(other, 77, 300, e.vocab);
    fill_ids(few, 12, 100, e.vocab);
    struct result a = encode(&e, ids, lengths, 77, 0), b = encode(&e, other, lengths, 77, 0), c = encode(&e, few, lengths, 12, 0);
    assert_memory_equal(a.pooled, b.pooled, sizeof(float) * (size_t)(BATCH * e.pooled));
    assert_close(c.pooled, a.pooled, (size_t)(BATCH * e.pooled), 1e-3);
    for (int i = 0; i < BATCH; i++) {
        size_t count = (size_t)lengths[i] * (size_t)e.width;
        const float *row = a.states + (size_t)i * 77 * (size_t)e.width, *with_other_padding = b.states + (size_t)i * 77 * (size_t)e.width;
        assert_memory_equal(row, with_other_padding, sizeof(float) * count);
        assert_memory_not_equal(row + count, with_other_padding + count, sizeof(float) * (size_t)e.width);
        assert_close(c.states + (size_t)i * 12 * (size_t)e.width, row, count, 1e-3);
    }
    free_result(&a);
    free_result(&b);
    free_result(&c);
    text_encoder_free(ctx, &e);
}

/* For training: the same bits on a tape, and the pooled vector's gradient reaches the token embedding. */
static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    struct text_encoder e;
    struct parameters p = {0};
    struct tape tape;
    char dir[1024];
    int ids[BATCH * 77];
    const float one = 1;
    (void)state;
    if (!golden_folder("clip-tiny", dir))
        skip();
    ctx->collects = &p;
    assert_ok(text_encoder_open(ctx, dir, NULL, &e));
    ctx->collects = NULL;
    assert_ok(parameters_alloc(ctx, &p, false));
    assert_ok(tape_open(ctx, &tape)); /* while there is a tape, attention keeps f32 */
    fill_ids(ids, 77, 100, e.vocab);
    struct result plain = encode(&e, ids, lengths, 77, 0), recorded;

    struct tensor states = test_tensor(DTYPE_F32, 3, BATCH, 77, e.width, 0, NULL), loss = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, NULL);
    struct tensor pooled = test_tensor(DTYPE_F32, 2, BATCH, e.pooled, 0, 0, NULL),
                  zero = test_tensor(DTYPE_F32, 2, BATCH, e.pooled, 0, 0, NULL);
    struct tensor seed = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, &one);
    struct text_tokens tokens = {.ids = ids, .lengths = lengths, .batch = BATCH, .length = 77};
    assert_ok(tensor_zero(ctx, &zero));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(parameters_watch(ctx, &tape, &p, false));
    assert_ok(text_encoder_forward(ctx, &tape.arena, &e, &states, &pooled, &tokens, 0));
    assert_ok(op_loss_fwd(ctx, &tape.arena, &loss, &pooled, &zero, (struct loss_args){.loss = LOSS_MSE, .scale = 1.0f}, false));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &loss, &seed));
    const struct clip_text *net = e.net;
    size_t count = (size_t)e.vocab * (size_t)e.width;
    float *grad = malloc(count * sizeof *grad);
    assert_non_null(grad);
    assert_ok(tensor_read(ctx, &parameters_find(&p, &net->embedding)->grad, 0, count, grad));
    recorded = (struct result){test_read(&states), test_read(&pooled)};
    assert_memory_equal(recorded.states, plain.states, sizeof(float) * (size_t)(BATCH * 77 * e.width));
    assert_memory_equal(recorded.pooled, plain.pooled, sizeof(float) * (size_t)(BATCH * e.pooled));
    for (int i = 0; i < lengths[0]; i++) { /* tokens of the first text learn; its padding does not */
        bool zeros = true;
        for (int j = 0; j < e.width; j++)
            zeros = zeros && grad[ids[i] * e.width + j] == 0;
        assert_false(zeros);
    }
    for (int j = 0; j < e.width; j++)
        assert_true(grad[ids[60] * e.width + j] == 0);
    free(grad);
    tape_close(&tape);
    free_result(&plain);
    free_result(&recorded);
    struct tensor *const all[] = {&states, &loss, &pooled, &zero, &seed};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    parameters_free(ctx, &p);
    text_encoder_free(ctx, &e);
}

static void test_refusals(void **state)
{
    clio_context *ctx = test_context();
    struct text_encoder e;
    char dir[1024];
    int ids[BATCH * 78];
    (void)state;
    put_text("config.json", "{\"model_type\": \"t5\"}");
    FILE *f = fopen(in_folder("model.safetensors"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite("\2\0\0\0\0\0\0\0{}", 1, 10, f), 10);
    assert_int_equal(fclose(f), 0);
    snprintf(dir, sizeof dir, "%s describes a model of type t5; the text encoders that clio runs have the model_type clip_text_model, clip",
             in_folder("config.json"));
    assert_fails(text_encoder_open(ctx, folder, NULL, &e), CLIO_ERROR_UNSUPPORTED, dir);
    assert_null(e.type);
    put_text("config.json", "{}");
    assert_fails(text_encoder_open(ctx, folder, NULL, &e), CLIO_ERROR_FORMAT, "\"model_type\" is missing");
    assert_fails(text_encoder_open(ctx, in_folder("absent"), NULL, &e), CLIO_ERROR_FILE, "absent");
    text_encoder_free(ctx, &e);

    if (!golden_folder("clip-tiny", dir))
        skip();
    assert_ok(text_encoder_open(ctx, dir, NULL, &e));
    struct tensor states = test_tensor(DTYPE_F32, 3, BATCH, 77, e.width, 0, NULL),
                  longer = test_tensor(DTYPE_F32, 3, BATCH, 78, e.width, 0, NULL);
    struct tensor wide = test_tensor(DTYPE_F32, 2, BATCH, e.pooled + 1, 0, 0, NULL);
    struct text_tokens tokens = {.ids = ids, .batch = BATCH, .length = 77}, too_long = {.ids = ids, .batch = BATCH, .length = 78};
    fill_ids(ids, 77, 100, e.vocab);
    static const int none[BATCH] = {5, 0}, beyond[BATCH] = {78, 5};
    tokens.lengths = none;
    assert_fails(text_encoder_encode(ctx, &e, &states, NULL, &tokens, 0), CLIO_ERROR_INTERNAL, "text 1 has 0 of 77 tokens");
    tokens.lengths = beyond;
    assert_fails(text_encoder_encode(ctx, &e, &states, NULL, &tokens, 0), CLIO_ERROR_INTERNAL, "text 0 has 78 of 77 tokens");
    tokens.lengths = NULL;
    assert_fails(text_encoder_encode(ctx, &e, &longer, NULL, &too_long, 0), CLIO_ERROR_INTERNAL, "texts of 78 tokens; it takes 1 to 77");
    assert_fails(text_encoder_encode(ctx, &e, &longer, NULL, &tokens, 0), CLIO_ERROR_INTERNAL, "states");
    assert_fails(text_encoder_encode(ctx, &e, &states, &wide, &tokens, 0), CLIO_ERROR_INTERNAL, "pooled");
    assert_fails(text_encoder_encode(ctx, &e, &states, NULL, &tokens, 99), CLIO_ERROR_ARGUMENT, "skip 0 to");
    wide.dim[1] = e.pooled;
    assert_fails(text_encoder_encode(ctx, &e, &states, &wide, &tokens, 1), CLIO_ERROR_INTERNAL, "without the last 1 layers");
    ids[76] = e.vocab;
    assert_fails(text_encoder_encode(ctx, &e, &states, NULL, &tokens, 0), CLIO_ERROR_FORMAT, "is outside the");
    ids[76] = 0;
    const struct text_encoder_type *clip = e.type;
    struct text_encoder_type no_skips = *clip;
    no_skips.skips_layers = false;
    e.type = &no_skips;
    assert_ok(text_encoder_encode(ctx, &e, &states, NULL, &tokens, 0));
    assert_fails(text_encoder_encode(ctx, &e, &states, NULL, &tokens, 1), CLIO_ERROR_ARGUMENT, "cannot leave out layers");
    e.type = clip;
    test_free(&states);
    test_free(&longer);
    test_free(&wide);
    text_encoder_free(ctx, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip_is_clip_text),
        cmocka_unit_test(test_padding),
        cmocka_unit_test_teardown(test_tape, test_forget_tapes),
        cmocka_unit_test_setup_teardown(test_refusals, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
