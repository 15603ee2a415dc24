/* folders.h - what learners in the layout of diffusers share: texts and lists among their settings, and the files of a folder's
 * parts. */
#ifndef CLIO_MODELS_LEARNERS_FOLDERS_H
#define CLIO_MODELS_LEARNERS_FOLDERS_H

#include "learner_private.h"

#define LEARNER_BLOCKS 8 /* sizes of picture, at most: those of unet.h and vae.h */

/* A setting that is a text; "" where none is set. */
const char *learner_text(const struct learner *l, const char *name);
/* The setting block_channels, "64,128,192", as a list; each can be shared by the setting `groups`, and by `heads`. */
clio_status learner_channels(clio_context *ctx, const struct learner *l, int heads, json_t **list);
/* base/name in fresh memory, if that is a folder; otherwise *path stays NULL. Nothing where *path is set already, or base NULL or empty. */
clio_status folder_try(clio_context *ctx, const char *base, const char *name, char **path);
/* The folder of a part of the model: in the checkpoint it is read from, as the setting of that name says, or of the setting `init`; NULL:
 * there is none. */
clio_status learner_folder(clio_context *ctx, const struct learner *l, const char *name, char **path);
/* base/name/file, if it is there. Nothing where `out` is open already, or base NULL or empty. */
clio_status folder_json(clio_context *ctx, struct json_file *out, const char *base, const char *name, const char *file);
/* base/name becomes a link to a file or folder that does not change, wherever that really lies. */
clio_status folder_link(clio_context *ctx, const char *base, const char *name, const char *to);
/* Write base/folder/name. */
clio_status folder_put_json(clio_context *ctx, const json_t *json, const char *base, const char *folder, const char *name);

#endif
