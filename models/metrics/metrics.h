/* metrics.h - how good what a network makes is: images beside images, sets of features, words, captions. Plain C on the host.
 *
 * metrics_picture.c mse, psnr, ssim; metrics_features.c Frechet and kernel distance; metrics_matrix.c what they compute with;
 * metrics_words.c word and character errors, and how captions become words; metrics_captions.c BLEU, ROUGE-L, CIDEr-D.
 * Sums are double and always in the same order: the same input gives the same bits. */
#ifndef CLIO_MODELS_METRICS_METRICS_H
#define CLIO_MODELS_METRICS_METRICS_H

#include "../../host/core/mem.h"

/* ---- images ---- */

/* Mean of (a - b)^2 over n > 0 numbers. */
double metrics_mse(const float *a, const float *b, size_t n);
/* Peak signal-to-noise ratio in dB: 10 log10(range^2 / mse), infinite where mse is 0. range: from black to white, 1, 2 or 255. */
double metrics_psnr(double mse, double range);
/* Structural similarity, at most 1, of `count` pairs of images f32 [count, height, width, channels]: the mean over all places where an
 * 11 x 11 window fits, channels and images; Gaussian window of deviation 1.5, K1 0.01, K2 0.03 (Wang, Bovik, Sheikh, Simoncelli 2004).
 * The same as scikit-image's structural_similarity(gaussian_weights=True, use_sample_covariance=False) and torchmetrics' defaults.
 * CLIO_ERROR_ARGUMENT: a side below 11 pixels, or no image. */
#define METRICS_SSIM_WINDOW 11
clio_status metrics_ssim(clio_context *ctx, double *out, const float *a, const float *b, int count, int height, int width, int channels,
                         double range);

/* ---- sets of features: what a network sees in many images or sounds ---- */

#define METRICS_WIDTH_MAX 4096

/* Mean and covariance of a set, gathered batch by batch. */
struct feature_stats {
    int width;
    size_t count;    /* how many were added */
    double *mean;    /* f64 [width] */
    double *scatter; /* f64 [width, width]: sum of (x - mean)(x - mean)^T; divided by count - 1 it is the covariance. Lower triangle */
};
clio_status feature_stats_new(clio_context *ctx, struct feature_stats *stats, int width);
void feature_stats_free(struct feature_stats *stats);
/* features f32 [count, width]. CLIO_ERROR_ARGUMENT: one of them is not finite; then nothing has been added. */
clio_status feature_stats_add(clio_context *ctx, struct feature_stats *stats, const float *features, size_t count);
/* |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the Frechet distance of two normal distributions with these means and covariances (Dowson
 * and Landau 1982; with Inception's features the FID of Heusel et al. 2017); at least 0 but for rounding, which is cut off. Covariances may
 * be singular. CLIO_ERROR_ARGUMENT: different widths, or fewer than 2 features. A width of 2048 takes some ten seconds. */
clio_status frechet_distance(clio_context *ctx, double *out, const struct feature_stats *a, const struct feature_stats *b);

/* The unbiased squared maximum mean discrepancy with the kernel (x.y / width + 1)^3 of f32 [na, width] and [nb, width] (KID; Binkowski,
 * Sutherland, Arbel, Gretton 2018). It may be negative when both are alike. `subsets` 0: once over everything. Else the mean, and in
 * *deviation (may be NULL) the standard deviation (by n, as numpy), over so many random subsets of `size` of each, as is usual with 100 of
 * 1000; drawn without repetition by a generator of `seed`. CLIO_ERROR_ARGUMENT: fewer than 2 of each or than `size`, not finite. */
clio_status kernel_distance(clio_context *ctx, double *out, double *deviation, const float *a, size_t na, const float *b, size_t nb,
                            int width, int subsets, int size, uint64_t seed);

/* ---- what was said and what was heard ---- */

/* Sums over all pairs that were added; zero-initialise. */
struct error_counts {
    uint64_t said; /* words or characters of what was said */
    uint64_t substitutions, insertions, deletions;
};
/* (substitutions + insertions + deletions) / said; 0 where nothing was said nor heard, infinite where something was heard but nothing said.
 */
double error_rate(const struct error_counts *counts);
/* Add the fewest edits that make `said` of `heard`, and among equally few those with the most substitutions.
 * Case and punctuation do not count, apostrophes do, each digit is read as its English word, as tests/support/wer.py has it; other than
 * there, letters beyond ASCII are kept, and the typographic apostrophe is one. Characters are those of the words with single spaces between
 * them, which is the measure for languages written without spaces. CLIO_ERROR_ARGUMENT: text that is not UTF-8. */
clio_status error_counts_words(clio_context *ctx, struct error_counts *counts, const char *said, const char *heard);
clio_status error_counts_characters(clio_context *ctx, struct error_counts *counts, const char *said, const char *heard);

/* ---- captions ---- */

/* One image or sound: what was said about it, and what people said. UTF-8. */
struct caption_case {
    const char *caption;
    const char *const *references;
    size_t reference_count; /* at least 1 */
};
struct caption_scores {
    double bleu[4]; /* BLEU-1 to BLEU-4, 0 to 1 */
    double rouge_l; /* 0 to 1 */
    double cider_d; /* 0 to 10 */
};
/* Scores of a set, as coco-caption computes them:
 * BLEU-n   of the whole set: clipped n-gram precisions, brevity penalty against the closest length of a reference (Papineni et al. 2002)
 * ROUGE-L  mean of F with beta 1.2 of the longest common subsequence, best precision and best recall over the references (Lin 2004)
 * CIDEr-D  n-grams of 1 to 4 words weighed by how few cases have them among their references, clipped, Gaussian of the difference in
 *          length with sigma 6, mean over references, times 10 (Vedantam, Zitnick, Parikh 2015). It needs several cases: with one, every
 *          n-gram is everywhere and weighs nothing, and the score is 0.
 * Words: lower case, of letters and digits with apostrophes and hyphens inside; everything else separates. coco-caption runs the PTB
 * tokenizer, which also drops punctuation but splits "dog's" and "don't" in two; on captions without such words the scores are equal.
 * CLIO_ERROR_ARGUMENT: no case, a case without references, text that is not UTF-8. */
clio_status caption_scores(clio_context *ctx, struct caption_scores *out, const struct caption_case *cases, size_t count);

/* ---- between the files named above ---- */

/* c [rows, columns] += a [rows, depth] b [columns, depth]^T, f64, rows of c `stride` apart; `lower`: only what lies on or below the
 * diagonal is sure to be computed. */
clio_status matrix_product(clio_context *ctx, double *c, size_t stride, const double *a, size_t rows, const double *b, size_t columns,
                           size_t depth, bool lower);
/* l [rank, n] with the sum over its rows of row^T row = the positive semidefinite a [n, n], of which the lower triangle is read: pivoted
 * Cholesky decomposition (Higham 1990), which ends where what is left is rounding. l has room for n rows. */
clio_status matrix_root(clio_context *ctx, double *l, int *rank, const double *a, int n);
/* The eigenvalues of the symmetric a [n, n], of which the lower triangle is read and destroyed, in no order. */
clio_status matrix_eigenvalues(clio_context *ctx, double *values, double *a, int n);

/* Words of a text, of which each is a zero-terminated string in `text`. */
struct words {
    struct bytes text;
    size_t count;
};
enum words_kind { WORDS_SPOKEN, WORDS_CAPTION };
clio_status words_read(clio_context *ctx, struct words *words, const char *text, enum words_kind kind);
void words_free(struct words *words);
/* Numbers 0, 1, 2, ... for different pieces of bytes, in the order in which they are first seen. Zero-initialise. */
struct number_table {
    struct number_entry {
        uint64_t hash;
        size_t at, size; /* in `bytes` */
        uint32_t number; /* + 1; 0: free */
    } * entries;
    size_t capacity, count;
    struct bytes bytes;
};
clio_status number_of(clio_context *ctx, struct number_table *table, const void *data, size_t size, uint32_t *number);
void number_table_free(struct number_table *table);

#endif
