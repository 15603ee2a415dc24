/* text_public.c - clio_nearest. */
#include "text.h"

const char *clio_nearest(const char *name, const char *words, size_t *length)
{
    size_t unused;
    length = length ? length : &unused;
    *length = 0;
    return name && words ? text_nearest(name, words, length) : NULL;
}
