/* device_hints.c - see device_hints.h. With device.c the only file with vendor names: its tables have the PCI vendors with the names of
 * their kernel drivers, and the commands that install an OpenCL driver, by distribution. To add a distribution, add a row. */
#include "device_hints.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GPUS_AT_MOST 16
#define RUSTICL_FILE "/etc/OpenCL/vendors/rusticl.icd"

/* ---- tables ---- */

enum package { PACKAGE_AMD, PACKAGE_INTEL, PACKAGE_NVIDIA, PACKAGE_CPU, PACKAGES };

static const struct vendor {
    unsigned id;
    enum package package;
    const char *name, *modules; /* kernel drivers */
    const char *rusticl;        /* the driver's name in RUSTICL_ENABLE; NULL: rusticl is no alternative to the vendor's driver */
    const char *node;           /* a device file beside the render node that OpenCL needs, where it is there; NULL: none */
    const char *also;           /* what is to be done beside installing the package, or instead of it */
} vendors[] = {
    {0x1002, PACKAGE_AMD, "AMD", "amdgpu", "radeonsi", "/dev/kfd", ", and set RUSTICL_ENABLE=radeonsi; or install AMD's ROCm"},
    {0x8086, PACKAGE_INTEL, "Intel", "i915 or xe", "iris", NULL, ""},
    {0x10de, PACKAGE_NVIDIA, "NVIDIA", "nvidia", NULL, "/dev/nvidiactl", ""},
};

static const struct distribution {
    const char *word; /* of ID or ID_LIKE in /etc/os-release */
    const char *install[PACKAGES];
} distributions[] = {
    {" ubuntu ",
     {"sudo apt install mesa-opencl-icd", "sudo apt install intel-opencl-icd", "sudo ubuntu-drivers install",
      "sudo apt install pocl-opencl-icd"}},
    {" debian ",
     {"sudo apt install mesa-opencl-icd", "sudo apt install intel-opencl-icd", "sudo apt install nvidia-opencl-icd (section non-free)",
      "sudo apt install pocl-opencl-icd"}},
    {" fedora ",
     {"sudo dnf install mesa-libOpenCL", "sudo dnf install intel-compute-runtime",
      "sudo dnf install xorg-x11-drv-nvidia-cuda (from RPM Fusion)", "sudo dnf install pocl"}},
    {" arch ",
     {"sudo pacman -S opencl-mesa", "sudo pacman -S intel-compute-runtime", "sudo pacman -S opencl-nvidia", "sudo pacman -S pocl"}},
    {" suse ",
     {"sudo zypper install Mesa-libRusticlOpenCL", "sudo zypper install intel-opencl", "sudo zypper install nvidia-compute-G06",
      "sudo zypper install pocl"}},
    {"",
     {"Mesa's OpenCL driver (rusticl)", "Intel's compute runtime (intel-opencl-icd, intel-compute-runtime)",
      "NVIDIA's driver with its OpenCL library", "PoCL (pocl-opencl-icd, pocl)"}},
};

static const char *install_command(const struct machine *m, enum package package)
{
    char words[256];
    size_t i = 0;
    machine_distribution(m, words);
    while (*distributions[i].word && !strstr(words, distributions[i].word))
        i++;
    return distributions[i].install[package];
}

/* ---- hints ---- */

static void add(struct device_hints *hints, const char *id, const char *format, ...) CLIO_PRINTF(3, 4);

static void add(struct device_hints *hints, const char *id, const char *format, ...)
{
    va_list list;
    if (hints->count == DEVICE_HINTS_AT_MOST)
        return;
    char *text = hints->texts[hints->count];
    va_start(list, format);
    vsnprintf(text, sizeof hints->texts[0], format, list);
    va_end(list);
    hints->rows[hints->count++] = (clio_device_hint){id, text};
}

static const struct vendor *vendor_of(unsigned id)
{
    for (size_t i = 0; i < COUNT(vendors); i++)
        if (vendors[i].id == id)
            return &vendors[i];
    return NULL;
}

static bool is_rusticl(const struct device *d)
{
    return device_text_has(d->platform_name, "rusticl", 7);
}

/* Whether OpenCL shows a GPU of the vendor; if that cannot be used, the list of devices says why. */
static bool is_listed(const struct device *list, size_t count, const struct vendor *v)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].is_gpu && list[i].vendor_id == v->id)
            return true;
    return false;
}

static bool has_rusticl(const struct machine *m, const struct device *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_rusticl(&list[i]))
            return true;
    return machine_find(m, RUSTICL_FILE) != MACHINE_FILE_ABSENT;
}

/* The value of a variable that is set and not empty, or NULL. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The variable that names the only drivers which the OpenCL loader loads; NULL: it loads those that are installed. */
static const char *restriction(void)
{
    return variable("OCL_ICD_VENDORS") ? "OCL_ICD_VENDORS" : variable("OCL_ICD_FILENAMES") ? "OCL_ICD_FILENAMES" : NULL;
}

/* What the kernel has to offer: false after a hint. */
static bool kernel_offers(struct device_hints *hints, const struct machine *m, const struct machine_gpu *gpu, const struct vendor *v,
                          const char *name)
{
    const char *nodes[2] = {*gpu->node ? gpu->node : NULL, v->node};
    if (strcmp(gpu->driver, "vfio-pci") == 0) {
        add(hints, "gpu-reserved", "%s is reserved for virtual machines (kernel driver vfio-pci): it can be used in the one it belongs to.",
            name);
        return false;
    }
    if (!*gpu->driver) {
        add(hints, "kernel-driver", "%s has no kernel driver: load %s, or install a kernel or driver package that knows this GPU.", name,
            v->modules);
        return false;
    }
    if (nodes[0] && machine_find(m, nodes[0]) == MACHINE_FILE_ABSENT) {
        add(hints, "device-file", "%s cannot be opened: %s does not exist. In a container, give it the devices of /dev/dri%s%s.", name,
            nodes[0], v->node ? " and " : "", v->node ? v->node : "");
        return false;
    }
    for (size_t i = 0; i < COUNT(nodes); i++)
        if (nodes[i] && machine_find(m, nodes[i]) == MACHINE_FILE_FORBIDDEN) {
            add(hints, "permission",
                "%s cannot be opened: no permission for %s. Run `sudo usermod -aG render,video $USER` and log in again.", name, nodes[i]);
            return false;
        }
    return true;
}

/* A GPU that OpenCL does not show: the first reason found. */
static void add_unlisted(struct device_hints *hints, const struct machine *m, const struct device *list, size_t count,
                         const struct machine_gpu *gpu, const struct vendor *v)
{
    char name[96];
    const char *only = restriction(), *enabled = variable("RUSTICL_ENABLE");
    snprintf(name, sizeof name, "%s GPU %s (%04x:%04x)", v->name, gpu->address, gpu->vendor, gpu->model);
    if (!kernel_offers(hints, m, gpu, v, name))
        return;
    if (only)
        add(hints, "driver-variable", "%s has no OpenCL device, and %s=%.200s restricts which drivers are loaded: unset it.", name, only,
            variable(only));
    else if (v->rusticl && has_rusticl(m, list, count) && !(enabled && strstr(enabled, v->rusticl)))
        add(hints, "rusticl-disabled", "%s has no OpenCL device, and Mesa's rusticl shows it only on request: set RUSTICL_ENABLE=%s.", name,
            v->rusticl);
    else
        add(hints, "driver-missing",
            "%s has no OpenCL driver, or one that does not know this GPU. Install or update it: %s%s. `clinfo` shows what is installed.",
            name, install_command(m, v->package), v->also);
}

/* The device that is used, where it is slow. */
static void add_slow(struct device_hints *hints, const struct machine *m, const struct device *list, size_t count, size_t used)
{
    const struct device *d = &list[used];
    const struct vendor *v = vendor_of(d->vendor_id);
    bool installed = has_rusticl(m, list, count);
    if (d->is_clover)
        add(hints, "clover",
            "%s is driven by Clover, which is slow, misses features and is no longer developed. Use Mesa's rusticl: %s%sset "
            "RUSTICL_ENABLE=%s.",
            d->name, installed ? "" : install_command(m, PACKAGE_AMD), installed ? "" : ", and ",
            v && v->rusticl ? v->rusticl : "radeonsi");
    if (device_is_for_tests(d))
        add(hints, "software", "%s is made for tests and slow. Install PoCL, which is faster on a CPU: %s.", d->name,
            install_command(m, PACKAGE_CPU));
    for (size_t i = 0; i < count && !d->is_gpu; i++)
        if (list[i].is_gpu && !list[i].problem[0] && !list[i].is_clover) {
            add(hints, "gpu-unused", "%s is used although there is a GPU, which is faster: select device %zu (%s), or unset CLIO_DEVICE.",
                d->name, i, list[i].name);
            break;
        }
}

/* No device can be used. */
static void add_none(struct device_hints *hints, const struct machine *m)
{
    const char *only = restriction();
    if (only)
        add(hints, "driver-variable", "%s=%.200s restricts which OpenCL drivers are loaded, and none of them has a device: unset it.", only,
            variable(only));
    else
        add(hints, "no-device", "No OpenCL device can be used. To use the CPU, install PoCL: %s.", install_command(m, PACKAGE_CPU));
}

void device_hints_find(struct device_hints *hints, const struct machine *m, const struct device *list, size_t count, size_t used)
{
    struct machine_gpu gpus[GPUS_AT_MOST];
    size_t found = machine_gpus(m, gpus, GPUS_AT_MOST);
    const struct vendor *named[GPUS_AT_MOST];
    hints->count = 0;
    for (size_t i = 0; i < found; i++) {
        const struct vendor *v = named[i] = vendor_of(gpus[i].vendor);
        bool is_new = v && !is_listed(list, count, v);
        for (size_t k = 0; k < i; k++)
            is_new = is_new && named[k] != v;
        if (is_new)
            add_unlisted(hints, m, list, count, &gpus[i], v);
    }
    if (used < count)
        add_slow(hints, m, list, count, used);
    else if (!count || list[0].problem[0])
        add_none(hints, m);
}
