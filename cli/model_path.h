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

#endif
