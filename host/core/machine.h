/* machine.h - what the operating system says of this machine's GPUs, which may have no OpenCL driver, and of its distribution. Linux: the
 * PCI devices in /sys and the text /etc/os-release; elsewhere nothing is found, which is no error. */
#ifndef CLIO_CORE_MACHINE_H
#define CLIO_CORE_MACHINE_H

#include "mem.h"

/* Where to look: `root` comes before every path ("": this machine), and `may_open` is access(2). Tests give others. */
struct machine {
    const char *root;
    int (*may_open)(const char *path, int mode);
};
/* The machine that this process runs on. */
extern const struct machine machine_here;

struct machine_gpu {
    char address[32];       /* on the PCI bus: "0000:03:00.0" */
    unsigned vendor, model; /* PCI identifiers */
    char driver[32];        /* of the kernel; "": none is bound */
    char node[48];          /* "/dev/dri/renderD128"; "": none */
};

/* The GPUs on the PCI bus, by address; at most `most` of them. */
size_t machine_gpus(const struct machine *m, struct machine_gpu *list, size_t most);

/* The distribution and those that it is like, from the fields ID and ID_LIKE: " ubuntu debian "; " ": unknown. */
void machine_distribution(const struct machine *m, char words[256]);

/* Whether a file is there, and whether this process may read and write it. */
enum machine_file { MACHINE_FILE_ABSENT, MACHINE_FILE_FORBIDDEN, MACHINE_FILE_OPEN };
enum machine_file machine_find(const struct machine *m, const char *path);

#endif
