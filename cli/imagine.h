/* imagine.h - between the files of clio imagine: cmd_imagine.c (options and the work), imagine_files.c (what is written, what is shown). */
#ifndef CLIO_CLI_IMAGINE_H
#define CLIO_CLI_IMAGINE_H

#include "session.h"

/* Could this file be written? Asked before the work begins: false after a sentence. "-" always. */
bool picture_check(const char *path);
/* out.png, out_2.png, out_3.png ...: the name of picture `index`, from 0; the caller frees it. */
char *picture_name(const char *path, size_t index);
/* out_preview.png of out.png; the caller frees it. */
char *preview_name(const char *path);

/* Write the pictures, or the animation when there are frames, and say what was written. EXIT_DONE, or EXIT_FAILED after a sentence. */
int pictures_save(struct session *s, const clio_images *images, const char *path);
/* clio imagine --show FILE */
int picture_show(struct session *s, const char *path);

#endif
