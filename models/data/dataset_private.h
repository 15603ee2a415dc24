/* dataset_private.h - what the files of a dataset share; only models/dataset*.c include it. */
#ifndef CLIO_MODELS_DATA_DATASET_PRIVATE_H
#define CLIO_MODELS_DATA_DATASET_PRIVATE_H

#include "dataset.h"

#define DATASET_SAMPLES_MAX 0x7fffffff /* orders are of 32-bit numbers */

#define DATASET_CAPTION_MAX 65536 /* bytes of a caption file */

/* One value of a row of metadata. */
struct cell {
    int column; /* of dataset.columns */
    bool is_number;
    double number;
    char *text; /* NULL for a number of JSON */
};

struct sample {
    char *path;                  /* NULL in IDX */
    const char *name;            /* the part of path below the dataset's folder */
    const char *class_name;      /* the folder that it lies in, part of path; not terminated */
    size_t class_length;         /* 0: none */
    const unsigned char *pixels; /* u8 [height, width] in IDX */
    char *caption;               /* NULL: none */
    int label;                   /* -1: none */
    int width, height;
    enum dataset_split split;
    bool is_described; /* by a row of metadata */
    bool is_bad;       /* to be left out */
    struct cell *cells;
    size_t cell_count, cell_capacity;
    float *numbers; /* f32 [info.columns], part of dataset.numbers */
};

struct column {
    char *name;
    size_t cells, numbers; /* how many values, and how many of them are numbers */
    int at;                /* among the numbers of a batch; -1: not one of them */
};

struct dataset {
    struct dataset_info info;
    struct dataset_options options;
    char *root, *caption_column;
    struct sample *samples; /* in the order of names */
    size_t count, capacity;
    uint32_t *of[DATASET_SPLITS]; /* [info.count[split]] which samples */
    struct column *columns;
    size_t column_count, column_capacity;
    float *numbers;
    const char **column_names;
    char **class_names;
    unsigned char *pixels[DATASET_SPLITS]; /* of IDX files */
    char *first_skipped;
};

/* ---- dataset.c ---- */

/* A sample of the dataset failed with st: with skip_bad it is counted, and CLIO_OK returned; else st. Lack of memory stays a failure. */
clio_status dataset_skip(clio_context *ctx, struct dataset *ds, clio_status st);
/* Add an empty sample; *out until the next call. */
clio_status dataset_add(clio_context *ctx, struct dataset *ds, struct sample **out);

/* Names of the classes 0 .. count - 1: `names` (copied), or their numbers where that is NULL. */
clio_status dataset_classes(clio_context *ctx, struct dataset *ds, int count, const char *const *names);

/* ---- the kinds ---- */

/* Read the IDX files of the folder; *found false: there are none. */
clio_status dataset_idx(clio_context *ctx, struct dataset *ds, bool *found);
/* Everything about a folder of images or sounds. */
clio_status dataset_folder(clio_context *ctx, struct dataset *ds);

/* A file below the dataset's folder. */
enum entry_kind { ENTRY_OTHER, ENTRY_PICTURE, ENTRY_SOUND, ENTRY_TEXT, ENTRY_METADATA };
struct entry {
    char *name; /* below the folder */
    enum entry_kind kind;
};
struct entries {
    struct entry *list; /* in the order of names */
    size_t count, capacity;
};
/* Captions, labels and other columns from the metadata and side files among the entries. */
clio_status dataset_captions(clio_context *ctx, struct dataset *ds, const struct entries *entries);
/* One row of metadata: `where` begins the sentence of a refusal ("photos/metadata.jsonl, line 3"); `folder` is that of the metadata below
 * the dataset's, "" or ending in a slash. */
struct field {
    const char *name, *text; /* text NULL: a number of JSON */
    bool is_number;
    double number;
};
clio_status dataset_row(clio_context *ctx, struct dataset *ds, const char *where, const char *folder, const struct field *fields,
                        size_t count);
/* Every row of a metadata.jsonl or metadata.csv. */
clio_status dataset_metadata(clio_context *ctx, struct dataset *ds, const char *name);

/* ---- one sample ---- */

/* Where draws of one sample in one epoch come from: word `word` of the draw `slot`. */
struct draws {
    uint64_t seed;
    uint32_t epoch, sample, purpose;
};
enum { DRAWS_SPLIT, DRAWS_ORDER, DRAWS_SAMPLE, DRAWS_SPECTROGRAM };
void draws_words(const struct draws *d, uint32_t slot, uint32_t words[4]);
/* A number from 0 to n - 1; n from 1. */
uint32_t draws_below(const struct draws *d, uint32_t slot, uint32_t n);
/* [0, 1) */
float draws_unit(const struct draws *d, uint32_t slot);
/* 0 .. n - 1 in a drawn order. */
void draws_order(const struct draws *d, uint32_t *order, size_t n);

/* An image scaled, of the loader's channels, and large enough for its window: u8 [height, width, channels]. */
struct prepared {
    const unsigned char *data;
    unsigned char *own; /* `data` where it is to be freed; else NULL */
    int width, height;
};
clio_status dataset_prepare(clio_context *ctx, const struct dataset *ds, const struct sample *sample, const struct augment *augment,
                            struct prepared *out);
/* Cut out, changed, as numbers: f32 [info.height, info.width, info.channels]. */
void dataset_augment(const struct dataset *ds, const struct prepared *in, const struct augment *augment, bool unit,
                     const struct draws *draws, float *out);
/* A sound in fresh memory. */
clio_status dataset_sound(clio_context *ctx, const struct dataset *ds, const struct sample *sample, const struct augment *augment,
                          const struct draws *draws, float **out, size_t *count);

#endif
