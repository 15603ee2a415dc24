/* test_recompute.c - networks that compute blocks again for their gradients (the setting recompute, tape_checkpoint) against the same that
 * keep what is between: the same losses and gradients to the bit, with less memory. */
#include "../support/test.h"

#include "../../models/learners/types.h"
#include "../../models/networks/unet.h"

#define STEPS 2
#define BATCH 4

/* What was computed, and the most memory that it took beyond what there was before. */
struct outcome {
    double losses[STEPS];
    float **grads; /* by parameter; of the last step */
    size_t *sizes, count;
    uint64_t peak;
};

static uint64_t memory_from_here(void)
{
    clio_context *ctx = test_context();
    ctx->pool.peak = ctx->pool.now;
    return ctx->pool.now;
}

static void read_gradients(struct outcome *o, const struct parameters *p)
{
    o->count = p->count;
    o->grads = calloc(o->count, sizeof *o->grads);
    o->sizes = calloc(o->count, sizeof *o->sizes);
    assert_non_null(o->grads);
    assert_non_null(o->sizes);
    for (size_t i = 0; i < o->count; i++) {
        o->sizes[i] = tensor_count(&p->list[i].grad);
        if (!p->list[i].trained)
            continue;
        o->grads[i] = malloc(o->sizes[i] * sizeof **o->grads);
        assert_non_null(o->grads[i]);
        assert_ok(tensor_read(test_context(), &p->list[i].grad, 0, o->sizes[i], o->grads[i]));
    }
}

/* `most`: part of the memory. */
static void compare(const char *name, struct outcome *kept, struct outcome *again, double most)
{
    assert_int_equal(kept->count, again->count);
    for (int i = 0; i < STEPS; i++)
        if (kept->losses[i] != again->losses[i])
            fail_msg("the loss of step %d is %.9g, not %.9g", i, again->losses[i], kept->losses[i]);
    size_t zeros = 0;
    for (size_t i = 0; i < kept->count; i++) {
        bool zero = true;
        if (kept->grads[i] && memcmp(kept->grads[i], again->grads[i], kept->sizes[i] * sizeof(float)) != 0)
            fail_msg("gradient %zu has other bits", i);
        for (size_t j = 0; kept->grads[i] && j < kept->sizes[i]; j++)
            zero = zero && kept->grads[i][j] == 0;
        zeros += zero;
        free(kept->grads[i]);
        free(again->grads[i]);
    }
    free(kept->grads);
    free(kept->sizes);
    free(again->grads);
    free(again->sizes);
    fprintf(stderr, "# %s: %.2f MiB, computed again %.2f; %zu of %zu gradients are nothing but zeros\n", name, (double)kept->peak / 1048576,
            (double)again->peak / 1048576, zeros, kept->count);
    if (2 * zeros > kept->count)
        fail_msg("most gradients are zeros");
    if ((double)again->peak > most * (double)kept->peak)
        fail_msg("it takes %.3f of the memory, more than %.3f", (double)again->peak / (double)kept->peak, most);
}

/* ---- learners ---- */

static struct outcome train(const char *kind, const char *settings, struct learner_shape shape, bool recompute)
{
    clio_context *ctx = test_context();
    struct outcome o = {.count = 0};
    struct learner l;
    struct learner_batch batch = {.count = BATCH, .global_count = BATCH};
    double losses[LEARNER_LOSSES];
    json_t *all = json_loads(settings, 0, NULL);
    assert_non_null(all);
    json_object_set_new(all, "gradient_checkpointing", json_boolean(recompute));
    assert_ok(learner_new(ctx, &l, learner_type_find(kind), shape, all, 5));
    json_decref(all);
    assert_ok(learner_train(ctx, &l, 1));
    batch.images = tensor_shape(DTYPE_F32, 4, BATCH, shape.height, shape.width, shape.channels);
    assert_ok(tensor_new(ctx, &batch.images, "test"));
    assert_ok(op_random_fwd(ctx, &batch.images, 1, 0, false));
    uint64_t before = memory_from_here();
    for (l.step = 0; l.step < STEPS; l.step++) {
        assert_ok(l.kind->step(ctx, &l, &batch, losses));
        o.losses[l.step] = losses[0];
    }
    o.peak = ctx->pool.peak - before;
    read_gradients(&o, &l.parameters[0]);
    tensor_free(ctx, &batch.images);
    learner_close(ctx, &l);
    return o;
}

static void compare_learner(const char *kind, const char *settings, struct learner_shape shape, double most)
{
    struct outcome kept = train(kind, settings, shape, false), again = train(kind, settings, shape, true);
    compare(kind, &kept, &again, most);
}

static void test_unet_learner(void **state)
{
    (void)state;
    compare_learner("unet", "{\"block_out_channels\": \"16,24\", \"layers_per_block\": 3, \"norm_num_groups\": 8}",
                    (struct learner_shape){16, 16, 3, 0}, 0.6);
}

static void test_autoencoder(void **state)
{
    (void)state;
    compare_learner("vae-kl", "{\"block_out_channels\": \"16,24\", \"layers_per_block\": 3, \"norm_num_groups\": 8}",
                    (struct learner_shape){16, 16, 3, 0}, 0.7);
}

/* ---- a UNet that attends to a text which is learned as well ---- */

#define SIDE 16
#define LENGTH 7
#define TEXT 12

/* One, two and three layers of a transformer: first and last, and what is between. */
static const char config_text[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"in_channels\": 3, \"out_channels\": 3, \"block_out_channels\": [16, 24, 24],"
    "\"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\"],"
    "\"up_block_types\": [\"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"], \"layers_per_block\": 2,"
    "\"norm_num_groups\": 8, \"attention_head_dim\": 2, \"cross_attention_dim\": 12, \"transformer_layers_per_block\": [1, 2, 3]}";

static struct outcome attend(bool recompute)
{
    clio_context *ctx = test_context();
    struct outcome o = {.count = 0};
    struct json_file config = {.root = json_loads(config_text, 0, NULL)};
    struct parameters p = {0};
    struct unet net;
    struct unet_prompt prompt;
    struct tape tape;
    const float timesteps[BATCH] = {3, 500, 20, 999}, one = 1;
    float numbers[BATCH * LENGTH * TEXT], pixels[BATCH * SIDE * SIDE * 3];
    assert_non_null(config.root);
    assert_ok(mem_string(ctx, &config.path, "the test"));
    ctx->collects = &p;
    assert_ok(unet_load(ctx, &config, NULL, &net));
    ctx->collects = NULL;
    net.recompute = recompute;
    assert_ok(parameters_init(ctx, &p, 3));
    test_random(numbers, COUNT(numbers), 1);
    test_random(pixels, COUNT(pixels), 2);
    struct tensor text = test_tensor(DTYPE_F32, 3, BATCH, LENGTH, TEXT, 1, numbers);
    struct tensor x = test_tensor(DTYPE_F32, 4, BATCH, SIDE, SIDE, 3, pixels), y = test_tensor(DTYPE_F32, 4, BATCH, SIDE, SIDE, 3, NULL);
    struct tensor loss = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, NULL), seed = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, &one);
    assert_ok(parameters_add(ctx, &p, "text", 3, text.dim, &text, NULL, false, true));
    assert_ok(parameters_alloc(ctx, &p, false));
    assert_ok(unet_prompt_new(ctx, &prompt, &net, BATCH, LENGTH));
    assert_ok(tape_open(ctx, &tape));
    uint64_t before = memory_from_here();
    for (int i = 0; i < STEPS; i++) { /* the second one adds to the first one's gradients */
        float value;
        assert_ok(tape_start(ctx, &tape));
        assert_ok(parameters_watch(ctx, &tape, &p, i > 0));
        assert_ok(unet_attend_to(ctx, &tape.arena, &net, &prompt, &text));
        assert_ok(unet_forward(ctx, &tape.arena, &net, &prompt, &y, &x, &(struct unet_step){.timesteps = timesteps}));
        assert_ok(op_loss_fwd(ctx, &tape.arena, &loss, &y, &x, (struct loss_args){.loss = LOSS_MSE, .scale = 1.0f}, false));
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &tape, &loss, &seed));
        tape_reset(&tape);
        assert_ok(tensor_read(ctx, &loss, 0, 1, &value));
        o.losses[i] = (double)value;
    }
    o.peak = ctx->pool.peak - before;
    read_gradients(&o, &p);
    tape_close(&tape);
    unet_prompt_free(ctx, &prompt);
    parameters_free(ctx, &p);
    unet_free(ctx, &net);
    struct tensor *const all[] = {&text, &x, &y, &loss, &seed};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    json_close(&config);
    return o;
}

static void test_cross_attention(void **state)
{
    (void)state;
    struct outcome kept = attend(false), again = attend(true);
    compare("unet with text", &kept, &again, 0.4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_unet_learner, test_forget_tapes),
        cmocka_unit_test_teardown(test_autoencoder, test_forget_tapes),
        cmocka_unit_test_teardown(test_cross_attention, test_forget_tapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
