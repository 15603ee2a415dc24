/* program.c - resolve includes of kernel sources, compile them, and hold the kernels. The disk cache is program_cache.c. */
#include "program_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDES_AT_MOST 8
#define SQUARE_SIDE 16 /* of the work-groups of kernel_get_square, and the least: device.c refuses what cannot run that */
#define SQUARE_SIDE_LEAST 4

struct program {
    char *file, *options;
    cl_program id;
    struct kernel **kernels;
    size_t count;
};

static const struct embedded_file *find_embedded(const char *name)
{
    for (size_t i = 0; i < embedded_file_count; i++)
        if (strcmp(embedded_files[i].name, name) == 0)
            return &embedded_files[i];
    return NULL;
}

struct resolver {
    struct bytes text;
    char seen[INCLUDES_AT_MOST][48];
    int seen_count;
};

/* Append file `name`, its includes resolved once each; CLIO_CL_DIR replaces the embedded text while developing. */
static clio_status resolve(clio_context *ctx, struct resolver *r, const char *name)
{
    clio_status st = CLIO_OK;
    const char *folder = getenv("CLIO_CL_DIR");
    const struct embedded_file *embedded = find_embedded(name);
    struct file_content map = {0};
    struct bytes copy = {0};
    char *path = NULL;
    for (int i = 0; i < r->seen_count; i++)
        if (strcmp(r->seen[i], name) == 0)
            return CLIO_OK;
    if (r->seen_count == INCLUDES_AT_MOST)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "cl/%s includes more than %d files", name, INCLUDES_AT_MOST);
    snprintf(r->seen[r->seen_count++], sizeof r->seen[0], "%s", name);
    if (folder && *folder) {
        TRY(file_join(ctx, &path, folder, name));
        TRY(file_load(ctx, &map, path));
        TRY(bytes_add(ctx, &copy, map.data, map.size));
    } else {
        if (!embedded)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "there is no kernel file cl/%s", name);
        TRY(bytes_add(ctx, &copy, embedded->data, embedded->size));
    }
    TRY(bytes_print(ctx, &r->text, "#line 1 \"cl/%s\"\n", name));
    int number = 1;
    for (const char *line = copy.data; *line; number++) {
        size_t length = strcspn(line, "\n");
        char included[48];
        if (sscanf(line, "#include \"%47[^\"\n]\"", included) == 1) {
            TRY(resolve(ctx, r, included));
            TRY(bytes_print(ctx, &r->text, "#line %d \"cl/%s\"\n", number + 1, name));
        } else {
            TRY(bytes_add(ctx, &r->text, line, length));
            TRY(bytes_add(ctx, &r->text, "\n", 1));
        }
        line += length + (line[length] == '\n');
    }
fail:
    file_unload(&map);
    bytes_free(&copy);
    free(path);
    return st;
}

clio_status program_source(clio_context *ctx, const char *file, char **out)
{
    clio_status st = CLIO_OK;
    struct resolver r = {0};
    char name[64];
    *out = NULL;
    snprintf(name, sizeof name, "%s.cl", file);
    TRY(resolve(ctx, &r, name));
    *out = r.text.data;
    r.text.data = NULL;
fail:
    bytes_free(&r.text);
    return st;
}

clio_status program_sources_hash(clio_context *ctx, uint64_t *out)
{
    clio_status st = CLIO_OK;
    const char *folder = getenv("CLIO_CL_DIR");
    struct file_content map = {0};
    char *path = NULL;
    *out = MEM_HASH_START;
    for (size_t i = 0; i < embedded_file_count; i++) {
        const struct embedded_file *f = &embedded_files[i];
        if (!strstr(f->name, ".cl")) /* the parameters: they are in the options of a program */
            continue;
        if (folder && *folder) {
            TRY(file_join(ctx, &path, folder, f->name));
            TRY(file_load(ctx, &map, path));
            *out = mem_hash(*out, map.data, map.size);
            file_unload(&map);
            free(path);
            path = NULL;
        } else
            *out = mem_hash(*out, f->data, f->size);
    }
fail:
    free(path);
    return st;
}

static clio_status build_failed(clio_context *ctx, const struct program *p, cl_int cle)
{
    size_t size = 0;
    char *log = NULL;
    clGetProgramBuildInfo(p->id, ctx->device.id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    if (size && (log = calloc(1, size + 1)))
        clGetProgramBuildInfo(p->id, ctx->device.id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    clio_status st = clio_fail(ctx, CLIO_ERROR_BUILD, __FILE__, __LINE__,
                               "%s could not compile cl/%s.cl (%s): update its driver, or choose another device", ctx->device.name, p->file,
                               cl_error_name(cle));
    clio_fail_add(ctx, "options %s; build log: %.1200s", p->options, log ? log : "none");
    free(log);
    return st;
}

/* The other codes mean a lack of memory or a lost device. */
static bool is_fault_of_source(cl_int cle)
{
    return cle == CL_BUILD_PROGRAM_FAILURE || cle == CL_INVALID_BUILD_OPTIONS || cle == CL_COMPILER_NOT_AVAILABLE ||
           cle == CL_INVALID_VALUE || cle == CL_INVALID_OPERATION || cle == CL_INVALID_BINARY;
}

static clio_status build(clio_context *ctx, struct program *p)
{
    clio_status st = CLIO_OK;
    char *source = NULL, options[512];
    struct cache_key key = {0};
    cl_int cle = CL_SUCCESS;
    TRY(program_source(ctx, p->file, &source));
    snprintf(options, sizeof options, "-cl-std=CL1.2 -cl-mad-enable %s", p->options);
    TRY(cache_key_make(ctx, &key, p->file, options, source));
    if (cache_load(ctx, &key, options, &p->id))
        goto fail; /* found: st is CLIO_OK */
    const char *text = source;
    p->id = clCreateProgramWithSource(ctx->cl, 1, &text, NULL, &cle);
    CL_CHECK(ctx, cle, "clCreateProgramWithSource");
    TRY(context_progress(ctx, "building kernels", 0, 0));
    cle = clBuildProgram(p->id, 1, &ctx->device.id, options, NULL, NULL);
    if (is_fault_of_source(cle)) {
        st = build_failed(ctx, p, cle);
        goto fail;
    }
    CL_CHECK(ctx, cle, "clBuildProgram");
    cache_store(ctx, &key, p->id);
fail:
    cache_key_free(&key);
    free(source);
    return st;
}

static void program_free(struct program *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++) {
        if (p->kernels[i]->id)
            clReleaseKernel(p->kernels[i]->id);
        free(p->kernels[i]);
    }
    free(p->kernels);
    if (p->id)
        clReleaseProgram(p->id);
    free(p->file);
    free(p->options);
    free(p);
}

static clio_status program_get(clio_context *ctx, const char *file, const char *options, struct program **out)
{
    clio_status st = CLIO_OK;
    struct programs *all = &ctx->programs;
    struct program *p = NULL;
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i]->file, file) == 0 && strcmp(all->list[i]->options, options) == 0) {
            *out = all->list[i];
            return CLIO_OK;
        }
    TRY(mem_grow(ctx, &all->list, all->count, &all->capacity, sizeof(struct program *)));
    TRY(mem_alloc(ctx, &p, 1, sizeof *p));
    TRY(mem_string(ctx, &p->file, file));
    TRY(mem_string(ctx, &p->options, options));
    TRY(build(ctx, p));
    all->list[all->count++] = p;
    *out = p;
    return CLIO_OK;
fail:
    program_free(p);
    return st;
}

/* "gemm_panel W_F16=1 MR=8": name and options without their -D */
static void label_of(struct kernel *k, const char *options)
{
    size_t used = (size_t)snprintf(k->label, sizeof k->label, "%s ", k->name);
    for (; *options && used + 1 < sizeof k->label; options++)
        if (strncmp(options, "-D", 2) == 0)
            options++;
        else
            k->label[used++] = *options;
    while (used && k->label[used - 1] == ' ')
        used--;
    k->label[used] = 0;
}

/* Where a driver does not say, the limit of the device. */
static size_t work_group_of(clio_context *ctx, cl_kernel kernel)
{
    size_t most = 0;
    cl_int cle = clGetKernelWorkGroupInfo(kernel, ctx->device.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    return cle == CL_SUCCESS && most ? MIN(most, ctx->device.max_work_group) : ctx->device.max_work_group;
}

clio_status kernel_get(clio_context *ctx, const char *file, const char *name, const char *options, struct kernel **out)
{
    clio_status st = CLIO_OK;
    struct program *p = NULL;
    struct kernel *k = NULL, **grown;
    cl_int cle = CL_SUCCESS;
    *out = NULL;
    TRY(context_need_device(ctx));
    TRY(program_get(ctx, file, options, &p));
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->kernels[i]->name, name) == 0) {
            *out = p->kernels[i];
            return CLIO_OK;
        }
    TRY(mem_alloc(ctx, &k, 1, sizeof *k));
    snprintf(k->name, sizeof k->name, "%s", name);
    label_of(k, options);
    k->id = clCreateKernel(p->id, name, &cle);
    CL_CHECK(ctx, cle, "clCreateKernel");
    k->max_work_group = work_group_of(ctx, k->id);
    grown = realloc(p->kernels, (p->count + 1) * sizeof(struct kernel *));
    if (!grown)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    p->kernels = grown;
    p->kernels[p->count++] = k;
    *out = k;
    return CLIO_OK;
fail:
    if (k && k->id)
        clReleaseKernel(k->id);
    free(k);
    return st;
}

clio_status kernel_get_square(clio_context *ctx, const char *file, const char *name, const char *options, struct kernel **out, size_t *side)
{
    clio_status st = CLIO_OK;
    char all[160];
    *out = NULL;
    for (*side = SQUARE_SIDE; *side > SQUARE_SIDE_LEAST && !device_allows_group(&ctx->device, *side, *side, 1); *side /= 2)
        ;
    for (;; *side /= 2) {
        snprintf(all, sizeof all, "%s%s-DSIDE=%zu", options, *options ? " " : "", *side);
        TRY(kernel_get(ctx, file, name, all, out));
        if (!*out || *side * *side <= (*out)->max_work_group || *side <= SQUARE_SIDE_LEAST)
            return CLIO_OK;
    }
fail:
    return st;
}

struct kernel *kernel_next(clio_context *ctx, size_t *program_index, size_t *kernel_index)
{
    struct programs *all = &ctx->programs;
    for (; *program_index < all->count; ++*program_index, *kernel_index = 0)
        if (*kernel_index < all->list[*program_index]->count)
            return all->list[*program_index]->kernels[(*kernel_index)++];
    return NULL;
}

void programs_close(clio_context *ctx)
{
    for (size_t i = 0; i < ctx->programs.count; i++)
        program_free(ctx->programs.list[i]);
    free(ctx->programs.list);
    ctx->programs.list = NULL;
    ctx->programs.count = ctx->programs.capacity = 0;
}
