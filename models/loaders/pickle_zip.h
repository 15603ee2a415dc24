/* pickle_zip.h - entries of a ZIP archive that are stored without compression, as torch.save writes them. */
#ifndef CLIO_MODELS_LOADERS_PICKLE_ZIP_H
#define CLIO_MODELS_LOADERS_PICKLE_ZIP_H

#include "../../host/core/file.h"

struct zip_entry {
    const unsigned char *data; /* in the file; NULL: there is none */
    size_t size;
};
/* The entry whose name ends in `ending` ("/data.pkl"), the first one. CLIO_ERROR_FORMAT: the archive is damaged, or the entry is
 * compressed. */
clio_status zip_find(clio_context *ctx, const struct file_content *file, const char *path, const char *ending, struct zip_entry *entry);

#endif
