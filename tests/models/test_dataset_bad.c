/* test_dataset_bad.c - invalid datasets: each gives an error that names the file or, with skip_corrupt, the sample is skipped and counted.
 * Needs no device. */
#include "test_dataset.h"

static struct dataset_options skip_corrupt_options(void)
{
    struct dataset_options o = dataset_defaults();
    o.skip_corrupt = true;
    return o;
}

/* With skip_corrupt, `good` samples remain and `skipped` are skipped, the first with an error that has `part`. */
static void expect_skipped(struct dataset_options o, size_t good, size_t skipped, const char *part)
{
    o.skip_corrupt = true;
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], good);
    assert_int_equal(dataset_info(ds)->skipped, skipped);
    if (!strstr(dataset_info(ds)->first_skipped, part))
        fail_msg("expected \"%s\": %s", part, dataset_info(ds)->first_skipped);
    dataset_close(ds);
}

/* ---- folders ---- */

static void no_folder(void **state)
{
    (void)state;
    struct dataset *ds;
    FAILS(dataset_open(ctx, &ds, in_folder("none"), NULL), CLIO_ERROR_FILE, "there is no folder");
    assert_null(ds);
    put_text("file", "x");
    FAILS(dataset_open(ctx, &ds, in_folder("file"), NULL), CLIO_ERROR_FILE, "is a file");
    dataset_close(NULL);
    loader_close(NULL);
}

static void empty_folder(void **state)
{
    (void)state;
    REFUSED(NULL, BAD, "contains no dataset files");
    make_folders("deep/er");
    put_text("deep/er/notes.doc", "x");
    put_text("a.txt", "a caption");
    put_text("metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": \"a\"}\n");
    REFUSED(NULL, BAD, "contains no dataset files");
}

static void images_and_sounds(void **state)
{
    (void)state;
    put_png("a.png", 4, 4, 1);
    put_sound("b.wav", 16000, 100, 0);
    REFUSED(NULL, BAD, "has images (a.png) and sounds (b.wav)");
}

static void file_next_to_splits(void **state)
{
    (void)state;
    make_folders("train");
    put_png("train/a.png", 4, 4, 1);
    put_png("b.png", 4, 4, 2);
    REFUSED(NULL, BAD, "b.png is next to the folder train");
}

/* A link to a parent folder is not followed. */
static void cyclic_link(void **state)
{
    (void)state;
    make_folders("train");
    put_png("train/a.png", 4, 4, 1);
    assert_int_equal(symlink("..", in_folder("train/again")), 0);
    assert_int_equal(symlink("nowhere", in_folder("train/lost")), 0);
    struct dataset *ds = open_with(NULL);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
    dataset_close(ds);
    assert_int_equal(symlink("nowhere", in_folder("train/lost.png")), 0);
    REFUSED(NULL, CLIO_ERROR_FILE, "lost.png cannot be read");
}

static void mixed_sizes(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_png("a.png", 8, 4, 1);
    put_png("b.png", 8, 4, 2);
    put_png("c.png", 4, 8, 3);
    REFUSED(NULL, BAD, "a.png has 8 x 4 pixels");
    REFUSED(NULL, BAD, "c.png 4 x 8");
    o.width = o.height = 4;
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 3);
    dataset_close(ds);
}

static void damaged_images(void **state)
{
    (void)state;
    struct loader_options l = plain(3);
    const struct batch *b;
    put_png("a.png", 16, 16, 1);
    put_cut_png("b.png", 2, 0.6);
    put_png("c.png", 16, 16, 3);
    REFUSED(NULL, BAD, "b.png is cut short");
    expect_skipped(skip_corrupt_options(), 2, 1, "b.png is cut short");
    put_text("b.png", "");
    REFUSED(NULL, BAD, "b.png is empty");
    expect_skipped(skip_corrupt_options(), 2, 1, "b.png is empty");
    put_text("b.png", "hello, world");
    REFUSED(NULL, BAD, "b.png is not an image");
    remove(in_folder("b.png"));
    put("d.webp", "RIFF\0\0\0\0WEBPVP8 ", 16);
    REFUSED(NULL, BAD, "d.webp is a broken WebP file");
    expect_skipped(skip_corrupt_options(), 2, 1, "d.webp");
    remove(in_folder("d.webp"));
    /* One byte of the pixels differs: the checksum is wrong. */
    size_t size;
    unsigned char *data = read_file(in_folder("c.png"), &size);
    data[size / 2] ^= 1;
    put("c.png", data, size);
    free(data);
    REFUSED(NULL, BAD, "c.png is a broken PNG file");
    /* The good samples can still be used. */
    struct dataset_options o = skip_corrupt_options();
    struct dataset *ds = open_with(&o);
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    OK(loader_next(ctx, loader, &b));
    assert_int_equal(b->count, 1);
    assert_float_equal(b->images[0], 2.0f * (float)shade(1, 0, 0, 0) / 255.0f - 1.0f, 1e-6);
    loader_close(loader);
    dataset_close(ds);
    put_cut_png("a.png", 1, 0.5);
    o = skip_corrupt_options();
    REFUSED(&o, BAD, "can be used; the first error:");
}

static void damaged_jpeg(void **state)
{
    (void)state;
    size_t size;
    struct dataset_options o = dataset_defaults();
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/image/colour.jpg", CLIO_SOURCE_DIR);
    if (!file_exists(path))
        fail_msg("%s is missing", path);
    unsigned char *data = read_file(path, &size);
    put_png("a.png", 16, 16, 1);
    o.width = o.height = 8;
    put("b.jpg", data, size);
    struct dataset *ds = open_with(&o);
    dataset_close(ds);
    put("b.jpg", data, size * 2 / 3);
    REFUSED(&o, BAD, "b.jpg is cut short");
    expect_skipped(o, 1, 1, "b.jpg is cut short");
    data[size / 2] = 0xff; /* the pixels end in the middle, but an end marker follows */
    data[size / 2 + 1] = 0xd9;
    put("b.jpg", data, size / 2 + 2);
    REFUSED(&o, BAD, "b.jpg is cut short");
    free(data);
}

/* A file that is complete but cannot be decoded: an error when it is loaded. */
static void damaged_after_opening(void **state)
{
    (void)state;
    for (int prefetch = -1; prefetch <= 2; prefetch += 3) {
        struct loader_options l = plain(2);
        const struct batch *b;
        put_png("a.png", 16, 16, 1);
        put_png("b.png", 16, 16, 2);
        put_spoilt_png("c.png", 3);
        put_png("d.png", 16, 16, 4);
        l.prefetch = prefetch;
        struct dataset *ds = open_with(NULL);
        struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
        OK(loader_next(ctx, loader, &b));
        for (int i = 0; i < 2; i++) { /* the loader stays at this batch */
            FAILS(loader_next(ctx, loader, &b), BAD, "c.png is a broken PNG file");
            assert_null(b);
        }
        OK(loader_seek(ctx, loader, 7, 0));
        OK(loader_next(ctx, loader, &b));
        assert_int_equal(b->epoch, 7);
        FAILS(loader_next(ctx, loader, &b), BAD, "c.png");
        loader_close(loader);
        dataset_close(ds);
        struct dataset_options o = skip_corrupt_options();
        ds = open_with(&o);
        loader = load_with(ds, DATASET_TRAIN, &l);
        next(loader);
        b = next(loader);
        assert_true(b->indices[0] == 3 && b->indices[1] == 3); /* replaced by d.png */
        assert_memory_equal(b->images, b->images + 16 * 16 * 3, 16 * 16 * 3 * sizeof(float));
        assert_true(loader_replaced(loader) >= 1);
        loader_close(loader);
        dataset_close(ds);
        put_spoilt_png("a.png", 1);
        put_spoilt_png("b.png", 2);
        put_spoilt_png("d.png", 4);
        ds = open_with(&o);
        loader = load_with(ds, DATASET_TRAIN, &l);
        FAILS(loader_next(ctx, loader, &b), BAD, ".png is a broken PNG file");
        loader_close(loader);
        dataset_close(ds);
    }
}

static void changed_after_opening(void **state)
{
    (void)state;
    struct loader_options l = plain(1);
    const struct batch *b;
    put_png("a.png", 16, 16, 1);
    struct dataset *ds = open_with(NULL);
    put_png("a.png", 8, 16, 1);
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    FAILS(loader_next(ctx, loader, &b), BAD, "a.png has changed since");
    loader_close(loader);
    remove(in_folder("a.png"));
    loader = load_with(ds, DATASET_TRAIN, &l);
    FAILS(loader_next(ctx, loader, &b), CLIO_ERROR_FILE, "a.png: no such file");
    loader_close(loader);
    dataset_close(ds);
}

static void too_narrow(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    struct loader_options l = plain(1);
    const struct batch *b;
    put_png("a.png", 1, 3000, 1);
    o.width = o.height = 16;
    struct dataset *ds = open_with(&o);
    struct loader *loader = load_with(ds, DATASET_TRAIN, &l);
    FAILS(loader_next(ctx, loader, &b), CLIO_ERROR_UNSUPPORTED, "a.png has 1 x 3000 pixels, too narrow");
    loader_close(loader);
    dataset_close(ds);
}

/* ---- captions and labels ---- */

static void caption_without_image(void **state)
{
    (void)state;
    put_png("a.png", 4, 4, 1);
    put_text("metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": \"a\"}\n{\"file_name\": \"b.png\", \"text\": \"b\"}\n");
    REFUSED(NULL, BAD, "metadata.jsonl, line 2, names b.png, but there is no such image");
    expect_skipped(dataset_defaults(), 1, 1, "b.png");
    remove(in_folder("metadata.jsonl"));
    put_text("metadata.csv", "file_name,text\nb.png,b\na.png,a\n");
    REFUSED(NULL, BAD, "metadata.csv, line 2, names b.png");
    expect_skipped(dataset_defaults(), 1, 1, "b.png");
    remove(in_folder("metadata.csv"));
    put_text("a.txt", "a");
    put_text("b.txt", "b");
    REFUSED(NULL, BAD, "the caption b.txt in ");
    expect_skipped(dataset_defaults(), 1, 1, "b.txt");
    remove(in_folder("a.txt"));
    struct dataset *ds = open_with(NULL); /* texts without samples are not captions */
    dataset_close(ds);
    put_text("metadata.jsonl", "{\"file_name\": \"../a.png\", \"text\": \"a\"}\n");
    REFUSED(NULL, BAD, "no such image");
}

static void image_without_caption(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_png("a.png", 4, 4, 1);
    put_png("b.png", 4, 4, 2);
    put_text("a.txt", "a");
    struct dataset *ds = open_with(NULL);
    assert_true(dataset_info(ds)->has_captions);
    dataset_close(ds);
    o.need_captions = true;
    REFUSED(&o, BAD, "b.png: add metadata.jsonl");
    expect_skipped(o, 1, 1, "1 of 2 images have no caption, the first is ");
    put("b.txt", "a\0b", 3);
    REFUSED(&o, BAD, "b.txt is not a text");
    put_text("b.txt", "caf\xe9");
    REFUSED(&o, BAD, "b.txt is not valid UTF-8");
    expect_skipped(o, 1, 2, "b.txt is not valid UTF-8"); /* the text file, then the image */
}

static void invalid_metadata(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *part;
    } cases[] = {
        {"metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": \"a\"}\n{\"file_name\": \n",
         "metadata.jsonl, line 2, is not a JSON object"},
        {"metadata.jsonl", "[1, 2]\n", "metadata.jsonl, line 1, is not a JSON object"},
        {"metadata.jsonl", "{\"text\": \"a\"}\n", "metadata.jsonl, line 1, has no file_name"},
        {"metadata.jsonl", "{\"file_name\": 3}\n", "line 1, has no file_name"},
        {"metadata.jsonl", "{\"file_name\": \"a.png\"}\n{\"file_name\": \"a.png\"}\n", "line 2, names a.png a second time"},
        {"metadata.csv", "name,text\na.png,a\n", "metadata.csv has no column file_name"},
        {"metadata.csv", "file_name,text\na.png\n", "metadata.csv, line 2, has 1 values, but the first line has 2 columns"},
        {"metadata.csv", "file_name,text\na.png,\"a\n", "has an unclosed quote in line 2"},
        {"metadata.csv", "file_name,text\na.png,caf\xe9\n", "metadata.csv, line 2, has a caption (text) that is not a UTF-8 text"},
        {"metadata.jsonl", "{\"file_name\": \"a.png\", \"label\": -1}\n", "the label of "},
        {"metadata.jsonl", "{\"file_name\": \"a.png\", \"label\": 1.5}\n", "a.png is 1.5, but must be an integer"},
        {"metadata.jsonl", "{\"file_name\": \"a.png\", \"label\": 1e300}\n", "a.png is 1e+300, but"},
        {"metadata.jsonl", "{\"file_name\": \"a.png\", \"label\": 1}\n{\"file_name\": \"b.png\", \"label\": \"x\"}\n",
         "is a number, but others are names"},
        {"metadata.jsonl", "", "metadata.jsonl is empty"},
    };
    put_png("a.png", 4, 4, 1);
    put_png("b.png", 4, 4, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_text(cases[i].name, cases[i].text);
        REFUSED(NULL, BAD, cases[i].part);
        remove(in_folder(cases[i].name));
    }
    struct dataset_options o = dataset_defaults();
    o.caption = "score";
    put_text("metadata.jsonl", "{\"file_name\": \"a.png\", \"score\": true}\n");
    REFUSED(&o, BAD, "line 1, has a caption (score) that is not a UTF-8 text");
}

static void no_labels(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    o.need_labels = true;
    make_folders("only");
    put_png("only/a.png", 4, 4, 1);
    REFUSED(&o, BAD, "has no labels");
    make_folders("other");
    put_png("other/b.png", 4, 4, 1);
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->classes, 2);
    dataset_close(ds);
    put_png("z.png", 4, 4, 1);
    REFUSED(&o, BAD, "z.png is not in the folder of a class");
    put_text("metadata.jsonl", "{\"file_name\": \"z.png\", \"label\": \"z\"}\n{\"file_name\": \"only/a.png\", \"label\": \"a\"}\n");
    REFUSED(&o, BAD, "b.png has no label");
    expect_skipped(o, 2, 1, "b.png has no label");
}

/* ---- sounds ---- */

static void damaged_sounds(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_sound("a.wav", 16000, 100, 0);
    put_text("a.txt", "a");
    put_text("b.wav", "no sound at all");
    put_text("b.txt", "b");
    REFUSED(NULL, BAD, "b.wav is not a sound file");
    expect_skipped(o, 1, 1, "b.wav");
    put_sound("b.wav", 16000, 100, 0);
    put_sound("c.wav", 16000, 100, 0);
    o.need_captions = true;
    REFUSED(&o, BAD, "1 of 3 sounds have no caption, the first is ");
    REFUSED(&o, BAD, "c.wav: add metadata.jsonl");
    put_text("metadata.jsonl", "{\"file_name\": \"d.wav\", \"transcription\": \"d\"}\n");
    REFUSED(&o, BAD, "there is no such sound");
}

/* A recording that ends before its file does would be trained with the caption of the whole. */
static void cut_sounds(void **state)
{
    (void)state;
    static const char *const names[] = {"b.wav", "b.flac"};
    put_sound("a.wav", 16000, 16000, 0);
    put_text("a.txt", "a");
    put_text("b.txt", "b");
    for (size_t i = 0; i < COUNT(names); i++)
        for (int whole = 0; whole < 2; whole++) {
            struct dataset_options o = dataset_defaults();
            struct loader_options plan = plain(2);
            const struct batch *b;
            o.validation_split = 0;
            o.samples = whole ? 0 : 32000;
            put_sound(names[i], 16000, 16000, 0);
            cut_file(names[i], 0.5);
            struct dataset *ds = open_with(&o);
            struct loader *l = load_with(ds, DATASET_TRAIN, &plan);
            FAILS(loader_next(ctx, l, &b), BAD, names[i]);
            FAILS(loader_next(ctx, l, &b), BAD, "record or copy it again");
            loader_close(l);
            dataset_close(ds);
            o.skip_corrupt = true;
            ds = open_with(&o);
            l = load_with(ds, DATASET_TRAIN, &plan);
            b = next(l);
            assert_true(b->indices[0] == 0 && b->indices[1] == 0); /* replaced by a.wav */
            loader_close(l);
            dataset_close(ds);
            remove(in_folder(names[i]));
        }
}

/* ---- IDX ---- */

#define IMAGES "train-images-idx3-ubyte"
#define LABELS "train-labels-idx1-ubyte"

/* Write IMAGES with byte `at` set to `value`, truncated to the fraction `part`. */
static void put_changed(size_t at, int value, double part)
{
    size_t size;
    put_idx(IMAGES, 3, 10, 4, 3, 7);
    unsigned char *data = read_file(in_folder(IMAGES), &size);
    data[at] = (unsigned char)value;
    put(IMAGES, data, (size_t)((double)size * part));
    free(data);
}

static void damaged_idx(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        int value;
        double part;
        clio_status code;
        const char *part_of_text;
    } cases[] = {
        {0, 1, 1, BAD, "is not an IDX file"},
        {2, 0x0d, 1, CLIO_ERROR_UNSUPPORTED, "elements of type 0x0d"},
        {3, 1, 1, BAD, "has 1 dimensions, but images have 3"},
        {7, 11, 1, BAD, "is truncated: it should have 148 bytes and has 136"},
        {7, 9, 1, BAD, "it has 136 bytes and should have 124"},
        {4, 0xff, 1, BAD, "is truncated: it should have"},
        {7, 0, 1, BAD, "has a dimension of 0"},
        {9, 0xff, 1, BAD, "pixels on a side"},
        {0, 0, 0.5, BAD, "is truncated"},
        {0, 0, 0.1, BAD, "is truncated"},
        {0, 0, 0.02, BAD, "is truncated"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_changed(cases[i].at, cases[i].value, cases[i].part);
        REFUSED(NULL, cases[i].code, cases[i].part_of_text);
        REFUSED(NULL, cases[i].code, IMAGES);
    }
}

static void damaged_compressed_idx(void **state)
{
    (void)state;
    size_t size;
    put_idx(IMAGES ".gz", 3, 500, 10, 10, 7);
    unsigned char *data = read_file(in_folder(IMAGES ".gz"), &size);
    put(IMAGES ".gz", data, size / 2);
    REFUSED(NULL, BAD, IMAGES ".gz");
    data[size - 6] ^= 1; /* its checksum */
    put(IMAGES ".gz", data, size);
    REFUSED(NULL, BAD, "damaged");
    data[size - 6] ^= 1;
    memset(data + size / 2, 0x55, 20);
    put(IMAGES ".gz", data, size);
    REFUSED(NULL, BAD, IMAGES ".gz");
    free(data);
    /* Sizes that cannot be in the file allocate no memory. */
    static const unsigned char huge[] = {0, 0, 8, 3, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff, 1, 2, 3};
    gzFile file = gzopen(in_folder(IMAGES ".gz"), "wb");
    assert_int_equal(gzwrite(file, huge, sizeof huge), sizeof huge);
    assert_int_equal(gzclose(file), Z_OK);
    REFUSED(NULL, BAD, "it cannot contain the ");
    file = gzopen(in_folder(IMAGES ".gz"), "wb"); /* more than its header says */
    assert_int_equal(gzwrite(file, "\0\0\10\3\0\0\0\1\0\0\0\1\0\0\0\1xy", 18), 18);
    assert_int_equal(gzclose(file), Z_OK);
    REFUSED(NULL, BAD, "it has more data than its header says");
}

static void mismatched_idx(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_idx(IMAGES, 3, 10, 4, 3, 7);
    put_idx(LABELS, 1, 9, 0, 0, 1);
    REFUSED(NULL, BAD, IMAGES " has 10 images and ");
    REFUSED(NULL, BAD, LABELS " 9 labels");
    put_idx(LABELS, 1, 10, 0, 0, 1);
    put_idx("t10k-images-idx3-ubyte", 3, 2, 4, 3, 7);
    REFUSED(NULL, BAD, "has labels for only some of its IDX files");
    put_idx("t10k-labels-idx1-ubyte", 1, 2, 0, 0, 1);
    o.need_captions = true;
    REFUSED(&o, BAD, "has IDX files, which have no captions");
    put_idx("t10k-images-idx3-ubyte", 3, 2, 5, 3, 7);
    REFUSED(NULL, BAD, "set image_size");
    o.need_captions = false;
    o.width = o.height = 4;
    struct dataset *ds = open_with(&o);
    dataset_close(ds);
    put_idx("emnist-train-images-idx3-ubyte", 3, 2, 4, 3, 7);
    REFUSED(&o, BAD, "one of several IDX files");
}

/* ---- options ---- */

static void invalid_options(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_idx(IMAGES, 3, 10, 4, 3, 7);
    o.width = 8;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "use a width and a height");
    o.height = 40000;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "8 x 40000");
    o = dataset_defaults();
    o.channels = 2;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "2 channels");
    o = dataset_defaults();
    o.validation_split = 1;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "use a fraction");
    o.validation_split = (double)NAN;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "use a fraction");
    o = dataset_defaults();
    o.rate = -1;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "a sample rate of -1");
    o = dataset_defaults();
    o.resize_mode = (enum dataset_resize_mode)9;
    REFUSED(&o, CLIO_ERROR_ARGUMENT, "crop, stretch or pad");
}

static void invalid_loader_options(void **state)
{
    (void)state;
    static const struct {
        int batch, rank, ranks, prefetch;
        float flip, noise;
        const char *part;
    } cases[] = {
        {0, 0, 1, 0, 0, 0, "a batch size of 0"},
        {-5, 0, 1, 0, 0, 0, "a batch size of -5"},
        {10, 0, 3, 0, 0, 0, "cannot be divided among 3 processes"},
        {10, 2, 2, 0, 0, 0, "no rank 2 of 2"},
        {10, 0, 0, 0, 0, 0, "no rank 0 of 0"},
        {10, 0, 1, 1000, 0, 0, "1000 batches"},
        {10, 0, 1, 0, 2, 0, "random_flip cannot be 2"},
        {10, 0, 1, 0, 0, -1, "gaussian_noise cannot be -1"},
        {10, 0, 1, 0, NAN, 0, "random_flip cannot be"},
    };
    struct loader *l;
    put_idx(IMAGES, 3, 10, 4, 3, 7);
    struct dataset *ds = open_with(NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct loader_options o = loader_defaults();
        o.batch = cases[i].batch;
        o.rank = cases[i].rank;
        o.ranks = cases[i].ranks;
        o.prefetch = cases[i].prefetch;
        o.augment.random_flip = cases[i].flip;
        o.augment.gaussian_noise = cases[i].noise;
        FAILS(loader_open(ctx, &l, ds, DATASET_TRAIN, &o), CLIO_ERROR_ARGUMENT, cases[i].part);
        assert_null(l);
    }
    struct loader_options eleven = loader_defaults();
    eleven.batch = 11; /* the data is at fault */
    FAILS(loader_open(ctx, &l, ds, DATASET_TRAIN, &eleven), CLIO_ERROR_FORMAT, "fewer than one batch of 11");
    FAILS(loader_open(ctx, &l, ds, DATASET_VALIDATION, NULL), CLIO_ERROR_FORMAT, "has no samples for validation");
    dataset_close(ds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(no_folder),
                                       TEST(empty_folder),
                                       TEST(images_and_sounds),
                                       TEST(file_next_to_splits),
                                       TEST(cyclic_link),
                                       TEST(mixed_sizes),
                                       TEST(damaged_images),
                                       TEST(damaged_jpeg),
                                       TEST(damaged_after_opening),
                                       TEST(changed_after_opening),
                                       TEST(too_narrow),
                                       TEST(caption_without_image),
                                       TEST(image_without_caption),
                                       TEST(invalid_metadata),
                                       TEST(no_labels),
                                       TEST(damaged_sounds),
                                       TEST(cut_sounds),
                                       TEST(damaged_idx),
                                       TEST(damaged_compressed_idx),
                                       TEST(mismatched_idx),
                                       TEST(invalid_options),
                                       TEST(invalid_loader_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
