/* clio.h - run and train Whisper, Stable Diffusion, GANs and VAEs on any OpenCL device.
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
 * Rules for all functions:
 *   - Errors. A function that can fail returns a clio_status; CLIO_OK is 0. clio_error(ctx) is one sentence that says what failed and what
 *     to do about it; clio_error_detail(ctx) says where in the code and on which device. Any function that returns a clio_status may also
 *     return CLIO_ERROR_MEMORY and, where it uses the device, CLIO_ERROR_DEVICE and CLIO_ERROR_BUILD.
 *   - Arguments are checked before anything else is done. A pointer that is NULL, a string that is empty or a number that is out of range
 *     is CLIO_ERROR_ARGUMENT, and the sentence names the function and the parameter. NULL and "" are allowed only where a comment here
 *     says what they mean ("params NULL: the defaults"). Ranges such as "0 to 1" include both ends; NaN and infinity are never allowed.
 *   - Ownership. What a function returns through `out` belongs to the caller, who releases it with the *_free function of its type.
 *     Results do not depend on the model that made them. *_free and clio_destroy accept NULL. On failure *out is NULL. Arguments are
 *     borrowed for the duration of the call; the library copies what it needs longer.
 *   - Units. Strings are UTF-8. Times are seconds, sizes are bytes. Audio is float32, mono, 16000 samples a second, -1 to 1.
 *   - The library never prints and never exits. A context and all models made from it belong to one thread at a time; only clio_cancel may
 *     be called from another thread or a signal handler. Different contexts may be used in different threads.
 *   - Long calls report progress (clio_set_progress) and can be cancelled (clio_cancel): they return CLIO_ERROR_CANCELLED.
 *   - What does not stop a call, but changes its result, is a notice (clio_set_notice): one sentence, as for errors.
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
    CLIO_ERROR_ARGUMENT,    /* an argument is NULL, empty, out of range or does not fit the model */
    CLIO_ERROR_FILE,        /* a file or folder is missing, unreadable or unwritable, or the disk is full */
    CLIO_ERROR_FORMAT,      /* a file is damaged or of another format */
    CLIO_ERROR_UNSUPPORTED, /* a valid file or model that clio does not support */
    CLIO_ERROR_MEMORY,      /* not enough host or device memory */
    CLIO_ERROR_DEVICE,      /* no device, a lost device, or a failed OpenCL call */
    CLIO_ERROR_BUILD,       /* a kernel did not compile */
    CLIO_ERROR_CANCELLED,   /* clio_cancel was called, or a callback returned nonzero */
    CLIO_ERROR_INTERNAL,    /* a defect of clio */
    CLIO_ERROR_NOT_FINITE   /* a result is not a finite number: training diverged */
} clio_status;

/* ---- context and errors ---- */

/* Holds the opened device, its compiled kernels and memory, and the text of the last error. */
typedef struct clio_context clio_context;

/* A new context without a device; NULL when the host is out of memory. */
CLIO_API clio_context *clio_create(void);
/* Release the models made from the context first. ctx NULL: nothing. */
CLIO_API void clio_destroy(clio_context *ctx);

/* The last error: one sentence, valid until the next call with this context; "" when no call failed yet.
 * ctx NULL: the last error in this thread of a call whose context or model was NULL. */
CLIO_API const char *clio_error(const clio_context *ctx);
/* Source file and line, status, device and driver of the last error, in one line; for bug reports.
 * ctx NULL: the same for the error that clio_error(NULL) returns. */
CLIO_API const char *clio_error_detail(const clio_context *ctx);
/* "file error" for CLIO_ERROR_FILE. status: any number, a constant string is returned. */
CLIO_API const char *clio_status_name(clio_status status);
/* "0.1.0". */
CLIO_API const char *clio_version(void);

/* ---- settings of a context: they take effect with the next clio_device_open ---- */

/* The folder for compiled kernels. folder NULL: $CLIO_CACHE_DIR, else $XDG_CACHE_HOME/clio, else ~/.cache/clio.
 * enabled: any number, 0 turns the cache off. */
CLIO_API clio_status clio_set_cache(clio_context *ctx, const char *folder, int enabled);
/* Time every kernel, which makes all calls slower; clio_profile returns the times. No effect while a device is open.
 * enabled: any number, 0 turns it off, which is the default. ctx NULL: nothing. */
CLIO_API void clio_set_profile(clio_context *ctx, int enabled);
/* Limit the device memory that clio allocates, in bytes. bytes 0: $CLIO_MEMORY_LIMIT (bytes, or a number with K, M or G), else all memory
 * of the device. ctx NULL: nothing. */
CLIO_API void clio_set_memory_limit(clio_context *ctx, uint64_t bytes);
/* The storage type of weights in models that are loaded afterwards. "f32": float32, and all arithmetic in float32. "f16": float16 with
 * float32 accumulation. "q8_0": the weights of matrices that are multiplied with one token at a time in 8 bits with a scale for each 32, on
 * CPUs; the others as by default. type NULL: the fastest type of the device (float16, or bfloat16 where it has instructions for that). */
CLIO_API clio_status clio_set_weight_type(clio_context *ctx, const char *type);

/* Called during long work: what is being done, and how much of it is done. total is 0 when it is not known. A nonzero return cancels. */
typedef int (*clio_progress_fn)(void *user, const char *what, double done, double total);
/* Takes effect at once. user is passed to the callback. progress NULL: no reports. user NULL: allowed. ctx NULL: nothing. */
CLIO_API void clio_set_progress(clio_context *ctx, clio_progress_fn progress, void *user);
/* Called when something does not stop a call but its user should know it: a part of a file that was left out, a value that the files do not
 * say and that was assumed. text: one sentence, valid during the call. */
typedef void (*clio_notice_fn)(void *user, const char *text);
/* Takes effect at once. user is passed to the callback. notice NULL: no notices. user NULL: allowed. ctx NULL: nothing. */
CLIO_API void clio_set_notice(clio_context *ctx, clio_notice_fn notice, void *user);
/* Make the running call return CLIO_ERROR_CANCELLED at its next step. Safe in a signal handler. ctx NULL: nothing. */
CLIO_API void clio_cancel(clio_context *ctx);

/* Write a file, which appears under its name only when it is complete: it is written beside it, synced and renamed, so that a failure
 * leaves the old file. Link: its target is replaced. Device or pipe: written directly. path "-": standard output. size: 0 or more, the
 * bytes of data. */
CLIO_API clio_status clio_file_write(clio_context *ctx, const char *path, const void *data, size_t size);

/* For messages about a name that is not known: the word most like it among words, which spaces or commas separate; its bytes. NULL: none is
 * like it. Letter case, leading dashes, and dashes against underscores do not count. name NULL: NULL. words NULL: NULL. length NULL:
 * not wanted. */
CLIO_API const char *clio_nearest(const char *name, const char *words, size_t *length);

/* ---- devices ---- */

typedef struct clio_device_info {
    const char *platform, *name, *type; /* type: "gpu", "cpu" or "accelerator" */
    const char *driver, *version;       /* driver version, OpenCL version of the device */
    const char *architecture;           /* the family that has its own tuned parameters ("rdna", "ampere", "avx512bf16"); NULL: none */
    int index;                          /* for clio_device_open; -1: the device cannot be used */
    int compute_units;
    uint64_t global_memory, max_allocation, local_memory; /* bytes */
    int has_fp16, has_subgroups, has_compiler, is_clover;
    int chosen;          /* 1: clio_device_open(ctx, NULL) opens this one */
    const char *problem; /* why the platform or device cannot be used; NULL: it can */
    const char *reason;  /* why clio_device_open opens this one; NULL: it opens another */
} clio_device_info;

/* All platforms and devices, the best first, those that cannot be used last. The array belongs to the context and is valid until the next
 * call of this function. */
CLIO_API clio_status clio_device_list(clio_context *ctx, const clio_device_info **devices, size_t *count);

/* What a user should know about the devices: a GPU of this machine that OpenCL does not list (no driver, no permission, a variable of the
 * environment), a slow driver, and what to install or set on this distribution. */
typedef struct clio_device_hint {
    const char *id;   /* for programs: "driver-missing", "kernel-driver", "device-file", "permission", "driver-variable", "gpu-reserved",
                       * "rusticl-disabled", "clover", "software", "gpu-unused", "no-device" */
    const char *text; /* what is wrong and what to do, in sentences */
} clio_device_hint;
/* The hints for the open device, otherwise for the one that clio_device_open(ctx, NULL) opens; often none. The array belongs to the context
 * and is valid until the next call of this function. */
CLIO_API clio_status clio_device_hints(clio_context *ctx, const clio_device_hint **hints, size_t *count);

/* The self-test of a fast implementation. Each is compared with plain C when it is first used on a device and driver. One that computes
 * wrong results there, or that the environment variable CLIO_DISABLE names ("gemm.panel,clfft"), is disabled, and another one is used. */
typedef struct clio_selftest {
    const char *path;    /* a family of kernels ("gemm.panel") or a library ("clfft") */
    const char *variant; /* compile options or size that was tested; "": all of them */
    const char *problem; /* why it is disabled; NULL: it passed */
} clio_selftest;
/* The self-tests done so far on a device, by this context and by earlier processes; an empty list when none was done. The array belongs to
 * the context and is valid until the next call of this function. index: 0 or more, of clio_device_list. */
CLIO_API clio_status clio_device_selftests(clio_context *ctx, int index, const clio_selftest **selftests, size_t *count);

/* Open a device; an open one is closed, so release its models first. The selector is an index of clio_device_list, or platform:type:name,
 * where each part may be left out and matches a part of the name in any case ("intel:cpu", "::radeon", "pocl").
 * selector NULL or "": $CLIO_DEVICE, else the best device. CLIO_ERROR_ARGUMENT: nothing matches. */
CLIO_API clio_status clio_device_open(clio_context *ctx, const char *selector);
/* The opened device; NULL when none is open. Valid until the next clio_device_open. ctx NULL: NULL. */
CLIO_API const clio_device_info *clio_device(const clio_context *ctx);

typedef struct clio_profile_row {
    const char *kernel;
    uint64_t calls;
    double seconds, gflops, gbytes; /* totals: time on the device, 10^9 floating-point operations, 10^9 bytes of memory traffic */
} clio_profile_row;
/* Kernels launched and data copied since the last call of this function: one row per kernel, and one per transfer between host and device
 * by what it holds ("write images", "read loss"); the most expensive first; empty without clio_set_profile. The array
 * belongs to the context and is valid until the next call of this function. */
CLIO_API clio_status clio_profile(clio_context *ctx, const clio_profile_row **rows, size_t *count);
/* Device memory that clio holds, in bytes: now, and the peak since the device was opened. now NULL: not wanted. peak NULL: not wanted.
 * ctx NULL: nothing, both are 0. */
CLIO_API void clio_memory(const clio_context *ctx, uint64_t *now, uint64_t *peak);

/* ---- tuning: search for the fastest kernel parameters of a device ---- */

typedef struct clio_tune_params {
    const char *purpose; /* "whisper", or "all" for every model; NULL: "whisper" */
    double time_limit;   /* seconds, 0 to 1e9; a running measurement is finished first; 0: 600 */
    const char *path;    /* the file to write; NULL: the file that clio_device_open reads for this device */
} clio_tune_params;

typedef struct clio_tune_row {
    const char *key;              /* of the parameter, as in cl/tunables.txt */
    const char *shipped, *chosen; /* default value and best value; equal when no better one was confirmed */
    const char *values;           /* the candidates, separated by spaces */
    double gain;                  /* speedup of the kernels that it decides: time with `shipped` over time with `chosen` */
} clio_tune_row;

/* Seconds that a whole workload takes with the default parameters and with the best ones. */
typedef struct clio_tune_workload {
    const char *name;
    double before, after;
} clio_tune_workload;

typedef struct clio_tune_result {
    const char *path; /* the file */
    int written;      /* 0: the file was kept, because it came from a complete search and this one is not complete */
    const clio_tune_row *rows;
    size_t row_count;
    const clio_tune_workload *workloads; /* empty when nothing better was found */
    size_t workload_count;
    int complete;                               /* 0: the time limit was reached; call again to continue */
    size_t tried, wrong, slow, failed, crashed; /* candidates: all, with wrong results, too slow, failed, and that ended the process */
    double seconds;                             /* duration of the call */
} clio_tune_result;

/* Search for better kernel parameters on the opened device, confirm them in paired runs, and write them to a file, which clio_device_open
 * reads for this device, platform and driver: in $CLIO_TUNED_DIR, else $XDG_CONFIG_HOME/clio/tuned, else ~/.config/clio/tuned. They take
 * effect with the next clio_device_open. A candidate must compute what plain C does before it is timed. The search can be interrupted at
 * any time, even killed: its state is in the file `path`.state, and the next call continues. Works on a context of its own; do not use
 * models of ctx meanwhile. params NULL: the defaults. CLIO_ERROR_FILE: the file cannot be written, or another process is tuning.
 * CLIO_ERROR_CANCELLED: the state is kept. */
CLIO_API clio_status clio_tune(clio_context *ctx, const clio_tune_params *params, clio_tune_result **out);
/* The parameters that clio_tune would search on the opened device, without running anything: `chosen` is the value in use; no gains and no
 * workloads. params NULL: the defaults. */
CLIO_API clio_status clio_tune_list(clio_context *ctx, const clio_tune_params *params, clio_tune_result **out);
/* result NULL: nothing. */
CLIO_API void clio_tune_free(clio_tune_result *result);
/* The file of tuned parameters that clio_device_open read; NULL: none. *problem is why an existing file was not read, or NULL.
 * problem NULL: not wanted. ctx NULL: NULL. */
CLIO_API const char *clio_tuned_file(const clio_context *ctx, const char **problem);

/* ---- benchmarks ---- */

typedef struct clio_bench_params {
    const char *filter; /* only rows whose group, or a part of whose name or shape, is this; NULL or "": all */
    const char *model;  /* a folder of Whisper or in diffusers layout, whose networks are timed; NULL: random weights */
    int quick;          /* 1: fewer rows and samples, about a minute instead of ten */
} clio_bench_params;

typedef struct clio_bench_row {
    const char *group;         /* "device": peak rates; "operation"; "network"; "training": steps of small models */
    const char *name, *shape;  /* "matmul", "1500 x 512 x 512" */
    const char *storage;       /* type of the weights in memory, "f16"; NULL: has none */
    double seconds, low, high; /* of one call: the median of the samples, and their quartiles */
    const double *samples;     /* in the order they were measured */
    size_t sample_count;       /* 0: it could not be measured */
    double flops, bytes;       /* of one call: floating-point operations, memory traffic at least; 0: does not apply */
    double items;              /* of one call, such as images; 0: does not apply */
    const char *item;          /* what items are; NULL: none */
    double peak_share;         /* of the device's measured rates: the larger of flops and bytes; 0: not known */
    double error;              /* the largest difference from plain C, relative to the largest value; NaN: not compared */
    const char *problem;       /* why it could not be measured, or that it computes wrong results; NULL: it is right */
} clio_bench_row;

typedef struct clio_bench_result {
    const clio_bench_row *rows;
    size_t row_count;
    double peak_flops, peak_bytes; /* a second, measured: float32 multiply-adds, copies within global memory; 0: not measured */
    double drift;   /* peak_flops at the end relative to the beginning, below 1 when the device slowed down; 0: not measured */
    double seconds; /* duration of the call */
    int complete;   /* 0: cancelled; rows has what was measured until then */
} clio_bench_result;

/* Time the opened device: its peak rates, operations at the shapes of real networks, and training steps of small models. Each row is
 * repeated until its median is stable. params NULL: all rows. A cancelled call that has measured something returns CLIO_OK.
 * CLIO_ERROR_ARGUMENT: no row is called like `filter`. */
CLIO_API clio_status clio_bench(clio_context *ctx, const clio_bench_params *params, clio_bench_result **out);
/* result NULL: nothing. */
CLIO_API void clio_bench_free(clio_bench_result *result);

/* ---- speech to text: Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision") ---- */

typedef struct clio_speech clio_speech;

/* Load a Whisper checkpoint in Hugging Face layout: a folder with config.json, tokenizer.json and model.safetensors or pytorch_model.bin
 * (or shards with their index). The weights are copied to the device. CLIO_ERROR_FILE, CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: name the
 * file and the reason.
 */
CLIO_API clio_status clio_speech_load(clio_context *ctx, const char *dir, clio_speech **out);
/* speech NULL: nothing. */
CLIO_API void clio_speech_free(clio_speech *speech);
/* 1: multilingual; 0: English only. speech NULL: 0. */
CLIO_API int clio_speech_is_multilingual(const clio_speech *speech);
/* caption_prefix of the folder: what every caption of an audio captioning model begins with; "": none, as in models for speech. speech
 * NULL:
 * "". */
CLIO_API const char *clio_speech_prefix(const clio_speech *speech);

typedef struct clio_token {
    int id;
    float probability;
    const char *text; /* the bytes of this token; a character may span several tokens */
    double time;      /* of a timestamp token: seconds from the start of the file; otherwise -1 */
} clio_token;

typedef struct clio_segment {
    double start, end; /* seconds from the start of the file */
    const char *text;  /* without leading and trailing spaces */
    const clio_token *tokens;
    size_t token_count;
    double temperature, avg_logprob, compression_ratio, no_speech_probability; /* of the 30-second window that the segment is from */
} clio_segment;

/* Called for each segment when it is final. A nonzero return cancels. */
typedef int (*clio_segment_fn)(void *user, const clio_segment *segment);

/* The decoding options of openai/whisper's transcribe(). */
typedef struct clio_speech_params {
    const char *language;        /* ISO code ("en", also "en-US"), English name, or "auto" to detect it; NULL or "": "auto" */
    int translate;               /* 1: translate to English */
    int timestamps;              /* 1, the default: decode with timestamp tokens */
    const char *prompt;          /* text that is given as context of the first window, for names and spelling; NULL or "": none */
    int condition_on_previous;   /* 1, the default: give the text of the previous window as context */
    const char *prefix;          /* text that every window's transcript starts with; it is left out of the result; NULL or "": none */
    float temperature;           /* sampling temperature of the first attempt, 0 to 10; default 0, which is greedy decoding */
    float temperature_step;      /* 0 to 10, added after a failed attempt up to a temperature of 1; 0: no fallback; default 0.2 */
    float compression_threshold; /* 0 to 1000000: an attempt whose text has a higher gzip compression ratio failed; default 2.4 */
    float logprob_threshold;     /* -1000000 to 1000000: an attempt with a lower average log probability failed; default -1 */
    float no_speech_threshold;   /* 0 to 1: above this probability of no speech a failed window is silence; default 0.6 */
    int suppress_blank;          /* 1, the default: a transcript cannot start with a blank */
    int max_tokens;              /* per window, 0 to 448; 0: half of the model's text positions */
    int batch;                   /* windows that are decoded together, 0 to 32. 2 or more is faster for long recordings and, with
                                    clio_speech_files, for many short ones: the audio is cut in pauses, and no window has the text of the
                                    previous one as context. 0 or 1: sequential, as in openai/whisper */
    uint64_t seed;               /* for temperatures above 0 */
    double offset;               /* seconds of audio to skip at the start, 0 to 1e9 */
    double duration;             /* seconds of audio to transcribe, 0 to 1e9; 0: to the end */
    clio_segment_fn on_segment;  /* NULL: none */
    void *user;                  /* passed to the callbacks */
} clio_speech_params;
/* The defaults named above. */
CLIO_API clio_speech_params clio_speech_defaults(void);

typedef struct clio_transcript {
    const char *language;        /* ISO code; "" when it was to be detected and there was no speech */
    double language_probability; /* 1 when the caller set the language */
    double duration;             /* seconds of audio that were transcribed */
    const char *text;            /* the text of all segments, joined by single spaces */
    const clio_segment *segments;
    size_t segment_count;
    const char *incomplete; /* why the end of the recording is missing, in one sentence; NULL: it is there */
} clio_transcript;

/* Transcribe an audio file: WAV, FLAC, OGG, MP3, AIFF or AU, any sample rate and number of channels; "-" reads standard input. params NULL:
 * the defaults. CLIO_ERROR_ARGUMENT: also a language or translation that the model cannot do. CLIO_ERROR_FILE, CLIO_ERROR_FORMAT,
 * CLIO_ERROR_UNSUPPORTED: the file. */
CLIO_API clio_status clio_speech_file(clio_speech *speech, const char *path, const clio_speech_params *params, clio_transcript **out);
/* Transcribe float32 [count] in memory: mono, 16 kHz, count: 1 to 16000000000000; NaN and infinite samples are silence. params NULL: the
 * defaults. */
CLIO_API clio_status clio_speech_samples(clio_speech *speech, const float *samples, size_t count, const clio_speech_params *params,
                                         clio_transcript **out);
/* Called for each file when it is done, in the order of the files; index counts from 0. status CLIO_OK: the callback owns the transcript
 * and releases it with clio_transcript_free. Otherwise the file could not be read, transcript is NULL, and clio_error says why during the
 * call. A nonzero return cancels. */
typedef int (*clio_file_fn)(void *user, size_t index, clio_status status, clio_transcript *transcript);
/* Transcribe several files; one of them may be "-". With params->batch above 1, windows of several files are decoded together, which
 * changes a transcript only by rounding. Segments of a file are reported after the file before it is done. A file that cannot be read is
 * reported to on_file and does not fail the call; any other error ends it. Progress counts files. on_file gets params->user. count: 0 to
 * 1000000. params NULL: the defaults. */
CLIO_API clio_status clio_speech_files(clio_speech *speech, const char *const *paths, size_t count, const clio_speech_params *params,
                                       clio_file_fn on_file);
/* Called for each file when it is done, in the order of the files; index counts from 0, and device is the index of the model that did it.
 * status CLIO_OK: the callback owns the transcript and releases it with clio_transcript_free. Otherwise the file could not be read,
 * transcript is NULL, and error says why; it is valid during the call. A nonzero return cancels. */
typedef int (*clio_parallel_file_fn)(void *user, size_t index, size_t device, clio_status status, const char *error,
                                     clio_transcript *transcript);
/* Transcribe several files on several devices at once. speeches [speech_count] are one model, loaded in a context of its own for each
 * device. Each device takes files by its measured speed. When one fails, a notice says so, and the others do its files. Under mpirun the
 * processes share the files, and each reports those that it did. on_file is called in the calling thread with params->user;
 * params->on_segment is not used, since a transcript has all segments. Errors, notices and progress are those of the context of
 * speeches[0]; otherwise as clio_speech_files. speech_count: 1 to 64. count: 0 to 1000000. params NULL: the defaults. */
CLIO_API clio_status clio_speech_files_parallel(clio_speech *const *speeches, size_t speech_count, const char *const *paths, size_t count,
                                                const clio_speech_params *params, clio_parallel_file_fn on_file);
/* transcript NULL: nothing. */
CLIO_API void clio_transcript_free(clio_transcript *transcript);

/* Language number n of Whisper, n: any number from 0: ISO code and English name, both NULL past the last one. code NULL: not wanted.
 * name NULL: not wanted. */
CLIO_API void clio_language(size_t n, const char **code, const char **name);
/* ISO code of a language of Whisper by its code, also with a country or script ("de-AT"), or its English name; NULL: unknown. text NULL or
 * "": NULL. */
CLIO_API const char *clio_language_find(const char *text);

/* ---- image files ---- */

/* 8-bit RGB, rows from top to bottom. As an argument, an image has at most 2^27 pixels. */
typedef struct clio_image {
    int width, height;        /* pixels, 1 to 32768 */
    const unsigned char *rgb; /* uint8 [height, width, 3] */
} clio_image;

/* An entry of the metadata: a text chunk of a PNG; of JPEG and WebP the EXIF UserComment, under the key "parameters". */
typedef struct clio_metadata_entry {
    const char *key;  /* 1 to 79 characters of Latin-1 */
    const char *text; /* "" is allowed */
} clio_metadata_entry;
typedef struct clio_metadata {
    const clio_metadata_entry *list; /* in the order of the file */
    size_t count;
} clio_metadata;

/* Read a PNG, JPEG or WebP file. The EXIF orientation is applied, an alpha channel is dropped. At most 32768 pixels on each side and 2^27
 * in all.
 */
CLIO_API clio_status clio_image_read(clio_context *ctx, const char *path, clio_image **out);
/* image NULL: nothing. */
CLIO_API void clio_image_free(clio_image *image);
/* Write a PNG, JPEG or WebP file by its extension with `count` metadata entries (JPEG and WebP keep "parameters" alone), count: 0 to 10000;
 * "-" is standard output, in PNG. The file is written under a temporary name and
 * renamed when it is complete. entries NULL: none. */
CLIO_API clio_status clio_image_write(clio_context *ctx, const clio_image *image, const char *path, const clio_metadata_entry *entries,
                                      size_t count);
/* The metadata of an image file; an empty list when it has none. */
CLIO_API clio_status clio_image_metadata(clio_context *ctx, const char *path, clio_metadata **out);
/* metadata NULL: nothing. */
CLIO_API void clio_metadata_free(clio_metadata *metadata);

/* ---- text to image: Stable Diffusion 1 and 2 (Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models") ----
 *
 *     clio_diffusion *diffusion = NULL;
 *     clio_image_list *images = NULL;
 *     clio_imagine_params params = clio_imagine_defaults();
 *     params.prompt = "a red fox in the snow";
 *     if (clio_diffusion_load(ctx, "sd-v1-5", NULL, &diffusion) || clio_imagine(diffusion, &params, &images) ||
 *         clio_image_write(ctx, &images->list[0].image, "fox.png", NULL, 0))
 *         fprintf(stderr, "%s\n", clio_error(ctx));
 *     clio_image_list_free(images);
 *     clio_diffusion_free(diffusion);
 */

typedef struct clio_diffusion clio_diffusion;

/* A LoRA (Hu et al. 2021), which is merged into the weights when they are loaded. */
typedef struct clio_lora {
    const char *path; /* a .safetensors file of kohya-ss, diffusers or PEFT, or a folder with one (and adapter_config.json of PEFT) */
    float strength;   /* -1000 to 1000; 1: as it was trained */
} clio_lora;

typedef struct clio_diffusion_params {
    const char *variant;         /* preferred files of a folder ("fp16"); NULL: those without a variant */
    const char *tokenizer;       /* a folder with CLIP's vocab.json and merges.txt; NULL: the model's, or one beside a single file */
    const char *prediction_type; /* what the UNet predicts: "epsilon", "v_prediction" or "sample"; NULL: as the model's files say */
    const char *vae;             /* a file or folder of an autoencoder that replaces the model's; NULL: the model's */
    const char *taesd;           /* a file or folder of a tiny autoencoder (AutoencoderTiny) that replaces the VAE; NULL: none */
    int taesd_preview_only;    /* any number, not 0: use taesd for previews only, so that vae can be set as well; no effect without taesd */
    const clio_lora *loras;    /* NULL: none */
    size_t lora_count;         /* 0 to 1000 */
    const char *lora_dir;      /* a folder: "<lora:NAME:0.8>" in a prompt merges NAME.safetensors of it with strength 0.8; NULL: none */
    const char *embedding_dir; /* a folder of textual inversion: the name of a file in it (.safetensors, .pt) is a word of the prompt that
                                  stands for its vectors, as is "embedding:NAME"; NULL: none */
    int keep;                  /* 1: keep the networks on the device between calls if memory allows; 0: load each when it is needed */
} clio_diffusion_params;

/* Open a folder in diffusers' layout (tokenizer, text_encoder, unet, vae, scheduler) or a single .safetensors or .ckpt checkpoint.
 * Configuration and tensor shapes are checked here; clio_imagine reads the weights, so the files must stay. params NULL: all fields 0.
 * CLIO_ERROR_FILE, CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: name the file and the reason. */
CLIO_API clio_status clio_diffusion_load(clio_context *ctx, const char *path, const clio_diffusion_params *params, clio_diffusion **out);
/* diffusion NULL: nothing. */
CLIO_API void clio_diffusion_free(clio_diffusion *diffusion);
/* Width and height of the images that the model was trained on, in pixels: 512 or 768. diffusion NULL: 0. */
CLIO_API int clio_diffusion_size(const clio_diffusion *diffusion);
/* The values of clio_imagine_params.sampler, separated by ", ". */
CLIO_API const char *clio_imagine_samplers(void);

/* Called with a preview of image number `image` (from 0), after evaluation `step` of `steps` of the network. The preview is valid during
 * the call. A nonzero return cancels. */
typedef int (*clio_preview_fn)(void *user, int image, int step, int steps, const clio_image *preview);

/* PyTorch's random number generators for the initial noise. */
enum { CLIO_RNG_CPU, CLIO_RNG_CUDA };

/* The options of diffusers' StableDiffusionPipeline, ...Img2ImgPipeline (image) and ...InpaintPipeline (image and mask). */
typedef struct clio_imagine_params {
    const char *prompt; /* (word:1.2) and [word] change weights; BREAK starts a new chunk of 75 tokens; [a:b:0.5] changes from a to b
                           after half of the steps, [a|b] at each; "a AND b" composes two prompts; "": unconditional */
    const char *negative_prompt; /* NULL or "": none */
    int width, height;       /* pixels, multiples of 8, 0 to 2097152, together at most 4096 x 4096; 0: the size of `image`, rounded down to
                                a multiple of 8, or without one clio_diffusion_size */
    int steps;               /* sampling steps, 1 to 100000, at most the timesteps of the model's training; default 20 */
    double guidance_scale;   /* classifier-free guidance scale, 0 to 1000; up to 1: no guidance, in half the time; default 7.5 */
    double guidance_rescale; /* 0 to 1; 0: off (Lin et al. 2023) */
    uint64_t seed;           /* image n of a batch has seed + n modulo 2^64; default 42 */
    int random_seed;         /* 1: choose a seed instead of `seed` */
    const char *sampler;     /* one of clio_imagine_samplers; NULL: the model's scheduler */
    const char *timestep_spacing; /* "leading", "linspace" or "trailing"; NULL: the default of the sampler */
    double eta;                   /* noise of the sampler ddim, 0 to 1 */
    int rng;                      /* CLIO_RNG_CPU or CLIO_RNG_CUDA, 0 to 1: the generator that the seed is for */
    int clip_skip;           /* layer of the text encoder to use, counted from the end as in stable-diffusion.cpp, 0 to 100; 0: the one that
                                the model was trained with, which is 1 (the last) for Stable Diffusion 1 and 2 for Stable Diffusion 2 */
    const clio_image *image; /* the initial image for image-to-image, scaled to width and height; NULL: start from noise */
    const clio_image *mask;  /* inpainting: change `image` where this is white; of the same size as `image`; NULL: everywhere. Where it is
                                black, the result has the pixels of `image`, and a mixture where it is grey */
    int no_overlay;          /* 1: do not put the pixels of `image` back, which the autoencoder changes a little */
    double strength;         /* how much of `image` is changed, 0 to 1; 0: 0.8, or 1 with a mask */
    int count;               /* images, 1 to 1000; default 1 */
    int tiling;              /* 1: encode and decode in overlapping tiles, which needs less memory for large images */
    const char *prompt_to;   /* interpolate from `prompt` to this prompt in `frames` images; "": unconditional; NULL: no */
    int interpolate_seed;    /* 1: interpolate from the noise of `seed` to that of `seed_to` */
    uint64_t seed_to;
    int frames;                 /* images of an interpolation, 2 or more, both ends included, 0 to 1000; 0: no interpolation */
    int preview_every;          /* call on_preview after this many evaluations of the network, 0 or more; 0: never */
    clio_preview_fn on_preview; /* NULL: none */
    void *user;                 /* passed to on_preview */
} clio_imagine_params;
/* The defaults named above; prompt is NULL. */
CLIO_API clio_imagine_params clio_imagine_defaults(void);

typedef struct clio_imagine_result {
    clio_image image;
    uint64_t seed;
    const char *parameters; /* the generation parameters as stable-diffusion-webui writes them into a PNG; NULL or "": not known */
} clio_imagine_result;
typedef struct clio_image_list {
    const clio_imagine_result *list; /* the images of a batch or the frames of an interpolation */
    size_t count;                    /* 1 to 65536 as an argument */
} clio_image_list;

/* Generate images from a prompt. Progress is reported as "loading ...", "sampling" (evaluations of the network) and "decoding"; a cancelled
 * call stops between two kernels. CLIO_ERROR_MEMORY: the images do not fit, which is reported before sampling starts if possible. */
CLIO_API clio_status clio_imagine(clio_diffusion *diffusion, const clio_imagine_params *params, clio_image_list **out);
/* Generate the images of a batch or of an interpolation on several devices at once. diffusions [diffusion_count] are one model, loaded in a
 * context of its own for each device. Each device takes images by its measured speed. When one fails, a notice says so, and the others
 * make its images. Under mpirun the processes share the images: those that another process makes have no pixels (image.rgb NULL). Errors,
 * notices and progress, which counts images, are those of the context of diffusions[0]. params->preview_every must be 0; otherwise as
 * clio_imagine. diffusion_count: 1 to 64. */
CLIO_API clio_status clio_imagine_parallel(clio_diffusion *const *diffusions, size_t diffusion_count, const clio_imagine_params *params,
                                           clio_image_list **out);
/* images NULL: nothing. */
CLIO_API void clio_image_list_free(clio_image_list *images);
/* Write images of one size as an animated PNG that loops, each shown for some milliseconds; otherwise as clio_image_write.
 * milliseconds: 1 to 65535. count: 0 to 10000. entries NULL: none. */
CLIO_API clio_status clio_image_write_apng(clio_context *ctx, const clio_image_list *images, const char *path, int milliseconds,
                                           const clio_metadata_entry *entries, size_t count);
/* Arrange images of one size in a grid with `columns` columns; small images are enlarged by a whole factor. columns: 0 to 65536; 0: the
 * square root of the number of images, rounded up. */
CLIO_API clio_status clio_image_grid(clio_context *ctx, const clio_image_list *images, int columns, clio_image **out);

/* ---- embeddings ----
 *
 *     clio_embedder *embedder = NULL;
 *     clio_embeddings *e = NULL;
 *     const char *texts[] = {"a cat sits on the mat", "stock prices fell"};
 *     if (clio_embedder_load(ctx, "all-MiniLM-L6-v2", &embedder) || clio_embed_texts(embedder, texts, 2, NULL, &e))
 *         fprintf(stderr, "%s\n", clio_error(ctx));
 *     clio_embeddings_free(e);
 *     clio_embedder_free(embedder);
 */

typedef struct clio_embedder clio_embedder;
/* Load an encoder that gives a vector for an input: a folder of sentence-transformers (modules.json), a BERT model in Hugging Face layout,
 * of which the mean of the tokens' states is taken, or a CLIP model. CLIO_ERROR_FILE, CLIO_ERROR_FORMAT, CLIO_ERROR_UNSUPPORTED: name the
 * file and the reason. */
CLIO_API clio_status clio_embedder_load(clio_context *ctx, const char *dir, clio_embedder **out);
/* embedder NULL: nothing. */
CLIO_API void clio_embedder_free(clio_embedder *embedder);

typedef struct clio_embedder_info {
    const char *model; /* model_type of config.json, "bert"; valid until clio_embedder_free */
    int width;         /* numbers of an embedding */
    int takes_texts;   /* 1: clio_embed_texts works */
    int max_length;    /* tokens of a text at most; what is behind them has no effect */
    int normalizes;    /* 1: embeddings have length 1 unless a call says otherwise */
} clio_embedder_info;
/* embedder NULL: zeros. */
CLIO_API clio_embedder_info clio_embedder_get_info(const clio_embedder *embedder);

/* Scale embeddings to length 1: as the model's files say; always; never. */
enum { CLIO_NORMALIZE_MODEL, CLIO_NORMALIZE_ALWAYS, CLIO_NORMALIZE_NEVER };

typedef struct clio_embed_params {
    int batch;           /* inputs that are computed together, 0 to 4096; 0: 32. It changes a result only by rounding */
    int normalization;   /* CLIO_NORMALIZE_MODEL and so on, 0 to 2 */
    const char *pooling; /* "mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean" or "lasttoken" of the tokens' states, or "pooler":
                            the network's own pooled vector; NULL: as the model's files say */
    const char *prompt;  /* put before each text ("query: "); NULL or "": nothing */
} clio_embed_params;

typedef struct clio_embeddings {
    const float *values; /* [count, width], in the order of the inputs */
    size_t count;
    int width;
} clio_embeddings;
/* Embed texts. Batches hold texts of similar length. Progress is reported as "embedding" and counts texts. count: 0 to 100000000. One of
 * the texts "": it has an embedding, too. params NULL: the defaults. CLIO_ERROR_UNSUPPORTED: the model takes no texts. */
CLIO_API clio_status clio_embed_texts(clio_embedder *embedder, const char *const *texts, size_t count, const clio_embed_params *params,
                                      clio_embeddings **out);
/* embeddings NULL: nothing. */
CLIO_API void clio_embeddings_free(clio_embeddings *embeddings);

/* ---- training ----
 *
 *     clio_train_params params = {.model = "vae", .data = "fashion-mnist", .out = "my-vae", .settings = "{\"epochs\": 3}"};
 *     if (clio_train(ctx, &params))
 *         fprintf(stderr, "%s\n", clio_error(ctx));
 */

typedef struct clio_train_status {
    int64_t step, steps;      /* optimizer steps: done, and of the whole run */
    double epoch;             /* passes over the data, with the fraction of the current one */
    const char *const *names; /* [count] names of the losses */
    const double *losses;     /* [count] losses of this step */
    size_t count;
    double samples_per_second; /* recent mean */
    double seconds_left;       /* at that rate */
    const char *event; /* a message ("step 1263: validation negative_elbo 250.85 on 6000 images (best so far)"); NULL: a plain step */
    int is_warning;    /* of the event: a file of the run could not be written, or a damaged checkpoint is passed over */
} clio_train_status;
/* Called after each step and for each event. A nonzero return ends the run as clio_cancel does. */
typedef int (*clio_train_fn)(void *user, const clio_train_status *status);

typedef struct clio_train_params {
    const char *model;    /* the model type, see clio_train_model; NULL: that of the run that is resumed */
    const char *data;     /* a folder of images or sounds in the imagefolder convention of Hugging Face datasets, or of IDX files (MNIST) */
    const char *out;      /* the output folder; it is created */
    const char *settings; /* a JSON object of settings, see clio_train_setting; NULL: the defaults */
    const char *overrides; /* another one, whose settings replace those of `settings`; NULL: none */
    int resume; /* 1: resume from the newest intact checkpoint in `out`, with its settings, which those given here override; where
                   there is none, and with 0, a new run, and `out` must not hold one */
    clio_train_fn on_status; /* NULL: none */
    void *user;              /* passed to on_status */
} clio_train_params;
/* Train until all steps are done, until early stopping (early_stopping_patience), or until clio_cancel, which saves a checkpoint and
 * returns CLIO_ERROR_CANCELLED. Checkpoints, train.csv, eval.csv and samples are written to params->out. A loss that is not finite ends the
 * run with CLIO_ERROR_NOT_FINITE, and the sentence names the step and the first such tensor; the last checkpoint stays valid. */
CLIO_API clio_status clio_train(clio_context *ctx, const clio_train_params *params);

/* The number of this process among those that mpirun started on this machine, for a choice of devices; 0 of 1 without mpirun. clio must be
 * built with MPI. rank NULL: not wanted. ranks NULL: not wanted. */
CLIO_API void clio_train_rank(int *rank, int *ranks);

typedef enum clio_setting_type {
    CLIO_SETTING_INTEGER,
    CLIO_SETTING_NUMBER,
    CLIO_SETTING_BOOLEAN,
    CLIO_SETTING_CHOICE,
    CLIO_SETTING_TEXT
} clio_setting_type;
typedef struct clio_setting {
    const char *name, *summary; /* NULL past the last one */
    clio_setting_type type;
    double minimum, maximum; /* of integers and numbers */
    const char *choices;     /* of a choice, separated by '|': "adam|adamw|sgd|rmsprop"; otherwise NULL */
    char range[80];          /* the same as text: "1 to 4096", "adam|adamw|sgd|rmsprop", "true|false", "text" */
    char value[40];          /* the default; "": it depends on the model, or a text has none */
} clio_setting;
/* Model type number n that can be trained, n: any number from 0: its name and a line of description, both NULL past the last one.
 * name NULL: not wanted. summary NULL: not wanted. */
CLIO_API void clio_train_model(size_t n, const char **name, const char **summary);
/* Setting number n of a model type, n: any number from 0. model NULL: the settings of every run. */
CLIO_API clio_status clio_train_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out);
/* Setting number n of the runs of a model type, n: any number from 0: those of every run that it has use for, with the defaults that they
 * have for it. */
CLIO_API clio_status clio_train_run_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out);

/* ---- generators: models that clio_train trained ---- */

typedef struct clio_generator clio_generator;
/* Load the output folder of a finished or running training run, or one of its checkpoints. CLIO_ERROR_FILE: there is no model in it. */
CLIO_API clio_status clio_generator_load(clio_context *ctx, const char *path, clio_generator **out);
/* generator NULL: nothing. */
CLIO_API void clio_generator_free(clio_generator *generator);

typedef struct clio_generator_info {
    const char *model;              /* the model type, "dcgan"; belongs to the library */
    int width, height, channels;    /* of its images */
    int latent;                     /* length of the latent vector; 0: the model has no latents to sample from */
    int classes;                    /* number of labels, or of a model trained on captions its validation prompts; 0: unconditional */
    int encodes;                    /* 1: clio_generator_reconstruct works */
    const char *const *class_names; /* [classes] names of the labels; NULL: not known. Valid until clio_generator_free */
} clio_generator_info;
/* generator NULL: zeros. */
CLIO_API clio_generator_info clio_generator_get_info(const clio_generator *generator);

/* Sample images. Image n is the one of seed + n, for any count. count: 1 to 65536. labels: int [count], each below `classes`.
 * labels NULL: every class in turn, where there are classes. */
CLIO_API clio_status clio_generator_sample(clio_generator *generator, int count, uint64_t seed, const int *labels, clio_image_list **out);
/* Interpolate between the latents of two seeds, both included, by spherical linear interpolation (White 2016). frames: 2 to 65536. label:
 * any number for a model without classes, otherwise below `classes`. */
CLIO_API clio_status clio_generator_interpolate(clio_generator *generator, uint64_t from, uint64_t to, int frames, int label,
                                                clio_image_list **out);
/* Encode and decode images, scaled to the model's size. The result has 2 count images: each input, followed by its reconstruction.
 * count: 1 to 65536. */
CLIO_API clio_status clio_generator_reconstruct(clio_generator *generator, const clio_image *images, size_t count, clio_image_list **out);

/* ---- evaluation ---- */

typedef struct clio_metric {
    const char *name; /* "psnr", "frechet_distance" */
    double value;
    const char *unit; /* "dB", "%" or "" */
} clio_metric;
typedef struct clio_metrics {
    const clio_metric *list;
    size_t count;
} clio_metrics;
/* metrics NULL: nothing. */
CLIO_API void clio_metrics_free(clio_metrics *metrics);

typedef struct clio_evaluate_params {
    const char *model;    /* an output folder of clio_train */
    const char *data;     /* as for clio_train */
    const char *split;    /* "train", "validation" or "test"; NULL: the last of these that is not empty */
    const char *features; /* an output folder of clio_train with a classifier, or another model with an encoder: Frechet and kernel distance
                             are computed from its features of real and generated images; NULL: neither is computed */
    int count;            /* images, 0 to 1000000, not 1, at most those of the split; 0: 10000 */
    uint64_t seed;        /* of the generated images */
} clio_evaluate_params;
/* Evaluate a trained model: its own metrics (negative_elbo, accuracy), reconstruction_mse, psnr and ssim (Wang et al. 2004) of
 * reconstructions, and with params->features frechet_distance (Heusel et al. 2017) and kernel_distance (Binkowski et al. 2018) of generated
 * images. */
CLIO_API clio_status clio_evaluate(clio_context *ctx, const clio_evaluate_params *params, clio_metrics **out);
/* Word and character error rate of transcripts, with substitutions, insertions and deletions. Both arguments are text files, which are
 * compared line by line if they have the same number of lines, otherwise as a whole. */
CLIO_API clio_status clio_evaluate_transcripts(clio_context *ctx, const char *reference, const char *hypothesis, clio_metrics **out);
/* BLEU, ROUGE-L and CIDEr-D of captions, as in coco-caption. Both arguments are JSON Lines files with file_name and text (or caption); a
 * file_name may have several references. */
CLIO_API clio_status clio_evaluate_captions(clio_context *ctx, const char *captions, const char *references, clio_metrics **out);

#ifdef __cplusplus
}
#endif
#endif
