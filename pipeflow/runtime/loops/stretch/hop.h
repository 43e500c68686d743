/* The hop: frames in, calls, frames out, while all of it is plain, or large arrays one by one.
 *
 * It does what CallLoop does with a row of calls that came over one pipe and whose results, if
 * anybody reads them, leave over one other: Inbox.take, CallLoop._call_tight, rows.call_into and
 * ProcessWaits.for_input in one. At the first thing that is more than that it comes back to them.
 */

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
    int keeps = keeps_units(self->outlet);
    while (row->at < end) {
        row->at = call_stretch(function, row->payloads, row->at, end, marks, onto, !keeps, 0, 1,
                               empty, ending);
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
            onto->listed =
                PyObject_CallMethodNoArgs(express, keeps ? name_leave_gap : name_list_ordinals);
            if (onto->listed == NULL) {
                return 0;
            }
        }
        else if (ending->why == OTHER) {
            int sent = pass_alone(self->outlet, ending->value, row->first + row->at, &onto->listed);
            if (sent <= 0) {
                return 0;
            }
            Py_CLEAR(ending->value);
            row->at++;
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
        most = most < self->lot ? most : self->lot;
        if (outlet != NULL) {
            struct span span = {row->prefix, row->first + start, row->unit + start, most};
            most = room_soon(outlet, &span);
            if (most <= 0) {
                return most < 0 ? -1 : FULL;
            }
        }
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
    return Py_BuildValue("iNLOLnnnKN", why, prefix, row->first, row->payloads, row->unit, row->at,
                         row->delivered, row->owed, row->nbytes, value_or_none(ending));
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
