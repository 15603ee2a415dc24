/* output_json.c - the JSON document of a transcript. The keys are those of whisper.cpp's -oj and -ojf; clio adds result.duration_s and,
 * with -ojf, the scores of each segment. Token texts: see text.h. */
#include "output.h"
#include "print_json.h"
#include "say.h"
#include "text.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* The text of a segment: one line. */
static json_t *json_line(const char *text)
{
    char *clean = text_clean(text);
    json_t *value = json_must(json_string(clean));
    free(clean);
    return value;
}

static void add_times(json_t *to, double start, double end)
{
    char from[32], until[32];
    stamp_print(from, start, ',');
    stamp_print(until, end, ',');
    json_add(to, "timestamps", json_pack("{s:s, s:s}", "from", from, "to", until));
    json_add(to, "offsets", json_pack("{s:I, s:I}", "from", (json_int_t)llround(start * 1000), "to", (json_int_t)llround(end * 1000)));
}

/* Whether no text follows token i directly: what is left of a broken character then belongs to it, and not to a timestamp. */
static bool ends_text(const clio_segment *segment, size_t i)
{
    return i + 1 == segment->token_count || segment->tokens[i + 1].time >= 0;
}

static json_t *json_tokens(const clio_segment *segment)
{
    json_t *list = json_must(json_array());
    struct text_rest rest = {.count = 0};
    for (size_t i = 0; i < segment->token_count; i++) {
        const clio_token *token = &segment->tokens[i];
        char *text = text_of_token(&rest, token->text, ends_text(segment, i));
        json_t *row = json_must(json_pack("{s:s}", "text", text));
        if (token->time >= 0)
            add_times(row, token->time, token->time);
        json_add(row, "id", json_integer(token->id));
        json_add(row, "p", json_number((double)token->probability));
        json_list_add(list, row);
        free(text);
    }
    return list;
}

static json_t *json_segment(const clio_segment *segment, bool full)
{
    json_t *row = json_must(json_object());
    add_times(row, segment->start, segment->end);
    json_add(row, "text", json_line(segment->text));
    if (full) {
        json_add(row, "temperature", json_number(segment->temperature));
        json_add(row, "avg_logprob", json_number(segment->avg_logprob));
        json_add(row, "compression_ratio", json_number(segment->compression_ratio));
        json_add(row, "no_speech_prob", json_number(segment->no_speech_probability));
        json_add(row, "tokens", json_tokens(segment));
    }
    return row;
}

static json_t *json_of(const struct document *doc)
{
    const clio_transcript *t = doc->transcript;
    json_t *root = json_must(json_object()), *part = json_must(json_object()), *list = json_must(json_array());
    char *system = must_print("clio %s, %s (%s, %s, driver %s)", clio_version(), doc->device->name, doc->device->type,
                              doc->device->platform, doc->device->driver);
    json_add(root, "systeminfo", json_name(system));
    free(system);
    json_add(root, "model", json_pack("{s:b}", "multilingual", (int)doc->multilingual));
    json_add(part, "file", json_name(doc->file));
    json_add(part, "model", json_name(doc->model));
    json_add(part, "language", json_name(doc->language ? doc->language : "auto"));
    json_add(part, "translate", json_boolean(doc->translate));
    json_add(root, "params", part);
    part = json_must(json_object());
    json_add(part, "language", json_name(t->language ? t->language : ""));
    json_add(part, "language_probability", json_number(t->language_probability));
    json_add(part, "duration_s", json_number(t->duration));
    if (t->incomplete)
        json_add(part, "incomplete", json_name(t->incomplete));
    json_add(root, "result", part);
    for (size_t i = 0; i < t->segment_count; i++)
        json_list_add(list, json_segment(&t->segments[i], doc->full));
    json_add(root, "transcription", list);
    return root;
}

void output_json(FILE *out, const struct document *doc)
{
    char *text = json_document(json_of(doc), JSON_MEASURED);
    fputs(text, out);
    fputc('\n', out);
    free(text);
}
