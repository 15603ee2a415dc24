/* imagine.h - between the files of clio imagine: cmd_imagine.c (options and the work), imagine_files.c (what is written, what is shown). */
#ifndef CLIO_CLI_IMAGINE_H
#define CLIO_CLI_IMAGINE_H

#include "session.h"

/* Could this file be written? Asked before the work begins: false after a sentence. "-" always. */
bool image_file_check(const char *path);
/* out.png, out_2.png, out_3.png ...: the name of image `index`, from 0; the caller frees it. */
char *image_file_name(const char *path, size_t index);
/* out_preview.png of out.png; the caller frees it. */
char *preview_name(const char *path);

/* Write the images, or the animation when there are frames, and say what was written. EXIT_DONE, or EXIT_FAILED after a sentence. */
int images_save(struct session *s, const clio_image_list *images, const char *path);
/* clio imagine --show FILE */
int image_metadata_show(struct session *s, const char *path);

#endif
