/* settings.h - settings of models and of training: tables, validation, values. config.json and clio train use the same names. */
#ifndef CLIO_MODELS_LEARNERS_SETTINGS_H
#define CLIO_MODELS_LEARNERS_SETTINGS_H

#include "learner.h"

/* A setting. */
struct learner_setting {
    const char *name;
    char type;                     /* 'i' integer, 'f' number, 's' one of several words, 'b' boolean, 't' text */
    double least, most, otherwise; /* range and default of 'i', 'f', 'b' */
    const char *words;             /* 's': "dense|conv", the first is the default; 't': the default, or NULL for none */
    const char *summary;
};

/* Digits that print a limit exactly: 1000000000000000, 0.9999999. */
static inline int learner_setting_digits(double limit)
{
    return limit >= 1e10 ? 16 : 10;
}

/* The setting of that name, or NULL. The table ends with a NULL name. */
const struct learner_setting *learner_setting_find(const struct learner_setting *table, const char *name);
/* Index of `word` in "a|b|c", or -1. */
int learner_choice_index(const char *words, const char *word);
/* Append "a, b, c". */
clio_status learner_setting_names(clio_context *ctx, struct bytes *text, const struct learner_setting *table);
/* An error unless the value is valid for the setting. */
clio_status learner_setting_check(clio_context *ctx, const struct learner_setting *s, const json_t *value);

/* Value of a setting of the model type; learner_choice: index of the word. */
int learner_int(const struct learner *l, const char *name);
double learner_number(const struct learner *l, const char *name);
int learner_choice(const struct learner *l, const char *name);

/* Set the key of a configuration of transformers that says how weights are stored, if it has one: as f32, as learner_save writes them. */
clio_status learner_mark_f32(clio_context *ctx, json_t *config);

#define LEARNER_BLOCKS 8 /* resolution levels at most, as in unet.h and autoencoder_kl.h */

/* A text setting; "" where it is not set. */
const char *learner_text(const struct learner *l, const char *name);
/* The setting block_out_channels, "64,128,192", as a list. Each must be a multiple of norm_num_groups and of `heads`. */
clio_status learner_channels(clio_context *ctx, const struct learner *l, int heads, json_t **list);
/* Folder of a pipeline component ("vae"): in the checkpoint that is loaded, else the setting of that name, else in the folder of the
 * setting `pretrained`. Fresh memory, or NULL. */
clio_status learner_folder(clio_context *ctx, const struct learner *l, const char *name, char **path);

#endif
