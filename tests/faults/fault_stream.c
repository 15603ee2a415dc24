/* fault_stream.c - streams. Those that clio opens become streams over the calls of fault_file.c, so that fwrite, fprintf, fgets and fclose
 * meet the failing read, write and close below them. Standard output is one of them. */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include "fault.h"
#include "fault_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STREAMS 512

static struct stream {
    FILE *file;
    int fd;
    bool used;
} streams[STREAMS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t stream_read(void *user, char *to, size_t size)
{
    return fault_read(((struct stream *)user)->fd, to, size);
}

/* As the C library does: what was not written is tried again. 0: an error. */
static ssize_t stream_write(void *user, const char *from, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = fault_write(((struct stream *)user)->fd, from + done, size - done);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int stream_seek(void *user, off64_t *at, int from)
{
    off64_t now = lseek64(((struct stream *)user)->fd, *at, from);
    if (now < 0)
        return -1;
    *at = now;
    return 0;
}

static int stream_close(void *user)
{
    struct stream *s = user;
    int fd = s->fd;
    pthread_mutex_lock(&lock);
    *s = (struct stream){0};
    pthread_mutex_unlock(&lock);
    return fault_close(fd);
}

static FILE *new_stream(int fd, const char *mode)
{
    static const cookie_io_functions_t calls = {stream_read, stream_write, stream_seek, stream_close};
    struct stream *s = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < STREAMS && !s; i++)
        s = streams[i].used ? NULL : &streams[i];
    if (s)
        *s = (struct stream){.fd = fd, .used = true};
    pthread_mutex_unlock(&lock);
    if (!s) {
        errno = EMFILE;
        return NULL;
    }
    s->file = fopencookie(s, mode, calls);
    if (!s->file)
        s->used = false;
    return s->file;
}

static FILE *open_stream(const char *path, const char *mode)
{
    int flags = *mode == 'r' ? O_RDONLY : *mode == 'w' ? O_WRONLY | O_CREAT | O_TRUNC : O_WRONLY | O_CREAT | O_APPEND;
    if (strchr(mode, '+'))
        flags = (flags & ~O_ACCMODE) | O_RDWR;
    flags |= (strchr(mode, 'x') ? O_EXCL : 0) | (strchr(mode, 'e') ? O_CLOEXEC : 0);
    int fd = fault_open(path, flags, 0666, true);
    FILE *file = fd < 0 ? NULL : new_stream(fd, mode);
    if (fd >= 0 && !file) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return file;
}

#define FOPEN(name)                                                                                                                        \
    FILE *name(const char *restrict path, const char *restrict mode)                                                                       \
    {                                                                                                                                      \
        static FILE *(*next)(const char *, const char *);                                                                                  \
        fault_next(&next, #name);                                                                                                          \
        return fault_module(FAULT_CALLER) ? open_stream(path, mode) : next(path, mode);                                                    \
    }
FOPEN(fopen)
FOPEN(fopen64)

FILE *fdopen(int fd, const char *mode)
{
    static FILE *(*next)(int, const char *);
    fault_next(&next, "fdopen");
    if (!fault_module(FAULT_CALLER))
        return next(fd, mode);
    if (fault_due(FAULT_MEMORY, "fdopen")) {
        errno = ENOMEM;
        return NULL;
    }
    return new_stream(fd, mode);
}

int fileno(FILE *file)
{
    static int (*next)(FILE *);
    fault_next(&next, "fileno");
    for (int i = 0; i < STREAMS; i++)
        if (streams[i].used && streams[i].file == file)
            return streams[i].fd;
    return next(file);
}

__attribute__((constructor)) static void take_standard_output(void)
{
    FILE *file = new_stream(STDOUT_FILENO, "w");
    if (!file)
        return;
    if (isatty(STDOUT_FILENO))
        setvbuf(file, NULL, _IOLBF, BUFSIZ);
    stdout = file;
}
