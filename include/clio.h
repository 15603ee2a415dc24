/* clio.h - turn sound into text, text into images, and train networks that make images, on any OpenCL device.
 *
 *     clio_context *ctx = clio_create();
 *     clio_speech *speech = NULL;
 *     clio_transcript *result = NULL;
 *     if (clio_device_open(ctx, NULL) || clio_speech_load(ctx, "whisper-base", &speech) ||
 *         clio_speech_file(speech, "jfk.wav", NULL, &result))
 *         fprintf(stderr, "%s\n", clio_error(ctx));
 *     else
 *         puts(result->text);
 *     clio_transcript_free(result);
 *     clio_speech_free(speech);
 *     clio_destroy(ctx);
 *
 * Rules that hold everywhere:
 *   - Every fallible function returns a clio_status; CLIO_OK is 0. The sentence that says what went wrong and what to do
 *     is clio_error(ctx), where in the code and on which device is clio_error_detail(ctx).
 *   - What a function hands out through a ** parameter belongs to the caller and goes back to the *_free or *_destroy of
 *     its type; those accept NULL. On failure the ** parameter is NULL.
 *   - Strings are UTF-8. Times are seconds. Sound is 32-bit float, mono, 16000 samples a second, -1 to 1.
 *   - The library never prints and never exits. A context and all that was made from it belong to one thread at a time;
 *     only clio_cancel may be called from another thread or from a signal handler.
 */
#ifndef CLIO_H
#define CLIO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CLIO_API __attribute__((visibility("default")))
#else
#define CLIO_API
#endif

typedef enum clio_status {
    CLIO_OK = 0,
    CLIO_ERROR_ARGUMENT,    /* a value that the caller passed cannot be used */
    CLIO_ERROR_FILE,        /* a file or folder is missing, unreadable, unwritable or full */
    CLIO_ERROR_FORMAT,      /* a file's content is broken or of another kind */
    CLIO_ERROR_UNSUPPORTED, /* well-formed, but not something clio runs */
    CLIO_ERROR_MEMORY,      /* host or device memory would not suffice */
    CLIO_ERROR_DEVICE,      /* no device, a lost device, or an OpenCL call failed */
    CLIO_ERROR_BUILD,       /* a kernel did not compile */
    CLIO_ERROR_CANCELLED,   /* clio_cancel was called, or a callback asked to stop */
    CLIO_ERROR_INTERNAL     /* a contract inside clio was broken: a defect of clio */
} clio_status;

typedef struct clio_context clio_context;

/* A context without a device. NULL only when the host is out of memory. */
CLIO_API clio_context *clio_create(void);
CLIO_API void clio_destroy(clio_context *ctx);

/* The last failure: one sentence, and its technical circumstances. Valid until the next failing call; never NULL. */
CLIO_API const char *clio_error(const clio_context *ctx);
CLIO_API const char *clio_error_detail(const clio_context *ctx);
CLIO_API const char *clio_status_name(clio_status status);
CLIO_API const char *clio_version(void);

/* ---- settings: before clio_device_open ---- */

/* Folder for compiled kernels; NULL: $CLIO_CACHE_DIR, else $XDG_CACHE_HOME/clio, else ~/.cache/clio. */
CLIO_API clio_status clio_set_cache(clio_context *ctx, const char *folder, int enabled);
/* Measure every kernel (slower); read with clio_profile. */
CLIO_API void clio_set_profile(clio_context *ctx, int enabled);
/* Device memory that clio may take, in bytes; 0: what the device has. Also CLIO_MEMORY_LIMIT (bytes, or with K, M, G). */
CLIO_API void clio_set_memory_limit(clio_context *ctx, uint64_t bytes);

/* What weights are kept as in models that are loaded, from the next clio_device_open on. NULL: as suits the device: halves, or rounded to
 * bfloat16 where its processor multiplies these faster. "f32": whole, and nothing is rounded to fewer bits on the way. "f16": halves, sums
 * in f32. "q8_0": those that meet one token at a time in 8 bits, with a scale for 32 of them, on CPUs; the rest as suits the device.
 * CLIO_ERROR_ARGUMENT for another word. */
CLIO_API clio_status clio_set_weight_type(clio_context *ctx, const char *type);

/* Called now and then during long work with what is being done and how far it is; total 0: not known.
 * A nonzero return cancels. The work done so far is kept wherever the function says so. */
typedef int (*clio_progress_fn)(void *user, const char *what, double done, double total);
CLIO_API void clio_set_progress(clio_context *ctx, clio_progress_fn progress, void *user);
/* Stop the running call at its next step with CLIO_ERROR_CANCELLED. Safe in signal handlers. */
CLIO_API void clio_cancel(clio_context *ctx);

/* ---- devices ---- */

typedef struct clio_device_info {
    const char *platform, *name, *type; /* type: gpu, cpu, accelerator */
    const char *driver, *version;       /* driver version, OpenCL version of the device */
    const char *architecture;           /* family for which clio has parameters of its own ("rdna", "ampere", "avx512bf16"), or NULL */
    int index;                          /* as clio_device_open understands it; -1: unusable */
    int compute_units;
    uint64_t global_memory, max_allocation, local_memory; /* bytes */
    int has_fp16, has_subgroups, has_compiler, is_clover;
    int chosen;          /* what clio_device_open(ctx, NULL) would take */
    const char *problem; /* why a platform or device was skipped, or NULL */
} clio_device_info;

/* All platforms and devices, best first, skipped ones last. The array belongs to the context, until the next call. */
CLIO_API clio_status clio_device_list(clio_context *ctx, const clio_device_info **devices, size_t *count);

/* Each fast way of computing something is compared with plain C when it is first used on a device with its driver. One that answers wrongly
 * there, or that the environment variable CLIO_DISABLE names (gemm.panel,clfft), is switched off, and another one takes its place. */
typedef struct clio_selftest {
    const char *path;    /* "gemm.panel": a family of kernels, or a library */
    const char *variant; /* of it: how it was compiled, or for which size; "": all of them */
    const char *problem; /* why it is switched off; NULL: it answered rightly */
} clio_selftest;
/* What is known so far, in this context and from earlier runs, about the device with this index of clio_device_list; none: nothing was
 * checked yet. The array belongs to the context, until the next call. CLIO_ERROR_ARGUMENT for an index that there is not. */
CLIO_API clio_status clio_device_selftests(clio_context *ctx, int index, const clio_selftest **checks, size_t *count);

/* Open a device: NULL or "" for $CLIO_DEVICE or else the best; an index of clio_device_list; or platform:type:name, where
 * each part may be left out and matches as a case-insensitive substring ("intel:cpu", "::radeon", "pocl"). */
CLIO_API clio_status clio_device_open(clio_context *ctx, const char *selector);
/* The opened device, or NULL. */
CLIO_API const clio_device_info *clio_device(const clio_context *ctx);

/* What the kernels did since the last call, one row per kernel, costliest first. Belongs to the context. */
typedef struct clio_profile_row {
    const char *kernel;
    uint64_t calls;
    double seconds, gflops, gbytes; /* totals: device time, arithmetic, memory traffic */
} clio_profile_row;
CLIO_API clio_status clio_profile(clio_context *ctx, const clio_profile_row **rows, size_t *count);
/* Device memory taken from the pool: now and at most so far, bytes. */
CLIO_API void clio_memory(const clio_context *ctx, uint64_t *now, uint64_t *peak);

/* ---- tuning: parameters of the kernels that suit this very device ---- */

typedef struct clio_tune_params {
    const char *purpose; /* what shall be fast: "whisper", or "all": everything that clio runs; NULL: whisper */
    double time_limit;   /* seconds that the call may take, but for a kernel or compilation that is under way; 0: 600 */
    const char *path;    /* the file to write; NULL: the one that clio_device_open reads for this device */
} clio_tune_params;

typedef struct clio_tune_row {
    const char *key;              /* of the parameter, as in cl/tunables.txt */
    const char *shipped, *chosen; /* its values; the same text where nothing better was proved */
    const char *values;           /* what is tried, separated by spaces */
    double gain; /* time with the shipped value over time with the chosen one, for the calls it decides; 1 where they are the same */
} clio_tune_row;

/* Seconds of one run of something whole, with the shipped parameters and with the chosen ones. */
typedef struct clio_tune_workload {
    const char *name;
    double before, after;
} clio_tune_workload;

typedef struct clio_tune_result {
    const char *path; /* the file */
    int written;      /* 0: it stays as it was, since it came from a complete search, and this one is not */
    const clio_tune_row *rows;
    size_t row_count;
    const clio_tune_workload *workloads; /* none when nothing was found */
    size_t workload_count;
    int complete; /* 0: the time was up before everything was tried: call again to go on */
    size_t tried, wrong, slow, failed,
        crashed;    /* candidates in all, that answered wrong, too slow, not at all, and that a process died of */
    double seconds; /* that the call took */
} clio_tune_result;

/* Search for better values than the shipped ones on the open device, prove them against those, and write a file of rows that
 * clio_device_open finds for this device, platform and driver: $CLIO_TUNED_DIR, else $XDG_CONFIG_HOME/clio/tuned, else
 * ~/.config/clio/tuned. It counts from the next clio_device_open on. Every candidate has to compute what plain C does before its time
 * counts; what shows no gain in a paired, alternating run is left out. params NULL: the defaults. The search may be killed at any moment
 * and goes on with the next call: its state is path.state; what a process died of is not tried again. Works on a context of its own; models
 * of `ctx` stay as they are, but should be idle. CLIO_ERROR_FILE: the file cannot be written, or another process is at work on it.
 * CLIO_ERROR_CANCELLED keeps the state. */
CLIO_API clio_status clio_tune(clio_context *ctx, const clio_tune_params *params, clio_tune_result **out);
/* What clio_tune would try on the open device, without doing so: `chosen` is the value that holds now; gains and works are none. */
CLIO_API clio_status clio_tune_list(clio_context *ctx, const clio_tune_params *params, clio_tune_result **out);
CLIO_API void clio_tune_free(clio_tune_result *result);
/* The tuned file that clio_device_open read, or NULL. *problem (may be NULL): why one that is there was not read, or NULL. */
CLIO_API const char *clio_tuned_file(const clio_context *ctx, const char **problem);

/* ---- speech: Whisper checkpoints in Hugging Face layout ---- */

typedef struct clio_speech clio_speech;

/* Load the folder `dir` (config.json, tokenizer.json, model.safetensors or its sharded index). The weights are copied to the device. */
CLIO_API clio_status clio_speech_load(clio_context *ctx, const char *dir, clio_speech **out);
CLIO_API void clio_speech_free(clio_speech *speech);
CLIO_API int clio_speech_is_multilingual(const clio_speech *speech);

typedef struct clio_token {
    int id;
    float probability;
    const char *text; /* bytes of this token; may be part of a character */
    double time;      /* for timestamp tokens, seconds from the start of the file; otherwise -1 */
} clio_token;

typedef struct clio_segment {
    double start, end; /* seconds */
    const char *text;  /* trimmed at both ends */
    const clio_token *tokens;
    size_t token_count;
    double temperature, avg_logprob, compression_ratio, no_speech_probability; /* of the window it was heard in */
} clio_segment;

/* Called as soon as a segment is sure. A nonzero return cancels. */
typedef int (*clio_segment_fn)(void *user, const clio_segment *segment);

typedef struct clio_speech_params {
    const char *language;      /* ISO code ("en"), English name, or "auto"; NULL: auto */
    int translate;             /* to English */
    int timestamps;            /* 0: decode without timestamp tokens */
    const char *prompt;        /* text before the first window (names, spelling); NULL: none */
    int condition_on_previous; /* 1: each window sees the text before it */
    const char *prefix;        /* text that the answer is made to begin with, and which is left out of it; NULL: none */
    float temperature;         /* first temperature */
    float temperature_step;    /* fallback adds this up to 1.0; 0: no fallback */
    float compression_threshold, logprob_threshold, no_speech_threshold; /* 2.4, -1.0, 0.6 */
    int suppress_blank;                                                  /* 1 */
    int max_tokens;                                                      /* per window; 0: as the model allows */
    int batch;               /* windows decoded together, up to 32: faster for long recordings and, by clio_speech_files, for many
                                short ones; each is cut in a pause, and sees no text before it. 0 or 1: one after the other, each
                                beginning where the last sentence ended */
    uint64_t seed;           /* for temperatures above 0 */
    double offset, duration; /* seconds of the file to skip and to hear; duration 0: to its end */
    clio_segment_fn on_segment;
    void *user;
} clio_speech_params;
CLIO_API clio_speech_params clio_speech_defaults(void);

typedef struct clio_transcript {
    const char *language;        /* ISO code; "" when it was to be detected and nobody spoke */
    double language_probability; /* 1 when the caller named it */
    double duration;             /* seconds heard */
    const char *text;            /* all segments, joined by single spaces */
    const clio_segment *segments;
    size_t segment_count;
} clio_transcript;

/* Transcribe a sound file of any rate and channel count; "-" reads standard input. params NULL: the defaults. */
CLIO_API clio_status clio_speech_file(clio_speech *speech, const char *path, const clio_speech_params *params, clio_transcript **out);
/* The same for samples in memory: mono, 16 kHz. */
CLIO_API clio_status clio_speech_samples(clio_speech *speech, const float *samples, size_t count, const clio_speech_params *params,
                                         clio_transcript **out);
/* Called for each file as soon as it is heard, in the order of the files; `index` counts from 0. status CLIO_OK: the transcript is the
 * callee's, for clio_transcript_free. Otherwise the file could not be read, clio_error says why during the call, and the transcript is
 * NULL. A nonzero return cancels. */
typedef int (*clio_file_fn)(void *user, size_t index, clio_status status, clio_transcript *transcript);
/* Transcribe several files, of which one may be "-"; the windows of several may be in one batch (clio_speech_params.batch), and what is
 * heard in a file does not depend on the others, but by rounding. One file is open at a time. on_file gets params->user (NULL where params
 * is); a file's segments come after the file before it was handed over; progress counts files.
 * A file that cannot be read is no failure of the call. Whatever else fails ends it: files not handed over by then never are. */
CLIO_API clio_status clio_speech_files(clio_speech *speech, const char *const *paths, size_t count, const clio_speech_params *params,
                                       clio_file_fn on_file);
/* A transcript stands alone: it may outlive what it was made with. */
CLIO_API void clio_transcript_free(clio_transcript *transcript);

/* The n-th language that the vocabulary has: ISO code and English name; both NULL past the end. */
CLIO_API void clio_language(size_t n, const char **code, const char **name);

/* ---- image files ---- */

/* 8-bit RGB: rows from the top, three bytes a pixel. */
typedef struct clio_image {
    int width, height;
    const unsigned char *rgb; /* [height, width, 3] */
} clio_image;

/* A note in a PNG's text chunks. */
typedef struct clio_metadata_entry {
    const char *key; /* 1 to 79 characters of Latin-1 */
    const char *text;
} clio_metadata_entry;
typedef struct clio_metadata {
    const clio_metadata_entry *list; /* in the file's order */
    size_t count;
} clio_metadata;

/* Decode a PNG, JPEG or WebP file, whatever its name. EXIF orientation is applied, the alpha channel is dropped, of an animation the first
 * frame is taken. At most 32768 pixels a side. */
CLIO_API clio_status clio_image_read(clio_context *ctx, const char *path, clio_image **out);
CLIO_API void clio_image_free(clio_image *image);
/* Write an image in the format of its extension, .png, .jpg, .jpeg or .webp, to a temporary file that is renamed when complete; "-": PNG to
 * standard output. JPEG and WebP are lossy, of quality 90, and keep only the entry "parameters" (EXIF UserComment, as web UIs do).
 * CLIO_ERROR_ARGUMENT: another extension. */
CLIO_API clio_status clio_image_write(clio_context *ctx, const clio_image *image, const char *path, const clio_metadata_entry *notes,
                                      size_t count);
/* The text chunks of a PNG file, or the EXIF UserComment of a JPEG or WebP file as "parameters"; none: an empty list. */
CLIO_API clio_status clio_image_metadata(clio_context *ctx, const char *path, clio_metadata **out);
CLIO_API void clio_metadata_free(clio_metadata *notes);

/* ---- images: Stable Diffusion 1 and 2 checkpoints ----
 *
 *     clio_diffusion *images = NULL;
 *     clio_image_list *images = NULL;
 *     clio_imagine_params params = clio_imagine_defaults();
 *     params.prompt = "a red fox in the snow";
 *     if (clio_diffusion_load(ctx, "sd-v1-5", NULL, &images) || clio_imagine(images, &params, &images) ||
 *         clio_image_write(ctx, &images->list[0].image, "fox.png", NULL, 0))
 *         fprintf(stderr, "%s\n", clio_error(ctx));
 *     clio_image_list_free(images);
 *     clio_diffusion_free(images);
 */

typedef struct clio_diffusion clio_diffusion;

/* Small changes to a model (LoRA), merged while it is loaded. */
typedef struct clio_lora {
    const char *path; /* .safetensors, kohya-ss or diffusers names */
    float strength;   /* 1: as it was trained */
} clio_lora;

typedef struct clio_diffusion_params {
    const char *variant;         /* "fp16": which files of a folder to prefer; NULL: none */
    const char *tokenizer;       /* folder of CLIP's tokenizer; NULL: the model's, or one beside a single file */
    const char *prediction_type; /* what the network answers: "epsilon", "v_prediction" or "sample"; NULL: as the files say */
    const char *taesd;           /* folder of a small autoencoder (AutoencoderTiny), which takes the place of the model's own; NULL: none */
    int taesd_preview_only;      /* 1: it makes the previews alone */
    const clio_lora *loras;
    size_t lora_count;
    int keep; /* 1: networks stay on the device between calls where memory allows; 0: each only for as long as it works */
} clio_diffusion_params;

/* Open a folder in diffusers' layout (tokenizer, text_encoder, unet, vae, scheduler) or a single .safetensors checkpoint. Files are looked
 * at here, and read by clio_imagine, so they have to stay. params NULL: zeros. CLIO_ERROR_FILE, _FORMAT or _UNSUPPORTED name the file and
 * what is wrong with it. */
CLIO_API clio_status clio_diffusion_load(clio_context *ctx, const char *path, const clio_diffusion_params *params, clio_diffusion **out);
CLIO_API void clio_diffusion_free(clio_diffusion *pictures);
/* The side of the images that the model was made for, in pixels: 512 or 768. */
CLIO_API int clio_diffusion_size(const clio_diffusion *pictures);
/* The names of clio_imagine_params.sampler: "pndm, ddim, ...". */
CLIO_API const char *clio_imagine_samplers(void);

/* Called with a small or rough image of what is emerging, after evaluation `step` of `steps` of image number `image` (from 0). The
 * image is valid during the call. A nonzero return cancels. */
typedef int (*clio_preview_fn)(void *user, int picture, int step, int steps, const clio_image *preview);

enum { CLIO_RNG_CPU, CLIO_RNG_CUDA };

typedef struct clio_imagine_params {
    const char *prompt;          /* (words:1.2) weigh more, [words] less, BREAK begins a new chunk of 75 tokens; "" is fine; needed */
    const char *negative_prompt; /* what shall not be seen; NULL: "" */
    int width, height;     /* pixels, multiples of 8; 0: the size of `image` (less what is over a multiple of 8), or clio_diffusion_size */
    int steps;             /* 20 */
    double guidance_scale; /* classifier-free guidance scale, 7.5; up to 1: none, and steps take half the time */
    double guidance_rescale;      /* 0 (off) to 1 */
    int64_t seed;                 /* 42; -1: a new one; image n of a batch has seed + n */
    const char *sampler;          /* see clio_imagine_samplers; NULL: the model's scheduler */
    const char *timestep_spacing; /* of timesteps: "leading", "linspace" or "trailing"; NULL: the method's */
    double eta;                   /* noise of ddim, 0 to 1 */
    int rng;                      /* CLIO_RNG_CPU or CLIO_RNG_CUDA: whose torch generator the seed is for */
    int clip_skip;                /* last layers of the text encoder that are left out; 0: none */
    const clio_image *image;      /* begin with this image, scaled to the size asked for; NULL: with noise */
    const clio_image *mask;       /* change `image` where this is bright, and only there; as large as `image`; NULL: everywhere */
    double strength;              /* how much of `image` is changed, above 0 to 1; 0: 0.8, with a mask 1 */
    int count;                    /* images, 1 */
    int tiling;                   /* 1: the autoencoder works in overlapping tiles: less memory for large images */
    const char *prompt_to;        /* with frames: from `prompt` to this one ... */
    int64_t seed_to;              /* ... or, where it is not negative, from the noise of `seed` to that of this seed; -1 */
    int frames;                   /* images on the way, both ends included; 0: no way */
    int preview_every;            /* call on_preview after every so many evaluations; 0: never */
    clio_preview_fn on_preview;
    void *user;
} clio_imagine_params;
CLIO_API clio_imagine_params clio_imagine_defaults(void);

typedef struct clio_imagine_result {
    clio_image image;
    int64_t seed;
    const char *parameters; /* how it was made, in the form that stable-diffusion-webui writes into images under the key "parameters" */
} clio_imagine_result;
typedef struct clio_image_list {
    const clio_imagine_result *list; /* `count` of a batch, or the frames in their order */
    size_t count;
} clio_image_list;

/* Make images. Progress is reported as "loading ...", "sampling" (evaluations of the network; a cancellation is seen between two kernels)
 * and "decoding". CLIO_ERROR_ARGUMENT: a size, number or name that cannot be used, or text that is not UTF-8; CLIO_ERROR_MEMORY: it would
 * not fit, said before sampling begins wherever shapes tell. The result stands alone. */
CLIO_API clio_status clio_imagine(clio_diffusion *pictures, const clio_imagine_params *params, clio_image_list **out);
CLIO_API void clio_image_list_free(clio_image_list *images);
/* Write all of them as the frames of an animated PNG that runs endlessly; like clio_image_write. */
CLIO_API clio_status clio_image_write_apng(clio_context *ctx, const clio_image_list *images, const char *path, int milliseconds,
                                           const clio_metadata_entry *notes, size_t count);

/* ---- training ----
 *
 *     clio_train_params params = {.model = "vae", .data = "fashion-mnist", .out = "my-vae", .settings = "{\"epochs\": 3}"};
 *     if (clio_train(ctx, &params))
 *         fprintf(stderr, "%s\n", clio_error(ctx));
 */

typedef struct clio_train_status {
    int64_t step, steps;      /* made, and of the whole run */
    double epoch;             /* of the data, with its fraction */
    const char *const *names; /* of losses */
    const double *losses;     /* of this step */
    size_t count;
    double samples_per_second; /* lately */
    double seconds_left;       /* at that rate */
    const char *event;         /* a line for people ("step 938: loss 105.1 on 6000 validation images, the best so far"), or NULL */
} clio_train_status;
/* After each step, and for each event. A nonzero return ends the run as clio_cancel does. */
typedef int (*clio_train_fn)(void *user, const clio_train_status *status);

typedef struct clio_train_params {
    const char *model;    /* what to train: see clio_train_model; may be NULL when a run is resumed */
    const char *data;     /* a folder of images (imagefolder convention), or of IDX files */
    const char *out;      /* a folder; created */
    const char *settings; /* JSON object of settings that are not to be the defaults, or NULL */
    int resume;           /* 1: go on from the last checkpoint in `out`, whose settings hold; 0: `out` must not hold a run yet */
    clio_train_fn on_status;
    void *user;
} clio_train_params;
/* Train until the steps are made, the measures stop getting better (patience), or clio_cancel: then what was learned is saved and
 * CLIO_ERROR_CANCELLED returned. Numbers that are not finite end a run with a sentence that names the step and the first such tensor; the
 * checkpoint before it stays. */
CLIO_API clio_status clio_train(clio_context *ctx, const clio_train_params *params);

/* Started by mpirun, the processes learn together, each from its part of every batch (clio must be built with MPI). Which of how many this
 * one is on its machine; 0 of 1 when there is one alone: so that each can open another device. */
CLIO_API void clio_train_rank(int *rank, int *ranks);

typedef struct clio_setting {
    const char *name, *summary; /* NULL past the end */
    char range[80];             /* "1 to 4096", "adam|adamw|sgd|rmsprop" */
    char value[40];             /* the default; "" where it follows from others */
} clio_setting;
/* The n-th model that can be trained: name and one line; both NULL past the end. */
CLIO_API void clio_train_model(size_t n, const char **name, const char **summary);
/* The n-th setting of that model, or of every run (model NULL). CLIO_ERROR_ARGUMENT: there is no such model. */
CLIO_API clio_status clio_train_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out);

/* ---- generators: what was trained ---- */

typedef struct clio_generator clio_generator;
/* A folder of a finished or running training, or one of its checkpoints. */
CLIO_API clio_status clio_generator_load(clio_context *ctx, const char *path, clio_generator **out);
CLIO_API void clio_generator_free(clio_generator *generator);

typedef struct clio_generator_info {
    const char *model; /* "dcgan" */
    int width, height, channels;
    int latent;  /* numbers that an image is made from; 0: it only reconstructs */
    int classes; /* labels that images can be asked for, or 0; of a model that learned captions: its prompts */
    int encodes; /* whether it can reconstruct */
} clio_generator_info;
CLIO_API clio_generator_info clio_generator_get_info(const clio_generator *generator);

/* `count` images; labels: `count` of them, or NULL (then each class in turn, where there are classes). */
CLIO_API clio_status clio_generator_sample(clio_generator *generator, int count, uint64_t seed, const int *labels, clio_image_list **out);
/* `frames` images on the way from the latent of seed `from` to that of seed `to`, along the sphere (White 2016), both included. */
CLIO_API clio_status clio_generator_interpolate(clio_generator *generator, uint64_t from, uint64_t to, int frames, int label,
                                                clio_image_list **out);
/* Images as they come back: scaled to the model's size, encoded, decoded. The result alternates: given, returned. */
CLIO_API clio_status clio_generator_reconstruct(clio_generator *generator, const clio_image *pictures, size_t count, clio_image_list **out);
/* All images on one sheet of rows of `columns` (0: about a square), small ones enlarged. */
CLIO_API clio_status clio_image_grid(clio_context *ctx, const clio_image_list *images, int columns, clio_image **out);

/* ---- evaluation ---- */

typedef struct clio_metric {
    const char *name; /* "psnr", "frechet_distance" */
    double value;
    const char *unit; /* "dB"; "" */
} clio_metric;
typedef struct clio_metrics {
    const clio_metric *list;
    size_t count;
} clio_metrics;
CLIO_API void clio_metrics_free(clio_metrics *measures);

typedef struct clio_evaluate_params {
    const char *model;    /* a folder that clio_train wrote */
    const char *data;     /* as for clio_train */
    const char *split;    /* "train", "validation" or "test"; NULL: the last of these that there is */
    const char *features; /* a folder of a classifier (or another model with an encoder) that clio_train wrote: what it sees in images
                             that the model draws and in those of the data is compared; NULL: no such comparison */
    int count;            /* images, at most; 0: 10000 */
    uint64_t seed;        /* of what is drawn */
} clio_evaluate_params;
/* How good a trained model is, by whatever can be said of its kind: its own measures (elbo, accuracy), mse, psnr and ssim of what it gives
 * back, Frechet and kernel distance of what it draws. */
CLIO_API clio_status clio_evaluate(clio_context *ctx, const clio_evaluate_params *params, clio_metrics **out);
/* What was heard beside what was said, in two text files: line by line where they have as many, else as wholes: word and character error
 * rates, and the words that were substituted, inserted and left out. */
CLIO_API clio_status clio_evaluate_transcripts(clio_context *ctx, const char *said, const char *heard, clio_metrics **out);
/* Captions beside references, both JSON lines with file_name and text (or caption); a file may have several references: BLEU, ROUGE-L and
 * CIDEr-D as coco-caption computes them. */
CLIO_API clio_status clio_evaluate_captions(clio_context *ctx, const char *captions, const char *references, clio_metrics **out);

#ifdef __cplusplus
}
#endif
#endif
