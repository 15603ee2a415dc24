/* target_adapters.c - fuzz targets: files that change a model: textual inversion with the pickles of torch.save, PEFT's
 * adapter_config.json, an autoencoder in one file. */
#include "fuzz.h"

#include "../../host/core/pickle.h"
#include "../../host/core/safetensors_write.h"
#include "../../models/loaders/embedding_file.h"
#include "../../models/loaders/lora.h"
#include "../../models/loaders/single_file.h"
#include "../../models/networks/autoencoder_kl.h"
#include "../../models/networks/autoencoder_tiny.h"

static void read_embedding(const char *path)
{
    struct embedding_rows rows;
    float sum = 0;
    clio_status st = embedding_file_read(fuzz_ctx, path, &rows);
    fuzz_check(st);
    assert_true(st ? !rows.rows : rows.vectors > 0 && rows.width > 0);
    for (size_t i = 0; i < (size_t)rows.vectors * (size_t)rows.width; i++)
        sum += rows.rows[i];
    (void)sum;
    free(rows.rows);
}

/* A whole file, of whichever format. */
void fuzz_embedding(const uint8_t *data, size_t size)
{
    fuzz_put("x.pt", data, size);
    read_embedding(in_folder("x.pt"));
}

/* ---- pickles ---- */

#define STORAGE_BYTES 64

static void add_number(struct bytes *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        assert_int_equal(bytes_add(fuzz_ctx, to, &(char){(char)(value >> 8 * i)}, 1), CLIO_OK);
}

/* Append a stored entry, and its row of the central directory. */
static void add_entry(struct bytes *zip, struct bytes *directory, const char *name, const uint8_t *data, size_t size)
{
    uint32_t at = (uint32_t)zip->size, length = (uint32_t)strlen(name);
    fuzz_check(bytes_print(fuzz_ctx, zip, "PK%c%c", 3, 4));
    fuzz_check(bytes_print(fuzz_ctx, directory, "PK%c%c", 1, 2));
    add_number(directory, 0, 2); /* made by */
    for (int i = 0; i < 2; i++) {
        struct bytes *to = i ? directory : zip;
        for (int k = 0; k < 14; k++)
            add_number(to, 0, 1); /* version, flags, stored, time, checksum */
        add_number(to, (uint32_t)size, 4);
        add_number(to, (uint32_t)size, 4);
        add_number(to, length, 2);
        add_number(to, 0, 2);
    }
    for (int k = 0; k < 10; k++)
        add_number(directory, 0, 1);
    add_number(directory, at, 4);
    fuzz_check(bytes_add(fuzz_ctx, directory, name, length));
    fuzz_check(bytes_add(fuzz_ctx, zip, name, length));
    fuzz_check(bytes_add(fuzz_ctx, zip, data, size));
}

/* The program in data.pkl, in an archive whose storages are always there. */
static void put_archive(const char *name, const uint8_t *program, size_t size)
{
    static const uint8_t storage[STORAGE_BYTES];
    struct bytes zip = {0}, directory = {0};
    add_entry(&zip, &directory, "archive/data.pkl", program, size);
    add_entry(&zip, &directory, "archive/data/0", storage, sizeof storage);
    add_entry(&zip, &directory, "archive/data/1", storage, 2);
    uint32_t from = (uint32_t)zip.size;
    fuzz_check(bytes_add(fuzz_ctx, &zip, directory.data, directory.size));
    fuzz_check(bytes_print(fuzz_ctx, &zip, "PK%c%c", 5, 6));
    add_number(&zip, 0, 4);
    add_number(&zip, 3, 2);
    add_number(&zip, 3, 2);
    add_number(&zip, (uint32_t)directory.size, 4);
    add_number(&zip, from, 4);
    add_number(&zip, 0, 2);
    fuzz_put(name, (const uint8_t *)zip.data, zip.size);
    bytes_free(&zip);
    bytes_free(&directory);
}

/* Both ends of every tensor. */
static void read_tensors(const char *path)
{
    struct weights w;
    float x[8];
    clio_status st = weights_open(fuzz_ctx, &w, path, NULL);
    fuzz_check(st);
    for (size_t i = 0; !st && i < w.count; i++) {
        size_t count = MIN(w.list[i].count, COUNT(x));
        fuzz_check(weight_floats(fuzz_ctx, &w.list[i], 0, count, x));
        fuzz_check(weight_floats(fuzz_ctx, &w.list[i], w.list[i].count - count, count, x));
        assert_ptr_equal(weights_find(&w, w.list[i].name)->name, w.list[i].name);
    }
    if (!st)
        weights_close(&w);
}

/* Bytes of all texts, each as often as it is held. */
static size_t walk(const struct pickle *p, const struct pickle_value *v, size_t *visits)
{
    const struct pickle_value *item;
    size_t sum = 0;
    const char *text = pickle_text(p, v);
    for (size_t i = 0; text && i <= v->text.size; i++) /* the zero too */
        sum += (unsigned char)text[i];
    for (size_t i = 0; (item = pickle_item(p, v, i)) && ++*visits < 100000; i++)
        sum += walk(p, item, visits);
    return sum;
}

static void read_values(const char *path)
{
    struct pickle p;
    size_t visits = 0;
    clio_status st = pickle_open(fuzz_ctx, &p, path);
    fuzz_check(st);
    if (st)
        return;
    assert_true(walk(&p, pickle_root(&p), &visits) < SIZE_MAX);
    pickle_close(&p);
}

/* A whole file of any form, and the same bytes as the program in an archive. */
void fuzz_pickle(const uint8_t *data, size_t size)
{
    fuzz_put("x.pkl", data, size);
    read_tensors(in_folder("x.pkl"));
    read_values(in_folder("x.pkl"));
    put_archive("x.pt", data, size);
    read_tensors(in_folder("x.pt"));
    read_values(in_folder("x.pt"));
    read_embedding(in_folder("x.pt"));
}

/* ---- adapters of PEFT ---- */

/* Matrices of a few modules, without alpha. */
static void write_adapter(const char *path)
{
    static const char *const modules[] = {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
                                          "unet.up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj", "unet.conv_in",
                                          "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"};
    static const int down[] = {2, 6}, up[] = {4, 2};
    static const float values[12];
    struct safetensors_writer out;
    char name[200];
    assert_int_equal(safetensors_writer_open(fuzz_ctx, &out), CLIO_OK);
    for (size_t i = 0; i < COUNT(modules); i++) {
        snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", modules[i]);
        assert_int_equal(safetensors_writer_add(fuzz_ctx, &out, name, 2, down, values), CLIO_OK);
        snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", modules[i]);
        assert_int_equal(safetensors_writer_add(fuzz_ctx, &out, name, 2, up, values), CLIO_OK);
    }
    assert_int_equal(safetensors_writer_save(fuzz_ctx, &out, path), CLIO_OK);
    safetensors_writer_close(&out);
}

/* adapter_config.json. */
void fuzz_adapter(const uint8_t *data, size_t size)
{
    struct lora lora;
    if (fuzz_is_first())
        write_adapter(in_folder("adapter_model.safetensors"));
    fuzz_put("adapter_config.json", data, size);
    clio_status st = lora_open(fuzz_ctx, &lora, folder);
    fuzz_check(st);
    for (size_t i = 0; !st && i < lora.count; i++)
        assert_true(lora.list[i].scale - lora.list[i].scale == 0); /* finite */
    if (!st)
        lora_close(&lora);
}

/* ---- autoencoders ---- */

void fuzz_autoencoder(const uint8_t *data, size_t size)
{
    struct single_file s;
    struct vae net;
    struct vae_tiny tiny;
    fuzz_open_device();
    fuzz_put("vae.safetensors", data, size);
    clio_status st = autoencoder_file_open(fuzz_ctx, &s, in_folder("vae.safetensors"));
    fuzz_check(st);
    if (st)
        return;
    if (weights_find(&s.vae, "decoder.layers.0.weight")) {
        fuzz_check(vae_tiny_load(fuzz_ctx, &s.vae_config, &s.vae, VAE_ENCODER | VAE_DECODER, &tiny));
        vae_tiny_free(fuzz_ctx, &tiny);
    } else {
        fuzz_check(vae_load(fuzz_ctx, &s.vae_config, &s.vae, VAE_ENCODER | VAE_DECODER, &net));
        vae_free(fuzz_ctx, &net);
    }
    single_file_close(&s);
}
