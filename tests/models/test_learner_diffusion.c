/* test_learner_diffusion.c - training of the networks of inference: gradients of a whole UNet, autoencoder and Whisper against PyTorch's;
 * and the learners of UNet and autoencoder: the loss falls, the same bits twice, diffusers folders saved and loaded, with labels, captions
 * and latents; and errors.
 *
 * tests/golden/training/unet_gradients.safetensors: diffusers 0.42's UNet2DConditionModel from the golden folder sd-v1-tiny/unet, in
 * double; loss = mse(unet(sample, timesteps, text), target), "grad.KEY" its gradient by KEY, norm that of all gradients together.
 * tests/golden/training/vae_gradients.safetensors: the same of AutoencoderKL, sd-v1-tiny/vae: loss = l1(sample, decode(mean + std * eps)) +
 * 0.001 kl; "loss" holds it and its two terms.
 * tests/golden/training/whisper_gradients.safetensors: transformers' WhisperForConditionalGeneration, whisper-tiny-random, of the numbers
 * of test_random(21) as spectrogram and the cross-entropy of labels; "tokens" are the rows "rows" of the embedding's gradient.
 * scripts/make-golden-training writes them. */
#include "../support/folder.h"
#include "../support/golden_gradients.h"
#include "test_learners.h"

#include "../../host/core/random.h"
#include "../../models/loaders/model_folder.h"
#include "../../models/learners/vae_kl.h"
#include "../../models/learners/diffusion.h"
#include "../../models/networks/whisper.h"
#include "../../models/nn/layout.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- gradients of the network ---- */

#define SAMPLE (2 * 4 * 8 * 12)
#define TEXT (2 * 7 * 32)

struct trial {
    struct json_file config;
    struct weights weights, golden;
    struct unet net;
    struct parameters parameters;
    struct unet_prompt prompt;
    struct tape tape;
    struct tensor x, y, text, target, loss, one;
};

static struct tensor on_device(const struct trial *t, const char *name)
{
    float *planes = test_floats(&t->golden, name, SAMPLE);
    struct tensor x = tensor_shape(DTYPE_F32, 4, 2, 8, 12, 4);
    assert_ok(tensor_new(test_context(), &x, "test"));
    assert_ok(nchw_write(test_context(), &x, planes));
    free(planes);
    return x;
}

static void open_trial(struct trial *t, const char *path)
{
    clio_context *ctx = test_context();
    const float one = 1;
    assert_ok(json_open(ctx, &t->config, path, "config.json"));
    assert_ok(folder_weights(ctx, path, "diffusion_pytorch_model", NULL, &t->weights));
    ctx->collects = &t->parameters;
    assert_ok(unet_load(ctx, &t->config, &t->weights, &t->net));
    ctx->collects = NULL;
    assert_ok(parameters_alloc(ctx, &t->parameters, false));
    t->x = on_device(t, "sample");
    t->target = on_device(t, "target");
    t->y = tensor_shape(DTYPE_F32, 4, 2, 8, 12, 4);
    assert_ok(tensor_new(ctx, &t->y, "test"));
    float *text = test_floats(&t->golden, "text", TEXT);
    t->text = test_tensor(DTYPE_F32, 3, 2, 7, 32, 0, text);
    free(text);
    t->loss = test_tensor(DTYPE_F32, 1, 1, 0, 0, 0, NULL);
    t->one = test_tensor(DTYPE_F32, 1, 1, 0, 0, 0, &one);
    assert_ok(tape_open(ctx, &t->tape));
    assert_ok(unet_prompt_new(ctx, &t->prompt, &t->net, 2, 7));
}

static void close_trial(struct trial *t)
{
    clio_context *ctx = test_context();
    struct tensor *const all[] = {&t->x, &t->y, &t->target};
    tape_close(&t->tape);
    unet_prompt_free(ctx, &t->prompt);
    parameters_free(ctx, &t->parameters);
    unet_free(ctx, &t->net);
    for (size_t i = 0; i < COUNT(all); i++)
        tensor_free(ctx, all[i]);
    test_free(&t->text);
    test_free(&t->loss);
    test_free(&t->one);
    weights_close(&t->weights);
    weights_close(&t->golden);
    json_close(&t->config);
}

static void backward(struct trial *t)
{
    clio_context *ctx = test_context();
    float *timesteps = test_floats(&t->golden, "timesteps", 2);
    assert_ok(tape_start(ctx, &t->tape));
    assert_ok(parameters_watch(ctx, &t->tape, &t->parameters, false));
    assert_ok(unet_attend_to(ctx, &t->tape.arena, &t->net, &t->prompt, &t->text));
    assert_ok(unet_forward(ctx, &t->tape.arena, &t->net, &t->prompt, &t->y, &t->x, &(struct unet_step){.timesteps = timesteps}));
    assert_ok(
        op_loss_fwd(ctx, &t->tape.arena, &t->loss, &t->y, &t->target, (struct loss_args){.loss = LOSS_MSE, .scale = 1.0f / SAMPLE}, false));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &t->tape, &t->loss, &t->one));
    tape_reset(&t->tape);
    free(timesteps);
}

static void test_gradients(void **state)
{
    struct trial t;
    char folder_name[1024];
    float loss;
    (void)state;
    memset(&t, 0, sizeof t);
    const char *path = test_golden("sd-v1-tiny/unet");
    if (!path)
        skip();
    snprintf(folder_name, sizeof folder_name, "%s", path);
    assert_ok(weights_open(test_context(), &t.golden, test_golden("training/unet_gradients.safetensors"), NULL));
    open_trial(&t, folder_name);
    backward(&t);
    float *want = test_floats(&t.golden, "loss", 1);
    assert_ok(tensor_read(test_context(), &t.loss, 0, 1, &loss));
    assert_close(&loss, want, 1, 1e-5);
    free(want);
    compare_gradients(&t.parameters, &t.golden);
    close_trial(&t);
}

/* ---- the learners ---- */

#define BATCH 6
#define SIDE 8

static const char *const captions[] = {"a red fox", "", "snow, at night", "a photo of a cat", "two boats", "fog"};

/* Images of two colours, by their number. */
static struct learner_batch two_colours(const struct learner *l, int count, int all)
{
    clio_context *ctx = test_context();
    static const int32_t labels[BATCH] = {0, 1, 2, 0, 1, 2};
    int side = l->shape.width;
    size_t one = (size_t)(3 * side * side);
    float *x = malloc((size_t)count * one * sizeof *x);
    struct learner_batch b = {.count = count, .global_count = all, .labels = labels, .captions = captions};
    assert_non_null(x);
    test_random(x, (size_t)count * one, 3);
    for (size_t i = 0; i < (size_t)count * one; i++)
        x[i] = 0.3f * x[i] + (i / one % 2 ? 0.5f : -0.5f);
    b.images = tensor_shape(DTYPE_F32, 4, count, side, side, 3);
    assert_ok(tensor_new(ctx, &b.images, "test"));
    assert_ok(tensor_write(ctx, &b.images, 0, (size_t)count * one, x));
    free(x);
    return b;
}

/* The loss at fixed timesteps. */
static double evaluated(struct learner *l, const struct learner_batch *b)
{
    double sums[LEARNER_LOSSES];
    assert_ok(l->type->evaluate(test_context(), l, b, 99, sums));
    assert_true(isfinite(sums[0]));
    return sums[0] / b->count;
}

static void run(struct learner *l, const struct learner_batch *b, int steps)
{
    double out[LEARNER_LOSSES];
    for (int i = 0; i < steps; i++, l->step++) {
        assert_ok(l->type->step(test_context(), l, b, out));
        assert_true(isfinite(out[0]) && out[0] > 0);
    }
}

static void generate(struct learner *l, float *images)
{
    int labels[] = {2, 0};
    if (!l->type->has_latents) { /* encode and reconstruct */
        struct learner_batch b = two_colours(l, 2, 2);
        float *latents = malloc(2 * (size_t)l->latent * sizeof *latents), *x = malloc(2 * (size_t)learner_pixels(l) * sizeof *x);
        assert_true(latents && x);
        assert_ok(tensor_read(test_context(), &b.images, 0, 2 * (size_t)learner_pixels(l), x));
        assert_ok(l->type->encode(test_context(), l, 2, x, NULL, latents));
        assert_ok(l->type->sample(test_context(), l, 2, latents, NULL, images));
        free(latents);
        free(x);
        free_batch(&b);
        return;
    }
    assert_ok(learner_sample(test_context(), l, 2, 11, l->shape.classes ? labels : NULL, images));
    for (int i = 0; i < 2 * learner_pixels(l); i++)
        assert_true(isfinite(images[i]));
}

/* The loss falls, the same bits twice; saved and loaded, the same images. */
static void check_learner(const char *type, const char *settings, int side, int classes, int steps, double part)
{
    clio_context *ctx = test_context();
    struct learner l[3];
    double after[2];
    float *images[2];
    for (int i = 0; i < 2; i++) {
        assert_ok(make(&l[i], type, settings, side, side, 3, classes));
        l[i].options[0].rate = 2e-3;
        struct learner_batch b = two_colours(&l[i], BATCH, BATCH);
        double before = evaluated(&l[i], &b);
        assert_ok(learner_train(ctx, &l[i], 1));
        run(&l[i], &b, steps);
        after[i] = evaluated(&l[i], &b);
        if (!(after[i] < part * before))
            fail_msg("%s: the loss was %g, and is %g after %d steps", type, before, after[i], steps);
        free_batch(&b);
        images[i] = malloc(2 * (size_t)learner_pixels(&l[i]) * sizeof **images);
        assert_non_null(images[i]);
    }
    assert_true(memcmp(&after[0], &after[1], sizeof *after) == 0);
    assert_ok(learner_save(ctx, &l[0], folder));
    assert_ok(learner_load(ctx, &l[2], folder));
    assert_true(json_equal(l[2].config, l[0].config));
    generate(&l[0], images[0]);
    generate(&l[2], images[1]);
    assert_close(images[1], images[0], 2 * (size_t)learner_pixels(&l[0]), 1e-5);
    for (int i = 0; i < 3; i++)
        learner_close(ctx, &l[i]);
    free(images[0]);
    free(images[1]);
}

/* One step of the autoencoder with given noise and learning rate 0. */
static void test_autoencoder_gradients(void **state)
{
    clio_context *ctx = test_context();
    struct weights golden = {0};
    struct learner l;
    char settings[1200];
    double losses[3];
    float terms[3];
    (void)state;
    const char *path = test_golden("sd-v1-tiny/vae");
    if (!path)
        skip();
    snprintf(settings, sizeof settings, "{'pretrained': '%s', 'kl_weight': 0.001}", path);
    json_t *all = parse(settings);
    assert_ok(weights_open(ctx, &golden, test_golden("training/vae_gradients.safetensors"), NULL));
    assert_ok(learner_new(ctx, &l, learner_type_find("vae-kl"), (struct learner_shape){16, 24, 3, 0}, all, 7));
    json_decref(all);
    l.options[0].max_grad_norm = l.options[0].rate = 0;
    assert_ok(learner_train(ctx, &l, 1));
    struct learner_batch b = {.count = 2, .global_count = 2, .images = tensor_shape(DTYPE_F32, 4, 2, 16, 24, 3)};
    struct tensor eps = tensor_shape(DTYPE_F32, 4, 2, 4, 6, 4);
    float *x = test_floats(&golden, "sample", 2 * 16 * 24 * 3), *e = test_floats(&golden, "eps", 2 * 4 * 6 * 4);
    assert_ok(tensor_new(ctx, &b.images, "test"));
    assert_ok(tensor_new(ctx, &eps, "test"));
    assert_ok(nchw_write(ctx, &b.images, x));
    assert_ok(nchw_write(ctx, &eps, e));
    free(x);
    free(e);
    assert_ok(kl_step(ctx, &l, &b, &eps, losses));
    float *want = test_floats(&golden, "loss", 3);
    for (int i = 0; i < 3; i++)
        terms[i] = (float)losses[i];
    assert_close(terms, want, 3, 1e-5);
    free(want);
    compare_gradients(&l.parameters[0], &golden);
    tensor_free(ctx, &b.images);
    tensor_free(ctx, &eps);
    learner_close(ctx, &l);
    weights_close(&golden);
}

/* ---- Whisper, a whole text at a time ---- */

#define WINDOWS 2
#define TOKENS 9

/* The rows of the embedding's gradient that have a part in inputs or answers, and of the positions'. */
static void compare_tables(const struct whisper *net, const struct parameters *list, const struct weights *golden)
{
    int width = net->config.width;
    size_t count = 0, n = (size_t)(TOKENS * width);
    compare_rows(list, "model.decoder.embed_tokens.weight", width, golden);
    float *all = gradient_by_key(list, "model.decoder.embed_positions.weight", &count), *want = test_floats(golden, "positions", n);
    assert_close(all, want, n, 2e-4);
    free(all);
    free(want);
}

static struct tensor numbers(const struct weights *golden, const char *name)
{
    float *data = test_floats(golden, name, WINDOWS * TOKENS);
    struct tensor t = test_tensor(DTYPE_I32, 2, WINDOWS, TOKENS, 0, 0, data);
    free(data);
    return t;
}

static void test_speech_gradients(void **state)
{
    clio_context *ctx = test_context();
    struct weights golden = {0};
    struct whisper net;
    struct whisper_state decoding;
    struct parameters list = {0};
    struct tape tape;
    const float one_value = 1;
    (void)state;
    const char *path = test_golden("whisper-tiny-random");
    if (!path || test_small())
        skip();
    ctx->collects = &list;
    assert_ok(whisper_load(ctx, &net, path));
    ctx->collects = NULL;
    assert_ok(weights_open(ctx, &golden, test_golden("training/whisper_gradients.safetensors"), NULL));
    assert_ok(parameters_alloc(ctx, &list, false));
    assert_ok(tape_open(ctx, &tape));
    assert_ok(whisper_state_new(ctx, &decoding, &net, WINDOWS));
    int frames = 2 * net.config.positions, bands = net.config.bands, width = net.config.width, vocab = net.config.vocab;
    size_t numbers_of_mel = (size_t)WINDOWS * (size_t)frames * (size_t)bands;
    float *x = malloc(numbers_of_mel * sizeof *x), *want = test_floats(&golden, "loss", 1), got;
    assert_non_null(x);
    test_random(x, numbers_of_mel, 21);
    struct tensor mel = test_tensor(DTYPE_F32, 3, WINDOWS, frames, bands, 0, x), ids = numbers(&golden, "ids");
    struct tensor targets = numbers(&golden, "labels"), loss = test_tensor(DTYPE_F32, 1, 1, 0, 0, 0, NULL);
    struct tensor one = test_tensor(DTYPE_F32, 1, 1, 0, 0, 0, &one_value);
    struct tensor encoded = tensor_shape(DTYPE_F32, 3, WINDOWS, frames / 2, width, 0);
    struct tensor hidden = tensor_shape(DTYPE_F32, 3, WINDOWS, TOKENS, width, 0);
    struct tensor logits = tensor_shape(DTYPE_F32, 2, WINDOWS * TOKENS, vocab, 0, 0), flat = targets;
    flat.ndim = 1;
    flat.dim[0] = WINDOWS * TOKENS;
    flat.dim[1] = 1;
    assert_ok(tape_start(ctx, &tape));
    assert_ok(parameters_watch(ctx, &tape, &list, false));
    assert_ok(tensor_take(ctx, &tape.arena, &encoded));
    assert_ok(tensor_take(ctx, &tape.arena, &hidden));
    assert_ok(tensor_take(ctx, &tape.arena, &logits));
    assert_ok(whisper_encode(ctx, &tape.arena, &net, &encoded, &mel));
    assert_ok(whisper_attend_to(ctx, &tape.arena, &net, &decoding, &encoded, 0));
    assert_ok(whisper_decode(ctx, &tape.arena, &net, &decoding, &hidden, &ids, 0, 0));
    assert_ok(whisper_all_logits(ctx, &net, &logits, &hidden));
    assert_ok(op_cross_entropy_fwd(ctx, &tape.arena, &loss, &logits, &flat,
                                   (struct cross_entropy_args){.rows = WINDOWS * TOKENS, .n = vocab, .ignore = -100}));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &loss, &one));
    assert_ok(tensor_read(ctx, &loss, 0, 1, &got));
    assert_close(&got, want, 1, 1e-5);
    compare_gradients(&list, &golden);
    compare_tables(&net, &list, &golden);
    tape_close(&tape);
    struct tensor *const all[] = {&mel, &ids, &targets, &loss, &one};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    parameters_free(ctx, &list);
    whisper_state_free(ctx, &decoding, &net);
    whisper_free(ctx, &net);
    weights_close(&golden);
    free(x);
    free(want);
}

static void test_autoencoder(void **state)
{
    (void)state;
    check_learner("vae-kl", "{'block_out_channels': '16,16', 'norm_num_groups': 8, 'latent_channels': 2}", SIDE, 0, 20, 0.8);
    if (test_small())
        return;
    check_learner("vae-kl",
                  "{'block_out_channels': '8,16', 'norm_num_groups': 4, 'mid_block_attention': false, 'reconstruction_loss': 'mse'}", SIDE,
                  0, 20, 0.8);
}

static void test_pictures(void **state)
{
    (void)state;
    check_learner("unet", "{'block_out_channels': '16,32', 'layers_per_block': 1, 'norm_num_groups': 8, 'num_inference_steps': 4}", SIDE, 0,
                  20, 0.7);
}

static void test_variants(void **state)
{
    (void)state;
    if (test_small())
        skip();
    check_learner("unet",
                  "{'block_out_channels': '16,32', 'layers_per_block': 1, 'norm_num_groups': 8, 'num_inference_steps': 4, "
                  "'attention_levels': 'all', 'num_attention_heads': 2, "
                  "'prediction_type': 'v_prediction', 'snr_gamma': 5, 'beta_schedule': 'cosine'}",
                  SIDE - 1, 0, 20, 0.9);
    check_learner("cunet",
                  "{'block_out_channels': 16, 'layers_per_block': 1, 'norm_num_groups': 4, 'num_inference_steps': 3, 'beta_schedule': "
                  "'scaled_linear', "
                  "'snr_gamma': 5, 'conditioning_dropout': 0.5}",
                  SIDE, 3, 20, 0.9);
}

/* The golden pipeline's text encoder and autoencoder, which stay as they are. */
static void test_pipeline(void **state)
{
    char settings[1400], base[512];
    struct stat about;
    (void)state;
    const char *path = test_golden("sd-v1-tiny");
    if (!path || test_small())
        skip();
    snprintf(base, sizeof base, "%s", path);
    snprintf(settings, sizeof settings,
             "{'block_out_channels': '16,32', 'layers_per_block': 1, 'norm_num_groups': 8, 'num_inference_steps': 3, 'text_encoder': "
             "'%s/text_encoder', 'vae': '%s/vae', "
             "'validation_prompts': 'a cat|a red fox', 'conditioning_dropout': 0.3}",
             base, base);
    check_learner("unet", settings, 32, 0, 20, 0.95);
    snprintf(settings, sizeof settings, "%s/model_index.json", folder);
    assert_int_equal(stat(settings, &about), 0);
    snprintf(settings, sizeof settings, "{'pretrained': '%s', 'num_inference_steps': 3}", base); /* the whole of it, tuned */
    check_learner("unet", settings, 32, 0, 10, 1.0);
}

/* Latents of `b` on the host, as the pipelines of inference compute them, in the device's order. The noise of a sample depends on (seed,
 * stream, its number): four words of Philox, of which two seed torch's CUDA generator. */
static float *host_latents(const struct learner *l, const struct learner_batch *b, uint64_t stream)
{
    clio_context *ctx = test_context();
    const struct unet_learner *u = l->state;
    size_t one = (size_t)l->latent, count = one * (size_t)b->count;
    struct tensor z = unet_learner_tensor(u, b->count);
    struct arena arena = {0};
    float *planes = test_new((size_t)b->count * (size_t)learner_pixels(l)), *moments = test_new(2 * count), *noise = test_new(count);
    float *latents = test_new(count);
    for (int i = 0; i < b->count; i++) {
        uint32_t words[4] = {(uint32_t)(b->first + i), 0, (uint32_t)stream, (uint32_t)(stream >> 32)};
        struct random r;
        random_philox(words, (const uint32_t[2]){(uint32_t)l->seed, (uint32_t)(l->seed >> 32)});
        random_seed(&r, RANDOM_TORCH_CUDA, (uint64_t)words[0] << 32 | words[1]);
        random_normal(&r, noise + (size_t)i * one, one);
    }
    assert_ok(nchw_read(ctx, &b->images, planes));
    assert_ok(vae_encode(ctx, &arena, &u->vae, moments, planes, b->count, u->height, u->width, (struct vae_tiling){0}));
    vae_sample(&u->vae.config, latents, moments, noise, b->count, u->height, u->width);
    vae_to_sampler(&u->vae.config, latents, count);
    assert_ok(tensor_new(ctx, &z, "test"));
    assert_ok(nchw_write(ctx, &z, latents));
    assert_ok(tensor_read(ctx, &z, 0, count, latents));
    tensor_free(ctx, &z);
    arena_free(ctx, &arena);
    free(planes);
    free(moments);
    free(noise);
    return latents;
}

/* The latents that are trained on, made on the device, against those: with a shift_factor, and with log variances that are clamped. */
static void test_latents(void **state)
{
    enum { COUNT_OF_LATENTS = 3, CHANNELS = 4, STREAM = 99, STREAM_LATENTS = 2 };
    clio_context *ctx = test_context();
    char settings[400], target[1200];
    const char *path = test_golden("sd-v1-tiny/vae");
    (void)state;
    if (!path)
        skip();
    snprintf(target, sizeof target, "%s/config.json", path);
    json_t *config = json_load_file(target, 0, NULL);
    assert_non_null(config);
    json_object_set_new(config, "shift_factor", json_real(0.25));
    assert_int_equal(mkdir(in_folder("vae"), 0700), 0);
    assert_int_equal(json_dump_file(config, in_folder("vae/config.json"), 0), 0);
    json_decref(config);
    snprintf(target, sizeof target, "%s/diffusion_pytorch_model.safetensors", path);
    assert_int_equal(symlink(target, in_folder("vae/diffusion_pytorch_model.safetensors")), 0);
    snprintf(settings, sizeof settings, "{'block_out_channels': '8', 'layers_per_block': 1, 'norm_num_groups': 4, 'vae': '%s'}",
             in_folder("vae"));
    for (int extreme = 0; extreme < 2; extreme++) {
        struct learner l;
        double loss;
        assert_ok(make(&l, "unet", settings, 16, 16, 3, 0));
        struct unet_learner *u = l.state;
        const float bias[2 * CHANNELS] = {0, 0, 0, 0, 100, -100, 100, -100}; /* of mean and log variance */
        if (extreme)
            assert_ok(tensor_write(ctx, &u->vae.quant.bias, 0, COUNT(bias), bias));
        struct learner_batch b = two_colours(&l, COUNT_OF_LATENTS, COUNT_OF_LATENTS + 2);
        b.first = 2;
        assert_ok(l.type->evaluate(ctx, &l, &b, STREAM, &loss));
        size_t count = (size_t)l.latent * COUNT_OF_LATENTS;
        float *got = test_new(count), *want = host_latents(&l, &b, STREAM * LEARNER_STREAMS + STREAM_LATENTS);
        assert_ok(tensor_read(ctx, &u->clean, 0, count, got));
        for (size_t i = 0; i < count; i++) /* each on its own scale: exp(10) must not hide the others */
            assert_close(got + i, want + i, 1, 2e-5);
        free(got);
        free(want);
        free_batch(&b);
        learner_close(ctx, &l);
    }
}

/* A batch over two processes has the noise of one: the losses of its parts add up. */
static void test_parts(void **state)
{
    clio_context *ctx = test_context();
    struct learner l;
    double whole, sum = 0;
    (void)state;
    assert_ok(make(&l, "cunet", "{'block_out_channels': '8,8', 'layers_per_block': 1, 'norm_num_groups': 4}", SIDE, SIDE, 3, 3));
    struct learner_batch b = two_colours(&l, BATCH, BATCH), part = b;
    size_t one = (size_t)learner_pixels(&l);
    assert_ok(l.type->evaluate(ctx, &l, &b, 5, &whole));
    for (int first = 0; first < BATCH; first += 3) {
        double loss;
        part = two_colours(&l, BATCH, BATCH);
        assert_ok(tensor_copy(ctx, &part.images, 0, &b.images, (size_t)first * one, 3 * one));
        part.labels += first;
        part.count = 3;
        part.first = first;
        part.images.dim[0] = 3;
        assert_ok(l.type->evaluate(ctx, &l, &part, 5, &loss));
        sum += loss;
        free_batch(&part);
    }
    assert_true(fabs(sum - whole) < 1e-5 * whole);
    free_batch(&b);
    learner_close(ctx, &l);
}

static void test_refusals(void **state)
{
    struct learner l;
    (void)state;
    assert_fails(make(&l, "unet", "{'block_out_channels': '16;32'}", SIDE, SIDE, 3, 0), CLIO_ERROR_ARGUMENT, "separated by commas");
    assert_fails(make(&l, "unet", "{'block_out_channels': '20'}", SIDE, SIDE, 3, 0), CLIO_ERROR_ARGUMENT,
                 "20 is not a multiple of norm_num_groups (32)");
    assert_fails(make(&l, "unet", "{'block_out_channels': true}", SIDE, SIDE, 3, 0), CLIO_ERROR_ARGUMENT, "must be a string");
    assert_fails(make(&l, "unet", "{'pretrained': '/nowhere'}", SIDE, SIDE, 3, 0), CLIO_ERROR_FILE, "/nowhere");
    assert_fails(make(&l, "unet", "{'text_encoder': '/nowhere'}", SIDE, SIDE, 3, 0), CLIO_ERROR_FILE, "there is no folder /nowhere");
    assert_fails(make(&l, "cunet", "{}", SIDE, SIDE, 3, 0), CLIO_ERROR_ARGUMENT, "labels");
    const char *path = test_golden("sd-v1-tiny/unet");
    char settings[1200];
    if (!path)
        skip();
    snprintf(settings, sizeof settings, "{'pretrained': '%s'}", path);
    assert_fails(make(&l, "unet", settings, SIDE, SIDE, 3, 0), CLIO_ERROR_ARGUMENT, "4 input and 4 output channels");
}

#define SAVES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_autoencoder_gradients),
                                       cmocka_unit_test(test_speech_gradients),
                                       SAVES(test_autoencoder),
                                       SAVES(test_pictures),
                                       SAVES(test_variants),
                                       SAVES(test_pipeline),
                                       SAVES(test_latents),
                                       cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
