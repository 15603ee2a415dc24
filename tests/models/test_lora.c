/* test_lora.c - LoRA files with all naming schemes, merged into small weights and compared with double precision; unsupported files. Needs
 * no device. */
#include "../support/test_own.h"

#include "../support/test_tensors.h"

#include "../../models/loaders/lora.h"

#include <math.h>

#define QUERY "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
#define OUT "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
#define PROJ "mid_block.attentions.0.proj_in"
#define CONV "up_blocks.1.resnets.0.conv1"
#define TEXT "encoder.layers.0.self_attn.q_proj"
#define TEXT_OUT "encoder.layers.0.self_attn.out_proj"

/* The model: [out, in, h, w] of each module. */
static const struct module {
    const char *name;
    int ndim, dim[4];
} modules[] = {{QUERY, 2, {7, 5, 1, 1}}, {OUT, 2, {6, 9, 1, 1}}, {PROJ, 4, {8, 8, 1, 1}}, {CONV, 4, {4, 3, 3, 3}}};
static const struct module text_modules[] = {{TEXT, 2, {6, 6, 1, 1}}, {TEXT_OUT, 2, {6, 6, 1, 1}}};

enum { MAX_COUNT = 256 }; /* elements of a tensor */

static size_t count_of(const struct module *m)
{
    return (size_t)(m->dim[0] * m->dim[1] * m->dim[2] * m->dim[3]);
}

/* Reproducible values for a tensor of this name. */
static void fill(float *x, size_t n, const char *name, uint32_t seed)
{
    for (const char *p = name; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    test_random(x, n, seed);
}

static const char *make_model(const char *file, const struct module *list, size_t count, const char *prefix, const char *dtype)
{
    static char path[512]; /* unlike in_folder's, stays valid */
    struct made m;
    snprintf(path, sizeof path, "%s", in_folder(file));
    made_start(&m);
    for (size_t i = 0; i < count; i++) {
        float x[MAX_COUNT];
        uint16_t half[MAX_COUNT];
        char name[256];
        size_t n = count_of(&list[i]);
        fill(x, n, list[i].name, 1);
        snprintf(name, sizeof name, "%s%s.weight", prefix, list[i].name);
        for (size_t k = 0; k < n; k++) {
            half[k] = float_to_half(x[k]);
            if (!strcmp(dtype, "BF16")) {
                uint32_t bits;
                memcpy(&bits, &x[k], sizeof bits);
                half[k] = (uint16_t)(bits >> 16);
            }
        }
        if (!strcmp(dtype, "F32"))
            made_floats(&m, name, list[i].ndim, list[i].dim, x);
        else
            made_add(&m, name, dtype, list[i].ndim, list[i].dim, half, 2 * n);
        snprintf(name, sizeof name, "%s%s.bias", prefix, list[i].name);
        made_floats(&m, name, 1, list[i].dim, x);
    }
    made_write(&m, path);
    made_free(&m);
    return path;
}

/* Add the down and up matrices of a module with these full names. Their values depend on the module only. */
static void add_pair(struct made *m, const struct module *module, int rank, const char *down, const char *up)
{
    float x[MAX_COUNT];
    int dim[4] = {rank, module->dim[1], module->dim[2], module->dim[3]}, up_dim[4] = {module->dim[0], rank, 1, 1};
    fill(x, (size_t)(rank * dim[1] * dim[2] * dim[3]), module->name, 2);
    made_floats(m, down, module->ndim, dim, x);
    fill(x, (size_t)(rank * up_dim[0]), module->name, 3);
    made_floats(m, up, module->ndim, up_dim, x);
}

static void add_named(struct made *m, const struct module *module, int rank, const char *prefix, const char *name, const char *down,
                      const char *up)
{
    char a[300], b[300];
    snprintf(a, sizeof a, "%s%s%s", prefix, name, down);
    snprintf(b, sizeof b, "%s%s%s", prefix, name, up);
    add_pair(m, module, rank, a, b);
}

/* kohya's name: prefix, then the module with _ for dots. */
static void add_kohya(struct made *m, const struct module *module, int rank, const char *prefix, float alpha)
{
    char flat[256], name[300];
    snprintf(flat, sizeof flat, "%s", module->name);
    for (char *p = flat; *p; p++)
        *p = *p == '.' ? '_' : *p;
    add_named(m, module, rank, prefix, flat, ".lora_down.weight", ".lora_up.weight");
    snprintf(name, sizeof name, "%s%s.alpha", prefix, flat);
    if (alpha > 0)
        made_floats(m, name, 0, NULL, &alpha);
}

/* The weight is its old value + scale * up down, within the rounding of its type. */
static void expect_merged(const struct weights *w, const struct weights *before, const char *prefix, const struct module *module, int rank,
                          double scale, double tolerance)
{
    char name[256];
    size_t columns = count_of(module) / (size_t)module->dim[0];
    float got[MAX_COUNT], was[MAX_COUNT], up[MAX_COUNT], down[MAX_COUNT];
    snprintf(name, sizeof name, "%s%s.weight", prefix, module->name);
    OK(weight_floats(ctx, weights_find(w, name), 0, count_of(module), got));
    OK(weight_floats(ctx, weights_find(before, name), 0, count_of(module), was));
    fill(down, (size_t)rank * columns, module->name, 2);
    fill(up, (size_t)(rank * module->dim[0]), module->name, 3);
    for (size_t y = 0; y < (size_t)module->dim[0]; y++)
        for (size_t x = 0; x < columns; x++) {
            double want = was[y * columns + x];
            for (size_t r = 0; r < (size_t)rank; r++)
                want += scale * up[y * (size_t)rank + r] * down[r * columns + x];
            if (fabs(got[y * columns + x] - want) > tolerance * fmax(1, fabs(want)))
                fail_msg("%s[%zu, %zu] is %g, expected %g", name, y, x, (double)got[y * columns + x], want);
        }
}

static void write_and_open(struct made *m, struct lora *lora)
{
    made_write(m, in_folder("lora.safetensors"));
    made_free(m);
    OK(lora_open(ctx, lora, in_folder("lora.safetensors")));
}

static void test_kohya_names(void **state)
{
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    (void)state;
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", dtypes[d]);
        const double tolerance = 1e-6; /* merged in f32, whatever the storage type */
        struct weights w, before;
        struct lora lora;
        struct made m;
        made_start(&m);
        for (size_t i = 0; i < COUNT(modules); i++)
            add_kohya(&m, &modules[i], 2 + (int)i, "lora_unet_", i == 1 ? 0 : 1.5f);
        write_and_open(&m, &lora);
        OK(weights_open(ctx, &w, model, ""));
        OK(weights_open(ctx, &before, model, ""));
        OK(lora_merge(ctx, &lora, LORA_TEXT_ENCODER, 1, DTYPE_F32, &w)); /* no modules for the text encoder */
        for (size_t i = 0; i < w.count; i++)
            assert_null(w.list[i].owned);
        OK(lora_merge(ctx, &lora, LORA_UNET, 0.7f, DTYPE_F32, &w));
        for (size_t i = 0; i < COUNT(modules); i++)
            expect_merged(&w, &before, "", &modules[i], 2 + (int)i, i == 1 ? 0.7 : 0.7 * 1.5 / (2 + (double)i), tolerance);
        assert_null(weights_find(&w, QUERY ".bias")->owned);
        assert_int_equal(weights_find(&w, QUERY ".weight")->dtype, DTYPE_F32);
        OK(lora_merge(ctx, &lora, LORA_UNET, -0.2f, DTYPE_F32, &w)); /* updates add up */
        expect_merged(&w, &before, "", &modules[0], 2, 0.5 * 1.5 / 2, 2 * tolerance);
        OK(lora_merge(ctx, &lora, LORA_UNET, 0, DTYPE_F32, &w));
        expect_merged(&w, &before, "", &modules[0], 2, 0.5 * 1.5 / 2, 2 * tolerance);
        weights_close(&w);
        weights_close(&before);
        lora_close(&lora);
        lora_close(&lora);
    }
}

/* Ranks above ROWS_PER_PASS that are not a multiple of it. */
static void test_ranks(void **state)
{
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F32");
    (void)state;
    for (int rank = 1; rank <= 11; rank++) {
        struct weights w, before;
        struct lora lora;
        struct made m;
        made_start(&m);
        add_kohya(&m, &modules[0], rank, "lora_unet_", 4);
        write_and_open(&m, &lora);
        OK(weights_open(ctx, &w, model, ""));
        OK(weights_open(ctx, &before, model, ""));
        OK(lora_merge(ctx, &lora, LORA_UNET, 1, DTYPE_F32, &w));
        expect_merged(&w, &before, "", &modules[0], rank, 4.0 / rank, 2e-6);
        weights_close(&w);
        weights_close(&before);
        lora_close(&lora);
    }
}

/* All naming schemes of diffusers and PEFT. */
static void test_diffusers_and_peft_names(void **state)
{
    static const struct {
        int module;
        const char *prefix, *name, *down, *up;
    } kinds[] = {
        {0, "unet.", QUERY, ".lora_A.weight", ".lora_B.weight"},
        {0, "unet.", QUERY, ".lora.down.weight", ".lora.up.weight"},
        {0, "unet.", QUERY, ".lora_A.default.weight", ".lora_B.default.weight"},
        {0, "", QUERY, ".lora_A.weight", ".lora_B.weight"},
        {1, "unet.", OUT, ".lora_A.weight", ".lora_B.weight"},
        {2, "unet.", PROJ, ".lora_A.weight", ".lora_B.weight"},
        {3, "unet.", CONV, ".lora_A.weight", ".lora_B.weight"},
        {0, "unet.", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q", "_lora.down.weight", "_lora.up.weight"},
        {1, "", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out", "_lora.down.weight", "_lora.up.weight"}};
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F32");
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct weights w, before;
        struct lora lora;
        struct made m;
        made_start(&m);
        add_named(&m, &modules[kinds[i].module], 3, kinds[i].prefix, kinds[i].name, kinds[i].down, kinds[i].up);
        write_and_open(&m, &lora);
        OK(weights_open(ctx, &w, model, ""));
        OK(weights_open(ctx, &before, model, ""));
        OK(lora_merge(ctx, &lora, LORA_UNET, 0.5f, DTYPE_F32, &w));
        expect_merged(&w, &before, "", &modules[kinds[i].module], 3, 0.5, 1e-6);
        weights_close(&w);
        weights_close(&before);
        lora_close(&lora);
    }
}

static void test_text_encoder(void **state)
{
    static const struct {
        int module;
        const char *prefix, *name, *down, *up;
    } kinds[] = {
        {0, "text_encoder.text_model.", TEXT, ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"},
        {0, "text_encoder.text_model.", "encoder.layers.0.self_attn.to_q", "_lora.down.weight", "_lora.up.weight"},
        {1, "text_encoder.text_model.", "encoder.layers.0.self_attn.to_out", "_lora.down.weight", "_lora.up.weight"},
        {0, "text_encoder.", TEXT, ".lora_A.weight", ".lora_B.weight"},
        {1, "text_model.", TEXT_OUT, ".lora_A.weight", ".lora_B.weight"},
        {0, "lora_te_text_model_", "encoder_layers_0_self_attn_q_proj", ".lora_down.weight", ".lora_up.weight"},
        {1, "lora_te1_text_model_", "encoder_layers_0_self_attn_out_proj", ".lora_down.weight", ".lora_up.weight"},
    };
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(kinds); i++) {
        const char *prefix = i % 2 ? "text_model." : ""; /* older and newer folders */
        const char *model = make_model("text.safetensors", text_modules, COUNT(text_modules), prefix, "F32");
        struct weights w, before;
        struct lora lora;
        struct made m;
        made_start(&m);
        add_named(&m, &text_modules[kinds[i / 2].module], 3, kinds[i / 2].prefix, kinds[i / 2].name, kinds[i / 2].down, kinds[i / 2].up);
        write_and_open(&m, &lora);
        OK(weights_open(ctx, &w, model, ""));
        OK(weights_open(ctx, &before, model, ""));
        OK(lora_merge(ctx, &lora, LORA_TEXT_ENCODER, 1, DTYPE_F32, &w));
        expect_merged(&w, &before, prefix, &text_modules[kinds[i / 2].module], 3, 1, 1e-6);
        weights_close(&w);
        weights_close(&before);
        lora_close(&lora);
    }
}

/* PEFT's LoraConfig in the metadata written by diffusers. */
static void test_peft_metadata(void **state)
{
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F32");
    static const struct {
        const char *note;
        double scale;
    } notes[] = {{"{\"unet.lora_alpha\":6,\"unet.r\":3}", 2},
                 {"{\"unet.lora_alpha\":6,\"unet.use_rslora\":true}", 6 / 1.7320508075688772},
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"attn1.to_q\":1.5}}", 0.5},
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"n1.to_q\":1.5}}", 2},
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"attn1.to.q\":1.5}}", 0.5}, /* a point is any character */
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"attn1.to_k\":1.5}}", 2},
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"([a-z_.0-9]+)+[!?]\":9}}", 2},    /* 2^n ways to try */
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"down_blocks.*to_q\":1.5}}", 0.5}, /* regular expressions */
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"attn[12].to_(q|k)\":1.5}}", 0.5},
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"attn1\":1.5}}", 2},                 /* not at the end */
                 {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"to_q\":9,\"attn1.to_q\":1.5}}", 3}, /* the first one counts */
                 {"{\"unet.r\":8,\"unet.rank_pattern\":{\"to_q\":3},\"unet.lora_alpha\":6}", 2},
                 {"{\"unet.r\":3}", 8.0 / 3}, /* LoraConfig's default of lora_alpha */
                 {"{\"text_encoder.lora_alpha\":6}", 1}};
    struct lora lora;
    struct made m;
    (void)state;
    for (size_t i = 0; i < COUNT(notes); i++) {
        struct weights w, before;
        made_start(&m);
        made_note(&m, "lora_adapter_metadata", notes[i].note);
        add_named(&m, &modules[0], 3, "unet.", QUERY, ".lora_A.weight", ".lora_B.weight");
        write_and_open(&m, &lora);
        OK(weights_open(ctx, &w, model, ""));
        OK(weights_open(ctx, &before, model, ""));
        OK(lora_merge(ctx, &lora, LORA_UNET, 1, DTYPE_F32, &w));
        expect_merged(&w, &before, "", &modules[0], 3, notes[i].scale, 1e-6);
        weights_close(&w);
        weights_close(&before);
        lora_close(&lora);
    }
    static const char *const bad[][2] = {
        {"{\"unet.r\":8}", "has rank 8, and its matrices have rank 3"},
        {"{\"unet.lora_alpha\":\"much\"}", "\"lora_alpha\" of " QUERY " must be a number"},
        {"{\"unet.lora_alpha\":6,\"unet.alpha_pattern\":{\"to_(q\":1}}", "the pattern \"to_(q\""},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        made_start(&m);
        made_note(&m, "lora_adapter_metadata", bad[i][0]);
        add_named(&m, &modules[0], 3, "unet.", QUERY, ".lora_A.weight", ".lora_B.weight");
        made_write(&m, in_folder("lora.safetensors"));
        made_free(&m);
        FAILS(lora_open(ctx, &lora, in_folder("lora.safetensors")), CLIO_ERROR_FORMAT, bad[i][1]);
    }
    char many[4000];
    int size = snprintf(many, sizeof many, "{\"unet.alpha_pattern\":{\"a*\":1");
    for (int i = 0; i < 100; i++)
        size += snprintf(many + size, sizeof many - (size_t)size, ",\"a*%d\":1", i);
    snprintf(many + size, sizeof many - (size_t)size, "}}");
    const char *const complex[][2] = {{"{\"unet.alpha_pattern\":{\"(to)_q|\\\\1\":1}}", "that is too complex"},
                                      {many, "\"alpha_pattern\" has more than 100 regular expressions"}};
    for (size_t i = 0; i < COUNT(complex); i++) {
        made_start(&m);
        made_note(&m, "lora_adapter_metadata", complex[i][0]);
        add_named(&m, &modules[0], 3, "unet.", QUERY, ".lora_A.weight", ".lora_B.weight");
        made_write(&m, in_folder("lora.safetensors"));
        made_free(&m);
        FAILS(lora_open(ctx, &lora, in_folder("lora.safetensors")), CLIO_ERROR_UNSUPPORTED, complex[i][1]);
    }
    made_start(&m);
    made_note(&m, "lora_adapter_metadata", "[]");
    add_named(&m, &modules[0], 3, "unet.", QUERY, ".lora_A.weight", ".lora_B.weight");
    made_write(&m, in_folder("lora.safetensors"));
    made_free(&m);
    FAILS(lora_open(ctx, &lora, in_folder("lora.safetensors")), CLIO_ERROR_FORMAT, "lora_adapter_metadata");
}

/* PEFT's adapter: adapter_config.json beside the file, or the folder of both. */
static void test_peft_adapter(void **state)
{
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F32");
    static const struct {
        const char *config, *name;
        double scale;
    } good[] = {{"{\"peft_type\":\"LORA\",\"r\":3,\"lora_alpha\":24}", "base_model.model.", 8},
                {"{\"r\":3,\"lora_alpha\":24,\"use_rslora\":true}", "base_model.model.", 24 / 1.7320508075688772},
                {"{\"r\":3,\"lora_alpha\":24,\"alpha_pattern\":{\"attn1.to_q\":3}}", "base_model.model.", 1},
                {"{\"r\":3}", "base_model.model.unet.", 8.0 / 3}};
    static const char *const bad[][2] = {{"{\"peft_type\":\"IA3\"}", "an adapter of type IA3"},
                                         {"{\"use_dora\":true}", "a DoRA"},
                                         {"{\"fan_in_fan_out\":true}", "transposed weights"}};
    char path[512];
    struct lora lora;
    struct made m;
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("adapter_model.safetensors"));
    for (size_t i = 0; i < COUNT(good); i++) {
        struct weights w, before;
        made_start(&m);
        add_named(&m, &modules[0], 3, good[i].name, QUERY, ".lora_A.weight", ".lora_B.weight");
        made_write(&m, path);
        made_free(&m);
        unlink(in_folder("adapter_config.json"));
        FAILS(lora_open(ctx, &lora, path), CLIO_ERROR_FILE, "adapter_config.json does not exist: put both files into one folder");
        put_text("adapter_config.json", good[i].config);
        OK(lora_open(ctx, &lora, i % 2 ? folder : path));
        OK(weights_open(ctx, &w, model, ""));
        OK(weights_open(ctx, &before, model, ""));
        OK(lora_merge(ctx, &lora, LORA_UNET, 1, DTYPE_F32, &w));
        expect_merged(&w, &before, "", &modules[0], 3, good[i].scale, 1e-6);
        weights_close(&w);
        weights_close(&before);
        lora_close(&lora);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        put_text("adapter_config.json", bad[i][0]);
        FAILS(lora_open(ctx, &lora, path), CLIO_ERROR_UNSUPPORTED, bad[i][1]);
    }
    /* another program's LoRA in the same folder does not read it */
    made_start(&m);
    add_named(&m, &modules[0], 3, "unet.", QUERY, ".lora_A.weight", ".lora_B.weight");
    write_and_open(&m, &lora);
    assert_true(lora.list[0].scale == 1);
    lora_close(&lora);
    unlink(in_folder("adapter_config.json"));
}

/* Foreign tensors and modules that the model lacks are left out and counted. */
static void test_left_out(void **state)
{
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F32");
    static const struct module other = {"down_blocks.7.attentions.0.proj_in", 2, {4, 4, 1, 1}};
    static const float three[3] = {1, 2, 3};
    static const int64_t alpha = 6;
    const char *text = NULL;
    struct weights w, before, empty = {0};
    struct lora lora;
    struct made m;
    (void)state;
    made_start(&m);
    add_kohya(&m, &modules[0], 3, "lora_unet_", 0);
    add_kohya(&m, &other, 2, "lora_unet_", 1);
    made_add(&m, "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha", "I64", 0, NULL, &alpha, sizeof alpha);
    made_floats(&m, "bundle_emb.fox.string_to_param.*", 1, (const int[]){3}, three);
    made_floats(&m, "lora_unet_conv_in.diff", 1, (const int[]){3}, three);
    write_and_open(&m, &lora);
    OK(weights_open(ctx, &w, model, ""));
    OK(weights_open(ctx, &before, model, ""));
    OK(lora_check(ctx, &lora, &w, &empty));
    text = strstr(notices,
                  ": 1 of 2 modules are left out, since the model does not have them (the first is down_blocks_7_attentions_0_proj_in)");
    assert_non_null(text);
    text = strstr(notices, ": 2 of 8 tensors are left out, since they are not the matrices of a LoRA (the first is bundle_emb.fox");
    assert_non_null(text);
    OK(lora_merge(ctx, &lora, LORA_UNET, 1, DTYPE_F32, &w));
    expect_merged(&w, &before, "", &modules[0], 3, 2, 1e-6); /* alpha 6 of rank 3 */
    lora_close(&lora);
    made_start(&m); /* nothing to say */
    add_kohya(&m, &modules[0], 3, "lora_unet_", 1);
    write_and_open(&m, &lora);
    *notices = 0;
    OK(lora_check(ctx, &lora, &w, &empty));
    assert_string_equal(notices, "");
    lora_close(&lora);
    weights_close(&w);
    weights_close(&before);
}

/* A value that is finite in f32 is refused only where the device stores f16. */
static void test_storage(void **state)
{
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F16");
    struct weights w;
    struct lora lora;
    struct made m;
    (void)state;
    made_start(&m);
    add_kohya(&m, &modules[0], 2, "lora_unet_", 100);
    write_and_open(&m, &lora);
    OK(weights_open(ctx, &w, model, ""));
    FAILS(lora_merge(ctx, &lora, LORA_UNET, 1e9f, DTYPE_F16, &w), CLIO_ERROR_FORMAT, "not finite in f16: use a smaller strength");
    assert_null(weights_find(&w, QUERY ".weight")->owned);
    OK(lora_merge(ctx, &lora, LORA_UNET, 1e9f, DTYPE_F32, &w));
    FAILS(lora_merge(ctx, &lora, LORA_UNET, 3e38f, DTYPE_F32, &w), CLIO_ERROR_FORMAT, "not finite in f32");
    lora_close(&lora);
    weights_close(&w);
}

/* ---- errors ---- */

static void test_unsupported_names(void **state)
{
    static const struct {
        const char *name, *part;
        clio_status code;
    } names[] = {{"lora_unet_x.hada_w1_a", "is a LoHa (tensor lora_unet_x.hada_w1_a)", CLIO_ERROR_UNSUPPORTED},
                 {"lora_unet_x.lokr_w1", "is a LoKr", CLIO_ERROR_UNSUPPORTED},
                 {"lora_unet_x.dora_scale", "is a DoRA", CLIO_ERROR_UNSUPPORTED},
                 {"unet.x.lora_magnitude_vector", "is a DoRA", CLIO_ERROR_UNSUPPORTED},
                 {"lora_unet_x.lora_mid.weight", "is a LoCon with CP decomposition", CLIO_ERROR_UNSUPPORTED},
                 {"lora_te2_text_model_x.lora_up.weight", "Stable Diffusion XL", CLIO_ERROR_UNSUPPORTED},
                 {"text_encoder_2.x.lora_A.weight", "Stable Diffusion XL", CLIO_ERROR_UNSUPPORTED},
                 {"transformer.x.lora_A.weight", "another model family", CLIO_ERROR_UNSUPPORTED},
                 {"unet.x.oft_blocks", "is an OFT", CLIO_ERROR_UNSUPPORTED},
                 {"unet.x.lora_B.bias", "no matrices of a LoRA (the first tensor is unet.x.lora_B.bias)", CLIO_ERROR_UNSUPPORTED},
                 {"lora_unet_x.diff", "no matrices of a LoRA (the first tensor is lora_unet_x.diff)", CLIO_ERROR_UNSUPPORTED},
                 {"conv_in.weight", "no matrices of a LoRA (the first tensor is conv_in.weight)", CLIO_ERROR_UNSUPPORTED},
                 {"lora_unet_x.lora_up.weight", "x has no up or no down matrix", CLIO_ERROR_FORMAT},
                 {"lora_unet_x.alpha", "must be a single number", CLIO_ERROR_FORMAT}};
    static const float two[2];
    struct lora lora;
    struct made m;
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        made_start(&m);
        made_floats(&m, names[i].name, 2, (const int[]){2, 1}, two);
        made_write(&m, in_folder("bad.safetensors"));
        made_free(&m);
        FAILS(lora_open(ctx, &lora, in_folder("bad.safetensors")), names[i].code, names[i].part);
        assert_null(lora.list);
    }
    made_start(&m);
    made_write(&m, in_folder("bad.safetensors"));
    made_free(&m);
    FAILS(lora_open(ctx, &lora, in_folder("bad.safetensors")), CLIO_ERROR_UNSUPPORTED, "bad.safetensors has no matrices of a LoRA: use");
    FAILS(lora_open(ctx, &lora, folder), CLIO_ERROR_FILE,
          "is a folder without adapter_model.safetensors or pytorch_lora_weights.safetensors");
    FAILS(lora_open(ctx, &lora, in_folder("absent.safetensors")), CLIO_ERROR_FILE, "no such file");
}

static void test_mismatched_pairs(void **state)
{
    static const struct {
        int down[2], up[2];
    } shapes[] = {{{3, 5}, {7, 2}}, {{0, 5}, {7, 0}}, {{3, 0}, {7, 3}}};
    static const float zeros[64];
    struct lora lora;
    struct made m;
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++) {
        made_start(&m);
        made_floats(&m, "unet." QUERY ".lora_A.weight", 2, shapes[i].down, zeros);
        made_floats(&m, "unet." QUERY ".lora_B.weight", 2, shapes[i].up, zeros);
        made_write(&m, in_folder("bad.safetensors"));
        made_free(&m);
        FAILS(lora_open(ctx, &lora, in_folder("bad.safetensors")), CLIO_ERROR_FORMAT, "do not match");
    }
    made_start(&m);
    made_floats(&m, "unet." QUERY ".lora_A.weight", 2, (const int[]){3, 5}, zeros);
    made_floats(&m, "unet." QUERY ".lora.down.weight", 2, (const int[]){3, 5}, zeros);
    made_write(&m, in_folder("bad.safetensors"));
    made_free(&m);
    FAILS(lora_open(ctx, &lora, in_folder("bad.safetensors")), CLIO_ERROR_FORMAT, "belong to the same matrix");
}

static void test_mismatched_models(void **state)
{
    const char *model = make_model("unet.safetensors", modules, COUNT(modules), "", "F16");
    static const struct module other = {"down_blocks.7.attentions.0.proj_in", 2, {4, 4, 1, 1}}, wide = {QUERY, 2, {7, 6, 1, 1}},
                               pixel = {CONV, 4, {4, 27, 1, 1}};
    const struct module *const wrong[] = {&other, &wide, &pixel};
    const char *const parts[] = {"lora.safetensors updates down_blocks_7_attentions_0_proj_in, which is not in ",
                                 "with a matrix of 7 x 6, but in ", "the LoRA was made for another model"};
    struct weights w, empty = {0};
    struct lora lora;
    struct made m;
    (void)state;
    OK(weights_open(ctx, &w, model, ""));
    for (size_t i = 0; i < COUNT(wrong); i++) {
        made_start(&m);
        if (i > 0)
            add_kohya(&m, &modules[1], 2, "lora_unet_", 1);
        add_kohya(&m, wrong[i], 2, "lora_unet_", 1);
        write_and_open(&m, &lora);
        FAILS(lora_check(ctx, &lora, &w, &empty), CLIO_ERROR_FORMAT, parts[i]);
        assert_non_null(strstr(clio_error(ctx), "unet.safetensors"));
        if (i > 0)
            FAILS(lora_merge(ctx, &lora, LORA_UNET, 1, DTYPE_F32, &w), CLIO_ERROR_FORMAT, parts[i]);
        assert_null(weights_find(&w, OUT ".weight")->owned); /* nothing has changed */
        lora_close(&lora);
    }
    made_start(&m);
    add_kohya(&m, &modules[0], 2, "lora_unet_", 1);
    write_and_open(&m, &lora);
    FAILS(lora_merge(ctx, &lora, LORA_UNET, NAN, DTYPE_F32, &w), CLIO_ERROR_ARGUMENT, "not a number");
    assert_null(weights_find(&w, QUERY ".weight")->owned);
    lora_close(&lora);
    weights_close(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {TEST(test_kohya_names),
                                              TEST(test_ranks),
                                              TEST(test_diffusers_and_peft_names),
                                              TEST(test_text_encoder),
                                              TEST(test_peft_metadata),
                                              TEST(test_peft_adapter),
                                              TEST(test_left_out),
                                              TEST(test_storage),
                                              TEST(test_unsupported_names),
                                              TEST(test_mismatched_pairs),
                                              TEST(test_mismatched_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
