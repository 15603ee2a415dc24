/* state.c - the journal of a search, which makes it resumable: lines of text that are only appended, so that the process may die at any
 * time.
 *
 *     clio tune state 1
 *     <identity: device, driver, parameters, kernels, plan>
 *     try NAME                      written and synced before NAME is tried
 *     right NAME | 0:0.0123 4:0.02  followed by one of these: seconds of one call, by case,
 *     wrong NAME | why              or why the candidate is rejected
 *     slow NAME |
 *     failed NAME | why
 *     drop NAME |                   interrupted: nothing is known about NAME
 *
 * A `try` without an outcome is the candidate during which the process died. `failed`: a call failed, which says nothing about the
 * candidate, so the next run tries it again. The next run reads the journal and looks candidates up before it tries them, so the search
 * repeats the same steps at no cost until it reaches new ones. A cut last line is dropped. The file is locked while a process uses it. */
#include "tune.h"
#include "../core/file_out.h"
#include "../core/file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "clio tune state 1\n"

static const struct {
    const char *word;
    enum tune_outcome outcome;
} outcomes[] = {{"right", TUNE_RIGHT}, {"wrong", TUNE_WRONG}, {"slow", TUNE_SLOW}, {"failed", TUNE_FAILED}};

const struct tune_entry *tune_state_find(const struct tune_state *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->entries[i].name, name))
            return &s->entries[i];
    return NULL;
}

/* The entry of this name; created if it does not exist. */
static clio_status entry_of(clio_context *ctx, struct tune_state *s, const char *name, struct tune_entry **out)
{
    clio_status st = CLIO_OK;
    char *copy = NULL;
    *out = NULL;
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->entries[i].name, name)) {
            *out = &s->entries[i];
            return CLIO_OK;
        }
    TRY(mem_grow(ctx, &s->entries, s->count, &s->capacity, sizeof *s->entries));
    TRY(mem_string(ctx, &copy, name));
    *out = &s->entries[s->count++];
    memset(*out, 0, sizeof **out);
    (*out)->name = copy;
fail:
    return st;
}

static void read_seconds(struct tune_result *r, const char *text)
{
    for (size_t i = 0; i < TUNE_CASES; i++)
        r->seconds[i] = -1;
    while (*text) {
        char *end;
        unsigned long at = strtoul(text, &end, 10);
        if (end == text || *end != ':')
            return;
        double seconds = strtod(end + 1, &end);
        if (at < TUNE_CASES && isfinite(seconds))
            r->seconds[at] = seconds;
        text = end + strspn(end, " ");
    }
}

/* One complete line without its newline; unknown lines are skipped. */
static clio_status read_line(clio_context *ctx, struct tune_state *s, char *line)
{
    clio_status st = CLIO_OK;
    struct tune_entry *e;
    char *name = strchr(line, ' '), *rest;
    if (!name)
        return CLIO_OK;
    *name++ = 0;
    rest = strstr(name, " |");
    if (rest) {
        *rest = 0;
        rest += 2 + (rest[2] == ' ');
    }
    if (!strcmp(line, "try")) {
        TRY(entry_of(ctx, s, name, &e));
        e->tries++;
        e->result.outcome = TUNE_DIED;
    } else if (!strcmp(line, "drop") && rest) {
        TRY(entry_of(ctx, s, name, &e));
        e->tries = MAX(e->tries - 1, 0);
        e->result.outcome = e->tries ? TUNE_DIED : TUNE_UNTRIED;
    }
    for (size_t i = 0; rest && i < COUNT(outcomes); i++)
        if (!strcmp(line, outcomes[i].word)) {
            TRY(entry_of(ctx, s, name, &e));
            e->tries = 0;
            e->result.outcome = outcomes[i].outcome;
            read_seconds(&e->result, i == 0 ? rest : "");
        }
fail:
    return st;
}

static clio_status fail_file(clio_context *ctx, const char *path, const char *what)
{
    return clio_fail(ctx, CLIO_ERROR_FILE, __FILE__, __LINE__, "%s cannot be %s: %s; name another file", path, what, strerror(errno));
}

static clio_status append(clio_context *ctx, struct tune_state *s, const char *text, size_t size)
{
    clio_status st = CLIO_OK;
    while (size) {
        ssize_t written = write(s->file, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            TRY(fail_file(ctx, s->path, "written"));
        text += written;
        size -= (size_t)written;
    }
    /* The machine may go down with what is tried next. Some file systems cannot sync, and lose no more than this line; where a disk fails,
     * what was written may be lost. */
    if (fsync(s->file) && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
        TRY(fail_file(ctx, s->path, "written"));
fail:
    return st;
}

/* Cut the file to its first `size` bytes, from where it goes on. */
static clio_status cut(clio_context *ctx, struct tune_state *s, off_t size)
{
    clio_status st = CLIO_OK;
    if (ftruncate(s->file, size) || lseek(s->file, size, SEEK_SET) < 0)
        TRY(fail_file(ctx, s->path, "written"));
fail:
    return st;
}

static clio_status begin_anew(clio_context *ctx, struct tune_state *s, const char *identity)
{
    clio_status st = CLIO_OK;
    TRY(cut(ctx, s, 0));
    TRY(append(ctx, s, MAGIC, strlen(MAGIC)));
    TRY(append(ctx, s, identity, strlen(identity)));
    TRY(append(ctx, s, "\n", 1));
fail:
    if (st && file_is_named(s->file, s->path))
        unlink(s->path); /* the next run would not know it for a journal */
    return st;
}

static clio_status read_all(clio_context *ctx, struct tune_state *s, struct bytes *text)
{
    clio_status st = CLIO_OK;
    char piece[4096];
    ssize_t got;
    while ((got = read(s->file, piece, sizeof piece)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            TRY(fail_file(ctx, s->path, "read"));
        TRY(bytes_add(ctx, text, piece, (size_t)got));
    }
    TRY(bytes_add(ctx, text, "", 0)); /* a zero behind it, also when it is empty */
fail:
    return st;
}

/* Read the file. *known: it is a journal of this identity; its first *whole bytes are complete lines. An error: it is no journal at all. */
static clio_status read_journal(clio_context *ctx, struct tune_state *s, const char *identity, bool *known, off_t *whole)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    size_t magic = strlen(MAGIC), length = strlen(identity);
    TRY(read_all(ctx, s, &text));
    if (memcmp(text.data, MAGIC, MIN(text.size, magic)) != 0) /* a shorter one: its process was killed while it began */
        FAIL(ctx, CLIO_ERROR_FILE, "%s is no journal of the tuner, which would overwrite it: move it elsewhere, or name another file",
             s->path);
    *known = text.size > magic + length && !memcmp(text.data, MAGIC, magic) && !memcmp(text.data + magic, identity, length) &&
             text.data[magic + length] == '\n';
    if (*known) {
        char *line = text.data + magic + length + 1, *end;
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            TRY(read_line(ctx, s, line));
        }
        *whole = line - text.data;
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].result.outcome == TUNE_FAILED)
            s->entries[i].result.outcome = TUNE_UNTRIED;
fail:
    bytes_free(&text);
    return st;
}

/* Open, or create, and lock the file. Neither a link is followed nor anything but a regular file opened: what it would name was not asked
 * for. */
static clio_status open_file(clio_context *ctx, struct tune_state *s)
{
    clio_status st = CLIO_OK;
    struct stat info;
    s->file = file_open_locked(s->path);
    if (s->file < 0 && errno == EWOULDBLOCK)
        FAIL(ctx, CLIO_ERROR_FILE, "another process is tuning with %s: wait for it, or name another file", s->path);
    if (s->file < 0 && errno == ELOOP)
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a link, and the tuner would overwrite what it names: delete it, or name another file", s->path);
    if (s->file < 0)
        TRY(fail_file(ctx, s->path, "written"));
    if (fstat(s->file, &info))
        TRY(fail_file(ctx, s->path, "read"));
    if (!S_ISREG(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is no regular file: move it elsewhere, or name another file", s->path);
fail:
    return st;
}

clio_status tune_state_open(clio_context *ctx, struct tune_state *s, const char *path, const char *identity)
{
    clio_status st = CLIO_OK;
    bool known = false;
    off_t whole = 0;
    *s = (struct tune_state){.file = -1};
    TRY(mem_string(ctx, &s->path, path));
    TRY(open_file(ctx, s));
    TRY(read_journal(ctx, s, identity, &known, &whole));
    if (known)
        TRY(cut(ctx, s, whole));
    else
        TRY(begin_anew(ctx, s, identity));
fail:
    if (st)
        tune_state_close(s);
    return st;
}

void tune_state_close(struct tune_state *s)
{
    if (s->file >= 0)
        close(s->file);
    for (size_t i = 0; i < s->count; i++)
        free(s->entries[i].name);
    free(s->entries);
    free(s->path);
    *s = (struct tune_state){.file = -1};
}

/* Append a line, and take it in as if it had been read. */
static clio_status put(clio_context *ctx, struct tune_state *s, struct bytes *line)
{
    clio_status st = CLIO_OK;
    for (char *c = line->data; *c; c++)
        if (*c == '\n' || *c == '\r') /* of a driver's sentence */
            *c = ' ';
    TRY(bytes_add(ctx, line, "\n", 1));
    TRY(append(ctx, s, line->data, line->size));
    line->data[line->size - 1] = 0;
    TRY(read_line(ctx, s, line->data));
fail:
    return st;
}

clio_status tune_state_begin(clio_context *ctx, struct tune_state *s, const char *name)
{
    clio_status st = CLIO_OK;
    struct bytes line = {0};
    TRY(bytes_print(ctx, &line, "try %s", name));
    TRY(put(ctx, s, &line));
fail:
    bytes_free(&line);
    return st;
}

clio_status tune_state_end(clio_context *ctx, struct tune_state *s, const char *name, const struct tune_result *r, const char *note)
{
    clio_status st = CLIO_OK;
    struct bytes line = {0};
    for (size_t i = 0; i < COUNT(outcomes); i++)
        if (outcomes[i].outcome == r->outcome)
            TRY(bytes_print(ctx, &line, "%s %s | ", outcomes[i].word, name));
    for (size_t i = 0; r->outcome == TUNE_RIGHT && i < TUNE_CASES; i++)
        if (r->seconds[i] >= 0)
            TRY(bytes_print(ctx, &line, "%zu:%.9g ", i, r->seconds[i]));
    if (r->outcome != TUNE_RIGHT)
        TRY(bytes_print(ctx, &line, "%.300s", note));
    TRY(put(ctx, s, &line));
fail:
    bytes_free(&line);
    return st;
}

clio_status tune_state_drop(clio_context *ctx, struct tune_state *s, const char *name)
{
    clio_status st = CLIO_OK;
    struct bytes line = {0};
    TRY(bytes_print(ctx, &line, "drop %s |", name));
    TRY(put(ctx, s, &line));
fail:
    bytes_free(&line);
    return st;
}

clio_status tune_state_finish(clio_context *ctx, struct tune_state *s, const char *identity)
{
    clio_status st = CLIO_OK;
    struct bytes line = {0};
    bool died = false;
    for (size_t i = 0; i < s->count; i++)
        died = died || s->entries[i].result.outcome == TUNE_DIED;
    if (!died) {
        if (file_is_named(s->file, s->path))
            unlink(s->path);
        return CLIO_OK;
    }
    TRY(begin_anew(ctx, s, identity));
    for (size_t i = 0; i < s->count; i++)
        for (int k = 0; s->entries[i].result.outcome == TUNE_DIED && k < s->entries[i].tries; k++) {
            bytes_free(&line);
            TRY(bytes_print(ctx, &line, "try %s\n", s->entries[i].name));
            TRY(append(ctx, s, line.data, line.size));
        }
fail:
    bytes_free(&line);
    return st;
}
