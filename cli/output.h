/* output.h - a transcript as txt, srt, vtt, lrc, csv or json, laid out as whisper.cpp lays them out. */
#ifndef CLIO_CLI_OUTPUT_H
#define CLIO_CLI_OUTPUT_H

#include "command.h"

#include <stdio.h>

/* A transcript and what its JSON says about the run. */
struct document {
    const clio_transcript *transcript;
    const clio_device_info *device;
    const char *file, *model;
    const char *language;               /* of the options; NULL: detected */
    bool translate, multilingual, full; /* full: tokens and scores in the JSON */
};

/* "srt" and so on. */
const char *output_extension(enum format format);
void output_write(FILE *out, enum format format, const struct document *doc);
/* output_json.c */
void output_json(FILE *out, const struct document *doc);

/* Where the extension begins; the end of the name where there is none. */
int path_stem_length(const char *path);
/* Check before the work begins that the file could be written and is none of the inputs of `set`, by whatever name; false after a message,
 * which names `flag` as the way to choose another. */
bool path_check(const struct settings *set, const char *path, const char *flag);
/* The same for stem.extension. */
bool output_check(const struct settings *set, const char *stem, enum format format);
/* Does the stem end in a name, not in "/", "." or ".."? */
bool output_has_name(const char *stem);
/* Would both stems with this extension be written to the same file? */
bool output_same(const char *stem, const char *other, enum format format);
/* Write stem.extension with clio_file_write; false after a message, with the old file as it was. */
bool output_save(clio_context *ctx, const char *stem, enum format format, const struct document *doc);

#endif
