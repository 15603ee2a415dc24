/* dataloader.c - batches of a split, prepared in advance on a thread.
 *
 * A ring of prefetch + 1 slots: the caller's, those that are ready, the one being filled. Only the thread fills slots and uses the order
 * and the image cache. loader_seek increments the generation, which discards slots that are ready or being filled. The thread has its own
 * context, since a context belongs to one thread; error messages are passed in the slot. */
#include "dataset_private.h"

#include "../../host/core/context.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BATCH_SIZE (1 << 20)
#define MAX_PREFETCH 64
#define DEFAULT_PREFETCH 2
#define DEFAULT_CACHE_MIB 256

struct slot {
    struct batch batch;
    float *images, *audio, *numbers;
    size_t audio_capacity;
    int32_t *labels, *lengths;
    const char **captions;
    uint32_t *indices;
    clio_status st;
    struct status_text text; /* when st is a failure */
};

struct loader {
    const struct dataset *ds;
    enum dataset_split split;
    struct loader_options options;
    size_t count, batches;
    int part; /* most samples of a batch for this rank */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool has_lock, has_changed, has_thread;
    bool is_stopped, is_stuck; /* stuck: the last slot has a failure */
    struct slot *slots;
    int slot_count, head, ready; /* head: next slot to return */
    size_t epoch, first;         /* next batch to fill: its epoch, and the samples of the epoch before it */
    atomic_uint generation;
    atomic_size_t replaced;

    /* used only while filling */
    clio_context *ctx;
    uint32_t *order;
    size_t order_epoch;
    bool has_order;
    struct prepared *cache; /* [count] */
    size_t cache_left;      /* bytes */
    float **sounds;         /* [part] of the batch being filled */
};

struct loader_options loader_defaults(void)
{
    return (struct loader_options){.batch = 64, .shuffle = true, .drop_last = true, .ranks = 1};
}

/* ---- filling, on the thread ---- */

static clio_status shuffle_epoch(struct loader *l, size_t epoch)
{
    if (l->has_order && l->order_epoch == epoch)
        return CLIO_OK;
    const struct draws draws = {l->options.seed, (uint32_t)epoch, 0, DRAWS_ORDER};
    if (l->options.shuffle)
        draws_order(&draws, l->order, l->count);
    l->order_epoch = epoch;
    l->has_order = true;
    return CLIO_OK;
}

/* The decoded image, from the cache if it is there; the caller frees out->own. */
static clio_status cached_image(struct loader *l, uint32_t sample, const struct sample *s, struct prepared *out)
{
    clio_status st = CLIO_OK;
    size_t bytes;
    if (l->cache && l->cache[sample].own) {
        *out = l->cache[sample];
        out->own = NULL;
        return CLIO_OK;
    }
    TRY(dataset_prepare(l->ctx, l->ds, s, &l->options.augment, out));
    bytes = (size_t)out->width * (size_t)out->height * (size_t)l->ds->info.channels;
    if (l->cache && out->own && bytes <= l->cache_left) {
        l->cache_left -= bytes;
        l->cache[sample] = *out;
        out->own = NULL;
    }
fail:
    return st;
}

/* Of several captions, one is drawn in each epoch. */
static const char *draw_caption(const struct sample *s, const struct draws *epoch)
{
    struct draws draws = *epoch;
    draws.purpose = DRAWS_CAPTION;
    return s->caption_count > 1 ? s->captions[draws_below(&draws, 0, (uint32_t)s->caption_count)] : sample_caption(s);
}

/* Put sample number `sample` of the split at position i of the batch. */
static clio_status fill_sample(struct loader *l, struct slot *slot, size_t epoch, uint32_t sample, int i)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = &l->ds->info;
    uint32_t number = l->ds->of[l->split][sample];
    const struct sample *s = &l->ds->samples[number];
    const struct draws draws = {l->options.seed, (uint32_t)epoch, number, DRAWS_SAMPLE};
    if (info->type == DATASET_SOUNDS) {
        size_t count;
        TRY(dataset_sound(l->ctx, l->ds, s, &l->options.augment, &draws, &l->sounds[i], &count));
        slot->lengths[i] = (int32_t)count;
    } else {
        size_t size = (size_t)info->width * (size_t)info->height * (size_t)info->channels;
        struct prepared image = {NULL, NULL, 0, 0};
        TRY(cached_image(l, sample, s, &image));
        dataset_augment(l->ds, &image, &l->options.augment, l->options.unit_range, &draws, slot->images + (size_t)i * size);
        free(image.own);
    }
    slot->indices[i] = sample;
    slot->labels[i] = s->label;
    slot->captions[i] = l->options.shuffle ? draw_caption(s, &draws) : sample_caption(s);
    if (info->columns)
        memcpy(slot->numbers + i * info->columns, s->numbers, (size_t)info->columns * sizeof *s->numbers);
fail:
    return st;
}

/* The same; with skip_corrupt, a corrupt sample is replaced by the next good one of the split. */
static clio_status fill_or_replace(struct loader *l, struct slot *slot, size_t epoch, uint32_t sample, int i)
{
    clio_status st = CLIO_OK;
    for (size_t tries = 0; tries < l->count; tries++) {
        uint32_t replacement = (uint32_t)((sample + tries) % l->count);
        st = fill_sample(l, slot, epoch, replacement, i);
        if (!st || !l->ds->options.skip_corrupt || (st != CLIO_ERROR_FILE && st != CLIO_ERROR_FORMAT && st != CLIO_ERROR_UNSUPPORTED)) {
            if (!st && tries)
                atomic_fetch_add(&l->replaced, 1);
            return st;
        }
    }
    return st;
}

/* Join the sounds of the batch, padded with zeros. */
static clio_status collate_sounds(struct loader *l, struct slot *slot, int count)
{
    clio_status st = CLIO_OK;
    size_t samples = l->ds->options.samples;
    for (int i = 0; !l->ds->options.samples && i < count; i++)
        samples = MAX(samples, (size_t)slot->lengths[i]);
    if (samples * (size_t)count > slot->audio_capacity) {
        free(slot->audio);
        slot->audio = NULL;
        slot->audio_capacity = 0;
        TRY(mem_alloc(l->ctx, &slot->audio, samples * (size_t)count, sizeof *slot->audio));
        slot->audio_capacity = samples * (size_t)count;
    }
    for (int i = 0; i < count; i++) {
        float *to = slot->audio + (size_t)i * samples;
        size_t length = (size_t)slot->lengths[i];
        memcpy(to, l->sounds[i], length * sizeof *to);
        memset(to + length, 0, (samples - length) * sizeof *to);
    }
    slot->batch.audio = slot->audio;
    slot->batch.samples = samples;
fail:
    return st;
}

/* Samples that an epoch must have left for another batch. */
static size_t least(const struct loader *l)
{
    return l->options.drop_last ? (size_t)l->options.batch : 1;
}

/* The position behind `first`: in this epoch, or at the start of the next. */
static void set_position(struct loader *l, size_t epoch, size_t first)
{
    bool ended = first > l->count || l->count - first < least(l);
    l->epoch = epoch + ended;
    l->first = ended ? 0 : first;
}

static clio_status fill(struct loader *l, struct slot *slot, size_t epoch, size_t first, unsigned generation)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = &l->ds->info;
    size_t n = MIN((size_t)l->options.batch, l->count - first);
    size_t begin = n * (size_t)l->options.rank / (size_t)l->options.ranks;
    int count = (int)(n * (size_t)(l->options.rank + 1) / (size_t)l->options.ranks - begin);
    bool is_sound = info->type == DATASET_SOUNDS;
    slot->batch = (struct batch){.epoch = epoch,
                                 .first = first,
                                 .ends_epoch = l->count - first - n < least(l),
                                 .count = count,
                                 .global_count = (int)n,
                                 .images = is_sound ? NULL : slot->images,
                                 .lengths = is_sound ? slot->lengths : NULL,
                                 .labels = info->classes ? slot->labels : NULL,
                                 .numbers = info->columns ? slot->numbers : NULL,
                                 .captions = info->has_captions ? slot->captions : NULL,
                                 .indices = slot->indices};
    TRY(shuffle_epoch(l, epoch));
    for (int i = 0; i < count && generation == atomic_load(&l->generation); i++) /* stop filling a discarded batch */
        TRY(fill_or_replace(l, slot, epoch, l->order[first + begin + (size_t)i], i));
    if (is_sound && generation == atomic_load(&l->generation))
        TRY(collate_sounds(l, slot, count));
fail:
    for (int i = 0; is_sound && i < count; i++) {
        free(l->sounds[i]);
        l->sounds[i] = NULL;
    }
    slot->st = st;
    if (st)
        slot->text = l->ctx->status;
    return st;
}

static void *run(void *data)
{
    struct loader *l = data;
    pthread_mutex_lock(&l->lock);
    while (!l->is_stopped) {
        if (l->is_stuck || l->ready == l->slot_count - 1) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        struct slot *slot = &l->slots[(l->head + l->ready) % l->slot_count];
        size_t epoch = l->epoch, first = l->first;
        unsigned generation = atomic_load(&l->generation);
        pthread_mutex_unlock(&l->lock);
        fill(l, slot, epoch, first, generation);
        pthread_mutex_lock(&l->lock);
        if (generation != atomic_load(&l->generation))
            continue;
        l->ready++;
        l->is_stuck = slot->st != CLIO_OK;
        set_position(l, epoch, first + (size_t)slot->batch.global_count);
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- opening and closing ---- */

static clio_status check_options(clio_context *ctx, struct loader_options *o)
{
    clio_status st = CLIO_OK;
    const struct augment *a = &o->augment;
    const struct {
        const char *name;
        double value, max;
    } numbers[] = {{"random_resized_crop", (double)a->random_resized_crop, 8},
                   {"random_crop_padding", a->random_crop_padding, 4096},
                   {"random_flip", (double)a->random_flip, 1},
                   {"brightness", (double)a->brightness, 100},
                   {"contrast", (double)a->contrast, 100},
                   {"saturation", (double)a->saturation, 100},
                   {"gaussian_noise", (double)a->gaussian_noise, 100}};
    if (o->ranks < 1 || o->rank < 0 || o->rank >= o->ranks)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no rank %d of %d", o->rank, o->ranks);
    if (o->batch < 1 || o->batch > MAX_BATCH_SIZE)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a batch size of %d is not possible: use 1 to %d", o->batch, MAX_BATCH_SIZE);
    if (o->batch % o->ranks)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a batch size of %d cannot be divided among %d processes: use a multiple of %d", o->batch, o->ranks,
             o->ranks);
    if (o->prefetch < -1 || o->prefetch > MAX_PREFETCH)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%d batches cannot be prefetched: use -1 (none) to %d", o->prefetch, MAX_PREFETCH);
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (!(numbers[i].value >= 0 && numbers[i].value <= numbers[i].max))
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s cannot be %g: use 0 (off) to %g", numbers[i].name, numbers[i].value, numbers[i].max);
    o->prefetch = o->prefetch ? MAX(o->prefetch, 0) : DEFAULT_PREFETCH;
    o->cache_mib = o->cache_mib ? MAX(o->cache_mib, 0) : DEFAULT_CACHE_MIB;
fail:
    return st;
}

static clio_status allocate_slots(clio_context *ctx, struct loader *l)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = &l->ds->info;
    size_t n = (size_t)l->part;
    l->slot_count = l->options.prefetch + 1;
    TRY(mem_alloc(ctx, &l->slots, (size_t)l->slot_count, sizeof *l->slots));
    for (int i = 0; i < l->slot_count; i++) {
        struct slot *s = &l->slots[i];
        if (info->type != DATASET_SOUNDS)
            TRY(mem_alloc(ctx, &s->images, n * (size_t)info->width * (size_t)info->height, (size_t)info->channels * sizeof *s->images));
        TRY(mem_alloc(ctx, &s->numbers, n * (size_t)info->columns, sizeof *s->numbers));
        TRY(mem_alloc(ctx, &s->labels, n, sizeof *s->labels));
        TRY(mem_alloc(ctx, &s->lengths, n, sizeof *s->lengths));
        TRY(mem_alloc(ctx, &s->captions, n, sizeof *s->captions));
        TRY(mem_alloc(ctx, &s->indices, n, sizeof *s->indices));
    }
fail:
    return st;
}

clio_status loader_open(clio_context *ctx, struct loader **out, const struct dataset *ds, enum dataset_split split,
                        const struct loader_options *options)
{
    static const char *const names[] = {"training", "validation", "test"};
    clio_status st = CLIO_OK;
    struct loader *l = NULL;
    size_t batch;
    *out = NULL;
    TRY(mem_alloc(ctx, &l, 1, sizeof *l));
    l->ds = ds;
    l->split = split;
    l->options = options ? *options : loader_defaults();
    TRY(check_options(ctx, &l->options));
    batch = (size_t)l->options.batch;
    l->count = ds->info.count[split];
    l->batches = l->options.drop_last ? l->count / batch : (l->count + batch - 1) / batch;
    if (!l->count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no samples for %s", ds->root, names[split]);
    if (!l->batches)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %zu samples for %s, fewer than one batch of %zu: use a smaller batch size", ds->root, l->count,
             names[split], batch);
    l->part = l->options.batch / l->options.ranks;
    TRY(allocate_slots(ctx, l));
    TRY(mem_alloc(ctx, &l->ctx, 1, sizeof *l->ctx));
    TRY(mem_alloc(ctx, &l->order, l->count, sizeof *l->order));
    for (size_t i = 0; i < l->count; i++)
        l->order[i] = (uint32_t)i;
    TRY(mem_alloc(ctx, &l->sounds, (size_t)l->part, sizeof *l->sounds));
    l->cache_left = (size_t)l->options.cache_mib << 20;
    if (ds->info.type != DATASET_SOUNDS && l->cache_left)
        TRY(mem_alloc(ctx, &l->cache, l->count, sizeof *l->cache));
    l->has_lock = pthread_mutex_init(&l->lock, NULL) == 0;
    l->has_changed = pthread_cond_init(&l->changed, NULL) == 0;
    /* Without a thread, batches are filled in loader_next. */
    if (l->options.prefetch && l->has_lock && l->has_changed)
        l->has_thread = pthread_create(&l->thread, NULL, run, l) == 0;
    *out = l;
    return CLIO_OK;
fail:
    loader_close(l);
    return st;
}

void loader_close(struct loader *l)
{
    if (!l)
        return;
    if (l->has_thread) {
        pthread_mutex_lock(&l->lock);
        l->is_stopped = true;
        atomic_fetch_add(&l->generation, 1);
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    if (l->has_changed)
        pthread_cond_destroy(&l->changed);
    if (l->has_lock)
        pthread_mutex_destroy(&l->lock);
    for (int i = 0; l->slots && i < l->slot_count; i++) {
        struct slot *s = &l->slots[i];
        free(s->images);
        free(s->audio);
        free(s->numbers);
        free(s->labels);
        free(s->lengths);
        free(s->captions);
        free(s->indices);
    }
    for (size_t i = 0; l->cache && i < l->count; i++)
        free(l->cache[i].own);
    free(l->slots);
    free(l->cache);
    free(l->sounds);
    free(l->order);
    free(l->ctx);
    free(l);
}

/* ---- use ---- */

size_t loader_batches(const struct loader *l)
{
    return l->batches;
}

size_t loader_replaced(const struct loader *l)
{
    return atomic_load(&l->replaced);
}

/* loader_next without a thread. */
static clio_status next_synchronous(clio_context *ctx, struct loader *l, const struct batch **out)
{
    clio_status st = CLIO_OK;
    struct slot *slot = l->slots;
    st = fill(l, slot, l->epoch, l->first, atomic_load(&l->generation));
    if (st) {
        ctx->status = slot->text;
        return st;
    }
    set_position(l, l->epoch, l->first + (size_t)slot->batch.global_count);
    *out = &slot->batch;
    return CLIO_OK;
}

clio_status loader_next(clio_context *ctx, struct loader *l, const struct batch **out)
{
    clio_status st;
    struct slot *slot;
    *out = NULL;
    if (!l->has_thread)
        return next_synchronous(ctx, l, out);
    pthread_mutex_lock(&l->lock);
    while (!l->ready)
        pthread_cond_wait(&l->changed, &l->lock);
    slot = &l->slots[l->head];
    st = slot->st;
    if (st) {
        ctx->status = slot->text;
    } else {
        l->head = (l->head + 1) % l->slot_count;
        l->ready--;
        *out = &slot->batch;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return st;
}

clio_status loader_seek(clio_context *ctx, struct loader *l, size_t epoch, size_t sample)
{
    clio_status st = CLIO_OK;
    if (sample > l->count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "there is no sample %zu in an epoch of %zu: the dataset in %s has changed", sample, l->count,
             l->ds->root);
    if (l->has_thread)
        pthread_mutex_lock(&l->lock);
    set_position(l, epoch, sample);
    l->ready = 0;
    l->is_stuck = false;
    atomic_fetch_add(&l->generation, 1);
    if (l->has_thread) {
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
    }
fail:
    return st;
}
