/* How Python makes an outlet and a hop: each takes its parts as one tuple, in the order of hops.py. */

/* Parts of a tuple, read one after another. */
struct parts {
    PyObject *tuple;
    Py_ssize_t next;
};

static PyObject *
next_part(struct parts *parts)
{
    if (parts->next >= PyTuple_GET_SIZE(parts->tuple)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "there are too few parts");
        }
        return Py_None;
    }
    return PyTuple_GET_ITEM(parts->tuple, parts->next++);
}

static Py_ssize_t
next_number(struct parts *parts)
{
    PyObject *part = next_part(parts);
    return PyErr_Occurred() ? -1 : PyLong_AsSsize_t(part);
}

/* A part that must be of this type. */
static PyObject *
next_of(struct parts *parts, PyTypeObject *type)
{
    PyObject *part = next_part(parts);
    if (!PyObject_TypeCheck(part, type) && !PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError, "part %zd is no %s", parts->next, type->tp_name);
    }
    return part;
}

/* Cells of a memoryview, up to the last that is used. */
static volatile uint64_t *
next_cells(struct parts *parts, Py_ssize_t last)
{
    PyObject *part = next_part(parts);
    return PyErr_Occurred() ? NULL : cells_of(part, last);
}

static void
next_head(struct parts *parts, unsigned char head[HEAD_BYTES])
{
    PyObject *part = next_of(parts, &PyBytes_Type);
    if (PyErr_Occurred()) {
        return;
    }
    if (PyBytes_GET_SIZE(part) != HEAD_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a header begins with 16 bytes");
        return;
    }
    memcpy(head, PyBytes_AS_STRING(part), HEAD_BYTES);
}

static void
next_looks(struct parts *parts, struct looks *looks)
{
    looks->row = next_cells(parts, WORKER_WORDS - 1);
    looks->shown = next_part(parts);
    looks->look = next_part(parts);
    looks->longest_ns = next_number(parts);
}

/* The one argument of a constructor, which the new object keeps alive. */
static PyObject *
held_parts(PyObject *args)
{
    PyObject *parts = NULL;
    return PyArg_ParseTuple(args, "O!", &PyTuple_Type, &parts) ? Py_NewRef(parts) : NULL;
}

/* What is held may lead back here; as of a tuple, others in the circle let go. */
static int
outlet_traverse(Outlet *self, visitproc visit, void *arg)
{
    Py_VISIT(self->held);
    return 0;
}

static void
outlet_dealloc(Outlet *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->held);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
outlet_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    Outlet *self = (Outlet *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    struct parts parts = {self->held = held_parts(args), 0};
    if (parts.tuple == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->express = next_part(&parts);
    self->run = next_part(&parts);
    self->waiting = next_of(&parts, &PyList_Type);
    self->woken = next_of(&parts, &PyByteArray_Type);
    self->lock = next_part(&parts);
    self->births = next_part(&parts);
    self->batch_items = next_number(&parts);
    Py_ssize_t emitted = next_number(&parts);
    self->emitted = next_cells(&parts, emitted);
    self->target = next_part(&parts);
    self->channels = next_of(&parts, &PyList_Type);
    self->lost_rows = next_of(&parts, &PyList_Type);
    self->edge = next_cells(&parts, COPIED_BYTES);
    self->sender = next_part(&parts);
    self->account = next_part(&parts);
    self->kept = next_part(&parts);
    self->writer = next_number(&parts);
    self->reader = next_number(&parts);
    Py_ssize_t row = self->reader > self->writer ? self->reader : self->writer;
    self->counters = next_cells(&parts, row + WRITER_PEAK);
    next_head(&parts, self->head);
    self->capacity = next_number(&parts);
    self->finish = next_part(&parts);
    self->send_alone = next_part(&parts);
    self->units = next_part(&parts);
    self->empties = next_part(&parts);
    next_looks(&parts, &self->looks);
    if (PyErr_Occurred()) {
        Py_DECREF(self);
        return NULL;
    }
    self->emitted += emitted;
    return (PyObject *)self;
}

static int
hop_traverse(Hop *self, visitproc visit, void *arg)
{
    Py_VISIT(self->held);
    return 0;
}

static void
hop_dealloc(Hop *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->held);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject OutletType;

static PyObject *
hop_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    Hop *self = (Hop *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    struct parts parts = {self->held = held_parts(args), 0};
    if (parts.tuple == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->receiver = next_part(&parts);
    self->due = next_of(&parts, &PyList_Type);
    self->credits = next_of(&parts, &PyList_Type);
    self->block = next_of(&parts, &PyMemoryView_Type);
    self->writer = next_number(&parts);
    self->reader = next_number(&parts);
    self->waiting = next_number(&parts);
    Py_ssize_t row = self->reader > self->writer ? self->reader : self->writer;
    row += WRITER_PEAK > TAKEN_BYTES ? WRITER_PEAK : TAKEN_BYTES;
    self->counters = next_cells(&parts, row > self->waiting ? row : self->waiting);
    next_head(&parts, self->head);
    next_head(&parts, self->items_head);
    self->show = next_part(&parts);
    self->frontier = next_of(&parts, &PyList_Type);
    self->ready = next_part(&parts);
    self->owing = next_part(&parts);
    self->lot = next_number(&parts);
    self->edge_number = next_number(&parts);
    self->edge = next_cells(&parts, DELIVERED);
    self->may_look = next_part(&parts) == Py_True;
    next_looks(&parts, &self->looks);
    self->row = self->looks.row;
    PyObject *outlet = next_part(&parts);
    Py_ssize_t unread = next_number(&parts);
    self->unread = next_cells(&parts, unread);
    if (outlet != Py_None && !PyErr_Occurred()) {
        if (!PyObject_TypeCheck(outlet, &OutletType)) {
            PyErr_SetString(PyExc_TypeError, "results leave by an outlet");
        }
        self->outlet = (Outlet *)outlet;
    }
    if (PyErr_Occurred()) {
        Py_DECREF(self);
        return NULL;
    }
    self->unread += unread;
    return (PyObject *)self;
}

static PyMethodDef outlet_methods[] = {
    {"gather", (PyCFunction)(void (*)(void))outlet_gather, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject OutletType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_compiled.Outlet",
    .tp_basicsize = sizeof(Outlet),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)outlet_traverse,
    .tp_doc = "The way out, compiled; see hops.py.",
    .tp_new = outlet_new,
    .tp_dealloc = (destructor)outlet_dealloc,
    .tp_methods = outlet_methods,
};

static PyMethodDef hop_methods[] = {
    {"go", (PyCFunction)hop_go, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject HopType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_compiled.Hop",
    .tp_basicsize = sizeof(Hop),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)hop_traverse,
    .tp_doc = "Frames in, calls, frames out, compiled; see hops.py.",
    .tp_new = hop_new,
    .tp_dealloc = (destructor)hop_dealloc,
    .tp_methods = hop_methods,
};
