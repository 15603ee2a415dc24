/* simulate_description.c - reads the description of a simulated device: tests/simulate/devices/README.md has its fields. */
#include "simulate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASES_AT_MOST 4

/* Values of the vendors' extensions and of OpenCL 3.0, which not every header has. */
#define SUB_GROUP_SIZES_INTEL 0x4108
#define IP_VERSION_INTEL 0x4250
#define BOARD_NAME_AMD 0x4038
#define WAVEFRONT_WIDTH_AMD 0x4043
#define GFXIP_MAJOR_AMD 0x404A
#define GFXIP_MINOR_AMD 0x404B
#define COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define COMPUTE_CAPABILITY_MINOR_NV 0x4001
#define WARP_SIZE_NV 0x4003

enum kind { TEXT, UINT, ULONG, SIZE, SIZES, BOOL, TYPE, QUEUE };

static const struct query {
    const char *name;
    cl_uint what;
    enum kind kind;
} queries[] = {
#define QUERY(name, kind)                                                                                                                  \
    {                                                                                                                                      \
#name, name, kind                                                                                                                  \
    }
    QUERY(CL_PLATFORM_NAME, TEXT),
    QUERY(CL_PLATFORM_VENDOR, TEXT),
    QUERY(CL_PLATFORM_VERSION, TEXT),
    QUERY(CL_PLATFORM_PROFILE, TEXT),
    QUERY(CL_PLATFORM_EXTENSIONS, TEXT),
    QUERY(CL_DEVICE_NAME, TEXT),
    QUERY(CL_DEVICE_VENDOR, TEXT),
    QUERY(CL_DEVICE_VENDOR_ID, UINT),
    QUERY(CL_DEVICE_VERSION, TEXT),
    QUERY(CL_DEVICE_PROFILE, TEXT),
    QUERY(CL_DEVICE_OPENCL_C_VERSION, TEXT),
    QUERY(CL_DRIVER_VERSION, TEXT),
    QUERY(CL_DEVICE_EXTENSIONS, TEXT),
    QUERY(CL_DEVICE_TYPE, TYPE),
    QUERY(CL_DEVICE_AVAILABLE, BOOL),
    QUERY(CL_DEVICE_COMPILER_AVAILABLE, BOOL),
    QUERY(CL_DEVICE_ENDIAN_LITTLE, BOOL),
    QUERY(CL_DEVICE_HOST_UNIFIED_MEMORY, BOOL),
    QUERY(CL_DEVICE_IMAGE_SUPPORT, BOOL),
    QUERY(CL_DEVICE_ADDRESS_BITS, UINT),
    QUERY(CL_DEVICE_MAX_COMPUTE_UNITS, UINT),
    QUERY(CL_DEVICE_MAX_CLOCK_FREQUENCY, UINT),
    QUERY(CL_DEVICE_MAX_WORK_GROUP_SIZE, SIZE),
    QUERY(CL_DEVICE_MAX_WORK_ITEM_SIZES, SIZES),
    QUERY(CL_DEVICE_GLOBAL_MEM_SIZE, ULONG),
    QUERY(CL_DEVICE_MAX_MEM_ALLOC_SIZE, ULONG),
    QUERY(CL_DEVICE_LOCAL_MEM_SIZE, ULONG),
    QUERY(CL_DEVICE_MEM_BASE_ADDR_ALIGN, UINT),
    QUERY(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, UINT),
    QUERY(CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, UINT),
    QUERY(CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, SIZE),
    QUERY(CL_DEVICE_PROFILING_TIMER_RESOLUTION, SIZE),
    QUERY(CL_DEVICE_QUEUE_PROPERTIES, QUEUE),
    QUERY(CL_DEVICE_MAX_NUM_SUB_GROUPS, UINT),
#undef QUERY
    {"CL_DEVICE_SUB_GROUP_SIZES_INTEL", SUB_GROUP_SIZES_INTEL, SIZES},
    {"CL_DEVICE_IP_VERSION_INTEL", IP_VERSION_INTEL, UINT},
    {"CL_DEVICE_BOARD_NAME_AMD", BOARD_NAME_AMD, TEXT},
    {"CL_DEVICE_WAVEFRONT_WIDTH_AMD", WAVEFRONT_WIDTH_AMD, UINT},
    {"CL_DEVICE_GFXIP_MAJOR_AMD", GFXIP_MAJOR_AMD, UINT},
    {"CL_DEVICE_GFXIP_MINOR_AMD", GFXIP_MINOR_AMD, UINT},
    {"CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV", COMPUTE_CAPABILITY_MAJOR_NV, UINT},
    {"CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV", COMPUTE_CAPABILITY_MINOR_NV, UINT},
    {"CL_DEVICE_WARP_SIZE_NV", WARP_SIZE_NV, UINT},
};
static const struct word {
    const char *name;
    uint64_t value;
} words[] = {{"GPU", CL_DEVICE_TYPE_GPU},
             {"CPU", CL_DEVICE_TYPE_CPU},
             {"ACCELERATOR", CL_DEVICE_TYPE_ACCELERATOR},
             {"PROFILING", CL_QUEUE_PROFILING_ENABLE},
             {"OUT_OF_ORDER", CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE}};

const struct answer *simulated_answer(const struct simulated_device *d, bool of_platform, cl_uint what)
{
    for (int i = 0; i < d->answer_count; i++)
        if (d->answers[i].of_platform == of_platform && d->answers[i].what == what)
            return &d->answers[i];
    return NULL;
}

/* ---- values ---- */

/* "PROFILING OUT_OF_ORDER" */
static bool read_words(const char *text, uint64_t *bits)
{
    for (*bits = 0; *text; text += strspn(text, " ")) {
        size_t length = strcspn(text, " "), i = 0, count = sizeof words / sizeof *words;
        while (i < count && (strlen(words[i].name) != length || strncmp(text, words[i].name, length) != 0))
            i++;
        if (i == count)
            return false;
        *bits |= words[i].value;
        text += length;
    }
    return true;
}

/* A number of the size that the query has, at `out`; its bytes, or 0: the value is of another type. */
static size_t read_number(enum kind kind, const json_t *value, void *out)
{
    uint64_t n = json_is_boolean(value) ? (uint64_t)json_boolean_value(value) : (uint64_t)json_integer_value(value);
    cl_uint small = (cl_uint)n;
    size_t size = (size_t)n;
    bool by_words = kind == TYPE || kind == QUEUE;
    if (by_words       ? !json_is_string(value) || !read_words(json_string_value(value), &n)
        : kind == BOOL ? !json_is_boolean(value)
                       : !json_is_integer(value) || json_integer_value(value) < 0)
        return 0;
    bool is_small = kind == UINT || kind == BOOL, is_size = kind == SIZE || kind == SIZES;
    size_t bytes = is_small ? sizeof small : is_size ? sizeof size : sizeof n;
    memcpy(out, is_small ? (const void *)&small : is_size ? (const void *)&size : (const void *)&n, bytes);
    return bytes;
}

/* The bytes of a value in new memory; NULL: it is of another type. */
static void *read_value(enum kind kind, const json_t *value, size_t *bytes)
{
    size_t count = kind == SIZES ? json_array_size(value) : 1;
    const char *text = json_string_value(value);
    char *data = NULL;
    *bytes = 0;
    if (kind == TEXT) {
        *bytes = text ? strlen(text) + 1 : 0;
        if (text && (data = malloc(*bytes)))
            memcpy(data, text, *bytes);
        return data;
    }
    data = malloc(count ? count * sizeof(uint64_t) : 1);
    for (size_t i = 0; data && i < count; i++) {
        size_t more = read_number(kind, kind == SIZES ? json_array_get(value, i) : value, data + *bytes);
        if (!more) {
            free(data);
            return NULL;
        }
        *bytes += more;
    }
    return data;
}

/* ---- sections of the file ---- */

static bool read_answers(struct simulated_device *d, json_t *section, bool of_platform, char problem[512])
{
    const char *key;
    json_t *value;
    json_object_foreach(section, key, value)
    {
        struct answer a = {.of_platform = of_platform};
        size_t i = 0, count = sizeof queries / sizeof *queries;
        while (i < count && strcmp(queries[i].name, key) != 0)
            i++;
        a.what = i < count ? queries[i].what : 0;
        a.data = i < count ? read_value(queries[i].kind, value, &a.bytes) : NULL;
        if (!a.data || d->answer_count == ANSWERS_AT_MOST) {
            snprintf(problem, 512, "%s: it is no query that can be described, or its value has another type", key);
            return false;
        }
        if (!simulated_answer(d, of_platform, a.what)) /* that of the description counts, not that of its base */
            d->answers[d->answer_count++] = a;
    }
    return true;
}

static char *copy(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = text ? strlen(text) + 1 : 0;
    char *out = text ? malloc(size) : NULL;
    return out ? memcpy(out, text, size) : NULL;
}

static bool read_limits(struct simulated_device *d, json_t *section)
{
    const char *key;
    json_t *value;
    json_object_foreach(section, key, value)
    {
        size_t size = strlen(key) + 1;
        char *name = malloc(size);
        if (!name || !json_is_integer(value) || d->limit_count == LIMITS_AT_MOST) {
            free(name);
            return false;
        }
        d->limits[d->limit_count++] = (struct kernel_limit){memcpy(name, key, size), (size_t)json_integer_value(value)};
    }
    return true;
}

static bool read_behaviour(struct simulated_device *d, json_t *section, char problem[512])
{
    const char *key;
    json_t *value;
    json_object_foreach(section, key, value)
    {
        bool good = true;
        if (strcmp(key, "rejected program") == 0)
            good = (d->rejected = copy(value)) != NULL;
        else if (strcmp(key, "crashing program") == 0)
            good = (d->crashes = copy(value)) != NULL;
        else if (strcmp(key, "build seconds") == 0)
            good = (d->build_seconds = json_number_value(value)) > 0;
        else if (strcmp(key, "timer ns") == 0) {
            good = d->has_timer = json_is_integer(value);
            d->timer_ns = (uint64_t)json_integer_value(value);
        } else if (strcmp(key, "lost after launches") == 0)
            good = (d->lost_after = (long)json_integer_value(value)) > 0;
        else
            good = strcmp(key, "kernel work-group sizes") == 0 && read_limits(d, value);
        if (!good) {
            snprintf(problem, 512, "behaviour \"%s\" is unknown, or its value has another type", key);
            return false;
        }
    }
    return true;
}

/* A description and those that it is based on; what comes first counts. */
static bool read_file(struct simulated_device *d, const char *path, int depth, char problem[512])
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    const char *slash = strrchr(path, '/'), *like = json_string_value(json_object_get(root, "like"));
    char base[1024];
    bool good = root != NULL;
    if (!root)
        snprintf(problem, 512, "line %d: %s", error.line, error.text);
    good = good && read_answers(d, json_object_get(root, "platform"), true, problem) &&
           read_answers(d, json_object_get(root, "device"), false, problem) &&
           read_behaviour(d, json_object_get(root, "behaviour"), problem);
    snprintf(base, sizeof base, "%.*s%s.json", slash ? (int)(slash - path + 1) : 0, path, like ? like : "");
    if (good && like)
        good = depth < BASES_AT_MOST && read_file(d, base, depth + 1, problem);
    json_decref(root);
    return good;
}

/* ---- what the layer needs of it ---- */

static uint64_t number(const struct simulated_device *d, cl_uint what, uint64_t otherwise)
{
    const struct answer *a = simulated_answer(d, false, what);
    cl_uint small = 0;
    uint64_t large = 0;
    if (!a)
        return otherwise;
    memcpy(a->bytes == sizeof small ? (void *)&small : (void *)&large, a->data, a->bytes);
    return a->bytes == sizeof small ? small : large;
}

/* 12 of "OpenCL 1.2 CUDA" */
static int version_in(const struct simulated_device *d, cl_uint what, const char *format)
{
    const struct answer *a = simulated_answer(d, false, what);
    int major = 3, minor = 0;
    return !a || sscanf(a->data, format, &major, &minor) == 2 ? 10 * major + minor : 30;
}

bool simulated_device_read(struct simulated_device *d, const char *path, char problem[512])
{
    *problem = 0;
    if (!read_file(d, path, 0, problem)) {
        if (!*problem)
            snprintf(problem, 512, "a description may be based on %d others, one after another", BASES_AT_MOST);
        return false;
    }
    const struct answer *items = simulated_answer(d, false, CL_DEVICE_MAX_WORK_ITEM_SIZES);
    for (int i = 0; i < 3; i++)
        d->item_sizes[i] = SIZE_MAX;
    if (items && items->bytes == sizeof d->item_sizes)
        memcpy(d->item_sizes, items->data, items->bytes);
    d->version = version_in(d, CL_DEVICE_VERSION, "OpenCL %d.%d");
    d->c_version = version_in(d, CL_DEVICE_OPENCL_C_VERSION, "OpenCL C %d.%d");
    d->work_group = (size_t)number(d, CL_DEVICE_MAX_WORK_GROUP_SIZE, SIZE_MAX);
    d->allocation = number(d, CL_DEVICE_MAX_MEM_ALLOC_SIZE, UINT64_MAX);
    d->memory = number(d, CL_DEVICE_GLOBAL_MEM_SIZE, UINT64_MAX);
    d->local_memory = number(d, CL_DEVICE_LOCAL_MEM_SIZE, UINT64_MAX);
    d->queue_properties = number(d, CL_DEVICE_QUEUE_PROPERTIES, UINT64_MAX);
    d->alignment = number(d, CL_DEVICE_MEM_BASE_ADDR_ALIGN, 0) / 8;
    d->has_images = number(d, CL_DEVICE_IMAGE_SUPPORT, true) != 0;
    return true;
}
