/* target_runtime.c - fuzz targets: parameter files, and what clio keeps on disk about a device: cached programs, results of self-tests, the
 * journal of the tuner. No device is open; the context says that there is one. */
#define _DEFAULT_SOURCE /* setenv */
#include "fuzz.h"

#include "../../host/core/program_cache.h"
#include "../../host/tune/tune.h"

static void fake_device(void)
{
    struct device *d = &fuzz_ctx->device;
    snprintf(d->platform_name, sizeof d->platform_name, "platform");
    snprintf(d->name, sizeof d->name, "device");
    snprintf(d->driver, sizeof d->driver, "1.0");
    snprintf(d->platform_version, sizeof d->platform_version, "OpenCL 1.2");
    snprintf(d->version, sizeof d->version, "OpenCL 1.2");
    d->simd_width = 16;
    d->architecture = "";
}

/* The rest of a tuned file behind the lines that name the device, and a file of CLIO_PARAMS. */
void fuzz_params(const uint8_t *data, size_t size)
{
    struct bytes text = {0};
    char *path = NULL;
    fake_device();
    setenv("CLIO_TUNED_DIR", folder, 1);
    unsetenv("CLIO_PARAMS");
    fuzz_check(params_tuned_path(fuzz_ctx, &path));
    fuzz_check(params_tuned_header(fuzz_ctx, &text));
    fuzz_check(bytes_add(fuzz_ctx, &text, data, size));
    write_file(path, text.data, text.size);
    bytes_free(&text);
    free(path);
    fuzz_check(params_open(fuzz_ctx));
    (void)params_int(fuzz_ctx, "gemm.many.mr", 3);
    params_close(fuzz_ctx);
    fuzz_put("own", data, size);
    setenv("CLIO_PARAMS", in_folder("own"), 1);
    fuzz_check(params_open(fuzz_ctx));
    (void)params_int(fuzz_ctx, "gemm.many.mr", 3);
    params_close(fuzz_ctx);
    unsetenv("CLIO_PARAMS");
}

/* The whole entry, and the binary of one whose head and checksum are right: without a device, OpenCL refuses that. */
void fuzz_program_cache(const uint8_t *data, size_t size)
{
    struct cache_key key = {0};
    struct bytes entry = {0};
    uint64_t numbers[3];
    cl_program program;
    fake_device();
    setenv("CLIO_CACHE_DIR", folder, 1);
    fuzz_check(cache_key_make(fuzz_ctx, &key, "gemm", "-DN=1", "kernel"));
    write_file(key.path, data, size);
    assert_false(cache_load(fuzz_ctx, &key, "-DN=1", &program));
    numbers[0] = strlen(key.text);
    numbers[1] = size;
    numbers[2] = mem_hash(mem_hash(MEM_HASH_START, key.text, strlen(key.text)), data, size);
    fuzz_check(bytes_add(fuzz_ctx, &entry, "clio-program-1\n", 16));
    fuzz_check(bytes_add(fuzz_ctx, &entry, numbers, sizeof numbers));
    fuzz_check(bytes_add(fuzz_ctx, &entry, key.text, strlen(key.text)));
    fuzz_check(bytes_add(fuzz_ctx, &entry, data, size));
    write_file(key.path, entry.data, entry.size);
    assert_false(cache_load(fuzz_ctx, &key, "-DN=1", &program));
    bytes_free(&entry);
    cache_key_free(&key);
}

/* Lines behind the first ones of a file of results. */
void fuzz_selftests(const uint8_t *data, size_t size)
{
    static char *path, *head;
    static size_t head_size;
    struct bytes text = {0};
    if (fuzz_is_first()) {
        fake_device();
        setenv("CLIO_CACHE_DIR", folder, 1);
        selftest_results_close(fuzz_ctx);
        fuzz_check(selftest_result_add(fuzz_ctx, "clfft", "n=3", SELFTEST_PASSED, ""));
        free(path);
        free(head);
        fuzz_check(selftest_results_path(fuzz_ctx, &path));
        head = read_file(path, &head_size);
        head_size -= strlen("clfft [n=3] ok\n");
    }
    fuzz_check(bytes_add(fuzz_ctx, &text, head, head_size));
    fuzz_check(bytes_add(fuzz_ctx, &text, data, size));
    write_file(path, text.data, text.size);
    bytes_free(&text);
    fuzz_check(selftest_results_open(fuzz_ctx));
    (void)selftest_result_find(fuzz_ctx, "clfft", "n=400");
    for (size_t i = 0; i < fuzz_ctx->selftests.count; i++)
        (void)selftest_results_counts(&fuzz_ctx->selftests, i);
    selftest_results_close(fuzz_ctx);
}

void fuzz_tune_state(const uint8_t *data, size_t size)
{
    static const char head[] = "clio tune state 1\n0123\n";
    struct tune_state s;
    struct tune_result result = {.outcome = TUNE_RIGHT};
    struct bytes text = {0};
    fuzz_check(bytes_add(fuzz_ctx, &text, head, strlen(head)));
    fuzz_check(bytes_add(fuzz_ctx, &text, data, size));
    put("tuned.state", text.data, text.size);
    bytes_free(&text);
    clio_status st = tune_state_open(fuzz_ctx, &s, in_folder("tuned.state"), "0123");
    fuzz_check(st);
    if (st)
        return;
    fuzz_check(tune_state_begin(fuzz_ctx, &s, "zzz"));
    fuzz_check(tune_state_end(fuzz_ctx, &s, "zzz", &result, ""));
    assert_int_equal(tune_state_find(&s, "zzz")->result.outcome, TUNE_RIGHT);
    fuzz_check(tune_state_finish(fuzz_ctx, &s, "0123"));
    tune_state_close(&s);
}
