/* The way out: what Express, Run, Target and PipeSender do with plain items for one reader.
 *
 * Each function here has its method there, which says what it does, and does what is left to it:
 * whatever is more than plain. Nothing here lets go of the interpreter's lock, so what the outbox's
 * lock is for holds while nobody has that.
 */

/* Frames with pickles of so many bytes are left to the sender; as in transports/pipe.py. */
static Py_ssize_t JOINED_BELOW;
static Py_ssize_t PLAIN_FORM, PICKLED, LOOKS, GROWTH;
static double FAST_S, GAP_S, LATE_S;
static Py_ssize_t SENT, COPIED_BYTES;
static Py_ssize_t WRITER_CREDITS, WRITER_BYTES, WRITER_FRAMES, WRITER_PEAK;
static Py_ssize_t TAKEN_CREDITS, TAKEN_BYTES;
static PyObject *DUMP_PLAIN;

static const struct constant of_express[] = {
    {"FAST_S", NULL, &FAST_S},  {"GAP_S", NULL, &GAP_S},   {"LATE_S", NULL, &LATE_S},
    {"GROWTH", &GROWTH, NULL},  {"LOOKS", &LOOKS, NULL},   {NULL, NULL, NULL},
};
static const struct constant of_pipe[] = {
    {"JOINED_BELOW", &JOINED_BELOW, NULL},
    {NULL, NULL, NULL},
};
static const struct constant of_runs[] = {
    {"PLAIN_FORM", &PLAIN_FORM, NULL},
    {NULL, NULL, NULL},
};
static const struct constant of_plain[] = {
    {"PICKLED", &PICKLED, NULL},
    {NULL, NULL, NULL},
};

/* The form of a frame's header and of its meta; see transports/frames.py and flow/runs.py. */
enum { HEAD_BYTES = 16, HEADER_BYTES = 64, META_BYTES = 18, DEPTH_MOST = 7 };

/* Parts of an id before its last: at most DEPTH_MOST. */
struct prefix {
    int depth;
    uint64_t parts[DEPTH_MOST];
};

typedef struct {
    PyObject_HEAD
    /* clang-format off */
    PyObject *held; /* all that follows, kept alive */
    PyObject *express, *run, *waiting, *woken, *lock, *births;
    PyObject *target, *channels, *lost_rows;
    PyObject *sender, *account, *kept, *finish;
    /* clang-format on */
    volatile uint64_t *counters;
    Py_ssize_t writer, reader; /* where their rows begin */
    volatile uint64_t *edge;
    volatile uint64_t *emitted;
    unsigned char head[HEAD_BYTES];
    Py_ssize_t capacity, batch_items;
    double began;
    struct looks looks;
} Outlet;

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

static int
same_prefix(const struct prefix *one, const struct prefix *other)
{
    return one->depth == other->depth &&
           memcmp(one->parts, other->parts, (size_t)one->depth * sizeof one->parts[0]) == 0;
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

/* -- frames */

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
    if (PyErr_Occurred()) {
        return -1;
    }
    unsigned char meta[META_BYTES + 8 * DEPTH_MOST];
    Py_ssize_t told = META_BYTES + 8 * prefix->depth;
    meta[0] = (unsigned char)PLAIN_FORM;
    meta[1] = (unsigned char)prefix->depth;
    put_u64(meta + 2, (uint64_t)first);
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
    PyObject *pickled = PyMarshal_WriteObjectToString(self->waiting, Py_MARSHAL_VERSION);
    if (pickled == NULL) { /* something is too long for it */
        PyErr_Clear();
        pickled = PyObject_CallOneArg(DUMP_PLAIN, self->waiting);
    }
    if (pickled == NULL) {
        return -1;
    }
    int failed = cut_and_send(self, &prefix, pickled);
    Py_DECREF(pickled);
    return failed < 0 ? -1 : 1;
}

/* Send all that waits. */
static int
outlet_flush(Outlet *self)
{
    if (PyList_GET_SIZE(self->waiting) == 0) {
        return 0;
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

/* -- between two looks at the reader */

/* Express.hold: how many items to append before the reader is looked at; -1 with an exception. */
static Py_ssize_t
outlet_hold(Outlet *self, double now)
{
    long long least = number_of(self->express, name_least);
    if (least == -1 && PyErr_Occurred()) {
        return -1;
    }
    self->began = now;
    Py_ssize_t waiting = PyList_GET_SIZE(self->waiting);
    if (waiting == 0) {
        PyObject *born = PyIter_Next(self->births);
        int failed = born == NULL || PyObject_SetAttr(self->express, name_born, born) < 0 ||
                     set_seconds(self->express, name__waits_since, now) < 0;
        Py_XDECREF(born);
        if (failed) {
            return -1;
        }
    }
    if (least > waiting) {
        return (Py_ssize_t)least - waiting;
    }
    Py_ssize_t most = (Py_ssize_t)least / LOOKS;
    return most > 1 ? most : 1;
}

/* express.worth_a_frame. */
static long long
worth_a_frame(Py_ssize_t items, double elapsed_s, long long before, long long most)
{
    if (elapsed_s >= FAST_S * (double)items) {
        return 1;
    }
    double known = GAP_S * (double)items / (elapsed_s > 1e-9 ? elapsed_s : 1e-9);
    long long worth = known < (double)most ? (long long)known : most;
    worth = worth < GROWTH * before ? worth : GROWTH * before;
    return worth > 1 ? worth : 1;
}

/* Let the second thread know that something waits, if it does not. */
static int
outlet_wake(Outlet *self)
{
    if (PyList_GET_SIZE(self->waiting) == 0 || PyByteArray_AS_STRING(self->woken)[0]) {
        return 0;
    }
    return tell(self->express, name_wake_up);
}

/* Express.send_if_idle; rest: so far no more has come. */
static int
outlet_send_if_idle(Outlet *self, Py_ssize_t count, int rest)
{
    double now = now_s();
    long long before = number_of(self->express, name_least), enough = before;
    if (before == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (!rest || before > 1) {
        long long most = rest ? before : self->batch_items / 2;
        long long least = worth_a_frame(count, now - self->began, before, most);
        if (least != before && set_number(self->express, name_least, least) < 0) {
            return -1;
        }
        enough = least < before ? least : before;
    }
    enough = rest ? 1 : enough;
    Py_ssize_t waiting = PyList_GET_SIZE(self->waiting);
    if (waiting == 0) {
        return 0;
    }
    if (waiting >= enough) {
        int due = waiting >= self->batch_items || is_awaited(self);
        if (!due) {
            double since = seconds_of(self->express, name__waits_since);
            if (since == -1 && PyErr_Occurred()) {
                return -1;
            }
            due = now - since >= LATE_S;
        }
        if (due) {
            return outlet_flush(self);
        }
    }
    return outlet_wake(self);
}

/* -- waits */

/* Look out for room, after all that waits has left; whether there is some. */
static int
await_room(Outlet *self)
{
    struct look look;
    if (self->looks.shown == Py_None) {
        return 0;
    }
    if (outlet_flush(self) < 0 || begin_look(&self->looks, &look) < 0) {
        return -1;
    }
    const volatile uint64_t *sent = self->counters + self->writer + WRITER_CREDITS;
    const volatile uint64_t *taken = self->counters + self->reader + TAKEN_CREDITS;
    int room = 0;
    if (look.left_ns) {
        Py_BEGIN_ALLOW_THREADS
        do {
            room = (int64_t)(*sent - *taken) < self->capacity;
        } while (!room && goes_on(&look));
        Py_END_ALLOW_THREADS
    }
    return end_look(&self->looks, &look, WAIT_OUT_NS, room) < 0 ? -1 : room;
}

/* How many items may be appended, after a look-out where it is none; -1 with an exception set. */
static Py_ssize_t
room_soon(Outlet *self, const struct prefix *prefix, long long ordinal)
{
    int whole = is_attribute(self->run, name_pile, Py_None);
    Py_ssize_t room = whole > 0 ? outlet_room(self, prefix, ordinal) : whole;
    if (whole > 0 && room == 0) {
        room = await_room(self);
        if (room > 0) {
            room = outlet_room(self, prefix, ordinal);
        }
    }
    return room > 0 && outlet_wake(self) < 0 ? -1 : room;
}

/* -- an iterator */

/* Why gathering or a hop is over, beside what ends a stretch. */
enum over { IDLE = 10, LONGER, ON, FULL };

/* So many items in a row without a turn for whoever called. */
enum { TURN_ITEMS = 4096 };

/* Whether to go further, after what may have taken a while: WHOLE or STOPPING; -1 with an exception
 * set. */
static int
after_all(PyObject *stopping)
{
    int stop = first_cell(stopping);
    return stop < 0 ? -1 : stop ? STOPPING : WHOLE;
}

/* Take what has room now: rows.append_from; FULL: it is left to that. */
static int
gather_row(Outlet *self, PyObject *items, const struct prefix *prefix, long long *ordinal,
           PyObject *stopping, char *asking, struct ending *ending)
{
    Py_ssize_t left = room_soon(self, prefix, *ordinal);
    if (left <= 0) {
        return left < 0 ? -1 : FULL;
    }
    struct onto onto = {self->waiting, listed_of(self), NULL};
    int why = PyErr_Occurred() ? -1 : WHOLE;
    while (why == WHOLE && left > 0) {
        Py_ssize_t hold = outlet_hold(self, now_s()), together = hold < left ? hold : left;
        Py_ssize_t more = together;
        onto.woken = together == 1 ? NULL : self->woken;
        why = hold < 0 ? -1 : WHOLE;
        while (why == WHOLE && more > 0) {
            Py_ssize_t taken = take_stretch(items, more, &onto, *ordinal, 1, stopping, asking,
                                            ending);
            *ordinal += taken;
            more -= taken;
            left -= taken;
            why = ending->why;
            if (why == UNSEEN) {
                why = tell(self->express, name_wake_up) < 0 ? -1 : after_all(stopping);
            }
        }
        if (why == WHOLE || why == STOPPING) {
            why = outlet_send_if_idle(self, together, 0) < 0 ? -1 : after_all(stopping);
        }
    }
    Py_XDECREF(onto.listed);
    return why;
}

/* Outlet.gather: see hops.py. */
static PyObject *
outlet_gather(Outlet *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (expect("gather", nargs, 5) < 0) {
        return NULL;
    }
    struct prefix prefix = {1, {PyLong_AsUnsignedLongLong(args[1])}};
    long long first = PyLong_AsLongLong(args[2]), ordinal = first;
    char *asking = PyErr_Occurred() ? NULL : asking_of(args[4]);
    if (asking == NULL || expect_iterator(args[0]) < 0) {
        return NULL;
    }
    int why = WHOLE;
    struct ending ending = {WHOLE, NULL, 0};
    while (why == WHOLE && ordinal - first < TURN_ITEMS) {
        why = gather_row(self, args[0], &prefix, &ordinal, args[3], asking, &ending);
    }
    if (why < 0) {
        why = RAISED;
        end_by_error(&ending);
    }
    return Py_BuildValue("LiNO", ordinal - first, why, value_or_none(&ending),
                         own_result(&ending));
}
