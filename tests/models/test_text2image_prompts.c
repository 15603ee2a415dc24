/* test_text2image_prompts.c - what users rely on when they generate images, with the miniature folders of Stable Diffusion (CLIO_GOLDEN):
 * schedules, composed prompts, LoRAs and embeddings that a prompt names, clip skip, seeds of 64 bits, the overlay outside a mask, networks
 * that give values that are not finite, and the generation parameters byte by byte. */
#include "../support/test_own.h"
#include "../support/test_tensors.h"
#include "../../models/pipelines/text2image.h"

#include <math.h>

#define SIDE 64

#define V1 "sd-v1-tiny"
#define V2 "sd-v2-tiny"

static clio_diffusion *load(const char *model, const clio_diffusion_params *params)
{
    clio_diffusion *p = NULL;
    if (!test_golden_in(model, ""))
        skip();
    assert_ok(clio_diffusion_load(test_context(), test_golden_in(model, ""), params, &p));
    return p;
}

static clio_imagine_params fox(void)
{
    clio_imagine_params a = clio_imagine_defaults();
    a.prompt = "a red fox";
    a.guidance_scale = 4;
    a.width = a.height = SIDE;
    a.steps = 3;
    a.sampler = "euler";
    return a;
}

static clio_image_list *make(clio_diffusion *p, const clio_imagine_params *a)
{
    clio_image_list *images;
    assert_ok(clio_imagine(p, a, &images));
    return images;
}

static int difference(const clio_image *a, const clio_image *b)
{
    int most = 0;
    assert_true(a->width == b->width && a->height == b->height);
    for (size_t i = 0; i < 3 * (size_t)a->width * (size_t)a->height; i++)
        most = MAX(most, abs(a->rgb[i] - b->rgb[i]));
    return most;
}

/* The greatest difference between the images of two prompts. */
static int prompt_difference(clio_diffusion *p, clio_imagine_params a, const char *one, const char *other)
{
    a.prompt = one;
    clio_image_list *x = make(p, &a);
    a.prompt = other;
    clio_image_list *y = make(p, &a);
    int most = difference(&x->list[0].image, &y->list[0].image);
    clio_image_list_free(x);
    clio_image_list_free(y);
    return most;
}

/* ---- prompts ---- */

static void schedules(void **state)
{
    (void)state;
    clio_diffusion *p = load(V1, &(clio_diffusion_params){.keep = 1});
    clio_imagine_params a = fox();
    assert_int_equal(prompt_difference(p, a, "a [red:blue:1.0] fox", "a red fox"), 0);
    assert_int_equal(prompt_difference(p, a, "a [red:blue:0] fox", "a blue fox"), 0);
    assert_true(prompt_difference(p, a, "a [red:blue:2] fox", "a red fox") > 0);
    assert_true(prompt_difference(p, a, "a [red:blue:2] fox", "a blue fox") > 0);
    a.steps = 2;
    assert_int_equal(prompt_difference(p, a, "a [red|blue] fox", "a [red:blue:1] fox"), 0);
    a.prompt_to = "an [owl|eagle]"; /* and of the other end */
    a.frames = 2;
    assert_true(prompt_difference(p, a, "a [red|blue] fox", "a red fox") > 0);
    a = fox();
    a.negative_prompt = "[blurry:sharp:1]";
    clio_image_list *x = make(p, &a);
    a.negative_prompt = "blurry";
    clio_image_list *y = make(p, &a);
    assert_true(difference(&x->list[0].image, &y->list[0].image) > 0);
    clio_image_list_free(x);
    clio_image_list_free(y);
    clio_diffusion_free(p);
}

static void composed_prompts(void **state)
{
    (void)state;
    clio_image_list *images;
    clio_diffusion *p = load(V1, &(clio_diffusion_params){.keep = 1});
    clio_imagine_params a = fox();
    assert_true(prompt_difference(p, a, "a red fox AND an owl :0", "a red fox") <= 1);
    assert_true(prompt_difference(p, a, "a red fox :0.25 AND a red fox :0.75", "a red fox") <= 1);
    assert_true(prompt_difference(p, a, "a red fox AND an owl", "a red fox") > 2);
    assert_true(prompt_difference(p, a, "a red fox AND an owl :0.5", "an owl :0.5 AND a red fox") <= 1);
    assert_true(prompt_difference(p, a, "a red fox AND an [owl|eagle]", "a red fox AND an owl") > 0);
    a.guidance_scale = 0.5; /* no guidance, but for what AND needs */
    assert_true(prompt_difference(p, a, "a red fox AND an owl :0", "a red fox") <= 1);
    a = fox();
    a.prompt = "a fox AND an owl";
    a.prompt_to = "an owl";
    a.frames = 2;
    assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_ARGUMENT, "params.prompt composes 2 prompts with AND");
    a.prompt = "an owl";
    a.prompt_to = "a fox AND an owl";
    assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_ARGUMENT, "params.prompt_to composes 2 prompts with AND");
    clio_diffusion_free(p);
}

/* A LoRA of kohya's form for modules first to end - 1: 0 is in the text encoder, 1 in the UNet; of rank 1. */
static void write_lora(const char *path, int first, int end)
{
    static const char *const names[] = {"lora_te_text_model_encoder_layers_0_self_attn_q_proj",
                                        "lora_unet_down_blocks_0_attentions_0_proj_in"};
    struct made made;
    char name[120];
    float x[64];
    test_random(x, 64, 7);
    made_start(&made);
    for (int i = first; i < end; i++) {
        snprintf(name, sizeof name, "%s.lora_down.weight", names[i]);
        made_floats(&made, name, i ? 4 : 2, i ? (const int[]){1, 32, 1, 1} : (const int[]){1, 32}, x);
        snprintf(name, sizeof name, "%s.lora_up.weight", names[i]);
        made_floats(&made, name, i ? 4 : 2, i ? (const int[]){32, 1, 1, 1} : (const int[]){32, 1}, x);
    }
    made_write(&made, path);
    made_free(&made);
}

static void loras_in_prompts(void **state)
{
    (void)state;
    write_lora(in_folder("style.safetensors"), 0, 2);
    clio_diffusion *p = load(V1, &(clio_diffusion_params){.keep = 1, .lora_dir = folder});
    char path[1100];
    snprintf(path, sizeof path, "%s", in_folder("style.safetensors"));
    clio_diffusion *merged = load(V1, &(clio_diffusion_params){.loras = &(clio_lora){path, 0.5f}, .lora_count = 1});
    clio_imagine_params a = fox();
    clio_image_list *plain = make(p, &a), *want = make(merged, &a);
    a.prompt = "<lora:style:0.5>a red fox";
    clio_image_list *got = make(p, &a);
    assert_int_equal(difference(&want->list[0].image, &got->list[0].image), 0);
    assert_true(difference(&want->list[0].image, &plain->list[0].image) > 0);
    assert_non_null(strstr(got->list[0].parameters, "<lora:style:0.5>a red fox\nSteps: 3, "));
    assert_null(strstr(got->list[0].parameters, "Lora: "));
    assert_non_null(strstr(want->list[0].parameters, ", Lora: \"style.safetensors:0.5\", RNG: "));
    assert_int_equal(prompt_difference(p, a, "a red fox<lora:style:1>", "a red fox<lora:style:0.25> <lora:style:0.75>") > 1, 0);
    write_lora(in_folder("text.safetensors"), 0, 1);
    write_lora(in_folder("unet.safetensors"), 1, 2);
    assert_int_equal(prompt_difference(p, a, "a red fox<lora:style:0.5:2>", "a red fox<lora:text:0.5><lora:unet:2>"), 0);
    assert_true(prompt_difference(p, a, "a red fox<lora:text:0.5>", "a red fox") > 0);
    assert_true(prompt_difference(p, a, "a red fox<lora:unet:2>", "a red fox") > 0);
    assert_true(prompt_difference(p, a, "a red fox<lora:style:0.5:2>", "a red fox<lora:style:2:0.5>") > 0);
    a.prompt = "a red fox"; /* without the tag the model is the one before, which it keeps */
    clio_image_list_free(got);
    got = make(p, &a);
    assert_int_equal(difference(&plain->list[0].image, &got->list[0].image), 0);
    clio_image_list *none;
    a.prompt = "a fox <lora:nothing:1>";
    assert_fails(clio_imagine(p, &a, &none), CLIO_ERROR_FILE, "the prompt names the LoRA \"nothing\"");
    a.prompt = "a fox";
    a.negative_prompt = "<lora:style:1>";
    assert_fails(clio_imagine(p, &a, &none), CLIO_ERROR_ARGUMENT, "params.negative_prompt has \"<lora:style:1>\"");
    clio_image_list_free(plain);
    clio_image_list_free(want);
    clio_image_list_free(got);
    clio_diffusion_free(p);
    clio_diffusion_free(merged);
}

/* An embedding whose vector is that of a word is that word. */
static void embeddings_in_prompts(void **state)
{
    (void)state;
    if (!test_golden_in(V1, ""))
        skip();
    struct weights text = {0};
    struct made made;
    float row[32];
    clio_diffusion *p = load(V1, &(clio_diffusion_params){.embedding_dir = folder});
    int *ids;
    size_t count;
    OK(clip_tokenizer_encode(ctx, &p->tokenizer, "fox", &ids, &count));
    assert_int_equal(count, 1);
    OK(weights_open(ctx, &text, test_golden_in(V1, "text_encoder"), "model"));
    const struct weight *table = weights_find(&text, "text_model.embeddings.token_embedding.weight");
    table = table ? table : weights_find(&text, "embeddings.token_embedding.weight");
    assert_true(table && table->dim[1] == 32);
    OK(weight_floats(ctx, table, (size_t)ids[0] * 32, 32, row));
    free(ids);
    weights_close(&text);
    made_start(&made);
    made_floats(&made, "emb_params", 2, (const int[]){1, 32}, row);
    made_write(&made, in_folder("qqx.safetensors"));
    made_free(&made);
    made_start(&made);
    made_floats(&made, "emb_params", 2, (const int[]){1, 16}, row);
    made_write(&made, in_folder("narrow.safetensors"));
    made_free(&made);
    clio_imagine_params a = fox();
    assert_int_equal(prompt_difference(p, a, "a red QQX", "a red fox"), 0);
    assert_int_equal(prompt_difference(p, a, "a red (embedding:qqx:1.2)", "a red (fox:1.2)"), 0);
    a.negative_prompt = "qqx";
    assert_int_equal(prompt_difference(p, a, "a [red|qqx] owl", "a [red|fox] owl"), 0);
    clio_image_list *none;
    a.prompt = "narrow";
    assert_fails(clio_imagine(p, &a, &none), CLIO_ERROR_ARGUMENT, "has vectors of 16 numbers, and the text encoder of this model takes 32");
    a.prompt = "embedding:missing";
    assert_fails(clio_imagine(p, &a, &none), CLIO_ERROR_ARGUMENT, "the prompt names the embedding \"missing\"");
    clio_diffusion_free(p);
}

static void clip_skip(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int same, other, low, high;
        const char *too_low;
    } cases[] = {{V1, 1, 2, -1, 4, "params.clip_skip is -1"}, {V2, 2, 3, 1, 5, "trained with: use 2 to 4"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        clio_diffusion *p = load(cases[i].model, NULL);
        clio_imagine_params a = fox();
        a.steps = 1;
        clio_image_list *plain = make(p, &a), *same, *other, *none;
        a.clip_skip = cases[i].same;
        same = make(p, &a);
        a.clip_skip = cases[i].other;
        other = make(p, &a);
        assert_int_equal(difference(&plain->list[0].image, &same->list[0].image), 0);
        assert_true(difference(&plain->list[0].image, &other->list[0].image) > 0);
        a.clip_skip = cases[i].low;
        assert_fails(clio_imagine(p, &a, &none), CLIO_ERROR_ARGUMENT, cases[i].too_low);
        a.clip_skip = cases[i].high;
        assert_fails(clio_imagine(p, &a, &none), CLIO_ERROR_ARGUMENT, "has 3 layers: use ");
        clio_image_list_free(plain);
        clio_image_list_free(same);
        clio_image_list_free(other);
        clio_diffusion_free(p);
    }
}

/* ---- seeds, sizes ---- */

static void seeds(void **state)
{
    (void)state;
    clio_diffusion *p = load(V1, &(clio_diffusion_params){.keep = 1});
    clio_imagine_params a = fox();
    a.steps = 1;
    a.seed = UINT64_MAX - 1;
    a.count = 3;
    clio_image_list *three = make(p, &a);
    static const uint64_t want[] = {UINT64_MAX - 1, UINT64_MAX, 0};
    a.count = 1;
    for (int i = 0; i < 3; i++) {
        char text[64];
        a.seed = want[i];
        clio_image_list *one = make(p, &a);
        assert_true(three->list[i].seed == want[i] && one->list[0].seed == want[i]);
        assert_int_equal(difference(&three->list[i].image, &one->list[0].image), 0);
        snprintf(text, sizeof text, ", Seed: %llu, Size: ", (unsigned long long)want[i]);
        assert_non_null(strstr(three->list[i].parameters, text));
        clio_image_list_free(one);
    }
    assert_true(difference(&three->list[0].image, &three->list[1].image) > 10);
    clio_image_list_free(three);
    a.seed = 5;
    a.random_seed = 1;
    clio_image_list *x = make(p, &a), *y = make(p, &a);
    assert_true(x->list[0].seed != y->list[0].seed && x->list[0].seed <= INT32_MAX);
    clio_image_list_free(x);
    clio_image_list_free(y);
    clio_diffusion_free(p);
}

static void sizes_and_strength(void **state)
{
    (void)state;
    static unsigned char pixels[3 * 47 * 31];
    clio_image odd = {47, 31, pixels};
    clio_diffusion *p = load(V1, NULL);
    clio_imagine_params a = fox();
    struct imagine j = {.p = p, .ctx = test_context(), .params = &a};
    a.width = a.height = 0;
    assert_ok(imagine_check(&j));
    assert_true(j.width == clio_diffusion_size(p) && j.height == clio_diffusion_size(p) && j.strength == 0 && j.run_steps == 3);
    a.image = &odd;
    a.steps = 10;
    assert_ok(imagine_check(&j));
    assert_true(j.width == 40 && j.height == 24); /* rounded down */
    assert_true(j.strength == 0.8 && j.run_steps == 8);
    a.strength = 0.35;
    assert_ok(imagine_check(&j));
    assert_true(j.strength == 0.35 && j.run_steps == 3);
    a.mask = &odd;
    a.strength = 0;
    assert_ok(imagine_check(&j));
    assert_true(j.strength == 0 && j.run_steps == 10); /* from noise */
    a.strength = 1;
    assert_ok(imagine_check(&j));
    assert_true(j.strength == 0);
    a.width = 80;
    assert_ok(imagine_check(&j));
    assert_true(j.width == 80 && j.height == 24);
    clio_diffusion_free(p);
}

/* ---- the overlay ---- */

static void overlay(void **state)
{
    (void)state;
    static unsigned char drawn[3 * SIDE * SIDE], mask[3 * SIDE * SIDE];
    clio_image image = {SIDE, SIDE, drawn}, where = {SIDE, SIDE, mask};
    for (int i = 0; i < 3 * SIDE * SIDE; i++) {
        int x = i / 3 % SIDE;
        drawn[i] = (unsigned char)(i * 7);
        mask[i] = x < 24 ? 0 : x < 32 ? 51 : 255; /* a fifth in between */
    }
    clio_diffusion *p = load(V1, &(clio_diffusion_params){.keep = 1});
    clio_imagine_params a = fox();
    a.image = &image;
    a.mask = &where;
    clio_image_list *with = make(p, &a);
    a.no_overlay = 1;
    clio_image_list *without = make(p, &a);
    int changed = 0;
    for (int i = 0; i < 3 * SIDE * SIDE; i++) {
        int got = with->list[0].image.rgb[i], raw = without->list[0].image.rgb[i];
        int want = (int)lrint((mask[i] * raw + (255 - mask[i]) * drawn[i]) / 255.0);
        if (got != want)
            fail_msg("value %d is %d, expected %d", i, got, want);
        changed += mask[i] == 0 && raw != drawn[i];
    }
    assert_true(changed > 100); /* what the overlay is for */
    assert_non_null(strstr(with->list[0].parameters, ", Denoising strength: 1, Mask: yes, RNG: "));
    assert_non_null(strstr(without->list[0].parameters, ", Mask: yes, Overlay: no, RNG: "));
    clio_image_list_free(with);
    clio_image_list_free(without);
    clio_diffusion_free(p);
}

/* ---- values that are not finite ---- */

/* In `folder`: sd-v1-tiny with this value in all of the tensor `name` of a part. */
static void break_part(const char *part, const char *stem, const char *name, float value)
{
    static const char *const parts[] = {"model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae", "taesd"};
    struct weights w = {0};
    struct made made;
    char path[200];
    for (size_t i = 0; i < COUNT(parts); i++)
        if (strcmp(parts[i], part) != 0)
            assert_int_equal(symlink(test_golden_in(V1, parts[i]), in_folder(parts[i])), 0);
    assert_int_equal(mkdir(in_folder(part), 0700), 0);
    snprintf(path, sizeof path, "%s/config.json", part);
    assert_int_equal(symlink(test_golden_in(V1, path), in_folder(path)), 0);
    OK(weights_open(ctx, &w, test_golden_in(V1, part), stem));
    made_start(&made);
    bool found = false;
    for (size_t i = 0; i < w.count; i++) {
        bool broken = strstr(w.list[i].name, name) && !found;
        found = found || broken;
        if (broken) {
            float *x = malloc(w.list[i].count * sizeof *x);
            for (size_t k = 0; k < w.list[i].count; k++)
                x[k] = value;
            made_floats(&made, w.list[i].name, w.list[i].ndim, w.list[i].dim, x);
            free(x);
        } else {
            made_copy(&made, w.list[i].name, &w.list[i]);
        }
    }
    assert_true(found);
    snprintf(path, sizeof path, "%s/%s.safetensors", part, stem);
    made_write(&made, in_folder(path));
    made_free(&made);
    weights_close(&w);
}

static void expect_not_finite(const char *part, const char *stem, const char *name, bool tiny, bool from_image, const char *want)
{
    static unsigned char pixels[3 * SIDE * SIDE];
    clio_image image = {SIDE, SIDE, pixels};
    clio_diffusion *p;
    clio_image_list *images;
    clio_imagine_params a = fox();
    char taesd[200];
    if (!test_golden_in(V1, ""))
        skip();
    break_part(part, stem, name, NAN);
    snprintf(taesd, sizeof taesd, "%s", in_folder("taesd"));
    assert_ok(clio_diffusion_load(test_context(), folder, &(clio_diffusion_params){.taesd = tiny ? taesd : NULL}, &p));
    a.steps = 2;
    a.image = from_image ? &image : NULL;
    a.strength = from_image ? 0.5 : 0;
    assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_FORMAT, want);
    assert_null(images);
    assert_non_null(strstr(clio_error(test_context()), "values that are not finite"));
    clio_diffusion_free(p);
}

static void text_encoder_not_finite(void **state)
{
    (void)state;
    expect_not_finite("text_encoder", "model", "layers.1.mlp.fc1.weight", false, false, "the text encoder of ");
}

static void unet_not_finite(void **state)
{
    (void)state;
    expect_not_finite("unet", "diffusion_pytorch_model", "conv_out.weight", false, false, "the UNet of ");
}

static void vae_decoder_not_finite(void **state)
{
    (void)state;
    expect_not_finite("vae", "diffusion_pytorch_model", "decoder.conv_out.weight", false, false, "the VAE decoder of ");
}

static void vae_encoder_not_finite(void **state)
{
    (void)state;
    expect_not_finite("vae", "diffusion_pytorch_model", "encoder.conv_out.weight", false, true, "the VAE encoder of ");
}

static void tiny_decoder_not_finite(void **state)
{
    (void)state;
    expect_not_finite("taesd", "diffusion_pytorch_model", "decoder.layers", true, false, "the tiny autoencoder's decoder of ");
}

/* A table and a matrix; tests/ops/test_matrix_types.c has the other types. */
static void too_large_for_f16(void **state)
{
    static const char *const cases[][3] = {{"text_encoder", "model", "token_embedding.weight"},
                                           {"unet", "diffusion_pytorch_model", "attn2.to_k.weight"}};
    (void)state;
    if (!test_golden_in(V1, ""))
        skip();
    for (size_t i = 0; i < COUNT(cases); i++) {
        clio_diffusion *p;
        clio_image_list *images;
        clio_imagine_params a = fox();
        if (i) {
            tear_down(state);
            set_up(state);
        }
        break_part(cases[i][0], cases[i][1], cases[i][2], 70000);
        assert_ok(clio_diffusion_load(test_context(), folder, NULL, &p));
        assert_fails(clio_imagine(p, &a, &images), CLIO_ERROR_UNSUPPORTED,
                     "has values that are too large for f16: load them with the weight type f32");
        assert_non_null(strstr(clio_error(test_context()), cases[i][2]));
        assert_non_null(strstr(clio_error(test_context()), cases[i][1]));
        assert_null(images);
        clio_diffusion_free(p);
    }
}

/* ---- the generation parameters ---- */

static char *described(clio_diffusion *p, const clio_imagine_params *a)
{
    struct imagine j = {.p = p, .ctx = test_context(), .params = a};
    char *text;
    assert_ok(imagine_check(&j));
    assert_ok(imagine_describe(&j, 0, &text));
    return text;
}

/* All of the text but for its end, which names the device. */
static void expect_text(clio_diffusion *p, const clio_imagine_params *a, const char *want)
{
    char *text = described(p, a), *end = strstr(text, ", Device: ");
    if (!end || (size_t)(end - text) != strlen(want) || strncmp(text, want, strlen(want)) != 0)
        fail_msg("\"%s\", expected \"%s\"", text, want);
    end = strstr(end, ", Version: clio ");
    assert_true(end && !strcmp(end + strlen(", Version: clio "), clio_version()));
    free(text);
}

static void parameters(void **state)
{
    (void)state;
    static unsigned char pixels[3 * SIDE * SIDE];
    clio_image image = {SIDE, SIDE, pixels};
    clio_diffusion *p = load(V1, NULL);
    clio_imagine_params a = fox();
#define IS(want) expect_text(p, &a, want)
    IS("a red fox\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 42, Size: 64x64, Model: sd-v1-tiny, RNG: CPU");
    a.negative_prompt = "blurry, (bad:1.2)";
    a.sampler = "dpm++2m_karras";
    a.guidance_scale = 7.1;
    a.clip_skip = 2;
    a.rng = CLIO_RNG_CUDA;
    a.seed = UINT64_MAX;
    IS("a red fox\nNegative prompt: blurry, (bad:1.2)\nSteps: 3, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.1, Seed: "
       "18446744073709551615, Size: 64x64, Model: sd-v1-tiny, Clip skip: 2, RNG: GPU");
    a = fox();
    a.sampler = "ddim";
    a.eta = 0.3;
    a.guidance_rescale = 0.7;
    a.timestep_spacing = "trailing";
    a.tiling = 1;
    a.image = &image;
    a.strength = 1 / 3.0 + 0.5;
    IS("a red fox\nSteps: 3, Sampler: DDIM, CFG scale: 4, Seed: 42, Size: 64x64, Model: sd-v1-tiny, Denoising strength: "
       "0.8333333333333333, "
       "Eta DDIM: 0.3, CFG Rescale: 0.7, Spacing: trailing, VAE Tiling: yes, RNG: CPU");
    a = fox();
    a.prompt = "a fox,\na \"dog\"";
    a.prompt_to = "an owl, \"grey\"";
    a.interpolate_seed = 1;
    a.seed_to = UINT64_MAX;
    a.frames = 4;
    IS("a fox,\na \"dog\"\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 42, Size: 64x64, Model: sd-v1-tiny, Prompt to: \"an owl, "
       "\\\"grey\\\"\", Seed to: 18446744073709551615, Frames: 4, RNG: CPU");
    static const char *const names[][2] = {{"pndm", "PLMS"},
                                           {"ddim", "DDIM"},
                                           {"ddpm", "DDPM"},
                                           {"euler_a", "Euler a"},
                                           {"heun", "Heun"},
                                           {"dpm++2m", "DPM++ 2M"},
                                           {"dpm++2m_sde", "DPM++ 2M SDE"},
                                           {"dpm++2m_sde_karras", "DPM++ 2M SDE, Schedule type: Karras"},
                                           {"unipc", "UniPC"},
                                           {"lcm", "LCM"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        char want[80];
        a = fox();
        a.steps = 4;
        a.sampler = names[i][0];
        char *text = described(p, &a);
        snprintf(want, sizeof want, "Sampler: %s, CFG", names[i][1]);
        if (!strstr(text, want))
            fail_msg("%s: %s", names[i][0], text);
        free(text);
    }
    clio_diffusion_free(p);
    a = fox();
    p = load(V2, NULL);
    IS("a red fox\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 42, Size: 64x64, Model: sd-v2-tiny, Prediction: v_prediction, RNG: CPU");
    clio_diffusion_free(p);
}

/* Names that are no UTF-8 or have commas, a tiny autoencoder, several LoRAs. */
static void parameters_of_the_model(void **state)
{
    (void)state;
    char model[200], taesd[1100], paths[2][200];
    clio_diffusion *p;
    clio_imagine_params a = fox();
    if (!test_golden_in(V1, ""))
        skip();
    snprintf(model, sizeof model, "%s", in_folder("sd, my\xff"));
    snprintf(taesd, sizeof taesd, "%s", test_golden_in(V1, "taesd"));
    assert_int_equal(symlink(test_golden_in(V1, ""), model), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s", in_folder(i ? "b.safetensors" : "a.safetensors"));
        write_lora(paths[i], 0, 2);
    }
    const clio_lora loras[] = {{paths[0], 0.8f}, {paths[1], -1}};
    assert_ok(clio_diffusion_load(test_context(), model, &(clio_diffusion_params){.taesd = taesd, .loras = loras, .lora_count = 2}, &p));
    IS("a red fox\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 42, Size: 64x64, Model: \"sd, my\\\\xff\", VAE Decoder: TAESD, Lora: "
       "\"a.safetensors:0.8, b.safetensors:-1\", RNG: CPU");
    static unsigned char pixels[3 * SIDE * SIDE];
    clio_image image = {SIDE, SIDE, pixels};
    a.image = &image;
    IS("a red fox\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 42, Size: 64x64, Model: \"sd, my\\\\xff\", Denoising strength: 0.8, VAE "
       "Encoder: TAESD, VAE Decoder: TAESD, Lora: \"a.safetensors:0.8, b.safetensors:-1\", RNG: CPU");
    clio_diffusion_free(p);
    a = fox();
    clio_diffusion_params other = {.vae = test_golden_in(V1, "vae/diffusion_pytorch_model.safetensors"), .taesd = taesd};
    assert_fails(clio_diffusion_load(test_context(), model, &other, &p), CLIO_ERROR_ARGUMENT,
                 "params.vae and params.taesd both replace the model's VAE: leave one out, or set params.taesd_preview_only");
    other.taesd_preview_only = 1;
    assert_ok(clio_diffusion_load(test_context(), model, &other, &p));
    IS("a red fox\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 42, Size: 64x64, Model: \"sd, my\\\\xff\", VAE: "
       "diffusion_pytorch_model.safetensors, RNG: CPU");
    clio_diffusion_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),
        cmocka_unit_test(composed_prompts),
        cmocka_unit_test_setup_teardown(loras_in_prompts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(embeddings_in_prompts, set_up, tear_down),
        cmocka_unit_test(clip_skip),
        cmocka_unit_test(seeds),
        cmocka_unit_test(sizes_and_strength),
        cmocka_unit_test(overlay),
        cmocka_unit_test_setup_teardown(too_large_for_f16, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_encoder_not_finite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unet_not_finite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vae_decoder_not_finite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vae_encoder_not_finite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tiny_decoder_not_finite, set_up, tear_down),
        cmocka_unit_test(parameters),
        cmocka_unit_test_setup_teardown(parameters_of_the_model, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
