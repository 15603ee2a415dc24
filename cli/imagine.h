/* imagine.h - between the files of clio imagine: cmd_imagine.c (the work), imagine_options.c (options and manual), imagine_files.c (image
 * files). */
#ifndef CLIO_CLI_IMAGINE_H
#define CLIO_CLI_IMAGINE_H

#include "session.h"

int imagine_run(const struct command *self, struct settings *set);

/* Check that images, or an animation, are written in the format of this name: the library would refuse it after the work. EXIT_DONE, or
 * EXIT_USAGE after a message. A pipe or a device may have any name. */
int image_name_check(const struct command *self, const char *path, bool animation);
/* Check that this file could be written and is no input; false after a message. "-" always can. */
bool image_check(const struct settings *set, const char *path);
/* The same for the names of `count` images (image_name). */
bool images_check(const struct settings *set, size_t count);
/* out.png, out_2.png, out_3.png ...: the name of image `index`, from 0; the caller frees it. */
char *image_name(const char *path, size_t index);
/* out_preview.png of out.png; the caller frees it. */
char *preview_name(const char *path);

/* Write the images, or the animation when there are frames, and report the files. EXIT_DONE, or EXIT_FAILED after a message. */
int images_save(struct session *s, const clio_image_list *images, const char *path);
/* clio imagine --show FILE: print the metadata of an image. */
int image_show(struct session *s, const char *path);

#endif
