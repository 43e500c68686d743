/* Attributes of Python objects that the hops share with the Python code beside them.
 *
 * What they have in common stays where Python keeps it, so that at every moment at which other code
 * may run (the user's, the second thread's) it is as the Python code would have left it.
 */

/* The names of attributes, made once. */
#define NAMES(DO)                                                                                  \
    DO(_ended) DO(_fd) DO(_gave) DO(_large) DO(_listed) DO(_next) DO(_peak) DO(_prefixes)          \
    DO(_since) DO(_start) DO(_stop) DO(_until) DO(_vain) DO(_waits_since) DO(acquire) DO(append)   \
    DO(begin_span) DO(born) DO(cost) DO(credit) DO(end) DO(first) DO(flush_now) DO(frames)         \
    DO(least) DO(leave_gap) DO(list_ordinals) DO(locked) DO(looked) DO(pile) DO(plain)             \
    DO(refused) DO(release) DO(ring) DO(room) DO(rouse) DO(start) DO(told) DO(wake_up)

#define DECLARE(name) static PyObject *name_##name;
NAMES(DECLARE)
#undef DECLARE

static int
make_names(void)
{
#define MAKE(name)                                                                                 \
    name_##name = PyUnicode_InternFromString(#name);                                               \
    if (name_##name == NULL) {                                                                     \
        return -1;                                                                                 \
    }
    NAMES(MAKE)
#undef MAKE
    return 0;
}

/* A number that is an attribute; -1 with an exception set. None of them is negative. */
static long long
number_of(PyObject *owner, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(owner, name);
    if (found == NULL) {
        return -1;
    }
    long long number = PyLong_AsLongLong(found);
    Py_DECREF(found);
    return number;
}

static int
set_number(PyObject *owner, PyObject *name, long long number)
{
    PyObject *made = PyLong_FromLongLong(number);
    if (made == NULL) {
        return -1;
    }
    int failed = PyObject_SetAttr(owner, name, made);
    Py_DECREF(made);
    return failed;
}

static int
add_number(PyObject *owner, PyObject *name, long long number)
{
    long long before = number_of(owner, name);
    return before == -1 && PyErr_Occurred() ? -1 : set_number(owner, name, before + number);
}

/* A number in a list; -1 with an exception set. */
static long long
number_at(PyObject *numbers, Py_ssize_t place)
{
    if (!PyList_CheckExact(numbers) || place >= PyList_GET_SIZE(numbers)) {
        PyErr_SetString(PyExc_TypeError, "a list of numbers was expected");
        return -1;
    }
    return PyLong_AsLongLong(PyList_GET_ITEM(numbers, place));
}

static int
set_number_at(PyObject *numbers, Py_ssize_t place, long long number)
{
    PyObject *made = PyLong_FromLongLong(number);
    return made == NULL ? -1 : PyList_SetItem(numbers, place, made);
}

/* Whether an attribute is this very object; -1 with an exception set. */
static int
is_attribute(PyObject *owner, PyObject *name, PyObject *wanted)
{
    PyObject *found = PyObject_GetAttr(owner, name);
    if (found == NULL) {
        return -1;
    }
    Py_DECREF(found); /* somebody has it beside us, or it is another */
    return found == wanted;
}

/* Whether an attribute is true; -1 with an exception set. */
static int
is_true(PyObject *owner, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(owner, name);
    if (found == NULL) {
        return -1;
    }
    int truth = PyObject_IsTrue(found);
    Py_DECREF(found);
    return truth;
}

/* Call a method of ours without arguments, for what it does. */
static int
tell(PyObject *owner, PyObject *method)
{
    PyObject *done = PyObject_CallMethodNoArgs(owner, method);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Numbers that Python modules of ours define, and where they are kept here. */
struct constant {
    const char *name;
    Py_ssize_t *whole;
    double *real;
};

static int
read_constants(const char *module, const struct constant *constants)
{
    PyObject *found = PyImport_ImportModule(module);
    if (found == NULL) {
        return -1;
    }
    for (; constants->name != NULL && !PyErr_Occurred(); constants++) {
        PyObject *value = PyObject_GetAttrString(found, constants->name);
        if (value != NULL && constants->whole != NULL) {
            *constants->whole = PyNumber_AsSsize_t(value, PyExc_OverflowError);
        }
        else if (value != NULL) {
            *constants->real = PyFloat_AsDouble(value);
        }
        Py_XDECREF(value);
    }
    Py_DECREF(found);
    return PyErr_Occurred() ? -1 : 0;
}

static double
seconds_of(PyObject *owner, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(owner, name);
    if (found == NULL) {
        return -1;
    }
    double seconds = PyFloat_AsDouble(found);
    Py_DECREF(found);
    return seconds;
}

static int
set_seconds(PyObject *owner, PyObject *name, double seconds)
{
    PyObject *made = PyFloat_FromDouble(seconds);
    if (made == NULL) {
        return -1;
    }
    int failed = PyObject_SetAttr(owner, name, made);
    Py_DECREF(made);
    return failed;
}

/* The clock of time.monotonic and, on Linux, of time.perf_counter. */
static inline int64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline double
now_s(void)
{
    return (double)now_ns() * 1e-9;
}
