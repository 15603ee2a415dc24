/* test_plot.c - plots and sheets of images: round ticks, where lines lie, what is cut off or left out, text, sizes, enlargement. What is
 * drawn is found again by its colour. Needs no device. */
#include "../support/test_own.h"

#include "../../models/plot/plot_private.h"
#include "../../models/plot/image_grid.h"

#include <math.h>

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
    struct plot_series series[] = {{"falling", steps, falling, 5, true}, {"level", ends, level, 2, true}};
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
    struct plot_series series = {NULL, NULL, y, COUNT_Y, true};
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

/* A noisy line of thousands of points: the smooth line runs in its middle, the pale band around it. A gap of NAN stays a gap. */
static void many_points_are_smoothed(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static double y[MANY];
    static float noise[MANY];
    struct plot_series series = {NULL, NULL, y, MANY, false};
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

/* One outlier in a thousand does not squeeze the rest; it is cut off at the edge. */
static void outliers_are_cut_off(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static double y[MANY];
    struct plot_series series = {NULL, NULL, y, MANY, true};
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
    struct plot_series series[] = {{"one", NULL, one, 1, false},    {"none", NULL, NULL, 0, false},   {"nothing", NULL, nothing, 3, false},
                                   {"same", NULL, same, 3, false},  {"large", NULL, large, 2, false}, {"x", x_same, same, 3, false},
                                   {"small", NULL, small, 2, false}};
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

static void bad_plots_are_refused(void **state)
{
    (void)state;
    static const double y[] = {1, 2, 3}, back[] = {0, 2, 1}, infinite[] = {0, INFINITY, INFINITY}, huge[] = {-1.7e308, 1.7e308, 0};
    struct plot_series series = {"loss", NULL, y, 3, false};
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
    FAILS(plot_draw(ctx, &image, &plot), CLIO_ERROR_ARGUMENT, "at most 16 lines");
}

/* ---- text ---- */

static void text_is_drawn(void **state)
{
    (void)state;
    static const struct colour white = {255, 255, 255}, black = {0, 0, 0};
    char one[2] = " ";
    struct canvas c;
    for (int k = 0; k < 2; k++) { /* each character leaves ink within its own width, upright and turned */
        OK(canvas_new(ctx, &c, "a test", 40, 40, white));
        for (int ch = 33; ch < 127; ch++) {
            int ink = 0, out = 0, width;
            one[0] = (char)ch;
            width = (int)canvas_text_width(one, 1);
            canvas_box(&c, 0, 0, 40, 40, white, 1);
            canvas_text(&c, k ? 25 : 10, k ? 30 : 25, one, 1, false, k == 1, black);
            for (int y = 0; y < 40; y++)
                for (int x = 0; x < 40; x++)
                    if (pixel_at(&c.image, x, y)[0] < 100) {
                        int along = k ? 29 - y : x - 10, up = k ? 24 - x : 24 - y;
                        ink++;
                        out += along < -1 || along > width + 1 || up < -4 || up > 12;
                    }
            if (ink < 1 || out)
                fail_msg("character '%c': %d pixels of ink, %d outside its place", ch, ink, out);
        }
        canvas_free(&c);
    }
    assert_true(canvas_text_width("\xc3\xa9t\xc3\xa9", 1) == canvas_text_width("ete", 1)); /* accents are left away */
    assert_true(canvas_text_width("\xe4\xbd\xa0\xff", 2) == canvas_text_width("??", 2));
    assert_true(canvas_text_width("", 1) == 0);
    OK(canvas_new(ctx, &c, "a test", 30, 30, white)); /* what reaches beyond the edge is cut, wherever it is */
    canvas_line(&c, -1e12, 5, 1e12, 5, 3);
    canvas_line(&c, 10, -1e300, 10, 1e300, 3);
    canvas_line(&c, NAN, 5, 1, INFINITY, 3);
    canvas_paint(&c, black, 1);
    canvas_text(&c, -20, 28, "far too long for this image", 3, true, false, black);
    assert_true(pixel_at(&c.image, 0, 5)[0] == 0 && pixel_at(&c.image, 29, 5)[0] == 0 && pixel_at(&c.image, 20, 12)[0] == 255);
    canvas_free(&c);
}

/* ---- sheets ---- */

static struct image sheet_of(const struct sheet *sheet)
{
    struct image image;
    OK(image_grid_draw(ctx, &image, sheet));
    return image;
}

static void sheets_show_every_pixel(void **state)
{
    (void)state;
    static float pixels[5 * 3 * 2 * 3]; /* [count, height, width, channels] */
    static const char *const labels[] = {"first", NULL, "third"};
    struct sheet sheet = {.pixels = pixels, .count = 5, .height = 3, .width = 2, .low = -1, .high = 1, .columns = 2, .enlarge = 3};
    for (size_t i = 0; i < COUNT(pixels); i++)
        pixels[i] = (float)((int)i % 17 - 8) / 6; /* from below black to beyond white */
    pixels[4] = NAN;
    for (sheet.channels = 1; sheet.channels <= 3; sheet.channels += 2)
        for (int labelled = 0; labelled < 2; labelled++) {
            struct image image;
            int step = 3 * 3 + (labelled ? 32 : 3);
            sheet.labels = labelled ? labels : NULL;
            image = sheet_of(&sheet);
            assert_int_equal(image_grid_rows(&sheet), 3);
            assert_int_equal(image.width, 3 + 2 * 9);
            assert_int_equal(image.height, 3 + 3 * step);
            for (int n = 0; n < 5; n++)
                for (int y = 0; y < 9; y++)
                    for (int x = 0; x < 6; x++)
                        for (int k = 0; k < 3; k++) {
                            int c = sheet.channels == 3 ? k : 0;
                            double value = (double)pixels[((n * 3 + y / 3) * 2 + x / 3) * sheet.channels + c];
                            double want = isnan(value) ? 0 : MIN(MAX((value + 1) / 2, 0), 1) * 255;
                            int got = pixel_at(&image, 3 + n % 2 * 9 + x, 3 + n / 2 * step + y)[k];
                            if (fabs(got - want) > 0.5001)
                                fail_msg("image %d, pixel %d, %d, channel %d is %d, expected %g", n, x / 3, y / 3, k, got, want);
                        }
            assert_int_equal(pixel_at(&image, 1, 1)[0], 255); /* gaps are white, and so is the place of the sixth image */
            assert_int_equal(pixel_at(&image, 15, 3 + 2 * step)[0], 255);
            image_free(&image);
        }
}

static void sheets_have_a_good_size(void **state)
{
    (void)state;
    static float pixels[64 * 64 * 64 * 3];
    static const int cases[][3] = {{64, 28, 0}, {64, 32, 8}, {64, 64, 8}, {100, 28, 0}, {1, 28, 0}}; /* count, side, columns */
    static float one[1200];
    struct sheet sheet = {.pixels = pixels, .channels = 3, .low = 0, .high = 1};
    struct image image;
    for (size_t i = 0; i < COUNT(cases); i++) {
        sheet.count = cases[i][0], sheet.width = sheet.height = cases[i][1], sheet.columns = cases[i][2];
        if (sheet.count * sheet.width * sheet.height * 3 > (int)COUNT(pixels))
            sheet.channels = 1;
        image = sheet_of(&sheet);
        if (image.width < 600 || image.width > 1200)
            fail_msg("%d images of %d pixels make a sheet %d wide", sheet.count, sheet.width, image.width);
        image_free(&image);
    }
    sheet = (struct sheet){.pixels = one, .count = 1, .height = 1, .width = 1200, .channels = 1, .low = 0, .high = 1};
    image = sheet_of(&sheet); /* never made smaller */
    assert_int_equal(image.width, 1204);
    image_free(&image);
    sheet.count = 0;
    FAILS(image_grid_draw(ctx, &image, &sheet), CLIO_ERROR_ARGUMENT, "at least one image");
    sheet.count = 1, sheet.channels = 4;
    FAILS(image_grid_draw(ctx, &image, &sheet), CLIO_ERROR_ARGUMENT, "1 or 3 channels");
    sheet.channels = 1, sheet.high = 0;
    FAILS(image_grid_draw(ctx, &image, &sheet), CLIO_ERROR_ARGUMENT, "white must be the larger");
    sheet.high = 1, sheet.enlarge = 1000;
    FAILS(image_grid_draw(ctx, &image, &sheet), CLIO_ERROR_UNSUPPORTED, "the sheet of images has");
    assert_null(image.rgb);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ticks_are_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_lie_where_they_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scale_is_chosen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_points_are_smoothed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outliers_are_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_data_is_drawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_plots_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_is_drawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sheets_show_every_pixel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sheets_have_a_good_size, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
