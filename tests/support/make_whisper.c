/* make_whisper.c - writes a Whisper folder of a published shape with random weights: to see that every shape loads and runs where only one
 * model's weights can be had.
 *
 *     make_whisper [--dtype f16|bf16|f32] [--shards N] SHAPE DIR [TOKENIZER_DIR]
 *
 * SHAPE is a row of `shapes`. TOKENIZER_DIR is the folder of a multilingual model: its tokenizer.json is renumbered where the shape needs
 * it. Without it a tokenizer is made up: bytes, two merges, and numbers for words. Weights are as random_weights.h has them. */
#include "random_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SHARDS 99

struct shape {
    const char *name;
    int width, encoder_layers, decoder_layers, heads, bands;
    int words, languages; /* tokens before <|endoftext|>; language tokens */
};
/* Source: config.json of openai/whisper-* */
static const struct shape shapes[] = {
    {"mini", 32, 2, 2, 2, 80, 320, 99},
    {"tiny", 384, 4, 4, 6, 80, 50257, 99},
    {"tiny.en", 384, 4, 4, 6, 80, 50256, 99},
    {"base", 512, 6, 6, 8, 80, 50257, 99},
    {"small", 768, 12, 12, 12, 80, 50257, 99},
    {"medium", 1024, 24, 24, 16, 80, 50257, 99},
    {"large-v3", 1280, 32, 32, 20, 128, 50257, 100},
    {"large-v3-turbo", 1280, 32, 4, 20, 128, 50257, 100},
};

/* Control tokens, counted from <|endoftext|>; after the languages: */
enum { TRANSLATE, TRANSCRIBE, START_OF_LM, START_OF_PREV, NO_SPEECH, NO_TIMESTAMPS, TIMESTAMPS };
static const char *const controls[] = {"<|translate|>",   "<|transcribe|>", "<|startoflm|>",
                                       "<|startofprev|>", "<|nospeech|>",   "<|notimestamps|>"};
#define TIMESTAMP_COUNT 1501

struct maker {
    clio_context *ctx;
    const struct shape *shape;
    const char *dir, *source;
    int shards;
    struct random_weights weights;
};

static int eot(const struct maker *m)
{
    return m->shape->words;
}

static int control(const struct maker *m, int which)
{
    return eot(m) + 2 + m->shape->languages + which;
}

static int vocabulary(const struct maker *m)
{
    return control(m, TIMESTAMPS) + TIMESTAMP_COUNT;
}

static bool is_english_only(const struct maker *m)
{
    return strstr(m->shape->name, ".en") != NULL;
}

/* ---- the list of tensors ---- */

/* taps 0: a product */
static clio_status add_linear(struct maker *m, const char *prefix, const char *name, int rows, int columns, int taps, bool bias)
{
    return random_add_linear(&m->weights, prefix, name, taps ? 3 : 2, (int[]){rows, columns, taps}, bias);
}

static clio_status add_norm(struct maker *m, const char *prefix, const char *name)
{
    return random_add_norm(&m->weights, prefix, name, m->shape->width);
}

static clio_status add_embedding(struct maker *m, const char *prefix, const char *name, int rows, double scale)
{
    return random_add(&m->weights, prefix, name, 2, (int[]){rows, m->shape->width}, scale, 0);
}

static clio_status add_attention(struct maker *m, const char *prefix, const char *name)
{
    clio_status st = CLIO_OK;
    const char *products[] = {"k_proj", "v_proj", "q_proj", "out_proj"};
    char key[64];
    for (size_t i = 0; i < COUNT(products); i++) {
        snprintf(key, sizeof key, "%s.%s", name, products[i]);
        TRY(add_linear(m, prefix, key, m->shape->width, m->shape->width, 0, i > 0)); /* keys have no bias */
    }
    snprintf(key, sizeof key, "%s_layer_norm", name);
    TRY(add_norm(m, prefix, key));
fail:
    return st;
}

static clio_status add_layers(struct maker *m, const char *side, int count, bool crosses)
{
    clio_status st = CLIO_OK;
    int width = m->shape->width;
    for (int i = 0; i < count; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s.layers.%d.", side, i);
        TRY(add_attention(m, prefix, "self_attn"));
        if (crosses)
            TRY(add_attention(m, prefix, "encoder_attn"));
        TRY(add_linear(m, prefix, "fc1", 4 * width, width, 0, true));
        TRY(add_linear(m, prefix, "fc2", width, 4 * width, 0, true));
        TRY(add_norm(m, prefix, "final_layer_norm"));
    }
    TRY(add_norm(m, side, ".layer_norm"));
fail:
    return st;
}

static clio_status list_tensors(struct maker *m)
{
    clio_status st = CLIO_OK;
    const struct shape *s = m->shape;
    TRY(add_linear(m, "encoder.", "conv1", s->width, s->bands, 3, true));
    TRY(add_linear(m, "encoder.", "conv2", s->width, s->width, 3, true));
    TRY(add_embedding(m, "encoder.", "embed_positions.weight", 1500, 1));
    TRY(add_layers(m, "encoder", s->encoder_layers, false));
    /* As large as twice what keeps size, so that some tokens are clearly likelier than others. */
    TRY(add_embedding(m, "decoder.", "embed_tokens.weight", vocabulary(m), 2 * random_scale(s->width)));
    TRY(add_embedding(m, "decoder.", "embed_positions.weight", 448, 2 * random_scale(s->width)));
    TRY(add_layers(m, "decoder", s->decoder_layers, true));
fail:
    return st;
}

/* ---- weights ---- */

static clio_status write_shard(struct maker *m, const char *name, int first, int last)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    TRY(file_join(m->ctx, &path, m->dir, name));
    TRY(random_write(&m->weights, path, first, last));
fail:
    free(path);
    return st;
}

static clio_status write_weights(struct maker *m)
{
    clio_status st = CLIO_OK;
    const struct random_weights *w = &m->weights;
    json_t *map = json_object();
    size_t total = 0, done = 0;
    for (int i = 0; i < w->count; i++)
        total += random_count(&w->list[i]) * dtype_size(w->dtype);
    for (int shard = 1, first = 0, last = 0; shard <= m->shards; shard++, first = last) {
        char name[64] = "model.safetensors";
        if (m->shards > 1)
            snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", shard, m->shards);
        while (last < w->count && (done < total / (size_t)m->shards * (size_t)shard || shard == m->shards)) {
            done += random_count(&w->list[last]) * dtype_size(w->dtype);
            json_object_set_new(map, w->list[last++].key, json_string(name));
        }
        TRY(write_shard(m, name, first, last));
    }
    if (m->shards > 1) {
        json_t *index = json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)total, "weight_map", map);
        TRY(write_json(m->ctx, m->dir, "model.safetensors.index.json", index));
    }
    printf("%s: %s, %d tensors, %.1f MB\n", m->dir, m->shape->name, w->count, (double)total / 1e6);
fail:
    json_decref(map);
    return st;
}

/* ---- tokenizer ---- */

static json_t *added_token(int id, const char *content, bool special)
{
    return json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", content, "single_word", 0, "lstrip", 0, "rstrip", 0,
                     "normalized", !special, "special", special);
}

/* Control tokens and timestamps in Whisper's order. */
static json_t *make_added(const struct maker *m)
{
    json_t *list = json_array();
    char name[32];
    const char *code, *language;
    int id = eot(m);
    json_array_append_new(list, added_token(id++, "<|endoftext|>", true));
    json_array_append_new(list, added_token(id++, "<|startoftranscript|>", true));
    for (int i = 0; i < m->shape->languages; i++) {
        clio_language((size_t)i, &code, &language);
        snprintf(name, sizeof name, "<|%s|>", code);
        json_array_append_new(list, added_token(id++, name, true));
    }
    for (size_t i = 0; i < COUNT(controls); i++)
        json_array_append_new(list, added_token(id++, controls[i], true));
    for (int i = 0; i < TIMESTAMP_COUNT; i++) {
        snprintf(name, sizeof name, "<|%d.%02d|>", i / 50, i % 50 * 2);
        json_array_append_new(list, added_token(id++, name, false));
    }
    return list;
}

/* The 256 bytes in GPT-2's alphabet (a printable byte is its own character, the n-th other one is U+0100 + n), "th", " th", " 258"... */
static json_t *make_words(const struct maker *m)
{
    json_t *vocab = json_object();
    char name[16];
    int next = 256;
    for (int b = 0; b < 256; b++) {
        bool printable = (b > 32 && b < 127) || (b > 160 && b != 173);
        int c = printable ? b : next++;
        int n = snprintf(name, sizeof name, "%c", c < 128 ? c : 0xC0 | c >> 6);
        if (c >= 128)
            snprintf(name + n, sizeof name - (size_t)n, "%c", 0x80 | (c & 63));
        json_object_set_new(vocab, name, json_integer(b));
    }
    json_object_set_new(vocab, "th", json_integer(256));
    json_object_set_new(vocab, "\xC4\xA0th", json_integer(257)); /* the character of the space */
    for (int id = 258; id < m->shape->words; id++) {
        snprintf(name, sizeof name, "\xC4\xA0%d", id);
        json_object_set_new(vocab, name, json_integer(id));
    }
    return vocab;
}

static json_t *make_tokenizer(const struct maker *m)
{
    json_t *cut = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1);
    json_t *merges = json_pack("[s, s]", "t h", "\xC4\xA0 th");
    json_t *model = json_pack("{s:s, s:o, s:o}", "type", "BPE", "vocab", make_words(m), "merges", merges);
    return json_pack("{s:s, s:o, s:O, s:o, s:o}", "version", "1.0", "added_tokens", make_added(m), "pre_tokenizer", cut, "decoder", cut,
                     "model", model);
}

/* The folder's tokenizer with the numbers that the shape's model has. Published: English-only models lack the last plain token, and every
 * control token is one lower; large-v3 has Cantonese behind the other languages, and what follows is one higher. */
static clio_status take_tokenizer(struct maker *m, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    json_t *vocab = json_object_get(json_object_get(file->root, "model"), "vocab"), *value;
    json_t *ids = json_object_get(json_object_get(file->root, "post_processor"), "special_tokens");
    json_t *added = json_object_get(file->root, "added_tokens"), *first = json_array_get(added, 0), *list = make_added(m);
    const char *name;
    void *next;
    int lacking = (int)json_object_size(vocab) - eot(m);
    if (json_integer_value(json_object_get(first, "id")) != 50257 || lacking < 0 || lacking > 1)
        FAIL(m->ctx, CLIO_ERROR_ARGUMENT, "%s is not the tokenizer of a multilingual Whisper model, from which the shape's own can be made",
             file->path);
    if (vocabulary(m) == 51865) {
        json_decref(list);
        return CLIO_OK;
    }
    json_object_foreach_safe(vocab, next, name, value) if (json_integer_value(value) >= eot(m)) json_object_del(vocab, name);
    json_object_foreach(ids, name, value)
    {
        size_t i;
        json_t *token;
        json_array_foreach(list, i, token) if (!strcmp(json_string_value(json_object_get(token, "content")), name))
            json_object_set_new(value, "ids", json_pack("[O]", json_object_get(token, "id")));
    }
    json_object_set(file->root, "added_tokens", list);
fail:
    json_decref(list);
    return st;
}

static clio_status write_tokenizer(struct maker *m)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    if (m->source) {
        TRY(json_open(m->ctx, &file, m->source, "tokenizer.json"));
        TRY(take_tokenizer(m, &file));
        TRY(write_json(m->ctx, m->dir, "tokenizer.json", json_incref(file.root)));
    } else {
        TRY(write_json(m->ctx, m->dir, "tokenizer.json", make_tokenizer(m)));
    }
fail:
    json_close(&file);
    return st;
}

/* ---- configuration ---- */

static clio_status write_config(struct maker *m)
{
    const struct shape *s = m->shape;
    const char *type = m->weights.dtype == DTYPE_F32 ? "float32" : m->weights.dtype == DTYPE_F16 ? "float16" : "bfloat16";
    json_t *root = json_pack("{s:[s], s:s, s:s, s:b, s:s}", "architectures", "WhisperForConditionalGeneration", "model_type", "whisper",
                             "activation_function", "gelu", "scale_embedding", 0, "torch_dtype", type);
    json_t *sizes = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "d_model", s->width, "num_mel_bins", s->bands,
                              "vocab_size", vocabulary(m), "encoder_layers", s->encoder_layers, "encoder_attention_heads", s->heads,
                              "encoder_ffn_dim", 4 * s->width, "decoder_layers", s->decoder_layers, "decoder_attention_heads", s->heads,
                              "decoder_ffn_dim", 4 * s->width, "max_source_positions", 1500, "max_target_positions", 448);
    json_t *tokens = json_pack("{s:i, s:i, s:i, s:i, s:b, s:b}", "bos_token_id", eot(m), "eos_token_id", eot(m), "pad_token_id", eot(m),
                               "decoder_start_token_id", eot(m) + 1, "is_encoder_decoder", 1, "use_cache", 1);
    json_object_update(root, sizes);
    json_object_update(root, tokens);
    json_decref(sizes);
    json_decref(tokens);
    return write_json(m->ctx, m->dir, "config.json", root);
}

/* What is never said: the folder's own list as far as it holds words, and the control tokens. */
static clio_status make_suppressed(struct maker *m, json_t **out)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    size_t i;
    json_t *value;
    *out = json_array();
    if (m->source) {
        TRY(json_open(m->ctx, &file, m->source, "generation_config.json"));
        json_array_foreach(json_object_get(file.root, "suppress_tokens"), i, value) if (json_integer_value(value) < eot(m))
            json_array_append(*out, value);
    }
    json_array_append_new(*out, json_integer(eot(m) + 1));
    for (int which = TRANSLATE; which <= NO_SPEECH; which++)
        json_array_append_new(*out, json_integer(control(m, which)));
fail:
    json_close(&file);
    return st;
}

static clio_status write_generation(struct maker *m)
{
    clio_status st = CLIO_OK;
    json_t *suppressed = NULL, *languages = json_object(), *tasks;
    const char *code, *name;
    char key[16];
    int blank = m->source ? 220 : 32; /* " " alone */
    TRY(make_suppressed(m, &suppressed));
    json_t *root =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:b, s:i, s:i, s:i, s:b, s:O, s:[i,i]}", "bos_token_id", eot(m), "eos_token_id", eot(m),
                  "pad_token_id", eot(m), "decoder_start_token_id", eot(m) + 1, "max_length", 448, "is_multilingual", !is_english_only(m),
                  "no_timestamps_token_id", control(m, NO_TIMESTAMPS), "max_initial_timestamp_index", 50, "prev_sot_token_id",
                  control(m, START_OF_PREV), "return_timestamps", 0, "suppress_tokens", suppressed, "begin_suppress_tokens", blank, eot(m));
    for (int i = 0; i < m->shape->languages; i++) {
        clio_language((size_t)i, &code, &name);
        snprintf(key, sizeof key, "<|%s|>", code);
        json_object_set_new(languages, key, json_integer(eot(m) + 2 + i));
    }
    tasks = json_pack("{s:i, s:i}", "transcribe", control(m, TRANSCRIBE), "translate", control(m, TRANSLATE));
    if (!is_english_only(m)) {
        json_object_set(root, "lang_to_id", languages);
        json_object_set(root, "task_to_id", tasks);
    }
    json_decref(tasks);
    TRY(write_json(m->ctx, m->dir, "generation_config.json", root));
fail:
    json_decref(languages);
    json_decref(suppressed);
    return st;
}

static clio_status write_preprocessor(struct maker *m)
{
    json_t *root = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "feature_extractor_type", "WhisperFeatureExtractor",
                             "processor_class", "WhisperProcessor", "feature_size", m->shape->bands, "n_fft", 400, "hop_length", 160,
                             "chunk_length", 30, "n_samples", 480000, "nb_max_frames", 3000, "sampling_rate", 16000, "padding_value", 0.0);
    return write_json(m->ctx, m->dir, "preprocessor_config.json", root);
}

/* ---- the command ---- */

static int usage(void)
{
    fputs("usage: make_whisper [--dtype f16|bf16|f32] [--shards N] SHAPE DIR [TOKENIZER_DIR]\nshapes:", stderr);
    for (size_t i = 0; i < COUNT(shapes); i++)
        fprintf(stderr, " %s", shapes[i].name);
    fputc('\n', stderr);
    return 2;
}

static bool read_arguments(struct maker *m, int argc, char **argv)
{
    const char *words[3] = {NULL, NULL, NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (!strcmp(argv[i], "--shards") && has_value) {
            m->shards = atoi(argv[++i]);
        } else if (!strcmp(argv[i], "--dtype") && has_value) {
            if (!random_dtype(argv[++i], &m->weights.dtype))
                return false;
        } else if (argv[i][0] == '-' || count == (int)COUNT(words)) {
            return false;
        } else {
            words[count++] = argv[i];
        }
    }
    for (size_t i = 0; words[0] && i < COUNT(shapes); i++)
        if (!strcmp(words[0], shapes[i].name))
            m->shape = &shapes[i];
    m->dir = words[1];
    m->source = words[2];
    return m->shape && m->dir && m->shards >= 1 && m->shards <= MAX_SHARDS;
}

static clio_status make(struct maker *m)
{
    clio_status st = CLIO_OK;
    TRY(file_make_folder(m->ctx, m->dir));
    TRY(list_tensors(m));
    TRY(write_config(m));
    TRY(write_generation(m));
    TRY(write_preprocessor(m));
    TRY(write_tokenizer(m));
    TRY(write_weights(m));
fail:
    free(m->weights.list);
    return st;
}

int main(int argc, char **argv)
{
    struct maker m = {.shards = 1, .weights = {.root = "model.", .dtype = DTYPE_F16}};
    if (!read_arguments(&m, argc, argv))
        return usage();
    m.ctx = m.weights.ctx = clio_create();
    if (!m.ctx)
        return 1;
    clio_status st = make(&m);
    if (st)
        fprintf(stderr, "make_whisper: %s\n", clio_error(m.ctx));
    clio_destroy(m.ctx);
    return st ? 1 : 0;
}
