/* ref.h - what each operation means, in plain C on host arrays: the yardstick of tests and tuner. Obvious rather than fast; sums in double.
 * Dimensions as in host/ops/ops.h. */
#ifndef CLIO_REF_H
#define CLIO_REF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../cl/args.clh"

float ref_activate(float x, int act, float slope);

/* c[m][n] = act(alpha sum_k a[m][k] w[n][k] + bias[n]) + residual[m][n]; bias, residual may be NULL; offsets and lds of args hold. */
void ref_gemm(float *c, const float *a, const float *w, const float *bias, const float *residual, const struct gemm_args *args);
void ref_matmul(float *c, const float *a, const float *b, int batch, int m, int n, int k, bool transpose_b);

void ref_layer_norm(float *out, const float *in, const float *gamma, const float *beta, int rows, int n, float eps);
/* in [batch, pixels, channels] */
void ref_group_norm(float *out, const float *in, const float *gamma, const float *beta, int batch, int pixels, int channels, int groups,
                    float eps, int act);
/* in [rows, 2 n] */
void ref_gated(float *out, const float *in, int rows, int n, int act);
void ref_softmax(float *out, const float *in, int rows, int n, bool logarithm);
void ref_activation(float *out, const float *in, int n, int act, float slope);
void ref_add(float *out, const float *a, const float *b, int n, int nb, float alpha, float beta);
void ref_embed(float *out, const float *table, const int *ids, const float *positions, const struct embed_args *args);

/* in [B, T, C], w [N, kernel, C] */
void ref_conv1d(float *out, const float *in, const float *w, const float *bias, const struct conv1d_args *args, int act, float slope);
/* in [B, H, W, C], w [N, KH, KW, C / groups]; of a window with upsample or one-sided padding: `in` is prepared by the caller */
void ref_conv2d(float *out, const float *in, const float *w, const float *bias, const struct conv2d_args *args);

/* q [B, queries, heads, D] (rows of ldq), k and v [B, keys, heads, D]: plain rows, not the cache layout. key_lengths [B], or NULL: row b
 * attends to its first key_lengths[b] keys (at most all; less than 0: none), and what lies behind them is not read. Without a key the
 * result is 0. */
void ref_attention(float *out, const float *q, const float *k, const float *v, const int *key_lengths, const struct attention_args *args);
/* How many keys, the first ones, query i of row b attends to. */
int ref_attention_visible(const struct attention_args *args, const int *key_lengths, int b, int i);

/* See struct logits_choice; noise-free (greedy) only. */
void ref_logits(int *token, float *logprob, float *no_speech, float *timestamps, const float *logits, const unsigned char *suppress,
                const struct logits_args *args);

void ref_log_mel(float *mel, int count);

#endif
