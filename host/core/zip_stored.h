/* zip_stored.h - the entries of a ZIP archive that are stored without compression, as torch.save writes them. */
#ifndef CLIO_CORE_ZIP_STORED_H
#define CLIO_CORE_ZIP_STORED_H

#include "file.h"

struct zip_entry {
    char *name;
    uint64_t header, first, size; /* bytes of the file: where its local header and its contents begin; of the contents */
};
struct zip_entries {
    struct zip_entry *list; /* sorted by name */
    size_t count;
};
/* List the entries, of which each lies within the file, in no other, and is not compressed. CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED:
 * name the file and the entry. On failure *z is empty. */
clio_status zip_list(clio_context *ctx, const struct file_in *in, struct zip_entries *z);
/* NULL: there is none. */
const struct zip_entry *zip_find(const struct zip_entries *z, const char *name);
void zip_free(struct zip_entries *z); /* accepts a zeroed one */

#endif
