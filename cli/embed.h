/* embed.h - the inputs and outputs of clio embed: texts, one per line, and NumPy's .npy files. */
#ifndef CLIO_CLI_EMBED_H
#define CLIO_CLI_EMBED_H

#include "session.h"

/* The lines of a file as texts, which point into data. Zero-initialise. */
struct lines {
    char *data;
    struct words texts;
};
/* Read a file, NULL: standard input. EXIT_DONE, or the exit code after a message; each line must be UTF-8. An empty line is a text. */
int lines_read(struct lines *lines, const char *path);
void lines_free(struct lines *lines);

/* An array float32 [rows, columns] that grows. Zero-initialise; data is freed by the caller. */
struct npy {
    float *data;
    size_t rows, columns, capacity;
};
bool npy_is_name(const char *path);
void npy_add(struct npy *npy, const float *values, size_t rows, size_t columns);
/* Write it, also without rows. EXIT_DONE, or the exit code after a message. */
int npy_save(struct session *s, const struct npy *npy, const char *path);

#endif
