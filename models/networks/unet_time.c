/* unet_time.c - the time embedding: of the timestep and, where the network has them, of the guidance scale (Meng et al. 2023, "On
 * distillation of guided diffusion models"; latent consistency models) and of a class label; f32 [B, time]. */
#include "unet.h"

#include <math.h>
#include <stdlib.h>

#define SLOWEST 10000.0f

void unet_sinusoid(float *out, float x, int width, bool cosines_first, int freq_shift)
{
    int half = width / 2;
    for (int i = 0; i < half; i++) {
        float angle = x * expf(-logf(SLOWEST) * (float)i / (float)(half - freq_shift));
        out[cosines_first ? half + i : i] = sinf(angle);
        out[cosines_first ? i : half + i] = cosf(angle);
    }
    if (width % 2)
        out[width - 1] = 0;
}

/* t [B, width] = sinusoidal embedding of scale * values [B] */
static clio_status write_sinusoids(clio_context *ctx, const struct tensor *t, const float *values, float scale, bool cosines_first,
                                   int freq_shift)
{
    clio_status st = CLIO_OK;
    int batch = t->dim[0], width = t->dim[1];
    float *rows = NULL;
    if (ctx->planning)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &rows, tensor_count(t), sizeof *rows));
    for (int b = 0; b < batch; b++)
        unet_sinusoid(rows + (size_t)b * (size_t)width, scale * values[b], width, cosines_first, freq_shift);
    TRY(tensor_write(ctx, t, 0, tensor_count(t), rows));
fail:
    free(rows);
    return st;
}

/* rows = sinusoids of the timesteps + cond_proj(sinusoids of 1000 (guidance scale - 1)). For the latter diffusers' pipelines have the sines
 * first and a shift of 1 (get_guidance_scale_embedding), whatever the network's own order. */
static clio_status embed_time(clio_context *ctx, struct arena *arena, const struct unet *net, const struct tensor *rows,
                              const struct unet_step *step)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &net->config;
    struct tensor guidance = tensor_shape(DTYPE_F32, 2, rows->dim[0], c->guidance, 0, 0);
    struct gemm_epilogue e = {.residual = rows};
    TRY(write_sinusoids(ctx, rows, step->timesteps, 1, c->flip, c->freq_shift));
    if (!c->guidance || !step->guidance)
        return CLIO_OK;
    TRY(tensor_take(ctx, arena, &guidance));
    TRY(write_sinusoids(ctx, &guidance, step->guidance, 1000, false, 1));
    TRY(op_gemm_fwd(ctx, rows, &guidance, &net->guidance, rows->dim[0], &e));
fail:
    return st;
}

/* Look up the embedding of each class label. */
static clio_status look_up(clio_context *ctx, struct arena *arena, const struct unet *net, const struct tensor *out, const float *labels)
{
    clio_status st = CLIO_OK;
    int batch = out->dim[0], *ids = NULL;
    struct tensor t = tensor_shape(DTYPE_I32, 1, batch, 0, 0, 0);
    TRY(tensor_take(ctx, arena, &t));
    TRY(mem_alloc(ctx, &ids, (size_t)batch, sizeof *ids));
    for (int b = 0; b < batch; b++)
        ids[b] = (int)labels[b];
    TRY(tensor_write(ctx, &t, 0, (size_t)batch, ids));
    TRY(op_embed_fwd(ctx, out, &net->class_table, &t, NULL, 0));
fail:
    free(ids);
    return st;
}

/* out [B, time] = class embedding of the labels */
static clio_status embed_labels(clio_context *ctx, struct arena *arena, const struct unet *net, const struct tensor *out,
                                const float *labels)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &net->config;
    int batch = out->dim[0], width = c->classes == CLASS_TIMESTEP ? c->channels[0] : c->class_width;
    struct tensor rows = tensor_shape(DTYPE_F32, 2, batch, width, 0, 0), inner = *out;
    if (!labels)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "this UNet needs a class or an image beside the prompt (class_embed_type or num_class_embeds in its "
             "config.json), which clio cannot give it: use another model");
    if (c->classes == CLASS_TABLE)
        return look_up(ctx, arena, net, out, labels);
    if (c->classes == CLASS_IDENTITY)
        return tensor_write(ctx, out, 0, tensor_count(out), labels);
    TRY(tensor_take(ctx, arena, &rows));
    if (c->classes == CLASS_TIMESTEP)
        TRY(write_sinusoids(ctx, &rows, labels, 1, c->flip, c->freq_shift));
    else
        TRY(tensor_write(ctx, &rows, 0, tensor_count(&rows), labels));
    if (c->classes == CLASS_LINEAR)
        return linear_fwd(ctx, out, &rows, &net->class1, ACT_NONE, NULL);
    TRY(tensor_take(ctx, arena, &inner));
    TRY(linear_fwd(ctx, &inner, &rows, &net->class1, ACT_SILU, NULL));
    TRY(linear_fwd(ctx, out, &inner, &net->class2, ACT_NONE, NULL));
fail:
    return st;
}

clio_status unet_embed_step(clio_context *ctx, struct arena *arena, const struct unet *net, const struct tensor *time,
                            const struct unet_step *step)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &net->config;
    int batch = time->dim[0];
    uint64_t mark = arena_mark(arena);
    struct tensor rows = tensor_shape(DTYPE_F32, 2, batch, c->channels[0], 0, 0), inner = *time, label = *time;
    TRY(tensor_take(ctx, arena, &rows));
    TRY(tensor_take(ctx, arena, &inner));
    TRY(embed_time(ctx, arena, net, &rows, step));
    TRY(linear_fwd(ctx, &inner, &rows, &net->time1, ACT_SILU, NULL));
    TRY(linear_fwd(ctx, time, &inner, &net->time2, c->classes == CLASS_NONE ? ACT_SILU : ACT_NONE, NULL));
    if (c->classes != CLASS_NONE) {
        TRY(tensor_take(ctx, arena, &label));
        TRY(embed_labels(ctx, arena, net, &label, step->labels));
        TRY(op_add_fwd(ctx, time, time, &label, 1, 1));
        TRY(op_activation_fwd(ctx, time, time, ACT_SILU, 0));
    }
fail:
    arena_release(arena, mark);
    return st;
}
