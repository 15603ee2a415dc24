/* fuzz.h - fuzz targets: each gives the bytes of an input to one reader of files, and what the reader returned to the functions that use
 * it. Memory errors and undefined behaviour are found by the sanitizers; targets.c has the rest of what an input must not do:
 *
 *   - take more than FUZZ_SECONDS of processor time
 *   - hold more memory at one moment than the target's budget and FUZZ_MEMORY_PER_BYTE times its size
 *   - fail without a message, or with CLIO_ERROR_INTERNAL
 *
 * scripts/fuzz runs the targets with libFuzzer; corpus_main.c, as the test fuzz_corpus, over the files of tests/fuzz/corpus/TARGET: a small
 * valid file of each kind, and the inputs that once failed. A target that reads several files gets them as one input, divided by lines of
 * "=====". */
#ifndef CLIO_TEST_FUZZ_H
#define CLIO_TEST_FUZZ_H

#include "../support/folder.h"
#include "../support/test.h"

#define FUZZ_SECONDS 2
#define FUZZ_MEMORY ((size_t)64 << 20)
#define FUZZ_MEMORY_PER_BYTE 20
#define FUZZ_DIVIDER "\n=====\n"

enum fuzz_format { FUZZ_BYTES, FUZZ_JSON, FUZZ_SAFETENSORS }; /* how inputs are changed: mutate.c */

struct fuzz_target {
    const char *name;
    void (*run)(const uint8_t *data, size_t size);
    enum fuzz_format format;
    size_t memory;   /* bytes an input may hold whatever its size; 0: FUZZ_MEMORY */
    size_t max_size; /* of inputs that libFuzzer makes */
};
extern const struct fuzz_target fuzz_targets[]; /* ends with a NULL name */
const struct fuzz_target *fuzz_target_find(const char *name);
/* Run an input within the budgets; abort where it exceeds one. Opens the context and the folder (folder.h) at the first call. */
void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t size);
/* Close them, with all that targets keep: the next call of fuzz_run starts anew. */
void fuzz_close(void);

/* ---- for targets ---- */

/* Without a device, but for fuzz_open_device. */
extern clio_context *fuzz_ctx;
/* A target's first call since the context was opened: time to write the files that are always there. */
bool fuzz_is_first(void);
/* Abort unless a failure has a message, and one that is no bug's. */
void fuzz_check(clio_status st);
/* The input, or its parts, as files of the folder. Files for which there is no part are removed. */
void fuzz_put(const char *name, const uint8_t *data, size_t size);
void fuzz_put_parts(const uint8_t *data, size_t size, const char *const *names, size_t count);
/* The input as text in fresh memory: up to its first zero. */
char *fuzz_text(const uint8_t *data, size_t size);
/* Files of CLIP's tokenizer in an inner folder ("tokenizer/") or "": a vocabulary of bytes, each also at the end of a word; no merges. */
void fuzz_write_clip_tokenizer(const char *inner);
/* Open a device whose buffers hold nothing and whose kernels do nothing (target_device.c), unless it is open. */
void fuzz_open_device(void);

void fuzz_sound(const uint8_t *data, size_t size);
void fuzz_image(const uint8_t *data, size_t size);
void fuzz_exif(const uint8_t *data, size_t size);
void fuzz_safetensors(const uint8_t *data, size_t size);
void fuzz_shards(const uint8_t *data, size_t size);
void fuzz_lora(const uint8_t *data, size_t size);
void fuzz_single_file(const uint8_t *data, size_t size);
void fuzz_embedding(const uint8_t *data, size_t size);
void fuzz_pickle(const uint8_t *data, size_t size);
void fuzz_adapter(const uint8_t *data, size_t size);
void fuzz_autoencoder(const uint8_t *data, size_t size);
void fuzz_unet_config(const uint8_t *data, size_t size);
void fuzz_vae_config(const uint8_t *data, size_t size);
void fuzz_text_config(const uint8_t *data, size_t size);
void fuzz_whisper_config(const uint8_t *data, size_t size);
void fuzz_sampler_config(const uint8_t *data, size_t size);
void fuzz_tokenizer(const uint8_t *data, size_t size);
void fuzz_clip_tokenizer(const uint8_t *data, size_t size);
void fuzz_wordpiece(const uint8_t *data, size_t size);
void fuzz_sentence_folder(const uint8_t *data, size_t size);
void fuzz_prompt(const uint8_t *data, size_t size);
void fuzz_prompt_plan(const uint8_t *data, size_t size);
void fuzz_trained_model(const uint8_t *data, size_t size);
void fuzz_diffusers(const uint8_t *data, size_t size);
void fuzz_speech_rules(const uint8_t *data, size_t size);
void fuzz_checkpoint(const uint8_t *data, size_t size);
void fuzz_settings(const uint8_t *data, size_t size);
void fuzz_csv_log(const uint8_t *data, size_t size);
void fuzz_texts(const uint8_t *data, size_t size);
void fuzz_idx(const uint8_t *data, size_t size);
void fuzz_metadata_csv(const uint8_t *data, size_t size);
void fuzz_metadata_jsonl(const uint8_t *data, size_t size);
void fuzz_params(const uint8_t *data, size_t size);
void fuzz_program_cache(const uint8_t *data, size_t size);
void fuzz_selftests(const uint8_t *data, size_t size);
void fuzz_tune_state(const uint8_t *data, size_t size);
void fuzz_options(const uint8_t *data, size_t size);

#endif
