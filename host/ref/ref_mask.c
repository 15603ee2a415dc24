/* ref_mask.c - fill rectangles of a batch of matrices, in plain C. */
#include "ref.h"

void ref_mask(float *x, const int *boxes, const struct mask_args *args)
{
    for (int i = 0; i < args->count; i++, boxes += MASK_BOX)
        for (int r = 0; r < args->rows; r++)
            for (int c = 0; c < args->columns; c++)
                if (boxes[0] >= 0 && boxes[0] < args->batch && r >= boxes[1] && r < boxes[2] && c >= boxes[3] && c < boxes[4])
                    x[((size_t)boxes[0] * (size_t)args->rows + (size_t)r) * (size_t)args->columns + (size_t)c] = args->value;
}
