/* ref_conv1d.c - convolution over time (cross-correlation, as in torch): out[b][t][o] = act(sum w[o][k][c] in[b][t stride - padding + k][c]
 * + bias[o]) over taps k and channels c; outside the input in is 0. */
#include "ref.h"

void ref_conv1d(float *out, const float *in, const float *w, const float *bias, const struct conv1d_args *args, int act, float slope)
{
    for (int b = 0; b < args->batch; b++)
        for (int t = 0; t < args->out_length; t++)
            for (int o = 0; o < args->out; o++) {
                double sum = bias ? (double)bias[o] : 0;
                for (int k = 0; k < args->taps; k++) {
                    int from = t * args->stride - args->padding + k;
                    if (from < 0 || from >= args->length)
                        continue;
                    for (int c = 0; c < args->in; c++)
                        sum += (double)w[(o * args->taps + k) * args->in + c] * (double)in[(b * args->length + from) * args->in + c];
                }
                out[(b * args->out_length + t) * args->out + o] = ref_activate((float)sum, act, slope);
            }
}
