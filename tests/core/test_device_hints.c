/* test_device_hints.c - what clio says of GPUs that OpenCL does not list and of slow drivers, in faked trees of /sys, /dev and /etc; and
 * why a device was chosen. Needs no device. */
#include "../support/test_own.h"

#include <errno.h>

#include "../../host/core/device_hints.h"
#include "../../host/core/file_tree.h"

static struct device_hints hints;
static const char *forbidden; /* a part of the paths that may not be opened; NULL: all may */

static int may_open(const char *path, int mode)
{
    (void)mode;
    errno = EACCES;
    return forbidden && strstr(path, forbidden) ? -1 : 0;
}

static const struct machine faked = {folder, may_open};

/* A file with this text, and the folders that it is in. */
static void fake(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", folder, path);
    *strrchr(whole, '/') = 0;
    OK(file_make_folder(ctx, whole));
    put_text(path + 1, text);
}

/* A GPU on the PCI bus. driver, node: "" none. */
static void fake_gpu(const char *address, const char *class, const char *vendor, const char *model, const char *driver, const char *node)
{
    char path[512], target[128];
    const struct {
        const char *name, *text;
    } files[] = {{"class", class}, {"vendor", vendor}, {"device", model}};
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", address, files[i].name);
        fake(path, files[i].text);
    }
    if (*driver) {
        snprintf(path, sizeof path, "%s/sys/bus/pci/devices/%s/driver", folder, address);
        snprintf(target, sizeof target, "../../../bus/pci/drivers/%s", driver);
        assert_int_equal(symlink(target, path), 0);
    }
    if (*node) {
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/drm/%s/dev", address, node);
        fake(path, "226:128\n");
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/drm/card0/dev", address);
        fake(path, "226:0\n");
        snprintf(path, sizeof path, "/dev/dri/%s", node);
        fake(path, "");
    }
}

static void fake_amd(void)
{
    fake_gpu("0000:03:00.0", "0x030000\n", "0x1002\n", "0x73ff\n", "amdgpu", "renderD128");
}

static const struct device pocl = {.platform_name = "Portable Computing Language", .name = "a CPU", .is_cpu = true, .vendor_id = 0x1002};

/* The one hint of these devices, of which the first is used if it can be. */
static void expect(const char *id, const char *text, const struct device *list, size_t count)
{
    device_hints_find(&hints, &faked, list, count, count && !list[0].problem[0] ? 0 : SIZE_MAX);
    if (!id && !hints.count)
        return;
    if (!id || hints.count != 1 || strcmp(hints.rows[0].id, id) != 0 || strcmp(hints.rows[0].text, text) != 0)
        fail_msg("expected %s: \"%s\", got %zu hints, the first %s: \"%s\"", id ? id : "none", text, hints.count,
                 hints.count ? hints.rows[0].id : "", hints.count ? hints.rows[0].text : "");
}

/* ---- drivers that are missing ---- */

static void test_packages(void **state)
{
    static const struct {
        const char *release, *vendor, *command;
    } cases[] = {
        {"ID=debian\n", "0x1002", "sudo apt install mesa-opencl-icd, and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
        {"ID=debian\n", "0x8086", "sudo apt install intel-opencl-icd"},
        {"ID=debian\n", "0x10de", "sudo apt install nvidia-opencl-icd (section non-free)"},
        {"NAME=\"Ubuntu\"\nID_LIKE=debian\nID=ubuntu\n", "0x10de", "sudo ubuntu-drivers install"},
        {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "0x10de", "sudo ubuntu-drivers install"},
        {"ID=ubuntu\n", "0x8086", "sudo apt install intel-opencl-icd"},
        {"ID=ubuntu\n", "0x1002", "sudo apt install mesa-opencl-icd, and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
        {"VERSION_ID=39\nID=fedora\n", "0x1002", "sudo dnf install mesa-libOpenCL, and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
        {"ID=\"nobara\"\nID_LIKE=\"fedora\"", "0x8086", "sudo dnf install intel-compute-runtime"},
        {"ID=fedora", "0x10de", "sudo dnf install xorg-x11-drv-nvidia-cuda (from RPM Fusion)"},
        {"ID=arch", "0x1002", "sudo pacman -S opencl-mesa, and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
        {"ID=manjaro\nID_LIKE=Arch", "0x8086", "sudo pacman -S intel-compute-runtime"},
        {"ID=arch", "0x10de", "sudo pacman -S opencl-nvidia"},
        {"ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "0x1002",
         "sudo zypper install Mesa-libRusticlOpenCL, and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
        {"ID_LIKE='opensuse suse'\n", "0x8086", "sudo zypper install intel-opencl"},
        {"ID_LIKE='opensuse suse'\n", "0x10de", "sudo zypper install nvidia-compute-G06"},
        {"ID=guix\n", "0x8086", "Intel's compute runtime (intel-opencl-icd, intel-compute-runtime)"},
        {"", "0x10de", "NVIDIA's driver with its OpenCL library"},
        {"ID=searchery\n", "0x1002", "Mesa's OpenCL driver (rusticl), and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
    };
    char want[640];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *vendor = cases[i].vendor, *name = vendor[2] == '8' ? "Intel" : strchr(vendor, 'd') ? "NVIDIA" : "AMD";
        OK(file_delete_folder(ctx, in_folder("sys")));
        fake("/etc/os-release", cases[i].release);
        fake_gpu("0000:00:02.0", "0x030200", vendor, "0x56a0", "some_driver", "renderD128");
        snprintf(
            want, sizeof want,
            "%s GPU 0000:00:02.0 (%s:56a0) has no OpenCL driver, or one that does not know this GPU. Install or update it: %s. `clinfo` "
            "shows what is installed.",
            name, vendor + 2, cases[i].command);
        expect("driver-missing", want, &pocl, 1);
    }
}

/* What does not fit is left out. */
static void test_long_names(void **state)
{
    char text[1200], words[256];
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "ID=", 3);
    memcpy(text + 500, "\nID_LIKE=", 9);
    text[sizeof text - 1] = 0;
    fake("/etc/os-release", text);
    machine_distribution(&faked, words);
    assert_true(strlen(words) < 256 && words[0] == ' ' && words[249] == 'x' && words[250] == ' ');
    fake("/etc/os-release", "ID=debian");
    machine_distribution(&faked, words);
    assert_string_equal(words, " debian  ");
}

static void test_cpu_packages(void **state)
{
    static const char *const cases[][2] = {
        {"ID=debian", "sudo apt install pocl-opencl-icd"},
        {"ID=ubuntu", "sudo apt install pocl-opencl-icd"},
        {"ID=fedora", "sudo dnf install pocl"},
        {"ID=arch", "sudo pacman -S pocl"},
        {"ID_LIKE=suse", "sudo zypper install pocl"},
        {"ID=void", "PoCL (pocl-opencl-icd, pocl)"},
    };
    const struct device empty = {.platform_name = "rusticl", .problem = "the platform has no device"};
    char want[640];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fake("/etc/os-release", cases[i][0]);
        snprintf(want, sizeof want, "No OpenCL device can be used. To use the CPU, install PoCL: %s.", cases[i][1]);
        expect("no-device", want, NULL, 0);
        expect("no-device", want, &empty, 1);
    }
    setenv("OCL_ICD_FILENAMES", "a.so", 1);
    expect("driver-variable", "OCL_ICD_FILENAMES=a.so restricts which OpenCL drivers are loaded, and none of them has a device: unset it.",
           &empty, 1);
}

/* ---- GPUs that are there ---- */

static void test_nothing_to_say(void **state)
{
    struct device list[] = {{.name = "Radeon", .is_gpu = true, .vendor_id = 0x1002}, pocl};
    (void)state;
    expect(NULL, "", &pocl, 1); /* no /sys */
    fake_amd();
    expect(NULL, "", list, 2);
    snprintf(list[0].problem, sizeof list[0].problem, "its driver has no compiler for OpenCL C"); /* the list says so */
    device_hints_find(&hints, &faked, list, 2, 1);
    assert_int_equal(hints.count, 0);
    OK(file_delete_folder(ctx, in_folder("sys")));
    fake_gpu("0000:00:1f.3", "0x040300", "0x8086", "0xa170", "snd", "");          /* sound */
    fake_gpu("0000:00:0b.0", "0x120000", "0x8086", "0x7d1d", "intel_vpu", "");    /* not a GPU: it has no render node */
    fake_gpu("0000:00:01.0", "0x030000", "0x1234", "0x1111", "bochs", "");        /* a virtual display */
    fake_gpu("0000:02:00.0", "0x030000", "0x102b", "0x0536", "mgag200", "card0"); /* a server's display */
    expect(NULL, "", &pocl, 1);
}

static void test_kernel(void **state)
{
    (void)state;
    fake_gpu("0000:03:00.0", "0x030000", "0x1002", "0x744c", "", "");
    expect("kernel-driver",
           "AMD GPU 0000:03:00.0 (1002:744c) has no kernel driver: load amdgpu, or install a kernel or driver package that knows this GPU.",
           &pocl, 1);
    OK(file_delete_folder(ctx, in_folder("sys")));
    fake_gpu("0000:03:00.0", "0x030000", "0x8086", "0xe20b", "", "");
    device_hints_find(&hints, &faked, &pocl, 1, 0);
    assert_non_null(strstr(hints.rows[0].text, "load i915 or xe"));
    OK(file_delete_folder(ctx, in_folder("sys")));
    fake_gpu("0000:03:00.0", "0x030000", "0x10de", "0x2684", "vfio-pci", "");
    expect("gpu-reserved",
           "NVIDIA GPU 0000:03:00.0 (10de:2684) is reserved for virtual machines (kernel driver vfio-pci): it can be used in the one it "
           "belongs to.",
           &pocl, 1);
}

static void test_permission(void **state)
{
    (void)state;
    fake_amd();
    fake("/dev/kfd", "");
    forbidden = "renderD128";
    expect("permission",
           "AMD GPU 0000:03:00.0 (1002:73ff) cannot be opened: no permission for /dev/dri/renderD128. Run `sudo usermod -aG render,video "
           "$USER` and log in again.",
           &pocl, 1);
    forbidden = "kfd";
    expect("permission",
           "AMD GPU 0000:03:00.0 (1002:73ff) cannot be opened: no permission for /dev/kfd. Run `sudo usermod -aG render,video $USER` and "
           "log in again.",
           &pocl, 1);
    OK(file_delete(ctx, in_folder("dev/dri/renderD128")));
    expect("device-file",
           "AMD GPU 0000:03:00.0 (1002:73ff) cannot be opened: /dev/dri/renderD128 does not exist. In a container, give it the devices of "
           "/dev/dri and /dev/kfd.",
           &pocl, 1);
    OK(file_delete_folder(ctx, in_folder("sys")));
    fake_gpu("0000:00:02.0", "0x030000", "0x8086", "0x9a49", "i915", "renderD129");
    OK(file_delete(ctx, in_folder("dev/dri/renderD129")));
    expect(
        "device-file",
        "Intel GPU 0000:00:02.0 (8086:9a49) cannot be opened: /dev/dri/renderD129 does not exist. In a container, give it the devices of "
        "/dev/dri.",
        &pocl, 1);
}

static void test_rusticl(void **state)
{
    const struct device list[] = {pocl, {.platform_name = "rusticl", .problem = "the platform has no device"}};
    static const char text[] =
        "AMD GPU 0000:03:00.0 (1002:73ff) has no OpenCL device, and Mesa's rusticl shows it only on request: set RUSTICL_ENABLE=radeonsi.";
    (void)state;
    fake_amd();
    expect("rusticl-disabled", text, list, 2);
    setenv("RUSTICL_ENABLE", "llvmpipe", 1);
    expect("rusticl-disabled", text, list, 2);
    setenv("RUSTICL_ENABLE", "llvmpipe,radeonsi", 1);
    device_hints_find(&hints, &faked, list, 2, 0);
    assert_string_equal(hints.rows[0].id, "driver-missing");
    setenv("RUSTICL_ENABLE", "", 1);
    fake("/etc/OpenCL/vendors/rusticl.icd", "libRusticlOpenCL.so.1\n");
    expect("rusticl-disabled", text, &pocl, 1);
    setenv("OCL_ICD_VENDORS", "/elsewhere", 1);
    expect(
        "driver-variable",
        "AMD GPU 0000:03:00.0 (1002:73ff) has no OpenCL device, and OCL_ICD_VENDORS=/elsewhere restricts which drivers are loaded: unset "
        "it.",
        &pocl, 1);
    unsetenv("OCL_ICD_VENDORS");
    OK(file_delete_folder(ctx, in_folder("sys")));
    fake_gpu("0000:01:00.0", "0x030000", "0x10de", "0x2684", "nvidia", "renderD128"); /* for which rusticl is no alternative */
    device_hints_find(&hints, &faked, &pocl, 1, 0);
    assert_string_equal(hints.rows[0].id, "driver-missing");
}

/* One hint for each vendor; GPUs of data centres need not be displays. */
static void test_several(void **state)
{
    (void)state;
    fake_gpu("0000:05:00.0", "0x120000", "0x1002", "0x74a1", "amdgpu", "renderD129");
    fake_amd();
    fake_gpu("0000:00:02.0", "0x038000", "0x8086", "0x4680", "i915", "renderD130");
    device_hints_find(&hints, &faked, &pocl, 1, 0);
    assert_int_equal(hints.count, 2);
    assert_non_null(strstr(hints.rows[0].text, "Intel GPU 0000:00:02.0"));
    assert_non_null(strstr(hints.rows[1].text, "AMD GPU 0000:03:00.0"));
    OK(file_delete_folder(ctx, in_folder("sys/bus/pci/devices/0000:03:00.0")));
    device_hints_find(&hints, &faked, &pocl, 1, 0);
    assert_int_equal(hints.count, 2);
    assert_non_null(strstr(hints.rows[1].text, "AMD GPU 0000:05:00.0 (1002:74a1)"));
}

/* ---- slow devices ---- */

static void test_slow(void **state)
{
    struct device list[] = {{.platform_name = "Clover", .name = "Radeon", .is_gpu = true, .is_clover = true, .vendor_id = 0x1002},
                            {.platform_name = "Acme", .name = "Rocket", .is_gpu = true},
                            pocl};
    const struct device clover = list[0];
    const struct device tests[] = {{.platform_name = "rusticl", .name = "llvmpipe (LLVM 15)", .is_cpu = true}};
    (void)state;
    fake("/etc/os-release", "ID=debian\n");
    expect("clover",
           "Radeon is driven by Clover, which is slow, misses features and is no longer developed. Use Mesa's rusticl: sudo apt install "
           "mesa-opencl-icd, and set RUSTICL_ENABLE=radeonsi.",
           &clover, 1);
    fake("/etc/OpenCL/vendors/rusticl.icd", "");
    list[0].vendor_id = 0x8086;
    expect("clover",
           "Radeon is driven by Clover, which is slow, misses features and is no longer developed. Use Mesa's rusticl: set "
           "RUSTICL_ENABLE=iris.",
           list, 1);
    expect("software",
           "llvmpipe (LLVM 15) is made for tests and slow. Install PoCL, which is faster on a CPU: sudo apt install pocl-opencl-icd.",
           tests, 1);
    device_hints_find(&hints, &faked, list, 3, 2);
    assert_int_equal(hints.count, 1);
    assert_string_equal(hints.rows[0].id, "gpu-unused");
    assert_string_equal(hints.rows[0].text,
                        "a CPU is used although there is a GPU, which is faster: select device 1 (Rocket), or unset CLIO_DEVICE.");
    device_hints_find(&hints, &faked, list, 3, 1);
    assert_int_equal(hints.count, 0);
    snprintf(list[1].problem, sizeof list[1].problem, "x");
    device_hints_find(&hints, &faked, list, 3, 2);
    assert_int_equal(hints.count, 0);
}

/* ---- why a device was chosen ---- */

static void test_reasons(void **state)
{
    static const struct device list[] = {
        {.platform_name = "A", .name = "large", .is_gpu = true, .global_memory = 16},
        {.platform_name = "A", .name = "small", .is_gpu = true, .global_memory = 8},
        {.platform_name = "B", .name = "board", .is_accelerator = true},
        {.platform_name = "C", .name = "CPU", .is_cpu = true},
        {.platform_name = "D", .name = "CPU", .is_cpu = true},
        {.platform_name = "rusticl", .name = "llvmpipe", .is_cpu = true},
        {.platform_name = "Clover", .name = "old", .is_gpu = true, .is_clover = true},
        {.platform_name = "E", .problem = "x"},
    };
    static const struct device twins[] = {{.is_gpu = true, .global_memory = 8}, {.is_gpu = true, .global_memory = 8}};
    static const struct {
        const struct device *list;
        size_t count;
        const char *selector, *variable, *reason;
    } cases[] = {
        {list, 8, "", "CLIO_DEVICE", "of 2 GPUs the one with the most memory"},
        {list + 1, 7, "", NULL, "the only GPU, and GPUs come first"},
        {list + 2, 6, "", NULL, "no GPU can be used; the only accelerator"},
        {list + 3, 3, "", NULL, "no GPU or accelerator can be used; the first of 2 cpu devices by platform"},
        {list + 4, 2, "", NULL, "no GPU or accelerator can be used; the only cpu"},
        {list + 6, 2, "", NULL, "the only device that can be used"},
        {twins, 2, "", NULL, "the first of 2 gpu devices by platform"},
        {list, 8, "large", "CLIO_DEVICE", "CLIO_DEVICE \"large\" selects it"},
        {list, 8, "0", NULL, "selector \"0\" selects it"},
    };
    char text[320];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        device_reason(cases[i].list, cases[i].count, 0, cases[i].selector, cases[i].variable, text);
        assert_string_equal(text, cases[i].reason);
    }
}

static int begin(void **state)
{
    forbidden = NULL;
    unsetenv("OCL_ICD_VENDORS");
    unsetenv("OCL_ICD_FILENAMES");
    unsetenv("RUSTICL_ENABLE");
    return set_up(state);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_packages),   EACH(test_cpu_packages), EACH(test_long_names), EACH(test_nothing_to_say), EACH(test_kernel),
        EACH(test_permission), EACH(test_rusticl),      EACH(test_several),    EACH(test_slow),           EACH(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
