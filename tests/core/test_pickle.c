/* test_pickle.c - pickles and files of torch.save as Python, numpy and PyTorch write them: tests/cases/pickles/real, by make-real there;
 * and the golden AttnGAN's weights beside the same in safetensors. Needs no device. */
#include "../support/test_own.h"

#include "../../host/core/pickle.h"

#include <math.h>

static const char *real(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof path, CLIO_SOURCE_DIR "/tests/cases/pickles/real/%s", name);
    return path;
}

/* ---- values ---- */

static struct pickle p;

static const struct pickle_value *value(const char *key)
{
    const struct pickle_value *v = pickle_find(&p, pickle_root(&p), key);
    if (!v)
        fail_msg("there is no %s", key);
    return v;
}

static void expect_integer(const struct pickle_value *v, enum pickle_kind kind, long long number)
{
    assert_non_null(v);
    assert_int_equal(v->kind, kind);
    assert_int_equal(v->integer, number);
}

static void expect_text(const struct pickle_value *v, enum pickle_kind kind, const char *text, size_t size)
{
    assert_non_null(v);
    assert_int_equal(v->kind, kind);
    assert_int_equal(v->text.size, size);
    assert_memory_equal(pickle_text(&p, v), text, size + 1); /* and the zero */
}

/* A container of small integers. */
static void expect_numbers(const struct pickle_value *v, enum pickle_kind kind, size_t count, const int *numbers)
{
    assert_int_equal(v->kind, kind);
    assert_int_equal(v->list.count, count);
    for (size_t i = 0; i < count; i++)
        expect_integer(pickle_item(&p, v, i), PICKLE_INTEGER, numbers[i]);
    assert_null(pickle_item(&p, v, count));
}

static void expect_values(void)
{
    static const char large[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0x40}, low[9] = {0, 0, 0, 0, 0, 0, 0, 0, (char)0xc0};
    expect_integer(value("small"), PICKLE_INTEGER, 7);
    expect_integer(value("negative"), PICKLE_INTEGER, -5);
    expect_integer(value("wide"), PICKLE_INTEGER, 70000);
    expect_integer(value("least"), PICKLE_INTEGER, (long long)-0x7fffffffffffffff - 1);
    assert_memory_equal(pickle_text(&p, value("large")), large, sizeof large);
    assert_true(value("large")->kind == PICKLE_LONG && value("large")->text.size == sizeof large);
    assert_memory_equal(pickle_text(&p, value("low")), low, sizeof low);
    assert_true(value("half")->kind == PICKLE_FLOAT && fabs(value("half")->real - 0.5) < 1e-300);
    expect_text(value("text"), PICKLE_TEXT, "\xc3\xa9\xe2\x82\xac\n\\", 7);
    expect_text(value("bytes"), PICKLE_BYTES, "\0\xff\n", 3);
    assert_true(value("list")->kind == PICKLE_LIST && value("list")->list.count == 2);
    expect_numbers(pickle_item(&p, value("list"), 1), PICKLE_LIST, 2, (const int[]){2, 3});
    expect_numbers(value("tuple"), PICKLE_TUPLE, 4, (const int[]){1, 2, 3, 4});
    expect_numbers(value("set"), PICKLE_SET, 1, (const int[]){3});
    expect_numbers(value("frozen"), PICKLE_SET, 1, (const int[]){4});
    assert_true(value("dict")->kind == PICKLE_DICT && value("dict")->list.count == 4);
    expect_integer(pickle_item(&p, value("dict"), 0), PICKLE_INTEGER, 1);
    expect_text(pickle_item(&p, value("dict"), 1), PICKLE_TEXT, "a", 1);
    expect_integer(pickle_find(&p, value("dict"), "b"), PICKLE_INTEGER, 2);
    assert_int_equal(value("none")->kind, PICKLE_NONE);
    expect_integer(value("true"), PICKLE_BOOL, 1);
    expect_integer(value("false"), PICKLE_BOOL, 0);
    expect_integer(pickle_find(&p, value("ordered"), "l"), PICKLE_INTEGER, 2);
    assert_int_equal(value("empty")->list.count, 3);
    expect_text(value("again"), PICKLE_TEXT, "text", 4);
}

static void test_protocols(void **state)
{
    char name[40];
    (void)state;
    for (int protocol = 0; protocol <= 5; protocol++) {
        snprintf(name, sizeof name, "protocol%d.pkl", protocol);
        OK(pickle_open(ctx, &p, real(name)));
        expect_values();
        pickle_close(&p);
    }
}

static void test_python_2(void **state)
{
    char name[40];
    (void)state;
    for (int protocol = 0; protocol <= 2; protocol++) {
        snprintf(name, sizeof name, "python2-%d.pkl", protocol);
        OK(pickle_open(ctx, &p, real(name)));
        const struct pickle_value *list = value("caption");
        expect_text(pickle_item(&p, list, 0), PICKLE_TEXT, "a bird's \xc3\xa9\n\0", protocol ? 13 : 12);
        expect_integer(pickle_item(&p, list, 1), PICKLE_INTEGER, 7);
        expect_integer(pickle_item(&p, list, 2), PICKLE_BOOL, 1);
        expect_text(pickle_item(&p, list, 3), PICKLE_LONG, "\xd2\x0a\x1f\xeb\x8c\xa9\x54\xab\0", 9);
        assert_true(fabs(pickle_item(&p, list, 4)->real - 0.5) < 1e-300);
        if (protocol == 2)
            expect_integer(pickle_find(&p, pickle_item(&p, list, 5), "k"), PICKLE_INTEGER, 1);
        pickle_close(&p);
    }
}

/* ---- weights ---- */

static struct weights w;

static const struct weight *tensor(const char *name)
{
    const struct weight *found = weights_find(&w, name);
    if (!found)
        fail_msg("there is no tensor %s", name);
    return found;
}

/* The numbers of a tensor: those given, or NULL: 0, 1/2, 1, ... */
static void expect_tensor(const char *name, int ndim, const int *dim, const float *numbers)
{
    const struct weight *t = tensor(name);
    float got[16];
    if (t->problem)
        fail_msg("%s: %s", name, t->problem);
    assert_int_equal(t->ndim, ndim);
    assert_memory_equal(t->dim, dim, (size_t)ndim * sizeof *dim);
    assert_true(t->count <= COUNT(got));
    OK(weight_floats(ctx, t, 0, t->count, got));
    for (size_t i = 0; i < t->count; i++)
        if (fabsf(got[i] - (numbers ? numbers[i] : (float)i / 2)) > 0)
            fail_msg("%s[%zu] is %g", name, i, (double)got[i]);
}

static void expect_problem(const char *name, const char *part)
{
    const struct weight *t = tensor(name);
    if (!t->problem || !strstr(t->problem, part))
        fail_msg("%s: %s", name, t->problem ? t->problem : "no problem");
    assert_int_equal(t->count, 0);
}

static void expect_types(void)
{
    static const char *const names[] = {"f32", "f16", "bf16", "f64", "f8_e5m2", "f8_e4m3"};
    static const char *const whole[] = {"i64", "i32", "u8"};
    static const char *const unread[][2] = {{"i16", "I16"}, {"i8", "I8"},     {"bool", "BOOL"},
                                            {"c64", "C64"}, {"c128", "C128"}, {"u16", "U16"}};
    const int shape[] = {2, 3};
    for (size_t i = 0; i < COUNT(names); i++)
        expect_tensor(names[i], 2, shape, NULL);
    for (size_t i = 0; i < COUNT(whole); i++)
        expect_tensor(whole[i], 2, shape, (const float[]){0, 0, 1, 1, 2, 2});
    for (size_t i = 0; i < COUNT(unread); i++)
        expect_problem(unread[i][0], unread[i][1]);
    expect_problem("five", "has more than 4 dimensions");
    assert_int_equal(tensor("f64")->dtype, DTYPE_F64);
}

static void expect_views(void)
{
    const struct weight *whole = tensor("whole"), *rows = tensor("rows"), *transposed = tensor("transposed");
    float numbers[16], turned[12];
    for (int i = 0; i < 16; i++)
        numbers[i] = (float)i;
    for (int i = 0; i < 12; i++)
        turned[i] = (float)(i % 3 * 4 + i / 3);
    expect_tensor("whole", 2, (const int[]){3, 4}, numbers);
    expect_tensor("rows", 2, (const int[]){2, 4}, numbers + 4);
    expect_tensor("transposed", 2, (const int[]){4, 3}, turned);
    expect_tensor("part", 2, (const int[]){3, 2}, (const float[]){1, 2, 5, 6, 9, 10});
    expect_tensor("backwards", 2, (const int[]){3, 4}, (const float[]){8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3});
    expect_tensor("channels_last", 4, (const int[]){1, 4, 2, 2}, numbers);
    expect_tensor("windows", 2, (const int[]){3, 2}, (const float[]){0, 0.5f, 0.5f, 1, 1, 1.5f});
    expect_tensor("scalar", 0, NULL, (const float[]){7});
    expect_tensor("empty", 2, (const int[]){0, 3}, NULL);
    expect_tensor("parameter", 1, (const int[]){6}, NULL);
    expect_tensor("nested.deep.x", 1, (const int[]){6}, NULL);
    expect_tensor("nested.deep.y.0", 1, (const int[]){6}, NULL);
    expect_tensor("nested.deep.y.1.z", 1, (const int[]){6}, NULL);
    assert_true(!whole->data && !rows->data && rows->first == whole->first + 16); /* in the file, and shared */
    assert_true(transposed->data && transposed->data == transposed->owned);
    assert_int_equal(w.count, 15 + 11 + 3);
}

static void test_torch_save(void **state)
{
    static const char *const names[] = {"zip.pth", "legacy.pth"};
    char *note;
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        OK(weights_open(ctx, &w, real(names[i]), NULL));
        expect_types();
        expect_views();
        OK(weights_note(ctx, &w, "format", &note));
        assert_null(note);
        weights_close(&w);
    }
}

/* {"state_dict": of DataParallel, "optimizer": ...} */
static void test_wrapped(void **state)
{
    static const char *const names[] = {"wrapped.pth", "wrapped-legacy.pth"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        OK(weights_open(ctx, &w, real(names[i]), NULL));
        assert_int_equal(w.count, 7);
        assert_string_equal(w.list[0].name, "0.bias");
        assert_string_equal(w.list[4].name, "1.running_mean");
        assert_int_equal(tensor("1.num_batches_tracked")->dtype, DTYPE_I64);
        expect_tensor("1.num_batches_tracked", 0, NULL, (const float[]){1});
        assert_int_equal(tensor("0.weight")->dim[0], 3);
        weights_close(&w);
    }
}

static void test_numpy(void **state)
{
    char name[40];
    (void)state;
    for (int protocol = 0; protocol <= 5; protocol++) {
        snprintf(name, sizeof name, "numpy%d.pickle", protocol);
        OK(weights_open(ctx, &w, real(name), NULL));
        assert_int_equal(w.count, 3);
        expect_tensor("a", 2, (const int[]){2, 3}, (const float[]){0, 1, 2, 3, 4, 5});
        expect_tensor("fortran", 2, (const int[]){2, 3}, (const float[]){0, 1, 2, 3, 4, 5});
        expect_tensor("long", 1, (const int[]){3}, (const float[]){0, 1, 2});
        weights_close(&w);
        OK(pickle_open(ctx, &p, real(name)));
        assert_true(value("scalar")->kind == PICKLE_FLOAT && fabs(value("scalar")->real - 1.5) < 1e-300);
        expect_integer(value("count"), PICKLE_INTEGER, -4);
        pickle_close(&p);
    }
    FAILS(weights_open(ctx, &w, real("protocol2.pkl"), NULL), CLIO_ERROR_UNSUPPORTED, "protocol2.pkl contains no tensor");
}

/* Small pickles of texts and integers, which are weights once they have a tensor: names and wrappers. */
static void expect_names(const char *program, size_t size, const char *names)
{
    char all[400] = "";
    OK(weights_open(ctx, &w, put("x.pkl", program, size), NULL));
    for (size_t i = 0; i < w.count; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", w.list[i].name);
    assert_string_equal(all, names);
    weights_close(&w);
}
/* memo 0: an array of one number; then `rest` */
#define ARRAY                                                                                                                              \
    "\x80\4\x8c\x12numpy.core.numeric\x8c\x0b_frombuffer\x93(C\4\0\0\x80?cnumpy\ndtype\n\x8c\2f4\x85RK\1\x85\x8c\1CtR\x94"                 \
    "0"
#define NAMES(rest, names) expect_names(ARRAY rest ".", sizeof(ARRAY rest ".") - 1, names)

static void test_names(void **state)
{
    (void)state;
    NAMES("h\0", "tensor ");
    NAMES("}(\x8c\1ah\0K\5]h\0au", "5.0 a ");
    NAMES("}(\x8c\1a}\x8c\1bh\0s\x8c\2zz]u", "a.b ");
    /* module. of all names, or of none */
    NAMES("}(\x8c\010module.ah\0\x8c\010module.bh\0u", "a b ");
    NAMES("}(\x8c\010module.ah\0\x8c\007moduleah\0u", "module.a modulea ");
    NAMES("}\x8c\007module.h\0s", "module. ");
    /* wrappers: the first of the list, those within; none beside a tensor */
    NAMES("}(\x8c\5model}\x8c\1ah\0s\x8c\12state_dict}\x8c\1bh\0su", "b ");
    NAMES("}\x8c\5model}\x8c\3net}\x8c\1ah\0sss", "a ");
    NAMES("}(\x8c\5model}\x8c\1ah\0s\x8c\1xh\0u", "model.a x ");
    NAMES("}(\x8c\12state_dict}\x8c\5model}\x8c\1ah\0su", "a ");
    NAMES("}(\x8c\5modelK\1\x8c\1x}\x8c\1ah\0su", "x.a ");
    NAMES("}(\x8c\013model_state}\x8c\1ah\0s\x8c\017optimizer_state}\x8c\1bh\0su", "a ");
    FAILS(weights_open(ctx, &w,
                       put("x.pkl", ARRAY "}(\x8c\3a.bh\0\x8c\1a}\x8c\1bh\0su.", sizeof(ARRAY "}(\x8c\3a.bh\0\x8c\1a}\x8c\1bh\0su.") - 1),
                       NULL),
          CLIO_ERROR_FORMAT, "x.pkl contains the tensor a.b twice");
    FAILS(weights_open(ctx, &w, put("x.pkl", ARRAY "}\x8c\1\xffh\0s.", sizeof(ARRAY "}\x8c\1\xffh\0s.") - 1), NULL), CLIO_ERROR_FORMAT,
          "has a key that is not UTF-8");
    FAILS(weights_open(ctx, &w, put("x.pkl", ARRAY "}Nh\0s.", sizeof(ARRAY "}Nh\0s.") - 1), NULL), CLIO_ERROR_FORMAT,
          "has a key that is neither a text nor an integer");
}

/* A folder with pytorch_model.bin, alone and as shards. */
static void test_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("f"), 0700), 0);
    assert_int_equal(symlink(real("zip.pth"), in_folder("f/pytorch_model.bin")), 0);
    OK(weights_open(ctx, &w, in_folder("f"), "model"));
    expect_types();
    weights_close(&w);
    assert_int_equal(rename(in_folder("f/pytorch_model.bin"), in_folder("f/one.bin")), 0);
    assert_int_equal(symlink(real("wrapped.pth"), in_folder("f/two.bin")), 0);
    put_text("f/pytorch_model.bin.index.json",
             "{\"weight_map\":{\"f32\":\"one.bin\",\"transposed\":\"one.bin\",\"0.weight\":\"two.bin\"}}");
    OK(weights_open(ctx, &w, in_folder("f"), "model"));
    assert_int_equal(w.count, 3);
    expect_tensor("f32", 2, (const int[]){2, 3}, NULL);
    assert_true(tensor("f32")->file == &w.files[0] && tensor("0.weight")->file == &w.files[1]);
    weights_close(&w);
}

/* ---- golden AttnGAN ---- */

/* The tensors of a file are those of the golden file under a prefix, byte for byte. */
static void compare(const char *name, const char *prefix, const struct weights *golden)
{
    static unsigned char a[1 << 20], b[1 << 20];
    char key[300], path[100];
    const unsigned char *x, *y;
    snprintf(path, sizeof path, "attngan-tiny/%s", name);
    OK(weights_open(ctx, &w, test_golden(path), NULL));
    assert_true(w.count > 8);
    for (size_t i = 0; i < w.count; i++) {
        const struct weight *t = &w.list[i];
        snprintf(key, sizeof key, "%s.%s", prefix, t->name);
        const struct weight *want = weights_find(golden, key);
        assert_non_null(want);
        assert_true(t->ndim == want->ndim && t->count == want->count);
        if (t->dtype == DTYPE_I64) { /* batch counters, which the golden file has as F32 */
            float number, wanted;
            OK(weight_floats(ctx, t, 0, 1, &number));
            OK(weight_floats(ctx, want, 0, 1, &wanted));
            assert_true(t->ndim == 0 && !(fabsf(number - wanted) > 0));
            continue;
        }
        assert_int_equal(t->dtype, want->dtype);
        assert_memory_equal(t->dim, want->dim, sizeof t->dim);
        size_t size = t->count * dtype_size(t->dtype);
        assert_true(size <= sizeof a);
        OK(weight_bytes(ctx, t, 0, size, a, &x));
        OK(weight_bytes(ctx, want, 0, size, b, &y));
        assert_memory_equal(x, y, size);
    }
    weights_close(&w);
}

static void test_attngan(void **state)
{
    const char *path = test_golden("attngan-tiny/golden.safetensors");
    struct weights golden;
    (void)state;
    if (!path)
        skip();
    OK(weights_open(ctx, &golden, path, NULL));
    compare("netG.pth", "netG", &golden);
    compare("netG-legacy.pth", "netG", &golden);
    compare("text_encoder.pth", "text_encoder", &golden);
    weights_close(&golden);
    OK(pickle_open(ctx, &p, test_golden("attngan-tiny/captions.pickle")));
    const struct pickle_value *root = pickle_root(&p);
    expect_numbers(pickle_item(&p, pickle_item(&p, root, 0), 0), PICKLE_LIST, 2, (const int[]){1, 2});
    const struct pickle_value *words = pickle_item(&p, root, 2);
    assert_int_equal(words->kind, PICKLE_DICT);
    expect_integer(pickle_item(&p, words, 0), PICKLE_INTEGER, 0);
    expect_text(pickle_item(&p, words, 1), PICKLE_TEXT, "<end>", 5);
    expect_integer(pickle_find(&p, pickle_item(&p, root, 3), "<end>"), PICKLE_INTEGER, 0);
    pickle_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocols), cmocka_unit_test(test_python_2), cmocka_unit_test(test_torch_save),
        cmocka_unit_test(test_wrapped),   cmocka_unit_test(test_numpy),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_folder),    cmocka_unit_test(test_attngan),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
