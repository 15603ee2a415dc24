/* corpus_main.c - run every file of a corpus through its target, without libFuzzer: fuzz_corpus FOLDER, with a folder for each target. A
 * target without a file, or a folder without a target, is a failure. Budgets of memory hold where AddressSanitizer counts it. */
#include "fuzz.h"

#include <dirent.h>

static size_t run_folder(const struct fuzz_target *target, const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char file[1024];
        size_t size;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        fprintf(stderr, "%s/%s\n", target->name, entry->d_name); /* the last one is the one that failed */
        void *data = read_file(file, &size);
        fuzz_run(target, data, size);
        free(data);
        count++;
    }
    if (dir)
        closedir(dir);
    fuzz_close();
    return count;
}

int main(int argc, char **argv)
{
    const char *corpus = argc == 2 ? argv[1] : CLIO_SOURCE_DIR "/tests/fuzz/corpus";
    int failed = 0;
    DIR *dir = opendir(corpus);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && !fuzz_target_find(entry->d_name)) {
            printf("there is no fuzz target for the folder %s/%s\n", corpus, entry->d_name);
            failed = 1;
        }
    if (dir)
        closedir(dir);
    for (const struct fuzz_target *target = fuzz_targets; target->name; target++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", corpus, target->name);
        size_t count = run_folder(target, path);
        printf("%-16s %zu inputs\n", target->name, count);
        failed = failed || !count;
    }
    return failed;
}
