/* pickle_numpy.c - numpy's arrays and scalars of plain numbers in a pickle. An array becomes a tensor whose storage is its byte string; an
 * array of objects or texts is refused. See pickle_globals.h. Source: numpy, core/src/multiarray/methods.c (array_reduce, array_setstate),
 * descriptor.c (arraydescr_reduce). */
#include "pickle_globals.h"

#include <string.h>

static const struct {
    const char *name, *type; /* type: a name of stored_type.h */
} elements[] = {
    {"f4", "F32"}, {"f8", "F64"}, {"f2", "F16"}, {"i8", "I64"}, {"i4", "I32"},  {"i2", "I16"}, {"i1", "I8"},
    {"u1", "U8"},  {"u2", "U16"}, {"u4", "U32"}, {"u8", "U64"}, {"b1", "BOOL"}, {"c8", "C64"}, {"c16", "C128"},
};

/* numpy.dtype('f4', False, True) */
static clio_status make_element(struct pickle_machine *m, pickle_ref arguments)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *text = &m->p->values[pickle_argument(m, arguments, 0)];
    const char *name = text->kind == PICKLE_TEXT || text->kind == PICKLE_BYTES ? pickle_text(m->p, text) : NULL, *type = NULL;
    struct pickle_value *v;
    PICKLE_NEED(name, "a numpy type without a name");
    for (size_t i = 0; i < COUNT(elements); i++)
        if (!strcmp(elements[i].name, name))
            type = elements[i].type;
    if (!type)
        return pickle_refuse(m, "a numpy array of type ", name);
    TRY(pickle_push_new(m, PICKLE_ELEMENT, &v));
    v->type = stored_type_find(type);
fail:
    return st;
}

/* An array that BUILD will fill. */
static clio_status make_array(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    struct pickle_value *v;
    TRY(pickle_push_new(m, PICKLE_TENSOR, &v));
    v->type = stored_type_find("U8");
fail:
    return st;
}

static bool is_string(const struct pickle_value *v)
{
    return v->kind == PICKLE_BYTES || v->kind == PICKLE_TEXT;
}

/* The integer of `size` little-endian bytes; false: it does not fit. */
static bool scalar_integer(const unsigned char *bytes, size_t size, bool is_signed, struct pickle_value *v)
{
    unsigned long long bits = 0;
    for (size_t i = size; i-- > 0;)
        bits = bits << 8 | bytes[i];
    if (is_signed && size < sizeof bits && bits >> (8 * size - 1))
        bits |= ~0ull << (8 * size);
    v->kind = PICKLE_INTEGER;
    memcpy(&v->integer, &bits, sizeof bits);
    return is_signed || v->integer >= 0;
}

/* The number of a scalar from its bytes, of which there are as many as its type has; false: a type without such a number. */
static bool scalar_value(const struct stored_type *type, const void *bytes, struct pickle_value *v)
{
    bool is_signed = *type->name == 'I';
    uint16_t half;
    float narrow;
    if (is_signed || *type->name == 'U' || !strcmp(type->name, "BOOL"))
        return scalar_integer(bytes, (size_t)type->bytes, is_signed, v);
    v->kind = PICKLE_FLOAT;
    switch (type->dtype) {
    case DTYPE_F64:
        memcpy(&v->real, bytes, sizeof v->real);
        return true;
    case DTYPE_F32:
        memcpy(&narrow, bytes, sizeof narrow);
        v->real = (double)narrow;
        return true;
    case DTYPE_F16:
        memcpy(&half, bytes, sizeof half);
        v->real = (double)half_to_float(half);
        return true;
    default:
        return false;
    }
}

/* scalar(dtype, bytes) */
static clio_status make_scalar(struct pickle_machine *m, pickle_ref arguments)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *element = &m->p->values[pickle_argument(m, arguments, 0)];
    const struct pickle_value *bytes = &m->p->values[pickle_argument(m, arguments, 1)];
    struct pickle_value made = {0}, *v;
    PICKLE_NEED(element->kind == PICKLE_ELEMENT && !element->is_big_endian && is_string(bytes) && !bytes->in_file &&
                    bytes->text.size == (uint64_t)element->type->bytes,
                "a numpy number without its bytes");
    if (!scalar_value(element->type, pickle_text(m->p, bytes), &made))
        TRY(pickle_refuse(m, "a numpy number of type ", element->type->name));
    TRY(pickle_push_new(m, made.kind, &v));
    *v = made;
fail:
    return st;
}

/* The array in `target` of these parts. */
static clio_status set_array(struct pickle_machine *m, pickle_ref target, const pickle_ref parts[3], bool is_fortran)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *shape = &m->p->values[parts[0]], *element = &m->p->values[parts[1]], *data = &m->p->values[parts[2]];
    PICKLE_NEED(shape->kind == PICKLE_TUPLE, "a numpy array without a shape");
    PICKLE_NEED(element->kind == PICKLE_ELEMENT, "a numpy array without a type");
    if (!is_string(data))
        TRY(pickle_refuse(m, "a numpy array of something else than numbers", NULL));
    if (element->is_big_endian)
        FAIL(m->ctx, CLIO_ERROR_UNSUPPORTED, "%s contains a numpy array of another byte order: save it as .safetensors", m->in->path);
    struct pickle_value *v = &m->p->values[target];
    v->type = element->type;
    v->is_fortran = is_fortran;
    v->tensor.storage = parts[2];
    v->tensor.sizes = parts[0];
fail:
    return st;
}

/* _frombuffer(bytes, dtype, shape, 'C'), of protocol 5 */
static clio_status make_from_buffer(struct pickle_machine *m, pickle_ref arguments)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *order = &m->p->values[pickle_argument(m, arguments, 3)];
    const char *name = is_string(order) ? pickle_text(m->p, order) : NULL;
    pickle_ref target;
    PICKLE_NEED(name && (!strcmp(name, "C") || !strcmp(name, "F")), "a numpy array without an order");
    TRY(make_array(m));
    TRY(pickle_top(m, &target));
    TRY(set_array(m, target,
                  (pickle_ref[]){pickle_argument(m, arguments, 2), pickle_argument(m, arguments, 1), pickle_argument(m, arguments, 0)},
                  *name == 'F'));
fail:
    return st;
}

clio_status pickle_numpy_call(struct pickle_machine *m, enum global_role role, pickle_ref arguments)
{
    return role == GLOBAL_NUMPY_DTYPE         ? make_element(m, arguments)
           : role == GLOBAL_NUMPY_RECONSTRUCT ? make_array(m)
           : role == GLOBAL_NUMPY_SCALAR      ? make_scalar(m, arguments)
                                              : make_from_buffer(m, arguments);
}

clio_status pickle_numpy_build(struct pickle_machine *m, pickle_ref target, pickle_ref state)
{
    clio_status st = CLIO_OK;
    PICKLE_NEED(m->p->values[state].kind == PICKLE_TUPLE, "a numpy array without its state");
    if (m->p->values[target].kind == PICKLE_ELEMENT) { /* (3, '<', None, None, None, -1, -1, 0) */
        const struct pickle_value *order = &m->p->values[pickle_argument(m, state, 1)];
        const char *name = is_string(order) ? pickle_text(m->p, order) : NULL;
        PICKLE_NEED(name && (!strcmp(name, "<") || !strcmp(name, "|") || !strcmp(name, ">")), "a numpy type without a byte order");
        m->p->values[target].is_big_endian = *name == '>';
        return CLIO_OK;
    }
    /* (1, shape, dtype, is_fortran, bytes) */
    const struct pickle_value *fortran = &m->p->values[pickle_argument(m, state, 3)];
    TRY(set_array(m, target, (pickle_ref[]){pickle_argument(m, state, 1), pickle_argument(m, state, 2), pickle_argument(m, state, 4)},
                  (fortran->kind == PICKLE_BOOL || fortran->kind == PICKLE_INTEGER) && fortran->integer));
fail:
    return st;
}
