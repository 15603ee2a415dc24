/* random_weights.h - safetensors files of random weights, which make_whisper and make_diffusers write.
 *
 * Every weight is n/128 of a power of two, which f16, bf16 and f32 hold exactly, and depends on its key and place alone: all three types
 * and any number of files are the same network. Data is written as it is made, so memory stays small. */
#ifndef CLIO_RANDOM_WEIGHTS_H
#define CLIO_RANDOM_WEIGHTS_H

#include "../../host/core/json.h"
#include "../../host/core/tensor.h"

struct random_tensor {
    char key[120];
    int ndim, dim[4];
    double scale; /* of random numbers; 0: all are `value` */
    float value;
};

struct random_weights {
    clio_context *ctx;
    const char *root; /* how every key begins */
    enum dtype dtype;
    struct random_tensor *list; /* the caller frees it */
    int count, capacity;
};

/* "f16", "bf16" or "f32"; false: neither. */
bool random_dtype(const char *name, enum dtype *dtype);
/* A power of two near sqrt(3 / inputs): random numbers within it keep the size of what passes through. */
double random_scale(int inputs);

/* List a tensor with the key root + prefix + name. */
clio_status random_add(struct random_weights *w, const char *prefix, const char *name, int ndim, const int *dim, double scale, float value);
/* NAME.weight [outputs, inputs...] of a product or a convolution, scaled by its inputs, and NAME.bias. */
clio_status random_add_linear(struct random_weights *w, const char *prefix, const char *name, int ndim, const int *dim, bool bias);
/* NAME.weight, all 1, and NAME.bias. */
clio_status random_add_norm(struct random_weights *w, const char *prefix, const char *name, int width);

size_t random_count(const struct random_tensor *t);
/* The tensors from `first` to before `last` into a file. */
clio_status random_write(const struct random_weights *w, const char *path, int first, int last);

/* DIR/NAME; takes the reference to root. */
clio_status write_json(clio_context *ctx, const char *dir, const char *name, json_t *root);

#endif
