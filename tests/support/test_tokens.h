/* test_tokens.h - what the tests of tokenizers share: the characters of bytes, and comparing token numbers. */
#ifndef CLIO_TEST_TOKENS_H
#define CLIO_TEST_TOKENS_H

#include "test.h"

/* GPT-2's character of each byte, in UTF-8: a printable byte is its own, the n-th other one is U+0100 + n. */
static inline void byte_names(char names[256][3])
{
    int next = 256;
    for (int b = 0; b < 256; b++) {
        int c = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE ? b : next++;
        if (c < 0x80)
            snprintf(names[b], 3, "%c", c);
        else
            snprintf(names[b], 3, "%c%c", 0xC0 | c >> 6, 0x80 | (c & 0x3F));
    }
}

/* `text` gave these tokens, which are freed. line: of the test, or number of the case. */
static inline void compare_ids(const char *text, int *ids, size_t count, const int *want, size_t want_count, int line)
{
    bool same = count == want_count && !memcmp(ids, want, count * sizeof *ids);
    if (!same) {
        fprintf(stderr, "line or case %d: \"%s\" gave", line, text);
        for (size_t i = 0; i < count; i++)
            fprintf(stderr, " %d", ids[i]);
        fprintf(stderr, ", expected");
        for (size_t i = 0; i < want_count; i++)
            fprintf(stderr, " %d", want[i]);
        fprintf(stderr, "\n");
    }
    free(ids);
    assert_true(same);
}

#endif
