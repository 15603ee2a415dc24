/* conv_pyramid.h - tables of layers of convolutional encoders, generators and discriminators: twice the channels at each halving of the
 * size. */
#ifndef CLIO_MODELS_LEARNERS_CONV_PYRAMID_H
#define CLIO_MODELS_LEARNERS_CONV_PYRAMID_H

#include "settings.h"
#include "../nn/sequential.h"

#define LEARNER_ROWS 40
#define LEARNER_LEVELS 6 /* halvings of an image, at most */

struct layer_rows {
    struct layer_row row[LEARNER_ROWS];
    size_t count;
};
struct pyramid {
    int base, levels; /* side = base << levels, base 4 to 7 */
    int width;        /* channels of the largest images; twice as many at each halving */
    bool norm;        /* batch norm between convolution and activation, and no bias then */
    int act;
    float slope;
};
/* Base and levels of square images; other ones are refused, with the sizes that would do. */
clio_status pyramid_fit(clio_context *ctx, const struct learner *l, struct pyramid *p);
/* Image to `out` numbers (of several networks that share all but their last layer: out 0, without it). */
void rows_down(struct layer_rows *rows, const struct pyramid *p, int out);
/* A vector to images of `channels`, with `act` behind them. */
void rows_up(struct layer_rows *rows, const struct pyramid *p, int channels, int act);
/* Appended to the table; name NULL: numbered. */
void rows_linear(struct layer_rows *rows, const char *name, int out);
void rows_act(struct layer_rows *rows, int act, float slope);

#endif
