/* test_dataset.h - shared by the tests of datasets: write small files of every type, read whole epochs. */
#ifndef CLIO_TEST_DATASET_H
#define CLIO_TEST_DATASET_H

#include "../support/test_own.h"

#include "../../models/data/dataset.h"
#include "../../models/image/image.h"

#include <math.h>
#include <sndfile.h>
#include <zlib.h>

/* The color of pixel (x, y) of image `seed`. */
static inline unsigned char shade(int seed, int x, int y, int c)
{
    uint32_t h = (uint32_t)seed * 73856093u + (uint32_t)x * 19349663u + (uint32_t)y * 83492791u + (uint32_t)c * 2654435u;
    h ^= h >> 13;
    h *= 0x5bd1e995u;
    return (unsigned char)(h >> 16);
}

static inline void make_folders(const char *name)
{
    OK(file_make_folder(ctx, in_folder(name)));
}

static inline void put_png(const char *name, int width, int height, int seed)
{
    struct image image;
    OK(image_new(ctx, &image, "test", width, height));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                image.rgb[3 * (y * width + x) + c] = shade(seed, x, y, c);
    OK(image_write(ctx, &image, in_folder(name), NULL));
    image_free(&image);
}

/* Truncate a file to the fraction `part` of its bytes. */
static inline void cut_file(const char *name, double part)
{
    size_t size;
    unsigned char *data = read_file(in_folder(name), &size);
    put(name, data, (size_t)((double)size * part));
    free(data);
}

static inline void put_cut_png(const char *name, int seed, double part)
{
    put_png(name, 16, 16, seed);
    cut_file(name, part);
}

/* A PNG with correct checksums whose pixels cannot be decompressed. */
static inline void put_spoilt_png(const char *name, int seed)
{
    size_t size, at = 8;
    put_png(name, 16, 16, seed);
    unsigned char *data = read_file(in_folder(name), &size);
    while (memcmp(data + at + 4, "IDAT", 4))
        at += 12 + ((size_t)data[at + 2] << 8 | data[at + 3]);
    size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
    memset(data + at + 12, 0xff, length - 4);
    uint32_t sum = (uint32_t)crc32(0, data + at + 4, (uInt)length + 4);
    for (int i = 0; i < 4; i++)
        data[at + 8 + length + (size_t)i] = (unsigned char)(sum >> (24 - 8 * i));
    put(name, data, size);
    free(data);
}

/* An IDX file of bytes 0, 1, 2 ... times `step`, of these dimensions, under a name that may end in .gz. */
static inline void put_idx(const char *name, int dimensions, int a, int b, int c, int step)
{
    int size[3] = {a, b, c};
    size_t n = 4, room = 16;
    for (int i = 0; i < dimensions; i++)
        room *= (size_t)size[i];
    unsigned char *data = calloc(room + 16, 1);
    assert_non_null(data);
    data[2] = 8;
    data[3] = (unsigned char)dimensions;
    for (int i = 0; i < dimensions; i++)
        for (int k = 0; k < 4; k++)
            data[n++] = (unsigned char)(size[i] >> (24 - 8 * k));
    for (size_t i = 0; i < room / 16; i++)
        data[n++] = (unsigned char)(i * (size_t)step);
    if (strstr(name, ".gz")) {
        gzFile file = gzopen(in_folder(name), "wb");
        assert_int_equal(gzwrite(file, data, (unsigned)n), (int)n);
        assert_int_equal(gzclose(file), Z_OK);
    } else {
        put(name, data, n);
    }
    free(data);
}

/* `frames` of a WAV or FLAC file: sample i is (i % 100) / 200 + level. */
static inline void put_sound(const char *name, int rate, size_t frames, float level)
{
    SF_INFO info = {
        .samplerate = rate, .channels = 1, .format = (strstr(name, ".flac") ? SF_FORMAT_FLAC : SF_FORMAT_WAV) | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(in_folder(name), SFM_WRITE, &info);
    assert_non_null(file);
    for (size_t i = 0; i < frames; i++) {
        float x = (float)(i % 100) / 200.0f + level;
        assert_int_equal(sf_write_float(file, &x, 1), 1);
    }
    assert_int_equal(sf_close(file), 0);
}

/* The dataset in `folder`. */
static inline struct dataset *open_with(const struct dataset_options *options)
{
    struct dataset *ds;
    OK(dataset_open(ctx, &ds, folder, options));
    return ds;
}

static inline struct loader *load_with(const struct dataset *ds, enum dataset_split split, const struct loader_options *options)
{
    struct loader *l;
    OK(loader_open(ctx, &l, ds, split, options));
    return l;
}

static inline const struct batch *next(struct loader *l)
{
    const struct batch *b;
    OK(loader_next(ctx, l, &b));
    return b;
}

/* Batches sorted by name, without augmentation. */
static inline struct loader_options plain(int batch)
{
    struct loader_options o = loader_defaults();
    o.batch = batch;
    o.shuffle = o.drop_last = false;
    return o;
}

#define BAD CLIO_ERROR_FORMAT

/* dataset_open of `folder` fails with this code and message. */
#define REFUSED(options, code, part)                                                                                                       \
    do {                                                                                                                                   \
        struct dataset *refused_;                                                                                                          \
        FAILS(dataset_open(ctx, &refused_, folder, (options)), code, part);                                                                \
        assert_null(refused_);                                                                                                             \
    } while (0)

#endif
