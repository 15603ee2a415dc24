/* learner_private.h - what the kinds of learner.h share, and their networks and inner steps, which tests give noise of their own.
 *
 * learner.c kinds, files; learner_settings.c tables of settings; learner_parts.c their values, labels, noise, host to host; learner_rows.c
 * tables of layers; learner_autoencoder.c, learner_vae.c, learner_gan.c (adversaries), learner_mmd.c, learner_classifier.c the kinds;
 * learner_spectral.c Lipschitz bounds; learner_captions.c (learner_captions.h) captions in the place of labels. */
#ifndef CLIO_MODELS_LEARNERS_LEARNER_PRIVATE_H
#define CLIO_MODELS_LEARNERS_LEARNER_PRIVATE_H

#include "../nn/sequential.h"
#include "learner.h"

/* ---- learner_parts.c ---- */

/* The value of a setting of the kind; of a word, which one of its words it is. */
int learner_int(const struct learner *l, const char *name);
double learner_number(const struct learner *l, const char *name);
int learner_word(const struct learner *l, const char *name);

/* t gets memory of this shape, f32, unless it has as much; what it held is lost. */
clio_status learner_room(clio_context *ctx, struct tensor *t, int rows, int columns);
/* Memory for a loss, f32 [1]; 0 where a process has no sample of the batch. */
clio_status learner_scalar(clio_context *ctx, struct tensor *t, const struct learner_batch *batch);
/* Number `which` of the streams of the batch at hand. */
uint64_t learner_stream(const struct learner *l, int which);
/* noise f32 [count, width] in the arena: rows of what all processes draw together. */
clio_status learner_noise(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                          uint64_t stream, int width, struct tensor *noise);
/* Losses, each f32 [1]; waits. */
clio_status learner_read(clio_context *ctx, const struct tensor *const *losses, int count, double *out);

/* Labels as networks take them in: one number for each class, 1 for the label's own and 0 for the others. Or captions, each the vector
 * that an encoder which does not learn makes of it. */
struct captions;
struct label_input {
    int width;                 /* of a row; 0: there are no labels, and all below is without effect */
    struct tensor table;       /* of labels: the identity matrix */
    struct captions *captions; /* or NULL */
    struct tensor rows;        /* f32 [B, width] of the batch at hand */
};
clio_status label_input_new(clio_context *ctx, struct label_input *in, const struct learner *l);
void label_input_free(clio_context *ctx, struct label_input *in);
/* Fill rows, of the samples of a batch. */
clio_status label_input_set(clio_context *ctx, struct label_input *in, const struct learner_batch *batch);
/* The folders of the encoder and its tokenizer in that of a checkpoint. */
clio_status label_input_describe(clio_context *ctx, const struct label_input *in, const char *path);
/* *joined: x f32 [B, H, W, C] with the label's row behind each pixel (in the arena), or x itself. */
clio_status label_input_join(clio_context *ctx, struct arena *arena, const struct label_input *in, const struct tensor *x,
                             struct tensor *joined);

/* in f32 [count, in_width] and labels (learner_labels) on the host through `forward` to out f32 [count, out_width], some at a time. */
typedef clio_status (*learner_forward)(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out,
                                       const struct tensor *in);
clio_status learner_through(clio_context *ctx, struct learner *l, struct label_input *input, int count, const float *in, int in_width,
                            const int *labels, float *out, int out_width, learner_forward forward);

static inline int learner_pixels(const struct learner *l)
{
    return l->shape.height * l->shape.width * l->shape.channels;
}

/* ---- learner_rows.c ---- */

#define LEARNER_ROWS 40
#define LEARNER_LEVELS 6 /* halvings of a picture, at most */

struct layer_rows {
    struct layer_row row[LEARNER_ROWS];
    size_t count;
};
struct pyramid {
    int base, levels; /* side = base << levels, base 4 to 7 */
    int width;        /* channels of the largest pictures; twice as many at each halving */
    bool norm;        /* batch norm between convolution and activation, and no bias then */
    int act;
    float slope;
};
/* Base and levels of square pictures; other ones are refused, with the sizes that would do. */
clio_status pyramid_fit(clio_context *ctx, const struct learner *l, struct pyramid *p);
/* Picture to `out` numbers (of several networks that share all but their last layer: out 0, without it). */
void rows_down(struct layer_rows *rows, const struct pyramid *p, int out);
/* A vector to pictures of `channels`, with `act` behind them. */
void rows_up(struct layer_rows *rows, const struct pyramid *p, int channels, int act);
/* Appended to the table; name NULL: numbered. */
void rows_linear(struct layer_rows *rows, const char *name, int out);
void rows_act(struct layer_rows *rows, int act, float slope);

/* ---- learner_autoencoder.c ---- */

struct autoencoder {
    struct layers encoder, decoder;
    struct tensor loss;
};
struct autoencoder_plan {
    const char *prefix; /* of keys: prefix + "encoder." and "decoder." */
    bool dense;
    int width, hidden, code;   /* channels of the largest pictures; numbers of the hidden layer; numbers between */
    int act_picture, act_code; /* the last activation of either side */
};
clio_status autoencoder_open(clio_context *ctx, struct learner *l, struct autoencoder *net, const struct autoencoder_plan *plan,
                             struct parameters *parameters);
clio_status autoencoder_init(clio_context *ctx, const struct autoencoder *net, uint64_t seed);
void autoencoder_free(clio_context *ctx, struct autoencoder *net);
/* One step of part `part`: mean squared error of all numbers. */
clio_status autoencoder_step(clio_context *ctx, struct learner *l, struct autoencoder *net, int part, const struct learner_batch *batch);
extern const struct learner_kind learner_autoencoder;

/* ---- learner_vae.c ---- */

enum { VAE_BCE, VAE_MSE };
struct vae_networks {
    struct layers encoder, mu, logvar, decoder; /* the decoder gives logits */
    struct label_input labels;
    int reconstruction; /* VAE_BCE: the pictures are probabilities; VAE_MSE: means of normal distributions of variance 1 */
    float beta;
    struct tensor loss, terms[2];
};
/* eps f32 [count, latent] takes the place of what would be drawn; NULL. */
clio_status vae_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *losses);
extern const struct learner_kind learner_vae, learner_cvae;

/* ---- learner_gan.c ---- */

enum gan_loss { GAN_BCE, GAN_LEAST_SQUARES, GAN_HINGE, GAN_WASSERSTEIN, GAN_JSD };
struct gan {
    struct layers generator, discriminator;
    struct label_input labels;
    enum gan_loss loss;
    struct spectral *spectral; /* or NULL */
    struct tensor fake, losses[2];
};
/* Layers of a generator, by the settings ngf, or hidden and depth. */
clio_status gan_generator_rows(clio_context *ctx, const struct learner *l, bool dense, struct layer_rows *rows);
/* z f32 [count, latent] takes the place of what would be drawn; NULL. */
clio_status gan_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *z, double *losses);
extern const struct learner_kind learner_gan, learner_dcgan, learner_cgan, learner_jsd_gan;

/* ---- learner_mmd.c ---- */

extern const struct learner_kind learner_mmd_gan;

/* ---- learner_classifier.c ---- */

extern const struct learner_kind learner_classifier;

/* ---- learner_unet.c: learner_unet.h ---- */

extern const struct learner_kind learner_unet, learner_cunet;

/* ---- learner_whisper.c ---- */

extern const struct learner_kind learner_whisper;

/* ---- learner_kl.c: learner_kl.h ---- */

extern const struct learner_kind learner_vae_kl;

/* ---- learner_spectral.c ---- */

/* Keeps every layer's greatest singular value at or below 1. What it goes by is part of the parameters: keys end with weight_v. */
struct spectral;
clio_status spectral_new(clio_context *ctx, struct spectral **out, const struct layers *net, const char *prefix);
void spectral_free(clio_context *ctx, struct spectral *s); /* accepts NULL */
clio_status spectral_init(clio_context *ctx, const struct spectral *s, uint64_t seed);
/* After the weights changed; `times` steps of the power iteration. */
clio_status spectral_bound(clio_context *ctx, struct arena *arena, const struct spectral *s, int times);

#endif
