/* output.h - a transcript as txt, srt, vtt, lrc, csv or json, laid out as whisper.cpp lays them out. */
#ifndef CLIO_CLI_OUTPUT_H
#define CLIO_CLI_OUTPUT_H

#include "command.h"

#include <stdio.h>

/* What a writer is given. */
struct document {
    const clio_transcript *transcript;
    const clio_device_info *device;
    const char *file, *model;
    const char *language;               /* asked for; NULL: detected */
    bool translate, multilingual, full; /* full: tokens and measures in the JSON */
};

/* "srt" and so on: the option is -o with it, the file's name ends in output_extension. */
const char *output_extension(enum format format);
void output_write(FILE *out, enum format format, const struct document *doc);
/* output_json.c */
void output_json(FILE *out, const struct document *doc);

/* Could the file be written? Asked before the work begins: false after a sentence, in which `flag` is what names another one. */
bool path_check(const char *path, const char *flag);
/* Could stem.extension be written? Asked before the work begins: false after a sentence. */
bool output_check(const char *stem, enum format format);
/* Write stem.extension beside its name and rename it when it is whole: false after a sentence, and the old file is as it was. */
bool output_save(const char *stem, enum format format, const struct document *doc);

#endif
