/* weights.h - the tensors of a checkpoint: files of safetensors or of torch.save (pickle_weights.h), one or sharded, read while they are
 * used: one that another program cuts short meanwhile is an error. The first bytes say which form a file has, not its name.
 * Every size and offset is checked against the file before it is used; see safetensors.c and pickle_weights.c.
 * Source: the safetensors format description (huggingface/safetensors, README, "Format"). */
#ifndef CLIO_CORE_WEIGHTS_H
#define CLIO_CORE_WEIGHTS_H

#include "file.h"
#include "tensor.h"

struct weight {
    char *name;
    enum dtype dtype; /* of the stored bytes: F32, F16, BF16, F64, F8_E4M3, F8_E5M2; I32, I64 and U8, which are no weights */
    int ndim;
    int dim[TENSOR_DIMS];
    size_t count;              /* elements */
    const unsigned char *data; /* in memory, of any alignment; NULL: in `file` from byte `first` on */
    const struct file_in *file;
    uint64_t first;
    char *problem; /* why clio cannot read it ("is stored as I16, ..."), or NULL; if set, only the name is valid */
    void *owned;   /* memory that the entry owns and `data` points to, or NULL */
};
struct weights {
    char *path; /* of the folder or file, for messages */
    struct file_in *files;
    size_t file_count;
    struct weight *list; /* sorted by name */
    size_t count;
    bool is_pickle;                /* a file is not of safetensors: there is no "__metadata__" */
    struct weights_random *random; /* of weights_random; NULL: a checkpoint */
};

/* `path` is a file, an index (.json) of shards in its folder, or a folder that holds `stem`.safetensors or
 * `stem`.safetensors.index.json (stem "model"), else `stem`.bin or its index; of the stem "model", pytorch_model.bin. Folders of models
 * have variants too: models/loaders/model_folder.h. */
clio_status weights_open(clio_context *ctx, struct weights *w, const char *path, const char *stem);
/* The stem of the same weights in files named .bin. */
const char *weights_bin_stem(const char *stem);
void weights_close(struct weights *w);
/* For benchmarks: weights_need finds every tensor of at most `largest` elements, with small random numbers; weights_find finds none. */
clio_status weights_random(clio_context *ctx, struct weights *w, size_t largest);
/* Of weights_need and weights_close. */
clio_status weights_random_need(clio_context *ctx, const struct weights *w, const char *name, int ndim, const int *dim,
                                const struct weight **out);
void weights_random_free(struct weights *w);
/* A view: at most `capacity` entries with their own names, whose data is owned or in other weights that outlive the view. path: for
 * messages. Call weights_sort before a lookup; it refuses duplicate names. weights_close releases the view. */
clio_status weights_view(clio_context *ctx, struct weights *view, const char *path, size_t capacity);
/* Append a copy of `as` under another name. The entry may be changed through *out (which may be NULL). `as` must not own memory. */
clio_status weights_add(clio_context *ctx, struct weights *view, const char *name, const struct weight *as, struct weight **out);
clio_status weights_sort(clio_context *ctx, struct weights *view);

/* A value of the "__metadata__" of the first file, in new memory; NULL if there is none. */
clio_status weights_note(clio_context *ctx, const struct weights *w, const char *key, char **out);

/* NULL when there is none. */
const struct weight *weights_find(const struct weights *w, const char *name);
/* The tensor `name` of exactly this shape, stored as floating-point numbers; a missing one, another shape or another type is an error that
 * names file, tensor and both shapes. Integers are looked up with weights_find. */
clio_status weights_need(clio_context *ctx, const struct weights *w, const char *name, int ndim, const int *dim, const struct weight **out);
/* Stored bytes first .. first+size of a tensor without a problem, at *out: in memory where they are, else read into `buffer`. */
clio_status weight_bytes(clio_context *ctx, const struct weight *w, size_t first, size_t size, void *buffer, const unsigned char **out);
/* Elements first .. first+count as f32, whatever the storage type; integers are converted too. NaN for a tensor with a problem. */
clio_status weight_floats(clio_context *ctx, const struct weight *w, size_t first, size_t count, float *out);
/* An error if the device's type `storage` makes infinite what the file holds as a number. values: `count` elements, f32, f16 or bf16. */
clio_status weight_check_range(clio_context *ctx, const struct weight *w, enum dtype storage, enum dtype source, const void *values,
                               size_t count);
/* Let the entry begin `elements` later: at a part of a fused tensor. */
void weight_skip(struct weight *w, size_t elements);

#endif
