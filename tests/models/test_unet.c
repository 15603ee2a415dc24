/* test_unet.c - the UNet against what diffusers answers: the golden folders of Stable Diffusion 1 and 2 in miniature within 1e-3 of the
 * largest value (1e-5 with weights kept as f32), and small networks of every published option (tests/golden/unet: random weights, diffusers
 * 0.42); images one by one must equal a batch; and what an unfit folder is told. */
#include "../support/test.h"
#include "../../models/loaders/model_folder.h"
#include "../../models/networks/unet.h"
#include "../../models/nn/layout.h"

struct opened {
    struct json_file config;
    struct weights weights;
    struct unet net;
    struct arena arena;
};

static void open_files(struct opened *o, const char *dir, const char *stem)
{
    clio_context *ctx = test_context();
    memset(o, 0, sizeof *o);
    assert_ok(json_open(ctx, &o->config, dir, "config.json"));
    assert_ok(folder_weights(ctx, dir, stem, NULL, &o->weights));
}

static void close_all(struct opened *o)
{
    clio_context *ctx = test_context();
    unet_free(ctx, &o->net);
    arena_free(ctx, &o->arena);
    weights_close(&o->weights);
    json_close(&o->config);
}

/* Keep weights, keys and values as f32, so that nothing is rounded but sums; the rows to go back to with params_cut. */
static size_t keep_all_digits(void)
{
    size_t rows = test_context()->params.count;
    test_param("gemm.large.storage", "f32");
    test_param("gemm.few.storage", "f32");
    test_param("attention.storage", "f32");
    return rows;
}

/* Samples [B, C, H, W] and text [B, T, width] through the network, planned as a caller does. */
static float *evaluate(struct opened *o, const float *sample, const float *text, int batch, int length, int h, int w, int rows,
                       const struct unet_step *step)
{
    clio_context *ctx = test_context();
    const struct unet_config *c = &o->net.config;
    struct unet_prompt prompt;
    struct tensor states = test_tensor(DTYPE_F32, 3, rows, length, c->text, 0, text);
    struct tensor in = test_tensor(DTYPE_F32, 4, batch, h, w, c->in, NULL), out = test_tensor(DTYPE_F32, 4, batch, h, w, c->out, NULL);
    float *planes = malloc(sizeof *planes * tensor_count(&out));
    assert_non_null(planes);
    assert_ok(unet_prompt_new(ctx, &prompt, &o->net, rows, length));
    assert_ok(nchw_write(ctx, &in, sample));
    for (int pass = 0; pass < 2; pass++) {
        ctx->planning = pass == 0;
        if (pass == 1)
            assert_ok(arena_commit(ctx, &o->arena, "test"));
        assert_ok(unet_attend_to(ctx, &o->arena, &o->net, &prompt, &states));
        assert_ok(unet_forward(ctx, &o->arena, &o->net, &prompt, &out, &in, step));
        assert_int_equal(o->arena.used, 0);
    }
    free(test_read(&in)); /* its canaries */
    free(test_read(&out));
    assert_ok(nchw_read(ctx, &out, planes));
    unet_prompt_free(ctx, &prompt);
    test_free(&states);
    test_free(&in);
    test_free(&out);
    return planes;
}

/* ---- the golden folders ---- */

#define SAMPLES (2 * 4 * 16 * 24)
#define STATES (2 * 77 * 32)

static void compare_folder(const char *folder, double tolerance)
{
    clio_context *ctx = test_context();
    struct opened o;
    struct weights golden = {0};
    char name[128], dir[1024];
    const int timesteps[] = {1, 500, 981};
    snprintf(name, sizeof name, "%s/unet", folder);
    const char *path = test_golden(name);
    if (!path)
        skip();
    snprintf(dir, sizeof dir, "%s", path);
    snprintf(name, sizeof name, "%s/golden.safetensors", folder);
    assert_ok(weights_open(ctx, &golden, test_golden(name), NULL));
    open_files(&o, dir, "diffusion_pytorch_model");
    assert_ok(unet_load(ctx, &o.config, &o.weights, &o.net));
    float *sample = test_floats(&golden, "unet.sample", SAMPLES), *text = test_floats(&golden, "text.last_hidden_state", STATES);
    for (int i = 0; i < (test_small() ? 1 : 3); i++) {
        float t[2] = {(float)timesteps[i], (float)timesteps[i]};
        snprintf(name, sizeof name, "unet.out.%d", timesteps[i]);
        float *want = test_floats(&golden, name, SAMPLES);
        float *got = evaluate(&o, sample, text, 2, 77, 16, 24, 2, &(struct unet_step){.timesteps = t});
        assert_close(got, want, SAMPLES, tolerance);
        if (i == 2) { /* one image at a time, where memory is short */
            float *second = evaluate(&o, sample + SAMPLES / 2, text, 1, 77, 16, 24, 2, &(struct unet_step){.timesteps = t, .row = 1});
            assert_close(second, got + SAMPLES / 2, SAMPLES / 2, 1e-5);
            free(second);
        }
        free(want);
        free(got);
    }
    free(sample);
    free(text);
    weights_close(&golden);
    close_all(&o);
}

static void stable_diffusion_1(void **state)
{
    (void)state;
    compare_folder("sd-v1-tiny", 1e-3);
}

static void stable_diffusion_1_as_f32(void **state)
{
    (void)state;
    if (!test_golden("sd-v1-tiny"))
        skip();
    size_t rows = keep_all_digits();
    compare_folder("sd-v1-tiny", 1e-5);
    params_cut(test_context(), rows);
}

static void stable_diffusion_2(void **state)
{
    (void)state;
    compare_folder("sd-v2-tiny", 1e-3);
}

/* ---- options ---- */

static const struct variant {
    const char *name;
    int h, w, labels; /* labels: numbers for each image */
} variants[] = {
    {"guidance", 9, 11, 0},  /* LCM's embedding of the scale; odd sizes; lists of layers, heads, transformers; centred input */
    {"projection", 7, 6, 5}, /* class rows; other windows, padding and sinusoids; nine channels; a middle without attention */
    {"table", 8, 5, 1},      /* class ids; no middle; linear projections */
    {"timestep", 4, 4, 1},   /* class numbers embedded as time is */
};

static float *optional_floats(const struct weights *golden, const char *name, size_t count)
{
    return weights_find(golden, name) ? test_floats(golden, name, count) : NULL;
}

static void every_option(void **state)
{
    (void)state;
    char name[64];
    struct opened o;
    size_t rows = keep_all_digits();
    for (size_t i = 0; i < COUNT(variants); i++) {
        const struct variant *v = &variants[i];
        snprintf(name, sizeof name, "unet/%s", v->name);
        const char *dir = test_golden(name);
        assert_non_null(dir);
        open_files(&o, dir, "model");
        assert_ok(unet_load(test_context(), &o.config, &o.weights, &o.net));
        unet_free(test_context(), &o.net);
        assert_ok(unet_load(test_context(), &o.config, &o.weights, &o.net)); /* the file is as good as before */
        size_t pixels = (size_t)(2 * v->h * v->w);
        float *sample = test_floats(&o.weights, "golden.in", pixels * (size_t)o.net.config.in);
        float *text = test_floats(&o.weights, "golden.text", 2 * 5 * 6), *t = test_floats(&o.weights, "golden.timesteps", 2);
        float *want = test_floats(&o.weights, "golden.out", pixels * 4);
        float *guidance = optional_floats(&o.weights, "golden.guidance", 2);
        float *labels = optional_floats(&o.weights, "golden.labels", 2 * (size_t)v->labels);
        struct unet_step step = {.timesteps = t, .guidance = guidance, .labels = labels};
        assert_int_equal(guidance != NULL, o.net.config.guidance > 0);
        assert_int_equal(labels != NULL, o.net.config.classes != CLASS_NONE);
        float *got = evaluate(&o, sample, text, 2, 5, v->h, v->w, 2, &step);
        fprintf(stderr, "# %s\n", v->name);
        assert_close(got, want, pixels * 4, 2e-5);
        free(sample);
        free(text);
        free(t);
        free(want);
        free(got);
        free(guidance);
        free(labels);
        close_all(&o);
    }
    params_cut(test_context(), rows);
}

static void sinusoids(void **state)
{
    (void)state;
    float x[5];
    unet_sinusoid(x, 100, 4, true, 0);
    const float cosines_first[] = {0.86231887f, 0.54030231f, -0.50636564f, 0.84147098f}; /* cos 100, cos 1, sin 100, sin 1 */
    assert_close(x, cosines_first, 4, 1e-6);
    unet_sinusoid(x, 1000, 5, false, 1);
    const float shifted[] = {0.82687954f, 0.09983342f, 0.56237908f, 0.99500417f, 0}; /* sin 1000, sin 0.1, cos 1000, cos 0.1, 0 */
    assert_close(x, shifted, 5, 1e-6);
}

/* ---- what an unfit folder is told ---- */

static void open_small(struct opened *o)
{
    const char *dir = test_golden("unet/table");
    assert_non_null(dir);
    open_files(o, dir, "model");
}

/* Loading with the field `key` set to the JSON text `value`. */
static void refuses_field(const char *key, const char *value, clio_status code, const char *part)
{
    struct opened o;
    open_small(&o);
    json_t *json = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_set_new(o.config.root, key, json), 0);
    assert_fails(unet_load(test_context(), &o.config, &o.weights, &o.net), code, part);
    assert_non_null(strstr(clio_error(test_context()), "config.json"));
    close_all(&o);
}

static void unfit_fields(void **state)
{
    (void)state;
    if (!test_golden("unet/table"))
        skip();
    const struct {
        const char *key, *value, *part;
        clio_status code;
    } unfit[] = {
        {"down_block_types", "[\"AttnDownBlock2D\", \"DownBlock2D\"]", "names a block AttnDownBlock2D", CLIO_ERROR_UNSUPPORTED},
        {"up_block_types", "[\"UpBlock2D\", \"DownBlock2D\"]", "names a block DownBlock2D", CLIO_ERROR_UNSUPPORTED},
        {"up_block_types", "[\"UpBlock2D\"]", "1 entries and \"block_out_channels\" 2", CLIO_ERROR_FORMAT},
        {"down_block_types", "[1, 2]", "entry 1 of \"down_block_types\" must be a string", CLIO_ERROR_FORMAT},
        {"mid_block_type", "\"UNetMidBlock2DSimpleCrossAttn\"", "\"mid_block_type\" is UNetMidBlock2DSimpleCrossAttn",
         CLIO_ERROR_UNSUPPORTED},
        {"act_fn", "\"mish\"", "\"act_fn\" is \"mish\"", CLIO_ERROR_UNSUPPORTED},
        {"addition_embed_type", "\"text_time\"", "\"addition_embed_type\" is \"text_time\"", CLIO_ERROR_UNSUPPORTED},
        {"only_cross_attention", "[true, false]", "\"only_cross_attention\" is [true,false]", CLIO_ERROR_UNSUPPORTED},
        {"dual_cross_attention", "true", "\"dual_cross_attention\" is true", CLIO_ERROR_UNSUPPORTED},
        {"resnet_time_scale_shift", "\"scale_shift\"", "\"resnet_time_scale_shift\" is \"scale_shift\"", CLIO_ERROR_UNSUPPORTED},
        {"class_embed_type", "\"sculpture\"", "\"class_embed_type\" is sculpture", CLIO_ERROR_UNSUPPORTED},
        {"frobnicate", "3", "the field \"frobnicate\" (3) is not supported", CLIO_ERROR_UNSUPPORTED},
        {"_class_name", "\"UNet3DConditionModel\"", "describes the class UNet3DConditionModel", CLIO_ERROR_UNSUPPORTED},
        {"block_out_channels", "[4, 9]", "9 channels (\"block_out_channels\") cannot be shared by 2 heads", CLIO_ERROR_FORMAT},
        {"block_out_channels", "[]", "must be a list of 1 to 8", CLIO_ERROR_FORMAT},
        {"layers_per_block", "[2, 0]", "entry 2 of \"layers_per_block\"", CLIO_ERROR_FORMAT},
        {"transformer_layers_per_block", "[64, 64]", "ask for", CLIO_ERROR_UNSUPPORTED},
        {"layers_per_block", "[2, 2, 2]", "has 3 entries, but the network has 2 blocks", CLIO_ERROR_FORMAT},
        {"norm_eps", "\"small\"", "\"norm_eps\" must be a number", CLIO_ERROR_FORMAT},
        {"conv_in_kernel", "4", "\"conv_in_kernel\" is 4", CLIO_ERROR_UNSUPPORTED},
        {"transformer_layers_per_block", "[[1, 2], [1, 1]]", "entry 1 of \"transformer_layers_per_block\"", CLIO_ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(unfit); i++)
        refuses_field(unfit[i].key, unfit[i].value, unfit[i].code, unfit[i].part);
}

static void unfit_weights(void **state)
{
    (void)state;
    clio_context *ctx = test_context();
    struct opened o;
    if (!test_golden("unet/table"))
        skip();
    open_small(&o);
    struct weight *w = (struct weight *)(uintptr_t)weights_find(&o.weights, "up_blocks.1.attentions.0.norm.weight");
    assert_non_null(w);
    w->name[strlen(w->name) - 1] = '_'; /* still in its place among its neighbours */
    assert_fails(unet_load(ctx, &o.config, &o.weights, &o.net), CLIO_ERROR_FORMAT,
                 "tensor up_blocks.1.attentions.0.norm.weight is missing");
    close_all(&o);
    open_small(&o);
    w = (struct weight *)(uintptr_t)weights_find(&o.weights, "down_blocks.0.resnets.1.conv2.weight");
    assert_non_null(w);
    w->dim[3] = 1;
    assert_fails(unet_load(ctx, &o.config, &o.weights, &o.net), CLIO_ERROR_FORMAT,
                 "tensor down_blocks.0.resnets.1.conv2.weight has shape [4, 4, 3, 1], expected [4, 4, 3, 3]");
    close_all(&o);
    /* A configuration of another model: its channels are not those of the file. */
    open_small(&o);
    assert_int_equal(json_object_set_new(o.config.root, "cross_attention_dim", json_integer(8)), 0);
    assert_fails(unet_load(ctx, &o.config, &o.weights, &o.net), CLIO_ERROR_FORMAT, "attn2.to_k.weight has shape [4, 6], expected [4, 8]");
    close_all(&o);
    assert_int_equal(ctx->planning, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sinusoids),          cmocka_unit_test(every_option),
        cmocka_unit_test(stable_diffusion_1), cmocka_unit_test(stable_diffusion_1_as_f32),
        cmocka_unit_test(stable_diffusion_2), cmocka_unit_test(unfit_fields),
        cmocka_unit_test(unfit_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
