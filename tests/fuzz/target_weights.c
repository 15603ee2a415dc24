/* target_weights.c - fuzz targets: safetensors files, shards, LoRA, single-file checkpoints of Stable Diffusion. */
#include "fuzz.h"

#include "../../host/core/safetensors_write.h"
#include "../../models/loaders/lora.h"
#include "../../models/loaders/single_file.h"
#include "../../models/networks/autoencoder_kl.h"
#include "../../models/networks/clip_text.h"
#include "../../models/networks/unet.h"

/* Read both ends of every tensor. */
static void read_weights(const struct weights *w)
{
    enum { SOME = 16 };
    for (size_t i = 0; i < w->count; i++) {
        const struct weight *tensor = &w->list[i];
        float x[SOME];
        size_t count = MIN(tensor->count, (size_t)SOME);
        fuzz_check(weight_floats(fuzz_ctx, tensor, 0, count, x));
        fuzz_check(weight_floats(fuzz_ctx, tensor, tensor->count - count, count, x));
        assert_ptr_equal(weights_find(w, tensor->name)->name, tensor->name);
    }
}

void fuzz_safetensors(const uint8_t *data, size_t size)
{
    struct weights w;
    char *text = NULL;
    fuzz_put("x.safetensors", data, size);
    clio_status st = weights_open(fuzz_ctx, &w, in_folder("x.safetensors"), "");
    fuzz_check(st);
    if (st)
        return;
    read_weights(&w);
    fuzz_check(weights_note(fuzz_ctx, &w, "format", &text));
    free(text);
    weights_close(&w);
}

void fuzz_shards(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"model.safetensors.index.json", "a.safetensors", "b.safetensors"};
    struct weights w;
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = weights_open(fuzz_ctx, &w, folder, "model");
    fuzz_check(st);
    if (st)
        return;
    read_weights(&w);
    weights_close(&w);
}

/* The weights that LoRA files are merged into. */
static void write_base(const char *path)
{
    static const struct {
        const char *name;
        int ndim, dim[4];
    } tensors[] = {{"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight", 2, {4, 6}},
                   {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight", 2, {4, 4}},
                   {"conv_in.weight", 4, {4, 3, 3, 3}},
                   {"text_model.encoder.layers.0.self_attn.q_proj.weight", 2, {4, 4}}};
    static const float values[4 * 3 * 3 * 3];
    struct safetensors_writer out;
    assert_int_equal(safetensors_writer_open(fuzz_ctx, &out), CLIO_OK);
    for (size_t i = 0; i < COUNT(tensors); i++)
        assert_int_equal(safetensors_writer_add(fuzz_ctx, &out, tensors[i].name, tensors[i].ndim, tensors[i].dim, values), CLIO_OK);
    assert_int_equal(safetensors_writer_save(fuzz_ctx, &out, path), CLIO_OK);
    safetensors_writer_close(&out);
}

void fuzz_lora(const uint8_t *data, size_t size)
{
    struct lora lora;
    struct weights base;
    if (fuzz_is_first())
        write_base(in_folder("base.safetensors"));
    fuzz_put("lora.safetensors", data, size);
    clio_status st = lora_open(fuzz_ctx, &lora, in_folder("lora.safetensors"));
    fuzz_check(st);
    if (st)
        return;
    fuzz_check(weights_open(fuzz_ctx, &base, in_folder("base.safetensors"), ""));
    fuzz_check(lora_check(fuzz_ctx, &lora, &base, &base));
    fuzz_check(lora_merge(fuzz_ctx, &lora, LORA_UNET, 0.7f, DTYPE_F16, &base));
    fuzz_check(lora_merge(fuzz_ctx, &lora, LORA_TEXT_ENCODER, 0.7f, DTYPE_F32, &base));
    weights_close(&base);
    lora_close(&lora);
}

void fuzz_single_file(const uint8_t *data, size_t size)
{
    struct single_file s;
    struct unet_config unet;
    struct vae_config vae;
    struct clip_text_config text;
    fuzz_put("model.safetensors", data, size);
    clio_status st = single_file_open(fuzz_ctx, &s, in_folder("model.safetensors"), NULL);
    fuzz_check(st);
    if (st)
        return;
    fuzz_check(unet_read_config(fuzz_ctx, &s.unet_config, &unet));
    fuzz_check(vae_read_config(fuzz_ctx, &s.vae_config, &vae));
    fuzz_check(clip_text_read_config(fuzz_ctx, &s.text_encoder_config, &text));
    single_file_close(&s);
}
