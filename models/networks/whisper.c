/* whisper.c - Whisper's weights and its forward passes, over the operations of host/ops. */
#include "whisper.h"
#include "../../host/core/json.h"
#include "../nn/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NORM_EPSILON 1e-5f

/* ---- the table of weights ---- */

enum size { ONE, WIDTH, ENCODER_INNER, DECODER_INNER, BANDS, VOCAB, POSITIONS, TEXT_POSITIONS, TAPS, SIZES };

#define AT(type, member) offsetof(struct type, member)
#define VECTOR(type, key, member, rows)                                                                                                    \
    {                                                                                                                                      \
        key, AT(type, member), NETWORK_VECTOR, rows, ONE, 0, 0, 1, false                                                                   \
    }
#define NORM(type, key, member) VECTOR(type, key ".weight", member.gamma, WIDTH), VECTOR(type, key ".bias", member.beta, WIDTH)
#define LINEAR(type, key, member, kind, rows, columns)                                                                                     \
    {key ".weight", AT(type, member), kind, rows, columns, 0, 0, 1, false}, VECTOR(type, key ".bias", member##_bias, rows)
#define PART(type, key, member, kind, part, parts)                                                                                         \
    {key ".weight", AT(type, member), kind, WIDTH, WIDTH, 0, part, parts, false},                                                          \
    {                                                                                                                                      \
        key ".bias", AT(type, member##_bias), NETWORK_VECTOR, WIDTH, ONE, 0, part, parts, true                                             \
    }
#define CONVOLUTION(key, member, columns)                                                                                                  \
    {key ".weight", AT(whisper, member), NETWORK_MATRIX_MANY, WIDTH, columns, TAPS, 0, 1, false},                                          \
        VECTOR(whisper, key ".bias", member##_bias, WIDTH)

static const struct network_row network_table[] = {
    CONVOLUTION("encoder.conv1", conv1, BANDS),
    CONVOLUTION("encoder.conv2", conv2, WIDTH),
    {"encoder.embed_positions.weight", AT(whisper, encoder_positions), NETWORK_TABLE, POSITIONS, WIDTH, 0, 0, 1, false},
    NORM(whisper, "encoder.layer_norm", encoder_norm),
    {"decoder.embed_tokens.weight", AT(whisper, embedding), NETWORK_TABLE_F16, VOCAB, WIDTH, 0, 0, 1, false},
    {"decoder.embed_positions.weight", AT(whisper, text_positions), NETWORK_TABLE, TEXT_POSITIONS, WIDTH, 0, 0, 1, false},
    NORM(whisper, "decoder.layer_norm", decoder_norm),
};

#define E(key, member, rows, columns) LINEAR(whisper_encoder_layer, key, member, NETWORK_MATRIX_MANY, rows, columns)
static const struct network_row encoder_table[] = {
    NORM(whisper_encoder_layer, "self_attn_layer_norm", attention_norm),
    PART(whisper_encoder_layer, "self_attn.q_proj", qkv, NETWORK_MATRIX_MANY, 0, 3),
    PART(whisper_encoder_layer, "self_attn.k_proj", qkv, NETWORK_MATRIX_MANY, 1, 3),
    PART(whisper_encoder_layer, "self_attn.v_proj", qkv, NETWORK_MATRIX_MANY, 2, 3),
    E("self_attn.out_proj", o, WIDTH, WIDTH),
    NORM(whisper_encoder_layer, "final_layer_norm", inner_norm),
    E("fc1", fc1, ENCODER_INNER, WIDTH),
    E("fc2", fc2, WIDTH, ENCODER_INNER),
};

#define D(key, member, rows, columns) LINEAR(whisper_decoder_layer, key, member, NETWORK_MATRIX_FEW, rows, columns)
static const struct network_row decoder_table[] = {
    NORM(whisper_decoder_layer, "self_attn_layer_norm", attention_norm),
    PART(whisper_decoder_layer, "self_attn.q_proj", qkv, NETWORK_MATRIX_FEW, 0, 3),
    PART(whisper_decoder_layer, "self_attn.k_proj", qkv, NETWORK_MATRIX_FEW, 1, 3),
    PART(whisper_decoder_layer, "self_attn.v_proj", qkv, NETWORK_MATRIX_FEW, 2, 3),
    D("self_attn.out_proj", o, WIDTH, WIDTH),
    NORM(whisper_decoder_layer, "encoder_attn_layer_norm", cross_norm),
    D("encoder_attn.q_proj", cross_q, WIDTH, WIDTH),
    PART(whisper_decoder_layer, "encoder_attn.k_proj", cross_kv, NETWORK_MATRIX_MANY, 0, 2), /* these two meet all of a window at once */
    PART(whisper_decoder_layer, "encoder_attn.v_proj", cross_kv, NETWORK_MATRIX_MANY, 1, 2),
    D("encoder_attn.out_proj", cross_o, WIDTH, WIDTH),
    NORM(whisper_decoder_layer, "final_layer_norm", inner_norm),
    D("fc1", fc1, DECODER_INNER, WIDTH),
    D("fc2", fc2, WIDTH, DECODER_INNER),
};

static clio_status check_heads(clio_context *ctx, const struct json_file *file, const char *key, int width, int heads)
{
    clio_status st = CLIO_OK;
    if (width % heads)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %d columns (d_model) cannot be shared by %d heads (%s); the file is damaged, download it again",
             file->path, width, heads, key);
fail:
    return st;
}

static clio_status read_config(clio_context *ctx, struct whisper_config *c, const char *dir)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    const char *type, *activation;
    bool scale;
    TRY(json_open(ctx, &file, dir, "config.json"));
    TRY(json_text(ctx, &file, "model_type", NULL, &type));
    if (strcmp(type, "whisper") != 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s describes a model of type %s; transcription needs a Whisper checkpoint (model_type whisper)",
             file.path, type);
    TRY(json_text(ctx, &file, "activation_function", "gelu", &activation));
    TRY(json_bool(ctx, &file, "scale_embedding", false, &scale));
    if (strcmp(activation, "gelu") != 0 || scale)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s asks for activation_function %s%s; clio runs Whisper with gelu and unscaled embeddings only",
             file.path, activation, scale ? " and scale_embedding" : "");
    TRY(json_int(ctx, &file, "d_model", 1, 1 << 14, 0, &c->width));
    TRY(json_int(ctx, &file, "num_mel_bins", 1, 201, 80, &c->bands));
    TRY(json_int(ctx, &file, "vocab_size", 1, 1 << 22, 0, &c->vocab));
    TRY(json_int(ctx, &file, "max_source_positions", 1, 1500, 1500, &c->positions));
    TRY(json_int(ctx, &file, "max_target_positions", 8, 1 << 14, 448, &c->text_positions));
    TRY(json_int(ctx, &file, "encoder_layers", 1, 1024, 0, &c->encoder_layers));
    TRY(json_int(ctx, &file, "encoder_attention_heads", 1, 1 << 10, 0, &c->encoder_heads));
    TRY(json_int(ctx, &file, "encoder_ffn_dim", 1, 1 << 17, 0, &c->encoder_inner));
    TRY(json_int(ctx, &file, "decoder_layers", 1, 1024, 0, &c->decoder_layers));
    TRY(json_int(ctx, &file, "decoder_attention_heads", 1, 1 << 10, 0, &c->decoder_heads));
    TRY(json_int(ctx, &file, "decoder_ffn_dim", 1, 1 << 17, 0, &c->decoder_inner));
    TRY(check_heads(ctx, &file, "encoder_attention_heads", c->width, c->encoder_heads));
    TRY(check_heads(ctx, &file, "decoder_attention_heads", c->width, c->decoder_heads));
fail:
    json_close(&file);
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
        TRY(network_load(ctx, &net->encoder[i], encoder_table, COUNT(encoder_table), key, sizes, weights));
    }
    for (int i = 0; i < c->decoder_layers; i++) {
        TRY(context_progress(ctx, "loading the model", c->encoder_layers + i, all));
        snprintf(key, sizeof key, "%sdecoder.layers.%d.", prefix, i);
        TRY(network_load(ctx, &net->decoder[i], decoder_table, COUNT(decoder_table), key, sizes, weights));
    }
fail:
    return st;
}

static bool same_floats(const struct weight *a, const struct weight *b)
{
    enum { AT_ONCE = 1024 };
    float x[AT_ONCE], y[AT_ONCE];
    if (!b || a->count != b->count)
        return false;
    for (size_t at = 0; at < a->count; at += AT_ONCE) {
        size_t n = MIN(a->count - at, (size_t)AT_ONCE);
        weight_floats(a, at, n, x);
        weight_floats(b, at, n, y);
        if (memcmp(x, y, n * sizeof *x) != 0)
            return false;
    }
    return true;
}

clio_status whisper_load(clio_context *ctx, struct whisper *net, const char *dir)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    const struct weight *logits;
    *net = (struct whisper){0};
    struct whisper_config *c = &net->config;
    TRY(read_config(ctx, c, dir));
    TRY(weights_open(ctx, &weights, dir, "model"));
    int sizes[SIZES] = {[ONE] = 1,          [WIDTH] = c->width, [ENCODER_INNER] = c->encoder_inner, [DECODER_INNER] = c->decoder_inner,
                        [BANDS] = c->bands, [VOCAB] = c->vocab, [POSITIONS] = c->positions,         [TEXT_POSITIONS] = c->text_positions,
                        [TAPS] = 3};
    /* WhisperModel's keys lack the "model." of WhisperForConditionalGeneration's. */
    const char *prefix = weights_find(&weights, "encoder.conv1.weight") ? "" : "model.";
    TRY(network_load(ctx, net, network_table, COUNT(network_table), prefix, sizes, &weights));
    if (ctx->collects) /* sines: a table that does not learn (OpenAI, whisper/model.py) */
        parameters_still(ctx->collects, &net->encoder_positions);
    /* The output product shares the embedding's weights, unless the folder has its own. */
    const char *key = weights_find(&weights, "proj_out.weight") ? "proj_out.weight"
                      : *prefix                                 ? "model.decoder.embed_tokens.weight"
                                                                : "decoder.embed_tokens.weight";
    TRY(weights_need(ctx, &weights, key, 2, (int[]){c->vocab, c->width}, &logits));
    net->tied = ctx->collects != NULL;
    if (net->tied && strcmp(key, "proj_out.weight") == 0 &&
        !same_floats(logits, weights_find(&weights, "model.decoder.embed_tokens.weight")))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has a proj_out.weight that is not its embedding of tokens; clio trains models that share them", weights.path);
    if (!net->tied) {
        TRY(matrix_new(ctx, &net->logits, c->vocab, c->width, MATRIX_FEW, "the model"));
        TRY(matrix_fill(ctx, &net->logits, 0, logits));
    }
    TRY(load_layers(ctx, net, prefix, sizes, &weights));
fail:
    weights_close(&weights);
    if (st)
        whisper_free(ctx, net);
    return st;
}

void whisper_free(clio_context *ctx, struct whisper *net)
{
    for (int i = 0; net->encoder && i < net->config.encoder_layers; i++)
        network_free(ctx, &net->encoder[i], encoder_table, COUNT(encoder_table));
    for (int i = 0; net->decoder && i < net->config.decoder_layers; i++)
        network_free(ctx, &net->decoder[i], decoder_table, COUNT(decoder_table));
    network_free(ctx, net, network_table, COUNT(network_table));
    matrix_free(ctx, &net->logits);
    free(net->encoder);
    free(net->decoder);
    *net = (struct whisper){0};
}

clio_status whisper_state_new(clio_context *ctx, struct whisper_state *state, const struct whisper *net, int batch)
{
    clio_status st = CLIO_OK;
    const struct whisper_config *c = &net->config;
    int head_dim = c->width / c->decoder_heads;
    *state = (struct whisper_state){.batch = batch};
    TRY(mem_alloc(ctx, &state->self, (size_t)c->decoder_layers, sizeof *state->self));
    TRY(mem_alloc(ctx, &state->cross, (size_t)c->decoder_layers, sizeof *state->cross));
    for (int i = 0; i < c->decoder_layers; i++) {
        TRY(attention_cache_new(ctx, NULL, &state->self[i], batch, c->decoder_heads, head_dim, c->text_positions, MATRIX_FEW, "decoding"));
        TRY(attention_cache_new(ctx, NULL, &state->cross[i], batch, c->decoder_heads, head_dim, c->positions, MATRIX_FEW, "decoding"));
    }
fail:
    if (st)
        whisper_state_free(ctx, state, net);
    return st;
}

void whisper_state_free(clio_context *ctx, struct whisper_state *state, const struct whisper *net)
{
    for (int i = 0; i < net->config.decoder_layers; i++) {
        if (state->self)
            attention_cache_free(ctx, &state->self[i]);
        if (state->cross)
            attention_cache_free(ctx, &state->cross[i]);
    }
    free(state->self);
    free(state->cross);
    *state = (struct whisper_state){0};
}

static clio_status swap_rows(clio_context *ctx, struct arena *arena, const struct tensor *t, int a, int b)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    size_t row = tensor_count(t) / (size_t)t->dim[0];
    struct tensor spare = tensor_shape(t->dtype, 3, t->dim[1], t->dim[2], t->dim[3], 0);
    TRY(tensor_take(ctx, arena, &spare));
    TRY(tensor_copy(ctx, &spare, 0, t, (size_t)a * row, row));
    TRY(tensor_copy(ctx, t, (size_t)a * row, t, (size_t)b * row, row));
    TRY(tensor_copy(ctx, t, (size_t)b * row, &spare, 0, row));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status whisper_state_swap(clio_context *ctx, struct arena *arena, const struct whisper_state *state, const struct whisper *net, int a,
                               int b)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < net->config.decoder_layers; i++) {
        const struct tensor *all[] = {&state->self[i].k, &state->self[i].v, &state->cross[i].k, &state->cross[i].v};
        for (size_t k = 0; k < COUNT(all); k++)
            TRY(swap_rows(ctx, arena, all[k], a, b));
    }
fail:
    return st;
}

/* ---- forward ---- */

static clio_status norm(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct whisper_norm *n)
{
    return op_layer_norm_fwd(ctx, out, in, &n->gamma, &n->beta, NORM_EPSILON);
}

/* out[rows, n] = act(in w + bias) + residual, over all but the last dimension of in. */
static clio_status linear(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                          const struct tensor *bias, int act, const struct tensor *residual)
{
    struct gemm_epilogue e = {.bias = bias, .act = act, .residual = residual};
    return op_gemm_fwd(ctx, out, in, w, (int)(tensor_count(in) / (size_t)w->k), &e);
}

/* x += fc2(gelu(fc1(norm(x)))); h is scratch of x's shape */
static clio_status feed_forward(clio_context *ctx, struct arena *arena, const struct tensor *x, const struct tensor *h,
                                const struct whisper_norm *n, const struct matrix *fc1, const struct tensor *fc1_bias,
                                const struct matrix *fc2, const struct tensor *fc2_bias)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor inner = tensor_shape(DTYPE_F32, 3, x->dim[0], x->dim[1], fc1->n, 0);
    TRY(tensor_take(ctx, arena, &inner));
    TRY(norm(ctx, h, x, n));
    TRY(linear(ctx, &inner, h, fc1, fc1_bias, ACT_GELU, NULL));
    TRY(linear(ctx, x, &inner, fc2, fc2_bias, ACT_NONE, x));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status encoder_layer(clio_context *ctx, struct arena *arena, const struct whisper_encoder_layer *layer, const struct tensor *x,
                                 const struct tensor *h, int heads)
{
    clio_status st = CLIO_OK;
    int batch = x->dim[0], length = x->dim[1], width = x->dim[2];
    uint64_t mark = arena_mark(arena);
    struct tensor qkv = tensor_shape(DTYPE_F32, 3, batch, length, 3 * width, 0);
    struct attention_cache cache;
    TRY(tensor_take(ctx, arena, &qkv));
    TRY(attention_cache_new(ctx, arena, &cache, batch, heads, width / heads, length, MATRIX_MANY, "the encoder"));
    TRY(norm(ctx, h, x, &layer->attention_norm));
    TRY(linear(ctx, &qkv, h, &layer->qkv, &layer->qkv_bias, ACT_NONE, NULL));
    TRY(op_attention_store(
        ctx, &cache, &qkv, &qkv,
        (struct attention_store_args){.rows = length, .ldk = 3 * width, .k_offset = width, .ldv = 3 * width, .v_offset = 2 * width}));
    TRY(op_attention_fwd(ctx, arena, h, &qkv, &cache,
                         (struct attention_args){.queries = length, .keys = length, .ldq = 3 * width, .ldo = width}));
    TRY(linear(ctx, x, h, &layer->o, &layer->o_bias, ACT_NONE, x));
    arena_release(arena, mark);
    TRY(feed_forward(ctx, arena, x, h, &layer->inner_norm, &layer->fc1, &layer->fc1_bias, &layer->fc2, &layer->fc2_bias));
fail:
    arena_release(arena, mark);
    return st;
}

struct layer_user {
    const struct whisper_encoder_layer *layer;
    int heads;
};

/* A layer for tape_checkpoint. The decoder's are none: a text is short beside a window of sound, and they read a cache that was filled
 * before. */
static clio_status encoder_block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out,
                                 const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct layer_user *u = user;
    uint64_t mark = arena_mark(arena);
    struct tensor h = *in;
    TRY(tensor_take(ctx, arena, &h));
    TRY(op_add_fwd(ctx, out, in, in, 1, 0)); /* a layer works in place, and its input is kept */
    TRY(encoder_layer(ctx, arena, u->layer, out, &h, u->heads));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status encoder_layers(clio_context *ctx, struct arena *arena, const struct whisper *net, struct tensor *x,
                                  const struct tensor *h)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < net->config.encoder_layers; i++) {
        struct layer_user u = {.layer = &net->encoder[i], .heads = net->config.encoder_heads};
        struct tensor next = *x;
        if (!net->recompute || !ctx->tape) {
            TRY(encoder_layer(ctx, arena, u.layer, x, h, u.heads));
            continue;
        }
        TRY(tensor_take(ctx, arena, &next));
        TRY(tape_checkpoint(ctx, arena, encoder_block, &u, sizeof u, &next, x, 1));
        *x = next;
    }
fail:
    return st;
}

clio_status whisper_encode(clio_context *ctx, struct arena *arena, const struct whisper *net, const struct tensor *out,
                           const struct tensor *mel)
{
    clio_status st = CLIO_OK;
    const struct whisper_config *c = &net->config;
    int batch = mel->dim[0];
    uint64_t mark = arena_mark(arena);
    struct tensor x = tensor_shape(DTYPE_F32, 3, batch, c->positions, c->width, 0);
    struct tensor wide = tensor_shape(DTYPE_F32, 3, batch, 2 * c->positions, c->width, 0), h = *out;
    struct gemm_epilogue first = {.bias = &net->conv1_bias, .act = ACT_GELU}, second = {.bias = &net->conv2_bias, .act = ACT_GELU};
    TRY(op_check(ctx, "whisper encoder", "mel", mel, DTYPE_F32, 3, -1, 2 * c->positions, c->bands, 0));
    TRY(op_check(ctx, "whisper encoder", "out", out, DTYPE_F32, 3, batch, c->positions, c->width, 0));
    TRY(tensor_take(ctx, arena, &x));
    uint64_t inside = arena_mark(arena);
    TRY(tensor_take(ctx, arena, &wide));
    TRY(op_conv1d_fwd(ctx, arena, &wide, mel, &net->conv1, 3, 1, 1, &first));
    TRY(op_conv1d_fwd(ctx, arena, &x, &wide, &net->conv2, 3, 2, 1, &second));
    arena_release(arena, inside);
    TRY(op_add_fwd(ctx, &x, &x, &net->encoder_positions, 1, 1));
    TRY(encoder_layers(ctx, arena, net, &x, &h));
    TRY(norm(ctx, out, &x, &net->encoder_norm));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status whisper_attend_to(clio_context *ctx, struct arena *arena, const struct whisper *net, struct whisper_state *state,
                              const struct tensor *encoded, int first)
{
    clio_status st = CLIO_OK;
    int width = net->config.width, length = net->config.positions;
    uint64_t mark = arena_mark(arena);
    struct tensor kv = tensor_shape(DTYPE_F32, 3, encoded->dim[0], length, 2 * width, 0);
    TRY(tensor_take(ctx, arena, &kv));
    for (int i = 0; i < net->config.decoder_layers; i++) {
        const struct whisper_decoder_layer *layer = &net->decoder[i];
        TRY(linear(ctx, &kv, encoded, &layer->cross_kv, &layer->cross_kv_bias, ACT_NONE, NULL));
        TRY(op_attention_store(
            ctx, &state->cross[i], &kv, &kv,
            (struct attention_store_args){
                .batch = encoded->dim[0], .first = first, .rows = length, .ldk = 2 * width, .ldv = 2 * width, .v_offset = width}));
    }
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status decoder_layer(clio_context *ctx, struct arena *arena, const struct whisper_decoder_layer *layer,
                                 struct attention_cache *self, const struct attention_cache *cross, const struct tensor *x,
                                 const struct tensor *h, int first, int position, int source)
{
    clio_status st = CLIO_OK;
    int batch = x->dim[0], length = x->dim[1], width = x->dim[2];
    uint64_t mark = arena_mark(arena);
    struct tensor qkv = tensor_shape(DTYPE_F32, 3, batch, length, 3 * width, 0), q = tensor_shape(DTYPE_F32, 3, batch, length, width, 0);
    TRY(tensor_take(ctx, arena, &qkv));
    TRY(tensor_take(ctx, arena, &q));
    TRY(norm(ctx, h, x, &layer->attention_norm));
    TRY(linear(ctx, &qkv, h, &layer->qkv, &layer->qkv_bias, ACT_NONE, NULL));
    TRY(op_attention_store(ctx, self, &qkv, &qkv,
                           (struct attention_store_args){.batch = batch,
                                                         .first = first,
                                                         .rows = length,
                                                         .position = position,
                                                         .ldk = 3 * width,
                                                         .k_offset = width,
                                                         .ldv = 3 * width,
                                                         .v_offset = 2 * width}));
    TRY(op_attention_fwd(ctx, arena, h, &qkv, self,
                         (struct attention_args){.batch = batch,
                                                 .first = first,
                                                 .queries = length,
                                                 .keys = position + length,
                                                 .position = position,
                                                 .causal = 1,
                                                 .ldq = 3 * width,
                                                 .ldo = width}));
    TRY(linear(ctx, x, h, &layer->o, &layer->o_bias, ACT_NONE, x));
    TRY(norm(ctx, h, x, &layer->cross_norm));
    TRY(linear(ctx, &q, h, &layer->cross_q, &layer->cross_q_bias, ACT_NONE, NULL));
    TRY(op_attention_fwd(
        ctx, arena, h, &q, cross,
        (struct attention_args){.batch = batch, .first = first, .queries = length, .keys = source, .ldq = width, .ldo = width}));
    TRY(linear(ctx, x, h, &layer->cross_o, &layer->cross_o_bias, ACT_NONE, x));
    TRY(feed_forward(ctx, arena, x, h, &layer->inner_norm, &layer->fc1, &layer->fc1_bias, &layer->fc2, &layer->fc2_bias));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status whisper_decode(clio_context *ctx, struct arena *arena, const struct whisper *net, struct whisper_state *state,
                           const struct tensor *hidden, const struct tensor *ids, int first, int position)
{
    clio_status st = CLIO_OK;
    const struct whisper_config *c = &net->config;
    int batch = ids->dim[0], length = ids->dim[1];
    uint64_t mark = arena_mark(arena);
    struct tensor x = tensor_shape(DTYPE_F32, 3, batch, length, c->width, 0);
    TRY(op_check(ctx, "whisper decoder", "hidden", hidden, DTYPE_F32, 3, batch, length, c->width, 0));
    TRY(tensor_take(ctx, arena, &x));
    TRY(op_embed_fwd(ctx, &x, &net->embedding, ids, &net->text_positions, position));
    for (int i = 0; i < c->decoder_layers; i++)
        TRY(decoder_layer(ctx, arena, &net->decoder[i], &state->self[i], &state->cross[i], &x, hidden, first, position, c->positions));
    TRY(norm(ctx, hidden, &x, &net->decoder_norm));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status whisper_logits(clio_context *ctx, const struct whisper *net, const struct tensor *logits, const struct tensor *hidden, int at)
{
    int width = net->config.width;
    struct gemm_epilogue e = {.a_offset = at * width, .lda = hidden->dim[1] * width};
    return op_gemm_fwd(ctx, logits, hidden, &net->logits, hidden->dim[0], &e);
}

clio_status whisper_all_logits(clio_context *ctx, const struct whisper *net, const struct tensor *logits, const struct tensor *hidden)
{
    clio_status st = CLIO_OK;
    const struct whisper_config *c = &net->config;
    int rows = hidden->dim[0] * hidden->dim[1];
    struct tensor a = tensor_reshape(hidden, 3, 1, rows, c->width, 0), b = tensor_reshape(&net->embedding, 3, 1, c->vocab, c->width, 0);
    struct tensor out = tensor_reshape(logits, 3, 1, rows, c->vocab, 0);
    if (!net->tied)
        return op_gemm_fwd(ctx, logits, hidden, &net->logits, rows, NULL);
    TRY(op_matmul_fwd(ctx, &out, &a, &b, true));
fail:
    return st;
}
