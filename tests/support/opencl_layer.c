/* opencl_layer.c - see opencl_layer.h. */
#include "opencl_layer.h"

#include <string.h>

cl_int layer_give(const void *data, size_t bytes, size_t size, void *out, size_t *used)
{
    if (used)
        *used = bytes;
    if (out && size < bytes)
        return CL_INVALID_VALUE;
    if (out)
        memcpy(out, data, bytes);
    return CL_SUCCESS;
}

cl_int layer_info(const char *name, cl_layer_info what, size_t size, void *out, size_t *used)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    return what == CL_LAYER_API_VERSION ? layer_give(&version, sizeof version, size, out, used)
           : what == CL_LAYER_NAME      ? layer_give(name, strlen(name) + 1, size, out, used)
                                        : CL_INVALID_VALUE;
}

int layer_begin(cl_uint entries, const cl_icd_dispatch *below, cl_uint *used, const cl_icd_dispatch **out, cl_icd_dispatch *layer,
                const cl_icd_dispatch **target)
{
    const cl_uint needed = sizeof(cl_icd_dispatch) / sizeof(void (*)(void));
    if (!below || !out || !used || entries < needed)
        return 0;
    *target = below;
    *layer = *below;
    *used = needed;
    *out = layer;
    return 1;
}
