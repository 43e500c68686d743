/* What an object is: whether nobody can change it any more, and whether it is surely one item. */

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
