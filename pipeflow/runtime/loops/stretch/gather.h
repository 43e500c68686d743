/* A source: what its iterator gives leaves by an outlet; see rows.append_from. */

/* Why gathering or a hop is over, beside what ends a stretch. */
enum over { IDLE = 10, LONGER, ON, FULL };

/* So many items in a row without a turn for whoever called. */
enum { TURN_ITEMS = 512 };

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
    struct span span = {*prefix, *ordinal, 0, PY_SSIZE_T_MAX};
    Py_ssize_t left = room_soon(self, &span);
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
            else if (why == OTHER) {
                int sent = pass_alone(self, ending->value, *ordinal, &onto.listed);
                if (sent > 0) {
                    Py_CLEAR(ending->value);
                    ++*ordinal;
                    more--;
                    left--;
                }
                why = sent < 0 ? -1 : sent ? after_all(stopping) : OTHER;
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
