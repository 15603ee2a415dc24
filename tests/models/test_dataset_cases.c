/* test_dataset_cases.c - data that users brought and that was once misread without a message: quotes in CSV, captions that are numbers,
 * lists, empty or missing, class names of a trained model, splits that must not move, runs inside the data. Needs no device. */
#include "test_dataset.h"

static void expect_warning(const struct dataset *ds, const char *part)
{
    const struct dataset_info *info = dataset_info(ds);
    for (int i = 0; i < info->warning_count; i++)
        if (strstr(info->warnings[i], part))
            return;
    fail_msg("no warning with \"%s\": %d, %s", part, info->warning_count, info->warning_count ? info->warnings[0] : "none");
}

static void expect_caption(const struct dataset_options *o, const char *caption)
{
    struct dataset *ds = open_with(o);
    assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 0), caption);
    dataset_close(ds);
}

/* ---- metadata.csv ---- */

/* As Python's csv and pandas read it. */
static void csv_quotes(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"00.png,a 5\" disc", "a 5\" disc"},     {"00.png,\"a 5\"\" disc, red\"", "a 5\" disc, red"}, {"00.png,\"a\"b\"c", "ab\"c"},
        {"00.png,\"two\nlines\"", "two\nlines"}, {"00.png,\"\"\"quoted\"\"\"", "\"quoted\""},         {"\"00.png\",\"plain\"", "plain"},
    };
    put_png("00.png", 4, 4, 1);
    put_png("01.png", 4, 4, 2);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        for (int ending = 0; ending < 3; ending++) {
            static const char *const endings[] = {"\n", "\r\n", "\r"};
            const char *e = endings[ending];
            snprintf(text, sizeof text, "file_name,text%s%s%s01.png,last%s", e, rows[i][0], e, ending ? e : "");
            put_text("metadata.csv", text);
            struct dataset *ds = open_with(NULL);
            assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 0), rows[i][1]);
            assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 1), "last");
            dataset_close(ds);
            snprintf(text, sizeof text, "file_name,text%s00.png,one%s01.png,two,three%s", e, e, e);
            put_text("metadata.csv", text);
            REFUSED(NULL, BAD, "metadata.csv, line 3, has 3 values");
        }
    }
    put_text("metadata.csv", "file_name,text\n\"00.png,\"a\"\n01.png,b\n");
    REFUSED(NULL, BAD, "line 2"); /* the quote is never closed before the comma */
}

static void csv_header(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_png("a.png", 4, 4, 1);
    put_text("METADATA.csv", " file_name , text\na.png,a\n");
    expect_caption(NULL, "a");
    remove(in_folder("METADATA.csv"));
    put_text("metadata.csv", "\xef\xbb\xbf" /* a byte order mark, as spreadsheets write it */
                             "file_name,text\na.png,a\n");
    expect_caption(NULL, "a");
    put_text("metadata.csv", "file_name,prompt\na.png,by prompt\n");
    expect_caption(NULL, "by prompt");
    put_text("metadata.csv", "file_name,prompt,text\na.png,by prompt,by text\n");
    expect_caption(NULL, "by text");
    o.need_captions = true;
    put_text("metadata.csv", "file_name,title,artist\na.png,a title,x\n");
    REFUSED(&o, BAD, "set caption_column to one of title, artist");
    o.caption = "title";
    expect_caption(&o, "a title");
    remove(in_folder("metadata.csv"));
    o.caption = NULL;
    put_text("train.parquet", "PAR1");
    REFUSED(&o, CLIO_ERROR_UNSUPPORTED, "train.parquet cannot be read");
    remove(in_folder("a.png"));
    REFUSED(NULL, CLIO_ERROR_UNSUPPORTED, "holds train.parquet, a format that is not read");
}

/* ---- captions ---- */

static void captions_of_every_type(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"1984", "1984"},     {"0.5", "0.5"},
                                          {"-3", "-3"},         {"1e300", "1e+300"},
                                          {"\"text\"", "text"}, {"[\"first\", 2]", "first"},
                                          {"\"1984\"", "1984"}, {"\" spaces \"", " spaces "}};
    char text[200];
    put_png("a.png", 4, 4, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(text, sizeof text, "{\"file_name\": \"a.png\", \"text\": %s}\n", rows[i][0]);
        put_text("metadata.jsonl", text);
        expect_caption(NULL, rows[i][1]);
    }
    remove(in_folder("metadata.jsonl"));
    put_text("a.caption", "from .caption");
    expect_caption(NULL, "from .caption");
}

/* An empty text, one of white space, an empty file and no row at all are the same: no caption. */
static void missing_captions(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } empty[] = {{"b.txt", ""},
                 {"b.txt", " \n\t "},
                 {"metadata.jsonl", "{\"file_name\": \"b.png\", \"text\": \"\"}"},
                 {"metadata.jsonl", "{\"file_name\": \"b.png\", \"text\": \" \"}"},
                 {"metadata.jsonl", "{\"file_name\": \"b.png\", \"text\": null}"},
                 {"metadata.jsonl", "{\"file_name\": \"b.png\", \"text\": []}"},
                 {"metadata.csv", "file_name,text\nb.png,\n"}};
    struct dataset_options needs = dataset_defaults(), skips, allows;
    needs.need_captions = true;
    skips = allows = needs;
    skips.skip_corrupt = allows.allow_empty_captions = true;
    put_png("a.png", 4, 4, 1);
    put_png("b.png", 4, 4, 2);
    put_text("a.txt", "a");
    for (size_t i = 0; i < COUNT(empty); i++) {
        put_text(empty[i].name, empty[i].text);
        REFUSED(&needs, BAD, "1 of 2 images have no caption, the first is ");
        struct dataset *ds = open_with(&skips);
        assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
        assert_int_equal(dataset_info(ds)->skipped, 1);
        dataset_close(ds);
        ds = open_with(&allows);
        assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 2);
        assert_string_equal(dataset_caption(ds, DATASET_TRAIN, 1), "");
        expect_warning(ds, "1 of 2 images have no caption and are trained on the empty text");
        dataset_close(ds);
        remove(in_folder(empty[i].name));
    }
    remove(in_folder("a.txt"));
    REFUSED(&needs, BAD, "2 of 2 images have no caption");
}

/* Of a list, one caption is drawn in each epoch; without shuffling it is the first. */
static void list_of_captions(void **state)
{
    (void)state;
    struct loader_options o = loader_defaults();
    int seen[3] = {0};
    put_png("a.png", 4, 4, 1);
    put_text("metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": [\"0\", \"1\", \"2\"]}\n");
    struct dataset *ds = open_with(NULL);
    o.batch = 1;
    struct loader *l = load_with(ds, DATASET_TRAIN, &o), *again = load_with(ds, DATASET_TRAIN, &o);
    for (int epoch = 0; epoch < 60; epoch++) {
        char caption = next(l)->captions[0][0];
        seen[caption - '0']++;
        assert_int_equal(next(again)->captions[0][0], caption);
    }
    loader_close(again);
    loader_close(l);
    for (int i = 0; i < 3; i++)
        assert_in_range(seen[i], 10, 30);
    o.shuffle = false;
    l = load_with(ds, DATASET_TRAIN, &o);
    for (int epoch = 0; epoch < 5; epoch++)
        assert_string_equal(next(l)->captions[0], "0");
    loader_close(l);
    dataset_close(ds);
}

static void sound_longer_than_model(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_sound("a.wav", 8000, 8000, 0);
    put_sound("b.wav", 8000, 8001 + 800, 0);
    o.seconds_max = 1;
    REFUSED(&o, BAD, "b.wav lasts 1.1 s, longer than the 1.0 s that the model takes");
    o.skip_corrupt = true;
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
    dataset_close(ds);
}

/* ---- classes ---- */

static void put_class(const char *name, int seed)
{
    char path[100];
    make_folders(name);
    snprintf(path, sizeof path, "%s/x.png", name);
    put_png(path, 4, 4, seed);
}

static int label_of(const struct dataset *ds, const char *class)
{
    for (size_t i = 0; i < dataset_info(ds)->count[DATASET_TRAIN]; i++)
        if (strstr(dataset_path(ds, DATASET_TRAIN, i), class))
            return dataset_label(ds, DATASET_TRAIN, i);
    return -2;
}

static void classes_of_model(void **state)
{
    (void)state;
    static const char *const names[] = {"apple", "banana", "cherry"};
    struct dataset_options o = dataset_defaults();
    o.class_names = names;
    o.classes = 3;
    o.need_labels = true;
    put_class("cherry", 1);
    struct dataset *ds = open_with(&o); /* a single class is enough here */
    assert_int_equal(label_of(ds, "/cherry/"), 2);
    assert_int_equal(dataset_info(ds)->classes, 3);
    assert_string_equal(dataset_info(ds)->class_names[0], "apple");
    dataset_close(ds);
    put_class("banana", 2);
    ds = open_with(&o);
    assert_int_equal(label_of(ds, "/banana/"), 1);
    assert_int_equal(label_of(ds, "/cherry/"), 2);
    dataset_close(ds);
    put_class("date", 3);
    REFUSED(&o, BAD, "has the class date, which the model does not know: its classes are apple, banana, cherry");
    static const char *const many[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "99"};
    o.class_names = many;
    o.classes = COUNT(many);
    REFUSED(&o, BAD, "its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 ... 11, 99");
    o.classes--;
    REFUSED(&o, BAD, "its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11");
}

static void numbers_of_model(void **state)
{
    (void)state;
    static const char *const names[] = {"0", "1", "2"};
    struct dataset_options o = dataset_defaults();
    o.class_names = names;
    o.classes = 3;
    put_png("a.png", 4, 4, 1);
    put_text("metadata.csv", "file_name,label\na.png,2\n");
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->classes, 3);
    assert_int_equal(dataset_label(ds, DATASET_TRAIN, 0), 2);
    dataset_close(ds);
    put_text("metadata.csv", "file_name,label\na.png,3\n");
    REFUSED(&o, BAD, "a.png is 3, but the model knows only 3 classes");
}

static void numbered_folders(void **state)
{
    (void)state;
    put_class("10", 1);
    put_class("9", 2);
    put_class("2", 3);
    put_class("other", 4);
    struct dataset *ds = open_with(NULL);
    static const char *const order[] = {"2", "9", "10", "other"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(dataset_info(ds)->class_names[i], order[i]);
    assert_int_equal(label_of(ds, "/10/"), 2);
    dataset_close(ds);
}

static void suspicious_classes(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    o.need_labels = true;
    put_png("a.png", 4, 4, 1);
    put_png("b.png", 4, 4, 2);
    put_text("metadata.csv", "file_name,label\na.png,0\nb.png,60000\n");
    struct dataset *ds = open_with(&o);
    expect_warning(ds, "59999 of the 60001 classes");
    dataset_close(ds);
    put_text("metadata.csv", "file_name,label\na.png,0\nb.png,0\n");
    ds = open_with(&o);
    expect_warning(ds, "all images in");
    dataset_close(ds);
    put_text("metadata.csv", "file_name,label\na.png,0\nb.png,1\n");
    ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->warning_count, 0);
    dataset_close(ds);
}

/* ---- splits and files ---- */

/* Which images are held out does not depend on the others; the seed changes it. */
static void split_does_not_move(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    char name[40], before[40] = "", after[41] = "", other[41] = "";
    o.validation_split = 0.25;
    o.seed = 5;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%03d.png", i + 1);
        put_png(name, 2, 2, i);
    }
    for (int k = 0; k < 3; k++) {
        char *held_out = k == 0 ? before : k == 1 ? after : other;
        o.seed = k == 2 ? 6 : 5;
        struct dataset *ds = open_with(&o);
        for (size_t i = 0; i < dataset_info(ds)->count[DATASET_VALIDATION]; i++)
            held_out[atoi(strrchr(dataset_path(ds, DATASET_VALIDATION, i), '/') + 1) - 1 + (k > 0 ? 1 : 0)] = 1;
        dataset_close(ds);
        if (k == 0)
            put_png("000.png", 2, 2, 99); /* in front of all others */
    }
    assert_memory_equal(before, after + 1, 40);
    assert_memory_not_equal(after, other, 41);
    o.validation_split = 1e-9; /* never none, never all */
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->count[DATASET_VALIDATION], 1);
    dataset_close(ds);
    o.validation_split = 0.999999999;
    ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
    dataset_close(ds);
}

static void same_file_in_two_splits(void **state)
{
    (void)state;
    make_folders("train");
    make_folders("validation");
    put_png("train/a.png", 4, 4, 1);
    put_png("validation/b.png", 4, 4, 2);
    struct dataset *ds = open_with(NULL);
    assert_int_equal(dataset_info(ds)->warning_count, 0);
    dataset_close(ds);
    put_png("validation/c.png", 4, 4, 1);
    ds = open_with(NULL);
    expect_warning(ds, "1 images are both in the validation data and in other data");
    dataset_close(ds);
}

/* The plots and samples of a run are no training images. */
static void run_inside_data(void **state)
{
    (void)state;
    put_png("a.png", 4, 4, 1);
    make_folders("run/checkpoints");
    put_png("run/losses.png", 8, 8, 2);
    struct dataset *ds = open_with(NULL);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
    expect_warning(ds, "run is left out of the data, since it holds a training run");
    dataset_close(ds);
    make_folders("begun/samples");
    put_text("begun/train.csv", "step\n");
    put_png("begun/losses.png", 8, 8, 2);
    ds = open_with(NULL);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
    dataset_close(ds);
}

static void dangling_link(void **state)
{
    (void)state;
    struct dataset_options o = dataset_defaults();
    put_png("a.png", 4, 4, 1);
    assert_int_equal(symlink("nowhere.png", in_folder("b.png")), 0);
    REFUSED(NULL, CLIO_ERROR_FILE, "b.png cannot be read");
    o.skip_corrupt = true;
    struct dataset *ds = open_with(&o);
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1);
    assert_int_equal(dataset_info(ds)->skipped, 1);
    dataset_close(ds);
}

/* With another batch size an epoch continues at the same sample. */
static void seek_with_another_batch(void **state)
{
    (void)state;
    struct loader_options o = loader_defaults();
    uint32_t order[20];
    put_idx("train-images-idx3-ubyte", 3, 20, 2, 2, 1);
    struct dataset *ds = open_with(NULL);
    o.batch = 4;
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    for (size_t i = 0; i < 5; i++)
        memcpy(order + 4 * i, next(l)->indices, 4 * sizeof *order);
    loader_close(l);
    o.batch = 3;
    l = load_with(ds, DATASET_TRAIN, &o);
    OK(loader_seek(ctx, l, 0, 8));
    for (size_t at = 8; at + 3 <= 20; at += 3) {
        const struct batch *b = next(l);
        assert_int_equal(b->first, at);
        assert_int_equal(b->ends_epoch, at + 6 > 20);
        assert_memory_equal(b->indices, order + at, 3 * sizeof *order);
    }
    assert_int_equal(next(l)->epoch, 1);
    OK(loader_seek(ctx, l, 0, 18)); /* too few are left for a batch */
    assert_int_equal(next(l)->epoch, 1);
    loader_close(l);
    dataset_close(ds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(csv_quotes),         TEST(csv_header),          TEST(captions_of_every_type),
        TEST(missing_captions),   TEST(list_of_captions),    TEST(sound_longer_than_model),
        TEST(classes_of_model),   TEST(numbers_of_model),    TEST(numbered_folders),
        TEST(suspicious_classes), TEST(split_does_not_move), TEST(same_file_in_two_splits),
        TEST(run_inside_data),    TEST(dangling_link),       TEST(seek_with_another_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
