/* evaluate_texts.c - metrics of texts in files: word and character error rate of transcripts, BLEU, ROUGE-L and CIDEr-D of captions. */
#include "../../host/core/context.h"
#include "../../host/core/json.h"
#include "../../host/core/mem.h"
#include "../../host/core/require.h"
#include "../../host/core/text.h"
#include "../metrics/metric_list.h"
#include "../metrics/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file's lines, zero-terminated in `text`. */
struct lines {
    struct bytes text;
    char **list;
    size_t count;
};

/* Of an empty file, such as the transcript of silence, one empty line. */
static clio_status read_lines(clio_context *ctx, struct lines *l, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_content map = {0};
    struct stat info;
    *l = (struct lines){0};
    TRY(bytes_add(ctx, &l->text, "", 0));
    if (stat(path, &info) || !S_ISREG(info.st_mode) || info.st_size)
        TRY(file_load(ctx, &map, path));
    if (map.size && memchr(map.data, 0, map.size))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not a text file", path);
    if (map.size)
        TRY(bytes_add(ctx, &l->text, map.data, map.size));
    for (size_t i = 0; i < map.size; i++)
        l->count += map.data[i] == '\n' || i + 1 == map.size;
    TRY(mem_alloc(ctx, &l->list, l->count + 1, sizeof *l->list));
    l->count = 0;
    char *at = l->text.data, *end;
    do {
        l->list[l->count++] = at;
        end = at + strcspn(at, "\n");
        if (*end)
            *end++ = '\0';
        if (!text_is_utf8(at))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not valid UTF-8 in line %zu: save it as UTF-8", path, l->count);
        at = end;
    } while (*at);
fail:
    file_unload(&map);
    return st;
}

static void free_lines(struct lines *l)
{
    bytes_free(&l->text);
    free(l->list);
}

/* Join all lines into one. */
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
    struct metric_list *metrics = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, reference, "reference");
    REQUIRE_TEXT(ctx, hypothesis, "hypothesis");
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(read_lines(ctx, &a, reference));
    TRY(read_lines(ctx, &b, hypothesis));
    if (a.count != b.count) {
        join_lines(&a);
        join_lines(&b);
    }
    for (size_t i = 0; i < MIN(a.count, b.count); i++) {
        TRY(context_progress(ctx, "comparing texts", (double)i, (double)a.count));
        TRY(error_counts_words(ctx, &words, a.list[i], b.list[i]));
        TRY(error_counts_characters(ctx, &characters, a.list[i], b.list[i]));
    }
    TRY(metric_list_new(ctx, &metrics));
    TRY(metric_list_add(ctx, metrics, "word_error_rate", 100 * error_rate(&words), "%"));
    TRY(metric_list_add(ctx, metrics, "character_error_rate", 100 * error_rate(&characters), "%"));
    TRY(metric_list_add(ctx, metrics, "words", (double)words.reference_count, ""));
    TRY(metric_list_add(ctx, metrics, "substitutions", (double)words.substitutions, ""));
    TRY(metric_list_add(ctx, metrics, "insertions", (double)words.insertions, ""));
    TRY(metric_list_add(ctx, metrics, "deletions", (double)words.deletions, ""));
    *out = &metrics->public;
    metrics = NULL;
fail:
    clio_metrics_free(metrics ? &metrics->public : NULL);
    free_lines(&a);
    free_lines(&b);
    return st;
}

/* ---- captions ---- */

/* out: an object of file_name: array of texts. */
static clio_status read_captions(clio_context *ctx, json_t **out, const char *path)
{
    clio_status st = CLIO_OK;
    struct lines l = {0};
    struct bytes what = {0};
    json_t *row = NULL;
    TRY(json_made(ctx, out, json_object()));
    TRY(read_lines(ctx, &l, path));
    for (size_t i = 0; i < l.count; i++) {
        if (l.list[i][strspn(l.list[i], " \t\r")] == '\0')
            continue;
        bytes_free(&what);
        TRY(bytes_print(ctx, &what, "line %zu of %s", i + 1, path));
        TRY(json_parse(ctx, l.list[i], strlen(l.list[i]), 0, what.data, &row));
        const char *name = json_string_value(json_object_get(row, "file_name")), *text = json_string_value(json_object_get(row, "text"));
        text = text ? text : json_string_value(json_object_get(row, "caption"));
        if (!name || !text)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: line %zu needs \"file_name\" and \"text\"", path, i + 1);
        if (!json_object_get(*out, name))
            TRY(json_put(ctx, *out, name, json_array()));
        TRY(json_append(ctx, json_object_get(*out, name), json_string(text)));
        json_decref(row);
        row = NULL;
    }
    if (!json_object_size(*out))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no captions", path);
fail:
    json_decref(row);
    bytes_free(&what);
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

static clio_status score(clio_context *ctx, struct metric_list *metrics, const struct caption_case *cases, size_t count)
{
    clio_status st = CLIO_OK;
    static const char *const names[] = {"bleu_1", "bleu_2", "bleu_3", "bleu_4"};
    struct caption_scores scores;
    TRY(caption_scores(ctx, &scores, cases, count));
    for (size_t i = 0; i < COUNT(names); i++)
        TRY(metric_list_add(ctx, metrics, names[i], scores.bleu[i], ""));
    TRY(metric_list_add(ctx, metrics, "rouge_l", scores.rouge_l, ""));
    TRY(metric_list_add(ctx, metrics, "cider_d", scores.cider_d, ""));
    TRY(metric_list_add(ctx, metrics, "captions", (double)count, ""));
fail:
    return st;
}

clio_status clio_evaluate_captions(clio_context *ctx, const char *captions, const char *references, clio_metrics **out)
{
    clio_status st = CLIO_OK;
    json_t *hypotheses = NULL, *references_by_name = NULL, *texts;
    struct caption_case *cases = NULL;
    struct metric_list *metrics = NULL;
    const char *name;
    size_t count = 0;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, captions, "captions");
    REQUIRE_TEXT(ctx, references, "references");
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(read_captions(ctx, &hypotheses, captions));
    TRY(read_captions(ctx, &references_by_name, references));
    TRY(mem_alloc(ctx, &cases, json_object_size(hypotheses), sizeof *cases));
    json_object_foreach(hypotheses, name, texts)
    {
        if (json_array_size(texts) != 1)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %zu captions of %s: it must have one", captions, json_array_size(texts), name);
        if (!json_object_get(references_by_name, name))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has a caption of %s, but %s has no reference for it", captions, name, references);
        cases[count].caption = json_string_value(json_array_get(texts, 0));
        TRY(make_case(ctx, &cases[count++], json_object_get(references_by_name, name)));
    }
    TRY(metric_list_new(ctx, &metrics));
    TRY(score(ctx, metrics, cases, count));
    *out = &metrics->public;
    metrics = NULL;
fail:
    for (size_t i = 0; i < count; i++)
        free(mem_const_cast(cases[i].references));
    free(cases);
    clio_metrics_free(metrics ? &metrics->public : NULL);
    json_decref(hypotheses);
    json_decref(references_by_name);
    return st;
}
