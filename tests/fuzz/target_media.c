/* target_media.c - fuzz targets: sound files, image files with their metadata, EXIF data. */
#include "fuzz.h"

#include "../../audio/sound.h"
#include "../../models/image/image.h"
#include "../../models/image/image_probe.h"

#include <math.h>

#define WINDOW 16000

void fuzz_sound(const uint8_t *data, size_t size)
{
    static float out[WINDOW];
    struct sound *s = NULL;
    size_t got = 0;
    fuzz_put("sound", data, size);
    clio_status st = sound_open(fuzz_ctx, &s, in_folder("sound"), WINDOW);
    fuzz_check(st);
    for (uint64_t at = 0; !st && at < 10 * WINDOW; at += WINDOW) {
        st = sound_read(s, at, WINDOW, out, &got);
        fuzz_check(st);
        for (size_t i = 0; i < WINDOW; i++)
            assert_true(isfinite(out[i]));
        if (got < WINDOW)
            break;
    }
    if (s)
        assert_true(sound_duration(s) >= 0);
    sound_close(s);
}

static void check_metadata(const struct metadata *metadata)
{
    for (size_t i = 0; i < metadata->count; i++)
        assert_true(text_is_utf8(metadata->list[i].key) && text_is_utf8(metadata->list[i].text));
}

void fuzz_image(const uint8_t *data, size_t size)
{
    struct image image, small;
    struct metadata metadata;
    int width = 0, height = 0;
    fuzz_put("image", data, size);
    const char *path = in_folder("image");
    clio_status st = image_read(fuzz_ctx, &image, path), probed = image_probe(fuzz_ctx, path, &width, &height);
    fuzz_check(st);
    fuzz_check(probed);
    if (!st && !probed)
        assert_true(width == image.width && height == image.height);
    if (!st && (size_t)image.width * (size_t)image.height < 1 << 16 && !image_resize(fuzz_ctx, &small, &image, 7, 5))
        image_free(&small);
    image_free(&image);
    st = image_metadata_read(fuzz_ctx, &metadata, path);
    fuzz_check(st);
    check_metadata(&metadata);
    metadata_free(&metadata);
}

void fuzz_exif(const uint8_t *data, size_t size)
{
    struct metadata metadata = {0};
    int orientation = image_exif_orientation(data, size);
    assert_in_range(orientation, 1, 8);
    fuzz_check(image_exif_comment(fuzz_ctx, &metadata, data, size));
    check_metadata(&metadata);
    metadata_free(&metadata);
}
