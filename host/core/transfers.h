/* transfers.h - count copies between host and device for the profile, one row per direction and content: "write images", "read loss". */
#ifndef CLIO_CORE_TRANSFERS_H
#define CLIO_CORE_TRANSFERS_H

#include "tensor.h"

#define TRANSFER_ROWS 64 /* the last one counts whatever has no row of its own */

struct transfer {
    char name[48];
    uint64_t calls, bytes;
    double seconds;
};
struct transfers {
    struct transfer rows[TRANSFER_ROWS];
    size_t count;
};
/* Count a copy of `bytes` that has ended. verb: "read" or "write". The content is t->what, or the tensor's type where that is NULL. event:
 * of the copy, released here. Only while ctx->profile. */
void transfer_add(clio_context *ctx, const char *verb, const struct tensor *t, size_t bytes, cl_event event);

#endif
