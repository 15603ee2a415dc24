/* safetensors_write.c - see safetensors_write.h. */
#include "safetensors_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

clio_status safetensors_writer_open(clio_context *ctx, struct safetensors_writer *out)
{
    clio_status st = CLIO_OK;
    *out = (struct safetensors_writer){0};
    TRY(json_made(ctx, &out->header, json_object()));
fail:
    return st;
}

clio_status safetensors_writer_add(clio_context *ctx, struct safetensors_writer *out, const char *name, int ndim, const int *dim,
                                   const float *data)
{
    clio_status st = CLIO_OK;
    json_t *shape = NULL;
    size_t count = 1, start = out->data.size;
    TRY(json_made(ctx, &shape, json_array()));
    for (int i = 0; i < ndim; i++) {
        count *= (size_t)dim[i];
        TRY(json_append(ctx, shape, json_integer(dim[i])));
    }
    for (size_t i = 0; i < count; i++)
        if (!isfinite(data[i]))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "tensor %s has a value that is not finite (element %zu of %zu), and is not written: lower the learning rate, or check the "
                 "model that it came from",
                 name, i, count);
    if (json_object_get(out->header, name))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "tensor %s is written twice", name);
    TRY(bytes_add(ctx, &out->data, data, count * sizeof *data));
    TRY(json_put(
        ctx, out->header, name,
        json_pack("{s:s,s:O,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)start, (json_int_t)out->data.size)));
fail:
    json_decref(shape);
    return st;
}

clio_status safetensors_writer_metadata(clio_context *ctx, struct safetensors_writer *out, const char *key, const char *text)
{
    clio_status st = CLIO_OK;
    if (!json_object_get(out->header, "__metadata__"))
        TRY(json_put(ctx, out->header, "__metadata__", json_object()));
    TRY(json_put_name(ctx, json_object_get(out->header, "__metadata__"), key, text));
fail:
    return st;
}

clio_status safetensors_writer_save(clio_context *ctx, struct safetensors_writer *out, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_out file = {0};
    struct bytes header = {0};
    unsigned char length[8];
    char *text = NULL;
    TRY(json_format(ctx, out->header, JSON_COMPACT, &text));
    TRY(bytes_add(ctx, &header, text, strlen(text)));
    while (header.size % 8) /* numbers begin where a processor likes to read them */
        TRY(bytes_add(ctx, &header, " ", 1));
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.size >> 8 * i);
    TRY(file_out_open(ctx, &file, path));
    TRY(file_out_write(ctx, &file, length, sizeof length));
    TRY(file_out_write(ctx, &file, header.data, header.size));
    TRY(file_out_write(ctx, &file, out->data.data, out->data.size));
    TRY(file_out_commit(ctx, &file));
fail:
    file_out_abandon(&file);
    bytes_free(&header);
    free(text);
    return st;
}

void safetensors_writer_close(struct safetensors_writer *out)
{
    json_decref(out->header);
    bytes_free(&out->data);
    *out = (struct safetensors_writer){0};
}
