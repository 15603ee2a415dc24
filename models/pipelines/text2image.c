/* text2image.c - clio_imagine: run the phases of the pipeline and return the images. See text2image.h. */
#include "text2image.h"
#include "../image/image.h"

#include <stdlib.h>

clio_status imagine_to_latents(struct imagine *j)
{
    clio_status st = CLIO_OK;
    j->ctx = j->p->ctx;
    TRY(imagine_check(j));
    TRY(imagine_read_prompts(j));
    TRY(imagine_encode_images(j));
    if (!j->p->keep)
        diffusion_drop_vae(j->p);
    TRY(imagine_encode_prompts(j));
    TRY(imagine_sample(j));
    if (!j->p->keep)
        diffusion_drop_unet(j->p);
fail:
    return st;
}

void imagine_close(struct imagine *j)
{
    imagine_free_sampling(j);
    if (!j->p->keep) {
        diffusion_drop_unet(j->p);
        diffusion_drop_vae(j->p);
    }
    for (int i = 0; i < EMBEDS_COUNT; i++)
        prompt_plan_free(&j->prompts[i]);
    embeddings_close(&j->embeddings);
    free(j->image_moments);
    free(j->masked_image_moments);
    free(j->mask);
    image_free(&j->original);
    image_free(&j->cover);
    free(j->latents);
}

/* ---- the result ---- */

clio_status imagine_decode_all(struct imagine *j, clio_imagine_result *list)
{
    clio_status st = CLIO_OK;
    int images = j->last - j->first;
    for (int i = j->first; i < j->last; i++) {
        clio_imagine_result *result = &list[i];
        unsigned char *rgb;
        char *text;
        TRY(context_progress(j->ctx, "decoding", i - j->first, images));
        TRY(imagine_decode(j, i, &rgb));
        result->image = (clio_image){j->width, j->height, rgb};
        result->seed = imagine_seed(j, i);
        TRY(imagine_describe(j, i, &text));
        result->parameters = text;
    }
    TRY(context_progress(j->ctx, "decoding", images, images));
fail:
    return st;
}

clio_status clio_imagine(clio_diffusion *diffusion, const clio_imagine_params *params, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = NULL;
    struct imagine j = {.p = diffusion, .params = params};
    clio_image_list *images = NULL;
    clio_imagine_result *list;
    SET_NULL(out);
    REQUIRE(NULL, diffusion, "diffusion");
    ctx = diffusion->ctx;
    REQUIRE(ctx, params, "params");
    REQUIRE(ctx, out, "out");
    ctx->cancelled = 0;
    TRY(imagine_to_latents(&j));
    TRY(images_new(ctx, (size_t)j.count, &images, &list));
    TRY(imagine_decode_all(&j, list));
    *out = images;
    images = NULL;
fail:
    if (diffusion)
        imagine_close(&j);
    clio_image_list_free(images);
    return st;
}
