/* test.h - what the tests share: a context on the device under test, numbers to feed, comparisons that say where they failed.
 *
 * CLIO_DEVICE       the device under test (as for the command)
 * CLIO_TEST_SMALL   set: only small shapes (slow implementations: rusticl, Oclgrind)
 * CLIO_TEST_SELFTESTS  set: kernel families that fail their self-test are replaced, as for users; otherwise they fail the test
 * CLIO_GOLDEN       folder of the large golden files; default tests/golden, then ../shared/golden
 * CLIO_REQUIRE      set (in CI): what would be a skip is a failure
 */
#ifndef CLIO_TEST_H
#define CLIO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#undef test_free /* cmocka's allocation checks are not used here */
/* The device is closed before main returns: what Oclgrind keeps for a thread is gone when atexit handlers run. */
#undef cmocka_run_group_tests
#define cmocka_run_group_tests(tests, set_up, tear_down)                                                                                   \
    test_end(_cmocka_run_group_tests(#tests, (tests), COUNT(tests), (set_up), (tear_down)))

#include "../../host/core/context.h"
#include "../../host/core/weights.h"

/* The context of this test program, with the device open; made at the first call. */
clio_context *test_context(void);
/* Closes it; returns `failed`, for main to return. */
int test_end(int failed);
/* Fails the test with the context's sentence and detail unless status is CLIO_OK. */
#define assert_ok(status) test_ok((status), __FILE__, __LINE__)
void test_ok(clio_status status, const char *file, int line);
/* The last failure has this code, and its sentence contains `part`. */
#define assert_fails(status, code, part) test_fails((status), (code), (part), __FILE__, __LINE__)
void test_fails(clio_status status, clio_status code, const char *part, const char *file, int line);
bool test_small(void);
/* Tear-down of who has tapes in memory of its own: a test that fails half way leaves tapes that are no more. */
int test_forget_tapes(void **state);

/* Append the parameter row `any key value`: from now on it is the one that holds (core/params.h). */
void test_param(const char *key, const char *value);

/* Deterministic numbers in [-1, 1); seed chosen by the caller. */
void test_random(float *x, size_t n, uint32_t seed);
/* In fresh memory, with room for one more: zeros, such numbers, and the same times `size`. */
float *test_new(size_t n);
float *test_values(size_t n, uint32_t seed);
float *test_scaled(size_t n, uint32_t seed, float size);
/* max |x - want| <= tolerance * max(1e-3, max |want|), all finite; reports the worst place. */
#define assert_close(x, want, n, tolerance) test_close((x), (want), (n), (tolerance), #x, __FILE__, __LINE__)
void test_close(const float *x, const float *want, size_t n, double tolerance, const char *name, const char *file, int line);

/* A tensor on the device holding `data` (f32 or i32 by dtype; f16 converts from f32; NULL: filled with canaries), with canaries behind
 * it; test_read gives its content in fresh memory and fails when a canary was overwritten. */
struct tensor test_tensor(enum dtype dtype, int ndim, int d0, int d1, int d2, int d3, const void *data);
float *test_read(const struct tensor *t);
void test_free(struct tensor *t);

/* The tensor `name` of an open golden file as floats in fresh memory, or as they are stored when it holds integers (then cast the pointer);
 * fails the test unless it has `count` elements. */
float *test_floats(const struct weights *golden, const char *name, size_t count);
/* Copy of the stored bytes of a tensor. Free with free(). */
unsigned char *test_bytes(const struct weight *w);
/* Path of a golden file in static memory, or NULL after saying so (a failure under CLIO_REQUIRE): then call skip(). */
const char *test_golden(const char *name);
/* The same of a file in a golden folder, "" for the folder itself; valid for four calls. */
const char *test_golden_in(const char *folder, const char *name);
/* golden/operations, opened; the test is skipped where it is not there. */
struct weights test_operations(void);
/* A tensor [A, B, pixels...] of a golden file, whose name is printed, as [A, pixels..., B] in fresh memory; dim (or NULL): as it is
 * stored. */
float *test_picture(const struct weights *golden, int dim[4], const char *name, ...);

#endif
