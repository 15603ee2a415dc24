/* test_metrics.c - metrics against values computed with numpy and plain Python from the formulas of the sources named in metrics.h:
 * SSIM with an explicit 11 x 11 window (and with torch's conv2d), the Frechet distance from scipy.linalg.sqrtm of C1 C2 and, where that is
 * singular, from mpmath, edit distances from the full table, captions with coco-caption's bleu_scorer.py, rouge.py and cider_scorer.py.
 * Needs no device. */
#include "../support/test_own.h"

#include "../../models/metrics/metrics.h"

#include <float.h>
#include <math.h>

/* A linear congruential generator, the same in numpy: values in [shift, shift + scale). */
static void fill_random(float *out, size_t n, uint32_t seed, double scale, double shift)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((seed >> 8) / 16777216.0 * scale + shift);
    }
}

#define NEAR(got, want, tolerance) near((got), (want), (tolerance), __LINE__)
static void near(double got, double want, double tolerance, int line)
{
    if (!(fabs(got - want) <= tolerance * MAX(fabs(want), 1e-3)))
        fail_msg("line %d: got %.15g, expected %.15g", line, got, want);
}

/* ---- images ---- */

enum { IMAGES = 2, HEIGHT = 17, WIDTH = 23, CHANNELS = 3, PIXELS = IMAGES * HEIGHT * WIDTH * CHANNELS };

static void image_metrics(void **state)
{
    (void)state;
    static float a[PIXELS], b[2 * PIXELS];
    double mse, ssim;
    fill_random(b, 2 * PIXELS, 1, 1, 0); /* the first half is a */
    memcpy(a, b, sizeof a);
    for (int i = 0; i < PIXELS; i++)
        b[i] = (float)((double)a[i] + 0.25 * ((double)b[PIXELS + i] - 0.5));
    mse = metrics_mse(a, b, PIXELS);
    NEAR(mse, 0.00526885665299598, 1e-12);
    NEAR(metrics_psnr(mse, 1), 22.7828361688739, 1e-12);
    NEAR(metrics_psnr(mse, 255) - metrics_psnr(mse, 1), 20 * log10(255), 1e-12);
    assert_true(isinf(metrics_psnr(0, 1)) && isnan(metrics_psnr(NAN, 1)));
    OK(metrics_ssim(ctx, &ssim, a, b, IMAGES, HEIGHT, WIDTH, CHANNELS, 1));
    NEAR(ssim, 0.970097859952825, 1e-11);
    OK(metrics_ssim(ctx, &ssim, a, b, 1, HEIGHT, WIDTH, 1, 2));
    NEAR(ssim, 0.963169834252148, 1e-11);
    OK(metrics_ssim(ctx, &ssim, a, a, IMAGES, HEIGHT, WIDTH, CHANNELS, 1));
    NEAR(ssim, 1, 1e-12);
    OK(metrics_ssim(ctx, &ssim, a, b, 1, 11, 11, 1, 1)); /* a single position */
    assert_true(ssim > 0.5 && ssim < 1);
    FAILS(metrics_ssim(ctx, &ssim, a, b, 1, 11, 10, 1, 1), CLIO_ERROR_ARGUMENT, "needs at least 11 x 11");
    FAILS(metrics_ssim(ctx, &ssim, a, b, 0, 11, 11, 1, 1), CLIO_ERROR_ARGUMENT, "0 images");
}

/* ---- linear algebra ---- */

static void products_are_right(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1}, {3, 4, 5}, {4, 4, 256}, {5, 67, 257}, {67, 67, 13}, {130, 66, 300}};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t rows = sizes[s][0], columns = sizes[s][1], depth = sizes[s][2], stride = columns + 2;
        double *a = malloc(rows * depth * sizeof *a), *b = malloc(columns * depth * sizeof *b);
        double *c = malloc(rows * stride * sizeof *c), *half = malloc(rows * stride * sizeof *half);
        assert_true(a && b && c && half);
        for (size_t i = 0; i < rows * depth; i++)
            a[i] = sin((double)i);
        for (size_t i = 0; i < columns * depth; i++)
            b[i] = cos(3.0 * (double)i);
        for (size_t i = 0; i < rows * stride; i++)
            c[i] = half[i] = 0.5;
        OK(matrix_product(ctx, c, stride, a, rows, b, columns, depth, false));
        OK(matrix_product(ctx, half, stride, a, rows, b, columns, depth, true));
        for (size_t y = 0; y < rows; y++)
            for (size_t x = 0; x < stride; x++) {
                double want = 0.5;
                for (size_t k = 0; k < depth && x < columns; k++)
                    want += a[y * depth + k] * b[x * depth + k];
                NEAR(c[y * stride + x], want, 1e-10);
                if (x <= y || x >= columns)
                    NEAR(half[y * stride + x], want, 1e-10);
            }
        free(a), free(b), free(c), free(half);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The second-difference matrix has the eigenvalues 2 - 2 cos(k pi / (n + 1)); reflected at a plane it is full and has the same. */
static void eigenvalues_are_right(void **state)
{
    (void)state;
    static double a[61 * 61], v[61], got[61];
    for (int n = 1; n <= 61; n += n < 5 ? 1 : 7) {
        double square = 0, pi = acos(-1);
        for (int i = 0; i < n; i++) {
            v[i] = sin(i + 1.0);
            square += v[i] * v[i];
        }
        for (int pass = 0; pass < 2; pass++) {
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) {
                    double sum = 0; /* H T H with H = 1 - 2 v v^T / v.v */
                    for (int k = 0; k < n; k++)
                        for (int l = MAX(k - 1, 0); l <= MIN(k + 1, n - 1); l++)
                            sum += ((i == k) - 2 * v[i] * v[k] / square * pass) * (k == l ? 2 : -1) *
                                   ((l == j) - 2 * v[l] * v[j] / square * pass);
                    a[i * n + j] = j <= i ? sum : NAN; /* the upper triangle is not read */
                }
            OK(matrix_eigenvalues(ctx, got, a, n));
            qsort(got, (size_t)n, sizeof *got, by_value);
            for (int k = 0; k < n; k++)
                NEAR(got[k], 2 - 2 * cos((k + 1) * pi / (n + 1)), 1e-10);
        }
    }
    memset(a, 0, sizeof a); /* all zero, and diagonal */
    OK(matrix_eigenvalues(ctx, got, a, 9));
    for (int k = 0; k < 9; k++)
        assert_true(got[k] == 0);
    for (int k = 0; k < 9; k++)
        a[k * 9 + k] = 8 - k;
    OK(matrix_eigenvalues(ctx, got, a, 9));
    qsort(got, 9, sizeof *got, by_value);
    for (int k = 0; k < 9; k++)
        NEAR(got[k], k, 1e-14);
}

/* A matrix of rank 5 is restored from its root, which has 5 rows. */
static void roots_are_right(void **state)
{
    (void)state;
    enum { N = 23, RANK = 5 };
    static double x[N * RANK], a[N * N], l[N * N];
    int rank;
    for (int i = 0; i < N * RANK; i++)
        x[i] = sin((double)i * i);
    OK(matrix_product(ctx, a, N, x, N, x, N, RANK, false));
    OK(matrix_root(ctx, l, &rank, a, N));
    assert_int_equal(rank, RANK);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < rank; k++)
                sum += l[k * N + i] * l[k * N + j];
            NEAR(sum - a[i * N + j], 0, 1e-9);
        }
    memset(a, 0, sizeof a);
    OK(matrix_root(ctx, l, &rank, a, N));
    assert_int_equal(rank, 0);
}

static void matrices_of_nan_are_refused(void **state)
{
    (void)state;
    double a[9] = {2, 0, 0, 1, 2, 0, 1, NAN, 2}, l[9], values[3];
    int rank = 7;
    FAILS(matrix_root(ctx, l, &rank, a, 3), CLIO_ERROR_FORMAT, "the Cholesky decomposition of a 3 x 3 matrix cannot be computed");
    assert_int_equal(rank, 0);
    FAILS(matrix_eigenvalues(ctx, values, a, 3), CLIO_ERROR_FORMAT, "it contains NaN (LAPACK dsyev, info -5)");
    FAILS(matrix_eigenvalues(ctx, values, a, 0), CLIO_ERROR_INTERNAL, "0 rows");
}

/* ---- features ---- */

enum { FEATURE = 7, MANY = 300, SOME = 41, FEW = 4 };

static struct feature_stats stats_of(const float *x, size_t count, int width, size_t batch)
{
    struct feature_stats stats;
    OK(feature_stats_new(ctx, &stats, width));
    for (size_t i = 0; i < count; i += batch)
        OK(feature_stats_add(ctx, &stats, x + i * (size_t)width, MIN(batch, count - i)));
    assert_int_equal(stats.count, count);
    return stats;
}

static double frechet(const struct feature_stats *a, const struct feature_stats *b)
{
    double out;
    OK(frechet_distance(ctx, &out, a, b));
    return out;
}

static void frechet_distances(void **state)
{
    (void)state;
    static float x[MANY * FEATURE], y[SOME * FEATURE], z[FEW * FEATURE], far[MANY * FEATURE];
    struct feature_stats sx, sy, sz, batches, one, two, sf;
    double out;
    fill_random(x, COUNT(x), 3, 1, 0);
    fill_random(y, COUNT(y), 4, 0.75, 0.5);
    fill_random(z, COUNT(z), 5, 2, 0); /* fewer features than their width: the covariance is singular */
    sx = stats_of(x, MANY, FEATURE, MANY);
    sy = stats_of(y, SOME, FEATURE, SOME);
    sz = stats_of(z, FEW, FEATURE, 1);
    batches = stats_of(x, MANY, FEATURE, 17);
    NEAR(frechet(&sx, &sy), 1.14805862788631, 1e-10);
    NEAR(frechet(&sy, &sx), 1.14805862788631, 1e-10);
    NEAR(frechet(&sx, &sz), 3.888395926844918, 1e-11);
    NEAR(frechet(&batches, &sy), 1.14805862788631, 1e-10);
    NEAR(frechet(&sx, &sx) + frechet(&sz, &sz), 0, 1e-9);
    one = stats_of(x, 9, 1, 9); /* width 1: (m1 - m2)^2 + (s1 - s2)^2 */
    two = stats_of(y, 5, 1, 5);
    NEAR(frechet(&one, &two), pow(one.mean[0] - two.mean[0], 2) + pow(sqrt(one.scatter[0] / 8) - sqrt(two.scatter[0] / 4), 2), 1e-10);
    for (int i = 0; i < MANY * FEATURE; i++) /* a large mean loses no digits */
        far[i] = x[i] + 1024;
    sf = stats_of(far, MANY, FEATURE, 50);
    for (int i = 0; i < FEATURE; i++)
        NEAR(sf.scatter[i * FEATURE + i], sx.scatter[i * FEATURE + i], 1e-3);
    NEAR(frechet(&sf, &sx), 1024.0 * 1024 * FEATURE, 1e-6);
    FAILS(frechet_distance(ctx, &out, &sx, &one), CLIO_ERROR_ARGUMENT, "same encoder");
    x[5] = INFINITY;
    FAILS(feature_stats_add(ctx, &sx, x, MANY), CLIO_ERROR_FORMAT, "value 5 of feature 0 is inf");
    assert_int_equal(sx.count, MANY);
    feature_stats_free(&sz);
    sz = stats_of(z, 1, FEATURE, 1);
    FAILS(frechet_distance(ctx, &out, &sx, &sz), CLIO_ERROR_ARGUMENT, "at least 2");
    feature_stats_free(&batches);
    FAILS(feature_stats_new(ctx, &batches, 0), CLIO_ERROR_ARGUMENT, "at least 1");
    feature_stats_free(&sx), feature_stats_free(&sy), feature_stats_free(&sz), feature_stats_free(&one), feature_stats_free(&two);
    feature_stats_free(&sf);
}

/* Fewer features than their width in both sets: both covariances are singular. The values are mpmath's with 60 digits; scipy's sqrtm of the
 * product C1 C2 warns and agrees to 8 digits. */
static void frechet_distances_of_few_features(void **state)
{
    (void)state;
    enum { WIDE = 40 };
    static float five[5 * WIDE], six[6 * WIDE], two[2 * WIDE];
    struct feature_stats s5, s6, s2;
    fill_random(five, COUNT(five), 6, 1, 0);
    fill_random(six, COUNT(six), 7, 1, 0.25);
    fill_random(two, COUNT(two), 8, 1, 0);
    s5 = stats_of(five, 5, WIDE, 5);
    s6 = stats_of(six, 6, WIDE, 4);
    s2 = stats_of(two, 2, WIDE, 1);
    NEAR(frechet(&s5, &s6), 8.87463440366792, 1e-12);
    NEAR(frechet(&s2, &s6), 12.01808741066387, 1e-12);
    NEAR(frechet(&s6, &s2), 12.01808741066387, 1e-12);
    NEAR(frechet(&s5, &s5), 0, 1e-9);
    for (int i = WIDE; i < 2 * WIDE; i++) /* the same feature twice: no covariance at all */
        two[i] = two[i - WIDE];
    feature_stats_free(&s2);
    s2 = stats_of(two, 2, WIDE, 2);
    NEAR(frechet(&s2, &s2), 0, 1e-12);
    feature_stats_free(&s5), feature_stats_free(&s6), feature_stats_free(&s2);
}

static void feature_stats_are_freed(void **state)
{
    (void)state;
    struct feature_stats stats;
    OK(feature_stats_new(ctx, &stats, 300));
    feature_stats_free(&stats);
    assert_null(stats.mean);
    feature_stats_free(&stats);
}

static void kernel_distances(void **state)
{
    (void)state;
    static float x[MANY * FEATURE], y[SOME * FEATURE];
    double all, some, again, deviation;
    fill_random(x, COUNT(x), 3, 1, 0);
    fill_random(y, COUNT(y), 4, 0.75, 0.5);
    OK(kernel_distance(ctx, &all, &deviation, x, MANY, y, SOME, FEATURE, 0, 0, 0));
    NEAR(all, 1.69427745577451, 1e-10);
    NEAR(deviation, 0, 1e-12);
    OK(kernel_distance(ctx, &some, &deviation, x, SOME, y, SOME, FEATURE, 3, SOME, 1)); /* every subset is the whole set in another order */
    OK(kernel_distance(ctx, &all, NULL, x, SOME, y, SOME, FEATURE, 0, 0, 0));
    NEAR(some, all, 1e-10);
    NEAR(deviation, 0, 1e-9);
    OK(kernel_distance(ctx, &some, &deviation, x, MANY, y, SOME, FEATURE, 200, 20, 7));
    OK(kernel_distance(ctx, &again, NULL, x, MANY, y, SOME, FEATURE, 200, 20, 7));
    assert_memory_equal(&some, &again, sizeof some);
    NEAR(some, 1.69427745577451, 0.05); /* unbiased: the mean over subsets is close to the value of the sets */
    assert_true(deviation > 0.01 && deviation < 1);
    OK(kernel_distance(ctx, &again, NULL, x, MANY, y, SOME, FEATURE, 200, 20, 8));
    assert_true(some != again);
    FAILS(kernel_distance(ctx, &all, NULL, x, MANY, y, SOME, FEATURE, 2, SOME + 1, 0), CLIO_ERROR_ARGUMENT, "no more than the sets have");
    FAILS(kernel_distance(ctx, &all, NULL, x, MANY, y, 1, FEATURE, 0, 0, 0), CLIO_ERROR_ARGUMENT, "at least 2");
    y[8] = NAN;
    FAILS(kernel_distance(ctx, &all, NULL, x, MANY, y, SOME, FEATURE, 0, 0, 0), CLIO_ERROR_FORMAT, "value 1 of feature 1");
}

/* ---- words ---- */

static void expect_counts(const struct error_counts *got, const uint64_t want[4], const char *reference)
{
    assert_int_equal(got->errors, want[1] + want[2] + want[3]);
    if (got->reference_count != want[0] || got->substitutions != want[1] || got->insertions != want[2] || got->deletions != want[3])
        fail_msg("\"%s\": %d words, %d substitutions, %d insertions, %d deletions; expected %d, %d, %d, %d", reference,
                 (int)got->reference_count, (int)got->substitutions, (int)got->insertions, (int)got->deletions, (int)want[0], (int)want[1],
                 (int)want[2], (int)want[3]);
}

/* The whole table, as in a textbook, and the fewest gaps among the alignments with the fewest edits. */
static void edits_by_table(const uint32_t *a, size_t n, const uint32_t *b, size_t m, uint64_t *edits, uint64_t *gaps, size_t *common)
{
    enum { SIDE = 301 };
    static uint64_t cost[SIDE][SIDE];
    static size_t lcs[SIDE][SIDE];
    const uint64_t one = 1 << 20;
    assert_true(n < SIDE && m < SIDE);
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            uint64_t best = i || j ? UINT64_MAX : 0;
            if (i)
                best = MIN(best, cost[i - 1][j] + one + 1);
            if (j)
                best = MIN(best, cost[i][j - 1] + one + 1);
            if (i && j)
                best = MIN(best, cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : one));
            cost[i][j] = best;
            lcs[i][j] = !i || !j ? 0 : a[i - 1] == b[j - 1] ? lcs[i - 1][j - 1] + 1 : MAX(lcs[i - 1][j], lcs[i][j - 1]);
        }
    *edits = cost[n][m] / one;
    *gaps = cost[n][m] % one;
    *common = lcs[n][m];
}

/* Lengths around the 64 rows of a block; few symbols (many equal), and many. */
static void edits_as_by_the_whole_table(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 200, 300};
    uint32_t a[300], b[300], seed = 1;
    uint64_t match[400] = {0};
    (void)state;
    for (size_t k = 0; k < COUNT(lengths) * COUNT(lengths) * 3; k++) {
        size_t n = lengths[k % COUNT(lengths)], m = lengths[k / COUNT(lengths) % COUNT(lengths)], common, got_common;
        uint32_t symbols = k % 3 == 0 ? 2 : k % 3 == 1 ? 8 : 400;
        uint64_t edits, gaps, got;
        struct error_counts counts = {0};
        for (size_t i = 0; i < 300; i++) {
            seed = seed * 1664525u + 1013904223u;
            a[i] = (seed >> 8) % symbols;
            b[i] = seed >> 30 || i < 2 ? a[i < 2 ? i : i - k % 3] : (seed >> 5) % symbols; /* mostly the same, moved a little */
        }
        edits_by_table(a, n, b, m, &edits, &gaps, &common);
        OK(edit_distance(ctx, &got, a, n, b, m, symbols));
        assert_int_equal(got, edits);
        OK(edits_by_type(ctx, &counts, a, n, b, m, symbols));
        assert_int_equal(counts.errors, edits);
        assert_int_equal(counts.insertions + counts.deletions, gaps);
        assert_int_equal(counts.substitutions, edits - gaps);
        assert_true(counts.insertions - counts.deletions == m - n);
        OK(longest_common_subsequence(ctx, &got_common, a, n, b, m, match));
        assert_int_equal(got_common, common);
    }
    for (size_t i = 0; i < COUNT(match); i++)
        assert_int_equal(match[i], 0);
}

static int stop_at_once(void *user, const char *what, double done, double total)
{
    (void)what, (void)done, (void)total;
    ++*(int *)user;
    return 1;
}

/* Two texts of 20,000 unrelated words took two minutes, deaf to the progress callback. */
static void long_texts_take_seconds_and_can_be_cancelled(void **state)
{
    struct bytes reference = {0}, hypothesis = {0};
    struct error_counts counts = {0};
    uint32_t seed = 7;
    int calls = 0;
    (void)state;
    for (int i = 0; i < 40000; i++) {
        seed = seed * 1664525u + 1013904223u;
        OK(bytes_print(ctx, i % 2 ? &reference : &hypothesis, "w%cx%c ", 'a' + (seed >> 8) % 26, 'a' + (seed >> 16) % 26));
    }
    OK(error_counts_characters(ctx, &counts, reference.data, hypothesis.data));
    assert_int_equal(counts.reference_count, 20000 * 5 - 1);
    assert_in_range(counts.errors, 20000, 60000);
    clio_set_progress(ctx, stop_at_once, &calls);
    FAILS(error_counts_words(ctx, &counts, reference.data, hypothesis.data), CLIO_ERROR_CANCELLED, "comparing texts");
    FAILS(error_counts_characters(ctx, &counts, reference.data, hypothesis.data), CLIO_ERROR_CANCELLED, "comparing texts");
    assert_int_equal(calls, 2);
    OK(error_counts_words(ctx, &counts, "a short text", "asks nobody"));
    clio_set_progress(ctx, NULL, NULL);
    bytes_free(&reference);
    bytes_free(&hypothesis);
}

static void word_and_character_errors(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *hypothesis;
        uint64_t words[4], characters[4];
    } pairs[] = {
        {"And so, my fellow Americans: ask not what your country can do for you!",
         "and so my fellow american ask what your own country can do for you",
         {14, 1, 1, 1},
         {67, 0, 4, 5}},
        {"It's 42 degrees, isn't it?", "its forty two degrees isn't", {6, 2, 0, 1}, {30, 2, 1, 4}},
        {"Thank you.", "", {2, 0, 0, 2}, {9, 0, 0, 9}},
        {"", "thank you very much", {0, 0, 4, 0}, {0, 0, 19, 0}},
        {"the cat sat on the mat", "mat the on sat cat the", {6, 2, 1, 1}, {22, 4, 5, 5}},
        {"a b c d e f g", "x a b d e q g h", {7, 1, 2, 1}, {13, 4, 2, 0}},
        /* non-ASCII, computed by hand */
        {"\xc3\x9c"
         "ber Stra\xc3\x9f"
         "en",
         "\xc3\xbc"
         "ber Strasen",
         {2, 1, 0, 0},
         {12, 1, 0, 0}},
        {"Don\xe2\x80\x99t\xe2\x80\x94stop", "don't stop", {2, 0, 0, 0}, {10, 0, 0, 0}},
    };
    struct error_counts all = {0}, empty = {0};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct error_counts words = {0}, characters = {0};
        OK(error_counts_words(ctx, &words, pairs[i].reference, pairs[i].hypothesis));
        expect_counts(&words, pairs[i].words, pairs[i].reference);
        OK(error_counts_characters(ctx, &characters, pairs[i].reference, pairs[i].hypothesis));
        assert_int_equal(characters.reference_count, pairs[i].characters[0]);
        assert_int_equal(characters.errors, pairs[i].characters[1] + pairs[i].characters[2] + pairs[i].characters[3]);
        OK(error_counts_words(ctx, &all, pairs[i].reference, pairs[i].hypothesis));
    }
    assert_int_equal(all.reference_count, 39);
    NEAR(error_rate(&all), 21.0 / 39, 1e-12);
    assert_true(error_rate(&empty) == 0);
    OK(error_counts_words(ctx, &empty, "?", "well"));
    assert_true(isinf(error_rate(&empty)));
    FAILS(error_counts_words(ctx, &empty, "good", "ba\xff"), CLIO_ERROR_FORMAT, "not valid UTF-8 at byte 2");
}

/* ---- captions ---- */

static const char *const first[] = {"A dog barks two times", "a dog is barking twice in the distance",
                                    "The dog barks, and then barks again"};
static const char *const second[] = {"Rain falls on a roof", "Heavy rain is falling on a tin roof"};
static const char *const third[] = {"A man is speaking while a crowd cheers and birds sing in the background", "a man talks"};
static const char *const fourth[] = {"soft piano music plays", "A t-shirt and music"};
static const char *const fifth[] = {"a car drives by on a wet road"};
static const char *const sixth[] = {"silence"};
static const struct caption_case captions[] = {
    {"A dog barks twice.", first, COUNT(first)},
    {"rain falls on a tin roof while rain falls", second, COUNT(second)},
    {"a man speaks", third, COUNT(third)},
    {"music music music music", fourth, COUNT(fourth)},
    {"a car drives by on a wet road", fifth, COUNT(fifth)},
    {"", sixth, COUNT(sixth)},
};

static void expect_scores(const struct caption_case *cases, size_t count, const double want[6])
{
    struct caption_scores got;
    OK(caption_scores(ctx, &got, cases, count));
    for (int n = 0; n < 4; n++)
        NEAR(got.bleu[n], want[n], 1e-10);
    NEAR(got.rouge_l, want[4], 1e-10);
    NEAR(got.cider_d, want[5], 1e-10);
}

static void caption_metrics(void **state)
{
    (void)state;
    static const double all[] = {0.723686958227586, 0.674841568205411, 0.645165454428966,
                                 0.611173297335526, 0.553887419165197, 2.89212394028391};
    static const double two[] = {0.769230769112426, 0.69965026216891,  0.647882872548517,
                                 0.52796527969873,  0.703328924162258, 2.87484999364673};
    static const char *const bad[] = {"ba\xff"}, *const t_shirt[] = {"the T-shirt -- dog's 2"};
    struct caption_case broken[] = {{"good", bad, 1}, {"good", bad, 0}, {"t-shirt, \"dog\xe2\x80\x99s\" 2-", t_shirt, 1}};
    struct caption_scores scores;
    expect_scores(captions, COUNT(captions), all);
    expect_scores(captions, 2, two);
    OK(caption_scores(ctx, &scores, captions + 4, 1)); /* equal words: all scores are 1, except CIDEr-D, which is 0 for a single case */
    NEAR(scores.bleu[3], 1, 1e-8);
    NEAR(scores.rouge_l, 1, 1e-12);
    assert_true(scores.cider_d == 0);
    OK(caption_scores(ctx, &scores, broken + 2, 1)); /* 3 of 3 words, reference length 4: hyphens and apostrophes count only inside words */
    NEAR(scores.bleu[2], exp(1 - 4.0 / 3), 1e-8);
    FAILS(caption_scores(ctx, &scores, captions, 0), CLIO_ERROR_FORMAT, "no caption");
    FAILS(caption_scores(ctx, &scores, broken, 1), CLIO_ERROR_FORMAT, "not valid UTF-8");
    FAILS(caption_scores(ctx, &scores, broken + 1, 1), CLIO_ERROR_FORMAT, "caption 1 has no reference");
}

/* More n-grams than the initial tables hold. Every caption equals its reference and no other, so all scores are perfect. */
static void caption_metrics_of_many_cases(void **state)
{
    (void)state;
    enum { CASES = 700 };
    static char texts[CASES][80];
    static const char *references[CASES];
    static struct caption_case cases[CASES];
    struct caption_scores scores;
    for (int i = 0; i < CASES; i++) {
        snprintf(texts[i], sizeof texts[i], "a%d b%d c%d d%d e%d", i, i, i, i, i);
        references[i] = texts[i];
        cases[i] = (struct caption_case){texts[i], &references[i], 1};
    }
    OK(caption_scores(ctx, &scores, cases, CASES));
    NEAR(scores.bleu[3], 1, 1e-8);
    NEAR(scores.rouge_l, 1, 1e-12);
    NEAR(scores.cider_d, 10, 1e-12);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(image_metrics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(products_are_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eigenvalues_are_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(roots_are_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(matrices_of_nan_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frechet_distances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frechet_distances_of_few_features, set_up, tear_down),
        cmocka_unit_test_setup_teardown(feature_stats_are_freed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kernel_distances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(word_and_character_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(edits_as_by_the_whole_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_texts_take_seconds_and_can_be_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(caption_metrics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(caption_metrics_of_many_cases, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
