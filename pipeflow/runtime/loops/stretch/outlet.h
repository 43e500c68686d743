/* The way out: what Express, Run, Target and PipeSender do with plain items for one reader.
 *
 * Each function here has its method there, which says what it does, and does what is left to it:
 * whatever is more than plain. Nothing here lets go of the interpreter's lock, so what the outbox's
 * lock is for holds while nobody has that.
 */

typedef struct {
    PyObject_HEAD
    PyObject *held; /* all that follows, kept alive */
    PyObject *express, *run, *waiting, *woken, *lock, *births;
    PyObject *target, *channels, *lost_rows;
    PyObject *sender, *account, *kept, *finish;
    PyObject *send_alone; /* Express.send_alone, or None */
    PyObject *units, *empties; /* of a run of kept units: GappedRun; else None */
    volatile uint64_t *counters;
    Py_ssize_t writer, reader; /* where their rows begin */
    volatile uint64_t *edge;
    volatile uint64_t *emitted;
    unsigned char head[HEAD_BYTES];
    Py_ssize_t capacity, batch_items;
    double began;
    struct looks looks;
} Outlet;

static inline int
keeps_units(const Outlet *self)
{
    return self->units != Py_None;
}

/* Whether somebody is in the middle of what the outbox's lock is for; -1 with an exception set. */
static int
is_locked(Outlet *self)
{
    PyObject *locked = PyObject_CallMethodNoArgs(self->lock, name_locked);
    if (locked == NULL) {
        return -1;
    }
    Py_DECREF(locked);
    return locked == Py_True;
}

/* Take the outbox's lock if nobody has it; whether that was so. */
static int
try_lock(Outlet *self)
{
    PyObject *given[] = {self->lock, Py_False};
    PyObject *taken = PyObject_VectorcallMethod(name_acquire, given, 2, NULL);
    Py_XDECREF(taken);
    return taken == NULL ? -1 : taken == Py_True;
}

/* Let go of it; an exception that is set stays so. */
static int
unlock(Outlet *self)
{
    PyObject *error = PyErr_Occurred() ? caught() : NULL;
    int failed = tell(self->lock, name_release);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return failed;
}

/* -- ids */

/* The last of the run's prefixes, and from which unit on; 0: it is more than fits. */
static int
read_prefix(Outlet *self, struct prefix *prefix, long long *unit)
{
    PyObject *prefixes = PyObject_GetAttr(self->run, name__prefixes);
    if (prefixes == NULL) {
        return -1;
    }
    Py_DECREF(prefixes); /* the run has it */
    Py_ssize_t count = PyList_GET_SIZE(prefixes);
    PyObject *last = PyList_GET_ITEM(prefixes, count - 1), *parts = PyTuple_GET_ITEM(last, 1);
    Py_ssize_t depth = PyTuple_GET_SIZE(parts);
    if (depth > DEPTH_MOST) {
        return 0;
    }
    *unit = PyLong_AsLongLong(PyTuple_GET_ITEM(last, 0));
    prefix->depth = (int)depth;
    for (Py_ssize_t place = 0; place < depth; place++) {
        prefix->parts[place] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(parts, place));
    }
    return PyErr_Occurred() ? -1 : 1;
}

/* Run.begin, where it is as most often; 0: it is not, and nothing was done. */
static int
begin_run(Outlet *self, const struct prefix *prefix, long long ordinal)
{
    Py_ssize_t waiting = PyList_GET_SIZE(self->waiting);
    struct prefix before;
    long long unit = 0;
    int known = read_prefix(self, &before, &unit);
    if (known <= 0 || !same_prefix(prefix, &before)) {
        return known < 0 ? -1 : 0;
    }
    if (waiting == 0) {
        if (set_number(self->run, name__next, ordinal) < 0) {
            return -1;
        }
        return PyObject_SetAttr(self->run, name__listed, Py_None) < 0 ? -1 : 1;
    }
    int counts_on = is_attribute(self->run, name__listed, Py_None);
    if (counts_on <= 0) {
        return counts_on;
    }
    long long next = number_of(self->run, name__next);
    return next == -1 && PyErr_Occurred() ? -1 : ordinal == next + waiting;
}

/* What ordinals are appended to, if they do not count on: a new reference, or NULL. */
static PyObject *
listed_of(Outlet *self)
{
    PyObject *listed = PyObject_GetAttr(self->run, name__listed);
    if (listed == Py_None) {
        Py_CLEAR(listed);
    }
    return listed;
}

/* Send what a call gave at once, if it is an array that may go alone; what ordinals are appended to
 * is looked up again then. 0: it is not, or may not. */
static int
pass_alone(Outlet *self, PyObject *value, long long ordinal, PyObject **listed)
{
    if (self->send_alone == Py_None || strcmp(Py_TYPE(value)->tp_name, "numpy.ndarray") != 0) {
        return 0;
    }
    PyObject *number = PyLong_FromLongLong(ordinal), *given[] = {value, number};
    PyObject *sent = number == NULL ? NULL
                                    : PyObject_Vectorcall(self->send_alone, given, 2, NULL);
    Py_XDECREF(number);
    Py_XDECREF(sent);
    if (sent != Py_True) {
        return sent == NULL ? -1 : 0;
    }
    Py_XDECREF(*listed);
    *listed = listed_of(self);
    return PyErr_Occurred() ? -1 : 1;
}

/* -- room */

/* Express.room: how many items may be appended now; -1 with an exception set. */
static Py_ssize_t
outlet_room(Outlet *self, const struct prefix *prefix, long long ordinal)
{
    int locked = is_locked(self), quiet = is_attribute(self->express, name_refused, Py_None);
    if (locked < 0 || quiet < 0) {
        return -1;
    }
    Py_ssize_t waiting = PyList_GET_SIZE(self->waiting);
    volatile uint64_t *counters = self->counters;
    uint64_t bytes = counters[self->writer + WRITER_BYTES] - counters[self->reader + TAKEN_BYTES];
    if (!locked && quiet && waiting < self->batch_items && bytes == 0 &&
        PyList_GET_SIZE(self->channels) == 1 && PyObject_Size(self->kept) == 0) {
        int begun = begin_run(self, prefix, ordinal);
        if (begun < 0) {
            return -1;
        }
        if (begun) {
            uint64_t taken = counters[self->reader + TAKEN_CREDITS];
            Py_ssize_t in_flight = (Py_ssize_t)(counters[self->writer + WRITER_CREDITS] - taken);
            Py_ssize_t free = self->capacity - (in_flight > 0 ? in_flight : 0) - waiting;
            Py_ssize_t most = self->batch_items - waiting;
            free = free < most ? free : most;
            return free > 0 ? free : 0;
        }
    }
    PyObject *parts = tuple_of(prefix);
    PyObject *first = parts == NULL ? NULL : PyLong_FromLongLong(ordinal);
    PyObject *given[] = {self->express, parts, first};
    PyObject *room = first == NULL ? NULL
                                   : PyObject_VectorcallMethod(name_room, given, 3, NULL);
    Py_XDECREF(parts);
    Py_XDECREF(first);
    Py_ssize_t free = room == NULL ? -1 : PyLong_AsSsize_t(room);
    Py_XDECREF(room);
    return free;
}
