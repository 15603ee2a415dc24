/* program_cache.h - compiled programs on disk. A failure to read or write the cache is never an error: the program is compiled instead. */
#ifndef CLIO_CORE_PROGRAM_CACHE_H
#define CLIO_CORE_PROGRAM_CACHE_H

#include "context.h"
#include "file.h"

/* text: everything that the binary depends on; path: the entry's file, NULL when there is no cache. */
struct cache_key {
    char *text, *path;
};
/* The folder of the cache in fresh memory, or NULL when there is none. */
clio_status cache_folder(clio_context *ctx, char **out);
/* Whether the folder of this file of the cache exists and is private (private_folder.h), or, if `make`, was made. The context gets a
 * warning if it is not used because of others. */
bool cache_folder_of_is_usable(clio_context *ctx, const char *path, bool make);

clio_status cache_key_make(clio_context *ctx, struct cache_key *key, const char *file, const char *options, const char *source);
void cache_key_free(struct cache_key *key);
/* True when a whole entry of exactly this key was found and the driver took it; *out is then a built program. */
bool cache_load(clio_context *ctx, const struct cache_key *key, const char *options, cl_program *out);
void cache_store(clio_context *ctx, const struct cache_key *key, cl_program program);

#endif
