/* gradients.h - what training needs beside ops.h: the gradient of every operation, and operations that only training has.
 * One op_x_bwd.c, cl/x_bwd.cl and host/ref/ref_x_bwd.c per family x that learns; they are compiled when they are first asked for, so who
 * only infers pays nothing.
 *
 * Conventions beyond those of ops.h
 *   dx is the gradient of a number with respect to x, and has x's shape; dy that of the operation's result.
 *   op_x_bwd(ctx, [arena,] dx, dy, what forward saw, args, add): dx = ..., or dx += ... when `add`. dx is never dy unless said.
 *   An operation with several inputs takes NULL for the gradients that nobody wants.
 *   Gradients of weights lie in the layout of the weights (struct matrix), their filling of panels stays zero: so whoever changes weights
 *   (optim) or copies them (averages) needs no layout.
 *   Every sum has an order that depends on shapes and parameters alone: the same device gives the same bits.
 *   The meaning of each operation is host/ref/ref_bwd.h, in plain C.
 * Forwards record themselves on a tape, if there is one, with these functions as their backward: tape.h. */
#ifndef CLIO_OPS_GRADIENTS_H
#define CLIO_OPS_GRADIENTS_H

#include "ops.h"

/* ---- gemm ---- */

/* The matrix C x (taps * N) whose rows are the channels of w, N x (taps * C): out[c][tap * N + n] = w[n][tap * C + c]. `out` is made in the
 * arena, in w's layout, f32. With it the gradient of a product is a product, and that of a convolution a transposed convolution. */
clio_status matrix_swap(clio_context *ctx, struct arena *arena, struct matrix *out, const struct matrix *w, int taps);
/* Rows from a stored transposed convolution [C, N, taps, taps] into w, N x (taps * taps * C). */
clio_status matrix_fill_swapped(clio_context *ctx, struct matrix *w, const struct weight *stored);
/* The whole matrix as a checkpoint stores it: [N, C, taps...], or [C, N, taps...] when `swapped`; channels 0: k is not divided. Waits. */
clio_status matrix_read(clio_context *ctx, const struct matrix *w, int channels, bool swapped, float *out);

/* dx[M, K] = dy[M, N] W */
clio_status op_gemm_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                             const struct matrix *w, int m, bool add);
/* dw[N, K] = dy[M, N]^T x[M, K] */
clio_status op_gemm_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                const struct tensor *x, int m, bool add);
/* db[B, N] = sums over each of B equal parts of the rows of dy [M, N]; db f32 [N] or [B, N] */
clio_status op_bias_bwd(clio_context *ctx, struct arena *arena, const struct tensor *db, const struct tensor *dy, bool add);
/* Of op_matmul_fwd; da and db may be NULL. */
clio_status op_matmul_bwd(clio_context *ctx, struct arena *arena, const struct tensor *da, const struct tensor *db, const struct tensor *dy,
                          const struct tensor *a, const struct tensor *b, bool transpose_b, bool add_a, bool add_b);

/* ---- conv ---- */

/* Of op_conv2d_fwd. */
clio_status op_conv2d_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                               const struct matrix *w, struct conv2d_window window, bool add);
clio_status op_conv2d_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                  const struct tensor *x, struct conv2d_window window, bool add);
/* The transposed convolution ("ConvTranspose2d"): in f32 [B, H, W, C], w N x (taps * taps * C) (matrix_fill_swapped), out f32
 * [B, H', W', N], H' = (H - 1) * stride + taps - before - after; `after` may be less than `before` (output padding). upsample is 1.
 * epilogue as for op_conv2d_fwd. */
clio_status op_conv2d_transposed_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                     const struct matrix *w, struct conv2d_window window, const struct gemm_epilogue *epilogue);
clio_status op_conv2d_transposed_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                                          const struct matrix *w, struct conv2d_window window, bool add);
clio_status op_conv2d_transposed_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                             const struct tensor *x, struct conv2d_window window, bool add);
/* Of op_conv2d_direct_fwd (act ACT_NONE): any groups and dilation, w and dw f32 [N, KH, KW, C / groups]. NULL: not wanted. */
clio_status op_conv2d_direct_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dw, const struct tensor *dy,
                                 const struct tensor *x, const struct tensor *w, int stride, int padding, int dilation, int groups,
                                 bool add_x, bool add_w);
/* Of op_conv1d_fwd. */
clio_status op_conv1d_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                               const struct matrix *w, int kernel, int stride, int padding, bool add);
clio_status op_conv1d_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                  const struct tensor *x, int kernel, int stride, int padding, bool add);

/* ---- norm ---- */

/* Of op_layer_norm_fwd and op_group_norm_fwd (act ACT_NONE): statistics are computed again from x. dx, or dgamma and dbeta together, may be
 * NULL; add_x and add_w as for `add`. */
clio_status op_layer_norm_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dgamma,
                              const struct tensor *dbeta, const struct tensor *dy, const struct tensor *x, const struct tensor *gamma,
                              float eps, bool add_x, bool add_w);
clio_status op_group_norm_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dgamma,
                              const struct tensor *dbeta, const struct tensor *dy, const struct tensor *x, const struct tensor *gamma,
                              int groups, float eps, bool add_x, bool add_w);
/* Over all but the last dimension of in f32 [..., C]: out = (in - mean) / sqrt(var + eps) * gamma + beta (Ioffe and Szegedy 2015). When
 * training, mean and (biased) variance are the batch's, stored in statistics f32 [2, C] as mean and 1 / sqrt(var + eps), and running_mean
 * and running_var f32 [C] move towards them by `momentum` (the variance unbiased, as torch does it). Otherwise the running ones serve, and
 * statistics may be NULL. running ones may both be NULL when training. */
clio_status op_batch_norm_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                              const struct tensor *gamma, const struct tensor *beta, const struct tensor *running_mean,
                              const struct tensor *running_var, const struct tensor *statistics, float eps, float momentum, bool training);
/* When training. */
clio_status op_batch_norm_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dgamma,
                              const struct tensor *dbeta, const struct tensor *dy, const struct tensor *x, const struct tensor *gamma,
                              const struct tensor *statistics, bool add_x, bool add_w);

/* ---- elementwise, softmax, embed ---- */

/* Whether the gradient of an activation follows from its result alone (relu, leaky relu, tanh, sigmoid, exp, softplus, none). */
bool activation_by_result(int act);
/* dx = dy act'(x). `seen`: the result y where activation_by_result(act), otherwise x. dx may be dy. */
clio_status op_activation_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *seen, int act,
                              float slope, bool add);
/* Of op_gated_fwd. */
clio_status op_gated_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *x, int act, bool add);
/* Of op_concat_fwd: the columns of dy that begin at `first`, dx's width of them. */
clio_status op_concat_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, int first, bool add);
/* The first columns of in f32 [..., A + B] to a f32 [..., A], the others to b f32 [..., B]. */
clio_status op_split_fwd(clio_context *ctx, const struct tensor *a, const struct tensor *b, const struct tensor *in);
/* Of the repeated operand of op_add_fwd: db[i % nb] = beta * sums of dy. */
clio_status op_repeat_bwd(clio_context *ctx, struct arena *arena, const struct tensor *db, const struct tensor *dy, float beta, bool add);
/* out = a b, elementwise; b may have fewer elements, a divisor of a's, and is then repeated. out may be a. */
clio_status op_multiply_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b);
/* y is the result of op_softmax_fwd. */
clio_status op_softmax_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *y, bool logarithm,
                           bool add);
/* dtable f32 [vocab, N] = sums of the rows of dy whose id it is; and dpositions f32 (NULL: none), the sums over the batch. Ids outside the
 * table count for nothing. */
clio_status op_embed_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dtable, const struct tensor *dpositions,
                         const struct tensor *dy, const struct tensor *ids, int position, bool add_table, bool add_positions);

/* ---- resample: images f32 [B, H, W, C] ---- */

/* Windows of taps x taps; padding counts as nothing (max) or as zeros that are averaged too (average, as torch's count_include_pad). */
clio_status op_max_pool_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int taps, int stride, int padding);
clio_status op_max_pool_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *x, int taps,
                            int stride, int padding, bool add);
clio_status op_average_pool_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int taps, int stride, int padding);
clio_status op_average_pool_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, int taps, int stride, int padding,
                                bool add);
/* To the size of out; nearest takes pixel floor(y H / H'), bilinear as torch with align_corners false. */
clio_status op_resize_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, bool bilinear);
clio_status op_resize_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, bool bilinear, bool add);

/* ---- attention ---- */

/* Of op_attention_store and op_attention_fwd together: k and v are the rows that were stored (position 0), read with the store's ldk,
 * k_offset, ldv, v_offset; q, out and dout as in the forward's args. dq, dk, dv have the layout of q, k, v (rows of wider tensors; other
 * columns are left alone): the gradients are added to what they hold. NULL: not wanted. key_lengths: as of attention_cache_new_padded,
 * i32 [args.first + args.batch or more], or NULL; nothing is added to dk and dv behind them. The score matrix is never stored. */
clio_status op_attention_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dq, const struct tensor *dk,
                             const struct tensor *dv, const struct tensor *dout, const struct tensor *out, const struct tensor *q,
                             const struct tensor *k, const struct tensor *v, const struct tensor *key_lengths,
                             struct attention_store_args store, struct attention_args args);

/* ---- losses: one number f32 [1], of x and targets f32 of x's shape, or of x alone ---- */

/* Which loss: see LOSS_* in cl/args.clh. The reduction is `scale` times the sum: 1/n for a mean. targets NULL where the loss has none.
 * args.n is filled in. loss += when `add`. */
clio_status op_loss_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *x,
                        const struct tensor *targets, struct loss_args args, bool add);
/* dx = dloss[0] * d loss / dx */
clio_status op_loss_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dloss, const struct tensor *x,
                        const struct tensor *targets, struct loss_args args, bool add);
/* Mean over the rows of logits f32 [M, N] whose target is not args.ignore, of -sum_n q[n] log softmax(x)[n], q = (1 - smoothing) one-hot +
 * smoothing / N, as torch's cross_entropy; no such row: 0. targets i32 [M]. Scratch: a number for each row. */
clio_status op_cross_entropy_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *x,
                                 const struct tensor *targets, struct cross_entropy_args args);
clio_status op_cross_entropy_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dloss,
                                 const struct tensor *x, const struct tensor *targets, struct cross_entropy_args args, bool add);
/* scale * -1/2 sum(1 + logvar - mu^2 - exp(logvar)): the divergence of N(mu, exp(logvar)) from N(0, 1) (Kingma and Welling 2014, app. B) */
clio_status op_gaussian_kl_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *mu,
                               const struct tensor *logvar, float scale);
clio_status op_gaussian_kl_bwd(clio_context *ctx, const struct tensor *dmu, const struct tensor *dlogvar, const struct tensor *dloss,
                               const struct tensor *mu, const struct tensor *logvar, float scale, bool add_mu, bool add_logvar);
/* Maximum mean discrepancy, squared, of x f32 [M, D] and y f32 [N, D] under a sum of kernels, biased (V-) or unbiased estimate (Gretton et
 * al. 2012, eq. 3 and 5; Li et al. 2017 for the kernels): see struct mmd_args. dx or dy may be NULL. */
clio_status op_mmd_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *x, const struct tensor *y,
                       struct mmd_args args);
clio_status op_mmd_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy, const struct tensor *dloss,
                       const struct tensor *x, const struct tensor *y, struct mmd_args args, bool add_x, bool add_y);

/* ---- reparam: numbers from Philox 4x32-10 (Salmon et al. 2011) on the device, keyed by (seed, operation, index): the same everywhere ----
 */

/* out f32 = uniform in [0, 1) or, when `normal`, N(0, 1): element i is number i of stream (seed, stream), whatever the device and the shape
 * of the launch. */
clio_status op_random_fwd(clio_context *ctx, const struct tensor *out, uint64_t seed, uint64_t stream, bool normal);
/* z = mu + exp(logvar / 2) * eps; eps f32 is given, or, when NULL, the normal numbers of op_random_fwd(seed, stream), never stored. */
clio_status op_reparam_fwd(clio_context *ctx, const struct tensor *z, const struct tensor *mu, const struct tensor *logvar,
                           const struct tensor *eps, uint64_t seed, uint64_t stream);
clio_status op_reparam_bwd(clio_context *ctx, const struct tensor *dmu, const struct tensor *dlogvar, const struct tensor *dz,
                           const struct tensor *logvar, const struct tensor *eps, uint64_t seed, uint64_t stream, bool add_mu,
                           bool add_logvar);

/* ---- diffusion ---- */

/* Samples x f32 [B, ...] made noisy, noisy = levels[b][0] x + levels[b][1] eps, and what a network is to say of them: target = eps (Ho et
 * al. 2020), or, when `velocity`, levels[b][0] eps - levels[b][1] x (Salimans and Ho 2022). levels f32 [B, 2]. eps are the normal numbers
 * of op_random_fwd(seed, stream) for samples `first` and on; never stored. There is no gradient for x. */
clio_status op_diffusion_fwd(clio_context *ctx, const struct tensor *noisy, const struct tensor *target, const struct tensor *x,
                             const struct tensor *levels, int first, uint64_t seed, uint64_t stream, bool velocity);

/* ---- optim: one step on a parameter of any layout, f32 elements ---- */

/* See struct optim_args: w -= step by the rule OPTIM_*. m and v are its state (momentum, mean square), NULL where the rule has none; scale
 * f32 [1], or NULL for 1, multiplies the gradient (clipping, loss scaling): a number that never leaves the device. */
clio_status op_optim_step(clio_context *ctx, const struct tensor *w, const struct tensor *grad, const struct tensor *m,
                          const struct tensor *v, const struct tensor *scale, struct optim_args args);
/* half f16 = w f32, rounded to the nearest (even): what products read where weights are kept twice. */
clio_status op_half(clio_context *ctx, const struct tensor *half, const struct tensor *w);
/* average = decay * average + (1 - decay) * w */
clio_status op_average_step(clio_context *ctx, const struct tensor *average, const struct tensor *w, float decay);
/* sums[slot] = sum of squares of g. Scratch. */
clio_status op_norm2(clio_context *ctx, struct arena *arena, const struct tensor *sums, int slot, const struct tensor *g);
/* scale[0] = min(1, most / norm) / loss_scale, norm = sqrt(sum of the first `count` of sums) / loss_scale: of the gradients as they are
 * without the loss's scale; most 0: no clipping. NaN where a sum is not finite, and op_optim_step leaves everything as it is for a scale
 * that is not finite. */
clio_status op_clip_scale(clio_context *ctx, const struct tensor *scale, const struct tensor *sums, int count, float most,
                          float loss_scale);

#endif
