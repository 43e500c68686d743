/* The innermost loops, compiled: the same as in interpreted.py, which says what they promise.
 *
 * An item costs its user's function a tenth of a microsecond, and what Python needs to count it, to
 * look at it and to append it three times as much. Here that is little beside the function.
 *
 * Nothing here lets go of the interpreter's lock, waits, or runs Python code but the user's: so
 * between two items no other thread and no signal handler runs. Where items are spread by a key, the
 * key is the user's, and appending runs Python code of ours as well.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* Why a stretch is over; the same numbers as in interpreted.py. */
enum why { WHOLE, OTHER, RAISED, UNSEEN, STOPPING };

static PyObject *START, *APPEND;

/* -- what an object is */

static inline int
is_unchanging(PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    return kind == &PyUnicode_Type || kind == &PyLong_Type || kind == &PyFloat_Type ||
           kind == &PyBool_Type || kind == &PyBytes_Type || value == Py_None;
}

/* How deep containers are looked at, and how many values an item may have to be searched for what
 * its result has taken over; see runs.py. */
#define DEPTH 8
#define WIDTH 32

/* Whether what a result has taken over from this item, which so many hold, is nobody else's. */
static inline int
may_be_searched(PyObject *item, Py_ssize_t held)
{
    return Py_REFCNT(item) == held && PyDict_CheckExact(item) && PyDict_GET_SIZE(item) <= WIDTH;
}

/* Whether an item, a dict that only we hold, has this very object as a value. Of a pair of items,
 * which is ours, one of them may be that object, or have it. */
static int
holds(PyObject *item, PyObject *wanted)
{
    PyObject *key, *each;
    Py_ssize_t place = 0;
    if (PyTuple_CheckExact(item)) {
        for (; place < PyTuple_GET_SIZE(item); place++) {
            each = PyTuple_GET_ITEM(item, place);
            if (each == wanted || (may_be_searched(each, 1) && holds(each, wanted))) {
                return 1;
            }
        }
        return 0;
    }
    while (PyDict_Next(item, &place, &key, &each)) {
        if (each == wanted) {
            return 1;
        }
    }
    return 0;
}

static int is_settled(PyObject *value, int alone, PyObject *item, int depth);

/* Of what a container holds, whether it is settled; alone: nobody else has the container. */
static inline int
is_settled_inside(PyObject *each, int alone, PyObject *item, int depth)
{
    if (is_unchanging(each)) {
        return 1;
    }
    if (depth == 0) {
        return 0;
    }
    int own = alone && (Py_REFCNT(each) == 1 ||
                        (item != NULL && Py_REFCNT(each) == 2 && holds(item, each)));
    return is_settled(each, own, item, depth - 1);
}

/* See runs.is_settled. */
static int
is_settled(PyObject *value, int alone, PyObject *item, int depth)
{
    if (is_unchanging(value)) {
        return 1;
    }
    if (PyTuple_CheckExact(value)) {
        for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(value); place++) {
            if (!is_settled_inside(PyTuple_GET_ITEM(value, place), alone, item, depth)) {
                return 0;
            }
        }
        return 1;
    }
    if (!alone) {
        return 0;
    }
    if (PyDict_CheckExact(value)) {
        PyObject *key, *each;
        Py_ssize_t place = 0;
        while (PyDict_Next(value, &place, &key, &each)) {
            if (!is_unchanging(key) || !is_settled_inside(each, alone, item, depth)) {
                return 0;
            }
        }
        return 1;
    }
    if (PyList_CheckExact(value)) {
        for (Py_ssize_t place = 0; place < PyList_GET_SIZE(value); place++) {
            if (!is_settled_inside(PyList_GET_ITEM(value, place), alone, item, depth)) {
                return 0;
            }
        }
        return 1;
    }
    return 0;
}

/* Whether it is surely one result: no iterator of many, and nothing that names a port. */
static inline int
is_one(PyObject *value)
{
    return is_unchanging(value) || PyDict_CheckExact(value) || PyList_CheckExact(value) ||
           PyTuple_CheckExact(value);
}

/* -- small helpers */

/* The exception that is set, which is no longer set then; never NULL. */
static PyObject *
caught(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    PyErr_NormalizeException(&kind, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(kind);
    return value;
#endif
}

/* The words of a row of the board; NULL with an exception set. */
static volatile uint64_t *
words_of(PyObject *row, Py_ssize_t *count)
{
    if (!PyMemoryView_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a row of the board is a memoryview");
        return NULL;
    }
    Py_buffer *view = PyMemoryView_GET_BUFFER(row);
    if (view->itemsize != 8 || view->readonly || view->ndim != 1) {
        PyErr_SetString(PyExc_TypeError, "a row of the board consists of words");
        return NULL;
    }
    *count = view->len / 8;
    return view->buf;
}

/* Whether the first cell of a sequence of numbers is set; -1 with an exception set. */
static inline int
first_cell(PyObject *cells)
{
    if (PyByteArray_CheckExact(cells)) {
        return PyByteArray_AS_STRING(cells)[0] != 0;
    }
    if (PyBytes_CheckExact(cells)) {
        return PyBytes_AS_STRING(cells)[0] != 0;
    }
    if (PyMemoryView_Check(cells) && PyMemoryView_GET_BUFFER(cells)->itemsize == 8) {
        return *(volatile uint64_t *)PyMemoryView_GET_BUFFER(cells)->buf != 0;
    }
    PyObject *cell = PySequence_GetItem(cells, 0);
    if (cell == NULL) {
        return -1;
    }
    int set = PyObject_IsTrue(cell);
    Py_DECREF(cell);
    return set;
}

/* Append an item to what waits, and before that its ordinal, if they are listed. */
static int
append(PyObject *waiting, PyObject *listed, PyObject *item, long long ordinal)
{
    if (listed != NULL) {
        PyObject *number = PyLong_FromLongLong(ordinal);
        int failed = number == NULL || PyList_Append(listed, number) < 0;
        Py_XDECREF(number);
        if (failed) {
            return -1;
        }
    }
    if (PyList_CheckExact(waiting)) {
        return PyList_Append(waiting, item);
    }
    PyObject *done = PyObject_CallMethodOneArg(waiting, APPEND, item);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static inline PyObject *
object_or_null(PyObject *object)
{
    return object == Py_None ? NULL : object;
}

static inline PyObject *
list_or_null(PyObject *object)
{
    return PyList_CheckExact(object) ? object : NULL;
}

static int
expect(const char *name, Py_ssize_t given, Py_ssize_t wanted)
{
    if (given != wanted) {
        PyErr_Format(PyExc_TypeError, "%s takes %zd arguments (%zd given)", name, wanted, given);
        return -1;
    }
    return 0;
}

/* -- an iterator */

static PyObject *
take(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("take", nargs, 9) < 0) {
        return NULL;
    }
    PyObject *items = args[0], *woken = args[6], *stopping = args[7], *asking = args[8];
    Py_ssize_t most = PyLong_AsSsize_t(args[1]);
    PyObject *waiting = object_or_null(args[2]), *listed = list_or_null(args[3]);
    long long ordinal = PyLong_AsLongLong(args[4]), step = PyLong_AsLongLong(args[5]);
    iternextfunc next = Py_TYPE(items)->tp_iternext;
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (next == NULL) {
        PyErr_SetString(PyExc_TypeError, "take goes through an iterator");
        return NULL;
    }
    if (!PyByteArray_CheckExact(asking) || PyByteArray_GET_SIZE(asking) != 1) {
        PyErr_SetString(PyExc_TypeError, "whether the user's code is asked is one byte");
        return NULL;
    }
    PyByteArray_AS_STRING(asking)[0] = 1;
    Py_ssize_t taken = 0;
    enum why why = WHOLE;
    PyObject *value = NULL;
    int alone = 0;
    while (taken < most) {
        PyObject *result = next(items);
        if (result == NULL) {
            if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_StopIteration)) {
                PyErr_Clear();
                PyErr_SetNone(PyExc_StopIteration);
            }
            why = RAISED;
            value = caught();
            break;
        }
        alone = Py_REFCNT(result) == 1;
        if (waiting == NULL || result == Py_None || !is_settled(result, alone, NULL, DEPTH)) {
            why = OTHER;
            value = result;
            break;
        }
        PyByteArray_AS_STRING(asking)[0] = 0; /* a key of the user's is no part of the iterator */
        int failed = append(waiting, listed, result, ordinal);
        PyByteArray_AS_STRING(asking)[0] = 1;
        Py_DECREF(result);
        taken += !failed;
        ordinal += step;
        int stop = failed ? -1 : first_cell(stopping), seen = failed ? -1 : first_cell(woken);
        if (stop < 0 || seen < 0) {
            why = RAISED;
            value = caught();
            break;
        }
        if (!seen || stop) {
            why = seen ? STOPPING : UNSEEN;
            break;
        }
    }
    PyByteArray_AS_STRING(asking)[0] = 0;
    return Py_BuildValue("niNO", taken, (int)why, value != NULL ? value : Py_NewRef(Py_None),
                         why == OTHER && alone ? Py_True : Py_False);
}

/* -- calls */

/* What a row of calls notes in the board before each of them. */
struct marks {
    volatile uint64_t *words;
    Py_ssize_t last, begun, start;
    PyObject *ordinals; /* NULL: they count on from first */
    long long first;
};

static int
read_marks(PyObject *given, struct marks *marks)
{
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != 5) {
        PyErr_SetString(PyExc_TypeError, "marks are a tuple of five");
        return -1;
    }
    Py_ssize_t count = 0;
    marks->words = words_of(PyTuple_GET_ITEM(given, 0), &count);
    if (marks->words == NULL) {
        return -1;
    }
    marks->last = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 1));
    marks->begun = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 2));
    marks->start = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 3));
    PyObject *ordinals = PyTuple_GET_ITEM(given, 4);
    marks->ordinals = list_or_null(ordinals);
    marks->first = 0;
    if (marks->ordinals == NULL) { /* a range */
        PyObject *first = PyObject_GetAttr(ordinals, START);
        if (first == NULL) {
            return -1;
        }
        marks->first = PyLong_AsLongLong(first);
        Py_DECREF(first);
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    if (marks->last < 0 || marks->last >= count || marks->begun < 0 || marks->begun >= count) {
        PyErr_SetString(PyExc_IndexError, "the row of the board has no such cell");
        return -1;
    }
    return 0;
}

/* Note that the call at this place begins; its ordinal, or -1 with an exception set. */
static inline long long
mark(const struct marks *marks, Py_ssize_t at)
{
    long long ordinal = marks->first + at;
    if (marks->ordinals != NULL) {
        if (at >= PyList_GET_SIZE(marks->ordinals)) {
            PyErr_SetString(PyExc_IndexError, "there are fewer ordinals than items");
            return -1;
        }
        ordinal = PyLong_AsLongLong(PyList_GET_ITEM(marks->ordinals, at));
        if (ordinal == -1 && PyErr_Occurred()) {
            return -1;
        }
        marks->words[marks->begun] = (uint64_t)(at - marks->start + 1);
    }
    marks->words[marks->last] = (uint64_t)ordinal;
    return ordinal;
}

/* Whether items of a row are pairs; else with an exception set. */
static int
are_pairs(PyObject *payloads, Py_ssize_t at, Py_ssize_t stop)
{
    for (; at < stop && at < PyList_GET_SIZE(payloads); at++) {
        if (!PyTuple_CheckExact(PyList_GET_ITEM(payloads, at))) {
            PyErr_SetString(PyExc_TypeError, "a pair of items is a tuple");
            return 0;
        }
    }
    return 1;
}

/* Call a function with an item; joined: with the items of a pair. */
static inline PyObject *
call_with(PyObject *function, PyObject *payload, int joined)
{
    if (!joined) {
        return PyObject_CallOneArg(function, payload);
    }
    return PyObject_Vectorcall(function, ((PyTupleObject *)payload)->ob_item,
                               (size_t)PyTuple_GET_SIZE(payload), NULL);
}

/* Whether a pair has this very object. */
static inline int
is_one_of(PyObject *pair, PyObject *wanted)
{
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(pair); place++) {
        if (PyTuple_GET_ITEM(pair, place) == wanted) {
            return 1;
        }
    }
    return 0;
}

static PyObject *
call(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("call", nargs, 10) < 0) {
        return NULL;
    }
    PyObject *function = args[0], *payloads = args[1];
    Py_ssize_t at = PyLong_AsSsize_t(args[2]), stop = PyLong_AsSsize_t(args[3]);
    struct marks marks;
    if (PyErr_Occurred() || read_marks(args[4], &marks) < 0) {
        return NULL;
    }
    PyObject *waiting = object_or_null(args[5]), *listed = list_or_null(args[6]), *woken = args[7];
    int passes_none = PyObject_IsTrue(args[8]) && listed != NULL, joined = PyObject_IsTrue(args[9]);
    if (!PyList_CheckExact(payloads)) {
        PyErr_SetString(PyExc_TypeError, "the items of a row are a list");
        return NULL;
    }
    if (joined && !are_pairs(payloads, at, stop)) {
        return NULL;
    }
    Py_ssize_t empty = 0;
    enum why why = WHOLE;
    PyObject *value = NULL;
    int alone = 0;
    for (; at < stop && at < PyList_GET_SIZE(payloads); at++) {
        long long ordinal = mark(&marks, at);
        if (ordinal == -1 && PyErr_Occurred()) {
            return NULL;
        }
        PyObject *payload = Py_NewRef(PyList_GET_ITEM(payloads, at));
        PyObject *result = call_with(function, payload, joined);
        if (result == NULL) {
            Py_DECREF(payload);
            why = RAISED;
            value = caught();
            break;
        }
        if (result == Py_None && passes_none) {
            Py_DECREF(payload);
            Py_DECREF(result);
            empty++;
            continue;
        }
        /* The list has the item as well as we do. */
        alone = Py_REFCNT(result) == (result == payload ? 3 : 1);
        int searched = joined ? Py_REFCNT(payload) == 2 : may_be_searched(payload, 2);
        if (joined && searched && Py_REFCNT(result) == 2) {
            alone = is_one_of(payload, result);
        }
        int settled = waiting != NULL && result != Py_None &&
                      is_settled(result, alone, searched ? payload : NULL, DEPTH);
        Py_DECREF(payload);
        if (!settled) {
            why = OTHER;
            value = result;
            break;
        }
        int seen = append(waiting, listed, result, ordinal) < 0 ? -1 : first_cell(woken);
        Py_DECREF(result);
        if (seen < 0) {
            why = RAISED;
            value = caught();
            break;
        }
        if (!seen) {
            at++;
            why = UNSEEN;
            break;
        }
    }
    return Py_BuildValue("nniNO", at, empty, (int)why, value != NULL ? value : Py_NewRef(Py_None),
                         why == OTHER && alone ? Py_True : Py_False);
}

static PyObject *
call_only(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("call_only", nargs, 6) < 0) {
        return NULL;
    }
    PyObject *function = args[0], *payloads = args[1];
    Py_ssize_t at = PyLong_AsSsize_t(args[2]), stop = PyLong_AsSsize_t(args[3]);
    struct marks marks;
    if (PyErr_Occurred() || read_marks(args[4], &marks) < 0) {
        return NULL;
    }
    int joined = PyObject_IsTrue(args[5]);
    if (!PyList_CheckExact(payloads)) {
        PyErr_SetString(PyExc_TypeError, "the items of a row are a list");
        return NULL;
    }
    if (joined && !are_pairs(payloads, at, stop)) {
        return NULL;
    }
    Py_ssize_t empty = 0, unread = 0;
    enum why why = WHOLE;
    PyObject *value = NULL;
    for (; at < stop && at < PyList_GET_SIZE(payloads); at++) {
        if (mark(&marks, at) == -1 && PyErr_Occurred()) {
            return NULL;
        }
        PyObject *payload = Py_NewRef(PyList_GET_ITEM(payloads, at));
        PyObject *result = call_with(function, payload, joined);
        Py_DECREF(payload);
        if (result == NULL) {
            why = RAISED;
            value = caught();
            break;
        }
        if (result == Py_None) {
            empty++;
        }
        else if (is_one(result)) {
            unread++;
        }
        else {
            why = OTHER;
            value = result;
            break;
        }
        Py_DECREF(result);
    }
    int alone = why == OTHER && Py_REFCNT(value) == 1;
    return Py_BuildValue("nnniNO", at, empty, unread, (int)why,
                         value != NULL ? value : Py_NewRef(Py_None), alone ? Py_True : Py_False);
}

/* -- the module */

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"WHOLE", WHOLE},
    {"OTHER", OTHER},
    {"RAISED", RAISED},
    {"UNSEEN", UNSEEN},
    {"STOPPING", STOPPING},
    /* What was compiled from an older source has another number, and is not used. */
    {"FORM_3", 0},
};

static PyMethodDef functions[] = {
    {"take", (PyCFunction)(void (*)(void))take, METH_FASTCALL, NULL},
    {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL, NULL},
    {"call_only", (PyCFunction)(void (*)(void))call_only, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_compiled",
    .m_doc = "The innermost loops, compiled; see interpreted.py.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
    START = PyUnicode_InternFromString("start");
    APPEND = PyUnicode_InternFromString("append");
    if (START == NULL || APPEND == NULL) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    for (size_t each = 0; each < Py_ARRAY_LENGTH(constants); each++) {
        if (PyModule_AddIntConstant(module, constants[each].name, constants[each].value) < 0) {
            Py_DECREF(module);
            return NULL;
        }
    }
    return module;
}
