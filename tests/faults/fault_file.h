/* fault_file.h - the calls of fault_file.c that streams make. `struck`: they may fail. */
#ifndef CLIO_FAULT_FILE_H
#define CLIO_FAULT_FILE_H

#include <stdbool.h>
#include <sys/types.h>

int fault_open(const char *path, int flags, mode_t mode, bool struck);
ssize_t fault_read(int fd, void *to, size_t size);
ssize_t fault_write(int fd, const void *from, size_t size);
int fault_close(int fd);

#endif
