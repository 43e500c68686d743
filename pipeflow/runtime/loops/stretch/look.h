/* A look-out before a wait: LookOut.sees, and Shown.begin_look and end_look around it. */

/* One kind of wait of a worker. */
struct looks {
    volatile uint64_t *row;
    PyObject *shown, *look; /* None: there are no looks */
    int64_t longest_ns;
};

/* One look-out. */
struct look {
    int64_t began, now, left_ns; /* 0: it is left out */
    long long vain;
};

/* It begins; a wait that is over so soon is no state for others to see. */
static int
begin_look(const struct looks *looks, struct look *look)
{
    long long since = number_of(looks->shown, name__since);
    look->vain = number_of(looks->look, name__vain);
    if (PyErr_Occurred()) {
        return -1;
    }
    look->began = look->now = now_ns();
    COUNT(looks->row[BUSY_NS] += (uint64_t)(look->began - since));
    COUNT(looks->row[TURNS] += 1);
    int leaves_out = look->vain >= PATIENCE && look->vain % RETRY_EVERY != 0;
    look->left_ns = leaves_out ? 0 : looks->longest_ns;
    return 0;
}

/* Let others have the processor; whether to look again. */
static inline int
goes_on(struct look *look)
{
    look->now = now_ns();
    if (look->now - look->began >= look->left_ns) {
        return 0;
    }
    sched_yield();
    return 1;
}

/* It is over. cell: where the time of such waits is counted. */
static int
end_look(const struct looks *looks, const struct look *look, Py_ssize_t cell, int seen)
{
    if (seen) {
        COUNT(looks->row[cell] += (uint64_t)(look->now - look->began));
        COUNT(looks->row[SINCE_NS] = (uint64_t)look->now);
    }
    if (set_number(looks->shown, name__since, seen ? look->now : look->began) < 0 ||
        set_number(looks->look, name__vain, seen ? 0 : look->vain + 1) < 0) {
        return -1;
    }
    return PyObject_SetAttr(looks->look, name_looked, seen ? Py_False : Py_True);
}
