/* device.c - enumeration, ranking, selection and capabilities. The only file with vendor names. */
#include "context.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLATFORMS_AT_MOST 32
#define DEVICES_AT_MOST 64 /* of one platform */

static bool contains(const char *text, const char *part, size_t length)
{
    for (; length && *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == length)
            return true;
    }
    return length == 0;
}

static bool has_word(const char *text, const char *part)
{
    return contains(text, part, strlen(part));
}

static void device_text(cl_device_id id, cl_device_info what, char *out, size_t size)
{
    char text[1024] = "";
    if (clGetDeviceInfo(id, what, sizeof text, text, NULL) != CL_SUCCESS)
        text[0] = 0;
    const char *begin = text;
    while (isspace((unsigned char)*begin))
        begin++;
    size_t length = strlen(begin);
    while (length && isspace((unsigned char)begin[length - 1]))
        length--;
    snprintf(out, size, "%.*s", (int)length, begin);
}

static uint64_t device_number(cl_device_id id, cl_device_info what)
{
    unsigned char raw[8] = {0};
    size_t size = 0;
    uint32_t small;
    uint64_t large;
    if (clGetDeviceInfo(id, what, sizeof raw, raw, &size) != CL_SUCCESS)
        return 0;
    memcpy(&small, raw, 4);
    memcpy(&large, raw, 8);
    return size == 4 ? small : large;
}

static void describe(struct device *d, cl_platform_id platform, cl_device_id id)
{
    char *extensions = NULL;
    size_t size = 0;
    cl_device_type type = 0;
    d->platform = platform;
    d->id = id;
    device_text(id, CL_DEVICE_NAME, d->name, sizeof d->name);
    device_text(id, CL_DRIVER_VERSION, d->driver, sizeof d->driver);
    device_text(id, CL_DEVICE_VERSION, d->version, sizeof d->version);
    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    d->is_gpu = (type & CL_DEVICE_TYPE_GPU) != 0;
    d->is_accelerator = !d->is_gpu && (type & CL_DEVICE_TYPE_ACCELERATOR) != 0;
    d->is_cpu = !d->is_gpu && !d->is_accelerator;
    bool is_llvmpipe = has_word(d->name, "llvmpipe"); /* reports whatever type the loader was built with; it is a CPU */
    if (is_llvmpipe) {
        d->is_gpu = d->is_accelerator = false;
        d->is_cpu = true;
    }
    d->is_clover = has_word(d->platform_name, "clover");
    d->has_compiler = device_number(id, CL_DEVICE_COMPILER_AVAILABLE) != 0;
    d->unified_memory = d->is_cpu || device_number(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    d->compute_units = (int)device_number(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    d->max_work_group = (size_t)device_number(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof d->max_item_sizes, d->max_item_sizes, NULL);
    d->global_memory = device_number(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    d->max_allocation = device_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    d->local_memory = device_number(id, CL_DEVICE_LOCAL_MEM_SIZE);
    d->address_alignment = MAX((size_t)device_number(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8, (size_t)64);
    /* llvmpipe runs work-items as lanes, as a GPU does, and silently leaves a work-item's loops after 65535 turns in all: kernels of many
     * short work-items are right there, those made for CPUs are not. */
    d->simd_width = d->is_cpu && !is_llvmpipe ? MAX((int)device_number(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT), 4) : 1;
    if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, 0, NULL, &size) == CL_SUCCESS && size && (extensions = malloc(size)) &&
        clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, size, extensions, NULL) == CL_SUCCESS) {
        d->has_fp16 = has_word(extensions, "cl_khr_fp16");
        d->has_fp64 = has_word(extensions, "cl_khr_fp64");
        d->has_subgroups = has_word(extensions, "cl_khr_subgroups") || has_word(extensions, "cl_intel_subgroups");
    }
    free(extensions);
    if (!device_number(id, CL_DEVICE_AVAILABLE))
        snprintf(d->problem, sizeof d->problem, "the driver says that the device is not available");
    else if (!d->has_compiler)
        snprintf(d->problem, sizeof d->problem, "its driver has no compiler for OpenCL C");
    else if (!d->compute_units || !d->global_memory || !d->max_allocation)
        snprintf(d->problem, sizeof d->problem, "its driver does not answer what the device has");
}

/* Higher is better. Software devices meant for testing come after real CPU runtimes, Clover last. */
static int rank(const struct device *d)
{
    int r = d->is_gpu ? 30 : d->is_accelerator ? 20 : 10;
    if (has_word(d->name, "llvmpipe") || has_word(d->platform_name, "oclgrind"))
        r -= 5;
    if (d->is_clover)
        r -= 100;
    if (d->problem[0])
        r -= 1000;
    return r;
}

static int better_first(const void *a, const void *b)
{
    const struct device *x = a, *y = b;
    int rx = rank(x), ry = rank(y);
    if (rx != ry)
        return ry - rx;
    if (x->global_memory != y->global_memory && x->is_gpu)
        return x->global_memory < y->global_memory ? 1 : -1;
    return strcmp(x->platform_name, y->platform_name);
}

static clio_status add_platform(clio_context *ctx, cl_platform_id platform, struct device **list, size_t *count)
{
    clio_status st = CLIO_OK;
    cl_device_id ids[DEVICES_AT_MOST];
    cl_uint found = 0;
    struct device base = {0}, *grown;
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof base.platform_name - 1, base.platform_name, NULL);
    clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof base.platform_version - 1, base.platform_version, NULL);
    cl_int cle = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_AT_MOST, ids, &found);
    found = cle == CL_SUCCESS ? MIN(found, DEVICES_AT_MOST) : 0;
    grown = realloc(*list, (*count + MAX(found, 1)) * sizeof *grown);
    if (!grown)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    *list = grown;
    if (!found) {
        if (cle == CL_SUCCESS || cle == CL_DEVICE_NOT_FOUND)
            snprintf(base.problem, sizeof base.problem, "the platform has no device");
        else
            snprintf(base.problem, sizeof base.problem, "the platform does not list its devices (%s)", cl_error_name(cle));
        grown[(*count)++] = base;
    }
    for (cl_uint i = 0; i < found; i++) {
        grown[*count] = base;
        describe(&grown[(*count)++], platform, ids[i]);
    }
fail:
    return st;
}

clio_status device_enumerate(clio_context *ctx, struct device **list, size_t *count)
{
    clio_status st = CLIO_OK;
    cl_platform_id platforms[PLATFORMS_AT_MOST];
    cl_uint n = 0;
    *list = NULL;
    *count = 0;
    if (clGetPlatformIDs(PLATFORMS_AT_MOST, platforms, &n) != CL_SUCCESS)
        n = 0;
    for (cl_uint i = 0; i < MIN(n, PLATFORMS_AT_MOST); i++)
        TRY(add_platform(ctx, platforms[i], list, count));
    if (*count)
        qsort(*list, *count, sizeof **list, better_first);
    return CLIO_OK;
fail:
    free(*list);
    *list = NULL;
    *count = 0;
    return st;
}

static const char *type_name(const struct device *d)
{
    return d->is_gpu ? "gpu" : d->is_accelerator ? "accelerator" : "cpu";
}

static bool in_platform(const struct device *d, const char *part, size_t length)
{
    return contains(d->platform_name, part, length) || contains(d->platform_version, part, length);
}

static bool matches(const struct device *d, const char *selector)
{
    const char *part[3] = {selector, "", ""};
    size_t length[3] = {0}, n = strlen(selector);
    const char *colon = strchr(selector, ':');
    if (!colon)
        return in_platform(d, selector, n) || contains(type_name(d), selector, n) || contains(d->name, selector, n);
    length[0] = (size_t)(colon - selector);
    part[1] = colon + 1;
    colon = strchr(part[1], ':');
    length[1] = colon ? (size_t)(colon - part[1]) : strlen(part[1]);
    part[2] = colon ? colon + 1 : "";
    length[2] = strlen(part[2]);
    return in_platform(d, part[0], length[0]) && contains(type_name(d), part[1], length[1]) && contains(d->name, part[2], length[2]);
}

clio_status device_select(clio_context *ctx, const struct device *list, size_t count, const char *selector, size_t *chosen)
{
    clio_status st = CLIO_OK;
    bool is_index = *selector && selector[strspn(selector, "0123456789")] == 0;
    unsigned long index = is_index ? strtoul(selector, NULL, 10) : 0;
    size_t usable = 0;
    while (usable < count && !list[usable].problem[0])
        usable++;
    if (!usable && !count)
        FAIL(ctx, CLIO_ERROR_DEVICE,
             "there is no OpenCL platform here: install the driver of your GPU, or pocl-opencl-icd to run on the CPU");
    if (!usable)
        FAIL(ctx, CLIO_ERROR_DEVICE,
             "no OpenCL device can be used (%s: %s): install the driver of your GPU, or pocl-opencl-icd to run on the CPU",
             list[0].platform_name, list[0].problem);
    if (is_index) {
        if (index >= usable)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no device %lu: clio devices lists 0 to %zu", index, usable - 1);
        *chosen = index;
        return CLIO_OK;
    }
    for (size_t i = 0; i < usable; i++)
        if (matches(&list[i], selector)) {
            *chosen = i;
            return CLIO_OK;
        }
    FAIL(ctx, CLIO_ERROR_ARGUMENT, "no device matches \"%s\" (platform:type:name): clio devices lists what is here, the first is %s on %s",
         selector, list[0].name, list[0].platform_name);
fail:
    return st;
}
