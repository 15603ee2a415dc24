/* settings.h - the settings of a model type, as config.json and --set name them: tables, checks, values. */
#ifndef CLIO_MODELS_LEARNERS_SETTINGS_H
#define CLIO_MODELS_LEARNERS_SETTINGS_H

#include "learner.h"

/* One setting of a kind, as config.json and --set name it. */
struct learner_setting {
    const char *name;
    char type; /* 'i' whole number, 'f' number, 's' one of the words of `words`, 'b', 't' any text */
    double least, most, otherwise;
    const char *words; /* "dense|conv"; the first is the default; of 't': the default, or NULL for none */
    const char *summary;
};

/* The setting of that name in a table that ends with a NULL name; NULL. And which of the words "a|b|c" one is; -1: none of them. */
const struct learner_setting *learner_setting_find(const struct learner_setting *table, const char *name);
int learner_choice_index(const char *words, const char *word);
/* Append "a, b, c". */
clio_status learner_setting_names(clio_context *ctx, struct bytes *text, const struct learner_setting *table);
/* Refuse a value that the setting does not allow. */
clio_status learner_setting_check(clio_context *ctx, const struct learner_setting *s, const json_t *value);

/* The value of a setting of the kind; of a word, which one of its words it is. */
int learner_int(const struct learner *l, const char *name);
double learner_number(const struct learner *l, const char *name);
int learner_choice(const struct learner *l, const char *name);

#define LEARNER_BLOCKS 8 /* sizes of image, at most: those of unet.h and vae.h */

/* A setting that is a text; "" where none is set. */
const char *learner_text(const struct learner *l, const char *name);
/* The setting block_channels, "64,128,192", as a list; each can be shared by the setting `groups`, and by `heads`. */
clio_status learner_channels(clio_context *ctx, const struct learner *l, int heads, json_t **list);
/* The folder of a part of the model: in the checkpoint it is read from, as the setting of that name says, or of the setting `init`; NULL:
 * there is none. */
clio_status learner_folder(clio_context *ctx, const struct learner *l, const char *name, char **path);

#endif
