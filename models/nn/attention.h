/* attention.h - multi-head attention with its projections (Vaswani et al. 2017; torch.nn.MultiheadAttention): self-attention, causal or
 * not, with a KV cache or without, cross-attention over cached keys and values, and the self-attention block of AutoencoderKL. The scores
 * are never stored (op_attention_fwd). */
#ifndef CLIO_MODELS_NN_ATTENTION_H
#define CLIO_MODELS_NN_ATTENTION_H

#include "linear.h"
#include "norm.h"

struct self_attention {
    struct linear qkv, out; /* [3 width, width]: query, key and value projections as one matmul; [width, width] */
};
struct cross_attention {
    struct linear q, kv, out; /* [width, width], [2 width, width of the memory], [width, width] */
};

/* Keys and values that are kept from call to call: rows first.. of a cache's batch. */
struct kv_rows {
    const struct attention_cache *cache; /* NULL: none */
    int first;                           /* row of the cache for row 0 of the call's batch */
    int length; /* positions that the cache holds: those before this call's (self-attention), those to attend to (cross-attention) */
};
struct attention_options {
    int heads;
    bool causal;                      /* a position attends to itself and to earlier ones only */
    enum matrix_use storage;          /* of keys and values that are not kept: see attention_cache_new */
    const struct tensor *key_lengths; /* self-attention without a KV cache: i32 [B] on the device, positions of each sequence of a padded
                                         batch (attention_cache_new_padded); NULL: all */
    struct kv_rows kv;                /* self-attention: the KV cache, which this call extends, or none; cross-attention: the memory */
};

/* out = A.out(attention(A.qkv(in))) + residual; all f32 [B, ..., width]; residual may be NULL; out may be residual. `in` serves as scratch:
 * its contents are lost, except on a tape, and where residual is the same pointer as `in`. */
clio_status self_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                               const struct tensor *residual, const struct self_attention *a, const struct attention_options *options);

/* out = A.out(attention of A.q(in) over the memory) + residual, as above. */
clio_status cross_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                const struct tensor *residual, const struct cross_attention *a, const struct attention_options *options);
/* Store kv f32 [B, S, 2 width], which A.kv made of a memory, into rows first.. of the cache. */
clio_status cross_attention_store(clio_context *ctx, const struct attention_cache *cache, const struct tensor *kv, int first);

/* Self-attention of an image's pixels, one head: x + out(attention(qkv(group_norm(x)))) (diffusers' Attention in AutoencoderKL's middle).
 */
struct pixel_attention {
    int width, groups;
    float eps;
    struct norm norm;
    struct self_attention attention;
};
clio_status pixel_attention_load(clio_context *ctx, struct pixel_attention *a, const char *prefix, const struct weights *weights);
void pixel_attention_free(clio_context *ctx, struct pixel_attention *a);
/* In place: x f32 [B, H, W, width]. */
clio_status pixel_attention_fwd(clio_context *ctx, struct arena *arena, const struct pixel_attention *a, const struct tensor *x);

#endif
