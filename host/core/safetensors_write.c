/* safetensors_write.c - see safetensors_writer.h. */
#include "safetensors_write.h"

#include <stdlib.h>
#include <string.h>

clio_status safetensors_writer_open(clio_context *ctx, struct safetensors_writer *out)
{
    clio_status st = CLIO_OK;
    *out = (struct safetensors_writer){.header = json_object()};
    if (!out->header)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
fail:
    return st;
}

clio_status safetensors_writer_add(clio_context *ctx, struct safetensors_writer *out, const char *name, int ndim, const int *dim,
                                   const float *data)
{
    clio_status st = CLIO_OK;
    json_t *shape = json_array(), *entry = NULL;
    size_t count = 1, start = out->data.size;
    for (int i = 0; i < ndim; i++) {
        count *= (size_t)dim[i];
        json_array_append_new(shape, json_integer(dim[i]));
    }
    TRY(bytes_add(ctx, &out->data, data, count * sizeof *data));
    entry = json_pack("{s:s,s:O,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)start, (json_int_t)out->data.size);
    if (json_object_get(out->header, name))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "tensor %s is written twice", name);
    if (!entry || json_object_set(out->header, name, entry))
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
fail:
    json_decref(entry);
    json_decref(shape);
    return st;
}

clio_status safetensors_writer_metadata(clio_context *ctx, struct safetensors_writer *out, const char *key, const char *text)
{
    clio_status st = CLIO_OK;
    json_t *notes = json_object_get(out->header, "__metadata__");
    if (!notes && (!(notes = json_object()) || json_object_set_new(out->header, "__metadata__", notes)))
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    if (json_object_set_new(notes, key, json_string(text)))
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
fail:
    return st;
}

clio_status safetensors_writer_save(clio_context *ctx, struct safetensors_writer *out, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_out file = {0};
    struct bytes header = {0};
    unsigned char length[8];
    char *text = json_dumps(out->header, JSON_COMPACT);
    if (!text)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
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
