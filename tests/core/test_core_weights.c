/* test_core_weights.c - safetensors: the golden checkpoint, hand-made good files, and every way a file can be broken. Needs no device. */
#include "../support/test_own.h"

#include "../../host/core/weights.h"

#include <math.h>

/* check of test_own.h, saying what it was about */
static void check_about(clio_status got, clio_status want, const char *part, const char *about, int line)
{
    if (got == want && (!got || strstr(clio_error(ctx), part)))
        return;
    fail_msg("line %d%s%s: expected %s with \"%s\", got %s: %s", line, *about ? ", " : "", about, clio_status_name(want), part,
             clio_status_name(got), got ? clio_error(ctx) : "");
}
/* A safetensors file of this header, saying that it has `length` bytes, with `size` bytes of data. Its size is returned. */
static size_t build(unsigned char *file, uint64_t length, const char *header, const void *data, size_t size)
{
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(length >> (8 * i));
    memcpy(file + 8, header, strlen(header));
    if (size)
        memcpy(file + 8 + strlen(header), data, size);
    return 8 + strlen(header) + size;
}

static const char *put_tensors(const char *name, const char *header, const void *data, size_t size)
{
    unsigned char file[4096];
    assert_true(strlen(header) + size + 8 <= sizeof file);
    return put(name, file, build(file, strlen(header), header, data, size));
}

static const char *const good_header =
    "{\"__metadata__\":{\"format\":\"pt\"},\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
    "\"f\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[3,15]},\"h\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[15,19]},"
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[19,23]},\"n\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[23,27]},"
    "\"z\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[27,27]},\"i\":{\"dtype\":\"I16\",\"shape\":[4],\"data_offsets\":[27,35]},"
    "\"five\":{\"dtype\":\"F16\",\"shape\":[1,1,1,1,1],\"data_offsets\":[35,37]}}   ";
#define GOOD_SIZE 37

/* The bytes of good_header's tensors; the odd start of all but the first is on purpose. */
static void good_data(unsigned char data[GOOD_SIZE])
{
    static const float f[3] = {1.5f, -2.0f, 3e-20f};
    static const uint16_t h[2] = {0x3c00, 0xc580}, b[2] = {0x3fc0, 0xff80}; /* 1, -5.5; 1.5, -infinity */
    static const int32_t n = -7;
    memset(data, 0, GOOD_SIZE);
    data[0] = 1, data[1] = 200, data[2] = 255;
    memcpy(data + 3, f, 12);
    memcpy(data + 15, h, 4);
    memcpy(data + 19, b, 4);
    memcpy(data + 23, &n, 4);
}

static const char *put_good(const char *name)
{
    unsigned char data[GOOD_SIZE];
    good_data(data);
    return put_tensors(name, good_header, data, sizeof data);
}

static void holds(const struct weights *w, const char *name, const float *want, size_t n)
{
    const struct weight *found = weights_find(w, name);
    float x[4] = {0};
    assert_non_null(found);
    assert_null(found->problem);
    assert_int_equal(found->count, n);
    OK(weight_floats(ctx, found, 0, n, x));
    for (size_t i = 0; i < n; i++)
        if (x[i] != want[i])
            fail_msg("%s[%zu] is %g, expected %g", name, i, (double)x[i], (double)want[i]);
}

static void test_good(void **state)
{
    struct weights w;
    const struct weight *one;
    float x[2];
    (void)state;
    OK(weights_open(ctx, &w, put_good("good.safetensors"), "model"));
    assert_int_equal(w.count, 8);
    holds(&w, "u", (const float[]){1, 200, 255}, 3);
    holds(&w, "f", (const float[]){1.5f, -2.0f, 3e-20f}, 3);
    holds(&w, "h", (const float[]){1, -5.5f}, 2);
    holds(&w, "b", (const float[]){1.5f, -INFINITY}, 2);
    holds(&w, "n", (const float[]){-7}, 1);
    holds(&w, "z", NULL, 0);
    assert_int_equal(weights_find(&w, "n")->ndim, 0);
    assert_null(weights_find(&w, "__metadata__"));
    assert_null(weights_find(&w, "g"));
    OK(weights_need(ctx, &w, "f", 2, (const int[]){1, 3}, &one));
    OK(weight_floats(ctx, one, 1, 1, x));
    assert_true(x[0] == -2.0f);
    OK(weights_need(ctx, &w, "z", 2, (const int[]){0, 7}, &one));
    OK(weight_floats(ctx, weights_find(&w, "i"), 0, 2, x)); /* what cannot be read is not made up */
    assert_true(isnan(x[0]) && isnan(x[1]));
    weights_close(&w);
    weights_close(&w);
}

/* Types of files that no device has. */
static void test_storage_types(void **state)
{
    static const char header[] = "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,4],\"data_offsets\":[0,8]},"
                                 "\"b\":{\"dtype\":\"F8_E5M2\",\"shape\":[6],\"data_offsets\":[8,14]},"
                                 "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[14,30]},"
                                 "\"i\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[30,46]}}";
    static const unsigned char e4m3[8] = {0x00, 0x01, 0x07, 0x08, 0x38, 0x7e, 0xbc, 0x80}, e5m2[6] = {0x3c, 0x3e, 0x7b, 0x01, 0xc0, 0x7c};
    static const float e4m3_values[8] = {0, 0x1p-9f, 7 * 0x1p-9f, 0x1p-6f, 1, 448, -1.5f, -0.0f};
    static const float e5m2_values[6] = {1, 1.5f, 57344, 0x1p-16f, -2, INFINITY};
    static const double d[2] = {0.1, -1e300};
    static const int64_t i[2] = {-3, (int64_t)1 << 40};
    unsigned char data[46];
    struct weights w;
    const struct weight *one;
    (void)state;
    memcpy(data, e4m3, sizeof e4m3);
    memcpy(data + 8, e5m2, sizeof e5m2);
    memcpy(data + 14, d, sizeof d);
    memcpy(data + 30, i, sizeof i);
    OK(weights_open(ctx, &w, put_tensors("types.safetensors", header, data, sizeof data), ""));
    for (size_t k = 0; k < 8; k++) {
        float x;
        OK(weight_floats(ctx, weights_find(&w, "a"), k, 1, &x));
        if (x != e4m3_values[k] || signbit(x) != signbit(e4m3_values[k]))
            fail_msg("E4M3 0x%02x is %g, expected %g", e4m3[k], (double)x, (double)e4m3_values[k]);
    }
    for (size_t k = 0; k < 6; k++) {
        float x;
        OK(weight_floats(ctx, weights_find(&w, "b"), k, 1, &x));
        if (x != e5m2_values[k])
            fail_msg("E5M2 0x%02x is %g, expected %g", e5m2[k], (double)x, (double)e5m2_values[k]);
    }
    assert_true(isnan(e4m3_to_float(0x7f)) && isnan(e4m3_to_float(0xff)) && isnan(e5m2_to_float(0x7d)));
    holds(&w, "d", (const float[]){0.1f, -INFINITY}, 2);
    holds(&w, "i", (const float[]){-3, 0x1p40f}, 2);
    OK(weights_need(ctx, &w, "a", 2, (const int[]){2, 4}, &one)); /* numbers that a network may have */
    OK(weights_need(ctx, &w, "d", 1, (const int[]){2}, &one));
    FAILS(weights_need(ctx, &w, "i", 1, (const int[]){2}, &one), CLIO_ERROR_UNSUPPORTED, "tensor i is stored as I64 where");
    weights_close(&w);
}

static void test_need(void **state)
{
    struct weights w;
    const struct weight *one;
    (void)state;
    put_good("model.safetensors");
    OK(weights_open(ctx, &w, folder, "model"));
    FAILS(weights_need(ctx, &w, "g", 1, (const int[]){2}, &one), CLIO_ERROR_FORMAT, "/model.safetensors: tensor g is missing: ");
    assert_null(one);
    FAILS(weights_need(ctx, &w, "f", 2, (const int[]){3, 1}, &one), CLIO_ERROR_FORMAT,
          "/model.safetensors: tensor f has shape [1, 3], expected [3, 1]: this is a checkpoint of another model or its config.json does "
          "not");
    FAILS(weights_need(ctx, &w, "f", 1, (const int[]){3}, &one), CLIO_ERROR_FORMAT, "has shape [1, 3], expected [3]");
    FAILS(weights_need(ctx, &w, "b", 4, (const int[]){2, 1, 1, 1}, &one), CLIO_ERROR_FORMAT, "has shape [2], expected [2, 1, 1, 1]");
    FAILS(weights_need(ctx, &w, "i", 1, (const int[]){4}, &one), CLIO_ERROR_UNSUPPORTED,
          "tensor i is stored as I16, which clio does not read: convert the checkpoint to F32, F16 or BF16");
    FAILS(weights_need(ctx, &w, "five", 1, (const int[]){1}, &one), CLIO_ERROR_UNSUPPORTED, "tensor five has more than 4 dimensions");
    FAILS(weights_need(ctx, &w, "n", 0, NULL, &one), CLIO_ERROR_UNSUPPORTED,
          "tensor n is stored as I32 where clio expects F32, F16 or BF16");
    FAILS(weights_need(ctx, &w, "u", 1, (const int[]){3}, &one), CLIO_ERROR_UNSUPPORTED, "tensor u is stored as U8 where");
    weights_close(&w);
    assert_int_equal(unlink(in_folder("model.safetensors")), 0);
}

/* A file cut anywhere, and one with bytes behind it, is refused. */
static void test_truncated(void **state)
{
    struct weights w;
    unsigned char data[GOOD_SIZE], file[1024] = {0};
    size_t size;
    (void)state;
    good_data(data);
    size = build(file, strlen(good_header), good_header, data, sizeof data);
    FAILS(weights_open(ctx, &w, put("cut.safetensors", file, 0), "model"), CLIO_ERROR_FORMAT, "cut.safetensors is empty");
    for (size_t n = 1; n < size; n++) {
        check_about(weights_open(ctx, &w, put("cut.safetensors", file, n), "model"), CLIO_ERROR_FORMAT,
                    "cut.safetensors is cut short: ", n < 8 ? "within the length" : "behind it", __LINE__);
        assert_null(w.list);
        assert_null(w.files);
    }
    FAILS(weights_open(ctx, &w, put("cut.safetensors", file, 7), "model"), CLIO_ERROR_FORMAT, "it has 7 bytes");
    FAILS(weights_open(ctx, &w, put("cut.safetensors", file, 8), "model"), CLIO_ERROR_FORMAT, "its header has ");
    FAILS(weights_open(ctx, &w, put("cut.safetensors", file, size - 1), "model"), CLIO_ERROR_FORMAT,
          "tensor five ends at byte 37 of the data");
    FAILS(weights_open(ctx, &w, put("cut.safetensors", file, size + 5), "model"), CLIO_ERROR_FORMAT,
          "the last 5 bytes belong to no tensor");
    OK(weights_open(ctx, &w, put("cut.safetensors", file, size), "model"));
    weights_close(&w);
}

/* A file that another program cuts short after it was opened: an error, not a signal. */
static void test_cut_while_open(void **state)
{
    struct weights w;
    struct stat info;
    float x[3];
    (void)state;
    put_good("late.safetensors");
    OK(weights_open(ctx, &w, in_folder("late.safetensors"), "model"));
    assert_int_equal(stat(in_folder("late.safetensors"), &info), 0);
    assert_int_equal(truncate(in_folder("late.safetensors"), info.st_size - GOOD_SIZE), 0);
    FAILS(weight_floats(ctx, weights_find(&w, "f"), 0, 3, x), CLIO_ERROR_FORMAT, "/late.safetensors was cut short while it was read");
    weights_close(&w);
}

static void test_header_length(void **state)
{
    static const uint64_t absurd[] = {100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, (uint64_t)1 << 32};
    struct weights w;
    unsigned char file[256];
    (void)state;
    for (size_t i = 0; i < COUNT(absurd); i++)
        FAILS(weights_open(ctx, &w, put("length.safetensors", file, build(file, absurd[i], "{}", NULL, 0)), "model"), CLIO_ERROR_FORMAT,
              "is not a safetensors file: its header would have ");
    FAILS(weights_open(ctx, &w, put("length.safetensors", file, build(file, 100000000, "{}", NULL, 0)), "model"), CLIO_ERROR_FORMAT,
          "is cut short: its header has 100000000 bytes");
    FAILS(weights_open(ctx, &w, put("length.safetensors", file, build(file, 3, "{}", NULL, 0)), "model"), CLIO_ERROR_FORMAT,
          "is cut short: its header has 3 bytes");
    FAILS(weights_open(ctx, &w, put("length.safetensors", file, build(file, 1, "{}", NULL, 0)), "model"), CLIO_ERROR_FORMAT,
          "is not valid JSON");
    FAILS(weights_open(ctx, &w, put("length.safetensors", file, build(file, 0, "", NULL, 0)), "model"), CLIO_ERROR_FORMAT,
          "is not valid JSON");
    OK(weights_open(ctx, &w, put("length.safetensors", file, build(file, 2, "{}", NULL, 0)), "model")); /* no tensors: sound, if useless */
    assert_int_equal(w.count, 0);
    weights_close(&w);
    /* A header of 640 bytes begins as a pickle of protocol 2 does. */
    unsigned char wide[700];
    memset(wide, ' ', sizeof wide);
    memcpy(wide, "\x80\2\0\0\0\0\0\0{}", 10);
    OK(weights_open(ctx, &w, put("wide.safetensors", wide, 648), "model"));
    assert_int_equal(w.count, 0);
    weights_close(&w);
}

#define ENTRY(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define F32 "\"F32\""

static void test_broken_entries(void **state)
{
    static const struct {
        const char *header, *part; /* with 16 bytes of data */
        clio_status code;
    } cases[] = {
        {"[1]", "the header does not contain a JSON object", CLIO_ERROR_FORMAT},
        {"{\"a\":", "the header is not valid JSON", CLIO_ERROR_FORMAT},
        {"{\"a\":{\"dtype\":\"\xff\xfe\"}}", "the header is not valid JSON", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[2]", "[0,8]") "," ENTRY("a", F32, "[2]", "[8,16]") "}", "duplicate", CLIO_ERROR_FORMAT},
        {"{\"a\":7}", "tensor a has no description", CLIO_ERROR_FORMAT},
        {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", "tensor a has no type", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", "7", "[4]", "[0,16]") "}", "tensor a has no type", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", "\"F33\"", "[4]", "[0,16]") "}", "tensor a has the type F33, which safetensors does not know",
         CLIO_ERROR_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", "tensor a has no shape", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "4", "[0,16]") "}", "tensor a has no shape", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[-4]", "[0,16]") "}", "tensor a has a dimension that is not", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[-2,-2]", "[0,16]") "}", "tensor a has a dimension that is not", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4.0]", "[0,16]") "}", "tensor a has a dimension that is not", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[\"4\"]", "[0,16]") "}", "tensor a has a dimension that is not", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[99999999999999999999]", "[0,16]") "}", "the header is not valid JSON", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[9223372036854775807]", "[0,16]") "}", "tensor a is larger than any memory", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4294967296,4294967296,4]", "[0,16]") "}", "tensor a is larger than any memory", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4611686018427387904,4,1]", "[0,0]") "}", "tensor a is larger than any memory", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[1000000000]", "[0,16]") "}", "tensor a needs 4000000000 bytes by its shape and type F32 but has 16",
         CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[3]", "[0,16]") "}", "tensor a needs 12 bytes by its shape and type F32 but has 16", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", "\"F16\"", "[4]", "[0,16]") "}", "tensor a needs 8 bytes by its shape and type F16 but has 16", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", "\"I64\"", "[4]", "[0,16]") "}", "tensor a needs 32 bytes by its shape and type I64 but has 16", CLIO_ERROR_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", "tensor a has no valid data_offsets", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[0]") "}", "tensor a has no valid data_offsets", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[0,16,16]") "}", "tensor a has no valid data_offsets", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[16,0]") "}", "tensor a has no valid data_offsets", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[-8,8]") "}", "tensor a has no valid data_offsets", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[0.0,16.0]") "}", "tensor a has no valid data_offsets", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[4,20]") "}", "is cut short: tensor a ends at byte 20 of the data, of which there are 16",
         CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[0]", "[9223372036854775807,9223372036854775807]") "}", "is cut short: tensor a ends", CLIO_ERROR_FORMAT},
        {"{" ENTRY("b", F32, "[3]", "[4,16]") "," ENTRY("a", F32, "[2]", "[0,8]") "}", "tensors a and b overlap", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[0,16]") "," ENTRY("b", F32, "[1]", "[8,12]") "}", "tensors a and b overlap", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[4]", "[0,16]") "," ENTRY("b", F32, "[4]", "[0,16]") "}", "overlap", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[1]", "[0,4]") "," ENTRY("b", F32, "[2]", "[8,16]") "}", "4 bytes before tensor b belong to no tensor",
         CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", F32, "[3]", "[0,12]") "}", "the last 4 bytes belong to no tensor", CLIO_ERROR_FORMAT},
        {"{}", "the last 16 bytes belong to no tensor", CLIO_ERROR_FORMAT},
        {"{" ENTRY("a", "\"I8\"", "[4294967296,0,4294967296]", "[0,0]") "," ENTRY("b", F32, "[4]", "[0,16]") "}", "", CLIO_OK},
        {"{" ENTRY("a", F32, "[4]", "[0,16]") "}", "", CLIO_OK},
    };
    static const unsigned char data[16];
    struct weights w;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        clio_status st = weights_open(ctx, &w, put_tensors("broken.safetensors", cases[i].header, data, sizeof data), "model");
        check_about(st, cases[i].code, cases[i].part, cases[i].header, __LINE__);
        if (st)
            check_about(st, cases[i].code, "/broken.safetensors", cases[i].header, __LINE__); /* the file is named as well */
        weights_close(&w);
    }
}

/* Whatever a byte of the header is changed to: an error, or tensors that can be read to their end (the sanitizers watch). */
static void test_damaged_header(void **state)
{
    static const char damage[] = "\0\377\"{}[]:,0129-. x";
    unsigned char data[GOOD_SIZE], file[1024] = {0};
    size_t size, accepted = 0;
    (void)state;
    good_data(data);
    size = build(file, strlen(good_header), good_header, data, sizeof data);
    for (size_t at = 0; at < size - GOOD_SIZE; at++) {
        unsigned char kept = file[at];
        for (size_t d = 0; d < sizeof damage - 1; d++) {
            struct weights w;
            file[at] = (unsigned char)damage[d];
            if (weights_open(ctx, &w, put("damaged.safetensors", file, size), "model")) {
                assert_true(strlen(clio_error(ctx)) > 20);
                continue;
            }
            for (size_t i = 0; i < w.count; i++) {
                float x[GOOD_SIZE];
                assert_true(w.list[i].count <= GOOD_SIZE);
                OK(weight_floats(ctx, &w.list[i], 0, w.list[i].count, x));
            }
            accepted++;
            weights_close(&w);
        }
        file[at] = kept;
    }
    assert_true(accepted > 0); /* a letter of a name */
}

static void test_sharded(void **state)
{
    static const float one[2] = {1, 2}, two[3] = {3, 4, 5}, other[2] = {8, 9};
    struct weights w;
    (void)state;
    put_tensors("s-1.safetensors", "{" ENTRY("a", F32, "[2]", "[0,8]") "}", one, 8);
    put_tensors("s-2.safetensors",
                "{" ENTRY("b", F32, "[1]", "[0,4]") "," ENTRY("a", F32, "[1]", "[4,8]") "," ENTRY("c", F32, "[1]", "[8,12]") "}", two, 12);
    put_text("s.safetensors.index.json",
             "{\"metadata\":{\"total_size\":16},\"weight_map\":{\"c\":\"s-2.safetensors\",\"a\":\"s-1.safetensors\","
             "\"b\":\"s-2.safetensors\"}}");
    OK(weights_open(ctx, &w, folder, "s"));
    assert_int_equal(w.count, 3);
    assert_int_equal(w.file_count, 2);
    holds(&w, "a", one, 2); /* the index decides, not the second file's "a" */
    holds(&w, "b", two, 1);
    holds(&w, "c", two + 2, 1);
    weights_close(&w);

    put_tensors("s-2.safetensors", "{" ENTRY("b", F32, "[2]", "[0,8]") "}", other, 8);
    FAILS(weights_open(ctx, &w, folder, "s"), CLIO_ERROR_FORMAT,
          "/s.safetensors.index.json: tensor c should be in s-2.safetensors, which does not");
    put_text("s-2.safetensors", "{}");
    FAILS(weights_open(ctx, &w, folder, "s"), CLIO_ERROR_FORMAT, "/s-2.safetensors is cut short");
    assert_int_equal(unlink(in_folder("s-2.safetensors")), 0);
    FAILS(weights_open(ctx, &w, folder, "s"), CLIO_ERROR_FILE, "/s-2.safetensors is missing, and ");

    put_tensors("s.safetensors", "{" ENTRY("single", F32, "[2]", "[0,8]") "}", other, 8); /* one whole file goes before an index */
    OK(weights_open(ctx, &w, folder, "s"));
    holds(&w, "single", other, 2);
    weights_close(&w);
}

static void test_broken_index(void **state)
{
    static const struct {
        const char *index, *part;
    } cases[] = {
        {"{\"weight_map\":", "is not valid JSON"},
        {"[]", "does not contain a JSON object"},
        {"{}", "has no weight_map"},
        {"{\"weight_map\":[]}", "has no weight_map"},
        {"{\"weight_map\":{\"a\":1}}", "tensor a has no file"},
        {"{\"weight_map\":{\"a\":\"\"}}", "shards must be in the same folder"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "tensor a is placed in \"/etc/passwd\", but shards must be in the same folder"},
        {"{\"weight_map\":{\"a\":\"../other/x.safetensors\"}}", "shards must be in the same folder"},
        {"{\"weight_map\":{\"a\":\"sub/x.safetensors\"}}", "shards must be in the same folder"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "shards must be in the same folder"},
    };
    struct weights w;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_text("t.safetensors.index.json", cases[i].index);
        check_about(weights_open(ctx, &w, folder, "t"), CLIO_ERROR_FORMAT, cases[i].part, cases[i].index, __LINE__);
        check_about(CLIO_ERROR_FORMAT, CLIO_ERROR_FORMAT, "/t.safetensors.index.json", cases[i].index, __LINE__);
    }
}

static void test_absent(void **state)
{
    struct weights w;
    (void)state;
    FAILS(weights_open(ctx, &w, in_folder("nowhere"), "model"), CLIO_ERROR_FILE, "/nowhere: no such file");
    assert_int_equal(mkdir(in_folder("bare"), 0700), 0);
    FAILS(weights_open(ctx, &w, in_folder("bare"), "model"), CLIO_ERROR_FILE,
          "/bare holds neither model.safetensors nor model.safetensors.index.json");
    put_text("bare/model.bin", "of CTranslate2");
    FAILS(weights_open(ctx, &w, in_folder("bare"), "model"), CLIO_ERROR_FILE, "/bare holds neither model.safetensors nor");
    put_text("bare/pytorch_model.bin.index.json", "{}");
    FAILS(weights_open(ctx, &w, in_folder("bare"), "model"), CLIO_ERROR_FORMAT, "/bare/pytorch_model.bin.index.json has no weight_map");
    put_text("bare/pytorch_model.bin", "PK");
    FAILS(weights_open(ctx, &w, in_folder("bare"), "model"), CLIO_ERROR_FORMAT, "/bare/pytorch_model.bin is cut short");
}

/* Values read by Python from the same file. */
static void test_golden_checkpoint(void **state)
{
    static const float conv[] = {-0.07818603515625f, 0.040679931640625f}, embed_last = -0.1416015625f;
    struct weights w;
    const struct weight *one;
    const char *path = test_golden("whisper-tiny-random/model.safetensors");
    float x[48];
    double sum = 0;
    (void)state;
    if (!path)
        skip();
    OK(weights_open(ctx, &w, path, "model"));
    assert_int_equal(w.count, 113);
    for (size_t i = 1; i < w.count; i++)
        assert_true(strcmp(w.list[i - 1].name, w.list[i].name) < 0);
    OK(weights_need(ctx, &w, "model.encoder.conv1.weight", 3, (const int[]){48, 80, 3}, &one));
    assert_int_equal(one->dtype, DTYPE_F16);
    OK(weight_floats(ctx, one, 0, 2, x));
    assert_memory_equal(x, conv, sizeof conv);
    OK(weights_need(ctx, &w, "model.decoder.embed_tokens.weight", 2, (const int[]){51865, 48}, &one));
    OK(weight_floats(ctx, one, one->count - 1, 1, x));
    assert_memory_equal(x, &embed_last, sizeof embed_last);
    for (size_t row = 0; row < 51865; row++) {
        OK(weight_floats(ctx, one, row * 48, 48, x));
        for (int i = 0; i < 48; i++)
            sum += (double)x[i];
    }
    assert_true(fabs(sum - -492.9213591814041) < 1e-6);
    FAILS(weights_need(ctx, &w, "model.encoder.conv1.weight", 3, (const int[]){48, 128, 3}, &one), CLIO_ERROR_FORMAT,
          "tensor model.encoder.conv1.weight has shape [48, 80, 3], expected [48, 128, 3]");
    weights_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),           cmocka_unit_test(test_need),           cmocka_unit_test(test_storage_types),
        cmocka_unit_test(test_truncated),      cmocka_unit_test(test_cut_while_open), cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_broken_entries), cmocka_unit_test(test_damaged_header), cmocka_unit_test(test_sharded),
        cmocka_unit_test(test_broken_index),   cmocka_unit_test(test_absent),         cmocka_unit_test(test_golden_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
