/* target_config.c - fuzz targets: configurations of model folders and samplers. */
#include "fuzz.h"

#include "../../models/loaders/sentence_folder.h"
#include "../../models/networks/autoencoder_kl.h"
#include "../../models/networks/autoencoder_tiny.h"
#include "../../models/networks/bert.h"
#include "../../models/networks/clip_text.h"
#include "../../models/networks/unet.h"
#include "../../models/networks/whisper.h"
#include "../../models/samplers/sampler.h"

#include <sys/stat.h>

static bool open_config(struct json_file *file, const uint8_t *data, size_t size)
{
    fuzz_put("config.json", data, size);
    clio_status st = json_open(fuzz_ctx, file, folder, "config.json");
    fuzz_check(st);
    return st == CLIO_OK;
}

void fuzz_unet_config(const uint8_t *data, size_t size)
{
    struct json_file file;
    struct unet_config c;
    if (open_config(&file, data, size))
        fuzz_check(unet_read_config(fuzz_ctx, &file, &c));
    json_close(&file);
}

/* Of an AutoencoderKL and of an AutoencoderTiny, which is read while it is loaded: at the latest the missing weights are an error. */
void fuzz_vae_config(const uint8_t *data, size_t size)
{
    static char path[] = "weights";
    static const struct weights none = {.path = path};
    struct json_file file;
    struct vae_config c;
    struct vae_tiny net;
    fuzz_open_device();
    if (open_config(&file, data, size)) {
        fuzz_check(vae_read_config(fuzz_ctx, &file, &c));
        fuzz_check(vae_tiny_load(fuzz_ctx, &file, &none, VAE_ENCODER | VAE_DECODER, &net));
    }
    json_close(&file);
}

void fuzz_text_config(const uint8_t *data, size_t size)
{
    static char path[] = "weights";
    static const struct weights none = {.path = path};
    struct json_file file;
    struct clip_text_config c;
    struct bert net;
    if (open_config(&file, data, size)) {
        fuzz_check(clip_text_read_config(fuzz_ctx, &file, &c));
        fuzz_check(bert_load(fuzz_ctx, &file, &none, &net)); /* fails at the latest where the weights are missing */
    }
    json_close(&file);
}

void fuzz_sentence_folder(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"modules.json", "1_Pooling/config.json", "2_Dense/config.json", "sentence_bert_config.json"};
    struct sentence_folder s;
    if (fuzz_is_first())
        assert_false(mkdir(in_folder("1_Pooling"), 0700) || mkdir(in_folder("2_Dense"), 0700));
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = sentence_folder_open(fuzz_ctx, &s, folder);
    fuzz_check(st);
    assert_true(st || s.encoder);
    sentence_folder_close(&s);
}

void fuzz_whisper_config(const uint8_t *data, size_t size)
{
    struct whisper net;
    fuzz_put("config.json", data, size);
    fuzz_check(whisper_load(fuzz_ctx, &net, folder)); /* fails at the latest where the weights are missing */
}

static void run_sampler(struct sampler *s)
{
    float x[] = {1, -1, .5f, 0}, y[] = {.1f, .2f, .3f, .4f}, scaled[COUNT(x)];
    struct random generator;
    struct sampler_noise noise = {&generator, 1};
    random_seed(&generator, RANDOM_TORCH_CPU, 1);
    sampler_init_noise(s, x);
    for (int i = s->first; i < s->count && i < s->first + 12; i++) {
        sampler_scale_input(s, i, scaled, x);
        fuzz_check(sampler_step(fuzz_ctx, s, i, y, x, &noise));
    }
}

/* As the file says, and by each method. */
void fuzz_sampler_config(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {NULL,   "pndm",    "ddim",           "ddpm",        "euler", "euler_a",
                                          "heun", "dpm++2m", "dpm++2m_karras", "dpm++2m_sde", "unipc", "lcm"};
    struct json_file file;
    for (size_t i = 0; open_config(&file, data, size) && i < COUNT(methods); i++) {
        const struct sampler_options options = {.method = methods[i], .steps = 4, .stable_diffusion = i % 2 == 0};
        struct sampler *s;
        clio_status st = sampler_new(fuzz_ctx, &s, &file, 4, &options);
        fuzz_check(st);
        if (!st)
            run_sampler(s);
        sampler_free(s);
        json_close(&file);
    }
    json_close(&file);
}
