/* test_vae.c - the two autoencoders against what diffusers answers: the golden folders both ways within 1e-3 of the largest value (1e-5
 * with weights kept as f32), one without attention and products at the latents, tiles (tests/golden/vae, diffusers 0.42), drawn latents,
 * old names of keys; that the memory of a large image is bounded; and what an unfit folder is told. */
#include "../support/test.h"
#include "../../models/loaders/model_folder.h"
#include "../../models/networks/autoencoder_kl.h"
#include "../../models/networks/autoencoder_tiny.h"

#include <math.h>

#define LATENTS (4 * 16 * 24)
#define PICTURE (3 * 64 * 96)
#define BOTH (VAE_ENCODER | VAE_DECODER)

static const struct vae_tiling whole;

struct opened {
    struct json_file config;
    struct weights weights, golden;
    struct arena arena;
};

/* The golden folder `folder`, part `part` of it, and its answers; false: it is not here. */
static bool open_golden(struct opened *o, const char *folder, const char *part)
{
    clio_context *ctx = test_context();
    char name[128], dir[1024];
    memset(o, 0, sizeof *o);
    snprintf(name, sizeof name, "%s/%s", folder, part);
    const char *path = test_golden(name);
    if (!path)
        return false;
    snprintf(dir, sizeof dir, "%s", path);
    assert_ok(json_open(ctx, &o->config, dir, "config.json"));
    assert_ok(folder_weights(ctx, dir, "diffusion_pytorch_model", NULL, &o->weights));
    snprintf(name, sizeof name, "%s/golden.safetensors", folder);
    assert_ok(weights_open(ctx, &o->golden, test_golden(name), NULL));
    return true;
}

static void close_all(struct opened *o)
{
    arena_free(test_context(), &o->arena);
    weights_close(&o->weights);
    weights_close(&o->golden);
    json_close(&o->config);
}

/* Keep weights, keys and values as f32, so that nothing is rounded but sums; the rows to go back to with params_cut. */
static size_t keep_all_digits(void)
{
    size_t rows = test_context()->params.count;
    test_param("gemm.large.storage", "f32");
    test_param("attention.storage", "f32");
    return rows;
}

static void compare_vae(const char *folder, double tolerance)
{
    clio_context *ctx = test_context();
    struct opened o;
    struct vae net;
    if (!open_golden(&o, folder, "vae"))
        skip();
    assert_ok(vae_load(ctx, &o.config, &o.weights, BOTH, &net));
    assert_int_equal(net.config.factor, 4);
    assert_int_equal(vae_tile_size(&net.config), 16);
    float *latents = test_floats(&o.golden, "unet.sample", 2 * LATENTS), *decoded = test_floats(&o.golden, "vae.decoded", 2 * PICTURE);
    float *picture = test_floats(&o.golden, "vae.image", PICTURE), *mean = test_floats(&o.golden, "vae.mean", LATENTS);
    float *logvar = test_floats(&o.golden, "vae.logvar", LATENTS), *got = test_new(2 * PICTURE), *moments = test_new(2 * LATENTS);
    int batch = test_small() ? 1 : 2;
    assert_ok(vae_decode(ctx, &o.arena, &net, got, latents, batch, 16, 24, whole));
    assert_close(got, decoded, (size_t)batch * PICTURE, tolerance);
    assert_ok(vae_encode(ctx, &o.arena, &net, moments, picture, 1, 16, 24, whole));
    assert_close(moments, mean, LATENTS, tolerance);
    assert_close(moments + LATENTS, logvar, LATENTS, tolerance);
    free(latents);
    free(decoded);
    free(picture);
    free(mean);
    free(logvar);
    free(got);
    free(moments);
    vae_free(ctx, &net);
    close_all(&o);
}

static void autoencoder_1(void **state)
{
    (void)state;
    compare_vae("sd-v1-tiny", 1e-3);
}

static void autoencoder_1_as_f32(void **state)
{
    (void)state;
    if (!test_golden("sd-v1-tiny"))
        skip();
    size_t rows = keep_all_digits();
    compare_vae("sd-v1-tiny", 1e-5);
    params_cut(test_context(), rows);
}

static void autoencoder_2(void **state)
{
    (void)state;
    compare_vae("sd-v2-tiny", 1e-3);
}

static void compare_tiny(const char *folder, double tolerance)
{
    clio_context *ctx = test_context();
    struct opened o;
    struct vae_tiny net;
    if (!open_golden(&o, folder, "taesd"))
        skip();
    assert_ok(vae_tiny_load(ctx, &o.config, &o.weights, BOTH, &net));
    assert_int_equal(net.factor, 8);
    float *latents = test_floats(&o.golden, "unet.sample", 2 * LATENTS), *decoded = test_floats(&o.golden, "taesd.decoded", 8 * PICTURE);
    float *picture = test_floats(&o.golden, "vae.image", PICTURE), *encoded = test_floats(&o.golden, "taesd.latents", 4 * 8 * 12);
    float *got = test_new(8 * PICTURE), *code = test_new(4 * 8 * 12);
    int batch = test_small() ? 1 : 2;
    assert_ok(vae_tiny_decode(ctx, &o.arena, &net, got, latents, batch, 16, 24));
    assert_close(got, decoded, (size_t)batch * 4 * PICTURE, tolerance);
    assert_ok(vae_tiny_encode(ctx, &o.arena, &net, code, picture, 1, 8, 12));
    assert_close(code, encoded, 4 * 8 * 12, tolerance);
    free(latents);
    free(decoded);
    free(picture);
    free(encoded);
    free(got);
    free(code);
    vae_tiny_free(ctx, &net);
    close_all(&o);
}

static void small_autoencoder_1(void **state)
{
    (void)state;
    compare_tiny("sd-v1-tiny", 1e-3);
}

static void small_autoencoder_1_as_f32(void **state)
{
    (void)state;
    if (!test_golden("sd-v1-tiny"))
        skip();
    size_t rows = keep_all_digits();
    compare_tiny("sd-v1-tiny", 1e-5);
    params_cut(test_context(), rows);
}

static void small_autoencoder_2(void **state)
{
    (void)state;
    compare_tiny("sd-v2-tiny", 1e-3);
}

/* Two residual blocks a size, no attention, no products at the latents, a shift. */
static void open_plain(struct opened *o)
{
    clio_context *ctx = test_context();
    const char *dir = test_golden("vae/plain");
    memset(o, 0, sizeof *o);
    assert_non_null(dir);
    assert_ok(json_open(ctx, &o->config, dir, "config.json"));
    assert_ok(weights_open(ctx, &o->weights, dir, "model"));
}

static void plain_autoencoder(void **state)
{
    (void)state;
    clio_context *ctx = test_context();
    struct opened o;
    struct vae net;
    open_plain(&o);
    size_t rows = keep_all_digits();
    assert_ok(vae_load(ctx, &o.config, &o.weights, BOTH, &net));
    float *latents = test_floats(&o.weights, "golden.latents", 60), *decoded = test_floats(&o.weights, "golden.decoded", 180);
    float *picture = test_floats(&o.weights, "golden.picture", 180), *moments = test_floats(&o.weights, "golden.moments", 120);
    float *got = test_new(180), *code = test_new(120);
    assert_ok(vae_decode(ctx, &o.arena, &net, got, latents, 1, 3, 5, whole));
    assert_close(got, decoded, 180, 1e-5);
    assert_ok(vae_encode(ctx, &o.arena, &net, code, picture, 1, 3, 5, whole));
    assert_close(code, moments, 120, 1e-5);
    float some[] = {1, -2};
    vae_to_sampler(&net.config, some, 2); /* shift_factor 0.25, scaling_factor 1.5 */
    assert_close(some, ((const float[]){1.125f, -3.375f}), 2, 1e-6);
    vae_from_sampler(&net.config, some, 2);
    assert_close(some, ((const float[]){1, -2}), 2, 1e-6);
    free(latents);
    free(decoded);
    free(picture);
    free(moments);
    free(got);
    free(code);
    vae_free(ctx, &net);
    close_all(&o);
    params_cut(ctx, rows);
}

static void tiles_are_diffusers(void **state)
{
    (void)state;
    clio_context *ctx = test_context();
    struct opened o;
    struct weights tiled = {0};
    struct vae net;
    const struct vae_tiling tiling = {.size = 8};
    if (!open_golden(&o, "sd-v1-tiny", "vae"))
        skip();
    size_t rows = keep_all_digits();
    assert_ok(weights_open(ctx, &tiled, test_golden("vae/tiled.safetensors"), NULL));
    assert_ok(vae_load(ctx, &o.config, &o.weights, BOTH, &net));
    float *latents = test_floats(&tiled, "latents", 4 * 10 * 13), *decoded = test_floats(&tiled, "decoded", 3 * 40 * 52);
    float *picture = test_floats(&tiled, "picture", 3 * 40 * 52), *moments = test_floats(&tiled, "moments", 8 * 10 * 13);
    float *got = test_new(3 * 40 * 52), *code = test_new(8 * 10 * 13), *piece = test_new(3 * 40 * 52);
    assert_ok(vae_decode(ctx, &o.arena, &net, got, latents, 1, 10, 13, tiling));
    assert_close(got, decoded, 3 * 40 * 52, 1e-5);
    assert_ok(vae_encode(ctx, &o.arena, &net, code, picture, 1, 10, 13, tiling));
    assert_close(code, moments, 8 * 10 * 13, 1e-5);
    /* An image that fits into a tile is not cut; one piece of the large one is not the same as its tiles. */
    assert_ok(vae_decode(ctx, &o.arena, &net, piece, latents, 1, 10, 13, whole));
    double differs = 0;
    for (int i = 0; i < 3 * 40 * 52; i++)
        differs += fabs((double)piece[i] - (double)got[i]) > 1e-3;
    assert_true(differs > 0);
    assert_ok(vae_decode(ctx, &o.arena, &net, got, latents, 1, 10, 13, (struct vae_tiling){.size = 13}));
    assert_memory_equal(got, piece, sizeof *got * 3 * 40 * 52);
    uint64_t one = 0, many = 0;
    assert_ok(vae_scratch(ctx, &net, true, 64, 64, whole, &one));
    assert_ok(vae_scratch(ctx, &net, true, 64, 64, tiling, &many));
    assert_true(many * 8 < one);
    free(latents);
    free(decoded);
    free(picture);
    free(moments);
    free(got);
    free(code);
    free(piece);
    vae_free(ctx, &net);
    weights_close(&tiled);
    close_all(&o);
    params_cut(ctx, rows);
}

static void latents_are_drawn(void **state)
{
    (void)state;
    struct vae net = {.config = {.latent = 1}};
    const float moments[] = {1, 2, 0, 100, 3, 4, -100, 1}, noise[] = {0.5f, 1, 1, -1}; /* two images: two means, two logarithms */
    const float want[] = {1.5f, 2 + 22026.4658f, 3 + 3.05902e-7f, 4 - 1.64872127f};
    float got[4];
    vae_sample(&net.config, got, moments, noise, 2, 1, 2);
    assert_close(got, want, 4, 1e-7);
    assert_close(got + 2, want + 2, 2, 1e-6);
    vae_sample(&net.config, got, moments, NULL, 2, 1, 2);
    assert_close(got, ((const float[]){1, 2, 3, 4}), 4, 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct weight *)a)->name, ((const struct weight *)b)->name);
}

/* diffusers before 0.17 called attention's products query, key, value and proj_attn, and many folders still do. */
static void old_names(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}};
    clio_context *ctx = test_context();
    struct opened o;
    struct vae net;
    if (!open_golden(&o, "sd-v1-tiny", "vae"))
        skip();
    int renamed = 0;
    for (size_t i = 0; i < o.weights.count; i++)
        for (size_t j = 0; j < COUNT(names); j++) {
            char *name = o.weights.list[i].name, *at = strstr(name, names[j][0]), changed[256];
            if (!at)
                continue;
            snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - name), name, names[j][1], at + strlen(names[j][0]));
            free(name);
            assert_ok(mem_string(ctx, &o.weights.list[i].name, changed));
            renamed++;
            break;
        }
    assert_int_equal(renamed, 16);
    qsort(o.weights.list, o.weights.count, sizeof *o.weights.list, by_name);
    assert_ok(vae_load(ctx, &o.config, &o.weights, BOTH, &net));
    float *latents = test_floats(&o.golden, "unet.sample", 2 * LATENTS), *decoded = test_floats(&o.golden, "vae.decoded", 2 * PICTURE);
    float *got = test_new(PICTURE);
    assert_ok(vae_decode(ctx, &o.arena, &net, got, latents, 1, 16, 24, whole));
    assert_close(got, decoded, PICTURE, 1e-3);
    free(latents);
    free(decoded);
    free(got);
    vae_free(ctx, &net);
    close_all(&o);
}

/* ---- what an unfit folder is told ---- */

static void refuses(const char *key, const char *value, clio_status code, const char *part)
{
    clio_context *ctx = test_context();
    struct opened o;
    struct vae net;
    open_plain(&o);
    json_t *json = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_set_new(o.config.root, key, json), 0);
    assert_fails(vae_load(ctx, &o.config, &o.weights, BOTH, &net), code, part);
    close_all(&o);
}

static void unfit(void **state)
{
    (void)state;
    refuses("act_fn", "\"relu\"", CLIO_ERROR_UNSUPPORTED, "\"act_fn\" is \"relu\"");
    refuses("down_block_types", "[\"DownEncoderBlock2D\", \"AttnDownEncoderBlock2D\"]", CLIO_ERROR_UNSUPPORTED, "AttnDownEncoderBlock2D");
    refuses("latents_mean", "[0.5, 0.5]", CLIO_ERROR_UNSUPPORTED, "\"latents_mean\" is 0.5");
    refuses("scaling_factor", "0", CLIO_ERROR_FORMAT, "\"scaling_factor\" must be a number above 0");
    refuses("frobnicate", "true", CLIO_ERROR_UNSUPPORTED, "the field \"frobnicate\" (true) is not supported");
    refuses("_class_name", "\"AutoencoderTiny\"", CLIO_ERROR_UNSUPPORTED,
            "describes the class AutoencoderTiny, and AutoencoderKL is needed");
    refuses("block_out_channels", "[4, 7]", CLIO_ERROR_FORMAT, "7 channels (\"block_out_channels\") cannot be shared by 2 groups");
    refuses("sample_size", "[-5, 32]", CLIO_ERROR_FORMAT, "entry 1 of \"sample_size\" must be an integer from 1");
    refuses("mid_block_add_attention", "true", CLIO_ERROR_FORMAT, "mid_block.attentions.0.group_norm.weight is missing");
    refuses("latent_channels", "5", CLIO_ERROR_FORMAT, "tensor encoder.conv_out.weight has shape [8, 8, 3, 3], expected [10, 8, 3, 3]");
}

static void unfit_small(void **state)
{
    (void)state;
    clio_context *ctx = test_context();
    struct opened o;
    struct vae_tiny net;
    if (!open_golden(&o, "sd-v1-tiny", "taesd"))
        skip();
    assert_int_equal(json_object_set_new(o.config.root, "act_fn", json_string("gelu")), 0);
    assert_fails(vae_tiny_load(ctx, &o.config, &o.weights, BOTH, &net), CLIO_ERROR_UNSUPPORTED, "\"act_fn\" is \"gelu\"");
    assert_int_equal(json_object_set_new(o.config.root, "act_fn", json_string("relu")), 0);
    assert_int_equal(json_object_set_new(o.config.root, "num_decoder_blocks", json_loads("[2, 2, 2, 2]", 0, NULL)), 0);
    assert_fails(vae_tiny_load(ctx, &o.config, &o.weights, BOTH, &net), CLIO_ERROR_FORMAT, "decoder.layers.15.conv.0.weight is missing");
    close_all(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latents_are_drawn),
        cmocka_unit_test(plain_autoencoder),
        cmocka_unit_test(autoencoder_1),
        cmocka_unit_test(autoencoder_1_as_f32),
        cmocka_unit_test(autoencoder_2),
        cmocka_unit_test(small_autoencoder_1),
        cmocka_unit_test(small_autoencoder_1_as_f32),
        cmocka_unit_test(small_autoencoder_2),
        cmocka_unit_test(old_names),
        cmocka_unit_test(tiles_are_diffusers),
        cmocka_unit_test(unfit),
        cmocka_unit_test(unfit_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
