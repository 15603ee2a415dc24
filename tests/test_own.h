/* test_own.h - for tests that need a context and a folder of their own in each test, rather than the shared context of test.h: `ctx`
 * without a device, `folder` (empty, removed afterwards), `cache` (a name in it). Define _XOPEN_SOURCE 700 before the first include. */
#ifndef CLIO_TEST_OWN_H
#define CLIO_TEST_OWN_H

#include "test.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static clio_context *ctx;
static char folder[64], cache[80];

static inline int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    ctx = clio_create();
    snprintf(folder, sizeof folder, "%.40s/clio-test-XXXXXX", base && strlen(base) < 40 ? base : "/tmp");
    if (!ctx || !mkdtemp(folder))
        return -1;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static inline int tear_down(void **state)
{
    (void)state;
    clio_destroy(ctx);
    ctx = NULL;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void check(clio_status got, clio_status want, const char *part, int line)
{
    if (got == want && (!got || strstr(clio_error(ctx), part)))
        return;
    fail_msg("line %d: expected %s with \"%s\", got %s: %s; %s", line, clio_status_name(want), part, clio_status_name(got),
             got ? clio_error(ctx) : "", got ? clio_error_detail(ctx) : "");
}
#define OK(call) check((call), CLIO_OK, "", __LINE__)
#define FAILS(call, code, part) check((call), (code), (part), __LINE__)

/* A path in the folder; the last four stay valid. */
static inline const char *in_folder(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* The context anew with its device open, its programs cached in `where` (NULL: nowhere). */
static inline void reopen_with(const char *where)
{
    clio_destroy(ctx);
    ctx = clio_create();
    assert_non_null(ctx);
    OK(clio_set_cache(ctx, where, where != NULL));
    OK(clio_device_open(ctx, NULL));
}

#endif
