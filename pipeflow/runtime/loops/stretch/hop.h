/* The hop: frames in, calls, frames out, while all of it is plain.
 *
 * It does what CallLoop does with a row of calls that came over one pipe and whose results, if
 * anybody reads them, leave over one other: Inbox.take, CallLoop._call_tight, rows.call_into and
 * ProcessWaits.for_input in one. At the first thing that is more than that it comes back to them.
 */

static Py_ssize_t HAND, HAND_DEPTH, IN_ROW, ROW_BASE, ROW_FIRST, IN_EDGE, IN_WIDTH;
static Py_ssize_t RECEIVED, PROCESSED, EMPTY, DELIVERED;
static Py_ssize_t ROW_BEGUN;
static Py_ssize_t FRAMES_RECEIVED, CREDITS_RECEIVED, CONFIRMED;
static PyObject *LOAD_PLAIN;

static const struct constant of_board[] = {
    {"HAND", &HAND, NULL},
    {"HAND_DEPTH", &HAND_DEPTH, NULL},
    {"IN_ROW", &IN_ROW, NULL},
    {"ROW_BASE", &ROW_BASE, NULL},
    {"ROW_FIRST", &ROW_FIRST, NULL},
    {"ROW_BEGUN", &ROW_BEGUN, NULL},
    {"IN_EDGE", &IN_EDGE, NULL},
    {"IN_WIDTH", &IN_WIDTH, NULL},
    {"RECEIVED", &RECEIVED, NULL},
    {"PROCESSED", &PROCESSED, NULL},
    {"EMPTY", &EMPTY, NULL},
    {"DELIVERED", &DELIVERED, NULL},
    {"SENT", &SENT, NULL},
    {"COPIED_BYTES", &COPIED_BYTES, NULL},
    {NULL, NULL, NULL},
};
static const struct constant of_counters[] = {
    {"CREDITS", &WRITER_CREDITS, NULL},
    {"BYTES", &WRITER_BYTES, NULL},
    {"FRAMES", &WRITER_FRAMES, NULL},
    {"PEAK", &WRITER_PEAK, NULL},
    {"RECEIVED", &FRAMES_RECEIVED, NULL},
    {"RECEIVED_CREDITS", &CREDITS_RECEIVED, NULL},
    {"CONFIRMED", &CONFIRMED, NULL},
    {"TAKEN_CREDITS", &TAKEN_CREDITS, NULL},
    {"TAKEN_BYTES", &TAKEN_BYTES, NULL},
    {NULL, NULL, NULL},
};

typedef struct {
    PyObject_HEAD
    PyObject *held; /* all that follows, kept alive */
    PyObject *receiver, *due, *credits, *frontier, *ready, *owing, *block;
    Outlet *outlet; /* NULL: nobody reads the results */
    volatile uint64_t *unread; /* then: the cell that counts them */
    volatile uint64_t *counters;
    Py_ssize_t writer, reader, waiting; /* rows of the counters, and where the writer says it waits */
    volatile uint64_t *row, *edge;
    Py_ssize_t edge_number, lot;
    unsigned char head[HEAD_BYTES];
    struct looks looks;
    int may_look; /* nothing else has to be done before a wait */
} Hop;

/* A frame as it came, and how far its items are done with. */
struct row {
    struct prefix prefix;
    long long unit, first;
    PyObject *payloads;
    Py_ssize_t count, at;
    Py_ssize_t delivered; /* items that were called */
    Py_ssize_t owed;      /* of these, those that the writer was not told of */
};

/* -- the way in */

static inline uint64_t
get_u64(const unsigned char *from)
{
    uint64_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

static inline uint32_t
get_u32(const unsigned char *from)
{
    uint32_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

/* What a receiver reads from; -1: it is closed. */
static int
descriptor_of(PyObject *receiver)
{
    PyObject *found = PyObject_GetAttr(receiver, name__fd);
    int fd = found == NULL ? -1 : (int)PyLong_AsLong(found);
    Py_XDECREF(found);
    return fd;
}

/* Whether the counters know of a frame that was not received. */
static inline int
is_sent_more(const Hop *self)
{
    return self->counters[self->writer + WRITER_FRAMES] >
           self->counters[self->reader + FRAMES_RECEIVED];
}

/* What is known of a receiver's block. */
enum came { NOTHING, SOMETHING, ANOTHER };

/* Read what is there, all that was read before being done with. */
static int
read_block(const Hop *self, int fd, Py_ssize_t *count)
{
    Py_buffer *block = PyMemoryView_GET_BUFFER(self->block);
    *count = read(fd, block->buf, (size_t)block->len);
    if (*count < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? NOTHING : ANOTHER;
    }
    return SOMETHING; /* of 0 bytes too: Python finds that the writer is gone */
}

static int
note_block(Hop *self, Py_ssize_t count)
{
    if (set_number(self->receiver, name__start, 0) < 0 ||
        set_number(self->receiver, name__stop, count) < 0) {
        return -1;
    }
    return count ? SOMETHING : ANOTHER;
}

/* transports/plain.load_plain. */
static PyObject *
load_plain(const char *data, Py_ssize_t length)
{
    if (length && (unsigned char)data[0] != PICKLED) {
        return PyMarshal_ReadObjectFromString(data, length);
    }
    PyObject *pickled = PyMemoryView_FromMemory((char *)data, length, PyBUF_READ);
    PyObject *payloads = pickled == NULL ? NULL : PyObject_CallOneArg(LOAD_PLAIN, pickled);
    Py_XDECREF(pickled);
    return payloads;
}

/* The frame at the start of the block, if it is plain and all there: PipeReceiver.receive_plain. */
static int
take_frame(Hop *self, long long start, long long stop, struct row *row)
{
    const unsigned char *block = PyMemoryView_GET_BUFFER(self->block)->buf;
    const unsigned char *header = block + start, *meta = header + HEADER_BYTES;
    if (start + HEADER_BYTES + META_BYTES > stop || memcmp(header, self->head, HEAD_BYTES) != 0) {
        return ANOTHER;
    }
    uint64_t told = get_u32(header + 32), length = get_u64(header + 40);
    uint64_t body = get_u64(header + 48), cost = get_u64(header + 56), left = stop - start;
    long long due = number_at(self->due, 0), before = number_at(self->credits, 0);
    long long frontier = number_at(self->frontier, 0);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (get_u64(header + 16) != (uint64_t)due || get_u32(header + 28) != 0 ||
        length >= (uint64_t)JOINED_BELOW || told + length != body ||
        HEADER_BYTES + body > left || meta[0] != PLAIN_FORM || meta[1] > DEPTH_MOST ||
        told != (uint64_t)(META_BYTES + 8 * meta[1]) || get_u32(header + 24) != cost || cost == 0) {
        return ANOTHER;
    }
    row->prefix.depth = meta[1];
    memcpy(row->prefix.parts, meta + META_BYTES, 8 * (size_t)meta[1]);
    row->unit = (long long)get_u64(meta + 2);
    row->first = (long long)get_u64(meta + 10);
    row->count = (Py_ssize_t)cost;
    row->at = row->delivered = row->owed = 0;
    long long end = row->unit + row->count;
    if (set_number_at(self->due, 0, due + 1) < 0 ||
        set_number_at(self->credits, 0, before + (long long)cost) < 0 ||
        (end > frontier && set_number_at(self->frontier, 0, end) < 0) ||
        set_number(self->receiver, name__start, start + HEADER_BYTES + (long long)body) < 0 ||
        PyObject_SetAttr(self->receiver, name__gave, Py_True) < 0) {
        return -1;
    }
    volatile uint64_t *reader = self->counters + self->reader;
    reader[FRAMES_RECEIVED] += 1;
    reader[CREDITS_RECEIVED] += cost;
    reader[CONFIRMED] += 1;
    row->payloads = load_plain((const char *)meta + told, (Py_ssize_t)length);
    if (row->payloads == NULL) {
        return -1;
    }
    if (!PyList_CheckExact(row->payloads) || PyList_GET_SIZE(row->payloads) != row->count) {
        PyErr_SetString(PyExc_TypeError, "a frame has another number of items than it says");
        Py_CLEAR(row->payloads);
        return -1;
    }
    return SOMETHING;
}

/* Take the next frame. */
static int
receive(Hop *self, struct row *row)
{
    long long start = number_of(self->receiver, name__start);
    long long stop = number_of(self->receiver, name__stop);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (start == stop) {
        int small = is_attribute(self->receiver, name__large, Py_None);
        int ended = small > 0 ? is_true(self->receiver, name__ended) : 0;
        if (small <= 0 || ended) {
            return small < 0 || ended < 0 ? -1 : ANOTHER;
        }
        if (!is_sent_more(self)) {
            int gave = is_true(self->receiver, name__gave);
            if (gave <= 0) {
                return gave < 0 ? -1 : ANOTHER; /* the kernel is asked, as in Python */
            }
            return PyObject_SetAttr(self->receiver, name__gave, Py_False) < 0 ? -1 : NOTHING;
        }
        Py_ssize_t count = 0;
        int fd = descriptor_of(self->receiver);
        int came = fd < 0 ? ANOTHER : read_block(self, fd, &count);
        if (came == SOMETHING) {
            came = note_block(self, count);
        }
        if (came != SOMETHING) {
            return came;
        }
        start = 0;
        stop = count;
    }
    return take_frame(self, start, stop, row);
}

/* Give credit back for what was called: Inbox._pay_some and PipeReceiver.took. */
static int
pay(Hop *self, struct row *row, Py_ssize_t count)
{
    row->owed += count;
    if (row->delivered != row->count && row->owed < self->lot) {
        return 0;
    }
    self->counters[self->reader + TAKEN_CREDITS] += (uint64_t)row->owed;
    row->owed = 0;
    return self->counters[self->waiting] ? tell(self->receiver, name_ring) : 0;
}

/* -- waits */

/* Look out for the next frame, which is counted first and written then. */
static int
look_out(Hop *self)
{
    struct look look;
    int fd = descriptor_of(self->receiver);
    if (PyErr_Occurred() || begin_look(&self->looks, &look) < 0) {
        return -1;
    }
    NOTE_HAND(self->looks.row[HAND_DEPTH] = 0);
    int came = NOTHING;
    Py_ssize_t count = 0;
    if (fd >= 0 && look.left_ns) {
        Py_BEGIN_ALLOW_THREADS
        do {
            came = is_sent_more(self) ? read_block(self, fd, &count) : NOTHING;
        } while (came == NOTHING && goes_on(&look));
        Py_END_ALLOW_THREADS
    }
    if (end_look(&self->looks, &look, WAIT_IN_NS, came != NOTHING) < 0) {
        return -1;
    }
    return came == SOMETHING ? note_block(self, count) : came;
}

/* Do what is due before a wait, and look out. */
static int
idle(Hop *self)
{
    if (self->outlet != NULL && outlet_flush(self->outlet) < 0) {
        return -1;
    }
    if (self->counters[self->waiting] && tell(self->receiver, name_rouse) < 0) {
        return -1;
    }
    if (!self->may_look || PyObject_Size(self->owing) != 0) {
        return NOTHING;
    }
    return look_out(self);
}

/* -- calls */

/* board.begin_row. */
static void
begin_row(Hop *self, const struct row *at, struct marks *marks)
{
    volatile uint64_t *row = self->row;
    const struct prefix *prefix = &at->prefix;
    for (int place = 0; place < prefix->depth; place++) {
        NOTE_HAND(row[HAND + place] = prefix->parts[place]);
    }
    Py_ssize_t last = HAND + prefix->depth;
    NOTE_HAND(row[last] = (uint64_t)(at->first + at->at));
    NOTE_HAND(row[HAND_DEPTH] = (uint64_t)prefix->depth + 1);
    COUNT(row[ROW_BASE] = row[RECEIVED]);
    COUNT(row[ROW_FIRST] = (uint64_t)(at->first + at->at + 1));
    COUNT(row[IN_ROW] = (uint64_t)(IN_EDGE * (self->edge_number + 1) + IN_WIDTH + last));
    *marks = (struct marks){row, last, ROW_BEGUN, at->at, NULL, at->first};
}

/* A span of calls whose results nobody reads. */
static void
call_span_only(Hop *self, PyObject *function, struct row *row, Py_ssize_t stop, Py_ssize_t *empty,
               struct ending *ending)
{
    struct marks marks;
    Py_ssize_t unread = 0;
    begin_row(self, row, &marks);
    row->at = call_only_stretch(function, row->payloads, row->at, stop, &marks, 0, 1, empty, &unread,
                                ending);
    COUNT(*self->unread += (uint64_t)unread);
}

/* The place of the last call that was begun, which an error of ours is about. */
static inline Py_ssize_t
last_begun(const struct row *row, const struct marks *marks)
{
    return (Py_ssize_t)((long long)marks->words[marks->last] - row->first);
}

/* Calls up to the next look at the reader; 0: it came to an end before. */
static int
call_together(Hop *self, PyObject *function, struct row *row, Py_ssize_t end,
              const struct marks *marks, struct onto *onto, Py_ssize_t *empty,
              struct ending *ending)
{
    PyObject *express = self->outlet->express;
    while (row->at < end) {
        row->at = call_stretch(function, row->payloads, row->at, end, marks, onto, 1, 0, 1, empty,
                               ending);
        if (ending->why == UNSEEN) {
            if (tell(express, name_wake_up) < 0) {
                return 0;
            }
        }
        else if (ending->why == OTHER && ending->value == Py_None) {
            Py_CLEAR(ending->value);
            ++*empty;
            row->at++;
            Py_XDECREF(onto->listed); /* from now on there is a gap among those that wait */
            onto->listed = PyObject_CallMethodNoArgs(express, name_list_ordinals);
            if (onto->listed == NULL) {
                return 0;
            }
        }
        else if (ending->why != WHOLE) {
            return 0;
        }
    }
    return 1;
}

/* A span of calls: rows.call_into. What it raises has ended it, as if the function had. */
static void
call_span_into(Hop *self, PyObject *function, struct row *row, Py_ssize_t stop, Py_ssize_t *empty,
               struct ending *ending)
{
    Outlet *outlet = self->outlet;
    struct marks marks;
    begin_row(self, row, &marks);
    struct onto onto = {outlet->waiting, listed_of(outlet), NULL};
    int goes_on = !PyErr_Occurred();
    while (goes_on && row->at < stop) {
        Py_ssize_t start = row->at, together = outlet_hold(outlet, now_s());
        Py_ssize_t end = together < stop - start ? start + together : stop;
        onto.woken = end == start + 1 ? NULL : outlet->woken;
        goes_on = together > 0 &&
                  call_together(self, function, row, end, &marks, &onto, empty, ending) &&
                  outlet_send_if_idle(outlet, end - start,
                                      end == row->count && !is_sent_more(self)) == 0;
    }
    Py_XDECREF(onto.listed);
    if (PyErr_Occurred()) {
        row->at = last_begun(row, &marks);
        end_by_error(ending);
    }
    else if (goes_on) {
        ending->why = WHOLE;
    }
}

/* Calls of a row from its place on: CallLoop._call_tight; -1 with an exception set. */
static int
call_row(Hop *self, PyObject *function, struct row *row, struct ending *ending)
{
    Outlet *outlet = self->outlet;
    *ending = (struct ending){WHOLE, NULL, 0};
    while (row->at < row->count) {
        Py_ssize_t start = row->at, most = row->count - start, empty = 0;
        if (outlet != NULL) {
            Py_ssize_t room = room_soon(outlet, &row->prefix, row->first + start);
            if (room <= 0) {
                return room < 0 ? -1 : FULL;
            }
            most = room < most ? room : most;
        }
        most = most < self->lot ? most : self->lot;
        int single = most == 1;
        if (single) { /* what is in hand does not count against the edge */
            row->delivered++;
            if (pay(self, row, 1) < 0) {
                return -1;
            }
        }
        if (outlet == NULL) {
            call_span_only(self, function, row, start + most, &empty, ending);
        }
        else {
            call_span_into(self, function, row, start + most, &empty, ending);
        }
        int halted = ending->why != WHOLE;
        Py_ssize_t called = row->at - start;
        COUNT(self->row[PROCESSED] += (uint64_t)called);
        COUNT(self->row[EMPTY] += (uint64_t)empty);
        called += halted; /* with the one that is still to be answered for */
        COUNT(self->row[RECEIVED] += (uint64_t)called);
        COUNT(self->edge[DELIVERED] += (uint64_t)called);
        COUNT(self->row[IN_ROW] = 0);
        if (!single) {
            row->delivered += called;
            if (pay(self, row, called) < 0) {
                Py_CLEAR(ending->value);
                return -1;
            }
        }
        if (halted) {
            return ending->why;
        }
    }
    return WHOLE;
}

/* What is left of a row, for those who go on with it. */
static PyObject *
rest_of(const struct row *row, int why, const struct ending *ending)
{
    PyObject *prefix = tuple_of(&row->prefix);
    if (prefix == NULL) {
        Py_XDECREF(ending->value);
        return NULL;
    }
    return Py_BuildValue("iNLOLnnnN", why, prefix, row->first, row->payloads, row->unit, row->at,
                         row->delivered, row->owed, value_or_none(ending));
}

/* Hop.go: see hops.py. */
static PyObject *
hop_go(Hop *self, PyObject *function)
{
    Py_ssize_t done = 0;
    while (done < TURN_ITEMS) {
        struct row row = {.payloads = NULL};
        int came = PyObject_Size(self->ready) ? ANOTHER : receive(self, &row);
        if (came == NOTHING) {
            came = idle(self);
            if (came == NOTHING) {
                return Py_BuildValue("(i)", IDLE);
            }
            if (came == SOMETHING) {
                continue;
            }
        }
        if (came == ANOTHER) {
            return Py_BuildValue("(i)", LONGER);
        }
        if (came < 0) {
            return NULL;
        }
        struct ending ending;
        int why = call_row(self, function, &row, &ending);
        PyObject *left = why == WHOLE || why < 0 ? NULL : rest_of(&row, why, &ending);
        Py_DECREF(row.payloads);
        if (why != WHOLE) {
            return left;
        }
        done += row.count;
    }
    return Py_BuildValue("(i)", ON);
}
