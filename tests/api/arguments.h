/* arguments.h - the part of test_api_arguments that is written by hand: valid arguments, and what a refusal looks like. arguments.awk makes
 * the rest from clio.h.
 *
 * valid_TYPE: a model to call functions with, a callback, or a function that fills in a struct; a struct without one is all zero. Strings
 * are a path that does not exist: arguments are checked before files are opened. Every context cancels at the first report of progress, so
 * that a call whose arguments are allowed does little. */
#ifndef CLIO_TEST_ARGUMENTS_H
#define CLIO_TEST_ARGUMENTS_H

#include <clio.h>

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static clio_context *arguments_shared; /* of the models */
static clio_speech *valid_clio_speech;
static clio_generator *valid_clio_generator;
static clio_embedder *valid_clio_embedder;
static clio_diffusion *valid_clio_diffusion; /* NULL where the golden folder is not here */
static char arguments_folder[900];
static int failures, refused, allowed;

static int valid_clio_progress_fn(void *user, const char *what, double done, double total)
{
    (void)user, (void)what, (void)done, (void)total;
    return 1;
}

static void valid_clio_notice_fn(void *user, const char *text)
{
    (void)user, (void)text;
}

static int valid_clio_file_fn(void *user, size_t index, clio_status status, clio_transcript *transcript)
{
    (void)user, (void)index, (void)status;
    clio_transcript_free(transcript);
    return 1;
}

static int valid_clio_parallel_file_fn(void *user, size_t index, size_t device, clio_status status, const char *error,
                                       clio_transcript *transcript)
{
    (void)device, (void)error;
    return valid_clio_file_fn(user, index, status, transcript);
}

static inline clio_speech_params valid_clio_speech_params(void)
{
    return clio_speech_defaults();
}

static inline clio_image valid_clio_image(void)
{
    static const unsigned char rgb[64 * 64 * 3];
    return (clio_image){64, 64, rgb};
}

static inline clio_imagine_result valid_clio_imagine_result(void)
{
    return (clio_imagine_result){.image = valid_clio_image()};
}

static inline clio_image_list valid_clio_image_list(void)
{
    static clio_imagine_result list[1];
    list[0] = valid_clio_imagine_result();
    return (clio_image_list){list, 1};
}

static inline clio_metadata_entry valid_clio_metadata_entry(void)
{
    return (clio_metadata_entry){"key", "text"};
}

static inline clio_lora valid_clio_lora(void)
{
    return (clio_lora){"/nonexistent/lora.safetensors", 1};
}

static inline clio_imagine_params valid_clio_imagine_params(void)
{
    static clio_image image;
    clio_imagine_params params = clio_imagine_defaults();
    image = valid_clio_image();
    params.prompt = "a red fox";
    params.image = &image; /* a mask needs one */
    return params;
}

/* vae as well as taesd. */
static inline clio_diffusion_params valid_clio_diffusion_params(void)
{
    return (clio_diffusion_params){.taesd_preview_only = 1};
}

/* Resumed, so that the model may be NULL. */
static inline clio_train_params valid_clio_train_params(void)
{
    return (clio_train_params){.model = "vae", .data = "/nonexistent/data", .out = "/nonexistent/run", .resume = 1};
}

static inline clio_evaluate_params valid_clio_evaluate_params(void)
{
    return (clio_evaluate_params){.model = "/nonexistent/model", .data = "/nonexistent/data", .count = 10};
}

/* ---- what a call must do ---- */

static void is_true(int holds, const char *function, const char *path)
{
    if (holds)
        return;
    fprintf(stderr, "%s, %s: an output or result is not what clio.h says\n", function, path);
    failures++;
}

/* Whether a sentence names the parameter as a word of its own. */
static int names(const char *sentence, const char *path)
{
    size_t length = strlen(path);
    for (const char *at = sentence; (at = strstr(at, path)); at++) {
        char before = at > sentence ? at[-1] : ' ', after = at[length];
        if (!isalnum((unsigned char)before) && before != '_' && before != '.' && !isalnum((unsigned char)after) && after != '_')
            return 1;
    }
    return 0;
}

/* One sentence: "clio_image_write: image is NULL". */
static int is_sentence(const char *text, const char *function)
{
    size_t length = strlen(function);
    return !strncmp(text, function, length) && !strncmp(text + length, ": ", 2) && strlen(text) > length + 8 && !strchr(text, '\n') &&
           !strstr(text, ". ") && text[strlen(text) - 1] != '.';
}

static void refuse(clio_status status, const clio_context *ctx, const char *function, const char *path)
{
    const char *sentence = clio_error(ctx);
    refused++;
    if (status == CLIO_ERROR_ARGUMENT && is_sentence(sentence, function) && names(sentence, path) && *clio_error_detail(ctx))
        return;
    fprintf(stderr, "%s, %s: expected a refusal that names it, got %s: %s\n", function, path, clio_status_name(status), sentence);
    failures++;
}

static void allow(clio_status status, const clio_context *ctx, const char *function, const char *path)
{
    allowed++;
    if (status != CLIO_ERROR_ARGUMENT || !is_sentence(clio_error(ctx), function) || !names(clio_error(ctx), path))
        return;
    fprintf(stderr, "%s, %s: clio.h allows it, and it is refused: %s\n", function, path, clio_error(ctx));
    failures++;
}

static void attempt(clio_status status, const clio_context *ctx, const char *function, const char *path)
{
    (void)status, (void)ctx, (void)function, (void)path;
    allowed++;
}

/* ---- beginning and end ---- */

static void arguments_skip(const char *function)
{
    fprintf(stderr, "SKIPPED: the golden folder sd-v1-tiny is not here (set CLIO_GOLDEN to its folder): %s\n", function);
    failures += getenv("CLIO_REQUIRE") != NULL;
}

static clio_context *arguments_context(void)
{
    clio_context *ctx = clio_create();
    if (!ctx || clio_device_open(ctx, NULL)) {
        fprintf(stderr, "no device: %s\n", clio_error(ctx));
        exit(1);
    }
    clio_set_progress(ctx, valid_clio_progress_fn, NULL);
    return ctx;
}

static void arguments_close(clio_context *ctx)
{
    clio_destroy(ctx);
}

/* The models: Whisper with random weights, a VAE after one step, Stable Diffusion in miniature. */
static int arguments_open(void)
{
    char command[6000], speech[1000], images[1000], vae[1000], diffusion[1000];
    const char *golden = getenv("CLIO_GOLDEN");
    snprintf(arguments_folder, sizeof arguments_folder, "%s/arguments.XXXXXX", CLIO_BUILD_DIR);
    if (!mkdtemp(arguments_folder) || setenv("CLIO_TUNED_DIR", arguments_folder, 1))
        return 1;
    snprintf(speech, sizeof speech, "%s/speech", arguments_folder);
    snprintf(images, sizeof images, "%s/images", arguments_folder);
    snprintf(vae, sizeof vae, "%s/vae", arguments_folder);
    snprintf(diffusion, sizeof diffusion, "%s/sd-v1-tiny", golden ? golden : CLIO_SOURCE_DIR "/../shared/golden");
    clio_train_params training = {.model = "vae",
                                  .data = images,
                                  .out = vae,
                                  .settings = "{\"hidden_size\": 8, \"latent_dim\": 4, \"batch_size\": 6, \"max_steps\": 1}"};
    arguments_shared = arguments_context();
    clio_set_progress(arguments_shared, NULL, NULL);
    snprintf(command, sizeof command, "'%s/tests/make_whisper' mini '%s' && '%s/tests/make_images' '%s' 12 16", CLIO_BUILD_DIR, speech,
             CLIO_BUILD_DIR, images);
    if (system(command))
        return 1;
    if (clio_speech_load(arguments_shared, speech, &valid_clio_speech) || clio_train(arguments_shared, &training) ||
        clio_generator_load(arguments_shared, vae, &valid_clio_generator) ||
        clio_embedder_load(arguments_shared, CLIO_SOURCE_DIR "/tests/golden/bert/plain", &valid_clio_embedder) ||
        (!access(diffusion, F_OK) && clio_diffusion_load(arguments_shared, diffusion, NULL, &valid_clio_diffusion))) {
        fprintf(stderr, "%s\n", clio_error(arguments_shared));
        return 1;
    }
    clio_set_progress(arguments_shared, valid_clio_progress_fn, NULL);
    return 0;
}

static int arguments_done(int functions, int cases)
{
    char command[1000];
    clio_diffusion_free(valid_clio_diffusion);
    clio_generator_free(valid_clio_generator);
    clio_embedder_free(valid_clio_embedder);
    clio_speech_free(valid_clio_speech);
    clio_destroy(arguments_shared);
    snprintf(command, sizeof command, "rm -r '%s'", arguments_folder);
    failures += system(command) != 0;
    fprintf(stderr, "# %d functions, %d cases: %d refused, %d allowed, %d failures\n", functions, cases, refused, allowed, failures);
    return failures != 0;
}

#endif
