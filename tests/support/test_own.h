/* test_own.h - for tests that need a context and a folder of their own in each test, rather than the shared context of test.h: `ctx`
 * without a device, `folder` of folder.h, `cache` (a name in it). */
#ifndef CLIO_TEST_OWN_H
#define CLIO_TEST_OWN_H

#include "folder.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static clio_context *ctx;
static char cache[80];
static char notices[4096]; /* of the context, a line each */

static inline void keep_notice(void *user, const char *text)
{
    size_t used = strlen(notices);
    (void)user;
    snprintf(notices + used, sizeof notices - used, "%s\n", text);
}

static inline int set_up(void **state)
{
    ctx = clio_create();
    if (!ctx || make_folder(state))
        return -1;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    *notices = 0;
    clio_set_notice(ctx, keep_notice, NULL);
    return 0;
}

static inline int tear_down(void **state)
{
    clio_destroy(ctx);
    ctx = NULL;
    return remove_folder(state);
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
