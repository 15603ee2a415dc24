/* test_core_file.c - host memory, files that are mapped, written or refused, and JSON configurations. Needs no device. */
#include "../support/test_own.h"

#include "../../host/core/text.h"
#include "../../host/core/file_tree.h"
#include "../../host/core/file_out.h"
#include "../../host/core/json.h"
#include "../../host/core/safetensors_write.h"
#include "../../host/core/weights.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void holds(const char *name, const char *text)
{
    struct file_content map;
    OK(file_load(ctx, &map, in_folder(name)));
    assert_int_equal(map.size, strlen(text));
    assert_memory_equal(map.data, text, map.size);
    file_unload(&map);
}

/* How many entries of the folder have `part` in their name. */
static int entries(const char *part)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

static void test_memory(void **state)
{
    struct bytes b = {NULL, 0, 0};
    unsigned char *p = NULL;
    char *copy = NULL;
    (void)state;
    OK(mem_alloc(ctx, &p, 3, 5));
    for (int i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    free(p);
    OK(mem_alloc(ctx, &p, 0, 8));
    assert_non_null(p);
    free(p);
    FAILS(mem_alloc(ctx, &p, SIZE_MAX / 2, 3), CLIO_ERROR_MEMORY, "out of memory");
    assert_null(p);
    OK(mem_string(ctx, &copy, "fox"));
    assert_string_equal(copy, "fox");
    free(copy);
    OK(mem_string(ctx, &copy, NULL));
    assert_null(copy);
    OK(bytes_add(ctx, &b, NULL, 0));
    assert_string_equal(b.data, "");
    for (int i = 0; i < 100; i++) {
        OK(bytes_add(ctx, &b, "ab", 2));
        OK(bytes_print(ctx, &b, "%03d", i));
        assert_int_equal(b.data[b.size], 0);
    }
    assert_int_equal(b.size, 500);
    assert_memory_equal(b.data + 495, "ab099", 6);
    FAILS(bytes_add(ctx, &b, "x", SIZE_MAX - 10), CLIO_ERROR_MEMORY, "out of memory");
    assert_int_equal(b.size, 500);
    bytes_free(&b);
    assert_null(b.data);
}

static void test_map(void **state)
{
    struct file_content map;
    (void)state;
    put_text("text", "hello");
    holds("text", "hello");
    FAILS(file_load(ctx, &map, in_folder("absent")), CLIO_ERROR_FILE, "/absent: no such file");
    assert_null(map.data);
    FAILS(file_load(ctx, &map, in_folder("text/below")), CLIO_ERROR_FILE, "no such file");
    FAILS(file_load(ctx, &map, folder), CLIO_ERROR_FILE, "is a folder");
    FAILS(file_load(ctx, &map, put_text("empty", "")), CLIO_ERROR_FORMAT, "/empty is empty");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    FAILS(file_load(ctx, &map, in_folder("fifo")), CLIO_ERROR_FILE, "is a device or a pipe");
    FAILS(file_load(ctx, &map, "/dev/null"), CLIO_ERROR_FILE, "is a device or a pipe");
    if (geteuid()) { /* root reads everything */
        assert_int_equal(chmod(put_text("secret", "x"), 0), 0);
        FAILS(file_load(ctx, &map, in_folder("secret")), CLIO_ERROR_FILE, "no permission");
    }
    file_unload(&map);
    file_unload(&map);
}

static void test_out(void **state)
{
    struct file_out out;
    struct stat info;
    (void)state;
    put_text("result", "old");
    assert_int_equal(chmod(in_folder("result"), 0640), 0);
    OK(file_out_open(ctx, &out, in_folder("result")));
    assert_int_equal(entries("result.tmp."), 1);
    OK(file_out_write(ctx, &out, "new ", 4));
    OK(file_out_write(ctx, &out, "text", 4));
    OK(file_out_write(ctx, &out, NULL, 0));
    holds("result", "old"); /* until it is whole */
    OK(file_out_commit(ctx, &out));
    file_out_abandon(&out);
    holds("result", "new text");
    assert_int_equal(stat(in_folder("result"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);

    OK(file_out_open(ctx, &out, in_folder("fresh"))); /* a name that was not there */
    OK(file_out_write(ctx, &out, "1", 1));
    OK(file_out_commit(ctx, &out));
    holds("fresh", "1");

    assert_int_equal(symlink("result", in_folder("link")), 0); /* a link stays one */
    OK(file_out_open(ctx, &out, in_folder("link")));
    OK(file_out_write(ctx, &out, "by link", 7));
    OK(file_out_commit(ctx, &out));
    holds("result", "by link");
    assert_int_equal(lstat(in_folder("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(entries(".tmp."), 0);
    FAILS(file_out_commit(ctx, &out), CLIO_ERROR_INTERNAL, "bug in clio");
    FAILS(file_out_write(ctx, &out, "x", 1), CLIO_ERROR_INTERNAL, "bug in clio");
}

static void test_out_abandoned(void **state)
{
    struct file_out first, second;
    (void)state;
    put_text("kept", "old");
    OK(file_out_open(ctx, &first, in_folder("kept")));
    OK(file_out_write(ctx, &first, "half", 4));
    OK(file_out_open(ctx, &second, in_folder("kept"))); /* the temporary name is taken: another is found */
    assert_int_equal(entries("kept.tmp."), 2);
    file_out_abandon(&first);
    file_out_abandon(&second);
    file_out_abandon(&second);
    assert_int_equal(entries("kept.tmp."), 0);
    holds("kept", "old");
}

/* A limit on the size of files stands for a disk that fills up: both fail in write(). */
static void test_out_failed_write(void **state)
{
    struct file_out out;
    struct rlimit old, small;
    static char block[100000];
    (void)state;
    put_text("survivor", "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    OK(file_out_open(ctx, &out, in_folder("survivor")));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    clio_status st = file_out_write(ctx, &out, block, sizeof block);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    FAILS(st, CLIO_ERROR_FILE, "survivor cannot be written: ");
    FAILS(file_out_commit(ctx, &out), CLIO_ERROR_FILE, "survivor cannot be written: "); /* must not pass for whole */
    holds("survivor", "old");
    assert_int_equal(entries("survivor.tmp."), 0);

    OK(file_out_open(ctx, &out, in_folder("survivor"))); /* the same, noticed only when the buffer is flushed */
    OK(file_out_write(ctx, &out, block, 10));
    small.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    st = file_out_commit(ctx, &out);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    FAILS(st, CLIO_ERROR_FILE, "survivor cannot be written: ");
    holds("survivor", "old");
    assert_int_equal(entries("survivor.tmp."), 0);
}

static void test_out_refused(void **state)
{
    struct file_out out;
    (void)state;
    FAILS(file_out_open(ctx, &out, ""), CLIO_ERROR_ARGUMENT, "is empty");
    FAILS(file_out_open(ctx, &out, folder), CLIO_ERROR_FILE, "is a folder: name a file");
    FAILS(file_out_open(ctx, &out, in_folder("none/")), CLIO_ERROR_FILE, "is the name of a folder");
    FAILS(file_out_open(ctx, &out, in_folder("none/x.txt")), CLIO_ERROR_FILE, "/none does not exist; create it first");
    put_text("plain", "x");
    FAILS(file_out_open(ctx, &out, in_folder("plain/x.txt")), CLIO_ERROR_FILE, "/plain is not a folder");
    FAILS(file_out_open(ctx, &out, "/dev/null/x.txt"), CLIO_ERROR_FILE, "/dev/null is not a folder");
    char name[400];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    FAILS(file_out_open(ctx, &out, in_folder(name)), CLIO_ERROR_FILE, "the name is too long");
    if (file_is_folder("/proc")) /* not even root makes files there */
        FAILS(file_out_open(ctx, &out, "/proc/clio.txt"), CLIO_ERROR_FILE, "/proc is read-only for you");
    if (geteuid()) {
        assert_int_equal(mkdir(in_folder("locked"), 0500), 0);
        FAILS(file_out_open(ctx, &out, in_folder("locked/x.txt")), CLIO_ERROR_FILE, "/locked is read-only for you");
        assert_int_equal(chmod(put_text("protected", "x"), 0400), 0);
        FAILS(file_out_open(ctx, &out, in_folder("protected")), CLIO_ERROR_FILE, "the file is read-only for you");
    }
    assert_null(out.stream);
    assert_int_equal(entries(".tmp."), 0);
}

static void test_out_special(void **state)
{
    struct file_out out;
    static char block[100000];
    char got[8] = "";
    (void)state;
    OK(file_out_open(ctx, &out, "/dev/null"));
    OK(file_out_write(ctx, &out, block, sizeof block));
    OK(file_out_commit(ctx, &out));
    OK(file_out_open(ctx, &out, "/dev/full"));
    FAILS(file_out_write(ctx, &out, block, sizeof block), CLIO_ERROR_FILE, "/dev/full cannot be written: the disk is full");
    file_out_abandon(&out);
    OK(file_out_open(ctx, &out, "/dev/full"));
    OK(file_out_write(ctx, &out, "x", 1)); /* lies in the buffer */
    FAILS(file_out_commit(ctx, &out), CLIO_ERROR_FILE, "/dev/full cannot be written: the disk is full");
    assert_true(file_exists("/dev/full"));

    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    int fd = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK);
    OK(file_out_open(ctx, &out, in_folder("pipe")));
    OK(file_out_write(ctx, &out, "piped", 5));
    OK(file_out_commit(ctx, &out));
    assert_int_equal(read(fd, got, sizeof got), 5);
    assert_memory_equal(got, "piped", 5);
    close(fd);
}

/* In a child, so that the test's own standard output stays what it is: its exit status is what was found. */
static int write_to_stdout(const char *target)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct file_out out;
        int fd = open(target, O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
            _exit(100);
        if (file_out_open(ctx, &out, "-") || file_out_write(ctx, &out, "to stdout", 9))
            _exit(101);
        if (!file_out_commit(ctx, &out))
            _exit(0);
        _exit(strstr(clio_error(ctx), "standard output cannot be written: the disk is full") ? 1 : 102);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_out_stdout(void **state)
{
    (void)state;
    assert_int_equal(write_to_stdout(in_folder("captured")), 0);
    holds("captured", "to stdout");
    assert_int_equal(write_to_stdout("/dev/full"), 1);
}

static void test_names(void **state)
{
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {NULL, "b", "b"}};
    char *path;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        OK(file_join(ctx, &path, cases[i][0], cases[i][1]));
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
    put_text("file", "x");
    assert_true(file_exists(in_folder("file")) && file_exists(folder) && !file_exists(in_folder("nothing")));
    assert_true(file_is_folder(folder) && !file_is_folder(in_folder("file")) && !file_is_folder(in_folder("nothing")));
    OK(file_make_folder(ctx, in_folder("deep/er//still/")));
    OK(file_make_folder(ctx, in_folder("deep/er/still")));
    assert_true(file_is_folder(in_folder("deep/er/still")));
    FAILS(file_make_folder(ctx, in_folder("file/below")), CLIO_ERROR_FILE, "/file is a file");
    FAILS(file_make_folder(ctx, in_folder("file")), CLIO_ERROR_FILE, "/file is a file");
    if (file_is_folder("/proc"))
        FAILS(file_make_folder(ctx, "/proc/clio/cache"), CLIO_ERROR_FILE, "the folder /proc/clio/cache cannot be created");
}

static void test_json(void **state)
{
    struct json_file f;
    const char *text;
    bool yes;
    int n;
    (void)state;
    put_text("good.json", "{\"n\": 12, \"half\": 1.5, \"whole\": 3.0, \"huge\": 1e300, \"t\": \"text\", \"b\": true, \"none\": null}\n");
    OK(json_open(ctx, &f, folder, "good.json"));
    OK(json_int(ctx, &f, "n", 0, 100, 5, &n));
    assert_int_equal(n, 12);
    OK(json_int(ctx, &f, "n", 12, 12, 5, &n));
    FAILS(json_int(ctx, &f, "n", 0, 11, 5, &n), CLIO_ERROR_FORMAT, "from 0 to 11");
    OK(json_int(ctx, &f, "whole", 0, 100, 5, &n));
    assert_int_equal(n, 3);
    OK(json_int(ctx, &f, "none", 0, 100, 5, &n));
    assert_int_equal(n, 5);
    FAILS(json_int(ctx, &f, "n", 0, 11, 5, &n), CLIO_ERROR_FORMAT, "good.json: \"n\" is 12, but must be an integer from 0 to 11");
    FAILS(json_int(ctx, &f, "n", 13, 99, 5, &n), CLIO_ERROR_FORMAT, "must be an integer from 13 to 99");
    FAILS(json_int(ctx, &f, "half", 0, 100, 5, &n), CLIO_ERROR_FORMAT, "\"half\" must be an integer");
    FAILS(json_int(ctx, &f, "huge", 0, 100, 5, &n), CLIO_ERROR_FORMAT, "\"huge\" is 1e+300");
    FAILS(json_int(ctx, &f, "t", 0, 100, 5, &n), CLIO_ERROR_FORMAT, "\"t\" must be an integer");
    FAILS(json_int(ctx, &f, "absent", 0, 100, -1, &n), CLIO_ERROR_FORMAT, "good.json: the key \"absent\" is missing");
    OK(json_bool(ctx, &f, "b", false, &yes));
    assert_true(yes);
    OK(json_bool(ctx, &f, "absent", true, &yes));
    assert_true(yes);
    FAILS(json_bool(ctx, &f, "n", false, &yes), CLIO_ERROR_FORMAT, "\"n\" must be true or false");
    OK(json_text(ctx, &f, "t", NULL, &text));
    assert_string_equal(text, "text");
    OK(json_text(ctx, &f, "absent", "default", &text));
    assert_string_equal(text, "default");
    FAILS(json_text(ctx, &f, "absent", NULL, &text), CLIO_ERROR_FORMAT, "the key \"absent\" is missing");
    FAILS(json_text(ctx, &f, "n", NULL, &text), CLIO_ERROR_FORMAT, "\"n\" must be a string");
    json_close(&f);
    json_close(&f);
}

/* Python writes "no limit" as an integer beyond any type; the other numbers of the file must stay what they are. */
static void test_json_huge_integer(void **state)
{
    struct json_file f;
    int n;
    (void)state;
    put_text("huge.json", "{\"model_max_length\": 1000000000000000019884624838656, \"a\": {\"b\": [1, -2, {\"c\": 3}, 0.5]}, \"n\": 7}");
    OK(json_open(ctx, &f, folder, "huge.json"));
    OK(json_int(ctx, &f, "n", 0, 100, 5, &n));
    assert_int_equal(n, 7);
    FAILS(json_int(ctx, &f, "model_max_length", 0, 100, 5, &n), CLIO_ERROR_FORMAT, "\"model_max_length\" is 1e+30");
    const json_t *list = json_object_get(json_object_get(f.root, "a"), "b");
    assert_int_equal(json_integer_value(json_array_get(list, 1)), -2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "c")), 3);
    assert_true(json_real_value(json_array_get(list, 3)) == 0.5);
    json_close(&f);
}

static void test_json_broken(void **state)
{
    static const char *const broken[] = {
        "{", "{\"a\": 1,}", "{\"a\": 1} x", "{\"a\": \"\xff\"}", "nonsense", "{\"a\": 1000000000000000000000"};
    struct json_file f;
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        put_text("broken.json", broken[i]);
        FAILS(json_open(ctx, &f, folder, "broken.json"), CLIO_ERROR_FORMAT, "broken.json is not valid JSON (line 1: ");
        assert_null(f.root);
    }
    put_text("broken.json", "{\n\"a\": 1\n\"b\": 2}");
    FAILS(json_open(ctx, &f, folder, "broken.json"), CLIO_ERROR_FORMAT, "(line 3: ");
    put_text("broken.json", "[1, 2]");
    FAILS(json_open(ctx, &f, folder, "broken.json"), CLIO_ERROR_FORMAT, "does not contain a JSON object");
    put_text("broken.json", "");
    FAILS(json_open(ctx, &f, folder, "broken.json"), CLIO_ERROR_FORMAT, "broken.json is empty");
    FAILS(json_open(ctx, &f, folder, "absent.json"), CLIO_ERROR_FILE, "absent.json: no such file");
    assert_int_equal(truncate(put_text("broken.json", "{}"), (off_t)65 << 20), 0);
    FAILS(json_open(ctx, &f, folder, "broken.json"), CLIO_ERROR_FORMAT, "is larger than 64 MiB");
}

/* ---- allocations of Jansson that fail ---- */

static long allocations, fails_at, fails_count;

static void *failing_malloc(size_t size)
{
    allocations++;
    return allocations >= fails_at && allocations < fails_at + fails_count ? NULL : malloc(size);
}

static clio_status write_tensors(const char *path)
{
    clio_status st = CLIO_OK;
    struct safetensors_writer out = {0};
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    TRY(safetensors_writer_open(ctx, &out));
    TRY(safetensors_writer_metadata(ctx, &out, "format", "pt"));
    TRY(safetensors_writer_add(ctx, &out, "a", 2, (const int[]){2, 3}, data));
    TRY(safetensors_writer_add(ctx, &out, "b", 1, (const int[]){4}, data));
    TRY(safetensors_writer_save(ctx, &out, path));
fail:
    safetensors_writer_close(&out);
    return st;
}

/* Whichever allocation fails, alone or with all after it: out of memory and the old file, or the whole new one. */
static void test_json_memory_writing(void **state)
{
    struct weights w;
    const struct weight *found;
    (void)state;
    for (fails_count = 1; fails_count > 0; fails_count = fails_count == 1 ? 1L << 30 : 0) {
        clio_status st = CLIO_ERROR_MEMORY;
        for (fails_at = 1; st && fails_at < 1000; fails_at++) {
            put_text("tensors.safetensors", "old");
            allocations = 0;
            json_set_alloc_funcs(failing_malloc, free);
            st = write_tensors(in_folder("tensors.safetensors"));
            json_set_alloc_funcs(malloc, free);
            if (st) {
                check(st, CLIO_ERROR_MEMORY, "out of memory", __LINE__);
                holds("tensors.safetensors", "old");
            }
        }
        OK(st);
        OK(weights_open(ctx, &w, in_folder("tensors.safetensors"), "model"));
        OK(weights_need(ctx, &w, "a", 2, (const int[]){2, 3}, &found));
        OK(weights_need(ctx, &w, "b", 1, (const int[]){4}, &found));
        weights_close(&w);
        assert_true(fails_at > 20);
    }
}

static void test_json_memory_reading(void **state)
{
    struct json_file f;
    const char *path = put_text("good.json", "{\"name\": \"t\\u00e9xt\", \"list\": [1, 2.5, true, null, {\"deep\": \"er\"}], \"n\": 12}");
    int n = 0;
    (void)path;
    (void)state;
    for (fails_count = 1; fails_count > 0; fails_count = fails_count == 1 ? 1L << 30 : 0) {
        bool failed = true;
        for (fails_at = 1; failed; fails_at++) {
            allocations = 0;
            json_set_alloc_funcs(failing_malloc, free);
            clio_status st = json_open(ctx, &f, folder, "good.json");
            json_set_alloc_funcs(malloc, free);
            failed = allocations >= fails_at;
            if (st) {
                check(st, CLIO_ERROR_MEMORY, "out of memory", __LINE__);
                continue;
            }
            OK(json_int(ctx, &f, "n", 0, 100, -1, &n));
            assert_int_equal(n, 12);
            json_close(&f);
        }
    }
}

/* Numbers that are not finite are no weights; names need not be UTF-8. */
static void test_tensors_refused(void **state)
{
    struct safetensors_writer out = {0};
    static const float bad[3][2] = {{1, NAN}, {INFINITY, 0}, {0, -INFINITY}};
    json_t *object = NULL;
    (void)state;
    OK(safetensors_writer_open(ctx, &out));
    for (int i = 0; i < 3; i++)
        FAILS(safetensors_writer_add(ctx, &out, "layer.weight", 1, (const int[]){2}, bad[i]), CLIO_ERROR_UNSUPPORTED,
              "tensor layer.weight has a value that is not finite");
    safetensors_writer_close(&out);
    OK(json_made(ctx, &object, json_object()));
    OK(json_put_name(ctx, object, "name", "m\xe9le \xc3\xa9 \x80\xff"));
    assert_string_equal(json_string_value(json_object_get(object, "name")), "m\\xe9le \xc3\xa9 \\x80\\xff");
    json_t *copy;
    for (fails_count = 1, fails_at = 1; fails_at < 6; fails_at++) {
        allocations = 0;
        json_set_alloc_funcs(failing_malloc, free);
        clio_status st = json_copied(ctx, &copy, object);
        json_set_alloc_funcs(malloc, free);
        assert_true(st ? !copy : json_equal(copy, object));
        json_decref(copy);
    }
    FAILS(json_put(ctx, object, "key", NULL), CLIO_ERROR_MEMORY, "out of memory");
    FAILS(json_append(ctx, object, json_true()), CLIO_ERROR_MEMORY, "out of memory");
    json_decref(object);
}

static void test_replaced_bytes(void **state)
{
    static const char *const texts[][2] = {
        {"", ""},
        {"\xe4\xb8\xad \xf0\x9f\xa6\x8a", "\xe4\xb8\xad \xf0\x9f\xa6\x8a"},
        /* The Unicode Standard 15, table 3-11, as Python's bytes.decode(errors="replace") has them */
        {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a???b?c??d"},
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "????????A"},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "????????A"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "?????A??B"},
        {"a\xe4\xb8", "a?"},
        {"\xe4\xb8", "?"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct bytes out = {0}, want = {0};
        OK(text_replace_invalid(ctx, &out, texts[i][0], strlen(texts[i][0])));
        for (const char *c = texts[i][1]; *c; c++)
            OK(bytes_add(ctx, &want, *c == '?' ? "\xef\xbf\xbd" : c, *c == '?' ? 3 : 1));
        assert_int_equal(out.size, want.size);
        if (out.size)
            assert_memory_equal(out.data, want.data, out.size);
        bytes_free(&out);
        bytes_free(&want);
    }
}

static void nearest(const char *name, const char *words, const char *want)
{
    size_t length;
    const char *found = clio_nearest(name, words, &length);
    if (!want ? found != NULL : !found || length != strlen(want) || strncmp(found, want, length) != 0)
        fail_msg("nearest to %s is %.*s", name, (int)length, found ? found : "");
}

static void test_nearest(void **state)
{
    static const char words[] = "learning_rate, lr_scheduler batch_size, negative-prompt steps";
    (void)state;
    nearest("lerning_rate", words, "learning_rate");
    nearest("Learning-Rate", words, "learning_rate");
    nearest("--negative_prompt", words, "negative-prompt");
    nearest("lr", words, "lr_scheduler");
    nearest("max_steps", words, "steps");
    nearest("stepz", words, "steps");
    nearest("colour", words, NULL);
    nearest("", words, NULL);
    nearest("x", "", NULL);
    nearest("a_name_that_is_longer_than_any_that_a_table_has_and_is_compared_only_so_far", words, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaced_bytes),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_out),
        cmocka_unit_test(test_out_abandoned),
        cmocka_unit_test(test_out_failed_write),
        cmocka_unit_test(test_out_refused),
        cmocka_unit_test(test_out_special),
        cmocka_unit_test(test_out_stdout),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_huge_integer),
        cmocka_unit_test(test_json_broken),
        cmocka_unit_test(test_json_memory_writing),
        cmocka_unit_test(test_json_memory_reading),
        cmocka_unit_test(test_tensors_refused),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
