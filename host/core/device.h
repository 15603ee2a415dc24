/* device.h - find OpenCL devices, rank them, choose one, and describe it by its capabilities. Only device.c and device_hints.c know
 * vendors. */
#ifndef CLIO_CORE_DEVICE_H
#define CLIO_CORE_DEVICE_H

#include "mem.h"

struct device {
    cl_platform_id platform;
    cl_device_id id;
    char platform_name[128], platform_version[128], name[128], driver[128], version[128];
    char problem[256];        /* why it cannot be used; empty: usable */
    const char *architecture; /* one of DEVICE_ARCHITECTURES, for rows of parameters; "": none of them */
    bool is_gpu, is_cpu, is_accelerator, is_clover;
    bool no_memory; /* the host had none for a text: the rest is not known */
    bool has_compiler, has_fp16, has_subgroups, has_fp64, unified_memory;
    int compute_units;
    unsigned vendor_id; /* the PCI vendor, where the driver gives that; 0: unknown */
    size_t max_work_group, max_item_sizes[3];
    uint64_t global_memory, max_allocation, local_memory, memory_limit; /* memory_limit: what clio may use */
    size_t address_alignment;                                           /* bytes, for sub-buffers */
    int simd_width; /* preferred f32 lanes of one hardware thread; 1 on GPUs, where each work-item is one lane */
};

/* Results of vendor-specific queries about the hardware generation; 0: unknown. */
struct device_marks {
    int gfx_major, gfx_minor, wavefront; /* cl_amd_device_attribute_query */
    uint32_t ip_version;                 /* cl_intel_device_attribute_query */
    int compute_major;                   /* cl_nv_device_attribute_query */
};
/* The architecture of a GPU, from the driver's queries or else from its name; "": unknown. Of a CPU: avx512bf16 if the processor has dot
 * products of bfloat16 and the driver's compiler accepts x86 inline assembly. */
const char *device_architecture(const char *name, const struct device_marks *marks);
/* All architectures, and whether a word is one of them. */
#define DEVICE_ARCHITECTURES "gcn, rdna, cdna, gen12, xe, turing, ampere, hopper, avx512bf16"
bool device_is_architecture(const char *word);
/* Whether kernels may use the instructions for dot products of bfloat16: architecture avx512bf16. */
bool device_has_dots(const struct device *d);

/* The limits that decide what a compiled kernel can be and whether it can run, as text: part of every key of a cache. Memory sizes are not:
 * some drivers report what is free at the moment. */
void device_limits(const struct device *d, char text[200]);

/* All devices of all platforms, best first, unusable ones last. *list is freed by the caller. */
clio_status device_enumerate(clio_context *ctx, struct device **list, size_t *count);
/* Sort devices, the best first: GPUs by their memory, accelerators, CPUs, software made for tests, what is retired, unusable ones. */
void device_order(struct device *list, size_t count);
/* Index in the list of the device that `selector` matches; otherwise CLIO_ERROR_ARGUMENT, whose message lists the choices. */
clio_status device_select(clio_context *ctx, const struct device *list, size_t count, const char *selector, const char *variable,
                          size_t *chosen);
/* Why device_select chose list[chosen] for this selector ("": none) of that variable (NULL: of a call). */
void device_reason(const struct device *list, size_t count, size_t chosen, const char *selector, const char *variable, char text[320]);

/* "gpu", "accelerator" or "cpu". */
const char *device_type_name(const struct device *d);
/* Whether the device can have work-groups of this shape. */
bool device_allows_group(const struct device *d, size_t x, size_t y, size_t z);
/* A device that computes in software and is made for tests of drivers or programs: slow. */
bool device_is_for_tests(const struct device *d);
/* Whether `text` has the first `length` bytes of `part`, in any case. */
bool device_text_has(const char *text, const char *part, size_t length);

#endif
