/* test_models.h - real weights that a script fetched: where they are, or a skip said aloud, which is a failure under CLIO_REQUIRE. */
#ifndef CLIO_TEST_MODELS_H
#define CLIO_TEST_MODELS_H

#include "test.h"

#include <unistd.h>

/* The folder of all-MiniLM-L6-v2, as scripts/fetch-minilm writes it; NULL: call skip(). */
static inline const char *test_minilm(void)
{
    static char path[1024];
    const char *models = getenv("CLIO_MODELS"), *home = getenv("HOME");
    char config[1100];
    if (models && *models)
        snprintf(path, sizeof path, "%s/all-MiniLM-L6-v2", models);
    else
        snprintf(path, sizeof path, "%s/.local/share/clio/models/all-MiniLM-L6-v2", home ? home : "");
    snprintf(config, sizeof config, "%s/config.json", path);
    if (!access(config, R_OK))
        return path;
    if (getenv("CLIO_REQUIRE"))
        fail_msg("all-MiniLM-L6-v2 is missing: run scripts/fetch-minilm (%s)", path);
    fprintf(stderr, "SKIPPED: all-MiniLM-L6-v2 is not here: run scripts/fetch-minilm\n");
    return NULL;
}

#endif
