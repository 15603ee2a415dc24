/* norm.c - load and apply layer norm (Ba et al. 2016) and group norm (Wu and He 2018). */
#include "norm.h"

clio_status norm_load(clio_context *ctx, struct norm *n, const char *key, int width, const struct weights *weights)
{
    static const struct state_dict_row table[] = {
        ROW_VECTOR(norm, ".weight", gamma, 1, 0, 1),
        ROW_VECTOR(norm, ".bias", beta, 1, 0, 1),
    };
    return state_dict_load(ctx, n, table, COUNT(table), key, (int[]){1, width}, weights);
}

void norm_free(clio_context *ctx, struct norm *n)
{
    tensor_free(ctx, &n->gamma);
    tensor_free(ctx, &n->beta);
}

clio_status layer_norm_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct norm *n, float eps)
{
    return op_layer_norm_fwd(ctx, out, in, &n->gamma, &n->beta, eps);
}

clio_status group_norm_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct norm *n,
                           int groups, float eps, int act)
{
    return op_group_norm_fwd(ctx, arena, out, in, &n->gamma, &n->beta, groups, eps, act);
}
