/* test_limits.c - files that are too large are refused before they are read; JSON whose values would take far more memory than its text is
 * refused before it is parsed, wherever it stands; large files that models have are read. */
#define _XOPEN_SOURCE 700 /* truncate */
#define _FILE_OFFSET_BITS 64
#include "../support/test_own.h"

#include "../../host/core/json.h"
#include "../../host/core/weights.h"

/* `count` times `text`, with `before` and `after`. */
static char *repeated(const char *before, const char *text, const char *after, size_t count, size_t *size)
{
    size_t length = strlen(text);
    char *all = malloc(strlen(before) + count * length + strlen(after) + 1), *at = all;
    assert_non_null(all);
    at += sprintf(at, "%s", before);
    for (size_t i = 0; i < count; i++, at += length)
        memcpy(at, text, length);
    at += sprintf(at, "%s", after);
    *size = (size_t)(at - all);
    return all;
}

static void check_config(const char *before, const char *text, const char *after, size_t count, bool fits)
{
    struct json_file file;
    size_t size;
    char *all = repeated(before, text, after, count, &size);
    put("config.json", all, size);
    free(all);
    if (fits)
        OK(json_open(ctx, &file, folder, "config.json"));
    else
        FAILS(json_open(ctx, &file, folder, "config.json"), CLIO_ERROR_FORMAT,
              "config.json is not valid JSON (line 1: it has so many values");
    json_close(&file);
}

/* Each would take 200 MB and more. */
static void many_values_are_refused(void **state)
{
    (void)state;
    check_config("{\"a\": [", "[],", "0]}", 1500000, false);
    check_config("{\"a\": [", "{},", "0]}", 900000, false);
    check_config("{\"a\": [", "\"\",", "0]}", 2500000, false);
    check_config("{\"a\": [", "1,", "0]}", 4500000, false);
    check_config("{\"a\": ", "[", "0", 1500000, false);
}

/* The same values in strings, and as many as a few million bytes of a tokenizer have. */
static void what_models_have_is_read(void **state)
{
    (void)state;
    check_config("{\"a\": \"", "[],", "\"}", 1500000, true);
    check_config("{\"a\": \"", "\\\"[],", "\"}", 4000000, true);
    check_config("{\"a\": [", "[\"ab\", \"cd\"],\n", "0]}", 280000, true); /* merges of a vocabulary of 128,000 */
    check_config("{\"a\": [", "{\"id\": 50258, \"content\": \"<|en|>\", \"special\": true},\n", "0]}", 100000, true);
}

/* Files of zeros that take no space on the disk: refused before they are read into memory. */
static void large_files_are_not_read(void **state)
{
    struct json_file file;
    struct file_content content;
    (void)state;
    put_text("config.json", "{}");
    OK(json_open(ctx, &file, folder, "config.json"));
    json_close(&file);
    assert_int_equal(truncate(in_folder("config.json"), (off_t)1 << 40), 0);
    FAILS(json_open(ctx, &file, folder, "config.json"), CLIO_ERROR_FORMAT, "config.json is larger than 64 MiB");
    FAILS(file_load(ctx, &content, in_folder("config.json")), CLIO_ERROR_FORMAT, "is larger than 4096 MiB");
    assert_null(content.data);
    assert_int_equal(truncate(in_folder("config.json"), 100), 0);
    OK(file_load_limited(ctx, &content, in_folder("config.json"), 100));
    file_unload(&content);
    FAILS(file_load_limited(ctx, &content, in_folder("config.json"), 99), CLIO_ERROR_FORMAT, "larger than 0 MiB");
}

static void put_header(const char *text, size_t count)
{
    size_t size;
    char *header = repeated("{\"__metadata__\": [", text, "0]}", count, &size), *file = malloc(size + 8);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (char)(size >> 8 * i);
    memcpy(file + 8, header, size);
    put("x.safetensors", file, size + 8);
    free(header);
    free(file);
}

static void headers_of_weights_are_refused(void **state)
{
    struct weights w;
    (void)state;
    put_header("[],", 1500000);
    FAILS(weights_open(ctx, &w, in_folder("x.safetensors"), ""), CLIO_ERROR_FORMAT, "so many values");
    put_header("[],", 1000);
    OK(weights_open(ctx, &w, in_folder("x.safetensors"), ""));
    weights_close(&w);
}

/* A file of results in the cache folder is read up to 4096 of them, since each is compared with all. */
static void results_of_selftests_are_bounded(void **state)
{
    struct bytes text = {0};
    char command[256];
    (void)state;
    reopen_with(cache);
    OK(selftest_result_add(ctx, "clfft", "n=3", SELFTEST_PASSED, ""));
    for (int i = 0; i < 5000; i++)
        OK(bytes_print(ctx, &text, "clfft [n=%d] ok\n", i));
    put("more", text.data, text.size);
    bytes_free(&text);
    snprintf(command, sizeof command, "for f in '%s'/selftests-*.txt; do cat '%s/more' >>\"$f\"; done", cache, folder);
    assert_int_equal(system(command), 0);
    reopen_with(cache);
    assert_non_null(selftest_result_find(ctx, "clfft", "n=4094"));
    assert_null(selftest_result_find(ctx, "clfft", "n=4096"));
    assert_int_equal(ctx->selftests.count, 4096);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {EACH(many_values_are_refused), EACH(what_models_have_is_read), EACH(headers_of_weights_are_refused),
                                       EACH(results_of_selftests_are_bounded), EACH(large_files_are_not_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
