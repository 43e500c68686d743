/* What all of the loops need of Python, and of the cells of the board. */

/* Stores of what is counted, and of which item is in hand. The ablation of the benchmarks compiles
 * this without them, 1 or 2, to tell what they cost. */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define COUNT(store) ((void)(WITHOUT < 1 ? (store) : 0))
#define NOTE_HAND(store) ((void)(WITHOUT < 2 ? (store) : 0))

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

/* The words of a memoryview, of which these cells are to be used; NULL with an exception set. */
static volatile uint64_t *
cells_of(PyObject *view, Py_ssize_t last)
{
    Py_ssize_t count = 0;
    volatile uint64_t *words = words_of(view, &count);
    if (words != NULL && (last < 0 || last >= count)) {
        PyErr_SetString(PyExc_IndexError, "there are no such cells");
        return NULL;
    }
    return words;
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
    PyObject *done = PyObject_CallMethodOneArg(waiting, name_append, item);
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
