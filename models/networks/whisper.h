/* whisper.h - the Whisper network (Radford et al. 2022, "Robust speech recognition via large-scale weak supervision"), in the layout of
 * transformers' WhisperForConditionalGeneration. MODEL-whisper.md has its details. */
#ifndef CLIO_MODELS_NETWORKS_WHISPER_H
#define CLIO_MODELS_NETWORKS_WHISPER_H

#include "../../host/core/json.h"
#include "../nn/transformer_layer.h"

struct whisper_config {
    int width, bands, vocab, positions, text_positions; /* d_model, num_mel_bins, vocab_size, max_source_positions, max_target_positions */
    int encoder_layers, encoder_heads, encoder_inner;
    int decoder_layers, decoder_heads, decoder_inner;
};

struct whisper {
    struct whisper_config config;
    struct linear conv1, conv2;
    struct matrix logits;
    struct tensor encoder_positions, embedding, text_positions; /* f32 [positions, width], [vocab, width], [text_positions, width] */
    struct transformer_layer *encoder, *decoder;
    struct norm encoder_norm, decoder_norm;
    bool tied;      /* for training: the token embedding also computes the logits (weight tying); `logits` is empty */
    bool recompute; /* gradient checkpointing: on a tape, encoder layers keep only their inputs (tape_checkpoint) */
};

/* Load config.json and the weights of the folder `dir`; while ctx->collects, for training (state_dict.h). */
clio_status whisper_load(clio_context *ctx, struct whisper *net, const char *dir);
/* The same of an open config.json and weights. */
clio_status whisper_load_from(clio_context *ctx, struct whisper *net, const struct json_file *config, const struct weights *weights);
/* An error that names what `dir` is, if it is no folder of Whisper but a file or a folder of another format. whisper_load does this, too.
 */
clio_status whisper_check(clio_context *ctx, const char *dir);
void whisper_free(clio_context *ctx, struct whisper *net);

/* KV caches of decoding `batch` windows of audio: of the tokens so far (self) and of the encoder's output (cross). */
struct whisper_state {
    int batch;
    struct attention_cache *self, *cross; /* [decoder_layers] */
};
clio_status whisper_state_new(clio_context *ctx, struct whisper_state *state, const struct whisper *net, int batch);
void whisper_state_free(clio_context *ctx, struct whisper_state *state, const struct whisper *net);
/* Swap rows a and b of the state's batch. */
clio_status whisper_state_swap(clio_context *ctx, struct arena *arena, const struct whisper_state *state, const struct whisper *net, int a,
                               int b);

/* mel f32 [B, 2 * positions, bands] -> out f32 [B, positions, width] */
clio_status whisper_encode(clio_context *ctx, struct arena *arena, const struct whisper *net, const struct tensor *out,
                           const struct tensor *mel);
/* Compute keys and values of every decoder layer's cross-attention from the encoder's output f32 [B, positions, width], for rows first.. of
 * the state's batch. */
clio_status whisper_attend_to(clio_context *ctx, struct arena *arena, const struct whisper *net, struct whisper_state *state,
                              const struct tensor *encoded, int first);
/* Decode ids i32 [B, T] at positions position.. of rows first.. of the state's batch, which then hold position + T tokens. hidden
 * f32 [B, T, width]: the states after the last norm. */
clio_status whisper_decode(clio_context *ctx, struct arena *arena, const struct whisper *net, struct whisper_state *state,
                           const struct tensor *hidden, const struct tensor *ids, int first, int position);
/* logits f32 [B, T, vocab] of hidden f32 [B, T, width], for training with teacher forcing. */
clio_status whisper_all_logits(clio_context *ctx, const struct whisper *net, const struct tensor *logits, const struct tensor *hidden);
/* logits f32 [B, vocab] of position `at` of hidden f32 [B, T, width]; not for training. */
clio_status whisper_logits(clio_context *ctx, const struct whisper *net, const struct tensor *logits, const struct tensor *hidden, int at);

#endif
