/* test_pickle_hostile.c - files that do what no file of data may (tests/cases/pickles/hostile, by make-hostile there): each is refused with
 * the sentence that tests/cases/pickles/hostile.txt has for it, behind the file's name; and files that are cut short or changed at any
 * byte. Needs no device. */
#include "../support/test_own.h"

#include "../../host/core/file_tree.h"
#include "../../host/core/pickle.h"

#define CASES CLIO_SOURCE_DIR "/tests/cases/pickles/"

/* The sentence of opening a file: as weights, or as values where it has no tensor and so is no file of weights. */
static clio_status open_any(const char *path)
{
    struct weights w;
    struct pickle p;
    clio_status st = weights_open(ctx, &w, path, NULL);
    if (!st)
        weights_close(&w);
    if (!st || !strstr(clio_error(ctx), "contains no tensor"))
        return st;
    st = pickle_open(ctx, &p, path);
    if (!st)
        pickle_close(&p);
    return st;
}

static void test_hostile(void **state)
{
    char line[1200], path[1200];
    struct file_names names = {0};
    size_t count = 0;
    FILE *list = fopen(CASES "hostile.txt", "r");
    (void)state;
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        size_t n = strcspn(line, " :");
        snprintf(path, sizeof path, CASES "hostile/%.*s", (int)n, line);
        clio_status st = open_any(path);
        if ((st != CLIO_ERROR_FORMAT && st != CLIO_ERROR_UNSUPPORTED) || strcmp(clio_error(ctx) + strlen(CASES "hostile/"), line) != 0)
            fail_msg("%s: %s", line, st ? clio_error(ctx) : "was read");
        count++;
    }
    assert_int_equal(fclose(list), 0);
    OK(file_names_read(ctx, &names, CASES "hostile", NULL));
    assert_int_equal(count, names.count);
    assert_true(count >= 30);
    file_names_free(&names);
}

/* Every beginning of a file that is one byte shorter than it should be, or more, is refused by name. */
static void test_truncated(void **state)
{
    static const char *const files[] = {"zip.pth",       "legacy.pth",    "wrapped-legacy.pth", "protocol0.pkl",
                                        "protocol2.pkl", "protocol4.pkl", "numpy2.pickle",      "python2-0.pkl"};
    char path[1200];
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct file_content whole;
        snprintf(path, sizeof path, CASES "real/%s", files[i]);
        OK(file_load(ctx, &whole, path));
        put(files[i], whole.data, whole.size);
        for (size_t size = whole.size - 1; size > 0; size--) {
            assert_int_equal(truncate(in_folder(files[i]), (off_t)size), 0);
            clio_status st = open_any(in_folder(files[i]));
            if ((st != CLIO_ERROR_FORMAT && st != CLIO_ERROR_UNSUPPORTED) || !strstr(clio_error(ctx), files[i]))
                fail_msg("%s, %zu bytes: %s", files[i], size, st ? clio_error(ctx) : "was read");
        }
        file_unload(&whole);
    }
}

static void write_byte(FILE *f, size_t at, int byte)
{
    assert_true(!fseek(f, (long)at, SEEK_SET) && fputc(byte, f) == byte && !fflush(f));
}

/* Every byte changed: read, or refused by name; under the sanitizers of the dev preset nothing else. */
static void test_changed(void **state)
{
    static const char *const files[] = {"wrapped-legacy.pth", "wrapped.pth", "protocol1.pkl", "numpy5.pickle"};
    char path[1200];
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct file_content whole;
        snprintf(path, sizeof path, CASES "real/%s", files[i]);
        OK(file_load(ctx, &whole, path));
        FILE *f = fopen(put(files[i], whole.data, whole.size), "r+b");
        assert_non_null(f);
        for (size_t at = 0; at < whole.size; at++) {
            write_byte(f, at, whole.data[at] ^ (1 << at % 8));
            clio_status st = open_any(in_folder(files[i]));
            write_byte(f, at, whole.data[at]);
            if (st && !strstr(clio_error(ctx), files[i]))
                fail_msg("%s, byte %zu: %s", files[i], at, clio_error(ctx));
        }
        assert_int_equal(fclose(f), 0);
        file_unload(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
