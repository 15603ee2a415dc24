/* prompt_schedule.h - prompts that change while an image is sampled, and prompts that are composed.
 *
 *     a [cow:horse:0.25] on grass       cow for the first quarter of the steps, then horse
 *     a [cow:horse:10] on grass         cow for 10 steps, then horse
 *     a cow[ with wings:0.5]            added after half of the steps;  [ with wings::0.5]  removed after half of them
 *     a [cow|horse|dog] on grass        one in each step, in turn
 *     a cow :1.2 AND grass :0.7         composed (Liu et al. 2022): each is evaluated, and the differences to the negative prompt are
 *                                       added with these weights, 1 where there is none
 *
 * The grammar is that of A1111 (stable-diffusion-webui, modules/prompt_parser.py): they may be nested; a number with a point is a fraction
 * of the steps, one without is a number of steps; square brackets with anything else in them are those of prompt_weights.h, and so are
 * brackets whose contents do not pair. AND splits before brackets are read. Three differences: a "|" that is in no square bracket is text
 * and does not turn off the schedules of the whole prompt; a weight behind a colon at the end of a prompt without AND is text; and n steps
 * are n steps, where A1111 makes one more before it changes. With an initial image, only the steps that run count. */
#ifndef CLIO_MODELS_PIPELINES_PROMPT_SCHEDULE_H
#define CLIO_MODELS_PIPELINES_PROMPT_SCHEDULE_H

#include "../../host/core/file.h"

#include <stdbool.h>

/* What stands between two ANDs. */
struct prompt_part {
    double weight;
    char **texts;   /* [count]: the texts that it takes, in the order of their first steps */
    float **embeds; /* [count]: for the caller; freed with the plan */
    int count;
    int *at; /* [steps]: the text of each step */
};
struct prompt_plan {
    struct prompt_part *list;
    int count; /* 1 or more */
};

/* composes: split at AND. steps: 1 or more. CLIO_ERROR_ARGUMENT: brackets nested too deeply. On failure plan is empty. */
clio_status prompt_plan_read(clio_context *ctx, struct prompt_plan *plan, const char *text, int steps, bool composes);
void prompt_plan_free(struct prompt_plan *plan); /* accepts a zeroed one */

/* Parse a decimal number with an optional sign, independent of the locale. Returns its size; 0: none. */
size_t prompt_number(const char *s, double *value);
/* White space; a letter, digit or underscore, or a part of a character that is not ASCII. */
bool prompt_is_space(char c);
bool prompt_is_word(char c);
/* The next `word` in text[from .. size) that is not a part of a longer word; size: none. */
size_t prompt_find_word(const char *text, size_t from, size_t size, const char *word);

#endif
