/* folder.h - a temporary folder for a test, and files in it and elsewhere. */
#ifndef CLIO_TEST_FOLDER_H
#define CLIO_TEST_FOLDER_H

#include <stddef.h>

/* In $TMPDIR or /tmp, while the test runs. */
extern char folder[64];
/* What cmocka calls before and after a test: the folder is made, empty; it is removed with all that is in it. */
int make_folder(void **state);
int remove_folder(void **state);

/* A path in the folder; the last four stay valid. */
const char *in_folder(const char *name);
/* A file in the folder; returns its path, as in_folder does. */
const char *put(const char *name, const void *data, size_t size);
const char *put_text(const char *name, const char *text);

/* A file anywhere. */
void write_file(const char *path, const void *data, size_t size);
void write_text(const char *path, const char *text);
/* A file's bytes in fresh memory. */
void *read_file(const char *path, size_t *size);

#endif
