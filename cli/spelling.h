/* spelling.h - the spellings of an option: "-of --output-file". */
#ifndef CLIO_CLI_SPELLING_H
#define CLIO_CLI_SPELLING_H

#include <stdbool.h>

/* Is `word`, up to a '=', one of these names? One dash may stand for two, and two for one, where a name has more than one letter:
 * -output-srt, --otxt. */
bool spelling_matches(const char *names, const char *word);

#endif
