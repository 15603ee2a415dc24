/* test_core_file_tree.c - folders that clio owns: listed, deleted, linked and locked, never through a link. Needs no device. */
#include "../support/test_own.h"

#include "../../host/core/file_out.h"
#include "../../host/core/file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static bool is_there(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static void test_find(void **state)
{
    enum file_kind kind;
    (void)state;
    put_text("file", "x");
    OK(file_find(ctx, in_folder("file"), &kind));
    assert_int_equal(kind, FILE_REGULAR);
    OK(file_find(ctx, folder, &kind));
    assert_int_equal(kind, FILE_FOLDER);
    OK(file_find(ctx, "/dev/null", &kind));
    assert_int_equal(kind, FILE_SPECIAL);
    OK(file_find(ctx, in_folder("none"), &kind));
    assert_int_equal(kind, FILE_ABSENT);
    OK(file_find(ctx, in_folder("file/below"), &kind));
    assert_int_equal(kind, FILE_ABSENT);
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    FAILS(file_find(ctx, in_folder("loop"), &kind), CLIO_ERROR_FILE, "/loop cannot be read: "); /* not: absent */
    if (geteuid()) {
        assert_int_equal(mkdir(in_folder("closed"), 0), 0);
        FAILS(file_find(ctx, in_folder("closed/file"), &kind), CLIO_ERROR_FILE, "no permission");
    }
}

static void test_names(void **state)
{
    struct file_names names;
    bool absent;
    (void)state;
    put_text("b", "");
    put_text("a", "");
    put_text(".c", "");
    OK(file_names_read(ctx, &names, folder, &absent));
    assert_false(absent);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.list[0], ".c");
    assert_string_equal(names.list[1], "a");
    assert_string_equal(names.list[2], "b");
    file_names_free(&names);
    OK(file_names_read(ctx, &names, in_folder("none"), &absent));
    assert_true(absent && names.count == 0);
    FAILS(file_names_read(ctx, &names, in_folder("none"), NULL), CLIO_ERROR_FILE, "/none: no such file");
    if (geteuid()) {
        assert_int_equal(mkdir(in_folder("closed"), 0), 0);
        FAILS(file_names_read(ctx, &names, in_folder("closed"), &absent), CLIO_ERROR_FILE, "no permission");
    }
}

static void test_delete(void **state)
{
    (void)state;
    OK(file_make_folder(ctx, in_folder("target/inner")));
    put_text("target/kept", "kept");
    OK(file_make_folder(ctx, in_folder("tree/deep/er")));
    put_text("tree/deep/file", "x");
    assert_int_equal(symlink("../../target", in_folder("tree/deep/link")), 0);
    assert_int_equal(symlink("../target/kept", in_folder("tree/link")), 0);
    OK(file_delete_folder(ctx, in_folder("tree")));
    assert_false(is_there(in_folder("tree")));
    assert_true(is_there(in_folder("target/kept")) && is_there(in_folder("target/inner")));

    assert_int_equal(symlink("target", in_folder("checkpoint")), 0); /* the folder itself is a link */
    OK(file_delete_folder(ctx, in_folder("checkpoint/")));
    assert_false(is_there(in_folder("checkpoint")));
    assert_true(is_there(in_folder("target/kept")));
    OK(file_delete_folder(ctx, in_folder("checkpoint"))); /* absent */

    assert_int_equal(symlink("target/kept", in_folder("link")), 0);
    OK(file_delete(ctx, in_folder("link")));
    assert_false(is_there(in_folder("link")));
    assert_true(is_there(in_folder("target/kept")));
    OK(file_delete(ctx, in_folder("link")));
    FAILS(file_delete(ctx, in_folder("target")), CLIO_ERROR_FILE, "/target cannot be deleted: ");
    if (geteuid()) {
        OK(file_make_folder(ctx, in_folder("fixed/inner")));
        assert_int_equal(chmod(in_folder("fixed"), 0500), 0);
        FAILS(file_delete_folder(ctx, in_folder("fixed")), CLIO_ERROR_FILE, "/fixed/inner cannot be deleted: ");
        assert_int_equal(chmod(in_folder("fixed"), 0700), 0);
    }
}

static void test_link(void **state)
{
    char target[64] = "";
    (void)state;
    OK(file_set_link(ctx, folder, "last", "step-1"));
    assert_int_equal(symlink("step-0", in_folder(".last.new")), 0); /* of a run that was killed */
    OK(file_set_link(ctx, folder, "last", "step-2"));
    assert_int_equal(readlink(in_folder("last"), target, sizeof target - 1), 6);
    assert_string_equal(target, "step-2");
    assert_false(is_there(in_folder(".last.new")));
    put_text("mine", "text");
    FAILS(file_set_link(ctx, folder, "mine", "step-2"), CLIO_ERROR_FILE, "a file or folder has this name");
    FAILS(file_rename(ctx, in_folder("none"), in_folder("other")), CLIO_ERROR_FILE, "/none cannot be renamed to ");
    OK(file_make_folder(ctx, in_folder("tree/deep")));
    OK(file_sync_folder(ctx, in_folder("tree")));
    FAILS(file_sync_folder(ctx, in_folder("none")), CLIO_ERROR_FILE, "/none: no such file");
}

/* Files in folders that clio owns. */
static void test_own_files(void **state)
{
    struct file_out out;
    char text[16] = "";
    (void)state;
    put_text("other", "old");
    assert_int_equal(symlink("other", in_folder("losses.csv")), 0);
    FAILS(file_out_open_log(ctx, &out, in_folder("losses.csv")), CLIO_ERROR_FILE, "/losses.csv cannot be written: it is a link");
    OK(file_out_open_own(ctx, &out, in_folder("losses.csv")));
    OK(file_out_write(ctx, &out, "new", 3));
    OK(file_out_commit(ctx, &out));
    assert_true(readlink(in_folder("losses.csv"), text, sizeof text) < 0); /* the link was replaced, */
    struct file_content content;
    OK(file_load(ctx, &content, in_folder("other"))); /* its target was not */
    assert_memory_equal(content.data, "old", 3);
    file_unload(&content);
    OK(file_out_open_log(ctx, &out, in_folder("losses.csv")));
    OK(file_out_write(ctx, &out, "er", 2));
    OK(file_out_flush(ctx, &out));
    OK(file_load(ctx, &content, in_folder("losses.csv")));
    assert_int_equal(content.size, 5);
    assert_memory_equal(content.data, "newer", 5);
    file_unload(&content);
    OK(file_out_commit(ctx, &out));
    OK(file_make_folder(ctx, in_folder("taken")));
    FAILS(file_out_open_own(ctx, &out, in_folder("taken")), CLIO_ERROR_FILE, "it is a folder");
}

/* What a run that was killed left is deleted; what another run is writing is not. */
static void test_leftovers(void **state)
{
    struct file_out first, second;
    (void)state;
    put_text("result.tmp.clio", "left");
    put_text("result.tmp.clio.7", "not clio's, by its number");
    put_text("precious", "kept");
    OK(file_out_open(ctx, &first, in_folder("result")));
    assert_int_equal(strcmp(first.temporary, in_folder("result.tmp.clio")), 0);
    OK(file_out_open(ctx, &second, in_folder("result")));
    assert_int_equal(strcmp(second.temporary, in_folder("result.tmp.clio.1")), 0);
    OK(file_out_write(ctx, &first, "1", 1));
    OK(file_out_write(ctx, &second, "2", 1));
    OK(file_out_commit(ctx, &first));
    OK(file_out_commit(ctx, &second));
    assert_false(is_there(in_folder("result.tmp.clio")) || is_there(in_folder("result.tmp.clio.1")));
    unlink(in_folder("result.tmp.clio.7"));
    assert_int_equal(symlink("precious", in_folder("result.tmp.clio")), 0); /* never followed, never deleted */
    OK(file_out_open(ctx, &first, in_folder("result")));
    assert_int_equal(strcmp(first.temporary, in_folder("result.tmp.clio.1")), 0);
    file_out_abandon(&first);
    struct file_content content;
    OK(file_load(ctx, &content, in_folder("precious")));
    assert_memory_equal(content.data, "kept", 4);
    file_unload(&content);
}

static void test_lock(void **state)
{
    struct file_lock lock, second;
    int status, pipes[2];
    char byte;
    (void)state;
    OK(file_lock(ctx, &lock, in_folder(".lock"), "training"));
    FAILS(file_lock(ctx, &second, in_folder(".lock"), "training"), CLIO_ERROR_FILE, "another training uses this folder");
    file_unlock(&second);
    file_unlock(&lock);
    file_unlock(&lock);
    assert_false(is_there(in_folder(".lock")));

    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        close(pipes[1]);
        if (file_lock(ctx, &lock, in_folder(".lock"), "training"))
            _exit(1);
        while (read(pipes[0], &byte, 1) < 0 && errno == EINTR)
            continue;
        _exit(0);
    }
    close(pipes[0]);
    for (int i = 0; i < 5000 && !is_there(in_folder(".lock")); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    FAILS(file_lock(ctx, &lock, in_folder(".lock"), "training"), CLIO_ERROR_FILE, "wait for it to end, or choose another folder");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(pipes[1]);
    assert_true(is_there(in_folder(".lock")));
    OK(file_lock(ctx, &lock, in_folder(".lock"), "training")); /* a killed process holds no lock */
    file_unlock(&lock);
    put_text("target", "kept");
    assert_int_equal(symlink("target", in_folder(".lock")), 0);
    FAILS(file_lock(ctx, &lock, in_folder(".lock"), "training"), CLIO_ERROR_FILE, "it is a link");
    unlink(in_folder(".lock"));
}

/* A file that is cut short while it is read is an error in a sentence, not a signal. */
static void test_cut_short(void **state)
{
    struct file_in in;
    char text[8];
    (void)state;
    FAILS(file_in_open(ctx, &in, folder), CLIO_ERROR_FILE, "is a folder");
    OK(file_in_open(ctx, &in, put_text("cut", "0123456789")));
    OK(file_in_read(ctx, &in, 4, 6, text));
    assert_memory_equal(text, "456789", 6);
    FAILS(file_in_read(ctx, &in, 4, 7, text), CLIO_ERROR_FORMAT, "/cut was cut short while it was read");
    assert_int_equal(truncate(in_folder("cut"), 5), 0);
    FAILS(file_in_read(ctx, &in, 4, 6, text), CLIO_ERROR_FORMAT, "it had 10 bytes, and ends before byte 10");
    file_in_close(&in);
    file_in_close(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_short, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
