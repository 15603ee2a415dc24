/* ref_bwd.h - what each operation of host/ops/gradients.h means, in plain C on host arrays: the yardstick of tests. Obvious rather than
 * fast; sums in double. Each gradient is returned, not added; a NULL one is not wanted. Dimensions as in host/ops/ops.h. */
#ifndef CLIO_REF_BWD_H
#define CLIO_REF_BWD_H

#include "ref.h"

/* ---- gemm ---- */

/* dx[m][k] = sum_n dy[m][n] w[n][k] */
void ref_gemm_bwd_data(float *dx, const float *dy, const float *w, int m, int n, int k);

/* ---- conv ---- */

/* Of ref_conv2d with neither bias nor activation, and of ref_conv1d. */
void ref_conv2d_bwd_data(float *dx, const float *dy, const float *w, const struct conv2d_args *args);
void ref_conv1d_bwd_data(float *dx, const float *dy, const float *w, const struct conv1d_args *args);
/* in [B, H, W, C], w [N, taps_y, taps_x, C], bias [N] or [B, N] (bias_step N) or NULL, out [B, H', W', N] */
void ref_conv2d_transposed(float *out, const float *in, const float *w, const float *bias, const struct transposed_args *args, int outputs,
                           int act, float slope);

/* Of ref_conv2d with neither bias nor activation; dw [N, KH, KW, C / groups]. */
void ref_conv2d_bwd_weights(float *dw, const float *dy, const float *x, const struct conv2d_args *args);
/* dy [parts, rows, n], db [parts, n] */
void ref_bias_bwd(float *db, const float *dy, int parts, int rows, int n);
void ref_matmul_bwd(float *da, float *db, const float *dy, const float *a, const float *b, int batch, int m, int n, int k,
                    bool transpose_b);

/* ---- norm ---- */

/* in [rows, n]; statistics [2, n], may be NULL; running ones may be NULL when training. */
void ref_batch_norm(float *out, float *statistics, float *running_mean, float *running_var, const float *in, const float *gamma,
                    const float *beta, int rows, int n, float eps, float momentum, bool training);
void ref_batch_norm_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma, int rows, int n,
                        float eps);
void ref_layer_norm_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma, int rows, int n,
                        float eps);
/* x [batch, pixels, channels] */
void ref_group_norm_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma, int batch, int pixels,
                        int channels, int groups, float eps);

/* ---- elementwise ---- */

/* Of x, whatever the operation sees. */
void ref_activation_bwd(float *dx, const float *dy, const float *x, int n, int act, float slope);
void ref_gated_bwd(float *dx, const float *dy, const float *x, int rows, int n, int act);
void ref_concat_bwd(float *dx, const float *dy, int rows, int n, int width, int first);
void ref_multiply(float *out, const float *a, const float *b, int n, int nb);

/* ---- softmax, embed ---- */

/* y the result of the forward, [rows, n] */
void ref_softmax_bwd(float *dx, const float *dy, const float *y, int rows, int n, bool logarithm);
/* dtable [vocab, n], dpositions [positions of the table, n] */
void ref_embed_bwd(float *dtable, float *dpositions, const float *dy, const int *ids, int positions, const struct embed_args *args);

/* ---- resample ---- */

void ref_max_pool(float *out, const float *in, const struct resample_args *args);
void ref_max_pool_bwd(float *dx, const float *dy, const float *x, const struct resample_args *args);
void ref_average_pool(float *out, const float *in, const struct resample_args *args);
void ref_average_pool_bwd(float *dx, const float *dy, const struct resample_args *args);
void ref_resize(float *out, const float *in, const struct resample_args *args, bool bilinear);
void ref_resize_bwd(float *dx, const float *dy, const struct resample_args *args, bool bilinear);

/* ---- attention ---- */

/* q, out, dout and dq: rows of args.ldq (from q_offset), ldo, ldo, ldq; k, v, dk, dv: plain rows [B, keys, heads, D], as for
 * ref_attention, and key_lengths [B] or NULL: gradients of keys and values behind them are 0. */
void ref_attention_bwd(float *dq, float *dk, float *dv, const float *dout, const float *q, const float *k, const float *v,
                       const int *key_lengths, const struct attention_args *args);

/* ---- losses ---- */

/* The sum of losses, unscaled; targets NULL: args->target. */
double ref_loss(const float *x, const float *targets, const struct loss_args *args);
/* Of args->scale times that sum. */
void ref_loss_bwd(float *dx, float dloss, const float *x, const float *targets, const struct loss_args *args);
double ref_gaussian_kl(const float *mu, const float *logvar, int n);
void ref_gaussian_kl_bwd(float *dmu, float *dlogvar, float dloss, const float *mu, const float *logvar, int n, float scale);
/* The mean over rows that count. */
double ref_cross_entropy(const float *x, const int *targets, const struct cross_entropy_args *args);
void ref_cross_entropy_bwd(float *dx, float dloss, const float *x, const int *targets, const struct cross_entropy_args *args);
double ref_mmd(const float *x, const float *y, const struct mmd_args *args);
void ref_mmd_bwd(float *dx, float *dy, float dloss, const float *x, const float *y, const struct mmd_args *args);

/* ---- reparam ---- */

/* The same bits as every device gives. */
void ref_random(float *out, int n, uint64_t seed, uint64_t stream, bool normal);
void ref_reparam(float *z, const float *mu, const float *logvar, const float *eps, int n);
void ref_reparam_bwd(float *dmu, float *dlogvar, const float *dz, const float *logvar, const float *eps, int n);

/* ---- diffusion ---- */

/* batch samples of `size` numbers; eps as many. */
void ref_diffusion(float *noisy, float *target, const float *x, const float *levels, const float *eps, int batch, int size, bool velocity);

/* ---- optim ---- */

/* m, v: NULL where the rule has none; scale multiplies the gradient. */
void ref_optim_step(float *w, const float *grad, float *m, float *v, float scale, const struct optim_args *args);

#endif
