/* output_json.c - the JSON document of a transcript. The keys are those of whisper.cpp's -oj and -ojf; clio adds result.duration_s and,
 * with -ojf, the scores of each segment. Token texts: see text.h. */
#include "output.h"
#include "say.h"
#include "text.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* Jansson accepts UTF-8 only, and a file name may be anything. */
static json_t *json_text(const char *text)
{
    char *clean = text_clean(text);
    json_t *value = json_string(clean);
    free(clean);
    return value;
}

/* JSON has no infinity and no NaN. */
static json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void add_times(json_t *to, double start, double end)
{
    char from[32], until[32];
    stamp_print(from, start, ',');
    stamp_print(until, end, ',');
    json_object_set_new(to, "timestamps", json_pack("{s:s, s:s}", "from", from, "to", until));
    json_object_set_new(to, "offsets",
                        json_pack("{s:I, s:I}", "from", (json_int_t)llround(start * 1000), "to", (json_int_t)llround(end * 1000)));
}

/* Whether no text follows token i directly: what is left of a broken character then belongs to it, and not to a timestamp. */
static bool ends_text(const clio_segment *segment, size_t i)
{
    return i + 1 == segment->token_count || segment->tokens[i + 1].time >= 0;
}

static json_t *json_tokens(const clio_segment *segment)
{
    json_t *list = json_array();
    struct text_rest rest = {.count = 0};
    for (size_t i = 0; i < segment->token_count; i++) {
        const clio_token *token = &segment->tokens[i];
        char *text = text_of_token(&rest, token->text, ends_text(segment, i));
        json_t *row = json_pack("{s:s}", "text", text);
        if (token->time >= 0)
            add_times(row, token->time, token->time);
        json_object_set_new(row, "id", json_integer(token->id));
        json_object_set_new(row, "p", json_number((double)token->probability));
        json_array_append_new(list, row);
        free(text);
    }
    return list;
}

static json_t *json_segment(const clio_segment *segment, bool full)
{
    json_t *row = json_object();
    add_times(row, segment->start, segment->end);
    json_object_set_new(row, "text", json_text(segment->text));
    if (full) {
        json_object_set_new(row, "temperature", json_number(segment->temperature));
        json_object_set_new(row, "avg_logprob", json_number(segment->avg_logprob));
        json_object_set_new(row, "compression_ratio", json_number(segment->compression_ratio));
        json_object_set_new(row, "no_speech_prob", json_number(segment->no_speech_probability));
        json_object_set_new(row, "tokens", json_tokens(segment));
    }
    return row;
}

static json_t *json_document(const struct document *doc)
{
    const clio_transcript *t = doc->transcript;
    json_t *root = json_object(), *part = json_object(), *list = json_array();
    char *system = must_print("clio %s, %s (%s, %s, driver %s)", clio_version(), doc->device->name, doc->device->type,
                              doc->device->platform, doc->device->driver);
    json_object_set_new(root, "systeminfo", json_text(system));
    free(system);
    json_object_set_new(root, "model", json_pack("{s:b}", "multilingual", (int)doc->multilingual));
    json_object_set_new(part, "file", json_text(doc->file));
    json_object_set_new(part, "model", json_text(doc->model));
    json_object_set_new(part, "language", json_text(doc->language ? doc->language : "auto"));
    json_object_set_new(part, "translate", json_boolean(doc->translate));
    json_object_set_new(root, "params", part);
    part = json_object();
    json_object_set_new(part, "language", json_text(t->language ? t->language : ""));
    json_object_set_new(part, "language_probability", json_number(t->language_probability));
    json_object_set_new(part, "duration_s", json_number(t->duration));
    if (t->incomplete)
        json_object_set_new(part, "incomplete", json_text(t->incomplete));
    json_object_set_new(root, "result", part);
    for (size_t i = 0; i < t->segment_count; i++)
        json_array_append_new(list, json_segment(&t->segments[i], doc->full));
    json_object_set_new(root, "transcription", list);
    return root;
}

void output_json(FILE *out, const struct document *doc)
{
    json_t *root = json_document(doc);
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(root);
    if (!text) {
        say_error("out of memory");
        exit(EXIT_FAILED);
    }
    fputs(text, out);
    fputc('\n', out);
    free(text);
}
