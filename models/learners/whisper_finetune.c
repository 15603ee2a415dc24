/* whisper_finetune.c - fine-tune Whisper (Radford et al. 2022) on audio with captions, with teacher forcing.
 *
 *     loss = cross-entropy of each token of the caption and of the end token, given the audio and all tokens before
 *
 * SpecAugment (Park et al. 2019) masks random times and frequencies of the training spectrograms, new ones at each step, within the
 * recording and not its padding.
 *
 * The mean is over the tokens of the whole step, however they are divided among batches and processes. The prompt tokens
 * (<|startoftranscript|>, language, task, <|notimestamps|>) are given and have no loss. A recording is one window of 30 seconds: longer
 * ones are cut, shorter ones are padded with silence. A checkpoint has a folder `whisper` that clio transcribe reads. */
#include "settings.h"
#include "types.h"
#include "../data/dataset.h"
#include "../tokenizers/whisper_languages.h"
#include "../networks/whisper.h"
#include "../tokenizers/whisper_tokens.h"
#include "../../audio/mel.h"
#include "../../host/core/context.h"
#include "../loaders/model_folder.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PROMPT 4
#define IGNORE_INDEX (-100) /* as in PyTorch */
#define WHISPER "whisper"   /* folder in a checkpoint */

/* clang-format off: a setting a line */
static const struct learner_setting settings[] = {
    {"pretrained", 't', 0, 0, 0, NULL, "folder of the Whisper model to fine-tune"},
    {"language", 't', 0, 0, 0, "en", "language of the captions"},
    {"task", 's', 0, 0, 0, "transcribe|translate", "task token: the captions are in the spoken language, or in English"},
    {"gradient_checkpointing", 'b', 0, 1, 0, NULL, "recompute the encoder's activations in the backward pass: less memory, more time"},
    {"num_time_masks", 'i', 0, 100, 0, NULL, "SpecAugment: time masks per log-mel spectrogram"},
    {"time_mask_length", 'i', 0, 3000, 100, NULL, "SpecAugment: longest time mask, in frames of 10 ms"},
    {"num_frequency_masks", 'i', 0, 100, 0, NULL, "SpecAugment: frequency masks per log-mel spectrogram"},
    {"frequency_mask_length", 'i', 0, 201, 27, NULL, "SpecAugment: widest frequency mask, in mel bands"},
    {0},
};
/* clang-format on */
static const char *const parts[] = {"whisper", NULL};
static const char *const losses[] = {"loss", NULL};

struct whisper_learner {
    char *dir; /* the model's folder: tokenizer and configuration */
    struct whisper net;
    struct tokenizer tokenizer;
    struct whisper_tokens tokens;
    struct mel mel;
    struct whisper_state state;
    int prompt[MAX_PROMPT], prompt_count;
    struct spec_augment augment; /* in training only */
    struct tensor loss;
};

static clio_status make_prompt(clio_context *ctx, const struct learner *l, struct whisper_learner *s)
{
    clio_status st = CLIO_OK;
    const struct whisper_tokens *t = &s->tokens;
    const char *code = language_find(learner_text(l, "language"));
    int language = code ? language_index(code) : -1;
    if (t->is_multilingual && (language < 0 || language >= t->language_count))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting language must be a language of the model %s, such as en, not \"%.40s\"", s->dir,
             learner_text(l, "language"));
    s->prompt[s->prompt_count++] = t->sot;
    if (t->is_multilingual) {
        s->prompt[s->prompt_count++] = t->first_language + language;
        s->prompt[s->prompt_count++] = learner_choice(l, "task") ? t->translate : t->transcribe;
    }
    s->prompt[s->prompt_count++] = t->no_timestamps;
fail:
    return st;
}

static clio_status open(clio_context *ctx, struct learner *l)
{
    clio_status st = CLIO_OK;
    struct whisper_learner *s;
    const char *pretrained = learner_text(l, "pretrained");
    TRY(mem_alloc(ctx, &s, 1, sizeof *s));
    l->state = s;
    TRY(folder_try(ctx, l->from, WHISPER, &s->dir));
    if (!s->dir && !*pretrained)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a model %s starts from a trained one: set pretrained to its folder", l->type->name);
    if (!s->dir)
        TRY(mem_string(ctx, &s->dir, pretrained));
    ctx->collects = &l->parameters[0];
    st = whisper_load(ctx, &s->net, s->dir);
    ctx->collects = NULL;
    TRY(st);
    s->net.recompute = json_is_true(json_object_get(l->config, "gradient_checkpointing"));
    TRY(tokenizer_open(ctx, &s->tokenizer, s->dir, TOKENIZER_GPT2));
    TRY(whisper_tokens(ctx, &s->tokenizer, s->net.config.vocab, &s->tokens));
    TRY(make_prompt(ctx, l, s));
    TRY(mel_open(ctx, &s->mel, s->net.config.bands));
    s->augment = (struct spec_augment){.time_masks = learner_int(l, "num_time_masks"),
                                       .time_width = learner_int(l, "time_mask_length"),
                                       .frequency_masks = learner_int(l, "num_frequency_masks"),
                                       .frequency_width = learner_int(l, "frequency_mask_length")};
fail:
    return st;
}

static void close(clio_context *ctx, struct learner *l)
{
    struct whisper_learner *s = l->state;
    if (s->state.self)
        whisper_state_free(ctx, &s->state, &s->net);
    mel_close(ctx, &s->mel);
    whisper_free(ctx, &s->net);
    tokenizer_close(&s->tokenizer);
    tensor_free(ctx, &s->loss);
    free(s->dir);
    free(s);
}

/* Weights are loaded in open. */
static clio_status init(clio_context *ctx, struct learner *l, uint64_t seed)
{
    (void)ctx;
    (void)l;
    (void)seed;
    return CLIO_OK;
}

/* ---- a batch: audio to log-mel spectrograms, captions to tokens ---- */

/* Set random time and frequency masks of the spectrograms to 0, as transformers does, each within its own sound. They depend on the seed,
 * the step and the sample's number in the batch alone: the same on every process, and after resuming. */
static clio_status mask_mels(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                             const struct tensor *mel)
{
    clio_status st = CLIO_OK;
    const struct whisper_learner *s = l->state;
    int frames = mel->dim[1], bands = mel->dim[2], most = s->augment.time_masks + s->augment.frequency_masks, count = 0;
    struct tape *recording = tape_pause(ctx);
    struct spec_mask *masks = NULL;
    int *boxes = NULL;
    if (most) {
        TRY(mem_alloc(ctx, &masks, (size_t)most, sizeof *masks));
        TRY(mem_alloc(ctx, &boxes, (size_t)batch->count * (size_t)most, MASK_BOX * sizeof *boxes));
    }
    for (int i = 0; most && i < batch->count; i++) {
        int length = MIN(frames, ROUND_UP(batch->lengths[i], MEL_HOP) / MEL_HOP);
        int n = spec_augment(masks, length, bands, &s->augment, l->seed, learner_stream(l, 0), (uint64_t)batch->first + (uint64_t)i);
        for (int j = 0; j < n; j++, count++) {
            const int box[MASK_BOX] = {i, masks[j].frame, masks[j].frame_end, masks[j].band, masks[j].band_end};
            memcpy(boxes + MASK_BOX * (size_t)count, box, sizeof box);
        }
    }
    if (count) {
        struct tensor list = tensor_shape(DTYPE_I32, 2, count, MASK_BOX, 0, 0);
        list.what = "masks";
        TRY(tensor_take(ctx, arena, &list));
        TRY(tensor_write(ctx, &list, 0, tensor_count(&list), boxes));
        TRY(op_mask_fwd(ctx, mel, &list, 0));
    }
fail:
    tape_resume(ctx, recording);
    free(masks);
    free(boxes);
    return st;
}

/* Log-mel spectrograms f32 [count, 2 positions, bands], with memory, of the batch's audio. */
static clio_status compute_mels(clio_context *ctx, struct whisper_learner *s, const struct learner_batch *batch, const struct tensor *mel)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    struct tape *recording = tape_pause(ctx);
    int window = mel->dim[1] * MEL_HOP;
    size_t margin = MEL_FFT / 2, got = MIN(batch->samples, (size_t)window), one = tensor_count(mel) / (size_t)mel->dim[0];
    struct tensor samples = tensor_shape(DTYPE_F32, 1, window + MEL_FFT, 0, 0, 0);
    struct tensor part = tensor_shape(DTYPE_F32, 2, mel->dim[1], mel->dim[2], 0, 0);
    samples.what = "audio";
    float *x = NULL;
    arena_grow(ctx, &arena);
    TRY(tensor_take(ctx, &arena, &samples));
    TRY(tensor_take(ctx, &arena, &part));
    TRY(mem_alloc(ctx, &x, (size_t)window + MEL_FFT, sizeof *x));
    for (int i = 0; i < batch->count; i++) {
        memset(x, 0, ((size_t)window + MEL_FFT) * sizeof *x);
        memcpy(x + margin, batch->audio + (size_t)i * batch->samples, got * sizeof *x);
        mel_reflect(x, margin, (size_t)window);
        TRY(tensor_write(ctx, &samples, 0, tensor_count(&samples), x));
        TRY(mel_forward(ctx, &arena, &s->mel, &part, &samples));
        TRY(tensor_copy(ctx, mel, (size_t)i * one, &part, 0, one));
    }
fail:
    tape_resume(ctx, recording);
    arena_free(ctx, &arena);
    free(x);
    return st;
}

/* Input tokens of the decoder, and the target after each: i32 [count][length] each. */
struct texts {
    int length, *ids, *targets;
    int counted; /* targets that are not IGNORE_INDEX */
};

/* Tokens of a caption into a row of ids and targets, which hold end tokens and IGNORE_INDEX. A caption that is too long for the model is
 * cut, and has no end. ids NULL: only *length. */
static clio_status tokenize_caption(clio_context *ctx, struct whisper_learner *s, const char *caption, int *ids, int *targets, int *length)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    int *tokens = NULL;
    size_t count = 0;
    TRY(bytes_print(ctx, &text, " %s", caption)); /* words begin with a space, as in Whisper's training */
    TRY(tokenizer_encode(ctx, &s->tokenizer, text.data, &tokens, &count));
    int most = s->net.config.text_positions - s->prompt_count, used = (int)MIN(count, (size_t)most);
    if (used < (int)count)
        context_notice_once(
            ctx,
            "a text has %zu tokens, and the model takes %d: it is cut there, without an end token; split such audio and its "
            "text. It begins: %.60s",
            count, most, caption);
    *length = s->prompt_count + used;
    for (int i = 0; ids && i < *length; i++) {
        int next = i + 1 - s->prompt_count;
        ids[i] = i < s->prompt_count ? s->prompt[i] : tokens[i - s->prompt_count];
        if (next >= 0 && next < (int)count) /* the token behind a cut is not taught as the end */
            targets[i] = next < used ? tokens[next] : IGNORE_INDEX;
        else if (next >= 0)
            targets[i] = s->tokens.eot;
    }
fail:
    bytes_free(&text);
    free(tokens);
    return st;
}

static clio_status tokenize_batch(clio_context *ctx, struct whisper_learner *s, const struct learner_batch *batch, struct texts *t)
{
    clio_status st = CLIO_OK;
    int length;
    if (!batch->captions)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "this model is trained on captions, and the data has none: add metadata.jsonl or .txt files beside the audio "
             "files");
    for (int i = 0; i < batch->count; i++) {
        TRY(tokenize_caption(ctx, s, batch->captions[i], NULL, NULL, &length));
        t->length = MAX(t->length, length);
    }
    size_t all = (size_t)batch->count * (size_t)t->length;
    TRY(mem_alloc(ctx, &t->ids, all, sizeof *t->ids));
    TRY(mem_alloc(ctx, &t->targets, all, sizeof *t->targets));
    for (size_t i = 0; i < all; i++) {
        t->ids[i] = s->tokens.eot;
        t->targets[i] = IGNORE_INDEX;
    }
    for (int i = 0; i < batch->count; i++)
        TRY(tokenize_caption(ctx, s, batch->captions[i], t->ids + i * t->length, t->targets + i * t->length, &length));
    for (size_t i = 0; i < all; i++)
        t->counted += t->targets[i] != IGNORE_INDEX;
fail:
    return st;
}

/* ---- the loss ---- */

/* The tokens of the captions that have a loss. */
static clio_status weigh(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *weight)
{
    clio_status st = CLIO_OK;
    struct texts t = {0};
    *weight = 0;
    if (batch->count)
        TRY(tokenize_batch(ctx, l->state, batch, &t));
    *weight = t.counted;
fail:
    free(t.ids);
    free(t.targets);
    return st;
}

/* s->loss = the sum over the tokens of the batch / weight; training: with SpecAugment, if it is set. */
static clio_status forward(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                           double weight, bool training)
{
    clio_status st = CLIO_OK;
    struct whisper_learner *s = l->state;
    const struct whisper_config *c = &s->net.config;
    uint64_t mark = arena_mark(arena);
    struct texts t = {0};
    int n = batch->count;
    TRY(tokenize_batch(ctx, s, batch, &t));
    struct tensor mel = tensor_shape(DTYPE_F32, 3, n, 2 * c->positions, c->bands, 0), encoded = mel, hidden, logits;
    struct tensor ids = tensor_shape(DTYPE_I32, 2, n, t.length, 0, 0), targets = tensor_shape(DTYPE_I32, 1, n * t.length, 0, 0, 0);
    struct tensor mean = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    encoded = tensor_shape(DTYPE_F32, 3, n, c->positions, c->width, 0);
    hidden = tensor_shape(DTYPE_F32, 3, n, t.length, c->width, 0);
    logits = tensor_shape(DTYPE_F32, 2, n * t.length, c->vocab, 0, 0);
    ids.what = targets.what = "tokens";
    struct tensor *const all[] = {&mel, &encoded, &ids, &targets, &hidden, &logits, &mean};
    for (size_t i = 0; i < COUNT(all); i++)
        TRY(tensor_take(ctx, arena, all[i]));
    TRY(tensor_write(ctx, &ids, 0, tensor_count(&ids), t.ids));
    TRY(tensor_write(ctx, &targets, 0, tensor_count(&targets), t.targets));
    TRY(compute_mels(ctx, s, batch, &mel));
    if (training)
        TRY(mask_mels(ctx, arena, l, batch, &mel));
    if (s->state.batch != n) {
        if (s->state.self)
            whisper_state_free(ctx, &s->state, &s->net);
        TRY(whisper_state_new(ctx, &s->state, &s->net, n));
    }
    TRY(whisper_encode(ctx, arena, &s->net, &encoded, &mel));
    TRY(whisper_attend_to(ctx, arena, &s->net, &s->state, &encoded, 0));
    TRY(whisper_decode(ctx, arena, &s->net, &s->state, &hidden, &ids, 0, 0));
    TRY(whisper_all_logits(ctx, &s->net, &logits, &hidden));
    TRY(op_cross_entropy_fwd(ctx, arena, &mean, &logits, &targets,
                             (struct cross_entropy_args){.rows = n * t.length, .n = c->vocab, .ignore = IGNORE_INDEX}));
    TRY(op_add_fwd(ctx, &s->loss, &mean, &mean, (float)(t.counted / weight), 0));
fail:
    arena_release(arena, mark);
    free(t.ids);
    free(t.targets);
    return st;
}

static clio_status step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *out)
{
    clio_status st = CLIO_OK;
    struct whisper_learner *s = l->state;
    struct tape *tape = &l->tapes[0];
    double weight = batch->weight;
    if (weight <= 0) /* the only batch of the step, in one process */
        TRY(weigh(ctx, l, batch, &weight));
    TRY(learner_scalar(ctx, &s->loss, batch));
    TRY(tape_start(ctx, tape));
    TRY(learner_watch(ctx, l, tape, 0));
    if (batch->count)
        TRY(forward(ctx, &tape->arena, l, batch, weight, true));
    tape_pause(ctx);
    TRY(learner_backward(ctx, l, tape, 0, &s->loss));
    TRY(learner_read(ctx, (const struct tensor *const[]){&s->loss}, 1, out));
fail:
    tape_pause(ctx);
    tape_reset(tape);
    return st;
}

static clio_status evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals)
{
    clio_status st = CLIO_OK;
    struct whisper_learner *s = l->state;
    struct arena arena = {0};
    (void)stream;
    arena_grow(ctx, &arena);
    TRY(learner_scalar(ctx, &s->loss, batch));
    if (batch->count)
        TRY(forward(ctx, &arena, l, batch, 1, false));
    TRY(learner_read(ctx, (const struct tensor *const[]){&s->loss}, 1, totals));
fail:
    arena_free(ctx, &arena);
    return st;
}

/* ---- files ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Tokenizer and generation settings: not the weights, and not config.json, which says how they are stored. */
static bool is_copied(const char *name)
{
    return (ends_with(name, ".json") || ends_with(name, ".txt")) && !ends_with(name, ".index.json") && strcmp(name, "config.json") != 0;
}

static clio_status save_config(clio_context *ctx, struct learner *l, const char *path)
{
    clio_status st = CLIO_OK;
    const struct whisper_learner *s = l->state;
    struct json_file config = {0};
    TRY(folder_copy(ctx, path, WHISPER, s->dir, is_copied));
    TRY(json_open(ctx, &config, s->dir, "config.json"));
    TRY(learner_mark_f32(ctx, config.root));
    TRY(folder_put_json(ctx, config.root, path, WHISPER, "config.json"));
fail:
    json_close(&config);
    return st;
}

const struct learner_type learner_whisper = {
    .name = "whisper",
    .summary = "fine-tune Whisper for transcription or captioning",
    .settings = settings,
    .parts = parts,
    .losses = losses,
    .metrics = losses,
    .takes_audio = true,
    .optimizers = {{.rule = OPTIM_ADAMW, .rate = 1e-5, .max_grad_norm = 1}},
    .open = open,
    .close = close,
    .init = init,
    .weigh = weigh,
    .step = step,
    .evaluate = evaluate,
    .weight_files = {{WHISPER, NULL}},
    .save_config = save_config,
};
