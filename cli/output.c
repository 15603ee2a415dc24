/* output.c - the line formats; see output.h. Layouts: those of whisper.cpp, except where they would make a broken file: a segment's text is
 * one line, trimmed, valid UTF-8, and markup of WebVTT is escaped. */
#include "output.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>

const char *output_extension(enum format format)
{
    static const char *const extensions[FORMATS] = {"txt", "srt", "vtt", "lrc", "csv", "json"};
    return extensions[format];
}

static long long milliseconds(double seconds)
{
    return seconds > 0 ? llround(seconds * 1000) : 0;
}

static void write_escaped(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else
            fputc(*text, out);
}

static void write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_cue_times(FILE *out, const clio_segment *segment, char point)
{
    char from[32], to[32];
    stamp_print(from, segment->start, point);
    stamp_print(to, segment->end, point);
    fprintf(out, "%s --> %s\n", from, to);
}

static void write_segment(FILE *out, enum format format, const clio_segment *segment, size_t number, const char *text)
{
    long long from = milliseconds(segment->start), to = milliseconds(segment->end);
    switch (format) {
    case FORMAT_SRT:
        fprintf(out, "%zu\n", number);
        write_cue_times(out, segment, ',');
        fprintf(out, "%s\n\n", text);
        break;
    case FORMAT_VTT:
        write_cue_times(out, segment, '.');
        write_escaped(out, text);
        fputs("\n\n", out);
        break;
    case FORMAT_LRC:
        fprintf(out, "[%02lld:%02lld.%02lld]%s\n", from / 60000, from / 1000 % 60, from % 1000 / 10, text);
        break;
    case FORMAT_CSV:
        fprintf(out, "%lld,%lld,", from, to);
        write_quoted(out, text);
        fputc('\n', out);
        break;
    default:
        fprintf(out, "%s\n", text);
    }
}

void output_write(FILE *out, enum format format, const struct document *doc)
{
    if (format == FORMAT_JSON) {
        output_json(out, doc);
        return;
    }
    if (format == FORMAT_VTT)
        fputs("WEBVTT\n\n", out);
    else if (format == FORMAT_LRC)
        fputs("[by:clio]\n", out);
    else if (format == FORMAT_CSV)
        fputs("start,end,text\n", out);
    for (size_t i = 0; i < doc->transcript->segment_count; i++) {
        char *text = text_clean(doc->transcript->segments[i].text);
        write_segment(out, format, &doc->transcript->segments[i], i + 1, text);
        free(text);
    }
}
