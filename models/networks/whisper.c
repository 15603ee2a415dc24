/* whisper.c - Whisper's weights and its forward passes, over the operations of host/ops. */
#include "whisper.h"
#include "../../host/ops/tape.h"

#include <stdlib.h>

#define NORM_EPSILON 1e-5f

/* ---- the table of weights ---- */

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
