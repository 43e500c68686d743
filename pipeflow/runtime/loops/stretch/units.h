/* Units that are kept: what Keeping and GappedRun do with results that count on, as their units do.
 */

/* Express.run.waiting: the credits that what waits will take. */
static inline Py_ssize_t
waiting_of(const Outlet *self)
{
    Py_ssize_t items = PyList_GET_SIZE(self->waiting);
    return keeps_units(self) ? items + PyList_GET_SIZE(self->empties) : items;
}

/* GappedRun._reached. */
static long long
unit_reached(Outlet *self, Py_ssize_t count)
{
    if (PyList_GET_SIZE(self->units) > count) {
        return number_at(self->units, count);
    }
    return number_of(self->run, name_end);
}

/* Express.waits: whether there is anything to send; -1 with an exception set. */
static int
outlet_waits(Outlet *self)
{
    if (waiting_of(self) || !keeps_units(self)) {
        return waiting_of(self) != 0;
    }
    long long told = number_of(self->run, name_told), reached = unit_reached(self, 0);
    return PyErr_Occurred() ? -1 : reached > told;
}

/* Whether the units of what waits count on, and nothing is to be told but them. */
static int
units_count_on(Outlet *self)
{
    Py_ssize_t count = PyList_GET_SIZE(self->waiting);
    if (count == 0 || PyList_GET_SIZE(self->empties) != 0) {
        return 0;
    }
    long long told = number_of(self->run, name_told), reached = unit_reached(self, count);
    return PyErr_Occurred() ? -1 : reached - told == count;
}

/* Take the units of so many items off the run: the first of them; -1 with an exception set. */
static long long
cut_units(Outlet *self, Py_ssize_t count)
{
    long long told = number_of(self->run, name_told), reached = unit_reached(self, count);
    if (PyErr_Occurred() || PyList_SetSlice(self->units, 0, count, NULL) < 0 ||
        set_number(self->run, name_told, reached) < 0) {
        return -1;
    }
    return told;
}

/* Keeping.begin_span: for how many items there is room, which are announced. */
static Py_ssize_t
begin_span(Outlet *self, const struct prefix *prefix, long long ordinal, long long unit,
           Py_ssize_t most)
{
    PyObject *given[] = {self->express, tuple_of(prefix), PyLong_FromLongLong(ordinal),
                         PyLong_FromLongLong(unit), PyLong_FromSsize_t(most)};
    Py_ssize_t parts = Py_ARRAY_LENGTH(given), count = -1;
    if (!PyErr_Occurred()) {
        PyObject *room = PyObject_VectorcallMethod(name_begin_span, given, parts, NULL);
        count = room == NULL ? -1 : PyLong_AsSsize_t(room);
        Py_XDECREF(room);
    }
    while (--parts) {
        Py_XDECREF(given[parts]);
    }
    return count;
}
