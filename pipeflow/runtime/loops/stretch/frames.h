/* Frames of plain items as bytes: a header, the meta of a run, and the items. */

/* The form of a frame's header and of its meta; see transports/frames.py and flow/runs.py. */
enum { HEAD_BYTES = 16, HEADER_BYTES = 64, META_BYTES = 18, DEPTH_MOST = 7, REFERENCE_BYTES = 24 };

/* Parts of an id before its last: at most DEPTH_MOST. */
struct prefix {
    int depth;
    uint64_t parts[DEPTH_MOST];
};

static int
same_prefix(const struct prefix *one, const struct prefix *other)
{
    return one->depth == other->depth &&
           memcmp(one->parts, other->parts, (size_t)one->depth * sizeof one->parts[0]) == 0;
}

/* A prefix as Python has it. */
static PyObject *
tuple_of(const struct prefix *prefix)
{
    PyObject *made = PyTuple_New(prefix->depth);
    for (int place = 0; made != NULL && place < prefix->depth; place++) {
        PyObject *part = PyLong_FromUnsignedLongLong(prefix->parts[place]);
        if (part == NULL) {
            Py_CLEAR(made);
            break;
        }
        PyTuple_SET_ITEM(made, place, part);
    }
    return made;
}

/* -- numbers, little-endian as this machine is */

static inline void
put_u64(unsigned char *to, uint64_t number)
{
    memcpy(to, &number, sizeof number);
}

static inline void
put_u32(unsigned char *to, uint32_t number)
{
    memcpy(to, &number, sizeof number);
}

static inline uint64_t
get_u64(const unsigned char *from)
{
    uint64_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

static inline uint32_t
get_u32(const unsigned char *from)
{
    uint32_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

/* -- items: transports/plain.py */

#if PY_VERSION_HEX >= 0x030D0000
#define KEEPS_INTERNED 1
#else
#define KEEPS_INTERNED 0
#endif

/* Bytes that follow the type of an object in what marshal has written; -1: it has another form. */
static inline Py_ssize_t
length_after(unsigned char type, const unsigned char *at, Py_ssize_t left)
{
    switch (type) {
    case 'N': case 'T': case 'F': case '{': case '0':
        return 0;
    case ')':
        return 1;
    case 'i': case '(': case '[': case 'r':
        return 4;
    case 'g':
        return 8;
    case 'z':
        return left >= 1 ? 1 + at[0] : -1;
    case 'a': case 'u': case 's':
        return left >= 4 ? 4 + (Py_ssize_t)get_u32(at) : -1;
    case 'l':
        return left >= 4 ? 4 + 2 * (Py_ssize_t)llabs((int32_t)get_u32(at)) : -1;
    default:
        return -1;
    }
}

/* Take from texts that they were interned: from 3.13 on marshal makes those it reads immortal, as
 * it thinks of code. 0: it is more than plain. */
static int
forget_interned(unsigned char *data, Py_ssize_t size)
{
    const unsigned char shared = 0x80; /* the type says that the object comes again */
    for (Py_ssize_t at = 0; at < size;) {
        unsigned char type = data[at] & ~shared;
        unsigned char other = type == 'Z' ? 'z' : type == 'A' ? 'a' : type == 't' ? 'u' : type;
        data[at] = other | (data[at] & shared);
        Py_ssize_t length = length_after(other, data + at + 1, size - at - 1);
        if (length < 0 || length > size - at - 1) {
            return 0;
        }
        at += 1 + length;
    }
    return 1;
}

/* dump_plain. */
static PyObject *
bytes_of(PyObject *items)
{
    PyObject *data = PyMarshal_WriteObjectToString(items, Py_MARSHAL_VERSION);
    if (data != NULL && KEEPS_INTERNED &&
        !forget_interned((unsigned char *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))) {
        Py_CLEAR(data);
    }
    if (data == NULL) { /* something is too long for it */
        PyErr_Clear();
        data = PyObject_CallOneArg(DUMP_PLAIN, items);
    }
    return data;
}

/* load_plain. */
static PyObject *
load_plain(const char *data, Py_ssize_t length)
{
    if (length && (unsigned char)data[0] != PICKLED) {
        return PyMarshal_ReadObjectFromString(data, length);
    }
    PyObject *pickled = PyMemoryView_FromMemory((char *)data, length, PyBUF_READ);
    PyObject *payloads = pickled == NULL ? NULL : PyObject_CallOneArg(LOAD_PLAIN, pickled);
    Py_XDECREF(pickled);
    return payloads;
}
