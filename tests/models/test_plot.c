/* test_plot.c - plots and image grids: round ticks, where lines lie, what is clipped or left out, the best point, text with and without
 * fonts, sizes, enlargement, captions. What is drawn is found again by its colour. Needs no device. */
#include "../support/test_own.h"

#include "../../models/plot/plot_private.h"
#include "../../models/plot/image_grid.h"

#include <math.h>
#include <time.h>

static const struct colour blue = {0, 105, 180}, orange = {213, 84, 0};

static bool has_colour(const unsigned char *pixel, struct colour c)
{
    return pixel[0] == c.r && pixel[1] == c.g && pixel[2] == c.b;
}

static const unsigned char *pixel_at(const struct image *image, int x, int y)
{
    return image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

/* Where a colour is within rows of the image from `top` on: the smallest rectangle, and how many pixels. */
struct found {
    int x0, y0, x1, y1, count;
};
static struct found find(const struct image *image, struct colour c, int top)
{
    struct found f = {INT32_MAX, INT32_MAX, -1, -1, 0};
    for (int y = top; y < image->height; y++)
        for (int x = 0; x < image->width; x++)
            if (has_colour(pixel_at(image, x, y), c)) {
                f.x0 = MIN(f.x0, x), f.y0 = MIN(f.y0, y), f.x1 = MAX(f.x1, x), f.y1 = MAX(f.y1, y);
                f.count++;
            }
    return f;
}

#define FIELD 75 /* below title and legend */

/* ---- axes ---- */

static void expect_ticks(bool is_log, bool whole, double low, double high, int most, const char *want)
{
    struct plot_axis axis = {.log = is_log, .whole = whole, .low = low, .high = high};
    char got[512] = "";
    plot_ticks(&axis, most);
    for (int i = 0; i < axis.count; i++) {
        assert_true(axis.ticks[i].value >= low - 1e-6 * (high - low) && axis.ticks[i].value <= high + 1e-6 * (high - low));
        if (*axis.ticks[i].label)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", *got ? " " : "", axis.ticks[i].label);
    }
    if (strcmp(got, want))
        fail_msg("ticks from %g to %g are \"%s\", expected \"%s\"", low, high, got, want);
}

static void ticks_are_round(void **state)
{
    (void)state;
    struct plot_axis axis = {.log = true, .low = 0.01, .high = 100};
    expect_ticks(false, false, 0, 1, 5, "0 0.2 0.4 0.6 0.8 1.0");
    expect_ticks(false, false, -0.3, 0.3, 4, "-0.2 0 0.2");
    expect_ticks(false, true, 0, 3, 12, "0 1 2 3");
    expect_ticks(false, false, 0, 3, 12, "0 0.5 1.0 1.5 2.0 2.5 3.0");
    expect_ticks(false, false, 238, 561, 7, "250 300 350 400 450 500 550");
    expect_ticks(false, true, 0, 9000, 5, "0 2000 4000 6000 8000");
    expect_ticks(false, true, 0, 20000, 5, "0 5k 10k 15k 20k");
    expect_ticks(false, true, 0, 2.5e6, 5, "0 0.5M 1.0M 1.5M 2.0M 2.5M");
    expect_ticks(false, false, 0, 4e-6, 4, "0 1e-6 2e-6 3e-6 4e-6");
    expect_ticks(false, false, 99999, 100001, 4, "99999.0 99999.5 100000.0 100000.5 100001.0");
    expect_ticks(true, false, 0.01, 100, 12, "0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 20 50 100");
    expect_ticks(true, false, 0.01, 100, 6, "0.01 0.1 1 10 100");
    expect_ticks(true, false, 1e-9, 1e6, 8, "1e-9 1e-6 0.001 1 1000 1M");
    expect_ticks(true, false, 0.5, 30, 8, "0.5 1 2 5 10 20");
    expect_ticks(true, false, 1.1, 1.9, 4, "1.2 1.4 1.6 1.8");
    assert_true(fabs(plot_place(&axis, 1) - 0.5) < 1e-12 && isnan(plot_place(&axis, -1)));
}

/* ---- lines ---- */

static struct image drawn(const struct plot *plot)
{
    struct image image;
    OK(plot_draw(ctx, &image, plot));
    return image;
}

/* A falling and a level line: both begin left and end right; the one falls from 10 at the top to 1, the other stays at 2. */
static void lines_lie_where_they_should(void **state)
{
    (void)state;
    static const double steps[] = {0, 1, 2, 3, 4}, falling[] = {10, 7.75, 5.5, 3.25, 1}, level[] = {2, 2};
    static const double ends[] = {0, 4};
    struct plot_series series[] = {{"falling", steps, falling, 5, true, PLOT_BEST_NONE}, {"level", ends, level, 2, true, PLOT_BEST_NONE}};
    struct plot plot = {.title = "Title", .x_label = "step", .y_label = "loss", .series = series, .count = 2, .y_scale = PLOT_LINEAR};
    struct image image = drawn(&plot);
    struct found b = find(&image, blue, FIELD), o = find(&image, orange, FIELD);
    assert_true(image.width == PLOT_WIDTH && image.height == PLOT_HEIGHT);
    assert_true(b.x0 < 110 && b.x1 > 920 && b.y0 < 110 && b.y1 > 440);
    assert_true(o.x0 < 110 && o.x1 > 920 && o.y1 - o.y0 < 12 && abs((o.y0 + o.y1) / 2 - (b.y0 + 3 + (b.y1 - b.y0 - 6) * 8 / 9)) <= 2);
    for (int i = 0; i < 2; i++) { /* the legend shows both colours */
        struct found legend = find(&image, i ? orange : blue, 0);
        assert_true(legend.y0 < FIELD);
    }
    for (int quarter = 1; quarter < 4; quarter++) { /* on the straight line between its ends */
        int x = b.x0 + 3 + (b.x1 - b.x0 - 6) * quarter / 4, y = b.y0 + 3 + (b.y1 - b.y0 - 6) * quarter / 4, hits = 0;
        for (int dy = -4; dy <= 4; dy++)
            hits += has_colour(pixel_at(&image, x, y + dy), blue);
        assert_true(hits >= 2);
    }
    image_free(&image);
}

/* Exponential decay over 2 1/2 decades is straight when y is logarithmic, which it becomes by itself. */
static void scale_is_chosen(void **state)
{
    (void)state;
    enum { COUNT_Y = 50 };
    double y[COUNT_Y];
    struct plot_series series = {NULL, NULL, y, COUNT_Y, true, PLOT_BEST_NONE};
    struct plot plot = {.series = &series, .count = 1};
    for (int is_log = 0; is_log < 3; is_log++) {
        struct image image;
        struct found all;
        int middle = 0, hits = 0;
        for (int i = 0; i < COUNT_Y; i++)
            y[i] = is_log == 1 ? exp(-0.12 * i) : is_log ? exp(-0.12 * i) - 0.001 * i : 1 + exp(-0.12 * i);
        image = drawn(&plot);
        all = find(&image, blue, 0);
        for (int py = all.y0; py <= all.y1; py++)
            if (has_colour(pixel_at(&image, (all.x0 + all.x1) / 2, py), blue))
                middle += py, hits++;
        assert_true(hits > 0);
        middle = middle / hits - (all.y0 + all.y1) / 2; /* below 0: above the straight line between the ends */
        assert_true(is_log == 1 ? abs(middle) < 5 : middle > 60);
        image_free(&image);
    }
}

/* A noisy line of thousands of points: the smoothed line runs in its middle, the pale band around it. A gap of NAN stays a gap. */
static void many_points_are_smoothed(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static double y[MANY];
    static float noise[MANY];
    struct plot_series series = {NULL, NULL, y, MANY, false, PLOT_BEST_NONE};
    struct plot plot = {.series = &series, .count = 1};
    struct image image, exact;
    struct found line;
    int in_gap = 0;
    test_random(noise, MANY, 5);
    for (int i = 0; i < MANY; i++)
        y[i] = i > 9000 && i < 11000 ? NAN : 3 + (double)noise[i];
    image = drawn(&plot);
    line = find(&image, blue, 0);
    assert_true(line.x0 < 60 && line.x1 > 920 && line.y1 - line.y0 < 60); /* of 520 */
    for (int row = 0; row < image.height; row++)
        for (int x = line.x0 + (line.x1 - line.x0) * 47 / 100; x < line.x0 + (line.x1 - line.x0) * 53 / 100; x++)
            in_gap += pixel_at(&image, x, row)[2] > pixel_at(&image, x, row)[0] + 20; /* bluish */
    assert_int_equal(in_gap, 0);
    series.exact = true;
    exact = drawn(&plot);
    assert_true(find(&exact, blue, 0).count > 20 * line.count);
    image_free(&image);
    image_free(&exact);
}

/* One outlier in a thousand does not squeeze the rest; it is clipped at the edge. */
static void outliers_are_clipped(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static double y[MANY];
    struct plot_series series = {NULL, NULL, y, MANY, true, PLOT_BEST_NONE};
    struct plot plot = {.series = &series, .count = 1};
    struct image image;
    int rows = 0;
    for (int i = 0; i < MANY; i++)
        y[i] = sin(0.02 * i);
    y[500] = -4000;
    image = drawn(&plot);
    for (int row = 0; row < image.height; row++) {
        int hits = 0;
        for (int x = 0; x < image.width; x++)
            hits += has_colour(pixel_at(&image, x, row), blue) || pixel_at(&image, x, row)[2] > pixel_at(&image, x, row)[0] + 90;
        rows += hits >= 5;
    }
    assert_true(rows > 250);
    image_free(&image);
}

static void odd_data_is_drawn(void **state)
{
    (void)state;
    double one[] = {0.5}, nothing[] = {NAN, INFINITY, -INFINITY}, same[] = {0, 0, 0}, large[] = {1e30, -1e30}, x_same[] = {7, 7, 7};
    double small[] = {1e-290, 1e-280};
    struct plot_series series[] = {{"one", NULL, one, 1, false, PLOT_BEST_NONE},         {"none", NULL, NULL, 0, false, PLOT_BEST_NONE},
                                   {"nothing", NULL, nothing, 3, false, PLOT_BEST_NONE}, {"same", NULL, same, 3, false, PLOT_BEST_NONE},
                                   {"large", NULL, large, 2, false, PLOT_BEST_NONE},     {"x", x_same, same, 3, false, PLOT_BEST_NONE},
                                   {"small", NULL, small, 2, false, PLOT_BEST_NONE}};
    for (int scale = PLOT_AUTO; scale <= PLOT_LOG; scale++)
        for (size_t i = 0; i < COUNT(series); i++) {
            struct plot plot = {
                .title = "?", .series = &series[i], .count = 1, .y_scale = (enum plot_scale)scale, .width = 320, .height = 200};
            struct image image = drawn(&plot);
            bool shown = (i == 0 || i > 2) && (scale != PLOT_LOG || i == 0 || i == 4 || i == 6);
            assert_true((find(&image, blue, 60).count > 0) == shown);
            image_free(&image);
        }
}

/* A million points take no longer than a few passes over them. */
static void a_million_points_are_drawn(void **state)
{
    (void)state;
    enum { MILLION = 1000000 };
    double *y = malloc(MILLION * sizeof *y), seconds;
    struct plot_series series[] = {{"loss", NULL, y, MILLION, false, PLOT_BEST_NONE}, {"exact", NULL, y, MILLION, true, PLOT_BEST_LOWEST}};
    struct plot plot = {.series = series, .count = 2};
    struct timespec start, end;
    struct image image;
    assert_non_null(y);
    for (int i = 0; i < MILLION; i++)
        y[i] = i % 1000 == 7 ? NAN : 2 + sin(i * 0.7) + i * 1e-6;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    image = drawn(&plot);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    assert_true(seconds < 20); /* a second, with sanitizers some */
    assert_true(find(&image, orange, FIELD).count > 10000);
    image_free(&image);
    free(y);
}

/* Nothing but the lines' own colour lies in the plot area, and all text outside of it. */
static void text_stays_outside_the_plot_area(void **state)
{
    (void)state;
    static const double ranges[][2] = {{0, 1}, {-3e-7, 4e-7}, {1e-9, 1e6}, {99999, 100001}, {-1e12, 3e12}};
    static const int sizes[][2] = {{320, 200}, {960, 600}, {1920, 1200}, {400, 1000}};
    for (size_t i = 0; i < COUNT(ranges); i++)
        for (size_t k = 0; k < COUNT(sizes); k++) {
            double x[] = {99999.5, 100002}, y[] = {ranges[i][0], ranges[i][1]};
            struct plot_series series = {"a name that is rather long for the legend of a small plot", x, y, 2, true, PLOT_BEST_NONE};
            struct plot plot = {.title = "A title", .x_label = "step", .y_label = "loss (nats)", .series = &series, .count = 1};
            struct drawing d = {.plot = &plot, .unit = 1};
            struct image image;
            int row = -1, dark = 0;
            plot.width = sizes[k][0], plot.height = sizes[k][1];
            image = drawn(&plot);
            for (int py = image.height - 1; py > 0 && row < 0; py--) { /* the x axis: the longest grey line */
                int grey = 0;
                for (int px = 0; px < image.width; px++)
                    grey += has_colour(pixel_at(&image, px, py), plot_grey);
                row = grey > image.width / 2 ? py : row;
            }
            assert_true(row > image.height / 2);
            d.left = d.right = image.width / 2; /* a tick label may stand in this row as well */
            while (d.left > 0 && has_colour(pixel_at(&image, d.left - 1, row), plot_grey))
                d.left--;
            while (d.right + 1 < image.width && has_colour(pixel_at(&image, d.right + 1, row), plot_grey))
                d.right++;
            assert_true(d.left < image.width / 2 && d.right > image.width - 80);
            for (int py = row - image.height / 5; py < row - 1; py++)
                for (int px = d.left; px <= d.right; px++)
                    dark += pixel_at(&image, px, py)[0] < 200 && pixel_at(&image, px, py)[2] < 120; /* grey or black */
            assert_int_equal(dark, 0);
            image_free(&image);
        }
}

/* A ring of the series' colour around a white disc at the best point; nothing where there is no value. */
static void best_points_are_marked(void **state)
{
    (void)state;
    double y[] = {3, 2, NAN, 1, 1, 2.5}, nothing[] = {NAN, NAN};
    for (int best = PLOT_BEST_NONE; best <= PLOT_BEST_HIGHEST; best++) {
        struct plot_series series = {"loss", NULL, y, COUNT(y), true, (enum plot_best)best};
        struct plot plot = {.series = &series, .count = 1, .y_scale = PLOT_LINEAR};
        struct image image = drawn(&plot);
        struct found all = find(&image, blue, FIELD);
        /* x from 0 to 5: markers and rings stand out to both sides; lowest value 1 at x = 3, highest 3 at x = 0 */
        double left = all.x0 + (best == PLOT_BEST_HIGHEST ? 6.2 : 3.3), right = all.x1 - 3.3;
        int x = (int)(left + (right - left) * (best == PLOT_BEST_LOWEST ? 3.0 / 5 : 0)),
            y0 = best == PLOT_BEST_LOWEST ? all.y1 - 6 : all.y0 + 6;
        int whites = 0, ink = 0;
        for (int py = y0 - 3; py <= y0 + 3; py++)
            for (int px = x - 3; px <= x + 3; px++)
                whites += has_colour(pixel_at(&image, px, py), (struct colour){255, 255, 255});
        for (int py = 42; py < image.height - 52; py++) /* below the legend, above the tick labels */
            for (int px = all.x0 + 4; px < all.x1; px++)
                ink +=
                    pixel_at(&image, px, py)[2] < 120 && !has_colour(pixel_at(&image, px, py), plot_grey); /* darker than line and axis */
        if (whites <= 15 && best != PLOT_BEST_NONE)
            fail_msg("best %d: %d white pixels around %d, %d", best, whites, x, y0);
        if ((ink > 5) != (best != PLOT_BEST_NONE)) /* its label */
            fail_msg("best %d: %d pixels of ink", best, ink);
        image_free(&image);
        series.y = nothing, series.count = 2;
        image = drawn(&plot);
        assert_int_equal(find(&image, blue, FIELD).count, 0);
        image_free(&image);
    }
}

/* Series beyond the seventh have the same colours dashed. */
static void colours_repeat_dashed(void **state)
{
    (void)state;
    double low[] = {1, 1}, high[] = {2, 2}, other[] = {1.5, 1.5}, x[] = {0, 10};
    struct plot_series series[8];
    struct plot plot = {.series = series, .count = 8, .y_scale = PLOT_LINEAR};
    struct image image;
    int most[2] = {0, 0}; /* pixels of the colour in one row of the upper and of the lower half */
    for (int k = 0; k < 8; k++)
        series[k] = (struct plot_series){NULL, x, k == 0 ? high : k == 7 ? low : other, 2, true, PLOT_BEST_NONE};
    image = drawn(&plot);
    for (int py = 0; py < image.height; py++) {
        int count = 0;
        for (int px = 0; px < image.width; px++)
            count += has_colour(pixel_at(&image, px, py), blue);
        most[py > image.height / 2] = MAX(most[py > image.height / 2], count);
    }
    assert_true(most[0] > 800 && most[1] > 300 && most[1] < 700);
    image_free(&image);
}

/* The plot areas of both begin in one column, which the wider tick labels of one of them need. */
static void plots_are_stacked(void **state)
{
    (void)state;
    static const double y[] = {1, 2, 3}, wide[] = {1000000, 1000001, 1000002};
    struct plot_series series[] = {{NULL, NULL, y, 3, true, PLOT_BEST_NONE}, {NULL, NULL, wide, 3, true, PLOT_BEST_NONE}};
    struct plot plots[] = {{.series = &series[0], .count = 1, .height = 300},
                           {.title = "2", .series = &series[1], .count = 1, .height = 240}};
    struct image image, one;
    struct found upper, all, alone;
    OK(plot_draw_stacked(ctx, &image, plots, 2));
    assert_true(image.width == PLOT_WIDTH && image.height == 540);
    all = find(&image, blue, 0);
    image.height = 300;
    upper = find(&image, blue, 0);
    image.height = 540;
    one = drawn(&plots[0]);
    alone = find(&one, blue, 0);
    assert_true(upper.x0 == all.x0 && upper.x1 == all.x1 && alone.x0 < upper.x0 - 20);
    image_free(&one);
    one = drawn(&plots[1]);
    assert_memory_equal(image.rgb + (size_t)300 * PLOT_WIDTH * 3, one.rgb, (size_t)240 * PLOT_WIDTH * 3);
    image_free(&one);
    image_free(&image);
    plots[1].width = 500;
    FAILS(plot_draw_stacked(ctx, &image, plots, 2), CLIO_ERROR_ARGUMENT, "give all one width");
    assert_null(image.rgb);
    FAILS(plot_draw_stacked(ctx, &image, plots, 0), CLIO_ERROR_ARGUMENT, "at least 1");
}

static void bad_plots_are_refused(void **state)
{
    (void)state;
    static const double y[] = {1, 2, 3}, back[] = {0, 2, 1}, infinite[] = {0, INFINITY, INFINITY}, huge[] = {-1.7e308, 1.7e308, 0};
    struct plot_series series = {"loss", NULL, y, 3, false, PLOT_BEST_NONE};
    struct plot plot = {.series = &series, .count = 1, .width = 319, .height = 300};
    struct image image;
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_ARGUMENT, "at least 320 x 200");
    assert_null(image.rgb);
    plot.width = 40000;
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_UNSUPPORTED, "the plot has 40000 x 300 pixels");
    plot.width = 0;
    series.x = back;
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_ARGUMENT, "\"loss\" of a plot cannot be drawn: x of its point 2 is 1, after 2");
    series.x = infinite;
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_ARGUMENT, "x of its point 1 is inf");
    series.x = NULL;
    series.y = huge;
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_ARGUMENT, "too large");
    plot.count = PLOT_SERIES_MAX + 1;
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_ARGUMENT, "at most 16 series");
}

/* ---- text ---- */

static const struct colour white = {255, 255, 255};

static bool is_ink(const struct image *image, int x, int y)
{
    return pixel_at(image, x, y)[0] < 110;
}

/* One text at (60, 60) on 120 x 120 pixels: the box of its ink. */
static struct found ink_of(const struct surface_text *text)
{
    struct surface s;
    struct image image;
    struct found f = {INT32_MAX, INT32_MAX, -1, -1, 0};
    OK(surface_new(ctx, &s, "a test", 120, 120, white));
    surface_write(&s, 60, 60, text);
    OK(surface_to_image(ctx, &s, &image));
    for (int y = 0; y < 120; y++)
        for (int x = 0; x < 120; x++)
            if (is_ink(&image, x, y)) {
                f.x0 = MIN(f.x0, x), f.y0 = MIN(f.y0, y), f.x1 = MAX(f.x1, x), f.y1 = MAX(f.y1, y);
                f.count++;
            }
    image_free(&image);
    surface_free(&s);
    return f;
}

static double width_of(const char *words, double most)
{
    struct surface_text text = {.text = words, .size = 13, .most = most};
    struct surface s;
    double width;
    OK(surface_new(ctx, &s, "a test", 40, 40, white));
    width = surface_text_width(&s, &text);
    surface_free(&s);
    return width;
}

static void text_is_drawn(void **state)
{
    (void)state;
    char one[2] = " ";
    for (int ch = 33; ch < 127; ch++) { /* each character leaves ink within its own width, upright and rotated */
        struct surface_text text = {.text = one, .size = 16};
        struct found f;
        int width;
        one[0] = (char)ch;
        width = (int)ceil(width_of(one, 0) * 16 / 13);
        f = ink_of(&text);
        if (f.count < 1 || f.x0 < 58 || f.x1 > 61 + width || f.y0 < 43 || f.y1 > 65)
            fail_msg("character '%c': %d pixels of ink in %d, %d .. %d, %d", ch, f.count, f.x0, f.y0, f.x1, f.y1);
        text.upwards = true;
        f = ink_of(&text);
        if (f.count < 1 || f.y1 > 61 || f.y0 < 58 - width || f.x0 < 43 || f.x1 > 65)
            fail_msg("character '%c' upwards: %d pixels of ink in %d, %d .. %d, %d", ch, f.count, f.x0, f.y0, f.x1, f.y1);
    }
    struct surface_text text = {.text = "loss", .size = 16};
    struct found start = ink_of(&text), middle, end;
    text.align = 0.5;
    middle = ink_of(&text);
    text.align = 1;
    end = ink_of(&text);
    assert_true(start.x0 >= 60 && end.x1 <= 61 && abs(60 - middle.x0 - (middle.x1 - 60)) <= 3);
    text.bold = true;
    assert_true(ink_of(&text).count > end.count || getenv("CLIO_TEST_NO_FONT"));
    assert_true(width_of("", 0) == 0 && ink_of(&(struct surface_text){.text = "", .size = 16}).count == 0);
    assert_true(width_of("a\nb\x7f", 0) == width_of("a b ", 0));
    assert_true(width_of("\xff\xc3", 0) == width_of("??", 0)); /* no UTF-8 */
    assert_true(width_of("a long name of a series", 60) <= 60 && width_of("a long name of a series", 60) > 35);
    assert_true(width_of("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 30) <= 30); /* cut between characters */
    assert_true(width_of("abc", 1) == width_of("...", 0));
    char large[2000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    assert_true(width_of(large, 200) <= 200 && width_of(large, 0) > 1000);
}

/* Without any font fontconfig finds none, and cairo's own one is used: this test and the odd plots once more in a process like that. */
static void text_needs_no_font(void **state)
{
    (void)state;
    char command[600];
    put("fonts.conf", "<fontconfig></fontconfig>", 25);
    snprintf(command, sizeof command,
             "CLIO_TEST_NO_FONT=1 FONTCONFIG_FILE=%s/fonts.conf %s/tests/test_plot >%s/log 2>&1 || { cat %s/log; false; }", folder,
             CLIO_BUILD_DIR, folder, folder);
    assert_int_equal(system(command), 0);
}

static void bad_surfaces_are_refused(void **state)
{
    (void)state;
    struct surface s;
    struct image image;
    FAILS(surface_new(ctx, &s, "a test", 0, 5, white), CLIO_ERROR_ARGUMENT, "a test would be 0 x 5");
    FAILS(surface_new(ctx, &s, "a test", 32768, 32768, white), CLIO_ERROR_UNSUPPORTED, "a test has 32768 x 32768");
    FAILS(surface_new(ctx, &s, "a test", 32768, 1, white), CLIO_ERROR_MEMORY, "cannot be drawn: "); /* one pixel more than cairo takes */
    assert_null(s.cr);
    OK(surface_new(ctx, &s, "a test", 4, 4, white));
    cairo_restore(s.cr); /* an error of cairo stays until the end */
    FAILS(surface_to_image(ctx, &s, &image), CLIO_ERROR_INTERNAL, "cairo: ");
    assert_null(image.rgb);
    surface_free(&s);
}

/* ---- image grids ---- */

static struct image grid_of(const struct image_grid *grid)
{
    struct image image;
    OK(image_grid_draw(ctx, &image, grid));
    return image;
}

static void grids_show_every_pixel(void **state)
{
    (void)state;
    static float pixels[5 * 3 * 2 * 3]; /* [count, height, width, channels] */
    static const char *const captions[] = {"first", NULL, "third", "fourth", "fifth"};
    struct image_grid grid = {.pixels = pixels, .count = 5, .height = 3, .width = 2, .low = -1, .high = 1, .columns = 2, .enlarge = 30};
    for (size_t i = 0; i < COUNT(pixels); i++)
        pixels[i] = (float)((int)i % 17 - 8) / 6; /* from below black to beyond white */
    pixels[4] = NAN;
    for (grid.channels = 1; grid.channels <= 3; grid.channels += 2)
        for (int captioned = 0; captioned < 2; captioned++) {
            struct image image;
            int step = 3 * 30 + (captioned ? 24 : 4);
            grid.captions = captioned ? captions : NULL;
            image = grid_of(&grid);
            assert_int_equal(image_grid_rows(&grid), 3);
            assert_int_equal(image.width, 4 + 2 * 64);
            assert_int_equal(image.height, 4 + 3 * step);
            for (int n = 0; n < 5; n++) {
                int left = 4 + n % 2 * 64, top = 4 + n / 2 * step, ink = 0;
                for (int y = 0; y < 90; y++)
                    for (int x = 0; x < 60; x++)
                        for (int k = 0; k < 3; k++) {
                            int c = grid.channels == 3 ? k : 0;
                            double value = (double)pixels[((n * 3 + y / 30) * 2 + x / 30) * grid.channels + c];
                            double want = isnan(value) ? 0 : MIN(MAX((value + 1) / 2, 0), 1) * 255;
                            int got = pixel_at(&image, left + x, top + y)[k];
                            if (fabs(got - want) > 0.5001)
                                fail_msg("image %d, pixel %d, %d, channel %d is %d, expected %g", n, x / 30, y / 30, k, got, want);
                        }
                for (int y = 90; y < step; y++) /* the caption lies below its image and within its width */
                    for (int x = -4; x < 64; x++) {
                        bool inside = x >= 0 && x < 60;
                        ink += inside && is_ink(&image, left + x, top + y);
                        assert_true(inside || !is_ink(&image, left + x, top + y));
                    }
                assert_true((ink > 0) == (captioned && captions[n] != NULL));
            }
            assert_int_equal(pixel_at(&image, 1, 1)[0], 255); /* gaps are white, and so is the place of the sixth image */
            assert_int_equal(pixel_at(&image, 70, 4 + 2 * step)[0], 255);
            image_free(&image);
        }
}

static void grids_have_a_good_size(void **state)
{
    (void)state;
    static float pixels[64 * 64 * 64 * 3];
    static const int cases[][3] = {{64, 28, 0}, {64, 32, 8}, {64, 64, 8}, {100, 28, 0}, {1, 28, 0}}; /* count, side, columns */
    static float one[1200];
    struct image_grid grid = {.pixels = pixels, .channels = 3, .low = 0, .high = 1};
    struct image image;
    for (size_t i = 0; i < COUNT(cases); i++) {
        grid.count = cases[i][0], grid.width = grid.height = cases[i][1], grid.columns = cases[i][2];
        if (grid.count * grid.width * grid.height * 3 > (int)COUNT(pixels))
            grid.channels = 1;
        image = grid_of(&grid);
        if (image.width < 600 || image.width > 1200)
            fail_msg("%d images of %d pixels make a grid %d wide", grid.count, grid.width, image.width);
        image_free(&image);
    }
    grid = (struct image_grid){.pixels = one, .count = 1, .height = 1, .width = 1200, .channels = 1, .low = 0, .high = 1};
    image = grid_of(&grid); /* never made smaller */
    assert_int_equal(image.width, 1204);
    image_free(&image);
    grid.count = 0;
    FAILS(image_grid_draw(ctx, &image, &grid), CLIO_ERROR_ARGUMENT, "at least one image");
    grid.count = 1, grid.channels = 4;
    FAILS(image_grid_draw(ctx, &image, &grid), CLIO_ERROR_ARGUMENT, "1 or 3 channels");
    grid.channels = 1, grid.high = 0;
    FAILS(image_grid_draw(ctx, &image, &grid), CLIO_ERROR_ARGUMENT, "white must be the larger");
    grid.high = 1, grid.enlarge = 1000;
    FAILS(image_grid_draw(ctx, &image, &grid), CLIO_ERROR_UNSUPPORTED, "the image grid has");
    assert_null(image.rgb);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(ticks_are_round),
        TEST(lines_lie_where_they_should),
        TEST(scale_is_chosen),
        TEST(many_points_are_smoothed),
        TEST(outliers_are_clipped),
        TEST(a_million_points_are_drawn),
        TEST(text_stays_outside_the_plot_area),
        TEST(best_points_are_marked),
        TEST(colours_repeat_dashed),
        TEST(plots_are_stacked),
        TEST(bad_plots_are_refused),
        TEST(bad_surfaces_are_refused),
        TEST(text_needs_no_font),
        TEST(grids_show_every_pixel),
        TEST(grids_have_a_good_size),
        TEST(odd_data_is_drawn),
        TEST(text_is_drawn),
    };
    static const struct CMUnitTest without_fonts[] = {TEST(odd_data_is_drawn), TEST(text_is_drawn)};
    if (getenv("CLIO_TEST_NO_FONT"))
        return cmocka_run_group_tests(without_fonts, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
