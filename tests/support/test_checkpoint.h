/* test_checkpoint.h - the tensors of test_tensors.h as a file of torch.save, {"state_dict": {...}} in the legacy form. Include after it. */
#ifndef CLIO_TEST_CHECKPOINT_H
#define CLIO_TEST_CHECKPOINT_H

static inline void save_text(struct bytes *to, const char *text)
{
    uint32_t size = (uint32_t)strlen(text);
    OK(bytes_add(ctx, to, "X", 1));
    OK(bytes_add(ctx, to, &size, sizeof size));
    OK(bytes_add(ctx, to, text, size));
}

static inline void save_integer(struct bytes *to, long long number)
{
    int32_t bits = (int32_t)number;
    OK(bytes_add(ctx, to, "J", 1));
    OK(bytes_add(ctx, to, &bits, sizeof bits));
}

/* A tuple of sizes, and one of the strides of a tensor in order. */
static inline void save_shape(struct bytes *to, const json_t *shape)
{
    size_t n = json_array_size(shape);
    OK(bytes_add(ctx, to, "(", 1));
    for (size_t i = 0; i < n; i++)
        save_integer(to, json_integer_value(json_array_get(shape, i)));
    OK(bytes_print(ctx, to, "t("));
    for (size_t i = 0; i < n; i++) {
        long long stride = 1;
        for (size_t k = i + 1; k < n; k++)
            stride *= json_integer_value(json_array_get(shape, k));
        save_integer(to, stride);
    }
    OK(bytes_print(ctx, to, "t"));
}

/* The program of a tensor; its storage's key is its number; *unit: bytes of an element. */
static inline void save_tensor(struct bytes *to, const json_t *entry, int number, size_t size, size_t *unit)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    char key[16];
    *unit = strcmp(dtype, "F32") ? 2 : 4;
    snprintf(key, sizeof key, "%d", number);
    OK(bytes_print(ctx, to, "ctorch._utils\n_rebuild_tensor_v2\n(("));
    save_text(to, "storage");
    OK(bytes_print(ctx, to, "ctorch\n%sStorage\n", *unit == 4 ? "Float" : strcmp(dtype, "F16") ? "BFloat16" : "Half"));
    save_text(to, key);
    save_text(to, "cpu");
    save_integer(to, (long long)(size / *unit));
    OK(bytes_print(ctx, to, "tQ"));
    save_integer(to, 0);
    save_shape(to, json_object_get(entry, "shape"));
    OK(bytes_print(ctx, to,
                   "\x89"
                   "ccollections\nOrderedDict\n)RtR"));
}

static inline void made_save(const struct made *m, const char *path)
{
    struct bytes program = {0}, keys = {0}, numbers = {0};
    const char *name;
    json_t *entry;
    char key[16];
    int number = 0;
    OK(bytes_print(ctx, &program,
                   "\x80\2\x8a\nl\xfc\x9c"
                   "F\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}"));
    save_text(&program, "little_endian");
    OK(bytes_print(ctx, &program, "\x88s.\x80\2}"));
    save_text(&program, "state_dict");
    OK(bytes_print(ctx, &program, "}("));
    json_object_foreach(m->header, name, entry)
    {
        const json_t *offsets = json_object_get(entry, "data_offsets");
        uint64_t from = (uint64_t)json_integer_value(json_array_get(offsets, 0)),
                 to = (uint64_t)json_integer_value(json_array_get(offsets, 1)), count;
        size_t unit;
        if (!offsets)
            continue;
        save_text(&program, name);
        save_tensor(&program, entry, number, (size_t)(to - from), &unit);
        snprintf(key, sizeof key, "%d", number++);
        save_text(&keys, key);
        count = (to - from) / unit;
        OK(bytes_add(ctx, &numbers, &count, sizeof count));
        OK(bytes_add(ctx, &numbers, m->data.data + from, (size_t)(to - from)));
    }
    OK(bytes_print(ctx, &program, "us.\x80\2]("));
    OK(bytes_add(ctx, &program, keys.data, keys.size));
    OK(bytes_print(ctx, &program, "e."));
    OK(bytes_add(ctx, &program, numbers.data, numbers.size));
    write_file(path, program.data, program.size);
    bytes_free(&program);
    bytes_free(&keys);
    bytes_free(&numbers);
}

#endif
