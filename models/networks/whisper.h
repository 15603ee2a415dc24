/* whisper.h - the Whisper network (Radford et al. 2022, "Robust speech recognition via large-scale weak supervision"), in the layout of
 * transformers' WhisperForConditionalGeneration. MODEL-whisper.md says what is particular about it. */
#ifndef CLIO_MODELS_NETWORKS_WHISPER_H
#define CLIO_MODELS_NETWORKS_WHISPER_H

#include "../nn/state_dict.h"

struct whisper_config {
    int width, bands, vocab, positions, text_positions; /* d_model, num_mel_bins, vocab_size, max_source_positions, max_target_positions */
    int encoder_layers, encoder_heads, encoder_inner;
    int decoder_layers, decoder_heads, decoder_inner;
};

struct whisper_norm {
    struct tensor gamma, beta;
};
struct whisper_encoder_layer {
    struct whisper_norm attention_norm, inner_norm;
    struct matrix qkv, o, fc1, fc2;
    struct tensor qkv_bias, o_bias, fc1_bias, fc2_bias;
};
struct whisper_decoder_layer {
    struct whisper_norm attention_norm, cross_norm, inner_norm;
    struct matrix qkv, o, cross_q, cross_kv, cross_o, fc1, fc2;
    struct tensor qkv_bias, o_bias, cross_q_bias, cross_kv_bias, cross_o_bias, fc1_bias, fc2_bias;
};
struct whisper {
    struct whisper_config config;
    struct matrix conv1, conv2, logits;
    struct tensor conv1_bias, conv2_bias, encoder_positions, embedding, text_positions;
    struct whisper_encoder_layer *encoder;
    struct whisper_decoder_layer *decoder;
    struct whisper_norm encoder_norm, decoder_norm;
    bool tied;      /* to be trained: the embedding of tokens also makes the logits, and there is no matrix of its own for that */
    bool recompute; /* on a tape, layers of the encoder keep nothing for gradients but what goes in (tape_checkpoint) */
};

/* While ctx->collects (network.h), to be trained. */
clio_status whisper_load(clio_context *ctx, struct whisper *net, const char *dir);
void whisper_free(clio_context *ctx, struct whisper *net);

/* What decoding of `batch` windows keeps between steps. */
struct whisper_state {
    int batch;
    struct attention_cache *self, *cross; /* [decoder_layers] */
};
clio_status whisper_state_new(clio_context *ctx, struct whisper_state *state, const struct whisper *net, int batch);
void whisper_state_free(clio_context *ctx, struct whisper_state *state, const struct whisper *net);
/* Exchange two rows of the state. */
clio_status whisper_state_swap(clio_context *ctx, struct arena *arena, const struct whisper_state *state, const struct whisper *net, int a,
                               int b);

/* mel f32 [B, 2 * positions, bands] -> out f32 [B, positions, width] */
clio_status whisper_encode(clio_context *ctx, struct arena *arena, const struct whisper *net, const struct tensor *out,
                           const struct tensor *mel);
/* Keys and values of every decoder layer's cross-attention, from what whisper_encode gave, for rows first.. of the state's batch. */
clio_status whisper_attend_to(clio_context *ctx, struct arena *arena, const struct whisper *net, struct whisper_state *state,
                              const struct tensor *encoded, int first);
/* ids i32 [B, T] at positions position.. of rows first.. of the state; hidden f32 [B, T, width], after the last norm. Those rows then hold
 * position + T tokens. */
clio_status whisper_decode(clio_context *ctx, struct arena *arena, const struct whisper *net, struct whisper_state *state,
                           const struct tensor *hidden, const struct tensor *ids, int first, int position);
/* logits f32 [B, T, vocab] of all positions: for training, where the whole text is known (teacher forcing). */
clio_status whisper_all_logits(clio_context *ctx, const struct whisper *net, const struct tensor *logits, const struct tensor *hidden);
/* logits f32 [B, vocab] of position `at` of each of hidden's B rows, of a network that is not to be trained */
clio_status whisper_logits(clio_context *ctx, const struct whisper *net, const struct tensor *logits, const struct tensor *hidden, int at);

#endif
