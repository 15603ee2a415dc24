/* pickle_stream.c - the bytes of a pickle, read through a window of the file: checkpoints of gigabytes have their numbers behind it. Every
 * size is compared with what the file has left before memory is taken for it. See pickle_machine.h. */
#include "pickle_machine.h"

#include <string.h>

#define WINDOW ((size_t)1 << 14)
#define LINE_MAX_BYTES ((size_t)1 << 20)

/* Bring the next byte into the window; *size: how many from there on are in it. */
static clio_status fill(struct pickle_machine *m, size_t *size)
{
    clio_status st = CLIO_OK;
    if (m->at < m->start || m->at >= m->start + m->filled) {
        if (!m->window)
            TRY(mem_alloc(m->ctx, &m->window, WINDOW, 1));
        m->start = m->at;
        m->filled = 0;
        size_t wanted = (size_t)MIN((uint64_t)WINDOW, m->end - m->at);
        TRY(file_in_read(m->ctx, m->in, m->at, wanted, m->window));
        m->filled = wanted;
    }
    *size = m->filled - (size_t)(m->at - m->start);
fail:
    return st;
}

clio_status pickle_take(struct pickle_machine *m, void *out, size_t size)
{
    clio_status st = CLIO_OK;
    unsigned char *to = out;
    PICKLE_NEED(size <= m->end - m->at, "it ends too early");
    while (size) {
        size_t n;
        TRY(fill(m, &n));
        n = MIN(n, size);
        memcpy(to, m->window + (m->at - m->start), n);
        to += n;
        m->at += n;
        size -= n;
    }
fail:
    return st;
}

clio_status pickle_take_number(struct pickle_machine *m, size_t bytes, unsigned long long *number)
{
    clio_status st = CLIO_OK;
    unsigned char data[8] = {0};
    *number = 0;
    TRY(pickle_take(m, data, bytes));
    for (size_t i = 0; i < bytes; i++)
        *number |= (unsigned long long)data[i] << (8 * i);
fail:
    return st;
}

clio_status pickle_skip(struct pickle_machine *m, uint64_t size)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(size <= m->end - m->at, "it ends too early");
    m->at += size;
fail:
    return st;
}

clio_status pickle_take_text(struct pickle_machine *m, uint64_t size, struct bytes *out)
{
    clio_status st = CLIO_OK;
    unsigned char piece[256];
    PICKLE_NEED(size <= m->end - m->at, "it ends too early");
    TRY(bytes_add(m->ctx, out, "", 0));
    while (size) {
        size_t n = (size_t)MIN(size, (uint64_t)sizeof piece);
        TRY(pickle_take(m, piece, n));
        TRY(bytes_add(m->ctx, out, piece, n));
        size -= n;
    }
fail:
    return st;
}

clio_status pickle_take_line(struct pickle_machine *m, struct bytes *line)
{
    clio_status st = CLIO_OK;
    const unsigned char *end = NULL;
    TRY(bytes_add(m->ctx, line, "", 0));
    while (!end) {
        size_t n;
        PICKLE_NEED(m->at < m->end, "it ends too early");
        TRY(fill(m, &n));
        const unsigned char *from = m->window + (m->at - m->start);
        end = memchr(from, '\n', n);
        n = end ? (size_t)(end - from) : n;
        TRY(bytes_add(m->ctx, line, from, n));
        PICKLE_NEED(line->size <= LINE_MAX_BYTES, "a line that is too long");
        m->at += n + (end != NULL);
    }
fail:
    return st;
}
