/* bench_training.c - steps of training a second: forward, backward, optimizer, on images that lie on the device.
 *
 *     bench_training dcgan|vae|unet|recompute [BATCH]     the device by CLIO_DEVICE
 *
 * dcgan: 64 x 64 pixels of 3 channels, ngf = ndf = 64, batch 64. vae: dense, 784-400-20, batch 128. unet: 16 x 16 of 4 channels, three
 * sizes of 64, 128 and 128 channels, the upper two with attention (8.5 million parameters), batch 64; recompute: the same, whose blocks are
 * computed again for their gradients. A line: name, median seconds of a step (of RUNS, after WARM that are not counted), images a second,
 * most device memory in MiB. CLIO_BENCH_PROFILE=1 adds a table of kernels, and how long the device was busy of the time that passed; it
 * waits for every kernel's times, which makes small kernels slower. */
#include "../host/core/clock.h"
#include "../models/learners/learner.h"
#include "../models/learners/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM 2
#define SECONDS 12.0 /* of timing, about */
#define RUNS 400     /* at most */

static clio_context *ctx;

static void must(clio_status st)
{
    if (st) {
        fprintf(stderr, "%s\n%s\n", clio_error(ctx), clio_error_detail(ctx));
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show_profile(double passed)
{
    const clio_profile_row *rows;
    size_t count;
    double all = 0;
    must(clio_profile(ctx, &rows, &count));
    for (size_t i = 0; i < count; i++)
        all += rows[i].seconds;
    for (size_t i = 0; i < count; i++)
        if (rows[i].calls)
            fprintf(stderr, "%-72s %7llu %8.3f s %5.1f %% %7.1f GFLOP/s %6.1f GB/s\n", rows[i].kernel, (unsigned long long)rows[i].calls,
                    rows[i].seconds, 100 * rows[i].seconds / all, rows[i].gflops / rows[i].seconds, rows[i].gbytes / rows[i].seconds);
    fprintf(stderr, "busy %.3f s of %.3f s\n", all, passed);
}

/* Images of noise, as the type wants them. */
static void make_batch(const struct learner *l, struct learner_batch *batch, int count)
{
    const struct learner_shape *s = &l->shape;
    batch->count = batch->global_count = count;
    batch->images = tensor_shape(DTYPE_F32, 4, count, s->height, s->width, s->channels);
    must(tensor_new(ctx, &batch->images, "the bench"));
    must(op_random_fwd(ctx, &batch->images, 1, 0, false));
    if (!l->type->unit_range)
        must(op_add_fwd(ctx, &batch->images, &batch->images, &l->one, 2, -1));
}

static void bench(struct learner *l, int count, bool profile)
{
    const clio_profile_row *rows;
    struct learner_batch batch = {0};
    double seconds[RUNS], losses[LEARNER_LOSSES], began = 0;
    uint64_t now, peak;
    size_t unused;
    int runs = 0;
    make_batch(l, &batch, count);
    must(learner_train(ctx, l, 1));
    for (int i = 0; i < WARM + RUNS && (runs < 3 || clock_seconds() - began < SECONDS); i++, l->step++) {
        if (i == WARM) {
            began = clock_seconds();
            must(clio_profile(ctx, &rows, &unused));
        }
        double start = clock_seconds();
        must(l->type->step(ctx, l, &batch, losses)); /* waits: the losses are read */
        if (i >= WARM)
            seconds[runs++] = clock_seconds() - start;
    }
    double passed = clock_seconds() - began;
    clio_memory(ctx, &now, &peak);
    qsort(seconds, (size_t)runs, sizeof *seconds, by_value);
    double middle = seconds[runs / 2];
    printf("%s, %d x %d x %d, batch %d\t%.6f s\t%.1f images/s\t%.0f MiB\n", l->type->name, l->shape.height, l->shape.width,
           l->shape.channels, count, middle, count / middle, (double)peak / 1048576.0);
    fflush(stdout);
    if (profile)
        show_profile(passed);
    tensor_free(ctx, &batch.images);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *type;
        struct learner_shape shape;
        int batch;
        const char *settings;
    } modes[] = {{"dcgan", "dcgan", {64, 64, 3, 0}, 64, "{}"},
                 {"vae", "vae", {28, 28, 1, 0}, 128, "{}"},
                 {"unet", "unet", {16, 16, 4, 0}, 64, "{\"block_out_channels\": \"64,128,128\", \"attention_levels\": \"upper\"}"},
                 {"recompute",
                  "unet",
                  {16, 16, 4, 0},
                  64,
                  "{\"block_out_channels\": \"64,128,128\", \"attention_levels\": \"upper\", \"gradient_checkpointing\": true}"}};
    size_t mode = 0;
    while (mode < COUNT(modes) && (argc < 2 || strcmp(argv[1], modes[mode].name) != 0))
        mode++;
    int count = argc > 2 ? atoi(argv[2]) : mode < COUNT(modes) ? modes[mode].batch : 0;
    struct learner l;
    if (argc > 3 || count < 1) {
        fprintf(stderr, "usage: bench_training dcgan|vae|unet|recompute [BATCH]\n");
        return 2;
    }
    json_t *settings = json_loads(modes[mode].settings, 0, NULL);
    ctx = clio_create();
    bool profile = getenv("CLIO_BENCH_PROFILE") != NULL;
    clio_set_profile(ctx, profile);
    must(clio_device_open(ctx, NULL));
    must(learner_new(ctx, &l, learner_type_find(modes[mode].type), modes[mode].shape, settings, 1));
    json_decref(settings);
    bench(&l, count, profile);
    learner_close(ctx, &l);
    clio_destroy(ctx);
    return 0;
}
