/* test_single_file.c - single-file checkpoints: the golden diffusers folders are written with the original LDM names, and every tensor must
 * be found, bit for bit, under diffusers' name. The inverse conversion is implemented here from diffusers' rules. Needs the large golden
 * files. */
#include "../support/test_own.h"

#include "../support/test_tensors.h"
#include "../support/test_checkpoint.h"

#include "../../models/loaders/single_file.h"
#include "../../models/pipelines/text2image.h"

/* The golden networks: three levels; two layers each in the UNet, one in the VAE. */
enum { LEVELS = 3, UNET_PER_LEVEL = 2, TEXT_LAYERS = 3 };

/* Replace the first `from` in the name. */
static void replace_first(char *name, const char *from, const char *to)
{
    char rest[256];
    char *at = strstr(name, from);
    if (at) {
        snprintf(rest, sizeof rest, "%s", at + strlen(from));
        snprintf(at, (size_t)(256 - (at - name)), "%s%s", to, rest);
    }
}

static void original_resnet(char *name, bool is_unet)
{
    static const char *const unet[][2] = {{".norm1.", ".in_layers.0."},          {".conv1.", ".in_layers.2."},
                                          {".norm2.", ".out_layers.0."},         {".conv2.", ".out_layers.3."},
                                          {".time_emb_proj.", ".emb_layers.1."}, {".conv_shortcut.", ".skip_connection."}};
    for (size_t i = 0; is_unet && i < COUNT(unet); i++)
        replace_first(name, unet[i][0], unet[i][1]);
    if (!is_unet)
        replace_first(name, ".conv_shortcut.", ".nin_shortcut.");
}

static void original_unet(const char *key, char *name)
{
    static const char *const fixed[][2] = {{"time_embedding.linear_1.", "time_embed.0."},
                                           {"time_embedding.linear_2.", "time_embed.2."},
                                           {"conv_in.", "input_blocks.0.0."},
                                           {"conv_norm_out.", "out.0."},
                                           {"conv_out.", "out.2."},
                                           {"mid_block.resnets.0.", "middle_block.0."},
                                           {"mid_block.attentions.0.", "middle_block.1."},
                                           {"mid_block.resnets.1.", "middle_block.2."}};
    char from[64], to[64];
    snprintf(name, 256, "model.diffusion_model.%s", key);
    for (size_t i = 0; i < COUNT(fixed); i++)
        if (!strncmp(key, fixed[i][0], strlen(fixed[i][0])))
            replace_first(name, fixed[i][0], fixed[i][1]);
    for (int b = 0; b < LEVELS; b++) {
        for (int j = 0; j <= UNET_PER_LEVEL; j++) {
            int in = 3 * b + j + 1, out = 3 * b + j;
            snprintf(from, sizeof from, "down_blocks.%d.resnets.%d.", b, j);
            snprintf(to, sizeof to, "input_blocks.%d.0.", in);
            replace_first(name, from, to);
            snprintf(from, sizeof from, "down_blocks.%d.attentions.%d.", b, j);
            snprintf(to, sizeof to, "input_blocks.%d.1.", in);
            replace_first(name, from, to);
            snprintf(from, sizeof from, "up_blocks.%d.resnets.%d.", b, j);
            snprintf(to, sizeof to, "output_blocks.%d.0.", out);
            replace_first(name, from, to);
            snprintf(from, sizeof from, "up_blocks.%d.attentions.%d.", b, j);
            snprintf(to, sizeof to, "output_blocks.%d.1.", out);
            replace_first(name, from, to);
        }
        snprintf(from, sizeof from, "down_blocks.%d.downsamplers.0.conv.", b);
        snprintf(to, sizeof to, "input_blocks.%d.0.op.", 3 * (b + 1));
        replace_first(name, from, to);
        snprintf(from, sizeof from, "up_blocks.%d.upsamplers.0.", b);
        snprintf(to, sizeof to, "output_blocks.%d.%d.", 3 * b + 2, b == 0 ? 1 : 2); /* the lowest level has no attention */
        replace_first(name, from, to);
    }
    if (!strstr(name, ".transformer_blocks.") && !strstr(name, ".1.norm."))
        original_resnet(name, true);
}

static void original_vae(const char *key, char *name)
{
    char from[64], to[64];
    snprintf(name, 256, "first_stage_model.%s", key);
    for (int b = 0; b < LEVELS; b++) {
        for (int up = 0; up < 2; up++) {
            int level = up ? LEVELS - 1 - b : b;
            snprintf(from, sizeof from, "%s_blocks.%d.resnets.", up ? "up" : "down", b);
            snprintf(to, sizeof to, "%s.%d.block.", up ? "up" : "down", level);
            replace_first(name, from, to);
            snprintf(from, sizeof from, "%s_blocks.%d.%ssamplers.0.", up ? "up" : "down", b, up ? "up" : "down");
            snprintf(to, sizeof to, "%s.%d.%ssample.", up ? "up" : "down", level, up ? "up" : "down");
            replace_first(name, from, to);
        }
    }
    original_resnet(name, false);
    replace_first(name, "conv_norm_out.", "norm_out.");
    replace_first(name, "mid_block.resnets.0.", "mid.block_1.");
    replace_first(name, "mid_block.resnets.1.", "mid.block_2.");
    if (strstr(name, "mid_block.attentions.0.")) {
        replace_first(name, "mid_block.attentions.0.", "mid.attn_1.");
        replace_first(name, "group_norm.", "norm.");
        replace_first(name, "to_q.", "q.");
        replace_first(name, "to_k.", "k.");
        replace_first(name, "to_v.", "v.");
        replace_first(name, "to_out.0.", "proj_out.");
    }
}

/* The golden folder has the names of newer transformers, without "text_model." */
static void original_clip(const char *key, char *name)
{
    snprintf(name, 256, "cond_stage_model.transformer.text_model.%s", key);
}

static void original_open_clip(const char *key, char *name)
{
    snprintf(name, 256, "cond_stage_model.model.%s", key);
    replace_first(name, "embeddings.token_embedding.", "token_embedding.");
    replace_first(name, "embeddings.position_embedding.weight", "positional_embedding");
    replace_first(name, "final_layer_norm.", "ln_final.");
    replace_first(name, "encoder.layers.", "transformer.resblocks.");
    replace_first(name, "layer_norm1.", "ln_1.");
    replace_first(name, "layer_norm2.", "ln_2.");
    replace_first(name, "mlp.fc1.", "mlp.c_fc.");
    replace_first(name, "mlp.fc2.", "mlp.c_proj.");
    replace_first(name, "self_attn.", "attn.");
}

/* ---- write checkpoints ---- */

struct golden {
    struct weights unet, vae, text;
};

static bool open_golden(struct golden *g, const char *model, const char *variant)
{
    char name[128];
    const char *const parts[] = {"unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"};
    struct weights *const to[] = {&g->unet, &g->vae, &g->text};
    for (size_t i = 0; i < COUNT(parts); i++) {
        snprintf(name, sizeof name, "%s/%s%s.safetensors", model, parts[i], variant);
        const char *path = test_golden(name);
        if (!path)
            return false;
        OK(weights_open(ctx, to[i], path, ""));
    }
    return true;
}

static void close_golden(struct golden *g)
{
    weights_close(&g->unet);
    weights_close(&g->vae);
    weights_close(&g->text);
}

static void add_renamed(struct made *m, const struct weights *w, void (*rename)(const char *key, char *name), bool is_vae)
{
    char name[256];
    for (size_t i = 0; i < w->count; i++) {
        struct weight stored = w->list[i];
        rename(stored.name, name);
        if (is_vae && stored.ndim == 2)
            stored.ndim = 4; /* the original attention has 1 x 1 convolutions; unused dimensions are 1 */
        made_copy(m, name, &stored);
    }
}

/* Fused QKV projection of a layer. */
static void add_fused(struct made *m, const struct weights *w, int from, int to, const char *end)
{
    struct bytes all = {NULL, 0, 0};
    const struct weight *part = NULL;
    char name[256];
    int dim[2];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "encoder.layers.%d.self_attn.%c_proj.%s", from, "qkv"[i], end);
        part = weights_find(w, name);
        assert_non_null(part);
        unsigned char *bytes = test_bytes(part);
        OK(bytes_add(ctx, &all, bytes, part->count * dtype_size(part->dtype)));
        free(bytes);
    }
    dim[0] = 3 * part->dim[0];
    dim[1] = part->dim[1];
    snprintf(name, sizeof name, "cond_stage_model.model.transformer.resblocks.%d.attn.in_proj_%s", to, end);
    made_add(m, name, part->dtype == DTYPE_F32 ? "F32" : "F16", part->ndim, dim, all.data, all.size);
    bytes_free(&all);
}

/* `layers` layers: those of the folder in turn. */
static void add_open_clip(struct made *m, const struct weights *w, int layers)
{
    char name[256], key[256], from[32], to[32];
    for (size_t i = 0; i < w->count; i++) {
        if (strstr(w->list[i].name, "_proj.") && !strstr(w->list[i].name, "out_proj."))
            continue;
        if (!strstr(w->list[i].name, "layers.")) {
            original_open_clip(w->list[i].name, name);
            made_copy(m, name, &w->list[i]);
        }
        for (int k = 0; k < layers; k++) {
            snprintf(key, sizeof key, "%s", w->list[i].name);
            snprintf(from, sizeof from, "layers.%d.", k % TEXT_LAYERS);
            snprintf(to, sizeof to, "layers.%d.", k);
            if (!strstr(key, from))
                continue;
            replace_first(key, from, to);
            original_open_clip(key, name);
            made_copy(m, name, &w->list[i]);
        }
    }
    for (int i = 0; i < layers; i++) {
        add_fused(m, w, i % TEXT_LAYERS, i, "weight");
        add_fused(m, w, i % TEXT_LAYERS, i, "bias");
    }
}

/* Tensors of real files that must be ignored. */
static void add_training_tensors(struct made *m)
{
    static const unsigned char zeros[616];
    made_add(m, "cond_stage_model.transformer.text_model.embeddings.position_ids", "I64", 2, (const int[]){1, 77}, zeros, 616);
    made_add(m, "model_ema.decay", "F32", 0, NULL, zeros, 4);
    made_add(m, "model_ema.diffusion_modelinput_blocks00weight", "F32", 1, (const int[]){1}, zeros, 4);
    made_add(m, "alphas_cumprod", "F32", 1, (const int[]){10}, zeros, 40);
    made_add(m, "first_stage_model.loss.logvar", "F32", 0, NULL, zeros, 4);
}

static bool make_v1(struct made *m, struct golden *g)
{
    if (!open_golden(g, "sd-v1-tiny", ""))
        return false;
    made_start(m);
    add_renamed(m, &g->unet, original_unet, false);
    add_renamed(m, &g->vae, original_vae, true);
    add_renamed(m, &g->text, original_clip, false);
    add_training_tensors(m);
    return true;
}

static bool make_v2(struct made *m, struct golden *g, int text_layers)
{
    static const float zeros[32 * 32];
    if (!open_golden(g, "sd-v2-tiny", ".fp16"))
        return false;
    made_start(m);
    add_renamed(m, &g->unet, original_unet, false);
    add_renamed(m, &g->vae, original_vae, true);
    add_open_clip(m, &g->text, text_layers);
    made_floats(m, "cond_stage_model.model.logit_scale", 0, NULL, zeros);
    made_floats(m, "cond_stage_model.model.text_projection", 2, (const int[]){32, 32}, zeros);
    return true;
}

/* ---- checks ---- */

static void expect_same_tensors(const struct weights *got, const struct weights *want, const char *prefix)
{
    char name[256];
    for (size_t i = 0; i < want->count; i++) {
        const struct weight *w = &want->list[i], *g;
        snprintf(name, sizeof name, "%s%s", prefix, w->name);
        g = weights_find(got, name);
        if (!g)
            fail_msg("%s is not found", name);
        assert_true(!g->problem && g->dtype == w->dtype && g->ndim == w->ndim && g->count == w->count);
        assert_memory_equal(g->dim, w->dim, (size_t)w->ndim * sizeof *w->dim);
        unsigned char *has = test_bytes(g), *wants = test_bytes(w);
        if (memcmp(has, wants, w->count * dtype_size(w->dtype)) != 0)
            fail_msg("%s has other bytes", name);
        free(has);
        free(wants);
    }
    assert_int_equal(got->count, want->count);
}

/* The configuration has these values (as JSON). */
static void expect_config(const struct json_file *config, const char *const (*fields)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *want = json_loads(fields[i][1], JSON_DECODE_ANY, NULL), *got = json_object_get(config->root, fields[i][0]);
        assert_non_null(want);
        if (!json_equal(got, want)) {
            char *text = got ? json_dumps(got, JSON_ENCODE_ANY) : NULL;
            fail_msg("%s is %s, expected %s", fields[i][0], text ? text : "missing", fields[i][1]);
        }
        json_decref(want);
    }
}
#define SAYS(config, ...) expect_config((config), (const char *const[][2]){__VA_ARGS__}, COUNT(((const char *const[][2]){__VA_ARGS__})))

/* These keys have the values of the golden folder's file. */
static void expect_golden_config(const struct json_file *config, const char *name, const char *const *keys, size_t count)
{
    struct json_file want = {NULL, NULL};
    char dir[512];
    snprintf(dir, sizeof dir, "%s", test_golden(name));
    *strrchr(dir, '/') = 0;
    OK(json_open(ctx, &want, dir, strrchr(name, '/') + 1));
    for (size_t i = 0; i < count; i++)
        if (!json_equal(json_object_get(config->root, keys[i]), json_object_get(want.root, keys[i])))
            fail_msg("%s: \"%s\" differs", name, keys[i]);
    json_close(&want);
}

static const char *const unet_keys[] = {
    "_class_name",           "act_fn",          "in_channels",    "out_channels",     "block_out_channels",
    "down_block_types",      "up_block_types",  "mid_block_type", "layers_per_block", "cross_attention_dim",
    "use_linear_projection", "flip_sin_to_cos", "freq_shift",     "norm_eps",         "downsample_padding"};
static const char *const vae_keys[] = {
    "_class_name",      "act_fn",         "in_channels",      "out_channels",   "latent_channels", "block_out_channels",
    "down_block_types", "up_block_types", "layers_per_block", "scaling_factor", "use_quant_conv",  "use_post_quant_conv"};
static const char *const text_keys[] = {"model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "max_position_embeddings",
                                        "vocab_size", "hidden_act",  "layer_norm_eps",    "bos_token_id",      "eos_token_id"};
static const char *const scheduler_keys[] = {"_class_name",     "beta_start",       "beta_end",     "beta_schedule",
                                             "prediction_type", "set_alpha_to_one", "steps_offset", "num_train_timesteps"};

static void expect_v1(const struct single_file *s, const struct golden *g)
{
    expect_same_tensors(&s->unet, &g->unet, "");
    expect_same_tensors(&s->vae, &g->vae, "");
    expect_same_tensors(&s->text_encoder, &g->text, "text_model.");
    expect_golden_config(&s->unet_config, "sd-v1-tiny/unet/config.json", unet_keys, COUNT(unet_keys));
}

static void test_version_1(void **state)
{
    struct made m;
    struct golden g;
    struct single_file s;
    (void)state;
    if (!make_v1(&m, &g))
        skip();
    made_write(&m, in_folder("v1.safetensors"));
    OK(single_file_open(ctx, &s, in_folder("v1.safetensors"), NULL));
    expect_v1(&s, &g);
    expect_golden_config(&s.vae_config, "sd-v1-tiny/vae/config.json", vae_keys, COUNT(vae_keys));
    expect_golden_config(&s.text_encoder_config, "sd-v1-tiny/text_encoder/config.json", text_keys, COUNT(text_keys));
    expect_golden_config(&s.scheduler_config, "sd-v1-tiny/scheduler/scheduler_config.json", scheduler_keys, COUNT(scheduler_keys));
    SAYS(&s.unet_config, {"attention_head_dim", "8"}, {"norm_num_groups", "32"}, {"sample_size", "64"});
    assert_string_equal(s.unet_config.path, in_folder("v1.safetensors"));
    single_file_close(&s);
    single_file_close(&s);
    made_free(&m);
    close_golden(&g);
}

/* The same as a file of torch.save: {"state_dict": ...}. */
static void test_torch_save(void **state)
{
    struct made m;
    struct golden g;
    struct single_file s;
    (void)state;
    if (!make_v1(&m, &g))
        skip();
    made_save(&m, in_folder("v1.ckpt"));
    OK(single_file_open(ctx, &s, in_folder("v1.ckpt"), NULL));
    expect_v1(&s, &g);
    single_file_close(&s);
    OK(autoencoder_file_open(ctx, &s, in_folder("v1.ckpt")));
    expect_same_tensors(&s.vae, &g.vae, "");
    single_file_close(&s);
    made_free(&m);
    close_golden(&g);
}

static void test_version_2(void **state)
{
    struct made m;
    struct golden g;
    struct single_file s;
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("v2.safetensors"));
    if (!make_v2(&m, &g, TEXT_LAYERS))
        skip();
    made_write(&m, path);
    OK(single_file_open(ctx, &s, path, NULL));
    expect_same_tensors(&s.unet, &g.unet, "");
    expect_same_tensors(&s.vae, &g.vae, "");
    expect_same_tensors(&s.text_encoder, &g.text, "text_model.");
    expect_golden_config(&s.unet_config, "sd-v2-tiny/unet/config.json", unet_keys, COUNT(unet_keys));
    expect_golden_config(&s.text_encoder_config, "sd-v2-tiny/text_encoder/config.json", text_keys, COUNT(text_keys));
    SAYS(&s.scheduler_config, {"prediction_type", "\"v_prediction\""}, {"_class_name", "\"DDIMScheduler\""});
    assert_true(s.assumed && s.is_version_2);
    assert_int_equal(s.unneeded_count, 2); /* logit_scale, text_projection */
    assert_string_equal(s.unneeded, "cond_stage_model.model.logit_scale");
    SAYS(&s.unet_config, {"attention_head_dim", "[1, 1, 1]"}, {"sample_size", "96"});
    single_file_close(&s);
    OK(single_file_open(ctx, &s, path, "epsilon"));
    SAYS(&s.scheduler_config, {"prediction_type", "\"epsilon\""}, {"_class_name", "\"PNDMScheduler\""});
    assert_false(s.assumed);
    SAYS(&s.unet_config, {"sample_size", "64"});
    single_file_close(&s);
    FAILS(single_file_open(ctx, &s, path, "noise"), CLIO_ERROR_ARGUMENT, "use epsilon, v_prediction or sample");
    made_note(&m, "modelspec.architecture", "stable-diffusion-v2-512");
    made_write(&m, path);
    OK(single_file_open(ctx, &s, path, NULL));
    SAYS(&s.scheduler_config, {"prediction_type", "\"epsilon\""});
    assert_false(s.assumed);
    single_file_close(&s);
    made_note(&m, "modelspec.prediction_type", "v");
    made_write(&m, path);
    OK(single_file_open(ctx, &s, path, NULL));
    SAYS(&s.scheduler_config, {"prediction_type", "\"v_prediction\""});
    single_file_close(&s);
    made_free(&m);
    close_golden(&g);
}

/* Write the checkpoint with another beginning of the names that begin with `start`; with NULL: without these tensors. The format allows no
 * gaps, so the data is rewritten. */
static void rewrite(const struct made *m, const char *start, const char *with, const char *path)
{
    struct made kept;
    const char *name;
    char renamed[300];
    json_t *value;
    made_start(&kept);
    json_object_foreach(m->header, name, value)
    {
        json_t *offsets = json_object_get(value, "data_offsets"), *shape = json_object_get(value, "shape");
        size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0)), end = (size_t)json_integer_value(json_array_get(offsets, 1));
        int dim[4] = {1, 1, 1, 1};
        bool is_meant = strncmp(name, start, strlen(start)) == 0;
        for (size_t i = 0; i < json_array_size(shape); i++)
            dim[i] = (int)json_integer_value(json_array_get(shape, i));
        snprintf(renamed, sizeof renamed, "%s%s", is_meant && with ? with : "", is_meant && with ? name + strlen(start) : name);
        if (!is_meant || with)
            made_add(&kept, renamed, json_string_value(json_object_get(value, "dtype")), (int)json_array_size(shape), dim,
                     m->data.data + begin, end - begin);
    }
    made_write(&kept, path);
    made_free(&kept);
}

/* ---- other names ---- */

/* Version 2 uses the states before the last of 24 layers; a file with fewer layers has only those that are used. */
static void test_text_layers(void **state)
{
    static const int counts[][2] = {{3, 3}, {22, 22}, {23, 23}, {24, 23}};
    struct made m;
    struct golden g;
    struct single_file s;
    char want[16], key[128];
    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        if (!make_v2(&m, &g, counts[i][0]))
            skip();
        made_write(&m, in_folder("v2.safetensors"));
        OK(single_file_open(ctx, &s, in_folder("v2.safetensors"), "epsilon"));
        snprintf(want, sizeof want, "%d", counts[i][1]);
        SAYS(&s.text_encoder_config, {"num_hidden_layers", want});
        for (int layer = 0; layer < 24; layer++) {
            snprintf(key, sizeof key, "text_model.encoder.layers.%d.self_attn.v_proj.weight", layer);
            assert_int_equal(weights_find(&s.text_encoder, key) != NULL, layer < counts[i][1]);
        }
        single_file_close(&s);
        made_free(&m);
        close_golden(&g);
    }
}

static void test_other_names(void **state)
{
    static const float one[1] = {1};
    struct made m;
    struct golden g;
    struct single_file s;
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("names.safetensors"));
    if (!make_v2(&m, &g, TEXT_LAYERS))
        skip();
    rewrite(&m, "cond_stage_model.model.", "conditioner.embedders.0.model.", path); /* SD-Turbo */
    OK(single_file_open(ctx, &s, path, NULL));
    expect_same_tensors(&s.text_encoder, &g.text, "text_model.");
    assert_true(s.is_version_2 && s.assumed);
    single_file_close(&s);
    made_floats(&m, "v_pred", 1, (const int[]){1}, one);
    made_write(&m, path);
    OK(single_file_open(ctx, &s, path, NULL));
    SAYS(&s.scheduler_config, {"prediction_type", "\"v_prediction\""});
    assert_false(s.assumed);
    single_file_close(&s);
    made_free(&m);
    close_golden(&g);
    assert_true(make_v1(&m, &g));
    made_floats(&m, "cond_stage_model.transformer.text_projection.weight", 1, (const int[]){1}, one);
    made_write(&m, path);
    OK(single_file_open(ctx, &s, path, NULL));
    expect_same_tensors(&s.text_encoder, &g.text, "text_model.");
    assert_int_equal(s.unneeded_count, 1);
    assert_string_equal(s.unneeded, "cond_stage_model.transformer.text_projection.weight");
    assert_false(s.is_version_2 || s.assumed);
    single_file_close(&s);
    rewrite(&m, "cond_stage_model.transformer.text_model.", "cond_stage_model.transformer.", path); /* NovelAI */
    OK(single_file_open(ctx, &s, path, NULL));
    expect_same_tensors(&s.text_encoder, &g.text, "text_model.");
    single_file_close(&s);
    made_free(&m);
    close_golden(&g);
}

/* BK-SDM's tiny UNet, converted with the table of the original: one layer per level leaves gaps, there is no middle block, and the
 * attentions of the first up block have diffusers' names. All tensors of this file have one element. */
static void test_missing_blocks(void **state)
{
    static const char *const names[] = {"down_blocks.0.resnets.0.conv1.weight", "down_blocks.0.downsamplers.0.conv.weight",
                                        "down_blocks.2.resnets.0.conv1.weight", "down_blocks.2.attentions.0.proj_in.weight",
                                        "up_blocks.0.resnets.1.conv1.weight",   "up_blocks.0.attentions.1.proj_in.weight",
                                        "up_blocks.0.upsamplers.0.conv.weight", "up_blocks.1.attentions.0.proj_in.weight",
                                        "up_blocks.1.upsamplers.0.conv.weight", "up_blocks.2.resnets.1.conv_shortcut.weight"};
    struct single_file s;
    (void)state;
    OK(single_file_open(ctx, &s, CLIO_SOURCE_DIR "/tests/cases/images/tiny-sd-names.safetensors", NULL));
    SAYS(&s.unet_config, {"layers_per_block", "1"}, {"mid_block_type", "null"}, {"block_out_channels", "[1, 1, 1]"},
         {"down_block_types", "[\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\"]"},
         {"up_block_types", "[\"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"]"});
    for (size_t i = 0; i < COUNT(names); i++)
        if (!weights_find(&s.unet, names[i]))
            fail_msg("%s is not found", names[i]);
    assert_int_equal(s.vae_config.root != NULL, 1);
    single_file_close(&s);
}

/* ---- what a file does not say ---- */

/* One evaluation tells noise prediction from v prediction: here by the bias of the last convolution. */
static void test_found_prediction(void **state)
{
    static const struct {
        float bias; /* added to the prediction */
        const char *prediction, *says;
    } cases[] = {{0, NULL, "epsilon"}, {-0.3f, NULL, "epsilon"}, {-0.8f, NULL, "v_prediction"}, {-3, "eps", NULL}};
    struct made m;
    struct golden g;
    char path[512], tokenizer[512], said[128];
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("v2.safetensors"));
    if (!test_golden("sd-v1-tiny/tokenizer/vocab.json"))
        skip();
    snprintf(tokenizer, sizeof tokenizer, "%s", test_golden("sd-v1-tiny/tokenizer"));
    reopen_with(getenv("CLIO_TEST_CACHE"));
    clio_set_notice(ctx, keep_notice, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        clio_diffusion_params params = {.tokenizer = tokenizer, .prediction_type = cases[i].prediction};
        clio_diffusion *p;
        assert_true(make_v2(&m, &g, TEXT_LAYERS));
        json_t *offsets = json_object_get(json_object_get(m.header, "model.diffusion_model.out.2.bias"), "data_offsets");
        for (size_t k = 0; k < 4; k++) {
            uint16_t bias = float_to_half(cases[i].bias);
            memcpy(m.data.data + (size_t)json_integer_value(json_array_get(offsets, 0)) + 2 * k, &bias, 2);
        }
        made_write(&m, path);
        *notices = 0;
        OK(clio_diffusion_load(ctx, path, &params, &p));
        snprintf(said, sizeof said, "one evaluation suggests %s: set params.prediction_type", cases[i].says);
        if ((strstr(notices, said) != NULL) != (cases[i].says != NULL))
            fail_msg("bias %g: notices are: %s", (double)cases[i].bias, notices);
        SAYS(&p->scheduler, {"prediction_type", i == 2 ? "\"v_prediction\"" : "\"epsilon\""});
        assert_int_equal(clio_diffusion_size(p), i == 2 ? 384 : 256); /* the miniature's VAE has a factor of 4 */
        assert_int_equal(p->tokenizer.pad, 0);
        clio_diffusion_free(p);
        made_free(&m);
        close_golden(&g);
    }
    /* version 1 pads with the end token, even with a tokenizer of version 2 */
    assert_true(make_v1(&m, &g));
    made_write(&m, path);
    for (int version = 1; version <= 2; version++) {
        clio_diffusion *p;
        snprintf(tokenizer, sizeof tokenizer, "%s", test_golden(version == 1 ? "sd-v1-tiny/tokenizer" : "sd-v2-tiny/tokenizer"));
        *notices = 0;
        OK(clio_diffusion_load(ctx, path, &(clio_diffusion_params){.tokenizer = tokenizer}, &p));
        assert_string_equal(notices, "");
        assert_int_equal(p->tokenizer.pad, p->tokenizer.end);
        clio_diffusion_free(p);
    }
    rewrite(&m, "first_stage_model.", NULL, path);
    clio_diffusion *p;
    FAILS(clio_diffusion_load(ctx, path, &(clio_diffusion_params){.tokenizer = tokenizer}, &p), CLIO_ERROR_UNSUPPORTED,
          "has no VAE (first_stage_model.*): give one as params.vae");
    OK(clio_diffusion_load(
        ctx, path,
        &(clio_diffusion_params){.tokenizer = tokenizer, .vae = test_golden("sd-v1-tiny/vae/diffusion_pytorch_model.safetensors")}, &p));
    clio_diffusion_free(p);
    made_free(&m);
    close_golden(&g);
}

/* ---- autoencoders ---- */

static void test_autoencoder_files(void **state)
{
    static const char *const tiny_keys[] = {"in_channels",        "out_channels",       "latent_channels",
                                            "num_encoder_blocks", "num_decoder_blocks", "encoder_block_out_channels"};
    struct made m, alone;
    struct golden g;
    struct single_file s;
    struct weights tiny;
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("vae.safetensors"));
    if (!make_v1(&m, &g))
        skip();
    made_write(&m, path); /* in a checkpoint */
    OK(autoencoder_file_open(ctx, &s, path));
    expect_same_tensors(&s.vae, &g.vae, "");
    expect_golden_config(&s.vae_config, "sd-v1-tiny/vae/config.json", vae_keys, COUNT(vae_keys));
    single_file_close(&s);
    made_start(&alone); /* the original names, alone */
    for (size_t i = 0; i < g.vae.count; i++) {
        char name[256];
        struct weight stored = g.vae.list[i];
        original_vae(stored.name, name);
        stored.ndim = stored.ndim == 2 ? 4 : stored.ndim;
        made_copy(&alone, name + strlen("first_stage_model."), &stored);
    }
    made_write(&alone, path);
    made_free(&alone);
    OK(autoencoder_file_open(ctx, &s, path));
    expect_same_tensors(&s.vae, &g.vae, "");
    expect_golden_config(&s.vae_config, "sd-v1-tiny/vae/config.json", vae_keys, COUNT(vae_keys));
    single_file_close(&s);
    made_start(&alone); /* diffusers' names without a configuration */
    for (size_t i = 0; i < g.vae.count; i++)
        made_copy(&alone, g.vae.list[i].name, &g.vae.list[i]);
    made_write(&alone, path);
    made_free(&alone);
    OK(autoencoder_file_open(ctx, &s, path));
    expect_golden_config(&s.vae_config, "sd-v1-tiny/vae/config.json", vae_keys, COUNT(vae_keys));
    SAYS(&s.vae_config, {"norm_num_groups", "32"});
    single_file_close(&s);
    OK(autoencoder_file_open(ctx, &s, test_golden("sd-v1-tiny/vae/diffusion_pytorch_model.safetensors"))); /* with one */
    SAYS(&s.vae_config, {"norm_num_groups", "8"});
    single_file_close(&s);
    OK(weights_open(ctx, &tiny, test_golden("sd-v1-tiny/taesd/diffusion_pytorch_model.safetensors"), ""));
    made_start(&alone);
    for (size_t i = 0; i < tiny.count; i++)
        made_copy(&alone, tiny.list[i].name, &tiny.list[i]);
    made_write(&alone, path);
    made_free(&alone);
    weights_close(&tiny);
    OK(autoencoder_file_open(ctx, &s, path));
    SAYS(&s.vae_config, {"_class_name", "\"AutoencoderTiny\""});
    expect_golden_config(&s.vae_config, "sd-v1-tiny/taesd/config.json", tiny_keys, COUNT(tiny_keys));
    single_file_close(&s);
    FAILS(autoencoder_file_open(ctx, &s, test_golden("sd-v1-tiny/unet/diffusion_pytorch_model.safetensors")), CLIO_ERROR_UNSUPPORTED,
          "has no autoencoder");
    rewrite(&m, "first_stage_model.encoder.down.0.", NULL, path);
    FAILS(autoencoder_file_open(ctx, &s, path), CLIO_ERROR_UNSUPPORTED, "has an incomplete VAE");
    rewrite(&m, "first_stage_model.", NULL, path); /* a checkpoint without one is opened, too: another may be given */
    OK(single_file_open(ctx, &s, path, NULL));
    assert_null(s.vae_config.root);
    single_file_close(&s);
    made_free(&m);
    close_golden(&g);
}

static void test_missing_and_unknown_tensors(void **state)
{
    static const struct {
        const char *start;
        clio_status code;
        const char *part;
    } missing[] = {
        {"cond_stage_model.", CLIO_ERROR_UNSUPPORTED, "has no text encoder"},
        {"model.diffusion_model.", CLIO_ERROR_UNSUPPORTED, "not a checkpoint of Stable Diffusion 1 or 2"},
        {"model.diffusion_model.input_blocks.4.0.", CLIO_ERROR_UNSUPPORTED, "the same number of layers"},
        {"model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k", CLIO_ERROR_FORMAT, "attn2.to_k.weight"},
        {"cond_stage_model.transformer.text_model.embeddings.token_embedding", CLIO_ERROR_FORMAT, "token_embedding.weight"},
    };
    static const char *const unknown[][2] = {{"model.diffusion_model.double_blocks.0.weight", "is not part of the UNet"},
                                             {"model.diffusion_model.output_blocks.9.0.in_layers.0.weight", "is not part of the UNet"},
                                             {"model.diffusion_model.input_blocks.1234.0.in_layers.0.weight", "is not part of the UNet"},
                                             {"model.diffusion_model.input_blocks.1.0.conv.weight", "is not part of the UNet"},
                                             {"model.diffusion_model.label_emb.0.0.weight", "not a checkpoint of Stable Diffusion 1 or 2"},
                                             {"first_stage_model.encoder.down.7.block.0.conv1.weight", "is not part of the VAE"},
                                             {"first_stage_model.quantize.embedding.weight", "is not part of the VAE"},
                                             {"cond_stage_model.transformer.encoder.block", "is not part of the text encoder"}};
    static const float zero[1];
    struct made m;
    struct golden g;
    struct single_file s;
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("bad.safetensors"));
    if (!make_v1(&m, &g))
        skip();
    for (size_t i = 0; i < COUNT(missing); i++) {
        rewrite(&m, missing[i].start, NULL, path);
        FAILS(single_file_open(ctx, &s, path, NULL), missing[i].code, missing[i].part);
    }
    for (size_t i = 0; i < COUNT(unknown); i++) {
        made_floats(&m, unknown[i][0], 1, (const int[]){1}, zero);
        made_write(&m, path);
        FAILS(single_file_open(ctx, &s, path, NULL), CLIO_ERROR_UNSUPPORTED, unknown[i][1]);
        made_free(&m);
        close_golden(&g);
        make_v1(&m, &g);
    }
    FAILS(single_file_open(ctx, &s, folder, NULL), CLIO_ERROR_FILE, "is a folder");
    FAILS(single_file_open(ctx, &s, in_folder("absent.safetensors"), NULL), CLIO_ERROR_FILE, "no such file");
    FAILS(single_file_open(ctx, &s, test_golden("sd-v1-tiny/unet/diffusion_pytorch_model.safetensors"), NULL), CLIO_ERROR_UNSUPPORTED,
          "one part of a diffusers folder");
    made_free(&m);
    close_golden(&g);
}

static void test_other_file_types(void **state)
{
    static const char *const types[][2] = {{"conditioner.embedders.0.x", "Stable Diffusion XL"},
                                           {"lora_unet_x.alpha", "is a LoRA"},
                                           {"unet.x.lora_A.weight", "is a LoRA"},
                                           {"nothing.known", "is not a checkpoint of Stable Diffusion 1 or 2"}};
    static const float zero[1];
    struct single_file s;
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        struct made m;
        made_start(&m);
        made_floats(&m, types[i][0], 1, (const int[]){1}, zero);
        made_write(&m, in_folder("kind.safetensors"));
        FAILS(single_file_open(ctx, &s, in_folder("kind.safetensors"), NULL), CLIO_ERROR_UNSUPPORTED, types[i][1]);
        made_free(&m);
    }
}

/* Two names for the same tensor: separate and fused. */
static void test_duplicate_tensors(void **state)
{
    struct made m;
    struct golden g;
    struct single_file s;
    static const float zeros[32 * 32 * 3];
    (void)state;
    if (!make_v2(&m, &g, TEXT_LAYERS))
        skip();
    made_floats(&m, "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_x", 1, (const int[]){3}, zeros);
    made_write(&m, in_folder("twice.safetensors"));
    FAILS(single_file_open(ctx, &s, in_folder("twice.safetensors"), NULL), CLIO_ERROR_UNSUPPORTED, "is not part of the text encoder");
    made_free(&m);
    close_golden(&g);
    assert_true(make_v2(&m, &g, TEXT_LAYERS));
    made_floats(&m, "model.diffusion_model.output_blocks.2.2.conv.weight", 1, (const int[]){1}, zeros); /* it has output_blocks.2.1.conv */
    made_write(&m, in_folder("twice.safetensors"));
    FAILS(single_file_open(ctx, &s, in_folder("twice.safetensors"), NULL), CLIO_ERROR_FORMAT,
          "contains the tensor up_blocks.0.upsamplers.0.conv.weight twice");
    made_free(&m);
    close_golden(&g);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_version_1),        TEST(test_torch_save),        TEST(test_version_2),
        TEST(test_text_layers),      TEST(test_other_names),       TEST(test_missing_blocks),
        TEST(test_found_prediction), TEST(test_autoencoder_files), TEST(test_missing_and_unknown_tensors),
        TEST(test_other_file_types), TEST(test_duplicate_tensors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
