/* mask.cl - fill rectangles of a batch of matrices with a value: SpecAugment's time and frequency masks (Park et al. 2019), random erasing.
 */
// isa:
// isa-cpu:
#include "common.clh"

/* x[b][r][c] = value inside boxes i32 [count, 5]: b, first row, end of rows, first column, end of columns. Work-item: row
 * get_global_id(1), column get_global_id(0) of box get_global_id(2). Any group size, no local memory. Boxes may overlap, and be empty. */
__kernel void mask_boxes(__global float *x, __global const int *boxes, struct mask_args args)
{
    int column = get_global_id(0), row = get_global_id(1), i = get_global_id(2);
    if (column >= args.columns || row >= args.rows || i >= args.count)
        return;
    __global const int *box = boxes + 5 * i;
    if (box[0] >= 0 && box[0] < args.batch && row >= box[1] && row < box[2] && column >= box[3] && column < box[4])
        x[((size_t)box[0] * args.rows + row) * args.columns + column] = args.value;
}
