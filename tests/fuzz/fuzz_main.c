/* fuzz_main.c - the targets for libFuzzer: CLIO_FUZZ_TARGET names the one that runs. scripts/fuzz sets it. */
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("CLIO_FUZZ_TARGET");
    (void)argc, (void)argv;
    if (name && !strcmp(name, "list")) {
        for (const struct fuzz_target *t = fuzz_targets; t->name; t++)
            printf("%s %zu\n", t->name, t->max_size);
        exit(0);
    }
    target = name ? fuzz_target_find(name) : NULL;
    if (!target) {
        fprintf(stderr, "CLIO_FUZZ_TARGET must be the name of a target, or list\n");
        exit(2);
    }
    atexit(fuzz_close);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(target, data, size);
    return 0;
}
