/* prompt_weights.c - parse a prompt into parts with weights, tokenize the parts, split the tokens into chunks, encode. See
 * prompt_weights.h. */
#include "prompt_weights.h"
#include "prompt_schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_BRACKET 1.1
#define SQUARE_BRACKET (1 / 1.1)
#define COMMA_PADDING_BACKTRACK 20 /* tokens, A1111's default */
#define BREAK_WORD "BREAK"

/* ---- text to parts ---- */

/* A range of the unescaped text. Weights are doubles, as in A1111: parts of equal weight are merged, which changes their tokens. */
struct part {
    size_t at, size;
    double weight;
    bool is_break;
};
struct parser {
    clio_context *ctx;
    struct bytes text;
    struct part *parts;
    size_t count;
    size_t *round, *square; /* stacks of open brackets: index of the next part */
    size_t rounds, squares;
};

static clio_status add_part(struct parser *p, const char *text, size_t size, bool is_break)
{
    p->parts[p->count++] = (struct part){p->text.size, size, 1, is_break};
    return bytes_add(p->ctx, &p->text, text, size);
}

static void multiply(struct parser *p, size_t first, double factor)
{
    for (size_t i = first; i < p->count; i++)
        p->parts[i].weight *= factor;
}

/* Parse ":1.2)", spaces around the number allowed. Returns its size; 0: none. */
static size_t weight_size(const char *s, double *value)
{
    size_t n = 1, digits;
    while (prompt_is_space(s[n]))
        n++;
    digits = prompt_number(s + n, value);
    n += digits;
    while (prompt_is_space(s[n]))
        n++;
    return digits && s[n] == ')' ? n + 1 : 0;
}

/* Add plain text, split at BREAK. */
static clio_status add_text(struct parser *p, const char *text, size_t size)
{
    clio_status st = CLIO_OK;
    size_t from = 0;
    for (size_t at = 0; (at = prompt_find_word(text, at, size, BREAK_WORD)) < size; at = from) {
        TRY(add_part(p, text + from, at - from, false));
        TRY(add_part(p, "", 0, true));
        from = at + strlen(BREAK_WORD);
    }
    TRY(add_part(p, text + from, size - from, false));
fail:
    return st;
}

/* Parse one item of the grammar at `s`; *size: its length. */
static clio_status parse_item(struct parser *p, const char *s, size_t *size)
{
    clio_status st = CLIO_OK;
    double weight;
    *size = 1;
    if (*s == '\\') {
        bool escapes = s[1] && strchr("()[]\\", s[1]);
        *size = escapes ? 2 : 1;
        TRY(add_part(p, s + 1, *size - 1, false)); /* any other backslash is dropped, as in A1111 */
    } else if (*s == '(') {
        p->round[p->rounds++] = p->count;
    } else if (*s == '[') {
        p->square[p->squares++] = p->count;
    } else if (*s == ':' && (*size = weight_size(s, &weight))) {
        if (p->rounds)
            multiply(p, p->round[--p->rounds], weight);
        else
            TRY(add_part(p, s, *size, false));
    } else if (*s == ')' && p->rounds) {
        multiply(p, p->round[--p->rounds], ROUND_BRACKET);
    } else if (*s == ']' && p->squares) {
        multiply(p, p->square[--p->squares], SQUARE_BRACKET);
    } else {
        *size = MAX(strcspn(s, "\\()[]:"), (size_t)1);
        TRY(add_text(p, s, *size));
    }
fail:
    return st;
}

static clio_status parse(struct parser *p, const char *text)
{
    clio_status st = CLIO_OK;
    size_t size = strlen(text), merged = 0, step;
    if (size > PROMPT_MAX_BYTES)
        FAIL(p->ctx, CLIO_ERROR_ARGUMENT, "the prompt has %zu bytes and must not have more than %d: shorten it", size, PROMPT_MAX_BYTES);
    TRY(mem_alloc(p->ctx, &p->parts, 2 * size + 1, sizeof *p->parts)); /* BREAK makes three parts of five bytes */
    TRY(mem_alloc(p->ctx, &p->round, size, sizeof *p->round));
    TRY(mem_alloc(p->ctx, &p->square, size, sizeof *p->square));
    for (size_t at = 0; at < size; at += step)
        TRY(parse_item(p, text + at, &step));
    while (p->rounds)
        multiply(p, p->round[--p->rounds], ROUND_BRACKET);
    while (p->squares)
        multiply(p, p->square[--p->squares], SQUARE_BRACKET);
    for (size_t i = 0; i < p->count; i++) { /* merge neighbouring parts of equal weight */
        struct part *last = merged ? &p->parts[merged - 1] : NULL, part = p->parts[i];
        if (!isfinite((float)part.weight))
            FAIL(p->ctx, CLIO_ERROR_ARGUMENT, "a weight in the prompt is not finite: use fewer brackets, or weights like 1.3");
        if (last && !last->is_break && !part.is_break && last->weight == part.weight)
            last->size += part.size;
        else
            p->parts[merged++] = part;
    }
    p->count = merged;
fail:
    return st;
}

/* ---- tokens to chunks ---- */

struct chunker {
    clio_context *ctx;
    struct prompt *p;
    const struct clip_tokenizer *t;
    int used;       /* tokens in the last chunk, without the start token */
    int last_comma; /* index of the last comma among them, -1: none */
    int capacity;   /* allocated chunks */
};

/* Add an empty chunk: start token, end token, padding. */
static clio_status new_chunk(struct chunker *c)
{
    clio_status st = CLIO_OK;
    struct prompt *p = c->p;
    if (p->chunks == c->capacity) {
        int capacity = MAX(2 * c->capacity, p->chunks + 1);
        size_t count = (size_t)capacity * (size_t)p->length;
        int *ids = realloc(p->ids, count * sizeof *ids);
        p->ids = ids ? ids : p->ids;
        float *weights = ids ? realloc(p->weights, count * sizeof *weights) : NULL;
        p->weights = weights ? weights : p->weights;
        if (!weights)
            FAIL(c->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        c->capacity = capacity;
    }
    int *ids = p->ids + (size_t)p->chunks * (size_t)p->length;
    float *weights = p->weights + (size_t)p->chunks * (size_t)p->length;
    for (int i = 0; i < p->length; i++) {
        ids[i] = i == 0 ? c->t->start : i == 1 ? c->t->end : c->t->pad;
        weights[i] = 1;
    }
    p->chunks++;
    c->used = 0;
    c->last_comma = -1;
fail:
    return st;
}

static void put(struct chunker *c, int token, float weight)
{
    size_t at = (size_t)(c->p->chunks - 1) * (size_t)c->p->length + 1 + (size_t)c->used++;
    c->p->ids[at] = token;
    c->p->weights[at] = weight;
    c->p->ids[at + 1] = c->t->end;
}

/* The last chunk is full: begin a new one, and move the tokens after the last comma there if they are few. */
static clio_status overflow(struct chunker *c)
{
    clio_status st = CLIO_OK;
    int chunk_size = c->p->length - 2, from = c->last_comma + 1, moved = chunk_size - from;
    if (c->last_comma < 0 || chunk_size - c->last_comma > COMMA_PADDING_BACKTRACK)
        moved = 0;
    TRY(new_chunk(c));
    int *ids = c->p->ids + (size_t)(c->p->chunks - 2) * (size_t)c->p->length + 1 + from;
    float *weights = c->p->weights + (ids - c->p->ids);
    for (int i = 0; i < moved; i++) {
        put(c, ids[i], weights[i]);
        ids[i] = i ? c->t->pad : c->t->end;
        weights[i] = 1;
    }
    if (moved)
        ids[moved] = c->t->pad; /* the former end token */
fail:
    return st;
}

static clio_status add_token(struct chunker *c, int token, float weight)
{
    clio_status st = CLIO_OK;
    int chunk_size = c->p->length - 2;
    bool is_comma = token == c->t->comma;
    if (c->used == chunk_size && is_comma)
        TRY(new_chunk(c));
    else if (c->used == chunk_size)
        TRY(overflow(c));
    if (is_comma)
        c->last_comma = c->used;
    put(c, token, weight);
fail:
    return st;
}

/* Add the vectors of an embedding, which stay in one chunk. */
static clio_status add_embedding(struct chunker *c, const struct embedding *e, float weight)
{
    clio_status st = CLIO_OK;
    int chunk_size = c->p->length - 2;
    if (e->rows.vectors > chunk_size)
        FAIL(c->ctx, CLIO_ERROR_UNSUPPORTED, "%s has %d vectors, and a chunk of the prompt %d tokens: use a smaller embedding", e->path,
             e->rows.vectors, chunk_size);
    if (c->used + e->rows.vectors > chunk_size)
        TRY(new_chunk(c));
    for (int i = 0; i < e->rows.vectors; i++)
        put(c, e->first_id + i, weight);
fail:
    return st;
}

static clio_status add_tokens(struct chunker *c, struct embeddings *embeddings, const int *ids, size_t count, float weight)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < count;) {
        struct embedding *e = NULL;
        if (embeddings)
            TRY(embeddings_use(c->ctx, embeddings, ids + i, count - i, &e));
        TRY(e ? add_embedding(c, e, weight) : add_token(c, ids[i], weight));
        i += e ? e->id_count : 1;
    }
fail:
    return st;
}

clio_status prompt_read(clio_context *ctx, struct prompt *p, struct clip_tokenizer *t, struct embeddings *embeddings, const char *text,
                        int length)
{
    clio_status st = CLIO_OK;
    struct parser parser = {.ctx = ctx};
    struct chunker chunker = {.ctx = ctx, .p = p, .t = t};
    struct bytes part = {0};
    int *ids = NULL;
    size_t count;
    *p = (struct prompt){.length = length};
    TRY(clip_tokenizer_check(ctx, text)); /* on the whole prompt, so that the message has the right position */
    TRY(parse(&parser, text));
    TRY(new_chunk(&chunker));
    for (size_t i = 0; i < parser.count; i++) {
        const struct part *now = &parser.parts[i];
        if (now->is_break) {
            TRY(new_chunk(&chunker));
            continue;
        }
        free(ids);
        ids = NULL;
        part.size = 0;
        TRY(bytes_add(ctx, &part, parser.text.data + now->at, now->size));
        TRY(clip_tokenizer_encode(ctx, t, part.data, &ids, &count));
        TRY(add_tokens(&chunker, embeddings, ids, count, (float)now->weight));
    }
    if (!chunker.used && p->chunks > 1) /* nothing after the last BREAK */
        p->chunks--;
fail:
    free(parser.parts);
    free(parser.round);
    free(parser.square);
    bytes_free(&parser.text);
    bytes_free(&part);
    free(ids);
    if (st)
        prompt_free(p);
    return st;
}

clio_status prompt_extend(clio_context *ctx, struct prompt *p, const struct clip_tokenizer *t, int chunks)
{
    clio_status st = CLIO_OK;
    struct chunker chunker = {.ctx = ctx, .p = p, .t = t, .capacity = p->chunks};
    while (p->chunks < chunks)
        TRY(new_chunk(&chunker));
fail:
    return st;
}

void prompt_free(struct prompt *p)
{
    free(p->ids);
    free(p->weights);
    *p = (struct prompt){0};
}

/* ---- encoding ---- */

static double mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

static bool is_weighted(const struct prompt *p, int chunk)
{
    for (int i = 0; i < p->length; i++)
        if (p->weights[(size_t)chunk * (size_t)p->length + (size_t)i] != 1)
            return true;
    return false;
}

void prompt_apply_weights(const struct prompt *p, float *hidden, int width)
{
    size_t row = (size_t)width, size = (size_t)p->length * row;
    for (int chunk = 0; chunk < p->chunks; chunk++) {
        float *x = hidden + (size_t)chunk * size;
        const float *weights = p->weights + (size_t)chunk * (size_t)p->length;
        if (!is_weighted(p, chunk))
            continue;
        double before = mean_of(x, size), after, scale;
        for (size_t i = 0; i < size; i++)
            x[i] *= weights[i / row];
        after = mean_of(x, size);
        scale = before / after;
        for (size_t i = 0; isfinite(scale) && i < size; i++) /* not finite: the weighted mean is 0 */
            x[i] = (float)((double)x[i] * scale);
    }
}

clio_status prompt_encode(clio_context *ctx, const struct prompt *p, const struct text_encoder *encoder, int skip, const struct tensor *out)
{
    clio_status st = CLIO_OK;
    int width = encoder->width;
    struct text_tokens tokens = {.ids = p->ids, .batch = p->chunks, .length = p->length};
    struct tensor chunks = tensor_reshape(out, 3, p->chunks, p->length, width, 0);
    size_t count = (size_t)p->chunks * (size_t)p->length * (size_t)width;
    float *hidden = NULL;
    bool weighted = false;
    TRY(op_check(ctx, "prompt", "out", out, DTYPE_F32, 3, 1, p->chunks * p->length, width, 0));
    TRY(text_encoder_encode(ctx, encoder, &chunks, NULL, &tokens, skip));
    for (int i = 0; i < p->chunks; i++)
        weighted = weighted || is_weighted(p, i);
    if (weighted) {
        TRY(mem_alloc(ctx, &hidden, count, sizeof *hidden));
        TRY(tensor_read(ctx, out, 0, count, hidden));
        prompt_apply_weights(p, hidden, width);
        TRY(tensor_write(ctx, out, 0, count, hidden));
    }
fail:
    free(hidden);
    return st;
}
