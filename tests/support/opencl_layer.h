/* opencl_layer.h - what every layer of the OpenCL loader has in common (tests/faults, tests/simulate): answers to queries, its own name,
 * and the exchange of call tables with the loader. */
#ifndef CLIO_OPENCL_LAYER_H
#define CLIO_OPENCL_LAYER_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS

#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <CL/cl_layer.h>

/* The functions that the loader looks for: clGetLayerInfo and clInitLayer. */
#define LAYER_ENTRY __attribute__((visibility("default"))) CL_API_ENTRY cl_int CL_API_CALL

/* Answer a query as clGet*Info does: `bytes` at `data`, if the caller's `size` holds them. */
cl_int layer_give(const void *data, size_t bytes, size_t size, void *out, size_t *used);
/* clGetLayerInfo of a layer with this name. */
cl_int layer_info(const char *name, cl_layer_info what, size_t size, void *out, size_t *used);
/* clInitLayer: *layer starts as a copy of the calls below, whose table *target gets; false: the loader's table is too short. */
int layer_begin(cl_uint entries, const cl_icd_dispatch *below, cl_uint *used, const cl_icd_dispatch **out, cl_icd_dispatch *layer,
                const cl_icd_dispatch **target);

#endif
