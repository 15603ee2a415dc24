/* program_cache.c - one file per compiled program:
 *
 *     "clio-program-1\n" | u64 key bytes | u64 binary bytes | u64 FNV-1a of key and binary | key | binary
 *
 * in the byte order of the machine that wrote it. The whole key is compared, so two keys of one hash cannot be mistaken. */
#include "program_cache.h"
#include "file_out.h"
#include "private_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[16] = "clio-program-1\n";

struct header {
    char magic[16];
    uint64_t key_bytes, binary_bytes, checksum;
};

clio_status cache_folder(clio_context *ctx, char **out)
{
    clio_status st = CLIO_OK;
    const char *own = getenv("CLIO_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *middle = NULL;
    *out = NULL;
    if (ctx->programs.cache_disabled)
        return CLIO_OK;
    if (ctx->programs.cache_folder)
        TRY(mem_string(ctx, out, ctx->programs.cache_folder));
    else if (own && *own)
        TRY(mem_string(ctx, out, own));
    else if (xdg && *xdg)
        TRY(file_join(ctx, out, xdg, "clio"));
    else if (home && *home) {
        TRY(file_join(ctx, &middle, home, ".cache"));
        TRY(file_join(ctx, out, middle, "clio"));
    }
fail:
    free(middle);
    return st;
}

clio_status cache_key_make(clio_context *ctx, struct cache_key *key, const char *file, const char *options, const char *source)
{
    clio_status st = CLIO_OK;
    const struct device *d = &ctx->device;
    struct bytes text = {0};
    char *folder = NULL, name[96], limits[200];
    device_limits(d, limits);
    TRY(bytes_print(ctx, &text, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n", d->platform_name, d->platform_version, d->name, d->version, d->driver,
                    limits, options));
    TRY(bytes_add(ctx, &text, source, strlen(source)));
    TRY(cache_folder(ctx, &folder));
    if (folder) {
        snprintf(name, sizeof name, "%s-%016llx.bin", file, (unsigned long long)mem_hash(MEM_HASH_START, text.data, text.size));
        TRY(file_join(ctx, &key->path, folder, name));
    }
    key->text = text.data;
    text.data = NULL;
fail:
    free(folder);
    bytes_free(&text);
    return st;
}

void cache_key_free(struct cache_key *key)
{
    free(key->text);
    free(key->path);
    *key = (struct cache_key){0};
}

bool cache_folder_of_is_usable(clio_context *ctx, const char *path, bool make)
{
    clio_status st = CLIO_OK;
    struct status_text before = ctx->status;
    const char *slash = strrchr(path, '/');
    char *folder = NULL, why[600] = "";
    bool usable = false;
    TRY(mem_string(ctx, &folder, path));
    folder[slash ? MAX(slash - path, 1) : 0] = 0;
    usable = private_folder_is_safe(folder, why) || (make && !*why && private_folder_make(ctx, folder) == CLIO_OK);
    if (*why)
        context_notice_once(ctx, "the cache of compiled kernels and self-tests is not used: %s", why);
    if (usable && !ctx->programs.cache_is_tidy)
        private_folder_tidy(folder);
    ctx->programs.cache_is_tidy = ctx->programs.cache_is_tidy || usable;
fail:
    (void)st; /* no cache then */
    free(folder);
    ctx->status = before;
    return usable;
}

static bool entry_is_whole(const struct bytes *entry, const struct cache_key *key, struct header *h)
{
    size_t key_bytes = strlen(key->text);
    if (entry->size < sizeof *h)
        return false;
    memcpy(h, entry->data, sizeof *h);
    const char *body = entry->data + sizeof *h;
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->key_bytes == key_bytes && entry->size - sizeof *h >= key_bytes &&
           h->binary_bytes == entry->size - sizeof *h - key_bytes && h->binary_bytes > 0 && memcmp(body, key->text, key_bytes) == 0 &&
           h->checksum == mem_hash(MEM_HASH_START, body, key_bytes + h->binary_bytes);
}

bool cache_load(clio_context *ctx, const struct cache_key *key, const char *options, cl_program *out)
{
    struct status_text before = ctx->status; /* a missing entry is no failure: keep the texts as they were */
    struct bytes entry = {0};
    struct header h;
    bool found = false, read = false;
    *out = NULL;
    if (key->path && cache_folder_of_is_usable(ctx, key->path, false) && private_file_read(ctx, key->path, &entry, &read) == CLIO_OK &&
        read && entry_is_whole(&entry, key, &h)) {
        const unsigned char *binary = (const unsigned char *)entry.data + sizeof h + h.key_bytes;
        size_t size = h.binary_bytes;
        cl_int status = CL_SUCCESS, cle = CL_SUCCESS;
        *out = clCreateProgramWithBinary(ctx->cl, 1, &ctx->device.id, &size, &binary, &status, &cle);
        found = *out && cle == CL_SUCCESS && status == CL_SUCCESS &&
                clBuildProgram(*out, 1, &ctx->device.id, options, NULL, NULL) == CL_SUCCESS;
        if (!found && *out) {
            clReleaseProgram(*out);
            *out = NULL;
        }
    }
    bytes_free(&entry);
    ctx->status = before;
    return found;
}

void cache_store(clio_context *ctx, const struct cache_key *key, cl_program program)
{
    clio_status st = CLIO_OK;
    struct status_text before = ctx->status;
    struct file_out out = {0};
    struct header h = {.key_bytes = strlen(key->text)};
    size_t size = 0;
    unsigned char *binary = NULL;
    if (!key->path || !cache_folder_of_is_usable(ctx, key->path, true) ||
        clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS || size == 0)
        return;
    TRY(mem_alloc(ctx, &binary, size, 1));
    CL_TRY(ctx, clGetProgramInfo, (program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL));
    memcpy(h.magic, magic, sizeof magic);
    h.binary_bytes = size;
    h.checksum = mem_hash(mem_hash(MEM_HASH_START, key->text, h.key_bytes), binary, size);
    TRY(file_out_open_own(ctx, &out, key->path));
    TRY(file_out_write(ctx, &out, &h, sizeof h));
    TRY(file_out_write(ctx, &out, key->text, h.key_bytes));
    TRY(file_out_write(ctx, &out, binary, size));
    TRY(file_out_commit(ctx, &out));
fail:
    (void)st; /* no cache then */
    file_out_abandon(&out);
    free(binary);
    ctx->status = before;
}
