/* target_text.c - fuzz targets: tokenizers, prompts (LoRAs and embeddings they name, schedules, weights), texts that are
 * compared. */
#include "fuzz.h"

#include "../../models/pipelines/prompt_embeddings.h"
#include "../../models/pipelines/prompt_loras.h"
#include "../../models/pipelines/prompt_schedule.h"
#include "../../models/pipelines/prompt_weights.h"
#include "../../models/tokenizers/clip_tokenizer.h"
#include "../../models/tokenizers/whisper_tokens.h"
#include "../../models/tokenizers/wordpiece.h"
#include "../support/test_tokens.h"

#define POSITIONS 77

/* Whatever the vocabulary is, ids of a text lie in it. */
static void use_tokenizer(struct tokenizer *t)
{
    int *ids = NULL;
    size_t count = 0;
    clio_status st = tokenizer_encode(fuzz_ctx, t, "Hello world, it's  12 o'clock <|endoftext|> \xff\xc3\xa9\xe4\xb8\xad", &ids, &count);
    fuzz_check(st);
    for (size_t i = 0; i < count; i++)
        assert_in_range(ids[i], 0, tokenizer_size(t) - 1);
    free(ids);
    for (int i = -1; i <= tokenizer_size(t) && i < 600; i++) {
        size_t size;
        const char *bytes = tokenizer_bytes(t, i, &size);
        assert_true(bytes[size] == 0);
    }
}

void fuzz_tokenizer(const uint8_t *data, size_t size)
{
    struct tokenizer t;
    struct whisper_tokens tokens;
    fuzz_put("tokenizer.json", data, size);
    clio_status st = tokenizer_open(fuzz_ctx, &t, folder, TOKENIZER_GPT2);
    fuzz_check(st);
    if (st)
        return;
    use_tokenizer(&t);
    fuzz_check(whisper_tokens(fuzz_ctx, &t, 51865, &tokens));
    tokenizer_close(&t);
}

void fuzz_clip_tokenizer(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json",
                                        "added_tokens.json"};
    struct clip_tokenizer t;
    struct prompt p;
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = clip_tokenizer_open(fuzz_ctx, &t, folder);
    fuzz_check(st);
    if (st)
        return;
    use_tokenizer(&t.bpe);
    st = prompt_read(fuzz_ctx, &p, &t, NULL, "a (red:1.3) fox, [[blurry]] BREAK 12 \\( <|endoftext|> \xc3\x89T\xc3\x89 !!", POSITIONS);
    fuzz_check(st);
    if (!st)
        prompt_free(&p);
    clip_tokenizer_close(&t);
}

void fuzz_wordpiece(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"};
    struct wordpiece t;
    int *ids;
    size_t count;
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = wordpiece_open(fuzz_ctx, &t, folder);
    fuzz_check(st);
    if (st)
        return;
    for (int most = 2; most < 40; most += 37) {
        st = wordpiece_encode(fuzz_ctx, &t, "Hello wORLD, it's [MASK] \xc3\x89T\xc3\x89 \xe4\xb8\xad\xe6\x96\x87 cats\xe2\x80\x8b", most,
                              &ids, &count);
        fuzz_check(st);
        assert_true(st || (count >= 2 && count <= (size_t)most));
        for (size_t i = 0; i < (st ? 0 : count); i++)
            assert_in_range(ids[i], 0, tokenizer_size(&t.vocabulary) - 1);
        free(ids);
    }
    wordpiece_close(&t);
}

void fuzz_write_clip_tokenizer(const char *inner)
{
    char names[256][3], path[100], *at, *text = malloc(32768);
    assert_non_null(text);
    byte_names(names);
    at = text;
    for (int b = 0; b < 256; b++) {
        const char *escape = b == '"' || b == '\\' ? "\\" : "";
        at += sprintf(at, "%s\"%s%s\": %d, \"%s%s</w>\": %d", b ? ", " : "{", escape, names[b], b, escape, names[b], 256 + b);
    }
    sprintf(at, ", \"<|startoftext|>\": 512, \"<|endoftext|>\": 513}");
    snprintf(path, sizeof path, "%svocab.json", inner);
    put_text(path, text);
    snprintf(path, sizeof path, "%smerges.txt", inner);
    put_text(path, "#version: 0.2\n");
    free(text);
}

/* Weights applied to two columns of states. */
void fuzz_prompt(const uint8_t *data, size_t size)
{
    struct clip_tokenizer t;
    struct prompt p;
    char *text = fuzz_text(data, size);
    if (fuzz_is_first())
        fuzz_write_clip_tokenizer("");
    assert_int_equal(clip_tokenizer_open(fuzz_ctx, &t, folder), CLIO_OK);
    clio_status st = prompt_read(fuzz_ctx, &p, &t, NULL, text, POSITIONS);
    fuzz_check(st);
    if (!st) {
        size_t count = (size_t)p.chunks * POSITIONS * 2;
        float *hidden = test_values(count, 1);
        for (size_t i = 0; i < (size_t)p.chunks * POSITIONS; i++)
            assert_true(p.ids[i] >= 0 && p.ids[i] < 514 && p.weights[i] - p.weights[i] == 0);
        prompt_apply_weights(&p, hidden, 2);
        free(hidden);
        prompt_free(&p);
    }
    clip_tokenizer_close(&t);
    free(text);
}

/* Transcripts and captions, each with its references. */
void fuzz_texts(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"reference", "hypothesis"};
    clio_metrics *metrics;
    fuzz_put_parts(data, size, names, COUNT(names));
    fuzz_check(clio_evaluate_transcripts(fuzz_ctx, in_folder("reference"), in_folder("hypothesis"), &metrics));
    clio_metrics_free(metrics);
    fuzz_check(clio_evaluate_captions(fuzz_ctx, in_folder("hypothesis"), in_folder("reference"), &metrics));
    clio_metrics_free(metrics);
}

/* Steps of a sampler: what each of them reads. */
static void check_plan(const struct prompt_plan *plan, int steps)
{
    for (int i = 0; i < plan->count; i++)
        for (int step = 0; step < steps; step++)
            assert_in_range(plan->list[i].at[step], 0, plan->list[i].count - 1);
}

/* A prompt before it is tokens: the LoRAs and embeddings that it names, its schedules and its parts. */
void fuzz_prompt_plan(const uint8_t *data, size_t size)
{
    enum { STEPS = 30 };
    static char name[] = "cat";
    struct embedding cat = {.name = name};
    struct embeddings e = {.list = &cat, .count = 1, .folder = folder};
    struct prompt_plan plan;
    struct lora_names loras = {.dir = folder};
    struct bytes plain = {0}, resolved = {0};
    char *text = fuzz_text(data, size);
    if (fuzz_is_first())
        put_text("style.safetensors", "");
    clio_status st = prompt_loras_take(fuzz_ctx, text, false, &loras, &plain);
    fuzz_check(st);
    if (!st)
        st = embeddings_resolve(fuzz_ctx, &e, plain.data, &resolved);
    fuzz_check(st);
    for (int composes = 0; !st && composes < 2; composes++) {
        st = prompt_plan_read(fuzz_ctx, &plan, resolved.data, STEPS, composes);
        fuzz_check(st);
        if (!st)
            check_plan(&plan, STEPS);
        prompt_plan_free(&plan);
    }
    lora_choices_free(loras.list, loras.count);
    bytes_free(&plain);
    bytes_free(&resolved);
    free(text);
}
