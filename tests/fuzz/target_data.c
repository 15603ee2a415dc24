/* target_data.c - fuzz targets: datasets (IDX files, metadata.csv, metadata.jsonl) up to the batches of the loader. */
#include "fuzz.h"

#include "../../models/data/dataset.h"
#include "../../models/image/image.h"

static void read_batches(const struct dataset *ds)
{
    struct loader_options options = loader_defaults();
    struct loader *loader = NULL;
    const struct batch *batch;
    options.batch = 2;
    options.prefetch = -1;
    options.drop_last = false;
    clio_status st = loader_open(fuzz_ctx, &loader, ds, DATASET_TRAIN, &options);
    for (int i = 0; !st && i < 2; i++)
        st = loader_next(fuzz_ctx, loader, &batch);
    fuzz_check(st);
    loader_close(loader);
}

/* The dataset in the folder, without and with skipping of what is corrupt. */
static void read_dataset(bool needs_labels, bool needs_captions)
{
    for (int skips = 0; skips < 2; skips++) {
        struct dataset_options options = dataset_defaults();
        struct dataset *ds;
        options.width = options.height = 8;
        options.need_labels = needs_labels;
        options.need_captions = needs_captions;
        options.skip_corrupt = skips;
        clio_status st = dataset_open(fuzz_ctx, &ds, folder, &options);
        fuzz_check(st);
        if (!st && dataset_info(ds)->count[DATASET_TRAIN] && dataset_info(ds)->type != DATASET_SOUNDS)
            read_batches(ds);
        dataset_close(ds);
    }
}

void fuzz_idx(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"};
    fuzz_put_parts(data, size, names, COUNT(names));
    read_dataset(false, false);
}

static void write_images(void)
{
    struct image image;
    assert_int_equal(image_new(fuzz_ctx, &image, "image", 3, 2), CLIO_OK);
    assert_int_equal(image_write(fuzz_ctx, &image, in_folder("a.png"), NULL), CLIO_OK);
    assert_int_equal(image_write(fuzz_ctx, &image, in_folder("b.png"), NULL), CLIO_OK);
    image_free(&image);
}

void fuzz_metadata_csv(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"metadata.csv", "a.txt"};
    if (fuzz_is_first())
        write_images();
    fuzz_put_parts(data, size, names, COUNT(names));
    read_dataset(true, false);
}

void fuzz_metadata_jsonl(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"metadata.jsonl", "a.txt"};
    if (fuzz_is_first())
        write_images();
    fuzz_put_parts(data, size, names, COUNT(names));
    read_dataset(false, true);
}
