/* pickle_globals.c - the names that a pickle may contain, and what is made of a call of each: nothing runs. See pickle_globals.h.
 * Sources: PyTorch, torch/_utils.py, torch/storage.py, torch/_weights_only_unpickler.py; numpy, core/src/multiarray (array_reduce). */
#include "pickle_globals.h"

#include <string.h>

static const struct pickle_global globals[] = {
    {"collections", "OrderedDict", GLOBAL_ORDERED_DICT, NULL},
    {"builtins", "set", GLOBAL_SET, NULL},
    {"__builtin__", "set", GLOBAL_SET, NULL},
    {"builtins", "frozenset", GLOBAL_SET, NULL},
    {"__builtin__", "frozenset", GLOBAL_SET, NULL},
    {"_codecs", "encode", GLOBAL_ENCODE, NULL},
    {"torch", "Size", GLOBAL_ITSELF, NULL},
    {"torch", "device", GLOBAL_ITSELF, NULL},
    {"torch._utils", "_rebuild_tensor", GLOBAL_TENSOR, NULL},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR, NULL},
    {"torch._utils", "_rebuild_tensor_v3", GLOBAL_TENSOR_V3, NULL},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER, NULL},
    {"torch._utils", "_rebuild_parameter_with_state", GLOBAL_PARAMETER, NULL},
    {"torch.nn.parameter", "Parameter", GLOBAL_PARAMETER, NULL},
    {"torch", "FloatStorage", GLOBAL_STORAGE, "F32"},
    {"torch", "HalfStorage", GLOBAL_STORAGE, "F16"},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, "BF16"},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, "F64"},
    {"torch", "LongStorage", GLOBAL_STORAGE, "I64"},
    {"torch", "IntStorage", GLOBAL_STORAGE, "I32"},
    {"torch", "ShortStorage", GLOBAL_STORAGE, "I16"},
    {"torch", "CharStorage", GLOBAL_STORAGE, "I8"},
    {"torch", "ByteStorage", GLOBAL_STORAGE, "U8"},
    {"torch", "BoolStorage", GLOBAL_STORAGE, "BOOL"},
    {"torch", "ComplexFloatStorage", GLOBAL_STORAGE, "C64"},
    {"torch", "ComplexDoubleStorage", GLOBAL_STORAGE, "C128"},
    {"torch.storage", "UntypedStorage", GLOBAL_STORAGE, "U8"},
    {"torch.cuda", "FloatStorage", GLOBAL_STORAGE, "F32"},
    {"torch.cuda", "HalfStorage", GLOBAL_STORAGE, "F16"},
    {"torch.cuda", "DoubleStorage", GLOBAL_STORAGE, "F64"},
    {"torch.cuda", "LongStorage", GLOBAL_STORAGE, "I64"},
    {"torch.cuda", "IntStorage", GLOBAL_STORAGE, "I32"},
    {"torch.cuda", "ByteStorage", GLOBAL_STORAGE, "U8"},
    {"torch", "float32", GLOBAL_DTYPE, "F32"},
    {"torch", "float16", GLOBAL_DTYPE, "F16"},
    {"torch", "bfloat16", GLOBAL_DTYPE, "BF16"},
    {"torch", "float64", GLOBAL_DTYPE, "F64"},
    {"torch", "int64", GLOBAL_DTYPE, "I64"},
    {"torch", "int32", GLOBAL_DTYPE, "I32"},
    {"torch", "int16", GLOBAL_DTYPE, "I16"},
    {"torch", "int8", GLOBAL_DTYPE, "I8"},
    {"torch", "uint8", GLOBAL_DTYPE, "U8"},
    {"torch", "bool", GLOBAL_DTYPE, "BOOL"},
    {"torch", "uint16", GLOBAL_DTYPE, "U16"},
    {"torch", "uint32", GLOBAL_DTYPE, "U32"},
    {"torch", "uint64", GLOBAL_DTYPE, "U64"},
    {"torch", "complex64", GLOBAL_DTYPE, "C64"},
    {"torch", "complex128", GLOBAL_DTYPE, "C128"},
    {"torch", "float8_e4m3fn", GLOBAL_DTYPE, "F8_E4M3"},
    {"torch", "float8_e5m2", GLOBAL_DTYPE, "F8_E5M2"},
    {"torch", "float8_e8m0fnu", GLOBAL_DTYPE, "F8_E8M0"},
    {"torch", "float8_e4m3fnuz", GLOBAL_DTYPE, "F8_E4M3FNUZ"},
    {"torch", "float8_e5m2fnuz", GLOBAL_DTYPE, "F8_E5M2FNUZ"},
    {"numpy", "dtype", GLOBAL_NUMPY_DTYPE, NULL},
    {"numpy", "ndarray", GLOBAL_NAME, NULL},
    {"numpy.core.multiarray", "_reconstruct", GLOBAL_NUMPY_RECONSTRUCT, NULL},
    {"numpy._core.multiarray", "_reconstruct", GLOBAL_NUMPY_RECONSTRUCT, NULL},
    {"numpy.core.multiarray", "scalar", GLOBAL_NUMPY_SCALAR, NULL},
    {"numpy._core.multiarray", "scalar", GLOBAL_NUMPY_SCALAR, NULL},
    {"numpy.core.numeric", "_frombuffer", GLOBAL_NUMPY_BUFFER, NULL},
    {"numpy._core.numeric", "_frombuffer", GLOBAL_NUMPY_BUFFER, NULL},
    /* Files of textual inversion (rinongal/textual_inversion, ldm/modules/embedding_manager.py) have their vectors in one. */
    {"torch.nn.modules.container", "ParameterDict", GLOBAL_MODULE, NULL},
    /* sd-v1-4.ckpt and others of PyTorch Lightning name this class as a key; so does the list of A1111's modules/safe.py. */
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", GLOBAL_NAME, NULL},
};

clio_status pickle_push_global(struct pickle_machine *m, const char *module, const char *name)
{
    clio_status st = CLIO_OK;
    const struct pickle_global *found = NULL;
    struct pickle_value *v;
    struct bytes whole = {0};
    for (size_t i = 0; i < COUNT(globals) && !found; i++)
        if (!strcmp(globals[i].module, module) && !strcmp(globals[i].name, name))
            found = &globals[i];
    if (!found) {
        TRY(bytes_print(m->ctx, &whole, "%s.%s", module, name));
        TRY(pickle_refuse(m, "", whole.data));
    }
    TRY(pickle_push_new(m, PICKLE_NAME, &v));
    v->name = found;
fail:
    bytes_free(&whole);
    return st;
}

/* ---- calls ---- */

/* OrderedDict(), or of pairs: files of Python 2. */
static clio_status make_dict(struct pickle_machine *m, pickle_ref arguments)
{
    clio_status st = CLIO_OK;
    pickle_ref pairs = pickle_argument(m, arguments, 0), dict;
    TRY(pickle_new(m, PICKLE_DICT, &dict));
    m->p->values[dict].is_object = true;
    const struct pickle_value *list = &m->p->values[pairs];
    PICKLE_NEED(!pairs || list->kind == PICKLE_LIST || list->kind == PICKLE_TUPLE, "an OrderedDict of something else than pairs");
    for (uint32_t i = 0; pairs && i < m->p->values[pairs].list.count; i++) {
        pickle_ref pair = m->p->values[pairs].list.items[i];
        const struct pickle_value *v = &m->p->values[pair];
        PICKLE_NEED((v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE) && v->list.count == 2,
                    "an OrderedDict of something else than pairs");
        TRY(pickle_copy_items(m, pair, dict));
    }
    TRY(pickle_push(m, dict));
fail:
    return st;
}

static clio_status make_set(struct pickle_machine *m, pickle_ref arguments)
{
    clio_status st = CLIO_OK;
    pickle_ref items = pickle_argument(m, arguments, 0), set;
    enum pickle_kind kind = m->p->values[items].kind;
    PICKLE_NEED(!items || kind == PICKLE_LIST || kind == PICKLE_TUPLE, "a set of something else than a list");
    TRY(pickle_new(m, PICKLE_SET, &set));
    if (items)
        TRY(pickle_copy_items(m, items, set));
    TRY(pickle_push(m, set));
fail:
    return st;
}

static clio_status make_module(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    struct pickle_value *v;
    TRY(pickle_push_new(m, PICKLE_DICT, &v));
    v->is_object = true;
    v->is_module = true;
fail:
    return st;
}

/* (storage, offset, sizes, strides, ...); version 3: the dtype is argument 6. */
static clio_status make_tensor(struct pickle_machine *m, pickle_ref arguments, bool has_dtype)
{
    clio_status st = CLIO_OK;
    pickle_ref first = pickle_argument(m, arguments, 1), dtype = pickle_argument(m, arguments, 6), ref;
    PICKLE_NEED(m->p->values[arguments].list.count >= 4, "a tensor without a shape");
    PICKLE_NEED(m->p->values[first].kind == PICKLE_INTEGER, "a tensor without an offset");
    PICKLE_NEED(m->p->values[pickle_argument(m, arguments, 0)].kind == PICKLE_STORAGE, "a tensor without a storage");
    for (size_t i = 2; i < 4; i++)
        PICKLE_NEED(m->p->values[pickle_argument(m, arguments, i)].kind == PICKLE_TUPLE, "a tensor without a shape");
    const struct pickle_value *d = &m->p->values[dtype];
    PICKLE_NEED(!has_dtype || (d->kind == PICKLE_NAME && d->name->role == GLOBAL_DTYPE), "a tensor without a type");
    const struct stored_type *type = has_dtype ? stored_type_find(d->name->type) : NULL;
    TRY(pickle_new(m, PICKLE_TENSOR, &ref));
    struct pickle_value *v = &m->p->values[ref];
    v->type = type;
    v->tensor.storage = pickle_argument(m, arguments, 0);
    v->tensor.first = m->p->values[first].integer;
    v->tensor.sizes = pickle_argument(m, arguments, 2);
    v->tensor.strides = pickle_argument(m, arguments, 3);
    TRY(pickle_push(m, ref));
fail:
    return st;
}

static clio_status push_first(struct pickle_machine *m, pickle_ref arguments, bool is_parameter)
{
    clio_status st = CLIO_OK;
    pickle_ref first = pickle_argument(m, arguments, 0);
    PICKLE_NEED(m->p->values[arguments].list.count, "a call without an argument");
    PICKLE_NEED(!is_parameter || m->p->values[first].kind == PICKLE_TENSOR, "a parameter without a tensor");
    TRY(pickle_push(m, first));
fail:
    return st;
}

static clio_status encode(struct pickle_machine *m, pickle_ref arguments)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *codec = &m->p->values[pickle_argument(m, arguments, 1)];
    const char *name = codec->kind == PICKLE_TEXT ? pickle_text(m->p, codec) : NULL;
    PICKLE_NEED(name && (!strcmp(name, "latin1") || !strcmp(name, "latin-1")), "a byte string of another encoding than Latin-1");
    TRY(pickle_push_latin(m, pickle_argument(m, arguments, 0)));
fail:
    return st;
}

clio_status pickle_reduce(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    pickle_ref arguments, callable;
    TRY(pickle_pop(m, &arguments));
    TRY(pickle_pop(m, &callable));
    PICKLE_NEED(m->p->values[callable].kind == PICKLE_NAME && m->p->values[arguments].kind == PICKLE_TUPLE, "a call of a value");
    const struct pickle_global *g = m->p->values[callable].name;
    switch (g->role) {
    case GLOBAL_ORDERED_DICT:
        return make_dict(m, arguments);
    case GLOBAL_SET:
        return make_set(m, arguments);
    case GLOBAL_MODULE:
        return make_module(m);
    case GLOBAL_TENSOR:
    case GLOBAL_TENSOR_V3:
        return make_tensor(m, arguments, g->role == GLOBAL_TENSOR_V3);
    case GLOBAL_PARAMETER:
    case GLOBAL_ITSELF:
        return push_first(m, arguments, g->role == GLOBAL_PARAMETER);
    case GLOBAL_ENCODE:
        return encode(m, arguments);
    case GLOBAL_NUMPY_DTYPE:
    case GLOBAL_NUMPY_RECONSTRUCT:
    case GLOBAL_NUMPY_SCALAR:
    case GLOBAL_NUMPY_BUFFER:
        return pickle_numpy_call(m, g->role, arguments);
    case GLOBAL_NAME:
    case GLOBAL_STORAGE:
    case GLOBAL_DTYPE:
        TRY(pickle_refuse(m, "a call of ", g->name));
    }
fail:
    return st;
}

/* ---- attributes ---- */

/* A torch module's state: its parameters become the items of the dictionary. */
static clio_status add_parameters(struct pickle_machine *m, pickle_ref module, pickle_ref state)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *v = &m->p->values[state], *found;
    PICKLE_NEED(v->kind == PICKLE_DICT, "a torch module without its state");
    TRY(pickle_count_copies(m, v->list.count));
    found = pickle_find(m->p, v, "_parameters");
    if (found && found->kind == PICKLE_DICT)
        TRY(pickle_copy_items(m, (pickle_ref)(found - m->p->values), module));
fail:
    return st;
}

clio_status pickle_build(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    pickle_ref state, target;
    TRY(pickle_pop(m, &state));
    TRY(pickle_top(m, &target));
    const struct pickle_value *v = &m->p->values[target];
    if (v->kind == PICKLE_ELEMENT || (v->kind == PICKLE_TENSOR && v->type && !v->tensor.strides))
        return pickle_numpy_build(m, target, state);
    if (v->is_module)
        return add_parameters(m, target, state);
    if (!v->is_object && v->kind != PICKLE_TENSOR) /* state_dict's _metadata; attributes of a tensor */
        TRY(pickle_refuse(m, "the instruction BUILD for a value without attributes", NULL));
fail:
    return st;
}

/* ---- storages ---- */

clio_status pickle_storage(struct pickle_machine *m)
{
    clio_status st = CLIO_OK;
    pickle_ref id;
    struct pickle_value *v;
    TRY(pickle_pop(m, &id));
    const struct pickle_value *values = m->p->values, *tuple = &values[id];
    const struct pickle_value *word = pickle_item(m->p, tuple, 0), *type = pickle_item(m->p, tuple, 1),
                              *count = pickle_item(m->p, tuple, 4);
    const char *name = word && word->kind == PICKLE_TEXT ? pickle_text(m->p, word) : NULL;
    if (!m->has_storages || tuple->kind != PICKLE_TUPLE || !name || strcmp(name, "storage") != 0)
        TRY(pickle_refuse(m, "a persistent id that is not a storage", NULL));
    pickle_ref key = pickle_argument(m, id, 2), view = pickle_argument(m, id, 5);
    if (!type || type->kind != PICKLE_NAME || type->name->role != GLOBAL_STORAGE)
        return pickle_refuse(m, "a persistent id of a storage without a type", NULL);
    PICKLE_NEED(values[key].kind == PICKLE_TEXT && pickle_text(m->p, &values[key]), "a storage without a key");
    PICKLE_NEED(count && count->kind == PICKLE_INTEGER && count->integer >= 0, "a storage without a size");
    PICKLE_NEED(!view, "a view of a storage, of PyTorch before 0.4");
    const struct stored_type *stored = stored_type_find(type->name->type);
    long long size = count->integer;
    TRY(pickle_push_new(m, PICKLE_STORAGE, &v));
    v->type = stored;
    v->storage.key = key;
    v->storage.count = size;
fail:
    return st;
}
