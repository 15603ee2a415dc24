/* metrics_captions.c - BLEU, ROUGE-L and CIDEr-D of a set of captions, with the constants of coco-caption (pycocoevalcap: bleu_scorer.py,
 * rouge.py, cider_scorer.py), so that scores are comparable with published ones. Two passes: the first counts the document frequency of
 * each n-gram in the references, the second scores case by case; sentences are not kept. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRAMS 4
#define ROUGE_BETA 1.2
#define CIDER_SIGMA 6.0

struct gram {
    uint32_t number, count;
};
struct sentence {
    size_t words;
    uint32_t *word;           /* [words] */
    struct gram *list[GRAMS]; /* unique n-grams, sorted by number */
    size_t different[GRAMS];
};

struct scorer {
    clio_context *ctx;
    struct number_table words, grams;
    uint32_t *cases, *last; /* per n-gram: number of cases with it in their references, index of the last one + 1 */
    size_t capacity;        /* of both arrays */
    double log_cases;       /* logarithm of the number of cases */
    uint64_t correct[GRAMS], guessed[GRAMS], length, reference_length; /* for BLEU */
    double rouge, cider;
    uint64_t *match; /* for longest_common_subsequence */
    size_t match_capacity;
};

/* ---- sentences ---- */

static void sentence_free(struct sentence *s)
{
    free(s->word);
    for (int n = 0; n < GRAMS; n++)
        free(s->list[n]);
    memset(s, 0, sizeof *s);
}

static void sentences_free(struct sentence *list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        sentence_free(&list[i]);
    free(list);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct gram *)a)->number, y = ((const struct gram *)b)->number;
    return (x > y) - (x < y);
}

/* Count the n-grams of n + 1 words. */
static clio_status count_grams(struct scorer *scorer, struct sentence *s, int n)
{
    clio_status st = CLIO_OK;
    size_t total = s->words > (size_t)n ? s->words - (size_t)n : 0, unique = 0;
    struct gram *list;
    TRY(mem_alloc(scorer->ctx, &s->list[n], total + 1, sizeof *s->list[n]));
    list = s->list[n];
    for (size_t i = 0; i < total; i++) {
        TRY(number_table_add(scorer->ctx, &scorer->grams, s->word + i, (size_t)(n + 1) * sizeof *s->word, &list[i].number));
        list[i].count = 1;
    }
    qsort(list, total, sizeof *list, by_number);
    for (size_t i = 0; i < total; i++)
        if (unique && list[unique - 1].number == list[i].number)
            list[unique - 1].count++;
        else
            list[unique++] = list[i];
    s->different[n] = unique;
fail:
    return st;
}

static clio_status sentence_read(struct scorer *scorer, struct sentence *s, const char *text)
{
    clio_status st = CLIO_OK;
    struct words words;
    const char *p;
    TRY(words_read(scorer->ctx, &words, text, WORDS_CAPTION));
    s->words = words.count;
    TRY(mem_alloc(scorer->ctx, &s->word, words.count + 1, sizeof *s->word));
    p = words.text.data;
    for (size_t i = 0; i < words.count; i++, p += strlen(p) + 1)
        TRY(number_table_add(scorer->ctx, &scorer->words, p, strlen(p), &s->word[i]));
    for (int n = 0; n < GRAMS; n++)
        TRY(count_grams(scorer, s, n));
fail:
    words_free(&words); /* empty if words_read failed */
    return st;
}

static clio_status references_read(struct scorer *scorer, struct sentence **out, const struct caption_case *c)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(scorer->ctx, out, c->reference_count, sizeof **out));
    for (size_t i = 0; i < c->reference_count; i++)
        TRY(sentence_read(scorer, &(*out)[i], c->references[i]));
fail:
    return st;
}

static uint32_t count_in(const struct sentence *s, int n, uint32_t number)
{
    struct gram key = {number, 0}, *found = bsearch(&key, s->list[n], s->different[n], sizeof key, by_number);
    return found ? found->count : 0;
}

/* ---- first pass ---- */

static clio_status count_document_frequency(struct scorer *scorer, const struct sentence *s, size_t index)
{
    clio_status st = CLIO_OK;
    uint32_t *cases = NULL, *last = NULL;
    if (scorer->grams.count > scorer->capacity) {
        size_t capacity = 2 * scorer->grams.count;
        TRY(mem_alloc(scorer->ctx, &cases, capacity, sizeof *cases));
        TRY(mem_alloc(scorer->ctx, &last, capacity, sizeof *last));
        for (size_t i = 0; i < scorer->capacity; i++) {
            cases[i] = scorer->cases[i];
            last[i] = scorer->last[i];
        }
        free(scorer->cases);
        free(scorer->last);
        scorer->cases = cases;
        scorer->last = last;
        scorer->capacity = capacity;
    }
    for (int n = 0; n < GRAMS; n++)
        for (size_t i = 0; i < s->different[n]; i++) {
            uint32_t number = s->list[n][i].number;
            scorer->cases[number] += scorer->last[number] != index + 1;
            scorer->last[number] = (uint32_t)(index + 1);
        }
    return CLIO_OK;
fail:
    free(cases);
    return st;
}

/* ---- second pass ---- */

static void add_bleu(struct scorer *scorer, const struct sentence *s, const struct sentence *references, size_t count)
{
    size_t closest = references[0].words;
    for (size_t r = 1; r < count; r++) {
        size_t length = references[r].words, distance = MAX(length, s->words) - MIN(length, s->words);
        size_t best = MAX(closest, s->words) - MIN(closest, s->words);
        if (distance < best || (distance == best && length < closest))
            closest = length;
    }
    scorer->length += s->words;
    scorer->reference_length += closest;
    for (int n = 0; n < GRAMS; n++) {
        scorer->guessed[n] += s->words > (size_t)n ? s->words - (size_t)n : 0;
        for (size_t i = 0; i < s->different[n]; i++) {
            uint32_t max_count = 0;
            for (size_t r = 0; r < count; r++)
                max_count = MAX(max_count, count_in(&references[r], n, s->list[n][i].number));
            scorer->correct[n] += MIN(max_count, s->list[n][i].count);
        }
    }
}

/* A zero for each word known so far. */
static clio_status match_reserve(struct scorer *scorer)
{
    clio_status st = CLIO_OK;
    if (scorer->words.count > scorer->match_capacity) {
        free(scorer->match); /* all zeros */
        scorer->match_capacity = 0;
        TRY(mem_alloc(scorer->ctx, &scorer->match, 2 * scorer->words.count, sizeof *scorer->match));
        scorer->match_capacity = 2 * scorer->words.count;
    }
fail:
    return st;
}

static clio_status add_rouge(struct scorer *scorer, const struct sentence *s, const struct sentence *references, size_t count)
{
    clio_status st = CLIO_OK;
    double precision = 0, recall = 0, square = ROUGE_BETA * ROUGE_BETA;
    for (size_t r = 0; r < count && s->words; r++) {
        size_t length;
        if (!references[r].words)
            continue;
        TRY(match_reserve(scorer));
        TRY(longest_common_subsequence(scorer->ctx, &length, s->word, s->words, references[r].word, references[r].words, scorer->match));
        precision = MAX(precision, (double)length / (double)s->words);
        recall = MAX(recall, (double)length / (double)references[r].words);
    }
    if (precision > 0 && recall > 0)
        scorer->rouge += (1 + square) * precision * recall / (recall + square * precision);
fail:
    return st;
}

/* IDF of an n-gram: log(cases / document frequency). */
static double inverse_document_frequency(const struct scorer *scorer, uint32_t number)
{
    return scorer->log_cases - log(number < scorer->capacity && scorer->cases[number] ? scorer->cases[number] : 1.0);
}

static double norm(const struct scorer *scorer, const struct sentence *s, int n)
{
    double sum = 0;
    for (size_t i = 0; i < s->different[n]; i++) {
        double weight = s->list[n][i].count * inverse_document_frequency(scorer, s->list[n][i].number);
        sum += weight * weight;
    }
    return sqrt(sum);
}

static void add_cider(struct scorer *scorer, const struct sentence *s, const struct sentence *references, size_t count)
{
    double score = 0;
    for (size_t r = 0; r < count; r++) {
        /* coco-caption uses the number of bigrams as the length */
        double a = s->words ? (double)s->words - 1 : 0, b = references[r].words ? (double)references[r].words - 1 : 0;
        double shape = exp(-(a - b) * (a - b) / (2 * CIDER_SIGMA * CIDER_SIGMA));
        for (int n = 0; n < GRAMS; n++) {
            double sum = 0, norms = norm(scorer, s, n) * norm(scorer, &references[r], n);
            for (size_t i = 0; i < s->different[n]; i++) {
                double weight = inverse_document_frequency(scorer, s->list[n][i].number);
                double there = weight * count_in(&references[r], n, s->list[n][i].number);
                sum += MIN(weight * s->list[n][i].count, there) * there;
            }
            score += shape * (norms > 0 ? sum / norms : sum) / GRAMS;
        }
    }
    scorer->cider += 10 * score / (double)count;
}

static clio_status score_case(struct scorer *scorer, const struct caption_case *c)
{
    clio_status st = CLIO_OK;
    struct sentence caption, *references = NULL;
    memset(&caption, 0, sizeof caption);
    TRY(references_read(scorer, &references, c));
    TRY(sentence_read(scorer, &caption, c->caption));
    add_bleu(scorer, &caption, references, c->reference_count);
    TRY(add_rouge(scorer, &caption, references, c->reference_count));
    add_cider(scorer, &caption, references, c->reference_count);
fail:
    sentence_free(&caption);
    sentences_free(references, c->reference_count);
    return st;
}

static void finish(const struct scorer *scorer, struct caption_scores *out, size_t count)
{
    double product = 1, ratio = ((double)scorer->length + 1e-15) / ((double)scorer->reference_length + 1e-9);
    for (int n = 0; n < GRAMS; n++) {
        product *= ((double)scorer->correct[n] + 1e-15) / ((double)scorer->guessed[n] + 1e-9);
        out->bleu[n] = pow(product, 1.0 / (n + 1)) * (ratio < 1 ? exp(1 - 1 / ratio) : 1);
    }
    out->rouge_l = scorer->rouge / (double)count;
    out->cider_d = scorer->cider / (double)count;
}

static clio_status count_references(struct scorer *scorer, const struct caption_case *c, size_t index)
{
    clio_status st = CLIO_OK;
    struct sentence *references = NULL;
    if (c->reference_count < 1)
        FAIL(scorer->ctx, CLIO_ERROR_FORMAT, "caption %zu has no reference", index + 1);
    TRY(references_read(scorer, &references, c));
    for (size_t r = 0; r < c->reference_count; r++)
        TRY(count_document_frequency(scorer, &references[r], index));
fail:
    sentences_free(references, c->reference_count);
    return st;
}

clio_status caption_scores(clio_context *ctx, struct caption_scores *out, const struct caption_case *cases, size_t count)
{
    clio_status st = CLIO_OK;
    struct scorer scorer = {.ctx = ctx};
    memset(out, 0, sizeof *out);
    if (count < 1 || count >= UINT32_MAX)
        FAIL(ctx, CLIO_ERROR_FORMAT, "there are no captions to score");
    for (size_t i = 0; i < count; i++)
        TRY(count_references(&scorer, &cases[i], i));
    scorer.log_cases = log((double)count);
    for (size_t i = 0; i < count; i++)
        TRY(score_case(&scorer, &cases[i]));
    finish(&scorer, out, count);
fail:
    number_table_free(&scorer.words);
    number_table_free(&scorer.grams);
    free(scorer.cases);
    free(scorer.last);
    free(scorer.match);
    return st;
}
