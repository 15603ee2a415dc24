/* make_diffusers.c - writes a Stable Diffusion folder of a published shape with random weights: to see that every shape loads and runs in
 * full size, how fast and in how much memory, where no model's weights can be had.
 *
 *     make_diffusers [--dtype f16|bf16|f32] [--variant NAME] SHAPE DIR TOKENIZER_DIR
 *
 * SHAPE is a row of `shapes`. TOKENIZER_DIR holds CLIP's vocab.json and merges.txt. Weights are as random_weights.h has them, scaled so
 * that what passes through keeps its size. Keys and shapes: diffusers' UNet2DConditionModel and AutoencoderKL, transformers' CLIPTextModel.
 */
#include "random_weights.h"
#include "../../host/core/file_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 49408

struct shape {
    const char *name;
    int text_width, text_layers, text_heads;
    const char *act, *scheduler, *prediction, *spacing;
    int sample, in, guidance; /* side of the latents; channels; time_cond_proj_dim, 0: none */
    int blocks, layers, channels[4], heads[4];
    bool linear, mid, last_attends;
};
/* Source: the config.json files of runwayml/stable-diffusion-v1-5 and -inpainting, SimianLuo/LCM_Dreamshaper_v7,
 * stabilityai/stable-diffusion-2-1, -2-1-base and sd-turbo, nota-ai/bk-sdm-small and bk-sdm-tiny. */
#define V1_TEXT 768, 12, 12, "quick_gelu"
#define V2_TEXT 1024, 23, 16, "gelu"
#define WIDTHS                                                                                                                             \
    {                                                                                                                                      \
        320, 640, 1280, 1280                                                                                                               \
    }
#define V1_HEADS                                                                                                                           \
    {                                                                                                                                      \
        8, 8, 8, 8                                                                                                                         \
    }
#define V2_HEADS                                                                                                                           \
    {                                                                                                                                      \
        5, 10, 20, 20                                                                                                                      \
    }
static const struct shape shapes[] = {
    {"sd-v1-5", V1_TEXT, "PNDMScheduler", "epsilon", "leading", 64, 4, 0, 4, 2, WIDTHS, V1_HEADS, false, true, false},
    {"sd-v1-5-inpainting", V1_TEXT, "PNDMScheduler", "epsilon", "leading", 64, 9, 0, 4, 2, WIDTHS, V1_HEADS, false, true, false},
    {"lcm", V1_TEXT, "LCMScheduler", "epsilon", "leading", 96, 4, 256, 4, 2, WIDTHS, V1_HEADS, false, true, false},
    {"sd-v2-1", V2_TEXT, "DDIMScheduler", "v_prediction", "leading", 96, 4, 0, 4, 2, WIDTHS, V2_HEADS, true, true, false},
    {"sd-v2-1-base", V2_TEXT, "PNDMScheduler", "epsilon", "leading", 64, 4, 0, 4, 2, WIDTHS, V2_HEADS, true, true, false},
    {"sd-turbo", V2_TEXT, "EulerDiscreteScheduler", "epsilon", "trailing", 64, 4, 0, 4, 2, WIDTHS, V2_HEADS, true, true, false},
    {"bk-sdm-small", V1_TEXT, "PNDMScheduler", "epsilon", "leading", 64, 4, 0, 4, 1, WIDTHS, V1_HEADS, false, false, false},
    {"bk-sdm-tiny", V1_TEXT, "PNDMScheduler", "epsilon", "leading", 64, 4, 0, 3, 1, {320, 640, 1280, 0}, V1_HEADS, false, false, true},
};

struct maker {
    clio_context *ctx;
    const struct shape *shape;
    const char *dir, *source, *variant;
    struct random_weights weights; /* of the part that is being listed */
};

/* ---- the list of a part's tensors ---- */

/* A product (taps 0) or a convolution. */
static clio_status add_linear(struct maker *m, const char *prefix, const char *name, int out, int in, int taps, bool bias)
{
    return random_add_linear(&m->weights, prefix, name, taps ? 4 : 2, (int[]){out, in, taps, taps}, bias);
}

static clio_status add_norm(struct maker *m, const char *prefix, const char *name, int width)
{
    return random_add_norm(&m->weights, prefix, name, width);
}

/* time: width of the time embedding, 0: none */
static clio_status add_resnet(struct maker *m, const char *prefix, int in, int out, int time)
{
    clio_status st = CLIO_OK;
    TRY(add_norm(m, prefix, "norm1", in));
    TRY(add_linear(m, prefix, "conv1", out, in, 3, true));
    if (time)
        TRY(add_linear(m, prefix, "time_emb_proj", out, time, 0, true));
    TRY(add_norm(m, prefix, "norm2", out));
    TRY(add_linear(m, prefix, "conv2", out, out, 3, true));
    if (in != out)
        TRY(add_linear(m, prefix, "conv_shortcut", out, in, 1, true));
fail:
    return st;
}

static clio_status add_transformer(struct maker *m, const char *prefix, int width)
{
    clio_status st = CLIO_OK;
    int text = m->shape->text_width, taps = m->shape->linear ? 0 : 1;
    TRY(add_norm(m, prefix, "norm", width));
    TRY(add_linear(m, prefix, "proj_in", width, width, taps, true));
    for (int i = 1; i <= 2; i++) {
        static const char *const products[] = {"to_q", "to_k", "to_v", "to_out.0"};
        char key[96];
        for (size_t k = 0; k < COUNT(products); k++) {
            snprintf(key, sizeof key, "transformer_blocks.0.attn%d.%s", i, products[k]);
            TRY(add_linear(m, prefix, key, width, i == 2 && (k == 1 || k == 2) ? text : width, 0, k == 3));
        }
    }
    TRY(add_linear(m, prefix, "transformer_blocks.0.ff.net.0.proj", 8 * width, width, 0, true));
    TRY(add_linear(m, prefix, "transformer_blocks.0.ff.net.2", width, 4 * width, 0, true));
    TRY(add_norm(m, prefix, "transformer_blocks.0.norm1", width));
    TRY(add_norm(m, prefix, "transformer_blocks.0.norm2", width));
    TRY(add_norm(m, prefix, "transformer_blocks.0.norm3", width));
    TRY(add_linear(m, prefix, "proj_out", width, width, taps, true));
fail:
    return st;
}

static bool attends(const struct shape *s, int block)
{
    return block < s->blocks - 1 || s->last_attends;
}

static clio_status add_layer(struct maker *m, const char *block, int i, int in, int out, bool with_attention)
{
    clio_status st = CLIO_OK;
    char prefix[96];
    snprintf(prefix, sizeof prefix, "%sresnets.%d.", block, i);
    TRY(add_resnet(m, prefix, in, out, 4 * m->shape->channels[0]));
    snprintf(prefix, sizeof prefix, "%sattentions.%d.", block, i);
    if (with_attention)
        TRY(add_transformer(m, prefix, out));
fail:
    return st;
}

static clio_status list_unet(struct maker *m)
{
    clio_status st = CLIO_OK;
    const struct shape *s = m->shape;
    const int *c = s->channels;
    int skips[16], count = 0, last = c[s->blocks - 1], now = c[0];
    char block[64];
    TRY(add_linear(m, "", "conv_in", c[0], s->in, 3, true));
    TRY(add_linear(m, "", "time_embedding.linear_1", 4 * c[0], c[0], 0, true));
    TRY(add_linear(m, "", "time_embedding.linear_2", 4 * c[0], 4 * c[0], 0, true));
    if (s->guidance)
        TRY(add_linear(m, "", "time_embedding.cond_proj", c[0], s->guidance, 0, false));
    skips[count++] = c[0];
    for (int i = 0; i < s->blocks; i++) {
        snprintf(block, sizeof block, "down_blocks.%d.", i);
        for (int j = 0; j < s->layers; j++, now = c[i], skips[count++] = now)
            TRY(add_layer(m, block, j, now, c[i], attends(s, i)));
        if (i < s->blocks - 1) {
            TRY(add_linear(m, block, "downsamplers.0.conv", c[i], c[i], 3, true));
            skips[count++] = c[i];
        }
    }
    if (s->mid) {
        TRY(add_layer(m, "mid_block.", 0, last, last, true));
        TRY(add_layer(m, "mid_block.", 1, last, last, false));
    }
    for (int i = 0; i < s->blocks; i++) {
        int mirror = s->blocks - 1 - i;
        snprintf(block, sizeof block, "up_blocks.%d.", i);
        for (int j = 0; j <= s->layers; j++, now = c[mirror])
            TRY(add_layer(m, block, j, now + skips[--count], c[mirror], attends(s, mirror)));
        if (i < s->blocks - 1)
            TRY(add_linear(m, block, "upsamplers.0.conv", c[mirror], c[mirror], 3, true));
    }
    TRY(add_norm(m, "", "conv_norm_out", c[0]));
    TRY(add_linear(m, "", "conv_out", 4, c[0], 3, true));
fail:
    return st;
}

static clio_status list_vae_side(struct maker *m, bool decoder)
{
    static const int channels[] = {128, 256, 512, 512};
    static const char *const products[] = {"to_q", "to_k", "to_v", "to_out.0"};
    clio_status st = CLIO_OK;
    const char *side = decoder ? "decoder." : "encoder.";
    char prefix[96], key[96];
    int now = decoder ? channels[3] : channels[0], top = channels[3];
    TRY(add_linear(m, side, "conv_in", now, decoder ? 4 : 3, 3, true));
    for (int i = 0; i < 4; i++) {
        int out = channels[decoder ? 3 - i : i];
        for (int j = 0; j < (decoder ? 3 : 2); j++, now = out) {
            snprintf(prefix, sizeof prefix, "%s%s_blocks.%d.resnets.%d.", side, decoder ? "up" : "down", i, j);
            TRY(add_resnet(m, prefix, now, out, 0));
        }
        snprintf(key, sizeof key, "%s_blocks.%d.%ssamplers.0.conv", decoder ? "up" : "down", i, decoder ? "up" : "down");
        if (i < 3)
            TRY(add_linear(m, side, key, out, out, 3, true));
    }
    for (int i = 0; i < 2; i++) {
        snprintf(prefix, sizeof prefix, "%smid_block.resnets.%d.", side, i);
        TRY(add_resnet(m, prefix, top, top, 0));
    }
    snprintf(prefix, sizeof prefix, "%smid_block.attentions.0.", side);
    TRY(add_norm(m, prefix, "group_norm", top));
    for (size_t i = 0; i < COUNT(products); i++)
        TRY(add_linear(m, prefix, products[i], top, top, 0, true));
    TRY(add_norm(m, side, "conv_norm_out", decoder ? channels[0] : top));
    TRY(add_linear(m, side, "conv_out", decoder ? 3 : 8, decoder ? channels[0] : top, 3, true));
    TRY(add_linear(m, "", decoder ? "post_quant_conv" : "quant_conv", decoder ? 4 : 8, decoder ? 4 : 8, 1, true));
fail:
    return st;
}

static clio_status list_text(struct maker *m)
{
    static const char *const products[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    clio_status st = CLIO_OK;
    int width = m->shape->text_width;
    char prefix[96], key[96];
    TRY(random_add(&m->weights, "text_model.embeddings.", "token_embedding.weight", 2, (int[]){TOKENS, width}, 0x1p-4, 0));
    TRY(random_add(&m->weights, "text_model.embeddings.", "position_embedding.weight", 2, (int[]){77, width}, 0x1p-5, 0));
    for (int i = 0; i < m->shape->text_layers; i++) {
        snprintf(prefix, sizeof prefix, "text_model.encoder.layers.%d.", i);
        for (size_t k = 0; k < COUNT(products); k++) {
            snprintf(key, sizeof key, "self_attn.%s", products[k]);
            TRY(add_linear(m, prefix, key, width, width, 0, true));
        }
        TRY(add_norm(m, prefix, "layer_norm1", width));
        TRY(add_linear(m, prefix, "mlp.fc1", 4 * width, width, 0, true));
        TRY(add_linear(m, prefix, "mlp.fc2", width, 4 * width, 0, true));
        TRY(add_norm(m, prefix, "layer_norm2", width));
    }
    TRY(add_norm(m, "text_model.", "final_layer_norm", width));
fail:
    return st;
}

/* ---- files ---- */

/* A folder with a configuration (its reference is taken) and the tensors listed, which are forgotten. */
static clio_status write_part(struct maker *m, const char *folder, const char *stem, json_t *config)
{
    clio_status st = CLIO_OK;
    char *dir = NULL, *path = NULL, name[96];
    size_t total = 0;
    TRY(file_join(m->ctx, &dir, m->dir, folder));
    TRY(file_make_folder(m->ctx, dir));
    TRY(write_json(m->ctx, dir, "config.json", config));
    snprintf(name, sizeof name, "%s%s%s.safetensors", stem, m->variant ? "." : "", m->variant ? m->variant : "");
    TRY(file_join(m->ctx, &path, dir, name));
    TRY(random_write(&m->weights, path, 0, m->weights.count));
    for (int i = 0; i < m->weights.count; i++)
        total += random_count(&m->weights.list[i]);
    printf("%s: %d tensors, %.1f million numbers\n", path, m->weights.count, (double)total / 1e6);
    m->weights.count = 0;
fail:
    free(path);
    free(dir);
    return st;
}

static json_t *ints(const int *list, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(array, json_integer(list[i]));
    return array;
}

static json_t *unet_config(const struct shape *s)
{
    json_t *down = json_array(), *up = json_array();
    for (int i = 0; i < s->blocks; i++) {
        json_array_append_new(down, json_string(attends(s, i) ? "CrossAttnDownBlock2D" : "DownBlock2D"));
        json_array_append_new(up, json_string(attends(s, s->blocks - 1 - i) ? "CrossAttnUpBlock2D" : "UpBlock2D"));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:i, s:o, s:i, s:b, s:i, s:f, s:i, s:b, s:i, s:s?}", "_class_name",
                  "UNet2DConditionModel", "act_fn", "silu", "sample_size", s->sample, "in_channels", s->in, "out_channels", 4,
                  "layers_per_block", s->layers, "block_out_channels", ints(s->channels, s->blocks), "down_block_types", down,
                  "up_block_types", up, "cross_attention_dim", s->text_width, "attention_head_dim", ints(s->heads, s->blocks),
                  "norm_num_groups", 32, "use_linear_projection", s->linear, "freq_shift", 0, "norm_eps", 1e-5, "downsample_padding", 1,
                  "flip_sin_to_cos", 1, "mid_block_scale_factor", 1, "mid_block_type", s->mid ? "UNetMidBlock2DCrossAttn" : NULL);
    if (root && s->guidance)
        json_object_set_new(root, "time_cond_proj_dim", json_integer(s->guidance));
    return root;
}

static json_t *vae_config(const struct shape *s)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:[i,i,i,i], s:[s,s,s,s], s:[s,s,s,s], s:i, s:i, s:i}", "_class_name", "AutoencoderKL",
                     "act_fn", "silu", "in_channels", 3, "out_channels", 3, "latent_channels", 4, "block_out_channels", 128, 256, 512, 512,
                     "down_block_types", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
                     "up_block_types", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "layers_per_block",
                     2, "norm_num_groups", 32, "sample_size", 8 * s->sample);
}

static json_t *text_config(const struct shape *s)
{
    return json_pack("{s:[s], s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:i, s:i}", "architectures", "CLIPTextModel", "model_type",
                     "clip_text_model", "hidden_act", s->act, "hidden_size", s->text_width, "intermediate_size", 4 * s->text_width,
                     "num_hidden_layers", s->text_layers, "num_attention_heads", s->text_heads, "max_position_embeddings", 77, "vocab_size",
                     TOKENS, "layer_norm_eps", 1e-5, "bos_token_id", 49406, "eos_token_id", 49407);
}

static json_t *scheduler_config(const struct shape *s)
{
    json_t *root = json_pack("{s:s, s:f, s:f, s:s, s:i, s:s, s:i, s:s}", "_class_name", s->scheduler, "beta_start", 0.00085, "beta_end",
                             0.012, "beta_schedule", "scaled_linear", "num_train_timesteps", 1000, "prediction_type", s->prediction,
                             "steps_offset", 1, "timestep_spacing", s->spacing);
    if (!strcmp(s->scheduler, "PNDMScheduler"))
        json_object_set_new(root, "skip_prk_steps", json_true());
    if (strcmp(s->scheduler, "EulerDiscreteScheduler") != 0)
        json_object_set_new(root, "set_alpha_to_one", json_false());
    return root;
}

static clio_status copy_tokenizer(struct maker *m)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"};
    clio_status st = CLIO_OK;
    char *dir = NULL, *from = NULL, *to = NULL;
    struct file_content map = {0};
    struct file_out out = {0};
    TRY(file_join(m->ctx, &dir, m->dir, "tokenizer"));
    TRY(file_make_folder(m->ctx, dir));
    for (size_t i = 0; i < COUNT(names); i++) {
        TRY(file_join(m->ctx, &from, m->source, names[i]));
        TRY(file_join(m->ctx, &to, dir, names[i]));
        if (i < 2 || file_exists(from)) {
            TRY(file_load(m->ctx, &map, from));
            TRY(file_out_open(m->ctx, &out, to));
            TRY(file_out_write(m->ctx, &out, map.data, map.size));
            TRY(file_out_commit(m->ctx, &out));
            file_unload(&map);
        }
        free(from);
        free(to);
        from = to = NULL;
    }
fail:
    file_out_abandon(&out);
    file_unload(&map);
    free(from);
    free(to);
    free(dir);
    return st;
}

static clio_status make(struct maker *m)
{
    clio_status st = CLIO_OK;
    char *dir = NULL;
    TRY(file_make_folder(m->ctx, m->dir));
    TRY(copy_tokenizer(m));
    TRY(file_join(m->ctx, &dir, m->dir, "scheduler"));
    TRY(file_make_folder(m->ctx, dir));
    TRY(write_json(m->ctx, dir, "scheduler_config.json", scheduler_config(m->shape)));
    TRY(write_json(m->ctx, m->dir, "model_index.json", json_pack("{s:s}", "_class_name", "StableDiffusionPipeline")));
    TRY(list_text(m));
    TRY(write_part(m, "text_encoder", "model", text_config(m->shape)));
    TRY(list_vae_side(m, false));
    TRY(list_vae_side(m, true));
    TRY(write_part(m, "vae", "diffusion_pytorch_model", vae_config(m->shape)));
    TRY(list_unet(m));
    TRY(write_part(m, "unet", "diffusion_pytorch_model", unet_config(m->shape)));
fail:
    free(dir);
    free(m->weights.list);
    return st;
}

static int usage(void)
{
    fputs("usage: make_diffusers [--dtype f16|bf16|f32] [--variant NAME] SHAPE DIR TOKENIZER_DIR\nshapes:", stderr);
    for (size_t i = 0; i < COUNT(shapes); i++)
        fprintf(stderr, " %s", shapes[i].name);
    fputc('\n', stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct maker m = {.weights = {.root = "", .dtype = DTYPE_F16}};
    int at = 1;
    for (; at + 1 < argc && !strncmp(argv[at], "--", 2); at += 2) {
        const char *value = argv[at + 1];
        if (!strcmp(argv[at], "--variant"))
            m.variant = value;
        else if (strcmp(argv[at], "--dtype") != 0 || !random_dtype(value, &m.weights.dtype))
            return usage();
    }
    if (argc - at != 3)
        return usage();
    for (size_t i = 0; i < COUNT(shapes); i++)
        if (!strcmp(shapes[i].name, argv[at]))
            m.shape = &shapes[i];
    if (!m.shape)
        return usage();
    m.dir = argv[at + 1];
    m.source = argv[at + 2];
    m.ctx = m.weights.ctx = clio_create();
    if (!m.ctx)
        return 1;
    clio_status st = make(&m);
    if (st)
        fprintf(stderr, "make_diffusers: %s\n", clio_error(m.ctx));
    clio_destroy(m.ctx);
    return st ? 1 : 0;
}
