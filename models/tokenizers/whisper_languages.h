/* whisper_languages.h - the languages that Whisper was trained on, in the order of its language tokens.
 * The public list of the same, clio_language of clio.h, is implemented in languages.c. */
#ifndef CLIO_MODELS_TOKENIZERS_WHISPER_LANGUAGES_H
#define CLIO_MODELS_TOKENIZERS_WHISPER_LANGUAGES_H

#include <clio.h>

/* How many there are: 100. The last, Cantonese ("yue"), came with large-v3; earlier models have the first 99. */
int language_count(void);
/* The code ("en") of a language given by its code, its English name or another name in use ("Castilian"), in any case; NULL: unknown. */
const char *language_find(const char *text);
/* Position of a code in the list: its token is <|startoftranscript|> + 1 + position. -1: not a code of the list. */
int language_index(const char *code);

#endif
