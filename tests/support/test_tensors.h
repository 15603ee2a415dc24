/* test_tensors.h - safetensors files made by tests: a list of named tensors, written in one go. Include after test_own.h. */
#ifndef CLIO_TEST_TENSORS_H
#define CLIO_TEST_TENSORS_H

#include <jansson.h>

struct made {
    json_t *header;
    struct bytes data;
};

static inline void made_start(struct made *m)
{
    m->header = json_object();
    m->data = (struct bytes){NULL, 0, 0};
}

/* dtype: the format's name ("F32"). */
static inline void made_add(struct made *m, const char *name, const char *dtype, int ndim, const int *dim, const void *data, size_t size)
{
    json_t *shape = json_array();
    for (int i = 0; i < ndim; i++)
        json_array_append_new(shape, json_integer(dim[i]));
    if (json_object_get(m->header, name))
        fail_msg("%s is made twice", name);
    json_object_set_new(m->header, name,
                        json_pack("{s:s,s:o,s:[I,I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)m->data.size,
                                  (json_int_t)(m->data.size + size)));
    OK(bytes_add(ctx, &m->data, data, size));
}

static inline void made_floats(struct made *m, const char *name, int ndim, const int *dim, const float *data)
{
    size_t count = 1;
    for (int i = 0; i < ndim; i++)
        count *= (size_t)dim[i];
    made_add(m, name, "F32", ndim, dim, data, count * sizeof *data);
}

/* A tensor that was read, under another name. */
static inline void made_copy(struct made *m, const char *name, const struct weight *w)
{
    unsigned char *bytes = test_bytes(w);
    made_add(m, name,
             w->dtype == DTYPE_F32   ? "F32"
             : w->dtype == DTYPE_F16 ? "F16"
                                     : "BF16",
             w->ndim, w->dim, bytes, w->count * dtype_size(w->dtype));
    free(bytes);
}

static inline void made_note(struct made *m, const char *key, const char *text)
{
    json_t *notes = json_object_get(m->header, "__metadata__");
    if (!notes) {
        notes = json_object();
        json_object_set_new(m->header, "__metadata__", notes);
    }
    json_object_set_new(notes, key, json_string(text));
}

/* Write it to `path`; the list stays, to be changed and written again, until made_free. */
static inline void made_write(const struct made *m, const char *path)
{
    char *text = json_dumps(m->header, JSON_COMPACT);
    unsigned char length[8];
    FILE *f = fopen(path, "wb");
    assert_true(f && text);
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(strlen(text) >> 8 * i);
    assert_int_equal(fwrite(length, 1, 8, f), 8);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    if (m->data.size)
        assert_int_equal(fwrite(m->data.data, 1, m->data.size, f), m->data.size);
    assert_int_equal(fclose(f), 0);
    free(text);
}

static inline void made_free(struct made *m)
{
    json_decref(m->header);
    bytes_free(&m->data);
}

#endif
