/* test_image.c - image files: PNG of every colour type and depth, JPEG and WebP against what Pillow decodes, metadata, animations, resizing
 * bit for bit as Pillow, conversion to tensors, and every way a file can be broken. Needs no device.
 *
 * golden/image, by Pillow 13 with libwebp 1.6: source.png; lanczos-WxH.png, source.png resized; NAME.jpg.png and NAME.webp.png, NAME after
 * exif_transpose and convert("RGB"); parameters.jpg and .webp with the UserComment of stable-diffusion-webui, by piexif. */
#include "../support/test_own.h"

#include "../../models/image/image.h"

#include <math.h>
#include <png.h>
#include <zlib.h>

static const char *golden(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/tests/golden/image/%s", CLIO_SOURCE_DIR, name);
    return path;
}

static unsigned next_random(void)
{
    static unsigned state = 7;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void same(const struct image *a, const struct image *b, int tolerance, const char *what)
{
    if (a->width != b->width || a->height != b->height)
        fail_msg("%s has %d x %d pixels, expected %d x %d", what, a->width, a->height, b->width, b->height);
    for (int i = 0; i < 3 * a->width * a->height; i++)
        if (abs(a->rgb[i] - b->rgb[i]) > tolerance)
            fail_msg("%s: byte %d (pixel %d, %d) is %d, expected %d", what, i, i / 3 % a->width, i / 3 / a->width, a->rgb[i], b->rgb[i]);
}

/* ---- PNG of every kind, written by libpng ---- */

struct png_kind {
    int type, depth, interlace;
    bool has_trns;
};

/* The sample at position i of a packed row. */
static unsigned sample(const unsigned char *row, size_t i, int depth)
{
    if (depth == 16)
        return row[2 * i]; /* the upper byte */
    if (depth == 8)
        return row[i];
    return row[i * (size_t)depth / 8] >> (8 - depth - (int)(i * (size_t)depth % 8)) & ((1u << depth) - 1);
}

static void expect_pixel(const struct png_kind *kind, const png_color *palette, const unsigned char *row, int x, unsigned char rgb[3])
{
    int channels = kind->type == PNG_COLOR_TYPE_RGBA         ? 4
                   : kind->type == PNG_COLOR_TYPE_RGB        ? 3
                   : kind->type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                             : 1;
    for (int c = 0; c < 3; c++) {
        unsigned v = sample(row, (size_t)(x * channels + (channels >= 3 ? c : 0)), kind->depth);
        if (kind->type == PNG_COLOR_TYPE_PALETTE)
            v = c == 0 ? palette[v].red : c == 1 ? palette[v].green : palette[v].blue;
        else if (kind->depth < 8)
            v = v * 255 / ((1u << kind->depth) - 1);
        rgb[c] = (unsigned char)v;
    }
}

static void write_kind(const char *path, const struct png_kind *kind, struct image *want)
{
    enum { WIDTH = 13, HEIGHT = 11 };
    static unsigned char pixels[HEIGHT][WIDTH * 8];
    unsigned char *rows[HEIGHT];
    png_color palette[256];
    png_byte alpha[2] = {0, 100};
    png_color_16 transparent = {0};
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_true(f && png && info);
    if (setjmp(png_jmpbuf(png)))
        fail_msg("libpng would not write %s", path);
    for (int i = 0; i < 256; i++)
        palette[i] = (png_color){(png_byte)(i * 7), (png_byte)(255 - i), (png_byte)(i * 31)};
    for (int y = 0; y < HEIGHT; y++) {
        rows[y] = pixels[y];
        for (size_t i = 0; i < sizeof pixels[y]; i++)
            pixels[y][i] = (unsigned char)next_random();
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, WIDTH, HEIGHT, kind->depth, kind->type, kind->interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind->type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 1 << kind->depth);
    if (kind->has_trns)
        png_set_tRNS(png, info, alpha, 2, &transparent);
    png_set_gAMA(png, info, 1.0); /* to be passed over */
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    assert_int_equal(fclose(f), 0);
    OK(image_new(ctx, want, "it", WIDTH, HEIGHT));
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            expect_pixel(kind, palette, pixels[y], x, want->rgb + 3 * (y * WIDTH + x));
}

static void test_png_kinds(void **state)
{
    static const int types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_PALETTE, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGBA};
    int seen = 0;
    (void)state;
    for (size_t t = 0; t < COUNT(types); t++)
        for (int depth = 1; depth <= 16; depth *= 2)
            for (int variant = 0; variant < 4; variant++) {
                struct png_kind kind = {types[t], depth, variant & 1 ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, variant & 2};
                bool has_alpha = types[t] & PNG_COLOR_MASK_ALPHA;
                struct image got, want;
                char what[80];
                if ((depth < 8 && (types[t] & ~PNG_COLOR_MASK_PALETTE || types[t] == PNG_COLOR_TYPE_RGB) &&
                     types[t] != PNG_COLOR_TYPE_PALETTE) ||
                    (depth == 16 && types[t] == PNG_COLOR_TYPE_PALETTE) || (has_alpha && kind.has_trns))
                    continue;
                snprintf(what, sizeof what, "colour type %d, %d bits, interlace %d, tRNS %d", types[t], depth, kind.interlace,
                         kind.has_trns);
                write_kind(in_folder("kind.png"), &kind, &want);
                OK(image_read(ctx, &got, in_folder("kind.png")));
                same(&got, &want, 0, what);
                assert_int_equal(got.has_alpha, has_alpha || kind.has_trns);
                image_free(&got);
                image_free(&want);
                seen++;
            }
    assert_int_equal(seen, 4 * (5 + 4 + 2) + 2 * (2 + 2));
}

/* ---- JPEG, WebP and EXIF orientation ---- */

static void test_jpeg(void **state)
{
    static const char *const names[] = {"colour.jpg",   "progressive.jpg", "grey.jpg",     "cmyk.jpg",     "turned-2.jpg", "turned-3.jpg",
                                        "turned-4.jpg", "turned-5.jpg",    "turned-6.jpg", "turned-7.jpg", "turned-8.jpg"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct image got, want;
        char reference[64];
        snprintf(reference, sizeof reference, "%s.png", names[i]);
        OK(image_read(ctx, &got, golden(names[i])));
        OK(image_read(ctx, &want, golden(reference)));
        same(&got, &want, 1, names[i]); /* 1: versions of libjpeg differ in rounding */
        image_free(&got);
        image_free(&want);
    }
}

static void test_webp(void **state)
{
    static const char *const names[] = {"lossy.webp",          "lossless.webp", "alpha.webp",
                                        "alpha-lossless.webp", "turned-6.webp", "animated.webp"}; /* of the animation the first frame */
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct image got, want;
        struct file_content map;
        char reference[64];
        int width, height;
        snprintf(reference, sizeof reference, "%s.png", names[i]);
        OK(image_read(ctx, &got, golden(names[i])));
        OK(image_read(ctx, &want, golden(reference)));
        same(&got, &want, 0, names[i]);
        assert_int_equal(got.has_alpha, strstr(names[i], "a") == names[i]);
        OK(file_load(ctx, &map, golden(names[i])));
        assert_true(image_webp_probe(&map, &width, &height));
        assert_true(width == got.width && height == got.height);
        file_unload(&map);
        image_free(&got);
        image_free(&want);
    }
}

static void test_orientation_block(void **state)
{
    unsigned char little[] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    unsigned char big[] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0";
    size_t size = sizeof little - 1;
    (void)state;
    assert_int_equal(image_exif_orientation(little, size), 6);
    assert_int_equal(image_exif_orientation(big, sizeof big - 1), 3);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *copy = malloc(cut + 1); /* of its own, so that a sanitizer sees a step too far */
        assert_non_null(copy);
        copy = realloc(copy, cut ? cut : 1);
        memcpy(copy, little, cut);
        assert_int_equal(image_exif_orientation(copy, cut), 1);
        free(copy);
    }
    memset(little + 4, 255, 4);
    assert_int_equal(image_exif_orientation(little, size), 1);
    little[4] = 8, little[5] = little[6] = little[7] = 0, little[18] = 9;
    assert_int_equal(image_exif_orientation(little, size), 1);
}

/* ---- writing, and metadata ---- */

static void make_image(struct image *image, int width, int height)
{
    OK(image_new(ctx, image, "it", width, height));
    for (int i = 0; i < 3 * width * height; i++)
        image->rgb[i] = (unsigned char)(i * 5 + (int)(next_random() % 20));
}

static const char *const entries[][2] = {{"parameters", "a red fox\nNegative prompt: blurry\nSteps: 20, Seed: 42"},
                                         {"caf\xc3\xa9", "\xc3\xa9t\xc3\xa9"}, /* Latin-1 */
                                         {"prompt", "\xe7\x8b\x90 \xf0\x9f\xa6\x8a, 20 \xe2\x82\xac"},
                                         {"empty", ""},
                                         {"control", "a\tb\x1b"}};

static void test_write(void **state)
{
    struct image image, got;
    struct metadata metadata = {NULL, 0}, found;
    unsigned char *file;
    size_t size;
    (void)state;
    make_image(&image, 33, 17);
    for (size_t i = 0; i < COUNT(entries); i++)
        OK(metadata_add(ctx, &metadata, entries[i][0], entries[i][1]));
    OK(image_write(ctx, &image, in_folder("out.png"), &metadata));
    OK(image_read(ctx, &got, in_folder("out.png")));
    same(&got, &image, 0, "out.png");
    assert_false(got.has_alpha);
    OK(image_metadata_read(ctx, &found, in_folder("out.png")));
    assert_int_equal(found.count, COUNT(entries));
    for (size_t i = 0; i < COUNT(entries); i++) {
        assert_string_equal(found.list[i].key, entries[i][0]);
        assert_string_equal(found.list[i].text, entries[i][1]);
    }
    file = read_file(in_folder("out.png"), &size);
    assert_memory_equal(file + 33, "\0\0\0\x40tEXtparameters\0a red", 24); /* the first entry, uncompressed, right behind the header */
    free(file);
    metadata_free(&found);
    metadata_free(&metadata);
    OK(image_write(ctx, &image, in_folder("plain.png"), NULL));
    OK(image_metadata_read(ctx, &found, in_folder("plain.png")));
    assert_int_equal(found.count, 0);
    metadata_free(&found);
    image_free(&image);
    image_free(&got);
}

/* How far apart two images are on average. */
static double difference(const struct image *a, const struct image *b)
{
    double sum = 0;
    int n = 3 * a->width * a->height;
    assert_true(a->width == b->width && a->height == b->height);
    for (int i = 0; i < n; i++)
        sum += abs(a->rgb[i] - b->rgb[i]);
    return sum / n;
}

static void expect_parameters(const char *path, const char *text)
{
    struct metadata found;
    OK(image_metadata_read(ctx, &found, path));
    assert_int_equal(found.count, text ? 1 : 0);
    if (text) {
        assert_string_equal(found.list[0].key, "parameters");
        assert_string_equal(found.list[0].text, text);
    }
    metadata_free(&found);
}

/* JPEG and WebP by extension, in any case of letters: near the original, and the same bytes each time. */
static void test_write_lossy(void **state)
{
    static const struct {
        const char *name, *start;
        int format;
    } files[] = {{"out.jpg", "\xff\xd8\xff", IMAGE_JPEG},
                 {"OUT.JPEG", "\xff\xd8\xff", IMAGE_JPEG},
                 {"out.webp", "RIFF", IMAGE_WEBP},
                 {"a.png/out.WebP", "RIFF", IMAGE_WEBP},
                 {"out.PNG", "\x89PNG", IMAGE_PNG}};
    static const char text[] = "a red fox, \xe7\x8b\x90 \xf0\x9f\xa6\x8a\nSteps: 20"; /* beyond the first 65536 characters as well */
    struct image image, got;
    struct metadata metadata = {NULL, 0};
    (void)state;
    OK(image_new(ctx, &image, "it", 60, 41));
    for (int i = 0; i < 60 * 41; i++)
        for (int c = 0; c < 3; c++)
            image.rgb[3 * i + c] = (unsigned char)(i % 60 * (c + 1) + i / 60 * 2);
    OK(metadata_add(ctx, &metadata, "Software", "clio"));
    OK(metadata_add(ctx, &metadata, "parameters", text));
    OK(file_make_folder(ctx, in_folder("a.png")));
    for (size_t i = 0; i < COUNT(files); i++) {
        enum image_format format;
        size_t size[2];
        unsigned char *file[2];
        OK(image_format_of(ctx, &format, files[i].name));
        assert_int_equal(format, files[i].format);
        for (int k = 0; k < 2; k++) {
            OK(image_write(ctx, &image, in_folder(files[i].name), &metadata));
            file[k] = read_file(in_folder(files[i].name), &size[k]);
        }
        assert_memory_equal(file[0], files[i].start, strlen(files[i].start));
        assert_true(size[0] == size[1] && !memcmp(file[0], file[1], size[0]));
        free(file[0]), free(file[1]);
        OK(image_read(ctx, &got, in_folder(files[i].name)));
        assert_true(difference(&got, &image) < (format == IMAGE_PNG ? 1e-9 : 4) && !got.has_alpha);
        image_free(&got);
        if (format != IMAGE_PNG)
            expect_parameters(in_folder(files[i].name), text);
        OK(image_write(ctx, &image, in_folder(files[i].name), NULL));
        expect_parameters(in_folder(files[i].name), NULL);
    }
    metadata_free(&metadata);
    image_free(&image);
}

static void test_comments(void **state)
{
    static const char text[] = "a red fox\nNegative prompt: blurry, \xe7\x8b\x90 \xf0\x9f\xa6\x8a\nSteps: 20, Seed: 42";
    /* Exif header, TIFF of IFD 0 with a pointer to the Exif IFD, which has one UserComment of 20 bytes at 44. */
    static const unsigned char head[] = "Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0"
                                        "\x01\0\x86\x92\x07\0\x14\0\0\0\x2c\0\0\0\0\0\0\0";
    static const struct {
        const char *bytes, *text;                                            /* NULL: none */
    } comments[] = {{"UNICODE\0f\0o\0x\0\0\xd8!\0\0\0", "fox\xef\xbf\xbd!"}, /* little-endian, half a pair of surrogates */
                    {"UNICODE\0\0f\0o\0x\xd8\0\0\0\0\0", "fox\xef\xbf\xbd"},
                    {"ASCII\0\0\0a red fox\0\0\0", "a red fox"},
                    {"\0\0\0\0\0\0\0\0caf\xc3\xa9\0\0\0\0\0\0\0", "caf\xc3\xa9"},
                    {"\0\0\0\0\0\0\0\0caf\xe9\0\0\0\0\0\0\0\0", "caf\xc3\xa9"},
                    {"ASCII\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", NULL}};
    (void)state;
    expect_parameters(golden("parameters.jpg"), text);
    expect_parameters(golden("parameters.webp"), text);
    expect_parameters(golden("turned-6.webp"), NULL);
    expect_parameters(golden("colour.jpg"), NULL);
    for (size_t i = 0; i < COUNT(comments); i++)
        for (size_t cut = 0; cut <= 20; cut += 20) {
            struct metadata found = {NULL, 0};
            unsigned char exif[sizeof head - 1 + 20];
            memcpy(exif, head, sizeof head - 1);
            memcpy(exif + sizeof head - 1, comments[i].bytes, 20);
            OK(image_exif_comment(ctx, &found, exif, sizeof exif - cut));
            assert_int_equal(found.count, comments[i].text && !cut ? 1 : 0);
            if (found.count)
                assert_string_equal(found.list[0].text, comments[i].text);
            metadata_free(&found);
        }
}

static void test_bad_metadata(void **state)
{
    static const char *const keys[] = {"",
                                       " front",
                                       "back ",
                                       "two  spaces",
                                       "\xe7\x8b\x90",
                                       "12345678901234567890123456789012345678901234567890123456789012345678901234567890"};
    struct image image;
    (void)state;
    make_image(&image, 4, 4);
    for (size_t i = 0; i <= COUNT(keys); i++) {
        struct metadata metadata = {NULL, 0};
        bool is_text = i == COUNT(keys);
        OK(metadata_add(ctx, &metadata, is_text ? "prompt" : keys[i], is_text ? "a \xff fox" : "text"));
        FAILS(image_write(ctx, &image, in_folder("no.png"), &metadata), CLIO_ERROR_ARGUMENT,
              is_text ? "\"prompt\" is not valid UTF-8" : "key");
        assert_false(file_exists(in_folder("no.png")));
        metadata_free(&metadata);
    }
    for (int i = 0; i < 2; i++) {
        struct metadata metadata = {NULL, 0};
        const char *path = in_folder(i ? "no.webp" : "no.jpg");
        char *text = calloc(1, 32800);
        assert_non_null(text);
        memset(text, 'x', 32799);
        OK(metadata_add(ctx, &metadata, "parameters", "a \xff fox"));
        FAILS(image_write(ctx, &image, path, &metadata), CLIO_ERROR_ARGUMENT, "\"parameters\" is not valid UTF-8");
        free(metadata.list[0].text);
        metadata.list[0].text = text;
        FAILS(image_write(ctx, &image, path, &metadata), CLIO_ERROR_ARGUMENT, "32803 characters");
        assert_false(file_exists(path));
        text[32400] = 0;
        OK(image_write(ctx, &image, path, &metadata));
        expect_parameters(path, text);
        metadata_free(&metadata);
    }
    assert_false(text_is_utf8("\xc0\x80")); /* too long a form, a surrogate, too large, cut */
    assert_false(text_is_utf8("\xed\xa0\x80"));
    assert_false(text_is_utf8("\xf4\x90\x80\x80"));
    assert_false(text_is_utf8("\xe7\x8b"));
    image_free(&image);
}

static void test_unwritable(void **state)
{
    struct image image;
    struct animation a;
    (void)state;
    make_image(&image, 4, 4);
    FAILS(image_write(ctx, &image, folder, NULL), CLIO_ERROR_FILE, "is a folder");
    FAILS(image_write(ctx, &image, in_folder("absent/out.png"), NULL), CLIO_ERROR_FILE, "does not exist");
    FAILS(image_write(ctx, &image, "", NULL), CLIO_ERROR_ARGUMENT, "empty");
    FAILS(animation_open(ctx, &a, in_folder("absent/out.png"), 4, 4, 2, 50, NULL), CLIO_ERROR_FILE, "does not exist");
    FAILS(animation_open(ctx, &a, in_folder("a.png"), 4, 4, 0, 50, NULL), CLIO_ERROR_ARGUMENT, "0 frames");
    FAILS(animation_open(ctx, &a, in_folder("a.png"), 4, 4, 2, 0, NULL), CLIO_ERROR_ARGUMENT, "0 milliseconds");
    FAILS(image_write(ctx, &image, in_folder("out.gif"), NULL), CLIO_ERROR_ARGUMENT, "out.gif does not end in .png, .jpg, .jpeg or .webp");
    FAILS(image_write(ctx, &image, in_folder("png"), NULL), CLIO_ERROR_ARGUMENT, "does not end in .png");
    OK(file_make_folder(ctx, in_folder("a.webp")));
    FAILS(image_write(ctx, &image, in_folder("a.webp/out"), NULL), CLIO_ERROR_ARGUMENT, "does not end in .png");
    assert_false(file_exists(in_folder("out.gif")));
    OK(image_write(ctx, &image, "/dev/null", NULL)); /* a device: PNG */
    {
        struct image wide;
        OK(image_new(ctx, &wide, "it", 16384, 1));
        FAILS(image_write(ctx, &wide, in_folder("wide.webp"), NULL), CLIO_ERROR_ARGUMENT, "at most 16383 a side");
        OK(image_write(ctx, &wide, in_folder("wide.jpg"), NULL));
        image_free(&wide);
    }
    if (file_exists("/dev/full"))
        FAILS(image_write(ctx, &image, "/dev/full", NULL), CLIO_ERROR_FILE, "disk is full");
    image_free(&image);
}

/* ---- animations ---- */

static uint32_t number(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The data of IDAT chunks, unpacked and unfiltered by libpng's rules, must be this image: put into a PNG of its own and read. */
static void same_frame(const unsigned char *header_chunk, const struct bytes *data, const struct image *want, int n)
{
    struct bytes file = {NULL, 0, 0};
    struct image got;
    unsigned char word[4];
    uLong crc;
    char what[32];
    OK(bytes_add(ctx, &file, "\x89PNG\r\n\x1a\n", 8));
    OK(bytes_add(ctx, &file, header_chunk, 25));
    for (int i = 0; i < 4; i++)
        word[i] = (unsigned char)(data->size >> (24 - 8 * i));
    OK(bytes_add(ctx, &file, word, 4));
    OK(bytes_add(ctx, &file, "IDAT", 4));
    OK(bytes_add(ctx, &file, data->data, data->size));
    crc = crc32(crc32(0, (const Bytef *)"IDAT", 4), (const Bytef *)data->data, (uInt)data->size);
    for (int i = 0; i < 4; i++)
        word[i] = (unsigned char)(crc >> (24 - 8 * i));
    OK(bytes_add(ctx, &file, word, 4));
    OK(bytes_add(ctx, &file, "\0\0\0\0IEND\xae\x42\x60\x82", 12));
    OK(image_read(ctx, &got, put("frame.png", file.data, file.size)));
    snprintf(what, sizeof what, "frame %d", n);
    same(&got, want, 0, what);
    image_free(&got);
    bytes_free(&file);
}

enum { FRAMES = 3 };

/* Walk the chunks, checking each one's CRC, the order, the numbering and what the controls say. */
static void check_animation(const unsigned char *file, size_t size, const struct image *frames)
{
    static const unsigned char control[8] = {0, 0, 0, FRAMES, 0, 0, 0, 0};
    struct bytes data = {NULL, 0, 0};
    const unsigned char *header = file + 8;
    uint32_t sequence = 0;
    int frame = -1;
    bool has_control = false, has_text = false, has_end = false;
    assert_memory_equal(file, "\x89PNG\r\n\x1a\n", 8);
    for (size_t at = 8; at < size;) {
        uint32_t length = number(file + at);
        const unsigned char *type = file + at + 4, *body = type + 4;
        assert_true(length <= size - at - 12 && !has_end);
        assert_int_equal(number(body + length), crc32(0, type, length + 4));
        if (!memcmp(type, "acTL", 4)) {
            assert_true(frame < 0 && length == 8);
            assert_memory_equal(body, control, 8);
            has_control = true;
        } else if (!memcmp(type, "fcTL", 4)) {
            if (frame >= 0)
                same_frame(header, &data, &frames[frame], frame);
            data.size = 0;
            frame++;
            assert_true(has_control && length == 26);
            assert_int_equal(number(body), sequence++);
            assert_int_equal(number(body + 4), 30);
            assert_int_equal(number(body + 8), 20);
            assert_memory_equal(body + 12, "\0\0\0\0\0\0\0\0\x01\x2c\x03\xe8\0\0", 14); /* at 0, 0; 300 / 1000 s */
        } else if (!memcmp(type, "IDAT", 4)) {
            assert_int_equal(frame, 0);
            OK(bytes_add(ctx, &data, body, length));
        } else if (!memcmp(type, "fdAT", 4)) {
            assert_true(frame > 0);
            assert_int_equal(number(body), sequence++);
            OK(bytes_add(ctx, &data, body + 4, length - 4));
        } else if (!memcmp(type, "tEXt", 4))
            has_text = true;
        has_end = !memcmp(type, "IEND", 4);
        at += length + 12;
    }
    same_frame(header, &data, &frames[frame], frame);
    assert_true(has_end && has_text && frame == FRAMES - 1);
    bytes_free(&data);
}

static void test_animation(void **state)
{
    struct image frames[FRAMES], still;
    struct metadata metadata = {NULL, 0}, found;
    struct animation a;
    unsigned char *file;
    size_t size;
    (void)state;
    OK(metadata_add(ctx, &metadata, "parameters", "a fox"));
    for (int i = 0; i < FRAMES; i++)
        make_image(&frames[i], 30, 20);
    OK(animation_open(ctx, &a, in_folder("move.png"), 30, 20, FRAMES, 300, &metadata));
    for (int i = 0; i < FRAMES; i++) {
        assert_false(file_exists(in_folder("move.png")));
        OK(animation_add(ctx, &a, &frames[i]));
    }
    OK(animation_commit(ctx, &a));
    file = read_file(in_folder("move.png"), &size);
    check_animation(file, size, frames);
    free(file);
    OK(image_read(ctx, &still, in_folder("move.png"))); /* what others show */
    same(&still, &frames[0], 0, "the still image");
    OK(image_metadata_read(ctx, &found, in_folder("move.png")));
    assert_int_equal(found.count, 1);
    assert_string_equal(found.list[0].text, "a fox");
    metadata_free(&found);
    metadata_free(&metadata);
    OK(animation_open(ctx, &a, in_folder("cut.png"), 30, 20, 2, 300, NULL));
    OK(animation_add(ctx, &a, &frames[0]));
    FAILS(animation_commit(ctx, &a), CLIO_ERROR_INTERNAL, "1 frames of 2");
    assert_false(file_exists(in_folder("cut.png")));
    image_free(&still);
    for (int i = 0; i < FRAMES; i++)
        image_free(&frames[i]);
}

/* ---- sizes and numbers ---- */

static void test_resize(void **state)
{
    static const int sizes[][2] = {{16, 48}, {48, 8}, {35, 9}, {20, 9}, {96, 64}, {5, 3}, {37, 8}, {11, 23}};
    struct image source, got, want;
    char name[64];
    (void)state;
    OK(image_read(ctx, &source, golden("source.png")));
    for (size_t i = 0; i < COUNT(sizes); i++) {
        snprintf(name, sizeof name, "lanczos-%dx%d.png", sizes[i][0], sizes[i][1]);
        OK(image_read(ctx, &want, golden(name)));
        OK(image_resize(ctx, &got, &source, sizes[i][0], sizes[i][1]));
        same(&got, &want, 0, name);
        image_free(&got);
        image_free(&want);
    }
    OK(image_resize(ctx, &got, &source, source.width, source.height));
    same(&got, &source, 0, "the same size");
    image_free(&got);
    FAILS(image_resize(ctx, &got, &source, 0, 5), CLIO_ERROR_ARGUMENT, "at least 1");
    FAILS(image_resize(ctx, &got, &source, 5, 40000), CLIO_ERROR_UNSUPPORTED, "make it smaller");
    FAILS(image_resize(ctx, &got, &source, 32768, 32768), CLIO_ERROR_UNSUPPORTED, "make it smaller");
    assert_null(got.rgb);
    image_free(&source);
}

static void test_numbers(void **state)
{
    struct image image, back;
    float x[3 * 256], mask[256];
    static const float odd[] = {-7, 7, -1e30f, 0.003921569f, -0.003921569f, 0, 1e30f, -7, 1, -1, 0.5f, -0.5f};
    /* by numpy: (clip(x / 2 + 0.5, 0, 1) * 255).round(); 127.5 goes to the even 128 */
    static const unsigned char bytes[] = {0, 255, 0, 128, 127, 128, 255, 0, 255, 0, 191, 64};
    (void)state;
    OK(image_new(ctx, &image, "it", 64, 4));
    for (int i = 0; i < 256; i++)
        image.rgb[3 * i] = image.rgb[3 * i + 1] = (unsigned char)i, image.rgb[3 * i + 2] = (unsigned char)(255 - i);
    image_to_floats(&image, x);
    for (int i = 0; i < 256; i++) {
        assert_true(x[i] == 2 * ((float)i / 255) - 1 && x[i] == x[256 + i]);
        assert_true(x[512 + i] == x[255 - i]);
    }
    OK(image_from_floats(ctx, &back, x, 64, 4));
    same(&back, &image, 0, "there and back");
    image_free(&back);
    for (int i = 0; i < 256; i++)
        image.rgb[3 * i + 2] = (unsigned char)i;
    image_to_mask(&image, mask);
    for (int i = 0; i < 256; i++)
        assert_true(mask[i] == (i >= 128 ? 1.0f : 0.0f));
    image_mask_shrink(mask, 64, 4, 2, x);
    for (int i = 0; i < 64; i++)
        assert_true(x[i] == mask[i / 32 * 128 + i % 32 * 2]);
    image_free(&image);
    OK(image_from_floats(ctx, &back, odd, 2, 2));
    for (int i = 0; i < 12; i++)
        assert_int_equal(back.rgb[i % 4 * 3 + i / 4], bytes[i]);
    image_free(&back);
    for (int i = 0; i < 3; i++) {
        const float bad[] = {0, 0, (const float[]){NAN, INFINITY, -INFINITY}[i]};
        FAILS(image_from_floats(ctx, &back, bad, 1, 1), CLIO_ERROR_FORMAT, "not finite");
        assert_null(back.rgb);
    }
}

/* ---- broken files ---- */

static void refused(const char *path, clio_status code, const char *part)
{
    struct image image;
    FAILS(image_read(ctx, &image, path), code, part);
    assert_null(image.rgb);
}

/* A PNG whose header says this size, and that holds next to nothing. */
static const char *put_header(const char *name, uint32_t width, uint32_t height)
{
    unsigned char file[8 + 25 + 24] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    uint32_t fields[2] = {width, height};
    uLong crc;
    for (int i = 0; i < 8; i++)
        file[16 + i] = (unsigned char)(fields[i / 4] >> (24 - 8 * (i % 4)));
    file[24] = 8, file[25] = 2;
    crc = crc32(0, file + 12, 17);
    for (int i = 0; i < 4; i++)
        file[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    memcpy(file + 33, "\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82", 24);
    return put(name, file, sizeof file);
}

static void test_broken(void **state)
{
    struct image image;
    unsigned char *file;
    size_t size;
    (void)state;
    refused(in_folder("absent.png"), CLIO_ERROR_FILE, "no such file");
    refused(folder, CLIO_ERROR_FILE, "is a folder");
    refused(put("zero.png", "", 0), CLIO_ERROR_FORMAT, "zero.png is empty");
    refused(put("text.png", "hello", 5), CLIO_ERROR_FORMAT, "use PNG, JPEG or WebP");
    refused(put("a.png", "GIF89a....", 10), CLIO_ERROR_UNSUPPORTED, "is a GIF file");
    refused(put("b.png", "RIFF\xff\xff\xff\xffWEBPVP8 ", 16), CLIO_ERROR_FORMAT, "b.png is cut short");
    refused(put("b.png", "RIFF\x08\0\0\0WEBPVP8 ", 16), CLIO_ERROR_FORMAT, "is a broken WebP file");
    /* VP8L of 16383 x 16383 pixels, and a VP8X canvas of 2^24 x 2^24, with next to nothing in them */
    refused(put("huge.webp", "RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f\xfe\xbf\xff\x0f\0", 26), CLIO_ERROR_UNSUPPORTED, "16383 x 16383 pixels");
    refused(put("huge.webp",
                "RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff"
                "ANIM\x06\0\0\0\0\0\0\0\0\0",
                44),
            CLIO_ERROR_FORMAT, "is a broken WebP file"); /* more than a canvas can have */
    refused(put("huge.webp",
                "RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\0\x03\0\0"
                "ANIM\x06\0\0\0\0\0\0\0\0\0",
                44),
            CLIO_ERROR_UNSUPPORTED, "65536 x 4 pixels");
    refused(put("c.jpg",
                "\0\0\0\x20"
                "ftypavif....",
                16),
            CLIO_ERROR_UNSUPPORTED, "is an AVIF file");
    refused(put_header("huge.png", 2000000000, 2000000000), CLIO_ERROR_UNSUPPORTED, "2000000000 x 2000000000 pixels");
    refused(put_header("large.png", 30000, 30000), CLIO_ERROR_UNSUPPORTED, "134 million in all");
    refused(put_header("none.png", 0, 4), CLIO_ERROR_FORMAT, "is a broken PNG file");
    refused(put_header("no-data.png", 4, 4), CLIO_ERROR_FORMAT, "no-data.png is");
    file = read_file(golden("source.png"), &size);
    OK(image_read(ctx, &image, put("wrong-name.jpg", file, size)));
    image_free(&image);
    file[60] ^= 1;
    refused(put("crc.png", file, size), CLIO_ERROR_FORMAT, "is a broken PNG file (");
    free(file);
    file = read_file(golden("colour.jpg"), &size);
    OK(image_read(ctx, &image, put("wrong-name.png", file, size)));
    image_free(&image);
    for (size_t i = 2; i + 8 < size; i++) /* the frame header: make it 65500 a side */
        if (file[i] == 0xff && file[i + 1] == 0xc0)
            file[i + 5] = file[i + 7] = 0xff, file[i + 6] = file[i + 8] = 0xdc;
    refused(put("huge.jpg", file, size), CLIO_ERROR_UNSUPPORTED, "65500 x 65500 pixels");
    free(file);
    refused(put("start.jpg", "\xff\xd8\xff\xe0\0\x10JFIF", 10), CLIO_ERROR_FORMAT, "start.jpg is cut short");
    refused(put("none.jpg", "\xff\xd8\xff\xd9", 4), CLIO_ERROR_FORMAT, "is a JPEG file that cannot be read (");
}

/* Whatever is cut off, there is a sentence; whatever byte is changed, there is no crash. */
static void test_damage(void **state)
{
    static const char *const names[] = {"source.png",    "colour.jpg",     "progressive.jpg",     "turned-6.jpg",
                                        "lossy.webp",    "alpha.webp",     "alpha-lossless.webp", "turned-6.webp",
                                        "animated.webp", "parameters.jpg", "parameters.webp"};
    (void)state;
    for (size_t n = 0; n < COUNT(names); n++) {
        size_t size;
        unsigned char *file = read_file(golden(names[n]), &size);
        for (size_t cut = 1; cut < size - 2; cut += 1 + cut / 16) /* a JPEG without its end mark is whole */
            refused(put("cut", file, cut), CLIO_ERROR_FORMAT, cut < 12 ? "cut" : "cut short");
        for (size_t i = 0; i < size; i += 3) {
            struct image image;
            unsigned char kept = file[i];
            file[i] ^= (unsigned char)(1 + next_random() % 255);
            if (!image_read(ctx, &image, put("changed", file, size)))
                assert_non_null(image.rgb);
            image_free(&image);
            if (strstr(names[n], "parameters")) {
                struct metadata metadata;
                if (image_metadata_read(ctx, &metadata, in_folder("changed")))
                    assert_null(metadata.list);
                metadata_free(&metadata);
            }
            file[i] = kept;
        }
        free(file);
    }
}

/* A progressive file of a few hundred bytes per scan can hold thousands of scans. */
static void test_many_scans(void **state)
{
    size_t size, scan = 0;
    unsigned char *file = read_file(golden("progressive.jpg"), &size);
    struct bytes bomb = {NULL, 0, 0};
    (void)state;
    for (size_t i = size - 2; i > 0 && !scan; i--)
        if (file[i] == 0xff && file[i + 1] == 0xda)
            scan = i;
    assert_true(scan > 0);
    OK(bytes_add(ctx, &bomb, file, scan));
    for (int i = 0; i < 300; i++)
        OK(bytes_add(ctx, &bomb, file + scan, size - 2 - scan));
    OK(bytes_add(ctx, &bomb, "\xff\xd9", 2));
    refused(put("bomb.jpg", bomb.data, bomb.size), CLIO_ERROR_UNSUPPORTED, "more than 200 progressive scans");
    bytes_free(&bomb);
    free(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_png_kinds),   TEST(test_jpeg),         TEST(test_webp),
        TEST(test_write_lossy), TEST(test_comments),     TEST(test_orientation_block),
        TEST(test_write),       TEST(test_bad_metadata), TEST(test_unwritable),
        TEST(test_animation),   TEST(test_resize),       TEST(test_numbers),
        TEST(test_broken),      TEST(test_damage),       TEST(test_many_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
