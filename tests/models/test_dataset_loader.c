/* test_dataset_loader.c - data loader: batches do not depend on threads, resuming or the number of processes; each augmentation of images
 * and spectrograms. Needs no device. */
#include "test_dataset.h"

#define SIDE 6
#define PIXELS (SIDE * SIDE)

/* Write n gray images of SIDE x SIDE, labelled by their number. */
static void put_numbered(int n)
{
    put_idx("train-images-idx3-ubyte", 3, n, SIDE, SIDE, 5);
    put_idx("train-labels-idx1-ubyte", 1, n, 0, 0, 1);
}

/* All augmentations on. */
static struct loader_options all_changes(int batch)
{
    struct loader_options o = loader_defaults();
    o.batch = batch;
    o.seed = 11;
    o.augment = (struct augment){.random_resized_crop = 0.4f,
                                 .random_crop_padding = 2,
                                 .random_flip = 0.5f,
                                 .brightness = 0.2f,
                                 .contrast = 0.3f,
                                 .saturation = 0.4f,
                                 .gaussian_noise = 0.05f};
    return o;
}

/* The samples of an epoch, in order. */
static void epoch_order(struct loader *l, size_t epoch, uint32_t *order)
{
    size_t n = 0;
    OK(loader_seek(ctx, l, epoch, 0));
    for (size_t i = 0; i < loader_batches(l); i++) {
        const struct batch *b = next(l);
        assert_int_equal(b->epoch, epoch);
        assert_int_equal(b->first, n);
        for (int k = 0; k < b->count; k++)
            order[n++] = b->indices[k];
    }
}

/* Each epoch has its own permutation, which depends on seed and epoch only. */
static void shuffling(void **state)
{
    (void)state;
    struct loader_options o = loader_defaults();
    uint32_t a[103], b[103], c[103], d[103];
    unsigned char seen[103] = {0};
    put_numbered(103);
    struct dataset *ds = open_with(NULL);
    o.batch = 10;
    o.drop_last = false;
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    assert_int_equal(loader_batches(l), 11);
    epoch_order(l, 0, a);
    epoch_order(l, 1, b);
    o.batch = 7;
    struct loader *other = load_with(ds, DATASET_TRAIN, &o);
    epoch_order(other, 1, c); /* without epoch 0 before it, with another batch size */
    loader_close(other);
    o.seed = 1;
    other = load_with(ds, DATASET_TRAIN, &o);
    epoch_order(other, 0, d);
    for (int i = 0; i < 103; i++)
        seen[a[i]]++;
    for (int i = 0; i < 103; i++)
        assert_int_equal(seen[i], 1);
    assert_memory_equal(b, c, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, d, sizeof a);
    loader_close(other);
    loader_close(l);
    dataset_close(ds);
}

/* Later versions must be able to resume a run: the order must not change between versions. */
static void order_is_stable(void **state)
{
    (void)state;
    static const uint32_t want[8] = {1, 4, 2, 3, 6, 5, 7, 0};
    struct loader_options o = loader_defaults();
    uint32_t got[8];
    put_numbered(8);
    o.batch = 8;
    o.seed = 3;
    struct dataset *ds = open_with(NULL);
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    epoch_order(l, 5, got);
    for (int i = 0; i < 8; i++)
        assert_int_equal(got[i], want[i]);
    loader_close(l);
    dataset_close(ds);
}

/* Two batches are equal bit for bit. */
static void assert_same_batch(const struct batch *a, const struct batch *b, size_t per)
{
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->ends_epoch, b->ends_epoch);
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->indices, b->indices, (size_t)a->count * sizeof *a->indices);
    assert_memory_equal(a->labels, b->labels, (size_t)a->count * sizeof *a->labels);
    assert_memory_equal(a->images, b->images, (size_t)a->count * per * sizeof *a->images);
}

/* With and without a prefetching thread and an image cache: equal batches over three epochs. */
static void threads_and_cache(void **state)
{
    (void)state;
    struct dataset_options d = dataset_defaults();
    struct loader_options o = all_changes(5);
    put_numbered(23);
    d.width = d.height = 9;
    d.channels = 3;
    struct dataset *ds = open_with(&d);
    o.prefetch = 7;
    struct loader *ahead = load_with(ds, DATASET_TRAIN, &o);
    o.prefetch = -1;
    o.cache_mib = -1;
    struct loader *here = load_with(ds, DATASET_TRAIN, &o);
    assert_int_equal(loader_batches(here), 4); /* three samples are dropped */
    for (int i = 0; i < 12; i++)
        assert_same_batch(next(ahead), next(here), 81 * 3);
    loader_close(ahead);
    loader_close(here);
    dataset_close(ds);
}

/* Seek to any (epoch, batch), also repeatedly. */
static void seek(void **state)
{
    (void)state;
    static const size_t places[][2] = {{2, 3}, {0, 0}, {5, 1}, {0, 4}, {1, 4}, {0, 0}};
    struct loader_options o = all_changes(5);
    put_numbered(23);
    struct dataset *ds = open_with(NULL);
    struct loader *moving = load_with(ds, DATASET_TRAIN, &o), *straight;
    for (size_t k = 0; k < COUNT(places); k++) {
        size_t steps = places[k][0] * 4 + places[k][1];
        straight = load_with(ds, DATASET_TRAIN, &o);
        for (size_t i = 0; i < steps; i++)
            next(straight);
        OK(loader_seek(ctx, moving, places[k][0], 5 * places[k][1]));
        for (int i = 0; i < 3; i++)
            assert_same_batch(next(straight), next(moving), PIXELS);
        loader_close(straight);
    }
    FAILS(loader_seek(ctx, moving, 0, 24), CLIO_ERROR_FORMAT, "no sample 24 in an epoch of 23");
    for (int i = 0; i < 200; i++) /* while the thread is running */
        OK(loader_seek(ctx, moving, (size_t)i, 5));
    assert_int_equal(next(moving)->epoch, 199);
    loader_close(moving);
    for (int i = 0; i < 20; i++) { /* close while it is running */
        moving = load_with(ds, DATASET_TRAIN, &o);
        if (i % 2)
            next(moving);
        loader_close(moving);
    }
    dataset_close(ds);
}

/* The parts of all ranks together are the batch of one process; an incomplete batch is divided, too. */
static void ranks(void **state)
{
    (void)state;
    enum { RANKS = 4 };
    struct loader_options o = all_changes(8);
    struct loader *part[RANKS];
    put_numbered(27);
    o.drop_last = false;
    struct dataset *ds = open_with(NULL);
    struct loader *whole = load_with(ds, DATASET_TRAIN, &o);
    o.ranks = RANKS;
    for (o.rank = 0; o.rank < RANKS; o.rank++)
        part[o.rank] = load_with(ds, DATASET_TRAIN, &o);
    for (size_t i = 0; i < 2 * loader_batches(whole); i++) {
        const struct batch *all = next(whole);
        int n = 0;
        for (int r = 0; r < RANKS; r++) {
            const struct batch *b = next(part[r]);
            assert_int_equal(b->global_count, all->count);
            if (all->count == 8)
                assert_int_equal(b->count, 2);
            assert_memory_equal(b->images, all->images + (size_t)n * PIXELS, (size_t)b->count * PIXELS * sizeof(float));
            assert_memory_equal(b->labels, all->labels + n, (size_t)b->count * sizeof *b->labels);
            n += b->count;
        }
        assert_int_equal(n, all->count);
        assert_int_equal(all->count, i % 4 == 3 ? 3 : 8);
    }
    for (int r = 0; r < RANKS; r++)
        loader_close(part[r]);
    loader_close(whole);
    dataset_close(ds);
}

/* ---- image augmentation ---- */

/* One batch of n color images of 8 x 8, with and without an augmentation. */
static void augment_batch(struct augment a, int n, float *with, float *without)
{
    struct loader_options o = plain(n);
    struct dataset *ds = open_with(NULL);
    size_t size = (size_t)n * 8 * 8 * 3 * sizeof(float);
    o.unit_range = true;
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    memcpy(without, next(l)->images, size);
    loader_close(l);
    o.augment = a;
    l = load_with(ds, DATASET_TRAIN, &o);
    memcpy(with, next(l)->images, size);
    loader_close(l);
    dataset_close(ds);
}

#define MANY 64
#define SIZE (8 * 8 * 3)
static float with[MANY * SIZE], without[MANY * SIZE];

static void put_many(void)
{
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "%02d.png", i);
        put_png(name, 8, 8, i);
    }
}

/* x from `without`, at (column, row) of image i; 0 outside. */
static float at(int i, int column, int row, int c)
{
    bool inside = column >= 0 && row >= 0 && column < 8 && row < 8;
    return inside ? without[i * SIZE + (row * 8 + column) * 3 + c] : 0.0f;
}

/* Whether image i of `with` is that of `without`, shifted or flipped. */
static bool is_moved(int i, int dx, int dy, bool flip)
{
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++)
            for (int c = 0; c < 3; c++)
                if (with[i * SIZE + (y * 8 + x) * 3 + c] != at(i, (flip ? 7 - x : x) + dx, y + dy, c))
                    return false;
    return true;
}

static void random_flip(void **state)
{
    (void)state;
    int flipped = 0;
    put_many();
    augment_batch((struct augment){.random_flip = 0.5f}, MANY, with, without);
    for (int i = 0; i < MANY; i++) {
        bool is_flipped = is_moved(i, 0, 0, true);
        assert_true(is_flipped != is_moved(i, 0, 0, false));
        flipped += is_flipped;
    }
    assert_in_range(flipped, 16, 48); /* of 64; four standard deviations */
    augment_batch((struct augment){.random_flip = 1.0f}, MANY, with, without);
    for (int i = 0; i < MANY; i++)
        assert_true(is_moved(i, 0, 0, true));
}

static void random_crop_padding(void **state)
{
    (void)state;
    int seen[5][5] = {{0}}, kinds = 0;
    put_many();
    augment_batch((struct augment){.random_crop_padding = 2}, MANY, with, without);
    for (int i = 0; i < MANY; i++) {
        int found = 0;
        for (int dy = -2; dy <= 2; dy++)
            for (int dx = -2; dx <= 2; dx++)
                if (is_moved(i, dx, dy, false)) {
                    found++;
                    kinds += !seen[dy + 2][dx + 2]++;
                }
        assert_int_equal(found, 1);
    }
    assert_true(kinds > 15); /* of 25 */
}

/* Each is a crop of the image scaled to 12 x 12. */
static void random_resized_crop(void **state)
{
    (void)state;
    struct image in, scaled;
    int seen[25] = {0}, kinds = 0, columns[5] = {0}, rows[5] = {0};
    put_many();
    augment_batch((struct augment){.random_resized_crop = 0.5f}, MANY, with, without);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        int found = 0;
        snprintf(name, sizeof name, "%02d.png", i);
        OK(image_read(ctx, &in, in_folder(name)));
        OK(image_resize(ctx, &scaled, &in, 12, 12));
        for (int at_ = 0; at_ < 25; at_++) {
            bool fits = true;
            for (int k = 0; k < SIZE && fits; k++) {
                int x = k / 3 % 8 + at_ % 5, y = k / 24 + at_ / 5;
                fits = fabsf(with[i * SIZE + k] - (float)scaled.rgb[3 * (y * 12 + x) + k % 3] / 255.0f) < 1e-6f;
            }
            found += fits;
            kinds += fits && !seen[at_]++;
            columns[at_ % 5] += fits;
            rows[at_ / 5] += fits;
        }
        assert_int_equal(found, 1);
        image_free(&in);
        image_free(&scaled);
    }
    assert_true(kinds > 15);
    for (int i = 0; i < 5; i++)
        assert_true(columns[i] && rows[i]); /* to both edges */
}

/* The same sample is augmented anew in each epoch, and alike when an epoch is repeated. */
static void augmented_each_epoch(void **state)
{
    (void)state;
    static float images[3][8 * SIZE];
    static const size_t epochs[] = {0, 1, 0};
    struct loader_options o = plain(8);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "%02d.png", i);
        put_png(name, 8, 8, i);
    }
    struct dataset *ds = open_with(NULL);
    o.augment.random_crop_padding = 2;
    struct loader *l = load_with(ds, DATASET_TRAIN, &o);
    for (int i = 0; i < 3; i++) {
        OK(loader_seek(ctx, l, epochs[i], 0));
        memcpy(images[i], next(l)->images, sizeof images[i]);
    }
    assert_true(memcmp(images[0], images[1], sizeof images[0]) != 0);
    assert_memory_equal(images[0], images[2], sizeof images[0]);
    loader_close(l);
    dataset_close(ds);
}

/* All values of an image have the factor found from one of them. */
static void color_jitter(void **state)
{
    (void)state;
    double least = 9, most = 0;
    put_many();
    augment_batch((struct augment){.brightness = 0.5f}, MANY, with, without);
    for (int i = 0; i < MANY; i++) {
        double factor = 0;
        for (int k = 0; k < SIZE; k++) /* from the darkest, which is not clipped */
            if (without[i * SIZE + k] > 0.05f && without[i * SIZE + k] < 0.3f)
                factor = (double)with[i * SIZE + k] / (double)without[i * SIZE + k];
        least = fmin(least, factor);
        most = fmax(most, factor);
        for (int k = 0; k < SIZE; k++)
            assert_float_equal(with[i * SIZE + k], fmin(1, factor * (double)without[i * SIZE + k]), 2e-5);
    }
    assert_true(least >= 0.5 - 1e-5 && least < 0.65 && most <= 1.5 + 1e-5 && most > 1.35);
    augment_batch((struct augment){.contrast = 0.3f, .saturation = 0.3f}, MANY, with, without);
    for (int i = 0; i < MANY; i++)
        assert_memory_not_equal(with + i * SIZE, without + i * SIZE, SIZE * sizeof(float));
    augment_batch((struct augment){.contrast = 0.3f}, MANY, with, without);
    for (int i = 0; i < MANY; i++) { /* blended with the gray mean: linear through it */
        double mean = 0, slope = -1;
        for (int p = 0; p < 64; p++) {
            const float *x = without + i * SIZE + 3 * p;
            mean += (0.2989 * (double)x[0] + 0.587 * (double)x[1] + 0.114 * (double)x[2]) / 64;
        }
        for (int k = 0; k < SIZE; k++)
            if (slope < 0 && fabs((double)without[i * SIZE + k] - mean) > 0.1 && with[i * SIZE + k] > 0 && with[i * SIZE + k] < 1)
                slope = ((double)with[i * SIZE + k] - mean) / ((double)without[i * SIZE + k] - mean);
        assert_true(slope >= 0.7 - 1e-4 && slope <= 1.3 + 1e-4);
        for (int k = 0; k < SIZE; k++) {
            double want = mean + slope * ((double)without[i * SIZE + k] - mean);
            assert_float_equal(with[i * SIZE + k], fmax(0, fmin(1, want)), 1e-4);
        }
    }
    augment_batch((struct augment){.saturation = 0.3f}, MANY, with, without);
    for (int i = 0; i < MANY; i++)
        for (int p = 0; p < 64; p++) { /* values that are not clipped keep their brightness */
            const float *x = without + i * SIZE + 3 * p, *y = with + i * SIZE + 3 * p;
            bool is_cut = false;
            for (int c = 0; c < 3; c++)
                is_cut = is_cut || y[c] <= 0 || y[c] >= 1;
            if (!is_cut)
                assert_float_equal(0.2989 * (double)(x[0] - y[0]) + 0.587 * (double)(x[1] - y[1]) + 0.114 * (double)(x[2] - y[2]), 0, 1e-4);
        }
}

static void gaussian_noise(void **state)
{
    (void)state;
    double sum = 0, squares = 0, n = 0;
    put_many();
    augment_batch((struct augment){.gaussian_noise = 0.1f}, MANY, with, without);
    for (int k = 0; k < MANY * SIZE; k++) {
        assert_true(with[k] >= 0 && with[k] <= 1);
        if (without[k] < 0.45f || without[k] > 0.55f) /* values in the middle are not clipped */
            continue;
        double d = (double)with[k] - (double)without[k];
        sum += d;
        squares += d * d;
        n++;
    }
    assert_true(n > 800);
    assert_float_equal(sum / n, 0, 4 * 0.1 / sqrt(n));
    assert_float_equal(sqrt(squares / n), 0.1, 0.1 * 4 / sqrt(2 * n));
}

/* Turning one augmentation on does not change the random numbers of the others. */
static void augmentations_are_independent(void **state)
{
    (void)state;
    static float alone[MANY * SIZE];
    put_many();
    augment_batch((struct augment){.random_flip = 0.5f}, MANY, alone, without);
    augment_batch((struct augment){.random_flip = 0.5f, .brightness = 1e-6f}, MANY, with, without);
    for (int k = 0; k < MANY * SIZE; k++)
        assert_float_equal(with[k], alone[k], 1e-5);
}

/* ---- SpecAugment ---- */

enum { FRAMES = 200, BANDS = 40 };

static void count_masks(const float *mel, int *frames, int *bands)
{
    *frames = *bands = 0;
    for (int f = 0; f < FRAMES; f++) {
        bool all = true;
        for (int b = 0; b < BANDS; b++)
            all = all && mel[f * BANDS + b] == 9;
        *frames += all;
    }
    for (int b = 0; b < BANDS; b++) {
        bool all = true;
        for (int f = 0; f < FRAMES; f++)
            all = all && mel[f * BANDS + b] == 9;
        *bands += all;
    }
}

/* The masks of a sample, written into its spectrogram. */
static void mask_mel(float *mel, int frames, int bands, const struct spec_augment *o, uint64_t seed, uint64_t epoch, uint64_t sample)
{
    struct spec_mask masks[6];
    int count = spec_augment(masks, frames, bands, o, seed, epoch, sample);
    assert_int_equal(count, frames > 0 ? o->time_masks + o->frequency_masks : 0);
    for (int i = 0; i < count; i++) {
        const struct spec_mask *m = &masks[i];
        assert_true(m->frame >= 0 && m->frame <= m->frame_end && m->frame_end <= frames);
        assert_true(m->band >= 0 && m->band <= m->band_end && m->band_end <= bands);
        for (int f = m->frame; f < m->frame_end; f++)
            for (int b = m->band; b < m->band_end; b++)
                mel[f * bands + b] = 9;
    }
}

static void spec_augment_masks(void **state)
{
    (void)state;
    static float mel[FRAMES * BANDS], again[FRAMES * BANDS];
    struct spec_augment o = {.time_masks = 2, .time_width = 30, .frequency_masks = 1, .frequency_width = 8};
    struct spec_augment off = {.time_masks = 0};
    int most_frames = 0, most_bands = 0, frames, bands;
    for (uint64_t sample = 0; sample < 200; sample++) {
        memset(mel, 0, sizeof mel);
        memset(again, 0, sizeof again);
        mask_mel(mel, FRAMES, BANDS, &o, 1, 2, sample);
        mask_mel(again, FRAMES, BANDS, &o, 1, 2, sample);
        assert_memory_equal(mel, again, sizeof mel);
        count_masks(mel, &frames, &bands);
        assert_true(frames <= 60 && bands <= 8);
        for (int f = 0; f < FRAMES; f++) /* only whole frames and bands */
            for (int b = 0; b < BANDS; b++)
                assert_true(mel[f * BANDS + b] == 0 || mel[f * BANDS + b] == 9);
        most_frames = frames > most_frames ? frames : most_frames;
        most_bands = bands > most_bands ? bands : most_bands;
    }
    assert_true(most_frames > 40 && most_bands == 8);
    mask_mel(again, FRAMES, BANDS, &o, 1, 3, 199); /* another epoch */
    assert_memory_not_equal(mel, again, sizeof mel);
    memset(mel, 0, sizeof mel);
    mask_mel(mel, FRAMES, BANDS, &off, 1, 2, 3);
    count_masks(mel, &frames, &bands);
    assert_true(frames == 0 && bands == 0);
    o.time_masks = 1;
    o.time_fraction = 0.05f; /* at most 10 frames */
    o.frequency_masks = 0;
    for (uint64_t sample = 0; sample < 100; sample++) {
        memset(mel, 0, sizeof mel);
        mask_mel(mel, FRAMES, BANDS, &o, 1, 2, sample);
        count_masks(mel, &frames, &bands);
        assert_true(frames <= 10 && bands == 0);
    }
    o = (struct spec_augment){
        .time_masks = 3, .time_width = 1000, .frequency_masks = 3, .frequency_width = 1000}; /* wider than the spectrogram */
    for (uint64_t sample = 0; sample < 20; sample++)
        mask_mel(mel, 3, 2, &o, 1, 0, sample);
    mask_mel(mel, 0, 2, &o, 1, 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(shuffling),
                                       TEST(order_is_stable),
                                       TEST(threads_and_cache),
                                       TEST(seek),
                                       TEST(ranks),
                                       TEST(random_flip),
                                       TEST(random_crop_padding),
                                       TEST(random_resized_crop),
                                       TEST(augmented_each_epoch),
                                       TEST(color_jitter),
                                       TEST(gaussian_noise),
                                       TEST(augmentations_are_independent),
                                       TEST(spec_augment_masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
