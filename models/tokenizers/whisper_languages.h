/* whisper_languages.h - the languages of Whisper, in the order of its language tokens. whisper_languages.c also has the public list,
 * clio_language. */
#ifndef CLIO_MODELS_TOKENIZERS_WHISPER_LANGUAGES_H
#define CLIO_MODELS_TOKENIZERS_WHISPER_LANGUAGES_H

#include <clio.h>

/* 100. The last, Cantonese ("yue"), is new in large-v3; earlier models have the first 99. */
int language_count(void);
/* The code ("en") of a language by its code, also with a country or script ("en-US"), English name or alias ("Castilian"), ignoring case;
 * NULL: unknown. */
const char *language_find(const char *text);
/* Index of a code: its token is <|startoftranscript|> + 1 + index. -1: unknown code. */
int language_index(const char *code);

#endif
