/* text2image_prompt.c - read and encode the prompts: LoRAs and embeddings that they name, schedules, weights; pad all to the same number of
 * chunks, run the text encoder. The text encoder is freed once the embeddings are on the host, where a chunk takes 237 KB. */
#include "text2image.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static clio_status read_prompt(struct imagine *j, int which, const char *text, struct lora_names *loras)
{
    clio_status st = CLIO_OK;
    struct bytes plain = {0}, resolved = {0};
    if (!text)
        return CLIO_OK;
    TRY(clip_tokenizer_check(j->ctx, text)); /* on what the caller gave, so that the message has the right position */
    if (strlen(text) > PROMPT_MAX_BYTES)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "the prompt has %zu bytes and must not have more than %d: shorten it", strlen(text),
             PROMPT_MAX_BYTES);
    TRY(prompt_loras_take(j->ctx, text, which == EMBEDS_NEGATIVE, loras, &plain));
    TRY(embeddings_resolve(j->ctx, &j->embeddings, plain.data, &resolved));
    TRY(prompt_plan_read(j->ctx, &j->prompts[which], resolved.data, j->run_steps, which != EMBEDS_NEGATIVE));
fail:
    bytes_free(&plain);
    bytes_free(&resolved);
    return st;
}

/* Guidance is what composing uses: each part's difference to the negative prompt. */
static clio_status check_parts(struct imagine *j)
{
    clio_status st = CLIO_OK;
    j->parts = j->prompts[EMBEDS_PROMPT].count;
    if (j->parts > 1 && j->params->prompt_to)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT,
             "params.prompt composes %d prompts with AND, which params.prompt_to cannot interpolate: use one of the two", j->parts);
    if (j->prompts[EMBEDS_PROMPT_TO].count > 1)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT, "params.prompt_to composes %d prompts with AND, which cannot be interpolated: leave AND out",
             j->prompts[EMBEDS_PROMPT_TO].count);
    if (j->parts > 1 && j->p->config.guidance)
        FAIL(j->ctx, CLIO_ERROR_ARGUMENT,
             "params.prompt composes %d prompts with AND, which needs a negative prompt, and the UNet of %s is distilled to do without: "
             "leave "
             "AND out",
             j->parts, j->p->path);
    j->guided = j->guided || j->parts > 1;
fail:
    return st;
}

clio_status imagine_read_prompts(struct imagine *j)
{
    clio_status st = CLIO_OK;
    clio_diffusion *p = j->p;
    const clio_imagine_params *a = j->params;
    struct lora_names loras = {.dir = p->lora_dir};
    TRY(embeddings_open(j->ctx, &j->embeddings, p->embedding_dir, &p->tokenizer, p->vocab));
    TRY(read_prompt(j, EMBEDS_PROMPT, a->prompt, &loras));
    TRY(read_prompt(j, EMBEDS_PROMPT_TO, a->prompt_to, &loras));
    TRY(check_parts(j));
    TRY(read_prompt(j, EMBEDS_NEGATIVE, j->guided ? a->negative_prompt ? a->negative_prompt : "" : NULL, &loras));
    if (!lora_names_equal(&loras, p->prompt_loras, p->prompt_lora_count)) {
        TRY(diffusion_check_loras(p, loras.list, loras.count));
        diffusion_drop_unet(p);
        lora_choices_free(p->prompt_loras, p->prompt_lora_count);
        p->prompt_loras = loras.list;
        p->prompt_lora_count = loras.count;
        loras = (struct lora_names){0};
    }
fail:
    lora_choices_free(loras.list, loras.count);
    return st;
}

/* ---- encoding ---- */

/* A text of a part of a prompt, and where its embeddings go. */
struct slot {
    const char *text;
    float **embeds;
    struct prompt tokens;
};

static size_t count_slots(const struct imagine *j)
{
    size_t count = 0;
    for (int i = 0; i < EMBEDS_COUNT; i++)
        for (int k = 0; k < j->prompts[i].count; k++)
            count += (size_t)j->prompts[i].list[k].count;
    return count;
}

/* Tokenize all texts and pad them to the same number of chunks. */
static clio_status tokenize(struct imagine *j, struct slot *slots)
{
    clio_status st = CLIO_OK;
    clio_diffusion *p = j->p;
    int chunks = 1;
    size_t count = 0;
    for (int i = 0; i < EMBEDS_COUNT; i++)
        for (int k = 0; k < j->prompts[i].count; k++) {
            struct prompt_part *part = &j->prompts[i].list[k];
            for (int t = 0; t < part->count; t++) {
                struct slot *slot = &slots[count++];
                *slot = (struct slot){.text = part->texts[t], .embeds = &part->embeds[t]};
                TRY(prompt_read(j->ctx, &slot->tokens, &p->tokenizer, &j->embeddings, slot->text, p->positions));
                chunks = MAX(chunks, slot->tokens.chunks);
            }
        }
    for (size_t i = 0; i < count; i++)
        TRY(prompt_extend(j->ctx, &slots[i].tokens, &p->tokenizer, chunks));
    j->length = chunks * p->positions;
fail:
    return st;
}

static clio_status encode(struct imagine *j, const struct text_encoder *encoder, struct slot *slots, size_t slot_count)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = j->ctx;
    struct tensor hidden = tensor_shape(DTYPE_F32, 3, 1, j->length, encoder->width, 0);
    size_t count = tensor_count(&hidden);
    int skip = j->params->clip_skip ? j->params->clip_skip - j->p->clip_skip : 0;
    if (encoder->width != j->p->config.text)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s: the text encoder has width %d and the UNet expects %d (cross_attention_dim): they belong to different models, copy "
             "both again",
             j->p->path, encoder->width, j->p->config.text);
    TRY(tensor_new(ctx, &hidden, "the prompt"));
    for (size_t i = 0; i < slot_count; i++) {
        TRY(prompt_encode(ctx, &slots[i].tokens, encoder, skip, &hidden));
        TRY(mem_alloc(ctx, slots[i].embeds, count, sizeof(float)));
        TRY(tensor_read(ctx, &hidden, 0, count, *slots[i].embeds));
        TRY(imagine_check_finite(j, "the text encoder", *slots[i].embeds, count));
    }
fail:
    tensor_free(ctx, &hidden);
    return st;
}

clio_status imagine_encode_prompts(struct imagine *j)
{
    clio_status st = CLIO_OK;
    clio_diffusion *p = j->p;
    size_t count = count_slots(j);
    struct slot *slots = NULL;
    struct text_encoder encoder = {0};
    TRY(mem_alloc(j->ctx, &slots, count, sizeof *slots));
    TRY(tokenize(j, slots));
    st = diffusion_need_text_encoder(p, &j->embeddings, &encoder);
    if (st == CLIO_ERROR_MEMORY && (p->has_unet || p->vae_parts || p->tiny_parts)) {
        diffusion_drop_unet(p);
        diffusion_drop_vae(p);
        st = diffusion_need_text_encoder(p, &j->embeddings, &encoder);
    }
    TRY(st);
    TRY(encode(j, &encoder, slots, count));
fail:
    text_encoder_free(j->ctx, &encoder);
    for (size_t i = 0; slots && i < count; i++)
        prompt_free(&slots[i].tokens);
    free(slots);
    return st;
}

void imagine_prompt_embeds(const struct imagine *j, int index, int part, int step, float *out)
{
    size_t count = (size_t)j->length * (size_t)j->p->config.text;
    const struct prompt_part *first = &j->prompts[EMBEDS_PROMPT].list[part];
    const float *from = first->embeds[first->at[step]];
    float fraction = (float)imagine_fraction(j, index);
    if (!j->prompts[EMBEDS_PROMPT_TO].count || fraction == 0) {
        memcpy(out, from, count * sizeof *out);
    } else {
        const struct prompt_part *second = &j->prompts[EMBEDS_PROMPT_TO].list[0];
        const float *to = second->embeds[second->at[step]];
        for (size_t i = 0; i < count; i++)
            out[i] = from[i] + fraction * (to[i] - from[i]);
    }
}
