/* bert.c - the weights and the forward pass of BERT, over the operations of host/ops. See bert.h. */
#include "bert.h"
#include "../loaders/config.h"
#include "../nn/embedding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table of weights ---- */

enum size { ONE, WIDTH, INNER, VOCAB, POSITIONS, TYPES, SIZES };

#define LINEAR(key, member, rows, columns, part, parts)                                                                                    \
    ROW_LINEAR(transformer_layer, key, member, WEIGHT_MATRIX_MANY, rows, columns, 0, part, parts)
#define TABLE(key, member, rows)                                                                                                           \
    {                                                                                                                                      \
        key, offsetof(struct bert, member), WEIGHT_TABLE, rows, WIDTH, 0, 0, 1, false                                                      \
    }
/* A layer norm by its present names, or those of checkpoints that were made from TensorFlow's. */
#define OLD_NORM(type, key, member)                                                                                                        \
    ROW_VECTOR(type, key ".gamma", member.gamma, WIDTH, 0, 1), ROW_VECTOR(type, key ".beta", member.beta, WIDTH, 0, 1)

static const struct state_dict_row network_table[] = {
    TABLE("embeddings.word_embeddings.weight", embedding, VOCAB),
    TABLE("embeddings.position_embeddings.weight", position_embedding, POSITIONS),
    TABLE("embeddings.token_type_embeddings.weight", type_embedding, TYPES),
};
static const struct state_dict_row norm_table[] = {ROW_NORM(bert, "embeddings.LayerNorm", embedding_norm, WIDTH)};
static const struct state_dict_row old_norm_table[] = {OLD_NORM(bert, "embeddings.LayerNorm", embedding_norm)};

static const struct state_dict_row layer_table[] = {
    LINEAR("attention.self.query", self.qkv, WIDTH, WIDTH, 0, 3), LINEAR("attention.self.key", self.qkv, WIDTH, WIDTH, 1, 3),
    LINEAR("attention.self.value", self.qkv, WIDTH, WIDTH, 2, 3), LINEAR("attention.output.dense", self.out, WIDTH, WIDTH, 0, 1),
    LINEAR("intermediate.dense", ff.fc1, INNER, WIDTH, 0, 1),     LINEAR("output.dense", ff.fc2, WIDTH, INNER, 0, 1),
};
static const struct state_dict_row layer_norm_table[] = {
    ROW_NORM(transformer_layer, "attention.output.LayerNorm", self_norm, WIDTH),
    ROW_NORM(transformer_layer, "output.LayerNorm", ff_norm, WIDTH),
};
static const struct state_dict_row old_layer_norm_table[] = {
    OLD_NORM(transformer_layer, "attention.output.LayerNorm", self_norm),
    OLD_NORM(transformer_layer, "output.LayerNorm", ff_norm),
};

static const struct state_dict_row pooler_table[] = {
    ROW_LINEAR(bert, "pooler.dense", pooler, WEIGHT_MATRIX_MANY, WIDTH, WIDTH, 0, 0, 1),
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
    {"type_vocab_size", NULL},
    {"layer_norm_eps", NULL},
    {"hidden_act", NULL},
    /* without effect: training, storage, the tokenizer, heads that are not read */
    {"architectures", NULL},
    {"attention_probs_dropout_prob", NULL},
    {"bos_token_id", NULL},
    {"classifier_dropout", NULL},
    {"directionality", NULL},
    {"dtype", NULL},
    {"eos_token_id", NULL},
    {"gradient_checkpointing", NULL},
    {"hidden_dropout_prob", NULL},
    {"initializer_range", NULL},
    {"pad_token_id", NULL},
    {"pooler_fc_size", NULL},
    {"pooler_num_attention_heads", NULL},
    {"pooler_num_fc_layers", NULL},
    {"pooler_size_per_head", NULL},
    {"pooler_type", NULL},
    {"tie_word_embeddings", NULL},
    {"torch_dtype", NULL},
    {"transformers_version", NULL},
    {"use_cache", NULL},
    /* only these values */
    {"position_embedding_type", "\"absolute\"|null"},
    {"is_decoder", "false|null"},
    {"add_cross_attention", "false|null"},
    {"quantization_config", "null"},
};

/* Sizes and constants; transformers' default where a field is missing. */
static clio_status read_config(clio_context *ctx, const struct json_file *file, struct bert_config *c)
{
    clio_status st = CLIO_OK;
    TRY(config_check(ctx, file, "BertModel", fields, COUNT(fields)));
    TRY(json_int(ctx, file, "hidden_size", 1, 1 << 14, 768, &c->width));
    TRY(json_int(ctx, file, "intermediate_size", 1, 1 << 17, 3072, &c->inner));
    TRY(json_int(ctx, file, "num_hidden_layers", 1, 1024, 12, &c->layers));
    TRY(json_int(ctx, file, "num_attention_heads", 1, 1 << 10, 12, &c->heads));
    TRY(json_int(ctx, file, "max_position_embeddings", 3, 1 << 16, 512, &c->positions));
    TRY(json_int(ctx, file, "vocab_size", 1, 1 << 22, 30522, &c->vocab));
    TRY(json_int(ctx, file, "type_vocab_size", 1, 1 << 10, 2, &c->types));
    TRY(config_norm_eps(ctx, file, 1e-12, &c->eps));
    TRY(config_check_heads(ctx, file, "hidden_size", c->width, "num_attention_heads", c->heads));
    TRY(config_act(ctx, file, "gelu", &c->act));
fail:
    return st;
}

/* Keys begin with "bert." in checkpoints with a head (BertForMaskedLM). */
static clio_status load_weights(clio_context *ctx, struct bert *net, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    char key[128];
    const struct bert_config *c = &net->config;
    const int sizes[SIZES] = {
        [ONE] = 1, [WIDTH] = c->width, [INNER] = c->inner, [VOCAB] = c->vocab, [POSITIONS] = c->positions, [TYPES] = c->types};
    const char *prefix = weights_find(weights, "bert.embeddings.word_embeddings.weight") ? "bert." : "";
    snprintf(key, sizeof key, "%sembeddings.LayerNorm.gamma", prefix);
    bool old = weights_find(weights, key) != NULL;
    TRY(state_dict_load(ctx, net, network_table, COUNT(network_table), prefix, sizes, weights));
    TRY(state_dict_load(ctx, net, old ? old_norm_table : norm_table, COUNT(norm_table), prefix, sizes, weights));
    TRY(mem_alloc(ctx, &net->layers, (size_t)c->layers, sizeof *net->layers));
    for (int i = 0; i < c->layers; i++) {
        TRY(context_progress(ctx, "loading the text encoder", i, c->layers));
        snprintf(key, sizeof key, "%sencoder.layer.%d.", prefix, i);
        TRY(state_dict_load(ctx, &net->layers[i], layer_table, COUNT(layer_table), key, sizes, weights));
        TRY(state_dict_load(ctx, &net->layers[i], old ? old_layer_norm_table : layer_norm_table, COUNT(layer_norm_table), key, sizes,
                            weights));
    }
    snprintf(key, sizeof key, "%spooler.dense.weight", prefix);
    net->has_pooler = weights_find(weights, key) != NULL;
    if (net->has_pooler)
        TRY(state_dict_load(ctx, net, pooler_table, COUNT(pooler_table), prefix, sizes, weights));
fail:
    return st;
}

clio_status bert_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct bert *net)
{
    clio_status st = CLIO_OK;
    *net = (struct bert){0};
    TRY(mem_string(ctx, &net->path, weights->path));
    TRY(read_config(ctx, config, &net->config));
    TRY(load_weights(ctx, net, weights));
fail:
    if (st)
        bert_free(ctx, net);
    return st;
}

void bert_free(clio_context *ctx, struct bert *net)
{
    for (int i = 0; net->layers && i < net->config.layers; i++) {
        state_dict_free(ctx, &net->layers[i], layer_table, COUNT(layer_table));
        state_dict_free(ctx, &net->layers[i], layer_norm_table, COUNT(layer_norm_table));
    }
    state_dict_free(ctx, net, network_table, COUNT(network_table));
    state_dict_free(ctx, net, norm_table, COUNT(norm_table));
    state_dict_free(ctx, net, pooler_table, COUNT(pooler_table));
    free(net->layers);
    free(net->path);
    *net = (struct bert){0};
}

/* ---- forward ---- */

/* x = norm(word[ids] + position + type[0]) */
static clio_status embed(clio_context *ctx, struct arena *arena, const struct bert *net, const struct tensor *x, const int *token_ids)
{
    clio_status st = CLIO_OK;
    static const int first_type = 0;
    uint64_t mark = arena_mark(arena);
    struct tensor ids = tensor_shape(DTYPE_I32, 2, x->dim[0], x->dim[1], 0, 0);
    struct tensor type = tensor_shape(DTYPE_F32, 2, 1, net->config.width, 0, 0), sum = *x;
    TRY(tensor_take(ctx, arena, &ids));
    TRY(tensor_take(ctx, arena, &type));
    TRY(tensor_take(ctx, arena, &sum));
    TRY(token_ids_write(ctx, &ids, token_ids, net->config.vocab, net->path));
    TRY(op_embed_fwd(ctx, &sum, &net->embedding, &ids, &net->position_embedding, 0));
    TRY(rows_fwd(ctx, arena, &type, &net->type_embedding, &first_type));
    TRY(op_add_fwd(ctx, &sum, &sum, &type, 1, 1));
    TRY(layer_norm_fwd(ctx, x, &sum, &net->embedding_norm, net->config.eps));
fail:
    arena_release(arena, mark);
    return st;
}

/* Whether a text of the batch is shorter than the others. */
static bool is_padded(const struct text_tokens *tokens)
{
    for (int i = 0; tokens->lengths && i < tokens->batch; i++)
        if (tokens->lengths[i] < tokens->length)
            return true;
    return false;
}

clio_status bert_forward(clio_context *ctx, struct arena *arena, const struct bert *net, const struct tensor *states,
                         const struct text_tokens *tokens)
{
    clio_status st = CLIO_OK;
    const struct bert_config *c = &net->config;
    struct transformer_layer_options options = {
        .eps = c->eps, .post_norm = true, .self = {.heads = c->heads, .storage = MATRIX_MANY}, .ff = {.act = c->act}};
    uint64_t mark = arena_mark(arena);
    struct tensor lengths = tensor_shape(DTYPE_I32, 1, tokens->batch, 0, 0, 0), h = *states;
    if (is_padded(tokens)) {
        TRY(tensor_take(ctx, arena, &lengths));
        TRY(tensor_write(ctx, &lengths, 0, (size_t)tokens->batch, tokens->lengths));
        options.self.key_lengths = &lengths;
    }
    TRY(embed(ctx, arena, net, states, tokens->ids));
    TRY(tensor_take(ctx, arena, &h));
    for (int i = 0; i < c->layers; i++)
        TRY(transformer_layer_fwd(ctx, arena, &net->layers[i], &options, states, states, &h));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status bert_pool(clio_context *ctx, struct arena *arena, const struct bert *net, const struct tensor *out, const struct tensor *states)
{
    clio_status st = CLIO_OK;
    int batch = states->dim[0], length = states->dim[1], *rows = NULL;
    uint64_t mark = arena_mark(arena);
    struct tensor first = *out, flat = tensor_reshape(states, 2, batch * length, net->config.width, 0, 0);
    TRY(mem_alloc(ctx, &rows, (size_t)batch, sizeof *rows));
    for (int i = 0; i < batch; i++)
        rows[i] = i * length;
    if (net->has_pooler) {
        TRY(tensor_take(ctx, arena, &first));
        TRY(rows_fwd(ctx, arena, &first, &flat, rows));
        TRY(linear_fwd(ctx, out, &first, &net->pooler, ACT_TANH, NULL));
    } else {
        TRY(rows_fwd(ctx, arena, out, &flat, rows));
    }
fail:
    free(rows);
    arena_release(arena, mark);
    return st;
}
