/* session.c - see session.h. */
#include "session.h"
#include "bar.h"
#include "checks.h"
#include "model_path.h"
#include "profile.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clio_context *volatile running;
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
    if (running)
        clio_cancel(running);
}

static void watch_signal(int number)
{
    struct sigaction before, action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESETHAND; /* the second one kills */
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

/* The library forgets a cancellation when a call begins, so that `stopped` is asked as well. */
static int on_progress(void *user, const char *what, double done, double total)
{
    const struct session *s = user;
    bool sound = !strcmp(what, "transcribing");
    if (sound && total > 0) {
        if (s->duration > 0)
            total = fmin(total, s->offset + s->duration);
        done -= s->offset;
        total -= s->offset;
    }
    bar_progress(what, done, total, sound);
    return stopped;
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
        say_error("%s", clio_error(s->ctx));
        return false;
    }
    clio_set_profile(s->ctx, set->verbose);
    clio_set_progress(s->ctx, on_progress, s);
    bar_enable(!set->quiet);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is seen by the write that fails */
    running = s->ctx;
    watch_signal(SIGINT);
    watch_signal(SIGTERM);
    return true;
}

int session_failed(struct session *s, clio_status st)
{
    bar_clear();
    if (stopped) {
        say_error("stopped");
        return EXIT_STOPPED;
    }
    if (s->output_error && st == CLIO_ERROR_CANCELLED)
        return EXIT_FAILED; /* session_close says so */
    s->lost = st == CLIO_ERROR_DEVICE;
    say_error("%s", clio_error(s->ctx));
    if (s->set->verbose)
        fprintf(stderr, "      %s\n", clio_error_detail(s->ctx));
    return st == CLIO_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

static void print_header(const struct session *s)
{
    const clio_device_info *d = clio_device(s->ctx);
    const char *end = s->model + strlen(s->model), *name;
    while (end > s->model && end[-1] == '/')
        end--;
    for (name = end; name > s->model && name[-1] != '/';)
        name--;
    bar_clear();
    const char *problem, *tuned = clio_tuned_file(s->ctx, &problem);
    fprintf(stderr, "clio %s on %s (%s, %s%s), model %.*s\n", clio_version(), d->name, d->type, d->platform, tuned ? ", tuned" : "",
            (int)(end - name), name);
    if (problem)
        fprintf(stderr, "without its tuned parameters: %s\n", problem);
}

int session_open(struct session *s, const struct settings *set)
{
    clio_status st;
    s->set = set;
    s->model = set->model ? model_find(set->model) : model_default();
    if (!s->model)
        return set->model ? EXIT_FAILED : EXIT_USAGE;
    if (!session_context(s, set))
        return EXIT_FAILED;
    bar_begin();
    st = clio_device_open(s->ctx, set->device);
    if (!st && !set->quiet)
        print_header(s);
    if (!st)
        st = clio_speech_load(s->ctx, s->model, &s->speech);
    bar_clear();
    return st ? session_failed(s, st) : EXIT_DONE;
}

void stamp_print(char out[32], double seconds, char point)
{
    long long ms = seconds > 0 ? llround(seconds * 1000) : 0;
    snprintf(out, 32, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}

int session_flush(struct session *s)
{
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && !s->output_error)
        s->output_error = errno ? errno : EIO;
    return s->output_error && s->needs_output;
}

static int on_segment(void *user, const clio_segment *segment)
{
    struct session *s = user;
    char from[32], to[32];
    if (stopped)
        return 1;
    if (!s->prints || s->output_error)
        return 0;
    char *text = text_clean(segment->text);
    bar_clear();
    if (s->stamps) {
        stamp_print(from, segment->start, '.');
        stamp_print(to, segment->end, '.');
        printf("[%s --> %s]   %s\n", from, to, text);
    } else if (s->labels) {
        printf("%s: %s\n", s->file, text);
    } else {
        printf("%s\n", text);
    }
    free(text);
    return session_flush(s);
}

clio_transcript *session_hear(struct session *s, const char *file, clio_speech_params params)
{
    clio_transcript *result = NULL;
    double start = seconds_now();
    s->file = file;
    s->offset = params.offset;
    s->duration = params.duration;
    params.on_segment = on_segment;
    params.user = s;
    bar_begin();
    clio_status st = clio_speech_file(s->speech, file, &params, &result);
    bar_clear();
    s->seconds += seconds_now() - start;
    if (st) {
        s->refused += session_failed(s, st) == EXIT_USAGE;
        s->failed++;
        return NULL;
    }
    s->heard += result->duration;
    s->done++;
    if (!s->set->quiet && !params.language && *result->language && clio_speech_is_multilingual(s->speech))
        fprintf(stderr, "language: %s (%.0f %%)\n", result->language, 100 * result->language_probability);
    return result;
}

bool session_goes_on(const struct session *s)
{
    /* Arguments that the first file was refused for would be wrong for every other one. */
    return !stopped && !s->lost && !(s->output_error && s->needs_output) && !(s->refused && !s->done);
}

static void print_duration(double seconds)
{
    if (seconds >= 60)
        fprintf(stderr, "%.0f min %.0f s", floor(seconds / 60), floor(fmod(seconds, 60)));
    else
        fprintf(stderr, "%.1f s", seconds);
}

static void print_summary(const struct session *s)
{
    uint64_t now, peak;
    clio_memory(s->ctx, &now, &peak);
    if (s->done + s->failed > 1)
        fprintf(stderr, "%zu of %zu files: ", s->done, s->done + s->failed);
    print_duration(s->heard);
    fputs(" of sound in ", stderr);
    print_duration(s->seconds);
    fprintf(stderr, ", %.1f times real time, at most %.0f MiB on the device\n", s->seconds > 0 ? s->heard / s->seconds : 0,
            (double)peak / 0x1p20);
}

int session_close(struct session *s, int code)
{
    if (!code && s->failed)
        code = s->refused && !s->done ? EXIT_USAGE : EXIT_FAILED;
    if (!code && s->unsaved)
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
        fputs("checked on this device: ", stderr);
        checks_print(s->ctx, clio_device(s->ctx)->index, stderr);
        fputc('\n', stderr);
        profile_print(s->ctx);
    }
    clio_speech_free(s->speech);
    bar_clear();
    running = NULL;
    clio_destroy(s->ctx);
    free(s->model);
    if (s->output_error == EPIPE && s->needs_output && !stopped) {
        signal(SIGPIPE, SIG_DFL); /* end as every tool does whose reader went away */
        raise(SIGPIPE);
    }
    return stopped ? EXIT_STOPPED : code;
}
