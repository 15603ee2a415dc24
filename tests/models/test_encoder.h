/* test_encoder.h - what tests of learners with captions share: the golden pipeline's text encoder, and one like it with a projection. */
#ifndef CLIO_TEST_ENCODER_H
#define CLIO_TEST_ENCODER_H

#include "../support/folder.h"
#include "../support/test.h"

#include "../../models/loaders/model_folder.h"
#include "../../host/core/safetensors_write.h"

#define ENCODER_WIDTH 32
#define ENCODER_PROJECTION 24

/* The golden pipeline's folder, or NULL. */
static inline const char *pipeline(void)
{
    static char path[512];
    const char *found = test_golden("sd-v1-tiny");
    snprintf(path, sizeof path, "%s", found ? found : "");
    return found ? path : NULL;
}

/* The golden encoder with a projection [ENCODER_PROJECTION, ENCODER_WIDTH], its keys behind `prefix`, as the folder encoder in the
 * temporary one; all else as it is. */
static inline void write_encoder(const char *prefix, const float *projection)
{
    clio_context *ctx = test_context();
    struct weights from = {0};
    struct safetensors_writer out = {0};
    char path[600], name[200];
    size_t size;
    assert_ok(file_make_folder(ctx, in_folder("encoder")));
    snprintf(path, sizeof path, "%s/text_encoder", pipeline());
    assert_ok(folder_weights(ctx, path, "model", NULL, &from));
    assert_ok(safetensors_writer_open(ctx, &out));
    for (size_t i = 0; i < from.count; i++) {
        const struct weight *w = &from.list[i];
        float *data = malloc(w->count * sizeof *data);
        assert_non_null(data);
        assert_ok(weight_floats(ctx, w, 0, w->count, data));
        snprintf(name, sizeof name, "%s%s", prefix, w->name);
        assert_ok(safetensors_writer_add(ctx, &out, name, w->ndim, w->dim, data));
        free(data);
    }
    assert_ok(safetensors_writer_add(ctx, &out, "text_projection.weight", 2, (int[]){ENCODER_PROJECTION, ENCODER_WIDTH}, projection));
    assert_ok(safetensors_writer_save(ctx, &out, in_folder("encoder/model.safetensors")));
    snprintf(path, sizeof path, "%s/text_encoder/config.json", pipeline());
    char *config = read_file(path, &size);
    write_file(in_folder("encoder/config.json"), config, size);
    free(config);
    safetensors_writer_close(&out);
    weights_close(&from);
}

#endif
