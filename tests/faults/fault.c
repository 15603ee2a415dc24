/* fault.c - which call is struck, and the log; see fault.h. */
#define _GNU_SOURCE
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POINTS 160
#define MODULES 32
#define FRAMES 24

static const char *const group_names[FAULT_GROUPS] = {"opencl", "memory", "reading", "writing", "clocks"};

static struct {
    char point[64], file[512];
    long at, code;
    bool fails, is_short, all, cuts;
    int signal;
    long jump;
} plan;
static char log_path[512];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *name;
    long count;
} points[POINTS];
static long group_counts[FAULT_GROUPS], struck;
static int struck_group = -1;
static long clock_offset;

/* ---- whose calls are counted ---- */

/* Loaded before main; what is opened later (OpenCL implementations) is none of these. */
static const char *const module_files[][2] = {
    {"libclio.so", "clio"},
    {"libjansson.so", "jansson"},
    {"libpng", "png"},
    {"libsndfile.so", "sndfile"},
    {"libFLAC.so", "flac"},
    {"libsoxr.so", "soxr"},
    {"libjpeg.so", "jpeg"},
    {"libwebp", "webp"},
    {"libz.so", "zlib"},
    {"libpcre2-8.so", "pcre2"},
    {"libexif.so", "exif"},
    {"libcairo.so", "cairo"},
    {"libclFFT.so", "clfft"},
    {"libutf8proc.so", "utf8proc"},
    {"libclblast.so", "clblast"},
};
static struct {
    uintptr_t begin, end;
    const char *name;
} modules[MODULES];
static int module_count;

static int add_module(struct dl_phdr_info *info, size_t size, void *user)
{
    const char *base = strrchr(info->dlpi_name, '/'), *name = NULL;
    (void)size;
    (void)user;
    base = base ? base + 1 : info->dlpi_name;
    if (!*info->dlpi_name)
        name = "clio"; /* the program itself */
    for (size_t i = 0; !name && i < sizeof module_files / sizeof *module_files; i++)
        if (strncmp(base, module_files[i][0], strlen(module_files[i][0])) == 0)
            name = module_files[i][1];
    for (int i = 0; name && i < info->dlpi_phnum && module_count < MODULES; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            modules[module_count].begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            modules[module_count].end = modules[module_count].begin + info->dlpi_phdr[i].p_memsz;
            modules[module_count++].name = name;
        }
    return 0;
}

const char *fault_module(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < module_count; i++)
        if (at >= modules[i].begin && at < modules[i].end)
            return modules[i].name;
    return NULL;
}

void fault_next(void *function, const char *name)
{
    void *found;
    memcpy(&found, function, sizeof found);
    if (found)
        return;
    found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(function, &found, sizeof found);
}

/* ---- the log: not by streams, which are struck themselves ---- */

static void put(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        _exit(99);
}

static int open_log(void)
{
    return *log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
}

/* "hit POINT N MODULE+OFFSET MODULE+OFFSET ..." */
static void log_hit(const char *point, long n)
{
    void *frames[FRAMES];
    char text[600];
    int error = errno, fd = open_log();
    if (fd < 0)
        return;
    snprintf(text, sizeof text, "hit %s %ld", point, n);
    put(fd, text);
    int count = backtrace(frames, FRAMES);
    for (int i = 2; i < count; i++) {
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname)
            continue;
        snprintf(text, sizeof text, " %s+%#lx", info.dli_fname, (unsigned long)((uintptr_t)frames[i] - (uintptr_t)info.dli_fbase));
        put(fd, text);
    }
    put(fd, "\n");
    close(fd);
    errno = error;
}

static void log_crash(const char *name)
{
    int fd = open_log();
    if (fd < 0)
        return;
    put(fd, "crash ");
    put(fd, name);
    put(fd, "\n");
    close(fd);
}

/* "crash LIBRARY": whose code ended the process, libc's left aside. "unknown" stands before it, and stays where the stack is none, as
 * behind a longjmp to what was overwritten. */
static void on_crash(int number)
{
    void *frames[FRAMES];
    log_crash("unknown");
    int count = backtrace(frames, FRAMES);
    for (int i = 2; i < count; i++) { /* behind this function and what the kernel put there */
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname || strstr(info.dli_fname, "/libc.so"))
            continue;
        log_crash(fault_module(frames[i]) ? fault_module(frames[i]) : info.dli_fname);
        break;
    }
    signal(number, SIG_DFL);
    raise(number);
}

/* On a stack of its own: an endless recursion has used up the other. */
static void watch_crashes(void)
{
    static unsigned char space[1 << 16];
    const stack_t stack = {.ss_sp = space, .ss_size = sizeof space};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
}

static void log_counts(void)
{
    int fd = open_log();
    char text[128];
    if (fd < 0)
        return;
    for (int i = 0; i < POINTS && points[i].name; i++) {
        snprintf(text, sizeof text, "count %s %ld\n", points[i].name, points[i].count);
        put(fd, text);
    }
    for (int i = 0; i < FAULT_GROUPS; i++) {
        snprintf(text, sizeof text, "count %s %ld\n", group_names[i], group_counts[i]);
        put(fd, text);
    }
    close(fd);
}

/* ---- the plan ---- */

static void read_plan(const char *text)
{
    char action[600], then[8] = "";
    int fields = sscanf(text, "%63s %ld %599s %7s", plan.point, &plan.at, action, then);
    bool ok = fields >= 3 && (!*then || strcmp(then, "all") == 0);
    plan.all = *then;
    if (ok && sscanf(action, "fail=%ld", &plan.code) == 1)
        plan.fails = true;
    else if (ok && strcmp(action, "short") == 0)
        plan.is_short = true;
    else if (ok && sscanf(action, "cut=%511s", plan.file) == 1)
        plan.cuts = true;
    else if (!ok || (sscanf(action, "signal=%d", &plan.signal) != 1 && sscanf(action, "jump=%ld", &plan.jump) != 1)) {
        put(2, "libfault: FAULT is not \"POINT N ACTION [all]\"\n");
        _exit(99);
    }
}

__attribute__((constructor)) static void fault_begin(void)
{
    void *frame;
    const char *text = getenv("FAULT"), *log = getenv("FAULT_LOG");
    if (text)
        read_plan(text);
    if (log)
        snprintf(log_path, sizeof log_path, "%s", log);
    /* What the OpenCL implementation starts (a linker) is left alone. */
    unsetenv("LD_PRELOAD");
    unsetenv("FAULT");
    unsetenv("FAULT_LOG");
    backtrace(&frame, 1); /* loads what it needs now */
    dl_iterate_phdr(add_module, NULL);
    atexit(log_counts);
}

static long *count_of(const char *name)
{
    int i = 0;
    while (i < POINTS - 1 && points[i].name && points[i].name != name && strcmp(points[i].name, name) != 0)
        i++;
    points[i].name = name;
    return &points[i].count;
}

static void cut_file(const char *path)
{
    struct stat info;
    if (stat(path, &info) && errno == ENOENT)
        return; /* the command has deleted it */
    if (stat(path, &info) || truncate(path, info.st_size / 2))
        _exit(99);
}

/* A full disk does not keep files from being closed and removed. */
static bool is_struck_too(enum fault_group group, const char *point)
{
    static const char *const spared[] = {"close", "unlink", "unlinkat", "rmdir", "chmod", "fchmod"};
    for (size_t i = 0; i < sizeof spared / sizeof *spared; i++)
        if (strcmp(point, spared[i]) == 0)
            return false;
    return plan.all && (int)group == struck_group;
}

bool fault_due(enum fault_group group, const char *point)
{
    bool hit = false, first = false;
    pthread_mutex_lock(&lock);
    long *count = count_of(point), n = ++*count, of_group = ++group_counts[group];
    if (plan.at && !struck)
        hit = first =
            (strcmp(plan.point, point) == 0 && n == plan.at) || (strcmp(plan.point, group_names[group]) == 0 && of_group == plan.at);
    else
        hit = is_struck_too(group, point);
    if (hit) {
        struck++;
        struck_group = (int)group;
    }
    if (first && plan.jump)
        clock_offset += plan.jump;
    pthread_mutex_unlock(&lock);
    if (first) {
        log_hit(point, n);
        if (!dlsym(RTLD_DEFAULT,
                   "__asan_init")) { /* which reports crashes itself; compilers set handlers of their own at their first use */
            watch_crashes();
        }
    }
    if (hit && plan.signal)
        kill(getpid(), plan.signal);
    if (hit && plan.cuts)
        cut_file(plan.file);
    return hit && (plan.fails || plan.is_short);
}

int fault_code(void)
{
    return (int)plan.code;
}

bool fault_is_short(void)
{
    return plan.is_short;
}

long fault_clock_offset(void)
{
    return clock_offset;
}
