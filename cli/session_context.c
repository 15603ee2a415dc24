/* session_context.c - the contexts of a command: made with its settings, cancelled by Ctrl-C, with their progress and failures shown. See
 * session.h. */
#include "bar.h"
#include "library_message.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void session_notice(const struct session *s, const char *text)
{
    char *here = library_message(s->set->command, text);
    if (!s->set->quiet)
        say_notice(here);
    free(here);
}

static void on_notice(void *user, const char *text)
{
    session_notice(user, text);
}

int session_stopped(void)
{
    return stopped;
}

/* A failure of the library, in the command's terms. */
static void say_library_error(const struct session *s, const char *sentence)
{
    char *text = library_message(s->set->command, sentence);
    say_error("%s", text);
    free(text);
}

clio_context *session_new_context(struct session *s)
{
    const struct settings *set = s->set;
    clio_context *ctx = clio_create();
    if (!ctx) {
        say_error("out of memory");
        return NULL;
    }
    if ((set->no_cache || set->cache) && clio_set_cache(ctx, set->cache, !set->no_cache)) {
        say_library_error(s, clio_error(ctx));
        clio_destroy(ctx);
        return NULL;
    }
    clio_set_profile(ctx, set->verbose);
    clio_set_progress(ctx, on_progress, s);
    clio_set_notice(ctx, on_notice, s);
    return ctx;
}

void session_use_context(struct session *s, clio_context *ctx)
{
    running = ctx;
    s->ctx = ctx;
}

bool session_context(struct session *s, const struct settings *set)
{
    s->set = set;
    s->devices[0].ctx = session_new_context(s);
    if (!s->devices[0].ctx)
        return false;
    s->device_count = 1;
    s->by = &s->devices[0];
    session_use_context(s, s->devices[0].ctx);
    bar_enable(!set->quiet);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe makes the write fail */
    tells = !set->quiet && isatty(STDERR_FILENO);
    watch_signal(SIGINT);
    watch_signal(SIGTERM);
    watch_signal(SIGHUP); /* the terminal was closed; ignored under nohup */
    return true;
}

int session_failed_with(struct session *s, clio_status st, const char *sentence, const char *detail)
{
    bar_clear();
    if (stopped) {
        say_error("interrupted");
        return EXIT_STOPPED;
    }
    if (s->output_error && st == CLIO_ERROR_CANCELLED)
        return EXIT_FAILED; /* session_close reports it */
    s->lost = st == CLIO_ERROR_DEVICE;
    say_library_error(s, sentence);
    if (s->set->verbose && detail)
        print_lines(stderr, "      ", detail);
    return st == CLIO_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int session_failed_on(struct session *s, clio_context *ctx, clio_status st)
{
    return session_failed_with(s, st, clio_error(ctx), clio_error_detail(ctx));
}

int session_failed(struct session *s, clio_status st)
{
    return session_failed_on(s, s->ctx, st);
}
