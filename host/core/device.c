/* device.c - enumeration, ranking and capabilities. Vendor names are here and in device_hints.c alone. */
#include "context.h"

#include <pthread.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLATFORMS_AT_MOST 32
#define DEVICES_AT_MOST 64 /* of one platform */
#define TEXT_AT_MOST (1u << 20)
#define ITEM_DIMENSIONS_AT_MOST 16
#define PLATFORM_NOT_FOUND (-1001) /* CL_PLATFORM_NOT_FOUND_KHR */
#define WORK_GROUP_LEAST 64        /* of a GPU: the reductions of attention and of few rows (cl/attention.cl, cl/gemm.cl) */
#define SPACES " \t\n\v\f\r"

bool device_allows_group(const struct device *d, size_t x, size_t y, size_t z)
{
    return x * y * z <= d->max_work_group && x <= d->max_item_sizes[0] && y <= d->max_item_sizes[1] && z <= d->max_item_sizes[2];
}

bool device_text_has(const char *text, const char *part, size_t length)
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
    return device_text_has(text, part, strlen(part));
}

/* What the driver says, without the spaces around it. Drivers need not end their texts with a zero; of a long one the beginning counts. */
static void copy_text(char *out, size_t size, const char *text)
{
    size_t length;
    text += strspn(text, SPACES);
    length = strlen(text);
    while (length && strchr(SPACES, text[length - 1]))
        length--;
    snprintf(out, size, "%.*s", (int)MIN(length, size - 1), text);
}

/* Memory for a text of a driver; *no_memory is set when there is none. */
static char *text_memory(size_t size, bool *no_memory)
{
    char *text = calloc(1, size + 1);
    *no_memory = *no_memory || !text;
    return text;
}

/* A text of the device in fresh memory; NULL: the driver does not answer, or the host is out of memory. */
static char *device_text(cl_device_id id, cl_device_info what, bool *no_memory)
{
    char *text = NULL;
    size_t size = 0;
    if (clGetDeviceInfo(id, what, 0, NULL, &size) != CL_SUCCESS || size > TEXT_AT_MOST || !(text = text_memory(size, no_memory)))
        return NULL;
    if (size && clGetDeviceInfo(id, what, size, text, NULL) != CL_SUCCESS) {
        free(text);
        return NULL;
    }
    return text;
}

/* False: the driver does not answer, or the host is out of memory. */
static bool platform_text(cl_platform_id id, cl_platform_info what, char *out, size_t size, bool *no_memory)
{
    size_t length = 0;
    char *text = NULL;
    bool answers = clGetPlatformInfo(id, what, 0, NULL, &length) == CL_SUCCESS && length <= TEXT_AT_MOST &&
                   (text = text_memory(length, no_memory)) && clGetPlatformInfo(id, what, length, text, NULL) == CL_SUCCESS;
    if (answers)
        copy_text(out, size, text);
    free(text);
    return answers;
}

/* A number of 4 or 8 bytes; *failed is set when the driver does not answer. */
static uint64_t device_number(cl_device_id id, cl_device_info what, bool *failed)
{
    unsigned char raw[8] = {0};
    size_t size = 0;
    uint32_t small;
    uint64_t large;
    if (clGetDeviceInfo(id, what, sizeof raw, raw, &size) != CL_SUCCESS) {
        *failed = true;
        return 0;
    }
    memcpy(&small, raw, 4);
    memcpy(&large, raw, 8);
    return size == 4 ? small : large;
}

/* The same of what a device need not have: 0 without an answer. */
static uint64_t optional_number(cl_device_id id, cl_device_info what)
{
    bool failed;
    return device_number(id, what, &failed);
}

/* ---- architectures ---- */

/* Values of the vendors' extensions, which not every cl_ext.h has. */
#define GFXIP_MAJOR_AMD 0x404A
#define GFXIP_MINOR_AMD 0x404B
#define WAVEFRONT_WIDTH_AMD 0x4043
#define IP_VERSION_INTEL 0x4250
#define COMPUTE_CAPABILITY_MAJOR_NV 0x4000

bool device_is_architecture(const char *word)
{
    static const char all[] = DEVICE_ARCHITECTURES;
    size_t length = strlen(word);
    for (const char *at = all; *at; at += strspn(at, ", ")) {
        if (length && strcspn(at, ",") == length && memcmp(at, word, length) == 0)
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

/* Of gfx MAJOR, MINOR (a hexadecimal digit), STEP: 906 is gcn, 908 and 90a are cdna, as are all of 9.4 and later. */
static const char *of_gfx(int major, int minor, int step)
{
    if (major >= 10)
        return "rdna";
    bool matrix_engines = major == 9 && (minor >= 4 || step == 8 || step == 10);
    return major < 6 ? "" : matrix_engines ? "cdna" : "gcn";
}

/* "gfx1030", "gfx90a:sramecc+:xnack-" */
static const char *of_gfx_name(const char *name)
{
    int major = 0, digits = 0;
    const char *at = name;
    while (*at && strncmp(at, "gfx", 3) != 0)
        at++;
    at += *at ? 3 : 0;
    while (isxdigit((unsigned char)at[digits]))
        digits++;
    if (digits < 3 || digits > 4)
        return "";
    for (int i = 0; i < digits - 2; i++)
        major = 10 * major + (isdigit((unsigned char)at[i]) ? at[i] - '0' : 0);
    char minor[2] = {at[digits - 2], 0}, step[2] = {at[digits - 1], 0};
    return of_gfx(major, (int)strtol(minor, NULL, 16), (int)strtol(step, NULL, 16));
}

/* An architecture number in the upper 10 bits, a release in the 8 below: 12.0 to 12.10 are the integrated generation and its first card,
 * 12.55 to 12.74 and all from 20 on (Xe2) have the wider engines; from 9 to 11 registers and threads are those of 12. */
static const char *of_ip_version(uint32_t version)
{
    uint32_t architecture = version >> 22, release = (version >> 14) & 0xff;
    return architecture < 9 ? "" : architecture > 12 || (architecture == 12 && release >= 50) ? "xe" : "gen12";
}

/* 7.x: Volta and Turing. 8.x: Ampere and Ada. 9 to 11: Hopper and what follows it in data centres. 12: its sisters on desks, which have an
 * SM like Ada's. */
static const char *of_compute_capability(int major)
{
    return major < 7 ? "" : major == 7 ? "turing" : major == 8 || major >= 12 ? "ampere" : "hopper";
}

/* Drivers without those queries (Mesa's) name the chip or the card. */
static const char *of_name(const char *name)
{
    static const struct {
        const char *part, *word; /* chips before cards */
    } names[] = {
        {"aldebaran", "cdna"},   {"arcturus", "cdna"},  {"mi100", "cdna"},     {"mi2", "cdna"},      {"mi3", "cdna"},
        {"navi", "rdna"},        {"vangogh", "rdna"},   {"rembrandt", "rdna"}, {"raphael", "rdna"},  {"phoenix", "rdna"},
        {"strix", "rdna"},       {"tahiti", "gcn"},     {"pitcairn", "gcn"},   {"verde", "gcn"},     {"oland", "gcn"},
        {"hainan", "gcn"},       {"bonaire", "gcn"},    {"kaveri", "gcn"},     {"kabini", "gcn"},    {"hawaii", "gcn"},
        {"tonga", "gcn"},        {"iceland", "gcn"},    {"carrizo", "gcn"},    {"stoney", "gcn"},    {"fiji", "gcn"},
        {"polaris", "gcn"},      {"ellesmere", "gcn"},  {"baffin", "gcn"},     {"lexa", "gcn"},      {"vega", "gcn"},
        {"raven", "gcn"},        {"renoir", "gcn"},     {"(dg2)", "xe"},       {"(mtl)", "xe"},      {"(arl)", "xe"},
        {"(lnl)", "xe"},         {"(bmg", "xe"},        {"(ptl", "xe"},        {"arc(tm)", "xe"},    {"data center gpu", "xe"},
        {"(tgl", "gen12"},       {"(rkl", "gen12"},     {"(adl", "gen12"},     {"(rpl", "gen12"},    {"(dg1", "gen12"},
        {"iris(r) xe", "gen12"}, {"nvk tu", "turing"},  {"nvk ga", "ampere"},  {"nvk ad", "ampere"}, {"nvk gb2", "ampere"},
        {"nvk gh", "hopper"},    {"nvk gb1", "hopper"},
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (has_word(name, names[i].part))
            return names[i].word;
    return "";
}

const char *device_architecture(const char *name, const struct device_marks *marks)
{
    const char *word = of_gfx_name(name);
    if (*word)
        return word;
    if (marks->gfx_major) /* the step is in names alone, and so is what 9.0 means */
        return of_gfx(marks->gfx_major, marks->gfx_minor, 0);
    if (marks->ip_version)
        return of_ip_version(marks->ip_version);
    if (marks->compute_major)
        return of_compute_capability(marks->compute_major);
    word = of_name(name);
    return *word ? word : marks->wavefront == 32 ? "rdna" : marks->wavefront == 64 ? "gcn" : "";
}

/* PoCL compiles for the processor it runs on and hands assembly language through; Intel's runtime compiles for an abstract one first. */
static const char *of_processor(const struct device *d)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (d->is_cpu && has_word(d->platform_name, "portable computing language") && __builtin_cpu_supports("avx512bf16"))
        return "avx512bf16";
#endif
    (void)d;
    return "";
}

bool device_has_dots(const struct device *d)
{
    return strcmp(d->architecture, "avx512bf16") == 0;
}

static const char *find_architecture(const struct device *d, const char *extensions)
{
    struct device_marks marks = {0};
    if (!d->is_gpu)
        return of_processor(d);
    if (has_word(extensions, "cl_amd_device_attribute_query")) {
        marks.gfx_major = (int)optional_number(d->id, GFXIP_MAJOR_AMD);
        marks.gfx_minor = (int)optional_number(d->id, GFXIP_MINOR_AMD);
        marks.wavefront = (int)optional_number(d->id, WAVEFRONT_WIDTH_AMD);
    }
    if (has_word(extensions, "cl_intel_device_attribute_query"))
        marks.ip_version = (uint32_t)optional_number(d->id, IP_VERSION_INTEL);
    if (has_word(extensions, "cl_nv_device_attribute_query"))
        marks.compute_major = (int)optional_number(d->id, COMPUTE_CAPABILITY_MAJOR_NV);
    return device_architecture(d->name, &marks);
}

/* ---- capabilities ---- */

/* What every device must tell: without it clio would run other kernels than this device needs, or none. */
static const struct required {
    cl_device_info what;
    const char *name;
} required[] = {
#define QUERY(x)                                                                                                                           \
    {                                                                                                                                      \
        x, #x                                                                                                                              \
    }
    QUERY(CL_DEVICE_NAME),
    QUERY(CL_DRIVER_VERSION),
    QUERY(CL_DEVICE_VERSION),
    QUERY(CL_DEVICE_EXTENSIONS),
    QUERY(CL_DEVICE_TYPE),
    QUERY(CL_DEVICE_AVAILABLE),
    QUERY(CL_DEVICE_COMPILER_AVAILABLE),
    QUERY(CL_DEVICE_ENDIAN_LITTLE),
    QUERY(CL_DEVICE_MAX_COMPUTE_UNITS),
    QUERY(CL_DEVICE_MAX_WORK_GROUP_SIZE),
    QUERY(CL_DEVICE_MAX_WORK_ITEM_SIZES),
    QUERY(CL_DEVICE_GLOBAL_MEM_SIZE),
    QUERY(CL_DEVICE_MAX_MEM_ALLOC_SIZE),
    QUERY(CL_DEVICE_LOCAL_MEM_SIZE),
    QUERY(CL_DEVICE_MEM_BASE_ADDR_ALIGN),
    QUERY(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT),
#undef QUERY
};

static void unanswered(struct device *d, cl_device_info what)
{
    for (size_t i = 0; i < COUNT(required); i++)
        if (required[i].what == what && !d->problem[0])
            snprintf(d->problem, sizeof d->problem, "its driver does not answer %s: update it, or try again", required[i].name);
}

static uint64_t required_number(struct device *d, cl_device_info what)
{
    bool failed = false;
    uint64_t n = device_number(d->id, what, &failed);
    if (failed)
        unanswered(d, what);
    return n;
}

static void required_text(struct device *d, cl_device_info what, char *out, size_t size)
{
    char *text = device_text(d->id, what, &d->no_memory);
    if (text)
        copy_text(out, size, text);
    else
        unanswered(d, what);
    free(text);
}

static void describe_type(struct device *d)
{
    cl_device_type type = (cl_device_type)required_number(d, CL_DEVICE_TYPE);
    bool is_llvmpipe = has_word(d->name, "llvmpipe"); /* reports whatever type the loader was built with; it is a CPU */
    d->is_gpu = !is_llvmpipe && (type & CL_DEVICE_TYPE_GPU) != 0;
    d->is_accelerator = !is_llvmpipe && !d->is_gpu && (type & CL_DEVICE_TYPE_ACCELERATOR) != 0;
    d->is_cpu = !d->is_gpu && !d->is_accelerator;
    d->is_clover = has_word(d->platform_name, "clover");
    /* llvmpipe runs work-items as lanes, as a GPU does, and silently leaves a work-item's loops after 65535 turns in all: kernels of many
     * short work-items are right there, those made for CPUs are not. */
    int lanes = (int)required_number(d, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    d->simd_width = d->is_cpu && !is_llvmpipe ? MAX(lanes, 4) : 1;
}

static void describe_limits(struct device *d)
{
    size_t sizes[ITEM_DIMENSIONS_AT_MOST] = {0}, bytes = 0;
    d->compute_units = (int)required_number(d, CL_DEVICE_MAX_COMPUTE_UNITS);
    d->max_work_group = (size_t)required_number(d, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    if (clGetDeviceInfo(d->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof sizes, sizes, &bytes) != CL_SUCCESS)
        unanswered(d, CL_DEVICE_MAX_WORK_ITEM_SIZES);
    for (size_t i = 0; i < COUNT(d->max_item_sizes); i++)
        d->max_item_sizes[i] = sizes[i];
    d->global_memory = required_number(d, CL_DEVICE_GLOBAL_MEM_SIZE);
    d->max_allocation = required_number(d, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    d->local_memory = required_number(d, CL_DEVICE_LOCAL_MEM_SIZE);
    d->address_alignment = MAX((size_t)required_number(d, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8, (size_t)64);
    if (!d->problem[0] && (!d->compute_units || !d->max_work_group || !d->max_item_sizes[0] || !d->global_memory || !d->max_allocation))
        snprintf(d->problem, sizeof d->problem, "its driver says that it has no compute units, work-items or memory");
    else if (!d->problem[0] && !d->is_cpu && d->max_work_group < WORK_GROUP_LEAST)
        snprintf(d->problem, sizeof d->problem, "its work-groups have %zu work-items at most, and clio needs %d", d->max_work_group,
                 WORK_GROUP_LEAST);
}

static void describe_extensions(struct device *d)
{
    char *extensions = device_text(d->id, CL_DEVICE_EXTENSIONS, &d->no_memory);
    if (!extensions) {
        unanswered(d, CL_DEVICE_EXTENSIONS);
        return;
    }
    d->has_fp16 = has_word(extensions, "cl_khr_fp16");
    d->has_fp64 = has_word(extensions, "cl_khr_fp64");
    d->has_subgroups = has_word(extensions, "cl_khr_subgroups") || has_word(extensions, "cl_intel_subgroups");
    d->architecture = find_architecture(d, extensions);
    free(extensions);
}

/* What clio cannot do without, once the driver has answered. */
static void find_problem(struct device *d)
{
    int major = 0, minor = 0;
    bool available = required_number(d, CL_DEVICE_AVAILABLE) != 0, little = required_number(d, CL_DEVICE_ENDIAN_LITTLE) != 0;
    d->has_compiler = required_number(d, CL_DEVICE_COMPILER_AVAILABLE) != 0;
    if (d->problem[0])
        return;
    if (!available)
        snprintf(d->problem, sizeof d->problem, "the driver says that the device is not available");
    else if (!d->has_compiler)
        snprintf(d->problem, sizeof d->problem, "its driver has no compiler for OpenCL C");
    else if (!little)
        snprintf(d->problem, sizeof d->problem, "it stores numbers in big-endian order, and clio reads little-endian alone");
    else if (sscanf(d->version, "OpenCL %d.%d", &major, &minor) == 2 && 10 * major + minor < 12)
        snprintf(d->problem, sizeof d->problem, "its driver has OpenCL %d.%d, and clio needs 1.2 or newer", major, minor);
}

static void describe(struct device *d, cl_platform_id platform, cl_device_id id)
{
    d->platform = platform;
    d->id = id;
    d->architecture = "";
    required_text(d, CL_DEVICE_NAME, d->name, sizeof d->name);
    required_text(d, CL_DRIVER_VERSION, d->driver, sizeof d->driver);
    required_text(d, CL_DEVICE_VERSION, d->version, sizeof d->version);
    find_problem(d);
    describe_type(d);
    d->vendor_id = (unsigned)optional_number(id, CL_DEVICE_VENDOR_ID);
    d->unified_memory = d->is_cpu || optional_number(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    describe_limits(d);
    describe_extensions(d);
}

void device_limits(const struct device *d, char text[200])
{
    snprintf(text, 200, "work-group %zu, items %zu %zu %zu, local %llu, alignment %zu, lanes %d, fp16 %d, subgroups %d", d->max_work_group,
             d->max_item_sizes[0], d->max_item_sizes[1], d->max_item_sizes[2], (unsigned long long)d->local_memory, d->address_alignment,
             d->simd_width, d->has_fp16, d->has_subgroups);
}

bool device_is_for_tests(const struct device *d)
{
    return has_word(d->name, "llvmpipe") || has_word(d->platform_name, "oclgrind");
}

/* Higher is better. Software devices meant for testing come after real CPU runtimes, Clover last. */
static int rank(const struct device *d)
{
    int r = d->is_gpu ? 30 : d->is_accelerator ? 20 : 10;
    if (device_is_for_tests(d))
        r -= 5;
    if (d->is_clover)
        r -= 100;
    if (d->problem[0])
        r -= d->id ? 1000 : 2000; /* a platform without devices says the least */
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

void device_order(struct device *list, size_t count)
{
    if (count)
        qsort(list, count, sizeof *list, better_first);
}

static clio_status add_platform(clio_context *ctx, cl_platform_id platform, struct device **list, size_t *count)
{
    clio_status st = CLIO_OK;
    cl_device_id ids[DEVICES_AT_MOST];
    cl_uint found = 0;
    struct device base = {.architecture = ""}, *grown;
    if (!platform_text(platform, CL_PLATFORM_NAME, base.platform_name, sizeof base.platform_name, &base.no_memory) ||
        !platform_text(platform, CL_PLATFORM_VERSION, base.platform_version, sizeof base.platform_version, &base.no_memory))
        snprintf(base.problem, sizeof base.problem, "its driver does not answer the platform's name and version: update it, or try again");
    cl_int cle = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_AT_MOST, ids, &found);
    found = cle == CL_SUCCESS ? MIN(found, DEVICES_AT_MOST) : 0;
    grown = base.no_memory ? NULL : realloc(*list, (*count + MAX(found, 1)) * sizeof *grown);
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
        describe(&grown[*count], platform, ids[i]);
        if (grown[(*count)++].no_memory)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    }
fail:
    return st;
}

/* Different contexts may be used in different threads, and some implementations cannot be asked by two threads for the first time: PoCL
 * then says to one of them that it has no device. */
static pthread_mutex_t enumeration_lock = PTHREAD_MUTEX_INITIALIZER;

clio_status device_enumerate(clio_context *ctx, struct device **list, size_t *count)
{
    clio_status st = CLIO_OK;
    cl_platform_id platforms[PLATFORMS_AT_MOST];
    cl_uint n = 0;
    *list = NULL;
    *count = 0;
    pthread_mutex_lock(&enumeration_lock);
    cl_int cle = clGetPlatformIDs(PLATFORMS_AT_MOST, platforms, &n);
    if (cle == PLATFORM_NOT_FOUND)
        n = 0;
    else
        CL_CHECK(ctx, cle, "clGetPlatformIDs");
    for (cl_uint i = 0; i < MIN(n, PLATFORMS_AT_MOST); i++)
        TRY(add_platform(ctx, platforms[i], list, count));
    device_order(*list, *count);
fail:
    pthread_mutex_unlock(&enumeration_lock);
    if (st) {
        free(*list);
        *list = NULL;
        *count = 0;
    }
    return st;
}
