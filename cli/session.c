/* session.c - see session.h. */
#include "bar.h"
#include "model_path.h"
#include "say.h"
#include "session.h"
#include "terminal.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static clio_status load_speech(void *user, struct session_device *d)
{
    const struct session *s = user;
    return clio_speech_load(d->ctx, s->model, &d->speech);
}

int session_open(struct session *s, const struct settings *set)
{
    s->set = set;
    s->model = set->model ? model_find(set->model) : model_default();
    if (!s->model)
        return set->model ? EXIT_FAILED : EXIT_USAGE;
    if (!model_fits(s->model, set->command))
        return EXIT_FAILED;
    if (!session_context(s, set))
        return EXIT_FAILED;
    bar_begin();
    int code = session_devices(s, set->files.count);
    code = code ? code : session_load(s, load_speech, s);
    bar_clear();
    return code;
}

int session_flush(struct session *s)
{
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && !s->output_error)
        s->output_error = errno ? errno : EIO;
    return s->output_error && s->needs_output;
}

int session_check_language(const struct command *self, const char *language)
{
    if (language && strcasecmp(language, "auto") != 0 && !clio_language_find(language))
        return say_usage(self, "-l is \"%.60s\", an unknown language: use a code such as en, de or zh, an English name, or auto", language);
    return EXIT_DONE;
}

int session_check_stdin(const struct command *self, const struct words *files)
{
    size_t inputs = 0;
    for (size_t i = 0; i < files->count; i++)
        inputs += !strcmp(files->items[i], "-");
    if (inputs > 1)
        return say_usage(self, "standard input can be read only once, but - was given %zu times", inputs);
    if (inputs && session_ranks() > 1)
        return say_usage(self, "standard input cannot be shared by the processes of mpirun: give files");
    return EXIT_DONE;
}

static void print_name(const struct session *s, const char *file)
{
    bar_clear();
    if (s->set->files.count > 1 && !s->labels && !s->set->quiet)
        print_err("%s:\n", file);
}

/* Several files are transcribed together: the next segment is of the first file that is not complete. */
static void print_name_once(struct session *s)
{
    if (s->files && !s->named)
        print_name(s, s->file);
    s->named = true;
}

static int on_segment(void *user, const clio_segment *segment)
{
    struct session *s = user;
    char from[32], to[32];
    if (session_stopped())
        return 1;
    print_name_once(s);
    if (!s->prints || s->output_error)
        return 0;
    char *text = text_clean(segment->text);
    bar_clear();
    if (s->stamps) {
        stamp_print(from, segment->start, '.');
        stamp_print(to, segment->end, '.');
        print_out("[%s --> %s]   %s\n", from, to, text);
    } else if (s->labels) {
        print_out("%s: %s\n", s->file, text);
    } else {
        print_out("%s\n", text);
    }
    free(text);
    return session_flush(s);
}

static void count_failure(struct session *s, clio_status st, const char *sentence, const char *detail)
{
    s->refused += session_failed_with(s, st, sentence, detail) == EXIT_USAGE;
    s->failed++;
}

static void count_result(struct session *s, const clio_transcript *result)
{
    s->audio_seconds += result->duration;
    s->done++;
    if (result->incomplete)
        say_error("%s", result->incomplete);
    s->incomplete = s->incomplete || result->incomplete;
    if (!s->set->quiet && s->detects && *result->language && clio_speech_is_multilingual(s->devices[0].speech))
        print_err("language: %s (%.0f %%)\n", result->language, 100 * result->language_probability);
}

/* Begin a file: the parameters with the session's callback. */
static const clio_speech_params *begin_file(struct session *s, const char *file, clio_speech_params *params)
{
    s->file = file;
    s->offset = params->offset;
    s->duration = params->duration;
    s->detects = !params->language;
    params->on_segment = on_segment;
    params->user = s;
    bar_begin();
    return params;
}

/* Should the next file be tried? */
static bool session_continues(const struct session *s)
{
    /* Arguments that were invalid for the first file are invalid for all, but an offset can lie beyond the end of one. */
    return !session_stopped() && !s->lost && !(s->output_error && s->needs_output) &&
           !(s->refused && !s->done && s->set->params.offset <= 0);
}

static void transcribe_one(struct session *s, size_t k, clio_speech_params params)
{
    const char *file = s->set->files.items[k];
    clio_transcript *result = NULL;
    double start = seconds_now();
    print_name(s, file);
    s->by = &s->devices[0];
    clio_status st = clio_speech_file(s->by->speech, file, begin_file(s, file, &params), &result);
    bar_clear();
    s->wall_seconds += seconds_now() - start;
    if (st || !result) {
        count_failure(s, st, clio_error(s->ctx), clio_error_detail(s->ctx));
    } else {
        count_result(s, result);
        s->on_transcript(s, k, result);
    }
    clio_transcript_free(result);
}

static int finish_file(struct session *s, size_t index, clio_status st, const char *error, const char *detail, clio_transcript *result)
{
    if (st && session_stopped())
        return 1; /* reported once, for all */
    print_name_once(s);
    bar_clear();
    if (st || !result) {
        count_failure(s, st, error, detail);
    } else {
        count_result(s, result);
        s->on_transcript(s, index, result);
        clio_transcript_free(result);
    }
    s->file = index + 1 < s->files->count ? s->files->items[index + 1] : NULL;
    s->named = false;
    return !session_continues(s);
}

static int on_file(void *user, size_t index, clio_status st, clio_transcript *result)
{
    struct session *s = user;
    return finish_file(s, index, st, clio_error(s->ctx), clio_error_detail(s->ctx), result);
}

static int on_parallel_file(void *user, size_t index, size_t device, clio_status st, const char *error, clio_transcript *result)
{
    struct session *s = user;
    bool stops = false;
    s->by = &s->devices[device];
    s->devices[device].done += result != NULL;
    s->file = s->files->items[index];
    for (size_t i = 0; result && !stops && i < result->segment_count; i++)
        stops = on_segment(s, &result->segments[i]);
    return stops || finish_file(s, index, st, error, NULL, result);
}

/* With windows of several files in one batch, or on several devices. */
static void transcribe_together(struct session *s, clio_speech_params params)
{
    const struct words *files = &s->set->files;
    clio_speech *speeches[DEVICES_MAX];
    double start = seconds_now();
    s->files = files;
    s->by = &s->devices[0];
    begin_file(s, files->items[0], &params);
    for (size_t i = 0; i < s->device_count; i++)
        speeches[i] = s->devices[i].speech;
    clio_status st = s->device_count > 1 || session_ranks() > 1
                         ? clio_speech_files_parallel(speeches, s->device_count, files->items, files->count, &params, on_parallel_file)
                         : clio_speech_files(s->devices[0].speech, files->items, files->count, &params, on_file);
    bar_clear();
    s->wall_seconds += seconds_now() - start;
    if (st)
        count_failure(s, st, clio_error(s->ctx), clio_error_detail(s->ctx));
}

void session_transcribe(struct session *s, clio_speech_params params,
                        void (*on_transcript)(struct session *s, size_t k, const clio_transcript *result))
{
    size_t count = s->set->files.count;
    bool together = session_ranks() > 1 || (count > 1 && (params.batch > 1 || s->device_count > 1));
    s->on_transcript = on_transcript;
    if (together && session_continues(s))
        transcribe_together(s, params);
    for (size_t k = 0; !together && k < count && session_continues(s); k++)
        transcribe_one(s, k, params);
}

static void print_duration(double seconds)
{
    if (seconds >= 60)
        print_err("%.0f min %.0f s", floor(seconds / 60), floor(fmod(seconds, 60)));
    else
        print_err("%.1f s", seconds);
}

static void print_summary(const struct session *s)
{
    uint64_t peak = session_peak_memory(s);
    if (s->done + s->failed > 1)
        print_err("%zu of %zu files: ", s->done, s->done + s->failed);
    print_duration(s->audio_seconds);
    print_err(" of audio in ");
    print_duration(s->wall_seconds);
    print_err(", %.1f times real time, peak device memory %.0f MiB\n", s->wall_seconds > 0 ? s->audio_seconds / s->wall_seconds : 0,
              (double)peak / 0x1p20);
    session_print_shares(s, "file");
}

int session_close(struct session *s, int code)
{
    if (!code && s->failed)
        code = s->refused && !s->done ? EXIT_USAGE : EXIT_FAILED;
    if (!code && (s->unsaved || s->incomplete))
        code = EXIT_FAILED;
    session_flush(s);
    if (s->output_error) {
        if (s->output_error != EPIPE)
            say_output_error(s->output_error);
        if (s->output_error != EPIPE || s->needs_output)
            code = EXIT_FAILED;
    }
    if (s->ctx && !s->set->quiet && s->done)
        print_summary(s);
    if (s->ctx && s->set->verbose && clio_device(s->ctx))
        session_print_profiles(s);
    bar_clear();
    session_close_devices(s);
    free(s->model);
    if (s->output_error == EPIPE && s->needs_output && !session_stopped()) {
        signal(SIGPIPE, SIG_DFL); /* end as other tools do when the reader is gone */
        raise(SIGPIPE);
    }
    return session_stopped() ? EXIT_STOPPED : code;
}
