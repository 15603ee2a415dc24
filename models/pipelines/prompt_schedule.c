/* prompt_schedule.c - split a prompt at AND, and write out the text of each step. See prompt_schedule.h. */
#include "prompt_schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NESTED_MAX 100
#define AND_WORD "AND"

/* ---- characters ---- */

bool prompt_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool prompt_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

size_t prompt_number(const char *s, double *value)
{
    size_t n = s[0] == '+' || s[0] == '-', digits = 0;
    double scale = 1;
    bool point = false;
    *value = 0;
    for (;; n++) {
        if (s[n] >= '0' && s[n] <= '9') {
            *value = *value * 10 + (s[n] - '0');
            scale *= point ? 10 : 1;
            digits++;
        } else if (s[n] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    *value = (s[0] == '-' ? -*value : *value) / scale;
    return digits && s[n] != '.' ? n : 0;
}

size_t prompt_find_word(const char *text, size_t from, size_t size, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = from; at + n <= size; at++)
        if (!memcmp(text + at, word, n) && (at == 0 || !prompt_is_word(text[at - 1])) && (at + n == size || !prompt_is_word(text[at + n])))
            return at;
    return size;
}

/* ---- brackets ---- */

#define UNPAIRED SIZE_MAX

struct schedule {
    clio_context *ctx;
    const char *text;
    size_t size;
    size_t *partner; /* [size]: of an opening bracket the closing one, if the brackets between them pair; else UNPAIRED */
    int step, steps; /* the step that is written out, from 1 */
    bool changes;    /* a schedule or an alternation was found */
};

static clio_status pair_brackets(struct schedule *s)
{
    clio_status st = CLIO_OK;
    size_t *open = NULL, count = 0;
    TRY(mem_alloc(s->ctx, &s->partner, s->size + 1, sizeof *s->partner));
    TRY(mem_alloc(s->ctx, &open, s->size + 1, sizeof *open));
    for (size_t i = 0; i < s->size; i++) {
        char c = s->text[i];
        s->partner[i] = UNPAIRED;
        if (c == '\\') {
            i++;
            continue;
        }
        if (c == '(' || c == '[')
            open[count++] = i;
        else if ((c == ')' || c == ']') && count && s->text[open[count - 1]] == (c == ')' ? '(' : '['))
            s->partner[open[--count]] = i;
        else if (c == ')' || c == ']')
            count = 0; /* no bracket around this one can pair */
    }
fail:
    free(open);
    return st;
}

/* The next ":" or "|" in [from, end) that is in no inner bracket, or `end`. */
static size_t next_separator(const struct schedule *s, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++) {
        char c = s->text[i];
        if (c == '\\')
            i++;
        else if ((c == '[' || c == '(') && s->partner[i] != UNPAIRED)
            i = s->partner[i];
        else if (c == ':' || c == '|')
            return i;
    }
    return end;
}

/* "0.25" or "10", spaces around it allowed, is all of [from, end): *when is the number of steps before the change. */
static bool read_when(const struct schedule *s, size_t from, size_t end, int *when)
{
    double value;
    while (from < end && prompt_is_space(s->text[from]))
        from++;
    while (from < end && prompt_is_space(s->text[end - 1]))
        end--;
    if (from == end || prompt_number(s->text + from, &value) != end - from)
        return false;
    if (memchr(s->text + from, '.', end - from))
        value *= s->steps;
    *when = (int)fmin(fmax(value, 0), s->steps);
    return true;
}

/* Whether the brackets at [open, close] are a schedule or an alternation; then [*from, *end) is what this step takes of them. */
static bool choose(const struct schedule *s, size_t open, size_t close, size_t *from, size_t *end)
{
    size_t marks[4] = {open}, found = 0, options = 1, bars = 0;
    for (size_t at = next_separator(s, open + 1, close); at < close; at = next_separator(s, at + 1, close)) {
        bars += s->text[at] == '|';
        if (++found < COUNT(marks))
            marks[found] = at;
    }
    options += bars;
    *from = open + 1;
    *end = close;
    if (bars && bars == found) {
        for (size_t skip = (size_t)(s->step - 1) % options; skip; skip--)
            *from = next_separator(s, *from, close) + 1;
        *end = next_separator(s, *from, close);
        return true;
    }
    int when;
    if (bars || found < 1 || found > 2 || !read_when(s, marks[found] + 1, close, &when))
        return false;
    if (s->step <= when) {
        *from = open + 1;
        *end = found == 2 ? marks[1] : open + 1;
    } else {
        *from = found == 2 ? marks[1] + 1 : open + 1;
        *end = marks[found];
    }
    return true;
}

/* Append what [from, end) says in this step. */
static clio_status write_out(struct schedule *s, size_t from, size_t end, int depth, struct bytes *out)
{
    clio_status st = CLIO_OK;
    size_t first, last;
    if (depth > NESTED_MAX)
        FAIL(s->ctx, CLIO_ERROR_ARGUMENT, "the prompt has more than %d schedules [a:b:0.5] or alternations [a|b] in each other: use fewer",
             NESTED_MAX);
    for (size_t i = from; i < end; i++) {
        size_t close = s->text[i] == '[' ? s->partner[i] : UNPAIRED;
        if (close != UNPAIRED && choose(s, i, close, &first, &last)) {
            s->changes = true;
            TRY(write_out(s, first, last, depth + 1, out));
            i = close;
            continue;
        }
        size_t size = s->text[i] == '\\' && i + 1 < end ? 2 : 1;
        TRY(bytes_add(s->ctx, out, s->text + i, size));
        i += size - 1;
    }
fail:
    return st;
}

/* ---- parts ---- */

/* The text becomes that of step `step`, from 0; one that occurred before is not stored twice. Takes over the bytes. */
static clio_status keep_text(clio_context *ctx, struct prompt_part *part, int step, struct bytes *text)
{
    clio_status st = CLIO_OK;
    char **grown;
    if (!text->data)
        TRY(bytes_add(ctx, text, "", 0)); /* zero-terminated, too */
    for (int i = 0; i < part->count; i++)
        if (!strcmp(part->texts[i], text->data)) {
            part->at[step] = i;
            return CLIO_OK;
        }
    grown = realloc(part->texts, ((size_t)part->count + 1) * sizeof *grown);
    if (!grown)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    part->texts = grown;
    part->at[step] = part->count;
    part->texts[part->count++] = text->data;
    *text = (struct bytes){0};
fail:
    return st;
}

static clio_status read_part(clio_context *ctx, struct prompt_part *part, const char *text, size_t size, int steps)
{
    clio_status st = CLIO_OK;
    struct schedule s = {.ctx = ctx, .text = text, .size = size, .steps = steps};
    struct bytes out = {0};
    TRY(mem_alloc(ctx, &part->at, (size_t)steps, sizeof *part->at));
    TRY(pair_brackets(&s));
    for (int step = 0; step < steps && (step == 0 || s.changes); step++) {
        s.step = step + 1;
        out.size = 0;
        TRY(write_out(&s, 0, size, 0, &out));
        TRY(keep_text(ctx, part, step, &out));
    }
    TRY(mem_alloc(ctx, &part->embeds, (size_t)part->count, sizeof *part->embeds));
fail:
    free(s.partner);
    bytes_free(&out);
    return st;
}

/* Take ": 1.2" off the end of text[0 .. size). Returns the size that is left. */
static size_t take_weight(const char *text, size_t size, double *weight)
{
    size_t end = size, colon;
    double value;
    while (end && prompt_is_space(text[end - 1]))
        end--;
    for (colon = end; colon && text[colon - 1] != ':'; colon--)
        ;
    size_t from = colon;
    while (from < end && prompt_is_space(text[from]))
        from++;
    if (!colon || from == end || prompt_number(text + from, &value) != end - from)
        return size;
    *weight = value;
    return colon - 1;
}

clio_status prompt_plan_read(clio_context *ctx, struct prompt_plan *plan, const char *text, int steps, bool composes)
{
    clio_status st = CLIO_OK;
    size_t size = strlen(text), parts = 1, end;
    *plan = (struct prompt_plan){0};
    for (size_t at = 0; composes && (at = prompt_find_word(text, at, size, AND_WORD)) < size; at += strlen(AND_WORD))
        parts++;
    TRY(mem_alloc(ctx, &plan->list, parts, sizeof *plan->list));
    for (size_t from = 0; plan->count < (int)parts; from = end + strlen(AND_WORD)) {
        struct prompt_part *part = &plan->list[plan->count++];
        end = composes ? prompt_find_word(text, from, size, AND_WORD) : size;
        part->weight = 1;
        TRY(read_part(ctx, part, text + from, parts > 1 ? take_weight(text + from, end - from, &part->weight) : end - from, steps));
    }
fail:
    if (st)
        prompt_plan_free(plan);
    return st;
}

void prompt_plan_free(struct prompt_plan *plan)
{
    for (int i = 0; i < plan->count; i++) {
        struct prompt_part *part = &plan->list[i];
        for (int k = 0; k < part->count; k++) {
            free(part->texts[k]);
            if (part->embeds)
                free(part->embeds[k]);
        }
        free(part->texts);
        free(part->embeds);
        free(part->at);
    }
    free(plan->list);
    *plan = (struct prompt_plan){0};
}
