/* text2image_prediction.c - find out what the UNet of a single-file checkpoint of version 2 predicts when the file does not say it: noise
 * or v. At the last timestep, where a sample is nearly noise, noise prediction returns about its input and v prediction about minus the
 * image, so the mean of the output minus the input is below -1 for an input of 0.5. Source: stable-diffusion-webui, sd_models_config.py
 * (is_using_v_parameterization_for_sd2); stable-diffusion.cpp does the same. */
#include "text2image.h"

#include <stdlib.h>

#define SIDE 8       /* height and width of the latent */
#define TOKENS 2     /* of the prompt embeddings */
#define VALUE 0.5f   /* of every element of both */
#define LAST 999     /* timestep */
#define BOUND (-1.0) /* mean of output - input */

struct trial {
    struct arena arena;
    struct unet_prompt prompt;
    struct tensor text, in, out;
    float *host; /* elements of the largest of them */
};

static void trial_free(clio_context *ctx, struct trial *t)
{
    unet_prompt_free(ctx, &t->prompt);
    tensor_free(ctx, &t->text);
    tensor_free(ctx, &t->in);
    tensor_free(ctx, &t->out);
    arena_free(ctx, &t->arena);
    free(t->host);
}

static clio_status trial_new(clio_diffusion *p, struct trial *t)
{
    clio_status st = CLIO_OK;
    const struct unet_config *c = &p->unet.config;
    size_t count;
    t->text = tensor_shape(DTYPE_F32, 3, 1, TOKENS, c->text, 0);
    t->in = tensor_shape(DTYPE_F32, 4, 1, SIDE, SIDE, c->in);
    t->out = tensor_shape(DTYPE_F32, 4, 1, SIDE, SIDE, c->out);
    TRY(tensor_new(p->ctx, &t->text, "a trial evaluation"));
    TRY(tensor_new(p->ctx, &t->in, "a trial evaluation"));
    TRY(tensor_new(p->ctx, &t->out, "a trial evaluation"));
    count = MAX(MAX(tensor_count(&t->text), tensor_count(&t->in)), tensor_count(&t->out));
    TRY(mem_alloc(p->ctx, &t->host, count, sizeof *t->host));
    for (size_t i = 0; i < count; i++)
        t->host[i] = VALUE;
    TRY(unet_prompt_new(p->ctx, &t->prompt, &p->unet, 1, TOKENS));
    TRY(tensor_write(p->ctx, &t->text, 0, tensor_count(&t->text), t->host));
    TRY(tensor_write(p->ctx, &t->in, 0, tensor_count(&t->in), t->host));
fail:
    return st;
}

static clio_status forward(clio_diffusion *p, struct trial *t)
{
    clio_status st = CLIO_OK;
    const float timestep = LAST;
    TRY(unet_attend_to(p->ctx, &t->arena, &p->unet, &t->prompt, &t->text));
    TRY(unet_forward(p->ctx, &t->arena, &p->unet, &t->prompt, &t->out, &t->in, &(struct unet_step){.timesteps = &timestep}));
fail:
    return st;
}

/* *mean: of the UNet's output minus its input, without LoRAs. */
static clio_status evaluate(clio_diffusion *p, double *mean)
{
    clio_status st = CLIO_OK;
    struct trial t = {0};
    size_t loras = p->lora_count, count;
    *mean = 0;
    p->lora_count = 0;
    st = diffusion_need_unet(p);
    p->lora_count = loras;
    TRY(st);
    TRY(trial_new(p, &t));
    p->ctx->planning = true;
    st = forward(p, &t);
    p->ctx->planning = false;
    TRY(st);
    TRY(arena_commit(p->ctx, &t.arena, "a trial evaluation"));
    TRY(forward(p, &t));
    count = tensor_count(&t.out);
    TRY(tensor_read(p->ctx, &t.out, 0, count, t.host));
    for (size_t i = 0; i < count; i++)
        *mean += ((double)t.host[i] - (double)VALUE) / (double)count;
fail:
    trial_free(p->ctx, &t);
    diffusion_drop_unet(p);
    return st;
}

clio_status diffusion_find_prediction(clio_diffusion *p)
{
    clio_status st = CLIO_OK;
    struct single_file single = {0};
    double mean;
    if (!p->is_file || p->prediction)
        return CLIO_OK;
    TRY(single_file_open(p->ctx, &single, p->path, NULL));
    bool assumed = single.assumed;
    single_file_close(&single);
    if (!assumed)
        return CLIO_OK;
    TRY(evaluate(p, &mean));
    TRY(mem_string(p->ctx, &p->prediction, mean < BOUND ? "v_prediction" : "epsilon"));
    context_notice(p->ctx,
                   "%s does not say what its UNet predicts; one evaluation suggests %s: set params.prediction_type if that is wrong",
                   p->path, p->prediction);
fail:
    return st;
}
