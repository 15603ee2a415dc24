/* session_devices.c - the devices that -d names: one, several separated by commas, or all. See session.h. */
#include "bar.h"
#include "model_path.h"
#include "profile.h"
#include "say.h"
#include "selftests.h"
#include "session.h"
#include "terminal.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_device(struct session_device *d)
{
    clio_speech_free(d->speech);
    clio_diffusion_free(d->diffusion);
    clio_embedder_free(d->embedder);
    clio_destroy(d->ctx);
    *d = (struct session_device){.ctx = NULL};
}

/* Go on without device i, which is not the only one. */
static void drop_device(struct session *s, size_t i)
{
    struct session_device dropped = s->devices[i];
    memmove(&s->devices[i], &s->devices[i + 1], (s->device_count - i - 1) * sizeof *s->devices);
    s->device_count--;
    session_use_context(s, s->devices[0].ctx);
    close_device(&dropped);
}

/* ---- opening ---- */

static clio_status open_on(struct session *s, clio_context *ctx, const char *selector)
{
    clio_status st = clio_set_weight_type(ctx, s->set->weight_type);
    return st ? st : clio_device_open(ctx, selector);
}

/* Without -d each of several processes takes another device of the best type; "": the best device. Usable devices come first, the best
 * ahead. */
static clio_status choose_for_rank(struct session *s, char selector[24])
{
    int rank, ranks;
    const clio_device_info *devices;
    size_t count, same = 0;
    clio_status st = clio_device_list(s->ctx, &devices, &count);
    *selector = 0;
    clio_train_rank(&rank, &ranks);
    while (!st && same < count && devices[same].index >= 0 && !strcmp(devices[same].type, devices[0].type))
        same++;
    if (same)
        snprintf(selector, 24, "%d", devices[(size_t)rank % same].index);
    return st;
}

clio_status session_device(struct session *s)
{
    char selector[24];
    const char *variable = getenv("CLIO_DEVICE");
    if (s->set->device || session_ranks() == 1 || (variable && *variable))
        return open_on(s, s->ctx, s->set->device);
    clio_status st = choose_for_rank(s, selector);
    return st ? st : open_on(s, s->ctx, *selector ? selector : NULL);
}

int session_ranks(void)
{
    int rank, ranks;
    clio_train_rank(&rank, &ranks);
    return ranks;
}

bool session_are_several(const char *device)
{
    return device && (strchr(device, ',') || !strcmp(device, "all"));
}

/* The selectors of `device`, separated by commas, for the caller to free: "all" becomes the indices of all devices. NULL after a message.
 */
static char *list_selectors(struct session *s, const char *device)
{
    const clio_device_info *list = NULL;
    size_t count = 0;
    if (strcmp(device, "all") != 0)
        return must_print("%s", device);
    clio_status st = clio_device_list(s->ctx, &list, &count);
    if (st) {
        session_failed(s, st);
        return NULL;
    }
    char *text = must_print("%s", "");
    for (size_t i = 0; i < count; i++)
        if (list[i].index >= 0 && list[i].has_compiler && !list[i].is_clover) {
            char *longer = must_print("%s%s%d", text, *text ? "," : "", list[i].index);
            free(text);
            text = longer;
        }
    if (!*text) {
        say_error("no usable OpenCL device: clio devices says why");
        free(text);
        return NULL;
    }
    return text;
}

/* Open a device with the first context or a further one. */
static int add_device(struct session *s, const char *device, const char *selector, bool is_first)
{
    struct session_device *d = &s->devices[is_first ? 0 : s->device_count];
    if (!is_first && s->device_count == DEVICES_MAX) {
        say_error("-d names more than %d devices: leave some out", DEVICES_MAX);
        return EXIT_USAGE;
    }
    if (!*selector || !strcmp(selector, "all")) {
        say_error(*selector ? "-d %s: all stands alone, and names every device" : "-d %s has an empty name: separate devices by one comma",
                  device);
        return EXIT_USAGE;
    }
    if (!is_first && !(d->ctx = session_new_context(s)))
        return EXIT_FAILED;
    s->device_count += !is_first;
    clio_status st = open_on(s, d->ctx, selector);
    if (st)
        return session_failed_on(s, d->ctx, st);
    for (size_t i = 0; i + 1 < s->device_count; i++)
        if (clio_device(s->devices[i].ctx)->index == clio_device(d->ctx)->index) {
            say_error("-d %s names device %d, %s, twice: give each device once", device, clio_device(d->ctx)->index,
                      clio_device(d->ctx)->name);
            return EXIT_USAGE;
        }
    return EXIT_DONE;
}

int session_devices(struct session *s, size_t most)
{
    const char *variable = getenv("CLIO_DEVICE"), *device = s->set->device ? s->set->device : variable;
    if (!session_are_several(device)) {
        clio_status st = session_device(s);
        return st ? session_failed(s, st) : EXIT_DONE;
    }
    char *selectors = list_selectors(s, device), *rest = selectors;
    int code = selectors ? EXIT_DONE : EXIT_FAILED;
    for (size_t i = 0; !code && rest; i++) {
        char *selector = rest, *comma = strchr(rest, ',');
        if (comma)
            *comma = 0;
        rest = comma ? comma + 1 : NULL;
        code = add_device(s, device, selector, i == 0);
    }
    free(selectors);
    while (!code && s->device_count > most && s->device_count > 1)
        drop_device(s, s->device_count - 1);
    return code;
}

void session_header(const struct session *s)
{
    char *label = model_label(s->model);
    bar_clear();
    for (size_t i = 0; i < s->device_count; i++) {
        const clio_device_info *d = clio_device(s->devices[i].ctx);
        const char *problem, *tuned = clio_tuned_file(s->devices[i].ctx, &problem);
        print_err("clio %s on %s (%s, %s%s), model %s\n", clio_version(), d->name, d->type, d->platform, tuned ? ", tuned" : "", label);
        if (problem)
            print_err("tuned parameters not used: %s\n", problem);
    }
    free(label);
}

/* ---- models ---- */

static bool is_of_device(clio_status st)
{
    return st == CLIO_ERROR_DEVICE || st == CLIO_ERROR_BUILD || st == CLIO_ERROR_MEMORY;
}

/* Go on without device i, which cannot load the model. */
static void leave_out(struct session *s, size_t i)
{
    char *text =
        must_print("device %d: %s; the other devices do its work", clio_device(s->devices[i].ctx)->index, clio_error(s->devices[i].ctx));
    bar_clear();
    session_notice(s, text);
    free(text);
    drop_device(s, i);
}

int session_load(struct session *s, clio_status (*load)(void *user, struct session_device *d), void *user)
{
    if (!s->set->quiet)
        session_header(s);
    for (size_t i = 0; i < s->device_count;) {
        clio_status st = load(user, &s->devices[i]);
        if (st && (!is_of_device(st) || s->device_count == 1 || session_stopped()))
            return session_failed_on(s, s->devices[i].ctx, st);
        if (st)
            leave_out(s, i);
        else
            i++;
    }
    return EXIT_DONE;
}

void session_close_devices(struct session *s)
{
    session_use_context(s, NULL);
    for (size_t i = 0; i < s->device_count; i++)
        close_device(&s->devices[i]);
    s->device_count = 0;
}

/* ---- reports ---- */

char *session_device_names(const struct session *s)
{
    char *names = must_print("%s", "");
    for (size_t i = 0; i < s->device_count; i++) {
        char *name = text_name(clio_device(s->devices[i].ctx)->name), *longer = must_print("%s%s%s", names, i ? " + " : "", name);
        free(name);
        free(names);
        names = longer;
    }
    return names;
}

uint64_t session_peak_memory(const struct session *s)
{
    uint64_t now, peak, all = 0;
    for (size_t i = 0; i < s->device_count; i++) {
        clio_memory(s->devices[i].ctx, &now, &peak);
        all += peak;
    }
    return all;
}

void session_print_shares(const struct session *s, const char *what)
{
    for (size_t i = 0; s->device_count > 1 && i < s->device_count; i++) {
        const struct session_device *d = &s->devices[i];
        print_err("device %d, %s: %zu %s%s\n", clio_device(d->ctx)->index, clio_device(d->ctx)->name, d->done, what,
                  d->done == 1 ? "" : "s");
    }
}

void session_print_profiles(const struct session *s)
{
    for (size_t i = 0; i < s->device_count; i++) {
        clio_context *ctx = s->devices[i].ctx;
        print_err("self-tests on %s: ", s->device_count > 1 ? clio_device(ctx)->name : "this device");
        selftests_print(ctx, clio_device(ctx)->index, stderr);
        print_err("\n");
        profile_print(ctx);
    }
}
