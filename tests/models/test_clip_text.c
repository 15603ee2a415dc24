/* test_clip_text.c - models/clip_text against transformers (golden files): SD 1 (quick_gelu, stored f32), SD 2 (gelu, stored as the fp16
 * variant), the text half of a CLIPModel; and models/folder, which finds the weights. Within 1e-5 of the largest value where the stored
 * weights are kept exactly, 1e-3 with the device's own storage. */
#include "../support/folder.h"
#include "../support/test.h"

#include "../../models/networks/clip_text.h"
#include "../../models/loaders/model_folder.h"
#include "../../models/pipelines/prompt_weights.h"

#include <jansson.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *golden_folder(const char *name, char path[1024])
{
    const char *found = test_golden(name);
    if (found)
        snprintf(path, 1024, "%s", found);
    return found ? path : NULL;
}

/* What the encoder answers for [batch][positions] ids. */
static float *encode(const struct clip_text *net, const int *ids, int batch, int skip)
{
    struct tensor out = test_tensor(DTYPE_F32, 3, batch, net->config.positions, net->config.width, 0, NULL);
    assert_ok(clip_text_encode(test_context(), net, &out, ids, skip));
    float *x = test_read(&out);
    test_free(&out);
    return x;
}

/* Mean 0 and variance 1 of each row, times gamma plus beta. */
static void normalise(float *x, int rows, int width, const struct clip_text *net)
{
    float *gamma = malloc((size_t)width * sizeof *gamma), *beta = malloc((size_t)width * sizeof *beta);
    assert_true(gamma && beta);
    assert_ok(tensor_read(test_context(), &net->final_norm.gamma, 0, (size_t)width, gamma));
    assert_ok(tensor_read(test_context(), &net->final_norm.beta, 0, (size_t)width, beta));
    for (int r = 0; r < rows; r++) {
        float *row = x + r * width;
        double mean = 0, square = 0;
        for (int i = 0; i < width; i++)
            mean += (double)row[i] / width;
        for (int i = 0; i < width; i++)
            square += ((double)row[i] - mean) * ((double)row[i] - mean) / width;
        for (int i = 0; i < width; i++)
            row[i] = (float)(((double)row[i] - mean) / sqrt(square + (double)net->config.eps) * (double)gamma[i] + (double)beta[i]);
    }
    free(gamma);
    free(beta);
}

static void check_golden(const char *kind, double tolerance)
{
    clio_context *ctx = test_context();
    char name[64], dir[1024];
    struct clip_text net;
    struct weights golden = {0};
    snprintf(name, sizeof name, "%s/golden.safetensors", kind);
    const char *path = test_golden(name);
    assert_non_null(path);
    assert_ok(weights_open(ctx, &golden, path, NULL));
    snprintf(name, sizeof name, "%s/text_encoder", kind);
    assert_ok(clip_text_open(ctx, golden_folder(name, dir), NULL, &net));
    size_t count = 2 * 77 * 32;
    assert_int_equal(net.config.width, 32);
    int *ids = (int *)(void *)test_floats(&golden, "text.ids", 2 * 77);
    float *want = test_floats(&golden, "text.last_hidden_state", count), *got = encode(&net, ids, 2, 0);
    assert_close(got, want, count, tolerance);
    float *again = encode(&net, ids + 77, 1, 0); /* a batch of one gives the same */
    assert_close(again, want + count / 2, count / 2, tolerance);

    struct tensor hidden = test_tensor(DTYPE_F32, 3, 2, 77, 32, 0, got), out = test_tensor(DTYPE_F32, 2, 2, 32, 0, 0, NULL);
    assert_ok(clip_text_pool(ctx, NULL, &net, &out, &hidden, ids, false));
    float *pooled = test_read(&out), *want_pooled = test_floats(&golden, "text.pooler_output", 2 * 32);
    assert_close(pooled, want_pooled, 2 * 32, tolerance);
    assert_fails(clip_text_pool(ctx, NULL, &net, &out, &hidden, ids, true), CLIO_ERROR_UNSUPPORTED, "has no text_projection");

    float *want_skipped = test_floats(&golden, "text.hidden_states.2", count), *skipped = encode(&net, ids, 2, 1);
    normalise(want_skipped, 2 * 77, 32, &net);
    assert_close(skipped, want_skipped, count, tolerance);
    assert_fails(clip_text_encode(ctx, &net, &hidden, ids, 3), CLIO_ERROR_ARGUMENT, "has 3: skip 0 to 2");
    assert_fails(clip_text_encode(ctx, &net, &hidden, ids, -1), CLIO_ERROR_ARGUMENT, "skip 0 to 2");
    ids[100] = 49408;
    assert_fails(clip_text_encode(ctx, &net, &hidden, ids, 0), CLIO_ERROR_FORMAT, "token 49408 is outside the 49408 of");
    test_free(&hidden);
    test_free(&out);
    free(ids);
    free(want);
    free(got);
    free(again);
    free(pooled);
    free(want_pooled);
    free(skipped);
    free(want_skipped);
    clip_text_free(ctx, &net);
    weights_close(&golden);
}

static void sd1_is_transformers(void **state)
{
    (void)state;
    if (!test_golden("sd-v1-tiny"))
        skip();
    check_golden("sd-v1-tiny", 1e-3);
}

static void sd2_is_transformers(void **state)
{
    (void)state;
    if (!test_golden("sd-v2-tiny"))
        skip();
    check_golden("sd-v2-tiny", 1e-3);
    test_param("attention.storage", "f32");
    test_param("gemm.large.storage", "f32");
    test_param("gemm.many.storage", "f32");
    check_golden("sd-v2-tiny", 1e-5); /* its weights are stored as f16: nothing is rounded */
}

static void clip_is_transformers(void **state)
{
    clio_context *ctx = test_context();
    struct clip_text net;
    struct weights golden = {0};
    char dir[1024];
    int padded[2][77];
    (void)state;
    if (!golden_folder("clip-tiny", dir))
        skip();
    assert_ok(clip_text_open(ctx, dir, NULL, &net));
    assert_ok(weights_open(ctx, &golden, test_golden("clip-tiny/golden.safetensors"), NULL));
    assert_int_equal(net.config.projection, 24);
    int *ids = (int *)(void *)test_floats(&golden, "input_ids", 2 * 6);
    float *want = test_floats(&golden, "text_embeds", 2 * 24);
    for (int i = 0; i < 2 * 77; i++) /* what follows the end token changes nothing */
        padded[i / 77][i % 77] = i % 77 < 6 ? ids[i / 77 * 6 + i % 77] : i % 600;
    float *x = encode(&net, padded[0], 2, 0);
    struct tensor hidden = test_tensor(DTYPE_F32, 3, 2, 77, 32, 0, x), out = test_tensor(DTYPE_F32, 2, 2, 24, 0, 0, NULL);
    assert_ok(clip_text_pool(ctx, NULL, &net, &out, &hidden, padded[0], true));
    float *got = test_read(&out);
    for (int b = 0; b < 2; b++) {
        double length = 0;
        for (int i = 0; i < 24; i++)
            length += (double)got[b * 24 + i] * (double)got[b * 24 + i];
        for (int i = 0; i < 24; i++)
            got[b * 24 + i] = (float)((double)got[b * 24 + i] / sqrt(length));
    }
    assert_close(got, want, 2 * 24, 1e-3);
    free(x);
    free(got);
    free(want);
    free(ids);
    test_free(&hidden);
    test_free(&out);
    weights_close(&golden);
    clip_text_free(ctx, &net);
}

/* ---- a folder of its own ---- */

#define WIDTH 8
#define VOCAB 20
#define POSITIONS 5

struct built {
    struct bytes header, data;
    uint32_t seed;
};

/* One f32 tensor of random numbers; norms near 1. */
static void add_weight(struct built *b, const char *prefix, const char *key, int rows, int columns)
{
    clio_context *ctx = test_context();
    char shape[32];
    size_t count = (size_t)rows * (size_t)MAX(columns, 1);
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    test_random(x, count, ++b->seed);
    snprintf(shape, sizeof shape, columns ? "[%d,%d]" : "[%d]", rows, columns);
    assert_ok(bytes_print(ctx, &b->header, "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                          b->header.size ? "," : "", prefix, key, shape, b->data.size, b->data.size + count * 4));
    assert_ok(bytes_add(ctx, &b->data, x, count * 4));
    free(x);
}

/* A text encoder of one layer and two heads. */
static void write_weights(const char *name, uint32_t seed)
{
    struct built b = {.seed = seed};
    static const struct {
        const char *key;
        int rows, columns;
    } keys[] = {{"embeddings.token_embedding.weight", VOCAB, WIDTH},
                {"embeddings.position_embedding.weight", POSITIONS, WIDTH},
                {"final_layer_norm.weight", WIDTH, 0},
                {"final_layer_norm.bias", WIDTH, 0},
                {"encoder.layers.0.layer_norm1.weight", WIDTH, 0},
                {"encoder.layers.0.layer_norm1.bias", WIDTH, 0},
                {"encoder.layers.0.layer_norm2.weight", WIDTH, 0},
                {"encoder.layers.0.layer_norm2.bias", WIDTH, 0},
                {"encoder.layers.0.self_attn.q_proj.weight", WIDTH, WIDTH},
                {"encoder.layers.0.self_attn.q_proj.bias", WIDTH, 0},
                {"encoder.layers.0.self_attn.k_proj.weight", WIDTH, WIDTH},
                {"encoder.layers.0.self_attn.k_proj.bias", WIDTH, 0},
                {"encoder.layers.0.self_attn.v_proj.weight", WIDTH, WIDTH},
                {"encoder.layers.0.self_attn.v_proj.bias", WIDTH, 0},
                {"encoder.layers.0.self_attn.out_proj.weight", WIDTH, WIDTH},
                {"encoder.layers.0.self_attn.out_proj.bias", WIDTH, 0},
                {"encoder.layers.0.mlp.fc1.weight", 2 * WIDTH, WIDTH},
                {"encoder.layers.0.mlp.fc1.bias", 2 * WIDTH, 0},
                {"encoder.layers.0.mlp.fc2.weight", WIDTH, 2 * WIDTH},
                {"encoder.layers.0.mlp.fc2.bias", WIDTH, 0}};
    for (size_t i = 0; i < COUNT(keys); i++)
        add_weight(&b, "text_model.", keys[i].key, keys[i].rows, keys[i].columns);
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    uint64_t size = b.header.size + 2;
    assert_int_equal(fwrite(&size, 1, 8, f), 8);
    fprintf(f, "{%s}", b.header.data);
    assert_int_equal(fwrite(b.data.data, 1, b.data.size, f), b.data.size);
    assert_int_equal(fclose(f), 0);
    bytes_free(&b.header);
    bytes_free(&b.data);
}

#define CONFIG                                                                                                                             \
    "\"hidden_size\": 8, \"intermediate_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"max_position_embeddings\": "   \
    "5, "                                                                                                                                  \
    "\"vocab_size\": 20"

static void test_configurations(void **state)
{
    clio_context *ctx = test_context();
    struct clip_text net;
    (void)state;
    write_weights("model.safetensors", 1);
    static const struct {
        const char *text;
        clio_status code;
        const char *sentence;
    } cases[] = {
        {"{\"model_type\": \"t5\"}", CLIO_ERROR_UNSUPPORTED, "describes a model of type t5"},
        {"{}", CLIO_ERROR_FORMAT, "\"model_type\" is missing"},
        {"{\"model_type\": \"clip\"}", CLIO_ERROR_FORMAT, "\"text_config\" is missing"},
        {"{\"model_type\": \"clip_text_model\", " CONFIG ", \"hidden_act\": \"mish\"}", CLIO_ERROR_UNSUPPORTED, "hidden_act mish"},
        {"{\"model_type\": \"clip_text_model\", " CONFIG ", \"use_attention_mask\": true}", CLIO_ERROR_UNSUPPORTED, "use_attention_mask"},
        {"{\"model_type\": \"clip_text_model\", " CONFIG ", \"quantization_config\": {}}", CLIO_ERROR_UNSUPPORTED, "quantization_config"},
        {"{\"model_type\": \"clip_text_model\", " CONFIG ", \"rope_scaling\": 2}", CLIO_ERROR_UNSUPPORTED, "field \"rope_scaling\" (2)"},
        {"{\"model_type\": \"clip_text_model\", " CONFIG ", \"layer_norm_eps\": 0}", CLIO_ERROR_FORMAT, "must be between 0 and 1"},
        {"{\"model_type\": \"clip_text_model\", " CONFIG ", \"layer_norm_eps\": \"small\"}", CLIO_ERROR_FORMAT, "layer_norm_eps"},
        {"{\"model_type\": \"clip_text_model\", \"num_attention_heads\": 3}", CLIO_ERROR_FORMAT,
         "512 columns (hidden_size) cannot be shared by 3"},
        {"{\"model_type\": \"clip_text_model\", \"num_hidden_layers\": 0}", CLIO_ERROR_FORMAT, "num_hidden_layers"},
        {"{\"model_type\": \"clip_text_model\"}", CLIO_ERROR_FORMAT, "[49408, 512]"}, /* transformers' defaults, another shape */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_text("config.json", cases[i].text);
        assert_fails(clip_text_open(ctx, folder, NULL, &net), cases[i].code, cases[i].sentence);
        assert_null(net.layers);
    }
    put_text("config.json", "{\"model_type\": \"clip_text_model\", " CONFIG "}");
    remove(in_folder("model.safetensors"));
    assert_fails(clip_text_open(ctx, folder, NULL, &net), CLIO_ERROR_FILE, "holds neither model.safetensors nor");
    assert_fails(clip_text_open(ctx, in_folder("absent"), NULL, &net), CLIO_ERROR_FILE, "absent");
}

/* Fields of transformers that no forward pass reads, and empty ones, do not matter; others are refused. */
static void test_unknown_fields(void **state)
{
    clio_context *ctx = test_context();
    struct clip_text net;
    static const char *const harmless =
        "\"chunk_size_feed_forward\": 0, \"top_k\": 50, \"num_beams\": 1, \"id2label\": {\"0\": \"LABEL_0\"}, "
        "\"pruned_heads\": {}, \"is_decoder\": false, \"new_list\": [], \"new_text\": \"\", \"none\": null";
    static const char *const harmful[] = {"\"pruned_heads\": {\"0\": [1]}", "\"is_decoder\": true", "\"new_number\": 0",
                                          "\"rope\": \"yes\""};
    char text[1024];
    (void)state;
    write_weights("model.safetensors", 1);
    snprintf(text, sizeof text, "{\"model_type\": \"clip_text_model\", %s, " CONFIG "}", harmless);
    put_text("config.json", text);
    assert_ok(clip_text_open(ctx, folder, NULL, &net));
    clip_text_free(ctx, &net);
    for (size_t i = 0; i < COUNT(harmful); i++) {
        snprintf(text, sizeof text, "{\"model_type\": \"clip_text_model\", %s, " CONFIG "}", harmful[i]);
        put_text("config.json", text);
        assert_fails(clip_text_open(ctx, folder, NULL, &net), CLIO_ERROR_UNSUPPORTED, "is not supported and may change the result");
    }
}

/* Tables of embeddings have the storage type that was asked for. */
static void test_table_storage(void **state)
{
    clio_context *ctx = clio_create();
    struct clip_text net;
    static const struct {
        const char *type;
        enum dtype dtype;
    } types[] = {{"f32", DTYPE_F32}, {"f16", DTYPE_F16}, {"q8_0", DTYPE_F16}, {NULL, DTYPE_F16}};
    (void)state;
    write_weights("model.safetensors", 1);
    put_text("config.json", "{\"model_type\": \"clip_text_model\", " CONFIG "}");
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_ok(clio_set_weight_type(ctx, types[i].type));
        assert_ok(clio_device_open(ctx, NULL));
        assert_ok(clip_text_open(ctx, folder, NULL, &net));
        assert_int_equal(net.embedding.dtype, types[i].dtype);
        if (types[i].dtype == DTYPE_F32)
            assert_int_equal(net.layers[0].ff.fc1.w.data.dtype, DTYPE_F32);
        clip_text_free(ctx, &net);
    }
    clio_destroy(ctx);
}

/* The end of a text: the first end token; the first greatest token where the configuration has the legacy number 2. */
static void test_end_token(void **state)
{
    clio_context *ctx = test_context();
    static const struct {
        const char *config;
        int ids[POSITIONS], end;
    } cases[] = {{"19", {18, 3, 19, 5, 19}, 2}, {"4", {18, 3, 19, 4, 4}, 3}, {"2", {18, 2, 5, 19, 19}, 3}, {"17", {18, 1, 1, 1, 1}, 0}};
    (void)state;
    write_weights("model.safetensors", 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct clip_text net;
        char text[512];
        snprintf(text, sizeof text, "{\"model_type\": \"clip\", \"text_config\": {" CONFIG ", \"eos_token_id\": %s}}", cases[i].config);
        put_text("config.json", text);
        assert_ok(clip_text_open(ctx, folder, NULL, &net));
        float *x = encode(&net, cases[i].ids, 1, 0);
        struct tensor hidden = test_tensor(DTYPE_F32, 3, 1, POSITIONS, WIDTH, 0, x), out = test_tensor(DTYPE_F32, 2, 1, WIDTH, 0, 0, NULL);
        assert_ok(clip_text_pool(ctx, NULL, &net, &out, &hidden, cases[i].ids, false));
        float *pooled = test_read(&out);
        assert_memory_equal(pooled, x + cases[i].end * WIDTH, WIDTH * sizeof *x);
        free(x);
        free(pooled);
        test_free(&hidden);
        test_free(&out);
        clip_text_free(ctx, &net);
    }
}

/* Two chunks at once are the two by themselves, one behind the other; weights as prompt_apply_weights has them. */
static void test_chunks(void **state)
{
    clio_context *ctx = test_context();
    struct clip_text net;
    struct text_encoder encoder;
    int ids[2 * POSITIONS] = {18, 3, 4, 19, 19, 18, 7, 19, 19, 19};
    float weights[2 * POSITIONS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct prompt p = {.ids = ids, .weights = weights, .chunks = 2, .length = POSITIONS};
    size_t size = (size_t)POSITIONS * WIDTH;
    (void)state;
    write_weights("model.safetensors", 1);
    put_text("config.json", "{\"model_type\": \"clip_text_model\", " CONFIG "}");
    assert_ok(clip_text_open(ctx, folder, NULL, &net));
    assert_ok(text_encoder_open(ctx, folder, NULL, &encoder));
    float *first = encode(&net, ids, 1, 0), *second = encode(&net, ids + POSITIONS, 1, 0), *want = malloc(2 * size * sizeof *want);
    assert_non_null(want);
    memcpy(want, first, size * sizeof *want);
    memcpy(want + size, second, size * sizeof *want);
    for (int weighed = 0; weighed < 2; weighed++) {
        struct tensor out = test_tensor(DTYPE_F32, 3, 1, 2 * POSITIONS, WIDTH, 0, NULL);
        if (weighed) {
            weights[6] = 1.5f;
            prompt_apply_weights(&p, want, WIDTH);
            assert_true(fabsf(want[size + WIDTH] - second[WIDTH]) > 1e-3f);
        }
        assert_ok(prompt_encode(ctx, &p, &encoder, 0, &out));
        float *got = test_read(&out);
        assert_close(got, want, 2 * size, 1e-5);
        free(got);
        test_free(&out);
    }
    free(first);
    free(second);
    free(want);
    clip_text_free(ctx, &net);
    text_encoder_free(ctx, &encoder);
}

static void assert_opens(const char *variant, const char *file)
{
    struct weights w;
    assert_ok(folder_weights(test_context(), folder, "model", variant, &w));
    assert_string_equal(strrchr(w.path, '/') + 1, file);
    assert_int_equal(w.count, 20);
    weights_close(&w);
}

/* in_folder, with memory of its own. */
static const char *moved(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s", in_folder(name));
    return path;
}

static void test_variants(void **state)
{
    clio_context *ctx = test_context();
    struct weights w;
    (void)state;
    assert_fails(folder_weights(ctx, folder, "model", "fp16", &w), CLIO_ERROR_FILE, "holds neither model.safetensors nor");
    assert_fails(folder_weights(ctx, in_folder("absent"), "model", NULL, &w), CLIO_ERROR_FILE, "there is no folder");
    assert_fails(folder_weights(ctx, folder, "model", "../x", &w), CLIO_ERROR_ARGUMENT, "is not a valid variant");
    write_weights("model.ema.safetensors", 1);
    assert_opens(NULL, "model.ema.safetensors");
    assert_opens("fp16", "model.ema.safetensors");
    write_weights("model.bf16.safetensors", 1);
    assert_opens(NULL, "model.bf16.safetensors");
    write_weights("model.fp16-00001-of-00001.safetensors", 1);
    assert_opens(NULL, "model.bf16.safetensors"); /* a shard is not a model */
    json_t *map = json_object(), *index = json_pack("{s:o}", "weight_map", map);
    assert_ok(weights_open(ctx, &w, in_folder("model.fp16-00001-of-00001.safetensors"), NULL));
    for (size_t i = 0; i < w.count; i++)
        json_object_set_new(map, w.list[i].name, json_string("model.fp16-00001-of-00001.safetensors"));
    weights_close(&w);
    assert_int_equal(json_dump_file(index, in_folder("model.fp16.safetensors.index.json"), 0), 0);
    json_decref(index);
    assert_opens(NULL, "model.fp16.safetensors.index.json");
    assert_int_equal(rename(in_folder("model.fp16.safetensors.index.json"), moved("model.safetensors.index.fp16.json")), 0);
    assert_opens(NULL, "model.safetensors.index.fp16.json"); /* as diffusers and transformers name it */
    assert_opens("fp16", "model.safetensors.index.fp16.json");
    assert_opens("ema", "model.ema.safetensors");
    write_weights("model.fp16.safetensors", 1);
    assert_opens(NULL, "model.fp16.safetensors");
    write_weights("model.safetensors", 1);
    assert_opens(NULL, "model.safetensors");
    assert_opens("fp16", "model.fp16.safetensors");
    assert_opens("ema", "model.ema.safetensors");
    assert_opens("int8", "model.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sd1_is_transformers),
        cmocka_unit_test(sd2_is_transformers),
        cmocka_unit_test(clip_is_transformers),
        cmocka_unit_test_setup_teardown(test_configurations, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_unknown_fields, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_table_storage, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_end_token, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_chunks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_variants, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
