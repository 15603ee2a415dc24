/* text2image_parallel.c - clio_imagine_parallel: the images of a batch or of an interpolation on several devices. */
#include "parallel.h"
#include "text2image.h"

#include <stdlib.h>

struct shared {
    clio_diffusion *const *diffusions;
    clio_imagine_params params; /* with the seed chosen */
    clio_imagine_result *list;  /* [count] */
};

/* Images first to last - 1. */
static clio_status make_range(clio_diffusion *diffusion, const struct shared *shared, int first, int last)
{
    clio_status st = CLIO_OK;
    struct imagine j = {.p = diffusion, .params = &shared->params, .first = first, .last = last};
    TRY(imagine_to_latents(&j));
    TRY(imagine_decode_all(&j, shared->list));
fail:
    imagine_close(&j);
    return st;
}

static void drop_result(clio_imagine_result *result)
{
    free(mem_const_cast(result->image.rgb));
    free(mem_const_cast(result->parameters));
    *result = (clio_imagine_result){.seed = 0};
}

/* Neighbours at once: their prompts are encoded once. */
static clio_status make_images(struct parallel *p, size_t self, const size_t *items, size_t count)
{
    clio_status st = CLIO_OK;
    const struct shared *shared = parallel_plan_of(p)->user;
    size_t end;
    for (size_t i = 0; i < count; i = end) {
        for (end = i + 1; end < count && items[end] == items[end - 1] + 1;)
            end++;
        st = make_range(shared->diffusions[self], shared, (int)items[i], (int)items[end - 1] + 1);
        for (size_t k = i; st && k < end; k++)
            drop_result(&shared->list[items[k]]); /* another device makes them again */
        TRY(st);
        for (size_t k = i; k < end; k++)
            parallel_done(p, items[k]);
    }
fail:
    return st;
}

static clio_status deliver(struct parallel *p, size_t item, size_t self)
{
    (void)p, (void)item, (void)self; /* the list is returned as a whole */
    return CLIO_OK;
}

/* Check the parameters on the first model, without notices, which the devices will give; *count: the images. */
static clio_status check(struct shared *shared, clio_context *ctx, const char *function, int *count)
{
    clio_notice_fn notice = ctx->notice;
    struct imagine j = {.p = shared->diffusions[0], .ctx = ctx, .params = &shared->params, .function = function};
    ctx->notice = NULL;
    clio_status st = imagine_check(&j);
    ctx->notice = notice;
    shared->params.seed = j.seed;
    shared->params.random_seed = 0;
    *count = j.count;
    return st;
}

/* Keep the networks of all models on their devices during the call. */
static void keep_networks(struct shared *shared, size_t count, bool *kept, bool begins)
{
    for (size_t i = 0; i < count; i++) {
        clio_diffusion *p = shared->diffusions[i];
        if (begins)
            kept[i] = p->keep;
        p->keep = begins || kept[i];
        if (!p->keep) {
            diffusion_drop_unet(p);
            diffusion_drop_vae(p);
        }
    }
}

clio_status clio_imagine_parallel(clio_diffusion *const *diffusions, size_t diffusion_count, const clio_imagine_params *params,
                                  clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = NULL, *contexts[PARALLEL_CONTEXTS_MAX];
    struct shared shared = {.diffusions = diffusions};
    clio_image_list *images = NULL;
    bool kept[PARALLEL_CONTEXTS_MAX];
    int count = 0;
    SET_NULL(out);
    REQUIRE(NULL, diffusions, "diffusions");
    REQUIRE_SIZE(NULL, diffusion_count, 1, PARALLEL_CONTEXTS_MAX, "diffusion_count");
    REQUIRE(NULL, diffusions[0], "diffusions[0]");
    ctx = diffusions[0]->ctx;
    for (size_t i = 0; i < diffusion_count; i++) {
        REQUIRE_THAT(ctx, CALLER, diffusions[i] != NULL, "diffusions[%zu] is NULL", i);
        contexts[i] = diffusions[i]->ctx;
        TRY(parallel_check(ctx, CALLER, contexts, i, "diffusions"));
    }
    REQUIRE(ctx, params, "params");
    REQUIRE(ctx, out, "out");
    REQUIRE_THAT(ctx, CALLER, !params->preview_every, "params.preview_every is %d: previews are made on one device alone, set it to 0",
                 params->preview_every);
    int rank, ranks;
    clio_train_rank(&rank, &ranks);
    REQUIRE_THAT(ctx, CALLER, !params->random_seed || ranks == 1,
                 "params.random_seed is set, and each of %d processes would choose another seed: set params.seed", ranks);
    shared.params = *params;
    TRY(check(&shared, ctx, __func__, &count));
    TRY(images_new(ctx, (size_t)count, &images, &shared.list));
    const struct parallel_plan plan = {.contexts = contexts,
                                       .context_count = diffusion_count,
                                       .item_count = (size_t)count,
                                       .most = (size_t)count,
                                       .what = "generating images",
                                       .work = make_images,
                                       .deliver = deliver,
                                       .user = &shared};
    keep_networks(&shared, diffusion_count, kept, true);
    st = parallel_run(&plan);
    keep_networks(&shared, diffusion_count, kept, false);
    TRY(st);
    *out = images;
    images = NULL;
fail:
    clio_image_list_free(images);
    return st;
}
