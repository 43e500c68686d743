/* The stretches; interpreted.py says what they promise. */

/* What has ended a stretch. */
struct ending {
    enum why why;
    PyObject *value; /* the result or the error that ended it, or NULL; the caller's from now on */
    int alone;       /* of a result: nobody else holds it */
};

/* A stretch that came to an end for an error of ours, which is set: as if the user's code had. */
static inline void
end_by_error(struct ending *ending)
{
    ending->why = RAISED;
    Py_XSETREF(ending->value, caught());
}

static PyObject *
value_or_none(const struct ending *ending)
{
    return ending->value != NULL ? ending->value : Py_NewRef(Py_None);
}

static PyObject *
own_result(const struct ending *ending)
{
    return ending->why == OTHER && ending->alone ? Py_True : Py_False;
}

/* -- an iterator */

/* Where what comes goes. */
struct onto {
    PyObject *waiting; /* NULL: nothing may be appended */
    PyObject *listed;  /* NULL: ordinals count on */
    PyObject *woken;   /* NULL: nobody need know */
};

/* Whether the second thread knows that something waits, or need not; -1 with an exception set. */
static inline int
is_woken(PyObject *woken)
{
    return woken == NULL ? 1 : first_cell(woken);
}

/* Take up to so many; how many were appended. */
static Py_ssize_t
take_stretch(PyObject *items, Py_ssize_t most, const struct onto *onto, long long ordinal,
             long long step, PyObject *stopping, char *asking, struct ending *ending)
{
    iternextfunc next = Py_TYPE(items)->tp_iternext;
    Py_ssize_t taken = 0;
    *ending = (struct ending){WHOLE, NULL, 0};
    *asking = 1;
    while (taken < most) {
        PyObject *result = next(items);
        if (result == NULL) {
            if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_StopIteration)) {
                PyErr_Clear();
                PyErr_SetNone(PyExc_StopIteration);
            }
            end_by_error(ending);
            break;
        }
        ending->alone = Py_REFCNT(result) == 1;
        if (onto->waiting == NULL || result == Py_None ||
            !is_settled(result, ending->alone, NULL, DEPTH)) {
            ending->why = OTHER;
            ending->value = result;
            break;
        }
        *asking = 0; /* a key of the user's is no part of the iterator */
        int failed = append(onto->waiting, onto->listed, result, ordinal);
        *asking = 1;
        Py_DECREF(result);
        taken += !failed;
        ordinal += step;
        int stop = failed ? -1 : first_cell(stopping), seen = failed ? -1 : is_woken(onto->woken);
        if (stop < 0 || seen < 0) {
            end_by_error(ending);
            break;
        }
        if (!seen || stop) {
            ending->why = seen ? STOPPING : UNSEEN;
            break;
        }
    }
    *asking = 0;
    return taken;
}

/* The byte that says whether the user's code is asked; NULL with an exception set. */
static char *
asking_of(PyObject *asking)
{
    if (!PyByteArray_CheckExact(asking) || PyByteArray_GET_SIZE(asking) != 1) {
        PyErr_SetString(PyExc_TypeError, "whether the user's code is asked is one byte");
        return NULL;
    }
    return PyByteArray_AS_STRING(asking);
}

static int
expect_iterator(PyObject *items)
{
    if (Py_TYPE(items)->tp_iternext == NULL) {
        PyErr_SetString(PyExc_TypeError, "take goes through an iterator");
        return -1;
    }
    return 0;
}

static PyObject *
take(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("take", nargs, 9) < 0) {
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[1]);
    struct onto onto = {object_or_null(args[2]), list_or_null(args[3]), args[6]};
    long long ordinal = PyLong_AsLongLong(args[4]), step = PyLong_AsLongLong(args[5]);
    char *asking = PyErr_Occurred() ? NULL : asking_of(args[8]);
    if (asking == NULL || expect_iterator(args[0]) < 0) {
        return NULL;
    }
    struct ending ending;
    Py_ssize_t taken =
        take_stretch(args[0], most, &onto, ordinal, step, args[7], asking, &ending);
    return Py_BuildValue("niNO", taken, (int)ending.why, value_or_none(&ending),
                         own_result(&ending));
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
        PyObject *first = PyObject_GetAttr(ordinals, name_start);
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
        if (at >= PyList_GET_SIZE(marks->ordinals)) { /* the user's code has no way to them */
            PyErr_SetString(PyExc_IndexError, "there are fewer ordinals than items");
            return -1;
        }
        ordinal = PyLong_AsLongLong(PyList_GET_ITEM(marks->ordinals, at));
        if (ordinal == -1 && PyErr_Occurred()) {
            return -1;
        }
        NOTE_HAND(marks->words[marks->begun] = (uint64_t)(at - marks->start + 1));
    }
    NOTE_HAND(marks->words[marks->last] = (uint64_t)ordinal);
    return ordinal;
}

/* Whether the items of a row are what is said of them; else with an exception set. */
static int
are_items(PyObject *payloads, Py_ssize_t at, Py_ssize_t stop, const struct marks *marks, int joined)
{
    if (!PyList_CheckExact(payloads)) {
        PyErr_SetString(PyExc_TypeError, "the items of a row are a list");
        return 0;
    }
    Py_ssize_t count = PyList_GET_SIZE(payloads);
    if (marks->ordinals != NULL &&
        PyList_GET_SIZE(marks->ordinals) < (stop < count ? stop : count)) {
        PyErr_SetString(PyExc_IndexError, "there are fewer ordinals than items");
        return 0;
    }
    for (; joined && at < stop && at < PyList_GET_SIZE(payloads); at++) {
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

/* Done with an item; if it was taken from its list, somebody else is to have it there. */
static inline void
put_back(PyObject *payloads, Py_ssize_t at, PyObject *payload, int was_taken)
{
    if (was_taken && at < PyList_GET_SIZE(payloads)) {
        PyList_SetItem(payloads, at, payload);
    }
    else {
        Py_DECREF(payload);
    }
}

/* Call a function with the item at a place; the item is for the caller to be done with, but for one
 * whose call has failed. */
static inline PyObject *
call_at(PyObject *function, PyObject *payloads, Py_ssize_t at, int joined, int lets_go,
        PyObject **payload)
{
    *payload = PyList_GET_ITEM(payloads, at);
    if (lets_go) {
        PyList_SET_ITEM(payloads, at, Py_NewRef(Py_None));
    }
    else {
        Py_INCREF(*payload);
    }
    PyObject *result = call_with(function, *payload, joined);
    if (result == NULL) {
        put_back(payloads, at, *payload, lets_go);
    }
    return result;
}

/* Call a function with the items of a row.
 *
 * lets_go: nobody else has the list, so an item is let go as soon as it was called: what is made of
 * the next one finds its memory at hand. Where an item has ended it, it is in its place again.
 *
 * Returns the place of the item that ended it, or of the next.
 */
static Py_ssize_t
call_stretch(PyObject *function, PyObject *payloads, Py_ssize_t at, Py_ssize_t stop,
             const struct marks *marks, const struct onto *onto, int passes_none, int joined,
             int lets_go, Py_ssize_t *empty, struct ending *ending)
{
    Py_ssize_t others = lets_go ? 0 : 1; /* the list has the item as well as we do */
    passes_none = passes_none && onto->listed != NULL;
    *ending = (struct ending){WHOLE, NULL, 0};
    for (; at < stop && at < PyList_GET_SIZE(payloads); at++) {
        long long ordinal = mark(marks, at);
        if (ordinal == -1 && PyErr_Occurred()) {
            end_by_error(ending);
            break;
        }
        PyObject *payload, *result = call_at(function, payloads, at, joined, lets_go, &payload);
        if (result == NULL) {
            end_by_error(ending);
            break;
        }
        if (result == Py_None && passes_none) {
            Py_DECREF(payload);
            Py_DECREF(result);
            ++*empty;
            continue;
        }
        int alone = Py_REFCNT(result) == (result == payload ? 2 + others : 1);
        int searched = joined ? Py_REFCNT(payload) == 2 : may_be_searched(payload, 1 + others);
        if (joined && searched && Py_REFCNT(result) == 2) {
            alone = is_one_of(payload, result);
        }
        int settled = onto->waiting != NULL && result != Py_None &&
                      is_settled(result, alone, searched ? payload : NULL, DEPTH);
        if (!settled) {
            put_back(payloads, at, payload, lets_go);
            *ending = (struct ending){OTHER, result, alone};
            break;
        }
        Py_DECREF(payload);
        int failed = append(onto->waiting, onto->listed, result, ordinal);
        int seen = failed ? -1 : is_woken(onto->woken);
        Py_DECREF(result);
        if (seen < 0) {
            end_by_error(ending);
            break;
        }
        if (!seen) {
            at++;
            ending->why = UNSEEN;
            break;
        }
    }
    return at;
}

static PyObject *
call(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("call", nargs, 10) < 0) {
        return NULL;
    }
    Py_ssize_t at = PyLong_AsSsize_t(args[2]), stop = PyLong_AsSsize_t(args[3]), empty = 0;
    struct marks marks;
    if (PyErr_Occurred() || read_marks(args[4], &marks) < 0) {
        return NULL;
    }
    struct onto onto = {object_or_null(args[5]), list_or_null(args[6]), args[7]};
    int passes_none = PyObject_IsTrue(args[8]), joined = PyObject_IsTrue(args[9]);
    if (!are_items(args[1], at, stop, &marks, joined)) {
        return NULL;
    }
    struct ending ending;
    at = call_stretch(args[0], args[1], at, stop, &marks, &onto, passes_none, joined, 0,
                      &empty, &ending);
    return Py_BuildValue("nniNO", at, empty, (int)ending.why, value_or_none(&ending),
                         own_result(&ending));
}

/* The place of the item that ended it, or of the next. */
static Py_ssize_t
call_only_stretch(PyObject *function, PyObject *payloads, Py_ssize_t at, Py_ssize_t stop,
                  const struct marks *marks, int joined, int lets_go, Py_ssize_t *empty,
                  Py_ssize_t *unread, struct ending *ending)
{
    *ending = (struct ending){WHOLE, NULL, 0};
    for (; at < stop && at < PyList_GET_SIZE(payloads); at++) {
        if (mark(marks, at) == -1 && PyErr_Occurred()) {
            end_by_error(ending);
            break;
        }
        PyObject *payload, *result = call_at(function, payloads, at, joined, lets_go, &payload);
        if (result == NULL) {
            end_by_error(ending);
            break;
        }
        if (result != Py_None && !is_one(result)) {
            put_back(payloads, at, payload, lets_go);
            *ending = (struct ending){OTHER, result, Py_REFCNT(result) == 1};
            break;
        }
        Py_DECREF(payload);
        if (result == Py_None) {
            ++*empty;
        }
        else {
            ++*unread;
        }
        Py_DECREF(result);
    }
    return at;
}

static PyObject *
call_only(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("call_only", nargs, 6) < 0) {
        return NULL;
    }
    Py_ssize_t at = PyLong_AsSsize_t(args[2]), stop = PyLong_AsSsize_t(args[3]);
    struct marks marks;
    if (PyErr_Occurred() || read_marks(args[4], &marks) < 0) {
        return NULL;
    }
    int joined = PyObject_IsTrue(args[5]);
    if (!are_items(args[1], at, stop, &marks, joined)) {
        return NULL;
    }
    Py_ssize_t empty = 0, unread = 0;
    struct ending ending;
    at = call_only_stretch(args[0], args[1], at, stop, &marks, joined, 0, &empty, &unread,
                           &ending);
    return Py_BuildValue("nnniNO", at, empty, unread, (int)ending.why, value_or_none(&ending),
                         own_result(&ending));
}
