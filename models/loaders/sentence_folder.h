/* sentence_folder.h - what a folder says about how a text becomes one vector: modules.json of sentence-transformers, and the folders it
 * names. A folder without it is a plain text encoder, of which sentence-transformers takes the mean of the tokens' states.
 *
 *     modules.json                a list of modules, run in order: Transformer (or CLIPModel), Pooling, Dense, Normalize
 *     sentence_bert_config.json   of the transformer: max_seq_length, do_lower_case
 *     1_Pooling/config.json       which states
 *     2_Dense/config.json         a linear layer with an activation, whose weights are beside it
 *
 * Source: UKPLab/sentence-transformers, SentenceTransformer.py (_load_sbert_model, _load_auto_model) and models/{Pooling,Dense}.py. */
#ifndef CLIO_MODELS_LOADERS_SENTENCE_FOLDER_H
#define CLIO_MODELS_LOADERS_SENTENCE_FOLDER_H

#include "../../host/core/json.h"

/* How the states of a text's tokens become one vector. */
enum pooling {
    POOLING_CLS,           /* the state of the first token */
    POOLING_MAX,           /* the maximum of each column */
    POOLING_MEAN,          /* the mean */
    POOLING_MEAN_SQRT,     /* the sum divided by the square root of the number of tokens */
    POOLING_WEIGHTED_MEAN, /* the mean with weight 1 for the first token, 2 for the second, ... */
    POOLING_LAST,          /* the state of the last token */
    POOLING_POOLER,        /* the network's own pooled vector (text_encoder.h): of CLIP, the projected state of the end token */
    POOLINGS
};
/* "mean"; the words of pooling_mode. */
const char *pooling_name(enum pooling pooling);
/* The pooling of this name; POOLINGS: there is none. */
enum pooling pooling_find(const char *name);
/* All names, separated by |. */
extern const char pooling_names[];

struct sentence_dense {
    char *folder; /* with config.json and model.safetensors */
    int in, out, act;
};
struct sentence_folder {
    char *encoder;       /* the folder of the text encoder */
    bool uses[POOLINGS]; /* several: their vectors one after the other, in this order */
    int width;           /* of a state, as 1_Pooling says; 0: it does not */
    struct sentence_dense *dense;
    size_t dense_count;
    bool normalizes; /* to length 1 */
    bool lower;      /* texts are made lower case before the tokenizer sees them */
    int max_length;  /* tokens; 0: as the encoder and its tokenizer say */
};
/* CLIO_ERROR_UNSUPPORTED: a module that clio does not know. On failure s is closed. */
clio_status sentence_folder_open(clio_context *ctx, struct sentence_folder *s, const char *dir);
/* s may be zeroed. */
void sentence_folder_close(struct sentence_folder *s);

#endif
