/* model_path.h - find a model that was given by name. */
#ifndef CLIO_CLI_MODEL_PATH_H
#define CLIO_CLI_MODEL_PATH_H

#include <stdbool.h>

/* The folder of the Whisper model `name`; the caller frees it. NULL after a message.
 * A path of a folder is that folder. Otherwise "whisper-base", or "base" for short, is looked for in
 *   $CLIO_MODELS, else $XDG_DATA_HOME/clio/models, else ~/.local/share/clio/models,
 *   /usr/local/share/clio/models and /usr/share/clio/models,
 *   the Hugging Face cache ($HF_HOME, else ~/.cache/huggingface), as openai/whisper-base; "owner/name" only there. */
char *model_find(const char *name);
/* The default model: Whisper base, or NULL after a message that says how to install it. */
char *model_default(void);

/* A text encoder: a folder; otherwise a name in the models folder, "owner/name" in the Hugging Face cache, or a name there of
 * sentence-transformers. */
char *model_find_encoder(const char *name);
/* A diffusion model: a folder or file; otherwise a name in the models folder, or "owner/name" in the Hugging Face cache. */
char *model_find_diffusion(const char *name);
/* Whether a model may be one for the command of this name; false after a message that names the command for it. */
bool model_fits(const char *path, const char *command);
/* The folder of an installed model of any type, or its folder `part` (NULL: itself), such as text_encoder; the caller frees it. NULL:
 * `name` is a path, or there is no such model. */
char *model_find_part(const char *name, const char *part);
/* The last part of a model's path, for metadata. The caller frees it. */
char *model_label(const char *path);
/* A folder in the Hugging Face cache with CLIP's tokenizer for a checkpoint that has none beside it; NULL: not needed, or not found. */
char *model_find_tokenizer(const char *model);

#endif
