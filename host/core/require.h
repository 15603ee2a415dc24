/* require.h - the argument checks at the head of every public function.
 *
 * A check that fails leaves with CLIO_ERROR_ARGUMENT and one sentence, which begins with the public function and names the parameter:
 * "clio_image_write: image is NULL", "clio_generator_sample: count is 0: it must be from 1 to 65536". Nothing is done before the checks but
 * setting output pointers to NULL:
 *
 *     SET_NULL(out);
 *     REQUIRE(ctx, ctx, "ctx");
 *     REQUIRE_TEXT(ctx, path, "path");
 *     REQUIRE_INT(ctx, count, 1, COUNT_MAX, "count");
 *     REQUIRE(ctx, out, "out");
 *
 * ctx may be NULL: the sentence is then what clio_error(NULL) returns in the same thread. The fields of a struct are checked by a function
 * that takes `at`, which is CALLER in the public function, and uses REQUIRE_AT, REQUIRE_THAT and the require_ functions, with names such as
 * "params.count". */
#ifndef CLIO_CORE_REQUIRE_H
#define CLIO_CORE_REQUIRE_H

#include "mem.h"

/* The public function whose arguments are checked. */
struct caller {
    const char *function, *file;
    int line;
};
#define CALLER ((struct caller){__func__, __FILE__, __LINE__})

#define SET_NULL(out) ((out) ? (void)(*(out) = NULL) : (void)0)
#define SET_ZERO(count) ((count) ? (void)(*(count) = 0) : (void)0)

/* Whatever else must hold; the sentence goes on after "function: ". */
#define REQUIRE_THAT(ctx, at, holds, ...)                                                                                                  \
    do {                                                                                                                                   \
        if (!(holds)) {                                                                                                                    \
            st = require_failed(ctx, at, __VA_ARGS__);                                                                                     \
            goto fail;                                                                                                                     \
        }                                                                                                                                  \
    } while (0)
/* A pointer that must not be NULL. */
#define REQUIRE_AT(ctx, at, x, name) REQUIRE_THAT(ctx, at, (x) != NULL, "%s is NULL", name)
#define REQUIRE(ctx, x, name) REQUIRE_AT(ctx, CALLER, x, name)
#define REQUIRE_TEXT(ctx, x, name) TRY(require_text(ctx, CALLER, x, name))
#define REQUIRE_INT(ctx, x, least, most, name) TRY(require_int(ctx, CALLER, x, least, most, name))
#define REQUIRE_SIZE(ctx, x, least, most, name) TRY(require_size(ctx, CALLER, x, least, most, name))
#define REQUIRE_NUMBER(ctx, x, least, most, name) TRY(require_number(ctx, CALLER, x, least, most, name))
#define REQUIRE_LIST(ctx, list, count, most, name, count_name) TRY(require_list(ctx, CALLER, list, count, most, name, count_name))

/* A string that must be neither NULL nor empty. */
clio_status require_text(clio_context *ctx, struct caller at, const char *text, const char *name);
/* A string that may be NULL, but not empty. */
clio_status require_text_or_null(clio_context *ctx, struct caller at, const char *text, const char *name);
/* One of the words, which | separates. */
clio_status require_word(clio_context *ctx, struct caller at, const char *text, const char *words, const char *name);
/* Numbers from least to most. NaN and infinity are refused. */
clio_status require_int(clio_context *ctx, struct caller at, int64_t x, int64_t least, int64_t most, const char *name);
clio_status require_size(clio_context *ctx, struct caller at, size_t x, size_t least, size_t most, const char *name);
clio_status require_number(clio_context *ctx, struct caller at, double x, double least, double most, const char *name);
/* `count` entries, at most `most`; the list may be NULL where count is 0. */
clio_status require_list(clio_context *ctx, struct caller at, const void *list, size_t count, size_t most, const char *name,
                         const char *count_name);
/* Record the sentence "function: ..." and return CLIO_ERROR_ARGUMENT. */
clio_status require_failed(clio_context *ctx, struct caller at, const char *format, ...) CLIO_PRINTF(3, 4);

#endif
