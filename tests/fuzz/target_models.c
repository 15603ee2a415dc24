/* target_models.c - fuzz targets: the configurations of whole models: what clio trained (config.json and those of its networks), a folder
 * of diffusers, Whisper's rules of decoding. */
#include "fuzz.h"

#include "../../host/core/context.h"
#include "../../host/core/safetensors_write.h"
#include "../../models/learners/pretrained.h"
#include "../../models/pipelines/speech_rules.h"

#include <sys/stat.h>

static void make_inner(const char *name)
{
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
}

/* A file of weights that has none. */
static void write_weights(const char *name)
{
    struct safetensors_writer out;
    assert_int_equal(safetensors_writer_open(fuzz_ctx, &out), CLIO_OK);
    assert_int_equal(safetensors_writer_save(fuzz_ctx, &out, in_folder(name)), CLIO_OK);
    safetensors_writer_close(&out);
}

/* As clio sample and clio eval read a model; its weights are missing, or the last part of the input. There is a folder vae if its part of
 * the input is not empty. */
void fuzz_trained_model(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"config.json", "unet/config.json", "scheduler/scheduler_config.json", "vae/config.json",
                                        "model.safetensors"};
    struct learner l;
    struct stat info;
    if (fuzz_is_first()) {
        make_inner("unet");
        make_inner("vae");
        make_inner("scheduler");
        write_weights("unet/diffusion_pytorch_model.safetensors");
        write_weights("vae/diffusion_pytorch_model.safetensors");
    }
    fuzz_open_device();
    (void)rename(in_folder("no-vae"), in_folder("vae")); /* fails where the input before had one */
    fuzz_put_parts(data, size, names, COUNT(names));
    if (stat(in_folder("vae/config.json"), &info) || !info.st_size)
        assert_int_equal(rename(in_folder("vae"), in_folder("no-vae")), 0);
    clio_status st = learner_load(fuzz_ctx, &l, folder);
    fuzz_check(st);
    if (!st)
        learner_close(fuzz_ctx, &l);
}

/* As clio imagine opens a model. */
void fuzz_diffusers(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"unet/config.json", "vae/config.json", "text_encoder/config.json",
                                        "scheduler/scheduler_config.json", "model_index.json"};
    clio_diffusion *p = NULL;
    if (fuzz_is_first()) {
        make_inner("unet");
        make_inner("vae");
        make_inner("text_encoder");
        make_inner("scheduler");
        make_inner("tokenizer");
        write_weights("unet/diffusion_pytorch_model.safetensors");
        write_weights("vae/diffusion_pytorch_model.fp16.safetensors");
        write_weights("text_encoder/model.safetensors");
        fuzz_write_clip_tokenizer("tokenizer/");
    }
    fuzz_open_device();
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = clio_diffusion_load(fuzz_ctx, folder, NULL, &p);
    fuzz_check(st);
    if (!st)
        assert_in_range(clio_diffusion_size(p), 1, 1 << 21);
    clio_diffusion_free(p);
}

/* config.json and generation_config.json, for a vocabulary without tokens. */
void fuzz_speech_rules(const uint8_t *data, size_t size)
{
    enum { VOCAB = 2000 };
    static const char *const names[] = {"config.json", "generation_config.json"};
    static const struct tokenizer tokenizer;
    static const struct whisper_tokens tokens = {.eot = 100, .sot = 101, .timestamp_begin = 300};
    struct speech_rules rules;
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = speech_rules_read(fuzz_ctx, folder, &tokenizer, &tokens, VOCAB, &rules);
    fuzz_check(st);
    if (!st) {
        assert_in_range(rules.last_initial_timestamp, 0, WHISPER_TIMESTAMPS - 1);
        for (int i = 0; i < VOCAB; i++)
            assert_true(rules.suppress[i] <= rules.suppress_first[i] && rules.suppress_first[i] <= 1);
    }
    speech_rules_free(&rules);
}
