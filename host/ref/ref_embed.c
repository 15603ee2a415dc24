/* ref_embed.c - rows of a table by id (zeros for an id that the table has not), and the rows of a table of positions added to them. */
#include "ref.h"

void ref_embed(float *out, const float *table, const int *ids, const float *positions, const struct embed_args *args)
{
    for (int r = 0; r < args->rows; r++)
        for (int c = 0; c < args->n; c++) {
            double x = 0;
            if (ids[r] >= 0 && ids[r] < args->vocab)
                x = (double)table[(size_t)ids[r] * (size_t)args->n + (size_t)c];
            if (args->positions)
                x += (double)positions[(size_t)(args->position + r % args->positions) * (size_t)args->n + (size_t)c];
            out[(size_t)r * (size_t)args->n + (size_t)c] = (float)x;
        }
}
