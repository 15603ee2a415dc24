/* test_core_private.c - the folders of the cache and of tuned parameters: made for this user alone, not used when others may write there,
 * and cleared of what killed processes left. */
#include "../support/test_own.h"

#include <dirent.h>
#include <sys/wait.h>

#include "../../host/core/file_out.h"
#include "../../host/core/private_folder.h"
#include "../../host/core/program_cache.h"

static char why[600];

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void make_with(const char *path, mode_t mode)
{
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* ---- who may write ---- */

static void test_made_private(void **state)
{
    const char *path = in_folder("a/b/c");
    (void)state;
    mode_t before = umask(0);
    clio_status st = private_folder_make(ctx, path);
    umask(before);
    OK(st);
    assert_int_equal(mode_of(path), 0700);
    assert_int_equal(mode_of(in_folder("a/b")), 0700);
    assert_int_equal(mode_of(in_folder("a")), 0700);
    assert_true(private_folder_is_safe(path, why) && !*why);
    OK(private_folder_make(ctx, path)); /* it is there */
    put_text("file", "");
    FAILS(private_folder_make(ctx, in_folder("file")), CLIO_ERROR_FILE, "is not a folder");
    FAILS(private_folder_make(ctx, in_folder("file/x")), CLIO_ERROR_FILE, "cannot be used: Not a directory");
}

static void test_modes(void **state)
{
    static const struct {
        mode_t mode;
        bool safe;
    } cases[] = {{0700, true},  {0755, true},  {0750, true},   {0500, true},  {0777, false},
                 {0770, false}, {0722, false}, {01777, false}, {0720, false}, {0702, false}};
    char name[32], path[512];
    (void)state;
    assert_false(private_folder_is_safe(in_folder("none"), why));
    assert_string_equal(why, ""); /* it may be made */
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(name, sizeof name, "m%zu", i);
        snprintf(path, sizeof path, "%s", in_folder(name));
        make_with(path, cases[i].mode);
        if (private_folder_is_safe(path, why) != cases[i].safe)
            fail_msg("mode %04o: expected %d: %s", (unsigned)cases[i].mode, cases[i].safe, why);
        snprintf(name, sizeof name, "(mode %04o): run chmod go-w", (unsigned)cases[i].mode);
        assert_true(cases[i].safe || (strstr(why, path) && strstr(why, name)));
        if (!cases[i].safe)
            FAILS(private_folder_make(ctx, path), CLIO_ERROR_FILE, "other users may write to the folder");
        assert_int_equal(mode_of(path), cases[i].mode); /* nothing is changed behind the user's back */
    }
}

/* Of a link, where it leads counts. */
static void test_links(void **state)
{
    (void)state;
    make_with(in_folder("safe"), 0700);
    make_with(in_folder("open"), 0777);
    assert_int_equal(symlink("safe", in_folder("to-safe")), 0);
    assert_int_equal(symlink("open", in_folder("to-open")), 0);
    assert_true(private_folder_is_safe(in_folder("to-safe"), why));
    assert_false(private_folder_is_safe(in_folder("to-open"), why));
}

static void test_owner(void **state)
{
    struct bytes text = {0};
    bool found;
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can give a folder away */
    make_with(in_folder("theirs"), 0700);
    assert_int_equal(chown(in_folder("theirs"), 12345, 12345), 0);
    assert_false(private_folder_is_safe(in_folder("theirs"), why));
    assert_non_null(strstr(why, "belongs to another user (number 12345)"));
    put_text("their-file", "x");
    assert_int_equal(chown(in_folder("their-file"), 12345, 12345), 0);
    OK(private_file_read(ctx, in_folder("their-file"), &text, &found));
    assert_false(found);
    bytes_free(&text);
}

static void test_file(void **state)
{
    struct bytes text = {0};
    bool found;
    char long_text[40000];
    (void)state;
    memset(long_text, 'y', sizeof long_text);
    put("file", long_text, sizeof long_text);
    OK(private_file_read(ctx, in_folder("file"), &text, &found));
    assert_true(found && text.size == sizeof long_text && memcmp(text.data, long_text, text.size) == 0 && !text.data[text.size]);
    bytes_free(&text);
    assert_int_equal(symlink("file", in_folder("link")), 0);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    const char *others[] = {in_folder("link"), in_folder("fifo"), in_folder("none"), folder};
    for (size_t i = 0; i < COUNT(others); i++) {
        OK(private_file_read(ctx, others[i], &text, &found));
        assert_false(found);
        assert_int_equal(text.size, 0);
        bytes_free(&text);
    }
}

/* ---- what killed processes left ---- */

/* The number of a process that is gone. */
static long gone(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return (long)pid;
}

static void test_leftovers(void **state)
{
    static const struct {
        const char *name;
        bool own, kept;
    } cases[] = {{"gemm-0123.bin.tmp.%ld", false, false},      {"selftests-0123.txt.tmp.%ld", false, false},
                 {"gemm-0123.bin.tmp.%ld.7", false, false},    {"a-device.params.tmp.%ld", false, false},
                 {"gemm-0123.bin.tmp.%ld", true, true},        {"notes.tmp.%ld", false, true},
                 {"gemm-0123.bin.tmp.%ldx", false, true},      {"gemm-0123.bin.%ld", false, true},
                 {"gemm-0123.bin.tmp.%ld.7.bak", false, true}, {".bin.tmp.%ld", false, true},
                 {"thesis.docx.tmp.%ld", false, true},         {"gemm-0123.bin.tmp.0%ld", false, true}};
    char name[COUNT(cases)][80];
    long dead = gone();
    (void)state;
    assert_false(private_process_runs(dead));
    assert_true(private_process_runs((long)getpid()) && private_process_runs(1));
    assert_false(private_process_runs(0));
    for (size_t i = 0; i < COUNT(cases); i++) {
        int used = 0;
        const char *mark = strstr(cases[i].name, "%ld");
        used = snprintf(name[i], sizeof name[i], "%.*s%ld%s", (int)(mark - cases[i].name), cases[i].name,
                        cases[i].own ? (long)getpid() : dead, mark + 3);
        assert_true(used > 0);
        put_text(name[i], "x");
    }
    put_text("gemm-0123.bin", "x");
    static const char *const unlocked[] = {"gemm-0123.bin.tmp.clio", "gemm-0123.bin.tmp.clio.12", "a.params.tmp.clio"};
    for (size_t i = 0; i < COUNT(unlocked); i++)
        put_text(unlocked[i], "x");
    put_text("gemm-0123.bin.tmp.clio.x", "x");
    put_text("mine.tmp.clio", "x");
    struct file_out out; /* being written */
    OK(file_out_open_own(ctx, &out, in_folder("gemm-9.bin")));
    private_folder_tidy(folder);
    for (size_t i = 0; i < COUNT(unlocked); i++)
        assert_int_equal(access(in_folder(unlocked[i]), F_OK), -1);
    assert_int_equal(access(in_folder("gemm-0123.bin.tmp.clio.x"), F_OK), 0);
    assert_int_equal(access(in_folder("mine.tmp.clio"), F_OK), 0);
    assert_int_equal(access(out.temporary, F_OK), 0);
    OK(file_out_commit(ctx, &out));
    for (size_t i = 0; i < COUNT(cases); i++)
        if ((access(in_folder(name[i]), F_OK) == 0) != cases[i].kept)
            fail_msg("%s: expected to be %s", name[i], cases[i].kept ? "kept" : "deleted");
    assert_int_equal(access(in_folder("gemm-0123.bin"), F_OK), 0);
    private_folder_tidy(in_folder("none"));
}

/* ---- the cache ---- */

static int files_in(const char *where)
{
    DIR *d = opendir(where);
    int count = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        count += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return count;
}

/* What the user was told. */
static const char *notice(size_t i)
{
    return i < ctx->notice_count ? ctx->notices[i] : NULL;
}

static int builds;

static int count_builds(void *user, const char *what, double done, double total)
{
    (void)user, (void)done, (void)total;
    builds += strcmp(what, "building kernels") == 0;
    return 0;
}

static void test_cache(void **state)
{
    struct kernel *k;
    char left[160];
    (void)state;
    reopen_with(cache);
    OK(kernel_get(ctx, "mel", "mel_power", "", &k));
    assert_int_equal(mode_of(cache), 0700);
    assert_int_equal(files_in(cache), 1);
    assert_null(notice(0));
    /* others may write: neither read nor written, and said */
    assert_int_equal(chmod(cache, 0777), 0);
    reopen_with(cache);
    clio_set_progress(ctx, count_builds, NULL);
    builds = 0;
    OK(kernel_get(ctx, "mel", "mel_power", "", &k)); /* which has an entry */
    OK(kernel_get(ctx, "mel", "mel_power", "-DLOCAL=32", &k));
    assert_int_equal(builds, 2);
    assert_int_equal(files_in(cache), 1);
    const char *warning = notice(0);
    assert_true(warning && strstr(warning, "the cache of compiled kernels and self-tests is not used: other users may write") &&
                strstr(warning, cache) && strstr(warning, "chmod go-w"));
    assert_null(notice(1)); /* once */
    assert_string_equal(clio_error(ctx), "");
    /* private again: used, and cleared once per context */
    assert_int_equal(chmod(cache, 0700), 0);
    snprintf(left, sizeof left, "%s/mel-00.bin.tmp.%ld", cache, gone());
    write_file(left, "x", 1);
    reopen_with(cache);
    clio_set_progress(ctx, count_builds, NULL);
    builds = 0;
    OK(kernel_get(ctx, "mel", "mel_power", "", &k));
    assert_int_equal(builds, 0);
    OK(kernel_get(ctx, "mel", "mel_power", "-DLOCAL=32", &k));
    assert_int_equal(builds, 1);
    assert_int_equal(files_in(cache), 2);
    assert_null(notice(0));
}

/* An entry that another user could have put there is not run. */
static void test_foreign_entry(void **state)
{
    struct kernel *k;
    char path[512] = "";
    struct stat before, after;
    (void)state;
    if (geteuid() != 0)
        skip();
    reopen_with(cache);
    OK(kernel_get(ctx, "mel", "mel_power", "", &k));
    DIR *d = opendir(cache);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", cache, e->d_name);
    closedir(d);
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(stat(path, &before), 0);
    reopen_with(cache);
    OK(kernel_get(ctx, "mel", "mel_power", "", &k));
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino != after.st_ino && after.st_uid == 0);
}

/* ---- tuned parameters ---- */

static void test_tuned(void **state)
{
    const char *problem, *text = "any logits.local 8\n";
    struct bytes whole = {0};
    char *path;
    (void)state;
    make_with(in_folder("tuned"), 0700);
    setenv("CLIO_TUNED_DIR", in_folder("tuned"), 1);
    OK(clio_device_open(ctx, NULL));
    OK(params_tuned_path(ctx, &path));
    OK(params_tuned_header(ctx, &whole));
    OK(bytes_add(ctx, &whole, text, strlen(text)));
    write_file(path, whole.data, whole.size);
    OK(clio_device_open(ctx, NULL));
    assert_string_equal(clio_tuned_file(ctx, &problem), path);
    assert_true(params_is(ctx, "logits.local", "8"));
    assert_int_equal(chmod(in_folder("tuned"), 0733), 0);
    OK(clio_device_open(ctx, NULL));
    assert_null(clio_tuned_file(ctx, &problem));
    assert_true(problem && strstr(problem, "other users may write to the folder"));
    assert_false(params_is(ctx, "logits.local", "8"));
    assert_int_equal(chmod(in_folder("tuned"), 0700), 0);
    assert_int_equal(rename(path, in_folder("elsewhere")), 0);
    assert_int_equal(symlink(in_folder("elsewhere"), path), 0);
    OK(clio_device_open(ctx, NULL));
    assert_null(clio_tuned_file(ctx, &problem));
    assert_true(problem && strstr(problem, "no file of your own"));
    bytes_free(&whole);
    free(path);
}

static int tear_down_tuned(void **state)
{
    unsetenv("CLIO_TUNED_DIR");
    return tear_down(state);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down_tuned)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_made_private), EACH(test_modes), EACH(test_links),         EACH(test_owner), EACH(test_file),
        EACH(test_leftovers),    EACH(test_cache), EACH(test_foreign_entry), EACH(test_tuned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
