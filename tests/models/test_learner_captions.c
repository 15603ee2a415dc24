/* test_learner_captions.c - cgan and cvae conditioned on captions through the text encoder of the golden folder sd-v1-tiny: the embeddings,
 * that samples depend on the prompt, files, and errors. */
#include "test_encoder.h"
#include "test_learners.h"

#include "../../models/learners/captions.h"
#include "../../models/networks/clip_text.h"

#include <sys/stat.h>

#define BATCH 6
#define PROMPTS ", 'validation_prompts': 'a red fox|snow, at night'"

static const char *const captions[BATCH] = {"a red fox", "snow, at night", "", "a red fox", "fog", "snow, at night"};

static const struct sort {
    const char *type, *settings;
    int side;
} sorts[] = {
    {"cvae", "'hidden_size': 12, 'latent_dim': 5" PROMPTS, 7},
    {"cvae", "'architecture': 'conv', 'base_channels': 4, 'latent_dim': 5" PROMPTS, 8},
    {"cgan", "'architecture': 'dense', 'hidden_size': 8, 'latent_dim': 5, 'loss': 'jsd'" PROMPTS, 6},
    {"cgan", "'ngf': 4, 'ndf': 4, 'latent_dim': 5, 'loss': 'wasserstein'" PROMPTS, 8},
};

/* A model with the text encoder in `encoder`, or the golden one; its data has no labels. */
static clio_status make_reader(struct learner *l, const char *type, const char *settings, int side, const char *encoder)
{
    char all[1600];
    snprintf(all, sizeof all, "{%s, 'text_encoder': '%s%s', 'tokenizer': '%s/tokenizer'}", settings, encoder ? encoder : pipeline(),
             encoder ? "" : "/text_encoder", pipeline());
    return make(l, type, all, side, side, 1, 0);
}

static struct learner_batch batch_with_captions(const struct learner *l, int first, int count)
{
    struct learner_batch b = make_batch(l, first, count, BATCH);
    b.labels = NULL;
    b.captions = captions + first;
    return b;
}

static struct label_input *input_of(struct learner *l)
{
    return strcmp(l->type->name, "cgan") == 0 ? &((struct gan *)l->state)->labels : &((struct vae_networks *)l->state)->labels;
}

/* ---- rows ---- */

/* clip_text_pool's vector of a caption, with 1 as the mean of its squares. */
static void pooled(const struct captions *c, const char *text, int width, float *out)
{
    clio_context *ctx = test_context();
    const struct clip_text *net = c->net.net;
    struct clip_tokenizer words;
    int row[77], *ids = NULL;
    size_t count;
    double squares = 0;
    assert_int_equal(c->net.max_length, COUNT(row));
    assert_ok(clip_tokenizer_open(ctx, &words, c->tokenizer));
    assert_ok(clip_tokenizer_encode(ctx, &words, text, &ids, &count));
    for (size_t i = 0; i < COUNT(row); i++)
        row[i] = i == 0 ? words.start : i <= count ? ids[i - 1] : i == count + 1 ? words.end : words.pad;
    struct tensor states = test_tensor(DTYPE_F32, 3, 1, 77, c->net.width, 0, NULL);
    struct tensor vector = test_tensor(DTYPE_F32, 2, 1, width, 0, 0, NULL);
    assert_ok(clip_text_encode(ctx, net, &states, row, 0));
    assert_ok(clip_text_pool(ctx, NULL, net, &vector, &states, row, net->config.projection > 0));
    float *got = test_read(&vector);
    for (int i = 0; i < width; i++)
        squares += (double)got[i] * (double)got[i];
    for (int i = 0; i < width; i++)
        out[i] = (float)((double)got[i] / sqrt(squares / width));
    free(got);
    free(ids);
    test_free(&states);
    test_free(&vector);
    clip_tokenizer_close(&words);
}

/* The rows of captions: each is independent of the others in the batch, and of the cache. */
static void check_rows(const char *encoder, int width)
{
    clio_context *ctx = test_context();
    struct learner l;
    float rows[BATCH * ENCODER_WIDTH], again[ENCODER_WIDTH], want[ENCODER_WIDTH];
    assert_ok(make_reader(&l, "cvae", sorts[0].settings, 7, encoder));
    struct label_input *in = input_of(&l);
    assert_int_equal(in->width, width);
    size_t left = in->captions->cache_left, bytes = (size_t)width * sizeof(float);
    struct learner_batch all = batch_with_captions(&l, 0, BATCH), one = batch_with_captions(&l, 4, 1);
    assert_ok(label_input_set(ctx, in, &all));
    assert_ok(tensor_read(ctx, &in->rows, 0, (size_t)(BATCH * width), rows));
    for (int i = 0; i < BATCH; i++) {
        pooled(in->captions, captions[i], width, want);
        assert_close(rows + i * width, want, (size_t)width, 1e-6);
    }
    assert_memory_equal(rows, rows + 3 * width, bytes);
    assert_true(memcmp(rows, rows + width, bytes) != 0 && memcmp(rows, rows + 2 * width, bytes) != 0);
    assert_int_equal(in->captions->cache_left, left - 4 * bytes - strlen("a red fox") - strlen("snow, at night") - strlen("fog"));
    assert_ok(label_input_set(ctx, in, &one));
    assert_ok(tensor_read(ctx, &in->rows, 0, (size_t)width, again));
    assert_memory_equal(again, rows + 4 * width, bytes);
    free_batch(&all);
    free_batch(&one);
    learner_close(ctx, &l);
}

static void test_rows(void **state)
{
    float projection[ENCODER_PROJECTION * ENCODER_WIDTH];
    (void)state;
    if (!pipeline())
        skip();
    check_rows(NULL, ENCODER_WIDTH);
    test_random(projection, COUNT(projection), 4);
    write_encoder("text_model.", projection);
    check_rows(in_folder("encoder"), ENCODER_PROJECTION);
}

/* ---- models ---- */

/* A folder of its own: a checkpoint can be copied elsewhere. */
static void assert_folder(const char *name)
{
    struct stat about;
    assert_int_equal(lstat(in_folder(name), &about), 0);
    assert_true(S_ISDIR(about.st_mode));
}

/* Each prompt in turn, or one for all; prompts give different images from the same latents. */
static void check_prompts(struct learner *l, const float *in_turn)
{
    clio_context *ctx = test_context();
    size_t one = (size_t)learner_pixels(l);
    float *images = malloc(4 * one * sizeof *images);
    assert_non_null(images);
    assert_int_equal(learner_labels(l), 2);
    for (int prompt = 0; prompt < 2; prompt++) {
        const int labels[4] = {prompt, prompt, prompt, prompt};
        assert_ok(learner_sample(ctx, l, 4, 11, labels, images));
        for (int i = 0; i < 4; i++)
            assert_true((memcmp(images + (size_t)i * one, in_turn + (size_t)i * one, one * sizeof *images) == 0) == (i % 2 == prompt));
    }
    free(images);
}

/* The same bits twice, without labels; saved and loaded with links to the encoder. */
static void check_sort(const struct sort *s)
{
    clio_context *ctx = test_context();
    struct learner l[3];
    double losses[2][LEARNER_LOSSES] = {{0}};
    float *weights[2], images[2][4 * 8 * 8];
    size_t count;
    for (int i = 0; i < 2; i++) {
        assert_ok(make_reader(&l[i], s->type, s->settings, s->side, NULL));
        assert_ok(learner_train(ctx, &l[i], 1));
        struct learner_batch b = batch_with_captions(&l[i], 0, BATCH);
        run_steps(&l[i], &b, 3, losses[i]);
        weights[i] = all_parameters(&l[i], &count);
        free_batch(&b);
    }
    assert_memory_equal(weights[0], weights[1], count * sizeof *weights[0]);
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    assert_ok(learner_save(ctx, &l[0], folder));
    assert_folder("text_encoder");
    assert_folder("tokenizer");
    assert_int_equal(json_object_set_new(l[0].config, "text_encoder", json_string("/nowhere")), 0);
    assert_ok(learner_save(ctx, &l[0], folder)); /* what lies in the folder goes before the setting */
    assert_ok(learner_load(ctx, &l[2], folder));
    assert_int_equal(l[2].shape.classes, 0);
    assert_ok(learner_sample(ctx, &l[0], 4, 11, NULL, images[0]));
    assert_ok(learner_sample(ctx, &l[2], 4, 11, NULL, images[1]));
    assert_memory_equal(images[0], images[1], 4 * (size_t)learner_pixels(&l[0]) * sizeof images[0][0]);
    check_prompts(&l[2], images[0]);
    for (int i = 0; i < 3; i++)
        learner_close(ctx, &l[i]);
    free(weights[0]);
    free(weights[1]);
}

static void test_kinds(void **state)
{
    (void)state;
    if (!pipeline())
        skip();
    for (size_t i = 0; i < COUNT(sorts); i += test_small() ? 2 : 1)
        check_sort(&sorts[i]);
}

/* ---- learning ---- */

/* Images that are white or black as their captions say: a latent of one number, whose divergence costs, is not needed then. */
static void test_condition(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double first[LEARNER_LOSSES], last[LEARNER_LOSSES];
    float images[2 * 36];
    (void)state;
    if (!pipeline() || test_small())
        skip();
    assert_ok(make_reader(&l, "cvae", "'hidden_size': 16, 'latent_dim': 1" PROMPTS, 6, NULL));
    l.options[0].rate = 1e-2;
    assert_ok(learner_train(ctx, &l, 1));
    struct learner_batch b = batch_with_captions(&l, 0, 2);
    b.global_count = 2;
    for (int i = 0; i < 72; i++)
        images[i] = i < 36 ? 1.0f : 0.0f;
    assert_ok(tensor_write(ctx, &b.images, 0, COUNT(images), images));
    run_steps(&l, &b, 1, first);
    run_steps(&l, &b, 100, last);
    if (last[0] > 0.3 * first[0])
        fail_msg("the loss fell from %g to %g only", first[0], last[0]);
    assert_ok(learner_sample(ctx, &l, 2, 5, NULL, images));
    for (int i = 0; i < 72; i++)
        if (i < 36 ? images[i] < 0.8f : images[i] > 0.2f)
            fail_msg("pixel %d of the image of \"%s\" is %g", i % 36, captions[i / 36], (double)images[i]);
    free_batch(&b);
    learner_close(ctx, &l);
}

/* Each side of a pair learns while the other keeps still. */
static void test_adversaries(void **state)
{
    clio_context *ctx = test_context();
    static const double parts[] = {0.5, 0.85}; /* one that keeps still can be deceived only so far */
    (void)state;
    if (!pipeline() || test_small())
        skip();
    for (int still = 0; still < 2; still++) {
        struct learner l;
        double first[LEARNER_LOSSES], last[LEARNER_LOSSES];
        assert_ok(make_reader(&l, "cgan", "'architecture': 'dense', 'hidden_size': 16, 'latent_dim': 5", 6, NULL));
        l.options[still].rate = 0;
        l.options[1 - still].rate = 1e-2;
        assert_ok(learner_train(ctx, &l, 1));
        struct learner_batch b = batch_with_captions(&l, 0, BATCH);
        run_steps(&l, &b, 1, first);
        run_steps(&l, &b, 60, last);
        if (last[still] > parts[still] * first[still])
            fail_msg("%s fell from %g to %g only", l.type->losses[still], first[still], last[still]);
        free_batch(&b);
        learner_close(ctx, &l);
    }
}

/* Of a batch, and of its parts with their captions. */
static void test_measures(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double whole[LEARNER_LOSSES] = {0}, sums[LEARNER_LOSSES] = {0}, all[3] = {0};
    (void)state;
    if (!pipeline())
        skip();
    assert_ok(make_reader(&l, "cvae", sorts[0].settings, 7, NULL));
    for (int part = 0; part < 3; part++) { /* the whole batch, then its parts */
        struct learner_batch b = batch_with_captions(&l, part == 2 ? 4 : 0, part == 0 ? 6 : part == 1 ? 4 : 2);
        assert_ok(l.type->evaluate(ctx, &l, &b, 99, part ? sums : whole));
        for (int j = 0; part && j < 3; j++)
            all[j] += sums[j];
        free_batch(&b);
    }
    for (int j = 0; j < 3; j++)
        assert_true(fabs(all[j] - whole[j]) <= 1e-5 * whole[j]);
    struct learner_batch b = batch_with_captions(&l, 0, BATCH);
    b.captions = (const char *const[]){"fog", "fog", "fog", "fog", "fog", "fog"};
    assert_ok(l.type->evaluate(ctx, &l, &b, 99, sums));
    assert_true(sums[0] < whole[0] || sums[0] > whole[0]);
    free_batch(&b);
    learner_close(ctx, &l);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double losses[LEARNER_LOSSES];
    float images[49] = {0}, latents[5];
    char alone[100];
    (void)state;
    assert_fails(make(&l, "vae", "{'text_encoder': 'x'}", 7, 7, 1, 0), CLIO_ERROR_ARGUMENT, "text_encoder is not a setting of vae");
    assert_fails(make(&l, "cvae", "{'text_encoder': ''}", 7, 7, 1, 0), CLIO_ERROR_ARGUMENT, "this data has none");
    assert_fails(make(&l, "cvae", "{'text_encoder': '/nowhere'}", 7, 7, 1, 0), CLIO_ERROR_FILE, "there is no folder /nowhere");
    assert_fails(make(&l, "cunet", "{'text_encoder': '/nowhere'}", 8, 8, 1, 0), CLIO_ERROR_ARGUMENT, "this data has none");
    if (!pipeline())
        skip();
    snprintf(alone, sizeof alone, "{'text_encoder': '%s'}", folder);
    assert_fails(make(&l, "cgan", alone, 8, 8, 1, 0), CLIO_ERROR_FILE, "there is no tokenizer beside the text encoder");
    for (size_t i = 0; i < COUNT(sorts); i += 2) {
        assert_ok(make_reader(&l, sorts[i].type, sorts[i].settings, sorts[i].side, NULL));
        assert_ok(learner_train(ctx, &l, 1));
        struct learner_batch b = make_batch(&l, 0, BATCH, BATCH);
        assert_fails(l.type->step(ctx, &l, &b, losses), CLIO_ERROR_ARGUMENT,
                     "is conditioned on captions (text_encoder), and the data has none");
        if (l.type->evaluate)
            assert_fails(l.type->evaluate(ctx, &l, &b, 0, losses), CLIO_ERROR_ARGUMENT, "the data has none");
        if (l.type->encode)
            assert_fails(l.type->encode(ctx, &l, 1, images, NULL, latents), CLIO_ERROR_ARGUMENT,
                         "cannot encode images without their captions");
        free_batch(&b);
        learner_close(ctx, &l);
    }
}

static int clean_up(void **state)
{
    test_forget_tapes(state);
    return remove_folder(state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_rows),        TEST(test_kinds),    TEST(test_condition),
                                       TEST(test_adversaries), TEST(test_measures), TEST(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
