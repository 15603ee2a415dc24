/* dataset.h - datasets and data loaders: images or sounds in a folder, with captions or labels, in batches.
 *
 *     struct dataset *ds;                               struct loader *loader;
 *     struct dataset_options o = dataset_defaults();    struct loader_options l = loader_defaults();
 *     o.width = o.height = 64;                          l.batch = 64;
 *     TRY(dataset_open(ctx, &ds, "photos", &o));        TRY(loader_open(ctx, &loader, ds, DATASET_TRAIN, &l));
 *     for (size_t i = 0; i < epochs * loader_batches(loader); i++)
 *         TRY(loader_next(ctx, loader, &batch));        batch->images is f32 [count, height, width, channels]
 *
 * The type of a dataset is detected from its files:
 *   IDX       train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-... (MNIST and its relatives), also as .gz; t10k is the split "test".
 *   images    PNG and JPEG files, as Hugging Face's imagefolder.
 *   sounds    WAV, FLAC, OGG, MP3 files, as audiofolder.
 * Captions of images and sounds: metadata.jsonl or metadata.csv with the column file_name (relative to its folder) and one of text,
 * caption, transcription, sentence, prompt; or NAME.txt or NAME.caption next to NAME.png. A list of captions in metadata.jsonl: one of them
 * is drawn in each epoch. A caption of white space alone is none. Labels: the column label; else the name of the subfolder (cat/1.png), if
 * there are at least two of them and no file is outside; classes are numbered in the order of their names, numbers by value. Other columns
 * are kept if all their values are numbers. Splits: top-level folders train, validation (or valid, val, dev), test; without them everything
 * is "train". Names that begin with a dot, and folders that hold a training run of clio, are ignored.
 *
 * All randomness comes from Philox keyed by the seed and, for a sample, by (epoch, sample). So threads, batch size, ranks and resuming do
 * not change the augmentation of a sample in an epoch, or the order of the epoch.
 *
 * dataset.c open, splits; dataset_build.c samples and warnings; dataset_checks.c missing captions and labels, what is suspicious;
 * dataset_idx.c IDX files; dataset_folder.c files, splits, sizes; dataset_scan.c names of files; dataset_labels.c classes;
 * dataset_captions.c, dataset_metadata.c, dataset_csv.c, dataset_rows.c captions and metadata; dataset_decode.c decoding; augment.c
 * augmentation; draws.c random numbers; dataloader.c batches. */
#ifndef CLIO_MODELS_DATA_DATASET_H
#define CLIO_MODELS_DATA_DATASET_H

#include "../../host/core/mem.h"

enum dataset_type { DATASET_IDX, DATASET_IMAGES, DATASET_SOUNDS };
enum dataset_split { DATASET_TRAIN, DATASET_VALIDATION, DATASET_TEST, DATASET_SPLITS };
/* How images of another aspect ratio are resized: */
enum dataset_resize_mode {
    DATASET_RESIZE_CROP,    /* scale to cover the size, then center crop */
    DATASET_RESIZE_STRETCH, /* scale to the size, ignoring the aspect ratio */
    DATASET_RESIZE_PAD      /* scale down to fit, never up, and pad with black: 28 x 28 becomes 32 x 32 unscaled */
};

struct dataset_options {
    int width, height; /* of the images; 0: not resized, and all must have the same size */
    int channels;      /* 1 or 3; 0: 1 for IDX, 3 for image files */
    enum dataset_resize_mode resize_mode;
    int rate;            /* sample rate of sounds; 0: 16000 */
    size_t samples;      /* of each sound: longer ones are cropped, shorter ones padded with zeros; 0: the longest of the batch */
    const char *caption; /* metadata column of the captions; NULL: the first existing one of the names above */
    bool need_captions;  /* a sample without caption is an error, unless allow_empty_captions */
    bool allow_empty_captions;
    bool need_labels;   /* a dataset without labels is an error */
    double seconds_max; /* a longer sound is an error, since its caption would not fit what is left of it; 0: no limit */
    bool skip_corrupt;  /* skip samples with errors, and count them */
    /* Class names of a trained model: classes get their numbers from here, matched by name; another class is an error. NULL: those of the
     * data. */
    const char *const *class_names;
    int classes;
    /* 0 to below 1: fraction of "train" used as "validation", unless there is such a folder. A sample is chosen by a hash of its name and
     * the seed, so that it does not change sides when others are added or removed. */
    double validation_split;
    uint64_t seed; /* of the validation split */
};
struct dataset_options dataset_defaults(void);

struct dataset_info {
    enum dataset_type type;
    size_t count[DATASET_SPLITS];
    int width, height, channels; /* of the images in batches; sounds: 0 */
    int rate;                    /* of sounds */
    size_t samples;              /* of each sound; 0: depends on the batch */
    double seconds, longest;     /* duration of all sounds and of the longest, from their headers */
    int classes;                 /* labels are 0 .. classes - 1; 0: no labels */
    const char *const *class_names;
    const bool *class_unseen; /* [classes], where labels are needed: no sample has it; else NULL */
    bool has_captions;        /* at least one sample has a caption */
    int columns;              /* numeric metadata columns besides label */
    const char *const *column_names;
    size_t skipped;            /* skipped samples */
    const char *first_skipped; /* error message of the first one; NULL: none */
    const char *const *warnings;
    int warning_count; /* sentences about what is allowed but probably not meant */
};

struct dataset;

/* Read the names, captions and sizes of all files in `path`, and check that they are complete. options may be NULL. Errors name the file:
 * an empty or unknown folder, a caption without an image, images without a caption (need_captions), images of different sizes without a
 * size in the options, damaged files, truncated IDX files or files that do not belong together. */
clio_status dataset_open(clio_context *ctx, struct dataset **out, const char *path, const struct dataset_options *options);
void dataset_close(struct dataset *ds); /* ds may be NULL; close its loaders first */
const struct dataset_info *dataset_info(const struct dataset *ds);
/* Of sample i of a split, 0 .. count[split] - 1, sorted by name: caption (the first one; "": none), path (NULL for IDX), label (-1: none).
 */
const char *dataset_caption(const struct dataset *ds, enum dataset_split split, size_t i);
const char *dataset_path(const struct dataset *ds, enum dataset_split split, size_t i);
int dataset_label(const struct dataset *ds, enum dataset_split split, size_t i);

/* Random augmentation per sample and epoch; 0: off. Applied in this order: */
struct augment {
    float random_resized_crop; /* scale to (1 + this) times the size, then crop at random; also makes DATASET_RESIZE_CROP random */
    int random_crop_padding;   /* RandomCrop(padding): black pixels added on each side, then crop at random */
    float random_flip;         /* RandomHorizontalFlip: probability */
    float brightness, contrast, saturation; /* ColorJitter: factor from 1 - this (at least 0) to 1 + this */
    float gaussian_noise;                   /* standard deviation, for values 0 to 1 */
    bool random_time_crop;                  /* sounds that are too long: crop at random instead of at the beginning */
};

struct loader_options {
    int batch;       /* global batch size, over all ranks; a multiple of ranks */
    bool shuffle;    /* else sorted by name */
    bool drop_last;  /* drop the last batch of an epoch if it is incomplete */
    bool unit_range; /* image values from 0 to 1; else from -1 to 1 */
    uint64_t seed;   /* of shuffling and augmentation */
    int rank, ranks; /* this loader returns the samples n * rank / ranks up to n * (rank + 1) / ranks of each batch of n */
    int prefetch;    /* batches prepared in advance by the loader's thread; 0: 2; -1: none, and no thread */
    int cache_mib;   /* cache of decoded images in MiB; 0: 256; -1: none */
    struct augment augment;
};
struct loader_options loader_defaults(void); /* batch 64, shuffle, drop_last, 1 rank; all else 0 */

/* One batch. Owned by the loader; valid until the next loader_next, loader_seek or loader_close. */
struct batch {
    size_t epoch, first; /* epoch, from 0; samples of the epoch in earlier batches */
    bool ends_epoch;     /* the next batch belongs to the next epoch */
    int count;           /* samples of this rank; 0 is possible in an incomplete batch */
    int global_count;    /* samples over all ranks */
    const float *images; /* f32 [count, height, width, channels]; sounds: NULL */
    const float *audio;  /* f32 [count, samples]; images: NULL */
    size_t samples;
    const int32_t *lengths;      /* [count] samples of each sound without padding */
    const int32_t *labels;       /* [count]; NULL: none */
    const float *numbers;        /* f32 [count, columns], NaN: missing; NULL: no columns */
    const char *const *captions; /* [count], "": none; NULL: no captions */
    const uint32_t *indices;     /* [count] index of each sample in the split */
};

struct loader;

/* Batches of one split, from epoch 0, batch 0, over any number of epochs. CLIO_ERROR_ARGUMENT: the split has less than one batch. Several
 * loaders may share a dataset, which must outlive them. */
clio_status loader_open(clio_context *ctx, struct loader **out, const struct dataset *ds, enum dataset_split split,
                        const struct loader_options *options);
void loader_close(struct loader *l); /* l may be NULL; can be called at any time */
/* Batches per epoch: count / batch, rounded down with drop_last, else up. */
size_t loader_batches(const struct loader *l);
/* The next batch. A file that passed the checks of dataset_open but cannot be decoded is an error; with skip_corrupt the next sample of the
 * split replaces it. After a failure the loader stays at this batch until loader_seek. */
clio_status loader_next(clio_context *ctx, struct loader *l, const struct batch **out);
/* Continue in an epoch after its first `sample` samples: the batches from there on are the same as without seeking, also with another batch
 * size. */
clio_status loader_seek(clio_context *ctx, struct loader *l, size_t epoch, size_t sample);
/* Number of replaced corrupt samples so far. */
size_t loader_replaced(const struct loader *l);

/* SpecAugment (Park et al. 2019) without time warping, which has the smallest effect in the paper: masks of random width, from 0 to the
 * given one, over frames and mel bands. 0: off. */
struct spec_augment {
    int time_masks, time_width;           /* frames */
    float time_fraction;                  /* a time mask covers at most this fraction of the frames; 0: no limit */
    int frequency_masks, frequency_width; /* bands */
};
/* Frames frame .. frame_end - 1, bands band .. band_end - 1. */
struct spec_mask {
    int frame, frame_end, band, band_end;
};
/* The masks of a spectrogram [frames, bands]; returns their number, at most time_masks + frequency_masks. Depends on (seed, epoch, sample)
 * only. */
int spec_augment(struct spec_mask *masks, int frames, int bands, const struct spec_augment *o, uint64_t seed, uint64_t epoch,
                 uint64_t sample);

#endif
