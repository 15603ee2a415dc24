/* ref_embed_bwd.c - the gradients of a table of rows, and of a table of positions: of each row, the sum of what it was copied to. */
#include "ref_bwd.h"

void ref_embed_bwd(float *dtable, float *dpositions, const float *dy, const int *ids, int positions, const struct embed_args *args)
{
    size_t n = (size_t)args->n;
    for (int row = 0; dtable && row < args->vocab; row++)
        for (size_t c = 0; c < n; c++) {
            double sum = 0;
            for (int r = 0; r < args->rows; r++)
                sum += ids[r] == row ? (double)dy[(size_t)r * n + c] : 0;
            dtable[(size_t)row * n + c] = (float)sum;
        }
    for (int row = 0; dpositions && row < positions; row++)
        for (size_t c = 0; c < n; c++) {
            double sum = 0;
            for (int r = 0; r < args->rows; r++)
                sum += args->position + r % args->positions == row ? (double)dy[(size_t)r * n + c] : 0;
            dpositions[(size_t)row * n + c] = (float)sum;
        }
}
