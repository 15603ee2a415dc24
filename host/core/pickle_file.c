/* pickle_file.c - the files that hold pickles; see pickle.h. Three forms, which the first bytes distinguish:
 *
 *   ZIP archive       of torch.save since PyTorch 1.6: NAME/data.pkl, and the numbers of storage K in NAME/data/K
 *   legacy            of torch.save before: pickles of a magic number, the protocol, the system, the object and the storages' keys; then
 *                     the numbers of each storage behind their count (8 bytes)
 *   a pickle          alone
 *
 * Source: PyTorch, torch/serialization.py (_save, _legacy_save). */
#include "pickle_machine.h"
#include "zip_stored.h"

#include <stdlib.h>
#include <string.h>

#define LEGACY_PROTOCOL 1001
#define PROGRAM "/data.pkl"

/* Run one pickle, which ends at m->end if is_all. */
static clio_status run_one(struct pickle_machine *m, bool is_all, pickle_ref *root)
{
    clio_status st = CLIO_OK;
    TRY(pickle_run(m, root));
    PICKLE_NEED(!is_all || m->at == m->end, "bytes behind its end");
fail:
    return st;
}

/* ---- the ZIP archive ---- */

static clio_status check_byte_order(struct pickle_machine *m, const struct zip_entry *e)
{
    clio_status st = CLIO_OK;
    char order[6] = {0};
    if (e && e->size == sizeof order)
        TRY(file_in_read(m->ctx, m->in, e->first, sizeof order, order));
    if (e && memcmp(order, "little", sizeof order) != 0) /* absent in files of older versions */
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s was written on a computer of another byte order: save it as .safetensors", m->in->path);
fail:
    return st;
}

/* The entries data/KEY beside the program, sorted as all entries are. */
static clio_status list_records(struct pickle_machine *m, const struct zip_entries *z, const char *folder)
{
    clio_status st = CLIO_OK;
    struct pickle *p = m->p;
    size_t n = strlen(folder);
    TRY(mem_alloc(m->ctx, &p->records, z->count, sizeof *p->records));
    for (size_t i = 0; i < z->count; i++) {
        const struct zip_entry *e = &z->list[i];
        if (strncmp(e->name, folder, n) != 0)
            continue;
        p->records[p->record_count++] = (struct pickle_record){.offset = p->keys.size, .first = e->first, .size = e->size};
        TRY(bytes_add(m->ctx, &p->keys, e->name + n, strlen(e->name + n) + 1));
    }
    for (size_t i = 0; i < p->record_count; i++)
        p->records[i].key = p->keys.data + p->records[i].offset;
fail:
    return st;
}

static clio_status find_program(struct pickle_machine *m, const struct zip_entries *z, const struct zip_entry **program)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < z->count && !*program; i++) {
        const char *slash = strchr(z->list[i].name, '/');
        if (slash && !strcmp(slash, PROGRAM))
            *program = &z->list[i];
    }
    if (!*program)
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s is a ZIP archive that torch.save did not write: it has no data.pkl; use a file of weights",
             m->in->path);
fail:
    return st;
}

static clio_status read_archive(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    struct zip_entries z = {0};
    const struct zip_entry *program = NULL;
    struct bytes name = {0};
    TRY(zip_list(m->ctx, m->in, &z));
    TRY(find_program(m, &z, &program));
    int folder = (int)(strlen(program->name) - strlen(PROGRAM));
    TRY(bytes_print(m->ctx, &name, "%.*s/byteorder", folder, program->name));
    TRY(check_byte_order(m, zip_find(&z, name.data)));
    name.size = 0;
    TRY(bytes_print(m->ctx, &name, "%.*s/data/", folder, program->name));
    TRY(list_records(m, &z, name.data));
    m->at = program->first;
    m->end = program->first + program->size;
    m->has_storages = true;
    TRY(run_one(m, true, &m->p->root));
fail:
    bytes_free(&name);
    zip_free(&z);
    return st;
}

/* ---- the legacy form ---- */

static bool is_magic(const struct pickle *p, pickle_ref ref)
{
    static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    const struct pickle_value *v = &p->values[ref];
    return v->kind == PICKLE_LONG && v->text.size == sizeof magic && !memcmp(pickle_text(p, v), magic, sizeof magic);
}

/* A storage for each key of the program's tensors, sorted; the same one may be there many times. The first becomes a record. */
static clio_status list_storages(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    struct pickle *p = m->p;
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < p->count; i++)
        count += p->values[i].kind == PICKLE_STORAGE;
    TRY(mem_alloc(m->ctx, &p->records, count, sizeof *p->records));
    for (size_t i = 0; i < p->count; i++) {
        const struct pickle_value *v = &p->values[i];
        if (v->kind != PICKLE_STORAGE)
            continue;
        PICKLE_NEED((unsigned long long)v->storage.count <= m->in->size, "a storage that is longer than the file");
        p->records[p->record_count++] = (struct pickle_record){.key = p->texts.data + p->values[v->storage.key].text.at,
                                                               .size = (uint64_t)v->storage.count * (uint64_t)v->type->bytes,
                                                               .unit = (unsigned)v->type->bytes};
    }
    pickle_records_sort(p);
    for (size_t i = 0; i < p->record_count; i++)
        if (!kept || strcmp(p->records[i].key, p->records[kept - 1].key) != 0)
            p->records[kept++] = p->records[i];
    p->record_count = kept;
fail:
    return st;
}

/* The numbers of one storage, after their count. */
static clio_status place_storage(struct pickle_machine *m, const char *key)
{
    clio_status st = CLIO_OK;
    struct pickle_record *r = mem_const_cast(pickle_record_find(m->p, key));
    unsigned long long count;
    PICKLE_NEED(r, "a storage that no tensor has");
    PICKLE_NEED(!r->first, "a storage that is there twice");
    TRY(pickle_take_number(m, sizeof count, &count));
    PICKLE_NEED(count <= m->in->size && count * r->unit == r->size, "a storage of another size than its tensors say");
    r->first = m->at;
    TRY(pickle_skip(m, r->size));
fail:
    return st;
}

static clio_status read_legacy(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    struct pickle *p = m->p;
    pickle_ref ref, keys;
    TRY(run_one(m, false, &ref));
    if (p->values[ref].kind != PICKLE_INTEGER || p->values[ref].integer != LEGACY_PROTOCOL)
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s was written by an unknown version of PyTorch: load it with torch.load and save it again",
             m->in->path);
    TRY(run_one(m, false, &ref));
    const struct pickle_value *little = pickle_find(p, &p->values[ref], "little_endian");
    if (!little || little->kind != PICKLE_BOOL || !little->integer)
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s was written on a computer of another byte order: save it as .safetensors", m->in->path);
    m->has_storages = true;
    TRY(run_one(m, false, &p->root));
    m->has_storages = false;
    TRY(run_one(m, false, &keys));
    TRY(list_storages(m));
    PICKLE_NEED(p->values[keys].kind == PICKLE_LIST, "the keys of its storages are no list");
    for (uint32_t i = 0; i < p->values[keys].list.count; i++) {
        const struct pickle_value *v = &p->values[p->values[keys].list.items[i]];
        PICKLE_NEED(v->kind == PICKLE_TEXT && pickle_text(p, v), "a storage without a key");
        TRY(place_storage(m, pickle_text(p, v)));
    }
    PICKLE_NEED(m->at == m->end, "bytes behind its end");
fail:
    return st;
}

/* ---- all forms ---- */

static clio_status read_form(struct pickle_machine *m)
{
    static const enum pickle_kind constants[] = {PICKLE_NONE, PICKLE_BOOL, PICKLE_BOOL, PICKLE_MARK};
    clio_status st = CLIO_OK;
    unsigned char start[4] = {0};
    pickle_ref ref;
    for (size_t i = 0; i < COUNT(constants); i++)
        TRY(pickle_new(m, constants[i], &ref));
    m->p->values[PICKLE_REF_TRUE].integer = 1;
    if (m->in->size >= sizeof start)
        TRY(file_in_read(m->ctx, m->in, 0, sizeof start, start));
    if (!memcmp(start, "PK\3\4", sizeof start))
        return read_archive(m);
    TRY(run_one(m, false, &m->p->root));
    if (is_magic(m->p, m->p->root))
        return read_legacy(m);
    PICKLE_NEED(m->at == m->end, "bytes behind its end");
fail:
    return st;
}

clio_status pickle_read(clio_context *ctx, struct pickle *p, const struct file_in *in)
{
    clio_status st = CLIO_OK;
    struct pickle_machine m = {.ctx = ctx, .p = p, .in = in, .end = in->size};
    p->in = in;
    TRY(read_form(&m));
fail:
    free(m.window);
    free(m.stack);
    free(m.memo);
    free(m.small);
    if (st)
        pickle_close(p);
    return st;
}

clio_status pickle_open(clio_context *ctx, struct pickle *p, const char *path)
{
    clio_status st = CLIO_OK;
    *p = (struct pickle){0};
    TRY(file_in_open(ctx, &p->own, path));
    TRY(pickle_read(ctx, p, &p->own));
fail:
    return st;
}

clio_status pickle_recognize(clio_context *ctx, const struct file_in *in, bool *is_pickle)
{
    clio_status st = CLIO_OK;
    unsigned char start[8] = {0};
    size_t n = strlen(in->path);
    bool is_named = (n > 4 && !strcmp(in->path + n - 4, ".pkl")) || (n > 7 && !strcmp(in->path + n - 7, ".pickle"));
    TRY(file_in_read(ctx, in, 0, (size_t)MIN(in->size, (uint64_t)sizeof start), start));
    /* A safetensors file may begin with these two bytes too, if its header has 640 bytes: the upper half of that number is zero. */
    bool is_long = start[4] | start[5] | start[6] | start[7];
    *is_pickle = is_named || !memcmp(start, "PK\3\4", 4) || (start[0] == 0x80 && start[1] >= 2 && start[1] <= 5 && is_long);
fail:
    return st;
}
