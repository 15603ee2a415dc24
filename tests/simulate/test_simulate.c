/* test_simulate.c - the layer that simulates devices keeps to its description (strict.json), and clio to what such a device allows. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "../support/opencl_layer.h"
#undef CL_TARGET_OPENCL_VERSION /* clio's own headers define it anew */
#include "../support/test.h"
#include "../../host/ops/conv2d.h"
#include "../../host/ops/families.h"
#include "../../host/ops/gemm.h"

#define MIB ((size_t)1 << 20)

static const char source[] = "__kernel void many(__global int *x, __local int *y) { x[get_global_id(0)] = y == 0; }\n"
                             "__kernel void few(__global int *x) { x[get_global_id(0)] = 1; }\n";

static cl_program program(const char *text, const char *options, cl_int want)
{
    cl_int cle = CL_SUCCESS;
    cl_program p = clCreateProgramWithSource(test_context()->cl, 1, &text, NULL, &cle);
    assert_int_equal(cle, CL_SUCCESS);
    assert_int_equal(clBuildProgram(p, 1, &test_context()->device.id, options, NULL, NULL), want);
    return p;
}

static cl_mem buffer(size_t bytes, cl_int want)
{
    cl_int cle = CL_SUCCESS;
    cl_mem m = clCreateBuffer(test_context()->cl, CL_MEM_READ_WRITE, bytes, NULL, &cle);
    assert_int_equal(cle, want);
    return m;
}

static void test_answers(void **state)
{
    const struct device *d = &test_context()->device;
    char text[8] = "";
    size_t size = 0;
    cl_uint number = 0;
    (void)state;
    assert_string_equal(d->name, "Strict");
    assert_string_equal(d->platform_name, "Simulated"); /* of the description that this one is based on */
    assert_true(d->is_gpu && d->max_work_group == 64 && d->max_item_sizes[1] == 64 && d->local_memory == 16384);
    assert_int_equal(clGetDeviceInfo(d->id, CL_DEVICE_NAME, 0, NULL, &size), CL_SUCCESS);
    assert_int_equal(size, sizeof "Strict");
    assert_int_equal(clGetDeviceInfo(d->id, CL_DEVICE_NAME, 3, text, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceInfo(d->id, CL_DEVICE_MAX_NUM_SUB_GROUPS, sizeof number, &number, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceInfo(d->id, 0x4000, sizeof number, &number, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceIDs(d->platform, CL_DEVICE_TYPE_CPU, 0, NULL, &number), CL_DEVICE_NOT_FOUND);
    assert_int_equal(clGetDeviceIDs(d->platform, CL_DEVICE_TYPE_GPU, 0, NULL, &number), CL_SUCCESS);
}

static void test_buffers(void **state)
{
    cl_mem all[3];
    cl_int cle = CL_SUCCESS;
    cl_buffer_region region = {256, 256};
    (void)state;
    buffer(MIB + 1, CL_INVALID_BUFFER_SIZE);
    for (int i = 0; i < 3; i++)
        all[i] = buffer(MIB, CL_SUCCESS);
    buffer(1, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    assert_null(clCreateSubBuffer(all[0], CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &cle));
    assert_int_equal(cle, CL_MISALIGNED_SUB_BUFFER_OFFSET);
    for (int i = 0; i < 3; i++)
        clReleaseMemObject(all[i]);
    clReleaseMemObject(buffer(MIB, CL_SUCCESS));
    cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
    cl_image_desc shape = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4};
    assert_null(clCreateImage(test_context()->cl, CL_MEM_READ_WRITE, &format, &shape, NULL, &cle));
    assert_int_equal(cle, CL_INVALID_OPERATION);
}

static void test_queues_and_calls(void **state)
{
    clio_context *ctx = test_context();
    cl_int cle = CL_SUCCESS;
    (void)state;
    assert_null(clCreateCommandQueue(ctx->cl, ctx->device.id, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &cle));
    assert_int_equal(cle, CL_INVALID_QUEUE_PROPERTIES);
    assert_null(clCreateCommandQueueWithProperties(ctx->cl, ctx->device.id, NULL, &cle));
    assert_int_equal(cle, CL_INVALID_OPERATION);
    assert_null(clSVMAlloc(ctx->cl, CL_MEM_READ_WRITE, 16, 0));
}

static void test_compiler(void **state)
{
    (void)state;
    clReleaseProgram(program(source, "-cl-std=CL1.2", CL_SUCCESS));
    clReleaseProgram(program(source, "-cl-std=CL2.0", CL_INVALID_BUILD_OPTIONS));
    clReleaseProgram(program("/* rejected */ __kernel void f(__global int *x) { *x = 1; }", "-DTHIS", CL_BUILD_PROGRAM_FAILURE));
    clReleaseProgram(program("/* rejected */ __kernel void f(__global int *x) { *x = 2; }", "-DTHAT", CL_SUCCESS));
    clReleaseProgram(program("#ifdef cl_khr_fp64\n#error\n#endif\n__kernel void f(__global int *x) { *x = 3; }", "", CL_SUCCESS));
}

/* A launch of `items` work-items in a group, and `more` in the second dimension. */
static cl_int launches(cl_kernel k, size_t global, size_t items, size_t more)
{
    const size_t grid[2] = {global, more}, local[2] = {items, more};
    cl_int cle = clEnqueueNDRangeKernel(test_context()->queue, k, 2, NULL, grid, local, 0, NULL, NULL);
    assert_int_equal(clFinish(test_context()->queue), CL_SUCCESS);
    return cle;
}

static void test_launches(void **state)
{
    clio_context *ctx = test_context();
    cl_program p = program(source, "", CL_SUCCESS);
    cl_kernel many = clCreateKernel(p, "many", NULL), few = clCreateKernel(p, "few", NULL);
    cl_mem m = buffer(4096, CL_SUCCESS);
    size_t most = 0;
    (void)state;
    clSetKernelArg(many, 0, sizeof m, &m);
    clSetKernelArg(few, 0, sizeof m, &m);
    clSetKernelArg(many, 1, 1024, NULL);
    assert_int_equal(launches(many, 256, 64, 1), CL_SUCCESS);
    assert_int_equal(launches(many, 512, 256, 1), CL_INVALID_WORK_ITEM_SIZE);
    assert_int_equal(launches(many, 128, 32, 4), CL_INVALID_WORK_GROUP_SIZE);
    assert_int_equal(launches(many, 100, 64, 1), CL_INVALID_WORK_GROUP_SIZE); /* not uniform */
    assert_int_equal(launches(few, 64, 64, 1), CL_INVALID_WORK_GROUP_SIZE);
    assert_int_equal(launches(few, 64, 32, 1), CL_SUCCESS);
    clSetKernelArg(many, 1, 16384 + 4, NULL);
    assert_int_equal(launches(many, 128, 64, 1), CL_OUT_OF_RESOURCES);
    clGetKernelWorkGroupInfo(few, ctx->device.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    assert_int_equal(most, 32);
    clGetKernelWorkGroupInfo(many, ctx->device.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    assert_int_equal(most, 64);
    clGetKernelWorkGroupInfo(few, ctx->device.id, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof most, &most, NULL);
    assert_int_equal(most, 16);
    clReleaseKernel(many);
    clReleaseKernel(few);
    clReleaseProgram(p);
    clReleaseMemObject(m);
}

static void test_timer(void **state)
{
    cl_int cle = CL_SUCCESS;
    cl_event event = NULL;
    cl_ulong end = 1;
    int number = 7;
    cl_mem m = buffer(64, CL_SUCCESS);
    cl_command_queue q = clCreateCommandQueue(test_context()->cl, test_context()->device.id, CL_QUEUE_PROFILING_ENABLE, &cle);
    (void)state;
    assert_int_equal(cle, CL_SUCCESS);
    assert_int_equal(clEnqueueWriteBuffer(q, m, CL_TRUE, 0, sizeof number, &number, 0, NULL, &event), CL_SUCCESS);
    assert_int_equal(clWaitForEvents(1, &event), CL_SUCCESS);
    assert_int_equal(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL), CL_SUCCESS);
    assert_int_equal(end % 1000000, 0);
    clReleaseEvent(event);
    clReleaseCommandQueue(q);
    clReleaseMemObject(m);
}

/* ---- clio on such a device ---- */

static void test_squares(void **state)
{
    struct kernel *k;
    size_t side;
    (void)state;
    assert_ok(kernel_get_square(test_context(), "pack", "swap", "-DSWAP -DPANELS=0 -DW_F16=0", &k, &side));
    assert_int_equal(side, 8); /* 16 x 16 are more than 64 */
    assert_int_equal(k->max_work_group, 64);
    for (size_t p = 0, i = 0; (k = kernel_next(test_context(), &p, &i));)
        assert_null(strstr(k->label, "SIDE=16")); /* some compilers refuse what the device cannot run */
    assert_ok(kernel_get_square(test_context(), "matmul", "matmul", "", &k, &side));
    assert_int_equal(side, 4);
    assert_int_equal(k->max_work_group, 16);
    assert_int_equal(square_group(test_context()), 8);
}

static void test_tiles(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    test_param("gemm.tile.gx", "8");
    test_param("gemm.tile.gy", "8");
    assert_true(gemm_tile_fits(ctx));
    test_param("gemm.tile.gx", "16");
    assert_false(gemm_tile_fits(ctx)); /* 128 work-items */
    test_param("gemm.tile.gx", "8");
    test_param("gemm.tile.step", "32");
    test_param("gemm.tile.buffers", "2");
    assert_false(gemm_tile_fits(ctx)); /* 18 KiB of local memory */
}

/* attention_tile has groups of 128: many queries go to attention_split. */
static void test_attention(void **state)
{
    clio_context *ctx = test_context();
    struct attention_cache cache;
    struct arena arena = {0};
    struct attention_args a = {.queries = 12, .keys = 32, .ldq = 32, .ldo = 32};
    float *zeros = test_new(32 * 32);
    (void)state;
    test_param("attention.family", "group");
    assert_ok(attention_cache_new(ctx, NULL, &cache, 1, 1, 32, 32, MATRIX_MANY, "a test"));
    struct tensor q = test_tensor(DTYPE_F32, 2, 12, 32, 0, 0, zeros), out = test_tensor(DTYPE_F32, 2, 12, 32, 0, 0, NULL);
    struct tensor k = test_tensor(DTYPE_F32, 2, 32, 32, 0, 0, zeros);
    assert_ok(op_attention_store(ctx, &cache, &k, &k, (struct attention_store_args){.rows = 32, .ldk = 32, .ldv = 32}));
    ctx->planning = true;
    clio_status planned = op_attention_fwd(ctx, &arena, &out, &q, &cache, a);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_attention_fwd(ctx, &arena, &out, &q, &cache, a));
    float *y = test_read(&out);
    assert_close(y, zeros, 12 * 32, 0);
    free(y);
    free(zeros);
    test_free(&q);
    test_free(&out);
    test_free(&k);
    attention_cache_free(ctx, &cache);
    arena_free(ctx, &arena);
}

/* A family whose work-groups the device cannot have is passed over without a self-test. */
static void test_families(void **state)
{
    clio_context *ctx = test_context();
    struct matrix w = {.n = 48, .k = 64, .layout = MATRIX_ROWS, .data = tensor_shape(DTYPE_F32, 2, 48, 64, 0, 0)};
    bool works = false;
    (void)state;
    ctx->device.max_work_group = 32;
    ctx->selftests.bypassed = false;
    assert_ok(gemm_reads(ctx, &w, 1, &works)); /* rows: groups of 64; tile: of 8 x 8 */
    ctx->device.max_work_group = 64;
    ctx->selftests.bypassed = true;
    assert_false(works);
    assert_int_equal(ctx->selftests.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),  cmocka_unit_test(test_buffers),  cmocka_unit_test(test_queues_and_calls),
        cmocka_unit_test(test_compiler), cmocka_unit_test(test_launches), cmocka_unit_test(test_timer),
        cmocka_unit_test(test_squares),  cmocka_unit_test(test_tiles),    cmocka_unit_test(test_attention),
        cmocka_unit_test(test_families),
    };
    setenv("SIMULATE", CLIO_SOURCE_DIR "/tests/simulate/strict.json", 1);
    setenv("OPENCL_LAYERS", CLIO_BUILD_DIR "/tests/libsimulate.so", 1);
    setenv("CLIO_DEVICE", "", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
