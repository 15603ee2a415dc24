/* whisper.c - Whisper's forward passes: encoder (two convolutions, transformer layers), decoder (transformer layers with cross-attention
 * and KV caches), logits. */
#include "whisper.h"
#include "../../host/ops/tape.h"

#include <stdlib.h>

#define NORM_EPSILON 1e-5f

/* ---- decoding state ---- */

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

static struct transformer_layer_options encoder_options(const struct whisper_config *c)
{
    return (struct transformer_layer_options){
        .eps = NORM_EPSILON, .self = {.heads = c->encoder_heads, .storage = MATRIX_MANY}, .ff = {.act = ACT_GELU}};
}

struct layer_user {
    const struct whisper *net;
    int layer;
};

/* An encoder layer for tape_checkpoint. Decoder layers have none: texts are short compared with audio, and they read caches that were
 * filled before. */
static clio_status encoder_block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out,
                                 const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct layer_user *u = user;
    struct transformer_layer_options options = encoder_options(&u->net->config);
    uint64_t mark = arena_mark(arena);
    struct tensor h = *in;
    TRY(tensor_take(ctx, arena, &h));
    TRY(op_add_fwd(ctx, out, in, in, 1, 0)); /* a copy: the layer runs in place, and its input is kept */
    TRY(transformer_layer_fwd(ctx, arena, &u->net->encoder[u->layer], &options, out, out, &h));
fail:
    arena_release(arena, mark);
    return st;
}

/* x f32 [B, positions, width] through all encoder layers; its memory may change. h: scratch of x's shape. */
static clio_status encoder_layers(clio_context *ctx, struct arena *arena, const struct whisper *net, struct tensor *x,
                                  const struct tensor *h)
{
    clio_status st = CLIO_OK;
    struct transformer_layer_options options = encoder_options(&net->config);
    for (int i = 0; i < net->config.encoder_layers; i++) {
        struct layer_user u = {.net = net, .layer = i};
        struct tensor next = *x;
        if (!net->recompute || !ctx->tape) {
            TRY(transformer_layer_fwd(ctx, arena, &net->encoder[i], &options, x, x, h));
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
    struct gemm_epilogue first = {.bias = &net->conv1.bias, .act = ACT_GELU}, second = {.bias = &net->conv2.bias, .act = ACT_GELU};
    TRY(op_check(ctx, "whisper encoder", "mel", mel, DTYPE_F32, 3, -1, 2 * c->positions, c->bands, 0));
    TRY(op_check(ctx, "whisper encoder", "out", out, DTYPE_F32, 3, batch, c->positions, c->width, 0));
    TRY(tensor_take(ctx, arena, &x));
    uint64_t inside = arena_mark(arena);
    TRY(tensor_take(ctx, arena, &wide));
    TRY(op_conv1d_fwd(ctx, arena, &wide, mel, &net->conv1.w, 3, 1, 1, &first));
    TRY(op_conv1d_fwd(ctx, arena, &x, &wide, &net->conv2.w, 3, 2, 1, &second));
    arena_release(arena, inside);
    TRY(op_add_fwd(ctx, &x, &x, &net->encoder_positions, 1, 1));
    TRY(encoder_layers(ctx, arena, net, &x, &h));
    TRY(layer_norm_fwd(ctx, out, &x, &net->encoder_norm, NORM_EPSILON));
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
        TRY(linear_fwd(ctx, &kv, encoded, &net->decoder[i].cross.kv, ACT_NONE, NULL));
        TRY(cross_attention_store(ctx, &state->cross[i], &kv, first));
    }
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
    for (int i = 0; i < c->decoder_layers; i++) {
        struct transformer_layer_options options = {
            .eps = NORM_EPSILON,
            .self = {.heads = c->decoder_heads, .causal = true, .kv = {&state->self[i], first, position}},
            .cross = {.heads = c->decoder_heads, .kv = {&state->cross[i], first, c->positions}},
            .ff = {.act = ACT_GELU}};
        TRY(transformer_layer_fwd(ctx, arena, &net->decoder[i], &options, &x, &x, hidden));
    }
    TRY(layer_norm_fwd(ctx, hidden, &x, &net->decoder_norm, NORM_EPSILON));
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
