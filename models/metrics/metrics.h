/* metrics.h - evaluation metrics, in plain C on the host:
 *
 *     metrics_image.c      MSE, PSNR, SSIM
 *     metrics_features.c   Frechet distance (FID), kernel distance (KID)
 *     metrics_matrix.c     linear algebra for these
 *     metrics_words.c      word and character error rate (WER, CER); splitting of texts into words
 *     metrics_edits.c      edit distance and longest common subsequence, for these and for ROUGE-L
 *     metrics_captions.c   BLEU, ROUGE-L, CIDEr-D
 *
 * Sums are in double precision and in a fixed order, so results are reproducible bit for bit. */
#ifndef CLIO_MODELS_METRICS_METRICS_H
#define CLIO_MODELS_METRICS_METRICS_H

#include "../../host/core/mem.h"

/* ---- images ---- */

/* Mean of (a - b)^2 over n > 0 values. */
double metrics_mse(const float *a, const float *b, size_t n);
/* Peak signal-to-noise ratio in dB: 10 log10(range^2 / mse), infinite for mse 0. range: of the values, 1, 2 or 255. */
double metrics_psnr(double mse, double range);
/* Structural similarity, at most 1, of `count` pairs of images f32 [count, height, width, channels]: mean over all positions of an 11 x 11
 * window inside the image, channels and images; Gaussian window of sigma 1.5, K1 0.01, K2 0.03 (Wang, Bovik, Sheikh, Simoncelli 2004).
 * Equal to scikit-image's structural_similarity(gaussian_weights=True, use_sample_covariance=False) and torchmetrics' defaults.
 * CLIO_ERROR_ARGUMENT: a side below 11 pixels, or no image. */
#define METRICS_SSIM_WINDOW 11
clio_status metrics_ssim(clio_context *ctx, double *out, const float *a, const float *b, int count, int height, int width, int channels,
                         double range);

/* ---- sets of features of images or sounds ---- */

#define METRICS_WIDTH_MAX 4096

/* Mean and covariance of a set, updated batch by batch. */
struct feature_stats {
    int width;
    size_t count;    /* features added so far */
    double *mean;    /* f64 [width] */
    double *scatter; /* f64 [width, width]: sum of (x - mean)(x - mean)^T; divided by count - 1 it is the covariance. Lower triangle */
};
clio_status feature_stats_new(clio_context *ctx, struct feature_stats *stats, int width);
void feature_stats_free(struct feature_stats *stats);
/* features f32 [count, width]. CLIO_ERROR_ARGUMENT: a value is not finite; then nothing is added. */
clio_status feature_stats_add(clio_context *ctx, struct feature_stats *stats, const float *features, size_t count);
/* |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the Frechet distance of two normal distributions with these means and covariances (Dowson
 * and Landau 1982; with Inception's features the FID of Heusel et al. 2017); negative results of rounding are set to 0. Covariances may be
 * singular. CLIO_ERROR_ARGUMENT: different widths, or fewer than 2 features. A width of 2048 takes about ten seconds. */
clio_status frechet_distance(clio_context *ctx, double *out, const struct feature_stats *a, const struct feature_stats *b);

/* The unbiased squared maximum mean discrepancy with the kernel (x.y / width + 1)^3 of f32 [na, width] and [nb, width] (KID; Binkowski,
 * Sutherland, Arbel, Gretton 2018). It can be negative for similar sets. subsets 0: over all pairs, once. Else the mean and, in *deviation
 * (may be NULL), the standard deviation (numpy.std) over that many random subsets of `size` features of each set (usually 100 of 1000),
 * drawn without replacement with `seed`. CLIO_ERROR_ARGUMENT: fewer than 2 or `size` features in a set, or values that are not finite. */
clio_status kernel_distance(clio_context *ctx, double *out, double *deviation, const float *a, size_t na, const float *b, size_t nb,
                            int width, int subsets, int size, uint64_t seed);

/* ---- transcripts ---- */

/* Edit counts over all pairs added; zero-initialise. */
struct error_counts {
    uint64_t reference_count; /* words or characters of the references */
    uint64_t errors;
    uint64_t substitutions, insertions, deletions; /* their sum is `errors`; of words only */
};
/* errors / reference_count. Without references: 0, or infinite if there are errors. */
double error_rate(const struct error_counts *counts);
/* Add the minimum edits between reference and hypothesis (Levenshtein 1966); of equal numbers of edits, those with the most substitutions.
 * Texts are normalized as in tests/support/wer.py: lower case, no punctuation except apostrophes, each digit as its English word; in
 * addition, non-ASCII letters are kept and the typographic apostrophe counts as an apostrophe. Characters are those of the words, separated
 * by single spaces; the character error rate is for languages written without spaces. Two texts of 20,000 words take about a second.
 * CLIO_ERROR_ARGUMENT: text that is not UTF-8. CLIO_ERROR_CANCELLED: the progress callback asked to stop. */
clio_status error_counts_words(clio_context *ctx, struct error_counts *counts, const char *reference, const char *hypothesis);
clio_status error_counts_characters(clio_context *ctx, struct error_counts *counts, const char *reference, const char *hypothesis);

/* ---- captions ---- */

/* The caption of one image or sound and its references, UTF-8. */
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
/* Corpus scores as in coco-caption:
 * BLEU-n   over the whole set: clipped n-gram precisions, brevity penalty against the closest length of a reference (Papineni et al. 2002)
 * ROUGE-L  mean of F with beta 1.2 of the longest common subsequence, best precision and best recall over the references (Lin 2004)
 * CIDEr-D  n-grams of 1 to 4 words weighted by TF-IDF over the references of all cases, clipped, Gaussian length penalty with sigma 6,
 *          mean over references, times 10 (Vedantam, Zitnick, Parikh 2015). It needs several cases: with one, every IDF and the score are
 *          0.
 * Words: lower case, letters and digits with apostrophes and hyphens inside; all else separates words. coco-caption uses the PTB tokenizer,
 * which also drops punctuation but splits "dog's" and "don't" in two; on captions without such words the scores are equal.
 * CLIO_ERROR_ARGUMENT: no cases, a case without references, text that is not UTF-8. */
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

/* The words of a text, one after the other in `text`, each zero-terminated. */
struct words {
    struct bytes text;
    size_t count;
};
/* Rules of normalization: those of error_counts_words, and those of caption_scores. */
enum words_type { WORDS_TRANSCRIPT, WORDS_CAPTION };
clio_status words_read(clio_context *ctx, struct words *words, const char *text, enum words_type type);
void words_free(struct words *words);
/* Minimum number of substitutions, insertions and deletions between two sequences of numbers below `symbols`. */
clio_status edit_distance(clio_context *ctx, uint64_t *out, const uint32_t *reference, size_t n, const uint32_t *hypothesis, size_t m,
                          size_t symbols);
/* The same, added to *counts by type. */
clio_status edits_by_type(clio_context *ctx, struct error_counts *counts, const uint32_t *reference, size_t n, const uint32_t *hypothesis,
                          size_t m, size_t symbols);
/* Length of the longest common subsequence of a [n] and b [m]. match: zeros [symbols], and zeros again afterwards. */
clio_status longest_common_subsequence(clio_context *ctx, size_t *out, const uint32_t *a, size_t n, const uint32_t *b, size_t m,
                                       uint64_t *match);
/* A hash table that numbers different byte strings 0, 1, 2, ... in order of first appearance. Zero-initialise. */
struct number_table {
    struct number_entry {
        uint64_t hash;
        size_t at, size; /* in `bytes` */
        uint32_t number; /* + 1; 0: free */
    } * entries;
    size_t capacity, count;
    struct bytes bytes;
};
clio_status number_table_add(clio_context *ctx, struct number_table *table, const void *data, size_t size, uint32_t *number);
void number_table_free(struct number_table *table);

#endif
