/* dataset.h - what a network learns from: images or sounds in a folder, with captions or labels, in batches of numbers.
 *
 *     struct dataset *ds;                               struct loader *loader;
 *     struct dataset_options o = dataset_defaults();    struct loader_options l = loader_defaults();
 *     o.width = o.height = 64;                          l.batch = 64;
 *     TRY(dataset_open(ctx, &ds, "photos", &o));        TRY(loader_open(ctx, &loader, ds, DATASET_TRAIN, &l));
 *     for (size_t i = 0; i < epochs * loader_batches(loader); i++)
 *         TRY(loader_next(ctx, loader, &batch));        batch->images is f32 [count, height, width, channels]
 *
 * Which kind of folder it is, is told by what lies in it:
 *   IDX       train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-... (the MNIST family), each also as .gz; t10k is the split "test".
 *   images  PNG and JPEG files, in Hugging Face's "imagefolder" convention.
 *   sounds    WAV, FLAC, OGG, MP3: "audiofolder".
 * Captions of images and sounds: metadata.jsonl or metadata.csv with the column file_name (relative to its folder) and one of text,
 * caption, transcription, sentence; or NAME.txt beside NAME.png. Labels: the column label; else the name of the subfolder (cat/1.png), when
 * there are at least two of them and no image lies outside. Other columns are kept where all their values are numbers. Splits: subfolders
 * train, validation (or valid, val, dev), test at the top; without them all is "train". Names that begin with a dot are passed over.
 *
 * Everything that is drawn comes from Philox keyed by the seed, and by (epoch, sample) where it is about one sample: neither threads nor
 * the batch size, nor the number of ranks, nor where a run was resumed, change what a sample looks like in an epoch, or the epoch's order.
 *
 * dataset.c open, splits; dataset_idx.c; dataset_folder.c files, labels, sizes; dataset_captions.c and dataset_metadata.c what is written
 * about them; dataset_probe.c sizes without decoding; dataset_picture.c one sample; dataset_augment.c draws; dataset_loader.c batches. */
#ifndef CLIO_MODELS_DATA_DATASET_H
#define CLIO_MODELS_DATA_DATASET_H

#include "../../host/core/mem.h"

enum dataset_kind { DATASET_IDX, DATASET_PICTURES, DATASET_SOUNDS };
enum dataset_split { DATASET_TRAIN, DATASET_VALIDATION, DATASET_TEST, DATASET_SPLITS };
/* How an image of other proportions comes to the size that is asked for: */
enum dataset_fit {
    DATASET_FIT_CROP,    /* scaled until it covers it, its middle cut out */
    DATASET_FIT_STRETCH, /* scaled to it, out of proportion */
    DATASET_FIT_PAD      /* scaled down until it fits, never up, black around it: 28 x 28 becomes 32 x 32 unscaled */
};

struct dataset_options {
    int width, height; /* of the images; 0: as they are, and then all must have one size */
    int channels;      /* 1 or 3; 0: 1 for IDX, 3 for image files */
    enum dataset_fit fit;
    int rate;            /* of sounds, samples a second; 0: 16000 */
    size_t samples;      /* of each sound: longer ones are cut, shorter ones followed by zeros; 0: as long as the longest of a batch */
    const char *caption; /* the column of metadata that holds the captions; NULL: the first there is of the names above */
    bool need_captions;  /* a sample without caption is refused */
    bool need_labels;    /* a dataset without labels is refused */
    bool skip_corrupt;   /* pass over samples that would be refused, and count them */
    double validation; /* 0 to below 1: this fraction of "train", drawn by the seed, becomes "validation" unless there is a folder of it */
    uint64_t seed;     /* of that draw */
};
struct dataset_options dataset_defaults(void);

struct dataset_info {
    enum dataset_kind kind;
    size_t count[DATASET_SPLITS];
    int width, height, channels; /* of the images that loaders give; sounds: 0 */
    int rate;                    /* of sounds */
    size_t samples;              /* of each; 0: differs by batch */
    double seconds, longest;     /* of all sounds together, and of the longest, as their headers promise */
    int classes;                 /* labels are 0 .. classes - 1; 0: there are none */
    const char *const *class_names;
    bool has_captions; /* of at least one sample */
    int columns;       /* of numbers in metadata, besides label */
    const char *const *column_names;
    size_t skipped;            /* samples passed over */
    const char *first_skipped; /* why the first of them was: a sentence that names it; NULL */
};

struct dataset;

/* Look at everything in `path`: names, captions, sizes, whether files are whole. options may be NULL. Refused with a sentence that names
 * the file: an empty or unknown folder, a caption without its image, an image without caption (need_captions), images of several sizes
 * where no size is asked for (both files are named), broken files, IDX files that are cut or do not belong together. */
clio_status dataset_open(clio_context *ctx, struct dataset **out, const char *path, const struct dataset_options *options);
void dataset_close(struct dataset *ds); /* accepts NULL; after its loaders */
const struct dataset_info *dataset_info(const struct dataset *ds);
/* Which sample: 0 .. count[split] - 1 in the order of names. The caption, "" where there is none; the file's path, NULL in IDX; the label,
 * -1 where there is none. */
const char *dataset_caption(const struct dataset *ds, enum dataset_split split, size_t i);
const char *dataset_path(const struct dataset *ds, enum dataset_split split, size_t i);
int dataset_label(const struct dataset *ds, enum dataset_split split, size_t i);

/* Changes to images, drawn anew for each sample and epoch; all off when zero. In this order: */
struct augment {
    float crop_larger; /* scaled to (1 + this) times the size, then a random window of it; also moves the window of DATASET_FIT_CROP */
    int crop_pad;      /* so many black pixels on each side, then a random window */
    float flip;        /* probability of mirroring left and right */
    float brightness, contrast, saturation; /* each factor from 1 - this (at least 0) to 1 + this, as torchvision's ColorJitter blends */
    float noise;                            /* standard deviation of Gaussian noise, of values 0 to 1 */
    bool crop_time;                         /* sounds: which part of one that is too long, at random instead of its beginning */
};

struct loader_options {
    int batch;       /* samples, over all ranks; a multiple of ranks */
    bool shuffle;    /* else in the order of names */
    bool drop_last;  /* the last batch of an epoch, where it is short */
    bool unit_range; /* images from 0 to 1; else from -1 to 1 */
    uint64_t seed;   /* of orders and changes */
    int rank, ranks; /* of each batch of n samples this loader gives n * rank / ranks up to n * (rank + 1) / ranks */
    int ahead;       /* batches made ahead by the loader's thread; 0: 2; -1: none, and no thread */
    int keep;        /* MiB of decoded images to keep, filled as they come; 0: 256; -1: none */
    struct augment augment;
};
struct loader_options loader_defaults(void); /* batch 64, shuffle, drop_last, ranks 1; the rest 0 */

/* Samples as numbers. Belongs to the loader, until the next loader_next, loader_seek or loader_close. */
struct batch {
    size_t epoch, index; /* which batch of which epoch, from 0 */
    int count;           /* samples here, at least 0: a short batch may leave a rank without any */
    int global_count;    /* samples of this batch over all ranks */
    const float *images; /* f32 [count, height, width, channels]; sounds: NULL */
    const float *audio;  /* f32 [count, samples]; images: NULL */
    size_t samples;
    const int32_t *lengths;      /* [count] samples of each sound before the zeros */
    const int32_t *labels;       /* [count]; NULL without */
    const float *numbers;        /* f32 [count, columns]; NaN where one is missing; NULL without columns */
    const char *const *captions; /* [count], "" where there is none; NULL without */
    const uint32_t *samples_of;  /* [count] which samples of the split these are */
};

struct loader;

/* Batches of one split. The loader stands at epoch 0, batch 0 and goes on into the next epoch without end. CLIO_ERROR_ARGUMENT: the split
 * has not one batch. Several loaders may share a dataset, which outlives them. */
clio_status loader_open(clio_context *ctx, struct loader **out, const struct dataset *ds, enum dataset_split split,
                        const struct loader_options *options);
void loader_close(struct loader *l); /* accepts NULL; at any moment */
/* Batches of an epoch: count / batch, rounded up unless the short one is dropped. */
size_t loader_batches(const struct loader *l);
/* The next batch. A file that cannot be decoded, though it looked whole when the dataset was opened, is refused; with the dataset's
 * skip_bad the next sample of the split stands in for it. After a failure the loader stays there, until it is sent elsewhere. */
clio_status loader_next(clio_context *ctx, struct loader *l, const struct batch **out);
/* Go to a batch of an epoch: what loader_next gives from there is what it would have given by getting there. */
clio_status loader_seek(clio_context *ctx, struct loader *l, size_t epoch, size_t batch);
/* How many times so far a sample stood in for a broken one. */
size_t loader_replaced(const struct loader *l);

/* SpecAugment (Park et al. 2019, without time warping, the least important part according to the paper): masks of a log-mel spectrogram,
 * each of a random width from 0 to the widest. All off when zero. */
struct spec_augment {
    int time_masks, time_width;           /* frames */
    float time_fraction;                  /* no time mask is wider than this part of the frames; 0: no such limit */
    int frequency_masks, frequency_width; /* bands */
};
/* Frames frame .. frame_end - 1, bands band .. band_end - 1. */
struct spec_mask {
    int frame, frame_end, band, band_end;
};
/* Choose masks of a spectrogram [frames, bands] from (seed, epoch, sample) alone; returns their number, at most time_masks +
 * frequency_masks. */
int spec_augment(struct spec_mask *masks, int frames, int bands, const struct spec_augment *o, uint64_t seed, uint64_t epoch,
                 uint64_t sample);

#endif
