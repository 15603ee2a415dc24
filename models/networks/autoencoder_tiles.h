/* autoencoder_tiles.h - tiled encoding and decoding: overlapping tiles, each processed by itself, blended linearly where they overlap,
 * vertically first and then horizontally (diffusers' AutoencoderKL.tiled_decode, blend_v, blend_h). All on the host. */
#ifndef CLIO_MODELS_NETWORKS_AUTOENCODER_TILES_H
#define CLIO_MODELS_NETWORKS_AUTOENCODER_TILES_H

#include "../../host/core/mem.h"

/* One tile: in [in_channels, h, w] -> out [out_channels, h', w']. */
typedef clio_status (*tile_fn)(void *user, float *out, const float *in, int h, int w);

struct tiles {
    int size, step;   /* of a tile, and the stride between tiles, in input pixels */
    int limit, blend; /* pixels of an output tile that are kept, and those that are blended with the tiles before it */
    int up, down;     /* output pixels = input pixels * up / down */
    int in_channels, out_channels;
    tile_fn make;
    void *user;
};
/* in [in_channels, h, w] -> out [out_channels, h * up / down, w * up / down] */
clio_status tiles_run(clio_context *ctx, const struct tiles *t, float *out, const float *in, int h, int w);

#endif
