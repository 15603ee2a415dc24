/* print_json.h - making and printing JSON. What Jansson cannot do for lack of memory ends the command with a message. */
#ifndef CLIO_CLI_PRINT_JSON_H
#define CLIO_CLI_PRINT_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* Digits of measured numbers, and of numbers that must be exact. */
#define JSON_MEASURED 6
#define JSON_FLOAT 9 /* of a float32: enough to get it back */
#define JSON_EXACT 15

/* Jansson gives NULL when it is out of memory, and NULL or an error for all that is made with a NULL: values may be nested without a check
 * as long as the last call is one of these. They take over the references that they are given. */
json_t *json_must(json_t *made);
void json_add(json_t *object, const char *key, json_t *value);
void json_list_add(json_t *array, json_t *value);
/* A text as model or user gave it, valid or not: see text_name. NULL: null. */
json_t *json_name(const char *text);
/* null for NaN and infinity, which JSON does not have. */
json_t *json_number(double value);

/* The document as text, with an escape for each character that a terminal would obey; it is freed. Reals get this many significant digits.
 */
char *json_document(json_t *root, int digits);
/* Print it with a line end and free it. */
void json_print(json_t *root, int digits);
/* The same in one line: of JSON Lines. */
void json_print_line(json_t *root, int digits);

#endif
