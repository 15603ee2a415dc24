/* weights_random.c - weights without a checkpoint: every tensor has the same random numbers from its first element on. See weights.h. */
#include "context.h"
#include "weights.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES 8 /* that are valid at a time */

struct weights_random {
    struct weight entries[ENTRIES];
    int next;
    size_t largest;
    uint16_t numbers[]; /* f16 [largest] */
};

/* Of either sign, from 2^-7 to 2^-5: a linear congruential generator (Knuth, MMIX) chooses sign, mantissa and the last bit of the exponent.
 */
static void fill(uint16_t *numbers, size_t count)
{
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        numbers[i] = (uint16_t)((state >> 48 & 0x87ff) | 0x2000);
    }
}

clio_status weights_random(clio_context *ctx, struct weights *w, size_t largest)
{
    clio_status st = CLIO_OK;
    memset(w, 0, sizeof *w);
    TRY(mem_string(ctx, &w->path, "random weights"));
    TRY(mem_alloc(ctx, &w->random, 1, sizeof *w->random + largest * sizeof *w->random->numbers));
    w->random->largest = largest;
    fill(w->random->numbers, largest);
fail:
    if (st) {
        weights_random_free(w);
        free(w->path);
        w->path = NULL;
    }
    return st;
}

clio_status weights_random_need(clio_context *ctx, const struct weights *w, const char *name, int ndim, const int *dim,
                                const struct weight **out)
{
    clio_status st = CLIO_OK;
    struct weights_random *r = w->random;
    struct weight *entry = &r->entries[r->next];
    r->next = (r->next + 1) % ENTRIES;
    free(entry->name);
    *entry = (struct weight){.dtype = DTYPE_F16, .ndim = ndim, .count = 1, .data = (const unsigned char *)r->numbers};
    TRY(mem_string(ctx, &entry->name, name));
    for (int i = 0; i < ndim; i++) {
        entry->dim[i] = dim[i];
        entry->count *= (size_t)dim[i];
    }
    if (entry->count > r->largest)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s has %zu elements, and random weights at most %zu", name, entry->count, r->largest);
    *out = entry;
fail:
    return st;
}

void weights_random_free(struct weights *w)
{
    for (int i = 0; w->random && i < ENTRIES; i++)
        free(w->random->entries[i].name);
    free(w->random);
    w->random = NULL;
}
