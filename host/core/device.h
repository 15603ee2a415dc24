/* device.h - find the OpenCL devices, rank them, and turn the chosen one into capabilities.
 * device.c is the only file that knows vendors: everything else asks for a capability. */
#ifndef CLIO_CORE_DEVICE_H
#define CLIO_CORE_DEVICE_H

#include "mem.h"

struct device {
    cl_platform_id platform;
    cl_device_id id;
    char platform_name[128], platform_version[128], name[128], driver[128], version[128];
    char problem[256];        /* why it cannot be used; empty: usable */
    const char *architecture; /* family that rows of parameters may name: see DEVICE_ARCHITECTURES; "": none of them */
    bool is_gpu, is_cpu, is_accelerator, is_clover;
    bool has_compiler, has_fp16, has_subgroups, has_fp64, unified_memory;
    int compute_units;
    size_t max_work_group, max_item_sizes[3];
    uint64_t global_memory, max_allocation, local_memory, memory_limit; /* memory_limit: what clio may take */
    size_t address_alignment;                                           /* bytes, for sub-buffers */
    int simd_width; /* preferred f32 lanes of one hardware thread; 1 where each work-item is a lane of its own: GPUs, and what is like them
                     */
};

/* What a driver's own queries say of how a GPU is built; 0: not said. */
struct device_marks {
    int gfx_major, gfx_minor, wavefront; /* cl_amd_device_attribute_query */
    uint32_t ip_version;                 /* cl_intel_device_attribute_query */
    int compute_major;                   /* cl_nv_device_attribute_query */
};
/* The word for a GPU's architecture, from what its driver says and else from its name; "": unknown. That of a CPU, avx512bf16, says that
 * kernels may use x86's dot products of bfloat16: the processor has them, and the driver's compiler takes x86's assembly language. */
const char *device_architecture(const char *name, const struct device_marks *marks);
/* The words that there are, and whether it is one of them. */
#define DEVICE_ARCHITECTURES "gcn, rdna, cdna, gen12, xe, turing, ampere, hopper, avx512bf16"
bool device_is_architecture(const char *word);
/* Kernels may use the instructions for dot products of bfloat16: architecture avx512bf16. */
bool device_has_dots(const struct device *d);

/* All devices of all platforms, best first, unusable ones last. *list is freed by the caller. */
clio_status device_enumerate(clio_context *ctx, struct device **list, size_t *count);
/* Position in the list of what `selector` means; CLIO_ERROR_ARGUMENT names what there is. */
clio_status device_select(clio_context *ctx, const struct device *list, size_t count, const char *selector, size_t *chosen);

#endif
