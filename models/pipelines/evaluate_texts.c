/* evaluate_texts.c - metrics of text files: transcripts against reference transcripts, captions against reference captions. */
#include "../../host/core/json.h"
#include "../../host/core/require.h"
#include "../metrics/metric_list.h"
#include "../metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

/* A file's lines, zero-terminated in `text`. */
struct lines {
    struct bytes text;
    char **list;
    size_t count;
};

static clio_status read_lines(clio_context *ctx, struct lines *l, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_map map = {0};
    *l = (struct lines){0};
    TRY(file_map(ctx, &map, path));
    if (memchr(map.data, 0, map.size))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is no text file", path);
    TRY(bytes_add(ctx, &l->text, map.data, map.size));
    for (size_t i = 0; i < map.size; i++)
        l->count += map.data[i] == '\n' || i + 1 == map.size;
    TRY(mem_alloc(ctx, &l->list, l->count + 1, sizeof *l->list));
    l->count = 0;
    for (char *at = l->text.data, *end; *at; at = end) {
        l->list[l->count++] = at;
        end = at + strcspn(at, "\n");
        if (*end)
            *end++ = '\0';
    }
fail:
    file_unmap(&map);
    return st;
}

static void free_lines(struct lines *l)
{
    bytes_free(&l->text);
    free(l->list);
}

/* All lines as one text. */
static void join_lines(struct lines *l)
{
    for (size_t i = 1; i < l->count; i++)
        l->list[i][-1] = ' ';
    l->count = MIN(l->count, (size_t)1);
}

clio_status clio_evaluate_transcripts(clio_context *ctx, const char *reference, const char *hypothesis, clio_metrics **out)
{
    clio_status st = CLIO_OK;
    struct lines a = {0}, b = {0};
    struct error_counts words = {0}, characters = {0};
    struct metric_list *found = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, reference, "reference");
    REQUIRE_TEXT(ctx, hypothesis, "hypothesis");
    REQUIRE(ctx, out, "out");
    TRY(read_lines(ctx, &a, reference));
    TRY(read_lines(ctx, &b, hypothesis));
    if (a.count != b.count) {
        join_lines(&a);
        join_lines(&b);
    }
    for (size_t i = 0; i < MIN(a.count, b.count); i++) {
        TRY(error_counts_words(ctx, &words, a.list[i], b.list[i]));
        TRY(error_counts_characters(ctx, &characters, a.list[i], b.list[i]));
    }
    TRY(metric_list_new(ctx, &found));
    TRY(metric_list_add(ctx, found, "word_error_rate", 100 * error_rate(&words), "%"));
    TRY(metric_list_add(ctx, found, "character_error_rate", 100 * error_rate(&characters), "%"));
    TRY(metric_list_add(ctx, found, "words", (double)words.said, ""));
    TRY(metric_list_add(ctx, found, "substitutions", (double)words.substitutions, ""));
    TRY(metric_list_add(ctx, found, "insertions", (double)words.insertions, ""));
    TRY(metric_list_add(ctx, found, "deletions", (double)words.deletions, ""));
    *out = &found->public;
    found = NULL;
fail:
    clio_metrics_free(found ? &found->public : NULL);
    free_lines(&a);
    free_lines(&b);
    return st;
}

/* ---- captions ---- */

/* An object: the file's name to an array of its texts. */
static clio_status read_captions(clio_context *ctx, json_t **out, const char *path)
{
    clio_status st = CLIO_OK;
    struct lines l = {0};
    json_t *row = NULL;
    *out = json_object();
    TRY(read_lines(ctx, &l, path));
    for (size_t i = 0; i < l.count; i++) {
        json_error_t error;
        if (l.list[i][strspn(l.list[i], " \t\r")] == '\0')
            continue;
        if (!(row = json_loads(l.list[i], 0, &error)))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s, line %zu is not JSON: %s", path, i + 1, error.text);
        const char *name = json_string_value(json_object_get(row, "file_name")), *text = json_string_value(json_object_get(row, "text"));
        text = text ? text : json_string_value(json_object_get(row, "caption"));
        if (!name || !text)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s, line %zu needs file_name and text", path, i + 1);
        if (!json_object_get(*out, name))
            json_object_set_new(*out, name, json_array());
        if (json_array_append_new(json_object_get(*out, name), json_string(text)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        json_decref(row);
        row = NULL;
    }
    if (!json_object_size(*out))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s holds no captions", path);
fail:
    json_decref(row);
    free_lines(&l);
    return st;
}

static clio_status make_case(clio_context *ctx, struct caption_case *c, const json_t *references)
{
    clio_status st = CLIO_OK;
    const char **list;
    c->reference_count = json_array_size(references);
    TRY(mem_alloc(ctx, &list, c->reference_count, sizeof *list));
    for (size_t i = 0; i < c->reference_count; i++)
        list[i] = json_string_value(json_array_get(references, i));
    c->references = list;
fail:
    return st;
}

static clio_status score(clio_context *ctx, struct metric_list *found, const struct caption_case *cases, size_t count)
{
    clio_status st = CLIO_OK;
    static const char *const names[] = {"bleu_1", "bleu_2", "bleu_3", "bleu_4"};
    struct caption_scores scores;
    TRY(caption_scores(ctx, &scores, cases, count));
    for (size_t i = 0; i < COUNT(names); i++)
        TRY(metric_list_add(ctx, found, names[i], scores.bleu[i], ""));
    TRY(metric_list_add(ctx, found, "rouge_l", scores.rouge_l, ""));
    TRY(metric_list_add(ctx, found, "cider_d", scores.cider_d, ""));
    TRY(metric_list_add(ctx, found, "captions", (double)count, ""));
fail:
    return st;
}

clio_status clio_evaluate_captions(clio_context *ctx, const char *captions, const char *references, clio_metrics **out)
{
    clio_status st = CLIO_OK;
    json_t *made = NULL, *given = NULL, *texts;
    struct caption_case *cases = NULL;
    struct metric_list *found = NULL;
    const char *name;
    size_t count = 0;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, captions, "captions");
    REQUIRE_TEXT(ctx, references, "references");
    REQUIRE(ctx, out, "out");
    TRY(read_captions(ctx, &made, captions));
    TRY(read_captions(ctx, &given, references));
    TRY(mem_alloc(ctx, &cases, json_object_size(made), sizeof *cases));
    json_object_foreach(made, name, texts)
    {
        if (json_array_size(texts) != 1)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %zu captions of %s: it needs one", captions, json_array_size(texts), name);
        if (!json_object_get(given, name))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has a caption of %s, of which %s has no reference", captions, name, references);
        cases[count].caption = json_string_value(json_array_get(texts, 0));
        TRY(make_case(ctx, &cases[count++], json_object_get(given, name)));
    }
    TRY(metric_list_new(ctx, &found));
    TRY(score(ctx, found, cases, count));
    *out = &found->public;
    found = NULL;
fail:
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)cases[i].references);
    free(cases);
    clio_metrics_free(found ? &found->public : NULL);
    json_decref(made);
    json_decref(given);
    return st;
}
