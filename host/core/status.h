/* status.h - errors: a code for programs, a message for users, and details for maintainers.
 *
 * Every fallible function has `clio_status st = CLIO_OK;` and one `fail:` label that releases what it holds and returns st.
 *   TRY(f(...))                       go to fail if f failed (f has set the message)
 *   CL_TRY(ctx, clFoo, (args))        call an OpenCL function returning cl_int
 *   CL_CHECK(ctx, cle, "clFoo")       the same for a cl_int received through a pointer
 *   FAIL(ctx, CLIO_ERROR_X, "sentence naming the file or parameter and the way out", ...)
 * clio_fail is the only maker of codes. Where ctx is NULL, the text is kept for clio_error(NULL) in the same thread.
 */
#ifndef CLIO_CORE_STATUS_H
#define CLIO_CORE_STATUS_H

#include <clio.h>
#include <stdbool.h>

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#if defined(__GNUC__)
#define CLIO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CLIO_PRINTF(f, a)
#endif

struct status_text {
    char sentence[1024];
    char detail[2048];
};

/* Record a failure and return `code`. */
clio_status clio_fail(clio_context *ctx, clio_status code, const char *file, int line, const char *format, ...) CLIO_PRINTF(5, 6);
/* Record a failed OpenCL call; memory codes become CLIO_ERROR_MEMORY, the rest CLIO_ERROR_DEVICE. */
clio_status clio_fail_cl(clio_context *ctx, cl_int cle, const char *file, int line, const char *call);
/* Append details (shapes, a build log) to those of the last failure. */
void clio_fail_add(clio_context *ctx, const char *format, ...) CLIO_PRINTF(2, 3);
/* "CL_OUT_OF_RESOURCES" for -5 */
const char *cl_error_name(cl_int cle);

#define TRY(call)                                                                                                                          \
    do {                                                                                                                                   \
        if ((st = (call)) != CLIO_OK)                                                                                                      \
            goto fail;                                                                                                                     \
    } while (0)
#define FAIL(ctx, code, ...)                                                                                                               \
    do {                                                                                                                                   \
        clio_fail(ctx, code, __FILE__, __LINE__, __VA_ARGS__);                                                                             \
        st = (code); /* not the result of clio_fail: a static analyzer shall know that st is an error */                                   \
        goto fail;                                                                                                                         \
    } while (0)
#define CL_CHECK(ctx, cle, name)                                                                                                           \
    do {                                                                                                                                   \
        if ((cle) != CL_SUCCESS) {                                                                                                         \
            st = clio_fail_cl(ctx, (cle), __FILE__, __LINE__, name);                                                                       \
            goto fail;                                                                                                                     \
        }                                                                                                                                  \
    } while (0)
#define CL_TRY(ctx, function, arguments)                                                                                                   \
    do {                                                                                                                                   \
        cl_int cle_ = function arguments;                                                                                                  \
        CL_CHECK(ctx, cle_, #function);                                                                                                    \
    } while (0)

#endif
