/* metrics_edits.c - edit distance (Levenshtein 1966) and longest common subsequence of two sequences of numbers, n and m of them below
 * `symbols`. Memory is linear: a transcript of hours, joined into one line, has a million characters. Both take 64 rows of the table at a
 * time as the bits of a word: G. Myers, "A fast bit-vector algorithm for approximate string matching", 1999, in the form of H. Hyyro,
 * "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003; H. Hyyro, "Bit-parallel LCS-length computation
 * revisited", 2004. */
#include "metrics.h"

#include "../../host/core/context.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 64           /* bits of a word */
#define CELLS_AT_ONCE 4e6 /* of the table, between two looks at whether the caller cancelled */

/* Ask whether to stop, now and then: `row` of `n` rows of `m` columns are done, and the next `rows` follow. */
static clio_status check_cancelled(clio_context *ctx, size_t row, size_t rows, size_t n, size_t m)
{
    double before = (double)row * (double)m / CELLS_AT_ONCE, after = (double)(row + rows) * (double)m / CELLS_AT_ONCE;
    return (uint64_t)before == (uint64_t)after ? CLIO_OK : context_progress(ctx, "comparing texts", (double)row, (double)n);
}

/* Set bit r of match[x] for each x = sequence[r] of up to ROWS rows; or clear the entries again. */
static void mark_rows(uint64_t *match, const uint32_t *sequence, size_t rows, bool set)
{
    for (size_t r = 0; r < rows; r++)
        match[sequence[r]] = set ? match[sequence[r]] | (uint64_t)1 << r : 0;
}

/* One block of `rows` rows of the table of edit distances. step [m]: the differences of neighbours in the row above it, -1, 0 or 1, which
 * become those of its last row. */
static void edit_block(const uint64_t *match, size_t rows, const uint32_t *hypothesis, size_t m, signed char *step)
{
    const uint64_t last = (uint64_t)1 << (rows - 1);
    uint64_t up = UINT64_MAX, down = 0; /* rows whose value is one more, one less than that of the row above */
    for (size_t j = 0; j < m; j++) {
        signed char above = step[j];
        uint64_t equal = match[hypothesis[j]], vertical = equal | down, horizontal, more, less;
        equal |= above < 0;
        horizontal = (((equal & up) + up) ^ up) | equal;
        more = down | ~(horizontal | up);
        less = up & horizontal;
        step[j] = (signed char)((more & last ? 1 : 0) - (less & last ? 1 : 0));
        more = more << 1 | (above > 0);
        less = less << 1 | (above < 0);
        up = less | ~(vertical | more);
        down = more & vertical;
    }
}

clio_status edit_distance(clio_context *ctx, uint64_t *out, const uint32_t *reference, size_t n, const uint32_t *hypothesis, size_t m,
                          size_t symbols)
{
    clio_status st = CLIO_OK;
    uint64_t *match = NULL;
    signed char *step = NULL;
    TRY(mem_alloc(ctx, &match, symbols, sizeof *match));
    TRY(mem_alloc(ctx, &step, m, 1));
    memset(step, 1, m); /* row 0: j insertions */
    for (size_t first = 0; first < n; first += ROWS) {
        size_t rows = MIN(n - first, (size_t)ROWS);
        TRY(check_cancelled(ctx, first, rows, n, m));
        mark_rows(match, reference + first, rows, true);
        edit_block(match, rows, hypothesis, m, step);
        mark_rows(match, reference + first, rows, false);
    }
    *out = n;
    for (size_t j = 0; j < m; j++)
        *out += (uint64_t)(int64_t)step[j]; /* wraps around and back: no row has a negative value */
fail:
    free(match);
    free(step);
    return st;
}

/* An entry of a row has the number of edits in the upper 32 bits and the insertions and deletions among them in the lower, so that the
 * minimum also prefers substitutions. Only columns i - deletions .. i + insertions of row i can belong to `edits` edits, since a path of
 * more insertions or deletions than these has more edits. */
clio_status edits_by_type(clio_context *ctx, struct error_counts *counts, const uint32_t *reference, size_t n, const uint32_t *hypothesis,
                          size_t m, size_t symbols)
{
    const uint64_t substitution = (uint64_t)1 << 32, gap = substitution + 1, never = UINT64_MAX / 2;
    clio_status st = CLIO_OK;
    uint64_t *row = NULL, edits, unpaired;
    size_t insertions, deletions;
    TRY(edit_distance(ctx, &edits, reference, n, hypothesis, m, symbols));
    insertions = (size_t)(edits + m - n) / 2; /* wraps around for m < n, and back: edits >= n - m */
    deletions = (size_t)(edits + n - m) / 2;
    TRY(mem_alloc(ctx, &row, m + 1, sizeof *row));
    for (size_t j = 0; j <= m; j++)
        row[j] = j <= insertions ? j * gap : never;
    for (size_t i = 0; i < n; i++) {
        size_t from = i + 1 > deletions ? i + 1 - deletions : 0, to = MIN(m, i + 1 + insertions);
        uint64_t diagonal = from ? row[from - 1] : 0, left = never;
        TRY(check_cancelled(ctx, i, 1, n, insertions + deletions + 1));
        if (!from) {
            diagonal = row[0];
            left = row[0] += gap;
            from = 1;
        }
        for (size_t j = from; j <= to; j++) {
            uint64_t best = diagonal + (reference[i] == hypothesis[j - 1] ? 0 : substitution);
            diagonal = row[j];
            best = MIN(best, left + gap);
            left = row[j] = MIN(best, diagonal + gap);
        }
    }
    unpaired = row[m] & 0xffffffffu;
    counts->reference_count += n;
    counts->errors += edits;
    counts->substitutions += edits - unpaired;
    counts->insertions += (unpaired + m - n) / 2;
    counts->deletions += (unpaired + n - m) / 2;
fail:
    free(row);
    return st;
}

clio_status longest_common_subsequence(clio_context *ctx, size_t *out, const uint32_t *a, size_t n, const uint32_t *b, size_t m,
                                       uint64_t *match)
{
    clio_status st = CLIO_OK;
    unsigned char *carry = NULL; /* [m]: of the addition in the block above */
    *out = 0;
    TRY(mem_alloc(ctx, &carry, m, 1));
    for (size_t first = 0; first < n; first += ROWS) {
        size_t rows = MIN(n - first, (size_t)ROWS);
        uint64_t kept = UINT64_MAX; /* a zero bit: the row's value is one more than that of the row above */
        TRY(check_cancelled(ctx, first, rows, n, m));
        mark_rows(match, a + first, rows, true);
        for (size_t j = 0; j < m; j++) {
            uint64_t found = kept & match[b[j]], sum = kept + found, all = sum + carry[j];
            carry[j] = sum < kept || all < sum;
            kept = all | (kept - found);
        }
        mark_rows(match, a + first, rows, false);
        for (size_t r = 0; r < rows; r++)
            *out += !(kept >> r & 1);
    }
fail:
    free(carry);
    return st;
}
