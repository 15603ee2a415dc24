/* metrics_words.c - word and character errors: split texts into words, number the words; the edits: metrics_edits.c. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- words ---- */

static bool is_letter(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME);
}

static bool is_number(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

static clio_status add_character(clio_context *ctx, struct words *words, utf8proc_int32_t c)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t size = utf8proc_encode_char(c, bytes);
    return bytes_add(ctx, &words->text, bytes, (size_t)size);
}

static clio_status end_word(clio_context *ctx, struct words *words)
{
    if (words->text.size == 0 || words->text.data[words->text.size - 1] == 0)
        return CLIO_OK;
    words->count++;
    return bytes_add(ctx, &words->text, "", 1);
}

static clio_status add_digit(clio_context *ctx, struct words *words, int digit)
{
    static const char *const names[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
    clio_status st = CLIO_OK;
    TRY(end_word(ctx, words));
    TRY(bytes_add(ctx, &words->text, names[digit], strlen(names[digit])));
    TRY(end_word(ctx, words));
fail:
    return st;
}

clio_status words_read(clio_context *ctx, struct words *words, const char *text, enum words_type type)
{
    clio_status st = CLIO_OK;
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    utf8proc_int32_t c, joiner = 0; /* an apostrophe or hyphen: part of a caption's word if a letter follows */
    memset(words, 0, sizeof *words);
    while (*p) {
        utf8proc_ssize_t size = utf8proc_iterate(p, -1, &c);
        if (size <= 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "a text is not valid UTF-8 at byte %zu: save it as UTF-8",
                 (size_t)(p - (const utf8proc_uint8_t *)text));
        p += size;
        c = utf8proc_tolower(c == 0x2019 ? '\'' : c);
        if (type == WORDS_TRANSCRIPT && c >= '0' && c <= '9') {
            TRY(add_digit(ctx, words, (int)c - '0'));
        } else if (is_letter(c) || is_number(c) || (type == WORDS_TRANSCRIPT && c == '\'')) {
            if (joiner && words->text.size && words->text.data[words->text.size - 1])
                TRY(add_character(ctx, words, joiner));
            TRY(add_character(ctx, words, c));
            joiner = 0;
        } else if (type == WORDS_CAPTION && (c == '\'' || c == '-') && !joiner && words->text.size &&
                   words->text.data[words->text.size - 1]) {
            joiner = c;
        } else {
            TRY(end_word(ctx, words));
            joiner = 0;
        }
    }
    TRY(end_word(ctx, words));
    return CLIO_OK;
fail:
    words_free(words);
    return st;
}

void words_free(struct words *words)
{
    bytes_free(&words->text);
    memset(words, 0, sizeof *words);
}

/* ---- words as numbers ---- */

static uint64_t hash_of(const void *data, size_t size)
{
    uint64_t hash = mem_hash(MEM_HASH_START, data, size);
    return hash ^ hash >> 29;
}

static clio_status grow(clio_context *ctx, struct number_table *table)
{
    clio_status st = CLIO_OK;
    struct number_entry *entries;
    size_t capacity = table->capacity ? 2 * table->capacity : 1024; /* a power of two */
    TRY(mem_alloc(ctx, &entries, capacity, sizeof *entries));
    for (size_t i = 0; i < table->capacity; i++)
        if (table->entries[i].number) {
            size_t at = table->entries[i].hash & (capacity - 1);
            while (entries[at].number)
                at = (at + 1) & (capacity - 1);
            entries[at] = table->entries[i];
        }
    free(table->entries);
    table->entries = entries;
    table->capacity = capacity;
fail:
    return st;
}

clio_status number_table_add(clio_context *ctx, struct number_table *table, const void *data, size_t size, uint32_t *number)
{
    clio_status st = CLIO_OK;
    uint64_t hash = hash_of(data, size);
    size_t at;
    if (2 * table->count >= table->capacity)
        TRY(grow(ctx, table));
    for (at = hash & (table->capacity - 1); table->entries[at].number; at = (at + 1) & (table->capacity - 1)) {
        const struct number_entry *e = &table->entries[at];
        const char *bytes = table->bytes.data; /* not NULL: the table has an entry */
        if (bytes && e->hash == hash && e->size == size && !memcmp(bytes + e->at, data, size)) {
            *number = e->number - 1;
            return CLIO_OK;
        }
    }
    table->entries[at] = (struct number_entry){hash, table->bytes.size, size, 0};
    TRY(bytes_add(ctx, &table->bytes, data, size));
    *number = (uint32_t)table->count++;
    table->entries[at].number = *number + 1;
fail:
    return st;
}

void number_table_free(struct number_table *table)
{
    free(table->entries);
    bytes_free(&table->bytes);
    memset(table, 0, sizeof *table);
}

/* ---- errors ---- */

double error_rate(const struct error_counts *counts)
{
    return counts->reference_count ? (double)counts->errors / (double)counts->reference_count : counts->errors ? INFINITY : 0;
}

static clio_status add_words(clio_context *ctx, struct error_counts *counts, const struct words *reference, const struct words *hypothesis)
{
    clio_status st = CLIO_OK;
    struct number_table table = {0};
    uint32_t *numbers = NULL;
    size_t at = 0;
    TRY(mem_alloc(ctx, &numbers, reference->count + hypothesis->count, sizeof *numbers));
    for (int k = 0; k < 2; k++) {
        const struct words *w = k ? hypothesis : reference;
        const char *p = w->text.data;
        for (size_t i = 0; i < w->count; i++, p += strlen(p) + 1)
            TRY(number_table_add(ctx, &table, p, strlen(p), &numbers[at++]));
    }
    TRY(edits_by_type(ctx, counts, numbers, reference->count, numbers + reference->count, hypothesis->count, table.count));
fail:
    number_table_free(&table);
    free(numbers);
    return st;
}

/* The characters of the words, separated by single spaces; *most is at least each of them. */
static size_t characters_of(uint32_t *out, const struct words *words, uint32_t *most)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)words->text.data, *end;
    size_t count = 0;
    if (!words->count)
        return 0;
    end = p + words->text.size - 1;
    while (p < end) {
        utf8proc_int32_t c = ' ';
        p += *p ? utf8proc_iterate(p, end - p, &c) : 1;
        out[count++] = (uint32_t)c;
        *most = MAX(*most, (uint32_t)c);
    }
    return count;
}

static clio_status add_characters(clio_context *ctx, struct error_counts *counts, const struct words *reference,
                                  const struct words *hypothesis)
{
    clio_status st = CLIO_OK;
    uint32_t *a = NULL, *b = NULL, most = 0;
    uint64_t edits;
    size_t n, m;
    TRY(mem_alloc(ctx, &a, reference->text.size, sizeof *a));
    TRY(mem_alloc(ctx, &b, hypothesis->text.size, sizeof *b));
    n = characters_of(a, reference, &most);
    m = characters_of(b, hypothesis, &most);
    TRY(edit_distance(ctx, &edits, a, n, b, m, (size_t)most + 1));
    counts->reference_count += n;
    counts->errors += edits;
fail:
    free(a);
    free(b);
    return st;
}

static clio_status add_pair(clio_context *ctx, struct error_counts *counts, const char *reference, const char *hypothesis, bool characters)
{
    clio_status st = CLIO_OK;
    struct words a = {{NULL, 0, 0}, 0}, b = {{NULL, 0, 0}, 0};
    TRY(words_read(ctx, &a, reference, WORDS_TRANSCRIPT));
    TRY(words_read(ctx, &b, hypothesis, WORDS_TRANSCRIPT));
    TRY(characters ? add_characters(ctx, counts, &a, &b) : add_words(ctx, counts, &a, &b));
fail:
    words_free(&a);
    words_free(&b);
    return st;
}

clio_status error_counts_words(clio_context *ctx, struct error_counts *counts, const char *reference, const char *hypothesis)
{
    return add_pair(ctx, counts, reference, hypothesis, false);
}

clio_status error_counts_characters(clio_context *ctx, struct error_counts *counts, const char *reference, const char *hypothesis)
{
    return add_pair(ctx, counts, reference, hypothesis, true);
}
