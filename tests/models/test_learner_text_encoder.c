/* test_learner_text_encoder.c - CLIP's text encoder trained with the UNet: gradients of both against PyTorch's, steps that change both,
 * files of both, resumed runs; and a frozen encoder, which does not change.
 *
 * tests/golden/training/clip_gradients.safetensors: transformers' CLIPTextModel and diffusers' UNet2DConditionModel, of the golden folder
 * sd-v1-tiny, in double; loss = mse(unet(sample, timesteps, text_encoder(captions)), target), "grad.KEY" its gradient by KEY of the
 * encoder, norm that of all of the encoder's together, norm.unet that of the UNet's, "tokens" the rows "rows" of the embedding's.
 * scripts/make-golden-training writes it. */
#include "../support/golden_gradients.h"
#include "test_encoder.h"
#include "test_learners.h"

#include "../../models/learners/diffusion.h"
#include "../../models/train/train.h"
#include "../../models/networks/clip_text.h"
#include "../../models/nn/layout.h"

#include <sys/stat.h>

#define BATCH 3
#define SIDE 8
#define SAMPLE (2 * 4 * 8 * 12)

/* ---- gradients ---- */

static struct tensor on_device(const struct weights *golden, const char *name)
{
    float *planes = test_floats(golden, name, SAMPLE);
    struct tensor x = tensor_shape(DTYPE_F32, 4, 2, 8, 12, 4);
    assert_ok(tensor_new(test_context(), &x, "test"));
    assert_ok(nchw_write(test_context(), &x, planes));
    free(planes);
    return x;
}

static void open_unet(const char *base, struct unet *net, struct parameters *list)
{
    clio_context *ctx = test_context();
    struct json_file config = {0};
    struct weights weights = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/unet", base);
    assert_ok(json_open(ctx, &config, path, "config.json"));
    assert_ok(folder_weights(ctx, path, "diffusion_pytorch_model", NULL, &weights));
    ctx->collects = list;
    assert_ok(unet_load(ctx, &config, &weights, net));
    ctx->collects = NULL;
    assert_ok(parameters_alloc(ctx, list, false));
    weights_close(&weights);
    json_close(&config);
}

static void open_captions(const char *base, struct captions *c, struct parameters *list)
{
    clio_context *ctx = test_context();
    char *encoder = NULL, *tokenizer = NULL;
    assert_ok(file_join(ctx, &encoder, base, "text_encoder"));
    assert_ok(file_join(ctx, &tokenizer, base, "tokenizer"));
    assert_ok(captions_open(ctx, c, encoder, tokenizer, list));
    if (list)
        assert_ok(parameters_alloc(ctx, list, false));
}

static void test_gradients(void **state)
{
    clio_context *ctx = test_context();
    static const char *const texts[] = {"a red fox", "snow, at night"};
    const float one_value = 1;
    const char *base = pipeline();
    struct weights golden = {0};
    struct unet net;
    struct captions captions;
    struct parameters lists[2] = {{0}};
    struct unet_prompt prompt;
    struct tape tape;
    (void)state;
    if (!base)
        skip();
    assert_ok(weights_open(ctx, &golden, test_golden("training/clip_gradients.safetensors"), NULL));
    open_unet(base, &net, &lists[0]);
    open_captions(base, &captions, &lists[1]);
    int length = captions.net.max_length, width = captions.net.width;
    float *timesteps = test_floats(&golden, "timesteps", 2), loss_value;
    struct tensor x = on_device(&golden, "sample"), target = on_device(&golden, "target"), y = x;
    struct tensor states = test_tensor(DTYPE_F32, 3, 2, length, width, 0, NULL), loss = test_tensor(DTYPE_F32, 1, 1, 0, 0, 0, NULL);
    struct tensor one = test_tensor(DTYPE_F32, 1, 1, 0, 0, 0, &one_value);
    assert_ok(unet_prompt_new(ctx, &prompt, &net, 2, length));
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    for (int i = 0; i < 2; i++)
        assert_ok(parameters_watch(ctx, &tape, &lists[i], false));
    assert_ok(tensor_take(ctx, &tape.arena, &y));
    assert_ok(captions_encode(ctx, &tape.arena, &captions, &states, texts));
    assert_ok(unet_attend_to(ctx, &tape.arena, &net, &prompt, &states));
    assert_ok(unet_forward(ctx, &tape.arena, &net, &prompt, &y, &x, &(struct unet_step){.timesteps = timesteps}));
    assert_ok(op_loss_fwd(ctx, &tape.arena, &loss, &y, &target, (struct loss_args){.loss = LOSS_MSE, .scale = 1.0f / SAMPLE}, false));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &loss, &one));
    float *want = test_floats(&golden, "loss", 1);
    assert_ok(tensor_read(ctx, &loss, 0, 1, &loss_value));
    assert_close(&loss_value, want, 1, 1e-5);
    free(want);
    compare_gradients(&lists[1], &golden);
    compare_rows(&lists[1], "embeddings.token_embedding.weight", width, &golden);
    want = test_floats(&golden, "norm.unet", 1);
    loss_value = (float)gradient_norm(&lists[0]);
    assert_close(&loss_value, want, 1, 1e-5);
    free(want);
    free(timesteps);
    tape_close(&tape);
    unet_prompt_free(ctx, &prompt);
    parameters_free(ctx, &lists[0]);
    parameters_free(ctx, &lists[1]);
    unet_free(ctx, &net);
    captions_close(ctx, &captions);
    tensor_free(ctx, &x);
    tensor_free(ctx, &target);
    test_free(&states);
    test_free(&loss);
    test_free(&one);
    weights_close(&golden);
}

/* ---- captions of an encoder that does not learn ---- */

static float *encoded(struct captions *c, const char *const *texts, int count)
{
    struct tensor states = test_tensor(DTYPE_F32, 3, count, c->net.max_length, c->net.width, 0, NULL);
    assert_ok(captions_encode(test_context(), NULL, c, &states, texts));
    float *got = test_read(&states);
    test_free(&states);
    return got;
}

/* Whatever is kept, and whatever else is in the batch, the states of a caption have the same bits, which are those of all at once but for
 * rounding. */
static void test_cache(void **state)
{
    static const char *const texts[] = {"a red fox", NULL, "a red fox", "snow, at night", ""}, *const other[] = {"snow, at night", "fog"};
    struct captions c, learning;
    struct parameters list = {0};
    (void)state;
    if (!pipeline())
        skip();
    open_captions(pipeline(), &c, NULL);
    open_captions(pipeline(), &learning, &list);
    size_t one = (size_t)c.net.max_length * (size_t)c.net.width, bytes = one * sizeof(float), room = c.cache_left;
    c.cache_left = bytes + strlen(texts[0]); /* for one of them */
    float *little = encoded(&c, texts, COUNT(texts)), *again = encoded(&c, texts, COUNT(texts));
    assert_int_equal(c.cache_left, 0);
    c.cache_left = room;
    float *all = encoded(&c, texts, COUNT(texts)), *known = encoded(&c, texts, COUNT(texts)), *two = encoded(&c, other, COUNT(other));
    assert_int_equal(c.cache_left, room - 3 * bytes - strlen("snow, at night") - strlen("fog"));
    assert_memory_equal(little, again, COUNT(texts) * bytes);
    assert_memory_equal(little, all, COUNT(texts) * bytes);
    assert_memory_equal(little, known, COUNT(texts) * bytes);
    assert_memory_equal(two, all + 3 * one, bytes);
    assert_memory_equal(all, all + 2 * one, bytes);
    assert_memory_equal(all + one, all + 4 * one, bytes);
    assert_true(memcmp(all, all + one, bytes) != 0);
    float *want = encoded(&learning, texts, COUNT(texts));
    assert_close(all, want, COUNT(texts) * one, 1e-3); /* whose weights are not rounded to half */
    float *const made[] = {little, again, all, known, two, want};
    for (size_t i = 0; i < COUNT(made); i++)
        free(made[i]);
    captions_close(test_context(), &c);
    captions_close(test_context(), &learning);
    parameters_free(test_context(), &list);
}

/* ---- the learner ---- */

static const char *const captions[BATCH] = {"a red fox", NULL, "snow, at night"};

/* A small UNet over pixels; with `more` settings. */
static clio_status make_reader(struct learner *l, const char *encoder, const char *more)
{
    char settings[1400];
    snprintf(settings, sizeof settings,
             "{'block_out_channels': '16,16', 'layers_per_block': 1, 'norm_num_groups': 8, 'num_inference_steps': 2, "
             "'conditioning_dropout': 0.2%s%s%s%s}",
             encoder ? ", 'text_encoder': '" : "", encoder ? encoder : "", encoder ? "'" : "", more);
    return make(l, "unet", settings, SIDE, SIDE, 3, 0);
}

static struct learner_batch batch_with_captions(const struct learner *l)
{
    struct learner_batch b = make_batch(l, 0, BATCH, BATCH);
    b.captions = captions;
    return b;
}

#define FROZEN ""
#define LEARNS ", 'train_text_encoder': true"

/* One with the golden encoder, ready to train. */
static void open_reader(struct learner *l, const char *more, int accumulate, double average)
{
    char encoder[600];
    snprintf(encoder, sizeof encoder, "%s/text_encoder", pipeline());
    assert_ok(make_reader(l, encoder, more));
    assert_int_equal(parameters_size(&l->parameters[1]) > 0, *more != '\0');
    for (int i = 0; i < LEARNER_PARTS; i++) {
        l->options[i].rate = 1e-3;
        l->options[i].ema_decay = average;
    }
    assert_ok(learner_train(test_context(), l, accumulate));
}

/* What a part has learned, as the device holds it. */
static float *values(const struct parameters *list, size_t *count)
{
    float *all = NULL;
    *count = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t n = tensor_count(&list->list[i].value);
        all = realloc(all, (*count + n) * sizeof *all);
        assert_non_null(all);
        assert_ok(tensor_read(test_context(), &list->list[i].value, 0, n, all + *count));
        *count += n;
    }
    return all;
}

static bool same_values(const struct parameters *a, const struct parameters *b)
{
    size_t n, m;
    float *x = values(a, &n), *y = values(b, &m);
    bool same = n == m && n > 0 && memcmp(x, y, n * sizeof *x) == 0;
    free(x);
    free(y);
    return same;
}

static bool part_equals(const struct learner *l, int part, const float *before, size_t count)
{
    size_t n;
    float *now = values(&l->parameters[part], &n);
    assert_int_equal(n, count);
    bool same = memcmp(now, before, n * sizeof *now) == 0;
    free(now);
    return same;
}

/* Both parts change, once a step; the same bits when the UNet's blocks are computed again; and nothing of either part changes when the loss
 * is not finite. */
static void test_steps(void **state)
{
    struct learner l[2];
    double losses[LEARNER_LOSSES];
    size_t count[2];
    float *before[2];
    (void)state;
    if (!pipeline())
        skip();
    for (int i = 0; i < 2; i++) {
        open_reader(&l[i], i ? LEARNS ", 'gradient_checkpointing': true" : LEARNS, 2, 0);
        struct learner_batch b = batch_with_captions(&l[i]);
        for (int j = 0; j < 2; j++)
            before[j] = values(&l[i].parameters[j], &count[j]);
        assert_ok(l[i].type->step(test_context(), &l[i], &b, losses));
        assert_true(part_equals(&l[i], 0, before[0], count[0]) && part_equals(&l[i], 1, before[1], count[1]));
        l[i].micro_batch = 1;
        assert_ok(l[i].type->step(test_context(), &l[i], &b, losses));
        assert_false(part_equals(&l[i], 0, before[0], count[0]) || part_equals(&l[i], 1, before[1], count[1]));
        free(before[0]);
        free(before[1]);
        free_batch(&b);
    }
    for (int j = 0; j < 2; j++)
        assert_true(same_values(&l[0].parameters[j], &l[1].parameters[j]));
    struct learner_batch b = batch_with_captions(&l[0]);
    const float bad = NAN;
    assert_ok(tensor_write(test_context(), &b.images, 5, 1, &bad));
    assert_ok(l[0].type->step(test_context(), &l[0], &b, losses));
    assert_false(isfinite(losses[0]));
    for (int j = 0; j < 2; j++)
        assert_true(same_values(&l[0].parameters[j], &l[1].parameters[j]));
    free_batch(&b);
    learner_close(test_context(), &l[0]);
    learner_close(test_context(), &l[1]);
}

/* A part that does not learn: neither the encoder's weights nor the files know of it. */
static void test_frozen(void **state)
{
    clio_context *ctx = test_context();
    struct learner l, loaded;
    double losses[LEARNER_LOSSES];
    struct stat about;
    (void)state;
    if (!pipeline())
        skip();
    open_reader(&l, FROZEN, 1, 0.9);
    const struct unet_learner *u = l.state;
    const struct clip_text *encoder = u->captions.net.net;
    const struct tensor *w = &encoder->layers[0].ff.fc1.w.data;
    size_t bytes = tensor_count(w) * sizeof(float);
    float *before = malloc(bytes), *after = malloc(bytes);
    assert_true(before && after);
    assert_ok(tensor_read(ctx, w, 0, tensor_count(w), before));
    struct learner_batch b = batch_with_captions(&l);
    run_steps(&l, &b, 2, losses);
    assert_ok(tensor_read(ctx, w, 0, tensor_count(w), after));
    assert_memory_equal(before, after, bytes);
    assert_int_equal(l.optimizers[1].step, 0);
    assert_ok(learner_save(ctx, &l, folder));
    assert_int_equal(lstat(in_folder("text_encoder"), &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    assert_ok(learner_load(ctx, &loaded, folder));
    assert_int_equal(loaded.parameters[1].count, 0);
    free(before);
    free(after);
    free_batch(&b);
    learner_close(ctx, &loaded);
    learner_close(ctx, &l);
}

/* Written and read again: the bits that are used, which are the averages; and a run that is continued ends with those of an uncut one. */
static void test_files(void **state)
{
    clio_context *ctx = test_context();
    struct learner uncut, cut, again, loaded;
    struct train_plan plan;
    struct train_state at = {.step = 2, .best_step = -1};
    struct train_split split = {.fraction = 0};
    struct checkpoint found = {0};
    struct bytes notes = {0};
    double losses[LEARNER_LOSSES];
    char path[600];
    struct stat about;
    (void)state;
    if (!pipeline())
        skip();
    assert_ok(train_plan_read(ctx, &plan, learner_type_find("unet"), NULL));
    open_reader(&uncut, LEARNS, 1, 0.9);
    open_reader(&cut, LEARNS, 1, 0.9);
    struct learner_batch b = batch_with_captions(&uncut);
    run_steps(&uncut, &b, 4, losses);
    run_steps(&cut, &b, 2, losses);
    assert_ok(checkpoint_write(ctx, &cut, &plan, &at, &split, folder));
    open_reader(&again, LEARNS, 1, 0.9);
    assert_ok(checkpoint_find(ctx, folder, &found));
    assert_ok(checkpoint_load(ctx, &found, &again, &notes));
    assert_true(!notes.size && found.state.step == 2);
    for (int i = 0; i < 2; i++)
        assert_true(same_values(&again.parameters[i], &cut.parameters[i]));
    run_steps(&again, &b, 2, losses);
    for (int i = 0; i < 2; i++)
        assert_true(same_values(&again.parameters[i], &uncut.parameters[i]));

    snprintf(path, sizeof path, "%s/last", folder);
    assert_ok(learner_load(ctx, &loaded, path));
    for (int i = 0; i < 2; i++)
        assert_false(same_values(&loaded.parameters[i], &cut.parameters[i]));
    assert_ok(learner_swap_ema(ctx, &cut));
    for (int i = 0; i < 2; i++)
        assert_true(same_values(&loaded.parameters[i], &cut.parameters[i]));
    assert_int_equal(lstat(in_folder("last/text_encoder"), &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    assert_int_equal(stat(in_folder("last/text_encoder/config.json"), &about), 0);
    learner_close(ctx, &again);

    open_reader(&again, FROZEN, 1, 0.9); /* trained weights are not lost silently, nor invented */
    assert_fails(checkpoint_load(ctx, &found, &again, &notes), CLIO_ERROR_ARGUMENT,
                 "a run that trains text_encoder, and the settings do not train it");
    at.step = 5;
    assert_ok(checkpoint_write(ctx, &again, &plan, &at, &split, folder));
    checkpoint_close(&found);
    assert_ok(checkpoint_find(ctx, folder, &found));
    assert_fails(checkpoint_load(ctx, &found, &cut, &notes), CLIO_ERROR_ARGUMENT,
                 "a run that does not train text_encoder, and the settings train it");
    free_batch(&b);
    learner_close(ctx, &again);
    learner_close(ctx, &loaded);
    learner_close(ctx, &cut);
    learner_close(ctx, &uncut);
    checkpoint_close(&found);
    bytes_free(&notes);
    train_plan_free(&plan);
}

/* ---- what a checkpoint says ---- */

/* Keys are saved as they were read, and what the UNet does not use is as it was. */
static void test_keys(void **state)
{
    clio_context *ctx = test_context();
    float projection[ENCODER_PROJECTION * ENCODER_WIDTH], *got;
    struct weights read = {0}, saved = {0};
    struct learner l;
    char settings[800];
    double losses[LEARNER_LOSSES];
    (void)state;
    if (!pipeline())
        skip();
    test_random(projection, COUNT(projection), 4);
    assert_ok(file_make_folder(ctx, in_folder("out")));
    write_encoder("text_model.", projection);
    snprintf(settings, sizeof settings, ", 'train_text_encoder': true, 'tokenizer': '%s/tokenizer'", pipeline());
    assert_ok(make_reader(&l, in_folder("encoder"), settings));
    assert_ok(learner_train(ctx, &l, 1));
    struct learner_batch b = batch_with_captions(&l);
    run_steps(&l, &b, 1, losses);
    assert_ok(learner_save(ctx, &l, in_folder("out")));
    assert_ok(weights_open(ctx, &read, in_folder("encoder"), "model"));
    assert_ok(weights_open(ctx, &saved, in_folder("out/text_encoder"), "model"));
    assert_int_equal(read.count, saved.count);
    for (size_t i = 0; i < read.count; i++) {
        assert_string_equal(read.list[i].name, saved.list[i].name);
        assert_int_equal(read.list[i].count, saved.list[i].count);
    }
    got = test_floats(&saved, "text_projection.weight", COUNT(projection));
    assert_memory_equal(got, projection, sizeof projection);
    free(got);
    free_batch(&b);
    weights_close(&read);
    weights_close(&saved);
    learner_close(ctx, &l);
}

static void test_refusals(void **state)
{
    struct learner l;
    char encoder[600];
    (void)state;
    assert_fails(make_reader(&l, NULL, ", 'train_text_encoder': true"), CLIO_ERROR_ARGUMENT, "there is no text encoder");
    assert_fails(make_reader(&l, NULL, ", 'train_text_encoder': 'yes'"), CLIO_ERROR_ARGUMENT, "train_text_encoder");
    if (!pipeline())
        skip();
    snprintf(encoder, sizeof encoder, "%s/text_encoder", pipeline());
    assert_fails(make_reader(&l, encoder, ", 'train_text_encoder': true, 'attention_levels': 'none'"), CLIO_ERROR_ARGUMENT,
                 "has no cross-attention");
}

#define SAVES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_cache),
                                       cmocka_unit_test(test_steps),
                                       SAVES(test_frozen),
                                       SAVES(test_files),
                                       SAVES(test_keys),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
