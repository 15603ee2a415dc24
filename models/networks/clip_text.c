/* clip_text.c - the weights and the forward pass of CLIP's text encoder, over the operations of host/ops.
 * Per layer (pre-norm): x += o(attention(qkv(norm(x)))), causal; x += fc2(act(fc1(norm(x)))). */
#include "clip_text.h"
#include "../loaders/config.h"
#include "../loaders/model_folder.h"
#include "../nn/embedding.h"
#include "../nn/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* eos_token_id in older configurations of SD 2 and OpenAI, although no text ends with it; transformers then takes the greatest id. */
#define LEGACY_END_TOKEN 2

/* ---- the table of weights ---- */

enum size { ONE, WIDTH, INNER, VOCAB, POSITIONS, SIZES };

#define LINEAR(key, member, rows, columns, part, parts)                                                                                    \
    ROW_LINEAR(transformer_layer, key, member, WEIGHT_MATRIX_LARGE, rows, columns, 0, part, parts)

static const struct state_dict_row network_table[] = {
    {"embeddings.token_embedding.weight", offsetof(struct clip_text, embedding), WEIGHT_TABLE_LARGE, VOCAB, WIDTH, 0, 0, 1, false},
    {"embeddings.position_embedding.weight", offsetof(struct clip_text, position_embedding), WEIGHT_TABLE, POSITIONS, WIDTH, 0, 0, 1,
     false},
    ROW_NORM(clip_text, "final_layer_norm", final_norm, WIDTH),
};

static const struct state_dict_row layer_table[] = {
    ROW_NORM(transformer_layer, "layer_norm1", self_norm, WIDTH),
    LINEAR("self_attn.q_proj", self.qkv, WIDTH, WIDTH, 0, 3),
    LINEAR("self_attn.k_proj", self.qkv, WIDTH, WIDTH, 1, 3),
    LINEAR("self_attn.v_proj", self.qkv, WIDTH, WIDTH, 2, 3),
    LINEAR("self_attn.out_proj", self.out, WIDTH, WIDTH, 0, 1),
    ROW_NORM(transformer_layer, "layer_norm2", ff_norm, WIDTH),
    LINEAR("mlp.fc1", ff.fc1, INNER, WIDTH, 0, 1),
    LINEAR("mlp.fc2", ff.fc2, WIDTH, INNER, 0, 1),
};

/* ---- loading ---- */

static const struct field fields[] = {
    /* read below */
    {"model_type", NULL},
    {"hidden_size", NULL},
    {"intermediate_size", NULL},
    {"num_hidden_layers", NULL},
    {"num_attention_heads", NULL},
    {"max_position_embeddings", NULL},
    {"vocab_size", NULL},
    {"eos_token_id", NULL},
    {"layer_norm_eps", NULL},
    {"hidden_act", NULL},
    /* without effect: training, storage, the tokenizer */
    {"architectures", NULL},
    {"attention_dropout", NULL},
    {"bos_token_id", NULL},
    {"dropout", NULL},
    {"dtype", NULL},
    {"gradient_checkpointing", NULL},
    {"initializer_factor", NULL},
    {"initializer_range", NULL},
    {"pad_token_id", NULL},
    {"projection_dim", NULL},
    {"tie_word_embeddings", NULL},
    {"torch_dtype", NULL},
    {"transformers_version", NULL},
    {"use_cache", NULL},
    /* only these values */
    {"use_attention_mask", "false|null"},
    {"quantization_config", "null"},
};

/* Sizes and constants; transformers' default where a field is missing. */
static clio_status read_fields(clio_context *ctx, struct clip_text_config *c, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    TRY(json_int(ctx, file, "hidden_size", 1, 1 << 14, 512, &c->width));
    TRY(json_int(ctx, file, "intermediate_size", 1, 1 << 17, 2048, &c->inner));
    TRY(json_int(ctx, file, "num_hidden_layers", 1, 1024, 12, &c->layers));
    TRY(json_int(ctx, file, "num_attention_heads", 1, 1 << 10, 8, &c->heads));
    TRY(json_int(ctx, file, "max_position_embeddings", 3, 1 << 14, 77, &c->positions));
    TRY(json_int(ctx, file, "vocab_size", 1, 1 << 22, 49408, &c->vocab));
    TRY(json_int(ctx, file, "eos_token_id", 0, 1 << 22, 49407, &c->end_token));
    TRY(config_norm_eps(ctx, file, 1e-5, &c->eps));
    TRY(config_check_heads(ctx, file, "hidden_size", c->width, "num_attention_heads", c->heads));
    TRY(config_act(ctx, file, "quick_gelu", &c->act));
fail:
    return st;
}

clio_status clip_text_read_config(clio_context *ctx, const struct json_file *file, struct clip_text_config *c)
{
    clio_status st = CLIO_OK;
    struct json_file part = *file;
    const char *type;
    *c = (struct clip_text_config){0};
    TRY(json_text(ctx, file, "model_type", NULL, &type));
    if (!strcmp(type, "clip")) { /* text and image model: the text model's configuration is nested */
        part.root = json_object_get(file->root, "text_config");
        if (!json_is_object(part.root))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the key \"text_config\" is missing: check that the file belongs to this model", file->path);
    } else if (strcmp(type, "clip_text_model") != 0) {
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s describes a model of type %.40s; the text encoder of a Stable Diffusion folder is a CLIP checkpoint (model_type "
             "clip_text_model)",
             file->path, type);
    } else {
        TRY(config_check(ctx, file, "CLIPTextModel", fields, COUNT(fields)));
    }
    TRY(read_fields(ctx, c, &part));
fail:
    return st;
}

static clio_status load_projection(clio_context *ctx, struct clip_text *net, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    const struct weight *w = weights_find(weights, "text_projection.weight");
    if (!w || w->problem || w->ndim != 2)
        return CLIO_OK;
    int dim[] = {w->dim[0], net->config.width};
    net->config.projection = dim[0];
    TRY(weights_need(ctx, weights, "text_projection.weight", 2, dim, &w));
    TRY(matrix_new(ctx, &net->projection, dim[0], dim[1], ctx->collects ? MATRIX_EXACT : MATRIX_LARGE, "the text encoder"));
    TRY(matrix_fill(ctx, &net->projection, 0, w));
    if (ctx->collects) /* not trained, since the loss does not depend on it; saved as it was read */
        TRY(parameters_add(ctx, ctx->collects, "text_projection.weight", 2, dim, &net->projection.data, &net->projection, false, false));
fail:
    return st;
}

clio_status clip_text_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct clip_text *net)
{
    clio_status st = CLIO_OK;
    char key[128];
    *net = (struct clip_text){0};
    struct clip_text_config *c = &net->config;
    TRY(mem_string(ctx, &net->path, weights->path));
    TRY(clip_text_read_config(ctx, config, c));
    int sizes[SIZES] = {[ONE] = 1, [WIDTH] = c->width, [INNER] = c->inner, [VOCAB] = c->vocab, [POSITIONS] = c->positions};
    /* transformers 5 writes a text encoder's keys without this prefix. */
    const char *prefix = weights_find(weights, "embeddings.token_embedding.weight") ? "" : "text_model.";
    TRY(state_dict_load(ctx, net, network_table, COUNT(network_table), prefix, sizes, weights));
    TRY(mem_alloc(ctx, &net->layers, (size_t)c->layers, sizeof *net->layers));
    for (int i = 0; i < c->layers; i++) {
        TRY(context_progress(ctx, "loading the text encoder", i, c->layers));
        snprintf(key, sizeof key, "%sencoder.layers.%d.", prefix, i);
        TRY(state_dict_load(ctx, &net->layers[i], layer_table, COUNT(layer_table), key, sizes, weights));
    }
    TRY(load_projection(ctx, net, weights));
fail:
    if (st)
        clip_text_free(ctx, net);
    return st;
}

clio_status clip_text_open(clio_context *ctx, const char *dir, const char *variant, struct clip_text *net)
{
    clio_status st = CLIO_OK;
    struct json_file config = {0};
    struct weights weights = {0};
    *net = (struct clip_text){0};
    TRY(json_open(ctx, &config, dir, "config.json"));
    TRY(folder_weights(ctx, dir, "model", variant, &weights));
    TRY(clip_text_load(ctx, &config, &weights, net));
fail:
    weights_close(&weights);
    json_close(&config);
    return st;
}

void clip_text_free(clio_context *ctx, struct clip_text *net)
{
    for (int i = 0; net->layers && i < net->config.layers; i++)
        state_dict_free(ctx, &net->layers[i], layer_table, COUNT(layer_table));
    state_dict_free(ctx, net, network_table, COUNT(network_table));
    matrix_free(ctx, &net->projection);
    free(net->layers);
    free(net->path);
    *net = (struct clip_text){0};
}

/* ---- forward ---- */

/* ids i32 [B, T] -> out f32 [B, T, width] */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct clip_text *net, const struct tensor *out,
                           const struct tensor *ids, int skip)
{
    clio_status st = CLIO_OK;
    const struct clip_text_config *c = &net->config;
    int batch = ids->dim[0], length = ids->dim[1];
    struct transformer_layer_options options = {
        .eps = c->eps, .self = {.heads = c->heads, .causal = true, .storage = MATRIX_LARGE}, .ff = {.act = c->act}};
    uint64_t mark = arena_mark(arena);
    struct tensor x = tensor_shape(DTYPE_F32, 3, batch, length, c->width, 0);
    if (skip < 0 || skip >= c->layers)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%d layers of the text encoder cannot be skipped, since %s has %d: skip 0 to %d", skip, net->path,
             c->layers, c->layers - 1);
    if (length > c->positions)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "clip text encoder: %d tokens, and it has %d positions", length, c->positions);
    TRY(op_check(ctx, "clip text encoder", "out", out, DTYPE_F32, 3, batch, length, c->width, 0));
    TRY(tensor_take(ctx, arena, &x));
    TRY(op_embed_fwd(ctx, &x, &net->embedding, ids, &net->position_embedding, 0));
    for (int i = 0; i < c->layers - skip; i++)
        TRY(transformer_layer_fwd(ctx, arena, &net->layers[i], &options, &x, &x, out));
    TRY(layer_norm_fwd(ctx, out, &x, &net->final_norm, c->eps));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status clip_text_forward(clio_context *ctx, struct arena *arena, const struct clip_text *net, const struct tensor *out, const int *ids,
                              int skip)
{
    clio_status st = CLIO_OK;
    struct tensor on_device = tensor_shape(DTYPE_I32, 2, out->dim[0], out->dim[1], 0, 0);
    uint64_t mark = arena_mark(arena);
    TRY(tensor_take(ctx, arena, &on_device));
    TRY(token_ids_write(ctx, &on_device, ids, net->config.vocab, net->path));
    TRY(forward(ctx, arena, net, out, &on_device, skip));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status clip_text_encode(clio_context *ctx, const struct clip_text *net, const struct tensor *out, const int *ids, int skip)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    struct tensor on_device = tensor_shape(DTYPE_I32, 2, out->dim[0], out->dim[1], 0, 0);
    TRY(tensor_new(ctx, &on_device, "the prompt"));
    TRY(token_ids_write(ctx, &on_device, ids, net->config.vocab, net->path));
    ctx->planning = true;
    st = forward(ctx, &arena, net, out, &on_device, skip);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &arena, "the text encoder"));
    TRY(forward(ctx, &arena, net, out, &on_device, skip));
fail:
    arena_free(ctx, &arena);
    tensor_free(ctx, &on_device);
    return st;
}

/* Position of the end token, as transformers' CLIPTextTransformer.forward finds it: the first eos_token_id; with the legacy number, the
 * first of the greatest ids. 0 for a text without one. */
static int find_end(const struct clip_text_config *c, const int *ids, int length)
{
    int at = 0;
    for (int i = 0; i < length; i++) {
        if (c->end_token != LEGACY_END_TOKEN && ids[i] == c->end_token)
            return i;
        if (c->end_token == LEGACY_END_TOKEN && ids[i] > ids[at])
            at = i;
    }
    return at;
}

/* out = rows [B] of `states` f32 [B T, width]; projected: through text_projection */
static clio_status pool(clio_context *ctx, struct arena *arena, const struct clip_text *net, const struct tensor *out,
                        const struct tensor *states, const int *rows, bool projected)
{
    clio_status st = CLIO_OK;
    int batch = out->dim[0];
    uint64_t mark = arena_mark(arena);
    struct tensor end = tensor_shape(DTYPE_F32, 2, batch, net->config.width, 0, 0);
    if (!projected)
        return rows_fwd(ctx, arena, out, states, rows);
    TRY(tensor_take(ctx, arena, &end));
    TRY(rows_fwd(ctx, arena, &end, states, rows));
    TRY(op_gemm_fwd(ctx, out, &end, &net->projection, batch, NULL));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status clip_text_pool(clio_context *ctx, struct arena *arena, const struct clip_text *net, const struct tensor *out,
                           const struct tensor *hidden, const int *ids, bool projected)
{
    clio_status st = CLIO_OK;
    const struct clip_text_config *c = &net->config;
    int batch = hidden->dim[0], length = hidden->dim[1], *rows = NULL;
    struct tensor states = tensor_reshape(hidden, 2, batch * length, c->width, 0, 0);
    struct arena own = {0};
    arena_grow(ctx, &own);
    if (projected && !c->projection)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has no text_projection: use a CLIP checkpoint that compares texts with images", net->path);
    TRY(op_check(ctx, "clip text pool", "hidden", hidden, DTYPE_F32, 3, batch, length, c->width, 0));
    TRY(op_check(ctx, "clip text pool", "out", out, DTYPE_F32, 2, batch, projected ? c->projection : c->width, 0, 0));
    TRY(mem_alloc(ctx, &rows, (size_t)batch, sizeof *rows));
    for (int i = 0; i < batch; i++)
        rows[i] = i * length + find_end(c, ids + (size_t)i * (size_t)length, length);
    TRY(pool(ctx, arena ? arena : &own, net, out, &states, rows, projected));
fail:
    free(rows);
    arena_free(ctx, &own);
    return st;
}
