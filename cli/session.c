/* session.c - see session.h. */
#include "session.h"
#include "library_message.h"
#include "bar.h"
#include "model_path.h"
#include "profile.h"
#include "say.h"
#include "selftests.h"
#include "terminal.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <strings.h>

static clio_context *volatile running;
static volatile sig_atomic_t stopped, tells; /* tells: standard error is a terminal */

/* The first one asks the running call to stop. The second one, of either kind, ends the program at once, whatever the call does: a kernel
 * or a compiler that runs for long, or for ever. Files are written beside their name, so that none is left half-written under it. */
static void on_signal(int number)
{
    if (stopped) {
        signal(number, SIG_DFL);
        raise(number); /* blocked until this function returns */
        return;
    }
    static const char text[] = "\nclio: stopping after the current step; once more (Ctrl-C) ends at once\n";
    stopped = 1;
    if (running)
        clio_cancel(running);
    if (tells && write(STDERR_FILENO, text, sizeof text - 1) < 0)
        tells = 0;
}

static void watch_signal(int number)
{
    struct sigaction before, action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

/* The library forgets a cancellation when a call begins, so `stopped` is checked as well. */
static int on_progress(void *user, const char *what, double done, double total)
{
    const struct session *s = user;
    bool audio = !strcmp(what, "transcribing"), steps = !strcmp(what, "sampling");
    if (s->files)
        audio = false; /* counted in files */
    if (audio && total > 0) {
        if (s->duration > 0)
            total = fmin(total, s->offset + s->duration);
        done -= s->offset;
        total -= s->offset;
    }
    if (steps && done == 0)
        bar_begin(); /* loading does not count */
    bar_progress(what, done, total, audio ? BAR_AUDIO : steps ? BAR_STEPS : BAR_PLAIN);
    return stopped;
}

static void on_notice(void *user, const char *text)
{
    const struct session *s = user;
    char *here = library_message(s->set->command, text);
    if (!s->set->quiet)
        say_notice(here);
    free(here);
}

int session_stopped(void)
{
    return stopped;
}

/* The last failure of the library, in the command's terms. */
static void say_library_error(const struct session *s)
{
    char *text = library_message(s->set->command, clio_error(s->ctx));
    say_error("%s", text);
    free(text);
}

bool session_context(struct session *s, const struct settings *set)
{
    clio_status st = CLIO_OK;
    s->set = set;
    s->ctx = clio_create();
    if (!s->ctx) {
        say_error("out of memory");
        return false;
    }
    if (set->no_cache || set->cache)
        st = clio_set_cache(s->ctx, set->cache, !set->no_cache);
    if (st) {
        say_library_error(s);
        return false;
    }
    clio_set_profile(s->ctx, set->verbose);
    clio_set_progress(s->ctx, on_progress, s);
    clio_set_notice(s->ctx, on_notice, s);
    bar_enable(!set->quiet);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe makes the write fail */
    running = s->ctx;
    tells = !set->quiet && isatty(STDERR_FILENO);
    watch_signal(SIGINT);
    watch_signal(SIGTERM);
    watch_signal(SIGHUP); /* the terminal was closed; ignored under nohup */
    return true;
}

int session_failed(struct session *s, clio_status st)
{
    bar_clear();
    if (stopped) {
        say_error("interrupted");
        return EXIT_STOPPED;
    }
    if (s->output_error && st == CLIO_ERROR_CANCELLED)
        return EXIT_FAILED; /* session_close reports it */
    s->lost = st == CLIO_ERROR_DEVICE;
    say_library_error(s);
    if (s->set->verbose)
        print_lines(stderr, "      ", clio_error_detail(s->ctx));
    return st == CLIO_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

void session_header(const struct session *s)
{
    const clio_device_info *d = clio_device(s->ctx);
    char *label = model_label(s->model);
    bar_clear();
    const char *problem, *tuned = clio_tuned_file(s->ctx, &problem);
    print_err("clio %s on %s (%s, %s%s), model %s\n", clio_version(), d->name, d->type, d->platform, tuned ? ", tuned" : "", label);
    free(label);
    if (problem)
        print_err("tuned parameters not used: %s\n", problem);
}

clio_status session_device(struct session *s)
{
    clio_status st = clio_set_weight_type(s->ctx, s->set->weight_type);
    return st ? st : clio_device_open(s->ctx, s->set->device);
}

int session_open(struct session *s, const struct settings *set)
{
    clio_status st;
    s->set = set;
    s->model = set->model ? model_find(set->model) : model_default();
    if (!s->model)
        return set->model ? EXIT_FAILED : EXIT_USAGE;
    if (!model_fits(s->model, set->command))
        return EXIT_FAILED;
    if (!session_context(s, set))
        return EXIT_FAILED;
    bar_begin();
    st = session_device(s);
    if (!st && !set->quiet)
        session_header(s);
    if (!st)
        st = clio_speech_load(s->ctx, s->model, &s->speech);
    bar_clear();
    return st ? session_failed(s, st) : EXIT_DONE;
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

void session_print_name(const struct session *s, const char *file)
{
    bar_clear();
    if (s->set->files.count > 1 && !s->set->quiet)
        print_err("%s:\n", file);
}

/* Several files are transcribed together: the next segment is of the first file that is not complete. */
static void print_name_once(struct session *s)
{
    if (s->files && !s->named)
        session_print_name(s, s->file);
    s->named = true;
}

static int on_segment(void *user, const clio_segment *segment)
{
    struct session *s = user;
    char from[32], to[32];
    if (stopped)
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

static void count_failure(struct session *s, clio_status st)
{
    s->refused += session_failed(s, st) == EXIT_USAGE;
    s->failed++;
}

static void count_result(struct session *s, const clio_transcript *result)
{
    s->audio_seconds += result->duration;
    s->done++;
    if (result->incomplete)
        say_error("%s", result->incomplete);
    s->incomplete = s->incomplete || result->incomplete;
    if (!s->set->quiet && s->detects && *result->language && clio_speech_is_multilingual(s->speech))
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

clio_transcript *session_transcribe(struct session *s, const char *file, clio_speech_params params)
{
    clio_transcript *result = NULL;
    double start = seconds_now();
    clio_status st = clio_speech_file(s->speech, file, begin_file(s, file, &params), &result);
    bar_clear();
    s->wall_seconds += seconds_now() - start;
    if (st)
        count_failure(s, st);
    else
        count_result(s, result);
    return result;
}

static int on_file(void *user, size_t index, clio_status st, clio_transcript *result)
{
    struct session *s = user;
    if (st && stopped)
        return 1; /* reported once, for all */
    print_name_once(s);
    bar_clear();
    if (st) {
        count_failure(s, st);
    } else {
        count_result(s, result);
        s->on_transcript(s, index, result);
        clio_transcript_free(result);
    }
    s->file = index + 1 < s->files->count ? s->files->items[index + 1] : NULL;
    s->named = false;
    return !session_continues(s);
}

void session_transcribe_files(struct session *s, const struct words *files, clio_speech_params params,
                              void (*on_transcript)(struct session *s, size_t k, const clio_transcript *result))
{
    double start = seconds_now();
    s->files = files;
    s->on_transcript = on_transcript;
    begin_file(s, files->items[0], &params);
    clio_status st = clio_speech_files(s->speech, files->items, files->count, &params, on_file);
    bar_clear();
    s->wall_seconds += seconds_now() - start;
    if (st)
        count_failure(s, st);
}

bool session_continues(const struct session *s)
{
    /* Arguments that were invalid for the first file are invalid for all, but an offset can lie beyond the end of one. */
    return !stopped && !s->lost && !(s->output_error && s->needs_output) && !(s->refused && !s->done && s->set->params.offset <= 0);
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
    uint64_t now, peak;
    clio_memory(s->ctx, &now, &peak);
    if (s->done + s->failed > 1)
        print_err("%zu of %zu files: ", s->done, s->done + s->failed);
    print_duration(s->audio_seconds);
    print_err(" of audio in ");
    print_duration(s->wall_seconds);
    print_err(", %.1f times real time, peak device memory %.0f MiB\n", s->wall_seconds > 0 ? s->audio_seconds / s->wall_seconds : 0,
              (double)peak / 0x1p20);
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
    if (s->ctx && s->set->verbose && clio_device(s->ctx)) {
        print_err("self-tests on this device: ");
        selftests_print(s->ctx, clio_device(s->ctx)->index, stderr);
        print_err("\n");
        profile_print(s->ctx);
    }
    clio_speech_free(s->speech);
    bar_clear();
    running = NULL;
    clio_destroy(s->ctx);
    free(s->model);
    if (s->output_error == EPIPE && s->needs_output && !stopped) {
        signal(SIGPIPE, SIG_DFL); /* end as other tools do when the reader is gone */
        raise(SIGPIPE);
    }
    return stopped ? EXIT_STOPPED : code;
}
