/* augment.c - data augmentation: random crop, horizontal flip, color jitter and Gaussian noise of images; SpecAugment of spectrograms.
 * Sources: torchvision's RandomCrop, RandomHorizontalFlip, ColorJitter (blends with black, with the mean of the gray image, and with the
 * gray image; gray = 0.2989 R + 0.587 G + 0.114 B), here always in the order brightness, contrast, saturation; Park et al., "SpecAugment"
 * (Interspeech 2019), sections 2.2 and 2.3.
 * Each augmentation has its own random numbers, so turning one on does not change the others. */
#include "dataset_private.h"

#include <math.h>
#include <string.h>

#define TWO_PI 6.28318530717958647692f

enum { SLOT_WINDOW_X, SLOT_WINDOW_Y, SLOT_PAD_X, SLOT_PAD_Y, SLOT_FLIP, SLOT_BRIGHTNESS, SLOT_CONTRAST, SLOT_SATURATION, SLOT_NOISE };

/* ---- images ---- */

static float clamp_unit(float x)
{
    return x > 0 ? MIN(x, 1.0f) : 0;
}

/* Position of the crop: center or random, then shifted by the padding. */
static int crop_position(const struct augment *a, const struct draws *draws, uint32_t slot, int have, int want, int pad_slot)
{
    int at = (have - want) / 2;
    if (a->random_resized_crop > 0)
        at = (int)draws_below(draws, slot, (uint32_t)(have - want + 1));
    if (a->random_crop_padding > 0)
        at += (int)draws_below(draws, (uint32_t)pad_slot, 2 * (uint32_t)a->random_crop_padding + 1) - a->random_crop_padding;
    return at;
}

static void crop(const struct dataset *ds, const struct prepared *in, const struct augment *a, const struct draws *draws, float *out)
{
    int width = ds->info.width, height = ds->info.height, channels = ds->info.channels;
    int left = crop_position(a, draws, SLOT_WINDOW_X, in->width, width, SLOT_PAD_X);
    int top = crop_position(a, draws, SLOT_WINDOW_Y, in->height, height, SLOT_PAD_Y);
    bool flip = a->random_flip > 0 && draws_unit(draws, SLOT_FLIP) < a->random_flip;
    for (int y = top; y < top + height; y++)
        for (int x = 0; x < width; x++, out += channels) {
            int column = left + (flip ? width - 1 - x : x);
            if (column < 0 || y < 0 || column >= in->width || y >= in->height) {
                memset(out, 0, (size_t)channels * sizeof *out);
                continue;
            }
            const unsigned char *from = in->data + ((size_t)y * (size_t)in->width + (size_t)column) * (size_t)channels;
            for (int c = 0; c < channels; c++)
                out[c] = (float)from[c] / 255.0f;
        }
}

/* Uniform from 1 - strength, at least 0, to 1 + strength. */
static float jitter_factor(const struct draws *draws, uint32_t slot, float strength)
{
    float low = MAX(1.0f - strength, 0.0f), high = 1.0f + strength;
    return low + (high - low) * draws_unit(draws, slot);
}

static float gray(const float *rgb, int channels)
{
    return channels == 1 ? rgb[0] : 0.2989f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
}

static void color_jitter(const struct augment *a, const struct draws *draws, float *x, size_t pixels, int channels)
{
    size_t n = pixels * (size_t)channels;
    if (a->brightness > 0) {
        float f = jitter_factor(draws, SLOT_BRIGHTNESS, a->brightness);
        for (size_t i = 0; i < n; i++)
            x[i] = clamp_unit(f * x[i]);
    }
    if (a->contrast > 0) {
        float f = jitter_factor(draws, SLOT_CONTRAST, a->contrast);
        double mean = 0;
        for (size_t i = 0; i < pixels; i++)
            mean += (double)gray(x + i * (size_t)channels, channels);
        mean /= (double)pixels;
        for (size_t i = 0; i < n; i++)
            x[i] = clamp_unit(f * x[i] + (1.0f - f) * (float)mean);
    }
    if (a->saturation > 0 && channels == 3) {
        float f = jitter_factor(draws, SLOT_SATURATION, a->saturation);
        for (size_t i = 0; i < pixels; i++) {
            float g = gray(x + 3 * i, 3);
            for (size_t c = 0; c < 3; c++)
                x[3 * i + c] = clamp_unit(f * x[3 * i + c] + (1.0f - f) * g);
        }
    }
}

/* Box-Muller: four random words give four normal numbers. */
static void add_noise(const struct draws *draws, float *x, size_t n, float std)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        float normal[4];
        draws_words(draws, SLOT_NOISE + (uint32_t)(i / 4), words);
        for (int k = 0; k < 4; k += 2) {
            float radius = sqrtf(-2.0f * logf(((float)(words[k] >> 8) + 0.5f) * 0x1p-24f));
            float angle = TWO_PI * (float)(words[k + 1] >> 8) * 0x1p-24f;
            normal[k] = radius * cosf(angle);
            normal[k + 1] = radius * sinf(angle);
        }
        for (size_t k = 0; k < 4 && i + k < n; k++)
            x[i + k] = clamp_unit(x[i + k] + std * normal[k]);
    }
}

void dataset_augment(const struct dataset *ds, const struct prepared *in, const struct augment *augment, bool unit,
                     const struct draws *draws, float *out)
{
    size_t pixels = (size_t)ds->info.width * (size_t)ds->info.height, n = pixels * (size_t)ds->info.channels;
    crop(ds, in, augment, draws, out);
    color_jitter(augment, draws, out, pixels, ds->info.channels);
    if (augment->gaussian_noise > 0)
        add_noise(draws, out, n, augment->gaussian_noise);
    for (size_t i = 0; !unit && i < n; i++)
        out[i] = 2.0f * out[i] - 1.0f;
}

/* ---- spectrograms ---- */

/* A mask [begin, end) in n: width uniform from 0 to max_width, position uniform. */
static void draw_mask(const struct draws *d, uint32_t slot, int n, int max_width, int *begin, int *end)
{
    int width = (int)draws_below(d, slot, (uint32_t)MIN(MAX(max_width, 0), n) + 1);
    *begin = (int)draws_below(d, slot + 1, (uint32_t)(n - width) + 1);
    *end = *begin + width;
}

int spec_augment(struct spec_mask *masks, int frames, int bands, const struct spec_augment *o, uint64_t seed, uint64_t epoch,
                 uint64_t sample)
{
    const struct draws d = {seed, (uint32_t)epoch, (uint32_t)sample, DRAWS_SPECTROGRAM};
    int max_width = o->time_width, count = 0;
    if (frames < 1 || bands < 1)
        return 0;
    if (o->time_fraction > 0)
        max_width = MIN(max_width, (int)((double)o->time_fraction * frames));
    for (int m = 0; m < o->time_masks; m++, count++) {
        masks[count] = (struct spec_mask){.band_end = bands};
        draw_mask(&d, 4 * (uint32_t)m, frames, max_width, &masks[count].frame, &masks[count].frame_end);
    }
    for (int m = 0; m < o->frequency_masks; m++, count++) {
        masks[count] = (struct spec_mask){.frame_end = frames};
        draw_mask(&d, 4 * (uint32_t)m + 2, bands, o->frequency_width, &masks[count].band, &masks[count].band_end);
    }
    return count;
}
