/* test_dataset.c - datasets: IDX files, folders of images and of sounds, captions, labels, splits; Fashion-MNIST if its folder is in
 * CLIO_FASHION (downloaded by scripts/fetch-fashion). Needs no device. test_dataset_loader.c tests batches, shuffling and augmentation,
 * test_dataset_bad.c invalid datasets. */
#include "test_dataset.h"

/* ---- IDX ---- */

static void expect_bytes(const struct batch *b, size_t per, int first, int step, bool unit)
{
    for (size_t i = 0; i < (size_t)b->count * per; i++) {
        float x = (float)(unsigned char)((i + b->first * per) * (size_t)step + (size_t)first) / 255.0f;
        assert_float_equal(b->images[i], unit ? x : 2 * x - 1, 1e-6);
    }
}

static void reads_idx(const char *suffix)
{
    char name[64];
    struct loader_options o = plain(4);
    snprintf(name, sizeof name, "train-images-idx3-ubyte%s", suffix);
    put_idx(name, 3, 10, 4, 3, 7);
    snprintf(name, sizeof name, "train-labels-idx1-ubyte%s", suffix);
    put_idx(name, 1, 10, 0, 0, 1);
    put_idx("t10k-images-idx3-ubyte.gz", 3, 5, 4, 3, 3);
    put_idx("t10k-labels-idx1-ubyte", 1, 5, 0, 0, 1);
    struct dataset *ds = open_with(NULL);
    const struct dataset_info *info = dataset_info(ds);
    assert_int_equal(info->type, DATASET_IDX);
    assert_int_equal(info->count[DATASET_TRAIN], 10);
    assert_int_equal(info->count[DATASET_VALIDATION], 0);
    assert_int_equal(info->count[DATASET_TEST], 5);
    assert_true(info->width == 3 && info->height == 4 && info->channels == 1);
    assert_int_equal(info->classes, 10);
    assert_string_equal(info->class_names[9], "9");
    assert_false(info->has_captions);
    assert_int_equal(info->skipped, 0);
    assert_int_equal(dataset_label(ds, DATASET_TEST, 3), 3);
    assert_null(dataset_path(ds, DATASET_TRAIN, 0));
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 0), "");
    for (int unit = 0; unit < 2; unit++) {
        o.unit_range = unit;
        struct loader *l = load_with(ds, DATASET_TRAIN, &o);
        assert_int_equal(loader_batches(l), 3);
        for (int i = 0; i < 3; i++) {
            const struct batch *b = next(l);
            assert_int_equal(b->count, i == 2 ? 2 : 4);
            assert_int_equal(b->first, 4 * i);
            assert_int_equal(b->ends_epoch, i == 2);
            assert_null(b->captions);
            assert_null(b->audio);
            expect_bytes(b, 12, 0, 7, unit);
            for (int k = 0; k < b->count; k++)
                assert_int_equal(b->labels[k], 4 * i + k);
        }
        loader_close(l);
    }
    dataset_close(ds);
}

static void idx_uncompressed(void **state)
{
    (void)state;
    reads_idx("");
}

static void idx_compressed(void **state)
{
    (void)state;
    reads_idx(".gz");
}

/* As 8 x 8 in color: the gray image resized by image_resize. */
static void idx_resized(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    struct image grey, want;
    struct loader_options l = plain(2);
    put_idx("train-images-idx3-ubyte", 3, 2, 5, 5, 9);
    o.width = o.height = 8;
    o.channels = 3;
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->classes, 0);
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    const struct batch *b = next(loader);
    assert_null(b->labels);
    OK(image_new(ctx, &grey, "test", 5, 5));
    for (int i = 0; i < 25; i++)
        memset(grey.rgb + 3 * i, (25 + i) * 9, 3);
    OK(image_resize(ctx, &want, &grey, 8, 8));
    for (int i = 0; i < 8 * 8 * 3; i++)
        assert_float_equal(b->images[8 * 8 * 3 + i], 2.0f * ((float)want.rgb[i] / 255.0f) - 1.0f, 1e-6);
    image_free(&grey);
    image_free(&want);
    loader_close(loader);
    /* Padded: unscaled, in the center. */
    o.resize_mode = DATASET_RESIZE_PAD;
    o.channels = 1;
    o.width = 9;
    struct dataset *padded = open_with(&o);
    l.unit_range = true;
    loader = load_with(padded, DATASET_TRAIN, &l);
    b = next(loader);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 9; x++) {
            bool inside = x >= 2 && x < 7 && y >= 1 && y < 6;
            float byte = inside ? (float)(((y - 1) * 5 + x - 2) * 9) : 0.0f;
            assert_float_equal(b->images[y * 9 + x], byte / 255.0f, 1e-6);
        }
    loader_close(loader);
    dataset_close(padded);
    dataset_close(ds);
}

/* ---- folders of images ---- */

static void expect_shades(const struct batch *b, int i, int seed, int width, int height)
{
    const float *p = b->images + (ptrdiff_t)i * width * height * 3;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++, p++)
                assert_float_equal(*p, 2.0f * ((float)shade(seed, x, y, c) / 255.0f) - 1.0f, 1e-6);
}

static void classes_by_folder(void **state)
{
    (void)state;
    struct loader_options o = plain(8);
    make_folders("dog");
    make_folders("cat");
    make_folders(".hidden");
    put_png("dog/1.png", 6, 5, 10);
    put_png("cat/2.PNG", 6, 5, 20);
    put_png("cat/1.png", 6, 5, 30);
    put_png(".hidden/1.png", 9, 9, 40);
    put_text("README.md", "about");
    put_text("README.txt", "about");
    struct dataset *ds = open_with(NULL);
    const struct dataset_info *info = dataset_info(ds);
    assert_int_equal(info->type, DATASET_IMAGES);
    assert_true(info->width == 6 && info->height == 5 && info->channels == 3);
    assert_int_equal(info->count[DATASET_TRAIN], 3);
    assert_int_equal(info->classes, 2);
    assert_string_equal(info->class_names[0], "cat");
    assert_string_equal(info->class_names[1], "dog");
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    const struct batch *b = next(l);
    assert_int_equal(b->count, 3);
    expect_shades(b, 0, 30, 6, 5);
    expect_shades(b, 1, 20, 6, 5);
    expect_shades(b, 2, 10, 6, 5);
    assert_true(b->labels[0] == 0 && b->labels[1] == 0 && b->labels[2] == 1);
    assert_non_null(strstr(dataset_path(ds, DATASET_TRAIN, 2), "dog/1.png"));
    loader_close(l);
    dataset_close(ds);
}

static void splits_by_folder(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    make_folders("train/a");
    make_folders("train/b");
    make_folders("Val/a");
    make_folders("test/b");
    put_png("train/a/1.png", 4, 4, 1);
    put_png("train/a/2.png", 4, 4, 2);
    put_png("train/b/1.png", 4, 4, 3);
    put_png("Val/a/1.png", 4, 4, 4);
    put_png("test/b/1.png", 4, 4, 5);
    o.validation_split = 0.5; /* ignored: there is a folder validation */
    struct dataset *ds = open_with(&o);
    const struct dataset_info *info = dataset_info(ds);
    assert_int_equal(info->count[DATASET_TRAIN], 3);
    assert_int_equal(info->count[DATASET_VALIDATION], 1);
    assert_int_equal(info->count[DATASET_TEST], 1);
    assert_int_equal(info->classes, 2);
    assert_int_equal(dataset_label(ds, DATASET_TRAIN, 2), 1);
    assert_int_equal(dataset_label(ds, DATASET_VALIDATION, 0), 0);
    assert_int_equal(dataset_label(ds, DATASET_TEST, 0), 1);
    struct loader_options l = plain(1);
    struct loader *loader = load_with(ds, DATASET_TEST, &l);
    expect_shades(next(loader), 0, 5, 4, 4);
    loader_close(loader);
    dataset_close(ds);
}

/* Every name of a folder that makes it a split, beside train. */
static void split_names(void **state)
{
    (void)state;
    static const char *const names[DATASET_SPLITS][5] = {{"Train", "training"}, {"validation", "valid", "VAL", "dev"}, {"test", "testing"}};
    make_folders("train");
    put_png("train/0.png", 4, 4, 0);
    for (int split = 0; split < DATASET_SPLITS; split++)
        for (const char *const *name = names[split]; *name; name++) {
            char path[32];
            snprintf(path, sizeof path, "%s/1.png", *name);
            make_folders(*name);
            put_png(path, 4, 4, 1);
            struct dataset *ds = open_with(NULL);
            for (int s = 0; s < DATASET_SPLITS; s++)
                assert_int_equal(dataset_info(ds)->count[s], (s == split) + (s == DATASET_TRAIN));
            dataset_close(ds);
            remove(in_folder(path));
            remove(in_folder(*name));
        }
}

/* Each resize_mode, against image_resize and an explicit crop. */
static void resize_modes(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    struct image in, want;
    put_png("1.png", 20, 10, 1);
    OK(image_read(ctx, &in, in_folder("1.png")));
    o.width = 6;
    o.height = 6;
    for (int fit = DATASET_RESIZE_CROP; fit <= DATASET_RESIZE_PAD; fit++) {
        int width = fit == DATASET_RESIZE_CROP ? 12 : 6, height = fit == DATASET_RESIZE_PAD ? 3 : 6;
        int left = (width - 6) / 2, top = (height - 6) / 2;
        struct loader_options l = plain(1);
        o.resize_mode = (enum dataset_resize_mode)fit;
        l.unit_range = true;
        struct dataset *ds = open_with(&o);
        struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
        const float *got = next(loader)->images;
        OK(image_resize(ctx, &want, &in, width, height));
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 6; x++)
                for (int c = 0; c < 3; c++) {
                    int row = y + top, column = x + left;
                    bool inside = row >= 0 && row < height && column >= 0 && column < width;
                    float byte = inside ? (float)want.rgb[3 * (row * width + column) + c] : 0.0f;
                    assert_float_equal(got[3 * (6 * y + x) + c], byte / 255.0f, 1e-6);
                }
        image_free(&want);
        loader_close(loader);
        dataset_close(ds);
    }
    image_free(&in);
}

/* Sizes from the headers, equal to those of image_read: golden/image has JPEG and WebP of every type, also with EXIF orientation. */
static void image_sizes(void **state)
{
    (void)state;
    static const char *const names[] = {"source.png"};
    struct dataset_options o = dataset_defaults();
    struct image image;
    char command[1024];
    snprintf(command, sizeof command, "cp %s/tests/golden/image/*.jpg %s/tests/golden/image/*.webp %s/tests/golden/image/%s %s/",
             CLIO_SOURCE_DIR, CLIO_SOURCE_DIR, CLIO_SOURCE_DIR, names[0], folder);
    assert_int_equal(system(command), 0);
    o.width = o.height = 16;
    struct dataset *ds = open_with(&o);
    size_t count = dataset_info(ds)->count[DATASET_TRAIN];
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++) { /* alone in a folder, it sets the size */
        char alone[96];
        const char *path = dataset_path(ds, DATASET_TRAIN, i);
        struct dataset *one;
        snprintf(alone, sizeof alone, "%s/alone", folder);
        snprintf(command, sizeof command, "mkdir -p %s && rm -f %s/* && cp %s %s/", alone, alone, path, alone);
        assert_int_equal(system(command), 0);
        OK(image_read(ctx, &image, path));
        OK(dataset_open(ctx, &one, alone, NULL));
        if (dataset_info(one)->width != image.width || dataset_info(one)->height != image.height)
            fail_msg("%s: %d x %d, expected %d x %d", path, dataset_info(one)->width, dataset_info(one)->height, image.width, image.height);
        image_free(&image);
        dataset_close(one);
    }
    dataset_close(ds);
}

/* ---- captions ---- */

static void captions_jsonl(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    struct loader_options l = plain(3);
    make_folders("images");
    put_png("images/a.png", 4, 4, 1);
    put_png("images/b.png", 4, 4, 2);
    put_png("c.png", 4, 4, 3);
    put_text(
        "metadata.jsonl",
        "\xef\xbb\xbf{\"file_name\": \"images/b.png\", \"text\": \"a \\u00e9clair\", \"label\": 2, \"score\": 0.5, \"source\": \"x\"}\r\n"
        "\n"
        "{\"file_name\": \"./c.png\", \"text\": \"sea\", \"label\": 0, \"tags\": [1, 2], \"good\": true}\n"
        "{\"file_name\": \"images/a.png\", \"text\": \"\", \"label\": 1, \"score\": 2}");
    struct dataset *ds = open_with(NULL);
    const struct dataset_info *info = dataset_info(ds);
    assert_true(info->has_captions);
    assert_int_equal(info->classes, 3);
    assert_int_equal(info->columns, 2);
    assert_string_equal(info->column_names[0], "score");
    assert_string_equal(info->column_names[1], "good");
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    const struct batch *b = next(loader);
    assert_string_equal(b->captions[0], "sea"); /* c.png comes before images/ */
    assert_string_equal(b->captions[1], "");
    assert_string_equal(b->captions[2], "a \xc3\xa9"
                                        "clair");
    assert_true(b->labels[0] == 0 && b->labels[1] == 1 && b->labels[2] == 2);
    assert_true(isnan(b->numbers[0]) && b->numbers[1] == 1);
    assert_true(b->numbers[2] == 2 && isnan(b->numbers[3]));
    assert_true(b->numbers[4] == 0.5f && isnan(b->numbers[5]));
    loader_close(loader);
    dataset_close(ds);
    o.caption = "source";
    ds = open_with(&o);
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 2), "x");
    dataset_close(ds);
    o.caption = "title";
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "no captions in the column \"title\"");
}

static void captions_csv(void **state)
{
    (void)state;
    make_folders("train");
    make_folders("test");
    put_png("train/a.png", 4, 4, 1);
    put_png("train/b.png", 4, 4, 2);
    put_png("train/c.png", 4, 4, 4);
    put_png("test/a.png", 4, 4, 3);
    put_text("train/metadata.csv", "file_name,caption,label,size\r\n"
                                   "a.png,\"one, \"\"two\"\"\nthree\",zebra,3\r\n"
                                   "b.png,42,ant,\r\n"
                                   "c.png,,zebra,1e1");
    put_text("test/metadata.csv", "caption,file_name\nplain,a.png\n\n");
    struct dataset *ds = open_with(NULL);
    const struct dataset_info *info = dataset_info(ds);
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 0), "one, \"two\"\nthree");
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 1), "42");
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 2), "");
    assert_string_equal(dataset_caption(ds, DATASET_TEST, 0), "plain");
    assert_int_equal(info->classes, 2);
    assert_string_equal(info->class_names[0], "ant");
    assert_int_equal(dataset_label(ds, DATASET_TRAIN, 0), 1);
    assert_int_equal(dataset_label(ds, DATASET_TRAIN, 1), 0);
    assert_int_equal(dataset_label(ds, DATASET_TEST, 0), -1);
    assert_int_equal(info->columns, 1);
    struct loader_options l = plain(4);
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    const struct batch *b = next(loader);
    assert_true(b->numbers[0] == 3 && isnan(b->numbers[1]) && b->numbers[2] == 10);
    loader_close(loader);
    dataset_close(ds);
}

static void caption_files(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_png("cat.png", 4, 4, 1);
    put_png("cat.x.png", 4, 4, 2);
    put_png("dog.png", 4, 4, 3);
    put_text("cat.txt", "  a cat\r\n on a   mat \n");
    put_text("cat.x.txt", "another");
    put_text("dog.TXT", "\xef\xbb\xbf"
                        "dog");
    put_text("license.txt", "not a caption");
    o.need_captions = true;
    struct dataset *ds = open_with(&o);
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 0), "a cat on a mat");
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 1), "another");
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 2), "dog");
    dataset_close(ds);
}

/* ---- sounds ---- */

static void sounds(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    struct loader_options l = plain(2);
    put_sound("a.wav", 16000, 500, 0);
    put_sound("b.flac", 16000, 300, 0.25f);
    put_sound("c.wav", 8000, 400, 0.1f);
    put_text("a.txt", "tick");
    put_text("metadata.jsonl",
             "{\"file_name\": \"b.flac\", \"transcription\": \"tock\"}\n{\"file_name\": \"c.wav\", \"sentence\": \"slow\"}\n");
    o.need_captions = true;
    struct dataset *ds = open_with(&o);
    const struct dataset_info *info = dataset_info(ds);
    assert_int_equal(info->type, DATASET_SOUNDS);
    assert_int_equal(info->rate, 16000);
    assert_float_equal(info->seconds, 500.0 / 16000 + 300.0 / 16000 + 400.0 / 8000, 1e-9);
    assert_float_equal(info->longest, 0.05, 1e-9);
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    const struct batch *b = next(loader); /* padded to the longest */
    assert_null(b->images);
    assert_int_equal(b->samples, 500);
    assert_true(b->lengths[0] == 500 && b->lengths[1] == 300);
    assert_string_equal(b->captions[0], "tick");
    assert_string_equal(b->captions[1], "tock");
    for (int i = 0; i < 500; i++) {
        assert_float_equal(b->audio[i], (float)(i % 100) / 200.0f, 1e-4);
        assert_float_equal(b->audio[500 + i], i < 300 ? (float)(i % 100) / 200.0f + 0.25f : 0.0f, 1e-4);
    }
    b = next(loader);
    assert_int_equal(b->samples, 800); /* 400 at half the rate */
    assert_int_equal(b->count, 1);
    assert_string_equal(b->captions[0], "slow");
    loader_close(loader);
    dataset_close(ds);
    o.samples = 400;
    ds = open_with(&o);
    loader = load_with(ds, DATASET_TRAIN, &l);
    b = next(loader);
    assert_int_equal(b->samples, 400);
    assert_true(b->lengths[0] == 400 && b->lengths[1] == 300);
    assert_float_equal(b->audio[399], 99.0f / 200.0f, 1e-4);
    assert_float_equal(b->audio[400 + 299], 99.0f / 200.0f + 0.25f, 1e-4);
    assert_true(b->audio[400 + 300] == 0 && b->audio[799] == 0);
    loader_close(loader);
    /* A random crop: a part of the same sawtooth, at another position in another epoch. */
    l.augment.random_time_crop = true;
    loader = load_with(ds, DATASET_TRAIN, &l);
    float begins[8];
    bool differ = false;
    for (size_t e = 0; e < 8; e++) {
        OK(loader_seek(ctx, loader, e, 0));
        b = next(loader);
        begins[e] = b->audio[0];
        differ = differ || begins[e] != begins[0];
        assert_int_equal(b->lengths[0], 400);
        assert_int_equal(b->lengths[1], 300);
        for (int i = 1; i < 400; i++) {
            float step = b->audio[i] - b->audio[i - 1];
            assert_true(fabsf(step - 0.005f) < 1e-3f || fabsf(step + 99 * 0.005f) < 1e-3f);
        }
    }
    assert_true(differ);
    loader_close(loader);
    dataset_close(ds);
}

/* ---- validation split ---- */

static void validation_split(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    unsigned char first[100], again[100], other[100];
    put_idx("train-images-idx3-ubyte", 3, 100, 1, 1, 1);
    put_idx("train-labels-idx1-ubyte", 1, 100, 0, 0, 1);
    unsigned char *const lists[] = {first, again, other};
    o.validation_split = 0.1;
    for (int k = 0; k < 3; k++) {
        memset(lists[k], 0, 100);
        o.seed = k == 2;
        struct dataset *ds = open_with(&o);
        size_t held_out = dataset_info(ds)->count[DATASET_VALIDATION];
        assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 100 - held_out);
        assert_in_range(held_out, 4, 18);
        for (size_t i = 0; i < held_out; i++)
            lists[k][dataset_label(ds, DATASET_VALIDATION, i)]++;
        for (size_t i = 0; i < 100 - held_out; i++) /* every sample is in exactly one of the two */
            assert_int_equal(lists[k][dataset_label(ds, DATASET_TRAIN, i)], 0);
        dataset_close(ds);
    }
    assert_memory_equal(first, again, 100);
    assert_memory_not_equal(first, other, 100);
}

/* ---- Fashion-MNIST ---- */

static const char *fashion(void)
{
    static char path[512];
    const char *named = getenv("CLIO_FASHION"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (named)
        return named;
    snprintf(path, sizeof path, "%s%s/clio/data/fashion-mnist", data ? data : home ? home : "", data ? "" : "/.local/share");
    if (file_is_folder(path))
        return path;
    if (file_is_folder("/usr/share/datasets/fashion-mnist"))
        return "/usr/share/datasets/fashion-mnist";
    if (getenv("CLIO_REQUIRE"))
        fail_msg("Fashion-MNIST is missing (scripts/fetch-fashion brings it, CLIO_FASHION names its folder)");
    fprintf(stderr, "SKIPPED: Fashion-MNIST is not here (run scripts/fetch-fashion)\n");
    return NULL;
}

/* Its known mean and standard deviation: 0.2860 and 0.3530. */
static void fashion_mnist(void **state)
{
    (void)state;
    struct loader_options o = loader_defaults();
    struct dataset *ds;
    int seen[10] = {0};
    double sum = 0, squares = 0, n = 60000.0 * 784;
    const char *path = fashion();
    if (!path)
        skip();
    OK(dataset_open(ctx, &ds, path, NULL));
    const struct dataset_info *info = dataset_info(ds);
    assert_int_equal(info->count[DATASET_TRAIN], 60000);
    assert_int_equal(info->count[DATASET_TEST], 10000);
    assert_true(info->width == 28 && info->height == 28 && info->classes == 10);
    o.batch = 100;
    o.unit_range = true;
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    assert_int_equal(loader_batches(l), 600);
    for (int i = 0; i < 600; i++) {
        const struct batch *b = next(l);
        for (int k = 0; k < 100; k++)
            seen[b->labels[k]]++;
        for (size_t k = 0; k < 100 * 784; k++) {
            sum += (double)b->images[k];
            squares += (double)b->images[k] * (double)b->images[k];
        }
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(seen[i], 6000);
    assert_float_equal(sum / n, 0.2860, 5e-5);
    assert_float_equal(sqrt(squares / n - sum / n * (sum / n)), 0.3530, 5e-5);
    loader_close(l);
    dataset_close(ds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(idx_uncompressed), TEST(idx_compressed), TEST(idx_resized),   TEST(classes_by_folder),
                                       TEST(splits_by_folder), TEST(split_names),    TEST(resize_modes),  TEST(image_sizes),
                                       TEST(captions_jsonl),   TEST(captions_csv),   TEST(caption_files), TEST(sounds),
                                       TEST(validation_split), TEST(fashion_mnist)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
