/* The way in: Inbox.take, PipeReceiver.receive_plain and receive_shared, and credit. */

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
    unsigned char head[HEAD_BYTES], items_head[HEAD_BYTES]; /* of plain items, and of others */
    PyObject *show; /* Decoder.shared, or None */
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
    unsigned long long nbytes; /* in shared memory, that were not given back */
};

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

/* The payload of a frame of one item in shared memory: a list, or None: it is more than an array. */
static PyObject *
shown(Hop *self, const unsigned char *reference, uint64_t length, unsigned long long *nbytes)
{
    int32_t pool = (int32_t)get_u32(reference);
    if (self->show == Py_None || pool < 0) {
        return Py_NewRef(Py_None);
    }
    *nbytes = get_u64(reference + 16);
    PyObject *pickled = PyBytes_FromStringAndSize((const char *)reference + REFERENCE_BYTES,
                                                  (Py_ssize_t)length);
    PyObject *place = Py_BuildValue("(iIKK)", pool, get_u32(reference + 4),
                                    (unsigned long long)get_u64(reference + 8), *nbytes);
    PyObject *given[] = {pickled, place}, *payloads = NULL;
    if (pickled != NULL && place != NULL) {
        payloads = PyObject_Vectorcall(self->show, given, 2, NULL);
    }
    Py_XDECREF(pickled);
    Py_XDECREF(place);
    return payloads;
}

/* The frame at the start of the block, if it is all there and plain, or an array alone. */
static int
take_frame(Hop *self, long long start, long long stop, struct row *row)
{
    const unsigned char *block = PyMemoryView_GET_BUFFER(self->block)->buf;
    const unsigned char *header = block + start, *meta = header + HEADER_BYTES;
    if (start + HEADER_BYTES + META_BYTES > stop) {
        return ANOTHER;
    }
    int plain = memcmp(header, self->head, HEAD_BYTES) == 0;
    if (!plain && memcmp(header, self->items_head, HEAD_BYTES) != 0) {
        return ANOTHER;
    }
    uint64_t told = get_u32(header + 32), length = get_u64(header + 40);
    uint64_t body = get_u64(header + 48), cost = get_u64(header + 56), left = stop - start;
    uint64_t beside = plain ? 0 : REFERENCE_BYTES;
    long long due = number_at(self->due, 0), before = number_at(self->credits, 0);
    long long frontier = number_at(self->frontier, 0);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (get_u64(header + 16) != (uint64_t)due || get_u32(header + 28) != (plain ? 0 : 1) ||
        length >= (uint64_t)JOINED_BELOW || told + beside + length != body ||
        HEADER_BYTES + body > left || meta[0] != PLAIN_FORM || meta[1] > DEPTH_MOST ||
        told != (uint64_t)(META_BYTES + 8 * meta[1]) || get_u32(header + 24) != cost || cost == 0 ||
        (!plain && cost != 1)) {
        return ANOTHER;
    }
    row->nbytes = 0;
    if (!plain) { /* before it is counted: Python may have to see to it */
        row->payloads = shown(self, meta + told, length, &row->nbytes);
        if (row->payloads == NULL || row->payloads == Py_None) {
            int failed = row->payloads == NULL;
            Py_CLEAR(row->payloads);
            return failed ? -1 : ANOTHER;
        }
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
        Py_CLEAR(row->payloads);
        return -1;
    }
    volatile uint64_t *reader = self->counters + self->reader;
    reader[FRAMES_RECEIVED] += 1;
    reader[CREDITS_RECEIVED] += cost;
    reader[CONFIRMED] += 1;
    if (plain) {
        row->payloads = load_plain((const char *)meta + told, (Py_ssize_t)length);
    }
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
    /* Bytes first: a writer that sees the credit sees them too. */
    self->counters[self->reader + TAKEN_BYTES] += row->nbytes;
    self->counters[self->reader + TAKEN_CREDITS] += (uint64_t)row->owed;
    row->nbytes = 0;
    row->owed = 0;
    return self->counters[self->waiting] ? tell(self->receiver, name_ring) : 0;
}
