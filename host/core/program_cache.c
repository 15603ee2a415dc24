/* program_cache.c - one file per compiled program:
 *
 *     "clio-program-1\n" | u64 key bytes | u64 binary bytes | u64 FNV-1a of key and binary | key | binary
 *
 * in the byte order of the machine that wrote it. The whole key is compared, so two keys of one hash cannot be mistaken. */
#include "program_cache.h"
#include "file_out.h"

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
    char *folder = NULL, name[96];
    TRY(bytes_print(ctx, &text, "%s\n%s\n%s\n%s\n%s\n%s\n", d->platform_name, d->platform_version, d->name, d->version, d->driver,
                    options));
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

static bool entry_is_whole(const struct file_content *map, const struct cache_key *key, struct header *h)
{
    size_t key_bytes = strlen(key->text);
    if (map->size < sizeof *h)
        return false;
    memcpy(h, map->data, sizeof *h);
    const unsigned char *body = map->data + sizeof *h;
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->key_bytes == key_bytes && map->size - sizeof *h >= key_bytes &&
           h->binary_bytes == map->size - sizeof *h - key_bytes && h->binary_bytes > 0 && memcmp(body, key->text, key_bytes) == 0 &&
           h->checksum == mem_hash(MEM_HASH_START, body, key_bytes + h->binary_bytes);
}

bool cache_load(clio_context *ctx, const struct cache_key *key, const char *options, cl_program *out)
{
    struct status_text before = ctx->status; /* a missing entry is no failure: keep the texts as they were */
    struct file_content map = {0};
    struct header h;
    bool found = false;
    *out = NULL;
    if (key->path && file_exists(key->path) && file_load(ctx, &map, key->path) == CLIO_OK && entry_is_whole(&map, key, &h)) {
        const unsigned char *binary = map.data + sizeof h + h.key_bytes;
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
    file_unload(&map);
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
    char *folder = NULL, *slash;
    if (!key->path || clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS || size == 0)
        return;
    TRY(mem_string(ctx, &folder, key->path));
    if ((slash = strrchr(folder, '/')))
        *slash = 0;
    TRY(file_make_folder(ctx, folder));
    TRY(mem_alloc(ctx, &binary, size, 1));
    CL_TRY(ctx, clGetProgramInfo, (program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL));
    memcpy(h.magic, magic, sizeof magic);
    h.binary_bytes = size;
    h.checksum = mem_hash(mem_hash(MEM_HASH_START, key->text, h.key_bytes), binary, size);
    TRY(file_out_open(ctx, &out, key->path));
    TRY(file_out_write(ctx, &out, &h, sizeof h));
    TRY(file_out_write(ctx, &out, key->text, h.key_bytes));
    TRY(file_out_write(ctx, &out, binary, size));
    TRY(file_out_commit(ctx, &out));
fail:
    (void)st; /* no cache then */
    file_out_abandon(&out);
    free(binary);
    free(folder);
    ctx->status = before;
}
