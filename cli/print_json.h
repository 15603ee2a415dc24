/* print_json.h - a JSON document on standard output. */
#ifndef CLIO_CLI_PRINT_JSON_H
#define CLIO_CLI_PRINT_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* Digits of measured numbers, and of numbers that must be exact. */
#define JSON_MEASURED 6
#define JSON_EXACT 15

/* Print it with a line end and free it; false after a message. Reals get this many significant digits. */
bool json_print(json_t *root, int digits);

#endif
