/* dataloader.c - batches of a split, made on a thread of their own some steps ahead.
 *
 * A ring of ahead + 1 slots: one that the caller holds, those that are ready, the one that is being filled. The thread alone fills; what it
 * works on (order, kept images) is seen by nobody else. A seek makes what is ready or under way worthless by a new generation. The thread
 * has a context of its own, since a context belongs to one thread: sentences are handed over with the slot. */
#include "dataset_private.h"

#include "../../host/core/context.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX (1 << 20)
#define AHEAD_MAX 64
#define AHEAD_USUAL 2
#define KEEP_USUAL 256 /* MiB */

struct slot {
    struct batch batch;
    float *images, *audio, *numbers;
    size_t audio_capacity;
    int32_t *labels, *lengths;
    const char **captions;
    uint32_t *samples_of;
    clio_status st;
    struct status_text text; /* when st is a failure */
};

struct loader {
    const struct dataset *ds;
    enum dataset_split split;
    struct loader_options options;
    size_t count, batches;
    int part; /* most samples that this rank has of a batch */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool has_lock, has_changed, has_thread;
    bool is_stopped, is_stuck; /* stuck: the last slot holds a failure */
    struct slot *slots;
    int slot_count, head, ready; /* head: the next to be given */
    size_t epoch, index;         /* the next to be made */
    atomic_uint generation;
    atomic_size_t replaced;

    /* seen by whoever fills, alone */
    clio_context *ctx;
    uint32_t *order;
    size_t order_epoch;
    bool has_order;
    struct prepared *kept; /* [count] */
    size_t keep_left;      /* bytes */
    float **sounds;        /* [part] of the batch under way */
};

struct loader_options loader_defaults(void)
{
    return (struct loader_options){.batch = 64, .shuffle = true, .drop_last = true, .ranks = 1};
}

/* ---- filling, on the thread ---- */

static clio_status order_of(struct loader *l, size_t epoch)
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

/* The image, from memory where it was kept; out->own is to be freed. */
static clio_status prepared_picture(struct loader *l, uint32_t sample, const struct sample *s, struct prepared *out)
{
    clio_status st = CLIO_OK;
    size_t bytes;
    if (l->kept && l->kept[sample].own) {
        *out = l->kept[sample];
        out->own = NULL;
        return CLIO_OK;
    }
    TRY(dataset_prepare(l->ctx, l->ds, s, &l->options.augment, out));
    bytes = (size_t)out->width * (size_t)out->height * (size_t)l->ds->info.channels;
    if (l->kept && out->own && bytes <= l->keep_left) {
        l->keep_left -= bytes;
        l->kept[sample] = *out;
        out->own = NULL;
    }
fail:
    return st;
}

/* Sample number `sample` of the split becomes number i of the batch. */
static clio_status fill_sample(struct loader *l, struct slot *slot, size_t epoch, uint32_t sample, int i)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = &l->ds->info;
    uint32_t number = l->ds->of[l->split][sample];
    const struct sample *s = &l->ds->samples[number];
    const struct draws draws = {l->options.seed, (uint32_t)epoch, number, DRAWS_SAMPLE};
    if (info->kind == DATASET_SOUNDS) {
        size_t count;
        TRY(dataset_sound(l->ctx, l->ds, s, &l->options.augment, &draws, &l->sounds[i], &count));
        slot->lengths[i] = (int32_t)count;
    } else {
        size_t size = (size_t)info->width * (size_t)info->height * (size_t)info->channels;
        struct prepared picture = {NULL, NULL, 0, 0};
        TRY(prepared_picture(l, sample, s, &picture));
        dataset_augment(l->ds, &picture, &l->options.augment, l->options.unit_range, &draws, slot->images + (size_t)i * size);
        free(picture.own);
    }
    slot->samples_of[i] = sample;
    slot->labels[i] = s->label;
    slot->captions[i] = s->caption ? s->caption : "";
    if (info->columns)
        memcpy(slot->numbers + i * info->columns, s->numbers, (size_t)info->columns * sizeof *s->numbers);
fail:
    return st;
}

/* The same; where the file is broken and may be passed over, the next good one in the order of names takes its place. */
static clio_status fill_or_replace(struct loader *l, struct slot *slot, size_t epoch, uint32_t sample, int i)
{
    clio_status st = CLIO_OK;
    for (size_t tries = 0; tries < l->count; tries++) {
        uint32_t other = (uint32_t)((sample + tries) % l->count);
        st = fill_sample(l, slot, epoch, other, i);
        if (!st || !l->ds->options.skip_corrupt || (st != CLIO_ERROR_FILE && st != CLIO_ERROR_FORMAT && st != CLIO_ERROR_UNSUPPORTED)) {
            if (!st && tries)
                atomic_fetch_add(&l->replaced, 1);
            return st;
        }
    }
    return st;
}

/* The sounds of the batch, side by side, with zeros behind the shorter ones. */
static clio_status join_sounds(struct loader *l, struct slot *slot, int count)
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

static clio_status fill(struct loader *l, struct slot *slot, size_t epoch, size_t index, unsigned generation)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = &l->ds->info;
    size_t batch = (size_t)l->options.batch, first = index * batch, n = MIN(batch, l->count - first);
    size_t begin = n * (size_t)l->options.rank / (size_t)l->options.ranks;
    int count = (int)(n * (size_t)(l->options.rank + 1) / (size_t)l->options.ranks - begin);
    bool is_sound = info->kind == DATASET_SOUNDS;
    slot->batch = (struct batch){.epoch = epoch,
                                 .index = index,
                                 .count = count,
                                 .global_count = (int)n,
                                 .images = is_sound ? NULL : slot->images,
                                 .lengths = is_sound ? slot->lengths : NULL,
                                 .labels = info->classes ? slot->labels : NULL,
                                 .numbers = info->columns ? slot->numbers : NULL,
                                 .captions = info->has_captions ? slot->captions : NULL,
                                 .samples_of = slot->samples_of};
    TRY(order_of(l, epoch));
    for (int i = 0; i < count && generation == atomic_load(&l->generation); i++) /* what nobody waits for any more is left half done */
        TRY(fill_or_replace(l, slot, epoch, l->order[first + begin + (size_t)i], i));
    if (is_sound && generation == atomic_load(&l->generation))
        TRY(join_sounds(l, slot, count));
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
        size_t epoch = l->epoch, index = l->index;
        unsigned generation = atomic_load(&l->generation);
        pthread_mutex_unlock(&l->lock);
        fill(l, slot, epoch, index, generation);
        pthread_mutex_lock(&l->lock);
        if (generation != atomic_load(&l->generation))
            continue;
        l->ready++;
        l->is_stuck = slot->st != CLIO_OK;
        l->index = (index + 1) % l->batches;
        l->epoch = epoch + (l->index == 0);
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
        double value, most;
    } numbers[] = {{"crop_larger", (double)a->crop_larger, 8},
                   {"crop_pad", a->crop_pad, 4096},
                   {"flip", (double)a->flip, 1},
                   {"brightness", (double)a->brightness, 100},
                   {"contrast", (double)a->contrast, 100},
                   {"saturation", (double)a->saturation, 100},
                   {"noise", (double)a->noise, 100}};
    if (o->ranks < 1 || o->rank < 0 || o->rank >= o->ranks)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no rank %d of %d", o->rank, o->ranks);
    if (o->batch < 1 || o->batch > BATCH_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a batch of %d samples cannot be made: give a number from 1 to %d", o->batch, BATCH_MAX);
    if (o->batch % o->ranks)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a batch of %d samples cannot be divided among %d processes: give a multiple of %d", o->batch,
             o->ranks, o->ranks);
    if (o->ahead < -1 || o->ahead > AHEAD_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%d batches cannot be made ahead: give a number from -1 (none) to %d", o->ahead, AHEAD_MAX);
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (!(numbers[i].value >= 0 && numbers[i].value <= numbers[i].most))
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s cannot be %g: give a number from 0 (off) to %g", numbers[i].name, numbers[i].value,
                 numbers[i].most);
    o->ahead = o->ahead ? MAX(o->ahead, 0) : AHEAD_USUAL;
    o->keep = o->keep ? MAX(o->keep, 0) : KEEP_USUAL;
fail:
    return st;
}

static clio_status make_slots(clio_context *ctx, struct loader *l)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = &l->ds->info;
    size_t n = (size_t)l->part;
    l->slot_count = l->options.ahead + 1;
    TRY(mem_alloc(ctx, &l->slots, (size_t)l->slot_count, sizeof *l->slots));
    for (int i = 0; i < l->slot_count; i++) {
        struct slot *s = &l->slots[i];
        if (info->kind != DATASET_SOUNDS)
            TRY(mem_alloc(ctx, &s->images, n * (size_t)info->width * (size_t)info->height, (size_t)info->channels * sizeof *s->images));
        TRY(mem_alloc(ctx, &s->numbers, n * (size_t)info->columns, sizeof *s->numbers));
        TRY(mem_alloc(ctx, &s->labels, n, sizeof *s->labels));
        TRY(mem_alloc(ctx, &s->lengths, n, sizeof *s->lengths));
        TRY(mem_alloc(ctx, &s->captions, n, sizeof *s->captions));
        TRY(mem_alloc(ctx, &s->samples_of, n, sizeof *s->samples_of));
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
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has no samples for %s", ds->root, names[split]);
    if (!l->batches)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has %zu samples for %s, fewer than one batch of %zu: take a smaller batch", ds->root, l->count,
             names[split], batch);
    l->part = l->options.batch / l->options.ranks;
    TRY(make_slots(ctx, l));
    TRY(mem_alloc(ctx, &l->ctx, 1, sizeof *l->ctx));
    TRY(mem_alloc(ctx, &l->order, l->count, sizeof *l->order));
    for (size_t i = 0; i < l->count; i++)
        l->order[i] = (uint32_t)i;
    TRY(mem_alloc(ctx, &l->sounds, (size_t)l->part, sizeof *l->sounds));
    l->keep_left = (size_t)l->options.keep << 20;
    if (ds->info.kind != DATASET_SOUNDS && l->keep_left)
        TRY(mem_alloc(ctx, &l->kept, l->count, sizeof *l->kept));
    l->has_lock = pthread_mutex_init(&l->lock, NULL) == 0;
    l->has_changed = pthread_cond_init(&l->changed, NULL) == 0;
    /* Without a thread, wanted or not to be had, batches are made when they are asked for. */
    if (l->options.ahead && l->has_lock && l->has_changed)
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
        free(s->samples_of);
    }
    for (size_t i = 0; l->kept && i < l->count; i++)
        free(l->kept[i].own);
    free(l->slots);
    free(l->kept);
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

/* Without a thread. */
static clio_status next_here(clio_context *ctx, struct loader *l, const struct batch **out)
{
    clio_status st = CLIO_OK;
    struct slot *slot = l->slots;
    st = fill(l, slot, l->epoch, l->index, atomic_load(&l->generation));
    if (st) {
        ctx->status = slot->text;
        return st;
    }
    l->index = (l->index + 1) % l->batches;
    l->epoch += l->index == 0;
    *out = &slot->batch;
    return CLIO_OK;
}

clio_status loader_next(clio_context *ctx, struct loader *l, const struct batch **out)
{
    clio_status st;
    struct slot *slot;
    *out = NULL;
    if (!l->has_thread)
        return next_here(ctx, l, out);
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

clio_status loader_seek(clio_context *ctx, struct loader *l, size_t epoch, size_t batch)
{
    clio_status st = CLIO_OK;
    if (batch > l->batches)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no batch %zu in an epoch of %zu: the data or the size of batches has changed", batch,
             l->batches);
    if (batch == l->batches) { /* the end of an epoch is the beginning of the next */
        epoch++;
        batch = 0;
    }
    if (l->has_thread)
        pthread_mutex_lock(&l->lock);
    l->epoch = epoch;
    l->index = batch;
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
