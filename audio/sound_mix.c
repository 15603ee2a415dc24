/* sound_mix.c - from the frames of a file to mono. See sound_file.h. */
#include "sound_file.h"

#include <math.h>
#include <stdio.h>

#define MAX_SAMPLE 0x1p32f
/* Part of the channels' mean energy that their mean has where they cancel each other: below that of 64 channels of which one is not silent.
 */
#define CANCELLED 0.01

bool sound_sample_is_valid(float sample)
{
    return fabsf(sample) <= MAX_SAMPLE; /* false for NaN */
}

size_t sound_file_sanitize(float *samples, size_t count)
{
    size_t invalid = 0;
    for (size_t i = 0; i < count; i++)
        if (!sound_sample_is_valid(samples[i])) {
            samples[i] = 0;
            invalid++;
        }
    return invalid;
}

bool sound_invalid_problem(const char *name, uint64_t invalid, uint64_t count, char *text, size_t size)
{
    if (invalid)
        snprintf(text, size,
                 "%llu of %llu values of %s are NaN, infinite or above 2^32, and were read as silence: record or export it again",
                 (unsigned long long)invalid, (unsigned long long)count, name);
    return invalid > 0;
}

/* Energies of the mean of the channels, and of the loudest channel; both as sums over the frames. */
static double mean_energy(const float *frames, size_t count, size_t channels)
{
    double energy = 0;
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++)
            sum += (double)frames[i * channels + c];
        energy += sum * sum / (double)(channels * channels);
    }
    return energy;
}

static double channel_energy(const float *frames, size_t count, size_t channels, size_t c)
{
    double energy = 0;
    for (size_t i = 0; i < count; i++)
        energy += (double)frames[i * channels + c] * (double)frames[i * channels + c];
    return energy;
}

/* The channel to use in place of the mean, where the channels cancel each other; -1: use the mean. Without a common phase the mean of n
 * channels has 1/n of their mean energy. The channel used before is kept while it is about as loud as any. */
static int cancelled_channel(struct sound_file *f, size_t count)
{
    size_t channels = (size_t)f->channels, loudest = 0;
    double energy[SOUND_FILE_CHANNELS], sum = 0;
    if (channels < 2)
        return -1;
    for (size_t c = 0; c < channels; c++) {
        energy[c] = channel_energy(f->frames, count, channels, c);
        sum += energy[c] / (double)channels;
        loudest = energy[c] > energy[loudest] ? c : loudest;
    }
    if (!(mean_energy(f->frames, count, channels) < CANCELLED * sum))
        return -1;
    if (energy[f->single] < energy[loudest] / 2)
        f->single = (int)loudest;
    return f->single;
}

void sound_file_mix(struct sound_file *f, size_t count, float *mono)
{
    size_t channels = (size_t)f->channels;
    f->invalid += sound_file_sanitize(f->frames, count * channels);
    f->read += count * channels;
    int single = cancelled_channel(f, count);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++)
            sum += (double)f->frames[i * channels + c];
        mono[i] = single < 0 ? (float)(sum / (double)channels) : f->frames[i * channels + (size_t)single];
    }
}
