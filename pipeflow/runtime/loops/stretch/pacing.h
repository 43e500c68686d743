/* When what waits is sent: Express.hold and send_if_idle, and the wait for room. */

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
    Py_ssize_t waiting = waiting_of(self);
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

/* pacing.worth_a_frame. */
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
    if (waiting_of(self) == 0 || PyByteArray_AS_STRING(self->woken)[0]) {
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
    Py_ssize_t waiting = waiting_of(self);
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

/* Results that count on, and that may be appended if there is room. */
struct span {
    struct prefix prefix;
    long long ordinal; /* of the first */
    long long unit;    /* of the first, where units are kept */
    Py_ssize_t most;
};

/* How many of them may be appended now; -1 with an exception set. */
static Py_ssize_t
room_now(Outlet *self, const struct span *span)
{
    if (keeps_units(self)) {
        return begin_span(self, &span->prefix, span->ordinal, span->unit, span->most);
    }
    Py_ssize_t room = outlet_room(self, &span->prefix, span->ordinal);
    return room < span->most ? room : span->most;
}

/* The same, after a look-out where there is no room. */
static Py_ssize_t
room_soon(Outlet *self, const struct span *span)
{
    int whole = is_attribute(self->run, name_pile, Py_None);
    Py_ssize_t room = whole > 0 ? room_now(self, span) : whole;
    if (whole > 0 && room == 0) {
        room = await_room(self);
        if (room > 0) {
            room = room_now(self, span);
        }
    }
    return room > 0 && outlet_wake(self) < 0 ? -1 : room;
}
