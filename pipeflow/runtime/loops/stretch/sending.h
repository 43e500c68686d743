/* What waits becomes a frame: Express.flush, Target.send_plain and PipeSender.send_plain. */

/* What could not be written at once, or all of it if it is no short frame, is left to Python, which
 * may wait, with the outbox's lock. */
static int
finish(Outlet *self, PyObject *meta, PyObject *rest, Py_ssize_t count, Py_ssize_t pickled)
{
    PyObject *done = NULL;
    if (meta != NULL && rest != NULL) {
        PyObject *given[] = {meta, rest, PyLong_FromSsize_t(count), PyLong_FromSsize_t(pickled)};
        if (given[2] != NULL && given[3] != NULL) {
            done = PyObject_Vectorcall(self->finish, given, 4, NULL);
        }
        Py_XDECREF(given[2]);
        Py_XDECREF(given[3]);
    }
    Py_XDECREF(meta);
    Py_XDECREF(rest);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* PipeSender.send_plain; what it has counted is the frame's number. */
static int
write_frame(Outlet *self, const unsigned char *meta, Py_ssize_t told, PyObject *pickled,
            Py_ssize_t count)
{
    volatile uint64_t *writer = self->counters + self->writer;
    Py_ssize_t length = PyBytes_GET_SIZE(pickled), size = HEADER_BYTES + told + length;
    long long fd = number_of(self->sender, name__fd), peak = number_of(self->account, name__peak);
    if (PyErr_Occurred()) {
        return -1;
    }
    uint64_t seq = writer[WRITER_FRAMES];
    writer[WRITER_FRAMES] = seq + 1;
    uint64_t sent = writer[WRITER_CREDITS] + (uint64_t)count;
    writer[WRITER_CREDITS] = sent;
    long long in_flight = (long long)(sent - self->counters[self->reader + TAKEN_CREDITS]);
    if (in_flight > peak) {
        if (set_number(self->account, name__peak, in_flight) < 0) {
            return -1;
        }
        COUNT(writer[WRITER_PEAK] = (uint64_t)in_flight);
    }
    unsigned char header[HEADER_BYTES] = {0};
    memcpy(header, self->head, HEAD_BYTES);
    put_u64(header + 16, seq);
    put_u32(header + 24, (uint32_t)count);
    put_u32(header + 32, (uint32_t)told);
    put_u64(header + 40, (uint64_t)length);
    put_u64(header + 48, (uint64_t)(told + length));
    put_u64(header + 56, (uint64_t)count);
    struct iovec parts[] = {
        {header, HEADER_BYTES},
        {(void *)meta, (size_t)told},
        {PyBytes_AS_STRING(pickled), (size_t)length},
    };
    Py_ssize_t written = writev((int)fd, parts, 3);
    if (written == size) {
        COUNT(self->edge[COPIED_BYTES] += (uint64_t)length);
        return 0;
    }
    PyObject *frame = PyBytes_FromStringAndSize(NULL, size);
    if (frame == NULL) {
        return -1;
    }
    char *to = PyBytes_AS_STRING(frame);
    memcpy(to, header, HEADER_BYTES);
    memcpy(to + HEADER_BYTES, meta, (size_t)told);
    memcpy(to + HEADER_BYTES + told, PyBytes_AS_STRING(pickled), (size_t)length);
    if (written > 0) {
        PyObject *rest = PyBytes_FromStringAndSize(to + written, size - written);
        Py_DECREF(frame);
        frame = rest;
    }
    return finish(self, Py_NewRef(Py_None), frame, count, length);
}

/* Express.flush of what waits, which is plain and counts on; pickled: its pickle. */
static int
cut_and_send(Outlet *self, const struct prefix *prefix, PyObject *pickled)
{
    Py_ssize_t count = PyList_GET_SIZE(self->waiting);
    long long first = number_of(self->run, name_first), next = number_of(self->run, name__next);
    long long unit = keeps_units(self) ? cut_units(self, count) : first;
    if (PyErr_Occurred()) {
        return -1;
    }
    unsigned char meta[META_BYTES + 8 * DEPTH_MOST];
    Py_ssize_t told = META_BYTES + 8 * prefix->depth;
    meta[0] = (unsigned char)PLAIN_FORM;
    meta[1] = (unsigned char)prefix->depth;
    put_u64(meta + 2, (uint64_t)unit);
    put_u64(meta + 10, (uint64_t)next);
    memcpy(meta + META_BYTES, prefix->parts, 8 * (size_t)prefix->depth);
    if (set_number(self->run, name__next, next + count) < 0 ||
        set_number(self->run, name_first, first + count) < 0 ||
        set_number(self->target, name_cost, 0) < 0 ||
        add_number(self->express, name_frames, 1) < 0 ||
        PyList_SetSlice(self->waiting, 0, count, NULL) < 0) {
        return -1;
    }
    /* Counted before the bytes leave, so that no reader can outrun it. */
    COUNT(*self->emitted += (uint64_t)count);
    COUNT(self->edge[SENT] += (uint64_t)count);
    if (PyBytes_GET_SIZE(pickled) < JOINED_BELOW) {
        return write_frame(self, meta, told, pickled, count);
    }
    PyObject *said = PyBytes_FromStringAndSize((char *)meta, told);
    return finish(self, said, Py_NewRef(pickled), count, PyBytes_GET_SIZE(pickled));
}

/* Whether what waits may leave as a plain frame; -1 with an exception set. */
static int
is_plain(Outlet *self, struct prefix *prefix)
{
    if (PyObject_Size(self->kept) != 0 || PyList_GET_SIZE(self->channels) != 1 ||
        PyList_GET_SIZE(self->lost_rows) != 0) {
        return 0;
    }
    int whole = is_attribute(self->run, name_pile, Py_None);
    if (whole > 0) {
        whole = is_attribute(self->run, name_plain, Py_True);
    }
    if (whole > 0) {
        whole = is_attribute(self->run, name__listed, Py_None);
    }
    if (whole > 0) {
        whole = is_attribute(self->express, name_refused, Py_None);
    }
    if (whole > 0 && keeps_units(self)) {
        whole = units_count_on(self);
    }
    long long unit = 0, first;
    if (whole > 0) {
        whole = read_prefix(self, prefix, &unit);
    }
    if (whole <= 0) {
        return whole;
    }
    first = number_of(self->run, name_first);
    return first == -1 && PyErr_Occurred() ? -1 : unit <= first;
}

/* Send what waits if it is plain, with the outbox's lock; 0: it is not. */
static int
send_plain(Outlet *self)
{
    struct prefix prefix;
    int plain = is_plain(self, &prefix);
    if (plain <= 0) {
        return plain;
    }
    PyObject *pickled = bytes_of(self->waiting);
    if (pickled == NULL) {
        return -1;
    }
    int failed = cut_and_send(self, &prefix, pickled);
    Py_DECREF(pickled);
    if (!failed && keeps_units(self)) { /* Keeping.flush: both ways look again */
        failed = set_number(self->target, name_credit, 0) < 0 ||
                 set_number(self->express, name__until, 0) < 0;
    }
    return failed ? -1 : 1;
}

/* Send all that waits. */
static int
outlet_flush(Outlet *self)
{
    int waits = outlet_waits(self);
    if (waits <= 0) {
        return waits;
    }
    int locked = try_lock(self);
    if (locked < 0) {
        return -1;
    }
    int sent = 0;
    if (locked) {
        sent = send_plain(self);
        if (unlock(self) < 0) {
            return -1;
        }
    }
    return sent == 0 ? tell(self->express, name_flush_now) : sent < 0 ? -1 : 0;
}

/* Express.is_awaited. */
static inline int
is_awaited(const Outlet *self)
{
    const volatile uint64_t *counters = self->counters;
    return counters[self->reader + TAKEN_CREDITS] >= counters[self->writer + WRITER_CREDITS];
}
