/* text_tokenizer.h - the tokenizers of text encoders behind one interface: a text to the row of token ids that the encoder takes, with
 * start and end token, cut to a length. The model_type of config.json says which tokenizer it is.
 *
 *     struct text_tokenizer t;
 *     TRY(text_tokenizer_open(ctx, &t, dir, "bert"));
 *     TRY(text_tokenizer_encode(ctx, &t, "Hello, world", 256, &ids, &count));
 *
 * A further tokenizer is a row of text_tokenizer.c. */
#ifndef CLIO_MODELS_TOKENIZERS_TEXT_TOKENIZER_H
#define CLIO_MODELS_TOKENIZERS_TEXT_TOKENIZER_H

#include "clip_tokenizer.h"
#include "wordpiece.h"

struct text_tokenizer_type;
struct text_tokenizer {
    const struct text_tokenizer_type *type; /* NULL: not open */
    union {
        struct clip_tokenizer clip;
        struct wordpiece wordpiece;
    } as;
    int pad;        /* what fills the rows of shorter texts */
    int max_length; /* tokens that the model's files allow at most; 0: they do not say */
};

/* Read the tokenizer of a model of this type from the folder `dir`. CLIO_ERROR_UNSUPPORTED: no row has the type. On failure t is closed. */
clio_status text_tokenizer_open(clio_context *ctx, struct text_tokenizer *t, const char *dir, const char *model_type);
/* t may be zeroed. */
void text_tokenizer_close(struct text_tokenizer *t);
/* The row of a text, which the caller frees. most: tokens at most, 2 or more, with start and end token; the end of a longer text is left
 * out. CLIO_ERROR_ARGUMENT: the text is not valid UTF-8. */
clio_status text_tokenizer_encode(clio_context *ctx, struct text_tokenizer *t, const char *utf8, int most, int **ids, size_t *count);

#endif
