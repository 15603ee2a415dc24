/* machine.c - see machine.h. Formats: Documentation/ABI/testing/sysfs-bus-pci of Linux, os-release(5). */
#include "machine.h"
#include "file_tree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUS "/sys/bus/pci/devices"
#define CLASS_DISPLAY 0x03
#define CLASS_ACCELERATOR 0x12 /* some GPUs of data centres; also processors for neural networks, which have no render node */

const struct machine machine_here = {"", access};

/* The path of folder/name, or of the folder (name ""), on that machine; bounded, since it ends up in a buffer. */
static const char *path_on(const struct machine *m, const char *folder, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.3000s%.700s%s%.300s", m->root, folder, *name ? "/" : "", name);
    return path;
}

/* The beginning of a small file, whose size files in /sys do not give; "" if it cannot be read. */
static void read_text(const struct machine *m, const char *folder, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];
    ssize_t got = -1;
    int file = open(path_on(m, folder, name, path), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        do
            got = read(file, text, size - 1);
        while (got < 0 && errno == EINTR);
        close(file);
    }
    text[got > 0 ? got : 0] = 0;
}

static unsigned read_number(const struct machine *m, const char *folder, const char *name)
{
    char text[32];
    read_text(m, folder, name, text, sizeof text);
    return (unsigned)strtoul(text, NULL, 16);
}

/* The names in a folder; none if it cannot be read. */
static void read_names(const struct machine *m, const char *folder, const char *name, struct file_names *names)
{
    char path[PATH_MAX];
    bool absent;
    (void)file_names_read(NULL, names, path_on(m, folder, name, path), &absent); /* of a failure nothing is left in names */
}

/* The name of the kernel's driver: the last part of a link. */
static void read_driver(const struct machine *m, const char *folder, char driver[32])
{
    char path[PATH_MAX], target[PATH_MAX];
    ssize_t length = readlink(path_on(m, folder, "driver", path), target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    const char *slash = strrchr(target, '/');
    snprintf(driver, 32, "%.31s", slash ? slash + 1 : target);
}

static void find_node(const struct machine *m, const char *folder, char node[48])
{
    struct file_names names;
    read_names(m, folder, "drm", &names);
    *node = 0;
    for (size_t i = 0; i < names.count && !*node; i++)
        if (strncmp(names.list[i], "renderD", 7) == 0)
            snprintf(node, 48, "/dev/dri/%.32s", names.list[i]);
    file_names_free(&names);
}

size_t machine_gpus(const struct machine *m, struct machine_gpu *list, size_t most)
{
    struct file_names names;
    size_t count = 0;
    read_names(m, BUS, "", &names);
    for (size_t i = 0; i < names.count && count < most; i++) {
        struct machine_gpu *gpu = &list[count];
        char folder[256];
        snprintf(folder, sizeof folder, BUS "/%.200s", names.list[i]);
        unsigned class = read_number(m, folder, "class") >> 16;
        find_node(m, folder, gpu->node);
        if (class != CLASS_DISPLAY && !(class == CLASS_ACCELERATOR && *gpu->node))
            continue;
        snprintf(gpu->address, sizeof gpu->address, "%.31s", names.list[i]);
        gpu->vendor = read_number(m, folder, "vendor");
        gpu->model = read_number(m, folder, "device");
        read_driver(m, folder, gpu->driver);
        count++;
    }
    file_names_free(&names);
    return count;
}

/* Append the words of a field of os-release ("ID_LIKE=\"ubuntu debian\"") to a list of words. */
static void add_field(const char *text, const char *name, char words[256])
{
    size_t length = strlen(name), used = strlen(words);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, length) == 0)
            for (const char *at = line + length; *at && *at != '\n' && used < 250; at++)
                if (!strchr("\"'", *at))
                    words[used++] = (char)tolower((unsigned char)*at);
    snprintf(words + used, 256 - used, " ");
}

void machine_distribution(const struct machine *m, char words[256])
{
    char text[4096] = {0};
    read_text(m, "/etc", "os-release", text, sizeof text);
    snprintf(words, 256, " ");
    add_field(text, "ID=", words);
    add_field(text, "ID_LIKE=", words);
}

enum machine_file machine_find(const struct machine *m, const char *path)
{
    char full[PATH_MAX];
    path_on(m, path, "", full);
    if (!file_exists(full))
        return MACHINE_FILE_ABSENT;
    return m->may_open(full, R_OK | W_OK) == 0 ? MACHINE_FILE_OPEN : MACHINE_FILE_FORBIDDEN;
}
