/* whisper_load.c - read Whisper's config.json and weights. */
#include "whisper.h"
#include "../../host/core/json.h"
#include "../loaders/config.h"
#include "../loaders/model_folder.h"
#include "../loaders/other_formats.h"
#include "../nn/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum size { ONE, WIDTH, ENCODER_INNER, DECODER_INNER, BANDS, VOCAB, POSITIONS, TEXT_POSITIONS, KERNEL, SIZES };

#define LAYER_NORM(key, member) ROW_NORM(transformer_layer, key, member, WIDTH)
#define LAYER_LINEAR(key, member, kind, rows, columns) ROW_LINEAR(transformer_layer, key, member, kind, rows, columns, 0, 0, 1)
#define PROJECTION(key, member, kind, part, parts) ROW_LINEAR_MAYBE_BIAS(transformer_layer, key, member, kind, WIDTH, WIDTH, 0, part, parts)
#define TABLE(key, member, kind, rows)                                                                                                     \
    {                                                                                                                                      \
        key, offsetof(struct whisper, member), kind, rows, WIDTH, 0, 0, 1, false                                                           \
    }

static const struct state_dict_row network_table[] = {
    ROW_LINEAR(whisper, "encoder.conv1", conv1, WEIGHT_MATRIX_MANY, WIDTH, BANDS, KERNEL, 0, 1),
    ROW_LINEAR(whisper, "encoder.conv2", conv2, WEIGHT_MATRIX_MANY, WIDTH, WIDTH, KERNEL, 0, 1),
    TABLE("encoder.embed_positions.weight", encoder_positions, WEIGHT_TABLE, POSITIONS),
    ROW_NORM(whisper, "encoder.layer_norm", encoder_norm, WIDTH),
    TABLE("decoder.embed_tokens.weight", embedding, WEIGHT_TABLE_LARGE, VOCAB),
    TABLE("decoder.embed_positions.weight", text_positions, WEIGHT_TABLE, TEXT_POSITIONS),
    ROW_NORM(whisper, "decoder.layer_norm", decoder_norm, WIDTH),
};

static const struct state_dict_row encoder_table[] = {
    LAYER_NORM("self_attn_layer_norm", self_norm),
    PROJECTION("self_attn.q_proj", self.qkv, WEIGHT_MATRIX_MANY, 0, 3),
    PROJECTION("self_attn.k_proj", self.qkv, WEIGHT_MATRIX_MANY, 1, 3),
    PROJECTION("self_attn.v_proj", self.qkv, WEIGHT_MATRIX_MANY, 2, 3),
    LAYER_LINEAR("self_attn.out_proj", self.out, WEIGHT_MATRIX_MANY, WIDTH, WIDTH),
    LAYER_NORM("final_layer_norm", ff_norm),
    LAYER_LINEAR("fc1", ff.fc1, WEIGHT_MATRIX_MANY, ENCODER_INNER, WIDTH),
    LAYER_LINEAR("fc2", ff.fc2, WEIGHT_MATRIX_MANY, WIDTH, ENCODER_INNER),
};

static const struct state_dict_row decoder_table[] = {
    LAYER_NORM("self_attn_layer_norm", self_norm),
    PROJECTION("self_attn.q_proj", self.qkv, WEIGHT_MATRIX_FEW, 0, 3),
    PROJECTION("self_attn.k_proj", self.qkv, WEIGHT_MATRIX_FEW, 1, 3),
    PROJECTION("self_attn.v_proj", self.qkv, WEIGHT_MATRIX_FEW, 2, 3),
    LAYER_LINEAR("self_attn.out_proj", self.out, WEIGHT_MATRIX_FEW, WIDTH, WIDTH),
    LAYER_NORM("encoder_attn_layer_norm", cross_norm),
    LAYER_LINEAR("encoder_attn.q_proj", cross.q, WEIGHT_MATRIX_FEW, WIDTH, WIDTH),
    PROJECTION("encoder_attn.k_proj", cross.kv, WEIGHT_MATRIX_MANY, 0, 2), /* applied once to all positions of the encoder's output */
    PROJECTION("encoder_attn.v_proj", cross.kv, WEIGHT_MATRIX_MANY, 1, 2),
    LAYER_LINEAR("encoder_attn.out_proj", cross.out, WEIGHT_MATRIX_FEW, WIDTH, WIDTH),
    LAYER_NORM("final_layer_norm", ff_norm),
    LAYER_LINEAR("fc1", ff.fc1, WEIGHT_MATRIX_FEW, DECODER_INNER, WIDTH),
    LAYER_LINEAR("fc2", ff.fc2, WEIGHT_MATRIX_FEW, WIDTH, DECODER_INNER),
};

clio_status whisper_check(clio_context *ctx, const char *dir)
{
    clio_status st = CLIO_OK;
    bool is_folder;
    TRY(other_format_refuse(
        ctx, dir, "the Hugging Face folder of the model, such as openai/whisper-base (config.json, tokenizer.json, model.safetensors)",
        "merge it into that model with PEFT (merge_and_unload, then save_pretrained)", false));
    TRY(file_check_folder(ctx, dir, &is_folder));
    if (!is_folder)
        FAIL(ctx, CLIO_ERROR_FILE,
             "%s is not a folder: give the folder of a Whisper checkpoint (config.json, tokenizer.json, model.safetensors)", dir);
fail:
    return st;
}

static clio_status read_config(clio_context *ctx, struct whisper_config *c, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    const char *type, *activation;
    bool scale;
    TRY(json_text(ctx, file, "model_type", NULL, &type));
    if (strcmp(type, "whisper") != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes a model of type %s; transcription needs a Whisper checkpoint (model_type whisper)",
             file->path, type);
    TRY(json_text(ctx, file, "activation_function", "gelu", &activation));
    TRY(json_bool(ctx, file, "scale_embedding", false, &scale));
    if (strcmp(activation, "gelu") != 0 || scale)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s asks for activation_function %s%s; clio runs Whisper with gelu and unscaled embeddings only",
             file->path, activation, scale ? " and scale_embedding" : "");
    TRY(json_int(ctx, file, "d_model", 1, 1 << 14, 0, &c->width));
    TRY(json_int(ctx, file, "num_mel_bins", 1, 201, 80, &c->bands));
    TRY(json_int(ctx, file, "vocab_size", 1, 1 << 22, 0, &c->vocab));
    TRY(json_int(ctx, file, "max_source_positions", 1, 1500, 1500, &c->positions));
    TRY(json_int(ctx, file, "max_target_positions", 8, 1 << 14, 448, &c->text_positions));
    TRY(json_int(ctx, file, "encoder_layers", 1, 1024, 0, &c->encoder_layers));
    TRY(json_int(ctx, file, "encoder_attention_heads", 1, 1 << 10, 0, &c->encoder_heads));
    TRY(json_int(ctx, file, "encoder_ffn_dim", 1, 1 << 17, 0, &c->encoder_inner));
    TRY(json_int(ctx, file, "decoder_layers", 1, 1024, 0, &c->decoder_layers));
    TRY(json_int(ctx, file, "decoder_attention_heads", 1, 1 << 10, 0, &c->decoder_heads));
    TRY(json_int(ctx, file, "decoder_ffn_dim", 1, 1 << 17, 0, &c->decoder_inner));
    TRY(config_check_heads(ctx, file, "d_model", c->width, "encoder_attention_heads", c->encoder_heads));
    TRY(config_check_heads(ctx, file, "d_model", c->width, "decoder_attention_heads", c->decoder_heads));
fail:
    return st;
}

static clio_status load_layers(clio_context *ctx, struct whisper *net, const char *prefix, const int *sizes, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    char key[128];
    const struct whisper_config *c = &net->config;
    double all = c->encoder_layers + c->decoder_layers;
    TRY(mem_alloc(ctx, &net->encoder, (size_t)c->encoder_layers, sizeof *net->encoder));
    TRY(mem_alloc(ctx, &net->decoder, (size_t)c->decoder_layers, sizeof *net->decoder));
    for (int i = 0; i < c->encoder_layers; i++) {
        TRY(context_progress(ctx, "loading the model", i, all));
        snprintf(key, sizeof key, "%sencoder.layers.%d.", prefix, i);
        TRY(state_dict_load(ctx, &net->encoder[i], encoder_table, COUNT(encoder_table), key, sizes, weights));
    }
    for (int i = 0; i < c->decoder_layers; i++) {
        TRY(context_progress(ctx, "loading the model", c->encoder_layers + i, all));
        snprintf(key, sizeof key, "%sdecoder.layers.%d.", prefix, i);
        TRY(state_dict_load(ctx, &net->decoder[i], decoder_table, COUNT(decoder_table), key, sizes, weights));
    }
fail:
    return st;
}

static clio_status compare_floats(clio_context *ctx, const struct weight *a, const struct weight *b, bool *same)
{
    clio_status st = CLIO_OK;
    enum { AT_ONCE = 1024 };
    float x[AT_ONCE], y[AT_ONCE];
    *same = b && a->count == b->count;
    for (size_t at = 0; *same && at < a->count; at += AT_ONCE) {
        size_t n = MIN(a->count - at, (size_t)AT_ONCE);
        TRY(weight_floats(ctx, a, at, n, x));
        TRY(weight_floats(ctx, b, at, n, y));
        *same = memcmp(x, y, n * sizeof *x) == 0;
    }
fail:
    return st;
}

clio_status whisper_load_from(clio_context *ctx, struct whisper *net, const struct json_file *config, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    const struct weight *logits;
    bool same = true;
    *net = (struct whisper){0};
    struct whisper_config *c = &net->config;
    TRY(read_config(ctx, c, config));
    int sizes[SIZES] = {[ONE] = 1,          [WIDTH] = c->width, [ENCODER_INNER] = c->encoder_inner, [DECODER_INNER] = c->decoder_inner,
                        [BANDS] = c->bands, [VOCAB] = c->vocab, [POSITIONS] = c->positions,         [TEXT_POSITIONS] = c->text_positions,
                        [KERNEL] = 3};
    /* Keys of WhisperModel lack the prefix "model." of WhisperForConditionalGeneration. */
    const char *prefix = weights_find(weights, "encoder.conv1.weight") ? "" : "model.";
    TRY(state_dict_load(ctx, net, network_table, COUNT(network_table), prefix, sizes, weights));
    if (ctx->collects) /* fixed sinusoids, not trained (OpenAI's whisper/model.py) */
        parameters_set_buffer(ctx->collects, &net->encoder_positions);
    /* The output projection shares the token embedding's weights, unless the checkpoint has its own. */
    const char *key = weights_find(weights, "proj_out.weight") ? "proj_out.weight"
                      : *prefix                                ? "model.decoder.embed_tokens.weight"
                                                               : "decoder.embed_tokens.weight";
    TRY(weights_need(ctx, weights, key, 2, (int[]){c->vocab, c->width}, &logits));
    net->tied = ctx->collects != NULL;
    if (net->tied && strcmp(key, "proj_out.weight") == 0)
        TRY(compare_floats(ctx, logits, weights_find(weights, "model.decoder.embed_tokens.weight"), &same));
    if (!same)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has a proj_out.weight that is not its embedding of tokens; clio trains models that share them", weights->path);
    if (!net->tied) {
        TRY(matrix_new(ctx, &net->logits, c->vocab, c->width, MATRIX_FEW, "the model"));
        TRY(matrix_fill(ctx, &net->logits, 0, logits));
    }
    TRY(load_layers(ctx, net, prefix, sizes, weights));
fail:
    if (st)
        whisper_free(ctx, net);
    return st;
}

clio_status whisper_load(clio_context *ctx, struct whisper *net, const char *dir)
{
    clio_status st = CLIO_OK;
    struct json_file config = {0};
    struct weights weights = {0};
    *net = (struct whisper){0};
    TRY(whisper_check(ctx, dir));
    TRY(json_open(ctx, &config, dir, "config.json"));
    TRY(folder_weights(ctx, dir, "model", NULL, &weights));
    TRY(whisper_load_from(ctx, net, &config, &weights));
fail:
    json_close(&config);
    weights_close(&weights);
    return st;
}

void whisper_free(clio_context *ctx, struct whisper *net)
{
    for (int i = 0; net->encoder && i < net->config.encoder_layers; i++)
        state_dict_free(ctx, &net->encoder[i], encoder_table, COUNT(encoder_table));
    for (int i = 0; net->decoder && i < net->config.decoder_layers; i++)
        state_dict_free(ctx, &net->decoder[i], decoder_table, COUNT(decoder_table));
    state_dict_free(ctx, net, network_table, COUNT(network_table));
    matrix_free(ctx, &net->logits);
    free(net->encoder);
    free(net->decoder);
    *net = (struct whisper){0};
}
