/* print_json.h - a JSON document on standard output. */
#ifndef CLIO_CLI_PRINT_JSON_H
#define CLIO_CLI_PRINT_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* Print it with a line end, and free it. False after a sentence. */
bool json_print(json_t *root);

#endif
