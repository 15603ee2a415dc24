/* text2image_prompt.c - encode the prompts: parse, pad to the same number of chunks, run the text encoder. The text encoder is freed once
 * the embeddings are on the host, where a chunk takes 237 KB. */
#include "text2image.h"

#include <stdlib.h>
#include <string.h>

static clio_status encode(struct imagine *j, const struct text_encoder *encoder, const struct prompt *prompts)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    struct tensor hidden = tensor_shape(DTYPE_F32, 3, 1, j->length, encoder->width, 0);
    size_t count = tensor_count(&hidden);
    if (encoder->width != j->p->config.text)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s: the text encoder has width %d and the UNet expects %d (cross_attention_dim): they belong to different models, copy "
             "both again",
             j->p->path, encoder->width, j->p->config.text);
    TRY(tensor_new(ctx, &hidden, "the prompt"));
    for (int i = 0; i < EMBEDS_COUNT; i++)
        if (prompts[i].ids) {
            TRY(prompt_encode(ctx, &prompts[i], encoder, j->params->clip_skip, &hidden));
            TRY(mem_alloc(ctx, &j->prompt_embeds[i], count, sizeof(float)));
            TRY(tensor_read(ctx, &hidden, 0, count, j->prompt_embeds[i]));
        }
fail:
    tensor_free(ctx, &hidden);
    return st;
}

clio_status imagine_encode_prompts(struct imagine *j)
{
    clio_status st = CLIO_OK;
    clio_diffusion *p = j->p;
    const clio_imagine_params *params = j->params;
    const char *texts[EMBEDS_COUNT] = {params->prompt, j->guided ? params->negative_prompt ? params->negative_prompt : "" : NULL,
                                       params->prompt_to};
    struct prompt prompts[EMBEDS_COUNT] = {0};
    struct text_encoder encoder = {0};
    int chunks = 1;
    for (int i = 0; i < EMBEDS_COUNT; i++)
        if (texts[i]) {
            TRY(prompt_read(j->ctx, &prompts[i], &p->tokenizer, texts[i], p->positions));
            chunks = MAX(chunks, prompts[i].chunks);
        }
    for (int i = 0; i < EMBEDS_COUNT; i++)
        if (texts[i])
            TRY(prompt_extend(j->ctx, &prompts[i], &p->tokenizer, chunks));
    j->length = chunks * p->positions;
    st = diffusion_need_text_encoder(p, &encoder);
    if (st == CLIO_ERROR_MEMORY && (p->has_unet || p->vae_parts || p->tiny_parts)) {
        diffusion_drop_unet(p);
        diffusion_drop_vae(p);
        st = diffusion_need_text_encoder(p, &encoder);
    }
    TRY(st);
    TRY(encode(j, &encoder, prompts));
fail:
    text_encoder_free(j->ctx, &encoder);
    for (int i = 0; i < EMBEDS_COUNT; i++)
        prompt_free(&prompts[i]);
    return st;
}

void imagine_prompt_embeds(const struct imagine *j, int index, float *out)
{
    size_t count = (size_t)j->length * (size_t)j->p->config.text;
    const float *from = j->prompt_embeds[EMBEDS_PROMPT], *to = j->prompt_embeds[EMBEDS_PROMPT_TO];
    float fraction = (float)imagine_fraction(j, index);
    if (!to || fraction == 0)
        memcpy(out, from, count * sizeof *out);
    else
        for (size_t i = 0; i < count; i++)
            out[i] = from[i] + fraction * (to[i] - from[i]);
}
