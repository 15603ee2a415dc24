/* pickle_value.c - look into what a pickle built; see pickle.h. */
#include "pickle.h"

#include <stdlib.h>
#include <string.h>

const struct pickle_value *pickle_root(const struct pickle *p)
{
    return &p->values[p->root];
}

static bool is_container(const struct pickle_value *v)
{
    return v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE || v->kind == PICKLE_SET || v->kind == PICKLE_DICT;
}

const struct pickle_value *pickle_item(const struct pickle *p, const struct pickle_value *v, size_t i)
{
    return is_container(v) && i < v->list.count ? &p->values[v->list.items[i]] : NULL;
}

const char *pickle_text(const struct pickle *p, const struct pickle_value *v)
{
    bool is_text = v->kind == PICKLE_TEXT || v->kind == PICKLE_BYTES || v->kind == PICKLE_LONG;
    return is_text && !v->in_file ? p->texts.data + v->text.at : NULL;
}

const struct pickle_value *pickle_find(const struct pickle *p, const struct pickle_value *dict, const char *key)
{
    for (size_t i = dict->kind == PICKLE_DICT ? dict->list.count / 2 : 0; i-- > 0;) {
        const struct pickle_value *k = &p->values[dict->list.items[2 * i]];
        const char *text = k->kind == PICKLE_TEXT ? pickle_text(p, k) : NULL;
        if (text && k->text.size == strlen(key) && !strcmp(text, key))
            return &p->values[dict->list.items[2 * i + 1]];
    }
    return NULL;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct pickle_record *)a)->key, ((const struct pickle_record *)b)->key);
}

void pickle_records_sort(struct pickle *p)
{
    if (p->record_count)
        qsort(p->records, p->record_count, sizeof *p->records, compare_keys);
}

const struct pickle_record *pickle_record_find(const struct pickle *p, const char *key)
{
    const struct pickle_record wanted = {.key = key};
    return p->record_count ? bsearch(&wanted, p->records, p->record_count, sizeof *p->records, compare_keys) : NULL;
}

void pickle_close(struct pickle *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_container(&p->values[i]))
            free(p->values[i].list.items);
    free(p->values);
    free(p->records);
    bytes_free(&p->texts);
    bytes_free(&p->keys);
    file_in_close(&p->own);
    *p = (struct pickle){0};
}
