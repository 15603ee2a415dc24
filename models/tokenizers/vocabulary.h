/* vocabulary.h - for the readers of tokenizers' files: fill in the tables of a struct tokenizer (bpe.h). */
#ifndef CLIO_MODELS_TOKENIZERS_VOCABULARY_H
#define CLIO_MODELS_TOKENIZERS_VOCABULARY_H

#include "../../host/core/json.h"
#include "bpe.h"

#define TOKENIZER_MOST (1 << 22) /* tokens; guards against damaged files: the largest vocabularies have about 2^18 */

/* Slots of a hash table for so many entries: a power of two, at least twice as many. */
size_t tokenizer_table_slots(size_t entries);
/* Make the tables for ids 0 to count - 1, of `entries` names. */
clio_status tokenizer_make_tables(clio_context *ctx, struct tokenizer *t, int count, size_t entries);
/* Add a token, whose name has a zero behind it. It may be there already under the same name; another name is CLIO_ERROR_FORMAT. Of two ids
 * with one name the later one is found. special: also without it where the name is of the form <|...|>. */
clio_status tokenizer_add(clio_context *ctx, struct tokenizer *t, const char *path, int id, const struct bytes *name, bool special);
/* The id of the token `name`, checked. */
clio_status tokenizer_check_id(clio_context *ctx, const char *path, const char *name, const json_t *value, int *id);
/* Text and id of an entry of tokenizer.json's added_tokens. */
clio_status tokenizer_added_token(clio_context *ctx, const char *path, const json_t *entry, const char **text, int *id);

#endif
