/* make_broken.c - files that are broken, or strange, in one chosen way; test_errors.sh asks for them.
 *
 *     make_broken wav OUT [KEY=VALUE...]
 *         A WAV file whose header says what it is told to.
 *         samples=N rate=16000 channels=1 bits=16 (32: float) promise=BYTES (what the header says that there is; as many as there are)
 *         fill=zero|noise|rumble|nan|inf|alternate db=-60 (of the noise) insert=FILE (a sound at 16 kHz that is added) at=SECONDS (where)
 *     make_broken tensors KIND IN OUT [TENSOR]
 *         A copy of a safetensors file with one defect, of a tensor with two dimensions that differ (default: one of Whisper's). KIND:
 *         truncated        the second half is gone              oversized   the header would have 2^40 bytes
 *         cut-header       it ends within the header            json        the header is no JSON
 *         overlap          two tensors share their bytes        missing     a tensor has another name
 *         dtype            a tensor is of integers              shape       a tensor has its dimensions exchanged
 *         nan              all bytes of the data are 255 */
#include "../../host/core/mem.h"

#include <jansson.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *victim_name = "model.decoder.layers.0.fc1.weight"; /* the tensor that is hurt */

static void stop(const char *what, const char *name)
{
    fprintf(stderr, "make_broken: %s %s\n", what, name);
    exit(1);
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f)
        stop("cannot open", path);
    return f;
}

static void put(FILE *out, const void *data, size_t size)
{
    if (size && fwrite(data, 1, size, out) != size)
        stop("cannot write", "the file");
}

/* The lowest `size` bytes of a number, little-endian. */
static void put_number(FILE *out, unsigned long long number, int size)
{
    for (int i = 0; i < size; i++)
        fputc((int)(number >> 8 * i & 255), out);
}

/* ---- WAV ---- */

static double noise(void)
{
    static unsigned state = 1;
    state = state * 1664525u + 1013904223u;
    return sqrt(3) * (2.0 * (state >> 8) / 0x1p24 - 1); /* of power 1 */
}

static float fill_sample(const char *fill, double gain, size_t i)
{
    static double rumble;
    if (!strcmp(fill, "noise"))
        return (float)(gain * noise());
    if (!strcmp(fill, "rumble")) { /* brown noise of power 1 */
        rumble = 0.998 * rumble + 0.0632 * noise();
        return (float)(gain * rumble);
    }
    if (!strcmp(fill, "nan") || (!strcmp(fill, "alternate") && i % 2))
        return NAN;
    if (!strcmp(fill, "inf"))
        return i % 2 ? -INFINITY : INFINITY;
    if (strcmp(fill, "zero") != 0 && strcmp(fill, "alternate") != 0)
        stop("no such filling:", fill);
    return 0;
}

/* All samples of a mono file. */
static float *read_sound(const char *path, size_t *count)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(path, SFM_READ, &info);
    float *x = f && info.channels == 1 && info.samplerate == 16000 ? malloc((size_t)info.frames * sizeof *x) : NULL;
    if (!x || sf_readf_float(f, x, info.frames) != info.frames)
        stop("cannot read, as mono of 16 kHz,", path);
    *count = (size_t)info.frames;
    sf_close(f);
    return x;
}

static const char *option(int argc, char **argv, const char *key, const char *otherwise)
{
    size_t length = strlen(key);
    for (int i = 3; i < argc; i++)
        if (!strncmp(argv[i], key, length) && argv[i][length] == '=')
            return argv[i] + length + 1;
    return otherwise;
}

static unsigned long long number(int argc, char **argv, const char *key, unsigned long long otherwise)
{
    const char *text = option(argc, argv, key, NULL);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void make_wav(int argc, char **argv)
{
    FILE *out = open_file(argv[2], "wb");
    unsigned long long samples = number(argc, argv, "samples", 0), rate = number(argc, argv, "rate", 16000);
    unsigned long long channels = number(argc, argv, "channels", 1), bits = number(argc, argv, "bits", 16), align = channels * bits / 8;
    unsigned long long bytes = samples * bits / 8, promise = number(argc, argv, "promise", bytes);
    const char *fill = option(argc, argv, "fill", "zero"), *insert = option(argc, argv, "insert", NULL);
    double gain = pow(10, atof(option(argc, argv, "db", "-60")) / 20);
    size_t speech_at = (size_t)(atof(option(argc, argv, "at", "0")) * 16000), speech_count = 0;
    float *speech = insert ? read_sound(insert, &speech_count) : NULL;
    put(out, "RIFF", 4);
    put_number(out, 36 + promise, 4);
    put(out, "WAVEfmt ", 8);
    put_number(out, 16, 4);
    put_number(out, bits == 32 ? 3 : 1, 2);
    put_number(out, channels, 2);
    put_number(out, rate, 4);
    put_number(out, rate * align, 4);
    put_number(out, align, 2);
    put_number(out, bits, 2);
    put(out, "data", 4);
    put_number(out, promise, 4);
    for (size_t i = 0; i < samples; i++) {
        float x = fill_sample(fill, gain, i);
        if (i >= speech_at && i - speech_at < speech_count)
            x += speech[i - speech_at];
        if (bits == 32)
            put(out, &x, sizeof x);
        else
            put_number(out, (unsigned long long)lrintf(fminf(fmaxf(x * 32768, -32768), 32767)) & 0xffff, 2);
    }
    free(speech);
    if (fclose(out))
        stop("cannot write", argv[2]);
}

/* ---- safetensors ---- */

struct tensors {
    json_t *header;
    unsigned char *data;
    size_t size;
};

static void read_tensors(struct tensors *t, const char *path)
{
    FILE *in = open_file(path, "rb");
    unsigned char length[8];
    size_t header_size = 0;
    if (fread(length, 1, 8, in) != 8)
        stop("cannot read", path);
    for (int i = 0; i < 8; i++)
        header_size |= (size_t)length[i] << 8 * i;
    char *text = malloc(header_size);
    if (!text || fread(text, 1, header_size, in) != header_size || !(t->header = json_loadb(text, header_size, 0, NULL)))
        stop("cannot read the header of", path);
    free(text);
    fseek(in, 0, SEEK_END);
    t->size = (size_t)ftell(in) - 8 - header_size;
    fseek(in, (long)(8 + header_size), SEEK_SET);
    t->data = malloc(t->size);
    if (!t->data || fread(t->data, 1, t->size, in) != t->size)
        stop("cannot read the data of", path);
    fclose(in);
}

/* Give the victim the bytes of another tensor of its size. */
static void overlap(json_t *header, json_t *victim)
{
    json_t *own = json_object_get(victim, "data_offsets"), *value;
    json_int_t size = json_integer_value(json_array_get(own, 1)) - json_integer_value(json_array_get(own, 0));
    const char *name;
    json_object_foreach(header, name, value)
    {
        json_t *offsets = json_object_get(value, "data_offsets");
        json_int_t begin = json_integer_value(json_array_get(offsets, 0)), end = json_integer_value(json_array_get(offsets, 1));
        if (value == victim || end - begin != size)
            continue;
        json_object_set(victim, "data_offsets", offsets);
        return;
    }
    stop("there is no second tensor of the size of", victim_name);
}

static void hurt(struct tensors *t, const char *kind)
{
    json_t *victim = json_object_get(t->header, victim_name), *shape = json_object_get(victim, "shape");
    const char *type = json_string_value(json_object_get(victim, "dtype"));
    if (!type || json_array_size(shape) != 2)
        stop("the file has no", victim_name);
    if (!strcmp(kind, "overlap"))
        overlap(t->header, victim);
    else if (!strcmp(kind, "dtype"))
        json_object_set_new(victim, "dtype", json_string(strcmp(type, "F32") ? "I16" : "I32"));
    else if (!strcmp(kind, "shape"))
        json_object_set_new(victim, "shape", json_pack("[O,O]", json_array_get(shape, 1), json_array_get(shape, 0)));
    else if (!strcmp(kind, "nan"))
        memset(t->data, 255, t->size);
    else if (!strcmp(kind, "missing")) {
        json_object_set(t->header, "another.name", victim);
        json_object_del(t->header, victim_name);
    }
}

static void make_tensors(const char *kind, const char *in, const char *path)
{
    static const char *const kinds[] = {"truncated", "cut-header", "oversized", "json", "overlap", "missing", "dtype", "shape", "nan"};
    struct tensors t = {0};
    size_t known = 0;
    while (known < COUNT(kinds) && strcmp(kinds[known], kind) != 0)
        known++;
    if (known == COUNT(kinds))
        stop("no such defect:", kind);
    FILE *out = open_file(path, "wb");
    read_tensors(&t, in);
    hurt(&t, kind);
    char *text = json_dumps(t.header, JSON_COMPACT);
    if (!text)
        stop("out of memory for", in);
    size_t length = strlen(text);
    if (!strcmp(kind, "json"))
        text[length - 1] = ' ';
    put_number(out, !strcmp(kind, "oversized") ? 1ull << 40 : length, 8);
    put(out, text, !strcmp(kind, "cut-header") ? length / 2 : length);
    if (strcmp(kind, "cut-header") != 0)
        put(out, t.data, !strcmp(kind, "truncated") ? t.size / 2 : t.size);
    free(text);
    free(t.data);
    json_decref(t.header);
    if (fclose(out))
        stop("cannot write", path);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && !strcmp(argv[1], "wav"))
        make_wav(argc, argv);
    else if ((argc == 5 || argc == 6) && !strcmp(argv[1], "tensors")) {
        if (argc == 6)
            victim_name = argv[5];
        make_tensors(argv[2], argv[3], argv[4]);
    } else {
        fputs("usage: make_broken wav OUT [KEY=VALUE...] | make_broken tensors KIND IN OUT [TENSOR]\n", stderr);
        return 2;
    }
    return 0;
}
