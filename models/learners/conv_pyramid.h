/* conv_pyramid.h - layer tables of convolutional encoders, generators and discriminators: the channels double where the resolution halves.
 */
#ifndef CLIO_MODELS_LEARNERS_CONV_PYRAMID_H
#define CLIO_MODELS_LEARNERS_CONV_PYRAMID_H

#include "settings.h"
#include "../nn/sequential.h"

#define LEARNER_ROWS 40
#define LEARNER_LEVELS 6 /* halvings of the resolution, at most */

struct layer_rows {
    struct layer_row row[LEARNER_ROWS];
    size_t count;
};
struct pyramid {
    int base, levels; /* side = base << levels, base 4 to 7 */
    int width;        /* channels at the full resolution, doubled at each halving */
    bool norm;        /* batch norm between convolution and activation, instead of a bias */
    int act;
    float slope;
};
/* Base and levels for the learner's images; an error for images that are not square or of another size. */
clio_status pyramid_fit(clio_context *ctx, const struct learner *l, struct pyramid *p);
/* Image to a vector of `out`; out 0: without the last layer, for networks that share the others. */
void rows_down(struct layer_rows *rows, const struct pyramid *p, int out);
/* Vector to images of `channels`, followed by `act`. */
void rows_up(struct layer_rows *rows, const struct pyramid *p, int channels, int act);
/* Append a layer; name NULL: numbered. */
void rows_linear(struct layer_rows *rows, const char *name, int out);
void rows_act(struct layer_rows *rows, int act, float slope);

#endif
