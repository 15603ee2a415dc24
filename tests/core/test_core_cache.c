/* test_core_cache.c - compiled programs on disk: stored, loaded, mended, shared by processes, done without. */
#include "../support/test_own.h"

#include <dirent.h>
#include <sys/wait.h>

#include "../../host/core/program_cache.h"
#include "../../host/ops/ops.h"

static const char *self; /* how this program was called */

/* A kernel of cl/mel.cl does what it should; nothing was said on the way. */
static void check_power(void)
{
    float pairs[6] = {1, 2, 3, 4, 5, 6}, want[3] = {5, 25, 61}, power[3];
    struct tensor in = tensor_shape(DTYPE_F32, 3, 1, 3, 2, 0), out = tensor_shape(DTYPE_F32, 2, 1, 3, 0, 0);
    OK(tensor_new(ctx, &in, "a spectrum"));
    OK(tensor_new(ctx, &out, "its power"));
    OK(tensor_write(ctx, &in, 0, 6, pairs));
    OK(op_power_fwd(ctx, &out, &in));
    OK(tensor_read(ctx, &out, 0, 3, power));
    assert_close(power, want, 3, 1e-6);
    assert_string_equal(clio_error(ctx), "");
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
}

/* Number of files in a folder, 0 where there is none; the path of the last. */
static int files_in(const char *where, char path[512])
{
    DIR *d = opendir(where);
    int count = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' || strlen(e->d_name) > 2) {
            snprintf(path, 512, "%s/%s", where, e->d_name);
            count++;
        }
    if (d)
        closedir(d);
    return count;
}

static ino_t inode(const char *path)
{
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return s.st_ino;
}

static void test_stored_and_loaded(void **state)
{
    char path[512], again[512];
    (void)state;
    reopen_with(cache); /* the folder is made */
    check_power();
    assert_int_equal(files_in(cache, path), 1);
    assert_non_null(strstr(path, "/cache/mel-"));
    ino_t stored = inode(path);
    reopen_with(cache);
    check_power();
    assert_int_equal(files_in(cache, again), 1);
    assert_string_equal(path, again);
    assert_int_equal(inode(path), stored); /* a build would have put a new file in its place */
    struct kernel *k;
    OK(kernel_get(ctx, "mel", "mel_power", "-DLOCAL=32", &k)); /* other options, another entry */
    assert_int_equal(files_in(cache, again), 2);
}

/* Whatever lies in the place of an entry: it is built again, and the entry is good afterwards. */
static void expect_rebuilt(const char *path, const char *what)
{
    char other[512];
    reopen_with(cache);
    check_power();
    ino_t rebuilt = inode(path);
    reopen_with(cache);
    check_power();
    if (inode(path) != rebuilt)
        fail_msg("%s: the entry was not mended", what);
    assert_int_equal(files_in(cache, other), 1);
}

static uint64_t fnv(const char *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3u;
    return hash;
}

static void test_bad_entries(void **state)
{
    enum { HEADER = 40, BINARY_BYTES = 24, CHECKSUM = 32 }; /* see program_cache.c */
    char path[512];
    size_t size;
    uint64_t key_bytes, hash;
    (void)state;
    reopen_with(cache);
    check_power();
    assert_int_equal(files_in(cache, path), 1);
    char *good = read_file(path, &size), *bad = malloc(size + 1);
    assert_non_null(bad);
    static const size_t cuts[] = {0, 1, 16, HEADER - 1, HEADER, HEADER + 9};
    for (size_t i = 0; i < COUNT(cuts); i++) {
        write_file(path, good, cuts[i]);
        expect_rebuilt(path, "cut");
    }
    write_file(path, good, size - 1);
    expect_rebuilt(path, "cut at its end");
    memcpy(bad, good, size);
    bad[size] = 0;
    write_file(path, bad, size + 1);
    expect_rebuilt(path, "a byte too long");
    for (size_t at = 0; at < size; at += at < HEADER ? 5 : size / 6) {
        memcpy(bad, good, size);
        bad[at] ^= 0x10;
        write_file(path, bad, size);
        expect_rebuilt(path, "a changed byte");
    }
    write_file(path, "this is no program at all", 25);
    expect_rebuilt(path, "another file");
    memset(bad, 0xff, size);
    write_file(path, bad, size);
    expect_rebuilt(path, "all ones");
    if (!test_small()) { /* a whole entry whose binary is none: the driver has to refuse it, which those of small tests do by aborting */
        memcpy(bad, good, size);
        memcpy(&key_bytes, good + 16, 8);
        memset(bad + HEADER + key_bytes, 'x', size - HEADER - key_bytes);
        hash = fnv(bad + HEADER, size - HEADER);
        memcpy(bad + CHECKSUM, &hash, 8);
        write_file(path, bad, size);
        expect_rebuilt(path, "no binary");
    }
    hash = fnv(good + HEADER, size - HEADER); /* this test means what program_cache.c means */
    assert_memory_equal(good + CHECKSUM, &hash, 8);
    free(good);
    free(bad);
}

/* The newest file of a folder whose name begins like this. */
static void find_file(const char *where, const char *begin, char path[512])
{
    DIR *d = opendir(where);
    struct stat info;
    struct timespec newest = {0};
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", where, e->d_name);
        if (strncmp(e->d_name, begin, strlen(begin)) != 0 || stat(name, &info))
            continue;
        if (info.st_mtim.tv_sec > newest.tv_sec || (info.st_mtim.tv_sec == newest.tv_sec && info.st_mtim.tv_nsec > newest.tv_nsec)) {
            newest = info.st_mtim;
            snprintf(path, 512, "%s", name);
        }
    }
    closedir(d);
}

/* A good entry of another program under this one's name. */
static void test_foreign_entry(void **state)
{
    char path[512], other[512], elsewhere[100];
    size_t size;
    struct kernel *k;
    (void)state;
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    reopen_with(elsewhere);
    OK(kernel_get(ctx, "matmul", "matmul", "", &k));
    assert_int_equal(files_in(elsewhere, other), 1);
    char *foreign = read_file(other, &size);
    reopen_with(cache);
    check_power();
    assert_int_equal(files_in(cache, path), 1);
    write_file(path, foreign, size);
    free(foreign);
    expect_rebuilt(path, "a foreign entry");
    /* one whose key is as long, as if both had the same hash */
    reopen_with(elsewhere);
    OK(kernel_get(ctx, "mel", "mel_power", "-DLOCAL=32", &k));
    find_file(elsewhere, "mel-", other);
    foreign = read_file(other, &size);
    reopen_with(cache);
    OK(kernel_get(ctx, "mel", "mel_power", "-DLOCAL=16", &k));
    find_file(cache, "mel-", other);
    if (strcmp(other, path) == 0)
        fail_msg("the entry of other options is not found");
    char *good = read_file(other, &(size_t){0});
    write_file(other, foreign, size);
    reopen_with(cache);
    OK(kernel_get(ctx, "mel", "mel_power", "-DLOCAL=16", &k));
    char *mended = read_file(other, &(size_t){0});
    assert_memory_equal(good, mended, 32); /* then the checksum of the binary, which some compilers make differently each time */
    assert_memory_equal(good + 40, mended + 40, 160);
    free(foreign);
    free(good);
    free(mended);
}

static void test_cache_that_cannot_be(void **state)
{
    char file[100], below[120], path[512];
    (void)state;
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(below, sizeof below, "%s/file/cache", folder);
    write_file(file, "x", 1);
    reopen_with(below);
    check_power(); /* works, and says nothing */
    reopen_with(file);
    check_power();
    reopen_with(cache);
    check_power();
    assert_int_equal(files_in(cache, path), 1);
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0777), 0); /* a folder where the entry should be */
    reopen_with(cache);
    check_power();
    assert_true(file_is_folder(path));
}

static void test_cache_switched_off(void **state)
{
    char path[512];
    (void)state;
    setenv("CLIO_CACHE_DIR", cache, 1);
    reopen_with(NULL);
    check_power();
    unsetenv("CLIO_CACHE_DIR");
    assert_int_equal(files_in(cache, path), 0);
    assert_int_equal(files_in(folder, path), 0);
}

/* The folder: the caller's, else CLIO_CACHE_DIR, XDG_CACHE_HOME/clio, HOME/.cache/clio. */
static void test_cache_folder(void **state)
{
    static const char *const names[] = {"CLIO_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
    static const char *const want[] = {"/given/x-", "/own/x-", "/xdg/clio/x-", "/home/.cache/clio/x-"};
    char *before[COUNT(names)];
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        before[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
    setenv("CLIO_CACHE_DIR", "/own", 1);
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    setenv("HOME", "/home", 1);
    OK(clio_set_cache(ctx, "/given", 1));
    for (size_t i = 0; i <= COUNT(names); i++) {
        struct cache_key key = {0};
        OK(cache_key_make(ctx, &key, "x", "", "source"));
        if (i < COUNT(want))
            assert_int_equal(strncmp(key.path, want[i], strlen(want[i])), 0);
        cache_key_free(&key);
        if (i == 0)
            OK(clio_set_cache(ctx, NULL, 1));
        else
            unsetenv(names[i - 1]);
    }
    struct cache_key key = {0};
    OK(cache_key_make(ctx, &key, "x", "", "source"));
    assert_null(key.path); /* nowhere left: no cache */
    cache_key_free(&key);
    for (size_t i = 0; i < COUNT(names); i++) {
        if (before[i])
            setenv(names[i], before[i], 1);
        free(before[i]);
    }
}

/* The key: nothing that a binary depends on may change without another entry. */
static void test_key(void **state)
{
    struct cache_key keys[7] = {{0}};
    (void)state;
    reopen_with(cache);
    OK(cache_key_make(ctx, &keys[0], "x", "-DA", "source"));
    OK(cache_key_make(ctx, &keys[1], "x", "-DB", "source"));
    OK(cache_key_make(ctx, &keys[2], "x", "-DA", "source "));
    ctx->device.driver[0] ^= 1;
    OK(cache_key_make(ctx, &keys[3], "x", "-DA", "source"));
    ctx->device.driver[0] ^= 1;
    ctx->device.name[0] ^= 1;
    OK(cache_key_make(ctx, &keys[4], "x", "-DA", "source"));
    ctx->device.name[0] ^= 1;
    ctx->device.max_work_group /= 2; /* the limits of the device */
    OK(cache_key_make(ctx, &keys[5], "x", "-DA", "source"));
    ctx->device.max_work_group *= 2;
    ctx->device.local_memory /= 2;
    OK(cache_key_make(ctx, &keys[6], "x", "-DA", "source"));
    ctx->device.local_memory *= 2;
    for (size_t i = 0; i < COUNT(keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_true(strcmp(keys[i].text, keys[j].text) != 0 && strcmp(keys[i].path, keys[j].path) != 0);
    for (size_t i = 0; i < COUNT(keys); i++)
        cache_key_free(&keys[i]);
}

/* What a second process of this program does: build into the folder, and be right. */
static int child(const char *where)
{
    set_up(NULL);
    rmdir(folder);
    reopen_with(where);
    check_power();
    clio_destroy(ctx);
    return 0;
}

static void test_two_processes(void **state)
{
    char path[512];
    pid_t pids[3];
    (void)state;
    for (size_t i = 0; i < COUNT(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            execl(self, self, "--child", cache, (char *)NULL);
            _exit(127);
        }
    }
    for (size_t i = 0; i < COUNT(pids); i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(files_in(cache, path), 1); /* and nothing half-written */
    ino_t stored = inode(path);
    reopen_with(cache);
    check_power();
    assert_int_equal(inode(path), stored);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(test_stored_and_loaded),  EACH(test_bad_entries),  EACH(test_foreign_entry), EACH(test_cache_that_cannot_be),
        EACH(test_cache_switched_off), EACH(test_cache_folder), EACH(test_key),           EACH(test_two_processes),
    };
    self = argv[0];
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return child(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
