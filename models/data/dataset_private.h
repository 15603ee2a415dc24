/* dataset_private.h - shared by the files of models/data. */
#ifndef CLIO_MODELS_DATA_DATASET_PRIVATE_H
#define CLIO_MODELS_DATA_DATASET_PRIVATE_H

#include "dataset.h"

#define DATASET_SAMPLES_MAX 0x7fffffff /* indices are 32-bit */

/* Columns of metadata that hold captions; the first that exists counts. */
#define DATASET_CAPTION_COLUMNS "text", "caption", "transcription", "sentence", "prompt"
#define DATASET_CAPTION_MAX 65536 /* bytes of a caption file */

/* One value of a row of metadata. */
struct cell {
    int column; /* of dataset.columns */
    bool is_number;
    double number;
    char *text; /* NULL: a JSON number, boolean or list */
};

struct sample {
    char *path;                  /* NULL for IDX */
    const char *name;            /* part of path: relative to the dataset's folder */
    const char *class_name;      /* part of path: the innermost folder; not terminated */
    size_t class_length;         /* 0: none */
    const unsigned char *pixels; /* u8 [height, width] for IDX */
    char **captions;
    size_t caption_count;
    int label; /* -1: none */
    int width, height;
    double seconds; /* of a sound */
    enum dataset_split split;
    bool is_described; /* has a row of metadata */
    bool is_bad;       /* has an error: to be removed */
    struct cell *cells;
    size_t cell_count, cell_capacity;
    float *numbers; /* f32 [info.columns], part of dataset.numbers */
};

struct column {
    char *name;
    size_t cells, numbers; /* number of values; of numeric values */
    int at;                /* index among the numeric columns; -1: not numeric */
};

struct dataset {
    struct dataset_info info;
    struct dataset_options options;
    char *root, *caption_column;
    struct sample *samples; /* sorted by name */
    size_t count, capacity;
    uint32_t *of[DATASET_SPLITS]; /* [info.count[split]] indices of the samples */
    struct column *columns;
    size_t column_count, column_capacity;
    float *numbers;
    const char **column_names;
    char **class_names;
    bool *class_unseen;
    unsigned char *pixels[DATASET_SPLITS]; /* of IDX files */
    char *first_skipped;
    char **warnings;
    size_t warning_capacity;
};

/* The first caption; "": none. */
static inline const char *sample_caption(const struct sample *s)
{
    return s->caption_count ? s->captions[0] : "";
}

/* ---- dataset_build.c ---- */

/* A sample failed with st: with skip_corrupt count it and return CLIO_OK, unless memory ran out; else return st. */
clio_status dataset_skip(clio_context *ctx, struct dataset *ds, clio_status st);
/* Add an empty sample; *out is valid until the next call. */
clio_status dataset_add(clio_context *ctx, struct dataset *ds, struct sample **out);

/* Add a sentence to info.warnings. */
clio_status dataset_warn(clio_context *ctx, struct dataset *ds, const char *format, ...) CLIO_PRINTF(3, 4);
/* Add a caption, unless it is only white space. */
clio_status dataset_add_caption(clio_context *ctx, struct sample *s, const char *text);
/* Set the names of the classes 0 .. count - 1: names (copied), or their numbers if NULL. */
clio_status dataset_classes(clio_context *ctx, struct dataset *ds, int count, const char *const *names);

/* ---- the dataset types ---- */

/* Read the IDX files of the folder; *found false: there are none. */
clio_status dataset_idx(clio_context *ctx, struct dataset *ds, bool *found);
/* Read a folder of images or sounds. */
clio_status dataset_folder(clio_context *ctx, struct dataset *ds);

/* A file in the dataset's folder. */
enum entry_type { ENTRY_OTHER, ENTRY_IMAGE, ENTRY_SOUND, ENTRY_TEXT, ENTRY_METADATA, ENTRY_TABLE };
struct entry {
    char *name; /* relative to the folder */
    enum entry_type type;
};
struct entries {
    struct entry *list; /* sorted by name */
    size_t count, capacity;
};
/* List the files that can belong to a dataset, sorted by name. */
clio_status dataset_scan(clio_context *ctx, struct dataset *ds, struct entries *entries);
/* Read captions, labels and other columns from the metadata files and text files among the entries. */
clio_status dataset_captions(clio_context *ctx, struct dataset *ds, const struct entries *entries);
/* Add one row of metadata. where: begin of error messages ("photos/metadata.jsonl, line 3"); folder: of the metadata file, relative to the
 * dataset, "" or ending in a slash. */
struct field {
    const char *name, *text;  /* text NULL: a JSON number, boolean or list */
    const char *const *texts; /* of a JSON number, or list of texts and numbers; else NULL */
    size_t count;
    bool is_number;
    double number;
};
clio_status dataset_row(clio_context *ctx, struct dataset *ds, const char *where, const char *folder, const struct field *fields,
                        size_t count);
/* Add all rows of a metadata.jsonl or metadata.csv. */
clio_status dataset_metadata(clio_context *ctx, struct dataset *ds, const char *name);
#define DATASET_FIELDS_MAX 1024
/* A metadata file that is being read. */
struct metadata_file {
    const char *path;
    char *folder; /* relative to the dataset, "" or ending in a slash */
    struct bytes where;
    struct field fields[DATASET_FIELDS_MAX];
};
/* Add the row of m->fields [count]. */
clio_status dataset_metadata_row(clio_context *ctx, struct dataset *ds, struct metadata_file *m, size_t line, size_t count);
clio_status dataset_csv(clio_context *ctx, struct dataset *ds, struct metadata_file *m, const char *text, size_t size);

/* Number the classes: from the column label, or from folders. */
clio_status dataset_labels(clio_context *ctx, struct dataset *ds);
/* Set a label that the data gives as a number; an error if it is none of the classes. */
clio_status dataset_number_label(clio_context *ctx, const struct dataset *ds, struct sample *s, double number);

/* Check need_captions, need_labels and whole_sounds, and warn of what is probably not meant. */
clio_status dataset_check(clio_context *ctx, struct dataset *ds);
clio_status dataset_check_splits(clio_context *ctx, struct dataset *ds);

/* ---- one sample ---- */

/* A counter-based random stream (Philox) for a sample in an epoch; `slot` selects the random number. */
struct draws {
    uint64_t seed;
    uint32_t epoch, sample, purpose;
};
enum { DRAWS_SPLIT, DRAWS_ORDER, DRAWS_SAMPLE, DRAWS_SPECTROGRAM, DRAWS_CAPTION };
void draws_words(const struct draws *d, uint32_t slot, uint32_t words[4]);
/* Uniform from 0 to n - 1; n at least 1. */
uint32_t draws_below(const struct draws *d, uint32_t slot, uint32_t n);
/* Uniform in [0, 1). */
float draws_unit(const struct draws *d, uint32_t slot);
/* A random permutation of 0 .. n - 1 (Fisher-Yates). */
void draws_order(const struct draws *d, uint32_t *order, size_t n);

/* A decoded and resized image with the loader's channels, at least as large as the crop: u8 [height, width, channels]. */
struct prepared {
    const unsigned char *data;
    unsigned char *own; /* data if it must be freed; else NULL */
    int width, height;
};
clio_status dataset_prepare(clio_context *ctx, const struct dataset *ds, const struct sample *sample, const struct augment *augment,
                            struct prepared *out);
/* Crop and augment: out f32 [info.height, info.width, info.channels]. */
void dataset_augment(const struct dataset *ds, const struct prepared *in, const struct augment *augment, bool unit,
                     const struct draws *draws, float *out);
/* Decode a sound: *out f32 [*count], allocated. */
clio_status dataset_sound(clio_context *ctx, const struct dataset *ds, const struct sample *sample, const struct augment *augment,
                          const struct draws *draws, float **out, size_t *count);

#endif
