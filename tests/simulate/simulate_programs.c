/* simulate_programs.c - the compiler of a simulated device, and what it says about kernels. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "simulate_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_AT_MOST 256

static void wait_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (seconds > 0)
        nanosleep(&t, NULL);
}

/* The text of a program in new memory; NULL: it was made from a binary. */
static char *source_of(cl_program p)
{
    size_t size = 0;
    char *text = NULL;
    if (simulate_below->clGetProgramInfo(p, CL_PROGRAM_SOURCE, 0, NULL, &size) == CL_SUCCESS && size > 1 && (text = calloc(1, size + 1)))
        simulate_below->clGetProgramInfo(p, CL_PROGRAM_SOURCE, size, text, NULL);
    return text;
}

/* Of "cl/gemm.cl", or "cl/gemm.cl -DTILE": the program's text has the first word, and its options the second. */
static bool is_named(const char *name, const char *source, const char *options)
{
    char program[NAME_AT_MOST] = "", option[NAME_AT_MOST] = "";
    return name && source && sscanf(name, "%255s %255s", program, option) >= 1 && strstr(source, program) &&
           strstr(options ? options : "", option);
}

/* -cl-std=CLx.y beyond the version of OpenCL C that the device has */
static bool asks_too_much(const char *options)
{
    const char *standard = options ? strstr(options, "-cl-std=CL") : NULL;
    int major = 0, minor = 0;
    return standard && sscanf(standard, "-cl-std=CL%d.%d", &major, &minor) == 2 && 10 * major + minor > simulated.c_version;
}

static cl_int CL_API_CALL build_program(cl_program p, cl_uint n, const cl_device_id *d, const char *options,
                                        void(CL_CALLBACK *done)(cl_program, void *), void *user)
{
    char *source = source_of(p);
    bool is_rejected = is_named(simulated.rejected, source, options);
    if (is_named(simulated.crashes, source, options))
        abort();
    if (source)
        wait_for(simulated.build_seconds);
    free(source);
    if (asks_too_much(options))
        return CL_INVALID_BUILD_OPTIONS;
    return is_rejected ? CL_BUILD_PROGRAM_FAILURE : simulate_below->clBuildProgram(p, n, d, options, done, user);
}

/* Extensions that the simulated device lacks are no macros of its compiler. */
static cl_program CL_API_CALL create_program(cl_context c, cl_uint n, const char **text, const size_t *lengths, cl_int *error)
{
    static const char *const optional[] = {"cl_khr_fp16", "cl_khr_fp64", "cl_khr_int64_base_atomics", "cl_khr_int64_extended_atomics"};
    const struct answer *a = simulated_answer(&simulated, false, CL_DEVICE_EXTENSIONS);
    char head[512] = "";
    const char **all = calloc(n + 1, sizeof *all);
    size_t *sizes = calloc(n + 1, sizeof *sizes), used = 0;
    for (size_t i = 0; a && i < sizeof optional / sizeof *optional; i++)
        if (!strstr(a->data, optional[i]))
            used += (size_t)snprintf(head + used, sizeof head - used, "#undef %s\n", optional[i]);
    cl_program p = NULL;
    if (all && sizes && text) {
        all[0] = head;
        sizes[0] = used;
        for (cl_uint i = 0; i < n; i++) {
            all[i + 1] = text[i];
            sizes[i + 1] = lengths && lengths[i] ? lengths[i] : text[i] ? strlen(text[i]) : 0;
        }
        p = simulate_below->clCreateProgramWithSource(c, n + 1, all, sizes, error);
    } else if (error)
        *error = CL_OUT_OF_HOST_MEMORY;
    free(all);
    free(sizes);
    return p;
}

size_t simulate_kernel_limit(cl_kernel kernel)
{
    char name[NAME_AT_MOST] = "";
    size_t limit = SIZE_MAX;
    if (!simulated.limit_count || simulate_below->clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL))
        return limit;
    for (int i = 0; i < simulated.limit_count; i++) {
        const struct kernel_limit *l = &simulated.limits[i];
        if ((strcmp(l->name, "*") == 0 || strcmp(l->name, name) == 0) && l->work_group < limit)
            limit = l->work_group;
    }
    return limit;
}

static cl_int CL_API_CALL get_kernel_info(cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t size, void *out, size_t *used)
{
    const struct answer *multiple = simulated_answer(&simulated, false, CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE);
    if (what == CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE && multiple)
        return layer_give(multiple->data, multiple->bytes, size, out, used);
    if (what != CL_KERNEL_WORK_GROUP_SIZE)
        return simulate_below->clGetKernelWorkGroupInfo(k, d, what, size, out, used);
    size_t most = 0, limit = simulate_kernel_limit(k);
    cl_int cle = simulate_below->clGetKernelWorkGroupInfo(k, d, what, sizeof most, &most, NULL);
    most = most < simulated.work_group ? most : simulated.work_group;
    most = most < limit ? most : limit;
    return cle ? cle : layer_give(&most, sizeof most, size, out, used);
}

void simulate_programs(cl_icd_dispatch *table)
{
    table->clBuildProgram = build_program;
    table->clCreateProgramWithSource = create_program;
    table->clGetKernelWorkGroupInfo = get_kernel_info;
}
