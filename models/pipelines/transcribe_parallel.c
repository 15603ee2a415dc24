/* transcribe_parallel.c - clio_speech_files_parallel: the files of a list on several devices. Each transcribes the files that it takes with
 * clio_speech_files; the transcripts are kept until their turn. */
#include "parallel.h"
#include "transcribe.h"

#include <stdlib.h>
#include <string.h>

/* Of one file, once it is done. */
struct outcome {
    clio_status st;
    char *error; /* why it could not be read */
    clio_transcript *transcript;
};

struct shared {
    clio_speech *const *speeches;
    const char *const *paths;
    clio_speech_params params; /* the caller's, with the callbacks of a device */
    clio_parallel_file_fn on_file;
    void *user;
    struct outcome *outcomes; /* [count] */
};

/* The files that a device has taken. */
struct portion {
    struct parallel *p;
    struct shared *shared;
    clio_context *ctx;
    const size_t *items;
    clio_status st; /* of what on_portion_file did */
};

static int on_portion_file(void *user, size_t index, clio_status status, clio_transcript *transcript)
{
    clio_status st = CLIO_OK;
    struct portion *portion = user;
    struct outcome *outcome = &portion->shared->outcomes[portion->items[index]];
    outcome->st = status;
    outcome->transcript = transcript;
    if (status)
        TRY(mem_string(portion->ctx, &outcome->error, portion->ctx->status.sentence));
    parallel_done(portion->p, portion->items[index]);
fail:
    portion->st = st;
    return st != CLIO_OK;
}

static clio_status transcribe_portion(struct parallel *p, size_t self, const size_t *items, size_t count)
{
    clio_status st = CLIO_OK;
    struct shared *shared = parallel_plan_of(p)->user;
    clio_speech *speech = shared->speeches[self];
    struct portion portion = {.p = p, .shared = shared, .ctx = speech->ctx, .items = items};
    clio_speech_params params = shared->params;
    const char **paths = NULL;
    params.user = &portion;
    TRY(mem_alloc(speech->ctx, &paths, count, sizeof *paths));
    for (size_t i = 0; i < count; i++)
        paths[i] = shared->paths[items[i]];
    st = clio_speech_files(speech, paths, count, &params, on_portion_file);
    st = portion.st ? portion.st : st;
fail:
    free(paths);
    return st;
}

static clio_status deliver(struct parallel *p, size_t item, size_t self)
{
    struct shared *shared = parallel_plan_of(p)->user;
    struct outcome *o = &shared->outcomes[item];
    clio_transcript *transcript = o->transcript;
    o->transcript = NULL; /* owned by the caller now */
    return shared->on_file(shared->user, item, self, o->st, o->error, transcript) ? CLIO_ERROR_CANCELLED : CLIO_OK;
}

static void free_outcomes(struct outcome *outcomes, size_t count)
{
    for (size_t i = 0; outcomes && i < count; i++) {
        clio_transcript_free(outcomes[i].transcript);
        free(outcomes[i].error);
    }
    free(outcomes);
}

clio_status clio_speech_files_parallel(clio_speech *const *speeches, size_t speech_count, const char *const *paths, size_t count,
                                       const clio_speech_params *params, clio_parallel_file_fn on_file)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = NULL, *contexts[PARALLEL_CONTEXTS_MAX];
    clio_speech_params defaults;
    struct shared shared = {.speeches = speeches, .paths = paths, .on_file = on_file};
    REQUIRE(NULL, speeches, "speeches");
    REQUIRE_SIZE(NULL, speech_count, 1, PARALLEL_CONTEXTS_MAX, "speech_count");
    REQUIRE(NULL, speeches[0], "speeches[0]");
    ctx = speeches[0]->ctx;
    for (size_t i = 0; i < speech_count; i++) {
        struct call call = {.count = 0};
        REQUIRE_THAT(ctx, CALLER, speeches[i] != NULL, "speeches[%zu] is NULL", i);
        contexts[i] = speeches[i]->ctx;
        TRY(parallel_check(ctx, CALLER, contexts, i, "speeches"));
        TRY(call_open(&call, CALLER, speeches[i], params, &defaults));
    }
    TRY(call_check_paths(ctx, CALLER, paths, count));
    REQUIRE(ctx, on_file, "on_file");
    shared.params = params ? *params : defaults;
    shared.params.on_segment = NULL;
    shared.user = shared.params.user;
    TRY(mem_alloc(ctx, &shared.outcomes, count, sizeof *shared.outcomes));
    const struct parallel_plan plan = {.contexts = contexts,
                                       .context_count = speech_count,
                                       .item_count = count,
                                       .most = (size_t)MAX(shared.params.batch, 1),
                                       .what = "transcribing",
                                       .work = transcribe_portion,
                                       .deliver = deliver,
                                       .user = &shared};
    st = parallel_run(&plan);
fail:
    free_outcomes(shared.outcomes, count);
    return st;
}
