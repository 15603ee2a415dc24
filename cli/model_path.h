/* model_path.h - where a model lies that was named rather than given as a folder. */
#ifndef CLIO_CLI_MODEL_PATH_H
#define CLIO_CLI_MODEL_PATH_H

/* The folder that `name` means; the caller frees it. NULL when nothing was found: then the sentence was said.
 * A name that is the path of a folder means that folder. Otherwise "whisper-base", or "base" for short, is looked for in
 *   $CLIO_MODELS, else $XDG_DATA_HOME/clio/models, else ~/.local/share/clio/models,
 *   /usr/local/share/clio/models and /usr/share/clio/models,
 *   the Hugging Face cache ($HF_HOME, else ~/.cache/huggingface), as openai/whisper-base; "owner/name" only there. */
char *model_find(const char *name);
/* The same for no name at all: Whisper base, or NULL with the sentence on how to get it. */
char *model_default(void);

/* A model for images: the folder or file of that path; otherwise a name in the models folder, or "owner/name" in the Hugging Face cache.
 */
char *diffusion_find(const char *name);
/* The last part of a model's path: nobody else needs to know where it lies. The caller frees it. */
char *model_label(const char *path);
/* A folder with CLIP's tokenizer for a single file that has none beside it, from the Hugging Face cache; NULL: not needed, or not found. */
char *tokenizer_find(const char *model);

#endif
