/* targets.c - the table of fuzz targets, and the budgets of an input; see fuzz.h. */
#define _XOPEN_SOURCE 700 /* setitimer */
#include "fuzz.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_MEMORY
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_MEMORY
#endif
#endif
#ifdef COUNTS_MEMORY
/* As sanitizer/allocator_interface.h and common_interface_defs.h declare them; gcc does not come with these headers everywhere. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
int __sanitizer_get_ownership(const volatile void *memory);
size_t __sanitizer_get_allocated_size(const volatile void *memory);
void __sanitizer_print_stack_trace(void);
#endif

/* An image of IMAGE_PIXELS_FREE pixels is decoded whatever its file's size: 3 bytes per pixel, and as much again or more in decoders. */
#define IMAGE_MEMORY ((size_t)256 << 20)

const struct fuzz_target fuzz_targets[] = {
    {"sound", fuzz_sound, .max_size = 9000},
    {"image", fuzz_image, .memory = IMAGE_MEMORY, .max_size = 20000},
    {"exif", fuzz_exif, .max_size = 20000},
    {"safetensors", fuzz_safetensors, FUZZ_SAFETENSORS, .max_size = 8000},
    {"shards", fuzz_shards, FUZZ_JSON, .max_size = 8000},
    {"lora", fuzz_lora, FUZZ_SAFETENSORS, .max_size = 8000},
    {"single-file", fuzz_single_file, FUZZ_SAFETENSORS, .max_size = 20000},
    {"autoencoder", fuzz_autoencoder, FUZZ_SAFETENSORS, .max_size = 8000},
    {"adapter", fuzz_adapter, FUZZ_JSON, .max_size = 3000},
    {"embedding", fuzz_embedding, .max_size = 4000},
    {"pickle", fuzz_pickle, .max_size = 9000},
    {"unet-config", fuzz_unet_config, FUZZ_JSON, .max_size = 8000},
    {"vae-config", fuzz_vae_config, FUZZ_JSON, .max_size = 8000},
    {"text-config", fuzz_text_config, FUZZ_JSON, .max_size = 8000},
    {"whisper-config", fuzz_whisper_config, FUZZ_JSON, .max_size = 8000},
    {"sampler-config", fuzz_sampler_config, FUZZ_JSON, .max_size = 4000},
    {"tokenizer", fuzz_tokenizer, FUZZ_JSON, .max_size = 20000},
    {"clip-tokenizer", fuzz_clip_tokenizer, FUZZ_JSON, .max_size = 20000},
    {"wordpiece", fuzz_wordpiece, .max_size = 20000},
    {"sentence-folder", fuzz_sentence_folder, FUZZ_JSON, .max_size = 4000},
    {"prompt", fuzz_prompt, .max_size = 3000},
    {"prompt-plan", fuzz_prompt_plan, .max_size = 3000},
    {"trained-model", fuzz_trained_model, FUZZ_JSON, .max_size = 6000},
    {"diffusers", fuzz_diffusers, FUZZ_JSON, .max_size = 8000},
    {"speech-rules", fuzz_speech_rules, FUZZ_JSON, .max_size = 4000},
    {"checkpoint", fuzz_checkpoint, FUZZ_JSON, .max_size = 4000},
    {"settings", fuzz_settings, FUZZ_JSON, .max_size = 4000},
    {"csv-log", fuzz_csv_log, .max_size = 3000},
    {"texts", fuzz_texts, .max_size = 3000},
    {"idx", fuzz_idx, .max_size = 4000},
    {"metadata-csv", fuzz_metadata_csv, .max_size = 3000},
    {"metadata-jsonl", fuzz_metadata_jsonl, FUZZ_JSON, .max_size = 3000},
    {"params", fuzz_params, .max_size = 3000},
    {"program-cache", fuzz_program_cache, .max_size = 1000},
    {"selftests", fuzz_selftests, .max_size = 3000},
    {"tune-state", fuzz_tune_state, .max_size = 3000},
    {"options", fuzz_options, .max_size = 1000},
    {NULL, NULL, FUZZ_BYTES, 0, 0},
};

clio_context *fuzz_ctx;
static bool is_first;
static const struct fuzz_target *running;

const struct fuzz_target *fuzz_target_find(const char *name)
{
    const struct fuzz_target *target = fuzz_targets;
    while (target->name && strcmp(target->name, name) != 0)
        target++;
    return target->name ? target : NULL;
}

/* ---- budgets ---- */

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) /* from a signal handler, and within malloc */
        abort();
}

/* Where an input is, with its stack where a sanitizer can print it. */
static void exceed(const char *what)
{
    say("fuzz target ");
    say(running->name);
    say(": more ");
    say(what);
    say(" than an input may cost\n");
#ifdef COUNTS_MEMORY
    __sanitizer_print_stack_trace();
#endif
    abort();
}

static void on_time(int number)
{
    (void)number;
    exceed("time");
}

static void set_timer(int seconds)
{
    const struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    signal(SIGPROF, on_time);
    assert_int_equal(setitimer(ITIMER_PROF, &timer, NULL), 0);
}

#ifdef COUNTS_MEMORY
static atomic_llong held, budget; /* budget 0: not counting */

static void on_malloc(const volatile void *memory, size_t size)
{
    long long now, most = atomic_load(&budget);
    (void)memory;
    if (!most)
        return;
    now = atomic_fetch_add(&held, (long long)size) + (long long)size;
    if (now > most) {
        atomic_store(&budget, 0);
        exceed("memory");
    }
}

static void on_free(const volatile void *memory)
{
    if (atomic_load(&budget) && memory && __sanitizer_get_ownership(memory))
        atomic_fetch_sub(&held, (long long)__sanitizer_get_allocated_size(memory));
}

static void set_memory(size_t bytes)
{
    static bool installed;
    if (!installed && !__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free))
        abort();
    installed = true;
    atomic_store(&held, 0);
    atomic_store(&budget, (long long)bytes);
}
#else
static void set_memory(size_t bytes)
{
    (void)bytes;
}
#endif

/* ---- running ---- */

bool fuzz_is_first(void)
{
    bool was = is_first;
    is_first = false;
    return was;
}

void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t size)
{
    if (!fuzz_ctx) {
        setenv("CMOCKA_TEST_ABORT", "1", 1); /* an assertion aborts */
        fuzz_ctx = clio_create();
        assert_true(fuzz_ctx && make_folder(NULL) == 0);
        is_first = true;
        running = target;
        target->run((const uint8_t *)"", 0); /* what it makes once counts for no input */
    }
    running = target;
    set_timer(FUZZ_SECONDS);
    set_memory((target->memory ? target->memory : FUZZ_MEMORY) + FUZZ_MEMORY_PER_BYTE * size);
    target->run(data, size);
    set_memory(0);
    set_timer(0);
}

void fuzz_close(void)
{
    clio_destroy(fuzz_ctx);
    fuzz_ctx = NULL;
    if (*folder)
        (void)remove_folder(NULL);
    *folder = 0;
}

void fuzz_check(clio_status st)
{
    const char *text = clio_error(fuzz_ctx);
    if (st == CLIO_OK || (st != CLIO_ERROR_INTERNAL && *text))
        return;
    fprintf(stderr, "fuzz target %s: %s, \"%s\" (%s)\n", running->name, clio_status_name(st), text, clio_error_detail(fuzz_ctx));
    abort();
}

void fuzz_put(const char *name, const uint8_t *data, size_t size)
{
    put(name, data, size);
}

static const uint8_t *find_divider(const uint8_t *data, size_t size)
{
    size_t length = strlen(FUZZ_DIVIDER);
    for (size_t i = 0; i + length <= size; i++)
        if (!memcmp(data + i, FUZZ_DIVIDER, length))
            return data + i;
    return NULL;
}

void fuzz_put_parts(const uint8_t *data, size_t size, const char *const *names, size_t count)
{
    const uint8_t *end = data + size;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *stop = data && i + 1 < count ? find_divider(data, (size_t)(end - data)) : NULL;
        if (data)
            put(names[i], data, (size_t)((stop ? stop : end) - data));
        else
            unlink(in_folder(names[i]));
        data = stop ? stop + strlen(FUZZ_DIVIDER) : NULL;
    }
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    memcpy(text, data, size);
    text[size] = 0;
    return text;
}
