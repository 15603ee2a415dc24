/* test_file_limits.c - small files that would cost much memory are refused with a sentence, or what is too much in them is left out:
 * images, EXIF data, texts of a PNG, IDX files, a text encoder's positions. The budgets of memory themselves are checked by tests/fuzz. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "test_dataset.h"

#include "../../models/image/image_probe.h"

#include <jpeglib.h>
#include <png.h>

/* ---- images ---- */

/* A black PNG of one bit per pixel, `extra` bytes longer by a private chunk. */
static void put_black_png(const char *name, uint32_t width, uint32_t height, size_t extra)
{
    FILE *out = fopen(in_folder(name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    unsigned char *row = calloc(1, width / 8 + 1), *more = calloc(1, extra + 1);
    assert_true(out && row && more);
    png_init_io(png, out);
    png_set_IHDR(png, info, width, height, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    if (extra)
        png_write_chunk(png, (png_const_bytep) "clIo", more, extra);
    for (uint32_t y = 0; y < height; y++)
        png_write_row(png, row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(out);
    free(row);
    free(more);
}

/* 16,777,216 pixels are read from any file, one row more only from a file with a byte for 64 of them. */
static void images_fit_their_file(void **state)
{
    struct image image;
    int width, height;
    (void)state;
    put_black_png("small.png", 4096, 4096, 0);
    OK(image_read(ctx, &image, in_folder("small.png")));
    image_free(&image);
    put_black_png("large.png", 4096, 4097, 0);
    FAILS(image_read(ctx, &image, in_folder("large.png")), CLIO_ERROR_UNSUPPORTED, "4096 x 4097 pixels in ");
    assert_null(image.rgb);
    FAILS(image_probe(ctx, in_folder("large.png"), &width, &height), CLIO_ERROR_UNSUPPORTED, "an almost empty image");
    put_black_png("large.png", 4096, 4097, 4096 * 4097 / 64);
    OK(image_probe(ctx, in_folder("large.png"), &width, &height));
    OK(image_read(ctx, &image, in_folder("large.png")));
    assert_int_equal(image.height, 4097);
    image_free(&image);
    assert_true(image_may_hold(0, 4096, 4096) && !image_may_hold(262208 - 1, 4097, 4096) && image_may_hold(262208, 4097, 4096));
    assert_true(!image_may_hold(SIZE_MAX, 32769, 1) && !image_may_hold(SIZE_MAX, 32768, 4097));
}

/* Texts of 4 million bytes each, which a few thousand bytes unpack to. */
static void put_texts(const char *name, int count)
{
    enum { LENGTH = 4000000 };
    FILE *out = fopen(in_folder(name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    char *text = malloc(LENGTH + 1), key[] = "a";
    assert_true(out && text);
    memset(text, 'x', LENGTH);
    text[LENGTH] = 0;
    png_init_io(png, out);
    png_set_IHDR(png, info, 1, 1, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    for (int i = 0; i < count; i++)
        png_set_text(png, info, &(png_text){.compression = PNG_TEXT_COMPRESSION_zTXt, .key = key, .text = text, .text_length = LENGTH}, 1);
    png_write_info(png, info);
    png_write_row(png, (png_const_bytep) "x");
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(out);
    free(text);
}

/* The first texts are kept, up to a total, and the image is read. */
static void texts_of_a_png_have_a_total(void **state)
{
    struct metadata metadata;
    struct image image;
    (void)state;
    put_texts("few.png", 2);
    OK(image_metadata_read(ctx, &metadata, in_folder("few.png")));
    assert_int_equal(metadata.count, 2);
    assert_int_equal(strlen(metadata.list[1].text), 4000000);
    metadata_free(&metadata);
    put_texts("many.png", 40);
    OK(image_metadata_read(ctx, &metadata, in_folder("many.png")));
    assert_in_range(metadata.count, 2, 4);
    metadata_free(&metadata);
    OK(image_read(ctx, &image, in_folder("many.png")));
    image_free(&image);
}

static void add_short(unsigned char **at, unsigned value)
{
    *(*at)++ = (unsigned char)value;
    *(*at)++ = (unsigned char)(value >> 8);
}

static void add_entry(unsigned char **at, unsigned tag, unsigned format, unsigned count, unsigned value)
{
    add_short(at, tag);
    add_short(at, format);
    add_short(at, count & 0xffff);
    add_short(at, count >> 16);
    add_short(at, value & 0xffff);
    add_short(at, value >> 16);
}

/* The orientation of EXIF data with `entries` entries that all point to the same 40,000 bytes, and behind them, or before them, that of the
 * orientation, which says 6. */
static int orientation_of(unsigned entries, bool is_first)
{
    enum { BYTES = 40000 };
    size_t size = 14 + 12 * ((size_t)entries + 1) + 6 + BYTES;
    unsigned char *exif = calloc(1, size), *at;
    assert_non_null(exif);
    at = (unsigned char *)memcpy(exif, "Exif\0\0II*\0\10\0\0\0", 14) + 14;
    add_short(&at, entries + 1);
    for (unsigned i = 0; i < entries + 1; i++)
        if (i == (is_first ? 0 : entries))
            add_entry(&at, 0x112, 3, 1, 6);
        else
            add_entry(&at, 0x10e + i % 2, 2, BYTES, 100);
    int orientation = image_exif_orientation(exif, size);
    free(exif);
    return orientation;
}

/* 40 MB: what comes before them is read, what comes behind them is not. */
static void entries_of_exif_data_have_a_total(void **state)
{
    (void)state;
    assert_int_equal(orientation_of(100, true), 6);
    assert_int_equal(orientation_of(100, false), 6);
    assert_int_equal(orientation_of(1000, true), 6);
    assert_int_equal(orientation_of(1000, false), 1);
}

/* A progressive JPEG with a scan for each coefficient. */
static void put_scans(const char *name, unsigned side)
{
    FILE *out = fopen(in_folder(name), "wb");
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg_scan_info scans[64];
    unsigned char *row = calloc(1, side);
    assert_true(out && row);
    for (int i = 0; i < 64; i++)
        scans[i] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = i, .Se = i};
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, out);
    jpeg.image_width = jpeg.image_height = side;
    jpeg.input_components = 1;
    jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg.scan_info = scans;
    jpeg.num_scans = COUNT(scans);
    jpeg_start_compress(&jpeg, TRUE);
    for (unsigned y = 0; y < side; y++)
        jpeg_write_scanlines(&jpeg, &row, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(out);
    free(row);
}

/* Each scan is another pass over the whole image. */
static void scans_of_a_jpeg_have_a_total(void **state)
{
    struct image image;
    (void)state;
    put_scans("small.jpg", 2000); /* 64 times 4 million pixels */
    OK(image_read(ctx, &image, in_folder("small.jpg")));
    image_free(&image);
    put_scans("large.jpg", 2100);
    FAILS(image_read(ctx, &image, in_folder("large.jpg")), CLIO_ERROR_UNSUPPORTED, "more than 24 progressive scans");
}

/* ---- IDX ---- */

#define IMAGES "train-images-idx3-ubyte"

/* `count` images of a value each. */
static void put_flat_idx(const char *name, uint32_t count, uint32_t side, bool is_compressed)
{
    unsigned char head[16] = {0, 0, 8, 3}, *image = calloc(side, side);
    const uint32_t sizes[] = {count, side, side};
    gzFile out = gzopen(in_folder(name), is_compressed ? "wb" : "wbT");
    assert_true(out && image);
    for (int i = 0; i < 12; i++)
        head[4 + i] = (unsigned char)(sizes[i / 4] >> (24 - i % 4 * 8));
    assert_int_equal(gzwrite(out, head, sizeof head), sizeof head);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(gzwrite(out, image, side * side), side * side);
    assert_int_equal(gzclose(out), Z_OK);
    free(image);
}

static void idx_files_have_a_ratio(void **state)
{
    struct dataset *ds;
    (void)state;
    put_flat_idx(IMAGES ".gz", 1000, 200, true); /* 40 MB */
    OK(dataset_open(ctx, &ds, folder, NULL));
    dataset_close(ds);
    put_flat_idx(IMAGES ".gz", 1400, 200, true); /* 56 MB in 60 KB */
    FAILS(dataset_open(ctx, &ds, folder, NULL), CLIO_ERROR_UNSUPPORTED, "unpack it with gunzip");
    put_flat_idx(IMAGES, 1400, 200, false); /* as gunzip gives it; it is preferred */
    OK(dataset_open(ctx, &ds, folder, NULL));
    assert_int_equal(dataset_info(ds)->count[DATASET_TRAIN], 1400);
    dataset_close(ds);
    put_flat_idx(IMAGES, 200000, 1, false);
    FAILS(dataset_open(ctx, &ds, folder, NULL), CLIO_ERROR_UNSUPPORTED, "200000 images of only 1 x 1 pixels");
}

/* ---- a model ---- */

static void link_from(const char *model, const char *name)
{
    char target[1100];
    snprintf(target, sizeof target, "%s/%s", model, name);
    assert_int_equal(symlink(target, in_folder(name)), 0);
}

/* A configuration of 500 bytes made prompts of 250 million tokens. */
static void positions_of_a_text_encoder_are_bounded(void **state)
{
    static const char config[] =
        "{\"model_type\": \"clip_text_model\", \"hidden_size\": 32, \"intermediate_size\": 64, \"num_hidden_layers\": 3,"
        "\"num_attention_heads\": 4, \"max_position_embeddings\": %d}";
    const char *parts[] = {"model_index.json", "scheduler", "tokenizer", "unet", "vae", "text_encoder/model.safetensors"};
    const char *found = test_golden("sd-v1-tiny");
    char model[1024], text[512];
    clio_diffusion *diffusion;
    (void)state;
    if (!found)
        skip();
    assert_non_null(realpath(found, model));
    make_folders("text_encoder");
    for (size_t i = 0; i < COUNT(parts); i++)
        link_from(model, parts[i]);
    OK(clio_device_open(ctx, NULL));
    snprintf(text, sizeof text, config, 77);
    put_text("text_encoder/config.json", text);
    OK(clio_diffusion_load(ctx, folder, NULL, &diffusion));
    clio_diffusion_free(diffusion);
    snprintf(text, sizeof text, config, 250000000);
    put_text("text_encoder/config.json", text);
    FAILS(clio_diffusion_load(ctx, folder, NULL, &diffusion), CLIO_ERROR_FORMAT, "\"max_position_embeddings\" is 250000000");
    assert_null(diffusion);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(images_fit_their_file),        EACH(texts_of_a_png_have_a_total), EACH(entries_of_exif_data_have_a_total),
        EACH(scans_of_a_jpeg_have_a_total), EACH(idx_files_have_a_ratio),      EACH(positions_of_a_text_encoder_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
